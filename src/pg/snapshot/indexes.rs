//! Indexes.

use std::collections::BTreeMap;

use super::{Reader, get, qualified, some_of};
use crate::pg::error::Error;
use crate::snapshot::{Index, Size};

impl Reader<'_> {
    pub(super) fn read_indexes(&mut self) -> Result<(), Error> {
        let frozen = if self.at_least(18) {
            "c.relallfrozen::int8"
        } else {
            "NULL::int8"
        };
        let sql = format!(
            "SELECT i.indrelid, i.indexrelid, c.relname::text, m.amname::text, \
               i.indisvalid AND i.indisready, \
               CASE WHEN NOT i.indrelid = ANY ($2) AND NOT i.indexrelid = ANY ($2) \
                 THEN pg_catalog.pg_get_indexdef(i.indexrelid) END, \
               pn.nspname::text, pc.relname::text, c.relkind = 'i', \
               c.relpages::int8, c.reltuples, c.relallvisible::int8, {frozen}, \
               CASE WHEN c.relkind = 'i' THEN pg_catalog.pg_stat_get_numscans(c.oid) END \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
             JOIN pg_catalog.pg_am AS m ON m.oid = c.relam \
             LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhrelid = c.oid \
             LEFT JOIN pg_catalog.pg_class AS pc ON pc.oid = h.inhparent \
             LEFT JOIN pg_catalog.pg_namespace AS pn ON pn.oid = pc.relnamespace \
             WHERE i.indislive ORDER BY i.indexrelid"
        );
        let mut without = Vec::new();
        for row in &self.over_relations(&sql)? {
            let table: u32 = get(row, 0)?;
            let Some(&place) = self.places.get(&table) else {
                continue;
            };
            let name: String = get(row, 2)?;
            let Some(definition) = get::<Option<String>>(row, 5)? else {
                if let Some(relation) = self.snapshot.relations.get(place) {
                    without.push(format!("{name} on {}", qualified(relation)));
                }
                continue;
            };
            let pages: i64 = get(row, 9)?;
            let parent: (Option<String>, Option<String>) = (get(row, 6)?, get(row, 7)?);
            let index = Index {
                name,
                definition,
                method: get(row, 3)?,
                valid: get(row, 4)?,
                parent: parent.0.zip(parent.1),
                size: if get::<bool>(row, 8)? {
                    Some(Size {
                        blocks: u64::try_from(pages).unwrap_or(0),
                        pages,
                        tuples: get(row, 10)?,
                        all_visible: get(row, 11)?,
                        all_frozen: get(row, 12)?,
                    })
                } else {
                    None
                },
                meta: None,
                ends: None,
                statistics: BTreeMap::new(),
                statistics_targets: BTreeMap::new(),
                scans: get::<Option<i64>>(row, 13)?.and_then(|scans| u64::try_from(scans).ok()),
            };
            if let Some(relation) = self.snapshot.relations.get_mut(place) {
                self.index_places
                    .insert(get(row, 1)?, (place, relation.indexes.len()));
                relation.indexes.push(index);
            }
        }
        if !without.is_empty() {
            without.sort();
            self.limit(format!(
                "The index {} could not be read, as another transaction holds it exclusively.",
                some_of(&without)
            ));
        }
        self.read_key_targets()
    }

    /// Statistics targets of expression keys.
    fn read_key_targets(&mut self) -> Result<(), Error> {
        let sql = "SELECT a.attrelid, a.attnum::int2, a.attstattarget::int4 \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid \
             WHERE a.attstattarget >= 0 AND $2::oid[] IS NOT NULL";
        for row in &self.over_relations(sql)? {
            let (number, target): (i16, i32) = (get(row, 1)?, get(row, 2)?);
            // Before version 17 a plain key has 0.
            if let (Some(index), Ok(number)) = (self.index(get(row, 0)?), u16::try_from(number)) {
                index.statistics_targets.insert(number, target);
            }
        }
        Ok(())
    }
}
