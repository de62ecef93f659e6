//! SECURITY DEFINER without a search path of its own.

use super::support::{around, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::Direction;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `CREATE FUNCTION` and `CREATE PROCEDURE` with `SECURITY DEFINER`
    /// that do not set `search_path`.
    ///
    /// ## Why it matters
    ///
    /// The function runs with the rights of its owner, but finds tables,
    /// functions and operators by the search path of whoever calls it. A
    /// caller who can create objects in any schema on it (a temporary table
    /// is enough) can make the function use theirs.
    ///
    /// ## When it is wrong
    ///
    /// When every name in the function is written with its schema, operators
    /// included, and it makes no use of anything else.
    ///
    /// ## References
    ///
    /// - [Writing SECURITY DEFINER functions safely](https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY)
    pub struct FunctionWithoutSearchPath = {
        id: "function-without-search-path",
        summary: "a SECURITY DEFINER function finds its tables by the search path of its caller",
        level: Warning,
        category: Compatibility,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for FunctionWithoutSearchPath {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Action::CreateFunction(create) = &step.statement.action else {
            return;
        };
        if !create.security_definer
            || create.sets_search_path
            || step.part.direction == Direction::Down
        {
            return;
        }
        let later = around::behind(step).any(|statement| match &statement.action {
            Action::AlterOther {
                name: Some(name), ..
            } => {
                name.name == create.name.name
                    && step
                        .text(statement.span)
                        .to_lowercase()
                        .contains("search_path")
            }
            // A later definition in the same change takes its place.
            Action::CreateFunction(later) => later.or_replace && later.name == create.name,
            _ => false,
        });
        if later {
            return;
        }
        sink.report(
            format!("{} runs with its owner's rights on its caller's search path", create.name),
            "a caller can put tables and functions of their own into its way",
            evidence::statement(step),
        )
        .object(create.name.to_string())
        .remedy(
            Remedy::new("write SET search_path behind SECURITY DEFINER")
                .note("SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp: name the schemas that the function uses; pg_temp last, so that temporary tables of the caller are not found first."),
        );
    }
}
