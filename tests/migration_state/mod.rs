//! The state after a replay is what a server has after the same statements.
#![expect(clippy::string_slice, reason = "a test may panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the files of the project"
)]

pub(crate) mod dump;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pgadvise::migration::At;
use pgadvise::migration::state::State;
use pgadvise::source::SourceId;
use pgadvise::sql::ddl::{self, Action, Name, Statement};

use crate::support::server::{self, Server};

/// One history of ours: its name, text, and the versions that it is for.
struct Story {
    name: String,
    text: String,
    versions: (u32, u32),
    statements: Vec<Statement>,
}

fn stories() -> Vec<Story> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrations/histories");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            let (first, last) = text
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("-- versions: "))
                .and_then(|versions| versions.split_once('-'))
                .unwrap_or_else(|| panic!("{}: no line `-- versions:`", path.display()));
            let (statements, problems) = ddl::read(SourceId(0), &text);
            assert!(problems.is_empty(), "{}: {problems:?}", path.display());
            Story {
                name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
                versions: (first.parse().unwrap(), last.parse().unwrap()),
                statements,
                text,
            }
        })
        .collect()
}

fn at(number: usize) -> At {
    At {
        file: 0,
        part: 0,
        statement: number,
        inner: 0,
    }
}

fn apply(state: &mut State, number: usize, statement: &Statement) {
    if let Action::Do(body) = &statement.action {
        for (inner, statement) in body.statements.iter().enumerate() {
            let at = At {
                inner: inner + 1,
                ..at(number)
            };
            state.apply(statement, at);
        }
    } else {
        state.apply(statement, at(number));
    }
}

fn replayed(story: &Story, major: u32) -> State {
    let mut state = State::empty();
    state.set_major(u16::try_from(major).unwrap());
    for (number, statement) in story.statements.iter().enumerate() {
        apply(&mut state, number, statement);
    }
    state
}

/// The server's lines after each statement was sent to it by itself.
fn real(server: &Server, port: u16, name: &str, story: &Story) -> Vec<String> {
    drop(server.database(name, ""));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::Config::new()
            .host_path(server.folder())
            .port(port)
            .user("postgres")
            .dbname(name)
            .connect(tokio_postgres::NoTls)
            .await
            .unwrap();
        let running = tokio::spawn(connection);
        for statement in &story.statements {
            let text = &story.text[statement.span.range()];
            if let Err(error) = client.batch_execute(text).await {
                // A name that is taken is refused on both sides.
                panic!("{name}: {error:?}\n{text}");
            }
        }
        client
            .batch_execute("SET search_path = public")
            .await
            .unwrap();
        let rows = client.simple_query(dump::OF_SERVER).await.unwrap();
        drop(client);
        running.abort();
        rows.iter()
            .filter_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect()
    })
}

/// Every line of one that the other has not.
fn differences(story: &Story, state: &State, real: &[String]) -> Vec<String> {
    let (lines, unknown) = dump::of_state(state);
    let known = |line: &&String| {
        !unknown
            .iter()
            .any(|table| line.starts_with(&format!("column|{table}|")))
    };
    let ours: BTreeSet<&String> = lines.iter().filter(known).collect();
    let theirs: BTreeSet<&String> = real.iter().filter(known).collect();
    let one = |sign: &str, line: &String| format!("{}: {sign} {line}", story.name);
    theirs
        .difference(&ours)
        .map(|line| one("only on the server:", line))
        .chain(
            ours.difference(&theirs)
                .map(|line| one("only in the state:", line)),
        )
        .collect()
}

/// Tables, columns, constraints, indexes, triggers, types, sequences, views
/// and schemas, on every version that there is.
#[test]
fn migration_state_is_what_every_version_has_after_the_same_statements() {
    let stories = stories();
    let total: usize = stories.iter().map(|story| story.statements.len()).sum();
    assert!(total > 300, "{total} statements");
    let mut wrong = Vec::new();
    let mut kinds = BTreeSet::new();
    for (major, bin) in server::every_version() {
        let port = 5432;
        let server = match Server::of_version(&bin, &[], port) {
            Ok(server) => server,
            Err(why) => panic!("version {major}: {why}"),
        };
        for story in &stories {
            if major < story.versions.0 || major > story.versions.1 {
                continue;
            }
            let real = real(&server, port, &format!("state_{}", story.name), story);
            let state = replayed(story, major);
            assert!(!state.is_partial(), "{}", story.name);
            kinds.extend(
                real.iter()
                    .filter_map(|line| line.split('|').next().map(str::to_owned)),
            );
            wrong.extend(
                differences(story, &state, &real)
                    .into_iter()
                    .map(|line| format!("{major}: {line}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if !kinds.is_empty() {
        let all = [
            "child",
            "column",
            "constraint",
            "domain",
            "enum",
            "index",
            "reads",
            "schema",
            "sequence",
            "table",
            "trigger",
        ];
        assert_eq!(kinds.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }
}

/// What is done after a point is taken back, whatever it was.
#[test]
fn migration_state_goes_back_to_a_point() {
    for story in stories() {
        let major = story.versions.1;
        let mut state = State::empty();
        state.set_major(u16::try_from(major).unwrap());
        let half = story.statements.len() / 2;
        for (number, statement) in story.statements.iter().enumerate().take(half) {
            apply(&mut state, number, statement);
        }
        let before = dump::of_state(&state);
        let copy = state.clone();
        let mark = state.mark();
        for (number, statement) in story.statements.iter().enumerate().skip(half) {
            apply(&mut state, number, statement);
        }
        assert_ne!(before, dump::of_state(&state), "{}", story.name);
        state.back_to(mark);
        assert_eq!(before, dump::of_state(&state), "{}", story.name);
        assert_eq!(before, dump::of_state(&copy), "{}", story.name);
        // And it goes on from there as if nothing had been.
        for (number, statement) in story.statements.iter().enumerate().skip(half) {
            apply(&mut state, number, statement);
        }
        assert_eq!(
            dump::of_state(&replayed(&story, major)),
            dump::of_state(&state),
            "{}",
            story.name
        );
    }
}

/// A catalogue made of a state gives the same state again, but for what a
/// catalogue does not hold.
#[test]
fn migration_state_is_kept_in_its_catalogue() {
    let kept = |state: &State| -> Vec<String> {
        dump::of_state(state)
            .0
            .into_iter()
            .filter(|line| line.starts_with("index|") || line.starts_with("constraint|"))
            .collect()
    };
    for story in stories() {
        let state = replayed(&story, story.versions.1);
        let again = State::of_catalog(&state.catalog());
        assert_eq!(kept(&state), kept(&again), "{}", story.name);
    }
}

fn state_of(text: &str) -> State {
    let (statements, problems) = ddl::read(SourceId(0), text);
    assert!(problems.is_empty(), "{problems:?}");
    let mut state = State::empty();
    for (number, statement) in statements.iter().enumerate() {
        apply(&mut state, number, statement);
    }
    state
}

/// A history that does not begin at the beginning says so; what is asked for
/// with IF EXISTS, or in a branch, says nothing.
#[test]
fn migration_state_is_partial_when_an_unknown_table_is_named() {
    for text in [
        "ALTER TABLE t ADD COLUMN a int",
        "CREATE INDEX ON t (a)",
        "CREATE TABLE u (a int REFERENCES t)",
        "INSERT INTO t VALUES (1)",
        "DROP TABLE t",
    ] {
        assert!(state_of(text).is_partial(), "{text}");
    }
    for text in [
        "DROP TABLE IF EXISTS t",
        "ALTER TABLE IF EXISTS t ADD COLUMN a int",
        "DO $$ BEGIN IF true THEN ALTER TABLE t ADD COLUMN a int; END IF; END $$",
        "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int",
    ] {
        assert!(!state_of(text).is_partial(), "{text}");
    }
}

/// Foreign keys whose rows no index finds.
#[test]
fn migration_state_knows_foreign_keys_without_an_index() {
    let state = state_of(
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b), c int UNIQUE);
         CREATE TABLE t (x int, y int, z int, n int, h int,
             CONSTRAINT both_ways FOREIGN KEY (x, y) REFERENCES p,
             CONSTRAINT bare FOREIGN KEY (z) REFERENCES p (c),
             CONSTRAINT partly FOREIGN KEY (n) REFERENCES p (c),
             CONSTRAINT hashed FOREIGN KEY (h) REFERENCES p (c));
         CREATE INDEX ON t (y, x, z);
         CREATE INDEX ON t (n) WHERE z > 0;
         CREATE INDEX ON t USING hash (h);",
    );
    let t = state.resolve(&Name::bare("t")).unwrap();
    let without: Vec<&str> = state
        .foreign_keys_without_index(&t)
        .into_iter()
        .map(|key| key.name.as_str())
        .collect();
    assert_eq!(without, ["bare", "partly"]);
    let state = state_of(
        "CREATE TABLE p (c int UNIQUE); CREATE TABLE t (n int REFERENCES p (c));
         CREATE INDEX sparse ON t (n) WHERE n IS NOT NULL;",
    );
    assert!(state.foreign_keys_without_index(&t).is_empty());
}

/// Only a CHECK that says nothing but NOT NULL, and more, proves it.
#[test]
fn migration_state_knows_what_proves_not_null() {
    let proves = |check: &str| {
        let state = state_of(&format!(
            "CREATE TABLE t (a int, b int); ALTER TABLE t ADD CONSTRAINT c CHECK ({check})"
        ));
        let t = state.resolve(&Name::bare("t")).unwrap();
        state.not_null_proved(&t, "a")
    };
    assert!(proves("a IS NOT NULL"));
    assert!(proves("(a IS NOT NULL) AND b > 0"));
    assert!(!proves("a IS NOT NULL OR b > 0"));
    assert!(!proves("b IS NOT NULL"));
    assert!(!proves("a IS NULL"));
    assert!(!proves("NOT (a IS NOT NULL)"));
}
