//! Triggers, policies, rules, types, publications, comments and rights.

use super::{Case, parts, t};
use crate::migration::locks::LockMode::{
    AccessExclusive, Share, ShareRowExclusive, ShareUpdateExclusive,
};
use crate::migration::locks::Work::Scan;

/// A trigger function, and what follows.
macro_rules! triggered {
    ($($more:literal)*) => {
        t!(
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
            $($more)*
        )
    };
}

pub(super) static CASES: &[Case] = &[
    Case::new(
        "create-trigger",
        "CREATE TRIGGER",
        triggered!(),
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        &[("t", ShareRowExclusive)],
        &[],
    ),
    Case::new(
        "create-trigger-partitioned",
        "CREATE TRIGGER FOR EACH ROW on a partitioned table",
        parts!("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"),
        "CREATE TRIGGER g AFTER INSERT ON p FOR EACH ROW EXECUTE FUNCTION f()",
        &[
            ("p", ShareRowExclusive),
            ("p1", ShareRowExclusive),
            ("p2", ShareRowExclusive),
        ],
        &[],
    ),
    Case::new(
        "drop-trigger",
        "DROP TRIGGER",
        triggered!("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"),
        "DROP TRIGGER g ON t",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "disable-trigger",
        "DISABLE TRIGGER",
        triggered!("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"),
        "ALTER TABLE t DISABLE TRIGGER g",
        &[("t", ShareRowExclusive)],
        &[],
    ),
    Case::new(
        "enable-trigger",
        "ENABLE TRIGGER",
        triggered!("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();"),
        "ALTER TABLE t ENABLE TRIGGER g",
        &[("t", ShareRowExclusive)],
        &[],
    ),
    Case::new(
        "disable-trigger-all",
        "DISABLE TRIGGER ALL",
        t!(),
        "ALTER TABLE t DISABLE TRIGGER ALL",
        &[("t", ShareRowExclusive)],
        &[],
    ),
    Case::new(
        "create-rule",
        "CREATE RULE",
        t!(),
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "drop-rule",
        "DROP RULE",
        t!("CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING;"),
        "DROP RULE r ON t",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "disable-rule",
        "DISABLE RULE",
        t!("CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING;"),
        "ALTER TABLE t DISABLE RULE r",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "create-policy",
        "CREATE POLICY",
        t!(),
        "CREATE POLICY o ON t USING (a > 0)",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "alter-policy",
        "ALTER POLICY",
        t!("CREATE POLICY o ON t USING (a > 0);"),
        "ALTER POLICY o ON t USING (a > 1)",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "drop-policy",
        "DROP POLICY",
        t!("CREATE POLICY o ON t USING (a > 0);"),
        "DROP POLICY o ON t",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "row-security",
        "ENABLE ROW LEVEL SECURITY",
        t!(),
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "force-row-security",
        "FORCE ROW LEVEL SECURITY",
        t!(),
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "comment-table",
        "COMMENT ON TABLE",
        t!(),
        "COMMENT ON TABLE t IS 'x'",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "comment-column",
        "COMMENT ON COLUMN",
        t!(),
        "COMMENT ON COLUMN t.a IS 'x'",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "comment-index",
        "COMMENT ON INDEX",
        t!("CREATE INDEX i ON t (a);"),
        "COMMENT ON INDEX i IS 'x'",
        &[("i", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "comment-constraint",
        "COMMENT ON CONSTRAINT",
        t!(),
        "COMMENT ON CONSTRAINT t_pkey ON t IS 'x'",
        &[],
        &[],
    ),
    Case::new(
        "grant",
        "GRANT",
        t!(),
        "GRANT SELECT ON t TO PUBLIC",
        &[],
        &[],
    ),
    Case::new(
        "revoke",
        "REVOKE",
        t!(),
        "REVOKE ALL ON t FROM PUBLIC",
        &[],
        &[],
    ),
    Case::new(
        "create-statistics",
        "CREATE STATISTICS",
        t!(),
        "CREATE STATISTICS s ON a, b FROM t",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "publication",
        "CREATE PUBLICATION … FOR TABLE",
        t!(),
        "CREATE PUBLICATION s FOR TABLE t",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "alter-publication",
        "ALTER PUBLICATION … ADD TABLE",
        t!("CREATE PUBLICATION s;"),
        "ALTER PUBLICATION s ADD TABLE t",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "domain-check",
        "ALTER DOMAIN … ADD CONSTRAINT, a table uses the domain",
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (1);",
        "ALTER DOMAIN d ADD CONSTRAINT n CHECK (VALUE > 0)",
        &[("t", Share)],
        &[("t", Scan)],
    ),
    Case::new(
        "domain-check-not-valid",
        "ALTER DOMAIN … ADD CONSTRAINT … NOT VALID",
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (1);",
        "ALTER DOMAIN d ADD CONSTRAINT n CHECK (VALUE > 0) NOT VALID",
        &[],
        &[],
    ),
    Case::new(
        "domain-validate",
        "ALTER DOMAIN … VALIDATE CONSTRAINT",
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (1); \
         ALTER DOMAIN d ADD CONSTRAINT n CHECK (VALUE > 0) NOT VALID;",
        "ALTER DOMAIN d VALIDATE CONSTRAINT n",
        &[("t", Share)],
        &[("t", Scan)],
    )
    .until(17),
    Case::new(
        "domain-validate-18",
        "ALTER DOMAIN … VALIDATE CONSTRAINT",
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (1); \
         ALTER DOMAIN d ADD CONSTRAINT n CHECK (VALUE > 0) NOT VALID;",
        "ALTER DOMAIN d VALIDATE CONSTRAINT n",
        &[("t", ShareUpdateExclusive)],
        &[("t", Scan)],
    )
    .since(18),
    Case::new(
        "domain-not-null",
        "ALTER DOMAIN … SET NOT NULL",
        "CREATE DOMAIN d AS int; CREATE TABLE t (x d); INSERT INTO t VALUES (1);",
        "ALTER DOMAIN d SET NOT NULL",
        &[("t", Share)],
        &[("t", Scan)],
    ),
    Case::new(
        "domain-drop",
        "ALTER DOMAIN … DROP CONSTRAINT",
        "CREATE DOMAIN d AS int CONSTRAINT n CHECK (VALUE > 0); CREATE TABLE t (x d); INSERT INTO t VALUES (1);",
        "ALTER DOMAIN d DROP CONSTRAINT n",
        &[],
        &[],
    ),
    Case::new(
        "enum-value",
        "ALTER TYPE … ADD VALUE",
        "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (x e);",
        "ALTER TYPE e ADD VALUE 'b'",
        &[],
        &[],
    ),
    Case::new(
        "enum-rename-value",
        "ALTER TYPE … RENAME VALUE",
        "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (x e);",
        "ALTER TYPE e RENAME VALUE 'a' TO 'b'",
        &[],
        &[],
    ),
];
