//! The sentences that the formats for people share: where a finding is, what
//! was checked and by whom, and how the run ended. Words, no layout.

use std::collections::BTreeMap;

use super::format::{self, plural};
use super::model::{
    Finding, Origin, Plan, PlanFrom, Report, SideEffect, SideEffectKind, Statement, VerdictStatus,
};

/// `orders.sql:3:7, plan node 2: Seq Scan on orders`.
pub(super) fn place(finding: &Finding) -> String {
    let mut parts = Vec::new();
    if let Some(place) = &finding.place {
        parts.push(place.text());
    }
    if let Some(node) = &finding.node {
        parts.push(format!("plan node {}: {}", node.id, node.label));
    }
    if parts.is_empty()
        && let Some(relation) = &finding.relation
    {
        parts.push(format!("table {}.{}", relation.schema, relation.name));
    }
    if parts.is_empty() {
        parts.push("the statement as a whole".to_owned());
    }
    parts.join(", ")
}

/// `up to 120 ms, 41 % of the time`: what could be saved at most.
pub(super) fn saves(finding: &Finding) -> Option<String> {
    if finding.share <= 0.0 {
        return None;
    }
    let share = format::share(finding.share);
    Some(match finding.saves_ms {
        Some(ms) => format!("up to {}, {share} of the time", format::ms(ms)),
        None => format!("up to {share} of the planner's cost"),
    })
}

/// Where a number was read.
pub(super) fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Plan { node } => format!("plan node {}", node.id),
        Origin::Sql { place: Some(place) } => format!("line {}", place.line),
        Origin::Sql { place: None } => "the SQL".to_owned(),
        Origin::Catalog { object } => format!("catalog: {object}"),
        Origin::Statistics { object } => format!("statistics: {object}"),
        Origin::Formula { name } => format!("computed: {name}"),
    }
}

/// What the plan is and where it comes from.
pub(super) fn plan(statement: &Statement, plan: &Plan) -> String {
    let from = match &statement.plan_from {
        Some(PlanFrom::Planner { engine }) => format!("by {}", engine.description),
        Some(PlanFrom::File { file }) => format!("given in {file}"),
        None => String::new(),
    };
    let mut text = if plan.executed {
        match plan
            .execution_ms
            .or_else(|| plan.nodes.first().and_then(|node| node.total_ms))
        {
            Some(ms) => format!("executed in {}", format::ms(ms)),
            None => "executed".to_owned(),
        }
    } else {
        match plan.total_cost {
            Some(cost) => format!("not executed; estimated cost {}", format::cost(cost)),
            None => "not executed".to_owned(),
        }
    };
    if plan.executed
        && let Some(ms) = plan.planning_ms
    {
        text.push_str(&format!(", planned in {}", format::ms(ms)));
    }
    if !from.is_empty() {
        text.push_str(", ");
        text.push_str(&from);
    }
    text
}

/// A change's price.
pub(super) fn side_effect(effect: &SideEffect) -> String {
    let kind = match effect.kind {
        SideEffectKind::Disk => "costs",
        SideEffectKind::Writes => "writes",
        SideEffectKind::Lock => "lock",
        SideEffectKind::Caller => "callers",
    };
    format!("{kind}: {}", effect.text)
}

/// Whether rules were asked at all: statements that have no plan are left out.
pub(super) fn was_checked(statement: &Statement) -> bool {
    !(statement.rules.ran.is_empty() && statement.rules.skipped.is_empty())
}

/// What to say when there are no findings. Silence is never a pass, so it says
/// what it rests on.
pub(super) fn nothing_found(statement: &Statement) -> String {
    let ran = statement.rules.ran.len();
    if ran == 0 {
        return "nothing found, but no rule could look at the statement".to_owned();
    }
    let basis = match &statement.plan {
        Some(plan) if plan.executed && statement.sql.is_some() => "its SQL and its executed plan",
        Some(plan) if plan.executed => "its executed plan",
        Some(_) if statement.sql.is_some() => "its SQL and its estimated plan",
        Some(_) => "its estimated plan",
        None => "its SQL alone, without a plan",
    };
    let silenced = match statement.suppressed.len() {
        0 => String::new(),
        n => format!(", apart from {} silenced", plural(n, "finding", "findings")),
    };
    format!(
        "nothing found{silenced}: {} looked at {basis}",
        plural(ran, "rule", "rules")
    )
}

/// What ran, what could not, what it lacked and how to give it, and which
/// planner answered.
pub(super) fn checked(statement: &Statement, detailed: bool) -> Vec<String> {
    let rules = &statement.rules;
    let mut lines = Vec::new();
    if rules.ran.len() + rules.skipped.len() + rules.crashed.len() + rules.off.len() > 0 {
        let mut line = format!("{} ran", plural(rules.ran.len(), "rule", "rules"));
        if !rules.skipped.is_empty() {
            line.push_str(&format!(", {} skipped", rules.skipped.len()));
        }
        if !rules.off.is_empty() {
            line.push_str(&format!(", {} switched off", rules.off.len()));
        }
        lines.push(line);
    }
    // Rules that lack the same things are told together.
    let mut lacking: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for skipped in &rules.skipped {
        let missing = skipped
            .missing
            .iter()
            .map(|missing| missing.remedy.as_str())
            .collect();
        lacking.entry(missing).or_default().push(&skipped.rule);
    }
    for (missing, names) in lacking {
        let need = if names.len() == 1 { "needs" } else { "need" };
        let mut line = format!(
            "skipped: {} {need} {}",
            plural(names.len(), "rule", "rules"),
            missing.join(", and ")
        );
        if detailed {
            line.push_str(&format!(": {}", names.join(", ")));
        }
        lines.push(line);
    }
    for crashed in &rules.crashed {
        lines.push(format!(
            "the rule {} failed, which is a bug in pgadvise worth reporting: {}",
            crashed.rule, crashed.message
        ));
    }
    let engine = match (&statement.engine, &statement.plan_from) {
        (Some(engine), _) | (None, Some(PlanFrom::Planner { engine })) => Some(engine),
        _ => None,
    };
    if let Some(engine) = engine {
        lines.push(format!("planner: {}", engine.description));
        lines.extend(engine.notes.iter().cloned());
    }
    lines
}

/// Whether what was checked, and by whom, is the same for all statements.
pub(super) fn same_for_all(statements: &[Statement]) -> bool {
    let account = |statement: &Statement| {
        let mut lines = checked(statement, true);
        lines.sort();
        lines
    };
    let mut accounts = statements
        .iter()
        .filter(|statement| !statement.failed)
        .map(account);
    match accounts.next() {
        Some(first) => !first.is_empty() && accounts.all(|other| other == first),
        None => false,
    }
}

/// A planner tried one of the suggestions at least.
fn is_any_tested(report: &Report) -> bool {
    report
        .statements
        .iter()
        .flat_map(|statement| &statement.findings)
        .flat_map(|finding| &finding.suggestions)
        .any(|suggestion| suggestion.verdict.status != VerdictStatus::Untested)
}

/// How the run ended, in a sentence.
pub(super) fn totals(report: &Report) -> String {
    let totals = &report.totals;
    let mut parts = Vec::new();
    for (number, name) in [
        (totals.critical, "critical"),
        (totals.warning, "warning"),
        (totals.note, "note"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {name}"));
        }
    }
    let found = if parts.is_empty() {
        "nothing found".to_owned()
    } else {
        format!(
            "{} ({})",
            plural(totals.findings, "finding", "findings"),
            parts.join(", ")
        )
    };
    let mut text = format!(
        "{}: {found}",
        plural(totals.statements, "statement", "statements")
    );
    if totals.suggestions > 0 {
        text.push_str(&format!(
            "; {}",
            plural(totals.suggestions, "suggestion", "suggestions")
        ));
        // Where no planner was at hand, that none is better says nothing.
        if is_any_tested(report) {
            text.push_str(&format!(
                ", {} of them better by the planner's cost",
                totals.better
            ));
        } else {
            text.push_str(", not tested");
        }
    }
    if totals.suppressed > 0 {
        text.push_str(&format!("; {} silenced", totals.suppressed));
    }
    if totals.failed > 0 {
        text.push_str(&format!(
            "; {} could not be done in full",
            plural(totals.failed, "statement", "statements")
        ));
    }
    text
}
