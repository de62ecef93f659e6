//! What the state knows of tables, types and what belongs to them.

use std::fmt;

use crate::catalog::RelationKind;
use crate::migration::At;
use crate::sql::ddl::{Expression, IndexKey, Name, Persistence, Referential, TypeName};

/// Schema and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Qualified {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
}

impl Qualified {
    /// From both.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: schema.into(),
            name: name.into(),
        }
    }

    /// As SQL: without the schema when that is `public`.
    pub fn sql(&self) -> String {
        use crate::catalog::ident::quote;
        if self.schema == "public" {
            quote(&self.name)
        } else {
            format!("{}.{}", quote(&self.schema), quote(&self.name))
        }
    }
}

impl fmt::Display for Qualified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.schema == "public" {
            f.write_str(&self.name)
        } else {
            write!(f, "{}.{}", self.schema, self.name)
        }
    }
}

/// A relation.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: Qualified,
    /// Kind.
    pub kind: RelationKind,
    /// Persistence.
    pub persistence: Persistence,
    /// The statement that created it; `None` when it was there before.
    pub created: Option<At>,
    /// Columns in order.
    pub columns: Vec<ColumnState>,
    /// The columns are those that the table has; not so for views, and for
    /// tables made from a query.
    pub columns_known: bool,
    /// Constraints in order of definition; column constraints among them.
    pub constraints: Vec<ConstraintState>,
    /// Indexes in order of definition; those of constraints among them.
    pub indexes: Vec<IndexState>,
    /// Triggers by name.
    pub triggers: Vec<TriggerState>,
    /// Policies by name.
    pub policies: Vec<String>,
    /// Rewrite rules by name.
    pub rules: Vec<String>,
    /// Partitioned table (of a partition), or parents of inheritance.
    pub parents: Vec<Qualified>,
    /// `FOR VALUES …` or `DEFAULT`, of a partition.
    pub partition_bound: Option<String>,
    /// `OF type`: the composite type that it follows.
    pub of_type: Option<Name>,
    /// Strategy and keys, of a partitioned table.
    pub partition_by: Option<(String, Vec<String>)>,
    /// Partitions and inheritance children.
    pub children: Vec<Qualified>,
    /// Tables with foreign keys to this one.
    pub referenced_by: Vec<Qualified>,
    /// Relations that a view reads.
    pub reads: Vec<Qualified>,
    /// Views and materialised views that read it.
    pub read_by: Vec<Qualified>,
    /// Row-level security is enabled.
    pub row_security: bool,
    /// Where the history has put it, where it has.
    pub tablespace: Option<String>,
    /// Size of the main fork in blocks, from a snapshot or server.
    pub pages: Option<f64>,
    /// Rows, from a snapshot or server.
    pub rows: Option<f64>,
    /// The first statement of the history that put rows into it
    /// (INSERT, COPY, UPDATE); a table that was there before may have rows
    /// without.
    pub filled: Option<At>,
}

impl Table {
    /// An empty relation of that name and kind.
    pub(super) fn new(name: Qualified, kind: RelationKind, created: Option<At>) -> Self {
        Self {
            name,
            kind,
            persistence: Persistence::Permanent,
            created,
            columns: Vec::new(),
            columns_known: true,
            constraints: Vec::new(),
            indexes: Vec::new(),
            triggers: Vec::new(),
            policies: Vec::new(),
            rules: Vec::new(),
            parents: Vec::new(),
            partition_bound: None,
            partition_by: None,
            of_type: None,
            children: Vec::new(),
            referenced_by: Vec::new(),
            reads: Vec::new(),
            read_by: Vec::new(),
            row_security: false,
            tablespace: None,
            pages: None,
            rows: None,
            filled: None,
        }
    }

    /// The column of that name, to change it.
    pub(super) fn column_mut(&mut self, name: &str) -> Option<&mut ColumnState> {
        self.columns.iter_mut().find(|column| column.name == name)
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnState> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The constraint of that name.
    pub fn constraint(&self, name: &str) -> Option<&ConstraintState> {
        self.constraints
            .iter()
            .find(|constraint| constraint.name == name)
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&ConstraintState> {
        self.constraints
            .iter()
            .find(|constraint| matches!(constraint.kind, Constrains::PrimaryKey))
    }

    /// It is known to hold no rows: a snapshot or server said so.
    pub fn is_known_empty(&self) -> bool {
        self.rows == Some(0.0) && self.pages.is_none_or(|pages| pages == 0.0)
    }

    /// A partitioned table of which no partition is known: where programs make
    /// them, as for each day, it stands for them.
    pub fn lacks_partitions(&self) -> bool {
        self.is_partitioned() && self.children.is_empty()
    }

    /// A partitioned table.
    pub fn is_partitioned(&self) -> bool {
        self.kind == RelationKind::PartitionedTable
    }
}

/// A column.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the column of its own"
)]
pub struct ColumnState {
    /// Name.
    pub name: String,
    /// Type; `None` where it follows from what was not seen (a query). The
    /// schema of a type that the history made is filled in.
    pub type_name: Option<TypeName>,
    /// `COLLATE`, where written.
    pub collation: Option<String>,
    /// NOT NULL, by whatever made it so.
    pub not_null: bool,
    /// The default.
    pub default: Option<String>,
    /// Generated and stored.
    pub generated_stored: bool,
    /// Generated and virtual.
    pub generated_virtual: bool,
    /// Identity.
    pub identity: bool,
    /// Defined by the table itself; always false for the columns of a
    /// partition.
    pub local: bool,
    /// How many parents have it.
    pub inherited: u32,
    /// The statement that added it; `None` when it was there before.
    pub added: Option<At>,
}

impl ColumnState {
    /// Its type, or the type of its elements, is that one made by the history.
    pub fn is_of_type(&self, name: &Qualified) -> bool {
        self.type_name.as_ref().is_some_and(|of| {
            of.base.name == name.name && of.base.schema.as_ref() == Some(&name.schema)
        })
    }
}

/// A constraint.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the constraint of its own"
)]
pub struct ConstraintState {
    /// Its name; as PostgreSQL would make it where none was written.
    pub name: String,
    /// Kind.
    pub kind: Constrains,
    /// Columns in order.
    pub columns: Vec<String>,
    /// Validated.
    pub validated: bool,
    /// Deferrable.
    pub deferrable: bool,
    /// `NO INHERIT`: the table's children do not have it.
    pub no_inherit: bool,
    /// Defined by the table itself; false where it only comes from a parent.
    pub local: bool,
    /// How many parents have it: a partition's copy of a foreign key, a
    /// child's copy of a CHECK.
    pub inherited: u32,
    /// The statement that added it; `None` when it was there before.
    pub added: Option<At>,
}

impl ConstraintState {
    /// A foreign key to that table.
    pub fn references(&self, table: &Qualified) -> bool {
        matches!(&self.kind, Constrains::ForeignKey { table: to, .. } if to == table)
    }
}

/// Kinds of constraint.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum Constrains {
    NotNull,
    PrimaryKey,
    Unique,
    Check {
        expression: Expression,
    },
    ForeignKey {
        table: Qualified,
        columns: Vec<String>,
        /// `None` where a catalogue does not say.
        on_delete: Option<Referential>,
        on_update: Option<Referential>,
    },
    Exclusion,
}

/// Whose an index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Its own.
    Index,
    /// It is the index of that constraint.
    Constraint(String),
}

/// An index.
#[derive(Debug, Clone)]
pub struct IndexState {
    /// Name, as PostgreSQL would make it where none was written.
    pub name: String,
    /// Access method.
    pub method: String,
    /// Keys in order.
    pub keys: Vec<IndexKey>,
    /// INCLUDE columns.
    pub include: Vec<String>,
    /// Unique.
    pub unique: bool,
    /// NULLS NOT DISTINCT.
    pub nulls_not_distinct: bool,
    /// Predicate as written.
    pub predicate: Option<Expression>,
    /// Valid; `false` for one made `ON ONLY` a partitioned table until all its
    /// partitions are attached, and for one that a snapshot says is invalid.
    pub valid: bool,
    /// Whose it is.
    pub owner: Owner,
    /// The partitioned index that it is attached to.
    pub parent: Option<Qualified>,
    /// The statement that created it; `None` when it was there before.
    pub created: Option<At>,
    /// Size in blocks, from a snapshot or server.
    pub pages: Option<f64>,
    /// `idx_scan`, from a snapshot or server.
    pub scans: Option<f64>,
}

impl IndexState {
    /// Key columns as long as they are plain columns.
    pub fn key_columns(&self) -> Vec<&str> {
        self.keys
            .iter()
            .map_while(|key| key.column.as_deref())
            .collect()
    }
}

/// A sequence.
#[derive(Debug, Clone)]
pub struct SequenceState {
    /// The column that owns it: with it, it is dropped.
    pub owned_by: Option<(Qualified, String)>,
    /// The statement that created it.
    pub created: Option<At>,
}

/// A trigger.
#[derive(Debug, Clone)]
pub struct TriggerState {
    /// Name.
    pub name: String,
    /// Enabled.
    pub enabled: bool,
    /// For each row, so that partitions have it, too.
    pub row: bool,
    /// The function that it calls.
    pub function: Name,
}

/// An enum type.
#[derive(Debug, Clone)]
pub struct EnumState {
    /// Its name.
    pub name: Qualified,
    /// Values, each with the statement that added it (`None` when it was there
    /// before).
    pub values: Vec<(String, Option<At>)>,
    /// The statement that created the type.
    pub created: Option<At>,
}

/// A domain.
#[derive(Debug, Clone)]
pub struct DomainState {
    /// Its name.
    pub name: Qualified,
    /// The type it is over.
    pub type_name: Option<TypeName>,
    /// NOT NULL.
    pub not_null: bool,
    /// It has CHECK constraints.
    pub checks: bool,
    /// Names of its CHECK constraints, in order.
    pub constraints: Vec<String>,
    /// It has a default.
    pub default: bool,
    /// The statement that created it.
    pub created: Option<At>,
}
