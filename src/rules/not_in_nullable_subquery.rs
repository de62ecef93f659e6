//! NOT IN over a subquery that can give a null, or that cannot be hashed.

use super::support::{node, show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Level, Origin, Suggestion, Value};
use crate::plan::{ConditionRole, NodeId, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::sql::{Operand, Predicate, RelationRefKind, SelectId};
use crate::subject::Subject;

/// Rows below which all tables of a query are too small for a word.
const SMALL_ROWS: f64 = 1_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds `x NOT IN (SELECT y …)` where `y` can be null by the catalogue, and
    /// where the plan executes the subquery for each row because its result
    /// does not fit in `work_mem`.
    ///
    /// ## Why it matters
    ///
    /// One null among the values makes NOT IN true for no row: the result is
    /// then empty, without an error. PostgreSQL must keep to that, and so
    /// cannot plan an anti-join up to version 18; when the values do not fit
    /// in memory the subquery's result is read again for each row.
    ///
    /// ## When it is wrong
    ///
    /// When the column holds no null for a reason that the catalogue does not
    /// know. A NOT NULL constraint, or `WHERE y IS NOT NULL` in the subquery,
    /// says so.
    ///
    /// ## References
    ///
    /// - [NOT IN](https://www.postgresql.org/docs/current/functions-subquery.html#FUNCTIONS-SUBQUERY-NOTIN)
    /// - [Don't use NOT IN](https://wiki.postgresql.org/wiki/Don%27t_Do_This#Don.27t_use_NOT_IN)
    pub struct NotInNullableSubquery = {
        id: "not-in-nullable-subquery",
        summary: "NOT IN over a subquery that can give a null, or is executed for each row",
        level: Warning,
        needs: [Sql, Catalog],
        since: "0.1.0",
    }
}

impl Rule for NotInNullableSubquery {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(query) = subject.query() else { return };
        for (level, predicate) in query.predicates() {
            if let ("not in", Operand::Subquery { select, .. }) =
                (predicate.operator.as_str(), &predicate.right)
            {
                look(subject, level, predicate, *select, sink);
            }
        }
    }
}

/// How the plan executes the subquery.
struct Executed {
    id: NodeId,
    /// The node that asks it.
    caller: NodeId,
    hashed: bool,
}

fn look(
    subject: &Subject<'_>,
    outer: SelectId,
    predicate: &Predicate,
    inner: SelectId,
    sink: &mut Sink,
) {
    let Some(select) = subject.query().and_then(|query| query.selects.get(inner)) else {
        return;
    };
    let column = match select.output.as_slice() {
        [item] => match &item.operand {
            Operand::Column(column) => Some(column),
            _ => None,
        },
        _ => None,
    };
    let nullable = column
        .filter(|column| subject.column(column).is_some())
        .and_then(|column| subject.never_null(column, None).err());
    let share_of_nulls = column
        .filter(|_| nullable.is_some())
        .and_then(|column| subject.column(column))
        .and_then(|(_, column)| column.stats.as_ref())
        .map_or(0.0, |stats| stats.null_fraction);
    let executed = subject.plan.and_then(|plan| executed(subject, plan, inner));
    let slow = executed
        .as_ref()
        .filter(|executed| !executed.hashed)
        .and_then(|executed| {
            let metrics = subject.metrics?;
            let share = metrics
                .node(executed.caller)
                .self_share
                .max(metrics.node(executed.id).total_share);
            Some((executed, Weight::worth_telling(subject, share)?))
        });
    let small = [outer, inner].iter().all(|level| is_small(subject, *level));
    if slow.is_none() && (nullable.is_none() || (small && share_of_nulls == 0.0)) {
        return;
    }
    let message = match (&nullable, &slow) {
        (Some(_), Some(_)) => {
            "NOT IN over a subquery that can give a null and is executed for each row".to_owned()
        }
        (Some(_), None) => "NOT IN over a subquery that can give a null".to_owned(),
        _ => "NOT IN over a subquery that is executed for each row".to_owned(),
    };
    let mut why = String::new();
    if let Some(reason) = &nullable {
        why.push_str(&format!(
            "{reason}, and one null among the values makes NOT IN true for no row"
        ));
        if share_of_nulls > 0.0 {
            why.push_str(": so it is now, by the statistics");
        }
    }
    if slow.is_some() {
        if !why.is_empty() {
            why.push_str("; ");
        }
        why.push_str(
            "the values do not fit in work_mem, so that they are not hashed but searched for each \
             row",
        );
    }
    let evidence = if let (Some(reason), Some((relation, _))) =
        (&nullable, column.and_then(|column| subject.column(column)))
    {
        Evidence::new(
            "nullability",
            Value::Text(reason.clone()),
            Origin::Catalog(relation.qualified()),
        )
    } else {
        let Some((executed, _)) = &slow else { return };
        Evidence::new(
            "subquery",
            Value::Text("not hashed".to_owned()),
            Origin::Plan(executed.id),
        )
    };
    let level = match &slow {
        Some((_, weight)) => weight.level(),
        None if share_of_nulls > 0.0 => Level::Critical,
        None => Level::Warning,
    };
    let mut draft = sink
        .report(message, why, evidence)
        .span(Some(predicate.span))
        .level(level);
    if let Some((relation, found)) = column.and_then(|column| subject.column(column)) {
        draft = draft.relation(&relation.schema, &relation.name);
        if share_of_nulls > 0.0 {
            draft = draft.evidence(Evidence::new(
                format!("share of nulls in {}", found.name),
                Value::Share(share_of_nulls),
                Origin::Statistics(format!("{}.{}", relation.name, found.name)),
            ));
        }
    }
    if let Some((executed, weight)) = &slow {
        draft = draft
            .node(executed.caller)
            .share(weight.share())
            .evidence(weight.evidence());
        if let Some(actual) = subject.plan.and_then(|plan| plan.node(executed.id).actual) {
            draft = draft.evidence(Evidence::new(
                format!("executions ({})", show::count(actual.loops)),
                Value::Count(actual.loops),
                Origin::Plan(executed.id),
            ));
        }
    } else if let Some(executed) = &executed {
        draft = draft.node(executed.caller);
    }
    draft.suggest(Suggestion::untested(
        "ask NOT EXISTS instead",
        Change::Advice {
            text: advice(nullable.is_some()).to_owned(),
        },
        if nullable.is_some() {
            Applicability::MayChangeResults
        } else {
            Applicability::Manual
        },
    ));
}

fn advice(nullable: bool) -> &'static str {
    if nullable {
        "NOT EXISTS (SELECT 1 FROM … WHERE y = x) leaves nulls aside and can be an anti-join; it \
         answers differently where there are nulls, which is most often what was meant. Where the \
         column never is null, a NOT NULL constraint says so"
    } else {
        "NOT EXISTS (SELECT 1 FROM … WHERE y = x) can be an anti-join, which needs no memory for \
         all values; it answers the same where neither side can be null"
    }
}

/// The SubPlan whose scans read the subquery's tables.
fn executed(subject: &Subject<'_>, plan: &PlanGraph, inner: SelectId) -> Option<Executed> {
    plan.nodes().find_map(|(id, found)| {
        let Some((PlanEdge::SubPlan, caller)) = plan.parent(id) else {
            return None;
        };
        let reads = plan.subtree(id).into_iter().any(|below| {
            node::reads_table(plan.node(below))
                && node::select_of(subject, plan.node(below)) == Some(inner)
        });
        let name = found.subplan_name.as_deref().unwrap_or("SubPlan");
        let hashed = format!("hashed {name}");
        let asks = |role| {
            plan.node(caller)
                .condition(role)
                .is_some_and(|text| text.contains(&hashed))
        };
        reads.then(|| Executed {
            id,
            caller,
            hashed: asks(ConditionRole::Filter)
                || asks(ConditionRole::JoinFilter)
                || asks(ConditionRole::OneTimeFilter),
        })
    })
}

/// All tables of the level are known to be small.
fn is_small(subject: &Subject<'_>, level: SelectId) -> bool {
    subject
        .query()
        .and_then(|query| query.selects.get(level))
        .is_some_and(|select| {
            select.relations.iter().all(|item| match &item.kind {
                RelationRefKind::Table { schema, name, .. } => subject
                    .catalog
                    .and_then(|catalog| catalog.relation(schema.as_deref(), name))
                    .and_then(|relation| relation.tuples)
                    .is_some_and(|rows| rows < SMALL_ROWS),
                RelationRefKind::Other => true,
                RelationRefKind::Cte { .. } | RelationRefKind::Subquery { .. } => false,
            })
        })
}
