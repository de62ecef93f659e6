//! Options of `diff` and `redact`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(super) const DIFF_EXAMPLES: &str = "\
Examples:
  # Before and after a change
  pgadvise diff before.json after.txt

  # In CI: fail when a query takes half as long again
  pgadvise diff main.json branch.json --tolerance 50 --format markdown -o comment.md

  # The plan on the clipboard against one that was kept
  pbpaste | pgadvise diff kept.txt - -o diff.html

Files with several plans are compared plan by plan: those of the same query text or query
identifier, else in order.

Exit codes:
  0  done; no plan is worse beyond the tolerance
  1  done; a plan is
  2  something could not be read or compared";

pub(super) const REDACT_EXAMPLES: &str = "\
Examples:
  # A plan for a mailing list: its shape, its numbers, and nothing of yours
  pgadvise redact plan.txt -o plan.json

  # Only the values are secret
  pgadvise redact plan.txt --keep names

  # The report on a plan, redacted
  pgadvise report plan.txt --redact --format markdown

Exit codes:
  0  done
  2  something could not be read, or nothing is shown as it would not be hidden";

/// Options of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The plan before, as EXPLAIN prints it in any format; - is standard input
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The plan after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// Count a difference only beyond so many percent [default: 20]
    #[arg(long, value_name = "PERCENT", value_parser = tolerance)]
    pub tolerance: Option<f64>,
    /// Judge by this [default: by time where both plans were timed, else by buffers, else by cost
    /// where both were planned from the same estimates]
    #[arg(long, value_name = "MEASURE")]
    pub measure: Option<DiffMeasure>,
    /// Put stand-ins in the place of literals, names, or both [default: all]
    ///
    /// The same name and the same literal have the same stand-in everywhere, in the plan, the SQL and
    /// what is said about them, so that the result can be shown to others. What is not hidden is in
    /// docs/redact.md. Not with a planner, which knows tables by their true names.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    pub redact: Option<RedactWhat>,
    /// The form of the comparison [default: by the name of the output, else text]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<DiffFormat>,
    /// Write the comparison to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Options of `redact`.
#[derive(Debug, Args)]
pub struct RedactArgs {
    /// Plans, as EXPLAIN prints them in any format; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Keep these as they are
    #[arg(long, value_name = "WHAT")]
    pub keep: Option<Keep>,
    /// Write the plans to this file instead of standard output, as EXPLAIN (FORMAT JSON) does
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What `redact` keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keep {
    /// Constants in conditions and statements
    Literals,
    /// Names of tables, columns, indexes, functions
    Names,
}

/// What `--redact` hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RedactWhat {
    /// Constants in conditions and statements
    Literals,
    /// Names of tables, columns, indexes, functions
    Names,
    /// Both
    All,
}

/// What plans are judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffMeasure {
    /// The time of execution
    Time,
    /// Blocks touched, found in buffers or read: repeatable where times are not
    Buffers,
    /// The planner's cost, whatever it was reckoned from
    Cost,
}

/// Forms of what `diff` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    /// For a terminal
    Text,
    /// For programs; the schema is docs/diff.schema.json
    Json,
    /// For a pull request
    Markdown,
    /// One page that needs nothing beside it
    Html,
}

impl DiffFormat {
    /// Its name among the renderers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Markdown => "markdown",
            Self::Html => "html",
        }
    }
}

fn tolerance(text: &str) -> Result<f64, String> {
    text.trim_end_matches('%')
        .trim_end()
        .parse::<f64>()
        .ok()
        .filter(|percent| percent.is_finite() && *percent >= 0.0)
        .ok_or_else(|| "a percentage of 0 or more is expected".to_owned())
}
