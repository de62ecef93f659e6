//! Tables, views, their columns, constraints and sizes.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::{Reader, TableFacts, get, qualified, some_of};
use crate::pg::error::Error;
use crate::snapshot::{Activity, Column, Constraint, Foreign, RelationKind, Size};

/// How a name is made whole in SQL, whatever the search path.
pub(super) const COLLATION: &str =
    "quote_ident(ln.nspname::text) || '.' || quote_ident(l.collname::text)";

/// Options of foreign servers and tables that may be secrets.
pub(super) const SECRET_OPTION: &str =
    "(user|passw|secret|key|token|credential|sslcert|passphrase|auth)";

/// How many views' definitions are read at once: PostgreSQL locks (ACCESS
/// SHARE) what a view reads until the part is over, and its table of locks is
/// shared by all.
const DEFINITIONS_AT_ONCE: usize = 200;

impl Reader<'_> {
    pub(super) fn read_relations(&mut self) -> Result<(), Error> {
        let frozen = if self.at_least(18) {
            "c.relallfrozen::int8"
        } else {
            "NULL::int8"
        };
        let sql = format!(
            "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
               c.relpersistence = 'u', c.reloptions, \
               CASE WHEN c.relispartition AND NOT c.oid = ANY ($1) \
                 THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END, \
               CASE WHEN c.relkind = 'p' AND NOT c.oid = ANY ($1) \
                 THEN pg_catalog.pg_get_partkeydef(c.oid) END, \
               s.srvname::text, \
               (SELECT array_agg(o.o ORDER BY o.n) FROM unnest(f.ftoptions) WITH ORDINALITY AS o (o, n) \
                WHERE split_part(o.o, '=', 1) !~* '{SECRET_OPTION}'), \
               c.relrowsecurity, c.relforcerowsecurity, \
               c.relpages::int8, c.reltuples, c.relallvisible::int8, {frozen}, \
               pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                 AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
                 AND NOT (c.relrowsecurity AND pg_catalog.row_security_active(c.oid)), \
               c.oid = ANY ($1), \
               pg_catalog.pg_stat_get_live_tuples(c.oid)::int8, \
               pg_catalog.pg_stat_get_dead_tuples(c.oid)::int8, \
               pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::int8, \
               to_char(greatest(pg_catalog.pg_stat_get_last_analyze_time(c.oid), \
                 pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)), \
                 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
               pg_catalog.pg_stat_get_tuples_inserted(c.oid)::int8, \
               pg_catalog.pg_stat_get_tuples_updated(c.oid)::int8, \
               pg_catalog.pg_stat_get_tuples_deleted(c.oid)::int8, \
               pg_catalog.pg_stat_get_tuples_hot_updated(c.oid)::int8 \
             FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             LEFT JOIN pg_catalog.pg_foreign_table AS f ON f.ftrelid = c.oid \
             LEFT JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' \
               AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
               AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
                 WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
                 AND d.deptype = 'e') \
             ORDER BY c.oid"
        );
        let locked = self.locked.clone();
        let rows = self.session.query(&sql, &[(&locked, Type::OID_ARRAY)])?;
        for row in &rows {
            let oid: u32 = get(row, 0)?;
            let kind = match get::<String>(row, 3)?.as_str() {
                "p" => RelationKind::PartitionedTable,
                "v" => RelationKind::View,
                "m" => RelationKind::MaterializedView,
                "f" => RelationKind::ForeignTable,
                _ => RelationKind::Table,
            };
            let counted = matches!(
                kind,
                RelationKind::Table
                    | RelationKind::MaterializedView
                    | RelationKind::PartitionedTable
            );
            let relation = crate::snapshot::Relation {
                schema: get(row, 1)?,
                name: get(row, 2)?,
                kind,
                unlogged: get(row, 4)?,
                options: get::<Option<Vec<String>>>(row, 5)?.unwrap_or_default(),
                partition_bound: get(row, 6)?,
                partition_key: get(row, 7)?,
                foreign: match get::<Option<String>>(row, 8)? {
                    Some(server) => Some(Foreign {
                        server,
                        options: get::<Option<Vec<String>>>(row, 9)?.unwrap_or_default(),
                    }),
                    None => None,
                },
                row_security: get(row, 10)?,
                force_row_security: get(row, 11)?,
                size: if kind == RelationKind::View {
                    None
                } else {
                    let pages: i64 = get(row, 12)?;
                    Some(Size {
                        // Replaced by the size on disk where that can be asked.
                        blocks: if kind == RelationKind::ForeignTable {
                            0
                        } else {
                            u64::try_from(pages).unwrap_or(0)
                        },
                        pages,
                        tuples: get(row, 13)?,
                        all_visible: get(row, 14)?,
                        all_frozen: get(row, 15)?,
                    })
                },
                activity: if counted {
                    Some(Activity {
                        live_rows: get(row, 18)?,
                        dead_rows: get(row, 19)?,
                        modified_since_analyze: get(row, 20)?,
                        analyzed_at: if self.options.keep_time {
                            get(row, 21)?
                        } else {
                            None
                        },
                        inserted: get(row, 22)?,
                        updated: get(row, 23)?,
                        deleted: get(row, 24)?,
                        hot_updated: get(row, 25)?,
                    })
                } else {
                    None
                },
                ..crate::snapshot::Relation::default()
            };
            self.tables.insert(
                oid,
                TableFacts {
                    selectable: get(row, 16)?,
                    locked: get(row, 17)?,
                },
            );
            self.places.insert(oid, self.snapshot.relations.len());
            self.snapshot.relations.push(relation);
        }
        self.leave_out_others()?;
        self.read_parents()?;
        self.read_definitions()
    }

    fn read_parents(&mut self) -> Result<(), Error> {
        let sql = "SELECT i.inhrelid, n.nspname::text, c.relname::text \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = r.oid \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.inhparent \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE $2::oid[] IS NOT NULL AND i.inhparent = ANY ($1) \
             ORDER BY i.inhrelid, i.inhseqno";
        for row in &self.over_relations(sql)? {
            let parent = (get(row, 1)?, get(row, 2)?);
            if let Some(relation) = self.relation(get(row, 0)?) {
                relation.parents.push(parent);
            }
        }
        Ok(())
    }

    /// The queries of views. One that reads a locked table is left out, as
    /// printing it waits for the table.
    fn read_definitions(&mut self) -> Result<(), Error> {
        let blocked = self.views_over_locked()?;
        let mut waiting = Vec::new();
        let mut views = Vec::new();
        for (oid, at) in &self.places {
            let Some(relation) = self.snapshot.relations.get(*at) else {
                continue;
            };
            if matches!(
                relation.kind,
                RelationKind::View | RelationKind::MaterializedView
            ) {
                if blocked.contains(oid) || self.locked.contains(oid) {
                    waiting.push(qualified(relation));
                } else {
                    views.push(*oid);
                }
            }
        }
        if !waiting.is_empty() {
            waiting.sort();
            self.limit(format!(
                "The definition of {} could not be read, as another transaction holds what it \
                 reads exclusively.",
                some_of(&waiting)
            ));
        }
        for part in views.chunks(DEFINITIONS_AT_ONCE) {
            let rows = self.session.undone(|session| {
                session.query(
                    "SELECT r.oid, pg_catalog.pg_get_viewdef(r.oid) FROM unnest($1) AS r (oid)",
                    &[(&part, Type::OID_ARRAY)],
                )
            })?;
            for row in &rows {
                let definition: Option<String> = get(row, 1)?;
                if let Some(relation) = self.relation(get(row, 0)?) {
                    relation.definition =
                        definition.map(|text| text.trim_end().trim_end_matches(';').to_owned());
                }
            }
        }
        Ok(())
    }

    /// Views and tables with rules that read something locked.
    pub(super) fn views_over_locked(&mut self) -> Result<Vec<u32>, Error> {
        if self.locked.is_empty() {
            return Ok(Vec::new());
        }
        let locked = self.locked.clone();
        let rows = self.session.query(
            "SELECT DISTINCT w.ev_class FROM pg_catalog.pg_depend AS d \
             JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid \
             WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass \
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ($1)",
            &[(&locked, Type::OID_ARRAY)],
        )?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    pub(super) fn read_columns(&mut self) -> Result<(), Error> {
        // A NOT NULL constraint need not have been validated since 18.
        let validated = if self.at_least(18) {
            "AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k \
               WHERE k.conrelid = a.attrelid AND k.contype = 'n' \
               AND k.conkey[1] = a.attnum AND NOT k.convalidated)"
        } else {
            ""
        };
        let compression = if self.at_least(14) {
            "nullif(a.attcompression::text, '')"
        } else {
            "NULL"
        };
        let sql = format!(
            "SELECT a.attrelid, a.attnum::int2, a.attname::text, \
               CASE WHEN a.attisdropped THEN '' \
                 ELSE pg_catalog.format_type(a.atttypid, a.atttypmod) END, \
               a.attisdropped, a.attnotnull {validated}, \
               CASE WHEN a.atthasdef AND NOT a.attrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END, \
               nullif(a.attgenerated::text, ''), nullif(a.attidentity::text, ''), \
               CASE WHEN a.attcollation <> t.typcollation THEN {COLLATION} END, \
               CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END, \
               {compression}, nullif(a.attstattarget, -1)::int4, a.attoptions, \
               NOT a.attislocal \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 \
             LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
             LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation \
             LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
             ORDER BY a.attrelid, a.attnum"
        );
        for row in &self.over_relations(&sql)? {
            let mut options: Vec<String> = get::<Option<_>>(row, 13)?.unwrap_or_default();
            // Some servers keep numbers of their own there.
            options.retain(|option| option.starts_with("n_distinct"));
            let column = Column {
                name: get(row, 2)?,
                type_name: get(row, 3)?,
                dropped: get(row, 4)?,
                not_null: get(row, 5)?,
                default: get(row, 6)?,
                generated: get(row, 7)?,
                identity: get(row, 8)?,
                collation: get(row, 9)?,
                storage: get(row, 10)?,
                compression: get(row, 11)?,
                statistics_target: get(row, 12)?,
                options,
                inherited_only: get(row, 14)?,
                statistics: Vec::new(),
            };
            if let Some(relation) = self.relation(get(row, 0)?) {
                relation.columns.push(column);
            }
        }
        Ok(())
    }

    pub(super) fn read_constraints(&mut self) -> Result<(), Error> {
        let there = if self.is_limited() {
            "AND (k.confrelid = 0 OR k.confrelid = ANY ($1))"
        } else {
            ""
        };
        let sql = format!(
            "SELECT k.conrelid, k.conname::text, k.contype::text, \
               pg_catalog.pg_get_constraintdef(k.oid), \
               CASE WHEN k.contype IN ('p', 'u', 'x') THEN i.relname::text END, \
               k.convalidated, \
               (k.coninhcount > 0 AND NOT k.conislocal) OR k.conparentid <> 0 \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid \
             LEFT JOIN pg_catalog.pg_class AS i ON i.oid = k.conindid \
             WHERE k.contype IN ('p', 'u', 'f', 'c', 'x', 'n') \
               AND NOT k.conrelid = ANY ($2) AND NOT k.conindid = ANY ($2) {there}"
        );
        for row in &self.over_relations(&sql)? {
            let constraint = Constraint {
                name: get(row, 1)?,
                kind: get(row, 2)?,
                definition: get::<Option<String>>(row, 3)?.unwrap_or_default(),
                index: get(row, 4)?,
                validated: get(row, 5)?,
                inherited_only: get(row, 6)?,
            };
            if let Some(relation) = self.relation(get(row, 0)?) {
                relation.constraints.push(constraint);
            }
        }
        Ok(())
    }

    /// Present sizes. Where the server refuses, those of the last VACUUM or
    /// ANALYZE stay.
    pub(super) fn read_sizes(&mut self) -> Result<(), Error> {
        let stored = |kind: RelationKind| {
            matches!(kind, RelationKind::Table | RelationKind::MaterializedView)
        };
        let mut oids: Vec<u32> = Vec::new();
        for (oid, at) in &self.places {
            if self
                .snapshot
                .relations
                .get(*at)
                .is_some_and(|relation| stored(relation.kind))
            {
                oids.push(*oid);
            }
        }
        for (oid, (table, at)) in &self.index_places {
            if self
                .snapshot
                .relations
                .get(*table)
                .and_then(|relation| relation.indexes.get(*at))
                .is_some_and(|index| index.size.is_some())
            {
                oids.push(*oid);
            }
        }
        oids.retain(|oid| !self.locked.contains(oid));
        let measured = self.session.undone(|session| {
            session.query(
                "SELECT r.oid, pg_catalog.pg_relation_size(r.oid::regclass) \
                   / pg_catalog.current_setting('block_size')::int8 \
                 FROM unnest($1) AS r (oid)",
                &[(&oids, Type::OID_ARRAY)],
            )
        });
        let rows = match measured {
            Ok(rows) => rows,
            Err(Error::Refused(refusal)) if refusal.sqlstate != "55P03" => {
                self.limit(format!(
                    "Present sizes could not be read ({}), so those of the last VACUUM or ANALYZE \
                     are used.",
                    refusal.message
                ));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut sizes: BTreeMap<u32, u64> = BTreeMap::new();
        for row in &rows {
            // NULL for one that was dropped in the meantime.
            if let Some(blocks) = get::<Option<i64>>(row, 1)? {
                sizes.insert(get(row, 0)?, u64::try_from(blocks).unwrap_or(0));
            }
        }
        for (oid, blocks) in sizes {
            let size = if self.index_places.contains_key(&oid) {
                self.index(oid).and_then(|index| index.size.as_mut())
            } else {
                self.relation(oid)
                    .and_then(|relation| relation.size.as_mut())
            };
            if let Some(size) = size {
                size.blocks = blocks;
            }
        }
        Ok(())
    }
}
