//! What the planner reads from indexes' first pages.
//!
//! Superusers can read the pages themselves. For others the planner tells the
//! height of a B-tree: with all other costs known, it is in the cost of
//! descending the tree.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::types::Type;

use super::{Reader, get};
use crate::catalog::ident::quote;
use crate::pg::error::Error;
use crate::pg::explain::RawText;
use crate::snapshot::IndexMeta;

/// How many indexes are asked for in one statement. Planning locks their
/// tables (ACCESS SHARE) until the part is over.
const INDEXES_AT_ONCE: usize = 100;

/// A B-tree of so few blocks is a first page and at most a root that is a
/// leaf: with a level more it has a root, two leaves and the first page.
const CERTAINLY_FLAT: u64 = 3;

/// Bytes of a page's header.
const PAGE_HEADER: usize = 24;

/// What a step of a descent costs, in `cpu_operator_cost` (`selfuncs.c`).
const PAGE_COST: f64 = 50.0;

/// An index whose first page is wanted.
#[derive(Debug, Clone)]
struct Wanted {
    oid: u32,
    /// Qualified and quoted.
    name: String,
    method: String,
    blocks: u64,
    /// Blocks of the table.
    heap: u64,
}

impl Reader<'_> {
    pub(super) fn read_index_meta(&mut self) -> Result<(), Error> {
        let mut wanted = self.wanted();
        for index in &wanted {
            if index.method == "btree" && index.blocks <= CERTAINLY_FLAT {
                self.set_meta(index.oid, btree(0, "size"));
            }
        }
        wanted.retain(|index| index.method != "btree" || index.blocks > CERTAINLY_FLAT);
        if wanted.is_empty() {
            return Ok(());
        }
        if let Some(schema) = self.pageinspect()? {
            self.inspect(&schema, &wanted)?;
            wanted.retain(|index| self.lacks_meta(index.oid));
        }
        let (trees, others): (Vec<_>, Vec<_>) = wanted
            .into_iter()
            .partition(|index| index.method == "btree");
        self.ask_planner(&trees)?;
        let mut reckoned = 0;
        for index in &trees {
            if self.lacks_meta(index.oid) {
                reckoned += 1;
                let height = self.reckon_height(index);
                self.set_meta(index.oid, btree(height, "size"));
            }
        }
        if reckoned > 0 {
            self.limit(format!(
                "The height of {reckoned} B-tree {} could not be read and was reckoned from size \
                 and width.",
                if reckoned == 1 { "index" } else { "indexes" }
            ));
        }
        self.read_files(&others)?;
        let mut unknown = 0;
        for index in &others {
            if !self.lacks_meta(index.oid) {
                continue;
            }
            if index.method == "brin" {
                let pages = self.reckon_revmap(index);
                self.set_meta(
                    index.oid,
                    IndexMeta::Brin {
                        last_revmap_page: pages,
                    },
                );
            } else {
                unknown += 1;
            }
        }
        if unknown > 0 {
            self.limit(format!(
                "What {unknown} GIN {} of {} pages could not be read; that takes a superuser \
                 and the extension pageinspect.",
                if unknown == 1 {
                    "index says"
                } else {
                    "indexes say"
                },
                if unknown == 1 { "its" } else { "their" },
            ));
        }
        Ok(())
    }

    fn wanted(&self) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (oid, (table, at)) in &self.index_places {
            let Some(relation) = self.snapshot.relations.get(*table) else {
                continue;
            };
            let Some(index) = relation.indexes.get(*at) else {
                continue;
            };
            if let Some(size) = &index.size
                && matches!(index.method.as_str(), "btree" | "gin" | "brin")
                && !self.locked.contains(oid)
            {
                wanted.push(Wanted {
                    oid: *oid,
                    name: format!("{}.{}", quote(&relation.schema), quote(&index.name)),
                    method: index.method.clone(),
                    blocks: size.blocks,
                    heap: relation.size.map_or(0, |size| size.blocks),
                });
            }
        }
        wanted
    }

    fn lacks_meta(&self, oid: u32) -> bool {
        self.index_places
            .get(&oid)
            .and_then(|(table, at)| self.snapshot.relations.get(*table)?.indexes.get(*at))
            .is_some_and(|index| index.meta.is_none())
    }

    fn set_meta(&mut self, oid: u32, meta: IndexMeta) {
        if let Some(index) = self.index(oid) {
            index.meta = Some(meta);
        }
    }

    /// The schema of the extension pageinspect, for a role that may use it.
    fn pageinspect(&mut self) -> Result<Option<String>, Error> {
        let rows = self.session.query(
            "SELECT n.nspname::text FROM pg_catalog.pg_extension AS e \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace \
             WHERE e.extname = 'pageinspect' \
               AND (SELECT r.rolsuper FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user)",
            &[],
        )?;
        rows.first().map(|row| get(row, 0)).transpose()
    }

    fn inspect(&mut self, schema: &str, wanted: &[Wanted]) -> Result<(), Error> {
        let schema = quote(schema);
        let columns = [
            (
                "btree",
                format!(
                    "SELECT r.oid, m.fastlevel::int8 FROM unnest($1, $2) AS r (oid, name) \
                   CROSS JOIN LATERAL {schema}.bt_metap(r.name) AS m"
                ),
            ),
            (
                "gin",
                format!(
                    "SELECT r.oid, m.n_total_pages::int8, m.n_entry_pages::int8, \
                     m.n_data_pages::int8, m.n_entries::int8, m.n_pending_pages::int8 \
                   FROM unnest($1, $2) AS r (oid, name) \
                   CROSS JOIN LATERAL {schema}.gin_metapage_info({schema}.get_raw_page(r.name, 0)) AS m"
                ),
            ),
            (
                "brin",
                format!(
                    "SELECT r.oid, m.lastrevmappage::int8 FROM unnest($1, $2) AS r (oid, name) \
                   CROSS JOIN LATERAL {schema}.brin_metapage_info({schema}.get_raw_page(r.name, 0)) AS m"
                ),
            ),
        ];
        for (method, sql) in &columns {
            let of_method: Vec<&Wanted> = wanted
                .iter()
                .filter(|index| index.method == *method && index.blocks > 0)
                .collect();
            for part in of_method.chunks(INDEXES_AT_ONCE) {
                let oids: Vec<u32> = part.iter().map(|index| index.oid).collect();
                let names: Vec<&str> = part.iter().map(|index| index.name.as_str()).collect();
                let rows = self.session.undone(|session| {
                    session.query(sql, &[(&oids, Type::OID_ARRAY), (&names, Type::TEXT_ARRAY)])
                });
                let Some(rows) = or_none(rows)? else { continue };
                for row in &rows {
                    let number = |at: usize| -> Result<u32, Error> {
                        Ok(u32::try_from(get::<i64>(row, at)?).unwrap_or(0))
                    };
                    let meta = match *method {
                        "btree" => btree(number(1)?, "pageinspect"),
                        "gin" => IndexMeta::Gin {
                            total_pages: number(1)?,
                            entry_pages: number(2)?,
                            data_pages: number(3)?,
                            entries: get(row, 4)?,
                            pending_pages: number(5)?,
                        },
                        _ => IndexMeta::Brin {
                            last_revmap_page: number(1)?,
                        },
                    };
                    self.set_meta(get(row, 0)?, meta);
                }
            }
        }
        Ok(())
    }

    /// Lets the planner say how high B-trees are.
    fn ask_planner(&mut self, trees: &[Wanted]) -> Result<(), Error> {
        let mut queries = Vec::new();
        for index in trees {
            if let Some(query) = self.ordered_query(index.oid) {
                queries.push((index, query));
            }
        }
        for (at, part) in queries.chunks(INDEXES_AT_ONCE).enumerate() {
            if queries.len() > INDEXES_AT_ONCE {
                (self.progress)("index pages", at * INDEXES_AT_ONCE, queries.len());
            }
            let texts: Vec<&str> = part.iter().map(|(_, query)| query.as_str()).collect();
            let mut heights = self.heights(&texts)?;
            if heights.is_none() {
                // One of them is not wanted by the planner: each by itself.
                let mut each = BTreeMap::new();
                for text in &texts {
                    each.extend(self.heights(&[text])?.unwrap_or_default());
                }
                heights = Some(each);
            }
            let heights = heights.unwrap_or_default();
            for (index, _) in part {
                if let Some(height) = heights.get(&index.name) {
                    self.set_meta(index.oid, btree(*height, "planner"));
                }
            }
        }
        Ok(())
    }

    /// A query that only this index answers in order.
    fn ordered_query(&self, oid: u32) -> Option<String> {
        let facts = self.btrees.get(&oid)?;
        if !facts.usable || !self.tables.get(&facts.table)?.selectable {
            return None;
        }
        let relation = self
            .snapshot
            .relations
            .get(*self.places.get(&facts.table)?)?;
        let order: Vec<String> = facts
            .keys
            .iter()
            .map(|key| {
                format!(
                    "{} USING {} NULLS {}",
                    key.expression,
                    if key.is_descending {
                        &key.descending
                    } else {
                        &key.ascending
                    },
                    if key.nulls_first { "FIRST" } else { "LAST" }
                )
            })
            .collect();
        let predicate = facts
            .predicate
            .as_ref()
            .map_or(String::new(), |predicate| format!(" WHERE {predicate}"));
        Some(format!(
            "(SELECT 1 FROM ONLY {}.{}{predicate} ORDER BY {})",
            quote(&relation.schema),
            quote(&relation.name),
            order.join(", ")
        ))
    }

    /// Heights of the indexes that the planner takes for these queries, by
    /// name; `None` where the server refuses.
    fn heights(&mut self, queries: &[&str]) -> Result<Option<BTreeMap<String, u32>>, Error> {
        let sql = format!(
            "EXPLAIN (VERBOSE, FORMAT JSON) {}",
            queries.join(" UNION ALL ")
        );
        let rows = self.session.undone(|session| {
            only_index_scans(session)?;
            session.query(&sql, &[])
        });
        let Some(rows) = or_none(rows)? else {
            return Ok(None);
        };
        let mut heights = BTreeMap::new();
        if let Some(row) = rows.first() {
            let text: RawText = get(row, 0)?;
            if let Ok(plan) = serde_json::from_str::<Value>(&text.0) {
                collect_heights(&plan, &mut heights);
            }
        }
        Ok(Some(heights))
    }

    /// The height that a tree of that size and key width likely has.
    fn reckon_height(&self, index: &Wanted) -> u32 {
        let width: f64 = self.btrees.get(&index.oid).map_or(8.0, |facts| {
            let relation = self
                .places
                .get(&facts.table)
                .and_then(|at| self.snapshot.relations.get(*at));
            facts
                .keys
                .iter()
                .map(|key| {
                    usize::try_from(key.column)
                        .ok()
                        .and_then(|number| {
                            relation?
                                .columns
                                .get(number.checked_sub(1)?)?
                                .statistics
                                .first()
                        })
                        .map_or(8.0, |statistics| f64::from(statistics.width))
                })
                .sum()
        });
        // An item of an inner page: header, key, line pointer. Inner pages are
        // filled to 70 % (BTREE_NONLEAF_FILLFACTOR).
        let item = ((8.0 + width) / 8.0).ceil() * 8.0 + 4.0;
        let usable = f64::from(self.snapshot.origin.block_size) - 40.0;
        let fanout = (usable * 0.7 / item).floor().max(2.0);
        let mut pages = index.blocks.saturating_sub(1) as f64;
        let mut height = 0;
        while pages > 1.0 {
            pages = (pages / fanout).ceil();
            height += 1;
        }
        height
    }

    /// First pages of GIN and BRIN indexes, from their files.
    fn read_files(&mut self, others: &[Wanted]) -> Result<(), Error> {
        let oids: Vec<u32> = others
            .iter()
            .filter(|index| index.blocks > 0)
            .map(|index| index.oid)
            .collect();
        if oids.is_empty() {
            return Ok(());
        }
        let rows = self.session.query(
            "SELECT pg_catalog.has_function_privilege( \
               'pg_catalog.pg_read_binary_file(text, bigint, bigint)', 'EXECUTE')",
            &[],
        )?;
        let allowed: bool = rows.first().map_or(Ok(false), |row| get(row, 0))?;
        if !allowed {
            return Ok(());
        }
        let rows = self.session.undone(|session| {
            session.query(
                "SELECT r.oid, pg_catalog.pg_read_binary_file( \
                   pg_catalog.pg_relation_filepath(r.oid::regclass), 0, 512) \
                 FROM unnest($1) AS r (oid)",
                &[(&oids, Type::OID_ARRAY)],
            )
        });
        let Some(rows) = or_none(rows)? else {
            return Ok(());
        };
        for row in &rows {
            let oid: u32 = get(row, 0)?;
            let page: Option<Vec<u8>> = get(row, 1)?;
            let method = others
                .iter()
                .find(|index| index.oid == oid)
                .map(|index| index.method.as_str());
            let meta = match (method, page) {
                (Some("gin"), Some(page)) => gin_meta(&page),
                (Some("brin"), Some(page)) => brin_meta(&page),
                _ => None,
            };
            if let Some(meta) = meta {
                self.set_meta(oid, meta);
            }
        }
        Ok(())
    }

    /// Pages of a BRIN index's range map, from the size of its table.
    fn reckon_revmap(&self, index: &Wanted) -> u32 {
        let definition = self
            .index_places
            .get(&index.oid)
            .and_then(|(table, at)| self.snapshot.relations.get(*table)?.indexes.get(*at))
            .map_or("", |index| index.definition.as_str());
        let per_range: u64 = definition
            .split_once("pages_per_range='")
            .and_then(|(_, rest)| rest.split('\'').next())
            .and_then(|number| number.parse().ok())
            .unwrap_or(128);
        // REVMAP_PAGE_MAXITEMS: row pointers of 6 bytes between header and
        // special space.
        let items = (u64::from(self.snapshot.origin.block_size).saturating_sub(24 + 8) / 6).max(1);
        let ranges = index.heap.div_ceil(per_range.max(1)).max(1);
        u32::try_from(ranges.div_ceil(items)).unwrap_or(u32::MAX)
    }
}

/// What a server refuses need not be known; a lost connection or a table
/// locked meanwhile end the whole.
fn or_none<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Refused(refusal)) if refusal.sqlstate == "55P03" => Err(Error::Refused(refusal)),
        Err(Error::Refused(_) | Error::PermissionDenied { .. } | Error::TimedOut { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Leaves the planner nothing but index scans, and costs in which a descent
/// can be read.
pub(super) fn only_index_scans(session: &mut crate::pg::Session) -> Result<(), Error> {
    session.query(
        "SELECT pg_catalog.set_config(s.name, s.value, true) FROM (VALUES \
           ('enable_seqscan', 'off'), ('enable_sort', 'off'), ('enable_bitmapscan', 'off'), \
           ('enable_incremental_sort', 'off'), ('enable_indexscan', 'on'), \
           ('enable_indexonlyscan', 'on'), ('max_parallel_workers_per_gather', '0'), \
           ('cpu_operator_cost', '1'), ('plan_cache_mode', 'auto'), ('geqo', 'off')) \
         AS s (name, value)",
        &[],
    )?;
    Ok(())
}

fn btree(height: u32, from: &str) -> IndexMeta {
    IndexMeta::Btree {
        height,
        from: from.to_owned(),
    }
}

/// Heights of all indexes that are scanned in a plan. A scan starts after
/// comparing within the pages, log2 of the rows (below 50 for any table), and
/// 50 a level, the leaf's among them.
fn collect_heights(node: &Value, heights: &mut BTreeMap<String, u32>) {
    match node {
        Value::Array(nodes) => {
            for node in nodes {
                collect_heights(node, heights);
            }
        }
        Value::Object(node) => {
            let text = |key: &str| node.get(key).and_then(Value::as_str);
            if let (Some(schema), Some(index), Some("Index Scan" | "Index Only Scan")) =
                (text("Schema"), text("Index Name"), text("Node Type"))
                && let Some(cost) = node.get("Startup Cost").and_then(Value::as_f64)
            {
                let pages = (cost / PAGE_COST).floor();
                if pages >= 1.0 {
                    heights.insert(
                        format!("{}.{}", quote(schema), quote(index)),
                        pages as u32 - 1,
                    );
                }
            }
            for key in ["Plan", "Plans"] {
                if let Some(inner) = node.get(key) {
                    collect_heights(inner, heights);
                }
            }
        }
        _ => (),
    }
}

/// Numbers of a page, of a server with this machine's usual byte order.
fn number(page: &[u8], at: usize) -> Option<u32> {
    let bytes = page.get(PAGE_HEADER + at..PAGE_HEADER + at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// `GinMetaPageData`.
fn gin_meta(page: &[u8]) -> Option<IndexMeta> {
    let version = number(page, 48)?;
    let entries = (u64::from(number(page, 44)?) << 32) | u64::from(number(page, 40)?);
    // A page that was never written to the file is all zeros.
    if version > 2 || number(page, 24)? == 0 {
        return None;
    }
    Some(IndexMeta::Gin {
        pending_pages: number(page, 12)?,
        total_pages: number(page, 24)?,
        entry_pages: number(page, 28)?,
        data_pages: number(page, 32)?,
        entries: i64::try_from(entries).ok()?,
    })
}

/// `BrinMetaPageData`, which begins with a magic number.
fn brin_meta(page: &[u8]) -> Option<IndexMeta> {
    (number(page, 0)? == 0xA810_9CFA).then_some(())?;
    Some(IndexMeta::Brin {
        last_revmap_page: number(page, 12)?,
    })
}
