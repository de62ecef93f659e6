//! The twin: a throw-away cluster that plans as the server did from which a
//! snapshot was taken, without its rows.
//!
//! PostgreSQL's planner reads the schema, `pg_class`, `pg_statistic`, extended
//! statistics, settings, the size of each relation's file and the first page
//! of its indexes. [`load`] creates the schema and writes the catalogues;
//! [`lay`] gives the files their sizes and the indexes their first pages;
//! [`cache`] keeps what was made for the next run; [`planner`] plans, supposes
//! and puts everything back.

pub mod cache;
pub mod lay;
pub mod load;
pub mod planner;
pub mod sizes;

/// The schema of the functions with which a session without rights may change
/// sizes and statistics in the twin; see [`load`].
///
/// - `set_size(rel oid, pages int4, tuples float4, all_visible int4)` writes
///   `pg_class`.
/// - `set_statistics(rel oid, attnum int2, inherited bool, null_fraction
///   float4, width int4, n_distinct float4, kinds int2[], operators oid[],
///   collations oid[], numbers text[])` writes a row of `pg_statistic` whose
///   values are empty; each element of `numbers` is the text of a `float4[]`
///   or null. Only most common values (1), histograms (2) and correlations
///   (3) are written.
/// - `set_values(rel oid, attnum int2, inherited bool, slot int4, "values"
///   anyarray)` fills one slot's values. The caller has evaluated them, with
///   its own rights.
/// - `forget(rel oid, attnum int2)` deletes rows of `pg_statistic`; attnum 0
///   for all of the relation's.
pub const PRIVILEGED_SCHEMA: &str = "pgadvise_twin";

/// An object of a snapshot that the twin could not make; the rest goes on
/// without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What: `index public.orders_created_idx`, `extension postgis`.
    pub object: String,
    /// Why, in the server's words or ours.
    pub message: String,
}

/// A relation of the twin that has a file.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationFile {
    /// Schema.
    pub schema: String,
    /// Name of the table or index.
    pub name: String,
    /// `pg_class.oid` in the twin.
    pub oid: u32,
    /// The table of an index.
    pub table: Option<String>,
    /// Access method of an index.
    pub method: Option<String>,
    /// `pg_relation_filepath`.
    pub path: String,
}

/// What became of a snapshot in a cluster.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// What could not be made.
    pub refused: Vec<Refused>,
    /// What to know about plans made here, as sentences: another version,
    /// another collation, values left out.
    pub notes: Vec<String>,
    /// Session settings to apply on every connection, in order, as
    /// (name, value).
    pub settings: Vec<(String, String)>,
}

/// How far along a twin is, for progress: what is being done, how many of how
/// many.
pub type Progress<'a> = &'a mut dyn FnMut(&str, usize, usize);

/// Why there is no twin.
#[derive(Debug, thiserror::Error)]
pub enum TwinError {
    /// No cluster.
    #[error(transparent)]
    Cluster(#[from] super::cluster::ClusterError),
    /// The cluster's session broke.
    #[error("the twin's server does not answer")]
    Session(#[from] super::Error),
    /// A relation's file could not be given its size.
    #[error("cannot lay the file of {object}: {reason}")]
    File {
        /// Which relation.
        object: String,
        /// What to know: that the file system has no sparse files, or is full.
        reason: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The snapshot cannot be planned with at all.
    #[error("{reason}")]
    Unusable {
        /// Why.
        reason: String,
    },
}
