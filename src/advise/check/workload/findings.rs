//! From what becomes of queries to findings about the migrations.

use std::collections::BTreeMap;

use super::{Applied, NewStatement, Outcome, Plans, QueryChange, Workload, WorkloadResult};
use crate::finding::migration::{MigrationFinding, Remedy};
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::locks::Known;
use crate::migration::{At, History};
use crate::source::{Sources, Span};

/// The rule's name of a query that the server refuses after the change.
pub const QUERY_BREAKS: &str = "query-breaks";
/// The rule's name of a query whose plan costs more after the change.
pub const QUERY_GETS_SLOWER: &str = "query-gets-slower";

/// A query that becomes so many times as expensive is critical by itself.
const CRITICAL_FACTOR: f64 = 10.0;
/// At least with this cost.
const CRITICAL_COST: f64 = 10_000.0;
/// Queries that add this share of the workload's cost are critical too.
const CRITICAL_SHARE: f64 = 0.1;
/// Queries that one finding names.
const MOST_NAMED: usize = 5;
/// The label of the evidence that is a query.
const QUERY: &str = "query";
/// What the message of a query that breaks begins with.
const BREAKS: &str = "a query of the workload breaks: ";
/// How much of a query's text a message shows, in characters.
const SHOWN: usize = 60;

/// The findings of the two rules, in the order of the causing statements.
pub fn findings(
    result: &WorkloadResult,
    workload: &Workload,
    history: &History,
    sources: &Sources,
) -> Vec<MigrationFinding> {
    // What one statement does to many queries is one finding.
    let mut groups: BTreeMap<(At, Span, &'static str, Option<String>), Group> = BTreeMap::new();
    for change in &result.queries {
        let Some(finding) = finding(result, change, workload, history, sources) else {
            continue;
        };
        let factor = match &change.outcome {
            Outcome::Slower(plans) => plans.factor(),
            _ => 1.0,
        };
        let key = (
            finding.at,
            finding.span,
            finding.rule,
            finding.object.clone(),
        );
        match groups.get_mut(&key) {
            Some(group) => group.add(finding, factor),
            None => {
                groups.insert(
                    key,
                    Group {
                        finding,
                        factor,
                        queries: 1,
                    },
                );
            }
        }
    }
    groups.into_values().map(Group::done).collect()
}

/// What one statement does to some queries.
struct Group {
    /// That of the query that it is worst for, with evidence of the others.
    finding: MigrationFinding,
    factor: f64,
    queries: usize,
}

impl Group {
    fn add(&mut self, other: MigrationFinding, factor: f64) {
        self.queries += 1;
        let worse = (other.level, factor) > (self.finding.level, self.factor);
        let other = if worse {
            self.factor = factor;
            std::mem::replace(&mut self.finding, other)
        } else {
            other
        };
        if self.queries <= MOST_NAMED {
            self.finding
                .evidence
                .extend(other.evidence.into_iter().filter(|one| one.label == QUERY));
        }
    }

    fn done(mut self) -> MigrationFinding {
        if self.queries == 1 {
            return self.finding;
        }
        let queries = self.queries;
        let said = &self.finding.message;
        self.finding.message = if let Some(words) = said.strip_prefix(BREAKS) {
            format!("{queries} queries of the workload break: {words}")
        } else {
            let index = self.finding.object.as_deref().unwrap_or_default();
            format!(
                "{queries} queries of the workload need {index}, and cost up to {} without it",
                times(self.factor)
            )
        };
        if queries > MOST_NAMED {
            self.finding.evidence.push(Evidence::new(
                "further queries",
                Value::Count((queries - MOST_NAMED) as f64),
                Origin::Statistics("the workload".to_owned()),
            ));
        }
        self.finding
    }
}

fn finding(
    result: &WorkloadResult,
    change: &QueryChange,
    workload: &Workload,
    history: &History,
    sources: &Sources,
) -> Option<MigrationFinding> {
    let query = workload.queries.get(change.query)?;
    let span = query.statement.span;
    let place = sources.place(span);
    let shown = short(&query.statement.text);
    let mut evidence = vec![Evidence::new(
        QUERY,
        Value::Text(format!("{shown} ({place})")),
        Origin::Sql(span),
    )];
    if let Some(calls) = query.calls {
        evidence.push(Evidence::new(
            "calls",
            Value::Count(calls),
            Origin::Statistics("the workload".to_owned()),
        ));
    }
    let (rule, level, message, mut why, remedy) = match &change.outcome {
        Outcome::Broken {
            message, sqlstate, ..
        } => {
            evidence.push(Evidence::new(
                "SQLSTATE",
                Value::Text(sqlstate.clone()),
                Origin::Catalog(result.engine.description.clone()),
            ));
            (
                QUERY_BREAKS,
                if refused_behind(result, change).is_some() {
                    Level::Warning
                } else {
                    Level::Critical
                },
                format!("{BREAKS}{message}"),
                broken_why(result, change, span, sources, &shown),
                Some(remedy_of_broken(result, change)),
            )
        }
        Outcome::Slower(plans) => {
            evidence.extend(costs(plans));
            let mut why = format!(
                "the planner's cost of {place} ({shown}) rises from {} to {}",
                number(plans.cost_before),
                number(plans.cost_after)
            );
            if let Some(what) = &plans.what {
                why.push_str(&format!(": {what}"));
            }
            (
                QUERY_GETS_SLOWER,
                level(change, plans, query.calls.is_some()),
                match change.cause.as_ref().and_then(|cause| cause.index.as_ref()) {
                    Some(index) => format!(
                        "a query of the workload needs {index} and costs {} without it",
                        times(plans.factor())
                    ),
                    None => format!(
                        "a query of the workload costs {} after the change",
                        times(plans.factor())
                    ),
                },
                why,
                remedy_of_slower(change),
            )
        }
        _ => return None,
    };
    let cause = change.cause.as_ref();
    let (at, stands) = match cause.and_then(|cause| result.statement(cause)) {
        Some(statement) => (statement.at, statement.span),
        None => (last_new(history), span),
    };
    // What breaks says itself which statement did it.
    if let (Some(cause), Outcome::Slower(_)) = (cause, &change.outcome) {
        why.push_str("; ");
        why.push_str(&cause.what);
    }
    if let Some(calls) = query.calls {
        let calls = number(calls);
        let times = if calls == "1" { "time" } else { "times" };
        why.push_str(&format!("; called {calls} {times}"));
    }
    Some(MigrationFinding {
        rule,
        level,
        at,
        span: stands,
        relation: None,
        // Two things that one statement does are told apart by this.
        object: Some(
            match (&change.outcome, cause.and_then(|cause| cause.index.clone())) {
                (Outcome::Broken { message, .. }, _) => message.clone(),
                (_, Some(index)) => index,
                (_, None) => format!("query {:016x}", query.fingerprint),
            },
        ),
        message,
        why,
        evidence,
        effect: None,
        known: Known::Traced,
        // What breaks does so at any size.
        assumed: matches!(change.outcome, Outcome::Slower(_))
            .then(|| result.assumptions.first().cloned())
            .flatten(),
        remedy,
    })
}

/// Where a finding stands whose statement is not known: with the last new one.
fn last_new(history: &History) -> At {
    let mut last = At {
        file: 0,
        part: 0,
        statement: 0,
        inner: 0,
    };
    for (file, one) in history
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| file.new)
    {
        for (part, statements) in one.parts.iter().enumerate() {
            last = At {
                file,
                part,
                statement: statements.statements.len().saturating_sub(1),
                inner: 0,
            };
        }
    }
    last
}

fn costs(plans: &Plans) -> [Evidence; 2] {
    let cost = |label: &str, cost: f64| {
        Evidence::new(
            label,
            Value::Cost(cost),
            Origin::Formula("the planner's total cost"),
        )
    };
    [
        cost("cost before", plans.cost_before),
        cost("cost after", plans.cost_after),
    ]
}

/// Why a query that breaks does: where the server stumbles, and from which
/// statement on.
fn broken_why(
    result: &WorkloadResult,
    change: &QueryChange,
    span: Span,
    sources: &Sources,
    shown: &str,
) -> String {
    let mut place = span;
    if let Outcome::Broken {
        position: Some(at), ..
    } = &change.outcome
    {
        place.start = (span.start + at).min(span.end);
    }
    let place = sources.place(place);
    match change
        .cause
        .as_ref()
        .and_then(|cause| result.statement(cause))
    {
        Some(statement) => format!(
            "{place} ({shown}): the server plans the query up to this {}, and refuses it from then on",
            statement.verb
        ),
        None => {
            format!(
                "{place} ({shown}): the server plans the query before the change, and refuses it after"
            )
        }
    }
}

/// A statement behind the cause that the throw-away server refused: it may be
/// the one that makes the query possible again.
fn refused_behind<'a>(
    result: &'a WorkloadResult,
    change: &QueryChange,
) -> Option<&'a NewStatement> {
    let cause = change.cause.as_ref().map_or(0, |cause| cause.statement);
    result
        .statements
        .iter()
        .skip(cause)
        .find(|(_, applied)| matches!(applied, Applied::Refused { .. }))
        .map(|(statement, _)| statement)
}

/// Critical is what makes one query much slower, or the whole workload
/// noticeably, where it is known how often each query runs.
fn level(change: &QueryChange, plans: &Plans, counted: bool) -> Level {
    let added = if counted {
        change.share * (plans.factor() - 1.0)
    } else {
        0.0
    };
    if (plans.factor() >= CRITICAL_FACTOR && plans.cost_after >= CRITICAL_COST)
        || added >= CRITICAL_SHARE
    {
        Level::Critical
    } else {
        Level::Warning
    }
}

fn remedy_of_broken(result: &WorkloadResult, change: &QueryChange) -> Remedy {
    let remedy =
        Remedy::new("release the program that no longer sends the query before this change").note(
            "While a release is rolled out, old and new programs run side by side: a change \
             that only adds, then the program, then the change that takes away, breaks neither.",
        );
    match refused_behind(result, change) {
        Some(statement) => remedy.note(format!(
            "The throw-away server refused a later statement of the change ({}): where that makes \
             the query possible again, nothing breaks.",
            statement.verb
        )),
        None => remedy,
    }
}

fn remedy_of_slower(change: &QueryChange) -> Option<Remedy> {
    let index = change.cause.as_ref()?.index.as_ref()?;
    Some(Remedy::new(format!(
        "keep index {index}, or make one that serves the query before it is dropped"
    )))
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.chars().count() > SHOWN {
            let cut: String = words.chars().take(SHOWN).collect();
            return format!("{cut}…");
        }
    }
    words
}

/// `12,345` of a cost.
fn number(cost: f64) -> String {
    let whole = format!("{:.0}", cost.max(0.0));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `12 times as much`.
fn times(factor: f64) -> String {
    if factor >= 10.0 {
        format!("{} times as much", number(factor))
    } else {
        format!("{factor:.1} times as much")
    }
}
