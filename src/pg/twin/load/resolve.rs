//! What the names of a snapshot are in the twin: relations, types, operators,
//! collations by their numbers, read once after everything has been created.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::types::Type;

use super::super::TwinError;
use super::Loader;
use super::names::bare;
use crate::pg::catalog::get;
use crate::snapshot::{Slot, Statistics};

/// A type of the twin.
#[derive(Debug, Clone)]
pub(super) struct TypeFacts {
    /// Name as SQL, as the server prints it.
    pub name: String,
    /// `typtype`.
    pub kind: char,
    /// Base type of a domain, or 0.
    pub base: u32,
    /// Elements of an array, or 0.
    pub element: u32,
}

/// Names and what they are in the twin.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Relations and indexes, by schema and name.
    pub relations: BTreeMap<(String, String), u32>,
    /// Statistics objects, by schema and name.
    pub statistics: BTreeMap<(String, String), u32>,
    /// `oid` by printed name without `pg_catalog.`.
    pub types: BTreeMap<String, u32>,
    pub type_facts: BTreeMap<u32, TypeFacts>,
    pub operators: BTreeMap<String, u32>,
    pub collations: BTreeMap<String, u32>,
    /// `atttypid` and `attcollation`, by relation and number.
    pub columns: BTreeMap<(u32, i16), (u32, u32)>,
    /// The range of a multirange.
    pub ranges: BTreeMap<u32, u32>,
    /// `<` and `=` of the default B-tree operator class, by type.
    pub defaults: BTreeMap<u32, (u32, u32)>,
    /// The type of an index's expression where the index itself stores
    /// another, by index and key.
    pub key_types: BTreeMap<(u32, i16), u32>,
}

impl Names {
    pub(super) fn relation(&self, schema: &str, name: &str) -> Option<u32> {
        self.relations
            .get(&(schema.to_owned(), name.to_owned()))
            .copied()
    }

    /// The type behind domains.
    pub(super) fn base(&self, oid: u32) -> u32 {
        let mut oid = oid;
        while let Some(facts) = self.type_facts.get(&oid)
            && facts.kind == 'd'
        {
            oid = facts.base;
        }
        oid
    }

    /// Whether reading a value of the type runs none of the users' code: not
    /// so for domains with their checks, composite types with such columns,
    /// and ranges that users made.
    pub(super) fn is_plain(&self, oid: u32) -> bool {
        let Some(facts) = self.type_facts.get(&oid) else {
            return false;
        };
        match facts.kind {
            'e' => true,
            'b' if facts.element != 0 => self.is_plain(facts.element),
            'b' => true,
            'r' | 'm' => oid < 16_384,
            _ => false,
        }
    }
}

impl Loader<'_> {
    pub(super) fn resolve(&mut self) -> Result<Names, TwinError> {
        let (operators, collations) = self.printed_names();
        let admin = self.cluster.admin()?;
        let mut names = Names::default();
        for row in &admin.query(
            "SELECT n.nspname::text, c.relname::text, c.oid FROM pg_catalog.pg_class AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
             WHERE c.oid >= 16384 AND n.nspname !~ '^pg_toast' \
             AND c.relkind IN ('r', 'p', 'm', 'v', 'f', 'i', 'I')",
            &[],
        )? {
            names
                .relations
                .insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
        }
        for row in &admin.query(
            "SELECT n.nspname::text, s.stxname::text, s.oid FROM pg_catalog.pg_statistic_ext AS s \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace",
            &[],
        )? {
            names
                .statistics
                .insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
        }
        for row in &admin.query(
            "SELECT t.oid, pg_catalog.format_type(t.oid, NULL), t.typtype::text, t.typbasetype, \
               CASE WHEN t.typlen = -1 THEN t.typelem ELSE 0 END \
             FROM pg_catalog.pg_type AS t WHERE t.typtype <> 'p'",
            &[],
        )? {
            let oid: u32 = get(row, 0)?;
            let name: String = get(row, 1)?;
            let kind: String = get(row, 2)?;
            names.types.insert(bare(&name).to_owned(), oid);
            names.type_facts.insert(
                oid,
                TypeFacts {
                    name,
                    kind: kind.chars().next().unwrap_or('?'),
                    base: get(row, 3)?,
                    element: get(row, 4)?,
                },
            );
        }
        for row in &admin.query(
            "SELECT o.oid, o.oid::pg_catalog.regoperator::text FROM pg_catalog.pg_operator AS o \
             WHERE o.oprname = ANY ($1)",
            &[(&operators, Type::NAME_ARRAY)],
        )? {
            let name: String = get(row, 1)?;
            names.operators.insert(bare(&name).to_owned(), get(row, 0)?);
        }
        for row in &admin.query(
            "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || \
               pg_catalog.quote_ident(c.collname) \
             FROM pg_catalog.pg_collation AS c \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = c.collnamespace \
             WHERE c.collname = ANY ($1) AND c.collencoding IN (-1, (SELECT d.encoding \
               FROM pg_catalog.pg_database AS d \
               WHERE d.datname = pg_catalog.current_database()))",
            &[(&collations, Type::NAME_ARRAY)],
        )? {
            let name: String = get(row, 1)?;
            names
                .collations
                .insert(bare(&name).to_owned(), get(row, 0)?);
        }
        for row in &admin.query(
            "SELECT a.attrelid, a.attnum, a.atttypid, a.attcollation \
             FROM pg_catalog.pg_attribute AS a \
             WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped",
            &[],
        )? {
            names
                .columns
                .insert((get(row, 0)?, get(row, 1)?), (get(row, 2)?, get(row, 3)?));
        }
        if self.major >= 14 {
            for row in &admin.query(
                "SELECT r.rngmultitypid, r.rngtypid FROM pg_catalog.pg_range AS r",
                &[],
            )? {
                names.ranges.insert(get(row, 0)?, get(row, 1)?);
            }
        }
        for row in &admin.query(
            "SELECT c.opcintype, l.amopopr, e.amopopr FROM pg_catalog.pg_opclass AS c \
             JOIN pg_catalog.pg_am AS m ON m.oid = c.opcmethod AND m.amname = 'btree' \
             JOIN pg_catalog.pg_amop AS l ON l.amopfamily = c.opcfamily AND l.amopstrategy = 1 \
               AND l.amoplefttype = c.opcintype AND l.amoprighttype = c.opcintype \
             JOIN pg_catalog.pg_amop AS e ON e.amopfamily = c.opcfamily AND e.amopstrategy = 3 \
               AND e.amoplefttype = c.opcintype AND e.amoprighttype = c.opcintype \
             WHERE c.opcdefault",
            &[],
        )? {
            names
                .defaults
                .insert(get(row, 0)?, (get(row, 1)?, get(row, 2)?));
        }
        for row in &admin.query(
            // What the class takes, or an array of what is stored.
            "SELECT i.indexrelid, k.at::int2, \
               CASE WHEN c.opcintype = 2277 THEN t.typarray ELSE c.opcintype END \
             FROM pg_catalog.pg_index AS i \
             CROSS JOIN LATERAL pg_catalog.unnest(i.indclass) WITH ORDINALITY AS k (class, at) \
             JOIN pg_catalog.pg_opclass AS c ON c.oid = k.class \
             JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indexrelid AND a.attnum = k.at \
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
             WHERE i.indexrelid >= 16384 AND i.indexprs IS NOT NULL \
               AND c.opckeytype NOT IN (0, c.opcintype)",
            &[],
        )? {
            names
                .key_types
                .insert((get(row, 0)?, get(row, 1)?), get(row, 2)?);
        }
        Ok(names)
    }

    /// The names of operators and collations that statistics mention.
    fn printed_names(&self) -> (Vec<String>, Vec<String>) {
        let mut operators = BTreeSet::new();
        let mut collations = BTreeSet::new();
        let mut see = |slot: &Slot| {
            if let Some(printed) = &slot.operator {
                let signature = printed.split('(').next().unwrap_or_default();
                // No operator has a point in its name.
                let name = signature.rsplit('.').next().unwrap_or_default();
                operators.insert(name.to_owned());
            }
            if let Some(printed) = &slot.collation
                && let Some(name) = super::names::parts(printed).pop()
            {
                collations.insert(name);
            }
        };
        let mut all = |statistics: &[Statistics]| {
            for slot in statistics.iter().flat_map(|row| &row.slots) {
                see(slot);
            }
        };
        for relation in &self.snapshot.relations {
            for column in &relation.columns {
                all(&column.statistics);
            }
            for index in &relation.indexes {
                for statistics in index.statistics.values() {
                    all(statistics);
                }
            }
            for object in &relation.extended_statistics {
                for data in &object.data {
                    all(&data.expressions);
                }
            }
        }
        let fits = |name: &String| name.len() < 64 && !name.contains('\0');
        (
            operators.into_iter().filter(fits).collect(),
            collations.into_iter().filter(fits).collect(),
        )
    }
}
