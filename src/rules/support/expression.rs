//! Conditions whose column stands within an expression, or whose value nobody
//! knew when the plan was made.

use crate::catalog::Relation;
use crate::plan::{PlanGraph, PlanNode};

use super::compared::{self, Around};

/// An expression of one column that is compared with a value.
#[derive(Debug)]
pub(crate) struct Hidden<'a> {
    /// As the server printed it.
    pub(crate) text: &'a str,
    /// The column.
    pub(crate) column: String,
    /// Only casts and arithmetic stand around it, which can be done on the
    /// other side of the comparison.
    pub(crate) moveable: bool,
}

/// The expressions of one column that a scan's filter compares with values.
pub(crate) fn hidden<'a>(
    plan: &PlanGraph,
    node: &'a PlanNode,
    relation: Option<&Relation>,
) -> Vec<Hidden<'a>> {
    compared::of(plan, node, None, relation)
        .expressions
        .into_iter()
        .filter_map(|found| {
            Some(Hidden {
                text: found.text,
                column: found.column?,
                moveable: found.around == Around::Moveable,
            })
        })
        .collect()
}

/// Whether a scan compares with a parameter of the statement (and not with
/// what a subquery of the plan gives); `below` stands for the condition of the
/// bitmap under it.
pub(crate) fn takes_parameter(
    plan: &PlanGraph,
    node: &PlanNode,
    below: Option<&str>,
    relation: Option<&Relation>,
) -> bool {
    compared::of(plan, node, below, relation).parameter
}
