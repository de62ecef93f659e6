//! ENABLE ROW LEVEL SECURITY without a policy, and DISABLE.

use crate::declare_migration_rule;
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use std::collections::BTreeSet;

use super::support::around;
use crate::catalog::ident::quote;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::state::Qualified;
use crate::migration::{At, Direction};
use crate::rule::migration::Step;
use crate::sql::ddl::{Action, AlterKind, ObjectKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ENABLE ROW LEVEL SECURITY` on a table that was there before the
    /// change when no migration makes a policy for it, and `DISABLE ROW LEVEL
    /// SECURITY`.
    ///
    /// ## Why it matters
    ///
    /// With row-level security enabled and no policy, every role but the
    /// owner (and superusers) sees no row and can write none: nothing fails,
    /// the rows are just gone. When it is disabled, every role with the
    /// privilege sees all rows.
    ///
    /// ## When it is wrong
    ///
    /// When only the owner uses the table; then nobody else needs a policy.
    ///
    /// ## References
    ///
    /// - [Row security policies](https://www.postgresql.org/docs/current/ddl-rowsecurity.html)
    pub struct RowSecurityChanged = {
        id: "row-security-changed",
        summary: "row-level security hides all rows, or no longer hides any",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for RowSecurityChanged {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some((alter, table)) = around::altered(step) else {
            return;
        };
        for command in &alter.commands {
            if !matches!(command.kind, AlterKind::DisableRowSecurity)
                || step
                    .before
                    .known(&table)
                    .is_some_and(|known| !known.row_security && known.created.is_some())
            {
                continue;
            }
            sink.report(
                format!("row-level security of {table} is switched off"),
                "its policies no longer hide any row from roles with the privilege to read it",
                super::support::evidence::statement(step),
            )
            .span(command.span)
            .relation(&table)
            .remedy(Remedy::new("change the policies instead").then(format!(
                "CREATE POLICY {} ON {} USING (true)",
                quote(&format!("{}_all", table.name)),
                table.sql()
            )));
        }
    }

    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let history = end.context.history;
        let mut with_policy: BTreeSet<Qualified> = BTreeSet::new();
        let mut enabled = Vec::new();
        for (number, file) in history.files.iter().enumerate() {
            for (part_number, part) in file.parts.iter().enumerate() {
                if part.direction == Direction::Down {
                    continue;
                }
                for (at, statement) in part.statements.iter().enumerate() {
                    match &statement.action {
                        Action::CreatePolicy { table, .. } => {
                            with_policy.insert(end.after.qualify(&table.name));
                        }
                        // Policies made by EXECUTE for a list of tables cannot
                        // be read.
                        Action::Do(body)
                            if !body.dynamic.is_empty() && mentions_policy(end, statement.span) =>
                        {
                            return;
                        }
                        Action::Do(body) => {
                            for inner in &body.statements {
                                if let Action::CreatePolicy { table, .. } = &inner.action {
                                    with_policy.insert(end.after.qualify(&table.name));
                                }
                            }
                        }
                        Action::Alter(alter) if file.new && alter.object == ObjectKind::Table => {
                            for command in &alter.commands {
                                if matches!(command.kind, AlterKind::EnableRowSecurity) {
                                    let at = At {
                                        file: number,
                                        part: part_number,
                                        statement: at,
                                        inner: 0,
                                    };
                                    enabled.push((
                                        at,
                                        end.after.qualify(&alter.relation.name),
                                        command.span,
                                        statement,
                                    ));
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        for (at, table, span, statement) in enabled {
            let Some(known) = end.after.known(&table) else {
                continue;
            };
            let same_change = known.created.is_some_and(|created| {
                created.file == at.file
                    || (end.context.one_change && around::is_new(history, Some(created)))
            });
            if with_policy.contains(&table) || !known.row_security || same_change {
                continue;
            }
            sink.report(
                format!("row-level security of {table} is switched on, and no policy lets rows through"),
                "roles other than its owner see no row, and can write none",
                Evidence::new(
                    "statement",
                    Value::Text(statement.verb.clone()),
                    Origin::Sql(statement.span),
                ),
            )
            .at(at, span)
            .relation(&table)
            .remedy(
                Remedy::new("make a policy before, in the same transaction").then(format!(
                    "CREATE POLICY {} ON {} USING (true)",
                    quote(&format!("{}_all", table.name)),
                    table.sql()
                ))
                .note("USING (true) lets all rows through, as before: write the condition that is wanted."),
            );
        }
    }
}

fn mentions_policy(end: &End<'_>, span: crate::source::Span) -> bool {
    end.context
        .sources
        .slice(span)
        .to_lowercase()
        .contains("policy")
}
