//! Quotation around a plan: cells of CSV and of pgAdmin, mail, markdown.

use std::borrow::Cow;

use super::lines::Line;
use super::text;

/// At most so many lines are tried as one cell.
const MOST_LINES: usize = 200_000;

/// Takes `> ` off the lines of a quoted mail.
pub(super) fn mail(lines: &mut [Line<'_>]) {
    let is_quoted = |line: &Line<'_>| line.text.starts_with('>');
    let mut at = 0;
    while at < lines.len() {
        let run = lines
            .iter()
            .skip(at)
            .take_while(|line| is_quoted(line))
            .count();
        let one = |line: &Line<'_>| {
            text::begins_with_numbers(line.text.trim_start_matches('>').trim_start())
        };
        if run >= 2 || run == 1 && lines.get(at).is_some_and(one) {
            for line in lines.iter_mut().skip(at).take(run) {
                let mut rest: &str = &line.text;
                for _ in 0..8 {
                    match rest.strip_prefix('>') {
                        Some(inner) => rest = inner.strip_prefix(' ').unwrap_or(inner),
                        None => break,
                    }
                }
                line.text = Cow::Owned(rest.to_owned());
            }
        }
        at += run.max(1);
    }
}

/// Takes off single quotes around each line, and double ones behind each.
pub(super) fn edges(lines: &mut [Line<'_>]) {
    let filled = || lines.iter().filter(|line| !line.is_blank());
    let all = filled().count();
    let single = filled()
        .filter(|line| {
            let trimmed = line.text.trim();
            trimmed.len() > 1 && trimmed.starts_with('\'') && trimmed.ends_with('\'')
        })
        .count();
    let behind = filled()
        .filter(|line| {
            let trimmed = line.text.trim();
            trimmed.ends_with('"') && trimmed.matches('"').count() % 2 == 1
        })
        .count();
    if all > 1 && single * 10 >= all * 9 {
        for line in lines {
            let trimmed = line.text.trim();
            let inner = trimmed.strip_prefix('\'').unwrap_or(trimmed);
            let inner = inner.strip_suffix('\'').unwrap_or(inner).to_owned();
            line.text = Cow::Owned(inner);
        }
    } else if all > 1 && behind * 10 >= all * 9 {
        for line in lines {
            let trimmed = line.text.trim_end();
            let inner = trimmed.strip_suffix('"').unwrap_or(trimmed).to_owned();
            line.text = Cow::Owned(inner);
        }
    }
}

/// Takes cells in double quotes apart: each row of pgAdmin is one, or the whole
/// plan. Quotes within are doubled.
pub(super) fn cells(lines: Vec<Line<'_>>) -> Vec<Line<'_>> {
    let Some(first) = first_cell(&lines) else {
        return lines;
    };
    let mut out: Vec<Line<'_>> = Vec::with_capacity(lines.len());
    let mut at = 0;
    let mut failures = 0;
    while let Some(line) = lines.get(at) {
        let cell = (at >= first && line.text.trim_start().starts_with('"') && failures < 8)
            .then(|| cell(&lines, at))
            .flatten();
        let Some((text, taken)) = cell else {
            failures += usize::from(at >= first && line.text.trim_start().starts_with('"'));
            out.push(line.clone());
            at += 1;
            continue;
        };
        for (offset, part) in text.split('\n').enumerate() {
            out.push(Line {
                number: line.number + offset,
                text: Cow::Owned(part.to_owned()),
                frame: line.frame,
            });
        }
        at += taken;
    }
    out
}

/// The first line that begins a cell with a plan in it; none within JSON, where
/// keys stand in quotes.
fn first_cell(lines: &[Line<'_>]) -> Option<usize> {
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.text.trim();
        if trimmed.starts_with(['[', '{']) && !trimmed.contains("[local]") {
            return None;
        }
        let Some(inner) = trimmed.strip_prefix('"') else {
            continue;
        };
        let inner = inner.trim_start();
        let plain = inner.trim_end_matches(['"', ',', ';']);
        let one = [Line::new(1, Cow::Owned(plain.to_owned()))];
        let below = one.first().is_some_and(text::begins_below_the_top);
        if inner.is_empty() && trimmed == "\""
            || inner.starts_with(['[', '{', '<'])
            || inner.starts_with("- Plan:")
            || plain == "QUERY PLAN"
            || text::begins(&one, 0)
            || text::is_property(plain)
            || text::is_known_child(plain)
            || below
        {
            // A node without numbers is told by the rows below it.
            let before = lines
                .iter()
                .take(at)
                .rev()
                .take_while(|line| line.text.starts_with('"'))
                .count();
            return Some(at - before);
        }
    }
    None
}

/// The cell that begins at a line, and how many lines it takes.
fn cell(lines: &[Line<'_>], at: usize) -> Option<(String, usize)> {
    let mut text = String::new();
    for (offset, line) in lines.get(at..)?.iter().take(MOST_LINES).enumerate() {
        let mut rest: &str = &line.text;
        if offset == 0 {
            rest = rest.trim_start().strip_prefix('"')?;
        } else {
            text.push('\n');
        }
        loop {
            let Some((part, after)) = rest.split_once('"') else {
                text.push_str(rest);
                break;
            };
            text.push_str(part);
            if let Some(after) = after.strip_prefix('"') {
                text.push('"');
                rest = after;
                continue;
            }
            // The end: other cells may follow, a JSON key's colon may not.
            let after = after.trim();
            let ends = after.is_empty() || after.starts_with([',', ';', '|']);
            return ends.then(|| (text, offset + 1));
        }
    }
    // A cell that is not closed is the rest of a cut text.
    Some((text, lines.len() - at))
}
