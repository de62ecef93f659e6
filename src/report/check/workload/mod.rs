//! What a change does to the queries of an application: from the comparison to
//! the report's types, and as text and Markdown.

mod markdown;
mod text;

use crate::advise::check::workload::values::masked;
use crate::advise::check::workload::{
    Applied, Cause, IndexChange, Outcome, PlannedFor, Plans, QueryChange, ResultChange, Workload,
    WorkloadResult,
};
use crate::plan::compare::compare;
use crate::plan::{NodeId, PlanGraph};
use crate::report::build;
use crate::report::format::{self, plural};
use crate::report::model::check_workload::{
    CheckWorkload, CheckWorkloadCause, CheckWorkloadIndex, CheckWorkloadLine, CheckWorkloadOutcome,
    CheckWorkloadQuery, CheckWorkloadStatement, CheckWorkloadTotals,
};
use crate::source::{Sources, Span};

/// Lines of two plans that are shown of one query.
const MOST_LINES: usize = 24;
/// Queries of one kind that are shown one by one.
const MOST_SHOWN: usize = 10;
/// Characters of a query's text that are shown.
const MOST_SQL: usize = 240;

/// The comparison as the report has it. `sized` says that sizes are known, not
/// assumed.
pub fn workload(
    result: &WorkloadResult,
    workload: &Workload,
    sources: &Sources,
    sized: bool,
) -> CheckWorkload {
    let maker = Maker {
        result,
        workload,
        sources,
        sized,
    };
    let counts = result.counts();
    let mut queries: Vec<(f64, CheckWorkloadQuery)> = result
        .queries
        .iter()
        .filter_map(|change| {
            let query = maker.query(change)?;
            let weight = match &change.outcome {
                Outcome::Slower(plans) => change.share * (plans.factor() - 1.0),
                Outcome::Faster(plans) => change.share * (1.0 - plans.factor()),
                _ => change.share,
            };
            Some((weight, query))
        })
        .collect();
    queries.sort_by(|a, b| (a.1.outcome).cmp(&b.1.outcome).then(b.0.total_cmp(&a.0)));
    CheckWorkload {
        engine: build::engine(&result.engine),
        assumptions: result.assumptions.clone(),
        totals: CheckWorkloadTotals {
            files: workload.files,
            queries: workload.queries.len(),
            repeated: workload.repeated,
            utility: workload.utility,
            own: workload.own,
            with_values: result
                .queries
                .iter()
                .filter(|query| query.sampled > 0)
                .count(),
            broken: counts.broken,
            mended: counts.mended,
            slower: counts.slower,
            faster: counts.faster,
            other_result: counts.other_result,
            other_plan: counts.other_plan,
            same: counts.same,
            not_planned: counts.not_planned,
        },
        not_applied: maker.not_applied(),
        queries: queries.into_iter().map(|(_, query)| query).collect(),
        dropped_indexes: result
            .dropped
            .iter()
            .map(|index| maker.index(index, true))
            .collect(),
        new_indexes: result
            .made
            .iter()
            .map(|index| maker.index(index, false))
            .collect(),
    }
}

struct Maker<'a> {
    result: &'a WorkloadResult,
    workload: &'a Workload,
    sources: &'a Sources,
    sized: bool,
}

impl Maker<'_> {
    fn not_applied(&self) -> Vec<CheckWorkloadStatement> {
        self.result
            .statements
            .iter()
            .filter_map(|(statement, applied)| {
                let (status, message) = match applied {
                    Applied::Yes => return None,
                    Applied::LeftOut { why } => ("left_out", why),
                    Applied::Already { message } => ("already", message),
                    Applied::Refused { message, .. } => ("refused", message),
                };
                Some(CheckWorkloadStatement {
                    place: build::place(statement.span, self.sources),
                    statement: statement.verb.clone(),
                    status: status.to_owned(),
                    message: message.clone(),
                })
            })
            .collect()
    }

    fn query(&self, change: &QueryChange) -> Option<CheckWorkloadQuery> {
        let query = self.workload.queries.get(change.query)?;
        let span = query.statement.span;
        let mut shown = CheckWorkloadQuery {
            outcome: CheckWorkloadOutcome::Broken,
            place: build::place(span, self.sources),
            name: query.name.clone(),
            sql: query.shown(),
            fingerprint: format!("{:016x}", query.fingerprint),
            calls: query.calls,
            share: change.share,
            message: None,
            sqlstate: None,
            hint: None,
            error_place: None,
            planned_for: match change.planned_for {
                PlannedFor::Any | PlannedFor::AnyAlone => "any".to_owned(),
                PlannedFor::Values => "values".to_owned(),
            },
            sampled: change.sampled,
            cost_before: None,
            cost_after: None,
            change: None,
            result: change.result.as_ref().map(ResultChange::says),
            cause: change
                .cause
                .as_ref()
                .or(change.result_cause.as_ref())
                .map(|cause| self.cause(cause)),
            plan: Vec::new(),
        };
        let hidden = query.logged || change.planned_for == PlannedFor::Values;
        let plans = |mut shown: CheckWorkloadQuery, outcome, plans: &Plans| {
            shown.outcome = outcome;
            shown.cost_before = Some(plans.cost_before);
            shown.cost_after = Some(plans.cost_after);
            shown.change.clone_from(&plans.what);
            shown.plan = lines(&plans.before, &plans.after, hidden);
            shown
        };
        match &change.outcome {
            Outcome::Broken {
                message,
                sqlstate,
                hint,
                position,
                ..
            } => {
                shown.message = Some(message.clone());
                shown.sqlstate = Some(sqlstate.clone()).filter(|code| !code.is_empty());
                shown.hint.clone_from(hint);
                shown.error_place = position.and_then(|at| {
                    let start = span.start + at;
                    build::place(Span::new(span.source, start..start), self.sources)
                });
            }
            Outcome::Mended { message, cost, .. } => {
                shown.outcome = CheckWorkloadOutcome::Mended;
                shown.message = Some(message.clone());
                shown.cost_after = *cost;
            }
            Outcome::NotPlanned { why } => {
                shown.outcome = CheckWorkloadOutcome::NotPlanned;
                shown.message = Some(why.clone());
            }
            Outcome::Slower(both) => shown = plans(shown, CheckWorkloadOutcome::Slower, both),
            Outcome::Faster(both) => shown = plans(shown, CheckWorkloadOutcome::Faster, both),
            Outcome::OtherPlan(both) => {
                let outcome = if change.result.is_some() {
                    CheckWorkloadOutcome::OtherResult
                } else {
                    CheckWorkloadOutcome::OtherPlan
                };
                shown = plans(shown, outcome, both);
            }
            Outcome::Same { .. } if change.result.is_some() => {
                shown.outcome = CheckWorkloadOutcome::OtherResult;
            }
            Outcome::Same { .. } => return None,
        }
        Some(shown)
    }

    fn cause(&self, cause: &Cause) -> CheckWorkloadCause {
        let statement = self.result.statement(cause);
        CheckWorkloadCause {
            place: statement.and_then(|found| build::place(found.span, self.sources)),
            statement: statement.map_or_else(String::new, |found| found.verb.clone()),
            what: cause.what.clone(),
            index: cause.index.clone(),
        }
    }

    fn index(&self, index: &IndexChange, dropped: bool) -> CheckWorkloadIndex {
        let (used, moved) = (index.used_by.len(), index.moved.len());
        let broken = index
            .used_by
            .iter()
            .filter_map(|at| self.result.queries.get(*at))
            .filter(|query| matches!(query.outcome, Outcome::Broken { .. }))
            .count();
        let would = if dropped { "" } else { "would " };
        let says = if used == 0 {
            let says = if dropped { "uses" } else { "would use" };
            // Other sizes can make another plan, so this is no leave to drop it.
            let at_sizes = if self.sized {
                ""
            } else {
                " at the assumed sizes"
            };
            let partial = if dropped && index.partial {
                "; it is partial, and queries whose values are not known are planned without them"
            } else {
                ""
            };
            format!("no query of the workload {says} it{at_sizes}{partial}")
        } else {
            let mut becomes = Vec::new();
            if moved > 0 {
                becomes.push(format!(
                    "{moved} {} {}",
                    if moved == 1 { "becomes" } else { "become" },
                    if dropped {
                        "slower without it"
                    } else {
                        "faster"
                    }
                ));
            }
            if broken > 0 {
                becomes.push(format!(
                    "{broken} {} by the change",
                    if broken == 1 { "breaks" } else { "break" }
                ));
            }
            if becomes.is_empty() {
                becomes.push(format!(
                    "none becomes {}",
                    if dropped {
                        "slower without it"
                    } else {
                        "faster"
                    }
                ));
            }
            format!(
                "{} of the workload {would}{} it: {}",
                plural(used, "query", "queries"),
                if used == 1 && dropped { "uses" } else { "use" },
                becomes.join(", ")
            )
        };
        CheckWorkloadIndex {
            name: index.name.clone(),
            table: format!("{}.{}", index.table.0, index.table.1),
            place: self
                .result
                .statements
                .get(index.statement)
                .and_then(|(statement, _)| build::place(statement.span, self.sources)),
            used_by: used,
            moved,
            says,
        }
    }
}

/// Two plans as one list of lines, as a diff has them; nodes that both have
/// stand once, with the cost after. `hidden` leaves constants out.
fn lines(before: &PlanGraph, after: &PlanGraph, hidden: bool) -> Vec<CheckWorkloadLine> {
    let mut lines = Vec::new();
    let mut put = |mark: char, plan: &PlanGraph, id: NodeId, depth: usize, conditions: bool| {
        let node = plan.node(id);
        let indent = "  ".repeat(depth);
        let cost = node.estimate.map_or_else(String::new, |estimate| {
            format!(
                "  (cost {}, {})",
                format::cost(estimate.total_cost),
                rows(estimate.rows)
            )
        });
        lines.push(CheckWorkloadLine {
            mark,
            text: format!("{indent}{}{cost}", node.label()),
        });
        for condition in node.conditions.iter().filter(|_| conditions) {
            lines.push(CheckWorkloadLine {
                mark,
                text: if hidden {
                    format!("{indent}  {}", masked(&condition.text))
                } else {
                    format!("{indent}  {}", condition.text)
                },
            });
        }
    };
    for line in compare(before, after).lines {
        match (line.before, line.after) {
            (Some(_), Some(id)) => put(' ', after, id, line.depth, false),
            (Some(id), None) => put('-', before, id, line.depth, true),
            (None, Some(id)) => put('+', after, id, line.depth, true),
            (None, None) => {}
        }
    }
    if lines.len() > MOST_LINES {
        // Around a change nothing is of interest but where it stands.
        let changed: Vec<CheckWorkloadLine> = lines
            .iter()
            .filter(|line| line.mark != ' ')
            .cloned()
            .collect();
        if !changed.is_empty() {
            lines = changed;
        }
        let more = lines.len().saturating_sub(MOST_LINES);
        if more > 0 {
            lines.truncate(MOST_LINES);
            lines.push(CheckWorkloadLine {
                mark: ' ',
                text: format!("… {more} more lines"),
            });
        }
    }
    lines
}

/// What is said of the queries in one line.
pub fn summary(workload: &CheckWorkload) -> String {
    let totals = &workload.totals;
    let parts: Vec<String> = [
        (totals.broken, "broken"),
        (totals.slower, "slower"),
        (totals.faster, "faster"),
        (totals.mended, "possible now"),
        (totals.other_result, "with another result"),
        (
            totals.other_plan,
            "with another plan of about the same cost",
        ),
        (totals.same, "with the same plan"),
        (totals.not_planned, "not planned"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    format!(
        "{} of the workload: {}",
        plural(totals.queries, "query", "queries"),
        parts.join(", ")
    )
}

/// What was read besides, in one line; nothing where there is nothing to say.
fn read_besides(workload: &CheckWorkload) -> Option<String> {
    let totals = &workload.totals;
    let mut said = Vec::new();
    if totals.repeated > 0 {
        said.push(format!(
            "{} met again with other values",
            plural(totals.repeated, "was", "were")
        ));
    }
    if totals.with_values > 0 {
        said.push(format!(
            "{} planned for any values and with those of calls in a log",
            plural(totals.with_values, "was", "were")
        ));
    }
    if totals.utility > 0 {
        said.push(format!(
            "{} no plan (BEGIN, SET, …)",
            plural(totals.utility, "statement has", "statements have")
        ));
    }
    if totals.own > 0 {
        said.push(format!(
            "{} of the system's catalogues or of pgadvise left out",
            plural(totals.own, "query", "queries")
        ));
    }
    (!said.is_empty()).then(|| {
        format!(
            "read from {}: {}",
            plural(totals.files, "file", "files"),
            said.join(", ")
        )
    })
}

fn heading(outcome: CheckWorkloadOutcome) -> &'static str {
    match outcome {
        CheckWorkloadOutcome::Broken => "Queries that break",
        CheckWorkloadOutcome::Slower => "Queries that become slower",
        CheckWorkloadOutcome::Faster => "Queries that become faster",
        CheckWorkloadOutcome::Mended => "Queries that the change makes possible",
        CheckWorkloadOutcome::OtherResult => "Queries with another result",
        CheckWorkloadOutcome::OtherPlan => "Queries with another plan of about the same cost",
        CheckWorkloadOutcome::NotPlanned => "Queries without a plan",
    }
}

const ORDER: [CheckWorkloadOutcome; 7] = [
    CheckWorkloadOutcome::Broken,
    CheckWorkloadOutcome::Slower,
    CheckWorkloadOutcome::Faster,
    CheckWorkloadOutcome::Mended,
    CheckWorkloadOutcome::OtherResult,
    CheckWorkloadOutcome::OtherPlan,
    CheckWorkloadOutcome::NotPlanned,
];

/// The queries of one kind, and how many of them are not shown.
fn of_kind(
    workload: &CheckWorkload,
    outcome: CheckWorkloadOutcome,
    detailed: bool,
) -> (Vec<&CheckWorkloadQuery>, usize) {
    let all: Vec<&CheckWorkloadQuery> = workload
        .queries
        .iter()
        .filter(|query| query.outcome == outcome)
        .collect();
    let most = match outcome {
        _ if detailed => usize::MAX,
        CheckWorkloadOutcome::OtherPlan => 0,
        CheckWorkloadOutcome::NotPlanned | CheckWorkloadOutcome::Mended => 5,
        _ => MOST_SHOWN,
    };
    let more = all.len().saturating_sub(most);
    (all.into_iter().take(most).collect(), more)
}

/// `GetUser at file:line`.
fn named(query: &CheckWorkloadQuery) -> String {
    let at = at(query.place.as_ref());
    match &query.name {
        Some(name) => format!("{name} at {at}"),
        None => at,
    }
}

/// `file:line` of a place.
fn at(place: Option<&crate::report::model::Place>) -> String {
    place.map_or_else(String::new, |place| {
        format!("{}:{}", place.file, place.line)
    })
}

/// What goes wrong, with its place in the file.
fn message(query: &CheckWorkloadQuery) -> Option<String> {
    let place = query
        .error_place
        .as_ref()
        .map_or_else(String::new, |place| {
            format!(" (line {}, column {})", place.line, place.column)
        });
    Some(format!("{}{place}", query.message.as_ref()?))
}

/// The query's text on one line.
fn sql(query: &CheckWorkloadQuery) -> String {
    let text: Vec<&str> = query.sql.split_whitespace().collect();
    let text = text.join(" ");
    if text.chars().count() <= MOST_SQL {
        return text;
    }
    let cut: String = text.chars().take(MOST_SQL).collect();
    format!("{cut}…")
}

/// Calls and costs, in words.
fn numbers(query: &CheckWorkloadQuery) -> Vec<String> {
    let mut said = Vec::new();
    if let (Some(before), Some(after)) = (query.cost_before, query.cost_after) {
        let mut text = format!("cost {} → {}", format::cost(before), format::cost(after));
        if before > 0.0 && after > before {
            text.push_str(&format!(" ({})", format::factor(after / before)));
        } else if before > after {
            text.push_str(&format!(" ({} less)", format::share(1.0 - after / before)));
        }
        said.push(text);
    } else if let Some(after) = query.cost_after {
        said.push(format!("cost after the change {}", format::cost(after)));
    }
    if let Some(calls) = query.calls {
        let calls = format::count(calls);
        let what = if calls == "1" { "call" } else { "calls" };
        said.push(format!("{calls} {what}"));
    }
    if query.planned_for == "values" {
        said.push("with the values of a call in the log".to_owned());
    }
    if query.share >= 0.01 {
        said.push(format!(
            "{} of the workload's cost",
            format::share(query.share)
        ));
    }
    said
}

/// `1 row`, `12,000 rows`.
fn rows(rows: f64) -> String {
    let count = format::count(rows);
    let what = if count == "1" { "row" } else { "rows" };
    format!("{count} {what}")
}

/// Statements of the change that the server refused: plans after the change are
/// without them.
pub fn refused(workload: &CheckWorkload) -> impl Iterator<Item = &CheckWorkloadStatement> {
    workload
        .not_applied
        .iter()
        .filter(|statement| statement.status == "refused")
}

pub use markdown::markdown;
pub use text::text;
