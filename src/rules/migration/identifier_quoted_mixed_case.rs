//! A name that must always be quoted.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds new tables, columns, indexes and constraints whose name has
    /// capitals, blanks or other characters that it keeps only in double
    /// quotes.
    ///
    /// ## Why it matters
    ///
    /// Every query must quote it from then on: `SELECT userId` looks for
    /// `userid` and fails.
    ///
    /// ## When it is wrong
    ///
    /// When a program writes all queries, as object-relational mappers do.
    ///
    /// ## References
    ///
    /// - [Identifiers](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS)
    pub struct IdentifierQuotedMixedCase = {
        id: "identifier-quoted-mixed-case",
        summary: "a name has capitals or other characters, and must be quoted for ever",
        level: Note,
        category: Style,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for IdentifierQuotedMixedCase {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        for (what, name, span) in definitions::names(step) {
            let plain = name.starts_with(|c: char| c.is_lowercase() || c == '_')
                && name
                    .chars()
                    .all(|c| c.is_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
            if plain || name.is_empty() {
                continue;
            }
            sink.report(
                format!("the {what} \"{name}\" must be quoted wherever it is named"),
                "without quotes PostgreSQL folds the name to lower case, and does not find it",
                evidence::statement(step),
            )
            .span(span)
            .object(name)
            .remedy(Remedy::new("use lower case with underscores"));
        }
    }
}
