//! Plans and statements with stand-ins in the place of names and constants,
//! so that they can be shown to others.
//!
//! What is given is redacted before anything looks at it: whatever is derived
//! from it is redacted by construction. The same name has the same stand-in
//! everywhere, and so has the same constant. Afterwards the result is searched
//! for everything that was replaced ([`Redaction::leak`]).

mod literal;
mod text;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value};

use literal::Literals;

/// What is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Constants.
    Literals,
    /// Names of tables, columns, indexes and whatever else the user named.
    Names,
    /// Both.
    All,
}

impl What {
    fn literals(self) -> bool {
        self != Self::Names
    }

    fn names(self) -> bool {
        self != Self::Literals
    }
}

/// What a name is a name of: the stem of its stand-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Schema,
    Table,
    Cte,
    Index,
    Alias,
    Function,
    Trigger,
    Constraint,
    Type,
    Column,
    Collation,
    Parameter,
    File,
    Other,
}

impl Kind {
    fn stem(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Table => "table",
            Self::Cte => "cte",
            Self::Index => "index",
            Self::Alias => "alias",
            Self::Function => "func",
            Self::Trigger => "trigger",
            Self::Constraint => "constraint",
            Self::Type => "type",
            Self::Column => "column",
            Self::Collation => "collation",
            Self::Parameter => "param",
            Self::File => "file",
            Self::Other => "name",
        }
    }
}

/// The names and constants of a run, each with its stand-in.
#[derive(Debug)]
pub struct Redaction {
    what: What,
    /// In the order in which they were seen.
    seen: Vec<(String, Kind)>,
    names: HashMap<String, Option<String>>,
    literals: Literals,
    /// Names are only collected.
    collecting: bool,
}

impl Redaction {
    /// Learns the names of everything that is to be redacted together.
    pub fn new(what: What, documents: &[&Value], statements: &[&str]) -> Self {
        let mut redaction = Self {
            what,
            seen: Vec::new(),
            names: HashMap::new(),
            literals: Literals::default(),
            collecting: true,
        };
        // Fields say what a name is of; expressions and SQL leave it open.
        for document in documents {
            redaction.fields(document);
        }
        for document in documents {
            redaction.document(document);
        }
        for statement in statements {
            redaction.sql(statement);
        }
        redaction.choose();
        redaction.collecting = false;
        redaction.literals = Literals::default();
        redaction
    }

    /// Gives every name its stand-in: never one that is somebody's name.
    fn choose(&mut self) {
        let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
        let seen = std::mem::take(&mut self.seen);
        let taken: BTreeSet<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
        for (name, kind) in &seen {
            // Partitions and repeated tables have their table's name with a
            // number behind it.
            let numbered = name
                .rsplit_once('_')
                .filter(|(_, end)| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|(stem, end)| {
                    let stem = self.names.get(stem)?.as_ref()?;
                    Some(format!("{stem}_{end}"))
                })
                .filter(|found| *kind == Kind::Alias && !taken.contains(found.as_str()));
            let stand_in = numbered.unwrap_or_else(|| {
                loop {
                    let count = counts.entry(*kind).or_default();
                    *count += 1;
                    let found = format!("{}_{count}", kind.stem());
                    if !taken.contains(found.as_str()) {
                        break found;
                    }
                }
            });
            self.names.insert(name.clone(), Some(stand_in));
        }
        self.seen = seen;
    }

    /// A name's stand-in.
    fn name(&mut self, kind: Kind, name: &str) -> String {
        if name.is_empty() || words::is_given(name) {
            return name.to_owned();
        }
        if self.collecting {
            if !self.names.contains_key(name) {
                self.names.insert(name.to_owned(), None);
                self.seen.push((name.to_owned(), kind));
            }
            return name.to_owned();
        }
        if !self.what.names() {
            return name.to_owned();
        }
        match self.names.get(name) {
            Some(Some(stand_in)) => stand_in.clone(),
            // Everything was collected before; what was not is not shown.
            _ => format!("{}_0", kind.stem()),
        }
    }

    /// Whether something was seen by that name.
    fn knows(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// A file's stand-in, which keeps its extension.
    pub fn file(&mut self, name: &str, number: usize) -> String {
        if !self.what.names() || name.starts_with('<') {
            return name.to_owned();
        }
        format!("plan_{number}")
    }

    /// Collects the names that stand in fields of their own.
    fn fields(&mut self, document: &Value) {
        let mut open = vec![document];
        while let Some(next) = open.pop() {
            match next {
                Value::Object(map) => {
                    for (key, value) in map {
                        if let (Some(kind), Some(text)) = (name_key(key), value.as_str()) {
                            self.field(kind, text);
                        }
                    }
                    // The last one pushed is visited first.
                    open.extend(map.values().rev().filter(|value| !value.is_string()));
                }
                Value::Array(items) => open.extend(items.iter().rev()),
                _ => {}
            }
        }
    }

    fn field(&mut self, kind: Kind, text: &str) -> String {
        if kind == Kind::Function && words::is_function(text) {
            return text.to_owned();
        }
        self.name(kind, text)
    }

    /// A plan's document with stand-ins.
    pub fn document(&mut self, document: &Value) -> Value {
        let mut redacted = document.clone();
        let mut open: Vec<(&mut Value, String, bool)> = vec![(&mut redacted, String::new(), false)];
        while let Some((value, key, setting)) = open.pop() {
            match value {
                Value::Object(map) => Self::open_object(map, &key, &mut open),
                Value::Array(items) => {
                    for item in items.iter_mut().rev() {
                        open.push((item, key.clone(), setting));
                    }
                }
                Value::String(text) => {
                    *text = if setting {
                        self.setting(&key, text)
                    } else {
                        self.value(&key, text)
                    };
                }
                _ => {}
            }
        }
        redacted
    }

    fn open_object<'v>(
        map: &'v mut Map<String, Value>,
        key: &str,
        open: &mut Vec<(&'v mut Value, String, bool)>,
    ) {
        let settings = key == "Settings";
        let mut entries: Vec<_> = map.iter_mut().collect();
        entries.reverse();
        for (name, value) in entries {
            open.push((value, name.clone(), settings));
        }
    }

    /// A text of a plan.
    fn value(&mut self, key: &str, text: &str) -> String {
        if is_kept(key) {
            return text.to_owned();
        }
        if let Some(kind) = name_key(key) {
            return self.field(kind, text);
        }
        match key {
            "Subplan Name" => match text.strip_prefix("CTE ") {
                Some(name) => format!("CTE {}", self.name(Kind::Cte, name)),
                None => text.to_owned(),
            },
            "Query Text" | "Remote SQL" | "Query" => self.sql(text),
            "Foreign File" | "Foreign Program" => self.name(Kind::File, text),
            _ => self.expression(text),
        }
    }

    /// The value of a setting. Numbers, switches and choices are kept.
    fn setting(&mut self, name: &str, value: &str) -> String {
        if !words::is_telling(name) {
            return value.to_owned();
        }
        let parts: Vec<String> = value
            .split(',')
            .map(|part| {
                let name = part.trim().trim_matches('"');
                if name == "$user" || name.is_empty() {
                    part.trim().to_owned()
                } else {
                    self.name(Kind::Schema, name)
                }
            })
            .collect();
        parts.join(", ")
    }

    /// What was replaced and is found in a text all the same. `prose` says
    /// that the text is made of words of this program's, among which a name
    /// that is a word of English is no wonder.
    pub fn leak(&self, text: &str, prose: bool) -> Option<String> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let telling = |word: &str| {
            !prose
                || word.contains('_')
                || word.chars().any(|c| c.is_ascii_digit() || !c.is_ascii())
        };
        let known: BTreeSet<&str> = if self.what.names() {
            self.names
                .values()
                .filter_map(|stand_in| stand_in.as_deref())
                .collect()
        } else {
            BTreeSet::new()
        };
        for word in text.split(|c: char| !is_part(c)) {
            if word.chars().count() < 3 || !telling(word) || known.contains(word) {
                continue;
            }
            if self.what.names() && !is_own(word) && self.names.contains_key(word) {
                return Some(word.to_owned());
            }
        }
        if self.what.literals() {
            for original in self.literals.originals() {
                // Letters alone may be part of any word, and SQL in a text is
                // made of the words of SQL.
                let telling = original.chars().count() >= 4
                    && !original.chars().all(char::is_alphabetic)
                    && !original
                        .split(|c: char| !is_part(c))
                        .all(|word| is_own(&word.to_lowercase()));
                if telling && text.contains(original) {
                    return Some(original.to_owned());
                }
            }
        }
        None
    }

    /// The first leak in the texts of a document, keys left out. `is_prose`
    /// says of a key whether this program wrote its text.
    pub fn leak_in(&self, document: &Value, is_prose: fn(&str) -> bool) -> Option<String> {
        let mut open = vec![(document, "")];
        while let Some((value, key)) = open.pop() {
            match value {
                Value::Object(map) => {
                    open.extend(map.iter().map(|(key, value)| (value, key.as_str())));
                }
                Value::Array(items) => open.extend(items.iter().map(|item| (item, key))),
                Value::String(text) if !is_kept(key) => {
                    if let Some(found) = self.leak(text, is_prose(key)) {
                        return Some(found);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// A word of PostgreSQL's own.
fn is_own(word: &str) -> bool {
    word.is_empty()
        || words::is_given(word)
        || words::is_reserved(word)
        || words::is_syntax(word)
        || words::is_type(word)
        || words::is_function(word)
        || words::is_explained(word)
}

/// Keys whose text is a name, and of what.
fn name_key(key: &str) -> Option<Kind> {
    Some(match key {
        "Relation Name" | "Relation" => Kind::Table,
        "Schema" => Kind::Schema,
        "Alias" => Kind::Alias,
        "Index Name" | "Conflict Arbiter Indexes" => Kind::Index,
        "Function Name" | "Table Function Name" => Kind::Function,
        "CTE Name" => Kind::Cte,
        "Tuplestore Name" => Kind::Other,
        "Trigger Name" => Kind::Trigger,
        "Constraint Name" => Kind::Constraint,
        _ => return None,
    })
}

/// Keys whose text is one of EXPLAIN's own words.
fn is_kept(key: &str) -> bool {
    matches!(
        key,
        "Node Type"
            | "Parent Relationship"
            | "Join Type"
            | "Strategy"
            | "Partial Mode"
            | "Command"
            | "Operation"
            | "Scan Direction"
            | "Sort Method"
            | "Sort Methods Used"
            | "Sort Space Type"
            | "Storage"
            | "Cache Mode"
            | "Conflict Resolution"
            | "Custom Plan Provider"
            | "Sampling Method"
            | "Format"
            | "Query Identifier"
    )
}

#[cfg(test)]
mod tests;
