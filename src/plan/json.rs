//! `EXPLAIN (FORMAT JSON)` of servers 9.6 to 18 into a [`PlanGraph`].
//!
//! It reads the text; what the keys mean is [`super::build`]'s.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::{PlanGraph, build};

/// How many objects and lists may be inside one another: 500 levels of plan
/// nodes. A value deeper than this could overflow the stack of whoever drops,
/// clones or prints it.
pub(super) const MAX_DEPTH: usize = 1_000;

/// Up to this depth the text is read on the caller's stack.
const SHALLOW: usize = 100;

/// Stack for reading a deeper one, enough for [`MAX_DEPTH`] without
/// optimisation.
const DEEP_STACK_BYTES: usize = 64 << 20;

/// Why a text is not a JSON plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanJsonError {
    /// Not JSON, or cut off.
    #[error("not valid JSON at line {line}, column {column}{}", if *.truncated { ": the text ends too early" } else { "" })]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// It ends in the middle.
        truncated: bool,
        /// The reader's word.
        #[source]
        source: serde_json::Error,
    },
    /// JSON, but no plan in it.
    #[error("JSON, but not a plan: {what}")]
    NotAPlan {
        /// What is missing.
        what: &'static str,
    },
    /// Nested deeper than any server plans.
    #[error(
        "the plan is nested too deeply at line {line}, column {column}: at most {limit} levels of objects and lists are read"
    )]
    TooDeep {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// How many levels are read.
        limit: usize,
    },
}

/// Whether a text is meant as a JSON plan rather than as SQL: no SQL statement
/// begins with a bracket or a brace. It may still be a broken plan, which
/// [`parse`] then says.
pub fn looks_like_plan(text: &str) -> bool {
    body(text).starts_with(['[', '{'])
}

/// Reads a text with one or more plans: an array of statements, one statement
/// object (as `auto_explain` logs it), or a bare node; several of them one
/// after another, as psql prints them unaligned.
pub fn parse(text: &str) -> Result<Vec<PlanGraph>, PlanJsonError> {
    let body = body(text);
    let start = text.len() - body.len();
    let depth = match nesting(body) {
        Ok(depth) => depth,
        Err(offset) => return Err(too_deep(text, start + offset)),
    };
    let values = if depth <= SHALLOW {
        read(text, body)?
    } else {
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(DEEP_STACK_BYTES)
                .spawn_scoped(scope, || read(text, body))
                .ok()
                .and_then(|reader| reader.join().ok())
                .unwrap_or_else(|| Err(too_deep(text, start)))
        })?
    };
    let mut plans = Vec::new();
    for value in values {
        collect(value, &mut plans)?;
    }
    if plans.is_empty() {
        return Err(PlanJsonError::NotAPlan {
            what: "there is no statement with a \"Plan\" in it",
        });
    }
    Ok(plans)
}

/// The text without byte order mark, leading blanks and psql's heading.
fn body(text: &str) -> &str {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    match text.strip_prefix("QUERY PLAN") {
        Some(rest) if rest.starts_with(['\n', '\r']) => rest.trim_start(),
        _ => text,
    }
}

/// psql's row count, and its timing, after an unaligned result.
fn is_footer(rest: &str) -> bool {
    rest.lines().all(|line| {
        let line = line.trim();
        line.is_empty()
            || line.starts_with("Time: ")
            || line
                .strip_prefix('(')
                .and_then(|line| {
                    line.strip_suffix(" row)")
                        .or_else(|| line.strip_suffix(" rows)"))
                })
                .is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

fn too_deep(text: &str, offset: usize) -> PlanJsonError {
    let (line, column) = position(text, offset);
    PlanJsonError::TooDeep {
        line,
        column,
        limit: MAX_DEPTH,
    }
}

/// Line and column (in bytes, as the JSON reader counts), from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    let line_start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let line = 1 + before.split(|byte| *byte == b'\n').skip(1).count();
    (line, 1 + offset - line_start)
}

/// The greatest nesting of a JSON text, or where it passes [`MAX_DEPTH`].
/// Told in advance, because a value of any greater depth must not be built.
fn nesting(text: &str) -> Result<usize, usize> {
    let (mut depth, mut greatest) = (0_usize, 0_usize);
    let mut bytes = text.bytes().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'"' => loop {
                match bytes.next() {
                    Some((_, b'\\')) => {
                        bytes.next();
                    }
                    Some((_, b'"')) | None => break,
                    Some(_) => {}
                }
            },
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(offset);
                }
                greatest = greatest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(greatest)
}

/// All JSON values of a text.
fn read(text: &str, body: &str) -> Result<Vec<Value>, PlanJsonError> {
    let mut values = Vec::new();
    let mut rest = body;
    loop {
        let start = text.len() - rest.len();
        let mut reader = serde_json::Deserializer::from_str(rest);
        reader.disable_recursion_limit();
        let mut stream = reader.into_iter::<Printed>();
        let value = match stream.next() {
            Some(Ok(Printed(value))) => value,
            Some(Err(source)) => return Err(syntax(text, start, source)),
            None if values.is_empty() => {
                return Err(PlanJsonError::NotAPlan {
                    what: "the text is empty",
                });
            }
            None => return Ok(values),
        };
        values.push(value);
        let read = stream.byte_offset();
        rest = rest.get(read..).unwrap_or_default().trim_start();
        if is_footer(rest) {
            return Ok(values);
        }
        rest = body_or(rest);
    }
}

/// What follows a value: maybe the next result under its heading.
fn body_or(rest: &str) -> &str {
    let without_footer = rest
        .split_once('\n')
        .filter(|(line, _)| is_footer(line))
        .map_or(rest, |(_, after)| after);
    body(without_footer)
}

/// A reader's error at its place in the whole text.
fn syntax(text: &str, start: usize, source: serde_json::Error) -> PlanJsonError {
    let (first_line, first_column) = position(text, start);
    let line = first_line + source.line().saturating_sub(1);
    let column = if source.line() <= 1 {
        first_column + source.column().saturating_sub(1)
    } else {
        source.column()
    };
    PlanJsonError::Syntax {
        line,
        column: column.max(1),
        truncated: source.is_eof(),
        source,
    }
}

/// The plans of one value. A utility statement is a text in the server's list
/// and has no plan.
fn collect(value: Value, plans: &mut Vec<PlanGraph>) -> Result<(), PlanJsonError> {
    match value {
        Value::Array(entries) => {
            for entry in entries {
                match entry {
                    Value::String(_) => {}
                    // A result set saved as JSON: `[{"QUERY PLAN": [{"Plan": …}]}]`.
                    Value::Object(mut row) if row.len() == 1 && row.contains_key("QUERY PLAN") => {
                        if let Some(inner) = row.remove("QUERY PLAN") {
                            let statements = match inner {
                                Value::Array(statements) => statements,
                                other => vec![other],
                            };
                            for statement in statements {
                                plans.push(plan(statement)?);
                            }
                        }
                    }
                    other => plans.push(plan(other)?),
                }
            }
            Ok(())
        }
        other => {
            plans.push(plan(other)?);
            Ok(())
        }
    }
}

fn plan(document: Value) -> Result<PlanGraph, PlanJsonError> {
    build::plan_from_document(document).map_err(|what| PlanJsonError::NotAPlan { what })
}

/// A JSON value as printed, with what a plain reader would lose: servers before
/// 13 print the key `Workers` twice in a node, once with each worker's sort and
/// once with its times.
struct Printed(Value);

impl<'de> Deserialize<'de> for Printed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PrintedVisitor)
    }
}

struct PrintedVisitor;

impl<'de> Visitor<'de> for PrintedVisitor {
    type Value = Printed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Printed, E> {
        Ok(Printed(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Printed, E> {
        Ok(Printed(Value::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Printed, E> {
        Ok(Printed(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Printed, E> {
        Ok(Printed(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Printed, E> {
        Ok(Printed(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Printed, E> {
        Ok(Printed(Value::String(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Printed, E> {
        Ok(Printed(Value::String(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Printed, A::Error> {
        let mut list = Vec::new();
        while let Some(Printed(entry)) = entries.next_element()? {
            list.push(entry);
        }
        Ok(Printed(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Printed, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let Printed(value) = entries.next_value()?;
            match map.entry(key) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                serde_json::map::Entry::Occupied(mut entry) => merge(entry.get_mut(), value),
            }
        }
        Ok(Printed(Value::Object(map)))
    }
}

/// A key printed again: two lists become one, with the entries of the same
/// worker put together; of anything else the later one counts.
pub(super) fn merge(first: &mut Value, second: Value) {
    match (first, second) {
        (Value::Array(list), Value::Array(more)) => {
            for entry in more {
                let worker = entry.get("Worker Number").cloned();
                let same = list.iter_mut().find(|known| {
                    worker.is_some() && known.get("Worker Number") == worker.as_ref()
                });
                match (same, entry) {
                    (Some(Value::Object(known)), Value::Object(facts)) => known.extend(facts),
                    (_, entry) => list.push(entry),
                }
            }
        }
        (first, second) => *first = second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ConditionRole, NodeKind, PlanEdge};

    const SCAN: &str = r#"{"Node Type": "Seq Scan", "Parallel Aware": false, "Relation Name": "t", "Alias": "t",
        "Startup Cost": 0.00, "Total Cost": 35.50, "Plan Rows": 2550, "Plan Width": 4,
        "Actual Startup Time": 0.003, "Actual Total Time": 0.004, "Actual Rows": 3.00, "Actual Loops": 1,
        "Filter": "(a > 1)", "Rows Removed by Filter": 7, "Disabled": false}"#;

    fn one(text: &str) -> PlanGraph {
        parse(text).unwrap().pop().unwrap()
    }

    #[test]
    fn array_object_and_bare_node_give_the_same_node() {
        let forms = [
            SCAN.to_owned(),
            format!("{{\"Plan\": {SCAN}}}"),
            format!("[{{\"Plan\": {SCAN}, \"Planning Time\": 0.1}}]"),
            format!("\u{feff}\n  [{{\"Plan\": {SCAN}}}]  \n\n"),
            format!("QUERY PLAN\n[{{\"Plan\": {SCAN}}}]\n(1 row)\n\nTime: 1.2 ms\n"),
            format!("[{{\"QUERY PLAN\": [{{\"Plan\": {SCAN}}}]}}]"),
        ];
        for form in &forms {
            assert!(looks_like_plan(form), "{form}");
            let plans = parse(form).unwrap();
            assert_eq!(plans.len(), 1, "{form}");
            let plan = &plans[0];
            let node = plan.node(plan.root);
            assert_eq!(node.kind, NodeKind::SeqScan);
            assert_eq!(node.actual.map(|actual| actual.rows_per_loop), Some(3.0));
            assert_eq!(plan.total_cost(), Some(35.5));
            assert_eq!(node.rows_removed_by_filter_per_loop, Some(7.0));
            assert_eq!(node.condition(ConditionRole::Filter), Some("(a > 1)"));
            assert_eq!(node.extra.keys().collect::<Vec<_>>(), ["Disabled"]);
            assert!(plan.document.get("Plan").is_some(), "{form}");
        }
    }

    #[test]
    fn several_results_one_after_another_are_several_plans() {
        let text = format!(
            "[{{\"Plan\": {SCAN}}}]\n(1 row)\n[{{\"Plan\": {SCAN}}}, {{\"Plan\": {SCAN}}}]"
        );
        assert_eq!(parse(&text).unwrap().len(), 3);
    }

    #[test]
    fn sql_does_not_look_like_a_plan() {
        assert!(!looks_like_plan("select '[{\"Plan\"'"));
        assert!(!looks_like_plan("-- {\nselect 1"));
        assert!(!looks_like_plan(""));
    }

    #[test]
    fn cut_text_says_where_it_ends() {
        let error = parse("[\n  {\"Plan\": {\"Node Type\": \"Seq").unwrap_err();
        let PlanJsonError::Syntax {
            line, truncated, ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((line, truncated), (2, true));
    }

    #[test]
    fn errors_count_lines_of_the_whole_text() {
        let error = parse("\u{feff}\n\n{\n  \"Plan\": oops}").unwrap_err();
        let PlanJsonError::Syntax {
            line,
            column,
            truncated,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((line, truncated), (4, false));
        assert_eq!(column, 11);
    }

    #[test]
    fn json_without_a_plan_is_told_apart() {
        for text in [
            "[]",
            "{}",
            "{\"Plan\": 3}",
            "[{\"a\": 1}]",
            "42",
            "[\"Utility Statement\"]",
            "",
            "{\"Plan\": {\"Plans\": []}}",
        ] {
            assert!(
                matches!(parse(text), Err(PlanJsonError::NotAPlan { .. })),
                "{text}"
            );
        }
        let mixed = format!("[\"Utility Statement\", {{\"Plan\": {SCAN}}}]");
        assert_eq!(parse(&mixed).unwrap().len(), 1);
    }

    fn nested(levels: usize) -> String {
        let mut text = String::new();
        for _ in 1..levels {
            text.push_str(r#"{"Node Type": "Materialize", "Plans": ["#);
        }
        text.push_str(r#"{"Node Type": "Result"}"#);
        for _ in 1..levels {
            text.push_str("]}");
        }
        text
    }

    #[test]
    fn plans_nest_beyond_any_query_and_never_overflow_the_stack() {
        let plan = one(&nested(490));
        assert_eq!(plan.graph.node_count(), 490);
        drop(plan.clone());
        for levels in [510, 100_000] {
            let error = parse(&nested(levels)).unwrap_err();
            assert!(
                matches!(error, PlanJsonError::TooDeep { line: 1, .. }),
                "{error}"
            );
        }
        assert!(parse(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn brackets_within_strings_are_no_nesting() {
        let text = format!(
            r#"{{"Node Type": "Result", "Filter": "{}\"{}"}}"#,
            "[".repeat(3_000),
            "{".repeat(3_000)
        );
        assert_eq!(one(&text).graph.node_count(), 1);
    }

    #[test]
    fn doubled_workers_of_old_servers_are_put_together() {
        let plan = one(r#"{"Node Type": "Sort",
            "Workers": [{"Worker Number": 0, "Sort Method": "quicksort"}],
            "Workers": [{"Worker Number": 0, "Actual Loops": 1}, {"Worker Number": 1, "Actual Loops": 1}]}"#);
        let workers = plan.node(plan.root).extra["Workers"].as_array().unwrap();
        assert_eq!(workers.len(), 2);
        assert_eq!(workers[0]["Sort Method"], "quicksort");
        assert_eq!(workers[0]["Actual Loops"], 1);
    }

    #[test]
    fn io_times_have_three_generations_of_names() {
        for (names, expected) in [
            (r#""I/O Read Time": 1.5, "I/O Write Time": 2"#, (1.5, 0.0)),
            (
                r#""I/O Read Time": 1.5, "Temp I/O Read Time": 4"#,
                (1.5, 4.0),
            ),
            (
                r#""Shared I/O Read Time": 1.5, "Temp I/O Read Time": 4"#,
                (1.5, 4.0),
            ),
        ] {
            let plan = one(&format!(r#"{{"Node Type": "Result", {names}}}"#));
            let io = plan.node(plan.root).io.unwrap();
            assert_eq!((io.shared_read_ms, io.temp_read_ms), expected);
        }
    }

    #[test]
    fn a_cte_scan_reads_the_innermost_cte_that_is_computed_before_it() {
        // x (outer), and below it a subquery with its own x that reads the outer.
        let plan = one(r#"{"Node Type": "Append", "Plans": [
            {"Node Type": "Result", "Parent Relationship": "InitPlan", "Subplan Name": "CTE x"},
            {"Node Type": "CTE Scan", "Parent Relationship": "Member", "CTE Name": "x", "Plans": [
                {"Node Type": "CTE Scan", "Parent Relationship": "InitPlan", "Subplan Name": "CTE x", "CTE Name": "x"}]},
            {"Node Type": "CTE Scan", "Parent Relationship": "Member", "CTE Name": "x"}]}"#);
        let reads: Vec<_> = plan
            .graph
            .edge_indices()
            .filter(|edge| plan.graph[*edge] == PlanEdge::ReadsCte)
            .map(|edge| plan.graph.edge_endpoints(edge).unwrap())
            .map(|(from, to)| (from.index(), to.index()))
            .collect();
        // Node 2 owns the inner x (node 3) and reads it; node 3 is the inner x
        // and reads the outer one, as does node 4 outside of the subquery.
        let mut reads = reads;
        reads.sort_unstable();
        assert_eq!(reads, [(2, 3), (3, 1), (4, 1)]);
    }

    #[test]
    fn a_work_table_scan_reads_the_cte_that_it_is_part_of() {
        let plan = one(r#"{"Node Type": "CTE Scan", "CTE Name": "r", "Plans": [
            {"Node Type": "Recursive Union", "Parent Relationship": "InitPlan", "Subplan Name": "CTE r", "Plans": [
                {"Node Type": "Result", "Parent Relationship": "Outer"},
                {"Node Type": "WorkTable Scan", "Parent Relationship": "Inner", "CTE Name": "r"}]}]}"#);
        let target = |from: u32| {
            plan.graph
                .neighbors(from.into())
                .find(|to| {
                    plan.graph
                        .find_edge(from.into(), *to)
                        .is_some_and(|edge| plan.graph[edge] == PlanEdge::ReadsCte)
                })
                .map(petgraph::graph::NodeIndex::index)
        };
        assert_eq!(target(3), Some(1));
        assert_eq!(
            target(0),
            Some(1),
            "the scan at the top owns the CTE that it reads"
        );
    }
}
