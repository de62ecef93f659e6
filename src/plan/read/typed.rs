//! The type of a value whose format has none: TEXT and XML print all values as
//! text, JSON tells numbers, words and truth values apart.

use serde_json::{Number, Value};

/// Keys whose value is a list of expressions or names.
pub(super) const LISTS: [&str; 8] = [
    "Output",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Hash Key",
    "Params Evaluated",
    "Conflict Arbiter Indexes",
    "Sort Methods Used",
];

/// Keys whose value is a text whatever it looks like.
fn is_textual(key: &str) -> bool {
    if key.starts_with("Rows Removed by ") {
        return false;
    }
    key.ends_with(" Cond")
        || key.ends_with(" Filter")
        || key.ends_with(" Name")
        || key.ends_with(" Text")
        || key.ends_with(" Parameters")
        || matches!(
            key,
            "Filter"
                | "Order By"
                | "Run Condition"
                | "Alias"
                | "Schema"
                | "Cache Key"
                | "Function Call"
                | "Table Function Call"
                | "Relation"
                | "Remote SQL"
                | "Relations"
                | "Repeatable Seed"
                | "Window"
                | "Tasks Shown"
                | "Node"
        )
}

/// The value as JSON would have it.
pub(super) fn value(key: &str, text: &str) -> Value {
    if !is_textual(key) {
        match text {
            "true" => return Value::Bool(true),
            "false" => return Value::Bool(false),
            _ => {}
        }
        if let Some(number) = plain_number(text) {
            return Value::Number(number);
        }
        // `ExplainPropertyInteger` and its kind print a unit behind a number.
        if let Some((amount, "b" | "kB" | "ms" | "s" | "us")) = text.split_once(' ')
            && let Some(number) = plain_number(amount)
        {
            return Value::Number(number);
        }
    }
    Value::String(text.to_owned())
}

/// A plain decimal number.
pub(super) fn plain_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.ends_with(|last: char| last.is_ascii_digit())
        && digits.len() <= 40
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !plain {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    if let Ok(whole) = text.parse::<u64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// The entries of a list as TEXT joins them: split at the commas that are in
/// no parentheses, brackets and quotes.
pub(super) fn entries(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut depth = 0_i32;
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth -= 1,
            (None, b',') if depth <= 0 => {
                found.push(text.get(start..at).unwrap_or_default().trim_start());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(text.get(start..).unwrap_or_default().trim_start());
    found
}
