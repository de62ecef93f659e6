//! Imports point down only, as docs/architecture.md says.
#![expect(clippy::string_slice, reason = "a test may panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the files of the project"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// Layers from the lowest up; modules in one layer do not import each other.
const LAYERS: &[&[&str]] = &[
    &["source", "threads"],
    &["sql", "plan", "catalog", "snapshot"],
    &["subject", "redact", "migration"],
    &["finding"],
    &["rule"],
    &["rules", "rewrite"],
    &["verify"],
    &["advise"],
    &["pg", "input", "report"],
    &["cli"],
];

/// The imports between neighbours, or upwards, that are meant: (who, whom,
/// why).
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "sql",
    "catalog",
    "names in a statement are resolved against the catalogue",
)];

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below a folder.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Top modules that a text names: in `use crate::a`, `use crate::{a, b::c}`
/// and paths within code. Comments may name what they like.
fn imports(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for character in list.chars() {
                match character {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => found.push(std::mem::take(&mut word)),
                    _ if depth == 0 => word.push(character),
                    _ => {}
                }
            }
            found.push(word);
        } else {
            found.push(rest.to_owned());
        }
    }
    found
        .iter()
        .map(|path| {
            path.trim_start()
                .chars()
                .take_while(|character| character.is_alphanumeric() || *character == '_')
                .collect::<String>()
        })
        .filter(|module| layer(module).is_some())
        .collect()
}

/// A module that imports from above could not be read, tested or changed by
/// itself.
#[test]
fn imports_point_down() {
    let src = root().join("src");
    let mut wrong = Vec::new();
    for file in rust_files(&src) {
        let inside = file.strip_prefix(&src).unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        let module = Path::new(first).file_stem().unwrap().to_str().unwrap();
        if matches!(module, "lib" | "main") {
            continue;
        }
        let Some(own) = layer(module) else {
            wrong.push(format!("src/{}: is in no layer", inside.display()));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for imported in imports(&text) {
            let allowed = imported == module
                || layer(&imported).is_some_and(|other| other < own)
                || EXCEPTIONS
                    .iter()
                    .any(|(who, whom, _)| *who == module && *whom == imported);
            if !allowed {
                wrong.push(format!("src/{}: imports {imported}", inside.display()));
            }
        }
    }
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "imports point down only, see docs/architecture.md:\n{}",
        wrong.join("\n")
    );
}

/// Rules share what is in `support`, and know nothing of each other.
#[test]
fn no_rule_imports_a_rule() {
    let folder = root().join("src/rules");
    for file in rust_files(&folder) {
        let inside = file.strip_prefix(&folder).unwrap();
        if inside.ends_with("mod.rs")
            && !inside
                .components()
                .any(|part| part.as_os_str() == "support")
        {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let in_support = inside
            .components()
            .any(|part| part.as_os_str() == "support");
        for line in text.lines().map(str::trim) {
            let Some(path) = line.strip_prefix("use ") else {
                continue;
            };
            let other_rule = path.starts_with("crate::rules::")
                && !path.starts_with("crate::rules::support")
                && !path.starts_with("crate::rules::migration::support")
                || !in_support
                    && path.starts_with("super::")
                    && !path.starts_with("super::support")
                    && !path.starts_with("super::*");
            assert!(!other_rule, "src/rules/{}: {line}", inside.display());
        }
    }
}

/// The table that people read is the one that is tested.
#[test]
fn the_architecture_shows_the_layers() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let table: Vec<String> = text
        .lines()
        .skip_while(|line| !line.starts_with("| layer |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').nth(2).unwrap().trim().to_owned())
        .collect();
    let expected: Vec<String> = LAYERS
        .iter()
        .map(|layer| {
            let names: Vec<String> = layer.iter().map(|name| format!("`{name}`")).collect();
            names.join(", ")
        })
        .collect();
    assert_eq!(table, expected);
    for (who, whom, why) in EXCEPTIONS {
        let sentence = format!("`{who}` imports `{whom}`: {why}");
        assert!(
            text.contains(&sentence),
            "docs/architecture.md lacks: {sentence}"
        );
    }
}

#[test]
fn grouped_and_inline_paths_are_seen() {
    let text = "use crate::{plan::{NodeId, PlanGraph}, sql};\nfn f() { crate::pg::connect() }\n// crate::cli";
    assert_eq!(imports(text), ["plan", "sql", "pg"]);
}
