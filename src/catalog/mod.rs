//! The catalogue: tables, columns, indexes, constraints, statistics and
//! settings, as plain immutable values.
//!
//! The same type is read from a live server and from a throw-away cluster that
//! executed a schema file, so that PostgreSQL, not pgadvise, reads DDL.
//! Relations are sorted by schema and name.

pub mod apply;
pub mod expression;
pub mod ident;
pub mod size;

use std::collections::BTreeMap;

/// All that is known about one database.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// `server_version_num`: 150004 for 15.4.
    pub version_num: u32,
    /// `server_version` as text.
    pub version: String,
    /// The effective `search_path`, without `pg_catalog`.
    pub search_path: Vec<String>,
    /// Settings (`pg_settings`), in the unit that `SHOW` prints.
    pub settings: BTreeMap<String, String>,
    /// Tables, views and their kind, sorted by schema and name.
    pub relations: Vec<Relation>,
    /// User-defined and built-in functions that are not immutable or that
    /// users made, by name: the volatility of the most volatile overload
    /// (`i`, `s` or `v`).
    pub functions: BTreeMap<String, char>,
    /// Names of installed extensions.
    pub extensions: Vec<String>,
    /// Names of extensions that could be created.
    pub available_extensions: Vec<String>,
    /// What the role may not see, as sentences; empty when all was readable.
    pub limits: Vec<String>,
}

/// `pg_class.relkind`, for what a query can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

/// A table, view, materialised view or foreign table.
#[derive(Debug, Clone)]
pub struct Relation {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Schema.
    pub schema: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: RelationKind,
    /// Columns by number, dropped ones left out.
    pub columns: Vec<Column>,
    /// Indexes by name.
    pub indexes: Vec<Index>,
    /// Constraints by name.
    pub constraints: Vec<Constraint>,
    /// Extended statistics objects by name.
    pub statistics: Vec<StatisticsObject>,
    /// Strategy and key of a partitioned table.
    pub partition_key: Option<String>,
    /// The parent (schema, name), of a partition or an inheritance child.
    pub parent: Option<(String, String)>,
    /// `FOR VALUES …`, of a partition.
    pub partition_bound: Option<String>,
    /// Present size of the main fork in blocks; partitions summed for a
    /// partitioned table.
    pub pages: f64,
    /// `reltuples`: rows as of the last ANALYZE or VACUUM; `None` when never
    /// analysed (-1 since version 14). Partitions summed when `ANALYZE` on the
    /// parent did not set it.
    pub tuples: Option<f64>,
    /// `relallvisible`, in blocks.
    pub all_visible_pages: f64,
    /// Row-level security is enabled.
    pub row_security: bool,
    /// Counters of the cumulative statistics system.
    pub activity: Option<Activity>,
}

/// `pg_stat_all_tables`, as far as advice needs it.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    /// `n_live_tup`.
    pub live_rows: f64,
    /// `n_dead_tup`.
    pub dead_rows: f64,
    /// `n_mod_since_analyze`.
    pub modified_since_analyze: f64,
    /// Seconds since the last (auto-)ANALYZE; `None` when never or not known.
    pub seconds_since_analyze: Option<f64>,
    /// `n_tup_ins`.
    pub inserted: f64,
    /// `n_tup_upd`.
    pub updated: f64,
    /// `n_tup_del`.
    pub deleted: f64,
    /// `n_tup_hot_upd`.
    pub hot_updated: f64,
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// `attnum`.
    pub number: i16,
    /// Name.
    pub name: String,
    /// `format_type(atttypid, atttypmod)`: `character varying(20)`.
    pub type_name: String,
    /// The bare name of the base type in `pg_type` (domains resolved):
    /// `varchar`, `timestamptz`, `int4`, `_text` for `text[]`.
    pub base_type: String,
    /// `attnotnull` (with validated constraints since version 18).
    pub not_null: bool,
    /// The default's or generation expression's text.
    pub default: Option<String>,
    /// Generated always, stored or virtual.
    pub generated: bool,
    /// Collation name, for collatable types; `default` for the database's.
    pub collation: Option<String>,
    /// The collation in force is C or POSIX, so that LIKE prefixes can use a
    /// plain B-tree.
    pub collation_is_c: bool,
    /// `attstattarget` where set.
    pub statistics_target: Option<i32>,
    /// `pg_stats`.
    pub stats: Option<ColumnStatistics>,
}

/// A row of `pg_stats` (or, for an expression, of its index's or statistics
/// object's).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnStatistics {
    /// `null_frac`, 0 to 1.
    pub null_fraction: f64,
    /// `avg_width`, bytes.
    pub average_width: f64,
    /// `n_distinct`: a count when positive, a share of the rows when negative.
    pub n_distinct: f64,
    /// `most_common_vals` with `most_common_freqs`.
    pub most_common: Vec<(String, f64)>,
    /// `histogram_bounds`.
    pub histogram: Vec<String>,
    /// `correlation`, -1 to 1.
    pub correlation: Option<f64>,
    /// `most_common_elems` with frequencies, of arrays and tsvectors.
    pub most_common_elements: Vec<(String, f64)>,
}

impl ColumnStatistics {
    /// Distinct values among `rows` rows.
    pub fn distinct(&self, rows: f64) -> f64 {
        if self.n_distinct < 0.0 {
            (-self.n_distinct * rows).max(1.0)
        } else {
            self.n_distinct.max(1.0)
        }
    }
}

/// An index.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of pg_index of its own"
)]
pub struct Index {
    /// `pg_class.oid`; 0 for one that is only supposed.
    pub oid: u32,
    /// Name, without schema.
    pub name: String,
    /// Access method: `btree`, `hash`, `gin`, `gist`, `spgist`, `brin`, …
    pub method: String,
    /// Key columns and expressions in order.
    pub keys: Vec<IndexKey>,
    /// `INCLUDE` columns.
    pub include: Vec<String>,
    /// `UNIQUE`.
    pub unique: bool,
    /// Backs the primary key.
    pub primary: bool,
    /// `indisvalid and indisready`.
    pub valid: bool,
    /// Checked at once, not deferrable (`indimmediate`).
    pub immediate: bool,
    /// `NULLS NOT DISTINCT`.
    pub nulls_not_distinct: bool,
    /// The predicate of a partial index, as deparsed.
    pub predicate: Option<String>,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// Size in blocks.
    pub pages: f64,
    /// `reltuples`.
    pub tuples: Option<f64>,
    /// `idx_scan`, where the statistics system counted.
    pub scans: Option<f64>,
}

impl Index {
    /// The leading key's column, unless it is an expression.
    pub fn leading_column(&self) -> Option<&str> {
        self.keys.first().and_then(|key| key.column.as_deref())
    }

    /// Key columns as long as they are plain columns.
    pub fn key_columns(&self) -> Vec<&str> {
        self.keys
            .iter()
            .map_while(|key| key.column.as_deref())
            .collect()
    }
}

/// One key of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexKey {
    /// The column, unless the key is an expression.
    pub column: Option<String>,
    /// The column's name or the expression as `pg_get_indexdef` deparses it.
    pub text: String,
    /// Operator class name.
    pub opclass: String,
    /// It is the default operator class of its type.
    pub default_opclass: bool,
    /// The collation's name when it is not the column's own.
    pub collation: Option<String>,
    /// `DESC`.
    pub descending: bool,
    /// `NULLS FIRST`.
    pub nulls_first: bool,
    /// Statistics of an expression key.
    pub stats: Option<ColumnStatistics>,
}

/// A table constraint.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: ConstraintKind,
    /// The columns it is on, in order.
    pub columns: Vec<String>,
    /// `convalidated` (and, since 18, enforced).
    pub validated: bool,
    /// `condeferrable`.
    pub deferrable: bool,
}

/// Kinds of constraint.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the names are PostgreSQL's own")]
pub enum ConstraintKind {
    PrimaryKey,
    Unique,
    ForeignKey {
        schema: String,
        table: String,
        columns: Vec<String>,
    },
    Check {
        expression: String,
    },
    Exclusion,
    NotNull,
}

/// An extended statistics object.
#[derive(Debug, Clone)]
pub struct StatisticsObject {
    /// Name, without schema.
    pub name: String,
    /// Kinds: `ndistinct`, `dependencies`, `mcv`, `expressions`.
    pub kinds: Vec<String>,
    /// Columns.
    pub columns: Vec<String>,
    /// Expressions as deparsed, each with its statistics where computed.
    pub expressions: Vec<String>,
    /// ANALYZE has filled it.
    pub computed: bool,
    /// Joint distinct counts, by column-number set as `pg_stats_ext` prints it.
    pub n_distinct: Option<String>,
}

impl Catalog {
    /// Finds a relation as a query names it: by schema and name, or by name
    /// alone along the search path, then `pg_catalog`.
    pub fn relation(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        match schema {
            Some(schema) => self.exact(schema, name),
            None => self
                .search_path
                .iter()
                .map(String::as_str)
                .chain(["pg_catalog"])
                .find_map(|schema| self.exact(schema, name)),
        }
    }

    fn exact(&self, schema: &str, name: &str) -> Option<&Relation> {
        self.relations
            .binary_search_by(|relation| {
                (relation.schema.as_str(), relation.name.as_str()).cmp(&(schema, name))
            })
            .ok()
            .and_then(|at| self.relations.get(at))
    }

    /// Finds the table of a plan node, whose schema is known only under
    /// `VERBOSE`. Without it the search path decides, then a name that only
    /// one schema has.
    pub fn relation_of_plan(&self, schema: Option<&str>, name: &str) -> Option<&Relation> {
        self.relation(schema, name).or_else(|| {
            if schema.is_some() {
                return None;
            }
            let mut matches = self
                .relations
                .iter()
                .filter(|relation| relation.name == name);
            let first = matches.next()?;
            matches.next().is_none().then_some(first)
        })
    }

    /// The index of that name with its table; names are unique in a schema.
    pub fn index(&self, name: &str) -> Option<(&Relation, &Index)> {
        self.relations.iter().find_map(|relation| {
            relation
                .indexes
                .iter()
                .find(|index| index.name == name)
                .map(|index| (relation, index))
        })
    }

    /// A setting as `SHOW` prints it.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// The major version: 15 for 15.4.
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }

    /// Whether any relation has statistics, so that rules that need them can
    /// speak.
    pub fn has_statistics(&self) -> bool {
        self.relations
            .iter()
            .any(|relation| relation.columns.iter().any(|column| column.stats.is_some()))
    }
}

impl Relation {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// `schema.name`, quoted where needed.
    pub fn qualified(&self) -> String {
        format!(
            "{}.{}",
            ident::quote(&self.schema),
            ident::quote(&self.name)
        )
    }

    /// The name as it can be written under that search path: qualified only
    /// where needed, quoted where needed.
    pub fn display_name(&self, catalog: &Catalog) -> String {
        match catalog.relation(None, &self.name) {
            Some(found) if found.oid == self.oid && found.schema == self.schema => {
                ident::quote(&self.name)
            }
            _ => self.qualified(),
        }
    }

    /// Rows, as the planner reckons: density of the last ANALYZE times the
    /// present size.
    pub fn rows(&self) -> f64 {
        self.tuples.unwrap_or(0.0)
    }

    /// The columns are the key of a unique, valid, immediate, total index of
    /// plain columns, all of them NOT NULL (or NULLS NOT DISTINCT).
    pub fn is_unique_key(&self, columns: &[&str]) -> bool {
        self.indexes.iter().any(|index| {
            let keys = index.key_columns();
            index.unique
                && index.valid
                && index.immediate
                && index.predicate.is_none()
                && keys.len() == index.keys.len()
                && keys.iter().all(|key| columns.contains(key))
                && (index.nulls_not_distinct
                    || keys
                        .iter()
                        .all(|key| self.column(key).is_some_and(|column| column.not_null)))
        })
    }
}
