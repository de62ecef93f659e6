//! Takes a snapshot and writes it.

use std::path::Path;
use std::time::Duration;

use super::super::Exit;
use super::super::args::SnapshotArgs;
use super::super::env::Environment;
use super::super::failure::{Failure, Kind};
use super::super::planner;
use super::super::ui::Ui;
use super::{note, summary, write};
use crate::pg::snapshot::SnapshotOptions;
use crate::pg::snapshot::choice::{Choice, Pattern};
use crate::pg::{self, ConnectOptions, Limits, Session};
use crate::snapshot::file::{Form, encode};
use crate::snapshot::{Snapshot, redact};

/// Seconds for a statement unless the user says otherwise.
const TIMEOUT_SECONDS: u64 = 60;

/// Takes one and writes it.
pub(super) fn run(
    args: &SnapshotArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<Exit, Failure> {
    if let Some(file) = args.files.first() {
        return Err(Failure::new(
            Kind::Usage,
            format!("{} has no place in taking a snapshot", file.display()),
        )
        .hint("queries are for --verify; the file to write is named with -o"));
    }
    let Some(output) = args.output.as_deref() else {
        return Err(Failure::new(
            Kind::Usage,
            "where the snapshot is to be written is missing",
        )
        .hint("name a file with -o, as in -o shop.pgsnap; -o - is standard output"));
    };
    let to_stdout = output == Path::new("-");
    if !to_stdout {
        write::check_target(output)?;
    } else if !args.plain && Ui::writes_to_terminal() {
        return Err(
            Failure::new(Kind::Usage, "a packed snapshot is no text for a terminal")
                .hint("name a file with -o, send standard output on, or take --plain"),
        );
    }
    let snapshot = snapshot(args, environment, ui)?;
    let form = if args.plain {
        Form::Plain
    } else {
        Form::Compressed
    };
    let bytes = encode(&snapshot, form);
    if to_stdout {
        Ui::write(&bytes)?;
    } else {
        write::write(output, &bytes)?;
    }
    for sentence in &snapshot.limits {
        ui.problem(&note(sentence));
    }
    let mut said = summary::lines(&snapshot);
    if !to_stdout {
        said.push(format!(
            "wrote {} ({})",
            output.display(),
            size(bytes.len())
        ));
    }
    ui.say(&said);
    Ok(Exit::Fine)
}

/// Takes it, with values as the user wants them.
pub(super) fn snapshot(
    args: &SnapshotArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<Snapshot, Failure> {
    let patterns = |texts: &[String], of: fn(&str) -> Result<Pattern, String>| {
        texts
            .iter()
            .map(|text| of(text).map_err(|why| Failure::new(Kind::Usage, why)))
            .collect::<Result<Vec<_>, _>>()
    };
    let choice = Choice {
        schemas: patterns(&args.schema, Pattern::of_schema)?,
        exclude: patterns(&args.exclude, Pattern::of_table)?,
    };
    let progress = ui.progress("connecting to the database");
    let mut session = connect(args, environment)?;
    let options = SnapshotOptions {
        index_ends: !args.no_values,
        keep_time: !args.no_time,
    };
    let mut snapshot = session
        .snapshot_of(&options, &choice, &mut |what, done, all| {
            progress.say(if all > 0 {
                format!("reading {what} ({done} of {all})")
            } else {
                format!("reading {what}")
            });
        })
        .map_err(planner::refused)?;
    drop(progress);
    if snapshot.relations.is_empty() && choice != Choice::default() {
        return Err(Failure::new(
            Kind::Input,
            "no table is left of what was asked for with --schema and --exclude",
        )
        .hint("capital letters count as small ones outside double quotes: --schema '\"Shop\"'"));
    }
    if args.no_time {
        for relation in &mut snapshot.relations {
            relation.activity = None;
            for index in &mut relation.indexes {
                index.scans = None;
            }
        }
    }
    if args.no_values {
        redact::leave_out_values(&mut snapshot);
    } else if args.redact {
        redact::redact(&mut snapshot);
    }
    Ok(snapshot)
}

/// Connects to the user's database.
pub(super) fn connect(args: &SnapshotArgs, environment: &Environment) -> Result<Session, Failure> {
    if args.dbname.is_none() && environment.names_database().is_none() {
        return Err(Failure::new(
            Kind::Usage,
            "which database to take the snapshot of is missing",
        )
        .hint("name it with -d, as psql takes it, or set PGDATABASE, PGHOST or PGSERVICE"));
    }
    let known = pg::Environment {
        vars: environment.pg.clone(),
        home: environment.home.clone(),
        user: environment.user.clone(),
    };
    let options = ConnectOptions::new(args.dbname.as_deref(), &known)
        .map_err(|error| planner::refused(error.into()))?;
    let limits = Limits {
        statement: Duration::from_secs(args.timeout.unwrap_or(TIMEOUT_SECONDS)),
        ..Limits::default()
    };
    Session::connect(&options, limits).map_err(planner::refused)
}

/// A number of bytes for reading.
fn size(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} bytes"),
        10_240..10_485_760 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}
