//! `pg_statistic`, or where the role may not read that, `pg_stats`.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::attached::sent_type;
use super::relations::COLLATION;
use super::{Reader, get};
use crate::pg::error::Error;
use crate::snapshot::{Slot, Statistics, ValueList};

/// Of how many relations the statistics are read at once, so that memory
/// stays small: a column's take some kilobytes.
const RELATIONS_AT_ONCE: usize = 500;

/// Slots of a `pg_statistic` row.
const SLOTS: usize = 5;

/// Kinds of slots (`pg_statistic.h`).
pub(super) mod kind {
    /// Most common values.
    pub(crate) const MCV: i16 = 1;
    /// Histogram of the other values.
    pub(crate) const HISTOGRAM: i16 = 2;
    /// Correlation of values with their place in the table.
    pub(crate) const CORRELATION: i16 = 3;
    /// Most common elements of arrays.
    pub(crate) const ELEMENTS: i16 = 4;
    /// Histogram of how many distinct elements arrays have.
    pub(crate) const ELEMENT_COUNTS: i16 = 5;
    /// Histogram of ranges' lengths.
    pub(crate) const RANGE_LENGTHS: i16 = 6;
    /// Histogram of ranges' bounds.
    pub(crate) const RANGE_BOUNDS: i16 = 7;
}

/// A slot whose operator, collation and element type are still numbers.
#[derive(Debug)]
pub(super) struct RawSlot {
    kind: i16,
    operator: u32,
    collation: u32,
    numbers: Option<Vec<f32>>,
    /// The element type and the array's text.
    values: Option<(u32, String)>,
}

/// Texts by `oid`, for what slots refer to.
#[derive(Debug, Default)]
pub(super) struct SlotNames {
    operators: BTreeMap<u32, String>,
    collations: BTreeMap<u32, String>,
    types: BTreeMap<u32, String>,
}

impl Reader<'_> {
    pub(super) fn read_statistics(&mut self) -> Result<(), Error> {
        let rows = self.session.query(
            "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_statistic', 'SELECT')",
            &[],
        )?;
        let readable = match rows.first() {
            Some(row) => get(row, 0)?,
            None => false,
        };
        let owners: Vec<u32> = self
            .places
            .keys()
            .chain(self.index_places.keys())
            .copied()
            .collect();
        let parts = owners.len().div_ceil(RELATIONS_AT_ONCE);
        let mut names = SlotNames::default();
        let mut found = BTreeSet::new();
        for (at, part) in owners.chunks(RELATIONS_AT_ONCE).enumerate() {
            if parts > 1 {
                (self.progress)("statistics", at, parts);
            }
            if readable {
                self.read_catalogue(part, &mut names)?;
            } else {
                self.read_view(part, &mut found)?;
            }
        }
        if !readable {
            self.limit(
                "The role may not read pg_statistic, so statistics are those of pg_stats: without \
                 operators, and without what it hides."
                    .to_owned(),
            );
        }
        Ok(())
    }

    fn read_catalogue(&mut self, owners: &[u32], names: &mut SlotNames) -> Result<(), Error> {
        let sql = format!(
            "SELECT s.starelid, s.staattnum, {} \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_statistic AS s ON s.starelid = r.oid \
             JOIN pg_catalog.pg_attribute AS a \
               ON a.attrelid = s.starelid AND a.attnum = s.staattnum AND NOT a.attisdropped \
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             JOIN pg_catalog.pg_class AS c ON c.oid = s.starelid \
             ORDER BY s.starelid, s.staattnum, s.stainherit",
            columns("s", true)
        );
        let rows = self.session.query(&sql, &[(&owners, Type::OID_ARRAY)])?;
        let mut read = Vec::new();
        for row in &rows {
            let (statistics, slots) = raw(row, 2)?;
            read.push((get::<u32>(row, 0)?, get::<i16>(row, 1)?, statistics, slots));
        }
        self.look_up(read.iter().flat_map(|(.., slots)| slots), names)?;
        for (owner, number, mut statistics, slots) in read {
            statistics.slots = slots.into_iter().map(|slot| named(slot, names)).collect();
            self.keep(owner, number, statistics);
        }
        Ok(())
    }

    /// Puts a row where it belongs.
    fn keep(&mut self, owner: u32, number: i16, statistics: Statistics) {
        let Ok(number) = u16::try_from(number) else {
            return;
        };
        if self.index_places.contains_key(&owner) {
            if let Some(index) = self.index(owner) {
                index.statistics.entry(number).or_default().push(statistics);
            }
        } else if let Some(column) = self.relation(owner).and_then(|relation| {
            relation
                .columns
                .get_mut(usize::from(number).checked_sub(1)?)
        }) {
            column.statistics.push(statistics);
        }
    }

    /// Finds the names of what slots refer to that are not known yet.
    pub(super) fn look_up<'s>(
        &mut self,
        slots: impl Iterator<Item = &'s RawSlot>,
        names: &mut SlotNames,
    ) -> Result<(), Error> {
        let (mut operators, mut collations, mut types) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for slot in slots {
            if slot.operator != 0 && !names.operators.contains_key(&slot.operator) {
                operators.insert(slot.operator);
            }
            if slot.collation != 0 && !names.collations.contains_key(&slot.collation) {
                collations.insert(slot.collation);
            }
            if let Some((element, _)) = &slot.values
                && !names.types.contains_key(element)
            {
                types.insert(*element);
            }
        }
        // regoperator leaves pg_catalog out, as it is always searched.
        let operator = "SELECT o.oid, quote_ident(n.nspname::text) || '.' || o.oprname::text || '(' \
               || CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE pg_catalog.format_type(o.oprleft, NULL) END \
               || ',' || CASE WHEN o.oprright = 0 THEN 'NONE' \
                   ELSE pg_catalog.format_type(o.oprright, NULL) END || ')' \
             FROM unnest($1) AS r (oid) JOIN pg_catalog.pg_operator AS o ON o.oid = r.oid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace";
        let collation = format!(
            "SELECT l.oid, {COLLATION} FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_collation AS l ON l.oid = r.oid \
             JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace"
        );
        let type_name =
            "SELECT r.oid, pg_catalog.format_type(r.oid, NULL) FROM unnest($1) AS r (oid)";
        for (wanted, sql, known) in [
            (operators, operator, &mut names.operators),
            (collations, collation.as_str(), &mut names.collations),
            (types, type_name, &mut names.types),
        ] {
            if wanted.is_empty() {
                continue;
            }
            let wanted: Vec<u32> = wanted.into_iter().collect();
            let rows = self.session.query(sql, &[(&wanted, Type::OID_ARRAY)])?;
            for row in &rows {
                known.insert(get(row, 0)?, get(row, 1)?);
            }
        }
        Ok(())
    }

    /// The same from `pg_stats`, which shows columns that the role may select.
    fn read_view(&mut self, owners: &[u32], found: &mut BTreeSet<(u32, i16)>) -> Result<(), Error> {
        let ranges = if self.at_least(17) {
            "s.range_bounds_histogram::text, s.range_length_histogram::text, s.range_empty_frac"
        } else {
            "NULL::text, NULL::text, NULL::float4"
        };
        // The bounds of a multirange are kept as ranges.
        let own = if self.at_least(14) {
            "coalesce((SELECT g.rngtypid FROM pg_catalog.pg_range AS g \
               WHERE g.rngmultitypid = a.atttypid), a.atttypid)"
        } else {
            "a.atttypid"
        };
        // The view's own name for a table is schema and name; `owners` are
        // joined on those.
        let sql = format!(
            "SELECT c.oid, a.attnum::int2, s.inherited, s.null_frac, s.avg_width, s.n_distinct, \
               s.most_common_vals::text, s.most_common_freqs, s.histogram_bounds::text, \
               s.correlation, s.most_common_elems::text, s.most_common_elem_freqs, \
               s.elem_count_histogram, {ranges}, {COLLATION}, \
               pg_catalog.format_type({own}, NULL), \
               CASE WHEN t.typname = 'tsvector' THEN 'text' \
                 WHEN e.oid IS NOT NULL THEN pg_catalog.format_type(e.oid, NULL) END \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_class AS c ON c.oid = r.oid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_stats AS s \
               ON s.schemaname = n.nspname AND s.tablename = c.relname \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = s.attname \
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype AND t.typtype = 'd' \
             LEFT JOIN pg_catalog.pg_type AS e ON e.oid = coalesce(nullif(b.typelem, 0), t.typelem) \
             LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation \
             LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
             ORDER BY c.oid, a.attnum, s.inherited"
        );
        let rows = self.session.query(&sql, &[(&owners, Type::OID_ARRAY)])?;
        for row in &rows {
            let (owner, number): (u32, i16) = (get(row, 0)?, get(row, 1)?);
            found.insert((owner, number));
            let statistics = from_view(row, 2)?;
            self.keep(owner, number, statistics);
        }
        Ok(())
    }
}

/// The columns of a `pg_statistic` row, for [`raw`]. `a`, `t` and `c` are the
/// attribute that it is about, its type and its relation; where they are not
/// joined the arrays say their element type themselves.
pub(super) fn columns(alias: &str, joined: bool) -> String {
    let mut list =
        format!("{alias}.stainherit, {alias}.stanullfrac, {alias}.stawidth, {alias}.stadistinct");
    for slot in 1..=SLOTS {
        let values = format!("{alias}.stavalues{slot}");
        // The binary form of an array has its element type in its header. Of
        // most slots the type is clear, and that is much cheaper.
        let sent = sent_type(&values);
        let element = if joined {
            format!(
                "CASE WHEN {values} IS NULL THEN 0::oid \
                 WHEN {alias}.stakind{slot} IN (1, 2) AND c.relkind NOT IN ('i', 'I') \
                   AND t.typtype IN ('b', 'e') AND t.typanalyze = 0 THEN a.atttypid \
                 WHEN t.typsend <> 0 THEN {sent} ELSE a.atttypid END"
            )
        } else {
            format!("CASE WHEN {values} IS NULL THEN 0::oid ELSE {sent} END")
        };
        list.push_str(&format!(
            ", {alias}.stakind{slot}, {alias}.staop{slot}, {alias}.stacoll{slot}, \
             {alias}.stanumbers{slot}, {values}::text, {element}"
        ));
    }
    list
}

/// Reads what [`columns`] asked for, which begins at that column.
pub(super) fn raw(row: &Row, at: usize) -> Result<(Statistics, Vec<RawSlot>), Error> {
    let statistics = Statistics {
        inherited: get(row, at)?,
        null_fraction: get(row, at + 1)?,
        width: get(row, at + 2)?,
        distinct: get(row, at + 3)?,
        slots: Vec::new(),
    };
    let mut slots = Vec::new();
    for slot in 0..SLOTS {
        let first = at + 4 + slot * 6;
        let kind: i16 = get(row, first)?;
        if kind == 0 {
            continue;
        }
        let array: Option<String> = get(row, first + 4)?;
        let element: u32 = get(row, first + 5)?;
        slots.push(RawSlot {
            kind,
            operator: get(row, first + 1)?,
            collation: get(row, first + 2)?,
            numbers: get(row, first + 3)?,
            values: array.map(|array| (element, array)),
        });
    }
    Ok((statistics, slots))
}

pub(super) fn named(slot: RawSlot, names: &SlotNames) -> Slot {
    Slot {
        kind: slot.kind,
        operator: names.operators.get(&slot.operator).cloned(),
        collation: names.collations.get(&slot.collation).cloned(),
        numbers: slot.numbers,
        values: slot.values.map(|(element, array)| ValueList {
            element: names.types.get(&element).cloned().unwrap_or_default(),
            array,
        }),
    }
}

/// A row of `pg_stats`, which begins at that column, as slots, in the order in
/// which ANALYZE writes them.
pub(super) fn from_view(row: &Row, at: usize) -> Result<Statistics, Error> {
    let collation: Option<String> = get(row, at + 14)?;
    let own: String = get(row, at + 15)?;
    let element: Option<String> = get(row, at + 16)?;
    let mut slots = Vec::new();
    let slot = |kind, numbers, values: Option<(Option<String>, String)>| Slot {
        kind,
        operator: None,
        collation: if kind <= kind::CORRELATION {
            collation.clone()
        } else {
            None
        },
        numbers,
        values: values.and_then(|(element, array)| {
            Some(ValueList {
                element: element?,
                array,
            })
        }),
    };
    let text = |more| get::<Option<String>>(row, at + more);
    let numbers = |more| get::<Option<Vec<f32>>>(row, at + more);
    if let Some(array) = text(4)? {
        slots.push(slot(
            kind::MCV,
            numbers(5)?,
            Some((Some(own.clone()), array)),
        ));
    }
    if let Some(array) = text(6)? {
        slots.push(slot(
            kind::HISTOGRAM,
            None,
            Some((Some(own.clone()), array)),
        ));
    }
    if let Some(correlation) = get::<Option<f32>>(row, at + 7)? {
        slots.push(slot(kind::CORRELATION, Some(vec![correlation]), None));
    }
    if let Some(array) = text(8)? {
        slots.push(slot(kind::ELEMENTS, numbers(9)?, Some((element, array))));
    }
    if let Some(counts) = numbers(10)? {
        slots.push(slot(kind::ELEMENT_COUNTS, Some(counts), None));
    }
    if let Some(array) = text(11)? {
        slots.push(slot(
            kind::RANGE_BOUNDS,
            None,
            Some((Some(own.clone()), array)),
        ));
    }
    if let Some(array) = text(12)? {
        let empty: Option<f32> = get(row, at + 13)?;
        slots.push(slot(
            kind::RANGE_LENGTHS,
            Some(vec![empty.unwrap_or(0.0)]),
            Some((Some("double precision".to_owned()), array)),
        ));
    }
    Ok(Statistics {
        inherited: get(row, at)?,
        null_fraction: get(row, at + 1)?,
        width: get(row, at + 2)?,
        distinct: get(row, at + 3)?,
        slots,
    })
}
