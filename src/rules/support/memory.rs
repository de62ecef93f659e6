//! How much memory a sort or a hash table would have needed, and the setting
//! that grants it.
//!
//! The formulas follow the server's own data structures and were checked by
//! raising `work_mem` until the spill went away; what they give is rounded up.

use crate::catalog::Catalog;
use crate::finding::{Applicability, Change, SideEffect, Suggestion, Verdict};
use crate::subject::Subject;

/// Above this a larger `work_mem` is no advice for one statement.
const MOST: f64 = 1024.0 * 1024.0 * 1024.0;
const MB: f64 = 1024.0 * 1024.0;

/// A setting that was in force, as text.
pub(crate) fn setting<'a>(subject: &Subject<'a>, name: &str) -> Option<&'a str> {
    subject
        .plan
        .and_then(|plan| plan.run.settings.get(name).map(String::as_str))
        .or_else(|| subject.catalog.and_then(|catalog| catalog.setting(name)))
}

/// A numeric setting.
pub(crate) fn number(subject: &Subject<'_>, name: &str, default: f64) -> f64 {
    setting(subject, name)
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// The server's major version, if known.
pub(crate) fn major(subject: &Subject<'_>) -> Option<u32> {
    subject
        .catalog
        .map(Catalog::major)
        .filter(|major| *major > 0)
}

/// `work_mem` in bytes, if known.
pub(crate) fn work_mem(subject: &Subject<'_>) -> Option<f64> {
    bytes(setting(subject, "work_mem")?)
}

/// `hash_mem_multiplier`: 2 since version 15, 1 before.
pub(crate) fn hash_mem_multiplier(subject: &Subject<'_>) -> f64 {
    let default = match major(subject) {
        Some(major) if major >= 15 => 2.0,
        _ => 1.0,
    };
    number(subject, "hash_mem_multiplier", default).max(1.0)
}

/// A size as `SHOW` prints it.
pub(crate) fn bytes(text: &str) -> Option<f64> {
    let end = text
        .find(|character: char| !(character.is_ascii_digit() || character == '.'))
        .unwrap_or(text.len());
    let number: f64 = text.get(..end)?.parse().ok()?;
    let unit = match text.get(end..)?.trim() {
        "B" => 1.0,
        // Without a unit, work_mem is in kB.
        "" | "kB" => 1024.0,
        "MB" => MB,
        "GB" => 1024.0 * MB,
        "TB" => 1024.0 * 1024.0 * MB,
        _ => return None,
    };
    Some(number * unit)
}

/// What a sort of that many rows, which wrote that many bytes, needs in
/// memory: each row has a 24-byte entry in the array that is sorted, and is
/// stored with headers and padding of about 32 bytes. Before version 15 each
/// row's memory is rounded up to a power of two, too.
pub(crate) fn sort_need(rows: f64, disk_bytes: f64, major: Option<u32>) -> f64 {
    let need = if major.is_some_and(|major| major >= 15) {
        disk_bytes + rows * 56.0
    } else {
        let row = (disk_bytes / rows.max(1.0) + 8.0).max(8.0);
        rows * (row.log2().ceil().exp2() + 40.0)
    };
    need * 1.15
}

/// What a hash table of that many rows of that width needs in memory: 16 bytes
/// and the row with its header, both aligned to 8, and 8 bytes for each
/// bucket, of which there is a power of two.
pub(crate) fn hash_need(rows: f64, width: f64) -> f64 {
    let row = 16.0 + 16.0 + (width / 8.0).ceil() * 8.0;
    let buckets = rows.max(1024.0).log2().ceil().exp2();
    (rows * row + buckets * 8.0) * 1.1
}

/// What a hash aggregate of that many groups of that width needs in memory:
/// the group's row and states, with what is kept beside each, and 24 bytes for
/// each bucket; two fifths more, because memory is taken in blocks that double.
pub(crate) fn hash_aggregate_need(groups: f64, width: f64) -> f64 {
    let entry = (width / 8.0).ceil() * 8.0 + 96.0;
    let buckets = groups.max(256.0).log2().ceil().exp2();
    (groups * entry + buckets * 24.0) * 1.4
}

/// What an exact bitmap of that many heap pages needs: 64 bytes for each page
/// with its slot in the hash table (`tbm_calculate_entries`).
pub(crate) fn bitmap_need(pages: f64) -> f64 {
    pages * 64.0 * 1.1
}

/// The suggestion to raise `work_mem` to at least that; `None` when it is too
/// much to ask for, or not more than what was in force.
pub(crate) fn raise_work_mem(subject: &Subject<'_>, need: f64) -> Option<Suggestion> {
    let at_least = work_mem(subject).unwrap_or(0.0);
    let megabytes = nice_megabytes(need);
    if megabytes * MB > MOST || megabytes * MB <= at_least {
        return None;
    }
    let value = format!("{megabytes:.0}MB");
    let mut suggestion = Suggestion::untested(
        format!("set work_mem to {value} for this statement's session or role"),
        Change::Setting {
            sql: format!("SET work_mem = '{value}';"),
        },
        Applicability::SameResults,
    );
    suggestion.side_effects.push(SideEffect::Caller(format!(
        "every sort and hash of every process that runs with the setting may take {value}: set it \
         in the session, or with ALTER ROLE, not for the whole server"
    )));
    suggestion.verdict = Verdict::Untested {
        why: "only executing the statement shows what memory does".to_owned(),
    };
    Some(suggestion)
}

/// Rounded up to what a person would write.
fn nice_megabytes(bytes: f64) -> f64 {
    let megabytes = (bytes / MB).ceil().max(1.0);
    let step = match megabytes {
        m if m <= 16.0 => 1.0,
        m if m <= 64.0 => 8.0,
        m if m <= 256.0 => 32.0,
        _ => 128.0,
    };
    (megabytes / step).ceil() * step
}

/// Whether no scan may use an index: what the planner would do without the
/// settings is not seen, nor is an index that it could not use.
pub(crate) fn no_index_allowed(subject: &Subject<'_>) -> bool {
    ["enable_indexscan", "enable_bitmapscan"]
        .iter()
        .all(|name| setting(subject, name) == Some("off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(bytes("4MB"), Some(4.0 * MB));
        assert_eq!(bytes("64kB"), Some(65536.0));
        assert_eq!(bytes("512"), Some(524_288.0));
        assert_eq!(bytes("four"), None);
    }

    /// Measured on 15: the smallest `work_mem` that kept these sorts in memory.
    #[test]
    fn the_sort_formula_agrees_with_the_server() {
        for (rows, disk_kb, needed_kb) in [
            (200_000.0, 8232.0, 19183.0),
            (200_000.0, 5096.0, 15853.0),
            (20_000.0, 6328.0, 7544.0),
        ] {
            let need = sort_need(rows, disk_kb * 1024.0, Some(15)) / 1024.0;
            assert!(need >= needed_kb && need < 1.25 * needed_kb, "{need} kB");
        }
    }

    /// Measured on 15: `Memory Usage: 4540kB` for 90,000 rows of width 8.
    #[test]
    fn the_hash_formula_agrees_with_the_server() {
        let need = hash_need(90_000.0, 8.0) / 1024.0;
        assert!((4540.0..5500.0).contains(&need), "{need} kB");
    }

    /// Measured on 13 to 18 with 150,000 groups: `Peak Memory Usage` of the
    /// version that takes most.
    #[test]
    fn the_aggregate_formula_agrees_with_the_server() {
        for (width, peak_kb) in [(12.0, 22545.0), (52.0, 38929.0), (41.0, 30737.0)] {
            let need = hash_aggregate_need(150_000.0, width) / 1024.0;
            assert!(need >= peak_kb && need < 1.5 * peak_kb, "{need} kB");
        }
    }

    #[test]
    fn suggested_sizes_are_round_and_never_too_small() {
        assert!((nice_megabytes(22.1 * MB) - 24.0).abs() < 0.01);
        assert!((nice_megabytes(70.0 * MB) - 96.0).abs() < 0.01);
        assert!((nice_megabytes(0.2 * MB) - 1.0).abs() < 0.01);
    }
}
