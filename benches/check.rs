//! `check` without a server: a history read, replayed and judged, beside the
//! bare syntax trees of the same files. Everything should grow in step with
//! the files; judging by two threads should take little more than half of
//! what one takes.
//!
//! The comparison with squawk as a whole program is in docs/performance.md:
//! its rules are no library.

use std::fmt::Write as _;

use divan::Bencher;
use divan::counter::ItemsCount;
use pgadvise::advise::check::{CheckInput, CheckOptions, check};
use pgadvise::migration::assemble::{Assembling, Given, assemble};
use pgadvise::migration::state::State;
use pgadvise::migration::{History, Server};
use pgadvise::rule::migration::Context;
use pgadvise::rules::migration::ALL;
use pgadvise::source::{Sources, Text};

const FILES: [usize; 3] = [100, 1_000, 10_000];

fn main() {
    divan::main();
}

/// The text of a migration as projects have them: every eighth makes a table,
/// the others change one that is there.
fn migration(number: usize) -> String {
    let table = number / 8;
    let mut text = format!("-- The change of that day, number {number}\n");
    // Writing to a string cannot fail.
    _ = match number % 8 {
        0 => write!(
            text,
            "CREATE TABLE items_{table} (id bigserial PRIMARY KEY, name varchar(80) NOT NULL,
               state text DEFAULT 'new', price numeric(10, 2), created_at timestamptz NOT NULL DEFAULT now());
             CREATE INDEX items_{table}_name_idx ON items_{table} (name);"
        ),
        1 => write!(
            text,
            "ALTER TABLE items_{table} ADD COLUMN owner_id bigint;"
        ),
        2 => write!(
            text,
            "CREATE INDEX items_{table}_owner_idx ON items_{table} (owner_id);"
        ),
        3 => write!(
            text,
            "ALTER TABLE items_{table} ADD CONSTRAINT price_sane CHECK (price >= 0);"
        ),
        4 => write!(
            text,
            "ALTER TABLE items_{table} ALTER COLUMN state SET NOT NULL;
             UPDATE items_{table} SET state = 'old' WHERE created_at < now() - interval '1 year';"
        ),
        5 => write!(
            text,
            "CREATE FUNCTION touch_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN NEW.created_at := now(); RETURN NEW; END $$;
             CREATE TRIGGER touch BEFORE UPDATE ON items_{table} FOR EACH ROW EXECUTE FUNCTION touch_{table}();"
        ),
        6 => write!(
            text,
            "ALTER TABLE items_{table} ALTER COLUMN name TYPE text, DROP COLUMN price;"
        ),
        _ => write!(text, "DROP INDEX items_{table}_name_idx;"),
    };
    text
}

fn texts(files: usize) -> Vec<String> {
    (0..files).map(migration).collect()
}

fn given(texts: &[String]) -> (Sources, Vec<Given>) {
    let mut sources = Sources::default();
    let given = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            let path = format!("migrations/{number:08}_change.sql");
            Given {
                source: sources.add(Text::new(&path, text)),
                path,
                ..Given::default()
            }
        })
        .collect();
    (sources, given)
}

fn with_threads(threads: usize) -> Assembling {
    Assembling {
        threads,
        ..Assembling::default()
    }
}

/// The bare trees, as squawk builds them.
#[divan::bench(args = FILES, sample_count = 10)]
fn bare_trees(bencher: Bencher<'_, '_>, files: usize) {
    let texts = texts(files);
    bencher.counter(ItemsCount::new(files)).bench(|| {
        texts
            .iter()
            .map(|text| squawk_syntax::SourceFile::parse(text).errors().len())
            .sum::<usize>()
    });
}

/// Order, parts and statements, on one thread.
#[divan::bench(args = FILES, sample_count = 10)]
fn read(bencher: Bencher<'_, '_>, files: usize) {
    let (sources, given) = given(&texts(files));
    bencher
        .counter(ItemsCount::new(files))
        .bench(|| assemble(&sources, &given, &with_threads(1)));
}

fn judge(bencher: Bencher<'_, '_>, files: usize, threads: usize) {
    let (sources, given) = given(&texts(files));
    let history: History = assemble(&sources, &given, &with_threads(threads));
    let server = Server {
        major: 17,
        ..Server::default()
    };
    let options = CheckOptions::default();
    bencher.counter(ItemsCount::new(files)).bench(|| {
        let context = Context {
            history: &history,
            sources: &sources,
            server: &server,
            one_change: false,
            sized: false,
            workload: None,
        };
        let input = CheckInput {
            context,
            rules: ALL,
            options: &options,
        };
        check(input, State::empty()).findings.len()
    });
}

/// The replay and all rules, on one thread.
#[divan::bench(args = FILES, sample_count = 10)]
fn judged(bencher: Bencher<'_, '_>, files: usize) {
    judge(bencher, files, 1);
}

/// The same on two.
#[divan::bench(args = FILES, sample_count = 10)]
fn judged_by_two(bencher: Bencher<'_, '_>, files: usize) {
    judge(bencher, files, 2);
}
