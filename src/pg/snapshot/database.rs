//! What belongs to the database as a whole: where it is, its settings, its
//! extensions.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::{Reader, get};
use crate::pg::error::Error;
use crate::snapshot::{Extension, Origin, RoleSettings};

/// Settings that plans, the reading of literals and advice depend on, as a
/// pattern over names. (Categories would be simpler, but are translated.) It
/// also keeps secrets out, which may be in settings that users invent.
const SETTINGS: &str = "^(enable_.*|geqo.*|jit.*|cpu_.*|seq_page_cost|random_page_cost|parallel_.*\
|max_parallel_.*|min_parallel_.*|max_worker_processes|from_collapse_limit|join_collapse_limit\
|effective_.*|work_mem|hash_mem_multiplier|maintenance_work_mem|autovacuum.*|vacuum_.*|temp_buffers\
|temp_file_limit|logical_decoding_work_mem|shared_buffers|huge_pages|default_statistics_target\
|constraint_exclusion|cursor_tuple_fraction|plan_cache_mode|recursive_worktable_factor\
|default_transaction_.*|row_security|track_.*|block_size|wal_block_size|max_index_keys\
|max_identifier_length|server_encoding|server_version|server_version_num\
|lc_collate|lc_ctype|lc_messages|lc_monetary|lc_numeric|lc_time|TimeZone|DateStyle|IntervalStyle\
|default_text_search_config|default_table_access_method|default_with_oids|xmlbinary|xmloption\
|check_function_bodies|standard_conforming_strings|bytea_output|extra_float_digits\
|integer_datetimes|data_checksums|statement_timeout|lock_timeout\
|idle_in_transaction_session_timeout|compute_query_id|shared_preload_libraries\
|session_preload_libraries|io_.*|transform_null_equals|backslash_quote|array_nulls\
|quote_all_identifiers|gin_.*|password_encryption|max_connections|fsync|full_page_writes\
|synchronous_commit|checkpoint_.*|max_wal_size|min_wal_size|debug_.*parallel.*|force_parallel_mode)$";

impl Reader<'_> {
    pub(super) fn read_database(&mut self) -> Result<(), Error> {
        self.read_origin()?;
        self.read_settings()?;
        self.read_role_settings()?;
        self.read_extensions()
    }

    fn read_origin(&mut self) -> Result<(), Error> {
        let provider = if self.at_least(15) {
            "d.datlocprovider::text"
        } else {
            "'c'"
        };
        let locale = if self.at_least(17) {
            "d.datlocale"
        } else if self.at_least(15) {
            "d.daticulocale"
        } else {
            "NULL"
        };
        let rows = self.session.query(
            &format!(
                "SELECT d.datname::text, pg_catalog.pg_encoding_to_char(d.encoding)::text, {provider}, \
                   d.datcollate::text, d.datctype::text, {locale}::text, \
                   pg_catalog.current_setting('block_size')::int4, \
                   to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
                   pg_catalog.current_setting('search_path') \
                 FROM pg_catalog.pg_database AS d \
                 WHERE d.datname = pg_catalog.current_database()"
            ),
            &[],
        )?;
        let row = rows.first().ok_or_else(|| Error::Answer {
            reason: "the database is not in pg_database".to_owned(),
        })?;
        let block_size: i32 = get(row, 6)?;
        self.snapshot.origin = Origin {
            version_num: self.session.version_num(),
            version: self.session.version().to_owned(),
            database: get(row, 0)?,
            encoding: get(row, 1)?,
            locale_provider: get(row, 2)?,
            collate: get(row, 3)?,
            ctype: get(row, 4)?,
            locale: get(row, 5)?,
            block_size: block_size.unsigned_abs(),
            taken_at: if self.options.keep_time {
                Some(get(row, 7)?)
            } else {
                None
            },
        };
        self.snapshot.search_path = get(row, 8)?;
        Ok(())
    }

    fn read_settings(&mut self) -> Result<(), Error> {
        // What the session set for itself is not the user's.
        let rows = self.session.query(
            "SELECT s.name, CASE WHEN s.name IN ('statement_timeout', 'lock_timeout', \
                 'idle_in_transaction_session_timeout') \
               THEN s.reset_val ELSE pg_catalog.current_setting(s.name, true) END \
             FROM pg_catalog.pg_settings AS s WHERE s.name ~ $1 \
               AND s.name NOT LIKE '%command%'",
            &[(&SETTINGS, Type::TEXT)],
        )?;
        for row in &rows {
            if let Some(value) = get::<Option<String>>(row, 1)? {
                self.snapshot.settings.insert(get(row, 0)?, value);
            }
        }
        Ok(())
    }

    fn read_role_settings(&mut self) -> Result<(), Error> {
        let rows = self.session.query(
            "SELECT r.rolname::text, s.setdatabase <> 0, \
               split_part(c.setting, '=', 1), \
               substr(c.setting, strpos(c.setting, '=') + 1) \
             FROM pg_catalog.pg_db_role_setting AS s \
             LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole \
             CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting) \
             WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT d.oid \
                 FROM pg_catalog.pg_database AS d \
                 WHERE d.datname = pg_catalog.current_database())) \
               AND (s.setrole = 0 OR r.oid IS NOT NULL) \
               AND (split_part(c.setting, '=', 1) ~ $1 \
                 OR split_part(c.setting, '=', 1) = 'search_path') \
               AND split_part(c.setting, '=', 1) NOT LIKE '%command%'",
            &[(&SETTINGS, Type::TEXT)],
        )?;
        let mut found: BTreeMap<(Option<String>, bool), BTreeMap<String, String>> = BTreeMap::new();
        for row in &rows {
            found
                .entry((get(row, 0)?, get(row, 1)?))
                .or_default()
                .insert(get(row, 2)?, get(row, 3)?);
        }
        self.snapshot.role_settings = found
            .into_iter()
            .map(|((role, in_this_database), settings)| RoleSettings {
                role,
                in_this_database,
                settings,
            })
            .collect();
        Ok(())
    }

    fn read_extensions(&mut self) -> Result<(), Error> {
        let rows = self.session.query(
            "SELECT e.extname::text, n.nspname::text, e.extversion \
             FROM pg_catalog.pg_extension AS e \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace",
            &[],
        )?;
        for row in &rows {
            self.snapshot.extensions.push(Extension {
                name: get(row, 0)?,
                schema: get(row, 1)?,
                version: get(row, 2)?,
            });
        }
        self.snapshot.extensions.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }
}
