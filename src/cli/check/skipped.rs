//! What could not be checked: silence about it is no praise.

use std::collections::BTreeMap;

use crate::advise::check::{Checked, MigrationOutcome};
use crate::migration::{Framework, History, Server, Sureness};
use crate::pg::trace::Trace;
use crate::report::format::plural;
use crate::report::model::check::CheckSkipped;
use crate::source::{Sources, Span};

/// Everything that could not be checked, what concerns the whole run first.
pub(super) fn skipped(history: &History, server: &Server, checked: &Checked) -> Vec<CheckSkipped> {
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
