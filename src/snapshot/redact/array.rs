//! The text of a one-dimensional array, as PostgreSQL prints it.

/// The elements; `None` for what has more dimensions, nulls or another shape.
pub(super) fn read(text: &str) -> Option<Vec<String>> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    if inner.is_empty() {
        return Some(Vec::new());
    }
    let mut elements = Vec::new();
    let mut letters = inner.chars().peekable();
    loop {
        let mut element = String::new();
        if letters.peek() == Some(&'"') {
            letters.next();
            loop {
                match letters.next()? {
                    '"' => break,
                    '\\' => element.push(letters.next()?),
                    letter => element.push(letter),
                }
            }
        } else {
            while let Some(letter) = letters.next_if(|letter| *letter != ',') {
                match letter {
                    '{' | '}' | '"' => return None,
                    '\\' => element.push(letters.next()?),
                    _ => element.push(letter),
                }
            }
            if element.is_empty() || element.eq_ignore_ascii_case("null") {
                return None;
            }
        }
        elements.push(element);
        match letters.next() {
            None => return Some(elements),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

/// The array of these elements, each in quotes.
pub(super) fn write<'a>(elements: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = elements
        .into_iter()
        .map(|element| format!("\"{}\"", element.replace('\\', "\\\\").replace('"', "\\\"")))
        .collect();
    format!("{{{}}}", quoted.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_back() {
        let elements = ["a", "b \"c\" \\ d", "", "NULL", "{x,y}", "ü"];
        assert_eq!(read(&write(elements)).unwrap(), elements);
        assert_eq!(read("{1,2.5,a b}").unwrap(), ["1", "2.5", "a b"]);
        assert_eq!(read("{}").unwrap(), Vec::<String>::new());
        for other in [
            "{{1,2},{3,4}}",
            "{NULL,1}",
            "[0:1]={1,2}",
            "{\"a",
            "1",
            "{,}",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
