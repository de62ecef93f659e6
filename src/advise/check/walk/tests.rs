//! The walk, in turns and on threads.

use super::*;
use crate::advise::check::{CheckOptions, statement_at};
use crate::migration::assemble::{Assembling, Given, Outline, assemble};
use crate::migration::{Framework, History, Server};
use crate::rules::migration::ALL;
use crate::source::{Sources, Text};

/// Migrations of goose with down parts, which change a table of an earlier
/// file each.
fn text(number: usize) -> String {
    let table = number / 6;
    let (up, down) = match number % 6 {
        0 => (
            format!("create table t{table} (id int primary key, a varchar(9), b int);"),
            format!("drop table t{table};"),
        ),
        1 => (
            format!("alter table t{table} add c int references t0 (id);"),
            format!("alter table t{table} drop c;"),
        ),
        2 => (
            format!("create index i{table} on t{table} (a); drop index if exists i{number};"),
            format!("drop index i{table};"),
        ),
        3 => (
            format!("alter table t{table} alter a type text, alter b set not null;"),
            format!("alter table t{table} alter a type varchar(9);"),
        ),
        4 => (
            format!("drop index i{table}; update t{table} set b = 1;"),
            String::new(),
        ),
        _ => (
            format!("alter table t{table} rename b to d; begin; lock table t0; rollback;"),
            format!("alter table t{table} rename d to b;"),
        ),
    };
    format!("-- +goose Up\n{up}\n-- +goose Down\n{down}\n")
}

/// That many files, dealt out to the databases in turn.
fn given(sources: &mut Sources, files: usize, databases: usize) -> Vec<Given> {
    (0..files)
        .map(|number| {
            let (database, number) = (number % databases, number / databases);
            let path = format!("m{database}/{number:05}_x.sql");
            Given {
                source: sources.add(Text::new(&path, text(number))),
                path,
                ..Given::default()
            }
        })
        .collect()
}

fn goose(threads: usize) -> Assembling {
    Assembling {
        framework: Some(Framework::Goose),
        threads,
        ..Assembling::default()
    }
}

fn judge(sources: &Sources, history: &History, files: Range<usize>) -> Checked {
    let server = Server {
        major: 17,
        ..Server::default()
    };
    let input = CheckInput {
        context: Context {
            history,
            sources,
            server: &server,
            one_change: false,
            sized: false,
            workload: None,
        },
        rules: ALL,
        options: &CheckOptions::default(),
    };
    check_files(input, State::empty(), files)
}

/// Each turn is forgotten before the next is read.
#[test]
fn turns_find_the_same_as_all_at_once() {
    let mut sources = Sources::default();
    let given = given(&mut sources, 80, 2);
    let mut outline = Outline::new(&sources, &given, &goose(2));
    let turns = ranges::databases(&outline.history.files);
    assert_eq!(turns.len(), 2);
    let mut in_turns = Checked::default();
    for turn in turns {
        outline.read(&sources, turn.clone());
        in_turns.add(judge(&sources, &outline.history, turn.clone()));
        outline.history.forget(turn);
    }
    let history = assemble(&sources, &given, &goose(2));
    let at_once = judge(&sources, &history, 0..80);
    assert!(at_once.findings.len() > 60);
    assert_eq!(in_turns.findings, at_once.findings);
    assert_eq!(in_turns.outcomes, at_once.outcomes);
    assert_eq!(in_turns.statements, at_once.statements);
    // What the report asks for afterwards is still known.
    for finding in &at_once.findings {
        let forgotten = statement_at(&outline.history, finding.at);
        let kept = statement_at(&history, finding.at);
        assert_eq!(
            forgotten.map(|statement| (statement.span, &statement.verb)),
            kept.map(|statement| (statement.span, &statement.verb)),
        );
    }
}

#[test]
fn any_number_of_threads_finds_the_same() {
    for databases in [1, 2] {
        let mut sources = Sources::default();
        let given = given(&mut sources, 600, databases);
        let mut seen = Vec::new();
        for threads in [1, 2, 5] {
            let mut history = assemble(&sources, &given, &goose(threads));
            assert_eq!(ranges::databases(&history.files).len(), databases);
            for file in history.files.iter_mut().take(20) {
                file.new = false;
            }
            let checked = judge(&sources, &history, 0..600);
            assert!(checked.findings.len() > 500);
            assert!(checked.replayed > 20);
            seen.push((
                checked.findings,
                checked.outcomes,
                checked.statements,
                checked.replayed,
                format!("{:?}", checked.after.tables()),
            ));
        }
        assert!(seen.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
