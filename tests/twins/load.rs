//! Loading: what the snapshot of a twin says is what the snapshot said that
//! it was made from, and what a hostile one holds is not done.
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up folders and look for an installed server"
)]

use std::path::PathBuf;
use std::time::Duration;

use pgadvise::pg::cluster::Cluster as _;
use pgadvise::pg::cluster::native::{Locale, Native, NativeOptions};
use pgadvise::pg::cluster::programs::{Search, installed};
use pgadvise::pg::snapshot::SnapshotOptions;
use pgadvise::pg::twin::Loaded;
use pgadvise::pg::twin::load::load;
use pgadvise::pg::{Limits, Session};
use pgadvise::snapshot::{Object, ObjectKind, Relation, Snapshot, ValueList};

use crate::support::server;

/// An empty cluster of an installed server.
struct Twin {
    cluster: Native,
    _folder: tempfile::TempDir,
}

fn twin() -> Option<Twin> {
    use std::os::unix::fs::PermissionsExt as _;
    let search = Search {
        pg_bin: std::env::var_os("PGADVISE_TEST_PG_BIN").map(PathBuf::from),
        path: std::env::var_os("PATH")
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default(),
    };
    let installed = installed(&search).into_iter().next()?;
    let folder = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let cluster = Native::start(&NativeOptions {
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        installed,
        locale: Locale::default(),
        temp: folder.path().to_owned(),
        cache: None,
        statement_limit: Duration::from_secs(20),
        settings: Vec::new(),
    })
    .unwrap();
    Some(Twin {
        cluster,
        _folder: folder,
    })
}

fn loaded(twin: &mut Twin, snapshot: &Snapshot) -> Loaded {
    load(&mut twin.cluster, snapshot, &mut |_, _, _| ()).unwrap()
}

fn snapshot_of(session: &mut Session) -> Snapshot {
    let options = SnapshotOptions {
        index_ends: false,
        keep_time: false,
    };
    session.snapshot(&options, &mut |_, _, _| ()).unwrap()
}

/// The database of a server as a user sees it.
fn origin(name: &str, script: &str) -> Option<Snapshot> {
    let server = server::shared()?;
    drop(server.database(name, script));
    let options = server.options(name, "postgres", "");
    let mut session = Session::connect(&options, Limits::default()).unwrap();
    let mut snapshot = snapshot_of(&mut session);
    if snapshot.objects.is_empty() {
        snapshot.objects = objects(script);
    }
    Some(snapshot)
}

/// The statements of a script that create types, sequences and functions.
fn objects(script: &str) -> Vec<Object> {
    script
        .split(';')
        .map(str::trim)
        .filter_map(|sql| {
            let kind = match sql.split_whitespace().nth(1)? {
                "SCHEMA" => ObjectKind::Schema,
                "TYPE" | "DOMAIN" => ObjectKind::Type,
                "SEQUENCE" => ObjectKind::Sequence,
                "FUNCTION" => ObjectKind::Function,
                _ => return None,
            };
            Some(Object {
                kind,
                name: sql.split_whitespace().nth(2)?.to_owned(),
                create: sql.to_owned(),
                then: Vec::new(),
            })
        })
        .collect()
}

/// What differs on purpose, or is no matter of loading: the sizes of files,
/// counters, and where a column or constraint was first defined.
fn comparable(mut relations: Vec<Relation>) -> Vec<Relation> {
    relations.retain(|relation| relation.schema != "pgadvise_twin");
    for relation in &mut relations {
        relation.activity = None;
        if let Some(size) = &mut relation.size {
            size.blocks = 0;
        }
        for index in &mut relation.indexes {
            index.scans = None;
            index.meta = None;
            index.ends = None;
            if let Some(size) = &mut index.size {
                size.blocks = 0;
            }
        }
        for column in &mut relation.columns {
            column.inherited_only = false;
            // A domain's values are loaded as those of its base type.
            for slot in column.statistics.iter_mut().flat_map(|row| &mut row.slots) {
                if let Some(values) = &mut slot.values
                    && values.element == "shop.email"
                {
                    values.element = "text".to_owned();
                }
            }
            // Some servers are built to keep options of their own there.
            column
                .options
                .retain(|option| option.starts_with("n_distinct"));
        }
        for constraint in &mut relation.constraints {
            constraint.inherited_only = false;
        }
    }
    relations
}

const SCHEMA: &str = include_str!("load.sql");

#[test]
fn the_snapshot_of_a_twin_is_the_snapshot() {
    let (Some(origin), Some(mut twin)) = (origin("load_all", SCHEMA), twin()) else {
        return;
    };
    let result = loaded(&mut twin, &origin);

    assert_eq!(result.refused, []);
    let copy = snapshot_of(twin.cluster.admin().unwrap());
    let (expected, found) = (comparable(origin.relations), comparable(copy.relations));
    for expected in &expected {
        let found = found
            .iter()
            .find(|found| (&found.schema, &found.name) == (&expected.schema, &expected.name))
            .unwrap_or_else(|| panic!("{}.{} is missing", expected.schema, expected.name));
        assert_eq!(
            serde_json::to_string_pretty(found).unwrap(),
            serde_json::to_string_pretty(expected).unwrap()
        );
    }
    assert_eq!(found.len(), expected.len());
    assert!(expected.iter().any(|relation| {
        relation
            .columns
            .iter()
            .any(|column| !column.statistics.is_empty())
    }));
}

/// A snapshot with one table, with that done to it.
fn hostile(name: &str, change: impl FnOnce(&mut Snapshot)) -> Option<Snapshot> {
    let mut snapshot = origin(
        name,
        "CREATE DOMAIN public.checked AS int; CREATE TABLE victim (a int, b text); CREATE INDEX victim_a ON victim (a); \
         CREATE TABLE holder (d checked); \
         INSERT INTO victim SELECT i % 5, i::text FROM generate_series(1, 1000) AS i; ANALYZE",
    )?;
    change(&mut snapshot);
    Some(snapshot)
}

#[test]
fn a_hostile_snapshot_does_nothing_but_be_refused() {
    let snapshot = hostile("load_hostile", |snapshot| {
        for (kind, create) in [
            (ObjectKind::Function, "DROP TABLE victim"),
            (
                ObjectKind::Function,
                "CREATE FUNCTION public.two() RETURNS int LANGUAGE sql AS 'SELECT 2'; \
                 CREATE TABLE public.appended ()",
            ),
            (
                ObjectKind::Function,
                "CREATE FUNCTION public.c() RETURNS int LANGUAGE c AS 'libc.so.6', 'abort'",
            ),
            (
                ObjectKind::Type,
                "COPY (SELECT 1) TO PROGRAM 'touch /tmp/x'",
            ),
        ] {
            snapshot.objects.push(Object {
                kind,
                name: format!("public.\"{}\"", create.len()),
                create: create.to_owned(),
                then: vec!["ALTER SYSTEM SET archive_command = 'x'".to_owned()],
            });
        }
        for relation in &mut snapshot.relations {
            for index in &mut relation.indexes {
                index
                    .definition
                    .push_str("; CREATE TABLE public.appended ()");
            }
            for column in &mut relation.columns {
                for slot in column.statistics.iter_mut().flat_map(|row| &mut row.slots) {
                    // Values of another type than the column's, which the
                    // planner would take for pointers.
                    if column.type_name == "integer" && slot.kind == 1 {
                        slot.values = Some(ValueList {
                            element: "text".to_owned(),
                            array: "{a,b,c,d,e}".to_owned(),
                        });
                    }
                    // Fewer frequencies than values.
                    if column.type_name == "text"
                        && let Some(numbers) = &mut slot.numbers
                    {
                        numbers.clear();
                    }
                }
            }
        }
    });
    let (Some(snapshot), Some(mut twin)) = (snapshot, twin()) else {
        return;
    };
    let result = loaded(&mut twin, &snapshot);
    let refused: Vec<&str> = result
        .refused
        .iter()
        .map(|refused| refused.object.as_str())
        .collect();
    assert!(refused.contains(&"index public.victim_a"), "{refused:?}");
    assert!(
        refused.contains(&"statistics of column public.victim.a"),
        "{refused:?}"
    );
    let functions = refused
        .iter()
        .filter(|object| object.starts_with("function "))
        .count();
    assert_eq!(functions, 3, "{refused:?}");
    let copy = snapshot_of(twin.cluster.admin().unwrap());
    assert!(copy.relation("public", "appended").is_none());
    let victim = copy.relation("public", "victim").unwrap();
    for column in &victim.columns {
        for slot in column.statistics.iter().flat_map(|row| &row.slots) {
            assert_ne!(slot.kind, 1, "{}", column.name);
            assert!(slot.kind != 3 || slot.numbers.is_some(), "{}", column.name);
        }
    }
}

#[test]
fn the_session_writes_only_values_of_the_columns_type() {
    let (Some(origin), Some(mut twin)) = (hostile("load_session", |_| ()), twin()) else {
        return;
    };
    assert_eq!(loaded(&mut twin, &origin).refused, []);
    let session = twin.cluster.session().unwrap();
    let set = "SELECT pgadvise_twin.set_statistics('public.victim'::regclass, 1::int2, false, 0, \
               4, 2, '{2}', '{97}', '{0}', '{NULL}')";
    session.execute_script(set).unwrap();
    session
        .execute_script(
            "SELECT pgadvise_twin.set_values('public.victim'::regclass, 1::int2, false, 1, \
             '{1,2,3}'::int[])",
        )
        .unwrap();
    for wrong in ["'{a,b}'::text[]", "'{1,2}'::int8[]", "'{1,NULL}'::int[]"] {
        let outcome = session.execute_script(&format!(
            "SELECT pgadvise_twin.set_values('public.victim'::regclass, 1::int2, false, 1, {wrong})"
        ));
        assert!(outcome.is_err(), "{wrong}");
    }
    for barred in [
        "UPDATE pg_catalog.pg_class SET relpages = 1",
        "DELETE FROM pg_catalog.pg_statistic",
        "DROP SCHEMA pgadvise_twin CASCADE",
    ] {
        assert!(session.execute_script(barred).is_err(), "{barred}");
    }
    session
        .execute_script(
            "SELECT pgadvise_twin.set_size('public.victim'::regclass, 7, 70, 3); \
             SELECT pgadvise_twin.forget('public.victim'::regclass, 0::int2)",
        )
        .unwrap();
    let copy = snapshot_of(twin.cluster.admin().unwrap());
    let victim = copy.relation("public", "victim").unwrap();
    assert_eq!(victim.size.unwrap().pages, 7);
    assert!(victim.columns[0].statistics.is_empty());
}
