//! Statistics that are missing or older than the rows.

use crate::catalog::{Activity, Catalog, Relation, RelationKind};
use crate::finding::{Evidence, Origin, Value};
use crate::rules::support::show;
use crate::subject::Subject;

use super::table::Table;
use super::{Cause, Kind};

/// ANALYZE is due by autovacuum's own reckoning from here: a share of the
/// rows, on top of a few.
const STALE_SHARE: f64 = 0.2;
/// The few.
const STALE_ROWS: f64 = 1_000.0;
/// A wrong estimate is laid to changes from this share of the rows on,
const CAUSE_SHARE: f64 = 0.1;
/// if they are more than autovacuum's own threshold.
const CAUSE_ROWS: f64 = 50.0;

/// Statistics that are missing or old explain every wrong estimate, long
/// before autovacuum's share of the rows has changed.
pub(super) fn stale(subject: &Subject<'_>, table: &Table<'_>) -> Option<Cause> {
    let due = due(table.relation?, subject.catalog, CAUSE_SHARE, CAUSE_ROWS)?;
    let kind = if due.missing {
        Kind::NeverAnalysed
    } else {
        Kind::OldStatistics
    };
    let mut cause = Cause::new(kind, due.text).suggest(table.analyze());
    cause.evidence.extend(due.evidence);
    Some(cause)
}

/// Why ANALYZE is due, with the evidence.
pub(crate) struct Due {
    /// The end of a sentence.
    pub(crate) text: String,
    /// What supports it.
    pub(crate) evidence: Vec<Evidence>,
    /// Statistics are missing altogether.
    pub(crate) missing: bool,
}

/// Whether ANALYZE of a table is due: it never ran, or much has changed since.
pub(crate) fn analyze_due(relation: &Relation, catalog: Option<&Catalog>) -> Option<Due> {
    due(relation, catalog, STALE_SHARE, STALE_ROWS)
}

/// The same from that share of the rows and that many on.
fn due(
    relation: &Relation,
    catalog: Option<&Catalog>,
    least_share: f64,
    least_rows: f64,
) -> Option<Due> {
    let from = || Origin::Catalog(relation.qualified());
    let no_statistics = !relation.columns.is_empty()
        && relation.columns.iter().all(|column| column.stats.is_none());
    // A role without rights sees no statistics of tables that have them.
    let all_readable = catalog.is_some_and(|catalog| catalog.limits.is_empty());
    let activity = relation.activity.as_ref();
    let analysed = activity.is_some_and(|activity| activity.seconds_since_analyze.is_some());
    if relation.tuples.is_none() || no_statistics && all_readable && !analysed {
        let rows = activity.map_or(0.0, |activity| activity.live_rows);
        let mut evidence = vec![Evidence::new(
            "size of the table",
            Value::Blocks(relation.pages),
            from(),
        )];
        if rows > 0.0 {
            evidence.push(Evidence::new("live rows", Value::Rows(rows), from()));
        }
        return Some(Due {
            text: format!("{} has never been analysed", relation.name),
            evidence,
            missing: true,
        });
    }
    let changed = changed(relation, activity?);
    let rows = relation.rows();
    if changed > least_rows && changed > least_share * rows {
        return Some(Due {
            text: format!(
                "{} rows of {} were changed since it was last analysed",
                show::count(changed),
                relation.name
            ),
            evidence: vec![
                Evidence::new("rows changed since ANALYZE", Value::Rows(changed), from()),
                Evidence::new("rows as of ANALYZE", Value::Rows(rows), from()),
            ],
            missing: false,
        });
    }
    None
}

/// Rows changed since ANALYZE, without those that it saw.
///
/// A session that loads a table and analyses it at once reports its inserts
/// only after the ANALYZE, so that they count as changes since, and as live
/// rows a second time. Where the counters go back to the table's beginning,
/// what is counted twice shows: there are more live rows than were inserted
/// and not deleted.
fn changed(relation: &Relation, activity: &Activity) -> f64 {
    let lasting = activity.inserted - activity.deleted;
    let counted_twice = if lasting >= 0.9 * relation.rows() {
        (activity.live_rows - lasting).max(0.0)
    } else {
        0.0
    };
    let changed = (activity.modified_since_analyze - counted_twice).max(0.0);
    // Rows that were only ever added, and all of them counted: what ANALYZE
    // found is not new. Within the transaction that loads them it is counted as
    // that all the same.
    if activity.updated <= 0.0 && activity.deleted <= 0.0 && lasting >= relation.rows() {
        changed.min(lasting - relation.rows())
    } else {
        changed
    }
}

/// A partitioned table has no statistics of its own, while its partitions do.
pub(crate) fn partitioned_due(relation: &Relation, catalog: &Catalog) -> Option<Due> {
    if relation.kind != RelationKind::PartitionedTable {
        return None;
    }
    let own = relation.columns.iter().any(|column| column.stats.is_some());
    let key = (relation.schema.clone(), relation.name.clone());
    let analysed = catalog
        .relations
        .iter()
        .filter(|child| child.parent.as_ref() == Some(&key))
        .filter(|child| child.columns.iter().any(|column| column.stats.is_some()))
        .count();
    if own || analysed == 0 || !catalog.limits.is_empty() {
        return None;
    }
    Some(Due {
        text: format!("{} has no statistics of its own", relation.name),
        evidence: vec![Evidence::new(
            "partitions with statistics",
            Value::Text(show::plural(analysed as f64, "partition", "partitions")),
            Origin::Catalog(relation.qualified()),
        )],
        missing: true,
    })
}
