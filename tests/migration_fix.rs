//! `--fix` with every framework: what is written, and what is refused.

use pgadvise::advise::check::fix::{Fixed, fix};
use pgadvise::finding::migration::{Fix, MigrationFinding, Remedy};
use pgadvise::finding::{Edit, Level};
use pgadvise::migration::assemble::{Assembling, Given, assemble};
use pgadvise::migration::locks::Known;
use pgadvise::migration::{At, Direction, Framework, History, Server};
use pgadvise::source::{Sources, Span, Text};
use pgadvise::sql::ddl::{Action, AlterKind};

/// Finds every index that is built under a lock, and every foreign key that is
/// added with a scan, as the rules do.
fn findings(sources: &Sources, history: &History) -> Vec<MigrationFinding> {
    let mut found = Vec::new();
    for (number, file) in history.files.iter().enumerate() {
        for (part_number, part) in file.parts.iter().enumerate() {
            for (statement_number, statement) in part.statements.iter().enumerate() {
                if part.direction == Direction::Down || !file.new {
                    continue;
                }
                let (object, made) = match &statement.action {
                    Action::CreateIndex(index) if !index.concurrently => (
                        index.name.clone(),
                        Fix {
                            edits: vec![Edit {
                                span: Span::new(file.source, index.after_index..index.after_index),
                                text: " CONCURRENTLY".to_owned(),
                            }],
                            follow_up: Vec::new(),
                            outside_transaction: true,
                        },
                    ),
                    Action::Alter(alter) => match &alter.commands[0].kind {
                        AlterKind::AddConstraint(constraint) if !constraint.not_valid => {
                            let end = constraint.span.end;
                            (
                                constraint.name.clone(),
                                Fix {
                                    edits: vec![Edit {
                                        span: Span::new(file.source, end..end),
                                        text: " NOT VALID".to_owned(),
                                    }],
                                    follow_up: vec![format!(
                                        "ALTER TABLE {} VALIDATE CONSTRAINT {}",
                                        alter.relation.name.sql(),
                                        constraint.name.clone().unwrap()
                                    )],
                                    outside_transaction: false,
                                },
                            )
                        }
                        _ => continue,
                    },
                    _ => continue,
                };
                found.push(MigrationFinding {
                    rule: "under-lock",
                    level: Level::Warning,
                    at: At {
                        file: number,
                        part: part_number,
                        statement: statement_number,
                        inner: 0,
                    },
                    span: statement.span,
                    relation: None,
                    object,
                    message: sources.slice(statement.span).to_owned(),
                    why: String::new(),
                    evidence: Vec::new(),
                    effect: None,
                    known: Known::Static,
                    assumed: None,
                    remedy: Some(Remedy::new("x").fix(made)),
                });
            }
        }
    }
    found
}

fn fixed(framework: Framework, files: &[(&str, &str)]) -> Fixed {
    let mut sources = Sources::default();
    let given: Vec<Given> = files
        .iter()
        .map(|(path, text)| Given {
            source: sources.add(Text::new(*path, *text)),
            path: (*path).to_owned(),
            ..Given::default()
        })
        .collect();
    let history = assemble(
        &sources,
        &given,
        &Assembling {
            framework: Some(framework),
            ..Assembling::default()
        },
    );
    let before = findings(&sources, &history);
    fix(&sources, &history, &before, &Server::default(), &findings)
}

/// The files that are written, each as `path: text`.
fn written(fixed: &Fixed) -> Vec<String> {
    fixed
        .files
        .iter()
        .map(|file| format!("{}: {}", file.path, file.after))
        .collect()
}

const ALONE: &str = "CREATE INDEX i ON t (a);\n";
const MIXED: &str =
    "ALTER TABLE t ADD COLUMN b int;\nCREATE INDEX i ON t (a);\nUPDATE t SET b = 1;\n";

#[test]
fn migration_fix_tells_the_framework_where_the_index_stands_alone() {
    let one = |framework, path: &str, text: &str| written(&fixed(framework, &[(path, text)]));
    assert_eq!(
        one(Framework::Plain, "1_a.sql", ALONE),
        ["1_a.sql: CREATE INDEX CONCURRENTLY i ON t (a);\n"]
    );
    assert_eq!(
        one(
            Framework::Goose,
            "1_a.sql",
            "-- why\n-- +goose Up\nCREATE INDEX i ON t (a);\n-- +goose Down\nDROP INDEX i;\n"
        ),
        [
            "1_a.sql: -- why\n-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY i ON t (a);\n-- +goose Down\nDROP INDEX i;\n"
        ]
    );
    assert_eq!(
        one(Framework::Sqlx, "1_a.sql", ALONE),
        ["1_a.sql: -- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);\n"]
    );
    assert_eq!(
        one(
            Framework::Dbmate,
            "1_a.sql",
            "-- migrate:up\nCREATE INDEX i ON t (a);\n-- migrate:down\n"
        ),
        [
            "1_a.sql: -- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON t (a);\n-- migrate:down\n"
        ]
    );
    assert_eq!(
        one(
            Framework::SqlMigrate,
            "1_a.sql",
            "-- +migrate Up\nCREATE INDEX i ON t (a);\n"
        ),
        ["1_a.sql: -- +migrate Up notransaction\nCREATE INDEX CONCURRENTLY i ON t (a);\n"]
    );
    assert_eq!(
        one(Framework::Atlas, "1_a.sql", ALONE),
        ["1_a.sql: -- atlas:txmode none\n\nCREATE INDEX CONCURRENTLY i ON t (a);\n"]
    );
    assert_eq!(
        one(
            Framework::Liquibase,
            "c.sql",
            "--liquibase formatted sql\n--changeset a:1\nSELECT 1;\n--changeset a:2\nCREATE INDEX i ON t (a);\n"
        ),
        [
            "c.sql: --liquibase formatted sql\n--changeset a:1\nSELECT 1;\n--changeset a:2 runInTransaction:false\nCREATE INDEX CONCURRENTLY i ON t (a);\n"
        ]
    );
    assert_eq!(
        one(Framework::Diesel, "m/1_a/up.sql", ALONE),
        [
            "m/1_a/metadata.toml: run_in_transaction = false\n",
            "m/1_a/up.sql: CREATE INDEX CONCURRENTLY i ON t (a);\n"
        ]
    );
    for (framework, path) in [
        (Framework::Flyway, "V1__a.sql"),
        (Framework::Prisma, "1_a/migration.sql"),
        (Framework::GolangMigrate, "1_a.up.sql"),
        (Framework::Supabase, "1_a.sql"),
    ] {
        assert_eq!(
            one(framework, path, ALONE),
            [format!("{path}: CREATE INDEX CONCURRENTLY i ON t (a);\n")],
            "{framework:?}"
        );
    }
}

#[test]
fn migration_fix_moves_the_index_where_others_need_the_transaction() {
    let rest = "ALTER TABLE t ADD COLUMN b int;\nUPDATE t SET b = 1;\n";
    for (framework, path, behind, moved) in [
        (
            Framework::Prisma,
            "20240101000000_a/migration.sql",
            "20240101000001_a_concurrently/migration.sql",
            "CREATE INDEX CONCURRENTLY i ON t (a);\n",
        ),
        (
            Framework::GolangMigrate,
            "0009_a.up.sql",
            "0010_a_concurrently.up.sql",
            "CREATE INDEX CONCURRENTLY i ON t (a);\n",
        ),
        (
            Framework::Flyway,
            "V1.9__a.sql",
            "V1.10__a_concurrently.sql",
            "CREATE INDEX CONCURRENTLY i ON t (a);\n",
        ),
        (
            Framework::Sqlx,
            "1_a.sql",
            "2_a_concurrently.sql",
            "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);\n",
        ),
    ] {
        let mut expected = vec![format!("{path}: {rest}"), format!("{behind}: {moved}")];
        expected.sort();
        assert_eq!(
            written(&fixed(framework, &[(path, MIXED)])),
            expected,
            "{framework:?}"
        );
    }
    let made = fixed(
        Framework::Diesel,
        &[("m/2024-01-01-000000_a/up.sql", MIXED)],
    );
    assert_eq!(
        written(&made)[1..],
        [
            "m/2024-01-01-000001_a_concurrently/metadata.toml: run_in_transaction = false\n",
            "m/2024-01-01-000001_a_concurrently/up.sql: CREATE INDEX CONCURRENTLY i ON t (a);\n"
        ]
    );
}

#[test]
fn migration_fix_says_why_it_leaves_a_statement() {
    let made = fixed(Framework::Drizzle, &[("0000_a.sql", ALONE)]);
    assert_eq!(made.files, []);
    assert!(
        made.refused[0]
            .1
            .contains("drizzle runs it in a transaction")
    );
    let made = fixed(
        Framework::Plain,
        &[("1_a.sql", "BEGIN;\nCREATE INDEX i ON t (a);\nCOMMIT;\n")],
    );
    assert!(made.refused[0].1.contains("BEGIN"));
    let made = fixed(
        Framework::GolangMigrate,
        &[(
            "1_a.up.sql",
            "CREATE UNIQUE INDEX i ON t (a);\nALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i NOT VALID;\n",
        )],
    );
    assert!(
        made.refused.iter().any(|(_, why)| why.contains("names i")),
        "{:?}",
        made.refused
    );
}

#[test]
fn migration_fix_puts_the_validation_into_a_second_migration() {
    let text = "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (a);\n";
    assert_eq!(
        written(&fixed(
            Framework::GolangMigrate,
            &[
                ("000001_a.up.sql", text),
                ("000001_a.down.sql", "SELECT 1;\n")
            ]
        )),
        [
            "000001_a.up.sql: ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES u (a) NOT VALID;\n",
            "000002_a_validate.up.sql: ALTER TABLE t VALIDATE CONSTRAINT f;\n"
        ]
    );
    assert_eq!(
        written(&fixed(
            Framework::Goose,
            &[("00001_a.sql", &format!("-- +goose Up\n{text}"))]
        ))[1],
        "00002_a_validate.sql: -- +goose Up\nALTER TABLE t VALIDATE CONSTRAINT f;\n\n-- +goose Down\n"
    );
}

/// The program in a folder with these files; its standard output and exit.
fn program(folder: &std::path::Path, arguments: &[&str]) -> (String, Option<i32>) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .current_dir(folder)
        .args(arguments)
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap();
    (
        String::from_utf8(output.stdout).unwrap(),
        output.status.code(),
    )
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test writes the files that the program fixes"
)]
fn migration_fix_is_printed_as_a_diff_and_written_once() {
    let folder = std::env::temp_dir().join(format!("pgadvise-fix-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    std::fs::create_dir_all(folder.join("m")).unwrap();
    let first = folder.join("m/000001_t.up.sql");
    let second = folder.join("m/000002_i.up.sql");
    std::fs::write(&first, "CREATE TABLE t (id bigint PRIMARY KEY, a int);\n").unwrap();
    std::fs::write(&second, "CREATE INDEX i ON t (a);\n").unwrap();
    let asked = ["check", "m", "--only", "index-built-under-lock"];

    let (diff, exit) = program(&folder, &[&asked[..], &["--diff"]].concat());
    assert_eq!(exit, Some(1), "{diff}");
    assert!(
        diff.contains("--- a/m/000002_i.up.sql\n+++ b/m/000002_i.up.sql\n"),
        "{diff}"
    );
    assert!(
        diff.contains("-CREATE INDEX i ON t (a);\n+CREATE INDEX CONCURRENTLY i ON t (a);\n"),
        "{diff}"
    );
    assert!(
        std::fs::read_to_string(&second)
            .unwrap()
            .starts_with("CREATE INDEX i")
    );

    let (_, exit) = program(&folder, &[&asked[..], &["--fix"]].concat());
    assert_eq!(exit, Some(0));
    assert_eq!(
        std::fs::read_to_string(&second).unwrap(),
        "CREATE INDEX CONCURRENTLY i ON t (a);\n"
    );
    let (diff, exit) = program(&folder, &[&asked[..], &["--diff"]].concat());
    assert_eq!((diff.as_str(), exit), ("", Some(0)));
    drop(std::fs::remove_dir_all(&folder));
}
