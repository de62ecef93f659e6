//! `pgadvise diff` on what servers of every version do before and after a
//! change: the cause is the one that was made.

use serde_json::Value;

use crate::support::desk::Desk;
use crate::support::server::{Server, every_version};
use pgadvise::pg::Session;

const TABLES: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, city text);
    INSERT INTO customers SELECT i, 'city ' || i % 200 FROM generate_series(1, 5000) i;
    CREATE TABLE orders (id int PRIMARY KEY, customer int, status text, total int)
        WITH (autovacuum_enabled = off);
    INSERT INTO orders
        SELECT i, 1 + i * 7919 % 5000, CASE WHEN i % 400 = 0 THEN 'returned' ELSE 'paid' END, i % 1000
        FROM generate_series(1, 60000) i;
    CREATE TABLE grown (id int, grp int) WITH (autovacuum_enabled = off);
    INSERT INTO grown SELECT i, i % 10 FROM generate_series(1, 10000) i;
    CREATE TABLE bloated (id int, text text) WITH (autovacuum_enabled = off);
    INSERT INTO bloated SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i;
    ANALYZE;
    CREATE TABLE loaded (id int PRIMARY KEY, grp int) WITH (autovacuum_enabled = off);
    INSERT INTO loaded SELECT i, i % 3 FROM generate_series(1, 30000) i;
    CREATE FUNCTION plan_of(options text, query text) RETURNS text LANGUAGE plpgsql AS $$
    DECLARE line text; plan text := '';
    BEGIN
        FOR line IN EXECUTE 'EXPLAIN (' || options || ') ' || query LOOP
            plan := plan || line || E'\\n';
        END LOOP;
        RETURN plan;
    END $$;";

const RUN: &str = "ANALYZE, BUFFERS, SETTINGS, FORMAT JSON";

struct Case {
    name: &'static str,
    before: &'static str,
    change: &'static str,
    after: &'static str,
    /// What must be told, in this order; other causes may stand between.
    causes: &'static [&'static str],
    /// What must not be told.
    never: &'static [&'static str],
    says: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "index",
        before: "SELECT * FROM orders WHERE status = 'returned'",
        change: "CREATE INDEX orders_status ON orders (status)",
        after: "SELECT * FROM orders WHERE status = 'returned'",
        causes: &["index"],
        never: &["statement", "estimates", "rows", "blocks"],
        says: "orders is read by orders_status, which the plan before does not use",
    },
    Case {
        name: "dropped",
        before: "SELECT * FROM orders WHERE status = 'returned'",
        change: "DROP INDEX orders_status",
        after: "SELECT * FROM orders WHERE status = 'returned'",
        causes: &["index"],
        never: &["statement", "estimates", "rows", "blocks"],
        says: "the index is gone, or can no longer be used",
    },
    Case {
        name: "cast",
        before: "SELECT * FROM orders WHERE id = 55",
        change: "SELECT",
        after: "SELECT * FROM orders WHERE id::text = '55'",
        causes: &["index"],
        never: &["constants"],
        says: "can no longer be used",
    },
    Case {
        name: "memory",
        before: "SELECT * FROM orders ORDER BY total, status, id",
        change: "SET work_mem = '64MB'",
        after: "SELECT * FROM orders ORDER BY total, status, id",
        causes: &["setting", "spill"],
        never: &["statement", "index", "estimates", "rows"],
        says: "work_mem is another: 256kB → 64MB",
    },
    Case {
        name: "analyze",
        before: "SELECT count(*) FROM loaded JOIN orders ON orders.id = loaded.id WHERE loaded.grp = 1",
        change: "ANALYZE loaded",
        after: "SELECT count(*) FROM loaded JOIN orders ON orders.id = loaded.id WHERE loaded.grp = 1",
        causes: &["estimates"],
        never: &["statement", "rows", "constants"],
        says: "the statistics are others (ANALYZE",
    },
    Case {
        name: "grown",
        before: "SELECT grp, count(*) FROM grown GROUP BY grp",
        change: "INSERT INTO grown SELECT i, i % 10 FROM generate_series(10001, 100000) i; ANALYZE grown",
        after: "SELECT grp, count(*) FROM grown GROUP BY grp",
        causes: &["rows"],
        never: &["statement", "blocks", "circumstances"],
        says: "grown has grown: 10,000 → 100,000 rows",
    },
    Case {
        name: "bloat",
        before: "SELECT count(*) FROM bloated",
        change: "UPDATE bloated SET id = id; UPDATE bloated SET id = id; ANALYZE bloated",
        after: "SELECT count(*) FROM bloated",
        causes: &["blocks"],
        never: &["rows", "circumstances", "statement"],
        says: "bloated takes more blocks for the same rows",
    },
    Case {
        name: "cte",
        before: "WITH t AS MATERIALIZED (SELECT * FROM orders) SELECT * FROM t WHERE id = 77",
        change: "SELECT",
        after: "WITH t AS NOT MATERIALIZED (SELECT * FROM orders) SELECT * FROM t WHERE id = 77",
        causes: &["statement", "index"],
        never: &["constants"],
        says: "written otherwise",
    },
    Case {
        name: "subquery",
        before: "SELECT * FROM customers c WHERE id NOT IN (SELECT customer FROM orders WHERE status = 'returned')",
        change: "SELECT",
        after: "SELECT * FROM customers c WHERE NOT EXISTS (SELECT FROM orders o WHERE status = 'returned' AND o.customer = c.id)",
        causes: &["statement"],
        never: &["constants"],
        says: "written otherwise",
    },
    Case {
        name: "partitions",
        before: "SELECT sum(total) FROM orders WHERE id < 900",
        change: "ALTER TABLE orders RENAME TO orders_plain;
            CREATE TABLE orders (id int, customer int, status text, total int) PARTITION BY RANGE (id);
            CREATE TABLE orders_first PARTITION OF orders FOR VALUES FROM (0) TO (1000);
            CREATE TABLE orders_rest PARTITION OF orders FOR VALUES FROM (1000) TO (100000);
            INSERT INTO orders SELECT * FROM orders_plain;
            ANALYZE orders",
        after: "SELECT sum(total) FROM orders WHERE id < 900",
        causes: &["tables"],
        never: &["rows", "estimates"],
        says: "other tables are read as orders: orders → orders_first",
    },
];

/// Has the server write a plan, and puts it where the comparison is made.
fn keep(server: &Server, admin: &mut Session, desk: &Desk, name: &str, options: &str, query: &str) {
    let file = server.folder().join(format!("diffed-{name}"));
    admin
        .execute_script(&format!(
            "COPY (SELECT plan_of($q${options}$q$, $q${query}$q$)) TO '{}'
             (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')",
            file.display()
        ))
        .unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a test reads what its server wrote"
    )]
    let text = std::fs::read_to_string(&file).unwrap();
    desk.write(name, text.trim_matches(['\u{1}', '\n']));
}

fn compare(desk: &Desk, before: &str, after: &str) -> (Value, Option<i32>) {
    let ended = desk.run(&["diff", before, after, "--format", "json"]);
    let report = ended.json_of(&pgadvise::report::diff::schema());
    (report["comparisons"][0].clone(), ended.code)
}

fn assert_case(case: &Case, found: &Value, major: u32) {
    let causes = found["causes"].as_array().unwrap();
    let kinds: Vec<&str> = causes
        .iter()
        .map(|cause| cause["kind"].as_str().unwrap())
        .collect();
    let told = format!("{} on {major}: {causes:#?}", case.name);
    let mut rest = kinds.iter();
    for kind in case.causes {
        assert!(rest.any(|told| told == kind), "{told}");
    }
    assert!(
        !kinds.iter().any(|kind| case.never.contains(kind)),
        "{told}"
    );
    let main = kinds.iter().position(|kind| *kind == case.causes[0]);
    let message = causes[main.unwrap()]["message"].as_str().unwrap();
    assert!(message.contains(case.says), "{told}");
    // Another index is a choice for what else changed, and no cause before it.
    let index = kinds.iter().position(|kind| *kind == "index");
    assert!(index.is_none_or(|at| Some(at) >= main), "{told}");
}

#[test]
fn the_change_that_was_made_is_the_cause_on_every_version() {
    for (major, bin) in every_version() {
        let server = Server::of_version(&bin, &["jit=off", "autovacuum=off"], 5432).unwrap();
        let mut admin = server.database("diffed", TABLES);
        admin
            .execute_script("SET work_mem = '256kB'; SET max_parallel_workers_per_gather = 0")
            .unwrap();
        let desk = Desk::new();
        for case in CASES {
            // Once unseen, so that both find the same in the buffers.
            for _ in 0..2 {
                keep(&server, &mut admin, &desk, "before.json", RUN, case.before);
            }
            admin.execute_script(case.change).unwrap();
            for _ in 0..2 {
                keep(&server, &mut admin, &desk, "after.json", RUN, case.after);
            }
            assert_case(case, &compare(&desk, "before.json", "after.json").0, major);
        }
        // One plan in two formats is one plan.
        let query = "SELECT city, count(*) FROM customers c JOIN orders_plain o ON o.customer = c.id GROUP BY city ORDER BY 2";
        let options = "SETTINGS, FORMAT ";
        keep(
            &server,
            &mut admin,
            &desk,
            "one.json",
            &format!("{options}JSON"),
            query,
        );
        keep(
            &server,
            &mut admin,
            &desk,
            "one.txt",
            &format!("{options}TEXT"),
            query,
        );
        let (found, code) = compare(&desk, "one.json", "one.txt");
        assert_eq!(code, Some(0), "{found:#}");
        assert_eq!(found["verdict"]["outcome"], "same", "{found:#}");
        assert_eq!(found["changed_nodes"], 0, "{found:#}");
        assert_eq!(found["causes"], Value::Array(Vec::new()), "{found:#}");
    }
}
