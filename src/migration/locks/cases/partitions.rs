//! Partitions and inheritance.

use super::{Case, parts, t};
use crate::migration::locks::LockMode::{AccessExclusive, ShareRowExclusive, ShareUpdateExclusive};
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
    Case::new(
        "create-partition-with-fk",
        "CREATE TABLE … PARTITION OF a table with a foreign key",
        parts!("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(1, 500) AS g; ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent (id);"),
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)",
        &[("p", AccessExclusive), ("parent", ShareRowExclusive)],
        &[],
    ),
    Case::new(
        "create-partition-referenced",
        "CREATE TABLE … PARTITION OF a table that a foreign key references",
        parts!("ALTER TABLE p ADD PRIMARY KEY (id); CREATE TABLE child (id int PRIMARY KEY, p_id int, CONSTRAINT f FOREIGN KEY (p_id) REFERENCES p (id)); INSERT INTO child SELECT g, g FROM generate_series(1, 90) AS g;"),
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)",
        &[("p", AccessExclusive)],
        &[],
    )
    .until(14),
    Case::new(
        "create-partition-referenced-15",
        "CREATE TABLE … PARTITION OF a table that a foreign key references",
        parts!("ALTER TABLE p ADD PRIMARY KEY (id); CREATE TABLE child (id int PRIMARY KEY, p_id int, CONSTRAINT f FOREIGN KEY (p_id) REFERENCES p (id)); INSERT INTO child SELECT g, g FROM generate_series(1, 90) AS g;"),
        "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (200) TO (300)",
        &[("p", AccessExclusive), ("child", ShareRowExclusive)],
        &[],
    )
    .since(15),
    Case::new(
        "attach-with-fk",
        "ATTACH PARTITION that lacks a foreign key of the partitioned table",
        parts!("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(1, 500) AS g; ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent (id); CREATE TABLE n (id int NOT NULL, a int, CHECK (id >= 200 AND id < 300)); INSERT INTO n VALUES (250, 1);"),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive), ("parent", ShareRowExclusive)],
        &[("n", Scan)],
    ),
    Case::new(
        "attach-has-fk",
        "ATTACH PARTITION that has the foreign key of the partitioned table already",
        parts!("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(1, 500) AS g; ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent (id); CREATE TABLE n (id int NOT NULL, a int REFERENCES parent (id), CHECK (id >= 200 AND id < 300)); INSERT INTO n VALUES (250, 1);"),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive), ("parent", AccessExclusive)],
        &[],
    ),
    Case::new(
        "attach-referenced",
        "ATTACH PARTITION to a table that a foreign key references",
        parts!("ALTER TABLE p ADD PRIMARY KEY (id); CREATE TABLE child (id int PRIMARY KEY, p_id int, CONSTRAINT f FOREIGN KEY (p_id) REFERENCES p (id)); INSERT INTO child SELECT g, g FROM generate_series(1, 90) AS g; CREATE TABLE n (id int PRIMARY KEY, a int, CHECK (id >= 200 AND id < 300)); INSERT INTO n VALUES (250, 1);"),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[],
    )
    .until(14),
    Case::new(
        "attach-referenced-15",
        "ATTACH PARTITION to a table that a foreign key references",
        parts!("ALTER TABLE p ADD PRIMARY KEY (id); CREATE TABLE child (id int PRIMARY KEY, p_id int, CONSTRAINT f FOREIGN KEY (p_id) REFERENCES p (id)); INSERT INTO child SELECT g, g FROM generate_series(1, 90) AS g; CREATE TABLE n (id int PRIMARY KEY, a int, CHECK (id >= 200 AND id < 300)); INSERT INTO n VALUES (250, 1);"),
        "ALTER TABLE p ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive), ("child", ShareRowExclusive)],
        &[],
    )
    .since(15),
    Case::new(
        "attach-default",
        "ATTACH PARTITION … DEFAULT",
        parts!("CREATE TABLE n (id int NOT NULL, a int); INSERT INTO n VALUES (500, 1);"),
        "ALTER TABLE p ATTACH PARTITION n DEFAULT",
        &[("p", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[("n", Scan)],
    ),
    Case::new(
        "attach-check-nullable",
        "ATTACH PARTITION with a CHECK of its bound, on a nullable key",
        "CREATE TABLE q (id int, a int) PARTITION BY RANGE (id); CREATE TABLE n (id int, a int, CHECK (id >= 200 AND id < 300)); INSERT INTO n VALUES (250, 1);",
        "ALTER TABLE q ATTACH PARTITION n FOR VALUES FROM (200) TO (300)",
        &[("q", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[("n", Scan)],
    ),
    Case::new(
        "detach-with-fk",
        "DETACH PARTITION of a table with a foreign key",
        parts!("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(1, 500) AS g; ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent (id);"),
        "ALTER TABLE p DETACH PARTITION p1",
        &[("p", AccessExclusive), ("p1", ShareUpdateExclusive), ("parent", ShareRowExclusive)],
        &[],
    )
    .until(13),
    Case::new(
        "detach-with-fk-14",
        "DETACH PARTITION of a table with a foreign key",
        parts!("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(1, 500) AS g; ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent (id);"),
        "ALTER TABLE p DETACH PARTITION p1",
        &[("p", AccessExclusive), ("p1", AccessExclusive), ("parent", ShareRowExclusive)],
        &[],
    )
    .since(14),
    Case::new(
        "detach-referenced",
        "DETACH PARTITION of a table that a foreign key references",
        parts!("ALTER TABLE p ADD PRIMARY KEY (id); CREATE TABLE child (id int PRIMARY KEY, p_id int, CONSTRAINT f FOREIGN KEY (p_id) REFERENCES p (id)); INSERT INTO child SELECT g, g FROM generate_series(1, 90) AS g;"),
        "ALTER TABLE p DETACH PARTITION p2",
        &[("p", AccessExclusive), ("p2", AccessExclusive), ("child", AccessExclusive)],
        &[("child", Scan), ("p2", Scan)],
    )
    .until(17),
    Case::new(
        "detach-referenced-18",
        "DETACH PARTITION of a table that a foreign key references",
        parts!("ALTER TABLE p ADD PRIMARY KEY (id); CREATE TABLE child (id int PRIMARY KEY, p_id int, CONSTRAINT f FOREIGN KEY (p_id) REFERENCES p (id)); INSERT INTO child SELECT g, g FROM generate_series(1, 90) AS g;"),
        "ALTER TABLE p DETACH PARTITION p2",
        &[("p", AccessExclusive), ("p2", AccessExclusive), ("child", AccessExclusive)],
        &[("child", Scan)],
    )
    .since(18),
    Case::new(
        "detach-finalize",
        "DETACH PARTITION … FINALIZE",
        parts!("UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = 'p1'::regclass;"),
        "ALTER TABLE p DETACH PARTITION p1 FINALIZE",
        &[("p", ShareUpdateExclusive), ("p1", AccessExclusive)],
        &[],
    )
    .since(14),
    Case::new(
        "drop-partition-with-fk",
        "DROP TABLE of a partition with a foreign key of its parent",
        parts!("CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent SELECT g FROM generate_series(1, 500) AS g; ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES parent (id);"),
        "DROP TABLE p1",
        &[("p", AccessExclusive), ("p1", AccessExclusive)],
        &[],
    ),
    Case::new(
        "analyze-partitioned",
        "ANALYZE of a partitioned table",
        parts!(),
        "ANALYZE p",
        &[("p", ShareUpdateExclusive), ("p1", ShareUpdateExclusive), ("p2", ShareUpdateExclusive)],
        &[],
    ),
    Case::new(
        "attach-list-proven",
        "ATTACH PARTITION of a list with a validated CHECK of its value",
        "CREATE TABLE q (k text NOT NULL, a int) PARTITION BY LIST (k); \
         CREATE TABLE n (k text NOT NULL, a int, CHECK (k = 'x'::text)); \
         INSERT INTO n VALUES ('x', 1);",
        "ALTER TABLE q ATTACH PARTITION n FOR VALUES IN ('x')",
        &[("q", ShareUpdateExclusive), ("n", AccessExclusive)],
        &[],
    ),
];
