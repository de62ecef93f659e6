//! Triggers that take much of a statement's time, foreign keys without an
//! index on the referencing side above all.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::support::{show, suggest, weight::Weight};
use crate::catalog::{Catalog, Constraint, ConstraintKind, Relation};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Suggestion, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Less is what checks cost.
const LEAST_MS: f64 = 5.0;
/// A smaller share is what they cost, too.
const LEAST_SHARE: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds triggers that took at least a tenth of a statement's time and 5 ms. A foreign key is
    /// checked by triggers on both of its tables; when rows of the referenced
    /// table are deleted or their keys changed, the referencing table is
    /// searched for each of them. Where the catalogue shows that it has no
    /// index on those columns, the index is proposed.
    ///
    /// All of the trigger's time is taken as what could be saved.
    ///
    /// ## Why it matters
    ///
    /// Without the index each deleted row costs a sequential scan of the
    /// referencing table. The plan does not show it: the time stands beside
    /// the tree, or nowhere when the statement is not explained.
    ///
    /// ## When it is wrong
    ///
    /// When the trigger does what must be done. The time of a trigger that
    /// cascades is that of the statements it runs.
    ///
    /// ## References
    ///
    /// - [Foreign keys](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK)
    /// - [Triggers](https://www.postgresql.org/docs/current/trigger-definition.html)
    pub struct TriggersTakeLong = {
        id: "triggers-take-long",
        summary: "a trigger, such as a foreign key's check, takes much of the time",
        level: Warning,
        needs: [Actuals],
        concerns: [ModifyTable],
        since: "0.1.0",
    }
}

/// One trigger, or the same of several partitions.
#[derive(Debug, Default)]
struct Fired<'a> {
    ms: f64,
    calls: f64,
    relation: Option<&'a str>,
    constraint: bool,
}

impl Rule for TriggersTakeLong {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let Some(whole) = suggest::execution_ms(subject, plan) else {
            return;
        };
        for (name, fired) in &fired(plan) {
            if fired.ms >= LEAST_MS
                && fired.ms >= whole * LEAST_SHARE
                && let Some(weight) = Weight::of_ms(subject, fired.ms, whole)
            {
                tell(subject, plan, name, fired, weight, sink);
            }
        }
    }
}

/// The triggers by name of their constraint, or their own.
fn fired(plan: &PlanGraph) -> BTreeMap<&str, Fired<'_>> {
    let mut found: BTreeMap<&str, Fired<'_>> = BTreeMap::new();
    let printed = plan.document.get("Triggers").and_then(Json::as_array);
    for trigger in printed.into_iter().flatten() {
        let text = |key| trigger.get(key).and_then(Json::as_str);
        let number = |key| trigger.get(key).and_then(Json::as_f64);
        let constraint = text("Constraint Name");
        let (Some(name), Some(ms)) = (constraint.or_else(|| text("Trigger Name")), number("Time"))
        else {
            continue;
        };
        let entry = found.entry(name).or_default();
        entry.ms += ms;
        entry.calls += number("Calls").unwrap_or(0.0);
        entry.relation = entry.relation.or_else(|| text("Relation"));
        entry.constraint = constraint.is_some();
    }
    found
}

/// The node that writes the trigger's table, else the top.
fn writer(plan: &PlanGraph, fired: &Fired<'_>) -> NodeId {
    let writers = || {
        plan.nodes()
            .filter(|(_, node)| node.kind == NodeKind::ModifyTable)
    };
    writers()
        .find(|(_, node)| {
            fired.relation.is_some() && node.relation.name.as_deref() == fired.relation
        })
        .or_else(|| writers().next())
        .map_or(plan.root, |(id, _)| id)
}

/// A foreign key and the side that refers.
struct Key<'a> {
    referencing: &'a Relation,
    constraint: &'a Constraint,
    referenced: &'a str,
}

/// The foreign key of that name, if there is only one of it on or to the
/// trigger's table.
fn key_of<'a>(catalog: &'a Catalog, name: &str, fired: &Fired<'_>) -> Option<Key<'a>> {
    let mut keys = catalog.relations.iter().flat_map(|relation| {
        relation
            .constraints
            .iter()
            .filter(|constraint| constraint.name == name)
            .filter_map(move |constraint| match &constraint.kind {
                ConstraintKind::ForeignKey { table, .. }
                    if fired
                        .relation
                        .is_none_or(|on| on == relation.name || on == table) =>
                {
                    Some(Key {
                        referencing: relation,
                        constraint,
                        referenced: table,
                    })
                }
                _ => None,
            })
    });
    let first = keys.next()?;
    keys.next().is_none().then_some(first)
}

/// Whether an index can find the rows by the key's columns: it begins with one
/// of them, and has no predicate that the search does not imply.
fn is_served(relation: &Relation, columns: &[String]) -> bool {
    relation.indexes.iter().any(|index| {
        index.valid
            && matches!(index.method.as_str(), "btree" | "hash")
            && index
                .predicate
                .as_deref()
                .is_none_or(|predicate| predicate.contains("IS NOT NULL"))
            && index
                .leading_column()
                .is_some_and(|leading| columns.iter().any(|column| column == leading))
    })
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    name: &str,
    fired: &Fired<'_>,
    weight: Weight,
    sink: &mut Sink,
) {
    let node = writer(plan, fired);
    let key = subject
        .catalog
        .filter(|_| fired.constraint)
        .and_then(|catalog| key_of(catalog, name, fired));
    // The check runs on the referenced side when that is what was written.
    let searched = key.filter(|key| {
        let on = fired.relation.or(plan.node(node).relation.name.as_deref());
        on == Some(key.referenced) && key.referencing.name != key.referenced
            || on == Some(key.referenced) && deletes(plan, node)
    });
    let unserved = searched
        .as_ref()
        .filter(|key| !is_served(key.referencing, &key.constraint.columns));
    let what = if fired.constraint {
        "the check of the constraint"
    } else {
        "the trigger"
    };
    let message = format!(
        "{what} {name} took {} of the time, in {}",
        show::percent(weight.share()),
        show::plural(fired.calls, "call", "calls")
    );
    let why = match (&searched, unserved) {
        (_, Some(key)) => format!(
            "for each row that goes from {}, {} is searched for rows that refer to it, and has no \
             index on {}",
            key.referenced,
            key.referencing.name,
            key.constraint.columns.join(", ")
        ),
        (Some(key), None) => format!(
            "for each row that goes from {}, {} is searched for rows that refer to it",
            key.referenced, key.referencing.name
        ),
        (None, None) if fired.constraint && deletes(plan, node) => "the constraint is checked for \
             each row; when the rows are referred to by another table, that table is searched each \
             time, and without an index on the referring columns as a whole"
            .to_owned(),
        (None, None) if fired.constraint => {
            "the constraint is checked for each row that is written".to_owned()
        }
        (None, None) => "its function is called beside the plan, which does not show what it \
             does"
            .to_owned(),
    };
    let draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "time in the trigger",
                Value::Ms(fired.ms),
                Origin::Plan(plan.root),
            ),
        )
        .node(node)
        .level(if unserved.is_some() {
            weight.level()
        } else {
            weight.level().min(Level::Warning)
        })
        .share(weight.share())
        .evidence(Evidence::new(
            "calls",
            Value::Count(fired.calls),
            Origin::Plan(plan.root),
        ))
        .evidence(Evidence::new(
            "time of a call",
            Value::Ms(fired.ms / fired.calls.max(1.0)),
            Origin::Formula("time ÷ calls"),
        ));
    let draft = match &searched {
        Some(key) => draft
            .evidence(Evidence::new(
                "referring columns",
                Value::Text(format!(
                    "{} ({})",
                    key.referencing.qualified(),
                    key.constraint.columns.join(", ")
                )),
                Origin::Catalog(name.to_owned()),
            ))
            .relation(key.referencing.schema.clone(), key.referencing.name.clone()),
        None => draft,
    };
    draft
        .evidence(weight.evidence())
        .suggest(cure(unserved, fired, name, deletes(plan, node)));
}

/// Whether the node takes rows away or changes them.
fn deletes(plan: &PlanGraph, node: NodeId) -> bool {
    matches!(
        plan.node(node).text("Operation"),
        Some("Delete" | "Update" | "Merge")
    )
}

fn cure(unserved: Option<&Key<'_>>, fired: &Fired<'_>, name: &str, deletes: bool) -> Suggestion {
    if let Some(key) = unserved {
        let columns: Vec<&str> = key.constraint.columns.iter().map(String::as_str).collect();
        return suggest::index(key.referencing, &columns).unwrap_or_else(|| {
            suggest::advice(
                format!(
                    "create an index on the referring columns of {}",
                    key.referencing.name
                ),
                format!(
                    "create an index on {} ({}), on each partition first if it is partitioned",
                    key.referencing.name,
                    columns.join(", ")
                ),
            )
        });
    }
    if fired.constraint && deletes {
        return suggest::judgement(
            "see whether the referring columns have an index",
            format!(
                "look up the referring table and columns of {name} (SELECT conrelid::regclass, \
                 pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = '{}'), and give \
                 them an index if they have none; or delete the referring rows first, in one \
                 statement",
                name.replace('\'', "''")
            ),
        );
    }
    if fired.constraint {
        return suggest::judgement(
            "write in larger portions, or check once",
            "each row's key is looked up in the referenced table: for a bulk load drop the \
             constraint first and add it afterwards, which checks all rows in one join",
        );
    }
    suggest::judgement(
        "look into the trigger's function",
        "explain the statements of its function (auto_explain with \
         auto_explain.log_nested_statements shows them); a trigger FOR EACH STATEMENT with a \
         transition table does its work once instead of once a row, and a WHEN condition spares \
         calls",
    )
}
