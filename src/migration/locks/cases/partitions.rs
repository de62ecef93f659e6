//! Partitions and inheritance.

use super::{Case, parts, t};
use crate::migration::locks::LockMode::{AccessExclusive, ShareUpdateExclusive};
use crate::migration::locks::Work::{IndexBuild, Scan};

pub(super) static CASES: &[Case] = &[
    Case::new(
        "create-partition",
        "CREATE TABLE … PARTITION OF",
        parts!(),
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)",
        &[("p", AccessExclusive)],
        &[],
    ),
    Case::new(
        "create-partition-default",
        "CREATE TABLE … PARTITION OF, beside a DEFAULT partition",
        parts!("CREATE TABLE pd PARTITION OF p DEFAULT; INSERT INTO p VALUES (1000, 1);"),
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)",
        &[("p", AccessExclusive), ("pd", AccessExclusive)],
        &[("pd", Scan)],
    ),
    Case::new(
        "attach-partition",
        "ATTACH PARTITION",
        parts!(
            "CREATE TABLE n (id int NOT NULL, a int); INSERT INTO n SELECT generate_series(200, 250);"
        ),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[("n", Scan)],
    ),
    Case::new(
        "attach-partition-proven",
        "ATTACH PARTITION with a validated CHECK that proves its bound",
        parts!(
            "CREATE TABLE n (id int NOT NULL, a int, CHECK (id >= 200 AND id < 300)); INSERT INTO n SELECT generate_series(200, 250);"
        ),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[],
    ),
    Case::new(
        "attach-partition-default",
        "ATTACH PARTITION beside a DEFAULT partition",
        parts!(
            "CREATE TABLE pd PARTITION OF p DEFAULT; INSERT INTO p VALUES (1000, 1); CREATE TABLE n (id int NOT NULL, a int); INSERT INTO n SELECT generate_series(200, 250);"
        ),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[
            ("p", ShareUpdateExclusive),
            ("n", AccessExclusive),
            ("pd", AccessExclusive),
        ],
        &[("n", Scan), ("pd", Scan)],
    ),
    Case::new(
        "attach-partition-index",
        "ATTACH PARTITION that lacks an index of the partitioned table",
        parts!(
            "CREATE INDEX i ON p (a); CREATE TABLE n (id int NOT NULL, a int); INSERT INTO n SELECT generate_series(200, 250);"
        ),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[("n", IndexBuild)],
    ),
    Case::new(
        "detach-partition-13",
        "DETACH PARTITION",
        parts!(),
        "ALTER TABLE p DETACH PARTITION p1",
        &[("p", AccessExclusive), ("p1", ShareUpdateExclusive)],
        &[],
    )
    .until(13),
    Case::new(
        "detach-partition",
        "DETACH PARTITION",
        parts!(),
        "ALTER TABLE p DETACH PARTITION p1",
        &[("p", AccessExclusive), ("p1", AccessExclusive)],
        &[],
    )
    .since(14),
    Case::new(
        "detach-partition-default-13",
        "DETACH PARTITION beside a DEFAULT partition",
        parts!("CREATE TABLE pd PARTITION OF p DEFAULT;"),
        "ALTER TABLE p DETACH PARTITION p1",
        &[
            ("p", AccessExclusive),
            ("p1", ShareUpdateExclusive),
            ("pd", AccessExclusive),
        ],
        &[],
    )
    .until(13),
    Case::new(
        "detach-partition-default",
        "DETACH PARTITION beside a DEFAULT partition",
        parts!("CREATE TABLE pd PARTITION OF p DEFAULT;"),
        "ALTER TABLE p DETACH PARTITION p1",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("pd", AccessExclusive),
        ],
        &[],
    )
    .since(14),
    Case::new(
        "detach-partition-concurrently",
        "DETACH PARTITION CONCURRENTLY",
        parts!(),
        "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
        &[("p", ShareUpdateExclusive), ("p1", AccessExclusive)],
        &[],
    )
    .since(14)
    .alone("SELECT FROM p1"),
    Case::new(
        "drop-partition",
        "DROP TABLE of a partition",
        parts!(),
        "DROP TABLE p1",
        &[("p", AccessExclusive), ("p1", AccessExclusive)],
        &[],
    ),
    Case::new(
        "drop-partitioned",
        "DROP TABLE of a partitioned table",
        parts!(),
        "DROP TABLE p",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("p2", AccessExclusive),
        ],
        &[],
    ),
    Case::new(
        "truncate-partitioned",
        "TRUNCATE of a partitioned table",
        parts!(),
        "TRUNCATE p",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("p2", AccessExclusive),
        ],
        &[],
    ),
    Case::new(
        "rename-partitioned-column",
        "RENAME COLUMN of a partitioned table",
        parts!(),
        "ALTER TABLE p RENAME COLUMN a TO z",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("p2", AccessExclusive),
        ],
        &[],
    ),
    Case::new(
        "rename-partitioned",
        "RENAME TO of a partitioned table",
        parts!(),
        "ALTER TABLE p RENAME TO q",
        &[("p", AccessExclusive)],
        &[],
    ),
    Case::new(
        "set-default-partitioned",
        "SET DEFAULT on a partitioned table",
        parts!(),
        "ALTER TABLE p ALTER COLUMN a SET DEFAULT 1",
        &[
            ("p", AccessExclusive),
            ("p1", AccessExclusive),
            ("p2", AccessExclusive),
        ],
        &[],
    ),
    Case::new(
        "set-default-only",
        "SET DEFAULT on ONLY a partitioned table",
        parts!(),
        "ALTER TABLE ONLY p ALTER COLUMN a SET DEFAULT 1",
        &[("p", AccessExclusive)],
        &[],
    ),
    Case::new(
        "create-inherits",
        "CREATE TABLE … INHERITS",
        t!(),
        "CREATE TABLE n () INHERITS (t)",
        &[("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "inherit",
        "ALTER TABLE … INHERIT",
        t!("CREATE TABLE n (LIKE t);"),
        "ALTER TABLE n INHERIT t",
        &[("n", AccessExclusive), ("t", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "no-inherit",
        "ALTER TABLE … NO INHERIT",
        t!("CREATE TABLE n () INHERITS (t);"),
        "ALTER TABLE n NO INHERIT t",
        &[("n", AccessExclusive)],
        &[],
    ),
    Case::new(
        "add-column-inherited",
        "ADD COLUMN to a table with inheritance children",
        t!("CREATE TABLE n () INHERITS (t);"),
        "ALTER TABLE t ADD COLUMN z int",
        &[("t", AccessExclusive), ("n", AccessExclusive)],
        &[],
    ),
];
