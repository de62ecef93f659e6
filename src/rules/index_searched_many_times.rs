//! An index that is descended again and again within one scan.

use super::support::{condition, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer descents within one scan take no time.
const LEAST_SEARCHES: f64 = 50.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds index scans that descended their index at least 50 times in each
    /// run, which EXPLAIN counts since version 18, and not for a list of
    /// values: the query has no equality on the index's first column, and the
    /// scan skips from one value of it to the next. What could be saved is the
    /// scan's own time but for one search: × (1 − 1 ÷ searches).
    ///
    /// ## Why it matters
    ///
    /// A skip scan is better than reading the whole index, and worse than an
    /// index that begins with the columns of the condition. It grows with the
    /// number of values of the first column.
    ///
    /// ## When it is wrong
    ///
    /// When the query is rare: one index less is worth more than some
    /// searches. On versions before 18 the same index would be of no use.
    ///
    /// ## References
    ///
    /// - [Multicolumn indexes](https://www.postgresql.org/docs/current/indexes-multicolumn.html)
    pub struct IndexSearchedManyTimes = {
        id: "index-searched-many-times",
        summary: "an index scan skips through the values of the index's first column",
        level: Note,
        needs: [Actuals],
        concerns: [IndexScan, IndexOnlyScan, BitmapIndexScan],
        since: "0.1.0",
    }
}

impl Rule for IndexSearchedManyTimes {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, node) in plan.nodes() {
            if matches!(
                node.kind,
                NodeKind::IndexScan | NodeKind::IndexOnlyScan | NodeKind::BitmapIndexScan
            ) && let Some(searches) = node.number("Index Searches")
                && let Some(actual) = node.actual.filter(|actual| actual.loops > 0.0)
                && searches / actual.loops >= LEAST_SEARCHES
                && let Some(on) = node.condition(ConditionRole::IndexCond)
            {
                look(subject, plan, id, on, (searches, actual.loops), sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    on: &str,
    (searches, loops): (f64, f64),
    sink: &mut Sink,
) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    let conjuncts = condition::conjuncts(on);
    // A list of values is searched for value by value, and rightly so.
    if conjuncts
        .iter()
        .any(|conjunct| conjunct.text.contains("ANY (") || conjunct.text.contains("ANY("))
    {
        return;
    }
    let scan = plan.node(id);
    let index_name = scan.relation.index.as_deref().unwrap_or("the index");
    let known = subject
        .catalog
        .and_then(|catalog| catalog.index(index_name));
    let columns = |equal: bool| {
        conjuncts
            .iter()
            .filter(move |conjunct| (conjunct.operator == "=") == equal)
            .filter_map(|conjunct| condition::column(conjunct.left).map(|(_, name)| name))
            .collect::<Vec<String>>()
    };
    let equal = columns(true);
    let mut keys = equal.clone();
    // One range can follow the equalities.
    keys.extend(columns(false).into_iter().take(1));
    keys.dedup();
    if let Some((_, index)) = known
        && index
            .leading_column()
            .is_some_and(|leading| equal.iter().any(|name| name == leading))
    {
        return;
    }
    let each = searches / loops;
    let share = metrics.node(id).self_share * (1.0 - 1.0 / each);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let leading = known.and_then(|(_, index)| index.leading_column());
    let mut draft = sink
        .report(
            format!(
                "index {index_name} is searched {} times in one scan",
                show::count(each)
            ),
            match leading {
                Some(leading) => format!(
                    "the condition has no equality on {leading}, the index's first column, so the \
                     scan goes from one value of it to the next"
                ),
                None => "the condition has no equality on the index's first column, so the scan \
                         goes from one value of it to the next"
                    .to_owned(),
            },
            Evidence::new("index searches", Value::Count(searches), Origin::Plan(id)),
        )
        .node(id)
        .span(node::span(subject, id, Some(on)))
        .level(weight.level().min(crate::finding::Level::Warning))
        .share(weight.share())
        .evidence(Evidence::new(
            "index condition",
            Value::Text(on.to_owned()),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence());
    let relation = known.map(|(relation, _)| relation);
    let columns: Vec<&str> = relation
        .into_iter()
        .flat_map(|relation| keys.iter().filter_map(|name| relation.column(name)))
        .map(|column| column.name.as_str())
        .collect();
    let index = relation
        .filter(|_| columns.len() == keys.len())
        .and_then(|relation| suggest::index(relation, &columns));
    draft = draft.suggest(index.unwrap_or_else(|| {
        suggest::advice(
            "create an index that begins with the columns of the condition",
            format!(
                "an index that begins with {} is searched once",
                if keys.is_empty() {
                    "them".to_owned()
                } else {
                    keys.join(", ")
                }
            ),
        )
    }));
    if let Some(relation) = relation {
        draft.relation(relation.schema.clone(), relation.name.clone());
    }
}
