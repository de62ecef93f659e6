//! Silencing findings in migrations: by comments of the files, and by the
//! configuration.
//!
//! What comments name wrongly is for the rules `suppression-misspelt` and
//! `suppression-without-reason`; here it silences nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{Checked, MigrationOutcome};
use crate::finding::migration::{MigrationFinding, Remedy};
use crate::finding::{Evidence, Level, Origin, Value};
use crate::migration::locks::Known;
use crate::migration::{At, History};
use crate::rules::migration::support::directives::{Asks, directives};
use crate::source::{Sources, Span};
use crate::sql::Suppression;
use crate::sql::ddl::{Action, Statement};

/// The rule that this module reports.
pub const UNUSED: &str = "suppression-unused";

/// A suppression of the configuration, told for which files it is.
pub struct Configured<'a> {
    /// The rule.
    pub rule: &'a str,
    /// Whether it is for the file of that path.
    pub concerns: Box<dyn Fn(&str) -> bool + 'a>,
    /// Only findings about that table: `orders` or `public.orders`.
    pub relation: Option<&'a str>,
    /// Why.
    pub reason: Option<&'a str>,
}

impl std::fmt::Debug for Configured<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configured")
            .field("rule", &self.rule)
            .field("relation", &self.relation)
            .finish_non_exhaustive()
    }
}

/// What silenced a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A comment in the file.
    Comment,
    /// `pgadvise.toml`.
    Configuration,
}

/// A finding that is silenced.
#[derive(Debug, Clone)]
pub struct Silenced {
    /// What was found.
    pub finding: MigrationFinding,
    /// By what.
    pub by: By,
    /// Why.
    pub reason: Option<String>,
}

/// What suppressions left.
#[derive(Debug, Clone, Default)]
pub struct Remaining {
    /// Findings that count, in their order.
    pub kept: Vec<MigrationFinding>,
    /// Findings that do not.
    pub silenced: Vec<Silenced>,
    /// For each suppression of the configuration, whether it silenced
    /// something.
    pub used: Vec<bool>,
}

/// Where a comment reaches: a statement, or a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Statement(At),
    File(usize),
}

/// One rule that one comment names.
struct Comment<'a> {
    suppression: &'a Suppression,
    rule: &'a str,
    file: usize,
    used: bool,
}

/// Applies all suppressions.
pub fn apply(
    checked: &mut Checked,
    history: &History,
    sources: &Sources,
    configured: &[Configured<'_>],
) -> Remaining {
    let mut remaining = Remaining {
        used: vec![false; configured.len()],
        ..Remaining::default()
    };
    let ran: BTreeSet<&str> = checked
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome, MigrationOutcome::Ran { .. }))
        .map(|(id, _)| *id)
        .collect();
    let whole = whole_files(history, sources);
    let mut comments: Vec<Comment<'_>> = Vec::new();
    let mut reach: BTreeMap<(Reach, &str), Vec<usize>> = BTreeMap::new();
    let mut add = |at: Reach, file: usize, suppression| {
        let Suppression { rules, .. }: &Suppression = suppression;
        for rule in rules {
            reach.entry((at, rule)).or_default().push(comments.len());
            comments.push(Comment {
                suppression,
                rule,
                file,
                used: false,
            });
        }
    };
    for (number, file) in history.files.iter().enumerate() {
        if !file.new {
            continue;
        }
        for suppression in &file.suppressions {
            add(Reach::File(number), number, suppression);
        }
        each_statement(history, number, |at, statement| {
            for suppression in &statement.suppressions {
                add(Reach::Statement(at), number, suppression);
            }
        });
    }
    for (number, suppression) in &whole {
        add(Reach::File(*number), *number, suppression);
    }

    let silence = |finding: MigrationFinding| {
        let mut by: Option<(By, Option<String>)> = None;
        if finding.rule != UNUSED && !comments.is_empty() {
            let outer = At {
                inner: 0,
                ..finding.at
            };
            for at in [
                Reach::Statement(finding.at),
                Reach::Statement(outer),
                Reach::File(finding.at.file),
            ] {
                for index in reach.get(&(at, finding.rule)).into_iter().flatten() {
                    let Some(comment) = comments.get_mut(*index) else {
                        continue;
                    };
                    comment.used = true;
                    if by.is_none() {
                        by = Some((By::Comment, comment.suppression.reason.clone()));
                    }
                }
            }
        }
        for (entry, used) in configured.iter().zip(&mut remaining.used) {
            if entry.rule == finding.rule && fits(entry, &finding, history) {
                *used = true;
                if by.is_none() {
                    by = Some((By::Configuration, entry.reason.map(str::to_owned)));
                }
            }
        }
        match by {
            Some((by, reason)) => {
                remaining.silenced.push(Silenced {
                    finding,
                    by,
                    reason,
                });
                None
            }
            None => Some(finding),
        }
    };
    // Thousands of findings stay where they are.
    let kept = std::mem::take(&mut checked.findings);
    let kept: Vec<MigrationFinding> = kept.into_iter().filter_map(silence).collect();
    remaining.kept = kept;

    if ran.contains(UNUSED) {
        let mut told = unused(&comments, &ran);
        told.extend(lost(history, sources, &comments, &ran));
        if !told.is_empty() {
            remaining.kept.extend(told);
            super::sort(&mut remaining.kept);
        }
    }
    remaining
}

fn fits(entry: &Configured<'_>, finding: &MigrationFinding, history: &History) -> bool {
    history
        .files
        .get(finding.at.file)
        .is_some_and(|file| (entry.concerns)(&file.path))
        && entry.relation.is_none_or(|wanted| {
            finding.relation.as_ref().is_some_and(|relation| {
                wanted == relation.name
                    || wanted.split_once('.').is_some_and(|(schema, name)| {
                        schema == relation.schema && name == relation.name
                    })
            })
        })
}

/// Suppressions of whole files that nobody has attached to the files yet.
fn whole_files(history: &History, sources: &Sources) -> Vec<(usize, Suppression)> {
    let mut found = Vec::new();
    for (number, file) in history.files.iter().enumerate() {
        let Some(text) = sources.get(file.source).filter(|_| file.new) else {
            continue;
        };
        for directive in directives(file.source, text.text()) {
            if directive.asks == Asks::File
                && !file
                    .suppressions
                    .iter()
                    .any(|known| known.span.start == directive.suppression.span.start)
            {
                found.push((number, directive.suppression));
            }
        }
    }
    found
}

/// Comments whose rule ran and found nothing where they reach.
fn unused(comments: &[Comment<'_>], ran: &BTreeSet<&str>) -> Vec<MigrationFinding> {
    comments
        .iter()
        .filter(|comment| !comment.used && ran.contains(comment.rule) && comment.rule != UNUSED)
        .map(|comment| {
            finding(
                comment.file,
                comment.suppression.span,
                comment.rule,
                format!("{} finds nothing here", comment.rule),
                "the comment silences nothing",
            )
        })
        .collect()
}

/// Comments for a statement behind which none stands.
fn lost(
    history: &History,
    sources: &Sources,
    comments: &[Comment<'_>],
    ran: &BTreeSet<&str>,
) -> Vec<MigrationFinding> {
    let attached: BTreeSet<Span> = comments
        .iter()
        .map(|comment| Span {
            end: comment.suppression.span.start,
            ..comment.suppression.span
        })
        .collect();
    let mut found = Vec::new();
    for (number, file) in history.files.iter().enumerate() {
        let Some(text) = sources.get(file.source).filter(|_| file.new) else {
            continue;
        };
        for directive in directives(file.source, text.text()) {
            let span = directive.suppression.span;
            let start = Span {
                end: span.start,
                ..span
            };
            if directive.asks == Asks::Statement && !attached.contains(&start) {
                // Misspelt names are told elsewhere, and rules that did not
                // run might have found something.
                let rules: Vec<&str> = directive
                    .suppression
                    .rules
                    .iter()
                    .map(String::as_str)
                    .filter(|rule| ran.contains(rule))
                    .collect();
                if rules.is_empty() {
                    continue;
                }
                let rules = rules.join(", ");
                found.push(finding(
                    number,
                    span,
                    &rules,
                    format!("no statement is silenced by this comment of {rules}"),
                    "it stands before, in or behind no statement",
                ));
            }
        }
    }
    found
}

fn finding(file: usize, span: Span, object: &str, message: String, why: &str) -> MigrationFinding {
    MigrationFinding {
        rule: UNUSED,
        level: Level::Note,
        at: At::file(file),
        span,
        relation: None,
        object: Some(object.to_owned()),
        message,
        why: why.to_owned(),
        evidence: vec![Evidence::new(
            "comment",
            Value::Text(object.to_owned()),
            Origin::Sql(span),
        )],
        effect: None,
        known: Known::Static,
        assumed: None,
        remedy: Some(Remedy::new(
            "remove it, or move it before the statement that it is for",
        )),
    }
}

/// Every statement of a file, those in the bodies of DO among them.
fn each_statement<'a>(
    history: &'a History,
    number: usize,
    mut look: impl FnMut(At, &'a Statement),
) {
    let Some(file) = history.files.get(number) else {
        return;
    };
    for (part, content) in file.parts.iter().enumerate() {
        for (index, statement) in content.statements.iter().enumerate() {
            let at = At {
                file: number,
                part,
                statement: index,
                inner: 0,
            };
            look(at, statement);
            if let Action::Do(body) = &statement.action {
                for (inner, statement) in body.statements.iter().enumerate() {
                    if !statement.suppressions.is_empty() {
                        let at = At {
                            inner: inner + 1,
                            ..at
                        };
                        look(at, statement);
                    }
                }
            }
        }
    }
}
