//! Expressions: what they name.

use super::reader::Reader;
use super::text;
use super::tree::{Node, SyntaxKind};
use super::type_name::{self, is_type};
use super::{Expression, Name};
pub(super) use crate::sql::walk::is_expression;

/// So many columns of an expression are told apart; a table has no more.
const MAX_COLUMNS: usize = 1_600;
/// A name has catalogue, schema, table and column.
const MAX_PARTS: usize = 4;

/// The first expression directly in a node.
pub(super) fn first(node: Node<'_>) -> Option<Node<'_>> {
    node.nodes().find(|child| is_expression(child.kind()))
}

/// The expression within parentheses.
pub(super) fn bare(mut node: Node<'_>) -> Node<'_> {
    while node.kind() == SyntaxKind::PAREN_EXPR
        && let Some(inner) = first(node)
    {
        node = inner;
    }
    node
}

impl Reader<'_> {
    /// Reads an expression; of nested queries, all that is named in them.
    pub(super) fn expression(&self, node: Node<'_>) -> Expression {
        let node = bare(node);
        let mut found = Found::default();
        found.look_at(node);
        let constant = found.functions.is_empty() && found.columns.is_empty() && !found.query;
        Expression {
            span: self.span(node),
            text: self.written(node),
            functions: found.functions,
            columns: found.columns,
            casts: found.casts,
            strings: found.strings,
            constant,
            null: is_null(node),
        }
    }
}

/// What stands in an expression.
#[derive(Default)]
struct Found {
    functions: Vec<Name>,
    columns: Vec<String>,
    casts: Vec<Name>,
    strings: Vec<String>,
    query: bool,
}

impl Found {
    fn column(&mut self, name: String) {
        if self.columns.len() < MAX_COLUMNS && !self.columns.contains(&name) {
            self.columns.push(name);
        }
    }

    fn look_at(&mut self, top: Node<'_>) {
        // Items before this one belong to what was read already.
        let mut done = 0_usize;
        for node in std::iter::once(top).chain(top.descendants()) {
            if node.index() < done {
                continue;
            }
            match node.kind() {
                SyntaxKind::CALL_EXPR => {
                    let Some(callee) = node.nodes().next() else {
                        continue;
                    };
                    if let Some(name) = dotted(callee) {
                        self.functions.push(name);
                        // The call's own item lies before the callee's, and
                        // nothing between them.
                        done = callee.after();
                    } else if !is_expression(callee.kind())
                        && let Some(word) = callee.children().next()
                        && word.is_token()
                        && !matches!(
                            callee.kind(),
                            SyntaxKind::EXISTS_FN
                                | SyntaxKind::ANY_FN
                                | SyntaxKind::SOME_FN
                                | SyntaxKind::ALL_FN
                        )
                    {
                        // `extract(…)`, `substring(… from …)`: words of the
                        // grammar that are functions all the same.
                        self.functions.push(Name::bare(text::simple(word)));
                    }
                }
                SyntaxKind::FIELD_EXPR => {
                    if let Some(name) = dotted(node) {
                        self.column(name.name);
                        done = node.after();
                    }
                }
                SyntaxKind::NAME_REF => match node.children().next() {
                    Some(token) if is_value_function(token.kind()) => {
                        self.functions.push(Name::bare(text::simple(token)));
                    }
                    _ => self.column(text::simple(node)),
                },
                SyntaxKind::LITERAL => {
                    if let Some(value) = text::string(node) {
                        self.strings.push(value);
                    }
                }
                kind if is_type(kind) => {
                    if let Some((base, _)) = type_name::base(node) {
                        self.casts.push(base);
                    }
                    done = node.after();
                }
                SyntaxKind::SELECT | SyntaxKind::VALUES | SyntaxKind::TABLE => self.query = true,
                _ => {}
            }
        }
    }
}

/// `a` or `a.b`, `a.b.c`, of names alone.
pub(super) fn dotted(node: Node<'_>) -> Option<Name> {
    if node.kind() == SyntaxKind::NAME_REF {
        return Some(Name::bare(text::simple(node)));
    }
    if node.kind() != SyntaxKind::FIELD_EXPR {
        return None;
    }
    let mut parts: Vec<Node<'_>> = Vec::new();
    for part in node.descendants() {
        match part.kind() {
            SyntaxKind::NAME_REF if parts.len() < MAX_PARTS => parts.push(part),
            SyntaxKind::FIELD_EXPR if part.index() - node.index() < MAX_PARTS => {}
            _ if part.is_token() => {}
            _ => return None,
        }
    }
    let name = text::simple(parts.pop()?);
    Some(Name {
        schema: parts.pop().map(text::simple),
        name,
    })
}

/// Words that call a function without parentheses.
fn is_value_function(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::CURRENT_CATALOG_KW
            | SyntaxKind::CURRENT_DATE_KW
            | SyntaxKind::CURRENT_ROLE_KW
            | SyntaxKind::CURRENT_SCHEMA_KW
            | SyntaxKind::CURRENT_TIME_KW
            | SyntaxKind::CURRENT_TIMESTAMP_KW
            | SyntaxKind::CURRENT_USER_KW
            | SyntaxKind::LOCALTIME_KW
            | SyntaxKind::LOCALTIMESTAMP_KW
            | SyntaxKind::SESSION_USER_KW
            | SyntaxKind::SYSTEM_USER_KW
            | SyntaxKind::USER_KW
    )
}

/// NULL, cast or not.
fn is_null(node: Node<'_>) -> bool {
    let mut node = node;
    loop {
        match node.kind() {
            SyntaxKind::LITERAL => return node.has(SyntaxKind::NULL_KW),
            SyntaxKind::CAST_EXPR | SyntaxKind::PAREN_EXPR | SyntaxKind::COLLATE => {
                match first(node) {
                    Some(inner) => node = inner,
                    None => return false,
                }
            }
            _ => return false,
        }
    }
}
