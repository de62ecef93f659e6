//! Every rule against its fixture, and laws that hold for all of them.

use pgadvise::advise::Outcome;
use pgadvise::advise::engine::{Choice, run};
use pgadvise::rule::Need;
use pgadvise::rules;
use pgadvise::subject::Subject;

use crate::support::fixture::{self, Fixture, Section};

/// Rules under whose name an advisor reports what it tried on a planner. They
/// find nothing by themselves, and are tested with the advisors.
const REPORTED_BY_ADVISORS: &[&str] = &[
    "missing-index",
    "cheaper-equivalent-query",
    "plan-depends-on-parameter",
];

fn template(id: &str) -> String {
    format!(
        "fixtures/rules/{id}.md is missing. Write it like this, with a plan that a server made:\n\n\
         # {id}\n\n## Bad: what must be found\n\n```setup\nCREATE TABLE …;\n```\n\n```sql\nSELECT …;\n\
         ```\n\n```plan\n[{{\"Plan\": …}}]\n```\n\n```catalog\ntable public.t rows=200000 pages=1471\n  \
         column id integer not null distinct=-1\n```\n\n```findings\nwarning {id} @ Seq Scan on t @ \
         1:23 | part of the message\n```\n\n## Good: what must not\n\n```sql\nSELECT …;\n```\n\n\
         ```findings\n```\n"
    )
}

fn fixture_of<'a>(fixtures: &'a [Fixture], id: &str) -> Option<&'a Fixture> {
    fixtures.iter().find(|fixture| fixture.name == id)
}

/// A rule without an example that it finds, and one that it must leave alone,
/// is not done.
#[test]
fn every_rule_has_a_fixture_with_bad_and_good() {
    let fixtures = fixture::all();
    for rule in rules::ALL {
        let id = rule.meta().id;
        if REPORTED_BY_ADVISORS.contains(&id) {
            continue;
        }
        let found = fixture_of(&fixtures, id).unwrap_or_else(|| panic!("{}", template(id)));
        let bad = found.sections.iter().filter(|section| section.bad).count();
        assert!(bad > 0, "{id}: no section `## Bad …`");
        assert!(bad < found.sections.len(), "{id}: no section `## Good …`");
    }
    for fixture in &fixtures {
        assert!(
            rules::find(&fixture.name).is_some(),
            "fixtures/rules/{}.md is of no rule",
            fixture.name
        );
    }
}

/// What each section says is found, and nothing else.
#[test]
fn rules_report_what_their_fixtures_say() {
    let mut wrong = Vec::new();
    for fixture in fixture::all() {
        let rule = rules::find(&fixture.name).unwrap();
        for section in &fixture.sections {
            let place = format!("{}, {}", fixture.name, section.title);
            let Some(expected) = &section.expected else {
                wrong.push(format!("{place}: no block `findings`"));
                continue;
            };
            if section.bad == expected.is_empty() {
                wrong.push(format!("{place}: Bad has findings, Good has none"));
            }
            let (found, outcomes) = run(&section.subject(), &[rule], &Choice::default());
            for (_, outcome) in &outcomes {
                if !matches!(outcome, Outcome::Ran { .. }) {
                    wrong.push(format!("{place}: the rule did not run: {outcome:?}"));
                }
            }
            for difference in section.differences(&found, expected) {
                wrong.push(format!("{place}: {difference}"));
            }
            if let Some(expected) = &section.expected_of_all {
                let (found, _) = run(&section.subject(), rules::ALL, &Choice::default());
                for difference in section.differences(&found, expected) {
                    wrong.push(format!("{place}, all rules: {difference}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What a renderer and a reader rely on in every finding.
#[test]
fn findings_are_well_made() {
    each_section(|place, section| {
        let (found, outcomes) = run(&section.subject(), rules::ALL, &Choice::default());
        for (id, outcome) in outcomes {
            assert!(
                !matches!(outcome, Outcome::Crashed { .. }),
                "{place}: {id}: {outcome:?}"
            );
        }
        for finding in found {
            let place = format!("{place}: {}", finding.rule);
            assert!(!finding.evidence.is_empty(), "{place}: no evidence");
            assert!(!finding.why.is_empty(), "{place}: no why");
            assert!((0.0..=1.0).contains(&finding.share), "{place}: share");
            assert!(
                !finding.message.ends_with('.') && !finding.message.is_empty(),
                "{place}: {}",
                finding.message
            );
            assert!(
                finding.span.is_some() || finding.node.is_some() || finding.relation.is_some(),
                "{place}: is nowhere"
            );
        }
    });
}

/// Nothing is known, so nothing can be said.
#[test]
fn every_rule_is_silent_on_the_empty_subject() {
    let (found, outcomes) = run(&Subject::default(), rules::ALL, &Choice::default());
    assert!(found.is_empty(), "{found:?}");
    for (id, outcome) in outcomes {
        assert!(
            matches!(outcome, Outcome::Skipped { .. }),
            "{id}: {outcome:?}"
        );
    }
}

/// Output must not depend on chance, or nobody can compare two reports.
#[test]
fn the_same_subject_gives_the_same_findings_twice() {
    each_section(|place, section| {
        let first = run(&section.subject(), rules::ALL, &Choice::default());
        let second = run(&section.subject(), rules::ALL, &Choice::default());
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "{place}");
    });
}

/// A rule that could look with less must not refuse with more.
#[test]
fn more_facts_never_skip_a_rule() {
    each_section(|place, section| {
        let whole = section.subject();
        let parts = [
            Subject {
                catalog: None,
                ..whole
            },
            Subject {
                statement: None,
                ..whole
            },
            Subject {
                plan: None,
                ..whole
            },
            Subject {
                statement: whole.statement,
                ..Subject::default()
            },
            Subject {
                plan: whole.plan,
                ..Subject::default()
            },
            Subject {
                catalog: whole.catalog,
                ..Subject::default()
            },
        ];
        let ran = |subject: &Subject<'_>| -> Vec<&'static str> {
            run(subject, rules::ALL, &Choice::default())
                .1
                .into_iter()
                .filter(|(_, outcome)| matches!(outcome, Outcome::Ran { .. }))
                .map(|(id, _)| id)
                .collect()
        };
        let of_whole = ran(&whole);
        for part in parts {
            for id in ran(&part) {
                assert!(of_whole.contains(&id), "{place}: {id}");
            }
        }
    });
}

/// A rule that asks for measurements gets a plan with them, and the other way
/// round: `needs` is what the engine goes by.
#[test]
fn needs_that_include_others_are_not_written_twice() {
    for rule in rules::ALL {
        let meta = rule.meta();
        let has = |need: Need| meta.needs.contains(&need);
        assert!(!meta.needs.is_empty(), "{}: needs nothing", meta.id);
        assert!(
            !(has(Need::Plan) && has(Need::Actuals)),
            "{}: a plan with actuals is a plan",
            meta.id
        );
        assert!(
            !(has(Need::Catalog) && has(Need::Statistics)),
            "{}: statistics come with the catalogue",
            meta.id
        );
    }
}

fn each_section(check: impl Fn(&str, &Section)) {
    for fixture in fixture::all() {
        for section in &fixture.sections {
            check(&format!("{}, {}", fixture.name, section.title), section);
        }
    }
}

#[test]
fn rules_are_found_by_name() {
    for rule in rules::ALL {
        let id = rule.meta().id;
        assert_eq!(rules::find(id).map(|found| found.meta().id), Some(id));
    }
    let ids: Vec<_> = rules::ALL.iter().map(|rule| rule.meta().id).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    assert!(rules::find("no-such-rule").is_none());
}
