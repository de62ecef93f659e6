//! The plans of a text, one after another, whatever stands between them.

use std::collections::VecDeque;

use serde_json::Value;

use super::lenient::{self, Damage};
use super::lines::{self, Line};
use super::text::{self, Joiner};
use super::{Format, ReadPlan, ReadProblem, Reading, frame, paste, quoted, statement, xml, yaml};
use crate::plan::{NodeKind, PlanGraph, build};

/// Reads all plans of a text.
pub(super) fn plans(text: &str) -> Reading {
    let mut lines = paste::undo(text, lines::of(text));
    quoted::mail(&mut lines);
    quoted::edges(&mut lines);
    let lines = quoted::cells(frame::unwrap(quoted::cells(lines)));
    Finder::new(&lines).run()
}

struct Finder<'a> {
    lines: &'a [Line<'a>],
    /// All lines in one text, for the formats that are not made of lines.
    whole: String,
    /// Where each line begins in it.
    starts: Vec<usize>,
    joiner: Joiner,
    at: usize,
    /// Where the text behind the last plan begins.
    behind: usize,
    reading: Reading,
}

/// A document, before it is a plan.
struct Found {
    document: Value,
    format: Format,
    missing: Option<ReadProblem>,
}

impl<'a> Finder<'a> {
    fn new(lines: &'a [Line<'a>]) -> Self {
        let mut whole = String::new();
        let mut starts = Vec::with_capacity(lines.len());
        for line in lines {
            starts.push(whole.len());
            whole.push_str(&line.text);
            whole.push('\n');
        }
        Self {
            lines,
            whole,
            starts,
            joiner: Joiner::new(lines),
            at: 0,
            behind: 0,
            reading: Reading::default(),
        }
    }

    fn run(mut self) -> Reading {
        while let Some(line) = self.lines.get(self.at) {
            let trimmed = line.text.trim();
            let found = if trimmed.is_empty() {
                false
            } else if trimmed.starts_with(['[', '{']) {
                self.json()
            } else if trimmed.contains("<explain") {
                self.xml()
            } else if begins_yaml(self.lines, self.at) {
                self.yaml()
            } else if text::begins(self.lines, self.at) || text::begins_below_the_top(line) {
                self.text()
            } else if let Some(start) = json_within(trimmed) {
                self.json_at(start)
            } else {
                false
            };
            if !found {
                self.at += 1;
            }
        }
        self.reading
    }

    fn number(&self, at: usize) -> usize {
        self.lines.get(at).map_or(1, |line| line.number)
    }

    /// The line that holds a place of the whole text.
    fn line_at(&self, offset: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// Line and column in the given text, as far as the frame leaves it.
    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.line_at(offset.min(self.whole.len().saturating_sub(1)));
        let start = self.starts.get(line).copied().unwrap_or_default();
        (self.number(line), offset.saturating_sub(start) + 1)
    }

    /// Takes what was found as plans; the text went up to line `next`.
    fn add(&mut self, found: Vec<Found>, next: usize) {
        let line = self.number(self.at);
        let sql = self
            .lines
            .get(self.behind..self.at)
            .and_then(statement::before);
        let mut sql = Some(sql).filter(|_| found.len() == 1).flatten();
        for Found {
            mut document,
            format,
            missing,
        } in found
        {
            if missing.is_some() || format != Format::Json {
                prune(&mut document);
            }
            match build::plan_from_document(document) {
                Ok(plan) => {
                    let incomplete = missing.or_else(|| {
                        (format != Format::Json)
                            .then(|| lacking(&plan, self.number(next.saturating_sub(1))))
                            .flatten()
                    });
                    self.reading.plans.push(ReadPlan {
                        plan,
                        format,
                        line,
                        sql: sql.take(),
                        incomplete,
                    });
                }
                Err(what) => self.reading.problems.push(match missing {
                    Some(damage) => damage,
                    None => ReadProblem {
                        message: format!("{}, but not a plan: {what}", format.name()),
                        line: Some(line),
                        hint: Some(HINT.to_owned()),
                    },
                }),
            }
        }
        self.at = next.max(self.at + 1);
        self.behind = self.at;
    }

    fn text(&mut self) -> bool {
        let Some(plan) = text::read(self.lines, self.at, &mut self.joiner) else {
            return false;
        };
        let next = plan.next;
        let missing = plan.missing.map(|(line, what)| ReadProblem {
            message: what,
            line: Some(line),
            hint: Some(COPY_ALL.to_owned()),
        });
        self.add(
            vec![Found {
                document: plan.document,
                format: Format::Text,
                missing,
            }],
            next,
        );
        true
    }

    fn json(&mut self) -> bool {
        let indent = self
            .lines
            .get(self.at)
            .map_or(0, |line| lines::indent(&line.text));
        let Some(rest) = self
            .starts
            .get(self.at)
            .and_then(|start| self.whole.get(start + indent..))
        else {
            return false;
        };
        // A prompt or a note in brackets is no JSON.
        let inner = rest.get(1..).unwrap_or_default().trim_start();
        if !inner.starts_with(['{', '[', '"', ']', '}']) && !inner.is_empty() {
            return false;
        }
        self.json_at(indent)
    }

    /// JSON that begins in that column of the current line.
    fn json_at(&mut self, column: usize) -> bool {
        let Some(start) = self.starts.get(self.at).map(|start| start + column) else {
            return false;
        };
        let Some(rest) = self.whole.get(start..) else {
            return false;
        };
        let doubled = has_doubled_quotes(rest);
        let read = if doubled {
            lenient::read(&rest.replace("\"\"", "\""))
        } else {
            lenient::read(rest)
        };
        let mut found = Vec::new();
        collect(read.value, &mut found);
        let end = if doubled { rest.len() } else { read.end };
        let end_line = self.line_at((start + end).saturating_sub(1));
        let missing = read.damage.map(|damage| {
            let end = read.end.min(rest.trim_end().len());
            let (line, column) = self.place(start + end);
            damaged(damage, line, column, found.is_empty())
        });
        if found.is_empty() {
            match missing {
                Some(problem) => self.reading.problems.push(problem),
                None if self.reading.plans.is_empty() => {
                    let line = self.number(self.at);
                    self.reading.problems.push(ReadProblem {
                        message:
                            "JSON, but not a plan: there is no statement with a \"Plan\" in it"
                                .to_owned(),
                        line: Some(line),
                        hint: Some(HINT.to_owned()),
                    });
                }
                None => {}
            }
            self.at = (end_line + 1).max(self.at + 1);
            return true;
        }
        self.add_documents(found, Format::Json, missing.as_ref(), end_line + 1);
        true
    }

    /// Adds what one text held. Its damage is at the end, so that the last
    /// lacks what is missing.
    fn add_documents(
        &mut self,
        documents: Vec<Value>,
        format: Format,
        missing: Option<&ReadProblem>,
        next: usize,
    ) {
        let last = documents.len().saturating_sub(1);
        let found = documents
            .into_iter()
            .enumerate()
            .map(|(index, document)| Found {
                document,
                format,
                missing: missing.filter(|_| index == last).cloned(),
            })
            .collect();
        self.add(found, next);
    }

    fn xml(&mut self) -> bool {
        let Some(start) = self.starts.get(self.at).copied() else {
            return false;
        };
        let Some(rest) = self.whole.get(start..) else {
            return false;
        };
        let Some(offset) = rest.find("<explain") else {
            return false;
        };
        let Some(from) = rest.get(offset..) else {
            return false;
        };
        let (body, whole) = match from.find("</explain>") {
            Some(end) => (from.get(..end + "</explain>".len()).unwrap_or(from), true),
            None => (from, false),
        };
        let read = xml::read(body);
        let end = self.line_at((start + offset + body.len()).saturating_sub(1));
        let missing = read.damage.map(|(at, what)| {
            let (line, column) = self.place(start + offset + at);
            ReadProblem {
                message: format!("not valid XML at line {line}, column {column}: {what}"),
                line: Some(line),
                hint: Some(COPY_ALL.to_owned()),
            }
        });
        if read.statements.is_empty() {
            let line = self.number(self.at);
            self.reading.problems.push(missing.unwrap_or(ReadProblem {
                message: "XML, but not a plan: there is no <Plan> in it".to_owned(),
                line: Some(line),
                hint: Some(HINT.to_owned()),
            }));
            self.at = if whole { end + 1 } else { self.lines.len() };
            return true;
        }
        self.add_documents(read.statements, Format::Xml, missing.as_ref(), end + 1);
        true
    }

    fn yaml(&mut self) -> bool {
        let Some(first) = self.lines.get(self.at) else {
            return false;
        };
        let margin = lines::indent(&first.text);
        let mut body = String::new();
        let mut next = self.at;
        while let Some(line) = self.lines.get(next) {
            let trimmed = line.text.trim();
            let outside = next > self.at
                && (line.frame != first.frame
                    || text::is_end(trimmed)
                    || frame::is_prompt(trimmed)
                    || lines::indent(&line.text) < margin && !trimmed.is_empty()
                    || lines::indent(&line.text) <= margin
                        && !(trimmed.starts_with("- ") || is_yaml_key(trimmed)));
            if outside {
                break;
            }
            body.push_str(line.text.get(margin..).unwrap_or_default().trim_end());
            body.push('\n');
            next += 1;
        }
        let read = yaml::read(&body);
        let mut found = Vec::new();
        collect(read.value, &mut found);
        let at = self.at;
        let missing = read.damage.map(|(line, what)| {
            let line = self.number((at + line.saturating_sub(1)).min(next.saturating_sub(1)));
            ReadProblem {
                message: format!("not valid YAML at line {line}: {what}"),
                line: Some(line),
                hint: Some(COPY_ALL.to_owned()),
            }
        });
        if found.is_empty() {
            if let Some(problem) = missing {
                self.reading.problems.push(problem);
                self.at = next.max(self.at + 1);
                return true;
            }
            return false;
        }
        self.add_documents(found, Format::Yaml, missing.as_ref(), next);
        true
    }
}

/// What to give instead of what has no plan in it.
pub(super) const HINT: &str = "give what EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) prints, or any other format, with what psql draws around it or without";

/// What to do about a plan that ends too early.
const COPY_ALL: &str =
    "the end is missing: copy the whole output, for example from psql -XAt -o plan.txt";

fn damaged(damage: Damage, line: usize, column: usize, nothing: bool) -> ReadProblem {
    let (what, hint) = match damage {
        Damage::Cut => (": the text ends too early", COPY_ALL),
        Damage::Unexpected => (
            "",
            "check that line, or let the server write it again: EXPLAIN (FORMAT JSON), with psql -XAt",
        ),
        Damage::TooDeep => (": it is nested too deeply", HINT),
    };
    let kept = if nothing {
        ""
    } else {
        "; what stands before is read"
    };
    ReadProblem {
        message: format!("not valid JSON at line {line}, column {column}{what}{kept}"),
        line: Some(line),
        hint: Some(hint.to_owned()),
    }
}

/// The statements of a value, in order: an array of them, one object, a bare
/// node, and rows of a result saved as JSON. Others are passed over.
fn collect(value: Value, found: &mut Vec<Value>) {
    // Lists within rows are few levels deep; the queue keeps the order.
    let mut open = VecDeque::from([(value, 0_u8)]);
    while let Some((value, level)) = open.pop_front() {
        match value {
            Value::Array(entries) if level < 6 => {
                for entry in entries.into_iter().rev() {
                    open.push_front((entry, level + 1));
                }
            }
            Value::Object(map) => {
                let is_plan = map
                    .get("Plan")
                    .is_some_and(|plan| plan.get("Node Type").is_some_and(Value::is_string))
                    || map.get("Node Type").is_some_and(Value::is_string);
                if is_plan {
                    found.push(Value::Object(map));
                } else if level < 6 {
                    for (_, inner) in map.into_iter().rev() {
                        if inner.is_object() || inner.is_array() || holds_a_plan(&inner) {
                            open.push_front((inner, level + 1));
                        }
                    }
                }
            }
            // A log's message, or a cell that holds the plan as a text.
            Value::String(text) if level < 6 && text.contains("\"Node Type\"") => {
                if let Some(start) = text.find(['[', '{'])
                    && let Some(rest) = text.get(start..)
                {
                    open.push_front((lenient::read(rest).value, level + 2));
                }
            }
            _ => {}
        }
    }
}

fn holds_a_plan(value: &Value) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.contains("\"Node Type\""))
}

/// Where JSON begins within a line: `QUERY PLAN: [{"Plan": …`, a log's line.
fn json_within(trimmed: &str) -> Option<usize> {
    let at = trimmed.find("{\"Plan\"").or_else(|| trimmed.find("[{"))?;
    trimmed.contains("\"Plan\"").then_some(at)
}

/// Whether all quotes are doubled, as in a cell of CSV without its own quotes.
fn has_doubled_quotes(text: &str) -> bool {
    let mut end = text.len().min(200);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).is_some_and(|head| {
        let first = head.trim_start_matches(|letter: char| {
            letter.is_whitespace() || matches!(letter, '[' | '{')
        });
        first.starts_with("\"\"") && !first.starts_with("\"\"\"") && !first.starts_with("\"\":")
    })
}

/// Whether YAML of EXPLAIN begins here: `- Plan:` or, in `auto_explain`'s
/// records, `Query Text: "…"` and `Plan:`.
fn begins_yaml(lines: &[Line<'_>], at: usize) -> bool {
    let Some(line) = lines.get(at) else {
        return false;
    };
    let trimmed = line.text.trim();
    let entry = trimmed.strip_prefix("- ").unwrap_or(trimmed);
    if entry == "Plan:" {
        return lines
            .iter()
            .skip(at + 1)
            .take(3)
            .any(|line| line.text.trim().starts_with("Node Type:"));
    }
    if let Some(text) = entry.strip_prefix("Query Text:") {
        return (trimmed.starts_with('-') || text.trim_start().starts_with('"'))
            && lines
                .iter()
                .skip(at + 1)
                .take(60)
                .any(|line| line.text.trim() == "Plan:");
    }
    // A bare node.
    entry.starts_with("Node Type: \"")
}

fn is_yaml_key(trimmed: &str) -> bool {
    trimmed
        .split_once(':')
        .is_some_and(|(key, _)| key.starts_with(|first: char| first.is_ascii_uppercase()))
}

/// Drops the node that was cut off before its type was said: only the last
/// node of each level can be.
fn prune(document: &mut Value) {
    let mut node = if document.get("Plan").is_some() {
        document.get_mut("Plan")
    } else {
        Some(document)
    };
    while let Some(inputs) = node
        .and_then(|node| node.get_mut("Plans"))
        .and_then(Value::as_array_mut)
    {
        if inputs
            .last()
            .is_some_and(|last| !last.get("Node Type").is_some_and(Value::is_string))
        {
            inputs.pop();
        }
        node = inputs.last_mut();
    }
}

/// What a plan lacks that must be there: a join has two inputs, a sort one.
fn lacking(plan: &PlanGraph, line: usize) -> Option<ReadProblem> {
    plan.nodes().find_map(|(id, node)| {
        let least = match node.kind {
            NodeKind::NestedLoop
            | NodeKind::HashJoin
            | NodeKind::MergeJoin
            | NodeKind::RecursiveUnion => 2,
            NodeKind::Hash
            | NodeKind::Sort
            | NodeKind::IncrementalSort
            | NodeKind::Materialize
            | NodeKind::Memoize
            | NodeKind::Group
            | NodeKind::Aggregate
            | NodeKind::WindowAgg
            | NodeKind::Unique
            | NodeKind::SetOp
            | NodeKind::Limit
            | NodeKind::LockRows
            | NodeKind::BitmapHeapScan
            | NodeKind::SubqueryScan
            | NodeKind::Gather
            | NodeKind::GatherMerge => 1,
            _ => return None,
        };
        let inputs = plan
            .children(id)
            .iter()
            .filter(|(edge, _)| {
                !matches!(
                    edge,
                    crate::plan::PlanEdge::InitPlan | crate::plan::PlanEdge::SubPlan
                )
            })
            .count();
        (inputs < least).then(|| ReadProblem {
            message: format!(
                "the plan ends too early: {} has {inputs} of its {least} {}",
                node.label(),
                if least == 1 { "input" } else { "inputs" }
            ),
            line: Some(line),
            hint: Some(COPY_ALL.to_owned()),
        })
    })
}
