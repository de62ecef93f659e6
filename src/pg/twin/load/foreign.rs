//! Foreign tables. Their servers are made to lead nowhere: planning with
//! `postgres_fdw` needs no connection, and nothing that a snapshot defines may
//! make one.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::names::{parts, qualified, quoted};
use super::steps::Step;
use super::tables::{Detail, after_creation, label};
use super::{Loader, objects, refusal};
use crate::catalog::ident::literal;
use crate::pg::catalog::get;
use crate::snapshot::{ObjectKind, Relation};

/// Options of a server that planning depends on, and that are numbers.
const COSTS: [&str; 3] = ["fdw_startup_cost", "fdw_tuple_cost", "fetch_size"];

impl Loader<'_> {
    /// Servers of `postgres_fdw`; those of other wrappers are refused, as
    /// their planning reads files or asks the other side.
    pub(super) fn make_foreign_servers(&mut self) -> Result<(), TwinError> {
        let snapshot = self.snapshot;
        let used: BTreeSet<&str> = snapshot
            .relations
            .iter()
            .filter_map(|relation| relation.foreign.as_ref())
            .map(|foreign| foreign.server.as_str())
            .collect();
        if used.is_empty() {
            return Ok(());
        }
        let present = self.cluster.admin()?.query(
            "SELECT FROM pg_catalog.pg_foreign_data_wrapper AS w \
             WHERE w.fdwname = 'postgres_fdw' AND w.fdwhandler <> 0",
            &[],
        )?;
        let role = self.session_role()?;
        for object in &snapshot.objects {
            if object.kind != ObjectKind::ForeignServer {
                continue;
            }
            let Some(name) = parts(&object.name).pop() else {
                continue;
            };
            if !used.contains(name.as_str()) {
                continue;
            }
            let is_postgres = object.create.contains("FOREIGN DATA WRAPPER postgres_fdw")
                || object
                    .create
                    .contains("FOREIGN DATA WRAPPER \"postgres_fdw\"");
            if !is_postgres || present.is_empty() {
                self.refuse(
                    objects::label(object),
                    "its foreign-data wrapper is not there, or cannot plan without the other side",
                );
                continue;
            }
            let mut options = vec!["host '/nonexistent'".to_owned()];
            for cost in COSTS {
                if let Some(value) = number_option(&object.create, cost) {
                    options.push(format!("{cost} {}", literal(&value)));
                }
            }
            let server = quoted(&name);
            let admin = self.cluster.admin()?;
            let made = refusal(admin.query(
                &format!(
                    "CREATE SERVER {server} FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({})",
                    options.join(", ")
                ),
                &[],
            ))?;
            match made {
                Ok(_) => {
                    admin.query(
                        &format!("GRANT USAGE ON FOREIGN SERVER {server} TO {role}"),
                        &[],
                    )?;
                }
                Err(message) => self.refuse(objects::label(object), message),
            }
        }
        let made = self.cluster.admin()?.query(
            "SELECT s.srvname::text FROM pg_catalog.pg_foreign_server AS s WHERE s.srvname = ANY ($1)",
            &[(
                &used.into_iter().collect::<Vec<_>>(),
                Type::TEXT_ARRAY,
            )],
        )?;
        for row in &made {
            self.servers.insert(get(row, 0)?);
        }
        Ok(())
    }

    /// A foreign table; where its server is not there a plain table.
    pub(super) fn create_foreign(&mut self, relation: &Relation, steps: &mut Vec<Step>) {
        let object = label("foreign table", relation);
        let foreign = relation.foreign.clone().unwrap_or_default();
        if !self.servers.contains(&foreign.server) {
            self.refuse(
                object.clone(),
                format!(
                    "its server {} is not there; a plain table of its size stands in",
                    quoted(&foreign.server)
                ),
            );
            let whole = self.table_text(relation, Detail::Whole);
            let bare = self.table_text(relation, Detail::Bare);
            steps.push(Step::new(object.clone(), whole).or(vec![Step::new(object, bare)]));
            after_creation(relation, "TABLE", steps);
            return;
        }
        let mut parts: Vec<String> = relation
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| self.column_text(relation, at + 1, column, Detail::Whole))
            .collect();
        for constraint in &relation.constraints {
            if constraint.kind == "c"
                && constraint.validated
                && let Some(definition) = self.constraint_text(relation, constraint)
            {
                parts.push(format!(
                    "CONSTRAINT {} {definition}",
                    quoted(&constraint.name)
                ));
            }
        }
        let mut options = Vec::new();
        for option in &foreign.options {
            let Some((name, value)) = option.split_once('=') else {
                continue;
            };
            if name == "use_remote_estimate" {
                self.note(format!(
                    "{object} asks its server for estimates, which the twin cannot"
                ));
            } else {
                options.push(format!("{} {}", quoted(name), literal(value)));
            }
        }
        let mut sql = format!(
            "CREATE FOREIGN TABLE {} ({}) SERVER {}",
            qualified(&relation.schema, &relation.name),
            parts.join(", "),
            quoted(&foreign.server)
        );
        if !options.is_empty() {
            sql.push_str(&format!(" OPTIONS ({})", options.join(", ")));
        }
        steps.push(Step::new(object, sql));
        after_creation(relation, "FOREIGN TABLE", steps);
    }
}

/// The value of an option in the text of CREATE SERVER, if it is a number.
fn number_option(sql: &str, name: &str) -> Option<String> {
    let rest = sql.split(name).nth(1)?;
    let value = rest.trim_start_matches(['"', ' ']).strip_prefix('\'')?;
    let value = value.split('\'').next()?;
    value.parse::<f64>().ok().map(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_taken_over() {
        let sql = "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h', \
                   fdw_tuple_cost '0.5')";
        assert_eq!(number_option(sql, "fdw_tuple_cost").as_deref(), Some("0.5"));
        assert_eq!(number_option(sql, "host"), None);
    }
}
