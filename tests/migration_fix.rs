//! `--fix` with every framework: what is written, and what is refused.

use pgadvise::advise::check::fix::{Fixed, Rechecked, fix};
use pgadvise::finding::migration::{Fix, MigrationFinding, Remedy};
use pgadvise::finding::{Edit, Level};
use pgadvise::migration::assemble::{Assembling, Given, assemble};
use pgadvise::migration::locks::Known;
use pgadvise::migration::state::State;
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
    fix(
        &sources,
        &history,
        &before,
        &Server::default(),
        &|sources, history| Rechecked {
            findings: findings(sources, history),
            after: State::empty(),
        },
    )
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
            "000002_a_validate.down.sql: -- Nothing: the migration before takes back what both did.\n",
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
pub(crate) fn program(folder: &std::path::Path, arguments: &[&str]) -> (String, Option<i32>) {
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

    // A name with a blank in it ends with a tab, as patch wants it.
    std::fs::remove_file(&first).unwrap();
    std::fs::remove_file(&second).unwrap();
    std::fs::write(
        folder.join("m/1_a.sql"),
        "CREATE TABLE t (id bigint PRIMARY KEY, a int);\n",
    )
    .unwrap();
    std::fs::write(
        folder.join("m/2_an index.sql"),
        "CREATE INDEX i ON t (a);\n",
    )
    .unwrap();
    let (diff, _) = program(&folder, &[&asked[..], &["--diff"]].concat());
    assert!(
        diff.contains("--- a/m/2_an index.sql\t\n+++ b/m/2_an index.sql\t\n@@"),
        "{diff}"
    );
    drop(std::fs::remove_dir_all(&folder));
}

const BASE: &str = "CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL);\nCREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, amount int NOT NULL);\nCREATE INDEX orders_customer ON orders (customer_id);\n";
pub(crate) const INDEX: &str = "CREATE INDEX orders_amount ON orders (amount);\n";
pub(crate) const KEY: &str = "ALTER TABLE orders ADD CONSTRAINT orders_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id);\n";
pub(crate) const ROW_CHECK: &str =
    "ALTER TABLE orders ADD CONSTRAINT amount_ok CHECK (amount >= 0);\n";
pub(crate) const DROP: &str = "DROP INDEX orders_customer;\n";
pub(crate) const DEFAULT: &str = "ALTER TABLE orders ALTER COLUMN amount SET DEFAULT 0;\n";
pub(crate) const COLUMN_AND_INDEX: &str = "ALTER TABLE orders ADD COLUMN note text;\n\n-- Reports filter by amount.\nCREATE INDEX orders_amount ON orders (amount);\n";
pub(crate) const TWO: &str = "CREATE INDEX orders_amount ON orders (amount);\nCREATE INDEX customers_name ON customers (name);\n";
/// What the fixes are for.
pub(crate) const FIXED: &[&str] = &[
    "--only",
    "index-built-under-lock",
    "--only",
    "index-dropped-under-lock",
    "--only",
    "foreign-key-validated-at-once",
    "--only",
    "check-constraint-validated-at-once",
    "--only",
    "lock-without-timeout",
    "--only",
    "constraint-never-validated",
    "--only",
    "validated-in-same-transaction",
    "--only",
    "concurrently-inside-transaction",
    "--only",
    "statement-fails",
];

/// A history of two migrations as a framework keeps it, in a new folder: its
/// name, and that of the second.
#[expect(
    clippy::disallowed_methods,
    reason = "the test writes the files that the program fixes"
)]
pub(crate) fn project(framework: Framework, change: &str) -> (std::path::PathBuf, String) {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("pgadvise-fixes-{}-{number}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    let mut path = String::new();
    for (version, text) in [(1, BASE), (2, change)] {
        path = match framework {
            Framework::Diesel => format!("m/2024-01-01-00000{version}_a/up.sql"),
            Framework::Prisma => format!("m/2024010100000{version}_a/migration.sql"),
            Framework::Flyway => format!("m/V{version}__a.sql"),
            Framework::GolangMigrate => format!("m/00000{version}_a.up.sql"),
            _ => format!("m/2024010100000{version}_a.sql"),
        };
        let text = match framework {
            Framework::Goose => format!("-- +goose Up\n{text}\n-- +goose Down\nSELECT 1;\n"),
            Framework::Dbmate => format!("-- migrate:up\n{text}\n-- migrate:down\nSELECT 1;\n"),
            Framework::SqlMigrate => {
                format!("-- +migrate Up\n{text}\n-- +migrate Down\nSELECT 1;\n")
            }
            Framework::Liquibase => {
                format!("--liquibase formatted sql\n\n--changeset ann:{version}\n{text}")
            }
            _ => text.to_owned(),
        };
        let file = folder.join(&path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        if framework == Framework::GolangMigrate || framework == Framework::Diesel {
            let down = path.replace("up.sql", "down.sql");
            std::fs::write(folder.join(down), "SELECT 1;\n").unwrap();
        }
    }
    (folder, path)
}

#[test]
fn migration_fix_leaves_a_history_without_what_it_fixes() {
    for framework in [
        Framework::Goose,
        Framework::Sqlx,
        Framework::Dbmate,
        Framework::Diesel,
        Framework::Flyway,
        Framework::GolangMigrate,
        Framework::Prisma,
        Framework::Atlas,
        Framework::SqlMigrate,
        Framework::Liquibase,
        Framework::Supabase,
    ] {
        for change in [INDEX, KEY, ROW_CHECK, DROP, DEFAULT, COLUMN_AND_INDEX, TWO] {
            let (folder, _) = project(framework, change);
            let asked = [
                "check",
                "m",
                "--framework",
                framework.name(),
                "--fail-on",
                "note",
                "--pg-version",
                "15",
            ];
            let (before, exit) = program(&folder, &[&asked[..], FIXED].concat());
            assert_eq!(exit, Some(1), "{framework:?} {change}: {before}");
            let (after, exit) = program(&folder, &[&asked[..], FIXED, &["--fix"]].concat());
            assert_eq!(exit, Some(0), "{framework:?} {change}: {after}");
            drop(std::fs::remove_dir_all(&folder));
        }
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test reads the files that the program fixes"
)]
fn migration_fix_writes_what_belongs_to_the_framework() {
    let fixed = |framework: Framework, change: &str| {
        let (folder, path) = project(framework, change);
        let only = ["check", "m", "--framework"];
        program(
            &folder,
            &[&only[..], &[framework.name(), "--fix"], FIXED].concat(),
        );
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        let text = read(&path);
        let mut others: Vec<(String, String)> = Vec::new();
        for name in [
            "m/000003_a_validate.up.sql",
            "m/000003_a_validate.down.sql",
            "m/20240101000003_a_concurrently.sql",
            "m/20240101000003_a_validate.sql",
        ] {
            if folder.join(name).exists() {
                others.push((name.to_owned(), read(name)));
            }
        }
        drop(std::fs::remove_dir_all(&folder));
        (text, others)
    };
    // A statement that waits for its lock gets a timeout of its transaction;
    // what is behind it is validated apart, and has a way back.
    let (text, others) = fixed(Framework::GolangMigrate, KEY);
    assert_eq!(
        text,
        format!(
            "SET LOCAL lock_timeout = '5s';\n{}",
            KEY.replace("(id);", "(id) NOT VALID;")
        )
    );
    assert_eq!(
        others[0].1,
        "ALTER TABLE orders VALIDATE CONSTRAINT orders_customer_fk;\n"
    );
    assert!(others[1].0.ends_with(".down.sql"), "{others:?}");
    // The comment goes with its index.
    let (text, others) = fixed(Framework::Sqlx, COLUMN_AND_INDEX);
    assert_eq!(
        text,
        "SET LOCAL lock_timeout = '5s';\nALTER TABLE orders ADD COLUMN note text;\n"
    );
    assert_eq!(
        others[0].1,
        "-- no-transaction\n-- Reports filter by amount.\nCREATE INDEX CONCURRENTLY orders_amount ON orders (amount);\n"
    );
    // Each needs a message of its own; the first keeps the file.
    let (text, others) = fixed(Framework::Dbmate, TWO);
    assert!(
        text.contains("-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY orders_amount"),
        "{text}"
    );
    assert!(
        others[0].1.contains("CONCURRENTLY customers_name"),
        "{others:?}"
    );
    // No timeout where nothing is left to wait for.
    let (text, _) = fixed(Framework::Goose, INDEX);
    assert!(!text.contains("lock_timeout"), "{text}");
    // A file of Liquibase holds the second changeset, too.
    let (text, _) = fixed(Framework::Liquibase, COLUMN_AND_INDEX);
    assert_eq!(
        text,
        "--liquibase formatted sql\n\n--changeset ann:2\nSET LOCAL lock_timeout = '5s';\nALTER TABLE orders ADD COLUMN note text;\n\n--changeset ann:2-concurrently runInTransaction:false\n-- Reports filter by amount.\nCREATE INDEX CONCURRENTLY orders_amount ON orders (amount);\n--rollback not required\n"
    );
}

/// What is written for these files, of which those named are a change.
#[expect(
    clippy::disallowed_methods,
    reason = "the test writes and reads the files that the program fixes"
)]
fn in_change(framework: Framework, files: &[(&str, &str)], changed: &[&str]) -> Vec<String> {
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder =
        std::env::temp_dir().join(format!("pgadvise-change-{}-{number}", std::process::id()));
    drop(std::fs::remove_dir_all(&folder));
    for (path, text) in files {
        let file = folder.join("m").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let mut asked = vec!["check", "m", "--framework", framework.name(), "--fix"];
    let changed: Vec<String> = changed.iter().map(|path| format!("m/{path}")).collect();
    for path in &changed {
        asked.extend(["--changed", path]);
    }
    asked.extend(FIXED);
    program(&folder, &asked);
    let again = program(&folder, &[&asked[..], &["--diff"]].concat()).0;
    assert_eq!(again, "", "a second run changes nothing");
    let mut written: Vec<String> = std::fs::read_dir(folder.join("m"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            format!(
                "{}: {}",
                path.file_name().unwrap().to_string_lossy(),
                std::fs::read_to_string(&path).unwrap()
            )
        })
        .filter(|file| {
            !files
                .iter()
                .any(|(path, text)| *file == format!("{path}: {text}"))
        })
        .collect();
    written.sort();
    drop(std::fs::remove_dir_all(&folder));
    written
}

#[test]
fn migration_fix_sets_a_timeout_in_every_file_of_a_change() {
    let files = [
        ("1_a.sql", BASE),
        ("2_b.sql", "ALTER TABLE orders ADD COLUMN note text;\n"),
        (
            "3_c.sql",
            "BEGIN;\r\nALTER TABLE orders ADD COLUMN b text;\r\nCOMMIT;\r\n  ALTER TABLE customers ADD COLUMN b text;\r\nDROP INDEX CONCURRENTLY orders_customer;",
        ),
    ];
    // A transaction has its own, and what stands outside one for as long as
    // nothing has to wait for others.
    assert_eq!(
        in_change(Framework::Plain, &files, &["2_b.sql", "3_c.sql"]),
        [
            "2_b.sql: SET lock_timeout = '5s';\nALTER TABLE orders ADD COLUMN note text;\n",
            "3_c.sql: BEGIN;\r\nSET LOCAL lock_timeout = '5s';\r\nALTER TABLE orders ADD COLUMN b text;\r\nCOMMIT;\r\n  SET lock_timeout = '5s';\r\n  ALTER TABLE customers ADD COLUMN b text;\r\nRESET lock_timeout;\r\nDROP INDEX CONCURRENTLY orders_customer;",
        ]
    );
    // Drizzle sends one statement at a time.
    assert_eq!(
        in_change(
            Framework::Drizzle,
            &[("0000_a.sql", BASE), ("0001_b.sql", DEFAULT)],
            &["0001_b.sql"]
        ),
        [format!(
            "0001_b.sql: SET LOCAL lock_timeout = '5s';\n--> statement-breakpoint\n{DEFAULT}"
        )]
    );
}

#[test]
fn migration_fix_keeps_the_order_of_a_change() {
    let first = ("20240101000000_a.sql", BASE);
    let both = |later| {
        in_change(
            Framework::Supabase,
            &[
                first,
                ("20240201000000_b.sql", COLUMN_AND_INDEX),
                ("20240301000000_c.sql", later),
            ],
            &["20240201000000_b.sql", "20240301000000_c.sql"],
        )
    };
    // Directly behind its file, so that what follows finds the index.
    let names = |written: Vec<String>| -> Vec<String> {
        written
            .iter()
            .map(|file| file.split(':').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        names(both("DROP INDEX CONCURRENTLY orders_amount;\n")),
        ["20240201000000_b.sql", "20240201000001_b_concurrently.sql"]
    );
    // No version is free between the two, and the index would come after the
    // file that drops it.
    let dense = in_change(
        Framework::GolangMigrate,
        &[
            ("1_a.up.sql", BASE),
            ("2_b.up.sql", COLUMN_AND_INDEX),
            ("3_c.up.sql", "DROP INDEX CONCURRENTLY orders_amount;\n"),
        ],
        &["2_b.up.sql", "3_c.up.sql"],
    );
    assert_eq!(names(dense.clone()), ["2_b.up.sql"], "{dense:?}");
    assert!(dense[0].contains("CREATE INDEX orders_amount"));
    // An index goes with its column, and cannot be dropped behind it.
    let column = in_change(
        Framework::GolangMigrate,
        &[
            ("1_a.up.sql", BASE),
            (
                "2_b.up.sql",
                "DROP INDEX orders_customer;\nALTER TABLE orders DROP COLUMN customer_id;\n",
            ),
        ],
        &["2_b.up.sql"],
    );
    assert_eq!(names(column), ["2_b.up.sql"]);
}

#[test]
fn migration_fix_names_changesets_apart_and_keeps_where_they_run() {
    let text = format!(
        "--liquibase formatted sql\n\n--changeset ann:2 context:prod labels:\"a, b\"\n{COLUMN_AND_INDEX}--rollback DROP INDEX orders_amount;\n\n--changeset ann:2-concurrently\nSELECT 1;\n"
    );
    let base = format!("--liquibase formatted sql\n\n--changeset ann:1\n{BASE}");
    let written = in_change(
        Framework::Liquibase,
        &[("1.sql", &base), ("2.sql", &text)],
        &["2.sql"],
    );
    assert!(
        written[0].contains(
            "\n\n--changeset ann:2-concurrently-2 context:prod labels:\"a, b\" runInTransaction:false\n-- Reports filter by amount.\nCREATE INDEX CONCURRENTLY"
        ),
        "{}",
        written[0]
    );
    assert!(written[0].contains("--rollback not required\n\n--changeset ann:2-concurrently\n"));
}
