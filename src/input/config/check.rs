//! What `pgadvise.toml` says of migrations: `[check]` and `[[paths]]`.

use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use super::{ConfigError, Levels, Reader, matches_file};
use crate::migration::Framework;

/// Keys of `[check]`.
const CHECK: &[&str] = &[
    "paths",
    "framework",
    "pg-version",
    "fail-on",
    "baseline",
    "workload",
    "slower-factor",
    "slower-cost",
    "format",
    "read-rate",
    "write-rate",
    "index-rate",
    "change-rate",
    "rules-url",
];
/// Keys of `[[paths]]`.
const PATHS: &[&str] = &["file", "rules"];

/// `[check]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckConfig {
    /// `paths`, relative to the file's folder.
    pub paths: Vec<PathBuf>,
    /// `framework`.
    pub framework: Option<Framework>,
    /// `pg-version`.
    pub pg_version: Option<u16>,
    /// `fail-on`.
    pub fail_on: Option<String>,
    /// `baseline`, relative to the file's folder.
    pub baseline: Option<PathBuf>,
    /// `workload`, relative to the file's folder.
    pub workload: Vec<PathBuf>,
    /// `slower-factor`: a query is slower when it costs more than so many times
    /// as much.
    pub slower_factor: Option<f64>,
    /// `slower-cost`: and at least so many units more.
    pub slower_cost: Option<f64>,
    /// `format`.
    pub format: Option<String>,
    /// `read-rate`: MB of a table read in a second.
    pub read_rate: Option<f64>,
    /// `write-rate`: MB of a table written anew in a second.
    pub write_rate: Option<f64>,
    /// `index-rate`: rows put into an index in a second.
    pub index_rate: Option<f64>,
    /// `change-rate`: rows changed by UPDATE or DELETE in a second.
    pub change_rate: Option<f64>,
    /// `rules-url`: where the pages of rules are published.
    pub rules_url: Option<String>,
}

/// One `[[paths]]`: levels of rules in some files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathRules {
    /// Files of that name; `*`, `**` and `?` stand for others.
    pub file: String,
    /// Level by rule; `None` is off.
    pub rules: Levels,
}

impl PathRules {
    /// Whether it is about that file.
    pub fn concerns_file(&self, name: &str) -> bool {
        matches_file(&self.file, name)
    }
}

impl Reader<'_> {
    pub(super) fn check(&self, value: &Spanned<DeValue<'_>>) -> Result<CheckConfig, ConfigError> {
        let table = value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.value("check", value, "a table: [check]"))?;
        let mut check = CheckConfig::default();
        for (key, value) in table {
            match key.get_ref().replace('_', "-").as_str() {
                "paths" => check.paths = self.paths("paths", value)?,
                "framework" => check.framework = Some(self.framework(value)?),
                "pg-version" => check.pg_version = Some(self.major(value)?),
                "fail-on" => {
                    check.fail_on = Some(self.one_of(
                        "fail-on",
                        value,
                        &["note", "warning", "critical", "never"],
                    )?);
                }
                "baseline" => check.baseline = Some(self.path("baseline", value)?),
                "workload" => check.workload = self.paths("workload", value)?,
                "slower-factor" => {
                    let expected = "a number from 1";
                    let factor = self.number("slower-factor", value, expected)?;
                    if factor < 1.0 {
                        return Err(self.value("slower-factor", value, expected));
                    }
                    check.slower_factor = Some(factor);
                }
                "slower-cost" => {
                    let expected = "a number from 0";
                    let cost = self.number("slower-cost", value, expected)?;
                    if cost < 0.0 {
                        return Err(self.value("slower-cost", value, expected));
                    }
                    check.slower_cost = Some(cost);
                }
                "format" => {
                    check.format = Some(self.one_of(
                        "format",
                        value,
                        &[
                            "text", "json", "github", "sarif", "gitlab", "junit", "markdown",
                        ],
                    )?);
                }
                "read-rate" => check.read_rate = Some(self.rate("read-rate", value)?),
                "write-rate" => check.write_rate = Some(self.rate("write-rate", value)?),
                "index-rate" => check.index_rate = Some(self.rate("index-rate", value)?),
                "change-rate" => check.change_rate = Some(self.rate("change-rate", value)?),
                "rules-url" => check.rules_url = Some(self.address("rules-url", value)?),
                _ => {
                    return Err(self.unknown(key.get_ref(), key.span().start, "[check]", CHECK));
                }
            }
        }
        Ok(check)
    }

    fn framework(&self, value: &Spanned<DeValue<'_>>) -> Result<Framework, ConfigError> {
        let names: Vec<&str> = Framework::ALL
            .iter()
            .map(|framework| framework.name())
            .collect();
        let name = self.one_of("framework", value, &names)?;
        Ok(Framework::named(&name).unwrap_or_default())
    }

    /// A major version, as a number or in quotes.
    fn major(&self, value: &Spanned<DeValue<'_>>) -> Result<u16, ConfigError> {
        let text = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::String(text) => text,
            _ => "",
        };
        text.parse()
            .ok()
            .filter(|major| (13..=18).contains(major))
            .ok_or_else(|| self.value("pg-version", value, "a major version from 13 to 18"))
    }

    /// An address that can stand in every form of the report.
    fn address(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<String, ConfigError> {
        value
            .get_ref()
            .as_str()
            .filter(|text| text.starts_with("https://") || text.starts_with("http://"))
            .filter(|text| {
                text.bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"<>\"'()[]`|\\^".contains(&byte))
            })
            .map(str::to_owned)
            .ok_or_else(|| self.value(key, value, "an address that begins with https://"))
    }

    fn rate(&self, key: &str, value: &Spanned<DeValue<'_>>) -> Result<f64, ConfigError> {
        let expected = "a number above 0";
        let rate = self.number(key, value, expected)?;
        if rate > 0.0 {
            Ok(rate)
        } else {
            Err(self.value(key, value, expected))
        }
    }

    pub(super) fn path_rules(
        &self,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Vec<PathRules>, ConfigError> {
        let entries = value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.value("paths", value, "a list of tables: [[paths]]"))?;
        let mut all = Vec::new();
        for entry in entries {
            let table = entry
                .get_ref()
                .as_table()
                .ok_or_else(|| self.value("paths", entry, "a table: [[paths]]"))?;
            let mut one = PathRules::default();
            for (key, value) in table {
                match key.get_ref().as_ref() {
                    "file" => {
                        one.file = value
                            .get_ref()
                            .as_str()
                            .filter(|text| !text.is_empty())
                            .map(str::to_owned)
                            .ok_or_else(|| self.value("file", value, "a pattern in quotes"))?;
                    }
                    "rules" => {
                        let (levels, on) = self.levels(value, "[paths.rules]")?;
                        if let Some(rule) = on.first() {
                            return Err(self.value(
                                rule,
                                value,
                                "a level or \"off\" here: rules are switched on in [rules]",
                            ));
                        }
                        one.rules = levels;
                    }
                    _ => {
                        return Err(self.unknown(
                            key.get_ref(),
                            key.span().start,
                            "[[paths]]",
                            PATHS,
                        ));
                    }
                }
            }
            if one.file.is_empty() {
                return Err(self.value("file in [[paths]]", entry, "given"));
            }
            all.push(one);
        }
        Ok(all)
    }
}
