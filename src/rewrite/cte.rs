//! A materialised CTE: `NOT MATERIALIZED`, so that conditions of the query
//! around it reach its tables.

use super::site::Site;
use super::words::words;
use super::{Proposal, Rewrite};
use crate::finding::{Edit, Precondition};
use crate::sql::{RelationRefKind, Select, SelectId, SelectRole};
use crate::subject::Subject;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct MaterializedCteToInline;

const ID: &str = "materialized-cte-to-inline";

impl Rewrite for MaterializedCteToInline {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "A CTE that is declared MATERIALIZED, or is read more than once, is computed as a whole \
         before the query around it reads it. `NOT MATERIALIZED` makes it a part of that query, so \
         that its conditions can use indexes of the CTE's tables.\n\n\
         The results are the same when the CTE is a SELECT that is not recursive, calls no \
         volatile function, changes no data and locks no rows. A CTE that is read more than once \
         is then computed more than once, which only pays when each reader needs little of it."
    }

    fn propose(&self, subject: &Subject<'_>) -> Vec<Proposal> {
        let Some(site) = Site::new(subject) else {
            return Vec::new();
        };
        site.query
            .selects
            .iter()
            .enumerate()
            .filter_map(|(id, select)| one(&site, id, select))
            .collect()
    }
}

fn one(site: &Site<'_>, id: SelectId, select: &Select) -> Option<Proposal> {
    let SelectRole::Cte {
        name,
        materialized,
        recursive,
    } = &select.role
    else {
        return None;
    };
    let readers = readers(site, id);
    let fenced = match materialized {
        Some(materialized) => *materialized,
        None => readers.len() > 1,
    };
    if !fenced || !readers.iter().any(|reader| narrows(site, *reader)) {
        return None;
    }
    let (start, end) = keyword(site, select)?;
    let span = site.span(start, select.span.end);
    let title = format!("let the planner look into the CTE {name}");
    let refuse = |reason: String| Some(Proposal::refused(ID, span, &title, reason));
    if *recursive {
        return refuse("a recursive CTE is always computed as a whole".to_owned());
    }
    if site.query.modifies_data || site.query.locks_rows {
        return refuse("the statement changes data or locks rows".to_owned());
    }
    if let Some(call) = site.volatile_call(id) {
        return refuse(format!("the CTE calls {call}, which is volatile"));
    }
    let keyword = site.keyword("NOT MATERIALIZED");
    let text = if start == end {
        format!("{keyword} ")
    } else {
        keyword
    };
    let mut proposal = Proposal::offered(
        ID,
        span,
        title,
        vec![Edit {
            span: site.span(start, end),
            text,
        }],
        vec![Precondition {
            claim: format!("{name} gives the same rows however often it is computed"),
            proof: "it is a SELECT without volatile functions, and the statement changes no data"
                .to_owned(),
        }],
    );
    if readers.len() > 1 {
        proposal.notes.push(format!(
            "{name} is then computed for each of its {} readers",
            readers.len()
        ));
    }
    Some(proposal)
}

/// Places in FROM that read the CTE.
fn readers(site: &Site<'_>, cte: SelectId) -> Vec<(SelectId, usize)> {
    let mut found = Vec::new();
    for (level, select) in site.query.selects.iter().enumerate() {
        for (at, item) in select.relations.iter().enumerate() {
            if matches!(item.kind, RelationRefKind::Cte { select } if select == cte) {
                found.push((level, at));
            }
        }
    }
    found
}

/// A condition of the reader's level is on the CTE's columns.
fn narrows(site: &Site<'_>, reader: (SelectId, usize)) -> bool {
    site.query.predicates().any(|(_, predicate)| {
        [&predicate.left, &predicate.right].iter().any(|side| {
            side.column()
                .is_some_and(|column| column.relation == Some(reader))
        })
    })
}

/// Where `MATERIALIZED` stands before the CTE's parenthesis, or the empty
/// place for it.
fn keyword(site: &Site<'_>, select: &Select) -> Option<(usize, usize)> {
    let base = site.statement.span.start;
    let before = site.text(site.span(base, select.span.start));
    let found: Vec<_> = words(before)
        .into_iter()
        .filter(|word| !word.is_comment)
        .collect();
    let [.., previous, open] = found.as_slice() else {
        return None;
    };
    if open.text != "(" {
        return None;
    }
    if previous.is("materialized") {
        return Some((base + previous.start, base + previous.end));
    }
    previous
        .is("as")
        .then_some((base + open.start, base + open.start))
}
