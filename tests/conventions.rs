//! What readers and tools rely on: names, headings, messages, sizes.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the files of the project"
)]

use std::fs;
use std::path::{Path, PathBuf};

use pgadvise::rules;

const HEADINGS: [&str; 4] = [
    "## What it does",
    "## Why it matters",
    "## When it is wrong",
    "## References",
];

/// No file written by hand is longer.
const LONGEST: usize = 800;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extensions));
        } else if path
            .extension()
            .and_then(|extension| extension.to_str())
            .is_some_and(|extension| extensions.contains(&extension))
        {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// One name for the rule, its file and its fixture, so that each is found from
/// the others.
#[test]
fn a_rule_is_called_like_its_file() {
    for rule in rules::ALL {
        let meta = rule.meta();
        let stem = Path::new(meta.file).file_stem().unwrap().to_str().unwrap();
        let stem = if stem == "mod" {
            let folder = Path::new(meta.file).parent().unwrap();
            folder.file_name().unwrap().to_str().unwrap()
        } else {
            stem
        };
        assert_eq!(meta.id, stem.replace('_', "-"));
        assert!(
            meta.id
                .chars()
                .all(|character| character.is_ascii_lowercase() || character == '-'),
            "{}",
            meta.id
        );
        assert!(
            meta.since.split('.').count() == 3,
            "{}: since {}",
            meta.id,
            meta.since
        );
    }
}

/// Every page has the same parts, above all when the rule is wrong.
#[test]
fn rules_have_all_headings_in_order() {
    for rule in rules::ALL {
        let meta = rule.meta();
        let found: Vec<&str> = meta
            .docs
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("## "))
            .collect();
        assert_eq!(found, HEADINGS, "{}", meta.id);
        let mut parts = meta.docs.split("## ").skip(1);
        assert!(
            parts.all(|part| part.lines().skip(1).any(|line| !line.trim().is_empty())),
            "{}: a heading without text",
            meta.id
        );
        assert!(
            meta.docs.contains("https://www.postgresql.org/docs/"),
            "{}: no reference to the manual",
            meta.id
        );
    }
}

/// Messages of findings are checked where rules run; the summaries here.
#[test]
fn summaries_are_written_like_messages() {
    for rule in rules::ALL {
        let summary = rule.meta().summary;
        assert!(!summary.ends_with('.'), "{summary}");
        let word = summary.split_whitespace().next().unwrap();
        let first = word.chars().next().unwrap();
        let keyword = word.len() > 1 && word.chars().all(|c| !c.is_lowercase());
        assert!(
            !first.is_uppercase() || keyword || word == "PostgreSQL",
            "no capital at the start: {summary}"
        );
        assert!(summary.len() <= 100, "one line: {summary}");
    }
}

#[test]
fn every_module_says_what_it_is_for() {
    for file in files(&root().join("src"), &["rs"]) {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap_or("");
        assert!(
            first.starts_with("//! ") && first.len() > "//! x.".len(),
            "{}: begins without `//!`",
            shown(&file)
        );
        assert!(
            !first.contains("See the module's name"),
            "{}: says nothing",
            shown(&file)
        );
    }
}

#[test]
fn no_file_is_too_long() {
    let too_long: Vec<String> = ["src", "tests"]
        .iter()
        .flat_map(|folder| files(&root().join(folder), &["rs"]))
        .filter_map(|file| {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            (lines > LONGEST).then(|| format!("{}: {lines} lines", shown(&file)))
        })
        .collect();
    assert!(
        too_long.is_empty(),
        "split by sense:\n{}",
        too_long.join("\n")
    );
}

/// What holds on one machine only has no place in the project.
#[test]
fn no_path_of_a_machine() {
    // Put together here, so that this file does not find itself.
    let forbidden = [
        ["/ro", "ot/"].concat(),
        ["/ho", "me/"].concat(),
        ["/wo", "rk/"].concat(),
        ["/Us", "ers/"].concat(),
    ];
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "docs", "fixtures"] {
        for file in files(&root().join(folder), &["rs", "md", "sql", "toml", "yml"]) {
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            for (number, line) in text.lines().enumerate() {
                // Where Homebrew puts programs on every Linux.
                let line = line.replace(&["/ho", "me/linuxbrew/"].concat(), "");
                if forbidden.iter().any(|path| line.contains(path.as_str())) {
                    wrong.push(format!("{}:{}: {line}", shown(&file), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A link in the documentation leads somewhere.
#[test]
fn links_between_files_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)#\s]+)(#[^)]*)?\)").unwrap();
    let mut pages = files(&root().join("docs"), &["md"]);
    pages.push(root().join("README.md"));
    let mut wrong = Vec::new();
    for page in pages {
        let Ok(text) = fs::read_to_string(&page) else {
            continue;
        };
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !page.parent().unwrap().join(target).exists() {
                wrong.push(format!("{}: {target}", shown(&page)));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
