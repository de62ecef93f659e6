//! Comparing two graphs of one execution.
#![expect(
    clippy::float_cmp,
    reason = "what is read is what was printed, to the last digit"
)]

use pgadvise::plan::{PlanEdge, PlanGraph, PlanNode};
use serde_json::{Map, Value};

/// What TEXT leaves out, and JSON prints: zeros, `false`, and empty lists and
/// groups. A reader takes what is absent for just that.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(_) => false,
        Value::Array(entries) => entries.iter().all(says_nothing),
        Value::Object(map) => map.values().all(says_nothing),
    }
}

/// Keys that TEXT has no place for: `Inner Unique` is printed under VERBOSE
/// only, and a constraint's trigger goes by the constraint.
const NOT_IN_TEXT: [&str; 1] = ["Inner Unique"];

fn same_value(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same_value(left, right))
        }
        (Value::Object(left), Value::Object(right)) => differing(left, right).is_empty(),
        _ => left == right || says_nothing(left) && says_nothing(right),
    }
}

fn differing(left: &Map<String, Value>, right: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| !NOT_IN_TEXT.contains(&key.as_str()))
        .filter_map(|key| {
            let (a, b) = (left.get(key), right.get(key));
            let null = Value::Null;
            let same = same_value(a.unwrap_or(&null), b.unwrap_or(&null));
            (!same).then(|| format!("{key}: {a:?} / {b:?}"))
        })
        .collect()
}

fn of_nodes(left: &PlanNode, right: &PlanNode) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, same: bool, shown: String| {
        if !same {
            found.push(format!("{what}: {shown}"));
        }
    };
    macro_rules! equal {
        ($($field:ident),*) => { $(
            check(
                stringify!($field),
                left.$field == right.$field,
                format!("{:?} / {:?}", left.$field, right.$field),
            );
        )* };
    }
    equal!(
        kind,
        type_name,
        relation,
        join_type,
        subplan_name,
        estimate,
        actual,
        parallel_aware,
        workers_planned,
        workers_launched,
        conditions
    );
    // Absent counts are zeros.
    macro_rules! equal_or_zero {
        ($($field:ident),*) => { $(
            check(
                stringify!($field),
                left.$field.unwrap_or_default() == right.$field.unwrap_or_default(),
                format!("{:?} / {:?}", left.$field, right.$field),
            );
        )* };
    }
    equal_or_zero!(
        buffers,
        io,
        rows_removed_by_filter_per_loop,
        rows_removed_by_join_filter_per_loop,
        rows_removed_by_recheck_per_loop
    );
    found.extend(differing(&left.extra, &right.extra));
    found
}

fn edges(plan: &PlanGraph) -> Vec<(usize, usize, PlanEdge)> {
    let mut edges: Vec<_> = plan
        .graph
        .edge_indices()
        .map(|edge| {
            let (from, to) = plan.graph.edge_endpoints(edge).unwrap();
            (from.index(), to.index(), plan.graph[edge])
        })
        .collect();
    edges.sort_unstable();
    edges
}

/// How two graphs differ, node for node; nothing if they are the same.
/// Planning is done anew for each EXPLAIN, so that its buffers and memory
/// differ from one to the next.
pub(crate) fn differences(left: &PlanGraph, right: &PlanGraph) -> Vec<String> {
    let (count, other) = (left.graph.node_count(), right.graph.node_count());
    if count != other {
        return vec![format!("{count} nodes / {other} nodes")];
    }
    let mut found = Vec::new();
    for ((id, left), (_, right)) in left.nodes().zip(right.nodes()) {
        for difference in of_nodes(left, right) {
            found.push(format!(
                "node {} ({}): {difference}",
                id.index(),
                left.label()
            ));
        }
    }
    if edges(left) != edges(right) {
        found.push(format!("edges: {:?} / {:?}", edges(left), edges(right)));
    }
    let (left, right) = (&left.run, &right.run);
    if left.settings != right.settings {
        found.push(format!("{:?} / {:?}", left.settings, right.settings));
    }
    if left.query_text != right.query_text || left.query_id != right.query_id {
        found.push(format!(
            "{:?} {:?} / {:?} {:?}",
            left.query_text, left.query_id, right.query_text, right.query_id
        ));
    }
    // TEXT names the relation of a trigger only where there are several.
    let triggers = |run: &pgadvise::plan::Run| -> Vec<(String, Option<f64>, f64)> {
        run.triggers
            .iter()
            .map(|trigger| (trigger.name.clone(), trigger.ms, trigger.calls))
            .collect()
    };
    if triggers(left) != triggers(right) {
        found.push(format!("{:?} / {:?}", left.triggers, right.triggers));
    }
    let without_planning = |extra: &Map<String, Value>| {
        let mut extra = extra.clone();
        extra.remove("Planning");
        extra
    };
    found.extend(differing(
        &without_planning(&left.extra),
        &without_planning(&right.extra),
    ));
    found
}
