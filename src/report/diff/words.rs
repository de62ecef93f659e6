//! Verdicts and causes in words, and how each number is shown.

use crate::plan::PlanGraph;
use crate::plan::diff::{
    Aspect, Cause, CauseKind, Generic, Measure, NotComparable, Outcome, Quantity, Verdict, Warning,
};
use crate::report::build::role_name;
use crate::report::format::{self, finite, plural};
use crate::report::model::Unit;
use crate::report::model::diff::{
    DiffCause, DiffFact, DiffMeasure, DiffNodeRef, DiffOutcome, DiffValue, DiffVerdict,
};

/// What changed of a node.
pub(super) fn aspect(aspect: Aspect) -> String {
    match aspect {
        Aspect::Method => "method",
        Aspect::Relation => "relation",
        Aspect::Index => "index",
        Aspect::JoinType => "join type",
        Aspect::Sides => "sides",
        Aspect::JoinOrder => "join order",
        Aspect::Condition(role) => role_name(role),
        Aspect::Constants(role) => return format!("constants of {}", role_name(role)),
        Aspect::Key => "key",
        Aspect::Strategy => "strategy",
        Aspect::PartialMode => "partial mode",
        Aspect::Parallel => "parallel",
        Aspect::WorkersPlanned => "workers planned",
        Aspect::Alias => "alias",
    }
    .to_owned()
}

/// A number in its unit.
pub(super) fn shown(number: f64, unit: Unit) -> String {
    match unit {
        Unit::Ms => format::ms(number),
        Unit::Cost => format::cost(number),
        Unit::Bytes => format::bytes(number),
        Unit::Share => format::share(number),
        Unit::Factor => format::factor(number),
        _ => format::count(number),
    }
}

/// A difference in milliseconds with its sign.
pub(super) fn signed_ms(number: f64) -> String {
    if number < 0.0 {
        format!("−{}", format::ms(-number))
    } else {
        format!("+{}", format::ms(number))
    }
}

/// `93 % less`, `3.2× as much`, `12 % more`, `the same`.
pub(super) fn rise(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return if after > 0.0 { "more" } else { "the same" }.to_owned();
    }
    let share = (after - before) / before;
    if share.abs() < 0.0005 {
        "the same".to_owned()
    } else if share < 0.0 {
        format!("{} less", format::share(-share))
    } else if share >= 1.0 {
        format!("{} as much", format::factor(after / before))
    } else {
        format!("{} more", format::share(share))
    }
}

fn measure(measure: Measure) -> DiffMeasure {
    match measure {
        Measure::Time => DiffMeasure::Time,
        Measure::Buffers => DiffMeasure::Buffers,
        Measure::Cost => DiffMeasure::Cost,
    }
}

/// The verdict as data and as a sentence.
pub(super) fn verdict(found: &Verdict, tolerance: f64) -> DiffVerdict {
    let outcome = match found.outcome {
        Outcome::Better => DiffOutcome::Better,
        Outcome::Worse => DiffOutcome::Worse,
        Outcome::Same => DiffOutcome::Same,
        Outcome::NotComparable => DiffOutcome::NotComparable,
    };
    let mut warnings: Vec<String> = found.warnings.iter().map(|found| warning(*found)).collect();
    let summary = match (found.measure, found.before, found.after) {
        (Some(by), Some(before), Some(after)) => {
            if let Some(why) = found.why_not {
                warnings.push(why_not(why).to_owned());
            }
            let word = match found.outcome {
                Outcome::Better => "better",
                Outcome::Worse => "worse",
                Outcome::Same => "about the same",
                Outcome::NotComparable => "not comparable",
            };
            let (what, numbers) = match by {
                Measure::Time => (
                    "execution time",
                    format!("{} → {}", format::ms(before), format::ms(after)),
                ),
                Measure::Buffers => (
                    "blocks touched",
                    format!("{} → {}", format::count(before), format::count(after)),
                ),
                Measure::Cost => (
                    "the planner's cost",
                    format!("{} → {}", format::cost(before), format::cost(after)),
                ),
            };
            format!(
                "{word}: {what} {numbers}, {} (tolerance {})",
                rise(before, after),
                format::share(tolerance)
            )
        }
        _ => format!(
            "not comparable: {}",
            found.why_not.map_or("there are no numbers", why_not)
        ),
    };
    DiffVerdict {
        outcome,
        measure: found.measure.map(measure),
        before: found.before.and_then(finite),
        after: found.after.and_then(finite),
        change: found
            .before
            .zip(found.after)
            .filter(|(before, _)| *before > 0.0)
            .and_then(|(before, after)| finite((after - before) / before)),
        summary,
        warnings,
    }
}

fn why_not(why: NotComparable) -> &'static str {
    match why {
        NotComparable::OtherQuery => {
            "the plans have no relation in common; they are of different queries"
        }
        NotComparable::Lacking(Measure::Time) => {
            "not both plans have times; make them with EXPLAIN (ANALYZE)"
        }
        NotComparable::Lacking(Measure::Buffers) => {
            "not both plans have blocks; make them with EXPLAIN (ANALYZE, BUFFERS)"
        }
        NotComparable::Lacking(Measure::Cost) => {
            "not both plans have costs; make them without COSTS OFF"
        }
        NotComparable::Nothing => {
            "the plans have neither times nor blocks nor costs in common; make both with EXPLAIN (ANALYZE, BUFFERS)"
        }
        NotComparable::OtherAssumptions => {
            "the costs were reckoned from other estimates, conditions or settings, so that the lower one need not be the faster plan; make both plans with EXPLAIN (ANALYZE, BUFFERS)"
        }
    }
}

fn warning(warning: Warning) -> String {
    match warning {
        Warning::Cache { before, after } => format!(
            "the runs did not find the same in the buffers: {} of the blocks were read before, {} after; run both again with a warm cache before judging by time",
            format::share(before),
            format::share(after)
        ),
        Warning::Short => {
            "the times are so short that chance can make the difference; repeat both".to_owned()
        }
        Warning::BuffersDisagree { before, after } => format!(
            "the blocks touched say otherwise: {} → {}, {}",
            format::count(before),
            format::count(after),
            rise(before, after)
        ),
        Warning::OtherRows { before, after } => format!(
            "the results differ: {} before, {} after",
            plural_rows(before),
            plural_rows(after)
        ),
        Warning::OtherConstants => {
            "the conditions have other constants or parameters: the plans did not do the same work"
                .to_owned()
        }
        Warning::OtherWorkers { before, after } => format!(
            "{} before and {} after: other sessions may have taken the rest",
            plural(whole(before), "worker came", "workers came"),
            format::count(after)
        ),
        Warning::SameWork => {
            "the plan, the rows and the blocks are the same: the difference is not the plan's; repeat both".to_owned()
        }
        Warning::CostOnly => {
            "the plans were not both executed: costs are the planner's reckoning, and no time"
                .to_owned()
        }
    }
}

fn plural_rows(number: f64) -> String {
    let shown = format::count(number);
    let word = if shown == "1" { "row" } else { "rows" };
    format!("{shown} {word}")
}

/// A count that was printed, as one.
fn whole(number: f64) -> usize {
    // Counts of workers are small and never negative.
    format!("{:.0}", number.max(0.0))
        .parse()
        .unwrap_or_default()
}

/// A cause as data and in words.
pub(super) fn cause(cause: &Cause, before: &PlanGraph, after: &PlanGraph) -> DiffCause {
    DiffCause {
        kind: kind(&cause.kind).to_owned(),
        message: message(cause),
        difference_ms: cause.ms.and_then(finite),
        nodes: cause
            .nodes
            .iter()
            .map(|(was, is)| DiffNodeRef {
                before: was.map(|id| id.index() + 1),
                after: is.map(|id| id.index() + 1),
                label: is
                    .map(|id| after.node(id).label())
                    .or_else(|| was.map(|id| before.node(id).label()))
                    .unwrap_or_default(),
            })
            .collect(),
        facts: cause
            .facts
            .iter()
            .map(|fact| DiffFact {
                what: fact.what.clone(),
                before: fact.before.as_ref().map(value),
                after: fact.after.as_ref().map(value),
            })
            .collect(),
    }
}

fn kind(kind: &CauseKind) -> &'static str {
    match kind {
        CauseKind::Statement => "statement",
        CauseKind::Setting { .. } => "setting",
        CauseKind::Index { .. } => "index",
        CauseKind::Constants { .. } => "constants",
        CauseKind::Rows { .. } => "rows",
        CauseKind::Estimates { .. } => "estimates",
        CauseKind::Tables { .. } => "tables",
        CauseKind::Blocks { .. } => "blocks",
        CauseKind::Version => "version",
        CauseKind::Workers => "workers",
        CauseKind::Spill { .. } => "spill",
        CauseKind::Cache { .. } => "cache",
        CauseKind::Jit => "jit",
        CauseKind::Triggers => "triggers",
        CauseKind::Circumstances => "circumstances",
    }
}

fn value(quantity: &Quantity) -> DiffValue {
    let (number, unit) = match quantity {
        Quantity::Rows(number) => (*number, Unit::Rows),
        Quantity::Ms(number) => (*number, Unit::Ms),
        Quantity::Blocks(number) => (*number, Unit::Blocks),
        Quantity::Kilobytes(number) => (*number * 1024.0, Unit::Bytes),
        Quantity::Count(number) => (*number, Unit::Count),
        Quantity::Share(number) => (*number, Unit::Share),
        Quantity::Text(text) => {
            return DiffValue {
                number: None,
                unit: Unit::Text,
                shown: text.clone(),
            };
        }
    };
    DiffValue {
        number: finite(number),
        unit,
        shown: shown(number, unit),
    }
}

fn message(cause: &Cause) -> String {
    let first = cause.facts.first();
    let side = |before: bool| -> Option<String> {
        let fact = first?;
        let found = if before { &fact.before } else { &fact.after };
        found.as_ref().map(|found| value(found).shown)
    };
    let (was, is) = (side(true), side(false));
    let number = |before: bool| -> f64 {
        let found = first.and_then(|fact| {
            if before {
                fact.before.as_ref()
            } else {
                fact.after.as_ref()
            }
        });
        match found {
            Some(
                Quantity::Rows(number)
                | Quantity::Ms(number)
                | Quantity::Blocks(number)
                | Quantity::Count(number),
            ) => *number,
            _ => 0.0,
        }
    };
    let both = || {
        format!(
            "{} → {}",
            was.clone().unwrap_or_else(|| "none".to_owned()),
            is.clone().unwrap_or_else(|| "none".to_owned())
        )
    };
    match &cause.kind {
        CauseKind::Statement => "the statement was written otherwise".to_owned(),
        CauseKind::Setting { name } => {
            let absent = "not printed (its default, or EXPLAIN without SETTINGS)";
            let effect = if cause.nodes.is_empty() {
                "; nothing in the plan shows an effect of it"
            } else {
                ""
            };
            format!(
                "{name} is another: {} → {}{effect}",
                was.unwrap_or_else(|| absent.to_owned()),
                is.unwrap_or_else(|| absent.to_owned())
            )
        }
        CauseKind::Index {
            relation,
            came,
            went,
            nothing_else,
        } => index(relation, came, went, *nothing_else),
        CauseKind::Constants { generic: None } => {
            "conditions have other constants: the plans are for other values".to_owned()
        }
        CauseKind::Constants {
            generic: Some(which),
        } => {
            let (generic, custom) = match which {
                Generic::Before => ("before", "after"),
                Generic::After => ("after", "before"),
            };
            format!(
                "the plan {generic} was made for any parameter (generic), the one {custom} for values that were known"
            )
        }
        CauseKind::Rows { relation } => {
            let read = first.is_some_and(|fact| fact.what == "rows read");
            let word = match (number(false) > number(true), read) {
                (true, true) => "has grown",
                (false, true) => "has shrunk",
                (true, false) => "gives more rows for the same conditions",
                (false, false) => "gives fewer rows for the same conditions",
            };
            format!("{relation} {word}: {} rows", both())
        }
        CauseKind::Estimates {
            relation,
            same_rows,
        } => {
            let why = if *same_rows {
                "; the rows that came are the same, so that the statistics are others (ANALYZE, another sample or target)"
            } else {
                ""
            };
            format!(
                "the planner expects other numbers of rows of {relation} for the same conditions: {}{why}",
                both()
            )
        }
        CauseKind::Tables { relation } => format!(
            "other tables are read as {relation}: {}; it is partitioned otherwise, renamed, or other partitions are needed",
            both()
        ),
        CauseKind::Blocks { relation } => format!(
            "{relation} takes {} blocks for the same rows: {}; {}",
            if number(true) < number(false) { "more" } else { "fewer" },
            both(),
            if number(true) < number(false) {
                "dead rows (VACUUM), wider rows, or rows in another order"
            } else {
                "it was vacuumed or written anew, or its rows are in another order"
            }
        ),
        CauseKind::Version => format!("the servers are of other versions: {}", both()),
        CauseKind::Workers => format!(
            "another number of parallel workers came, of as many planned: {}",
            both()
        ),
        CauseKind::Spill { came: true } => format!(
            "{} no longer fit{} into memory and went to disk",
            plural(cause.nodes.len(), "node", "nodes"),
            if cause.nodes.len() == 1 { "s" } else { "" }
        ),
        CauseKind::Spill { came: false } => format!(
            "{} that went to disk now fit{} into memory",
            plural(cause.nodes.len(), "node", "nodes"),
            if cause.nodes.len() == 1 { "s" } else { "" }
        ),
        CauseKind::Cache { warmer: true } => format!(
            "the cache is warmer: blocks that had to be read before were in the buffers ({} blocks read)",
            both()
        ),
        CauseKind::Cache { warmer: false } => format!(
            "the cache is colder: blocks that were in the buffers before had to be read ({} blocks read)",
            both()
        ),
        CauseKind::Jit => format!("compilation (JIT) took another time: {}", both()),
        CauseKind::Triggers => format!("triggers took another time: {}", both()),
        CauseKind::Circumstances => {
            "the same plan gave the same rows in another time: load, locks, the cache of the operating system, or chance".to_owned()
        }
    }
}

fn index(relation: &str, came: &[String], went: &[String], nothing_else: bool) -> String {
    let list = |names: &[String]| {
        let shown: Vec<&str> = names.iter().take(3).map(String::as_str).collect();
        match names.len().saturating_sub(3) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    };
    let alone = "nothing else that the planner reckons with differs between the plans";
    match (came.is_empty(), went.is_empty()) {
        (false, true) => format!(
            "{relation} is read by {}, which the plan before does not use{}",
            list(came),
            if nothing_else {
                format!("; {alone}: the index is new, or could not be used before")
            } else {
                String::new()
            }
        ),
        (true, false) => format!(
            "{relation} is no longer read by {}{}",
            list(went),
            if nothing_else {
                format!("; {alone}: the index is gone, or can no longer be used")
            } else {
                String::new()
            }
        ),
        _ => format!(
            "{relation} is read by {} instead of {}{}",
            list(came),
            list(went),
            if nothing_else {
                format!("; {alone}: the one is new, or the other gone")
            } else {
                String::new()
            }
        ),
    }
}
