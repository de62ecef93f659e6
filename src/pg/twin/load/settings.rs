//! Settings that planning depends on, and what differs between the origin and
//! the twin.

use std::collections::BTreeMap;

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::collations::is_c;
use super::{Loader, refusal};
use crate::pg::catalog::get;

/// Settings that are taken over where this server has them and lets a role
/// without rights change them: the planner's, and those that say how literals
/// are read. Any other could reach beyond planning.
const PLANNING: &[&str] = &[
    "array_nulls",
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "DateStyle",
    "debug_parallel_query",
    "default_statistics_target",
    "default_text_search_config",
    "effective_cache_size",
    "effective_io_concurrency",
    "force_parallel_mode",
    "from_collapse_limit",
    "gin_fuzzy_search_limit",
    "hash_mem_multiplier",
    "IntervalStyle",
    "join_collapse_limit",
    "maintenance_work_mem",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_leader_participation",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "plan_cache_mode",
    "random_page_cost",
    "recursive_worktable_factor",
    "row_security",
    "seq_page_cost",
    "temp_buffers",
    "TimeZone",
    "transform_null_equals",
    "work_mem",
    "xmlbinary",
    "xmloption",
];

/// Beginnings of the names of more such settings.
const FAMILIES: [&str; 3] = ["enable_", "geqo", "jit"];

/// Of those, settings that say nothing about plans.
const NOT_PLANNING: [&str; 4] = [
    "jit_debugging_support",
    "jit_dump_bitcode",
    "jit_profiling_support",
    "jit_provider",
];

/// A setting that has another name since version 16: the old one and the new.
const RENAMED: (&str, &str) = ("force_parallel_mode", "debug_parallel_query");

fn is_planning(name: &str) -> bool {
    PLANNING
        .iter()
        .any(|known| known.eq_ignore_ascii_case(name))
        || FAMILIES.iter().any(|family| name.starts_with(family)) && !NOT_PLANNING.contains(&name)
}

/// The name of a setting in that version.
fn here(name: &str, major: u32) -> &str {
    let (old, new) = RENAMED;
    match name {
        _ if name == old && major >= 16 => new,
        _ if name == new && major < 16 => old,
        _ => name,
    }
}

impl Loader<'_> {
    /// Tries each setting and keeps those that the server takes.
    pub(super) fn choose_settings(&mut self) -> Result<(), TwinError> {
        let snapshot = self.snapshot;
        let settings: BTreeMap<&str, &String> = snapshot
            .settings
            .iter()
            .map(|(name, value)| (here(name, self.major), value))
            .collect();
        let names: Vec<&str> = settings
            .keys()
            .copied()
            .filter(|name| is_planning(name))
            .collect();
        let rows = self.cluster.session()?.query(
            "SELECT s.name, s.context, pg_catalog.current_setting(s.name) \
             FROM pg_catalog.pg_settings AS s \
             WHERE pg_catalog.lower(s.name) = ANY (SELECT pg_catalog.lower(n) \
               FROM pg_catalog.unnest($1) AS n)",
            &[(&names, Type::TEXT_ARRAY)],
        )?;
        let mut unknown: Vec<&str> = names.clone();
        for row in &rows {
            let name: String = get(row, 0)?;
            let context: String = get(row, 1)?;
            let current: String = get(row, 2)?;
            unknown.retain(|other| !other.eq_ignore_ascii_case(&name));
            let Some(value) = settings
                .iter()
                .find(|(other, _)| other.eq_ignore_ascii_case(&name))
                .map(|(_, value)| (*value).clone())
            else {
                continue;
            };
            if context != "user" {
                if value != current {
                    self.note(format!(
                        "{name} is {value} at the origin and {current} here"
                    ));
                }
                continue;
            }
            let taken = self.cluster.session()?.query(
                "SELECT pg_catalog.set_config($1, $2, true)",
                &[(&name, Type::TEXT), (&value, Type::TEXT)],
            );
            match refusal(taken)? {
                Ok(_) => self.loaded.settings.push((name, value)),
                Err(message) => self.note(format!(
                    "{name} is {value} at the origin, which this server does not take: {message}"
                )),
            }
        }
        if !unknown.is_empty() {
            unknown.sort_unstable();
            self.note(format!(
                "PostgreSQL {} does not have the setting{} {}",
                self.major,
                if unknown.len() == 1 { "" } else { "s" },
                unknown.join(", ")
            ));
        }
        if !snapshot.search_path.is_empty() {
            let taken = self.cluster.session()?.query(
                "SELECT pg_catalog.set_config('search_path', $1, true)",
                &[(&snapshot.search_path, Type::TEXT)],
            );
            match refusal(taken)? {
                Ok(_) => self
                    .loaded
                    .settings
                    .push(("search_path".to_owned(), snapshot.search_path.clone())),
                Err(message) => self.note(format!("the search_path is not taken: {message}")),
            }
        }
        Ok(())
    }

    /// Notes on what differs between the servers.
    pub(super) fn compare_servers(&mut self) {
        let origin = &self.snapshot.origin;
        if origin.block_size != 0 && origin.block_size != 8192 {
            self.note(format!(
                "the origin has blocks of {} bytes, and the twin of 8192",
                origin.block_size
            ));
        }
    }

    /// On a native cluster, whether its default collation is like the
    /// origin's.
    pub(super) fn compare_collations(&mut self) -> Result<(), TwinError> {
        let origin = &self.snapshot.origin;
        if self.sandbox || origin.collate.is_empty() {
            return Ok(());
        }
        let provider = if self.major >= 15 {
            "d.datlocprovider::text"
        } else {
            "'c'"
        };
        let rows = self.cluster.admin()?.query(
            &format!(
                "SELECT d.datcollate::text, {provider} FROM pg_catalog.pg_database AS d \
                 WHERE d.datname = pg_catalog.current_database()"
            ),
            &[],
        )?;
        let Some(row) = rows.first() else {
            return Ok(());
        };
        let collate: String = get(row, 0)?;
        let provider: String = get(row, 1)?;
        let here_c = match provider.as_str() {
            "i" => false,
            "b" => true,
            _ => matches!(collate.as_str(), "C" | "POSIX"),
        };
        if here_c != is_c(origin) {
            self.note(format!(
                "the origin's default collation is {}, which this machine does not have: here \
                 it is {collate}, with which the planner may use other indexes for LIKE",
                origin.locale.as_deref().unwrap_or(&origin.collate)
            ));
        } else if collate != origin.collate || provider != origin.locale_provider {
            self.note(format!(
                "the origin's default collation is {}; here it is {collate}, in which text may \
                 have another order",
                origin.locale.as_deref().unwrap_or(&origin.collate)
            ));
        }
        Ok(())
    }
}
