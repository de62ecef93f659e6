//! A name that PostgreSQL cuts.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds names of tables, columns, indexes and constraints that are longer
    /// than 63 bytes.
    ///
    /// ## Why it matters
    ///
    /// PostgreSQL cuts them to 63 bytes with no more than a NOTICE. Two long
    /// names that begin alike then clash, and a program that looks the name up
    /// in the catalogue does not find it.
    ///
    /// ## When it is wrong
    ///
    /// When PostgreSQL was built with a larger NAMEDATALEN.
    ///
    /// ## References
    ///
    /// - [Identifiers](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS)
    pub struct IdentifierTooLong = {
        id: "identifier-too-long",
        summary: "a name has more than 63 bytes, and is cut",
        level: Note,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

/// `NAMEDATALEN` is 64, with the zero byte at the end.
const MOST: usize = 63;

impl MigrationRule for IdentifierTooLong {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        for (what, name, span) in definitions::names(step) {
            if name.len() <= MOST {
                continue;
            }
            let mut end = MOST;
            while !name.is_char_boundary(end) {
                end -= 1;
            }
            let cut = name.get(..end).unwrap_or(name);
            sink.report(
                format!(
                    "the name of the {what} has {} bytes, and is cut to {cut}",
                    name.len()
                ),
                "PostgreSQL keeps 63 bytes of a name; others that begin alike clash with it, and \
                 nobody finds it by its whole name",
                evidence::statement(step),
            )
            .span(span)
            .object(name)
            .remedy(Remedy::new("choose a name of at most 63 bytes"));
        }
    }
}
