//! What a snapshot holds, in a few lines.

use super::counted;
use crate::snapshot::{RelationKind, Snapshot, Values};

/// A snapshot's content, a line each.
pub(super) fn lines(snapshot: &Snapshot) -> Vec<String> {
    let of_kind = |kinds: &[RelationKind]| {
        snapshot
            .relations
            .iter()
            .filter(|relation| kinds.contains(&relation.kind))
            .count()
    };
    let indexes = snapshot
        .relations
        .iter()
        .map(|relation| relation.indexes.len())
        .sum();
    let columns = snapshot
        .relations
        .iter()
        .flat_map(|relation| &relation.columns);
    let described = columns
        .filter(|column| !column.statistics.is_empty())
        .count();
    let extended = snapshot
        .relations
        .iter()
        .map(|relation| relation.extended_statistics.len())
        .sum();
    let mut parts = vec![
        counted(
            of_kind(&[RelationKind::Table, RelationKind::PartitionedTable]),
            "table",
            "tables",
        ),
        counted(indexes, "index", "indexes"),
        format!("statistics of {}", counted(described, "column", "columns")),
    ];
    for (count, one, more) in [
        (
            of_kind(&[RelationKind::View, RelationKind::MaterializedView]),
            "view",
            "views",
        ),
        (
            of_kind(&[RelationKind::ForeignTable]),
            "foreign table",
            "foreign tables",
        ),
        (extended, "statistics object", "statistics objects"),
        (snapshot.objects.len(), "other object", "other objects"),
        (snapshot.extensions.len(), "extension", "extensions"),
    ] {
        if count > 0 {
            parts.push(counted(count, one, more));
        }
    }
    vec![
        format!(
            "database {} of PostgreSQL {}: {}",
            snapshot.origin.database,
            snapshot.origin.version,
            parts.join(", ")
        ),
        match snapshot.values {
            Values::Kept => {
                "it holds no rows, but values from them: most common values and histogram bounds \
                 (--redact and --no-values keep them out)"
            }
            Values::Redacted => {
                "it holds no rows; stand-ins take the place of most values (docs/snapshot.md says of which)"
            }
            Values::LeftOut => "it holds no rows, and no value from them",
        }
        .to_owned(),
    ]
}
