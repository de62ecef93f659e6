//! Tables, views, their columns and sizes.

use super::{Reader, get, some_of};
use crate::catalog::{Activity, Column, Relation, RelationKind};
use crate::pg::error::Error;

/// Schemas that are nobody's own.
const OWN_SCHEMA: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema') \
     AND n.nspname NOT LIKE 'pg\\_toast%' \
     AND (n.nspname NOT LIKE 'pg\\_temp\\_%' OR n.oid = pg_catalog.pg_my_temp_schema())";

impl Reader<'_> {
    pub(super) fn read_relations(&mut self) -> Result<(), Error> {
        let sql = format!(
            "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, \
               c.relpages::float8, c.reltuples::float8, c.relallvisible::float8, c.relrowsecurity, \
               p.parent_schema, p.parent_name, \
               CASE WHEN c.relkind = 'p' AND NOT c.oid = ANY ($1) \
                 THEN pg_catalog.pg_get_partkeydef(c.oid) END, \
               CASE WHEN c.relispartition AND NOT c.oid = ANY ($1) \
                 THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END, \
               CASE WHEN c.relkind IN ('r', 'm', 'p') THEN true ELSE false END, \
               pg_catalog.pg_stat_get_live_tuples(c.oid)::float8, \
               pg_catalog.pg_stat_get_dead_tuples(c.oid)::float8, \
               pg_catalog.pg_stat_get_mod_since_analyze(c.oid)::float8, \
               extract(epoch FROM now() - greatest( \
                 pg_catalog.pg_stat_get_last_analyze_time(c.oid), \
                 pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)))::float8, \
               pg_catalog.pg_stat_get_tuples_inserted(c.oid)::float8, \
               pg_catalog.pg_stat_get_tuples_updated(c.oid)::float8, \
               pg_catalog.pg_stat_get_tuples_deleted(c.oid)::float8, \
               pg_catalog.pg_stat_get_tuples_hot_updated(c.oid)::float8, \
               pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
                 AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), \
               c.relrowsecurity AND pg_catalog.row_security_active(c.oid) \
             FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             LEFT JOIN (SELECT DISTINCT ON (i.inhrelid) i.inhrelid, \
                 pn.nspname::text AS parent_schema, pc.relname::text AS parent_name \
               FROM pg_catalog.pg_inherits AS i \
               JOIN pg_catalog.pg_class AS pc ON pc.oid = i.inhparent AND pc.relkind IN ('r', 'p', 'f') \
               JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace \
               ORDER BY i.inhrelid, i.inhseqno) AS p ON p.inhrelid = c.oid \
             WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {OWN_SCHEMA}"
        );
        let locked = self.locked.clone();
        let rows = self
            .session
            .query(&sql, &[(&locked, tokio_postgres::types::Type::OID_ARRAY)])?;
        let mut unreadable = Vec::new();
        let mut row_secured = Vec::new();
        for row in &rows {
            let kind: String = get(row, 3)?;
            let parent: (Option<String>, Option<String>) = (get(row, 8)?, get(row, 9)?);
            let tuples: f64 = get(row, 5)?;
            let relation = Relation {
                oid: get(row, 0)?,
                schema: get(row, 1)?,
                name: get(row, 2)?,
                kind: match kind.as_str() {
                    "p" => RelationKind::PartitionedTable,
                    "v" => RelationKind::View,
                    "m" => RelationKind::MaterializedView,
                    "f" => RelationKind::ForeignTable,
                    _ => RelationKind::Table,
                },
                columns: Vec::new(),
                indexes: Vec::new(),
                constraints: Vec::new(),
                statistics: Vec::new(),
                partition_key: get(row, 10)?,
                parent: parent.0.zip(parent.1),
                partition_bound: get(row, 11)?,
                // Replaced by the size on disk where that can be asked.
                pages: get(row, 4)?,
                tuples: self.known_tuples(tuples, get(row, 4)?),
                all_visible_pages: get(row, 6)?,
                row_security: get(row, 7)?,
                activity: get::<bool>(row, 12)?
                    .then(|| -> Result<Activity, Error> {
                        Ok(Activity {
                            live_rows: get(row, 13)?,
                            dead_rows: get(row, 14)?,
                            modified_since_analyze: get(row, 15)?,
                            seconds_since_analyze: get::<Option<f64>>(row, 16)?
                                .map(|seconds| seconds.max(0.0)),
                            inserted: get(row, 17)?,
                            updated: get(row, 18)?,
                            deleted: get(row, 19)?,
                            hot_updated: get(row, 20)?,
                        })
                    })
                    .transpose()?,
            };
            if relation.kind != RelationKind::View {
                if !get::<bool>(row, 21)? {
                    unreadable.push(relation.qualified());
                } else if get::<bool>(row, 22)? {
                    row_secured.push(relation.qualified());
                }
            }
            self.places.insert(relation.oid, self.relations.len());
            self.relations.push(relation);
        }
        unreadable.sort();
        row_secured.sort();
        if !unreadable.is_empty() {
            self.limits.push(format!(
                "The role may not read {}, so {} statistics are not known.",
                some_of(&unreadable),
                if unreadable.len() == 1 {
                    "its"
                } else {
                    "their"
                }
            ));
        }
        if !row_secured.is_empty() {
            self.limits.push(format!(
                "Row-level security applies to the role on {}, so PostgreSQL hides {} statistics.",
                some_of(&row_secured),
                if row_secured.len() == 1 {
                    "its"
                } else {
                    "their"
                }
            ));
        }
        Ok(())
    }

    /// `reltuples`, where it was ever set: before version 14 a table that was
    /// never analysed has 0 rows on 0 pages, as an empty one has.
    fn known_tuples(&self, tuples: f64, pages: f64) -> Option<f64> {
        if tuples < 0.0 || (!self.at_least(14) && tuples == 0.0 && pages == 0.0) {
            None
        } else {
            Some(tuples)
        }
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
        let builtin = if self.at_least(17) { "'b'" } else { "NULL" };
        let database_is_c = if self.at_least(15) {
            format!(
                "d.datlocprovider = {builtin} \
                 OR (d.datlocprovider = 'c' AND d.datcollate IN ('C', 'POSIX'))"
            )
        } else {
            "d.datcollate IN ('C', 'POSIX')".to_owned()
        };
        let sql = format!(
            "WITH RECURSIVE domain (oid, base) AS ( \
               SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd' \
               UNION ALL \
               SELECT o.oid, t.typbasetype FROM domain AS o \
               JOIN pg_catalog.pg_type AS t ON t.oid = o.base AND t.typtype = 'd'), \
             base AS (SELECT o.oid, t.typname::text AS name FROM domain AS o \
               JOIN pg_catalog.pg_type AS t ON t.oid = o.base AND t.typtype <> 'd') \
             SELECT a.attrelid, a.attnum, a.attname::text, \
               pg_catalog.format_type(a.atttypid, a.atttypmod), \
               coalesce(b.name, t.typname::text), \
               a.attnotnull {validated}, \
               CASE WHEN a.atthasdef AND NOT a.attrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END, \
               a.attgenerated <> '', \
               l.collname::text, \
               coalesce(CASE WHEN l.oid IS NULL THEN false \
                 WHEN l.collprovider = 'd' THEN \
                   (SELECT {database_is_c} FROM pg_catalog.pg_database AS d \
                    WHERE d.datname = pg_catalog.current_database()) \
                 WHEN l.collprovider = {builtin} THEN true \
                 WHEN l.collprovider = 'c' THEN l.collcollate IN ('C', 'POSIX') \
                 ELSE false END, false), \
               nullif(a.attstattarget, -1)::int4 \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid \
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             LEFT JOIN base AS b ON b.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum \
             LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation \
             WHERE a.attnum > 0 AND NOT a.attisdropped"
        );
        for row in &self.over_relations(&sql)? {
            let column = Column {
                number: get(row, 1)?,
                name: get(row, 2)?,
                type_name: get(row, 3)?,
                base_type: get(row, 4)?,
                not_null: get(row, 5)?,
                default: get(row, 6)?,
                generated: get(row, 7)?,
                collation: get(row, 8)?,
                collation_is_c: get(row, 9)?,
                statistics_target: get(row, 10)?,
                stats: None,
            };
            if let Some(relation) = self.relation(get(row, 0)?) {
                relation.columns.push(column);
            }
        }
        Ok(())
    }

    /// Present sizes. Where the server refuses, those of the last VACUUM or
    /// ANALYZE stay.
    pub(super) fn read_sizes(&mut self) -> Result<(), Error> {
        let oids: Vec<u32> = self
            .relations
            .iter()
            .filter(|relation| {
                matches!(
                    relation.kind,
                    RelationKind::Table | RelationKind::MaterializedView
                )
            })
            .flat_map(|relation| {
                std::iter::once(relation.oid).chain(relation.indexes.iter().map(|index| index.oid))
            })
            .filter(|oid| !self.locked.contains(oid))
            .collect();
        let measured = self.session.undone(|session| {
            session.query(
                "SELECT r.oid, (pg_catalog.pg_relation_size(r.oid::regclass) \
                   / pg_catalog.current_setting('block_size')::int8)::float8 \
                 FROM unnest($1) AS r (oid)",
                &[(&oids, tokio_postgres::types::Type::OID_ARRAY)],
            )
        });
        let rows = match measured {
            Ok(rows) => rows,
            Err(Error::Refused(refusal)) => {
                self.limits.push(format!(
                    "Present sizes could not be read ({}), so those of the last VACUUM or ANALYZE are used.",
                    refusal.message
                ));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut sizes = std::collections::BTreeMap::new();
        for row in &rows {
            // NULL for one that was dropped in the meantime.
            if let Some(pages) = get::<Option<f64>>(row, 1)? {
                sizes.insert(get::<u32>(row, 0)?, pages);
            }
        }
        for relation in &mut self.relations {
            if let Some(pages) = sizes.get(&relation.oid) {
                relation.pages = *pages;
            }
            for index in &mut relation.indexes {
                if let Some(pages) = sizes.get(&index.oid) {
                    index.pages = *pages;
                }
            }
        }
        Ok(())
    }
}
