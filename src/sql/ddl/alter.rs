//! `ALTER` of relations.

use super::expression;
use super::reader::{Reader, relation};
use super::table::{BOUNDS, is_constraint};
use super::text;
use super::tree::{Node, SyntaxKind};
use super::type_name;
use super::{Alter, AlterKind, Command, ObjectKind, Place, Which};

/// Words at the head of an `ALTER`, before its commands.
fn is_head(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::IF_EXISTS
            | SyntaxKind::TABLE_RELATION_NAME
            | SyntaxKind::TABLE_NAME_REF
            | SyntaxKind::RELATION_NAME
            | SyntaxKind::RELATION_NAME_REF
            | SyntaxKind::VIEW_REF
            | SyntaxKind::INDEX_REF
            | SyntaxKind::SEQUENCE_REF
    )
}

/// A name without schema in a child of that kind.
fn named(node: Node<'_>, kind: SyntaxKind) -> String {
    node.child(kind)
        .map(|name| text::path(name).name)
        .unwrap_or_default()
}

fn options(node: Node<'_>) -> Vec<String> {
    node.child(SyntaxKind::ATTRIBUTE_LIST)
        .into_iter()
        .flat_map(Node::nodes)
        .filter_map(|option| {
            option
                .nodes()
                .find(|child| child.kind() == SyntaxKind::ATTRIBUTE_NAME)
        })
        .map(text::simple)
        .collect()
}

fn which(node: Node<'_>) -> Which {
    match node.nodes().next() {
        Some(target) if target.kind() == SyntaxKind::ALL => Which::All,
        Some(target) if target.kind() == SyntaxKind::USER => Which::User,
        Some(target) => Which::Named(text::simple(target)),
        None => Which::All,
    }
}

impl Reader<'_> {
    /// An `ALTER` of a relation; nothing for `ALL IN TABLESPACE`.
    pub(super) fn alter(&self, node: Node<'_>, object: ObjectKind) -> Option<Alter> {
        let target = relation(node)?;
        let only = node
            .child(SyntaxKind::TABLE_RELATION_NAME)
            .is_some_and(|name| name.has(SyntaxKind::ONLY_KW));
        let mut commands: Vec<Command> = Vec::with_capacity(1);
        for child in node.nodes().filter(|child| !is_head(child.kind())) {
            commands.push(Command {
                span: self.span(child),
                kind: self.command(child),
            });
        }
        // Histories are kept whole: what is not needed is given back.
        commands.shrink_to_fit();
        Some(Alter {
            object,
            relation: self.place(target),
            if_exists: node.has(SyntaxKind::IF_EXISTS),
            only,
            commands,
        })
    }

    fn relation_in(&self, node: Node<'_>) -> Place {
        relation(node).map_or_else(
            || Place {
                name: super::Name::default(),
                span: self.span(node),
            },
            |name| self.place(name),
        )
    }

    fn command(&self, node: Node<'_>) -> AlterKind {
        let if_exists = node.has(SyntaxKind::IF_EXISTS);
        let cascade = super::reader::cascades(node);
        match node.kind() {
            SyntaxKind::ADD_COLUMN => AlterKind::AddColumn {
                column: Box::new(self.column(node)),
                if_not_exists: node.has(SyntaxKind::IF_NOT_EXISTS),
            },
            SyntaxKind::DROP_COLUMN => AlterKind::DropColumn {
                column: named(node, SyntaxKind::COLUMN_NAME_REF),
                if_exists,
                cascade,
            },
            SyntaxKind::ADD_CONSTRAINT => node
                .nodes()
                .find(|child| is_constraint(child.kind()))
                .and_then(|child| self.constraint(child, None))
                .map_or(AlterKind::Other, |constraint| {
                    AlterKind::AddConstraint(Box::new(constraint))
                }),
            SyntaxKind::DROP_CONSTRAINT => AlterKind::DropConstraint {
                name: named(node, SyntaxKind::CONSTRAINT_NAME_REF),
                if_exists,
                cascade,
            },
            SyntaxKind::VALIDATE_CONSTRAINT => AlterKind::ValidateConstraint {
                name: named(node, SyntaxKind::CONSTRAINT_NAME_REF),
            },
            SyntaxKind::ALTER_CONSTRAINT => AlterKind::AlterConstraint {
                name: named(node, SyntaxKind::CONSTRAINT_NAME_REF),
                enforced: if node.has(SyntaxKind::NOT_ENFORCED) {
                    Some(false)
                } else {
                    node.has(SyntaxKind::ENFORCED).then_some(true)
                },
            },
            SyntaxKind::RENAME_CONSTRAINT => AlterKind::RenameConstraint {
                from: named(node, SyntaxKind::CONSTRAINT_NAME_REF),
                to: named(node, SyntaxKind::CONSTRAINT_NAME),
            },
            SyntaxKind::ALTER_COLUMN | SyntaxKind::ALTER_VIEW_COLUMN => self.alter_column(node),
            SyntaxKind::RENAME_COLUMN => AlterKind::RenameColumn {
                from: named(node, SyntaxKind::COLUMN_NAME_REF),
                to: named(node, SyntaxKind::COLUMN_NAME),
            },
            SyntaxKind::SET_SCHEMA => AlterKind::SetSchema {
                schema: named(node, SyntaxKind::SCHEMA_REF),
            },
            SyntaxKind::OWNER_TO => AlterKind::OwnerTo,
            SyntaxKind::ATTACH_PARTITION | SyntaxKind::ATTACH_INDEX_PARTITION => {
                let bound = node.child_of(BOUNDS);
                AlterKind::AttachPartition {
                    partition: Box::new(self.relation_in(node)),
                    bound: bound.map(|bound| self.written(bound)).unwrap_or_default(),
                    default: bound
                        .is_some_and(|bound| bound.kind() == SyntaxKind::PARTITION_DEFAULT),
                }
            }
            SyntaxKind::DETACH_PARTITION => AlterKind::DetachPartition {
                partition: Box::new(self.relation_in(node)),
                concurrently: node.has(SyntaxKind::DETACH_CONCURRENTLY),
                finalize: node.has(SyntaxKind::DETACH_FINALIZE),
            },
            SyntaxKind::CLUSTER_ON => AlterKind::ClusterOn {
                index: named(node, SyntaxKind::INDEX_REF),
            },
            SyntaxKind::REPLICA_IDENTITY => AlterKind::ReplicaIdentity {
                index: node
                    .child(SyntaxKind::USING_INDEX_NAME)
                    .map(|clause| named(clause, SyntaxKind::INDEX_REF)),
            },
            SyntaxKind::INHERIT_TABLE => AlterKind::Inherit {
                parent: self.relation_in(node).name,
            },
            SyntaxKind::NO_INHERIT_TABLE => AlterKind::NoInherit {
                parent: self.relation_in(node).name,
            },
            SyntaxKind::SET_ACCESS_METHOD => AlterKind::SetAccessMethod {
                method: node
                    .child(SyntaxKind::ACCESS_METHOD_REF)
                    .map_or_else(|| "default".to_owned(), text::simple),
            },
            SyntaxKind::SET_TABLESPACE => AlterKind::SetTablespace {
                tablespace: named(node, SyntaxKind::TABLESPACE_REF),
            },
            SyntaxKind::SET_OPTIONS => AlterKind::SetOptions(options(node)),
            SyntaxKind::RESET_OPTIONS => AlterKind::ResetOptions(options(node)),
            SyntaxKind::OPTION_OWNED_BY => {
                owned_by(node).map_or(AlterKind::Other, |(table, column)| AlterKind::OwnedBy {
                    table,
                    column,
                })
            }
            SyntaxKind::TABLE_RENAME_TO
            | SyntaxKind::VIEW_RENAME_TO
            | SyntaxKind::INDEX_RENAME_TO
            | SyntaxKind::SEQUENCE_RENAME_TO => AlterKind::RenameTo {
                name: node
                    .nodes()
                    .next()
                    .map(|name| text::path(name).name)
                    .unwrap_or_default(),
            },
            other => plain(other, node),
        }
    }

    fn alter_column(&self, node: Node<'_>) -> AlterKind {
        let column = named(node, SyntaxKind::COLUMN_NAME_REF);
        let Some(option) = node
            .nodes()
            .find(|child| child.kind() != SyntaxKind::COLUMN_NAME_REF)
        else {
            return AlterKind::Other;
        };
        match option.kind() {
            SyntaxKind::SET_TYPE => {
                let Some(type_name) =
                    type_name::first(option).and_then(|node| self.type_name(node))
                else {
                    return AlterKind::Other;
                };
                AlterKind::SetType {
                    column,
                    type_name: Box::new(type_name),
                    using: option
                        .child(SyntaxKind::USING_EXPR)
                        .and_then(expression::first)
                        .map(|using| Box::new(self.expression(using))),
                    collation: option
                        .child(SyntaxKind::COLLATE)
                        .map(|collate| named(collate, SyntaxKind::COLLATION_REF)),
                }
            }
            SyntaxKind::SET_DEFAULT => match expression::first(option) {
                Some(default) => AlterKind::SetDefault {
                    column,
                    default: Box::new(self.expression(default)),
                },
                None => AlterKind::Other,
            },
            SyntaxKind::DROP_DEFAULT => AlterKind::DropDefault { column },
            SyntaxKind::SET_NOT_NULL => AlterKind::SetNotNull { column },
            SyntaxKind::DROP_NOT_NULL => AlterKind::DropNotNull { column },
            SyntaxKind::SET_EXPRESSION => AlterKind::SetExpression { column },
            SyntaxKind::DROP_EXPRESSION => AlterKind::DropExpression { column },
            SyntaxKind::ADD_GENERATED => AlterKind::AddIdentity { column },
            SyntaxKind::DROP_IDENTITY => AlterKind::DropIdentity { column },
            SyntaxKind::SET_GENERATED
            | SyntaxKind::SET_GENERATED_OPTIONS
            | SyntaxKind::SET_SEQUENCE_OPTION
            | SyntaxKind::RESTART => AlterKind::SetIdentity { column },
            SyntaxKind::SET_STATISTICS => AlterKind::SetStatistics { column },
            SyntaxKind::SET_STORAGE => AlterKind::SetStorage { column },
            SyntaxKind::SET_COMPRESSION => AlterKind::SetCompression { column },
            SyntaxKind::SET_OPTIONS | SyntaxKind::RESET_OPTIONS | SyntaxKind::SET_OPTIONS_LIST => {
                AlterKind::SetColumnOptions { column }
            }
            _ => AlterKind::Other,
        }
    }
}

/// `OWNED BY table.column`; nothing for NONE.
pub(super) fn owned_by(node: Node<'_>) -> Option<(super::Name, String)> {
    let mut parts = text::parts(node.child(SyntaxKind::QUALIFIED_COLUMN_NAME_REF)?);
    let column = parts.pop()?;
    let name = parts.pop()?;
    Some((
        super::Name {
            schema: parts.pop(),
            name,
        },
        column,
    ))
}

/// Commands of words alone.
fn plain(kind: SyntaxKind, node: Node<'_>) -> AlterKind {
    match kind {
        SyntaxKind::SET_WITHOUT_CLUSTER => AlterKind::SetWithoutCluster,
        SyntaxKind::SET_WITHOUT_OIDS => AlterKind::SetWithoutOids,
        SyntaxKind::SET_LOGGED | SyntaxKind::OPTION_LOGGED => AlterKind::SetLogged,
        SyntaxKind::SET_UNLOGGED | SyntaxKind::OPTION_UNLOGGED => AlterKind::SetUnlogged,
        SyntaxKind::OF_TYPE => AlterKind::OfType,
        SyntaxKind::NOT_OF => AlterKind::NotOf,
        SyntaxKind::ENABLE_TRIGGER
        | SyntaxKind::ENABLE_REPLICA_TRIGGER
        | SyntaxKind::ENABLE_ALWAYS_TRIGGER => AlterKind::EnableTrigger(which(node)),
        SyntaxKind::DISABLE_TRIGGER => AlterKind::DisableTrigger(which(node)),
        SyntaxKind::ENABLE_RULE
        | SyntaxKind::ENABLE_REPLICA_RULE
        | SyntaxKind::ENABLE_ALWAYS_RULE => AlterKind::EnableRule,
        SyntaxKind::DISABLE_RULE => AlterKind::DisableRule,
        SyntaxKind::ENABLE_RLS => AlterKind::EnableRowSecurity,
        SyntaxKind::DISABLE_RLS => AlterKind::DisableRowSecurity,
        SyntaxKind::FORCE_RLS => AlterKind::ForceRowSecurity,
        SyntaxKind::NO_FORCE_RLS => AlterKind::NoForceRowSecurity,
        _ => AlterKind::Other,
    }
}
