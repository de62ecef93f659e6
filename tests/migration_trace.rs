//! What a throw-away server did with each statement is told, and is what the
//! text says.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look for an installed server, and read the page that they check"
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use pgadvise::migration::framework::Framework;
use pgadvise::migration::locks::{CASES, Known, LockMode, Work};
use pgadvise::migration::state::{Qualified, State};
use pgadvise::migration::{self, At, Direction, File, History, Part, Sureness, Wrapping};
use pgadvise::pg::cluster::programs::{Search, installed};
use pgadvise::pg::trace::{Trace, trace};
use pgadvise::pg::twin::cache::EngineWish;
use pgadvise::pg::workload::{Basis, Servers};
use pgadvise::source::{Sources, Span, Text};
use pgadvise::sql::ddl;
use serde_json::Value;

use crate::support::desk::{Desk, Ended, ended};
use crate::support::server::{Server, shared};

/// One file of a history.
struct Given {
    new: bool,
    wrapping: Wrapping,
    text: String,
}

fn new(wrapping: Wrapping, text: &str) -> Given {
    Given {
        new: true,
        wrapping,
        text: text.to_owned(),
    }
}

fn old(text: &str) -> Given {
    Given {
        new: false,
        wrapping: Wrapping::None,
        text: text.to_owned(),
    }
}

fn history(files: &[Given]) -> (History, Sources) {
    let mut sources = Sources::default();
    let mut history = History::default();
    for (number, file) in files.iter().enumerate() {
        let path = format!("{number}.sql");
        let source = sources.add(Text::new(path.clone(), file.text.clone()));
        let (statements, problems) = ddl::read(source, &file.text);
        assert!(problems.is_empty(), "{}: {problems:?}", file.text);
        history.files.push(File {
            source,
            path,
            version: None,
            framework: Framework::Plain,
            database: None,
            new: file.new,
            edited: false,
            parts: vec![Part {
                direction: Direction::Up,
                wrapping: file.wrapping,
                sureness: Sureness::Known,
                span: Span::new(source, 0..file.text.len()),
                statements,
            }],
            suppressions: Vec::new(),
        });
    }
    (history, sources)
}

/// A trace on an installed server; nothing where there is none.
fn traced(files: &[Given]) -> Option<Trace> {
    let (history, sources) = history(files);
    traced_history(&history, &sources)
}

fn traced_history(history: &History, sources: &Sources) -> Option<Trace> {
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    let Some(server) = installed(&search).into_iter().next() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no PostgreSQL server for the tests"
        );
        println!("did nothing: no PostgreSQL server for the tests");
        return None;
    };
    let major = u16::try_from(server.major).unwrap();
    Some(run_history(
        history,
        sources,
        EngineWish::Native,
        search,
        major,
    ))
}

fn run(files: &[Given], engine: EngineWish, search: Search, major: u16) -> Trace {
    let (history, sources) = history(files);
    run_history(&history, &sources, engine, search, major)
}

fn run_history(
    history: &History,
    sources: &Sources,
    engine: EngineWish,
    search: Search,
    major: u16,
) -> Trace {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let servers = Servers {
        engine,
        search,
        cache: None,
        temp: temp.path().to_owned(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        load_limit: Duration::from_secs(20),
        plan_limit: Duration::from_secs(20),
    };
    trace(
        history,
        sources,
        &State::empty(),
        &migration::Server {
            major,
            assumed: false,
            ..migration::Server::default()
        },
        &Basis::History { major: Some(major) },
        &servers,
        &mut |_, _, _| {},
    )
    .unwrap()
}

fn at(file: usize, statement: usize) -> At {
    At {
        file,
        part: 0,
        statement,
        inner: 0,
    }
}

const SETUP: &str = "CREATE TABLE parent (id int PRIMARY KEY); \
    CREATE TABLE t (id int PRIMARY KEY, a int, b varchar(10)); CREATE INDEX t_b ON t (b);";

#[test]
fn locks_rewrites_scans_and_builds_are_those_of_the_server() {
    let Some(trace) = traced(&[
        old(SETUP),
        new(
            Wrapping::PerFile,
            "ALTER TABLE t ADD COLUMN n float DEFAULT random(); \
             ALTER TABLE t ADD CHECK (a > 0); \
             CREATE INDEX ON t (a); \
             ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES parent (id);",
        ),
        new(
            Wrapping::None,
            "CREATE INDEX CONCURRENTLY c ON t (a); ALTER TABLE t ALTER COLUMN a SET NOT NULL; \
             CREATE TABLE n (id int REFERENCES t (id)); DROP INDEX t_b;",
        ),
    ]) else {
        return;
    };
    assert!(trace.failures.is_empty(), "{:?}", trace.failures);
    assert!(trace.disagreements.is_empty(), "{:?}", trace.disagreements);
    let said = |place: At, relation: &str| {
        trace.effects[&place]
            .iter()
            .find(|effect| effect.relation == Qualified::new("public", relation))
            .map(|effect| {
                assert_eq!(effect.known, Known::Traced);
                (effect.mode, effect.work)
            })
    };
    let exclusive = LockMode::AccessExclusive;
    assert_eq!(said(at(1, 0), "t"), Some((exclusive, Work::Rewrite)));
    assert_eq!(said(at(1, 1), "t"), Some((exclusive, Work::Scan)));
    assert_eq!(
        said(at(1, 2), "t"),
        Some((LockMode::Share, Work::IndexBuild))
    );
    assert_eq!(
        said(at(1, 3), "parent"),
        Some((LockMode::ShareRowExclusive, Work::None))
    );
    // What runs outside of a transaction cannot be asked about.
    assert!(!trace.effects.contains_key(&at(2, 0)));
    assert_eq!(said(at(2, 1), "t"), Some((exclusive, Work::Scan)));
    assert_eq!(
        said(at(2, 2), "t"),
        Some((LockMode::ShareRowExclusive, Work::None))
    );
    assert_eq!(trace.objects[&at(2, 2)].created, ["n"]);
    assert_eq!(trace.objects[&at(2, 3)].dropped, ["t_b"]);
}

#[test]
fn a_failure_is_told_once_with_its_place_and_later_files_go_on() {
    let broken = "ALTER TABLE t ADD COLUMN x int; ALTER TABLE t DROP COLUMN nope; \
                  ALTER TABLE t ADD COLUMN y int;";
    let Some(trace) = traced(&[
        old(SETUP),
        new(Wrapping::PerFile, broken),
        new(Wrapping::PerFile, "ALTER TABLE t ADD COLUMN x int;"),
        new(
            Wrapping::None,
            "SELECT nope FROM t; ALTER TABLE t ADD COLUMN y int;",
        ),
        new(Wrapping::PerFile, "CREATE INDEX CONCURRENTLY i ON t (a);"),
    ]) else {
        return;
    };
    let places: Vec<(At, &str)> = trace
        .failures
        .iter()
        .map(|failure| (failure.at, failure.sqlstate.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            (at(1, 1), "42703"),
            (at(3, 0), "42703"),
            (at(4, 0), "25001")
        ]
    );
    assert!(trace.failures[0].message.contains("nope"));
    // The server says where, in a query.
    let span = trace.failures[1].span;
    assert_eq!(span.start, "SELECT ".len());
    // The first transaction was rolled back, so that x could be added again.
    assert!(trace.effects.contains_key(&at(2, 0)));
    assert!(trace.effects.contains_key(&at(3, 1)));
    assert!(!trace.effects.contains_key(&at(1, 2)));
}

#[test]
fn statements_put_together_at_run_time_are_seen() {
    let Some(trace) = traced(&[
        old(SETUP),
        new(
            Wrapping::PerFile,
            "DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE ' || relname || ' DROP COLUMN b' \
             FROM pg_class WHERE relname = 't'); END $$;",
        ),
    ]) else {
        return;
    };
    assert!(trace.failures.is_empty(), "{:?}", trace.failures);
    let effects = &trace.effects[&at(1, 0)];
    assert_eq!(effects.len(), 1);
    assert_eq!(effects[0].relation, Qualified::new("public", "t"));
    assert_eq!(effects[0].mode, LockMode::AccessExclusive);
}

#[test]
fn roles_and_extensions_that_are_missing_stop_nothing() {
    let Some(trace) = traced(&[
        old(SETUP),
        new(
            Wrapping::PerFile,
            "CREATE EXTENSION IF NOT EXISTS surely_not_here; GRANT SELECT ON t TO somebody; \
             ALTER TABLE t ADD COLUMN x int;",
        ),
    ]) else {
        return;
    };
    assert!(trace.failures.is_empty(), "{:?}", trace.failures);
    assert_eq!(trace.skipped.len(), 1, "{:?}", trace.skipped);
    assert!(trace.effects.contains_key(&at(1, 2)));
}

/// Each claim about locks, traced: the setup in an older file, the statement
/// in a new one, each in a schema of its own.
#[test]
fn trace_and_text_agree_on_every_claim() {
    // These need a superuser, or make what is not in the schema.
    let special = [
        "set-access-method",
        "publication",
        "alter-publication",
        "set-schema",
        "publication-partitioned",
        "publication-drop",
        "publication-all",
        "drop-publication",
        "partitioned-set-schema",
        "drop-schema-cascade",
        "rename-schema",
        "detach-finalize",
        "index-set-tablespace",
        "table-set-tablespace",
        "table-set-same-tablespace",
        "partitioned-set-tablespace",
        "materialized-view-set-tablespace",
        "all-in-tablespace",
        "analyze-all",
        // Functions and sequences are known by their names without a schema.
        "drop-function-cascade",
        "drop-function-cascade-default",
        "drop-sequence-cascade",
    ];
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    let Some(server) = installed(&search).into_iter().next() else {
        return;
    };
    let major = u16::try_from(server.major).unwrap();
    let cases: Vec<_> = CASES
        .iter()
        .flat_map(|family| family.cases)
        .filter(|case| case.holds(major) && !special.contains(&case.id))
        .filter(|case| !case.no_transaction)
        .collect();
    let mut files = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let schema = format!("c{number}");
        files.push(new(
            Wrapping::None,
            &format!(
                "CREATE SCHEMA {schema}; SET search_path = {schema}; {}",
                case.setup
            ),
        ));
        files.push(new(
            Wrapping::PerFile,
            &format!(
                "SET search_path = {schema}; SET TimeZone = '{}'; {}",
                if case.setup.contains("Europe/Berlin") {
                    "Europe/Berlin"
                } else {
                    "UTC"
                },
                case.statement
            ),
        ));
    }
    let trace = run(&files, EngineWish::Native, search, major);
    let mut wrong = String::new();
    for failure in &trace.failures {
        writeln!(
            wrong,
            "{}: {}",
            cases[failure.at.file / 2].id,
            failure.message
        )
        .unwrap();
    }
    for one in &trace.disagreements {
        // Setups have no claims.
        if one.at.file % 2 == 1 {
            writeln!(wrong, "{}: {one:?}", cases[one.at.file / 2].id).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_server_is_traced_too() {
    let search = Search {
        pg_bin: None,
        path: Vec::new(),
    };
    let trace = run(
        &[
            old(SETUP),
            new(
                Wrapping::PerFile,
                "ALTER TABLE t ADD COLUMN n float DEFAULT random(); ALTER TABLE t ADD CHECK (a > 0);",
            ),
        ],
        EngineWish::Embedded,
        search,
        17,
    );
    assert!(trace.failures.is_empty(), "{:?}", trace.failures);
    assert!(trace.disagreements.is_empty(), "{:?}", trace.disagreements);
    let work: Vec<Work> = [at(1, 0), at(1, 1)]
        .iter()
        .map(|place| trace.effects[place][0].work)
        .collect();
    assert_eq!(work, [Work::Rewrite, Work::Scan]);
}

/// `check m --trace` on an installed server; `None` where there is none.
fn check(desk: &Desk, args: &[&str]) -> Option<(Ended, u32)> {
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    let server = installed(&search).into_iter().next()?;
    let major = server.major;
    let version = major.to_string();
    let folder = server.bin.display().to_string();
    let mut all = vec!["check", "--trace", "--pg-bin", &folder];
    all.extend(["--pg-version", &version]);
    all.extend(args);
    let mut command = desk.command(&all);
    command
        .env("COLUMNS", "100")
        .env("XDG_CACHE_HOME", desk.path("cache"))
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY");
    Some((ended(&command.output().expect("the program runs")), major))
}

fn report(ended: &Ended) -> Value {
    ended.json_of(&pgadvise::report::check::schema())
}

/// `RULE LINE TRACED` of each finding in files of that name.
fn found(report: &Value, file: &str) -> Vec<String> {
    report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["place"]["file"] == file)
        .map(|finding| {
            format!(
                "{} {} {}",
                finding["rule"].as_str().expect("a rule"),
                finding["place"]["line"],
                finding["traced"]
            )
        })
        .collect()
}

#[test]
fn the_command_says_what_the_server_did_and_refused() {
    let desk = Desk::new();
    desk.write("m/V1__t.sql", SETUP)
        .write(
            "m/V2__a.sql",
            "ALTER TABLE t ADD COLUMN n float DEFAULT random();\n\
             DO $$ BEGIN EXECUTE (SELECT 'ALTER TABLE ' || relname || ' ALTER a TYPE bigint' \
             FROM pg_class WHERE relname = 't'); END $$;\n",
        )
        .write(
            "m/V3__b.sql",
            "CREATE TABLE made (id int PRIMARY KEY);\nALTER TABLE t DROP COLUMN nope;\n",
        )
        .write("m/V4__c.sql", "CREATE INDEX ON made (id);\n");
    let new = ["V2__a.sql", "V3__b.sql", "V4__c.sql"].map(|name| format!("m/{name}"));
    let mut args = vec!["m", "--format", "json"];
    for name in &new {
        args.extend(["--changed", name]);
    }
    for rule in ["statement-fails", "column-default-rewrites-table"] {
        args.extend(["--only", rule]);
    }
    let Some((ended, major)) = check(&desk, &args) else {
        return;
    };
    let said = report(&ended);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert_eq!(
        found(&said, "m/V2__a.sql"),
        ["column-default-rewrites-table 1 true"]
    );
    // Told once, with the server's message; what needs it is no finding.
    assert_eq!(found(&said, "m/V3__b.sql"), ["statement-fails 2 true"]);
    assert!(found(&said, "m/V4__c.sql").is_empty());
    let message = said["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .find(|finding| finding["rule"] == "statement-fails")
        .expect("it")["message"]
        .clone();
    assert_eq!(
        message,
        "ALTER TABLE fails: column \"nope\" of relation \"t\" does not exist"
    );
    let skipped = said["skipped"].to_string();
    assert!(skipped.contains("m/V4__c.sql:1:1"), "{skipped}");
    let trace = &said["trace"];
    assert_eq!(trace["refused"], 1, "{trace}");
    assert_eq!(trace["statements"], 5, "{trace}");
    assert_eq!(trace["disagreements"].as_array().expect("a list").len(), 0);
    let engine = trace["engine"].as_str().expect("a name");
    assert!(
        engine.starts_with(&format!("PostgreSQL {major}")),
        "{engine}"
    );
    // Every form says that a finding was seen.
    for format in ["text", "markdown", "sarif", "gitlab", "junit", "github"] {
        let args: Vec<&str> = args
            .iter()
            .map(|word| if *word == "json" { format } else { *word })
            .collect();
        let (ended, _) = check(&desk, &args).expect("a server");
        let plain = ended.out.replace('\\', "").to_lowercase();
        assert!(
            plain.contains("seen under --trace"),
            "{format}: {}",
            ended.out
        );
    }
}

#[test]
fn counts_of_what_ran_outside_of_a_transaction_are_not_taken_for_scans() {
    let Some(trace) = traced(&[
        old(SETUP),
        new(Wrapping::None, "CREATE INDEX CONCURRENTLY c ON t (a);"),
        new(Wrapping::PerFile, "ALTER TABLE t ADD COLUMN x int;"),
    ]) else {
        return;
    };
    assert!(trace.disagreements.is_empty(), "{:?}", trace.disagreements);
    assert_eq!(trace.effects[&at(2, 0)][0].work, Work::None);
}

/// What a lost transaction did is not there for the files after it, neither on
/// the server nor in what is expected of it.
#[test]
fn a_lost_transaction_takes_back_what_it_did() {
    let Some(trace) = traced(&[
        old(SETUP),
        new(
            Wrapping::PerFile,
            "ALTER TABLE t ALTER COLUMN a SET NOT NULL; CREATE TABLE n (id int); SELECT nope;",
        ),
        new(
            Wrapping::None,
            "BEGIN; ALTER TABLE t ALTER COLUMN b TYPE text; SELECT nope; COMMIT; \
             ALTER TABLE t ALTER COLUMN b TYPE varchar(20);",
        ),
        new(
            Wrapping::PerFile,
            "ALTER TABLE t ALTER COLUMN a SET NOT NULL; CREATE TABLE n (id int, t_id int);",
        ),
        new(
            Wrapping::PerFile,
            "ALTER TABLE n ADD FOREIGN KEY (t_id) REFERENCES t (id);",
        ),
    ]) else {
        return;
    };
    let failed: Vec<At> = trace.failures.iter().map(|failure| failure.at).collect();
    assert_eq!(failed, [at(1, 2), at(2, 2)]);
    assert!(trace.disagreements.is_empty(), "{:?}", trace.disagreements);
    // From varchar(10), as if text had never been.
    assert_eq!(trace.effects[&at(2, 4)][0].work, Work::None);
    assert_eq!(trace.effects[&at(3, 0)][0].work, Work::Scan);
    assert_eq!(trace.effects[&at(4, 0)].len(), 2);
}

/// Each database of a history has a server of its own.
#[test]
fn every_database_of_a_history_is_traced() {
    let files = [
        old("CREATE TABLE t (id int PRIMARY KEY, a int);"),
        old("CREATE TABLE t (id int PRIMARY KEY, a text);"),
        new(
            Wrapping::PerFile,
            "ALTER TABLE t ALTER COLUMN a TYPE bigint;",
        ),
        new(
            Wrapping::PerFile,
            "ALTER TABLE t ALTER COLUMN a TYPE varchar; CREATE TABLE u (id int);",
        ),
    ];
    let (mut history, sources) = history(&files);
    for (file, name) in history.files.iter_mut().zip(["one", "two", "one", "two"]) {
        file.database = Some(name.to_owned());
    }
    let Some(trace) = traced_history(&history, &sources) else {
        return;
    };
    assert!(trace.failures.is_empty(), "{:?}", trace.failures);
    assert!(trace.disagreements.is_empty(), "{:?}", trace.disagreements);
    assert!(trace.skipped.is_empty(), "{:?}", trace.skipped);
    assert_eq!(trace.effects[&at(2, 0)][0].work, Work::Rewrite);
    assert_eq!(trace.effects[&at(3, 0)][0].work, Work::None);
    assert_eq!(trace.objects[&at(3, 1)].created, ["u"]);
    assert_eq!(trace.statements, 3);
}

/// A history that fails half-way: the statement is told, and the files after
/// it are judged, by the server where they run there, else by their text.
#[test]
fn after_a_failure_half_way_the_later_files_are_judged_all_the_same() {
    let desk = Desk::new();
    desk.write("m/V1__t.sql", SETUP)
        .write(
            "m/V2__n.sql",
            "CREATE TABLE n (id int PRIMARY KEY, a int);\nALTER TABLE t DROP COLUMN nope;\n",
        )
        .write(
            "m/V3__n.sql",
            "ALTER TABLE t ALTER COLUMN a SET NOT NULL;\nALTER TABLE n ALTER COLUMN a SET NOT NULL;\n",
        )
        .write("m/V4__t.sql", "ALTER TABLE t ALTER COLUMN a TYPE bigint;\n");
    let mut args = vec!["m", "--format", "json"];
    for rule in [
        "statement-fails",
        "not-null-set-with-scan",
        "column-type-change-rewrites",
    ] {
        args.extend(["--only", rule]);
    }
    let Some((ended, _)) = check(&desk, &args) else {
        return;
    };
    let said = report(&ended);
    assert_eq!(found(&said, "m/V2__n.sql"), ["statement-fails 2 true"]);
    assert_eq!(
        found(&said, "m/V3__n.sql"),
        [
            "not-null-set-with-scan 1 true",
            "not-null-set-with-scan 2 false"
        ],
        "{}",
        ended.out
    );
    assert_eq!(found(&said, "m/V4__t.sql").len(), 1, "{}", ended.out);
}

#[test]
fn with_a_snapshot_its_schema_is_what_new_files_run_on() {
    let Some(server) = shared() else { return };
    server.database(
        "trace_of_snapshot",
        &format!(
            "{SETUP} INSERT INTO t SELECT g, g, g FROM generate_series(1, 100) AS g; ANALYZE;"
        ),
    );
    let desk = Desk::new();
    let conninfo = connection(server, "trace_of_snapshot");
    desk.run(&["snapshot", "-d", &conninfo, "-o", "t.pgsnap"])
        .assert(0, &[], &[]);
    desk.write(
        "m/V9__a.sql",
        "ALTER TABLE t ALTER COLUMN a SET NOT NULL;\nALTER TABLE t DROP COLUMN nope;\n",
    );
    let args = ["m", "--format", "json", "--snapshot", "t.pgsnap"];
    let mut args = args.to_vec();
    for rule in ["statement-fails", "not-null-set-with-scan"] {
        args.extend(["--only", rule]);
    }
    let Some((ended, _)) = check(&desk, &args) else {
        return;
    };
    let said = report(&ended);
    assert_eq!(
        found(&said, "m/V9__a.sql"),
        ["not-null-set-with-scan 1 true", "statement-fails 2 true"],
        "{}",
        ended.err
    );
}

fn connection(server: &Server, database: &str) -> String {
    format!(
        "host={} dbname={database} user=postgres",
        server.folder().display()
    )
}

/// The page's files, command and output.
#[test]
fn the_page_shows_what_the_command_says() {
    let page =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/trace.md"))
            .expect("the page");
    let blocks = |language: &str| -> Vec<String> {
        page.split(&format!("```{language}\n"))
            .skip(1)
            .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
            .collect()
    };
    let desk = Desk::new();
    for file in blocks("sql") {
        let name = file
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("-- "))
            .expect("its name");
        desk.write(name, &file);
    }
    let command = blocks("sh").remove(0);
    let args: Vec<&str> = command
        .trim()
        .strip_prefix("pgadvise check ")
        .expect("check")
        .split(' ')
        .filter(|word| *word != "--trace")
        .collect();
    let Some((shown, major)) = check(&desk, &args) else {
        return;
    };
    let mut json = args.clone();
    json.extend(["--format", "json"]);
    let (json, _) = check(&desk, &json).expect("a server");
    let engine = report(&json)["trace"]["engine"]
        .as_str()
        .expect("its name")
        .to_owned();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = words(&shown.out)
        .replace(&words(&engine), "PostgreSQL 17.5 (installed)")
        .replace(&format!("PostgreSQL {major} ("), "PostgreSQL 17 (");
    assert_eq!(said, words(&blocks("text").remove(0)));
}

/// Programs make the partitions; the throw-away server has none, and sees
/// nothing of what is done to them.
#[test]
fn partitions_that_are_not_there_are_no_disagreement() {
    let Some(trace) = traced(&[
        old("CREATE TABLE p (id int, day date, note text) PARTITION BY RANGE (day);"),
        new(Wrapping::PerFile, "CREATE INDEX p_id ON p (id);"),
        new(
            Wrapping::PerFile,
            "CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
        ),
        new(Wrapping::PerFile, "CREATE INDEX p_day ON p (day);"),
    ]) else {
        return;
    };
    assert!(trace.disagreements.is_empty(), "{:?}", trace.disagreements);
    let build = &trace.effects[&at(1, 0)][0];
    assert_eq!(
        (build.work, build.known),
        (Work::IndexBuild, Known::Static),
        "{build:?}"
    );
    // Where one is there, it is the one that is read.
    for effect in &trace.effects[&at(3, 0)] {
        let work = if effect.relation.name == "p" {
            Work::None
        } else {
            Work::IndexBuild
        };
        assert_eq!((effect.work, effect.known), (work, Known::Traced));
    }
}

/// The server runs what users write without rights; a role that code makes is
/// nothing that fails.
#[test]
fn rights_that_the_throw_away_server_keeps_back_are_no_failure() {
    let Some(trace) = traced(&[
        old(SETUP),
        new(
            Wrapping::PerFile,
            "DO $$ BEGIN EXECUTE 'CREATE ROLE made_by_code'; END $$; ALTER TABLE t ADD x int;",
        ),
        new(
            Wrapping::PerFile,
            "DO $$ BEGIN EXECUTE 'ALTER TABLE nowhere ADD y int'; END $$; ALTER TABLE t ADD y int;",
        ),
    ]) else {
        return;
    };
    let failed: Vec<At> = trace.failures.iter().map(|failure| failure.at).collect();
    assert_eq!(failed, [at(2, 0)]);
    let [(_, why)] = trace.skipped.as_slice() else {
        panic!("{:?}", trace.skipped);
    };
    assert!(why.contains("cannot do it: permission denied"), "{why}");
    // The transaction went on.
    assert_eq!(trace.effects[&at(1, 1)][0].mode, LockMode::AccessExclusive);
}
