//! `pg_statistic`. Rows are inserted in bulk by the superuser where reading
//! their values runs none of the users' code, and through the session without
//! rights otherwise.

use tokio_postgres::types::{ToSql, Type};

use super::super::TwinError;
use super::names::bare;
use super::resolve::Names;
use super::{Loader, refusal};
use crate::catalog::ident::quote;
use crate::pg::Session;
use crate::snapshot::{Slot, Statistics};

/// Rows of one INSERT.
const AT_ONCE: usize = 400;

/// Slots of a row.
pub(super) const SLOTS: usize = 5;

const MOST_COMMON: i16 = 1;
const HISTOGRAM: i16 = 2;
const CORRELATION: i16 = 3;
const ELEMENTS: i16 = 4;
const ELEMENT_COUNTS: i16 = 5;
const RANGE_LENGTHS: i16 = 6;
const BOUNDS: i16 = 7;

/// A slot with names resolved.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready {
    pub kind: i16,
    pub operator: u32,
    pub collation: u32,
    pub numbers: Option<String>,
    /// Type and text of values that the superuser may read.
    pub values: Option<(u32, String)>,
    /// Type and text of values that only the other session may read.
    pub apart: Option<(u32, String)>,
}

/// A row of `pg_statistic` with names resolved.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    /// `column public.orders.status`.
    pub object: String,
    pub relation: u32,
    pub number: i16,
    pub inherited: bool,
    pub null_fraction: f32,
    pub width: i32,
    pub distinct: f32,
    pub slots: [Ready; SLOTS],
}

impl Loader<'_> {
    pub(super) fn write_statistics(&mut self, names: &Names) -> Result<(), TwinError> {
        let snapshot = self.snapshot;
        let mut rows = Vec::new();
        for relation in &snapshot.relations {
            if let Some(oid) = names.relation(&relation.schema, &relation.name) {
                for (at, column) in relation.columns.iter().enumerate() {
                    if column.dropped || self.missing_types.contains(&column.type_name) {
                        continue;
                    }
                    for statistics in &column.statistics {
                        let object = format!(
                            "statistics of column {}.{}.{}",
                            quote(&relation.schema),
                            quote(&relation.name),
                            quote(&column.name)
                        );
                        let number = i16::try_from(at + 1).unwrap_or(0);
                        rows.extend(self.ready(names, object, oid, number, statistics));
                    }
                }
            }
            for index in &relation.indexes {
                let Some(oid) = names.relation(&relation.schema, &index.name) else {
                    continue;
                };
                for (&key, of_key) in &index.statistics {
                    for statistics in of_key {
                        let object = format!(
                            "statistics of key {key} of index {}.{}",
                            quote(&relation.schema),
                            quote(&index.name)
                        );
                        let number = i16::try_from(key).unwrap_or(0);
                        rows.extend(self.ready(names, object, oid, number, statistics));
                    }
                }
            }
        }
        for chunk in rows.chunks(AT_ONCE) {
            self.insert(chunk)?;
        }
        self.insert_apart(names, &rows)?;
        self.drop_misfits()
    }

    /// Resolves the names of a row; `None` when its column is not there.
    fn ready(
        &mut self,
        names: &Names,
        object: String,
        relation: u32,
        number: i16,
        statistics: &Statistics,
    ) -> Option<Row> {
        let &(type_oid, collation) = names.columns.get(&(relation, number))?;
        let type_oid = *names
            .key_types
            .get(&(relation, number))
            .unwrap_or(&type_oid);
        let slots = self.ready_slots(names, &object, type_oid, collation, statistics);
        Some(Row {
            object,
            relation,
            number,
            inherited: statistics.inherited,
            null_fraction: statistics.null_fraction,
            width: statistics.width,
            distinct: statistics.distinct,
            slots,
        })
    }

    /// Resolves slots of values of a type.
    pub(super) fn ready_slots(
        &mut self,
        names: &Names,
        object: &str,
        type_oid: u32,
        collation: u32,
        statistics: &Statistics,
    ) -> [Ready; SLOTS] {
        let mut slots: [Ready; SLOTS] = Default::default();
        for (place, slot) in slots.iter_mut().zip(&statistics.slots) {
            match ready_slot(names, type_oid, collation, slot) {
                Ok(Some(ready)) => *place = ready,
                Ok(None) => {}
                Err(message) => self.refuse(object, message),
            }
        }
        slots
    }

    /// Inserts rows; of those that the server refuses, what it does not.
    fn insert(&mut self, rows: &[Row]) -> Result<(), TwinError> {
        let admin = self.cluster.admin()?;
        let Err(message) = refusal(insert_into(admin, rows))? else {
            return Ok(());
        };
        if let [row] = rows {
            // A value that its type does not take spoils its slot only.
            let mut row = row.clone();
            let mut found = false;
            for slot in &mut row.slots {
                let Some((element, text)) = &slot.values else {
                    continue;
                };
                let read = admin.query(
                    "SELECT pg_catalog.cardinality(pg_catalog.array_in(\
                     pg_catalog.textout($1), $2, -1))",
                    &[(text, Type::TEXT), (element, Type::OID)],
                );
                if refusal(read)?.is_err() {
                    *slot = Ready::default();
                    found = true;
                }
            }
            self.refuse(row.object.clone(), message);
            return if found { self.insert(&[row]) } else { Ok(()) };
        }
        let (first, second) = rows.split_at(rows.len() / 2);
        self.insert(first)?;
        self.insert(second)
    }

    /// Values whose reading runs code that the snapshot defines.
    fn insert_apart(&mut self, names: &Names, rows: &[Row]) -> Result<(), TwinError> {
        for row in rows {
            for (at, slot) in row.slots.iter().enumerate() {
                let Some((element, text)) = &slot.apart else {
                    continue;
                };
                let Some(facts) = names.type_facts.get(element) else {
                    continue;
                };
                // The name is as the twin itself prints it.
                let sql = format!(
                    "SELECT pgadvise_twin.set_values($1, $2, $3, $4, $5::{}[])",
                    facts.name
                );
                let at = i32::try_from(at + 1).unwrap_or(0);
                let outcome = self.cluster.session()?.query(
                    &sql,
                    &[
                        (&row.relation, Type::OID),
                        (&row.number, Type::INT2),
                        (&row.inherited, Type::BOOL),
                        (&at, Type::INT4),
                        (text, Type::TEXT),
                    ],
                );
                if let Err(message) = refusal(outcome)? {
                    self.refuse(row.object.clone(), message);
                }
            }
        }
        Ok(())
    }

    /// Empties slots of most common values or elements that do not have as
    /// many frequencies as they must, or that should have values and do not:
    /// the planner relies on both.
    fn drop_misfits(&mut self) -> Result<(), TwinError> {
        for n in 1..=SLOTS {
            self.cluster.admin()?.query(
                &format!(
                    "UPDATE pg_catalog.pg_statistic SET stakind{n} = 0, staop{n} = 0, \
                     stacoll{n} = 0, stanumbers{n} = NULL, stavalues{n} = NULL \
                     WHERE starelid >= 16384 AND ( \
                       (stakind{n} IN (1, 2, 4, 6, 7) AND stavalues{n} IS NULL) \
                       OR (stakind{n} = 1 AND pg_catalog.cardinality(stanumbers{n}) \
                         IS DISTINCT FROM pg_catalog.cardinality(stavalues{n})) \
                       OR (stakind{n} = 4 AND coalesce(pg_catalog.cardinality(stanumbers{n}) \
                         - pg_catalog.cardinality(stavalues{n}) NOT IN (2, 3), true)))"
                ),
                &[],
            )?;
        }
        Ok(())
    }
}

fn ready_slot(
    names: &Names,
    type_oid: u32,
    column_collation: u32,
    slot: &Slot,
) -> Result<Option<Ready>, String> {
    if slot.kind == 0 {
        return Ok(None);
    }
    let mut ready = Ready {
        kind: slot.kind,
        ..Ready::default()
    };
    ready.operator = match &slot.operator {
        Some(printed) => *names
            .operators
            .get(bare(printed))
            .ok_or_else(|| format!("operator {printed} is not there"))?,
        None => names.default_operator(type_oid, slot.kind),
    };
    ready.collation = match &slot.collation {
        Some(printed) => names
            .collations
            .get(bare(printed))
            .copied()
            .unwrap_or(column_collation),
        None if slot.operator.is_none() && slot.kind <= ELEMENT_COUNTS => column_collation,
        None => 0,
    };
    let count = slot.numbers.as_ref().map_or(0, Vec::len);
    if (slot.kind == CORRELATION && count != 1) || (slot.kind == ELEMENT_COUNTS && count < 3) {
        return Err("a slot does not have the numbers that it must have".to_owned());
    }
    ready.numbers = slot.numbers.as_ref().map(|numbers| array_of(numbers));
    let Some(values) = &slot.values else {
        // Left out: there is nothing that the planner could compare with.
        let needed = matches!(
            slot.kind,
            MOST_COMMON | HISTOGRAM | ELEMENTS | RANGE_LENGTHS | BOUNDS
        );
        return Ok((!needed).then_some(ready));
    };
    let declared = *names
        .types
        .get(bare(&values.element))
        .ok_or_else(|| format!("type {} is not there", values.element))?;
    if !names.may_have(type_oid, slot.kind, declared) {
        return Err(format!(
            "values of type {} are not those of the column",
            values.element
        ));
    }
    if has_null(&values.array) {
        return Err("there is a null among the values".to_owned());
    }
    // A domain's values are read as those of its base type: the same bytes,
    // and no check of it runs.
    let element = names.base(declared);
    let text = values.array.clone();
    if names.is_plain(element) {
        ready.values = Some((element, text));
    } else {
        ready.apart = Some((declared, text));
    }
    Ok(Some(ready))
}

impl Names {
    /// Whether a slot of that kind of a column of that type has values of the
    /// given one.
    fn may_have(&self, oid: u32, kind: i16, given: u32) -> bool {
        /// `float8`, `text`, `varchar` and `tsvector`.
        const FLOAT8: u32 = 701;
        const TEXT: u32 = 25;
        const VARCHAR: u32 = 1043;
        const TSVECTOR: u32 = 3614;
        if kind == RANGE_LENGTHS {
            return given == FLOAT8;
        }
        // The bytes of the two are the same.
        let same = |a: u32, b: u32| a == b || [(TEXT, VARCHAR), (VARCHAR, TEXT)].contains(&(a, b));
        let (oid, given) = (self.base(oid), self.base(given));
        if kind == ELEMENTS {
            let element = self.type_facts.get(&oid).map_or(0, |facts| facts.element);
            (element != 0 && same(self.base(element), given)) || (oid == TSVECTOR && given == TEXT)
        } else {
            same(oid, given) || (kind == BOUNDS && self.ranges.get(&oid) == Some(&given))
        }
    }

    /// The operator that ANALYZE uses for a slot of that kind.
    fn default_operator(&self, oid: u32, kind: i16) -> u32 {
        /// `<(float8,float8)`, of range lengths.
        const FLOAT8_LESS: u32 = 672;
        let of = |oid: u32| {
            let base = self.base(oid);
            let facts = self.type_facts.get(&base);
            // What an operator class of another type takes too.
            let other = match facts.map(|facts| facts.kind) {
                _ if base == 1043 => 25,
                Some('e') => 3500,
                Some('r') => 3831,
                Some('m') => 4537,
                Some('c') => 2249,
                Some(_) if facts.is_some_and(|facts| facts.element != 0) => 2277,
                _ => 0,
            };
            self.defaults
                .get(&base)
                .or_else(|| self.defaults.get(&other))
                .copied()
                .unwrap_or((0, 0))
        };
        match kind {
            MOST_COMMON => of(oid).1,
            HISTOGRAM | CORRELATION => of(oid).0,
            ELEMENTS | ELEMENT_COUNTS => {
                let element = self
                    .type_facts
                    .get(&self.base(oid))
                    .map_or(0, |facts| facts.element);
                of(if element == 0 { 25 } else { element }).1
            }
            RANGE_LENGTHS => FLOAT8_LESS,
            _ => 0,
        }
    }
}

/// The text of a `float4[]`.
pub(super) fn array_of(numbers: &[f32]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", texts.join(","))
}

/// Whether an array's text has a null in it, outside quotes.
fn has_null(array: &str) -> bool {
    let mut inside = false;
    let mut escaped = false;
    let mut word = String::new();
    for c in array.chars() {
        if escaped {
            escaped = false;
            word.push('\\');
            continue;
        }
        match c {
            '\\' => escaped = true,
            '"' => {
                inside = !inside;
                word.push('"');
            }
            ',' | '{' | '}' if !inside => {
                if word.trim().eq_ignore_ascii_case("null") {
                    return true;
                }
                word.clear();
            }
            c => word.push(c),
        }
    }
    false
}

/// One INSERT of rows with the values that the superuser may read.
fn insert_into(
    admin: &mut Session,
    rows: &[Row],
) -> Result<Vec<tokio_postgres::Row>, crate::pg::Error> {
    let relations: Vec<u32> = rows.iter().map(|row| row.relation).collect();
    let numbers: Vec<i16> = rows.iter().map(|row| row.number).collect();
    let inherited: Vec<bool> = rows.iter().map(|row| row.inherited).collect();
    let nulls: Vec<f32> = rows.iter().map(|row| row.null_fraction).collect();
    let widths: Vec<i32> = rows.iter().map(|row| row.width).collect();
    let distinct: Vec<f32> = rows.iter().map(|row| row.distinct).collect();
    let mut parameters: Vec<(&(dyn ToSql + Sync), Type)> = vec![
        (&relations, Type::OID_ARRAY),
        (&numbers, Type::INT2_ARRAY),
        (&inherited, Type::BOOL_ARRAY),
        (&nulls, Type::FLOAT4_ARRAY),
        (&widths, Type::INT4_ARRAY),
        (&distinct, Type::FLOAT4_ARRAY),
    ];
    let slots: Vec<Columns<'_>> = (0..SLOTS).map(|at| Columns::of(rows, at)).collect();
    let mut names = String::from("r, n, i, f, w, d");
    let mut targets = String::new();
    let mut values = String::new();
    for (at, slot) in slots.iter().enumerate() {
        let n = at + 1;
        parameters.push((&slot.kinds, Type::INT2_ARRAY));
        parameters.push((&slot.operators, Type::OID_ARRAY));
        parameters.push((&slot.collations, Type::OID_ARRAY));
        parameters.push((&slot.numbers, Type::TEXT_ARRAY));
        parameters.push((&slot.elements, Type::OID_ARRAY));
        parameters.push((&slot.values, Type::TEXT_ARRAY));
        names.push_str(&format!(", k{n}, o{n}, c{n}, m{n}, e{n}, v{n}"));
        targets.push_str(&format!(
            ", stakind{n}, staop{n}, stacoll{n}, stanumbers{n}, stavalues{n}"
        ));
        values.push_str(&format!(
            ", s.k{n}, s.o{n}, s.c{n}, s.m{n}::float4[], \
             pg_catalog.array_in(pg_catalog.textout(s.v{n}), s.e{n}, -1)"
        ));
    }
    let holders: Vec<String> = (1..=parameters.len()).map(|n| format!("${n}")).collect();
    let sql = format!(
        "INSERT INTO pg_catalog.pg_statistic (starelid, staattnum, stainherit, stanullfrac, \
         stawidth, stadistinct{targets}) \
         SELECT s.r, s.n, s.i, s.f, s.w, s.d{values} \
         FROM unnest({}) AS s ({names})",
        holders.join(", ")
    );
    admin.query(&sql, &parameters)
}

/// One slot of many rows.
struct Columns<'a> {
    kinds: Vec<i16>,
    operators: Vec<u32>,
    collations: Vec<u32>,
    numbers: Vec<Option<&'a str>>,
    elements: Vec<u32>,
    values: Vec<Option<&'a str>>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a [Row], at: usize) -> Self {
        let slots = || rows.iter().filter_map(|row| row.slots.get(at));
        Self {
            // A slot whose values come later is a whole one then.
            kinds: slots().map(|slot| slot.kind).collect(),
            operators: slots().map(|slot| slot.operator).collect(),
            collations: slots().map(|slot| slot.collation).collect(),
            numbers: slots().map(|slot| slot.numbers.as_deref()).collect(),
            elements: slots()
                .map(|slot| slot.values.as_ref().map_or(0, |(oid, _)| *oid))
                .collect(),
            values: slots()
                .map(|slot| slot.values.as_ref().map(|(_, text)| text.as_str()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_are_found_outside_quotes_only() {
        assert!(has_null("{1,NULL}"));
        assert!(has_null("{ null }"));
        assert!(!has_null("{\"NULL\",nullable,\"a\\\",NULL,\"}"));
        assert!(!has_null("{}"));
    }

    #[test]
    fn numbers_come_back_the_same() {
        assert_eq!(array_of(&[0.1, 1e-7, -1.0]), "{0.1,0.0000001,-1}");
    }
}
