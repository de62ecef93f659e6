//! Indexes of partitioned tables, and bounds of partitions as conditions.

use crate::catalog::ident::quote;
use crate::finding::migration::Remedy;
use crate::migration::state::{Qualified, Table};
use crate::rule::migration::Step;
use crate::sql::ddl::Constraint;

use super::altered::Altered;
use super::{names, safe};

/// Partitions whose statements are written out.
const WRITTEN: usize = 20;

/// An index to build on a partitioned table.
pub(crate) struct Wanted<'a> {
    /// Its name.
    pub(crate) name: String,
    /// It is unique.
    pub(crate) unique: bool,
    /// The table as SQL.
    pub(crate) table: String,
    /// What stands behind the table: `USING btree (a) WHERE b`.
    pub(crate) tail: String,
    /// Columns, for names.
    pub(crate) columns: Vec<String>,
    /// What is known of the table.
    pub(crate) state: Option<&'a Table>,
}

/// The unique index of a partitioned table, partition by partition.
pub(crate) fn unique(
    step: &Step<'_>,
    altered: &Altered<'_, '_>,
    constraint: &Constraint,
    name: String,
) -> Remedy {
    let remedy = build(
        Remedy::new("build the unique index partition by partition, CONCURRENTLY"),
        step,
        &Wanted {
            name,
            unique: true,
            table: altered.sql.to_owned(),
            tail: format!(" ({})", safe::columns(&constraint.columns)),
            columns: constraint.columns.clone(),
            state: altered.state,
        },
    )
    .note(
        "A partitioned table cannot make an index its constraint (USING INDEX): the unique index \
         alone keeps the rows unique.",
    );
    safe::outside(step, remedy)
}

/// The steps: the index on the table alone, one on each partition, attached.
pub(crate) fn build(mut remedy: Remedy, step: &Step<'_>, wanted: &Wanted<'_>) -> Remedy {
    let unique = if wanted.unique { "UNIQUE " } else { "" };
    let name = quote(&wanted.name);
    let schema = wanted
        .state
        .filter(|table| table.name.schema != "public")
        .map(|table| format!("{}.", quote(&table.name.schema)))
        .unwrap_or_default();
    remedy = remedy.then(format!(
        "CREATE {unique}INDEX {name} ON ONLY {}{}",
        wanted.table, wanted.tail
    ));
    let children: &[Qualified] = wanted
        .state
        .map(|table| table.children.as_slice())
        .unwrap_or_default();
    let mut nested = false;
    for child in children.iter().take(WRITTEN) {
        let index = names::object(&child.name, &wanted.columns, "idx");
        let only = step.before.known(child).is_some_and(Table::is_partitioned);
        nested |= only;
        let how = if only { "INDEX" } else { "INDEX CONCURRENTLY" };
        let on = if only { "ONLY " } else { "" };
        let sql = format!(
            "CREATE {unique}{how} {} ON {on}{}{}",
            quote(&index),
            child.sql(),
            wanted.tail
        );
        remedy = if only {
            remedy.then_apart(sql)
        } else {
            remedy.then_outside(sql)
        };
        let child_schema = if child.schema == "public" {
            String::new()
        } else {
            format!("{}.", quote(&child.schema))
        };
        remedy = remedy.then_apart(format!(
            "ALTER INDEX {schema}{name} ATTACH PARTITION {child_schema}{}",
            quote(&index)
        ));
    }
    if children.is_empty() {
        remedy = remedy.note(
            "Then for each partition: CREATE INDEX CONCURRENTLY on it, and ALTER INDEX … ATTACH \
             PARTITION.",
        );
    } else if children.len() > WRITTEN {
        remedy = remedy.note(format!(
            "And the same for the other {} partitions.",
            children.len() - WRITTEN
        ));
    }
    if nested {
        remedy = remedy.note("Do the same one level down for partitions that have partitions.");
    }
    remedy.note(
        "The index becomes valid, and is used by the planner for the whole table, when all \
         partitions are attached.",
    )
}

/// The condition that rows of a partition fulfil, where its bound is of one
/// column; what ATTACH PARTITION recognises as proof.
pub(crate) fn condition(table: &Table, bound: &str) -> Option<String> {
    let (strategy, keys) = table.partition_by.as_ref()?;
    let [key] = keys.as_slice() else {
        return None;
    };
    table.column(key)?;
    let key = quote(key);
    let upper = bound.to_ascii_uppercase();
    match strategy.as_str() {
        "range" => {
            let from = between(bound, &upper, "FROM")?;
            let to = between(bound, &upper, "TO")?;
            let mut parts = vec![format!("{key} IS NOT NULL")];
            for (value, operator) in [(from, ">="), (to, "<")] {
                match value.to_ascii_uppercase().as_str() {
                    "MINVALUE" | "MAXVALUE" => {}
                    _ => parts.push(format!("{key} {operator} {value}")),
                }
            }
            Some(parts.join(" AND "))
        }
        "list" => {
            let values = between(bound, &upper, " IN")?;
            if upper.contains("NULL") {
                return None;
            }
            Some(format!("{key} IS NOT NULL AND {key} IN ({values})"))
        }
        _ => None,
    }
}

/// What stands in the parentheses behind a word.
fn between<'a>(text: &'a str, upper: &str, word: &str) -> Option<&'a str> {
    let behind = upper.find(word)? + word.len();
    let rest = text.get(behind..)?;
    let open = rest.find('(')?;
    if !rest.get(..open)?.trim().is_empty() {
        return None;
    }
    let mut depth = 0_usize;
    let mut quoted = false;
    for (at, letter) in rest.char_indices().skip_while(|(at, _)| *at < open) {
        match letter {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return rest.get(open + 1..at).map(str::trim);
                }
            }
            _ => {}
        }
    }
    None
}
