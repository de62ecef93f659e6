//! Sizes for tables of which nothing is known.
//!
//! An empty table is read from end to end whatever indexes it has. So every
//! table is taken to have a million rows, and its indexes what a million rows
//! need. Each value of a foreign key is taken to be in ten rows: PostgreSQL's
//! own default of 200 different values would make indexes on them look useless.
//! Other columns have no statistics, and PostgreSQL takes its defaults for them.
//! What an index is good for shows then; how long a query takes does not.

use crate::catalog::{Catalog, ConstraintKind, Relation};
use crate::pg::Session;
use crate::pg::snapshot::SnapshotOptions;
use crate::pg::twin::TwinError;
use crate::pg::twin::sizes::estimate_index;
use crate::snapshot::{IndexMeta, RelationKind, Size, Snapshot, Statistics};

/// Rows that every table is taken to have.
pub(super) const ROWS: f64 = 1_000_000.0;
/// Rows in which each value of a foreign key is taken to be.
const ROWS_OF_A_KEY: f64 = 10.0;
/// Bytes of a row besides its columns: its header and its pointer.
const ROW: f64 = 28.0;
/// Bytes of a page that hold rows.
const PAGE: f64 = 8168.0;
/// Width that PostgreSQL takes for a column of which it knows none.
const UNKNOWN_WIDTH: f64 = 32.0;

/// What is assumed.
pub(super) fn sentence() -> String {
    "no sizes are known (no --snapshot): every table is taken to have 1,000,000 rows, each value of \
     a foreign key to be in 10 of them, and for the rest PostgreSQL's own defaults are taken"
        .to_owned()
}

/// The schema in a cluster, with assumed sizes.
pub(super) fn snapshot(session: &mut Session) -> Result<Snapshot, TwinError> {
    let options = SnapshotOptions {
        index_ends: false,
        keep_time: false,
    };
    let mut snapshot = session.snapshot(&options, &mut |_, _, _| {})?;
    let catalog = session.catalog().map_err(|error| TwinError::Unusable {
        reason: format!("the replayed schema could not be read: {error}"),
    })?;
    set_sizes(&mut snapshot, &catalog);
    Ok(snapshot)
}

fn set_sizes(snapshot: &mut Snapshot, catalog: &Catalog) {
    for relation in &mut snapshot.relations {
        if !matches!(
            relation.kind,
            RelationKind::Table | RelationKind::MaterializedView
        ) {
            continue;
        }
        let Some(known) = catalog.relation(Some(&relation.schema), &relation.name) else {
            continue;
        };
        for column in &mut relation.columns {
            if let Some(key) = foreign_key(known, &column.name) {
                column.statistics = vec![key];
            }
        }
        let blocks = blocks(known);
        relation.size = Some(size(blocks, ROWS));
        let mut sized = known.clone();
        sized.pages = blocks as f64;
        sized.tuples = Some(ROWS);
        sized.all_visible_pages = blocks as f64;
        for index in &mut relation.indexes {
            let Some(known) = sized.indexes.iter().find(|known| known.name == index.name) else {
                continue;
            };
            let estimate = estimate_index(&sized, known, None);
            index.size = Some(Size {
                all_visible: 0,
                ..size(estimate.blocks.max(1), estimate.tuples)
            });
            if index.method == "btree" {
                index.meta = Some(IndexMeta::Btree {
                    height: estimate.height,
                    from: "assumed".to_owned(),
                });
            }
        }
    }
}

fn size(blocks: u64, tuples: f64) -> Size {
    let pages = i64::try_from(blocks).unwrap_or(i64::MAX);
    Size {
        blocks,
        pages,
        tuples: tuples as f32,
        all_visible: pages,
        all_frozen: None,
    }
}

/// What is assumed of a column that is a foreign key by itself, and not unique.
fn foreign_key(relation: &Relation, column: &str) -> Option<Statistics> {
    let alone = |columns: &[String]| matches!(columns, [only] if only == column);
    let is_key = relation.constraints.iter().any(|constraint| {
        matches!(constraint.kind, ConstraintKind::ForeignKey { .. }) && alone(&constraint.columns)
    });
    let is_unique = relation.constraints.iter().any(|constraint| {
        matches!(
            constraint.kind,
            ConstraintKind::PrimaryKey | ConstraintKind::Unique
        ) && alone(&constraint.columns)
    });
    let known = relation.columns.iter().find(|known| known.name == column)?;
    (is_key && !is_unique).then(|| Statistics {
        inherited: false,
        null_fraction: 0.0,
        width: width(&known.base_type) as i32,
        distinct: (-1.0 / ROWS_OF_A_KEY) as f32,
        slots: Vec::new(),
    })
}

/// Blocks of a table with so many rows.
fn blocks(relation: &Relation) -> u64 {
    let width: f64 = relation
        .columns
        .iter()
        .map(|column| width(&column.base_type))
        .sum();
    let in_a_page = (PAGE / (ROW + width)).floor().max(1.0);
    (ROWS / in_a_page).ceil() as u64
}

/// Bytes of a value, by the type's name in `pg_type`.
fn width(base_type: &str) -> f64 {
    match base_type {
        "bool" | "char" => 1.0,
        "int2" => 2.0,
        "int4" | "float4" | "date" | "oid" => 4.0,
        "int8" | "float8" | "time" | "timestamp" | "timestamptz" | "money" => 8.0,
        "timetz" => 12.0,
        "uuid" | "interval" | "point" => 16.0,
        "name" => 64.0,
        _ => UNKNOWN_WIDTH,
    }
}
