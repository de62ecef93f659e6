//! How long a statement holds its lock, reckoned from sizes: an estimate with
//! its assumptions named, to tell seconds from hours.

use std::collections::BTreeMap;

use crate::catalog::Catalog;
use crate::finding::migration::MigrationFinding;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::locks::{LockMode, Work};
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

/// Below what was measured on an idle server with the table in memory (see
/// docs/check.md), as a busy one with disks is slower.
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

/// Seconds that the work takes, and the formula that says so; `None` for work
/// that does not grow with the relation, or whose size is not known.
pub fn seconds(work: Work, size: Size, rates: &Rates) -> Option<(f64, &'static str)> {
    let read = size.bytes / rates.read;
    let build = || size.rows.map(|rows| rows / rates.index_rows);
    match work {
        Work::None => None,
        Work::Scan => Some((read, "size / read rate")),
        Work::IndexBuild => Some((read + build()?, "size / read rate + rows / index rate")),
        Work::IndexRebuild => Some((
            read + build()? * size.indexes.max(1.0),
            "size / read rate + indexes × rows / index rate",
        )),
        Work::Rows => Some((size.rows? / rates.change_rows, "rows / change rate")),
        Work::Rewrite => Some((
            read + size.bytes / rates.write + build().unwrap_or(0.0) * size.indexes,
            "size / read rate + size / write rate + indexes × rows / index rate",
        )),
    }
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
        let Some((seconds, formula)) = seconds(effect.work, size, rates) else {
            continue;
        };
        let relation = effect.relation.to_string();
        let held = if effect.mode >= LockMode::ShareUpdateExclusive {
            format!("under {}", effect.mode.name())
        } else {
            "of work".to_owned()
        };
        let sentence = format!(
            "{relation} has {}: {} {held}",
            bytes(size.bytes),
            about(seconds),
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
            Value::Ms(seconds * 1000.0),
            Origin::Formula(formula),
        ));
    }
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

    const LARGE: Size = Size {
        bytes: 14e9,
        rows: Some(90e6),
        indexes: 2.0,
    };

    #[test]
    fn work_grows_with_what_it_touches() {
        let rates = Rates::default();
        let time = |work| seconds(work, LARGE, &rates).map(|(seconds, _)| seconds);
        assert_eq!(time(Work::None), None);
        assert_eq!(time(Work::Scan), Some(70.0));
        assert_eq!(time(Work::IndexBuild), Some(70.0 + 360.0));
        assert_eq!(time(Work::Rewrite), Some(70.0 + 280.0 + 720.0));
        let uncounted = Size {
            rows: None,
            ..LARGE
        };
        assert_eq!(seconds(Work::Rows, uncounted, &rates), None);
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
