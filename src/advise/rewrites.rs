//! Rewrites of one statement: proposed from proved preconditions, planned,
//! and attached to the findings that they mend.

use super::attach::{Context, level_of};
use super::indexes::{self, Choice};
use crate::finding::{Change, Evidence, Finding, Origin, Suggestion, Value, Verdict};
use crate::plan::PlanGraph;
use crate::rewrite::{self, Proposal};
use crate::rule::Described as _;
use crate::rules::cheaper_equivalent_query::CheaperEquivalentQuery;
use crate::source::Span;
use crate::sql::{self, Statement};
use crate::subject::Subject;
use crate::verify::compare::verdict;
use crate::verify::elsewhere::Elsewhere;
use crate::verify::{PlanError, PlanOptions, Planned, Planner};

/// Rules whose findings a rewrite at the same place can mend.
const MENDED_BY_REWRITE: &[&str] = &[
    "function-on-indexed-column",
    "not-in-nullable-subquery",
    "deep-offset",
    "correlated-subplan-executed-many-times",
    "cte-fence",
];

/// What was said of such a rewrite's results.
const CHECKED: &str = "the preconditions are proved from the catalogue and the text; the results \
                       were not compared by execution";

/// A rewrite that the planner likes.
#[derive(Debug)]
pub struct Accepted {
    /// The rewritten statement.
    pub statement: Statement,
    /// Its plan.
    pub plan: PlanGraph,
    /// Indexes that it needs to be better, if any.
    pub choice: Option<Choice>,
}

/// Tries every rewrite that is offered for the statement, and attaches those
/// that lower the cost by the margin; gives back the best.
pub fn advise(
    context: &Context<'_>,
    before: &PlanGraph,
    findings: &mut Vec<Finding>,
    planner: &mut dyn Planner,
) -> Result<Option<Accepted>, PlanError> {
    let subject = Subject {
        statement: Some(context.statement),
        plan: Some(before),
        catalog: Some(context.catalog),
        metrics: None,
        ..Subject::default()
    };
    let mut best: Option<(f64, Accepted)> = None;
    for proposal in rewrite::propose(&subject) {
        if let Some(reason) = &proposal.refused {
            tell(findings, proposal.span, &proposal, reason);
            continue;
        }
        let Some(mut suggestion) = proposal.suggestion() else {
            continue;
        };
        if matches!(suggestion.change, Change::Advice { .. }) {
            suggestion.verdict = Verdict::Untested {
                why: "it changes what the caller sends, so there is nothing to plan here"
                    .to_owned(),
            };
            // It has the SQL to start from, which the rule's words do not.
            if let Some(finding) = mended(findings, proposal.span) {
                finding
                    .suggestions
                    .retain(|other| !matches!(other.change, Change::Advice { .. }));
                finding.suggestions.push(suggestion);
            }
            continue;
        }
        let Some((cost, accepted)) = tried(
            context,
            before,
            &subject,
            &proposal,
            &mut suggestion,
            planner,
        )?
        else {
            tell(
                findings,
                proposal.span,
                &proposal,
                "the planner sees no gain in it",
            );
            continue;
        };
        attach(context, before, findings, &proposal, suggestion, cost);
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, accepted));
        }
    }
    Ok(best.map(|(_, accepted)| accepted))
}

/// Plans the rewritten statement, alone and then with the indexes that it
/// could use. `None` when neither is better by the margin.
fn tried(
    context: &Context<'_>,
    before: &PlanGraph,
    subject: &Subject<'_>,
    proposal: &Proposal,
    suggestion: &mut Suggestion,
    planner: &mut dyn Planner,
) -> Result<Option<(f64, Accepted)>, PlanError> {
    let (Some(text), Some(before_cost)) =
        (rewrite::rewritten(subject, proposal), before.total_cost())
    else {
        return Ok(None);
    };
    let (mut statements, _) = sql::read(context.statement.span.source, &text);
    let Some(mut statement) = statements.pop() else {
        return Ok(None);
    };
    if !sql::resolve(&mut statement, context.catalog).is_empty() {
        return Ok(None);
    }
    let planned = Planned::from(&statement);
    let plan = match planner.plan(planned, PlanOptions::default()) {
        Ok(plan) => plan,
        Err(error @ (PlanError::Lost { .. } | PlanError::TimedOut { .. })) => return Err(error),
        // The server does not take it: so much for the proof.
        Err(_) => return Ok(None),
    };
    let enough = before_cost * (1.0 - context.options.min_gain);
    let checked = vec![CHECKED.to_owned()];
    if let Some(cost) = plan.total_cost()
        && cost <= enough
    {
        suggestion.verdict = verdict(before, &plan, context.engine, checked);
        let accepted = Accepted {
            statement,
            plan,
            choice: None,
        };
        return Ok(Some((cost, accepted)));
    }
    let choice = match indexes::choose(
        &statement,
        &plan,
        context.catalog,
        planner,
        context.options.min_gain,
    ) {
        // What it would be with an index nobody can say.
        Err(PlanError::Unsupported { .. }) => return Ok(None),
        other => other?.choice,
    };
    // The statement as it was, on the planner that supposed the indexes.
    let there = match &choice {
        Some(_) => Elsewhere::of(planner, context.planned(), before)?,
        None => None,
    };
    let (before, engine) = match &there {
        Some(there) => (&there.plan, there.engine.as_str()),
        None => (before, context.engine),
    };
    let enough = before
        .total_cost()
        .map_or(enough, |cost| cost * (1.0 - context.options.min_gain));
    match choice {
        Some(choice) if choice.after <= enough => {
            let names: Vec<&str> = choice
                .indexes
                .iter()
                .map(|chosen| chosen.spec.name.as_str())
                .collect();
            let Verdict::Better(mut comparison) = verdict(before, &choice.plan, engine, checked)
            else {
                return Ok(None);
            };
            comparison
                .checked
                .extend(there.iter().flat_map(|there| there.said.iter().cloned()));
            comparison.checked.push(format!(
                "only together with the suggested index {}: alone the rewrite saves too little",
                names.join(" and ")
            ));
            let cost = choice.after;
            suggestion.verdict = Verdict::Better(comparison);
            Ok(Some((
                cost,
                Accepted {
                    statement,
                    plan,
                    choice: Some(choice),
                },
            )))
        }
        _ => Ok(None),
    }
}

fn mended(findings: &mut [Finding], span: Span) -> Option<&mut Finding> {
    let meets = |at: &Span| at.start < span.end && span.start < at.end;
    findings
        .iter_mut()
        .filter(|finding| {
            // One finding may be about several places of the statement.
            let mut others = finding.evidence.iter().filter_map(|one| match &one.from {
                Origin::Sql(at) => Some(at),
                _ => None,
            });
            MENDED_BY_REWRITE.contains(&finding.rule)
                && (finding.span.as_ref().is_some_and(meets) || others.any(meets))
        })
        .max_by(|a, b| a.share.total_cmp(&b.share))
}

/// Says at the finding why a rewrite is not offered.
fn tell(findings: &mut [Finding], span: Span, proposal: &Proposal, reason: &str) {
    if let Some(finding) = mended(findings, span) {
        finding.evidence.push(Evidence::new(
            format!("not offered: {}", proposal.title),
            Value::Text(reason.to_owned()),
            Origin::Sql(span),
        ));
    }
}

fn attach(
    context: &Context<'_>,
    before: &PlanGraph,
    findings: &mut Vec<Finding>,
    proposal: &Proposal,
    suggestion: Suggestion,
    after: f64,
) {
    if let Some(finding) = mended(findings, proposal.span) {
        finding.suggestions.push(suggestion);
        return;
    }
    let meta = CheaperEquivalentQuery.meta();
    if context.options.rules.off.contains(meta.id) {
        return;
    }
    let cost = before.total_cost().unwrap_or(0.0);
    let share = ((cost - after) / cost).clamp(0.0, 1.0);
    findings.push(Finding {
        rule: meta.id,
        level: level_of(context, meta.id, share, cost - after),
        span: Some(proposal.span),
        node: None,
        relation: None,
        message: format!("the same result is cheaper to ask for: {}", proposal.title),
        why: format!(
            "The planner's cost of the statement falls from {cost:.0} to {after:.0} when it is \
             written the other way."
        ),
        evidence: vec![
            Evidence::new(
                "cost as written",
                Value::Cost(cost),
                Origin::Formula("the planner's total cost"),
            ),
            Evidence::new(
                "cost rewritten",
                Value::Cost(after),
                Origin::Formula("the planner's total cost"),
            ),
        ],
        suggestions: vec![suggestion],
        share,
    });
}
