//! The queries of an application before and after new migrations, on a
//! throw-away server: what breaks, what becomes slower or faster, and which
//! statement did it.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look for an installed server in the environment"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pgadvise::advise::check::workload::{
    Applied, CompareOptions, Counts, Outcome, Workload, WorkloadResult, findings,
};
use pgadvise::input::workload::read_text;
use pgadvise::migration::History;
use pgadvise::migration::assemble::{Assembling, Given, assemble};
use pgadvise::pg::cluster::programs::{Search, installed};
use pgadvise::pg::snapshot::SnapshotOptions;
use pgadvise::pg::twin::cache::EngineWish;
use pgadvise::pg::workload::{Basis, Servers, WorkloadError, compare};
use pgadvise::snapshot::Snapshot;
use pgadvise::source::{Sources, Text};

use crate::support::server;

/// The shop that every test begins with.
const SHOP: &str = "
CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL UNIQUE,
  name text NOT NULL
);
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers,
  status text NOT NULL DEFAULT 'new',
  legacy_note text,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_customer_idx ON orders (customer_id);
CREATE INDEX orders_legacy_idx ON orders (legacy_note);
CREATE VIEW open_orders AS SELECT id, customer_id, created_at FROM orders WHERE status = 'new';
";

const QUERIES: &str = "\
SELECT id, status FROM orders WHERE customer_id = $1;
SELECT name FROM customers WHERE email = :email;
SELECT c.name, o.id FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.id = 7;
UPDATE orders SET status = 'paid' WHERE id = $1;
SELECT count(*) FROM open_orders WHERE customer_id = 3;
SELECT id FROM orders WHERE status = 'new' AND created_at > '2024-01-01';
";

/// What a comparison is made of, and what came of it.
struct Compared {
    history: History,
    sources: Sources,
    workload: Workload,
    result: WorkloadResult,
}

fn search() -> Option<Search> {
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    if installed(&search).is_empty() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no PostgreSQL server for the tests"
        );
        println!("did nothing: no PostgreSQL server for the tests");
        return None;
    }
    Some(search)
}

/// Files of a history, the last of which is new.
fn history(sources: &mut Sources, files: &[&str]) -> History {
    let given: Vec<Given> = files
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let path = format!("migrations/{:03}.sql", at + 1);
            Given {
                source: sources.add(Text::new(path.as_str(), *text)),
                path,
                ..Given::default()
            }
        })
        .collect();
    let new = given.last().map(|last| vec![last.source]);
    assemble(
        sources,
        &given,
        &Assembling {
            new,
            ..Assembling::default()
        },
    )
}

fn try_compare(
    files: &[&str],
    queries: &str,
    snapshot: Option<Snapshot>,
) -> Option<Result<Compared, WorkloadError>> {
    let search = search()?;
    let temp = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut sources = Sources::default();
    let history = history(&mut sources, files);
    let workload = read_text("queries/shop.sql", queries.to_owned(), &mut sources);
    let basis = match snapshot {
        Some(snapshot) => Basis::Snapshot {
            snapshot: Arc::new(snapshot),
            hash: String::new(),
        },
        None => Basis::History { major: None },
    };
    let servers = Servers {
        engine: EngineWish::Native,
        search,
        cache: None,
        temp: temp.path().to_owned(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        load_limit: Duration::from_mins(1),
        plan_limit: Duration::from_secs(20),
    };
    let result = compare(
        &history,
        &sources,
        &workload,
        &basis,
        &servers,
        &CompareOptions::default(),
        &mut |_, _, _| (),
    );
    Some(result.map(|result| Compared {
        history,
        sources,
        workload,
        result,
    }))
}

/// The shop's queries before and after one new file.
fn after(change: &str) -> Option<Compared> {
    let compared = try_compare(&[SHOP, change], QUERIES, None)?;
    let compared = compared.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(compared.result.problems, Vec::new());
    Some(compared)
}

impl Compared {
    /// The outcome of the query on that line of the workload.
    fn line(&self, line: usize) -> &Outcome {
        &self.change(line).outcome
    }

    fn change(&self, line: usize) -> &pgadvise::advise::check::workload::QueryChange {
        self.result
            .queries
            .iter()
            .find(|change| {
                let span = self.workload.queries[change.query].statement.span;
                self.sources
                    .place(span)
                    .starts_with(&format!("queries/shop.sql:{line}:"))
            })
            .unwrap_or_else(|| panic!("no query on line {line}"))
    }

    /// The statement that the cause of a query names, and its index.
    fn cause(&self, line: usize) -> (&str, Option<&str>) {
        let cause = self.change(line).cause.as_ref().expect("a cause");
        let statement = self.result.statement(cause).expect("a statement");
        (statement.sql.as_str(), cause.index.as_deref())
    }

    /// Findings as `LEVEL RULE @ PLACE | MESSAGE`.
    fn findings(&self) -> Vec<String> {
        findings(&self.result, &self.workload, &self.history, &self.sources)
            .iter()
            .map(|finding| {
                format!(
                    "{} {} @ {} | {}",
                    finding.level.name(),
                    finding.rule,
                    self.sources.place(finding.span),
                    finding.message
                )
            })
            .collect()
    }
}

#[test]
fn a_dropped_column_breaks_the_queries_that_name_it_and_no_others() {
    let Some(found) = after(
        "SET lock_timeout = '2s';\n\
         ALTER TABLE customers ADD COLUMN phone text;\n\
         ALTER TABLE orders DROP COLUMN status CASCADE;\n\
         CREATE INDEX customers_name_idx ON customers (name);\n",
    ) else {
        return;
    };
    for line in [1, 4, 6] {
        let Outcome::Broken {
            sqlstate, message, ..
        } = found.line(line)
        else {
            panic!("line {line}: {:?}", found.line(line));
        };
        assert_eq!(sqlstate, "42703", "{message}");
        assert!(message.contains("status"), "{message}");
        assert_eq!(
            found.cause(line),
            ("ALTER TABLE orders DROP COLUMN status CASCADE", None)
        );
    }
    // The view went with the column.
    let Outcome::Broken { sqlstate, .. } = found.line(5) else {
        panic!("{:?}", found.line(5));
    };
    assert_eq!(sqlstate, "42P01");
    assert!(matches!(found.line(2), Outcome::Same { .. }));
    assert!(matches!(found.line(3), Outcome::Same { .. }));
    // What one statement does in one way is one finding.
    let place = "critical query-breaks @ migrations/002.sql:3:1 |";
    let one = "a query of the workload breaks";
    assert_eq!(
        found.findings(),
        [
            format!(
                "{place} 3 queries of the workload break: column \"status\" does not exist; \
                 column \"status\" of relation \"orders\" does not exist"
            ),
            format!("{place} {one}: relation \"open_orders\" does not exist"),
        ]
    );
}

#[test]
fn where_the_server_stumbles_is_told_in_the_users_text() {
    let Some(found) = after("ALTER TABLE orders RENAME COLUMN status TO state;") else {
        return;
    };
    let Outcome::Broken { position, .. } = found.line(1) else {
        panic!("{:?}", found.line(1));
    };
    let text = &found.workload.queries[0].statement.text;
    assert!(text.get(position.unwrap()..).unwrap().starts_with("status"));
    // A view follows a column that is renamed.
    assert!(matches!(found.line(5), Outcome::Same { .. }));
}

#[test]
fn a_dropped_index_that_a_query_needs_is_a_proven_regression() {
    let Some(found) = after(
        "DROP INDEX orders_legacy_idx;\n\
         DROP INDEX CONCURRENTLY orders_customer_idx;\n",
    ) else {
        return;
    };
    let Outcome::Slower(plans) = found.line(1) else {
        panic!("{:?}", found.line(1));
    };
    assert!(plans.factor() > 2.0, "{}", plans.factor());
    let what = plans.what.as_deref().unwrap();
    assert!(
        what.contains("Seq Scan on orders") && what.contains("orders_customer_idx"),
        "{what}"
    );
    assert_eq!(
        found.cause(1),
        (
            "DROP INDEX CONCURRENTLY orders_customer_idx",
            Some("orders_customer_idx")
        )
    );
    let dropped: Vec<(&str, usize, usize)> = found
        .result
        .dropped
        .iter()
        .map(|index| (index.name.as_str(), index.used_by.len(), index.moved.len()))
        .collect();
    assert_eq!(
        dropped,
        [("orders_legacy_idx", 0, 0), ("orders_customer_idx", 2, 2)]
    );
    let findings = found.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].contains("query-gets-slower @ migrations/002.sql:2:1 | ")
            && findings[0].contains("2 queries of the workload need orders_customer_idx"),
        "{findings:?}"
    );
}

#[test]
fn a_dropped_index_that_no_query_uses_is_no_finding() {
    let Some(found) = after("DROP INDEX orders_legacy_idx;") else {
        return;
    };
    assert_eq!(
        found.result.counts(),
        Counts {
            same: 6,
            ..Counts::default()
        }
    );
    assert!(found.findings().is_empty());
    assert_eq!(found.result.dropped.len(), 1);
    assert!(found.result.dropped[0].used_by.is_empty());
}

#[test]
fn a_new_index_that_helps_is_told_and_no_finding() {
    let Some(found) =
        after("CREATE INDEX CONCURRENTLY orders_status_idx ON orders (status, created_at);")
    else {
        return;
    };
    let Outcome::Faster(plans) = found.line(6) else {
        panic!("{:?}", found.line(6));
    };
    assert!(plans.factor() < 0.5);
    assert_eq!(found.cause(6).1, Some("orders_status_idx"));
    assert!(found.result.made[0].moved.contains(&5));
    assert!(found.findings().is_empty());
}

#[test]
fn a_changed_type_breaks_the_joins_that_compare_it() {
    let Some(found) = after(
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey;\n\
         DROP VIEW open_orders;\n\
         ALTER TABLE orders ALTER COLUMN customer_id TYPE text;\n\
         CREATE VIEW open_orders AS SELECT id, customer_id, created_at FROM orders;\n",
    ) else {
        return;
    };
    let Outcome::Broken { sqlstate, hint, .. } = found.line(3) else {
        panic!("{:?}", found.line(3));
    };
    assert_eq!(sqlstate, "42883", "operator does not exist: bigint = text");
    assert!(hint.is_some());
    assert!(found.cause(3).0.contains("TYPE text"));
    // An untyped parameter takes the new type.
    assert!(!matches!(found.line(1), Outcome::Broken { .. }));
    assert!(
        found
            .result
            .statements
            .iter()
            .all(|(_, applied)| *applied == Applied::Yes)
    );
}

#[test]
fn a_query_that_the_change_makes_possible_is_mended_and_one_that_never_ran_is_not_planned() {
    let files = [SHOP, "ALTER TABLE orders ADD COLUMN total numeric;"];
    let queries = "SELECT sum(total) FROM orders;\nSELECT nothing FROM nowhere;\n";
    let Some(found) = try_compare(&files, queries, None) else {
        return;
    };
    let found = found.unwrap();
    assert!(matches!(found.line(1), Outcome::Mended { .. }));
    let Outcome::NotPlanned { why } = found.line(2) else {
        panic!("{:?}", found.line(2));
    };
    assert!(why.contains("nowhere"), "{why}");
    assert!(found.findings().is_empty());
}

#[test]
fn a_refused_statement_of_an_older_file_is_told_and_the_rest_goes_on() {
    let broken = "CREATE TABLE other (id int);\nALTER TABLE missing ADD COLUMN a int;\n\
                  GRANT SELECT ON other TO somebody;\nCREATE TABLE third (id int PRIMARY KEY, a int);";
    let files = [SHOP, broken, "ALTER TABLE third ADD COLUMN b int;"];
    let Some(found) = try_compare(&files, "SELECT * FROM third WHERE id = 1;", None) else {
        return;
    };
    let found = found.unwrap();
    let told: Vec<String> = found
        .result
        .problems
        .iter()
        .map(|problem| {
            format!(
                "{} {}",
                problem.at.map(|span| found.sources.place(span)).unwrap(),
                problem.message
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "migrations/002.sql:2:1 the throw-away server refused a statement of an older \
             migration: relation \"missing\" does not exist"
        ]
    );
    // One more column is read: the same plan.
    assert!(matches!(found.line(1), Outcome::Same { .. }));
}

#[test]
fn without_an_older_file_there_is_nothing_to_compare_with() {
    let Some(found) = try_compare(&[SHOP], QUERIES, None) else {
        return;
    };
    let Err(error) = found else {
        panic!("compared");
    };
    assert!(matches!(error, WorkloadError::Nothing { .. }), "{error}");
}

/// The shop with rows, of which a few are rare; and a table that stays small.
const ROWS: &str = "
CREATE TABLE regions (id int PRIMARY KEY, code text NOT NULL);
CREATE INDEX regions_code_idx ON regions (code);
CREATE INDEX orders_status_idx ON orders (status);
INSERT INTO regions SELECT i, 'r' || i FROM generate_series(1, 20) AS i;
INSERT INTO customers (email, name)
  SELECT 'c' || i || '@example.com', 'n' || i % 50 FROM generate_series(1, 5000) AS i;
INSERT INTO orders (customer_id, status, created_at)
  SELECT 1 + i % 5000, CASE WHEN i % 10000 = 0 THEN 'new' ELSE 'done' END,
    timestamptz '2024-01-01' + i * interval '1 minute'
  FROM generate_series(1, 100000) AS i;
ANALYZE;
";

#[test]
fn with_a_snapshot_sizes_and_statistics_decide() {
    let Some(server) = server::shared() else {
        return;
    };
    let mut session = server.database("workload_shop", &format!("{SHOP}{ROWS}"));
    let options = SnapshotOptions {
        index_ends: true,
        keep_time: false,
    };
    let snapshot = session.snapshot(&options, &mut |_, _, _| ()).unwrap();
    let change = "\
DROP INDEX regions_code_idx;
ALTER TABLE orders RENAME COLUMN created_at TO made_at;
ALTER TABLE orders ALTER COLUMN legacy_note TYPE varchar(200);
DROP INDEX orders_status_idx;
";
    let queries = "\
SELECT id FROM regions WHERE code = 'r7';
SELECT id FROM orders WHERE status = 'new';
SELECT count(*) FROM orders WHERE status = 'done';
SELECT customer_id FROM orders WHERE customer_id = 7 ORDER BY id;
SELECT id FROM orders WHERE created_at < '2024-01-02';
";
    // With a snapshot there need be no older file.
    let Some(found) = try_compare(&[change], queries, Some(snapshot)) else {
        return;
    };
    let found = found.unwrap();
    for (statement, applied) in &found.result.statements {
        assert_eq!(*applied, Applied::Yes, "{}", statement.sql);
    }
    // Twenty rows are read from end to end, whatever indexes there are.
    assert!(
        matches!(found.line(1), Outcome::Same { .. }),
        "{:?}",
        found.line(1)
    );
    let Outcome::Slower(plans) = found.line(2) else {
        panic!("{:?}", found.line(2));
    };
    // The planner knows that ten rows are new, before and after.
    let rows = |plan: &pgadvise::plan::PlanGraph| {
        let root = plan.nodes().next().unwrap().1;
        root.estimate.unwrap().rows
    };
    assert!(rows(&plans.before) < 100.0 && rows(&plans.after) < 100.0);
    assert_eq!(found.cause(2).1, Some("orders_status_idx"));
    // The rest is as expensive as it was: a rewrite for a type costs nothing.
    assert!(
        matches!(found.line(3), Outcome::Same { .. }),
        "{:?}",
        found.line(3)
    );
    assert!(
        matches!(found.line(4), Outcome::Same { .. }),
        "{:?}",
        found.line(4)
    );
    assert!(matches!(found.line(5), Outcome::Broken { .. }));
    assert_eq!(
        found.cause(5).0,
        "ALTER TABLE orders RENAME COLUMN created_at TO made_at"
    );
    let dropped: Vec<(&str, usize)> = found
        .result
        .dropped
        .iter()
        .map(|index| (index.name.as_str(), index.moved.len()))
        .collect();
    assert_eq!(dropped, [("regions_code_idx", 0), ("orders_status_idx", 1)]);
    assert!(found.result.assumptions[0].contains("snapshot of workload_shop"));
}
