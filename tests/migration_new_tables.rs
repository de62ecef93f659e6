//! Locks on a table that the same change makes are nobody's trouble: no rule
//! speaks of them, whatever is done to the table.

use std::collections::BTreeSet;

use pgadvise::advise::check::{CheckInput, CheckOptions, Checked, check};
use pgadvise::migration::assemble::{Assembling, Given, assemble};
use pgadvise::migration::locks::{CASES, NEWEST, OLDEST};
use pgadvise::migration::state::State;
use pgadvise::migration::{Direction, Framework, History, Server};
use pgadvise::rule::migration::{Category, Context, MigrationRule};
use pgadvise::rules::migration::ALL;
use pgadvise::source::{Sources, Text};
use pgadvise::sql::ddl::Action;

use crate::support::migration_fixture;

/// Rules about locks; whatever is off by default runs, too.
fn rules() -> Vec<&'static dyn MigrationRule> {
    ALL.iter()
        .copied()
        .filter(|rule| rule.meta().category == Category::Locks)
        .collect()
}

fn checked(sources: &Sources, history: &History, server: &Server, one_change: bool) -> Checked {
    let rules = rules();
    let options = CheckOptions {
        on: rules.iter().map(|rule| rule.meta().id.to_owned()).collect(),
        ..CheckOptions::default()
    };
    check(
        CheckInput {
            context: Context {
                history,
                sources,
                server,
                one_change,
                sized: false,
                workload: None,
            },
            rules: &rules,
            options: &options,
        },
        State::empty(),
    )
}

fn server(major: u16) -> Server {
    Server {
        major,
        ..Server::default()
    }
}

/// Claims about all tables of a database or schema: there may be others than
/// those that the change makes.
const OF_ALL_TABLES: &[&str] = &["reindex-schema", "cluster-all"];

/// Every statement that a claim about locks is made for, in one file with what
/// it needs, and in a second file of the same change.
#[test]
fn migration_new_tables_of_every_claim_trigger_no_lock_finding() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for case in CASES.iter().flat_map(|family| family.cases) {
        if OF_ALL_TABLES.contains(&case.id) {
            continue;
        }
        for major in [OLDEST, 15, NEWEST] {
            if !case.holds(major) {
                continue;
            }
            let one = format!("{};\n{};\n", case.setup, case.statement);
            let (first, second) = (
                format!("{};\n", case.setup),
                format!("{};\n", case.statement),
            );
            for texts in [vec![one], vec![first, second]] {
                let mut sources = Sources::default();
                let given: Vec<Given> = texts
                    .iter()
                    .enumerate()
                    .map(|(number, text)| {
                        let path = format!("000{number}_change.sql");
                        Given {
                            source: sources.add(Text::new(path.clone(), text.as_str())),
                            path,
                            ..Given::default()
                        }
                    })
                    .collect();
                let options = Assembling {
                    framework: Some(Framework::Flyway),
                    ..Assembling::default()
                };
                let history = assemble(&sources, &given, &options);
                let one_change = texts.len() > 1;
                judged += 1;
                for finding in checked(&sources, &history, &server(major), one_change).findings {
                    wrong.push(format!(
                        "{major} {} in {} files: {}: {}",
                        case.id,
                        texts.len(),
                        finding.rule,
                        finding.message
                    ));
                }
            }
        }
    }
    assert!(judged > 1_000, "{judged}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The tables that a history makes with certainty, by name.
fn made(history: &History) -> BTreeSet<String> {
    history
        .files
        .iter()
        .flat_map(|file| &file.parts)
        .filter(|part| part.direction == Direction::Up)
        .flat_map(|part| &part.statements)
        .filter_map(|statement| match &statement.action {
            Action::CreateTable(create) if !create.if_not_exists => {
                Some(create.table.name.name.clone())
            }
            _ => None,
        })
        .collect()
}

/// The examples of all rules, with what was there before as a part of the
/// change.
#[test]
fn migration_new_tables_of_every_example_trigger_no_lock_finding() {
    let mut wrong = Vec::new();
    let mut with_tables = 0;
    for fixture in migration_fixture::all() {
        for section in &fixture.sections {
            let prepared = section.prepare();
            let options = Assembling {
                new: None,
                ..prepared.history.options.clone()
            };
            let history = assemble(&prepared.sources, &prepared.history.given, &options);
            let made = made(&history);
            with_tables += usize::from(!made.is_empty());
            let found = checked(&prepared.sources, &history, &prepared.server, true).findings;
            for finding in found {
                let Some(relation) = &finding.relation else {
                    continue;
                };
                if made.contains(&relation.name) {
                    wrong.push(format!(
                        "{}: {}: {}: {}",
                        fixture.name, section.title, finding.rule, finding.message
                    ));
                }
            }
        }
    }
    assert!(with_tables > 300, "{with_tables}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
