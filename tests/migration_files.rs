//! Reading migrations: frameworks, order, parts, transactions, what changed
//! since a revision, and input that is not as it should be.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they read"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgadvise::input::migrations::{ReadOptions, read};
use pgadvise::migration::Direction::{Down, Up};
use pgadvise::migration::Wrapping::{None as NoWrapping, OneMessage, PerFile, PerRun};
use pgadvise::migration::{Direction, Framework, History, Sureness, Wrapping};
use pgadvise::source::{Problem, Sources};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/migrations/frameworks")
        .join(name)
}

pub(crate) fn history_of(path: &Path) -> (History, Sources) {
    let mut sources = Sources::default();
    let history = read(&[path.to_owned()], &ReadOptions::default(), &mut sources).unwrap();
    (history, sources)
}

/// Each part of each file: its path below the folder, direction, wrapping and
/// how many statements it has.
pub(crate) fn parts(history: &History, folder: &Path) -> Vec<(String, Direction, Wrapping, usize)> {
    let prefix = format!("{}/", folder.display());
    history
        .files
        .iter()
        .flat_map(|file| {
            let path = file.path.strip_prefix(&prefix).unwrap_or(&file.path);
            file.parts.iter().map(|part| {
                (
                    path.to_owned(),
                    part.direction,
                    part.wrapping,
                    part.statements.len(),
                )
            })
        })
        .collect()
}

pub(crate) type Expected = (&'static str, Direction, Wrapping, usize);

fn check(name: &str, framework: Framework, expected: &[Expected]) {
    let folder = fixture(name);
    let (history, _) = history_of(&folder);
    let set = history.sets.first().unwrap();
    assert_eq!(set.framework, framework, "{name}: {}", set.by);
    assert_eq!(history.problems, [], "{name}");
    let expected: Vec<_> = expected
        .iter()
        .map(|(path, direction, wrapping, count)| {
            ((*path).to_owned(), *direction, *wrapping, *count)
        })
        .collect();
    assert_eq!(parts(&history, &folder), expected, "{name}");
}

#[test]
fn migration_files_of_each_framework_are_recognised_ordered_and_wrapped() {
    check(
        "plain",
        Framework::Plain,
        &[
            ("1_users.sql", Up, NoWrapping, 1),
            ("2_names.sql", Up, NoWrapping, 1),
            ("10_index.sql", Up, NoWrapping, 1),
        ],
    );
    check(
        "diesel",
        Framework::Diesel,
        &[
            ("20140924113530_users/up.sql", Up, PerFile, 1),
            ("20140924113530_users/down.sql", Down, PerFile, 1),
            ("2017-08-31-230457_names/up.sql", Up, PerFile, 1),
            ("2017-08-31-230457_names/down.sql", Down, PerFile, 1),
            ("20180101000000_index/up.sql", Up, OneMessage, 1),
        ],
    );
    check(
        "sqlx",
        Framework::Sqlx,
        &[
            ("20240101000000_users.sql", Up, PerFile, 1),
            ("20240102000000_index.sql", Up, OneMessage, 1),
        ],
    );
    check(
        "golang-migrate",
        Framework::GolangMigrate,
        &[
            ("000001_users.up.sql", Up, OneMessage, 1),
            ("000001_users.down.sql", Down, OneMessage, 1),
            ("000002_names.up.sql", Up, OneMessage, 2),
            ("000002_names.down.sql", Down, OneMessage, 1),
        ],
    );
    check(
        "goose",
        Framework::Goose,
        &[
            ("00001_users.sql", Up, PerFile, 3),
            ("00001_users.sql", Down, PerFile, 1),
            ("00002_index.sql", Up, NoWrapping, 1),
            ("00002_index.sql", Down, NoWrapping, 1),
        ],
    );
    check(
        "dbmate",
        Framework::Dbmate,
        &[
            ("20240101000000_users.sql", Up, PerFile, 1),
            ("20240101000000_users.sql", Down, PerFile, 1),
            ("20240102000000_index.sql", Up, OneMessage, 1),
            ("20240102000000_index.sql", Down, PerFile, 0),
        ],
    );
    check(
        "prisma",
        Framework::Prisma,
        &[
            ("20240101000000_users/migration.sql", Up, OneMessage, 1),
            ("20240102000000_index/migration.sql", Up, OneMessage, 1),
        ],
    );
    check(
        "drizzle",
        Framework::Drizzle,
        &[
            ("0000_zebra.sql", Up, PerRun, 2),
            ("0001_apple.sql", Up, PerRun, 1),
        ],
    );
    check(
        "atlas",
        Framework::Atlas,
        &[
            ("20240101000000.sql", Up, PerFile, 1),
            ("20240102000000_index.sql", Up, NoWrapping, 1),
        ],
    );
    check(
        "sql-migrate",
        Framework::SqlMigrate,
        &[
            ("1-users.sql", Up, PerFile, 1),
            ("1-users.sql", Down, PerFile, 1),
            ("2-index.sql", Up, NoWrapping, 1),
        ],
    );
    check(
        "rails",
        Framework::Rails,
        &[("structure.sql", Up, NoWrapping, 3)],
    );
    check(
        "liquibase",
        Framework::Liquibase,
        &[
            ("changelog.sql", Up, PerFile, 1),
            ("changelog.sql", Up, NoWrapping, 1),
        ],
    );
    check(
        "supabase/supabase/migrations",
        Framework::Supabase,
        &[
            ("20240101000000_users.sql", Up, OneMessage, 1),
            ("20240102000000_names.sql", Up, OneMessage, 2),
        ],
    );
    check(
        "alembic",
        Framework::Alembic,
        &[("printed.sql", Up, NoWrapping, 5)],
    );
    check(
        "django",
        Framework::Django,
        &[("printed.sql", Up, NoWrapping, 3)],
    );
    check(
        "go-pg",
        Framework::GoPg,
        &[
            ("20200101000000_users.tx.up.sql", Up, PerFile, 1),
            ("20200101000000_users.tx.down.sql", Down, PerFile, 1),
            ("20200102000000_index.up.sql", Up, OneMessage, 1),
        ],
    );
}

#[test]
fn migration_files_of_flyway_follow_versions_then_repeatables() {
    let folder = fixture("flyway");
    let (history, _) = history_of(&folder);
    assert_eq!(
        parts(&history, &folder)
            .iter()
            .map(|(path, direction, wrapping, _)| (path.as_str(), *direction, *wrapping))
            .collect::<Vec<_>>(),
        [
            ("V1__users.sql", Up, PerFile),
            ("V1.2__names.sql", Up, PerFile),
            // Flyway leaves the transaction out where a statement refuses one.
            ("V1_10__index.sql", Up, NoWrapping),
            ("V2__unlogged.sql", Up, NoWrapping),
            ("U2__unlogged.sql", Down, PerFile),
            ("R__view.sql", Up, PerFile),
        ]
    );
    let (skipped, _) = history.skipped.first().unwrap();
    assert!(skipped.ends_with("B1.2__all.sql"));
}

#[test]
fn migration_files_of_two_databases_are_kept_apart_and_two_folders_of_one_interleaved() {
    let (history, _) = history_of(&fixture("two-databases"));
    let databases: Vec<_> = history
        .files
        .iter()
        .map(|file| file.database.as_deref().unwrap())
        .collect();
    assert_eq!(databases, ["shared", "tenant", "tenant"]);
    let (history, _) = history_of(&fixture("two-folders"));
    let versions: Vec<_> = history
        .files
        .iter()
        .map(|file| (file.version.as_deref().unwrap(), file.database.as_deref()))
        .collect();
    assert_eq!(
        versions,
        [
            ("20240101000000", None),
            ("20240102000000", None),
            ("20240103000000", None)
        ]
    );
}

#[test]
fn migration_files_keep_the_places_of_statements_in_later_parts() {
    let (history, sources) = history_of(&fixture("goose"));
    let down = &history.files[0].parts[1].statements[0];
    assert_eq!(sources.slice(down.span), "DROP TABLE users");
    assert!(sources.place(down.span).ends_with("00001_users.sql:13:1"));
}

/// A folder that is gone when the test is.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("pgadvise-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(fs::canonicalize(path).unwrap())
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.0)
            .args([
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn read(
        &self,
        options: &ReadOptions,
    ) -> Result<History, pgadvise::input::InputError> {
        read(&[self.0.join("m")], options, &mut Sources::default())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn since(revision: &str) -> ReadOptions {
    ReadOptions {
        since: Some(revision.to_owned()),
        ..ReadOptions::default()
    }
}

fn new_names(history: &History) -> Vec<&str> {
    history
        .files
        .iter()
        .filter(|file| file.new)
        .map(|file| file.path.rsplit('/').next().unwrap())
        .collect()
}

#[test]
fn migration_files_since_a_revision_are_those_of_the_branch_and_the_working_tree() {
    let folder = Temporary::new("since");
    folder.git(&["init", "-q", "-b", "main"]);
    for number in 1..=4 {
        folder.write(
            &format!("m/{number}_old.up.sql"),
            format!("CREATE TABLE t{number} (a int);\n"),
        );
    }
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-qm", "a"]);
    folder.git(&["checkout", "-qb", "feature"]);
    folder.write("m/5_committed.up.sql", "CREATE TABLE t5 (a int);\n");
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-qm", "b"]);
    // main goes on, and that is none of the branch's doing.
    folder.git(&["checkout", "-q", "main"]);
    folder.write("m/9_main.up.sql", "CREATE TABLE t9 (a int);\n");
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-qm", "c"]);
    folder.git(&["checkout", "-q", "feature"]);
    folder.write("m/6_staged.up.sql", "CREATE TABLE t6 (a int);\n");
    folder.git(&["add", "-A"]);
    folder.write("m/7 untracked.up.sql", "CREATE TABLE t7 (a int);\n");
    folder.write("m/2_old.up.sql", "CREATE TABLE t2 (a int, b int);\n");
    folder.write("m/3_old.up.sql", "-- why\nCREATE TABLE t3 (a int);\n");
    fs::remove_file(folder.0.join("m/4_old.up.sql")).unwrap();

    let history = folder.read(&since("main")).unwrap();
    assert_eq!(
        new_names(&history),
        [
            "2_old.up.sql",
            "3_old.up.sql",
            "5_committed.up.sql",
            "6_staged.up.sql",
            "7 untracked.up.sql"
        ]
    );
    let messages: Vec<_> = history
        .problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(messages[0].starts_with("it was changed, and main has it"));
    assert!(messages[1].starts_with("m/4_old.up.sql was deleted, and main has it"));
}

#[test]
fn migration_files_say_what_is_wrong_with_a_revision() {
    let folder = Temporary::new("revision");
    folder.write("m/1_a.up.sql", "SELECT 1;\n");
    let error = folder.read(&since("main")).unwrap_err();
    assert!(error.to_string().contains("is in none"), "{error}");
    folder.git(&["init", "-q", "-b", "master"]);
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-qm", "a"]);
    let error = folder.read(&since("origin/main")).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("there is no revision origin/main")
    );
    assert_eq!(error.hint(), "did you mean master?");
    let history = folder.read(&since("master")).unwrap();
    assert_eq!(new_names(&history), [""; 0]);
}

#[test]
fn migration_files_that_stand_before_old_ones_or_twice_are_told() {
    let folder = Temporary::new("order");
    folder.git(&["init", "-q", "-b", "main"]);
    folder.write("m/0003_c.up.sql", "SELECT 1;\n");
    folder.git(&["add", "-A"]);
    folder.git(&["commit", "-qm", "a"]);
    folder.write("m/0002_b.up.sql", "SELECT 1;\n");
    folder.write("m/0003_d.up.sql", "SELECT 1;\n");
    let history = folder.read(&since("main")).unwrap();
    let messages: Vec<_> = history
        .problems
        .iter()
        .map(|problem| problem.message.as_str())
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages
            .iter()
            .any(|message| message.starts_with("version 0003 is given twice"))
    );
    assert!(
        messages
            .iter()
            .any(|message| message.contains("golang-migrate keeps one version"))
    );
}

#[test]
fn migration_files_leave_out_a_whole_schema_beside_its_versions() {
    let folder = Temporary::new("dump");
    folder.write("m/schema.sql", "CREATE TABLE a (id int, b int);\n");
    folder.write("m/versioned/v1.0/schema.sql", "CREATE TABLE a (id int);\n");
    folder.write(
        "m/versioned/v1.1/b.sql",
        "ALTER TABLE a ADD COLUMN b int;\n",
    );
    let history = folder.read(&ReadOptions::default()).unwrap();
    let paths: Vec<_> = history.files.iter().map(|file| &file.path).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert!(paths.iter().all(|path| path.contains("versioned")));
    let (what, why) = history.skipped.first().unwrap();
    assert!(what.ends_with("m/schema.sql"), "{what}");
    assert!(why.contains("whole schema"), "{why}");

    // The base that versions go on from is one of the history.
    let folder = Temporary::new("base");
    folder.write("m/schema.sql", "CREATE TABLE a (id int);\n");
    folder.write(
        "m/versioned/v1.1/b.sql",
        "ALTER TABLE a ADD COLUMN b int;\n",
    );
    let history = folder.read(&ReadOptions::default()).unwrap();
    assert_eq!(history.files.len(), 2);
    assert_eq!(history.skipped, []);
}

#[test]
fn migration_files_that_cannot_be_read_do_not_stop_the_others() {
    let folder = Temporary::new("bad");
    folder.write("m/1_good.sql", "CREATE TABLE a (id int);\n");
    folder.write("m/2_latin.sql", b"SELECT '\xe9';\n");
    folder.write("m/3_program.sql", b"\x7fELF\0\0\0\0");
    folder.write("m/4_empty.sql", "");
    folder.write("m/5_comments.sql", "-- nothing\n");
    folder.write(
        "m/6_wide.sql",
        "\u{feff}SELECT 1;"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>(),
    );
    folder.write(
        "m/7_mysql.sql",
        "CREATE TABLE `a` (`id` int NOT NULL AUTO_INCREMENT) ENGINE=InnoDB;\n",
    );
    folder.write("m/node_modules/x/1.sql", "SELECT 1;");
    folder.write("m/.hidden/1.sql", "SELECT 1;");
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.0.join("m"), folder.0.join("m/again")).unwrap();
    let history = folder.read(&ReadOptions::default()).unwrap();
    let messages = |problems: &[Problem]| -> Vec<String> {
        problems
            .iter()
            .map(|problem| problem.message.clone())
            .collect()
    };
    // What could not be read is work that was not done.
    let failures = messages(&history.failures);
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].contains("2_latin.sql") && failures[0].contains("byte 8"));
    assert!(failures[1].contains("3_program.sql") && failures[1].contains("binary"));
    let problems = messages(&history.problems);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("MySQL"));
    assert_eq!(history.notes.len(), 2, "{:?}", history.notes);
    assert_eq!(history.files.len(), 5);
    assert_eq!(
        history
            .files
            .iter()
            .map(|file| file.parts[0].statements.len())
            .sum::<usize>(),
        2
    );
    #[cfg(unix)]
    assert!(
        history
            .skipped
            .iter()
            .any(|(what, _)| what.ends_with("m/again"))
    );
}

#[test]
fn migration_files_name_the_folder_that_was_meant() {
    let folder = Temporary::new("missing");
    folder.write("migrations/1_a.sql", "SELECT 1;\n");
    let error = read(
        &[folder.0.join("migratoins")],
        &ReadOptions::default(),
        &mut Sources::default(),
    )
    .unwrap_err();
    assert!(error.hint().ends_with("/migrations?"), "{}", error.hint());
    folder.write("python/0001_initial.py", "x = 1\n");
    let error = read(
        &[folder.0.join("python")],
        &ReadOptions::default(),
        &mut Sources::default(),
    )
    .unwrap_err();
    assert!(error.to_string().starts_with("there is no .sql file in"));
    assert!(error.hint().contains("sqlmigrate"));
}

#[test]
fn migration_files_of_an_unknown_tool_say_that_it_is_assumed() {
    let (history, _) = history_of(&fixture("plain"));
    assert_eq!(history.sets[0].sureness, Sureness::Assumed);
    let mut sources = Sources::default();
    let options = ReadOptions {
        wrapping: Some(PerFile),
        ..ReadOptions::default()
    };
    let history = read(&[fixture("plain")], &options, &mut sources).unwrap();
    assert_eq!(history.files[0].parts[0].wrapping, PerFile);
}

#[test]
#[cfg(unix)]
fn migration_files_that_are_pipes_or_closed_folders_do_not_stop_the_others() {
    let folder = Temporary::new("pipes");
    folder.write("m/1_good.sql", "CREATE TABLE a (id int);\n");
    let pipe = folder.0.join("m/2_pipe.sql");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    std::os::unix::fs::symlink(&pipe, folder.0.join("m/3_link.sql")).unwrap();
    std::os::unix::fs::symlink("4_loop.sql", folder.0.join("m/4_loop.sql")).unwrap();
    folder.write("m/5 with\nlines.sql", "SELECT 1;\n");
    let history = folder.read(&ReadOptions::default()).unwrap();
    assert_eq!(history.files.len(), 2);
    assert_eq!(history.failures.len(), 1, "{:?}", history.failures);
    assert!(history.failures[0].message.contains("4_loop.sql"));
    let pipes = history
        .skipped
        .iter()
        .filter(|(_, why)| why.contains("pipe"));
    assert_eq!(pipes.count(), 2);
}

#[test]
fn migration_files_of_a_number_given_twice_are_told_for_plain_files_too() {
    let told = |names: &[&str]| -> usize {
        let folder = Temporary::new("twice");
        for name in names {
            folder.write(&format!("m/{name}"), "SELECT 1;\n");
        }
        let history = folder.read(&ReadOptions::default()).unwrap();
        history
            .problems
            .iter()
            .filter(|problem| problem.message.contains("is given twice"))
            .count()
    };
    assert_eq!(told(&["001_a.sql", "002_b.sql", "2_c.sql"]), 1);
    // Dates, and numbers that are no more than words, count nothing.
    assert_eq!(
        told(&[
            "20240101_a.sql",
            "20240101_b.sql",
            "2024-01-01.sql",
            "2024-02-01.sql"
        ]),
        0
    );
}

#[test]
fn migration_files_of_a_tool_that_was_asked_for_are_taken_for_its_own() {
    let folder = Temporary::new("asked");
    folder.write("m/0001_x.sql", "CREATE TABLE a (id int);\n");
    let history = folder
        .read(&ReadOptions {
            framework: Some(Framework::GolangMigrate),
            ..ReadOptions::default()
        })
        .unwrap();
    let file = &history.files[0];
    assert_eq!(file.framework, Framework::GolangMigrate);
    assert_eq!(file.parts[0].sureness, Sureness::Known);
    assert!(history.notes[0].contains("golang-migrate does not run it"));
}
