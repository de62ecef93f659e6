//! Options of `check`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{EngineChoice, FailOn};
use crate::migration::Framework;

pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  # All migrations of a folder; no server is needed
  pgadvise check migrations/

  # Only what a branch adds; the files before it are replayed for the schema
  pgadvise check migrations/ --since origin/main

  # With the sizes of production: how long locks are held
  pgadvise check migrations/ --since origin/main --snapshot prod.pgsnap

  # In CI: annotations for the pull request, and a file for code scanning
  pgadvise check migrations/ --format github -o sarif=check.sarif

  # Take up what there is, and fail on what is new
  pgadvise check migrations/ --baseline baseline.json --write-baseline
  pgadvise check migrations/ --baseline baseline.json

Exit codes:
  0  done; nothing was found at or above --fail-on
  1  done; something was
  2  some of the work could not be done; the rest is shown

To silence a finding, write before, in or behind the statement:
  -- pgadvise: ignore RULE (reason)
and for a whole file:
  -- pgadvise: ignore-file RULE (reason)";

/// Options of `check`.
#[derive(Debug, Default, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct CheckArgs {
    /// Files and folders of migrations; - is standard input
    /// [default: paths of [check] in pgadvise.toml]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Report only files that are new or changed since this revision of git; the others are
    /// replayed for the schema
    #[arg(long, value_name = "REV", help_heading = "Which files are new", conflicts_with_all = ["changed", "changed_from"])]
    pub since: Option<String>,
    /// Report only these files; the others are replayed for the schema. May be repeated
    #[arg(long, value_name = "FILE", help_heading = "Which files are new")]
    pub changed: Vec<PathBuf>,
    /// The same, with one path on each line of a file; - is standard input
    #[arg(long, value_name = "LIST", help_heading = "Which files are new")]
    pub changed_from: Option<PathBuf>,
    /// What runs the migrations [default: told from the files]
    #[arg(long, value_name = "NAME", help_heading = "Which files are new", value_parser = framework)]
    pub framework: Option<Framework>,

    /// The server's major version, 13 to 18 [default: the snapshot's, or that of pgadvise.toml]
    #[arg(long, value_name = "MAJOR", help_heading = "The database", value_parser = clap::value_parser!(u16).range(13..=18))]
    pub pg_version: Option<u16>,
    /// A snapshot that `pgadvise snapshot` took: sizes of tables say how long locks are held
    #[arg(long, value_name = "FILE", help_heading = "The database")]
    pub snapshot: Option<PathBuf>,
    /// Apply the migrations to a throw-away PostgreSQL, and tell locks, rewrites and scans as they
    /// happened
    #[arg(long, help_heading = "The database")]
    pub trace: bool,
    /// Queries whose plans are compared before and after: files or folders of SQL, exports of
    /// `pg_stat_statements`, logs. May be repeated
    #[arg(long, value_name = "PATH", help_heading = "The database")]
    pub workload: Vec<PathBuf>,
    /// A query of the workload becomes slower when another plan costs more than so many times as
    /// much [default: 1.1]
    #[arg(long, value_name = "FACTOR", help_heading = "The database", value_parser = slower_factor)]
    pub slower_factor: Option<f64>,
    /// And costs at least so many units more [default: 100]
    #[arg(long, value_name = "COST", help_heading = "The database", value_parser = slower_cost)]
    pub slower_cost: Option<f64>,
    /// On which PostgreSQL migrations are tried [default: auto: an installed one of the same major
    /// version, else the embedded one]
    #[arg(long, value_name = "ENGINE", help_heading = "The database")]
    pub engine: Option<EngineChoice>,
    /// Where the programs of an installed PostgreSQL are (initdb, postgres)
    #[arg(long, value_name = "FOLDER", help_heading = "The database")]
    pub pg_bin: Option<PathBuf>,

    /// Run this rule although it is off by default. May be repeated
    #[arg(long, value_name = "RULE", help_heading = "Rules")]
    pub enable: Vec<String>,
    /// Do not run this rule. May be repeated
    #[arg(long, value_name = "RULE", help_heading = "Rules")]
    pub disable: Vec<String>,
    /// Run no other rule than this. May be repeated
    #[arg(long, value_name = "RULE", help_heading = "Rules", conflicts_with_all = ["enable", "disable"])]
    pub only: Vec<String>,
    /// Findings of this file are known: they are counted and do not fail the run
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    pub baseline: Option<PathBuf>,
    /// Write the findings into the baseline instead of comparing with it
    /// [default file: pgadvise-baseline.json]
    #[arg(long, help_heading = "Rules")]
    pub write_baseline: bool,
    /// Exit with 1 when something is found at this level or above [default: warning]
    #[arg(long, value_name = "LEVEL", help_heading = "Rules")]
    pub fail_on: Option<FailOn>,

    /// Edit the files where that is safe, and checked again
    #[arg(long, help_heading = "Fixing")]
    pub fix: bool,
    /// Print what --fix would do, as a diff, and change nothing
    #[arg(long, help_heading = "Fixing")]
    pub diff: bool,

    /// The form of the report on standard output [default: text; github in a workflow of GitHub]
    #[arg(long, value_name = "FORMAT", help_heading = "The report")]
    pub format: Option<CheckFormat>,
    /// Write the report to this file, too; its form is told by FORMAT= before the name, or by the
    /// name's ending. May be repeated
    #[arg(short, long, value_name = "[FORMAT=]FILE", help_heading = "The report", value_parser = output)]
    pub output: Vec<CheckOutput>,
    /// Leave out what matters least where Markdown is longer than so many bytes; the default fits
    /// a comment on GitHub [default: 65000]
    #[arg(long, value_name = "N", help_heading = "The report", value_parser = clap::value_parser!(u64).range(2000..))]
    pub max_bytes: Option<u64>,
    /// Append the report as Markdown to this file, too, as job summaries are
    /// [default: `GITHUB_STEP_SUMMARY`, with the format github]
    #[arg(long, value_name = "FILE", help_heading = "The report")]
    pub job_summary: Option<PathBuf>,
}

/// Forms of what `check` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For a terminal
    Text,
    /// For programs; the schema is docs/check.schema.json
    Json,
    /// Annotations of a workflow of GitHub
    Github,
    /// For code scanning (SARIF 2.1.0)
    Sarif,
    /// A code quality report of GitLab
    Gitlab,
    /// For what shows results of tests
    Junit,
    /// For a comment on a pull request
    Markdown,
}

impl CheckFormat {
    /// The form that the name of an output asks for.
    pub fn of_file(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "txt" | "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            "sarif" => Some(Self::Sarif),
            "xml" => Some(Self::Junit),
            "md" | "markdown" => Some(Self::Markdown),
            _ => None,
        }
    }

    /// Its name among the renderers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Github => "github",
            Self::Sarif => "sarif",
            Self::Gitlab => "gitlab",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
        }
    }
}

/// A file that the report is written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOutput {
    /// In which form.
    pub format: CheckFormat,
    /// The file.
    pub path: PathBuf,
}

fn output(text: &str) -> Result<CheckOutput, String> {
    let names = || {
        CheckFormat::value_variants()
            .iter()
            .map(|format| format.name())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (format, path) = match text.split_once('=') {
        Some((format, path)) if !format.contains(['/', '\\', '.']) => (
            Some(
                CheckFormat::from_str(format, false)
                    .map_err(|_| format!("there is no format {format}: {}", names()))?,
            ),
            path,
        ),
        _ => (None, text),
    };
    if path.is_empty() {
        return Err("the name of a file is expected behind FORMAT=".to_owned());
    }
    let path = PathBuf::from(path);
    let format = format
        .or_else(|| CheckFormat::of_file(&path))
        .ok_or_else(|| {
            format!(
                "the name does not say in which form: write FORMAT={} with one of {}",
                path.display(),
                names()
            )
        })?;
    Ok(CheckOutput { format, path })
}

fn framework(text: &str) -> Result<Framework, String> {
    Framework::named(text).ok_or_else(|| {
        let names: Vec<&str> = Framework::ALL
            .iter()
            .map(|framework| framework.name())
            .collect();
        match crate::advise::suppress::nearest(text, &names) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known: {}", names.join(", ")),
        }
    })
}

fn slower_factor(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|factor| factor.is_finite() && *factor >= 1.0)
        .ok_or_else(|| "expected a number from 1".to_owned())
}

fn slower_cost(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|cost| cost.is_finite() && *cost >= 0.0)
        .ok_or_else(|| "expected a number from 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_says_its_form_before_or_by_its_name() {
        let sarif = output("sarif=out/x.json").expect("good");
        assert_eq!(sarif.format, CheckFormat::Sarif);
        assert_eq!(sarif.path, PathBuf::from("out/x.json"));
        assert_eq!(output("a.xml").expect("good").format, CheckFormat::Junit);
        assert_eq!(
            output("./a=b.md").expect("good").format,
            CheckFormat::Markdown
        );
        assert!(output("html=a").expect_err("no such").contains("sarif"));
        assert!(output("a.bin").is_err());
        assert!(output("json=").is_err());
    }
}
