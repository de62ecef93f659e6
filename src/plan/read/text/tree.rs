//! The tree of a text plan while its lines are read.

use serde_json::{Map, Value};

use super::head::Head;
use super::wrapped::Joiner;
use super::{footer, head, property};

/// Levels of nodes that are kept apart; nodes deeper than this hang at this
/// level, as a document of more levels could overflow the stack of whoever
/// drops or prints it.
const MOST_LEVELS: usize = 480;

/// One node.
#[derive(Debug)]
struct Node {
    map: Map<String, Value>,
    /// Where its arrow stands.
    column: usize,
    children: Vec<usize>,
    label: Option<String>,
    never: bool,
    workers: Vec<(i64, Map<String, Value>)>,
    /// Lines `Group Key` and `Hash Key` of an aggregate, with the `Sort Key`
    /// before them.
    keys: Vec<(String, String)>,
    /// The key read last.
    last: Option<String>,
}

/// Where a worker's lines go.
#[derive(Debug, Clone, Copy)]
struct Worker {
    index: usize,
    column: usize,
    /// The column of its `JIT:` line.
    jit: Option<usize>,
}

/// A tree that grows line by line.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The path to the node read last.
    open: Vec<usize>,
    label: Option<(usize, String)>,
    worker: Option<Worker>,
    /// The column of the target whose properties come now.
    target: Option<usize>,
    top: usize,
    costs: bool,
    timed: bool,
    /// The indentation is lost: arrows stand no further right than the top.
    flat: bool,
}

impl Tree {
    pub(super) fn new(top: Head, column: usize, flat: bool) -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            open: Vec::new(),
            label: None,
            worker: None,
            target: None,
            top: column,
            costs: top.costs || top.cut,
            timed: false,
            flat,
        };
        tree.push(top, column, None);
        tree
    }

    pub(super) fn top_column(&self) -> usize {
        self.top
    }

    pub(super) fn has_costs(&self) -> bool {
        self.costs
    }

    pub(super) fn is_flat(&self) -> bool {
        self.flat
    }

    /// A label that no node followed.
    pub(super) fn unused_label(&self) -> Option<(usize, &str)> {
        let (number, label) = self.label.as_ref()?;
        Some((*number, label))
    }

    fn push(&mut self, head: Head, column: usize, parent: Option<usize>) {
        let index = self.nodes.len();
        self.timed |= head.timed;
        self.nodes.push(Node {
            map: head.map,
            column,
            children: Vec::new(),
            label: self.label.take().map(|(_, label)| label),
            never: head.never,
            workers: Vec::new(),
            keys: Vec::new(),
            last: None,
        });
        if let Some(parent) = parent.and_then(|parent| self.nodes.get_mut(parent)) {
            parent.children.push(index);
        }
        if self.open.len() < MOST_LEVELS {
            self.open.push(index);
        } else if let Some(last) = self.open.last_mut() {
            *last = index;
        }
        self.worker = None;
        self.target = None;
    }

    /// `InitPlan 1 (returns $0)` and its kind, before the node of that name.
    pub(super) fn label(&mut self, text: &str, column: usize, number: usize) {
        if !self.flat {
            self.close(column);
        }
        self.label = Some((number, text.to_owned()));
    }

    /// A node with an arrow.
    pub(super) fn node(&mut self, head: Head, column: usize) {
        if self.flat {
            let parent = self.open_for_input(&head);
            self.push(head, column, parent);
            return;
        }
        self.close(column);
        let parent = self.open.last().copied().or(Some(0));
        self.push(head, column, parent);
    }

    /// Leaves the nodes whose arrows stand at or right of a column.
    fn close(&mut self, column: usize) {
        while self.open.len() > 1
            && self
                .open
                .last()
                .and_then(|last| self.nodes.get(*last))
                .is_some_and(|node| node.column >= column)
        {
            self.open.pop();
        }
    }

    /// Without indentation: the innermost node that still lacks an input. A
    /// node of many inputs takes what costs no more than itself.
    fn open_for_input(&mut self, head: &Head) -> Option<usize> {
        let cost = head.map.get("Total Cost").and_then(Value::as_f64);
        while self.open.len() > 1 {
            let last = *self.open.last()?;
            let Some(node) = self.nodes.get(last) else {
                break;
            };
            let inputs = node
                .children
                .iter()
                .filter(|child| {
                    self.nodes
                        .get(**child)
                        .is_some_and(|child| child.label.is_none())
                })
                .count();
            let own = node.map.get("Total Cost").and_then(Value::as_f64);
            let affords = match (own, cost) {
                (Some(own), Some(cost)) => cost <= own * 1.000_001 + 0.01,
                _ => true,
            };
            if self.label.is_some() && inputs == 0 && !is_leaf(&node.map) {
                break;
            }
            if inputs < most_inputs(&node.map) && (affords || inputs == 0) {
                break;
            }
            self.open.pop();
        }
        self.open.last().copied()
    }

    fn last(&mut self) -> Option<&mut Node> {
        let last = *self.open.last()?;
        self.nodes.get_mut(last)
    }

    pub(super) fn is_modify_table(&self) -> bool {
        self.open
            .last()
            .and_then(|last| self.nodes.get(*last))
            .is_some_and(|node| {
                node.map.get("Node Type").and_then(Value::as_str) == Some("ModifyTable")
            })
    }

    /// One of several targets of a ModifyTable.
    pub(super) fn target(&mut self, fields: Map<String, Value>, column: usize) {
        self.target = Some(column);
        if let Some(node) = self.last()
            && let Some(targets) = node
                .map
                .entry("Target Tables")
                .or_insert_with(|| Value::Array(Vec::new()))
                .as_array_mut()
        {
            targets.push(Value::Object(fields));
        }
    }

    /// The node that a line of a nested plan's end belongs to, by its column.
    pub(super) fn owner(&mut self, column: usize) -> Option<&mut Map<String, Value>> {
        let index = self
            .open
            .iter()
            .rev()
            .copied()
            .find(|index| {
                self.nodes
                    .get(*index)
                    .is_some_and(|node| node.column < column)
            })
            .unwrap_or(0);
        Some(&mut self.nodes.get_mut(index)?.map)
    }

    /// A property of the node read last, of one of its workers, or of one of
    /// its targets.
    pub(super) fn property(&mut self, key: &str, value: &str, column: usize) {
        if let Some(number) = key
            .strip_prefix("Worker ")
            .and_then(|number| number.trim().parse::<i64>().ok())
        {
            self.worker_line(number, value, column);
            return;
        }
        if let Some(worker) = self.worker {
            if self.flat || column > worker.column {
                self.worker_property(worker, key, value, column);
                return;
            }
            self.worker = None;
        }
        if let Some(target) = self.target {
            if column > target
                && let Some(fields) = self
                    .last()
                    .and_then(|node| node.map.get_mut("Target Tables"))
                    .and_then(Value::as_array_mut)
                    .and_then(|targets| targets.last_mut())
                    .and_then(Value::as_object_mut)
            {
                property::put(fields, key, value);
                return;
            }
            self.target = None;
        }
        if footer::name(key).is_some() {
            if let Some(owner) = self.owner(column) {
                property::put(owner, key, value);
            }
            return;
        }
        let Some(node) = self.last() else { return };
        let aggregate = node.map.get("Node Type").and_then(Value::as_str) == Some("Aggregate");
        if aggregate && matches!(key, "Group Key" | "Hash Key" | "Sort Key") {
            node.keys.push((key.to_owned(), value.to_owned()));
        } else {
            property::put(&mut node.map, key, value);
        }
        node.last = Some(key.to_owned());
    }

    /// `Worker 0:  actual time=…`, or the first of a worker's properties.
    fn worker_line(&mut self, number: i64, value: &str, column: usize) {
        let Some(node) = self.last() else { return };
        let known = node.workers.iter().position(|(known, _)| *known == number);
        let index = known.unwrap_or(node.workers.len());
        if known.is_none() {
            let mut map = Map::new();
            map.insert("Worker Number".to_owned(), Value::from(number));
            node.workers.push((number, map));
        }
        let worker = Worker {
            index,
            column,
            jit: None,
        };
        self.worker = Some(worker);
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        let mut numbers = head::worker(value);
        if let Some(numbers) = &mut numbers {
            if let Some((_, map)) = self.last().and_then(|node| node.workers.get_mut(index)) {
                map.append(numbers);
            }
        } else if let Some((key, value)) = property::split(value) {
            self.worker_property(worker, key, value, column + 1);
        } else if let Some((_, map)) = self.last().and_then(|node| node.workers.get_mut(index)) {
            property::add(map, "Worker", Value::from(value));
        }
    }

    fn worker_property(&mut self, worker: Worker, key: &str, value: &str, column: usize) {
        let Some((_, map)) = self
            .last()
            .and_then(|node| node.workers.get_mut(worker.index))
        else {
            return;
        };
        if key == "JIT" {
            map.insert(key.to_owned(), Value::Object(Map::new()));
            self.worker = Some(Worker {
                jit: Some(column),
                ..worker
            });
            return;
        }
        if worker.jit.is_some()
            && matches!(key, "Functions" | "Options" | "Timing")
            && let Some(jit) = map.get_mut("JIT").and_then(Value::as_object_mut)
        {
            footer::jit(jit, key, value);
            return;
        }
        property::put(map, key, value);
    }

    /// A line that is nothing by itself: the rest of the property before it.
    pub(super) fn go_on(&mut self, text: &str, joiner: Joiner) {
        let Some(node) = self.last() else { return };
        let known = node.last.clone().and_then(|key| node.map.get_mut(&key));
        if let Some(Value::String(known)) = known {
            joiner.join(known, text.trim_end());
        } else if let Some(Value::Array(entries)) = known
            && let Some(Value::String(last)) = entries.last_mut()
        {
            joiner.join(last, text.trim_end());
            let more = property::list(last);
            entries.pop();
            if let Value::Array(more) = more {
                entries.extend(more);
            }
        } else {
            property::add(
                &mut node.map,
                "Other Lines",
                Value::Array(vec![Value::from(text.trim())]),
            );
        }
    }

    /// The top node's object, with all others in it.
    pub(super) fn into_value(mut self) -> Value {
        let mut below: Vec<Vec<Value>> = Vec::new();
        below.resize_with(self.nodes.len(), Vec::new);
        let relations = self.relations();
        let mut parents = vec![0_usize; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for child in &node.children {
                if let Some(parent) = parents.get_mut(*child) {
                    *parent = index;
                }
            }
        }
        // Inputs stand after their node: from the last line up, each is whole
        // when it is reached.
        while let Some(mut node) = self.nodes.pop() {
            let index = self.nodes.len();
            let mut map = node.finish(self.timed);
            if let Some(relation) = relations.get(index).copied().flatten() {
                map.insert("Parent Relationship".to_owned(), Value::from(relation));
            }
            if let Some(label) = node.label {
                map.insert("Subplan Name".to_owned(), Value::from(label));
            }
            let mut inputs = below.pop().unwrap_or_default();
            if !inputs.is_empty() {
                inputs.reverse();
                map.insert("Plans".to_owned(), Value::Array(inputs));
            }
            let value = Value::Object(map);
            if index == 0 {
                return value;
            }
            let parent = parents.get(index).copied().unwrap_or_default();
            if let Some(siblings) = below.get_mut(parent) {
                siblings.push(value);
            }
        }
        Value::Null
    }

    /// How each node hangs below its parent, which TEXT does not print.
    fn relations(&self) -> Vec<Option<&'static str>> {
        let mut relations = vec![None; self.nodes.len()];
        for node in &self.nodes {
            let kind = node
                .map
                .get("Node Type")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let inputs = node
                .children
                .iter()
                .filter(|child| {
                    self.nodes
                        .get(**child)
                        .is_some_and(|child| child.label.is_none())
                })
                .count();
            let mut position = 0;
            for child in &node.children {
                let label = self
                    .nodes
                    .get(*child)
                    .and_then(|child| child.label.as_deref());
                let relation = match label {
                    Some(label) if label.starts_with("SubPlan") => Some("SubPlan"),
                    Some(_) => Some("InitPlan"),
                    None => {
                        position += 1;
                        match kind {
                            "Append" | "Merge Append" | "BitmapAnd" | "BitmapOr" => Some("Member"),
                            "ModifyTable" if inputs > 1 => Some("Member"),
                            "Subquery Scan" => Some("Subquery"),
                            "Custom Scan" if inputs > 1 => Some("children"),
                            "Custom Scan" => Some("child"),
                            _ if position == 1 => Some("Outer"),
                            _ if position == 2 => Some("Inner"),
                            _ => Some("Member"),
                        }
                    }
                };
                if let Some(slot) = relations.get_mut(*child) {
                    *slot = relation;
                }
            }
        }
        relations
    }
}

impl Node {
    /// Its object, with what TEXT leaves to the reader.
    fn finish(&mut self, timed: bool) -> Map<String, Value> {
        let mut map = std::mem::take(&mut self.map);
        if self.never && timed {
            map.insert("Actual Startup Time".to_owned(), Value::from(0.0));
            map.insert("Actual Total Time".to_owned(), Value::from(0.0));
        }
        if !self.workers.is_empty() {
            let workers = std::mem::take(&mut self.workers)
                .into_iter()
                .map(|(_, worker)| Value::Object(worker))
                .collect();
            property::add(&mut map, "Workers", Value::Array(workers));
        }
        grouping(&mut map, &self.keys);
        // A function's schema is printed under VERBOSE, unless the scan is over
        // several functions: then there is no name but the alias.
        if map.contains_key("Function Call")
            && map.contains_key("Function Name")
            && !map.contains_key("Schema")
        {
            map.remove("Function Name");
        }
        map
    }
}

/// `Group Key` of a plain aggregate, or the `Grouping Sets`.
fn grouping(map: &mut Map<String, Value>, keys: &[(String, String)]) {
    let plain = matches!(keys, [(key, value)] if key == "Group Key" && value != "()");
    if plain {
        for (key, value) in keys {
            property::put(map, key, value);
        }
        return;
    }
    let mut sets: Vec<Map<String, Value>> = Vec::new();
    for (key, value) in keys {
        let nested = match key.as_str() {
            "Sort Key" => {
                let mut set = Map::new();
                set.insert(key.clone(), property::list(value));
                sets.push(set);
                continue;
            }
            "Hash Key" => "Hash Keys",
            _ => "Group Keys",
        };
        let goes_on = nested == "Group Keys"
            && sets
                .last()
                .is_some_and(|set| !set.contains_key("Hash Keys"));
        if !goes_on {
            sets.push(Map::new());
        }
        let entry = if value.trim() == "()" {
            Value::Array(Vec::new())
        } else {
            property::list(value)
        };
        if let Some(list) = sets
            .last_mut()
            .map(|set| {
                set.entry(nested)
                    .or_insert_with(|| Value::Array(Vec::new()))
            })
            .and_then(Value::as_array_mut)
        {
            list.push(entry);
        }
    }
    if !sets.is_empty() {
        map.insert(
            "Grouping Sets".to_owned(),
            Value::Array(sets.into_iter().map(Value::Object).collect()),
        );
    }
}

fn kind(map: &Map<String, Value>) -> &str {
    map.get("Node Type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// How many inputs a node of that type has at most, InitPlans and SubPlans
/// aside.
fn most_inputs(map: &Map<String, Value>) -> usize {
    match kind(map) {
        "Nested Loop" | "Hash Join" | "Merge Join" | "Recursive Union" => 2,
        "Append" | "Merge Append" | "BitmapAnd" | "BitmapOr" | "ModifyTable" | "Custom Scan" => {
            usize::MAX
        }
        "SetOp" => 2,
        _ if is_leaf(map) => 0,
        _ => 1,
    }
}

fn is_leaf(map: &Map<String, Value>) -> bool {
    matches!(
        kind(map),
        "Seq Scan"
            | "Sample Scan"
            | "Index Scan"
            | "Index Only Scan"
            | "Bitmap Index Scan"
            | "Tid Scan"
            | "Tid Range Scan"
            | "Function Scan"
            | "Table Function Scan"
            | "Values Scan"
            | "CTE Scan"
            | "Named Tuplestore Scan"
            | "WorkTable Scan"
    )
}
