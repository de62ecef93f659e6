//! Names as PostgreSQL makes them where none are written.
//!
//! Learnt from `indexcmds.c` (`makeObjectName`, `ChooseRelationName`,
//! `ChooseIndexName`), `pg_constraint.c` (`ChooseConstraintName`) and
//! `parse_target.c` (`FigureIndexColname`).

use super::State;
use crate::sql::ddl::IndexKey;

/// Longest name in bytes (`NAMEDATALEN` - 1).
pub(super) const LONGEST: usize = 63;

/// A name cut as the server cuts it.
pub(super) fn cut(name: &str, bytes: usize) -> &str {
    if name.len() <= bytes {
        return name;
    }
    let mut end = bytes;
    while end > 0 && !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or(name)
}

/// `table_columns_label`, the longer part cut first until it fits.
pub(super) fn object_name(first: &str, second: Option<&str>, label: &str) -> String {
    let overhead = usize::from(second.is_some()) + label.len() + 1;
    let room = LONGEST.saturating_sub(overhead);
    let mut one = first.len();
    let mut two = second.map_or(0, str::len);
    while one + two > room {
        if one > two {
            one -= 1;
        } else {
            two -= 1;
        }
    }
    let mut name = cut(first, one).to_owned();
    if let Some(second) = second {
        name.push('_');
        name.push_str(cut(second, two));
    }
    name.push('_');
    name.push_str(label);
    name
}

/// Column names joined as for the name of an index or foreign key.
pub(super) fn joined(columns: &[String]) -> String {
    let mut all = String::new();
    for column in columns {
        if !all.is_empty() {
            all.push('_');
        }
        all.push_str(column);
        if all.len() > LONGEST {
            break;
        }
    }
    all
}

/// The names of an index's columns, each once: a second `lower` is `lower1`.
pub(super) fn index_columns(keys: &[IndexKey], include: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(keys.len() + include.len());
    let wanted = keys
        .iter()
        .map(|key| match &key.column {
            Some(column) => column.clone(),
            None => expression_name(&key.text).unwrap_or_else(|| "expr".to_owned()),
        })
        .chain(include.iter().cloned());
    for name in wanted {
        let mut candidate = name.clone();
        let mut number = 0;
        while names.contains(&candidate) {
            number += 1;
            let suffix = number.to_string();
            candidate = format!("{}{suffix}", cut(&name, LONGEST - suffix.len()));
        }
        names.push(candidate);
    }
    names
}

/// A piece of an expression.
#[derive(Debug, PartialEq)]
enum Token {
    /// A name or keyword, folded; whether it was quoted.
    Word(String, bool),
    /// `(…)` or `[…]`, with what stands between.
    Group(char, String),
    /// `::`.
    Cast,
    /// `.`.
    Dot,
    /// A string or number.
    Constant,
    /// Anything else: an operator, a comma.
    Other,
}

/// Splits an expression into its pieces at the top level.
fn pieces(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            _ if character.is_whitespace() => {}
            '\'' => {
                while let Some((_, next)) = characters.next() {
                    if next == '\'' && characters.next_if(|(_, after)| *after == '\'').is_none() {
                        break;
                    }
                }
                tokens.push(Token::Constant);
            }
            '"' => {
                let mut word = String::new();
                while let Some((_, next)) = characters.next() {
                    if next == '"' && characters.next_if(|(_, after)| *after == '"').is_none() {
                        break;
                    }
                    word.push(next);
                }
                tokens.push(Token::Word(word, true));
            }
            '(' | '[' => {
                let mut depth = 1;
                let mut quote = None;
                let start = at + 1;
                let mut end = text.len();
                for (here, next) in characters.by_ref() {
                    match (quote, next) {
                        (Some(open), _) if next == open => quote = None,
                        (Some(_), _) => {}
                        (None, '\'' | '"') => quote = Some(next),
                        (None, '(' | '[') => depth += 1,
                        (None, ')' | ']') => {
                            depth -= 1;
                            if depth == 0 {
                                end = here;
                                break;
                            }
                        }
                        _ => {}
                    }
                }
                let inner = text.get(start..end).unwrap_or_default().to_owned();
                tokens.push(Token::Group(character, inner));
            }
            ':' if characters.next_if(|(_, next)| *next == ':').is_some() => {
                tokens.push(Token::Cast);
            }
            '.' => tokens.push(Token::Dot),
            _ if character.is_ascii_digit() => {
                while characters
                    .next_if(|(_, next)| next.is_ascii_alphanumeric() || *next == '.')
                    .is_some()
                {}
                tokens.push(Token::Constant);
            }
            _ if character.is_alphabetic() || character == '_' => {
                let mut word: String = character.to_lowercase().collect();
                while let Some((_, next)) = characters
                    .next_if(|(_, next)| next.is_alphanumeric() || *next == '_' || *next == '$')
                {
                    word.extend(next.to_lowercase());
                }
                // E'…' and such.
                if word.len() == 1 && characters.peek().is_some_and(|(_, next)| *next == '\'') {
                    continue;
                }
                tokens.push(Token::Word(word, false));
            }
            _ => tokens.push(Token::Other),
        }
    }
    tokens
}

/// The name that PostgreSQL gives an index's column that is an expression;
/// `None` where it would be `expr`.
pub(super) fn expression_name(text: &str) -> Option<String> {
    figure(text).map(|(name, _)| name)
}

/// The name and how strong it is: a type's name is weaker than a function's.
fn figure(text: &str) -> Option<(String, u8)> {
    // Casts from outside in; the innermost strong name wins, else the
    // outermost type.
    let mut text = text.to_owned();
    let mut weak: Option<String> = None;
    let found = loop {
        let mut tokens = pieces(&text);
        if let [Token::Group('(', inner)] = tokens.as_slice() {
            text.clone_from(inner);
            continue;
        }
        if let [value @ .., Token::Word(collate, false), Token::Word(..)] = tokens.as_slice()
            && collate == "collate"
            && let [Token::Group('(', inner)] = value
        {
            text.clone_from(inner);
            continue;
        }
        if let [Token::Word(cast, false), Token::Group('(', inner)] = tokens.as_slice()
            && cast == "cast"
        {
            let inner_tokens = pieces(inner);
            let at = inner_tokens
                .iter()
                .rposition(|token| *token == Token::Word("as".to_owned(), false))?;
            let name = type_name(inner_tokens.get(at + 1..)?)?;
            weak.get_or_insert(name);
            let lower = inner.to_ascii_lowercase();
            let end = lower.rfind(" as ")?;
            inner.get(..end)?.clone_into(&mut text);
            continue;
        }
        if tokens.iter().any(|token| {
            *token == Token::Other
                || matches!(token, Token::Word(word, false) if OPERATORS.contains(&word.as_str()))
        }) {
            break at_time_zone(&tokens);
        }
        if let Some(at) = tokens.iter().rposition(|token| *token == Token::Cast) {
            let name = type_name(tokens.get(at + 1..)?)?;
            weak.get_or_insert(name);
            tokens.truncate(at);
            // What is cast is one thing: a group goes on, all else is a name
            // or a call, or casts before it.
            if let [Token::Group('(', inner)] = tokens.as_slice() {
                text.clone_from(inner);
                continue;
            }
            while let Some(at) = tokens.iter().rposition(|token| *token == Token::Cast) {
                tokens.truncate(at);
            }
            if let [Token::Group('(', inner)] = tokens.as_slice() {
                text.clone_from(inner);
                continue;
            }
        }
        break named(&tokens);
    };
    match (found, weak) {
        (Some((name, strength)), Some(_)) if strength > 1 => Some((name, strength)),
        (_, Some(weak)) => Some((weak, 1)),
        (found, None) => found,
    }
}

/// Words that make an expression an operator's, which has no name.
const OPERATORS: &[&str] = &[
    "and", "or", "not", "is", "in", "like", "ilike", "between", "isnull", "notnull", "similar",
    "at", "overlaps",
];

fn at_time_zone(tokens: &[Token]) -> Option<(String, u8)> {
    let is = |at: usize, word: &str| matches!(tokens.get(at), Some(Token::Word(found, false)) if found == word);
    if tokens.contains(&Token::Other) {
        return None;
    }
    // A column may be called `at`, too.
    let found =
        (0..tokens.len()).any(|at| is(at, "at") && is(at + 1, "time") && is(at + 2, "zone"));
    let plain = tokens.iter().all(|token| {
        !matches!(token, Token::Word(word, false)
            if word != "at" && OPERATORS.contains(&word.as_str()))
    });
    (plain && found).then(|| ("timezone".to_owned(), 2))
}

fn named(tokens: &[Token]) -> Option<(String, u8)> {
    match tokens {
        [Token::Word(case, false), ..] if case == "case" => Some(("case".to_owned(), 1)),
        [Token::Word(array, false), Token::Group(..)] if array == "array" => {
            Some(("array".to_owned(), 2))
        }
        [.., Token::Word(name, _), Token::Group('(', _)] => Some((name.clone(), 2)),
        // A subscript is named after what it is taken from.
        [.., Token::Word(name, _), Token::Group('[', _)] | [.., Token::Word(name, _)] => {
            Some((name.clone(), 2))
        }
        [Token::Group('(', inner), Token::Dot, ..] => figure(inner),
        _ => None,
    }
}

/// The name of a type in `pg_type`, from its pieces.
fn type_name(tokens: &[Token]) -> Option<String> {
    let words: Vec<&str> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Word(word, _) => Some(word.as_str()),
            _ => None,
        })
        .collect();
    let zoned = words.ends_with(&["with", "time", "zone"]);
    let name = match *words.first()? {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "decimal" => "numeric",
        "real" => "float4",
        "float" | "double" => "float8",
        "character" | "char" => {
            if words.contains(&"varying") {
                "varchar"
            } else {
                "bpchar"
            }
        }
        "timestamp" if zoned => "timestamptz",
        "time" if zoned => "timetz",
        _ if tokens.contains(&Token::Dot) => words.last()?,
        first => first,
    };
    Some(name.to_owned())
}

impl State {
    /// A relation of that name is there: table, view, index, sequence or
    /// composite type.
    pub(super) fn is_relation(&self, schema: &str, name: &str) -> bool {
        self.tables.has(schema, name)
            || self.indexes.has(schema, name)
            || self.sequences.has(schema, name)
            || self.types.has(schema, name)
    }

    /// `ChooseRelationName`.
    pub(super) fn relation_name(
        &self,
        schema: &str,
        first: &str,
        second: Option<&str>,
        label: &str,
        constraint: bool,
    ) -> String {
        choose(first, second, label, |name| {
            self.is_relation(schema, name)
                || (constraint && self.constraint_names.has(schema, name))
        })
    }

    /// `ChooseConstraintName`.
    pub(super) fn constraint_name(
        &self,
        schema: &str,
        first: &str,
        second: Option<&str>,
        label: &str,
    ) -> String {
        choose(first, second, label, |name| {
            self.constraint_names.has(schema, name)
        })
    }
}

/// The first such name that is not taken, numbered from the second on.
pub(super) fn choose(
    first: &str,
    second: Option<&str>,
    label: &str,
    taken: impl Fn(&str) -> bool,
) -> String {
    let mut name = object_name(first, second, label);
    let mut number = 0;
    while taken(&name) {
        number += 1;
        name = object_name(first, second, &format!("{label}{number}"));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::{expression_name, object_name};

    #[test]
    fn the_longer_part_is_cut_first() {
        let table = "a".repeat(60);
        let name = object_name(&table, Some("b"), "idx");
        assert_eq!(name.len(), 63);
        assert_eq!(name, format!("{}_b_idx", "a".repeat(57)));
        let name = object_name(&"ä".repeat(31), Some("b"), "fkey");
        // 62 bytes are cut to 56, which is 28 characters.
        assert_eq!(name, format!("{}_b_fkey", "ä".repeat(28)));
    }

    #[test]
    fn expressions_are_named_as_the_server_names_them() {
        // Each was seen on a server of version 15.
        for (text, name) in [
            ("lower(email)", Some("lower")),
            ("(lower((email)::text))", Some("lower")),
            ("data ->> 'id'", None),
            ("((data ->> 'id')::int)", Some("int4")),
            ("(a)::text", Some("a")),
            ("coalesce(a, '')", Some("coalesce")),
            ("date_trunc('day', at)", Some("date_trunc")),
            ("(at AT TIME ZONE 'utc')::date", Some("timezone")),
            ("a || b", None),
            ("cast(data ->> 'n' as bigint)", Some("int8")),
        ] {
            assert_eq!(expression_name(text).as_deref(), name, "{text}");
        }
    }
}
