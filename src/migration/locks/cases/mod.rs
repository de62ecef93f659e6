//! The claims, one file a family of statements.
//!
//! `tests/migration_locks.rs` runs each on servers of every version, and
//! `docs/locks.md` is made of them.

mod columns;
mod constraints;
mod indexes;
mod maintenance;
mod objects;
mod partitions;
mod rows;
mod storage;
mod tables;
mod types;

use super::{LockMode, Work};

/// One claim, with what proves it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name.
    pub id: &'static str,
    /// The statement in words, for the table in the documentation.
    pub title: &'static str,
    /// What must be there first.
    pub setup: &'static str,
    /// The statement, on that.
    pub statement: &'static str,
    /// `(relation, lock)` that it takes on relations that were there before,
    /// other than ACCESS SHARE on what it only reads. An index or a sequence is
    /// listed only where its lock is stronger than that on the table that owns
    /// it.
    pub locks: &'static [(&'static str, LockMode)],
    /// `(relation, work)` that it does.
    pub work: &'static [(&'static str, Work)],
    /// First and last version that this holds for.
    pub versions: (u16, u16),
    /// It cannot run inside a transaction.
    pub no_transaction: bool,
    /// What another session does first in a transaction that it leaves open,
    /// so that a statement outside a transaction waits, and its locks can be
    /// seen.
    pub blocker: Option<&'static str>,
}

impl Case {
    /// A claim for all versions, about a statement that runs in a transaction.
    const fn new(
        id: &'static str,
        title: &'static str,
        setup: &'static str,
        statement: &'static str,
        locks: &'static [(&'static str, LockMode)],
        work: &'static [(&'static str, Work)],
    ) -> Self {
        Self {
            id,
            title,
            setup,
            statement,
            locks,
            work,
            versions: (OLDEST, NEWEST),
            no_transaction: false,
            blocker: None,
        }
    }

    /// From that version on.
    const fn since(self, version: u16) -> Self {
        Self {
            versions: (version, self.versions.1),
            ..self
        }
    }

    /// Up to that version.
    const fn until(self, version: u16) -> Self {
        Self {
            versions: (self.versions.0, version),
            ..self
        }
    }

    /// It refuses to run in a transaction.
    const fn alone(self, blocker: &'static str) -> Self {
        Self {
            no_transaction: true,
            blocker: Some(blocker),
            ..self
        }
    }

    /// Whether it holds for that version.
    pub fn holds(&self, major: u16) -> bool {
        self.versions.0 <= major && major <= self.versions.1
    }
}

/// The first version that claims are made for.
pub const OLDEST: u16 = 13;
/// The last version that claims are made for.
pub const NEWEST: u16 = 18;

/// Claims about one family of statements.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name, a title in the documentation.
    pub title: &'static str,
    /// Its claims.
    pub cases: &'static [Case],
}

/// Every claim, by family.
pub static CASES: &[Family] = &[
    Family {
        title: "Indexes",
        cases: indexes::CASES,
    },
    Family {
        title: "Columns",
        cases: columns::CASES,
    },
    Family {
        title: "Types of columns",
        cases: types::CASES,
    },
    Family {
        title: "Constraints",
        cases: constraints::CASES,
    },
    Family {
        title: "Tables and views",
        cases: tables::CASES,
    },
    Family {
        title: "Storage, owners and views",
        cases: storage::CASES,
    },
    Family {
        title: "Partitions and inheritance",
        cases: partitions::CASES,
    },
    Family {
        title: "Triggers, policies, types and other objects",
        cases: objects::CASES,
    },
    Family {
        title: "Maintenance",
        cases: maintenance::CASES,
    },
    Family {
        title: "Rows",
        cases: rows::CASES,
    },
];

/// A table with rows, and what follows.
macro_rules! t {
    ($($more:literal)*) => {
        concat!(
            "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c varchar(10)); \
             INSERT INTO t SELECT g, g, g, g FROM generate_series(1, 50) AS g; ",
            $($more),*
        )
    };
}

/// A parent and a child with a foreign key, both with rows, and what follows.
macro_rules! fk {
    ($($more:literal)*) => {
        concat!(
            "CREATE TABLE parent (id int PRIMARY KEY, a int); \
             INSERT INTO parent SELECT g, g FROM generate_series(1, 50) AS g; \
             CREATE TABLE child (id int PRIMARY KEY, parent_id int, \
             CONSTRAINT child_fk FOREIGN KEY (parent_id) REFERENCES parent (id)); \
             INSERT INTO child SELECT g, g FROM generate_series(1, 50) AS g; ",
            $($more),*
        )
    };
}

/// The same without the foreign key.
macro_rules! two {
    ($($more:literal)*) => {
        concat!(
            "CREATE TABLE parent (id int PRIMARY KEY, a int); \
             INSERT INTO parent SELECT g, g FROM generate_series(1, 50) AS g; \
             CREATE TABLE child (id int PRIMARY KEY, parent_id int); \
             INSERT INTO child SELECT g, g FROM generate_series(1, 50) AS g; ",
            $($more),*
        )
    };
}

/// A partitioned table with two partitions, and what follows.
macro_rules! parts {
    ($($more:literal)*) => {
        concat!(
            "CREATE TABLE p (id int NOT NULL, a int) PARTITION BY RANGE (id); \
             CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100); \
             CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200); \
             INSERT INTO p SELECT g, g FROM generate_series(1, 150) AS g; ",
            $($more),*
        )
    };
}

use {fk, parts, t, two};
