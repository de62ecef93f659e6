//! The program as users run it: what it prints, where, and how it ends.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that the program reads, and read those it writes"
)]

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::support::desk::{Desk, ended};

/// A sequential scan that keeps 5 of 200,000 rows.
const PLAN: &str = r#"[{"Plan": {"Node Type": "Seq Scan", "Parallel Aware": false, "Async Capable": false,
  "Relation Name": "orders", "Alias": "o", "Startup Cost": 0.00, "Total Cost": 4137.00,
  "Plan Rows": 5, "Plan Width": 28, "Actual Startup Time": 0.020, "Actual Total Time": 19.900,
  "Actual Rows": 5, "Actual Loops": 1, "Filter": "(customer_id = 4711)",
  "Rows Removed by Filter": 199995, "Shared Hit Blocks": 1637, "Shared Read Blocks": 0},
  "Planning Time": 0.100, "Triggers": [], "Execution Time": 20.000}]"#;
const QUERY: &str = "SELECT o.id\nFROM orders AS o\nWHERE o.customer_id = 4711;\n";

/// Inputs of which nothing can be made: each is named with what to do, and
/// nothing is printed that looks like a result.
#[test]
fn what_cannot_be_read_is_named_with_the_next_step() {
    let desk = Desk::new();
    desk.write("dir/a.sql", QUERY)
        .write("empty.sql", "")
        .write("blank.sql", " \n\t\n")
        .write("comment.sql", "-- nothing but words\n")
        .write("latin1.sql", b"select 1;\nselect 'caf\xe9';\n")
        .write("nul.sql", b"select 1;\nselect \x00 2;\n")
        .write("program", b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00")
        .write("dump", b"PGDMP\x01\x0e\x00")
        .write("ddl.sql", "CREATE TABLE t (a int);\n")
        .write("notes.json", r#"{"name": "not a plan"}"#)
        .write("cut.json", "[\n  {\"Plan\": {\"No")
        .write("broken.json", "[\n  {\"Plan\": 1 2\n")
        .write(
            "mysql.txt",
            "-> Nested loop inner join  (cost=4.95 rows=9)\n    -> Table scan on a  (cost=0.95 rows=3)\n",
        )
        .write("framed.txt", "   QUERY PLAN\n---------------\n [            +\n");
    for (file, says, next) in [
        (
            "gone.sql",
            "cannot read gone.sql: no such file",
            "check the path",
        ),
        (
            "none/*.sql",
            "cannot read none/*.sql: no such file",
            "no file matches",
        ),
        ("dir", "dir: it is a directory", "dir/*.sql"),
        ("empty.sql", "empty.sql is empty", "put a query in it"),
        ("blank.sql", "blank.sql is empty", "put a query in it"),
        (
            "comment.sql",
            "comment.sql has no statement",
            "put a query in it",
        ),
        ("latin1.sql", "line 2 (byte 21, 0xe9)", "iconv"),
        ("nul.sql", "zero byte at line 2 (byte 17)", "remove"),
        ("program", "binary file: a program", "EXPLAIN (FORMAT JSON)"),
        ("dump", "pg_dump's custom format", "pg_restore"),
        ("ddl.sql", "no statement that PostgreSQL plans", "--schema"),
        ("notes.json", "not a plan", "FORMAT JSON"),
        (
            "cut.json",
            "line 2, column 16: the text ends",
            "the end is missing",
        ),
        ("broken.json", "line 2, column 14", "check that line"),
        ("framed.txt", "the text ends", "psql -XAt"),
        ("mysql.txt", "a plan of MySQL or MariaDB", "of PostgreSQL"),
    ] {
        let ended = desk.run(&["explain", file]);
        ended.assert(2, &[], &["error: ", says, "hint: ", next]);
        assert_eq!(ended.out, "", "{file}");

        let document = desk.run(&["explain", file, "--format", "json"]).json();
        let problem = &document["problems"][0];
        assert_eq!(document["statements"], Value::Array(Vec::new()));
        assert_ne!(problem["hints"][0], Value::Null, "{problem}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_without_read_permission_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    desk.write("secret.sql", QUERY);
    fs::set_permissions(desk.path("secret.sql"), fs::Permissions::from_mode(0o000))
        .expect("permissions");
    if fs::File::open(desk.path("secret.sql")).is_ok() {
        // The superuser reads everything: there is nothing to see.
        return;
    }
    desk.run(&["explain", "secret.sql"]).assert(
        2,
        &[],
        &["secret.sql: permission denied", "hint: "],
    );
}

#[test]
fn sql_of_50_megabytes_is_refused_at_once() {
    let desk = Desk::new();
    desk.write("dump.sql", "SELECT 1;\n".repeat(5 << 20));
    desk.run(&["explain", "dump.sql"]).assert(
        2,
        &[],
        &[
            "dump.sql is too large: 50 MiB, and at most 32 MiB",
            "hint: ",
        ],
    );
}

#[test]
fn marks_of_byte_order_and_utf_16_are_no_obstacle() {
    let desk = Desk::new();
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(QUERY.as_bytes());
    let wide: Vec<u8> = format!("\u{feff}{QUERY}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    desk.write("bom.sql", marked)
        .write("wide.sql", wide)
        .write("plan.json", PLAN);
    for file in ["bom.sql", "wide.sql"] {
        let document = desk
            .run(&["explain", file, "--plan", "plan.json", "--format", "json"])
            .assert(0, &[], &[])
            .json();
        let place = &document["statements"][0]["place"];
        assert_eq!((&place["line"], &place["column"]), (&1.into(), &1.into()));
    }
}

#[test]
fn one_bad_input_does_not_lose_the_others() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN)
        .write("cut.json", "[{\"Plan\": {");
    let ended = desk.run(&["explain", "gone.sql", "plan.json", "cut.json"]);
    ended.assert(
        2,
        &["Seq Scan on orders o"],
        &["gone.sql: no such file", "cut.json"],
    );
    let document = desk
        .run(&["explain", "gone.sql", "plan.json", "--format", "json"])
        .assert(2, &[], &["gone.sql"])
        .json();
    assert_eq!(document["statements"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["problems"].as_array().map(Vec::len), Some(1));
    assert_eq!(document["totals"]["statements"], 1);
}

#[test]
fn one_bad_statement_does_not_lose_the_others() {
    let desk = Desk::new();
    desk.write(
        "q.sql",
        format!("{QUERY}SELEC 2;\nSELECT id FROM orders LIMIT 1 OFFSET 100000;\n"),
    );
    desk.run(&["explain", "q.sql"]).assert(
        2,
        &["error: q.sql:4:1: syntax error", "q.sql:5:1"],
        &["1 of 3 statements could not be done in full"],
    );
    let ended = desk.run(&["explain", "q.sql", "--format", "json"]);
    ended.assert(2, &[], &["q.sql:4:1"]);
    let document = ended.json();
    let failed: Vec<&Value> = document["statements"]
        .as_array()
        .expect("statements")
        .iter()
        .map(|statement| &statement["failed"])
        .collect();
    assert_eq!(failed, [false, true, false]);
}

#[test]
fn a_million_terms_end_in_a_message_and_not_in_a_crash() {
    let desk = Desk::new();
    desk.write(
        "long.sql",
        format!(
            "SELECT 1 WHERE {}1 = 1;\n{QUERY}",
            "1 = 1 OR ".repeat(1_000_000)
        ),
    );
    let ended = desk.run(&["explain", "long.sql", "--format", "json"]);
    ended.assert(2, &[], &["long.sql:1:"]);
    let document = ended.json();
    let statements = document["statements"].as_array().expect("statements");
    assert_eq!(
        statements.last().map(|last| &last["failed"]),
        Some(&Value::Bool(false))
    );
}

#[test]
fn a_plan_of_another_query_is_noticed() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN)
        .write("other.sql", "SELECT name FROM products WHERE id = 1;\n")
        .write("query.sql", QUERY);
    desk.run(&["explain", "query.sql", "--plan", "plan.json"])
        .assert(0, &["Seq Scan on orders o"], &[]);
    desk.run(&["explain", "other.sql", "--plan", "plan.json"])
        .assert(
            2,
            &[
                "a plan for another query? plan.json reads orders",
                "other.sql:1:1",
                "hint: give the plan of this statement",
            ],
            &[],
        );
}

#[test]
fn the_text_that_auto_explain_recorded_tells_whose_plan_it_is() {
    let desk = Desk::new();
    let recorded = PLAN.replacen(
        "[{\"Plan\"",
        "[{\"Query Text\": \"SELECT name FROM v_names;\", \"Plan\"",
        1,
    );
    desk.write("plan.json", &recorded)
        .write("view.sql", "select name\nfrom v_names");
    desk.run(&["explain", "view.sql", "--plan", "plan.json"])
        .assert(0, &["Seq Scan on orders o"], &[]);
    // By itself, the plan brings its query along.
    let document = desk
        .run(&["explain", "plan.json", "--format", "json"])
        .assert(0, &[], &[])
        .json();
    assert_eq!(document["statements"][0]["sql"], "SELECT name FROM v_names");
}

/// A view's tables are not named in the statement that stands with the plan.
#[test]
fn what_stands_with_a_plan_is_its_statement() {
    let desk = Desk::new();
    let plan = " Seq Scan on orders o  (cost=0.00..1.00 rows=1 width=4)\n   Filter: (a = 1)\n";
    desk.write(
        "paste.txt",
        format!("shop=# explain select name from v_names;\n{plan}"),
    )
    .write(
        "server.log",
        format!(
            "2026-11-20 10:00:00.000 UTC [1] app@shop LOG:  duration: 12.000 ms  plan:\n\t\
                 Query Text: select name from v_names\n\t{}\n",
            plan.trim().replace('\n', "\n\t")
        ),
    );
    for file in ["paste.txt", "server.log"] {
        let document = desk
            .run(&["report", file, "--format", "json"])
            .assert(0, &[], &[])
            .json();
        let statement = &document["statements"][0];
        assert_eq!(statement["sql"], "select name from v_names", "{file}");
        assert_eq!(
            statement["plan"]["nodes"][0]["label"],
            "Seq Scan on orders o"
        );
        assert_eq!(statement["problems"], Value::Array(Vec::new()), "{file}");
    }
}

#[test]
fn plans_and_statements_must_be_as_many() {
    let desk = Desk::new();
    desk.write("two.sql", format!("{QUERY}{QUERY}"))
        .write("plan.json", PLAN);
    desk.run(&["explain", "two.sql", "--plan", "plan.json"])
        .assert(
            2,
            &[],
            &[
                "plan.json has 1 plan, but there are 2 statements",
                "JSON array",
            ],
        );
    let both = format!(
        "[{0}, {0}]",
        PLAN.trim_start_matches('[').trim_end_matches(']')
    );
    desk.write("plans.json", both);
    let document = desk
        .run(&[
            "explain",
            "two.sql",
            "--plan",
            "plans.json",
            "--format",
            "json",
        ])
        .assert(0, &[], &[])
        .json();
    for statement in document["statements"].as_array().expect("statements") {
        assert_eq!(statement["plan_from"]["file"], "plans.json");
        assert_eq!(statement["explain"][0]["Plan"]["Node Type"], "Seq Scan");
    }
}

#[test]
fn standard_input_may_be_a_plan_or_a_query() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN);
    desk.run_with_input(&["explain", "-"], PLAN).assert(
        0,
        &["<stdin>", "Seq Scan on orders o"],
        &[],
    );
    desk.run_with_input(&["explain", "-", "--plan", "plan.json"], QUERY)
        .assert(0, &["<stdin>:1:1", "Seq Scan on orders o"], &[]);
    desk.run_with_input(&["explain", "--plan", "-"], PLAN)
        .assert(0, &["Seq Scan on orders o"], &[]);
    desk.run_with_input(&["explain", "-"], "")
        .assert(2, &[], &["<stdin> is empty", "hint: "]);
    desk.run_with_input(&["explain", "-", "--plan", "-"], PLAN)
        .assert(2, &[], &["named more than once"]);
}

/// A slow plan is a finding, and findings fail the run only where that was
/// asked for.
#[test]
fn the_exit_code_says_what_was_found_where_that_is_asked_for() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN);
    let document = desk
        .run(&["explain", "plan.json", "--format", "json"])
        .assert(0, &[], &[])
        .json();
    let finding = &document["statements"][0]["findings"][0];
    assert_eq!(finding["rule"], "seq-scan-behind-selective-filter");
    assert_eq!(finding["node"]["label"], "Seq Scan on orders o");
    desk.run(&["explain", "plan.json", "--fail-on", "note"])
        .assert(1, &[], &[]);
    desk.run(&["explain", "plan.json", "--fail-on", "never"])
        .assert(0, &[], &[]);
    // What could not be done weighs more.
    desk.run(&["explain", "plan.json", "gone.sql", "--fail-on", "note"])
        .assert(2, &[], &[]);
}

#[test]
fn the_configuration_sets_defaults_levels_and_suppressions() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN)
        .write("sub/plan.json", PLAN)
        .write("pgadvise.toml", "fail-on = \"note\"\nformat = \"json\"\n");
    // Found above the folder, too.
    let ended = ended(
        &desk
            .command(&["explain", "plan.json"])
            .current_dir(desk.path("sub"))
            .output()
            .expect("the program runs"),
    );
    ended.assert(1, &[], &[]).json();
    // The command line is stronger.
    desk.run(&[
        "explain",
        "plan.json",
        "--fail-on",
        "never",
        "--format",
        "text",
    ])
    .assert(0, &["── plan.json"], &[]);

    desk.write(
        "pgadvise.toml",
        "format = \"json\"\n[rules]\nseq-scan-behind-selective-filter = \"critical\"\n",
    );
    let document = desk.run(&["explain", "plan.json"]).json();
    assert_eq!(
        document["statements"][0]["findings"][0]["level"],
        "critical"
    );

    desk.write(
        "pgadvise.toml",
        "format = \"json\"\nfail-on = \"note\"\n[rules]\nseq-scan-behind-selective-filter = \"off\"\n",
    );
    let document = desk
        .run(&["explain", "plan.json"])
        .assert(0, &[], &[])
        .json();
    assert_eq!(
        document["statements"][0]["rules"]["off"][0],
        "seq-scan-behind-selective-filter"
    );

    desk.write(
        "pgadvise.toml",
        "format = \"json\"\n[[suppress]]\nrule = \"seq-scan-behind-selective-filter\"\nfile = \"plan.json\"\nreason = \"a nightly job\"\n",
    );
    let document = desk.run(&["explain", "plan.json"]).json();
    assert_eq!(
        document["statements"][0]["suppressed"][0]["reason"],
        "a nightly job"
    );
    assert_eq!(document["totals"]["suppressed"], 1);
}

#[test]
fn a_wrong_configuration_is_told_with_its_line() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN)
        .write("pgadvise.toml", "\nfromat = \"json\"\n");
    desk.run(&["explain", "plan.json"]).assert(
        2,
        &[],
        &[
            "pgadvise.toml:2: unknown key fromat",
            "did you mean format?",
        ],
    );
    desk.run(&["explain", "plan.json", "--config", "gone.toml"])
        .assert(2, &[], &["cannot read gone.toml: no such file"]);
}

#[test]
fn options_that_do_not_fit_together_are_refused() {
    let desk = Desk::new();
    desk.write("q.sql", QUERY).write("plan.json", PLAN);
    for (args, says) in [
        (&["explain"][..], "<FILE>"),
        (
            &["explain", "q.sql", "--analyze"],
            "--analyze needs something to execute on",
        ),
        (&["explain", "q.sql", "--analyze-writes"], "--analyze"),
        (
            &["explain", "q.sql", "--plan", "plan.json", "--analyze"],
            "cannot be used with",
        ),
        (
            &["explain", "q.sql", "--schema", "q.sql", "-d", "shop"],
            "cannot be used with",
        ),
        (&["explain", "q.sql", "--timeout", "0"], "--timeout"),
        (&["explain", "q.sql", "--min-gain", "200"], "percentage"),
        (&["explain", "q.sql", "--fail-on", "sometimes"], "critical"),
        (
            &["rules", "seq-scan-behind-selective-filtre"],
            "did you mean",
        ),
        (&["rules", "table-droped"], "did you mean table-dropped?"),
        (&["man", "explian"], "did you mean explain?"),
    ] {
        desk.run(args).assert(2, &[], &[says]);
    }
}

#[test]
fn without_a_planner_the_rules_say_what_they_lack() {
    let desk = Desk::new();
    desk.write("q.sql", QUERY);
    let ended = desk.run(&["explain", "q.sql"]);
    assert!(
        ended.out.contains("--schema or a database"),
        "{}\n{}",
        ended.out,
        ended.err
    );
    let document = desk.run(&["explain", "q.sql", "--format", "json"]).json();
    let skipped = &document["statements"][0]["rules"]["skipped"];
    assert!(
        skipped
            .as_array()
            .is_some_and(|skipped| !skipped.is_empty())
    );
}

/// The database of the environment is asked as psql would ask it, and the
/// password stays out of everything.
#[test]
fn a_database_that_does_not_answer_is_told_without_its_password() {
    let desk = Desk::new();
    desk.write("q.sql", QUERY).write("plan.json", PLAN);
    let nowhere = desk.path("no-socket").display().to_string();
    let by_option = desk.run(&[
        "explain",
        "q.sql",
        "plan.json",
        "-vv",
        "-d",
        &format!("host={nowhere} user=app dbname=shop password=s3cr3t"),
    ]);
    // The plan needs no database, and is looked at all the same.
    by_option.assert(2, &["Seq Scan on orders o"], &["shop", "hint: "]);
    let by_environment = ended(
        &desk
            .command(&["explain", "q.sql", "--format", "json", "-vv"])
            .env("PGHOST", &nowhere)
            .env("PGDATABASE", "shop")
            .env("PGUSER", "app")
            .env("PGPASSWORD", "s3cr3t")
            .output()
            .expect("the program runs"),
    );
    by_environment.assert(2, &[], &["shop"]);
    assert_eq!(by_environment.json()["problems"][0]["kind"], "database");
    for ended in [by_option, by_environment] {
        assert!(!ended.out.contains("s3cr3t") && !ended.err.contains("s3cr3t"));
    }
}

#[test]
fn colours_follow_the_options_and_the_environment() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN);
    let colored = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = desk.command(args);
        command.envs(variables.iter().copied());
        ended(&command.output().expect("the program runs"))
            .out
            .contains('\u{1b}')
    };
    let explain = ["explain", "plan.json"];
    let always = ["explain", "plan.json", "--color", "always"];
    let never = ["explain", "plan.json", "--color", "never"];
    assert!(!colored(&explain, &[]), "a pipe is no terminal");
    assert!(colored(&always, &[]));
    assert!(
        colored(&always, &[("NO_COLOR", "1")]),
        "an option is stronger"
    );
    assert!(colored(&explain, &[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(
        &explain,
        &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]
    ));
    assert!(!colored(&never, &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn the_report_goes_to_the_file_that_is_named() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN);
    let ended = desk.run(&[
        "explain",
        "plan.json",
        "gone.sql",
        "--format",
        "json",
        "-o",
        "report.json",
    ]);
    ended.assert(2, &[], &["gone.sql"]);
    assert_eq!(ended.out, "");
    let document: Value =
        serde_json::from_str(&fs::read_to_string(desk.path("report.json")).expect("the report"))
            .expect("JSON");
    assert_eq!(document["totals"]["statements"], 1);
    desk.run(&["explain", "plan.json", "-o", "no/such/folder/report.txt"])
        .assert(
            2,
            &[],
            &["cannot write no/such/folder/report.txt", "hint: "],
        );
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let desk = Desk::new();
    // More than a pipe holds, so that the program is still writing.
    let many = vec![PLAN; 200].join("\n");
    desk.write("plans.json", many);
    let mut child = desk
        .command(&["explain", "plans.json", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut out = child.stdout.take().expect("its output");
    let mut first = [0; 10];
    out.read_exact(&mut first).expect("some output");
    drop(out);
    let ended = ended(&child.wait_with_output().expect("it ends"));
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.err.contains("panicked"), "{}", ended.err);
    assert!(!ended.err.contains("error"), "{}", ended.err);
}

#[test]
fn the_width_follows_columns() {
    let desk = Desk::new();
    desk.write("plan.json", PLAN);
    for columns in ["60", "90"] {
        let ended = ended(
            &desk
                .command(&["explain", "plan.json"])
                .env("COLUMNS", columns)
                .output()
                .expect("the program runs"),
        );
        let limit: usize = columns.parse().expect("a number");
        for line in ended.out.lines() {
            assert!(
                unicode_width::UnicodeWidthStr::width(line) <= limit
                    || line.contains("CREATE INDEX"),
                "{limit}: {line}"
            );
        }
    }
}

#[test]
fn rules_are_listed_and_explained() {
    let desk = Desk::new();
    let rules = pgadvise::rules::ALL;
    assert!(!rules.is_empty());
    let migrations = pgadvise::rules::migration::ALL;
    let list = desk.run(&["rules"]);
    list.assert(0, &["About queries", "About migrations"], &[]);
    for rule in migrations {
        assert!(list.out.contains(rule.meta().id), "{}", rule.meta().id);
    }
    desk.run(&["rules", "table-dropped"]).assert(
        0,
        &["migrations: ", "pgadvise: ignore table-dropped"],
        &[],
    );
    let only = desk.run(&["rules", "--about", "migrations"]);
    only.assert(0, &["table-dropped"], &[]);
    assert!(!only.out.contains("About queries"), "{}", only.out);
    for rule in rules {
        let meta = rule.meta();
        assert!(list.out.contains(meta.id), "{}", meta.id);
        let page = desk.run(&["rules", meta.id]);
        page.assert(0, &[meta.id, "When it is wrong", "pgadvise: ignore"], &[]);
        for line in page.out.lines().filter(|line| !line.starts_with("    ")) {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= 100, "{line}");
        }
    }
    let document: Value =
        serde_json::from_str(&desk.run(&["rules", "--format", "json"]).out).expect("JSON");
    assert_eq!(
        document["rules"].as_array().map(Vec::len),
        Some(rules.len() + migrations.len())
    );
    assert_eq!(document["rules"][0]["name"], rules[0].meta().id);
    assert_eq!(document["rules"][0]["about"], "queries");
    assert_eq!(document["rules"][rules.len()]["about"], "migrations");
}

#[test]
fn help_completions_and_man_pages_are_there() {
    let desk = Desk::new();
    desk.run(&["--help"])
        .assert(0, &["Examples:", "Exit codes:", "explain", "rules"], &[]);
    desk.run(&["explain", "--help"]).assert(
        0,
        &[
            "Examples:",
            "Words:",
            "--schema",
            "--analyze-writes",
            "CHANGE DATA",
        ],
        &[],
    );
    assert!(!desk.run(&["--help"]).out.contains("__embedded-server"));
    for shell in ["bash", "zsh", "fish"] {
        desk.run(&["completions", shell])
            .assert(0, &["fail-on"], &[]);
    }
    desk.run(&["man"]).assert(0, &[".TH", "pgadvise"], &[]);
    desk.run(&["man", "explain"])
        .assert(0, &[".TH", "schema"], &[]);
    desk.run(&["--version"])
        .assert(0, &[concat!("pgadvise ", env!("CARGO_PKG_VERSION"))], &[]);
}

/// Writes a file made from the program, unless in CI, and fails when it was
/// not as it should be.
#[track_caller]
fn ensure(path: &str, expected: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let found = fs::read_to_string(&file).unwrap_or_default();
    if found.replace("\r\n", "\n") == expected {
        return;
    }
    if std::env::var_os("CI").is_none() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        fs::write(&file, expected).expect("the file");
    }
    panic!(
        "{path} was not up to date. Outside CI it has just been written: run the tests again and commit it"
    );
}

#[test]
fn the_page_of_the_command_line_is_up_to_date() {
    ensure("docs/cli.md", &pgadvise::cli::docs::markdown());
}

#[test]
fn the_schema_of_the_report_is_up_to_date() {
    ensure("docs/report.schema.json", &pgadvise::report::json::schema());
}

#[test]
fn the_schema_of_answers_is_up_to_date() {
    ensure(
        "docs/why-not.schema.json",
        &pgadvise::report::why_not::schema(),
    );
}

#[test]
fn the_schema_of_comparisons_is_up_to_date() {
    ensure("docs/diff.schema.json", &pgadvise::report::diff::schema());
}

#[test]
fn the_schema_of_checks_is_up_to_date() {
    ensure("docs/check.schema.json", &pgadvise::report::check::schema());
}

#[test]
fn the_schema_of_snapshots_is_up_to_date() {
    ensure(
        "docs/snapshot.schema.json",
        &pgadvise::snapshot::file::schema(),
    );
}
