//! Stand-ins for constants: of the same type, the same one for the same
//! constant everywhere.

use std::collections::HashMap;

/// The constants seen so far.
#[derive(Debug, Default)]
pub(super) struct Literals {
    texts: HashMap<String, String>,
    numbers: HashMap<String, String>,
    next: usize,
    next_number: usize,
}

impl Literals {
    /// The constants that were replaced.
    pub(super) fn originals(&self) -> impl Iterator<Item = &str> {
        self.texts
            .iter()
            .filter(|(original, stand_in)| original != stand_in)
            .map(|(original, _)| original.as_str())
    }

    /// A number. 0 and 1 stand for themselves: they tell nothing, and mean
    /// much to functions.
    pub(super) fn number(&mut self, text: &str) -> String {
        if matches!(text, "0" | "1") {
            return text.to_owned();
        }
        if let Some(known) = self.numbers.get(text) {
            return known.clone();
        }
        self.next_number += 1;
        let number = self.next_number + 1;
        let stand_in = if text.contains(['.', 'e', 'E']) {
            format!("{number}.5")
        } else {
            number.to_string()
        };
        self.numbers.insert(text.to_owned(), stand_in.clone());
        stand_in
    }

    /// What stands between quotes, without them. `cast` is the type that
    /// follows; `pattern` says that it is one of LIKE.
    pub(super) fn text(&mut self, content: &str, cast: &str, pattern: bool) -> String {
        if content.is_empty() || matches!(cast, "bool" | "boolean") {
            return content.to_owned();
        }
        if is_number(content) {
            return match content.strip_prefix('-') {
                Some(rest) => format!("-{}", self.number(rest)),
                None => self.number(content),
            };
        }
        if let Some(known) = self.texts.get(content) {
            return known.clone();
        }
        let json = cast.starts_with("json") && !cast.ends_with("[]");
        if content.starts_with('{') && content.ends_with('}') && !json && !content.contains(": ") {
            let inner = content
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'))
                .unwrap_or_default();
            let element = cast.trim_end_matches("[]").to_owned();
            let parts: Vec<String> = elements(inner)
                .iter()
                .map(|part| {
                    if part.eq_ignore_ascii_case("null") {
                        part.clone()
                    } else {
                        self.text(part, &element, false)
                    }
                })
                .collect();
            let stand_in = format!("{{{}}}", parts.join(","));
            self.texts.insert(content.to_owned(), stand_in.clone());
            return stand_in;
        }
        self.next += 1;
        let number = self.next;
        let stand_in = if pattern {
            let front = content.len() - content.trim_start_matches(['%', '_']).len();
            let back = content.len() - content.trim_end_matches(['%', '_']).len();
            let (front, back) = (
                content.get(..front).unwrap_or_default(),
                if front == content.len() {
                    ""
                } else {
                    content.get(content.len() - back..).unwrap_or_default()
                },
            );
            format!("{front}text{number}{back}")
        } else {
            stand_in(content, cast, number)
        };
        self.texts.insert(content.to_owned(), stand_in.clone());
        stand_in
    }
}

/// The elements of an array's text, without quotes.
fn elements(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        let last = parts.len() - 1;
        let Some(part) = parts.get_mut(last) else {
            continue;
        };
        match c {
            _ if escaped => {
                part.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            _ => part.push(c),
        }
    }
    parts
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+'))
}

/// A constant of that kind, by its looks and its type.
fn stand_in(content: &str, cast: &str, number: usize) -> String {
    let bytes = content.as_bytes();
    let like = |shape: &str| {
        bytes.len() >= shape.len()
            && shape.bytes().zip(bytes).all(|(wanted, byte)| match wanted {
                b'd' => byte.is_ascii_digit(),
                b'h' => byte.is_ascii_hexdigit(),
                other => *byte == other,
            })
    };
    // Days of the years from 2000 on, each month with 28.
    let date = || {
        format!(
            "{}-{:02}-{:02}",
            2000 + number / 336,
            number / 28 % 12 + 1,
            number % 28 + 1
        )
    };
    if like("dddd-dd-dd") {
        return match bytes.len() {
            10 => date(),
            _ if content.contains('+') => format!("{} 00:00:00+00", date()),
            _ => format!("{} 00:00:00", date()),
        };
    }
    if like("dd:dd") && bytes.iter().all(|byte| !byte.is_ascii_alphabetic()) {
        return format!("{:02}:{:02}:00", number / 60 % 24, number % 60);
    }
    if like("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh") && bytes.len() == 36 {
        return format!("00000000-0000-4000-8000-{number:012x}");
    }
    if content.starts_with("\\x") {
        return format!("\\x{number:08x}");
    }
    let interval = bytes
        .first()
        .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
        && ["sec", "min", "hour", "day", "week", "mon", "year"]
            .iter()
            .any(|unit| content.contains(unit));
    if cast == "interval" || interval {
        return format!("{number} days");
    }
    if matches!(cast, "inet" | "cidr") {
        return format!(
            "10.{}.{}.{}",
            number / 65536 % 256,
            number / 256 % 256,
            number % 256
        );
    }
    if cast.starts_with("json") || content.starts_with('{') && content.ends_with('}') {
        return if content.starts_with('[') {
            format!("[\"text{number}\"]")
        } else if content.starts_with('{') {
            format!("{{\"text{number}\": 1}}")
        } else {
            format!("\"text{number}\"")
        };
    }
    if cast.ends_with("range") {
        return "empty".to_owned();
    }
    format!("text_{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stand_ins_have_the_type_and_are_the_same_for_the_same() {
        let mut literals = Literals::default();
        let open = literals.text("open", "text", false);
        assert_eq!(open, literals.text("open", "", false));
        assert_ne!(open, literals.text("done", "text", false));
        assert_eq!(
            literals.number("500"),
            literals.text("500", "numeric", false)
        );
        assert_eq!(
            literals.text("-500", "integer", false),
            format!("-{}", literals.number("500"))
        );
        assert!(
            literals
                .text("2024-05-06", "date", false)
                .starts_with("2000-")
        );
        assert!(
            literals
                .text("2024-05-06 10:00:00+02", "", false)
                .ends_with("00:00:00+00")
        );
        let list = literals.text("{open,\"x, y\",NULL}", "text[]", false);
        assert!(list.starts_with(&format!("{{{open},text_")), "{list}");
        assert!(list.ends_with(",NULL}"), "{list}");
        assert!(literals.text("%gmail%", "text", true).starts_with('%'));
        assert_eq!(literals.text("", "text", false), "");
    }
}
