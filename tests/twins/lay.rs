//! Laid files: tables and indexes without rows plan as those with rows do.
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up folders and servers"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgadvise::pg::cluster::Cluster as _;
use pgadvise::pg::cluster::native::{Locale, Native, NativeOptions};
use pgadvise::pg::cluster::programs::Installed;
use pgadvise::pg::snapshot::SnapshotOptions;
use pgadvise::pg::twin::lay::{self, Prepared};
use pgadvise::snapshot::{IndexMeta, Snapshot};
use pgadvise::verify::{PlanOptions, Planned};

use crate::support::server::every_version;

/// The same tables for the original, in `public`, and for the twin.
const SCHEMA: &str = "
    CREATE TABLE events (
        id bigint NOT NULL, created_at timestamptz, updated_at timestamp, day date,
        code text, price numeric, kind pg_catalog.name, ratio float8, small int2, who uuid,
        tags int[], doc jsonb, spot point, span int4range);
    CREATE UNIQUE INDEX events_id ON events (id);
    CREATE INDEX events_created ON events (created_at);
    CREATE INDEX events_updated ON events (updated_at DESC NULLS LAST);
    CREATE INDEX events_day ON events (day, id);
    CREATE INDEX events_code ON events (code) INCLUDE (id, price);
    CREATE INDEX events_price ON events (price DESC, code);
    CREATE INDEX events_kind ON events (kind);
    CREATE INDEX events_ratio ON events (ratio, kind, day);
    CREATE INDEX events_small ON events (small);
    CREATE INDEX events_who ON events (who);
    CREATE INDEX events_tags ON events USING gin (tags);
    CREATE INDEX events_doc ON events USING gin (doc jsonb_path_ops);
    CREATE INDEX events_brin ON events USING brin (created_at) WITH (pages_per_range = 4);
    CREATE INDEX events_hash ON events USING hash (who);
    CREATE INDEX events_spot ON events USING gist (spot);
    CREATE INDEX events_span ON events USING spgist (span);
";

const ROWS: &str = "
    INSERT INTO events SELECT i, '2024-01-01Z'::timestamptz + i * interval '1 minute',
        '2024-01-01'::timestamp + i * interval '1 minute', '2024-01-01'::date + (i / 1000)::int,
        'code-' || lpad(i::text, 7, '0'), i / 100.0, ('kind' || lpad((i % 5000 + i / 20)::text, 6, '0'))::name,
        i::float8 / 7, (i / 10)::int2, lpad(to_hex(i), 32, '0')::uuid,
        ARRAY[i % 100, i % 7, i / 50]::int[], jsonb_build_object('a', i % 50, 'b', i),
        point(i % 100, i / 100), int4range((i % 1000)::int, (i % 1000 + 10)::int)
    FROM generate_series(";

/// Comparisons at the ends of the columns' ranges, and the other access methods.
const QUERIES: &[&str] = &[
    "SELECT * FROM events WHERE id > 19990",
    "SELECT * FROM events WHERE id > 20500",
    "SELECT * FROM events WHERE id < 3",
    "SELECT * FROM events WHERE created_at > '2024-01-14 22:00Z'",
    "SELECT * FROM events WHERE created_at > '2024-01-15 12:00Z' ORDER BY created_at LIMIT 10",
    "SELECT * FROM events WHERE updated_at > '2024-01-15 12:00'",
    "SELECT * FROM events WHERE day >= '2024-01-22'",
    "SELECT * FROM events WHERE code > 'code-0020400'",
    "SELECT * FROM events WHERE price > 202",
    "SELECT * FROM events WHERE kind > 'kind006050'",
    "SELECT * FROM events WHERE ratio > 2900 AND ratio < 2950",
    "SELECT * FROM events WHERE small > 2010",
    "SELECT * FROM events WHERE who > '00000000-0000-0000-0000-000000004f00'",
    "SELECT * FROM events WHERE tags @> ARRAY[5]",
    "SELECT * FROM events WHERE doc @> '{\"a\": 7}'",
    "SELECT * FROM events WHERE who = '00000000-0000-0000-0000-000000004f00'",
    "SELECT * FROM events WHERE spot <@ box '((0,0),(10,10))'",
    "SELECT * FROM events WHERE span && int4range(5, 7)",
    "SET enable_indexscan = off; SELECT * FROM events WHERE created_at > '2024-01-14 22:00Z'",
    "SELECT * FROM events a JOIN events b ON a.id = b.id WHERE a.small = 17 AND b.code > 'code-0020900'",
];

/// The values of the rows numbered 1 and 21,000.
const ENDS: &[(&str, &str, &str)] = &[
    ("events_id", "1", "21000"),
    (
        "events_created",
        "2024-01-01 00:01:00+00",
        "2024-01-15 14:00:00+00",
    ),
    (
        "events_updated",
        "2024-01-01 00:01:00",
        "2024-01-15 14:00:00",
    ),
    ("events_day", "2024-01-01", "2024-01-22"),
    ("events_code", "code-0000001", "code-0021000"),
    (
        "events_price",
        "0.01000000000000000000",
        "210.0000000000000000",
    ),
    ("events_kind", "kind000001", "kind006049"),
    ("events_ratio", "0.14285714285714285", "3000"),
    ("events_small", "0", "2100"),
    (
        "events_who",
        "00000000-0000-0000-0000-000000000001",
        "00000000-0000-0000-0000-000000005208",
    ),
];

fn cluster(major: u32, bin: &Path, temp: &Path) -> Native {
    Native::start(&NativeOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        installed: Installed {
            bin: bin.to_owned(),
            major,
            version: String::new(),
        },
        locale: Locale::default(),
        temp: temp.to_owned(),
        cache: None,
        statement_limit: Duration::from_mins(1),
        settings: vec!["timezone=UTC".to_owned()],
    })
    .unwrap()
}

/// The plans of all queries for the tables of one schema.
fn plans(cluster: &mut Native, schema: &str) -> BTreeMap<&'static str, String> {
    let session = cluster.admin().unwrap();
    QUERIES
        .iter()
        .map(|query| {
            let (setting, statement) = query.rsplit_once("; ").unwrap_or(("SELECT 1", query));
            session
                .execute_script(&format!("RESET ALL; SET search_path = {schema}; {setting}"))
                .unwrap();
            let planned = Planned {
                sql: statement,
                parameters: 0,
            };
            let plan = session.explain(planned, PlanOptions::default()).unwrap();
            let plan = format!("{plan:#?}").replace("\"twin\"", "\"public\"");
            (*query, plan)
        })
        .collect()
}

/// The snapshot of `public`, as one of the other schema.
fn snapshot_for(cluster: &mut Native, schema: &str) -> Snapshot {
    let mut snapshot = cluster
        .admin()
        .unwrap()
        .snapshot(&SnapshotOptions::default(), &mut |_, _, _| ())
        .unwrap();
    snapshot
        .relations
        .retain(|relation| relation.schema == "public");
    for relation in &mut snapshot.relations {
        schema.clone_into(&mut relation.schema);
        for index in &mut relation.indexes {
            index.ends = ENDS
                .iter()
                .find(|(name, ..)| *name == index.name)
                .map(|(_, smallest, largest)| ((*smallest).to_owned(), (*largest).to_owned()));
        }
    }
    snapshot
}

fn u32_at(page: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(page[at..at + 4].try_into().unwrap())
}

/// What the first pages of the original's indexes say, read from their files.
fn read_first_pages(
    cluster: &Native,
    files: &[pgadvise::pg::twin::RelationFile],
    snapshot: &mut Snapshot,
) {
    for index in &mut snapshot.relations[0].indexes {
        let file = files
            .iter()
            .find(|file| file.schema == "public" && file.name == index.name)
            .unwrap();
        let page = std::fs::read(cluster.file(&file.path)).unwrap();
        index.meta = match index.method.as_str() {
            "btree" => Some(IndexMeta::Btree {
                height: u32_at(&page, 44),
                from: "pageinspect".to_owned(),
            }),
            "gin" => Some(IndexMeta::Gin {
                total_pages: u32_at(&page, 48),
                entry_pages: u32_at(&page, 52),
                data_pages: u32_at(&page, 56),
                entries: i64::from(u32_at(&page, 64)),
                pending_pages: u32_at(&page, 36),
            }),
            // The range map's length is reckoned from the table's.
            _ => None,
        };
    }
}

fn compare(major: u32, bin: &Path) -> Vec<String> {
    let temp = super::temp();
    let mut cluster = cluster(major, bin, temp.path());
    let session = cluster.admin().unwrap();
    // VACUUM stands alone.
    for script in [
        "SET search_path = public",
        format!("{SCHEMA} {ROWS} 1, 20000) AS i").as_str(),
        "VACUUM events",
        "ANALYZE events",
    ] {
        session.execute_script(script).unwrap();
    }
    // Newer rows than the statistics know of.
    session
        .execute_script(&format!("{ROWS} 20001, 21000) AS i"))
        .unwrap();
    session.execute_script("CHECKPOINT").unwrap();
    let original = plans(&mut cluster, "public");
    let mut snapshot = snapshot_for(&mut cluster, "twin");

    let session = cluster.admin().unwrap();
    session
        .execute_script(&format!(
            "RESET ALL; CREATE SCHEMA twin; SET search_path = twin; {SCHEMA} RESET search_path;
             UPDATE pg_class AS t SET relpages = o.relpages, reltuples = o.reltuples,
                 relallvisible = o.relallvisible
             FROM pg_class AS o
             WHERE o.relnamespace = 'public'::regnamespace AND o.relname = t.relname
                 AND t.relnamespace = 'twin'::regnamespace;"
        ))
        .unwrap();
    copy_statistics(session);
    let files = lay::relation_files(cluster.session().unwrap()).unwrap();
    let root = cluster.file("");
    let place = |path: &str| root.join(path);
    let prepared = lay::prepare(cluster.admin().unwrap(), &snapshot, &place).unwrap();
    assert_eq!(prepared.notes, Vec::<String>::new());
    let again = lay::relation_files(cluster.session().unwrap()).unwrap();
    assert_eq!(again, files, "nothing is left of the scratch tables");

    cluster.stop().unwrap();
    read_first_pages(&cluster, &files, &mut snapshot);
    lay::lay_all(&place, &files, &snapshot, &Prepared::default()).unwrap();
    cluster.start().unwrap();
    let without_ends = plans(&mut cluster, "twin");
    assert_ne!(without_ends, original, "the ends of indexes are looked up");

    cluster.stop().unwrap();
    lay::lay_all(&place, &files, &snapshot, &prepared).unwrap();
    cluster.start().unwrap();
    let twin = plans(&mut cluster, "twin");
    // Scans of the empty trees work, and find nothing in the table.
    cluster
        .admin()
        .unwrap()
        .execute_script(
            "SET search_path = twin; SET enable_seqscan = off; SET enable_indexonlyscan = off;
             DO $$ BEGIN
                 ASSERT NOT EXISTS (SELECT FROM events WHERE created_at > '2024-01-01Z');
                 ASSERT NOT EXISTS (SELECT FROM events WHERE code > 'a' ORDER BY code DESC);
             END $$",
        )
        .unwrap();
    original
        .iter()
        .filter(|(query, plan)| twin.get(*query) != Some(plan))
        .map(|(query, plan)| {
            let diff: Vec<String> = plan
                .lines()
                .zip(twin[query].lines())
                .filter(|(a, b)| a != b)
                .map(|(a, b)| format!("    {a} | {b}"))
                .collect();
            format!("{query}\n{}", diff.join("\n"))
        })
        .collect()
}

fn copy_statistics(session: &mut pgadvise::pg::Session) {
    session
        .execute_script(
            "DO $$ DECLARE columns text; BEGIN
                 SELECT string_agg(CASE attname WHEN 'starelid' THEN '''twin.events''::regclass'
                         ELSE 's.' || attname END, ', ' ORDER BY attnum) INTO columns
                 FROM pg_attribute
                 WHERE attrelid = 'pg_statistic'::regclass AND attnum > 0;
                 EXECUTE 'INSERT INTO pg_statistic SELECT ' || columns ||
                     ' FROM pg_statistic AS s WHERE s.starelid = ''public.events''::regclass';
             END $$",
        )
        .unwrap();
}

#[test]
fn a_laid_table_plans_as_one_with_rows() {
    for (major, bin) in every_version() {
        let differences = compare(major, &bin);
        assert!(
            differences.is_empty(),
            "version {major}:\n{}",
            differences.join("\n")
        );
    }
}
