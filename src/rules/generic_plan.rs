//! A plan for any value that was executed with an unusual one.

use super::support::{expression, memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::metrics::Metrics;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Smaller errors rarely change a plan.
const LEAST_ERROR: f64 = 10.0;
/// Fewer rows make no difference.
const LEAST_ROWS: f64 = 100.0;
/// Of what was chosen by the estimate, so much is taken to be lost.
const PART: f64 = 0.5;

declare_rule! {
    /// ## What it does
    ///
    /// Finds an executed plan that compares with a parameter (`$1`), where the
    /// rows were ten times as many or few as the planner expected of any
    /// value, and at least 100 apart. What it could save is half of the time
    /// of that scan and of the joins above it, and the inner sides of nested
    /// loops that it drives.
    ///
    /// ## Why it matters
    ///
    /// A prepared statement's plan with `$1` in its conditions is the generic
    /// one: it was made without the values, for one that is as frequent as the
    /// average, or a fixed guess for ranges and patterns. For a value that is
    /// far from the average the custom plan, made with it, would differ.
    ///
    /// ## When it is wrong
    ///
    /// When most executions have values like the average and planning takes
    /// as long as executing: planning each time then costs more than this one
    /// execution lost.
    ///
    /// ## References
    ///
    /// - [PREPARE](https://www.postgresql.org/docs/current/sql-prepare.html)
    /// - [plan_cache_mode](https://www.postgresql.org/docs/current/runtime-config-query.html#GUC-PLAN-CACHE-MODE)
    pub struct GenericPlan = {
        id: "generic-plan",
        summary: "a plan made for any value was executed with an unusual one",
        level: Warning,
        needs: [Actuals],
        since: "0.1.0",
    }
}

impl Rule for GenericPlan {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let (Some(plan), Some(metrics)) = (subject.plan, subject.metrics) else {
            return;
        };
        for (id, node) in plan.nodes() {
            if metrics.node(id).blame != Some(id) {
                continue;
            }
            let scan = if node.kind == NodeKind::BitmapIndexScan {
                plan.ancestors(id)
                    .find(|up| plan.node(*up).kind == NodeKind::BitmapHeapScan)
            } else {
                node::reads_table(node).then_some(id)
            };
            if let Some(scan) = scan {
                look(subject, plan, metrics, (id, scan), sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    metrics: &Metrics,
    (id, scan): (NodeId, NodeId),
    sink: &mut Sink,
) {
    let node = plan.node(id);
    let below = node
        .condition(ConditionRole::IndexCond)
        .filter(|_| id != scan);
    let (Some(error), Some(estimate), Some(actual)) =
        (metrics.node(id).q_error, node.estimate, node.actual)
    else {
        return;
    };
    let difference = (actual.rows_per_loop - estimate.rows).abs() * actual.loops;
    if error < LEAST_ERROR || difference < LEAST_ROWS {
        return;
    }
    let relation = subject.relation_of_node(plan.node(scan));
    if !expression::takes_parameter(plan, plan.node(scan), below, relation) {
        return;
    }
    let Some(weight) = Weight::worth_telling(subject, misled(plan, metrics, scan)) else {
        return;
    };
    let forced = memory::setting(subject, "plan_cache_mode") == Some("force_generic_plan");
    let condition = condition_of(node).or_else(|| condition_of(plan.node(scan)));
    let mut draft = sink
        .report(
            format!(
                "the plan for any value expects {} from {}, and this value has {}",
                show::rows(estimate.rows),
                node::table_name(plan.node(scan)),
                show::count(actual.rows_per_loop)
            ),
            "the statement was planned once without the values of its parameters; planned for this \
             value, it would have had the right number to choose by",
            Evidence::new(
                "rows expected of any value",
                Value::Rows(estimate.rows),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .span(node::span(subject, scan, condition))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows of this value",
            Value::Rows(actual.rows_per_loop),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence());
    if let Some(condition) = condition {
        draft = draft.evidence(Evidence::new(
            "condition",
            Value::Text(condition.to_owned()),
            Origin::Plan(id),
        ));
    }
    if let Some(values) = plan
        .run
        .extra
        .get("Query Parameters")
        .and_then(|v| v.as_str())
    {
        draft = draft.evidence(Evidence::new(
            "values of the parameters",
            Value::Text(values.to_owned()),
            Origin::Plan(plan.root),
        ));
    }
    draft = draft.suggest(Suggestion::untested(
        if forced {
            "let the server choose between generic and custom plans again"
        } else {
            "plan with the values each time"
        },
        Change::Setting {
            sql: if forced {
                "RESET plan_cache_mode".to_owned()
            } else {
                "SET plan_cache_mode = force_custom_plan".to_owned()
            },
        },
        Applicability::SameResults,
    ));
    draft = draft.suggest(suggest::judgement(
        "set it where the statement runs",
        "in production, set it for the role or database that prepares this statement, or ALTER \
         FUNCTION … SET plan_cache_mode = force_custom_plan where it stands in a function; a driver \
         that sends values with the text, or prepares without a name, plans each time as well",
    ));
    if let Some((schema, name)) = node::relation(subject, plan.node(scan)) {
        draft.relation(schema, name);
    }
}

fn condition_of(node: &PlanNode) -> Option<&str> {
    [ConditionRole::IndexCond, ConditionRole::Filter]
        .into_iter()
        .find_map(|role| node.condition(role).filter(|text| text.contains('$')))
}

/// The share of the statement that was chosen by the number of those rows.
fn misled(plan: &PlanGraph, metrics: &Metrics, scan: NodeId) -> f64 {
    let mut share = metrics.node(scan).total_share * PART;
    let mut at = scan;
    while let Some((edge, up)) = plan.parent(at) {
        if matches!(edge, PlanEdge::InitPlan | PlanEdge::SubPlan) {
            break;
        }
        match plan.node(up).kind {
            NodeKind::NestedLoop => {
                share += metrics.node(up).self_share * PART;
                if edge == PlanEdge::Outer
                    && let Some(inner) = plan.child(up, PlanEdge::Inner)
                {
                    share += metrics.node(inner).total_share;
                }
            }
            NodeKind::HashJoin | NodeKind::MergeJoin | NodeKind::Sort | NodeKind::Hash => {
                share += metrics.node(up).self_share * PART;
            }
            NodeKind::Aggregate | NodeKind::Group => break,
            _ => {}
        }
        at = up;
    }
    share.min(1.0)
}
