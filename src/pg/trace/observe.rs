//! What the server says of the locks that its session holds, and of the
//! relations under them.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;

use crate::migration::locks::LockMode;
use crate::migration::state::Qualified;

/// What is asked of each relation.
const COLUMNS: &str = "n.nspname::text, c.relname::text, c.relkind::text, \
     pg_catalog.pg_relation_filenode(c.oid)::text, i.indrelid::text, \
     coalesce(pg_catalog.pg_stat_get_xact_numscans(c.oid), 0)::text";
const JOINS: &str = "LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
     LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid";

/// All relations of users.
pub(super) fn all() -> String {
    format!(
        "SELECT c.oid::text, ''::text, {COLUMNS} FROM pg_catalog.pg_class AS c {JOINS} \
         WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I')"
    )
}

/// The relations that the session has locked, in one question. Nothing else
/// can have changed.
pub(super) fn locked(major: u16) -> String {
    // From 15 on the counters of a transaction can be handed in at its end, so
    // that the next begins with none.
    let flush = if major >= 15 {
        "pg_catalog.pg_stat_force_next_flush()::text"
    } else {
        "''::text"
    };
    format!(
        "SELECT l.relation::text, l.modes, {COLUMNS}, {flush} FROM (\
         SELECT relation, pg_catalog.string_agg(DISTINCT mode, ',') AS modes \
         FROM pg_catalog.pg_locks \
         WHERE locktype = 'relation' AND relation >= 16384 AND granted \
           AND pid = pg_catalog.pg_backend_pid() GROUP BY relation) AS l \
         LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation {JOINS}"
    )
}

/// One relation at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    pub(super) name: Qualified,
    pub(super) kind: char,
    /// The file; `None` where it has none.
    pub(super) file: Option<String>,
    /// The table of an index.
    pub(super) table: Option<u32>,
    /// How often it was read from end to end, as the session counts.
    pub(super) scans: u64,
}

impl Relation {
    pub(super) fn is_index(&self) -> bool {
        matches!(self.kind, 'i' | 'I')
    }

    /// Of the user: not a temporary one, and no TOAST table.
    pub(super) fn is_told(&self) -> bool {
        !self.name.schema.starts_with("pg_")
            && matches!(self.kind, 'r' | 'p' | 'm' | 'v' | 'f' | 'i' | 'I')
    }
}

/// What one question found.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Locked relations with the modes held; without a relation when it is
    /// gone.
    pub(super) relations: BTreeMap<u32, (BTreeSet<LockMode>, Option<Relation>)>,
}

/// Reads the rows of [`all`] or [`locked`].
pub(super) fn read(rows: &[Row]) -> Seen {
    let mut seen = Seen::default();
    for row in rows {
        let text = |at: usize| row.try_get::<_, Option<String>>(at).ok().flatten();
        let Some(oid) = text(0).and_then(|oid| oid.parse().ok()) else {
            continue;
        };
        let modes = text(1)
            .unwrap_or_default()
            .split(',')
            .filter_map(LockMode::named)
            .collect();
        let relation = match (text(2), text(3), text(4)) {
            (Some(schema), Some(name), Some(kind)) => Some(Relation {
                name: Qualified::new(schema, name),
                kind: kind.chars().next().unwrap_or(' '),
                file: text(5),
                table: text(6).and_then(|oid| oid.parse().ok()),
                scans: text(7).and_then(|count| count.parse().ok()).unwrap_or(0),
            }),
            _ => None,
        };
        seen.relations.insert(oid, (modes, relation));
    }
    seen
}
