//! What statements give, and the columns of all relations.

use super::Session;
use super::catalog::get;
use super::error::Error;
use crate::verify::{
    Described, KnownColumn, KnownRelation, PlanError, Planned, ResultColumn, Shape,
};
use tokio_postgres::types::Type;

/// Tables and views of users with their columns. A trigger that runs before
/// each row of an INSERT may fill what the statement left out, and a rule may
/// do anything.
const COLUMNS: &str = "\
SELECT n.nspname::text, c.relname::text, \
       c.relhasrules AND c.relkind <> 'v' \
         OR EXISTS (SELECT 1 FROM pg_catalog.pg_trigger AS t \
                    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal \
                      AND (t.tgtype::int & 6) = 6), \
       a.attnum, a.attname::text, a.atttypid, \
       a.attnotnull AND a.attgenerated = '', a.attgenerated <> '' \
FROM pg_catalog.pg_class AS c \
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid \
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped \
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
ORDER BY n.nspname::text COLLATE \"C\", c.relname::text COLLATE \"C\", a.attnum";

/// Both, in the transaction that is open.
pub(super) fn described(
    session: &mut Session,
    statements: &[Planned<'_>],
) -> Result<Described, PlanError> {
    let relations = relations(session)?;
    let mut results = Vec::with_capacity(statements.len());
    for statement in statements {
        // A statement that is refused must not end the transaction.
        let columns = session.undone(|session| session.columns(statement.sql));
        results.push(match columns {
            Ok((columns, parameters)) => {
                let one = |name: String, kind: &Type| ResultColumn {
                    name,
                    type_oid: kind.oid(),
                    type_name: kind.name().to_owned(),
                };
                Some(Shape {
                    columns: columns
                        .into_iter()
                        .map(|(name, kind)| one(name, &kind))
                        .collect(),
                    parameters: parameters
                        .iter()
                        .enumerate()
                        .map(|(at, kind)| one(format!("${}", at + 1), kind))
                        .collect(),
                })
            }
            Err(error @ (Error::Lost { .. } | Error::TimedOut { .. })) => return Err(error.into()),
            Err(_) => None,
        });
    }
    Ok(Described { relations, results })
}

fn relations(session: &mut Session) -> Result<Vec<KnownRelation>, Error> {
    let mut relations: Vec<KnownRelation> = Vec::new();
    for row in &session.query(COLUMNS, &[])? {
        let (schema, name): (String, String) = (get(row, 0)?, get(row, 1)?);
        let column = KnownColumn {
            number: get(row, 3)?,
            name: get(row, 4)?,
            type_oid: get(row, 5)?,
            not_null: get(row, 6)?,
            generated: get(row, 7)?,
        };
        match relations.last_mut() {
            Some(last) if last.schema == schema && last.name == name => last.columns.push(column),
            _ => relations.push(KnownRelation {
                schema,
                name,
                rewrites_inserts: get(row, 2)?,
                columns: vec![column],
            }),
        }
    }
    Ok(relations)
}
