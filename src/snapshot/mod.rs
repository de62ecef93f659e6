//! A snapshot: all that PostgreSQL's planner knows about a database, and none
//! of its rows.
//!
//! These are plain values with one serialised form; [`file`] reads and writes
//! it. A server fills them (`pg::snapshot`), and a throw-away cluster is made
//! to plan like that server from them (`pg::twin`). Names are PostgreSQL's own
//! catalogue names where there is one. Lists are in a fixed order (by name, or
//! by number where there is one), so that the same database gives the same
//! bytes.

pub mod check;
pub mod file;
pub mod redact;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// A database without its rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Snapshot {
    /// Version of this format.
    pub format: u32,
    /// Where it was taken.
    pub origin: Origin,
    /// What was left out on purpose.
    #[serde(default)]
    pub values: Values,
    /// What could not be read, as sentences; empty when all was readable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// Settings that planning depends on, as `SHOW` prints them, in force for
    /// the role and database of the connection (`ALTER ROLE … SET` included).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// `search_path` as `SHOW` prints it.
    pub search_path: String,
    /// `pg_db_role_setting`: what roles and the database change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub role_settings: Vec<RoleSettings>,
    /// Installed extensions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
    /// Everything that is made by one statement and has no statistics:
    /// schemas, types, functions, sequences and so on, in an order in which
    /// they can be created. Members of extensions are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// Tables, views and the like, by schema and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
}

/// Where a snapshot was taken.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// `server_version_num`: 150004 for 15.4.
    pub version_num: u32,
    /// `server_version` as text.
    pub version: String,
    /// The database's name.
    pub database: String,
    /// `server_encoding`.
    pub encoding: String,
    /// Provider of the default collation: `c` (libc), `i` (ICU), `b` (builtin).
    pub locale_provider: String,
    /// `datcollate`.
    pub collate: String,
    /// `datctype`.
    pub ctype: String,
    /// `datlocale` (`daticulocale` in 15 and 16), of ICU and builtin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// `block_size`, bytes.
    pub block_size: u32,
    /// When it was taken (UTC, RFC 3339), for ages of statistics. Absent where
    /// the user asked for bytes that do not change from run to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
}

/// What a snapshot holds of the database's values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Most common values and histogram bounds as they are.
    #[default]
    Kept,
    /// Values of the same order and shape stand in for the real ones.
    Redacted,
    /// No value at all; frequencies are kept.
    LeftOut,
}

/// Settings of a role, of a database, or of a role in a database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoleSettings {
    /// The role; all roles without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Only in this database.
    #[serde(default)]
    pub in_this_database: bool,
    /// Name and value.
    pub settings: BTreeMap<String, String>,
}

/// An installed extension.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Extension {
    /// Name.
    pub name: String,
    /// Schema of its objects.
    pub schema: String,
    /// `extversion`.
    pub version: String,
}

/// What an [`Object`] is. The order is the one in which kinds are created.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum ObjectKind {
    Schema,
    Collation,
    /// Enum, composite, domain and range types.
    Type,
    Sequence,
    Function,
    Procedure,
    Aggregate,
    Operator,
    Cast,
    OperatorFamily,
    OperatorClass,
    TextSearchConfiguration,
    ForeignDataWrapper,
    ForeignServer,
}

/// Something that one statement creates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Object {
    /// Kind.
    pub kind: ObjectKind,
    /// `public.area(numeric, numeric)`: quoted and qualified, unique within
    /// its kind.
    pub name: String,
    /// The statement that creates it, everything in it qualified.
    pub create: String,
    /// Statements that complete it, such as further constraints of a domain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<String>,
}

/// `pg_class.relkind`, for what has columns.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum RelationKind {
    #[default]
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

/// A table, view, materialised view or foreign table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Relation {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: RelationKind,
    /// `UNLOGGED`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlogged: bool,
    /// Columns by `attnum`, from 1 without gaps: dropped ones are kept as
    /// [`Column::dropped`], so that numbers in statistics stay right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// `reloptions`: `fillfactor=70`, `security_barrier=true`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Parents in order (`inhseqno`), as (schema, name). One for a partition.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<(String, String)>,
    /// `FOR VALUES …` or `DEFAULT`, of a partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_bound: Option<String>,
    /// `RANGE (created_at)`, of a partitioned table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition_key: Option<String>,
    /// The query of a view or materialised view (`pg_get_viewdef`), names
    /// qualified, no final semicolon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// Server of a foreign table, with the table's options (`name=value`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<Foreign>,
    /// `ENABLE` and `FORCE ROW LEVEL SECURITY`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub row_security: bool,
    /// `FORCE ROW LEVEL SECURITY`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force_row_security: bool,
    /// Policies, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Triggers that users made (`pg_get_triggerdef`), by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<Definition>,
    /// Rewrite rules but for views' own (`pg_get_ruledef`), by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Definition>,
    /// Size and rows; absent for what has no storage. A partitioned table has
    /// `reltuples` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Constraints by name; those inherited from a parent say so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Constraint>,
    /// Indexes by name, those of constraints among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<Index>,
    /// Extended statistics objects by schema and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extended_statistics: Vec<ExtendedStatistics>,
    /// Counters of the cumulative statistics system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
}

/// A name with its definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Definition {
    /// Name, unqualified.
    pub name: String,
    /// The statement that creates it.
    pub definition: String,
}

/// Where a foreign table is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Foreign {
    /// Server.
    pub server: String,
    /// `ftoptions`, `name=value`. Secrets (`password`, `user`) are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A row security policy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// Name.
    pub name: String,
    /// `PERMISSIVE`, not `RESTRICTIVE`.
    pub permissive: bool,
    /// Command: `ALL`, `SELECT`, `INSERT`, `UPDATE`, `DELETE`.
    pub command: String,
    /// Roles; empty for PUBLIC.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// `USING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub using: Option<String>,
    /// `WITH CHECK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
}

/// Size of a relation, as the planner reckons with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Present size of the main fork in blocks (`pg_relation_size`).
    pub blocks: u64,
    /// `relpages`.
    pub pages: i64,
    /// `reltuples`; -1 when never analysed (0 before version 14).
    pub tuples: f32,
    /// `relallvisible`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub all_visible: i64,
    /// `relallfrozen`, since version 18.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_frozen: Option<i64>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Column {
    /// Name; of a dropped one what is left of it.
    pub name: String,
    /// `format_type`, qualified: `numeric(10,2)`, `shop.status[]`.
    pub type_name: String,
    /// It was dropped; only its number counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// `NOT NULL`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_null: bool,
    /// Default, or the expression of a generated column (`pg_get_expr`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// `attgenerated`: `s` (stored) or `v` (virtual, since 18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<String>,
    /// `attidentity`: `a` (ALWAYS) or `d` (BY DEFAULT).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Collation, quoted and qualified, where it is not the type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// `attstorage` where it is not the type's own: `p`, `e`, `m`, `x`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// `attcompression`: `p` or `l`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<String>,
    /// `SET STATISTICS`; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics_target: Option<i32>,
    /// `attoptions`: `n_distinct=-0.5`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Defined here and not only inherited (`attislocal`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited_only: bool,
    /// Rows of `pg_statistic`, that of the table itself before the inherited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statistics: Vec<Statistics>,
}

/// A row of `pg_statistic`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    /// `stainherit`: children's rows are counted in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// `stanullfrac`.
    #[serde(default)]
    pub null_fraction: f32,
    /// `stawidth`, bytes.
    pub width: i32,
    /// `stadistinct`: a count when positive, a share of the rows when negative.
    pub distinct: f32,
    /// Slots in order; at most five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slots: Vec<Slot>,
}

/// One slot of a `pg_statistic` row. Kinds are those of `pg_statistic.h`: 1
/// most common values, 2 histogram, 3 correlation, 4 most common elements, 5
/// histogram of element counts, 6 and 7 histograms of range lengths and
/// bounds; extensions have their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    /// `stakindN`.
    pub kind: i16,
    /// `staopN` as `regoperator` prints it, qualified:
    /// `pg_catalog.=(integer,integer)`. Absent for none; a reader that knows
    /// only `pg_stats` leaves it out, and the type's default stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// `stacollN`, quoted and qualified; absent for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<String>,
    /// `stanumbersN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<Vec<f32>>,
    /// `stavaluesN`; absent where the slot has none or they were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<ValueList>,
}

/// An `anyarray` of `pg_statistic`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ValueList {
    /// Type of the elements, as `format_type` prints it, qualified.
    pub element: String,
    /// The array's text: `{1,2,"a b"}`.
    pub array: String,
}

/// A constraint of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Constraint {
    /// Name.
    pub name: String,
    /// `contype`: `p`, `u`, `x`, `f`, `c`, `n` (since 18). Constraint triggers
    /// are among the triggers.
    pub kind: String,
    /// `pg_get_constraintdef`.
    pub definition: String,
    /// The index of a primary key, unique or exclusion constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// `convalidated`.
    pub validated: bool,
    /// It comes from a parent (`coninhcount > 0` or `conparentid <> 0`) and is
    /// not defined here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited_only: bool,
}

/// An index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Index {
    /// Name, without schema (it is the table's).
    pub name: String,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// Access method.
    pub method: String,
    /// `indisvalid`.
    pub valid: bool,
    /// The index of the parent that this one is attached to, as (schema, name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<(String, String)>,
    /// Size; absent for that of a partitioned table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// What its first page says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta: Option<IndexMeta>,
    /// Smallest and largest value of the leading key, as text: what
    /// `get_actual_variable_range` would read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<(String, String)>,
    /// Statistics of expression keys, by key number from 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statistics: BTreeMap<u16, Vec<Statistics>>,
    /// Statistics targets of expression keys, by key number from 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub statistics_targets: BTreeMap<u16, i32>,
    /// `idx_scan`, where the statistics system counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scans: Option<u64>,
}

/// What the planner reads from an index's first page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum IndexMeta {
    /// A B-tree.
    Btree {
        /// Levels above the leaves (`fastlevel`).
        height: u32,
        /// How it is known: `pageinspect`, `planner` (from the cost of a
        /// descent) or `size` (reckoned).
        from: String,
    },
    /// A GIN index (`GinStatsData`).
    Gin {
        /// `nTotalPages`.
        total_pages: u32,
        /// `nEntryPages`.
        entry_pages: u32,
        /// `nDataPages`.
        data_pages: u32,
        /// `nEntries`.
        entries: i64,
        /// `nPendingPages`.
        pending_pages: u32,
    },
    /// A BRIN index.
    Brin {
        /// Pages of its range map (`lastRevmapPage`).
        last_revmap_page: u32,
    },
}

/// An extended statistics object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtendedStatistics {
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// `pg_get_statisticsobjdef`.
    pub definition: String,
    /// `stxstattarget`; absent for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<i32>,
    /// `pg_statistic_ext_data`, that of the table itself before the inherited.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<ExtendedData>,
}

/// A row of `pg_statistic_ext_data`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExtendedData {
    /// `stxdinherit`, since version 15.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inherited: bool,
    /// `stxdndistinct` as hexadecimal bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_distinct: Option<String>,
    /// `stxddependencies` as hexadecimal bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependencies: Option<String>,
    /// `stxdmcv` as hexadecimal bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_common_values: Option<String>,
    /// What the enum values in these bytes are: labels by the numbers
    /// (`pg_enum.oid`) that stand for them there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enum_labels: BTreeMap<u32, String>,
    /// `stxdexpr`: statistics of expressions, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Statistics>,
}

/// `pg_stat_all_tables`, as far as advice needs it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Activity {
    /// `n_live_tup`.
    pub live_rows: i64,
    /// `n_dead_tup`.
    pub dead_rows: i64,
    /// `n_mod_since_analyze`.
    pub modified_since_analyze: i64,
    /// The last (auto-)ANALYZE, UTC, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analyzed_at: Option<String>,
    /// `n_tup_ins`.
    pub inserted: i64,
    /// `n_tup_upd`.
    pub updated: i64,
    /// `n_tup_del`.
    pub deleted: i64,
    /// `n_tup_hot_upd`.
    pub hot_updated: i64,
}

impl Snapshot {
    /// The major version of the server: 15 for 15.4.
    pub fn major(&self) -> u32 {
        self.origin.version_num / 10_000
    }

    /// The relation of that name.
    pub fn relation(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations
            .binary_search_by(|relation| {
                (relation.schema.as_str(), relation.name.as_str()).cmp(&(schema, name))
            })
            .ok()
            .and_then(|at| self.relations.get(at))
    }
}
