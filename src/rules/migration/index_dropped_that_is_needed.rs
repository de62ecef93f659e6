//! Indexes that constraints or queries need, dropped.

use super::support::around::{self, altered, columns_sql, listed};
use super::support::{evidence, keys, workload};
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::Direction;
use crate::migration::state::{IndexState, Owner, Qualified, Table};
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::rules::support::show;
use crate::source::Span;
use crate::sql::ddl::{
    Action, AlterKind, Command, Constraint, ConstraintKind, ObjectKind, Statement,
};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that drop an index of a table that was there before
    /// the change (by `DROP INDEX`, with a UNIQUE or primary key constraint,
    /// or with a column of it) although
    ///
    /// - it is the only one that covers a foreign key of its table,
    /// - a foreign key of another table relies on it,
    /// - with `--workload`: queries compare its first column, and no index is left that begins with it,
    /// - with a snapshot: it has been scanned.
    ///
    /// Silent when the change makes another index that serves as well.
    ///
    /// ## Why it matters
    ///
    /// Without an index on its columns, each DELETE from the referenced table
    /// scans the referencing one. Queries that used the index read the whole
    /// table from then on, which shows only under load.
    ///
    /// ## When it is wrong
    ///
    /// When the queries that used it are gone.
    ///
    /// ## References
    ///
    /// - [DROP INDEX](https://www.postgresql.org/docs/current/sql-dropindex.html)
    /// - [pg_stat_user_indexes](https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ALL-INDEXES-VIEW)
    pub struct IndexDroppedThatIsNeeded = {
        id: "index-dropped-that-is-needed",
        summary: "an index is dropped that a foreign key or a query needs",
        level: Warning,
        category: Performance,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for IndexDroppedThatIsNeeded {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        if step.part.direction == Direction::Down {
            return;
        }
        match &step.statement.action {
            Action::Drop(drop) if drop.object == ObjectKind::Index => {
                let gone: Vec<(&Table, &IndexState, Span)> = drop
                    .names
                    .iter()
                    .filter_map(|place| {
                        let (table, index) = step.before.index(&place.name)?;
                        Some((table, index, place.span))
                    })
                    .collect();
                judge(step, sink, &gone, &[], &[]);
            }
            Action::Alter(alter) => {
                let Some((_, table)) = altered(step) else {
                    return;
                };
                let Some(known) = step.before.known(&table) else {
                    return;
                };
                let mut gone: Vec<(&Table, &IndexState, Span)> = Vec::new();
                let mut columns = Vec::new();
                for command in &alter.commands {
                    match &command.kind {
                        AlterKind::DropConstraint { name, .. } => {
                            gone.extend(
                                known
                                    .indexes
                                    .iter()
                                    .filter(|index| index.owner == Owner::Constraint(name.clone()))
                                    .map(|index| (known, index, command.span)),
                            );
                        }
                        AlterKind::DropColumn { column, .. } => {
                            columns.push(column.as_str());
                            gone.extend(
                                known
                                    .indexes
                                    .iter()
                                    .filter(|index| {
                                        index.keys.iter().any(|key| key.columns.contains(column))
                                    })
                                    .map(|index| (known, index, command.span)),
                            );
                        }
                        _ => {}
                    }
                }
                judge(step, sink, &gone, &columns, &alter.commands);
            }
            _ => {}
        }
    }
}

/// What the change makes behind the statement.
struct Later {
    indexes: Vec<IndexState>,
    keys_dropped: Vec<String>,
    columns_dropped: Vec<String>,
    table_dropped: bool,
}

fn judge(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    gone: &[(&Table, &IndexState, Span)],
    columns_gone: &[&str],
    own: &[Command],
) {
    for (number, (table, index, span)) in gone.iter().enumerate() {
        if !step.is_in_use(&table.name)
            || index.created.is_some_and(|at| step.is_same_change(at))
            || gone
                .get(..number)
                .unwrap_or_default()
                .iter()
                .any(|(_, before, _)| before.name == index.name)
        {
            continue;
        }
        let later = later(step, table, own);
        if later.table_dropped {
            continue;
        }
        let left: Vec<&IndexState> = table
            .indexes
            .iter()
            .filter(|other| {
                !gone
                    .iter()
                    .any(|(_, dropped, _)| dropped.name == other.name)
            })
            .chain(&later.indexes)
            .collect();
        let column_goes = |column: &String| {
            columns_gone.contains(&column.as_str()) || later.columns_dropped.contains(column)
        };
        foreign_key(step, sink, table, index, *span, &left, &later, &column_goes);
        if let Some(first) = index.keys.first()
            && first
                .column
                .as_ref()
                .is_none_or(|column| !column_goes(column))
            && !left.iter().any(|other| leads(other, index))
        {
            queries(step, sink, table, index, *span);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "all that is known of one index")]
fn foreign_key(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    table: &Table,
    index: &IndexState,
    span: Span,
    left: &[&IndexState],
    later: &Later,
    column_goes: &dyn Fn(&String) -> bool,
) {
    for (constraint, to, _) in keys::foreign_keys(table) {
        let columns = &constraint.columns;
        if !keys::covers(index, columns)
            || left.iter().any(|other| keys::covers(other, columns))
            || later.keys_dropped.contains(&constraint.name)
            || columns.iter().any(column_goes)
        {
            continue;
        }
        sink.report(
            format!(
                "{} is dropped, the only index that covers the foreign key on {} of {} to {to}",
                index.name,
                listed(columns),
                table.name
            ),
            format!(
                "each DELETE from {to}, and each UPDATE of its key, scans {}{} from then on",
                table.name,
                around::size(step, &table.name)
            ),
            evidence::statement(step),
        )
        .span(span)
        .relation(&table.name)
        .object(index.name.as_str())
        .remedy(
            Remedy::new("index the foreign key's columns before").then_outside(format!(
                "CREATE INDEX CONCURRENTLY {} ON {} ({})",
                quote(&keys::free_name(step.before, table, columns)),
                table.name.sql(),
                columns_sql(columns)
            )),
        );
    }
    // Foreign keys of other tables look the key up here.
    if !index.unique || index.predicate.is_some() || index.owner != Owner::Index {
        return;
    }
    let columns: Vec<String> = index
        .key_columns()
        .iter()
        .map(ToString::to_string)
        .collect();
    if columns.len() != index.keys.len() {
        return;
    }
    let same = |other: &IndexState| {
        other.unique
            && other.predicate.is_none()
            && other.keys.len() == columns.len()
            && columns
                .iter()
                .all(|column| other.key_columns().contains(&column.as_str()))
    };
    if left.iter().any(|other| same(other)) {
        return;
    }
    let relying: Vec<String> = step
        .before
        .referencing(&table.name)
        .into_iter()
        .filter(|(_, key)| match &key.kind {
            crate::migration::state::Constrains::ForeignKey { columns: to, .. } => {
                to.len() == columns.len() && to.iter().all(|column| columns.contains(column))
            }
            _ => false,
        })
        .map(|(from, key)| format!("{} of {}", key.name, from.name))
        .collect();
    if !relying.is_empty() {
        sink.report(
            format!(
                "{} is dropped, which foreign keys of other tables rely on",
                index.name
            ),
            format!(
                "the statement fails as long as there is {}; with CASCADE it drops them",
                listed(&relying)
            ),
            evidence::statement(step),
        )
        .span(span)
        .relation(&table.name)
        .object(index.name.as_str())
        .remedy(Remedy::new(
            "drop the foreign keys first, or keep the index",
        ));
    }
}

/// Queries of the workload that compare the index's first column, and scans
/// that the server counted.
fn queries(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    table: &Table,
    index: &IndexState,
    span: Span,
) {
    let first = index.keys.first().and_then(|key| key.column.clone());
    let mut using = Vec::new();
    if let (Some(queries), Some(first)) = (step.context.workload, &first) {
        for query in queries {
            if workload::compared(query, step.before).contains(&(table.name.clone(), first.clone()))
            {
                using.push(query.span);
            }
        }
    }
    let again = Remedy::new("keep it until the queries are gone").note(
        "pg_stat_user_indexes.idx_scan shows whether it is still scanned: look at it over a whole business cycle, on replicas, too.",
    );
    if let (Some(span_of_first), Some(first)) = (using.first(), &first) {
        let many = using.len();
        let queries = show::plural(many as f64, "query", "queries");
        sink.report(
            format!(
                "{} is dropped, and {queries} of the workload {} {first} of {}",
                index.name,
                if many == 1 { "compares" } else { "compare" },
                table.name
            ),
            format!(
                "no index is left that begins with {first}, so that {} reads the whole table{}",
                if many == 1 { "it" } else { "each of them" },
                around::size(step, &table.name)
            ),
            Evidence::new(
                "query",
                Value::Text(
                    step.context
                        .sources
                        .slice(*span_of_first)
                        .chars()
                        .take(200)
                        .collect(),
                ),
                Origin::Sql(*span_of_first),
            ),
        )
        .span(span)
        .relation(&table.name)
        .object(index.name.as_str())
        .remedy(again);
    } else if let Some(scans) = index.scans.filter(|scans| *scans > 0.0) {
        sink.report(
            format!(
                "{} is dropped, and was scanned {} times",
                index.name,
                show::count(scans)
            ),
            format!(
                "no index is left that begins as it does: what used it reads {} whole",
                table.name
            ),
            Evidence::new(
                "idx_scan",
                Value::Count(scans),
                Origin::Catalog(index.name.clone()),
            ),
        )
        .level(Level::Warning)
        .span(span)
        .relation(&table.name)
        .object(index.name.as_str())
        .remedy(again);
    }
}

/// Whether an index can stand in for a search by the first key of another.
fn leads(other: &IndexState, index: &IndexState) -> bool {
    let same_key = match (other.keys.first(), index.keys.first()) {
        (Some(a), Some(b)) => a.column == b.column && (a.column.is_some() || a.text == b.text),
        _ => false,
    };
    same_key && other.valid && (other.predicate.is_none() || index.predicate.is_some())
}

/// What the rest of the change makes and drops on the table.
fn later(step: &Step<'_>, table: &Table, own: &[Command]) -> Later {
    let mut later = Later {
        indexes: Vec::new(),
        keys_dropped: Vec::new(),
        columns_dropped: Vec::new(),
        table_dropped: false,
    };
    commands(own, &mut later);
    for statement in around::behind(step) {
        one(step, statement, &table.name, &mut later);
    }
    later
}

fn one(step: &Step<'_>, statement: &Statement, table: &Qualified, later: &mut Later) {
    match &statement.action {
        Action::CreateIndex(create) if around::is(step, &create.table.name, table) => {
            later.indexes.push(keys::of_statement(create));
        }
        Action::Alter(_) => {
            commands(around::commands_on(step, statement, table), later);
        }
        _ => later.table_dropped |= around::drops(step, statement, table),
    }
}

fn commands(commands: &[Command], later: &mut Later) {
    let mut add = |constraint: &Constraint| {
        if matches!(
            constraint.kind,
            ConstraintKind::PrimaryKey | ConstraintKind::Unique { .. }
        ) {
            later.indexes.push(keys::of_columns(&constraint.columns));
        }
    };
    for command in commands {
        match &command.kind {
            AlterKind::AddConstraint(constraint) => add(constraint),
            AlterKind::AddColumn { column, .. } => column.constraints.iter().for_each(&mut add),
            AlterKind::DropConstraint { name, .. } => later.keys_dropped.push(name.clone()),
            AlterKind::DropColumn { column, .. } => later.columns_dropped.push(column.clone()),
            _ => {}
        }
    }
}
