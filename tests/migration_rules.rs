//! Every rule about migrations against its fixture, and laws that hold for
//! all of them.

use pgadvise::advise::check::MigrationOutcome;
use pgadvise::rules::migration;

use crate::support::migration_fixture::{self, Fixture, Section};

/// Reported only after all rules have run: by what applies suppressions
/// (`tests/check.rs` has its examples), and by what plans queries
/// (`tests/migration_workload.rs`).
const ABOVE_THE_RULES: &[&str] = &[
    "suppression-unused",
    "query-breaks",
    "query-gets-slower",
    "query-result-changes",
];

/// A rule without an example that it finds, and one that it must leave alone,
/// is not done.
#[test]
fn every_migration_rule_has_a_fixture_with_bad_and_good() {
    let fixtures = migration_fixture::all();
    for rule in migration::ALL {
        let id = rule.meta().id;
        if ABOVE_THE_RULES.contains(&id) {
            continue;
        }
        let found: &Fixture = fixtures
            .iter()
            .find(|fixture| fixture.name == id)
            .unwrap_or_else(|| panic!("fixtures/migrations/rules/{id}.md is missing"));
        let bad = found.sections.iter().filter(|section| section.bad).count();
        assert!(bad > 0, "{id}: no section `## Bad …`");
        assert!(bad < found.sections.len(), "{id}: no section `## Good …`");
    }
    for fixture in &fixtures {
        assert!(
            migration::find(&fixture.name).is_some(),
            "fixtures/migrations/rules/{}.md is of no rule",
            fixture.name
        );
    }
}

/// What each section says is found, and nothing else.
#[test]
fn migration_rules_report_what_their_fixtures_say() {
    let mut wrong = Vec::new();
    each_section(|place, name, section| {
        let rule = migration::find(name).unwrap();
        let Some(expected) = &section.expected else {
            wrong.push(format!("{place}: no block `findings`"));
            return;
        };
        if section.bad == expected.is_empty() {
            wrong.push(format!("{place}: Bad has findings, Good has none"));
        }
        let (checked, sources) = section.check(&[rule]);
        for (_, outcome) in &checked.outcomes {
            if !matches!(outcome, MigrationOutcome::Ran { .. }) {
                wrong.push(format!("{place}: the rule did not run: {outcome:?}"));
            }
        }
        for difference in migration_fixture::differences(&checked.findings, expected, &sources) {
            wrong.push(format!("{place}: {difference}"));
        }
        if let Some(expected) = &section.expected_of_all {
            let (checked, sources) = section.check_with(migration::ALL, Vec::new());
            for difference in migration_fixture::differences(&checked.findings, expected, &sources)
            {
                wrong.push(format!("{place}, all rules: {difference}"));
            }
        }
    });
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What a renderer and a reader rely on in every finding; no rule crashes on
/// another's fixture; and the same files give the same findings twice.
#[test]
fn migration_findings_are_well_made() {
    each_section(|place, _, section| {
        let (checked, _) = section.check(migration::ALL);
        for (id, outcome) in &checked.outcomes {
            assert!(
                !matches!(outcome, MigrationOutcome::Crashed { .. }),
                "{place}: {id}: {outcome:?}"
            );
        }
        for finding in &checked.findings {
            let place = format!("{place}: {}", finding.rule);
            assert!(!finding.evidence.is_empty(), "{place}: no evidence");
            assert!(!finding.why.is_empty(), "{place}: no why");
            assert!(
                !finding.message.is_empty() && !finding.message.ends_with('.'),
                "{place}: {}",
                finding.message
            );
        }
        let (again, _) = section.check(migration::ALL);
        assert_eq!(checked.findings, again.findings, "{place}");
    });
}

fn each_section(mut look: impl FnMut(&str, &str, &Section)) {
    for fixture in migration_fixture::all() {
        for section in &fixture.sections {
            let place = format!("{}, {}", fixture.name, section.title);
            look(&place, &fixture.name, section);
        }
    }
}
