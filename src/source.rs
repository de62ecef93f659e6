//! Texts that the user gave, and places in them.
//!
//! Nothing here reads files: a text arrives with its name, and every place is
//! a byte range of it, turned into a line and a column only when it is shown.

use std::fmt;
use std::ops::Range;

/// Which text a [`Span`] belongs to: its number in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SourceId(pub u32);

/// A range of bytes in one text, on character boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The text.
    pub source: SourceId,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// A span from a range of bytes.
    pub fn new(source: SourceId, range: Range<usize>) -> Self {
        Self {
            source,
            start: range.start,
            end: range.end,
        }
    }

    /// The bytes as a range.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether `other` lies within this span.
    pub fn contains(self, other: Self) -> bool {
        self.source == other.source && self.start <= other.start && other.end <= self.end
    }
}

/// A place for people: both numbers start at 1, the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One text with its name.
#[derive(Debug, Clone)]
pub struct Text {
    name: String,
    content: String,
    line_starts: Vec<usize>,
    lines_above: usize,
    anchors: Vec<Anchor>,
}

/// Where a byte of a text stands in the larger one that it was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// The byte, from 0.
    pub at: usize,
    /// Its line there, from 1.
    pub line: usize,
    /// Its column there in characters, from 1.
    pub column: usize,
}

impl Text {
    /// A text; `name` is shown in messages (a path as the user gave it, or
    /// `<stdin>`).
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            name: name.into(),
            content: text,
            line_starts,
            lines_above: 0,
            anchors: Vec::new(),
        }
    }

    /// The same for a piece of a larger text that is not kept: so many of its
    /// lines stand above the piece.
    #[must_use]
    pub fn below(mut self, lines: usize) -> Self {
        self.lines_above = lines;
        self
    }

    /// The same for a piece that is written otherwise in the larger text, with
    /// escapes or quotes: from each anchor on, up to the next, bytes follow
    /// one another here as they do there. Anchors are in the order of their
    /// bytes.
    #[must_use]
    pub fn anchored(mut self, anchors: Vec<Anchor>) -> Self {
        self.anchors = anchors;
        self
    }

    /// The name that messages show.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.content
    }

    /// Line and column of a byte offset; an offset past the end gives the end.
    pub fn line_column(&self, offset: usize) -> LineColumn {
        let offset = offset.min(self.content.len());
        let before = self.anchors.partition_point(|anchor| anchor.at <= offset);
        if let Some(anchor) = before.checked_sub(1).and_then(|at| self.anchors.get(at)) {
            let passed = self.content.get(anchor.at..offset).unwrap_or("");
            let (lines, column, rest) = match passed.rsplit_once('\n') {
                Some((above, rest)) => (above.matches('\n').count() + 1, 1, rest),
                None => (0, anchor.column, passed),
            };
            return LineColumn {
                line: anchor.line + lines,
                column: column + rest.chars().count(),
            };
        }
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self
            .line_starts
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or(0);
        let column = self
            .content
            .get(start..offset)
            .map_or(0, |part| part.chars().count());
        LineColumn {
            line: line + self.lines_above,
            column: column + 1,
        }
    }
}

/// All texts of one run.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    texts: Vec<Text>,
}

impl Sources {
    /// Adds a text and says under which number it can be found.
    pub fn add(&mut self, text: Text) -> SourceId {
        let id = SourceId(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text);
        id
    }

    /// The text of that number.
    pub fn get(&self, id: SourceId) -> Option<&Text> {
        self.texts.get(id.0 as usize)
    }

    /// The characters of a span; empty when the span is not of these texts.
    pub fn slice(&self, span: Span) -> &str {
        self.get(span.source)
            .and_then(|text| text.text().get(span.range()))
            .unwrap_or("")
    }

    /// `name:line:column` of where a span starts.
    pub fn place(&self, span: Span) -> String {
        self.get(span.source).map_or_else(String::new, |text| {
            let at = text.line_column(span.start);
            format!("{}:{}:{}", text.name(), at.line, at.column)
        })
    }
}

/// Trouble in what the user gave: told, and the rest goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, if it has a place in a text.
    pub at: Option<Span>,
    /// What is wrong; no capital at the start, no full stop at the end.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with a place.
    pub fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            at: Some(span),
            message: message.into(),
            hint: None,
        }
    }

    /// A problem without a place.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            at: None,
            message: message.into(),
            hint: None,
        }
    }

    /// The same problem with what to do next.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_start_at_one() {
        let text = Text::new("a.sql", "é = 1\nselect x");
        assert_eq!(text.line_column(0), LineColumn { line: 1, column: 1 });
        assert_eq!(text.line_column(2), LineColumn { line: 1, column: 2 });
        assert_eq!(text.line_column(7), LineColumn { line: 2, column: 1 });
        assert_eq!(text.line_column(999), LineColumn { line: 2, column: 9 });
    }

    #[test]
    fn a_place_names_the_text() {
        let mut sources = Sources::default();
        let id = sources.add(Text::new("q.sql", "select 1;\n select 2"));
        let span = Span::new(id, 11..19);
        assert_eq!(sources.place(span), "q.sql:2:2");
        assert_eq!(sources.slice(span), "select 2");
    }
}
