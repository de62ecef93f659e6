//! A column of a type that another one serves better.

use super::support::{definitions, evidence};
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::migration::state::Qualified;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{Action, AlterKind, TypeName};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds new columns of `json`, `char(n)`, `varchar(n)`, `money`,
    /// `timestamp` without time zone and `time with time zone`, and columns
    /// changed to one of them.
    ///
    /// ## Why it matters
    ///
    /// Each has a trap:
    ///
    /// - `json` keeps the text as it came: no equality, so that DISTINCT and GROUP BY fail, and no GIN index. `jsonb` has both.
    /// - `char(n)` fills up with blanks, and is no faster than `text`.
    /// - `varchar(n)` is `text` with a limit that takes an ALTER to change; making it shorter reads the table.
    /// - `money` rounds to what `lc_monetary` says, and changes its meaning with it.
    /// - `timestamp` does not say which moment it is; `timestamptz` does, in the same 8 bytes.
    /// - `time with time zone` cannot know daylight saving time.
    ///
    /// ## When it is wrong
    ///
    /// When the column must be what another system sends, or local time without
    /// a place is meant: opening hours.
    ///
    /// ## References
    ///
    /// - [Character types](https://www.postgresql.org/docs/current/datatype-character.html)
    /// - [Date/time types](https://www.postgresql.org/docs/current/datatype-datetime.html)
    /// - [JSON types](https://www.postgresql.org/docs/current/datatype-json.html)
    /// - [Monetary types](https://www.postgresql.org/docs/current/datatype-money.html)
    pub struct ColumnTypeDiscouraged = {
        id: "column-type-discouraged",
        summary: "a column has a type that another one serves better",
        level: Note,
        category: Design,
        on: false,
        since: "0.1.0",
    }
}

impl MigrationRule for ColumnTypeDiscouraged {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        for (table, column) in definitions::columns(step) {
            if let Some(type_name) = &column.type_name {
                look_at(step, sink, &table, &column.name, type_name);
            }
        }
        let Action::Alter(alter) = &step.statement.action else {
            return;
        };
        for command in &alter.commands {
            if let AlterKind::SetType {
                column, type_name, ..
            } = &command.kind
                && definitions::is_up(step)
            {
                let table = step.before.qualify(&alter.relation.name);
                look_at(step, sink, &table, column, type_name);
            }
        }
    }
}

fn look_at(
    step: &Step<'_>,
    sink: &mut MigrationSink,
    table: &Qualified,
    column: &str,
    type_name: &TypeName,
) {
    let limited = !type_name.modifiers.is_empty();
    let (why, instead) = match type_name.base.name.as_str() {
        "json" => (
            "json has no equality and no GIN index: DISTINCT and GROUP BY on it fail",
            "use jsonb",
        ),
        "bpchar" => (
            "char fills its values up with blanks, which comparisons then overlook",
            "use text, with a CHECK where the length matters",
        ),
        "varchar" if limited => (
            "the limit takes an ALTER TABLE to change, and making it shorter reads the table",
            "use text, with a CHECK where the length matters",
        ),
        "money" => (
            "money rounds and prints as lc_monetary says, and changes its meaning with it",
            "use numeric",
        ),
        "timestamp" => (
            "timestamp does not say which moment it is: sessions of other time zones read \
             another one",
            "use timestamptz, which takes the same 8 bytes",
        ),
        "timetz" => (
            "a time of day with a time zone cannot know daylight saving time",
            "use timestamptz, or time",
        ),
        _ => return,
    };
    sink.report(
        format!("{column} of {table} is {}", type_name.text),
        why,
        evidence::statement(step),
    )
    .span(type_name.span)
    .relation(table)
    .object(column)
    .remedy(Remedy::new(instead));
}
