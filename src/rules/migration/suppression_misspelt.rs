//! A comment that speaks to pgadvise and names nothing that there is.

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
    /// Finds comments that begin with `pgadvise:` and do not say `ignore` or
    /// `ignore-file` next, or that name a rule that does not exist, or none.
    ///
    /// ## Why it matters
    ///
    /// Such a comment silences nothing: a word that pgadvise does not know never
    /// silences a rule, a statement or a file. Whoever wrote it believes
    /// otherwise.
    ///
    /// ## When it is wrong
    ///
    /// When the comment is for a newer pgadvise that knows more rules.
    ///
    /// ## References
    ///
    /// - [Comments](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS)
    pub struct SuppressionMisspelt = {
        id: "suppression-misspelt",
        summary: "a comment for pgadvise names no rule that exists, and silences nothing",
        level: Warning,
        category: Style,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for SuppressionMisspelt {
    fn file(&self, end: &FileEnd<'_>, sink: &mut MigrationSink) {
        let text = end.context.sources.get(end.file.source);
        for directive in directives(end.file.source, text.map_or("", Text::text)) {
            let span = directive.suppression.span;
            let mut tell = |message: String, word: &str, remedy: Remedy| {
                sink.report(
                    message,
                    "what pgadvise does not know silences nothing",
                    Evidence::new("comment", Value::Text(word.to_owned()), Origin::Sql(span)),
                )
                .at(At::file(end.number), span)
                .object(word)
                .remedy(remedy);
            };
            if directive.asks == Asks::Nothing {
                tell(
                    format!("pgadvise: {} asks for nothing", directive.word),
                    &directive.word,
                    Remedy::new("write ignore RULE (reason), or ignore-file RULE (reason)"),
                );
                continue;
            }
            if directive.suppression.rules.is_empty() {
                tell(
                    format!("pgadvise: {} names no rule", directive.word),
                    &directive.word,
                    Remedy::new("name the rules that it is for"),
                );
            }
            for rule in &directive.suppression.rules {
                if is_known(rule) {
                    continue;
                }
                let remedy = match nearest(rule) {
                    Some(near) => Remedy::new(format!("write {near}")),
                    None => Remedy::new("remove it, or write the reason in parentheses")
                        .note("pgadvise rules lists the names."),
                };
                tell(format!("there is no rule {rule}"), rule, remedy);
            }
        }
    }
}

/// Rules about queries are silenced by the same comments.
fn is_known(name: &str) -> bool {
    super::find(name).is_some() || crate::rules::find(name).is_some()
}

fn nearest(name: &str) -> Option<&'static str> {
    let known: Vec<&'static str> = super::ALL.iter().map(|rule| rule.meta().id).collect();
    crate::rule::nearest::nearest(name, &known)
}
