//! ALTER COLUMN … TYPE to one that holds less.

use super::support::altered::Altered;
use super::support::evidence;
use crate::catalog::ident::quote;
use crate::declare_migration_rule;
use crate::finding::migration::Remedy;
use crate::rule::migration::{MigrationRule, MigrationSink, Step};
use crate::sql::ddl::{AlterKind, TypeName};

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds `ALTER COLUMN … TYPE` to a type that holds less than the old one:
    /// `bigint` to `integer`, a shorter `varchar`, `text` to `varchar(n)`, a
    /// `numeric` of smaller precision or scale, `timestamp` to `date`.
    ///
    /// ## Why it matters
    ///
    /// Values that do not fit make the migration fail (numbers out of range,
    /// texts too long) or lose what does not fit (digits behind the point, the
    /// time of day, spaces).
    ///
    /// ## When it is wrong
    ///
    /// When the values are known to fit, or the loss is wanted.
    ///
    /// ## References
    ///
    /// - [ALTER TABLE](https://www.postgresql.org/docs/current/sql-altertable.html)
    pub struct ColumnTypeNarrowed = {
        id: "column-type-narrowed",
        summary: "a column gets a type that may not hold its values",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for ColumnTypeNarrowed {
    fn step(&self, step: &Step<'_>, sink: &mut MigrationSink) {
        let Some(altered) = Altered::of(step) else {
            return;
        };
        for (_, command) in altered.commands() {
            let AlterKind::SetType {
                column,
                type_name: new,
                ..
            } = &command.kind
            else {
                continue;
            };
            let Some(old) = altered
                .state
                .and_then(|table| table.column(column))
                .and_then(|column| column.type_name.as_ref())
            else {
                continue;
            };
            let Some(narrowed) = narrowed(old, new) else {
                continue;
            };
            let quoted = quote(column);
            let check = match narrowed.check {
                Some(check) => check.replace("{}", &quoted),
                None => format!("{quoted} IS NOT NULL"),
            };
            sink.report(
                format!(
                    "{column} of {} may hold values that {} cannot",
                    altered.table, new.text
                ),
                format!("it was {}: {}", old.text, narrowed.outcome),
                evidence::statement(step),
            )
            .span(command.span)
            .relation(altered.table)
            .object(column.clone())
            .remedy(
                Remedy::new("look for values that do not fit first").then(format!(
                    "SELECT count(*) FROM {} WHERE {check}",
                    altered.sql
                )),
            );
        }
    }
}

/// What becomes of values that do not fit, and how to find them.
struct Narrowed {
    outcome: &'static str,
    /// A condition on the column, `{}`.
    check: Option<String>,
}

const TOO_LONG: &str = "a longer text makes the migration fail";
const OUT_OF_RANGE: &str = "a number out of range makes the migration fail";

fn narrowed(old: &TypeName, new: &TypeName) -> Option<Narrowed> {
    if old.array != new.array {
        return None;
    }
    let number = |type_name: &TypeName, at: usize| -> Option<u32> {
        type_name
            .modifiers
            .get(at)
            .and_then(|text| text.parse().ok())
    };
    let (from, to) = (old.base.name.as_str(), new.base.name.as_str());
    let found = |outcome, check: Option<String>| {
        Some(Narrowed {
            outcome,
            check: check.filter(|_| !old.array),
        })
    };
    let range =
        |limits: (&str, &str)| Some(format!("{{}} NOT BETWEEN {} AND {}", limits.0, limits.1));
    let int4 = ("-2147483648", "2147483647");
    let int2 = ("-32768", "32767");
    match (from, to) {
        ("int8", "int4") => found(OUT_OF_RANGE, range(int4)),
        ("int8" | "int4", "int2") => found(OUT_OF_RANGE, range(int2)),
        ("numeric" | "float8" | "float4", "int8" | "int4" | "int2") => found(
            "digits behind the point are rounded away, and a number out of range makes the \
             migration fail",
            Some("{} <> trunc({})".to_owned()),
        ),
        ("float8", "float4") => found(
            "digits beyond the sixth are lost",
            Some("{} <> {}::real".to_owned()),
        ),
        ("timestamp" | "timestamptz", "date") => found(
            "the time of day is lost",
            Some("{}::time <> '00:00'".to_owned()),
        ),
        ("text" | "varchar" | "bpchar", "varchar" | "bpchar") => {
            let length = |type_name: &TypeName| match type_name.base.name.as_str() {
                // `char` alone is one letter.
                "bpchar" => Some(number(type_name, 0).unwrap_or(1)),
                "varchar" => number(type_name, 0),
                _ => None,
            };
            let limit = length(new)?;
            if length(old).is_some_and(|old| old <= limit) {
                return None;
            }
            found(TOO_LONG, Some(format!("length({{}}) > {limit}")))
        }
        ("numeric", "numeric") => {
            let precision = number(new, 0)?;
            let scale = number(new, 1).unwrap_or(0);
            let whole = i64::from(precision) - i64::from(scale);
            let old_scale = number(old, 0).map(|_| number(old, 1).unwrap_or(0));
            let old_whole = number(old, 0)
                .zip(old_scale)
                .map(|(precision, scale)| i64::from(precision) - i64::from(scale));
            let less_scale = old_scale.is_none_or(|old| old > scale);
            let less_whole = old_whole.is_none_or(|old| old > whole);
            match (less_whole, less_scale) {
                (false, false) => None,
                (false, true) => found(
                    "digits behind the point are rounded away",
                    Some(format!("{{}} <> round({{}}, {scale})")),
                ),
                (true, false) => found(
                    OUT_OF_RANGE,
                    Some(format!("abs({{}}) >= 10::numeric ^ {whole}")),
                ),
                (true, true) => found(
                    "digits behind the point are rounded away, and a number out of range makes \
                     the migration fail",
                    Some(format!(
                        "abs({{}}) >= 10::numeric ^ {whole} OR {{}} <> round({{}}, {scale})"
                    )),
                ),
            }
        }
        _ => None,
    }
}
