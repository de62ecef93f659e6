//! What there is to know of a node beyond the columns of the plan's table, and
//! what EXPLAIN prints around the tree.

use schemars::JsonSchema;
use serde::Serialize;

/// Everything else about a node. What is zero, false or empty in EXPLAIN's
/// output and says nothing is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct NodeDetails {
    /// `Node Type` as printed: `Seq Scan`.
    pub kind: String,
    /// What it works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<NodeRelation>,
    /// The planner's cost until the first row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_cost: Option<f64>,
    /// Bytes of a row on average, as the planner reckons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Rows of all executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_total: Option<f64>,
    /// Milliseconds until the first row of one execution, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_ms_per_loop: Option<f64>,
    /// Milliseconds of one execution, on average, with everything below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms_per_loop: Option<f64>,
    /// A node above may have stopped reading early, so that fewer rows than
    /// estimated say nothing.
    #[serde(skip_serializing_if = "is_false")]
    pub stopped_early: bool,
    /// The number of the node at which the error of its estimate begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimate_error_from: Option<usize>,
    /// What EXPLAIN prints besides, in its order and by its names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
    /// Blocks touched, with everything below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffers: Option<Blocks>,
    /// Blocks that the node alone touched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_buffers: Option<Blocks>,
    /// Milliseconds of reading and writing, with everything below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<IoMs>,
    /// What each parallel worker did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
}

/// The table, function or CTE, and the index, of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NodeRelation {
    /// Its schema, where EXPLAIN says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its name in the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
}

/// Something that EXPLAIN prints.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Property {
    /// EXPLAIN's name for it: `Sort Key`.
    pub name: String,
    /// Its text; several for a list.
    pub values: Vec<String>,
}

/// Blocks; those of which there are none are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are EXPLAIN's own, in blocks")]
pub struct Blocks {
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_hit: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_read: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_dirtied: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_written: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub local_hit: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub local_read: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub local_dirtied: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub local_written: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub temp_read: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub temp_written: f64,
}

/// Milliseconds of reading and writing blocks; zeros are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, JsonSchema)]
#[expect(missing_docs, reason = "the names are EXPLAIN's own, in milliseconds")]
pub struct IoMs {
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_read: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub shared_write: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub local_read: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub local_write: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub temp_read: f64,
    #[serde(skip_serializing_if = "is_zero")]
    pub temp_write: f64,
}

/// What one parallel worker did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Worker {
    /// Its number, from 0.
    pub number: f64,
    /// Executions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loops: Option<f64>,
    /// Rows of one execution, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<f64>,
    /// Milliseconds of one execution, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
    /// What EXPLAIN prints besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<Property>,
}

/// What EXPLAIN prints around the tree.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct RunDetails {
    /// `Query Identifier`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_id: Option<String>,
    /// `Query Text`, in `auto_explain`'s records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_text: Option<String>,
    /// Settings that differ from the built-in defaults, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Property>,
    /// Triggers that were called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerTime>,
    /// `JIT`, `Planning`, `Serialization` and whatever else stood there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<RunPart>,
}

/// A trigger that was called.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TriggerTime {
    /// Its name, or its constraint's.
    pub name: String,
    /// The table.
    pub relation: Option<String>,
    /// Milliseconds of all calls.
    pub ms: Option<f64>,
    /// Calls.
    pub calls: f64,
}

/// A part of EXPLAIN's output beside the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RunPart {
    /// EXPLAIN's name for it: `JIT`.
    pub name: String,
    /// What it says.
    pub properties: Vec<Property>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}
