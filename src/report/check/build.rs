//! From what was found to the report: places become lines and columns, values
//! become texts; nothing is judged here.

use crate::advise::check::suppress::{By, Silenced};
use crate::advise::check::{MigrationOutcome, statement_at};
use crate::finding::migration::{MigrationFinding, Remedy};
use crate::finding::{Evidence, Origin};
use crate::migration::locks::{Effect, Known, Work};
use crate::migration::{History, Server};
use crate::report::format;
use crate::report::model::check::{
    BaselineEntry, CHECK_SCHEMA_VERSION, CheckBaseline, CheckEdit, CheckEvidence, CheckFile,
    CheckFinding, CheckFindings, CheckLock, CheckOutcome, CheckPlace, CheckRemedy, CheckReport,
    CheckRule, CheckServer, CheckSkipped, CheckStep, CheckSuppressed, CheckSuppressedBy,
    CheckTotals, CheckTrace,
};
use crate::report::model::check_workload::CheckWorkload;
use crate::report::model::rooted::Rooted;
use crate::report::model::{Level, Problem, Tool};
use crate::rule::migration::MigrationMeta;
use crate::source::{Sources, Span};

/// Longest piece of a line that is shown.
const LONGEST_LINE: usize = 2_000;

/// What a report is made of.
#[derive(Debug, Clone)]
pub struct Ingredients<'a> {
    /// The files.
    pub history: &'a History,
    /// Their texts.
    pub sources: &'a Sources,
    /// The server that they were judged for.
    pub server: &'a Server,
    /// Findings that are not silenced.
    pub findings: &'a [MigrationFinding],
    /// The fingerprint of each.
    pub prints: &'a [String],
    /// Whether each is in the baseline.
    pub known: &'a [bool],
    /// Findings that are silenced, with their fingerprints.
    pub silenced: &'a [(Silenced, String)],
    /// The baseline's file and its entries that nothing was found for.
    pub baseline: Option<(&'a str, Vec<BaselineEntry>)>,
    /// Rules and what became of them.
    pub rules: &'a [(&'static MigrationMeta, MigrationOutcome)],
    /// What the change does to the queries of a workload.
    pub workload: Option<CheckWorkload>,
    /// What was seen on a throw-away server.
    pub trace: Option<CheckTrace>,
    /// What could not be checked.
    pub skipped: Vec<CheckSkipped>,
    /// Trouble.
    pub problems: Vec<Problem>,
    /// The level from which on findings fail the run.
    pub fail_on: Option<Level>,
    /// Where the pages of rules are published, where the user said so.
    pub pages: Option<&'a str>,
    /// Statements that were judged.
    pub statements: usize,
    /// Statements that were only replayed.
    pub replayed: usize,
}

/// Makes the report.
pub fn build<'a>(given: &Ingredients<'a>) -> CheckReport<'a> {
    let maker = Maker {
        history: given.history,
        sources: given.sources,
        pages: given.pages,
    };
    let mut suppressed: Vec<CheckSuppressed<'a>> = given
        .silenced
        .iter()
        .map(|(silenced, fingerprint)| CheckSuppressed {
            by: match silenced.by {
                By::Comment => CheckSuppressedBy::Comment,
                By::Configuration => CheckSuppressedBy::Configuration,
            },
            reason: silenced.reason.as_deref(),
            finding: maker.finding(&silenced.finding, fingerprint),
        })
        .collect();
    let mut by_file = vec![0_usize; given.history.files.len()];
    let mut levels: Vec<Level> = Vec::with_capacity(given.findings.len());
    let mut shown = Vec::with_capacity(given.findings.len());
    let prints = given.prints.iter().zip(given.known);
    for (finding, (fingerprint, known)) in given.findings.iter().zip(prints) {
        if *known {
            suppressed.push(CheckSuppressed {
                by: CheckSuppressedBy::Baseline,
                reason: None,
                finding: maker.finding(finding, fingerprint),
            });
        } else {
            if let Some(count) = by_file.get_mut(finding.at.file) {
                *count += 1;
            }
            levels.push(finding.level.into());
            shown.push((finding, fingerprint.as_str()));
        }
    }
    let in_baseline = given.findings.len() - shown.len();
    let count = |level| levels.iter().filter(|own| **own == level).count();
    let files: Vec<CheckFile<'a>> = given
        .history
        .files
        .iter()
        .zip(by_file)
        .filter(|(file, _)| file.new)
        .map(|(file, findings)| CheckFile {
            path: &file.path,
            framework: file.framework.name(),
            version: file.version.as_deref(),
            statements: file.parts.iter().map(|part| part.statements.len()).sum(),
            findings,
        })
        .collect();
    let totals = CheckTotals {
        files: files.len(),
        replayed_files: given.history.files.len() - files.len(),
        statements: given.statements,
        replayed_statements: given.replayed,
        findings: levels.len(),
        critical: count(Level::Critical),
        warning: count(Level::Warning),
        note: count(Level::Note),
        suppressed: given.silenced.len(),
        baseline: in_baseline,
        skipped: given.skipped.len(),
        problems: given.problems.len(),
    };
    CheckReport {
        schema_version: CHECK_SCHEMA_VERSION,
        tool: Tool {
            name: "pgadvise".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        server: CheckServer {
            major: given.server.major,
            known_by: &given.server.known_by,
            assumed: given.server.assumed,
        },
        files,
        findings: CheckFindings::new(levels, move |number| {
            let (finding, fingerprint) = shown.get(number)?;
            Some(maker.finding(finding, fingerprint))
        }),
        suppressed,
        baseline: given.baseline.as_ref().map(|(file, stale)| CheckBaseline {
            file,
            known: in_baseline,
            stale: stale.clone(),
        }),
        workload: given.workload.clone(),
        trace: given.trace.clone(),
        skipped: given.skipped.clone(),
        notes: super::notes::notes(given.history),
        rules: given
            .rules
            .iter()
            .map(|(meta, outcome)| CheckRule {
                name: meta.id,
                summary: meta.summary,
                level: meta.level.into(),
                category: meta.category.name(),
                outcome: match outcome {
                    MigrationOutcome::Ran { .. } => CheckOutcome::Ran,
                    MigrationOutcome::Skipped { .. } => CheckOutcome::Skipped,
                    MigrationOutcome::Off => CheckOutcome::Off,
                    MigrationOutcome::Crashed { .. } => CheckOutcome::Crashed,
                },
                page: super::page(given.pages, meta.id),
                docs: meta.docs,
            })
            .collect(),
        problems: given.problems.clone(),
        fail_on: given.fail_on,
        rooted: Rooted::default(),
        totals,
    }
}

/// Turns parts of findings into parts of the report.
struct Maker<'a> {
    history: &'a History,
    sources: &'a Sources,
    pages: Option<&'a str>,
}

impl<'a> Maker<'a> {
    fn finding(&self, finding: &'a MigrationFinding, fingerprint: &'a str) -> CheckFinding<'a> {
        CheckFinding {
            rule: finding.rule,
            level: finding.level.into(),
            message: &finding.message,
            why: &finding.why,
            place: self.place(finding.span, finding.at.file),
            source: self.first_line(finding.span),
            statement: statement_at(self.history, finding.at)
                .filter(|statement| statement.span.contains(finding.span))
                .map(|statement| statement.verb.as_str()),
            relation: finding.relation.as_ref().map(ToString::to_string),
            object: finding.object.as_deref(),
            lock: finding.effect.as_ref().map(lock),
            traced: finding.known == Known::Traced,
            assumed: finding.assumed.as_deref(),
            evidence: finding.evidence.iter().map(evidence).collect(),
            remedy: finding
                .remedy
                .as_ref()
                .map(|remedy| self.remedy(remedy, finding.at.file)),
            fingerprint,
            page: super::page(self.pages, finding.rule),
        }
    }

    fn place(&self, span: Span, file: usize) -> CheckPlace<'a> {
        let path = self
            .history
            .files
            .get(file)
            .filter(|file| file.source == span.source)
            .map(|file| file.path.as_str());
        let Some(text) = self.sources.get(span.source) else {
            return CheckPlace {
                file: path.unwrap_or_default(),
                line: 1,
                column: 1,
                end_line: 1,
                end_column: 1,
            };
        };
        let start = text.line_column(span.start);
        let end = text.line_column(span.end);
        CheckPlace {
            file: path.unwrap_or_else(|| text.name()),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    }

    /// The line that a span begins on.
    fn first_line(&self, span: Span) -> &'a str {
        let text = self
            .sources
            .get(span.source)
            .map_or("", crate::source::Text::text);
        let (Some(before), Some(after)) = (text.get(..span.start), text.get(span.start..)) else {
            return "";
        };
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = span.start + after.find('\n').unwrap_or(after.len());
        let line = text.get(start..end).unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.len() <= LONGEST_LINE {
            return line;
        }
        let cut = line
            .char_indices()
            .map(|(at, _)| at)
            .take_while(|at| *at <= LONGEST_LINE)
            .last()
            .unwrap_or(0);
        line.get(..cut).unwrap_or_default()
    }

    fn remedy(&self, remedy: &'a Remedy, file: usize) -> CheckRemedy<'a> {
        let fix = remedy.fix.as_ref();
        let source = self.history.files.get(file).map(|file| file.source);
        CheckRemedy {
            title: &remedy.title,
            steps: remedy
                .steps
                .iter()
                .map(|step| CheckStep {
                    sql: &step.sql,
                    outside_transaction: step.outside_transaction,
                    apart: step.apart,
                })
                .collect(),
            notes: remedy.notes.iter().map(String::as_str).collect(),
            edits: fix
                .iter()
                .flat_map(|fix| &fix.edits)
                // Those of other files belong to what is found there.
                .filter(|edit| Some(edit.span.source) == source)
                .map(|edit| CheckEdit {
                    place: self.place(edit.span, file),
                    text: &edit.text,
                })
                .collect(),
            follow_up: fix
                .iter()
                .flat_map(|fix| &fix.follow_up)
                .map(String::as_str)
                .collect(),
        }
    }
}

fn lock(effect: &Effect) -> CheckLock<'_> {
    CheckLock {
        mode: effect.mode.name(),
        blocks_reads: effect.mode.blocks_reads(),
        blocks_writes: effect.mode.blocks_writes(),
        work: match effect.work {
            Work::None => "none",
            Work::Scan => "scan",
            Work::IndexBuild => "index_build",
            Work::IndexRebuild => "index_rebuild",
            Work::Rows => "rows",
            Work::Rewrite => "rewrite",
        },
        why: effect.why.as_deref(),
    }
}

fn evidence(evidence: &Evidence) -> CheckEvidence<'_> {
    let (value, unit, text) = format::value(&evidence.value);
    CheckEvidence {
        label: &evidence.label,
        value,
        unit,
        text,
        from: match &evidence.from {
            Origin::Plan(_) => "plan",
            Origin::Sql(_) => "sql",
            Origin::Catalog(_) => "catalog",
            Origin::Statistics(_) => "statistics",
            Origin::Formula(name) => name,
        },
    }
}
