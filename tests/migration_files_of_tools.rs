//! Files as the tools themselves were seen to take them.

use std::process::Command;

use pgadvise::input::migrations::ReadOptions;
use pgadvise::migration::Direction::{Down, Up};
use pgadvise::migration::Wrapping::{None as NoWrapping, OneMessage, PerFile, PerRun};
use pgadvise::migration::{Direction, Framework, History, Wrapping};

use crate::migration_files::{Expected, Temporary, history_of, parts};

/// What is made of a folder `m` of such files.
fn assembled(
    name: &str,
    files: &[(&str, &str)],
) -> (History, Vec<(String, Direction, Wrapping, usize)>) {
    let folder = Temporary::new(name);
    for (path, text) in files {
        folder.write(path, text);
    }
    let history = folder.read(&ReadOptions::default()).unwrap();
    let parts = parts(&history, &folder.0.join("m"));
    (history, parts)
}

fn messages(history: &History) -> Vec<&str> {
    history
        .problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect()
}

fn told(history: &History) -> Framework {
    history.sets.first().unwrap().framework
}

fn owned(expected: &[Expected]) -> Vec<(String, Direction, Wrapping, usize)> {
    expected
        .iter()
        .map(|(path, direction, wrapping, count)| {
            ((*path).to_owned(), *direction, *wrapping, *count)
        })
        .collect()
}

#[test]
fn migration_files_of_node_pg_migrate_run_together() {
    let (history, parts) = assembled(
        "node-pg",
        &[
            (
                "package.json",
                "{\"dependencies\": {\"node-pg-migrate\": \"9\"}}",
            ),
            (
                "m/9_first.sql",
                "-- Up Migration\ncreate table a (x int);\n-- Down Migration\ndrop table a;\n",
            ),
            ("m/10_second.sql", "create index i on a (x);\n"),
        ],
    );
    assert_eq!(told(&history), Framework::NodePgMigrate);
    assert_eq!(
        parts,
        owned(&[
            ("9_first.sql", Up, PerRun, 1),
            ("9_first.sql", Down, PerRun, 1),
            ("10_second.sql", Up, PerRun, 1),
        ])
    );
}

#[test]
fn migration_files_of_postgres_migrations_say_anywhere_that_they_have_no_transaction() {
    let (history, parts) = assembled(
        "postgres-migrations",
        &[
            (
                "m/1_first.sql",
                "create table a (x int);\ncreate table b (x int);\n",
            ),
            (
                "m/0002-second.sql",
                "\n/* why */ -- postgres-migrations disable-transaction\ncreate index concurrently i on a (x);\n",
            ),
            (
                "m/3third.sql",
                "-- postgres-migrations disable-transaction\ncreate index concurrently j on b (x);\n",
            ),
            ("m/10_last.sql", "drop table b;\n"),
        ],
    );
    assert_eq!(told(&history), Framework::PostgresMigrations);
    assert_eq!(
        parts,
        owned(&[
            ("1_first.sql", Up, PerFile, 2),
            ("0002-second.sql", Up, OneMessage, 1),
            ("3third.sql", Up, OneMessage, 1),
            ("10_last.sql", Up, PerFile, 1),
        ])
    );
}

#[test]
fn migration_files_of_graphile_migrate_end_with_the_current_one() {
    let head = "--! Previous: -\n--! Hash: sha1:00\n\n";
    let (history, parts) = assembled(
        "graphile",
        &[
            (".gmrc", "{}"),
            ("m/current.sql", "alter table a add y int;\n"),
            (
                "m/committed/000001-first.sql",
                &format!("{head}create table a (x int);\n"),
            ),
            (
                "m/committed/000002.sql",
                &format!("{head}--! no-transaction\ncreate index concurrently i on a (x);\n"),
            ),
        ],
    );
    assert_eq!(
        parts,
        owned(&[
            ("committed/000001-first.sql", Up, PerFile, 1),
            ("committed/000002.sql", Up, OneMessage, 1),
            ("current.sql", Up, PerFile, 1),
        ]),
        "{:?}",
        history.sets
    );
}

#[test]
fn migration_files_of_yoyo_and_postgrator_are_taken_as_their_tools_take_them() {
    let (history, parts) = assembled(
        "yoyo",
        &[
            ("m/0001.first.sql", "-- depends:\ncreate table a (x int);\n"),
            ("m/0001.first.rollback.sql", "drop table a;\n"),
            (
                "m/0002.second.sql",
                "-- why\n-- depends: 0001.first\n\n-- transactional: false\ncreate index concurrently i on a (x);\n",
            ),
        ],
    );
    assert_eq!(told(&history), Framework::Yoyo);
    assert_eq!(
        parts,
        owned(&[
            ("0001.first.sql", Up, PerFile, 1),
            ("0001.first.rollback.sql", Down, PerFile, 1),
            ("0002.second.sql", Up, NoWrapping, 1),
        ])
    );
    let (history, parts) = assembled(
        "postgrator",
        &[
            ("m/010.do.last.sql", "create table b (x int);\n"),
            ("m/2.do.sql", "create table a (x int);\n"),
            ("m/2.undo.sql", "drop table a;\n"),
        ],
    );
    assert_eq!(told(&history), Framework::Postgrator);
    assert_eq!(
        parts,
        owned(&[
            ("2.do.sql", Up, OneMessage, 1),
            ("2.undo.sql", Down, OneMessage, 1),
            ("010.do.last.sql", Up, OneMessage, 1),
        ])
    );
}

#[test]
fn migration_files_of_sqitch_follow_the_plan() {
    let (history, parts) = assembled(
        "sqitch",
        &[
            (
                "m/sqitch.plan",
                "%syntax-version=1.0.0\n%project=x\n\nzebra 2026-11-22T03:46:40Z x <x@example.org> # first\nfn/apple [zebra] 2026-11-22T03:46:41Z x <x@example.org>\n",
            ),
            ("m/deploy/zebra.sql", "create table zebra (x int);\n"),
            (
                "m/deploy/fn/apple.sql",
                "BEGIN;\nalter table zebra add y int;\nCOMMIT;\n",
            ),
            ("m/deploy/left.sql", "drop table nothing;\n"),
            ("m/revert/zebra.sql", "drop table zebra;\n"),
            ("m/verify/zebra.sql", "select x from zebra;\n"),
        ],
    );
    assert_eq!(told(&history), Framework::Sqitch);
    assert_eq!(
        parts,
        owned(&[
            ("deploy/zebra.sql", Up, NoWrapping, 1),
            ("revert/zebra.sql", Down, NoWrapping, 1),
            ("deploy/fn/apple.sql", Up, NoWrapping, 3),
            ("deploy/left.sql", Up, NoWrapping, 1),
        ])
    );
    assert_eq!(
        messages(&history),
        ["sqitch.plan does not list left, so sqitch does not run it"]
    );
}

#[test]
fn migration_files_of_supabase_are_cut_where_a_statement_refuses_a_transaction() {
    let folder = Temporary::new("supabase-messages");
    for (path, text) in [
        (
            "supabase/migrations/1_a.sql",
            "create table a (x int, y int);\n",
        ),
        (
            "supabase/migrations/10_b.sql",
            "alter table a add p int;\nalter table a add q int;\ncreate index concurrently i on a (x);\ncreate index concurrently j on a (y);\nalter table a add z int;\n",
        ),
        (
            "supabase/migrations/2_c.sql",
            "begin;\nalter table a add r int;\ncommit;\nalter table a add s int;\n",
        ),
    ] {
        folder.write(path, text);
    }
    let place = folder.0.join("supabase/migrations");
    let (history, _) = history_of(&place);
    assert_eq!(
        parts(&history, &place),
        owned(&[
            ("1_a.sql", Up, OneMessage, 1),
            ("10_b.sql", Up, OneMessage, 2),
            ("10_b.sql", Up, NoWrapping, 1),
            ("10_b.sql", Up, NoWrapping, 1),
            ("10_b.sql", Up, OneMessage, 1),
            ("2_c.sql", Up, NoWrapping, 4),
        ])
    );
}

#[test]
fn migration_files_that_goose_and_sql_migrate_cut_elsewhere_are_told() {
    let (history, _) = assembled(
        "goose-cut",
        &[
            (
                "m/01_lower.sql",
                "/* (c)\n someone */\n-- +goose up\ncreate table a (x int);\n",
            ),
            (
                "m/02_body.sql",
                "-- +goose Up\ndo $$ begin\n  perform 1;\nend $$;\n",
            ),
            (
                "m/03_told.sql",
                "-- +goose Up\n-- +goose StatementBegin\ndo $$ begin\n  perform 1;\nend $$\n-- +goose StatementEnd\nselect 1; -- why\nselect 2 /* x; */\n;\n",
            ),
            (
                "m/04_open.sql",
                "-- +goose Up\nselect 1\n-- +goose Down\nselect 2;\n",
            ),
            ("m/05_early.sql", "select 1;\n-- +goose Up\nselect 2;\n"),
            ("m/06_blank.sql", "  -- +goose Up\nselect 2;\n"),
            (
                "m/07_back.sql",
                "-- +goose Down\nselect 1;\n-- +goose Up\nselect 2;\n",
            ),
        ],
    );
    assert_eq!(
        messages(&history),
        [
            "goose ends the statement here, at a line that ends with a semicolon",
            "goose refuses the file: no semicolon ends the line of the last statement",
            "goose refuses SQL before -- +goose Up",
            "goose does not read an annotation written so:   -- +goose Up",
            "goose refuses -- +goose Up behind -- +goose Down",
        ]
    );
    let (history, parts) = assembled(
        "sql-migrate-cut",
        &[
            ("m/x.sql", "-- +migrate Up\nselect 1;\n"),
            (
                "m/2.sql",
                "-- +migrate Up\nselect 1;\n-- +migrate Up notransaction\nselect 2;\n",
            ),
            ("m/10.sql", "--+migrate Up\nselect 1;\n"),
        ],
    );
    assert_eq!(
        parts,
        owned(&[
            ("2.sql", Up, NoWrapping, 1),
            ("2.sql", Up, NoWrapping, 1),
            ("10.sql", Up, PerFile, 1),
            ("x.sql", Up, PerFile, 1),
        ])
    );
    assert_eq!(
        messages(&history),
        ["sql-migrate does not read an annotation written so: --+migrate Up"]
    );
}

#[test]
fn migration_files_whose_versions_are_text_may_differ_by_zeros() {
    let files = |end: &str| {
        vec![
            (format!("m/0000_a{end}"), "select 1;\n"),
            (format!("m/000_b{end}"), "select 1;\n"),
        ]
    };
    let history = |name: &str, end: &str| {
        let files = files(end);
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), *b)).collect();
        assembled(name, &files).0
    };
    let diesel = history("zeros-diesel", "/up.sql");
    assert_eq!(told(&diesel), Framework::Diesel);
    assert_eq!(diesel.problems, []);
    let migrate = history("zeros-migrate", ".up.sql");
    assert_eq!(told(&migrate), Framework::GolangMigrate);
    assert_eq!(migrate.problems.len(), 1);
}

#[test]
fn migration_files_that_were_changed_keep_what_they_made() {
    let folder = Temporary::new("edited");
    folder.git(&["init", "-q", "-b", "main"]);
    folder.write("m/0001_first.sql", "create table a (x int);\n");
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-q", "-m", "first"]);
    folder.write("m/0001_first.sql", "create table a (x int, y int);\n");
    folder.write("m/0002_second.sql", "create index i on a (x);\n");
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .current_dir(folder.0.join("m"))
        .args([
            "check", ".", "--since", "HEAD", "--format", "gitlab", "--only",
        ])
        .args(["index-built-under-lock", "--pg-version", "17"])
        .output()
        .unwrap();
    let issues: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let issues: Vec<(&str, &str)> = issues
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| {
            (
                issue["check_name"].as_str().unwrap(),
                // From the top of the repository on.
                issue["location"]["path"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(issues, [("index-built-under-lock", "m/0002_second.sql")]);
}
