//! Conditions as `EXPLAIN` prints them, taken apart at AND.
//!
//! The text is PostgreSQL's own deparsed SQL, so it is read by the same walker
//! as statements and a term says the same as the statement's predicate. What
//! is not SQL in it (`hashed SubPlan 1`) makes a term opaque, never an error.

use super::read::{Measure, with_stack};
use super::scan::{Scanner, Token, TokenKind};
use super::{ColumnRef, OffsetMap, Operand, Predicate, Wrapper, walk};
use crate::source::SourceId;

/// A column as a condition names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The alias in front of it, folded.
    pub qualifier: Option<String>,
    /// The column, folded.
    pub column: String,
}

/// One conjunct of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// As printed, without parentheses around it.
    pub text: String,
    /// The column on the left (sides are exchanged for `5 < x`); `None` for an
    /// opaque term.
    pub column: Option<Name>,
    /// What stands around the column, outermost first.
    pub wrappers: Vec<Wrapper>,
    /// The operator as in [`Predicate::operator`]; empty for an opaque term.
    pub operator: String,
    /// The other side as printed; `None` where the operator has none, as in
    /// `is null`.
    pub other: Option<String>,
    /// The other side is a bare column: a join condition.
    pub other_column: Option<Name>,
    /// The other side has no column: it is known before the scan runs. True
    /// where there is no other side.
    pub constant: bool,
    /// Every column in the term.
    pub columns: Vec<Name>,
    /// Neither column nor operator could be read: an OR, a subplan, something
    /// that is no comparison of one column.
    pub opaque: bool,
}

/// Prefix that makes a condition a statement.
const PREFIX: &str = "SELECT 1 WHERE ";
/// What a subplan's name is replaced with: no real column begins like this.
const SUBPLAN: char = '?';

/// Reads a condition: `Filter`, `Index Cond`, `Hash Cond`, `Join Filter`, …
pub fn parse(text: &str) -> Vec<Term> {
    let plain = without_plans(text);
    let tokens: Vec<Token> = Scanner::new(&plain, 0).collect();
    let measure = Measure::of(&plain, &tokens);
    if measure.exceeds() {
        return vec![opaque(text.trim(), Vec::new())];
    }
    with_stack(measure.is_shallow(), || {
        conjuncts(&plain, &tokens)
            .into_iter()
            .map(|range| {
                let printed = text.get(range.clone()).unwrap_or("");
                let replaced = plain.get(range).unwrap_or("");
                term(printed, replaced)
            })
            .collect()
    })
    .unwrap_or_else(|| vec![opaque(text.trim(), Vec::new())])
}

/// `SubPlan 1` and `InitPlan 1` as SQL of the same length: a subplan becomes a
/// column that cannot exist, an init plan, whose value is known before the
/// scan, a parameter.
fn without_plans(text: &str) -> String {
    let tokens: Vec<Token> = Scanner::new(text, 0).collect();
    let mut plain = String::with_capacity(text.len());
    let mut done = 0;
    for (at, token) in tokens.iter().enumerate() {
        let sub = token.is_word(text, "subplan");
        let init = token.is_word(text, "initplan");
        let Some(number) = tokens
            .get(at + 1)
            .filter(|next| (sub || init) && next.kind == TokenKind::Number)
        else {
            continue;
        };
        let hashed = at
            .checked_sub(1)
            .and_then(|before| tokens.get(before))
            .filter(|before| before.is_word(text, "hashed"));
        let start = hashed.map_or(token.start, |hashed| hashed.start);
        plain.push_str(text.get(done..start).unwrap_or(""));
        let width = number.end - start;
        if init {
            plain.push_str("$0");
            plain.extend(std::iter::repeat_n(' ', width - 2));
        } else {
            plain.push('"');
            plain.extend(std::iter::repeat_n(SUBPLAN, width - 2));
            plain.push('"');
        }
        done = number.end;
    }
    plain.push_str(text.get(done..).unwrap_or(""));
    plain
}

/// The ranges of the conjuncts, parentheses around them left out.
fn conjuncts(text: &str, tokens: &[Token]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut open = vec![tokens];
    while let Some(mut part) = open.pop() {
        while let Some(inner) = inside_parentheses(text, part) {
            part = inner;
        }
        match split_at_and(text, part) {
            Some((left, right)) => {
                open.push(right);
                open.push(left);
            }
            None => {
                if let (Some(first), Some(last)) = (part.first(), part.last()) {
                    found.push(first.start..last.end);
                }
            }
        }
    }
    found
}

/// What one pair of parentheses around everything holds.
fn inside_parentheses<'a>(text: &str, tokens: &'a [Token]) -> Option<&'a [Token]> {
    let [first, inner @ .., last] = tokens else {
        return None;
    };
    if !first.is(text, "(") || !last.is(text, ")") {
        return None;
    }
    let mut depth = 1_usize;
    for token in inner {
        if token.is(text, "(") {
            depth += 1;
        } else if token.is(text, ")") {
            depth -= 1;
            if depth == 0 {
                return None;
            }
        }
    }
    Some(inner)
}

/// Both sides of the first AND outside parentheses, unless an OR stands there
/// too, which binds less.
fn split_at_and<'a>(text: &str, tokens: &'a [Token]) -> Option<(&'a [Token], &'a [Token])> {
    let mut depth = 0_usize;
    let mut between = false;
    let mut found = None;
    for (at, token) in tokens.iter().enumerate() {
        if token.is(text, "(") || token.is(text, "[") || token.is_word(text, "case") {
            depth += 1;
        } else if token.is(text, ")") || token.is(text, "]") || token.is_word(text, "end") {
            depth = depth.saturating_sub(1);
        } else if depth > 0 {
        } else if token.is_word(text, "between") {
            between = true;
        } else if token.is_word(text, "or") {
            return None;
        } else if token.is_word(text, "and") {
            if between {
                between = false;
            } else if found.is_none() {
                found = Some(at);
            }
        }
    }
    let at = found?;
    Some((tokens.get(..at)?, tokens.get(at + 1..)?))
}

fn term(printed: &str, plain: &str) -> Term {
    let Some(predicates) = predicates(plain) else {
        return opaque(printed, Vec::new());
    };
    let columns: Vec<Name> = predicates
        .iter()
        .flat_map(|predicate| {
            let mut all = columns_of(&predicate.left);
            all.extend(columns_of(&predicate.right));
            if let Some(upper) = &predicate.upper {
                all.extend(columns_of(upper));
            }
            all
        })
        .filter(|column| !column.name.starts_with(SUBPLAN))
        .map(|column| name(plain, &column))
        .collect();
    let [predicate] = predicates.as_slice() else {
        return opaque(printed, columns);
    };
    let (column, wrappers) = match &predicate.left {
        Operand::Column(column) => (column, Vec::new()),
        Operand::Wrapped { column, by, .. } => (column, by.clone()),
        _ => return opaque(printed, columns),
    };
    // NOT around what has no opposite leaves the operator as it was.
    if column.name.starts_with(SUBPLAN) || !predicate.conjunct {
        return opaque(printed, columns);
    }
    let other = predicate.right.span().map(|span| {
        let end = predicate
            .upper
            .as_ref()
            .and_then(Operand::span)
            .map_or(span.end, |upper| upper.end);
        printed.get(span.start..end).unwrap_or("").to_owned()
    });
    let constant = (predicate.right == Operand::Absent || predicate.right.is_constant())
        && predicate.upper.as_ref().is_none_or(Operand::is_constant);
    let other_column = match &predicate.right {
        Operand::Column(column) if !column.name.starts_with(SUBPLAN) => Some(name(plain, column)),
        _ => None,
    };
    Term {
        text: printed.to_owned(),
        column: Some(name(plain, column)),
        wrappers,
        operator: predicate.operator.clone(),
        other,
        other_column,
        constant,
        columns,
        opaque: false,
    }
}

fn opaque(text: &str, columns: Vec<Name>) -> Term {
    Term {
        text: text.to_owned(),
        column: None,
        wrappers: Vec::new(),
        operator: String::new(),
        other: None,
        other_column: None,
        constant: false,
        columns,
        opaque: true,
    }
}

/// The predicates of one condition; `None` when it is no SQL.
fn predicates(text: &str) -> Option<Vec<Predicate>> {
    let statement = format!("{PREFIX}{text}");
    let parsed = squawk_syntax::SourceFile::parse(&statement);
    if !parsed.errors().is_empty() {
        return None;
    }
    let offsets = OffsetMap {
        pieces: vec![(0, 0, false), (PREFIX.len(), 0, true)],
    };
    let mapper = walk::Mapper::new(SourceId(0), &offsets);
    let (query, _) = walk::statement(&parsed.syntax_node(), mapper, None);
    let select = query?.selects.into_iter().next()?;
    Some(select.predicates)
}

fn columns_of(operand: &Operand) -> Vec<ColumnRef> {
    match operand {
        Operand::Column(column) | Operand::Wrapped { column, .. } => vec![column.clone()],
        Operand::Other { columns, .. } => columns.clone(),
        Operand::List { items, .. } => items.iter().flat_map(columns_of).collect(),
        _ => Vec::new(),
    }
}

/// The column with the qualifier that stands in the text.
fn name(text: &str, column: &ColumnRef) -> Name {
    let written = text.get(column.span.range()).unwrap_or("");
    let parts: Vec<&str> = Scanner::new(written, 0)
        .filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
        .map(|token| token.text(written))
        .collect();
    let qualifier = match parts.as_slice() {
        [.., qualifier, _] => Some(walk::folded(qualifier)),
        _ => None,
    };
    Name {
        qualifier,
        column: column.name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Term {
        let mut terms = parse(text);
        assert_eq!(terms.len(), 1, "{text}");
        terms.remove(0)
    }

    fn column(term: &Term) -> &str {
        &term.column.as_ref().unwrap().column
    }

    #[test]
    fn conjuncts_come_apart_with_their_operators() {
        let terms = parse(
            "((status = 'a AND b'::text) AND (created_at > '2024-01-01'::timestamp without time zone) AND (note IS NOT NULL))",
        );
        let read: Vec<(&str, &str, Option<&str>)> = terms
            .iter()
            .map(|term| (column(term), term.operator.as_str(), term.other.as_deref()))
            .collect();
        assert_eq!(
            read,
            [
                ("status", "=", Some("'a AND b'::text")),
                (
                    "created_at",
                    ">",
                    Some("'2024-01-01'::timestamp without time zone")
                ),
                ("note", "is not null", None),
            ]
        );
        assert!(terms.iter().all(|term| term.constant && !term.opaque));
    }

    #[test]
    fn operators_are_spelled_as_in_statements() {
        assert_eq!(only("(name ~~ 'abc%'::text)").operator, "like");
        assert_eq!(
            only("((name)::text !~~* 'abc%'::text)").operator,
            "not ilike"
        );
        assert_eq!(only("(id = ANY ('{1,2}'::integer[]))").operator, "in");
        assert_eq!(only("(id <> ALL ('{1,2}'::integer[]))").operator, "not in");
        assert_eq!(only("(NOT active)").operator, "is false");
        assert_eq!(only("active").operator, "is true");
        assert_eq!(only("(tags @> '{a}'::text[])").operator, "@>");
    }

    #[test]
    fn wrappers_are_outermost_first() {
        let term = only("(lower((email)::text) = 'x'::text)");
        assert_eq!(column(&term), "email");
        assert!(matches!(
            term.wrappers.as_slice(),
            [Wrapper::Function { name, .. }, Wrapper::Cast { type_name, .. }]
                if name == "lower" && type_name == "text"
        ));
        let term = only("((meta ->> 'k'::text) = 'v'::text)");
        assert!(matches!(
            term.wrappers.as_slice(),
            [Wrapper::Part { operator, .. }] if operator == "->>"
        ));
    }

    #[test]
    fn a_join_condition_names_both_columns() {
        let term = only("(o.customer_id = \"C x\".id)");
        assert_eq!(
            term.column.as_ref().unwrap().qualifier.as_deref(),
            Some("o")
        );
        let other = term.other_column.unwrap();
        assert_eq!(
            (other.qualifier.as_deref(), other.column.as_str()),
            (Some("C x"), "id")
        );
        assert!(!term.constant);
    }

    #[test]
    fn plans_in_conditions_are_told_apart() {
        let initial = only("(amount > (InitPlan 1).col1)");
        assert!(initial.constant && initial.other.as_deref() == Some("(InitPlan 1).col1"));
        assert!(only("(amount > $0)").constant);
        let correlated = only("(amount > (SubPlan 2))");
        assert!(!correlated.constant && column(&correlated) == "amount");
        for text in [
            "(NOT (hashed SubPlan 1))",
            "(hashed SubPlan 1)",
            "(ANY (x = (hashed SubPlan 1).col1))",
        ] {
            assert!(only(text).opaque, "{text}");
        }
    }

    #[test]
    fn what_is_no_comparison_of_a_column_keeps_its_text_and_columns() {
        let term = only("((a = 1) OR (b = 2))");
        assert!(term.opaque);
        assert_eq!(term.columns.len(), 2);
        let terms = parse("((a = 1) AND (!! no sql !!) AND ((b + c) > 3))");
        let opaque: Vec<bool> = terms.iter().map(|term| term.opaque).collect();
        assert_eq!(opaque, [false, true, true]);
        assert_eq!(terms[2].text, "(b + c) > 3");
        assert_eq!(terms[2].columns.len(), 2);
    }
}
