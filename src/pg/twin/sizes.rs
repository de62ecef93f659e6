//! The sizes that supposed indexes are given.

use crate::catalog::size::{SizeEstimate, SizedIndex, SizedKey, index_size};
use crate::catalog::{Catalog, Index, Relation};
use crate::finding::IndexSpec;

/// The size of an empty index: its metapage.
const EMPTY: SizeEstimate = SizeEstimate {
    bytes: 8192.0,
    blocks: 1,
    tuples: 0.0,
    height: 0,
};

/// The share of rows that a predicate lets in where nothing is known.
const UNKNOWN_SELECTIVITY: f64 = 0.3;

/// The size of an index that does not exist yet. Of a table that the catalogue
/// does not have, that of an empty one.
pub fn estimate(catalog: &Catalog, spec: &IndexSpec) -> SizeEstimate {
    let Some(relation) = catalog.relation(Some(&spec.schema), &spec.table) else {
        return EMPTY;
    };
    let keys = spec
        .keys
        .iter()
        .map(|key| SizedKey {
            column: (!key.is_expression).then_some(key.text.as_str()),
            expression: &key.text,
            stats: None,
            not_null: leaves_out_nulls(spec.predicate.as_deref(), &key.text),
            opclass: key.opclass.as_deref().unwrap_or_default(),
        })
        .collect();
    let names: Vec<&str> = spec.keys.iter().map(|key| key.text.as_str()).collect();
    let plain = spec.keys.iter().all(|key| !key.is_expression);
    let index = SizedIndex {
        method: &spec.method,
        keys,
        include: spec.include.iter().map(String::as_str).collect(),
        unique: plain && relation.is_unique_key(&names),
        selectivity: spec.predicate.as_ref().map_or(1.0, |_| UNKNOWN_SELECTIVITY),
        options: spec.with.as_deref().map_or_else(Vec::new, options),
    };
    index_size(relation, &index, relation.rows())
}

/// The size of an index that the catalogue has, as if it were built now.
/// `selectivity` is the share of the rows that its predicate lets in, where it
/// is known.
pub fn estimate_index(
    relation: &Relation,
    index: &Index,
    selectivity: Option<f64>,
) -> SizeEstimate {
    let keys = index
        .keys
        .iter()
        .map(|key| SizedKey {
            column: key.column.as_deref(),
            expression: &key.text,
            stats: key.stats.as_ref(),
            not_null: leaves_out_nulls(index.predicate.as_deref(), &key.text),
            opclass: if key.default_opclass {
                ""
            } else {
                &key.opclass
            },
        })
        .collect();
    let sized = SizedIndex {
        method: &index.method,
        keys,
        include: index.include.iter().map(String::as_str).collect(),
        unique: index.unique,
        selectivity: selectivity.unwrap_or_else(|| {
            index
                .predicate
                .as_ref()
                .map_or(1.0, |_| UNKNOWN_SELECTIVITY)
        }),
        options: options_of(&index.definition),
    };
    index_size(relation, &sized, relation.rows())
}

/// Whether a predicate says that a column is not NULL: outright, or by a
/// comparison that nothing else is joined to by OR.
fn leaves_out_nulls(predicate: Option<&str>, column: &str) -> bool {
    let Some(predicate) = predicate else {
        return false;
    };
    let words: Vec<&str> = predicate
        .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')'))
        .filter(|word| !word.is_empty())
        .collect();
    let upper = |at: usize| words.get(at).map(|word| word.to_ascii_uppercase());
    if (0..words.len()).any(|at| upper(at).as_deref() == Some("OR")) {
        return false;
    }
    words.iter().enumerate().any(|(at, word)| {
        if word.trim_matches('"') != column {
            return false;
        }
        match upper(at + 1).as_deref() {
            Some("IS") => {
                upper(at + 2).as_deref() == Some("NOT") && upper(at + 3).as_deref() == Some("NULL")
            }
            Some("=" | "<" | ">" | "<=" | ">=" | "<>") => true,
            _ => false,
        }
    })
}

/// The storage parameters in a `CREATE INDEX` that the server deparsed.
fn options_of(definition: &str) -> Vec<(&str, &str)> {
    definition
        .rsplit_once(" WITH (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map_or_else(Vec::new, |(list, _)| options(list))
}

/// Storage parameters as they stand between parentheses.
fn options(list: &str) -> Vec<(&str, &str)> {
    list.split(',')
        .filter_map(|option| {
            let (name, value) = option.split_once('=')?;
            Some((name.trim(), value.trim().trim_matches('\'')))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_parameters_are_read_from_definitions() {
        assert_eq!(
            options_of(
                "CREATE INDEX i ON public.t USING btree (a) WITH (fillfactor='70', deduplicate_items=off) WHERE (a > 3)"
            ),
            [("fillfactor", "70"), ("deduplicate_items", "off")]
        );
        assert!(options_of("CREATE INDEX i ON public.t USING btree (a)").is_empty());
    }

    #[test]
    fn predicates_that_leave_out_nulls_are_known() {
        let says = |predicate, column| leaves_out_nulls(Some(predicate), column);
        assert!(says("(a IS NOT NULL)", "a"));
        assert!(says("((a > 3) AND (b IS NULL))", "a"));
        assert!(!says("((a > 3) AND (b IS NULL))", "b"));
        assert!(!says("((a > 3) OR (b = 2))", "a"));
    }
}
