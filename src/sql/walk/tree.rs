//! Small helpers for reading the syntax tree.

use squawk_syntax::{SyntaxElement, SyntaxKind, SyntaxNode};

use crate::catalog::ident;

/// Nodes that are a query or change data.
pub(super) fn is_query(kind: SyntaxKind) -> bool {
    is_select(kind)
        || matches!(
            kind,
            SyntaxKind::INSERT | SyntaxKind::UPDATE | SyntaxKind::DELETE | SyntaxKind::MERGE
        )
}

/// Nodes that are a query without changing data.
pub(super) fn is_select(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::SELECT
            | SyntaxKind::SELECT_INTO
            | SyntaxKind::COMPOUND_SELECT
            | SyntaxKind::PAREN_SELECT
            | SyntaxKind::VALUES
            | SyntaxKind::TABLE
    )
}

/// Nodes that stand for an expression.
pub(in crate::sql) fn is_expression(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::CALL_EXPR
            | SyntaxKind::CAST_EXPR
            | SyntaxKind::COLLATE
            | SyntaxKind::ARRAY_EXPR
            | SyntaxKind::LITERAL
            | SyntaxKind::NAME_REF
            | SyntaxKind::BIN_EXPR
            | SyntaxKind::CASE_EXPR
            | SyntaxKind::FIELD_EXPR
            | SyntaxKind::INDEX_EXPR
            | SyntaxKind::SLICE_EXPR
            | SyntaxKind::BETWEEN_EXPR
            | SyntaxKind::PAREN_EXPR
            | SyntaxKind::TUPLE_EXPR
            | SyntaxKind::PREFIX_EXPR
            | SyntaxKind::POSTFIX_EXPR
    )
}

/// The first child of that kind.
pub(super) fn child(node: &SyntaxNode, kind: SyntaxKind) -> Option<SyntaxNode> {
    node.children().find(|child| child.kind() == kind)
}

/// The children that are expressions.
pub(super) fn expressions(node: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    node.children().filter(|child| is_expression(child.kind()))
}

/// The first child that is a query.
pub(super) fn query_in(node: &SyntaxNode) -> Option<SyntaxNode> {
    node.children().find(|child| is_query(child.kind()))
}

/// Whether a token of that kind is among the children.
pub(super) fn has_token(node: &SyntaxNode, kind: SyntaxKind) -> bool {
    node.children_with_tokens()
        .any(|element| element.as_token().is_some_and(|t| t.kind() == kind))
}

/// The node's own text.
pub(super) fn text(node: &SyntaxNode) -> String {
    node.text().to_string()
}

/// A name without its quotes, folded to lower case when it has none.
pub(in crate::sql) fn folded(text: &str) -> String {
    let text = text.trim();
    match text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    }
}

/// The tokens of a node without white space and comments, as lower-case words
/// with one space between them.
pub(super) fn words(node: &SyntaxNode) -> String {
    let mut result = String::new();
    for element in node.descendants_with_tokens() {
        if let SyntaxElement::Token(token) = element
            && !is_trivia(token.kind())
        {
            if !result.is_empty() {
                result.push(' ');
            }
            result.push_str(&token.text().to_ascii_lowercase());
        }
    }
    result
}

/// White space and comments.
pub(super) fn is_trivia(kind: SyntaxKind) -> bool {
    matches!(kind, SyntaxKind::WHITESPACE | SyntaxKind::COMMENT)
}

/// The parts of `a.b.c` or `a`, folded; `None` for what is no name.
pub(super) fn name_parts(node: &SyntaxNode) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut node = node.clone();
    loop {
        match node.kind() {
            SyntaxKind::NAME_REF => {
                parts.push(folded(&text(&node)));
                parts.reverse();
                return Some(parts);
            }
            SyntaxKind::FIELD_EXPR => {
                let children: Vec<SyntaxNode> = node.children().collect();
                match children.as_slice() {
                    [base, field] if field.kind() == SyntaxKind::NAME_REF => {
                        parts.push(folded(&text(field)));
                        node = base.clone();
                    }
                    [base] => {
                        parts.push("*".to_owned());
                        node = base.clone();
                    }
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
}

/// Schema and name of a relation's reference.
pub(super) fn path(node: &SyntaxNode) -> (Option<String>, String) {
    let mut parts: Vec<String> = node
        .descendants()
        .filter(|part| {
            matches!(
                part.kind(),
                SyntaxKind::PATH_SEGMENT_REF | SyntaxKind::PATH_SEGMENT
            )
        })
        .map(|part| folded(&text(&part)))
        .collect();
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}

/// Quoted as SQL needs it.
pub(super) fn quoted(name: &str) -> String {
    ident::quote(name)
}

/// The outermost expressions below a node, found without recursion.
pub(super) fn top_expressions(node: &SyntaxNode) -> Vec<SyntaxNode> {
    let mut found = Vec::new();
    let mut open: Vec<SyntaxNode> = vec![node.clone()];
    while let Some(next) = open.pop() {
        if is_expression(next.kind()) || is_select(next.kind()) {
            found.push(next);
        } else {
            let children: Vec<SyntaxNode> = next.children().collect();
            open.extend(children.into_iter().rev());
        }
    }
    found
}
