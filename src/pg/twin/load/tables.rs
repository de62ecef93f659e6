//! Tables: their columns, and the constraints that can be made with them.

use super::super::Refused;
use super::Loader;
use super::names::{qualified, quoted};
use super::shape;
use super::steps::Step;
use crate::catalog::ident::{literal, quote};
use crate::snapshot::{Column, Constraint, Relation, RelationKind};

impl Loader<'_> {
    /// The steps that create tables, and then join them to their parents.
    pub(super) fn table_steps(&mut self) -> Vec<Step> {
        let snapshot = self.snapshot;
        let mut steps = Vec::new();
        for relation in &snapshot.relations {
            match relation.kind {
                RelationKind::Table | RelationKind::PartitionedTable => {
                    self.create_table(relation, &mut steps);
                }
                RelationKind::ForeignTable => self.create_foreign(relation, &mut steps),
                RelationKind::View | RelationKind::MaterializedView => {}
            }
        }
        for relation in &snapshot.relations {
            join_parents(relation, &mut steps);
        }
        steps
    }

    fn create_table(&mut self, relation: &Relation, steps: &mut Vec<Step>) {
        for option in relation.columns.iter().flat_map(|column| &column.options) {
            if !is_column_option(option) {
                self.note(format!(
                    "columns have the option {}, which is not PostgreSQL's own: it is left out",
                    option.split('=').next().unwrap_or_default()
                ));
            }
        }
        let object = label("table", relation);
        let whole = self.table_text(relation, Detail::Whole);
        let bare = self.table_text(relation, Detail::Bare);
        // When something in it cannot be made, the rest is made without.
        let mut instead = vec![Step::new(object.clone(), bare)];
        self.complete_columns(relation, &mut instead);
        for constraint in &relation.constraints {
            if inline(relation, constraint) {
                instead.extend(self.add_constraint(relation, constraint));
            }
        }
        steps.push(Step::new(object, whole).or(instead));
        after_creation(relation, "TABLE", steps);
    }

    /// The statement that creates a table.
    pub(super) fn table_text(&mut self, relation: &Relation, detail: Detail) -> String {
        let mut parts: Vec<String> = relation
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| self.column_text(relation, at + 1, column, detail))
            .collect();
        if detail == Detail::Whole {
            for constraint in &relation.constraints {
                if inline(relation, constraint)
                    && let Some(definition) = self.constraint_text(relation, constraint)
                {
                    parts.push(format!(
                        "CONSTRAINT {} {definition}",
                        quoted(&constraint.name)
                    ));
                }
            }
        }
        let name = qualified(&relation.schema, &relation.name);
        let mut sql = format!("CREATE TABLE {name} ({})", parts.join(", "));
        if let Some(key) = &relation.partition_key {
            sql.push_str(&format!(" PARTITION BY {key}"));
        }
        if detail == Detail::Whole
            && let Some(options) = options(&relation.options)
        {
            sql.push_str(&format!(" WITH ({options})"));
        }
        sql
    }

    pub(super) fn column_text(
        &mut self,
        relation: &Relation,
        number: usize,
        column: &Column,
        detail: Detail,
    ) -> String {
        if column.dropped {
            return format!("{} integer", quoted(&dropped(number)));
        }
        let mut text = format!("{} ", quoted(&column.name));
        if self.missing_types.contains(&column.type_name) {
            let refused = Refused {
                object: format!(
                    "column {}.{}.{}",
                    quote(&relation.schema),
                    quote(&relation.name),
                    quote(&column.name)
                ),
                message: format!(
                    "type {} is not there; the column stands as text, without statistics",
                    column.type_name
                ),
            };
            if !self.loaded.refused.contains(&refused) {
                self.loaded.refused.push(refused);
            }
            text.push_str("text");
            return text;
        }
        text.push_str(&column.type_name);
        if let Some(collation) = &column.collation {
            text.push_str(&format!(" COLLATE {collation}"));
        }
        if column.not_null && !not_null_is_unproved(relation, column) {
            // Such constraints have names since 18.
            let definition = format!("NOT NULL {}", quote(&column.name));
            if let Some(named) = relation.constraints.iter().find(|constraint| {
                self.major >= 18 && constraint.kind == "n" && constraint.definition == definition
            }) {
                text.push_str(&format!(" CONSTRAINT {}", quoted(&named.name)));
            }
            text.push_str(" NOT NULL");
        }
        if detail == Detail::Whole {
            text.push_str(&self.value_text(relation, column));
        }
        text
    }

    /// Default, generation or identity.
    fn value_text(&mut self, relation: &Relation, column: &Column) -> String {
        match (
            column.generated.as_deref(),
            column.identity.as_deref(),
            column.default.as_deref(),
        ) {
            (Some(how), _, Some(expression)) => {
                let how = if how == "v" && self.major >= 18 {
                    "VIRTUAL"
                } else {
                    if how == "v" {
                        self.note(format!(
                            "{}.{}.{} is a virtual generated column, which PostgreSQL {} does not \
                             have: it is planned as a stored one",
                            relation.schema, relation.name, column.name, self.major
                        ));
                    }
                    "STORED"
                };
                format!(
                    " GENERATED ALWAYS AS ({}) {how}",
                    bare_expression(expression)
                )
            }
            // A partition takes its parent's.
            (None, Some(_), _) if relation.partition_bound.is_some() => String::new(),
            (None, Some("a"), _) => " GENERATED ALWAYS AS IDENTITY".to_owned(),
            (None, Some(_), _) => " GENERATED BY DEFAULT AS IDENTITY".to_owned(),
            (None, None, Some(expression)) => format!(" DEFAULT {expression}"),
            _ => String::new(),
        }
    }

    /// What a table made without details lacks.
    fn complete_columns(&mut self, relation: &Relation, steps: &mut Vec<Step>) {
        let name = qualified(&relation.schema, &relation.name);
        if let Some(options) = options(&relation.options) {
            steps.push(Step::new(
                format!("options of {}", label("table", relation)),
                format!("ALTER TABLE {name} SET ({options})"),
            ));
        }
        for column in relation.columns.iter().filter(|column| !column.dropped) {
            let of = format!(
                "{}.{}.{}",
                quote(&relation.schema),
                quote(&relation.name),
                quote(&column.name)
            );
            let what = match (&column.generated, &column.identity, &column.default) {
                (Some(_), _, _) => {
                    let object = format!("generation of column {of}");
                    // Only the last column keeps its number so.
                    let is_last = relation
                        .columns
                        .last()
                        .is_some_and(|last| last.name == column.name);
                    steps.push(if is_last {
                        Step::new(
                            object,
                            format!(
                                "ALTER TABLE ONLY {name} DROP COLUMN {column}, \
                                 ADD COLUMN {column} {}{}",
                                column.type_name,
                                self.value_text(relation, column),
                                column = quoted(&column.name),
                            ),
                        )
                    } else {
                        Step::impossible(object, "the table could not be made as it was")
                    });
                    continue;
                }
                (None, Some(_), _) if relation.partition_bound.is_some() => continue,
                (None, Some(_), _) => format!("ADD{}", self.value_text(relation, column)),
                (None, None, Some(_)) => format!("SET{}", self.value_text(relation, column)),
                (None, None, None) => continue,
            };
            steps.push(Step::new(
                format!("default of column {of}"),
                format!(
                    "ALTER TABLE ONLY {name} ALTER COLUMN {} {what}",
                    quoted(&column.name)
                ),
            ));
        }
    }
}

/// How much of a table is made in one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// All.
    Whole,
    /// Columns with their types only.
    Bare,
}

/// `table public.orders`.
pub(super) fn label(what: &str, relation: &Relation) -> String {
    format!(
        "{what} {}.{}",
        quote(&relation.schema),
        quote(&relation.name)
    )
}

/// The name that stands for a dropped column until it is dropped here too.
fn dropped(number: usize) -> String {
    format!("........pg.dropped.{number}........")
}

/// Whether a constraint is made with its table. The others are made when the
/// tables have been joined to their parents.
pub(super) fn inline(relation: &Relation, constraint: &Constraint) -> bool {
    match constraint.kind.as_str() {
        // A parent's CHECK goes with its children's when they are joined.
        "c" => constraint.validated && !is_unenforced(constraint),
        "p" | "u" | "x" => relation.kind == RelationKind::Table,
        _ => false,
    }
}

/// `NOT ENFORCED`, since 18: the planner takes nothing from it.
pub(super) fn is_unenforced(constraint: &Constraint) -> bool {
    constraint.definition.ends_with(" NOT ENFORCED")
}

/// Whether a NOT NULL constraint has not been validated (18), so that the
/// planner does not rely on it.
pub(super) fn not_null_is_unproved(relation: &Relation, column: &Column) -> bool {
    relation.constraints.iter().any(|constraint| {
        constraint.kind == "n"
            && !constraint.validated
            && constraint
                .definition
                .strip_prefix("NOT NULL ")
                .and_then(|rest| rest.strip_prefix(&quote(&column.name)))
                .is_some_and(|rest| rest.starts_with(' '))
    })
}

/// An expression without the brackets that are put around it anyway.
fn bare_expression(expression: &str) -> &str {
    expression
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .filter(|inner| {
            let mut depth = 0_i32;
            !inner.contains(['\'', '"'])
                && inner.chars().all(|c| {
                    depth += i32::from(c == '(') - i32::from(c == ')');
                    depth >= 0
                })
        })
        .unwrap_or(expression)
}

/// `reloptions` as SQL; those whose names are no names are left out.
pub(super) fn options(options: &[String]) -> Option<String> {
    let texts: Vec<String> = options
        .iter()
        .filter_map(|option| option.split_once('='))
        .filter(|(name, _)| {
            !name.is_empty()
                && name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.')
        })
        .map(|(name, value)| format!("{name} = {}", literal(value)))
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Whether it is an option that PostgreSQL has for columns. Some servers are
/// built with others, which no other server takes.
fn is_column_option(option: &str) -> bool {
    matches!(
        option.split_once('='),
        Some(("n_distinct" | "n_distinct_inherited", _))
    )
}

/// What a table gets before it is joined to others: dropped columns, storage,
/// targets.
pub(super) fn after_creation(relation: &Relation, what: &str, steps: &mut Vec<Step>) {
    let name = qualified(&relation.schema, &relation.name);
    let drops: Vec<String> = relation
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.dropped)
        .map(|(at, _)| format!("DROP COLUMN {}", quoted(&dropped(at + 1))))
        .collect();
    if !drops.is_empty() {
        steps.push(Step::new(
            format!("dropped columns of {}", label("table", relation)),
            format!("ALTER {what} {name} {}", drops.join(", ")),
        ));
    }
    let mut changes = Vec::new();
    for column in relation.columns.iter().filter(|column| !column.dropped) {
        let mut change = |text: String| {
            changes.push(format!("ALTER COLUMN {} {text}", quoted(&column.name)));
        };
        let storage = match column.storage.as_deref() {
            Some("p") => Some("PLAIN"),
            Some("e") => Some("EXTERNAL"),
            Some("m") => Some("MAIN"),
            Some("x") => Some("EXTENDED"),
            _ => None,
        };
        if let Some(storage) = storage {
            change(format!("SET STORAGE {storage}"));
        }
        if let Some(target) = column.statistics_target.filter(|&target| target >= 0) {
            change(format!("SET STATISTICS {target}"));
        }
        let known: Vec<String> = column
            .options
            .iter()
            .filter(|option| is_column_option(option))
            .cloned()
            .collect();
        if let Some(options) = options(&known) {
            change(format!("SET ({options})"));
        }
    }
    if !changes.is_empty() {
        let steps_of_each = changes
            .iter()
            .map(|change| {
                Step::new(
                    format!("column of {}", label("table", relation)),
                    format!("ALTER {what} {name} {change}"),
                )
            })
            .collect();
        steps.push(
            Step::new(
                format!("columns of {}", label("table", relation)),
                format!("ALTER {what} {name} {}", changes.join(", ")),
            )
            .or(steps_of_each),
        );
    }
}

fn join_parents(relation: &Relation, steps: &mut Vec<Step>) {
    let name = qualified(&relation.schema, &relation.name);
    let what = if relation.kind == RelationKind::ForeignTable {
        "FOREIGN TABLE"
    } else {
        "TABLE"
    };
    if let Some(bound) = &relation.partition_bound {
        let object = label("partition", relation);
        let Some((schema, parent)) = relation.parents.first() else {
            return;
        };
        if shape::begins(bound, &["FOR VALUES", "DEFAULT"]) {
            steps.push(Step::new(
                object,
                format!(
                    "ALTER TABLE {} ATTACH PARTITION {name} {bound}",
                    qualified(schema, parent)
                ),
            ));
        } else {
            // A statement that fails, so that it is said.
            steps.push(Step::new(object, "ALTER TABLE ATTACH PARTITION"));
        }
        return;
    }
    for (schema, parent) in &relation.parents {
        steps.push(Step::new(
            label("inheritance of table", relation),
            format!("ALTER {what} {name} INHERIT {}", qualified(schema, parent)),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_literals_with_plain_names() {
        assert_eq!(
            options(&["fillfactor=70".to_owned(), "a); DROP=1".to_owned()]).as_deref(),
            Some("fillfactor = '70'")
        );
        assert_eq!(options(&[]), None);
    }

    #[test]
    fn only_outer_brackets_are_taken_off() {
        assert_eq!(bare_expression("(a + b)"), "a + b");
        assert_eq!(bare_expression("(a) + (b)"), "(a) + (b)");
        assert_eq!(bare_expression("(a || ')')"), "(a || ')')");
    }
}
