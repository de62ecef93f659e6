//! Each reason why an index is not used, on a server with rows.

use std::time::Duration;

use pgadvise::advise::why_not::{Answer, Cause, CauseKind, WhyNotError, why_not};
use pgadvise::finding::{Change, Value};
use pgadvise::pg::{Limits, LivePlanner};
use pgadvise::source::{Sources, Text};
use pgadvise::sql;
use pgadvise::verify::Planner as _;

use crate::support::server::{Server, shared};

const SCHEMA: &str = r#"
    CREATE TABLE t (
        id int PRIMARY KEY, a int NOT NULL, b int NOT NULL, c int, d int NOT NULL,
        name text COLLATE "en-x-icu" NOT NULL, code varchar(20) NOT NULL, flag char(2) NOT NULL,
        at timestamp NOT NULL, status text NOT NULL, doc jsonb NOT NULL, pad text NOT NULL);
    INSERT INTO t SELECT i, i % 1000, i % 7, i % 50, (i::bigint * 7919 % 50000)::int, 'name ' || i,
        'code' || i, 'x' || i % 7, '2024-01-01'::timestamp + i * interval '1 minute',
        CASE WHEN i % 500 = 0 THEN 'open' ELSE 'done' END,
        jsonb_build_object('k', i), repeat('x', 60)
        FROM generate_series(1, 50000) i;
    CREATE INDEX t_a_b ON t (a, b);
    CREATE INDEX t_b ON t (b);
    CREATE INDEX t_d ON t (d);
    CREATE INDEX t_name ON t (name);
    CREATE INDEX t_code ON t (code);
    CREATE INDEX t_flag ON t (flag);
    CREATE INDEX t_at ON t (at);
    CREATE INDEX t_lower ON t (lower(name));
    CREATE INDEX t_open ON t (id) WHERE status = 'open';
    CREATE INDEX t_open_a ON t (d) WHERE status = 'open';
    CREATE INDEX t_doc ON t USING gin (doc);
    CREATE INDEX t_hash ON t USING hash (d);
    CREATE INDEX t_c_d ON t (c, d);
    CREATE TABLE small (id int PRIMARY KEY, a int);
    INSERT INTO small SELECT i, i FROM generate_series(1, 50) i;
    CREATE INDEX small_a ON small (a);
    CREATE TABLE other (n numeric, a int);
    INSERT INTO other SELECT i, i FROM generate_series(1, 20) i;
    CREATE TABLE parts (id int, k int) PARTITION BY RANGE (id);
    CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (30000);
    CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (30000) TO (60000);
    INSERT INTO parts SELECT i, i % 5000 FROM generate_series(0, 59999) i;
    CREATE INDEX parts_k ON parts (k);
"#;

const DATABASE: &str = "why_not";

/// The database, made once.
fn database() -> Option<&'static Server> {
    static MADE: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    let server = shared()?;
    MADE.get_or_init(|| {
        let mut admin = server.database(DATABASE, SCHEMA);
        // Where it is installed, changed indexes are tried with it.
        drop(admin.execute_script("CREATE EXTENSION hypopg"));
        drop(admin.execute_script("CREATE EXTENSION pg_trgm"));
        // A session that ends has told what it wrote: counters that come after
        // ANALYZE would make its statistics look old.
        drop(admin);
        server
            .admin(DATABASE)
            .execute_script("VACUUM ANALYZE")
            .unwrap();
    });
    Some(server)
}

fn ask(server: &Server, more: &str, index: &str, query: &str) -> Result<Answer, WhyNotError> {
    let limits = Limits {
        statement: Duration::from_secs(20),
        ..Limits::default()
    };
    let mut planner =
        LivePlanner::connect(&server.options(DATABASE, "postgres", more), limits).unwrap();
    let mut sources = Sources::default();
    let source = sources.add(Text::new("query.sql", query));
    let (mut statements, _) = sql::read(source, query);
    let mut statement = statements.remove(0);
    let catalog = planner.catalog().unwrap();
    sql::resolve(&mut statement, &catalog);
    why_not(&statement, index, &mut planner)
}

fn answer(index: &str, query: &str) -> Option<Answer> {
    let server = database()?;
    Some(ask(server, "", index, query).unwrap())
}

fn kinds(answer: &Answer) -> Vec<CauseKind> {
    answer.causes.iter().map(|cause| cause.kind).collect()
}

#[track_caller]
fn cause(answer: &Answer, kind: CauseKind) -> &Cause {
    let found = answer.causes.iter().find(|cause| cause.kind == kind);
    let Some(found) = found else {
        panic!("no {kind:?} among {:#?}", answer.causes);
    };
    assert!(!found.evidence.is_empty(), "{found:#?}");
    found
}

/// A change was tried, and the planner takes the index with it.
#[track_caller]
fn assert_used(cause: &Cause) {
    assert!(
        cause.changes.iter().any(|change| change.used == Some(true)),
        "{:#?}",
        cause.changes
    );
}

/// The same where it needs an index to be supposed, which takes hypopg.
#[track_caller]
fn assert_used_if_tried(cause: &Cause) {
    assert!(!cause.changes.is_empty(), "{cause:#?}");
    assert!(
        cause
            .changes
            .iter()
            .any(|change| change.used != Some(false)),
        "{:#?}",
        cause.changes
    );
}

#[track_caller]
fn number(cause: &Cause, label: &str) -> f64 {
    let evidence = cause
        .evidence
        .iter()
        .find(|evidence| evidence.label.contains(label))
        .unwrap_or_else(|| panic!("no {label} in {:#?}", cause.evidence));
    match evidence.value {
        Value::Rows(n)
        | Value::Count(n)
        | Value::Cost(n)
        | Value::Share(n)
        | Value::Blocks(n)
        | Value::Factor(n) => n,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn an_index_that_is_used_has_no_cause() {
    let Some(found) = answer("t_a_b", "select * from t where a = 5") else {
        return;
    };
    assert!(!found.used_by.is_empty() && found.causes.is_empty());
    // So is the parent's index of a partitioned table.
    let found = answer("parts_k", "select * from parts where k = 5").unwrap();
    assert!(!found.used_by.is_empty(), "{:#?}", found.causes);
}

#[test]
fn an_index_that_is_not_there_is_told_with_the_nearest() {
    let Some(server) = database() else { return };
    let Err(WhyNotError::NotFound(missing)) = ask(server, "", "t_nmae", "select * from t") else {
        panic!("it is not there");
    };
    assert!(missing.hints.join(" ").contains("t_name"), "{missing:?}");
}

#[test]
fn a_table_that_is_not_read() {
    let Some(found) = answer("t_b", "select * from small where a = 1") else {
        return;
    };
    assert_eq!(kinds(&found), [CauseKind::TableNotRead]);
}

#[test]
fn an_invalid_index() {
    let Some(server) = shared() else { return };
    let mut admin = server.database(
        "why_not_invalid",
        "CREATE TABLE v AS SELECT i AS x FROM generate_series(1, 20000) i;
         CREATE INDEX v_x ON v (x); ANALYZE v;
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'v_x'::regclass;",
    );
    drop(admin.execute_script("CREATE EXTENSION hypopg"));
    let mut planner = LivePlanner::connect(
        &server.options("why_not_invalid", "postgres", ""),
        Limits::default(),
    )
    .unwrap();
    let query = "select * from v where x = 5";
    let (mut statements, _) = sql::read(pgadvise::source::SourceId::default(), query);
    let mut statement = statements.remove(0);
    let catalog = planner.catalog().unwrap();
    sql::resolve(&mut statement, &catalog);
    let found = why_not(&statement, "v_x", &mut planner).unwrap();
    assert_used_if_tried(cause(&found, CauseKind::InvalidIndex));
}

#[test]
fn only_a_later_column_is_compared() {
    let Some(found) = answer(
        "t_c_d",
        "select * from t where status = 'done' and pad = 'y'",
    ) else {
        return;
    };
    let unused = cause(&found, CauseKind::LeadingColumnUnused);
    assert!(unused.message.contains("status"), "{unused:#?}");
    let found = answer("t_a_b", "select * from t where b = 3 and pad = 'y'").unwrap();
    let unused = cause(&found, CauseKind::LeadingColumnUnused);
    assert!(unused.message.contains("behind a"), "{unused:#?}");
    assert!((number(unused, "distinct values of a") - 1000.0).abs() < 50.0);
}

#[test]
fn a_function_around_the_column_and_the_range_that_mends_it() {
    let Some(found) = answer(
        "t_at",
        "select count(pad) from t where date_trunc('day', at) = '2024-01-10'",
    ) else {
        return;
    };
    let wrapped = cause(&found, CauseKind::ColumnWrapped);
    assert!(wrapped.message.contains("date_trunc"), "{wrapped:#?}");
    assert!(wrapped.span.is_some());
    assert_used(wrapped);
    assert!(wrapped.changes.iter().any(|change| matches!(
        change.suggestion.change,
        Change::Rewrite { .. }
    ) && change.used == Some(true)));
    let found = answer("t_d", "select * from t where d + 1 = 5").unwrap();
    assert_used(cause(&found, CauseKind::ColumnWrapped));
    let found = answer("t_code", "select * from t where upper(code) = 'CODE7'").unwrap();
    assert_used_if_tried(cause(&found, CauseKind::ColumnWrapped));
}

#[test]
fn a_cast_that_the_other_side_asks_for() {
    let Some(found) = answer("t_pkey", "select * from t where id = 77.0") else {
        return;
    };
    let cast = cause(&found, CauseKind::ImplicitCast);
    assert!(cast.message.contains("numeric"), "{cast:#?}");
    assert_used(cast);
    // Across a join, and for a padded type compared with text.
    let found = answer(
        "t_pkey",
        "select t.pad from t join other o on t.id = o.n where o.a = 3",
    )
    .unwrap();
    assert_used(cause(&found, CauseKind::ImplicitCast));
    let found = answer("t_flag", "select * from t where flag = lower('X1')").unwrap();
    cause(&found, CauseKind::ImplicitCast);
    // varchar against text is no cast for the index.
    let found = answer("t_code", "select * from t where code = 'code5'::text").unwrap();
    assert!(!found.used_by.is_empty(), "{:#?}", found.causes);
}

#[test]
fn operators_that_the_class_lacks() {
    let Some(found) = answer("t_name", "select * from t where name like 'name 499%'") else {
        return;
    };
    assert_used_if_tried(cause(&found, CauseKind::PatternNeedsOperatorClass));
    let found = answer("t_name", "select * from t where name like '%e 4999'").unwrap();
    cause(&found, CauseKind::LeadingWildcard);
    let found = answer("t_name", "select * from t where name ilike 'name 4%'").unwrap();
    cause(&found, CauseKind::LeadingWildcard);
    let found = answer("t_d", "select * from t where d <> 5").unwrap();
    cause(&found, CauseKind::OperatorNotSupported);
    let found = answer("t_hash", "select * from t where d < 5 and d > 1").unwrap();
    cause(&found, CauseKind::OperatorNotSupported);
    let found = answer("t_doc", "select * from t where doc ->> 'k' = '7'").unwrap();
    assert!(matches!(
        found.causes[0].kind,
        CauseKind::ColumnWrapped | CauseKind::OperatorNotSupported
    ));
    let found = answer("t_d", "select * from t where d is not distinct from 5").unwrap();
    cause(&found, CauseKind::OperatorNotSupported);
}

#[test]
fn another_expression_collation_or_order() {
    let Some(found) = answer("t_lower", "select * from t where upper(name) = 'NAME 7'") else {
        return;
    };
    let differs = cause(&found, CauseKind::ExpressionDiffers);
    assert!(differs.message.contains("upper(name)"), "{differs:#?}");
    let found = answer(
        "t_name",
        "select * from t where name = 'name 7' collate \"C\"",
    )
    .unwrap();
    assert_used_if_tried(cause(&found, CauseKind::CollationDiffers));
    let found = answer(
        "t_a_b",
        "select * from t order by a desc nulls last limit 5",
    )
    .unwrap();
    assert_used_if_tried(cause(&found, CauseKind::OrderDiffers));
}

#[test]
fn one_side_of_an_or() {
    let Some(found) = answer("t_d", "select * from t where d = 5 or pad = 'y'") else {
        return;
    };
    let either = cause(&found, CauseKind::OrAcrossColumns);
    assert!(either.changes.iter().any(|change| {
        matches!(&change.suggestion.change, Change::CreateIndex(spec)
            if spec.keys.iter().any(|key| key.text == "pad"))
    }));
    assert_used_if_tried(either);
}

#[test]
fn a_partial_index_whose_predicate_is_not_implied() {
    let Some(found) = answer("t_open_a", "select pad from t where d between 5 and 300") else {
        return;
    };
    assert_used(cause(&found, CauseKind::PredicateNotImplied));
    let found = answer(
        "t_open_a",
        "select pad from t where d between 5 and 30 and status = $1",
    )
    .unwrap();
    let parameter = cause(&found, CauseKind::ParameterInPredicate);
    assert_used(parameter);
    // Control: implied, so that it is used.
    let found = answer(
        "t_open_a",
        "select pad from t where d between 5 and 30 and status = 'open'",
    )
    .unwrap();
    assert!(!found.used_by.is_empty(), "{:#?}", found.causes);
}

#[test]
fn too_many_rows_with_both_costs() {
    let Some(found) = answer("t_b", "select * from t where b = 3") else {
        return;
    };
    // A seventh of the rows, on every page: a bitmap may be taken all the same.
    if found.used_by.is_empty() {
        cause(&found, CauseKind::NotSelective);
    }
    let found = answer("t_d", "select * from t where d < 40000").unwrap();
    let many = cause(&found, CauseKind::NotSelective);
    let share = number(many, "share");
    assert!((0.7..0.9).contains(&share), "{share}");
    let (before, with) = (number(many, "as chosen"), number(many, "cost with t_d"));
    assert!(with > before, "{with} {before}");
    assert!(with < 1.0e9, "penalties are taken off: {with}");
    let forced = found.forced.as_ref().unwrap();
    assert!(forced.by_first_key);
}

#[test]
fn cost_settings_that_turn_it() {
    let Some(server) = database() else { return };
    let found = ask(
        server,
        "options='-c random_page_cost=40 -c enable_bitmapscan=off'",
        "t_d",
        "select * from t where d < 300",
    )
    .unwrap();
    let settings = cause(&found, CauseKind::CostSettings);
    assert_used(settings);
    let at = number(settings, "at which it is used");
    assert!((1.0..40.0).contains(&at), "{at}");
    cause(&found, CauseKind::Scattered);
}

#[test]
fn a_table_of_one_page() {
    let Some(found) = answer("small_a", "select * from small where a = 5") else {
        return;
    };
    assert_eq!(kinds(&found), [CauseKind::TableTooSmall]);
    let small = cause(&found, CauseKind::TableTooSmall);
    assert!(number(small, "pages of the table") < 2.0);
}

#[test]
fn a_setting_that_switches_it_off() {
    let Some(server) = database() else { return };
    let found = ask(
        server,
        "options='-c enable_indexscan=off -c enable_bitmapscan=off'",
        "t_at",
        "select * from t where at = '2024-01-10'",
    )
    .unwrap();
    // Switched off, it may be taken all the same where nothing else is.
    if found.used_by.is_empty() {
        assert_used(cause(&found, CauseKind::SettingOff));
    }
}

#[test]
fn another_index_that_is_cheaper() {
    let Some(found) = answer("t_b", "select * from t where id = 5 and b = 5") else {
        return;
    };
    let other = cause(&found, CauseKind::AnotherIndex);
    assert!(
        other.message.contains("t_pkey") || other.message.contains("another index"),
        "{other:#?}"
    );
}

#[test]
fn a_fence_between_condition_and_table() {
    let Some(found) = answer(
        "t_at",
        "with x as materialized (select * from t) select * from x where at = '2024-01-10'",
    ) else {
        return;
    };
    let fenced = cause(&found, CauseKind::ConditionFenced);
    assert!(fenced.message.contains("MATERIALIZED"), "{fenced:#?}");
    assert_used(fenced);
    let found = answer(
        "t_at",
        "select * from (select * from t order by id limit 10000) s where at = '2024-01-10'",
    )
    .unwrap();
    cause(&found, CauseKind::ConditionFenced);
}

#[test]
fn conditions_that_hold_the_scan_back() {
    let Some(found) = answer("t_d", "select * from t where d = (random() * 5)::int") else {
        return;
    };
    cause(&found, CauseKind::VolatileFunction);
    let found = answer(
        "t_d",
        "select * from t left join small s on s.id = t.a and t.d = 5",
    )
    .unwrap();
    cause(&found, CauseKind::OuterJoin);
}

#[test]
fn statistics_that_were_never_gathered() {
    let Some(server) = shared() else { return };
    server.database(
        "why_not_stale",
        "CREATE TABLE n AS SELECT i AS x, i AS y FROM generate_series(1, 30000) i;
         CREATE INDEX n_x ON n (x);",
    );
    let mut planner = LivePlanner::connect(
        &server.options(
            "why_not_stale",
            "postgres",
            "options='-c enable_bitmapscan=off'",
        ),
        Limits::default(),
    )
    .unwrap();
    let query = "select * from n where x > 100";
    let (mut statements, _) = sql::read(pgadvise::source::SourceId::default(), query);
    let mut statement = statements.remove(0);
    let catalog = planner.catalog().unwrap();
    sql::resolve(&mut statement, &catalog);
    let found = why_not(&statement, "n_x", &mut planner).unwrap();
    cause(&found, CauseKind::StaleStatistics);
}
