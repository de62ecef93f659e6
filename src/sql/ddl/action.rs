//! From a statement's node to what it does.

use super::alter::owned_by;
use super::object::renamed;
use super::reader::{RELATION, Reader, cascades, innermost, relation};
use super::setting;
use super::text;
use super::tree::{Node, SyntaxKind};
use super::{Action, Alter, Name, ObjectKind, Place};

/// Statements by their kind: what sort of object they drop.
fn dropped(kind: SyntaxKind) -> Option<ObjectKind> {
    Some(match kind {
        SyntaxKind::DROP_TABLE => ObjectKind::Table,
        SyntaxKind::DROP_FOREIGN_TABLE => ObjectKind::ForeignTable,
        SyntaxKind::DROP_VIEW => ObjectKind::View,
        SyntaxKind::DROP_MATERIALIZED_VIEW => ObjectKind::MaterializedView,
        SyntaxKind::DROP_INDEX => ObjectKind::Index,
        SyntaxKind::DROP_SEQUENCE => ObjectKind::Sequence,
        SyntaxKind::DROP_SCHEMA => ObjectKind::Schema,
        SyntaxKind::DROP_DATABASE => ObjectKind::Database,
        SyntaxKind::DROP_TYPE => ObjectKind::Type,
        SyntaxKind::DROP_DOMAIN => ObjectKind::Domain,
        SyntaxKind::DROP_FUNCTION | SyntaxKind::DROP_ROUTINE => ObjectKind::Function,
        SyntaxKind::DROP_PROCEDURE => ObjectKind::Procedure,
        SyntaxKind::DROP_AGGREGATE => ObjectKind::Aggregate,
        SyntaxKind::DROP_TRIGGER => ObjectKind::Trigger,
        SyntaxKind::DROP_EVENT_TRIGGER => ObjectKind::EventTrigger,
        SyntaxKind::DROP_POLICY => ObjectKind::Policy,
        SyntaxKind::DROP_RULE => ObjectKind::Rule,
        SyntaxKind::DROP_EXTENSION => ObjectKind::Extension,
        SyntaxKind::DROP_STATISTICS => ObjectKind::Statistics,
        SyntaxKind::DROP_PUBLICATION => ObjectKind::Publication,
        SyntaxKind::DROP_SUBSCRIPTION => ObjectKind::Subscription,
        SyntaxKind::DROP_ROLE | SyntaxKind::DROP_USER | SyntaxKind::DROP_GROUP => ObjectKind::Role,
        SyntaxKind::DROP_TABLESPACE => ObjectKind::Tablespace,
        SyntaxKind::DROP_OWNED => ObjectKind::Owned,
        SyntaxKind::DROP_ACCESS_METHOD
        | SyntaxKind::DROP_CAST
        | SyntaxKind::DROP_COLLATION
        | SyntaxKind::DROP_CONVERSION
        | SyntaxKind::DROP_FOREIGN_DATA_WRAPPER
        | SyntaxKind::DROP_LANGUAGE
        | SyntaxKind::DROP_OPERATOR
        | SyntaxKind::DROP_OPERATOR_CLASS
        | SyntaxKind::DROP_OPERATOR_FAMILY
        | SyntaxKind::DROP_PROPERTY_GRAPH
        | SyntaxKind::DROP_SERVER
        | SyntaxKind::DROP_TEXT_SEARCH_CONFIG
        | SyntaxKind::DROP_TEXT_SEARCH_DICT
        | SyntaxKind::DROP_TEXT_SEARCH_PARSER
        | SyntaxKind::DROP_TEXT_SEARCH_TEMPLATE
        | SyntaxKind::DROP_TRANSFORM
        | SyntaxKind::DROP_USER_MAPPING => ObjectKind::Other,
        _ => return None,
    })
}

/// `ALTER` of what is no relation.
fn altered(kind: SyntaxKind) -> Option<ObjectKind> {
    Some(match kind {
        SyntaxKind::ALTER_FUNCTION | SyntaxKind::ALTER_ROUTINE => ObjectKind::Function,
        SyntaxKind::ALTER_PROCEDURE => ObjectKind::Procedure,
        SyntaxKind::ALTER_AGGREGATE => ObjectKind::Aggregate,
        SyntaxKind::ALTER_SCHEMA => ObjectKind::Schema,
        SyntaxKind::ALTER_EXTENSION => ObjectKind::Extension,
        SyntaxKind::ALTER_TRIGGER => ObjectKind::Trigger,
        SyntaxKind::ALTER_EVENT_TRIGGER => ObjectKind::EventTrigger,
        SyntaxKind::ALTER_RULE => ObjectKind::Rule,
        SyntaxKind::ALTER_STATISTICS => ObjectKind::Statistics,
        SyntaxKind::ALTER_COLLATION
        | SyntaxKind::ALTER_CONVERSION
        | SyntaxKind::ALTER_DEFAULT_PRIVILEGES
        | SyntaxKind::ALTER_FOREIGN_DATA_WRAPPER
        | SyntaxKind::ALTER_LANGUAGE
        | SyntaxKind::ALTER_LARGE_OBJECT
        | SyntaxKind::ALTER_OPERATOR
        | SyntaxKind::ALTER_OPERATOR_CLASS
        | SyntaxKind::ALTER_OPERATOR_FAMILY
        | SyntaxKind::ALTER_SERVER
        | SyntaxKind::ALTER_TEXT_SEARCH_CONFIGURATION
        | SyntaxKind::ALTER_TEXT_SEARCH_DICTIONARY
        | SyntaxKind::ALTER_TEXT_SEARCH_PARSER
        | SyntaxKind::ALTER_TEXT_SEARCH_TEMPLATE
        | SyntaxKind::ALTER_USER_MAPPING => ObjectKind::Other,
        _ => return None,
    })
}

/// What has no meaning here, by the sort of thing it is about.
fn other(kind: SyntaxKind) -> ObjectKind {
    match kind {
        SyntaxKind::CREATE_DATABASE | SyntaxKind::ALTER_DATABASE | SyntaxKind::ALTER_SYSTEM => {
            ObjectKind::Database
        }
        SyntaxKind::CREATE_TABLESPACE | SyntaxKind::ALTER_TABLESPACE => ObjectKind::Tablespace,
        SyntaxKind::CREATE_ROLE
        | SyntaxKind::CREATE_USER
        | SyntaxKind::CREATE_GROUP
        | SyntaxKind::ALTER_ROLE
        | SyntaxKind::ALTER_USER
        | SyntaxKind::ALTER_GROUP => ObjectKind::Role,
        SyntaxKind::CREATE_SUBSCRIPTION | SyntaxKind::ALTER_SUBSCRIPTION => {
            ObjectKind::Subscription
        }
        SyntaxKind::CREATE_AGGREGATE => ObjectKind::Aggregate,
        SyntaxKind::CREATE_EVENT_TRIGGER => ObjectKind::EventTrigger,
        _ => ObjectKind::Other,
    }
}

/// The keywords of a statement: `ALTER TABLE`.
pub(super) fn verb(node: Node<'_>) -> String {
    match node.kind() {
        SyntaxKind::CREATE_INDEX => "CREATE INDEX".to_owned(),
        SyntaxKind::CREATE_TABLE => "CREATE TABLE".to_owned(),
        SyntaxKind::ALTER_TABLE => "ALTER TABLE".to_owned(),
        SyntaxKind::COMPOUND_SELECT | SyntaxKind::PAREN_SELECT | SyntaxKind::SELECT => {
            "SELECT".to_owned()
        }
        SyntaxKind::SAVEPOINT_CREATE => "SAVEPOINT".to_owned(),
        SyntaxKind::COMMIT_TRANSACTION => "COMMIT".to_owned(),
        SyntaxKind::ROLLBACK_TRANSACTION => "ROLLBACK".to_owned(),
        SyntaxKind::REFRESH => "REFRESH MATERIALIZED VIEW".to_owned(),
        SyntaxKind::SET_SESSION_AUTH => "SET SESSION AUTHORIZATION".to_owned(),
        SyntaxKind::RESET_SESSION_AUTH => "RESET SESSION AUTHORIZATION".to_owned(),
        SyntaxKind::LOCK => "LOCK TABLE".to_owned(),
        SyntaxKind::REASSIGN => "REASSIGN OWNED".to_owned(),
        kind => format!("{kind:?}").replace('_', " "),
    }
}

fn relations(reader: &Reader<'_>, list: Option<Node<'_>>) -> Vec<Place> {
    list.into_iter()
        .flat_map(Node::nodes)
        .filter(|child| RELATION.contains(&child.kind()))
        .map(|child| reader.place(innermost(child)))
        .collect()
}

/// Tables of VACUUM and ANALYZE.
fn maintained(node: Node<'_>) -> Vec<Name> {
    node.child(SyntaxKind::TABLE_AND_COLUMNS_LIST)
        .into_iter()
        .flat_map(Node::nodes)
        .filter_map(relation)
        .map(text::path)
        .collect()
}

impl Reader<'_> {
    /// What a statement does.
    pub(super) fn action(&self, node: Node<'_>) -> Action {
        let kind = node.kind();
        self.defined(node)
            .or_else(|| self.run(node))
            .or_else(|| setting::transaction(node).map(Action::Transaction))
            .or_else(|| setting::set(node))
            .or_else(|| dropped(kind).map(|object| Action::Drop(Box::new(self.drop(node, object)))))
            .or_else(|| {
                altered(kind).map(|kind| Action::AlterOther {
                    kind,
                    name: node.nodes().next().map(|name| {
                        // A signature's arguments have paths of their own.
                        text::path(name.nodes().next().unwrap_or(name))
                    }),
                    rename_to: renamed(node),
                })
            })
            .unwrap_or(Action::Other { kind: other(kind) })
    }

    fn altered_relation(&self, node: Node<'_>) -> Option<Alter> {
        let object = match node.kind() {
            SyntaxKind::ALTER_TABLE => ObjectKind::Table,
            SyntaxKind::ALTER_FOREIGN_TABLE => ObjectKind::ForeignTable,
            SyntaxKind::ALTER_VIEW => ObjectKind::View,
            SyntaxKind::ALTER_MATERIALIZED_VIEW => ObjectKind::MaterializedView,
            SyntaxKind::ALTER_INDEX => ObjectKind::Index,
            SyntaxKind::ALTER_SEQUENCE => ObjectKind::Sequence,
            _ => return None,
        };
        self.alter(node, object)
    }

    /// Definitions.
    fn defined(&self, node: Node<'_>) -> Option<Action> {
        let if_not_exists = || node.has(SyntaxKind::IF_NOT_EXISTS);
        match node.kind() {
            SyntaxKind::CREATE_TABLE | SyntaxKind::CREATE_FOREIGN_TABLE => {
                Some(Action::CreateTable(Box::new(self.create_table(node))))
            }
            SyntaxKind::CREATE_TABLE_AS | SyntaxKind::SELECT_INTO => {
                Some(Action::CreateTable(Box::new(self.create_table_as(node))))
            }
            SyntaxKind::ALTER_TABLE
            | SyntaxKind::ALTER_FOREIGN_TABLE
            | SyntaxKind::ALTER_VIEW
            | SyntaxKind::ALTER_MATERIALIZED_VIEW
            | SyntaxKind::ALTER_INDEX
            | SyntaxKind::ALTER_SEQUENCE => self
                .altered_relation(node)
                .map(|alter| Action::Alter(Box::new(alter))),
            SyntaxKind::CREATE_INDEX => self
                .create_index(node)
                .map(|index| Action::CreateIndex(Box::new(index))),
            SyntaxKind::CREATE_TYPE => Some(Action::CreateType(Self::create_type(node))),
            SyntaxKind::ALTER_TYPE => Some(Action::AlterType(Self::alter_type(node))),
            SyntaxKind::CREATE_DOMAIN => {
                Some(Action::CreateDomain(Box::new(self.create_domain(node))))
            }
            SyntaxKind::ALTER_DOMAIN => self
                .alter_domain(node)
                .map(|domain| Action::AlterDomain(Box::new(domain))),
            SyntaxKind::CREATE_VIEW | SyntaxKind::CREATE_MATERIALIZED_VIEW => self
                .create_view(node)
                .map(|view| Action::CreateView(Box::new(view))),
            SyntaxKind::CREATE_FUNCTION | SyntaxKind::CREATE_PROCEDURE => self
                .create_function(node)
                .map(|function| Action::CreateFunction(Box::new(function))),
            SyntaxKind::DO => Some(Action::Do(self.do_body(node))),
            SyntaxKind::CREATE_TRIGGER => self
                .create_trigger(node)
                .map(|trigger| Action::CreateTrigger(Box::new(trigger))),
            SyntaxKind::CREATE_POLICY => self
                .on_table(node, SyntaxKind::POLICY)
                .map(|(name, table)| Action::CreatePolicy { name, table }),
            SyntaxKind::ALTER_POLICY => self
                .on_table(node, SyntaxKind::POLICY_REF)
                .map(|(name, table)| Action::AlterPolicy { name, table }),
            SyntaxKind::CREATE_RULE => self
                .on_table(node, SyntaxKind::RULE)
                .map(|(name, table)| Action::CreateRule { name, table }),
            SyntaxKind::CREATE_SEQUENCE => Some(Action::CreateSequence {
                name: node
                    .child(SyntaxKind::SEQUENCE)
                    .map(text::path)
                    .unwrap_or_default(),
                if_not_exists: if_not_exists(),
                owned_by: node.child(SyntaxKind::OPTION_OWNED_BY).and_then(owned_by),
            }),
            SyntaxKind::CREATE_SCHEMA => {
                let target =
                    node.child_of(&[SyntaxKind::NAMED_SCHEMA, SyntaxKind::AUTHORIZATION_SCHEMA])?;
                Some(Action::CreateSchema {
                    name: text::simple(target.nodes().next()?),
                    if_not_exists: if_not_exists(),
                })
            }
            SyntaxKind::CREATE_EXTENSION => Some(Action::CreateExtension {
                name: node
                    .child(SyntaxKind::EXTENSION)
                    .map(text::simple)
                    .unwrap_or_default(),
                if_not_exists: if_not_exists(),
                schema: node
                    .child(SyntaxKind::EXTENSION_SCHEMA)
                    .and_then(|clause| clause.child(SyntaxKind::SCHEMA_REF))
                    .map(text::simple),
            }),
            SyntaxKind::CREATE_STATISTICS => Some(Action::CreateStatistics {
                name: node.child(SyntaxKind::STATISTICS).map(text::path),
                table: node
                    .child(SyntaxKind::FROM_TABLE)
                    .and_then(relation)
                    .map(|name| self.place(name)),
                if_not_exists: if_not_exists(),
            }),
            SyntaxKind::COMMENT_ON => Self::comment(node),
            SyntaxKind::GRANT | SyntaxKind::REVOKE => Some(Self::grant(node)),
            SyntaxKind::CREATE_PUBLICATION | SyntaxKind::ALTER_PUBLICATION => {
                Some(Action::Publication {
                    tables: node
                        .descendants()
                        .filter(|node| node.kind() == SyntaxKind::PUBLICATION_OBJECT_TABLE)
                        .filter_map(relation)
                        .map(text::path)
                        .collect(),
                })
            }
            _ => None,
        }
    }

    /// Statements that work on what is there.
    fn run(&self, node: Node<'_>) -> Option<Action> {
        match node.kind() {
            SyntaxKind::SELECT => Some(
                setting::set_config(node).unwrap_or_else(|| Action::Dml(Box::new(self.dml(node)))),
            ),
            SyntaxKind::INSERT
            | SyntaxKind::UPDATE
            | SyntaxKind::DELETE
            | SyntaxKind::MERGE
            | SyntaxKind::COPY
            | SyntaxKind::CALL
            | SyntaxKind::COMPOUND_SELECT
            | SyntaxKind::PAREN_SELECT
            | SyntaxKind::VALUES
            | SyntaxKind::TABLE => Some(Action::Dml(Box::new(self.dml(node)))),
            SyntaxKind::REINDEX => Some(Self::reindex(node)),
            SyntaxKind::REFRESH => Some(Action::Refresh {
                name: text::path(node.child(SyntaxKind::VIEW_REF)?),
                concurrently: node.has(SyntaxKind::CONCURRENTLY_KW),
                no_data: node.has(SyntaxKind::WITH_NO_DATA),
            }),
            SyntaxKind::TRUNCATE => Some(Action::Truncate {
                tables: relations(self, node.child(SyntaxKind::TABLE_LIST)),
                cascade: cascades(node),
            }),
            SyntaxKind::LOCK => Some(Action::Lock {
                tables: relations(self, node.child(SyntaxKind::RELATION_LIST)),
                only: node
                    .child(SyntaxKind::RELATION_LIST)
                    .into_iter()
                    .flat_map(Node::nodes)
                    .filter(|child| {
                        RELATION.contains(&child.kind()) && child.has(SyntaxKind::ONLY_KW)
                    })
                    .map(|child| self.place(innermost(child)).name)
                    .collect(),
                mode: node
                    .child(SyntaxKind::LOCK_MODE_CLAUSE)
                    .and_then(|clause| clause.nodes().next())
                    .map_or_else(
                        || "ACCESS EXCLUSIVE".to_owned(),
                        |mode| format!("{:?}", mode.kind()).replace('_', " "),
                    ),
            }),
            SyntaxKind::CLUSTER => Some(Action::Cluster {
                table: match node.child(SyntaxKind::CLUSTER_LEGACY) {
                    Some(legacy) => legacy.child(SyntaxKind::ON_PATH).and_then(relation),
                    None => relation(node),
                }
                .map(text::path),
                concurrently: false,
            }),
            SyntaxKind::REPACK => Some(Action::Cluster {
                table: maintained(node).into_iter().next(),
                concurrently: node
                    .child(SyntaxKind::OPTION_ITEM_LIST)
                    .is_some_and(|list| has_word(list, "concurrently")),
            }),
            SyntaxKind::VACUUM => Some(Action::Vacuum {
                full: node.has(SyntaxKind::FULL_KW)
                    || node
                        .child(SyntaxKind::VACUUM_OPTION_LIST)
                        .is_some_and(|list| has_word(list, "full")),
                tables: maintained(node),
            }),
            SyntaxKind::ANALYZE => Some(Action::Analyze {
                tables: maintained(node),
            }),
            _ => None,
        }
    }
}

/// An option of that name that is not switched off.
fn has_word(list: Node<'_>, word: &str) -> bool {
    list.nodes().any(|option| {
        let mut words = option.nodes().map(|part| part.text().to_ascii_lowercase());
        words.next().as_deref() == Some(word)
            && !matches!(words.next().as_deref(), Some("off" | "false" | "0" | "no"))
    })
}
