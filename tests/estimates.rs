//! Causes of wrong estimates on a live server: each is told from the plan, the
//! catalogue and its statistics, and the SQL that is proposed brings the
//! estimate near to what is counted.

use pgadvise::advise::engine::{Choice, run};
use pgadvise::catalog::Catalog;
use pgadvise::finding::{Change, Finding, Value};
use pgadvise::pg::Session;
use pgadvise::plan::metrics::rows_of_all;
use pgadvise::plan::{NodeId, PlanGraph};
use pgadvise::rules;
use pgadvise::subject::Subject;
use pgadvise::verify::{PlanOptions, Planned};

use crate::support::server::{Server, every_version, shared};

/// Sizes are chosen so that a sample of 30,000 rows misses what it must.
const TABLES: &str = "\
CREATE TABLE addresses (id int PRIMARY KEY, city text, country text); \
INSERT INTO addresses SELECT n, 'city ' || n % 500, 'country ' || n % 50 \
  FROM generate_series(1, 100000) n; \
CREATE TABLE kinds (id int PRIMARY KEY, kind int); \
INSERT INTO kinds SELECT n, CASE WHEN n % 2 = 0 THEN n / 2 % 200 ELSE 1000 + n END \
  FROM generate_series(1, 400000) n; \
CREATE TABLE runs (user_id int, note text); \
INSERT INTO runs SELECT CASE WHEN n % 10 < 7 THEN n % 50 ELSE 1000 + n / 4 END, repeat('x', 30) \
  FROM generate_series(1, 300000) n; \
ALTER TABLE runs ALTER user_id SET STATISTICS 1, ALTER note SET STATISTICS 1; \
CREATE TABLE shops (id int PRIMARY KEY, name text); \
INSERT INTO shops SELECT n, 'shop ' || n FROM generate_series(1, 1000) n; \
CREATE TABLE sales (shop_id int, amount int); \
INSERT INTO sales SELECT CASE WHEN n % 2 = 0 THEN 7 ELSE 1 + n % 1000 END, n \
  FROM generate_series(1, 100000) n; \
CREATE INDEX sales_shop ON sales (shop_id); \
CREATE TABLE log (id int, at timestamptz) WITH (autovacuum_enabled = off); \
INSERT INTO log SELECT n, timestamptz '2024-01-01 00:00+00' + n * interval '1 minute' \
  FROM generate_series(1, 100000) n; \
CREATE TABLE grown (id int, state text) WITH (autovacuum_enabled = off); \
INSERT INTO grown SELECT n, 'old ' || n % 5000 FROM generate_series(1, 50000) n; \
CREATE TABLE parted (id int, kind int) PARTITION BY RANGE (id); \
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (50000); \
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (50000) TO (100001); \
INSERT INTO parted SELECT n, n / 4 FROM generate_series(1, 100000) n; \
ANALYZE addresses, kinds, runs, shops, sales, log, grown; \
ANALYZE parted_1, parted_2; \
INSERT INTO log SELECT n, timestamptz '2024-01-01 00:00+00' + n * interval '1 minute' \
  FROM generate_series(100001, 108000) n; \
INSERT INTO grown SELECT n, 'new' FROM generate_series(1, 20000) n; \
CREATE TABLE fresh (id int, state text) WITH (autovacuum_enabled = off); \
INSERT INTO fresh SELECT n, 'state ' || n % 3 FROM generate_series(1, 100000) n";

/// What the cures need that are no statistics.
const KEYS: &str = "\
CREATE TABLE parts (a int, b int, name text, PRIMARY KEY (a, b)); \
INSERT INTO parts SELECT n / 100, n, 'part ' || n FROM generate_series(1, 10000) n; \
CREATE TABLE uses (a int, b int, n int); \
INSERT INTO uses SELECT b / 100, b, n \
  FROM (SELECT n, 1 + n * 7919 % 10000 AS b FROM generate_series(1, 100000) n) AS x; \
CREATE TABLE visits (address_id int, page int); \
INSERT INTO visits SELECT n % 100000 + 1, n % 97 FROM generate_series(1, 200000) n; \
CREATE INDEX visits_address ON visits (address_id); \
CREATE FUNCTION recent(n int) RETURNS TABLE (id int) LANGUAGE plpgsql STABLE \
  AS 'BEGIN RETURN QUERY SELECT i FROM generate_series(1, n) AS i; END'; \
ANALYZE parts, uses, visits";

/// A cause, a statement that shows it, and the SQL that is proposed, as a
/// part; empty where none can mend it.
type Case = (&'static str, &'static str, &'static str);

const CASES: &[Case] = &[
    (
        "columns that depend on each other",
        "SELECT count(*) FROM addresses a JOIN visits v ON v.address_id = a.id \
         WHERE a.city = 'city 7' AND a.country = 'country 7'",
        "CREATE STATISTICS addresses_city_country_stats (dependencies, mcv)",
    ),
    (
        "no statistics of the expression",
        "SELECT count(*) FROM addresses a JOIN visits v ON v.address_id = a.id \
         WHERE strpos(a.city, 'city') > 0 AND strpos(a.city, 'city') < 2",
        "ON (strpos(city, 'city'::text)) FROM addresses",
    ),
    (
        "never analysed",
        "SELECT count(*) FROM fresh f JOIN visits v ON v.address_id = f.id WHERE f.state = 'state 1'",
        "ANALYZE fresh;",
    ),
    (
        "old statistics",
        "SELECT count(*) FROM grown g JOIN visits v ON v.address_id = g.id WHERE g.state = 'new'",
        "ANALYZE grown;",
    ),
    (
        "rows beyond the end of the histogram",
        "SELECT count(*) FROM log l JOIN visits v ON v.address_id = l.id \
         WHERE l.at > '2024-03-11 00:00+00'",
        "ANALYZE log;",
    ),
    (
        "number of different values",
        "SELECT count(*) FROM (SELECT user_id FROM runs GROUP BY user_id) r \
         JOIN visits v ON v.address_id = r.user_id",
        "SET (n_distinct = ",
    ),
    (
        "join columns that depend on each other",
        "SELECT count(*) FROM (SELECT u.n FROM uses u JOIN parts p ON p.a = u.a AND p.b = u.b \
         OFFSET 0) AS x JOIN visits v ON v.address_id = x.n",
        "FOREIGN KEY (a, b) REFERENCES parts (a, b)",
    ),
    (
        "declared rows of a function",
        "SELECT count(*) FROM recent(60000) r JOIN visits v ON v.address_id = r.id",
        "recent ROWS 60000;",
    ),
    (
        "no statistics of the partitioned table",
        "SELECT count(*) FROM (SELECT kind FROM parted GROUP BY kind) k \
         JOIN visits v ON v.address_id = k.kind",
        "ANALYZE parted;",
    ),
    (
        "join by a frequent value",
        "SELECT count(*) FROM shops s JOIN sales t ON t.shop_id = s.id WHERE s.name = 'shop 7'",
        "",
    ),
];

fn plan(session: &mut Session, sql: &str, analyze: bool) -> PlanGraph {
    let options = PlanOptions {
        analyze,
        allow_writes: false,
    };
    session
        .explain(Planned { sql, parameters: 0 }, options)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The finding about the estimate, however little it weighs.
fn finding(plan: &PlanGraph, catalog: &Catalog, sql: &str) -> Finding {
    let subject = Subject {
        plan: Some(plan),
        catalog: Some(catalog),
        whatever_weight: true,
        ..Subject::default()
    };
    let rule = rules::find("row-estimate-far-off").unwrap();
    let (mut found, _) = run(&subject, &[rule], &Choice::default());
    assert!(!found.is_empty(), "nothing is found in {sql}");
    found.remove(0)
}

fn text_of<'a>(finding: &'a Finding, label: &str) -> &'a str {
    finding
        .evidence
        .iter()
        .find(|evidence| evidence.label == label)
        .map_or("", |evidence| match &evidence.value {
            Value::Text(text) => text,
            _ => "",
        })
}

/// The estimate of the node that works on the same tables.
fn estimate(plan: &PlanGraph, old: &PlanGraph, id: NodeId) -> f64 {
    let reads = |plan: &PlanGraph, id: NodeId| {
        let mut aliases: Vec<String> = plan
            .subtree(id)
            .into_iter()
            .filter_map(|below| plan.node(below).relation.alias.clone())
            .collect();
        aliases.sort();
        aliases.dedup();
        aliases
    };
    let wanted = reads(old, id);
    let is_join = |plan: &PlanGraph, id: NodeId| plan.node(id).join_type.is_some();
    plan.nodes()
        .filter(|(new, _)| reads(plan, *new) == wanted && is_join(plan, *new) == is_join(old, id))
        .max_by_key(|(_, node)| node.kind == old.node(id).kind)
        .and_then(|(new, _)| rows_of_all(plan, new).0)
        .unwrap_or_else(|| panic!("no node that reads {wanted:?}"))
}

fn error(one: f64, other: f64) -> f64 {
    let (one, other) = (one.max(1.0), other.max(1.0));
    (one / other).max(other / one)
}

/// What is proposed is done within a transaction that is rolled back.
fn estimate_with(admin: &mut Session, change: &str, sql: &str, old: &PlanGraph, id: NodeId) -> f64 {
    admin.execute_script("BEGIN").unwrap();
    for statement in change
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        admin
            .execute_script(statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let after = plan(admin, sql, false);
    admin.execute_script("ROLLBACK").unwrap();
    estimate(&after, old, id)
}

fn check(server: &Server, database: &str, tables: &str, cases: &[Case]) {
    let mut admin = server.database(database, tables);
    admin
        .execute_script("SET max_parallel_workers_per_gather = 0; SET work_mem = '256kB'")
        .unwrap();
    let catalog = admin.catalog().unwrap();
    for (cause, sql, wanted) in cases {
        let before = plan(&mut admin, sql, true);
        let found = finding(&before, &catalog, sql);
        assert_eq!(text_of(&found, "likely cause"), *cause, "{sql}\n{found:#?}");
        let id = found.node.unwrap();
        let (was, counted) = rows_of_all(&before, id);
        let (was, counted) = (was.unwrap(), counted.unwrap());
        assert!(error(was, counted) >= 10.0, "{sql}: {was} for {counted}");
        let change = found
            .suggestions
            .iter()
            .find_map(|suggestion| match &suggestion.change {
                Change::CreateStatistics { sql, .. }
                | Change::Analyze { sql, .. }
                | Change::Alter { sql } => Some(sql.as_str()),
                _ => None,
            });
        if wanted.is_empty() {
            assert_eq!(change, None, "{sql}");
            continue;
        }
        let change = change.unwrap_or_else(|| panic!("{sql}: no SQL in {found:#?}"));
        assert!(change.contains(wanted), "{sql}: {change}");
        let is = estimate_with(&mut admin, change, sql, &before, id);
        assert!(
            error(is, counted) <= 2.0,
            "{sql}\n{change}\nfrom {was} to {is}, counted {counted}"
        );
    }
}

#[test]
fn each_cause_is_told_and_its_cure_mends_the_estimate() {
    let Some(server) = shared() else { return };
    check(
        server,
        "estimates_causes",
        &format!("{KEYS}; {TABLES}"),
        CASES,
    );
}

/// A value that the sample holds too rarely to be kept among the most common.
#[test]
fn a_value_beyond_the_most_common_ones_is_mended_by_a_larger_target() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("estimates_skew", &format!("{KEYS}; {TABLES}"));
    admin
        .execute_script("SET max_parallel_workers_per_gather = 0")
        .unwrap();
    let catalog = admin.catalog().unwrap();
    let kept = catalog
        .relation(None, "kinds")
        .and_then(|relation| relation.column("kind")?.stats.as_ref())
        .map(|stats| stats.most_common.clone())
        .unwrap();
    let value = (0..200)
        .find(|value| !kept.iter().any(|(known, _)| *known == value.to_string()))
        .unwrap();
    let sql = format!(
        "SELECT count(*) FROM kinds k JOIN visits v ON v.address_id = k.id WHERE k.kind = {value}"
    );
    let before = plan(&mut admin, &sql, true);
    let found = finding(&before, &catalog, &sql);
    assert_eq!(
        text_of(&found, "likely cause"),
        "skew beyond the most common values"
    );
    let Change::Analyze { sql: change, .. } = &found.suggestions[0].change else {
        panic!("{found:#?}");
    };
    let id = found.node.unwrap();
    let counted = rows_of_all(&before, id).1.unwrap();
    let is = estimate_with(&mut admin, change, &sql, &before, id);
    assert!(error(is, counted) <= 2.0, "{change}: {is} for {counted}");
}

/// What the planner does about foreign keys and declared rows is the same in
/// all versions.
#[test]
fn the_cures_that_are_no_statistics_mend_the_estimate_on_every_version() {
    let cases: Vec<Case> = CASES
        .iter()
        .copied()
        .filter(|(cause, _, _)| cause.starts_with("join columns") || cause.starts_with("declared"))
        .collect();
    for (_, bin) in every_version() {
        let server = Server::of_version(&bin, &[], 5432).unwrap();
        check(&server, "estimates_alter", KEYS, &cases);
    }
}
