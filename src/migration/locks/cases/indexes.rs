//! Making, dropping, rebuilding and changing indexes.

use super::{Case, parts, t};
use crate::migration::locks::LockMode::{AccessExclusive, Share, ShareUpdateExclusive};
use crate::migration::locks::Work::IndexBuild;
use crate::migration::locks::Work::IndexRebuild;

pub(super) static CASES: &[Case] = &[
    Case::new(
        "create-index",
        "CREATE INDEX",
        t!(),
        "CREATE INDEX i ON t (a)",
        &[("t", Share)],
        &[("t", IndexBuild)],
    ),
    Case::new(
        "create-unique-index",
        "CREATE UNIQUE INDEX",
        t!(),
        "CREATE UNIQUE INDEX i ON t (a)",
        &[("t", Share)],
        &[("t", IndexBuild)],
    ),
    Case::new(
        "create-index-exists",
        "CREATE INDEX IF NOT EXISTS, of a name that exists",
        t!("CREATE INDEX i ON t (a);"),
        "CREATE INDEX IF NOT EXISTS i ON t (a)",
        &[("t", Share)],
        &[],
    ),
    Case::new(
        "create-index-concurrently",
        "CREATE INDEX CONCURRENTLY",
        t!(),
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        &[("t", ShareUpdateExclusive)],
        &[("t", IndexBuild)],
    )
    .alone("INSERT INTO t VALUES (100, 1)"),
    Case::new(
        "create-index-partitioned",
        "CREATE INDEX on a partitioned table",
        parts!(),
        "CREATE INDEX i ON p (a)",
        &[("p", Share), ("p1", Share), ("p2", Share)],
        &[("p1", IndexBuild), ("p2", IndexBuild)],
    ),
    Case::new(
        "create-index-only",
        "CREATE INDEX ON ONLY a partitioned table",
        parts!(),
        "CREATE INDEX i ON ONLY p (a)",
        &[("p", Share)],
        &[],
    ),
    Case::new(
        "create-index-partitioned-existing",
        "CREATE INDEX on a partitioned table whose partitions have the index already",
        parts!("CREATE INDEX i1 ON p1 (a); CREATE INDEX i2 ON p2 (a);"),
        "CREATE INDEX i ON p (a)",
        &[("p", Share), ("p1", Share), ("p2", Share)],
        &[],
    ),
    Case::new(
        "attach-index",
        "ALTER INDEX … ATTACH PARTITION",
        parts!("CREATE INDEX i ON ONLY p (a); CREATE INDEX i1 ON p1 (a);"),
        "ALTER INDEX i ATTACH PARTITION i1",
        &[("i", ShareUpdateExclusive), ("i1", AccessExclusive)],
        &[],
    ),
    Case::new(
        "drop-index",
        "DROP INDEX",
        t!("CREATE INDEX i ON t (a);"),
        "DROP INDEX i",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "drop-index-partitioned",
        "DROP INDEX of a partitioned table",
        parts!("CREATE INDEX i ON p (a);"),
        "DROP INDEX i",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("p2", AccessExclusive),
        ],
        &[],
    ),
    Case::new(
        "drop-index-concurrently",
        "DROP INDEX CONCURRENTLY",
        t!("CREATE INDEX i ON t (a);"),
        "DROP INDEX CONCURRENTLY i",
        &[("t", ShareUpdateExclusive)],
        &[],
    )
    .alone("SELECT FROM t"),
    Case::new(
        "reindex-index",
        "REINDEX INDEX",
        t!("CREATE INDEX i ON t (a);"),
        "REINDEX INDEX i",
        &[("t", Share), ("i", AccessExclusive)],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "reindex-table",
        "REINDEX TABLE",
        t!("CREATE INDEX i ON t (a);"),
        "REINDEX TABLE t",
        &[
            ("t", Share),
            ("i", AccessExclusive),
            ("t_pkey", AccessExclusive),
        ],
        &[("t", IndexRebuild)],
    ),
    Case::new(
        "reindex-index-concurrently",
        "REINDEX INDEX CONCURRENTLY",
        t!("CREATE INDEX i ON t (a);"),
        "REINDEX INDEX CONCURRENTLY i",
        &[("t", ShareUpdateExclusive)],
        &[("t", IndexRebuild)],
    )
    .alone("INSERT INTO t VALUES (100, 1)"),
    Case::new(
        "reindex-table-concurrently",
        "REINDEX TABLE CONCURRENTLY",
        t!("CREATE INDEX i ON t (a);"),
        "REINDEX TABLE CONCURRENTLY t",
        &[("t", ShareUpdateExclusive)],
        &[("t", IndexRebuild)],
    )
    .alone("INSERT INTO t VALUES (100, 1)"),
    Case::new(
        "rename-index",
        "ALTER INDEX … RENAME TO",
        t!("CREATE INDEX i ON t (a);"),
        "ALTER INDEX i RENAME TO j",
        &[("i", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "index-options",
        "ALTER INDEX … SET (fillfactor)",
        t!("CREATE INDEX i ON t (a);"),
        "ALTER INDEX i SET (fillfactor = 70)",
        &[("i", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "index-options-gin",
        "ALTER INDEX … SET (fastupdate)",
        "CREATE TABLE t (id int, d tsvector); CREATE INDEX i ON t USING gin (d);",
        "ALTER INDEX i SET (fastupdate = off)",
        &[("i", AccessExclusive)],
        &[],
    ),
    Case::new(
        "index-statistics",
        "ALTER INDEX … ALTER COLUMN … SET STATISTICS",
        t!("CREATE INDEX i ON t ((a + 1));"),
        "ALTER INDEX i ALTER COLUMN 1 SET STATISTICS 500",
        &[("i", ShareUpdateExclusive)],
        &[],
    ),
];
