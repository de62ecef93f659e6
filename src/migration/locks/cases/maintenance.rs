//! VACUUM, ANALYZE, CLUSTER and LOCK TABLE.

use super::{Case, parts, t};
use crate::migration::locks::LockMode::{AccessExclusive, Exclusive, Share, ShareUpdateExclusive};
use crate::migration::locks::Work::{Rewrite, Scan};

pub(super) static CASES: &[Case] = &[
    Case::new(
        "vacuum",
        "VACUUM",
        t!(),
        "VACUUM t",
        &[("t", ShareUpdateExclusive)],
        &[("t", Scan)],
    )
    .alone("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE"),
    Case::new(
        "vacuum-full",
        "VACUUM FULL",
        t!(),
        "VACUUM FULL t",
        &[("t", AccessExclusive)],
        &[("t", Rewrite)],
    )
    .alone("LOCK TABLE t IN ACCESS SHARE MODE"),
    Case::new(
        "analyze",
        "ANALYZE",
        t!(),
        "ANALYZE t",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "cluster",
        "CLUSTER",
        t!(),
        "CLUSTER t USING t_pkey",
        &[("t", AccessExclusive)],
        &[("t", Rewrite)],
    ),
    Case::new(
        "lock-table",
        "LOCK TABLE … IN SHARE MODE",
        t!(),
        "LOCK TABLE t IN SHARE MODE",
        &[("t", Share)],
        &[],
    ),
    Case::new(
        "lock-table-default",
        "LOCK TABLE without a mode",
        t!(),
        "LOCK TABLE t",
        &[("t", AccessExclusive)],
        &[],
    ),
    Case::new(
        "lock-table-partitioned",
        "LOCK TABLE of a partitioned table",
        parts!(),
        "LOCK TABLE p IN EXCLUSIVE MODE",
        &[("p", Exclusive), ("p1", Exclusive), ("p2", Exclusive)],
        &[],
    ),
    Case::new(
        "lock-table-only",
        "LOCK TABLE ONLY a partitioned table",
        parts!(),
        "LOCK TABLE ONLY p IN EXCLUSIVE MODE",
        &[("p", Exclusive)],
        &[],
    ),
    Case::new(
        "lock-view",
        "LOCK TABLE of a view",
        t!("CREATE VIEW v AS SELECT * FROM t;"),
        "LOCK TABLE v IN EXCLUSIVE MODE",
        &[("v", Exclusive), ("t", Exclusive)],
        &[],
    ),
    Case::new(
        "vacuum-analyze",
        "VACUUM ANALYZE",
        t!(),
        "VACUUM ANALYZE t",
        &[("t", ShareUpdateExclusive)],
        &[("t", Scan)],
    )
    .alone("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE"),
    Case::new(
        "vacuum-full-options",
        "VACUUM (FULL)",
        t!(),
        "VACUUM (FULL, ANALYZE) t",
        &[("t", AccessExclusive)],
        &[("t", Rewrite)],
    )
    .alone("LOCK TABLE t IN ACCESS SHARE MODE"),
    Case::new(
        "analyze-all",
        "ANALYZE of the whole database",
        t!("CREATE TABLE u (a int);"),
        "ANALYZE",
        &[("t", ShareUpdateExclusive), ("u", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "cluster-all",
        "CLUSTER of all tables",
        t!("ALTER TABLE t CLUSTER ON t_pkey;"),
        "CLUSTER",
        &[("t", AccessExclusive)],
        &[("t", Rewrite)],
    )
    .alone("LOCK TABLE t IN ACCESS SHARE MODE"),
];
