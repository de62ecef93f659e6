//! The index that a name means, and its partitions' indexes.

use crate::advise::suppress::nearest;
use crate::catalog::{Catalog, Index, Relation, ident};

/// No index has that name, or several have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotFound {
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hints: Vec<String>,
}

/// The index of a name as a user writes it: `index`, `schema.index`, with
/// quotes where needed.
pub(super) fn index<'a>(
    catalog: &'a Catalog,
    written: &str,
) -> Result<(&'a Relation, &'a Index), NotFound> {
    let (schema, name) = parts(written);
    let mut found: Vec<(&Relation, &Index)> = all(catalog)
        .filter(|(relation, index)| {
            index.name == name
                && schema
                    .as_ref()
                    .is_none_or(|schema| relation.schema == *schema)
        })
        .collect();
    if found.len() > 1 {
        // As PostgreSQL would: the first schema of the search path.
        let first = catalog.search_path.iter().find_map(|schema| {
            found
                .iter()
                .find(|(relation, _)| relation.schema == *schema)
                .copied()
        });
        if let Some(first) = first {
            found = vec![first];
        }
    }
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(missing(catalog, written, &name)),
        several => Err(NotFound {
            message: format!("there are {} indexes named {name}", several.len()),
            hints: vec![format!(
                "say which: {}",
                several
                    .iter()
                    .map(|(relation, index)| format!(
                        "{}.{}",
                        ident::quote(&relation.schema),
                        ident::quote(&index.name)
                    ))
                    .collect::<Vec<_>>()
                    .join(", ")
            )],
        }),
    }
}

fn all(catalog: &Catalog) -> impl Iterator<Item = (&Relation, &Index)> {
    catalog
        .relations
        .iter()
        .flat_map(|relation| relation.indexes.iter().map(move |index| (relation, index)))
}

fn missing(catalog: &Catalog, written: &str, name: &str) -> NotFound {
    let mut hints = Vec::new();
    let names: Vec<&str> = all(catalog).map(|(_, index)| index.name.as_str()).collect();
    if names.contains(&name) {
        let schemas: Vec<String> = all(catalog)
            .filter(|(_, index)| index.name == name)
            .map(|(relation, _)| ident::quote(&relation.schema))
            .collect();
        hints.push(format!("there is one in the schema {}", schemas.join(", ")));
    } else if let Some(near) = nearest_of(name, &names) {
        hints.push(format!("did you mean {near}?"));
    } else if let Some(relation) = catalog
        .relations
        .iter()
        .find(|relation| relation.name == name)
    {
        let own: Vec<&str> = relation
            .indexes
            .iter()
            .map(|index| index.name.as_str())
            .collect();
        hints.push(if own.is_empty() {
            format!("{name} is a table, and has no index")
        } else {
            format!("{name} is a table; its indexes are {}", own.join(", "))
        });
    } else if names.is_empty() {
        hints.push("no table there has an index".to_owned());
    } else {
        hints.push(format!(
            "there are {} indexes; \\di in psql lists them",
            names.len()
        ));
    }
    NotFound {
        message: format!("there is no index {written}"),
        hints,
    }
}

/// The known name that is nearest; the measure reads `_` as `-`.
fn nearest_of<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let spelt: Vec<String> = names.iter().map(|name| name.replace('_', "-")).collect();
    let known: Vec<&str> = spelt.iter().map(String::as_str).collect();
    let near = nearest(name, &known)?;
    let at = known.iter().position(|other| *other == near)?;
    names.get(at).copied()
}

/// Schema and name, folded or unquoted.
fn parts(written: &str) -> (Option<String>, String) {
    let mut quoted = false;
    let dot = written.char_indices().find_map(|(at, c)| {
        if c == '"' {
            quoted = !quoted;
        }
        (c == '.' && !quoted).then_some(at)
    });
    match dot {
        Some(at) => (
            written.get(..at).map(ident::fold),
            ident::fold(written.get(at + 1..).unwrap_or("")),
        ),
        None => (None, ident::fold(written)),
    }
}

/// The tables whose parts a table is made of: itself, and its partitions.
pub(super) fn with_partitions<'a>(
    catalog: &'a Catalog,
    relation: &'a Relation,
) -> Vec<&'a Relation> {
    let mut found = vec![relation];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        at += 1;
        found.extend(catalog.relations.iter().filter(|child| {
            child
                .parent
                .as_ref()
                .is_some_and(|(schema, name)| *schema == parent.schema && *name == parent.name)
                && child.partition_bound.is_some()
        }));
    }
    found
}

/// The index's name, and those of its like on the partitions: in plans these
/// stand in its place.
pub(super) fn family(catalog: &Catalog, relation: &Relation, index: &Index) -> Vec<String> {
    with_partitions(catalog, relation)
        .into_iter()
        .flat_map(|part| &part.indexes)
        .filter(|other| {
            other.oid == index.oid && other.name == index.name
                || (other.method == index.method
                    && other.predicate == index.predicate
                    && other.include == index.include
                    && other.unique == index.unique
                    && other.keys.len() == index.keys.len()
                    && other.keys.iter().zip(&index.keys).all(|(a, b)| {
                        a.text == b.text
                            && a.opclass == b.opclass
                            && a.descending == b.descending
                            && a.nulls_first == b.nulls_first
                            && a.collation == b.collation
                    })
                    && !relation.indexes.iter().any(|own| own.name == other.name))
        })
        .map(|other| other.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_postgresql_reads_them() {
        assert_eq!(parts("Orders_Idx"), (None, "orders_idx".to_owned()));
        assert_eq!(
            parts("Shop.\"Odd.Name\""),
            (Some("shop".to_owned()), "Odd.Name".to_owned())
        );
    }
}
