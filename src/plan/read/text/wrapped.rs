//! Lines that belong together: literals and identifiers with line breaks in
//! them, and lines that a mail program or a terminal has broken.

use super::{head, property};
use crate::plan::read::lines::{self, Line};

/// At most so many lines are tried as the rest of one.
const MOST_LINES: usize = 5_000;

/// So often a search for the end of a literal may find none.
const MOST_FAILURES: usize = 8;

/// Open parentheses and quotes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Balance {
    depth: i32,
    quote: Option<u8>,
}

impl Balance {
    pub(super) fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            match (self.quote, byte) {
                (Some(open), _) if open == byte => self.quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => self.quote = Some(byte),
                (None, b'(') => self.depth += 1,
                (None, b')') => self.depth -= 1,
                _ => {}
            }
        }
    }

    pub(super) fn of(text: &str) -> Self {
        let mut balance = Self::default();
        balance.feed(text);
        balance
    }

    fn settled(self) -> bool {
        self.depth <= 0 && self.quote.is_none()
    }
}

/// How the lines of a text were broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::plan::read) enum Style {
    /// They were not, or it cannot be told.
    Unknown,
    /// After so many characters, within words.
    Characters,
    /// Between words.
    Words,
}

/// The state of joining over a whole text.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan::read) struct Joiner {
    style: Style,
    /// The longest line that was broken after so many characters.
    width: usize,
    failures: usize,
}

impl Joiner {
    /// Looks at where lines end that go on in the next one.
    pub(in crate::plan::read) fn new(all: &[Line<'_>]) -> Self {
        let mut lengths = all.windows(2).filter_map(|pair| match pair {
            [first, second]
                if !first.is_blank() && opens(&first.text) && !stands_alone(&second.text) =>
            {
                Some(first.text.chars().count())
            }
            _ => None,
        });
        let mut width = 0;
        let style = match lengths.next() {
            None => Style::Unknown,
            Some(first) => {
                let (mut least, mut most, mut count) = (first, first, 1);
                for length in lengths {
                    least = least.min(length);
                    most = most.max(length);
                    count += 1;
                }
                width = most;
                match (count, most - least) {
                    (1, _) => Style::Unknown,
                    // A blank at the end of a line may have been lost.
                    (_, 0..=1) => Style::Characters,
                    _ => Style::Words,
                }
            }
        };
        Self {
            style,
            width,
            failures: 0,
        }
    }

    /// Adds a broken-off rest to a line.
    pub(super) fn join(self, line: &mut String, rest: &str) {
        let blank = line.ends_with(' ') || rest.starts_with(' ');
        let between = match self.style {
            Style::Characters => false,
            Style::Words => true,
            Style::Unknown => {
                line.ends_with([',', ')'])
                    || rest.starts_with(['(', '>', '<', '='])
                    || rest.starts_with("AND ")
                    || rest.starts_with("OR ")
                    || [" on", " using", " AND", " OR", " =", ":"]
                        .iter()
                        .any(|word| line.ends_with(word))
            }
        };
        // A rest that was indented anew was broken between words.
        if blank || between {
            let kept = line.trim_end().len();
            if self.style != Style::Characters {
                line.truncate(kept);
                line.push(' ');
                line.push_str(rest.trim_start());
                return;
            }
        }
        line.push_str(rest);
    }

    /// The node's first line that begins at `at`, and how many lines it takes.
    pub(super) fn node(&mut self, lines: &[Line<'_>], at: usize, costs: bool) -> (String, usize) {
        let Some(first) = lines.get(at) else {
            return (String::new(), 1);
        };
        let mut text = first.text.trim_end().to_owned();
        if head::has_numbers(&text)
            && !lines
                .get(at + 1)
                .is_some_and(|next| next.text.trim_start().starts_with('('))
        {
            return (text, 1);
        }
        // An identifier with a line break in it.
        if Balance::of(&text).quote == Some(b'"')
            && let Some((whole, taken)) = self.literal(lines, at, &first.text)
        {
            return (whole, taken);
        }
        text.clear();
        text.push_str(&first.text);
        let mut taken = 1;
        while taken < 40 {
            let Some(next) = lines.get(at + taken) else {
                break;
            };
            if next.is_blank() || next.frame != first.frame {
                break;
            }
            let known = head::read(arrow(text.trim()).unwrap_or(text.trim()));
            let trimmed = next.text.trim_start();
            let more_numbers = trimmed.starts_with("(actual ")
                || trimmed.starts_with("(never executed")
                || trimmed.starts_with("(cost=");
            let open = Balance::of(&text).depth > 0;
            let unfinished = open || costs && !known.costs && !known.actuals;
            let goes_on = if more_numbers && !known.actuals {
                true
            } else {
                unfinished
                    && !stands_alone(&next.text)
                    && (open || leads_to_numbers(lines, at + taken))
            };
            if !goes_on {
                break;
            }
            if more_numbers && !open {
                text.truncate(text.trim_end().len());
                text.push_str("  ");
                text.push_str(trimmed);
            } else {
                self.join(&mut text, &next.text);
            }
            taken += 1;
        }
        (text, taken)
    }

    /// The property that begins at `at` with `line`, and how many lines it
    /// takes. The last word says that it is unfinished.
    pub(super) fn property(
        &mut self,
        lines: &[Line<'_>],
        at: usize,
        expression: bool,
    ) -> (String, usize, bool) {
        let Some(first) = lines.get(at) else {
            return (String::new(), 1, false);
        };
        let mut text = first.text.to_string();
        let mut balance = Balance::of(&text);
        if !expression || balance.settled() && !self.was_broken(&first.text) {
            return (text, 1, false);
        }
        if balance.quote.is_some()
            && let Some((whole, taken)) = self.literal(lines, at, &text)
        {
            return (whole, taken, false);
        }
        let mut taken = 1;
        let mut last = first;
        while taken < MOST_LINES && (!balance.settled() || self.was_broken(&last.text)) {
            let Some(next) = lines.get(at + taken) else {
                break;
            };
            if next.is_blank() || next.frame != first.frame || stands_alone(&next.text) {
                break;
            }
            last = next;
            let known = text.len();
            self.join(&mut text, &next.text);
            match text.get(known..) {
                Some(added) => balance.feed(added),
                // Blanks at the end were dropped.
                None => balance = Balance::of(&text),
            }
            taken += 1;
        }
        (text, taken, !balance.settled())
    }

    /// Whether a line with nothing open goes on in the next one: a list does
    /// behind a comma, a setting behind its `=`, and any line that is as long as lines can be here.
    fn was_broken(self, line: &str) -> bool {
        let kept = line.trim_end();
        kept.ends_with(',')
            || kept.ends_with(" =")
            || self.style == Style::Characters && line.chars().count() >= self.width
    }

    /// A line with an open quote, up to the line that ends with all quotes and
    /// parentheses closed, whatever the lines between look like.
    fn literal(&mut self, lines: &[Line<'_>], at: usize, first: &str) -> Option<(String, usize)> {
        if self.failures >= MOST_FAILURES {
            return None;
        }
        let frame = lines.get(at)?.frame;
        let mut balance = Balance::of(first);
        let mut text = first.to_owned();
        for (offset, next) in lines.get(at + 1..)?.iter().take(MOST_LINES).enumerate() {
            if next.frame != frame {
                break;
            }
            if balance.quote.is_some() && self.style != Style::Characters {
                text.push('\n');
                text.push_str(&next.text);
            } else if balance.quote.is_none() && stands_alone(&next.text) {
                break;
            } else {
                self.join(&mut text, &next.text);
            }
            balance.feed(&next.text);
            if balance.settled() {
                // A node's line goes on to its numbers.
                return Some((text, offset + 2));
            }
        }
        self.failures += 1;
        None
    }
}

/// Without the arrow before a child.
pub(super) fn arrow(trimmed: &str) -> Option<&str> {
    let rest = trimmed.strip_prefix("->")?;
    Some(rest.trim_start())
}

/// Whether the rest of a node's line stands there: it is not an own line, and
/// soon there are the numbers.
fn leads_to_numbers(lines: &[Line<'_>], at: usize) -> bool {
    lines
        .iter()
        .skip(at)
        .take(10)
        .take_while(|line| !line.is_blank())
        .enumerate()
        .take_while(|(index, line)| *index == 0 || !stands_alone(&line.text))
        .any(|(_, line)| line.text.contains("cost=") || line.text.contains("rows="))
}

/// Whether a line could be broken off: a node or a property with more to come.
fn opens(line: &str) -> bool {
    let trimmed = line.trim_start();
    let of_plan = trimmed.starts_with("->")
        || trimmed.contains("  (cost=")
        || trimmed.contains("  (actual ")
        || property::split(trimmed).is_some();
    of_plan && {
        let balance = Balance::of(line);
        balance.quote.is_none() && balance.depth > 0
            || trimmed.starts_with("->") && !head::has_numbers(line)
    }
}

/// Whether a line is something by itself rather than the rest of another.
pub(super) fn stands_alone(line: &str) -> bool {
    let trimmed = line.trim();
    trimmed.is_empty()
        || trimmed.starts_with("->")
        || is_label(trimmed)
        || property::split(trimmed).is_some_and(|(key, _)| is_likely_key(key))
        || begins_a_node(trimmed)
        || is_end(trimmed)
}

/// A key as EXPLAIN prints them: no word of a condition is one.
fn is_likely_key(key: &str) -> bool {
    key.starts_with(|first: char| first.is_ascii_uppercase()) && !key.ends_with(' ')
}

/// Whether it is a node's line with its numbers, from its beginning.
pub(super) fn begins_a_node(trimmed: &str) -> bool {
    trimmed.starts_with(|first: char| first.is_ascii_uppercase()) && head::has_numbers(trimmed)
}

/// `InitPlan 1 (returns $0)`, `SubPlan 2`, `CTE x`.
pub(super) fn is_label(trimmed: &str) -> bool {
    ["InitPlan ", "SubPlan ", "CTE "]
        .iter()
        .any(|word| trimmed.starts_with(word))
        && !trimmed.starts_with("CTE Scan")
        // Servers before 9.0 gave them no numbers.
        || matches!(trimmed, "InitPlan" | "SubPlan")
}

/// What psql and its kind print behind a result: `(5 rows)` in any language,
/// `Time: 3 ms`, and what ends a quotation.
pub(in crate::plan::read) fn is_end(trimmed: &str) -> bool {
    if let Some(inside) = trimmed
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
    {
        let words = inside.trim_start_matches(|digit: char| digit.is_ascii_digit());
        return words.len() < inside.len()
            && words.len() <= 40
            && words
                .chars()
                .all(|letter| letter.is_alphabetic() || letter == ' ');
    }
    is_timing(trimmed) || trimmed.starts_with("```") || trimmed == "QUERY PLAN"
}

/// psql's `\timing` in any language: a word, a colon, a number and `ms`.
fn is_timing(trimmed: &str) -> bool {
    let Some((word, rest)) = trimmed.split_once(':') else {
        return false;
    };
    let rest = rest.trim();
    let Some((number, unit)) = rest.split_once(' ') else {
        return false;
    };
    matches!(
        word.trim(),
        "Time"
            | "Zeit"
            | "Temps"
            | "Durée"
            | "Duración"
            | "Tiempo"
            | "Tempo"
            | "Время"
            | "时间"
            | "時間"
            | "시간"
            | "Tid"
            | "Czas"
            | "Zaman"
    ) && number
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b':'))
        && (unit == "ms"
            || unit.starts_with("ms ")
            || unit.starts_with("мс")
            || unit.starts_with("мсек"))
}

/// The column of a line's text.
pub(super) fn column(line: &Line<'_>) -> usize {
    lines::indent(&line.text)
}
