//! Partitions and inheritance.

use super::{Constrains, ConstraintState, Qualified, State};
use crate::migration::At;
use crate::source::{SourceId, Span};
use crate::sql::ddl::Expression;

impl State {
    /// Makes a table a child of another, without what follows from that.
    pub(super) fn link(&mut self, parent: &Qualified, child: &Qualified) {
        if let Some(parent) = self.edit(parent) {
            parent.children.push(child.clone());
        }
        if let Some(child) = self.edit(child) {
            child.parents.push(parent.clone());
        }
    }

    fn unlink(&mut self, parent: &Qualified, child: &Qualified) {
        if let Some(parent) = self.edit(parent) {
            parent.children.retain(|name| name != child);
        }
        if let Some(child) = self.edit(child) {
            child.parents.retain(|name| name != parent);
        }
    }

    /// CHECK and NOT NULL constraints of a parent.
    pub(super) fn inherit_constraints(&mut self, parent: &Qualified, child: &Qualified) {
        let constraints = self
            .known(parent)
            .map(|parent| parent.constraints.clone())
            .unwrap_or_default();
        for constraint in constraints {
            match &constraint.kind {
                Constrains::Check { .. } if !constraint.no_inherit => {
                    self.inherit_check(child, &constraint);
                }
                Constrains::NotNull if !constraint.no_inherit => {
                    for column in &constraint.columns {
                        self.not_null(
                            child,
                            column,
                            Some(&constraint.name),
                            constraint.validated,
                            constraint.added,
                            true,
                        );
                    }
                }
                _ => {}
            }
        }
    }

    /// Indexes and foreign keys of a partitioned table.
    pub(super) fn inherit_keys(&mut self, parent: &Qualified, partition: &Qualified) {
        let Some(known) = self.known(parent) else {
            return;
        };
        let indexes: Vec<Qualified> = known
            .indexes
            .iter()
            .map(|index| Qualified::new(&parent.schema, &index.name))
            .collect();
        let keys: Vec<ConstraintState> = known
            .constraints
            .iter()
            .filter(|constraint| matches!(constraint.kind, Constrains::ForeignKey { .. }))
            .cloned()
            .collect();
        for index in &indexes {
            self.index_of_partition(parent, index, partition);
        }
        let below = self.below(partition);
        for key in &keys {
            self.inherit_foreign_key(partition, key);
            for child in &below {
                self.inherit_foreign_key(child, key);
            }
        }
    }

    /// `ATTACH PARTITION`.
    pub(super) fn attach_partition(&mut self, parent: &Qualified, child: &Qualified, bound: &str) {
        if self
            .known(child)
            .is_none_or(|child| !child.parents.is_empty())
        {
            return;
        }
        self.link(parent, child);
        if let Some(child) = self.edit(child) {
            child.partition_bound = Some(bound.to_owned());
            for column in &mut child.columns {
                column.local = false;
                column.inherited = 1;
            }
        }
        self.inherit_constraints(parent, child);
        self.inherit_keys(parent, child);
    }

    /// `DETACH PARTITION`; since 14 `CONCURRENTLY`, which leaves a CHECK that
    /// says what the bounds said.
    pub(super) fn detach_partition(
        &mut self,
        parent: &Qualified,
        child: &Qualified,
        concurrently: Option<At>,
    ) {
        if self
            .known(child)
            .is_none_or(|child| !child.parents.contains(parent))
        {
            return;
        }
        self.unlink(parent, child);
        if let Some(at) = concurrently {
            self.check_of_bounds(parent, child, at);
        }
        if let Some(child) = self.edit(child) {
            child.partition_bound = None;
            for index in &mut child.indexes {
                index.parent = None;
            }
        }
        self.stand_alone(child);
    }

    fn check_of_bounds(&mut self, parent: &Qualified, child: &Qualified, at: At) {
        let Some((known, (_, keys))) = self
            .known(parent)
            .and_then(|known| Some((known, known.partition_by.as_ref()?)))
        else {
            return;
        };
        let columns: Vec<String> = keys
            .iter()
            .filter(|key| known.column(key).is_some())
            .cloned()
            .collect();
        let second = match columns.as_slice() {
            [one] => Some(one.as_str()),
            _ => None,
        };
        let name = self.constraint_name(&child.schema, &child.name, second, "check");
        let text = self
            .known(child)
            .and_then(|child| child.partition_bound.clone())
            .unwrap_or_default();
        let expression = Expression {
            span: Span::new(SourceId(0), 0..0),
            text,
            functions: Vec::new(),
            columns: columns.clone(),
            casts: Vec::new(),
            strings: Vec::new(),
            constant: false,
            null: false,
        };
        self.push_constraint(
            child,
            ConstraintState {
                name,
                kind: Constrains::Check { expression },
                columns,
                validated: true,
                deferrable: false,
                no_inherit: false,
                local: true,
                inherited: 0,
                added: Some(at),
            },
        );
    }

    /// `INHERIT`.
    pub(super) fn inherit(&mut self, parent: &Qualified, child: &Qualified) {
        if self
            .known(child)
            .is_none_or(|child| child.parents.contains(parent))
        {
            return;
        }
        self.link(parent, child);
        let columns: Vec<String> = self
            .known(parent)
            .map(|parent| {
                parent
                    .columns
                    .iter()
                    .map(|column| column.name.clone())
                    .collect()
            })
            .unwrap_or_default();
        if let Some(child) = self.edit(child) {
            for column in columns {
                if let Some(own) = child.column_mut(&column) {
                    own.inherited += 1;
                }
            }
        }
        self.inherit_constraints(parent, child);
    }

    /// `NO INHERIT`.
    pub(super) fn no_inherit(&mut self, parent: &Qualified, child: &Qualified) {
        if self
            .known(child)
            .is_none_or(|child| !child.parents.contains(parent))
        {
            return;
        }
        self.unlink(parent, child);
        self.stand_alone(child);
    }

    /// What came from one parent less becomes the table's own.
    fn stand_alone(&mut self, child: &Qualified) {
        let Some(child) = self.edit(child) else {
            return;
        };
        for column in &mut child.columns {
            if column.inherited > 0 {
                column.inherited -= 1;
                column.local |= column.inherited == 0;
            }
        }
        for constraint in &mut child.constraints {
            if constraint.inherited > 0 {
                constraint.inherited -= 1;
                constraint.local |= constraint.inherited == 0;
            }
        }
    }
}
