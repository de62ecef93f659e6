//! What the text format prints below the tree: times, triggers, JIT, settings.

use serde_json::{Map, Value};

use super::property;
use crate::plan::read::typed;

/// A block of lines below the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// `Planning:` with buffers and memory.
    Planning,
    /// `JIT:`.
    Jit,
    /// `Serialization: …`, with buffers.
    Serialization,
}

impl Block {
    /// Its key in JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Planning => "Planning",
            Self::Jit => "JIT",
            Self::Serialization => "Serialization",
        }
    }

    /// Whether a line with that key belongs to it, where indentation does not
    /// tell.
    pub(super) fn takes(self, key: &str) -> bool {
        match self {
            Self::Planning => matches!(key, "Buffers" | "I/O Timings" | "Memory"),
            Self::Jit => matches!(key, "Functions" | "Options" | "Timing"),
            Self::Serialization => matches!(key, "Buffers" | "I/O Timings"),
        }
    }
}

/// The key in JSON of a line below the tree, if it is one.
pub(super) fn name(key: &str) -> Option<&'static str> {
    Some(match key {
        "Planning Time" | "Planning time" => "Planning Time",
        "Execution Time" | "Execution time" | "Total runtime" | "Total Runtime" => "Execution Time",
        "Query Identifier" => "Query Identifier",
        "Settings" => "Settings",
        "Planning" => "Planning",
        "JIT" => "JIT",
        "Serialization" => "Serialization",
        _ => return None,
    })
}

/// Puts such a line into the statement; the block that it opens.
pub(super) fn put(
    statement: &mut Map<String, Value>,
    name: &'static str,
    text: &str,
) -> Option<Block> {
    match name {
        "Planning" => {
            open(statement, Block::Planning);
            return Some(Block::Planning);
        }
        "JIT" => {
            open(statement, Block::Jit);
            return Some(Block::Jit);
        }
        "Serialization" => {
            let map = open(statement, Block::Serialization)?;
            serialization(map, text.trim());
            return Some(Block::Serialization);
        }
        "Settings" => {
            statement.insert(name.to_owned(), Value::Object(settings(text)));
        }
        _ => {
            // A server that could not tell prints no number.
            statement.insert(name.to_owned(), typed::value(name, text.trim()));
        }
    }
    None
}

fn open(statement: &mut Map<String, Value>, block: Block) -> Option<&mut Map<String, Value>> {
    statement
        .entry(block.key())
        .or_insert_with(|| Value::Object(Map::new()))
        .as_object_mut()
}

/// `work_mem = '1MB', enable_sort = 'off'`.
fn settings(text: &str) -> Map<String, Value> {
    typed::entries(text)
        .into_iter()
        .filter_map(|entry| entry.split_once(" = "))
        .map(|(name, value)| {
            let value = value
                .trim()
                .strip_prefix('\'')
                .and_then(|value| value.strip_suffix('\''))
                .map_or_else(|| value.trim().to_owned(), |value| value.replace("''", "'"));
            (name.trim().to_owned(), Value::from(value))
        })
        .collect()
}

/// `time=0.001 ms  output=1kB  format=text`.
fn serialization(map: &mut Map<String, Value>, text: &str) {
    for part in text.split("  ") {
        let Some((key, value)) = part.trim().split_once('=') else {
            continue;
        };
        match key {
            "time" => {
                map.insert("Time".to_owned(), typed::value("Time", value));
            }
            "output" => {
                let kilobytes = value.trim_end_matches("kB");
                map.insert(
                    "Output Volume".to_owned(),
                    typed::value("Output Volume", kilobytes),
                );
            }
            "format" => {
                map.insert("Format".to_owned(), Value::from(value));
            }
            _ => property::add(map, key, Value::from(value)),
        }
    }
}

/// A line of the JIT block.
pub(super) fn jit(map: &mut Map<String, Value>, key: &str, text: &str) {
    let value = match key {
        "Options" => pairs(text),
        "Timing" => timing(text),
        _ => None,
    };
    map.insert(
        key.to_owned(),
        value.unwrap_or_else(|| typed::value(key, text.trim())),
    );
}

/// `Inlining false, Optimization false`.
fn pairs(text: &str) -> Option<Value> {
    let mut found = Map::new();
    for part in text.split(',') {
        let (key, value) = part.trim().rsplit_once(' ')?;
        found.insert(key.to_owned(), typed::value(key, value));
    }
    Some(Value::Object(found))
}

/// `Generation 0.5 ms (Deform 0.2 ms), Inlining 0.0 ms, …, Total 3.4 ms`.
fn timing(text: &str) -> Option<Value> {
    let mut found = Map::new();
    for part in typed::entries(text) {
        let (head, inner) = match part.split_once(" (") {
            Some((head, inner)) => (head, Some(inner.trim_end_matches(')'))),
            None => (part, None),
        };
        let (name, value) = phase(head)?;
        let value = match inner {
            None => value,
            Some(inner) => {
                let (part, share) = phase(inner)?;
                let mut both = Map::new();
                both.insert(part.to_owned(), share);
                both.insert("Total".to_owned(), value);
                Value::Object(both)
            }
        };
        found.insert(name.to_owned(), value);
    }
    Some(Value::Object(found))
}

fn phase(text: &str) -> Option<(&str, Value)> {
    let (name, amount) = text.trim().strip_suffix(" ms")?.rsplit_once(' ')?;
    Some((name, Value::Number(typed::plain_number(amount)?)))
}

/// `Trigger t for constraint c on r: time=1.2 calls=3`, all parts but the calls
/// optional.
pub(super) fn trigger(line: &str) -> Option<Value> {
    let rest = line.trim().strip_prefix("Trigger")?;
    let (who, numbers) = rest.rsplit_once(": ")?;
    let mut found = Map::new();
    let (who, relation) = match who.rsplit_once(" on ") {
        Some((who, relation)) => (who, Some(relation)),
        None => (who, None),
    };
    let (name, constraint) = match who.split_once(" for constraint ") {
        Some((name, constraint)) => (name.trim(), Some(constraint)),
        None => (who.trim(), None),
    };
    if !name.is_empty() {
        found.insert("Trigger Name".to_owned(), Value::from(name));
    }
    if let Some(constraint) = constraint {
        found.insert("Constraint Name".to_owned(), Value::from(constraint));
    }
    if let Some(relation) = relation {
        found.insert("Relation".to_owned(), Value::from(relation));
    }
    for part in numbers.split_whitespace() {
        let (key, amount) = part.split_once('=')?;
        let amount = Value::Number(typed::plain_number(amount)?);
        match key {
            "time" => found.insert("Time".to_owned(), amount),
            "calls" => found.insert("Calls".to_owned(), amount),
            _ => return None,
        };
    }
    found.contains_key("Calls").then_some(Value::Object(found))
}
