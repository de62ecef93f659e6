//! A table as the statistics commands name it, and those commands.

use crate::catalog::{Catalog, Relation, ident};
use crate::finding::{Applicability, Change, SideEffect, Suggestion};
use crate::plan::PlanNode;
use crate::subject::Subject;

use super::TARGET;

/// A table as the statistics commands name it.
pub(crate) struct Table<'a> {
    /// From the catalogue, where there is one.
    pub(crate) relation: Option<&'a Relation>,
    /// Schema and name; the schema empty when it is not known.
    pub(crate) key: (String, String),
    /// As written in SQL.
    pub(crate) display: String,
}

impl<'a> Table<'a> {
    /// The table of a catalogue entry.
    pub(crate) fn of(relation: &'a Relation, catalog: &Catalog) -> Self {
        Self {
            relation: Some(relation),
            key: (relation.schema.clone(), relation.name.clone()),
            display: relation.display_name(catalog),
        }
    }

    pub(super) fn of_node(subject: &Subject<'a>, node: &PlanNode) -> Option<Self> {
        if let (Some(relation), Some(catalog)) = (subject.relation_of_node(node), subject.catalog) {
            return Some(Self::of(relation, catalog));
        }
        let name = node.relation.name.clone()?;
        let schema = node.relation.schema.clone();
        let display = match &schema {
            Some(schema) => format!("{}.{}", ident::quote(schema), ident::quote(&name)),
            None => ident::quote(&name),
        };
        Some(Self {
            relation: None,
            key: (schema.unwrap_or_default(), name),
            display,
        })
    }

    /// `ANALYZE` of the table.
    pub(crate) fn analyze(&self) -> Suggestion {
        Suggestion::untested(
            format!("analyse {}", self.display),
            Change::Analyze {
                sql: format!("ANALYZE {};", self.display),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        )
    }

    pub(super) fn create_statistics(
        &self,
        label: &str,
        kinds: &str,
        on: &[String],
        finer: bool,
        title: &str,
    ) -> Suggestion {
        let name = ident::quote(&short(&format!("{}_{label}_stats", self.key.1)));
        let target = if finer {
            format!("ALTER STATISTICS {name} SET STATISTICS {TARGET};\n")
        } else {
            String::new()
        };
        let kinds = if kinds.is_empty() {
            String::new()
        } else {
            format!(" ({kinds})")
        };
        let mut suggestion = Suggestion::untested(
            title.to_owned(),
            Change::CreateStatistics {
                sql: format!(
                    "CREATE STATISTICS {name}{kinds} ON {} FROM {};\n{target}ANALYZE {};",
                    on.join(", "),
                    self.display,
                    self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        );
        suggestion.side_effects.push(SideEffect::Writes(
            "none on writes; ANALYZE of the table takes a little longer".to_owned(),
        ));
        suggestion
    }

    pub(super) fn finer_object(&self, name: &str) -> Suggestion {
        let name = object_name(self, name);
        Suggestion::untested(
            format!("collect finer statistics in {name}"),
            Change::CreateStatistics {
                sql: format!(
                    "ALTER STATISTICS {name} SET STATISTICS {TARGET};\nANALYZE {};",
                    self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        )
    }

    pub(super) fn raise_target(&self, column: &str) -> Suggestion {
        let column = ident::quote(column);
        Suggestion::untested(
            format!("collect finer statistics of {}.{column}", self.display),
            Change::Analyze {
                sql: format!(
                    "ALTER TABLE {} ALTER COLUMN {column} SET STATISTICS {TARGET};\nANALYZE {};",
                    self.display, self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        )
    }

    /// Sets how many different values the column has, as ANALYZE is to believe
    /// from now on.
    pub(super) fn set_distinct(&self, column: &str, values: f64, rows: f64) -> Suggestion {
        let column = ident::quote(column);
        // As a share of the rows it goes on to fit when the table grows.
        let share = values / rows.max(1.0);
        let number = if share > 0.1 {
            format!("-{:.2}", share.min(1.0))
        } else {
            round(values)
        };
        let mut suggestion = Suggestion::untested(
            format!(
                "tell how many different values {}.{column} has",
                self.display
            ),
            Change::Analyze {
                sql: format!(
                    "ALTER TABLE {} ALTER COLUMN {column} SET (n_distinct = {number});\nANALYZE {};",
                    self.display, self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        );
        suggestion.side_effects.push(SideEffect::Caller(
            "ANALYZE no longer counts them: RESET (n_distinct) when the data changes its nature"
                .to_owned(),
        ));
        suggestion
    }
}

impl Table<'_> {
    /// Column statistics are at hand.
    pub(super) fn has_statistics(&self) -> bool {
        self.relation
            .is_some_and(|relation| relation.columns.iter().any(|column| column.stats.is_some()))
    }

    /// No value of the column occurs twice.
    pub(super) fn is_unique(&self, column: &str) -> bool {
        self.relation.is_some_and(|relation| {
            relation.indexes.iter().any(|index| {
                index.unique
                    && index.valid
                    && index.predicate.is_none()
                    && index.keys.len() == 1
                    && index.leading_column() == Some(column)
            })
        })
    }
}

/// With two digits, the others zero: what is measured once is no more exact.
pub(super) fn round(number: f64) -> String {
    let size = 10_f64.powf((number.max(1.0).log10().floor() - 1.0).max(0.0));
    format!("{:.0}", (number / size).round() * size)
}

/// The most different values that one of the columns has, where known.
pub(super) fn distinct_values(table: &Table<'_>, columns: &[&str]) -> Option<f64> {
    let relation = table.relation?;
    columns
        .iter()
        .map(|name| {
            let stats = relation.column(name)?.stats.as_ref()?;
            Some(stats.distinct(relation.rows()))
        })
        .try_fold(1.0_f64, |most, next| next.map(|next| most.max(next)))
}

/// A name of at most 63 bytes, as the server takes it.
pub(super) fn short(name: &str) -> String {
    let mut short = String::new();
    for character in name.chars() {
        if short.len() + character.len_utf8() > 63 {
            break;
        }
        short.push(character);
    }
    short
}

fn object_name(table: &Table<'_>, name: &str) -> String {
    if table.key.0.is_empty() || table.key.0 == "public" {
        ident::quote(name)
    } else {
        format!("{}.{}", ident::quote(&table.key.0), ident::quote(name))
    }
}
