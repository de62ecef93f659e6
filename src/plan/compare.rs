//! Two plans of one statement, node by node.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::{NodeId, PlanGraph, PlanNode};

/// Levels of a plan that are looked at.
const MAX_DEPTH: usize = 500;

/// How alike two plans are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sameness {
    /// Alike to the last digit.
    Same,
    /// The same nodes with other estimates.
    OtherEstimates,
    /// Other nodes.
    Other,
}

/// A line of the comparison: a node of one plan, of the other, or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The node before.
    pub before: Option<NodeId>,
    /// The node after.
    pub after: Option<NodeId>,
    /// How deep it stands in its plan; in the plan after where it is in both.
    pub depth: usize,
}

/// Two plans compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How alike they are.
    pub sameness: Sameness,
    /// The nodes of both, parents before children.
    pub lines: Vec<Line>,
}

/// A node as it is compared: what it does, without numbers.
struct Place {
    id: NodeId,
    depth: usize,
    key: String,
}

/// Compares two plans.
pub fn compare(before: &PlanGraph, after: &PlanGraph) -> Comparison {
    let (old, new) = (places(before), places(after));
    let keys = |places: &[Place]| -> Vec<String> {
        places.iter().map(|place| place.key.clone()).collect()
    };
    let ops = capture_diff_slices(Algorithm::Myers, &keys(&old), &keys(&new));
    let mut lines = Vec::new();
    let mut moved = false;
    let mut sameness = Sameness::Same;
    let gone = |from: usize, len: usize| {
        old.iter().skip(from).take(len).map(|place| Line {
            before: Some(place.id),
            after: None,
            depth: place.depth,
        })
    };
    let come = |from: usize, len: usize| {
        new.iter().skip(from).take(len).map(|place| Line {
            before: None,
            after: Some(place.id),
            depth: place.depth,
        })
    };
    for op in ops {
        match op {
            DiffOp::Equal {
                old_index,
                new_index,
                len,
            } => {
                let pairs = old
                    .iter()
                    .skip(old_index)
                    .zip(new.iter().skip(new_index))
                    .take(len);
                for (was, is) in pairs {
                    moved |= was.depth != is.depth;
                    if before.node(was.id).estimate != after.node(is.id).estimate {
                        sameness = Sameness::OtherEstimates;
                    }
                    lines.push(Line {
                        before: Some(was.id),
                        after: Some(is.id),
                        depth: is.depth,
                    });
                }
            }
            DiffOp::Delete {
                old_index, old_len, ..
            } => {
                moved = true;
                lines.extend(gone(old_index, old_len));
            }
            DiffOp::Insert {
                new_index, new_len, ..
            } => {
                moved = true;
                lines.extend(come(new_index, new_len));
            }
            DiffOp::Replace {
                old_index,
                old_len,
                new_index,
                new_len,
            } => {
                moved = true;
                lines.extend(gone(old_index, old_len));
                lines.extend(come(new_index, new_len));
            }
        }
    }
    if moved {
        sameness = Sameness::Other;
    }
    Comparison { sameness, lines }
}

fn places(plan: &PlanGraph) -> Vec<Place> {
    let mut places = Vec::new();
    walk(plan, plan.root, 0, &mut |id, depth| {
        places.push(Place {
            id,
            depth,
            key: key(plan.node(id)),
        });
    });
    places
}

/// What a node does: its label, its conditions, and whatever else EXPLAIN says
/// of it that is no number. What it gives up (`Output`) is not a choice of the
/// planner.
fn key(node: &PlanNode) -> String {
    let mut key = node.label();
    for condition in &node.conditions {
        key.push('\n');
        key.push_str(&condition.text);
    }
    for (name, value) in &node.extra {
        if name != "Output" && !value.is_number() {
            key.push_str(&format!("\n{name}: {value}"));
        }
    }
    key
}

/// The nodes of a plan with their depths, parents first. A CTE stands where it
/// is computed, not where it is read.
fn walk(plan: &PlanGraph, id: NodeId, depth: usize, visit: &mut impl FnMut(NodeId, usize)) {
    visit(id, depth);
    for (edge, child) in plan.children(id) {
        if depth < MAX_DEPTH && edge.is_tree() {
            walk(plan, child, depth + 1, visit);
        }
    }
}

/// A plan's shape: its nodes with their relations and indexes, one a line.
///
/// Conditions are no part of it: versions of PostgreSQL write the same one
/// with its sides exchanged.
pub fn shape(plan: &PlanGraph) -> Vec<String> {
    let mut lines = Vec::new();
    walk(plan, plan.root, 0, &mut |id, depth| {
        lines.push(format!("{}{}", "  ".repeat(depth), plan.node(id).label()));
    });
    lines
}

/// A plan, a line each for its nodes and their conditions.
pub fn lines(plan: &PlanGraph, numbers: bool, everything: bool) -> Vec<String> {
    let mut lines = Vec::new();
    walk(plan, plan.root, 0, &mut |id, depth| {
        put(plan.node(id), depth, numbers, everything, &mut lines);
    });
    lines
}

fn put(node: &PlanNode, depth: usize, numbers: bool, everything: bool, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let estimate = node
        .estimate
        .filter(|_| numbers)
        .map(|found| {
            format!(
                "  (cost={:.2}..{:.2} rows={} width={})",
                found.startup_cost, found.total_cost, found.rows, found.width
            )
        })
        .unwrap_or_default();
    lines.push(format!("{indent}{}{estimate}", node.label()));
    for condition in &node.conditions {
        lines.push(format!("{indent}  {}", condition.text));
    }
    if everything {
        for (key, value) in &node.extra {
            let costs = key.contains("Cost") || key.contains("Rows") || key.contains("Width");
            if numbers || !(costs || value.is_number()) {
                lines.push(format!("{indent}  {key}: {value}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::json;

    fn plan(text: &str) -> PlanGraph {
        json::parse(text).unwrap().remove(0)
    }

    const SCAN: &str = r#"[{"Plan": {"Node Type": "Aggregate", "Strategy": "Plain",
        "Startup Cost": 1, "Total Cost": 90, "Plan Rows": 1, "Plan Width": 8, "Plans": [
        {"Node Type": "Seq Scan", "Relation Name": "t", "Filter": "(a = 1)", "Startup Cost": 0,
         "Total Cost": 80, "Plan Rows": 7, "Plan Width": 4}]}}]"#;

    #[test]
    fn a_plan_is_the_same_as_itself() {
        let compared = compare(&plan(SCAN), &plan(SCAN));
        assert_eq!(compared.sameness, Sameness::Same);
        assert_eq!(compared.lines.len(), 2);
    }

    #[test]
    fn other_numbers_are_no_other_plan() {
        let compared = compare(&plan(SCAN), &plan(&SCAN.replace("80", "60")));
        assert_eq!(compared.sameness, Sameness::OtherEstimates);
    }

    #[test]
    fn nodes_that_stay_are_told_from_those_that_come_and_go() {
        let other = SCAN
            .replace("\"Seq Scan\"", "\"Index Scan\", \"Index Name\": \"t_a\"")
            .replace("\"Filter\"", "\"Index Cond\"");
        let compared = compare(&plan(SCAN), &plan(&other));
        assert_eq!(compared.sameness, Sameness::Other);
        let marks: Vec<(bool, bool)> = compared
            .lines
            .iter()
            .map(|line| (line.before.is_some(), line.after.is_some()))
            .collect();
        assert_eq!(marks, [(true, true), (true, false), (false, true)]);
    }

    #[test]
    fn another_condition_on_the_same_node_is_another_plan() {
        let compared = compare(&plan(SCAN), &plan(&SCAN.replace("(a = 1)", "(a = 2)")));
        assert_eq!(compared.sameness, Sameness::Other);
    }
}
