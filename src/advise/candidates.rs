//! Index candidates of one statement: what could serve its comparisons,
//! joins and orders, leaving out what an existing index serves already.

use std::collections::BTreeSet;

use super::usage::{Comparison, Usage};
use crate::catalog::{Catalog, Index, Relation, RelationKind, ident};
use crate::finding::{IndexSpec, IndexSpecKey, SpecPartition};

/// A column that fewer than this share of rows pass is worth a key of its
/// own; one that lets more pass only filters.
const KEY_SELECTIVITY: f64 = 0.5;
/// A partial index pays when its predicate keeps at most this share.
const PARTIAL_SHARE: f64 = 0.2;
/// A partial index's column has at most this many distinct values: its
/// constant is a state, not an identity.
const PARTIAL_DISTINCT: f64 = 10.0;
/// Widest sum of INCLUDE columns, bytes: past it the index grows towards a
/// copy of the table.
const INCLUDE_WIDTH: f64 = 100.0;
/// Most INCLUDE columns.
const INCLUDE_COLUMNS: usize = 4;
/// Smallest table, in blocks, for which BRIN is thought of (80 MB).
const BRIN_PAGES: f64 = 10_000.0;
/// Least correlation between value and position for BRIN.
const BRIN_CORRELATION: f64 = 0.98;

/// One index to try.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The index.
    pub spec: IndexSpec,
    /// What it serves, in words: `status = 'new', ORDER BY created_at`.
    pub serves: String,
    /// Columns that would make the heap unnecessary.
    pub cover: Vec<String>,
    /// A predicate with a constant that could become the index's WHERE, and
    /// the key column it makes unnecessary.
    pub partial: Option<(String, String)>,
    /// An existing index whose keys are the first keys of this one: it could
    /// be dropped afterwards.
    pub widens: Option<String>,
    /// It gives rows in an order that the statement asks for, which it may
    /// stop reading early.
    pub ordered: bool,
    /// Tried only when nothing else helped, or for its small size.
    pub brin: bool,
}

/// All candidates, in a fixed order, without duplicates.
pub fn candidates(usages: &[Usage<'_>], catalog: &Catalog) -> Vec<Candidate> {
    let mut maker = Maker {
        catalog,
        found: Vec::new(),
        names: BTreeSet::new(),
    };
    for usage in usages {
        maker.of(usage);
    }
    maker.found
}

struct Maker<'a> {
    catalog: &'a Catalog,
    found: Vec<Candidate>,
    names: BTreeSet<String>,
}

impl Maker<'_> {
    fn of(&mut self, usage: &Usage<'_>) {
        let relation = usage.relation;
        let mut equal: Vec<&Comparison> = Vec::new();
        for comparison in &usage.equal {
            if comparison.selectivity.unwrap_or(0.1) <= KEY_SELECTIVITY
                && !equal.iter().any(|other| other.key == comparison.key)
            {
                equal.push(comparison);
            }
        }
        // The most telling column first: a shorter prefix then serves other
        // statements best. Ties keep the order of the text.
        equal.sort_by(|a, b| {
            a.selectivity
                .unwrap_or(0.1)
                .total_cmp(&b.selectivity.unwrap_or(0.1))
        });
        let columns: Vec<&str> = equal
            .iter()
            .filter(|comparison| !comparison.key.is_expression)
            .map(|comparison| comparison.column.as_str())
            .collect();
        // A unique key finds its one row; nothing can be quicker.
        let found_by_key = relation.is_unique_key(&columns);
        if !found_by_key {
            self.filters(usage, &equal);
        }
        for join in &usage.join {
            let mut with_join = columns.clone();
            with_join.push(&join.column);
            if found_by_key || (!join.key.is_expression && relation.is_unique_key(&[&join.column]))
            {
                continue;
            }
            let mut keys = vec![join];
            keys.extend(equal.iter().filter(|other| other.key != join.key));
            let range = usage.range.iter().find(|range| range.key != join.key);
            self.btree(usage, &keys, range, &[], usage.partial_of(&equal));
        }
        for special in &usage.special {
            self.push(Candidate {
                spec: self.spec(
                    relation,
                    special.method,
                    vec![special.key.clone()],
                    special.extension,
                ),
                serves: special.key.text.clone(),
                cover: Vec::new(),
                partial: None,
                widens: None,
                ordered: false,
                brin: false,
            });
        }
        for leaves in &usage.alternatives {
            for leaf in leaves {
                self.btree(usage, &[], Some(leaf), &[], None);
            }
        }
    }

    fn filters(&mut self, usage: &Usage<'_>, equal: &[&Comparison]) {
        let relation = usage.relation;
        let partial = usage.partial_of(equal);
        // An index with the order behind the equal columns serves these alone
        // too: the shorter one is not tried against it.
        let mut ordered = false;
        if !usage.order.is_empty() {
            let order: Vec<IndexSpecKey> = usage
                .order
                .iter()
                .filter(|key| !equal.iter().any(|other| other.key.text == key.text))
                .cloned()
                .collect();
            if !order.is_empty() {
                self.btree(usage, equal, None, &order, partial.clone());
                ordered = !equal.is_empty();
            }
        }
        let mut ranges: Vec<&Comparison> = Vec::new();
        for range in &usage.range {
            if !ranges.iter().any(|other| other.key == range.key)
                && !equal.iter().any(|other| other.key == range.key)
            {
                ranges.push(range);
            }
        }
        for range in &ranges {
            self.btree(usage, equal, Some(range), &[], partial.clone());
        }
        if ranges.is_empty() && !equal.is_empty() && !ordered {
            self.btree(usage, equal, None, &[], partial.clone());
        }
        if !equal.is_empty() && !usage.group.is_empty() {
            let group: Vec<IndexSpecKey> = usage
                .group
                .iter()
                .filter(|name| !equal.iter().any(|other| other.column == **name))
                .map(IndexSpecKey::column)
                .collect();
            if !group.is_empty() {
                self.btree(usage, equal, None, &group, partial);
            }
        }
        if relation.pages >= BRIN_PAGES {
            for range in ranges {
                let correlated = relation
                    .column(&range.column)
                    .and_then(|column| column.stats.as_ref())
                    .and_then(|stats| stats.correlation)
                    .is_some_and(|correlation| correlation.abs() >= BRIN_CORRELATION);
                if correlated && !range.key.is_expression && range.key.opclass.is_none() {
                    self.push(Candidate {
                        spec: self.spec(relation, "brin", vec![range.key.clone()], None),
                        serves: range.text.clone(),
                        cover: Vec::new(),
                        partial: None,
                        widens: None,
                        ordered: false,
                        brin: true,
                    });
                }
            }
        }
    }

    /// Equality first, then one range or the order.
    fn btree(
        &mut self,
        usage: &Usage<'_>,
        equal: &[&Comparison],
        range: Option<&Comparison>,
        order: &[IndexSpecKey],
        partial: Option<(String, String)>,
    ) {
        let relation = usage.relation;
        let mut keys: Vec<IndexSpecKey> = equal.iter().map(|other| other.key.clone()).collect();
        let mut serves: Vec<String> = equal.iter().map(|other| other.text.clone()).collect();
        let equal_keys = keys.len();
        if let Some(range) = range {
            keys.push(range.key.clone());
            serves.push(range.text.clone());
        }
        keys.extend(order.iter().cloned());
        if !order.is_empty() {
            let names: Vec<&str> = order.iter().map(|key| key.text.as_str()).collect();
            serves.push(format!("ordered by {}", names.join(", ")));
        }
        keys.dedup();
        // NULLs and long keys aside, no operator class of B-tree is missing
        // for the types below; a type without one is refused by the server.
        if keys.is_empty() || keys.len() > 8 {
            return;
        }
        if relation
            .indexes
            .iter()
            .any(|index| serves_already(index, &keys, equal_keys))
        {
            return;
        }
        let widens = relation
            .indexes
            .iter()
            .find(|index| is_replaced_by(index, &keys))
            .map(|index| index.name.clone());
        let cover = cover(usage, &keys);
        let partial = partial.filter(|(_, column)| {
            keys.len() > 1
                && keys
                    .iter()
                    .any(|key| !key.is_expression && key.text == *column)
        });
        self.push(Candidate {
            spec: self.spec(relation, "btree", keys, None),
            serves: serves.join(", "),
            cover,
            partial,
            widens,
            ordered: !order.is_empty() && !usage.order.is_empty(),
            brin: false,
        });
    }

    fn spec(
        &self,
        relation: &Relation,
        method: &str,
        keys: Vec<IndexSpecKey>,
        extension: Option<&str>,
    ) -> IndexSpec {
        let partitions = if relation.kind == RelationKind::PartitionedTable {
            partitions(self.catalog, relation)
        } else {
            Vec::new()
        };
        let mut spec = IndexSpec {
            schema: relation.schema.clone(),
            table: relation.name.clone(),
            name: String::new(),
            method: method.to_owned(),
            keys,
            include: Vec::new(),
            predicate: None,
            with: None,
            extension: extension.map(str::to_owned),
            partitions,
        };
        spec.name = base_name(&spec);
        spec
    }

    fn push(&mut self, mut candidate: Candidate) {
        let same = |other: &Candidate| {
            other.spec.schema == candidate.spec.schema
                && other.spec.table == candidate.spec.table
                && other.spec.method == candidate.spec.method
                && other.spec.keys == candidate.spec.keys
        };
        if self.found.iter().any(same) {
            return;
        }
        if candidate.spec.method != "btree"
            && let Some(relation) = self
                .catalog
                .relation(Some(&candidate.spec.schema), &candidate.spec.table)
            && relation.indexes.iter().any(|index| {
                index.valid
                    && index.method == candidate.spec.method
                    && index.predicate.is_none()
                    && candidate.spec.keys.iter().all(|key| {
                        index.keys.iter().any(|own| {
                            normal(&own.text) == normal(&key.text)
                                && key.opclass.as_ref().is_none_or(|class| {
                                    *class == own.opclass
                                        || (own.opclass == "jsonb_ops" && class == "jsonb_path_ops")
                                })
                        })
                    })
            })
        {
            return;
        }
        candidate.spec.name = free_name(self.catalog, &self.names, &candidate.spec);
        self.names.insert(candidate.spec.name.clone());
        self.found.push(candidate);
    }
}

impl Usage<'_> {
    /// The constant that a partial index could have, with its column.
    fn partial_of(&self, equal: &[&Comparison]) -> Option<(String, String)> {
        self.equal
            .iter()
            .filter(|comparison| {
                comparison.constant.is_some()
                    && comparison
                        .selectivity
                        .is_some_and(|share| share <= PARTIAL_SHARE)
                    && self
                        .relation
                        .column(&comparison.column)
                        .and_then(|column| column.stats.as_ref())
                        .is_some_and(|stats| {
                            stats.distinct(self.relation.rows()) <= PARTIAL_DISTINCT
                        })
            })
            .filter(|comparison| equal.iter().any(|other| other.key == comparison.key))
            .find_map(|comparison| {
                comparison
                    .constant
                    .clone()
                    .map(|constant| (constant, comparison.column.clone()))
            })
    }
}

/// The candidate with INCLUDE columns, so that the heap need not be read;
/// `None` when it covers already or would grow too wide.
pub fn covering(candidate: &Candidate) -> Option<IndexSpec> {
    (!candidate.cover.is_empty()).then(|| {
        let mut spec = candidate.spec.clone();
        spec.include.clone_from(&candidate.cover);
        spec.name = suffixed(&spec.name, "_incl");
        spec
    })
}

/// The candidate as a partial index.
pub fn partial(candidate: &Candidate) -> Option<IndexSpec> {
    let (predicate, column) = candidate.partial.as_ref()?;
    let mut spec = candidate.spec.clone();
    spec.keys
        .retain(|key| key.is_expression || key.text != *column);
    if spec.keys.is_empty() {
        return None;
    }
    spec.predicate = Some(predicate.clone());
    spec.name = suffixed(&spec.name, "_partial");
    Some(spec)
}

/// The candidate without its last key, as long as one key remains.
pub fn narrower(spec: &IndexSpec) -> Option<IndexSpec> {
    let mut spec = spec.clone();
    if spec.keys.len() < 2 {
        return None;
    }
    spec.keys.pop();
    spec.name = base_name(&spec);
    Some(spec)
}

fn suffixed(name: &str, suffix: &str) -> String {
    let stem = name.strip_suffix("_idx").unwrap_or(name);
    cut(stem, &format!("{suffix}_idx"))
}

fn cut(stem: &str, suffix: &str) -> String {
    let mut end = stem
        .len()
        .min(ident::MAX_LENGTH.saturating_sub(suffix.len()));
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", stem.get(..end).unwrap_or(stem))
}

/// `table_column_column_idx`, as PostgreSQL itself would name it.
pub(super) fn base_name(spec: &IndexSpec) -> String {
    let mut stem = spec.table.clone();
    for key in &spec.keys {
        stem.push('_');
        if key.is_expression {
            let words: Vec<&str> = key
                .text
                .split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .filter(|word| !word.is_empty())
                .take(2)
                .collect();
            stem.push_str(&words.join("_").to_lowercase());
        } else {
            stem.push_str(&key.text);
        }
    }
    if spec.method != "btree" {
        stem.push('_');
        stem.push_str(&spec.method);
    }
    cut(&stem, "_idx")
}

/// The spec's name, or with a number behind it where that is taken.
pub fn free_name(catalog: &Catalog, taken: &BTreeSet<String>, spec: &IndexSpec) -> String {
    let used = |name: &str| {
        taken.contains(name)
            || catalog.index(name).is_some()
            || catalog.relation(Some(&spec.schema), name).is_some()
    };
    if !used(&spec.name) {
        return spec.name.clone();
    }
    let stem = spec.name.strip_suffix("_idx").unwrap_or(&spec.name);
    (1..=taken.len() + catalog.relations.len() + 1_000)
        .map(|number| cut(stem, &format!("_idx{number}")))
        .find(|name| !used(name))
        .unwrap_or_else(|| spec.name.clone())
}

/// All partitions of a table, each behind its parent.
pub(super) fn partitions(catalog: &Catalog, parent: &Relation) -> Vec<SpecPartition> {
    let mut found = Vec::new();
    for relation in &catalog.relations {
        let Some((schema, name)) = &relation.parent else {
            continue;
        };
        if *schema != parent.schema || *name != parent.name {
            continue;
        }
        let is_partitioned = relation.kind == RelationKind::PartitionedTable;
        found.push(SpecPartition {
            schema: relation.schema.clone(),
            table: relation.name.clone(),
            parent: (schema.clone(), name.clone()),
            is_partitioned,
        });
        if is_partitioned {
            found.extend(partitions(catalog, relation));
        }
    }
    found
}

/// Parentheses, blanks and `::text` casts differ between what people write
/// and what the server deparses.
fn normal(text: &str) -> String {
    text.replace("::text", "")
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')'))
        .collect::<String>()
        .to_lowercase()
}

/// Whether an index has these keys in front: the first `equal` of them in any
/// order, the rest in the same order and directions (or all reversed).
fn serves_already(index: &Index, keys: &[IndexSpecKey], equal: usize) -> bool {
    if !index.valid || index.method != "btree" || index.predicate.is_some() {
        return false;
    }
    let Some(front) = index.keys.get(..keys.len()) else {
        return false;
    };
    let matches_key = |own: &crate::catalog::IndexKey, key: &IndexSpecKey| {
        let same = if key.is_expression {
            own.column.is_none() && normal(&own.text) == normal(&key.text)
        } else {
            own.column.as_deref() == Some(key.text.as_str())
        };
        let opclass = match &key.opclass {
            Some(class) => *class == own.opclass,
            None => own.default_opclass,
        };
        same && opclass && own.collation.is_none()
    };
    let (Some(first), Some(rest)) = (front.get(..equal), front.get(equal..)) else {
        return false;
    };
    let wanted = keys.get(equal..).unwrap_or_default();
    keys.iter()
        .take(equal)
        .all(|key| first.iter().any(|own| matches_key(own, key)))
        && rest
            .iter()
            .zip(wanted)
            .all(|(own, key)| matches_key(own, key))
        && (wanted.len() < 2 || {
            let same = |flip: bool| {
                rest.iter()
                    .zip(wanted)
                    .all(|(own, key)| (own.descending != key.descending) == flip)
            };
            same(false) || same(true)
        })
}

/// Whether an index's keys are the first keys of the new one, so that it would
/// be redundant afterwards. Unique indexes keep their purpose.
fn is_replaced_by(index: &Index, keys: &[IndexSpecKey]) -> bool {
    index.valid
        && !index.unique
        && index.method == "btree"
        && index.predicate.is_none()
        && index.include.is_empty()
        && index.keys.len() < keys.len()
        && index.keys.iter().zip(keys).all(|(own, key)| {
            !key.is_expression
                && own.column.as_deref() == Some(key.text.as_str())
                && own.default_opclass == key.opclass.is_none()
                && own.collation.is_none()
                && own.descending == key.descending
        })
}

/// The columns to INCLUDE so that the index alone answers.
fn cover(usage: &Usage<'_>, keys: &[IndexSpecKey]) -> Vec<String> {
    let Some(read) = &usage.read else {
        return Vec::new();
    };
    let missing: Vec<String> = read
        .iter()
        .filter(|name| {
            !keys
                .iter()
                .any(|key| !key.is_expression && key.text == **name)
        })
        .cloned()
        .collect();
    let width: f64 = missing
        .iter()
        .map(|name| {
            usage
                .relation
                .column(name)
                .and_then(|column| column.stats.as_ref())
                .map_or(32.0, |stats| stats.average_width)
        })
        .sum();
    if missing.len() > INCLUDE_COLUMNS || width > INCLUDE_WIDTH {
        return Vec::new();
    }
    missing
}
