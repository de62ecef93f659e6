//! The lines of a pasted text, each with where it stood.

use std::borrow::Cow;

/// One line, without what the paste put around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Where it stood in the text, from 1.
    pub(super) number: usize,
    /// Its text.
    pub(super) text: Cow<'a, str>,
    /// The frame that it was taken out of, from 1; 0 when it stood free.
    pub(super) frame: u32,
}

impl<'a> Line<'a> {
    pub(super) fn new(number: usize, text: Cow<'a, str>) -> Self {
        Self {
            number,
            text,
            frame: 0,
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.text.trim().is_empty()
    }
}

/// The lines of a text, with blanks of any kind as plain ones: byte order
/// marks, carriage returns, no-break spaces and tabs confuse columns.
pub(super) fn of(text: &str) -> Vec<Line<'_>> {
    text.split('\n')
        .enumerate()
        .map(|(index, line)| {
            let line = line.strip_suffix('\r').unwrap_or(line);
            Line::new(index + 1, plain_blanks(line))
        })
        .collect()
}

fn plain_blanks(line: &str) -> Cow<'_, str> {
    let special = |character: char| {
        matches!(
            character,
            '\t' | '\r' | '\u{a0}' | '\u{2007}' | '\u{202f}' | '\u{feff}' | '\u{200b}' | '\0'
        )
    };
    if !line.contains(special) {
        return Cow::Borrowed(line);
    }
    let mut plain = String::with_capacity(line.len() + 8);
    let mut leading = true;
    for character in line.chars() {
        match character {
            '\u{feff}' | '\u{200b}' | '\0' | '\r' => {}
            '\u{a0}' | '\u{2007}' | '\u{202f}' => plain.push(' '),
            // A tab counts for eight blanks wherever it stands: after blanks it
            // is what is left of more of them. Within a line (a literal) it is
            // kept.
            '\t' if leading => plain.push_str("        "),
            other => {
                leading = leading && other == ' ';
                plain.push(other);
            }
        }
        leading = leading && matches!(character, ' ' | '\t' | '\u{a0}' | '\u{feff}');
    }
    Cow::Owned(plain)
}

/// The column at which a line's text begins.
pub(super) fn indent(text: &str) -> usize {
    text.bytes().take_while(|byte| *byte == b' ').count()
}
