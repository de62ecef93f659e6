//! Supposing changes on a twin: what the planner makes of them, and that
//! nothing of them is left.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look for an installed server in the environment"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pgadvise::finding::{IndexSpec, IndexSpecKey};
use pgadvise::pg::cluster::Cluster as _;
use pgadvise::pg::cluster::native::{Locale, Native, NativeOptions};
use pgadvise::pg::cluster::programs::{Search, installed};
use pgadvise::pg::twin::planner::TwinPlanner;
use pgadvise::pg::twin::{Loaded, PRIVILEGED_SCHEMA, lay};
use pgadvise::plan::PlanGraph;
use pgadvise::snapshot::{Origin, Snapshot};
use pgadvise::verify::{
    ChangeOutcome, PlanError, PlanOptions, Planned, Planner as _, Supposition, WhatIf,
};

/// Blocks of the large table: three segments.
const BLOCKS: u64 = 300_000;

const SCHEMA: &str = "\
CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, status varchar(10) NOT NULL, \
  created date NOT NULL); \
INSERT INTO orders SELECT i, i % 1000, 's' || i % 7, date '2020-01-01' + i % 900 \
  FROM generate_series(1, 20000) AS i; \
CREATE INDEX orders_customer_idx ON orders (customer); \
CREATE INDEX orders_status_idx ON orders (status); \
CREATE TABLE events (at date NOT NULL, kind int NOT NULL) PARTITION BY RANGE (at); \
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01'); \
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01'); \
INSERT INTO events SELECT date '2020-01-01' + i % 700, i FROM generate_series(1, 50000) AS i; \
ANALYZE";

struct Made {
    planner: TwinPlanner,
    _temp: tempfile::TempDir,
}

/// A cluster whose tables are made to look larger than they are, as a twin's
/// are. `None` where no server is installed.
fn twin() -> Option<Made> {
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    let Some(found) = installed(&search).into_iter().next() else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no PostgreSQL server for the tests"
        );
        println!("did nothing: no PostgreSQL server for the tests");
        return None;
    };
    let temp = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut cluster = Native::start(&NativeOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        installed: found,
        locale: Locale::default(),
        temp: temp.path().to_owned(),
        cache: None,
        statement_limit: Duration::from_secs(20),
        settings: Vec::new(),
    })
    .unwrap();
    cluster
        .admin()
        .unwrap()
        .execute_script(&format!(
            "CREATE SCHEMA {PRIVILEGED_SCHEMA}; GRANT USAGE ON SCHEMA {PRIVILEGED_SCHEMA} TO public; \
             CREATE FUNCTION {PRIVILEGED_SCHEMA}.set_size(rel oid, pages int4, tuples float4, \
             all_visible int4) RETURNS void LANGUAGE sql SECURITY DEFINER AS \
             'UPDATE pg_catalog.pg_class SET relpages = $2, reltuples = $3, relallvisible = $4 \
              WHERE oid = $1'"
        ))
        .unwrap();
    let session = cluster.session().unwrap();
    for statement in SCHEMA.split(';') {
        session.execute_script(statement).unwrap();
    }
    session
        .execute_script(&format!(
            "SELECT {PRIVILEGED_SCHEMA}.set_size('orders'::regclass, {BLOCKS}, 3e7, 1000); \
             SELECT {PRIVILEGED_SCHEMA}.set_size('orders_customer_idx'::regclass, 30000, 3e7, 0); \
             SELECT {PRIVILEGED_SCHEMA}.set_size('orders_status_idx'::regclass, 30000, 3e7, 0); \
             SELECT {PRIVILEGED_SCHEMA}.set_size('orders_pkey'::regclass, 90000, 3e7, 0)"
        ))
        .unwrap();
    let files = lay::relation_files(cluster.session().unwrap()).unwrap();
    cluster.stop().unwrap();
    for (name, blocks) in [
        ("orders", BLOCKS),
        ("orders_customer_idx", 30_000),
        ("orders_status_idx", 30_000),
        ("orders_pkey", 90_000),
    ] {
        let file = files.iter().find(|file| file.name == name).unwrap();
        lay::set_blocks(&cluster.file(&file.path), blocks).unwrap();
    }
    cluster.start().unwrap();
    let snapshot = Snapshot {
        origin: Origin {
            version_num: 150_004,
            version: "15.4".to_owned(),
            database: "shop".to_owned(),
            ..Origin::default()
        },
        ..Snapshot::default()
    };
    let planner = TwinPlanner::new(
        Box::new(cluster),
        Loaded::default(),
        Arc::new(snapshot),
        Duration::from_secs(20),
    )
    .unwrap();
    Some(Made {
        planner,
        _temp: temp,
    })
}

fn planned(sql: &str) -> Planned<'_> {
    Planned { sql, parameters: 0 }
}

fn text(plan: &PlanGraph) -> String {
    plan.document.to_string()
}

fn plan(planner: &mut TwinPlanner, sql: &str) -> PlanGraph {
    planner.plan(planned(sql), PlanOptions::default()).unwrap()
}

fn sql(statements: &[&str]) -> Vec<Supposition> {
    statements
        .iter()
        .map(|sql| Supposition::Sql((*sql).to_owned()))
        .collect()
}

fn after(what_if: &WhatIf) -> String {
    text(what_if.plans.first().unwrap().as_ref().unwrap())
}

fn index(table: &str, column: &str) -> IndexSpec {
    IndexSpec {
        schema: "public".to_owned(),
        table: table.to_owned(),
        name: format!("{table}_{column}_new"),
        method: "btree".to_owned(),
        keys: vec![IndexSpecKey::column(column)],
        include: Vec::new(),
        predicate: None,
        with: None,
        extension: None,
        partitions: Vec::new(),
    }
}

const BY_CUSTOMER: &str = "SELECT * FROM orders WHERE customer = 7";
const BY_DATE: &str = "SELECT count(*) FROM orders WHERE created = date '2020-03-01'";
const BY_STATUS: &str = "SELECT * FROM orders WHERE status = 's3' AND customer = 8";
const OF_KIND: &str = "SELECT * FROM events WHERE kind = 700";
const ALL: [&str; 5] = [
    BY_CUSTOMER,
    BY_DATE,
    BY_STATUS,
    OF_KIND,
    "SELECT o.status, count(*) FROM orders o JOIN events e ON e.kind = o.id GROUP BY 1",
];

#[test]
fn indexes_come_and_go_with_their_sizes() {
    let Some(mut made) = twin() else { return };
    let planner = &mut made.planner;
    assert!(text(&plan(planner, BY_DATE)).contains("Seq Scan"));
    let tried = planner
        .what_if(
            &[planned(BY_DATE)],
            &[
                Supposition::Index(index("orders", "created")),
                Supposition::Index(index("orders", "no_such_column")),
            ],
        )
        .unwrap();
    assert!(
        after(&tried).contains("orders_created_new"),
        "{}",
        after(&tried)
    );
    let supposed = tried.indexes.first().unwrap();
    assert_eq!(supposed.how, "estimated from statistics");
    // 30 million rows of 900 dates: about 6.5 bytes a row.
    let bytes = supposed.bytes.unwrap();
    assert!((150e6..320e6).contains(&bytes), "{bytes}");
    let refused = tried
        .indexes
        .get(1)
        .and_then(|index| index.refused.clone())
        .unwrap();
    assert!(refused.contains("no_such_column"), "{refused}");

    // Another set within the same transaction: the first is hidden.
    let tried = planner
        .what_if(
            &[planned(BY_DATE)],
            &[Supposition::Index(index("orders", "status"))],
        )
        .unwrap();
    assert!(!after(&tried).contains("orders_created_new"));

    assert!(text(&plan(planner, BY_CUSTOMER)).contains("orders_customer_idx"));
    let tried = planner
        .what_if(
            &[planned(BY_CUSTOMER)],
            &sql(&["DROP INDEX CONCURRENTLY orders_customer_idx"]),
        )
        .unwrap();
    assert!(after(&tried).contains("Seq Scan"), "{}", after(&tried));
}

#[test]
fn a_partitioned_table_gets_its_parts() {
    let Some(mut made) = twin() else { return };
    let tried = made
        .planner
        .what_if(
            &[planned(OF_KIND)],
            &[Supposition::Index(index("events", "kind"))],
        )
        .unwrap();
    let supposed = tried.indexes.first().unwrap();
    assert_eq!(supposed.refused, None);
    assert_eq!(supposed.parts.len(), 2, "{supposed:?}");
    let plan = after(&tried);
    assert!(
        supposed.parts.iter().all(|part| plan.contains(part)),
        "{plan}"
    );
}

#[test]
fn a_migration_is_tried_as_a_whole_and_what_cannot_be_is_named() {
    let Some(mut made) = twin() else { return };
    let planner = &mut made.planner;
    let tried = planner
        .what_if(
            &[planned(BY_STATUS)],
            &sql(&[
                "BEGIN",
                "ALTER TABLE orders ALTER COLUMN status TYPE text",
                "ALTER TABLE orders ALTER COLUMN customer TYPE bigint",
                "DROP INDEX nothing_of_that_name",
                "ALTER TABLE orders ADD COLUMN note text",
                "CREATE INDEX CONCURRENTLY ON orders (status, customer)",
                "ALTER SYSTEM SET random_page_cost = 1.1",
                "VACUUM orders",
                "COMMIT",
            ]),
        )
        .unwrap();
    let outcomes: Vec<&ChangeOutcome> =
        tried.changes.iter().map(|change| &change.outcome).collect();
    assert!(
        matches!(
            outcomes.as_slice(),
            [
                ChangeOutcome::LeftOut { .. },
                ChangeOutcome::Applied,
                ChangeOutcome::Applied,
                ChangeOutcome::Refused { .. },
                ChangeOutcome::Applied,
                ChangeOutcome::Applied,
                ChangeOutcome::Applied,
                ChangeOutcome::LeftOut { .. },
                ChangeOutcome::LeftOut { .. },
            ]
        ),
        "{outcomes:?}"
    );
    let new = tried
        .changes
        .get(5)
        .and_then(|change| change.indexes.first())
        .unwrap();
    assert_eq!(new.name, "orders_status_customer_idx");
    assert!(new.bytes.unwrap() > 50e6, "{new:?}");
    let plan = after(&tried);
    assert!(plan.contains("orders_status_customer_idx"), "{plan}");
    assert!(plan.contains("random_page_cost"), "{plan}");
}

#[test]
fn nothing_of_it_is_left() {
    let Some(mut made) = twin() else { return };
    let planner = &mut made.planner;
    let plans = |planner: &mut TwinPlanner| -> Vec<String> {
        ALL.iter().map(|sql| text(&plan(planner, sql))).collect()
    };
    let catalog =
        |planner: &mut TwinPlanner| format!("{:?}", planner.session().unwrap().catalog().unwrap());
    // The first what-if makes a function of its own in the twin, which stays.
    planner
        .what_if(&[], &sql(&["SET work_mem = '1GB'"]))
        .unwrap();
    let (before, known) = (plans(planner), catalog(planner));
    let statements: Vec<Planned<'_>> = ALL.iter().map(|sql| planned(sql)).collect();
    for change in [
        "CREATE INDEX ON orders (created, status)",
        "CREATE INDEX ON orders USING gin ((ARRAY[status]))",
        "CREATE INDEX ON orders USING brin (created)",
        "CREATE INDEX ON orders USING hash (customer)",
        "CREATE INDEX ON orders (lower(status)) WHERE customer > 5",
        "DROP INDEX orders_status_idx",
        "ALTER TABLE orders ALTER COLUMN id TYPE bigint",
        "ALTER TABLE orders ALTER COLUMN status TYPE varchar(20)",
        "ALTER TABLE orders ALTER COLUMN status TYPE char(40)",
        "ALTER TABLE orders ADD CHECK (customer > 0)",
        "ALTER TABLE orders ADD COLUMN x float DEFAULT random()",
        "ALTER TABLE orders DROP COLUMN created",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey",
        "DROP TABLE orders CASCADE",
        "CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2022-01-01') TO ('2023-01-01')",
        "ALTER TABLE events DETACH PARTITION events_2",
        "CREATE INDEX ON events (kind)",
        "CREATE STATISTICS s ON customer, status FROM orders",
        "SET work_mem = '1GB'",
        "this is no SQL",
    ] {
        let tried = planner.what_if(&statements, &sql(&[change])).unwrap();
        assert_eq!(tried.plans.len(), statements.len());
    }
    for column in ["created", "status", "customer"] {
        planner
            .what_if(&statements, &[Supposition::Index(index("orders", column))])
            .unwrap();
    }
    assert_eq!(plans(planner), before);
    let now = catalog(planner);
    let at = now
        .bytes()
        .zip(known.bytes())
        .take_while(|(a, b)| a == b)
        .count();
    assert!(
        now == known,
        "{} instead of {}",
        now.get(at.saturating_sub(200)..at + 100)
            .unwrap_or_default(),
        known
            .get(at.saturating_sub(200)..at + 100)
            .unwrap_or_default()
    );
}

#[test]
fn a_twin_says_what_it_is_and_executes_nothing() {
    let Some(mut made) = twin() else { return };
    let engine = made.planner.engine();
    assert!(
        engine
            .description
            .ends_with("(installed twin of shop, PostgreSQL 15.4)"),
        "{}",
        engine.description
    );
    let executed = made.planner.plan(
        planned("SELECT 1"),
        PlanOptions {
            analyze: true,
            allow_writes: false,
        },
    );
    assert!(matches!(executed, Err(PlanError::Unsupported { .. })));
}

#[test]
fn a_change_is_told_with_its_indexes_and_the_place_of_an_error() {
    let Some(mut made) = twin() else { return };
    let planner = &mut made.planner;
    let misspelt = "CREATE INDEX CONCURRENTLY ON orders (no_such_column)";
    let tried = planner
        .what_if(
            &[planned(BY_STATUS)],
            &sql(&[
                misspelt,
                "CREATE INDEX made ON orders (upper(status), created)",
                "DROP INDEX orders_status_idx",
                "ALTER TABLE orders ALTER COLUMN customer TYPE bigint",
                "DROP TABLE events",
            ]),
        )
        .unwrap();
    let [refused, created, dropped, retyped, gone] = tried.changes.as_slice() else {
        panic!("{:?}", tried.changes);
    };
    let ChangeOutcome::Refused {
        position, message, ..
    } = &refused.outcome
    else {
        panic!("{refused:?}");
    };
    assert!(message.contains("no_such_column"), "{message}");
    assert_eq!(*position, misspelt.find("no_such_column"));
    let table = created.tables.first().unwrap();
    assert_eq!(
        (table.name.as_str(), table.made.as_slice()),
        ("orders", ["made".to_owned()].as_slice())
    );
    assert_eq!(table.columns, ["status", "created"]);
    assert!(
        created.notes.iter().any(|note| note.contains("expression")),
        "{:?}",
        created.notes
    );
    let table = dropped.tables.first().unwrap();
    assert_eq!(table.dropped, ["orders_status_idx"]);
    // An index that is made again with the column's new type is no new one,
    // and one that goes with its table costs nobody anything.
    assert_eq!(retyped.tables, Vec::new());
    assert_eq!(gone.outcome, ChangeOutcome::Applied);
    assert_eq!(gone.tables, Vec::new());
}

#[test]
fn settings_go_back_to_those_of_the_twin() {
    let Some(mut made) = twin() else { return };
    let planner = &mut made.planner;
    planner
        .session()
        .unwrap()
        .execute_script("SET random_page_cost = 1.7")
        .unwrap();
    let before = text(&plan(planner, BY_CUSTOMER));
    assert!(before.contains("1.7"), "{before}");
    for change in [
        &["SET random_page_cost = 9", "RESET ALL"][..],
        &["SET random_page_cost = 9", "RESET random_page_cost"],
        &[
            "SET random_page_cost = 9",
            "SET LOCAL random_page_cost TO DEFAULT",
        ],
        &["RESET ALL", "SET transaction_read_only = on"],
    ] {
        let tried = planner
            .what_if(&[planned(BY_CUSTOMER)], &sql(change))
            .unwrap();
        assert_eq!(after(&tried), before, "{change:?}");
    }
    let tried = planner
        .what_if(&[planned(BY_CUSTOMER)], &sql(&["RESET no_such_setting"]))
        .unwrap();
    assert!(matches!(
        tried.changes.first().unwrap().outcome,
        ChangeOutcome::Refused { .. }
    ));
}

/// The program, in a folder of its own.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pgadvise"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .env("COLUMNS", "100")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    }

    fn json(&self, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
        let mut all = vec!["explain", "--format", "json"];
        all.extend(arguments);
        let (code, out, err) = self.run(&all);
        let report = serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {err}"));
        (code, report)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

const QUERIES: &str = "SELECT * FROM orders WHERE created = date '2020-03-01' AND status = 's3';\n\
     SELECT * FROM orders WHERE customer = 7;\n\
     SELECT * FROM orders WHERE id = 7;\n";
const MIGRATION: &str = "BEGIN;\n\
     CREATE INDEX CONCURRENTLY new_idx ON orders (created, status);\n\
     DROP INDEX orders_customer_idx;\n\
     CREATE INDX oops ON orders (id);\n\
     SET LOCAL work_mem = '64MB';\n\
     COMMIT;\n";

/// What the report says of [`MIGRATION`] on [`QUERIES`].
#[track_caller]
fn check(report: &serde_json::Value) {
    let what_if = &report["what_if"];
    let changes = what_if["changes"].as_array().unwrap();
    let statuses: Vec<&str> = changes
        .iter()
        .map(|change| change["status"].as_str().unwrap())
        .collect();
    assert_eq!(
        statuses,
        [
            "left_out", "applied", "applied", "refused", "applied", "left_out"
        ]
    );
    let made = &changes[1]["indexes"][0];
    assert_eq!(made["name"], "new_idx");
    assert_eq!(made["used_by"], 1);
    assert!(number(&made["bytes"]) > 8192.0, "{made}");
    assert_eq!(changes[2]["dropped_indexes"][0], "orders_customer_idx");
    let place = &changes[3]["error_place"];
    assert_eq!((&place["line"], &place["column"]), (&4.into(), &8.into()));
    assert_eq!(what_if["writes"][0]["no_longer_hot"][0], "created");
    assert_eq!(what_if["compared"], 3);
    assert_eq!(
        (&what_if["better"], &what_if["worse"]),
        (&1.into(), &1.into())
    );

    let of = |at: usize| &report["statements"][at]["what_if"];
    assert_eq!(of(0)["plan"], "other");
    assert_eq!(of(0)["indexes_newly_used"][0], "new_idx");
    assert!(number(&of(0)["cost_change"]) < -0.5, "{}", of(0));
    assert_eq!(of(1)["indexes_no_longer_used"][0], "orders_customer_idx");
    assert!(number(&of(1)["after_cost"]) > 2.0 * number(&of(1)["before_cost"]));
    assert_eq!(of(2)["plan"], "same");
    let sum: f64 = (0..3).map(|at| number(&of(at)["after_cost"])).sum();
    assert!((sum - number(&what_if["after_cost"])).abs() < 1e-6 * sum);
}

fn desk() -> Desk {
    let desk = Desk {
        folder: tempfile::tempdir().unwrap(),
    };
    desk.write("queries.sql", QUERIES);
    desk.write("migration.sql", MIGRATION);
    desk.write("schema.sql", SCHEMA);
    desk
}

#[test]
fn a_migration_is_tried_by_the_program_on_a_snapshot_and_on_a_database() {
    let Some(server) = crate::support::server::shared() else {
        return;
    };
    drop(server.database("what_if", SCHEMA));
    let desk = desk();
    let conninfo = format!(
        "host={} dbname=what_if user=postgres",
        server.folder().display()
    );
    let (code, _, err) = desk.run(&["snapshot", "-d", &conninfo, "-o", "s.pgsnap"]);
    assert_eq!(code, Some(0), "{err}");
    let engines: &[&str] = if cfg!(feature = "embedded") {
        &["native", "embedded"]
    } else {
        &["native"]
    };
    for engine in engines {
        for from in [["--snapshot", "s.pgsnap"], ["-d", &conninfo]] {
            let mut arguments = vec!["queries.sql", "--no-verify", "--engine", engine];
            arguments.extend(from);
            arguments.extend(["--what-if", "@migration.sql"]);
            let (code, report) = desk.json(&arguments);
            assert_eq!(code, Some(2), "a statement was refused");
            check(&report);
        }
    }
    // Nothing of it reached the database.
    let rows = server
        .admin("what_if")
        .explain(
            planned("SELECT * FROM orders WHERE customer = 7"),
            PlanOptions::default(),
        )
        .unwrap();
    assert!(text(&rows).contains("orders_customer_idx"));

    let (code, report) = desk.json(&[
        "queries.sql",
        "--no-verify",
        "--snapshot",
        "s.pgsnap",
        "--what-if",
        "DROP TABLE orders",
    ]);
    assert_eq!(code, Some(2), "statements have no plan any more");
    assert_eq!(report["what_if"]["broken"], 3);
    let error = report["statements"][0]["what_if"]["error"]
        .as_str()
        .unwrap();
    assert!(error.contains("does not exist"), "{error}");

    for (format, wanted) in [
        (
            "text",
            &[
                "the plan does not change",
                "What if  cost",
                "used by 1 of 3",
            ][..],
        ),
        (
            "markdown",
            &["**What if:** cost", "the plan does not change", "```diff"],
        ),
    ] {
        let (code, out, err) = desk.run(&[
            "explain",
            "queries.sql",
            "--no-verify",
            "--snapshot",
            "s.pgsnap",
            "--format",
            format,
            "--what-if",
            "CREATE INDEX ON orders (created, status)",
            "--what-if",
            "DROP INDEX orders_status_idx",
        ]);
        assert_eq!(code, Some(0), "{out}{err}");
        for piece in wanted {
            assert!(out.contains(piece), "no {piece} in\n{out}");
        }
    }
}

#[cfg(feature = "embedded")]
#[test]
fn a_migration_is_tried_by_the_program_on_a_schema() {
    let desk = desk();
    let (code, report) = desk.json(&[
        "queries.sql",
        "--schema",
        "schema.sql",
        "--what-if",
        "@migration.sql",
    ]);
    assert_eq!(code, Some(2));
    check(&report);
    // The advice is that for the schema as it is.
    let text = report["statements"][0]["findings"].to_string();
    assert!(text.contains("CREATE INDEX"), "{text}");

    // With rows, statistics can be gathered and rows changed.
    let (code, report) = desk.json(&[
        "queries.sql",
        "--no-verify",
        "--schema",
        "schema.sql",
        "--what-if",
        "INSERT INTO orders SELECT i, 7, 's1', date '2020-01-01' FROM generate_series(100001, 130000) AS i",
        "--what-if",
        "ANALYZE orders",
    ]);
    assert_eq!(code, Some(0), "{report:#}");
    let second = &report["statements"][1]["what_if"];
    assert_eq!(second["plan"], "other", "most rows are of one customer now");
    let (code, out, _) = desk.run(&[
        "explain",
        "queries.sql",
        "--schema",
        "schema.sql",
        "--what-if",
        "SELECT 1",
    ]);
    assert_eq!(code, Some(0));
    assert_eq!(out.matches("the plan does not change").count(), 3, "{out}");
}

#[test]
fn a_change_that_cannot_be_tried_is_told() {
    let desk = desk();
    for (arguments, said) in [
        (vec!["--what-if", "DROP INDEX x"], "needs a planner"),
        (vec!["--what-if", "@gone.sql"], "gone.sql"),
        (vec!["--what-if", ""], "no SQL statement"),
    ] {
        let mut all = vec!["explain", "queries.sql"];
        all.extend(arguments);
        let (code, _, err) = desk.run(&all);
        assert_eq!(code, Some(2), "{err}");
        assert!(err.contains(said), "no {said} in {err}");
    }
}
