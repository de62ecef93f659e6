//! Indexes.

use std::collections::BTreeMap;

use super::relations::COLLATION;
use super::{Reader, get, qualified, some_of};
use crate::pg::error::Error;
use crate::snapshot::{Index, Size};

/// What is known of a B-tree while it is read.
#[derive(Debug, Default)]
pub(super) struct BtreeFacts {
    /// Its table's `oid`.
    pub(super) table: u32,
    /// Of a partial index.
    pub(super) predicate: Option<String>,
    /// It is valid, and this transaction may use it.
    pub(super) usable: bool,
    pub(super) keys: Vec<KeyFacts>,
}

/// A key of a B-tree.
#[derive(Debug)]
pub(super) struct KeyFacts {
    /// The column's number, 0 for an expression.
    pub(super) column: i16,
    /// The column or expression in SQL, with its collation.
    pub(super) expression: String,
    /// The operator that sorts upwards, as `ORDER BY … USING` takes it.
    pub(super) ascending: String,
    /// The operator that sorts downwards.
    pub(super) descending: String,
    pub(super) is_descending: bool,
    pub(super) nulls_first: bool,
    pub(super) default_opclass: bool,
}

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
        self.read_key_targets()?;
        self.read_btree_keys()
    }

    /// What it takes to have a B-tree read in its own order.
    fn read_btree_keys(&mut self) -> Result<(), Error> {
        // The operator of strategy 1 is the ascending order, that of 5 the
        // descending one; options are DESC (1) and NULLS FIRST (2).
        let sql = format!(
            "SELECT i.indexrelid, i.indrelid, i.indkey[k.n]::int2, \
               pg_catalog.pg_get_indexdef(i.indexrelid, k.n + 1, false) \
                 || CASE WHEN l.oid IS NULL THEN '' ELSE ' COLLATE ' || {COLLATION} END, \
               'OPERATOR(' || quote_ident(un.nspname::text) || '.' || u.oprname::text || ')', \
               'OPERATOR(' || quote_ident(dn.nspname::text) || '.' || d.oprname::text || ')', \
               i.indoption[k.n]::int2, o.opcdefault, \
               CASE WHEN i.indpred IS NOT NULL \
                 THEN pg_catalog.pg_get_expr(i.indpred, i.indrelid) END, \
               i.indisvalid AND i.indisready AND NOT i.indcheckxmin \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid AND i.indislive \
             JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid AND c.relkind = 'i' \
             JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree' \
             CROSS JOIN LATERAL generate_series(0, i.indnkeyatts - 1) AS k (n) \
             LEFT JOIN pg_catalog.pg_opclass AS o ON o.oid = i.indclass[k.n] \
             LEFT JOIN pg_catalog.pg_amop AS ua ON ua.amopfamily = o.opcfamily AND ua.amopstrategy = 1 \
               AND ua.amoplefttype = o.opcintype AND ua.amoprighttype = o.opcintype \
             LEFT JOIN pg_catalog.pg_operator AS u ON u.oid = ua.amopopr \
             LEFT JOIN pg_catalog.pg_namespace AS un ON un.oid = u.oprnamespace \
             LEFT JOIN pg_catalog.pg_amop AS da ON da.amopfamily = o.opcfamily AND da.amopstrategy = 5 \
               AND da.amoplefttype = o.opcintype AND da.amoprighttype = o.opcintype \
             LEFT JOIN pg_catalog.pg_operator AS d ON d.oid = da.amopopr \
             LEFT JOIN pg_catalog.pg_namespace AS dn ON dn.oid = d.oprnamespace \
             LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = i.indcollation[k.n] \
             LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
             WHERE NOT i.indrelid = ANY ($2) AND NOT i.indexrelid = ANY ($2) \
             ORDER BY i.indexrelid, k.n"
        );
        // Outer joins keep the planner from beginning with the operators, of
        // which it would then go through all for each index.
        for row in &self.over_relations(&sql)? {
            let (ascending, descending): (Option<String>, Option<String>) =
                (get(row, 4)?, get(row, 5)?);
            let ordered = ascending.is_some() && descending.is_some();
            let key = KeyFacts {
                column: get(row, 2)?,
                expression: get(row, 3)?,
                ascending: ascending.unwrap_or_default(),
                descending: descending.unwrap_or_default(),
                is_descending: get::<i16>(row, 6)? & 1 != 0,
                nulls_first: get::<i16>(row, 6)? & 2 != 0,
                default_opclass: get::<Option<bool>>(row, 7)?.unwrap_or(false),
            };
            let facts = self.btrees.entry(get(row, 0)?).or_default();
            facts.table = get(row, 1)?;
            facts.predicate = get(row, 8)?;
            facts.usable =
                get::<bool>(row, 9)? && ordered && (facts.keys.is_empty() || facts.usable);
            facts.keys.push(key);
        }
        Ok(())
    }

    /// Statistics targets of expression keys.
    fn read_key_targets(&mut self) -> Result<(), Error> {
        let sql = "SELECT a.attrelid, a.attnum::int2, a.attstattarget::int4 \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid \
               AND i.indkey[a.attnum - 1] = 0 \
             WHERE a.attstattarget >= 0 AND $2::oid[] IS NOT NULL";
        for row in &self.over_relations(sql)? {
            let (number, target): (i16, i32) = (get(row, 1)?, get(row, 2)?);
            if let (Some(index), Ok(number)) = (self.index(get(row, 0)?), u16::try_from(number)) {
                index.statistics_targets.insert(number, target);
            }
        }
        Ok(())
    }
}
