//! Files that are written from other files: the list of rules and their pages.
//!
//! Each test compares what is checked in with what it should be. Outside CI it
//! also writes it, so that running the tests a second time passes; in CI (when
//! `CI` is set) it only fails.
#![expect(
    clippy::format_push_string,
    reason = "these pages are short, and read better so"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read and write the files of the project"
)]

use std::fs;
use std::path::{Path, PathBuf};

use pgadvise::rule::migration::MigrationMeta;
use pgadvise::rule::{Meta, Need};
use pgadvise::rules;

/// The top folder of the project.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Writes a file that is not as it should be, unless in CI, and says so.
fn ensure(path: &str, expected: &str, stale: &mut Vec<String>) {
    let file = root().join(path);
    let found = fs::read_to_string(&file).unwrap_or_default();
    if found.replace("\r\n", "\n") == expected {
        return;
    }
    stale.push(path.to_owned());
    if std::env::var_os("CI").is_none() {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).unwrap();
        }
        fs::write(&file, expected).unwrap();
    }
}

fn assert_fresh(stale: &[String]) {
    assert!(
        stale.is_empty(),
        "not up to date: {}. Outside CI they have just been written: run the tests again and \
         commit them",
        stale.join(", ")
    );
}

/// What `rules/mod.rs` needs to know of a file.
struct RuleFile {
    stem: String,
    /// Struct and id; absent for a file that only helps rules.
    rule: Option<(String, String)>,
}

fn rule_files(folder: &str) -> Vec<RuleFile> {
    let declaration = regex::Regex::new(
        r#"(?s)declare_(?:migration_)?rule! \{.*?pub struct (\w+) = \{\s*id: "([^"]+)""#,
    )
    .unwrap();
    let mut files: Vec<RuleFile> = fs::read_dir(root().join(folder))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let stem = path.file_stem()?.to_str()?.to_owned();
            if stem == "mod" {
                return None;
            }
            let source = if path.is_dir() {
                path.join("mod.rs")
            } else {
                path
            };
            let text = fs::read_to_string(source).ok()?;
            let rule = declaration
                .captures(&text)
                .map(|found| (found[1].to_owned(), found[2].to_owned()));
            Some(RuleFile { stem, rule })
        })
        .collect();
    files.sort_by(|a, b| a.stem.cmp(&b.stem));
    files
}

/// The module of a folder of rules, with its list.
fn list(folder: &str, head: &str, what: &str, rule: &str) -> String {
    let files = rule_files(folder);
    let mut text = String::from(head);
    for file in &files {
        let visible = if file.rule.is_some() || file.stem == "migration" {
            "pub "
        } else {
            "pub(crate) "
        };
        text.push_str(&format!("{visible}mod {};\n", file.stem));
    }
    let name = rule.rsplit("::").next().unwrap();
    text.push_str(&format!(
        "\nuse crate::{rule};\n\n/// Every {what}, sorted by name.\n#[rustfmt::skip]\n\
         pub static ALL: &[&dyn {name}] = &[\n",
    ));
    let mut rules: Vec<(&str, &str, &str)> = files
        .iter()
        .filter_map(|file| {
            let (name, id) = file.rule.as_ref()?;
            Some((id.as_str(), file.stem.as_str(), name.as_str()))
        })
        .collect();
    rules.sort_unstable();
    for (_, stem, name) in rules {
        text.push_str(&format!("    &{stem}::{name},\n"));
    }
    text.push_str(&format!(
        "];\n\n/// The rule of that name.\npub fn find(id: &str) -> Option<&'static dyn {name}> {{\n    \
         ALL.iter().copied().find(|rule| rule.meta().id == id)\n}}\n",
    ));
    text
}

/// A new rule file is in the list without anybody having to remember it.
#[test]
fn the_lists_of_rules_are_complete() {
    let mut stale = Vec::new();
    ensure(
        "src/rules/mod.rs",
        &list(
            "src/rules",
            "//! One file a rule, and nothing else: what rules share is in `support`.\n//!\n\
             //! `tests/generated.rs` writes this file from the folder; do not edit it.\n\n",
            "rule",
            "rule::Rule",
        ),
        &mut stale,
    );
    ensure(
        "src/rules/migration/mod.rs",
        &list(
            "src/rules/migration",
            "//! One file a rule about migrations, and nothing else: what they share is in\n\
             //! `support`.\n//!\n\
             //! `tests/generated.rs` writes this file from the folder; do not edit it.\n\n",
            "rule about migrations",
            "rule::migration::MigrationRule",
        ),
        &mut stale,
    );
    assert_fresh(&stale);
}

/// Every rule has a page, made of its doc comment and its fixture.
#[test]
fn the_pages_of_rules_are_up_to_date() {
    let mut stale = Vec::new();
    let mut index = String::from(
        "# Rules\n\nWhat pgadvise looks for. `pgadvise rules NAME` prints the same pages.\n\n\
         | rule | level | needs | what it finds |\n|---|---|---|---|\n",
    );
    for rule in rules::ALL {
        let meta = rule.meta();
        index.push_str(&format!(
            "| [{id}]({id}.md) | {level} | {needs} | {summary} |\n",
            id = meta.id,
            level = meta.level.name(),
            needs = needs(meta.needs),
            summary = meta.summary,
        ));
        ensure(
            &format!("docs/rules/{}.md", meta.id),
            &page(meta),
            &mut stale,
        );
    }
    index.push_str(
        "\n## Rules about migrations\n\nWhat `pgadvise check` looks for.\n\n\
         | rule | level | about | on | what it finds |\n|---|---|---|---|---|\n",
    );
    for rule in rules::migration::ALL {
        let meta = rule.meta();
        index.push_str(&format!(
            "| [{id}]({id}.md) | {level} | {about} | {on} | {summary} |\n",
            id = meta.id,
            level = meta.level.name(),
            about = meta.category.name(),
            on = if meta.on { "yes" } else { "no" },
            summary = meta.summary,
        ));
        ensure(
            &format!("docs/rules/{}.md", meta.id),
            &migration_page(meta),
            &mut stale,
        );
    }
    ensure("docs/rules/README.md", &index, &mut stale);
    let pages = root().join("docs/rules");
    for entry in fs::read_dir(pages).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(
            stem == "README"
                || rules::find(&stem).is_some()
                || rules::migration::find(&stem).is_some(),
            "docs/rules/{stem}.md is the page of no rule: remove it"
        );
    }
    assert_fresh(&stale);
}

fn needs(needs: &[Need]) -> String {
    let names: Vec<&str> = needs.iter().map(|need| need.name()).collect();
    names.join(", ")
}

fn page(meta: &Meta) -> String {
    let mut text = format!(
        "{}| level | needs | since | source |\n|---|---|---|---|\n| {} | {} | {} | [{}](../../{}) |\n\n",
        head(meta.id, meta.summary),
        meta.level.name(),
        needs(meta.needs),
        meta.since,
        meta.file,
        meta.file,
    );
    text.push_str(&body(meta.docs));
    let fixture = root().join(format!("fixtures/rules/{}.md", meta.id));
    text.push_str(&examples(&fixture));
    text
}

fn migration_page(meta: &MigrationMeta) -> String {
    let needs: Vec<&str> = meta.needs.iter().map(|need| need.remedy()).collect();
    let needs = if needs.is_empty() {
        "nothing else".to_owned()
    } else {
        needs.join(", ")
    };
    let mut text = format!(
        "{}| level | about | on by default | needs | since | source |\n|---|---|---|---|---|---|\n| {} | {} | {} | {} | {} | [{}](../../{}) |\n\n",
        head(meta.id, meta.summary),
        meta.level.name(),
        meta.category.name(),
        if meta.on { "yes" } else { "no" },
        needs,
        meta.since,
        meta.file,
        meta.file,
    );
    text.push_str(&body(meta.docs));
    let fixture = root().join(format!("fixtures/migrations/rules/{}.md", meta.id));
    text.push_str(&examples(&fixture));
    text
}

/// The heading, and the summary as a sentence.
fn head(id: &str, summary: &str) -> String {
    let mut letters = summary.chars();
    let summary: String = letters
        .next()
        .into_iter()
        .flat_map(char::to_uppercase)
        .chain(letters)
        .collect();
    format!("# {id}\n\n{summary}.\n\n")
}

/// A doc comment without the blank that begins each line.
fn body(docs: &str) -> String {
    let lines: Vec<&str> = docs
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    format!("{}\n", lines.join("\n").trim())
}

/// The titles and queries of a fixture's sections.
fn examples(fixture: &Path) -> String {
    let text = fs::read_to_string(fixture).unwrap_or_default();
    let mut out = String::new();
    let mut in_sql = false;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            if out.is_empty() {
                out.push_str("\n## Examples\n");
            }
            out.push_str(&format!("\n### {title}\n"));
        } else if line == "```sql" {
            in_sql = true;
            out.push_str("\n```sql\n");
        } else if in_sql {
            out.push_str(line);
            out.push('\n');
            in_sql = line != "```";
        }
    }
    out
}

/// Every claim about locks is in the documentation.
#[test]
fn the_page_of_locks_is_up_to_date() {
    use pgadvise::migration::locks::{CASES, Case, NEWEST, OLDEST, Work};

    let versions = |case: &Case| match case.versions {
        (OLDEST, NEWEST) => "all".to_owned(),
        (first, NEWEST) => format!("from {first}"),
        (OLDEST, last) => format!("up to {last}"),
        (first, last) => format!("{first} to {last}"),
    };
    let mut text = String::from(
        "# What statements lock, and what they do meanwhile\n\nWritten by `tests/generated.rs` from the \
         table in `src/migration/locks/cases`, which `tests/migration_locks.rs` tries on servers of \
         PostgreSQL 13 to 18, claim by claim. `pgadvise check` judges migrations by the same \
         table; `pgadvise check --trace` asks a server instead.\n\n\
         *Lock* is the strongest lock on each relation that was there before: ACCESS SHARE on what is \
         only read is left out, and so are indexes and owned sequences that are locked no more than their \
         table. ACCESS EXCLUSIVE keeps everybody from reading; SHARE and what is stronger keeps everybody from \
         writing; SHARE UPDATE EXCLUSIVE keeps off only other changes of the schema. *Work* takes the longer \
         the larger the relation is, and the lock is held all the time: a *scan* reads it, an *index build* \
         and an *index rebuild* read it and write indexes, a *rewrite* writes it anew with all its \
         indexes. What is marked ¹ refuses to run in a transaction.\n",
    );
    for family in CASES {
        text.push_str(&format!(
            "\n## {}\n\n| statement | lock | work | versions |\n|---|---|---|---|\n",
            family.title
        ));
        for case in family.cases {
            let locks: Vec<String> = case
                .locks
                .iter()
                .map(|(name, mode)| format!("{} on `{name}`", mode.name()))
                .collect();
            let work: Vec<String> = case
                .work
                .iter()
                .map(|(name, work)| {
                    let word = match work {
                        Work::None => "none",
                        Work::Scan => "scan",
                        Work::IndexBuild => "index build",
                        Work::IndexRebuild => "index rebuild",
                        Work::Rows => "its rows",
                        Work::Rewrite => "rewrite",
                    };
                    format!("{word} of `{name}`")
                })
                .collect();
            let or_none = |list: Vec<String>| {
                if list.is_empty() {
                    "none".to_owned()
                } else {
                    list.join("<br>")
                }
            };
            text.push_str(&format!(
                "| {}{}<br>`{}` | {} | {} | {} |\n",
                case.title,
                if case.no_transaction { " ¹" } else { "" },
                case.statement
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .replace('|', "\\|"),
                or_none(locks),
                or_none(work),
                versions(case),
            ));
        }
    }
    let mut stale = Vec::new();
    ensure("docs/locks.md", &text, &mut stale);
    assert_fresh(&stale);
}
