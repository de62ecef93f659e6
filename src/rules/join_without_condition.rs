//! Two tables of which every row meets every row.

use super::support::{show, weight::Weight};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Level, Origin, Suggestion, Value};
use crate::plan::{Condition, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::source::Span;
use crate::sql::{ColumnRef, Operand, Query, RelationRefKind, Select, SelectId, SelectRole};
use crate::subject::Subject;

/// A side of fewer rows is a list of a few values.
const LEAST_SIDE: f64 = 10.0;
/// Fewer pairs are made in no time.
const LEAST_PAIRS: f64 = 10_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a join of two sides with at least ten rows each where no condition
    /// ties one to the other: the plan has a nested loop without a condition,
    /// and the statement, where it is known, has tables that no condition
    /// connects. Functions, VALUES and subqueries of one row are left alone.
    ///
    /// ## Why it matters
    ///
    /// Each row of one side is joined with each row of the other. Most often a
    /// condition was forgotten, and a DISTINCT or GROUP BY above it hides that
    /// the result has far too many rows.
    ///
    /// ## When it is wrong
    ///
    /// When all pairs are wanted: a calendar crossed with all shops, for
    /// instance.
    ///
    /// ## References
    ///
    /// - [Joined tables](https://www.postgresql.org/docs/current/queries-table-expressions.html#QUERIES-JOIN)
    pub struct JoinWithoutCondition = {
        id: "join-without-condition",
        summary: "every row of one table is joined with every row of another",
        level: Warning,
        needs: [Plan],
        concerns: [NestedLoop],
        since: "0.1.0",
    }
}

impl Rule for JoinWithoutCondition {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let unconnected = subject.query().map(unconnected);
        if unconnected.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        for (id, node) in plan.nodes() {
            if node.kind == NodeKind::NestedLoop
                && matches!(node.join_type.as_deref(), None | Some("Inner"))
                && let Some(sides) = product(plan, id)
            {
                let place = unconnected.as_ref().and_then(|found| found.first());
                // Without the text a constant may stand on both sides for a
                // condition between them.
                if place.is_none() && both_filtered(plan, id) {
                    continue;
                }
                look(subject, plan, id, sides, place, sink);
            }
        }
    }
}

/// Rows of both sides, when no condition ties them to each other.
fn product(plan: &PlanGraph, id: NodeId) -> Option<(f64, f64)> {
    let outer = plan.child(id, PlanEdge::Outer)?;
    let inner = plan.child(id, PlanEdge::Inner)?;
    let node = plan.node(id);
    if !node.conditions.is_empty() {
        return None;
    }
    // The inner side is looked up by values of the outer one: then its
    // conditions name tables that it does not read itself.
    let own: Vec<&str> = plan
        .subtree(inner)
        .into_iter()
        .filter_map(|below| plan.node(below).relation.alias.as_deref())
        .collect();
    for below in plan.subtree(inner) {
        let found = plan.node(below);
        let texts = found
            .conditions
            .iter()
            .map(|Condition { text, .. }| text.as_str())
            .chain(found.text("Cache Key"))
            .chain(found.text("Function Call"));
        for text in texts {
            let foreign = super::support::condition::qualifiers(text)
                .iter()
                .any(|qualifier| !own.contains(&qualifier.as_str()));
            if foreign || text.contains('$') {
                return None;
            }
        }
        if matches!(
            found.kind,
            NodeKind::FunctionScan
                | NodeKind::TableFunctionScan
                | NodeKind::ValuesScan
                | NodeKind::Result
                | NodeKind::ProjectSet
                | NodeKind::Memoize
        ) {
            return None;
        }
    }
    if matches!(
        plan.node(outer).kind,
        NodeKind::FunctionScan | NodeKind::ValuesScan | NodeKind::ProjectSet | NodeKind::Result
    ) {
        return None;
    }
    let rows = |side: NodeId| {
        let node = plan.node(side);
        match node.actual {
            Some(actual) => Some(actual.rows_per_loop),
            None => node.estimate.map(|estimate| estimate.rows),
        }
    };
    let sides = (rows(outer)?, rows(inner)?);
    (sides.0 >= LEAST_SIDE && sides.1 >= LEAST_SIDE && sides.0 * sides.1 >= LEAST_PAIRS)
        .then_some(sides)
}

/// Conditions stand below both sides.
fn both_filtered(plan: &PlanGraph, id: NodeId) -> bool {
    [PlanEdge::Outer, PlanEdge::Inner].into_iter().all(|edge| {
        plan.child(id, edge).is_some_and(|side| {
            plan.subtree(side)
                .into_iter()
                .any(|below| !plan.node(below).conditions.is_empty())
        })
    })
}

fn look(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    (outer, inner): (f64, f64),
    place: Option<&Unconnected>,
    sink: &mut Sink,
) {
    let Some(metrics) = subject.metrics else {
        return;
    };
    // What stands above works on the product's rows too.
    let above: f64 = plan
        .ancestors(id)
        .map(|up| metrics.node(up).self_share)
        .sum();
    let share = metrics.node(id).self_share + above;
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let message = match place {
        Some(place) => format!(
            "no condition joins {} with {}: {} times {} rows",
            place.left,
            place.right,
            show::count(outer),
            show::count(inner)
        ),
        None => format!(
            "every row of one side is joined with every row of the other: {} times {} rows",
            show::count(outer),
            show::count(inner)
        ),
    };
    sink.report(
        message,
        "each row of one table is paired with each row of the other; a condition was probably \
         forgotten",
        Evidence::new("pairs", Value::Rows(outer * inner), Origin::Plan(id)),
    )
    .evidence(weight.evidence())
    .node(id)
    .span(place.map(|place| place.span))
    .level(weight.level().max(Level::Warning))
    .share(weight.share())
    .suggest(Suggestion::untested(
        "join the tables on a condition",
        Change::Advice {
            text: "add the condition that ties the two tables to each other; where all pairs are \
                   meant, write CROSS JOIN and suppress this finding"
                .to_owned(),
        },
        Applicability::Manual,
    ));
}

/// Two groups of tables that nothing connects.
struct Unconnected {
    span: Span,
    left: String,
    right: String,
}

fn unconnected(query: &Query) -> Vec<Unconnected> {
    query
        .selects
        .iter()
        .enumerate()
        .filter_map(|(id, select)| of_level(query, id, select))
        .collect()
}

fn of_level(query: &Query, id: SelectId, select: &Select) -> Option<Unconnected> {
    // Items that give one row, or are made for each row of another, need no
    // condition.
    let counted: Vec<usize> = select
        .relations
        .iter()
        .enumerate()
        .filter(|(_, item)| match &item.kind {
            RelationRefKind::Table { .. } => true,
            RelationRefKind::Cte { select } | RelationRefKind::Subquery { select } => query
                .selects
                .get(*select)
                .is_some_and(|inner| !is_one_row(inner) && !is_lateral(inner)),
            RelationRefKind::Other => false,
        })
        .map(|(number, _)| number)
        .collect();
    let first = *counted.first()?;
    // Without a catalogue it is not known what a bare name means.
    if select.predicates.iter().any(|predicate| {
        [&predicate.left, &predicate.right].iter().any(|side| {
            let unresolved = |column: &ColumnRef| column.relation.is_none();
            match side {
                Operand::Column(column) | Operand::Wrapped { column, .. } => unresolved(column),
                Operand::Other { columns, .. } => columns.iter().any(unresolved),
                _ => false,
            }
        })
    }) {
        return None;
    }
    // Group by group: which relations are tied to the first.
    let links = links(query, id, select);
    let mut reached = vec![first];
    let mut grown = true;
    while grown {
        grown = false;
        for link in &links {
            if link.iter().any(|number| reached.contains(number)) {
                for number in link {
                    if !reached.contains(number) {
                        reached.push(*number);
                        grown = true;
                    }
                }
            }
        }
    }
    let other = counted.iter().find(|number| !reached.contains(number))?;
    let name = |number: usize| select.relations.get(number).map(|item| item.alias.clone());
    Some(Unconnected {
        span: select.relations.get(*other)?.span,
        left: name(first)?,
        right: name(*other)?,
    })
}

fn is_one_row(select: &Select) -> bool {
    let limited = matches!(
        select.limit.as_ref().map(|limit| &limit.operand),
        Some(Operand::Literal { value, .. }) if value == "1"
    );
    limited || (select.has_aggregate && select.group_by.is_empty()) || select.relations.is_empty()
}

fn is_lateral(select: &Select) -> bool {
    matches!(select.role, SelectRole::From { lateral: true }) || select.correlated
}

/// Sets of a level's relations that a condition names together.
fn links(query: &Query, id: SelectId, select: &Select) -> Vec<Vec<usize>> {
    select
        .predicates
        .iter()
        .map(|predicate| {
            let mut numbers = Vec::new();
            for operand in [
                Some(&predicate.left),
                Some(&predicate.right),
                predicate.upper.as_ref(),
            ]
            .into_iter()
            .flatten()
            {
                relations_of(query, id, operand, &mut numbers);
            }
            numbers
        })
        .collect()
}

/// The level's relations whose columns stand in an operand, within subqueries
/// too.
fn relations_of(query: &Query, id: SelectId, operand: &Operand, into: &mut Vec<usize>) {
    let mut add = |relation: Option<(SelectId, usize)>| {
        if let Some((level, number)) = relation
            && level == id
            && !into.contains(&number)
        {
            into.push(number);
        }
    };
    match operand {
        Operand::Column(column) | Operand::Wrapped { column, .. } => add(column.relation),
        Operand::Other { columns, .. } => {
            for column in columns {
                add(column.relation);
            }
        }
        Operand::List { items, .. } => {
            for item in items {
                relations_of(query, id, item, into);
            }
        }
        Operand::Subquery { select, .. } => {
            for (level, inner) in query.selects.iter().enumerate() {
                if is_within(query, level, *select) {
                    for predicate in &inner.predicates {
                        for side in [&predicate.left, &predicate.right] {
                            if !matches!(side, Operand::Subquery { .. }) {
                                relations_of(query, id, side, into);
                            }
                        }
                    }
                }
            }
        }
        _ => {}
    }
}

fn is_within(query: &Query, level: SelectId, outer: SelectId) -> bool {
    let mut at = Some(level);
    while let Some(found) = at {
        if found == outer {
            return true;
        }
        at = query.selects.get(found).and_then(|select| select.parent);
    }
    false
}
