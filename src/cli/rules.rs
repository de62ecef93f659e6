//! `pgadvise rules`: what each rule does, needs, and when it is wrong.

use super::args::{RulesArgs, RulesFormat};
use super::failure::{Failure, Kind};
use super::ui::Ui;
use super::{Exit, written};
use crate::advise::suppress::nearest;
use crate::report::model::{self, Missing, RuleList, RulePage};
use crate::report::prose::{self, Palette, paint};
use crate::report::{Options, table};
use crate::rule::Meta;
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

/// Runs the command.
pub(super) fn run(args: &RulesArgs, ui: &Ui) -> Result<Exit, Failure> {
    let chosen: Vec<&'static Meta> = match &args.name {
        None => ALL.iter().map(|rule| rule.meta()).collect(),
        Some(name) => vec![find(name)?],
    };
    let text = match (args.format, chosen.as_slice()) {
        (RulesFormat::Json, metas) => json(metas)?,
        (RulesFormat::Text, [meta]) if args.name.is_some() => page(meta, &ui.options()),
        (RulesFormat::Text, metas) => list(metas, &ui.options()),
    };
    Ui::write(text.as_bytes()).map(written)
}

fn find(name: &str) -> Result<&'static Meta, Failure> {
    ALL.iter()
        .map(|rule| rule.meta())
        .find(|meta| meta.id == name)
        .ok_or_else(|| {
            let failure = Failure::new(Kind::Usage, format!("there is no rule {name}"));
            match nearest(name, &names()) {
                Some(near) => failure.hint(format!("did you mean {near}?")),
                None => failure.hint("pgadvise rules lists them"),
            }
        })
}

fn list(metas: &[&Meta], options: &Options) -> String {
    let palette = Palette::new(options.color);
    let rows: Vec<Vec<String>> = metas
        .iter()
        .map(|meta| {
            vec![
                meta.id.to_owned(),
                meta.level.name().to_owned(),
                meta.summary.to_owned(),
            ]
        })
        .collect();
    let mut text = String::new();
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
    text.push_str("pgadvise rules NAME says more of one: what it needs, and when it is wrong\n");
    text
}

fn page(meta: &Meta, options: &Options) -> String {
    let palette = Palette::new(options.color);
    let width = options.width.min(PAGE_WIDTH);
    let mut text = format!("{}\n", paint(palette.heading, meta.id));
    for line in prose::wrap(meta.summary, width) {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    let facts = [
        ("level", meta.level.name().to_owned()),
        (
            "needs",
            meta.needs
                .iter()
                .map(|need| need.remedy())
                .collect::<Vec<_>>()
                .join("; "),
        ),
        ("since", meta.since.to_owned()),
    ];
    for (label, fact) in facts {
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
fn docs(meta: &Meta) -> String {
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

fn json(metas: &[&Meta]) -> Result<String, Failure> {
    let list = RuleList {
        schema_version: model::SCHEMA_VERSION,
        rules: metas
            .iter()
            .map(|meta| RulePage {
                name: meta.id.to_owned(),
                summary: meta.summary.to_owned(),
                level: meta.level.into(),
                needs: meta
                    .needs
                    .iter()
                    .map(|need| Missing {
                        need: need.name().to_owned(),
                        remedy: need.remedy().to_owned(),
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
        let failure = find(&format!("{first}x")).expect_err("no such rule");
        assert_eq!(failure.hints, [format!("did you mean {first}?")]);
    }
}
