//! Logs of any size: their `auto_explain` records by query, the worst first.
//!
//! The bytes are read in pieces, which all threads look at side by side; what
//! they find is added up in the order of the file. So nothing in the answer
//! depends on the number of threads, and memory does not grow with the log.

mod groups;
mod sketch;
mod source;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

pub use groups::Limits;
pub use source::{Given, LogInput, open, unpacked};

use crate::plan::log::body::{self, QueryText};
use crate::plan::log::{Record, Tally, Wrap, scan};
use crate::plan::read::Format;
use crate::sql::fingerprint;
use groups::{Event, Group, Groups};
use source::{Piece, Source};

/// How to read logs.
#[derive(Debug, Clone, Copy)]
pub struct LogOptions {
    /// How many queries to give.
    pub top: usize,
    /// Threads that look at the logs.
    pub threads: usize,
    /// What is held at most.
    pub limits: Limits,
    /// Usual size of a piece.
    pub piece: usize,
    /// The largest record that is held.
    pub max_record: usize,
}

impl LogOptions {
    /// The usual, with as many threads as there are processors.
    pub fn new(top: usize) -> Self {
        Self {
            top,
            threads: std::thread::available_parallelism()
                .map_or(1, usize::from)
                .min(16),
            limits: Limits::default(),
            piece: source::PIECE,
            max_record: source::MAX_RECORD,
        }
    }
}

/// A file that was read.
#[derive(Debug)]
pub struct ReadFile {
    /// Its name.
    pub name: String,
    /// Bytes read.
    pub bytes: u64,
    /// Records found.
    pub records: u64,
    /// Messages found.
    pub messages: u64,
    /// Messages with a duration and no plan.
    pub durations: u64,
    /// Why it was not read to its end.
    pub failed: Option<std::io::Error>,
}

/// The numbers of all files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LogTotals {
    /// Bytes read.
    pub bytes: u64,
    /// Messages of any kind.
    pub messages: u64,
    /// Records.
    pub records: u64,
    /// Their durations together.
    pub total_ms: f64,
    /// Different queries.
    pub groups: u64,
    /// The earliest time stamp.
    pub first: Option<String>,
    /// The latest time stamp.
    pub last: Option<String>,
    /// Messages with a duration and no plan.
    pub durations: u64,
    /// Records that end before their plan does.
    pub cut_off: u64,
    /// Pieces of records, and records that could not be read.
    pub damaged: u64,
    /// Records too large to be held.
    pub oversized: u64,
    /// Queries that were forgotten.
    pub evicted_groups: u64,
    /// Their records.
    pub evicted_records: u64,
    /// The time of these.
    pub evicted_ms: f64,
}

/// The records of one database, user or application.
#[derive(Debug, Clone, PartialEq)]
pub struct LogPart {
    /// Its name.
    pub name: String,
    /// How many records.
    pub calls: u64,
    /// Their durations together.
    pub total_ms: f64,
}

/// The records with one shape of plan.
#[derive(Debug, Clone, PartialEq)]
pub struct LogShape {
    /// How many records.
    pub calls: u64,
    /// Their durations together.
    pub total_ms: f64,
    /// The longest duration.
    pub max_ms: f64,
    /// Its slowest record, where one was kept.
    pub record: Option<LogRecord>,
}

/// A record that was kept whole.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Its duration.
    pub ms: f64,
    /// The file, by its position among those that were read.
    pub file: usize,
    /// Its line in the file, from 1.
    pub line: u64,
    /// The query as it was executed.
    pub sql: Option<String>,
    /// Its parameters, where the format has them apart from the plan.
    pub parameters: Option<String>,
    /// The plan, as EXPLAIN prints it.
    pub plan: String,
    /// It ends before its plan does.
    pub cut_off: bool,
}

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub struct LogGroup {
    /// A number for its normalized text.
    pub fingerprint: u64,
    /// Its text without values.
    pub query: String,
    /// How many records.
    pub calls: u64,
    /// Their durations together.
    pub total_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// The median.
    pub p50_ms: f64,
    /// 95 of 100 are not longer.
    pub p95_ms: f64,
    /// 99 of 100 are not longer.
    pub p99_ms: f64,
    /// The earliest time stamp.
    pub first: Option<String>,
    /// The latest time stamp.
    pub last: Option<String>,
    /// The databases.
    pub databases: Vec<LogPart>,
    /// The users.
    pub users: Vec<LogPart>,
    /// The applications.
    pub applications: Vec<LogPart>,
    /// The shapes of its plans, the one that took most time first.
    pub shapes: Vec<LogShape>,
    /// There are more than those.
    pub more_shapes: bool,
}

/// What the logs hold.
#[derive(Debug)]
pub struct Gathered {
    /// The files.
    pub files: Vec<ReadFile>,
    /// The numbers of all.
    pub totals: LogTotals,
    /// The worst queries.
    pub groups: Vec<LogGroup>,
}

/// What has been added up so far.
struct Sum {
    /// The piece that is added next.
    next: u64,
    /// A thread died; nobody waits for it.
    dead: bool,
    groups: Groups,
    files: Vec<ReadFile>,
    /// Lines of the file before the next piece.
    lines: u64,
    totals: LogTotals,
}

/// Reads logs.
pub fn read(inputs: Vec<LogInput>, options: &LogOptions) -> Gathered {
    let files = inputs
        .iter()
        .map(|input| ReadFile {
            name: input.name.clone(),
            bytes: 0,
            records: 0,
            messages: 0,
            durations: 0,
            failed: None,
        })
        .collect();
    let source = Mutex::new(Source::new(inputs, options.piece, options.max_record));
    let sum = Mutex::new(Sum {
        next: 0,
        dead: false,
        groups: Groups::new(options.limits),
        files,
        lines: 0,
        totals: LogTotals::default(),
    });
    let turn = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 1..options.threads.max(1) {
            scope.spawn(|| work(&source, &sum, &turn));
        }
        work(&source, &sum, &turn);
    });
    let source = source.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (file, error) in source.failed {
        if let Some(file) = sum.files.get_mut(file) {
            file.failed = Some(error);
        }
    }
    sum.finish(options.top)
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells the others when this thread dies of a bug.
struct Alarm<'a>(&'a Mutex<Sum>, &'a Condvar);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            held(self.0).dead = true;
            self.1.notify_all();
        }
    }
}

fn work(source: &Mutex<Source>, sum: &Mutex<Sum>, turn: &Condvar) {
    let _alarm = Alarm(sum, turn);
    let mut buffer = Vec::new();
    let mut reader = Reader::default();
    loop {
        let Some(piece) = held(source).next(&mut buffer) else {
            return;
        };
        let mut events = Vec::new();
        let mut cut_off = 0;
        let tally = scan::scan(&buffer, piece.last, |record| {
            let event = reader.event(&record);
            cut_off += u64::from(!event.complete);
            events.push(event);
        });
        let lines = memchr::memchr_iter(b'\n', &buffer).count() as u64;
        let mut sum = held(sum);
        while sum.next != piece.number && !sum.dead {
            sum = turn.wait(sum).unwrap_or_else(PoisonError::into_inner);
        }
        if sum.dead {
            return;
        }
        sum.totals.cut_off += cut_off;
        sum.add(piece, &buffer, tally, &events, &mut reader);
        sum.lines = if piece.last { 0 } else { sum.lines + lines };
        sum.next += 1;
        drop(sum);
        turn.notify_all();
    }
}

impl Sum {
    fn add(
        &mut self,
        piece: Piece,
        bytes: &[u8],
        tally: Tally,
        events: &[Event<'_>],
        reader: &mut Reader,
    ) {
        let size = bytes.len() as u64 + piece.left_out;
        self.totals.bytes += size;
        self.totals.messages += tally.messages;
        self.totals.durations += tally.durations;
        self.totals.damaged += tally.damaged;
        self.totals.oversized += u64::from(piece.left_out > 0);
        if let Some(file) = self.files.get_mut(piece.file) {
            file.bytes += size;
            file.records += events.len() as u64;
            file.messages += tally.messages;
            file.durations += tally.durations;
        }
        let before = self.lines;
        for event in events {
            self.groups.add(
                event,
                piece.file,
                || reader.normalized(event.body, event.wrap).0,
                || {
                    let head = bytes.get(..event.at).unwrap_or_default();
                    before + 1 + memchr::memchr_iter(b'\n', head).count() as u64
                },
            );
        }
    }

    fn finish(mut self, top: usize) -> Gathered {
        let groups = self.groups;
        self.totals.records = groups.records;
        self.totals.total_ms = groups.total_ms;
        self.totals.groups = groups.len() as u64 + groups.evicted.groups;
        self.totals.first = groups.first.as_deref().map(text);
        self.totals.last = groups.last.as_deref().map(text);
        self.totals.evicted_groups = groups.evicted.groups;
        self.totals.evicted_records = groups.evicted.records;
        self.totals.evicted_ms = groups.evicted.ms;
        let mut reader = Reader::default();
        Gathered {
            files: self.files,
            totals: self.totals,
            groups: groups
                .worst(top)
                .into_iter()
                .map(|group| finished(&group, &mut reader))
                .collect(),
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn finished(group: &Group, reader: &mut Reader) -> LogGroup {
    let quantile = |share| {
        group
            .sketch
            .quantile(share)
            .clamp(group.min_ms, group.max_ms)
    };
    let parts = |parts: &[groups::Part]| -> Vec<LogPart> {
        parts
            .iter()
            .map(|part| LogPart {
                name: text(&part.name),
                calls: part.calls,
                total_ms: part.total_ms,
            })
            .collect()
    };
    LogGroup {
        fingerprint: group.fingerprint,
        query: text(&group.query),
        calls: group.calls,
        total_ms: group.total_ms,
        min_ms: group.min_ms,
        max_ms: group.max_ms,
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
        first: group.first.as_deref().map(text),
        last: group.last.as_deref().map(text),
        databases: parts(&group.databases),
        users: parts(&group.users),
        applications: parts(&group.applications),
        more_shapes: group.more_shapes,
        shapes: group
            .shapes
            .iter()
            .map(|shape| LogShape {
                calls: shape.calls,
                total_ms: shape.total_ms,
                max_ms: shape.max_ms,
                record: shape.kept.as_ref().map(|kept| reader.record(kept)),
            })
            .collect(),
    }
}

/// Bytes of a message that are unwrapped at first: most queries are shorter.
const FIRST_LOOK: usize = 2 << 10;

/// Reads records, with room that it uses again.
#[derive(Default)]
struct Reader {
    message: Vec<u8>,
    text: Vec<u8>,
    normal: Vec<u8>,
}

/// What was read of a message.
#[derive(Debug, Clone, Copy)]
struct Found {
    format: Option<Format>,
    /// For `FORMAT TEXT`: where the query's text begins and ends in the
    /// message.
    open: Option<(usize, usize)>,
    /// How often the query's own text has what marks a node of a plan.
    marks: usize,
    /// There is a plan.
    plan: bool,
}

impl Reader {
    fn event<'a>(&mut self, record: &Record<'a>) -> Event<'a> {
        let found = self.read(record.body, record.wrap);
        let shape = found.format.map_or(0, |format| {
            body::shape(record.body, record.wrap, format, found.marks)
        });
        Event {
            fingerprint: fingerprint::hash(&self.normal),
            shape,
            ms: record.duration_ms,
            body: record.body,
            wrap: record.wrap,
            complete: !record.cut_off
                && found.plan
                && found
                    .format
                    .is_some_and(|format| body::is_complete(record.body, format)),
            format: found.format,
            at: record.at,
            time: record.time,
            user: record.user,
            database: record.database,
            application: record.application,
        }
    }

    fn normalized(&mut self, raw: &[u8], wrap: Wrap) -> (Vec<u8>, Found) {
        let found = self.read(raw, wrap);
        (self.normal.clone(), found)
    }

    /// Leaves the normalized query in `self.normal`, and what was looked at of
    /// the message in `self.message`.
    fn read(&mut self, raw: &[u8], wrap: Wrap) -> Found {
        let mut look = FIRST_LOOK;
        loop {
            self.message.clear();
            self.normal.clear();
            let whole = wrap.unwrap(raw, &mut self.message, look);
            let Some(format) = body::format(&self.message) else {
                if whole {
                    return Found {
                        format: None,
                        open: None,
                        marks: 0,
                        plan: false,
                    };
                }
                look *= 4;
                continue;
            };
            let found = |open, marks, plan| Found {
                format: Some(format),
                open,
                marks,
                plan,
            };
            match body::query_text(&self.message, format, whole, &mut self.text) {
                QueryText::Whole(query) => {
                    fingerprint::normalize(query, &mut self.normal, |_| false);
                    return found(None, body::marks(query, format), true);
                }
                QueryText::Absent => return found(None, 0, true),
                QueryText::Longer => {}
                QueryText::Open(query) => {
                    let from = self.message.len() - query.len();
                    let mut read =
                        fingerprint::normalize(query, &mut self.normal, body::begins_plan);
                    if !read.stopped && whole {
                        // A quote without its partner hides the plan.
                        if let Some(end) = plan_without_quotes(query) {
                            let query = query.get(..end).unwrap_or_default();
                            self.normal.clear();
                            read = fingerprint::normalize(query, &mut self.normal, |_| false);
                            read.stopped = true;
                        }
                    }
                    if read.stopped || whole {
                        let query = query.get(..read.end).unwrap_or_default();
                        let marks = body::marks(query, format);
                        return found(Some((from, from + read.end)), marks, read.stopped);
                    }
                }
            }
            look *= 4;
        }
    }

    /// A kept record, taken apart.
    fn record(&mut self, kept: &groups::Kept) -> LogRecord {
        let (_, found) = self.normalized(&kept.body, kept.wrap);
        self.message.clear();
        kept.wrap.unwrap(&kept.body, &mut self.message, usize::MAX);
        let lines = |bytes: &[u8]| text(bytes).replace("\r\n", "\n");
        let mut sql = None;
        let mut parameters = None;
        let mut plan: &[u8] = &self.message;
        if let Some((from, to)) = found.open {
            sql = self.message.get(from..to).map(lines);
            plan = self.message.get(to..).unwrap_or_default();
            if let Some(rest) = plan.strip_prefix(b"Query Parameters: ") {
                let end = plan_without_quotes(rest).unwrap_or(rest.len());
                parameters = rest.get(..end).map(|given| text(given.trim_ascii_end()));
                plan = rest.get(end..).unwrap_or_default();
            }
        }
        let plan = lines(plan);
        LogRecord {
            ms: kept.ms,
            file: kept.file,
            line: kept.line,
            sql: sql.map(|sql| sql.trim_end().to_owned()),
            parameters,
            plan,
            cut_off: !kept.complete,
        }
    }
}

/// Where a line begins a plan, whatever the quotes before it.
fn plan_without_quotes(text: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', text)
        .map(|end| end + 1)
        .find(|next| text.get(*next..).is_some_and(body::begins_root))
}

#[cfg(test)]
mod tests;
