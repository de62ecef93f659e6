//! `pg_statistic_ext_data`: the bytes as ANALYZE wrote them, once they have
//! been found to be what they claim.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::bytes;
use super::resolve::Names;
use super::statistics::Ready;
use super::{Loader, all, refusal};
use crate::catalog::ident::quote;
use crate::pg::catalog::get;
use crate::snapshot::{ExtendedData, Statistics};

/// The types whose bytes are checked here. Casts with which bytes are read as
/// theirs exist for a moment only: whoever could give the server other bytes
/// could crash it.
const TYPES: [&str; 3] = ["pg_ndistinct", "pg_dependencies", "pg_mcv_list"];

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

impl Object {
    /// Types of its expressions.
    fn expressions(&self) -> impl Iterator<Item = u32> {
        self.dimensions
            .iter()
            .skip(self.columns.len())
            .map(|dimension| dimension.type_oid)
    }
}

impl Loader<'_> {
    pub(super) fn write_extended(&mut self, names: &Names) -> Result<(), TwinError> {
        let snapshot = self.snapshot;
        let mut found: Vec<(Object, &[ExtendedData])> = Vec::new();
        for relation in &snapshot.relations {
            for statistics in &relation.extended_statistics {
                let key = (statistics.schema.clone(), statistics.name.clone());
                let Some(&oid) = names.statistics.get(&key) else {
                    continue;
                };
                if statistics.data.is_empty() {
                    continue;
                }
                let label = format!(
                    "data of statistics {}.{}",
                    quote(&statistics.schema),
                    quote(&statistics.name)
                );
                found.push((self.object(names, label, oid)?, &statistics.data));
            }
        }
        if found.is_empty() {
            return Ok(());
        }
        let make =
            TYPES.map(|name| format!("CREATE CAST (bytea AS pg_catalog.{name}) WITHOUT FUNCTION"));
        all(self.cluster.admin()?, &make.each_ref().map(String::as_str))?;
        for (object, rows) in &found {
            for data in *rows {
                // Before version 15 there is one row for both.
                if data.inherited && self.major < 15 && rows.len() > 1 {
                    continue;
                }
                self.write_data(names, object, data)?;
            }
        }
        let undo = TYPES.map(|name| format!("DROP CAST (bytea AS pg_catalog.{name})"));
        all(self.cluster.admin()?, &undo.each_ref().map(String::as_str))
    }

    fn object(&mut self, names: &Names, label: String, oid: u32) -> Result<Object, TwinError> {
        let admin = self.cluster.admin()?;
        let rows = admin.query(
            "SELECT k.attnum, a.atttypid FROM pg_catalog.pg_statistic_ext AS s \
             CROSS JOIN LATERAL pg_catalog.unnest(s.stxkeys::int2[]) AS k (attnum) \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = s.stxrelid AND a.attnum = k.attnum \
             WHERE s.oid = $1 ORDER BY k.attnum",
            &[(&oid, Type::OID)],
        )?;
        let (mut columns, mut types): (Vec<i16>, Vec<u32>) = (Vec::new(), Vec::new());
        for row in &rows {
            columns.push(get(row, 0)?);
            types.push(get(row, 1)?);
        }
        if self.major >= 14 {
            types.extend(self.expression_types(oid)?);
        }
        let mut object = Object {
            label,
            oid,
            dimensions: Vec::new(),
            columns,
        };
        let rows = self.cluster.admin()?.query(
            "SELECT u.oid, coalesce(t.typlen, 0::int2), coalesce(t.typbyval, false) \
             FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (oid, n) \
             LEFT JOIN pg_catalog.pg_type AS t ON t.oid = u.oid ORDER BY u.n",
            &[(&types, Type::OID_ARRAY)],
        )?;
        for row in &rows {
            let type_oid: u32 = get(row, 0)?;
            object.dimensions.push(bytes::Dimension {
                type_oid,
                length: get(row, 1)?,
                by_value: get(row, 2)?,
                labels: self.enum_values(names, type_oid)?,
            });
        }
        Ok(object)
    }

    /// The types of an object's expressions, which no catalogue has: the
    /// session without rights is asked, and evaluates none of them.
    fn expression_types(&mut self, oid: u32) -> Result<Vec<u32>, TwinError> {
        let rows = self.cluster.admin()?.query(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), \
               pg_catalog.pg_get_statisticsobjdef_expressions(s.oid) \
             FROM pg_catalog.pg_statistic_ext AS s \
             JOIN pg_catalog.pg_class AS c ON c.oid = s.stxrelid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE s.oid = $1 AND s.stxexprs IS NOT NULL",
            &[(&oid, Type::OID)],
        )?;
        let Some(row) = rows.first() else {
            return Ok(Vec::new());
        };
        let table: String = get(row, 0)?;
        let expressions: Option<Vec<String>> = get(row, 1)?;
        let mut types = Vec::new();
        for expression in expressions.unwrap_or_default() {
            let asked = self.cluster.session()?.query(
                &format!(
                    "SELECT pg_catalog.pg_typeof(CASE WHEN false THEN ({expression}) END)\
                     ::pg_catalog.oid FROM (VALUES (1)) AS one (one) LEFT JOIN {table} ON false"
                ),
                &[],
            );
            types.push(match refusal(asked)? {
                Ok(rows) => rows.first().map_or(Ok(0), |row| get(row, 0))?,
                Err(_) => 0,
            });
        }
        Ok(types)
    }

    /// The values of an enum, or of a domain over one, by their labels.
    fn enum_values(
        &mut self,
        names: &Names,
        type_oid: u32,
    ) -> Result<BTreeMap<String, u32>, TwinError> {
        let base = names.base(type_oid);
        if names
            .type_facts
            .get(&base)
            .is_none_or(|facts| facts.kind != 'e')
        {
            return Ok(BTreeMap::new());
        }
        let rows = self.cluster.admin()?.query(
            "SELECT e.enumlabel::text, e.oid FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = $1",
            &[(&base, Type::OID)],
        )?;
        let mut labels = BTreeMap::new();
        for row in &rows {
            labels.insert(get(row, 0)?, get(row, 1)?);
        }
        Ok(labels)
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
        let expressions = object.expressions().count();
        let n_distinct = checked("n_distinct", &data.n_distinct, &|raw| {
            bytes::n_distinct(raw, &object.columns, expressions)
        });
        let dependencies = checked("dependencies", &data.dependencies, &|raw| {
            bytes::dependencies(raw, &object.columns, expressions)
        });
        let mcv = checked("most common values", &data.most_common_values, &|raw| {
            bytes::most_common(raw, &object.dimensions, &data.enum_labels, names)
        });
        let (target, holder, inherited) = if self.major >= 15 {
            ("stxoid, stxdinherit", "$1, $2", " AND stxdinherit = $2")
        } else {
            ("stxoid", "$1", "")
        };
        // Before version 15 there is a row since the object was made.
        let admin = self.cluster.admin()?;
        admin.query(
            &format!(
                "DELETE FROM pg_catalog.pg_statistic_ext_data \
                 WHERE stxoid = $1 AND $2 IS NOT NULL{inherited}"
            ),
            &[(&object.oid, Type::OID), (&data.inherited, Type::BOOL)],
        )?;
        admin.query(
            &format!(
                "INSERT INTO pg_catalog.pg_statistic_ext_data ({target}, stxdndistinct, \
                   stxddependencies, stxdmcv) \
                 SELECT {holder}, $3::bytea::pg_catalog.pg_ndistinct, \
                   $4::bytea::pg_catalog.pg_dependencies, $5::bytea::pg_catalog.pg_mcv_list \
                 WHERE $2 IS NOT NULL"
            ),
            &[
                (&object.oid, Type::OID),
                (&data.inherited, Type::BOOL),
                (&n_distinct, Type::BYTEA),
                (&dependencies, Type::BYTEA),
                (&mcv, Type::BYTEA),
            ],
        )?;
        if !data.expressions.is_empty() && self.major >= 14 {
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
        if object.expressions().count() != data.expressions.len() {
            // The server counts on one for each.
            self.refuse(
                object.label.clone(),
                "there are not as many statistics as expressions",
            );
            return Ok(());
        }
        let mut rows = Vec::new();
        let mut texts: Vec<Option<String>> = Vec::new();
        for (type_oid, statistics) in object.expressions().zip(&data.expressions) {
            rows.push(self.expression_row(names, object, type_oid, statistics, &mut texts));
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
        type_oid: u32,
        statistics: &Statistics,
        texts: &mut Vec<Option<String>>,
    ) -> String {
        let mut text = |value: Option<String>| {
            texts.push(value);
            format!("$2[{}]", texts.len())
        };
        let slots = self.ready_slots(names, &object.label, type_oid, 0, statistics);
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
