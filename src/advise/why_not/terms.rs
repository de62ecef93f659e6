//! The conditions on the index's table as they stand in a plan: what the
//! planner made of the statement's, implicit casts and all.

use super::Case;
use super::find::with_partitions;
use crate::catalog::{IndexKey, expression};
use crate::plan::{ConditionRole, NodeId, PlanGraph};
use crate::sql::Wrapper;
use crate::sql::condition::{self, Name};

pub(super) use crate::sql::condition::Term;

/// A scan of the index's table (or of a partition of it).
#[derive(Debug, Clone)]
pub(super) struct Scan {
    pub(super) node: NodeId,
    /// The alias that columns carry in conditions.
    pub(super) alias: String,
}

/// A condition on the table.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) term: Term,
    /// The node that checks it.
    pub(super) node: NodeId,
    pub(super) role: ConditionRole,
}

impl Found {
    /// It compares with another table.
    pub(super) fn is_join(&self) -> bool {
        matches!(
            self.role,
            ConditionRole::HashCond | ConditionRole::MergeCond | ConditionRole::JoinFilter
        ) || !self.term.constant
    }
}

/// The scans of the index's table.
pub(super) fn scans(case: &Case<'_>, plan: &PlanGraph) -> Vec<Scan> {
    let family = with_partitions(case.catalog, case.relation);
    plan.nodes()
        .filter(|(_, node)| node.kind.reads_table())
        .filter_map(|(id, node)| {
            let name = node.relation.name.as_deref()?;
            let found = case
                .catalog
                .relation_of_plan(node.relation.schema.as_deref(), name)?;
            family
                .iter()
                .any(|own| own.schema == found.schema && own.name == found.name)
                .then(|| Scan {
                    node: id,
                    alias: node
                        .relation
                        .alias
                        .clone()
                        .unwrap_or_else(|| name.to_owned()),
                })
        })
        .collect()
}

/// The conditions on these scans, wherever in the plan they are checked.
pub(super) fn conditions(plan: &PlanGraph, scans: &[Scan]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (id, node) in plan.nodes() {
        let own = scans.iter().any(|scan| scan.node == id);
        for condition in &node.conditions {
            // What a bitmap rechecks is its index condition again.
            if condition.role == ConditionRole::OneTimeFilter {
                continue;
            }
            for term in condition::parse(&condition.text) {
                let Some(term) = ours(term, scans, own) else {
                    continue;
                };
                if !found.iter().any(|other| other.term.text == term.text) {
                    found.push(Found {
                        term,
                        node: id,
                        role: condition.role,
                    });
                }
            }
        }
    }
    found
}

/// The term with the table's column on the left, if it has one.
fn ours(term: Term, scans: &[Scan], own: bool) -> Option<Term> {
    let is_ours = |name: &Name| match &name.qualifier {
        Some(qualifier) => scans.iter().any(|scan| scan.alias == *qualifier),
        None => own,
    };
    if term.column.as_ref().is_some_and(is_ours) {
        return Some(term);
    }
    if !term.columns.iter().any(is_ours) {
        return None;
    }
    if !term.opaque
        && let Some(turned) = turned(&term)
        && turned.column.as_ref().is_some_and(is_ours)
    {
        return Some(turned);
    }
    Some(term)
}

/// The same comparison with its sides exchanged.
fn turned(term: &Term) -> Option<Term> {
    let mirrored = match term.operator.as_str() {
        "=" => "=",
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        "<>" => "<>",
        _ => return None,
    };
    let (left, right) = sides(term)?;
    let mut terms = condition::parse(&format!("({right} {mirrored} {left})"));
    let turned = terms.pop()?;
    (terms.is_empty() && !turned.opaque).then_some(turned)
}

/// Both sides of a comparison as printed; the left one of `IS NULL` and its
/// like stands alone.
pub(super) fn sides(term: &Term) -> Option<(&str, &str)> {
    let Some(other) = term.other.as_deref().filter(|other| !other.is_empty()) else {
        let text = term.text.as_str();
        let lower = text.to_lowercase();
        let end = [" is not null", " is null", " is true", " is false"]
            .iter()
            .find_map(|suffix| lower.strip_suffix(suffix))
            .map_or(text.len(), str::len);
        return Some((text.get(..end)?, ""));
    };
    let at = term.text.rfind(other)?;
    let before = term.text.get(..at)?.trim_end();
    // `= ANY (` and its like belong to the operator.
    let cut = before
        .trim_end_matches('(')
        .trim_end()
        .trim_end_matches(|c: char| c.is_ascii_uppercase())
        .trim_end();
    let left = cut.trim_end_matches(|c: char| "=<>~!@#%^&|?*-+".contains(c));
    Some((left.trim(), other))
}

/// Whether the term compares the index's key as it is: its bare column, or
/// its expression.
pub(super) fn is_on_key(term: &Term, key: &IndexKey) -> bool {
    match &key.column {
        Some(column) => {
            term.column
                .as_ref()
                .is_some_and(|name| name.column == *column)
                && term.wrappers.iter().all(is_harmless)
                || (term.opaque && term.columns.iter().any(|name| name.column == *column))
        }
        None => sides(term).is_some_and(|(left, _)| expression::same(left, &key.text)),
    }
}

/// A cast that PostgreSQL sees through: one character type to another.
pub(super) fn is_harmless(wrapper: &Wrapper) -> bool {
    matches!(wrapper, Wrapper::Cast { type_name, .. }
        if matches!(type_name.as_str(), "text" | "varchar" | "character varying"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Term {
        let mut terms = condition::parse(text);
        assert_eq!(terms.len(), 1, "{text}");
        terms.remove(0)
    }

    #[test]
    fn both_sides_are_found_as_printed() {
        for (text, left, right) in [
            (
                "(lower((o.email)::text) = 'x'::text)",
                "lower((o.email)::text)",
                "'x'::text",
            ),
            ("((o.id)::numeric = 1.5)", "(o.id)::numeric", "1.5"),
            ("(o.note IS NULL)", "o.note", ""),
            ("(o.name ~~ 'a%'::text)", "o.name", "'a%'::text"),
        ] {
            let term = only(text);
            assert_eq!(sides(&term), Some((left, right)), "{text}");
        }
    }

    #[test]
    fn a_join_condition_is_turned_to_the_table_asked_about() {
        let scans = [Scan {
            node: NodeId::new(0),
            alias: "b".to_owned(),
        }];
        let term = ours(only("(a.id = (b.number)::integer)"), &scans, false).unwrap();
        let name = term.column.unwrap();
        assert_eq!(
            (name.qualifier.as_deref(), name.column.as_str()),
            (Some("b"), "number")
        );
        assert_eq!(term.wrappers.len(), 1);
        assert!(ours(only("(a.id = c.id)"), &scans, false).is_none());
    }
}
