//! The values that logs have beside a statement, in the spelling of each
//! library: JSON and JavaScript, Python, Ruby, Elixir, and PostgreSQL's own.
//!
//! A list of which anything is not understood is no list: with a wrong value
//! the plan would be that of another call.

use serde_json::Value;

/// Values of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Values {
    /// In the order of the placeholders.
    Listed(Vec<Option<String>>),
    /// By the names of the placeholders.
    Named(Vec<(String, Option<String>)>),
}

/// The value of one placeholder; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scalar(pub(super) Option<String>);

/// Values longer than this many bytes are not kept: documents and pictures
/// decide no plan.
const MOST_BYTES: usize = 2_000;
/// Values of one call that are kept.
const MOST_VALUES: usize = 500;

/// What libraries put in place of what they hide.
const HIDDEN: [&str; 4] = ["[FILTERED]", "[REDACTED]", "<redacted>", "***"];

/// PostgreSQL's `$1 = '42', $2 = NULL`, behind `parameters: `.
pub(super) fn of_server(text: &str) -> Option<Values> {
    let mut reader = Reader::new(text.trim());
    let mut values = Vec::new();
    loop {
        reader.take("$")?;
        let digits: String = reader
            .rest()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        reader.skip(digits.len());
        if digits.parse::<usize>().ok()? != values.len() + 1 {
            return None;
        }
        reader.take(" = ")?;
        if reader.take("NULL").is_some() {
            values.push(None);
        } else {
            values.push(Some(reader.doubled()?));
        }
        if reader.rest().is_empty() {
            return fit(values).map(Values::Listed);
        }
        reader.take(", ")?;
    }
}

/// Rails: `[["id", 1], ["name", "x"]]`, in the order of the placeholders.
pub(super) fn of_rails(text: &str) -> Option<Values> {
    let Item::List(pairs) = read(text)? else {
        return None;
    };
    let values = pairs
        .into_iter()
        .map(|pair| match pair {
            Item::List(pair) => match <[Item; 2]>::try_from(pair) {
                Ok([_, value]) => value.scalar().map(|value| value.0),
                Err(_) => None,
            },
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    fit(values).map(Values::Listed)
}

/// A list or tuple of values, or a dictionary of named ones.
pub(super) fn of_list(text: &str) -> Option<Values> {
    match read(text)? {
        Item::List(items) => {
            let values = items
                .into_iter()
                .map(|item| item.scalar().map(|value| value.0))
                .collect::<Option<Vec<_>>>()?;
            fit(values).map(Values::Listed)
        }
        Item::Map(items) => {
            let named = items
                .into_iter()
                .map(|(name, item)| Some((name, item.scalar()?.0)))
                .collect::<Option<Vec<_>>>()?;
            fit(named.iter().map(|(_, value)| value.clone()).collect())?;
            Some(Values::Named(named))
        }
        _ => None,
    }
}

/// The values of a field of a JSON object.
pub(super) fn of_json(value: &Value) -> Option<Values> {
    match value {
        Value::Array(items) => {
            let values = items
                .iter()
                .map(|item| json_scalar(item).map(|value| value.0))
                .collect::<Option<Vec<_>>>()?;
            fit(values).map(Values::Listed)
        }
        // An array that was written as a text.
        Value::String(text) => of_list(text),
        _ => None,
    }
}

/// One value of a log that has one a line: Hibernate's `[42]`.
pub(super) fn of_hibernate(text: &str) -> Option<Scalar> {
    let inner = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    let value = (inner != "null").then(|| inner.to_owned());
    fit(vec![value])?.pop().map(Scalar)
}

fn fit(values: Vec<Option<String>>) -> Option<Vec<Option<String>>> {
    let fits = |value: &Option<String>| {
        value.as_ref().is_none_or(|text| {
            text.len() <= MOST_BYTES && !text.contains('\0') && !HIDDEN.contains(&text.as_str())
        })
    };
    (!values.is_empty() && values.len() <= MOST_VALUES && values.iter().all(fits)).then_some(values)
}

fn json_scalar(value: &Value) -> Option<Scalar> {
    Some(Scalar(match value {
        Value::Null => None,
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(array(items.iter().map(json_scalar))?),
        Value::Object(_) => Some(value.to_string()),
    }))
}

/// `{1,"a b",NULL}` as PostgreSQL reads an array.
fn array(items: impl Iterator<Item = Option<Scalar>>) -> Option<String> {
    let items = items
        .map(|item| {
            Some(match item?.0 {
                None => "NULL".to_owned(),
                Some(text) => {
                    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
                    format!("\"{escaped}\"")
                }
            })
        })
        .collect::<Option<Vec<_>>>()?;
    Some(format!("{{{}}}", items.join(",")))
}

/// A value as it is written.
#[derive(Debug, PartialEq)]
enum Item {
    Null,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Item {
    /// What one placeholder stands for.
    fn scalar(self) -> Option<Scalar> {
        match self {
            Self::Null => Some(Scalar(None)),
            Self::Text(text) => Some(Scalar(Some(text))),
            Self::List(items) => array(items.into_iter().map(|item| match item {
                Self::Null => Some(Scalar(None)),
                Self::Text(text) => Some(Scalar(Some(text))),
                _ => None,
            }))
            .map(|text| Scalar(Some(text))),
            Self::Map(_) => None,
        }
    }
}

/// How deep lists stand in lists.
const DEEPEST: usize = 3;

fn read(text: &str) -> Option<Item> {
    let mut reader = Reader::new(text.trim());
    let item = reader.item(0)?;
    reader.rest().trim().is_empty().then_some(item)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn take(&mut self, what: &str) -> Option<()> {
        self.rest().starts_with(what).then(|| self.skip(what.len()))
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.skip(rest.len() - rest.trim_start().len());
    }

    /// `'it''s'`.
    fn doubled(&mut self) -> Option<String> {
        self.take("'")?;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let end = rest.find('\'')?;
            out.push_str(rest.get(..end)?);
            self.skip(end + 1);
            if self.take("'").is_none() {
                return Some(out);
            }
            out.push('\'');
        }
    }

    /// A string with escapes of a backslash.
    fn quoted(&mut self) -> Option<String> {
        let mut characters = self.rest().char_indices();
        let (_, quote) = characters.next()?;
        let mut out = String::new();
        while let Some((at, character)) = characters.next() {
            if character == quote {
                self.skip(at + character.len_utf8());
                return Some(out);
            }
            if character != '\\' {
                out.push(character);
                continue;
            }
            match characters.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                character @ ('\\' | '\'' | '"' | '/' | '`') => out.push(character),
                // An escape by a number: rare, and no reason to guess.
                _ => return None,
            }
        }
        None
    }

    fn item(&mut self, depth: usize) -> Option<Item> {
        self.blanks();
        let first = self.rest().chars().next()?;
        match first {
            '[' => self.list(']', depth),
            '(' => self.list(')', depth),
            '{' => self.map(depth),
            '"' | '\'' | '`' => self.quoted().map(Item::Text),
            _ => self.word(),
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Option<Item> {
        if depth >= DEEPEST {
            return None;
        }
        self.skip(1);
        let mut items = Vec::new();
        loop {
            self.blanks();
            if self.rest().starts_with(close) {
                self.skip(1);
                return Some(Item::List(items));
            }
            items.push(self.item(depth + 1)?);
            self.blanks();
            if self.take(",").is_none() && !self.rest().starts_with(close) {
                return None;
            }
        }
    }

    fn map(&mut self, depth: usize) -> Option<Item> {
        if depth >= DEEPEST {
            return None;
        }
        self.skip(1);
        let mut items = Vec::new();
        loop {
            self.blanks();
            if self.take("}").is_some() {
                return Some(Item::Map(items));
            }
            let Item::Text(name) = self.item(depth + 1)? else {
                return None;
            };
            self.blanks();
            self.take(":")?;
            items.push((name, self.item(depth + 1)?));
            self.blanks();
            if self.take(",").is_none() && !self.rest().starts_with('}') {
                return None;
            }
        }
    }

    /// A number, a constant, or a value that a library writes as a call:
    /// `UUID('…')`, `Decimal('1.5')`, `datetime.date(2024, 1, 31)`.
    fn word(&mut self) -> Option<Item> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-')))
            .unwrap_or(rest.len());
        let word = rest.get(..end)?;
        self.skip(end);
        if self.rest().starts_with('(') {
            return self.call(word);
        }
        match word {
            "null" | "None" | "nil" | "NULL" | "undefined" => return Some(Item::Null),
            "true" | "True" => return Some(Item::Text("true".to_owned())),
            "false" | "False" => return Some(Item::Text("false".to_owned())),
            _ => {}
        }
        let number = word.parse::<f64>().ok()?;
        (number.is_finite() && word.bytes().any(|byte| byte.is_ascii_digit()))
            .then(|| Item::Text(word.to_owned()))
    }

    fn call(&mut self, name: &str) -> Option<Item> {
        self.skip(1);
        let mut arguments = Vec::new();
        loop {
            self.blanks();
            if self.take(")").is_some() {
                break;
            }
            // A time zone is a call in a call.
            let Item::Text(argument) = self.item(DEEPEST)? else {
                return None;
            };
            arguments.push(argument);
            self.blanks();
            if self.take(",").is_none() && !self.rest().starts_with(')') {
                return None;
            }
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        match (last, arguments.as_slice()) {
            ("UUID" | "Decimal" | "ObjectId", [only]) => Some(Item::Text(only.clone())),
            ("date", [year, month, day]) => Some(Item::Text(format!("{year}-{month}-{day}"))),
            ("datetime", [year, month, day, time @ ..]) => {
                let part = |at: usize| time.get(at).map_or("0", String::as_str);
                let fraction: u32 = part(3).parse().ok()?;
                Some(Item::Text(format!(
                    "{year}-{month}-{day} {}:{}:{}.{fraction:06}",
                    part(0),
                    part(1),
                    part(2)
                )))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(values: &[Option<&str>]) -> Values {
        Values::Listed(
            values
                .iter()
                .map(|value| value.map(str::to_owned))
                .collect(),
        )
    }

    #[test]
    fn values_are_read_as_each_library_writes_them() {
        assert_eq!(
            of_server("$1 = '42', $2 = NULL, $3 = 'it''s, $4 = x'"),
            Some(listed(&[Some("42"), None, Some("it's, $4 = x")]))
        );
        assert_eq!(
            of_rails("[[\"id\", 1], [\"name\", \"x\\\"y\"], [nil, nil]]"),
            Some(listed(&[Some("1"), Some("x\"y"), None]))
        );
        assert_eq!(
            of_list("(1, 'x', None, True, Decimal('1.50'), datetime.date(2024, 1, 31))"),
            Some(listed(&[
                Some("1"),
                Some("x"),
                None,
                Some("true"),
                Some("1.50"),
                Some("2024-1-31")
            ]))
        );
        assert_eq!(of_list("(7,)"), Some(listed(&[Some("7")])));
        assert_eq!(
            of_list("['a', [1, 2]]"),
            Some(listed(&[Some("a"), Some("{\"1\",\"2\"}")]))
        );
        assert_eq!(
            of_list("{'id_1': 1, 'name_1': \"O'Hara\"}"),
            Some(Values::Named(vec![
                ("id_1".to_owned(), Some("1".to_owned())),
                ("name_1".to_owned(), Some("O'Hara".to_owned())),
            ]))
        );
        assert_eq!(of_hibernate("[42]"), Some(Scalar(Some("42".to_owned()))));
        assert_eq!(of_hibernate("[null]"), Some(Scalar(None)));
    }

    #[test]
    fn what_is_not_understood_is_no_list() {
        for text in [
            "",
            "[",
            "[1, <memory at 0x7f>]",
            "[1] and more",
            "(1, object(2, x=3))",
            "[\"[FILTERED]\"]",
            "[nan]",
            "[[[[1]]]]",
        ] {
            assert_eq!(of_list(text), None, "{text}");
        }
        assert_eq!(of_server("$2 = '1'"), None);
        assert_eq!(of_server("$1 = 'open"), None);
        assert_eq!(of_rails("[[\"id\", 1], 2]"), None);
    }
}
