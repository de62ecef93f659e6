//! How long a statement holds its lock, reckoned from sizes: an estimate with
//! its assumptions named, to tell seconds from hours.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::finding::migration::MigrationFinding;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::locks::{Effect, LockMode, VOLATILE, Work};
use crate::migration::state::Qualified;

/// Bytes of a block.
const BLOCK: f64 = 8192.0;

/// How fast a server is taken to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Bytes of a table that are read in a second.
    pub read: f64,
    /// Bytes of a table that are written anew in a second, its write-ahead log
    /// included.
    pub write: f64,
    /// Rows that are put into an index in a second.
    pub index_rows: f64,
    /// Rows that UPDATE and DELETE change in a second.
    pub change_rows: f64,
}

/// Below what was measured with the table in memory (see docs/check.md), as a
/// server with more to do and slower disks is slower.
impl Default for Rates {
    fn default() -> Self {
        Self {
            read: 200e6,
            write: 50e6,
            index_rows: 250e3,
            change_rows: 50e3,
        }
    }
}

/// The size of a relation.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Size {
    /// Bytes of the table itself.
    pub bytes: f64,
    /// Rows, where they were counted.
    pub rows: Option<f64>,
    /// Its indexes.
    pub indexes: f64,
}

/// Sizes of relations by name.
pub type Sizes = BTreeMap<Qualified, Size>;

/// The sizes that a catalogue knows.
pub fn sizes(catalog: &Catalog) -> Sizes {
    catalog
        .relations
        .iter()
        .map(|relation| {
            (
                Qualified::new(&relation.schema, &relation.name),
                Size {
                    bytes: relation.pages * BLOCK,
                    rows: relation.tuples,
                    indexes: relation.indexes.len() as f64,
                },
            )
        })
        .collect()
}

/// How long work takes, and what that was reckoned with.
#[derive(Debug, Clone, PartialEq)]
struct Estimate {
    seconds: f64,
    formula: &'static str,
    /// The rates, as people say them.
    assumed: String,
}

/// How long the work takes; `None` for work that does not grow with the
/// relation, or whose size is not known.
fn estimate(effect: &Effect, size: Size, rates: &Rates) -> Option<Estimate> {
    let read = size.bytes / rates.read;
    let build = || size.rows.map(|rows| rows / rates.index_rows);
    let megabytes = |rate: f64| format!("{} MB/s", plain(rate / 1e6));
    let reading = format!("{} read", megabytes(rates.read));
    let indexing = format!("{} rows/s into an index", plain(rates.index_rows));
    let (seconds, formula, assumed) = match effect.work {
        Work::None => return None,
        Work::Scan => (read, "size / read rate", reading),
        Work::IndexBuild => (
            read + build()?,
            "size / read rate + rows / index rate",
            format!("{reading}, {indexing}"),
        ),
        Work::IndexRebuild => (
            read + build()? * size.indexes.max(1.0),
            "size / read rate + indexes × rows / index rate",
            format!("{reading}, {indexing}"),
        ),
        Work::Rows => (
            size.rows? / rates.change_rows,
            "rows / change rate",
            format!("{} rows/s changed", plain(rates.change_rows)),
        ),
        Work::Rewrite => {
            // A volatile function such as gen_random_uuid() takes as long as
            // writing the row does.
            let computed = effect
                .why
                .as_deref()
                .is_some_and(|why| why.starts_with(VOLATILE));
            let (times, formula) = if computed {
                (
                    2.0,
                    "size / read rate + 2 × size / write rate + indexes × rows / index rate",
                )
            } else {
                (
                    1.0,
                    "size / read rate + size / write rate + indexes × rows / index rate",
                )
            };
            let indexes = build().filter(|_| size.indexes > 0.0);
            let mut assumed = format!("{reading}, {} written", megabytes(rates.write / times));
            if indexes.is_some() {
                assumed.push_str(&format!(", {indexing}"));
            }
            (
                read + times * size.bytes / rates.write + indexes.unwrap_or(0.0) * size.indexes,
                formula,
                assumed,
            )
        }
    };
    Some(Estimate {
        seconds,
        formula,
        assumed,
    })
}

/// Adds to findings about locks how large the relation is, and how long the
/// lock is held for the work.
pub fn add(findings: &mut [MigrationFinding], sizes: &Sizes, rates: &Rates) {
    for finding in findings {
        let Some(effect) = &finding.effect else {
            continue;
        };
        let Some(size) = sizes.get(&effect.relation).copied() else {
            continue;
        };
        let Some(estimate) = estimate(effect, size, rates) else {
            continue;
        };
        let relation = effect.relation.to_string();
        let held = if effect.mode >= LockMode::ShareUpdateExclusive {
            format!("under {}", effect.mode.name())
        } else {
            "of work".to_owned()
        };
        let sentence = format!(
            "{relation} has {}: {} {held}, reckoned with {}",
            bytes(size.bytes),
            about(estimate.seconds),
            estimate.assumed,
        );
        if !finding.why.is_empty() {
            finding.why.push_str("; ");
        }
        finding.why.push_str(&sentence);
        let has_size = finding
            .evidence
            .iter()
            .any(|evidence| matches!(evidence.value, Value::Bytes(_)));
        if !has_size {
            finding.evidence.push(Evidence::new(
                "size",
                Value::Bytes(size.bytes),
                Origin::Statistics(relation),
            ));
        }
        finding.evidence.push(Evidence::new(
            "time the lock is held, estimated",
            Value::Ms(estimate.seconds * 1000.0),
            Origin::Formula(estimate.formula),
        ));
    }
}

/// A whole number with its thousands parted.
fn plain(number: f64) -> String {
    let digits = format!("{:.0}", number.max(0.0));
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as people say them.
fn bytes(number: f64) -> String {
    let (scaled, unit) = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
        .into_iter()
        .find(|(least, _)| number >= *least)
        .map_or((number, "bytes"), |(least, unit)| (number / least, unit));
    if scaled >= 10.0 || unit == "bytes" {
        format!("{scaled:.0} {unit}")
    } else {
        format!("{scaled:.1} {unit}")
    }
}

/// A time as people say it, no more exact than it is.
fn about(seconds: f64) -> String {
    let (number, one, many) = if seconds < 1.0 {
        return "less than a second".to_owned();
    } else if seconds < 90.0 {
        (seconds, "second", "seconds")
    } else if seconds < 90.0 * 60.0 {
        (seconds / 60.0, "minute", "minutes")
    } else {
        (seconds / 3600.0, "hour", "hours")
    };
    let number = number.round().max(1.0);
    format!(
        "about {number:.0} {}",
        if number < 1.5 { one } else { many }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::locks::Known;

    const LARGE: Size = Size {
        bytes: 14e9,
        rows: Some(90e6),
        indexes: 2.0,
    };

    fn effect(work: Work, why: Option<&str>) -> Effect {
        Effect {
            relation: Qualified::new("public", "orders"),
            mode: LockMode::AccessExclusive,
            work,
            known: Known::Static,
            why: why.map(str::to_owned),
            command: None,
        }
    }

    #[test]
    fn work_grows_with_what_it_touches() {
        let rates = Rates::default();
        let time = |work, why| {
            estimate(&effect(work, why), LARGE, &rates)
                .map(|estimate| (estimate.seconds, estimate.assumed))
        };
        let said = |seconds: f64, assumed: &str| Some((seconds, assumed.to_owned()));
        assert_eq!(time(Work::None, None), None);
        assert_eq!(time(Work::Scan, None), said(70.0, "200 MB/s read"));
        assert_eq!(
            time(Work::IndexBuild, None),
            said(70.0 + 360.0, "200 MB/s read, 250,000 rows/s into an index")
        );
        assert_eq!(
            time(Work::Rewrite, Some("the type is a domain with constraints")),
            said(
                70.0 + 280.0 + 720.0,
                "200 MB/s read, 50 MB/s written, 250,000 rows/s into an index"
            )
        );
        assert_eq!(
            time(Work::Rewrite, Some("the default is volatile: random()")),
            said(
                70.0 + 560.0 + 720.0,
                "200 MB/s read, 25 MB/s written, 250,000 rows/s into an index"
            )
        );
        assert_eq!(
            time(Work::Rows, None),
            said(1800.0, "50,000 rows/s changed")
        );
        let uncounted = Size {
            rows: None,
            ..LARGE
        };
        assert_eq!(estimate(&effect(Work::Rows, None), uncounted, &rates), None);
    }

    #[test]
    fn numbers_are_said_no_more_exactly_than_they_are() {
        assert_eq!(about(0.2), "less than a second");
        assert_eq!(about(1.2), "about 1 second");
        assert_eq!(about(70.0), "about 70 seconds");
        assert_eq!(about(200.0), "about 3 minutes");
        assert_eq!(about(7200.0), "about 2 hours");
        assert_eq!(bytes(14e9), "14 GB");
        assert_eq!(bytes(8192.0), "8.2 kB");
        assert_eq!(bytes(0.0), "0 bytes");
    }
}
