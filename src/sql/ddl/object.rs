//! Types, domains, views, triggers and other objects around tables.

use super::expression;
use super::reader::{Reader, cascades, names, relation};
use super::text;
use super::tree::{Node, SyntaxKind};
use super::type_name;
use super::{
    Action, AlterDomain, AlterDomainKind, AlterType, AlterTypeKind, CreateDomain, CreateTrigger,
    CreateType, CreateView, Name, ObjectKind, Place, TypeShape,
};

fn child_name(node: Node<'_>, kind: SyntaxKind) -> Option<String> {
    node.child(kind).map(|name| text::path(name).name)
}

fn literal(node: Node<'_>, nth: usize) -> String {
    node.nodes()
        .filter(|child| child.kind() == SyntaxKind::LITERAL)
        .nth(nth)
        .and_then(text::string)
        .unwrap_or_default()
}

/// `RENAME TO` among the children: the new name.
pub(super) fn renamed(node: Node<'_>) -> Option<String> {
    node.nodes()
        .find(|child| child.has(SyntaxKind::RENAME_KW))
        .and_then(|clause| clause.nodes().last())
        .map(|name| text::path(name).name)
}

impl Reader<'_> {
    /// `CREATE TYPE`.
    pub(super) fn create_type(node: Node<'_>) -> CreateType {
        let shape = node.child(SyntaxKind::ENUM_TYPE).map(|kind| {
            let values = kind
                .child(SyntaxKind::VARIANT_LIST)
                .into_iter()
                .flat_map(Node::nodes)
                .map(|variant| literal(variant, 0))
                .collect();
            TypeShape::Enum(values)
        });
        CreateType {
            name: node
                .child(SyntaxKind::TYPE_NAME)
                .map(text::path)
                .unwrap_or_default(),
            shape: shape.unwrap_or(TypeShape::Other),
        }
    }

    /// `ALTER TYPE`.
    pub(super) fn alter_type(node: Node<'_>) -> AlterType {
        let action = node
            .nodes()
            .find(|child| child.kind() != SyntaxKind::TYPE_NAME_REF);
        let kind = action.map_or(AlterTypeKind::Other, |action| match action.kind() {
            SyntaxKind::ADD_VALUE => AlterTypeKind::AddValue {
                value: literal(action, 0),
                if_not_exists: action.has(SyntaxKind::IF_NOT_EXISTS),
                placed: action.has(SyntaxKind::BEFORE_VALUE) || action.has(SyntaxKind::AFTER_VALUE),
            },
            SyntaxKind::RENAME_VALUE => AlterTypeKind::RenameValue {
                from: literal(action, 0),
                to: literal(action, 1),
            },
            SyntaxKind::TYPE_RENAME_TO => AlterTypeKind::RenameTo {
                name: child_name(action, SyntaxKind::TYPE_NAME).unwrap_or_default(),
            },
            SyntaxKind::SET_SCHEMA => AlterTypeKind::SetSchema {
                schema: child_name(action, SyntaxKind::SCHEMA_REF).unwrap_or_default(),
            },
            SyntaxKind::ALTER_TYPE_ATTRIBUTE_ACTION_LIST => AlterTypeKind::Attributes {
                cascade: action.nodes().any(cascades),
                retyped: action
                    .nodes()
                    .any(|one| one.kind() == SyntaxKind::ALTER_ATTRIBUTE),
            },
            SyntaxKind::RENAME_ATTRIBUTE => AlterTypeKind::Attributes {
                cascade: cascades(action),
                retyped: false,
            },
            _ => AlterTypeKind::Other,
        });
        AlterType {
            name: node
                .child(SyntaxKind::TYPE_NAME_REF)
                .map(text::path)
                .unwrap_or_default(),
            kind,
        }
    }

    /// `CREATE DOMAIN`.
    pub(super) fn create_domain(&self, node: Node<'_>) -> CreateDomain {
        let mut domain = CreateDomain {
            name: node
                .child(SyntaxKind::DOMAIN)
                .map(text::path)
                .unwrap_or_default(),
            type_name: type_name::first(node).and_then(|node| self.type_name(node)),
            not_null: node.has(SyntaxKind::NOT_NULL_CONSTRAINT),
            checks: Vec::new(),
            default: None,
        };
        for child in node.nodes() {
            let value = || expression::first(child).map(|value| self.expression(value));
            match child.kind() {
                SyntaxKind::CHECK_CONSTRAINT => domain.checks.extend(value()),
                SyntaxKind::DEFAULT_CONSTRAINT => domain.default = value(),
                _ => {}
            }
        }
        domain
    }

    /// `ALTER DOMAIN`.
    pub(super) fn alter_domain(&self, node: Node<'_>) -> Option<AlterDomain> {
        let action = node
            .nodes()
            .find(|child| child.kind() != SyntaxKind::DOMAIN_REF)?;
        let constraint = || child_name(action, SyntaxKind::CONSTRAINT_NAME_REF).unwrap_or_default();
        let kind = match action.kind() {
            SyntaxKind::ADD_CONSTRAINT => {
                let added = action.nodes().next()?;
                if added.kind() == SyntaxKind::NOT_NULL_CONSTRAINT {
                    AlterDomainKind::SetNotNull
                } else {
                    AlterDomainKind::AddConstraint {
                        constraint: added
                            .child(SyntaxKind::CONSTRAINT_NAME_CLAUSE)
                            .and_then(|clause| child_name(clause, SyntaxKind::CONSTRAINT_NAME)),
                        not_valid: added.has(SyntaxKind::NOT_VALID),
                    }
                }
            }
            SyntaxKind::VALIDATE_CONSTRAINT => AlterDomainKind::ValidateConstraint {
                constraint: constraint(),
            },
            SyntaxKind::DROP_CONSTRAINT => AlterDomainKind::DropConstraint {
                constraint: constraint(),
            },
            SyntaxKind::SET_NOT_NULL => AlterDomainKind::SetNotNull,
            SyntaxKind::DROP_NOT_NULL => AlterDomainKind::DropNotNull,
            SyntaxKind::DOMAIN_RENAME_TO => AlterDomainKind::RenameTo {
                name: child_name(action, SyntaxKind::DOMAIN).unwrap_or_default(),
            },
            SyntaxKind::SET_SCHEMA => AlterDomainKind::SetSchema {
                schema: child_name(action, SyntaxKind::SCHEMA_REF).unwrap_or_default(),
            },
            _ => AlterDomainKind::Other,
        };
        Some(AlterDomain {
            name: self.place(node.child(SyntaxKind::DOMAIN_REF)?),
            kind,
        })
    }

    /// `CREATE [MATERIALIZED] VIEW`.
    pub(super) fn create_view(&self, node: Node<'_>) -> Option<CreateView> {
        let name = self.place(node.child(SyntaxKind::VIEW)?);
        let mut reads = super::dml::reads(node);
        // WITH RECURSIVE in disguise: such a view reads itself.
        if node.has(SyntaxKind::RECURSIVE_KW) {
            reads.retain(|read| *read != name.name);
        }
        Some(CreateView {
            materialized: node.kind() == SyntaxKind::CREATE_MATERIALIZED_VIEW,
            or_replace: node.has(SyntaxKind::OR_REPLACE),
            if_not_exists: node.has(SyntaxKind::IF_NOT_EXISTS),
            no_data: node.has(SyntaxKind::WITH_NO_DATA),
            reads,
            name,
        })
    }

    /// `CREATE TRIGGER`.
    pub(super) fn create_trigger(&self, node: Node<'_>) -> Option<CreateTrigger> {
        Some(CreateTrigger {
            name: child_name(node, SyntaxKind::TRIGGER)?,
            table: self.place(relation(node.child(SyntaxKind::ON_RELATION)?)?),
            or_replace: node.has(SyntaxKind::OR_REPLACE),
            constraint: node.has(SyntaxKind::CONSTRAINT_KW),
            from: node
                .child(SyntaxKind::FROM_TABLE)
                .and_then(relation)
                .map(|name| self.place(name)),
            row: node.has(SyntaxKind::FOR_EACH_ROW),
            function: node
                .child(SyntaxKind::CALL_EXPR)
                .and_then(|call| expression::dotted(call.nodes().next()?))
                .unwrap_or_default(),
        })
    }

    /// A policy's or rule's name and table.
    pub(super) fn on_table(&self, node: Node<'_>, name: SyntaxKind) -> Option<(String, Place)> {
        let clause = node.child_of(&[
            SyntaxKind::ON_TABLE,
            SyntaxKind::ON_RELATION,
            SyntaxKind::RULE_ON,
        ])?;
        Some((child_name(node, name)?, self.place(relation(clause)?)))
    }

    /// `COMMENT ON`.
    pub(super) fn comment(node: Node<'_>) -> Option<Action> {
        let object = node
            .nodes()
            .find(|child| child.kind() != SyntaxKind::LITERAL)?;
        let (kind, relation) = match object.kind() {
            SyntaxKind::OBJECT_COLUMN => {
                let mut parts = text::parts(object.child(SyntaxKind::QUALIFIED_COLUMN_NAME_REF)?);
                parts.pop();
                let name = parts.pop()?;
                let schema = parts.pop();
                (ObjectKind::Column, Some(Name { schema, name }))
            }
            SyntaxKind::OBJECT_TABLE => (ObjectKind::Table, named_relation(object)),
            SyntaxKind::OBJECT_FOREIGN_TABLE => (ObjectKind::ForeignTable, named_relation(object)),
            SyntaxKind::OBJECT_VIEW => (ObjectKind::View, named_relation(object)),
            SyntaxKind::OBJECT_MATERIALIZED_VIEW => {
                (ObjectKind::MaterializedView, named_relation(object))
            }
            SyntaxKind::OBJECT_INDEX => (ObjectKind::Index, named_relation(object)),
            SyntaxKind::OBJECT_SEQUENCE => (ObjectKind::Sequence, named_relation(object)),
            SyntaxKind::OBJECT_CONSTRAINT => (ObjectKind::Constraint, named_relation(object)),
            SyntaxKind::OBJECT_TRIGGER => (ObjectKind::Trigger, named_relation(object)),
            SyntaxKind::OBJECT_RULE => (ObjectKind::Rule, named_relation(object)),
            SyntaxKind::OBJECT_POLICY => (ObjectKind::Policy, named_relation(object)),
            other => (object_kind(other), None),
        };
        Some(Action::Comment { kind, relation })
    }

    /// `GRANT`, `REVOKE`.
    pub(super) fn grant(node: Node<'_>) -> Action {
        let relations = node
            .child(SyntaxKind::ON_PRIVILEGE_OBJECTS_CLAUSE)
            .and_then(|clause| {
                clause.child_of(&[SyntaxKind::PRIVILEGE_DEFAULT, SyntaxKind::PRIVILEGE_TABLE])
            })
            .map(|list| names(list, SyntaxKind::RELATION_NAME_REF))
            .unwrap_or_default();
        Action::Grant {
            revoke: node.kind() == SyntaxKind::REVOKE,
            relations,
        }
    }
}

fn named_relation(object: Node<'_>) -> Option<Name> {
    relation(object).map(text::path)
}

/// The kind of object of `OBJECT_…` nodes.
fn object_kind(kind: SyntaxKind) -> ObjectKind {
    match kind {
        SyntaxKind::OBJECT_SCHEMA => ObjectKind::Schema,
        SyntaxKind::OBJECT_DATABASE => ObjectKind::Database,
        SyntaxKind::OBJECT_TYPE => ObjectKind::Type,
        SyntaxKind::OBJECT_DOMAIN => ObjectKind::Domain,
        SyntaxKind::OBJECT_FUNCTION | SyntaxKind::OBJECT_ROUTINE => ObjectKind::Function,
        SyntaxKind::OBJECT_PROCEDURE => ObjectKind::Procedure,
        SyntaxKind::OBJECT_AGGREGATE => ObjectKind::Aggregate,
        SyntaxKind::OBJECT_EVENT_TRIGGER => ObjectKind::EventTrigger,
        SyntaxKind::OBJECT_EXTENSION => ObjectKind::Extension,
        SyntaxKind::OBJECT_STATISTICS => ObjectKind::Statistics,
        SyntaxKind::OBJECT_PUBLICATION => ObjectKind::Publication,
        SyntaxKind::OBJECT_SUBSCRIPTION => ObjectKind::Subscription,
        SyntaxKind::OBJECT_ROLE => ObjectKind::Role,
        SyntaxKind::OBJECT_TABLESPACE => ObjectKind::Tablespace,
        _ => ObjectKind::Other,
    }
}
