//! What could not be checked: silence about it is no praise.

use std::collections::BTreeMap;

use crate::advise::check::{Checked, MigrationOutcome};
use crate::migration::{Direction, Framework, History, Server, Sureness};
use crate::pg::trace::Trace;
use crate::report::check::workload::refused;
use crate::report::format::plural;
use crate::report::model::check::CheckSkipped;
use crate::report::model::check_workload::CheckWorkload;
use crate::source::{Sources, Span};
use crate::sql::ddl::{Action, AlterKind, Statement};

/// Everything that could not be checked, what concerns the whole run first.
pub(super) fn skipped(
    history: &History,
    server: &Server,
    checked: &Checked,
    workload: Option<&CheckWorkload>,
) -> Vec<CheckSkipped> {
    let mut found = Vec::new();
    if server.assumed {
        found.push(CheckSkipped {
            what: "the server's version".to_owned(),
            why: server.known_by.clone(),
            remedy: Some(
                "--pg-version MAJOR, or pg-version in [check] of pgadvise.toml".to_owned(),
            ),
        });
    }
    let new = || history.files.iter().filter(|file| file.new);
    let assumed = new()
        .filter(|file| file.framework == Framework::Plain)
        .filter(|file| {
            file.parts
                .iter()
                .any(|part| part.sureness == Sureness::Assumed)
        })
        .count();
    if assumed > 0 {
        found.push(CheckSkipped {
            what: format!("the transactions of {}", plural(assumed, "file", "files")),
            why: "nothing says which tool runs them".to_owned(),
            remedy: Some("--framework NAME, or framework in [check] of pgadvise.toml".to_owned()),
        });
    }
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (rule, outcome) in &checked.outcomes {
        if let MigrationOutcome::Skipped { missing: lacks } = outcome {
            missing.entry(lacks.join(" and ")).or_default().push(rule);
        }
    }
    for (lacks, rules) in missing {
        found.push(CheckSkipped {
            what: format!(
                "{} ({})",
                plural(rules.len(), "rule", "rules"),
                rules.join(", ")
            ),
            why: format!("without {lacks}"),
            remedy: None,
        });
    }
    if let Some(workload) = workload {
        of_queries(history, workload, &mut found);
    }
    let mut templated = 0;
    let mut in_files = 0;
    for file in new() {
        let here = file
            .parts
            .iter()
            .flat_map(|part| &part.statements)
            .filter(|statement| statement.templated)
            .count();
        templated += here;
        in_files += usize::from(here > 0);
    }
    if templated > 0 {
        found.push(CheckSkipped {
            what: format!(
                "what templates put into {} of {}",
                plural(templated, "statement", "statements"),
                plural(in_files, "file", "files")
            ),
            why: "it is not known before they are filled in".to_owned(),
            remedy: Some(
                "check the files that are run, or print them with the tool that fills them in"
                    .to_owned(),
            ),
        });
    }
    found.extend(history.skipped.iter().map(|(what, why)| CheckSkipped {
        what: what.clone(),
        why: why.clone(),
        remedy: None,
    }));
    found
}

/// The statements that the change applies.
fn applied(history: &History) -> impl Iterator<Item = &Statement> {
    history
        .files
        .iter()
        .filter(|file| file.new)
        .flat_map(|file| &file.parts)
        .filter(|part| part.direction == Direction::Up)
        .flat_map(|part| &part.statements)
}

/// What comparing plans cannot tell here.
fn of_queries(history: &History, workload: &CheckWorkload, found: &mut Vec<CheckSkipped>) {
    let rights = applied(history)
        .filter(|statement| {
            let first = statement.verb.split_whitespace().next().unwrap_or_default();
            first.eq_ignore_ascii_case("grant") || first.eq_ignore_ascii_case("revoke")
        })
        .count();
    if rights > 0 {
        found.push(CheckSkipped {
            what: format!(
                "what {} to the queries",
                plural(rights, "GRANT or REVOKE does", "GRANT and REVOKE do")
            ),
            why: "queries are planned by the owner of everything, who lacks no right".to_owned(),
            remedy: None,
        });
    }
    let policies = applied(history)
        .filter(|statement| {
            statement.verb.ends_with(" POLICY")
                || matches!(&statement.action, Action::Alter(alter) if alter.commands.iter().any(
                    |command| matches!(
                        command.kind,
                        AlterKind::EnableRowSecurity | AlterKind::DisableRowSecurity
                    )
                ))
        })
        .count();
    if policies > 0 {
        found.push(CheckSkipped {
            what: format!(
                "what {} about row-level security to the queries",
                plural(policies, "statement does", "statements do")
            ),
            why: "queries are planned by the owner of everything, whom no policy concerns"
                .to_owned(),
            remedy: None,
        });
    }
    let refused: Vec<String> = refused(workload)
        .map(|statement| {
            let place = statement.place.as_ref().map_or_else(String::new, |place| {
                format!(" at {}:{}", place.file, place.line)
            });
            format!("{}{place} ({})", statement.statement, statement.message)
        })
        .collect();
    if !refused.is_empty() {
        found.push(CheckSkipped {
            what: format!(
                "{} of the change, when plans were compared: {}",
                plural(refused.len(), "statement", "statements"),
                refused.join(", ")
            ),
            why: "the throw-away server refused it".to_owned(),
            remedy: Some("--trace shows whether the change itself fails there".to_owned()),
        });
    }
    if workload.totals.not_planned > 0 {
        found.push(CheckSkipped {
            what: format!(
                "{} of the workload",
                plural(workload.totals.not_planned, "query", "queries")
            ),
            why: "the server refuses to plan what is listed there, before the change and after it"
                .to_owned(),
            remedy: None,
        });
    }
}

/// Statements that were not run under `--trace`, by the reason.
pub(super) fn add_untraced(
    traced: Option<&Trace>,
    sources: &Sources,
    skipped: &mut Vec<CheckSkipped>,
) {
    let mut reasons: BTreeMap<&str, (usize, Span)> = BTreeMap::new();
    for (span, why) in traced.iter().flat_map(|traced| &traced.skipped) {
        reasons.entry(why).or_insert((0, *span)).0 += 1;
    }
    for (why, (count, first)) in reasons {
        let place = sources.place(first);
        skipped.push(CheckSkipped {
            what: if count == 1 {
                format!("what the server does at {place}")
            } else {
                format!("what the server does at {count} places, first {place}")
            },
            why: why.to_owned(),
            remedy: None,
        });
    }
}
