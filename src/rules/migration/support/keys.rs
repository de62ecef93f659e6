//! What indexes can be used for, and which are alike.

use crate::catalog::expression::normalized;
use crate::catalog::ident::fold;
use crate::migration::state::{
    Constrains, ConstraintState, IndexState, Owner, Qualified, State, Table,
};
use crate::source::Span;
use crate::sql::ddl::{
    Action, AlterKind, Constraint, ConstraintKind, CreateIndex, Expression, IndexKey, Name,
    Statement,
};

/// Whether the check of a foreign key on these columns can use an index: it is
/// valid, its first keys are the columns in any order, and it has no predicate
/// but that they are not null. The check looks for `column = value`, which
/// implies that.
pub(crate) fn covers(index: &IndexState, columns: &[String]) -> bool {
    if !index.valid || index.method == "brin" || columns.is_empty() {
        return false;
    }
    let Some(first) = index.keys.get(..columns.len()) else {
        return false;
    };
    // A key in another collation than its column's is of no use to a comparison
    // in that of the column.
    let has = |column: &String| {
        first
            .iter()
            .any(|key| key.column.as_ref() == Some(column) && key.collation.is_none())
    };
    columns.iter().all(has)
        && index
            .predicate
            .as_ref()
            .is_none_or(|predicate| only_not_null(predicate, columns))
}

/// Whether any index of the table covers the columns.
pub(crate) fn is_covered(table: &Table, columns: &[String]) -> bool {
    table.indexes.iter().any(|index| covers(index, columns))
}

/// Whether a predicate says no more than that some of the columns are not null.
fn only_not_null(predicate: &Expression, columns: &[String]) -> bool {
    let words: Vec<String> = predicate
        .text
        .replace(['(', ')'], " ")
        .split_whitespace()
        .map(fold)
        .collect();
    let mut rest = words.as_slice();
    loop {
        let [column, is, not, null, more @ ..] = rest else {
            return false;
        };
        let column = column.rsplit('.').next().unwrap_or(column);
        if !columns.iter().any(|known| known == column)
            || is != "is"
            || not != "not"
            || null != "null"
        {
            return false;
        }
        match more {
            [] => return true,
            [and, after @ ..] if and == "and" => rest = after,
            _ => return false,
        }
    }
}

/// Operator classes that an index takes when none is written.
const DEFAULT_CLASSES: &[&str] = &[
    "bool_ops",
    "bpchar_ops",
    "date_ops",
    "enum_ops",
    "float8_ops",
    "int2_ops",
    "int4_ops",
    "int8_ops",
    "numeric_ops",
    "text_ops",
    "timestamp_ops",
    "timestamptz_ops",
    "uuid_ops",
    "varchar_ops",
];

/// Whether two keys sort and compare alike.
fn same_key(a: &IndexKey, b: &IndexKey) -> bool {
    let class = |key: &IndexKey| {
        key.opclass
            .clone()
            .filter(|class| !DEFAULT_CLASSES.contains(&class.as_str()))
    };
    let same_value = match (&a.column, &b.column) {
        (Some(a), Some(b)) => a == b,
        (None, None) => normalized(&a.text) == normalized(&b.text),
        _ => false,
    };
    same_value
        && class(a) == class(b)
        && a.collation == b.collation
        && a.descending == b.descending
        && a.nulls_first.unwrap_or(a.descending) == b.nulls_first.unwrap_or(b.descending)
}

fn same_predicate(a: &IndexState, b: &IndexState) -> bool {
    match (&a.predicate, &b.predicate) {
        (None, None) => true,
        (Some(a), Some(b)) => normalized(&a.text) == normalized(&b.text),
        _ => false,
    }
}

/// Whether an index has the keys of another, and no others.
pub(crate) fn same(a: &IndexState, b: &IndexState) -> bool {
    a.method == b.method
        && a.keys.len() == b.keys.len()
        && a.unique == b.unique
        && a.nulls_not_distinct == b.nulls_not_distinct
        && a.include == b.include
        && same_predicate(a, b)
        && a.keys.iter().zip(&b.keys).all(|(a, b)| same_key(a, b))
}

/// Whether a B-tree does nothing that another one cannot do: its keys are the
/// first of the other's, and it is not needed for uniqueness.
pub(crate) fn is_prefix(narrow: &IndexState, wide: &IndexState) -> bool {
    !narrow.unique
        && wide.valid
        && narrow.method == "btree"
        && wide.method == "btree"
        && narrow.keys.len() <= wide.keys.len()
        && (narrow.keys.len() < wide.keys.len()
            || wide.unique
            || narrow.include.len() < wide.include.len())
        && same_predicate(narrow, wide)
        && narrow.include.iter().all(|column| {
            wide.include.contains(column) || wide.key_columns().contains(&column.as_str())
        })
        && narrow
            .keys
            .iter()
            .zip(&wide.keys)
            .all(|(a, b)| same_key(a, b))
}

/// A foreign key's columns and what it references.
pub(crate) fn foreign_keys(
    table: &Table,
) -> impl Iterator<Item = (&ConstraintState, &Qualified, &[String])> {
    table
        .constraints
        .iter()
        .filter_map(|constraint| match &constraint.kind {
            Constrains::ForeignKey { table, columns, .. } => {
                Some((constraint, table, columns.as_slice()))
            }
            _ => None,
        })
}

/// Why an index that begins with the columns does not cover them.
pub(crate) fn nearly(table: &Table, columns: &[String]) -> Option<String> {
    table.indexes.iter().find_map(|index| {
        let keys = index.key_columns();
        let first = keys.get(..columns.len())?;
        if !columns
            .iter()
            .all(|column| first.contains(&column.as_str()))
        {
            return None;
        }
        Some(if !index.valid {
            format!("{} is invalid", index.name)
        } else if index.predicate.is_some() {
            format!(
                "{} has a WHERE, so that it does not hold all rows",
                index.name
            )
        } else if index.keys.iter().any(|key| {
            key.collation.is_some() && key.column.as_ref().is_some_and(|key| columns.contains(key))
        }) {
            format!(
                "{} sorts in another collation than the column's",
                index.name
            )
        } else {
            format!("{} is a {} index", index.name, index.method)
        })
    })
}

/// A free name for an index on the columns, as PostgreSQL would choose it.
pub(crate) fn free_name(state: &State, table: &Table, columns: &[String]) -> String {
    let stem = format!("{}_{}", table.name.name, columns.join("_"));
    let stem: String = stem.chars().take(50).collect();
    (0..1_000)
        .map(|number| match number {
            0 => format!("{stem}_idx"),
            _ => format!("{stem}_idx{number}"),
        })
        .find(|name| {
            state
                .index(&Name::qualified(table.name.schema.as_str(), name.as_str()))
                .is_none()
        })
        .unwrap_or(stem)
}

/// All constraints that a statement writes.
fn constraints(statement: &Statement) -> Vec<&Constraint> {
    match &statement.action {
        Action::CreateTable(create) => create
            .constraints
            .iter()
            .chain(create.columns.iter().flat_map(|column| &column.constraints))
            .collect(),
        Action::Alter(alter) => alter
            .commands
            .iter()
            .flat_map(|command| match &command.kind {
                AlterKind::AddConstraint(constraint) => vec![&**constraint],
                AlterKind::AddColumn { column, .. } => column.constraints.iter().collect(),
                _ => Vec::new(),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The constraint of that kind on those columns, as a statement writes it.
/// Columns may have been renamed since: then the only one of the kind.
pub(crate) fn written<'a>(
    statement: &'a Statement,
    columns: &[String],
    kind: impl Fn(&ConstraintKind) -> bool,
) -> Option<&'a Constraint> {
    let of_kind: Vec<&Constraint> = constraints(statement)
        .into_iter()
        .filter(|constraint| kind(&constraint.kind))
        .collect();
    of_kind
        .iter()
        .find(|constraint| constraint.columns == columns)
        .or(match of_kind.as_slice() {
            [only] => Some(only),
            _ => None,
        })
        .copied()
}

/// The constraint as a statement writes it: of its name, or on its columns.
pub(crate) fn written_as<'a>(
    statement: &'a Statement,
    constraint: &ConstraintState,
) -> Option<&'a Constraint> {
    let all = constraints(statement);
    all.iter()
        .find(|written| written.name.as_deref() == Some(&constraint.name))
        .or_else(|| {
            all.iter()
                .find(|written| written.not_valid && written.columns == constraint.columns)
        })
        .copied()
}

/// Where a statement makes an index: the constraint whose it is, or all of it.
pub(crate) fn place_of_index(statement: &Statement, index: &IndexState) -> Span {
    let columns: Vec<String> = index
        .key_columns()
        .iter()
        .map(ToString::to_string)
        .collect();
    written(statement, &columns, |kind| {
        matches!(
            kind,
            ConstraintKind::PrimaryKey | ConstraintKind::Unique { .. }
        )
    })
    .map_or(statement.span, |written| written.span)
}

/// Where a statement adds a column.
pub(crate) fn place_of_column(statement: &Statement, column: &str) -> Span {
    match &statement.action {
        Action::Alter(alter) => alter.commands.iter().find_map(|command| {
            matches!(&command.kind, AlterKind::AddColumn { column: added, .. } if added.name == column)
                .then_some(command.span)
        }),
        _ => None,
    }
    .unwrap_or(statement.span)
}

/// The index that a statement would make, as far as its use goes.
pub(crate) fn of_statement(create: &CreateIndex) -> IndexState {
    IndexState {
        method: create.method.clone(),
        keys: create.keys.clone(),
        include: create.include.clone(),
        unique: create.unique,
        nulls_not_distinct: create.nulls_not_distinct,
        predicate: create.predicate.clone(),
        valid: !create.only,
        ..of_columns(&[])
    }
}

/// The index of a UNIQUE constraint on the columns.
pub(crate) fn of_columns(columns: &[String]) -> IndexState {
    IndexState {
        name: String::new(),
        method: "btree".to_owned(),
        keys: columns
            .iter()
            .map(|column| IndexKey {
                column: Some(column.clone()),
                text: column.clone(),
                functions: Vec::new(),
                columns: vec![column.clone()],
                opclass: None,
                collation: None,
                descending: false,
                nulls_first: None,
            })
            .collect(),
        include: Vec::new(),
        unique: true,
        nulls_not_distinct: false,
        predicate: None,
        valid: true,
        owner: Owner::Index,
        parent: None,
        created: None,
        pages: None,
        scans: None,
    }
}
