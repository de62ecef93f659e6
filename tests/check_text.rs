//! The report of `pgadvise check` for a terminal: what people read.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they check"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A folder of migrations: the first makes the tables, the others are given.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    folder
}

/// What the command says, at that width.
fn said(folder: &Path, width: &str, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(["check", "m", "--pg-version", "16", "--framework", "sqlx"])
        .args(more)
        .current_dir(folder)
        .env("COLUMNS", width)
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .env_remove("NO_COLOR")
        .output()
        .expect("the program runs");
    assert_ne!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Tables, and an index on each of them by a migration of its own.
fn indexes(number: usize) -> TempDir {
    let tables: Vec<String> = (0..number)
        .map(|at| format!("CREATE TABLE t{at} (id bigint PRIMARY KEY, a int, b int);\n"))
        .collect();
    let folder = folder(&[("m/0001_t.sql", &tables.concat())]);
    for at in 0..number {
        fs::write(
            folder.path().join(format!("m/{:04}_i.sql", at + 2)),
            format!("CREATE INDEX i{at} ON t{at} (a, b);\n"),
        )
        .expect("written");
    }
    folder
}

const ONLY: [&str; 2] = ["--only", "index-built-under-lock"];

/// Explanations stand once, at the first finding of their kind; the SQL, which
/// is another each time, at each.
#[test]
fn what_is_the_same_for_many_findings_is_said_once() {
    let folder = indexes(30);
    let brief = said(folder.path(), "100", &ONLY);
    assert_eq!(brief.matches("-->").count(), 30);
    assert_eq!(brief.matches("  why: ").count(), 1, "{brief}");
    assert_eq!(brief.matches("invalid index").count(), 1, "{brief}");
    assert_eq!(brief.matches("CREATE INDEX CONCURRENTLY").count(), 30);
    assert!(brief.contains("--verbose explains each finding"), "{brief}");

    let full = said(folder.path(), "100", &[ONLY[0], ONLY[1], "--verbose"]);
    assert_eq!(full.matches("  why: ").count(), 30);
    assert_eq!(full.matches("invalid index").count(), 30);
    assert!(!full.contains("--verbose explains"), "{full}");
}

/// The last lines are seen when the program ends: the numbers by rule, what
/// was not checked, and at the very end the sum and the verdict.
#[test]
fn the_end_of_a_long_report_sums_it_up() {
    let folder = indexes(30);
    let text = said(folder.path(), "100", &ONLY);
    assert!(
        text.contains("     30 critical index-built-under-lock, in 30 files\n"),
        "{text}"
    );
    assert_eq!(
        text.lines().last(),
        Some("30 findings (30 critical) in 31 files with 60 statements; fails (--fail-on warning)")
    );
    let passes = said(
        folder.path(),
        "100",
        &[ONLY[0], ONLY[1], "--fail-on", "never"],
    );
    assert_eq!(
        passes.lines().last(),
        Some("30 findings (30 critical) in 31 files with 60 statements")
    );
    let nothing = said(folder.path(), "100", &["--only", "table-dropped"]);
    assert_eq!(
        nothing.lines().last(),
        Some("nothing found in 31 files with 60 statements")
    );
}

/// A statement of many lines is underlined where it begins; what is cut ends
/// with an ellipsis; nothing but SQL to copy is wider than the terminal.
#[test]
fn lines_fit_the_terminal() {
    let long = "a".repeat(60);
    let new = format!(
        "CREATE INDEX {long}\n  ON {long}\n  (b);\n\
         ALTER TABLE {long} ADD CONSTRAINT c CHECK (b > 0 AND b < 1000 AND b <> 77 AND b <> 78);\n"
    );
    let folder = folder(&[
        (
            "m/0001_t.sql",
            &format!("CREATE TABLE {long} (id bigint PRIMARY KEY, b int);\n"),
        ),
        ("m/0002_i.sql", &new),
    ]);
    let text = said(folder.path(), "80", &[]);
    let at = |needle: &str| {
        let lines: Vec<&str> = text.lines().collect();
        let at = lines
            .iter()
            .position(|line| line.contains(needle))
            .unwrap_or_else(|| panic!("no {needle} in {text}"));
        (
            lines[at].to_owned(),
            lines[at + 1].to_owned(),
            lines[at + 2].to_owned(),
        )
    };
    let (_, line, carets) = at("m/0002_i.sql:1:1 [index-built-under-lock]");
    assert_eq!(line, format!("  1 | CREATE INDEX {long}"));
    assert_eq!(carets, "    | ^^^^^^^^^^^^", "the keywords: {text}");
    let (_, line, carets) = at("m/0002_i.sql:4:74 [check-constraint-validated-at-once]");
    assert!(line.starts_with("  4 | …") && line.ends_with('…'), "{line}");
    let column = carets.find('^').expect("carets");
    let marked: String = line.chars().skip(column).take(18).collect();
    assert_eq!(marked, "ADD CONSTRAINT c C");
    for line in text.lines().filter(|line| !line.starts_with("    ")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

/// Editors and other programs take lines of the form `file:line:column`.
#[test]
fn quiet_is_one_line_for_each_finding() {
    let folder = indexes(2);
    let text = said(folder.path(), "80", &[ONLY[0], ONLY[1], "--quiet"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(
        lines[0],
        "m/0002_i.sql:1:1: critical: index i0 is built on t0 while writes to it wait \
         [index-built-under-lock]"
    );
}

/// The lock is told with the work that is done under it.
#[test]
fn locks_are_told_in_words() {
    let folder = folder(&[
        (
            "m/0001_t.sql",
            "CREATE TABLE orders (id bigint PRIMARY KEY, b int, c varchar(10));\n",
        ),
        (
            "m/0002_new.sql",
            "ALTER TABLE orders ALTER COLUMN b TYPE bigint;\n\
             ALTER TABLE orders ALTER COLUMN c SET NOT NULL;\n\
             UPDATE orders SET b = 0;\n",
        ),
    ]);
    let text = said(folder.path(), "120", &[]);
    for expected in [
        "lock: ACCESS EXCLUSIVE on orders, held while the table is rewritten",
        "lock: ACCESS EXCLUSIVE on orders, held while the table is read",
    ] {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
}

/// Colours are for terminals; a file and a pipe have none.
#[test]
fn colours_are_asked_for() {
    let folder = indexes(1);
    let plain = said(folder.path(), "80", &ONLY);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    let coloured = said(
        folder.path(),
        "80",
        &[ONLY[0], ONLY[1], "--color", "always"],
    );
    assert!(coloured.contains("\u{1b}["), "{coloured}");
    let stripped = regex::Regex::new("\u{1b}\\[[0-9;]*m")
        .expect("a pattern")
        .replace_all(&coloured, "")
        .into_owned();
    assert_eq!(stripped, plain, "colours change no text");
}

/// Names from files neither steer the terminal nor break a line.
#[test]
fn names_cannot_steer_the_terminal() {
    let name = "\"a\u{1b}[31m\nb\u{202e}c\"";
    let folder = folder(&[
        (
            "m/0001_t.sql",
            &format!("CREATE TABLE {name} (id bigint PRIMARY KEY);\n"),
        ),
        ("m/0002_d.sql", &format!("DROP TABLE {name};\n")),
    ]);
    let text = said(folder.path(), "80", &["--quiet"]);
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    for line in text.lines() {
        assert!(
            line.starts_with("m/0002_d.sql:") || line.contains(" finding"),
            "{text}"
        );
    }
}

/// Paths of the configuration are shown from where the program is called, as
/// services for CI need them, and its patterns hold wherever that is.
#[test]
fn the_configuration_means_the_same_from_every_folder() {
    let folder = folder(&[
        (
            "pgadvise.toml",
            "[check]\npaths = [\"m\"]\npg-version = 16\n\
             [[paths]]\nfile = \"m/0002*\"\nrules = { table-dropped = \"note\" }\n",
        ),
        ("m/0001_t.sql", "CREATE TABLE t (id bigint PRIMARY KEY);\n"),
        ("m/0002_d.sql", "DROP TABLE t;\n"),
        ("sub/readme", ""),
    ]);
    let absolute = folder.path().canonicalize().expect("a folder");
    let absolute = absolute.join("m").display().to_string();
    for (at, argument, shown) in [
        ("", None, "m/0002_d.sql:1:12: note: "),
        ("", Some("m"), "m/0002_d.sql:1:12: note: "),
        ("", Some(absolute.as_str()), "m/0002_d.sql:1:12: note: "),
        ("sub", None, "../m/0002_d.sql:1:12: note: "),
        ("sub", Some("../m"), "../m/0002_d.sql:1:12: note: "),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
            .arg("check")
            .args(argument)
            .args(["--quiet", "--only", "table-dropped", "--format", "text"])
            .current_dir(folder.path().join(at))
            .output()
            .expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(said.contains(shown), "{at} {argument:?}: {said}");
        assert_eq!(
            said.starts_with('/'),
            argument == Some(absolute.as_str()),
            "{said}"
        );
    }
}
