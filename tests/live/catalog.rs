//! The catalogue of a schema that is known by heart.

use std::time::Duration;

use pgadvise::catalog::{Catalog, ConstraintKind, Relation, RelationKind};

use super::connect;
use crate::support::server::{Server, shared};

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
