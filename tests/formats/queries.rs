//! Queries of all kinds, from a seed.

/// A generator of numbers that is the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(2).wrapping_add(1))
    }

    fn next(&mut self) -> u64 {
        // Knuth's MMIX generator; its upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        let index = usize::try_from(self.next()).unwrap() % of.len();
        of[index]
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// The schema: partitions, inheritance, names and values that look like plans.
pub(crate) const SCHEMA: &str = r#"
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region int NOT NULL, note text);
INSERT INTO customers SELECT i, 'name ' || i, i % 10, CASE WHEN i % 7 = 0 THEN NULL ELSE 'note' END
    FROM generate_series(1, 600) i;
CREATE INDEX customers_region_idx ON customers (region);
CREATE TABLE orders (id int NOT NULL, customer_id int NOT NULL, placed date NOT NULL, total numeric)
    PARTITION BY RANGE (placed);
CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM ('2025-01-01') TO ('2025-05-01');
CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM ('2025-05-01') TO ('2025-09-01');
CREATE TABLE orders_3 PARTITION OF orders FOR VALUES FROM ('2025-09-01') TO ('2026-01-01');
INSERT INTO orders SELECT i, 1 + i % 600, date '2025-01-01' + i % 365, (i % 100) * 1.5
    FROM generate_series(1, 3000) i;
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (placed);
CREATE TABLE "odd (cost=0.00..1.00 rows=1 width=1)" (
    "a b" int PRIMARY KEY, "we""ird -> x" text, "Sort Key: c" int);
INSERT INTO "odd (cost=0.00..1.00 rows=1 width=1)"
    SELECT i, E'line\n  ->  Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n''quoted''', i % 5
    FROM generate_series(1, 300) i;
CREATE INDEX "index on (x)" ON "odd (cost=0.00..1.00 rows=1 width=1)" ("Sort Key: c");
CREATE TABLE parent (id int, what text);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent SELECT i, 'p' FROM generate_series(1, 100) i;
INSERT INTO child SELECT i, 'c' FROM generate_series(1, 100) i;
CREATE TABLE target (id int PRIMARY KEY, n int, customer_id int REFERENCES customers);
INSERT INTO target SELECT i, i, i FROM generate_series(1, 50) i;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON target FOR EACH ROW EXECUTE FUNCTION touched();
VACUUM ANALYZE;
"#;

/// Conditions on a customer `c`, with values that look like plans.
fn condition(dice: &mut Dice) -> String {
    let number = dice.below(600);
    match dice.below(9) {
        0 => format!("c.id = {number}"),
        1 => format!("c.id BETWEEN {number} AND {}", number + 50),
        2 => format!("c.region = {} AND c.name <> 'x'", number % 10),
        3 => "c.note IS NULL OR c.name LIKE 'name 1%'".to_owned(),
        4 => "c.name <> E'two\\nlines\\n  ->  Seq Scan on x  (cost=0.00..1.00 rows=1 width=4)\\n  Filter: (a'".to_owned(),
        5 => "c.name <> 'it''s, \"quoted\" (with: parentheses)'".to_owned(),
        6 => format!("c.id IN ({number}, {}, 3)", number / 2),
        7 => "c.name = ANY (ARRAY['a, b', E'Planning Time: 1 ms\\nExecution Time: 2 ms', 'name 5'])".to_owned(),
        _ => format!("abs(c.id - {number}) < 40 AND (c.region > 3 OR c.region < 2)"),
    }
}

/// A query that only reads.
fn reading(dice: &mut Dice, major: u32) -> String {
    let where_ = condition(dice);
    let number = 1 + dice.below(300);
    let odd = "\"odd (cost=0.00..1.00 rows=1 width=1)\"";
    match dice.below(30) {
        0 => format!("SELECT * FROM customers c WHERE {where_}"),
        1 => format!("SELECT c.name FROM customers c JOIN orders o ON o.customer_id = c.id WHERE {where_}"),
        2 => format!("SELECT c.id, count(*) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.total > 10 WHERE {where_} GROUP BY c.id ORDER BY 2 DESC LIMIT 5"),
        3 => format!("WITH \"x y (z)\" AS MATERIALIZED (SELECT * FROM customers c WHERE {where_}) SELECT * FROM \"x y (z)\" a JOIN \"x y (z)\" b USING (region)"),
        4 => format!("WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < {}) SELECT sum(n) FROM r", number % 20),
        5 => format!("SELECT c.id, (SELECT max(o.total) FROM orders o WHERE o.customer_id = c.id) FROM customers c WHERE {where_}"),
        6 => format!("SELECT * FROM customers c WHERE {where_} AND EXISTS (SELECT FROM orders o WHERE o.customer_id = c.id AND o.total > 20)"),
        7 => format!("SELECT * FROM customers c WHERE c.id NOT IN (SELECT o.customer_id FROM orders o WHERE o.total > {number}) AND ({where_})"),
        8 => format!("SELECT * FROM orders o WHERE o.total > (SELECT avg(total) FROM orders) AND o.customer_id < {number}"),
        9 => "SELECT region, count(*), sum(id) FROM customers GROUP BY GROUPING SETS ((region), (note), ())".to_owned(),
        10 => "SELECT region, note, count(*) FROM customers GROUP BY ROLLUP (region, note)".to_owned(),
        11 => "SELECT region, note, count(*) FROM customers GROUP BY CUBE (region, note)".to_owned(),
        12 => format!("SELECT c.id, rank() OVER (PARTITION BY c.region ORDER BY c.id), sum(c.id) OVER (ORDER BY c.name) FROM customers c WHERE {where_}"),
        13 => format!("SELECT DISTINCT c.region FROM customers c WHERE {where_} UNION SELECT o.customer_id FROM orders o WHERE o.id < {number}"),
        14 => dice.pick(&[
            "SELECT id FROM customers INTERSECT SELECT customer_id FROM orders",
            "SELECT id FROM customers EXCEPT ALL SELECT customer_id FROM orders",
            "SELECT id FROM customers EXCEPT SELECT n FROM target",
        ]).to_owned(),
        15 => format!("SELECT * FROM {odd} WHERE \"Sort Key: c\" = {} ORDER BY \"we\"\"ird -> x\", \"a b\"", number % 5),
        16 => format!("SELECT x.\"we\"\"ird -> x\" FROM {odd} AS \"alias on (t)\", {odd} x WHERE x.\"a b\" = \"alias on (t)\".\"Sort Key: c\" AND x.\"we\"\"ird -> x\" <> E'open ''\\n  ->  (never'"),
        17 => format!("SELECT * FROM orders WHERE placed BETWEEN '2025-04-0{}' AND '2025-06-01'", 1 + number % 9),
        18 => format!("SELECT * FROM generate_series(1, {number}) AS g(n) WHERE g.n % 2 = 0"),
        19 => "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) v(x, y) WHERE x > 1".to_owned(),
        20 => "SELECT * FROM customers TABLESAMPLE system (50) REPEATABLE (1) LIMIT 3".to_owned(),
        21 => format!("SELECT * FROM customers c WHERE c.id = {number} OR c.region = 4"),
        22 => "SELECT * FROM customers WHERE ctid = '(0,3)'".to_owned(),
        23 => format!("SELECT c.region, l.total FROM customers c, LATERAL (SELECT total FROM orders o WHERE o.customer_id = c.id ORDER BY total DESC LIMIT 1) l WHERE {where_}"),
        24 => "SELECT * FROM parent p JOIN customers c ON c.id = p.id WHERE p.what = 'c'".to_owned(),
        25 => format!("SELECT * FROM customers c WHERE {where_} FOR UPDATE"),
        26 => "SELECT * FROM orders ORDER BY customer_id, total DESC LIMIT 20".to_owned(),
        27 => "SELECT 1 WHERE false".to_owned(),
        28 => format!("SELECT string_agg(c.name, ', ' ORDER BY c.name) FILTER (WHERE c.region > 2) FROM customers c WHERE {where_} HAVING count(*) > 1"),
        _ if major >= 17 => "SELECT * FROM json_table('[1,2]', '$[*]' COLUMNS (n int PATH '$')) AS jt".to_owned(),
        _ => "SELECT unnest(ARRAY[1, 2]), generate_series(1, 3)".to_owned(),
    }
}

/// A query that changes rows.
fn writing(dice: &mut Dice, major: u32) -> String {
    let number = 1 + dice.below(40);
    match dice.below(7) {
        0 => format!("INSERT INTO target SELECT i, i, 1 FROM generate_series(100, {}) i", 100 + number),
        1 => format!("INSERT INTO target VALUES ({number}, 1, 1) ON CONFLICT (id) DO UPDATE SET n = excluded.n WHERE target.n <> 4"),
        2 => format!("UPDATE target SET n = n + 1 WHERE id < {number}"),
        3 => format!("DELETE FROM target USING customers c WHERE c.id = target.id AND c.region = {} RETURNING target.*", number % 10),
        4 => format!("UPDATE parent SET what = 'z' WHERE id < {number}"),
        5 => format!("WITH gone AS (DELETE FROM target WHERE id < {number} RETURNING *) SELECT count(*) FROM gone"),
        _ if major >= 15 => "MERGE INTO target t USING customers c ON c.id = t.id WHEN MATCHED AND t.n > 20 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 0 WHEN NOT MATCHED AND c.id < 60 THEN INSERT VALUES (c.id, 0, 1)".to_owned(),
        _ => format!("DELETE FROM orders WHERE id = {number}"),
    }
}

/// One EXPLAIN to be printed in several formats.
pub(crate) struct Case {
    /// Its options, without the format.
    pub(crate) options: String,
    pub(crate) query: String,
    /// Settings, as `SET LOCAL`.
    pub(crate) settings: &'static str,
}

/// Cases for a server's version. What ANALYZE prints is the same in each run:
/// no times, no workers.
pub(crate) fn cases(seed: u64, count: usize, major: u32) -> Vec<Case> {
    let mut dice = Dice::new(seed);
    (0..count)
        .map(|_| {
            let settings: &'static str = dice.pick(&[
                "",
                "SET LOCAL enable_hashjoin = off",
                "SET LOCAL enable_seqscan = off",
                "SET LOCAL enable_nestloop = off; SET LOCAL work_mem = '64kB'",
                "SET LOCAL enable_hashagg = off; SET LOCAL enable_mergejoin = off",
                "SET LOCAL enable_sort = off",
            ]);
            let write = dice.below(5) == 0;
            let query = if write {
                writing(&mut dice, major)
            } else {
                reading(&mut dice, major)
            };
            let analyze = dice.below(2) == 0;
            let mut options = Vec::new();
            if analyze {
                options.extend(["ANALYZE", "TIMING OFF", "SUMMARY OFF"]);
                // Writing leaves its traces in blocks and hint bits.
                options.push(if write { "BUFFERS OFF" } else { "BUFFERS" });
                if write && dice.below(2) == 0 {
                    options.push("WAL OFF");
                }
                if !write && major >= 17 && dice.below(3) == 0 {
                    options.push("SERIALIZE");
                }
            } else if major >= 16 && dice.below(4) == 0 {
                options.push("GENERIC_PLAN");
            }
            for (option, of) in [("VERBOSE", 2), ("COSTS OFF", 4), ("SETTINGS", 2)] {
                if dice.below(of) == 0 {
                    options.push(option);
                }
            }
            if major >= 17 && dice.below(4) == 0 {
                options.push("MEMORY");
            }
            let parallel = !analyze && dice.below(4) == 0;
            Case {
                options: options.join(", "),
                query,
                settings: if parallel {
                    "SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL min_parallel_index_scan_size = 0; SET LOCAL max_parallel_workers_per_gather = 2"
                } else {
                    settings
                },
            }
        })
        .collect()
}
