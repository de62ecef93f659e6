//! Extensions, by name only: their scripts come with the server.

use super::super::{PRIVILEGED_SCHEMA, TwinError};
use super::names::quoted;
use super::{Loader, refusal};
use crate::catalog::ident::quote;

/// Extensions that are not marked as trusted and yet give nobody a way to
/// files, programs or the network. Others of that kind (`dblink`, `file_fdw`,
/// untrusted languages) are not installed on a native server, where what a
/// snapshot defines could use them. `postgres_fdw` is only used for servers
/// that lead nowhere.
const HARMLESS: &[&str] = &[
    "address_standardizer",
    "autoinc",
    "bloom",
    "earthdistance",
    "hll",
    "hypopg",
    "insert_username",
    "intagg",
    "moddatetime",
    "pg_buffercache",
    "pg_freespacemap",
    "pg_prewarm",
    "pg_stat_statements",
    "pg_visibility",
    "pgrowlocks",
    "pgstattuple",
    "postgis",
    "postgis_raster",
    "postgis_sfcgal",
    "postgis_topology",
    "postgres_fdw",
    "refint",
    "rum",
    "semver",
    "tsm_system_rows",
    "tsm_system_time",
    "vector",
];

impl Loader<'_> {
    pub(super) fn make_extensions(&mut self) -> Result<(), TwinError> {
        let snapshot = self.snapshot;
        let mut waiting: Vec<_> = snapshot
            .extensions
            .iter()
            .filter(|extension| extension.name != "plpgsql")
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let trusted: Vec<String> = self
            .cluster
            .admin()?
            .query(
                "SELECT v.name::text FROM pg_catalog.pg_available_extension_versions AS v \
                 WHERE v.trusted",
                &[],
            )?
            .iter()
            .map(|row| crate::pg::catalog::get(row, 0))
            .collect::<Result<_, _>>()?;
        let owner = self.session_role()?;
        // One may need another, in any order.
        loop {
            let mut failed = Vec::new();
            let before = waiting.len();
            for extension in waiting {
                let name = extension.name.as_str();
                let message = if !self.cluster.has_extension(name) {
                    format!("{} does not have it", self.cluster.description())
                } else if !self.sandbox
                    && !trusted.iter().any(|other| other == name)
                    && !HARMLESS.contains(&name)
                {
                    "it may reach files, programs or the network, and is not installed for what \
                     a snapshot defines"
                        .to_owned()
                } else if extension.schema == PRIVILEGED_SCHEMA {
                    "its schema is the twin's own".to_owned()
                } else {
                    let schema = quoted(&extension.schema);
                    if !extension.schema.starts_with("pg_") {
                        let create =
                            format!("CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner}");
                        drop(refusal(self.cluster.admin()?.query(&create, &[]))?);
                    }
                    let create = format!("CREATE EXTENSION {} WITH SCHEMA {schema}", quoted(name));
                    match refusal(self.cluster.admin()?.query(&create, &[]))? {
                        Ok(_) => continue,
                        Err(message) => message,
                    }
                };
                failed.push((extension, message));
            }
            if failed.is_empty() || failed.len() == before {
                for (extension, message) in failed {
                    self.refuse(format!("extension {}", quote(&extension.name)), message);
                }
                return Ok(());
            }
            waiting = failed.into_iter().map(|(extension, _)| extension).collect();
        }
    }

    /// The role that executes what the snapshot defines, in quotes.
    pub(super) fn session_role(&mut self) -> Result<String, TwinError> {
        let rows = self
            .cluster
            .session()?
            .query("SELECT current_user::text", &[])?;
        let role: String = match rows.first() {
            Some(row) => crate::pg::catalog::get(row, 0)?,
            None => String::new(),
        };
        Ok(quoted(&role))
    }
}
