//! Expressions: what each comes to, as an [`Operand`].

use squawk_syntax::{SyntaxElement, SyntaxKind, SyntaxNode};

use super::super::{
    ColumnRef, Expression, FunctionCall, LiteralKind, Operand, SelectId, SelectRole, Wrapper,
};
use super::names::Name;
use super::{MAX_EXPRESSION_DEPTH, Walker, tree};
use crate::source::Span;

/// Functions that are written without parentheses.
const BARE_FUNCTIONS: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "system_user",
    "user",
];

/// An expression with all that was met in it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) columns: Vec<ColumnRef>,
    pub(super) functions: Vec<String>,
    /// Something in it that is neither a column nor constant: a subquery, a
    /// whole row.
    pub(super) opaque: bool,
}

/// What walking an expression gives.
pub(super) struct Walked {
    pub(super) operand: Operand,
    pub(super) parts: Parts,
}

impl Parts {
    fn add(&mut self, other: Self) {
        self.columns.extend(other.columns);
        self.functions.extend(other.functions);
        self.opaque |= other.opaque;
    }

    /// The operand of an expression that only its columns describe.
    pub(super) fn into_walked(self, span: Span) -> Walked {
        let operand = if self.columns.is_empty() && !self.opaque {
            Operand::Constant {
                span,
                functions: self.functions.clone(),
            }
        } else {
            Operand::Other {
                span,
                columns: self.columns.clone(),
            }
        };
        Walked {
            operand,
            parts: self,
        }
    }
}

impl Walker<'_> {
    /// Walks an expression.
    pub(super) fn operand(&mut self, node: &SyntaxNode, level: SelectId) -> Operand {
        self.walk(node, level).operand
    }

    /// Walks an expression and keeps where it stands.
    pub(super) fn expression(&mut self, node: &SyntaxNode, level: SelectId) -> Expression {
        Expression {
            span: self.span(node),
            operand: self.operand(node, level),
        }
    }

    pub(super) fn walk(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        if self.depth >= MAX_EXPRESSION_DEPTH {
            return self.too_deep(node, level);
        }
        self.depth += 1;
        let walked = self.walk_kind(node, level);
        self.depth -= 1;
        walked
    }

    /// Only the columns, found without recursion.
    fn too_deep(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let names: Vec<SyntaxNode> = node
            .descendants()
            .filter(|part| part.kind() == SyntaxKind::NAME_REF)
            .filter(|part| {
                part.parent().is_none_or(|parent| {
                    !matches!(
                        parent.kind(),
                        SyntaxKind::FIELD_EXPR | SyntaxKind::CALL_EXPR
                    )
                })
            })
            .collect();
        let mut parts = Parts {
            opaque: true,
            ..Parts::default()
        };
        for name in names {
            parts.add(self.name_node(&name, level).parts);
        }
        let span = self.span(node);
        parts.into_walked(span)
    }

    fn walk_kind(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        match node.kind() {
            SyntaxKind::NAME_REF => self.name_node(node, level),
            SyntaxKind::FIELD_EXPR => self.field(node, level),
            SyntaxKind::LITERAL => self.literal(node),
            SyntaxKind::PAREN_EXPR => match tree::query_in(node) {
                Some(query) => self.subquery(&query, span, SelectRole::Scalar, level),
                None => match node.children().next() {
                    Some(inner) => self.walk(&inner, level),
                    None => Parts::default().into_walked(span),
                },
            },
            kind if tree::is_select(kind) => self.subquery(node, span, SelectRole::Scalar, level),
            SyntaxKind::CAST_EXPR => self.cast(node, level),
            SyntaxKind::COLLATE => {
                let name = tree::child(node, SyntaxKind::COLLATION_REF)
                    .map(|node| tree::text(&node))
                    .unwrap_or_default();
                self.around(node, level, Wrapper::Collate { name })
            }
            SyntaxKind::CALL_EXPR => self.call(node, level),
            SyntaxKind::ARRAY_EXPR | SyntaxKind::TUPLE_EXPR => self.list(node, level),
            SyntaxKind::BIN_EXPR => self.binary(node, level),
            SyntaxKind::PREFIX_EXPR => self.prefix(node, level),
            SyntaxKind::INDEX_EXPR | SyntaxKind::SLICE_EXPR => self.subscript(node, level),
            _ => self.children(node, level).into_walked(span),
        }
    }

    /// The parts of every expression among a node's descendants, down to the
    /// next expressions.
    pub(super) fn children(&mut self, node: &SyntaxNode, level: SelectId) -> Parts {
        let mut parts = Parts::default();
        for child in node.children() {
            if tree::is_expression(child.kind()) || tree::is_select(child.kind()) {
                parts.add(self.walk(&child, level).parts);
            } else if !is_type(child.kind()) {
                parts.add(self.children(&child, level));
            }
        }
        parts
    }

    fn name_node(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        let written = tree::text(node);
        let name = tree::folded(&written);
        if BARE_FUNCTIONS.contains(&name.as_str()) && !written.starts_with('"') {
            self.query.functions.push(FunctionCall {
                span,
                name: name.clone(),
                select: level,
            });
            return Parts {
                functions: vec![name],
                ..Parts::default()
            }
            .into_walked(span);
        }
        self.column(node, &[name], level)
    }

    fn column(&mut self, node: &SyntaxNode, parts: &[String], level: SelectId) -> Walked {
        match self.name(level, node, parts) {
            Name::Column(column) => Walked {
                operand: Operand::Column(column.clone()),
                parts: Parts {
                    columns: vec![column],
                    ..Parts::default()
                },
            },
            Name::Row => Parts {
                opaque: true,
                ..Parts::default()
            }
            .into_walked(self.span(node)),
        }
    }

    fn field(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        if let Some(mut parts) = tree::name_parts(node) {
            if parts.last().is_some_and(|part| part == "*")
                && tree::has_token(node, SyntaxKind::STAR)
            {
                parts.pop();
                return Walked {
                    operand: Operand::Star {
                        qualifier: parts.pop(),
                    },
                    parts: Parts {
                        opaque: true,
                        ..Parts::default()
                    },
                };
            }
            return self.column(node, &parts, level);
        }
        // `(composite).field`
        let children: Vec<SyntaxNode> = node.children().collect();
        let key = children.get(1).map_or_else(|| "*".to_owned(), tree::text);
        let Some(base) = children.first() else {
            return Parts::default().into_walked(self.span(node));
        };
        let inner = self.walk(base, level);
        self.wrap(
            node,
            inner,
            Wrapper::Part {
                operator: ".".to_owned(),
                key,
            },
        )
    }

    fn literal(&mut self, node: &SyntaxNode) -> Walked {
        let span = self.span(node);
        let mut text = String::new();
        let mut kind = None;
        let mut value = String::new();
        for token in node
            .children_with_tokens()
            .filter_map(SyntaxElement::into_token)
            .filter(|token| !tree::is_trivia(token.kind()))
        {
            let own = token.text();
            match token.kind() {
                SyntaxKind::POSITIONAL_PARAM => {
                    let number = own.trim_start_matches('$').parse().unwrap_or(u32::MAX);
                    return Walked {
                        operand: Operand::Parameter { span, number },
                        parts: Parts::default(),
                    };
                }
                SyntaxKind::INT_NUMBER => kind = Some(LiteralKind::Integer),
                SyntaxKind::NUMERIC_NUMBER => kind = Some(LiteralKind::Numeric),
                SyntaxKind::TRUE_KW | SyntaxKind::FALSE_KW => kind = Some(LiteralKind::Boolean),
                SyntaxKind::NULL_KW => kind = Some(LiteralKind::Null),
                SyntaxKind::DEFAULT_KW => {}
                _ => kind = Some(LiteralKind::String),
            }
            match kind {
                Some(LiteralKind::String) => value.push_str(&string_value(own)),
                Some(LiteralKind::Boolean | LiteralKind::Null) => {
                    value.push_str(&own.to_ascii_lowercase());
                }
                _ => value.push_str(own),
            }
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(own);
        }
        let Some(kind) = kind else {
            return Parts::default().into_walked(span);
        };
        Walked {
            operand: Operand::Literal {
                span,
                text,
                value,
                kind,
                cast: None,
            },
            parts: Parts::default(),
        }
    }

    fn cast(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        let type_name = node
            .children()
            .find(|child| is_type(child.kind()))
            .map(|child| tree::text(&child).to_ascii_lowercase())
            .unwrap_or_default();
        let Some(inner) = node
            .children()
            .find(|child| tree::is_expression(child.kind()))
        else {
            return self.children(node, level).into_walked(span);
        };
        let mut walked = self.walk(&inner, level);
        match &mut walked.operand {
            Operand::Literal {
                span: own,
                text,
                cast,
                ..
            } => {
                *own = span;
                *text = tree::text(node);
                *cast = Some(type_name);
                walked
            }
            Operand::Parameter { span: own, .. }
            | Operand::List { span: own, .. }
            | Operand::Constant { span: own, .. } => {
                *own = span;
                walked
            }
            _ => self.wrap(node, walked, Wrapper::Cast { type_name, span }),
        }
    }

    /// An expression whose only child expression is wrapped.
    fn around(&mut self, node: &SyntaxNode, level: SelectId, by: Wrapper) -> Walked {
        let inner = tree::expressions(node).next();
        match inner {
            Some(inner) => {
                let walked = self.walk(&inner, level);
                self.wrap(node, walked, by)
            }
            None => self.children(node, level).into_walked(self.span(node)),
        }
    }

    /// Puts a wrapper around what was walked.
    fn wrap(&mut self, node: &SyntaxNode, inner: Walked, by: Wrapper) -> Walked {
        let span = self.span(node);
        let single = inner.parts.columns.len() == 1 && !inner.parts.opaque;
        let operand = match inner.operand {
            Operand::Column(column) if single => Operand::Wrapped {
                span,
                column,
                by: vec![by],
            },
            Operand::Wrapped {
                column,
                by: mut wrappers,
                ..
            } if single => {
                wrappers.insert(0, by);
                Operand::Wrapped {
                    span,
                    column,
                    by: wrappers,
                }
            }
            _ => return inner.parts.into_walked(span),
        };
        Walked {
            operand,
            parts: inner.parts,
        }
    }

    /// Combines sides of which at most one holds the column that `by` wraps.
    pub(super) fn combine(&mut self, node: &SyntaxNode, sides: Vec<Walked>, by: Wrapper) -> Walked {
        let span = self.span(node);
        let with_columns = sides
            .iter()
            .filter(|side| !side.parts.columns.is_empty())
            .count();
        let opaque = sides.iter().any(|side| side.parts.opaque);
        let mut main = None;
        let mut rest = Parts::default();
        for side in sides {
            if with_columns == 1 && !opaque && !side.parts.columns.is_empty() {
                main = Some(side);
            } else {
                rest.add(side.parts);
            }
        }
        match main {
            Some(mut main) => {
                main.parts.functions.extend(rest.functions);
                self.wrap(node, main, by)
            }
            None => rest.into_walked(span),
        }
    }

    fn list(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        if let Some(query) = tree::query_in(node) {
            let mut walked = self.subquery(&query, span, SelectRole::Scalar, level);
            walked.operand = Operand::Other {
                span,
                columns: Vec::new(),
            };
            return walked;
        }
        let mut parts = Parts::default();
        let mut items = Vec::new();
        for item in node.children() {
            let walked = self.walk(&item, level);
            parts.add(walked.parts);
            items.push(walked.operand);
        }
        if parts.columns.is_empty() && !parts.opaque {
            return Walked {
                operand: Operand::List { span, items },
                parts,
            };
        }
        parts.into_walked(span)
    }

    /// A subquery in an expression.
    pub(super) fn subquery(
        &mut self,
        query: &SyntaxNode,
        span: Span,
        role: SelectRole,
        level: SelectId,
    ) -> Walked {
        let select = self.query_node(query, Some(level), role, Some(level));
        Walked {
            operand: Operand::Subquery { span, select },
            parts: Parts {
                opaque: true,
                ..Parts::default()
            },
        }
    }

    fn binary(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        let Some((left, operator, right)) = binary_parts(node) else {
            return self.children(node, level).into_walked(span);
        };
        if matches!(operator.as_str(), "in" | "not in")
            && let Some(query) = tree::query_in(&right)
        {
            let mut parts = self.walk(&left, level).parts;
            let role = SelectRole::In {
                negated: operator == "not in",
            };
            let query_span = self.span(&right);
            parts.add(self.subquery(&query, query_span, role, level).parts);
            return parts.into_walked(span);
        }
        let left = self.walk(&left, level);
        let right_walked = self.walk(&right, level);
        let column_left = !left.parts.columns.is_empty();
        let by = match operator.as_str() {
            "at time zone" => Wrapper::AtTimeZone {
                zone: tree::text(&right),
                span,
            },
            "->" | "->>" | "#>" | "#>>" if column_left => Wrapper::Part {
                operator,
                key: tree::text(&right),
            },
            _ if is_boolean_operator(&operator) => {
                let mut parts = left.parts;
                parts.add(right_walked.parts);
                return parts.into_walked(span);
            }
            _ => {
                let other = if column_left {
                    tree::text(&right)
                } else {
                    binary_parts(node).map_or_else(String::new, |(left, _, _)| tree::text(&left))
                };
                Wrapper::Arithmetic {
                    operator,
                    other: Some(other),
                    column_left,
                    span,
                }
            }
        };
        self.combine(node, vec![left, right_walked], by)
    }

    fn prefix(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        let Some(inner) = tree::expressions(node).last() else {
            return self.children(node, level).into_walked(span);
        };
        let operator = prefix_operator(node, &inner);
        let mut walked = self.walk(&inner, level);
        if matches!(operator.as_str(), "-" | "+")
            && let Operand::Literal {
                span: own,
                text,
                value,
                kind: LiteralKind::Integer | LiteralKind::Numeric,
                ..
            } = &mut walked.operand
        {
            *own = span;
            *text = tree::text(node);
            if operator == "-" {
                *value = match value.strip_prefix('-') {
                    Some(positive) => positive.to_owned(),
                    None => format!("-{value}"),
                };
            }
            return walked;
        }
        if operator == "not" {
            return walked.parts.into_walked(span);
        }
        let by = Wrapper::Arithmetic {
            operator,
            other: None,
            column_left: false,
            span,
        };
        self.wrap(node, walked, by)
    }

    fn subscript(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let mut sides = Vec::new();
        let mut key = Vec::new();
        for (at, child) in node.children().enumerate() {
            sides.push(self.walk(&child, level));
            if at > 0 {
                key.push(tree::text(&child));
            }
        }
        let by = Wrapper::Part {
            operator: "[]".to_owned(),
            key: key.join(":"),
        };
        self.combine(node, sides, by)
    }
}

/// Nodes that name a type.
pub(super) fn is_type(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::ARRAY_TYPE
            | SyntaxKind::PATH_TYPE
            | SyntaxKind::PERCENT_TYPE
            | SyntaxKind::VARCHAR_TYPE
            | SyntaxKind::CHARACTER_TYPE
            | SyntaxKind::BIT_TYPE
            | SyntaxKind::BIT_VARYING_TYPE
            | SyntaxKind::DOUBLE_TYPE
            | SyntaxKind::TIME_TYPE
            | SyntaxKind::TIMESTAMP_TYPE
            | SyntaxKind::INTERVAL_TYPE
    )
}

/// Operators whose result is true or false.
fn is_boolean_operator(operator: &str) -> bool {
    matches!(
        operator,
        "and"
            | "or"
            | "="
            | "<>"
            | "<"
            | ">"
            | "<="
            | ">="
            | "in"
            | "not in"
            | "escape"
            | "overlaps"
            | "~"
            | "~*"
            | "!~"
            | "!~*"
            | "@>"
            | "<@"
            | "&&"
            | "@@"
            | "?"
            | "?|"
            | "?&"
            | "@?"
            | "^@"
    ) || operator.starts_with("is")
        || operator.contains("like")
        || operator.contains("similar")
}

/// Left side, operator (lower case, spelled as the rules know it), right side.
pub(super) fn binary_parts(node: &SyntaxNode) -> Option<(SyntaxNode, String, SyntaxNode)> {
    let left = node.children().next()?;
    let right = node.children().last()?;
    if left == right {
        return None;
    }
    let mut operator = String::new();
    for element in node.children_with_tokens() {
        let words = match element {
            SyntaxElement::Node(ref inner) if *inner == left || *inner == right => continue,
            SyntaxElement::Node(inner) => match inner.kind() {
                SyntaxKind::CUSTOM_OP => tree::text(&inner),
                SyntaxKind::OPERATOR_CALL => operator_call(&inner),
                _ => tree::words(&inner),
            },
            SyntaxElement::Token(token) if tree::is_trivia(token.kind()) => continue,
            SyntaxElement::Token(token) => token.text().to_ascii_lowercase(),
        };
        if !operator.is_empty() {
            operator.push(' ');
        }
        operator.push_str(&words);
    }
    Some((left, plain_operator(&operator), right))
}

/// `OPERATOR(pg_catalog.=)` is `=`.
fn operator_call(node: &SyntaxNode) -> String {
    let text = tree::text(node);
    let inner = text
        .split_once('(')
        .map_or("", |(_, rest)| rest)
        .trim_end_matches(')');
    inner.rsplit('.').next().unwrap_or(inner).trim().to_owned()
}

/// The spelling that rules know.
pub(super) fn plain_operator(operator: &str) -> String {
    match operator {
        "!=" => "<>",
        "~~" => "like",
        "!~~" => "not like",
        "~~*" => "ilike",
        "!~~*" => "not ilike",
        other => other,
    }
    .to_owned()
}

/// The operator of a prefix expression.
pub(super) fn prefix_operator(node: &SyntaxNode, inner: &SyntaxNode) -> String {
    let mut operator = String::new();
    for element in node.children_with_tokens() {
        match element {
            SyntaxElement::Node(ref own) if own == inner => break,
            SyntaxElement::Node(own) if own.kind() == SyntaxKind::OPERATOR_CALL => {
                operator.push_str(&operator_call(&own));
            }
            SyntaxElement::Node(own) => operator.push_str(&tree::words(&own).replace(' ', "")),
            SyntaxElement::Token(token) if tree::is_trivia(token.kind()) => {}
            SyntaxElement::Token(token) => operator.push_str(&token.text().to_ascii_lowercase()),
        }
    }
    operator
}

/// What stands in a string constant.
fn string_value(text: &str) -> String {
    if let Some(rest) = text.strip_prefix('$') {
        let tag = rest.split('$').next().unwrap_or("");
        let delimiter = format!("${tag}$");
        return text
            .strip_prefix(&delimiter)
            .and_then(|rest| rest.strip_suffix(&delimiter))
            .unwrap_or(text)
            .to_owned();
    }
    let escaped = text.starts_with(['e', 'E']);
    let inner = text
        .split_once('\'')
        .map_or(text, |(_, rest)| rest)
        .strip_suffix('\'')
        .unwrap_or(text)
        .replace("''", "'");
    if !escaped || !inner.contains('\\') {
        return inner;
    }
    let mut value = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        if character == '\\' {
            match characters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('r') => value.push('\r'),
                Some(other) => value.push(other),
                None => {}
            }
        } else {
            value.push(character);
        }
    }
    value
}
