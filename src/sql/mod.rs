//! SQL text: statements, and what each asks of which relations.
//!
//! Every place is a span of the user's own text. Placeholders that no parser
//! takes are replaced first, byte ranges mapped back. A statement that cannot
//! be read is a [`Problem`], and the others go on.

mod bind;
pub mod condition;
pub mod ddl;
pub mod fingerprint;
mod placeholder;
mod precedence;
mod read;
pub(crate) mod scan;
mod split;
mod walk;

pub use bind::{Bound, bind};
pub(crate) use read::{is_command, read_from};
pub use read::{read, resolve};

use crate::source::{Problem, Span};

/// One statement of a text.
#[derive(Debug, Clone)]
pub struct Statement {
    /// From its first token to its last, without the semicolon.
    pub span: Span,
    /// Its text as the user wrote it.
    pub text: String,
    /// What the server is sent: the text with every placeholder as `$n`, psql
    /// variables and template pieces replaced. Equal to `text` when there are
    /// none.
    pub server_text: String,
    /// Where a byte of `server_text` came from.
    pub offsets: OffsetMap,
    /// What kind of statement.
    pub kind: StatementKind,
    /// Placeholders in order of their `$n`.
    pub placeholders: Vec<Placeholder>,
    /// Its meaning, for queries and data modification that could be read.
    pub query: Option<Query>,
    /// Suppressions in comments before or within the statement.
    pub suppressions: Vec<Suppression>,
    /// Trouble with this statement: a syntax error leaves `query` empty.
    pub problems: Vec<Problem>,
}

impl Statement {
    /// The highest `$n` of the text that the server is sent; 0 for none.
    pub fn parameters(&self) -> u32 {
        self.placeholders
            .iter()
            .map(|placeholder| placeholder.number)
            .max()
            .unwrap_or(0)
    }
}

/// Kinds of statement, as far as `EXPLAIN` takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatementKind {
    /// `SELECT`, `VALUES`, `TABLE`, with or without `WITH`.
    Select,
    /// `INSERT`.
    Insert,
    /// `UPDATE`.
    Update,
    /// `DELETE`.
    Delete,
    /// `MERGE`.
    Merge,
    /// Not something that EXPLAIN plans here.
    Other,
}

impl StatementKind {
    /// Whether executing the statement itself changes data. (A `SELECT` may
    /// still have a data-modifying CTE: see [`Query::modifies_data`].)
    pub fn modifies(self) -> bool {
        matches!(
            self,
            Self::Insert | Self::Update | Self::Delete | Self::Merge
        )
    }
}

/// A placeholder as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder {
    /// Where.
    pub span: Span,
    /// `?`, `:name`, `%(name)s`, `$1`, …
    pub text: String,
    /// The number of the `$n` that stands for it; the same name has the same
    /// number.
    pub number: u32,
}

/// `-- pgadvise: ignore RULE[, RULE] (reason)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// The comment.
    pub span: Span,
    /// Rule names as written.
    pub rules: Vec<String>,
    /// The reason in parentheses; `None` when there is none, which is itself
    /// worth a word.
    pub reason: Option<String>,
}

/// Byte offsets of the text that the server is sent, mapped to the user's.
///
/// Each piece says: from byte `from` of the sent text on, bytes stand at
/// `to + (offset - from)` of the source, until the next piece. Replaced pieces
/// map to where the replaced text starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetMap {
    /// `(from, to, verbatim)`, by `from`.
    pub pieces: Vec<(usize, usize, bool)>,
}

impl OffsetMap {
    /// Where in the source the byte came from.
    pub fn source_offset(&self, offset: usize) -> usize {
        let at = self.pieces.partition_point(|piece| piece.0 <= offset);
        match self.pieces.get(at.wrapping_sub(1)) {
            Some(&(from, to, true)) => to + (offset - from),
            Some(&(_, to, false)) => to,
            None => offset,
        }
    }
}

/// Index of a [`Select`] in [`Query::selects`].
pub type SelectId = usize;
/// Index of a [`RelationRef`] in [`Select::relations`].
pub type RelationId = usize;

/// What a statement asks.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Every query level; the outermost is first. A data-modifying statement's
    /// own level (its target, FROM/USING and WHERE) is first too.
    pub selects: Vec<Select>,
    /// The target of INSERT, UPDATE, DELETE or MERGE: relation 0 of level 0
    /// where the statement can filter it.
    pub target: Option<RelationRef>,
    /// The statement, or a CTE in it, changes data.
    pub modifies_data: bool,
    /// Names of all functions called, folded, with schema where written.
    pub functions: Vec<FunctionCall>,
    /// `FOR UPDATE` or its kind stands somewhere.
    pub locks_rows: bool,
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionCall {
    /// The whole call.
    pub span: Span,
    /// Its name, folded to lower case, without schema.
    pub name: String,
    /// The level it stands in.
    pub select: SelectId,
}

/// What a query level is for its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectRole {
    /// The statement itself.
    Top,
    /// `WITH name AS [NOT MATERIALIZED | MATERIALIZED] (…)`.
    Cte {
        /// Its name, folded.
        name: String,
        /// `Some(true)` for `MATERIALIZED`, `Some(false)` for `NOT MATERIALIZED`.
        materialized: Option<bool>,
        /// `WITH RECURSIVE` and it reads itself.
        recursive: bool,
    },
    /// `FROM (…) alias`; lateral or not.
    From {
        /// `LATERAL`.
        lateral: bool,
    },
    /// `x [NOT] IN (…)` and `x op ANY|ALL (…)`.
    In {
        /// `NOT IN`, or `<> ALL`.
        negated: bool,
    },
    /// `[NOT] EXISTS (…)`.
    Exists {
        /// `NOT EXISTS`.
        negated: bool,
    },
    /// A subquery that gives one value.
    Scalar,
    /// An arm of UNION, INTERSECT or EXCEPT.
    SetOperand,
}

/// One query level: a SELECT with its clauses.
#[derive(Debug, Clone)]
pub struct Select {
    /// The level around it.
    pub parent: Option<SelectId>,
    /// What it is for its parent.
    pub role: SelectRole,
    /// From `SELECT` (or `WITH`) to the last token.
    pub span: Span,
    /// FROM, in order of appearance, joins flattened.
    pub relations: Vec<RelationRef>,
    /// The joins as written.
    pub joins: Vec<Join>,
    /// Conditions of WHERE, ON and HAVING, taken apart at AND, OR and NOT.
    pub predicates: Vec<Predicate>,
    /// GROUP BY, plain items only.
    pub group_by: Vec<Expression>,
    /// ORDER BY.
    pub order_by: Vec<OrderKey>,
    /// DISTINCT, with the expressions of DISTINCT ON.
    pub distinct: Option<Vec<Expression>>,
    /// LIMIT or FETCH FIRST.
    pub limit: Option<Expression>,
    /// OFFSET.
    pub offset: Option<Expression>,
    /// The select list; `*` is an item without column.
    pub output: Vec<OutputItem>,
    /// Arms, when the level is a set operation: the arms are levels of their
    /// own with [`SelectRole::SetOperand`].
    pub set_operation: Option<SetOperation>,
    /// An aggregate stands in the select list or HAVING.
    pub has_aggregate: bool,
    /// A window function stands in the level.
    pub has_window: bool,
    /// It reads columns of a level around it.
    pub correlated: bool,
}

/// UNION, INTERSECT or EXCEPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetOperation {
    /// `union`, `intersect` or `except`.
    pub operator: String,
    /// `ALL`.
    pub all: bool,
    /// The arms.
    pub arms: Vec<SelectId>,
}

/// What stands in FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationRef {
    /// The item with its alias.
    pub span: Span,
    /// Name by which columns refer to it, folded.
    pub alias: String,
    /// What it is.
    pub kind: RelationRefKind,
    /// It stands on the nullable side of an outer join.
    pub nullable: bool,
}

/// Kinds of FROM items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelationRefKind {
    /// A table or view; resolved against the catalogue by `resolve`.
    Table {
        /// Schema as written, folded; after resolving, the schema found.
        schema: Option<String>,
        /// Name, folded.
        name: String,
        /// The catalogue has it.
        found: bool,
    },
    /// A CTE.
    Cte {
        /// Its level.
        select: SelectId,
    },
    /// A subquery.
    Subquery {
        /// Its level.
        select: SelectId,
    },
    /// A function, VALUES, or something else without a catalogue entry.
    Other,
}

/// A join as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// From the left item to the end of the condition.
    pub span: Span,
    /// Kind.
    pub kind: JoinKind,
    /// Relations of the left side.
    pub left: Vec<RelationId>,
    /// Relations of the right side.
    pub right: Vec<RelationId>,
    /// ON, USING or NATURAL is there.
    pub has_condition: bool,
    /// The comma of an old-style join.
    pub comma: bool,
}

/// Kinds of join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are SQL's own")]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    Cross,
}

/// A column as a level sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnRef {
    /// The reference as written, qualifier included.
    pub span: Span,
    /// The column's name, folded.
    pub name: String,
    /// The level whose FROM has it, and which item; `None` when it could not
    /// be told (no catalogue, or an ambiguous name).
    pub relation: Option<(SelectId, RelationId)>,
}

/// Any expression, as far as rules look at one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// Where.
    pub span: Span,
    /// What it comes to.
    pub operand: Operand,
}

/// One item of the select list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputItem {
    /// The item with its alias.
    pub span: Span,
    /// `AS alias`, or the column's name.
    pub name: Option<String>,
    /// What it comes to; `Operand::Star` for `*` and `t.*`.
    pub operand: Operand,
}

/// One key of ORDER BY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderKey {
    /// The key.
    pub expression: Expression,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST` or `LAST`, where written.
    pub nulls_first: Option<bool>,
}

/// Which clause a predicate stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are SQL's own")]
pub enum Clause {
    Where,
    On,
    Having,
}

/// A comparison, or anything else that is true or false, at the leaves of AND,
/// OR and NOT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// The whole predicate.
    pub span: Span,
    /// Its clause.
    pub clause: Clause,
    /// The operator, lower case: `=`, `<>`, `<`, `like`, `not like`, `ilike`,
    /// `in`, `not in`, `between`, `is null`, `is not null`, `@>`, `exists`,
    /// `not exists`, `is true`, … A bare boolean column is `is true`. When the column stands
    /// right of a commutable operator, operator and sides are exchanged, so
    /// that `5 < x` reads `x > 5`.
    pub operator: String,
    /// What is compared.
    pub left: Operand,
    /// What it is compared with.
    pub right: Operand,
    /// For BETWEEN, the upper bound.
    pub upper: Option<Operand>,
    /// Every AND around it up to the clause: it must be true for the row to
    /// pass. False under OR and NOT.
    pub conjunct: bool,
    /// Number of the OR expression it stands in, for OR'd predicates: leaves
    /// of the same top-level OR share it.
    pub or_group: Option<usize>,
    /// An ON condition of an outer join, which only decides matching.
    pub outer_join: bool,
}

/// One side of a predicate, or an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A column, bare.
    Column(ColumnRef),
    /// A column inside functions, casts or arithmetic, outermost first.
    Wrapped {
        /// The whole expression.
        span: Span,
        /// The only column in it.
        column: ColumnRef,
        /// What wraps it, outermost first.
        by: Vec<Wrapper>,
    },
    /// A constant.
    Literal {
        /// Where.
        span: Span,
        /// As written, with quotes and cast.
        text: String,
        /// The value without quotes; numbers as written.
        value: String,
        /// What kind of constant.
        kind: LiteralKind,
        /// The type it is cast to, if any, lower case as written.
        cast: Option<String>,
    },
    /// A placeholder, with the cast if any.
    Parameter {
        /// Where.
        span: Span,
        /// Its number.
        number: u32,
    },
    /// A list in parentheses or ARRAY[…] of constants and parameters.
    List {
        /// Where.
        span: Span,
        /// Its items.
        items: Vec<Self>,
    },
    /// A subquery.
    Subquery {
        /// Where, parentheses included.
        span: Span,
        /// Its level.
        select: SelectId,
    },
    /// No column in it, but calls or operators: `now() - interval '1 day'`.
    Constant {
        /// Where.
        span: Span,
        /// Functions called in it, folded.
        functions: Vec<String>,
    },
    /// Several columns or what cannot be told.
    Other {
        /// Where.
        span: Span,
        /// Every column in it.
        columns: Vec<ColumnRef>,
    },
    /// `*`, with the alias in `t.*`.
    Star {
        /// The alias.
        qualifier: Option<String>,
    },
    /// Nothing (the right side of IS NULL).
    Absent,
}

/// Kinds of constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LiteralKind {
    String,
    Integer,
    Numeric,
    Boolean,
    Null,
}

/// What stands around a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrapper {
    /// A call with the column among its arguments.
    Function {
        /// Folded name, without schema. `extract(f from x)` is `extract`.
        name: String,
        /// Where the call stands.
        span: Span,
        /// The other arguments as written (for extract: the field).
        arguments: Vec<String>,
    },
    /// `x::type`, `cast(x as type)`.
    Cast {
        /// The type, lower case as written.
        type_name: String,
        /// Where.
        span: Span,
    },
    /// `x + 1`, `1 - x`, `-x`.
    Arithmetic {
        /// The operator.
        operator: String,
        /// The other side as written; `None` for a prefix operator.
        other: Option<String>,
        /// The column stands left of the operator.
        column_left: bool,
        /// Where.
        span: Span,
    },
    /// `x COLLATE "C"`.
    Collate {
        /// The collation as written.
        name: String,
    },
    /// `x AT TIME ZONE 'UTC'`.
    AtTimeZone {
        /// The zone as written.
        zone: String,
        /// Where.
        span: Span,
    },
    /// `x -> 'k'`, `x ->> 'k'`, `x[1]`: taking a part.
    Part {
        /// The operator, or `[]`.
        operator: String,
        /// The key as written.
        key: String,
    },
}

impl Operand {
    /// The column, bare or wrapped.
    pub fn column(&self) -> Option<&ColumnRef> {
        match self {
            Self::Column(column) | Self::Wrapped { column, .. } => Some(column),
            _ => None,
        }
    }

    /// No column of any level in it: known before the query runs.
    pub fn is_constant(&self) -> bool {
        match self {
            Self::Literal { .. } | Self::Parameter { .. } | Self::Constant { .. } => true,
            Self::List { items, .. } => items.iter().all(Self::is_constant),
            _ => false,
        }
    }

    /// Where it stands.
    pub fn span(&self) -> Option<Span> {
        match self {
            Self::Column(column) => Some(column.span),
            Self::Wrapped { span, .. }
            | Self::Literal { span, .. }
            | Self::Parameter { span, .. }
            | Self::List { span, .. }
            | Self::Subquery { span, .. }
            | Self::Constant { span, .. }
            | Self::Other { span, .. } => Some(*span),
            Self::Star { .. } | Self::Absent => None,
        }
    }
}

impl Query {
    /// The relation that a column reference means.
    pub fn relation_of(&self, column: &ColumnRef) -> Option<&RelationRef> {
        let (select, relation) = column.relation?;
        self.selects.get(select)?.relations.get(relation)
    }

    /// Schema and name of the table that a column reference means, when the
    /// catalogue has it.
    pub fn table_of(&self, column: &ColumnRef) -> Option<(&str, &str)> {
        match &self.relation_of(column)?.kind {
            RelationRefKind::Table {
                schema: Some(schema),
                name,
                found: true,
            } => Some((schema, name)),
            _ => None,
        }
    }

    /// All predicates with their levels.
    pub fn predicates(&self) -> impl Iterator<Item = (SelectId, &Predicate)> {
        self.selects
            .iter()
            .enumerate()
            .flat_map(|(id, select)| select.predicates.iter().map(move |p| (id, p)))
    }
}
