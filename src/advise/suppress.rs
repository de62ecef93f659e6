//! Silencing findings, with a reason, in SQL comments or in the configuration.
//!
//! A suppression that names no rule, gives no reason or silences nothing is
//! told as a problem: silence that nobody can explain is worth a word.

pub use crate::rule::nearest::nearest;

use super::Outcome;
use crate::finding::Finding;
use crate::source::Problem;
use crate::sql::Suppression;

/// A suppression from the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfiguredSuppression {
    /// The rule.
    pub rule: String,
    /// Only findings about that table: `orders` or `public.orders`. All when
    /// absent.
    pub relation: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// What suppressions left.
#[derive(Debug, Clone, Default)]
pub struct Suppressed {
    /// Findings to show.
    pub kept: Vec<Finding>,
    /// Findings silenced, with the reason.
    pub silenced: Vec<(Finding, Option<String>)>,
    /// Trouble with the suppressions themselves.
    pub problems: Vec<Problem>,
    /// For each configured suppression, whether it silenced something here.
    /// Whether it is of any use can be told only after all statements.
    pub used: Vec<bool>,
}

/// Applies the suppressions of one statement and of the configuration.
///
/// `outcomes` names every rule and how it ended: a suppression of a rule that
/// could not run is not called useless.
pub fn apply_suppressions(
    findings: Vec<Finding>,
    outcomes: &[(&'static str, Outcome)],
    statement: &[Suppression],
    configured: &[ConfiguredSuppression],
) -> Suppressed {
    let mut known: Vec<&str> = outcomes.iter().map(|(id, _)| *id).collect();
    known.extend(findings.iter().map(|finding| finding.rule));
    known.sort_unstable();
    known.dedup();

    let mut result = Suppressed {
        used: vec![false; configured.len()],
        ..Suppressed::default()
    };
    let mut named: Vec<(&Suppression, &str, bool)> = Vec::new();
    for suppression in statement {
        if suppression.reason.as_deref().is_none_or(str::is_empty) {
            result.problems.push(
                Problem::at(suppression.span, "suppression without a reason")
                    .with_hint("write why in parentheses: -- pgadvise: ignore RULE (reason)"),
            );
        }
        for rule in &suppression.rules {
            match unknown_rule(rule, &known) {
                Some(problem) => result.problems.push(Problem {
                    at: Some(suppression.span),
                    ..problem
                }),
                None => named.push((suppression, rule, false)),
            }
        }
    }

    for finding in findings {
        let mut silenced = None;
        for (suppression, rule, used) in &mut named {
            if *rule == finding.rule {
                *used = true;
                silenced = Some(suppression.reason.clone());
            }
        }
        for (entry, used) in configured.iter().zip(&mut result.used) {
            if entry.rule == finding.rule && concerns(entry.relation.as_deref(), &finding) {
                *used = true;
                if silenced.is_none() {
                    silenced = Some(entry.reason.clone());
                }
            }
        }
        match silenced {
            Some(reason) => result.silenced.push((finding, reason)),
            None => result.kept.push(finding),
        }
    }

    for (suppression, rule, used) in named {
        let could_tell = outcomes
            .iter()
            .any(|(id, outcome)| *id == rule && matches!(outcome, Outcome::Ran { .. }));
        if !used && could_tell {
            result.problems.push(
                Problem::at(
                    suppression.span,
                    format!("suppression of {rule} silences nothing"),
                )
                .with_hint("remove it, or move it before the statement that it is for"),
            );
        }
    }
    result
}

fn concerns(relation: Option<&str>, finding: &Finding) -> bool {
    let Some(wanted) = relation else { return true };
    finding
        .relation
        .as_ref()
        .is_some_and(|(schema, name)| wanted == name || wanted == format!("{schema}.{name}"))
}

/// The problem with a rule name that does not exist, with the nearest name
/// that does; `None` when it is known.
pub fn unknown_rule(name: &str, known: &[&str]) -> Option<Problem> {
    if known.contains(&name) {
        return None;
    }
    let problem = Problem::new(format!("unknown rule {name}"));
    Some(match nearest(name, known) {
        Some(near) => problem.with_hint(format!("did you mean {near}?")),
        None => problem.with_hint("pgadvise rules lists them"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Evidence, Level, Origin, Value};
    use crate::source::{SourceId, Span};

    fn finding(rule: &'static str) -> Finding {
        Finding {
            rule,
            level: Level::Note,
            span: None,
            node: None,
            relation: Some(("public".to_owned(), "orders".to_owned())),
            message: String::new(),
            why: String::new(),
            evidence: vec![Evidence::new("n", Value::Count(1.0), Origin::Formula("n"))],
            suggestions: Vec::new(),
            share: 0.0,
        }
    }

    fn comment(rule: &str, reason: Option<&str>) -> Suppression {
        Suppression {
            span: Span::new(SourceId(0), 0..10),
            rules: vec![rule.to_owned()],
            reason: reason.map(str::to_owned),
        }
    }

    const OUTCOMES: &[(&str, Outcome)] = &[
        ("deep-offset", Outcome::Ran { findings: 1 }),
        ("lossy-bitmap", Outcome::Ran { findings: 0 }),
        ("cte-fence", Outcome::Off),
    ];

    #[test]
    fn a_comment_silences_its_rule_and_keeps_the_reason() {
        let result = apply_suppressions(
            vec![finding("deep-offset")],
            OUTCOMES,
            &[comment("deep-offset", Some("three pages at most"))],
            &[],
        );
        assert!(result.kept.is_empty());
        assert!(result.problems.is_empty());
        assert_eq!(
            result
                .silenced
                .first()
                .and_then(|(_, reason)| reason.as_deref()),
            Some("three pages at most")
        );
    }

    #[test]
    fn unknown_unreasoned_and_useless_suppressions_are_told() {
        let result = apply_suppressions(
            vec![],
            OUTCOMES,
            &[
                comment("deep_ofset", Some("x")),
                comment("lossy-bitmap", None),
                comment("cte-fence", Some("switched off, so nobody knows")),
            ],
            &[],
        );
        let told: Vec<_> = result
            .problems
            .iter()
            .map(|problem| (problem.message.as_str(), problem.hint.as_deref()))
            .collect();
        assert_eq!(
            told[0],
            ("unknown rule deep_ofset", Some("did you mean deep-offset?"))
        );
        assert_eq!(told[1].0, "suppression without a reason");
        assert_eq!(told[2].0, "suppression of lossy-bitmap silences nothing");
        assert_eq!(told.len(), 3);
    }

    #[test]
    fn a_configured_suppression_can_be_for_one_table() {
        let entry = |relation: &str| ConfiguredSuppression {
            rule: "deep-offset".to_owned(),
            relation: Some(relation.to_owned()),
            reason: Some("r".to_owned()),
        };
        let result = apply_suppressions(
            vec![finding("deep-offset")],
            OUTCOMES,
            &[],
            &[entry("items"), entry("public.orders")],
        );
        assert_eq!(result.silenced.len(), 1);
        assert_eq!(result.used, [false, true]);
    }
}
