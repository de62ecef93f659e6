//! The only module that prints: reports to standard output or a file, errors,
//! logs and progress to standard error.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{ColorWhen, Global, LogFormat};
use super::env::Environment;
use super::failure::{Failure, Kind};
use crate::report::model::{Problem, Report};
use crate::report::{Options, Render, text};

/// Work that takes less shows no progress.
const PATIENCE: Duration = Duration::from_millis(500);
/// Columns when nothing says how many there are.
const WIDTH: usize = 100;
/// Bytes that are written at a time.
const STREAM_BYTES: usize = 1 << 16;

/// The terminal, or what stands for it.
#[derive(Debug)]
pub(super) struct Ui {
    color: Option<ColorWhen>,
    width: usize,
    verbose: u8,
    quiet: bool,
    max_bytes: Option<usize>,
}

/// Whether what was written was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// All of it.
    All,
    /// The reader went away, as `head` does, which is no failure.
    ReaderLeft,
}

impl Ui {
    /// A terminal with those options.
    pub(super) fn new(global: &Global, environment: &Environment) -> Self {
        let width = environment
            .columns
            .or_else(|| {
                io::stdout()
                    .is_terminal()
                    .then(terminal_size::terminal_size)
                    .flatten()
                    .map(|(width, _)| usize::from(width.0))
            })
            .unwrap_or(WIDTH)
            .clamp(40, 1000);
        Self {
            color: global.color,
            width,
            verbose: global.verbose,
            quiet: global.quiet,
            max_bytes: None,
        }
    }

    /// The configuration's word on colours, where the command line has none.
    pub(super) fn prefer_color(&mut self, when: Option<ColorWhen>) {
        self.color = self.color.or(when);
    }

    /// How large a report may be that has a limit.
    pub(super) fn limit(&mut self, max_bytes: usize) {
        self.max_bytes = Some(max_bytes);
    }

    /// What renderers are told about standard output.
    pub(super) fn options(&self) -> Options {
        Options {
            color: self.colored(&io::stdout()),
            width: self.width,
            detailed: self.verbose > 0,
            brief: self.quiet,
            problems: false,
            max_bytes: self.max_bytes,
        }
    }

    fn colored<S: anstream::stream::RawStream>(&self, stream: &S) -> bool {
        match self.color {
            Some(ColorWhen::Always) => true,
            Some(ColorWhen::Never) => false,
            // NO_COLOR, CLICOLOR, CLICOLOR_FORCE and TERM are its business.
            Some(ColorWhen::Auto) | None => AutoStream::choice(stream) != ColorChoice::Never,
        }
    }

    /// Sends logs to standard error, as far as `-v` asks for them.
    pub(super) fn start_logs(&self) {
        let level = match self.verbose {
            0 => return,
            1 => "pgadvise=info",
            _ => "pgadvise=debug",
        };
        let started = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(level))
            .with_writer(io::stderr)
            .with_ansi(self.colored(&io::stderr()))
            .with_target(false)
            .without_time()
            .try_init();
        if started.is_err() {
            tracing::debug!("logs were started before");
        }
    }

    /// Sends a server's logs to standard error, with their times: what was
    /// answered, unless the user wants to hear less.
    pub(super) fn start_server_logs(&self, format: LogFormat) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => "pgadvise=warn",
            (false, 0 | 1) => "pgadvise=info",
            (false, _) => "pgadvise=debug",
        };
        let logs = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new(level))
            .with_writer(io::stderr)
            .with_target(false);
        let started = match format {
            LogFormat::Text => logs.with_ansi(self.colored(&io::stderr())).try_init(),
            LogFormat::Json => logs.json().flatten_event(true).try_init(),
        };
        if started.is_err() {
            tracing::debug!("logs were started before");
        }
    }

    /// Writes the report to the file, or to standard output.
    pub(super) fn report(
        &self,
        report: &Report,
        render: Render,
        output: Option<&Path>,
    ) -> Result<Written, Failure> {
        let mut bytes = Vec::new();
        let mut options = self.options();
        if output.is_some() {
            options.color = self.color == Some(ColorWhen::Always);
            options.problems = true;
        }
        render(report, &mut bytes, &options)
            .map_err(|error| Failure::new(Kind::Internal, error))?;
        match output {
            Some(path) => write_file(path, &bytes),
            None => Self::write(&bytes),
        }
    }

    /// Writes a document to the file, or to standard output.
    pub(super) fn document(bytes: &[u8], output: Option<&Path>) -> Result<Written, Failure> {
        match output {
            Some(path) => write_file(path, bytes),
            None => Self::write(bytes),
        }
    }

    /// Adds a document to the end of a file.
    pub(super) fn append(bytes: &[u8], path: &Path) -> Result<Written, Failure> {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .map(|()| Written::All)
            .map_err(|source| unwritten(path, source))
    }

    /// Whether standard output is a terminal.
    pub(super) fn writes_to_terminal() -> bool {
        io::stdout().is_terminal()
    }

    /// Writes to standard output.
    pub(super) fn write(bytes: &[u8]) -> Result<Written, Failure> {
        Self::stream(|out| out.write_all(bytes))
    }

    /// Writes to standard output what `render` gives, piece by piece: reports
    /// of thousands of files are larger than what they are made of.
    pub(super) fn stream(
        render: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Written, Failure> {
        let mut out = io::BufWriter::with_capacity(STREAM_BYTES, io::stdout().lock());
        match render(&mut out).and_then(|()| out.flush()) {
            Ok(()) => Ok(Written::All),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Written::ReaderLeft),
            Err(error) => Err(Failure::new(
                Kind::Internal,
                WriteError {
                    name: "standard output".to_owned(),
                    source: error,
                },
            )),
        }
    }

    /// Shows a failure.
    pub(super) fn failure(&self, failure: &Failure) {
        self.problem(&failure.problem());
    }

    /// Shows a trouble.
    pub(super) fn problem(&self, problem: &Problem) {
        let options = Options {
            color: self.colored(&io::stderr()),
            ..self.options()
        };
        let mut bytes = Vec::new();
        if text::problem(problem, &mut bytes, &options).is_ok() {
            Self::complain(&bytes);
        }
    }

    /// Says on standard error what was done, unless the user wants to hear
    /// less.
    pub(super) fn say(&self, lines: &[String]) {
        if !self.quiet {
            let mut text = lines.join("\n");
            text.push('\n');
            Self::complain(text.as_bytes());
        }
    }

    /// Says that statements failed, where the report that says why is not on
    /// the terminal.
    pub(super) fn failed_statements(&self, failed: usize, all: usize) {
        if !io::stdout().is_terminal() {
            let failure = Failure::new(
                Kind::Input,
                format!("{failed} of {all} statements could not be done in full"),
            )
            .hint("the report says why, at each of them");
            self.failure(&failure);
        }
    }

    fn complain(bytes: &[u8]) {
        // When standard error cannot be written to, nobody is left to tell.
        let _gone = io::stderr().lock().write_all(bytes);
    }

    /// Shows what is being done, once it takes a while, on a terminal.
    pub(super) fn progress(&self, what: impl Into<String>) -> Progress {
        if self.quiet || self.verbose > 0 || !io::stderr().is_terminal() {
            return Progress::default();
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
            .with_message(what.into());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        let (stop, stopped) = mpsc::channel::<()>();
        let shown = bar.clone();
        let waiter = std::thread::spawn(move || {
            if stopped.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                shown.set_draw_target(ProgressDrawTarget::stderr());
                shown.enable_steady_tick(Duration::from_millis(100));
            }
        });
        Progress {
            bar: Some(bar),
            stop: Some(stop),
            waiter: Some(waiter),
        }
    }
}

/// Shows clap's word on the arguments: help on standard output, errors on
/// standard error.
pub(super) fn arguments(error: &clap::Error) {
    // When it cannot be written, nobody is left to tell.
    let _gone = error.print();
}

/// Progress on the terminal; it goes away when dropped.
#[derive(Debug, Default)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    stop: Option<mpsc::Sender<()>>,
    waiter: Option<JoinHandle<()>>,
}

impl Progress {
    /// Says what is being done now.
    pub(super) fn say(&self, what: impl Into<String>) {
        if let Some(bar) = &self.bar {
            bar.set_message(what.into());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(waiter) = self.waiter.take() {
            // The waiter does nothing that could fail.
            let _ended = waiter.join();
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {name}")]
struct WriteError {
    name: String,
    #[source]
    source: io::Error,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the report is the one file that is written"
)]
fn write_file(path: &Path, bytes: &[u8]) -> Result<Written, Failure> {
    std::fs::write(path, bytes)
        .map(|()| Written::All)
        .map_err(|source| unwritten(path, source))
}

fn unwritten(path: &Path, source: io::Error) -> Failure {
    Failure::new(
        Kind::Internal,
        WriteError {
            name: path.display().to_string(),
            source,
        },
    )
    .hint("check that the folder is there and can be written to")
}
