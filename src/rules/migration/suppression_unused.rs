//! A comment that silences a rule which finds nothing there.

use crate::declare_migration_rule;
use crate::rule::migration::MigrationRule;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds a comment `-- pgadvise: ignore RULE (reason)` whose rule finds
    /// nothing in the statement, and `ignore-file` whose rule finds nothing in
    /// the file. A rule that could not run, or is switched off, might have found
    /// something: its comments are left alone.
    ///
    /// ## Why it matters
    ///
    /// It tells readers of a danger that is not there, and it would silence one
    /// that comes later.
    ///
    /// ## When it is wrong
    ///
    /// When the finding depends on something that this run was not given, such
    /// as another `--pg-version`.
    ///
    /// ## References
    ///
    /// - [Comments](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS)
    pub struct SuppressionUnused = {
        id: "suppression-unused",
        summary: "a comment silences a rule that finds nothing there",
        level: Note,
        category: Style,
        on: true,
        since: "0.1.0",
    }
}

// What comments silence is known only after all rules have run: the engine
// reports it under this name.
impl MigrationRule for SuppressionUnused {}
