//! Statistics advice, tried: the objects are created and the tables analysed
//! on a throw-away cluster, over its own rows or a sample of a live server's,
//! and the estimates before and after compared with what was measured.

use std::collections::BTreeSet;

use super::attach::Context;
use crate::finding::{Change, Comparison, Finding, Level, Verdict};
use crate::plan::metrics::rows_of_all;
use crate::plan::{NodeId, NodeKind, PlanGraph, PlanNode};
use crate::source::SourceId;
use crate::verify::compare::plan_change;
use crate::verify::{ChangeOutcome, PlanError, Planner, Supposition};

/// An estimate counts as mended when its error shrinks by this factor.
const MENDED: f64 = 2.0;

/// Tries every statistics suggestion; those that mend nothing are taken out.
pub fn verify(context: &Context<'_>, findings: &mut [Finding], planner: &mut dyn Planner) {
    let Some(plan) = context.given else {
        return;
    };
    for finding in findings {
        let node = finding.node;
        let mut useless = Vec::new();
        for (at, suggestion) in finding.suggestions.iter_mut().enumerate() {
            let (sql, relation) = match &suggestion.change {
                Change::CreateStatistics { sql, relation } | Change::Analyze { sql, relation } => {
                    (sql, relation)
                }
                Change::Alter { sql } => {
                    let verdict = altered(context, plan, planner, node, sql);
                    if matches!(verdict, Verdict::NoChange(_)) {
                        useless.push(at);
                    }
                    suggestion.verdict = verdict;
                    continue;
                }
                _ => continue,
            };
            let (statements, _) = crate::sql::read(SourceId::default(), sql);
            let statements: Vec<String> = statements
                .into_iter()
                .map(|statement| statement.text)
                .collect();
            let supposition = Supposition::Statistics {
                statements: statements.clone(),
                relations: vec![relation.clone()],
            };
            match planner.what_if(&[context.planned()], &[supposition]) {
                Ok(mut what_if) => match what_if.plans.pop() {
                    Some(Ok(after)) => {
                        let before = elsewhere(context, planner, relation);
                        let mut serial = (None, None);
                        if let Some((before, _)) = &before
                            && [before, &after].into_iter().any(has_gather)
                        {
                            serial.0 = serially(context, planner, relation, &[]);
                            serial.1 = serially(context, planner, relation, &statements);
                        }
                        let plans = Plans {
                            given: plan,
                            before_serial: serial.0.as_ref(),
                            after: &after,
                            after_serial: serial.1.as_ref(),
                            elsewhere: before.as_ref(),
                        };
                        let mut verdict = judge(&plans, node, context.engine);
                        if let Verdict::BetterEstimate(comparison) = &mut verdict {
                            let notes = what_if.changes.into_iter().flat_map(|made| made.notes);
                            comparison.checked.extend(notes);
                        }
                        suggestion.verdict = verdict;
                        if matches!(suggestion.verdict, Verdict::NoChange(_)) {
                            useless.push(at);
                        }
                    }
                    Some(Err(error)) => suggestion.verdict = untested(&error),
                    None => {}
                },
                Err(error) => suggestion.verdict = untested(&error),
            }
        }
        let refuted = !useless.is_empty();
        for at in useless.into_iter().rev() {
            finding.suggestions.remove(at);
        }
        // Of a guessed cause whose cure mends nothing, too little is left for
        // more than a note; a level that the user chose stays.
        if refuted
            && finding.suggestions.is_empty()
            && !context.options.rules.levels.contains_key(finding.rule)
        {
            finding.level = Level::Note;
        }
    }
}

/// Tries what the planner is told by other SQL than statistics.
fn altered(
    context: &Context<'_>,
    given: &PlanGraph,
    planner: &mut dyn Planner,
    node: Option<NodeId>,
    sql: &str,
) -> Verdict {
    let (statements, _) = crate::sql::read(SourceId::default(), sql);
    let change = |more: &[&str]| -> Vec<Supposition> {
        let own = statements.iter().map(|statement| statement.text.clone());
        more.iter()
            .map(|text| (*text).to_owned())
            .chain(own)
            .map(Supposition::Sql)
            .collect()
    };
    let tried = match planner.try_change(&[context.planned()], &change(&[])) {
        Ok(tried) => tried,
        Err(error) => return untested(&error),
    };
    let refused = tried
        .after
        .changes
        .iter()
        .find_map(|made| match &made.outcome {
            ChangeOutcome::Refused { message, .. } => Some(message.clone()),
            _ => None,
        });
    if let Some(message) = refused {
        return Verdict::Untested {
            why: format!("the planner refused it: {message}"),
        };
    }
    let mut both = tried.before.into_iter().zip(tried.after.plans);
    let (before, after) = match both.next() {
        Some((Ok(before), Ok(after))) => (before, after),
        Some((Err(error), _) | (_, Err(error))) => return untested(&error),
        None => {
            return Verdict::Untested {
                why: "the planner gave no plan".to_owned(),
            };
        }
    };
    let mut serial = (None, None);
    if [&before, &after].into_iter().any(has_gather)
        && let Ok(tried) = planner.try_change(&[context.planned()], &change(&[SERIAL_SESSION]))
    {
        let without = [Supposition::Sql(SERIAL_SESSION.to_owned())];
        serial.0 = planner
            .try_change(&[context.planned()], &without)
            .ok()
            .and_then(|mut tried| tried.after.plans.pop()?.ok());
        serial.1 = tried.after.plans.into_iter().next().and_then(Result::ok);
    }
    let elsewhere = (before, tried.engine.description);
    let plans = Plans {
        given,
        before_serial: serial.0.as_ref(),
        after: &after,
        after_serial: serial.1.as_ref(),
        elsewhere: Some(&elsewhere),
    };
    judge(&plans, node, context.engine)
}

/// The statement as another planner plans it with nothing changed, where that
/// one tries the statistics; and its name.
fn elsewhere(
    context: &Context<'_>,
    planner: &mut dyn Planner,
    relation: &(String, String),
) -> Option<(PlanGraph, String)> {
    let engine = planner.what_if_engine()?;
    let nothing = Supposition::Statistics {
        statements: Vec::new(),
        relations: vec![relation.clone()],
    };
    let what_if = planner.what_if(&[context.planned()], &[nothing]);
    let plan = what_if.ok()?.plans.pop()?.ok()?;
    Some((plan, engine.description))
}

/// Sees to it that the next plan has no parallel parts.
const SERIAL: &str = "SET LOCAL max_parallel_workers_per_gather = 0";

/// The same where a change is supposed as SQL.
const SERIAL_SESSION: &str = "SET max_parallel_workers_per_gather = 0";

/// The statement planned without workers, after these changes. A partial scan's
/// rows are those of one of its processes, and a plan does not say how many
/// the planner reckoned with: another part of it may have asked for more.
fn serially(
    context: &Context<'_>,
    planner: &mut dyn Planner,
    relation: &(String, String),
    changes: &[String],
) -> Option<PlanGraph> {
    let mut statements = vec![SERIAL.to_owned()];
    statements.extend_from_slice(changes);
    let supposition = Supposition::Statistics {
        statements,
        relations: vec![relation.clone()],
    };
    let what_if = planner.what_if(&[context.planned()], &[supposition]);
    what_if.ok()?.plans.pop()?.ok()
}

fn has_gather(plan: &PlanGraph) -> bool {
    plan.nodes()
        .any(|(_, node)| matches!(node.kind, NodeKind::Gather | NodeKind::GatherMerge))
}

/// The plans that are compared.
struct Plans<'a> {
    /// The one that the finding is about.
    given: &'a PlanGraph,
    /// The same as another planner has it, which tries the change; its name.
    elsewhere: Option<&'a (PlanGraph, String)>,
    after: &'a PlanGraph,
    /// Both without parallel parts, where there are some.
    before_serial: Option<&'a PlanGraph>,
    after_serial: Option<&'a PlanGraph>,
}

fn untested(error: &PlanError) -> Verdict {
    Verdict::Untested {
        why: match error {
            PlanError::Unsupported { what } => what.clone(),
            other => format!("the planner refused it: {other}"),
        },
    }
}

/// Compares the estimates of the node, found again in the new plan by what it
/// reads, with the rows that were measured.
fn judge(plans: &Plans<'_>, node: Option<NodeId>, engine: &str) -> Verdict {
    let Plans {
        given,
        elsewhere,
        after,
        ..
    } = *plans;
    let (before, engine) = match elsewhere {
        Some((plan, engine)) => (plan, engine.as_str()),
        None => (given, engine),
    };
    let (Some(before_cost), Some(after_cost)) = (before.total_cost(), after.total_cost()) else {
        return Verdict::Untested {
            why: "the plans have no costs".to_owned(),
        };
    };
    let mut comparison = Comparison {
        before_cost,
        after_cost,
        engine: engine.to_owned(),
        plan_change: plan_change(before, after),
        checked: Vec::new(),
        measured_ms: None,
    };
    // A bitmap's rows are those of the scan that it is for, which is there in
    // every plan.
    let node = node.map(|id| {
        let is_bitmap = matches!(
            given.node(id).kind,
            NodeKind::BitmapIndexScan | NodeKind::BitmapAnd | NodeKind::BitmapOr
        );
        given
            .ancestors(id)
            .find(|up| is_bitmap && given.node(*up).kind == NodeKind::BitmapHeapScan)
            .unwrap_or(id)
    });
    let Some(id) = node else {
        return if comparison.plan_change.is_some() {
            Verdict::BetterEstimate(comparison)
        } else {
            Verdict::NoChange(comparison)
        };
    };
    let old = given.node(id);
    let estimate = |plan: &PlanGraph| rows_of_all(plan, again(plan, given, id)?).0;
    let (was, actual) = match elsewhere {
        Some((plan, _)) => (
            estimate(plans.before_serial.unwrap_or(plan)),
            rows_of_all(given, id).1,
        ),
        None => rows_of_all(given, id),
    };
    let (Some(was), Some(is)) = (was, estimate(plans.after_serial.unwrap_or(after))) else {
        return Verdict::NoChange(comparison);
    };
    let told = format!(
        "the estimate of {} goes from {was:.0} to {is:.0} rows",
        old.label()
    );
    let is_mended = if let Some(rows) = actual {
        comparison
            .checked
            .push(format!("{told}; {rows:.0} were measured"));
        error(was, rows) >= MENDED * error(is, rows)
    } else {
        comparison.checked.push(told);
        error(was, is) >= MENDED || comparison.plan_change.is_some()
    };
    if is_mended {
        Verdict::BetterEstimate(comparison)
    } else {
        Verdict::NoChange(comparison)
    }
}

/// The node in another plan that does what that one does: reads the same, or,
/// where it reads nothing itself, works on what the same tables give.
fn again(plan: &PlanGraph, given: &PlanGraph, id: NodeId) -> Option<NodeId> {
    let old = given.node(id);
    if old.relation.alias.is_some() {
        return plan
            .nodes()
            .filter(|(_, new)| new.relation.alias == old.relation.alias)
            // A bitmap's heap and index scans have the same alias or none; the
            // node of the same kind is the better match.
            .max_by_key(|(_, new)| new.kind == old.kind)
            .map(|(id, _)| id);
    }
    let read = reads(given, id);
    let alike = |new: &PlanNode| {
        new.kind == old.kind
            || is_join(&new.kind) && is_join(&old.kind)
            || is_grouped(&new.kind) && is_grouped(&old.kind)
    };
    plan.nodes()
        .filter(|(_, new)| alike(new))
        .filter(|(new, _)| reads(plan, *new) == read)
        .max_by_key(|(_, new)| new.kind == old.kind)
        .map(|(id, _)| id)
}

fn is_join(kind: &NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin
    )
}

fn is_grouped(kind: &NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Aggregate | NodeKind::Group | NodeKind::Unique
    )
}

/// What is read at and below a node, by alias.
fn reads(plan: &PlanGraph, id: NodeId) -> BTreeSet<&str> {
    plan.subtree(id)
        .into_iter()
        .filter_map(|below| plan.node(below).relation.alias.as_deref())
        .collect()
}

fn error(estimate: f64, rows: f64) -> f64 {
    let (estimate, rows) = (estimate.max(1.0), rows.max(1.0));
    (estimate / rows).max(rows / estimate)
}
