//! What size a supposed index is given.

use std::collections::BTreeMap;

use super::relations::Known;
use super::suppose::{SupposeError, Twin};
use crate::catalog::ident::quote;
use crate::catalog::{Catalog, Index, IndexKey, Relation};
use crate::finding::IndexSpec;
use crate::pg::Session;
use crate::pg::twin::sizes;
use crate::verify::{PlanOptions, Planned};

/// The size of an index that is not there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Estimated {
    pub(super) oid: u32,
    pub(super) blocks: u64,
    pub(super) tuples: f32,
    /// Levels above the leaves, of a B-tree.
    pub(super) height: u32,
}

impl Estimated {
    fn of(oid: u32, relation: &Relation, index: &Index, selectivity: Option<f64>) -> Self {
        let size = sizes::estimate_index(relation, index, selectivity);
        Self {
            oid,
            blocks: size.blocks,
            tuples: size.tuples as f32,
            height: size.height,
        }
    }
}

/// Sizes of indexes that were made from a specification, each with the table
/// or partition that it is on.
pub(super) fn of_specs(
    twin: &mut Twin<'_>,
    indexes: &[(&Known, &IndexSpec)],
) -> Result<Vec<Estimated>, SupposeError> {
    let mut estimates = Vec::new();
    for (known, spec) in indexes {
        let table = known.table.and_then(|oid| twin.relations.by_oid.get(&oid));
        let Some(relation) = table
            .filter(|_| known.is_index())
            .and_then(|table| twin.catalog.relation(Some(&table.schema), &table.name))
        else {
            continue;
        };
        let index = described(spec, relation);
        let selectivity = selectivity(twin.cluster.session()?, relation, &index);
        estimates.push(Estimated::of(known.oid, relation, &index, selectivity));
    }
    Ok(estimates)
}

/// Sizes of indexes that some DDL made, from the catalogue as it is now.
pub(super) fn of_new(
    twin: &mut Twin<'_>,
    indexes: &[&Known],
) -> Result<Vec<Estimated>, SupposeError> {
    if !indexes.iter().any(|index| index.is_index()) {
        return Ok(Vec::new());
    }
    let session = twin.cluster.session()?;
    let catalog: Catalog = session.catalog()?;
    let found: BTreeMap<u32, (&Relation, &Index)> = catalog
        .relations
        .iter()
        .flat_map(|relation| {
            relation
                .indexes
                .iter()
                .map(move |index| (index.oid, (relation, index)))
        })
        .collect();
    Ok(indexes
        .iter()
        .filter(|known| known.is_index())
        .filter_map(|known| {
            let (relation, index) = found.get(&known.oid)?;
            // A new table has no rows that could be in an index.
            let rows = relation.tuples.unwrap_or(0.0);
            if rows < 1.0 {
                return None;
            }
            let selectivity = selectivity(session, relation, index);
            Some(Estimated::of(known.oid, relation, index, selectivity))
        })
        .collect())
}

/// The specification as the catalogue would have it.
fn described(spec: &IndexSpec, relation: &Relation) -> Index {
    let names: Vec<&str> = spec.keys.iter().map(|key| key.text.as_str()).collect();
    let plain = spec.keys.iter().all(|key| !key.is_expression);
    Index {
        oid: 0,
        name: spec.name.clone(),
        method: spec.method.clone(),
        keys: spec
            .keys
            .iter()
            .map(|key| IndexKey {
                column: (!key.is_expression).then(|| key.text.clone()),
                text: key.text.clone(),
                opclass: key.opclass.clone().unwrap_or_default(),
                default_opclass: key.opclass.is_none(),
                collation: None,
                descending: key.descending,
                nulls_first: key.nulls_first.unwrap_or(key.descending),
                stats: None,
            })
            .collect(),
        include: spec.include.clone(),
        // Keys that do not repeat are stored as those of a unique index.
        unique: plain && relation.is_unique_key(&names),
        primary: false,
        valid: true,
        immediate: true,
        nulls_not_distinct: false,
        predicate: spec.predicate.clone(),
        definition: String::new(),
        pages: 0.0,
        tuples: None,
        scans: None,
    }
}

/// The share of the table's rows that a partial index holds, as the planner
/// itself estimates its predicate.
fn selectivity(session: &mut Session, relation: &Relation, index: &Index) -> Option<f64> {
    let predicate = index.predicate.as_deref()?;
    let rows = relation.rows();
    if rows < 1.0 {
        return None;
    }
    let sql = format!(
        "SELECT FROM ONLY {}.{} WHERE {predicate}",
        quote(&relation.schema),
        quote(&relation.name)
    );
    let planned = Planned {
        sql: &sql,
        parameters: 0,
    };
    let plan = session.explain(planned, PlanOptions::default()).ok()?;
    let (_, root) = plan.nodes().next()?;
    Some((root.estimate?.rows / rows).clamp(0.0, 1.0))
}
