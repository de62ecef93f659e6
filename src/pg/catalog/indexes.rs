//! Indexes, constraints and extended statistics objects.

use std::collections::BTreeMap;

use super::{Reader, get};
use crate::catalog::{Constraint, ConstraintKind, Index, IndexKey, StatisticsObject};
use crate::pg::error::Error;

/// Where the statistics of an expression key belong: by the index's schema,
/// name and column name, as `pg_stats` has them, the table's `oid`, the
/// index's, and the key's place.
pub(super) type ExpressionKeys = BTreeMap<(String, String, String), (u32, u32, usize)>;

impl Reader<'_> {
    /// Reads the indexes; tells where statistics of expressions belong.
    pub(super) fn read_indexes(&mut self) -> Result<ExpressionKeys, Error> {
        let nulls_not_distinct = if self.at_least(15) {
            "i.indnullsnotdistinct"
        } else {
            "false"
        };
        let sql = format!(
            "SELECT i.indrelid, i.indexrelid, c.relname::text, m.amname::text, i.indisunique, \
               i.indisprimary, i.indisvalid AND i.indisready, i.indimmediate, {nulls_not_distinct}, \
               CASE WHEN NOT i.indrelid = ANY ($2) AND NOT i.indexrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_expr(i.indpred, i.indrelid) END, \
               CASE WHEN NOT i.indrelid = ANY ($2) AND NOT i.indexrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_indexdef(i.indexrelid) END, \
               c.relpages::float8, c.reltuples::float8, \
               CASE WHEN c.relkind = 'i' THEN pg_catalog.pg_stat_get_numscans(c.oid)::float8 END, \
               i.indpred IS NOT NULL \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_am AS m ON m.oid = c.relam \
             WHERE i.indislive"
        );
        // Where an index is in its table, by `oid`.
        let mut places: BTreeMap<u32, (u32, usize)> = BTreeMap::new();
        for row in &self.over_relations(&sql)? {
            let (table, oid): (u32, u32) = (get(row, 0)?, get(row, 1)?);
            let tuples: f64 = get(row, 12)?;
            let pages: f64 = get(row, 11)?;
            let predicate: Option<String> = get(row, 9)?;
            let definition: Option<String> = get(row, 10)?;
            let unknown_predicate = predicate.is_none() && get::<bool>(row, 14)?;
            let index = Index {
                oid,
                name: get(row, 2)?,
                method: get(row, 3)?,
                keys: Vec::new(),
                include: Vec::new(),
                unique: get(row, 4)?,
                primary: get(row, 5)?,
                valid: get(row, 6)?,
                immediate: get(row, 7)?,
                nulls_not_distinct: get(row, 8)?,
                // A predicate that could not be read must not be taken for
                // none: the index would look total.
                predicate: if unknown_predicate {
                    Some("(not known)".to_owned())
                } else {
                    predicate
                },
                definition: definition.unwrap_or_default(),
                pages,
                tuples: (tuples >= 0.0).then_some(tuples),
                scans: get(row, 13)?,
            };
            if let Some(relation) = self.relation(table) {
                places.insert(oid, (table, relation.indexes.len()));
                relation.indexes.push(index);
            }
        }
        self.read_keys(&places)
    }

    fn read_keys(&mut self, places: &BTreeMap<u32, (u32, usize)>) -> Result<ExpressionKeys, Error> {
        // indkey has the INCLUDE columns too; the other vectors end before
        // them. All three count from 0.
        let sql = "SELECT i.indexrelid, k.n::int4, i.indkey[k.n]::int2, i.indnkeyatts > k.n, \
               n.nspname::text, c.relname::text, ia.attname::text, ta.attname::text, \
               CASE WHEN i.indkey[k.n] = 0 AND NOT i.indrelid = ANY ($2) AND NOT i.indexrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_indexdef(i.indexrelid, k.n + 1, false) END, \
               o.opcname::text, \
               o.opcdefault OR (o.opcname = 'varchar_ops' AND o.opcintype = 'text'::regtype), \
               CASE WHEN i.indkey[k.n] <> 0 AND l.oid IS DISTINCT FROM ta.attcollation \
                   THEN l.collname::text \
                 WHEN i.indkey[k.n] = 0 AND l.collname <> 'default' AND NOT EXISTS ( \
                   SELECT FROM pg_catalog.pg_attribute AS x WHERE x.attrelid = i.indrelid \
                   AND x.attnum > 0 AND x.attcollation = l.oid) \
                   THEN l.collname::text END, \
               coalesce(i.indoption[k.n], 0)::int2 \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid AND i.indislive \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             CROSS JOIN LATERAL generate_series(0, i.indnatts - 1) AS k (n) \
             LEFT JOIN pg_catalog.pg_attribute AS ia \
               ON ia.attrelid = i.indexrelid AND ia.attnum = k.n + 1 \
             LEFT JOIN pg_catalog.pg_attribute AS ta \
               ON ta.attrelid = i.indrelid AND ta.attnum = i.indkey[k.n] AND i.indkey[k.n] <> 0 \
             LEFT JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[k.n] AND k.n < i.indnkeyatts \
             LEFT JOIN pg_catalog.pg_collation AS l \
               ON l.oid = i.indcollation[k.n] AND k.n < i.indnkeyatts \
             ORDER BY i.indexrelid, k.n";
        let mut expressions = ExpressionKeys::new();
        for row in &self.over_relations(sql)? {
            let oid: u32 = get(row, 0)?;
            let Some(&(table, at)) = places.get(&oid) else {
                continue;
            };
            let column: Option<String> = get(row, 7)?;
            let is_key: bool = get(row, 3)?;
            let name = (get(row, 4)?, get(row, 5)?, get(row, 6)?);
            let expression: Option<String> = get(row, 8)?;
            let option: i16 = get(row, 12)?;
            let key = IndexKey {
                text: match &column {
                    Some(column) => column.clone(),
                    None => expression.unwrap_or_default(),
                },
                column,
                opclass: get::<Option<String>>(row, 9)?.unwrap_or_default(),
                default_opclass: get::<Option<bool>>(row, 10)?.unwrap_or(true),
                collation: get(row, 11)?,
                // INDOPTION_DESC and INDOPTION_NULLS_FIRST.
                descending: option & 1 != 0,
                nulls_first: option & 2 != 0,
                stats: None,
            };
            let Some(index) = self
                .relation(table)
                .and_then(|relation| relation.indexes.get_mut(at))
            else {
                continue;
            };
            if is_key {
                if key.column.is_none() {
                    expressions.insert(name, (table, oid, index.keys.len()));
                }
                index.keys.push(key);
            } else {
                index.include.extend(key.column);
            }
        }
        Ok(expressions)
    }

    pub(super) fn read_constraints(&mut self) -> Result<(), Error> {
        let enforced = if self.at_least(18) {
            "AND k.conenforced"
        } else {
            ""
        };
        let sql = format!(
            "SELECT k.conrelid, k.conname::text, k.contype::text, k.conkey, \
               k.convalidated {enforced}, k.condeferrable, \
               fn.nspname::text, fc.relname::text, \
               (SELECT array_agg(fa.attname::text ORDER BY f.n) \
                FROM unnest(k.confkey) WITH ORDINALITY AS f (attnum, n) \
                JOIN pg_catalog.pg_attribute AS fa \
                  ON fa.attrelid = k.confrelid AND fa.attnum = f.attnum), \
               CASE WHEN k.contype = 'c' AND NOT k.conrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_expr(k.conbin, k.conrelid) END \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid \
             LEFT JOIN pg_catalog.pg_class AS fc ON fc.oid = k.confrelid \
             LEFT JOIN pg_catalog.pg_namespace AS fn ON fn.oid = fc.relnamespace \
             WHERE k.contype IN ('p', 'u', 'f', 'c', 'x', 'n')"
        );
        for row in &self.over_relations(&sql)? {
            let kind: String = get(row, 2)?;
            let numbers: Option<Vec<i16>> = get(row, 3)?;
            let referenced: (Option<String>, Option<String>, Option<Vec<String>>) =
                (get(row, 6)?, get(row, 7)?, get(row, 8)?);
            let kind = match (kind.as_str(), referenced) {
                ("p", _) => ConstraintKind::PrimaryKey,
                ("u", _) => ConstraintKind::Unique,
                ("f", (Some(schema), Some(table), columns)) => ConstraintKind::ForeignKey {
                    schema,
                    table,
                    columns: columns.unwrap_or_default(),
                },
                ("c", _) => match get::<Option<String>>(row, 9)? {
                    Some(expression) => ConstraintKind::Check { expression },
                    None => continue,
                },
                ("x", _) => ConstraintKind::Exclusion,
                ("n", _) => ConstraintKind::NotNull,
                _ => continue,
            };
            let (name, validated, deferrable) = (get(row, 1)?, get(row, 4)?, get(row, 5)?);
            if let Some(relation) = self.relation(get(row, 0)?) {
                let columns = numbers
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|number| {
                        relation
                            .columns
                            .iter()
                            .find(|column| column.number == *number)
                            .map(|column| column.name.clone())
                    })
                    .collect();
                relation.constraints.push(Constraint {
                    name,
                    kind,
                    columns,
                    validated,
                    deferrable,
                });
            }
        }
        Ok(())
    }

    pub(super) fn read_statistics_objects(&mut self) -> Result<(), Error> {
        let (expressions, expressions_computed) = if self.at_least(14) {
            (
                "CASE WHEN NOT s.stxrelid = ANY ($2) \
                   THEN pg_catalog.pg_get_statisticsobjdef_expressions(s.oid) END",
                "OR EXISTS (SELECT FROM pg_catalog.pg_stats_ext_exprs AS e \
                   WHERE e.statistics_schemaname = n.nspname AND e.statistics_name = s.stxname \
                   AND e.null_frac IS NOT NULL)",
            )
        } else {
            ("NULL::text[]", "")
        };
        let sql = format!(
            "SELECT s.stxrelid, s.stxname::text, s.stxkind::text[], s.stxkeys::int2[], {expressions}, \
               coalesce(v.n_distinct IS NOT NULL OR v.dependencies IS NOT NULL \
                 OR v.most_common_vals IS NOT NULL, false) {expressions_computed}, \
               v.n_distinct::text \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_statistic_ext AS s ON s.stxrelid = r.oid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace \
             LEFT JOIN (SELECT DISTINCT ON (x.statistics_schemaname, x.statistics_name) \
                 x.statistics_schemaname, x.statistics_name, x.n_distinct, x.dependencies, \
                 x.most_common_vals \
               FROM pg_catalog.pg_stats_ext AS x \
               ORDER BY x.statistics_schemaname, x.statistics_name, \
                 (x.n_distinct IS NULL), (x.dependencies IS NULL)) AS v \
               ON v.statistics_schemaname = n.nspname AND v.statistics_name = s.stxname"
        );
        for row in &self.over_relations(&sql)? {
            let kinds: Vec<String> = get(row, 2)?;
            let numbers: Vec<i16> = get(row, 3)?;
            let mut object = StatisticsObject {
                name: get(row, 1)?,
                kinds: kinds
                    .iter()
                    .filter_map(|kind| match kind.as_str() {
                        "d" => Some("ndistinct"),
                        "f" => Some("dependencies"),
                        "m" => Some("mcv"),
                        "e" => Some("expressions"),
                        _ => None,
                    })
                    .map(str::to_owned)
                    .collect(),
                columns: Vec::new(),
                expressions: get::<Option<Vec<String>>>(row, 4)?.unwrap_or_default(),
                computed: get(row, 5)?,
                n_distinct: get(row, 6)?,
            };
            if let Some(relation) = self.relation(get(row, 0)?) {
                object.columns = numbers
                    .iter()
                    .filter_map(|number| {
                        relation
                            .columns
                            .iter()
                            .find(|column| column.number == *number)
                            .map(|column| column.name.clone())
                    })
                    .collect();
                relation.statistics.push(object);
            }
        }
        Ok(())
    }
}
