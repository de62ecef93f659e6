//! What goes with a function, a sequence or an extension that is dropped with
//! CASCADE.

use super::{Constrains, Qualified, State, Table};
use crate::catalog::ident;
use crate::sql::ddl::Name;

/// Types that extensions make, other than one of the extension's own name.
const TYPES: [(&str, &[&str]); 4] = [
    ("postgis", &["geometry", "geography", "box2d", "box3d"]),
    ("postgis_raster", &["raster"]),
    ("vector", &["halfvec", "sparsevec"]),
    ("isn", &["ean13", "isbn", "isbn13", "ismn", "issn", "upc"]),
];

impl State {
    /// The table has a trigger, a default, a CHECK or an index that calls a
    /// function of that name.
    pub fn uses_function(&self, table: &Table, name: &Name) -> bool {
        table
            .triggers
            .iter()
            .any(|trigger| is_same(&trigger.function, name))
            || table.columns.iter().any(|column| {
                column
                    .default
                    .as_ref()
                    .is_some_and(|default| calls(default, &name.name))
            })
            || table.constraints.iter().any(|constraint| {
                matches!(&constraint.kind, Constrains::Check { expression }
                    if expression.functions.iter().any(|one| is_same(one, name)))
            })
            || table.indexes.iter().any(|index| is_called(index, name))
    }

    /// Columns whose default takes its values from a sequence, as `(table,
    /// column)`, sorted.
    pub fn defaults_of_sequence(&self, sequence: &Qualified) -> Vec<(Qualified, String)> {
        let mut found: Vec<(Qualified, String)> = Vec::new();
        for table in self.tables() {
            for column in &table.columns {
                if column
                    .default
                    .as_ref()
                    .is_some_and(|default| takes_from(default, sequence))
                {
                    found.push((table.name.clone(), column.name.clone()));
                }
            }
        }
        found
    }

    /// `DROP FUNCTION … CASCADE`.
    pub(super) fn drop_function_users(&mut self, name: &Name) {
        for table in self
            .tables
            .keys_where(|_, table| !table.name.name.is_empty())
        {
            let Some(known) = self.known(&table) else {
                continue;
            };
            if !self.uses_function(known, name) {
                continue;
            }
            let indexes: Vec<Qualified> = known
                .indexes
                .iter()
                .filter(|index| is_called(index, name))
                .map(|index| Qualified::new(&table.schema, &index.name))
                .collect();
            let checks: Vec<String> = known
                .constraints
                .iter()
                .filter(|constraint| {
                    matches!(&constraint.kind, Constrains::Check { expression }
                        if expression.functions.iter().any(|one| is_same(one, name)))
                })
                .map(|constraint| constraint.name.clone())
                .collect();
            for index in indexes {
                self.drop_index(&index);
            }
            for check in checks {
                self.take_constraint(&table, &check);
            }
            if let Some(known) = self.edit(&table) {
                known
                    .triggers
                    .retain(|trigger| !is_same(&trigger.function, name));
                for column in &mut known.columns {
                    if column
                        .default
                        .as_ref()
                        .is_some_and(|default| calls(default, &name.name))
                    {
                        column.default = None;
                    }
                }
            }
        }
    }

    /// `DROP SEQUENCE … CASCADE`.
    pub(super) fn drop_sequence_users(&mut self, sequence: &Qualified) {
        for (table, column) in self.defaults_of_sequence(sequence) {
            if let Some(column) = self
                .edit(&table)
                .and_then(|table| table.column_mut(&column))
            {
                column.default = None;
            }
        }
    }

    /// `DROP EXTENSION … CASCADE`: columns of its types.
    pub(super) fn drop_extension_users(&mut self, extension: &str) {
        let others = TYPES
            .iter()
            .find(|(name, _)| *name == extension)
            .map_or::<&[&str], _>(&[], |(_, types)| types);
        let is_its = |base: &Name| base.name == extension || others.contains(&base.name.as_str());
        for table in self.tables.keys_where(|_, table| {
            table
                .columns
                .iter()
                .any(|column| column.type_name.as_ref().is_some_and(|of| is_its(&of.base)))
        }) {
            let columns: Vec<String> =
                self.known(&table)
                    .into_iter()
                    .flat_map(|table| &table.columns)
                    .filter(|column| {
                        column.type_name.as_ref().is_some_and(|of| {
                            is_its(&of.base) && self.resolve_type(&of.base).is_none()
                        })
                    })
                    .map(|column| column.name.clone())
                    .collect();
            for column in columns {
                self.drop_column_here(&table, &column);
            }
        }
    }
}

/// The same name, where a schema is written in one only, too.
fn is_same(one: &Name, other: &Name) -> bool {
    one.name == other.name
        && (one.schema.is_none() || other.schema.is_none() || one.schema == other.schema)
}

fn is_called(index: &super::IndexState, name: &Name) -> bool {
    index
        .keys
        .iter()
        .flat_map(|key| &key.functions)
        .chain(index.predicate.iter().flat_map(|one| &one.functions))
        .any(|one| is_same(one, name))
}

/// An expression calls a function of that name.
fn calls(text: &str, name: &str) -> bool {
    let quoted = ident::quote(name);
    let lower = text.to_lowercase();
    [name, quoted.as_str()].iter().any(|name| {
        lower
            .match_indices(&name.to_lowercase())
            .any(|(at, found)| {
                let before = lower.get(..at).and_then(|head| head.chars().next_back());
                let after = lower.get(at + found.len()..).unwrap_or_default();
                before.is_none_or(|one| !(one.is_alphanumeric() || one == '_' || one == '"'))
                    && after.trim_start().starts_with('(')
            })
    })
}

/// `nextval('sequence')`, the name written with its schema or without.
fn takes_from(default: &str, sequence: &Qualified) -> bool {
    if !calls(default, "nextval") {
        return false;
    }
    default.split('\'').skip(1).step_by(2).any(|name| {
        let mut parts = name.rsplitn(2, '.').map(ident::fold);
        parts.next().as_deref() == Some(sequence.name.as_str())
            && parts.next().is_none_or(|schema| schema == sequence.schema)
    })
}

#[cfg(test)]
mod tests {
    use super::{Qualified, calls, takes_from};

    #[test]
    fn a_function_is_called_only_by_its_whole_name() {
        assert!(calls("public.f(1)", "f"));
        assert!(calls("\"F\" (1)", "F"));
        assert!(!calls("of(1)", "f"));
        assert!(!calls("f", "f"));
    }

    #[test]
    fn a_sequence_is_found_in_nextval() {
        let sequence = Qualified::new("public", "a_seq");
        assert!(takes_from("nextval('a_seq')", &sequence));
        assert!(takes_from("nextval('public.a_seq'::regclass)", &sequence));
        assert!(!takes_from("nextval('other.a_seq')", &sequence));
        assert!(!takes_from("'a_seq'", &sequence));
    }
}
