//! Objects that one statement creates, and roles.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::names::quoted;
use super::shape;
use super::steps::Step;
use super::{Loader, refusal};
use crate::pg::Error;
use crate::pg::catalog::get;
use crate::snapshot::{Object, ObjectKind, RelationKind};

impl Loader<'_> {
    pub(super) fn object_steps(&mut self) -> Vec<Step> {
        let snapshot = self.snapshot;
        // Schemas that nothing defines are made too: what is in them counts.
        let schemas: BTreeSet<&str> = snapshot
            .relations
            .iter()
            .flat_map(|relation| {
                let statistics = relation.extended_statistics.iter();
                std::iter::once(relation.schema.as_str())
                    .chain(statistics.map(|statistics| statistics.schema.as_str()))
            })
            .collect();
        let mut steps: Vec<Step> = schemas
            .into_iter()
            .map(|schema| {
                Step::new(
                    format!("schema {}", quoted(schema)),
                    format!("CREATE SCHEMA IF NOT EXISTS {}", quoted(schema)),
                )
            })
            .collect();
        for object in &snapshot.objects {
            // Those are made by others, as they need the superuser.
            if matches!(
                object.kind,
                ObjectKind::ForeignDataWrapper | ObjectKind::ForeignServer
            ) {
                continue;
            }
            let label = label(object);
            if !shape::begins(&object.create, shape::of_object(object.kind)) {
                self.refuse(label, "its definition does not create such an object");
                continue;
            }
            let mut step = Step::new(label.clone(), statement(&object.create));
            if object.kind == ObjectKind::Schema {
                // `public` and those of extensions are there.
                step = step.quiet();
            }
            if object.kind == ObjectKind::Collation
                && let [schema, name] = super::names::parts(&object.name).as_slice()
            {
                // One that this machine cannot make: its name, and not C.
                let stand_in = format!(
                    "CREATE COLLATION {} (provider = libc, locale = 'C.UTF-8')",
                    super::names::qualified(schema, name)
                );
                step = step.or(vec![Step::new(label.clone(), stand_in)]);
            }
            steps.push(step);
            for then in &object.then {
                let label = format!("completion of {label}");
                if shape::begins(then, shape::completing(object.kind)) {
                    steps.push(Step::new(label, statement(then)));
                } else {
                    self.refuse(label, "its definition does not complete such an object");
                }
            }
        }
        steps
    }

    /// Roles that policies and definitions name, without any right.
    pub(super) fn make_roles(&mut self) -> Result<(), TwinError> {
        let roles: BTreeSet<&str> = self
            .snapshot
            .relations
            .iter()
            .flat_map(|relation| &relation.policies)
            .flat_map(|policy| &policy.roles)
            .map(String::as_str)
            .collect();
        for role in roles {
            let sql = format!("CREATE ROLE {} NOLOGIN", quoted(role));
            // One that is there already is as good.
            drop(refusal(self.cluster.admin()?.query(&sql, &[]))?);
        }
        Ok(())
    }

    /// Finds the types of columns that are not there.
    pub(super) fn find_missing_types(&mut self) -> Result<(), TwinError> {
        let rows: BTreeSet<(&str, &str)> = self
            .snapshot
            .relations
            .iter()
            .map(|relation| (relation.schema.as_str(), relation.name.as_str()))
            .collect();
        let names: BTreeSet<&str> = self
            .snapshot
            .relations
            .iter()
            .filter(|relation| {
                !matches!(
                    relation.kind,
                    RelationKind::View | RelationKind::MaterializedView
                )
            })
            .flat_map(|relation| &relation.columns)
            .filter(|column| !column.dropped)
            .map(|column| column.type_name.as_str())
            .filter(|name| {
                // The type of a table's rows comes with the table.
                let parts = super::names::parts(name.trim_end_matches("[]"));
                !matches!(parts.as_slice(), [schema, name] if rows.contains(&(schema, name)))
            })
            .collect();
        let names: Vec<&str> = names.into_iter().collect();
        let ask = |some: &[&str], loader: &mut Self| -> Result<Option<Vec<String>>, TwinError> {
            let rows = loader.cluster.session()?.query(
                "SELECT n FROM pg_catalog.unnest($1) AS n WHERE pg_catalog.to_regtype(n) IS NULL",
                &[(&some, Type::TEXT_ARRAY)],
            );
            match rows {
                Ok(rows) => Ok(Some(
                    rows.iter()
                        .map(|row| get(row, 0))
                        .collect::<Result<_, _>>()?,
                )),
                Err(Error::Refused(_) | Error::PermissionDenied { .. }) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        if let Some(missing) = ask(&names, self)? {
            self.missing_types.extend(missing);
            return Ok(());
        }
        // One of them is not even the name of a type.
        for name in names {
            match ask(&[name], self)? {
                Some(missing) => self.missing_types.extend(missing),
                None => {
                    self.missing_types.insert(name.to_owned());
                }
            }
        }
        Ok(())
    }
}

/// `type public.status`.
pub(super) fn label(object: &Object) -> String {
    let kind = match object.kind {
        ObjectKind::Schema => "schema",
        ObjectKind::Collation => "collation",
        ObjectKind::Type => "type",
        ObjectKind::Sequence => "sequence",
        ObjectKind::Function => "function",
        ObjectKind::Procedure => "procedure",
        ObjectKind::Aggregate => "aggregate",
        ObjectKind::Operator => "operator",
        ObjectKind::Cast => "cast",
        ObjectKind::OperatorFamily => "operator family",
        ObjectKind::OperatorClass => "operator class",
        ObjectKind::TextSearchConfiguration => "text search configuration",
        ObjectKind::ForeignDataWrapper => "foreign-data wrapper",
        ObjectKind::ForeignServer => "foreign server",
    };
    format!("{kind} {}", object.name)
}

fn statement(text: &str) -> &str {
    text.trim_end().trim_end_matches(';')
}
