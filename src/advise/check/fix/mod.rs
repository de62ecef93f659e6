//! Applies what rules offer as edits, and keeps what is clean when the history
//! is checked again.
//!
//! A statement that must run outside a transaction gets its framework's word
//! for it; where other statements of the file need the transaction, it moves
//! into a migration of its own.

mod moving;
mod naming;
mod plan;
mod same;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::finding::Level;
use crate::finding::migration::{Fix, MigrationFinding};
use crate::migration::assemble::{Given, assemble};
use crate::migration::locks::refuses_transaction;
use crate::migration::state::State;
use crate::migration::{Framework, History, Server, Wrapping};
use crate::source::{SourceId, Sources, Text};
use crate::sql::ddl::{Action, Transaction};
use plan::{Plan, plan};

/// Fixes that are tried one by one when they do not go together.
const MOST_TRIED: usize = 100;
/// How often fixes of a kind are applied: once in the files as they are, and
/// again in what they came to.
const MOST_ROUNDS: usize = 4;

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

/// What checking a history came to.
#[derive(Debug, Clone)]
pub struct Rechecked {
    /// What is found in it.
    pub findings: Vec<MigrationFinding>,
    /// The schema that it leaves.
    pub after: State,
}

/// Checks a history as the first one was.
type Again<'a> = &'a dyn Fn(&Sources, &History) -> Rechecked;

/// Files as they are with the fixes so far, and what is found in them.
struct Stage {
    sources: Sources,
    history: History,
    findings: Vec<MigrationFinding>,
}

/// What is checked, and with what.
#[derive(Clone, Copy)]
struct Judged<'a> {
    sources: &'a Sources,
    history: &'a History,
    findings: &'a [MigrationFinding],
    server: &'a Server,
    again: Again<'a>,
    /// The schema that the files leave without a fix.
    schema: &'a BTreeSet<String>,
}

/// Fixes what can be fixed. `again` checks a history as the first one was.
///
/// First the work is taken out of the locks; then what waits for a lock in the
/// files as they are now gets a timeout.
pub fn fix(
    sources: &Sources,
    history: &History,
    findings: &[MigrationFinding],
    server: &Server,
    again: Again<'_>,
) -> Fixed {
    if wanted(findings, true).is_empty() && wanted(findings, false).is_empty() {
        return Fixed::default();
    }
    let schema = same::schema(&again(sources, history).after);
    let given = Judged {
        sources,
        history,
        findings,
        server,
        again,
        schema: &schema,
    };
    let (plan, stage) = in_rounds(given, Plan::default(), None, false);
    let (mut plan, mut stage) = in_rounds(given, plan, stage, true);
    // What came instead and did not go again: better only the timeouts.
    if let Some(now) = &stage
        && let Some(new) = came_instead(&now.findings, findings, &[], false)
    {
        let why = format!("the files were checked again with the fix, and {new} was found in them");
        let refused = std::mem::take(&mut plan.applied)
            .into_iter()
            .map(|number| (number, why.clone()));
        let before = Plan {
            refused: plan.refused.into_iter().chain(refused).collect(),
            ..Plan::default()
        };
        (plan, stage) = in_rounds(given, before, None, true);
    }
    done(
        plan,
        stage.as_ref().map(|stage| stage.findings.as_slice()),
        findings,
    )
}

/// The findings with a fix that takes work out of a lock, or with one that
/// only edits the statements where they are.
fn wanted(findings: &[MigrationFinding], edits_only: bool) -> Vec<usize> {
    findings
        .iter()
        .enumerate()
        .filter(|(_, finding)| {
            finding
                .remedy
                .as_ref()
                .and_then(|remedy| remedy.fix.as_ref())
                .is_some_and(|fix| is_edits_only(fix) == edits_only)
        })
        .map(|(number, _)| number)
        .collect()
}

fn is_edits_only(fix: &Fix) -> bool {
    !fix.outside_transaction && fix.follow_up.is_empty()
}

/// Applies the fixes of one kind to what is found in the files now, until there
/// is none left: one may stand in the way of another.
fn in_rounds(
    given: Judged<'_>,
    mut plan: Plan,
    mut stage: Option<Stage>,
    edits_only: bool,
) -> (Plan, Option<Stage>) {
    for round in 0..MOST_ROUNDS {
        let now = stage.as_ref().map_or(given, |stage| Judged {
            sources: &stage.sources,
            history: &stage.history,
            findings: &stage.findings,
            ..given
        });
        let (more, next) = improve(now, &wanted(now.findings, edits_only), !edits_only);
        if round > 0 && !edits_only {
            // What was refused before for something that is there no more.
            plan.refused.clear();
        }
        for (number, why) in more.refused {
            let Some(finding) = now.findings.get(number) else {
                continue;
            };
            // The same finding among those given; others are of files that
            // a fix has added.
            let first = given
                .findings
                .iter()
                .position(|other| key(other) == key(finding));
            if let Some(first) = first
                && !plan.refused.iter().any(|(other, _)| *other == first)
            {
                plan.refused.push((first, why));
            }
        }
        let Some(next) = next else { break };
        if stage.is_none() && !edits_only {
            plan.applied = more.applied;
        }
        for (path, (before, after)) in more.files {
            match plan.files.get_mut(&path) {
                Some(whole) => whole.1 = after,
                None => {
                    plan.files.insert(path, (before, after));
                }
            }
        }
        plan.notes.extend(more.notes);
        stage = Some(next);
    }
    (plan, stage)
}

/// Applies those fixes that come out clean: all together, else those of each
/// file, else one by one. What came instead and only lacks a timeout is let
/// through when `tolerant`.
fn improve(given: Judged<'_>, wanted: &[usize], tolerant: bool) -> (Plan, Option<Stage>) {
    let try_those = |chosen: &[usize]| -> (Plan, Result<Stage, String>) {
        let made = plan(given.sources, given.history, given.findings, chosen);
        let tried = tried(&made, given, tolerant);
        (made, tried)
    };
    if wanted.is_empty() {
        return (Plan::default(), None);
    }
    let (all, tried) = try_those(wanted);
    if all.applied.is_empty() {
        return (all, None);
    }
    if let Ok(stage) = tried {
        return (all, Some(stage));
    }
    let mut refused = all.refused;
    let mut groups: VecDeque<Vec<usize>> = VecDeque::new();
    let file = |number: &usize| given.findings.get(*number).map(|finding| finding.at.file);
    for number in all.applied {
        match groups.back_mut() {
            Some(group) if group.last().and_then(&file) == file(&number) => group.push(number),
            _ => groups.push_back(vec![number]),
        }
    }
    let mut kept: Vec<usize> = Vec::new();
    let mut best: Option<(Plan, Stage)> = None;
    let mut tries = 0;
    while let Some(group) = groups.pop_front() {
        if tries >= MOST_TRIED {
            refused.extend(
                group
                    .into_iter()
                    .map(|number| (number, "too many fixes were tried in this run".to_owned())),
            );
            continue;
        }
        tries += 1;
        let mut chosen = kept.clone();
        chosen.extend(&group);
        let (made, tried) = try_those(&chosen);
        let whole = made.applied.len() == chosen.len();
        match tried {
            Ok(stage) if whole => {
                kept = chosen;
                best = Some((made, stage));
            }
            _ if group.len() > 1 => {
                for number in group.into_iter().rev() {
                    groups.push_front(vec![number]);
                }
            }
            tried => {
                let why = tried.err().unwrap_or_else(|| {
                    "it does not go together with another fix: run it again".to_owned()
                });
                refused.extend(group.into_iter().map(|number| (number, why.clone())));
            }
        }
    }
    let (mut plan, stage) = match best {
        Some((plan, stage)) => (plan, Some(stage)),
        None => (Plan::default(), None),
    };
    plan.refused = refused;
    (plan, stage)
}

fn done(plan: Plan, now: Option<&[MigrationFinding]>, findings: &[MigrationFinding]) -> Fixed {
    let mut left = counts(now.unwrap_or(findings).iter());
    let mut fixed = Vec::new();
    for (number, finding) in findings.iter().enumerate() {
        match left.get_mut(&key(finding)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => fixed.push(number),
        }
    }
    let mut refused = plan.refused;
    refused.retain(|(number, _)| !fixed.contains(number));
    refused.sort();
    let mut notes = plan.notes;
    notes.sort();
    notes.dedup();
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
        fixed,
        refused,
        notes,
    }
}

/// What makes a finding the same in another text.
type Key<'a> = (&'a str, Option<String>, Option<&'a str>);

fn key(finding: &MigrationFinding) -> Key<'_> {
    (
        finding.rule,
        finding.relation.as_ref().map(ToString::to_string),
        finding.object.as_deref(),
    )
}

fn counts<'a>(findings: impl Iterator<Item = &'a MigrationFinding>) -> BTreeMap<Key<'a>, usize> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(key(finding)).or_default() += 1;
    }
    counts
}

/// What the files come to with the plan, when the fixed findings are gone and
/// nothing came instead; else why not.
fn tried(made: &Plan, given: Judged<'_>, tolerant: bool) -> Result<Stage, String> {
    let (sources, after) = remade(made, given.sources, given.history);
    if let Some(verb) = refuses(made, &after, given.server) {
        return Err(format!("{verb} could not run where the fix would put it"));
    }
    let Rechecked {
        findings: found,
        after: left,
    } = (given.again)(&sources, &after);
    if let Some(other) = same::difference(given.schema, &same::schema(&left)) {
        return Err(format!("{other} would not be as it is without the fix"));
    }
    match came_instead(&found, given.findings, &made.applied, tolerant) {
        Some("lock-queue-behind-long-reader")
            if after
                .files
                .iter()
                .any(|file| file.framework == Framework::Flyway) =>
        {
            Err(
                "CONCURRENTLY would wait for the lock that Flyway itself holds: set \
                 flyway.postgresql.transactional.lock=false, and run it again with \
                 --disable lock-queue-behind-long-reader"
                    .to_owned(),
            )
        }
        Some(rule) => Err(format!(
            "the file was checked again with the fix, and {rule} was found in it"
        )),
        None => Ok(Stage {
            sources,
            history: after,
            findings: found,
        }),
    }
}

/// The rule of a finding that was not there before, or that should be gone.
/// Notes are let through, and what only lacks a timeout when `tolerant`.
fn came_instead(
    found: &[MigrationFinding],
    before: &[MigrationFinding],
    applied: &[usize],
    tolerant: bool,
) -> Option<&'static str> {
    let mut allowed = counts(before.iter());
    for finding in applied.iter().filter_map(|number| before.get(*number)) {
        if let Some(count) = allowed.get_mut(&key(finding)) {
            *count = count.saturating_sub(1);
        }
    }
    found.iter().find_map(|finding| {
        if let Some(count) = allowed.get_mut(&key(finding))
            && *count > 0
        {
            *count -= 1;
            return None;
        }
        let settled = tolerant
            && finding
                .remedy
                .as_ref()
                .and_then(|remedy| remedy.fix.as_ref())
                .is_some_and(is_edits_only);
        (finding.level > Level::Note && !settled).then_some(finding.rule)
    })
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

/// The first statement of the files that changed that cannot run where it
/// stands.
fn refuses(made: &Plan, after: &History, server: &Server) -> Option<String> {
    let changed = after
        .files
        .iter()
        .filter(|file| made.files.contains_key(&file.path));
    for part in changed.flat_map(|file| &file.parts) {
        let wrapped = match part.wrapping {
            Wrapping::PerFile | Wrapping::PerRun => true,
            Wrapping::OneMessage => part.statements.len() > 1,
            Wrapping::None => false,
        };
        let mut open = wrapped;
        for statement in &part.statements {
            match &statement.action {
                Action::Transaction(Transaction::Begin) => open = true,
                Action::Transaction(Transaction::Commit | Transaction::Rollback) => {
                    open = wrapped && part.wrapping == Wrapping::OneMessage;
                }
                _ => {}
            }
            if (open && refuses_transaction(statement, server).is_some())
                || matches!(statement.action, Action::Unreadable)
            {
                return Some(statement.verb.clone());
            }
        }
    }
    None
}
