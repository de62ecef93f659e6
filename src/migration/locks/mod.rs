//! What a statement locks, and what work it does while it holds the locks.
//!
//! [`CASES`] is the one table of claims: each has the statement that shows it,
//! and tests run all of them on servers of every version. [`effects`] says
//! which of them a statement of a migration is.

mod cases;
mod effects;
mod proof;
mod transaction;
mod types;
mod volatile;

pub use cases::{CASES, Case, Family, NEWEST, OLDEST};
pub use effects::{VOLATILE, effects};
pub use transaction::refuses_transaction;
pub use types::{TypeChange, type_change};
pub use volatile::volatile_function;

use crate::migration::state::Qualified;

/// Lock modes of tables, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    /// As the documentation writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// The mode of that name, as the documentation or `pg_locks` writes it.
    pub fn named(name: &str) -> Option<Self> {
        let plain: String = name
            .trim_end_matches("Lock")
            .chars()
            .filter(char::is_ascii_alphabetic)
            .map(|letter| letter.to_ascii_lowercase())
            .collect();
        [
            Self::AccessShare,
            Self::RowShare,
            Self::RowExclusive,
            Self::ShareUpdateExclusive,
            Self::Share,
            Self::ShareRowExclusive,
            Self::Exclusive,
            Self::AccessExclusive,
        ]
        .into_iter()
        .find(|mode| mode.name().replace(' ', "").to_ascii_lowercase() == plain)
    }

    /// SELECT has to wait for it.
    pub fn blocks_reads(self) -> bool {
        self == Self::AccessExclusive
    }

    /// INSERT, UPDATE and DELETE have to wait for it.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }

    /// Whether two sessions can hold these on one table at a time.
    /// Source: the table of conflicts in PostgreSQL's "Explicit Locking".
    pub fn conflicts(self, other: Self) -> bool {
        use LockMode::{
            AccessExclusive, AccessShare, Exclusive, RowExclusive, RowShare, Share,
            ShareRowExclusive, ShareUpdateExclusive,
        };
        match self {
            AccessShare => other == AccessExclusive,
            RowShare => other >= Exclusive,
            RowExclusive => matches!(
                other,
                Share | ShareRowExclusive | Exclusive | AccessExclusive
            ),
            ShareUpdateExclusive => other >= ShareUpdateExclusive,
            Share => other >= RowExclusive && other != Share,
            ShareRowExclusive => other >= RowExclusive,
            Exclusive => other >= RowShare,
            AccessExclusive => true,
        }
    }
}

/// Work whose time grows with the relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Work {
    /// None: the catalogues only.
    None,
    /// The relation is read.
    Scan,
    /// An index is built from it.
    IndexBuild,
    /// Its indexes are rebuilt, the table is kept.
    IndexRebuild,
    /// Its rows are written by INSERT, UPDATE or DELETE.
    Rows,
    /// It is written anew, with its indexes.
    Rewrite,
}

/// How something about an effect is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Known {
    /// From the statement, the state and [`CASES`].
    Static,
    /// PostgreSQL did it under `--trace`.
    Traced,
}

/// What a statement does to one relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// The relation: a table, view, materialised view or index.
    pub relation: Qualified,
    /// The strongest lock that it takes on it.
    pub mode: LockMode,
    /// The costliest work on it while the lock is held.
    pub work: Work,
    /// How it is known.
    pub known: Known,
    /// Why, where that is not plain: `the default is volatile`.
    pub why: Option<String>,
    /// Number of the command of an ALTER TABLE that causes it, where one does.
    pub command: Option<usize>,
}
