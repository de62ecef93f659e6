//! `CREATE TABLE`: columns and constraints.

use super::expression;
use super::reader::{Reader, names, simple_names};
use super::text;
use super::tree::{Node, SyntaxKind};
use super::type_name;
use super::{
    ColumnDefinition, Constraint, ConstraintKind, CreateTable, Generated, IndexKey, PartitionBy,
    PartitionOf, Persistence, Place, Referential,
};
use crate::source::Span;

/// Nodes that are a bound of a partition.
pub(super) const BOUNDS: &[SyntaxKind] = &[
    SyntaxKind::PARTITION_FOR_VALUES_FROM,
    SyntaxKind::PARTITION_FOR_VALUES_IN,
    SyntaxKind::PARTITION_FOR_VALUES_WITH,
    SyntaxKind::PARTITION_DEFAULT,
];

/// Nodes that are a constraint, or what else a column has.
pub(super) fn is_constraint(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::CHECK_CONSTRAINT
            | SyntaxKind::DEFAULT_CONSTRAINT
            | SyntaxKind::EXCLUDE_CONSTRAINT
            | SyntaxKind::FOREIGN_KEY_CONSTRAINT
            | SyntaxKind::GENERATED_CONSTRAINT
            | SyntaxKind::NOT_NULL_CONSTRAINT
            | SyntaxKind::NULL_CONSTRAINT
            | SyntaxKind::PRIMARY_KEY_CONSTRAINT
            | SyntaxKind::REFERENCES_CONSTRAINT
            | SyntaxKind::UNIQUE_CONSTRAINT
    )
}

/// `TEMPORARY` or `UNLOGGED` among the children.
pub(super) fn persistence(node: Node<'_>) -> Persistence {
    if node.has(SyntaxKind::TEMP) {
        Persistence::Temporary
    } else if node.has(SyntaxKind::UNLOGGED) {
        Persistence::Unlogged
    } else {
        Persistence::Permanent
    }
}

impl Reader<'_> {
    /// The place of the name of what is created.
    fn created(&self, node: Node<'_>, kind: SyntaxKind) -> Place {
        node.child(kind).map_or_else(
            || Place {
                name: super::Name::default(),
                span: self.span(node),
            },
            |name| self.place(name),
        )
    }

    /// `CREATE [FOREIGN] TABLE`.
    pub(super) fn create_table(&self, node: Node<'_>) -> CreateTable {
        let mut table = CreateTable {
            table: self.created(node, SyntaxKind::TABLE_NAME),
            if_not_exists: node.has(SyntaxKind::IF_NOT_EXISTS),
            persistence: persistence(node),
            foreign: node.kind() == SyntaxKind::CREATE_FOREIGN_TABLE,
            columns: Vec::new(),
            constraints: Vec::new(),
            like: Vec::new(),
            inherits: Vec::new(),
            partition_of: None,
            partition_by: None,
            of_type: node
                .child(SyntaxKind::OF_TYPE)
                .and_then(|of| of.nodes().next())
                .map(text::path),
            query: None,
        };
        for child in node.nodes() {
            match child.kind() {
                SyntaxKind::TABLE_ARG_LIST => self.table_arguments(child, &mut table),
                SyntaxKind::INHERITS => {
                    table.inherits = names(child, SyntaxKind::TABLE_NAME_REF);
                }
                SyntaxKind::PARTITION_OF => {
                    if let Some(parent) = child.child(SyntaxKind::TABLE_NAME_REF) {
                        table.partition_of = Some(PartitionOf {
                            parent: self.place(parent),
                            bound: String::new(),
                            default: false,
                        });
                    }
                }
                SyntaxKind::PARTITION_BY => table.partition_by = self.partition_by(child),
                kind if BOUNDS.contains(&kind) => {
                    if let Some(partition) = &mut table.partition_of {
                        partition.bound = self.written(child);
                        partition.default = kind == SyntaxKind::PARTITION_DEFAULT;
                    }
                }
                _ => {}
            }
        }
        table
    }

    /// `CREATE TABLE … AS`, `SELECT … INTO`.
    pub(super) fn create_table_as(&self, node: Node<'_>) -> CreateTable {
        let into = node.child(SyntaxKind::INTO_CLAUSE);
        let head = into.unwrap_or(node);
        CreateTable {
            table: self.created(head, SyntaxKind::TABLE_NAME),
            if_not_exists: node.has(SyntaxKind::IF_NOT_EXISTS),
            persistence: persistence(head),
            foreign: false,
            columns: Vec::new(),
            constraints: Vec::new(),
            like: Vec::new(),
            inherits: Vec::new(),
            partition_of: None,
            partition_by: None,
            of_type: None,
            query: Some(super::dml::reads(node)),
        }
    }

    fn table_arguments(&self, list: Node<'_>, table: &mut CreateTable) {
        for child in list.nodes() {
            match child.kind() {
                SyntaxKind::COLUMN => table.columns.push(self.column(child)),
                SyntaxKind::LIKE_CLAUSE => {
                    if let Some(name) = child.child(SyntaxKind::RELATION_NAME_REF) {
                        let including = child
                            .nodes()
                            .filter(|option| option.kind() == SyntaxKind::INCLUDING_PROPERTY)
                            .filter_map(|option| option.nodes().next())
                            .map(|property| property.text().to_ascii_uppercase())
                            .collect();
                        table.like.push((text::path(name), including));
                    }
                }
                kind if is_constraint(kind) => {
                    table.constraints.extend(self.constraint(child, None));
                }
                _ => {}
            }
        }
        // Histories are kept whole: what is not needed is given back.
        table.columns.shrink_to_fit();
        table.constraints.shrink_to_fit();
    }

    fn partition_by(&self, node: Node<'_>) -> Option<PartitionBy> {
        let strategy = node.child(SyntaxKind::PARTITION_STRATEGY)?;
        let keys = node
            .child(SyntaxKind::PARTITION_ITEM_LIST)?
            .nodes()
            .filter_map(expression::first)
            .map(|key| match key.kind() {
                SyntaxKind::NAME_REF => text::simple(key),
                _ => self.written(key),
            })
            .collect();
        Some(PartitionBy {
            strategy: text::simple(strategy),
            keys,
        })
    }

    /// A column of `CREATE TABLE` or `ADD COLUMN`.
    pub(super) fn column(&self, node: Node<'_>) -> ColumnDefinition {
        let name_node = node.child(SyntaxKind::COLUMN_NAME);
        let name = name_node.map(text::simple).unwrap_or_default();
        let end = node.end();
        let start = name_node.map_or(node.start(), Node::start);
        let type_name = type_name::first(node).and_then(|node| self.type_name(node));
        let mut column = ColumnDefinition {
            span: self.bytes(start, end),
            name_span: name_node.map_or_else(|| self.span(node), |node| self.span(node)),
            collation: None,
            default: None,
            generated: None,
            identity: false,
            not_null: type_name.as_ref().is_some_and(|name| name.serial),
            type_name: type_name.map(Box::new),
            constraints: Vec::new(),
            name,
        };
        for child in node.nodes() {
            match child.kind() {
                SyntaxKind::COLLATE => {
                    column.collation = child
                        .child(SyntaxKind::COLLATION_REF)
                        .map(|name| text::path(name).name);
                }
                SyntaxKind::DEFAULT_CONSTRAINT => {
                    column.default =
                        expression::first(child).map(|value| Box::new(self.expression(value)));
                }
                SyntaxKind::GENERATED_CONSTRAINT => {
                    if let Some(stored) = child.child(SyntaxKind::GENERATED_STORED) {
                        column.generated = self.generated(stored).map(Box::new);
                    } else {
                        column.identity = true;
                        column.not_null = true;
                    }
                }
                kind if is_constraint(kind) => {
                    let constraint = self.constraint(child, Some(&column.name));
                    if let Some(constraint) = constraint {
                        column.not_null |= matches!(
                            constraint.kind,
                            ConstraintKind::NotNull | ConstraintKind::PrimaryKey
                        );
                        column.constraints.reserve_exact(1);
                        column.constraints.push(constraint);
                    }
                }
                _ => {}
            }
        }
        column
    }

    fn generated(&self, node: Node<'_>) -> Option<Generated> {
        Some(Generated {
            expression: self.expression(expression::first(node)?),
            stored: match (node.has(SyntaxKind::STORED), node.has(SyntaxKind::VIRTUAL)) {
                (true, _) => Some(true),
                (_, true) => Some(false),
                _ => None,
            },
        })
    }

    /// A constraint; nothing for DEFAULT, GENERATED and NULL, which are none.
    pub(super) fn constraint(&self, node: Node<'_>, column: Option<&str>) -> Option<Constraint> {
        let mut columns: Vec<String> = column.map(str::to_owned).into_iter().collect();
        let parameters = node.child(SyntaxKind::INDEX_PARAMETERS);
        let keys = || {
            parameters
                .and_then(|parameters| parameters.child(SyntaxKind::CONSTRAINT_COLUMN_REF_LIST))
                .map(|list| simple_names(list, SyntaxKind::COLUMN_NAME_REF))
        };
        let kind = match node.kind() {
            SyntaxKind::NOT_NULL_CONSTRAINT => {
                if let Some(name) = node.child(SyntaxKind::COLUMN_NAME_REF) {
                    columns = vec![text::simple(name)];
                }
                ConstraintKind::NotNull
            }
            SyntaxKind::PRIMARY_KEY_CONSTRAINT => {
                columns = keys().unwrap_or(columns);
                ConstraintKind::PrimaryKey
            }
            SyntaxKind::UNIQUE_CONSTRAINT => {
                columns = keys().unwrap_or(columns);
                ConstraintKind::Unique {
                    nulls_not_distinct: node.has(SyntaxKind::NULLS_NOT_DISTINCT)
                        || parameters.is_some_and(|node| node.has(SyntaxKind::NULLS_NOT_DISTINCT)),
                }
            }
            SyntaxKind::CHECK_CONSTRAINT => {
                let expression = self.expression(expression::first(node)?);
                if column.is_none() || !expression.columns.is_empty() {
                    columns.clone_from(&expression.columns);
                }
                ConstraintKind::Check {
                    expression: Box::new(expression),
                }
            }
            SyntaxKind::FOREIGN_KEY_CONSTRAINT => {
                let mut lists = node
                    .nodes()
                    .filter(|child| child.kind() == SyntaxKind::FOREIGN_KEY_COLUMN_LIST)
                    .map(|list| simple_names(list, SyntaxKind::COLUMN_NAME_REF));
                columns = lists.next().unwrap_or_default();
                ConstraintKind::ForeignKey {
                    table: Box::new(self.place(node.child(SyntaxKind::TABLE_NAME_REF)?)),
                    columns: lists.next().unwrap_or_default(),
                    on_delete: referential(node, SyntaxKind::ON_DELETE_ACTION),
                    on_update: referential(node, SyntaxKind::ON_UPDATE_ACTION),
                }
            }
            SyntaxKind::REFERENCES_CONSTRAINT => ConstraintKind::ForeignKey {
                table: Box::new(self.place(node.child(SyntaxKind::TABLE_NAME_REF)?)),
                columns: simple_names(node, SyntaxKind::COLUMN_NAME_REF),
                on_delete: referential(node, SyntaxKind::ON_DELETE_ACTION),
                on_update: referential(node, SyntaxKind::ON_UPDATE_ACTION),
            },
            SyntaxKind::EXCLUDE_CONSTRAINT => {
                let keys: Vec<IndexKey> = node
                    .child(SyntaxKind::CONSTRAINT_EXCLUSION_LIST)
                    .into_iter()
                    .flat_map(Node::nodes)
                    .filter_map(|item| self.index_key(item))
                    .collect();
                columns = keys.iter().filter_map(|key| key.column.clone()).collect();
                ConstraintKind::Exclusion {
                    method: node
                        .child(SyntaxKind::CONSTRAINT_INDEX_METHOD)
                        .and_then(|method| method.child(SyntaxKind::ACCESS_METHOD_REF))
                        // Without USING it is the default method.
                        .map_or_else(|| "btree".to_owned(), text::simple),
                    keys,
                    predicate: node
                        .child(SyntaxKind::WHERE_CONDITION_CLAUSE)
                        .and_then(expression::first)
                        .map(|predicate| Box::new(self.expression(predicate))),
                }
            }
            _ => return None,
        };
        Some(Constraint {
            span: self.span(node),
            name: node
                .child(SyntaxKind::CONSTRAINT_NAME_CLAUSE)
                .and_then(|clause| clause.child(SyntaxKind::CONSTRAINT_NAME))
                .map(text::simple),
            kind,
            columns,
            not_valid: node.has(SyntaxKind::NOT_VALID),
            not_enforced: node.has(SyntaxKind::NOT_ENFORCED),
            deferrable: node.has(SyntaxKind::DEFERRABLE_CONSTRAINT_OPTION)
                || node.has(SyntaxKind::INITIALLY_DEFERRED_CONSTRAINT_OPTION),
            no_inherit: node.has(SyntaxKind::NO_INHERIT),
            using_index: node
                .child(SyntaxKind::USING_INDEX_NAME)
                .and_then(|clause| clause.child(SyntaxKind::INDEX_REF))
                .map(|index| text::path(index).name),
            include: parameters
                .unwrap_or(node)
                .child(SyntaxKind::CONSTRAINT_INCLUDE_CLAUSE)
                .and_then(|clause| clause.child(SyntaxKind::COLUMN_REF_LIST))
                .map(|list| list.nodes().map(text::simple).collect())
                .unwrap_or_default(),
        })
    }
}

/// What is said of one of the two actions of a foreign key.
fn referential(node: Node<'_>, clause: SyntaxKind) -> Referential {
    let said = [
        (SyntaxKind::RESTRICT, Referential::Restrict),
        (SyntaxKind::CASCADE, Referential::Cascade),
        (SyntaxKind::SET_NULL_COLUMNS, Referential::SetNull),
        (SyntaxKind::SET_DEFAULT_COLUMNS, Referential::SetDefault),
    ];
    node.child(clause)
        .and_then(|clause| {
            let found = said.iter().find(|(kind, _)| clause.has(*kind));
            found.map(|(_, action)| *action)
        })
        .unwrap_or_default()
}

/// The columns without a type, which only other databases take.
pub(super) fn untyped(table: &CreateTable) -> Option<(String, Span)> {
    if table.partition_of.is_some() || table.query.is_some() {
        return None;
    }
    table
        .columns
        .iter()
        .find(|column| column.type_name.is_none())
        .map(|column| (column.name.clone(), column.name_span))
}
