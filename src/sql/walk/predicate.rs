//! Conditions, taken apart at AND, OR and NOT.

use squawk_syntax::{SyntaxElement, SyntaxKind, SyntaxNode};

use super::super::{ColumnRef, Operand, Predicate, SelectId, SelectRole};
use super::expression::{binary_parts, prefix_operator};
use super::{MAX_EXPRESSION_DEPTH, Place, Walker, tree};

impl Walker<'_> {
    /// Walks a condition and adds its predicates to the level.
    pub(super) fn condition(&mut self, node: &SyntaxNode, level: SelectId, place: Place) {
        if self.depth >= MAX_EXPRESSION_DEPTH {
            self.leaf(node, node, level, place, false);
            return;
        }
        self.depth += 1;
        self.condition_kind(node, level, place);
        self.depth -= 1;
    }

    fn condition_kind(&mut self, node: &SyntaxNode, level: SelectId, place: Place) {
        let inner = unwrapped(node);
        if let Some(junction) = junction(&inner) {
            let place = match junction {
                SyntaxKind::AND_KW => place,
                _ => Place {
                    conjunct: false,
                    or_group: Some(place.or_group.unwrap_or_else(|| {
                        self.next_or += 1;
                        self.next_or - 1
                    })),
                    ..place
                },
            };
            for arm in flattened(&inner, junction) {
                self.condition(&arm, level, place);
            }
            return;
        }
        // NOT, and what it negates.
        let mut negated = false;
        let mut negatee = inner.clone();
        while let Some(next) = negation(&negatee) {
            negated = !negated;
            negatee = unwrapped(&next);
        }
        if junction(&negatee).is_some() {
            // Under NOT nothing of it must be true by itself.
            let place = Place {
                conjunct: false,
                ..place
            };
            self.condition(&negatee, level, place);
            return;
        }
        self.leaf(&inner, &negatee, level, place, negated);
    }

    /// One predicate. `whole` is what it spans; `node` is without NOTs.
    fn leaf(
        &mut self,
        whole: &SyntaxNode,
        node: &SyntaxNode,
        level: SelectId,
        place: Place,
        negated: bool,
    ) {
        let mut read = self.comparison(node, level, negated);
        let mut conjunct = place.conjunct;
        if negated && read.bare {
            "is false".clone_into(&mut read.operator);
        } else if negated {
            match inverse(&read.operator) {
                Some(operator) => operator.clone_into(&mut read.operator),
                None => conjunct = false,
            }
        }
        if !has_column(&read.left)
            && read.left.is_constant()
            && has_column(&read.right)
            && let Some(operator) = mirrored(&read.operator)
        {
            operator.clone_into(&mut read.operator);
            std::mem::swap(&mut read.left, &mut read.right);
        }
        let predicate = Predicate {
            span: self.span(whole),
            clause: place.clause,
            operator: read.operator,
            left: read.left,
            right: read.right,
            upper: read.upper,
            conjunct,
            or_group: place.or_group,
            outer_join: place.outer_join,
        };
        if let Some(select) = self.select_mut(level) {
            select.predicates.push(predicate);
        }
    }

    /// Adds `left = right` of a USING or NATURAL join.
    pub(super) fn joined_column(
        &mut self,
        level: SelectId,
        left: ColumnRef,
        right: ColumnRef,
        place: Place,
    ) {
        let predicate = Predicate {
            span: left.span,
            clause: place.clause,
            operator: "=".to_owned(),
            left: Operand::Column(left),
            right: Operand::Column(right),
            upper: None,
            conjunct: place.conjunct,
            or_group: None,
            outer_join: place.outer_join,
        };
        if let Some(select) = self.select_mut(level) {
            select.predicates.push(predicate);
        }
    }

    fn comparison(&mut self, node: &SyntaxNode, level: SelectId, negated: bool) -> Comparison {
        match node.kind() {
            SyntaxKind::BIN_EXPR => {
                // `meta -> 'flag'` is no comparison but a value.
                if let Some((left, operator, right)) = binary_parts(node)
                    && !is_valued(&operator)
                {
                    return self.binary_predicate(&left, operator, &right, level, negated);
                }
            }
            SyntaxKind::BETWEEN_EXPR => {
                let sides: Vec<SyntaxNode> = tree::expressions(node).collect();
                if let [left, lower, upper] = sides.as_slice() {
                    let mut operator = String::new();
                    if tree::has_token(node, SyntaxKind::NOT_KW) {
                        operator.push_str("not ");
                    }
                    operator.push_str("between");
                    if tree::child(node, SyntaxKind::SYMMETRIC).is_some() {
                        operator.push_str(" symmetric");
                    }
                    return Comparison {
                        left: self.operand(left, level),
                        operator,
                        right: self.operand(lower, level),
                        upper: Some(self.operand(upper, level)),
                        bare: false,
                    };
                }
            }
            SyntaxKind::POSTFIX_EXPR => {
                if let Some(inner) = tree::expressions(node).next() {
                    let words = tree::words(node);
                    let inner_words = tree::words(&inner);
                    let operator = words
                        .strip_prefix(inner_words.as_str())
                        .unwrap_or(&words)
                        .trim();
                    let operator = match operator {
                        "isnull" => "is null",
                        "notnull" => "is not null",
                        other => other,
                    };
                    return Comparison::of_one(self.operand(&inner, level), operator);
                }
            }
            SyntaxKind::CALL_EXPR => {
                if let Some(exists) = tree::child(node, SyntaxKind::EXISTS_FN)
                    && let Some(query) = tree::query_in(&exists)
                {
                    let span = self.span(node);
                    let role = SelectRole::Exists { negated };
                    let walked = self.subquery(&query, span, role, level);
                    return Comparison::of_one(walked.operand, "exists");
                }
            }
            _ => {}
        }
        Comparison {
            bare: true,
            ..Comparison::of_one(self.operand(node, level), "is true")
        }
    }

    fn binary_predicate(
        &mut self,
        left: &SyntaxNode,
        operator: String,
        right: &SyntaxNode,
        level: SelectId,
        negated: bool,
    ) -> Comparison {
        if matches!(operator.as_str(), "is" | "is not") {
            let what = tree::words(right);
            return Comparison::of_one(self.operand(left, level), &format!("{operator} {what}"));
        }
        let left_operand = self.operand(left, level);
        if matches!(operator.as_str(), "in" | "not in") {
            let right = match tree::query_in(right) {
                Some(query) => {
                    let role = SelectRole::In {
                        negated: (operator == "not in") != negated,
                    };
                    let span = self.span(right);
                    self.subquery(&query, span, role, level).operand
                }
                None => self.in_list(right, level),
            };
            return Comparison {
                left: left_operand,
                operator,
                right,
                upper: None,
                bare: false,
            };
        }
        if let Some((quantifier, inner)) = quantified(right) {
            return self.quantified_predicate(
                left_operand,
                &operator,
                quantifier,
                &inner,
                level,
                negated,
            );
        }
        Comparison {
            left: left_operand,
            operator,
            right: self.operand(right, level),
            upper: None,
            bare: false,
        }
    }

    fn in_list(&mut self, right: &SyntaxNode, level: SelectId) -> Operand {
        let operand = self.operand(right, level);
        match operand {
            // `IN (1)` is parsed as a parenthesised expression.
            Operand::Literal { .. } | Operand::Parameter { .. } | Operand::Constant { .. } => {
                Operand::List {
                    span: self.span(right),
                    items: vec![operand],
                }
            }
            other => other,
        }
    }

    fn quantified_predicate(
        &mut self,
        left: Operand,
        operator: &str,
        quantifier: &'static str,
        inner: &SyntaxNode,
        level: SelectId,
        negated: bool,
    ) -> Comparison {
        let plain = match (operator, quantifier) {
            ("=", "any") => Some("in"),
            ("<>", "all") => Some("not in"),
            _ => None,
        };
        if let Some(query) = tree::query_in(inner) {
            let role = SelectRole::In {
                negated: plain.is_some() && (plain == Some("not in")) != negated,
            };
            let span = self.span(inner);
            let right = self.subquery(&query, span, role, level).operand;
            return Comparison {
                left,
                operator: plain.map_or_else(|| format!("{operator} {quantifier}"), str::to_owned),
                right,
                upper: None,
                bare: false,
            };
        }
        let right = tree::expressions(inner)
            .next()
            .map_or(Operand::Absent, |array| self.operand(&array, level));
        // Against an array that is itself a column it is another question.
        let plain = plain.filter(|_| right.is_constant());
        Comparison {
            left,
            operator: plain.map_or_else(|| format!("{operator} {quantifier}"), str::to_owned),
            right,
            upper: None,
            bare: false,
        }
    }
}

struct Comparison {
    left: Operand,
    operator: String,
    right: Operand,
    upper: Option<Operand>,
    /// No operator was written: the value itself is the condition.
    bare: bool,
}

impl Comparison {
    fn of_one(left: Operand, operator: &str) -> Self {
        Self {
            left,
            operator: operator.to_owned(),
            right: Operand::Absent,
            upper: None,
            bare: false,
        }
    }
}

fn has_column(operand: &Operand) -> bool {
    match operand {
        Operand::Column(_) | Operand::Wrapped { .. } => true,
        Operand::Other { columns, .. } => !columns.is_empty(),
        _ => false,
    }
}

/// Without parentheses around it.
fn unwrapped(node: &SyntaxNode) -> SyntaxNode {
    let mut node = node.clone();
    while node.kind() == SyntaxKind::PAREN_EXPR {
        let inner = tree::expressions(&node).next();
        match inner {
            Some(inner) => node = inner,
            None => break,
        }
    }
    node
}

/// The operand of a NOT.
fn negation(node: &SyntaxNode) -> Option<SyntaxNode> {
    if node.kind() != SyntaxKind::PREFIX_EXPR {
        return None;
    }
    let inner = tree::expressions(node).last()?;
    (prefix_operator(node, &inner) == "not").then_some(inner)
}

/// AND or OR, if that is what the node is.
fn junction(node: &SyntaxNode) -> Option<SyntaxKind> {
    if node.kind() != SyntaxKind::BIN_EXPR {
        return None;
    }
    node.children_with_tokens()
        .filter_map(SyntaxElement::into_token)
        .map(|token| token.kind())
        .find(|kind| matches!(kind, SyntaxKind::AND_KW | SyntaxKind::OR_KW))
}

/// Operators whose result is no truth value by itself.
fn is_valued(operator: &str) -> bool {
    matches!(
        operator,
        "+" | "-" | "*" | "/" | "^" | "||" | "->" | "->>" | "#>" | "#>>" | "at time zone"
    )
}

/// The arms of a chain of the same junction, in order, without recursion.
fn flattened(node: &SyntaxNode, kind: SyntaxKind) -> Vec<SyntaxNode> {
    let mut arms = Vec::new();
    let mut open = vec![node.clone()];
    while let Some(next) = open.pop() {
        if junction(&next) == Some(kind) {
            // Last in, first out: the right arm waits.
            open.extend(next.children().collect::<Vec<_>>().into_iter().rev());
        } else {
            let inner = unwrapped(&next);
            if junction(&inner) == Some(kind) {
                open.push(inner);
            } else {
                arms.push(next);
            }
        }
    }
    arms
}

/// `ANY (…)`, `SOME (…)` or `ALL (…)`.
fn quantified(node: &SyntaxNode) -> Option<(&'static str, SyntaxNode)> {
    if node.kind() != SyntaxKind::CALL_EXPR {
        return None;
    }
    node.children().find_map(|child| match child.kind() {
        SyntaxKind::ANY_FN | SyntaxKind::SOME_FN => Some(("any", child)),
        SyntaxKind::ALL_FN => Some(("all", child)),
        _ => None,
    })
}

/// The operator for sides exchanged.
fn mirrored(operator: &str) -> Option<&'static str> {
    let other = match operator {
        "=" => "=",
        "<>" => "<>",
        "<" => ">",
        ">" => "<",
        "<=" => ">=",
        ">=" => "<=",
        "@>" => "<@",
        "<@" => "@>",
        "&&" => "&&",
        "is distinct from" => "is distinct from",
        "is not distinct from" => "is not distinct from",
        _ => return None,
    };
    Some(other)
}

/// The operator that is true where this one is false, and unknown where it is
/// unknown.
fn inverse(operator: &str) -> Option<&'static str> {
    let other = match operator {
        "=" => "<>",
        "<>" => "=",
        "<" => ">=",
        ">" => "<=",
        "<=" => ">",
        ">=" => "<",
        "in" => "not in",
        "not in" => "in",
        "exists" => "not exists",
        "like" => "not like",
        "not like" => "like",
        "ilike" => "not ilike",
        "not ilike" => "ilike",
        "similar to" => "not similar to",
        "not similar to" => "similar to",
        "between" => "not between",
        "not between" => "between",
        "between symmetric" => "not between symmetric",
        "not between symmetric" => "between symmetric",
        "is null" => "is not null",
        "is not null" => "is null",
        "is true" => "is not true",
        "is not true" => "is true",
        "is false" => "is not false",
        "is not false" => "is false",
        "is unknown" => "is not unknown",
        "is not unknown" => "is unknown",
        "is distinct from" => "is not distinct from",
        "is not distinct from" => "is distinct from",
        "~" => "!~",
        "!~" => "~",
        "~*" => "!~*",
        "!~*" => "~*",
        _ => return None,
    };
    Some(other)
}
