//! Collations: stand-ins for those that this machine or engine lacks.
//!
//! What counts for the planner is the name and that a collation is not C: a
//! prefix search on a collation other than C cannot use a plain index.

use std::collections::BTreeSet;

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::names::{parts, qualified, quoted};
use super::{Loader, refusal};
use crate::pg::catalog::get;
use crate::snapshot::{Origin, Snapshot};

/// Locales for stand-ins, the first that works is taken. None of them is C.
const STAND_INS: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "en_US.utf8"];

impl Loader<'_> {
    /// Makes the built-in collations that the snapshot mentions and this
    /// server lacks.
    pub(super) fn make_collations(&mut self) -> Result<(), TwinError> {
        let wanted: Vec<String> = mentioned(self.snapshot)
            .into_iter()
            .filter(|name| name.len() < 64 && !name.contains('\0'))
            .collect();
        if !wanted.is_empty() {
            let rows = self.cluster.admin()?.query(
                "SELECT n::text FROM pg_catalog.unnest($1) AS n WHERE NOT EXISTS (\
                 SELECT FROM pg_catalog.pg_collation AS c WHERE c.collname = n \
                 AND c.collencoding IN (-1, (SELECT d.encoding FROM pg_catalog.pg_database AS d \
                   WHERE d.datname = pg_catalog.current_database())))",
                &[(&wanted, Type::NAME_ARRAY)],
            )?;
            // Those that the snapshot itself defines are not built in.
            let own: BTreeSet<String> = self
                .snapshot
                .objects
                .iter()
                .filter(|object| object.kind == crate::snapshot::ObjectKind::Collation)
                .filter_map(|object| parts(&object.name).pop())
                .collect();
            let mut made = Vec::new();
            for row in &rows {
                let name: String = get(row, 0)?;
                if own.contains(&name) {
                    continue;
                }
                if self.stand_in(&name)? {
                    made.push(quoted(&name));
                } else {
                    self.refuse(
                        format!("collation {}", quoted(&name)),
                        "this server has no locale that could stand in for it",
                    );
                }
            }
            if !made.is_empty() {
                self.note(format!(
                    "the twin lacks the collation{} {}: another with the same name stands in, \
                     which orders by code points",
                    if made.len() == 1 { "" } else { "s" },
                    made.join(", ")
                ));
            }
        }
        if self.sandbox {
            self.set_default_collation()?;
        }
        Ok(())
    }

    fn stand_in(&mut self, name: &str) -> Result<bool, TwinError> {
        for locale in STAND_INS {
            let sql = format!(
                "CREATE COLLATION {} (provider = libc, locale = '{locale}')",
                qualified("pg_catalog", name)
            );
            if refusal(self.cluster.admin()?.query(&sql, &[]))?.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The embedded engine's database is made before the snapshot is known,
    /// with C.
    fn set_default_collation(&mut self) -> Result<(), TwinError> {
        let origin = &self.snapshot.origin;
        if origin.collate.is_empty() {
            return Ok(());
        }
        let (collate, ctype) = if is_c(origin) {
            ("C".to_owned(), "C".to_owned())
        } else if origin.locale_provider == "c" {
            (origin.collate.clone(), origin.ctype.clone())
        } else {
            let name = origin.locale.clone().unwrap_or_else(|| "und".to_owned());
            (name.clone(), name)
        };
        if collate != "C" {
            self.note(format!(
                "the database's collation {collate} orders by code points in the embedded engine"
            ));
        }
        self.cluster.admin()?.query(
            "UPDATE pg_catalog.pg_database SET datcollate = $1, datctype = $2 \
             WHERE datname = pg_catalog.current_database() \
             AND (datcollate, datctype) IS DISTINCT FROM ($1, $2)",
            &[(&collate, Type::TEXT), (&ctype, Type::TEXT)],
        )?;
        Ok(())
    }
}

/// Whether the planner takes the database's default collation for C.
pub(super) fn is_c(origin: &Origin) -> bool {
    match origin.locale_provider.as_str() {
        "i" => false,
        "b" => true,
        _ => matches!(origin.collate.as_str(), "C" | "POSIX"),
    }
}

/// Names of collations without a schema of their own.
fn mentioned(snapshot: &Snapshot) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut printed = |name: &str| {
        let mut parts = parts(name);
        let last = parts.pop();
        if (parts.is_empty() || parts == ["pg_catalog"])
            && let Some(last) = last
        {
            names.insert(last);
        }
    };
    let mut texts: Vec<&str> = Vec::new();
    for object in &snapshot.objects {
        texts.push(&object.create);
        texts.extend(object.then.iter().map(String::as_str));
    }
    for relation in &snapshot.relations {
        texts.extend(relation.definition.as_deref());
        texts.extend(relation.partition_key.as_deref());
        for column in &relation.columns {
            if let Some(name) = &column.collation {
                printed(name);
            }
            texts.extend(column.default.as_deref());
        }
        texts.extend(
            relation
                .constraints
                .iter()
                .map(|one| one.definition.as_str()),
        );
        texts.extend(relation.indexes.iter().map(|one| one.definition.as_str()));
        texts.extend(
            relation
                .extended_statistics
                .iter()
                .map(|one| one.definition.as_str()),
        );
        for policy in &relation.policies {
            texts.extend(policy.using.as_deref());
            texts.extend(policy.check.as_deref());
        }
    }
    for text in texts {
        for rest in text.split("COLLATE ").skip(1) {
            printed(first_name(rest));
        }
    }
    names
}

/// The qualified name with which a text begins.
fn first_name(text: &str) -> &str {
    let mut inside = false;
    let end = text
        .char_indices()
        .find(|&(_, c)| {
            if c == '"' {
                inside = !inside;
            }
            !(inside || matches!(c, '"' | '.' | '_' | '-') || c.is_alphanumeric())
        })
        .map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_after_collate_is_found() {
        assert_eq!(first_name("\"de-x-icu\")"), "\"de-x-icu\"");
        assert_eq!(first_name("shop.\"a b\" DESC"), "shop.\"a b\"");
        assert_eq!(first_name("ucs_basic, b"), "ucs_basic");
    }
}
