//! `ALTER COLUMN … TYPE`.

use super::{Case, fk, parts};
use crate::migration::locks::LockMode::AccessExclusive;
use crate::migration::locks::Work::{IndexRebuild, Rewrite, Scan};

/// A change of the type of column `x`, by the types before and after.
macro_rules! change {
    ($id:literal, $from:literal, $to:literal, $work:expr) => {
        change!($id, concat!($from, " → ", $to), "", $from, $to, $work)
    };
    ($id:literal, $title:expr, $before:literal, $from:literal, $to:literal, $work:expr) => {
        Case::new(
            $id,
            $title,
            concat!(
                $before,
                "CREATE TABLE t (id int, x ",
                $from,
                "); INSERT INTO t (id) SELECT generate_series(1, 50);"
            ),
            concat!("ALTER TABLE t ALTER COLUMN x TYPE ", $to),
            &[("t", AccessExclusive)],
            $work,
        )
    };
}

pub(super) static CASES: &[Case] = &[
    change!("same", "integer", "integer", &[]),
    change!("varchar-wider", "varchar(10)", "varchar(20)", &[]),
    change!("varchar-unlimited", "varchar(10)", "varchar", &[]),
    change!("varchar-text", "varchar(10)", "text", &[]),
    change!("text-varchar", "text", "varchar", &[]),
    change!("text-varchar-n", "text", "varchar(50)", &[("t", Rewrite)]),
    change!(
        "varchar-narrower",
        "varchar(10)",
        "varchar(5)",
        &[("t", Rewrite)]
    ),
    change!("varchar-char", "varchar(10)", "char(10)", &[("t", Rewrite)]),
    change!("char-wider", "char(10)", "char(20)", &[("t", Rewrite)]),
    change!("char-varchar", "char(10)", "varchar(10)", &[("t", Rewrite)]),
    change!("char-text", "char(10)", "text", &[("t", Rewrite)]),
    change!("int-bigint", "integer", "bigint", &[("t", Rewrite)]),
    change!("bigint-int", "bigint", "integer", &[("t", Rewrite)]),
    change!("smallint-int", "smallint", "integer", &[("t", Rewrite)]),
    change!("int-numeric", "integer", "numeric", &[("t", Rewrite)]),
    change!("int-text", "integer", "text", &[("t", Rewrite)]),
    change!("int-oid", "integer", "oid", &[]),
    change!("real-double", "real", "double precision", &[("t", Rewrite)]),
    change!("numeric-wider", "numeric(10,2)", "numeric(12,2)", &[]),
    change!("numeric-unlimited", "numeric(10,2)", "numeric", &[]),
    change!(
        "numeric-narrower",
        "numeric(10,2)",
        "numeric(8,2)",
        &[("t", Rewrite)]
    ),
    change!(
        "numeric-scale",
        "numeric(10,2)",
        "numeric(12,3)",
        &[("t", Rewrite)]
    ),
    change!(
        "numeric-limited",
        "numeric",
        "numeric(10,2)",
        &[("t", Rewrite)]
    ),
    change!(
        "timestamp-precision-up",
        "timestamp(3)",
        "timestamp(6)",
        &[]
    ),
    change!("timestamp-precision-free", "timestamp(3)", "timestamp", &[]),
    change!(
        "timestamp-precision-down",
        "timestamp",
        "timestamp(3)",
        &[("t", Rewrite)]
    ),
    change!("timestamp-precision-full", "timestamp", "timestamp(6)", &[]),
    change!(
        "timestamptz-precision-up",
        "timestamptz(0)",
        "timestamptz",
        &[]
    ),
    change!("time-precision-up", "time(3)", "time(6)", &[]),
    change!(
        "time-precision-down",
        "time(6)",
        "time(3)",
        &[("t", Rewrite)]
    ),
    change!("interval-precision-up", "interval(3)", "interval", &[]),
    change!(
        "interval-precision-down",
        "interval",
        "interval(3)",
        &[("t", Rewrite)]
    ),
    change!("interval-fields", "interval", "interval day to second", &[]),
    change!("date-timestamp", "date", "timestamp", &[("t", Rewrite)]),
    change!("varbit-wider", "bit varying(8)", "bit varying(16)", &[]),
    change!(
        "varbit-narrower",
        "bit varying(16)",
        "bit varying(8)",
        &[("t", Rewrite)]
    ),
    change!("bit-wider", "bit(8)", "bit(16)", &[("t", Rewrite)]),
    change!("cidr-inet", "cidr", "inet", &[]),
    change!("inet-cidr", "inet", "cidr", &[("t", Rewrite)]),
    change!("xml-text", "xml", "text", &[]),
    change!(
        "json-jsonb",
        "json",
        "jsonb USING x::jsonb",
        &[("t", Rewrite)]
    ),
    change!(
        "text-jsonb",
        "text",
        "jsonb USING x::jsonb",
        &[("t", Rewrite)]
    ),
    change!("text-uuid", "text", "uuid USING x::uuid", &[("t", Rewrite)]),
    change!("text-using-plain", "varchar(10)", "text USING x::text", &[]),
    change!("text-using-column", "varchar(10)", "text USING x", &[]),
    change!(
        "text-using-function",
        "varchar(10)",
        "text USING lower(x)",
        &[("t", Rewrite)]
    ),
    change!(
        "array-wider",
        "varchar(10)[]",
        "varchar(20)[]",
        &[("t", Rewrite)]
    ),
    change!(
        "varchar-array-text-array",
        "varchar[]",
        "text[]",
        &[("t", Rewrite)]
    ),
    change!("array-unlimited", "varchar(10)[]", "varchar[]", &[]),
    change!(
        "timestamp-timestamptz-utc",
        "timestamp → timestamptz, TimeZone is UTC",
        "SET TimeZone = 'UTC'; ",
        "timestamp",
        "timestamptz",
        &[]
    ),
    change!(
        "timestamptz-timestamp-utc",
        "timestamptz → timestamp, TimeZone is UTC",
        "SET TimeZone = 'UTC'; ",
        "timestamptz",
        "timestamp",
        &[]
    ),
    change!(
        "timestamp-timestamptz",
        "timestamp → timestamptz, another TimeZone",
        "SET TimeZone = 'Europe/Berlin'; ",
        "timestamp",
        "timestamptz",
        &[("t", Rewrite)]
    ),
    change!(
        "text-domain",
        "text → a domain over text with a CHECK",
        "CREATE DOMAIN d AS text CHECK (VALUE <> ''); ",
        "text",
        "d",
        &[("t", Rewrite)]
    ),
    change!(
        "text-plain-domain",
        "text → a domain over text without constraints",
        "CREATE DOMAIN d AS text; ",
        "text",
        "d",
        &[]
    ),
    change!(
        "domain-text",
        "a domain over text → text",
        "CREATE DOMAIN d AS text CHECK (VALUE <> ''); ",
        "d",
        "text",
        &[]
    ),
    change!(
        "text-enum",
        "text → an enum",
        "CREATE TYPE e AS ENUM ('a', 'b'); ",
        "text",
        "e USING x::e",
        &[("t", Rewrite)]
    ),
    change!(
        "enum-text",
        "an enum → text",
        "CREATE TYPE e AS ENUM ('a', 'b'); ",
        "e",
        "text",
        &[("t", Rewrite)]
    ),
    Case::new(
        "type-index-kept",
        "varchar(10) → text, with an index on the column: kept",
        "CREATE TABLE t (x varchar(10)); INSERT INTO t VALUES ('a'); CREATE INDEX i ON t (x);",
        "ALTER TABLE t ALTER COLUMN x TYPE text",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "type-index-partial",
        "varchar(10) → text, with a partial index on the column",
        "CREATE TABLE t (x varchar(10)); INSERT INTO t VALUES ('a'); \
         CREATE INDEX i ON t (x) WHERE x IS NOT NULL;",
        "ALTER TABLE t ALTER COLUMN x TYPE text",
        &[("t", AccessExclusive)],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "type-index-expression",
        "varchar(10) → text, with an index on an expression of the column",
        "CREATE TABLE t (x varchar(10)); INSERT INTO t VALUES ('a'); \
         CREATE INDEX i ON t (lower(x));",
        "ALTER TABLE t ALTER COLUMN x TYPE text",
        &[("t", AccessExclusive)],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "type-index-opclass",
        "integer → oid, with an index on the column",
        "CREATE TABLE t (x int); INSERT INTO t VALUES (1); CREATE INDEX i ON t (x);",
        "ALTER TABLE t ALTER COLUMN x TYPE oid",
        &[("t", AccessExclusive)],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "type-index-timestamptz",
        "timestamp → timestamptz under UTC, with an index on the column",
        "SET TimeZone = 'UTC'; CREATE TABLE t (x timestamp); INSERT INTO t VALUES ('2000-01-01'); \
         CREATE INDEX i ON t (x);",
        "ALTER TABLE t ALTER COLUMN x TYPE timestamptz",
        &[("t", AccessExclusive)],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "type-index-collation",
        "another collation, with an index on the column",
        "CREATE TABLE t (x text); INSERT INTO t VALUES ('a'); CREATE INDEX i ON t (x);",
        "ALTER TABLE t ALTER COLUMN x TYPE text COLLATE \"C\"",
        &[("t", AccessExclusive)],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "type-collation",
        "another collation, without an index",
        "CREATE TABLE t (x text); INSERT INTO t VALUES ('a');",
        "ALTER TABLE t ALTER COLUMN x TYPE text COLLATE \"C\"",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "type-check",
        "varchar(10) → varchar(20), with a CHECK on the column: checked again",
        "CREATE TABLE t (x varchar(10) CHECK (x <> '')); INSERT INTO t VALUES ('a');",
        "ALTER TABLE t ALTER COLUMN x TYPE varchar(20)",
        &[("t", AccessExclusive)],
        &[("t", Scan)],
    ),
    Case::new(
        "type-not-null",
        "varchar(10) → varchar(20), NOT NULL",
        "CREATE TABLE t (x varchar(10) NOT NULL); INSERT INTO t VALUES ('a');",
        "ALTER TABLE t ALTER COLUMN x TYPE varchar(20)",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "type-referenced",
        "integer → bigint of a column that foreign keys reference",
        fk!(),
        "ALTER TABLE parent ALTER COLUMN id TYPE bigint",
        &[("parent", AccessExclusive), ("child", AccessExclusive)],
        &[("parent", Rewrite), ("child", Scan)],
    ),
    Case::new(
        "type-referencing",
        "integer → bigint of a column that has a foreign key",
        fk!(),
        "ALTER TABLE child ALTER COLUMN parent_id TYPE bigint",
        &[("child", AccessExclusive), ("parent", AccessExclusive)],
        &[("child", Rewrite)],
    ),
    Case::new(
        "type-fk-kept",
        "varchar(10) → varchar(20) of a column that has a foreign key",
        "CREATE TABLE parent (id varchar(10) PRIMARY KEY); INSERT INTO parent VALUES ('a'); \
         CREATE TABLE child (parent_id varchar(10) REFERENCES parent (id)); \
         INSERT INTO child VALUES ('a');",
        "ALTER TABLE child ALTER COLUMN parent_id TYPE varchar(20)",
        &[("child", AccessExclusive), ("parent", AccessExclusive)],
        &[],
    ),
    Case::new(
        "type-partitioned",
        "integer → bigint on a partitioned table",
        parts!(),
        "ALTER TABLE p ALTER COLUMN a TYPE bigint",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("p2", AccessExclusive),
        ],
        &[("p1", Rewrite), ("p2", Rewrite)],
    ),
];
