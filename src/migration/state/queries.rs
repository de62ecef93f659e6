//! Questions about the state that rules ask.

use super::{Constrains, ConstraintState, IndexState, Qualified, State, Table};

impl State {
    /// Foreign keys of all tables that reference that table, as (referencing
    /// table, constraint), sorted.
    pub fn referencing(&self, table: &Qualified) -> Vec<(&Table, &ConstraintState)> {
        let mut found: Vec<(&Table, &ConstraintState)> = self
            .known(table)
            .into_iter()
            .flat_map(|table| &table.referenced_by)
            .filter_map(|name| self.known(name))
            .flat_map(|from| {
                from.constraints
                    .iter()
                    .filter(|constraint| constraint.references(table))
                    .map(move |constraint| (from, constraint))
            })
            .collect();
        found.sort_by(|a, b| (&a.0.name, &a.1.name).cmp(&(&b.0.name, &b.1.name)));
        found
    }

    /// The constraint of that name, and its table, where the table is known.
    pub fn constraint(&self, table: &Qualified, name: &str) -> Option<(&Table, &ConstraintState)> {
        let table = self.known(table)?;
        Some((table, table.constraint(name)?))
    }

    /// Indexes of a table that name one of the columns anywhere: as a key, in
    /// an expression, included, or in the predicate.
    pub fn indexes_on(&self, table: &Qualified, columns: &[&str]) -> Vec<&IndexState> {
        self.known(table).map_or_else(Vec::new, |table| {
            table
                .indexes
                .iter()
                .filter(|index| columns.iter().any(|column| index.names_column(column)))
                .collect()
        })
    }

    /// An index of the table by which rows with given values in those columns
    /// are found: a valid B-tree (or, for one column, hash index) whose first
    /// keys are the columns in any order, and that has all rows in which none
    /// of them is null.
    pub fn index_covering(&self, table: &Qualified, columns: &[String]) -> Option<&IndexState> {
        self.known(table)?
            .indexes
            .iter()
            .find(|index| index.covers(columns))
    }

    /// Foreign keys of a table without an index on their columns, in order.
    /// Copies that partitions have of their parent's are left out.
    pub fn foreign_keys_without_index(&self, table: &Qualified) -> Vec<&ConstraintState> {
        self.known(table).map_or_else(Vec::new, |known| {
            known
                .constraints
                .iter()
                .filter(|constraint| {
                    matches!(constraint.kind, Constrains::ForeignKey { .. })
                        && constraint.local
                        && !constraint.columns.is_empty()
                        && !known
                            .indexes
                            .iter()
                            .any(|index| index.covers(&constraint.columns))
                })
                .collect()
        })
    }

    /// All tables below a partitioned table or parent, at any depth, sorted.
    pub fn partitions_below(&self, table: &Qualified) -> Vec<&Table> {
        let mut found: Vec<&Table> = self
            .below(table)
            .iter()
            .filter_map(|name| self.known(name))
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// All tables above a partition or child, at any depth, the nearest first.
    pub fn parents_above(&self, table: &Qualified) -> Vec<&Table> {
        let mut seen: Vec<Qualified> = Vec::new();
        let mut next: Vec<Qualified> = self
            .known(table)
            .map(|table| table.parents.clone())
            .unwrap_or_default();
        while !next.is_empty() {
            let mut above = Vec::new();
            for name in next {
                if !seen.contains(&name) {
                    if let Some(parent) = self.known(&name) {
                        above.extend(parent.parents.iter().cloned());
                    }
                    seen.push(name);
                }
            }
            next = above;
        }
        seen.iter().filter_map(|name| self.known(name)).collect()
    }

    /// A validated CHECK of the table proves that the column holds no NULL, so
    /// that SET NOT NULL need not scan (since version 12).
    pub fn not_null_proved(&self, table: &Qualified, column: &str) -> bool {
        self.known(table).is_some_and(|table| {
            table.constraints.iter().any(|constraint| {
                constraint.validated
                    && matches!(&constraint.kind, Constrains::Check { expression }
                        if proves_not_null(&expression.text, column))
            })
        })
    }

    /// Views and materialised views that read the relation, themselves or
    /// through others, sorted.
    pub fn views_reading(&self, relation: &Qualified) -> Vec<&Table> {
        let mut found: Vec<Qualified> = Vec::new();
        let mut next = vec![relation.clone()];
        while let Some(name) = next.pop() {
            if let Some(read) = self.known(&name) {
                for view in &read.read_by {
                    if !found.contains(view) {
                        found.push(view.clone());
                        next.push(view.clone());
                    }
                }
            }
        }
        found.sort();
        found.iter().filter_map(|name| self.known(name)).collect()
    }

    /// Columns of all tables whose type is that one (an enum or a domain), as
    /// (table, number of the column), sorted.
    pub fn columns_of_type(&self, name: &Qualified) -> Vec<(&Table, usize)> {
        let mut found: Vec<(&Table, usize)> = self
            .tables
            .values()
            .flat_map(|table| {
                table
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, column)| column.is_of_type(name))
                    .map(|(at, _)| (table.as_ref(), at))
            })
            .collect();
        found.sort_by(|a, b| (&a.0.name, a.1).cmp(&(&b.0.name, b.1)));
        found
    }

    /// The names of all enums, sorted.
    pub fn enumerations(&self) -> Vec<&super::EnumState> {
        let mut all: Vec<_> = self.enums.values().map(AsRef::as_ref).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// All domains, sorted by name.
    pub fn domains(&self) -> Vec<&super::DomainState> {
        let mut all: Vec<_> = self.domains.values().map(AsRef::as_ref).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// The names of all sequences, sorted; those of serial and identity columns
    /// among them.
    pub fn sequences(&self) -> Vec<&Qualified> {
        self.sequences.sorted_keys()
    }

    /// The names of the schemas that are known, sorted; without `public`.
    pub fn schemas(&self) -> Vec<&str> {
        self.schemas
            .sorted_keys()
            .into_iter()
            .map(|key| key.name.as_str())
            .filter(|name| *name != "public")
            .collect()
    }

    /// Names of all tables below one, each once, parents before children.
    pub(super) fn below(&self, table: &Qualified) -> Vec<Qualified> {
        let mut found: Vec<Qualified> = Vec::new();
        let mut at = 0;
        let children = |name: &Qualified| {
            self.known(name)
                .map(|table| table.children.clone())
                .unwrap_or_default()
        };
        found.extend(children(table));
        while let Some(name) = found.get(at).cloned() {
            for child in children(&name) {
                if !found.contains(&child) && child != *table {
                    found.push(child);
                }
            }
            at += 1;
        }
        found
    }
}

/// The expression says `column IS NOT NULL`, alone or joined to others by AND.
fn proves_not_null(text: &str, column: &str) -> bool {
    let folded: String = text
        .chars()
        .filter(|character| !matches!(character, '(' | ')'))
        .collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    if words.iter().any(|word| {
        ["or", "not", "case", "when", "coalesce"].contains(&word.to_ascii_lowercase().as_str())
            && !words.windows(3).any(|three| {
                matches!(three, [is, not, null]
                    if is.eq_ignore_ascii_case("is")
                        && std::ptr::eq(*not, *word)
                        && null.eq_ignore_ascii_case("null"))
            })
    }) {
        return false;
    }
    words
        .split(|word| word.eq_ignore_ascii_case("and"))
        .any(|part| {
            matches!(part, [name, is, not, null]
                if is_column(name, column)
                    && is.eq_ignore_ascii_case("is")
                    && not.eq_ignore_ascii_case("not")
                    && null.eq_ignore_ascii_case("null"))
        })
}

/// The word as written names the column, quoted or folded.
fn is_column(word: &str, column: &str) -> bool {
    match word
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(quoted) => quoted == column,
        None => word.to_lowercase() == column,
    }
}

impl IndexState {
    /// It has the column as a key, in an expression, included or in its
    /// predicate.
    pub fn names_column(&self, column: &str) -> bool {
        self.keys.iter().any(|key| {
            key.column.as_deref() == Some(column) || key.columns.iter().any(|name| name == column)
        }) || self.include.iter().any(|name| name == column)
            || self
                .predicate
                .as_ref()
                .is_some_and(|predicate| predicate.columns.iter().any(|name| name == column))
    }

    /// See [`State::index_covering`].
    pub fn covers(&self, columns: &[String]) -> bool {
        let usable = match self.method.as_str() {
            "btree" => true,
            "hash" => columns.len() == 1,
            _ => false,
        };
        let leading = || {
            let keys = self.keys.get(..columns.len()).unwrap_or_default();
            !columns.is_empty()
                && keys.len() == columns.len()
                && columns.iter().all(|column| {
                    // A key in another collation than its column's is of no use
                    // to a comparison in that of the column.
                    keys.iter()
                        .any(|key| key.column.as_ref() == Some(column) && key.collation.is_none())
                })
        };
        let whole = || {
            self.predicate.as_ref().is_none_or(|predicate| {
                predicate
                    .columns
                    .iter()
                    .all(|column| columns.contains(column))
                    && !predicate.columns.is_empty()
                    && only_not_null(&predicate.text)
            })
        };
        self.valid && usable && leading() && whole()
    }
}

/// The predicate is only `… IS NOT NULL`, joined by AND.
fn only_not_null(text: &str) -> bool {
    let folded: String = text
        .chars()
        .filter(|character| !matches!(character, '(' | ')'))
        .collect();
    let words: Vec<&str> = folded.split_whitespace().collect();
    words
        .split(|word| word.eq_ignore_ascii_case("and"))
        .all(|part| {
            matches!(part, [_, is, not, null]
                if is.eq_ignore_ascii_case("is")
                    && not.eq_ignore_ascii_case("not")
                    && null.eq_ignore_ascii_case("null"))
        })
}
