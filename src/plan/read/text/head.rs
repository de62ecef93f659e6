//! The first line of a node: what it does, on what, its costs and times.

use serde_json::{Map, Value};

use crate::plan::read::typed;

/// A node's first line, as JSON would print it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing that the line may have"
)]
#[derive(Debug, Default)]
pub(super) struct Head {
    /// The keys and values.
    pub(super) map: Map<String, Value>,
    /// Whether the type is one of PostgreSQL's.
    pub(super) known: bool,
    /// It has an estimate.
    pub(super) costs: bool,
    /// It has measured rows, or was never executed.
    pub(super) actuals: bool,
    /// It has measured times.
    pub(super) timed: bool,
    /// It says that it was never executed.
    pub(super) never: bool,
    /// A group of numbers begins and does not end.
    pub(super) cut: bool,
}

/// Reads a first line, without the arrow.
pub(super) fn read(line: &str) -> Head {
    let mut head = Head::default();
    let name = numbers(line.trim(), &mut head);
    if is_foreign(name) {
        head = Head::default();
    }
    describe(name, &mut head);
    head
}

/// Whether the line ends in a node's numbers: the surest sign of a plan.
pub(super) fn has_numbers(line: &str) -> bool {
    let line = line.trim_end();
    // Cheap tests first: nearly every line of a text is none.
    if !line.ends_with(')')
        || !(line.contains("(cost=")
            || line.contains("(actual ")
            || line.contains("(never executed)"))
    {
        return false;
    }
    let mut head = Head::default();
    let name = numbers(line, &mut head);
    (head.costs || head.actuals) && !is_foreign(name)
}

/// Costs without a width are those of another system.
fn is_foreign(name: &str) -> bool {
    name.ends_with(')') && name.contains("  (cost=")
}

/// Takes the groups of numbers off the end of a line, last one first, and
/// returns what stands before them.
fn numbers<'a>(line: &'a str, head: &mut Head) -> &'a str {
    let mut rest = line.trim_end();
    loop {
        let Some(start) = rest.rfind('(') else {
            return rest;
        };
        let (before, group) = rest.split_at(start);
        let closed = group.ends_with(')');
        // What ends within quotes is a part of a name.
        if !closed && before.matches('"').count() % 2 == 1 {
            return rest;
        }
        let inside = group.trim_start_matches('(').trim_end_matches(')');
        let taken = if inside.starts_with("cost=") || inside.starts_with("cost ") {
            !head.costs && costs(inside, closed, head)
        } else if let Some(inside) = inside.strip_prefix("actual") {
            !head.actuals && actuals(inside, closed, head)
        } else if squeezed(inside) == "neverexecuted" {
            head.actuals = true;
            head.never = true;
            put(&mut head.map, "Actual Rows", "0");
            put(&mut head.map, "Actual Loops", "0");
            true
        } else {
            false
        };
        if !taken || before.is_empty() {
            return rest;
        }
        // An unfinished group can only be the last one.
        head.cut |= !closed;
        rest = before.trim_end();
    }
}

fn squeezed(text: &str) -> String {
    text.chars()
        .filter(|letter| !letter.is_whitespace())
        .collect()
}

/// `cost=0.00..35.50 rows=2550 width=4`. Blanks count for nothing: a wrapped
/// line has them anywhere.
fn costs(inside: &str, closed: bool, head: &mut Head) -> bool {
    let text = squeezed(inside);
    let mut found = Map::new();
    let mut rest = text.as_str();
    let whole = take(&mut rest, "cost=", "Startup Cost", &mut found)
        && take(&mut rest, "..", "Total Cost", &mut found)
        && take(&mut rest, "rows=", "Plan Rows", &mut found)
        && take(&mut rest, "width=", "Plan Width", &mut found)
        && rest.is_empty();
    if closed && !whole {
        return false;
    }
    head.costs = whole;
    head.map.append(&mut found);
    true
}

/// ` time=0.003..0.004 rows=3.00 loops=1`, without times under `TIMING OFF`.
fn actuals(inside: &str, closed: bool, head: &mut Head) -> bool {
    let text = squeezed(inside);
    let mut found = Map::new();
    let mut rest = text.as_str();
    let timed = rest.starts_with("time=");
    let whole = (!timed
        || take(&mut rest, "time=", "Actual Startup Time", &mut found)
            && take(&mut rest, "..", "Actual Total Time", &mut found))
        && take(&mut rest, "rows=", "Actual Rows", &mut found)
        && take(&mut rest, "loops=", "Actual Loops", &mut found)
        && rest.is_empty();
    if closed && !whole {
        return false;
    }
    head.actuals = whole;
    head.timed = timed && found.contains_key("Actual Total Time");
    head.map.append(&mut found);
    true
}

/// Takes `mark` and the number behind it.
fn take(rest: &mut &str, mark: &str, key: &str, found: &mut Map<String, Value>) -> bool {
    let Some(after) = rest.strip_prefix(mark) else {
        return false;
    };
    // In `0.00..35.50` the first number ends before the two dots.
    let mut length = 0;
    let bytes = after.as_bytes();
    while let Some(byte) = bytes.get(length) {
        let dots = *byte == b'.' && bytes.get(length + 1) == Some(&b'.');
        if dots || !(byte.is_ascii_digit() || *byte == b'.' || *byte == b'-' && length == 0) {
            break;
        }
        length += 1;
    }
    let Some((digits, after)) = after.split_at_checked(length) else {
        return false;
    };
    let Some(number) = typed::plain_number(digits) else {
        return false;
    };
    found.insert(key.to_owned(), Value::Number(number));
    *rest = after;
    true
}

/// The numbers of a worker's line: `actual time=… rows=… loops=…`.
pub(super) fn worker(text: &str) -> Option<Map<String, Value>> {
    let mut head = Head::default();
    let inside = text.trim().strip_prefix("actual")?;
    actuals(inside, true, &mut head).then_some(head.map)
}

fn put(map: &mut Map<String, Value>, key: &str, text: &str) {
    map.insert(key.to_owned(), typed::value(key, text));
}

fn put_text(map: &mut Map<String, Value>, key: &str, text: &str) {
    map.insert(key.to_owned(), Value::String(text.to_owned()));
}

/// How the name of what a node works on is printed.
#[derive(Clone, Copy)]
enum Target {
    /// ` on name alias`, under this key.
    Named(&'static str),
    /// ` on alias`.
    Alias,
    /// ` using index on name alias`.
    Index,
    /// ` on index`.
    OnlyIndex,
    /// Nothing.
    Nothing,
}

/// The node types whose first line is `type target`, longest first where one
/// begins another.
const TYPES: [(&str, Target); 36] = [
    ("Seq Scan", Target::Named("Relation Name")),
    ("Sample Scan", Target::Named("Relation Name")),
    ("Index Only Scan", Target::Index),
    ("Index Scan", Target::Index),
    ("Bitmap Index Scan", Target::OnlyIndex),
    ("Bitmap Heap Scan", Target::Named("Relation Name")),
    ("Tid Scan", Target::Named("Relation Name")),
    ("Tid Range Scan", Target::Named("Relation Name")),
    ("Subquery Scan", Target::Alias),
    ("Function Scan", Target::Named("Function Name")),
    ("Table Function Scan", Target::Named("Table Function Name")),
    ("Values Scan", Target::Alias),
    ("CTE Scan", Target::Named("CTE Name")),
    ("Named Tuplestore Scan", Target::Named("Tuplestore Name")),
    ("WorkTable Scan", Target::Named("CTE Name")),
    ("Foreign Scan", Target::Named("Relation Name")),
    ("Result", Target::Named("Relation Name")),
    ("ProjectSet", Target::Nothing),
    ("Append", Target::Nothing),
    ("Merge Append", Target::Nothing),
    ("Recursive Union", Target::Nothing),
    ("BitmapAnd", Target::Nothing),
    ("BitmapOr", Target::Nothing),
    ("Gather Merge", Target::Nothing),
    ("Gather", Target::Nothing),
    ("Materialize", Target::Nothing),
    ("Memoize", Target::Nothing),
    ("Result Cache", Target::Nothing),
    ("Sort", Target::Nothing),
    ("Incremental Sort", Target::Nothing),
    ("Group", Target::Nothing),
    ("WindowAgg", Target::Nothing),
    ("Unique", Target::Nothing),
    ("LockRows", Target::Nothing),
    ("Limit", Target::Nothing),
    ("Hash", Target::Nothing),
];

/// The types of joins, as TEXT puts them into the name.
const JOINS: [&str; 7] = [
    "Left",
    "Right",
    "Full",
    "Semi",
    "Anti",
    "Right Semi",
    "Right Anti",
];

/// Aggregates by strategy.
const AGGREGATES: [(&str, &str); 4] = [
    ("Aggregate", "Plain"),
    ("GroupAggregate", "Sorted"),
    ("HashAggregate", "Hashed"),
    ("MixedAggregate", "Mixed"),
];

/// Takes the description of a node apart.
fn describe(name: &str, head: &mut Head) {
    let mut rest = name.trim();
    let mut flags = [("Parallel ", false), ("Async ", false)];
    for (word, set) in &mut flags {
        if let Some(after) = rest.strip_prefix(*word) {
            rest = after;
            *set = true;
        }
    }
    head.known = known(rest, &mut head.map);
    if !head.known {
        unknown(rest, &mut head.map);
    }
    let [(_, parallel), (_, asynchronous)] = flags;
    head.map
        .insert("Parallel Aware".to_owned(), Value::Bool(parallel));
    if asynchronous {
        head.map
            .insert("Async Capable".to_owned(), Value::Bool(true));
    }
}

fn known(name: &str, map: &mut Map<String, Value>) -> bool {
    simple(name, map)
        || join(name, map)
        || aggregate(name, map)
        || set_operation(name, map)
        || modify(name, map)
        || foreign(name, map)
        || custom(name, map)
}

fn simple(name: &str, map: &mut Map<String, Value>) -> bool {
    for (kind, shape) in TYPES {
        let Some(rest) = name.strip_prefix(kind) else {
            continue;
        };
        let mut fields = Map::new();
        let fits = match shape {
            _ if rest.is_empty() => true,
            Target::Nothing => false,
            Target::Named(key) => rest
                .strip_prefix(" on ")
                .is_some_and(|rest| target(rest, key, &mut fields)),
            Target::Alias => {
                rest.strip_prefix(" on ")
                    .and_then(identifier)
                    .is_some_and(|(alias, rest)| {
                        put_text(&mut fields, "Alias", &alias);
                        rest.is_empty()
                    })
            }
            Target::OnlyIndex => {
                rest.strip_prefix(" on ")
                    .and_then(identifier)
                    .is_some_and(|(index, rest)| {
                        put_text(&mut fields, "Index Name", &index);
                        rest.is_empty()
                    })
            }
            Target::Index => index_target(rest, &mut fields),
        };
        if fits {
            put_text(map, "Node Type", kind);
            if kind == "Foreign Scan" {
                put_text(map, "Operation", "Select");
            }
            map.append(&mut fields);
            return true;
        }
    }
    false
}

/// ` Backward using index on table alias`.
fn index_target(rest: &str, fields: &mut Map<String, Value>) -> bool {
    let (direction, rest) = match rest.strip_prefix(" Backward") {
        Some(rest) => ("Backward", rest),
        None => ("Forward", rest),
    };
    put_text(fields, "Scan Direction", direction);
    let Some((index, rest)) = rest.strip_prefix(" using ").and_then(identifier) else {
        return false;
    };
    put_text(fields, "Index Name", &index);
    rest.strip_prefix(" on ")
        .is_some_and(|rest| target(rest, "Relation Name", fields))
}

/// `schema.name alias` to the end of the line.
fn target(text: &str, key: &str, fields: &mut Map<String, Value>) -> bool {
    let Some((first, rest)) = identifier(text) else {
        return false;
    };
    let (schema, name, rest) = match rest.strip_prefix('.').map(identifier) {
        Some(Some((name, rest))) => (Some(first), name, rest),
        Some(None) => return false,
        None => (None, first, rest),
    };
    let alias = match rest.strip_prefix(' ').map(identifier) {
        None if rest.is_empty() => name.clone(),
        Some(Some((alias, ""))) => alias,
        _ => return false,
    };
    put_text(fields, key, &name);
    if let Some(schema) = schema {
        put_text(fields, "Schema", &schema);
    }
    put_text(fields, "Alias", &alias);
    true
}

/// An identifier as `quote_identifier` prints it, and what follows.
fn identifier(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            match after.strip_prefix('"') {
                Some(after) => {
                    name.push('"');
                    rest = after;
                }
                None => return Some((name, after)),
            }
        }
    }
    let end = text.find([' ', '.', '"', '(', ')']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

fn join(name: &str, map: &mut Map<String, Value>) -> bool {
    let (kind, middle) = if let Some(rest) = name.strip_prefix("Nested Loop") {
        match rest.strip_suffix(" Join") {
            _ if rest.is_empty() => ("Nested Loop", ""),
            Some(middle) => ("Nested Loop", middle),
            None => return false,
        }
    } else if let Some(rest) = name.strip_prefix("Hash") {
        match rest.strip_suffix(" Join") {
            Some(middle) => ("Hash Join", middle),
            None => return false,
        }
    } else if let Some(rest) = name.strip_prefix("Merge") {
        match rest.strip_suffix(" Join") {
            Some(middle) => ("Merge Join", middle),
            None => return false,
        }
    } else {
        return false;
    };
    let join = match middle.trim_start() {
        "" => "Inner",
        other if JOINS.contains(&other) => other,
        _ => return false,
    };
    put_text(map, "Node Type", kind);
    put_text(map, "Join Type", join);
    true
}

fn aggregate(name: &str, map: &mut Map<String, Value>) -> bool {
    let (mode, rest) = if let Some(rest) = name.strip_prefix("Partial ") {
        ("Partial", rest)
    } else if let Some(rest) = name.strip_prefix("Finalize ") {
        ("Finalize", rest)
    } else {
        ("Simple", name)
    };
    let Some((_, strategy)) = AGGREGATES.iter().find(|(known, _)| *known == rest) else {
        return false;
    };
    put_text(map, "Node Type", "Aggregate");
    put_text(map, "Strategy", strategy);
    put_text(map, "Partial Mode", mode);
    true
}

fn set_operation(name: &str, map: &mut Map<String, Value>) -> bool {
    let (strategy, rest) = if let Some(rest) = name.strip_prefix("HashSetOp") {
        ("Hashed", rest)
    } else if let Some(rest) = name.strip_prefix("SetOp") {
        ("Sorted", rest)
    } else {
        return false;
    };
    let command = rest.trim_start();
    if !matches!(
        command,
        "" | "Intersect" | "Intersect All" | "Except" | "Except All"
    ) {
        return false;
    }
    put_text(map, "Node Type", "SetOp");
    put_text(map, "Strategy", strategy);
    if !command.is_empty() {
        put_text(map, "Command", command);
    }
    true
}

fn modify(name: &str, map: &mut Map<String, Value>) -> bool {
    for operation in ["Insert", "Update", "Delete", "Merge"] {
        let Some(rest) = name
            .strip_prefix(operation)
            .and_then(|rest| rest.strip_prefix(" on "))
        else {
            continue;
        };
        let mut fields = Map::new();
        if target(rest, "Relation Name", &mut fields) {
            put_text(map, "Node Type", "ModifyTable");
            put_text(map, "Operation", operation);
            map.append(&mut fields);
            return true;
        }
    }
    false
}

fn foreign(name: &str, map: &mut Map<String, Value>) -> bool {
    for operation in ["Insert", "Update", "Delete"] {
        let Some(rest) = name
            .strip_prefix("Foreign ")
            .and_then(|rest| rest.strip_prefix(operation))
        else {
            continue;
        };
        let mut fields = Map::new();
        let fits = rest.is_empty()
            || rest
                .strip_prefix(" on ")
                .is_some_and(|rest| target(rest, "Relation Name", &mut fields));
        if fits {
            put_text(map, "Node Type", "Foreign Scan");
            put_text(map, "Operation", operation);
            map.append(&mut fields);
            return true;
        }
    }
    false
}

fn custom(name: &str, map: &mut Map<String, Value>) -> bool {
    let Some(rest) = name.strip_prefix("Custom Scan") else {
        return false;
    };
    let mut fields = Map::new();
    let Some(provided) = rest.strip_prefix(" (") else {
        if !rest.is_empty() {
            return false;
        }
        put_text(map, "Node Type", "Custom Scan");
        return true;
    };
    // The provider's name ends where the line does, or a target follows.
    let (provider, fits) = match provided.strip_suffix(')') {
        Some(provider) if !provider.contains(") on ") => (provider, true),
        _ => match provided.split_once(") on ") {
            Some((provider, rest)) => (provider, target(rest, "Relation Name", &mut fields)),
            None => return false,
        },
    };
    if !fits {
        return false;
    }
    put_text(map, "Node Type", "Custom Scan");
    put_text(map, "Custom Plan Provider", provider);
    map.append(&mut fields);
    true
}

/// A type of an extension, of a fork or of a newer server: its name is kept,
/// and what it works on is taken off where it looks like that of the others.
fn unknown(name: &str, map: &mut Map<String, Value>) {
    let mut fields = Map::new();
    if let Some((kind, rest)) = name.split_once(" using ")
        && let Some((index, rest)) = identifier(rest)
        && let Some(rest) = rest.strip_prefix(" on ")
        && target(rest, "Relation Name", &mut fields)
    {
        put_text(map, "Node Type", kind);
        put_text(map, "Index Name", &index);
        map.append(&mut fields);
        return;
    }
    fields = Map::new();
    if let Some((kind, rest)) = name.split_once(" on ")
        && !kind.is_empty()
        && target(rest, "Relation Name", &mut fields)
    {
        put_text(map, "Node Type", kind);
        map.append(&mut fields);
        return;
    }
    put_text(map, "Node Type", name);
}

/// `Update on child c`: a target of a ModifyTable that has several.
pub(super) fn modified_target(line: &str) -> Option<Map<String, Value>> {
    let line = line.trim();
    let line = line.strip_prefix("Foreign ").unwrap_or(line);
    let mut fields = Map::new();
    ["Insert on ", "Update on ", "Delete on ", "Merge on "]
        .iter()
        .find_map(|verb| line.strip_prefix(verb))
        .is_some_and(|rest| target(rest, "Relation Name", &mut fields))
        .then_some(fields)
}
