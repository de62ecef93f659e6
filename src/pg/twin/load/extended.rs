//! `pg_statistic_ext_data`: the bytes as ANALYZE wrote them, once they have
//! been found to be what they claim.

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::bytes;
use super::resolve::Names;
use super::statistics::Ready;
use super::{Loader, refusal};
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::snapshot::{ExtendedData, Statistics};

/// A statistics object of the twin.
struct Object {
    /// What it is called in messages.
    label: String,
    oid: u32,
    /// Its dimensions in the order of its data: columns by number, then
    /// expressions.
    dimensions: Vec<bytes::Dimension>,
    columns: Vec<i16>,
}

impl Loader<'_> {
    pub(super) fn write_extended(&mut self, names: &Names) -> Result<(), TwinError> {
        let snapshot = self.snapshot;
        for relation in &snapshot.relations {
            for statistics in &relation.extended_statistics {
                if statistics.data.is_empty() {
                    continue;
                }
                let key = (statistics.schema.clone(), statistics.name.clone());
                let Some(&oid) = names.statistics.get(&key) else {
                    continue;
                };
                let label = format!(
                    "data of statistics {}.{}",
                    quote(&statistics.schema),
                    quote(&statistics.name)
                );
                let object = self.object(label, oid)?;
                for data in &statistics.data {
                    // Before version 15 there is one row for both.
                    if data.inherited && self.major < 15 && statistics.data.len() > 1 {
                        continue;
                    }
                    self.write_data(names, &object, data)?;
                }
            }
        }
        Ok(())
    }

    fn object(&mut self, label: String, oid: u32) -> Result<Object, TwinError> {
        let rows = self.cluster.admin()?.query(
            "SELECT k.attnum, t.oid, t.typlen, t.typbyval, t.typtype::text \
             FROM pg_catalog.pg_statistic_ext AS s \
             CROSS JOIN LATERAL pg_catalog.unnest(s.stxkeys::int2[]) AS k (attnum) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = s.stxrelid AND a.attnum = k.attnum \
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             WHERE s.oid = $1 ORDER BY k.attnum",
            &[(&oid, Type::OID)],
        )?;
        let mut object = Object {
            label,
            oid,
            dimensions: Vec::new(),
            columns: Vec::new(),
        };
        for row in &rows {
            object.columns.push(get(row, 0)?);
            object.dimensions.push(bytes::Dimension {
                type_oid: get(row, 1)?,
                length: get(row, 2)?,
                by_value: get(row, 3)?,
            });
        }
        Ok(object)
    }

    fn write_data(
        &mut self,
        names: &Names,
        object: &Object,
        data: &ExtendedData,
    ) -> Result<(), TwinError> {
        let mut checked = |what: &str,
                           text: &Option<String>,
                           check: &dyn Fn(&[u8]) -> Option<Vec<u8>>|
         -> Option<Vec<u8>> {
            let text = text.as_deref()?;
            let found = bytes::from_hex(text).and_then(|raw| check(&raw));
            if found.is_none() {
                self.refuse(
                    object.label.clone(),
                    format!("the {what} cannot be used here: the bytes do not fit the columns"),
                );
            }
            found
        };
        let expressions = data.expressions.len();
        let n_distinct = checked("n_distinct", &data.n_distinct, &|raw| {
            bytes::n_distinct(raw, &object.columns, expressions)
        });
        let dependencies = checked("dependencies", &data.dependencies, &|raw| {
            bytes::dependencies(raw, &object.columns, expressions)
        });
        // Expressions have no type in the catalogue; only their place counts.
        let mcv = checked("most common values", &data.most_common_values, &|raw| {
            bytes::most_common(raw, &object.dimensions, expressions, names)
        });
        self.cluster.admin()?.query(
            "SELECT pgadvise_twin.set_extended($1, $2, $3, $4, $5)",
            &[
                (&object.oid, Type::OID),
                (&data.inherited, Type::BOOL),
                (&n_distinct, Type::BYTEA),
                (&dependencies, Type::BYTEA),
                (&mcv, Type::BYTEA),
            ],
        )?;
        if expressions > 0 && self.major >= 14 {
            self.write_expressions(names, object, data)?;
        }
        Ok(())
    }

    /// `stxdexpr`: a row of `pg_statistic` for each expression.
    fn write_expressions(
        &mut self,
        names: &Names,
        object: &Object,
        data: &ExtendedData,
    ) -> Result<(), TwinError> {
        let mut rows = Vec::new();
        let mut texts: Vec<Option<String>> = Vec::new();
        for statistics in &data.expressions {
            rows.push(self.expression_row(names, object, statistics, &mut texts));
        }
        let inherited = if self.major >= 15 {
            if data.inherited {
                " AND stxdinherit"
            } else {
                " AND NOT stxdinherit"
            }
        } else {
            ""
        };
        let sql = format!(
            "UPDATE pg_catalog.pg_statistic_ext_data SET stxdexpr = ARRAY[{}] \
             WHERE stxoid = $1{inherited} AND pg_catalog.cardinality($2::text[]) >= 0",
            rows.join(", ")
        );
        let outcome = self.cluster.admin()?.query(
            &sql,
            &[(&object.oid, Type::OID), (&texts, Type::TEXT_ARRAY)],
        );
        if let Err(message) = refusal(outcome)? {
            self.refuse(object.label.clone(), message);
        }
        Ok(())
    }

    /// A row as SQL; its texts are elements of the second parameter.
    fn expression_row(
        &mut self,
        names: &Names,
        object: &Object,
        statistics: &Statistics,
        texts: &mut Vec<Option<String>>,
    ) -> String {
        let mut text = |value: Option<String>| {
            texts.push(value);
            format!("$2[{}]", texts.len())
        };
        // The type of an expression is known by its values only; they are used
        // where reading them runs no code of the snapshot's.
        let elements: Vec<u32> = statistics
            .slots
            .iter()
            .filter_map(|slot| slot.values.as_ref())
            .filter_map(|values| names.types.get(super::names::bare(&values.element)))
            .copied()
            .collect();
        let slots = self.ready_slots(names, &object.label, &elements, 0, statistics);
        let mut fields = vec![
            "0".to_owned(),
            "0".to_owned(),
            "false".to_owned(),
            format!(
                "{}::float4",
                text(Some(statistics.null_fraction.to_string()))
            ),
            statistics.width.to_string(),
            format!("{}::float4", text(Some(statistics.distinct.to_string()))),
        ];
        let usable = |slot: &Ready| slot.apart.is_none();
        let each = |field: &dyn Fn(&Ready) -> String| -> Vec<String> {
            slots
                .iter()
                .map(|slot| {
                    if usable(slot) {
                        field(slot)
                    } else {
                        field(&Ready::default())
                    }
                })
                .collect()
        };
        fields.extend(each(&|slot| slot.kind.to_string()));
        fields.extend(each(&|slot| slot.operator.to_string()));
        fields.extend(each(&|slot| slot.collation.to_string()));
        for slot in &slots {
            let numbers = slot.numbers.clone().filter(|_| usable(slot));
            fields.push(format!("{}::float4[]", text(numbers)));
        }
        for slot in &slots {
            let (oid, values) = slot
                .values
                .clone()
                .map_or((0, None), |(oid, values)| (oid, Some(values)));
            fields.push(format!(
                "pg_catalog.array_in(pg_catalog.textout({}), {oid}::oid, -1)",
                text(values)
            ));
        }
        format!("ROW({})::pg_catalog.pg_statistic", fields.join(", "))
    }
}
