//! A large table read whole, to be joined to a few rows.

use super::support::{condition, flow, memory, node, show, suggest, weight::Weight};
use crate::declare_rule;
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanEdge, PlanGraph};
use crate::rule::{Rule, Sink};
use crate::subject::Subject;

/// A smaller table is read in no time.
const LEAST_ROWS: f64 = 50_000.0;
/// The other side has at most one row for so many of the table,
const LEAST_RATIO: f64 = 50.0;
/// and the join finds at most this share of it.
const MOST_FOUND: f64 = 0.02;
/// An index must save at least that share of the scan.
const LEAST_SAVED: f64 = 0.25;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a hash join that reads a table of at least 50,000 rows
    /// sequentially to join it to fifty times fewer rows, which find at most a
    /// fiftieth of it, as the planner expected. What it could save is the
    /// time of the scan and of its hash table or the join, less what a nested
    /// loop with an index would cost by the planner's reckoning: a page for
    /// each row found and two for each row looked up, at `random_page_cost`.
    ///
    /// ## Why it matters
    ///
    /// With an index on the table's join column a nested loop reads only what
    /// the few rows ask for. A foreign key does not create that index by
    /// itself. The planner knew that the other side is small, and would have
    /// looked the rows up if it could.
    ///
    /// ## When it is wrong
    ///
    /// When the planner knew such an index and found it dearer: on a disk
    /// where random reads are slow, or in a table that is in memory anyway.
    /// Where the catalogue is known, an index on the column is seen, and
    /// nothing is said.
    ///
    /// ## References
    ///
    /// - [Foreign keys and indexes](https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK)
    /// - [Planner and joins](https://www.postgresql.org/docs/current/planner-optimizer.html)
    pub struct SeqScanJoinedToFewRows = {
        id: "seq-scan-joined-to-few-rows",
        summary: "a large table is read whole to be joined to a few rows",
        level: Warning,
        needs: [Actuals],
        concerns: [SeqScan],
        since: "0.1.0",
    }
}

impl Rule for SeqScanJoinedToFewRows {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(plan) = subject.plan else { return };
        let mut all: Vec<Found<'_>> = Vec::new();
        for (id, join) in plan.nodes() {
            if join.kind != NodeKind::HashJoin {
                continue;
            }
            let (Some(outer), Some(hash)) = (
                plan.child(id, PlanEdge::Outer),
                plan.child(id, PlanEdge::Inner),
            ) else {
                continue;
            };
            let Some(hashed) = plan.child(hash, PlanEdge::Outer) else {
                continue;
            };
            let sides = |table, few, stored| Sides {
                join: id,
                table,
                few,
                stored,
            };
            let kind = join.join_type.as_deref().unwrap_or("Inner");
            // The few rows must be able to drive the loop.
            if matches!(kind, "Inner" | "Right" | "Semi") {
                all.extend(look(subject, plan, sides(outer, hash, id)));
            }
            if matches!(kind, "Inner" | "Left") {
                all.extend(look(subject, plan, sides(hashed, outer, hash)));
            }
        }
        all.sort_by(|a, b| b.share.total_cmp(&a.share));
        // The same table read for the same column is cured by the same index.
        let mut told: Vec<(Option<&str>, &str)> = Vec::new();
        for found in &all {
            let key = (
                plan.node(found.sides.table).relation.name.as_deref(),
                found.column.as_str(),
            );
            if told.contains(&key) {
                continue;
            }
            told.push(key);
            let same: Vec<&Found<'_>> = all
                .iter()
                .filter(|other| {
                    let name = plan.node(other.sides.table).relation.name.as_deref();
                    (name, other.column.as_str()) == key
                })
                .collect();
            let share = same.iter().map(|found| found.share).sum::<f64>();
            tell(subject, plan, found, (share, same.len()), sink);
        }
    }
}

/// The nodes of one look at a join.
struct Sides {
    join: NodeId,
    /// The scan of the large table.
    table: NodeId,
    /// What gives the few rows.
    few: NodeId,
    /// Where the table's rows are stored or looked up.
    stored: NodeId,
}

/// What one look found.
struct Found<'a> {
    sides: Sides,
    read: f64,
    few: f64,
    matched: f64,
    /// The join condition.
    text: &'a str,
    column: String,
    share: f64,
}

fn look<'a>(subject: &Subject<'_>, plan: &'a PlanGraph, sides: Sides) -> Option<Found<'a>> {
    let scan = plan.node(sides.table);
    if scan.kind != NodeKind::SeqScan {
        return None;
    }
    let metrics = subject.metrics?;
    let counted = node::Filtered::of(scan)?;
    let few = rows_once(plan, sides.few)?;
    let matched = flow::rows(plan, sides.join)?;
    let once = scan.parallel_aware || counted.loops < 1.5;
    if !once
        || metrics.node(sides.table).stopped_early
        || counted.kept < LEAST_ROWS
        || few * LEAST_RATIO > counted.kept
        || matched > counted.kept * MOST_FOUND
    {
        return None;
    }
    // Where the planner expected more, its estimate is to blame and not the
    // lack of an index.
    let few_expected = flow::expected(plan, sides.few)?;
    let found_expected = flow::expected(plan, sides.join)?;
    if few_expected * LEAST_RATIO > counted.kept || found_expected > counted.kept * MOST_FOUND {
        return None;
    }
    let (text, column) = joined_column(plan, &sides)?;
    let indexed = subject.relation_of_node(scan).is_some_and(|relation| {
        relation
            .indexes
            .iter()
            .any(|index| index.valid && index.leading_column() == Some(column.as_str()))
    });
    if indexed {
        return None;
    }
    let pages = node::pages_read(subject, plan, sides.table, counted.read()).max(1.0);
    let random = memory::number(subject, "random_page_cost", 4.0);
    let with_index = (few * 2.0 + matched) * random;
    let saved = 1.0 - with_index / (pages + counted.read() * 0.0125);
    let share =
        (metrics.node(sides.table).self_share + metrics.node(sides.stored).self_share) * saved;
    (saved >= LEAST_SAVED).then_some(Found {
        sides,
        read: counted.read(),
        few,
        matched,
        text,
        column,
        share,
    })
}

fn tell(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    found: &Found<'_>,
    (share, times): (f64, usize),
    sink: &mut Sink,
) {
    let Some(weight) = Weight::worth_telling(subject, share) else {
        return;
    };
    let (sides, column) = (&found.sides, &found.column);
    let scan = plan.node(sides.table);
    let table = node::table_name(scan);
    let mut draft = sink
        .report(
            format!(
                "all {} of {table} are read to be joined to {}{}",
                show::rows(found.read),
                show::count(found.few),
                match times {
                    1 => String::new(),
                    times => format!(", and that {times} times"),
                }
            ),
            format!(
                "the join finds {}; by an index of {table} on {column} a nested loop would read \
                 only those",
                show::rows(found.matched)
            ),
            Evidence::new(
                "rows read",
                Value::Rows(found.read),
                Origin::Plan(sides.table),
            ),
        )
        .node(sides.table)
        .span(node::span(subject, sides.table, Some(found.text)))
        .level(weight.level())
        .share(weight.share())
        .evidence(Evidence::new(
            "rows of the other side",
            Value::Rows(found.few),
            Origin::Plan(sides.few),
        ))
        .evidence(Evidence::new(
            "rows that the join finds",
            Value::Rows(found.matched),
            Origin::Plan(sides.join),
        ))
        .evidence(Evidence::new(
            "join condition",
            Value::Text(found.text.to_owned()),
            Origin::Plan(sides.join),
        ))
        .evidence(weight.evidence());
    let index = subject
        .relation_of_node(scan)
        .and_then(|relation| suggest::index(relation, &[column.as_str()]));
    draft = draft.suggest(index.unwrap_or_else(|| {
        suggest::judgement(
            format!("index {table} on {column}"),
            format!(
                "if {table} has no index that begins with {column}, create one; if it has, compare \
                 with SET enable_hashjoin = off in a session"
            ),
        )
    }));
    if let Some((schema, name)) = node::relation(subject, scan) {
        draft.relation(schema, name);
    }
}

/// Rows that a side gives to one process: a table that each process hashes for
/// itself counts once.
fn rows_once(plan: &PlanGraph, id: NodeId) -> Option<f64> {
    let node = plan.node(id);
    let rows = flow::rows(plan, id)?;
    if node.kind == NodeKind::Hash && !node.parallel_aware {
        return Some(rows / flow::loops(plan, id).max(1.0));
    }
    Some(rows)
}

/// The condition of the join, and the table's column in it where it is a bare
/// one.
fn joined_column<'a>(plan: &'a PlanGraph, sides: &Sides) -> Option<(&'a str, String)> {
    let text = plan.node(sides.join).condition(ConditionRole::HashCond)?;
    let scan = plan.node(sides.table);
    let own = scan
        .relation
        .alias
        .as_deref()
        .or(scan.relation.name.as_deref())?;
    condition::conjuncts(text)
        .iter()
        .flat_map(|part| [part.left, part.right])
        .filter(|side| condition::casts(side).is_empty())
        .filter_map(condition::column)
        .find(|(qualifier, _)| qualifier.as_deref() == Some(own))
        .map(|(_, column)| (text, column))
}
