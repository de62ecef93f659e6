//! `CREATE INDEX`, `REINDEX` and `DROP`.

use super::expression;
use super::reader::{Reader, cascades, relation};
use super::text;
use super::tree::{Node, SyntaxKind};
use super::{Action, CreateIndex, Drop, IndexKey, Name, ObjectKind, Place};

impl Reader<'_> {
    /// `CREATE INDEX`.
    pub(super) fn create_index(&self, node: Node<'_>) -> Option<CreateIndex> {
        let keys = node
            .child(SyntaxKind::PARTITION_ITEM_LIST)
            .into_iter()
            .flat_map(Node::nodes)
            .filter(|item| item.kind() == SyntaxKind::PARTITION_ITEM)
            .filter_map(|item| self.index_key(item))
            .collect();
        let include = node
            .child(SyntaxKind::INDEX_INCLUDE_CLAUSE)
            .and_then(|clause| clause.child(SyntaxKind::PARTITION_ITEM_LIST))
            .into_iter()
            .flat_map(Node::nodes)
            .filter_map(expression::first)
            .map(text::simple)
            .collect();
        Some(CreateIndex {
            name: node
                .child(SyntaxKind::INDEX)
                .map(|name| text::path(name).name),
            if_not_exists: node.has(SyntaxKind::IF_NOT_EXISTS),
            unique: node.has(SyntaxKind::UNIQUE_KW),
            concurrently: node.has(SyntaxKind::CONCURRENTLY_KW),
            only: node
                .child(SyntaxKind::TABLE_RELATION_NAME)
                .is_some_and(|name| name.has(SyntaxKind::ONLY_KW)),
            table: self.place(relation(node)?),
            method: node
                .child(SyntaxKind::USING_METHOD)
                .and_then(|clause| clause.child(SyntaxKind::ACCESS_METHOD_REF))
                .map_or_else(|| "btree".to_owned(), text::simple),
            keys,
            include,
            nulls_not_distinct: node.has(SyntaxKind::NULLS_NOT_DISTINCT),
            predicate: node
                .child(SyntaxKind::WHERE_CLAUSE)
                .and_then(expression::first)
                .map(|predicate| self.expression(predicate)),
            after_index: self.behind(node.child(SyntaxKind::INDEX_KW)),
        })
    }

    pub(super) fn index_key(&self, item: Node<'_>) -> Option<IndexKey> {
        let key = expression::first(item)?;
        let collation = |node: Node<'_>| {
            node.child(SyntaxKind::COLLATION_REF)
                .map(|name| text::path(name).name)
        };
        // `a COLLATE "C"` is one expression to the parser; to PostgreSQL it is
        // the column with a collation, and so is either in parentheses.
        let key = expression::bare(key);
        let (key, collated) = match key.kind() {
            SyntaxKind::COLLATE => (
                expression::first(key).map_or(key, expression::bare),
                collation(key),
            ),
            _ => (key, item.child(SyntaxKind::COLLATE).and_then(collation)),
        };
        let column = (key.kind() == SyntaxKind::NAME_REF).then(|| text::simple(key));
        let expression = self.expression(key);
        let nulls_first = if item.has(SyntaxKind::NULLS_FIRST) {
            Some(true)
        } else {
            item.has(SyntaxKind::NULLS_LAST).then_some(false)
        };
        Some(IndexKey {
            text: column.clone().unwrap_or(expression.text),
            column,
            functions: expression.functions,
            columns: expression.columns,
            opclass: item
                .child(SyntaxKind::OP_CLASS_REF)
                .map(|name| text::path(name).name),
            collation: collated,
            descending: item.has(SyntaxKind::SORT_DESC),
            nulls_first,
        })
    }

    /// `REINDEX`.
    pub(super) fn reindex(node: Node<'_>) -> Action {
        let target = node.nodes().find(|child| {
            matches!(
                child.kind(),
                SyntaxKind::REINDEX_TARGET_DATABASE
                    | SyntaxKind::REINDEX_TARGET_INDEX
                    | SyntaxKind::REINDEX_TARGET_SCHEMA
                    | SyntaxKind::REINDEX_TARGET_SYSTEM
                    | SyntaxKind::REINDEX_TARGET_TABLE
            )
        });
        let kind = match target.map(Node::kind) {
            Some(SyntaxKind::REINDEX_TARGET_INDEX) => ObjectKind::Index,
            Some(SyntaxKind::REINDEX_TARGET_TABLE) => ObjectKind::Table,
            Some(SyntaxKind::REINDEX_TARGET_SCHEMA) => ObjectKind::Schema,
            _ => ObjectKind::Database,
        };
        let option = node
            .child(SyntaxKind::REINDEX_OPTION_LIST)
            .and_then(|list| list.child(SyntaxKind::REINDEX_OPTION_CONCURRENTLY))
            .is_some_and(|option| is_on(option.text()));
        Action::Reindex {
            kind,
            name: target
                .and_then(|target| target.nodes().next())
                .map(text::path),
            concurrently: option
                || target.is_some_and(|target| target.has(SyntaxKind::CONCURRENTLY_KW)),
        }
    }

    /// `DROP` of anything.
    pub(super) fn drop(&self, node: Node<'_>, object: ObjectKind) -> Drop {
        let mut names: Vec<Place> = Vec::new();
        let mut on = None;
        for child in node.nodes() {
            match child.kind() {
                SyntaxKind::IF_EXISTS | SyntaxKind::CASCADE | SyntaxKind::RESTRICT => {}
                SyntaxKind::ON_TABLE | SyntaxKind::ON_RELATION => {
                    on = relation(child).map(|name| self.place(name));
                }
                SyntaxKind::FUNCTION_SIG_LIST
                | SyntaxKind::PROCEDURE_SIG_LIST
                | SyntaxKind::ROUTINE_SIG_LIST => {
                    names.extend(child.nodes().map(|signature| self.first_path(signature)));
                }
                SyntaxKind::AGGREGATE => names.push(self.first_path(child)),
                SyntaxKind::ROLE_REF_LIST => {
                    names.extend(child.nodes().map(|role| self.place(role)));
                }
                SyntaxKind::USING_METHOD | SyntaxKind::SERVER_CLAUSE => {}
                _ => names.push(self.place(child)),
            }
        }
        let keyword = node
            .children()
            .take_while(|child| child.is_token() && child.kind() != SyntaxKind::CONCURRENTLY_KW)
            .last();
        Drop {
            object,
            names,
            if_exists: node.has(SyntaxKind::IF_EXISTS),
            cascade: cascades(node),
            concurrently: node.has(SyntaxKind::CONCURRENTLY_KW),
            on,
            after_object: self.behind(keyword),
        }
    }

    /// The name at the head of a signature, whose arguments have paths, too.
    fn first_path(&self, signature: Node<'_>) -> Place {
        match signature.nodes().next() {
            Some(name) => self.place(name),
            None => Place {
                name: Name::default(),
                span: self.span(signature),
            },
        }
    }
}

/// `CONCURRENTLY`, `CONCURRENTLY on`; not `CONCURRENTLY false`.
fn is_on(option: &str) -> bool {
    let value = option.split_whitespace().nth(1).unwrap_or("on");
    !matches!(
        value.trim_matches('\'').to_ascii_lowercase().as_str(),
        "off" | "false" | "0" | "no"
    )
}
