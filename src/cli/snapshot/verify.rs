//! Do the twin and the server plan alike? Each statement is planned on both,
//! and never executed.

use std::path::Path;
use std::time::Duration;

use similar::TextDiff;

use super::super::Exit;
use super::super::args::SnapshotArgs;
use super::super::env::Environment;
use super::super::failure::{Failure, Kind};
use super::super::inputs::{Inputs, is_planned};
use super::super::planner::{self, Choice, Engine, Started};
use super::super::ui::{Ui, Written};
use super::{counted, note};
use crate::catalog::ident;
use crate::input;
use crate::plan::PlanGraph;
use crate::plan::compare::{lines, shape};
use crate::snapshot::{Snapshot, redact};
use crate::source::Sources;
use crate::verify::{PlanOptions, Planned, Planner};

/// Seconds for a statement unless the user says otherwise.
const TIMEOUT_SECONDS: u64 = 60;
/// Statements that are made from a schema at most.
const MADE: usize = 500;

/// A statement to plan on both.
struct Asked {
    name: String,
    sql: String,
    parameters: u32,
}

/// How two plans of a statement compare.
enum Compared {
    Same,
    /// The first node whose numbers differ, on the server and on the twin.
    OtherNumbers(String, String),
    /// What differs, as a unified diff.
    Different(String),
    /// There is no plan of one of them.
    Failed(String),
}

/// Plans statements on both and says which plans differ.
pub(super) fn run(
    path: &Path,
    args: &SnapshotArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<Exit, Failure> {
    if args.dbname.is_none() && environment.names_database().is_none() {
        return Err(Failure::new(
            Kind::Usage,
            "which database to compare the snapshot with is missing",
        )
        .hint("name it with -d, as psql takes it, or set PGDATABASE, PGHOST or PGSERVICE"));
    }
    let mut incomplete = false;
    let asked = if args.files.is_empty() {
        made_from(&input::read_snapshot(path)?.snapshot)
    } else {
        let inputs = Inputs::read(&args.files);
        for problem in &inputs.problems {
            incomplete = true;
            ui.problem(problem);
        }
        given(&inputs)
    };
    if asked.is_empty() {
        return Err(
            Failure::new(Kind::Input, "there is no statement to plan on both")
                .hint("name SQL files with queries"),
        );
    }
    let timeout = Duration::from_secs(args.timeout.unwrap_or(TIMEOUT_SECONDS));
    let start = |choice: &Choice| -> Result<Box<dyn Planner>, Failure> {
        let mut sources = Sources::default();
        let Started {
            planner, problems, ..
        } = planner::start(choice, timeout, environment, &mut sources, ui)?;
        for problem in &problems {
            ui.problem(problem);
        }
        planner
            .map(|planner| planner.0)
            .ok_or_else(|| Failure::new(Kind::Internal, "no planner was started"))
    };
    let mut server = start(&Choice::Database {
        conninfo: args.dbname.clone(),
        engine: Engine::default(),
        on_twin: false,
    })?;
    let mut twin = start(&Choice::Snapshot {
        file: path.to_owned(),
        engine: Engine {
            choice: args.engine.unwrap_or_default(),
            pg_bin: args.pg_bin.clone(),
        },
    })?;
    let (on_server, on_twin) = (server.engine(), twin.engine());
    let same_major = on_server.version_num / 10_000 == on_twin.version_num / 10_000;
    for sentence in &on_twin.notes {
        ui.problem(&note(sentence));
    }

    let mut text = String::new();
    let (mut same, mut shape, mut different, mut failed) = (0, 0, 0, 0);
    let progress = ui.progress("planning");
    for (at, statement) in asked.iter().enumerate() {
        progress.say(format!("planning {} of {}", at + 1, asked.len()));
        let name = &statement.name;
        match compare(server.as_mut(), twin.as_mut(), statement, same_major) {
            Compared::Same => same += 1,
            Compared::OtherNumbers(there, here) => {
                shape += 1;
                text.push_str(&format!(
                    "{name}: the same shape with other numbers\n  server: {there}\n  twin:   {here}\n"
                ));
            }
            Compared::Different(diff) => {
                different += 1;
                text.push_str(&format!("{name}: another plan\n{diff}"));
            }
            Compared::Failed(why) => {
                failed += 1;
                text.push_str(&format!("{name}: not compared: {why}\n"));
            }
        }
    }
    drop(progress);
    text.push_str(&format!(
        "{}: {same} planned the same to the digit, {shape} in the same shape with other numbers, {different} otherwise, {failed} not compared\n  server: {}\n  twin:   {}\n",
        counted(asked.len(), "statement", "statements"),
        on_server.description,
        on_twin.description,
    ));
    if Ui::write(text.as_bytes())? == Written::ReaderLeft {
        return Ok(Exit::Fine);
    }
    Ok(if incomplete || failed > 0 {
        Exit::Failed
    } else if shape + different > 0 {
        Exit::Found
    } else {
        Exit::Fine
    })
}

/// The statements of the user's files.
fn given(inputs: &Inputs) -> Vec<Asked> {
    let mut asked = Vec::new();
    for input in &inputs.files {
        let planned = input
            .statements
            .iter()
            .filter(|statement| is_planned(statement));
        for (at, statement) in planned.enumerate() {
            asked.push(Asked {
                name: format!("{}, statement {}", input.name, at + 1),
                sql: statement.server_text.clone(),
                parameters: statement.parameters(),
            });
        }
    }
    asked
}

/// A statement for each index: its table by its leading column.
fn made_from(snapshot: &Snapshot) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    for relation in &snapshot.relations {
        let table = format!(
            "{}.{}",
            ident::quote(&relation.schema),
            ident::quote(&relation.name)
        );
        for index in &relation.indexes {
            let Some(column) = redact::leading_column(&index.definition) else {
                continue;
            };
            // Other methods have other operators.
            if index.method != "btree" && index.method != "hash" {
                continue;
            }
            let sql = format!("SELECT * FROM {table} WHERE {} = $1", ident::quote(&column));
            if asked.iter().all(|other| other.sql != sql) && asked.len() < MADE {
                asked.push(Asked {
                    name: sql.clone(),
                    sql,
                    parameters: 1,
                });
            }
        }
    }
    asked
}

fn compare(
    server: &mut dyn Planner,
    twin: &mut dyn Planner,
    statement: &Asked,
    same_major: bool,
) -> Compared {
    let plan = |planner: &mut dyn Planner, whose: &str| {
        let planned = Planned {
            sql: &statement.sql,
            parameters: statement.parameters,
        };
        planner
            .plan(planned, PlanOptions::default())
            .map_err(|error| Compared::Failed(format!("{whose}: {error}")))
    };
    let (there, here) = match (plan(server, "the server"), plan(twin, "the twin")) {
        (Ok(there), Ok(here)) => (there, here),
        (Err(failed), _) | (_, Err(failed)) => return failed,
    };
    let whole = |plan: &PlanGraph| lines(plan, true, same_major);
    let (there_whole, here_whole) = (whole(&there), whole(&here));
    if there_whole == here_whole {
        return Compared::Same;
    }
    let same_shape = if same_major {
        lines(&there, false, true) == lines(&here, false, true)
    } else {
        shape(&there) == shape(&here)
    };
    if same_shape {
        let first = there_whole
            .iter()
            .zip(&here_whole)
            .find(|(there, here)| there != here);
        return match first {
            Some((there, here)) => {
                Compared::OtherNumbers(there.trim().to_owned(), here.trim().to_owned())
            }
            None => Compared::Same,
        };
    }
    let (there, here) = (there_whole.join("\n") + "\n", here_whole.join("\n") + "\n");
    Compared::Different(
        TextDiff::from_lines(&there, &here)
            .unified_diff()
            .header("server", "twin")
            .to_string(),
    )
}
