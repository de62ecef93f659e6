//! Times, blocks, I/O and WAL of the nodes, against real servers: that they
//! sum to the whole, and that what slept is what is blamed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use pgadvise::pg::Session;
use pgadvise::plan::metrics::{Metrics, metrics};
use pgadvise::plan::{Buffers, IoTimes, PlanGraph, Wal, json};

use super::support::server::{self, Server};

/// Tables large enough for workers and temporary files, and functions that
/// sleep where they are called.
const CONTENT: &str = "
CREATE TABLE big (id int PRIMARY KEY, grp int, val float8, pad text);
INSERT INTO big SELECT i, i % 997, i::float8 / 7, repeat('x', 40) FROM generate_series(1, 40000) i;
CREATE INDEX big_grp ON big (grp);
CREATE TABLE small (id int PRIMARY KEY, grp int, note text);
INSERT INTO small SELECT i, i % 97, 'n' || i FROM generate_series(1, 2000) i;
CREATE TABLE parts (id int, day int, val int) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (200) TO (300);
INSERT INTO parts SELECT i, i % 300, i FROM generate_series(1, 9000) i;
CREATE INDEX ON parts (day);
CREATE TABLE written (id int PRIMARY KEY, val int);
CREATE TABLE audited (id int PRIMARY KEY, val int REFERENCES small (id));
CREATE FUNCTION nap(what int) RETURNS int LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS
  'BEGIN PERFORM pg_sleep(0.15); RETURN what; END';
CREATE FUNCTION nap_in_trigger() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN PERFORM pg_sleep(0.15); RETURN NEW; END';
CREATE TABLE slow_after (id int);
CREATE TRIGGER napping AFTER INSERT ON slow_after FOR EACH ROW EXECUTE FUNCTION nap_in_trigger();
CREATE TABLE slow_before (id int);
CREATE TRIGGER napping BEFORE INSERT ON slow_before FOR EACH ROW EXECUTE FUNCTION nap_in_trigger();
ANALYZE;
CREATE FUNCTION plan_of(options text, query text) RETURNS text LANGUAGE plpgsql AS
  'DECLARE line text; plan text; BEGIN
     FOR line IN EXECUTE ''EXPLAIN ('' || options || '', FORMAT JSON) '' || query
     LOOP plan := coalesce(plan || E''\\n'', '''') || line; END LOOP; RETURN plan; END';
CREATE TABLE plans (at int, plan text)
";

const OPTIONS: &str = "ANALYZE, BUFFERS, WAL, VERBOSE, SETTINGS";

/// Statements of every kind that hides time or blocks somewhere.
const QUERIES: &[&str] = &[
    "SELECT count(*) FROM big",
    "SELECT grp, sum(val) FROM big GROUP BY grp ORDER BY 2 LIMIT 5",
    "SELECT * FROM big b JOIN small s USING (grp) WHERE b.val > 100 LIMIT 50",
    "SELECT count(*) FROM big b JOIN big c ON b.id = c.id + 1",
    "SELECT * FROM big ORDER BY val DESC, pad LIMIT 3",
    "SELECT count(*) FROM (SELECT * FROM big ORDER BY pad, val OFFSET 10) x",
    "WITH c AS MATERIALIZED (SELECT grp, sum(val) s FROM big GROUP BY grp) SELECT * FROM c a JOIN c b ON a.s < b.s AND a.grp = b.grp + 1",
    "WITH a AS MATERIALIZED (SELECT * FROM small), b AS MATERIALIZED (SELECT grp, count(*) n FROM a GROUP BY grp) SELECT (SELECT sum(n) FROM b), (SELECT max(id) FROM a), count(*) FROM b JOIN a USING (grp)",
    "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3000) SELECT sum(n) FROM t",
    "SELECT * FROM big WHERE val > (SELECT avg(val) FROM big) LIMIT 100",
    "SELECT * FROM big WHERE id = (SELECT max(id) FROM small)",
    "SELECT count(*) FROM big WHERE val < (SELECT max(val) FROM big) AND grp < (SELECT min(grp) + 50 FROM small)",
    "SELECT s.id, (SELECT sum(val) FROM big b WHERE b.grp = s.grp) FROM small s WHERE s.id < 60",
    "SELECT count(*) FROM big WHERE id IN (SELECT id FROM small WHERE grp < 9) OR grp = 3",
    "SELECT count(*) FROM small s WHERE EXISTS (SELECT FROM big b WHERE b.grp = s.grp AND b.val > s.id) OR s.id < 4",
    "SELECT count(*) FROM small s LEFT JOIN LATERAL (SELECT * FROM big b WHERE b.grp = s.grp ORDER BY val LIMIT 2) x ON true",
    "SELECT count(*) FROM parts WHERE day = (SELECT min(grp) + 150 FROM small)",
    "SELECT * FROM parts ORDER BY day, id LIMIT 10",
    "SELECT count(*) FROM small s JOIN parts p ON p.day = s.grp",
    "SELECT count(*) FROM big WHERE grp = 5 AND val > 10 OR grp IN (6, 7)",
    "SELECT grp, rank() OVER (PARTITION BY grp ORDER BY val) FROM big WHERE grp < 40",
    "SELECT DISTINCT grp FROM big UNION SELECT grp FROM small EXCEPT SELECT 3",
    "SELECT count(*) FROM small a JOIN small b ON a.grp < b.grp AND a.id < 200",
    "SELECT * FROM small LIMIT (SELECT count(*) / 3 FROM small)",
    "SELECT count(*) FROM big WHERE false",
    "SELECT grp, (SELECT count(*) FROM big) FROM (SELECT grp, count(*) FROM big GROUP BY grp) x WHERE grp < (SELECT 100)",
    "INSERT INTO written SELECT i, i FROM generate_series(1, 2000) i ON CONFLICT DO NOTHING",
    "UPDATE written SET val = val + (SELECT count(*) FROM small) WHERE id % 3 = 0",
    "WITH d AS (DELETE FROM written WHERE id % 5 = 0 RETURNING *) SELECT count(*) FROM d",
    "WITH i AS (INSERT INTO written SELECT i, 0 FROM generate_series(100001, 101000) i ON CONFLICT DO NOTHING RETURNING id) SELECT 1",
    "WITH i AS (UPDATE written SET val = 0 RETURNING id) SELECT * FROM i LIMIT 1",
    "INSERT INTO audited SELECT id, id FROM small WHERE id < 500 ON CONFLICT DO NOTHING",
];

/// Settings under which they run, each with other plans.
const SETTINGS: &[&str] = &[
    "",
    "SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;
     SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET max_parallel_workers_per_gather = 3",
    "SET parallel_leader_participation = off; SET work_mem = '64kB'; SET enable_hashagg = off",
    "SET enable_hashjoin = off; SET enable_mergejoin = off; SET max_parallel_workers = 1",
    "SET enable_material = off; SET enable_hashjoin = on; SET jit = on; SET jit_above_cost = 0",
];

/// One server of every version for all tests here.
fn servers() -> &'static [(u32, Server)] {
    static SERVERS: LazyLock<Vec<(u32, Server)>> = LazyLock::new(|| {
        let settings = ["track_io_timing=on", "max_worker_processes=16"];
        server::every_version()
            .into_iter()
            .map(|(major, bin)| (major, Server::of_version(&bin, &settings, 5432).unwrap()))
            .collect()
    });
    &SERVERS
}

/// Executes statements on the server and gives their plans, in order.
fn plans(admin: &mut Session, folder: &Path, options: &str, queries: &[&str]) -> Vec<PlanGraph> {
    let mut script = "BEGIN; TRUNCATE plans;".to_owned();
    for (at, query) in queries.iter().enumerate() {
        write!(
            script,
            "INSERT INTO plans VALUES ({at}, plan_of($q${options}$q$, $q${query}$q$));"
        )
        .unwrap();
    }
    let file = folder.join(format!(
        "plans-{}.json",
        admin.target().replace(|c: char| !c.is_alphanumeric(), "_")
    ));
    write!(
        script,
        "COPY (SELECT string_agg(plan, E',\\n' ORDER BY at) FROM plans) TO '{}' (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02'); ROLLBACK",
        file.display()
    )
    .unwrap();
    admin.execute_script(&script).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "the server wrote it for the test"
    )]
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text
        .trim()
        .trim_matches('\u{1}')
        .replace("\u{1}\u{1}", "\u{1}");
    let plans = json::parse(&text.replace("\n]\n,\n[\n", "\n,\n").replace("],\n[", ",\n")).unwrap();
    assert_eq!(plans.len(), queries.len());
    plans
}

fn buffers(b: &Buffers) -> [f64; 10] {
    [
        b.shared_hit_blocks,
        b.shared_read_blocks,
        b.shared_dirtied_blocks,
        b.shared_written_blocks,
        b.local_hit_blocks,
        b.local_read_blocks,
        b.local_dirtied_blocks,
        b.local_written_blocks,
        b.temp_read_blocks,
        b.temp_written_blocks,
    ]
}

fn io(io: &IoTimes) -> [f64; 6] {
    [
        io.shared_read_ms,
        io.shared_write_ms,
        io.local_read_ms,
        io.local_write_ms,
        io.temp_read_ms,
        io.temp_write_ms,
    ]
}

fn wal(wal: &Wal) -> [f64; 4] {
    [
        wal.records,
        wal.full_page_images,
        wal.bytes,
        wal.buffers_full,
    ]
}

/// What is wrong with sums of numbers of the nodes.
fn sums<T, const N: usize>(
    what: &str,
    whole: Option<&T>,
    own: impl Iterator<Item = Option<T>>,
    numbers: impl Fn(&T) -> [f64; N],
    wrong: &mut Vec<String>,
) {
    let mut sum = [0.0; N];
    for own in own.flatten() {
        for (sum, number) in sum.iter_mut().zip(numbers(&own)) {
            if number < 0.0 {
                wrong.push(format!("{what}: {number}"));
            }
            *sum += number;
        }
    }
    let whole = whole.map_or([0.0; N], numbers);
    for (sum, whole) in sum.iter().zip(whole) {
        if (sum - whole).abs() > 1e-6 * whole.max(1.0) {
            wrong.push(format!("{what}: {sum} instead of {whole}"));
        }
    }
}

/// What contradicts that the numbers of the nodes sum to those of the whole.
fn contradictions(plan: &PlanGraph, found: &Metrics) -> Vec<String> {
    let mut wrong = Vec::new();
    let whole = found.total_ms.unwrap();
    let sum: f64 = found.nodes.iter().filter_map(|node| node.self_ms).sum();
    if (sum - whole).abs() > 0.0005 + 1e-6 {
        wrong.push(format!("times sum to {sum} instead of {whole}"));
    }
    for (id, node) in plan.nodes() {
        let own = found.node(id);
        if own.self_ms.unwrap() < 0.0 {
            wrong.push(format!("{}: {:?} ms alone", node.label(), own.self_ms));
        }
        if own.adjusted_ms.abs() > own.total_error_ms + 1e-6
            && found.account.scaled_ms + found.account.raised_ms <= 0.0
        {
            wrong.push(format!(
                "{}: {} ms off, rounding explains {}",
                node.label(),
                own.adjusted_ms,
                own.total_error_ms
            ));
        }
    }
    // Only what ran on beside a Gather that had ended is scaled.
    for id in &found.account.scaled_at {
        if !plan.node(*id).kind.is_gather() {
            wrong.push(format!("{} was scaled", plan.node(*id).label()));
        }
    }
    if found.account.unplaced_counts > 0.0 {
        wrong.push("counts that no node had room for".to_owned());
    }
    let nodes = &found.nodes;
    sums(
        "blocks",
        found.counts.buffers.as_ref(),
        nodes.iter().map(|node| node.self_buffers),
        buffers,
        &mut wrong,
    );
    sums(
        "I/O",
        found.counts.io.as_ref(),
        nodes.iter().map(|node| node.self_io),
        io,
        &mut wrong,
    );
    sums(
        "WAL",
        found.counts.wal.as_ref(),
        nodes.iter().map(|node| node.self_wal),
        wal,
        &mut wrong,
    );
    wrong
}

#[test]
fn numbers_of_the_nodes_sum_to_the_whole_on_every_version() {
    for (major, server) in servers() {
        let mut admin = server.database("exact_1", CONTENT);
        let mut wrong = Vec::new();
        let (mut gathers, mut nodes) = (0, 0);
        for settings in SETTINGS {
            admin.execute_script(settings).unwrap();
            // Without VERBOSE the times of workers are averages.
            let both: &[&str] = if *settings == SETTINGS[1] {
                &[OPTIONS, "ANALYZE, BUFFERS, WAL"]
            } else {
                &[OPTIONS]
            };
            for options in both {
                let found = plans(&mut admin, server.folder(), options, QUERIES);
                for (plan, query) in found.iter().zip(QUERIES) {
                    gathers += plan
                        .nodes()
                        .filter(|(_, node)| node.kind.is_gather())
                        .count();
                    nodes += plan.graph.node_count();
                    let numbers = metrics(plan);
                    for contradiction in contradictions(plan, &numbers) {
                        wrong.push(format!("{query}\n  {settings}\n  {contradiction}"));
                    }
                }
            }
        }
        assert!(gathers > 20 && nodes > 1000, "{major}: {gathers}, {nodes}");
        assert!(
            wrong.is_empty(),
            "PostgreSQL {major}: {} contradictions\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}

/// Each statement sleeps in one place; the label of the node that has to be
/// blamed.
const SLEEPERS: &[(&str, &str)] = &[
    (
        "WITH c AS MATERIALIZED (SELECT nap(1) AS n FROM small WHERE id = 1) SELECT * FROM c a, c b, small s WHERE s.id = a.n",
        "Scan using small_pkey on small",
    ),
    (
        "SELECT * FROM big WHERE grp = (SELECT nap(id) FROM small WHERE id = 7) AND val > 1",
        "Scan using small_pkey on small",
    ),
    (
        "SELECT s.id, (SELECT nap(t.id) FROM small t WHERE t.id = s.id AND t.id > 0) FROM small s WHERE s.id IN (5, 6)",
        "Scan using small_pkey on small t",
    ),
    (
        "SELECT count(*) FROM small s JOIN (SELECT nap(grp) AS grp FROM small WHERE id = 9 OFFSET 0) x USING (grp)",
        "Scan using small_pkey on small",
    ),
    (
        "SELECT count(*) FROM (SELECT id FROM small WHERE id < 3 AND nap(grp) > 0 UNION ALL SELECT id FROM big WHERE id < 3) x",
        "Scan using small_pkey on small",
    ),
    (
        "INSERT INTO slow_before VALUES (1)",
        "ModifyTable on slow_before",
    ),
    (
        "WITH i AS (INSERT INTO slow_before VALUES (1) RETURNING id) SELECT 1",
        "ModifyTable on slow_before",
    ),
    (
        "SELECT count(*) FROM small LIMIT (SELECT nap(id) FROM small WHERE id = 11)",
        "Scan using small_pkey on small",
    ),
];

#[test]
fn the_node_that_slept_is_blamed() {
    for (major, server) in servers() {
        let mut admin = server.database("exact_2", CONTENT);
        for options in [OPTIONS, "ANALYZE"] {
            let queries: Vec<&str> = SLEEPERS.iter().map(|(query, _)| *query).collect();
            let found = plans(&mut admin, server.folder(), options, &queries);
            for (plan, (query, expected)) in found.iter().zip(SLEEPERS) {
                let numbers = metrics(plan);
                let (id, most) = plan
                    .nodes()
                    .max_by(|a, b| {
                        let own = |id| numbers.node(id).self_ms.unwrap();
                        own(a.0).total_cmp(&own(b.0))
                    })
                    .unwrap();
                let own = numbers.node(id).self_ms.unwrap();
                assert!(
                    most.label().contains(expected) && own > 0.8 * numbers.total_ms.unwrap(),
                    "PostgreSQL {major}: {query}: {} has {own} of {:?} ms",
                    most.label(),
                    numbers.total_ms
                );
            }
        }
    }
}

/// A worker that sleeps is waited for, and the scan in which it slept has the
/// time, not the Gather.
#[test]
fn a_sleeping_worker_is_blamed_on_its_scan() {
    for (major, server) in servers() {
        let mut admin = server.database("exact_3", CONTENT);
        admin.execute_script(SETTINGS[1]).unwrap();
        let query = "SELECT count(*) FROM big WHERE id % 40000 = 77 AND nap(id) > 0";
        let plan = plans(&mut admin, server.folder(), OPTIONS, &[query]).remove(0);
        let numbers = metrics(&plan);
        let (scan, _) = plan.nodes().last().unwrap();
        assert!(plan.under_gather(scan), "PostgreSQL {major}");
        let share = numbers.node(scan).self_share;
        assert!(share > 0.6, "PostgreSQL {major}: {share}");
    }
}

/// AFTER triggers are beside the nodes; BEFORE triggers are in them.
#[test]
fn triggers_are_beside_the_nodes_or_in_them() {
    for (major, server) in servers() {
        let mut admin = server.database("exact_4", CONTENT);
        let queries = [
            "INSERT INTO slow_after VALUES (1)",
            "INSERT INTO slow_before VALUES (1)",
            "WITH i AS (INSERT INTO slow_before VALUES (1) RETURNING id) SELECT 1",
        ];
        let found = plans(&mut admin, server.folder(), "ANALYZE, SUMMARY", &queries);
        let numbers: Vec<Metrics> = found.iter().map(metrics).collect();
        let (after, before, unread) = (&numbers[0], &numbers[1], &numbers[2]);
        assert!(after.beside.triggers_ms > 100.0, "PostgreSQL {major}");
        assert!(
            after.beside.triggers_inside_ms < 1.0,
            "PostgreSQL {major}: {:?}",
            after.beside
        );
        assert!(after.total_ms.unwrap() < 0.3 * after.beside.triggers_ms);
        assert!(
            before.beside.triggers_inside_ms > 0.8 * before.beside.triggers_ms,
            "PostgreSQL {major}: {:?}",
            before.beside
        );
        // Finished after the root, as nobody reads it.
        assert!(
            unread.beside.afterwards_ms > 0.8 * unread.total_ms.unwrap(),
            "PostgreSQL {major}: {:?}",
            unread.beside
        );
    }
}
