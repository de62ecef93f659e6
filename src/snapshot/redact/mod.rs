//! Leaving values out of a snapshot, or replacing them.
//!
//! Values of rows stand in most common values, histograms and ends of indexes.
//! The schema's own literals (defaults, CHECK constraints, partial indexes,
//! partition bounds, functions, views) are no values of rows, and stay.
//!
//! A slot of `pg_statistic` that should have values and has none cannot be
//! loaded: PostgreSQL reads the values whenever it reads the slot, and fails
//! (`unexpected null value`) where there are none; of an empty array it
//! concludes that every constant is a rare value, which is worse than to know
//! nothing. Without the slot it reckons with the average value, so that
//! loading leaves such slots out. Made-up values would be of no use either:
//! no constant of a query is among them.

mod array;
mod family;

use std::collections::{BTreeMap, BTreeSet};

use super::{ObjectKind, Relation, Slot, Snapshot, Statistics, ValueList, Values};
use family::Family;

/// The last kind of slot that is PostgreSQL's own. What extensions keep in
/// theirs (`PostGIS`: where geometries are) is not known to be free of values.
const LAST_KIND: i16 = 7;
/// Most common elements, which are sorted by value.
const ELEMENTS: i16 = 4;
/// Most common values.
const COMMON: i16 = 1;
/// A histogram.
const HISTOGRAM: i16 = 2;
/// Letters of a stand-in at most.
const MAX_LETTERS: usize = 200;

/// Takes every value of a row out. Frequencies, numbers of distinct values,
/// widths, fractions of nulls and correlations stay.
pub fn leave_out_values(snapshot: &mut Snapshot) {
    for relation in &mut snapshot.relations {
        for row in statistics_of(relation) {
            row.slots.retain(|slot| slot.kind <= LAST_KIND);
            for slot in &mut row.slots {
                slot.values = None;
            }
        }
        for index in &mut relation.indexes {
            index.ends = None;
        }
        leave_out_joint_values(relation);
    }
    snapshot.values = Values::LeftOut;
    snapshot.limits.push(
        "Values were left out (--no-values): a condition on a column is estimated as for its \
         average value, ranges by PostgreSQL's fixed guesses, and joins as if no value were more \
         common than another."
            .to_owned(),
    );
}

/// Most common combinations are values too, in a binary form.
fn leave_out_joint_values(relation: &mut Relation) {
    for object in &mut relation.extended_statistics {
        for data in &mut object.data {
            data.most_common_values = None;
            data.enum_labels.clear();
        }
    }
}

/// All rows of statistics of a relation: of its columns, of the expressions of
/// its indexes, and of those of its statistics objects.
fn statistics_of(relation: &mut Relation) -> impl Iterator<Item = &mut Statistics> {
    let columns = relation
        .columns
        .iter_mut()
        .flat_map(|column| &mut column.statistics);
    let indexes = relation
        .indexes
        .iter_mut()
        .flat_map(|index| index.statistics.values_mut().flatten());
    let extended = relation
        .extended_statistics
        .iter_mut()
        .flat_map(|object| &mut object.data)
        .flat_map(|data| &mut data.expressions);
    columns.chain(indexes).chain(extended)
}

/// Puts stand-ins in the place of values: the same one for the same value
/// everywhere, and in the same order. Numbers and times are rounded as far as
/// they stay apart from the values next to them; texts become letters of about
/// the same length. Truth values, labels of enums, and texts that the table's
/// own definition names are kept. Values of other types are left out.
pub fn redact(snapshot: &mut Snapshot) {
    let enums: BTreeSet<String> = snapshot
        .objects
        .iter()
        .filter(|object| {
            object.kind == ObjectKind::Type && object.create.to_uppercase().contains(" AS ENUM")
        })
        .map(|object| object.name.clone())
        .collect();
    let mut stand_ins = StandIns::default();
    for relation in &mut snapshot.relations {
        for row in statistics_of(relation) {
            for values in row.slots.iter().filter_map(|slot| slot.values.as_ref()) {
                if let Some(family) = family::of(&values.element) {
                    for value in array::read(&values.array).unwrap_or_default() {
                        stand_ins.add(family, &value);
                    }
                }
            }
        }
        for (family, ends) in ends_of(relation) {
            if let (Some(family), Some((low, high))) = (family, ends) {
                stand_ins.add(family, low);
                stand_ins.add(family, high);
            }
        }
    }
    let by_bytes = matches!(snapshot.origin.collate.as_str(), "C" | "POSIX");
    stand_ins.choose(by_bytes);

    for relation in &mut snapshot.relations {
        let named = literals(relation);
        let families: Vec<Option<Family>> = ends_of(relation)
            .into_iter()
            .map(|(family, _)| family)
            .collect();
        for (index, family) in relation.indexes.iter_mut().zip(families) {
            index.ends = index.ends.take().and_then(|(low, high)| {
                let family = family?;
                Some((stand_ins.of(family, &low)?, stand_ins.of(family, &high)?))
            });
        }
        let lexemes: BTreeSet<usize> = relation
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| column.type_name.ends_with("tsvector"))
            .map(|(at, _)| at)
            .collect();
        for (at, column) in relation.columns.iter_mut().enumerate() {
            for row in &mut column.statistics {
                stand_ins.replace(row, &enums, &named, lexemes.contains(&at));
            }
        }
        let none = BTreeSet::new();
        for index in &mut relation.indexes {
            for row in index.statistics.values_mut().flatten() {
                // An expression may be a tsvector; nothing here says so.
                row.slots.retain(|slot| slot.kind != ELEMENTS);
                stand_ins.replace(row, &enums, &none, false);
            }
        }
        for object in &mut relation.extended_statistics {
            for row in object
                .data
                .iter_mut()
                .flat_map(|data| &mut data.expressions)
            {
                row.slots.retain(|slot| slot.kind != ELEMENTS);
                stand_ins.replace(row, &enums, &none, false);
            }
        }
        leave_out_joint_values(relation);
    }
    snapshot.values = Values::Redacted;
    snapshot.limits.push(
        "Values were replaced (--redact): texts and rounded numbers of a query are not among them, \
         so that its conditions on common values are estimated as for rare ones, and ranges to \
         about a hundredth of the rows; most common combinations of extended statistics, and \
         values of types without stand-ins, were left out."
            .to_owned(),
    );
}

/// The smallest and the largest value of an index, where they are known.
type Ends<'a> = Option<&'a (String, String)>;

/// For each index, the family of its leading column, and its ends.
fn ends_of(relation: &Relation) -> Vec<(Option<Family>, Ends<'_>)> {
    relation
        .indexes
        .iter()
        .map(|index| {
            let family = leading_column(&index.definition).and_then(|name| {
                let column = relation.columns.iter().find(|column| column.name == name)?;
                family::of(&column.type_name)
            });
            (family, index.ends.as_ref())
        })
        .collect()
}

/// The first key of an index, where it is a column.
pub fn leading_column(definition: &str) -> Option<String> {
    let (_, keys) = definition.split_once(" USING ")?.1.split_once('(')?;
    let (name, rest) = if let Some(quoted) = keys.strip_prefix('"') {
        let mut name = String::new();
        let mut rest = quoted;
        loop {
            let (part, after) = rest.split_once('"')?;
            name.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    name.push('"');
                    rest = more;
                }
                None => break (name, after),
            }
        }
    } else {
        let end = keys.find([' ', ',', ')', '('])?;
        (keys.get(..end)?.to_owned(), keys.get(end..)?)
    };
    rest.starts_with([' ', ',', ')']).then_some(name)
}

/// The texts that a table's definition names anyway.
fn literals(relation: &Relation) -> BTreeSet<String> {
    let constraints = relation.constraints.iter().map(|found| &found.definition);
    let indexes = relation.indexes.iter().map(|found| &found.definition);
    let defaults = relation.columns.iter().flat_map(|column| &column.default);
    let mut found = BTreeSet::new();
    for text in constraints
        .chain(indexes)
        .chain(defaults)
        .chain(&relation.partition_bound)
    {
        // Every second part between quotes is a literal; one with a quote in
        // it is not found, and so not kept.
        found.extend(text.split('\'').skip(1).step_by(2).map(str::to_owned));
    }
    found
}

/// The stand-in of every value.
#[derive(Debug, Default)]
struct StandIns {
    places: BTreeMap<Family, BTreeMap<i128, i128>>,
    texts: BTreeMap<String, String>,
}

impl StandIns {
    fn add(&mut self, family: Family, value: &str) {
        if family == Family::Text {
            self.texts.insert(value.to_owned(), String::new());
        } else if let Some(place) = family.place(value) {
            self.places.entry(family).or_default().insert(place, place);
        }
    }

    /// Chooses the stand-ins of all values that were added.
    fn choose(&mut self, by_bytes: bool) {
        for (family, places) in &mut self.places {
            let values: Vec<i128> = places.keys().copied().collect();
            for (at, value) in values.iter().enumerate() {
                let before = at.checked_sub(1).and_then(|at| values.get(at)).copied();
                let after = values.get(at + 1).copied();
                places.insert(*value, family.stand_in(before, *value, after));
            }
        }
        let mut texts: Vec<&str> = self.texts.keys().map(String::as_str).collect();
        if !by_bytes {
            // Most collations compare letters and digits first, in any case.
            texts.sort_by_cached_key(|text| {
                let letters: String = text
                    .chars()
                    .filter(|c| c.is_alphanumeric())
                    .flat_map(char::to_lowercase)
                    .collect();
                (letters, (*text).to_owned())
            });
        }
        let mut width = 1;
        while 26_usize.saturating_pow(width) < texts.len() {
            width += 1;
        }
        self.texts = texts
            .iter()
            .enumerate()
            .map(|(rank, text)| ((*text).to_owned(), letters(rank, width as usize, text)))
            .collect();
    }

    /// The stand-in of a value; `None` where there is none.
    fn of(&self, family: Family, value: &str) -> Option<String> {
        match family {
            Family::Kept => Some(value.to_owned()),
            Family::Text => self.texts.get(value).cloned(),
            _ => {
                let place = family.place(value)?;
                let found = self.places.get(&family)?.get(&place)?;
                Some(family.text(*found))
            }
        }
    }

    /// Replaces the values of a row of statistics.
    fn replace(
        &self,
        row: &mut Statistics,
        enums: &BTreeSet<String>,
        named: &BTreeSet<String>,
        lexemes: bool,
    ) {
        row.slots.retain(|slot| slot.kind <= LAST_KIND);
        // Beside a histogram a kept text would stand in the wrong place.
        let keep_named = row.slots.iter().all(|slot| slot.kind != HISTOGRAM);
        for slot in &mut row.slots {
            let Some(values) = slot.values.take() else {
                continue;
            };
            if enums.contains(&values.element) {
                slot.values = Some(values);
                continue;
            }
            let replaced = family::of(&values.element).and_then(|family| {
                array::read(&values.array)?
                    .into_iter()
                    .map(|value| {
                        let kept = slot.kind == COMMON && keep_named && named.contains(&value);
                        if family == Family::Text && kept {
                            Some(value)
                        } else {
                            self.of(family, &value)
                        }
                    })
                    .collect::<Option<Vec<String>>>()
                    .map(|found| (family, found))
            });
            let Some((family, mut found)) = replaced else {
                continue;
            };
            if family == Family::Text && slot.kind == HISTOGRAM {
                // The collation's order may not be the one that was reckoned
                // with; a histogram is in order whatever it is.
                found.sort();
            }
            if family == Family::Text && slot.kind == ELEMENTS {
                sort_elements(slot, &mut found, lexemes);
            }
            slot.values = Some(ValueList {
                array: array::write(found.iter().map(String::as_str)),
                element: values.element,
            });
        }
    }
}

/// Puts elements in the order in which the planner searches them, each with
/// its frequency: lexemes by length first.
fn sort_elements(slot: &mut Slot, elements: &mut Vec<String>, lexemes: bool) {
    let Some(numbers) = &mut slot.numbers else {
        return;
    };
    if numbers.len() < elements.len() {
        return;
    }
    let rest = numbers.split_off(elements.len());
    let mut pairs: Vec<(String, f32)> = elements.drain(..).zip(numbers.drain(..)).collect();
    pairs.sort_by(|(a, _), (b, _)| {
        let length = |text: &String| if lexemes { text.len() } else { 0 };
        (length(a), a).cmp(&(length(b), b))
    });
    for (element, number) in pairs {
        elements.push(element);
        numbers.push(number);
    }
    numbers.extend(rest);
}

/// The text that stands for one of that rank: its letters are in order under
/// any collation.
fn letters(rank: usize, width: usize, text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let mut code = Vec::new();
    let mut rest = rank;
    for _ in 0..width {
        code.push(char::from(b'a' + u8::try_from(rest % 26).unwrap_or(0)));
        rest /= 26;
    }
    let length = text.chars().count().clamp(width, MAX_LETTERS.max(width));
    code.into_iter()
        .rev()
        .chain(std::iter::repeat_n('x', length - width))
        .collect()
}
