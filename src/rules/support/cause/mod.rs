//! Why an estimate went wrong, what mends it, and how sure that is.
//!
//! A plan shows where an estimate went wrong, and in its conditions what could
//! be the reason; the catalogue and column statistics decide between the
//! reasons. What cannot be decided is said, with what would decide it.

mod column;
mod expression;
mod function;
mod groups;
mod join;
mod scan;
mod stale;
mod table;

use crate::finding::{Applicability, Change, Evidence, Origin, Suggestion, Value};
use crate::plan::metrics::rows_of_all;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::subject::Subject;

use super::node;
pub(crate) use stale::{analyze_due, partitioned_due};
pub(crate) use table::Table;

/// The largest statistics target that is proposed.
const TARGET: i32 = 1_000;
/// `default_statistics_target`.
const DEFAULT_TARGET: f64 = 100.0;

/// Sorts of causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    NeverAnalysed,
    OldStatistics,
    ParentWithout,
    Foreign,
    CorrelatedColumns,
    Expression,
    Skew,
    HistogramEnd,
    DistinctValues,
    Operator,
    JoinColumns,
    JoinSkew,
    AcrossTables,
    Parameter,
    Function,
    Cte,
    Subquery,
    Unknown,
}

impl Kind {
    /// Its name in evidence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NeverAnalysed => "never analysed",
            Self::OldStatistics => "old statistics",
            Self::ParentWithout => "no statistics of the partitioned table",
            Self::Foreign => "no statistics of the foreign table",
            Self::CorrelatedColumns => "columns that depend on each other",
            Self::Expression => "no statistics of the expression",
            Self::Skew => "skew beyond the most common values",
            Self::HistogramEnd => "rows beyond the end of the histogram",
            Self::DistinctValues => "number of different values",
            Self::Operator => "operator that statistics serve badly",
            Self::JoinColumns => "join columns that depend on each other",
            Self::JoinSkew => "join by a frequent value",
            Self::AcrossTables => "dependence across tables",
            Self::Parameter => "unknown parameter",
            Self::Function => "declared rows of a function",
            Self::Cte => "rows of a CTE",
            Self::Subquery => "subquery in a condition",
            Self::Unknown => "not known",
        }
    }
}

/// The likely cause of a wrong estimate.
#[derive(Debug)]
pub(crate) struct Cause {
    /// Of which sort.
    pub(crate) kind: Kind,
    /// What it is, as the end of a sentence.
    pub(crate) text: String,
    /// The table concerned.
    pub(crate) relation: Option<(String, String)>,
    /// What mends it.
    pub(crate) suggestions: Vec<Suggestion>,
    /// What supports it.
    pub(crate) evidence: Vec<Evidence>,
    /// What it could be as well, the likelier first, and what would tell.
    pub(crate) or: Vec<(Kind, String)>,
}

impl Cause {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            relation: None,
            suggestions: Vec::new(),
            evidence: Vec::new(),
            or: Vec::new(),
        }
    }

    fn suggest(mut self, suggestion: Suggestion) -> Self {
        self.suggestions.push(suggestion);
        self
    }

    fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence.push(evidence);
        self
    }

    /// It could be that as well; `tells` is what would show it.
    fn or(mut self, kind: Kind, tells: impl Into<String>) -> Self {
        self.or.push((kind, tells.into()));
        self
    }

    /// The cause as evidence, from what it was told, and what else it could be.
    pub(crate) fn told(&self, subject: &Subject<'_>) -> Vec<Evidence> {
        let from = match (subject.catalog, self.kind) {
            (_, Kind::Unknown) => "no cause is known by the plan",
            (None, _) => "from the plan alone",
            (Some(catalog), _) if !catalog.has_statistics() => "from the plan and the catalogue",
            (Some(_), _) => "from the plan, the catalogue and its statistics",
        };
        let mut told = vec![Evidence::new(
            "likely cause",
            Value::Text(self.kind.name().to_owned()),
            Origin::Formula(from),
        )];
        told.extend(self.or.iter().map(|(kind, tells)| {
            Evidence::new(
                "could also be",
                Value::Text(format!("{}: {tells}", kind.name())),
                Origin::Formula("what would tell it apart"),
            )
        }));
        told
    }
}

/// Rows of one execution over all its processes: expected and counted.
#[derive(Debug, Clone, Copy)]
struct Rows {
    expected: f64,
    counted: f64,
    /// Executions.
    loops: f64,
}

impl Rows {
    fn of(plan: &PlanGraph, id: NodeId) -> Option<Self> {
        let (expected, counted) = rows_of_all(plan, id);
        Some(Self {
            expected: expected?,
            counted: counted?,
            loops: plan.node(id).actual?.loops,
        })
    }

    /// There were more rows than expected.
    fn more(self) -> bool {
        self.counted > self.expected
    }
}

fn by_hand(title: &str, text: impl Into<String>) -> Suggestion {
    Suggestion::untested(
        title,
        Change::Advice { text: text.into() },
        Applicability::Manual,
    )
}

/// What the planner is told by SQL, other than statistics.
fn alter(title: impl Into<String>, sql: String) -> Suggestion {
    Suggestion::untested(title, Change::Alter { sql }, Applicability::SameResults)
}

/// The likely cause of the wrong estimate of that node.
pub(crate) fn of(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Cause {
    let node = plan.node(id);
    match node.kind {
        NodeKind::BitmapIndexScan | NodeKind::BitmapAnd | NodeKind::BitmapOr => {
            let heap = plan
                .ancestors(id)
                .find(|up| plan.node(*up).kind == NodeKind::BitmapHeapScan)
                .unwrap_or(id);
            let below = node.condition(ConditionRole::IndexCond);
            scan::of_scan(subject, plan, heap, id, below)
        }
        _ if node::reads_table(node) => scan::of_scan(subject, plan, id, id, None),
        NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin => {
            join::of_join(subject, plan, id)
        }
        NodeKind::Aggregate | NodeKind::Group | NodeKind::Unique => {
            groups::of_groups(subject, plan, id)
        }
        NodeKind::FunctionScan | NodeKind::TableFunctionScan | NodeKind::ProjectSet => {
            function::of_function(plan, id)
        }
        NodeKind::CteScan | NodeKind::WorkTableScan | NodeKind::RecursiveUnion => {
            function::of_cte(subject, plan, id)
        }
        NodeKind::SubqueryScan if node.condition(ConditionRole::Filter).is_some() => Cause::new(
            Kind::Subquery,
            "the condition is on what a subquery computed, of which there are no statistics",
        )
        .suggest(by_hand(
            "filter before the subquery computes",
            "a condition on columns of the tables themselves, within the subquery, is estimated by \
             their statistics",
        )),
        NodeKind::SetOp => Cause::new(
            Kind::Unknown,
            "how many rows two queries have in common is a guess of the planner",
        ),
        _ => Cause::new(
            Kind::Unknown,
            "the planner has no statistics of what this node gives",
        ),
    }
}

#[cfg(test)]
mod tests;
