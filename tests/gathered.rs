//! Statistics gathered from a sample of a live server, and tried on its twin:
//! the estimates after are those that the server itself has once the advice is
//! taken there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgadvise::pg::cluster::programs::Search;
use pgadvise::pg::snapshot::SnapshotOptions;
use pgadvise::pg::twin::cache::{self, EngineWish, OpenOptions};
use pgadvise::pg::twin::planner::TwinPlanner;
use pgadvise::pg::{Limits, Session, sample};
use pgadvise::plan::PlanGraph;
use pgadvise::snapshot::file::content_hash;
use pgadvise::verify::{PlanError, PlanOptions, Planned, Planner as _, WhatIf};

use crate::support::server::{Server, every_version};

/// Small enough that a sample is the whole table.
const SMALL: &str = "\
CREATE TABLE addresses (id int, gone text, city text, zip int, country varchar(20), note text); \
ALTER TABLE addresses DROP COLUMN gone; \
INSERT INTO addresses SELECT i, 'city ' || i % 500 / 10, i % 500, \
  CASE WHEN i % 500 < 450 THEN 'here' END, repeat('n', i % 1300) \
  FROM generate_series(1, 20000) AS i; \
CREATE TYPE mood AS ENUM ('sad', 'fine'); \
CREATE DOMAIN code AS int CHECK (VALUE >= 0); \
CREATE TABLE kinds (kind code, mood mood, at timestamptz, tags int[]); \
INSERT INTO kinds SELECT CASE WHEN i % 2 = 0 THEN i % 600 ELSE i END, \
  (ARRAY['sad', 'fine'])[1 + (i % 600) / 300]::mood, \
  timestamptz '2020-01-01 00:00+02' + i % 600 * interval '1 hour', ARRAY[i % 7, i % 11] \
  FROM generate_series(1, 20000) AS i; \
ANALYZE; \
CREATE ROLE outsider LOGIN; CREATE ROLE insider LOGIN; \
GRANT SELECT ON kinds TO insider; ALTER TABLE kinds ENABLE ROW LEVEL SECURITY";

/// Large enough that a sample is a part.
const LARGE: &str = "\
CREATE TABLE addresses (id int, city text, zip int, filler text); \
INSERT INTO addresses SELECT i, 'city ' || i * 7 % 1000 / 10, i * 7 % 1000, repeat('f', 40) \
  FROM generate_series(1, 200000) AS i; \
CREATE TABLE events (id int, kind int); \
INSERT INTO events SELECT i, CASE WHEN i % 5 = 0 THEN i / 5 % 100 \
    WHEN i % 15 IN (1, 2) THEN 100 + (i / 15 * 2 + i % 15) % 200 ELSE 1000 + i END \
  FROM generate_series(1, 300000) AS i; \
CREATE TABLE parted (id int, city text, zip int) PARTITION BY RANGE (id); \
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100000); \
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100000) TO (200001); \
INSERT INTO parted SELECT id, 'city ' || zip % 80, zip % 80 FROM addresses; \
ANALYZE";

fn planned(sql: &str) -> Planned<'_> {
    Planned { sql, parameters: 0 }
}

fn twin(live: &mut Session, bin: &Path, temp: &Path) -> TwinPlanner {
    let options = SnapshotOptions {
        index_ends: true,
        keep_time: false,
    };
    let snapshot = Arc::new(live.snapshot(&options, &mut |_, _, _| ()).unwrap());
    let options = OpenOptions {
        hash: content_hash(&snapshot),
        snapshot: Arc::clone(&snapshot),
        engine: EngineWish::Native,
        search: Search {
            pg_bin: Some(bin.to_owned()),
            path: Vec::new(),
        },
        cache: None,
        temp: temp.to_owned(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        load_limit: Duration::from_mins(1),
        statement_limit: Duration::from_mins(1),
    };
    let open = cache::open(&options, &mut cache::make, &mut |_, _, _| ()).unwrap();
    TwinPlanner::new(open.cluster, open.loaded, snapshot, Duration::from_mins(1)).unwrap()
}

fn what_if(
    live: &mut Session,
    twin: &mut TwinPlanner,
    table: &str,
    changes: &[&str],
    queries: &[&str],
) -> Result<WhatIf, PlanError> {
    let queries: Vec<Planned<'_>> = queries.iter().map(|sql| planned(sql)).collect();
    let changes: Vec<String> = changes.iter().map(|&sql| sql.to_owned()).collect();
    let relations = [("public".to_owned(), table.to_owned())];
    sample::what_if(live, twin, &queries, &changes, &relations)
}

/// The rows that the plan's top node is estimated to give.
fn rows(plan: &PlanGraph) -> f64 {
    plan.node(plan.root).estimate.unwrap().rows
}

fn estimates(what_if: WhatIf) -> Vec<f64> {
    what_if
        .plans
        .into_iter()
        .map(|plan| rows(&plan.unwrap()))
        .collect()
}

fn on_server(live: &mut Session, queries: &[&str]) -> Vec<f64> {
    queries
        .iter()
        .map(|sql| rows(&live.explain(planned(sql), PlanOptions::default()).unwrap()))
        .collect()
}

fn counts(admin: &mut Session, queries: &[&str]) -> Vec<f64> {
    queries
        .iter()
        .map(|sql| {
            let options = PlanOptions {
                analyze: true,
                allow_writes: false,
            };
            let plan = admin.explain(planned(sql), options).unwrap();
            plan.node(plan.root).actual.unwrap().rows_per_loop
        })
        .collect()
}

/// The estimates once the advice is taken on the server.
fn taken(admin: &mut Session, changes: &[&str], queries: &[&str]) -> Vec<f64> {
    admin.execute_script("BEGIN").unwrap();
    for change in changes {
        admin.execute_script(change).unwrap();
    }
    let estimates = on_server(admin, queries);
    admin.execute_script("ROLLBACK").unwrap();
    estimates
}

fn error(one: f64, other: f64) -> f64 {
    (one / other).max(other / one)
}

/// What is advised, for which table, and what it concerns.
type Case = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Where the sample is the whole table, the twin has the server's own
/// statistics.
const WHOLE: &[Case] = &[
    (
        "addresses",
        &[
            "CREATE STATISTICS a ON city, zip, country FROM addresses",
            "ANALYZE addresses",
        ],
        &[
            "SELECT FROM addresses WHERE city = 'city 7' AND zip = 75",
            "SELECT FROM addresses WHERE city = 'city 7' AND zip = 5",
            "SELECT FROM addresses WHERE city = 'city 7' AND zip < 75",
            "SELECT FROM addresses WHERE zip = 477 AND country IS NULL",
            "SELECT city, zip FROM addresses GROUP BY city, zip",
            "SELECT city, zip, country FROM addresses GROUP BY 1, 2, 3",
            "SELECT city, country FROM addresses GROUP BY 1, 2",
        ],
    ),
    (
        "addresses",
        &[
            "CREATE STATISTICS b (dependencies) ON zip, city FROM addresses;",
            "ANALYZE addresses;",
        ],
        &[
            "SELECT FROM addresses WHERE city = 'city 7' AND zip = 75",
            "SELECT city, zip FROM addresses GROUP BY city, zip",
        ],
    ),
    (
        "addresses",
        &[
            "CREATE STATISTICS c (mcv) ON zip, note FROM addresses",
            "ALTER STATISTICS c SET STATISTICS 1000",
            "ANALYZE addresses",
        ],
        &["SELECT FROM addresses WHERE zip = 75 AND note = repeat('n', 75)"],
    ),
    (
        "kinds",
        &[
            "CREATE STATISTICS d ON kind, mood, at FROM kinds",
            "ANALYZE kinds",
        ],
        &[
            "SELECT FROM kinds WHERE kind = 44 AND mood = 'sad'",
            "SELECT FROM kinds WHERE mood = 'fine' AND at = '2020-01-20 00:00+02'",
            "SELECT kind, mood FROM kinds GROUP BY 1, 2",
        ],
    ),
    (
        "kinds",
        &[
            "ALTER TABLE kinds ALTER COLUMN kind SET STATISTICS 1000",
            "ANALYZE kinds",
        ],
        &[
            "SELECT FROM kinds WHERE kind = 44",
            "SELECT FROM kinds WHERE kind = 45",
            "SELECT FROM kinds WHERE kind < 4500",
            "SELECT FROM kinds WHERE kind > 19000",
        ],
    ),
    (
        "kinds",
        &[
            "ALTER TABLE kinds ALTER tags SET STATISTICS 200",
            "ANALYZE kinds",
        ],
        &[
            "SELECT FROM kinds WHERE tags @> ARRAY[3]",
            "SELECT FROM kinds WHERE tags = ARRAY[3, 3]",
        ],
    ),
];

const EXPRESSIONS: &[Case] = &[
    (
        "addresses",
        &[
            "CREATE STATISTICS e ON (zip % 7) FROM addresses",
            "ANALYZE addresses",
        ],
        &[
            "SELECT FROM addresses WHERE zip % 7 = 3",
            "SELECT zip % 7 FROM addresses GROUP BY 1",
        ],
    ),
    (
        "addresses",
        &[
            "CREATE STATISTICS f ON (zip / 10), upper(city), country FROM addresses",
            "ANALYZE addresses",
        ],
        &[
            "SELECT FROM addresses WHERE zip / 10 = 3 AND upper(city) = 'CITY 3'",
            "SELECT zip / 10, upper(city), country FROM addresses GROUP BY 1, 2, 3",
        ],
    ),
];

#[test]
fn a_whole_table_gives_the_statistics_that_the_server_would_have() {
    for (major, bin) in every_version() {
        let server = Server::of_version(&bin, &[], 5432).unwrap();
        drop(server.database("gathered", SMALL));
        let options = server.options("gathered", "postgres", "application_name=sampler");
        let mut live = Session::connect(&options, Limits::default()).unwrap();
        let temp = temp();
        let mut twin = twin(&mut live, &bin, temp.path());
        let expressions: &[Case] = if major >= 14 { EXPRESSIONS } else { &[] };
        for (table, changes, queries) in WHOLE.iter().chain(expressions) {
            let before = on_server(&mut live, queries);
            let tried = what_if(&mut live, &mut twin, table, changes, queries).unwrap();
            let last = tried.changes.last().unwrap();
            assert!(
                last.notes[0].contains("all 20,000 rows"),
                "{:?}",
                last.notes
            );
            let tried = estimates(tried);
            // Nothing of it is left in the twin.
            let left: Vec<f64> = queries
                .iter()
                .map(|sql| rows(&twin.plan(planned(sql), PlanOptions::default()).unwrap()))
                .collect();
            assert_eq!(left, before, "version {major}: {changes:?}");
            let mut admin = server.admin("gathered");
            let real = taken(&mut admin, changes, queries);
            assert_eq!(tried, real, "version {major}: {changes:?}");
            if !changes[0].contains("tags") {
                assert_ne!(tried, before, "version {major}: {changes:?}");
            }
        }
        // The server was only read, in transactions that could do nothing else.
        for line in server.logged("gathered", "sampler") {
            let sql = line.split_once(": ").map_or("", |(_, sql)| sql.trim());
            assert!(
                !sql.starts_with("CREATE") && !sql.contains("ANALYZE") && !sql.contains("INSERT"),
                "{line}"
            );
        }
        refused(&server, &mut twin);
    }
}

/// Roles that do not see all rows are told so, and the others' statistics stay
/// as they are.
fn refused(server: &Server, twin: &mut TwinPlanner) {
    for (role, why) in [
        ("outsider", "permission denied"),
        ("insider", "row security hides rows"),
    ] {
        let options = server.options("gathered", role, "");
        let mut live = Session::connect(&options, Limits::default()).unwrap();
        let refused = what_if(
            &mut live,
            twin,
            "kinds",
            &[
                "CREATE STATISTICS x ON kind, mood FROM kinds",
                "ANALYZE kinds",
            ],
            &["SELECT FROM kinds"],
        );
        match refused {
            Err(PlanError::Unsupported { what }) => assert!(what.contains(why), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}

fn temp() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Estimates that are off by more than ten times come within a factor of two.
const PARTS: &[Case] = &[
    (
        "addresses",
        &[
            "CREATE STATISTICS a (dependencies) ON city, zip FROM addresses",
            "ANALYZE addresses",
        ],
        &[
            "SELECT FROM addresses WHERE city = 'city 7' AND zip = 75",
            "SELECT FROM addresses WHERE city = 'city 70' AND zip = 702",
        ],
    ),
    (
        "addresses",
        &[
            "CREATE STATISTICS b (ndistinct) ON city, zip FROM addresses",
            "ANALYZE addresses",
        ],
        &["SELECT city, zip FROM addresses GROUP BY city, zip"],
    ),
    (
        "events",
        &[
            "ALTER TABLE events ALTER COLUMN kind SET STATISTICS 400",
            "ANALYZE events",
        ],
        &["SELECT FROM events WHERE kind = 299"],
    ),
    (
        "parted_1",
        &[
            "CREATE STATISTICS c ON city, zip FROM parted_1",
            "ANALYZE parted_1",
        ],
        &["SELECT FROM parted_1 WHERE city = 'city 7' AND zip = 7"],
    ),
];

/// Estimates that stay much as they are: what is handed over of a column is
/// what the server's own sample gives.
const ALIKE: &[Case] = &[
    (
        "events",
        &[
            "ALTER TABLE events ALTER COLUMN kind SET STATISTICS 300",
            "ANALYZE events",
        ],
        &[
            "SELECT FROM events WHERE kind < 40",
            "SELECT FROM events WHERE kind < 30000",
            "SELECT FROM events WHERE kind BETWEEN 100000 AND 130000",
            "SELECT kind FROM events GROUP BY kind",
        ],
    ),
    (
        "addresses",
        &["ANALYZE addresses"],
        &[
            "SELECT FROM addresses WHERE id < 50000",
            "SELECT FROM addresses WHERE id = 500",
            // Not equality with a value of some hundred rows: two samples of
            // the server itself are too far apart there.
            "SELECT FROM addresses WHERE zip < 100 AND city > 'city 5'",
            "SELECT city FROM addresses GROUP BY city",
            "SELECT zip FROM addresses GROUP BY zip",
            "SELECT id FROM addresses GROUP BY id",
        ],
    ),
];

#[test]
fn a_sample_mends_estimates_that_were_far_off() {
    // What is reckoned here is the same in all versions.
    let versions = every_version();
    let newest = versions.iter().skip(1).last();
    let some = versions.first().into_iter().chain(newest);
    for (major, bin) in some {
        let server = Server::of_version(bin, &[], 5432).unwrap();
        let mut admin = server.database("gathered", LARGE);
        let options = server.options("gathered", "postgres", "");
        let mut live = Session::connect(&options, Limits::default()).unwrap();
        let temp = temp();
        let mut twin = twin(&mut live, bin, temp.path());
        for (table, changes, queries) in PARTS {
            let real = counts(&mut admin, queries);
            let before = on_server(&mut live, queries);
            let tried = what_if(&mut live, &mut twin, table, changes, queries).unwrap();
            let note = tried.changes.last().unwrap().notes[0].clone();
            assert!(note.contains("from a sample of"), "{note}");
            let after = estimates(tried);
            let taken = taken(&mut admin, changes, queries);
            for (((sql, real), before), after) in queries.iter().zip(&real).zip(before).zip(&after)
            {
                let told = format!("version {major}: {sql}: {real} {before} {after}, {note}");
                assert!(error(before, *real) > 10.0, "{told}");
                assert!(error(*after, *real) < 2.0, "{told}");
            }
            // As the server's own sample has it, which is another one: a value
            // of some ten rows in it differs by a third now and then.
            for (after, taken) in after.iter().zip(&taken) {
                assert!(
                    error(*after, *taken) < 2.0,
                    "version {major}: {changes:?}: {after} {taken}"
                );
            }
        }
        for (table, changes, queries) in ALIKE {
            let tried = what_if(&mut live, &mut twin, table, changes, queries).unwrap();
            let taken = taken(&mut admin, changes, queries);
            for ((sql, tried), taken) in queries.iter().zip(estimates(tried)).zip(taken) {
                let told = format!("version {major}: {sql}: {tried} {taken}");
                assert!(error(tried, taken) < 1.3, "{told}");
            }
        }
        // Statistics of a partitioned table are those of all its partitions.
        let tried = what_if(
            &mut live,
            &mut twin,
            "parted",
            &[
                "CREATE STATISTICS p (ndistinct) ON city, zip FROM parted",
                "ANALYZE parted",
            ],
            &["SELECT city, zip FROM parted GROUP BY city, zip"],
        )
        .unwrap();
        assert!(error(estimates(tried)[0], 80.0) < 1.1);
    }
}
