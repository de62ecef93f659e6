//! Applies what rules offer as edits, and keeps what is clean when the history
//! is checked again.
//!
//! A statement that must run outside a transaction gets its framework's word
//! for it; where other statements of the file need the transaction, it moves
//! into a migration of its own.

mod naming;
mod plan;

use std::collections::BTreeMap;

use crate::finding::migration::MigrationFinding;
use crate::migration::assemble::{Given, assemble};
use crate::migration::locks::refuses_transaction;
use crate::migration::{History, Server, Wrapping};
use crate::source::{SourceId, Sources, Text};
use crate::sql::ddl::{Action, Transaction};
use plan::{Plan, plan};

/// Fixes that are tried one by one when they do not go together.
const MOST_TRIED: usize = 100;

/// A file as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedFile {
    /// Its path as shown.
    pub path: String,
    /// What is in it; `None` when it is new.
    pub before: Option<String>,
    /// What should be in it.
    pub after: String,
}

/// What came of fixing.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    /// Files to write, in the order of their paths.
    pub files: Vec<FixedFile>,
    /// The findings that are gone, as numbers of those given.
    pub fixed: Vec<usize>,
    /// Findings with a fix that was not applied, and why.
    pub refused: Vec<(usize, String)>,
    /// What else to do, as sentences.
    pub notes: Vec<String>,
}

/// Fixes what can be fixed. `again` checks a history as the first one was.
pub fn fix(
    sources: &Sources,
    history: &History,
    findings: &[MigrationFinding],
    server: &Server,
    again: &dyn Fn(&Sources, &History) -> Vec<MigrationFinding>,
) -> Fixed {
    let wanted: Vec<usize> = findings
        .iter()
        .enumerate()
        .filter(|(_, finding)| {
            finding
                .remedy
                .as_ref()
                .is_some_and(|remedy| remedy.fix.is_some())
        })
        .map(|(number, _)| number)
        .collect();
    let try_those = |chosen: &[usize]| {
        let made = plan(sources, history, findings, chosen);
        let clean =
            !made.applied.is_empty() && is_clean(&made, sources, history, findings, server, again);
        (made, clean)
    };
    let (all, clean) = try_those(&wanted);
    if clean || all.applied.is_empty() {
        return done(all);
    }
    // Together they do not come out clean: take each that does.
    let mut kept: Vec<usize> = Vec::new();
    let mut refused = all.refused;
    let mut best: Option<Plan> = None;
    let mut order = all.applied;
    // What takes the work out of the lock goes before what only limits the
    // wait for it.
    order.sort_by_key(|number| {
        findings
            .get(*number)
            .and_then(|finding| finding.remedy.as_ref()?.fix.as_ref())
            .is_none_or(|fix| !fix.outside_transaction && fix.follow_up.is_empty())
    });
    for (tried, number) in order.into_iter().enumerate() {
        if tried >= MOST_TRIED {
            refused.push((number, "too many fixes were tried in this run".to_owned()));
            continue;
        }
        let mut chosen = kept.clone();
        chosen.push(number);
        let (made, clean) = try_those(&chosen);
        if clean && made.applied.len() == chosen.len() {
            kept = chosen;
            best = Some(made);
        } else {
            refused.push((
                number,
                "the file was checked again with the fix, and was not clean".to_owned(),
            ));
        }
    }
    let mut fixed = best.map(done).unwrap_or_default();
    fixed.refused = refused;
    fixed.refused.sort();
    fixed
}

fn done(plan: Plan) -> Fixed {
    Fixed {
        files: plan
            .files
            .into_iter()
            .map(|(path, (before, after))| FixedFile {
                path,
                before,
                after,
            })
            .collect(),
        fixed: plan.applied,
        refused: plan.refused,
        notes: plan.notes,
    }
}

/// What makes a finding the same in another text.
type Key<'a> = (&'a str, Option<String>, Option<&'a str>);

fn counts<'a>(findings: impl Iterator<Item = &'a MigrationFinding>) -> BTreeMap<Key<'a>, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        let key = (
            finding.rule,
            finding.relation.as_ref().map(ToString::to_string),
            finding.object.as_deref(),
        );
        *counts.entry(key).or_default() += 1;
    }
    counts
}

/// Whether the fixed findings are gone, and nothing came instead.
fn is_clean(
    made: &Plan,
    sources: &Sources,
    history: &History,
    findings: &[MigrationFinding],
    server: &Server,
    again: &dyn Fn(&Sources, &History) -> Vec<MigrationFinding>,
) -> bool {
    let (sources, after) = remade(made, sources, history);
    if !runs(made, &after, server) {
        return false;
    }
    let found = again(&sources, &after);
    let mut allowed = counts(findings.iter());
    for number in &made.applied {
        if let Some(finding) = findings.get(*number) {
            for (key, _) in counts(std::iter::once(finding)) {
                if let Some(count) = allowed.get_mut(&key) {
                    *count = count.saturating_sub(1);
                }
            }
        }
    }
    counts(found.iter())
        .iter()
        .all(|(key, count)| allowed.get(key).is_some_and(|allowed| count <= allowed))
}

/// The history with the texts of the plan.
fn remade(made: &Plan, sources: &Sources, history: &History) -> (Sources, History) {
    let mut texts = Sources::default();
    let mut given: Vec<Given> = Vec::new();
    let mut new: Vec<SourceId> = Vec::new();
    let was_new = |source: SourceId| {
        history
            .options
            .new
            .as_ref()
            .is_none_or(|new| new.contains(&source))
    };
    let beside = |path: &str| {
        [naming::diesel_settings(path), format!("{path}.conf")]
            .iter()
            .find_map(|settings| made.files.get(settings))
            .map(|(_, after)| after.clone())
    };
    for file in &history.given {
        let before = sources.get(file.source).map_or("", Text::text);
        let text = made
            .files
            .get(&file.path)
            .map_or(before, |(_, after)| after.as_str());
        let source = texts.add(Text::new(&file.path, text));
        if was_new(file.source) {
            new.push(source);
        }
        given.push(Given {
            source,
            path: file.path.clone(),
            beside: beside(&file.path).or_else(|| file.beside.clone()),
            edited: file.edited,
        });
    }
    for (path, (before, after)) in &made.files {
        if before.is_none() && naming::is_sql(path) {
            let source = texts.add(Text::new(path, after.as_str()));
            new.push(source);
            given.push(Given {
                source,
                path: path.clone(),
                beside: beside(path),
                edited: false,
            });
        }
    }
    let mut options = history.options.clone();
    if options.new.is_some() {
        options.new = Some(new);
    }
    let after = assemble(&texts, &given, &options);
    (texts, after)
}

/// Whether every statement of the files that changed can run where it stands.
fn runs(made: &Plan, after: &History, server: &Server) -> bool {
    after
        .files
        .iter()
        .filter(|file| made.files.contains_key(&file.path))
        .all(|file| {
            file.parts.iter().all(|part| {
                let wrapped = match part.wrapping {
                    Wrapping::PerFile | Wrapping::PerRun => true,
                    Wrapping::OneMessage => part.statements.len() > 1,
                    Wrapping::None => false,
                };
                let mut open = wrapped;
                part.statements.iter().all(|statement| {
                    match &statement.action {
                        Action::Transaction(Transaction::Begin) => open = true,
                        Action::Transaction(Transaction::Commit | Transaction::Rollback) => {
                            open = wrapped && part.wrapping == Wrapping::OneMessage;
                        }
                        _ => {}
                    }
                    let refused = open && refuses_transaction(statement, server).is_some();
                    !refused && !matches!(statement.action, Action::Unreadable)
                })
            })
        })
}
