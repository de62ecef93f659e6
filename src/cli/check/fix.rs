//! `--fix` and `--diff`: what can be done safely, written or printed.

use std::path::Path;

use similar::TextDiff;

use crate::advise::check::fix::{Fixed, FixedFile, Rechecked, fix};
use crate::advise::check::suppress::{self, Configured};
use crate::advise::check::{CheckInput, CheckOptions, check};
use crate::cli::Exit;
use crate::cli::failure::{Failure, Kind};
use crate::cli::ui::Ui;
use crate::finding::migration::MigrationFinding;
use crate::input::STDIN;
use crate::migration::state::State;
use crate::report::format::plural;
use crate::rule::migration::Context;
use crate::rules::migration::ALL;

/// Lines around a change that a diff shows.
const AROUND: usize = 3;

/// Works out what can be fixed; each result is checked as the files were.
pub(super) fn make(
    context: Context<'_>,
    options: &CheckOptions,
    before: &State,
    configured: &[Configured<'_>],
    findings: &[MigrationFinding],
) -> Fixed {
    // What a server did with the old statements says nothing of new ones.
    let options = CheckOptions {
        traced: std::collections::BTreeMap::default(),
        ..options.clone()
    };
    fix(
        context.sources,
        context.history,
        findings,
        context.server,
        &|sources, history| {
            let mut checked = check(
                CheckInput {
                    context: Context {
                        history,
                        sources,
                        ..context
                    },
                    rules: ALL,
                    options: &options,
                },
                before.clone(),
            );
            Rechecked {
                findings: suppress::apply(&mut checked, history, sources, configured).kept,
                after: checked.after,
            }
        },
    )
}

/// Prints what would be written; something to change is something found.
pub(super) fn print(
    fixed: &Fixed,
    findings: &[MigrationFinding],
    ui: &Ui,
) -> Result<Exit, Failure> {
    let mut text = String::new();
    for file in &fixed.files {
        let before = file.before.as_deref().unwrap_or("");
        let old = if file.before.is_some() {
            format!("a/{}", file.path)
        } else {
            "/dev/null".to_owned()
        };
        // A blank in a name ends it for patch, unless a tab does.
        let header = |path: String| {
            if path.contains(char::is_whitespace) {
                path + "\t"
            } else {
                path
            }
        };
        text.push_str(
            &TextDiff::from_lines(before, &file.after)
                .unified_diff()
                .context_radius(AROUND)
                .header(&header(old), &header(format!("b/{}", file.path)))
                .to_string(),
        );
    }
    Ui::document(text.as_bytes(), None)?;
    say(fixed, findings, ui, "can be fixed");
    Ok(if fixed.files.is_empty() {
        Exit::Fine
    } else {
        Exit::Found
    })
}

/// Writes the files.
pub(super) fn write(fixed: &Fixed, findings: &[MigrationFinding], ui: &Ui) -> Result<(), Failure> {
    if fixed.files.iter().any(|file| file.path == STDIN) {
        return Err(
            Failure::new(Kind::Usage, "--fix cannot write standard input back")
                .hint("--diff prints what it would change"),
        );
    }
    // New files first: where one cannot be written, no statement is lost.
    let (new, old): (Vec<&FixedFile>, Vec<&FixedFile>) =
        fixed.files.iter().partition(|file| file.before.is_none());
    for file in new.into_iter().chain(old) {
        let path = Path::new(&file.path);
        if file.before.is_some() && !path.exists() {
            return Err(Failure::new(
                Kind::Input,
                format!("--fix cannot write {}: its name is not UTF-8", file.path),
            )
            .hint("rename it"));
        }
        if file.before.is_none() && path.exists() {
            return Err(Failure::new(
                Kind::Input,
                format!("--fix would write {}, which is there already", file.path),
            )
            .hint("name its folder, too, so that it is read and left alone"));
        }
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::new(
                    Kind::Input,
                    format!("cannot create {}: {error}", folder.display()),
                )
            })?;
        }
        Ui::document(file.after.as_bytes(), Some(path))?;
    }
    say(fixed, findings, ui, "fixed");
    Ok(())
}

fn say(fixed: &Fixed, findings: &[MigrationFinding], ui: &Ui, what: &str) {
    let mut lines = vec![format!(
        "{} {what}",
        plural(fixed.fixed.len(), "finding", "findings")
    )];
    for file in &fixed.files {
        lines.push(if file.before.is_some() {
            format!("{}: changed", file.path)
        } else {
            format!("{}: new", file.path)
        });
    }
    for (number, why) in &fixed.refused {
        if let Some(finding) = findings.get(*number) {
            lines.push(format!("{}: not fixed: {why}", finding.rule));
        }
    }
    lines.extend(fixed.notes.iter().cloned());
    ui.say(&lines);
}
