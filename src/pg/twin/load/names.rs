//! Names as SQL. What the superuser executes has every name in quotes.

/// The name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Schema and name in quotes.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// The parts of a qualified name as it is printed: `public."Order Lines"`.
pub(super) fn parts(printed: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut inside = false;
    let mut characters = printed.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if inside && characters.peek() == Some(&'"') => {
                characters.next();
                if let Some(part) = parts.last_mut() {
                    part.push('"');
                }
            }
            '"' => inside = !inside,
            '.' if !inside => parts.push(String::new()),
            c => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    parts
}

/// A printed name without `pg_catalog.`, which is printed or not depending on
/// the function that prints.
pub(super) fn bare(printed: &str) -> &str {
    printed.strip_prefix("pg_catalog.").unwrap_or(printed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_names_are_taken_apart() {
        assert_eq!(parts("public.a"), ["public", "a"]);
        assert_eq!(parts("\"a.b\".\"c\"\"d\""), ["a.b", "c\"d"]);
        assert_eq!(
            parts("pg_catalog.\"en_US.utf8\""),
            ["pg_catalog", "en_US.utf8"]
        );
        assert_eq!(qualified("a.b", "c\"d"), "\"a.b\".\"c\"\"d\"");
        assert_eq!(bare("pg_catalog.=(integer,integer)"), "=(integer,integer)");
    }
}
