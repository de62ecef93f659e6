//! Where the characters of a query stand in the file that it was taken from,
//! which writes them with quotes doubled or escapes.

use crate::source::Anchor;

/// The place of a byte of a text that begins at this line and column.
fn place(text: &str, from: (usize, usize)) -> (usize, usize) {
    match text.rsplit_once('\n') {
        Some((above, rest)) => (
            from.0 + above.matches('\n').count() + 1,
            1 + rest.chars().count(),
        ),
        None => (from.0, from.1 + text.chars().count()),
    }
}

fn anchor(at: usize, place: (usize, usize)) -> Anchor {
    Anchor {
        at,
        line: place.0,
        column: place.1,
    }
}

/// The anchors of a field of a record of CSV. `from` is the byte where the
/// record begins, and `line` its line from 1.
pub(super) fn of_csv(
    text: &str,
    from: usize,
    line: usize,
    delimiter: u8,
    field: usize,
) -> Vec<Anchor> {
    let rest = text.get(from..).unwrap_or("");
    let begin = rest.trim_start_matches(['\r', '\n', '\u{feff}']);
    let mut here = place(
        rest.get(..rest.len() - begin.len())
            .unwrap_or("")
            .trim_start_matches('\u{feff}'),
        (line, 1),
    );
    let mut rest = begin;
    for number in 0..=field {
        let quoted = rest.starts_with('"');
        if number == field {
            return if quoted {
                of_quoted(rest.get(1..).unwrap_or(""), (here.0, here.1 + 1))
            } else {
                vec![anchor(0, here)]
            };
        }
        let end = field_end(rest, delimiter);
        here = place(rest.get(..end).unwrap_or(""), here);
        rest = rest.get(end..).unwrap_or("");
    }
    Vec::new()
}

/// One past the delimiter behind a field.
fn field_end(rest: &str, delimiter: u8) -> usize {
    let mut within = false;
    for (at, byte) in rest.bytes().enumerate() {
        if byte == b'"' {
            within = !within;
        } else if byte == delimiter && !within {
            return at + 1;
        }
    }
    rest.len()
}

/// The anchors of what stands behind an opening quote.
fn of_quoted(rest: &str, start: (usize, usize)) -> Vec<Anchor> {
    let mut anchors = vec![anchor(0, start)];
    let (mut here, mut read, mut doubled) = (start, 0, 0);
    while let Some(found) = rest.get(read..).and_then(|rest| rest.find('"')) {
        let quote = read + found;
        if rest.as_bytes().get(quote + 1) != Some(&b'"') {
            break;
        }
        here = place(rest.get(read..quote + 2).unwrap_or(""), here);
        read = quote + 2;
        doubled += 1;
        anchors.push(anchor(read - doubled, here));
    }
    anchors
}

/// The anchors of a string of JSON, or of one with the same escapes, from
/// behind its opening quote; `from` is the place of its first character.
pub(super) fn of_escaped(rest: &str, close: char, from: (usize, usize)) -> Vec<Anchor> {
    let mut anchors = vec![anchor(0, from)];
    let (mut out, mut column) = (0, from.1);
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        if character == close {
            break;
        }
        column += 1;
        if character != '\\' {
            out += character.len_utf8();
            continue;
        }
        column += 1;
        match characters.next() {
            Some('u') => {
                let digits: String = characters.by_ref().take(4).collect();
                column += 4;
                let code = u32::from_str_radix(&digits, 16).unwrap_or(0);
                out += match code {
                    0..0x80 => 1,
                    0x80..0x800 => 2,
                    // Two halves of a character of four bytes.
                    0xd800..0xe000 => 2,
                    _ => 3,
                };
            }
            Some(other) => out += other.len_utf8(),
            None => break,
        }
        anchors.push(anchor(out, (from.0, column)));
    }
    anchors
}

/// The anchors of a part of an anchored text, from that byte of it on.
pub(super) fn behind(anchors: &[Anchor], text: &str, start: usize) -> Vec<Anchor> {
    if start == 0 || anchors.is_empty() {
        return anchors.to_vec();
    }
    let first = anchors.partition_point(|anchor| anchor.at <= start);
    let mut moved = Vec::with_capacity(anchors.len() - first + 1);
    if let Some(before) = first.checked_sub(1).and_then(|at| anchors.get(at)) {
        let here = place(
            text.get(before.at..start).unwrap_or(""),
            (before.line, before.column),
        );
        moved.push(anchor(0, here));
    }
    moved.extend(
        anchors
            .iter()
            .skip(first)
            .map(|one| anchor(one.at - start, (one.line, one.column))),
    );
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Text;

    fn place_of(text: &str, anchors: Vec<Anchor>, what: &str) -> (usize, usize) {
        let at = text.find(what).expect("it is there");
        let place = Text::new("f", text).anchored(anchors).line_column(at);
        (place.line, place.column)
    }

    #[test]
    fn fields_of_csv_are_found_behind_lines_and_doubled_quotes() {
        let file = "a,query,c\n\"x\ny\",\"SELECT \"\"é\"\"\nFROM \"\"t\"\" WHERE b\",3\n";
        let anchors = of_csv(file, 10, 2, b',', 1);
        let query = "SELECT \"é\"\nFROM \"t\" WHERE b";
        // In the file: `y","SELECT ""é""` and `FROM ""t"" WHERE b",3`.
        assert_eq!(place_of(query, anchors.clone(), "SELECT"), (3, 5));
        assert_eq!(place_of(query, anchors.clone(), "é"), (3, 14));
        assert_eq!(place_of(query, anchors.clone(), "FROM"), (4, 1));
        assert_eq!(place_of(query, anchors, "WHERE"), (4, 12));
        let bare = of_csv("\u{feff}SELECT 1,2\n", 0, 1, b',', 0);
        assert_eq!(place_of("SELECT 1", bare, "1"), (1, 8));
    }

    #[test]
    fn escapes_of_json_are_wider_than_what_they_stand_for() {
        let raw = "SELECT \\\"a\\\"\\nFROM \\u00e9 t\", 1";
        let text = "SELECT \"a\"\nFROM é t";
        let anchors = of_escaped(raw, '"', (7, 10));
        assert_eq!(place_of(text, anchors.clone(), "SELECT"), (7, 10));
        assert_eq!(place_of(text, anchors.clone(), "FROM"), (7, 10 + 14));
        assert_eq!(place_of(text, anchors.clone(), " t"), (7, 10 + 25));
        let part = behind(&anchors, text, text.find("FROM").expect("there"));
        assert_eq!(place_of("FROM é t", part, " t"), (7, 35));
    }
}
