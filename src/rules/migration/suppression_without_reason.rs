//! A comment that silences a rule and does not say why.

use super::support::directives::{Asks, directives};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::finding::{Evidence, Origin, Value};
use crate::migration::At;
use crate::rule::migration::{FileEnd, MigrationRule, MigrationSink};
use crate::source::Text;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds a comment `-- pgadvise: ignore RULE` without a reason in
    /// parentheses. The comment silences the rule all the same.
    ///
    /// ## Why it matters
    ///
    /// Whoever reads the migration later cannot tell a decision from an
    /// oversight: whether the table is small, nobody uses it, or nobody looked.
    ///
    /// ## When it is wrong
    ///
    /// When the reason stands in another comment. Move it into the parentheses:
    /// reports show it there.
    ///
    /// ## References
    ///
    /// - [Comments](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS)
    pub struct SuppressionWithoutReason = {
        id: "suppression-without-reason",
        summary: "a comment silences a rule and does not say why",
        level: Note,
        category: Style,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for SuppressionWithoutReason {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        let text = end.context.sources.get(end.file.source);
        for directive in directives(end.file.source, text.map_or("", Text::text)) {
            if directive.asks == Asks::Nothing || directive.suppression.reason.is_some() {
                continue;
            }
            let rules = directive.suppression.rules.join(", ");
            let span = directive.suppression.span;
            sink.report(
                "the suppression gives no reason",
                "nobody can tell later why this was accepted",
                Evidence::new("comment", Value::Text(rules.clone()), Origin::Sql(span)),
            )
            .at(At::file(end.number), span)
            .object(rules.clone())
            .remedy(
                Remedy::new("write the reason in parentheses")
                    .note(format!("-- pgadvise: {} {rules} (reason)", directive.word)),
            );
        }
    }
}
