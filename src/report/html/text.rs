//! Text into a page: nothing in it is read as markup, and characters that one
//! does not see, or that turn the direction of writing, are shown as what they
//! are. Names, literals and file names come from anywhere.

use std::fmt::{self, Write};

use askama::filters::Escaper;

/// The escaper of every template: for text and for quoted attributes alike.
#[derive(Debug, Clone, Copy)]
pub struct Visible;

/// Characters that a template shows of one text: names and literals can be of
/// any length, and what must be whole is not written by the escaper.
const MOST: usize = 4_000;

impl Escaper for Visible {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> fmt::Result {
        let (kept, lost) = shorten(string, MOST);
        write_escaped(&mut dest, kept)?;
        if lost > 0 {
            write!(dest, "… {lost} more characters")?;
        }
        Ok(())
    }
}

fn write_escaped(dest: &mut impl Write, string: &str) -> fmt::Result {
    let mut rest = string;
    while let Some((at, odd)) = rest.char_indices().find(|(_, c)| !is_plain(*c)) {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, ""));
        dest.write_str(before)?;
        rest = after.get(odd.len_utf8()..).unwrap_or_default();
        // Line ends of Windows are line ends.
        if odd != '\r' || !rest.starts_with('\n') {
            write_odd(dest, odd)?;
        }
    }
    dest.write_str(rest)
}

/// Characters that stand for themselves in text and in quoted attributes.
fn is_plain(c: char) -> bool {
    match c {
        '&' | '<' | '>' | '"' | '\'' | '`' => false,
        '\n' | '\t' | ' '..='\u{7e}' => true,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => false,
        c => !is_invisible(c),
    }
}

/// Characters that take no place, or change that of others: marks of
/// direction, joiners of nothing, line ends that are none in SQL, tags,
/// private use.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{10ffff}')
}

fn write_odd(dest: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '&' => dest.write_str("&amp;"),
        '<' => dest.write_str("&lt;"),
        '>' => dest.write_str("&gt;"),
        '"' => dest.write_str("&#34;"),
        '\'' => dest.write_str("&#39;"),
        '`' => dest.write_str("&#96;"),
        '\u{0}'..='\u{1f}' => dest.write_char(
            char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER),
        ),
        '\u{7f}' => dest.write_char('\u{2421}'),
        c => write!(dest, "\u{27e8}U+{:04X}\u{27e9}", u32::from(c)),
    }
}

/// The text escaped.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16);
    push(&mut escaped, text);
    escaped
}

/// Adds the text, escaped.
pub fn push(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    _ = write_escaped(out, text);
}

/// The text of a `<textarea>`, to be given back as it came: whole, and with
/// every character as itself. Browsers leave out the first line end.
pub fn verbatim(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 16 + 1);
    escaped.push('\n');
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// As much of the text as a page can bear, and how many characters it lost.
/// Literals of many megabytes are not what a reader came for.
pub fn shorten(text: &str, most: usize) -> (&str, usize) {
    // Most texts are short in bytes already, which is at least as many.
    if text.len() <= most {
        return (text, 0);
    }
    match text.char_indices().nth(most) {
        Some((at, _)) => {
            let (kept, lost) = text.split_at_checked(at).unwrap_or((text, ""));
            (kept, lost.chars().count())
        }
        None => (text, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text_in_elements_and_in_attributes() {
        assert_eq!(
            escape("</script><a onx='1' y=\"`2`\">&amp;"),
            "&lt;/script&gt;&lt;a onx=&#39;1&#39; y=&#34;&#96;2&#96;&#34;&gt;&amp;amp;"
        );
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(
            escape("a\u{0}b\u{1b}[31m\u{202e}evil\u{2066}\u{feff}\u{9b}\u{e0041}"),
            "a␀b␛[31m⟨U+202E⟩evil⟨U+2066⟩⟨U+FEFF⟩⟨U+009B⟩⟨U+E0041⟩"
        );
        assert_eq!(escape("a\r\nb\rc"), "a\nb␍c");
        assert_eq!(escape("tab\tline\nпривет 表 👩‍💻"), "tab\tline\nпривет 表 👩‍💻");
    }

    #[test]
    fn what_is_edited_is_given_back_as_it_came() {
        let long = "x".repeat(2 * MOST);
        assert_eq!(verbatim(&long), format!("\n{long}"));
        assert_eq!(
            verbatim("\n\tSeq Scan\r\n\u{200b}\u{feff}</textarea>&lt; \"'`"),
            "\n\n\tSeq Scan\r\n\u{200b}\u{feff}&lt;/textarea&gt;&amp;lt; \"'`"
        );
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shorten("表表表", 2), ("表表", 1));
        assert_eq!(shorten("表表表", 3), ("表表表", 0));
        assert_eq!(shorten("abc", 10), ("abc", 0));
    }
}
