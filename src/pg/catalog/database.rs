//! What belongs to the database as a whole: settings, search path, functions
//! and extensions.

use std::collections::BTreeMap;

use super::{Reader, get};
use crate::pg::error::Error;

/// Settings that planning, sizes, the reading of literals and advice depend
/// on, as a pattern over names. (Categories would be simpler, but are
/// translated.)
const SETTINGS: &str = "^(enable_.*|geqo.*|jit.*|cpu_.*|seq_page_cost|random_page_cost|parallel_.*\
|max_parallel_.*|min_parallel_.*|max_worker_processes|from_collapse_limit|join_collapse_limit\
|effective_.*|work_mem|hash_mem_multiplier|maintenance_work_mem|autovacuum.*|vacuum_.*|temp_buffers\
|temp_file_limit|logical_decoding_work_mem|shared_buffers|huge_pages|default_statistics_target\
|constraint_exclusion|cursor_tuple_fraction|plan_cache_mode|recursive_worktable_factor\
|default_transaction_.*|row_security|track_.*|block_size|wal_block_size|max_index_keys\
|max_identifier_length|server_encoding|client_encoding|server_version|server_version_num\
|lc_collate|lc_ctype|lc_messages|lc_monetary|lc_numeric|lc_time|TimeZone|DateStyle|IntervalStyle\
|standard_conforming_strings|bytea_output|extra_float_digits|integer_datetimes|data_checksums\
|statement_timeout|lock_timeout|idle_in_transaction_session_timeout|compute_query_id\
|shared_preload_libraries|session_preload_libraries|io_.*|transform_null_equals|backslash_quote\
|array_nulls|quote_all_identifiers|gin_.*|password_encryption|max_connections|fsync|full_page_writes\
|synchronous_commit|checkpoint_.*|max_wal_size|min_wal_size|debug_.*parallel.*)$";

impl Reader<'_> {
    pub(super) fn settings(&mut self) -> Result<BTreeMap<String, String>, Error> {
        // What the session set for itself is not the user's.
        let rows = self.session.query(
            "SELECT s.name, CASE WHEN s.name IN ('statement_timeout', 'lock_timeout', \
                 'idle_in_transaction_session_timeout') \
               THEN s.reset_val ELSE pg_catalog.current_setting(s.name, true) END \
             FROM pg_catalog.pg_settings AS s WHERE s.name ~ $1 \
               AND s.name NOT LIKE '%command%'",
            &[(&SETTINGS, tokio_postgres::types::Type::TEXT)],
        )?;
        let mut settings = BTreeMap::new();
        for row in &rows {
            if let Some(value) = get::<Option<String>>(row, 1)? {
                settings.insert(get(row, 0)?, value);
            }
        }
        Ok(settings)
    }

    pub(super) fn search_path(&mut self) -> Result<Vec<String>, Error> {
        let rows = self
            .session
            .query("SELECT pg_catalog.current_schemas(false)::text[]", &[])?;
        let mut path: Vec<String> = match rows.first() {
            Some(row) => get(row, 0)?,
            None => Vec::new(),
        };
        path.retain(|schema| schema != "pg_catalog");
        Ok(path)
    }

    pub(super) fn functions(&mut self) -> Result<BTreeMap<String, char>, Error> {
        // i < s < v: the greatest letter is the most volatile. A function that
        // an operator uses counts by its own name only.
        let rows = self.session.query(
            "SELECT p.proname::text, max(p.provolatile::text) \
             FROM pg_catalog.pg_proc AS p \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
             WHERE p.prokind <> 'p' AND p.prorettype <> 'trigger'::regtype \
               AND (p.provolatile <> 'i' OR n.nspname NOT IN ('pg_catalog', 'information_schema')) \
             GROUP BY p.proname",
            &[],
        )?;
        let mut functions = BTreeMap::new();
        for row in &rows {
            let volatility: String = get(row, 1)?;
            functions.insert(get(row, 0)?, volatility.chars().next().unwrap_or('v'));
        }
        Ok(functions)
    }

    /// Names of the extensions that are installed, and of those that could be.
    pub(super) fn extensions(&mut self) -> Result<(Vec<String>, Vec<String>), Error> {
        let names = |rows: Vec<tokio_postgres::Row>| -> Result<Vec<String>, Error> {
            let mut names = rows
                .iter()
                .map(|row| get(row, 0))
                .collect::<Result<Vec<String>, _>>()?;
            names.sort();
            Ok(names)
        };
        let installed = names(self.session.query(
            "SELECT e.extname::text FROM pg_catalog.pg_extension AS e",
            &[],
        )?)?;
        // It reads the server's files, which some services forbid.
        let available = self.session.undone(|session| {
            session.query(
                "SELECT a.name::text FROM pg_catalog.pg_available_extensions() AS a",
                &[],
            )
        });
        match available {
            Ok(rows) => Ok((installed, names(rows)?)),
            Err(Error::Refused(_) | Error::PermissionDenied { .. }) => {
                self.limits
                    .push("The extensions that could be installed are not known.".to_owned());
                Ok((installed, Vec::new()))
            }
            Err(error) => Err(error),
        }
    }
}
