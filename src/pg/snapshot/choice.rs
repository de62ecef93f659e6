//! Which tables a snapshot is to hold, by patterns as psql has them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reader, get, qualified, some_of};
use crate::pg::error::Error;

/// A name in which `*` stands for any letters and `?` for one. Outside double
/// quotes capital letters count as small ones, as in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As it was given.
    text: String,
    /// Of the schema; any without.
    schema: Option<Vec<Letter>>,
    /// Of the name.
    name: Vec<Letter>,
}

/// Which tables are taken; all without patterns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The schemas whose tables are taken; all without.
    pub schemas: Vec<Pattern>,
    /// Tables that are left out.
    pub exclude: Vec<Pattern>,
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Letter {
    This(char),
    One,
    Any,
}

impl Pattern {
    /// The pattern of a schema.
    pub fn of_schema(text: &str) -> Result<Self, String> {
        match <[Vec<Letter>; 1]>::try_from(parts(text)?) {
            Ok([name]) => Ok(Self {
                text: text.to_owned(),
                schema: None,
                name,
            }),
            Err(_) => Err(format!("{text} is no name of a schema: it has a dot")),
        }
    }

    /// The pattern of a table, `table` or `schema.table`.
    pub fn of_table(text: &str) -> Result<Self, String> {
        let mut parts = parts(text)?.into_iter();
        let (schema, name) = match (parts.next(), parts.next(), parts.next()) {
            (Some(name), None, None) => (None, name),
            (Some(schema), Some(name), None) => (Some(schema), name),
            _ => return Err(format!("{text} has too many dots for a table")),
        };
        Ok(Self {
            text: text.to_owned(),
            schema,
            name,
        })
    }

    /// Whether a table, or with an empty schema a schema, is meant.
    fn means(&self, schema: &str, name: &str) -> bool {
        self.schema
            .as_ref()
            .is_none_or(|pattern| matches(pattern, schema))
            && matches(&self.name, name)
    }
}

/// The letters between the dots.
fn parts(text: &str) -> Result<Vec<Vec<Letter>>, String> {
    let mut parts = vec![Vec::new()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let found = match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                Letter::This('"')
            }
            '"' => {
                quoted = !quoted;
                continue;
            }
            '.' if !quoted => {
                parts.push(Vec::new());
                continue;
            }
            '*' if !quoted => Letter::Any,
            '?' if !quoted => Letter::One,
            // PostgreSQL folds ASCII letters, and in most databases no others.
            _ if !quoted => Letter::This(letter.to_ascii_lowercase()),
            _ => Letter::This(letter),
        };
        if let Some(part) = parts.last_mut() {
            part.push(found);
        }
    }
    if quoted {
        return Err(format!("a double quote is missing in {text}"));
    }
    if parts.iter().any(Vec::is_empty) {
        return Err(format!("a name is missing in {text:?}"));
    }
    Ok(parts)
}

/// Whether the whole name is as the pattern says.
fn matches(pattern: &[Letter], name: &str) -> bool {
    // The ends of the beginnings of the name that the pattern can have taken.
    let name: Vec<char> = name.chars().collect();
    let mut ends = BTreeSet::from([0]);
    for letter in pattern {
        ends = match letter {
            Letter::Any => match ends.first() {
                Some(first) => (*first..=name.len()).collect(),
                None => ends,
            },
            Letter::One => ends
                .into_iter()
                .filter(|end| *end < name.len())
                .map(|end| end + 1)
                .collect(),
            Letter::This(wanted) => ends
                .into_iter()
                .filter(|end| name.get(*end) == Some(wanted))
                .map(|end| end + 1)
                .collect(),
        };
    }
    ends.contains(&name.len())
}

impl Reader<'_> {
    /// Whether only some tables are asked for.
    pub(super) fn is_limited(&self) -> bool {
        *self.choice != Choice::default()
    }

    /// Leaves out the relations that were not asked for. What inherits goes
    /// with the tables at the top, so that partitions stay together.
    pub(super) fn leave_out_others(&mut self) -> Result<(), Error> {
        if !self.is_limited() {
            return Ok(());
        }
        let rows = self.session.query(
            "SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits AS i",
            &[],
        )?;
        let mut parents: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for row in &rows {
            parents.entry(get(row, 0)?).or_default().push(get(row, 1)?);
        }
        let choice = self.choice;
        let wanted: BTreeSet<u32> = self
            .places
            .iter()
            .filter(|(_, at)| {
                self.snapshot.relations.get(**at).is_some_and(|relation| {
                    let (schema, name) = (relation.schema.as_str(), relation.name.as_str());
                    let asked = choice.schemas.is_empty()
                        || choice.schemas.iter().any(|one| one.means("", schema));
                    asked && !choice.exclude.iter().any(|one| one.means(schema, name))
                })
            })
            .map(|(oid, _)| *oid)
            .collect();
        let mut left_out = Vec::new();
        let mut kept = Vec::new();
        let mut old: Vec<_> = std::mem::take(&mut self.snapshot.relations)
            .into_iter()
            .map(Some)
            .collect();
        for (oid, at) in std::mem::take(&mut self.places) {
            let Some(relation) = old.get_mut(at).and_then(Option::take) else {
                continue;
            };
            if tops(&parents, oid).iter().any(|top| wanted.contains(top)) {
                self.places.insert(oid, kept.len());
                kept.push(relation);
            } else {
                self.tables.remove(&oid);
                left_out.push(qualified(&relation));
            }
        }
        self.snapshot.relations = kept;
        left_out.sort();
        let mut asked = Vec::new();
        for (patterns, word) in [(&choice.schemas, "only"), (&choice.exclude, "without")] {
            if !patterns.is_empty() {
                let texts: Vec<&str> = patterns.iter().map(|one| one.text.as_str()).collect();
                asked.push(format!("{word} {}", texts.join(", ")));
            }
        }
        self.limit(match left_out.len() {
            0 => format!("All tables are as was asked for ({}).", asked.join(", ")),
            _ => format!(
                "As was asked for ({}), {} {} left out, with foreign keys to {}: {}.",
                asked.join(", "),
                left_out.len(),
                if left_out.len() == 1 {
                    "table or view was"
                } else {
                    "tables and views were"
                },
                if left_out.len() == 1 { "it" } else { "them" },
                some_of(&left_out)
            ),
        });
        Ok(())
    }
}

/// The tables at the top of those that one inherits from; itself when it
/// inherits from none.
fn tops(parents: &BTreeMap<u32, Vec<u32>>, oid: u32) -> BTreeSet<u32> {
    let mut tops = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut waiting = vec![oid];
    while let Some(at) = waiting.pop() {
        if !seen.insert(at) {
            continue;
        }
        match parents.get(&at) {
            Some(above) => waiting.extend(above),
            None => {
                tops.insert(at);
            }
        }
    }
    tops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(pattern: &str, schema: &str, name: &str) -> bool {
        Pattern::of_table(pattern)
            .expect(pattern)
            .means(schema, name)
    }

    #[test]
    fn patterns_are_those_of_psql() {
        for (pattern, schema, name, is) in [
            ("orders", "shop", "orders", true),
            ("ORDERS", "shop", "orders", true),
            ("\"ORDERS\"", "shop", "orders", false),
            ("\"Mixed Case\"", "shop", "Mixed Case", true),
            ("\"a\"\"b.c*\"", "shop", "a\"b.c*", true),
            ("order", "shop", "orders", false),
            ("log_*", "shop", "log_2025", true),
            ("*log*", "shop", "my_log", true),
            ("log_????", "shop", "log_2025", true),
            ("log_????", "shop", "log_25", false),
            ("a*b*c", "shop", "axxbyybzc", true),
            ("a*b*c", "shop", "axxbyybz", false),
            ("shop.*", "shop", "orders", true),
            ("shop.*", "shops", "orders", false),
            ("*.orders", "any", "orders", true),
            ("größe", "shop", "größe", true),
        ] {
            assert_eq!(
                table(pattern, schema, name),
                is,
                "{pattern} {schema}.{name}"
            );
        }
        for wrong in ["", ".", "a.", "a.b.c", "\"a"] {
            assert!(Pattern::of_table(wrong).is_err(), "{wrong}");
        }
        assert!(Pattern::of_schema("a.b").is_err());
        assert!(Pattern::of_schema("a*").expect("one").means("", "app"));
    }
}
