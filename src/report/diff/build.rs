//! From two plans to the report's types.

use similar::{ChangeTag, TextDiff};

use super::words;
use crate::plan::diff::{self, Line, NodeFacts, PlanDiff, Status};
use crate::plan::{NodeId, PlanGraph};
use crate::report::build::role_name;
use crate::report::format::finite;
use crate::report::model::diff::{
    ComparedPlan, DiffChange, DiffNode, DiffNodeNumbers, DiffReport, DiffSide, DiffStatus,
    DiffTotal, DiffTotals, PlanComparison, SettingDifference, SqlChange, SqlDifference, SqlLine,
    TimeDifference, UnpairedPlan,
};
use crate::report::model::{self, Condition, Unit};

/// A statement longer than this is compared as a whole, not line by line.
const MAX_SQL_BYTES: usize = 500_000;

/// A plan that was given, with what is known beside it.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// The plan.
    pub plan: &'a PlanGraph,
    /// Where it comes from.
    pub from: &'a ComparedPlan,
    /// Its statement.
    pub sql: Option<&'a str>,
}

/// Two plans, compared, and how they came to be.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Before.
    pub before: Given<'a>,
    /// After.
    pub after: Given<'a>,
    /// By what they were put together.
    pub paired_by: &'a str,
    /// How they differ.
    pub diff: &'a PlanDiff,
    /// Up to which share a difference counts as none.
    pub tolerance: f64,
}

/// The report of a run.
pub fn report(
    tolerance: f64,
    comparisons: Vec<PlanComparison>,
    unpaired: Vec<UnpairedPlan>,
    problems: Vec<model::Problem>,
) -> DiffReport {
    let mut totals = DiffTotals {
        compared: comparisons.len(),
        unpaired: unpaired.len(),
        ..DiffTotals::default()
    };
    for comparison in &comparisons {
        let count = match comparison.verdict.outcome {
            model::diff::DiffOutcome::Better => &mut totals.better,
            model::diff::DiffOutcome::Worse => &mut totals.worse,
            model::diff::DiffOutcome::Same => &mut totals.same,
            model::diff::DiffOutcome::NotComparable => &mut totals.not_comparable,
        };
        *count += 1;
    }
    DiffReport {
        schema_version: model::SCHEMA_VERSION,
        tool: model::Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        tolerance_percent: tolerance * 100.0,
        comparisons,
        unpaired,
        totals,
        problems,
    }
}

/// A plan without a counterpart.
pub fn unpaired(side: DiffSide, given: Given<'_>) -> UnpairedPlan {
    UnpairedPlan {
        side,
        plan: given.from.clone(),
        sql: given.sql.map(str::to_owned),
    }
}

/// Two plans as the report has them.
pub fn comparison(compared: &Compared<'_>) -> PlanComparison {
    let (before, after) = (compared.before.plan, compared.after.plan);
    let found = compared.diff;
    PlanComparison {
        before: compared.before.from.clone(),
        after: compared.after.from.clone(),
        paired_by: compared.paired_by.to_owned(),
        verdict: words::verdict(&found.verdict, compared.tolerance),
        causes: found
            .causes
            .iter()
            .map(|cause| words::cause(cause, before, after))
            .collect(),
        totals: totals(found),
        time: found.account.map(|account| TimeDifference {
            whole_ms: account.whole_ms,
            nodes_ms: account.nodes_ms,
            triggers_ms: account.triggers_ms,
            outside_ms: account.outside_ms,
            rounding_ms: account.rounding_ms,
        }),
        settings: settings(before, after),
        sql: compared
            .before
            .sql
            .zip(compared.after.sql)
            .map(|(before, after)| sql(before, after)),
        changed_nodes: found.changed,
        nodes: found
            .lines
            .iter()
            .map(|line| node(line, before, after))
            .collect(),
    }
}

fn totals(found: &PlanDiff) -> Vec<DiffTotal> {
    let (before, after) = (&found.before, &found.after);
    let mut totals = Vec::new();
    let mut add = |name: &str, unit: Unit, of: &dyn Fn(&diff::Totals) -> Option<f64>| {
        let (was, is) = (of(before).and_then(finite), of(after).and_then(finite));
        if was.is_some() || is.is_some() {
            totals.push(DiffTotal {
                name: name.to_owned(),
                unit,
                before: was,
                after: is,
            });
        }
    };
    let either = |of: fn(&diff::Totals) -> Option<f64>| {
        [before, after]
            .into_iter()
            .any(|totals| of(totals).is_some_and(|number| number > 0.0))
    };
    add("execution time", Unit::Ms, &|t| t.execution_ms);
    if before.execution_ms.is_none() || after.execution_ms.is_none() {
        add("time of the top node", Unit::Ms, &|t| t.root_ms);
    }
    add("planning time", Unit::Ms, &|t| t.planning_ms);
    if either(|t| t.trigger_ms) {
        add("time of triggers", Unit::Ms, &|t| t.trigger_ms);
    }
    if either(|t| t.jit_ms) {
        add("compilation (JIT)", Unit::Ms, &|t| t.jit_ms);
    }
    if either(|t| t.read_ms) {
        add("time of reading", Unit::Ms, &|t| t.read_ms);
    }
    add("cost", Unit::Cost, &|t| t.cost);
    add("rows", Unit::Rows, &|t| t.rows);
    add("estimated rows", Unit::Rows, &|t| t.estimated_rows);
    add("blocks found in buffers", Unit::Blocks, &|t| t.hit_blocks);
    add("blocks read", Unit::Blocks, &|t| t.read_blocks);
    if either(|t| t.temp_blocks) {
        add("temporary blocks", Unit::Blocks, &|t| t.temp_blocks);
    }
    if either(|t| Some(t.workers_planned)) {
        add("workers planned", Unit::Count, &|t| Some(t.workers_planned));
        add("workers launched", Unit::Count, &|t| t.workers_launched);
    }
    add("nodes", Unit::Count, &|t| Some(t.nodes as f64));
    totals
}

fn settings(before: &PlanGraph, after: &PlanGraph) -> Vec<SettingDifference> {
    let (was, is) = (&before.run.settings, &after.run.settings);
    let mut names: Vec<&String> = was.keys().chain(is.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| was.get(*name) != is.get(*name))
        .map(|name| SettingDifference {
            name: name.clone(),
            before: was.get(name).cloned(),
            after: is.get(name).cloned(),
        })
        .collect()
}

/// Two statements, line by line.
fn sql(before: &str, after: &str) -> SqlDifference {
    let changed = !same_words(before, after);
    let lines = |change: SqlChange, text: &str| -> Vec<SqlLine> {
        text.trim_end()
            .lines()
            .map(|line| SqlLine {
                change,
                text: line.trim_end().to_owned(),
            })
            .collect()
    };
    if !changed {
        return SqlDifference {
            changed,
            lines: lines(SqlChange::Kept, after),
        };
    }
    if before.len().max(after.len()) > MAX_SQL_BYTES {
        let mut both = lines(SqlChange::Gone, before);
        both.extend(lines(SqlChange::New, after));
        return SqlDifference {
            changed,
            lines: both,
        };
    }
    let (before, after) = (
        format!("{}\n", before.trim_end()),
        format!("{}\n", after.trim_end()),
    );
    let diff = TextDiff::from_lines(&before, &after);
    SqlDifference {
        changed,
        lines: diff
            .iter_all_changes()
            .map(|line| SqlLine {
                change: match line.tag() {
                    ChangeTag::Equal => SqlChange::Kept,
                    ChangeTag::Delete => SqlChange::Gone,
                    ChangeTag::Insert => SqlChange::New,
                },
                text: line.value().trim_end().to_owned(),
            })
            .collect(),
    }
}

/// Whether two statements differ in white space and semicolons alone.
pub fn same_words(before: &str, after: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.trim_end()
            .trim_end_matches(';')
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    words(before) == words(after)
}

fn node(line: &Line, before: &PlanGraph, after: &PlanGraph) -> DiffNode {
    let status = match line.status {
        Status::Same => DiffStatus::Same,
        Status::Changed => DiffStatus::Changed,
        Status::Gone => DiffStatus::Gone,
        Status::New => DiffStatus::New,
    };
    let alone = match (line.before, line.after) {
        (Some(id), None) => Some(before.node(id)),
        (None, Some(id)) => Some(after.node(id)),
        _ => None,
    };
    DiffNode {
        status,
        depth: line.depth,
        label_before: line.before.map(|id| before.node(id).label()),
        label_after: line.after.map(|id| after.node(id).label()),
        before: numbers(line.before, line.facts_before.as_ref()),
        after: numbers(line.after, line.facts_after.as_ref()),
        self_ms_difference: line.self_ms_delta().and_then(finite),
        changes: line
            .changes
            .iter()
            .map(|change| DiffChange {
                what: words::aspect(change.aspect),
                before: change.before.clone(),
                after: change.after.clone(),
            })
            .collect(),
        conditions: alone
            .map(|node| {
                node.conditions
                    .iter()
                    .map(|condition| Condition {
                        role: role_name(condition.role).to_owned(),
                        text: condition.text.clone(),
                    })
                    .collect()
            })
            .unwrap_or_default(),
    }
}

fn numbers(id: Option<NodeId>, facts: Option<&NodeFacts>) -> Option<DiffNodeNumbers> {
    let (id, facts) = id.zip(facts)?;
    let number = |found: Option<f64>| found.and_then(finite);
    Some(DiffNodeNumbers {
        id: id.index() + 1,
        self_ms: number(facts.self_ms),
        rows: number(facts.rows),
        loops: number(facts.loops),
        estimated_rows: number(facts.estimated_rows),
        cost: number(facts.cost),
        hit_blocks: number(facts.hit_blocks),
        read_blocks: number(facts.read_blocks),
        temp_blocks: number(facts.temp_blocks),
    })
}
