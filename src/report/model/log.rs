//! What the logs of a run hold: the records of `auto_explain`, grouped by
//! query.

use schemars::JsonSchema;
use serde::Serialize;

/// The logs that were read, and the queries in them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Log {
    /// The files, in the order in which they were read.
    pub files: Vec<LogFile>,
    /// What all files hold together.
    pub totals: LogTotals,
    /// The queries that took the most time in all, the worst first; as many as
    /// were asked for (`--top`).
    pub groups: Vec<LogGroup>,
}

/// One log file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogFile {
    /// Its name, or `<stdin>`.
    pub name: String,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// Records of `auto_explain` in it.
    pub records: u64,
}

/// What all files hold together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct LogTotals {
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// Messages of any kind.
    pub messages: u64,
    /// Records of `auto_explain` whose duration was read.
    pub records: u64,
    /// Their durations together, in milliseconds.
    pub total_ms: f64,
    /// Different queries among them.
    pub groups: u64,
    /// The time stamp of the first record, as the server wrote it; absent where
    /// the prefix of the lines has none.
    pub first_seen: Option<String>,
    /// The time stamp of the last record.
    pub last_seen: Option<String>,
    /// Messages with a duration and no plan (`log_min_duration_statement`).
    pub durations_without_plan: u64,
    /// Records that end before their plan does; they count with their duration.
    pub cut_off: u64,
    /// Pieces of records without a beginning, and records that could not be
    /// read.
    pub damaged: u64,
    /// Records larger than what is kept in memory; they are left out.
    pub oversized: u64,
    /// Queries that were forgotten because there were too many different ones;
    /// each had taken less time than those that were kept.
    pub evicted_groups: u64,
    /// The records of the forgotten queries; they count in the totals.
    pub evicted_records: u64,
    /// The durations of these records, in milliseconds.
    pub evicted_ms: f64,
}

/// One query, whatever its literals.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogGroup {
    /// Its fingerprint: 16 hexadecimal digits.
    pub fingerprint: String,
    /// Its text with `?` in place of literals, on one line.
    pub query: String,
    /// How many records.
    pub calls: u64,
    /// Their durations together, in milliseconds.
    pub total_ms: f64,
    /// The share of the time of all records, 0 to 1.
    pub share: f64,
    /// The mean duration.
    pub mean_ms: f64,
    /// The shortest duration.
    pub min_ms: f64,
    /// The median duration, within 1 %.
    pub p50_ms: f64,
    /// 95 of 100 records are not longer, within 1 %.
    pub p95_ms: f64,
    /// 99 of 100 records are not longer, within 1 %.
    pub p99_ms: f64,
    /// The longest duration.
    pub max_ms: f64,
    /// The time stamp of the first record, as the server wrote it.
    pub first_seen: Option<String>,
    /// The time stamp of the last record.
    pub last_seen: Option<String>,
    /// The databases, the one that took most time first.
    pub databases: Vec<LogPart>,
    /// The users, the one that took most time first.
    pub users: Vec<LogPart>,
    /// The applications, the one that took most time first.
    pub applications: Vec<LogPart>,
    /// The different plans of the query, the one that took most time first; the
    /// most frequent ones where there are many.
    pub shapes: Vec<LogShape>,
    /// There were more different plans than are told apart.
    pub more_shapes: bool,
    /// The duration of the record whose plan is shown, in milliseconds.
    pub shown_ms: Option<f64>,
    /// Where that record begins: `file:line`.
    pub shown_at: Option<String>,
    /// The statement of the report that shows the plan: its position in
    /// `statements`, from 0.
    pub statement: Option<usize>,
}

/// The records of one database, user or application.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogPart {
    /// Its name.
    pub name: String,
    /// How many records.
    pub calls: u64,
    /// Their durations together, in milliseconds.
    pub total_ms: f64,
}

/// The records with one shape of plan: the same nodes, whatever the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LogShape {
    /// How many records.
    pub calls: u64,
    /// Their durations together, in milliseconds.
    pub total_ms: f64,
    /// The longest duration.
    pub max_ms: f64,
    /// It is the plan that is shown.
    pub shown: bool,
}
