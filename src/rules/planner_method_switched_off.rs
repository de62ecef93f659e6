//! Planner methods that are switched off by a setting.

use super::support::{memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// What a method that is switched off costs before version 18.
const DISABLE_COST: f64 = 1e10;
/// A sequential scan that keeps more of its rows needs no index.
const MOST_KEPT: f64 = 0.1;

declare_rule! {
    /// ## What it does
    ///
    /// Finds settings `enable_…` that are off and hurt the plan, in one
    /// finding for the statement. Either a node is used although its method is
    /// switched off, because there is no other way: version 18 prints
    /// `Disabled: true`, older ones add 10,000,000,000 to its cost. That costs
    /// no time by itself, and its share is 0; a sort is not told of, since a
    /// given order always needs one where no index has it. Or the plan spends its time on
    /// the substitute:
    ///
    /// - sorts below a merge join, with `enable_hashjoin` off;
    /// - sorts below a grouping, with `enable_hashagg` off;
    /// - a sequential scan that throws away nine rows in ten, though an index
    ///   begins with a column of its filter, with index or bitmap scans off
    ///   (without a catalogue, with both off: the indexes are not known);
    /// - an index scan without a condition, in an order that nobody asks for,
    ///   with `enable_seqscan` off.
    ///
    /// The own time of these nodes is taken as what could be saved at most.
    ///
    /// ## Why it matters
    ///
    /// The settings are for experiments: they bind every statement of the
    /// session, and hide the estimate that was wrong. Before version 18 the
    /// cost that they add drowns all differences between the plans that are
    /// left, and calls for just-in-time compilation.
    ///
    /// ## When it is wrong
    ///
    /// When it was the experiment: a node that is used although switched off
    /// shows that there is no index to use in its place.
    ///
    /// ## References
    ///
    /// - [Planner method configuration](https://www.postgresql.org/docs/current/runtime-config-query.html#RUNTIME-CONFIG-QUERY-ENABLE)
    pub struct PlannerMethodSwitchedOff = {
        id: "planner-method-switched-off",
        summary: "a setting keeps the planner from a method, and the plan shows it",
        level: Note,
        needs: [Plan],
        since: "0.1.0",
    }
}

/// A node that the setting brought about, or that was used in spite of it.
struct Shown {
    id: NodeId,
    setting: &'static str,
    share: f64,
    in_spite: bool,
    /// Whether the method could have been used is not known.
    unsure: bool,
}

impl Rule for PlannerMethodSwitchedOff {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let mut shown: Vec<Shown> = plan
            .nodes()
            .filter_map(|(id, node)| shown_by(subject, plan, id, node))
            .collect();
        shown.sort_by(|a, b| b.share.total_cmp(&a.share));
        let share: f64 = shown.iter().map(|shown| shown.share).sum();
        let weight = Weight::worth_telling(subject, share.min(1.0));
        if weight.is_none() {
            shown.retain(|shown| shown.in_spite);
        }
        if let Some(first) = shown.first() {
            tell(subject, plan, first, &shown, weight, sink);
        }
    }
}

/// The setting that switches a node's method off.
fn setting_of(node: &PlanNode) -> Option<&'static str> {
    Some(match node.kind {
        NodeKind::SeqScan => "enable_seqscan",
        NodeKind::IndexScan => "enable_indexscan",
        NodeKind::IndexOnlyScan => "enable_indexonlyscan",
        NodeKind::BitmapHeapScan => "enable_bitmapscan",
        NodeKind::TidScan | NodeKind::TidRangeScan => "enable_tidscan",
        NodeKind::NestedLoop => "enable_nestloop",
        NodeKind::HashJoin => "enable_hashjoin",
        NodeKind::MergeJoin => "enable_mergejoin",
        NodeKind::Aggregate => "enable_hashagg",
        NodeKind::GatherMerge => "enable_gathermerge",
        _ => return None,
    })
}

fn is_off(subject: &Subject<'_>, name: &str) -> bool {
    memory::setting(subject, name) == Some("off")
}

/// Whether the node's own method is switched off.
fn is_disabled(plan: &PlanGraph, id: NodeId, node: &PlanNode) -> bool {
    if let Some(disabled) = node.extra.get("Disabled") {
        return disabled.as_bool() == Some(true);
    }
    let cost = |node: &PlanNode| node.estimate.map_or(0.0, |estimate| estimate.total_cost);
    // A join repeats its inner side's cost: only one that has none below it is
    // sure to have its own.
    cost(node) >= DISABLE_COST
        && plan
            .children(id)
            .into_iter()
            .all(|(_, child)| cost(plan.node(child)) < DISABLE_COST)
        // What is over the round sum is the node's real cost; one of that
        // height by itself is dear, not switched off.
        && cost(node) % DISABLE_COST < DISABLE_COST / 10.0
}

fn shown_by(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, node: &PlanNode) -> Option<Shown> {
    let metrics = subject.metrics?;
    if let Some(setting) = setting_of(node).filter(|_| is_disabled(plan, id, node)) {
        return Some(Shown {
            id,
            setting,
            share: 0.0,
            in_spite: true,
            unsure: false,
        });
    }
    if node.actual.is_none_or(|actual| actual.loops <= 0.0) {
        return None;
    }
    let own = metrics.node(id).self_share;
    let hurt = |setting, share| {
        (is_off(subject, setting) && share > 0.0).then_some(Shown {
            id,
            setting,
            share,
            in_spite: false,
            unsure: false,
        })
    };
    match node.kind {
        NodeKind::Sort => {
            let (_, up) = plan.parent(id)?;
            let above = plan.node(up);
            // A Materialize may lie between the sort and the merge join.
            let above = if above.kind == NodeKind::Materialize {
                plan.node(plan.parent(up)?.1)
            } else {
                above
            };
            match above.kind {
                NodeKind::MergeJoin => hurt("enable_hashjoin", own),
                NodeKind::Group | NodeKind::Aggregate | NodeKind::Unique
                    if above.text("Strategy") != Some("Plain") =>
                {
                    hurt("enable_hashagg", own)
                }
                _ => None,
            }
        }
        NodeKind::SeqScan => {
            let filtered = node::Filtered::of(node)?;
            let text = node::own_condition(node, ConditionRole::Filter)?;
            let share = own * filtered.removed / filtered.read().max(1.0);
            if filtered.kept > filtered.read() * MOST_KEPT {
                return None;
            }
            let Some(relation) = subject.relation_of_node(node) else {
                return memory::no_index_allowed(subject)
                    .then(|| hurt("enable_indexscan", share))
                    .flatten()
                    .map(|shown| Shown {
                        unsure: true,
                        ..shown
                    });
            };
            let columns = node::condition_columns(relation, text);
            let served = relation.indexes.iter().any(|index| {
                index.valid
                    && index.predicate.is_none()
                    && index
                        .leading_column()
                        .is_some_and(|leading| columns.contains(&leading))
            });
            if !served {
                return None;
            }
            hurt("enable_indexscan", share).or_else(|| hurt("enable_bitmapscan", share))
        }
        NodeKind::IndexScan
            if node.condition(ConditionRole::IndexCond).is_none()
                && node.condition(ConditionRole::OrderBy).is_none()
                && !order_is_used(plan, id) =>
        {
            hurt("enable_seqscan", own)
        }
        _ => None,
    }
}

/// Whether a node above may want the rows in the index's order.
fn order_is_used(plan: &PlanGraph, id: NodeId) -> bool {
    let mut below = id;
    while let Some((edge, up)) = plan.parent(below) {
        match plan.node(up).kind {
            NodeKind::MergeJoin
            | NodeKind::Group
            | NodeKind::Unique
            | NodeKind::Limit
            | NodeKind::WindowAgg
            | NodeKind::MergeAppend
            | NodeKind::GatherMerge
            | NodeKind::IncrementalSort
            | NodeKind::SetOp => return true,
            NodeKind::Aggregate => {
                return plan.node(up).text("Strategy") == Some("Sorted");
            }
            NodeKind::Hash | NodeKind::Sort => return false,
            NodeKind::HashJoin if edge == PlanEdge::Inner => return false,
            _ => {}
        }
        below = up;
    }
    // The statement's ORDER BY may be what it serves.
    true
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    first: &Shown,
    shown: &[Shown],
    weight: Option<Weight>,
    sink: &mut Sink,
) {
    let mut names: Vec<&'static str> = Vec::new();
    for shown in shown {
        if !names.contains(&shown.setting) {
            names.push(shown.setting);
        }
        if shown.unsure && !names.contains(&"enable_bitmapscan") {
            names.push("enable_bitmapscan");
        }
    }
    let label = plan.node(first.id).label();
    let message = match weight {
        Some(weight) => format!(
            "{} is off, and {label} takes its place, with {} of the time",
            first.setting,
            show::percent(weight.share())
        ),
        None => format!("{label} is used although {} is off", first.setting),
    };
    let why = if first.unsure && weight.is_some() {
        "with index and bitmap scans off no index can be used; whether one leads to these rows, \
         the plan does not say"
    } else if weight.is_some() {
        "the planner may not use the method that it would have chosen"
    } else {
        "there was no other way, so the setting brings nothing here; it distorts the costs by \
         which the rest of the plan was chosen"
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new(
                "settings that are off",
                Value::Text(names.join(", ")),
                if names
                    .iter()
                    .any(|name| plan.run.settings.contains_key(*name))
                    || first.in_spite
                {
                    Origin::Plan(first.id)
                } else {
                    Origin::Catalog(first.setting.to_owned())
                },
            ),
        )
        .node(first.id)
        .level(weight.map_or(Level::Note, |weight| weight.level().min(Level::Warning)))
        .share(weight.map_or(0.0, Weight::share));
    for other in shown.iter().skip(1).take(4) {
        draft = draft.evidence(Evidence::new(
            if other.in_spite {
                "used although switched off"
            } else {
                "takes its place"
            },
            Value::Text(plan.node(other.id).label()),
            Origin::Plan(other.id),
        ));
    }
    if let Some(weight) = weight {
        draft = draft.evidence(weight.evidence());
    }
    if let Some((schema, name)) = node::relation(subject, plan.node(first.id)) {
        draft = draft.relation(schema, name);
    }
    let sql: Vec<String> = names
        .iter()
        .map(|name| format!("SET {name} = on;"))
        .collect();
    draft.suggest(suggest::setting(
        "allow the planner all methods",
        sql.join("\n"),
        "see where it was switched off (ALTER ROLE, ALTER DATABASE, postgresql.conf, or the \
         client), and for which statement: that one's estimates want correcting",
    ));
}
