//! The line of a finding with its telling part underlined.

use unicode_width::UnicodeWidthChar as _;

use crate::report::model::check::CheckFinding;
use crate::report::prose;

/// Columns up to which a whole statement is underlined; of longer ones the
/// keywords are, as a line of carets under everything tells nothing.
const WHOLE: usize = 60;
/// Words between two keywords of a statement: UNIQUE in CREATE UNIQUE INDEX.
const BETWEEN: usize = 3;

/// A line that fits, and where the underline stands in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snippet {
    pub(super) line: String,
    pub(super) before: usize,
    pub(super) carets: usize,
}

/// The line of the finding in at most `room` columns; `None` where there is
/// nothing to see.
pub(super) fn snippet(finding: &CheckFinding<'_>, room: usize) -> Option<Snippet> {
    if finding.source.trim().is_empty() {
        return None;
    }
    let line: Vec<char> = prose::visible(finding.source)
        .replace('\t', " ")
        .trim_end()
        .chars()
        .collect();
    let place = &finding.place;
    let from = place.column.saturating_sub(1).min(line.len());
    let to = if place.end_line == place.line {
        place.end_column.saturating_sub(1).clamp(from, line.len())
    } else {
        line.len()
    };
    let to = finding
        .statement
        .filter(|_| width(line.get(from..to).unwrap_or_default()) > WHOLE)
        .and_then(|keywords| end_of_keywords(&line, from, to, keywords))
        .unwrap_or(to);
    Some(fit(&line, from, to, room))
}

/// The end of the statement's keywords, where the place begins with them.
fn end_of_keywords(line: &[char], from: usize, to: usize, keywords: &str) -> Option<usize> {
    let mut wanted = keywords.split_whitespace().peekable();
    let mut found = None;
    let mut between = 0;
    let mut at = from;
    while at < to && wanted.peek().is_some() {
        let word: String = line
            .get(at..to)?
            .iter()
            .take_while(|c| !c.is_whitespace())
            .collect();
        let end = at + word.chars().count();
        if wanted
            .peek()
            .is_some_and(|keyword| keyword.eq_ignore_ascii_case(&word))
        {
            wanted.next();
            found = Some(end);
        } else if found.is_none() || between == BETWEEN {
            return found;
        } else {
            between += 1;
        }
        at = end
            + line
                .get(end..to)?
                .iter()
                .take_while(|c| c.is_whitespace())
                .count();
    }
    found
}

/// The part of the line that shows the place, with an ellipsis on each side
/// where something is left out.
fn fit(line: &[char], from: usize, to: usize, room: usize) -> Snippet {
    let room = room.max(20);
    let marked = width(line.get(from..to).unwrap_or_default()).max(1);
    let before = width(line.get(..from).unwrap_or_default());
    let mut start = 0;
    if width(line) > room && before + marked.min(room / 2) > room {
        // Some columns in front of the place are left, to see where it stands.
        let mut left = room / 4;
        start = from;
        for c in line.get(..from).unwrap_or_default().iter().rev() {
            let w = c.width().unwrap_or(0);
            if w > left {
                break;
            }
            left -= w;
            start -= 1;
        }
    }
    let mut text = String::new();
    let mut used = 0;
    if start > 0 {
        text.push('…');
        used = 1;
    }
    let front = used + width(line.get(start..from).unwrap_or_default());
    let rest = line.get(start..).unwrap_or_default();
    let room_left = room - used;
    let fits = width(rest) <= room_left;
    let mut taken = 0;
    for c in rest {
        let w = c.width().unwrap_or(0);
        if taken + w > if fits { room_left } else { room_left - 1 } {
            break;
        }
        text.push(*c);
        taken += w;
    }
    if !fits {
        text.push('…');
    }
    let whole = prose::width(&text);
    Snippet {
        line: text,
        before: front,
        carets: marked.min(whole.saturating_sub(front)).max(1),
    }
}

fn width(chars: &[char]) -> usize {
    chars.iter().map(|c| c.width().unwrap_or(0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn what_is_cut_is_told() {
        let line = chars("ALTER TABLE orders ADD CONSTRAINT a CHECK (total > 0), ADD b int");
        let all = fit(&line, 0, 5, 80);
        assert!(!all.line.contains('…'));
        assert_eq!((all.before, all.carets), (0, 5));
        let end = fit(&line, 19, line.len(), 40);
        assert_eq!(end.line, "ALTER TABLE orders ADD CONSTRAINT a CHE…");
        assert_eq!((end.before, end.carets), (19, 21));
        let late = fit(&line, 55, line.len(), 30);
        assert_eq!(late.line, "… > 0), ADD b int");
        assert_eq!((late.before, late.carets), (8, 9));
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let line = chars("DROP TABLE \"注文\", \"a\"");
        let shown = fit(&line, 17, 20, 40);
        assert_eq!((shown.before, shown.carets), (19, 3));
    }

    #[test]
    fn of_long_statements_the_keywords_are_underlined() {
        let line = chars("CREATE UNIQUE INDEX a_very_long_name ON orders (customer_id)");
        assert_eq!(
            end_of_keywords(&line, 0, line.len(), "CREATE INDEX"),
            Some(19)
        );
        assert_eq!(
            end_of_keywords(&line, 20, line.len(), "CREATE INDEX"),
            None,
            "a part of a statement does not begin with them"
        );
        let line = chars("alter table t add b int");
        assert_eq!(
            end_of_keywords(&line, 0, line.len(), "ALTER TABLE"),
            Some(11)
        );
    }
}
