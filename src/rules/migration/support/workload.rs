//! Which columns the queries of a workload compare.

use std::collections::BTreeSet;

use crate::migration::state::{Qualified, State};
use crate::sql::ddl::Name;
use crate::sql::{ColumnRef, Operand, Query, RelationRef, RelationRefKind, Select, Statement};

/// Operators that an index of the usual kind can serve.
const SERVED: &[&str] = &["=", "<", "<=", ">", ">=", "in", "between"];

/// Columns that a query compares with a value or with another column, so that
/// an index on them could be used.
pub(crate) fn compared(statement: &Statement, state: &State) -> BTreeSet<(Qualified, String)> {
    let mut found = BTreeSet::new();
    let Some(query) = &statement.query else {
        return found;
    };
    for select in &query.selects {
        for predicate in &select.predicates {
            if !predicate.conjunct || !SERVED.contains(&predicate.operator.as_str()) {
                continue;
            }
            for side in [&predicate.left, &predicate.right] {
                if let Operand::Column(column) = side
                    && let Some(table) = table_of(query, select, column, state)
                {
                    found.insert((table, column.name.clone()));
                }
            }
        }
    }
    found
}

fn table_of(
    query: &Query,
    select: &Select,
    column: &ColumnRef,
    state: &State,
) -> Option<Qualified> {
    let named = |relation: &RelationRef| match &relation.kind {
        RelationRefKind::Table { schema, name, .. } => state.resolve(&Name {
            schema: schema.clone(),
            name: name.clone(),
        }),
        _ => None,
    };
    if let Some((level, relation)) = column.relation {
        return named(query.selects.get(level)?.relations.get(relation)?);
    }
    let mut having = select.relations.iter().filter_map(named).filter(|table| {
        state
            .known(table)
            .is_some_and(|table| table.column(&column.name).is_some())
    });
    let only = having.next()?;
    having.next().is_none().then_some(only)
}
