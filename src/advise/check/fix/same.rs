//! Whether two histories leave the same schema.

use std::collections::BTreeSet;

use crate::migration::state::{State, Table};

/// What a fix must leave as it was, as lines that name what they are about:
/// columns, constraints and indexes of every table. Their order is left out,
/// since what is done later may stand behind other things.
pub(super) fn schema(state: &State) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for table in state.tables() {
        lines.insert(format!("the relation {}", table.name));
        columns(table, &mut lines);
        constraints(table, &mut lines);
        indexes(table, &mut lines);
    }
    lines
}

fn columns(table: &Table, lines: &mut BTreeSet<String>) {
    for column in &table.columns {
        lines.insert(format!(
            "the column {}.{} ({} {:?} {:?} {} {} {})",
            table.name,
            column.name,
            column
                .type_name
                .as_ref()
                .map_or("", |name| name.text.as_str()),
            column.collation,
            column.default,
            column.not_null,
            column.identity,
            column.generated_stored || column.generated_virtual,
        ));
    }
}

fn constraints(table: &Table, lines: &mut BTreeSet<String>) {
    for constraint in &table.constraints {
        lines.insert(format!(
            "the constraint {} of {} ({} {} {})",
            constraint.name,
            table.name,
            constraint.columns.join(", "),
            constraint.validated,
            constraint.deferrable,
        ));
    }
}

fn indexes(table: &Table, lines: &mut BTreeSet<String>) {
    for index in &table.indexes {
        let keys: Vec<&str> = index.keys.iter().map(|key| key.text.as_str()).collect();
        lines.insert(format!(
            "the index {} on {} ({} {} {} {} {} {:?} {})",
            index.name,
            table.name,
            index.method,
            keys.join(", "),
            index.include.join(", "),
            index.unique,
            index.valid,
            index.owner,
            index
                .predicate
                .as_ref()
                .map_or("", |predicate| predicate.text.as_str()),
        ));
    }
}

/// What one of them has and the other has not: the first such line, without its
/// details.
pub(super) fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Option<String> {
    let line = before
        .difference(after)
        .next()
        .or_else(|| after.difference(before).next())?;
    Some(
        line.split_once(" (")
            .map_or(line.as_str(), |(name, _)| name)
            .to_owned(),
    )
}
