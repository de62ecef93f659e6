//! The schema that a history begins with, where a snapshot knows more than its
//! files: a project whose first schema was never kept as a migration.
//!
//! What a file makes is left to the file, so that it is known when it was
//! made. Everything else of the snapshot was there before.

use std::collections::HashMap;

use crate::catalog::ident::quote;
use crate::migration::state::State;
use crate::migration::{At, History};
use crate::snapshot::{Column, ObjectKind, Relation, RelationKind, Snapshot};
use crate::source::SourceId;
use crate::sql::ddl::{self, Action, AlterKind, AlterTypeKind, Name, Statement};

/// The state before the first file.
pub fn state(snapshot: &Snapshot, history: &History) -> State {
    let made = Made::by(history);
    let mut state = State::empty();
    if let Ok(major) = u16::try_from(snapshot.origin.version_num / 10_000) {
        state.set_major(major);
    }
    let text = schema(snapshot, &made);
    let (statements, _) = ddl::read(SourceId(0), &text);
    let at = At {
        file: 0,
        part: 0,
        statement: 0,
        inner: 0,
    };
    for statement in &statements {
        state.apply(statement, at);
    }
    state.was_there_before();
    state
}

/// Names that files of a history make, with their schemas where written.
#[derive(Debug, Default)]
struct Made(HashMap<String, Vec<Option<String>>>);

impl Made {
    fn by(history: &History) -> Self {
        let mut made = Self::default();
        for statement in history
            .files
            .iter()
            .flat_map(|file| &file.parts)
            .flat_map(|part| &part.statements)
        {
            made.statement(statement);
            if let Action::Do(body) = &statement.action {
                for inner in &body.statements {
                    made.statement(inner);
                }
            }
        }
        made
    }

    fn statement(&mut self, statement: &Statement) {
        match &statement.action {
            Action::CreateTable(create) => self.add(&create.table.name),
            Action::CreateView(create) => self.add(&create.name.name),
            Action::CreateType(create) => self.add(&create.name),
            Action::CreateDomain(create) => self.add(&create.name),
            Action::CreateSequence { name, .. } => self.add(name),
            Action::CreateFunction(create) => self.add(&create.name),
            Action::AlterType(alter) => match &alter.kind {
                AlterTypeKind::RenameTo { name } => self.add(&Name::bare(name.clone())),
                AlterTypeKind::SetSchema { .. } => self.add(&Name::bare(alter.name.name.clone())),
                _ => {}
            },
            Action::Alter(alter) => {
                for command in &alter.commands {
                    match &command.kind {
                        AlterKind::RenameTo { name } => self.add(&Name::bare(name.clone())),
                        AlterKind::SetSchema { .. } => {
                            self.add(&Name::bare(alter.relation.name.name.clone()));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, name: &Name) {
        let schemas = self.0.entry(name.name.clone()).or_default();
        if !schemas.contains(&name.schema) {
            schemas.push(name.schema.clone());
        }
    }

    fn has(&self, schema: &str, name: &str) -> bool {
        self.0.get(name).is_some_and(|schemas| {
            schemas
                .iter()
                .any(|one| one.as_deref().is_none_or(|one| one == schema))
        })
    }

    /// The same of a relation; a partition goes with its parent.
    fn has_relation(&self, relation: &Relation) -> bool {
        self.has(&relation.schema, &relation.name)
            || relation
                .parents
                .iter()
                .any(|(schema, name)| self.has(schema, name))
    }
}

/// What the history does not make, as statements.
fn schema(snapshot: &Snapshot, made: &Made) -> String {
    let mut text = String::new();
    let mut say = |statement: &str| {
        text.push_str(statement.trim_end().trim_end_matches(';'));
        text.push_str(";\n");
    };
    for object in &snapshot.objects {
        let wanted = match object.kind {
            ObjectKind::Schema => true,
            ObjectKind::Type | ObjectKind::Sequence | ObjectKind::Function => {
                let (statements, _) = ddl::read(SourceId(0), &object.create);
                !Made::of(&statements).any_of(made)
            }
            _ => false,
        };
        if wanted {
            say(&object.create);
        }
    }
    let wanted: Vec<&Relation> = parents_first(&snapshot.relations)
        .into_iter()
        .filter(|relation| !made.has_relation(relation))
        .collect();
    for relation in &wanted {
        say(&create(relation));
    }
    // Keys first: what references them names their columns.
    for late in [false, true] {
        for relation in &wanted {
            for constraint in &relation.constraints {
                let known = matches!(constraint.kind.as_str(), "p" | "u" | "x" | "f" | "c");
                if !known || constraint.inherited_only || (constraint.kind == "f") != late {
                    continue;
                }
                say(&format!(
                    "ALTER TABLE {} ADD CONSTRAINT {} {}",
                    name(relation),
                    quote(&constraint.name),
                    constraint.definition
                ));
            }
        }
    }
    for relation in &wanted {
        for index in &relation.indexes {
            let is_key = relation
                .constraints
                .iter()
                .any(|one| one.index.as_ref() == Some(&index.name) && one.kind != "f");
            if !is_key && index.parent.is_none() {
                say(&index.definition);
            }
        }
        for trigger in &relation.triggers {
            say(&trigger.definition);
        }
        for policy in &relation.policies {
            say(&format!(
                "CREATE POLICY {} ON {}",
                quote(&policy.name),
                name(relation)
            ));
        }
        if relation.row_security {
            say(&format!(
                "ALTER TABLE {} ENABLE ROW LEVEL SECURITY",
                name(relation)
            ));
        }
    }
    text
}

impl Made {
    fn of(statements: &[Statement]) -> Self {
        let mut made = Self::default();
        for statement in statements {
            made.statement(statement);
        }
        made
    }

    /// One of these names is among those.
    fn any_of(&self, others: &Self) -> bool {
        self.0.iter().any(|(name, schemas)| {
            schemas
                .iter()
                .any(|schema| others.has(schema.as_deref().unwrap_or("public"), name))
        })
    }
}

fn name(relation: &Relation) -> String {
    format!("{}.{}", quote(&relation.schema), quote(&relation.name))
}

/// Partitioned tables and parents before what is below them, views last.
fn parents_first(relations: &[Relation]) -> Vec<&Relation> {
    let by_name: HashMap<(&str, &str), &Relation> = relations
        .iter()
        .map(|one| ((one.schema.as_str(), one.name.as_str()), one))
        .collect();
    let depth = |relation: &Relation| {
        let mut at = relation;
        let mut depth = 0_usize;
        while let Some(next) = at
            .parents
            .first()
            .and_then(|(schema, name)| by_name.get(&(schema.as_str(), name.as_str())))
            && depth < 64
        {
            depth += 1;
            at = next;
        }
        depth
    };
    let mut sorted: Vec<(bool, usize, &Relation)> = relations
        .iter()
        .map(|one| {
            let view = matches!(
                one.kind,
                RelationKind::View | RelationKind::MaterializedView
            );
            (view, depth(one), one)
        })
        .collect();
    sorted.sort_by_key(|(view, depth, _)| (*view, *depth));
    sorted.into_iter().map(|(_, _, one)| one).collect()
}

fn create(relation: &Relation) -> String {
    let own = name(relation);
    let query = || relation.definition.clone().unwrap_or_default();
    match relation.kind {
        RelationKind::View => return format!("CREATE VIEW {own} AS {}", query()),
        RelationKind::MaterializedView => {
            return format!("CREATE MATERIALIZED VIEW {own} AS {}", query());
        }
        _ => {}
    }
    let what = match relation.kind {
        RelationKind::ForeignTable => "CREATE FOREIGN TABLE",
        _ if relation.unlogged => "CREATE UNLOGGED TABLE",
        _ => "CREATE TABLE",
    };
    let parents: Vec<String> = relation
        .parents
        .iter()
        .map(|(schema, name)| format!("{}.{}", quote(schema), quote(name)))
        .collect();
    let mut text = format!("{what} {own}");
    if let (Some(bound), Some(parent)) = (&relation.partition_bound, parents.first()) {
        text.push_str(&format!(" PARTITION OF {parent} {bound}"));
    } else {
        let columns: Vec<String> = relation
            .columns
            .iter()
            .filter(|column| !column.dropped && !column.inherited_only)
            .map(column)
            .collect();
        text.push_str(&format!(" ({})", columns.join(", ")));
        if !parents.is_empty() {
            text.push_str(&format!(" INHERITS ({})", parents.join(", ")));
        }
    }
    if let Some(key) = &relation.partition_key {
        text.push_str(&format!(" PARTITION BY {key}"));
    }
    if let Some(foreign) = &relation.foreign {
        text.push_str(&format!(" SERVER {}", quote(&foreign.server)));
    }
    text
}

fn column(column: &Column) -> String {
    let mut text = format!("{} {}", quote(&column.name), column.type_name);
    if let Some(collation) = &column.collation {
        text.push_str(&format!(" COLLATE {collation}"));
    }
    if column.not_null {
        text.push_str(" NOT NULL");
    }
    match (&column.generated, &column.identity, &column.default) {
        (Some(how), _, Some(expression)) => {
            let how = if how == "v" { "VIRTUAL" } else { "STORED" };
            text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) {how}"));
        }
        (None, Some(_), _) => text.push_str(" GENERATED BY DEFAULT AS IDENTITY"),
        (None, None, Some(expression)) => text.push_str(&format!(" DEFAULT {expression}")),
        _ => {}
    }
    text
}
