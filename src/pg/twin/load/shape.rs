//! Whether a statement is of the kind that it is meant to be, by its first
//! words. The protocol sees to it that there is only one.

use crate::snapshot::ObjectKind;

/// The first words, in upper case; a name in quotes ends them.
fn words(sql: &str) -> impl Iterator<Item = String> {
    sql.split(|c: char| c.is_whitespace() || c == '(')
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_uppercase)
}

/// Whether the statement begins with one of these. A word in brackets may be
/// left out.
pub(super) fn begins(sql: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| {
        let mut given = words(sql).peekable();
        beginning.split(' ').all(|wanted| {
            if let Some(optional) = wanted
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                given.next_if(|word| word == optional);
                true
            } else {
                given.next_if(|word| word == wanted).is_some()
            }
        })
    })
}

/// How the statement that creates such an object begins.
pub(super) fn of_object(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Schema => &["CREATE SCHEMA"],
        ObjectKind::Collation => &["CREATE COLLATION"],
        ObjectKind::Type => &["CREATE TYPE", "CREATE DOMAIN"],
        ObjectKind::Sequence => &["CREATE [UNLOGGED] SEQUENCE"],
        ObjectKind::Function => &["CREATE [OR] [REPLACE] FUNCTION"],
        ObjectKind::Procedure => &["CREATE [OR] [REPLACE] PROCEDURE"],
        ObjectKind::Aggregate => &["CREATE [OR] [REPLACE] AGGREGATE"],
        ObjectKind::Operator => &["CREATE OPERATOR"],
        ObjectKind::Cast => &["CREATE CAST"],
        ObjectKind::OperatorFamily => &["CREATE OPERATOR FAMILY"],
        ObjectKind::OperatorClass => &["CREATE OPERATOR CLASS"],
        ObjectKind::TextSearchConfiguration => &["CREATE TEXT SEARCH"],
        ObjectKind::ForeignDataWrapper => &["CREATE FOREIGN DATA WRAPPER"],
        ObjectKind::ForeignServer => &["CREATE SERVER"],
    }
}

/// How the statements that complete such an object begin.
pub(super) fn completing(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Schema => &["ALTER SCHEMA"],
        ObjectKind::Collation => &["ALTER COLLATION"],
        ObjectKind::Type => &["ALTER TYPE", "ALTER DOMAIN"],
        ObjectKind::Sequence => &["ALTER SEQUENCE"],
        ObjectKind::Function => &["ALTER FUNCTION"],
        ObjectKind::Procedure => &["ALTER PROCEDURE"],
        ObjectKind::Aggregate => &["ALTER AGGREGATE"],
        ObjectKind::Operator => &["ALTER OPERATOR"],
        ObjectKind::Cast => &["CREATE CAST"],
        ObjectKind::OperatorFamily | ObjectKind::OperatorClass => &["ALTER OPERATOR FAMILY"],
        ObjectKind::TextSearchConfiguration => &["ALTER TEXT SEARCH"],
        ObjectKind::ForeignDataWrapper => &["ALTER FOREIGN DATA WRAPPER"],
        ObjectKind::ForeignServer => &["ALTER SERVER"],
    }
}

/// How the definition of a constraint begins.
pub(super) fn of_constraint(kind: &str) -> &'static [&'static str] {
    match kind {
        "p" => &["PRIMARY KEY"],
        "u" => &["UNIQUE"],
        "x" => &["EXCLUDE"],
        "f" => &["FOREIGN KEY"],
        "c" => &["CHECK"],
        "n" => &["NOT NULL"],
        _ => &[],
    }
}

/// The text without the first such phrase that is outside quotes.
pub(super) fn without(sql: &str, phrase: &str) -> Option<String> {
    let mut quote = None;
    for (at, c) in sql.char_indices() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            (None, _) => {
                if let Some(rest) = sql.get(at..).and_then(|rest| rest.strip_prefix(phrase)) {
                    return sql.get(..at).map(|before| format!("{before}{rest}"));
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_words_tell_the_kind() {
        assert!(begins(
            "CREATE UNIQUE INDEX a ON b (c)",
            &["CREATE [UNIQUE] INDEX"]
        ));
        assert!(begins(
            "create index a on b (c)",
            &["CREATE [UNIQUE] INDEX"]
        ));
        assert!(!begins("DROP TABLE a", &["CREATE [UNIQUE] INDEX"]));
        assert!(!begins(
            "CREATE TABLE a (b int)",
            &["CREATE [UNIQUE] INDEX"]
        ));
        assert!(begins("CHECK((a > 0))", of_constraint("c")));
        assert!(!begins("FOREIGN KEY (a) REFERENCES b", of_constraint("c")));
        assert!(!begins("", of_constraint("c")));
        assert!(!begins("CHECK (true)", of_constraint("?")));
    }

    #[test]
    fn a_phrase_is_taken_out_unless_quoted() {
        assert_eq!(
            without("UNIQUE NULLS NOT DISTINCT (a)", " NULLS NOT DISTINCT").as_deref(),
            Some("UNIQUE (a)")
        );
        assert_eq!(without("CHECK ((a <> ' NOT VALID'))", " NOT VALID"), None);
    }
}
