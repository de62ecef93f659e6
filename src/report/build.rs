//! Builds the report from what the advice found. The only place that knows
//! both the types inside and those of the report; it renders nothing.

use std::collections::HashMap;

use petgraph::visit::EdgeRef as _;
use serde_json::Value as Json;

use super::format;
use super::model;
use super::rewritten::{rewritten_sql, unified_diff};
use crate::advise::{Analysis, Outcome, PlanFrom};
use crate::finding::{self, Applicability, Change, Evidence, Finding, Level, Origin, SideEffect};
use crate::plan::resources::Server;
use crate::plan::{ConditionRole, NodeId, PlanEdge, PlanGraph, metrics};
use crate::source::{Problem, Sources, Span};
use crate::verify::Engine;

/// The report of one run. `problems` are those that belong to no statement.
pub fn build(
    analyses: &[Analysis],
    sources: &Sources,
    problems: Vec<model::Problem>,
) -> model::Report {
    let builder = Builder { sources };
    let mut report = model::Report {
        schema_version: model::SCHEMA_VERSION,
        tool: model::Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        what_if: None,
        log: None,
        statements: analyses
            .iter()
            .map(|analysis| builder.statement(analysis))
            .collect(),
        problems,
        totals: model::Totals::default(),
    };
    report.count();
    report
}

/// A problem of an input as the report shows it.
pub fn problem(problem: &Problem, severity: model::Severity, sources: &Sources) -> model::Problem {
    model::Problem {
        kind: model::ProblemKind::Input,
        severity,
        message: problem.message.clone(),
        causes: Vec::new(),
        place: problem.at.and_then(|span| place(span, sources)),
        hints: problem.hint.iter().cloned().collect(),
    }
}

pub(super) struct Builder<'a> {
    pub(super) sources: &'a Sources,
}

impl Builder<'_> {
    fn statement(&self, analysis: &Analysis) -> model::Statement {
        let plan = analysis.plan.as_ref();
        let total_ms = plan.and_then(|plan| metrics::metrics(plan).total_ms);
        let statement = analysis.statement.as_ref();
        let finding = |finding: &Finding| model::Finding {
            saves_ms: total_ms.and_then(|ms| format::finite(ms * finding.share)),
            ..self.finding(finding, analysis)
        };
        let severity = if analysis.failed {
            model::Severity::Error
        } else {
            model::Severity::Warning
        };
        model::Statement {
            place: statement.and_then(|statement| place(statement.span, self.sources)),
            sql: statement.map(|statement| statement.text.clone()),
            explain: plan.map(|plan| Json::Array(vec![plan.document.clone()])),
            plan_from: analysis.plan_from.as_ref().map(|from| match from {
                PlanFrom::Planner(planner) => model::PlanFrom::Planner {
                    engine: engine(planner),
                },
                PlanFrom::Given(file) => model::PlanFrom::File { file: file.clone() },
            }),
            engine: analysis.engine.as_ref().map(engine),
            plan: plan.map(|plan| {
                let mut table = plan_table(plan);
                passed(&mut table, analysis);
                table
            }),
            parameters: analysis.parameters.as_ref().map(super::parameters::build),
            resources: plan.map(|plan| super::resources::of(plan, &Server::default())),
            what_if: None,
            findings: analysis.findings.iter().map(&finding).collect(),
            suppressed: analysis
                .suppressed
                .iter()
                .map(|(silenced, reason)| model::Suppressed {
                    reason: reason.clone(),
                    finding: finding(silenced),
                })
                .collect(),
            rules: rules(&analysis.outcomes),
            problems: analysis
                .problems
                .iter()
                .map(|trouble| problem(trouble, severity, self.sources))
                .collect(),
            failed: analysis.failed,
        }
    }

    fn finding(&self, finding: &Finding, analysis: &Analysis) -> model::Finding {
        let plan = analysis.plan.as_ref();
        model::Finding {
            rule: finding.rule.to_owned(),
            level: finding.level.into(),
            message: finding.message.clone(),
            why: finding.why.clone(),
            place: finding.span.and_then(|span| place(span, self.sources)),
            node: finding.node.and_then(|id| node_ref(id, plan)),
            relation: finding
                .relation
                .as_ref()
                .map(|(schema, name)| model::Relation {
                    schema: schema.clone(),
                    name: name.clone(),
                }),
            share: format::finite(finding.share).unwrap_or(0.0),
            saves_ms: None,
            evidence: finding
                .evidence
                .iter()
                .map(|evidence| self.evidence(evidence, plan))
                .collect(),
            suggestions: finding
                .suggestions
                .iter()
                .map(|suggestion| self.suggestion(suggestion, analysis))
                .collect(),
        }
    }

    pub(super) fn evidence(
        &self,
        evidence: &Evidence,
        plan: Option<&PlanGraph>,
    ) -> model::Evidence {
        let (value, unit, text) = format::value(&evidence.value);
        model::Evidence {
            label: evidence.label.clone(),
            value,
            unit,
            text,
            from: match &evidence.from {
                Origin::Plan(id) => model::Origin::Plan {
                    node: node_ref(*id, plan).unwrap_or_else(|| model::NodeRef {
                        id: id.index() + 1,
                        label: String::new(),
                    }),
                },
                Origin::Sql(span) => model::Origin::Sql {
                    place: place(*span, self.sources),
                },
                Origin::Catalog(object) => model::Origin::Catalog {
                    object: object.clone(),
                },
                Origin::Statistics(object) => model::Origin::Statistics {
                    object: object.clone(),
                },
                Origin::Formula(name) => model::Origin::Formula {
                    name: (*name).to_owned(),
                },
            },
        }
    }

    pub(super) fn suggestion(
        &self,
        suggestion: &finding::Suggestion,
        analysis: &Analysis,
    ) -> model::Suggestion {
        let mut sql = None;
        let mut rewritten = None;
        let mut diff = None;
        let mut advice = None;
        let kind = match &suggestion.change {
            Change::CreateIndex(index) => {
                sql = Some(terminated(&index.concurrent_sql()));
                model::SuggestionKind::CreateIndex
            }
            Change::CreateStatistics { sql: text, .. } => {
                sql = Some(terminated(text));
                model::SuggestionKind::CreateStatistics
            }
            Change::Analyze { sql: text, .. } => {
                sql = Some(terminated(text));
                model::SuggestionKind::Analyze
            }
            Change::Setting { sql: text } => {
                sql = Some(terminated(text));
                model::SuggestionKind::Setting
            }
            Change::Alter { sql: text } => {
                sql = Some(terminated(text));
                model::SuggestionKind::Alter
            }
            Change::Rewrite { edits } => {
                if let Some(statement) = &analysis.statement {
                    rewritten = rewritten_sql(statement.span, edits, self.sources);
                    diff = unified_diff(statement.span, edits, self.sources);
                }
                model::SuggestionKind::Rewrite
            }
            Change::Advice { text } => {
                advice = Some(text.clone());
                model::SuggestionKind::Advice
            }
        };
        model::Suggestion {
            title: suggestion.title.clone(),
            kind,
            applicability: match suggestion.applicability {
                Applicability::Manual => model::Applicability::Manual,
                Applicability::MayChangeResults => model::Applicability::MayChangeResults,
                Applicability::SameResults => model::Applicability::SameResults,
            },
            sql,
            rewritten_sql: rewritten,
            diff,
            advice,
            side_effects: suggestion.side_effects.iter().map(side_effect).collect(),
            preconditions: suggestion
                .preconditions
                .iter()
                .map(|condition| model::Precondition {
                    claim: condition.claim.clone(),
                    proof: condition.proof.clone(),
                })
                .collect(),
            verdict: verdict(&suggestion.verdict),
        }
    }
}

pub(super) fn place(span: Span, sources: &Sources) -> Option<model::Place> {
    let text = sources.get(span.source)?;
    let start = text.line_column(span.start);
    let end = text.line_column(span.end);
    Some(model::Place {
        file: text.name().to_owned(),
        line: start.line,
        column: start.column,
        end_line: end.line,
        end_column: end.column,
    })
}

pub(super) fn engine(engine: &Engine) -> model::Engine {
    model::Engine {
        description: engine.description.clone(),
        notes: engine.notes.clone(),
    }
}

pub(super) fn node_ref(id: NodeId, plan: Option<&PlanGraph>) -> Option<model::NodeRef> {
    let plan = plan?;
    Some(model::NodeRef {
        id: id.index() + 1,
        label: plan.graph.node_weight(id)?.label(),
    })
}

pub(super) fn plan_table(plan: &PlanGraph) -> model::Plan {
    let metrics = metrics::metrics(plan);
    let parents: HashMap<NodeId, (NodeId, PlanEdge)> = plan
        .graph
        .edge_references()
        .filter(|edge| edge.weight().is_tree())
        .map(|edge| (edge.target(), (edge.source(), *edge.weight())))
        .collect();
    let nodes = plan
        .nodes()
        .map(|(id, node)| {
            let derived = metrics.node(id);
            let parent = parents.get(&id);
            let role = node.subplan_name.clone().or(match parent {
                Some((_, PlanEdge::InitPlan)) => Some("InitPlan".to_owned()),
                Some((_, PlanEdge::SubPlan)) => Some("SubPlan".to_owned()),
                _ => None,
            });
            model::PlanNode {
                id: id.index() + 1,
                parent: parent.map(|(above, _)| above.index() + 1),
                role,
                label: node.label(),
                conditions: node
                    .conditions
                    .iter()
                    .map(|condition| model::Condition {
                        role: role_name(condition.role).to_owned(),
                        text: condition.text.clone(),
                    })
                    .collect(),
                cost: node.estimate.and_then(|e| format::finite(e.total_cost)),
                self_cost: derived.self_cost.and_then(format::finite),
                total_ms: derived.total_ms.and_then(format::finite),
                self_ms: derived.self_ms.and_then(format::finite),
                share: format::finite(derived.self_share).unwrap_or(0.0),
                total_share: format::finite(derived.total_share).unwrap_or(0.0),
                rows_estimated: node.estimate.and_then(|e| format::finite(e.rows)),
                rows_actual: node.actual.and_then(|a| format::finite(a.rows_per_loop)),
                rows_removed: node
                    .rows_removed_by_filter_per_loop
                    .and_then(format::finite),
                loops: node.actual.and_then(|a| format::finite(a.loops)),
                estimate_error: derived.q_error.and_then(format::finite),
                underestimated: derived.underestimated,
                never_executed: derived.never_executed,
                details: super::nodes::details(id, node, derived),
                why_not_flagged: Vec::new(),
            }
        })
        .collect();
    model::Plan {
        executed: plan.has_actuals(),
        planning_ms: plan.run.planning_ms.and_then(format::finite),
        execution_ms: plan.run.execution_ms.and_then(format::finite),
        total_cost: plan.total_cost().and_then(format::finite),
        remainder_ms: format::finite(metrics.remainder_ms).unwrap_or(0.0),
        accuracy: metrics.total_ms.map(|_| model::Accuracy {
            rounded_ms: format::finite(metrics.account.rounded_ms).unwrap_or(0.0),
            raised_ms: format::finite(metrics.account.raised_ms).unwrap_or(0.0),
            scaled_ms: format::finite(metrics.account.scaled_ms).unwrap_or(0.0),
            ambiguous_ms: format::finite(metrics.account.ambiguous_ms).unwrap_or(0.0),
        }),
        beside: metrics.total_ms.map(|_| model::Beside {
            afterwards_ms: format::finite(metrics.beside.afterwards_ms).unwrap_or(0.0),
            triggers_ms: format::finite(metrics.beside.triggers_ms).unwrap_or(0.0),
            triggers_inside_ms: format::finite(metrics.beside.triggers_inside_ms).unwrap_or(0.0),
            serialization_ms: metrics.beside.serialization_ms.and_then(format::finite),
            jit_ms: metrics.beside.jit_ms.and_then(format::finite),
            rest_ms: metrics.beside.rest_ms.and_then(format::finite),
        }),
        nodes,
        run: super::nodes::run(&plan.run),
    }
}

/// Why nodes were not flagged, where that was asked.
fn passed(plan: &mut model::Plan, analysis: &Analysis) {
    for passed in &analysis.passed {
        if let Some(node) = plan.nodes.get_mut(passed.node.index()) {
            node.why_not_flagged.push(model::Passed {
                rule: passed.rule.to_owned(),
                reason: passed.reason.clone(),
            });
        }
    }
}

pub(super) fn role_name(role: ConditionRole) -> &'static str {
    match role {
        ConditionRole::Filter => "Filter",
        ConditionRole::IndexCond => "Index Cond",
        ConditionRole::RecheckCond => "Recheck Cond",
        ConditionRole::JoinFilter => "Join Filter",
        ConditionRole::HashCond => "Hash Cond",
        ConditionRole::MergeCond => "Merge Cond",
        ConditionRole::OrderBy => "Order By",
        ConditionRole::TidCond => "TID Cond",
        ConditionRole::OneTimeFilter => "One-Time Filter",
        ConditionRole::ConflictFilter => "Conflict Filter",
        ConditionRole::RunCondition => "Run Condition",
    }
}

/// SQL that can be pasted: with its semicolon.
fn terminated(sql: &str) -> String {
    let sql = sql.trim_end();
    if sql.ends_with(';') {
        sql.to_owned()
    } else {
        format!("{sql};")
    }
}

fn side_effect(effect: &SideEffect) -> model::SideEffect {
    match effect {
        SideEffect::Disk { bytes, how } => model::SideEffect {
            kind: model::SideEffectKind::Disk,
            text: if how.is_empty() {
                format!("{} on disk", format::bytes(*bytes))
            } else {
                format!("{} on disk ({how})", format::bytes(*bytes))
            },
            bytes: format::finite(*bytes),
        },
        SideEffect::Writes(text) => other_effect(model::SideEffectKind::Writes, text),
        SideEffect::Lock(text) => other_effect(model::SideEffectKind::Lock, text),
        SideEffect::Caller(text) => other_effect(model::SideEffectKind::Caller, text),
    }
}

fn other_effect(kind: model::SideEffectKind, text: &str) -> model::SideEffect {
    model::SideEffect {
        kind,
        text: text.to_owned(),
        bytes: None,
    }
}

fn verdict(verdict: &finding::Verdict) -> model::Verdict {
    let compared = |status, comparison: &finding::Comparison| model::Verdict {
        status,
        before_cost: format::finite(comparison.before_cost),
        after_cost: format::finite(comparison.after_cost),
        engine: Some(comparison.engine.clone()),
        plan_change: comparison.plan_change.clone(),
        checked: comparison.checked.clone(),
        before_ms: comparison.measured_ms.and_then(|ms| format::finite(ms.0)),
        after_ms: comparison.measured_ms.and_then(|ms| format::finite(ms.1)),
        why: None,
    };
    match verdict {
        finding::Verdict::Better(comparison) => compared(model::VerdictStatus::Better, comparison),
        finding::Verdict::BetterEstimate(comparison) => {
            compared(model::VerdictStatus::BetterEstimate, comparison)
        }
        finding::Verdict::NoChange(comparison) => {
            compared(model::VerdictStatus::NoChange, comparison)
        }
        finding::Verdict::Worse(comparison) => compared(model::VerdictStatus::Worse, comparison),
        finding::Verdict::Untested { why } => model::Verdict {
            status: model::VerdictStatus::Untested,
            before_cost: None,
            after_cost: None,
            engine: None,
            plan_change: None,
            checked: Vec::new(),
            before_ms: None,
            after_ms: None,
            why: Some(why.clone()),
        },
    }
}

fn rules(outcomes: &[(&'static str, Outcome)]) -> model::Rules {
    let mut rules = model::Rules::default();
    for (name, outcome) in outcomes {
        let name = (*name).to_owned();
        match outcome {
            Outcome::Ran { .. } => rules.ran.push(name),
            Outcome::Skipped { missing } => rules.skipped.push(model::SkippedRule {
                rule: name,
                missing: missing
                    .iter()
                    .map(|need| model::Missing {
                        need: need.name().to_owned(),
                        remedy: need.remedy().to_owned(),
                    })
                    .collect(),
            }),
            Outcome::Crashed { message } => rules.crashed.push(model::CrashedRule {
                rule: name,
                message: message.clone(),
            }),
            Outcome::Off => rules.off.push(name),
        }
    }
    rules
}

impl From<Level> for model::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Note => Self::Note,
            Level::Warning => Self::Warning,
            Level::Critical => Self::Critical,
        }
    }
}
