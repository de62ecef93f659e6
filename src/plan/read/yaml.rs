//! EXPLAIN's YAML, read by events: one that is cut off still gives its nodes.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use super::typed;
use crate::plan::json;

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The value, with everything before the damage.
    pub(super) value: Value,
    /// The damage, and its line within the text, from 1.
    pub(super) damage: Option<(usize, String)>,
}

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

impl Open {
    fn add(&mut self, value: Value) {
        match self {
            Self::List(list) => list.push(value),
            Self::Map(map, key) => match key.take() {
                None => {
                    *key = Some(match value {
                        Value::String(text) => text,
                        other => other.to_string(),
                    });
                }
                // An empty group prints nothing behind its key.
                Some(key) if value.is_null() && key == "Settings" => {
                    map.insert(key, Value::Object(Map::new()));
                }
                Some(key) if value.is_null() && key == "Triggers" => {
                    map.insert(key, Value::Array(Vec::new()));
                }
                Some(key) => match map.entry(key) {
                    serde_json::map::Entry::Vacant(entry) => {
                        entry.insert(value);
                    }
                    serde_json::map::Entry::Occupied(mut entry) => {
                        json::merge(entry.get_mut(), value);
                    }
                },
            },
        }
    }

    fn close(self) -> Value {
        match self {
            Self::List(list) => Value::Array(list),
            Self::Map(map, _) => Value::Object(map),
        }
    }
}

/// Reads the first document of a text.
pub(super) fn read(text: &str) -> Read {
    let mut open: Vec<Open> = Vec::new();
    let mut root = Value::Null;
    let mut damage = None;
    for event in Parser::new_from_str(text) {
        let event = match event {
            Ok((event, _)) => event,
            Err(error) => {
                damage = Some((error.marker().line(), error.info().to_owned()));
                break;
            }
        };
        let done = match event {
            Event::Scalar(text, style, _, _) => {
                let is_key = matches!(open.last(), Some(Open::Map(_, None)));
                if is_key {
                    Value::String(text.into_owned())
                } else {
                    scalar(&text, style)
                }
            }
            Event::Alias(_) => Value::Null,
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() >= json::MAX_DEPTH {
                    damage = Some((1, "it is nested too deeply".to_owned()));
                    break;
                }
                open.push(if matches!(event, Event::SequenceStart(..)) {
                    Open::List(Vec::new())
                } else {
                    Open::Map(Map::new(), None)
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(done) => done.close(),
                None => continue,
            },
            Event::DocumentEnd => break,
            _ => continue,
        };
        match open.last_mut() {
            Some(outer) => outer.add(done),
            None => root = done,
        }
    }
    while let Some(innermost) = open.pop() {
        let done = innermost.close();
        match open.last_mut() {
            Some(outer) => outer.add(done),
            None => root = done,
        }
    }
    Read {
        value: root,
        damage,
    }
}

/// EXPLAIN quotes every text; what stands plain is a number or a truth value.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "" | "~" | "null" => Value::Null,
        _ => {
            typed::plain_number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
        }
    }
}
