//! Against a real server: what is read, what is planned, and that nothing is
//! changed, locked or given away.

mod beside;
mod catalog;
mod connecting;
mod snapshot;

use std::time::Duration;

use pgadvise::finding::{IndexSpec, IndexSpecKey};
use pgadvise::pg::{Error, Limits, LivePlanner, Session};
use pgadvise::plan::NodeKind;
use pgadvise::verify::{PlanError, PlanOptions, Planned, Planner as _, Supposition};

use crate::support::server::{Server, shared};

const ANALYZE: PlanOptions = PlanOptions {
    analyze: true,
    allow_writes: false,
};
const ANALYZE_WRITES: PlanOptions = PlanOptions {
    analyze: true,
    allow_writes: true,
};

fn statement(sql: &str) -> Planned<'_> {
    Planned { sql, parameters: 0 }
}

fn with_parameters(sql: &str, parameters: u32) -> Planned<'_> {
    Planned { sql, parameters }
}

fn limits() -> Limits {
    Limits {
        statement: Duration::from_secs(20),
        lock: Duration::from_millis(300),
        ..Limits::default()
    }
}

fn connect(server: &Server, database: &str) -> Session {
    Session::connect(&server.options(database, "postgres", ""), limits()).unwrap()
}

const ORDERS: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
    CREATE TABLE orders (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer_id int NOT NULL REFERENCES customers,
        status varchar(20) NOT NULL DEFAULT 'new',
        placed timestamptz
    );
    INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 1000) i;
    INSERT INTO orders (customer_id, status, placed)
        SELECT 1 + i % 1000, CASE WHEN i % 10 = 0 THEN 'open' ELSE 'done' END,
               '2024-01-01'::timestamptz + i * interval '1 minute'
        FROM generate_series(1, 20000) i;
    CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO customers VALUES (-1, 'x'); RETURN 1; END $$;
    ANALYZE;
";

#[test]
fn what_a_role_may_not_see_is_told() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_rights", ORDERS);
    admin
        .execute_script("CREATE ROLE reader LOGIN; GRANT SELECT ON customers TO reader;")
        .unwrap();
    let options = server.options("live_rights", "reader", "");
    let mut session = Session::connect(&options, limits()).unwrap();
    let catalog = session.catalog().unwrap();
    assert!(catalog.relation(None, "orders").is_some());
    assert!(
        catalog
            .limits
            .iter()
            .any(|limit| limit.contains("public.orders") && !limit.contains("customers"))
    );
    let stats = |table: &str| {
        let relation = catalog.relation(None, table).unwrap();
        relation.columns.iter().any(|column| column.stats.is_some())
    };
    assert!(stats("customers") && !stats("orders"));

    let refused = session
        .explain(statement("select * from orders"), PlanOptions::default())
        .unwrap_err();
    let PlanError::Refused { sqlstate, hint, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(sqlstate, "42501");
    assert!(refused.to_string().contains("orders") && hint.is_some());
    // The session goes on.
    session
        .explain(statement("select * from customers"), PlanOptions::default())
        .unwrap();
}

#[test]
fn plans_with_and_without_execution() {
    let Some(server) = shared() else { return };
    server.database("live_plans", ORDERS);
    let mut session = connect(server, "live_plans");
    let sql = "select * from orders where customer_id = 7";
    let plan = session
        .explain(statement(sql), PlanOptions::default())
        .unwrap();
    let root = plan.node(plan.root);
    assert_eq!(root.kind, NodeKind::SeqScan);
    assert_eq!(root.relation.schema.as_deref(), Some("public"));
    assert!(!plan.has_actuals());
    let plan = session.explain(statement(sql), ANALYZE).unwrap();
    assert!(plan.has_actuals() && plan.has_buffers());

    // Changing data can be planned, but not executed just so.
    let delete = "delete from orders where id = 1";
    session
        .explain(statement(delete), PlanOptions::default())
        .unwrap();
    for sql in [delete, "select touch()"] {
        let refused = session.explain(statement(sql), ANALYZE).unwrap_err();
        assert!(matches!(refused, PlanError::Unsupported { .. }));
        assert!(
            refused.to_string().contains("--analyze-writes"),
            "{refused}"
        );
        let plan = session.explain(statement(sql), ANALYZE_WRITES).unwrap();
        assert!(plan.has_actuals());
    }
    let left = session
        .explain(
            statement(
                "select from orders where id = 1 union all select from customers where id = -1",
            ),
            ANALYZE,
        )
        .unwrap();
    let rows = left.node(left.root).actual.unwrap().rows_per_loop;
    assert!((rows - 1.0).abs() < 1e-9, "all was rolled back: {rows}");
}

#[test]
fn parameters_get_a_generic_plan_on_every_version() {
    let Some(server) = shared() else { return };
    server.database("live_parameters", ORDERS);
    let mut session = connect(server, "live_parameters");
    let sql = "select * from orders where customer_id = $1 and status = $2";
    for _ in 0..2 {
        let plan = session
            .explain(with_parameters(sql, 2), PlanOptions::default())
            .unwrap();
        assert!(
            plan.nodes()
                .any(|(_, node)| node.conditions.iter().any(|c| c.text.contains("$1")))
        );
    }
    // The server cannot tell the type of the first one.
    let guessed = "select * from orders where ($1 is null or customer_id = $1) limit $2";
    session
        .explain(with_parameters(guessed, 2), PlanOptions::default())
        .unwrap();
    let wrong = session
        .explain(
            with_parameters("select * from nowhere where a = $1", 1),
            PlanOptions::default(),
        )
        .unwrap_err();
    assert!(
        matches!(&wrong, PlanError::Refused { position: Some(14), sqlstate, .. } if sqlstate == "42P01"),
        "{wrong:?}"
    );
    let executed = session
        .explain(with_parameters(sql, 2), ANALYZE)
        .unwrap_err();
    assert!(matches!(executed, PlanError::Unsupported { .. }));
}

#[test]
fn errors_have_their_place_in_the_users_statement() {
    let Some(server) = shared() else { return };
    let mut session = connect(server, "postgres");
    let sql = "select 'é',\n nowhere_column from pg_class";
    let refused = session
        .explain(statement(sql), PlanOptions::default())
        .unwrap_err();
    let PlanError::Refused {
        position, sqlstate, ..
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(sqlstate, "42703");
    assert_eq!(position, sql.find("nowhere_column"));
}

#[test]
fn a_second_statement_does_not_run() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_injection", "CREATE TABLE t (a int)");
    let mut session = connect(server, "live_injection");
    for sql in [
        "select 1; drop table t",
        "select 1; commit; drop table t",
        "select 1; rollback; begin; drop table t; commit",
    ] {
        for options in [PlanOptions::default(), ANALYZE, ANALYZE_WRITES] {
            let refused = session.explain(statement(sql), options).unwrap_err();
            assert!(
                matches!(&refused, PlanError::Refused { sqlstate, .. } if sqlstate == "42601"),
                "{refused:?}"
            );
        }
        let refused = session.explain(with_parameters(sql, 1), PlanOptions::default());
        assert!(refused.is_err());
    }
    for sql in [
        "drop table t",
        "commit",
        "vacuum t",
        "set transaction read write",
    ] {
        assert!(session.explain(statement(sql), ANALYZE_WRITES).is_err());
    }
    admin.execute_script("SELECT a FROM t").unwrap();
    assert!(matches!(
        session.execute_script("DROP TABLE t"),
        Err(Error::NotThrowAway)
    ));
}

#[test]
fn a_run_writes_nothing_locks_nothing_and_sends_only_what_reads() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_quiet", ORDERS);
    // Rows that were ever written, as that many rows of a plan.
    let written = |admin: Session| {
        // Counters reach the shared statistics when their session ends, or
        // soon after.
        drop(admin);
        std::thread::sleep(Duration::from_millis(1200));
        let mut admin = server.admin("live_quiet");
        let plan = admin
            .explain(
                statement(
                    "select from generate_series(1, (select tup_inserted + tup_updated + tup_deleted \
                     from pg_stat_database where datname = 'live_quiet'))",
                ),
                ANALYZE,
            )
            .unwrap();
        (plan.node(plan.root).actual.unwrap().rows_per_loop, admin)
    };
    admin
        .execute_script("UPDATE orders SET status = 'x' WHERE id < 100")
        .unwrap();
    let (before, mut admin) = written(admin);
    assert!(before >= 20_000.0, "the counters work: {before}");

    let options = server.options("live_quiet", "postgres", "");
    let mut planner = LivePlanner::connect(&options, limits()).unwrap();
    planner.catalog().unwrap();
    for options in [PlanOptions::default(), ANALYZE] {
        planner
            .plan(
                statement("select * from orders where customer_id = 7"),
                options,
            )
            .unwrap();
    }
    planner
        .plan(
            with_parameters("update orders set status = $1 where id = $2", 2),
            PlanOptions::default(),
        )
        .unwrap();
    if planner.has_hypopg().unwrap() {
        planner.what_if(&[], &[]).unwrap();
    }
    // While a statement runs, its locks can be seen from elsewhere.
    let running = std::thread::spawn(move || {
        planner
            .plan(
                statement("select count(*), (select pg_sleep(1.5)) from orders"),
                ANALYZE,
            )
            .unwrap();
        drop(planner);
    });
    std::thread::sleep(Duration::from_millis(700));
    let seen = |admin: &mut Session, condition: &str| {
        let sql = format!(
            "select from pg_locks l join pg_stat_activity a using (pid) \
             where a.application_name = 'pgadvise' and a.datname = 'live_quiet' \
             and a.pid <> pg_backend_pid() and l.locktype = 'relation' and {condition}"
        );
        let plan = admin.explain(statement(&sql), ANALYZE).unwrap();
        plan.node(plan.root).actual.unwrap().rows_per_loop
    };
    let orders = "l.relation = 'orders'::regclass";
    assert!(seen(&mut admin, orders) >= 1.0, "the transaction is open");
    let above = seen(&mut admin, "l.mode <> 'AccessShareLock'");
    assert!(above < 1.0, "locks above ACCESS SHARE: {above}");
    running.join().unwrap();
    let (after, _admin) = written(admin);
    assert!(
        (after - before).abs() < 0.5,
        "{} rows were written",
        after - before
    );
    let logged = server.logged("live_quiet", "pgadvise");
    let sent: Vec<&str> = logged
        .iter()
        .filter_map(|line| line.strip_prefix("LOG:  execute <unnamed>: "))
        .filter(|sql| !sql.contains("pg_stat_database") && !sql.contains("pg_stat_activity"))
        .collect();
    assert!(sent.len() > 20, "{logged:#?}");
    for sql in &sent {
        let allowed = [
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "ROLLBACK",
            "SAVEPOINT ",
            "RELEASE SAVEPOINT ",
            "SELECT ",
            "WITH RECURSIVE ",
            "EXPLAIN (",
            "PREPARE ",
            "DEALLOCATE ",
        ];
        assert!(allowed.iter().any(|start| sql.starts_with(start)), "{sql}");
    }
    // Whatever else was logged for us is the throw-away sessions of the test.
    let begun = sent.iter().filter(|sql| sql.starts_with("BEGIN")).count();
    let ended = sent.iter().filter(|sql| **sql == "ROLLBACK").count();
    assert_eq!(begun, ended);
}

#[test]
fn time_limits_hold_and_the_session_goes_on() {
    let Some(server) = shared() else { return };
    let mut session = connect(server, "postgres");
    session.set_statement_limit(Duration::from_millis(300));
    let started = std::time::Instant::now();
    let late = session
        .explain(statement("select pg_sleep(60)"), ANALYZE)
        .unwrap_err();
    assert!(matches!(late, PlanError::TimedOut { .. }), "{late:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    session
        .explain(statement("select 1"), PlanOptions::default())
        .unwrap();

    // The server's own lower limit for the role stays in force.
    let options = server.options("postgres", "postgres", "options='-c statement_timeout=250'");
    let session = Session::connect(&options, limits()).unwrap();
    assert_eq!(session.limits().statement, Duration::from_millis(250));
}

#[test]
fn a_lock_is_not_waited_for() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_lock", ORDERS);
    let mut session = connect(server, "live_lock");
    admin
        .execute_script("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let refused = session
        .explain(statement("select * from orders"), PlanOptions::default())
        .unwrap_err();
    assert!(
        matches!(&refused, PlanError::Refused { sqlstate, hint: Some(hint), .. }
            if sqlstate == "55P03" && hint.contains("lock")),
        "{refused:?}"
    );
}

#[test]
fn a_connection_lost_in_the_middle_is_told() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_lost", ORDERS);
    let mut session = connect(server, "live_lost");
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = 'live_lost' AND pid <> pg_backend_pid()";
    admin.execute_script(kill).unwrap();
    let lost = session
        .explain(statement("select * from orders"), PlanOptions::default())
        .unwrap_err();
    assert!(matches!(lost, PlanError::Lost { .. }), "{lost:?}");
    assert!(lost.to_string().contains("live_lost"), "{lost}");
    assert!(lost.to_string().contains("terminat"), "{lost}");
    let again = session.catalog().unwrap_err();
    assert!(matches!(again, Error::Lost { .. }));

    // While a statement runs.
    let mut session = connect(server, "live_lost");
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        admin.execute_script(kill).unwrap();
    });
    let lost = session
        .explain(statement("select pg_sleep(10)"), ANALYZE)
        .unwrap_err();
    assert!(matches!(lost, PlanError::Lost { .. }), "{lost:?}");
    killer.join().unwrap();
}

fn index(method: &str, keys: &[&str]) -> Supposition {
    Supposition::Index(IndexSpec {
        schema: "public".to_owned(),
        table: "orders".to_owned(),
        name: "wanted".to_owned(),
        method: method.to_owned(),
        keys: keys.iter().map(|key| IndexSpecKey::column(*key)).collect(),
        include: Vec::new(),
        predicate: None,
        with: None,
        extension: None,
        partitions: Vec::new(),
    })
}

#[test]
fn indexes_are_supposed_where_hypopg_is_installed() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_hypopg", ORDERS);
    let options = server.options("live_hypopg", "postgres", "");
    let mut planner = LivePlanner::connect(&options, limits()).unwrap();
    let sql = "select * from orders where customer_id = 7";
    let supposed = [index("btree", &["customer_id"])];
    let missing = planner.what_if(&[statement(sql)], &supposed).unwrap_err();
    assert!(missing.to_string().contains("hypopg is not installed"));

    let available = planner.catalog().unwrap().available_extensions;
    if !available.contains(&"hypopg".to_owned()) {
        println!("did nothing more: the server has no hypopg");
        return;
    }
    admin
        .execute_script("CREATE SCHEMA \"Hypo\"; CREATE EXTENSION hypopg SCHEMA \"Hypo\"")
        .unwrap();
    let mut planner = LivePlanner::connect(&options, limits()).unwrap();
    planner.catalog().unwrap();
    let both = [
        index("btree", &["customer_id"]),
        index("gin", &["customer_id"]),
    ];
    let answer = planner
        .what_if(
            &[
                statement(sql),
                statement("select * from nowhere"),
                with_parameters("select * from orders where customer_id = $1", 1),
            ],
            &both,
        )
        .unwrap();
    let found = &answer.indexes[0];
    assert_eq!(found.refused, None);
    // 20,000 rows of 1,000 keys: 20 row pointers a posting tuple.
    let bytes = found.bytes.unwrap();
    assert!((100_000.0..300_000.0).contains(&bytes), "{bytes}");
    assert!(answer.indexes[1].refused.is_some(), "hypopg has no GIN");
    for at in [0, 2] {
        let plan = answer.plans[at].as_ref().unwrap();
        assert!(
            plan.nodes()
                .any(|(_, node)| node.relation.index.as_deref() == Some(found.name.as_str())),
            "{:?}",
            plan.document
        );
    }
    assert!(matches!(&answer.plans[1], Err(PlanError::Refused { .. })));
    let after = planner
        .plan(statement(sql), PlanOptions::default())
        .unwrap();
    assert_eq!(after.node(after.root).kind, NodeKind::SeqScan);
    assert_eq!(planner.calls(), 4);

    let statistics = Supposition::Statistics {
        statements: vec!["CREATE STATISTICS s ON status, placed FROM orders".to_owned()],
        relations: Vec::new(),
    };
    assert!(matches!(
        planner.what_if(&[statement(sql)], &[statistics]),
        Err(PlanError::Unsupported { .. })
    ));
}

#[test]
fn throw_away_sessions_see_their_own_transaction() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_throw_away", ORDERS);
    let sql = "select * from orders where customer_id = 7";
    admin.execute_script("BEGIN").unwrap();
    admin
        .execute_script("CREATE INDEX tried ON orders (customer_id)")
        .unwrap();
    for _ in 0..2 {
        let plan = admin
            .explain(statement(sql), PlanOptions::default())
            .unwrap();
        assert!(
            plan.nodes()
                .any(|(_, node)| node.relation.index.as_deref() == Some("tried"))
        );
        // A failure within leaves the transaction as it was.
        assert!(
            admin
                .explain(statement("select nonsense"), PlanOptions::default())
                .is_err()
        );
    }
    admin.execute_script("ROLLBACK").unwrap();
    let plan = admin
        .explain(statement(sql), PlanOptions::default())
        .unwrap();
    assert_eq!(plan.node(plan.root).kind, NodeKind::SeqScan);
}
