//! Which statement of a change made the difference to a query.
//!
//! An index that is dropped and was used, or made and is used now, says so
//! itself. For the rest the change is tried in part: of a change that is as
//! before without its statements from one on, and as after with it, that one
//! is the cause. Halving finds it, for all queries side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{applied, judge_plans};
use super::{
    Applied, Cause, CompareOptions, IndexChange, NewStatement, Outcome, QueryChange, Workload,
};
use crate::catalog::ident::quote;
use crate::plan::PlanGraph;
use crate::verify::{PlanError, Planned, Planner, SupposedChange, Supposition, WhatIf};

pub(super) struct Blame<'a> {
    pub(super) planner: &'a mut dyn Planner,
    pub(super) workload: &'a Workload,
    /// The queries that are not others with values in them.
    pub(super) originals: usize,
    pub(super) change: Vec<Supposition>,
    pub(super) verbs: Vec<String>,
    /// The file of each statement, and the setting of the session that it
    /// changes.
    sets: Vec<(usize, Option<String>)>,
    options: &'a CompareOptions,
}

/// A query whose cause is looked for: the difference is not there after the
/// first `without` of the statements that were applied, and is there after the
/// first `with` of them.
pub(super) struct Search {
    pub(super) query: usize,
    pub(super) without: usize,
    pub(super) with: usize,
}

/// Whether the difference of each of these queries is there after the first so
/// many statements.
pub(super) type Ask<'f, 'a> =
    dyn FnMut(&mut Blame<'a>, &[usize], usize) -> Result<Vec<bool>, PlanError> + 'f;

impl<'a> Blame<'a> {
    pub(super) fn new(
        planner: &'a mut dyn Planner,
        workload: &'a Workload,
        originals: usize,
        change: &[NewStatement],
        options: &'a CompareOptions,
    ) -> Self {
        Self {
            planner,
            workload,
            originals,
            change: change
                .iter()
                .map(|statement| Supposition::Sql(statement.sql.clone()))
                .collect(),
            verbs: change
                .iter()
                .map(|statement| statement.verb.clone())
                .collect(),
            sets: change
                .iter()
                .map(|statement| (statement.at.file, statement.sets.clone()))
                .collect(),
            options,
        }
    }

    /// The plans of these queries after the first so many statements.
    pub(super) fn after(&mut self, queries: &[usize], first: usize) -> Result<WhatIf, PlanError> {
        let statements: Vec<Planned<'_>> = queries
            .iter()
            .filter_map(|at| self.workload.queries.get(*at))
            .map(|query| Planned::from(&query.statement))
            .collect();
        let (change, own) = self.supposed(first);
        let mut answer = self.planner.what_if(&statements, &change)?;
        let mut own = own.into_iter();
        answer.changes.retain(|_| own.next().unwrap_or(true));
        Ok(answer)
    }

    /// The first so many statements, and which of what is supposed are these:
    /// what a file sets for its session is reset behind it, as neither the
    /// next file nor the application's sessions have it.
    pub(super) fn supposed(&self, first: usize) -> (Vec<Supposition>, Vec<bool>) {
        let mut supposed = Vec::with_capacity(first);
        let mut own = Vec::with_capacity(first);
        let mut set: BTreeSet<&str> = BTreeSet::new();
        let mut last = None;
        let reset = |set: &mut BTreeSet<&str>, supposed: &mut Vec<_>, own: &mut Vec<_>| {
            for name in std::mem::take(set) {
                supposed.push(Supposition::Sql(format!("RESET {}", quote(name))));
                own.push(false);
            }
        };
        for (statement, (file, sets)) in self.change.iter().zip(&self.sets).take(first) {
            if last.is_some_and(|last| last != *file) {
                reset(&mut set, &mut supposed, &mut own);
            }
            last = Some(*file);
            supposed.push(statement.clone());
            own.push(true);
            set.extend(sets.as_deref());
        }
        reset(&mut set, &mut supposed, &mut own);
        (supposed, own)
    }

    /// Fills in the causes.
    pub(super) fn find(
        &mut self,
        queries: &mut [QueryChange],
        before: &[Result<PlanGraph, PlanError>],
        dropped: &[IndexChange],
        made: &[IndexChange],
        changes: &[SupposedChange],
    ) -> Result<(), PlanError> {
        for (at, query) in queries.iter_mut().enumerate() {
            query.cause = match query.outcome {
                Outcome::Slower(_) | Outcome::OtherPlan(_) => by_index(dropped, at, |name| {
                    format!("it drops index {name}, which the plan before uses")
                }),
                Outcome::Faster(_) => by_index(made, at, |name| {
                    format!("it makes index {name}, which the plan after uses")
                }),
                _ => None,
            };
        }
        let candidates = candidates(changes);
        let mut searches: Vec<Search> = queries
            .iter()
            .enumerate()
            .filter(|(_, query)| {
                query.cause.is_none()
                    && matches!(
                        query.outcome,
                        Outcome::Broken {
                            executing: false,
                            ..
                        } | Outcome::Slower(_)
                            | Outcome::Faster(_)
                    )
            })
            .map(|(query, _)| Search {
                query,
                without: 0,
                with: candidates.len(),
            })
            .filter(|search| search.with > 0)
            .collect();
        let options = self.options;
        let mut ask = |blame: &mut Blame<'a>, asked: &[usize], first: usize| {
            let plans = blame.after(asked, first)?.plans;
            Ok(asked
                .iter()
                .zip(plans)
                .map(|(at, plan)| {
                    queries.get(*at).is_some_and(|query| {
                        is_there(&query.outcome, before.get(*at), &plan, options)
                    })
                })
                .collect())
        };
        self.halve(&mut searches, &candidates, &mut ask)?;
        for search in searches {
            let found = (search.with == search.without + 1)
                .then(|| candidates.get(search.without))
                .flatten();
            if let (Some(statement), Some(query)) = (found, queries.get_mut(search.query)) {
                query.cause = Some(Cause {
                    statement: *statement,
                    what: self.words(*statement, &query.outcome),
                    index: None,
                });
            }
        }
        Ok(())
    }

    /// Narrows each search down, with an answer to whether the difference of
    /// each of some queries is there after the first so many statements.
    pub(super) fn halve(
        &mut self,
        searches: &mut [Search],
        candidates: &[usize],
        ask: &mut Ask<'_, 'a>,
    ) -> Result<(), PlanError> {
        let mut tries = 0;
        loop {
            // Those that ask for the same part of the change are asked together.
            let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for (number, search) in searches.iter().enumerate() {
                if search.with > search.without + 1 {
                    let middle = usize::midpoint(search.without, search.with);
                    groups.entry(middle).or_default().push(number);
                }
            }
            if groups.is_empty() {
                return Ok(());
            }
            for (middle, numbers) in groups {
                if tries == self.options.most_tries {
                    return Ok(());
                }
                tries += 1;
                let asked: Vec<usize> = numbers
                    .iter()
                    .filter_map(|number| searches.get(*number))
                    .map(|search| search.query)
                    .collect();
                let first = middle
                    .checked_sub(1)
                    .and_then(|last| candidates.get(last))
                    .map_or(0, |last| last + 1);
                let there = ask(self, &asked, first)?;
                for (number, there) in numbers.iter().zip(there) {
                    let Some(search) = searches.get_mut(*number) else {
                        continue;
                    };
                    if there {
                        search.with = middle;
                    } else {
                        search.without = middle;
                    }
                }
            }
        }
    }

    /// What a statement that was found by trying did, as a clause.
    fn words(&self, statement: usize, outcome: &Outcome) -> String {
        let verb = self.verbs.get(statement).map_or("", String::as_str);
        match outcome {
            Outcome::Broken { .. } => {
                format!("the server plans the query up to this {verb}, and refuses it from then on")
            }
            Outcome::Slower(plans) | Outcome::Faster(plans) => match &plans.what {
                Some(what) => format!("the plan changes with this {verb}: {what}"),
                None => format!("the conditions of the plan change with this {verb}"),
            },
            _ => format!("the plan changes with this {verb}"),
        }
    }
}

/// The statements that were applied.
pub(super) fn candidates(changes: &[SupposedChange]) -> Vec<usize> {
    changes
        .iter()
        .enumerate()
        .filter(|(_, change)| applied(change) == Applied::Yes)
        .map(|(at, _)| at)
        .collect()
}

/// The index that explains it: of several, the one dropped or made first.
fn by_index(
    indexes: &[IndexChange],
    query: usize,
    words: impl Fn(&str) -> String,
) -> Option<Cause> {
    let index = indexes
        .iter()
        .find(|index| index.used_by.contains(&query))?;
    Some(Cause {
        statement: index.statement,
        what: words(&index.name),
        index: Some(index.name.clone()),
    })
}

/// Whether the difference that the whole change makes is there with a part of
/// it.
fn is_there(
    outcome: &Outcome,
    before: Option<&Result<PlanGraph, PlanError>>,
    plan: &Result<PlanGraph, PlanError>,
    options: &CompareOptions,
) -> bool {
    match (outcome, before, plan) {
        (Outcome::Broken { .. }, _, plan) => plan.is_err(),
        (Outcome::Slower(_), Some(Ok(before)), Ok(plan)) => {
            matches!(judge_plans(before, plan, options), Outcome::Slower(_))
        }
        (Outcome::Faster(_), Some(Ok(before)), Ok(plan)) => {
            matches!(judge_plans(before, plan, options), Outcome::Faster(_))
        }
        _ => false,
    }
}
