//! Snapshots as users take, look at and plan with them, through the program.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that the program reads, and read those it writes"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
#[cfg(feature = "embedded")]
use std::path::Path;

use pgadvise::snapshot::FORMAT;
#[cfg(feature = "embedded")]
use pgadvise::snapshot::Snapshot;
use pgadvise::snapshot::file::decode;
#[cfg(feature = "embedded")]
use pgadvise::snapshot::file::{Form, encode};
#[cfg(feature = "embedded")]
use serde_json::Value;

use crate::support::desk::{Desk, Ended};
use crate::support::server::{Server, shared};

const SHOP: &str = "
    CREATE TABLE orders (
        id bigint PRIMARY KEY,
        customer_id int NOT NULL,
        status text NOT NULL,
        note text NOT NULL
    );
    INSERT INTO orders
        SELECT i, 1 + i % 1000, CASE WHEN i % 50 = 0 THEN 'zweifelhaft' ELSE 'bezahlt' END,
               'n' || i % 4000
        FROM generate_series(1, 20000) i;
    CREATE INDEX orders_status_idx ON orders (status);
    ANALYZE;
";
const QUERY: &str = "SELECT * FROM orders WHERE customer_id = 7;\n";

/// How to reach a database of the tests' server, with a password that must
/// never be seen again.
fn conninfo(server: &Server, database: &str) -> String {
    format!(
        "host={} dbname={database} user=postgres password=hunter2",
        server.folder().display()
    )
}

/// A desk with `shop.pgsnap` of a database of that name.
fn with_snapshot(server: &Server, database: &str, more: &[&str]) -> Desk {
    server.database(database, SHOP);
    let desk = Desk::new();
    let conninfo = conninfo(server, database);
    let mut args = vec!["snapshot", "-d", &conninfo, "-o", "shop.pgsnap"];
    args.extend(more);
    desk.run(&args).assert(0, &[], &["wrote shop.pgsnap"]);
    desk
}

fn bytes(desk: &Desk, name: &str) -> Vec<u8> {
    fs::read(desk.path(name)).unwrap()
}

/// Runs with a cache of its own.
fn run(desk: &Desk, args: &[&str]) -> Ended {
    let mut command = desk.command(args);
    command.env("XDG_CACHE_HOME", desk.path("cache"));
    crate::support::desk::ended(&command.output().expect("the program runs"))
}

#[cfg(feature = "embedded")]
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn one_is_taken_shown_and_compared() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("cli_snapshot", SHOP);
    let desk = Desk::new();
    let conninfo = conninfo(server, "cli_snapshot");
    let taken = run(&desk, &["snapshot", "-d", &conninfo, "-o", "shop.pgsnap"]);
    taken.assert(
        0,
        &[],
        &[
            "database cli_snapshot of PostgreSQL",
            "1 table, 2 indexes, statistics of 4 columns",
            "it holds no rows, but values from them",
            "wrote shop.pgsnap (",
        ],
    );
    assert_eq!(taken.out, "");
    let mode = fs::metadata(desk.path("shop.pgsnap"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);

    let shown = run(&desk, &["snapshot", "--show", "shop.pgsnap"]);
    shown.assert(0, &["\"database\": \"cli_snapshot\"", "zweifelhaft"], &[]);
    assert_eq!(shown.err, "");
    shown.json_of(&pgadvise::snapshot::file::schema());
    for text in [&taken.err, &shown.out] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // What is shown is a snapshot itself, and the same.
    assert_eq!(
        decode(shown.out.as_bytes()).unwrap().snapshot,
        decode(&bytes(&desk, "shop.pgsnap")).unwrap().snapshot
    );

    let verify = ["snapshot", "--verify", "shop.pgsnap", "-d", &conninfo];
    run(&desk, &verify).assert(0, &["planned the same to the digit", "0 otherwise"], &[]);
    desk.write("query.sql", QUERY);
    let one: Vec<&str> = verify.iter().copied().chain(["query.sql"]).collect();
    run(&desk, &one).assert(0, &["1 statement: 1 planned the same"], &[]);
    desk.write("query.sql", "SELECT nonsense FROM orders;");
    run(&desk, &one).assert(2, &["not compared", "nonsense"], &[]);

    admin
        .execute_script("INSERT INTO orders SELECT i, 7, 'neu', 'x' FROM generate_series(20001, 90000) i; ANALYZE")
        .unwrap();
    desk.write("query.sql", QUERY);
    let differs = run(&desk, &one);
    differs.assert(1, &["server:", "twin:"], &[]);
    assert!(!differs.out.contains("hunter2") && !differs.err.contains("hunter2"));
}

#[test]
fn values_are_left_out_or_replaced() {
    let Some(server) = shared() else { return };
    server.database("cli_values", SHOP);
    let desk = Desk::new();
    let conninfo = conninfo(server, "cli_values");
    for (option, says) in [
        ("--no-values", "it holds no rows, and no value from them"),
        ("--redact", "stand-ins take the place of most values"),
    ] {
        let args = [
            "snapshot", "-d", &conninfo, "-o", "p.pgsnap", "--plain", option,
        ];
        run(&desk, &args).assert(0, &[], &[says]);
        let text = String::from_utf8(bytes(&desk, "p.pgsnap")).unwrap();
        for value in ["zweifelhaft", "bezahlt", "n1234", "hunter2"] {
            assert!(!text.contains(value), "{option}: {value}");
        }
        assert!(text.contains("orders_status_idx"));
    }
    run(
        &desk,
        &[
            "snapshot",
            "-d",
            &conninfo,
            "-o",
            "-",
            "--redact",
            "--no-values",
        ],
    )
    .assert(2, &[], &["cannot be used with"]);
}

#[test]
fn only_some_tables_are_taken() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("cli_some", SHOP);
    admin
        .execute_script(
            "CREATE SCHEMA logs; CREATE TABLE logs.a (i int); CREATE TABLE log_b (i int)",
        )
        .unwrap();
    let desk = Desk::new();
    let conninfo = conninfo(server, "cli_some");
    let take = |more: &[&str]| {
        let mut args = vec!["snapshot", "-d", &conninfo, "-o", "some.pgsnap"];
        args.extend(more);
        run(&desk, &args)
    };
    take(&["--schema", "public", "--exclude", "log_*"]).assert(
        0,
        &[],
        &[
            "(only public, without log_*), 2 tables and views were left out",
            "1 table, 2 indexes",
        ],
    );
    let shown = run(&desk, &["snapshot", "--show", "some.pgsnap"]);
    shown.assert(0, &["2 tables and views were left out"], &[]);
    assert!(!shown.out.contains("\"log_b\""), "{}", shown.out);
    take(&["--schema", "nowhere"]).assert(2, &[], &["no table is left"]);
    take(&["--exclude", "a.b.c"]).assert(2, &[], &["a.b.c has too many dots"]);
    take(&["--schema", "\"x"]).assert(2, &[], &["a double quote is missing"]);
}

/// Bytes that are to be committed are the same each time; a snapshot replaces
/// a snapshot, and standard output gets what a file would.
#[test]
fn the_same_database_gives_the_same_bytes() {
    let Some(server) = shared() else { return };
    server.database("cli_bytes", SHOP);
    let desk = Desk::new();
    let conninfo = conninfo(server, "cli_bytes");
    let take = |more: &[&str]| {
        let mut args = vec!["snapshot", "-d", &conninfo, "--no-time", "-o", "a.pgsnap"];
        args.extend(more);
        run(&desk, &args).assert(0, &[], &[]);
        bytes(&desk, "a.pgsnap")
    };
    let packed = take(&[]);
    assert!(packed.starts_with(&[0x1f, 0x8b]));
    // Reading is counted by the server, and must not show.
    run(&desk, &["explain", "-", "-d", &conninfo]);
    assert_eq!(take(&[]), packed);
    let plain = take(&["--plain"]);
    assert!(plain.starts_with(b"{") && plain.ends_with(b"}\n"));
    assert_eq!(take(&["--plain"]), plain);
    assert_eq!(
        decode(&plain).unwrap().snapshot,
        decode(&packed).unwrap().snapshot
    );
    let output = desk
        .command(&["snapshot", "-d", &conninfo, "--no-time", "-o", "-"])
        .output()
        .unwrap();
    assert_eq!(output.stdout, packed);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("wrote"));
}

#[test]
fn nothing_else_is_written_over() {
    let Some(server) = shared() else { return };
    server.database("cli_target", SHOP);
    let desk = Desk::new();
    desk.write("notes.txt", "not to be lost\n")
        .write("dir/other", "x");
    let conninfo = conninfo(server, "cli_target");
    for (target, says) in [
        (
            "notes.txt",
            "notes.txt is there already, and is not a snapshot",
        ),
        ("dir", "cannot write dir: it is a directory"),
        ("gone/a.pgsnap", "cannot write gone/a.pgsnap"),
    ] {
        let refused = run(&desk, &["snapshot", "-d", &conninfo, "-o", target]);
        refused.assert(2, &[], &[says]);
        assert!(!refused.err.contains("hunter2"));
    }
    assert_eq!(bytes(&desk, "notes.txt"), b"not to be lost\n");
    // No part of a file stays where taking fails.
    run(
        &desk,
        &[
            "snapshot",
            "-d",
            "host=/nowhere dbname=x password=hunter2",
            "-o",
            "a.pgsnap",
        ],
    )
    .assert(2, &[], &["/nowhere"]);
    let left: Vec<_> = fs::read_dir(desk.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
    for (args, says) in [
        (&["snapshot", "-o", "a.pgsnap"][..], "which database"),
        (
            &["snapshot", "-d", "x"],
            "where the snapshot is to be written",
        ),
        (
            &["snapshot", "-d", "x", "-o", "a", "q.sql"],
            "q.sql has no place",
        ),
        (&["snapshot", "--verify", "a"], "which database"),
    ] {
        run(&desk, args).assert(2, &[], &[says]);
    }
}

/// Files of which nothing can be made are named, with what to do, wherever
/// they are given; what can be used is used.
#[test]
fn bad_files_are_named() {
    let Some(server) = shared() else { return };
    let desk = with_snapshot(server, "cli_bad", &["--plain"]);
    let whole = bytes(&desk, "shop.pgsnap");
    let text = String::from_utf8(whole.clone()).unwrap();
    let newer = text.replacen(
        &format!("\"format\": {FORMAT}"),
        &format!("\"format\": {}", FORMAT + 1),
        2,
    );
    assert_ne!(newer, text);
    desk.write("cut.pgsnap", &whole[..whole.len() / 2])
        .write("newer.pgsnap", newer)
        .write("plan.json", r#"[{"Plan": {"Node Type": "Result"}}]"#)
        .write("empty.pgsnap", "")
        .write("dir/x", "")
        .write("query.sql", QUERY);
    let conninfo = conninfo(server, "cli_bad");
    for (file, says, next) in [
        ("cut.pgsnap", "cut.pgsnap", "take it again"),
        ("newer.pgsnap", "newer", "update pgadvise"),
        ("plan.json", "plan.json", "--plan"),
        ("empty.pgsnap", "the snapshot is empty", "take it again"),
        ("gone.pgsnap", "cannot read gone.pgsnap: no such file", ""),
        ("dir", "dir: it is a directory", ""),
    ] {
        for args in [
            &["snapshot", "--show", file][..],
            &["snapshot", "--verify", file, "-d", &conninfo],
            &["explain", "query.sql", "--snapshot", file],
            &["why-not", "orders_pkey", "query.sql", "--snapshot", file],
        ] {
            let ended = run(&desk, args);
            ended.assert(2, &[], &[says, next]);
            assert!(!ended.err.contains("panicked"), "{}", ended.err);
        }
    }
    let tampered = text.replacen("orders_status_idx", "orders_other_idx", 2);
    desk.write("tampered.pgsnap", tampered);
    run(&desk, &["snapshot", "--show", "tampered.pgsnap"]).assert(
        0,
        &["orders_other_idx"],
        &["changed"],
    );
    run(
        &desk,
        &["explain", "query.sql", "--snapshot", "tampered.pgsnap"],
    )
    .assert(0, &["twin of cli_bad"], &["changed"]);
}

/// Production's plan and advice, without production; what the twin lacks is
/// told in every form of the report.
#[cfg(feature = "embedded")]
#[test]
fn explain_plans_for_a_snapshot() {
    let Some(server) = shared() else { return };
    let desk = with_snapshot(server, "cli_explain", &[]);
    desk.write("query.sql", QUERY);
    for (engine, kind) in [("embedded", "embedded"), ("auto", "installed")] {
        let args = [
            "explain",
            "query.sql",
            "--snapshot",
            "shop.pgsnap",
            "--engine",
            engine,
        ];
        // Cold, then from what was kept.
        let mut seen = None;
        for _ in 0..2 {
            let told = run(&desk, &args);
            told.assert(0, &["CREATE INDEX CONCURRENTLY"], &[]);
            let text = words(&told.out);
            assert!(
                text.contains(&format!("({kind} twin of cli_explain")),
                "{text}"
            );
            assert!(text.contains("tested: cost"), "{text}");
            assert!(seen.replace(text.clone()).is_none_or(|old| old == text));
        }
        let args: Vec<&str> = args.into_iter().chain(["--format", "json"]).collect();
        let document = run(&desk, &args).assert(0, &[], &[]).json();
        assert_eq!(document["problems"], Value::Array(Vec::new()));
        let cost = document["statements"][0]["plan"]["total_cost"]
            .as_f64()
            .unwrap();
        let mut admin = server.admin("cli_explain");
        let real = admin
            .explain(
                pgadvise::verify::Planned {
                    sql: QUERY.trim_end_matches(";\n"),
                    parameters: 0,
                },
                pgadvise::verify::PlanOptions::default(),
            )
            .unwrap()
            .total_cost()
            .unwrap();
        assert!((cost - real).abs() < 0.01, "{engine}: {cost} and {real}");
    }

    // A type of an extension that no server here has.
    let mut snapshot: Snapshot = decode(&bytes(&desk, "shop.pgsnap")).unwrap().snapshot;
    snapshot.extensions.push(pgadvise::snapshot::Extension {
        name: "no_such_extension".to_owned(),
        schema: "public".to_owned(),
        version: "1.0".to_owned(),
    });
    desk.write("lacks.pgsnap", encode(&snapshot, Form::Compressed));
    let args = ["explain", "query.sql", "--snapshot", "lacks.pgsnap"];
    run(&desk, &args).assert(
        0,
        &["no_such_extension"],
        &["the twin lacks extension no_such_extension"],
    );
    let args: Vec<&str> = args.into_iter().chain(["--format", "json"]).collect();
    let document = run(&desk, &args).assert(0, &[], &[]).json();
    let problem = &document["problems"][0];
    assert_eq!(problem["severity"], "warning", "{problem}");
    let notes = document["statements"][0]["engine"]["notes"].to_string();
    assert!(notes.contains("not in the twin: extension"), "{notes}");
}

#[cfg(feature = "embedded")]
#[test]
fn why_not_asks_a_snapshot_or_a_schema() {
    let Some(server) = shared() else { return };
    let desk = with_snapshot(server, "cli_why_not", &[]);
    let sql = "SELECT * FROM orders WHERE status = 'bezahlt';\n";
    desk.write("query.sql", sql).write("schema.sql", SHOP);
    for source in [["--snapshot", "shop.pgsnap"], ["--schema", "schema.sql"]] {
        let args: Vec<&str> = ["why-not", "orders_status_idx", "query.sql"]
            .into_iter()
            .chain(source)
            .collect();
        run(&desk, &args).assert(0, &["orders_status_idx is not used", "not selective"], &[]);
        let args: Vec<&str> = args.into_iter().chain(["--format", "json"]).collect();
        let document = run(&desk, &args).json_of(&pgadvise::report::why_not::schema());
        assert_eq!(document["answers"][0]["used"], false, "{document:#}");
        let args = [
            "why-not",
            "orders_stauts_idx",
            "query.sql",
            source[0],
            source[1],
        ];
        run(&desk, &args).assert(2, &[], &["orders_status_idx"]);
    }
}

/// A snapshot that is committed beside the queries is used by itself.
#[cfg(feature = "embedded")]
#[test]
fn the_configuration_names_a_snapshot() {
    let Some(server) = shared() else { return };
    let desk = with_snapshot(server, "cli_config", &[]);
    desk.write("queries/query.sql", QUERY)
        .write(
            "queries/schema.sql",
            "CREATE TABLE orders (customer_id int);",
        )
        .write(
            "pgadvise.toml",
            "snapshot = \"shop.pgsnap\"\nengine = \"embedded\"\n",
        );
    let run = |args: &[&str]| {
        let mut command = desk.command(args);
        command
            .current_dir(desk.path("queries"))
            .env("XDG_CACHE_HOME", desk.path("cache"));
        crate::support::desk::ended(&command.output().expect("the program runs"))
    };
    let text = words(&run(&["explain", "query.sql"]).assert(0, &[], &[]).out);
    assert!(text.contains("(embedded twin of cli_config"), "{text}");
    let text = words(&run(&["explain", "query.sql", "--engine", "auto"]).out);
    assert!(text.contains("(installed twin of cli_config"), "{text}");
    let text = words(&run(&["why-not", "orders_pkey", "query.sql"]).out);
    assert!(text.contains("(embedded twin of cli_config"), "{text}");
    for more in [
        &["--schema", "schema.sql"][..],
        &["-d", &conninfo(server, "cli_config")],
        &["--plan", "plan.json"],
    ] {
        desk.write("queries/plan.json", r#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "orders", "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1, "Plan Width": 1}}]"#);
        let args: Vec<&str> = ["explain", "query.sql", "--no-verify"]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let text = words(&run(&args).out);
        assert!(
            !text.contains("twin of") && text.contains("orders"),
            "{text}"
        );
    }
    assert!(Path::new(&desk.path("shop.pgsnap")).exists());
    desk.write(
        "pgadvise.toml",
        "\nsnapshot = \"shop.pgsnap\"\nschema = \"queries/schema.sql\"\n",
    );
    run(&["explain", "query.sql"]).assert(
        2,
        &[],
        &["pgadvise.toml:2: snapshot must be left out where schema is given"],
    );
}
