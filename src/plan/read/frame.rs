//! What psql and programs of its kind draw around a result: rules, bars,
//! records, marks where a cell goes on in the next line.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

use super::lines::{self, Line};
use super::text::{self, is_end};

/// The bars between and around columns.
const BARS: [char; 5] = ['|', '│', '║', '┃', '¦'];

/// Marks at the right end of a cell that goes on in the next line.
const NEWLINE_MARKS: [char; 2] = ['+', '↵'];
const WRAP_MARKS: [char; 2] = ['.', '…'];

/// Takes the lines out of their frames. Lines of one frame get its number, and
/// the frame itself is dropped.
pub(super) fn unwrap(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    let mut lines = framed(lines);
    let mut at = 0;
    while at < lines.len() {
        let length = lines
            .iter()
            .skip(at)
            .take_while(|line| line.frame == 0 && !line.is_blank())
            .count();
        if let Some(block) = lines.get_mut(at..at + length) {
            free(block);
        }
        at += length + 1;
    }
    lines
}

/// Takes the margin and the marks off lines that stand in no frame: rows
/// without a heading have both.
fn free(block: &mut [Line<'_>]) {
    // The lines behind a blank one belong to a plan before: their columns count.
    let begins = block.first().is_some_and(|line| {
        let trimmed = line.text.trim();
        trimmed.starts_with(['[', '{', '<'])
            || trimmed.starts_with("- ")
            || text::begins_with_numbers(trimmed)
    });
    if !begins {
        return;
    }
    let margin = block
        .iter()
        .map(|line| lines::indent(&line.text))
        .min()
        .unwrap_or_default();
    let marked = block.len() > 2
        && block
            .iter()
            .rev()
            .skip(1)
            .all(|line| line.text.ends_with(NEWLINE_MARKS));
    if margin == 0 && !marked {
        return;
    }
    for line in block {
        let mut text = line.text.get(margin..).unwrap_or_default();
        if marked && let Some(rest) = text.strip_suffix(NEWLINE_MARKS) {
            text = rest.trim_end();
        }
        line.text = Cow::Owned(text.to_owned());
    }
}

/// Takes the lines out of the frames that are drawn.
fn framed(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    if !lines.iter().any(|line| may_frame(&line.text)) {
        return lines;
    }
    let mut out: Vec<Line<'_>> = Vec::with_capacity(lines.len());
    let mut frames = 0;
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let found = if is_record(&line.text) {
            Some(records(&lines, at))
        } else if is_piped_record(&line.text) {
            Some(unaligned_records(&lines, at))
        } else {
            match rule(&line.text) {
                Some(Rule { boxed: true, .. }) => boxed(&lines, at),
                Some(rule) if is_heading(&lines, at) => open_frame(&lines, at, &rule, &mut out),
                _ => None,
            }
        };
        let Some((rows, next)) = found else {
            out.push(line.clone());
            at += 1;
            continue;
        };
        frames += 1;
        out.extend(rows.into_iter().map(|mut row| {
            row.frame = frames;
            row
        }));
        at = next.max(at + 1);
    }
    out
}

/// Whether a line could belong to a frame's rules; a quick look.
fn may_frame(line: &str) -> bool {
    let trimmed = line.trim();
    is_record(trimmed) || is_piped_record(trimmed) || rule(trimmed).is_some()
}

/// A horizontal line.
struct Rule {
    /// It has corners, as around a box.
    boxed: bool,
    /// Its width on the screen, without corners.
    width: usize,
}

fn is_dash(letter: char) -> bool {
    matches!(letter, '-' | '─' | '═' | '━' | '—')
}

fn rule(line: &str) -> Option<Rule> {
    let trimmed = line.trim();
    let dashes = trimmed.chars().filter(|letter| is_dash(*letter)).count();
    if dashes < 4 || !trimmed.chars().all(is_rule_letter) {
        return None;
    }
    let first = trimmed.chars().next()?;
    let boxed = !is_dash(first);
    // DBeaver ends its rule with a corner.
    let width = if boxed {
        trimmed.width().saturating_sub(2)
    } else {
        trimmed.trim_end_matches(|letter| !is_dash(letter)).width()
    };
    // A table of several columns is no plan of PostgreSQL.
    let inner = trimmed
        .trim_start_matches(|letter| !is_dash(letter))
        .trim_end_matches(|letter| !is_dash(letter));
    inner.chars().all(is_dash).then_some(Rule { boxed, width })
}

fn is_rule_letter(letter: char) -> bool {
    is_dash(letter) || matches!(letter, '+' | '|') || ('\u{2500}'..='\u{257f}').contains(&letter)
}

/// Whether the line before a rule can be a result's heading.
fn is_heading(lines: &[Line<'_>], at: usize) -> bool {
    let Some(heading) = at.checked_sub(1).and_then(|before| lines.get(before)) else {
        return false;
    };
    let title = heading.text.trim().trim_end_matches(BARS).trim();
    // The column is named so by the server in every language; a program
    // between may have translated it.
    title == "QUERY PLAN"
        || !title.is_empty()
            && title.chars().count() <= 40
            && title
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == ' ' || letter == '_')
}

/// The rows of a frame without a box; the heading, which was taken for a line
/// of its own, is dropped.
fn open_frame<'a>(
    lines: &[Line<'a>],
    at: usize,
    rule: &Rule,
    out: &mut Vec<Line<'a>>,
) -> Option<(Vec<Line<'a>>, usize)> {
    let mut next = at + 1;
    let mut rows = Vec::new();
    let mut closed = false;
    while let Some(line) = lines.get(next) {
        let trimmed = line.text.trim();
        if is_end(trimmed) || is_prompt(trimmed) {
            closed = true;
            break;
        }
        // The heading of another result.
        if self::rule(&line.text).is_some() && is_heading(lines, next) {
            rows.pop();
            next -= 1;
            break;
        }
        rows.push(line.clone());
        next += 1;
    }
    if rows.is_empty() {
        return None;
    }
    out.pop();
    if closed
        && lines
            .get(next)
            .is_some_and(|line| is_count(line.text.trim()))
    {
        next += 1;
    }
    // DBeaver ends each row with a bar.
    let barred = rows
        .iter()
        .filter(|row| !row.is_blank())
        .all(|row| row.text.trim_end().ends_with(BARS));
    if barred {
        for row in &mut rows {
            let kept = row.text.trim_end().trim_end_matches(BARS).trim_end();
            row.text = Cow::Owned(kept.to_owned());
        }
    }
    // With a border of 1 each row begins with a blank, or with a mark.
    let bordered = rows
        .iter()
        .filter(|row| !row.is_blank())
        .all(|row| row.text.starts_with([' ', '.', '…']));
    let width = if bordered { rule.width } else { rule.width + 1 };
    Some((unmark(rows, width, bordered), next))
}

/// Takes off the left margin and the marks, and joins what was wrapped.
fn unmark(rows: Vec<Line<'_>>, width: usize, bordered: bool) -> Vec<Line<'_>> {
    let marked = rows
        .iter()
        .filter(|row| row.text.trim_end().ends_with(NEWLINE_MARKS))
        .count();
    // Where the columns do not fit (a wide font, a tab), the marks are told by
    // their number.
    let mostly = rows.len() > 2 && marked * 10 >= (rows.len() - 1) * 8;
    let mut out: Vec<Line<'_>> = Vec::with_capacity(rows.len());
    let mut wrapped = false;
    for row in rows {
        let full = row.text.width() == width;
        let mut text: &str = &row.text;
        let mut goes_on = wrapped;
        if bordered {
            if let Some(rest) = text.strip_prefix(WRAP_MARKS) {
                goes_on = true;
                // The line before was cut to the width of the column.
                if !wrapped && let Some(last) = out.last_mut() {
                    let cut = last.text.strip_suffix(WRAP_MARKS).map(str::to_owned);
                    if let Some(cut) = cut {
                        last.text = Cow::Owned(cut);
                    }
                }
                text = rest;
            } else {
                goes_on = false;
                text = text.strip_prefix(' ').unwrap_or(text);
            }
        }
        wrapped = false;
        if full && let Some(rest) = text.strip_suffix(WRAP_MARKS) {
            text = rest;
            wrapped = true;
        } else if (full || mostly)
            && let Some(rest) = text.trim_end().strip_suffix(NEWLINE_MARKS)
        {
            text = rest.trim_end();
        }
        match out.last_mut() {
            Some(last) if goes_on => last.text.to_mut().push_str(text),
            _ => {
                let text = text.to_owned();
                out.push(Line {
                    text: Cow::Owned(text),
                    ..row
                });
            }
        }
    }
    for line in &mut out {
        if line.text.ends_with(' ') {
            let kept = line.text.trim_end().len();
            line.text.to_mut().truncate(kept);
        }
    }
    out
}

/// The rows of a box.
fn boxed<'a>(lines: &[Line<'a>], at: usize) -> Option<(Vec<Line<'a>>, usize)> {
    let width = rule(&lines.get(at)?.text)?.width;
    let mut next = at + 1;
    let mut parts: Vec<Vec<Line<'a>>> = vec![Vec::new()];
    let mut rules = 0;
    while let Some(line) = lines.get(next) {
        let trimmed = line.text.trim();
        if rule(trimmed).is_some() {
            rules += 1;
            parts.push(Vec::new());
            next += 1;
            if rules == 2 {
                break;
            }
            continue;
        }
        let Some(inner) = trimmed.strip_prefix(BARS) else {
            break;
        };
        let inner = inner.strip_suffix(BARS).unwrap_or(inner);
        if let Some(part) = parts.last_mut() {
            part.push(Line {
                text: Cow::Owned(inner.to_owned()),
                ..line.clone()
            });
        }
        next += 1;
    }
    // Heading and rows; tuples alone have no heading.
    let rows = parts.into_iter().rfind(|part| !part.is_empty())?;
    if lines
        .get(next)
        .is_some_and(|line| is_count(line.text.trim()))
    {
        next += 1;
    }
    Some((unmark(rows, width, true), next))
}

fn is_count(trimmed: &str) -> bool {
    trimmed.starts_with('(') && is_end(trimmed)
}

/// psql's prompt: `shop=# `, `shop-> `, `shop=*# `.
pub(super) fn is_prompt(trimmed: &str) -> bool {
    prompted(trimmed).is_some()
}

/// What was typed behind psql's prompt.
pub(super) fn prompted(trimmed: &str) -> Option<&str> {
    let end = trimmed.find(['#', '>'])?;
    let (prompt, rest) = trimmed.split_at_checked(end)?;
    let rest = rest.get(1..)?;
    if !(rest.is_empty() || rest.starts_with(' ')) {
        return None;
    }
    let name = prompt.trim_end_matches(['*', '!', '?']);
    let name = name.strip_suffix(['=', '-', '(', '\'', '"', '^', '@', '$'])?;
    // A row that was broken may look alike, and ends with a mark.
    let plain = name.starts_with(|first: char| first.is_alphanumeric() || first == '_')
        && !rest.trim_start().starts_with(NEWLINE_MARKS)
        && name.len() <= 64
        && name.chars().all(|letter| {
            letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '@' | ':' | '/')
        });
    plain.then(|| rest.trim_start())
}

/// `-[ RECORD 1 ]---`, in any language and line style, or `* Record 1`.
fn is_record(line: &str) -> bool {
    let trimmed = line.trim();
    let inside = if let Some(rest) = trimmed.strip_prefix("* ") {
        rest
    } else {
        let lead: usize = trimmed
            .chars()
            .take_while(|letter| is_rule_letter(*letter))
            .map(char::len_utf8)
            .sum();
        if lead == 0 {
            return false;
        }
        let Some((inside, rest)) = trimmed
            .get(lead..)
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.split_once(']'))
        else {
            return false;
        };
        if !rest.chars().all(is_rule_letter) {
            return false;
        }
        inside
    };
    inside
        .trim()
        .rsplit_once(' ')
        .is_some_and(|(word, number)| {
            !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && word
                    .chars()
                    .all(|letter| letter.is_alphabetic() || letter == ' ')
        })
}

/// The rows of an expanded result.
fn records<'a>(lines: &[Line<'a>], at: usize) -> (Vec<Line<'a>>, usize) {
    let mut rows: Vec<Line<'a>> = Vec::new();
    let mut next = at;
    // Where the values begin, told by the first row of a record.
    let mut name = Name::default();
    let mut wrapped = false;
    while let Some(line) = lines.get(next) {
        let trimmed = line.text.trim();
        if is_record(trimmed) {
            next += 1;
            name = Name::default();
            wrapped = false;
            continue;
        }
        if trimmed.is_empty() || is_end(trimmed) || is_prompt(trimmed) {
            break;
        }
        if rule(trimmed).is_some() {
            next += 1;
            continue;
        }
        let Some((value, mark, first)) = cell(&line.text, &mut name) else {
            break;
        };
        let goes_on = !first && (wrapped || WRAP_MARKS.contains(&mark) || mark == ';');
        if goes_on
            && !wrapped
            && let Some(last) = rows.last_mut()
        {
            let kept = last.text.strip_suffix(WRAP_MARKS).map(str::to_owned);
            if let Some(kept) = kept {
                last.text = Cow::Owned(kept);
            }
        }
        let mut value = value;
        // A mark that the cell goes on belongs to the frame.
        wrapped = false;
        let upcoming = lines
            .get(next + 1)
            .filter(|next| !is_record(&next.text))
            .and_then(|next| cell(&next.text, &mut { name }));
        if let Some((_, next_mark, false)) = upcoming {
            if let Some(rest) = value.trim_end().strip_suffix(NEWLINE_MARKS) {
                value = rest.trim_end();
            } else if (WRAP_MARKS.contains(&next_mark) || next_mark == ';')
                && let Some(rest) = value.strip_suffix(WRAP_MARKS)
            {
                value = rest;
                wrapped = true;
            }
        }
        match rows.last_mut() {
            Some(last) if goes_on => last.text.to_mut().push_str(value),
            _ => rows.push(Line {
                text: Cow::Owned(value.to_owned()),
                ..line.clone()
            }),
        }
        next += 1;
    }
    for row in &mut rows {
        let kept = row.text.trim_end().len();
        row.text.to_mut().truncate(kept);
    }
    (rows, next)
}

/// The column of names in an expanded result.
#[derive(Debug, Clone, Copy, Default)]
struct Name {
    /// Its width; 0 until it is known.
    width: usize,
    /// A bar stands between names and values.
    barred: bool,
    /// Bars stand around the row.
    boxed: bool,
}

/// A row of an expanded result: the value, the mark before it, and whether the
/// row names its column.
fn cell<'a>(line: &'a str, name: &mut Name) -> Option<(&'a str, char, bool)> {
    let mut rest = line;
    // A border of 2 stands around the row.
    let outer = line.trim_start().strip_prefix(BARS);
    if let Some(inner) = outer.filter(|_| name.width == 0 || name.boxed) {
        rest = inner;
        if let Some(inner) = rest.trim_end().strip_suffix(BARS) {
            rest = inner;
        }
    }
    let title = "QUERY PLAN";
    let titled = rest
        .find(title)
        .filter(|at| rest.get(..*at).is_some_and(|lead| lead.trim().is_empty()));
    if let Some(at) = titled {
        let after = rest.get(at + title.len()..)?;
        let after = after.strip_prefix(' ').unwrap_or(after);
        let value = after.strip_prefix(BARS);
        *name = Name {
            width: at + title.len(),
            barred: value.is_some(),
            boxed: outer.is_some(),
        };
        let value = match value {
            Some(value) => value.strip_prefix(' ').unwrap_or(value),
            None => after,
        };
        return Some((value, ' ', true));
    }
    if name.width == 0 {
        // A heading in another language.
        let (title, value) = rest.split_once(BARS)?;
        if title.trim().is_empty() {
            return None;
        }
        *name = Name {
            width: title.trim_end().width(),
            barred: true,
            boxed: outer.is_some(),
        };
        return Some((value.strip_prefix(' ').unwrap_or(value), ' ', true));
    }
    // The name's column is blank.
    let lead = name.width + usize::from(name.barred);
    let (blank, after) = rest.split_at_checked(lead)?;
    if !blank.trim().trim_end_matches(NEWLINE_MARKS).is_empty() {
        return None;
    }
    let mut letters = after.chars();
    let bar = if name.barred { letters.next()? } else { ' ' };
    if name.barred && !(BARS.contains(&bar) || matches!(bar, ':' | ';' | ' ')) {
        return None;
    }
    let mark = letters.next().unwrap_or(' ');
    let mark = if bar == ';' { ';' } else { mark };
    Some((letters.as_str(), mark, false))
}

/// An expanded result without alignment: `QUERY PLAN|Seq Scan on t`.
fn is_piped_record(line: &str) -> bool {
    line.trim_start()
        .strip_prefix("QUERY PLAN")
        .is_some_and(|rest| rest.starts_with(['|', ',', ';', '\t']) && rest.trim().len() > 1)
}

fn unaligned_records<'a>(lines: &[Line<'a>], at: usize) -> (Vec<Line<'a>>, usize) {
    let mut rows = Vec::new();
    let mut next = at;
    while let Some(line) = lines.get(next) {
        let trimmed = line.text.trim();
        let blank = trimmed.is_empty();
        if is_end(trimmed)
            || is_prompt(trimmed)
            || blank
                && !lines
                    .get(next + 1)
                    .is_some_and(|after| is_piped_record(&after.text))
        {
            break;
        }
        next += 1;
        if blank {
            continue;
        }
        let value = match line.text.trim_start().strip_prefix("QUERY PLAN") {
            Some(rest) if is_piped_record(&line.text) => rest.get(1..).unwrap_or_default(),
            _ => &line.text,
        };
        rows.push(Line {
            text: Cow::Owned(value.to_owned()),
            ..line.clone()
        });
    }
    (rows, next)
}
