//! A sort in memory that takes a large part of the time.

use super::support::{condition, flow, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Level, Origin, Suggestion, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// Fewer rows are sorted in no time.
const LEAST_SORTED: f64 = 10_000.0;
/// The same where nothing was measured.
const LEAST_EXPECTED: f64 = 50_000.0;
/// A sort that takes less is one step of many.
const LEAST_SHARE: f64 = 0.2;
/// From here on an index for the order may be worth its upkeep.
const WARNING_MS: f64 = 50.0;
/// The same where the plan was not timed.
const WARNING_COST: f64 = 1_000.0;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a sort of at least 10,000 rows (50,000 where they are only
    /// expected) that stays in memory and alone
    /// takes at least a fifth of the statement, says what the order is needed
    /// for, and whether an index could give it. What it could save is the time
    /// of the sort; less than 50 milliseconds, or a cost of 1,000, is a note. Sorts that spill, that feed a LIMIT, or that feed a merge
    /// join are other rules'.
    ///
    /// ## Why it matters
    ///
    /// A sort gives its first row only after it has read and compared all of
    /// them, and its time grows faster than the number of rows. Where all the
    /// sort keys are columns of the one table that is read, an index on them
    /// gives the order for nothing: at its best if it has all columns that are
    /// asked for, or if the table lies in that order. Texts that are compared
    /// by a language's rules take many times as long as by their bytes.
    ///
    /// ## When it is wrong
    ///
    /// When most of the table is asked for in an order in which it does not
    /// lie: reading it in the order of an index then costs more than sorting.
    /// Nothing but the result's order may depend on it.
    ///
    /// ## References
    ///
    /// - [Indexes and ORDER BY](https://www.postgresql.org/docs/current/indexes-ordering.html)
    /// - [Collation support](https://www.postgresql.org/docs/current/collation.html)
    pub struct ExpensiveSort = {
        id: "expensive-sort",
        summary: "a sort in memory takes much of the time",
        level: Note,
        needs: [Plan],
        concerns: [Sort, IncrementalSort],
        since: "0.1.0",
    }
}

impl Rule for ExpensiveSort {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        for (id, sort) in plan.nodes() {
            if sort.kind == NodeKind::Sort
                && sort.text("Sort Space Type") != Some("Disk")
                && let Some(purpose) = purpose(plan, id)
            {
                look(subject, plan, id, purpose, sink);
            }
        }
    }
}

/// What the order is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The result, or what is not seen from the plan.
    Result,
    /// Groups, or rows without duplicates, which hashing gives too.
    Groups,
    /// A window function.
    Window,
}

/// What the order is for; `None` where another rule tells of it.
fn purpose(plan: &PlanGraph, sort: NodeId) -> Option<Purpose> {
    let mut at = sort;
    while let Some((_, up)) = plan.parent(at) {
        match plan.node(up).kind {
            NodeKind::GatherMerge
            | NodeKind::LockRows
            | NodeKind::Result
            | NodeKind::SubqueryScan
            | NodeKind::Materialize => at = up,
            NodeKind::Limit | NodeKind::MergeJoin => return None,
            NodeKind::Unique | NodeKind::Aggregate | NodeKind::Group | NodeKind::SetOp => {
                return Some(Purpose::Groups);
            }
            NodeKind::WindowAgg => return Some(Purpose::Window),
            _ => break,
        }
    }
    Some(Purpose::Result)
}

fn look(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, purpose: Purpose, sink: &mut Sink) {
    let (Some(metrics), Some(input)) = (subject.metrics, flow::input(plan, id)) else {
        return;
    };
    let share = metrics.node(id).self_share;
    let Some(sorted) = flow::rows(plan, input) else {
        return;
    };
    // Many small sorts of a subquery are the subquery's cost.
    if share < LEAST_SHARE || sorted / flow::loops(plan, id).max(1.0) < LEAST_SORTED / 4.0 {
        return;
    }
    let least = if plan.has_actuals() {
        LEAST_SORTED
    } else {
        LEAST_EXPECTED
    };
    if sorted < least {
        return;
    }
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let sort = plan.node(id);
    let keys = sort.texts("Sort Key");
    let scan = one_table(plan, input, &keys);
    let executed = plan.has_actuals();
    let from = plan.node(flow::through(
        plan,
        input,
        &[NodeKind::Gather, NodeKind::GatherMerge],
    ));
    let name = if node::reads_table(from) {
        node::table_name(from)
    } else {
        &from.type_name
    };
    let what = match purpose {
        Purpose::Result => "",
        Purpose::Groups => " to group them",
        Purpose::Window => " for a window function",
    };
    let message = format!(
        "{} of {name} {} sorted by {}{what}",
        show::rows(sorted),
        if executed { "are" } else { "would be" },
        keys.join(", ")
    );
    let why = match scan {
        Some(_) => {
            "all sort keys are columns of the one table that is read: an index on them, behind \
             those that the filter fixes, gives this order without a sort"
        }
        None => {
            "the sort keys come from more than one table or are computed, so that no index gives \
                 this order"
        }
    };
    let mut draft = sink
        .report(
            message,
            why,
            Evidence::new("rows sorted", Value::Rows(sorted), Origin::Plan(input)),
        )
        .node(id)
        // An index pays by its upkeep: less time is no reason for one.
        .level(
            if scan.is_some() && weight.reaches(WARNING_MS, WARNING_COST) {
                flow::at_most(weight.level(), Level::Warning)
            } else {
                Level::Note
            },
        )
        .share(weight.share())
        .evidence(Evidence::new(
            "sort key",
            Value::Text(keys.join(", ")),
            Origin::Plan(id),
        ))
        .evidence(weight.evidence())
        .suggest(cure(scan.is_some(), purpose));
    if let Some(width) = sort.estimate.map(|estimate| estimate.width) {
        draft = draft.evidence(Evidence::new(
            "expected width of a row",
            Value::Bytes(width),
            Origin::Plan(id),
        ));
    }
    if let Some(scan) = scan
        && let Some((schema, name)) = node::relation(subject, plan.node(scan))
    {
        draft.relation(schema, name);
    }
}

fn cure(indexable: bool, purpose: Purpose) -> Suggestion {
    match (indexable, purpose) {
        (true, _) => suggest::judgement(
            "let an index give the order",
            "an index on the columns that the filter compares by equality, followed by the sort \
             keys in their directions; with the other columns of the query in INCLUDE and a \
             vacuumed table it is read alone. Without them it pays where the table lies in that \
             order or few rows are asked for",
        ),
        (false, Purpose::Groups) => suggest::judgement(
            "let the rows be hashed",
            "a hash aggregate needs no order: it is avoided where work_mem was expected to be too \
             small, for DISTINCT or ORDER BY within an aggregate, and for types that cannot be \
             hashed",
        ),
        (false, _) => suggest::judgement(
            "sort fewer, narrower or simpler rows",
            "leave out ORDER BY where nobody relies on it, filter or aggregate before the sort, \
             and sort texts whose order for people does not matter by COLLATE \"C\"",
        ),
    }
}

/// The table that alone gives the rows, if the keys are its plain columns.
fn one_table(plan: &PlanGraph, input: NodeId, keys: &[&str]) -> Option<NodeId> {
    let scan = plan.node(input);
    let table = matches!(
        scan.kind,
        NodeKind::SeqScan
            | NodeKind::BitmapHeapScan
            | NodeKind::IndexScan
            | NodeKind::IndexOnlyScan
    );
    // A filter on the table by an index of another column competes with it.
    let selective =
        scan.condition(ConditionRole::IndexCond).is_some() || scan.kind == NodeKind::BitmapHeapScan;
    (table && !selective && !keys.is_empty() && keys.iter().all(|key| is_plain(key)))
        .then_some(input)
}

fn is_plain(key: &str) -> bool {
    let bare = [" NULLS FIRST", " NULLS LAST", " DESC"]
        .iter()
        .fold(key, |key, suffix| key.strip_suffix(suffix).unwrap_or(key));
    !bare.contains(" COLLATE ") && condition::column(bare).is_some() && !bare.contains("::")
}
