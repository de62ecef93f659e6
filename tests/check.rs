//! `pgadvise check` as it is called: folders, git, exit codes, suppressions,
//! baselines and configuration.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they check"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with files in it.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgadvise"));
    command
        .arg("check")
        .args(arguments)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments)
        .output()
        .expect("the program runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("not killed")
}

/// The report as JSON, and the exit code.
fn json(folder: &Path, arguments: &[&str]) -> (Value, i32) {
    let mut all = vec!["--format", "json"];
    all.extend(arguments);
    let output = run(folder, &all);
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {} {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (report, code(&output))
}

/// `RULE LINE` of each finding.
fn told(report: &Value) -> Vec<String> {
    report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| {
            format!(
                "{} {}",
                finding["rule"].as_str().expect("a rule"),
                finding["place"]["line"]
            )
        })
        .collect()
}

const BEFORE: (&str, &str) = (
    "m/0001_users.sql",
    "CREATE TABLE users (id bigint PRIMARY KEY, name text);\nCREATE TABLE old (id bigint PRIMARY KEY);\n",
);
const DROP: (&str, &str) = ("m/0002_drop.sql", "DROP TABLE old;\n");
const ONLY: [&str; 3] = ["m", "--only", "table-dropped"];

#[test]
fn the_exit_code_says_whether_something_was_found_at_the_level() {
    let folder = folder(&[BEFORE, DROP]);
    let at = folder.path();
    assert_eq!(code(&run(at, &ONLY)), 1, "a warning fails by default");
    let with = |level| {
        code(&run(
            at,
            &["m", "--only", "table-dropped", "--fail-on", level],
        ))
    };
    assert_eq!(with("note"), 1);
    assert_eq!(with("critical"), 0);
    assert_eq!(with("never"), 0);
    assert_eq!(code(&run(at, &["m", "--only", "statement-not-read"])), 0);
}

#[test]
fn what_cannot_be_read_never_stops_the_rest() {
    let folder = folder(&[
        BEFORE,
        DROP,
        (
            "m/0003_bad.sql",
            "ALTER TABLE users FROB;\nDROP TABLE users;\n",
        ),
    ]);
    let (report, exit) = json(
        folder.path(),
        &[
            "m",
            "--disable",
            "suppression-unused",
            "--fail-on",
            "critical",
        ],
    );
    let told = told(&report);
    assert!(
        told.contains(&"statement-not-read 1".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"table-dropped 2".to_owned()), "{told:?}");
    assert!(exit < 2, "a file that does not parse is a finding");

    write(
        folder.path(),
        "m/0004_binary.sql",
        "DROP TABLE users;\0\0\0",
    );
    let (report, exit) = json(folder.path(), &["m", "gone"]);
    assert_eq!(exit, 2, "{report}");
    assert!(!report["findings"].as_array().expect("findings").is_empty());
    let problems = report["problems"].to_string();
    assert!(problems.contains("gone"), "{problems}");
}

#[test]
fn comments_silence_their_rule_and_are_findings_where_they_are_wrong() {
    let folder = folder(&[
        BEFORE,
        (
            "m/0002_drop.sql",
            "-- pgadvise: ignore table-dropped (nobody reads it since 2.3)\nDROP TABLE old;\n\
             -- pgadvise: ignore table-droped (a typo)\nDROP TABLE users;\n\
             -- pgadvise: ignore table-dropped (nothing is dropped)\nSELECT 1;\n",
        ),
    ]);
    let only = |rules: &[&str]| {
        let mut arguments = vec!["m"];
        for rule in rules {
            arguments.extend(["--only", rule]);
        }
        json(folder.path(), &arguments).0
    };
    let report = only(&[
        "table-dropped",
        "suppression-misspelt",
        "suppression-unused",
        "suppression-without-reason",
    ]);
    assert_eq!(
        told(&report),
        [
            "suppression-misspelt 3",
            "table-dropped 4",
            "suppression-unused 5"
        ]
    );
    let silenced = &report["suppressed"][0];
    assert_eq!(silenced["by"], "comment");
    assert_eq!(silenced["reason"], "nobody reads it since 2.3");
    assert_eq!(silenced["finding"]["rule"], "table-dropped");
    assert_eq!(report["totals"]["suppressed"], 1);

    let report = only(&["suppression-unused"]);
    assert!(
        told(&report).is_empty(),
        "a rule that did not run might have found something: {report}"
    );
}

#[test]
fn a_whole_file_is_silenced_by_one_comment() {
    let folder = folder(&[
        BEFORE,
        (
            "m/0002_drop.sql",
            "DROP TABLE old;\nDROP TABLE users;\n-- pgadvise: ignore-file table-dropped (moved away)\n",
        ),
    ]);
    let (report, exit) = json(folder.path(), &ONLY);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(report["totals"]["suppressed"], 2);
}

#[test]
fn a_baseline_keeps_what_is_known_from_failing_wherever_it_moves() {
    let folder = folder(&[BEFORE, DROP]);
    let at = folder.path();
    let with = |more: &[&str]| {
        let mut arguments = ONLY.to_vec();
        arguments.extend(["--baseline", "known.json"]);
        arguments.extend(more);
        json(at, &arguments)
    };
    let mut writing = ONLY.to_vec();
    writing.extend(["--baseline", "known.json", "--write-baseline"]);
    let output = run(at, &writing);
    assert_eq!(code(&output), 0);
    let written = fs::read_to_string(at.join("known.json")).expect("written");
    assert_eq!(written.matches("fingerprint").count(), 1, "{written}");

    let (report, exit) = with(&[]);
    assert_eq!(exit, 0, "{report}");
    assert_eq!(report["baseline"]["known"], 1);
    assert_eq!(report["suppressed"][0]["by"], "baseline");

    write(at, DROP.0, "\n-- a comment\n\ndrop   table old;\n");
    assert_eq!(with(&[]).1, 0, "layout and lines do not matter");

    write(at, DROP.0, "DROP TABLE users;\n");
    let (report, exit) = with(&[]);
    assert_eq!(exit, 1);
    assert_eq!(told(&report), ["table-dropped 1"]);
    assert_eq!(report["baseline"]["stale"][0]["rule"], "table-dropped");

    write(at, "known.json", "{}");
    let (report, exit) = with(&[]);
    assert_eq!(exit, 2, "a baseline that cannot be read is told");
    assert_eq!(told(&report), ["table-dropped 1"], "and the rest is done");
}

#[test]
fn fingerprints_do_not_depend_on_folders_or_lines() {
    let one = folder(&[BEFORE, DROP]);
    let other = folder(&[
        ("x/y/0001_users.sql", BEFORE.1),
        ("x/y/0002_drop.sql", "\n\n/* moved */ DROP TABLE old;"),
    ]);
    let print = |report: Value| report["findings"][0]["fingerprint"].clone();
    let first = print(json(one.path(), &ONLY).0);
    let second = print(json(other.path(), &["x", "--only", "table-dropped"]).0);
    assert_eq!(first, second);
    assert_eq!(first.as_str().map(str::len), Some(32));
}

#[test]
fn the_configuration_sets_paths_levels_and_suppressions() {
    let folder = folder(&[
        BEFORE,
        DROP,
        ("m/0003_more.sql", "DROP TABLE users;\n"),
        (
            "pgadvise.toml",
            "[check]\npaths = [\"m\"]\npg-version = 14\nfail-on = \"critical\"\n\
             [rules]\ntable-dropped = \"critical\"\n\
             [[paths]]\nfile = \"**/0003_*.sql\"\nrules = { table-dropped = \"note\" }\n",
        ),
    ]);
    let at = folder.path();
    let (report, exit) = json(at, &["--only", "table-dropped"]);
    assert_eq!(exit, 1, "{report}");
    let levels: Vec<&Value> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|finding| &finding["level"])
        .collect();
    assert_eq!(levels, ["critical", "note"]);
    assert_eq!(report["server"]["major"], 14);
    assert_eq!(report["server"]["known_by"], "pgadvise.toml");
    let (report, _) = json(at, &["--pg-version", "17"]);
    assert_eq!(report["server"]["major"], 17);

    write(
        at,
        "pgadvise.toml",
        "[[suppress]]\nrule = \"table-dropped\"\nrelation = \"old\"\nreason = \"agreed\"\n",
    );
    let (report, _) = json(at, &ONLY);
    assert_eq!(told(&report), ["table-dropped 1"]);
    assert_eq!(report["suppressed"][0]["by"], "configuration");

    write(at, "pgadvise.toml", "[check]\nfail-onn = \"note\"\n");
    let output = run(at, &["m"]);
    assert_eq!(code(&output), 2);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("unknown key fail-onn in [check]"), "{said}");
    assert!(said.contains("did you mean fail-on?"), "{said}");
}

#[test]
fn only_what_a_branch_adds_is_reported_and_the_rest_is_replayed() {
    let folder = folder(&[BEFORE, ("m/0002_old.sql", "DROP TABLE old;\n")]);
    let at = folder.path();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.com",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .current_dir(at)
            .output()
            .expect("git runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "before"]);
    write(at, "m/0003_new.sql", "DROP TABLE users;\n");
    git(&["add", "."]);
    git(&["commit", "-qm", "new"]);
    let (report, exit) = json(at, &["m", "--only", "table-dropped", "--since", "HEAD~1"]);
    assert_eq!(exit, 1);
    assert_eq!(told(&report), ["table-dropped 1"]);
    assert_eq!(report["totals"]["files"], 1);
    assert_eq!(report["totals"]["replayed_files"], 2);

    let changed = [
        "m",
        "--only",
        "table-dropped",
        "--changed",
        "m/0002_old.sql",
    ];
    let (report, _) = json(at, &changed);
    assert_eq!(report["totals"]["files"], 1, "{report}");
    assert_eq!(report["findings"][0]["place"]["file"], "m/0002_old.sql");

    let output = run(at, &["m", "--since", "no-such-branch"]);
    assert_eq!(code(&output), 2);
}

#[test]
fn one_run_gives_several_forms() {
    let folder = folder(&[BEFORE, DROP]);
    let at = folder.path();
    let mut arguments = ONLY.to_vec();
    arguments.extend(["-o", "sarif=a.json", "-o", "b.xml", "-o", "c.md"]);
    let output = run(at, &arguments);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("--> m/0002_drop.sql:1:12 [table-dropped]"),
        "{text}"
    );
    let read = |name: &str| fs::read_to_string(at.join(name)).expect("written");
    assert!(read("a.json").contains("\"2.1.0\""));
    assert!(read("b.xml").starts_with("<?xml"));
    assert!(read("c.md").starts_with("<!-- pgadvise check -->"));
}

#[test]
fn a_workflow_of_github_gets_annotations_unless_another_form_is_named() {
    let folder = folder(&[BEFORE, DROP]);
    let at = folder.path();
    write(at, "summary.md", "before\n");
    let in_workflow = |arguments: &[&str]| {
        let output = command(at, arguments)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_STEP_SUMMARY", at.join("summary.md"))
            .output()
            .expect("the program runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = in_workflow(&ONLY);
    assert!(
        said.starts_with(
            "::warning file=m/0002_drop.sql,line=1,endLine=1,col=12,endColumn=14,title="
        ),
        "{said}"
    );
    let summary = fs::read_to_string(at.join("summary.md")).expect("there");
    assert!(summary.starts_with("before\n<!-- pgadvise"), "{summary}");
    let said = in_workflow(&["m", "--only", "table-dropped", "--format", "json"]);
    assert!(serde_json::from_str::<Value>(&said).is_ok(), "{said}");
}

#[test]
fn silence_is_no_praise() {
    let folder = folder(&[("m/0001.sql", "CREATE TABLE {{ name }} (id bigint);\n")]);
    let (report, _) = json(folder.path(), &["m"]);
    let skipped = report["skipped"].to_string();
    for expected in [
        "the server's version",
        "--pg-version",
        "--framework",
        "--workload",
    ] {
        assert!(skipped.contains(expected), "no {expected} in {skipped}");
    }
}

#[test]
fn standard_input_is_a_migration() {
    use std::io::Write as _;
    let folder = folder(&[]);
    let mut child = command(folder.path(), &["-", "--format", "json"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(b"DROP TABLE users;\n").expect("written");
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        told(&report).contains(&"table-dropped 1".to_owned()),
        "{report}"
    );
    assert_eq!(report["findings"][0]["place"]["file"], "<stdin>");
}

#[test]
fn entries_of_the_configuration_that_silence_nothing_are_told() {
    let folder = folder(&[
        BEFORE,
        DROP,
        (
            "pgadvise.toml",
            "[[suppress]]\nrule = \"table-dropped\"\nrelation = \"old\"\nreason = \"a\"\n\
             [[suppress]]\nrule = \"table-dropped\"\nrelation = \"users\"\nreason = \"b\"\n\
             [[suppress]]\nrule = \"table-dropped\"\nfile = \"none/**\"\nreason = \"c\"\n\
             [[suppress]]\nrule = \"table-renamed\"\nreason = \"did not run\"\n",
        ),
    ]);
    let (report, exit) = json(folder.path(), &ONLY);
    assert_eq!(exit, 0, "a warning is no failure: {report}");
    let problems: Vec<&str> = report["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .map(|problem| problem["message"].as_str().expect("a message"))
        .collect();
    assert_eq!(
        problems,
        [
            "[[suppress]] of table-dropped on users silences nothing",
            "[[suppress]] of table-dropped is for no file that was checked",
        ]
    );
    // Of the files that are not judged nothing is known.
    let mut some = vec!["--changed", "m/0001_users.sql"];
    some.extend(ONLY);
    let (report, _) = json(folder.path(), &some);
    assert!(!report["problems"].to_string().contains("[[suppress]]"));
}

#[test]
fn rules_that_need_queries_say_so_when_there_are_none() {
    let folder = folder(&[BEFORE, DROP]);
    let (report, _) = json(folder.path(), &["m"]);
    for name in ["query-breaks", "query-gets-slower", "query-result-changes"] {
        let rule = report["rules"]
            .as_array()
            .expect("rules")
            .iter()
            .find(|rule| rule["name"] == name)
            .expect("a rule");
        assert_eq!(rule["outcome"], "skipped", "{rule}");
    }
    assert!(
        report["skipped"].to_string().contains("--workload"),
        "{}",
        report["skipped"]
    );
}
