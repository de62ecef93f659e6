//! SQL that is put together at run time.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds DO blocks that EXECUTE a text which is put together when they run,
    /// and blocks whose code could not be read.
    ///
    /// ## Why it matters
    ///
    /// What such a text does was not checked: that nothing was found in it says
    /// nothing.
    ///
    /// ## When it is wrong
    ///
    /// It is never wrong, and often harmless: read the block, and suppress the
    /// note with the reason.
    ///
    /// ## References
    ///
    /// - [Executing dynamic commands](https://www.postgresql.org/docs/current/plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN)
    pub struct DynamicSqlNotSeen = {
        id: "dynamic-sql-not-seen",
        summary: "a DO block runs SQL that is put together when it runs, which was not checked",
        level: Note,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for DynamicSqlNotSeen {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::Do(body) = &step.statement.action else {
            return;
        };
        if !definitions::is_up(step) {
            return;
        }
        let remedy = Remedy::new("read what it runs, and suppress this with the reason");
        let more = body.dynamic.len().saturating_sub(1);
        let message = match (body.dynamic.first(), body.unread) {
            (Some(_), _) if more > 0 => format!(
                "the block runs SQL that is put together when it runs, here and at {more} more \
                 place{}",
                if more == 1 { "" } else { "s" }
            ),
            (Some(_), _) => "the block runs SQL that is put together when it runs".to_owned(),
            (None, true) => format!("the block's code in {} could not be read", body.language),
            (None, false) => return,
        };
        sink.report(
            message,
            "what that does was not checked",
            evidence::statement(step),
        )
        .span(body.dynamic.first().copied().unwrap_or(step.statement.span))
        .remedy(remedy);
    }
}
