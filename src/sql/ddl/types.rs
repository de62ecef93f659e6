//! What a statement of a migration can be.
#![expect(
    clippy::struct_excessive_bools,
    reason = "each is a keyword of a statement"
)]

use std::fmt;

use super::others::{
    AlterDomain, AlterType, Body, CreateDomain, CreateFunction, CreateTrigger, CreateView, Dml,
    Setting, Transaction,
};
use crate::source::Span;
use crate::sql::Suppression;

/// One statement.
#[derive(Debug, Clone)]
pub struct Statement {
    /// Where it stands, without the semicolon.
    pub span: Span,
    /// Its first keywords, for messages: `ALTER TABLE`, `CREATE INDEX`.
    pub verb: String,
    /// What it does.
    pub action: Action,
    /// `-- pgadvise: ignore …` before it, in it, or behind it on its last line.
    pub suppressions: Vec<Suppression>,
    /// Pieces of a template stood in it, so that what was read may not be all
    /// that is run.
    pub templated: bool,
}

/// The name of an object, folded; the schema only where it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Schema, where written.
    pub schema: Option<String>,
    /// The name itself.
    pub name: String,
}

impl Name {
    /// A name without a schema.
    pub fn bare(name: impl Into<String>) -> Self {
        Self {
            schema: None,
            name: name.into(),
        }
    }

    /// A name with a schema.
    pub fn qualified(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            schema: Some(schema.into()),
            name: name.into(),
        }
    }

    /// As SQL, quoted where it must be.
    pub fn sql(&self) -> String {
        use crate::catalog::ident::quote;
        match &self.schema {
            Some(schema) => format!("{}.{}", quote(schema), quote(&self.name)),
            None => quote(&self.name),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A name and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name.
    pub name: Name,
    /// Where.
    pub span: Span,
}

/// What a statement does.
#[derive(Debug, Clone)]
pub enum Action {
    /// `CREATE TABLE`, `CREATE TABLE … AS`, `SELECT … INTO`, `CREATE FOREIGN TABLE`.
    CreateTable(Box<CreateTable>),
    /// `ALTER` of a table, view, materialised view, foreign table, index or
    /// sequence.
    Alter(Box<Alter>),
    /// `CREATE INDEX`.
    CreateIndex(Box<CreateIndex>),
    /// `DROP` of anything.
    Drop(Box<Drop>),
    /// `REINDEX`.
    Reindex {
        /// What is rebuilt: `Index`, `Table`, `Schema`, `Database` (or system).
        kind: ObjectKind,
        /// Its name; a database's may be missing.
        name: Option<Name>,
        /// `CONCURRENTLY`.
        concurrently: bool,
    },
    /// `CREATE TYPE`.
    CreateType(CreateType),
    /// `ALTER TYPE`.
    AlterType(AlterType),
    /// `CREATE DOMAIN`.
    CreateDomain(Box<CreateDomain>),
    /// `ALTER DOMAIN`.
    AlterDomain(Box<AlterDomain>),
    /// `CREATE VIEW`, `CREATE MATERIALIZED VIEW`.
    CreateView(Box<CreateView>),
    /// `REFRESH MATERIALIZED VIEW`.
    Refresh {
        /// The view.
        name: Name,
        /// `CONCURRENTLY`.
        concurrently: bool,
        /// `WITH NO DATA`.
        no_data: bool,
    },
    /// `CREATE FUNCTION`, `CREATE PROCEDURE`.
    CreateFunction(Box<CreateFunction>),
    /// `DO`.
    Do(Body),
    /// `CREATE TRIGGER`.
    CreateTrigger(Box<CreateTrigger>),
    /// `CREATE POLICY`.
    CreatePolicy {
        /// The policy.
        name: String,
        /// Its table.
        table: Place,
    },
    /// `ALTER POLICY`.
    AlterPolicy {
        /// The policy.
        name: String,
        /// Its table.
        table: Place,
    },
    /// `CREATE RULE`.
    CreateRule {
        /// The rule.
        name: String,
        /// Its table.
        table: Place,
    },
    /// `CREATE SEQUENCE`.
    CreateSequence {
        /// The sequence.
        name: Name,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `OWNED BY table.column`.
        owned_by: Option<(Name, String)>,
    },
    /// `CREATE SCHEMA`; its own statements follow as statements of their own.
    CreateSchema {
        /// The schema.
        name: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `CREATE EXTENSION`.
    CreateExtension {
        /// The extension.
        name: String,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
        /// `SCHEMA`.
        schema: Option<String>,
    },
    /// `CREATE STATISTICS`.
    CreateStatistics {
        /// The object.
        name: Option<Name>,
        /// Its table.
        table: Option<Place>,
        /// `IF NOT EXISTS`.
        if_not_exists: bool,
    },
    /// `COMMENT ON`.
    Comment {
        /// On what sort of thing.
        kind: ObjectKind,
        /// The relation, of a relation or its column, constraint or trigger.
        relation: Option<Name>,
    },
    /// `GRANT`, `REVOKE`.
    Grant {
        /// `REVOKE`.
        revoke: bool,
        /// Relations named.
        relations: Vec<Name>,
    },
    /// `ALTER … OWNER TO`, `RENAME TO`, `SET SCHEMA` and so on of what is no
    /// relation, domain or enum: functions, schemas, extensions, …
    AlterOther {
        /// What sort of thing.
        kind: ObjectKind,
        /// Its name.
        name: Option<Name>,
        /// `RENAME TO`.
        rename_to: Option<String>,
    },
    /// `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `COPY`, `SELECT`, `WITH`, `CALL`.
    Dml(Box<Dml>),
    /// `TRUNCATE`.
    Truncate {
        /// The tables.
        tables: Vec<Place>,
        /// `CASCADE`.
        cascade: bool,
    },
    /// `LOCK TABLE`.
    Lock {
        /// The tables.
        tables: Vec<Place>,
        /// Those that stand behind `ONLY`.
        only: Vec<Name>,
        /// The mode as written, upper case; `ACCESS EXCLUSIVE` when not.
        mode: String,
    },
    /// `CLUSTER`, or `REPACK`.
    Cluster {
        /// The table; all when missing.
        table: Option<Name>,
        /// `CONCURRENTLY` (REPACK, 19).
        concurrently: bool,
    },
    /// `VACUUM`.
    Vacuum {
        /// `FULL`.
        full: bool,
        /// The tables; all when empty.
        tables: Vec<Name>,
    },
    /// `ANALYZE`.
    Analyze {
        /// The tables; all when empty.
        tables: Vec<Name>,
    },
    /// Transaction control.
    Transaction(Transaction),
    /// `SET`, `RESET`, `SELECT set_config(…)`.
    Set(Setting),
    /// `CREATE/ALTER PUBLICATION … TABLE`.
    Publication {
        /// The tables named.
        tables: Vec<Name>,
    },
    /// `CREATE/DROP/ALTER DATABASE`, `TABLESPACE`, `ROLE`, `SUBSCRIPTION` and
    /// all else that is read and has no meaning here; the kind where known.
    Other {
        /// What sort of thing.
        kind: ObjectKind,
    },
    /// It could not be read; the problem is among those of the text.
    Unreadable,
}

/// Kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum ObjectKind {
    Table,
    ForeignTable,
    View,
    MaterializedView,
    Index,
    Sequence,
    Schema,
    Database,
    Type,
    Domain,
    Function,
    Procedure,
    Aggregate,
    Trigger,
    EventTrigger,
    Policy,
    Rule,
    Column,
    Constraint,
    Extension,
    Statistics,
    Publication,
    Subscription,
    Role,
    Tablespace,
    Owned,
    Other,
}

/// How long a table's data lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// As long as nobody drops it.
    #[default]
    Permanent,
    /// `UNLOGGED`.
    Unlogged,
    /// `TEMPORARY`.
    Temporary,
}

/// `CREATE TABLE`.
#[derive(Debug, Clone)]
pub struct CreateTable {
    /// The table.
    pub table: Place,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Persistence.
    pub persistence: Persistence,
    /// `CREATE FOREIGN TABLE`.
    pub foreign: bool,
    /// Columns.
    pub columns: Vec<ColumnDefinition>,
    /// Table constraints; those of columns stand with their columns.
    pub constraints: Vec<Constraint>,
    /// `LIKE` tables, with what `INCLUDING` names, upper case (`ALL`).
    pub like: Vec<(Name, Vec<String>)>,
    /// `INHERITS`.
    pub inherits: Vec<Name>,
    /// `PARTITION OF`.
    pub partition_of: Option<PartitionOf>,
    /// `PARTITION BY`.
    pub partition_by: Option<PartitionBy>,
    /// `OF type`.
    pub of_type: Option<Name>,
    /// `AS SELECT …`: the relations that it reads.
    pub query: Option<Vec<Name>>,
}

/// `PARTITION OF parent FOR VALUES …`.
#[derive(Debug, Clone)]
pub struct PartitionOf {
    /// The partitioned table.
    pub parent: Place,
    /// `FOR VALUES …` or `DEFAULT`, as written.
    pub bound: String,
    /// `DEFAULT`.
    pub default: bool,
}

/// `PARTITION BY`.
#[derive(Debug, Clone)]
pub struct PartitionBy {
    /// `range`, `list`, `hash`.
    pub strategy: String,
    /// Columns, or expressions as written.
    pub keys: Vec<String>,
}

/// A column as defined.
#[derive(Debug, Clone)]
pub struct ColumnDefinition {
    /// The whole definition.
    pub span: Span,
    /// Name, folded.
    pub name: String,
    /// Where the name stands.
    pub name_span: Span,
    /// Type; missing in `CREATE TABLE … PARTITION OF` and broken text.
    pub type_name: Option<Box<TypeName>>,
    /// `COLLATE`.
    pub collation: Option<String>,
    /// `DEFAULT`.
    pub default: Option<Box<Expression>>,
    /// `GENERATED ALWAYS AS (…)`.
    pub generated: Option<Box<Generated>>,
    /// `GENERATED … AS IDENTITY`.
    pub identity: bool,
    /// `NOT NULL` is written, or follows from PRIMARY KEY, serial or identity.
    pub not_null: bool,
    /// Constraints written with the column, its name in their `columns`.
    pub constraints: Vec<Constraint>,
}

/// `GENERATED ALWAYS AS (…) [STORED | VIRTUAL]`.
#[derive(Debug, Clone)]
pub struct Generated {
    /// The expression.
    pub expression: Expression,
    /// `Some(true)` for STORED, `Some(false)` for VIRTUAL, `None` when neither
    /// is written (which is VIRTUAL since 18, and an error before).
    pub stored: Option<bool>,
}

/// A type as written, and as PostgreSQL knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeName {
    /// Where it stands.
    pub span: Span,
    /// As `format_type` would print it for built-in types, arrays included:
    /// `character varying(20)`, `timestamp with time zone`, `integer[]`; for
    /// others the name as written, folded.
    pub text: String,
    /// Schema where written, and name in `pg_type` without array: `varchar`,
    /// `int4`, `timestamptz`, `my_enum`. `serial` types are `int2/4/8`.
    pub base: Name,
    /// Modifiers in parentheses: `["10", "2"]`.
    pub modifiers: Vec<String>,
    /// An array of any number of dimensions.
    pub array: bool,
    /// `serial`, `bigserial`, `smallserial`, as written.
    pub serial: bool,
}

/// The shape of a type's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeShape {
    /// `AS ENUM (…)`: the values.
    Enum(Vec<String>),
    /// Composite, range, base or shell.
    Other,
}

/// `CREATE TYPE`.
#[derive(Debug, Clone)]
pub struct CreateType {
    /// The type.
    pub name: Name,
    /// Its shape.
    pub shape: TypeShape,
}

/// An expression of which the text, and what it names, are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Where it stands, without parentheses around it.
    pub span: Span,
    /// As written, without parentheses around it.
    pub text: String,
    /// Functions called, folded, in order; `now`, `current_timestamp` and
    /// such among them.
    pub functions: Vec<Name>,
    /// Columns named, folded, in order, each once.
    pub columns: Vec<String>,
    /// Types that values are cast to, by their name in `pg_type`.
    pub casts: Vec<Name>,
    /// String constants in it, unescaped.
    pub strings: Vec<String>,
    /// Only constants, casts and operators on them.
    pub constant: bool,
    /// It is the constant NULL, cast or not.
    pub null: bool,
}

/// A constraint as defined.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Where it stands.
    pub span: Span,
    /// Its name where written.
    pub name: Option<String>,
    /// Kind.
    pub kind: ConstraintKind,
    /// The columns it is on, in order; of CHECK those that it names.
    pub columns: Vec<String>,
    /// `NOT VALID`.
    pub not_valid: bool,
    /// `NOT ENFORCED` (18).
    pub not_enforced: bool,
    /// `DEFERRABLE`.
    pub deferrable: bool,
    /// `NO INHERIT`.
    pub no_inherit: bool,
    /// `USING INDEX name`.
    pub using_index: Option<String>,
    /// `INCLUDE` of a key.
    pub include: Vec<String>,
}

/// Kinds of constraint.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum ConstraintKind {
    NotNull,
    PrimaryKey,
    Unique {
        nulls_not_distinct: bool,
    },
    Check {
        expression: Box<Expression>,
    },
    ForeignKey {
        table: Box<Place>,
        columns: Vec<String>,
        on_delete: Referential,
        on_update: Referential,
    },
    Exclusion {
        method: String,
        /// Keys in order, those that are expressions, too.
        keys: Vec<IndexKey>,
        /// `WHERE`.
        predicate: Option<Box<Expression>>,
    },
}

/// What a foreign key does to the rows that refer to one that is deleted, or
/// whose key is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum Referential {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

impl Referential {
    /// The words behind `ON DELETE` and `ON UPDATE`.
    pub fn sql(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

/// `ALTER TABLE` and its like.
#[derive(Debug, Clone)]
pub struct Alter {
    /// What is altered, as the statement says: `ALTER TABLE` may name an
    /// index, a view or a sequence, too.
    pub object: ObjectKind,
    /// The relation.
    pub relation: Place,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// `ONLY`.
    pub only: bool,
    /// The commands, in order.
    pub commands: Vec<Command>,
}

/// One command of an `ALTER`.
#[derive(Debug, Clone)]
pub struct Command {
    /// Where it stands.
    pub span: Span,
    /// What it does.
    pub kind: AlterKind,
}

/// Which triggers or rules.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum Which {
    All,
    User,
    Named(String),
}

/// Kinds of command of an `ALTER`.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum AlterKind {
    AddColumn {
        column: Box<ColumnDefinition>,
        if_not_exists: bool,
    },
    DropColumn {
        column: String,
        if_exists: bool,
        cascade: bool,
    },
    AddConstraint(Box<Constraint>),
    DropConstraint {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    ValidateConstraint {
        name: String,
    },
    AlterConstraint {
        name: String,
        /// `ENFORCED` or `NOT ENFORCED` (18), where written.
        enforced: Option<bool>,
    },
    SetType {
        column: String,
        type_name: Box<TypeName>,
        using: Option<Box<Expression>>,
        collation: Option<String>,
    },
    SetNotNull {
        column: String,
    },
    DropNotNull {
        column: String,
    },
    SetDefault {
        column: String,
        default: Box<Expression>,
    },
    DropDefault {
        column: String,
    },
    /// `SET EXPRESSION AS` (17).
    SetExpression {
        column: String,
    },
    DropExpression {
        column: String,
    },
    AddIdentity {
        column: String,
    },
    DropIdentity {
        column: String,
    },
    /// `SET GENERATED`, `RESTART` and so on of an identity column.
    SetIdentity {
        column: String,
    },
    SetStatistics {
        column: String,
    },
    SetStorage {
        column: String,
    },
    SetCompression {
        column: String,
    },
    /// `SET (…)` and `RESET (…)` of a column.
    SetColumnOptions {
        column: String,
    },
    RenameTo {
        name: String,
    },
    RenameColumn {
        from: String,
        to: String,
    },
    RenameConstraint {
        from: String,
        to: String,
    },
    SetSchema {
        schema: String,
    },
    OwnerTo,
    /// `ATTACH PARTITION` of a table or an index.
    AttachPartition {
        partition: Box<Place>,
        /// `FOR VALUES …` or `DEFAULT`; empty for an index.
        bound: String,
        default: bool,
    },
    DetachPartition {
        partition: Box<Place>,
        concurrently: bool,
        finalize: bool,
    },
    ClusterOn {
        index: String,
    },
    SetWithoutCluster,
    EnableTrigger(Which),
    DisableTrigger(Which),
    EnableRule,
    DisableRule,
    EnableRowSecurity,
    DisableRowSecurity,
    ForceRowSecurity,
    NoForceRowSecurity,
    ReplicaIdentity {
        /// `USING INDEX name`.
        index: Option<String>,
    },
    Inherit {
        parent: Name,
    },
    NoInherit {
        parent: Name,
    },
    OfType,
    NotOf,
    SetLogged,
    SetUnlogged,
    SetAccessMethod {
        method: String,
    },
    SetTablespace {
        tablespace: String,
    },
    /// `SET (…)`: names of the options.
    SetOptions(Vec<String>),
    ResetOptions(Vec<String>),
    SetWithoutOids,
    /// `OWNED BY table.column` of a sequence.
    OwnedBy {
        table: Name,
        column: String,
    },
    /// Read, without meaning here.
    Other,
}

/// `CREATE INDEX`.
#[derive(Debug, Clone)]
pub struct CreateIndex {
    /// Its name where written.
    pub name: Option<String>,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `UNIQUE`.
    pub unique: bool,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// `ON ONLY`.
    pub only: bool,
    /// The table.
    pub table: Place,
    /// Access method; `btree` when not written.
    pub method: String,
    /// Keys in order.
    pub keys: Vec<IndexKey>,
    /// `INCLUDE`.
    pub include: Vec<String>,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// `WHERE`.
    pub predicate: Option<Expression>,
    /// Byte where `CONCURRENTLY` can be inserted: behind the word `INDEX`.
    pub after_index: usize,
}

/// A key of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexKey {
    /// The column, unless the key is an expression.
    pub column: Option<String>,
    /// Column name, or the expression as written.
    pub text: String,
    /// Functions the expression calls.
    pub functions: Vec<Name>,
    /// Columns the key names.
    pub columns: Vec<String>,
    /// Operator class where written.
    pub opclass: Option<String>,
    /// Collation where written.
    pub collation: Option<String>,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST` or `LAST` where written.
    pub nulls_first: Option<bool>,
}

/// `DROP`.
#[derive(Debug, Clone)]
pub struct Drop {
    /// What sort of thing.
    pub object: ObjectKind,
    /// The things.
    pub names: Vec<Place>,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// `CASCADE`.
    pub cascade: bool,
    /// `CONCURRENTLY`.
    pub concurrently: bool,
    /// The table, of a trigger, rule or policy.
    pub on: Option<Place>,
    /// Byte where `CONCURRENTLY` can be inserted: behind the object's keyword.
    pub after_object: usize,
}
