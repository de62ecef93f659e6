//! Runs rules over one subject, and keeps them apart.
//!
//! A rule that lacks something is skipped and says what it lacked; a rule that
//! panics is reported and the others go on. Nothing here knows a particular
//! rule: [`super::merge`] does.

use std::any::Any;
use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::Outcome;
use crate::catalog::Catalog;
use crate::finding::{Finding, Level};
use crate::plan::PlanGraph;
use crate::plan::metrics::{Metrics, metrics};
use crate::rule::{Need, Passed, Rule, Sink};
use crate::subject::Subject;

/// Which rules run, and at which level they report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Rules that are switched off.
    pub off: BTreeSet<String>,
    /// Levels that the user set; they replace the level of every finding of
    /// that rule.
    pub levels: BTreeMap<String, Level>,
}

/// Runs the rules, in their order, over one subject.
///
/// Findings come back with one for each root cause, the costliest first; the
/// outcomes in the order of the rules. The plan's metrics are computed once.
pub fn run(
    subject: &Subject<'_>,
    rules: &[&dyn Rule],
    choice: &Choice,
) -> (Vec<Finding>, Vec<(&'static str, Outcome)>) {
    let computed: Option<Metrics> = match (subject.metrics, subject.plan) {
        (None, Some(plan)) => Some(metrics(plan)),
        _ => None,
    };
    let subject = Subject {
        metrics: subject.metrics.or(computed.as_ref()),
        ..*subject
    };
    let mut findings = Vec::new();
    let mut outcomes = Vec::new();
    for rule in rules {
        let id = rule.meta().id;
        let outcome = if choice.off.contains(id) {
            Outcome::Off
        } else {
            let missing = missing(&subject, rule.meta().needs);
            if missing.is_empty() {
                match check(*rule, &subject, Sink::new(rule.meta())) {
                    Ok((found, _)) => {
                        let outcome = Outcome::Ran {
                            findings: found.len(),
                        };
                        findings.extend(found);
                        outcome
                    }
                    Err(message) => Outcome::Crashed { message },
                }
            } else {
                Outcome::Skipped { missing }
            }
        };
        outcomes.push((id, outcome));
    }
    let mut findings = super::merge::one_per_cause(findings, subject.plan, subject.catalog);
    for finding in &mut findings {
        if let Some(level) = choice.levels.get(finding.rule) {
            finding.level = *level;
        }
    }
    sort(&mut findings);
    (findings, outcomes)
}

/// What the subject lacks of what a rule needs.
pub fn missing(subject: &Subject<'_>, needs: &[Need]) -> Vec<Need> {
    needs
        .iter()
        .copied()
        .filter(|need| !has(subject, *need))
        .collect()
}

fn has(subject: &Subject<'_>, need: Need) -> bool {
    match need {
        Need::Sql => subject.query().is_some(),
        Need::Plan => subject.plan.is_some(),
        Need::Actuals => subject.plan.is_some_and(PlanGraph::has_actuals),
        Need::Buffers => subject.plan.is_some_and(PlanGraph::has_buffers),
        Need::Catalog => subject.catalog.is_some(),
        Need::Statistics => subject.catalog.is_some_and(Catalog::has_statistics),
    }
}

/// Puts findings in the order in which they are shown: by level, which weighs
/// what they could save in all, then by the share of the statement, then by
/// place and name, so that the order never depends on chance.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(order);
}

fn order(a: &Finding, b: &Finding) -> Ordering {
    b.level
        .cmp(&a.level)
        .then_with(|| b.share.total_cmp(&a.share))
        .then_with(|| a.span.cmp(&b.span))
        .then_with(|| a.node.cmp(&b.node))
        .then_with(|| a.rule.cmp(b.rule))
        .then_with(|| a.message.cmp(&b.message))
}

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What one rule finds when weight does not matter, and what it passed over; a
/// rule that panics has told that already.
pub(super) fn ask(rule: &dyn Rule, subject: &Subject<'_>) -> (Vec<Finding>, Vec<Passed>) {
    check(rule, subject, Sink::asking(rule.meta())).unwrap_or_default()
}

/// Calls one rule; a panic comes back as its message.
fn check(
    rule: &dyn Rule,
    subject: &Subject<'_>,
    mut sink: Sink,
) -> Result<(Vec<Finding>, Vec<Passed>), String> {
    quietly(|| {
        rule.check(subject, &mut sink);
        sink.into_parts()
    })
}

/// Runs something of a rule's; a panic comes back as its message, and nothing
/// is printed.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    hush_panics();
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    result.map_err(|payload| panic_message(payload.as_ref()))
}

/// The panic hook prints to the terminal before the panic can be caught: while
/// a rule runs, this thread's panics are kept silent. Every other panic goes
/// to the hook that was there.
fn hush_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the rule panicked without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare_rule;
    use crate::finding::{Evidence, Origin, Value};

    declare_rule! {
        /// ## What it does
        /// Panics.
        struct Panics = {
            id: "panics",
            summary: "panics",
            level: Note,
            needs: [],
            since: "0.1.0",
        }
    }

    impl Rule for Panics {
        fn check(&self, _: &Subject<'_>, _: &mut Sink) {
            panic!("out of {}", "luck");
        }
    }

    declare_rule! {
        /// ## What it does
        /// Reports two findings, the cheaper one first.
        struct Talks = {
            id: "talks",
            summary: "talks",
            level: Note,
            needs: [Catalog],
            since: "0.1.0",
        }
    }

    impl Rule for Talks {
        fn check(&self, _: &Subject<'_>, sink: &mut Sink) {
            for (message, share) in [("cheap", 0.1), ("dear", 0.7)] {
                sink.report(
                    message,
                    "because",
                    Evidence::new("n", Value::Count(1.0), Origin::Formula("none")),
                )
                .share(share);
            }
        }
    }

    #[test]
    fn a_panic_does_not_stop_the_others_and_the_dearest_comes_first() {
        let catalog = Catalog::default();
        let subject = Subject {
            catalog: Some(&catalog),
            ..Subject::default()
        };
        let (findings, outcomes) = run(&subject, &[&Panics, &Talks], &Choice::default());
        let messages: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(messages, ["dear", "cheap"]);
        assert_eq!(
            outcomes,
            [
                (
                    "panics",
                    Outcome::Crashed {
                        message: "out of luck".to_owned()
                    }
                ),
                ("talks", Outcome::Ran { findings: 2 }),
            ]
        );
    }

    #[test]
    fn a_rule_that_lacks_something_is_skipped_with_what_it_lacks() {
        let (findings, outcomes) = run(&Subject::default(), &[&Talks], &Choice::default());
        assert!(findings.is_empty());
        assert_eq!(
            outcomes,
            [(
                "talks",
                Outcome::Skipped {
                    missing: vec![Need::Catalog]
                }
            )]
        );
    }

    #[test]
    fn the_user_can_switch_rules_off_and_set_their_level() {
        let catalog = Catalog::default();
        let subject = Subject {
            catalog: Some(&catalog),
            ..Subject::default()
        };
        let choice = Choice {
            off: ["panics".to_owned()].into(),
            levels: [("talks".to_owned(), Level::Critical)].into(),
        };
        let (findings, outcomes) = run(&subject, &[&Panics, &Talks], &choice);
        assert!(findings.iter().all(|f| f.level == Level::Critical));
        assert_eq!(outcomes.first(), Some(&("panics", Outcome::Off)));
    }
}
