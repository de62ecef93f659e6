//! From what becomes of queries to findings about the migrations.

use std::collections::BTreeMap;

use super::{
    Applied, Cause, NewStatement, Outcome, PlannedFor, Plans, QueryChange, Workload, WorkloadQuery,
    WorkloadResult,
};
use crate::advise::check::statement_at;
use crate::finding::migration::{MigrationFinding, Remedy};
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::locks::Known;
use crate::migration::{At, History};
use crate::source::{Sources, Span};

/// The rule's name of a query that the server refuses after the change.
pub const QUERY_BREAKS: &str = "query-breaks";
/// The rule's name of a query whose plan costs more after the change.
pub const QUERY_GETS_SLOWER: &str = "query-gets-slower";
/// The rule's name of a query that gives or writes something else after it.
pub const QUERY_RESULT_CHANGES: &str = "query-result-changes";

/// A query that becomes so many times as expensive is critical by itself.
const CRITICAL_FACTOR: f64 = 10.0;
/// At least with this cost.
const CRITICAL_COST: f64 = 10_000.0;
/// Queries that add this share of the workload's cost are critical too.
const CRITICAL_SHARE: f64 = 0.1;
/// Queries that one finding names.
const MOST_NAMED: usize = 5;
/// Different messages of the server that one finding repeats.
const MOST_MESSAGES: usize = 3;
/// What tells findings of INSERTs without a value for a column.
const NULL_VALUE: &str = "SQLSTATE 23502";
/// The label of the evidence that is a query.
const QUERY: &str = "query";
/// How much of a query's text a message shows, in characters.
const SHOWN: usize = 60;
/// How much of what changed in a plan a message shows.
const PLAN_SHOWN: usize = 240;

/// The findings of the three rules, in the order of the causing statements.
pub fn findings(
    result: &WorkloadResult,
    workload: &Workload,
    history: &History,
    sources: &Sources,
) -> Vec<MigrationFinding> {
    let teller = Teller {
        result,
        workload,
        history,
        sources,
    };
    // What one statement does to many queries is one finding.
    let mut groups: BTreeMap<Key, Vec<Told>> = BTreeMap::new();
    for change in &result.queries {
        for (key, told) in teller.tell(change) {
            groups.entry(key).or_default().push(told);
        }
    }
    let mut found: Vec<MigrationFinding> = groups
        .into_iter()
        .filter_map(|(key, told)| teller.finding(key, told))
        .collect();
    found.extend(in_functions(result));
    found
}

/// The functions that fail after the change, each once.
fn in_functions(result: &WorkloadResult) -> Vec<MigrationFinding> {
    let mut found: Vec<MigrationFinding> = Vec::new();
    for function in &result.functions {
        let Some(statement) = result.statement(&function.cause) else {
            continue;
        };
        let signature = &function.signature;
        let told = found
            .iter()
            .any(|other| other.object.as_ref() == Some(signature) && other.at == statement.at);
        if told {
            continue;
        }
        let called = if function.trigger {
            "a trigger calls it, so that what fires it fails"
        } else {
            "whoever calls it gets that error"
        };
        found.push(MigrationFinding {
            rule: QUERY_BREAKS,
            // Nothing says that it is called, but a trigger.
            level: if function.trigger {
                Level::Critical
            } else {
                Level::Warning
            },
            at: statement.at,
            span: statement.span,
            relation: None,
            object: Some(signature.clone()),
            message: format!("function {signature} breaks: {}", function.message),
            why: format!(
                "line {} of its body ({}): {}; {called}, once it comes to that line",
                function.line,
                short(&function.written, SHOWN),
                function.cause.what
            ),
            evidence: vec![Evidence::new(
                "SQLSTATE",
                Value::Text(function.sqlstate.clone()),
                Origin::Catalog(result.engine.description.clone()),
            )],
            effect: None,
            known: Known::Static,
            assumed: None,
            remedy: Some(Remedy::new(
                "make the function anew without it, by CREATE OR REPLACE in the same change",
            )),
        });
    }
    found
}

/// What is one finding.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    at: At,
    span: Span,
    rule: &'static str,
    /// What one statement does apart: the index that is gone, or the SQLSTATE.
    class: Option<String>,
}

/// What becomes of one query.
struct Told {
    level: Level,
    /// How many times the cost is, to tell the worst.
    factor: f64,
    /// The server's words, or what changes.
    message: String,
    /// The query in short: its place and its text.
    shown: String,
    /// The same with its numbers only.
    brief: String,
    /// What else is said of it where it is the worst.
    why: String,
    evidence: Vec<Evidence>,
}

struct Teller<'a> {
    result: &'a WorkloadResult,
    workload: &'a Workload,
    history: &'a History,
    sources: &'a Sources,
}

impl Teller<'_> {
    fn tell(&self, change: &QueryChange) -> Vec<(Key, Told)> {
        let mut all = Vec::new();
        all.extend(self.tell_outcome(change));
        all.extend(self.tell_result(change));
        all
    }

    /// A query that breaks or becomes slower.
    fn tell_outcome(&self, change: &QueryChange) -> Option<(Key, Told)> {
        let query = self.workload.queries.get(change.query)?;
        let span = query.statement.span;
        let mut evidence = self.evidence(change)?;
        let cause = change.cause.as_ref();
        match &change.outcome {
            Outcome::Broken {
                message,
                sqlstate,
                position,
                ..
            } => {
                evidence.push(Evidence::new(
                    "SQLSTATE",
                    Value::Text(sqlstate.clone()),
                    Origin::Catalog(self.result.engine.description.clone()),
                ));
                let mut place = span;
                if let Some(at) = position {
                    place.start = (span.start + at).min(span.end);
                }
                let place = self.sources.place(place);
                let told = Told {
                    level: if self.refused_behind(cause).is_some() {
                        Level::Warning
                    } else {
                        Level::Critical
                    },
                    factor: 1.0,
                    message: message.clone(),
                    shown: format!("{}{place} ({})", named(query), short(&query.shown(), SHOWN)),
                    brief: format!("{}{place}", named(query)),
                    why: cause.map_or_else(
                        || {
                            "the server plans the query before the change, and refuses it after"
                                .to_owned()
                        },
                        |cause| cause.what.clone(),
                    ),
                    evidence,
                };
                let class = if sqlstate.is_empty() {
                    "values".to_owned()
                } else {
                    format!("SQLSTATE {sqlstate}")
                };
                Some((self.key(cause, query, QUERY_BREAKS, Some(class)), told))
            }
            Outcome::Slower(plans) => {
                evidence.extend(costs(plans));
                let place = self.sources.place(span);
                let (before, after) = (number(plans.cost_before), number(plans.cost_after));
                let mut why = format!("the planner's cost rises from {before} to {after}");
                if let Some(what) = &plans.what {
                    why.push_str(&format!(": {}", short(what, PLAN_SHOWN)));
                }
                if let Some(calls) = query.calls {
                    let calls = number(calls);
                    let times = if calls == "1" { "time" } else { "times" };
                    why.push_str(&format!("; called {calls} {times}"));
                }
                match change.planned_for {
                    PlannedFor::Any => {}
                    PlannedFor::AnyAlone => why.push_str(
                        "; so does the plan for any values, and not the plans for those that the \
                         log has",
                    ),
                    PlannedFor::Values => {
                        why.push_str("; planned with the values of a call in the log");
                    }
                }
                let told = Told {
                    level: level(change, plans, query.calls.is_some()),
                    factor: plans.factor(),
                    message: String::new(),
                    shown: format!("{}{place} ({})", named(query), short(&query.shown(), SHOWN)),
                    brief: format!("{}{place} ({before} → {after})", named(query)),
                    why,
                    evidence,
                };
                let class = cause.and_then(|cause| cause.index.clone());
                Some((self.key(cause, query, QUERY_GETS_SLOWER, class), told))
            }
            _ => None,
        }
    }

    /// A query that gives or writes something else.
    fn tell_result(&self, change: &QueryChange) -> Option<(Key, Told)> {
        let query = self.workload.queries.get(change.query)?;
        let result = change.result.as_ref()?;
        let span = query.statement.span;
        let place = self.sources.place(span);
        let mut evidence = self.evidence(change)?;
        let says = result.says();
        evidence.push(Evidence::new(
            "result",
            Value::Text(says.clone()),
            Origin::Catalog(self.result.engine.description.clone()),
        ));
        let mut why = if !result.lost.is_empty() {
            "rows that it inserts are others than those before, and nothing fails".to_owned()
        } else if result.gives_as_before() {
            "a program that names the type of what it sends is refused, and one that sends text \
             goes on"
                .to_owned()
        } else if result.is_mild() {
            "a session that has prepared it before fails with \"cached plan must not change \
             result type\" until it prepares it again; programs that read columns by name go on"
                .to_owned()
        } else {
            "a session that has prepared it before fails with \"cached plan must not change \
             result type\" until it prepares it again, and a program that reads the columns as \
             they were fails or reads something else"
                .to_owned()
        };
        if let Some(who) = result.who_minds() {
            why.push_str(&format!(": {who}"));
        }
        let told = Told {
            // Most programs bear with that.
            level: if result.is_mild() {
                Level::Note
            } else {
                Level::Warning
            },
            factor: 1.0,
            message: says,
            shown: format!("{}{place} ({})", named(query), short(&query.shown(), SHOWN)),
            brief: format!("{}{place}", named(query)),
            why,
            evidence,
        };
        let cause = change.result_cause.as_ref();
        Some((self.key(cause, query, QUERY_RESULT_CHANGES, None), told))
    }

    fn evidence(&self, change: &QueryChange) -> Option<Vec<Evidence>> {
        let query = self.workload.queries.get(change.query)?;
        let span = query.statement.span;
        let mut evidence = vec![Evidence::new(
            QUERY,
            Value::Text(format!(
                "{} ({})",
                short(&query.shown(), SHOWN),
                self.sources.place(span)
            )),
            Origin::Sql(span),
        )];
        if let Some(calls) = query.calls {
            evidence.push(Evidence::new(
                "calls",
                Value::Count(calls),
                Origin::Statistics("the workload".to_owned()),
            ));
        }
        Some(evidence)
    }

    fn key(
        &self,
        cause: Option<&Cause>,
        query: &WorkloadQuery,
        rule: &'static str,
        class: Option<String>,
    ) -> Key {
        let (at, span) =
            if let Some(statement) = cause.and_then(|cause| self.result.statement(cause)) {
                (statement.at, statement.span)
            } else {
                let last = last_new(self.history);
                // What a log has is not shown as source.
                let of_last = statement_at(self.history, last).filter(|_| query.logged);
                (
                    last,
                    of_last.map_or(query.statement.span, |statement| statement.span),
                )
            };
        Key {
            at,
            span,
            rule,
            class,
        }
    }

    /// One finding of what a statement does to some queries.
    fn finding(&self, key: Key, mut told: Vec<Told>) -> Option<MigrationFinding> {
        // A stable sort: of equals the one that was met first is the worst.
        told.sort_by(|a, b| (b.level.cmp(&a.level)).then(b.factor.total_cmp(&a.factor)));
        let many = told.len();
        let worst = told.first()?;
        let (level, factor) = (worst.level, worst.factor);
        let mut why = format!("{}: {}", worst.shown, worst.why);
        let others: Vec<&str> = told
            .iter()
            .skip(1)
            .take(MOST_NAMED - 1)
            .map(|one| one.brief.as_str())
            .collect();
        if !others.is_empty() {
            why.push_str(&format!("; also {}", others.join(", ")));
            if many > MOST_NAMED {
                why.push_str(&format!(" and {} more", many - MOST_NAMED));
            }
        }
        let (message, remedy) = match key.rule {
            QUERY_BREAKS => (
                format!(
                    "{}: {}",
                    if many == 1 {
                        "a query of the workload breaks".to_owned()
                    } else {
                        format!("{many} queries of the workload break")
                    },
                    messages(&told)
                ),
                Some(self.remedy_of_broken(&key)),
            ),
            QUERY_GETS_SLOWER => (slower(&key, many, factor), remedy_of_slower(&key)),
            _ => (
                format!(
                    "the result of {} of the workload changes: {}",
                    if many == 1 {
                        "a query".to_owned()
                    } else {
                        format!("{many} queries")
                    },
                    messages(&told)
                ),
                Some(remedy_of_result(level)),
            ),
        };
        let mut evidence = Vec::new();
        for (number, one) in told.into_iter().take(MOST_NAMED).enumerate() {
            evidence.extend(
                one.evidence
                    .into_iter()
                    .filter(|evidence| number == 0 || evidence.label == QUERY),
            );
        }
        if many > MOST_NAMED {
            evidence.push(Evidence::new(
                "further queries",
                Value::Count((many - MOST_NAMED) as f64),
                Origin::Statistics("the workload".to_owned()),
            ));
        }
        Some(MigrationFinding {
            rule: key.rule,
            level,
            at: key.at,
            span: key.span,
            relation: None,
            object: key.class,
            message,
            why,
            evidence,
            effect: None,
            // Planned, which is neither read nor run.
            known: Known::Static,
            // What breaks does so at any size.
            assumed: (key.rule == QUERY_GETS_SLOWER)
                .then(|| self.result.assumptions.first().cloned())
                .flatten(),
            remedy,
        })
    }

    /// A statement behind the cause that the throw-away server refused: it may
    /// be the one that makes the query possible again.
    fn refused_behind(&self, cause: Option<&Cause>) -> Option<&NewStatement> {
        self.result
            .statements
            .iter()
            .skip(cause.map_or(0, |cause| cause.statement))
            .find(|(_, applied)| matches!(applied, Applied::Refused { .. }))
            .map(|(statement, _)| statement)
    }

    fn remedy_of_broken(&self, key: &Key) -> Remedy {
        if key.class.as_deref() == Some(NULL_VALUE) {
            return Remedy::new(
                "give the column a default, or let it take NULL, until every program fills it",
            );
        }
        let remedy =
            Remedy::new("release the program that no longer sends the query before this change")
                .note(
                    "While a release is rolled out, old and new programs run side by side: a \
                     change that only adds, then the program, then the change that takes away, \
                     breaks neither.",
                );
        let cause = self
            .result
            .statements
            .iter()
            .position(|(statement, _)| statement.at == key.at)
            .map(|statement| Cause {
                statement,
                what: String::new(),
                index: None,
            });
        match self.refused_behind(cause.as_ref()) {
            Some(statement) => remedy.note(format!(
                "The throw-away server refused a later statement of the change ({}): where that \
                 makes the query possible again, nothing breaks.",
                statement.verb
            )),
            None => remedy,
        }
    }
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

/// What is said of the queries, each text once.
fn messages(told: &[Told]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for one in told {
        if !distinct.contains(&one.message.as_str()) {
            distinct.push(&one.message);
        }
    }
    let more = distinct.len().saturating_sub(MOST_MESSAGES);
    distinct.truncate(MOST_MESSAGES);
    let mut text = distinct.join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// The message about queries that become slower.
fn slower(key: &Key, many: usize, factor: f64) -> String {
    let factor = times(factor);
    match (&key.class, many) {
        (Some(index), 1) => {
            format!("a query of the workload needs {index} and costs {factor} without it")
        }
        (Some(index), _) => format!(
            "{many} queries of the workload need {index}, and cost up to {factor} without it"
        ),
        (None, 1) => format!("a query of the workload costs {factor} after the change"),
        (None, _) => {
            format!("{many} queries of the workload cost up to {factor} after the change")
        }
    }
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

/// Critical is what makes one query much slower, or the whole workload
/// noticeably, where it is known how often each query runs.
fn level(change: &QueryChange, plans: &Plans, counted: bool) -> Level {
    let added = if counted {
        change.share * (plans.factor() - 1.0)
    } else {
        0.0
    };
    // The server goes on with plans for the values as long as they cost less.
    if change.planned_for == PlannedFor::AnyAlone {
        return Level::Warning;
    }
    if (plans.factor() >= CRITICAL_FACTOR && plans.cost_after >= CRITICAL_COST)
        || added >= CRITICAL_SHARE
    {
        Level::Critical
    } else {
        Level::Warning
    }
}

fn remedy_of_slower(key: &Key) -> Option<Remedy> {
    let index = key.class.as_ref()?;
    Some(Remedy::new(format!(
        "keep index {index}, or make one that serves the query before it is dropped"
    )))
}

fn remedy_of_result(level: Level) -> Remedy {
    if level <= Level::Note {
        Remedy::new("name the columns in the query instead of *")
    } else {
        Remedy::new("release a program that takes both results before this change")
            .note("A query that names its columns gives the same when others are added or dropped.")
    }
}

/// The name of a query before its place.
fn named(query: &WorkloadQuery) -> String {
    query
        .name
        .as_ref()
        .map_or_else(String::new, |name| format!("{name} at "))
}

/// The beginning of a text, on one line.
fn short(text: &str, most: usize) -> String {
    let mut words = String::new();
    for word in text.split_whitespace() {
        if !words.is_empty() {
            words.push(' ');
        }
        words.push_str(word);
        if words.chars().count() > most {
            let cut: String = words.chars().take(most).collect();
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
