//! Logs of real servers with `auto_explain`: whatever kind of log, prefix and
//! format of plan, the queries in them are the same.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the logs of their servers"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use pgadvise::input::logs::{self, Gathered, Given, LogGroup, LogOptions};

use crate::support::desk::Desk;
use crate::support::server::{Server, every_version};

const PREFIXES: [&str; 6] = [
    "%m [%p] %q%u@%d ",
    "%t:%r:%u@%d:[%p]: ",
    "%t [%p]: [%l-1] user=%u,db=%d,app=%a,client=%h ",
    "<%n %e> db=%d:user=%u | ",
    "%m LOG: not the severity: %c %q%u@%d ",
    "%a|",
];

const FORMATS: [&str; 4] = ["text", "json", "yaml", "xml"];

/// What is executed under each format, one statement a message.
const STATEMENTS: &[&str] = &[
    "select * from t where a = 5 and b in ('a', 'b', 'c');",
    // The same query to a reader.
    "SELECT  *\n\tFROM t -- it's a comment\n WHERE a = -6 AND b IN ('x');",
    // Text that looks like a log and like a plan.
    "select 'multi\n\ttabbed line\n2024-01-01 00:00:00 UTC [1] LOG:  duration: 1.000 ms  plan:\n\tQuery Text: select 1\nSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n2024-01-01 00:00:00.000 UTC,\"a\",\"b\",1' as \"q\"\"x\", /* c\n */ count(*)\nfrom t where b <> 'é \"quoted\" \\back';",
    // A nested statement, with a context behind its record.
    "select f(10);",
    "prepare p(int, text) as select a from t where a = $1 or b = $2;",
    "execute p(3, E'two\nlines \"quoted\"');",
    "deallocate p;",
    // No plan: an error and a notice in between.
    "do $$ begin raise notice 'duration: 5.000 ms  plan:'; end $$;",
    "select a from t where a < 0 order by b;",
];

const SETUP: &str = "
    create table t (a int, b text);
    insert into t select g, 'x' || g from generate_series(1, 1000) g;
    analyze t;
    create function f(n int) returns bigint language plpgsql as
    $$ begin return (select count(*) from t where a < n); end $$;";

fn gather(path: &Path, change: impl Fn(&mut LogOptions)) -> Gathered {
    let mut options = LogOptions::new(20);
    change(&mut options);
    match logs::open(path).unwrap() {
        Given::Log(log) => logs::read(vec![log], &options),
        Given::Other(other) => panic!("{} was not taken for a log", other.name),
    }
}

/// What is the same in every kind of log. Lines differ, and what a prefix tells.
fn numbers(group: &LogGroup) -> (u64, &str, u64, String, String, usize) {
    (
        group.fingerprint,
        &group.query,
        group.calls,
        format!("{:.3}", group.total_ms),
        format!("{:.3}", group.max_ms),
        group.shapes.len(),
    )
}

fn wait_for(path: &Path, marker: &str) -> Vec<u8> {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let found = std::fs::read(path).unwrap_or_default();
        if memchr::memmem::find(&found, marker.as_bytes()).is_some() && found.ends_with(b"\n") {
            return found;
        }
        assert!(Instant::now() < until, "{} lacks {marker}", path.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every version, each with a prefix of its own, in all formats at once.
#[test]
fn every_kind_of_log_of_a_server_gives_the_same_queries() {
    let versions = every_version();
    for (at, (major, bin)) in versions.iter().enumerate() {
        let prefix = format!("log_line_prefix={}", PREFIXES[at % PREFIXES.len()]);
        let kinds = if *major >= 15 {
            "log_destination=stderr,csvlog,jsonlog"
        } else {
            "log_destination=stderr,csvlog"
        };
        let mut settings = vec![
            "logging_collector=on",
            "log_directory=log",
            "log_filename=pg.log",
            "log_statement=none",
            "shared_preload_libraries=auto_explain",
            "auto_explain.log_min_duration=0",
            "auto_explain.log_analyze=on",
            "auto_explain.log_buffers=on",
            "auto_explain.log_nested_statements=on",
            kinds,
            &prefix,
        ];
        if *major >= 16 {
            settings.push("auto_explain.log_parameter_max_length=-1");
        }
        let server = Server::of_version(bin, &settings, 5432).unwrap();
        server.database("logged", SETUP);
        for format in FORMATS {
            let mut session = server.admin("logged");
            for statement in [
                format!("set application_name = 'of {format}'"),
                format!("set auto_explain.log_format = {format}"),
            ]
            .iter()
            .map(String::as_str)
            .chain(STATEMENTS.iter().copied())
            {
                session.execute_script(statement).unwrap();
            }
        }
        server
            .admin("logged")
            .execute_script("set auto_explain.log_format = text; select 'the end';")
            .unwrap();
        let folder = server.folder().join("data/log");
        let mut all = Vec::new();
        for name in ["pg.log", "pg.csv", "pg.json"] {
            if name == "pg.json" && *major < 15 {
                continue;
            }
            let path = folder.join(name);
            let bytes = wait_for(&path, "the end");
            let gathered = gather(&path, |_| ());
            let totals = &gathered.totals;
            assert_eq!(totals.bytes, bytes.len() as u64, "{major} {name}");
            assert_eq!(
                (totals.damaged, totals.cut_off, totals.oversized),
                (0, 0, 0),
                "{major} {name}"
            );
            let calls = |query: &str| {
                let found = gathered.groups.iter().find(|group| group.query == query);
                found.map_or((0, 0), |group| (group.calls, group.shapes.len()))
            };
            // A shape a format: numbers of shapes are of one format.
            // PL/pgSQL evaluated expressions by a SELECT of its own before 14.
            let nested = if *major < 14 {
                "select (select count(*) from t where a < n)"
            } else {
                "(select count(*) from t where a < n)"
            };
            for (query, expected) in [
                ("select * from t where a = ? and b in (...)", (8, 4)),
                (
                    "select ? as \"q\"\"x\", count(*) from t where b <> ?",
                    (4, 4),
                ),
                ("select f(?)", (4, 4)),
                (nested, (4, 4)),
                (
                    "prepare p(int, text) as select a from t where a = ? or b = ?",
                    (4, 4),
                ),
                ("select a from t where a < ? order by b", (4, 4)),
            ] {
                let found = calls(query);
                assert_eq!(found, expected, "{major} {name}: {query}\n{gathered:#?}");
            }
            let known = gathered
                .groups
                .iter()
                .find(|group| group.query == "select f(?)");
            let database = known.and_then(|group| group.databases.first());
            assert_eq!(
                database.map(|part| part.name.as_str()),
                // One prefix tells the application alone.
                (name != "pg.log" || PREFIXES[at % PREFIXES.len()] != "%a|").then_some("logged"),
                "{major} {name}"
            );
            // In pieces of a few kilobytes, by several threads: the same.
            let pieces = gather(&path, |options| {
                options.piece = 3000;
                options.threads = 3;
            });
            assert_eq!(pieces.groups, gathered.groups, "{major} {name}");
            // Documents are as the server made them.
            for record in gathered
                .groups
                .iter()
                .flat_map(|group| &group.shapes)
                .filter_map(|shape| shape.record.as_ref())
            {
                if record.plan.starts_with('{') {
                    let plan: serde_json::Value = serde_json::from_str(&record.plan).unwrap();
                    assert!(plan["Plan"]["Node Type"].is_string(), "{record:#?}");
                } else if record.sql.is_some() {
                    assert!(record.plan.contains("(cost="), "{record:#?}");
                    assert!(
                        !record.sql.as_ref().unwrap().contains("Limit  (cost="),
                        "{record:#?}"
                    );
                }
            }
            all.push(gathered);
        }
        for other in &all[1..] {
            let left: Vec<_> = all[0].groups.iter().map(numbers).collect();
            let right: Vec<_> = other.groups.iter().map(numbers).collect();
            assert_eq!(left, right, "{major}");
            assert_eq!(all[0].totals.records, other.totals.records);
        }
    }
}

const PLAN: &str = "{\n\t  \"Query Text\": \"select * from t where a = 5\",\n\t  \"Plan\": {\n\t    \"Node Type\": \"Seq Scan\",\n\t    \"Relation Name\": \"t\",\n\t    \"Alias\": \"t\",\n\t    \"Startup Cost\": 0.00,\n\t    \"Total Cost\": 18.50,\n\t    \"Plan Rows\": 1,\n\t    \"Plan Width\": 8,\n\t    \"Actual Startup Time\": 0.006,\n\t    \"Actual Total Time\": 90.035,\n\t    \"Actual Rows\": 1,\n\t    \"Actual Loops\": 1\n\t  }\n\t}";

fn record(ms: &str, plan: &str) -> String {
    format!("2026-11-21 18:24:30.793 UTC [7] app@shop LOG:  duration: {ms} ms  plan:\n\t{plan}\n")
}

#[test]
fn a_log_becomes_a_table_and_a_plan_a_query() {
    let desk = Desk::new();
    let other = PLAN.replace("where a = 5", "order by b");
    let log = [
        record("100.000", PLAN),
        record("0.500", &other),
        record("300.000", &PLAN.replace("= 5", "= 77")),
    ]
    .concat();
    desk.write("pg.log", &log);
    let ended = desk.run(&["report", "pg.log", "--format", "json"]);
    let report = ended.assert(0, &[], &[]).json();
    assert_eq!(report["log"]["totals"]["records"], 3);
    assert_eq!(report["log"]["totals"]["groups"], 2);
    let worst = &report["log"]["groups"][0];
    assert_eq!(worst["query"], "select * from t where a = ?");
    assert_eq!(worst["calls"], 2);
    assert_eq!(worst["total_ms"], 400.0);
    assert_eq!(worst["mean_ms"], 200.0);
    assert_eq!(worst["shown_ms"], 300.0);
    assert_eq!(worst["shown_at"], "pg.log:35");
    assert_eq!(worst["statement"], 0);
    assert_eq!(worst["databases"][0]["name"], "shop");
    assert_eq!(worst["users"][0]["calls"], 2);
    assert_eq!(
        report["statements"][0]["sql"],
        "select * from t where a = 77"
    );
    assert_eq!(
        report["statements"][0]["plan"]["nodes"][0]["label"],
        "Seq Scan on t"
    );
    assert_eq!(report["statements"].as_array().unwrap().len(), 2);

    desk.run(&["report", "pg.log", "--top", "1"]).assert(
        0,
        &[
            "3 auto_explain records of 2 queries",
            "select * from t where a = ?",
            "shown are the 1 query that took most time",
            "Seq Scan on t",
        ],
        &[],
    );
    desk.run(&["report", "pg.log", "--format", "markdown"])
        .assert(
            0,
            &[
                "| 1 | 400 ms |",
                "select \\* from t where a = ?",
                "pg.log:35, 300 ms",
            ],
            &[],
        );
    // From standard input, packed, and beside a plan that was pasted.
    let ended = desk.run_with_input(&["report", "-", "--format", "json"], &log);
    assert_eq!(
        ended.assert(0, &[], &[]).json()["log"]["totals"]["records"],
        3
    );
    desk.write("plan.json", PLAN.replace("\n\t", "\n"));
    let ended = desk.run(&["report", "plan.json", "pg.log", "--format", "json"]);
    let report = ended.assert(0, &[], &[]).json();
    assert_eq!(report["statements"].as_array().unwrap().len(), 3);
    assert_eq!(report["log"]["groups"][0]["statement"], 1);
}

#[test]
fn a_log_without_plans_says_how_to_get_some() {
    let desk = Desk::new();
    desk.write(
        "pg.log",
        "2026-11-21 18:24:30.793 UTC [7] LOG:  starting PostgreSQL 17.10\n2026-11-21 18:24:30.793 UTC [7] LOG:  duration: 7.000 ms  statement: select 1\n2026-11-21 18:24:31 UTC [7] ERROR:  syntax error\n",
    );
    desk.run(&["report", "pg.log"]).assert(
        2,
        &[],
        &[
            "pg.log has no record of auto_explain, among 3 messages, of which 1 have a duration",
            "session_preload_libraries",
            "auto_explain.log_min_duration",
        ],
    );
    // A plan with noise around it is no log.
    desk.write(
        "plan.json",
        format!("psql (17)\n{}", PLAN.replace("\n\t", "\n")),
    );
    let ended = desk.run(&["report", "plan.json"]);
    assert!(!ended.err.contains("auto_explain"), "{}", ended.err);
}
