//! Index ideas from a plan alone: no catalogue says which indexes exist and no
//! planner tries them, and each says so.

use std::collections::BTreeSet;

use super::attach::MENDED_BY_INDEX_ONLY;
use super::candidates::{Candidate, base_name, free_name};
use crate::catalog::{Catalog, RelationKind};
use crate::finding::{
    Applicability, Change, Finding, IndexSpec, IndexSpecKey, SideEffect, Suggestion, Verdict,
};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::sql::Wrapper;
use crate::sql::condition::{self, Term};

/// Adds an index idea to every finding about a scan that a filter on plain
/// columns could be served for.
pub fn suggest(plan: &PlanGraph, findings: &mut [Finding], why: &str) {
    for finding in findings {
        if !MENDED_BY_INDEX_ONLY.contains(&finding.rule) || !finding.suggestions.is_empty() {
            continue;
        }
        let Some(id) = finding.node else {
            continue;
        };
        if let Some(spec) = idea(plan, id) {
            finding.suggestions.push(suggestion(spec, why));
        }
    }
}

fn suggestion(spec: IndexSpec, why: &str) -> Suggestion {
    Suggestion {
        title: super::indexes::title(&spec),
        side_effects: vec![
            SideEffect::Caller(
                "the plan does not say which indexes the table has: check first that none begins \
                 with these columns"
                    .to_owned(),
            ),
            SideEffect::Writes("each INSERT writes one more index entry".to_owned()),
        ],
        change: Change::CreateIndex(spec),
        applicability: Applicability::SameResults,
        preconditions: Vec::new(),
        verdict: Verdict::Untested {
            why: why.to_owned(),
        },
    }
}

/// The same as candidates for a planner: for scans that the statement reaches
/// through a view, of which its own text says nothing.
pub fn candidates_of(plan: &PlanGraph, findings: &[Finding], catalog: &Catalog) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for finding in findings.iter().filter(|finding| {
        MENDED_BY_INDEX_ONLY.contains(&finding.rule) && finding.suggestions.is_empty()
    }) {
        let Some(mut spec) = finding.node.and_then(|id| idea(plan, id)) else {
            continue;
        };
        let schema = Some(spec.schema.as_str()).filter(|schema| !schema.is_empty());
        let Some(relation) = catalog.relation_of_plan(schema, &spec.table) else {
            continue;
        };
        spec.schema.clone_from(&relation.schema);
        let columns: Vec<&str> = spec.keys.iter().map(|key| key.text.as_str()).collect();
        let served = relation.indexes.iter().any(|index| {
            let own = index.key_columns();
            own.get(..columns.len()) == Some(columns.as_slice())
        });
        if served
            || relation.kind != RelationKind::Table
            || found.iter().any(|other| other.spec.keys == spec.keys)
        {
            continue;
        }
        spec.name = free_name(catalog, &BTreeSet::new(), &spec);
        found.push(Candidate {
            serves: columns.join(", "),
            cover: Vec::new(),
            partial: None,
            widens: None,
            ordered: false,
            brin: false,
            spec,
        });
    }
    found
}

/// The index that would serve the scan at or below the node: columns compared
/// for equality with constants first, then one range, or the sort's columns.
fn idea(plan: &PlanGraph, id: NodeId) -> Option<IndexSpec> {
    let scan = plan
        .subtree(id)
        .into_iter()
        .map(|below| plan.node(below))
        .find(|node| {
            matches!(
                node.kind,
                NodeKind::SeqScan | NodeKind::IndexScan | NodeKind::BitmapHeapScan
            ) && node.relation.name.is_some()
        })?;
    let terms: Vec<Term> = [
        ConditionRole::IndexCond,
        ConditionRole::RecheckCond,
        ConditionRole::Filter,
    ]
    .into_iter()
    .filter_map(|role| scan.condition(role))
    .flat_map(condition::parse)
    .chain(join_terms(plan, id, scan))
    .collect();
    let mut keys: Vec<IndexSpecKey> = Vec::new();
    let mut add = |column: &str| {
        if !keys.iter().any(|key: &IndexSpecKey| key.text == column) {
            keys.push(IndexSpecKey::column(column));
        }
    };
    for term in &terms {
        if let (Some(column), "=" | "in") = (plain(term), term.operator.as_str()) {
            add(column);
        }
    }
    let order = sort_keys(plan, id, scan);
    if order.is_empty() {
        let range = terms.iter().find(|term| {
            matches!(term.operator.as_str(), "<" | "<=" | ">" | ">=" | "between")
                && plain(term).is_some()
        });
        if let Some(column) = range.and_then(plain) {
            add(column);
        }
    } else {
        for key in order {
            if !keys.iter().any(|other| other.text == key.text) {
                keys.push(key);
            }
        }
    }
    if keys.is_empty() || keys.len() > 4 {
        return None;
    }
    let mut spec = IndexSpec {
        schema: scan.relation.schema.clone().unwrap_or_default(),
        table: scan.relation.name.clone()?,
        name: String::new(),
        method: "btree".to_owned(),
        keys,
        include: Vec::new(),
        predicate: None,
        with: None,
        extension: None,
        partitions: Vec::new(),
    };
    spec.name = base_name(&spec);
    Some(spec)
}

/// The column that a term compares bare with something known before the scan.
/// A cast to text is what `varchar` columns are printed with.
fn plain(term: &Term) -> Option<&str> {
    let bare = term
        .wrappers
        .iter()
        .all(|wrapper| matches!(wrapper, Wrapper::Cast { type_name, .. } if type_name == "text"));
    (bare && term.constant && !term.opaque)
        .then(|| term.column.as_ref().map(|name| name.column.as_str()))
        .flatten()
}

/// What a nested loop compares the inner scan's columns with is known for each
/// run of the scan.
fn join_terms(plan: &PlanGraph, id: NodeId, scan: &PlanNode) -> Vec<Term> {
    let alias = scan.relation.alias.as_deref();
    let of_scan = |qualifier: Option<&str>| qualifier == alias;
    std::iter::once(id)
        .chain(plan.ancestors(id))
        .map(|up| plan.node(up))
        .find(|node| node.kind == NodeKind::NestedLoop)
        .and_then(|node| node.condition(ConditionRole::JoinFilter))
        .map(condition::parse)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|mut term| {
            let left = term.column.clone()?;
            let right = term.other_column.clone()?;
            term.constant = true;
            if of_scan(left.qualifier.as_deref()) {
                Some(term)
            } else if of_scan(right.qualifier.as_deref()) {
                term.column = Some(right);
                Some(term)
            } else {
                None
            }
        })
        .collect()
}

/// The columns of a sort at or above the node that a LIMIT cuts, when all are
/// the scan's own.
fn sort_keys(plan: &PlanGraph, id: NodeId, scan: &PlanNode) -> Vec<IndexSpecKey> {
    if plan.node(id).kind != NodeKind::Limit
        && !plan
            .ancestors(id)
            .any(|up| plan.node(up).kind == NodeKind::Limit)
    {
        return Vec::new();
    }
    let Some(sort) = plan
        .subtree(id)
        .into_iter()
        .chain(plan.ancestors(id))
        .map(|id| plan.node(id))
        .find(|node| node.kind == NodeKind::Sort)
    else {
        return Vec::new();
    };
    let mut keys = Vec::new();
    for text in sort.texts("Sort Key") {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or("");
        let rest: Vec<&str> = words.collect();
        let (qualifier, column) = name
            .rsplit_once('.')
            .map_or((None, name), |(q, c)| (Some(q), c));
        let is_name = column
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '"'));
        let ours = qualifier.is_none() || qualifier == scan.relation.alias.as_deref();
        if !is_name || !ours || rest.iter().any(|word| *word != "DESC") {
            return Vec::new();
        }
        keys.push(IndexSpecKey {
            descending: rest.contains(&"DESC"),
            ..IndexSpecKey::column(crate::catalog::ident::fold(column))
        });
    }
    if keys.iter().all(|key| key.descending) {
        for key in &mut keys {
            key.descending = false;
        }
    }
    keys
}
