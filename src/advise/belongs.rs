//! Whether a plan that was given is the plan of the statement that it was
//! given with. It compares names; it does not plan.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, RelationKind};
use crate::plan::{NodeKind, PlanGraph};
use crate::source::Problem;
use crate::sql::{RelationRefKind, Statement};

/// What speaks against it. `name` is the plan's text.
///
/// `auto_explain` records the query itself; without it the tables decide: a
/// plan that reads none of the tables that the statement names is another
/// query's, unless those are views.
pub fn mismatch(
    statement: &Statement,
    plan: &PlanGraph,
    name: &str,
    catalog: Option<&Catalog>,
) -> Option<Problem> {
    if let Some(text) = &plan.run.query_text {
        let recorded = squeezed(text);
        let given = squeezed(&statement.text);
        if recorded.contains(&given) || given.contains(&recorded) {
            return None;
        }
    }
    let query = statement.query.as_ref()?;
    let mut named = BTreeSet::new();
    let mut tables = 0;
    let mut hides_tables = false;
    for relation in query
        .selects
        .iter()
        .flat_map(|select| &select.relations)
        .chain(&query.target)
    {
        if let RelationRefKind::Table { schema, name, .. } = &relation.kind {
            tables += 1;
            named.insert(name.as_str());
            named.insert(relation.alias.as_str());
            let kind = catalog
                .and_then(|catalog| catalog.relation(schema.as_deref(), name))
                .map(|relation| relation.kind);
            hides_tables |= matches!(
                kind,
                Some(RelationKind::View | RelationKind::PartitionedTable)
            );
        }
    }
    let read: BTreeSet<&str> = plan
        .nodes()
        .filter(|(_, node)| {
            !matches!(
                node.kind,
                NodeKind::CteScan
                    | NodeKind::WorkTableScan
                    | NodeKind::FunctionScan
                    | NodeKind::TableFunctionScan
                    | NodeKind::NamedTuplestoreScan
            )
        })
        .filter_map(|(_, node)| node.relation.name.as_deref())
        .collect();
    if tables == 0 || read.is_empty() || hides_tables {
        return None;
    }
    let known = plan.nodes().any(|(_, node)| {
        [&node.relation.name, &node.relation.alias]
            .into_iter()
            .flatten()
            .any(|name| named.contains(name.as_str()) || named.contains(without_number(name)))
    });
    if known {
        return None;
    }
    let some: Vec<&str> = read.iter().take(3).copied().collect();
    let problem = Problem::at(
        statement.span,
        format!(
            "a plan for another query? {name} reads {}, which this statement does not name",
            some.join(", ")
        ),
    );
    Some(problem.with_hint(if catalog.is_some() {
        "give the plan of this statement; the plan is looked at by itself"
    } else {
        "give the plan of this statement, or with --schema or -d the views that it reads; the plan is looked at by itself"
    }))
}

/// The alias as the query has it: EXPLAIN numbers repeated ones, `m_1`.
fn without_number(alias: &str) -> &str {
    match alias.rsplit_once('_') {
        Some((head, number))
            if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            head
        }
        _ => alias,
    }
}

fn squeezed(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .trim_end_matches(';')
        .trim_end()
        .to_lowercase()
}
