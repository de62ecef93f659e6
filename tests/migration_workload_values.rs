//! Queries of logs under `pgadvise check --workload`: planned with the values
//! that the log has, which are shown nowhere; and what other types are for
//! programs.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the files that the program writes"
)]

use std::fs;

use serde_json::Value;

use crate::migration_workload_cli::{a_server, check, findings, folder, json, list, said};
use crate::support::server;

const SHOP: (&str, &str) = (
    "m/001_shop.sql",
    "CREATE TABLE orders (id bigint PRIMARY KEY, state text NOT NULL, note text, code text);\n\
     CREATE INDEX orders_open_idx ON orders (note) WHERE state = 'open';\n\
     CREATE INDEX orders_code_idx ON orders (code);\n\
     CREATE TYPE mood AS ENUM ('good', 'bad');\n\
     CREATE TABLE people (id int PRIMARY KEY, mood text, born timestamp, short varchar(50),\n\
       price numeric(10,2), doc json);\n",
);
const CHANGE: (&str, &str) = (
    "m/002_change.sql",
    "DROP INDEX orders_open_idx;\n\
     ALTER TABLE orders ALTER COLUMN code TYPE int USING length(code);\n",
);
/// Each secret of this log begins with `hush`.
const LOG: &str = "\
2026-01-01 10:00:00 UTC [7] LOG:  execute <unnamed>: SELECT id FROM orders WHERE note = $1 AND state = $2
2026-01-01 10:00:00 UTC [7] DETAIL:  Parameters: $1 = 'hush1', $2 = 'open'
2026-01-01 10:00:00 UTC [7] LOG:  execute s1: SELECT id FROM orders WHERE code = $1
2026-01-01 10:00:00 UTC [7] DETAIL:  Parameters: $1 = 'hush2'
2026-01-01 10:00:00 UTC [7] LOG:  statement: SELECT state FROM orders WHERE code = 'hush3' -- hush4
2026-01-01 10:00:00 UTC [7] LOG:  statement: SELECT note FROM orders WHERE note = 'hush5' AND state = 'open'
2026-01-01 10:00:00 UTC [7] LOG:  statement: SELECT 'hush6'::mood
";

/// `OUTCOME LINE VALUES` of each query, and what is said of it.
fn queries(report: &Value) -> Vec<(String, String)> {
    let mut queries: Vec<(String, String)> = list(&report["workload"], "queries")
        .iter()
        .map(|query| {
            let text = |name: &str| query[name].as_str().unwrap_or_default().to_owned();
            (
                format!(
                    "{} {} {}",
                    text("outcome"),
                    query["place"]["line"],
                    text("planned_for")
                ),
                format!("{}{}", text("message"), text("result")),
            )
        })
        .collect();
    queries.sort_unstable();
    queries
}

#[test]
fn the_values_of_a_log_decide_where_plans_depend_on_them() {
    for (major, bin) in server::every_version() {
        let folder = folder(&[SHOP, CHANGE, ("q/postgresql.log", LOG)]);
        let version = major.to_string();
        let report = json(folder.path(), &bin, &["--pg-version", &version]);
        assert_eq!(
            queries(&report),
            [
                (
                    "broken 3 values".to_owned(),
                    "a value that the log has for a parameter is refused: invalid input syntax \
                     for type integer: \"…\""
                        .to_owned()
                ),
                (
                    "broken 5 any".to_owned(),
                    "invalid input syntax for type integer: \"…\"".to_owned()
                ),
                (
                    "not_planned 7 any".to_owned(),
                    "invalid input value for enum mood: \"…\"".to_owned()
                ),
                ("slower 1 values".to_owned(), String::new()),
                ("slower 6 any".to_owned(), String::new()),
            ],
            "{major}"
        );
        let mut told = findings(&report, &["query-breaks", "query-gets-slower"]);
        told.sort_unstable();
        assert_eq!(
            told,
            ["query-breaks critical 2", "query-gets-slower critical 1"],
            "{major}"
        );
        assert_eq!(report["workload"]["totals"]["with_values"], 2);
    }
}

#[test]
fn without_its_value_a_plan_uses_no_partial_index() {
    let Some(bin) = a_server() else { return };
    let first = LOG.lines().next().expect("a line");
    let folder = folder(&[SHOP, CHANGE, ("q/postgresql.log", first)]);
    let arguments = [
        "m",
        "--changed",
        CHANGE.0,
        "--workload",
        "q",
        "--format",
        "json",
    ];
    let output = check(folder.path(), &bin, &arguments);
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(queries(&report), Vec::new());
    let says = report["workload"]["dropped_indexes"][0]["says"].to_string();
    assert!(says.contains("values are not known"), "{says}");
}

#[test]
fn values_stand_in_no_output() {
    let Some(bin) = a_server() else { return };
    let folder = folder(&[SHOP, CHANGE, ("q/postgresql.log", LOG)]);
    let names = [
        "a.md",
        "a.sarif",
        "a.xml",
        "a.json",
        "gitlab=g.json",
        "github=g.txt",
    ];
    let mut arguments = vec!["m", "--changed", CHANGE.0, "--workload", "q", "--verbose"];
    for name in names {
        arguments.extend(["-o", name]);
    }
    let output = check(folder.path(), &bin, &arguments);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    assert!(text.contains("code = ?"), "{text}");
    assert!(
        text.contains("2 were planned for any values and with those of calls in a log"),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");
    for name in names {
        let name = name.rsplit('=').next().expect("a name");
        let text = fs::read_to_string(folder.path().join(name)).expect("written");
        assert!(text.contains("query-breaks"), "{name}: {text}");
        assert!(!text.contains("hush"), "{name}: {text}");
    }
}

/// What is a warning is what drivers refuse or read otherwise.
#[test]
fn other_types_are_judged_by_what_programs_do_with_them() {
    let Some(bin) = a_server() else { return };
    for (change, query, wanted) in [
        (
            "ALTER COLUMN id TYPE bigint",
            "SELECT id FROM people",
            "warning",
        ),
        (
            "ALTER COLUMN short TYPE varchar(100)",
            "SELECT short FROM people",
            "",
        ),
        (
            "ALTER COLUMN short TYPE text",
            "SELECT short FROM people",
            "note",
        ),
        (
            "ALTER COLUMN price TYPE numeric(12,2)",
            "SELECT price FROM people",
            "",
        ),
        (
            "ALTER COLUMN born TYPE timestamptz",
            "SELECT born FROM people",
            "warning",
        ),
        (
            "ALTER COLUMN doc TYPE jsonb",
            "SELECT doc FROM people",
            "note",
        ),
        (
            "ALTER COLUMN short TYPE char(50)",
            "SELECT short FROM people",
            "warning",
        ),
        // What a query takes: numbers are taken for each other, an enum is
        // no text.
        (
            "ALTER COLUMN id TYPE bigint",
            "SELECT mood FROM people WHERE id = $1",
            "",
        ),
        (
            "ALTER COLUMN mood TYPE mood USING mood::mood",
            "UPDATE people SET mood = $1 WHERE id = $2",
            "warning",
        ),
    ] {
        let change = format!("ALTER TABLE people {change};\n");
        let folder = folder(&[
            SHOP,
            ("m/002_change.sql", &change),
            ("q/a.sql", &format!("{query};\n")),
        ]);
        let arguments = [
            "m",
            "--changed",
            CHANGE.0,
            "--workload",
            "q",
            "--format",
            "json",
            "--fail-on",
            "note",
        ];
        let output = check(folder.path(), &bin, &arguments);
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let told: Vec<&str> = list(&report, "findings")
            .iter()
            .filter(|finding| finding["rule"] == "query-result-changes")
            .filter_map(|finding| finding["level"].as_str())
            .collect();
        let wanted: Vec<&str> = Some(wanted)
            .filter(|one| !one.is_empty())
            .into_iter()
            .collect();
        assert_eq!(told, wanted, "{change} {query}");
    }
}

/// Bodies of functions are texts to the server, which says nothing before they
/// are called.
#[test]
fn functions_whose_queries_break_are_told_as_they_fail_on_every_version() {
    const BEFORE: &str = "\
CREATE TABLE items (id int PRIMARY KEY, cart_id int, legacy text, price numeric);
CREATE TABLE carts (id int PRIMARY KEY, touched timestamptz, total numeric);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE v_old text;
BEGIN
  UPDATE carts SET touched = now() WHERE id = NEW.cart_id;
  SELECT legacy INTO v_old FROM items WHERE id = NEW.id;
  RETURN NEW;
END $$;
CREATE TRIGGER touch AFTER INSERT ON items FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION total(p_cart int) RETURNS numeric LANGUAGE sql STABLE AS
  'SELECT sum(price) FROM items WHERE cart_id = p_cart AND legacy IS NULL';
CREATE FUNCTION mended(p_cart int) RETURNS bigint LANGUAGE sql AS
  'SELECT count(*) FROM items WHERE cart_id = p_cart AND legacy IS NULL';
CREATE FUNCTION untouched(p_id int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT nothing FROM nowhere;
  PERFORM 1 FROM items WHERE id = p_id;
  RETURN 1;
END $$;
";
    const AFTER: &str = "\
CREATE OR REPLACE FUNCTION mended(p_cart int) RETURNS bigint LANGUAGE sql AS
  'SELECT count(*) FROM items WHERE cart_id = p_cart';
ALTER TABLE items DROP COLUMN legacy;
";
    for (major, bin) in server::every_version() {
        // A function with RETURN QUERY has to return a set to be made.
        let before = BEFORE.replace("RETURNS int LANGUAGE", "RETURNS SETOF int LANGUAGE");
        let before = before.replace("  RETURN 1;\n", "");
        let folder = folder(&[
            ("m/001.sql", &before),
            ("m/002_change.sql", AFTER),
            ("q/a.sql", "SELECT id FROM carts;\n"),
        ]);
        let version = major.to_string();
        let report = json(folder.path(), &bin, &["--pg-version", &version]);
        let mut told: Vec<String> = list(&report, "findings")
            .iter()
            .filter(|finding| finding["rule"] == "query-breaks")
            .map(|finding| {
                format!(
                    "{} {} {} | {}",
                    finding["level"].as_str().unwrap(),
                    finding["place"]["line"],
                    finding["message"].as_str().unwrap(),
                    finding["why"].as_str().unwrap().split(": ").next().unwrap(),
                )
            })
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                "critical 3 function touch() breaks: column \"legacy\" does not exist | line 5 of \
                 its body (SELECT legacy INTO v_old FROM items WHERE id = NEW.id)",
                "warning 3 function total(integer) breaks: column \"legacy\" does not exist | \
                 line 1 of its body (SELECT sum(price) FROM items WHERE cart_id = p_cart AND \
                 lega…)",
            ],
            "{major}"
        );
        // So it is on the server.
        let server = server::Server::of_version(&bin, &[], 5432).expect("a server");
        let mut session = server.admin("postgres");
        session.execute_script(&before).expect("made");
        session.execute_script(AFTER).expect("changed");
        for (sql, fails) in [
            ("INSERT INTO items VALUES (1, 1, 2)", true),
            ("SELECT total(1)", true),
            ("SELECT mended(1)", false),
        ] {
            assert_eq!(session.execute_script(sql).is_err(), fails, "{major} {sql}");
        }
    }
}
