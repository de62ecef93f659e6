//! Functions that give rows, and CTEs.

use crate::catalog::ident;
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph};
use crate::rules::support::{memory, show};
use crate::subject::Subject;

use super::table::round;
use super::{Cause, Kind, Rows, alter, by_hand};

/// PostgreSQL's own functions that give rows, which one does not alter.
const BUILT_IN: &[&str] = &[
    "aclexplode",
    "generate_series",
    "generate_subscripts",
    "json_array_elements",
    "json_array_elements_text",
    "json_each",
    "json_each_text",
    "json_object_keys",
    "json_populate_recordset",
    "json_to_recordset",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_object_keys",
    "jsonb_path_query",
    "jsonb_populate_recordset",
    "jsonb_to_recordset",
    "regexp_matches",
    "regexp_split_to_table",
    "string_to_table",
    "ts_stat",
    "unnest",
];

/// A function scan, or functions in the SELECT list.
pub(super) fn of_function(plan: &PlanGraph, id: NodeId) -> Cause {
    let node = plan.node(id);
    if node.kind == NodeKind::TableFunctionScan {
        return Cause::new(
            Kind::Function,
            "the planner takes 100 rows for XMLTABLE and JSON_TABLE, whatever the document holds",
        )
        .suggest(by_hand(
            "give the planner a real row count",
            "put the rows into a temporary table and ANALYZE it, where what follows depends on \
             their number",
        ));
    }
    let Some(rows) = Rows::of(plan, id) else {
        return declared();
    };
    let (NodeKind::FunctionScan, Some(name)) = (&node.kind, node.relation.name.as_deref()) else {
        return declared();
    };
    let own = node.relation.schema.as_deref() == Some("pg_catalog");
    if own || node.relation.schema.is_none() && BUILT_IN.contains(&name) {
        return Cause::new(
            Kind::Function,
            format!(
                "the planner does not know what {name} is given, and takes the number of rows that \
                 is declared for it"
            ),
        )
        .suggest(by_hand(
            "give the planner a real row count",
            format!(
                "wrap the call in a function of your own that is declared with ROWS {} and is not \
                 LANGUAGE sql, or put its rows into a temporary table and ANALYZE it",
                round(rows.counted)
            ),
        ));
    }
    if node.condition(ConditionRole::Filter).is_some() {
        return Cause::new(
            Kind::Function,
            format!("there are no statistics of what {name} gives, and its rows are filtered"),
        )
        .suggest(by_hand(
            "let the function filter",
            "hand the condition to the function as an argument, and declare with ROWS how many \
             rows it then gives",
        ));
    }
    let display = match &node.relation.schema {
        Some(schema) => format!("{}.{}", ident::quote(schema), ident::quote(name)),
        None => ident::quote(name),
    };
    let number = round(rows.counted.max(1.0));
    let mut cause = Cause::new(
        Kind::Function,
        format!(
            "the planner does not look into {name}: it takes the {} that it is declared with \
             (1,000 where nothing is said)",
            show::rows(rows.expected)
        ),
    )
    .suggest(alter(
        format!("declare that {name} gives about {number} rows"),
        format!("ALTER FUNCTION {display} ROWS {number};"),
    ));
    if let Some(suggestion) = cause.suggestions.last_mut() {
        suggestion
            .side_effects
            .push(crate::finding::SideEffect::Caller(
            "where several functions have this name, add the argument types; the number holds for \
             all calls, so take a typical one"
                .to_owned(),
        ));
    }
    cause
}

fn declared() -> Cause {
    Cause::new(
        Kind::Function,
        "the planner does not look into a function: it takes the number of rows that is declared \
         for it",
    )
    .suggest(by_hand(
        "declare how many rows the function gives",
        "ALTER FUNCTION … ROWS n, or write its query into the statement",
    ))
}

/// What reads a CTE, and what computes a recursive one.
pub(super) fn of_cte(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Cause {
    let node = plan.node(id);
    let table = by_hand(
        "give the planner a real row count",
        "put the CTE's result into a temporary table and ANALYZE it",
    );
    if matches!(
        node.kind,
        NodeKind::RecursiveUnion | NodeKind::WorkTableScan
    ) {
        return Cause::new(
            Kind::Cte,
            "the planner takes a recursive CTE to go on for ten rounds, whatever the data",
        )
        .suggest(table);
    }
    if node.condition(ConditionRole::Filter).is_some() {
        let version = match memory::major(subject) {
            Some(major) if major >= 17 => "",
            _ => " (before version 17 none at all)",
        };
        return Cause::new(
            Kind::Cte,
            format!(
                "the condition is on a CTE that is computed first, whose columns have few \
                 statistics{version}"
            ),
        )
        .suggest(by_hand(
            "let the condition into the CTE",
            "write AS NOT MATERIALIZED, or repeat the condition within the CTE: there the tables' \
             own statistics serve",
        ));
    }
    Cause::new(
        Kind::Cte,
        "the planner guesses the rows of a recursive or materialised CTE",
    )
    .suggest(table)
}
