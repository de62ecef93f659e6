//! Why a node of the plan was not flagged, by rule.
//!
//! Rules need to do nothing for it: each that could run is run once more with
//! weight left aside, and what it then says about a node was too light to be
//! told. A rule that decides by more than weight says so itself, by
//! [`crate::rule::Sink::pass`]; and of a rule that says nothing about a node of
//! a kind that it looks at, its pattern is not there.

use std::collections::BTreeSet;

use super::suppress::Suppressed;
use super::{Outcome, engine, merge};
use crate::finding::Finding;
use crate::plan::metrics::{Metrics, metrics};
use crate::plan::{NodeId, PlanGraph};
use crate::rule::{Need, Passed, Rule};
use crate::rules::support::weight::Weight;
use crate::subject::Subject;

/// Which nodes are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Every node, and of each what some rule saw there and left untold.
    All,
    /// The node of that number, from 1 in the order of printing: what every
    /// rule that looks at such a node has to say.
    Node(usize),
}

/// What the rules say about the nodes when they are asked.
#[expect(
    missing_debug_implementations,
    reason = "rules are trait objects, which have none"
)]
pub struct Asking<'a> {
    plan: Option<&'a PlanGraph>,
    metrics: Option<Metrics>,
    rules: &'a [&'a dyn Rule],
    asked: Asked,
    /// What each rule found, light or not.
    found: Vec<Finding>,
    /// What each rule passed over.
    passed: Vec<Passed>,
    has_actuals: bool,
}

impl<'a> Asking<'a> {
    /// Asks the rules.
    pub fn new(subject: &Subject<'a>, rules: &'a [&'a dyn Rule], asked: Asked) -> Self {
        let own = subject.plan.map(metrics);
        let subject_asked = Subject {
            metrics: own.as_ref(),
            whatever_weight: true,
            ..*subject
        };
        let (mut found, mut passed) = (Vec::new(), Vec::new());
        for rule in rules {
            if engine::missing(subject, rule.meta().needs).is_empty() {
                let (findings, over) = engine::ask(*rule, &subject_asked);
                found.extend(findings);
                passed.extend(over);
            }
        }
        Self {
            plan: subject.plan,
            has_actuals: subject.plan.is_some_and(PlanGraph::has_actuals),
            metrics: own,
            rules,
            asked,
            found,
            passed,
        }
    }

    /// The answer: by node, then by rule, each reason once.
    pub fn answer(self, outcomes: &[(&'static str, Outcome)], shown: &Suppressed) -> Vec<Passed> {
        let mut answers: Vec<Passed> = Vec::new();
        let silenced: Vec<&Finding> = shown.silenced.iter().map(|(found, _)| found).collect();
        let here = |findings: &[&Finding], rule: &str, node: NodeId| {
            findings
                .iter()
                .any(|finding| finding.rule == rule && finding.node == Some(node))
        };
        let kept: Vec<&Finding> = shown.kept.iter().collect();
        let wanted = |node: NodeId| match self.asked {
            Asked::All => true,
            Asked::Node(number) => node.index() + 1 == number,
        };
        let off = |rule: &str| {
            outcomes
                .iter()
                .any(|(id, outcome)| *id == rule && *outcome == Outcome::Off)
        };
        for finding in &self.found {
            let Some(node) = finding.node.filter(|node| wanted(*node)) else {
                continue;
            };
            if here(&kept, finding.rule, node) || off(finding.rule) {
                continue;
            }
            let reason = if here(&silenced, finding.rule, node) {
                "found, and silenced as the query or the configuration says".to_owned()
            } else {
                self.untold(finding, &shown.kept)
            };
            answers.push(Passed {
                rule: finding.rule,
                node,
                reason,
            });
        }
        let seen: BTreeSet<(&str, NodeId)> = answers
            .iter()
            .map(|answer| (answer.rule, answer.node))
            .collect();
        answers.extend(
            self.passed
                .iter()
                .filter(|passed| {
                    wanted(passed.node)
                        && !off(passed.rule)
                        && !seen.contains(&(passed.rule, passed.node))
                        && !here(&kept, passed.rule, passed.node)
                        && !here(&silenced, passed.rule, passed.node)
                })
                .cloned(),
        );
        if let Asked::Node(number) = self.asked {
            let told: BTreeSet<&str> = answers.iter().map(|answer| answer.rule).collect();
            let more = self.of_kind(number, outcomes, &told, &|rule, node| {
                here(&kept, rule, node)
            });
            answers.extend(more);
        }
        answers.sort_by(|a, b| (a.node, a.rule, &a.reason).cmp(&(b.node, b.rule, &b.reason)));
        answers.dedup();
        answers
    }

    /// Why a finding that the rule would make is not shown.
    fn untold(&self, finding: &Finding, shown: &[Finding]) -> String {
        if let Some(reason) = self
            .metrics
            .as_ref()
            .and_then(|metrics| Weight::too_light(metrics, finding.share))
        {
            return reason;
        }
        match merge::cause_of(finding, shown, self.plan) {
            Some(cause) => format!("told together with its cause, {}", cause.rule),
            None => format!(
                "seen ({}), and told elsewhere or taken back",
                finding.message
            ),
        }
    }

    /// The rules that look at nodes of that kind and said nothing.
    fn of_kind(
        &self,
        number: usize,
        outcomes: &[(&'static str, Outcome)],
        told: &BTreeSet<&str>,
        shown: &dyn Fn(&str, NodeId) -> bool,
    ) -> Vec<Passed> {
        let Some((plan, id)) = self.plan.and_then(|plan| {
            let (id, _) = plan.nodes().find(|(id, _)| id.index() + 1 == number)?;
            Some((plan, id))
        }) else {
            return Vec::new();
        };
        let node = plan.node(id);
        let never = self.has_actuals && node.actual.is_none_or(|actual| actual.loops <= 0.0);
        let mut answers = Vec::new();
        for rule in self.rules {
            let meta = rule.meta();
            if !meta.concerns.contains(&node.kind) || told.contains(meta.id) || shown(meta.id, id) {
                continue;
            }
            let outcome = outcomes
                .iter()
                .find(|(rule, _)| *rule == meta.id)
                .map(|(_, outcome)| outcome);
            let reason = match outcome {
                Some(Outcome::Off) => "switched off by the configuration".to_owned(),
                Some(Outcome::Skipped { missing }) => {
                    let missing: Vec<&str> =
                        missing.iter().map(|need| Need::remedy(*need)).collect();
                    format!("could not look: it needs {}", missing.join(" and "))
                }
                Some(Outcome::Crashed { .. }) => "could not look: the rule failed".to_owned(),
                _ if never => "the node was never executed".to_owned(),
                _ => format!("not seen here: {}", meta.summary),
            };
            answers.push(Passed {
                rule: meta.id,
                node: id,
                reason,
            });
        }
        answers
    }
}
