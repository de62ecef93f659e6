//! What in a snapshot makes no sense, whoever wrote it.
//!
//! A snapshot may have been changed by hand or made up. What PostgreSQL could
//! not have said is left out here, object by object, before anything is built
//! from it; the rest is used.

use std::collections::BTreeSet;

use super::{
    Column, ExtendedData, Index, IndexMeta, ObjectKind, Relation, RelationKind, Size, Slot,
    Snapshot, Statistics,
};

/// Most columns of a table (`MaxHeapAttributeNumber`).
const MAX_COLUMNS: usize = 1600;
/// Slots of a `pg_statistic` row (`STATISTIC_NUM_SLOTS`).
const MAX_SLOTS: usize = 5;
/// Largest number of blocks (`MaxBlockNumber` + 1).
const MAX_BLOCKS: u64 = 0xFFFF_FFFF;
/// Levels that no B-tree exceeds: pages hold two entries at least.
const MAX_HEIGHT: u32 = 32;

/// What makes no sense, named object by object; [`clean`] leaves it out.
pub fn check(snapshot: &Snapshot) -> Vec<String> {
    clean(&mut snapshot.clone())
}

/// Leaves out what makes no sense, and names it object by object.
pub fn clean(snapshot: &mut Snapshot) -> Vec<String> {
    let mut said = Vec::new();
    snapshot.settings.retain(|name, value| {
        keep(&mut said, &format!("setting {name}"), || {
            setting_trouble(name, value)
        })
    });
    for (place, settings) in snapshot.role_settings.iter_mut().enumerate() {
        settings.settings.retain(|name, value| {
            let what = format!("setting {name} of role settings {}", place + 1);
            keep(&mut said, &what, || setting_trouble(name, value))
        });
    }
    if snapshot.search_path.contains('\0') {
        snapshot.search_path.clear();
        said.push(left_out("search_path", "it has a NUL character"));
    }
    snapshot.extensions.retain(|extension| {
        let what = format!("extension {}", extension.name);
        keep(&mut said, &what, || {
            nul(&[&extension.name, &extension.schema, &extension.version])
                .or_else(|| empty(&extension.name))
        })
    });
    let mut seen = BTreeSet::new();
    snapshot.objects.retain(|object| {
        let what = format!("{} {}", words_of(object.kind), object.name);
        keep(&mut said, &what, || {
            nul(&[&object.name, &object.create])
                .or_else(|| object.then.iter().find_map(|then| nul(&[then])))
                .or_else(|| empty(&object.name))
                .or_else(|| begins(&object.create, starts_of(object.kind)))
                .or_else(|| {
                    (!seen.insert((object.kind, object.name.clone())))
                        .then(|| "another one has the same name".to_owned())
                })
        })
    });
    let order = |relation: &Relation| (relation.schema.clone(), relation.name.clone());
    if !snapshot.relations.is_sorted_by_key(order) {
        snapshot.relations.sort_by_key(order);
    }
    let mut seen = BTreeSet::new();
    snapshot.relations.retain_mut(|relation| {
        let name = format!("{}.{}", relation.schema, relation.name);
        let kept = keep(&mut said, &name, || {
            relation_trouble(relation).or_else(|| {
                (!seen.insert(order(relation))).then(|| "another one has the same name".to_owned())
            })
        });
        if kept {
            parts_of(relation, &name, &mut said);
        }
        kept
    });
    said
}

/// Whether JSON has a word for every number.
pub(super) fn is_finite(snapshot: &Snapshot) -> bool {
    let statistics = |rows: &[Statistics]| rows.iter().all(|row| statistics_trouble(row).is_none());
    let size = |size: &Option<Size>| size.is_none_or(|size| size.tuples.is_finite());
    snapshot.relations.iter().all(|relation| {
        size(&relation.size)
            && relation
                .columns
                .iter()
                .all(|column| statistics(&column.statistics))
            && relation.indexes.iter().all(|index| {
                size(&index.size) && index.statistics.values().all(|rows| statistics(rows))
            })
            && relation
                .extended_statistics
                .iter()
                .all(|object| object.data.iter().all(|data| statistics(&data.expressions)))
    })
}

fn left_out(what: &str, why: &str) -> String {
    format!(
        "{} was left out of the snapshot: {why}",
        what.escape_debug()
    )
}

fn keep(said: &mut Vec<String>, what: &str, trouble: impl FnOnce() -> Option<String>) -> bool {
    match trouble() {
        Some(why) => {
            said.push(left_out(what, &why));
            false
        }
        None => true,
    }
}

fn nul(texts: &[&str]) -> Option<String> {
    texts
        .iter()
        .any(|text| text.contains('\0'))
        .then(|| "it has a NUL character, which PostgreSQL cannot hold".to_owned())
}

fn empty(name: &str) -> Option<String> {
    name.is_empty().then(|| "it has no name".to_owned())
}

fn setting_trouble(name: &str, value: &str) -> Option<String> {
    nul(&[name, value]).or_else(|| {
        let fits = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '-'));
        (!fits).then(|| "that is not the name of a setting".to_owned())
    })
}

/// Refuses a statement whose first words are not among those.
fn begins(statement: &str, starts: &[&str]) -> Option<String> {
    let words: Vec<String> = statement
        .split_whitespace()
        .take(8)
        .map(str::to_uppercase)
        .collect();
    let fits = starts.iter().any(|start| {
        let mut rest = words.iter();
        start
            .split(' ')
            .all(|word| rest.next().is_some_and(|found| found == word))
    });
    (!fits).then(|| {
        format!(
            "the statement that makes it does not begin with {}",
            starts.join(" or ")
        )
    })
}

fn words_of(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Schema => "schema",
        ObjectKind::Collation => "collation",
        ObjectKind::Type => "type",
        ObjectKind::Sequence => "sequence",
        ObjectKind::Function => "function",
        ObjectKind::Procedure => "procedure",
        ObjectKind::Aggregate => "aggregate",
        ObjectKind::Operator => "operator",
        ObjectKind::Cast => "cast",
        ObjectKind::OperatorFamily => "operator family",
        ObjectKind::OperatorClass => "operator class",
        ObjectKind::TextSearchConfiguration => "text search configuration",
        ObjectKind::ForeignDataWrapper => "foreign data wrapper",
        ObjectKind::ForeignServer => "foreign server",
    }
}

/// The first words of the statements that make a kind of object.
fn starts_of(kind: ObjectKind) -> &'static [&'static str] {
    match kind {
        ObjectKind::Schema => &["CREATE SCHEMA"],
        ObjectKind::Collation => &["CREATE COLLATION"],
        ObjectKind::Type => &["CREATE TYPE", "CREATE DOMAIN"],
        ObjectKind::Sequence => &["CREATE SEQUENCE", "CREATE UNLOGGED SEQUENCE"],
        ObjectKind::Function => &["CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"],
        ObjectKind::Procedure => &["CREATE PROCEDURE", "CREATE OR REPLACE PROCEDURE"],
        ObjectKind::Aggregate => &["CREATE AGGREGATE", "CREATE OR REPLACE AGGREGATE"],
        ObjectKind::Operator => &["CREATE OPERATOR"],
        ObjectKind::Cast => &["CREATE CAST"],
        ObjectKind::OperatorFamily => &["CREATE OPERATOR FAMILY"],
        ObjectKind::OperatorClass => &["CREATE OPERATOR CLASS"],
        ObjectKind::TextSearchConfiguration => &["CREATE TEXT SEARCH"],
        ObjectKind::ForeignDataWrapper => &["CREATE FOREIGN DATA WRAPPER"],
        ObjectKind::ForeignServer => &["CREATE SERVER"],
    }
}

fn relation_trouble(relation: &Relation) -> Option<String> {
    nul(&[&relation.schema, &relation.name])
        .or_else(|| empty(&relation.name))
        .or_else(|| empty(&relation.schema))
        .or_else(|| {
            let count = relation.columns.len();
            (count > MAX_COLUMNS)
                .then(|| format!("it has {count} columns, and a table has {MAX_COLUMNS} at most"))
        })
        .or_else(|| {
            relation.columns.iter().find_map(|column| {
                nul(&[
                    &column.name,
                    &column.type_name,
                    column.default.as_deref().unwrap_or(""),
                    column.collation.as_deref().unwrap_or(""),
                ])
                .map(|why| format!("of column {}, {why}", column.name.escape_debug()))
            })
        })
        .or_else(|| {
            relation
                .partition_bound
                .iter()
                .chain(&relation.partition_key)
                .chain(&relation.definition)
                .find_map(|text| nul(&[text]))
        })
        .or_else(|| {
            let text = relation.definition.as_deref()?;
            let a_view = matches!(
                relation.kind,
                RelationKind::View | RelationKind::MaterializedView
            );
            a_view
                .then(|| {
                    begins(
                        text.trim_start_matches(|c: char| c == '(' || c.is_whitespace()),
                        &["SELECT", "WITH", "VALUES", "TABLE"],
                    )
                })
                .flatten()
        })
}

/// Leaves out parts of a relation that stands.
fn parts_of(relation: &mut Relation, name: &str, said: &mut Vec<String>) {
    if let Some(why) = relation.size.and_then(|size| size_trouble(&size)) {
        relation.size = None;
        said.push(left_out(&format!("the size of {name}"), &why));
    }
    for column in &mut relation.columns {
        column_parts(column, name, said);
    }
    relation.constraints.retain(|constraint| {
        let what = format!("constraint {} of {name}", constraint.name);
        keep(said, &what, || {
            nul(&[&constraint.name, &constraint.definition]).or_else(|| {
                begins(
                    &constraint.definition.replace('(', " ("),
                    match constraint.kind.as_str() {
                        "p" => &["PRIMARY KEY"],
                        "u" => &["UNIQUE"],
                        "x" => &["EXCLUDE"],
                        "f" => &["FOREIGN KEY"],
                        "c" => &["CHECK"],
                        "n" => &["NOT NULL"],
                        _ => &["PRIMARY KEY, UNIQUE, EXCLUDE, FOREIGN KEY, CHECK or NOT NULL"],
                    },
                )
            })
        })
    });
    relation.indexes.retain_mut(|index| {
        let what = format!("index {} of {name}", index.name);
        let kept = keep(said, &what, || {
            nul(&[&index.name, &index.definition, &index.method])
                .or_else(|| empty(&index.name))
                .or_else(|| begins(&index.definition, &["CREATE INDEX", "CREATE UNIQUE INDEX"]))
        });
        if kept {
            index_parts(index, &what, said);
        }
        kept
    });
    relation.triggers.retain(|trigger| {
        let what = format!("trigger {} of {name}", trigger.name);
        keep(said, &what, || {
            nul(&[&trigger.name, &trigger.definition]).or_else(|| {
                begins(
                    &trigger.definition,
                    &["CREATE TRIGGER", "CREATE CONSTRAINT TRIGGER"],
                )
            })
        })
    });
    relation.rules.retain(|rule| {
        let what = format!("rule {} of {name}", rule.name);
        keep(said, &what, || {
            nul(&[&rule.name, &rule.definition])
                .or_else(|| begins(&rule.definition, &["CREATE RULE", "CREATE OR REPLACE RULE"]))
        })
    });
    relation.policies.retain(|policy| {
        let what = format!("policy {} of {name}", policy.name);
        keep(said, &what, || {
            let expressions = policy.using.iter().chain(&policy.check);
            nul(&[&policy.name])
                .or_else(|| {
                    expressions
                        .chain(&policy.roles)
                        .find_map(|text| nul(&[text]))
                })
                .or_else(|| {
                    let known = ["ALL", "SELECT", "INSERT", "UPDATE", "DELETE"];
                    (!known.contains(&policy.command.as_str()))
                        .then(|| "it is for a command that policies do not know".to_owned())
                })
        })
    });
    relation.extended_statistics.retain_mut(|object| {
        let what = format!("statistics object {}.{}", object.schema, object.name);
        let kept = keep(said, &what, || {
            nul(&[&object.schema, &object.name, &object.definition])
                .or_else(|| begins(&object.definition, &["CREATE STATISTICS"]))
        });
        if kept {
            object.data.retain(|data| {
                let what = format!("the data of {what}");
                keep(said, &what, || extended_trouble(data))
            });
        }
        kept
    });
}

fn column_parts(column: &mut Column, table: &str, said: &mut Vec<String>) {
    let what = format!("the statistics of column {} of {table}", column.name);
    column
        .statistics
        .retain(|row| keep(said, &what, || statistics_trouble(row)));
    let letters = [
        (&mut column.generated, "sv", "how it is generated"),
        (&mut column.identity, "ad", "identity"),
        (&mut column.storage, "pemx", "storage"),
        (&mut column.compression, "pl", "compression"),
    ];
    for (letter, known, property) in letters {
        let fits = letter
            .as_deref()
            .is_none_or(|letter| letter.len() == 1 && known.contains(letter));
        if !fits {
            *letter = None;
            said.push(left_out(
                &format!("of column {} of {table}, {property}", column.name),
                "PostgreSQL knows no such letter",
            ));
        }
    }
}

fn index_parts(index: &mut Index, what: &str, said: &mut Vec<String>) {
    if let Some(why) = index.size.and_then(|size| size_trouble(&size)) {
        index.size = None;
        said.push(left_out(&format!("the size of {what}"), &why));
    }
    let meta = match &index.meta {
        Some(IndexMeta::Btree { height, .. }) if *height > MAX_HEIGHT => {
            Some(format!("no B-tree has {height} levels"))
        }
        Some(IndexMeta::Gin { entries, .. }) if *entries < 0 => {
            Some("a number in it is negative".to_owned())
        }
        _ => None,
    };
    if let Some(why) = meta {
        index.meta = None;
        said.push(left_out(&format!("the first page of {what}"), &why));
    }
    let ends = index
        .ends
        .as_ref()
        .and_then(|(low, high)| nul(&[low, high]));
    if let Some(why) = ends {
        index.ends = None;
        said.push(left_out(&format!("the ends of {what}"), &why));
    }
    let what = format!("the statistics of {what}");
    index.statistics.retain(|key, rows| {
        rows.retain(|row| keep(said, &what, || statistics_trouble(row)));
        keep(said, &what, || key_trouble(*key))
    });
    index
        .statistics_targets
        .retain(|key, _| keep(said, &what, || key_trouble(*key)));
}

/// Indexes have 32 keys at most.
fn key_trouble(key: u16) -> Option<String> {
    (!(1..=32).contains(&key)).then(|| format!("an index has no key {key}"))
}

fn size_trouble(size: &Size) -> Option<String> {
    if size.blocks > MAX_BLOCKS || size.pages > MAX_BLOCKS.cast_signed() {
        Some("PostgreSQL has no relation of more than 4,294,967,295 blocks".to_owned())
    } else if
    // Partitioned tables that were analysed have -1.
    size.pages < -1 || size.all_visible < 0 || size.all_frozen.is_some_and(|n| n < 0) {
        Some("a number of blocks is negative".to_owned())
    } else if size.all_visible > MAX_BLOCKS.cast_signed() {
        Some("more blocks are all-visible than a relation can have".to_owned())
    } else if !size.tuples.is_finite()
        || (size.tuples < 0.0 && size.tuples.to_bits() != (-1.0f32).to_bits())
    {
        Some("its number of rows is none".to_owned())
    } else {
        None
    }
}

fn statistics_trouble(row: &Statistics) -> Option<String> {
    let share = |number: f32| number.is_finite() && (0.0..=1.0).contains(&number);
    if !share(row.null_fraction) {
        Some("its fraction of nulls is not between 0 and 1".to_owned())
    } else if !row.distinct.is_finite() || row.distinct < -1.0 {
        Some("its number of distinct values is none".to_owned())
    } else if row.width < 0 {
        Some("its width is negative".to_owned())
    } else if row.slots.len() > MAX_SLOTS {
        Some(format!(
            "it has {} slots, and pg_statistic has {MAX_SLOTS}",
            row.slots.len()
        ))
    } else {
        row.slots.iter().find_map(slot_trouble)
    }
}

fn slot_trouble(slot: &Slot) -> Option<String> {
    let finite = |numbers: &Vec<f32>| numbers.iter().all(|number| number.is_finite());
    if slot.kind < 0 {
        Some(format!("there is no kind {} of statistics", slot.kind))
    } else if !slot.numbers.as_ref().is_none_or(finite) {
        Some("a number in it is not finite".to_owned())
    } else {
        let operator = slot.operator.iter().chain(&slot.collation);
        operator
            .map(String::as_str)
            .chain(
                slot.values
                    .iter()
                    .flat_map(|values| [values.element.as_str(), values.array.as_str()]),
            )
            .find_map(|text| nul(&[text]))
            .or_else(|| {
                let braces = |array: &str| array.starts_with(['{', '[']) && array.ends_with('}');
                let fits = slot
                    .values
                    .as_ref()
                    .is_none_or(|values| braces(&values.array) && !values.element.is_empty());
                (!fits).then(|| "its values are not an array".to_owned())
            })
    }
}

fn extended_trouble(data: &ExtendedData) -> Option<String> {
    let bytes = [
        &data.n_distinct,
        &data.dependencies,
        &data.most_common_values,
    ];
    let hexadecimal = |text: &str| {
        text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if bytes
        .into_iter()
        .flatten()
        .any(|text| !hexadecimal(text.strip_prefix("\\x").unwrap_or(text)))
    {
        Some("they are not hexadecimal bytes".to_owned())
    } else {
        data.expressions.iter().find_map(statistics_trouble)
    }
}
