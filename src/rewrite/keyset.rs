//! A deep OFFSET: how the next page can be asked for by the last row of the
//! one before, as advice with the SQL.

use super::site::{Site, is_worthwhile};
use super::words::{Clauses, clauses};
use super::{Proposal, Rewrite, apply};
use crate::catalog::ident::quote;
use crate::catalog::{Column, Relation};
use crate::finding::{Applicability, Edit, Precondition};
use crate::sql::{LiteralKind, Operand, OrderKey, Select, SelectId, SelectRole};
use crate::subject::Subject;

/// See [`Rewrite::docs`].
#[derive(Debug)]
pub(super) struct OffsetToKeyset;

const ID: &str = "offset-to-keyset";

/// Rows below which skipping them costs next to nothing.
const SHALLOW: f64 = 1_000.0;

impl Rewrite for OffsetToKeyset {
    fn id(&self) -> &'static str {
        ID
    }

    fn docs(&self) -> &'static str {
        "OFFSET reads all the rows that it skips. Asking for the rows after the last one of the \
         page before (the keyset) reads only the page.\n\n\
         This is advice: the caller must keep the last row's values, and cannot jump to a page by \
         its number. It needs an ORDER BY that puts any two rows in order, which a unique key at \
         its end does; where there is none, the advice adds the primary key. The caller's \
         interface can stay when only the keys of the page are found with OFFSET and the rows are \
         fetched by them."
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

/// An ORDER BY key that is a plain column.
struct Key<'a> {
    written: &'a str,
    column: &'a Column,
    descending: bool,
}

fn one(site: &Site<'_>, id: SelectId, select: &Select) -> Option<Proposal> {
    let offset = select.offset.as_ref()?;
    let Operand::Literal {
        value,
        kind: LiteralKind::Integer,
        ..
    } = &offset.operand
    else {
        return None;
    };
    if value.parse::<f64>().ok()? < SHALLOW || select.role != SelectRole::Top {
        return None;
    }
    let title = "ask for the rows after the last one of the page before, not for an OFFSET";
    let refuse = |reason: &str| Some(Proposal::refused(ID, offset.span, title, reason));
    let (text, base) = site.level_text(select);
    let Some(found) = clauses(text) else {
        return refuse("the statement is not a plain SELECT");
    };
    if select.order_by.is_empty() {
        return refuse("there is no ORDER BY, so that pages are not defined at all");
    }
    if select.set_operation.is_some()
        || select.has_aggregate
        || !select.group_by.is_empty()
        || select.distinct.is_some()
    {
        return refuse("the rows of the page are computed from groups or from several queries");
    }
    let [item] = select.relations.as_slice() else {
        return refuse(
            "the page is of a join, where one row of a table can stand in many rows of the result",
        );
    };
    let mut relation: Option<&Relation> = None;
    let mut keys = Vec::new();
    for key in &select.order_by {
        let Some((table, key)) = plain_key(site, id, key) else {
            return refuse("ORDER BY has a key that is not a plain column");
        };
        relation = Some(table);
        keys.push(key);
    }
    let relation = relation?;
    if !is_worthwhile(relation) {
        return None;
    }
    let columns: Vec<&str> = keys.iter().map(|key| key.column.name.as_str()).collect();
    let total = relation.is_unique_key(&columns);
    let primary: Vec<&Column> = relation
        .indexes
        .iter()
        .find(|index| index.primary)
        .map(|index| {
            index
                .key_columns()
                .into_iter()
                .filter_map(|name| relation.column(name))
                .collect()
        })
        .unwrap_or_default();
    if !total && primary.is_empty() {
        return refuse(
            "ORDER BY leaves rows with equal keys in no order, and the table has no primary key \
             to put at its end",
        );
    }
    let added: Vec<&Column> = if total {
        Vec::new()
    } else {
        primary
            .iter()
            .filter(|column| !columns.contains(&column.name.as_str()))
            .copied()
            .collect()
    };
    let alias = quote(&item.alias);
    let descending = keys.last().is_some_and(|key| key.descending);
    let all: Vec<(String, String, bool)> = keys
        .iter()
        .map(|key| {
            (
                key.written.to_owned(),
                key.column.name.clone(),
                key.descending,
            )
        })
        .chain(added.iter().map(|column| {
            (
                format!("{alias}.{}", quote(&column.name)),
                column.name.clone(),
                descending,
            )
        }))
        .collect();
    let keyset = keyset_sql(site, select, &found, &all, keys.len())?;
    let mut advice = format!(
        "Keep the ORDER BY columns of the last row of a page, and ask for the rows after it:\n\n\
         {keyset}"
    );
    if !added.is_empty() {
        let names: Vec<&str> = added.iter().map(|column| column.name.as_str()).collect();
        advice.push_str(&format!(
            "\n\n{} is added to ORDER BY: without it rows with equal keys have no order, and pages \
             can repeat or lose rows.",
            names.join(", ")
        ));
    }
    let nullable: Vec<&str> = keys
        .iter()
        .filter(|key| !key.column.not_null)
        .map(|key| key.column.name.as_str())
        .collect();
    if !nullable.is_empty() {
        advice.push_str(&format!(
            "\n\n{} can be null: rows with a null there need a condition of their own.",
            nullable.join(", ")
        ));
    }
    if let Some(deferred) = deferred_sql(site, select, &found, text, base, &alias, &primary) {
        advice.push_str(&format!(
            "\n\nWhere the caller must keep OFFSET, find only the keys of the page with it, which an \
             index can answer alone, and fetch the rows by them:\n\n{deferred}"
        ));
    }
    let mut proposal = Proposal::offered(ID, offset.span, title, Vec::new(), Vec::new());
    proposal.applicability = Applicability::Manual;
    proposal.advice = Some(advice);
    proposal
        .notes
        .push("the caller passes the last row's values instead of a page number".to_owned());
    if total {
        proposal.preconditions.push(Precondition {
            claim: "ORDER BY puts any two rows in order".to_owned(),
            proof: format!("its columns contain a unique key of {}", relation.name),
        });
    }
    Some(proposal)
}

fn plain_key<'a>(
    site: &Site<'a>,
    level: SelectId,
    key: &'a OrderKey,
) -> Option<(&'a Relation, Key<'a>)> {
    let Operand::Column(column) = &key.expression.operand else {
        return None;
    };
    if column.relation.map(|(at, _)| at) != Some(level) {
        return None;
    }
    let default_nulls = key.nulls_first.is_none_or(|first| first == key.descending);
    let (relation, found) = site.column(column)?;
    (default_nulls || found.not_null).then(|| {
        (
            relation,
            Key {
                written: site.text(column.span),
                column: found,
                descending: key.descending,
            },
        )
    })
}

/// The condition that a row comes after the last one.
fn after(keys: &[(String, String, bool)], or: &str, and: &str) -> String {
    let value = |name: &str| {
        format!(
            ":last_{}",
            name.replace(|c: char| !c.is_alphanumeric(), "_")
        )
    };
    let same_direction = keys
        .iter()
        .all(|key| keys.first().is_some_and(|first| first.2 == key.2));
    let sign = |descending: bool| if descending { "<" } else { ">" };
    if let [(written, name, descending)] = keys {
        return format!("{written} {} {}", sign(*descending), value(name));
    }
    if same_direction {
        let columns: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        let values: Vec<String> = keys.iter().map(|key| value(&key.1)).collect();
        let descending = keys.first().is_some_and(|key| key.2);
        return format!(
            "({}) {} ({})",
            columns.join(", "),
            sign(descending),
            values.join(", ")
        );
    }
    let mut arms = Vec::new();
    for (at, (written, name, descending)) in keys.iter().enumerate() {
        let mut parts: Vec<String> = keys
            .iter()
            .take(at)
            .map(|(written, name, _)| format!("{written} = {}", value(name)))
            .collect();
        parts.push(format!("{written} {} {}", sign(*descending), value(name)));
        arms.push(format!("({})", parts.join(&format!(" {and} "))));
    }
    format!("({})", arms.join(&format!(" {or} ")))
}

fn keyset_sql(
    site: &Site<'_>,
    select: &Select,
    found: &Clauses,
    keys: &[(String, String, bool)],
    written: usize,
) -> Option<String> {
    let (text, base) = site.level_text(select);
    let and = site.keyword("AND");
    let condition = after(keys, &site.keyword("OR"), &and);
    let mut edits = Vec::new();
    let at = |start: usize, end: usize, text: String| Edit {
        span: site.span(base + start, base + end),
        text,
    };
    match found.filter {
        Some((_, end)) => {
            let body = text.get(end..found.filter_end)?;
            if super::words::code(body)
                .iter()
                .any(|word| word.depth == 0 && word.is("or"))
            {
                let start = end + (body.len() - body.trim_start().len());
                edits.push(at(start, start, "(".to_owned()));
                edits.push(at(
                    found.filter_end,
                    found.filter_end,
                    format!(") {and} {condition}"),
                ));
            } else {
                edits.push(at(
                    found.filter_end,
                    found.filter_end,
                    format!(" {and} {condition}"),
                ));
            }
        }
        None => edits.push(at(
            found.from_end,
            found.from_end,
            format!(" {} {condition}", site.keyword("WHERE")),
        )),
    }
    let mut tail = String::new();
    for (added, _, descending) in keys.iter().skip(written) {
        tail.push_str(", ");
        tail.push_str(added);
        if *descending {
            tail.push(' ');
            tail.push_str(&site.keyword("DESC"));
        }
    }
    if !tail.is_empty() {
        let end = order_by_end(text, found)?;
        edits.push(at(end, end, tail));
    }
    let (start, end) = found.offset?;
    let start = text.get(..start)?.trim_end().len();
    edits.push(at(start, end, String::new()));
    apply(text, base, &edits)
}

/// One past the ORDER BY clause: where LIMIT, OFFSET, FETCH or FOR begins.
fn order_by_end(text: &str, found: &Clauses) -> Option<usize> {
    let words = super::words::code(text);
    let order = words
        .iter()
        .position(|word| word.start >= found.filter_end && word.depth == 0 && word.is("order"))?;
    let mut end = None;
    for word in words.get(order..)? {
        let stops = ["limit", "offset", "fetch", "for"];
        if word.depth == 0 && stops.iter().any(|stop| word.is(stop)) {
            break;
        }
        end = Some(word.end);
    }
    end
}

/// `SELECT … WHERE id IN (SELECT id … LIMIT … OFFSET …) ORDER BY …`.
fn deferred_sql(
    site: &Site<'_>,
    select: &Select,
    found: &Clauses,
    text: &str,
    base: usize,
    alias: &str,
    primary: &[&Column],
) -> Option<String> {
    if primary.is_empty() {
        return None;
    }
    let names: Vec<String> = primary
        .iter()
        .map(|column| format!("{alias}.{}", quote(&column.name)))
        .collect();
    let list_end = select.output.last()?.span.end.checked_sub(base)?;
    let order_end = order_by_end(text, found)?;
    let order_start = super::words::code(text)
        .iter()
        .find(|word| word.start >= found.filter_end && word.depth == 0 && word.is("order"))?
        .start;
    let key = match names.as_slice() {
        [name] => name.clone(),
        names => format!("({})", names.join(", ")),
    };
    Some(format!(
        "{} {} {key} {} ({} {}{})\n{}",
        text.get(..found.from_end)?,
        site.keyword("WHERE"),
        site.keyword("IN"),
        site.keyword("SELECT"),
        names.join(", "),
        text.get(list_end..)?,
        text.get(order_start..order_end)?,
    ))
}
