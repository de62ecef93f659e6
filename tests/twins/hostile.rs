//! A snapshot is data: nothing in it executes code outside the twin, reaches
//! files or the network, or gets out of the private folder. What is refused is
//! named, and the rest is planned with.
#![expect(
    clippy::disallowed_methods,
    reason = "the test looks at files that must not change"
)]

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgadvise::pg::cluster::programs::Search;
use pgadvise::pg::twin::cache::{self, EngineWish, OpenOptions};
use pgadvise::pg::twin::planner::TwinPlanner;
use pgadvise::snapshot::file::content_hash;
use pgadvise::snapshot::{
    Column, Constraint, Definition, Extension, FORMAT, Foreign, Index, Object, ObjectKind, Origin,
    Policy, Relation, RelationKind, Size, Slot, Snapshot, Statistics, ValueList,
};
use pgadvise::verify::{PlanOptions, Planned, Planner as _, Supposition};

use crate::support::server::every_version;

/// Something outside the twin that a snapshot would like to change, where
/// every user may write.
struct Outside {
    folder: tempfile::TempDir,
    listener: TcpListener,
}

impl Outside {
    fn new() -> Self {
        let folder = super::temp();
        let open = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(), open(0o777)).unwrap();
        for name in ["victim", "secret"] {
            let path = folder.path().join(name);
            std::fs::write(&path, name.repeat(4096)).unwrap();
            std::fs::set_permissions(&path, open(0o666)).unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self { folder, listener }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Nothing has been made, changed or connected to.
    fn assert_untouched(&self, what: &str) {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["secret", "victim"], "{what}");
        for name in ["victim", "secret"] {
            let path = self.folder.path().join(name);
            assert_eq!(std::fs::read(&path).unwrap(), name.repeat(4096).as_bytes());
            assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o666);
        }
        let connected = self.listener.accept();
        assert!(connected.is_err(), "{what}: {connected:?}");
    }

    /// Statements that reach outside, where they may.
    fn attacks(&self) -> Vec<String> {
        let folder = self.folder.path().display();
        let port = self.port();
        let mut attacks = Vec::new();
        // First as whoever executes it, then as whoever it can become.
        for become_someone in [
            "SELECT 1",
            "RESET ROLE",
            "RESET SESSION AUTHORIZATION",
            "SET ROLE pgadvise",
            "SET SESSION AUTHORIZATION pgadvise",
            "SET ROLE pg_execute_server_program",
            "SET ROLE pg_write_server_files",
            "ALTER ROLE twin SUPERUSER",
            "GRANT pg_execute_server_program TO twin",
        ] {
            attacks.push(become_someone.to_owned());
            attacks.push(format!(
                "COPY (SELECT 1) TO PROGRAM 'touch {folder}/program'"
            ));
            attacks.push(format!("COPY (SELECT 1) TO '{folder}/copied'"));
            attacks.push(format!("COPY (SELECT 1) TO '{folder}/victim'"));
        }
        for (name, text) in [
            ("read", format!("SELECT pg_read_file('{folder}/secret')")),
            (
                "lo",
                format!("SELECT lo_export(lo_from_bytea(0, 'x'), '{folder}/exported')"),
            ),
            ("imported", format!("SELECT lo_import('{folder}/secret')")),
            ("listed", format!("SELECT pg_ls_dir('{folder}')")),
            (
                "tablespace",
                format!("CREATE TABLESPACE evil LOCATION '{folder}'"),
            ),
        ] {
            attacks.push(format!("{text} /* {name} */"));
        }
        for extension in [
            "adminpack",
            "file_fdw",
            "dblink",
            "postgres_fdw",
            "plpython3u",
            "plperlu",
            "pageinspect",
        ] {
            attacks.push(format!("CREATE EXTENSION {extension}"));
        }
        attacks.extend([
            format!("SELECT dblink_connect('host=127.0.0.1 port={port} user=x password=y')"),
            format!("SELECT pg_file_write('{folder}/written', 'x', false)"),
            format!(
                "CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS \
                 (host '127.0.0.1', port '{port}')"
            ),
            "CREATE USER MAPPING FOR CURRENT_USER SERVER elsewhere OPTIONS (user 'a', password 'b')"
                .to_owned(),
            format!("ALTER SERVER elsewhere OPTIONS (SET host '127.0.0.1', ADD port '{port}')"),
            "IMPORT FOREIGN SCHEMA public FROM SERVER elsewhere INTO public".to_owned(),
            format!(
                "CREATE FUNCTION public.native(text) RETURNS int LANGUAGE c AS '{folder}/x', 'f'"
            ),
            "CREATE FUNCTION public.run(text) RETURNS int LANGUAGE c AS 'libc.so.6', 'system'"
                .to_owned(),
            format!("SELECT public.run('touch {folder}/ran')"),
            format!("ALTER SYSTEM SET archive_command = 'touch {folder}/archived'"),
            format!(
                "CREATE FUNCTION public.py() RETURNS int LANGUAGE plpython3u \
                 AS 'open(\"{folder}/python\", \"w\")'"
            ),
            "SELECT public.py()".to_owned(),
            // Names that statements of the twin's own could fall for.
            "CREATE SCHEMA evil".to_owned(),
        ]);
        let called = "PERFORM public.now_evil(1)";
        for (signature, result) in [
            ("current_setting(text)", "text"),
            ("current_setting(text, boolean)", "text"),
            ("set_config(text, text, boolean)", "text"),
            ("unnest(anyarray)", "SETOF anyelement"),
            ("format_type(oid, integer)", "text"),
            ("quote_ident(text)", "text"),
            ("count()", "int8"),
            ("cardinality(anyarray)", "int4"),
            ("format(text, text)", "text"),
        ] {
            attacks.push(format!(
                "CREATE FUNCTION evil.{signature} RETURNS {result} LANGUAGE plpgsql \
                 AS 'BEGIN {called}; RETURN; END'"
            ));
            attacks.push(format!(
                "CREATE FUNCTION evil.{signature} RETURNS {result} LANGUAGE plpgsql \
                 AS 'BEGIN {called}; RETURN NULL; END'"
            ));
        }
        for (left, right) in [
            ("oid", "oid"),
            ("name", "name"),
            ("text", "text"),
            ("name", "text"),
        ] {
            attacks.push(format!(
                "CREATE FUNCTION evil.same({left}, {right}) RETURNS boolean LANGUAGE plpgsql \
                 AS 'BEGIN {called}; RETURN true; END'"
            ));
            attacks.push(format!(
                "CREATE OPERATOR evil.= (PROCEDURE = evil.same, LEFTARG = {left}, RIGHTARG = {right})"
            ));
        }
        attacks.extend([
            "ALTER DATABASE twin SET search_path = evil, public, pg_catalog".to_owned(),
            "ALTER DATABASE twin SET standard_conforming_strings = off".to_owned(),
            "ALTER DATABASE twin SET session_preload_libraries = 'evil'".to_owned(),
            "ALTER DATABASE twin SET local_preload_libraries = 'evil'".to_owned(),
            "ALTER ROLE ALL SET search_path = evil, pg_catalog".to_owned(),
            "ALTER ROLE pgadvise SET search_path = evil, pg_catalog".to_owned(),
            "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION public.fired()"
                .to_owned(),
            "DROP FUNCTION pgadvise_twin.value_types(oid, int2, int2) CASCADE".to_owned(),
            format!(
                "CREATE OR REPLACE FUNCTION pgadvise_twin.value_types(oid, int2, int2) \
                 RETURNS oid[] LANGUAGE plpgsql AS 'BEGIN {called}; RETURN ARRAY[23::oid]; END'"
            ),
            "SELECT pgadvise_twin.set_extended(1, false, '\\x00', '\\x00', '\\x00')".to_owned(),
            // Where the twin's files are is asked of the server.
            format!(
                "CREATE OR REPLACE FUNCTION pg_catalog.pg_relation_filepath(regclass) \
                 RETURNS text LANGUAGE sql AS $$ SELECT repeat('../', 20) || '{folder}/victim' $$"
            ),
        ]);
        attacks
    }

    /// Functions that try all of them, whoever calls them.
    fn functions(&self) -> Vec<Object> {
        let attacks: Vec<String> = self
            .attacks()
            .iter()
            .map(|attack| format!("$attack${attack}$attack$"))
            .collect();
        let body = format!(
            // A few times a session will do; locks outlive what is rolled back.
            "DECLARE attack text; before int8; BEGIN \
               before := (SELECT count(*) FROM pg_locks AS l \
                 WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid()); \
               IF before > 5 OR current_setting('evil.depth', true) = '1' THEN \
                 RETURN 1; END IF; \
               PERFORM pg_advisory_lock(before), set_config('evil.depth', '1', true); \
               FOREACH attack IN ARRAY ARRAY[{}] LOOP \
                 BEGIN EXECUTE attack; EXCEPTION WHEN OTHERS THEN NULL; END; \
               END LOOP; PERFORM set_config('evil.depth', '0', true); RETURN 1; END",
            attacks.join(", ")
        );
        // Only a volatile function may do such things; one that says it is
        // immutable is executed while statements are planned.
        let made = |signature: &str, result: &str, volatile: &str, body: &str| {
            object(
                ObjectKind::Function,
                &format!("public.{signature}"),
                &format!(
                    "CREATE OR REPLACE FUNCTION public.{signature} RETURNS {result} \
                     LANGUAGE plpgsql {volatile} SET search_path = pg_catalog \
                     AS $function${body}$function$"
                ),
            )
        };
        let evil =
            |signature: &str, result: &str, body: &str| made(signature, result, "IMMUTABLE", body);
        let call = "BEGIN PERFORM public.now_evil(1); RETURN";
        vec![
            made("now_evil(n integer)", "integer", "VOLATILE", &body),
            evil("evil(n integer)", "integer", &format!("{call} n; END")),
            evil(
                "evil_true(n integer)",
                "boolean",
                &format!("{call} true; END"),
            ),
            evil("evil_text(t text)", "boolean", &format!("{call} true; END")),
            evil("evil_part(t text)", "text", &format!("{call} t; END")),
            evil(
                "evil_less(a text, b text)",
                "boolean",
                &format!("{call} a < b; END"),
            ),
            evil("fired()", "trigger", &format!("{call} NEW; END")),
        ]
    }
}

fn object(kind: ObjectKind, name: &str, create: &str) -> Object {
    Object {
        kind,
        name: name.to_owned(),
        create: create.to_owned(),
        then: Vec::new(),
    }
}

fn column(name: &str, type_name: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        ..Column::default()
    }
}

fn values(kind: i16, numbers: Option<Vec<f32>>, element: &str, array: &str) -> Statistics {
    Statistics {
        width: 8,
        distinct: 3.0,
        slots: vec![Slot {
            kind,
            numbers,
            values: Some(ValueList {
                element: element.to_owned(),
                array: array.to_owned(),
            }),
            ..Slot::default()
        }],
        ..Statistics::default()
    }
}

fn table(name: &str, columns: Vec<Column>) -> Relation {
    Relation {
        schema: "public".to_owned(),
        name: name.to_owned(),
        columns,
        size: Some(Size {
            blocks: 1000,
            pages: 1000,
            tuples: 100_000.0,
            ..Size::default()
        }),
        ..Relation::default()
    }
}

fn index(name: &str, definition: &str) -> Index {
    Index {
        name: name.to_owned(),
        definition: definition.to_owned(),
        method: "btree".to_owned(),
        valid: true,
        size: Some(Size {
            blocks: 300,
            pages: 300,
            tuples: 100_000.0,
            ..Size::default()
        }),
        ..Index::default()
    }
}

/// A harmless table, and everything else that a snapshot can hold put to bad
/// use.
fn hostile(outside: &Outside, version_num: u32, search_path: &str) -> Snapshot {
    let mut good = table("good", vec![column("id", "integer"), column("t", "text")]);
    good.indexes = vec![index(
        "good_id",
        "CREATE INDEX good_id ON public.good USING btree (id)",
    )];
    if let Some(id) = good.columns.first_mut() {
        id.statistics = vec![values(1, Some(vec![0.5, 0.2]), "integer", "{1,2}")];
    }
    let mut snapshot = Snapshot {
        format: FORMAT,
        origin: Origin {
            version_num,
            version: "x".to_owned(),
            database: "hostile".to_owned(),
            encoding: "UTF8".to_owned(),
            locale_provider: "c".to_owned(),
            collate: "C".to_owned(),
            ctype: "C".to_owned(),
            block_size: 8192,
            ..Origin::default()
        },
        search_path: search_path.to_owned(),
        objects: outside.functions(),
        relations: vec![good],
        ..Snapshot::default()
    };
    for (name, value) in [
        ("session_preload_libraries", "evil"),
        ("local_preload_libraries", "evil"),
        ("archive_command", "touch /x"),
        ("role", "pgadvise"),
        ("session_authorization", "pgadvise"),
        ("enable_seqscan", "off'; COPY (SELECT 1) TO PROGRAM 'x"),
        ("work_mem", "64MB"),
    ] {
        snapshot.settings.insert(name.to_owned(), value.to_owned());
    }
    extensions(&mut snapshot);
    statements(&mut snapshot, outside);
    types(&mut snapshot);
    tables(&mut snapshot);
    views(&mut snapshot);
    snapshot
        .relations
        .sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    snapshot
}

fn extensions(snapshot: &mut Snapshot) {
    for (name, schema) in [
        // A schema that would belong to the snapshot's role.
        ("pg_trgm", "pgadvise_twin"),
        ("hstore", "pg_catalog"),
        ("citext", "a\"; DROP TABLE public.good; --"),
        ("file_fdw", "public"),
        ("adminpack", "pg_catalog"),
        ("dblink", "public"),
        ("plpython3u", "pg_catalog"),
        ("plperlu", "pg_catalog"),
        ("../../../evil", "public"),
        ("postgres_fdw", "public"),
    ] {
        snapshot.extensions.push(Extension {
            name: name.to_owned(),
            schema: schema.to_owned(),
            version: "1.0".to_owned(),
        });
    }
}

/// Other statements than an object's, or more than one.
fn statements(snapshot: &mut Snapshot, outside: &Outside) {
    let folder = outside.folder.path().display();
    let copy = format!("COPY (SELECT 1) TO PROGRAM 'touch {folder}/program'");
    for text in outside.attacks() {
        snapshot
            .objects
            .push(object(ObjectKind::Function, &text, &text));
        snapshot.objects.push(object(
            ObjectKind::Function,
            &format!("second {text}"),
            &format!(
                "CREATE FUNCTION public.first() RETURNS int LANGUAGE sql AS 'SELECT 1'; {text}"
            ),
        ));
    }
    for (kind, text) in [
        (ObjectKind::Schema, format!("CREATE SCHEMA s1; {copy}")),
        (
            ObjectKind::Schema,
            "CREATE SCHEMA s2 AUTHORIZATION pgadvise".to_owned(),
        ),
        (ObjectKind::Type, format!("DO $$ BEGIN {copy}; END $$")),
        (ObjectKind::Type, "COMMIT".to_owned()),
        (ObjectKind::Sequence, "ROLLBACK".to_owned()),
        (
            ObjectKind::Cast,
            "CREATE CAST (bytea AS pg_mcv_list) WITHOUT FUNCTION".to_owned(),
        ),
        (
            ObjectKind::Cast,
            "CREATE CAST (integer AS text) WITH FUNCTION public.evil(integer) AS IMPLICIT"
                .to_owned(),
        ),
        (
            ObjectKind::TextSearchConfiguration,
            "CREATE TEXT SEARCH TEMPLATE public.t (LEXIZE = dsimple_lexize)".to_owned(),
        ),
        (
            ObjectKind::TextSearchConfiguration,
            format!(
                "CREATE TEXT SEARCH DICTIONARY public.d (TEMPLATE = synonym, SYNONYMS = '{folder}/secret')"
            ),
        ),
        (
            ObjectKind::Collation,
            "CREATE COLLATION public.c FROM \"C\"; RESET ROLE".to_owned(),
        ),
        (
            ObjectKind::OperatorClass,
            "CREATE OPERATOR CLASS public.oc DEFAULT FOR TYPE integer USING btree AS OPERATOR 1 <"
                .to_owned(),
        ),
        (
            ObjectKind::ForeignServer,
            format!(
                "CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}')",
                outside.port()
            ),
        ),
    ] {
        snapshot.objects.push(object(kind, &text, &text));
    }
}

fn types(snapshot: &mut Snapshot) {
    let objects = &mut snapshot.objects;
    objects.push(Object {
        then: vec!["ALTER DOMAIN public.checked ADD CONSTRAINT c CHECK (public.evil_text(VALUE))".to_owned()],
        ..object(ObjectKind::Type, "public.checked", "CREATE DOMAIN public.checked AS text CHECK (public.evil_text(VALUE)) DEFAULT public.evil(1)::text")
    });
    objects.push(object(
        ObjectKind::Type,
        "public.pair",
        "CREATE TYPE public.pair AS (a public.checked, b integer)",
    ));
    objects.push(object(
        ObjectKind::Operator,
        "public.<<<(text,text)",
        "CREATE OPERATOR public.<<< (PROCEDURE = public.evil_less, LEFTARG = text, RIGHTARG = text)",
    ));
    objects.push(object(
        ObjectKind::Type,
        "public.between",
        "CREATE TYPE public.between AS RANGE (SUBTYPE = public.checked)",
    ));
}

fn tables(snapshot: &mut Snapshot) {
    let mut bad = table(
        "bad",
        vec![
            column("d", "public.checked"),
            column("ds", "public.checked[]"),
            column("p", "public.pair"),
            column("r", "public.between"),
            column("n", "integer"),
            column("t", "text"),
            Column {
                default: Some("public.evil(1)".to_owned()),
                ..column("e", "integer")
            },
            Column {
                default: Some("public.evil(1)".to_owned()),
                generated: Some("s".to_owned()),
                ..column("g", "integer")
            },
        ],
    );
    let statistics = [
        values(1, Some(vec![0.5, 0.2]), "public.checked", "{a,b}"),
        values(1, Some(vec![0.5]), "public.checked[]", "{{a,b}}"),
        values(1, Some(vec![0.5]), "public.pair", "{\"(a,1)\"}"),
        values(1, Some(vec![0.5]), "public.between", "{\"[a,b]\"}"),
        // Not the column's type: numbers that would be taken for pointers.
        values(1, Some(vec![0.5]), "text", "{a}"),
        values(1, Some(vec![0.5]), "integer", "{1234567}"),
    ];
    for (column, statistics) in bad.columns.iter_mut().zip(statistics) {
        column.statistics = vec![statistics];
    }
    bad.indexes = vec![
        index(
            "by_call",
            "CREATE INDEX by_call ON public.bad USING btree (public.evil(n))",
        ),
        index(
            "by_part",
            "CREATE INDEX by_part ON public.bad USING btree (t) WHERE public.evil_true(1)",
        ),
        index(
            "by_const",
            "CREATE INDEX by_const ON public.bad USING btree ((n + public.evil(1)))",
        ),
        Index {
            ends: Some(("a".to_owned(), "b".to_owned())),
            ..index("by_d", "CREATE INDEX by_d ON public.bad USING btree (d)")
        },
        Index {
            ends: Some(("(a,1)".to_owned(), "(b,1)".to_owned())),
            ..index("by_p", "CREATE INDEX by_p ON public.bad USING btree (p)")
        },
        index(
            "two",
            "CREATE INDEX two ON public.bad USING btree (n); COMMIT; RESET ROLE",
        ),
        index(
            "other",
            "CREATE INDEX other ON public.bad USING btree (n public.no_class; DROP TABLE public.good)",
        ),
        index(
            "tablespace",
            "CREATE INDEX tablespace ON public.bad USING btree (n) TABLESPACE \"../../x\"",
        ),
    ];
    bad.constraints = vec![Constraint {
        name: "checks\" CHECK (true); DROP TABLE public.good; --".to_owned(),
        kind: "c".to_owned(),
        definition: "CHECK (public.evil_true(n))".to_owned(),
        validated: true,
        ..Constraint::default()
    }];
    bad.row_security = true;
    bad.policies = vec![
        Policy {
            name: "p".to_owned(),
            permissive: true,
            command: "ALL".to_owned(),
            roles: vec![
                "pg_execute_server_program".to_owned(),
                "o\"; DROP ROLE x".to_owned(),
            ],
            using: Some("public.evil_true(1)".to_owned()),
            ..Policy::default()
        },
        Policy {
            name: "q".to_owned(),
            command: "ALL".to_owned(),
            using: Some("true); DROP TABLE public.good; --".to_owned()),
            ..Policy::default()
        },
    ];
    bad.triggers = vec![Definition {
        name: "fires".to_owned(),
        definition: "CREATE TRIGGER fires BEFORE INSERT ON public.bad FOR EACH ROW EXECUTE FUNCTION public.fired()".to_owned(),
    }];
    bad.rules = vec![Definition {
        name: "also".to_owned(),
        definition: "CREATE RULE also AS ON INSERT TO public.bad DO ALSO SELECT public.evil(1)"
            .to_owned(),
    }];
    let mut parted = table("parted", vec![column("n", "integer")]);
    parted.kind = RelationKind::PartitionedTable;
    parted.partition_key = Some("RANGE (n)".to_owned());
    let mut part = table("part", vec![column("n", "integer")]);
    part.parents = vec![("public".to_owned(), "parted".to_owned())];
    // A bound is evaluated as it is made.
    part.partition_bound =
        Some("FOR VALUES FROM (public.evil(1)) TO (10 + public.evil(2))".to_owned());
    let mut injected = table(
        "injected",
        vec![column("n", "integer); DROP TABLE public.good; --")],
    );
    injected.options = vec!["fillfactor=70); DROP TABLE public.good; --".to_owned()];
    let odd = table(
        "odd\"; DROP TABLE public.good; --\n$$ $function$ '",
        vec![column(
            "c\" integer); DROP TABLE public.good; --",
            "integer",
        )],
    );
    let mut system = table("pg_class", vec![column("oid", "oid")]);
    system.schema = "pg_catalog".to_owned();
    let mut temporary = table("temporary", vec![column("n", "integer")]);
    temporary.schema = "pg_temp".to_owned();
    let mut privileged = table("value_types", vec![column("n", "integer")]);
    privileged.schema = "pgadvise_twin".to_owned();
    let mut foreign = table("far", vec![column("n", "integer")]);
    foreign.kind = RelationKind::ForeignTable;
    foreign.foreign = Some(Foreign {
        server: "elsewhere".to_owned(),
        options: vec!["use_remote_estimate=true".to_owned()],
    });
    snapshot.relations.extend([
        bad, parted, part, injected, odd, system, temporary, privileged, foreign,
    ]);
}

fn views(snapshot: &mut Snapshot) {
    for (name, definition) in [
        ("v", "SELECT public.evil(1) AS n"),
        ("w", "SELECT 1 AS n; DROP TABLE public.good"),
        (
            "x",
            "WITH d AS (DELETE FROM public.good RETURNING id) SELECT id AS n FROM d",
        ),
        ("y", "SELECT pg_read_file('/etc/passwd') AS n"),
    ] {
        for (prefix, kind) in [
            ("", RelationKind::View),
            ("m", RelationKind::MaterializedView),
        ] {
            let mut view = table(&format!("{prefix}{name}"), vec![column("n", "integer")]);
            view.kind = kind;
            view.definition = Some(definition.to_owned());
            view.size = None;
            snapshot.relations.push(view);
        }
    }
}

fn open(
    snapshot: &Arc<Snapshot>,
    engine: EngineWish,
    bin: Option<&Path>,
    folder: &Path,
) -> Option<TwinPlanner> {
    let options = OpenOptions {
        hash: content_hash(snapshot),
        snapshot: Arc::clone(snapshot),
        engine,
        search: Search {
            pg_bin: bin.map(Path::to_owned),
            path: Vec::new(),
        },
        cache: Some(folder.join("kept")),
        temp: folder.to_owned(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        load_limit: Duration::from_secs(5),
        statement_limit: Duration::from_secs(5),
    };
    let open = match cache::open(&options, &mut cache::make, &mut |_, _, _| ()) {
        Ok(open) => open,
        // There the snapshot's code is the superuser, and may spoil its own
        // server, which is then said.
        Err(_) if engine == EngineWish::Embedded => return None,
        Err(error) => panic!("{error:?}"),
    };
    let limit = Duration::from_secs(5);
    let planner = TwinPlanner::new(open.cluster, open.loaded, Arc::clone(snapshot), limit);
    Some(planner.unwrap())
}

/// Plans everything that could do something.
fn plan_all(twin: &mut TwinPlanner, suppose: bool) {
    let planned = |sql| Planned { sql, parameters: 0 };
    for sql in [
        "SELECT public.evil(1)",
        "SELECT * FROM public.bad WHERE d = 'a' AND n = 3 AND t = 'x'",
        "SELECT * FROM public.bad WHERE public.evil(n) = 1",
        "SELECT * FROM public.parted WHERE n = public.evil(1)",
        "SELECT * FROM public.v",
        "SELECT * FROM public.far",
        "INSERT INTO public.bad (n) VALUES (1)",
        "SELECT 1; COMMIT; RESET ROLE",
    ] {
        drop(twin.plan(planned(sql), PlanOptions::default()));
    }
    let sql = "SELECT * FROM public.bad WHERE n = 1";
    for what in [
        "CREATE INDEX ON public.bad (public.evil(n))",
        "ALTER TABLE public.bad ALTER COLUMN d TYPE varchar(9)",
        "COPY (SELECT public.evil(1)) TO PROGRAM 'cat'",
    ] {
        if suppose {
            let supposition = Supposition::Sql(what.to_owned());
            drop(twin.what_if(&[planned(sql)], &[supposition]));
        }
    }
}

/// Opens and uses the twin of a hostile snapshot, made anew and kept: once with
/// its own functions and operators before the server's, and once without.
fn attack(engine: EngineWish, bin: Option<&Path>, version_num: u32) {
    let outside = Outside::new();
    for (path, suppose) in [("evil, public, pg_catalog", false), ("public", true)] {
        let snapshot = Arc::new(hostile(&outside, version_num, path));
        let folder = super::temp();
        for round in ["cold", "warm"] {
            let what = format!("{engine:?} {version_num}, {path}, {round}");
            let opened = open(&snapshot, engine, bin, folder.path());
            outside.assert_untouched(&format!("{what}, opened"));
            let Some(mut twin) = opened else { continue };
            assert_refused(&twin, engine);
            assert_executed(&mut twin, &what);
            let sql = "SELECT * FROM public.good WHERE id = 3";
            let planned = Planned { sql, parameters: 0 };
            let plan = twin.plan(planned, PlanOptions::default()).unwrap();
            // The harmless table is there, with its size, index and statistics.
            if suppose {
                assert!(plan.document.to_string().contains("good_id"), "{what}");
            }
            plan_all(&mut twin, suppose);
            outside.assert_untouched(&format!("{what}, planned"));
        }
        outside.assert_untouched("closed");
    }
}

/// What the snapshot defines was executed inside the twin, so that the test
/// is one.
fn assert_executed(twin: &mut TwinPlanner, what: &str) {
    let found = twin
        .session()
        .unwrap()
        .execute_script("SELECT 'evil'::pg_catalog.regnamespace");
    assert!(found.is_ok(), "{what}: {found:?}");
}

fn assert_refused(twin: &TwinPlanner, engine: EngineWish) {
    let refused: Vec<&str> = twin
        .loaded()
        .refused
        .iter()
        .map(|refused| refused.object.as_str())
        .collect();
    let mut expected = vec![
        "index public.two",
        "index public.other",
        "index public.tablespace",
        "statistics of column public.bad.n",
        "statistics of column public.bad.t",
        "table pgadvise_twin.value_types",
        "view public.w",
        "materialized view public.w",
        "extension pg_trgm",
        "extension \"../../../evil\"",
    ];
    if engine == EngineWish::Native {
        expected.extend([
            "extension dblink",
            "extension file_fdw",
            "extension plpython3u",
        ]);
    }
    for object in expected {
        let object = object.replace(
            "view public.w",
            if object.starts_with('m') {
                "view public.mw"
            } else {
                "view public.w"
            },
        );
        assert!(refused.contains(&object.as_str()), "{object}: {refused:#?}");
    }
}

#[test]
fn a_hostile_snapshot_reaches_nothing_on_native_servers() {
    for (major, bin) in every_version() {
        if matches!(major, 13 | 15 | 18) {
            attack(EngineWish::Native, Some(&bin), major * 10_000);
        }
    }
}

#[cfg(feature = "embedded")]
#[test]
fn a_hostile_snapshot_reaches_nothing_from_the_embedded_server() {
    attack(EngineWish::Embedded, None, 170_005);
}
