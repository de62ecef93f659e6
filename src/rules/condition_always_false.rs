//! A statement of which the planner proved that it finds nothing.

use super::support::suggest;
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a statement that reads nothing, because the planner proved that
    /// its condition holds for no row: a `Result` with `One-Time Filter:
    /// false` that gives all of the statement's rows.
    ///
    /// ## Why it matters
    ///
    /// It is quick and rarely meant: a comparison with NULL (`= NULL` is never
    /// true), two conditions that exclude each other, or a value for which no
    /// partition exists.
    ///
    /// ## When it is wrong
    ///
    /// When a program asks on purpose for no rows, as to learn the columns.
    ///
    /// ## References
    ///
    /// - [Comparison with NULL](https://www.postgresql.org/docs/current/functions-comparison.html)
    /// - [Partition pruning](https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITION-PRUNING)
    pub struct ConditionAlwaysFalse = {
        id: "condition-always-false",
        summary: "the condition can hold for no row, and nothing is read",
        level: Note,
        needs: [Plan],
        since: "0.1.0",
    }
}

impl Rule for ConditionAlwaysFalse {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let Some(id) = only_source(plan) else { return };
        let node = plan.node(id);
        let text = node.condition(ConditionRole::OneTimeFilter);
        if node.kind != NodeKind::Result || text != Some("false") {
            return;
        }
        sink.report(
            "the condition holds for no row, whatever the tables have",
            "the planner proved it from the condition, from constraints or from the partitions' \
             bounds, and reads no table; a comparison with NULL by = or <> is the usual mistake",
            Evidence::new(
                "one-time filter",
                Value::Text("false".to_owned()),
                Origin::Plan(id),
            ),
        )
        .node(id)
        .level(Level::Note)
        .suggest(suggest::judgement(
            "look for what excludes all rows",
            "write IS NULL where a value is compared with NULL, and look for conditions on one \
             column that cannot both hold, or a key for which there is no partition",
        ));
    }
}

/// The node from which all rows come, where there is but one.
fn only_source(plan: &PlanGraph) -> Option<NodeId> {
    let mut at = plan.root;
    loop {
        // An aggregate without groups gives its row all the same, from nothing.
        let children = plan.children(at);
        match children.as_slice() {
            [] => return Some(at),
            [(_, only)] => at = *only,
            _ => return None,
        }
    }
}
