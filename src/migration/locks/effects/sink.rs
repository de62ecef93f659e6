//! Where effects are gathered.

use std::collections::BTreeSet;

use crate::catalog::RelationKind;
use crate::migration::Server;
use crate::migration::locks::{Effect, Known, LockMode, Work};
use crate::migration::state::{Qualified, State, Table};
use crate::sql::ddl::Name;

/// Effects of one statement, on its way.
pub(super) struct Sink<'a> {
    pub(super) state: &'a State,
    pub(super) server: &'a Server,
    /// The command of an ALTER TABLE at work.
    pub(super) command: Option<usize>,
    effects: Vec<Effect>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(state: &'a State, server: &'a Server) -> Self {
        Self {
            state,
            server,
            command: None,
            effects: Vec::new(),
        }
    }

    pub(super) fn qualify(&self, name: &Name) -> Qualified {
        self.state.qualify(name)
    }

    /// The full name of an index: that of its table's schema where known.
    pub(super) fn index_name(&self, name: &Name) -> Qualified {
        match self.state.index(name) {
            Some((table, index)) => Qualified::new(&table.name.schema, &index.name),
            None => self.state.qualify(name),
        }
    }

    /// A lock on a relation, without work.
    pub(super) fn lock(&mut self, name: &Name, mode: LockMode) {
        let relation = self.qualify(name);
        self.add(&relation, mode, Work::None, None);
    }

    /// One effect.
    pub(super) fn add(
        &mut self,
        relation: &Qualified,
        mode: LockMode,
        work: Work,
        why: Option<String>,
    ) {
        self.effects.push(Effect {
            relation: relation.clone(),
            mode,
            work,
            known: Known::Static,
            why,
            command: self.command,
        });
    }

    /// The same on a relation and all its partitions and children; work is
    /// only on those that hold rows. A partitioned table of which no partition
    /// is known has some that programs made, as for each day: it stands for
    /// them.
    pub(super) fn over(
        &mut self,
        relation: &Qualified,
        mode: LockMode,
        work: Work,
        why: Option<&str>,
    ) {
        for one in self.tree(relation) {
            let work = if self.stores(&one) || self.stands_alone(&one) {
                work
            } else {
                Work::None
            };
            let why = why.filter(|_| work != Work::None).map(str::to_owned);
            self.add(&one, mode, work, why);
        }
    }

    /// A partitioned table of which no partition is known.
    pub(super) fn stands_alone(&self, relation: &Qualified) -> bool {
        self.state
            .known(relation)
            .is_some_and(Table::lacks_partitions)
    }

    /// It holds rows itself.
    pub(super) fn stores(&self, relation: &Qualified) -> bool {
        self.state.known(relation).is_none_or(|table| {
            matches!(
                table.kind,
                RelationKind::Table | RelationKind::MaterializedView
            )
        })
    }

    /// The relation, and its partitions and inheritance children at all
    /// depths.
    pub(super) fn tree(&self, relation: &Qualified) -> Vec<Qualified> {
        self.descend(relation, |_| true)
    }

    /// The relation, and its partitions at all depths.
    pub(super) fn partitions(&self, relation: &Qualified) -> Vec<Qualified> {
        self.descend(relation, Table::is_partitioned)
    }

    fn descend(&self, relation: &Qualified, into: impl Fn(&Table) -> bool) -> Vec<Qualified> {
        let mut seen = BTreeSet::from([relation.clone()]);
        let mut found = vec![relation.clone()];
        let mut at = 0;
        while let Some(one) = found.get(at).cloned() {
            at += 1;
            let Some(table) = self.state.known(&one).filter(|table| into(table)) else {
                continue;
            };
            for child in &table.children {
                if seen.insert(child.clone()) {
                    found.push(child.clone());
                }
            }
        }
        found
    }

    /// The DEFAULT partition of a partitioned table.
    pub(super) fn default_partition(&self, parent: &Qualified) -> Option<Qualified> {
        self.state
            .known(parent)?
            .children
            .iter()
            .find(|child| {
                self.state
                    .known(child)
                    .and_then(|table| table.partition_bound.as_deref())
                    .is_some_and(|bound| bound.trim().eq_ignore_ascii_case("default"))
            })
            .cloned()
    }

    /// All effects: one a relation and command.
    pub(super) fn done(self) -> Vec<Effect> {
        let mut effects = self.effects;
        effects.sort_by(|a, b| {
            (&a.relation, a.command, b.work, b.mode).cmp(&(&b.relation, b.command, a.work, a.mode))
        });
        let mut merged: Vec<Effect> = Vec::with_capacity(effects.len());
        for effect in effects {
            match merged.last_mut() {
                Some(last)
                    if last.relation == effect.relation && last.command == effect.command =>
                {
                    last.mode = last.mode.max(effect.mode);
                }
                _ => merged.push(effect),
            }
        }
        merged
    }
}
