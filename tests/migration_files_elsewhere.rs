//! Files for several databases in one place, folders that are versions, and
//! versions that come twice.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they read"
)]

use std::fs;
use std::path::PathBuf;

use pgadvise::input::migrations::{ReadOptions, read};
use pgadvise::migration::{Framework, History, Wrapping};
use pgadvise::source::Sources;

/// The history of files with such names, each of which holds a statement.
fn history_of(test: &str, names: &[&str]) -> History {
    let folder: PathBuf =
        std::env::temp_dir().join(format!("pgadvise-{test}-{}", std::process::id()));
    drop(fs::remove_dir_all(&folder));
    for name in names {
        let path = folder.join("m").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "SELECT 1;\n").unwrap();
    }
    let history = read(
        &[folder.join("m")],
        &ReadOptions::default(),
        &mut Sources::default(),
    )
    .unwrap();
    fs::remove_dir_all(&folder).unwrap();
    history
}

fn names(history: &History) -> Vec<&str> {
    history
        .files
        .iter()
        .filter_map(|file| Some(file.path.split_once("/m/")?.1))
        .collect()
}

#[test]
fn migration_files_for_other_databases_are_left_out_by_their_names() {
    let history = history_of(
        "dialects",
        &[
            "1_a.up.sql",
            "1_a.down.sql",
            "1_a.mysql.up.sql",
            "2_b.up.sql",
            "2_b.postgres.up.sql",
            "2_b.sqlite3.up.sql",
            "3_c.autocommit.up.sql",
        ],
    );
    assert_eq!(
        names(&history),
        [
            "1_a.up.sql",
            "1_a.down.sql",
            "2_b.postgres.up.sql",
            "3_c.autocommit.up.sql"
        ]
    );
    let set = history.sets.first().unwrap();
    assert_eq!(set.framework, Framework::Pop);
    let wrapping: Vec<_> = history
        .files
        .iter()
        .flat_map(|file| &file.parts)
        .map(|part| part.wrapping)
        .collect();
    assert_eq!(
        wrapping,
        [
            Wrapping::PerFile,
            Wrapping::PerFile,
            Wrapping::PerFile,
            Wrapping::OneMessage
        ]
    );
    let why: Vec<_> = history.skipped.iter().map(|(_, why)| why).collect();
    assert!(why[0].contains("MySQL, SQLite"), "{why:?}");
    assert!(why[1].contains("in its place"), "{why:?}");
}

#[test]
fn migration_files_of_folders_for_other_databases_are_left_out_beside_postgresqls() {
    let history = history_of(
        "vendors",
        &[
            "db_postgres/1_a.sql",
            "db_mysql/1_a.sql",
            "db_mysql/2_b.sql",
        ],
    );
    assert_eq!(names(&history), ["db_postgres/1_a.sql"]);
    // Alone, the word may mean anything.
    let history = history_of("vendor", &["mysql/1_a.sql"]);
    assert_eq!(names(&history), ["mysql/1_a.sql"]);
    assert!(history.skipped.is_empty());
}

#[test]
fn migration_files_in_folders_that_are_versions_are_one_history() {
    let history = history_of(
        "releases",
        &[
            "0/01_a.up.sql",
            "0/02_b.up.sql",
            "2/01_c.up.sql",
            "10/01_d.up.sql",
        ],
    );
    assert_eq!(history.sets.len(), 1);
    assert_eq!(
        names(&history),
        [
            "0/01_a.up.sql",
            "0/02_b.up.sql",
            "2/01_c.up.sql",
            "10/01_d.up.sql"
        ]
    );
    assert_eq!(history.problems, []);
}

#[test]
fn migration_files_that_share_versions_throughout_are_no_oversight() {
    let history = history_of(
        "habit",
        &[
            "1_a.up.sql",
            "1_b.up.sql",
            "2_a.up.sql",
            "2_b.up.sql",
            "3_a.up.sql",
            "3_b.up.sql",
        ],
    );
    assert_eq!(history.problems, []);
    assert!(
        history
            .notes
            .iter()
            .any(|note| note.starts_with("3 versions are given twice")),
        "{:?}",
        history.notes
    );
}
