//! What a statement did, by what the server says after it.

use std::collections::{BTreeMap, BTreeSet};

use super::observe::{Relation, Seen};
use super::run::Run;
use super::told::effect;
use super::{Disagreement, Objects};
use crate::migration::At;
use crate::migration::locks::{Effect, Known, LockMode, Work, effects};
use crate::migration::state::{Qualified, Table};
use crate::sql::ddl::{Action, Statement};

impl Run<'_> {
    /// What a statement did, by what is seen after it.
    pub(super) fn observed(&mut self, statement: &Statement, at: At, seen: &Seen) {
        let expected = effects(statement, &self.state, self.server);
        let taken = self.modes_taken(seen, &expected);
        let mut traced = self.told(&taken);
        self.add_work(statement, seen, &mut traced);
        for effect in &expected {
            // Rows of empty tables show nothing, nor do partitions that are not
            // here.
            if (effect.work == Work::Rows || self.lacks_partitions(&effect.relation))
                && let Some((_, work)) = traced.get_mut(&effect.relation)
            {
                *work = (*work).max(effect.work);
            }
        }
        let objects = self.remember(seen);
        if !objects.created.is_empty() || !objects.dropped.is_empty() {
            self.trace.objects.insert(at, objects);
        }
        self.conclude(statement, at, &expected, traced);
    }

    /// Programs may make its partitions, which nothing is seen of here.
    fn lacks_partitions(&self, relation: &Qualified) -> bool {
        self.state
            .known(relation)
            .is_some_and(Table::lacks_partitions)
    }

    /// The strongest mode that the statement took on each relation.
    fn modes_taken(&self, seen: &Seen, expected: &[Effect]) -> BTreeMap<u32, LockMode> {
        let mut taken = BTreeMap::new();
        for (oid, (modes, _)) in &seen.relations {
            let Some(known) = self.known.get(oid) else {
                continue;
            };
            let held = self.held.get(oid);
            let new = modes
                .iter()
                .filter(|mode| held.is_none_or(|held| !held.contains(mode)))
                .max()
                .copied();
            // What the transaction holds already does not show again.
            let again = expected
                .iter()
                .filter(|effect| effect.relation == known.name)
                .map(|effect| effect.mode)
                .filter(|mode| held.is_some_and(|held| held.contains(mode)))
                .max();
            if let Some(mode) = new.max(again) {
                taken.insert(*oid, mode);
            }
        }
        taken
    }

    /// Leaves out reading, and what follows from the lock on a table.
    fn told(&self, taken: &BTreeMap<u32, LockMode>) -> BTreeMap<Qualified, (LockMode, Work)> {
        taken
            .iter()
            .filter(|(_, mode)| **mode > LockMode::AccessShare)
            .filter_map(|(oid, mode)| {
                let known = self.known.get(oid)?;
                let owner = known.table.and_then(|table| taken.get(&table));
                (known.is_told() && owner.is_none_or(|table| mode > table))
                    .then(|| (known.name.clone(), (*mode, Work::None)))
            })
            .collect()
    }

    fn add_work(
        &self,
        statement: &Statement,
        seen: &Seen,
        traced: &mut BTreeMap<Qualified, (LockMode, Work)>,
    ) {
        // A relation that is emptied gets a new file, and nothing is written.
        let truncates = matches!(
            statement.action,
            Action::Truncate { .. } | Action::Refresh { no_data: true, .. }
        );
        let own = match &statement.action {
            Action::Alter(alter) => Some(self.state.qualify(&alter.relation.name)),
            _ => None,
        };
        for (oid, (_, now)) in &seen.relations {
            let Some(now) = now else { continue };
            let (table, work) = if now.is_index() {
                let Some(table) = now.table else { continue };
                let old: Vec<&Relation> = self
                    .known
                    .values()
                    .filter(|one| one.is_index() && one.table == Some(table))
                    .collect();
                if now.file.is_none() || old.iter().any(|one| one.file == now.file) {
                    continue;
                }
                let again = old.iter().any(|one| one.name == now.name);
                let work = if again {
                    Work::IndexRebuild
                } else {
                    Work::IndexBuild
                };
                (table, work)
            } else {
                let Some(then) = self.known.get(oid) else {
                    continue;
                };
                let work = if then.file != now.file && matches!(now.kind, 'r' | 'm') && !truncates {
                    Work::Rewrite
                } else if now.scans > then.scans || (now.scans < then.scans && now.scans > 0) {
                    Work::Scan
                } else {
                    continue;
                };
                (*oid, work)
            };
            let Some(name) = self.known.get(&table).map(|table| &table.name) else {
                continue;
            };
            if !traced.contains_key(name) && work == Work::IndexRebuild {
                // An index is moved by itself, and its table left alone.
                if let Some((_, most)) = traced.get_mut(&now.name) {
                    *most = Work::Rewrite;
                }
                continue;
            }
            let Some((mode, most)) = traced.get_mut(name) else {
                continue;
            };
            // What a foreign key references is looked up, or joined: that is
            // not what the statement is about.
            let looked_up = own.as_ref().is_some_and(|own| own != name)
                && *mode <= LockMode::ShareRowExclusive
                && !self.is_below(own.as_ref(), name);
            if work == Work::Scan && (*mode < LockMode::ShareUpdateExclusive || looked_up) {
                continue;
            }
            if !truncates {
                *most = (*most).max(work);
            }
        }
    }

    /// A partition or child of the relation, at any depth.
    fn is_below(&self, own: Option<&Qualified>, name: &Qualified) -> bool {
        let mut at = name.clone();
        for _ in 0..64 {
            let Some(parent) = self
                .state
                .known(&at)
                .and_then(|table| table.parents.first())
            else {
                return false;
            };
            if Some(parent) == own {
                return true;
            }
            at = parent.clone();
        }
        false
    }

    /// Takes over what is seen.
    fn remember(&mut self, seen: &Seen) -> Objects {
        let mut objects = Objects::default();
        for (oid, (modes, now)) in &seen.relations {
            match now {
                Some(now) => {
                    if self.known.insert(*oid, now.clone()).is_none() && now.is_told() {
                        objects.created.push(now.name.to_string());
                    }
                }
                None => {
                    if let Some(gone) = self.known.remove(oid)
                        && gone.is_told()
                    {
                        objects.dropped.push(gone.name.to_string());
                    }
                }
            }
            self.held.insert(*oid, modes.clone());
        }
        objects.created.sort();
        objects.dropped.sort();
        objects
    }

    /// Compares with what the text says, and keeps what the server says.
    fn conclude(
        &mut self,
        statement: &Statement,
        at: At,
        expected: &[Effect],
        traced: BTreeMap<Qualified, (LockMode, Work)>,
    ) {
        if let Action::Do(body) = &statement.action {
            // Its statements are judged one by one; only what is put together
            // at run time is not among them.
            if !body.dynamic.is_empty() || body.unread {
                let mut state = self.state.clone();
                let mut inner = BTreeSet::new();
                for one in &body.statements {
                    inner.extend(
                        effects(one, &state, self.server)
                            .into_iter()
                            .map(|effect| effect.relation),
                    );
                    state.apply(one, at);
                }
                let rest: Vec<Effect> = traced
                    .into_iter()
                    .filter(|(relation, _)| !inner.contains(relation))
                    .map(|(relation, (mode, work))| effect(relation, mode, work, None))
                    .collect();
                if !rest.is_empty() {
                    self.trace.effects.insert(at, rest);
                }
            }
            return;
        }
        let mut merged: BTreeMap<&Qualified, (LockMode, Work)> = BTreeMap::new();
        for one in expected {
            let entry = merged
                .entry(&one.relation)
                .or_insert((one.mode, Work::None));
            entry.0 = entry.0.max(one.mode);
            entry.1 = entry.1.max(one.work);
        }
        let commands = match &statement.action {
            Action::Alter(alter) if alter.commands.len() == 1 => Some(0),
            _ => None,
        };
        // Where a statement before it had no effect, the text and the server
        // speak of different schemas.
        let doubtful = merged
            .keys()
            .copied()
            .chain(traced.keys())
            .any(|relation| self.lost.contains(&relation.name.to_lowercase()));
        if doubtful
            && merged
                .keys()
                .any(|relation| !traced.contains_key(*relation))
        {
            return;
        }
        let mut found = Vec::new();
        let mut disagreements = Vec::new();
        for (relation, (mode, work)) in &traced {
            let agreed = merged.get(relation).is_some_and(|(most, claimed)| {
                most == mode && (claimed == work || is_build(*claimed) && is_build(*work))
            });
            if agreed {
                found.extend(
                    expected
                        .iter()
                        .filter(|one| one.relation == *relation)
                        .map(|one| Effect {
                            known: if self.lacks_partitions(&one.relation) {
                                one.known
                            } else {
                                Known::Traced
                            },
                            ..one.clone()
                        }),
                );
                continue;
            }
            let new = effect(relation.clone(), *mode, *work, commands);
            disagreements.push(Disagreement {
                at,
                span: statement.span,
                expected: merged
                    .get(relation)
                    .map(|(mode, work)| effect(relation.clone(), *mode, *work, None)),
                traced: Some(new.clone()),
            });
            if merged
                .get(relation)
                .is_some_and(|(most, claimed)| mode <= most && work <= claimed)
            {
                // Less than the text says: each command did no more than that.
                found.extend(
                    expected
                        .iter()
                        .filter(|one| one.relation == *relation)
                        .map(|one| Effect {
                            mode: one.mode.min(*mode),
                            work: one.work.min(*work),
                            why: None,
                            known: Known::Traced,
                            ..one.clone()
                        }),
                );
            } else {
                found.push(new);
            }
        }
        // What rows set off, as foreign keys and triggers do, depends on them;
        // here there are few or none.
        let by_rows = |mode: LockMode| {
            matches!(statement.action, Action::Dml(_) | Action::CreateFunction(_))
                && mode <= LockMode::RowExclusive
        };
        disagreements.retain(|one| {
            one.traced
                .as_ref()
                .is_none_or(|effect| one.expected.is_some() || !by_rows(effect.mode))
        });
        for (relation, (mode, work)) in merged {
            if !traced.contains_key(relation) && relation.schema != "pg_temp" && !by_rows(mode) {
                disagreements.push(Disagreement {
                    at,
                    span: statement.span,
                    expected: Some(effect(relation.clone(), mode, work, None)),
                    traced: None,
                });
            }
        }
        if !doubtful {
            self.trace.disagreements.append(&mut disagreements);
        }
        self.trace.effects.insert(at, found);
    }
}

/// An index is made: one that takes the name of an index that the statement
/// drops looks like that one made again.
fn is_build(work: Work) -> bool {
    matches!(work, Work::IndexBuild | Work::IndexRebuild)
}
