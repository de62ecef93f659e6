//! A line `key: value` of the text format, as the keys that JSON prints.

use serde_json::{Map, Value};

use crate::plan::read::typed;

/// Takes `Key: value` apart. A key begins with a capital or a digit and holds
/// letters, digits and a few marks.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let colon = line.find(':')?;
    let (key, value) = line.split_at_checked(colon)?;
    let value = value.get(1..)?;
    let named = (1..=60).contains(&key.len())
        && key.starts_with(|first: char| first.is_ascii_uppercase() || first.is_ascii_digit())
        && key.chars().all(|letter| {
            letter.is_alphanumeric() || matches!(letter, ' ' | '/' | '-' | '_' | '.')
        })
        && (value.is_empty() || value.starts_with(' '));
    named.then(|| (key, value.get(1..).unwrap_or_default()))
}

/// Keys whose value is deparsed SQL: quotes and parentheses in it are paired.
pub(super) fn is_expression(key: &str) -> bool {
    !matches!(
        key,
        "Foreign File" | "Foreign Program" | "Node" | "Error" | "Query Text" | "Query Parameters"
    )
}

/// Puts a property under the keys of JSON.
pub(super) fn put(map: &mut Map<String, Value>, key: &str, text: &str) {
    let lead = text.trim();
    let done = match key {
        "Buffers" => buffers(map, lead),
        "I/O Timings" => io_timings(map, lead),
        "WAL" => wal(map, lead),
        "Sort Method" => sort_method(map, lead),
        "Buckets" => hash(map, lead),
        "Batches" | "Planned Partitions" => aggregate(map, key, lead),
        "Hits" | "Estimates" => memoize(map, key, lead),
        "Heap Blocks" => heap_blocks(map, lead),
        "Full-sort Groups" | "Pre-sorted Groups" => sort_groups(map, key, lead),
        "Storage" => storage(map, lead),
        "Sampling" => sampling(map, lead),
        "Tuples" => merged(map, lead),
        "Memory" => memory(map, lead),
        _ => false,
    };
    if done {
        return;
    }
    let value = if typed::LISTS.contains(&key) {
        list(text)
    } else {
        typed::value(key, text)
    };
    add(map, key, value);
}

/// The entries of a list.
pub(super) fn list(text: &str) -> Value {
    Value::Array(
        typed::entries(text)
            .into_iter()
            .map(|entry| Value::String(entry.to_owned()))
            .collect(),
    )
}

/// Adds a value; a key that stands there twice keeps both.
pub(super) fn add(map: &mut Map<String, Value>, key: &str, value: Value) {
    match map.get_mut(key) {
        None => {
            map.insert(key.to_owned(), value);
        }
        Some(known) => {
            let first = known.take();
            *known = match (first, value) {
                (Value::Array(mut first), Value::Array(more)) => {
                    first.extend(more);
                    Value::Array(first)
                }
                (Value::Array(mut first), more) => {
                    first.push(more);
                    Value::Array(first)
                }
                (first, more) => Value::Array(vec![first, more]),
            };
        }
    }
}

fn number(text: &str) -> Option<Value> {
    let digits = text
        .trim()
        .trim_end_matches("kB")
        .trim_end_matches("ms")
        .trim();
    typed::plain_number(digits).map(Value::Number)
}

/// `shared hit=1 read=2, local …, temp …`: JSON prints the zeros too.
fn buffers(map: &mut Map<String, Value>, text: &str) -> bool {
    let mut found = Map::new();
    for (kind, verbs) in [
        ("Shared", &["Hit", "Read", "Dirtied", "Written"][..]),
        ("Local", &["Hit", "Read", "Dirtied", "Written"]),
        ("Temp", &["Read", "Written"]),
    ] {
        for verb in verbs {
            found.insert(format!("{kind} {verb} Blocks"), Value::from(0));
        }
    }
    let mut kind = "";
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let (key, amount) = match word {
            "shared" => {
                kind = "Shared";
                continue;
            }
            "local" => {
                kind = "Local";
                continue;
            }
            "temp" => {
                kind = "Temp";
                continue;
            }
            _ => match word.split_once('=') {
                Some(pair) => pair,
                None => return false,
            },
        };
        let verb = match key {
            "hit" => "Hit",
            "read" => "Read",
            "dirtied" => "Dirtied",
            "written" => "Written",
            _ => return false,
        };
        let Some(amount) = number(amount) else {
            return false;
        };
        match found.get_mut(&format!("{kind} {verb} Blocks")) {
            Some(slot) => *slot = amount,
            None => return false,
        }
    }
    map.append(&mut found);
    true
}

/// Three generations: `read=1`, `shared/local read=1, temp read=2`, and
/// `shared read=1, local read=2, temp read=3`.
fn io_timings(map: &mut Map<String, Value>, text: &str) -> bool {
    let mut found = Map::new();
    let mut kind = "";
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        let (key, amount) = match word {
            "shared/local" => {
                kind = "";
                continue;
            }
            "shared" => {
                kind = "Shared ";
                continue;
            }
            "local" => {
                kind = "Local ";
                continue;
            }
            "temp" => {
                kind = "Temp ";
                continue;
            }
            _ => match word.split_once('=') {
                Some(pair) => pair,
                None => return false,
            },
        };
        let verb = match key {
            "read" => "Read",
            "write" => "Write",
            _ => return false,
        };
        let Some(amount) = number(amount) else {
            return false;
        };
        found.insert(format!("{kind}I/O {verb} Time"), amount);
    }
    map.append(&mut found);
    true
}

fn wal(map: &mut Map<String, Value>, text: &str) -> bool {
    let mut found = Map::new();
    for key in ["Records", "FPI", "Bytes"] {
        found.insert(format!("WAL {key}"), Value::from(0));
    }
    let mut before = "";
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let Some((key, amount)) = word.split_once('=') else {
            before = word;
            continue;
        };
        let name = match (before, key) {
            ("", "records") => "WAL Records",
            ("", "fpi") => "WAL FPI",
            ("", "bytes") => "WAL Bytes",
            ("buffers", "full") => "WAL Buffers Full",
            ("fpi", "bytes") => "WAL FPI Bytes",
            _ => return false,
        };
        before = "";
        let Some(amount) = number(amount) else {
            return false;
        };
        found.insert(name.to_owned(), amount);
    }
    map.append(&mut found);
    true
}

/// `Key: value  Key: value`: two blanks between the pairs. The first key was
/// split off already.
fn pairs<'a>(first: &'a str, text: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let mut found = Vec::new();
    for (index, part) in text.split("  ").map(str::trim).enumerate() {
        if part.is_empty() {
            continue;
        }
        found.push(if index == 0 {
            (first, part)
        } else {
            part.split_once(": ")?
        });
    }
    Some(found)
}

fn sort_method(map: &mut Map<String, Value>, text: &str) -> bool {
    let Some(pairs) = pairs("Sort Method", text) else {
        return false;
    };
    let mut found = Map::new();
    for (key, value) in pairs {
        match key {
            "Sort Method" => {
                found.insert(key.to_owned(), Value::from(value));
            }
            "Memory" | "Disk" => {
                let Some(kilobytes) = number(value) else {
                    return false;
                };
                found.insert("Sort Space Used".to_owned(), kilobytes);
                found.insert("Sort Space Type".to_owned(), Value::from(key));
            }
            _ => return false,
        }
    }
    map.append(&mut found);
    true
}

/// `1024 (originally 2048)  Batches: 2 (originally 1)  Memory Usage: 9kB`.
fn hash(map: &mut Map<String, Value>, text: &str) -> bool {
    let Some(pairs) = pairs("Buckets", text) else {
        return false;
    };
    let mut found = Map::new();
    for (key, value) in pairs {
        let (now, before) = match value.split_once(" (originally ") {
            Some((now, before)) => (now, before.trim_end_matches(')')),
            None => (value, value),
        };
        let (Some(now), Some(before)) = (number(now), number(before)) else {
            return false;
        };
        match key {
            "Buckets" | "Batches" => {
                found.insert(format!("Hash {key}"), now);
                found.insert(format!("Original Hash {key}"), before);
            }
            "Memory Usage" => {
                found.insert("Peak Memory Usage".to_owned(), now);
            }
            _ => return false,
        }
    }
    map.append(&mut found);
    true
}

/// `Planned Partitions: 4  Batches: 5  Memory Usage: 1kB  Disk Usage: 2kB`.
fn aggregate(map: &mut Map<String, Value>, first: &str, text: &str) -> bool {
    numbers(map, first, text, |key| {
        Some(match key {
            "Planned Partitions" => "Planned Partitions",
            "Batches" => "HashAgg Batches",
            "Memory Usage" => "Peak Memory Usage",
            "Disk Usage" => "Disk Usage",
            _ => return None,
        })
    })
}

/// `Hits: 9  Misses: 1  Evictions: 0  Overflows: 0  Memory Usage: 1kB`.
fn memoize(map: &mut Map<String, Value>, first: &str, text: &str) -> bool {
    if first == "Estimates" {
        return equations(map, text, |key| {
            Some(match key {
                "capacity" => "Estimated Capacity",
                "distinct keys" => "Estimated Distinct Lookup Keys",
                "lookups" => "Estimated Lookups",
                "hit percent" => "Estimated Hit Percent",
                _ => return None,
            })
        });
    }
    numbers(map, first, text, |key| {
        Some(match key {
            "Hits" => "Cache Hits",
            "Misses" => "Cache Misses",
            "Evictions" => "Cache Evictions",
            "Overflows" => "Cache Overflows",
            "Memory Usage" => "Peak Memory Usage",
            _ => return None,
        })
    })
}

fn numbers(
    map: &mut Map<String, Value>,
    first: &str,
    text: &str,
    name: impl Fn(&str) -> Option<&'static str>,
) -> bool {
    let Some(pairs) = pairs(first, text) else {
        return false;
    };
    let mut found = Map::new();
    for (key, value) in pairs {
        let (Some(name), Some(value)) = (name(key), number(value)) else {
            return false;
        };
        found.insert(name.to_owned(), value);
    }
    map.append(&mut found);
    true
}

/// `key=1 other key=2`.
fn equations(
    map: &mut Map<String, Value>,
    text: &str,
    name: impl Fn(&str) -> Option<&'static str>,
) -> bool {
    let mut found = Map::new();
    let mut words = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !words.is_empty() {
            words.push(' ');
        }
        let Some((last, amount)) = word.split_once('=') else {
            words.push_str(word);
            continue;
        };
        words.push_str(last);
        let (Some(name), Some(amount)) = (name(&words), number(amount.trim_end_matches('%')))
        else {
            return false;
        };
        found.insert(name.to_owned(), amount);
        words.clear();
    }
    map.append(&mut found);
    words.is_empty()
}

/// `exact=5 lossy=2`.
fn heap_blocks(map: &mut Map<String, Value>, text: &str) -> bool {
    let mut found = Map::new();
    for key in ["Exact Heap Blocks", "Lossy Heap Blocks"] {
        found.insert(key.to_owned(), Value::from(0));
    }
    let read = equations(&mut found, text, |key| {
        Some(match key {
            "exact" => "Exact Heap Blocks",
            "lossy" => "Lossy Heap Blocks",
            _ => return None,
        })
    });
    if read {
        map.append(&mut found);
    }
    read
}

/// `1  Sort Method: quicksort  Average Memory: 25kB  Peak Memory: 25kB`.
fn sort_groups(map: &mut Map<String, Value>, key: &str, text: &str) -> bool {
    let Some(pairs) = pairs("Group Count", text) else {
        return false;
    };
    let mut group = Map::new();
    for (name, value) in pairs {
        match name {
            "Group Count" => {
                let Some(count) = number(value) else {
                    return false;
                };
                group.insert(name.to_owned(), count);
            }
            "Sort Method" | "Sort Methods" => {
                group.insert("Sort Methods Used".to_owned(), list(value));
            }
            _ => {
                let Some((statistic, space @ ("Memory" | "Disk"))) = name.split_once(' ') else {
                    return false;
                };
                let Some(kilobytes) = number(value) else {
                    return false;
                };
                let space = group
                    .entry(format!("Sort Space {space}"))
                    .or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(space) = space {
                    space.insert(format!("{statistic} Sort Space Used"), kilobytes);
                }
            }
        }
    }
    map.insert(key.to_owned(), Value::Object(group));
    true
}

/// `Memory  Maximum Storage: 17kB`.
fn storage(map: &mut Map<String, Value>, text: &str) -> bool {
    let Some(pairs) = pairs("Storage", text) else {
        return false;
    };
    let mut found = Map::new();
    for (key, value) in pairs {
        let value = if key == "Storage" {
            Value::from(value)
        } else {
            number(value).unwrap_or_else(|| Value::from(value))
        };
        found.insert(key.to_owned(), value);
    }
    map.append(&mut found);
    true
}

/// `system ('10'::real) REPEATABLE ('1'::double precision)`.
fn sampling(map: &mut Map<String, Value>, text: &str) -> bool {
    let Some((method, rest)) = text.split_once(" (") else {
        return false;
    };
    let (parameters, seed) = match rest.rsplit_once(") REPEATABLE (") {
        Some((parameters, seed)) => (parameters, Some(seed)),
        None => (rest, None),
    };
    let parameters = if seed.is_some() {
        parameters
    } else {
        parameters.strip_suffix(')').unwrap_or(parameters)
    };
    put_text(map, "Sampling Method", method);
    map.insert("Sampling Parameters".to_owned(), list(parameters));
    if let Some(seed) = seed {
        put_text(
            map,
            "Repeatable Seed",
            seed.strip_suffix(')').unwrap_or(seed),
        );
    }
    true
}

fn put_text(map: &mut Map<String, Value>, key: &str, text: &str) {
    map.insert(key.to_owned(), Value::from(text));
}

/// `inserted=1 updated=2 deleted=0 skipped=3`, of MERGE.
fn merged(map: &mut Map<String, Value>, text: &str) -> bool {
    let mut found = Map::new();
    for key in ["Inserted", "Updated", "Deleted", "Skipped"] {
        found.insert(format!("Tuples {key}"), Value::from(0));
    }
    let read = equations(&mut found, text, |key| {
        Some(match key {
            "inserted" => "Tuples Inserted",
            "updated" => "Tuples Updated",
            "deleted" => "Tuples Deleted",
            "skipped" => "Tuples Skipped",
            _ => return None,
        })
    });
    if read {
        map.append(&mut found);
    }
    read
}

/// `used=12kB  allocated=16kB`, of planning; of a Bitmap Heap Scan or a Hash
/// never.
fn memory(map: &mut Map<String, Value>, text: &str) -> bool {
    equations(map, text, |key| {
        Some(match key {
            "used" => "Memory Used",
            "allocated" => "Memory Allocated",
            _ => return None,
        })
    })
}
