//! From a statement's element in the shape of `EXPLAIN (FORMAT JSON)` to a
//! [`PlanGraph`]: lifts the known keys, keeps the rest, links the nodes.
//!
//! It reads no text: every input format is brought into that shape first, so
//! that all of them are lifted by the same code.

use std::collections::{BTreeMap, HashMap};

use petgraph::graph::DiGraph;
use serde_json::{Map, Value};

use super::{
    Actual, Buffers, Condition, ConditionRole, Estimate, IoTimes, NodeId, NodeKind, PlanEdge,
    PlanGraph, PlanNode, PlanRelation, Run, Trigger, Wal,
};

/// Builds the graph of a statement's element (`{"Plan": {…}, …}`), which it
/// keeps as [`PlanGraph::document`]. A bare node is wrapped into one first, so
/// that every document has the same shape.
///
/// The error says what is missing.
pub fn plan_from_document(document: Value) -> Result<PlanGraph, &'static str> {
    let document = match document {
        Value::Object(node) if node.contains_key("Node Type") => {
            let mut statement = Map::with_capacity(1);
            statement.insert("Plan".to_owned(), Value::Object(node));
            Value::Object(statement)
        }
        other => other,
    };
    let Value::Object(statement) = &document else {
        return Err("a statement is an object with a \"Plan\"");
    };
    let Some(Value::Object(top)) = statement.get("Plan") else {
        return Err("there is no \"Plan\" with a node in it");
    };
    let (graph, root) = Tree::build(top)?;
    let run = lift_run(statement);
    Ok(PlanGraph {
        graph,
        root,
        run,
        document,
    })
}

/// A node whose inputs are being read.
struct Open<'a> {
    id: NodeId,
    inputs: std::slice::Iter<'a, Value>,
    /// It is a ModifyTable with one input.
    one_input: bool,
    /// How many inputs were read, for those that do not say how they hang.
    read: usize,
    /// The name of the CTE that this node computes.
    cte: Option<&'a str>,
    /// The name of the CTE that this node reads.
    reads: Option<&'a str>,
    /// The names of the CTEs that hang below this node and are in scope there.
    declared: Vec<&'a str>,
}

/// The tree while it is built. An explicit stack instead of recursion: the
/// depth is that of the input.
struct Tree<'a> {
    graph: DiGraph<PlanNode, PlanEdge>,
    open: Vec<Open<'a>>,
    /// By name, the CTEs that a CTE Scan can read here, innermost last.
    in_scope: HashMap<&'a str, Vec<NodeId>>,
    /// By name, the CTEs being computed here, innermost last: a WorkTable
    /// Scan reads the innermost.
    computing: HashMap<&'a str, Vec<NodeId>>,
    /// By name, all CTEs of the plan.
    all: HashMap<&'a str, Vec<NodeId>>,
    /// Readers whose CTE was not in scope.
    unresolved: Vec<(NodeId, &'a str)>,
}

impl<'a> Tree<'a> {
    fn build(
        top: &'a Map<String, Value>,
    ) -> Result<(DiGraph<PlanNode, PlanEdge>, NodeId), &'static str> {
        let mut tree = Self {
            graph: DiGraph::default(),
            open: Vec::new(),
            in_scope: HashMap::new(),
            computing: HashMap::new(),
            all: HashMap::new(),
            unresolved: Vec::new(),
        };
        let root = tree.enter(top)?;
        while let Some(innermost) = tree.open.last_mut() {
            match innermost.inputs.next() {
                Some(Value::Object(node)) => {
                    tree.enter(node)?;
                }
                Some(_) => return Err("an entry of \"Plans\" is not a node"),
                None => tree.leave(),
            }
        }
        tree.resolve_the_rest();
        Ok((tree.graph, root))
    }

    fn enter(&mut self, printed: &'a Map<String, Value>) -> Result<NodeId, &'static str> {
        let Lifted {
            node,
            relationship,
            inputs,
        } = lift_node(printed)?;
        let reads = match node.kind {
            NodeKind::CteScan | NodeKind::WorkTableScan => {
                printed.get("CTE Name").and_then(Value::as_str)
            }
            _ => None,
        };
        let id = self.graph.add_node(node);
        let mut cte = None;
        if let Some(parent) = self.open.last_mut() {
            let mut edge = edge_of(relationship, parent.read);
            parent.read += 1;
            // Before 14 the only input of a ModifyTable was called a member, as
            // if there were several.
            if edge == PlanEdge::Member && parent.one_input {
                edge = PlanEdge::Outer;
            }
            if edge == PlanEdge::InitPlan {
                cte = printed
                    .get("Subplan Name")
                    .and_then(Value::as_str)
                    .and_then(|name| name.strip_prefix("CTE "));
            }
            let parent = parent.id;
            self.graph.add_edge(parent, id, edge);
        }
        if let Some(name) = cte {
            self.computing.entry(name).or_default().push(id);
            self.all.entry(name).or_default().push(id);
        }
        let one_input = printed.get("Node Type").and_then(Value::as_str) == Some("ModifyTable")
            && inputs
                .iter()
                .filter(|input| {
                    input.get("Parent Relationship").and_then(Value::as_str) == Some("Member")
                })
                .count()
                == 1;
        self.open.push(Open {
            id,
            inputs: inputs.iter(),
            one_input,
            read: 0,
            cte,
            reads,
            declared: Vec::new(),
        });
        Ok(id)
    }

    fn leave(&mut self) {
        let Some(done) = self.open.pop() else { return };
        if let Some(name) = done.reads {
            self.link_reader(done.id, name);
        }
        for name in done.declared {
            if let Some(ids) = self.in_scope.get_mut(name) {
                ids.pop();
            }
        }
        if let Some(name) = done.cte {
            if let Some(ids) = self.computing.get_mut(name) {
                ids.pop();
            }
            // A CTE can be read from where it hangs, and only after it: the
            // same name inside it means an outer one.
            if let Some(parent) = self.open.last_mut() {
                parent.declared.push(name);
                self.in_scope.entry(name).or_default().push(done.id);
            }
        }
    }

    /// Links a reader when everything below it has been read: the CTE of a CTE
    /// Scan may hang below the scan itself (`WITH x AS … SELECT * FROM x`).
    fn link_reader(&mut self, reader: NodeId, name: &'a str) {
        let is_work_table = self
            .graph
            .node_weight(reader)
            .is_some_and(|node| node.kind == NodeKind::WorkTableScan);
        let visible = if is_work_table {
            &self.computing
        } else {
            &self.in_scope
        };
        match visible.get(name).and_then(|ids| ids.last()) {
            Some(cte) => {
                self.graph.add_edge(reader, *cte, PlanEdge::ReadsCte);
            }
            None => self.unresolved.push((reader, name)),
        }
    }

    /// A cut or rearranged plan may hold a reader outside the scope of its
    /// CTE: with only one CTE of that name there is no doubt.
    fn resolve_the_rest(&mut self) {
        for (reader, name) in std::mem::take(&mut self.unresolved) {
            if let Some([only]) = self.all.get(name).map(Vec::as_slice) {
                self.graph.add_edge(reader, *only, PlanEdge::ReadsCte);
            }
        }
    }
}

/// The edge of an input, by its `Parent Relationship`. Custom scans call their
/// inputs `child` and `children`; one that says nothing is taken by position.
fn edge_of(relationship: Option<&str>, position: usize) -> PlanEdge {
    match relationship {
        Some(text) => known_edge(text).unwrap_or(PlanEdge::Member),
        None => match position {
            0 => PlanEdge::Outer,
            1 => PlanEdge::Inner,
            _ => PlanEdge::Member,
        },
    }
}

fn known_edge(relationship: &str) -> Option<PlanEdge> {
    Some(match relationship {
        "Outer" => PlanEdge::Outer,
        "Inner" => PlanEdge::Inner,
        "Member" => PlanEdge::Member,
        "Subquery" => PlanEdge::Subquery,
        "InitPlan" => PlanEdge::InitPlan,
        "SubPlan" => PlanEdge::SubPlan,
        _ => return None,
    })
}

struct Lifted<'a> {
    node: PlanNode,
    relationship: Option<&'a str>,
    inputs: &'a [Value],
}

/// The numbers of a node while its keys are read, each absent until found.
#[derive(Default)]
struct Numbers {
    startup_cost: Option<f64>,
    total_cost: Option<f64>,
    plan_rows: Option<f64>,
    plan_width: Option<f64>,
    actual_startup: Option<f64>,
    actual_total: Option<f64>,
    actual_rows: Option<f64>,
    actual_loops: Option<f64>,
    buffers: Option<Buffers>,
    io: Option<IoTimes>,
}

fn lift_node(printed: &Map<String, Value>) -> Result<Lifted<'_>, &'static str> {
    let Some(type_name) = printed.get("Node Type").and_then(Value::as_str) else {
        return Err("a node has no \"Node Type\"");
    };
    let mut node = PlanNode {
        kind: NodeKind::from_name(type_name),
        type_name: type_name.to_owned(),
        relation: PlanRelation::default(),
        join_type: None,
        subplan_name: None,
        estimate: None,
        actual: None,
        buffers: None,
        io: None,
        wal: None,
        parallel_aware: false,
        workers_planned: None,
        workers_launched: None,
        conditions: Vec::new(),
        rows_removed_by_filter_per_loop: None,
        rows_removed_by_join_filter_per_loop: None,
        rows_removed_by_recheck_per_loop: None,
        extra: Map::new(),
    };
    let mut numbers = Numbers::default();
    let mut relationship = None;
    let mut inputs: &[Value] = &[];
    for (key, value) in printed {
        let lifted = match value {
            Value::String(text) => match key.as_str() {
                "Node Type" => true,
                "Parent Relationship" => {
                    relationship = Some(text.as_str());
                    known_edge(text).is_some()
                }
                name => lift_text(&mut node, name, text),
            },
            Value::Number(number) => number
                .as_f64()
                .is_some_and(|number| lift_number(&mut node, &mut numbers, key, number)),
            Value::Bool(flag) if key == "Parallel Aware" => {
                node.parallel_aware = *flag;
                true
            }
            Value::Array(entries) if key == "Plans" => {
                inputs = entries;
                true
            }
            _ => false,
        };
        if !lifted {
            node.extra.insert(key.clone(), value.clone());
        }
    }
    finish_numbers(&mut node, &numbers, printed);
    Ok(Lifted {
        node,
        relationship,
        inputs,
    })
}

/// Puts the numbers together; those that make no whole (a cost without rows)
/// stay in [`PlanNode::extra`].
fn finish_numbers(node: &mut PlanNode, numbers: &Numbers, printed: &Map<String, Value>) {
    node.buffers = numbers.buffers;
    node.io = numbers.io;
    node.wal = lift_wal(printed);
    if let (Some(total_cost), Some(rows)) = (numbers.total_cost, numbers.plan_rows) {
        node.estimate = Some(Estimate {
            startup_cost: numbers.startup_cost.unwrap_or_default(),
            total_cost,
            rows,
            width: numbers.plan_width.unwrap_or_default(),
        });
    } else {
        keep(
            node,
            printed,
            &["Startup Cost", "Total Cost", "Plan Rows", "Plan Width"],
        );
    }
    if let (Some(rows_per_loop), Some(loops)) = (numbers.actual_rows, numbers.actual_loops) {
        node.actual = Some(Actual {
            rows_per_loop,
            loops,
            startup_ms_per_loop: numbers.actual_startup,
            total_ms_per_loop: numbers.actual_total,
        });
    } else {
        keep(
            node,
            printed,
            &[
                "Actual Startup Time",
                "Actual Total Time",
                "Actual Rows",
                "Actual Loops",
            ],
        );
    }
}

/// The text format prints only what is not zero, so that any of them is
/// enough.
fn lift_wal(printed: &Map<String, Value>) -> Option<Wal> {
    let number = |key: &str| printed.get(key).and_then(Value::as_f64);
    let records = number("WAL Records");
    let bytes = number("WAL Bytes");
    records.or(bytes)?;
    Some(Wal {
        records: records.unwrap_or_default(),
        full_page_images: number("WAL FPI").unwrap_or_default(),
        bytes: bytes.unwrap_or_default(),
        buffers_full: number("WAL Buffers Full").unwrap_or_default(),
    })
}

fn keep(node: &mut PlanNode, printed: &Map<String, Value>, keys: &[&str]) {
    for key in keys {
        if let Some(value) = printed.get(*key) {
            node.extra.insert((*key).to_owned(), value.clone());
        }
    }
}

/// Whether the key is one whose text is lifted; a second name (no server
/// prints two) is not.
fn lift_text(node: &mut PlanNode, key: &str, text: &str) -> bool {
    let slot = match key {
        "Schema" => &mut node.relation.schema,
        "Relation Name"
        | "Function Name"
        | "CTE Name"
        | "Table Function Name"
        | "Tuplestore Name" => &mut node.relation.name,
        "Alias" => &mut node.relation.alias,
        "Index Name" => &mut node.relation.index,
        "Join Type" => &mut node.join_type,
        "Subplan Name" => &mut node.subplan_name,
        _ => {
            let Some(role) = condition_role(key) else {
                return false;
            };
            node.conditions.push(Condition {
                role,
                text: text.to_owned(),
            });
            return true;
        }
    };
    if slot.is_some() {
        return false;
    }
    *slot = Some(text.to_owned());
    true
}

/// The role of a condition by its key.
fn condition_role(key: &str) -> Option<ConditionRole> {
    Some(match key {
        "Filter" => ConditionRole::Filter,
        "Index Cond" => ConditionRole::IndexCond,
        "Recheck Cond" => ConditionRole::RecheckCond,
        "Join Filter" => ConditionRole::JoinFilter,
        "Hash Cond" => ConditionRole::HashCond,
        "Merge Cond" => ConditionRole::MergeCond,
        "Order By" => ConditionRole::OrderBy,
        "TID Cond" => ConditionRole::TidCond,
        "One-Time Filter" => ConditionRole::OneTimeFilter,
        "Conflict Filter" => ConditionRole::ConflictFilter,
        "Run Condition" => ConditionRole::RunCondition,
        _ => return None,
    })
}

/// Whether the key is one whose number is lifted.
fn lift_number(node: &mut PlanNode, numbers: &mut Numbers, key: &str, number: f64) -> bool {
    let slot = match key {
        "Startup Cost" => &mut numbers.startup_cost,
        "Total Cost" => &mut numbers.total_cost,
        "Plan Rows" => &mut numbers.plan_rows,
        "Plan Width" => &mut numbers.plan_width,
        "Actual Startup Time" => &mut numbers.actual_startup,
        "Actual Total Time" => &mut numbers.actual_total,
        "Actual Rows" => &mut numbers.actual_rows,
        "Actual Loops" => &mut numbers.actual_loops,
        "Workers Planned" => &mut node.workers_planned,
        "Workers Launched" => &mut node.workers_launched,
        "Rows Removed by Filter" => &mut node.rows_removed_by_filter_per_loop,
        "Rows Removed by Join Filter" => &mut node.rows_removed_by_join_filter_per_loop,
        "Rows Removed by Index Recheck" => &mut node.rows_removed_by_recheck_per_loop,
        _ if key.ends_with(" Blocks") => {
            return lift_buffers(&mut numbers.buffers, key, number);
        }
        _ if key.ends_with(" Time") => return lift_io(&mut numbers.io, key, number),
        _ => return false,
    };
    *slot = Some(number);
    true
}

fn lift_buffers(buffers: &mut Option<Buffers>, key: &str, number: f64) -> bool {
    let mut found = buffers.unwrap_or_default();
    let slot = match key {
        "Shared Hit Blocks" => &mut found.shared_hit_blocks,
        "Shared Read Blocks" => &mut found.shared_read_blocks,
        "Shared Dirtied Blocks" => &mut found.shared_dirtied_blocks,
        "Shared Written Blocks" => &mut found.shared_written_blocks,
        "Local Hit Blocks" => &mut found.local_hit_blocks,
        "Local Read Blocks" => &mut found.local_read_blocks,
        "Local Dirtied Blocks" => &mut found.local_dirtied_blocks,
        "Local Written Blocks" => &mut found.local_written_blocks,
        "Temp Read Blocks" => &mut found.temp_read_blocks,
        "Temp Written Blocks" => &mut found.temp_written_blocks,
        _ => return false,
    };
    *slot = number;
    *buffers = Some(found);
    true
}

/// Before 15 there is one time for shared and local blocks together, 15 added
/// the temporary files, 17 told shared from local.
fn lift_io(io: &mut Option<IoTimes>, key: &str, number: f64) -> bool {
    let mut found = io.unwrap_or_default();
    let slot = match key {
        "I/O Read Time" | "Shared I/O Read Time" => &mut found.shared_read_ms,
        "I/O Write Time" | "Shared I/O Write Time" => &mut found.shared_write_ms,
        "Local I/O Read Time" => &mut found.local_read_ms,
        "Local I/O Write Time" => &mut found.local_write_ms,
        "Temp I/O Read Time" => &mut found.temp_read_ms,
        "Temp I/O Write Time" => &mut found.temp_write_ms,
        _ => return false,
    };
    *slot = number;
    *io = Some(found);
    true
}

fn lift_run(statement: &Map<String, Value>) -> Run {
    let mut run = Run::default();
    for (key, value) in statement {
        match (key.as_str(), value) {
            ("Plan", _) => {}
            ("Planning Time", Value::Number(number)) => run.planning_ms = number.as_f64(),
            ("Execution Time", Value::Number(number)) => run.execution_ms = number.as_f64(),
            ("Query Text", Value::String(text)) => run.query_text = Some(text.clone()),
            ("Query Identifier", Value::Number(id)) => run.query_id = Some(id.to_string()),
            ("Query Identifier", Value::String(id)) => run.query_id = Some(id.clone()),
            ("Settings", Value::Object(settings)) if settings.values().all(Value::is_string) => {
                run.settings = lift_settings(settings);
            }
            ("Triggers", Value::Array(triggers)) => match lift_triggers(triggers) {
                Some(triggers) => run.triggers = triggers,
                None => {
                    run.extra.insert(key.clone(), value.clone());
                }
            },
            _ => {
                run.extra.insert(key.clone(), value.clone());
            }
        }
    }
    run
}

fn lift_settings(settings: &Map<String, Value>) -> BTreeMap<String, String> {
    settings
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The triggers, if each of them is understood.
fn lift_triggers(triggers: &[Value]) -> Option<Vec<Trigger>> {
    triggers
        .iter()
        .map(|trigger| {
            let text = |key| trigger.get(key).and_then(Value::as_str).map(str::to_owned);
            Some(Trigger {
                // A constraint's trigger has a name made of a number, which TEXT
                // does not print.
                name: text("Constraint Name").or_else(|| text("Trigger Name"))?,
                relation: text("Relation"),
                ms: trigger.get("Time").and_then(Value::as_f64),
                calls: trigger.get("Calls").and_then(Value::as_f64)?,
            })
        })
        .collect()
}

impl NodeKind {
    /// The kind of a `Node Type`. The text format's own names for an Aggregate
    /// by its strategy are known too; parallel scans are told by a flag, so
    /// `Parallel ` in front (text format) is passed over.
    pub fn from_name(name: &str) -> Self {
        match name.strip_prefix("Parallel ").unwrap_or(name) {
            "Seq Scan" => Self::SeqScan,
            "Sample Scan" => Self::SampleScan,
            "Index Scan" => Self::IndexScan,
            "Index Only Scan" => Self::IndexOnlyScan,
            "Bitmap Index Scan" => Self::BitmapIndexScan,
            "Bitmap Heap Scan" => Self::BitmapHeapScan,
            "Tid Scan" => Self::TidScan,
            "Tid Range Scan" => Self::TidRangeScan,
            "Subquery Scan" => Self::SubqueryScan,
            "Function Scan" => Self::FunctionScan,
            "Table Function Scan" => Self::TableFunctionScan,
            "Values Scan" => Self::ValuesScan,
            "CTE Scan" => Self::CteScan,
            "Named Tuplestore Scan" => Self::NamedTuplestoreScan,
            "WorkTable Scan" => Self::WorkTableScan,
            "Foreign Scan" => Self::ForeignScan,
            "Custom Scan" => Self::CustomScan,
            "Nested Loop" => Self::NestedLoop,
            "Merge Join" => Self::MergeJoin,
            "Hash Join" => Self::HashJoin,
            "Hash" => Self::Hash,
            "Sort" => Self::Sort,
            "Incremental Sort" => Self::IncrementalSort,
            "Materialize" => Self::Materialize,
            "Memoize" => Self::Memoize,
            "Group" => Self::Group,
            "Aggregate" | "GroupAggregate" | "HashAggregate" | "MixedAggregate" => Self::Aggregate,
            "WindowAgg" => Self::WindowAgg,
            "Unique" => Self::Unique,
            "SetOp" | "HashSetOp" => Self::SetOp,
            "Limit" => Self::Limit,
            "LockRows" => Self::LockRows,
            "Result" => Self::Result,
            "ProjectSet" => Self::ProjectSet,
            "Append" => Self::Append,
            "Merge Append" => Self::MergeAppend,
            "Recursive Union" => Self::RecursiveUnion,
            "BitmapAnd" => Self::BitmapAnd,
            "BitmapOr" => Self::BitmapOr,
            "Gather" => Self::Gather,
            "Gather Merge" => Self::GatherMerge,
            "ModifyTable" => Self::ModifyTable,
            _ => Self::Other(name.to_owned()),
        }
    }
}
