//! `pgadvise rules`: what each rule does, needs, and when it is wrong.

use super::args::{RulesAbout, RulesArgs, RulesFormat};
use super::failure::{Failure, Kind};
use super::ui::Ui;
use super::{Exit, written};
use crate::advise::suppress::nearest;
use crate::finding::Level;
use crate::report::model::{self, Missing, RuleAbout, RuleList, RulePage};
use crate::report::prose::{self, Palette, paint};
use crate::report::{Options, table};
use crate::rule::migration::MigrationNeed;
use crate::rules::{ALL, migration};

/// Columns that a page fills at most.
const PAGE_WIDTH: usize = 88;

/// The names of all rules, those about migrations among them.
pub(super) fn names() -> Vec<&'static str> {
    ALL.iter()
        .map(|rule| rule.meta().id)
        .chain(migration::ALL.iter().map(|rule| rule.meta().id))
        .collect()
}

/// What is said of a rule, of either kind.
struct Entry {
    about: RuleAbout,
    id: &'static str,
    summary: &'static str,
    level: Level,
    category: Option<&'static str>,
    on: bool,
    /// Name, and what the user can give.
    needs: Vec<(&'static str, &'static str)>,
    since: &'static str,
    docs: &'static str,
}

/// The rules, those about queries first.
fn entries() -> Vec<Entry> {
    let queries = ALL.iter().map(|rule| {
        let meta = rule.meta();
        Entry {
            about: RuleAbout::Queries,
            id: meta.id,
            summary: meta.summary,
            level: meta.level,
            category: None,
            on: true,
            needs: meta
                .needs
                .iter()
                .map(|need| (need.name(), need.remedy()))
                .collect(),
            since: meta.since,
            docs: meta.docs,
        }
    });
    let migrations = migration::ALL.iter().map(|rule| {
        let meta = rule.meta();
        Entry {
            about: RuleAbout::Migrations,
            id: meta.id,
            summary: meta.summary,
            level: meta.level,
            category: Some(meta.category.name()),
            on: meta.on,
            needs: meta
                .needs
                .iter()
                .map(|need| match need {
                    MigrationNeed::Sizes => ("sizes", need.remedy()),
                    MigrationNeed::Workload => ("workload", need.remedy()),
                })
                .collect(),
            since: meta.since,
            docs: meta.docs,
        }
    });
    queries.chain(migrations).collect()
}

/// Runs the command.
pub(super) fn run(args: &RulesArgs, ui: &Ui) -> Result<Exit, Failure> {
    let mut chosen = entries();
    if let Some(name) = &args.name {
        chosen.retain(|entry| entry.id == name);
        if chosen.is_empty() {
            return Err(unknown(name));
        }
    }
    if let Some(about) = args.about {
        let about = match about {
            RulesAbout::Queries => RuleAbout::Queries,
            RulesAbout::Migrations => RuleAbout::Migrations,
        };
        chosen.retain(|entry| entry.about == about);
    }
    let text = match (args.format, chosen.as_slice()) {
        (RulesFormat::Json, entries) => json(entries)?,
        (RulesFormat::Text, [entry]) if args.name.is_some() => page(entry, &ui.options()),
        (RulesFormat::Text, entries) => list(entries, &ui.options()),
    };
    Ui::write(text.as_bytes()).map(written)
}

fn unknown(name: &str) -> Failure {
    let failure = Failure::new(Kind::Usage, format!("there is no rule {name}"));
    match nearest(name, &names()) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("pgadvise rules lists them"),
    }
}

/// A table for each kind.
fn list(entries: &[Entry], options: &Options) -> String {
    let palette = Palette::new(options.color);
    let mut text = String::new();
    for (about, title) in [
        (
            RuleAbout::Queries,
            "About queries and plans (pgadvise explain)",
        ),
        (RuleAbout::Migrations, "About migrations (pgadvise check)"),
    ] {
        let rows: Vec<Vec<String>> = entries
            .iter()
            .filter(|entry| entry.about == about)
            .map(|entry| {
                let level = if entry.on {
                    entry.level.name().to_owned()
                } else {
                    format!("{}, off", entry.level.name())
                };
                vec![entry.id.to_owned(), level, entry.summary.to_owned()]
            })
            .collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!("{}\n", paint(palette.heading, title)));
        let lines = table::plain(
            &["rule", "level", "what it finds"],
            &rows,
            &[],
            options.width,
        );
        for (at, line) in lines.iter().enumerate() {
            let style = if at == 0 {
                palette.dim
            } else {
                anstyle::Style::new()
            };
            text.push_str(&paint(style, line));
            text.push('\n');
        }
        text.push('\n');
    }
    text.push_str("pgadvise rules NAME says more of one: what it needs, and when it is wrong\n");
    if entries.iter().any(|entry| !entry.on) {
        text.push_str("off: runs when --enable NAME or [rules] of pgadvise.toml asks for it\n");
    }
    text
}

fn page(meta: &Entry, options: &Options) -> String {
    let palette = Palette::new(options.color);
    let width = options.width.min(PAGE_WIDTH);
    let mut text = format!("{}\n", paint(palette.heading, meta.id));
    for line in prose::wrap(meta.summary, width) {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    let about = match (meta.about, meta.category) {
        (RuleAbout::Migrations, Some(category)) => format!("migrations: {category}"),
        (RuleAbout::Migrations, None) => "migrations".to_owned(),
        (RuleAbout::Queries, _) => "queries".to_owned(),
    };
    let facts = [
        ("about", about),
        ("level", meta.level.name().to_owned()),
        (
            "runs",
            if meta.on {
                String::new()
            } else {
                format!(
                    "only with --enable {}, or in [rules] of pgadvise.toml",
                    meta.id
                )
            },
        ),
        (
            "needs",
            meta.needs
                .iter()
                .map(|(_, remedy)| *remedy)
                .collect::<Vec<_>>()
                .join("; "),
        ),
        ("since", meta.since.to_owned()),
    ];
    for (label, fact) in facts.into_iter().filter(|(_, fact)| !fact.is_empty()) {
        for (at, line) in prose::wrap(&fact, width.saturating_sub(8))
            .iter()
            .enumerate()
        {
            let label = if at == 0 { label } else { "" };
            let label = paint(palette.dim, &prose::left(label, 8));
            text.push_str(&format!("{label}{line}\n"));
        }
    }
    text.push('\n');
    text.push_str(&markdown(&docs(meta), width, palette));
    text.push('\n');
    text.push_str(&format!(
        "To silence it before a statement:\n  -- pgadvise: ignore {} (reason)\n",
        meta.id
    ));
    text
}

/// A rule's page, without the blank that begins each line of a doc comment.
fn docs(meta: &Entry) -> String {
    meta.docs
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Markdown as the pages use it, for a terminal: headings, paragraphs, lists
/// and blocks of code.
fn markdown(source: &str, width: usize, palette: Palette) -> String {
    let mut text = String::new();
    let mut paragraph = String::new();
    let mut code = false;
    let flush = |paragraph: &mut String, text: &mut String| {
        if paragraph.is_empty() {
            return;
        }
        let item = paragraph.starts_with("- ") || paragraph.starts_with("* ");
        let indent = if item { "  " } else { "" };
        let lines = prose::wrap(paragraph, width.saturating_sub(indent.len()));
        for (at, line) in lines.iter().enumerate() {
            let indent = if at == 0 { "" } else { indent };
            text.push_str(&format!("{indent}{line}\n"));
        }
        paragraph.clear();
    };
    for line in source.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("```") {
            flush(&mut paragraph, &mut text);
            code = !code;
        } else if code {
            text.push_str(&format!("    {}\n", paint(palette.code, line)));
        } else if let Some(heading) = trimmed.strip_prefix('#') {
            flush(&mut paragraph, &mut text);
            let heading = heading.trim_start_matches('#').trim();
            text.push_str(&format!("{}\n", paint(palette.heading, heading)));
        } else if trimmed.is_empty() {
            flush(&mut paragraph, &mut text);
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push('\n');
            }
        } else {
            if trimmed.starts_with("- ") || trimmed.starts_with("* ") {
                flush(&mut paragraph, &mut text);
            }
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(trimmed);
        }
    }
    flush(&mut paragraph, &mut text);
    text
}

fn json(metas: &[Entry]) -> Result<String, Failure> {
    let list = RuleList {
        schema_version: model::SCHEMA_VERSION,
        rules: metas
            .iter()
            .map(|meta| RulePage {
                name: meta.id.to_owned(),
                summary: meta.summary.to_owned(),
                about: meta.about,
                category: meta.category.map(str::to_owned),
                on: meta.on,
                level: meta.level.into(),
                needs: meta
                    .needs
                    .iter()
                    .map(|(need, remedy)| Missing {
                        need: (*need).to_owned(),
                        remedy: (*remedy).to_owned(),
                    })
                    .collect(),
                since: meta.since.to_owned(),
                page: docs(meta),
            })
            .collect(),
    };
    serde_json::to_string_pretty(&list)
        .map(|text| text + "\n")
        .map_err(|error| Failure::new(Kind::Internal, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_wrapped_and_code_is_not() {
        let source = "## What it does\nOne two three four five\nsix.\n\n- a list with words enough to wrap\n- b\n\n```sql\nselect 1 as a_long_line_that_stays\n```\n";
        let text = markdown(source, 20, Palette::default());
        assert_eq!(
            text,
            "What it does\nOne two three four\nfive six.\n\n- a list with\n  words enough to\n  wrap\n- b\n\n    select 1 as a_long_line_that_stays\n"
        );
    }

    #[test]
    fn a_misspelt_rule_is_answered_with_the_nearest() {
        let Some(first) = names().first().copied() else {
            return;
        };
        assert_eq!(
            unknown(&format!("{first}x")).hints,
            [format!("did you mean {first}?")]
        );
        assert_eq!(
            unknown("table-droped").hints,
            ["did you mean table-dropped?"]
        );
    }
}
