//! What tables have: constraints, indexes, extended statistics, policies,
//! triggers, rules; and views.

use std::collections::BTreeSet;

use super::Loader;
use super::names::{qualified, quoted};
use super::shape::{self, begins};
use super::steps::Step;
use super::tables::{inline, is_unenforced, label, not_null_is_unproved, options};
use crate::catalog::ident::quote;
use crate::snapshot::{Constraint, Index, Policy, Relation, RelationKind};

impl Loader<'_> {
    /// The steps that complete tables.
    pub(super) fn part_steps(&mut self) -> Vec<Step> {
        let snapshot = self.snapshot;
        let tables = || {
            snapshot
                .relations
                .iter()
                .filter(|relation| relation.kind != RelationKind::View)
        };
        let mut steps = Vec::new();
        for relation in tables() {
            for constraint in &relation.constraints {
                if !inline(relation, constraint) && constraint.kind != "f" {
                    steps.extend(self.add_constraint(relation, constraint));
                }
            }
            if relation.kind != RelationKind::MaterializedView {
                self.create_indexes(relation, &mut steps);
            }
        }
        for relation in tables() {
            if relation.kind != RelationKind::MaterializedView {
                attach_indexes(relation, &mut steps);
            }
        }
        // A foreign key needs the other table's unique index.
        for relation in tables() {
            for constraint in &relation.constraints {
                if constraint.kind == "f" && !constraint.inherited_only {
                    steps.extend(self.add_constraint(relation, constraint));
                }
            }
        }
        for relation in tables() {
            if relation.kind != RelationKind::MaterializedView {
                self.complete(relation, &mut steps);
            }
        }
        steps
    }

    /// The steps that create views, materialised ones with what they have.
    pub(super) fn view_steps(&mut self) -> Vec<Step> {
        let snapshot = self.snapshot;
        let mut steps = Vec::new();
        for relation in &snapshot.relations {
            let what = match relation.kind {
                RelationKind::View => "VIEW",
                RelationKind::MaterializedView => "MATERIALIZED VIEW",
                _ => continue,
            };
            let object = label(
                if what == "VIEW" {
                    "view"
                } else {
                    "materialized view"
                },
                relation,
            );
            let definition = relation.definition.as_deref().unwrap_or_default();
            if !begins(definition, &["SELECT", "WITH", "VALUES", "TABLE"]) {
                self.refuse(object, "its definition is not a query");
                continue;
            }
            let definition = definition.trim_end().trim_end_matches(';');
            let columns: Vec<String> = relation
                .columns
                .iter()
                .map(|column| quoted(&column.name))
                .collect();
            let mut sql = format!(
                "CREATE {what} {}",
                qualified(&relation.schema, &relation.name)
            );
            if !columns.is_empty() {
                sql.push_str(&format!(" ({})", columns.join(", ")));
            }
            let known: Vec<String> = relation
                .options
                .iter()
                .filter(|option| self.major >= 15 || !option.starts_with("security_invoker="))
                .cloned()
                .collect();
            if let Some(options) = options(&known) {
                sql.push_str(&format!(" WITH ({options})"));
            }
            sql.push_str(&format!(" AS {definition}"));
            if what == "MATERIALIZED VIEW" {
                sql.push_str(" WITH NO DATA");
            }
            steps.push(Step::new(object, sql));
        }
        for relation in &snapshot.relations {
            match relation.kind {
                RelationKind::MaterializedView => {
                    super::tables::after_creation(relation, "MATERIALIZED VIEW", &mut steps);
                    self.create_indexes(relation, &mut steps);
                    self.complete(relation, &mut steps);
                }
                RelationKind::View => self.complete(relation, &mut steps),
                _ => {}
            }
        }
        steps
    }

    /// The definition of a constraint for this server, where it can have it.
    pub(super) fn constraint_text(
        &mut self,
        relation: &Relation,
        constraint: &Constraint,
    ) -> Option<String> {
        if !begins(
            &constraint.definition,
            shape::of_constraint(&constraint.kind),
        ) {
            self.refuse(
                constraint_label(relation, constraint),
                "its definition is not that of such a constraint",
            );
            return None;
        }
        let mut definition = constraint.definition.clone();
        if self.major < 15
            && let Some(without) = shape::without(&definition, " NULLS NOT DISTINCT")
        {
            definition = without;
        }
        Some(definition)
    }

    /// The step that adds a constraint to a table.
    pub(super) fn add_constraint(
        &mut self,
        relation: &Relation,
        constraint: &Constraint,
    ) -> Option<Step> {
        let object = constraint_label(relation, constraint);
        if self.major < 18 && is_unenforced(constraint) {
            self.note(format!(
                "{object} is not enforced, which PostgreSQL {} cannot say: it is left out, as \
                 the planner takes nothing from it",
                self.major
            ));
            return None;
        }
        if constraint.kind == "n" {
            // NOT NULL is in the columns, but for one that is not validated.
            let unproved = self.major >= 18
                && !constraint.validated
                && relation
                    .columns
                    .iter()
                    .any(|column| column.not_null && not_null_is_unproved(relation, column));
            if !unproved {
                return None;
            }
        }
        let mut definition = self.constraint_text(relation, constraint)?;
        if constraint.kind == "f"
            && !definition.ends_with(" NOT VALID")
            && !is_unenforced(constraint)
        {
            // Nothing is there to be checked; it is marked as valid later. A
            // partitioned table takes this since 18 only.
            if relation.kind != RelationKind::PartitionedTable || self.major >= 18 {
                definition.push_str(" NOT VALID");
            }
        }
        // A partitioned table's index is made without its partitions', which
        // are attached to it.
        let only = match constraint.kind.as_str() {
            "p" | "u" | "x" => "ONLY ",
            _ => "",
        };
        let alter = if relation.kind == RelationKind::ForeignTable {
            "ALTER FOREIGN TABLE"
        } else {
            "ALTER TABLE"
        };
        Some(Step::new(
            object,
            format!(
                "{alter} {only}{} ADD CONSTRAINT {} {definition}",
                qualified(&relation.schema, &relation.name),
                quoted(&constraint.name)
            ),
        ))
    }

    fn create_indexes(&mut self, relation: &Relation, steps: &mut Vec<Step>) {
        let constraints: BTreeSet<&str> = relation
            .constraints
            .iter()
            .filter_map(|constraint| match constraint.kind.as_str() {
                "p" | "u" | "x" => constraint.index.as_deref().or(Some(&constraint.name)),
                _ => None,
            })
            .collect();
        for index in &relation.indexes {
            let object = index_label(relation, index);
            if !constraints.contains(index.name.as_str()) {
                if !begins(&index.definition, &["CREATE [UNIQUE] INDEX"]) {
                    self.refuse(object, "its definition does not create an index");
                    continue;
                }
                let mut definition = index.definition.clone();
                if self.major < 15
                    && let Some(without) = shape::without(&definition, " NULLS NOT DISTINCT")
                {
                    definition = without;
                }
                steps.push(Step::new(object.clone(), definition));
            }
            let targets: Vec<String> = index
                .statistics_targets
                .iter()
                .filter(|(_, target)| **target >= 0)
                .map(|(key, target)| format!("ALTER COLUMN {key} SET STATISTICS {target}"))
                .collect();
            if !targets.is_empty() {
                steps.push(Step::new(
                    format!("statistics targets of {object}"),
                    format!(
                        "ALTER INDEX {} {}",
                        qualified(&relation.schema, &index.name),
                        targets.join(", ")
                    ),
                ));
            }
        }
    }

    /// Extended statistics, row security, triggers and rules.
    fn complete(&mut self, relation: &Relation, steps: &mut Vec<Step>) {
        let table = qualified(&relation.schema, &relation.name);
        for statistics in &relation.extended_statistics {
            let name = format!("{}.{}", quote(&statistics.schema), quote(&statistics.name));
            let object = format!("statistics {name}");
            if !begins(&statistics.definition, &["CREATE STATISTICS"]) {
                self.refuse(object, "its definition does not create statistics");
                continue;
            }
            steps.push(Step::new(object.clone(), statistics.definition.clone()));
            if let Some(target) = statistics.target.filter(|&target| target >= 0) {
                steps.push(Step::new(
                    format!("target of {object}"),
                    format!(
                        "ALTER STATISTICS {} SET STATISTICS {target}",
                        qualified(&statistics.schema, &statistics.name)
                    ),
                ));
            }
        }
        if relation.row_security || relation.force_row_security {
            let mut changes = Vec::new();
            if relation.row_security {
                changes.push("ENABLE ROW LEVEL SECURITY");
            }
            if relation.force_row_security {
                changes.push("FORCE ROW LEVEL SECURITY");
            }
            steps.push(Step::new(
                label("row security of", relation),
                format!("ALTER TABLE {table} {}", changes.join(", ")),
            ));
        }
        for policy in &relation.policies {
            let object = format!(
                "policy {} on {}",
                quote(&policy.name),
                label("table", relation)
            );
            match policy_text(policy, &table) {
                Some(sql) => steps.push(Step::new(object, sql)),
                None => self.refuse(object, "it is for no command that policies are for"),
            }
        }
        let mut definitions = Vec::new();
        for trigger in &relation.triggers {
            definitions.push((
                "trigger",
                trigger,
                ["CREATE [CONSTRAINT] TRIGGER", "CREATE OR REPLACE TRIGGER"],
            ));
        }
        for rule in &relation.rules {
            definitions.push(("rule", rule, ["CREATE RULE", "CREATE OR REPLACE RULE"]));
        }
        for (what, definition, beginnings) in definitions {
            let object = format!(
                "{what} {} on {}",
                quote(&definition.name),
                label("table", relation)
            );
            if begins(&definition.definition, &beginnings) {
                let text = definition.definition.trim_end().trim_end_matches(';');
                steps.push(Step::new(object, text));
            } else {
                self.refuse(object, format!("its definition does not create a {what}"));
            }
        }
    }
}

fn constraint_label(relation: &Relation, constraint: &Constraint) -> String {
    format!(
        "constraint {} on {}",
        quote(&constraint.name),
        label("table", relation)
    )
}

fn index_label(relation: &Relation, index: &Index) -> String {
    format!("index {}.{}", quote(&relation.schema), quote(&index.name))
}

fn attach_indexes(relation: &Relation, steps: &mut Vec<Step>) {
    for index in &relation.indexes {
        if let Some((schema, parent)) = &index.parent {
            steps.push(Step::new(
                format!("attachment of {}", index_label(relation, index)),
                format!(
                    "ALTER INDEX {} ATTACH PARTITION {}",
                    qualified(schema, parent),
                    qualified(&relation.schema, &index.name)
                ),
            ));
        }
    }
}

fn policy_text(policy: &Policy, table: &str) -> Option<String> {
    let command = ["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"]
        .into_iter()
        .find(|command| *command == policy.command)?;
    let roles: Vec<String> = policy.roles.iter().map(|role| quoted(role)).collect();
    let mut sql = format!(
        "CREATE POLICY {} ON {table} AS {} FOR {command} TO {}",
        quoted(&policy.name),
        if policy.permissive {
            "PERMISSIVE"
        } else {
            "RESTRICTIVE"
        },
        if roles.is_empty() {
            "PUBLIC".to_owned()
        } else {
            roles.join(", ")
        }
    );
    if let Some(expression) = &policy.using {
        sql.push_str(&format!(" USING ({expression})"));
    }
    if let Some(expression) = &policy.check {
        sql.push_str(&format!(" WITH CHECK ({expression})"));
    }
    Some(sql)
}
