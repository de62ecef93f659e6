//! A filter on an expression of a column, as the plan alone shows it.

use super::support::expression::{self, Hidden};
use super::support::{condition, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Suggestion, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller table is read in no time.
const LEAST_ROWS: f64 = 10_000.0;
/// Where more of the rows pass, no index would be used.
const MOST_KEPT: f64 = 0.1;
/// The share that the planner takes to be equal where it knows nothing
/// (`DEFAULT_EQ_SEL`).
const GUESS: f64 = 0.005;
/// A guess that is off by that factor was one.
const FAR_OFF: f64 = 10.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a sequential scan of at least 10,000 rows whose filter compares a
    /// function, a cast or arithmetic of a column with a value and lets at
    /// most a tenth of the rows pass. It reads the plan alone: where the SQL
    /// and the catalogue are known, `function-on-indexed-column` knows more.
    /// What it could save is the time of the scan times the share of the rows
    /// that the filter throws away.
    ///
    /// ## Why it matters
    ///
    /// An index on a column is in the order of the column and not of
    /// `lower(column)` or `column::date`, so that it cannot serve the
    /// condition; and the planner guesses how many rows pass. A cast that
    /// nobody wrote is the hidden case: an integer column compared with a
    /// `numeric` or text parameter of a driver is cast row by row.
    ///
    /// ## When it is wrong
    ///
    /// When another condition of the filter throws away most rows by itself,
    /// or an index on the expression exists and was not worth it. A cast to
    /// text is harmless for a `varchar` column: it is told only where the
    /// planner's estimate shows that it knew nothing of the values.
    ///
    /// ## References
    ///
    /// - [Indexes on expressions](https://www.postgresql.org/docs/current/indexes-expressional.html)
    /// - [Operator type resolution](https://www.postgresql.org/docs/current/typeconv-oper.html)
    pub struct FilterOnExpression = {
        id: "filter-on-expression",
        summary: "a filter on an expression of a column keeps indexes on it from being used",
        level: Warning,
        needs: [Plan],
        concerns: [SeqScan, IndexScan, IndexOnlyScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

impl Rule for FilterOnExpression {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        if subject.query().is_some() && subject.catalog.is_some() {
            return;
        }
        for (id, scan) in plan.nodes() {
            if scan.kind == NodeKind::SeqScan
                && let Some(filter) = node::own_condition(scan, ConditionRole::Filter)
            {
                look(subject, plan, id, scan, filter, sink);
            }
        }
    }
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
    filter: &str,
    sink: &mut Sink,
) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    let Some((read, kept)) = counted(subject, plan, id, scan) else {
        return;
    };
    let kept_share = kept / read.max(1.0);
    if read < LEAST_ROWS || kept_share > MOST_KEPT {
        return;
    }
    let share = metrics.node(id).self_share * (1.0 - kept_share);
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let mut found = expression::hidden(plan, scan, subject.relation_of_node(scan));
    found.extend(guessed_cast(plan, id, filter, read, kept));
    let Some(first) = found.first() else { return };
    let table = node::table_name(scan);
    let executed = plan.has_actuals();
    let draft = sink
        .report(
            format!(
                "{} {} computed for {} of {table}, of which {} {}",
                first.text,
                if executed { "is" } else { "would be" },
                show::rows(read),
                show::count(kept),
                if executed {
                    "pass"
                } else {
                    "are expected to pass"
                }
            ),
            format!(
                "an index on {} is not in the order of {} and cannot find the rows; the planner \
                 has no statistics of it either, and guesses",
                first.column, first.text
            ),
            Evidence::new(
                if executed {
                    "rows read"
                } else {
                    "rows in the table"
                },
                Value::Rows(read),
                node::rows_origin(plan, id),
            ),
        )
        .node(id)
        .span(node::span(subject, id, Some(filter)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows kept",
            Value::Rows(kept),
            Origin::Plan(id),
        ))
        .evidence(Evidence::new(
            "filter",
            Value::Text(filter.to_owned()),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence())
        .suggest(cure(first));
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}

/// A cast to text, which of a `varchar` is harmless. It is none of those where
/// the planner did not look into the column's statistics: it then guesses that
/// one row of 200 is equal, and was far off with that.
fn guessed_cast<'a>(
    plan: &PlanGraph,
    id: NodeId,
    filter: &'a str,
    read: f64,
    kept: f64,
) -> Option<Hidden<'a>> {
    let parts = condition::conjuncts(filter);
    let [part] = parts.as_slice() else {
        return None;
    };
    if part.operator != "=" || condition::casts(part.left) != ["text"] {
        return None;
    }
    let (_, column) = condition::column(part.left)?;
    let expected = node::estimated_rows(plan, id)?;
    let guessed = (expected / read - GUESS).abs() < GUESS * 0.1;
    let far_off = plan.has_actuals() && expected >= kept.max(1.0) * FAR_OFF;
    (guessed && far_off && condition::names(part.right).is_empty()).then_some(Hidden {
        text: part.left,
        column,
        moveable: true,
    })
}

fn counted(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    scan: &PlanNode,
) -> Option<(f64, f64)> {
    if plan.has_actuals() {
        let filtered = node::Filtered::of(scan)?;
        return Some((filtered.read(), filtered.kept));
    }
    let (read, _) = node::table_rows(subject, plan, id)?;
    Some((read, node::estimated_rows(plan, id)?))
}

fn cure(hidden: &Hidden<'_>) -> Suggestion {
    let (text, column) = (hidden.text, &hidden.column);
    let days = text.ends_with("::date") || text.starts_with("date_trunc(");
    if days {
        suggest::judgement(
            format!("compare {column} with a range"),
            format!(
                "write {column} >= the first moment AND {column} < the first moment after it, which \
                 an index on {column} serves; mind the time zone in which the day was meant"
            ),
        )
    } else if hidden.moveable {
        suggest::judgement(
            format!("compare {column} itself"),
            format!(
                "give the value in the column's own type, or do the arithmetic on the value's side, \
                 so that {column} stands alone; a driver that sends numeric or text for an integer \
                 column can be told the parameter's type"
            ),
        )
    } else {
        suggest::judgement(
            format!("index {text}, or compare {column} itself"),
            format!(
                "an index on the expression ({text}) serves this condition, if the expression is \
                 immutable, and ANALYZE then collects its statistics; a condition on the bare \
                 {column} needs none"
            ),
        )
    }
}
