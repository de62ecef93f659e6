//! OFFSET that reads many rows only to skip them.

use super::support::{node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::source::Span;
use crate::sql::{LiteralKind, Operand};
use crate::subject::Subject;

/// Rows skipped by a constant from which it is worth a word,
const LEAST_CONSTANT: f64 = 1_000.0;
/// and rows that were seen to be skipped.
const LEAST_SKIPPED: f64 = 10_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a LIMIT with an OFFSET that skips many rows: at least 10,000 in a
    /// plan that was executed, or at least 1,000 by the constant in the
    /// statement.
    ///
    /// ## Why it matters
    ///
    /// The rows that OFFSET skips are read, joined and sorted like all others,
    /// so that each page costs more than the one before. Rows that are
    /// inserted or deleted between two pages also shift the pages.
    ///
    /// ## When it is wrong
    ///
    /// When the caller must jump to any page by its number, and the rows
    /// around it can be sorted in no other way.
    ///
    /// ## References
    ///
    /// - [LIMIT and OFFSET](https://www.postgresql.org/docs/current/queries-limit.html)
    /// - [Row-wise comparison](https://www.postgresql.org/docs/current/functions-comparisons.html#ROW-WISE-COMPARISON)
    pub struct DeepOffset = {
        id: "deep-offset",
        summary: "OFFSET reads many rows only to skip them",
        level: Warning,
        needs: [Plan],
        concerns: [Limit],
        since: "0.1.0",
    }
}

impl Rule for DeepOffset {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let offsets = offsets(subject);
        let limits: Vec<NodeId> = plan
            .nodes()
            .filter(|(_, node)| node.kind == NodeKind::Limit)
            .map(|(id, _)| id)
            .collect();
        for id in &limits {
            // With one of each it is clear which OFFSET a node is.
            let written = match (offsets.as_slice(), limits.len()) {
                ([offset], 1) => Some(*offset),
                _ => None,
            };
            look(subject, plan, *id, written, sink);
        }
    }
}

/// OFFSET clauses with their constants.
fn offsets(subject: &Subject<'_>) -> Vec<(Span, Option<f64>)> {
    let selects = subject.query().map_or(&[][..], |query| &query.selects);
    selects
        .iter()
        .filter_map(|select| select.offset.as_ref())
        .map(|offset| {
            let constant = match &offset.operand {
                Operand::Literal {
                    value,
                    kind: LiteralKind::Integer,
                    ..
                } => value.parse().ok(),
                _ => None,
            };
            (offset.span, constant)
        })
        .collect()
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    written: Option<(Span, Option<f64>)>,
    sink: &mut Sink,
) {
    let Some((_, child)) = plan.children(id).into_iter().next() else {
        return;
    };
    let constant = written.and_then(|(_, constant)| constant);
    let (skipped, given, from) =
        if let (Some(below), Some(limit)) = (plan.node(child).actual, plan.node(id).actual) {
            let skipped = (below.rows_per_loop - limit.rows_per_loop).max(0.0);
            // An incremental plan may give a few rows more than were asked.
            let enough = if constant.is_some() {
                LEAST_CONSTANT
            } else {
                LEAST_SKIPPED
            };
            if skipped < enough {
                return;
            }
            (skipped, limit.rows_per_loop, Origin::Plan(id))
        } else {
            let (Some((span, Some(constant))), Some(below)) = (written, plan.node(child).estimate)
            else {
                return;
            };
            let skipped = constant.min(below.rows);
            if skipped < LEAST_CONSTANT {
                return;
            }
            let given = plan.node(id).estimate.map_or(0.0, |estimate| estimate.rows);
            (skipped, given, Origin::Sql(span))
        };
    let Some(metrics) = subject.metrics else {
        return;
    };
    let share = metrics.node(id).total_share * skipped / (skipped + given);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let draft = sink
        .report(
            format!(
                "OFFSET skips {} to give {}",
                show::rows(skipped),
                show::rows(given)
            ),
            "the rows that are skipped are read, joined and sorted like all others, so that each \
             page costs more than the one before",
            Evidence::new("rows skipped", Value::Rows(skipped), from),
        )
        .evidence(Evidence::new(
            "rows given",
            Value::Rows(given),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence())
        .node(id)
        .span(written.map(|(span, _)| span))
        .level(weight.level())
        .share(weight.share())
        .suggest(Suggestion::untested(
            "ask for the rows after the last one of the page before",
            Change::Advice {
                text: "keep the ORDER BY columns of the last row of a page, ordered by a unique \
                       key at the end, and ask for the rows after it: WHERE (created_at, id) < \
                       ($1, $2) ORDER BY created_at DESC, id DESC LIMIT 50; an index on those \
                       columns then reads only the page"
                    .to_owned(),
            },
            Applicability::Manual,
        ));
    let scan = plan
        .subtree(id)
        .into_iter()
        .find(|below| node::reads_table(plan.node(*below)));
    if let Some((schema, name)) = scan.and_then(|scan| node::relation(subject, plan.node(scan))) {
        draft.relation(schema, name);
    }
}
