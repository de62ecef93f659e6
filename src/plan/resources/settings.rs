//! The settings that bound what a statement may take, as far as the plan
//! names them.

use serde_json::Value;

use crate::plan::PlanGraph;

/// PostgreSQL's own defaults.
const WORK_MEM: f64 = 4.0 * 1024.0 * 1024.0;
const MAX_PARALLEL_WORKERS: f64 = 8.0;

/// The settings, given or assumed.
pub(super) struct Settings {
    pub(super) work_mem: f64,
    work_mem_given: bool,
    pub(super) hash_mem_multiplier: f64,
    hash_mem: HashMem,
    pub(super) max_parallel_workers: f64,
    pub(super) leader_participates: bool,
}

/// Where the multiplier comes from.
#[derive(PartialEq)]
enum HashMem {
    Given,
    /// The plan shows a version since 15, or before.
    Since15,
    Before15,
    Unknown,
}

impl Settings {
    pub(super) fn of(plan: &PlanGraph) -> Self {
        let given = |name: &str| plan.run.settings.get(name).map(String::as_str);
        let work_mem = given("work_mem").and_then(bytes);
        let multiplier = given("hash_mem_multiplier").and_then(|text| text.parse().ok());
        let hash_mem = match (multiplier, since_15(plan)) {
            (Some(_), _) => HashMem::Given,
            (None, Some(true)) => HashMem::Since15,
            (None, Some(false)) => HashMem::Before15,
            (None, None) => HashMem::Unknown,
        };
        Self {
            work_mem: work_mem.unwrap_or(WORK_MEM),
            work_mem_given: work_mem.is_some(),
            hash_mem_multiplier: multiplier.unwrap_or(if hash_mem == HashMem::Before15 {
                1.0
            } else {
                2.0
            }),
            hash_mem,
            max_parallel_workers: given("max_parallel_workers")
                .and_then(|text| text.parse().ok())
                .unwrap_or(MAX_PARALLEL_WORKERS),
            leader_participates: given("parallel_leader_participation") != Some("off"),
        }
    }

    /// What was assumed, in words.
    pub(super) fn assumptions(&self, memory_matters: bool) -> Vec<String> {
        let mut said = Vec::new();
        if !memory_matters {
            return said;
        }
        if !self.work_mem_given {
            said.push(
                "work_mem is 4 MB, PostgreSQL's default: the plan names no other (EXPLAIN's SETTINGS prints what was changed)"
                    .to_owned(),
            );
        }
        match self.hash_mem {
            HashMem::Given => {}
            HashMem::Since15 => said.push(
                "hash_mem_multiplier is 2, the default since PostgreSQL 15, which the plan is from or later"
                    .to_owned(),
            ),
            HashMem::Before15 => said.push(
                "hash_mem_multiplier is 1, the default before PostgreSQL 15, which the plan is from"
                    .to_owned(),
            ),
            HashMem::Unknown => said.push(
                "hash_mem_multiplier is 2, the default since PostgreSQL 15; the plan does not show its version, and before 15 it is 1"
                    .to_owned(),
            ),
        }
        said
    }
}

/// Whether the plan is of version 15 or later, where something that it prints
/// tells.
fn since_15(plan: &PlanGraph) -> Option<bool> {
    let Value::Object(statement) = &plan.document else {
        return None;
    };
    if statement.contains_key("Serialization") {
        return Some(true);
    }
    for (_, node) in plan.nodes() {
        let has = |key: &str| node.extra.contains_key(key);
        let names_result = || {
            node.conditions
                .iter()
                .any(|condition| condition.text.contains("InitPlan "))
        };
        if has("Disabled") || has("Index Searches") || has("Maximum Storage") || names_result() {
            return Some(true);
        }
    }
    // The document keeps the names of I/O times, which changed with 15.
    let root = statement.get("Plan")?;
    if root.get("Temp I/O Read Time").is_some() || root.get("Shared I/O Read Time").is_some() {
        return Some(true);
    }
    root.get("I/O Read Time").is_some().then_some(false)
}

/// A size as PostgreSQL prints it (`64MB`); a bare number is in kilobytes, the
/// unit of `work_mem`.
pub fn bytes(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit.trim() {
        "B" => 1.0,
        "" | "kB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        "TB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number * factor)
}
