//! What a page, an editor or a program did to all lines of a plan: entities of
//! HTML, numbers in front, a table of markdown, a blank line after each, one
//! string with `\n` in it, comments.
//!
//! Each is undone only on its own clear sign, so that a plan without it stays
//! as it is.

use std::borrow::Cow;

use serde_json::Value;

use super::lines::{self, Line};
use super::text;

/// Tags that pages put into and around a plan.
const TAGS: [&str; 13] = [
    "pre", "code", "br", "span", "div", "p", "b", "i", "tt", "td", "tr", "table", "tbody",
];

/// Undoes all of it.
pub(super) fn undo<'a>(source: &'a str, mut lines: Vec<Line<'a>>) -> Vec<Line<'a>> {
    if let Some(found) = strings(source) {
        lines = found;
    }
    // Programs' formats write literals so: their own readers take them back.
    if !source.contains("Node Type") {
        lines = escaped(lines);
    }
    table(&mut lines);
    lines = html(lines);
    numbers(&mut lines);
    spaced(&lines)
}

/// A line of a plan, told by itself.
fn is_of_plan(line: &str) -> bool {
    let trimmed = line.trim();
    text::begins_with_numbers(trimmed)
        || text::is_known_child(trimmed)
        || trimmed == "QUERY PLAN"
        || trimmed == "- Plan:"
        || trimmed.starts_with("\"Plan\": {")
        || trimmed.contains("<explain xmlns")
}

/// Lines that were strings of JSON: one for the plan, or one for each row, as
/// drivers and exports give them.
fn strings(source: &str) -> Option<Vec<Line<'static>>> {
    let body = source.trim_start_matches('\u{feff}').trim();
    if !body.starts_with(['[', '{', '"'])
        || body.contains("\"Plan\"")
        || body.contains("\"Node Type\"")
        || !(body.contains("(cost=") || body.contains("(actual ") || body.contains("->  "))
    {
        return None;
    }
    let value: Value = serde_json::from_str(body).ok()?;
    let mut texts: Vec<String> = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(items) => open.extend(items.into_iter().rev()),
            Value::Object(map) => {
                let mut items: Vec<Value> = map.into_iter().map(|(_, item)| item).collect();
                items.reverse();
                open.append(&mut items);
            }
            _ => {}
        }
    }
    let rows: Vec<Line<'static>> = texts
        .iter()
        .flat_map(|text| text.split('\n'))
        .flat_map(lines::of)
        .map(|line| Line::new(1, Cow::Owned(line.text.into_owned())))
        .collect();
    rows.iter()
        .any(|line| is_of_plan(&line.text))
        .then_some(rows)
}

/// A plan on one line, with `\n` where its lines ended.
fn escaped(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    let is_escaped = |line: &Line<'_>| {
        line.text.contains("\\n")
            && !line.text.contains("Query Text")
            && !line.text.contains("\"Plan\"")
            && !line.text.contains("Node Type")
            // A literal in a property may hold anything.
            && !line.text.split("\\n").next().unwrap_or("").contains(": ")
            && line.text.split("\\n").enumerate().any(|(index, part)| {
                let part = part.trim_start_matches(['"', '\'', ' ']);
                index > 0 && text::is_known_child(part)
                    || index == 0 && text::begins_with_numbers(part)
            })
    };
    if !lines.iter().any(is_escaped) {
        return lines;
    }
    let mut out = Vec::with_capacity(lines.len());
    for line in lines {
        if !is_escaped(&line) {
            out.push(line);
            continue;
        }
        let whole = line.text.trim_end().trim_end_matches([',', ';']);
        let whole = ['"', '\'']
            .iter()
            .find_map(|quote| {
                whole
                    .trim_start()
                    .strip_prefix(*quote)?
                    .strip_suffix(*quote)
            })
            .unwrap_or(whole);
        for part in whole.split("\\n") {
            let part = part.replace("\\\"", "\"").replace("\\t", "        ");
            out.push(Line {
                text: Cow::Owned(part),
                ..line.clone()
            });
        }
    }
    out
}

/// The cell of a table's row with one column.
fn row(line: &str) -> Option<&str> {
    line.trim().strip_prefix('|')?.strip_suffix('|')
}

/// Takes the rows out of a table of markdown.
fn table(lines: &mut [Line<'_>]) {
    let is_rule = |line: &Line<'_>| {
        row(&line.text).is_some_and(|inner| {
            let inner = inner.trim();
            let dashes = inner.trim_start_matches(':').trim_end_matches(':');
            !dashes.is_empty() && dashes.bytes().all(|byte| byte == b'-')
        })
    };
    let mut at = 1;
    while at < lines.len() {
        let headed = lines.get(at).is_some_and(is_rule)
            && lines
                .get(at - 1)
                .is_some_and(|heading| row(&heading.text).is_some_and(is_title));
        if !headed {
            at += 1;
            continue;
        }
        let run = lines
            .iter()
            .skip(at + 1)
            .take_while(|line| row(&line.text).is_some())
            .count();
        let rows = lines.get_mut(at + 1..=at + run).unwrap_or_default();
        // A blank after the bar belongs to the table if each row has it.
        let padded = rows
            .iter()
            .all(|line| row(&line.text).is_some_and(|inner| inner.starts_with(' ')));
        for line in rows {
            let inner = row(&line.text).unwrap_or_default();
            let inner = if padded { inner.get(1..) } else { Some(inner) };
            line.text = Cow::Owned(inner.unwrap_or_default().trim_end().replace("\\|", "|"));
        }
        for line in lines.iter_mut().skip(at - 1).take(2) {
            line.text = Cow::Borrowed("");
        }
        at += run + 1;
    }
}

/// A heading of one column.
fn is_title(inner: &str) -> bool {
    !inner.contains('|') && inner.trim().chars().count() <= 40
}

/// Undoes the entities and the tags of a page's source.
fn html(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    if lines.iter().any(|line| line.text.contains("<explain")) {
        return lines;
    }
    let sign = |line: &Line<'_>| {
        if !line.text.contains(['<', '&']) {
            return false;
        }
        let plain = line.text.replace("&nbsp;", " ");
        let plain = plain.trim_start();
        plain.starts_with("-&gt;")
            || plain.starts_with("<pre")
            || plain.starts_with("<code")
            || plain.contains("<br") && plain.contains("-&gt;")
    };
    if !lines.iter().any(sign) {
        return lines;
    }
    let mut out = Vec::with_capacity(lines.len());
    for line in lines {
        if !line.text.contains(['<', '&']) {
            out.push(line);
            continue;
        }
        let text = without_tags(&line.text);
        for part in text.split('\n') {
            out.push(Line {
                text: Cow::Owned(without_entities(part)),
                ..line.clone()
            });
        }
    }
    out
}

/// A line without tags; where it was broken by one, with a line break.
fn without_tags(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let tag = after.split_once('>').filter(|(tag, _)| {
            let name = tag.trim_start_matches('/');
            let name = name
                .split(|letter: char| !letter.is_ascii_alphanumeric())
                .next()
                .unwrap_or_default();
            TAGS.iter().any(|known| known.eq_ignore_ascii_case(name))
        });
        if let Some((tag, behind)) = tag {
            if tag
                .get(..2)
                .is_some_and(|name| name.eq_ignore_ascii_case("br"))
            {
                out.push('\n');
            }
            rest = behind;
        } else {
            out.push('<');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn without_entities(line: &str) -> String {
    line.replace("&nbsp;", " ")
        .replace("&#160;", " ")
        .replace("&gt;", ">")
        .replace("&lt;", "<")
        .replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&apos;", "'")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&amp;", "&")
}

/// A number in front of a line, and what stands behind it.
fn numbered(line: &str) -> Option<(u64, &str)> {
    let trimmed = line.trim_start_matches(' ');
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = trimmed.split_at_checked(digits)?;
    let number = number.parse().ok()?;
    if rest.is_empty() {
        return Some((number, rest));
    }
    let behind = rest
        .strip_prefix(['.', ':', ')', '|', '\t'])
        .map(|behind| behind.strip_prefix(' ').unwrap_or(behind));
    Some((number, behind.or_else(|| rest.strip_prefix(' '))?))
}

/// Takes the line numbers of an editor or of `cat -n` off: each is one more
/// than the one before.
fn numbers(lines: &mut [Line<'_>]) {
    let mut at = 0;
    while at < lines.len() {
        let mut last: Option<u64> = None;
        let run = lines
            .iter()
            .skip(at)
            .take_while(|line| {
                let number = numbered(&line.text).map(|(number, _)| number);
                let next = match (last, number) {
                    (None, Some(_)) => true,
                    (Some(last), Some(number)) => last.checked_add(1) == Some(number),
                    _ => false,
                };
                last = number;
                next
            })
            .count();
        let run_lines = lines.get_mut(at..at + run).unwrap_or_default();
        let of_plan = run_lines
            .iter()
            .any(|line| numbered(&line.text).is_some_and(|(_, rest)| is_of_plan(rest)));
        if of_plan {
            for line in run_lines {
                if let Some((_, rest)) = numbered(&line.text) {
                    line.text = Cow::Owned(rest.to_owned());
                }
            }
        }
        at += run.max(1);
    }
}

/// Drops the blank line that a page has put after each line of a plan.
fn spaced<'a>(lines: &[Line<'a>]) -> Vec<Line<'a>> {
    let blank = |at: usize| lines.get(at).is_none_or(Line::is_blank);
    let mut out = Vec::with_capacity(lines.len());
    let mut at = 0;
    while at < lines.len() {
        let mut end = at;
        while !blank(end) && blank(end + 1) && !blank(end + 2) {
            end += 2;
        }
        // The last of them may be followed by anything but a further line.
        let run = end - at;
        let children = lines
            .get(at..=end)
            .unwrap_or_default()
            .iter()
            .filter(|line| line.text.trim_start().starts_with("->"))
            .any(|line| text::is_known_child(&line.text));
        if run >= 2 && children && blank(end + 1) {
            out.extend(
                lines
                    .get(at..=end)
                    .unwrap_or_default()
                    .iter()
                    .filter(|line| !line.is_blank())
                    .cloned(),
            );
        } else {
            out.extend(lines.get(at..=end).unwrap_or_default().iter().cloned());
        }
        at = end + 1;
    }
    out
}

/// A plan that stands in comments of SQL, one a line; `None` if there is none.
pub(super) fn commented(source: &str) -> Option<String> {
    let mut found = false;
    let mut out = String::with_capacity(source.len());
    for line in source.split('\n') {
        if let Some(rest) = line.trim_start().strip_prefix("--") {
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            // The rule below a heading is no comment.
            let rule = !rest.is_empty() && rest.trim().bytes().all(|byte| byte == b'-');
            found |= is_of_plan(rest);
            out.push_str(if rule { line } else { rest });
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out.pop();
    found.then_some(out)
}
