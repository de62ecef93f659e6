//! Unique constraints of partitioned tables without the partition key.

use super::support::around::{columns_sql, listed};
use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::source::Span;
use crate::sql::ddl::{Action, AlterKind, Constraint, ConstraintKind};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds primary keys, UNIQUE constraints and unique indexes of
    /// partitioned tables that do not contain all columns of the partition
    /// key, or whose partition key is an expression.
    ///
    /// ## Why it matters
    ///
    /// The statement fails: PostgreSQL keeps uniqueness by the indexes of the
    /// partitions, each of which can only tell rows of its own apart.
    ///
    /// ## When it is wrong
    ///
    /// Never: PostgreSQL 13 to 18 refuse it.
    ///
    /// ## References
    ///
    /// - [Limitations of partitioning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-LIMITATIONS)
    pub struct PartitionKeyNotInPrimaryKey = {
        id: "partition-key-not-in-primary-key",
        summary: "a unique constraint of a partitioned table lacks columns of the partition key",
        level: Critical,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for PartitionKeyNotInPrimaryKey {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down {
            return;
        }
        let table_keys = |name: &crate::sql::ddl::Name| {
            let table = step.before.table(name)?;
            let (_, keys) = table.partition_by.as_ref()?;
            Some((table.name.clone(), keys.clone()))
        };
        match &step.statement.action {
            Action::CreateTable(create) => {
                let Some(by) = &create.partition_by else {
                    return;
                };
                let table = step.before.qualify(&create.table.name);
                for constraint in create
                    .constraints
                    .iter()
                    .chain(create.columns.iter().flat_map(|column| &column.constraints))
                {
                    check(step, sink, &table, &by.keys, constraint);
                }
            }
            Action::Alter(alter) => {
                let Some((table, keys)) = table_keys(&alter.relation.name) else {
                    return;
                };
                for command in &alter.commands {
                    match &command.kind {
                        AlterKind::AddConstraint(constraint) => {
                            check(step, sink, &table, &keys, constraint);
                        }
                        AlterKind::AddColumn { column, .. } => {
                            for constraint in &column.constraints {
                                check(step, sink, &table, &keys, constraint);
                            }
                        }
                        _ => {}
                    }
                }
            }
            Action::CreateIndex(index) if index.unique => {
                let Some((table, keys)) = table_keys(&index.table.name) else {
                    return;
                };
                let columns: Vec<String> = index
                    .keys
                    .iter()
                    .filter_map(|key| key.column.clone())
                    .collect();
                missing(step, sink, &table, &keys, &columns, step.statement.span);
            }
            _ => {}
        }
    }
}

fn check(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    table: &Qualified,
    keys: &[String],
    constraint: &Constraint,
) {
    if matches!(
        constraint.kind,
        ConstraintKind::PrimaryKey | ConstraintKind::Unique { .. }
    ) && constraint.using_index.is_none()
    {
        missing(
            step,
            sink,
            table,
            keys,
            &constraint.columns,
            constraint.span,
        );
    }
}

fn missing(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    table: &Qualified,
    keys: &[String],
    columns: &[String],
    span: Span,
) {
    let lacking: Vec<&String> = keys.iter().filter(|key| !columns.contains(key)).collect();
    if lacking.is_empty() || columns.is_empty() {
        return;
    }
    let all: Vec<&String> = columns.iter().chain(lacking.iter().copied()).collect();
    let expression = lacking
        .iter()
        .any(|key| key.contains(['(', ' ', ')', ':', '+', '-', '*', '/']));
    let remedy = if expression {
        Remedy::new("partition by columns, or leave the constraint to the partitions")
    } else {
        Remedy::new("take the partition key into the constraint")
            .note(format!("The columns would be ({}).", columns_sql(&all)))
    };
    sink.report(
        format!(
            "the unique columns {} of {table} lack {}, of the partition key",
            listed(columns),
            listed(&lacking)
        ),
        "the statement fails: a unique constraint of a partitioned table must contain its partition key",
        evidence::statement(step),
    )
    .span(span)
    .relation(table)
    .remedy(remedy);
}
