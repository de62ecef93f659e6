//! Advisors over one statement: indexes and rewrites tried on the planner,
//! attached to the findings that they mend.

use super::explain::AdviceOptions;
use super::indexes::{self, Choice, Outcome};
use super::rewrites::Accepted;
use super::{candidates, usage};
use crate::catalog::Catalog;
use crate::finding::{Change, Evidence, Finding, Level, Origin, Suggestion, Value, Verdict};
use crate::plan::PlanGraph;
use crate::rule::Described as _;
use crate::rules::missing_index::MissingIndex;
use crate::source::Span;
use crate::sql::Statement;
use crate::subject::Subject;
use crate::verify::{PlanError, PlanOptions, Planned, Planner, Supposition};

/// Rules whose findings an index on the same table can mend.
const MENDED_BY_INDEX: &[&str] = &[
    "seq-scan-behind-selective-filter",
    "nested-loop-inner-seq-scan",
    "index-scan-filters-most-rows",
    "sort-without-index-for-limit",
    "correlated-subplan-executed-many-times",
    "leading-wildcard",
    "function-on-indexed-column",
];

/// Those of them whose only cure is an index.
pub(super) const MENDED_BY_INDEX_ONLY: &[&str] = &[
    "seq-scan-behind-selective-filter",
    "nested-loop-inner-seq-scan",
    "index-scan-filters-most-rows",
    "sort-without-index-for-limit",
];

/// Rules whose advice in words comes to what a tested index does.
const WORDS_AGREE: &[&str] = &["leading-wildcard", "function-on-indexed-column"];

/// What advisors know about the statement.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The statement.
    pub statement: &'a Statement,
    /// The planner's catalogue.
    pub catalog: &'a Catalog,
    /// How to advise.
    pub options: &'a AdviceOptions,
    /// The planner's name.
    pub engine: &'a str,
    /// The plan that the rules saw: the planner's, or one that the user gave.
    pub given: Option<&'a PlanGraph>,
    /// That plan is the planner's own estimate, as every trial is: it need not
    /// be asked for again.
    pub is_estimate: bool,
}

impl Context<'_> {
    /// The statement as planners take it.
    pub fn planned(&self) -> Planned<'_> {
        Planned::from(self.statement)
    }
}

/// Tries rewrites and indexes, and writes what helps into the findings.
pub fn advisors(
    context: &Context<'_>,
    findings: &mut Vec<Finding>,
    planner: &mut dyn Planner,
) -> Result<(), PlanError> {
    if context.statement.query.is_none() {
        return Ok(());
    }
    let before = match context.given.filter(|_| context.is_estimate) {
        Some(plan) => plan.clone(),
        None => planner.plan(context.planned(), PlanOptions::default())?,
    };
    // A rewrite changes which index would help: indexes are then chosen for
    // the rewritten statement.
    let accepted = super::rewrites::advise(context, &before, findings, planner)?;
    let (statement, base, outcome) = if let Some(accepted) = accepted {
        fold_into_rewrite(findings, &before, &accepted);
        let outcome = match accepted.choice {
            Some(choice) => Outcome {
                choice: Some(choice),
                judged: Vec::new(),
            },
            None => match choose(context, &accepted.statement, &accepted.plan, planner) {
                // The rewrite was planned, and stands without an index.
                Err(PlanError::Unsupported { .. }) => Outcome::default(),
                other => other?,
            },
        };
        (accepted.statement, accepted.plan, outcome)
    } else {
        let outcome = match choose(context, context.statement, &before, planner) {
            Err(PlanError::Unsupported { what }) => {
                untried(context, findings, &what);
                return Ok(());
            }
            other => other?,
        };
        (context.statement.clone(), before, outcome)
    };
    let mut choice = outcome.choice;
    if choice.is_none() {
        // A view hides its tables from the statement's text, not from the plan.
        let hidden = super::untested::candidates_of(&base, findings, context.catalog);
        let least = context.options.min_gain;
        choice = match indexes::among(hidden, &statement, &base, context.catalog, planner, least) {
            Err(PlanError::Unsupported { what }) => {
                untried(context, findings, &what);
                return Ok(());
            }
            other => other?,
        };
    }
    let Some(choice) = choice else {
        without_help(context, &outcome.judged, findings);
        return Ok(());
    };
    let rewritten = statement.text != context.statement.text;
    let measured = measured(context, &statement, &choice, planner)?;
    if let Some((before_ms, after_ms)) = measured
        && after_ms > before_ms * (1.0 - context.options.min_gain)
    {
        // The clock has the last word over the planner's cost.
        without_help(context, &outcome.judged, findings);
        return Ok(());
    }
    for at in 0..choice.indexes.len() {
        let suggestion = indexes::suggestion(&choice, at, &base, context.catalog, context.engine);
        let (Some(mut suggestion), Some(chosen)) = (suggestion, choice.indexes.get(at)) else {
            continue;
        };
        if let Verdict::Better(comparison) = &mut suggestion.verdict {
            comparison.measured_ms = measured;
            if rewritten {
                comparison
                    .checked
                    .push("both costs are of the rewritten statement".to_owned());
            }
        }
        let table = (chosen.spec.schema.clone(), chosen.spec.table.clone());
        let (was, is) = measured.unwrap_or((choice.before, choice.after));
        let gain = ((was - is) / was).clamp(0.0, 1.0);
        attach(context, findings, &choice, at, table, suggestion, gain);
    }
    without_help(context, &outcome.judged, findings);
    Ok(())
}

/// A planner that cannot suppose indexes leaves the candidates untested: the
/// best guess goes to each finding that one could mend.
fn untried(context: &Context<'_>, findings: &mut [Finding], why: &str) {
    let statement = context.statement;
    let Some(query) = &statement.query else {
        return;
    };
    let usages = usage::usages(
        query,
        &statement.text,
        statement.span.start,
        context.catalog,
    );
    let candidates = candidates::candidates(&usages, context.catalog);
    for finding in findings.iter_mut().filter(|finding| {
        MENDED_BY_INDEX_ONLY.contains(&finding.rule) && finding.suggestions.is_empty()
    }) {
        let found = candidates.iter().find(|candidate| {
            let table = (candidate.spec.schema.clone(), candidate.spec.table.clone());
            !candidate.brin && is_of(context.catalog, finding.relation.as_ref(), &table)
        });
        if let Some(candidate) = found {
            finding
                .suggestions
                .push(indexes::untried(candidate, context.catalog, why));
        }
    }
}

fn choose(
    context: &Context<'_>,
    statement: &Statement,
    plan: &PlanGraph,
    planner: &mut dyn Planner,
) -> Result<Outcome, PlanError> {
    indexes::choose(
        statement,
        plan,
        context.catalog,
        planner,
        context.options.min_gain,
    )
}

/// The level of a finding that saves that share and those cost units, or the
/// level that the user set for the rule.
pub fn level_of(context: &Context<'_>, rule: &str, share: f64, saved: f64) -> Level {
    let level = if share >= 0.5 && saved >= 10_000.0 {
        Level::Critical
    } else if share >= 0.3 && saved >= 500.0 {
        Level::Warning
    } else {
        Level::Note
    };
    let levels = &context.options.rules.levels;
    levels.get(rule).copied().unwrap_or(level)
}

/// Whether the table is that one, or a partition of it at any depth.
fn is_of(catalog: &Catalog, relation: Option<&(String, String)>, table: &(String, String)) -> bool {
    let mut at = relation.cloned();
    // Partitions do not nest deeper than this.
    for _ in 0..16 {
        let Some(name) = at else { return false };
        if name == *table {
            return true;
        }
        at = catalog
            .relation(Some(&name.0), &name.1)
            .and_then(|relation| relation.parent.clone());
    }
    false
}

fn attach(
    context: &Context<'_>,
    findings: &mut Vec<Finding>,
    choice: &Choice,
    at: usize,
    table: (String, String),
    suggestion: Suggestion,
    gain: f64,
) {
    let mended = findings
        .iter_mut()
        .filter(|finding| {
            MENDED_BY_INDEX.contains(&finding.rule)
                && is_of(context.catalog, finding.relation.as_ref(), &table)
        })
        .max_by(|a, b| a.share.total_cmp(&b.share));
    if let Some(finding) = mended {
        finding.suggestions.push(suggestion);
        return;
    }
    if context.options.rules.off.contains(MissingIndex.meta().id) {
        return;
    }
    let Some(chosen) = choice.indexes.get(at) else {
        return;
    };
    let saved = choice.before - choice.after;
    let level = level_of(context, MissingIndex.meta().id, gain, saved);
    let span = context.statement.query.as_ref().and_then(|query| {
        query
            .selects
            .iter()
            .flat_map(|select| &select.relations)
            .find(|reference| {
                matches!(&reference.kind, crate::sql::RelationRefKind::Table { schema: Some(schema), name, .. }
                    if *schema == table.0 && *name == table.1)
            })
            .map(|reference| reference.span)
    });
    findings.push(Finding {
        rule: MissingIndex.meta().id,
        level,
        span: span.or(Some(context.statement.span)),
        node: None,
        message: format!("no index of {} serves {}", table.1, chosen.serves),
        why: format!(
            "With the index below the planner's cost of the statement falls from {:.0} to {:.0}.",
            choice.before, choice.after
        ),
        evidence: vec![
            Evidence::new(
                "cost without the index",
                Value::Cost(choice.before),
                Origin::Formula("the planner's total cost"),
            ),
            Evidence::new(
                "cost with the index",
                Value::Cost(choice.after),
                Origin::Formula("the planner's total cost"),
            ),
        ],
        relation: Some(table),
        suggestions: vec![suggestion],
        share: gain,
    });
}

fn has_rewrite(finding: &Finding) -> bool {
    finding
        .suggestions
        .iter()
        .any(|suggestion| matches!(suggestion.change, Change::Rewrite { .. }))
}

/// Takes out findings about scans that the rewritten statement no longer
/// makes: the rewrite says it all, and takes over their place.
fn fold_into_rewrite(findings: &mut Vec<Finding>, before: &PlanGraph, accepted: &Accepted) {
    let after = accepted
        .choice
        .as_ref()
        .map_or(&accepted.plan, |choice| &choice.plan);
    let gone = |finding: &Finding| {
        MENDED_BY_INDEX.contains(&finding.rule)
            && finding.suggestions.is_empty()
            && finding.node.is_some_and(|id| {
                let label = before.node(id).label();
                !after.nodes().any(|(_, node)| node.label() == label)
            })
    };
    // What the rewrite edits is estimated badly because of how it is written.
    let edited: Vec<Span> = findings
        .iter()
        .filter(|finding| has_rewrite(finding))
        .filter_map(|finding| finding.span)
        .collect();
    findings.retain(|finding| {
        finding.rule != "row-estimate-far-off"
            || has_rewrite(finding)
            || !finding.span.is_some_and(|span| {
                edited
                    .iter()
                    .any(|other| span.start < other.end && other.start < span.end)
            })
    });
    let place = findings
        .iter()
        .find(|finding| gone(finding))
        .map(|finding| (finding.node, finding.relation.clone()));
    findings.retain(|finding| !gone(finding));
    if let Some((node, relation)) = place
        && let Some(finding) = findings.iter_mut().find(|finding| has_rewrite(finding))
    {
        finding.node = finding.node.or(node);
        finding.relation = finding.relation.take().or(relation);
    }
}

/// What an index could have mended, and none does, is as it should be: on
/// estimates alone the planner has the last word, and the finding goes. Where
/// rows were counted, it stays as a note, since the estimates that spoke
/// against the index may be wrong.
fn without_help(context: &Context<'_>, judged: &[(String, String)], findings: &mut Vec<Finding>) {
    let idle = |finding: &Finding| {
        MENDED_BY_INDEX_ONLY.contains(&finding.rule)
            && finding.suggestions.is_empty()
            && finding.relation.as_ref().is_some_and(|relation| {
                judged
                    .iter()
                    .any(|table| is_of(context.catalog, Some(relation), table))
            })
    };
    let words_only = |finding: &Finding| {
        WORDS_AGREE.contains(&finding.rule)
            && !finding
                .suggestions
                .iter()
                .any(|suggestion| matches!(suggestion.verdict, Verdict::Better(_)))
            && finding
                .relation
                .as_ref()
                .is_some_and(|relation| judged.contains(relation))
    };
    if !context.given.is_some_and(PlanGraph::has_actuals) {
        findings.retain(|finding| !idle(finding));
    }
    for finding in findings
        .iter_mut()
        .filter(|finding| idle(finding) || words_only(finding))
    {
        finding.level = Level::Note;
        finding.evidence.push(Evidence::new(
            "indexes tried",
            Value::Text(format!(
                "the planner would use none, or none lowers the cost by {:.0} %",
                context.options.min_gain * 100.0
            )),
            Origin::Formula("what-if on the planner"),
        ));
    }
}

/// Times before and after, where the user lets statements run and the planner
/// can run them with the change.
fn measured(
    context: &Context<'_>,
    statement: &Statement,
    choice: &Choice,
    planner: &mut dyn Planner,
) -> Result<Option<(f64, f64)>, PlanError> {
    let modifies = statement
        .query
        .as_ref()
        .is_none_or(|query| query.modifies_data);
    if !context.options.analyze || modifies || statement.parameters() > 0 {
        return Ok(None);
    }
    let planned = Planned::from(statement);
    let Some(before) = planner.measure(planned, &[])? else {
        return Ok(None);
    };
    let supposed: Vec<Supposition> = choice
        .indexes
        .iter()
        .map(|chosen| Supposition::Index(chosen.spec.clone()))
        .collect();
    let after = planner.measure(planned, &supposed)?;
    Ok(after.map(|after| (before, after)))
}

/// What was tried and helps comes first; words that say no more than a tested
/// change beside them go.
pub fn put_in_order(findings: &mut [Finding]) {
    for finding in findings {
        let rewritten = finding.suggestions.iter().any(|suggestion| {
            matches!(suggestion.verdict, Verdict::Better(_))
                && matches!(suggestion.change, Change::Rewrite { .. })
        });
        let tested = finding
            .suggestions
            .iter()
            .any(|suggestion| matches!(suggestion.verdict, Verdict::Better(_)));
        let replaced = rewritten || (tested && WORDS_AGREE.contains(&finding.rule));
        finding
            .suggestions
            .retain(|suggestion| !(replaced && matches!(suggestion.change, Change::Advice { .. })));
        finding
            .suggestions
            .sort_by_key(|suggestion| match suggestion.verdict {
                Verdict::Better(_) => 0,
                Verdict::BetterEstimate(_) => 1,
                Verdict::NoChange(_) => 2,
                Verdict::Untested { .. } => 3,
                Verdict::Worse(_) => 4,
            });
    }
}

/// Says of what no planner can try why that is so.
pub fn untestable(findings: &mut [Finding]) {
    for suggestion in findings
        .iter_mut()
        .flat_map(|finding| &mut finding.suggestions)
    {
        let why = match &suggestion.change {
            Change::Advice { .. } => "advice in words; there is nothing for a planner to try",
            Change::Setting { .. } => {
                "the setting changes what an execution needs, which a planner's cost does not show"
            }
            _ => continue,
        };
        if matches!(suggestion.verdict, Verdict::Untested { .. }) {
            suggestion.verdict = Verdict::Untested {
                why: why.to_owned(),
            };
        }
    }
}

/// Marks every suggestion with why nobody tried it.
pub fn untested(subject: &Subject<'_>, findings: &mut [Finding], why: &str) {
    if let (Some(plan), None) = (subject.plan, subject.catalog) {
        super::untested::suggest(plan, findings, why);
    }
    for suggestion in findings
        .iter_mut()
        .flat_map(|finding| &mut finding.suggestions)
    {
        if let Verdict::Untested { why: reason } = &mut suggestion.verdict {
            why.clone_into(reason);
        }
    }
}
