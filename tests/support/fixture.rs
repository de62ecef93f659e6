//! Literate fixtures: Markdown with examples that the tests run.
//!
//! A section `## Bad …` must be found, a section `## Good …` must not. Blocks:
//! `sql` (the statement), `setup` (the SQL that made its tables), `plan` (what
//! `EXPLAIN (FORMAT JSON)` of a real server printed; `plan file=NAME` for a
//! file beside the fixture), `catalog` (see `compact_catalog`), `findings`
//! (what the rule must report) and `findings all` (what all rules together
//! must report, merged).
//!
//! A line of findings is `LEVEL RULE @ PLACE … | TEXT`: a place is a node's
//! label or `LINE:COLUMN`, the text a part of the message. A line that begins
//! with `+` is a part of the SQL or advice that the finding above suggests
//! (`+ nothing`: it has no suggestion), one that begins with `?` a part of its
//! why.
#![expect(
    clippy::format_push_string,
    reason = "these lines are short, and read better so"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the project's own fixtures"
)]

use std::fs;
use std::path::{Path, PathBuf};

use pgadvise::catalog::Catalog;
use pgadvise::finding::{Change, Finding};
use pgadvise::plan::{PlanGraph, json};
use pgadvise::source::{Sources, Text};
use pgadvise::sql::{self, Statement};
use pgadvise::subject::Subject;

use super::compact_catalog;

/// One fixture file.
pub(crate) struct Fixture {
    /// Its stem, which is the rule's name.
    pub(crate) name: String,
    /// Its sections.
    pub(crate) sections: Vec<Section>,
}

/// One section of it.
pub(crate) struct Section {
    /// The heading, without `##`.
    pub(crate) title: String,
    /// It is an example of what must be found.
    pub(crate) bad: bool,
    /// The texts.
    pub(crate) sources: Sources,
    /// The statement.
    pub(crate) statement: Option<Statement>,
    /// Its plan.
    pub(crate) plan: Option<PlanGraph>,
    /// The catalogue.
    pub(crate) catalog: Option<Catalog>,
    /// What the rule alone must report; `None` when the block is missing.
    pub(crate) expected: Option<Vec<Expected>>,
    /// What all rules must report together.
    pub(crate) expected_of_all: Option<Vec<Expected>>,
    /// The SQL that made the tables.
    pub(crate) setup: Option<String>,
}

/// A finding that must be reported.
#[derive(Debug)]
pub(crate) struct Expected {
    line: String,
    level: String,
    rule: String,
    places: Vec<String>,
    message: String,
    suggestions: Vec<String>,
    why: Vec<String>,
}

/// The folder of the rules' fixtures.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rules")
}

/// Reads all fixtures, sorted by name.
pub(crate) fn all() -> Vec<Fixture> {
    let mut fixtures: Vec<Fixture> = fs::read_dir(folder())
        .expect("fixtures/rules")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| read(&path))
        .collect();
    fixtures.sort_by(|a, b| a.name.cmp(&b.name));
    fixtures
}

fn read(path: &Path) -> Fixture {
    let text = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut sections: Vec<Section> = Vec::new();
    let mut block: Option<(String, String)> = None;
    for line in text.lines() {
        match &mut block {
            Some((kind, body)) => {
                if line == "```" {
                    let (kind, body) = (kind.clone(), body.clone());
                    block = None;
                    let section = sections
                        .last_mut()
                        .unwrap_or_else(|| panic!("{name}: a block before the first section"));
                    take(section, &name, &kind, &body);
                } else {
                    body.push_str(line);
                    body.push('\n');
                }
            }
            None => {
                if let Some(kind) = line.strip_prefix("```") {
                    block = Some((kind.trim().to_owned(), String::new()));
                } else if let Some(title) = line.strip_prefix("## ") {
                    sections.push(section(&name, title));
                }
            }
        }
    }
    assert!(block.is_none(), "{name}: a block is not closed");
    for section in &mut sections {
        if let (Some(statement), Some(catalog)) = (&mut section.statement, &section.catalog) {
            let problems = sql::resolve(statement, catalog);
            assert!(
                problems.is_empty(),
                "{name}, {}: {problems:?}",
                section.title
            );
        }
    }
    Fixture { name, sections }
}

fn section(name: &str, title: &str) -> Section {
    let bad = title.starts_with("Bad");
    assert!(
        bad || title.starts_with("Good"),
        "{name}: a section is called Bad or Good: {title}"
    );
    Section {
        title: title.to_owned(),
        bad,
        sources: Sources::default(),
        statement: None,
        plan: None,
        catalog: None,
        expected: None,
        expected_of_all: None,
        setup: None,
    }
}

fn take(section: &mut Section, name: &str, kind: &str, body: &str) {
    let place = format!("{name}, {}", section.title);
    match kind {
        "sql" => {
            let id = section.sources.add(Text::new("query.sql", body));
            let (mut statements, problems) = sql::read(id, body);
            assert!(problems.is_empty(), "{place}: {problems:?}");
            assert_eq!(statements.len(), 1, "{place}: one statement a section");
            let statement = statements.remove(0);
            assert!(
                statement.problems.is_empty(),
                "{place}: {:?}",
                statement.problems
            );
            section.statement = Some(statement);
        }
        "setup" => section.setup = Some(body.to_owned()),
        "catalog" => section.catalog = Some(compact_catalog::parse(body)),
        "findings" => section.expected = Some(expected(&place, body)),
        "findings all" => section.expected_of_all = Some(expected(&place, body)),
        "plan" => section.plan = Some(plan(&place, body)),
        _ => match kind.strip_prefix("plan file=") {
            Some(file) => {
                let text = fs::read_to_string(folder().join(file))
                    .unwrap_or_else(|error| panic!("{place}: {file}: {error}"));
                section.plan = Some(plan(&place, &text));
            }
            None => panic!("{place}: no such kind of block: {kind}"),
        },
    }
}

fn plan(place: &str, text: &str) -> PlanGraph {
    let mut plans = json::parse(text).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert_eq!(plans.len(), 1, "{place}: one plan a section");
    plans.remove(0)
}

fn expected(place: &str, body: &str) -> Vec<Expected> {
    let mut found: Vec<Expected> = Vec::new();
    for line in body.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(text) = line.strip_prefix("+ ") {
            let last = found
                .last_mut()
                .unwrap_or_else(|| panic!("{place}: nothing to suggest for: {line}"));
            last.suggestions.push(text.to_owned());
            continue;
        }
        if let Some(text) = line.strip_prefix("? ") {
            let last = found
                .last_mut()
                .unwrap_or_else(|| panic!("{place}: the why of nothing: {line}"));
            last.why.push(text.to_owned());
            continue;
        }
        let (head, message) = line
            .split_once(" | ")
            .unwrap_or_else(|| panic!("{place}: LEVEL RULE @ PLACE | TEXT, not: {line}"));
        let mut parts = head.split(" @ ");
        let (level, rule) = parts
            .next()
            .and_then(|words| words.trim().split_once(' '))
            .unwrap_or_else(|| panic!("{place}: LEVEL RULE @ PLACE | TEXT, not: {line}"));
        found.push(Expected {
            line: line.to_owned(),
            level: level.to_owned(),
            rule: rule.to_owned(),
            places: parts.map(|part| part.trim().to_owned()).collect(),
            message: message.to_owned(),
            suggestions: Vec::new(),
            why: Vec::new(),
        });
    }
    found
}

impl Section {
    /// What rules look at.
    pub(crate) fn subject(&self) -> Subject<'_> {
        Subject {
            statement: self.statement.as_ref(),
            plan: self.plan.as_ref(),
            catalog: self.catalog.as_ref(),
            metrics: None,
            ..Subject::default()
        }
    }

    /// A finding as a line of a `findings` block.
    pub(crate) fn line(&self, finding: &Finding) -> String {
        let mut line = format!("{} {}", finding.level.name(), finding.rule);
        if let (Some(node), Some(plan)) = (finding.node, &self.plan) {
            line.push_str(&format!(" @ {}", plan.node(node).label()));
        }
        if let Some(span) = finding.span {
            let text = self.sources.get(span.source).unwrap();
            let at = text.line_column(span.start);
            line.push_str(&format!(" @ {}:{}", at.line, at.column));
        }
        line.push_str(&format!(" | {}", finding.message));
        line.push_str(&format!("\n? {}", finding.why));
        for suggestion in &finding.suggestions {
            line.push_str(&format!("\n+ {}", change(&suggestion.change)));
        }
        line
    }

    /// What is wrong with the findings, if anything.
    pub(crate) fn differences(&self, found: &[Finding], expected: &[Expected]) -> Vec<String> {
        let mut left: Vec<&Finding> = found.iter().collect();
        let mut wrong = Vec::new();
        for expected in expected {
            match left.iter().position(|finding| self.fits(finding, expected)) {
                Some(at) => {
                    left.remove(at);
                }
                None => wrong.push(format!("not found: {}", expected.line)),
            }
        }
        wrong.extend(
            left.iter()
                .map(|finding| format!("not expected: {}", self.line(finding))),
        );
        wrong
    }

    fn fits(&self, finding: &Finding, expected: &Expected) -> bool {
        let label = finding
            .node
            .zip(self.plan.as_ref())
            .map(|(node, plan)| plan.node(node).label());
        let place = finding.span.map(|span| {
            let at = self
                .sources
                .get(span.source)
                .unwrap()
                .line_column(span.start);
            format!("{}:{}", at.line, at.column)
        });
        finding.level.name() == expected.level
            && finding.rule == expected.rule
            && finding.message.contains(&expected.message)
            && expected
                .places
                .iter()
                .all(|wanted| Some(wanted) == label.as_ref() || Some(wanted) == place.as_ref())
            && expected.why.iter().all(|part| finding.why.contains(part))
            && expected.suggestions.iter().all(|wanted| {
                if wanted == "nothing" {
                    return finding.suggestions.is_empty();
                }
                finding
                    .suggestions
                    .iter()
                    .any(|suggestion| change(&suggestion.change).contains(wanted))
            })
    }
}

/// The SQL or the words of a change.
fn change(change: &Change) -> String {
    match change {
        Change::CreateIndex(index) => index.concurrent_sql(),
        Change::CreateStatistics { sql, .. }
        | Change::Analyze { sql, .. }
        | Change::Alter { sql }
        | Change::Setting { sql } => sql.replace('\n', " "),
        Change::Rewrite { edits } => edits
            .iter()
            .map(|edit| edit.text.clone())
            .collect::<Vec<_>>()
            .join(" … "),
        Change::Advice { text } => text.clone(),
    }
}
