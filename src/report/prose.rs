//! Words on a terminal: wrapping by the width that characters have there,
//! making control characters visible, and the colours. It knows nothing of
//! reports.

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The styles in use; all plain when there shall be no colours.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Palette {
    pub(crate) heading: Style,
    pub(crate) dim: Style,
    pub(crate) critical: Style,
    pub(crate) warning: Style,
    pub(crate) note: Style,
    pub(crate) good: Style,
    pub(crate) code: Style,
}

impl Palette {
    /// With or without colours.
    pub(crate) fn new(color: bool) -> Self {
        if !color {
            return Self::default();
        }
        let of = |color: AnsiColor| Style::new().fg_color(Some(color.into()));
        Self {
            heading: Style::new().bold(),
            dim: Style::new().dimmed(),
            critical: of(AnsiColor::Red).bold(),
            warning: of(AnsiColor::Yellow).bold(),
            note: of(AnsiColor::Blue).bold(),
            good: of(AnsiColor::Green).bold(),
            code: of(AnsiColor::Cyan),
        }
    }
}

/// The text in that style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    if style == Style::new() || text.is_empty() {
        text.to_owned()
    } else {
        format!("{style}{text}{style:#}")
    }
}

/// Columns that the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text without characters that would steer the terminal or turn the
/// direction of writing: names and SQL come from anywhere. Line ends and tabs
/// stay; every other such character becomes one visible character.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            '\u{0}'..='\u{1f}' => {
                char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
            _ => c,
        })
        .collect()
}

/// The text on one line, blanks drawn together, cut to `limit` columns.
pub(crate) fn one_line(text: &str, limit: usize) -> String {
    let mut line = String::new();
    let mut used = 0;
    // Only as much is looked at as can be shown: statements may be large.
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            used += 1;
        }
        let word = visible(word);
        used += width(&word);
        line.push_str(&word);
        if used > limit {
            return cut(&line, limit);
        }
    }
    line
}

/// The text cut to `limit` columns, with an ellipsis when something is lost.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let w = c.width().unwrap_or(0);
        if used + w + 1 > limit {
            break;
        }
        kept.push(c);
        used += w;
    }
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

/// The text in lines of at most `limit` columns, broken at blanks, and within
/// a word only where it does not fit a line alone. Line ends in the text stay.
pub(crate) fn wrap(text: &str, limit: usize) -> Vec<String> {
    let limit = limit.max(8);
    let mut lines = Vec::new();
    for paragraph in visible(text).replace('\t', " ").split('\n') {
        let mut line = String::new();
        let mut used = 0;
        for word in paragraph.split_whitespace() {
            let w = width(word);
            if used > 0 && used + 1 + w > limit {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            if used > 0 {
                line.push(' ');
                used += 1;
            }
            if w <= limit {
                line.push_str(word);
                used += w;
                continue;
            }
            for c in word.chars() {
                let w = c.width().unwrap_or(0);
                if used + w > limit {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(c);
                used += w;
            }
        }
        lines.push(line);
    }
    while lines.len() > 1 && lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// The text padded with blanks on the left.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text padded with blanks on the right.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_within_the_width_even_of_wide_characters() {
        let text = "表表表表表表表表 a long word: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa and the end";
        let lines = wrap(text, 12);
        assert!(lines.iter().all(|line| width(line) <= 12), "{lines:?}");
        let joined: String = lines.concat().split_whitespace().collect();
        let whole: String = text.split_whitespace().collect();
        assert_eq!(joined, whole);
    }

    #[test]
    fn escape_sequences_cannot_reach_the_terminal() {
        let shown = visible("a\u{1b}[31mred\u{202e}\u{9b}b\tc\n");
        assert_eq!(shown, "a␛[31mred\u{fffd}\u{fffd}b\tc\n");
    }

    #[test]
    fn a_cut_line_says_that_it_was_cut() {
        assert_eq!(one_line("select  *\n from t", 40), "select * from t");
        assert_eq!(one_line("select  *\n from t", 10), "select *…");
        assert_eq!(cut("表表表", 4), "表…");
    }
}
