//! `pgadvise.toml`: defaults of options, levels of rules, suppressions.
//!
//! It is read strictly: a key that does nothing would be a trap. What the
//! options mean is the command line's.

mod check;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::InputError;
use crate::finding::Level;

pub use check::{CheckConfig, PathRules};

/// Level by rule; `None` is off.
pub type Levels = BTreeMap<String, Option<Level>>;

/// The file's name.
pub const FILE_NAME: &str = "pgadvise.toml";

/// Keys at the top: options of `explain` by their long names.
const OPTIONS: &[&str] = &[
    "color", "engine", "fail-on", "format", "min-gain", "pg-bin", "schema", "snapshot", "timeout",
    "verify", "rules", "suppress", "check", "paths",
];
/// Keys of a suppression.
const SUPPRESSION: &[&str] = &["rule", "file", "relation", "reason"];

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Where it was found.
    pub path: Option<PathBuf>,
    /// `color`.
    pub color: Option<String>,
    /// `engine`.
    pub engine: Option<String>,
    /// `fail-on`.
    pub fail_on: Option<String>,
    /// `format`.
    pub format: Option<String>,
    /// `min-gain`, in percent.
    pub min_gain: Option<f64>,
    /// `pg-bin`, relative to the file's folder.
    pub pg_bin: Option<PathBuf>,
    /// `schema`, relative to the file's folder.
    pub schema: Vec<PathBuf>,
    /// `snapshot`, relative to the file's folder.
    pub snapshot: Option<PathBuf>,
    /// `timeout`, in seconds.
    pub timeout: Option<u64>,
    /// `verify`.
    pub verify: Option<bool>,
    /// `[rules]`: `None` is off.
    pub rules: Levels,
    /// Rules of `[rules]` that are switched on at their usual level.
    pub rules_on: BTreeSet<String>,
    /// `[[suppress]]`.
    pub suppressions: Vec<FileSuppression>,
    /// `[check]`.
    pub check: CheckConfig,
    /// `[[paths]]`.
    pub paths: Vec<PathRules>,
}

/// One `[[suppress]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSuppression {
    /// The rule.
    pub rule: String,
    /// Only in files of that name; `*`, `**` and `?` stand for others.
    pub file: Option<String>,
    /// Only about that table.
    pub relation: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl FileSuppression {
    /// Whether it is about that file.
    pub fn concerns_file(&self, name: &str) -> bool {
        self.file
            .as_deref()
            .is_none_or(|pattern| matches_file(pattern, name))
    }
}

/// Whether a pattern is for a file: one without `/` is compared with the
/// file's name alone.
fn matches_file(pattern: &str, name: &str) -> bool {
    let name = name.strip_prefix("./").unwrap_or(name);
    matches_glob(pattern, name)
        || (!pattern.contains('/')
            && name
                .rsplit('/')
                .next()
                .is_some_and(|file| matches_glob(pattern, file)))
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// It is not TOML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The reader's word.
        message: String,
    },
    /// A key that means nothing.
    #[error("{}:{line}: unknown key {key}{}", path.display(), if table.is_empty() { String::new() } else { format!(" in {table}") })]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The table it stands in; empty at the top.
        table: &'static str,
        /// The nearest that means something.
        nearest: Option<String>,
        /// All that mean something there.
        known: Vec<String>,
    },
    /// A value of the wrong kind.
    #[error("{}:{line}: {key} must be {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What it must be.
        expected: String,
    },
}

impl ConfigError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Input(error) => Some(error.hint()),
            Self::Syntax { .. } => Some("docs/configuration.md has an example".to_owned()),
            Self::UnknownKey {
                nearest: Some(nearest),
                ..
            } => Some(format!("did you mean {nearest}?")),
            Self::UnknownKey {
                table: "[rules]" | "[paths.rules]",
                ..
            } => Some("pgadvise rules lists them".to_owned()),
            Self::UnknownKey { known, .. } => Some(format!("known keys: {}", known.join(", "))),
            Self::Value { .. } => None,
        }
    }
}

/// Finds `pgadvise.toml` in the folder or the nearest above it.
pub fn find(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .map(|folder| folder.join(FILE_NAME))
        .find(|path| path.is_file())
}

/// Reads a configuration file. An empty one says nothing.
pub fn load(path: &Path, rules: &[&str]) -> Result<Config, ConfigError> {
    let text = match super::read(path) {
        Ok(text) => text,
        Err(InputError::Empty { .. }) => String::new(),
        Err(error) => return Err(error.into()),
    };
    parse(path, &text, rules)
}

/// Reads the text of a configuration file; `rules` are the names that exist.
pub fn parse(path: &Path, text: &str, rules: &[&str]) -> Result<Config, ConfigError> {
    let reader = Reader { path, text, rules };
    let table = DeTable::parse(text).map_err(|error| {
        let (line, column) = reader.place(error.span().map_or(0, |span| span.start));
        ConfigError::Syntax {
            path: path.to_owned(),
            line,
            column,
            message: error.message().to_owned(),
        }
    })?;
    reader.config(table.get_ref())
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    rules: &'a [&'a str],
}

impl Reader<'_> {
    fn config(&self, table: &DeTable<'_>) -> Result<Config, ConfigError> {
        let mut config = Config {
            path: Some(self.path.to_owned()),
            ..Config::default()
        };
        for (key, value) in table {
            // Options are spelled as on the command line; underscores are
            // taken too, as many TOML files have them.
            match key.get_ref().replace('_', "-").as_str() {
                "color" => {
                    config.color =
                        Some(self.one_of("color", value, &["auto", "always", "never"])?);
                }
                "engine" => {
                    config.engine =
                        Some(self.one_of("engine", value, &["auto", "embedded", "native"])?);
                }
                "fail-on" => {
                    config.fail_on = Some(self.one_of(
                        "fail-on",
                        value,
                        &["note", "warning", "critical", "never"],
                    )?);
                }
                "format" => {
                    config.format = Some(self.one_of(
                        "format",
                        value,
                        &["text", "json", "markdown", "html"],
                    )?);
                }
                "min-gain" => config.min_gain = Some(self.percent(value)?),
                "pg-bin" => config.pg_bin = Some(self.path("pg-bin", value)?),
                "schema" => config.schema = self.paths("schema", value)?,
                "snapshot" => config.snapshot = Some(self.path("snapshot", value)?),
                "timeout" => {
                    let seconds = self.number("timeout", value, "a number of seconds from 1")?;
                    if seconds < 1.0 || seconds.fract() != 0.0 {
                        return Err(self.value("timeout", value, "a number of seconds from 1"));
                    }
                    config.timeout = Some(seconds as u64);
                }
                "verify" => {
                    config.verify = Some(
                        value
                            .get_ref()
                            .as_bool()
                            .ok_or_else(|| self.value("verify", value, "true or false"))?,
                    );
                }
                "rules" => {
                    let (levels, on) = self.levels(value, "[rules]")?;
                    config.rules = levels;
                    config.rules_on = on;
                }
                "check" => config.check = self.check(value)?,
                "paths" => config.paths = self.path_rules(value)?,
                "suppress" => config.suppressions = self.suppressions(value)?,
                _ => return Err(self.unknown(key.get_ref(), key.span().start, "", OPTIONS)),
            }
        }
        if !config.schema.is_empty()
            && let Some((_, value)) = table
                .iter()
                .find(|(key, _)| key.get_ref().as_ref() == "snapshot")
        {
            return Err(self.value("snapshot", value, "left out where schema is given"));
        }
        Ok(config)
    }

    /// A path, relative to the file's folder.
    fn path(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<PathBuf, ConfigError> {
        let text = value
            .get_ref()
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.value(key, value, "a path in quotes"))?;
        Ok(self.folder().join(text))
    }

    /// Levels of rules, and those that are only switched on.
    fn levels(
        &self,
        value: &Spanned<DeValue<'_>>,
        name: &'static str,
    ) -> Result<(Levels, BTreeSet<String>), ConfigError> {
        let table = value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.value("rules", value, "a table: [rules]"))?;
        let mut levels = BTreeMap::new();
        let mut on = BTreeSet::new();
        for (key, value) in table {
            let rule = self.rule(key.get_ref(), key.span().start, name)?;
            let level = match self
                .one_of(&rule, value, &["off", "on", "note", "warning", "critical"])?
                .as_str()
            {
                "on" => {
                    on.insert(rule);
                    continue;
                }
                "note" => Some(Level::Note),
                "warning" => Some(Level::Warning),
                "critical" => Some(Level::Critical),
                _ => None,
            };
            levels.insert(rule, level);
        }
        Ok((levels, on))
    }

    fn suppressions(
        &self,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<FileSuppression>, ConfigError> {
        let entries = value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.value("suppress", value, "a list of tables: [[suppress]]"))?;
        let mut suppressions = Vec::new();
        for entry in entries {
            let table = entry
                .get_ref()
                .as_table()
                .ok_or_else(|| self.value("suppress", entry, "a table: [[suppress]]"))?;
            let mut suppression = FileSuppression::default();
            for (key, value) in table {
                let name: &str = key.get_ref();
                let text = || {
                    value
                        .get_ref()
                        .as_str()
                        .map(str::to_owned)
                        .ok_or_else(|| self.value(name, value, "a text in quotes"))
                };
                match name {
                    "rule" => {
                        suppression.rule =
                            self.rule(&text()?, value.span().start, "[[suppress]]")?;
                    }
                    "file" => suppression.file = Some(text()?),
                    "relation" => suppression.relation = Some(text()?),
                    "reason" => suppression.reason = Some(text()?),
                    _ => {
                        return Err(self.unknown(
                            name,
                            key.span().start,
                            "[[suppress]]",
                            SUPPRESSION,
                        ));
                    }
                }
            }
            if suppression.rule.is_empty() {
                return Err(self.value("rule in [[suppress]]", entry, "given"));
            }
            if suppression
                .reason
                .as_deref()
                .is_none_or(|why| why.trim().is_empty())
            {
                return Err(self.value(
                    "reason in [[suppress]]",
                    entry,
                    "given, so that others know why",
                ));
            }
            suppressions.push(suppression);
        }
        Ok(suppressions)
    }

    fn rule(&self, name: &str, at: usize, table: &'static str) -> Result<String, ConfigError> {
        if self.rules.contains(&name) {
            Ok(name.to_owned())
        } else {
            Err(self.unknown(name, at, table, self.rules))
        }
    }

    fn one_of(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        choices: &[&str],
    ) -> Result<String, ConfigError> {
        match value.get_ref().as_str() {
            Some(text) if choices.contains(&text) => Ok(text.to_owned()),
            _ => {
                let quoted: Vec<String> = choices
                    .iter()
                    .map(|choice| format!("\"{choice}\""))
                    .collect();
                Err(self.value(key, value, &format!("one of {}", quoted.join(", "))))
            }
        }
    }

    fn percent(&self, value: &Spanned<DeValue<'_>>) -> Result<f64, ConfigError> {
        let percent = self.number("min-gain", value, "a percentage from 0 to 100")?;
        if (0.0..=100.0).contains(&percent) {
            Ok(percent)
        } else {
            Err(self.value("min-gain", value, "a percentage from 0 to 100"))
        }
    }

    fn number(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: &str,
    ) -> Result<f64, ConfigError> {
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => return Err(self.value(key, value, expected)),
        };
        text.replace('_', "")
            .parse()
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| self.value(key, value, expected))
    }

    /// The folder that the file stands in.
    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or_else(|| Path::new(""))
    }

    /// A path or a list of paths, taken from the folder of the file.
    fn paths(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<Vec<PathBuf>, ConfigError> {
        let expected = "a path or a list of paths in quotes";
        let folder = self.folder();
        match value.get_ref() {
            DeValue::String(path) => Ok(vec![folder.join(path.as_ref())]),
            DeValue::Array(paths) => paths
                .iter()
                .map(|path| {
                    path.get_ref()
                        .as_str()
                        .map(|path| folder.join(path))
                        .ok_or_else(|| self.value(key, path, expected))
                })
                .collect(),
            _ => Err(self.value(key, value, expected)),
        }
    }

    fn value(&self, key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> ConfigError {
        ConfigError::Value {
            path: self.path.to_owned(),
            line: self.place(value.span().start).0,
            key: key.to_owned(),
            expected: expected.to_owned(),
        }
    }

    fn unknown(&self, key: &str, at: usize, table: &'static str, known: &[&str]) -> ConfigError {
        ConfigError::UnknownKey {
            path: self.path.to_owned(),
            line: self.place(at).0,
            key: key.to_owned(),
            table,
            nearest: crate::advise::suppress::nearest(key, known).map(str::to_owned),
            known: known.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let head = self.text.get(..offset).unwrap_or(self.text);
        let line = head.matches('\n').count() + 1;
        let column = head
            .rsplit('\n')
            .next()
            .map_or(0, |rest| rest.chars().count())
            + 1;
        (line, column)
    }
}

/// Whether the name has that form: `?` is one character, `*` any but `/`, `**`
/// any.
fn matches_glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // reached[i]: the pattern so far matches the first i characters.
    let mut reached = vec![false; name.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    let mut at = 0;
    while let Some(&c) = pattern.get(at) {
        at += 1;
        let double = c == '*' && pattern.get(at) == Some(&'*');
        if double {
            at += 1;
            // `**/` stands for no folder as well.
            if pattern.get(at) == Some(&'/') {
                let rest: String = pattern.get(at + 1..).unwrap_or_default().iter().collect();
                return reached.iter().enumerate().any(|(from, here)| {
                    *here
                        && (from..=name.len()).any(|start| {
                            (start == from || name.get(start.wrapping_sub(1)) == Some(&'/'))
                                && matches_glob(
                                    &rest,
                                    &name
                                        .get(start..)
                                        .unwrap_or_default()
                                        .iter()
                                        .collect::<String>(),
                                )
                        })
                });
            }
        }
        let mut next = vec![false; name.len() + 1];
        let mut running = false;
        for (i, slot) in next.iter_mut().enumerate() {
            let before = i.checked_sub(1);
            let last = before.and_then(|before| name.get(before)).copied();
            let from_before = before
                .and_then(|before| reached.get(before))
                .copied()
                .unwrap_or(false);
            let here = reached.get(i).copied().unwrap_or(false);
            *slot = if c == '*' {
                running = here || (running && (double || last != Some('/')));
                running
            } else if c == '?' {
                from_before && last != Some('/')
            } else {
                from_before && last == Some(c)
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &[&str] = &["deep-offset", "leading-wildcard"];

    fn read(text: &str) -> Result<Config, ConfigError> {
        parse(Path::new("conf/pgadvise.toml"), text, RULES)
    }

    #[test]
    fn everything_that_can_be_said_is_read() {
        let config = read(
            "format = \"json\"\nfail_on = \"warning\"\ntimeout = 30\nmin-gain = 2.5\n\
             schema = [\"schema.sql\"]\nverify = false\n\
             [rules]\ndeep-offset = \"off\"\nleading-wildcard = \"critical\"\n\
             [[suppress]]\nrule = \"deep-offset\"\nfile = \"reports/*.sql\"\nreason = \"few pages\"\n",
        )
        .expect("a good file");
        assert_eq!(config.format.as_deref(), Some("json"));
        assert_eq!(config.fail_on.as_deref(), Some("warning"));
        assert_eq!(config.timeout, Some(30));
        assert_eq!(config.min_gain, Some(2.5));
        assert_eq!(config.schema, [PathBuf::from("conf/schema.sql")]);
        assert_eq!(config.verify, Some(false));
        assert_eq!(config.rules.get("deep-offset"), Some(&None));
        assert_eq!(
            config.rules.get("leading-wildcard"),
            Some(&Some(Level::Critical))
        );
        let suppression = config.suppressions.first().expect("one");
        assert!(suppression.concerns_file("reports/a.sql"));
        assert!(!suppression.concerns_file("orders.sql"));
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = read("snapshot = \"a.pgsnap\"\npg_bin = \"/bin\"\nengine = \"native\"")
            .expect("a good file");
        assert_eq!(config.snapshot, Some(PathBuf::from("conf/a.pgsnap")));
        assert_eq!(config.pg_bin, Some(PathBuf::from("/bin")));
        assert_eq!(config.engine.as_deref(), Some("native"));
    }

    #[test]
    fn a_key_that_means_nothing_is_named_with_its_line_and_the_nearest() {
        let error = read("format = \"json\"\ntimeuot = 3\n").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "conf/pgadvise.toml:2: unknown key timeuot"
        );
        assert_eq!(error.hint().as_deref(), Some("did you mean timeout?"));

        let error = read("\n[rules]\ndeep-ofset = \"off\"\n").expect_err("unknown");
        assert_eq!(
            error.to_string(),
            "conf/pgadvise.toml:3: unknown key deep-ofset in [rules]"
        );
        assert_eq!(error.hint().as_deref(), Some("did you mean deep-offset?"));
    }

    #[test]
    fn a_value_of_the_wrong_kind_says_what_it_must_be() {
        for (text, says) in [
            ("timeout = \"x\"", "timeout must be a number of seconds"),
            ("timeout = 0", "timeout must be a number of seconds"),
            ("format = \"xml\"", "format must be one of \"text\""),
            ("min-gain = 101", "min-gain must be a percentage"),
            (
                "[rules]\ndeep-offset = \"loud\"",
                "deep-offset must be one of \"off\"",
            ),
            (
                "[[suppress]]\nrule = \"deep-offset\"",
                "reason in [[suppress]] must be given",
            ),
            ("suppress = 1", "suppress must be a list of tables"),
            ("snapshot = 1", "snapshot must be a path"),
            (
                "snapshot = \"a.pgsnap\"\nschema = \"a.sql\"",
                "snapshot must be left out where schema is given",
            ),
            ("engine = \"oracle\"", "engine must be one of \"auto\""),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn broken_toml_is_told_with_its_place() {
        let error = read("format = \n").expect_err("broken");
        assert!(
            error.to_string().starts_with("conf/pgadvise.toml:1:"),
            "{error}"
        );
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, matches) in [
            ("*.sql", "a.sql", true),
            ("*.sql", "a/b.sql", false),
            ("a/*.sql", "a/b.sql", true),
            ("**/*.sql", "a.sql", true),
            ("**/*.sql", "a/b/c.sql", true),
            ("a/**", "a/b/c.sql", true),
            ("a/**/c.sql", "a/c.sql", true),
            ("a/**/c.sql", "a/xc.sql", false),
            ("q?.sql", "q1.sql", true),
            ("q?.sql", "q12.sql", false),
            ("", "a", false),
        ] {
            assert_eq!(matches_glob(pattern, name), matches, "{pattern} {name}");
        }
    }
}
