//! The command line as clap reads it, and the help that teaches it. What the
//! options do is for the commands.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

mod check;

use check::CHECK_EXAMPLES;
pub use check::{CheckArgs, CheckFormat, CheckOutput};

use super::compare_args::{DIFF_EXAMPLES, REDACT_EXAMPLES};
pub use super::compare_args::{DiffArgs, DiffFormat, DiffMeasure, Keep, RedactArgs, RedactWhat};

use crate::advise::why_not_flagged::Asked;

/// What the program is for, above the options.
const ABOUT: &str =
    "A query-optimization advisor for PostgreSQL: what is slow, why, and what exactly to change";

const LONG_ABOUT: &str = "\
A query-optimization advisor for PostgreSQL: what is slow, why, and what exactly to change.

pgadvise reads a query, asks a PostgreSQL planner for its plan, and looks at both together with \
the tables, indexes and statistics. It proposes indexes and rewrites, and tries each on the \
planner before it is shown: what you see beside a suggestion is the planner's own cost before and \
after.";

const EXAMPLES: &str = "\
Examples:
  # A query, and a file that creates its tables; no PostgreSQL is needed
  pgadvise explain orders.sql --schema schema.sql

  # Against a database; nothing is changed, and nothing is executed
  pgadvise explain orders.sql -d postgres://app@db/shop

  # A plan that you have already
  pgadvise explain --plan plan.json

  # What a rule looks for, and when it is wrong
  pgadvise rules seq-scan-behind-selective-filter

Exit codes:
  0  done; nothing was found at or above --fail-on
  1  done; something was
  2  some of the work could not be done; the rest is shown

Configuration: pgadvise.toml in this directory or one above it (docs/configuration.md).";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  # Tables, data and ANALYZE come from a schema file; an embedded PostgreSQL executes it
  pgadvise explain orders.sql --schema schema.sql

  # A database: plans and statistics are read in read-only transactions
  pgadvise explain orders.sql -d postgres://app@db/shop

  # Execute too, for real times and row counts; always rolled back
  pgadvise explain orders.sql -d service=shop --analyze

  # A plan from elsewhere, with its query; suggestions stay untested
  pgadvise explain orders.sql --plan plan.json

  # Standard input: a query or a plan
  psql -XAtc 'EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT …' | pgadvise explain -

  # What a change would do to the plan; nothing is changed
  pgadvise explain orders.sql --snapshot shop.pgsnap --what-if 'create index on orders (status)'
  pgadvise explain queries/*.sql --snapshot shop.pgsnap --what-if @migration.sql

  # In CI: fail on warnings, keep the report
  pgadvise explain queries/*.sql --schema schema.sql --fail-on warning --format json -o report.json

Words:
  plan        how PostgreSQL will run a query: a tree of nodes such as Seq Scan or Hash Join
  cost        the planner's own estimate of the work, in arbitrary units; only ratios mean anything
  self time   the time a node spends itself, without the nodes below it (executed plans only)
  off by      how far the planner's estimate of rows is from what came, where both are known
  verdict     what the planner said when a suggestion was tried: better, no change, worse, untested

To silence a finding, write before the statement:
  -- pgadvise: ignore RULE (reason)";

const REPORT_EXAMPLES: &str = "\
Examples:
  # One page with the plan, what is slow and why; it loads nothing from elsewhere
  pgadvise report plan.txt -o review.html

  # For a pull request or a ticket
  pbpaste | pgadvise report - --format markdown

  # Every plan that auto_explain logged, by query, worst first
  pgadvise report /var/log/postgresql/*.log --top 10

  # With the query and its tables: suggestions are tried on a planner
  pgadvise report plan.json --sql query.sql --schema schema.sql

Exit codes:
  0  done; nothing was found at or above --fail-on
  1  done; something was
  2  some of what was given could not be read; the rest is shown";

const SERVE_EXAMPLES: &str = "\
Examples:
  # Then open http://127.0.0.1:8432/ in a browser
  pgadvise serve

  # For programs; the report comes back, and Location is its link
  curl --data-binary @plan.txt 'http://127.0.0.1:8432/api/report?format=markdown'

  # For colleagues, who need the token (put TLS before it)
  PGADVISE_SERVE_TOKEN=$(openssl rand -hex 16) pgadvise serve --listen 0.0.0.0:8432

Addresses:
  /            the page
  /api/report  POST a plan; format=json (the default), markdown, html or text
  /r/ID        a report, until the server ends or 500 newer ones have come; format as above
  /metrics     counters for Prometheus
  /healthz     answers ok";

const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  # All that the planner knows about a database, in one file; a read-only role is enough
  pgadvise snapshot -d postgres://readonly@db/shop -o shop.pgsnap

  # Plan with it anywhere, as that server would
  pgadvise explain orders.sql --snapshot shop.pgsnap

  # Without any value of any row
  pgadvise snapshot -d service=shop -o shop.pgsnap --no-values

  # Two schemas, without the tables of logs
  pgadvise snapshot -d service=shop -o shop.pgsnap --schema shop --schema 'app_*' --exclude '*.log_*'

  # To be committed: the same bytes until something that plans depend on changes
  pgadvise snapshot -d service=shop -o shop.pgsnap --no-time

  # Do the snapshot's twin and the server plan alike?
  pgadvise snapshot --verify shop.pgsnap -d service=shop queries/*.sql

Exit codes:
  0  done; what could not be read is said
  1  --verify found plans that differ
  2  nothing could be taken or compared";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "pgadvise",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_long_help = EXAMPLES,
    after_help = "pgadvise --help shows examples; pgadvise COMMAND --help says more of a command.",
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output to the terminal")]
pub struct Global {
    /// When to use colours [default: auto: on a terminal, unless `NO_COLOR` is set]
    #[arg(long, global = true, value_name = "WHEN", hide_possible_values = false)]
    pub color: Option<ColorWhen>,
    /// Say more: all plan nodes and skipped rules, and what is being done; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say less: findings only, no plan, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Read this configuration instead of the nearest pgadvise.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the plan of each query, what is slow and why, and what to change
    #[command(after_long_help = EXPLAIN_EXAMPLES, after_help = "pgadvise explain --help shows examples and explains the words.")]
    Explain(Box<ExplainArgs>),
    /// Check migrations: locks, rewrites, lost data and slow queries, before they are run
    #[command(after_long_help = CHECK_EXAMPLES, after_help = "pgadvise check --help shows examples.")]
    Check(Box<CheckArgs>),
    /// Take a snapshot of a database: its schema, statistics and sizes, and none of its rows
    #[command(after_long_help = SNAPSHOT_EXAMPLES, after_help = "pgadvise snapshot --help shows examples.")]
    Snapshot(Box<SnapshotArgs>),
    /// Say why the planner does not use an index, and what would make it
    WhyNot(Box<WhyNotArgs>),
    /// Explain plans from elsewhere: a page, Markdown, or the terminal
    #[command(after_long_help = REPORT_EXAMPLES, after_help = "pgadvise report --help shows examples.")]
    Report(Box<ReportArgs>),
    /// Compare two plans of a query: what changed, what caused it, and whether it is a regression
    #[command(after_long_help = DIFF_EXAMPLES, after_help = "pgadvise diff --help shows examples.")]
    Diff(Box<DiffArgs>),
    /// Write plans with stand-ins in the place of names and literals, to be shown to others
    #[command(after_long_help = REDACT_EXAMPLES, after_help = "pgadvise redact --help shows examples.")]
    Redact(Box<RedactArgs>),
    /// Serve a page on this machine to paste a plan into
    #[command(after_long_help = SERVE_EXAMPLES, after_help = "pgadvise serve --help shows examples.")]
    Serve(ServeArgs),
    /// List the rules, or say what one does, needs, and when it is wrong
    Rules(RulesArgs),
    /// Print completions for a shell
    #[command(after_long_help = "\
Examples:
  pgadvise completions bash > ~/.local/share/bash-completion/completions/pgadvise
  pgadvise completions zsh > ~/.zfunc/_pgadvise
  pgadvise completions fish > ~/.config/fish/completions/pgadvise.fish")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a man page, in the format of man(1)
    #[command(after_long_help = "\
Example:
  pgadvise man explain | man -l -")]
    Man {
        /// The command whose page to print, instead of the program's
        command: Option<String>,
    },
    /// An installed server, kept by a process of its own
    #[command(name = "__native-server", hide = true)]
    NativeServer {
        /// Its own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// The embedded server, in a process of its own
    #[command(name = "__embedded-server", hide = true)]
    EmbeddedServer {
        /// Its own arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// SQL files, each with one or more queries, or plans (JSON); - is standard input
    #[arg(value_name = "FILE", required_unless_present = "plan")]
    pub files: Vec<PathBuf>,

    /// Where plans come from.
    #[command(flatten)]
    pub planner: PlannerArgs,

    /// A plan as EXPLAIN (FORMAT JSON) prints it, instead of asking a planner
    ///
    /// With several queries the file holds a JSON array with one plan for each, in order. Without
    /// FILE the plan is looked at by itself.
    #[arg(long, value_name = "FILE", help_heading = "Where plans come from")]
    pub plan: Option<PathBuf>,

    /// Execute each query (EXPLAIN ANALYZE), for real times and row counts
    ///
    /// The transaction is read-only and always rolled back. Statements that change data are
    /// refused without --analyze-writes.
    #[arg(long, help_heading = "Where plans come from", conflicts_with = "plan")]
    pub analyze: bool,

    /// With --analyze, execute statements that CHANGE DATA too, and roll them back
    ///
    /// Sequences advance all the same, locks are held and triggers fire while the statement runs,
    /// and what functions do outside the database is not undone.
    #[arg(long, help_heading = "Where plans come from", requires = "analyze")]
    pub analyze_writes: bool,

    /// Give up on a statement after so many seconds [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Where plans come from", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,

    /// Plan as if this SQL had been executed: indexes, constraints, settings, a whole migration.
    /// May be repeated; @FILE reads it from a file
    ///
    /// All of it is tried together, in order, on a throw-away PostgreSQL that is put back afterwards:
    /// CREATE and DROP INDEX, ALTER TABLE, CREATE STATISTICS, SET and whatever else a migration
    /// holds. For each query the cost and the plan are compared before and after. @- reads standard
    /// input. A database is never changed: the change is tried on its twin, made of a snapshot. A
    /// statement that the server refuses makes the exit code 2. docs/what-if.md says more.
    #[arg(long, value_name = "SQL", help_heading = "What if")]
    pub what_if: Vec<String>,

    /// How to advise, and what to write.
    #[command(flatten)]
    pub advice: AdviceArgs,
}

/// How to advise, and what to write.
#[derive(Debug, Clone, Default, Args)]
pub struct AdviceArgs {
    /// Apply the rules only; do not try suggestions on the planner
    #[arg(long, help_heading = "What is suggested")]
    pub no_verify: bool,

    /// Suggest an index only when it lowers the planner's cost by at least so many percent
    /// [default: 20]
    #[arg(long, value_name = "PERCENT", help_heading = "What is suggested", value_parser = percent)]
    pub min_gain: Option<f64>,

    /// Put stand-ins in the place of literals, names, or both [default: all]
    ///
    /// The same name and the same literal have the same stand-in everywhere, in the plan, the SQL and
    /// what is said about them, so that the result can be shown to others. What is not hidden is in
    /// docs/redact.md. Not with a planner, which knows tables by their true names.
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, default_missing_value = "all", help_heading = "The report")]
    pub redact: Option<RedactWhat>,

    /// The form of the report [default: by the name of the output, else text]
    #[arg(long, value_name = "FORMAT", help_heading = "The report")]
    pub format: Option<Format>,

    /// Write the report to this file instead of standard output
    #[arg(short, long, value_name = "FILE", help_heading = "The report")]
    pub output: Option<PathBuf>,

    /// Leave out what matters least where Markdown is longer than so many bytes; the default fits
    /// a comment on GitHub [default: 65000]
    #[arg(long, value_name = "N", help_heading = "The report", value_parser = clap::value_parser!(u64).range(2000..))]
    pub max_bytes: Option<u64>,

    /// Say of a plan node why rules did not report it: its number as shown, or all
    ///
    /// For one node, every rule that looks at such nodes says why it stayed silent; for all, only what
    /// was seen and not told is listed, with the numbers that decided.
    #[arg(long, value_name = "NODE", help_heading = "The report", value_parser = asked_node)]
    pub why_not_flagged: Option<Asked>,

    /// Exit with 1 when something is found at this level or above [default: never]
    #[arg(long, value_name = "LEVEL", help_heading = "The report")]
    pub fail_on: Option<FailOn>,

    /// The server that is to carry it.
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Where plans come from.
#[derive(Debug, Clone, Default, Args)]
pub struct PlannerArgs {
    /// A SQL file that creates the tables; an embedded PostgreSQL executes it. May be repeated:
    /// the files are executed in order
    ///
    /// It may hold everything that psql would execute, but for backslash commands: tables,
    /// indexes, views, functions, extensions that come with PostgreSQL, data (INSERT … SELECT …
    /// FROM `generate_series`) and ANALYZE. Plans are as good as the data: without rows and ANALYZE
    /// the planner guesses sizes.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Where plans come from",
        conflicts_with_all = ["dbname", "snapshot"]
    )]
    pub schema: Vec<PathBuf>,

    /// A database to ask: a name, a URI, or keywords ("host=db dbname=shop"), as psql takes them
    ///
    /// The usual PG* environment variables, the password file and service files are used as psql
    /// does. When neither this nor --schema nor --plan is given, but PGDATABASE, PGHOST or
    /// PGSERVICE is set, that database is asked. All is read in read-only transactions with time
    /// limits; nothing is created, and no lock above ACCESS SHARE is taken. Indexes are tried with
    /// hypopg where the database has it, else on a throw-away PostgreSQL on this machine that is
    /// given the database's schema, statistics and sizes.
    #[arg(
        short = 'd',
        long,
        value_name = "CONNINFO",
        help_heading = "Where plans come from"
    )]
    pub dbname: Option<String>,

    /// A snapshot that `pgadvise snapshot` took: plans are those of its server, at hand or not
    ///
    /// A throw-away PostgreSQL on this machine is given the snapshot's schema, statistics and sizes,
    /// and no rows; it plans as the server did from which the snapshot was taken.
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "Where plans come from",
        conflicts_with = "dbname"
    )]
    pub snapshot: Option<PathBuf>,

    /// Which PostgreSQL plans for a snapshot, and tries suggestions for a database without hypopg
    /// [default: auto: an installed one of the same major version, else the embedded one]
    #[arg(long, value_name = "ENGINE", help_heading = "Where plans come from")]
    pub engine: Option<EngineChoice>,

    /// Where the programs of an installed PostgreSQL are (initdb, postgres)
    #[arg(long, value_name = "FOLDER", help_heading = "Where plans come from")]
    pub pg_bin: Option<PathBuf>,
}

/// The server that is to carry the statements.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct ServerArgs {
    /// Processor cores of the server: says how many executions per second it can carry
    #[arg(long, value_name = "N", help_heading = "Capacity", value_parser = positive)]
    pub cores: Option<f64>,

    /// Executions per second: says how many connections, cores and workers are busy then
    #[arg(long, value_name = "R", help_heading = "Capacity", value_parser = positive)]
    pub rate: Option<f64>,

    /// Memory that statements may take together, such as 24GB
    #[arg(long, value_name = "SIZE", help_heading = "Capacity", value_parser = size)]
    pub memory: Option<f64>,

    /// What the storage reads per second, such as 800MB
    #[arg(long, value_name = "SIZE", help_heading = "Capacity", value_parser = size)]
    pub read_bandwidth: Option<f64>,
}

/// Which PostgreSQL plans for a snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// An installed one of the snapshot's major version, else the embedded one
    #[default]
    Auto,
    /// The embedded one: nothing needs to be installed
    Embedded,
    /// An installed one, of the snapshot's major version where there is one
    Native,
}

/// Options of `snapshot`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub struct SnapshotArgs {
    /// With --verify: SQL files whose statements are planned on both; without, statements are made
    /// from the schema
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The database to take a snapshot of: a name, a URI, or keywords, as psql takes them
    ///
    /// The usual PG* environment variables, the password file and service files are used as psql
    /// does. All is read in one read-only transaction with time limits; nothing is created, and no
    /// lock above ACCESS SHARE is taken.
    #[arg(short = 'd', long, value_name = "CONNINFO")]
    pub dbname: Option<String>,
    /// Write the snapshot to this file; - is standard output
    ///
    /// It is written whole or not at all, and never over a file that is no snapshot.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["show", "verify"])]
    pub output: Option<PathBuf>,
    /// Leave out every value: most common values, histogram bounds, ends of indexes
    ///
    /// Frequencies stay. Literals in the schema stay too: defaults, CHECK constraints, partial
    /// indexes, functions.
    #[arg(long, help_heading = "What it holds", conflicts_with_all = ["show", "verify", "redact"])]
    pub no_values: bool,
    /// Put stand-ins in the place of values, which keep order and shape
    ///
    /// Numbers and times are rounded, texts become other texts in the same order. What it costs in
    /// precision is in the snapshot and in docs/snapshot.md.
    #[arg(long, help_heading = "What it holds", conflicts_with_all = ["show", "verify"])]
    pub redact: bool,
    /// Take only tables of schemas of that name; * is any letters, ? is one. May be repeated
    ///
    /// As in psql, capital letters count as small ones outside double quotes. Partitions go with
    /// their table. Types, functions and other objects are taken all the same.
    #[arg(short = 'n', long, value_name = "PATTERN", help_heading = "What it holds", conflicts_with_all = ["show", "verify"])]
    pub schema: Vec<String>,
    /// Leave out tables of that name (schema.table, or table in any schema); * is any letters, ?
    /// is one. May be repeated
    #[arg(long, value_name = "PATTERN", help_heading = "What it holds", conflicts_with_all = ["show", "verify"])]
    pub exclude: Vec<String>,
    /// Leave out when it was taken and what was counted, for bytes that change only when plans may
    #[arg(long, help_heading = "What it holds", conflicts_with_all = ["show", "verify"])]
    pub no_time: bool,
    /// Write JSON with one property a line instead of compressing it, for diffs
    #[arg(long, help_heading = "What it holds", conflicts_with_all = ["show", "verify"])]
    pub plain: bool,
    /// Print this snapshot as --plain would write it, and do nothing else
    #[arg(long, value_name = "SNAPSHOT", conflicts_with_all = ["verify", "dbname", "files"])]
    pub show: Option<PathBuf>,
    /// Plan statements on the database (EXPLAIN only) and on this snapshot's twin, and compare
    ///
    /// Exits with 1 when a plan differs.
    #[arg(long, value_name = "SNAPSHOT")]
    pub verify: Option<PathBuf>,
    /// With --verify: which PostgreSQL plans for the snapshot [default: auto: an installed one of
    /// its major version, else the embedded one]
    #[arg(long, value_name = "ENGINE", requires = "verify")]
    pub engine: Option<EngineChoice>,
    /// With --verify: where the programs of an installed PostgreSQL are (initdb, postgres)
    #[arg(long, value_name = "FOLDER", requires = "verify")]
    pub pg_bin: Option<PathBuf>,
    /// Give up on a statement after so many seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,
}

/// Options of `why-not`.
#[derive(Debug, Args)]
pub struct WhyNotArgs {
    /// The index, with its schema where the name alone is not clear
    pub index: String,
    /// The SQL file with the query; - is standard input
    pub file: PathBuf,
    /// Where plans come from.
    #[command(flatten)]
    pub planner: PlannerArgs,
    /// Give up on a statement after so many seconds [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,
    /// The form of the answer [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
}

/// Options of `report`.
#[derive(Debug, Default, Args)]
pub struct ReportArgs {
    /// Plans, as EXPLAIN prints them in any format, framed or not, or whole logs of a server with
    /// `auto_explain`, packed with gzip or not; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Of logs, explain so many queries: those that took the most time in all
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = top)]
    pub top: usize,

    /// The statements of the plans, in order
    #[arg(long, value_name = "FILE", help_heading = "Where plans come from")]
    pub sql: Vec<PathBuf>,

    /// Where plans come from.
    #[command(flatten)]
    pub planner: PlannerArgs,

    /// Give up on a statement after so many seconds [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = "Where plans come from", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub timeout: Option<u64>,

    /// How to advise, and what to write.
    #[command(flatten)]
    pub advice: AdviceArgs,
}

impl AdviceArgs {
    /// The format that the command line asks for, by name or by the output's.
    pub fn asked_format(&self) -> Option<Format> {
        self.format
            .or_else(|| Format::of_file(self.output.as_deref()?))
    }
}

impl ReportArgs {
    /// The same run as options of `explain`, whose statements are these.
    pub fn as_explain(&self) -> ExplainArgs {
        ExplainArgs {
            files: self.sql.clone(),
            planner: self.planner.clone(),
            plan: None,
            analyze: false,
            analyze_writes: false,
            timeout: self.timeout,
            what_if: Vec::new(),
            advice: self.advice.clone(),
        }
    }
}

/// A plan node's number, or all of them.
fn asked_node(text: &str) -> Result<Asked, String> {
    if text == "all" {
        return Ok(Asked::All);
    }
    match text.parse() {
        Ok(number) if number > 0 => Ok(Asked::Node(number)),
        _ => Err("a node's number as the plan shows it, from 1, or all".to_owned()),
    }
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The address and port to listen on; port 0 takes any that is free
    ///
    /// An address that other machines can reach needs a token, in the variable
    /// `PGADVISE_SERVE_TOKEN` or in a file. What is sent is not encrypted.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8432")]
    pub listen: std::net::SocketAddr,
    /// Ask callers for the token in this file
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Refuse what is larger than so many MiB
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub max_body: usize,
    /// Give up on a report after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Make at most so many reports at a time; more are refused
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub concurrency: usize,
    /// The form of the logs on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// Forms of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Options of `rules`.
#[derive(Debug, Args)]
pub struct RulesArgs {
    /// The rule to explain; all are listed without
    pub name: Option<String>,
    /// List only rules about this
    #[arg(long, value_name = "WHAT", conflicts_with = "name")]
    pub about: Option<RulesAbout>,
    /// The form of the answer
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: RulesFormat,
}

/// What rules are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RulesAbout {
    /// Queries and plans: `pgadvise explain`
    Queries,
    /// Migrations: `pgadvise check`
    Migrations,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// For programs; the schema is docs/report.schema.json
    Json,
    /// For a pull request
    Markdown,
    /// A page for a browser
    Html,
}

impl Format {
    /// The format that the name of an output asks for.
    pub fn of_file(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "html" | "htm" => Some(Self::Html),
            "md" | "markdown" => Some(Self::Markdown),
            "json" => Some(Self::Json),
            "txt" | "text" => Some(Self::Text),
            _ => None,
        }
    }

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

/// Forms of what `rules` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RulesFormat {
    /// For a terminal
    Text,
    /// For programs
    Json,
}

/// From which level on findings fail the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Anything found
    Note,
    /// What is slow, or will be
    Warning,
    /// What takes most of the time, or is likely wrong
    Critical,
    /// Findings never fail the run
    Never,
}

fn percent(text: &str) -> Result<f64, String> {
    text.trim_end_matches('%')
        .trim_end()
        .parse::<f64>()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "a percentage from 0 to 100 is expected".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "a number above 0 is expected".to_owned())
}

fn size(text: &str) -> Result<f64, String> {
    let given = text.trim().trim_end_matches("/s");
    given
        .ends_with(|c: char| c.is_ascii_alphabetic())
        .then(|| crate::plan::resources::bytes(given))
        .flatten()
        .filter(|bytes| bytes.is_finite() && *bytes > 0.0)
        .ok_or_else(|| "a size with its unit is expected: 512MB, 24GB".to_owned())
}

fn top(text: &str) -> Result<usize, String> {
    text.parse::<usize>()
        .ok()
        .filter(|number| (1..=1000).contains(number))
        .ok_or_else(|| "a number from 1 to 1000 is expected".to_owned())
}
