//! Which parameters of a statement are compared with which columns.

use std::collections::BTreeSet;

use super::samples::{Comparison, Sample, samples};
use crate::catalog::{Catalog, Column, Relation};
use crate::source::Span;
use crate::sql::{Operand, Predicate, Query, SelectId, Statement};

/// One comparison of a column with one or more parameters, and the values that
/// it is tried with.
#[derive(Debug, Clone)]
pub struct Slot {
    /// The numbers of its parameters.
    pub parameters: Vec<u32>,
    /// How they are written: `$1`, `:from and :to`.
    pub written: String,
    /// Schema and name of the table.
    pub relation: (String, String),
    /// `orders.status`.
    pub column: String,
    /// The operator as written: `=`, `between`.
    pub operator: String,
    /// Where the comparison stands.
    pub span: Span,
    /// What it is tried with; empty where the statistics have no values.
    pub samples: Vec<Sample>,
    /// The column has statistics, so that it is only their values that lack.
    pub has_statistics: bool,
}

impl Slot {
    /// The sample that most is taken to be like where the slot is not varied:
    /// the one with the largest share of the values rather than of the
    /// executions.
    pub fn usual(&self) -> Option<&Sample> {
        self.samples.iter().reduce(|best, sample| {
            if (sample.stands_for, sample.share) > (best.stands_for, best.share) {
                sample
            } else {
                best
            }
        })
    }
}

/// One side of a predicate on a column.
struct Compared<'a> {
    relation: &'a Relation,
    column: &'a Column,
    /// The item of FROM, which tells two uses of one table apart.
    item: (SelectId, usize),
    predicate: &'a Predicate,
    comparison: Comparison,
    parameters: Vec<u32>,
}

/// The slots of a statement in the order of their first parameter, each
/// parameter in one slot at most.
pub fn slots(statement: &Statement, query: &Query, catalog: &Catalog) -> Vec<Slot> {
    let mut compared: Vec<Compared<'_>> = query
        .predicates()
        .filter_map(|(_, predicate)| compared(query, catalog, predicate))
        .collect();
    // What says most about the value comes first: `a = $1 or b > $1`.
    compared.sort_by_key(|one| one.comparison != Comparison::Equal);
    let mut taken: BTreeSet<u32> = BTreeSet::new();
    let mut found = Vec::new();
    let mut used = vec![false; compared.len()];
    for at in 0..compared.len() {
        let (Some(one), Some(false)) = (compared.get(at), used.get(at).copied()) else {
            continue;
        };
        if one.parameters.iter().any(|number| taken.contains(number)) {
            continue;
        }
        let mut parameters = one.parameters.clone();
        let mut comparison = one.comparison;
        let mut operator = one.predicate.operator.clone();
        if comparison == Comparison::Range
            && let Some((other_at, other)) =
                compared.iter().enumerate().skip(at + 1).find(|(_, other)| {
                    other.comparison == Comparison::Range
                        && other.item == one.item
                        && other.column.number == one.column.number
                        && one.predicate.conjunct
                        && other.predicate.conjunct
                        && is_lower(&other.predicate.operator) != is_lower(&one.predicate.operator)
                        && !other
                            .parameters
                            .iter()
                            .any(|number| taken.contains(number) || parameters.contains(number))
                })
        {
            comparison = Comparison::Window;
            operator = format!("{operator} … {}", other.predicate.operator);
            if is_lower(&one.predicate.operator) {
                parameters.extend(&other.parameters);
            } else {
                parameters.splice(0..0, other.parameters.iter().copied());
            }
            if let Some(place) = used.get_mut(other_at) {
                *place = true;
            }
        }
        taken.extend(&parameters);
        let names: Vec<String> = parameters
            .iter()
            .map(|number| written(statement, *number))
            .collect();
        found.push(Slot {
            samples: samples(comparison, parameters.len(), one.relation, one.column),
            written: names.join(if comparison == Comparison::Window {
                " and "
            } else {
                ", "
            }),
            relation: (one.relation.schema.clone(), one.relation.name.clone()),
            column: format!("{}.{}", one.relation.name, one.column.name),
            operator,
            span: one.predicate.span,
            has_statistics: one.column.stats.is_some(),
            parameters,
        });
    }
    found.sort_by_key(|slot| slot.parameters.iter().min().copied());
    found
}

/// How a parameter is written, where that tells it from the others.
pub fn written(statement: &Statement, number: u32) -> String {
    let Some(own) = statement
        .placeholders
        .iter()
        .find(|placeholder| placeholder.number == number)
    else {
        return format!("${number}");
    };
    let shared = statement
        .placeholders
        .iter()
        .any(|other| other.number != number && other.text == own.text);
    if shared {
        format!("${number}")
    } else {
        own.text.clone()
    }
}

/// The operator gives the lower end of a range.
fn is_lower(operator: &str) -> bool {
    operator.starts_with('>')
}

fn compared<'a>(
    query: &Query,
    catalog: &'a Catalog,
    predicate: &'a Predicate,
) -> Option<Compared<'a>> {
    let Operand::Column(reference) = &predicate.left else {
        return None;
    };
    let item = reference.relation?;
    let (schema, name) = query.table_of(reference)?;
    let relation = catalog.relation(Some(schema), name)?;
    let column = relation.column(&reference.name)?;
    let number = |operand: &Operand| match operand {
        Operand::Parameter { number, .. } => Some(*number),
        _ => None,
    };
    let (comparison, parameters) = match (predicate.operator.as_str(), &predicate.right) {
        ("=" | "<>" | "!=" | "is not distinct from", right) => {
            (Comparison::Equal, vec![number(right)?])
        }
        ("<" | "<=" | ">" | ">=", right) => (Comparison::Range, vec![number(right)?]),
        ("between" | "not between", right) => (
            Comparison::Window,
            vec![number(right)?, number(predicate.upper.as_ref()?)?],
        ),
        ("like" | "not like" | "ilike" | "not ilike", right) => {
            (Comparison::Pattern, vec![number(right)?])
        }
        ("in" | "not in", Operand::List { items, .. }) => {
            let numbers: Vec<u32> = items.iter().map(number).collect::<Option<_>>()?;
            (Comparison::List, numbers)
        }
        ("in" | "not in", right) => (Comparison::Array, vec![number(right)?]),
        _ => return None,
    };
    let distinct: BTreeSet<u32> = parameters.iter().copied().collect();
    (!parameters.is_empty() && distinct.len() == parameters.len()).then_some(Compared {
        relation,
        column,
        item,
        predicate,
        comparison,
        parameters,
    })
}
