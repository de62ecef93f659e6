//! EXPLAIN's XML. Its elements are named as JSON's keys, with hyphens where a
//! blank or a mark was.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::{Map, Value};

use super::typed;
use crate::plan::json;

/// What was read.
#[derive(Debug)]
pub(super) struct Read {
    /// The statements.
    pub(super) statements: Vec<Value>,
    /// The damage, and where it is, in bytes.
    pub(super) damage: Option<(usize, String)>,
}

/// An element whose content is being read.
struct Open {
    name: String,
    text: String,
    /// Its elements, by their keys in JSON.
    inner: Vec<(String, Value)>,
}

/// Reads the text from `<explain` on.
pub(super) fn read(text: &str) -> Read {
    let mut reader = Reader::from_str(text);
    // Closing tags that do not fit are damage, which ends the reading.
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Open> = Vec::new();
    let mut statements = Vec::new();
    let mut damage = None;
    loop {
        let at = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        match reader.read_event() {
            Ok(Event::Start(tag)) => {
                if open.len() >= json::MAX_DEPTH {
                    damage = Some((at, "it is nested too deeply".to_owned()));
                    break;
                }
                let name = tag.local_name();
                open.push(Open {
                    name: key(name.as_ref()),
                    text: String::new(),
                    inner: Vec::new(),
                });
            }
            Ok(Event::Empty(tag)) => {
                if let Some(outer) = open.last_mut() {
                    let name = key(tag.local_name().as_ref());
                    let value = Open {
                        name: name.clone(),
                        text: String::new(),
                        inner: Vec::new(),
                    }
                    .close();
                    outer.inner.push((name, value));
                }
            }
            Ok(Event::Text(part)) => {
                if let Some(innermost) = open.last_mut() {
                    innermost.text.push_str(&part.xml10_content());
                }
            }
            Ok(Event::CData(part)) => {
                if let Some(innermost) = open.last_mut() {
                    innermost.text.push_str(&part.xml10_content());
                }
            }
            Ok(Event::GeneralRef(entity)) => {
                if let Some(innermost) = open.last_mut() {
                    let letter = entity
                        .resolve_char_ref()
                        .ok()
                        .flatten()
                        .or_else(|| named(&entity.xml10_content()));
                    innermost
                        .text
                        .push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
                }
            }
            Ok(Event::End(_)) => {
                let Some(done) = open.pop() else { break };
                finish(done, open.last_mut(), &mut statements);
                if open.is_empty() {
                    break;
                }
            }
            Ok(Event::Eof) => {
                if !open.is_empty() {
                    damage = Some((at, "the text ends too early".to_owned()));
                }
                break;
            }
            Ok(_) => {}
            Err(error) => {
                damage = Some((at, error.to_string()));
                break;
            }
        }
    }
    while let Some(done) = open.pop() {
        // A text that was cut off is no value.
        if done.inner.is_empty() && damage.is_some() {
            continue;
        }
        finish(done, open.last_mut(), &mut statements);
    }
    Read { statements, damage }
}

/// An element's value goes into the one around it; `<Query>` holds a statement,
/// and so does `<explain>` itself in `auto_explain`'s records.
fn finish(done: Open, outer: Option<&mut Open>, statements: &mut Vec<Value>) {
    if done.name == "Query" || done.name == "explain" {
        let is_statement = done.inner.iter().any(|(name, _)| name == "Plan");
        if is_statement {
            statements.push(Value::Object(done.inner.into_iter().collect()));
        }
        return;
    }
    if let Some(outer) = outer {
        let name = done.name.clone();
        // A setting's value is a text, whatever it looks like.
        let value = if outer.name == "Settings" {
            Value::String(done.text)
        } else {
            done.close()
        };
        outer.inner.push((name, value));
    }
}

impl Open {
    fn close(self) -> Value {
        let is_list = matches!(
            self.name.as_str(),
            "Plans"
                | "Workers"
                | "Triggers"
                | "Target Tables"
                | "Grouping Sets"
                | "Group Keys"
                | "Hash Keys"
        );
        let items = !self.inner.is_empty() && self.inner.iter().all(|(name, _)| name == "Item");
        if is_list || items {
            return Value::Array(self.inner.into_iter().map(|(_, value)| value).collect());
        }
        if self.inner.is_empty() {
            if typed::LISTS.contains(&self.name.as_str()) && self.text.trim().is_empty() {
                return Value::Array(Vec::new());
            }
            if matches!(
                self.name.as_str(),
                "Settings" | "Planning" | "Serialization"
            ) {
                return Value::Object(Map::new());
            }
            if self.name == "Item" {
                return Value::String(self.text);
            }
            return typed::value(&self.name, &self.text);
        }
        let mut map = Map::new();
        for (name, value) in self.inner {
            let name = match name.as_str() {
                "Incremental Sort Groups" => incremental_group(&map).to_owned(),
                "Sort Space" => sort_space(&map).to_owned(),
                _ => name,
            };
            match map.entry(name) {
                serde_json::map::Entry::Vacant(entry) => {
                    entry.insert(value);
                }
                serde_json::map::Entry::Occupied(mut entry) => json::merge(entry.get_mut(), value),
            }
        }
        Value::Object(map)
    }
}

/// JSON calls the groups of an Incremental Sort by their kind, and XML does
/// not: the first are those that were sorted in full.
fn incremental_group(before: &Map<String, Value>) -> &'static str {
    if before.contains_key("Full-sort Groups") {
        "Pre-sorted Groups"
    } else {
        "Full-sort Groups"
    }
}

/// Nor does XML tell memory from disk: memory comes first, and only an external
/// sort has no other.
fn sort_space(before: &Map<String, Value>) -> &'static str {
    let external = before
        .get("Sort Methods Used")
        .and_then(Value::as_array)
        .is_some_and(|methods| {
            methods.iter().all(|method| {
                method
                    .as_str()
                    .is_some_and(|name| name.starts_with("external"))
            })
        });
    if external || before.contains_key("Sort Space Memory") {
        "Sort Space Disk"
    } else {
        "Sort Space Memory"
    }
}

fn named(entity: &str) -> Option<char> {
    Some(match entity {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The key of an element: marks other than letters and digits became hyphens.
fn key(element: &str) -> String {
    for (written, known) in [
        ("One-Time-Filter", "One-Time Filter"),
        ("Full-sort-Groups", "Full-sort Groups"),
        ("Pre-sorted-Groups", "Pre-sorted Groups"),
    ] {
        if element == written {
            return known.to_owned();
        }
    }
    let mut key = element.replace('-', " ");
    if let Some(at) = key.find("I O ")
        && (at == 0 || key.get(..at).is_some_and(|lead| lead.ends_with(' ')))
    {
        key.replace_range(at..at + 3, "I/O");
    }
    key
}
