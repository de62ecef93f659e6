//! What a statement can be that is about neither a table nor an index: types,
//! domains, views, code, rows, transactions, settings.
#![expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of a statement"
)]

use super::types::{Expression, Name, Place, Statement, TypeName};
use crate::source::Span;

/// `ALTER TYPE`.
#[derive(Debug, Clone)]
pub struct AlterType {
    /// The type.
    pub name: Name,
    /// What is done.
    pub kind: AlterTypeKind,
}

/// Kinds of `ALTER TYPE`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum AlterTypeKind {
    AddValue {
        value: String,
        if_not_exists: bool,
        /// `BEFORE` or `AFTER` is written.
        placed: bool,
    },
    RenameValue {
        from: String,
        to: String,
    },
    RenameTo {
        name: String,
    },
    SetSchema {
        schema: String,
    },
    /// Attributes of a composite type.
    Attributes {
        cascade: bool,
        /// The type of one is changed.
        retyped: bool,
    },
    Other,
}

/// `CREATE DOMAIN`.
#[derive(Debug, Clone)]
pub struct CreateDomain {
    /// The domain.
    pub name: Name,
    /// Over this type.
    pub type_name: Option<TypeName>,
    /// `NOT NULL`.
    pub not_null: bool,
    /// Its CHECKs.
    pub checks: Vec<Expression>,
    /// `DEFAULT`.
    pub default: Option<Expression>,
}

/// `ALTER DOMAIN`.
#[derive(Debug, Clone)]
pub struct AlterDomain {
    /// The domain.
    pub name: Place,
    /// What is done.
    pub kind: AlterDomainKind,
}

/// Kinds of `ALTER DOMAIN`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum AlterDomainKind {
    AddConstraint {
        constraint: Option<String>,
        not_valid: bool,
    },
    ValidateConstraint {
        constraint: String,
    },
    DropConstraint {
        constraint: String,
    },
    SetNotNull,
    DropNotNull,
    RenameTo {
        name: String,
    },
    SetSchema {
        schema: String,
    },
    Other,
}

/// `CREATE [MATERIALIZED] VIEW`.
#[derive(Debug, Clone)]
pub struct CreateView {
    /// The view.
    pub name: Place,
    /// Materialised.
    pub materialized: bool,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `WITH NO DATA`.
    pub no_data: bool,
    /// The relations that it reads, each once, in order.
    pub reads: Vec<Name>,
}

/// Code that a server runs: of a function, a procedure or `DO`.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// Language, lower case; `plpgsql` for a `DO` that names none.
    pub language: String,
    /// Where the code stands.
    pub span: Option<Span>,
    /// SQL statements in it, in order, with their places in the user's text:
    /// those of all branches, as any could run.
    pub statements: Vec<Statement>,
    /// `EXECUTE` of a text that is put together at run time: where.
    pub dynamic: Vec<Span>,
    /// It could not be read (another language, or broken).
    pub unread: bool,
    /// Of SQL: the one expression that it selects, from no relation.
    pub value: Option<Box<Expression>>,
}

/// `CREATE FUNCTION`, `CREATE PROCEDURE`.
#[derive(Debug, Clone)]
pub struct CreateFunction {
    /// The function.
    pub name: Name,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// A procedure.
    pub procedure: bool,
    /// `i`, `s` or `v`; `v` when not written.
    pub volatility: char,
    /// `RETURNS trigger`.
    pub trigger: bool,
    /// `STRICT`, in one of its spellings.
    pub strict: bool,
    /// `SECURITY DEFINER`.
    pub security_definer: bool,
    /// `SET search_path …` is among its options.
    pub sets_search_path: bool,
    /// It has any `SET`.
    pub sets: bool,
    /// Its code, which runs when it is called, not now.
    pub body: Body,
}

impl CreateFunction {
    /// The expression that the planner puts in place of a call, whatever
    /// volatility was declared; `None` where it leaves the call alone.
    pub fn inlined(&self) -> Option<&Expression> {
        let kept = self.procedure || self.strict || self.security_definer || self.sets;
        self.body.value.as_deref().filter(|_| !kept)
    }
}

/// `CREATE TRIGGER`.
#[derive(Debug, Clone)]
pub struct CreateTrigger {
    /// The trigger.
    pub name: String,
    /// Its table.
    pub table: Place,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `CREATE CONSTRAINT TRIGGER`.
    pub constraint: bool,
    /// `FROM referenced_table`, of a constraint trigger.
    pub from: Option<Place>,
    /// `FOR EACH ROW`.
    pub row: bool,
    /// The function that it calls.
    pub function: Name,
}

/// Kinds of statement that read or write rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum DmlKind {
    Select,
    SelectForUpdate,
    Insert,
    Update,
    Delete,
    Merge,
    CopyFrom,
    CopyTo,
    Call,
}

/// A statement that reads or writes rows.
#[derive(Debug, Clone)]
pub struct Dml {
    /// Which. Of a WITH that writes, the first that writes.
    pub kind: DmlKind,
    /// The table written.
    pub target: Option<Place>,
    /// Relations read, each once, in order; CTEs are none.
    pub reads: Vec<Name>,
    /// Of those, the ones whose rows `FOR UPDATE` and its like lock.
    pub locks: Vec<Name>,
    /// It has a WHERE (of UPDATE and DELETE), other than `true` or `1=1`.
    pub filtered: bool,
    /// `INSERT … VALUES`, so that the rows are in the file.
    pub values: bool,
    /// `LIMIT`, or a WHERE on a subquery that has one: done in batches.
    pub limited: bool,
    /// `INSERT … ON CONFLICT`.
    pub on_conflict: bool,
    /// String constants in it, unescaped; at most 1,000.
    pub strings: Vec<String>,
    /// Columns written, of UPDATE … SET and INSERT.
    pub columns: Vec<String>,
    /// What other parts of it write: in `WITH x AS (DELETE FROM …)`.
    pub also_writes: Vec<(DmlKind, Place)>,
}

/// Transaction control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum Transaction {
    Begin,
    Commit,
    Rollback,
    Savepoint,
    /// `RELEASE`, `ROLLBACK TO`.
    ReleaseSavepoint,
    RollbackToSavepoint,
    Prepare,
    /// `SET TRANSACTION`, `SET CONSTRAINTS`.
    Options,
}

/// `SET`, `RESET`, `set_config`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The setting, lower case: `lock_timeout`, `search_path`, `role`; `all`
    /// for RESET ALL.
    pub name: String,
    /// The value as text without quotes, list elements joined by `, `; `None`
    /// for DEFAULT and RESET.
    pub value: Option<String>,
    /// `SET LOCAL`, or `set_config(…, true)`.
    pub local: bool,
}
