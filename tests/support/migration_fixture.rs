//! Literate fixtures of rules about migrations.
//!
//! A section `## Bad …` must be found, a section `## Good …` must not. Blocks:
//!
//! - `history`: migrations that were applied before; nothing in them is
//!   reported.
//! - `sql`: the new migrations. In both, a line `-- file: PATH` begins a file.
//! - `options`: lines `version = 17`, `framework = prisma`, `change = one` (all
//!   new files are one change), `size TABLE = PAGES ROWS`, `workload = SQL`.
//! - `findings`: what the rule must report; `findings all`: what all rules that
//!   are on must report.
//!
//! A line of findings is `LEVEL RULE @ PLACE | TEXT`: a place is `LINE:COLUMN`
//! of the first new file or `PATH:LINE:COLUMN`, the text a part of the message.
//! Below it, `+` begins a part of the remedy (title, SQL or notes; `+ nothing`:
//! it has none), `?` a part of its why, `=` the finding's effect as
//! `LOCK on RELATION: work`.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read the project's own fixtures"
)]

use std::fs;
use std::path::{Path, PathBuf};

use pgadvise::advise::check::{CheckInput, CheckOptions, Checked, check};
use pgadvise::catalog::{Catalog, Relation, RelationKind};
use pgadvise::finding::migration::{MigrationFinding, Remedy};
use pgadvise::migration::assemble::{Assembling, Given, assemble};
use pgadvise::migration::state::State;
use pgadvise::migration::{Framework, History, Server};
use pgadvise::rule::migration::{Context, MigrationRule};
use pgadvise::source::{SourceId, Sources, Text};
use pgadvise::sql;

/// One fixture file.
pub(crate) struct Fixture {
    /// Its stem, which is the rule's name.
    pub(crate) name: String,
    /// Its sections.
    pub(crate) sections: Vec<Section>,
}

/// One section of it.
#[derive(Default)]
pub(crate) struct Section {
    /// The heading, without `##`.
    pub(crate) title: String,
    /// It is an example of what must be found.
    pub(crate) bad: bool,
    /// Its block `history`.
    pub(crate) history: String,
    /// Its block `sql`.
    pub(crate) sql: String,
    /// Its block `options`.
    pub(crate) options: String,
    /// What the rule alone must report; `None` when the block is missing.
    pub(crate) expected: Option<Vec<Expected>>,
    /// What all rules that are on must report together.
    pub(crate) expected_of_all: Option<Vec<Expected>>,
}

/// A finding that must be reported.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    line: String,
    head: String,
    message: String,
    remedy: Vec<String>,
    why: Vec<String>,
    effect: Vec<String>,
}

/// Reads all fixtures, sorted by name.
pub(crate) fn all() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/migrations/rules");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("fixtures/migrations/rules")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Fixture {
    let text = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
    let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
    let mut sections: Vec<Section> = Vec::new();
    let mut block: Option<(String, String)> = None;
    for line in text.lines() {
        match &mut block {
            Some((kind, body)) if line == "```" => {
                let section = sections
                    .last_mut()
                    .unwrap_or_else(|| panic!("{name}: a block before the first section"));
                match kind.as_str() {
                    "history" => section.history.clone_from(body),
                    "sql" => section.sql.clone_from(body),
                    "options" => section.options.clone_from(body),
                    "findings" => section.expected = Some(expected(&name, body)),
                    "findings all" => section.expected_of_all = Some(expected(&name, body)),
                    other => panic!("{name}: no block is called {other}"),
                }
                block = None;
            }
            Some((_, body)) => {
                body.push_str(line);
                body.push('\n');
            }
            None => {
                if let Some(kind) = line.strip_prefix("```") {
                    block = Some((kind.trim().to_owned(), String::new()));
                } else if let Some(title) = line.strip_prefix("## ") {
                    assert!(
                        title.starts_with("Bad") || title.starts_with("Good"),
                        "{name}: a section begins with Bad or Good: {title}"
                    );
                    sections.push(Section {
                        title: title.to_owned(),
                        bad: title.starts_with("Bad"),
                        ..Section::default()
                    });
                }
            }
        }
    }
    assert!(block.is_none(), "{name}: a block does not end");
    Fixture { name, sections }
}

fn expected(name: &str, body: &str) -> Vec<Expected> {
    let mut found: Vec<Expected> = Vec::new();
    for line in body.lines().filter(|line| !line.trim().is_empty()) {
        let mark = line.chars().next().unwrap();
        let rest = line.chars().skip(1).collect::<String>().trim().to_owned();
        if matches!(mark, '+' | '?' | '=') {
            let last = found
                .last_mut()
                .unwrap_or_else(|| panic!("{name}: {line} stands before the first finding"));
            match mark {
                '+' => last.remedy.push(rest),
                '?' => last.why.push(rest),
                _ => last.effect.push(rest),
            }
        } else {
            let (head, message) = line
                .split_once('|')
                .unwrap_or_else(|| panic!("{name}: no | in {line}"));
            found.push(Expected {
                line: line.to_owned(),
                head: head.trim().to_owned(),
                message: message.trim().to_owned(),
                ..Expected::default()
            });
        }
    }
    found
}

/// What a section is made of, ready to be checked.
pub(crate) struct Prepared {
    pub(crate) sources: Sources,
    pub(crate) history: History,
    pub(crate) server: Server,
    pub(crate) one_change: bool,
    sizes: Option<Catalog>,
    workload: Option<Vec<sql::Statement>>,
}

/// Splits a block into files at lines `-- file: PATH`.
fn files(block: &str, unnamed: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in block.split_inclusive('\n') {
        if let Some(path) = line.strip_prefix("-- file:") {
            files.push((path.trim().to_owned(), String::new()));
        } else if let Some((_, text)) = files.last_mut() {
            text.push_str(line);
        } else {
            files.push((unnamed.to_owned(), line.to_owned()));
        }
    }
    files
}

impl Section {
    /// Reads the section's files.
    pub(crate) fn prepare(&self) -> Prepared {
        let mut sources = Sources::default();
        let mut given = Vec::new();
        let mut new = Vec::new();
        let blocks = [
            (self.history.as_str(), "0001_before.sql", false),
            (self.sql.as_str(), "0002_new.sql", true),
        ];
        for (block, unnamed, is_new) in blocks {
            for (path, text) in files(block, unnamed) {
                let source: SourceId = sources.add(Text::new(path.clone(), text));
                if is_new {
                    new.push(source);
                }
                given.push(Given {
                    source,
                    path,
                    ..Given::default()
                });
            }
        }
        let mut options = Assembling {
            framework: None,
            new: Some(new),
            ..Assembling::default()
        };
        let mut server = Server::default();
        let mut one_change = false;
        let mut relations = Vec::new();
        let mut workload = None;
        for line in self.options.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once('=').expect("options are KEY = VALUE");
            let (key, value) = (key.trim(), value.trim());
            match key {
                "version" => server.major = value.parse().unwrap(),
                "utc" => server.utc = Some(value == "true"),
                "framework" => options.framework = Some(Framework::named(value).unwrap()),
                "change" => one_change = value == "one",
                "workload" => {
                    let source = sources.add(Text::new("workload.sql", value));
                    let (statements, _) = sql::read(source, value);
                    workload.get_or_insert_with(Vec::new).extend(statements);
                }
                _ => {
                    let table = key.strip_prefix("size ").expect("an option that exists");
                    let (pages, rows) = value.split_once(' ').unwrap();
                    relations.push(relation(
                        table.trim(),
                        pages.trim().parse().unwrap(),
                        rows.trim().parse().unwrap(),
                    ));
                }
            }
        }
        relations.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
        let history = assemble(&sources, &given, &options);
        Prepared {
            sources,
            history,
            server,
            one_change,
            sizes: (!relations.is_empty()).then(|| Catalog {
                relations,
                ..Catalog::default()
            }),
            workload,
        }
    }

    /// Checks the section with these rules, all of them on.
    pub(crate) fn check(&self, rules: &[&dyn MigrationRule]) -> (Checked, Sources) {
        self.check_with(
            rules,
            rules.iter().map(|rule| rule.meta().id.to_owned()).collect(),
        )
    }

    /// Checks the section with these rules; those that are off by default run
    /// only where named.
    pub(crate) fn check_with(
        &self,
        rules: &[&dyn MigrationRule],
        on: Vec<String>,
    ) -> (Checked, Sources) {
        let prepared = self.prepare();
        let mut state = State::empty();
        if let Some(sizes) = &prepared.sizes {
            state.take_sizes(sizes);
        }
        let options = CheckOptions {
            on,
            ..CheckOptions::default()
        };
        let checked = check(
            CheckInput {
                context: Context {
                    history: &prepared.history,
                    sources: &prepared.sources,
                    server: &prepared.server,
                    one_change: prepared.one_change,
                    sized: prepared.sizes.is_some(),
                    workload: prepared.workload.as_deref(),
                },
                rules,
                options: &options,
            },
            state,
        );
        (checked, prepared.sources)
    }
}

fn relation(name: &str, pages: f64, rows: f64) -> Relation {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    Relation {
        oid: 0,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: RelationKind::Table,
        columns: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        statistics: Vec::new(),
        partition_key: None,
        parent: None,
        partition_bound: None,
        pages,
        tuples: Some(rows),
        all_visible_pages: 0.0,
        row_security: false,
        activity: None,
    }
}

fn remedy_text(remedy: &Remedy) -> String {
    let mut text = remedy.title.clone();
    for step in &remedy.steps {
        text.push('\n');
        text.push_str(&step.sql);
    }
    for note in &remedy.notes {
        text.push('\n');
        text.push_str(note);
    }
    text
}

/// `LEVEL RULE @ PLACE | MESSAGE`, as a fixture would have it.
pub(crate) fn line(finding: &MigrationFinding, sources: &Sources) -> String {
    format!(
        "{} {} @ {} | {}",
        finding.level.name(),
        finding.rule,
        sources.place(finding.span),
        finding.message
    )
}

/// How what was found differs from what was expected.
pub(crate) fn differences(
    found: &[MigrationFinding],
    expected: &[Expected],
    sources: &Sources,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut left: Vec<&MigrationFinding> = found.iter().collect();
    for want in expected {
        let fits = |finding: &&MigrationFinding| {
            let place = sources.place(finding.span);
            let short: Vec<&str> = place.rsplitn(3, ':').collect();
            let head = format!("{} {} @ ", finding.level.name(), finding.rule);
            let fits = want.head == format!("{head}{place}")
                || want.head == format!("{head}{}:{}", short[1], short[0]);
            fits && finding.message.contains(&want.message)
        };
        let Some(at) = left.iter().position(fits) else {
            wrong.push(format!("not found: {}", want.line));
            continue;
        };
        let finding = left.remove(at);
        let remedy = finding.remedy.as_ref().map(remedy_text);
        for part in &want.remedy {
            let fits = match &remedy {
                None => part == "nothing",
                Some(text) => text.contains(part.as_str()),
            };
            if !fits {
                wrong.push(format!("{}: no `{part}` in {remedy:?}", want.line));
            }
        }
        for part in &want.why {
            if !finding.why.contains(part.as_str()) {
                wrong.push(format!("{}: no `{part}` in {:?}", want.line, finding.why));
            }
        }
        for part in &want.effect {
            let effect = finding.effect.as_ref().map_or_else(
                || "nothing".to_owned(),
                |effect| {
                    format!(
                        "{} on {}: {:?}",
                        effect.mode.name(),
                        effect.relation,
                        effect.work
                    )
                },
            );
            if effect != *part {
                wrong.push(format!("{}: the effect is {effect}", want.line));
            }
        }
    }
    for finding in left {
        wrong.push(format!("too much: {}", line(finding, sources)));
    }
    wrong
}
