//! What makes pgadvise ready for CI: the scripts are run as the services run
//! them, with the program itself and stand-ins for the services.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests make folders and repositories of their own"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The top folder of the project.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn git(folder: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=test",
            "-c",
            "user.email=test@example.org",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "protocol.file.allow=always",
        ])
        .args(arguments)
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A repository as a workflow has it: a shallow clone of a pull request's
/// branch, whose target is `main` on `origin`.
struct Repository {
    _folder: tempfile::TempDir,
    top: PathBuf,
    clone: PathBuf,
}

const OLD: &str = "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric NOT NULL);\n";
const NEW: &str = "SET lock_timeout = '2s';\nCREATE INDEX orders_total_idx ON orders (total);\n";

fn repository() -> Repository {
    let folder = tempfile::tempdir().unwrap();
    let top = folder.path().to_owned();
    let origin = top.join("origin");
    fs::create_dir_all(origin.join("migrations")).unwrap();
    git(&origin, &["init", "-q"]);
    fs::write(origin.join("migrations/0001_orders.sql"), OLD).unwrap();
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "-qm", "orders"]);
    git(&origin, &["checkout", "-qb", "topic"]);
    fs::write(origin.join("migrations/0002_index.sql"), NEW).unwrap();
    git(&origin, &["add", "."]);
    git(&origin, &["commit", "-qm", "an index"]);
    git(&origin, &["checkout", "-q", "main"]);
    let clone = top.join("clone");
    git(
        &top,
        &[
            "clone",
            "-q",
            "--depth",
            "1",
            "--branch",
            "topic",
            &format!("file://{}", origin.display()),
            "clone",
        ],
    );
    Repository {
        _folder: folder,
        top,
        clone,
    }
}

/// A `gh` that writes down what it is asked, and answers with the comments of
/// the file `comments`; it fails when that file says so.
const GH: &str = r#"#!/usr/bin/env bash
printf '%s\n' "$*" >>"$GH_LOG"
case "$*" in
*"--method"*) [ ! -e "$GH_LOG.refuse" ] || exit 1 ;;
*) cat "$GH_LOG.comments" 2>/dev/null || true ;;
esac
"#;

impl Repository {
    /// Runs the action's script as a workflow of a pull request does.
    fn action(&self, inputs: &[(&str, &str)]) -> Output {
        let programs = self.top.join("bin");
        fs::create_dir_all(&programs).unwrap();
        let gh = programs.join("gh");
        fs::write(&gh, GH).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&gh, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!(
            "{}:{}",
            programs.display(),
            std::env::var("PATH").unwrap_or_default()
        );
        let mut command = Command::new("bash");
        command
            .arg(root().join("integrations/github/check.sh"))
            .current_dir(&self.clone)
            .env("PATH", path)
            .env("PGADVISE", env!("CARGO_BIN_EXE_pgadvise"))
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_BASE_REF", "main")
            .env("GITHUB_REPOSITORY", "shop/app")
            .env("GITHUB_OUTPUT", self.top.join("output"))
            .env("GITHUB_STEP_SUMMARY", self.top.join("summary.md"))
            .env("RUNNER_TEMP", &self.top)
            .env("PULL_REQUEST", "7")
            .env("GH_LOG", self.top.join("gh.log"))
            .env_remove("PGADVISE_CONFIG");
        for (name, value) in inputs {
            command.env(name, value);
        }
        command.output().expect("bash runs")
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.top.join(name)).unwrap_or_default()
    }
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A checkout of one commit is enough: the script fetches what it takes to
/// tell what is new.
#[test]
fn the_action_annotates_what_a_pull_request_adds() {
    let repository = repository();
    let output = repository.action(&[("INPUT_PATHS", "migrations"), ("INPUT_PG_VERSION", "16")]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("file=migrations/0002_index.sql,line=2"),
        "{said}"
    );
    assert!(!said.contains("0001_orders.sql,"), "{said}");
    assert!(
        repository.file("output").contains("exit-code=1"),
        "{}",
        repository.file("output")
    );
    assert!(repository.file("summary.md").contains("orders"), "{said}");
    let report: serde_json::Value =
        serde_json::from_str(&repository.file("pgadvise-report.json")).unwrap();
    assert!(report.is_object(), "{report}");
    assert_eq!(repository.file("gh.log"), "", "no comment was asked for");
}

#[test]
fn the_action_writes_one_comment_and_keeps_it_up_to_date() {
    let repository = repository();
    let inputs = [("INPUT_PATHS", "migrations"), ("INPUT_COMMENT", "true")];
    repository.action(&inputs);
    let log = repository.file("gh.log");
    assert!(
        log.contains("--method POST repos/shop/app/issues/7/comments"),
        "{log}"
    );
    fs::write(repository.top.join("gh.log.comments"), "4242\n").unwrap();
    repository.action(&inputs);
    let log = repository.file("gh.log");
    assert!(
        log.contains("--method PATCH repos/shop/app/issues/comments/4242"),
        "{log}"
    );
}

/// The marker that the script looks for is the one that the report begins
/// with, or each push would add a comment.
#[test]
fn the_comment_begins_with_the_marker_that_the_action_looks_for() {
    let script = read("integrations/github/check.sh");
    let marker = script
        .split("marker='")
        .nth(1)
        .and_then(|rest| rest.split('\'').next())
        .expect("a marker");
    let repository = repository();
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(["check", "migrations", "--format", "markdown"])
        .current_dir(&repository.clone)
        .env_remove("PGADVISE_CONFIG")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with(marker), "{text}");
}

/// A fork's token may read only.
#[test]
fn a_comment_that_cannot_be_written_fails_nothing() {
    let repository = repository();
    fs::write(repository.top.join("gh.log.refuse"), "").unwrap();
    let output = repository.action(&[
        ("INPUT_PATHS", "migrations"),
        ("INPUT_COMMENT", "true"),
        ("INPUT_FAIL_ON", "never"),
    ]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("::warning title=pgadvise::"), "{said}");
}

/// The job's script, as GitLab would run it.
#[test]
fn the_job_for_gitlab_writes_its_reports() {
    let repository = repository();
    let template = read("integrations/gitlab/pgadvise.yml");
    let script: Vec<&str> = template
        .split("    - |\n")
        .nth(1)
        .and_then(|rest| rest.split("\n  artifacts:").next())
        .expect("a script")
        .lines()
        .map(|line| line.trim_start_matches("      "))
        .collect();
    let script = script.join("\n");
    git(&repository.clone, &["fetch", "-q", "--unshallow"]);
    git(&repository.clone, &["fetch", "-q", "origin", "main:base"]);
    let programs = Path::new(env!("CARGO_BIN_EXE_pgadvise")).parent().unwrap();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(&repository.clone)
        .env(
            "PATH",
            format!(
                "{}:{}",
                programs.display(),
                std::env::var("PATH").unwrap_or_default()
            ),
        )
        .env("CI_MERGE_REQUEST_DIFF_BASE_SHA", "base")
        .env("PGADVISE_PATHS", "migrations")
        .env("PGADVISE_ARGS", "--pg-version 16")
        .env("PGADVISE_FAIL_ON", "warning")
        .env_remove("PGADVISE_CONFIG")
        .env_remove("GITHUB_ACTIONS")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let quality: serde_json::Value = serde_json::from_str(
        &fs::read_to_string(repository.clone.join("pgadvise-code-quality.json")).unwrap(),
    )
    .unwrap();
    let first = &quality[0];
    assert_eq!(first["location"]["path"], "migrations/0002_index.sql");
    assert_eq!(first["location"]["lines"]["begin"], 2);
    let junit = fs::read_to_string(repository.clone.join("pgadvise-junit.xml")).unwrap();
    assert!(junit.contains("<testsuites"), "{junit}");
    let sarif: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(repository.clone.join("pgadvise.sarif")).unwrap())
            .unwrap();
    assert_eq!(sarif["version"], "2.1.0");
}

/// An action that builds with an older compiler than the program needs fails
/// on every machine but this.
#[test]
fn what_builds_the_program_uses_the_compiler_that_it_needs() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .and_then(|rest| rest.strip_suffix('"'))
        .expect("a rust-version");
    let action = read("action.yml");
    assert!(action.contains(&format!("rustup toolchain install {version} ")));
    assert!(action.contains(&format!("cargo +{version} install --locked")));
    assert!(read("Dockerfile").contains(&format!("FROM rust:{version}-")));
}

/// Every input reaches the script, and the script reads no other.
#[test]
fn inputs_of_the_action_reach_its_script() {
    let action = read("action.yml");
    let script = read("integrations/github/check.sh");
    let names = regex::Regex::new(r"INPUT_[A-Z_]+").unwrap();
    let of = |text: &str| -> std::collections::BTreeSet<String> {
        names
            .find_iter(text)
            .map(|found| found.as_str().trim_end_matches('_').to_owned())
            .filter(|name| name != "INPUT")
            .collect()
    };
    assert_eq!(of(&action), of(&script));
    let page = read("docs/ci-github.md");
    let inputs = action
        .split("\ninputs:\n")
        .nth(1)
        .and_then(|rest| rest.split("\noutputs:\n").next())
        .unwrap();
    for line in inputs.lines() {
        if let Some(name) = line
            .strip_prefix("  ")
            .and_then(|line| line.strip_suffix(':'))
            .filter(|name| !name.starts_with(' '))
            .filter(|name| !matches!(*name, "working-directory" | "github-token"))
        {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }
}

/// The hooks run a command that the program takes.
#[test]
fn the_hooks_run_a_command_that_exists() {
    let hooks = read(".pre-commit-hooks.yaml");
    let entries: Vec<&str> = hooks
        .lines()
        .filter_map(|line| line.trim().strip_prefix("entry: pgadvise "))
        .collect();
    assert_eq!(entries.len(), 2);
    let repository = repository();
    for entry in entries {
        let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
            .args(entry.split(' '))
            .arg("migrations")
            .current_dir(&repository.clone)
            .env_remove("PGADVISE_CONFIG")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}
