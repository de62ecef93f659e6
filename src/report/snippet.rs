//! The lines of SQL that a finding is about, with carets under the place, by
//! annotate-snippets. It gets text and places; it reads nothing.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::model::Place;
use super::prose;

/// A place of more lines than this is marked at its first line only.
const MAX_LINES: usize = 6;

/// The lines of `place` within a statement's text that begins at `start`, each
/// ended by a newline; empty when the place is not in it.
pub(crate) fn snippet(
    sql: &str,
    start: &Place,
    place: &Place,
    color: bool,
    width: usize,
) -> String {
    if place.file != start.file || place.line < start.line {
        return String::new();
    }
    let long = place.end_line.saturating_sub(place.line) >= MAX_LINES;
    let last_line = if long { place.line } else { place.end_line };

    // The statement may begin in the middle of a line: blanks stand for what
    // is before it, so that columns are those of the file.
    let mut source = String::new();
    let mut from = 0;
    let mut to = 0;
    for (at, line) in sql
        .split('\n')
        .enumerate()
        .skip(place.line - start.line)
        .take(last_line.saturating_sub(place.line) + 1)
    {
        let number = start.line + at;
        if number > place.line {
            source.push('\n');
        }
        let base = source.len();
        if at == 0 {
            source.push_str(&" ".repeat(start.column.saturating_sub(1)));
        }
        source.push_str(&prose::visible(line.strip_suffix('\r').unwrap_or(line)));
        let offset = |column: usize| {
            source.get(base..).map_or(base, |line| {
                base + line
                    .char_indices()
                    .nth(column.saturating_sub(1))
                    .map_or(line.len(), |(byte, _)| byte)
            })
        };
        if number == place.line {
            from = offset(place.column);
            to = source.len();
        }
        if number == place.end_line {
            to = offset(place.end_column);
        }
    }
    if from > to || source.is_empty() {
        return String::new();
    }

    let group = Group::with_level(Level::WARNING).element(
        Snippet::source(source)
            .line_start(place.line)
            .annotation(AnnotationKind::Primary.span(from..to)),
    );
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = renderer.term_width(width).render(&[group]);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize, end_line: usize, end_column: usize) -> Place {
        Place {
            file: "q.sql".to_owned(),
            line,
            column,
            end_line,
            end_column,
        }
    }

    /// What stands above the carets.
    fn marked(shown: &str) -> String {
        let lines: Vec<&str> = shown.lines().collect();
        let carets = lines
            .iter()
            .position(|line| line.contains('^'))
            .unwrap_or_else(|| panic!("no carets in:\n{shown}"));
        let mark: Vec<char> = lines[carets].chars().collect();
        lines[carets - 1]
            .chars()
            .enumerate()
            .filter(|(at, _)| mark.get(*at) == Some(&'^'))
            .map(|(_, c)| c)
            .collect()
    }

    #[test]
    fn carets_stand_under_the_place_in_the_middle_of_a_line() {
        let sql = "select *\n  from t\n where lower(é) = 'x'";
        let start = place(10, 12, 12, 22);
        let shown = snippet(sql, &start, &place(12, 8, 12, 16), false, 80);
        assert_eq!(marked(&shown), "lower(é)");
        assert!(shown.contains("12 |"), "the file's line number:\n{shown}");
    }

    #[test]
    fn a_place_on_the_first_line_counts_what_is_before_the_statement() {
        let start = place(1, 12, 1, 20);
        let shown = snippet("select a", &start, &place(1, 19, 1, 20), false, 80);
        assert_eq!(marked(&shown), "a");
    }

    #[test]
    fn a_place_of_many_lines_is_marked_at_its_first() {
        let sql = "select\n1,\n2,\n3,\n4,\n5,\n6,\n7";
        let start = place(1, 1, 8, 2);
        let shown = snippet(sql, &start, &start.clone(), false, 80);
        assert_eq!(marked(&shown), "select");
        assert!(!shown.contains('7'), "{shown}");
    }

    #[test]
    fn a_place_elsewhere_shows_nothing() {
        let start = place(5, 1, 5, 9);
        assert_eq!(
            snippet("select a", &start, &place(2, 1, 2, 3), false, 80),
            ""
        );
        let mut other = place(5, 1, 5, 2);
        other.file = "other.sql".to_owned();
        assert_eq!(snippet("select a", &start, &other, false, 80), "");
    }
}
