//! The report's details of plan nodes, from the plan as it was read.

use serde_json::{Map, Value};

use super::format;
use super::model::{
    Blocks, IoMs, NodeDetails, NodeRelation, Property, RunDetails, RunPart, TriggerTime, Worker,
};
use crate::plan::metrics::NodeMetrics;
use crate::plan::{Buffers, IoTimes, NodeId, PlanNode, Run};

/// How deep objects within a property are taken apart; EXPLAIN's own go three
/// levels down.
const DEEPEST: usize = 6;

/// The details of a node.
pub(super) fn details(id: NodeId, node: &PlanNode, derived: &NodeMetrics) -> NodeDetails {
    let finite = format::finite;
    let mut properties = Vec::new();
    for (name, number) in [
        (
            "Rows Removed by Join Filter",
            node.rows_removed_by_join_filter_per_loop,
        ),
        (
            "Rows Removed by Index Recheck",
            node.rows_removed_by_recheck_per_loop,
        ),
        ("Workers Planned", node.workers_planned),
        ("Workers Launched", node.workers_launched),
    ] {
        if let Some(number) = number
            && (number != 0.0 || name.starts_with("Workers"))
        {
            properties.push(property(name, format::count(number)));
        }
    }
    if let Some(join) = &node.join_type {
        properties.push(property("Join Type", join.clone()));
    }
    for (name, value) in &node.extra {
        if name != "Workers" && says_something(name, value) {
            properties.push(Property {
                name: name.clone(),
                values: values(name, value),
            });
        }
    }
    let relation = &node.relation;
    let is_relation =
        relation.name.is_some() || relation.alias.is_some() || relation.index.is_some();
    NodeDetails {
        kind: node.type_name.clone(),
        relation: is_relation.then(|| NodeRelation {
            schema: relation.schema.clone(),
            name: relation.name.clone(),
            alias: relation.alias.clone(),
            index: relation.index.clone(),
        }),
        startup_cost: node.estimate.and_then(|e| finite(e.startup_cost)),
        width: node.estimate.and_then(|e| finite(e.width)),
        rows_total: derived.total_rows.and_then(finite),
        startup_ms_per_loop: node
            .actual
            .and_then(|a| a.startup_ms_per_loop)
            .and_then(finite),
        total_ms_per_loop: node
            .actual
            .and_then(|a| a.total_ms_per_loop)
            .and_then(finite),
        stopped_early: derived.stopped_early,
        estimate_error_from: derived
            .blame
            .filter(|blamed| *blamed != id)
            .map(|blamed| blamed.index() + 1),
        properties,
        buffers: node.buffers.as_ref().and_then(blocks),
        self_buffers: derived.self_buffers.as_ref().and_then(blocks),
        io: node.io.as_ref().and_then(io),
        workers: node
            .extra
            .get("Workers")
            .and_then(Value::as_array)
            .map(|workers| {
                workers
                    .iter()
                    .filter_map(Value::as_object)
                    .map(worker)
                    .collect()
            })
            .unwrap_or_default(),
    }
}

/// What stood around the tree.
pub(super) fn run(run: &Run) -> RunDetails {
    RunDetails {
        query_id: run.query_id.clone(),
        query_text: run.query_text.clone(),
        settings: run
            .settings
            .iter()
            .map(|(name, value)| property(name, value.clone()))
            .collect(),
        triggers: run
            .triggers
            .iter()
            .map(|trigger| TriggerTime {
                name: trigger.name.clone(),
                relation: trigger.relation.clone(),
                ms: trigger.ms.and_then(format::finite),
                calls: format::finite(trigger.calls).unwrap_or(0.0),
            })
            .collect(),
        parts: run
            .extra
            .iter()
            .filter_map(|(name, value)| part(name, value))
            .collect(),
    }
}

fn part(name: &str, value: &Value) -> Option<RunPart> {
    let mut properties = Vec::new();
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                if says_something(name, value) && value.as_f64() != Some(0.0) {
                    properties.push(Property {
                        name: name.clone(),
                        values: values(name, value),
                    });
                }
            }
        }
        value if says_something(name, value) => {
            properties.push(Property {
                name: name.to_owned(),
                values: values(name, value),
            });
        }
        _ => {}
    }
    (!properties.is_empty()).then(|| RunPart {
        name: name.to_owned(),
        properties,
    })
}

fn property(name: &str, value: String) -> Property {
    Property {
        name: name.to_owned(),
        values: vec![value],
    }
}

/// Whether EXPLAIN's text format would print it: in JSON every counter is
/// there, zero or not.
fn says_something(name: &str, value: &Value) -> bool {
    const COUNTERS: &[&str] = &[
        "WAL ",
        "Shared ",
        "Local ",
        "Temp ",
        "I/O ",
        "Rows Removed ",
        "Lossy ",
        "Exact ",
        "Cache ",
        "Disk Usage",
    ];
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Number(number) => {
            number.as_f64() != Some(0.0) || !COUNTERS.iter().any(|known| name.starts_with(known))
        }
        Value::Bool(true) | Value::String(_) => true,
    }
}

/// The value as lines; objects within it with their names before.
fn values(name: &str, value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = vec![(String::new(), name, value, 0)];
    while let Some((before, name, value, depth)) = open.pop() {
        match value {
            Value::Array(entries) if depth < DEEPEST => {
                for entry in entries.iter().rev() {
                    open.push((before.clone(), name, entry, depth + 1));
                }
            }
            Value::Object(entries) if depth < DEEPEST => {
                for (name, value) in entries.iter().rev() {
                    open.push((format!("{before}{name}: "), name, value, depth + 1));
                }
            }
            value => lines.push(format!("{before}{}", scalar(name, value))),
        }
    }
    lines
}

fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let number = number.as_f64().unwrap_or(f64::NAN);
            match name {
                "Sort Space Used"
                | "Peak Memory Usage"
                | "Disk Usage"
                | "Maximum Storage"
                | "Average Sort Space Used"
                | "Peak Sort Space Used"
                | "Memory Used"
                | "Memory Allocated"
                | "Output Volume" => format::bytes(number * 1024.0),
                "WAL Bytes" | "Foreign File Size" => format::bytes(number),
                _ if name.ends_with(" Time") || name == "Time" => format::ms(number),
                "Generation" | "Inlining" | "Optimization" | "Emission" | "Total" | "Deform" => {
                    format::ms(number)
                }
                _ if name.ends_with(" Seed") || name.ends_with("Id") => value.to_string(),
                _ => format::count(number),
            }
        }
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        value => value.to_string(),
    }
}

fn worker(printed: &Map<String, Value>) -> Worker {
    let number = |name: &str| {
        printed
            .get(name)
            .and_then(Value::as_f64)
            .and_then(format::finite)
    };
    Worker {
        number: number("Worker Number").unwrap_or(0.0),
        loops: number("Actual Loops"),
        rows: number("Actual Rows"),
        ms: number("Actual Total Time"),
        properties: printed
            .iter()
            .filter(|(name, value)| {
                !matches!(
                    name.as_str(),
                    "Worker Number"
                        | "Actual Loops"
                        | "Actual Rows"
                        | "Actual Total Time"
                        | "Actual Startup Time"
                ) && says_something(name, value)
            })
            .map(|(name, value)| Property {
                name: name.clone(),
                values: values(name, value),
            })
            .collect(),
    }
}

fn blocks(counted: &Buffers) -> Option<Blocks> {
    let blocks = Blocks {
        shared_hit: counted.shared_hit_blocks,
        shared_read: counted.shared_read_blocks,
        shared_dirtied: counted.shared_dirtied_blocks,
        shared_written: counted.shared_written_blocks,
        local_hit: counted.local_hit_blocks,
        local_read: counted.local_read_blocks,
        local_dirtied: counted.local_dirtied_blocks,
        local_written: counted.local_written_blocks,
        temp_read: counted.temp_read_blocks,
        temp_written: counted.temp_written_blocks,
    };
    (blocks != Blocks::default()).then_some(blocks)
}

fn io(times: &IoTimes) -> Option<IoMs> {
    let io = IoMs {
        shared_read: times.shared_read_ms,
        shared_write: times.shared_write_ms,
        local_read: times.local_read_ms,
        local_write: times.local_write_ms,
        temp_read: times.temp_read_ms,
        temp_write: times.temp_write_ms,
    };
    (io != IoMs::default()).then_some(io)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nested_properties_become_lines_in_order() {
        let value = json!({"Functions": 7, "Timing": {"Generation": 1.5, "Deform": [2.0, 3.0]}});
        assert_eq!(
            values("JIT", &value),
            [
                "Functions: 7",
                "Timing: Generation: 1.50 ms",
                "Timing: Deform: 2.00 ms",
                "Timing: Deform: 3.00 ms"
            ]
        );
    }

    #[test]
    fn counters_at_zero_are_left_out_and_telling_zeros_stay() {
        assert!(!says_something("WAL Records", &json!(0)));
        assert!(!says_something("Async Capable", &json!(false)));
        assert!(says_something("Heap Fetches", &json!(0)));
        assert!(says_something("Disabled", &json!(true)));
    }
}
