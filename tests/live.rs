//! Against a real server: what is read, what is planned, and that nothing is
//! changed, locked or given away.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests prepare a server's files"
)]

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pgadvise::catalog::{Catalog, ConstraintKind, Relation, RelationKind};
use pgadvise::finding::{IndexSpec, IndexSpecKey};
use pgadvise::pg::{ConnectOptions, Environment, Error, Limits, LivePlanner, Session};
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

const CATALOG: &str = r#"
    CREATE SCHEMA app;
    CREATE DOMAIN app.code AS varchar(10);
    CREATE DOMAIN app.short_code AS app.code;
    CREATE FUNCTION app.roll() RETURNS int LANGUAGE sql VOLATILE AS 'select 1';
    CREATE FUNCTION app.fixed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'select $1';
    CREATE TABLE app."Mixed Case" (
        id int PRIMARY KEY,
        code app.short_code NOT NULL,
        plain text,
        bytes_order text COLLATE "C",
        tags text[],
        doc jsonb,
        price numeric(10, 2) DEFAULT 0 CHECK (price >= 0),
        twice int GENERATED ALWAYS AS (id * 2) STORED,
        at timestamptz,
        gone int,
        UNIQUE (code) DEFERRABLE
    );
    ALTER TABLE app."Mixed Case" DROP COLUMN gone;
    ALTER TABLE app."Mixed Case" ALTER plain SET STATISTICS 500;
    INSERT INTO app."Mixed Case" (id, code, plain, bytes_order, tags, doc, price, at)
        SELECT i, 'k' || i, CASE WHEN i % 4 = 0 THEN NULL WHEN i % 4 = 1 THEN 'a,"b' ELSE 'p' || i % 7 END,
               repeat('x', 300) || i % 3, ARRAY['red', 't' || i % 5], '{"a": 1}', i,
               '2024-01-01'::timestamptz + i * interval '1 hour'
        FROM generate_series(1, 1000) i;
    CREATE INDEX by_two ON app."Mixed Case" (plain DESC NULLS LAST, id) INCLUDE (price);
    CREATE INDEX by_expression ON app."Mixed Case" (lower(plain), ((doc ->> 'a')));
    CREATE INDEX by_part ON app."Mixed Case" (at) WHERE plain IS NOT NULL;
    CREATE INDEX by_pattern ON app."Mixed Case" (plain text_pattern_ops);
    CREATE INDEX by_collation ON app."Mixed Case" (plain COLLATE "C");
    CREATE INDEX by_hash ON app."Mixed Case" USING hash (plain);
    CREATE INDEX by_gin ON app."Mixed Case" USING gin (doc jsonb_path_ops, tags);
    CREATE INDEX by_brin ON app."Mixed Case" USING brin (at);
    CREATE INDEX by_code ON app."Mixed Case" (code);
    CREATE STATISTICS app.joint (ndistinct, dependencies, mcv) ON plain, id FROM app."Mixed Case";
    CREATE TABLE app.child () INHERITS (app."Mixed Case");
    CREATE TABLE public.events (id bigint, at date NOT NULL, kind text) PARTITION BY RANGE (at);
    CREATE TABLE public.events_old PARTITION OF public.events FOR VALUES FROM (MINVALUE) TO ('2024-01-01');
    CREATE TABLE public.events_new PARTITION OF public.events FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
    CREATE INDEX events_kind ON public.events (kind);
    INSERT INTO events SELECT i, '2023-12-01'::date + i % 60, 'k' FROM generate_series(1, 3000) i;
    CREATE TABLE public.refers (a int, b int, mixed int);
    ALTER TABLE public.refers ADD CONSTRAINT to_mixed
        FOREIGN KEY (mixed) REFERENCES app."Mixed Case" (id) NOT VALID;
    CREATE VIEW public.seen AS SELECT id, plain FROM app."Mixed Case";
    CREATE MATERIALIZED VIEW public.kept AS SELECT 1 AS one;
    ANALYZE;
"#;

/// A certificate for `db.example` that signed itself, made by `OpenSSL`.
fn certificate(data: &Path) {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=db.example"])
        .args(["-addext", "subjectAltName=DNS:db.example", "-keyout"])
        .arg(data.join("server.key"))
        .arg("-out")
        .arg(data.join("server.crt"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let owner = std::fs::metadata(data).unwrap();
    for file in ["server.key", "server.crt"] {
        let file = data.join(file);
        std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

#[test]
fn encryption_is_what_sslmode_says() {
    if shared().is_none() || Command::new("openssl").arg("version").output().is_err() {
        println!("did nothing: no server or no openssl");
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let listen = format!("port={port}");
    let settings = ["listen_addresses=127.0.0.1", "ssl=on", listen.as_str()];
    let server = Server::start_prepared(&settings, port, |data| {
        certificate(data);
        // Encrypted connections only, but for one role.
        std::fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\nhostssl all postgres 127.0.0.1/32 trust\n\
             hostnossl all plain 127.0.0.1/32 trust\n",
        )
        .unwrap();
    })
    .unwrap();
    server
        .admin("postgres")
        .execute_script("CREATE ROLE plain LOGIN")
        .unwrap();
    let root = server.folder().join("data/server.crt");
    let connect = |user: &str, mode: &str, more: &str| {
        let text = format!(
            "host=db.example hostaddr=127.0.0.1 port={port} dbname=postgres user={user} \
             sslmode={mode} {more}"
        );
        let options = ConnectOptions::new(Some(&text), &Environment::default()).unwrap();
        Session::connect(&options, limits())
    };
    let rooted = format!("sslrootcert={}", root.display());
    for (mode, more) in [
        ("allow", ""),
        ("prefer", ""),
        ("require", ""),
        ("require", rooted.as_str()),
        ("verify-ca", rooted.as_str()),
        ("verify-full", rooted.as_str()),
    ] {
        let session = connect("postgres", mode, more).unwrap();
        assert!(session.encrypted(), "{mode}");
    }
    // A statement that takes too long is cancelled over TLS too.
    let mut session = connect("postgres", "require", "").unwrap();
    session.set_statement_limit(Duration::from_millis(200));
    assert!(matches!(
        session.explain(statement("select pg_sleep(30)"), ANALYZE),
        Err(PlanError::TimedOut { .. })
    ));

    let refused = connect("postgres", "disable", "").unwrap_err();
    assert!(
        refused.to_string().contains("no pg_hba.conf entry"),
        "{refused}"
    );
    for mode in ["allow", "prefer", "disable"] {
        connect("plain", mode, "").unwrap();
    }
    assert!(connect("plain", "require", "").is_err());

    let no_roots = connect("postgres", "verify-full", "").unwrap_err();
    assert!(
        no_roots.hint().unwrap().contains("sslrootcert"),
        "{no_roots}"
    );
    // Another name than the certificate's.
    let text =
        format!("host=127.0.0.1 port={port} dbname=postgres user=postgres {rooted} sslmode=");
    let by_address = |mode: &str| {
        let options =
            ConnectOptions::new(Some(&format!("{text}{mode}")), &Environment::default()).unwrap();
        Session::connect(&options, limits())
    };
    by_address("verify-ca").unwrap();
    let wrong_name = by_address("verify-full").unwrap_err();
    assert!(matches!(wrong_name, Error::Tls { .. }), "{wrong_name:?}");
    assert!(
        wrong_name.to_string().contains("db.example"),
        "{wrong_name}"
    );
    assert!(wrong_name.hint().unwrap().contains("verify-ca"));

    // A certificate that nobody vouches for.
    let other = tempfile::tempdir().unwrap();
    certificate(other.path());
    let stranger = format!("sslrootcert={}", other.path().join("server.crt").display());
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = connect("postgres", mode, &stranger).unwrap_err();
        assert!(matches!(refused, Error::Tls { .. }), "{mode}: {refused:?}");
    }
}

/// The same schema is read in several tests; each database has its own name.
fn read(server: &Server, database: &str) -> Catalog {
    server.database(database, CATALOG);
    connect(server, database).catalog().unwrap()
}

fn mixed(catalog: &Catalog) -> &Relation {
    catalog.relation(Some("app"), "Mixed Case").unwrap()
}

#[test]
fn columns_are_read_with_types_collations_and_statistics() {
    let Some(server) = shared() else { return };
    let catalog = read(server, "live_columns");
    assert_eq!(catalog.search_path, ["public"]);
    assert_eq!(catalog.limits, Vec::<String>::new());
    assert_eq!(catalog.setting("server_encoding"), Some("UTF8"));
    assert_eq!(catalog.setting("shared_buffers"), Some("16MB"));
    assert_eq!(catalog.setting("enable_seqscan"), Some("on"));
    assert_eq!(catalog.functions.get("roll"), Some(&'v'));
    assert_eq!(catalog.functions.get("fixed"), Some(&'i'));
    assert_eq!(catalog.functions.get("now"), Some(&'s'));
    assert_eq!(catalog.functions.get("random"), Some(&'v'));
    assert_eq!(catalog.functions.get("abs"), None);
    assert!(catalog.extensions.contains(&"plpgsql".to_owned()));

    let table = mixed(&catalog);
    let names: Vec<&str> = table.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "id",
            "code",
            "plain",
            "bytes_order",
            "tags",
            "doc",
            "price",
            "twice",
            "at"
        ]
    );
    let column = |name| table.column(name).unwrap();
    assert_eq!(column("code").base_type, "varchar");
    assert_eq!(column("code").type_name, "app.short_code");
    assert!(column("code").not_null && !column("plain").not_null);
    assert_eq!(column("tags").base_type, "_text");
    assert_eq!(column("price").type_name, "numeric(10,2)");
    assert_eq!(column("price").default.as_deref(), Some("0"));
    assert!(column("twice").generated && !column("price").generated);
    assert_eq!(column("plain").collation.as_deref(), Some("default"));
    // The database's locale is C.UTF-8, which is not C.
    assert!(!column("plain").collation_is_c);
    assert!(column("bytes_order").collation_is_c);
    assert_eq!(column("id").collation, None);
    assert_eq!(column("plain").statistics_target, Some(500));
    assert_eq!(column("id").statistics_target, None);

    let stats = column("plain").stats.as_ref().unwrap();
    assert!((stats.null_fraction - 0.25).abs() < 1e-6);
    let common = stats.most_common.first().unwrap();
    assert_eq!(common.0, "a,\"b", "quotes and commas survive");
    assert!((common.1 - 0.25).abs() < 1e-6);
    let ids = column("id").stats.as_ref().unwrap();
    assert!((ids.n_distinct + 1.0).abs() < 1e-6);
    assert_eq!(ids.histogram.first().map(String::as_str), Some("1"));
    assert_eq!(ids.histogram.last().map(String::as_str), Some("1000"));
    assert!((ids.correlation.unwrap() - 1.0).abs() < 1e-6);
    let long = column("bytes_order").stats.as_ref().unwrap();
    assert_eq!(long.most_common.len(), 3);
    assert!(long.most_common.iter().all(|(value, _)| value.len() == 200));
    let tags = column("tags").stats.as_ref().unwrap();
    assert!(
        tags.most_common_elements
            .iter()
            .any(|(value, share)| value == "red" && (share - 1.0).abs() < 1e-6)
    );

    assert_eq!(table.tuples, Some(1000.0));
    assert!(table.pages > 30.0, "{}", table.pages);
    let activity = table.activity.as_ref().unwrap();
    // Before version 15 counters arrive some time after the fact.
    if catalog.major() >= 15 {
        assert!(activity.inserted > 0.0 && activity.seconds_since_analyze.is_some());
    }
}

#[test]
fn every_kind_of_index_is_read() {
    let Some(server) = shared() else { return };
    let catalog = read(server, "live_indexes");
    let table = mixed(&catalog);
    let index = |name: &str| {
        table
            .indexes
            .iter()
            .find(|index| index.name == name)
            .unwrap()
    };
    let names: Vec<&str> = table.indexes.iter().map(|i| i.name.as_str()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    assert_eq!(names.len(), 11);

    let two = index("by_two");
    assert_eq!(two.key_columns(), ["plain", "id"]);
    assert_eq!(two.include, ["price"]);
    assert!(two.keys[0].descending && !two.keys[0].nulls_first);
    assert!(!two.keys[1].descending && !two.keys[1].nulls_first);
    assert!(two.valid && two.immediate && !two.unique && !two.primary);
    assert_eq!(two.tuples, Some(1000.0));
    assert!(two.pages >= 2.0);
    assert!(two.definition.contains("DESC NULLS LAST"));

    let expression = index("by_expression");
    assert_eq!(expression.keys[0].text, "lower(plain)");
    assert_eq!(expression.keys[1].text, "((doc ->> 'a'::text))");
    assert!(expression.keys.iter().all(|key| key.column.is_none()));
    let stats = expression.keys[0].stats.as_ref().unwrap();
    assert!(stats.most_common.iter().any(|(value, _)| value == "p2"));

    assert_eq!(
        index("by_part").predicate.as_deref(),
        Some("(plain IS NOT NULL)")
    );
    assert_eq!(index("by_pattern").keys[0].opclass, "text_pattern_ops");
    assert!(!index("by_pattern").keys[0].default_opclass);
    assert_eq!(
        index("by_collation").keys[0].collation.as_deref(),
        Some("C")
    );
    assert_eq!(two.keys[0].collation, None);
    assert!(two.keys[0].default_opclass);
    assert_eq!(index("by_hash").method, "hash");
    assert_eq!(index("by_brin").method, "brin");
    let gin = index("by_gin");
    assert_eq!(gin.method, "gin");
    assert!(!gin.keys[0].default_opclass && gin.keys[1].default_opclass);
    // varchar columns are indexed with text's operators.
    assert!(index("by_code").keys[0].default_opclass);
    assert!(index("Mixed Case_pkey").primary);
    let deferrable = index("Mixed Case_code_key");
    assert!(deferrable.unique && !deferrable.immediate);
    assert!(table.is_unique_key(&["id"]) && !table.is_unique_key(&["code"]));
}

#[test]
fn constraints_statistics_objects_and_partitions_are_read() {
    let Some(server) = shared() else { return };
    let catalog = read(server, "live_constraints");
    let table = mixed(&catalog);
    let check = table
        .constraints
        .iter()
        .find_map(|constraint| match &constraint.kind {
            ConstraintKind::Check { expression } => Some((constraint, expression)),
            _ => None,
        })
        .unwrap();
    assert_eq!(check.1, "(price >= (0)::numeric)");
    assert_eq!(check.0.columns, ["price"]);
    let unique = table
        .constraints
        .iter()
        .find(|constraint| matches!(constraint.kind, ConstraintKind::Unique))
        .unwrap();
    assert!(unique.deferrable);

    let joint = table.statistics.first().unwrap();
    assert_eq!(joint.name, "joint");
    assert_eq!(joint.kinds, ["ndistinct", "dependencies", "mcv"]);
    assert_eq!(joint.columns, ["id", "plain"]);
    assert!(joint.computed);
    assert!(joint.n_distinct.as_deref().unwrap().contains("1000"));

    let child = catalog.relation(Some("app"), "child").unwrap();
    assert_eq!(
        child.parent,
        Some(("app".to_owned(), "Mixed Case".to_owned()))
    );

    let events = catalog.relation(None, "events").unwrap();
    assert_eq!(events.kind, RelationKind::PartitionedTable);
    assert_eq!(events.partition_key.as_deref(), Some("RANGE (at)"));
    let old = catalog.relation(None, "events_old").unwrap();
    let new = catalog.relation(None, "events_new").unwrap();
    assert_eq!(
        old.partition_bound.as_deref(),
        Some("FOR VALUES FROM (MINVALUE) TO ('2024-01-01')")
    );
    assert_eq!(old.parent, Some(("public".to_owned(), "events".to_owned())));
    assert!((events.pages - old.pages - new.pages).abs() < f64::EPSILON && new.pages > 0.0);
    assert_eq!(events.tuples, Some(3000.0));
    assert!(events.column("kind").unwrap().stats.is_some());
    assert_eq!(old.indexes[0].key_columns(), ["kind"]);

    let refers = catalog.relation(None, "refers").unwrap();
    let key = &refers.constraints[0];
    assert!(!key.validated);
    assert!(
        matches!(&key.kind, ConstraintKind::ForeignKey { schema, table, columns }
            if schema == "app" && table == "Mixed Case" && columns == &["id".to_owned()])
    );
    assert_eq!(
        catalog.relation(None, "seen").unwrap().kind,
        RelationKind::View
    );
    assert_eq!(
        catalog.relation(None, "kept").unwrap().kind,
        RelationKind::MaterializedView
    );
}

#[test]
fn a_locked_table_costs_neither_the_catalogue_nor_much_time() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("live_locked", CATALOG);
    admin
        .execute_script("BEGIN; LOCK TABLE app.\"Mixed Case\" IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    let started = std::time::Instant::now();
    let catalog = connect(server, "live_locked").catalog().unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
    assert!(mixed(&catalog).pages > 30.0);
    assert_eq!(catalog.limits.len(), 1);
    assert!(catalog.limits[0].contains("app.\"Mixed Case\""));
    let part = mixed(&catalog)
        .indexes
        .iter()
        .find(|index| index.name == "by_part")
        .unwrap();
    assert!(
        part.predicate.is_some(),
        "it must not look like a total index"
    );
}

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

#[test]
fn failures_to_connect_say_what_to_do_and_no_secrets() {
    let Some(server) = shared() else { return };
    server
        .admin("postgres")
        .execute_script("CREATE ROLE guarded LOGIN PASSWORD 'right-pw'; CREATE ROLE barred LOGIN;")
        .unwrap();
    let attempt = |database: &str, user: &str, more: &str| {
        let options = server.options(database, user, more);
        assert!(!format!("{options:?}").contains("hunter2"));
        Session::connect(&options, limits())
    };
    let told = |error: &Error| {
        let text = format!("{error} {error:?} {}", error.hint().unwrap_or_default());
        assert!(!text.contains("hunter2"), "{text}");
        text
    };

    attempt("postgres", "guarded", "password=right-pw").unwrap();
    let wrong = attempt("postgres", "guarded", "password=hunter2").unwrap_err();
    assert!(matches!(wrong, Error::Authentication { .. }), "{wrong:?}");
    assert!(told(&wrong).contains("~/.pgpass"));
    let missing = attempt("postgres", "guarded", "").unwrap_err();
    assert!(
        matches!(
            missing,
            Error::Authentication {
                no_password: true,
                ..
            }
        ),
        "{missing:?}"
    );
    assert!(told(&missing).contains("PGPASSWORD"));
    let barred = attempt("postgres", "barred", "password=hunter2").unwrap_err();
    assert!(told(&barred).contains("pg_hba.conf"), "{barred:?}");
    let nowhere = attempt("nowhere_db", "postgres", "password=hunter2").unwrap_err();
    assert!(matches!(nowhere, Error::NoDatabase { .. }), "{nowhere:?}");
    assert!(told(&nowhere).contains("nowhere_db"));

    let unreachable = ConnectOptions::new(
        Some("postgres://app:hunter2@127.0.0.1:1,[::1]:1/shop?connect_timeout=2"),
        &Environment::default(),
    )
    .unwrap();
    let error = Session::connect(&unreachable, limits()).unwrap_err();
    let text = told(&error);
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(
        text.contains("127.0.0.1:1") && text.contains("[::1]:1"),
        "{text}"
    );

    // The first host is down, the second is up.
    let text = format!(
        "host=/nowhere,{} dbname=postgres user=postgres",
        server.folder().display()
    );
    let options = ConnectOptions::new(Some(&text), &Environment::default()).unwrap();
    Session::connect(&options, limits()).unwrap();
    let standby = format!("{text} target_session_attrs=read-only");
    let options = ConnectOptions::new(Some(&standby), &Environment::default()).unwrap();
    assert!(Session::connect(&options, limits()).is_err());
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
