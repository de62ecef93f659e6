//! `pg_stats`: what ANALYZE found out about columns and expressions.

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::indexes::ExpressionKeys;
use super::{Reader, get};
use crate::catalog::{ColumnStatistics, RelationKind};
use crate::pg::error::Error;

/// Values longer than this are cut: they serve to recognise and to compare.
const VALUE_LENGTH: usize = 200;

/// Of how many columns the values are read, those of the largest tables
/// first; each has up to some hundred values.
const COLUMNS_WITH_VALUES: usize = 20_000;

/// What a statistics row belongs to.
enum Owner {
    Column { table: u32, name: String },
    Key { table: u32, index: u32, key: usize },
}

impl Reader<'_> {
    pub(super) fn read_statistics(&mut self, expressions: &ExpressionKeys) -> Result<(), Error> {
        let rows = self.session.query(
            "SELECT s.schemaname::text, s.tablename::text, s.attname::text, s.inherited, \
               s.null_frac::float8, s.avg_width::float8, s.n_distinct::float8, s.correlation::float8 \
             FROM pg_catalog.pg_stats AS s \
             WHERE s.schemaname NOT IN ('pg_catalog', 'information_schema')",
            &[],
        )?;
        let tables: BTreeMap<(String, String), u32> = self
            .relations
            .iter()
            .map(|relation| {
                (
                    (relation.schema.clone(), relation.name.clone()),
                    relation.oid,
                )
            })
            .collect();
        let mut columns = 0;
        for row in &rows {
            let inherited: bool = get(row, 3)?;
            let Some(owner) = owner(row, &tables, expressions)? else {
                continue;
            };
            columns += 1;
            let stats = ColumnStatistics {
                null_fraction: get(row, 4)?,
                average_width: get(row, 5)?,
                n_distinct: get(row, 6)?,
                correlation: get(row, 7)?,
                ..ColumnStatistics::default()
            };
            if let Some(slot) = self.slot(&owner, inherited) {
                *slot = Some(stats);
            }
        }
        self.read_values(&tables, expressions, columns)
    }

    fn read_values(
        &mut self,
        tables: &BTreeMap<(String, String), u32>,
        expressions: &ExpressionKeys,
        columns: usize,
    ) -> Result<(), Error> {
        let sql = "SELECT s.schemaname::text, s.tablename::text, s.attname::text, s.inherited, \
               s.most_common_vals::text::text[], s.most_common_freqs::float8[], \
               s.histogram_bounds::text::text[], \
               s.most_common_elems::text::text[], s.most_common_elem_freqs::float8[] \
             FROM pg_catalog.pg_stats AS s ";
        let rows = if columns <= COLUMNS_WITH_VALUES {
            self.session.query(
                &format!("{sql} WHERE s.schemaname NOT IN ('pg_catalog', 'information_schema')"),
                &[],
            )?
        } else {
            let (schemas, names) = self.largest();
            self.limits.push(
                "There are very many columns, so the values of their statistics were read for the largest tables only."
                    .to_owned(),
            );
            self.session.query(
                &format!(
                    "{sql} JOIN unnest($1, $2) AS r (schema, name) \
                     ON s.schemaname = r.schema AND s.tablename = r.name"
                ),
                &[(&schemas, Type::TEXT_ARRAY), (&names, Type::TEXT_ARRAY)],
            )?
        };
        for row in &rows {
            let inherited: bool = get(row, 3)?;
            let Some(owner) = owner(row, tables, expressions)? else {
                continue;
            };
            let common = pairs(get(row, 4)?, get(row, 5)?);
            let histogram = get::<Option<Vec<Option<String>>>>(row, 6)?
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .map(cut)
                .collect();
            let elements = pairs(get(row, 7)?, get(row, 8)?);
            if let Some(Some(stats)) = self.slot(&owner, inherited) {
                stats.most_common = common;
                stats.histogram = histogram;
                stats.most_common_elements = elements;
            }
        }
        Ok(())
    }

    /// Schemas and names of the largest tables and their indexes, as many as
    /// have the columns of which values are read.
    fn largest(&self) -> (Vec<String>, Vec<String>) {
        let mut by_size: Vec<_> = self.relations.iter().collect();
        by_size.sort_by(|a, b| b.pages.total_cmp(&a.pages));
        let mut left = COLUMNS_WITH_VALUES;
        let (mut schemas, mut names) = (Vec::new(), Vec::new());
        for relation in by_size {
            let Some(rest) = left.checked_sub(relation.columns.len()) else {
                break;
            };
            left = rest;
            for name in
                std::iter::once(&relation.name).chain(relation.indexes.iter().map(|i| &i.name))
            {
                schemas.push(relation.schema.clone());
                names.push(name.clone());
            }
        }
        (schemas, names)
    }

    /// Where the statistics belong. A partitioned table has them with its
    /// partitions only; of another parent, those of the table alone are kept.
    fn slot(&mut self, owner: &Owner, inherited: bool) -> Option<&mut Option<ColumnStatistics>> {
        match owner {
            Owner::Column { table, name } => {
                let relation = self.relation(*table)?;
                if inherited != (relation.kind == RelationKind::PartitionedTable) {
                    return None;
                }
                relation
                    .columns
                    .iter_mut()
                    .find(|column| column.name == *name)
                    .map(|column| &mut column.stats)
            }
            Owner::Key { table, index, key } => self
                .relation(*table)?
                .indexes
                .iter_mut()
                .find(|candidate| candidate.oid == *index)?
                .keys
                .get_mut(*key)
                .map(|key| &mut key.stats),
        }
    }
}

fn owner(
    row: &Row,
    tables: &BTreeMap<(String, String), u32>,
    expressions: &ExpressionKeys,
) -> Result<Option<Owner>, Error> {
    let (schema, table, column): (String, String, String) =
        (get(row, 0)?, get(row, 1)?, get(row, 2)?);
    let name = (schema, table);
    if let Some(&table) = tables.get(&name) {
        return Ok(Some(Owner::Column {
            table,
            name: column,
        }));
    }
    let (schema, table) = name;
    Ok(expressions
        .get(&(schema, table, column))
        .map(|&(table, index, key)| Owner::Key { table, index, key }))
}

/// Values with their frequencies. Of elements there are more frequencies (the
/// smallest, the largest, that of NULL) than values.
fn pairs(values: Option<Vec<Option<String>>>, frequencies: Option<Vec<f64>>) -> Vec<(String, f64)> {
    values
        .unwrap_or_default()
        .into_iter()
        .zip(frequencies.unwrap_or_default())
        .filter_map(|(value, frequency)| Some((cut(value?), frequency)))
        .collect()
}

fn cut(mut value: String) -> String {
    if let Some((at, _)) = value.char_indices().nth(VALUE_LENGTH) {
        value.truncate(at);
    }
    value
}
