//! `pgadvise diff`: two plans of one query, or two files of plans, compared.

use std::collections::{HashMap, VecDeque};
use std::path::Path;

use super::Exit;
use super::args::{DiffArgs, DiffFormat, DiffMeasure};
use super::failure::{Failure, Kind};
use super::inputs;
use super::redact;
use super::ui::{Ui, Written};
use crate::advise::explain::GivenPlan;
use crate::plan::diff::{self, DiffOptions, Measure};
use crate::plan::read;
use crate::redact::{Redaction, What};
use crate::report::diff as answers;
use crate::report::model::diff::{ComparedPlan, DiffReport, DiffSide};
use crate::report::model::{Problem, Severity};
use crate::sql::fingerprint;

/// Percent within which plans count as alike unless the user says otherwise.
const TOLERANCE_PERCENT: f64 = 20.0;

/// A plan of one of the files.
#[derive(Debug)]
struct Plan {
    given: GivenPlan,
    from: ComparedPlan,
}

impl Plan {
    fn sql(&self) -> Option<&str> {
        self.given
            .plan
            .run
            .query_text
            .as_deref()
            .or(self.given.sql.as_deref())
    }

    fn shown(&self) -> answers::Given<'_> {
        answers::Given {
            plan: &self.given.plan,
            from: &self.from,
            sql: self.sql(),
        }
    }
}

/// Runs the command.
pub(super) fn run(args: &DiffArgs, ui: &Ui) -> Result<Exit, Failure> {
    let format = args
        .format
        .unwrap_or_else(|| by_name(args.output.as_deref()));
    let tolerance = args.tolerance.unwrap_or(TOLERANCE_PERCENT) / 100.0;
    let report = match report(args, tolerance, ui) {
        Ok(report) => report,
        Err(failure) if format == DiffFormat::Json => {
            ui.failure(&failure);
            answers::report(tolerance, Vec::new(), Vec::new(), vec![failure.problem()])
        }
        Err(failure) => return Err(failure),
    };
    for problem in &report.problems {
        ui.problem(problem);
    }
    let mut bytes = Vec::new();
    let mut options = ui.options();
    if args.output.is_some() {
        options.color = false;
    }
    answers::render(&report, format.name(), &mut bytes, &options)
        .map_err(|error| Failure::new(Kind::Internal, error))?;
    if Ui::document(&bytes, args.output.as_deref())? == Written::ReaderLeft {
        return Ok(Exit::Fine);
    }
    let undone = report.totals.not_comparable > 0
        || report.totals.unpaired > 0
        || report
            .problems
            .iter()
            .any(|problem| problem.severity == Severity::Error);
    Ok(if report.totals.worse > 0 {
        Exit::Found
    } else if undone {
        Exit::Failed
    } else {
        Exit::Fine
    })
}

/// The form that the output's name asks for.
fn by_name(output: Option<&Path>) -> DiffFormat {
    let extension = output
        .and_then(Path::extension)
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => DiffFormat::Html,
        "md" | "markdown" => DiffFormat::Markdown,
        "json" => DiffFormat::Json,
        _ => DiffFormat::Text,
    }
}

fn report(args: &DiffArgs, tolerance: f64, ui: &Ui) -> Result<DiffReport, Failure> {
    if args.before.as_os_str() == "-" && args.after.as_os_str() == "-" {
        return Err(
            Failure::new(Kind::Usage, "standard input (-) is named more than once")
                .hint("write one of the plans to a file"),
        );
    }
    let _progress = ui.progress("comparing");
    let mut problems = Vec::new();
    let mut before = plans(&args.before, &mut problems)?;
    let mut after = plans(&args.after, &mut problems)?;
    let redaction = match args.redact {
        Some(what) => Some(hide(what.into(), &mut before, &mut after)?),
        None => None,
    };
    let options = DiffOptions {
        tolerance,
        measure: args.measure.map(|measure| match measure {
            DiffMeasure::Time => Measure::Time,
            DiffMeasure::Buffers => Measure::Buffers,
            DiffMeasure::Cost => Measure::Cost,
        }),
        every_key: true,
    };
    let (pairs, alone) = pair(&before, &after);
    let mut comparisons = Vec::new();
    for (was, is, paired_by) in pairs {
        let (Some(was), Some(is)) = (before.get_mut(was), after.get_mut(is)) else {
            continue;
        };
        let sql_changed = was
            .sql()
            .zip(is.sql())
            .map(|(was, is)| !answers::same_words(was, is));
        let options = DiffOptions {
            every_key: [&was.from, &is.from]
                .iter()
                .all(|plan| plan.format != read::Format::Text.name()),
            ..options
        };
        let found = diff::diff(&was.given.plan, &is.given.plan, sql_changed, &options);
        comparisons.push(answers::comparison(&answers::Compared {
            before: was.shown(),
            after: is.shown(),
            paired_by,
            diff: &found,
            tolerance,
        }));
    }
    let unpaired = alone
        .into_iter()
        .filter_map(|(side, at)| {
            let plans = match side {
                DiffSide::Before => &before,
                DiffSide::After => &after,
            };
            plans
                .get(at)
                .map(|plan| answers::unpaired(side, plan.shown()))
        })
        .collect();
    let report = answers::report(tolerance, comparisons, unpaired, problems);
    if let Some(redaction) = redaction {
        let shown =
            serde_json::to_value(&report).map_err(|error| Failure::new(Kind::Internal, error))?;
        redact::refuse_leaks(&redaction, &shown, redact::is_prose)?;
    }
    Ok(report)
}

/// Puts stand-ins in the place of names and constants, the same on both sides.
fn hide(what: What, before: &mut [Plan], after: &mut [Plan]) -> Result<Redaction, Failure> {
    let mut redaction = {
        let all = || before.iter().chain(after.iter());
        let documents: Vec<_> = all().map(|plan| &plan.given.plan.document).collect();
        let statements: Vec<_> = all().filter_map(|plan| plan.given.sql.as_deref()).collect();
        Redaction::new(what, &documents, &statements)
    };
    for (side, plans) in [before, after].into_iter().enumerate() {
        for plan in plans {
            let name = redaction.file(&plan.from.file, side + 1);
            redact::plans(&mut redaction, std::iter::once(&mut plan.given), &name)?;
            plan.from.incomplete.clone_from(&plan.given.incomplete);
            plan.from.file = name;
        }
    }
    Ok(redaction)
}

fn plans(path: &Path, problems: &mut Vec<Problem>) -> Result<Vec<Plan>, Failure> {
    let (name, formats, plans) = inputs::plans_to_compare(path, problems)?;
    Ok(plans
        .into_iter()
        .zip(formats)
        .enumerate()
        .map(|(at, (given, format))| Plan {
            from: ComparedPlan {
                file: name.clone(),
                number: at + 1,
                format: format.name().to_owned(),
                incomplete: given.incomplete.clone(),
            },
            given,
        })
        .collect())
}

type Pairs = Vec<(usize, usize, &'static str)>;
type Alone = Vec<(DiffSide, usize)>;

/// What a plan is known by; plans with the same are of the same query.
type Key = fn(&Plan) -> Option<String>;

/// By what plans are put together, the surest first.
const KEYS: &[(&str, Key)] = &[
    ("query text", |plan| {
        let words: Vec<&str> = plan
            .sql()?
            .trim_end()
            .trim_end_matches(';')
            .split_whitespace()
            .collect();
        Some(words.join(" "))
    }),
    ("query identifier", |plan| {
        plan.given.plan.run.query_id.clone()
    }),
    ("query text without constants", |plan| {
        let mut text = Vec::new();
        fingerprint::normalize(plan.sql()?.as_bytes(), &mut text, |_| false);
        (!text.is_empty()).then(|| String::from_utf8_lossy(&text).into_owned())
    }),
];

/// Which plan is compared with which, in the order of those before; and those
/// that are left.
fn pair(before: &[Plan], after: &[Plan]) -> (Pairs, Alone) {
    if before.len() == 1 && after.len() == 1 {
        return (vec![(0, 0, "only plans")], Vec::new());
    }
    let mut pairs: Pairs = Vec::new();
    let mut free_before: Vec<usize> = (0..before.len()).collect();
    let mut free_after: Vec<usize> = (0..after.len()).collect();
    for (name, key) in KEYS {
        let mut waiting: HashMap<String, VecDeque<usize>> = HashMap::new();
        for at in &free_after {
            if let Some(key) = after.get(*at).and_then(key) {
                waiting.entry(key).or_default().push_back(*at);
            }
        }
        free_before.retain(|at| {
            let found = before
                .get(*at)
                .and_then(key)
                .and_then(|key| waiting.get_mut(&key)?.pop_front());
            match found {
                Some(other) => {
                    free_after.retain(|at| *at != other);
                    pairs.push((*at, other, name));
                    false
                }
                None => true,
            }
        });
    }
    // Statements that are known and differ are other statements, unless as
    // many are left on both sides: then they were written otherwise.
    let nameless = |plans: &[Plan], free: &[usize]| {
        free.iter()
            .all(|at| plans.get(*at).is_some_and(|plan| plan.sql().is_none()))
    };
    if free_before.len() == free_after.len()
        || nameless(before, &free_before)
        || nameless(after, &free_after)
    {
        let count = free_before.len().min(free_after.len());
        pairs.extend(
            free_before
                .drain(..count)
                .zip(free_after.drain(..count))
                .map(|(was, is)| (was, is, "position")),
        );
    }
    pairs.sort_unstable();
    let alone = free_before
        .into_iter()
        .map(|at| (DiffSide::Before, at))
        .chain(free_after.into_iter().map(|at| (DiffSide::After, at)))
        .collect();
    (pairs, alone)
}
