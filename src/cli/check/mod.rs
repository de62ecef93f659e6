//! `pgadvise check`: migrations judged before they are run.

mod files;
mod fix;
mod gather;
mod places;
mod settings;
mod skipped;
mod write;

use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};

use super::Exit;
use super::args::{CheckArgs, Global};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::ui::{Ui, Written};
use crate::advise::check::levels::{self, Override};
use crate::advise::check::suppress::{self, Configured};
use crate::advise::check::{
    CheckInput, CheckOptions, Checked, MigrationOutcome, baseline, check, check_files, duration,
    fingerprints, given, turns,
};
use crate::finding::migration::MigrationFinding;
use crate::input;
use crate::migration::assemble::Outline;
use crate::migration::state::State;
use crate::migration::{File, History, Server};
use crate::report::build as problems;
use crate::report::check::baseline as baseline_file;
use crate::report::check::build::Ingredients;
use crate::report::model::check::BaselineEntry;
use crate::report::model::rooted::Rooted;
use crate::report::model::{Problem, Severity};
use crate::rule::migration::Context;
use crate::rules::migration::ALL;
use crate::source::Sources;
use files::Read;
use gather::{Queries, Taken};
use settings::Settings;

/// Runs the command.
pub(super) fn run(
    args: &CheckArgs,
    global: &Global,
    environment: &Environment,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    let settings = Settings::new(args, global, environment)?;
    ui.prefer_color(settings.color);
    if let Some(most) = args.max_bytes {
        ui.limit(usize::try_from(most).unwrap_or(usize::MAX));
    }
    let progress = ui.progress("reading migrations");
    let Read {
        mut sources,
        mut outline,
        unread,
        one_change,
        mut problems,
    } = files::read(args, &settings)?;
    let taken = Taken::read(settings.snapshot.as_ref())?;
    let server = settings.server(taken.as_ref().map(Taken::version));
    let queries = Queries::read(&settings, &mut sources, &mut problems);
    let sources = sources;
    progress.say("checking migrations");

    let mut options = settings.options.clone();
    let in_turns = !unread.is_empty()
        && taken.is_none()
        && queries.is_none()
        && !(args.trace || args.fix || args.diff);
    let judged = if in_turns {
        Some(judge_in_turns(
            &mut outline,
            &sources,
            &server,
            one_change,
            &options,
        ))
    } else {
        outline.read(&sources, unread);
        None
    };
    let history = outline.history;
    let state = match &taken {
        Some(taken) => {
            let mut state = given::state(&taken.snapshot, &history);
            state.take_sizes(&taken.sizes);
            state
        }
        None => State::empty(),
    };
    let on = if queries.is_some() || args.trace {
        Some(gather::servers(
            taken.as_ref(),
            &server,
            &settings,
            environment,
        )?)
    } else {
        None
    };
    let context = Context {
        history: &history,
        sources: &sources,
        server: &server,
        one_change,
        sized: taken.is_some(),
        workload: queries
            .as_ref()
            .map(|queries| queries.statements.as_slice()),
    };
    let before = (args.fix || args.diff).then(|| state.clone());
    let mut traced = None;
    if args.trace
        && let Some(on) = &on
    {
        traced = gather::trace(&context, &state, on, &mut problems, &progress);
        if let Some(traced) = &mut traced {
            options.traced = std::mem::take(&mut traced.effects);
        }
        progress.say("checking migrations");
    }
    let mut checked = judged.unwrap_or_else(|| {
        check(
            CheckInput {
                context,
                rules: ALL,
                options: &options,
            },
            state,
        )
    });
    if let Some(traced) = &traced {
        gather::add_refused(traced, &options.traced, &history, &mut checked);
    }
    let workload = match (&queries, &on) {
        (Some(queries), Some(on)) => gather::compare(
            queries,
            &history,
            &sources,
            on,
            &mut checked,
            &mut problems,
            &progress,
        ),
        _ => None,
    };
    settings.set_levels(&mut checked.findings);
    crashed(&checked, &mut problems);
    let mut skipped = skipped::skipped(&history, &server, &checked, workload.as_ref());
    skipped::add_untraced(traced.as_ref(), &sources, &mut skipped);

    let configured: Vec<Configured<'_>> = settings
        .config
        .suppressions
        .iter()
        .map(|entry| Configured {
            rule: &entry.rule,
            concerns: Box::new(|path| {
                settings
                    .places
                    .concerns(path, |path| entry.concerns_file(path))
            }),
            relation: entry.relation.as_deref(),
            reason: entry.reason.as_deref(),
        })
        .collect();
    let mut remaining = suppress::apply(&mut checked, &history, &sources, &configured);
    if let Some(before) = before {
        let fixed = fix::make(
            context,
            &settings.options,
            &before,
            &configured,
            &remaining.kept,
        );
        if args.diff {
            drop(progress);
            return fix::print(&fixed, &remaining.kept, ui);
        }
        fix::write(&fixed, &remaining.kept, ui)?;
        drop(progress);
        // What is left is found in the files as they are now.
        let rest = CheckArgs {
            fix: false,
            ..args.clone()
        };
        return run(&rest, global, environment, ui);
    }
    let overrides: Vec<Override<'_>> = settings
        .config
        .paths
        .iter()
        .map(|entry| Override {
            concerns: Box::new(|path| {
                settings
                    .places
                    .concerns(path, |path| entry.concerns_file(path))
            }),
            rules: &entry.rules,
        })
        .collect();
    levels::apply(&mut remaining.kept, &history, &overrides);
    if let Some(taken) = &taken {
        duration::add(
            &mut remaining.kept,
            &duration::sizes(&taken.sizes),
            &settings.rates,
        );
    }
    if !one_change {
        problems.extend(unused(&configured, &remaining.used, &checked, &history));
    }
    problems.extend(other_problems(&history, &remaining.kept, &sources));

    // Silenced findings have fingerprints, too: code scanning follows them.
    let prints = fingerprints(&remaining.kept, &history, &sources);
    let quiet: Vec<MigrationFinding> = remaining
        .silenced
        .iter()
        .map(|silenced| silenced.finding.clone())
        .collect();
    let quiet_prints = fingerprints(&quiet, &history, &sources);
    drop(quiet);

    let entries = match settings
        .baseline
        .as_deref()
        .filter(|_| !args.write_baseline)
    {
        Some(path) => match read_baseline(path) {
            Ok(entries) => Some(entries),
            Err(failure) => {
                problems.push(failure.problem());
                None
            }
        },
        None => None,
    };
    let known: Vec<&str> = entries
        .iter()
        .flatten()
        .map(|entry| entry.fingerprint.as_str())
        .collect();
    let mut all_prints = prints.clone();
    all_prints.extend(quiet_prints.iter().cloned());
    let compared = baseline::compare(&all_prints, &known);
    // Where only some files were judged, the others' entries may be of use.
    let stale: Vec<BaselineEntry> = entries
        .iter()
        .flatten()
        .zip(&compared.stale)
        .filter(|(_, stale)| **stale && !one_change)
        .map(|(entry, _)| entry.clone())
        .collect();
    // The program ends behind this: what thousands of files left is given back
    // as a whole, not name by name.
    let history = ManuallyDrop::new(history);
    let checked = ManuallyDrop::new(checked);
    let findings = ManuallyDrop::new(remaining.kept);
    let silenced: Vec<_> = remaining.silenced.into_iter().zip(quiet_prints).collect();
    let rules: Vec<_> = ALL
        .iter()
        .zip(&checked.outcomes)
        .map(|(rule, (_, outcome))| (rule.meta(), outcome.clone()))
        .collect();
    let baseline_name = settings
        .baseline
        .as_ref()
        .map(|path| path.display().to_string());
    for problem in &problems {
        ui.problem(problem);
    }
    let ingredients = Ingredients {
        history: &history,
        sources: &sources,
        server: &server,
        findings: &findings,
        prints: &prints,
        known: &compared.known,
        silenced: &silenced,
        baseline: baseline_name
            .as_deref()
            .filter(|_| entries.is_some())
            .map(|name| (name, stale)),
        rules: &rules,
        workload,
        trace: traced
            .as_ref()
            .map(|traced| gather::reported_trace(traced, &sources)),
        skipped,
        problems,
        fail_on: settings.least(),
        pages: settings.config.check.rules_url.as_deref(),
        statements: checked.statements,
        replayed: checked.replayed,
    };
    let mut report = ManuallyDrop::new(crate::report::check::build(&ingredients));
    report.rooted = rooted(&args.paths, environment);
    drop(progress);

    if args.write_baseline
        && let Some(path) = &settings.baseline
    {
        let text = baseline_file::write(&report);
        Ui::document(text.as_bytes(), Some(path))?;
        ui.say(&[format!(
            "{}: {} written",
            path.display(),
            crate::report::format::plural(report.totals.findings, "finding", "findings")
        )]);
        return Ok(if report.incomplete() {
            Exit::Failed
        } else {
            Exit::Fine
        });
    }
    if write::write(&report, args, &settings, environment, ui)? == Written::ReaderLeft {
        return Ok(Exit::Fine);
    }
    Ok(if report.incomplete() {
        Exit::Failed
    } else if report.worst().is_some_and(|worst| report.fails(worst)) {
        Exit::Found
    } else {
        Exit::Fine
    })
}

/// Judges files whose statements were not read yet, some databases at a time:
/// what is read of them takes many times what is kept for the report.
fn judge_in_turns(
    outline: &mut Outline,
    sources: &Sources,
    server: &Server,
    one_change: bool,
    options: &CheckOptions,
) -> Checked {
    let mut checked = Checked::default();
    let bytes = |file: &File| {
        let text = sources.get(file.source);
        text.map_or(0, |text| text.text().len())
    };
    for turn in turns(&outline.history.files, bytes) {
        outline.read(sources, turn.clone());
        let context = Context {
            history: &outline.history,
            sources,
            server,
            one_change,
            sized: false,
            workload: None,
        };
        let input = CheckInput {
            context,
            rules: ALL,
            options,
        };
        checked.add(check_files(input, State::empty(), turn.clone()));
        outline.history.forget(turn);
    }
    checked
}

/// Entries of `[[suppress]]` that silence nothing, although their rule looked
/// at all files.
fn unused(
    configured: &[Configured<'_>],
    used: &[bool],
    checked: &Checked,
    history: &History,
) -> Vec<Problem> {
    let ran = |rule: &str| {
        checked
            .outcomes
            .iter()
            .any(|(id, outcome)| *id == rule && matches!(outcome, MigrationOutcome::Ran { .. }))
    };
    configured
        .iter()
        .zip(used)
        .filter(|(entry, used)| !**used && ran(entry.rule))
        .map(|(entry, _)| {
            let of = entry
                .relation
                .map_or_else(String::new, |relation| format!(" on {relation}"));
            let any = history
                .files
                .iter()
                .any(|file| file.new && (entry.concerns)(&file.path));
            let what = if any {
                "silences nothing"
            } else {
                "is for no file that was checked"
            };
            let failure = Failure::new(
                Kind::Usage,
                format!("[[suppress]] of {}{of} {what}", entry.rule),
            );
            Problem {
                severity: Severity::Warning,
                ..failure
                    .hint("remove it from pgadvise.toml, or correct its file or relation")
                    .problem()
            }
        })
        .collect()
}

/// Rules that crashed are bugs, and told as such.
fn crashed(checked: &Checked, problems: &mut Vec<Problem>) {
    for (rule, outcome) in &checked.outcomes {
        if let MigrationOutcome::Crashed { message } = outcome {
            problems.push(
                Failure::new(Kind::Internal, format!("the rule {rule} failed: {message}"))
                    .hint("this is a bug of pgadvise; --disable leaves the rule out")
                    .problem(),
            );
        }
    }
}

/// Trouble with files, names and order: what is no finding already. A file
/// that could not be read is work that was not done.
fn other_problems(
    history: &History,
    findings: &[MigrationFinding],
    sources: &Sources,
) -> Vec<Problem> {
    let told: HashSet<_> = findings
        .iter()
        .filter(|finding| finding.rule == "statement-not-read")
        .map(|finding| (finding.span.source, finding.span.start))
        .collect();
    let old: HashSet<_> = history
        .files
        .iter()
        .filter(|file| !file.new)
        .map(|file| file.source)
        .collect();
    history
        .problems
        .iter()
        .filter(|problem| {
            problem.at.is_none_or(|at| {
                !told.contains(&(at.source, at.start)) && !old.contains(&at.source)
            })
        })
        .map(|problem| (problem, Severity::Warning))
        .chain(
            history
                .failures
                .iter()
                .map(|problem| (problem, Severity::Error)),
        )
        .map(|(problem, severity)| problems::problem(problem, severity, sources))
        .collect()
}

fn read_baseline(path: &Path) -> Result<Vec<BaselineEntry>, Failure> {
    let text = input::read(path)?;
    baseline_file::read(&text).map_err(|error| {
        Failure::new(Kind::Input, error).hint(format!(
            "write it anew: pgadvise check … --baseline {} --write-baseline",
            path.display()
        ))
    })
}

/// Where the repository begins that this is run in, or that the first path
/// stands in.
fn rooted(paths: &[PathBuf], environment: &Environment) -> Rooted {
    let Some(here) = environment.folder.as_deref() else {
        return Rooted::default();
    };
    let top = std::iter::once(here)
        .chain(
            paths
                .iter()
                .map(PathBuf::as_path)
                .filter(|path| path.is_absolute()),
        )
        .find_map(|place| {
            place
                .ancestors()
                .find(|folder| folder.join(".git").exists())
        });
    Rooted::new(
        &here.to_string_lossy(),
        top.map(Path::to_string_lossy).as_deref(),
    )
}
