//! A live server without hypopg, and the twin that suppositions are made on.
#![cfg(feature = "embedded")]

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use pgadvise::pg::cluster::programs::Search;
use pgadvise::pg::twin::cache::{self, EngineWish, OpenOptions};
use pgadvise::pg::twin::planner::TwinPlanner;
use pgadvise::pg::{LivePlanner, LiveWithTwin};
use pgadvise::verify::{PlanError, PlanOptions, Planner as _, Supposition};

use super::{ORDERS, index, limits, statement};
use crate::support::server::{Server, shared};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pgadvise");

/// A planner on the server, and how often its twin was opened.
fn planner(server: &Server, database: &str, engine: EngineWish) -> (LiveWithTwin, Rc<Cell<u32>>) {
    let options = server.options(database, "postgres", "application_name=beside");
    let live = LivePlanner::connect(&options, limits()).unwrap();
    let opened = Rc::new(Cell::new(0));
    let count = Rc::clone(&opened);
    let temp = tempfile::tempdir().unwrap();
    let open = Box::new(move |snapshot| {
        count.set(count.get() + 1);
        let snapshot = Arc::new(snapshot);
        let options = OpenOptions {
            snapshot: Arc::clone(&snapshot),
            hash: String::new(),
            engine,
            search: Search {
                pg_bin: None,
                path: Vec::new(),
            },
            cache: None,
            temp: temp.path().to_owned(),
            program: PathBuf::from(PROGRAM),
            load_limit: Duration::from_mins(1),
            statement_limit: Duration::from_mins(1),
        };
        let twin = cache::open(&options, &mut cache::make, &mut |_, _, _| ())
            .map_err(|error| error.to_string())?;
        TwinPlanner::new(twin.cluster, twin.loaded, snapshot, Duration::from_secs(20))
            .map_err(|error| error.to_string())
    });
    (LiveWithTwin::new(live, open), opened)
}

/// Whether a statement of the server's log only reads.
fn reads(line: &str) -> bool {
    let Some((_, sql)) = line
        .split_once("execute <unnamed>: ")
        .or_else(|| line.split_once("statement: "))
    else {
        // Parameters, durations, and further lines of a statement.
        return true;
    };
    let first = sql.split_whitespace().next().unwrap_or("");
    match first.to_ascii_uppercase().as_str() {
        "BEGIN" => sql.contains("READ ONLY"),
        "ROLLBACK" | "SAVEPOINT" | "RELEASE" | "SELECT" | "WITH" => true,
        "EXPLAIN" => !sql.to_ascii_uppercase().contains("ANALYZE"),
        _ => false,
    }
}

#[test]
fn what_the_server_cannot_suppose_its_twin_does() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_beside", ORDERS);
    let (mut planner, opened) = planner(server, "live_beside", EngineWish::Auto);
    let sql = "select * from orders where customer_id = 7";
    let live = planner
        .plan(statement(sql), PlanOptions::default())
        .unwrap();
    planner.catalog().unwrap();
    assert_eq!(opened.get(), 0, "nothing was supposed yet");
    assert!(planner.what_if_engine().is_none());

    let supposed = [index("btree", &["customer_id"])];
    let base = planner.what_if_baseline(statement(sql)).unwrap().unwrap();
    let answer = planner.what_if(&[statement(sql)], &supposed).unwrap();
    assert_eq!(opened.get(), 1);
    let engine = planner.what_if_engine().unwrap();
    assert!(
        engine.description.contains("twin of live_beside"),
        "{engine:?}"
    );
    assert!(
        engine.notes[0].contains("hypopg is not installed"),
        "{engine:?}"
    );
    assert_eq!(base.total_cost(), live.total_cost());
    let with = answer.plans[0].as_ref().unwrap().total_cost().unwrap();

    // Settings and other changes too, of which a live server supposes none.
    let off = Supposition::Sql("SET enable_seqscan = off".to_owned());
    let forced = planner.what_if(&[statement(sql)], &[off]).unwrap();
    assert!(forced.plans[0].as_ref().unwrap().total_cost().unwrap() > 1e6);
    assert_eq!(opened.get(), 1, "it is made once");
    let statistics = Supposition::Statistics {
        statements: vec!["CREATE STATISTICS s ON status, placed FROM orders".to_owned()],
        relations: Vec::new(),
    };
    drop(planner.what_if(&[statement(sql)], &[statistics]));

    for line in server.logged("live_beside", "beside") {
        assert!(reads(&line), "{line}");
    }
    // What the twin said is what comes when the index is built.
    admin
        .execute_script("CREATE INDEX wanted ON orders (customer_id)")
        .unwrap();
    let built = admin
        .explain(statement(sql), PlanOptions::default())
        .unwrap()
        .total_cost()
        .unwrap();
    assert!(
        (with - built).abs() <= 0.02 * built,
        "{with} on the twin, {built} built"
    );
}

/// A server that lets the role plan but not look into the catalogue, or a
/// twin that cannot be had, says why nothing was tried.
#[test]
fn without_a_twin_the_reason_is_told() {
    let Some(server) = shared() else { return };
    server.database("live_no_twin", ORDERS);
    let options = server.options("live_no_twin", "postgres", "");
    let live = LivePlanner::connect(&options, limits()).unwrap();
    let mut planner = LiveWithTwin::new(live, Box::new(|_| Err("the disk is full".to_owned())));
    let sql = "select * from orders where customer_id = 7";
    for _ in 0..2 {
        let error = planner
            .what_if(&[statement(sql)], &[index("btree", &["customer_id"])])
            .unwrap_err();
        let PlanError::Unsupported { what } = &error else {
            panic!("{error:?}");
        };
        assert!(
            what.contains("hypopg is not installed") && what.ends_with("the disk is full"),
            "{what}"
        );
    }
    assert!(planner.plan(statement(sql), PlanOptions::default()).is_ok());
}

/// `explain` and `why-not` through the program, which makes the twin itself.
#[test]
fn the_program_advises_without_hypopg() {
    let Some(server) = shared() else { return };
    server.database("live_advised", ORDERS);
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], sql: &str| {
        let file = folder.path().join("query.sql");
        #[expect(clippy::disallowed_methods, reason = "the test's own file")]
        std::fs::write(&file, sql).unwrap();
        let conninfo = format!(
            "host={} dbname=live_advised user=postgres password=hunter2 application_name=advised",
            server.folder().display()
        );
        let output = Command::new(PROGRAM)
            .args(arguments)
            .arg(&file)
            .args(["-d", &conninfo])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("COLUMNS", "100")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}\n{said}");
        assert!(!text.contains("hunter2") && !said.contains("hunter2"));
        text
    };
    let sql = "select * from orders where customer_id = 7;";
    for engine in ["auto", "embedded"] {
        let text = run(&["explain", "--format", "json", "--engine", engine], sql);
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let statement = &report["statements"][0];
        let verdict = statement["findings"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|finding| finding["suggestions"].as_array().unwrap())
            .map(|suggestion| &suggestion["verdict"])
            .find(|verdict| verdict["status"] == "better")
            .unwrap_or_else(|| panic!("{statement:#}"));
        let named = verdict["engine"].as_str().unwrap();
        assert!(named.contains("twin of live_advised"), "{named}");
        assert_eq!(named.contains("embedded"), engine == "embedded", "{named}");
        let live = statement["plan_from"]["engine"]["description"].as_str();
        assert!(live.unwrap().ends_with("(live)"), "{live:?}");
        let notes = statement["engine"]["notes"].to_string();
        assert!(notes.contains("held in memory"), "{notes}");
        if engine == "auto" {
            assert_eq!(
                verdict["before_cost"], statement["plan"]["total_cost"],
                "{verdict:#}"
            );
        }
    }
    let nothing = run(&["explain"], "select * from orders where id = 7;");
    assert!(!nothing.contains("twin of"), "{nothing}");

    let why = run(
        &["why-not", "orders_pkey"],
        "select * from orders where id::text = '7';",
    );
    let words = why.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("installed twin of live_advised") && words.contains("held in memory"),
        "{why}"
    );
    for line in server.logged("live_advised", "advised") {
        assert!(reads(&line), "{line}");
    }
    // Nothing of it is kept, and nothing is left lying about.
    let kept = folder.path().join(".cache/pgadvise/twins");
    assert!(!kept.exists(), "{}", kept.display());
}

/// Changes of any kind are asked for by users, and hypopg knows indexes alone.
#[test]
fn changes_are_tried_on_the_twin_of_any_server() {
    let Some(server) = shared() else { return };
    for (database, extension) in [("live_changed", ""), ("live_changed_hypopg", "hypopg")] {
        let mut admin = server.database(database, ORDERS);
        if !extension.is_empty()
            && admin
                .execute_script(&format!("CREATE EXTENSION {extension}"))
                .is_err()
        {
            println!("did nothing more: the server has no {extension}");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let conninfo = format!(
            "host={} dbname={database} user=postgres application_name=changed",
            server.folder().display()
        );
        let file = folder.path().join("query.sql");
        #[expect(clippy::disallowed_methods, reason = "the test's own file")]
        std::fs::write(&file, "select * from orders where customer_id = 7;").unwrap();
        let output = Command::new(PROGRAM)
            .arg("explain")
            .arg(&file)
            .args(["-d", &conninfo, "--format", "json"])
            .args(["--what-if", "create index tried on orders (customer_id)"])
            .args(["--what-if", "set enable_bitmapscan = off"])
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let tried = &report["what_if"];
        let engine = tried["engine"]["description"].as_str().unwrap();
        assert!(engine.contains(&format!("twin of {database}")), "{tried:#}");
        let statement = &report["statements"][0]["what_if"];
        let before = statement["before_cost"].as_f64();
        assert_eq!(
            before,
            report["statements"][0]["plan"]["total_cost"].as_f64()
        );
        assert!(statement["after_cost"].as_f64() < before, "{statement:#}");
        for line in server.logged(database, "changed") {
            assert!(reads(&line), "{line}");
        }
    }
}
