//! The embedded cluster as a planner: it executes schemas, plans, supposes
//! indexes and statistics, and is left as it was.
#![cfg(feature = "embedded")]

use std::path::PathBuf;
use std::time::Duration;

use pgadvise::advise::Analysis;
use pgadvise::advise::explain::{AdviceOptions, analyse};
use pgadvise::finding::{Change, IndexSpec, IndexSpecKey, Suggestion, Verdict};
use pgadvise::pg::embedded::{EmbeddedOptions, EmbeddedPlanner, SchemaStatement};
use pgadvise::source::SourceId;
use pgadvise::sql;
use pgadvise::verify::{PlanError, PlanOptions, Planned, Planner as _, Supposition};

/// Orders of a shop: enough rows for an index to matter, few enough to load
/// in a moment.
const SHOP: &str = "
CREATE TABLE customers (id int PRIMARY KEY, email text NOT NULL, country text NOT NULL);
CREATE TABLE orders (
    id int PRIMARY KEY,
    customer_id int NOT NULL REFERENCES customers,
    status text NOT NULL,
    note text,
    created_at timestamp NOT NULL
);
INSERT INTO customers SELECT n, 'c' || n || '@example.com', 'DE' FROM generate_series(1, 2000) n;
INSERT INTO orders
SELECT n, 1 + n % 2000, CASE WHEN n % 200 = 0 THEN 'new' ELSE 'done' END, md5(n::text),
       timestamp '2024-01-01' + (n * 7919 % 40000) * interval '5 minutes'
FROM generate_series(1, 40000) n;
ANALYZE;
";

fn planner(schema: &str) -> EmbeddedPlanner {
    planner_with_limit(schema, Duration::from_mins(1))
}

fn planner_with_limit(schema: &str, limit: Duration) -> EmbeddedPlanner {
    let (statements, problems) = sql::read(SourceId(0), schema);
    assert_eq!(problems, [], "the schema of a test must be readable");
    EmbeddedPlanner::start(EmbeddedOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        schema: statements
            .into_iter()
            .map(|statement| SchemaStatement {
                text: statement.text,
                span: statement.span,
            })
            .collect(),
        load_limit: Duration::from_mins(2),
        statement_limit: limit,
    })
    .expect("the embedded server starts")
}

fn advice(planner: &mut EmbeddedPlanner, text: &str) -> Vec<Analysis> {
    advice_with(planner, text, &AdviceOptions::default())
}

fn advice_with(
    planner: &mut EmbeddedPlanner,
    text: &str,
    options: &AdviceOptions,
) -> Vec<Analysis> {
    let (statements, problems) = sql::read(SourceId(1), text);
    assert_eq!(problems, []);
    analyse(statements, Vec::new(), Some(planner), options)
}

fn suggestions(analyses: &[Analysis]) -> Vec<&Suggestion> {
    analyses
        .iter()
        .flat_map(|analysis| &analysis.findings)
        .flat_map(|finding| &finding.suggestions)
        .collect()
}

fn indexes(analyses: &[Analysis]) -> Vec<String> {
    suggestions(analyses)
        .into_iter()
        .filter_map(|suggestion| match &suggestion.change {
            Change::CreateIndex(spec) => Some(spec.concurrent_sql()),
            _ => None,
        })
        .collect()
}

fn planned(sql: &str) -> Planned<'_> {
    Planned { sql, parameters: 0 }
}

fn on_customer() -> IndexSpec {
    IndexSpec {
        schema: "public".to_owned(),
        table: "orders".to_owned(),
        name: "orders_customer_id_idx".to_owned(),
        method: "btree".to_owned(),
        keys: vec![IndexSpecKey::column("customer_id")],
        include: Vec::new(),
        predicate: None,
        with: None,
        extension: None,
        partitions: Vec::new(),
    }
}

#[test]
fn a_supposed_index_is_used_and_leaves_no_trace() {
    let mut planner = planner(SHOP);
    let query = planned("SELECT * FROM orders WHERE customer_id = 7");
    let before = planner.plan(query, PlanOptions::default()).unwrap();
    let what_if = planner
        .what_if(&[query], &[Supposition::Index(on_customer())])
        .unwrap();
    let with = what_if.plans[0].as_ref().unwrap();
    assert!(with.total_cost() < before.total_cost().map(|cost| cost / 5.0));
    assert!(
        with.nodes()
            .any(|(_, node)| node.relation.index.as_deref() == Some("orders_customer_id_idx"))
    );
    // 40,000 four-byte keys with 20 rows each: some 300 kB with
    // deduplication, 900 kB without.
    let bytes = what_if.indexes[0].bytes.unwrap();
    assert!((200_000.0..500_000.0).contains(&bytes), "{bytes}");

    let after = planner.plan(query, PlanOptions::default()).unwrap();
    assert_eq!(after.document, before.document, "the plan is as before");
}

#[test]
fn statistics_survive_suppositions_of_every_kind() {
    // Statistics of a tenth of the rows: building an index counts the rows and
    // writes what it counted, and ANALYZE even more.
    let stale = SHOP.replace(
        "ANALYZE;",
        "ANALYZE; INSERT INTO orders SELECT n + 40000, 7, 'late', NULL, now() \
         FROM generate_series(1, 20000) n;",
    );
    let mut planner = planner(&stale);
    let scans = |planner: &mut EmbeddedPlanner| {
        ["SELECT * FROM orders", "SELECT * FROM customers"].map(|scan| {
            let plan = planner.plan(planned(scan), PlanOptions::default());
            plan.unwrap().document
        })
    };
    let before = scans(&mut planner);
    let query = planned("SELECT * FROM orders WHERE lower(status) = 'late'");
    let plan = planner.plan(query, PlanOptions::default()).unwrap();
    let expression = IndexSpec {
        name: "orders_lower_status_idx".to_owned(),
        keys: vec![IndexSpecKey {
            is_expression: true,
            ..IndexSpecKey::column("lower(status)")
        }],
        ..on_customer()
    };
    let analyze = Supposition::Statistics {
        statements: vec!["ANALYZE orders".to_owned()],
        relations: vec![("public".to_owned(), "orders".to_owned())],
    };
    for supposition in [
        Supposition::Index(on_customer()),
        Supposition::Index(expression),
        analyze,
    ] {
        let what_if = planner.what_if(&[query], &[supposition]).unwrap();
        assert!(what_if.plans[0].is_ok(), "{:?}", what_if.plans);
        let again = planner.plan(query, PlanOptions::default()).unwrap();
        assert_eq!(again.document, plan.document);
    }
    // Rows and cost of a whole scan follow from reltuples and relpages.
    assert_eq!(scans(&mut planner), before);
}

#[test]
fn analyze_is_tried_and_its_new_estimate_seen() {
    let mut planner =
        planner("CREATE TABLE t (a int); INSERT INTO t SELECT n FROM generate_series(1, 50000) n;");
    let query = planned("SELECT * FROM t WHERE a < 100");
    let analyze = Supposition::Statistics {
        statements: vec!["ANALYZE t".to_owned()],
        relations: vec![("public".to_owned(), "t".to_owned())],
    };
    let what_if = planner.what_if(&[query], &[analyze]).unwrap();
    let rows = |plan: &pgadvise::plan::PlanGraph| plan.node(plan.root).estimate.unwrap().rows;
    let with = rows(what_if.plans[0].as_ref().unwrap());
    assert!((80.0..120.0).contains(&with), "99 rows pass: {with}");
    let without = rows(&planner.plan(query, PlanOptions::default()).unwrap());
    assert!(without > 1_000.0, "a third of all is the guess: {without}");
}

#[test]
fn the_missing_index_is_found_and_what_exists_is_not_repeated() {
    let mut planner = planner(SHOP);
    let found = advice(
        &mut planner,
        "SELECT * FROM orders WHERE customer_id = 7 ORDER BY created_at DESC LIMIT 5;",
    );
    let ddl = indexes(&found);
    assert_eq!(ddl.len(), 1, "{ddl:?}");
    assert!(
        ddl[0].starts_with("CREATE INDEX CONCURRENTLY orders_customer_id")
            && ddl[0].contains("ON public.orders (customer_id"),
        "{ddl:?}"
    );
    assert!(matches!(
        &suggestions(&found)[0].verdict,
        Verdict::Better(comparison) if comparison.after_cost < comparison.before_cost * 0.2
    ));

    let served = format!("{SHOP} CREATE INDEX ON orders (customer_id, created_at);");
    let mut planner = planner_with_limit(&served, Duration::from_mins(1));
    for query in [
        "SELECT * FROM orders WHERE customer_id = 7 ORDER BY created_at DESC LIMIT 5;",
        "SELECT * FROM orders WHERE customer_id = 7;",
        "SELECT * FROM orders WHERE id = 7;",
        "SELECT count(*) FROM orders;",
        "SELECT * FROM orders WHERE status = 'done';",
        "SELECT c.email, o.note FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 9;",
    ] {
        let analyses = advice(&mut planner, query);
        let findings: Vec<_> = analyses
            .iter()
            .flat_map(|analysis| &analysis.findings)
            .collect();
        assert!(findings.is_empty(), "{query}: {findings:#?}");
    }
}

#[test]
fn orders_with_a_limit_get_an_index_in_their_order() {
    let mut planner = planner(SHOP);
    let ddl = indexes(&advice(
        &mut planner,
        "SELECT * FROM orders ORDER BY created_at DESC, id DESC LIMIT 10;",
    ));
    assert_eq!(ddl.len(), 1, "{ddl:?}");
    assert!(ddl[0].contains("(created_at"), "{ddl:?}");
}

#[test]
fn a_substring_search_gets_trigrams_and_the_extension() {
    let mut planner = planner(SHOP);
    let ddl = indexes(&advice(
        &mut planner,
        "SELECT * FROM orders WHERE note LIKE '%abcdef%';",
    ));
    assert_eq!(ddl.len(), 1, "{ddl:?}");
    assert!(
        ddl[0].starts_with("CREATE EXTENSION IF NOT EXISTS pg_trgm;")
            && ddl[0].contains("USING gin (note gin_trgm_ops)"),
        "{ddl:?}"
    );
}

#[test]
fn a_partitioned_table_is_indexed_partition_by_partition() {
    let schema = "CREATE TABLE events (id int, device int, at date) PARTITION BY RANGE (at);
         CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
         CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')
             PARTITION BY LIST (id);
         CREATE TABLE events_2_rest PARTITION OF events_2 DEFAULT;
         INSERT INTO events SELECT n, n % 5000, date '2024-01-01' + n % 60
         FROM generate_series(1, 60000) n;
         ANALYZE;";
    let mut planner = planner(schema);
    let ddl = indexes(&advice(
        &mut planner,
        "SELECT * FROM events WHERE device = 17;",
    ));
    assert_eq!(ddl.len(), 1, "{ddl:?}");
    for parent in ["events", "events_2"] {
        assert!(
            ddl[0].contains(&format!("ON ONLY public.{parent} (device);")),
            "{ddl:?}"
        );
    }
    for partition in ["events_1", "events_2_rest"] {
        assert!(
            ddl[0].contains(&format!(
                "CREATE INDEX CONCURRENTLY {partition}_events_device_idx ON public.{partition} (device);"
            )),
            "{ddl:?}"
        );
    }
    // The whole does what it should: the parent's index is valid.
    let mut planner = self::planner(&format!("{schema} {};", ddl[0]));
    assert!(planner.take_problems().is_empty());
    let catalog = planner.catalog().unwrap();
    for table in ["events", "events_2", "events_1", "events_2_rest"] {
        let relation = catalog.relation(Some("public"), table).unwrap();
        assert!(
            relation.indexes.len() == 1 && relation.indexes.iter().all(|index| index.valid),
            "{table}"
        );
    }
}

#[test]
fn with_analyze_the_time_is_measured_both_ways() {
    let mut planner = planner(SHOP);
    let options = AdviceOptions {
        analyze: true,
        ..AdviceOptions::default()
    };
    let found = advice_with(
        &mut planner,
        "SELECT * FROM orders WHERE customer_id = 7;",
        &options,
    );
    let measured =
        suggestions(&found)
            .into_iter()
            .find_map(|suggestion| match &suggestion.verdict {
                Verdict::Better(comparison) => comparison.measured_ms,
                _ => None,
            });
    let (before, after) = measured.expect("both times");
    assert!(before > 0.0 && after > 0.0);
    assert!(found[0].plan.as_ref().unwrap().has_actuals());
}

#[test]
fn a_statement_without_end_is_ended_and_the_next_gets_its_plan() {
    let mut planner = planner_with_limit(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); ANALYZE;",
        Duration::from_secs(2),
    );
    let endless = planned("SELECT count(*) FROM generate_series(1, 100000000000) n");
    let options = PlanOptions {
        analyze: true,
        allow_writes: false,
    };
    let error = planner.plan(endless, options).unwrap_err();
    assert!(matches!(error, PlanError::TimedOut { .. }), "{error}");
    let plan = planner
        .plan(planned("SELECT * FROM t"), PlanOptions::default())
        .unwrap();
    assert_eq!(plan.node(plan.root).relation.name.as_deref(), Some("t"));
}

#[test]
fn trouble_in_the_schema_is_told_and_the_rest_is_loaded() {
    let mut planner = planner(
        "CREATE TABLE a (x int);\nCREATE TABLE b (x nosuchtype);\nCREATE EXTENSION postgis;\n\
         ALTER TABLE a OWNER TO somebody;\nSELECT pg_catalog.set_config('search_path', '', false);",
    );
    let problems = planner.take_problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    assert!(problems[0].message.contains("nosuchtype"));
    assert_eq!(problems[0].at.map(|span| span.start), Some(42));
    assert!(problems[1].hint.as_ref().unwrap().contains("postgis"));
    let catalog = planner.catalog().unwrap();
    assert!(
        catalog.relation(None, "a").is_some(),
        "the search path is back"
    );
}

#[test]
fn an_unknown_table_is_named_with_its_place() {
    let mut planner = planner(SHOP);
    let analyses = advice(&mut planner, "SELECT 1;\nSELECT * FROM ordrs;");
    assert!(!analyses[0].failed);
    assert!(analyses[1].failed);
    let named = analyses[1]
        .problems
        .iter()
        .find(|problem| problem.message.contains("ordrs"))
        .expect("the table is named");
    assert_eq!(named.at.map(|span| span.start), Some(24));
}

#[cfg(unix)]
#[test]
fn nothing_is_left_when_the_planner_is_gone() {
    let planner = planner("CREATE TABLE t (a int);");
    let folder = planner.folder().expect("it runs").to_owned();
    assert!(folder.is_dir());
    drop(planner);
    assert!(!folder.exists(), "the folder is removed");
}

#[test]
fn a_table_behind_a_view_gets_its_index() {
    let schema = format!("{SHOP} CREATE VIEW recent AS SELECT * FROM orders WHERE id > 10;");
    let mut planner = planner(&schema);
    let ddl = indexes(&advice(
        &mut planner,
        "SELECT note FROM recent WHERE customer_id = 7;",
    ));
    assert_eq!(ddl.len(), 1, "{ddl:?}");
    assert!(ddl[0].contains("ON public.orders (customer_id"), "{ddl:?}");
}

#[test]
fn a_schema_without_rows_is_said_to_be_one() {
    let mut empty = planner("CREATE TABLE t (a int);");
    empty.catalog().unwrap();
    assert!(empty.engine().notes[0].contains("no rows"));
    let mut full = planner("CREATE TABLE t (a int); INSERT INTO t VALUES (1);");
    full.catalog().unwrap();
    assert_eq!(full.engine().notes, [] as [&str; 0]);
}
