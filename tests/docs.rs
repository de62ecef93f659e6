//! What README and docs show is what the program does.

use std::path::Path;
use std::process::Command;

#[expect(
    clippy::disallowed_methods,
    reason = "the test reads the project's own files"
)]
fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The fenced blocks of that language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        match &mut current {
            Some(block) if line == "```" => {
                found.push(std::mem::take(block));
                current = None;
            }
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None if line == format!("```{language}") => current = Some(String::new()),
            None => {}
        }
    }
    found
}

#[cfg(feature = "embedded")]
/// Without digits, which depend on a sample, and without layout.
fn words(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Runs the program in the project's folder, as the docs do.
fn run<'a>(arguments: impl IntoIterator<Item = &'a str>) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("COLUMNS", "100")
        .env_remove("PGADVISE_CONFIG")
        .output()
        .expect("the program runs")
}

/// README's first command, run as it stands there (with the program that the
/// tests were built with), says what README shows.
#[cfg(feature = "embedded")]
#[test]
fn readme_shows_what_its_first_command_says() {
    let readme = read("README.md");
    let first = blocks(&readme, "sh")
        .into_iter()
        .next()
        .expect("a first command");
    let arguments = first
        .trim()
        .strip_prefix("cargo run --release --locked -- ")
        .expect("cargo runs the program");
    let output = run(arguments.split_whitespace());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = words(&String::from_utf8_lossy(&output.stdout));
    let shown = blocks(&readme, "text");
    assert_eq!(shown.len(), 1);
    for part in shown[0].split("\n\n") {
        assert!(
            said.contains(&words(part)),
            "README shows\n{part}\nbut the program says\n{said}"
        );
    }
}

/// The first command of a page, run as it stands there, says what the page
/// shows.
#[cfg(feature = "embedded")]
#[test]
fn the_page_on_what_if_shows_what_its_command_says() {
    let page = read("docs/what-if.md");
    let commands = blocks(&page, "sh");
    let (command, change) = commands[0]
        .trim()
        .strip_suffix('\'')
        .and_then(|command| command.rsplit_once('\''))
        .expect("a change in quotes");
    let output = run(command.split_whitespace().skip(1).chain([change]));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let said = words(&String::from_utf8_lossy(&output.stdout));
    let shown = blocks(&page, "text");
    assert_eq!(shown.len(), 3);
    for part in shown {
        assert!(
            said.contains(&words(&part)),
            "the page shows\n{part}\nbut the program says\n{said}"
        );
    }
}

/// README and the pages of docs that are not made by a test.
fn pages() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let mut pages: Vec<String> = std::fs::read_dir(folder)
        .expect("docs")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|kind| kind == "md"))
        .filter(|name| name != "cli.md" && name != "changelog.md")
        .map(|name| format!("docs/{name}"))
        .collect();
    pages.push("README.md".to_owned());
    pages.sort();
    pages
}

/// Every command that README or docs show is one that the program takes:
/// options are known, and so are the rules named.
#[test]
fn commands_in_the_docs_are_understood() {
    let mut seen = 0;
    for path in pages() {
        let text = read(&path);
        for block in blocks(&text, "sh") {
            for line in block.lines() {
                let line = line.split(" | ").last().unwrap_or(line).trim();
                // Git is told a command in quotes.
                let Some(rest) = line
                    .split_once("pgadvise ")
                    .filter(|(before, _)| before.is_empty() || before.ends_with('"'))
                    .map(|(_, rest)| rest.trim_end_matches('"'))
                else {
                    continue;
                };
                seen += 1;
                let mut command = rest.split_whitespace().next().unwrap_or("").to_owned();
                if command.starts_with('-') {
                    command = String::new();
                }
                let help = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
                    .args(command.split_whitespace())
                    .arg("--help")
                    .output()
                    .expect("the program runs");
                assert!(help.status.success(), "{path}: {line}");
                let help = String::from_utf8_lossy(&help.stdout).into_owned();
                for option in rest
                    .split_whitespace()
                    .filter(|word| word.starts_with("--"))
                {
                    let name = option.split('=').next().unwrap_or(option);
                    assert!(help.contains(name), "{path}: {line}: no option {name}");
                }
                if command == "rules"
                    && let Some(rule) = rest.split_whitespace().nth(1)
                    && !rule.starts_with('-')
                {
                    assert!(
                        pgadvise::rules::find(rule).is_some()
                            || pgadvise::rules::migration::find(rule).is_some(),
                        "{path}: no rule {rule}"
                    );
                }
            }
        }
    }
    assert!(seen >= 16, "the docs show commands: {seen}");
}

/// The configuration that the docs show is one that the program takes, and
/// names every key.
#[test]
fn the_configuration_in_the_docs_is_understood() {
    let page = read("docs/configuration.md");
    let shown = blocks(&page, "toml").remove(0);
    let rules: Vec<&str> = pgadvise::rules::ALL
        .iter()
        .map(|rule| rule.meta().id)
        .collect();
    let parse = |text: &str| {
        pgadvise::input::config::parse(Path::new("pgadvise.toml"), text, &rules)
            .unwrap_or_else(|error| panic!("{error}\n{text}"))
    };
    parse(&shown);
    // What stands in a comment, as it cannot stand beside another key.
    let other = shown
        .replace("schema   =", "# schema   =")
        .replace("# snapshot =", "snapshot =");
    assert!(parse(&other).snapshot.is_some());
}

/// Runs the program in a folder with these files.
#[cfg(feature = "embedded")]
fn said(files: &[(&str, &str)], arguments: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        #[expect(clippy::disallowed_methods, reason = "the program reads it")]
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(arguments.split_whitespace())
        .current_dir(folder.path())
        .env("COLUMNS", "100")
        .output()
        .expect("the program runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Words in which every number, whatever its length, is 0.
#[cfg(feature = "embedded")]
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let text = words(text);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let in_number = out.ends_with('0');
        let goes_on = c == '0' || (matches!(c, '.' | ',') && rest.peek() == Some(&'0'));
        if !(in_number && goes_on) {
            out.push(c);
        }
    }
    out
}

/// Each part of what a page shows, between blank lines, is said.
#[cfg(feature = "embedded")]
fn assert_said(shown: &str, said: &str) {
    let said = without_numbers(said);
    for part in shown.split("\n\n") {
        assert!(
            said.contains(&without_numbers(part)),
            "the page shows\n{part}\nbut the program says\n{said}"
        );
    }
}

#[cfg(feature = "embedded")]
#[test]
fn the_page_on_why_not_shows_what_is_said() {
    let page = read("docs/why-not.md");
    let said = said(
        &[
            ("query.sql", &blocks(&page, "sql").remove(0)),
            ("schema.sql", &read("fixtures/shop/schema.sql")),
        ],
        "why-not orders_created_at_idx query.sql --schema schema.sql",
    );
    assert_said(&blocks(&page, "text").remove(0), &said);
}

/// The page's table has 300,000 orders: nearly all are done, some new, few
/// failed.
#[cfg(feature = "embedded")]
#[test]
fn the_page_on_parameters_shows_what_is_said() {
    let page = read("docs/parameters.md");
    let schema = "
        CREATE TABLE orders (id bigint PRIMARY KEY, status text NOT NULL, note text NOT NULL);
        INSERT INTO orders
            SELECT i, CASE WHEN i % 2500 = 0 THEN 'failed' WHEN i % 48 = 0 THEN 'new' ELSE 'done' END,
                   repeat('x', 120)
            FROM generate_series(1, 300000) i;
        CREATE INDEX orders_status_idx ON orders (status);
        ANALYZE;";
    let said = said(
        &[
            ("query.sql", "SELECT * FROM orders WHERE status = $1;"),
            ("schema.sql", schema),
        ],
        "explain query.sql --schema schema.sql",
    );
    assert_said(&blocks(&page, "text").remove(0), &said);
}

/// The first command of the page on comparisons, run as it stands there.
#[test]
fn the_page_on_diff_shows_what_its_command_says() {
    let page = read("docs/diff.md");
    let commands = blocks(&page, "sh").remove(0);
    let command = commands.lines().next().expect("a command");
    let output = run(command.split_whitespace().skip(1));
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        blocks(&page, "text").remove(0),
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Links to files of the repository lead somewhere.
#[test]
fn links_in_readme_lead_to_files() {
    let readme = read("README.md");
    let mut seen = 0;
    for (at, _) in readme.match_indices("](") {
        let target = readme
            .get(at + 2..)
            .and_then(|rest| rest.split(')').next())
            .unwrap_or("");
        if target.starts_with("http") {
            continue;
        }
        seen += 1;
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(),
            "README links to {target}"
        );
    }
    assert!(seen >= 6);
}

/// From the page on checks everything about checks is one step away, and every
/// link of the pages about it leads to a file.
#[test]
fn pages_about_checks_are_linked() {
    let page = read("docs/check.md");
    for name in [
        "locks.md",
        "trace.md",
        "workload.md",
        "ci-github.md",
        "ci-gitlab.md",
        "ci-pre-commit.md",
        "ci-docker.md",
        "configuration.md",
        "rules/README.md",
        "check.schema.json",
    ] {
        assert!(page.contains(&format!("]({name})")), "no link to {name}");
    }
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    for name in [
        "check.md",
        "locks.md",
        "trace.md",
        "workload.md",
        "ci-github.md",
        "ci-gitlab.md",
        "ci-pre-commit.md",
        "ci-docker.md",
    ] {
        let text = read(&format!("docs/{name}"));
        for (at, _) in text.match_indices("](") {
            let target = text
                .get(at + 2..)
                .and_then(|rest| rest.split([')', '#']).next())
                .unwrap_or("");
            if target.is_empty() || target.starts_with("http") {
                continue;
            }
            assert!(docs.join(target).exists(), "docs/{name} links to {target}");
        }
    }
}

/// The configuration that the page on checks shows is one that the program
/// takes.
#[test]
fn the_configuration_of_the_page_on_checks_is_understood() {
    let page = read("docs/check.md");
    let rules: Vec<&str> = pgadvise::rules::migration::ALL
        .iter()
        .map(|rule| rule.meta().id)
        .collect();
    let shown = blocks(&page, "toml");
    assert_eq!(shown.len(), 2);
    for text in shown {
        pgadvise::input::config::parse(Path::new("pgadvise.toml"), &text, &rules)
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

/// What the page says is assumed is what durations are reckoned with.
#[test]
fn the_page_on_checks_names_the_rates() {
    let page = read("docs/check.md");
    let rates = pgadvise::advise::check::duration::Rates::default();
    for (row, value) in [
        ("| a scan:", format!("{:.0} MB/s", rates.read / 1e6)),
        (
            "| an index build |",
            format!("{:.0},000 rows/s", rates.index_rows / 1e3),
        ),
        ("| a rewrite |", format!("{:.0} MB/s", rates.write / 1e6)),
        (
            "| a rewrite that computes",
            format!("{:.0} MB/s", rates.write / 2e6),
        ),
        (
            "| UPDATE, DELETE",
            format!("{:.0},000 rows/s", rates.change_rows / 1e3),
        ),
    ] {
        let line = page
            .lines()
            .find(|line| line.starts_with(row))
            .unwrap_or_else(|| panic!("no row {row}"));
        assert!(
            line.contains(&value),
            "{line} says something else than {value}"
        );
    }
}

/// Workflows, pipelines and hooks that the pages show are YAML, and name
/// inputs and hooks that there are.
#[test]
fn what_the_pages_on_ci_show_exists() {
    let action = read("action.yml");
    for block in blocks(&read("docs/ci-github.md"), "yaml") {
        let mut inside = false;
        for line in block.lines() {
            if let Some(step) = line.trim_start().strip_prefix("- uses: ") {
                inside = step.starts_with("OWNER/pgadvise@");
            }
            let input = line
                .strip_prefix("          ")
                .filter(|input| inside && !input.starts_with(' '))
                .and_then(|input| input.split(':').next());
            if let Some(input) = input {
                assert!(action.contains(&format!("\n  {input}:\n")), "{input}");
            }
        }
    }
    let hooks = read(".pre-commit-hooks.yaml");
    let page = read("docs/ci-pre-commit.md");
    for block in blocks(&page, "yaml") {
        for line in block.lines() {
            if let Some(id) = line.trim_start().strip_prefix("- id: ") {
                assert!(hooks.contains(&format!("- id: {id}\n")), "{id}");
            }
        }
    }
    let template = read("integrations/gitlab/pgadvise.yml");
    let variables = regex::Regex::new("PGADVISE_[A-Z_]+").expect("a pattern");
    for name in variables.find_iter(&read("docs/ci-gitlab.md")) {
        assert!(template.contains(name.as_str()), "{}", name.as_str());
    }
}

/// The first command of these pages, run as it stands there, says what they
/// show. They need no planner.
#[test]
fn pages_on_given_plans_show_what_their_commands_say() {
    for path in ["docs/report.md"] {
        let page = read(path);
        let commands = blocks(&page, "sh");
        let first = commands[0].trim();
        let output = run(first.split_whitespace().skip(1));
        let said = String::from_utf8_lossy(&output.stdout);
        let shown = blocks(&page, "text");
        assert!(!shown.is_empty(), "{path}");
        for part in shown {
            assert!(
                said.contains(&part),
                "{path} shows\n{part}\nbut the program says\n{said}"
            );
        }
    }
}

/// The page on checks shows what its commands say, run in their order from the
/// project's folder.
#[test]
fn the_page_on_checks_shows_what_its_commands_say() {
    let page = read("docs/check.md");
    let commands: Vec<String> = blocks(&page, "sh")
        .iter()
        .flat_map(|block| block.lines())
        .filter(|line| line.contains("fixtures/migrations/shop"))
        .map(str::to_owned)
        .collect();
    let shown = blocks(&page, "text");
    assert_eq!(commands.len(), shown.len());
    for (command, shown) in commands.iter().zip(shown) {
        let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
            .args(command.split_whitespace().skip(1))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("COLUMNS", "100")
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY")
            .output()
            .expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert_eq!(shown, String::from_utf8_lossy(&output.stdout), "{command}");
    }
}

/// Every tool that runs migrations and is recognised has its line.
#[test]
fn the_page_on_checks_names_every_framework() {
    let page = read("docs/check.md");
    for framework in pgadvise::migration::Framework::ALL {
        let name = framework.name();
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
}
