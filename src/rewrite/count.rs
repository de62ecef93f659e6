//! `(SELECT count(*) …) > 0`: `EXISTS (SELECT 1 …)`, which stops at the first
//! row.

use super::site::{Site, is_worthwhile};
use super::words::{code, comments};
use super::{Proposal, Rewrite};
use crate::finding::{Edit, Precondition};
use crate::source::Span;
use crate::sql::{Operand, RelationRefKind, Select, SelectId, SelectRole};
use crate::subject::Subject;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct CountToExists;

const ID: &str = "count-to-exists";

impl Rewrite for CountToExists {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "`(SELECT count(*) FROM …) > 0` becomes `EXISTS (SELECT 1 FROM …)`, and `= 0` becomes `NOT \
         EXISTS`: the first row answers the question, and a correlated one can be a semi-join or \
         an anti-join.\n\n\
         The results are the same when the count is `count(*)`, `count(1)` or of a column that is \
         never null, and the subquery has no GROUP BY, HAVING, LIMIT or set operation."
    }

    fn propose(&self, subject: &Subject<'_>) -> Vec<Proposal> {
        let Some(site) = Site::new(subject) else {
            return Vec::new();
        };
        let mut found: Vec<Proposal> = site
            .query
            .predicates()
            .filter_map(|(_, predicate)| {
                [&predicate.left, &predicate.right]
                    .into_iter()
                    .find_map(|side| match side {
                        Operand::Subquery { span, select } => {
                            one(&site, predicate.span, *span, *select, false)
                        }
                        _ => None,
                    })
            })
            .collect();
        found.extend(in_select_lists(&site));
        found
    }
}

/// `SELECT (SELECT count(*) …) > 0 AS has_orders`: with a name, which the
/// rewrite would change otherwise.
fn in_select_lists(site: &Site<'_>) -> Vec<Proposal> {
    let mut found = Vec::new();
    for (id, inner) in site.query.selects.iter().enumerate() {
        if inner.role != SelectRole::Scalar {
            continue;
        }
        let Some(outer) = inner.parent.and_then(|at| site.query.selects.get(at)) else {
            continue;
        };
        let Some(item) = outer
            .output
            .iter()
            .find(|item| item.span.contains(inner.span) && item.name.is_some())
        else {
            continue;
        };
        let text = site.text(item.span);
        let words = code(text);
        let Some(close) = words
            .iter()
            .find(|word| word.text == ")" && word.depth == 0)
        else {
            continue;
        };
        let base = item.span.start;
        let parens = site.span(base, base + close.end);
        // The subquery must be the item's first operand, and the comparison
        // must end where the alias begins.
        let Some(alias) = words
            .iter()
            .rposition(|word| word.depth == 0 && word.is("as"))
        else {
            continue;
        };
        let Some(end) = alias.checked_sub(1).and_then(|at| words.get(at)) else {
            continue;
        };
        if !text.starts_with('(') || end.end <= close.end || !parens.contains(inner.span) {
            continue;
        }
        let whole = site.span(base, base + end.end);
        found.extend(one(site, whole, parens, id, true));
    }
    found
}

/// What a comparison of the count with a constant asks.
fn asks_for_any(operator: &str, constant: &str) -> Option<bool> {
    match (operator, constant) {
        (">" | "<>" | "!=", "0") | (">=", "1") => Some(true),
        ("=" | "<=", "0") | ("<", "1") => Some(false),
        _ => None,
    }
}

fn flipped(operator: &str) -> &str {
    match operator {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        other => other,
    }
}

fn one(
    site: &Site<'_>,
    whole: Span,
    parens: Span,
    inner_id: SelectId,
    in_list: bool,
) -> Option<Proposal> {
    let inner = site.query.selects.get(inner_id)?;
    let [item] = inner.output.as_slice() else {
        return None;
    };
    let argument = counted(site, item.span)?;
    if !whole.contains(parens) {
        return None;
    }
    // What stands beside the subquery, as written: an operator and 0 or 1.
    let before = site.span(whole.start, parens.start);
    let after = site.span(parens.end, whole.end);
    let words = |span| {
        let words = code(site.text(span));
        words.iter().map(|word| word.text).collect::<Vec<_>>()
    };
    let (left, right) = (words(before), words(after));
    let (operator, constant) = match (left.as_slice(), right.as_slice()) {
        ([], [operator @ .., constant]) => (operator.concat(), *constant),
        ([constant, operator @ ..], []) => (flipped(&operator.concat()).to_owned(), *constant),
        _ => return None,
    };
    let any = asks_for_any(&operator, constant)?;
    if !reads_a_large_table(site, inner) {
        return None;
    }
    let asked = if any { "EXISTS" } else { "NOT EXISTS" };
    let title = format!("ask {asked} instead of counting all rows");
    let refuse = |reason: String| Some(Proposal::refused(ID, whole, &title, reason));
    if !inner.group_by.is_empty()
        || inner.limit.is_some()
        || inner.offset.is_some()
        || inner.set_operation.is_some()
        || inner.has_window
        || inner.distinct.is_some()
        || has_more(site, inner)
    {
        return refuse(
            "the subquery has GROUP BY, HAVING, LIMIT, DISTINCT or a set operation".to_owned(),
        );
    }
    let mut preconditions = vec![Precondition {
        claim: "the subquery counts all rows that its WHERE lets pass".to_owned(),
        proof: "it has no GROUP BY, HAVING, LIMIT or set operation".to_owned(),
    }];
    match argument {
        Counted::Rows => {}
        Counted::Name => {
            let Some(Operand::Column(column)) = argument_of(inner) else {
                return refuse(
                    "the subquery counts the values of an expression that may be null".to_owned(),
                );
            };
            match site.never_null(&column, None) {
                Ok(fact) => preconditions.push(fact),
                Err(reason) => {
                    return refuse(format!("{reason}, and count() leaves nulls out"));
                }
            }
        }
    }
    if let Some(name) = site.volatile_call(inner_id) {
        return refuse(format!("the subquery calls {name}, which is volatile"));
    }
    let mut edits = vec![
        Edit {
            span: before,
            text: format!("{}{} ", comments(site.text(before)), site.keyword(asked)),
        },
        Edit {
            span: item.span,
            text: "1".to_owned(),
        },
    ];
    if after.start < after.end {
        let kept = comments(site.text(after));
        edits.push(Edit {
            span: after,
            text: if kept.is_empty() {
                kept
            } else {
                format!(" {}", kept.trim_end_matches(' '))
            },
        });
    }
    let mut proposal = Proposal::offered(ID, whole, title, edits, preconditions);
    if in_list {
        proposal
            .notes
            .push("the column keeps its name and type".to_owned());
    }
    Some(proposal)
}

/// What is counted.
enum Counted {
    /// `count(*)` or `count(1)`.
    Rows,
    /// A name.
    Name,
}

/// Reads `count(*)`, with or without an alias that nobody can refer to.
fn counted(site: &Site<'_>, item: Span) -> Option<Counted> {
    let words = code(site.text(item));
    let texts: Vec<String> = words.iter().map(|word| word.text.to_lowercase()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let [first, "(", rest @ ..] = texts.as_slice() else {
        return None;
    };
    if *first != "count" {
        return None;
    }
    let ([argument @ .., ")"] | [argument @ .., ")", "as", _] | [argument @ .., ")", _]) = rest
    else {
        return None;
    };
    match argument {
        ["*"] => Some(Counted::Rows),
        [number] if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(Counted::Rows),
        [_] | [_, ".", _] => Some(Counted::Name),
        _ => None,
    }
}

/// The operand of the only output item; the reader gives `count(x)` as a
/// wrapped column.
fn argument_of(inner: &Select) -> Option<Operand> {
    match &inner.output.first()?.operand {
        Operand::Wrapped { column, .. } => Some(Operand::Column(column.clone())),
        Operand::Other { columns, .. } => match columns.as_slice() {
            [column] => Some(Operand::Column(column.clone())),
            _ => None,
        },
        _ => None,
    }
}

/// A clause that the structure does not name stands in the level: HAVING
/// without GROUP BY, FOR UPDATE.
fn has_more(site: &Site<'_>, inner: &Select) -> bool {
    let (text, _) = site.level_text(inner);
    super::words::clauses(text).is_none_or(|found| found.has_more)
}

fn reads_a_large_table(site: &Site<'_>, inner: &Select) -> bool {
    inner.relations.iter().any(|item| match &item.kind {
        RelationRefKind::Table {
            schema,
            name,
            found: true,
        } => site
            .catalog
            .relation(schema.as_deref(), name)
            .is_some_and(is_worthwhile),
        RelationRefKind::Cte { .. } | RelationRefKind::Subquery { .. } => true,
        RelationRefKind::Table { .. } | RelationRefKind::Other => false,
    })
}
