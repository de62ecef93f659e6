//! `pgadvise check --workload` as it is called: what it prints, in which form,
//! and how it exits.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they check"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::server;

const SHOP: (&str, &str) = (
    "m/001_shop.sql",
    "CREATE TYPE state AS ENUM ('new', 'paid');\n\
     CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL UNIQUE);\n\
     CREATE TABLE orders (\n\
       id bigint PRIMARY KEY,\n\
       customer_id bigint NOT NULL REFERENCES customers,\n\
       state state NOT NULL DEFAULT 'new',\n\
       note text\n\
     );\n\
     CREATE INDEX orders_customer_idx ON orders (customer_id);\n\
     CREATE INDEX orders_note_idx ON orders (note);\n\
     CREATE VIEW open_orders AS SELECT id, customer_id FROM orders WHERE state = 'new';\n",
);
const CHANGE: (&str, &str) = (
    "m/002_change.sql",
    "ALTER TYPE state ADD VALUE 'sent';\n\
     DROP VIEW open_orders;\n\
     CREATE VIEW open_orders AS SELECT id, customer_id FROM orders WHERE state IN ('new', 'sent');\n\
     DROP INDEX orders_customer_idx;\n\
     DROP INDEX orders_note_idx;\n\
     ALTER TABLE customers RENAME COLUMN email TO address;\n\
     REVOKE SELECT ON customers FROM PUBLIC;\n\
     ALTER TABLE orders ADD COLUMN region text;\n",
);
const QUERIES: (&str, &str) = (
    "q/shop.sql",
    "SELECT id FROM orders WHERE customer_id = $1;\n\
     SELECT id\n  FROM customers\n WHERE email = :email;\n\
     SELECT count(*) FROM open_orders WHERE id = 3;\n\
     SELECT id FROM orders WHERE state = 'sent' AND id = 1;\n\
     SELECT id FROM orders WHERE region = $1;\n\
     SELECT * FROM nowhere;\n\
     BEGIN;\n",
);

/// A folder with files in it.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

pub(crate) fn check(folder: &Path, bin: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .arg("check")
        .args(arguments)
        .arg("--pg-bin")
        .arg(bin)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("the program runs")
}

pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Some installed server's programs.
pub(crate) fn a_server() -> Option<PathBuf> {
    server::every_version().pop().map(|(_, bin)| bin)
}

const CHANGED: [&str; 5] = ["m", "--changed", "m/002_change.sql", "--workload", "q"];

pub(crate) fn json(folder: &Path, bin: &Path, more: &[&str]) -> Value {
    let arguments: Vec<&str> = CHANGED
        .iter()
        .copied()
        .chain(["--format", "json"])
        .chain(more.iter().copied())
        .collect();
    let output = check(folder, bin, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    serde_json::from_slice(&output.stdout).expect("a report")
}

pub(crate) fn list<'a>(value: &'a Value, name: &str) -> &'a Vec<Value> {
    value[name].as_array().expect("a list")
}

/// `RULE LEVEL LINE` of the findings of these rules.
pub(crate) fn findings(report: &Value, rules: &[&str]) -> Vec<String> {
    list(report, "findings")
        .iter()
        .filter(|finding| rules.contains(&finding["rule"].as_str().unwrap()))
        .map(|finding| {
            format!(
                "{} {} {}",
                finding["rule"].as_str().unwrap(),
                finding["level"].as_str().unwrap(),
                finding["place"]["line"]
            )
        })
        .collect()
}

#[test]
fn every_version_says_the_same_of_a_change() {
    for (major, bin) in server::every_version() {
        let folder = folder(&[SHOP, CHANGE, QUERIES]);
        let version = major.to_string();
        let report = json(folder.path(), &bin, &["--pg-version", &version]);
        let workload = &report["workload"];
        let queries: Vec<String> = list(workload, "queries")
            .iter()
            .map(|query| {
                format!(
                    "{}:{} {}",
                    query["outcome"].as_str().unwrap(),
                    query["place"]["line"],
                    query["cause"]["place"]["line"]
                )
            })
            .collect();
        // The view that is made again and the enum's new value break nothing.
        assert_eq!(
            queries,
            [
                "broken:2 6",
                "slower:1 4",
                "mended:6 null",
                "mended:7 null",
                "not_planned:8 null"
            ],
            "{major}"
        );
        assert_eq!(
            findings(
                &report,
                &[
                    "query-breaks",
                    "query-gets-slower",
                    "new-column-filtered-without-index",
                ]
            ),
            [
                "query-gets-slower critical 4",
                "query-breaks critical 6",
                "new-column-filtered-without-index warning 8"
            ],
            "{major}"
        );
        // Where the server stumbles, in the user's file.
        let broken = &list(workload, "queries")[0];
        assert_eq!(broken["sqlstate"], "42703", "{major}");
        assert_eq!(broken["error_place"]["line"], 4, "{major}");
        assert_eq!(broken["error_place"]["column"], 8, "{major}");
        let refused = list(workload, "not_applied")
            .iter()
            .filter(|statement| statement["status"] == "refused")
            .count();
        assert_eq!(refused, 0, "{major}");
        let engine = workload["engine"]["description"].as_str().unwrap();
        assert!(
            engine.starts_with(&format!("PostgreSQL {major}.")),
            "{engine}"
        );
    }
}

#[test]
fn a_plan_that_needs_no_index_silences_what_is_only_read() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[
        SHOP,
        (
            "m/002_change.sql",
            "DROP INDEX CONCURRENTLY orders_note_idx;\n\
             CREATE INDEX CONCURRENTLY orders_long_idx ON orders (lower(note), note);\n\
             ALTER TABLE orders ADD COLUMN region text;\n\
             ALTER TABLE orders ADD COLUMN area text;\n",
        ),
        (
            "q/shop.sql",
            // The text of both says that an index is missing; plans know better.
            "SELECT count(*) FROM orders WHERE note > '';\n\
             SELECT id FROM orders WHERE area = $1;\n",
        ),
    ]);
    let report = json(folder.path(), &bin, &[]);
    let told = findings(
        &report,
        &[
            "index-dropped-that-is-needed",
            "new-column-filtered-without-index",
        ],
    );
    assert_eq!(told, ["new-column-filtered-without-index warning 4"]);
    let why = list(&report, "findings")
        .iter()
        .find(|finding| finding["rule"] == "new-column-filtered-without-index")
        .and_then(|finding| finding["why"].as_str())
        .expect("a reason");
    assert!(why.contains("reckons at a cost of"), "{why}");
}

#[test]
fn what_is_planned_stands_for_what_is_only_compared() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[SHOP, CHANGE, QUERIES]);
    let report = json(folder.path(), &bin, &[]);
    // The foreign key alone; that queries compare the column is said better.
    let needed: Vec<&str> = list(&report, "findings")
        .iter()
        .filter(|finding| finding["rule"] == "index-dropped-that-is-needed")
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    assert_eq!(needed.len(), 1, "{needed:?}");
    assert!(needed[0].contains("foreign key"), "{needed:?}");
    let indexes: Vec<&str> = list(&report["workload"], "dropped_indexes")
        .iter()
        .map(|index| index["says"].as_str().unwrap())
        .collect();
    assert_eq!(
        indexes,
        [
            "1 query of the workload uses it: 1 becomes slower without it",
            "no query of the workload uses it at the assumed sizes"
        ]
    );
    let skipped: Vec<String> = list(&report, "skipped")
        .iter()
        .map(|skipped| format!("{} | {}", skipped["what"], skipped["why"]))
        .collect();
    assert!(
        skipped.iter().any(|text| text.contains("REVOKE")),
        "{skipped:?}"
    );
    assert!(
        skipped
            .iter()
            .any(|text| text.contains("1 query of the workload")),
        "{skipped:?}"
    );
}

/// What every version says of inserts and results, beside what its server does.
#[test]
fn what_queries_give_and_write_is_told_as_every_version_does_it() {
    const CHANGE: &str = "\
ALTER TABLE orders ADD COLUMN channel text NOT NULL DEFAULT 'web';
ALTER TABLE orders ALTER COLUMN channel DROP DEFAULT;
ALTER TABLE customers DROP COLUMN name;
ALTER TABLE customers ADD COLUMN vip text;
ALTER TABLE notes ALTER COLUMN kind DROP DEFAULT;
ALTER TABLE notes ADD COLUMN more text;
ALTER TABLE filled ADD COLUMN b int NOT NULL;
SET search_path = nowhere;
SET enable_indexscan = off;
SET enable_bitmapscan = off;
";
    const BEFORE: &str = "\
CREATE TABLE customers (id bigint PRIMARY KEY, name text, email text, phone text);
CREATE TABLE orders (id bigint PRIMARY KEY, note text);
CREATE TABLE notes (id int PRIMARY KEY, kind text DEFAULT 'plain');
CREATE TABLE filled (a int, c int GENERATED ALWAYS AS (a + 1) STORED NOT NULL);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.b := 1; RETURN NEW; END $$;
CREATE TRIGGER fill BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill();
";
    const QUERIES: &str = "\
INSERT INTO orders (id, note) VALUES ($1, $2);
INSERT INTO customers VALUES ($1, $2, $3);
INSERT INTO notes (id) VALUES ($1);
INSERT INTO filled (a) VALUES ($1);
SELECT * FROM notes WHERE id = $1;
SELECT * FROM customers WHERE id = $1;
SELECT id, email FROM customers WHERE id = $1;
UPDATE orders SET note = $1 WHERE id = $2 RETURNING id;
";
    for (major, bin) in server::every_version() {
        let folder = folder(&[
            ("m/001.sql", BEFORE),
            ("m/002_change.sql", CHANGE),
            ("q/a.sql", QUERIES),
        ]);
        let version = major.to_string();
        let report = json(folder.path(), &bin, &["--pg-version", &version]);
        let mut queries: Vec<String> = list(&report["workload"], "queries")
            .iter()
            .map(|query| {
                format!(
                    "{}:{} {} | {}{}",
                    query["outcome"].as_str().unwrap(),
                    query["place"]["line"],
                    query["cause"]["place"]["line"],
                    query["message"].as_str().unwrap_or_default(),
                    query["result"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        queries.sort_unstable();
        assert_eq!(
            queries,
            [
                "broken:1 2 | null value in column \"channel\" of relation \"orders\" violates \
                 not-null constraint",
                "broken:2 3 | it writes values into other columns: that of name into email, that \
                 of email into phone",
                "other_result:3 5 | kind is left NULL, without its default 'plain'::text",
                "other_result:5 6 | more is new",
                "other_result:6 3 | name is gone, vip is new",
            ],
            "{major}: neither a trigger that fills the column, nor columns that are named, nor \
             settings of the migration's session make a difference"
        );
        let mut told = findings(&report, &["query-breaks", "query-result-changes"]);
        told.sort_unstable();
        assert_eq!(
            told,
            [
                "query-breaks critical 2",
                "query-breaks critical 3",
                "query-result-changes note 6",
                "query-result-changes warning 3",
                "query-result-changes warning 5",
            ],
            "{major}"
        );
    }
}

/// What the findings claim of sessions, as each server has it.
#[test]
fn prepared_queries_fail_as_the_findings_say() {
    for (major, bin) in server::every_version() {
        let server = server::Server::of_version(&bin, &[], 5432).expect("a server");
        let mut session = server.admin("postgres");
        let mut run = |sql: &str| {
            session
                .execute_script(sql)
                .map_err(|error| error.to_string())
        };
        run("CREATE TABLE notes (id int PRIMARY KEY, kind text DEFAULT 'plain')").expect("made");
        run("PREPARE all_of_it AS SELECT * FROM notes").expect("prepared");
        run("PREPARE named AS SELECT id FROM notes").expect("prepared");
        run("EXECUTE all_of_it; EXECUTE named").expect("executed");
        run("ALTER TABLE notes ADD COLUMN more text").expect("altered");
        let error = run("EXECUTE all_of_it").expect_err("another result");
        assert!(
            error.contains("cached plan must not change result type"),
            "{major}: {error}"
        );
        run("EXECUTE named").expect("the same result");
        run("ALTER TABLE notes ADD COLUMN must int NOT NULL").expect("altered");
        let error = run("INSERT INTO notes (id) VALUES (1)").expect_err("a NULL");
        assert!(
            error.contains("null value in column \"must\""),
            "{major}: {error}"
        );
    }
}

#[test]
fn what_is_slower_is_for_the_user_to_say() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[SHOP, CHANGE, QUERIES]);
    let slower = |more: &[&str]| {
        let report = json(folder.path(), &bin, more);
        (
            report["workload"]["totals"]["slower"].as_u64(),
            findings(&report, &["query-gets-slower"]).len(),
        )
    };
    assert_eq!(slower(&[]), (Some(1), 1));
    assert_eq!(slower(&["--slower-factor", "1000000"]), (Some(0), 0));
    assert_eq!(slower(&["--slower-cost", "1e9"]), (Some(0), 0));
    fs::write(
        folder.path().join("pgadvise.toml"),
        "[check]\nslower-cost = 1e9\n",
    )
    .expect("written");
    assert_eq!(slower(&[]), (Some(0), 0));
    let output = check(
        folder.path(),
        &bin,
        &["m", "--workload", "q", "--slower-factor", "0.5"],
    );
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn calls_of_an_export_are_told_in_every_form() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[
        SHOP,
        CHANGE,
        (
            "q/statements.csv",
            "query,calls,total_exec_time\n\
             SELECT id FROM orders WHERE customer_id = $1,120345,8123.5\n\
             SELECT id FROM customers WHERE email = $1,77,3.5\n",
        ),
    ]);
    let mut arguments = CHANGED.to_vec();
    arguments.extend([
        "-o",
        "a.md",
        "-o",
        "a.sarif",
        "-o",
        "a.xml",
        "-o",
        "gitlab=g.json",
    ]);
    let output = check(folder.path(), &bin, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        "2 queries of the workload: 1 broken, 1 slower",
        "120,345 calls",
        "because DROP INDEX at m/002_change.sql:4 drops orders_customer_idx",
        "      - ",
    ] {
        let part = part.trim_end();
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let file = |name: &str| fs::read_to_string(folder.path().join(name)).expect("written");
    let markdown = file("a.md");
    for part in [
        "#### Queries that break",
        "120,345 calls",
        "```diff\n",
        "\n  +",
        "Seq Scan on orders",
        "because of DROP INDEX at `m/002_change.sql:4`",
        "column \"email\" does not exist (line 3, column 32)",
        "#### Dropped indexes",
    ] {
        assert!(markdown.contains(part), "{part} is not in {markdown}");
    }
    for name in ["a.sarif", "a.xml", "g.json"] {
        let text = file(name);
        assert!(
            text.contains("query-breaks") && text.contains("called 120,345 times"),
            "{name}: {text}"
        );
    }
}

#[test]
fn a_comment_silences_what_a_query_is_told_about() {
    let Some(bin) = a_server() else { return };
    let change = CHANGE.1.replace(
        "ALTER TABLE customers RENAME",
        "-- pgadvise: ignore query-breaks, column-renamed (no program reads it any more)\n\
         ALTER TABLE customers RENAME",
    );
    let folder = folder(&[SHOP, (CHANGE.0, &change), QUERIES]);
    let report = json(folder.path(), &bin, &[]);
    assert_eq!(
        findings(
            &report,
            &["query-breaks", "suppression-unused", "column-renamed"]
        ),
        Vec::<String>::new()
    );
    assert_eq!(list(&report, "suppressed").len(), 2);
}

#[test]
fn a_query_is_no_certain_loss_where_a_later_statement_was_refused() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[
        SHOP,
        (
            "m/002_change.sql",
            "DROP VIEW open_orders;\n\
             CREATE VIEW open_orders AS SELECT no_such_function(id) AS id FROM orders;\n",
        ),
        ("q/a.sql", "SELECT id FROM open_orders;\n"),
    ]);
    let report = json(folder.path(), &bin, &[]);
    assert_eq!(
        findings(&report, &["query-breaks"]),
        ["query-breaks warning 1"]
    );
    let skipped = report["skipped"].to_string();
    assert!(
        skipped.contains("CREATE VIEW at m/002_change.sql:2"),
        "{skipped}"
    );
}

#[test]
fn without_a_schema_before_the_run_is_not_complete() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[SHOP, QUERIES]);
    let output = check(folder.path(), &bin, &["m", "--workload", "q"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    let said = said(&output);
    assert!(
        said.contains("every file is new") && said.contains("--since"),
        "{said}"
    );
    let output = check(folder.path(), &bin, &["m", "--workload", "none"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn older_files_may_hold_their_own_transactions() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[
        SHOP,
        (
            "m/001_shop_b.sql",
            "BEGIN;\nALTER TYPE state ADD VALUE 'gone';\nCOMMIT;\n\
             BEGIN;\nCREATE TABLE lost (id bigint PRIMARY KEY, state state DEFAULT 'gone');\nCOMMIT;\n",
        ),
        CHANGE,
        (
            "q/lost.sql",
            "SELECT id FROM lost WHERE id = 1;\nSELECT id FROM orders WHERE customer_id = 1;\n",
        ),
    ]);
    let report = json(folder.path(), &bin, &[]);
    let totals = &report["workload"]["totals"];
    assert_eq!(totals["same"], 1);
    assert_eq!(totals["slower"], 1);
    assert!(
        list(&report, "problems").is_empty(),
        "{}",
        report["problems"]
    );
}

/// The fenced blocks of that language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    page.split("\n```")
        .filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'))
        .map(|block| format!("{block}\n"))
        .collect()
}

/// Text with every number as 0 and every run of space as one.
fn words(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        let mut last = ' ';
        for c in word.chars() {
            let digit = c.is_ascii_digit() || (matches!(c, '.' | ',') && last == '0');
            let c = if digit { '0' } else { c };
            if !(c == '0' && last == '0') {
                out.push(c);
            }
            last = c;
        }
        out.push(' ');
    }
    out
}

#[test]
fn the_page_shows_what_its_first_command_says() {
    let Some(bin) = a_server() else { return };
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/workload.md"))
        .expect("the page");
    let sql = blocks(&page, "sql");
    let git = |folder: &Path, arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=a@example.com"])
            .args(arguments)
            .current_dir(folder)
            .output()
            .expect("git runs");
        assert!(output.status.success(), "{}", said(&output));
    };
    let folder = folder(&[("migrations/001_shop.sql", &sql[0])]);
    git(folder.path(), &["init", "-q"]);
    git(folder.path(), &["add", "."]);
    git(folder.path(), &["commit", "-qm", "the shop"]);
    fs::create_dir(folder.path().join("queries")).expect("made");
    fs::write(folder.path().join("migrations/002_change.sql"), &sql[1]).expect("written");
    fs::write(folder.path().join("queries/shop.sql"), &sql[2]).expect("written");
    let command = blocks(&page, "sh").remove(0);
    let arguments: Vec<&str> = command
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("pgadvise check "))
        .expect("a command")
        .split_whitespace()
        .collect();
    let output = check(folder.path(), &bin, &arguments);
    let told = words(&said(&output));
    for part in blocks(&page, "text").remove(0).split("\n\n") {
        assert!(
            told.contains(words(part).trim()),
            "the page shows\n{part}\nbut the program says\n{}",
            said(&output)
        );
    }
}
