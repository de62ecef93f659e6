//! Snapshots of a schema that is known by heart.

use pgadvise::pg::Session;
use pgadvise::pg::snapshot::SnapshotOptions;
use pgadvise::pg::snapshot::choice::{Choice, Pattern};
use pgadvise::snapshot::{Index, IndexMeta, Object, ObjectKind, Snapshot, file};

use super::{connect, limits};
use crate::support::server::shared;

const RICH: &str = r#"
    CREATE SCHEMA app;
    CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok', 'happy');
    CREATE DOMAIN app.pos AS int DEFAULT 3 CHECK (value > 0);
    CREATE FUNCTION app.area(numeric, numeric) RETURNS numeric LANGUAGE sql IMMUTABLE
        AS 'select $1 * $2';
    CREATE FUNCTION app.noticed() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RETURN new; END $$;
    CREATE SEQUENCE app.numbers INCREMENT BY 5;
    CREATE FOREIGN DATA WRAPPER fake;
    CREATE SERVER srv FOREIGN DATA WRAPPER fake OPTIONS (host 'far-away', fetch_size '7');
    CREATE FOREIGN TABLE app.far (a int) SERVER srv
        OPTIONS (table_name 'x', password 'hunter2');
    CREATE TABLE app."Mixed Case" (
        id int PRIMARY KEY, gone int, name text COLLATE "C", mood app.mood, n app.pos,
        tags text[], r int4range, at timestamptz,
        twice int GENERATED ALWAYS AS (id * 2) STORED, ident bigint GENERATED ALWAYS AS IDENTITY
    );
    ALTER TABLE app."Mixed Case" DROP COLUMN gone;
    ALTER TABLE app."Mixed Case" ALTER name SET STATISTICS 50;
    INSERT INTO app."Mixed Case" (id, name, mood, n, tags, r, at)
        SELECT i, 'n' || i % 777, CASE WHEN i % 3 = 0 THEN 'sad' ELSE 'happy' END::app.mood, i,
               ARRAY['a', 'b' || i % 9], int4range(i, i + 10),
               '2024-01-01'::timestamptz + i * interval '1 hour'
        FROM generate_series(1, 20000) i;
    CREATE INDEX mixed_at ON app."Mixed Case" (at DESC NULLS LAST);
    CREATE INDEX mixed_lower ON app."Mixed Case" (lower(name), (n + 1));
    ALTER INDEX app.mixed_lower ALTER COLUMN 1 SET STATISTICS 77;
    CREATE INDEX mixed_part ON app."Mixed Case" (n) WHERE mood = 'sad';
    CREATE INDEX mixed_gin ON app."Mixed Case" USING gin (tags);
    CREATE INDEX mixed_brin ON app."Mixed Case" USING brin (at) WITH (pages_per_range = 16);
    CREATE STATISTICS app.joint (ndistinct, dependencies, mcv) ON name, mood FROM app."Mixed Case";
    CREATE TRIGGER notice BEFORE INSERT ON app."Mixed Case" FOR EACH ROW
        EXECUTE FUNCTION app.noticed();
    CREATE TABLE public.events (id bigint, at date NOT NULL, PRIMARY KEY (id, at))
        PARTITION BY RANGE (at);
    CREATE TABLE public.events_old PARTITION OF public.events
        FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
    CREATE TABLE public.events_new PARTITION OF public.events DEFAULT;
    INSERT INTO events SELECT i, '2023-12-01'::date + i % 60 FROM generate_series(1, 3000) i;
    CREATE TABLE secured (id int PRIMARY KEY, owner text);
    INSERT INTO secured SELECT i, 'o' || i FROM generate_series(1, 3000) i;
    ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON secured FOR SELECT USING (owner = current_user);
    CREATE VIEW seen AS SELECT m.id, lower(m.name) AS low FROM app."Mixed Case" AS m;
    ANALYZE;
"#;

fn take(session: &mut Session) -> Snapshot {
    let options = SnapshotOptions {
        keep_time: false,
        ..SnapshotOptions::default()
    };
    session.snapshot(&options, &mut |_, _, _| ()).unwrap()
}

fn index<'s>(snapshot: &'s Snapshot, schema: &str, table: &str, name: &str) -> &'s Index {
    let relation = snapshot.relation(schema, table).unwrap();
    relation
        .indexes
        .iter()
        .find(|index| index.name == name)
        .unwrap()
}

fn object<'s>(snapshot: &'s Snapshot, kind: ObjectKind, name: &str) -> &'s Object {
    snapshot
        .objects
        .iter()
        .find(|object| object.kind == kind && object.name == name)
        .unwrap()
}

#[test]
fn a_snapshot_has_the_schema_its_sizes_and_statistics() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("snapshot_rich", RICH);
    admin
        .execute_script(
            "ALTER DATABASE snapshot_rich SET work_mem = '7MB'; \
             ALTER DATABASE snapshot_rich SET app.secret = 'hunter2'; CHECKPOINT",
        )
        .unwrap();
    let mut session = connect(server, "snapshot_rich");
    let snapshot = take(&mut session);
    assert_eq!(snapshot, take(&mut session), "the same twice");
    assert_eq!(snapshot.search_path, "\"$user\", public");
    assert_eq!(snapshot.settings["work_mem"], "7MB");
    assert_eq!(snapshot.settings["jit"], "on", "as it was before we began");
    assert_eq!(
        snapshot.role_settings[0].settings.len(),
        1,
        "no secrets: {:?}",
        snapshot.role_settings
    );
    let text = format!("{snapshot:?}");
    assert!(!text.contains("hunter2") && !text.contains("far-away"));

    let mixed = snapshot.relation("app", "Mixed Case").unwrap();
    let dropped: Vec<bool> = mixed.columns.iter().map(|column| column.dropped).collect();
    assert_eq!(dropped.iter().position(|dropped| *dropped), Some(1));
    assert_eq!(dropped.len(), 10);
    let name = &mixed.columns[2];
    assert_eq!(name.collation.as_deref(), Some("pg_catalog.\"C\""));
    assert_eq!(name.statistics_target, Some(50));
    let slot = &mixed.columns[3].statistics[0].slots[0];
    assert_eq!(slot.kind, 1);
    assert_eq!(
        slot.operator.as_deref(),
        Some("pg_catalog.=(anyenum,anyenum)")
    );
    let values = slot.values.as_ref().unwrap();
    assert_eq!(
        (values.element.as_str(), values.array.as_str()),
        ("app.mood", "{happy,sad}")
    );
    let elements = mixed.columns[5].statistics[0]
        .slots
        .iter()
        .find(|slot| slot.kind == 4)
        .unwrap();
    assert_eq!(elements.values.as_ref().unwrap().element, "text");
    assert_eq!(mixed.columns[4].type_name, "app.pos");
    assert_eq!(mixed.columns[8].generated.as_deref(), Some("s"));
    assert_eq!(mixed.columns[9].identity.as_deref(), Some("a"));
    assert!(mixed.size.unwrap().blocks > 100);
    assert_eq!(mixed.triggers[0].name, "notice");
    let joint = &mixed.extended_statistics[0].data[0];
    assert!(joint.n_distinct.is_some() && joint.dependencies.is_some());
    assert!(joint.most_common_values.is_some());

    let ends = |name: &str| index(&snapshot, "app", "Mixed Case", name).ends.clone();
    let pair = |low: &str, high: &str| Some((low.to_owned(), high.to_owned()));
    assert_eq!(ends("Mixed Case_pkey"), pair("1", "20000"));
    assert_eq!(
        ends("mixed_at"),
        pair("2024-01-01 01:00:00+00", "2026-04-13 08:00:00+00")
    );
    assert_eq!(ends("mixed_part"), None);
    let lower = index(&snapshot, "app", "Mixed Case", "mixed_lower");
    assert_eq!(lower.statistics_targets.get(&1), Some(&77));
    assert!(lower.statistics.contains_key(&1) && lower.statistics.contains_key(&2));

    let events = snapshot.relation("public", "events").unwrap();
    assert_eq!(events.partition_key.as_deref(), Some("RANGE (at)"));
    assert!(events.columns[0].statistics[0].inherited);
    let old = snapshot.relation("public", "events_old").unwrap();
    assert_eq!(
        old.partition_bound.as_deref(),
        Some("FOR VALUES FROM (MINVALUE) TO ('2024-01-01')")
    );
    assert!(old.constraints.iter().any(|key| key.inherited_only));
    assert_eq!(
        old.indexes[0].parent,
        Some(("public".to_owned(), "events_pkey".to_owned()))
    );
    // The file is as its schema says, with every kind of thing in it.
    let schema = serde_json::from_str(&file::schema()).unwrap();
    let bytes = file::encode(&snapshot, file::Form::Plain);
    let document = serde_json::from_slice(&bytes).unwrap();
    jsonschema::validate(&schema, &document).unwrap();
    let seen = snapshot.relation("public", "seen").unwrap();
    let definition = seen.definition.as_deref().unwrap();
    assert!(definition.contains("app.\"Mixed Case\"") && !definition.ends_with(';'));
    let secured = snapshot.relation("public", "secured").unwrap();
    assert_eq!(secured.policies[0].command, "SELECT");

    assert_eq!(
        object(&snapshot, ObjectKind::Type, "app.mood").create,
        "CREATE TYPE app.mood AS ENUM ('sad', 'it''s ok', 'happy')"
    );
    let domain = object(&snapshot, ObjectKind::Type, "app.pos");
    assert!(domain.then[0].contains("CHECK ((VALUE > 0))"));
    object(&snapshot, ObjectKind::Sequence, "app.numbers");
    object(&snapshot, ObjectKind::Function, "app.area(numeric,numeric)");
}

#[test]
fn heights_are_those_of_the_index_pages() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("snapshot_heights", RICH);
    let mut session = connect(server, "snapshot_heights");
    let told = take(&mut session);
    let name = ("app", "Mixed Case");
    for index in &told.relation(name.0, name.1).unwrap().indexes {
        if index.method == "btree" {
            let Some(IndexMeta::Btree { height, from }) = &index.meta else {
                panic!("{index:?}");
            };
            assert_eq!((*height, from.as_str()), (1, "planner"), "{}", index.name);
        }
    }
    if admin
        .execute_script("CREATE EXTENSION pageinspect")
        .is_err()
    {
        println!("did nothing more: the server has no pageinspect");
        return;
    }
    let read = take(&mut session);
    for (told, read) in told.relations.iter().zip(&read.relations) {
        for (told, read) in told.indexes.iter().zip(&read.indexes) {
            match (&told.meta, &read.meta) {
                (
                    Some(IndexMeta::Btree { height: told, .. }),
                    Some(IndexMeta::Btree { height: read, .. }),
                ) => assert_eq!(told, read),
                (_, Some(IndexMeta::Gin { entries, .. })) => assert_eq!(*entries, 10),
                (told, read) => assert_eq!(told, read),
            }
        }
    }
}

#[test]
fn a_role_with_few_rights_gets_what_it_may_see_and_is_told() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("snapshot_rights", RICH);
    admin
        .execute_script(
            "CREATE ROLE snapshot_reader LOGIN; GRANT USAGE ON SCHEMA app TO snapshot_reader; \
             GRANT SELECT ON ALL TABLES IN SCHEMA app, public TO snapshot_reader;",
        )
        .unwrap();
    let options = server.options("snapshot_rights", "snapshot_reader", "");
    let mut session = Session::connect(&options, limits()).unwrap();
    let snapshot = take(&mut session);
    let all = take(&mut connect(server, "snapshot_rights"));
    assert_eq!(
        all.limits
            .iter()
            .filter(|limit| !limit.contains("GIN"))
            .count(),
        0
    );
    assert!(
        snapshot
            .limits
            .iter()
            .any(|limit| limit.contains("pg_stats"))
    );
    let statistics = |snapshot: &Snapshot, column: usize| {
        let mixed = snapshot.relation("app", "Mixed Case").unwrap();
        let mut statistics = mixed.columns[column].statistics.clone();
        for slot in statistics.iter_mut().flat_map(|row| &mut row.slots) {
            slot.operator = None;
        }
        statistics
    };
    for column in [0, 2, 3, 7] {
        assert_eq!(statistics(&snapshot, column), statistics(&all, column));
    }
    assert_eq!(snapshot.relations.len(), all.relations.len());
    let key = index(&snapshot, "app", "Mixed Case", "Mixed Case_pkey");
    assert_eq!(key.ends, Some(("1".to_owned(), "20000".to_owned())));
    // Row security hides statistics, and nothing is looked up past it.
    let secured = snapshot.relation("public", "secured").unwrap();
    assert!(
        secured
            .columns
            .iter()
            .all(|column| column.statistics.is_empty())
    );
    assert_eq!(secured.indexes[0].ends, None);
    assert!(matches!(
        &secured.indexes[0].meta,
        Some(IndexMeta::Btree { from, .. }) if from == "size"
    ));
}

#[test]
fn a_locked_table_is_not_waited_for() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("snapshot_locked", RICH);
    let mut session = connect(server, "snapshot_locked");
    admin
        .execute_script("BEGIN; LOCK TABLE app.\"Mixed Case\" IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let snapshot = take(&mut session);
    let mixed = snapshot.relation("app", "Mixed Case").unwrap();
    assert_eq!(mixed.columns.len(), 10);
    assert_eq!(mixed.indexes, []);
    assert!(
        snapshot
            .limits
            .iter()
            .any(|limit| limit.contains("app.Mixed Case") && limit.contains("exclusively"))
    );
    let seen = snapshot.relation("public", "seen").unwrap();
    assert_eq!(seen.definition, None, "printing it would wait");
    admin.execute_script("ROLLBACK").unwrap();
    let snapshot = take(&mut session);
    assert!(
        !snapshot
            .relation("app", "Mixed Case")
            .unwrap()
            .indexes
            .is_empty()
    );
}

#[test]
fn a_snapshot_only_reads() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("snapshot_quiet", RICH);
    let mut looks = 0;
    let mut look = |_: &str, _: usize, _: usize| {
        looks += 1;
        admin
            .execute_script(
                "DO $$ BEGIN IF EXISTS (SELECT FROM pg_locks AS l \
                   JOIN pg_stat_activity AS a USING (pid) WHERE a.application_name = 'pgadvise' \
                   AND a.datname = 'snapshot_quiet' AND a.pid <> pg_backend_pid() \
                   AND l.locktype = 'relation' AND l.mode <> 'AccessShareLock') \
                 THEN RAISE 'a lock above ACCESS SHARE'; END IF; END $$",
            )
            .unwrap();
    };
    connect(server, "snapshot_quiet")
        .snapshot(&SnapshotOptions::default(), &mut look)
        .unwrap();
    assert!(looks > 5);
    let logged = server.logged("snapshot_quiet", "pgadvise");
    let sent: Vec<&str> = logged
        .iter()
        .filter_map(|line| line.strip_prefix("LOG:  execute <unnamed>: "))
        .collect();
    assert!(sent.len() > 30, "{}", sent.len());
    for sql in sent {
        let allowed = [
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            "ROLLBACK",
            "SAVEPOINT ",
            "RELEASE SAVEPOINT ",
            "SELECT ",
            "WITH RECURSIVE types (statistics, oid) AS ( SELECT ",
            "EXPLAIN (VERBOSE, FORMAT JSON) (SELECT ",
        ];
        assert!(allowed.iter().any(|start| sql.starts_with(start)), "{sql}");
    }
}

#[test]
fn some_tables_are_left_out() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("snapshot_some", RICH);
    admin
        .execute_script(
            "CREATE TABLE app.log_1 (id int PRIMARY KEY); \
             CREATE TABLE app.kept (id int REFERENCES app.log_1, m int REFERENCES app.\"Mixed Case\"); \
             CREATE TABLE app.log_part PARTITION OF public.events \
               FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');",
        )
        .unwrap();
    let mut session = connect(server, "snapshot_some");
    let mut names = |schemas: &[&str], exclude: &[&str]| {
        let choice = Choice {
            schemas: schemas
                .iter()
                .map(|text| Pattern::of_schema(text).unwrap())
                .collect(),
            exclude: exclude
                .iter()
                .map(|text| Pattern::of_table(text).unwrap())
                .collect(),
        };
        let snapshot = session
            .snapshot_of(&SnapshotOptions::default(), &choice, &mut |_, _, _| ())
            .unwrap();
        let names: Vec<String> = snapshot
            .relations
            .iter()
            .map(|relation| format!("{}.{}", relation.schema, relation.name))
            .collect();
        (names, snapshot)
    };
    let (all, _) = names(&[], &[]);
    let (found, snapshot) = names(&["A*"], &["log_*"]);
    assert_eq!(found, ["app.Mixed Case", "app.far", "app.kept"]);
    let kept = snapshot.relation("app", "kept").unwrap();
    let keys: Vec<&str> = kept
        .constraints
        .iter()
        .map(|key| key.definition.as_str())
        .collect();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].contains("Mixed Case"), "{keys:?}");
    let mixed = snapshot.relation("app", "Mixed Case").unwrap();
    assert!(!mixed.columns[0].statistics.is_empty() && !mixed.indexes.is_empty());
    let limit = snapshot
        .limits
        .iter()
        .find(|limit| limit.starts_with("As was asked for (only A*, without log_*)"))
        .unwrap_or_else(|| panic!("{:?}", snapshot.limits));
    assert!(limit.contains("app.log_1"), "{limit}");
    // A partition goes with its table, whatever its own schema and name.
    let (found, snapshot) = names(&["public"], &["log_*", "seen"]);
    assert_eq!(
        found,
        [
            "app.log_part",
            "public.events",
            "public.events_new",
            "public.events_old",
            "public.secured"
        ]
    );
    assert!(snapshot.relation("app", "log_part").unwrap().parents.len() == 1);
    let (found, _) = names(&[], &["events"]);
    assert_eq!(found.len(), all.len() - 4);
    assert!(names(&["nowhere"], &[]).0.is_empty());
}
