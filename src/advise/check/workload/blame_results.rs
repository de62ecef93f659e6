//! What queries give and write after a change, and which statement of it did
//! that.

use std::collections::BTreeSet;

use super::blame::{Blame, Search, candidates};
use super::results::{InsertChange, changed_relations, insert_change, names_one, result_change};
use super::{Cause, Outcome, QueryChange, ResultChange, Workload};
use crate::plan::PlanGraph;
use crate::sql::StatementKind;
use crate::verify::{Described, KnownRelation, PlanError, Planned, Shape, SupposedChange};

/// SQLSTATE of a NULL in a column that takes none.
const NULL_VALUE: &str = "23502";
/// Words of statements that change what queries give although no relation has
/// other columns.
const OF_TYPES: [&str; 6] = [
    "FUNCTION",
    "AGGREGATE",
    "TYPE",
    "DOMAIN",
    "OPERATOR",
    "CAST",
];

/// What was there before the change.
pub(super) struct Was<'a> {
    pub(super) plans: &'a [Result<PlanGraph, PlanError>],
    pub(super) relations: &'a [KnownRelation],
}

/// What was seen of the queries that another result was found for.
pub(super) struct Seen {
    /// Numbers of the queries that were looked at.
    asked: Vec<usize>,
    /// What each of them gives before.
    before: Vec<Option<Shape>>,
}

impl Seen {
    fn before(&self, query: usize) -> Option<&Shape> {
        let at = self.asked.iter().position(|asked| *asked == query)?;
        self.before.get(at)?.as_ref()
    }
}

impl<'a> Blame<'a> {
    /// Fills in what queries give and write otherwise.
    pub(super) fn results(
        &mut self,
        was: &Was<'_>,
        after: &[Option<Result<PlanGraph, PlanError>>],
        queries: &mut [QueryChange],
    ) -> Result<Seen, PlanError> {
        let all = self.change.len();
        let now = self.described(&[], all)?.relations;
        let names = changed_relations(was.relations, &now);
        let asked = self.asked(queries, &names);
        let mut seen = Seen {
            before: Vec::new(),
            asked,
        };
        if !seen.asked.is_empty() {
            let results = self.described(&seen.asked, all)?.results;
            let statements = planned(self.workload, &seen.asked);
            seen.before = self.planner.described(&statements, &[])?.results;
            for (at, (before, after)) in seen.asked.iter().zip(seen.before.iter().zip(&results)) {
                if let (Some(query), Some(before), Some(after)) =
                    (queries.get_mut(*at), before, after)
                {
                    query.result = result_change(before, after);
                }
            }
        }
        for (query, after) in queries.iter_mut().zip(after).take(self.originals) {
            let (Some(Ok(before)), Some(Ok(after))) = (was.plans.get(query.query), after) else {
                continue;
            };
            if let Some(change) = insert_change((before, was.relations), (after, &now)) {
                write(query, &change);
            }
        }
        Ok(seen)
    }

    /// Queries that can give something else: those that name a relation with
    /// other columns, and all where the change is about types.
    fn asked(&self, queries: &[QueryChange], names: &BTreeSet<String>) -> Vec<usize> {
        let of_types = self
            .verbs
            .iter()
            .any(|verb| OF_TYPES.iter().any(|word| verb.contains(word)));
        if names.is_empty() && !of_types {
            return Vec::new();
        }
        queries
            .iter()
            .take(self.originals)
            .filter(|change| {
                !matches!(
                    change.outcome,
                    Outcome::Broken { .. } | Outcome::Mended { .. } | Outcome::NotPlanned { .. }
                )
            })
            .filter(|change| {
                of_types
                    || self
                        .workload
                        .queries
                        .get(change.query)
                        .is_some_and(|query| names_one(&query.statement, names))
            })
            .map(|change| change.query)
            .collect()
    }

    /// What these queries give after the first so many statements.
    fn described(&mut self, queries: &[usize], first: usize) -> Result<Described, PlanError> {
        let (change, _) = self.supposed(first);
        let statements = planned(self.workload, queries);
        self.planner.described(&statements, &change)
    }

    /// Fills in which statement is the cause of another result.
    pub(super) fn find_of_results(
        &mut self,
        queries: &mut [QueryChange],
        was: &Was<'_>,
        seen: &Seen,
        changes: &[SupposedChange],
    ) -> Result<(), PlanError> {
        let candidates = candidates(changes);
        let mut searches: Vec<Search> = queries
            .iter()
            .filter(|query| query.result.is_some() || is_executing(query))
            .map(|query| Search {
                query: query.query,
                without: 0,
                with: candidates.len(),
            })
            .filter(|search| search.with > 0)
            .collect();
        let inserts: BTreeSet<usize> = searches
            .iter()
            .map(|search| search.query)
            .filter(|at| self.is_insert(*at))
            .collect();
        let mut ask = |blame: &mut Blame<'a>, asked: &[usize], first: usize| {
            let plans = if asked.iter().any(|at| inserts.contains(at)) {
                blame.after(asked, first)?.plans
            } else {
                Vec::new()
            };
            let described = blame.described(asked, first)?;
            Ok(asked
                .iter()
                .enumerate()
                .map(|(number, at)| {
                    let given = described.results.get(number).and_then(Option::as_ref);
                    let other = match (seen.before(*at), given) {
                        (Some(before), Some(after)) => result_change(before, after).is_some(),
                        _ => false,
                    };
                    let writes = match (was.plans.get(*at), plans.get(number)) {
                        (Some(Ok(before)), Some(Ok(after))) => {
                            insert_change((before, was.relations), (after, &described.relations))
                                .is_some()
                        }
                        _ => false,
                    };
                    other || writes
                })
                .collect())
        };
        self.halve(&mut searches, &candidates, &mut ask)?;
        for search in searches {
            let found = (search.with == search.without + 1)
                .then(|| candidates.get(search.without))
                .flatten();
            let (Some(statement), Some(query)) = (found, queries.get_mut(search.query)) else {
                continue;
            };
            let verb = self.verbs.get(*statement).map_or("", String::as_str);
            let cause = |what: String| Cause {
                statement: *statement,
                what,
                index: None,
            };
            if is_executing(query) {
                let fails = matches!(&query.outcome, Outcome::Broken { sqlstate, .. }
                    if sqlstate == NULL_VALUE);
                let then = if fails {
                    "executing it fails"
                } else {
                    "it writes other rows"
                };
                query.cause = Some(cause(format!(
                    "the server still plans it after this {verb}, and {then}"
                )));
            } else {
                query.result_cause = Some(cause(format!("its result changes with this {verb}")));
            }
        }
        Ok(())
    }

    fn is_insert(&self, query: usize) -> bool {
        self.workload
            .queries
            .get(query)
            .is_some_and(|query| query.statement.kind == StatementKind::Insert)
    }
}

fn planned<'w>(workload: &'w Workload, queries: &[usize]) -> Vec<Planned<'w>> {
    queries
        .iter()
        .filter_map(|at| workload.queries.get(*at))
        .map(|query| Planned::from(&query.statement))
        .collect()
}

fn is_executing(query: &QueryChange) -> bool {
    matches!(
        query.outcome,
        Outcome::Broken {
            executing: true,
            ..
        }
    )
}

/// What becomes of an INSERT that writes something else.
fn write(query: &mut QueryChange, change: &InsertChange) {
    let broken = |message: String, sqlstate: &str| Outcome::Broken {
        message,
        sqlstate: sqlstate.to_owned(),
        hint: None,
        position: None,
        executing: true,
    };
    if let Some(column) = change.missing.first() {
        // The server's own words, but for the row.
        query.outcome = broken(
            format!(
                "null value in column \"{column}\" of relation \"{}\" violates not-null constraint",
                change.table
            ),
            NULL_VALUE,
        );
        query.result = None;
    } else if !change.moved.is_empty() {
        let moved: Vec<String> = change
            .moved
            .iter()
            .map(|one| format!("that of {} into {}", one.from, one.to))
            .collect();
        query.outcome = broken(
            format!("it writes values into other columns: {}", moved.join(", ")),
            "",
        );
        query.result = None;
    } else {
        query
            .result
            .get_or_insert_with(ResultChange::default)
            .lost
            .clone_from(&change.lost);
    }
}
