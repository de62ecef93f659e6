//! `x NOT IN (SELECT y …)`: `NOT EXISTS (SELECT 1 … WHERE y = x)`, which can
//! be an anti-join.

use super::site::{Site, is_worthwhile};
use super::words::{clauses, code, comments};
use super::{Proposal, Rewrite};
use crate::catalog::ident::quote;
use crate::finding::{Edit, Precondition};
use crate::source::Span;
use crate::sql::{ColumnRef, Operand, Predicate, RelationRefKind, Select, SelectId};
use crate::subject::Subject;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct NotInToNotExists;

const ID: &str = "not-in-to-not-exists";

impl Rewrite for NotInToNotExists {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "`x NOT IN (SELECT y FROM …)` becomes `NOT EXISTS (SELECT 1 FROM … WHERE y = x)`. \
         PostgreSQL plans NOT EXISTS as an anti-join; NOT IN becomes a subplan that is hashed when \
         its result fits in `work_mem`, and otherwise executed for every row.\n\n\
         The results are the same when neither side can be null: one null in the subquery makes \
         NOT IN true for no row, and a null on the left passes NOT EXISTS. Both must be NOT NULL \
         in the catalogue or kept from being null by a condition, and must not come from the \
         nullable side of an outer join."
    }

    fn propose(&self, subject: &Subject<'_>) -> Vec<Proposal> {
        let Some(site) = Site::new(subject) else {
            return Vec::new();
        };
        site.query
            .predicates()
            .filter_map(|(level, predicate)| one(&site, level, predicate))
            .collect()
    }
}

fn one(site: &Site<'_>, level: SelectId, predicate: &Predicate) -> Option<Proposal> {
    let Operand::Subquery {
        span: right,
        select: inner_id,
    } = predicate.right
    else {
        return None;
    };
    // After `<> ALL` the keyword counts as a part of the subquery.
    let lead = code(site.text(right));
    let open = lead.iter().find(|word| word.text == "(")?.start;
    let parens = site.span(right.start + open, right.end);
    if !is_written_as_not_in(site, predicate, parens) {
        return None;
    }
    let Operand::Column(outer) = &predicate.left else {
        return None;
    };
    let inner = site.query.selects.get(inner_id)?;
    if !reads_a_large_table(site, level, inner_id) {
        return None;
    }
    let title = format!(
        "ask NOT EXISTS instead of whether {} is NOT IN the subquery",
        site.text(outer.span)
    );
    let refuse = |reason: &str| Some(Proposal::refused(ID, predicate.span, &title, reason));
    if inner.set_operation.is_some() {
        return refuse("the subquery is a set operation");
    }
    if inner.has_aggregate || !inner.group_by.is_empty() || inner.has_window {
        return refuse("the subquery groups its rows");
    }
    if inner.limit.is_some() || inner.offset.is_some() {
        return refuse("the subquery has a LIMIT or OFFSET, which would count other rows");
    }
    if matches!(&inner.distinct, Some(on) if !on.is_empty()) {
        return refuse("the subquery has DISTINCT ON");
    }
    if site.query.locks_rows {
        return refuse("the statement locks rows");
    }
    if let Some(name) = site.volatile_call(inner_id) {
        return refuse(&format!("the subquery calls {name}, which is volatile"));
    }
    let [item] = inner.output.as_slice() else {
        return refuse("the subquery does not give exactly one named column");
    };
    let Operand::Column(found) = &item.operand else {
        return refuse(
            "the subquery gives an expression, of which it is not known that it is never null",
        );
    };
    if found.relation.map(|(at, _)| at) != Some(inner_id) {
        return refuse("the subquery gives a column of the query around it");
    }
    let facts = [
        site.never_null(found, None),
        site.never_null(outer, Some(predicate.span)),
    ];
    let mut preconditions = Vec::new();
    for fact in facts {
        match fact {
            Ok(fact) => preconditions.push(fact),
            Err(reason) => {
                return refuse(&format!(
                    "{reason}: NOT IN and NOT EXISTS answer differently then"
                ));
            }
        }
    }
    let (Some(outer_name), Some(inner_name)) = (qualified(site, outer), qualified(site, found))
    else {
        return refuse("a column could not be resolved");
    };
    let outer_alias = &site.relation_ref(outer)?.alias;
    if hides(site, outer, inner_id, outer_alias) {
        return refuse(&format!(
            "the subquery has its own {outer_alias}, so that the row around it cannot be named; \
             give one of them another alias"
        ));
    }
    preconditions.push(Precondition {
        claim: "the subquery gives the same rows each time".to_owned(),
        proof: "no volatile function, LIMIT or grouping stands in it".to_owned(),
    });
    let edits = edits(site, predicate, parens, inner, &inner_name, &outer_name)?;
    Some(Proposal::offered(
        ID,
        predicate.span,
        title,
        edits,
        preconditions,
    ))
}

/// The text around the column and the subquery is `x NOT IN (…)`, `x <> ALL
/// (…)`, `NOT x IN (…)` or `NOT (x IN (…))`.
fn is_written_as_not_in(site: &Site<'_>, predicate: &Predicate, subquery: Span) -> bool {
    let Some(left) = predicate.left.span() else {
        return false;
    };
    let whole = predicate.span;
    let mut tokens = Vec::new();
    for (start, end) in [(whole.start, left.start), (left.end, subquery.start)] {
        let piece = code(site.text(site.span(start, end)));
        tokens.extend(piece.iter().map(|word| word.text.to_lowercase()));
    }
    let before: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let rest = code(site.text(site.span(subquery.end, whole.end)));
    let after: Vec<&str> = rest.iter().map(|word| word.text).collect();
    matches!(
        (before.as_slice(), after.as_slice()),
        (["not", "in"] | ["<", ">", "all"] | ["!", "=", "all"], []) | (["not", "(", "in"], [")"])
    )
}

/// A small list is hashed in no time.
fn reads_a_large_table(site: &Site<'_>, outer: SelectId, inner: SelectId) -> bool {
    let large = |level: SelectId| {
        site.query.selects.get(level).is_some_and(|select| {
            select.set_operation.is_some()
                || select.relations.iter().any(|item| match &item.kind {
                    RelationRefKind::Table {
                        schema,
                        name,
                        found: true,
                    } => site
                        .catalog
                        .relation(schema.as_deref(), name)
                        .is_some_and(is_worthwhile),
                    RelationRefKind::Table { found: false, .. } | RelationRefKind::Other => false,
                    RelationRefKind::Cte { .. } | RelationRefKind::Subquery { .. } => true,
                })
        })
    };
    large(inner) && large(outer)
}

/// `alias.column`, as it can be written where the alias is visible.
fn qualified(site: &Site<'_>, column: &ColumnRef) -> Option<String> {
    let item = site.relation_ref(column)?;
    Some(format!("{}.{}", quote(&item.alias), quote(&column.name)))
}

/// An alias between the column's own level and the subquery hides it.
fn hides(site: &Site<'_>, outer: &ColumnRef, inner: SelectId, alias: &str) -> bool {
    let Some((home, _)) = outer.relation else {
        return true;
    };
    let mut at = Some(inner);
    while let Some(level) = at {
        if level == home {
            return false;
        }
        let Some(select) = site.query.selects.get(level) else {
            return true;
        };
        if select.relations.iter().any(|item| item.alias == alias) {
            return true;
        }
        at = select.parent;
    }
    true
}

fn edits(
    site: &Site<'_>,
    predicate: &Predicate,
    parens: Span,
    inner: &Select,
    inner_name: &str,
    outer_name: &str,
) -> Option<Vec<Edit>> {
    let (text, base) = site.level_text(inner);
    let found = clauses(text)?;
    if found.has_more {
        return None;
    }
    let first = inner.output.first()?.span;
    let at = |start: usize, end: usize| site.span(base + start, base + end);
    let head = site.span(predicate.span.start, parens.start);
    // `SELECT DISTINCT y`: the DISTINCT goes too.
    let list = if found.list == found.select {
        Edit {
            span: first,
            text: "1".to_owned(),
        }
    } else {
        let span = site.span(base + found.select, first.end);
        Edit {
            span,
            text: format!(" {}1", comments(site.text(span))),
        }
    };
    let link = format!("{inner_name} = {outer_name}");
    let mut edits = vec![
        Edit {
            span: head,
            text: format!(
                "{}{} ",
                comments(site.text(head)),
                site.keyword("NOT EXISTS")
            ),
        },
        list,
    ];
    let and = site.keyword("AND");
    match found.filter {
        Some((_, end)) => {
            let body = text.get(end..found.filter_end)?;
            if has_top_level_or(body) {
                // The first byte of the condition, after white space.
                let start = end + (body.len() - body.trim_start().len());
                edits.push(Edit {
                    span: at(start, start),
                    text: format!("{link} {and} ("),
                });
                edits.push(Edit {
                    span: at(found.filter_end, found.filter_end),
                    text: ")".to_owned(),
                });
            } else {
                edits.push(Edit {
                    span: at(end, end),
                    text: format!(" {link} {and}"),
                });
            }
        }
        None => edits.push(Edit {
            span: at(found.from_end, found.from_end),
            text: format!(" {} {link}", site.keyword("WHERE")),
        }),
    }
    if parens.end < predicate.span.end {
        let tail = site.span(parens.end, predicate.span.end);
        edits.push(Edit {
            span: tail,
            text: comments(site.text(tail)),
        });
    }
    Some(edits)
}

fn has_top_level_or(condition: &str) -> bool {
    code(condition)
        .iter()
        .any(|word| word.depth == 0 && word.is("or"))
}
