//! What a run has besides the files: the snapshot, the workload, and the
//! servers on which migrations are tried.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::settings::Settings;
use crate::advise::check::snapshot::sizes;
use crate::advise::check::workload::{
    CompareOptions, Outcome, QUERY_BREAKS, QUERY_GETS_SLOWER, QUERY_RESULT_CHANGES, Workload,
    WorkloadResult, findings as workload_findings,
};
use crate::advise::check::{Checked, MigrationOutcome, sort, statement_at};
use crate::catalog::Catalog;
use crate::cli::env::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::twin;
use crate::cli::ui::Progress;
use crate::finding::migration::MigrationFinding;
use crate::finding::{Evidence, Level, Origin, Value};
use crate::input;
use crate::migration::locks::{Effect, Known, Work};
use crate::migration::state::State;
use crate::migration::{At, History, Server};
use crate::pg::trace::{self, Trace};
use crate::pg::workload::{self, Basis, Servers, WorkloadError};
use crate::report::build;
use crate::report::check::workload::workload as reported;
use crate::report::format;
use crate::report::model::check::CheckTrace;
use crate::report::model::check_workload::CheckWorkload;
use crate::report::model::{Problem, Severity};
use crate::rule::migration::Context;
use crate::snapshot::Snapshot;
use crate::snapshot::file::content_hash;
use crate::source::Sources;
use crate::sql::Statement;

/// Time for one statement of a migration, or one plan.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Rules that a comparison of plans reports under.
const COMPARED: &[&str] = &[QUERY_BREAKS, QUERY_GETS_SLOWER, QUERY_RESULT_CHANGES];

/// The rule that statements which a server refuses are reported under.
const REFUSED: &str = "statement-fails";

/// A snapshot that was read.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) hash: String,
    pub(super) sizes: Catalog,
}

impl Taken {
    /// Reads the snapshot, where there is one.
    pub(super) fn read(path: Option<&PathBuf>) -> Result<Option<Self>, Failure> {
        let Some(path) = path else { return Ok(None) };
        let snapshot = input::read_snapshot(path)?.snapshot;
        Ok(Some(Self {
            hash: content_hash(&snapshot),
            sizes: sizes(&snapshot),
            snapshot: Arc::new(snapshot),
        }))
    }

    /// The server's major version, and whether its time zone is UTC.
    pub(super) fn version(&self) -> (u16, Option<bool>) {
        let major = u16::try_from(self.snapshot.origin.version_num / 10_000).unwrap_or(u16::MAX);
        let utc = self.snapshot.settings.get("TimeZone").map(|zone| {
            matches!(
                zone.as_str(),
                "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" | "UCT" | "Etc/UCT"
            )
        });
        (major, utc)
    }
}

/// The queries of a run.
#[derive(Debug)]
pub(super) struct Queries {
    pub(super) workload: Workload,
    pub(super) statements: Vec<Statement>,
    /// What is slower.
    pub(super) slower: CompareOptions,
}

impl Queries {
    /// Reads the workload, where there is one.
    pub(super) fn read(
        settings: &Settings,
        sources: &mut Sources,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let paths = &settings.workload;
        if paths.is_empty() {
            return None;
        }
        let workload = input::workload::read(paths, sources);
        for problem in &workload.problems {
            problems.push(build::problem(problem, Severity::Warning, sources));
        }
        Some(Self {
            statements: workload
                .queries
                .iter()
                .map(|query| query.statement.clone())
                .collect(),
            workload,
            slower: settings.slower,
        })
    }
}

/// Where migrations are tried, and on which schema.
pub(super) fn servers(
    taken: Option<&Taken>,
    server: &Server,
    settings: &Settings,
    environment: &Environment,
) -> Result<(Basis, Servers), Failure> {
    let servers = twin::servers(
        taken.map(|taken| taken.snapshot.as_ref()),
        &settings.engine,
        TIMEOUT,
        environment,
    )?;
    let basis = match taken {
        Some(taken) => Basis::Snapshot {
            snapshot: Arc::clone(&taken.snapshot),
            hash: taken.hash.clone(),
        },
        None => Basis::History {
            major: (!server.assumed).then_some(server.major),
        },
    };
    Ok((basis, servers))
}

/// Plans the workload before and after, and adds what comes of it to what was
/// found. Where that cannot be done, its rules have not run.
pub(super) fn compare(
    queries: &Queries,
    history: &History,
    sources: &Sources,
    on: &(Basis, Servers),
    checked: &mut Checked,
    problems: &mut Vec<Problem>,
    progress: &Progress,
) -> Option<CheckWorkload> {
    let compared: Result<WorkloadResult, WorkloadError> = workload::compare(
        history,
        sources,
        &queries.workload,
        &on.0,
        &on.1,
        &queries.slower,
        &mut |what, done, all| say(progress, what, done, all),
    );
    let result = match compared {
        Ok(result) => result,
        Err(error) => {
            for (rule, outcome) in &mut checked.outcomes {
                if COMPARED.contains(rule) && matches!(outcome, MigrationOutcome::Ran { .. }) {
                    *outcome = MigrationOutcome::Skipped {
                        missing: vec!["plans of the workload"],
                    };
                }
            }
            let hint = match &error {
                WorkloadError::Nothing { hint, .. } => Some(hint.clone()),
                WorkloadError::Twin(_) | WorkloadError::Plan(_) => None,
            };
            let mut failure = Failure::new(Kind::Database, error);
            failure.hints.extend(hint);
            problems.push(failure.problem());
            return None;
        }
    };
    for problem in &result.problems {
        problems.push(build::problem(problem, Severity::Warning, sources));
    }
    let found = workload_findings(&result, &queries.workload, history, sources);
    for (rule, outcome) in &mut checked.outcomes {
        if COMPARED.contains(rule) {
            let findings = found.iter().filter(|finding| finding.rule == *rule).count();
            if let MigrationOutcome::Ran { findings: count } = outcome {
                *count = findings;
            }
        }
    }
    let off: Vec<&str> = checked
        .outcomes
        .iter()
        .filter(|(_, outcome)| *outcome == MigrationOutcome::Off)
        .map(|(rule, _)| *rule)
        .collect();
    checked.findings.extend(
        found
            .into_iter()
            .filter(|finding| !off.contains(&finding.rule)),
    );
    planned_over_read(&result, &queries.workload, &mut checked.findings);
    sort(&mut checked.findings);
    Some(reported(
        &result,
        &queries.workload,
        sources,
        matches!(on.0, Basis::Snapshot { .. }),
    ))
}

/// What was planned is better known than what was read: of an index that is
/// dropped the plans say whether a query needs it, and of a new column whether
/// the queries that compare it read the whole table.
fn planned_over_read(
    result: &WorkloadResult,
    workload: &Workload,
    findings: &mut Vec<MigrationFinding>,
) {
    let query_of = |finding: &MigrationFinding| {
        finding
            .evidence
            .iter()
            .find_map(|one| match (&one.from, one.label.as_str()) {
                (Origin::Sql(span), "query") => Some(*span),
                _ => None,
            })
    };
    findings.retain_mut(|finding| {
        let Some(span) = query_of(finding) else {
            return true;
        };
        match finding.rule {
            "index-dropped-that-is-needed" => {
                let planned = result.queries.iter().any(|change| {
                    !matches!(change.outcome, Outcome::NotPlanned { .. })
                        && workload
                            .queries
                            .get(change.query)
                            .is_some_and(|query| query.statement.span == span)
                });
                let is_told = result.dropped.iter().any(|index| {
                    Some(index.name.as_str()) == finding.object.as_deref()
                        && result
                            .statements
                            .get(index.statement)
                            .is_some_and(|(statement, _)| statement.at == finding.at)
                });
                !(planned || is_told)
            }
            "new-column-filtered-without-index" => {
                let Some(relation) = finding.relation.clone() else {
                    return true;
                };
                let mut planned = false;
                let mut scan = None;
                for change in &result.queries {
                    let Outcome::Mended { cost, scans, .. } = &change.outcome else {
                        continue;
                    };
                    let of_finding = workload
                        .queries
                        .get(change.query)
                        .is_some_and(|query| query.statement.span == span);
                    planned |= of_finding;
                    if scans.iter().any(|(_, name)| *name == relation.name)
                        && (of_finding || scan.is_none())
                    {
                        scan = *cost;
                    }
                }
                if let (true, Some(cost)) = (planned, scan) {
                    finding.evidence.push(Evidence::new(
                        "cost after",
                        Value::Cost(cost),
                        Origin::Formula("the planner's total cost"),
                    ));
                    finding.why.push_str(&format!(
                        ", which the planner reckons at a cost of {}",
                        format::cost(cost)
                    ));
                }
                !planned || scan.is_some()
            }
            _ => true,
        }
    });
}

/// Says how far the work is.
pub(super) fn say(progress: &Progress, what: &str, done: usize, all: usize) {
    progress.say(if all > 1 {
        format!("{what} ({done} of {all})")
    } else {
        what.to_owned()
    });
}

/// Runs the new files on a throw-away server. Where that cannot be done, what
/// the text says stands.
pub(super) fn trace(
    context: &Context<'_>,
    before: &State,
    on: &(Basis, Servers),
    problems: &mut Vec<Problem>,
    progress: &Progress,
) -> Option<Trace> {
    let traced = trace::trace(
        context.history,
        context.sources,
        before,
        context.server,
        &on.0,
        &on.1,
        &mut |what, done, all| say(progress, what, done, all),
    );
    match traced {
        Ok(traced) => {
            for problem in &traced.problems {
                problems.push(build::problem(problem, Severity::Warning, context.sources));
            }
            Some(traced)
        }
        Err(error) => {
            problems.push(
                Failure::new(Kind::Database, error)
                    .hint("name the folder of initdb and postgres with --pg-bin; findings are those of the text alone")
                    .problem(),
            );
            None
        }
    }
}

/// Adds a finding for each statement that the server refused, in the place of
/// what the text alone says of it and of those that `ran`.
pub(super) fn add_refused(
    traced: &Trace,
    ran: &BTreeMap<At, Vec<Effect>>,
    history: &History,
    checked: &mut Checked,
) {
    let off = checked
        .outcomes
        .iter()
        .any(|(rule, outcome)| *rule == REFUSED && *outcome == MigrationOutcome::Off);
    if off {
        return;
    }
    checked.findings.retain(|finding| {
        finding.rule != REFUSED
            || !(ran.contains_key(&finding.at)
                || traced
                    .failures
                    .iter()
                    .any(|failure| failure.at == finding.at))
    });
    for failure in &traced.failures {
        let verb = statement_at(history, failure.at)
            .map_or_else(String::new, |statement| statement.verb.clone());
        let hint = failure
            .hint
            .as_ref()
            .map_or_else(String::new, |hint| format!(" ({hint})"));
        checked.findings.push(MigrationFinding {
            rule: REFUSED,
            level: Level::Critical,
            at: failure.at,
            span: failure.span,
            relation: None,
            object: None,
            message: format!("{verb} fails: {}", failure.message),
            why: format!(
                "{} refused it{hint}; {}",
                traced.engine, failure.consequence
            ),
            evidence: vec![Evidence::new(
                "SQLSTATE",
                Value::Text(failure.sqlstate.clone()),
                Origin::Sql(failure.span),
            )],
            effect: None,
            known: Known::Traced,
            assumed: None,
            remedy: None,
        });
    }
    sort(&mut checked.findings);
}

/// What was traced, for the report.
pub(super) fn reported_trace(traced: &Trace, sources: &Sources) -> CheckTrace {
    CheckTrace {
        engine: traced.engine.clone(),
        statements: traced.statements,
        refused: traced.failures.len(),
        disagreements: traced
            .disagreements
            .iter()
            .filter_map(|one| {
                let relation = &one.traced.as_ref().or(one.expected.as_ref())?.relation;
                Some(format!(
                    "{}: of {relation} the text says {}, and the server did {}",
                    sources.place(one.span),
                    locked(one.expected.as_ref()),
                    locked(one.traced.as_ref()),
                ))
            })
            .collect(),
        notes: traced.notes.clone(),
    }
}

/// A lock and the work under it, in words.
fn locked(effect: Option<&Effect>) -> String {
    let Some(effect) = effect else {
        return "nothing".to_owned();
    };
    let work = match effect.work {
        Work::None => return effect.mode.name().to_owned(),
        Work::Scan => "a scan",
        Work::IndexBuild => "an index build",
        Work::IndexRebuild => "a rebuild of indexes",
        Work::Rows => "changes of rows",
        Work::Rewrite => "a rewrite",
    };
    format!("{} and {work}", effect.mode.name())
}
