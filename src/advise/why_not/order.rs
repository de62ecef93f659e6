//! The order that a statement asks for, against the index's.

use super::terms::Scan;
use super::{Case, Cause, CauseKind, changes};
use crate::catalog::{Index, IndexKey, expression};
use crate::finding::{Evidence, IndexSpecKey, Origin, Value};
use crate::plan::{NodeId, NodeKind};
use crate::verify::{PlanError, Planner};

/// A sort in the plan whose first key is the index's.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    node: NodeId,
    keys: Vec<SortKey>,
}

/// One key of a sort, as EXPLAIN prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SortKey {
    /// Without the table's alias.
    text: String,
    descending: bool,
    nulls_first: bool,
}

/// The order by the index's first key that the plan gets by sorting (or that a
/// merge join or a grouping wants).
pub(super) fn wanted(case: &Case<'_>, scans: &[Scan]) -> Option<Wanted> {
    let first = case.index.keys.first()?;
    case.plan.nodes().find_map(|(id, node)| {
        let list = match node.kind {
            NodeKind::Sort | NodeKind::IncrementalSort => "Sort Key",
            NodeKind::Aggregate | NodeKind::Group => "Group Key",
            _ => return None,
        };
        let below = case.plan.subtree(id);
        let scan = scans.iter().find(|scan| below.contains(&scan.node))?;
        let keys: Vec<SortKey> = node
            .texts(list)
            .into_iter()
            .map(|text| sort_key(text, &scan.alias))
            .collect();
        is_key(&keys.first()?.text, first).then_some(Wanted { node: id, keys })
    })
}

/// The order begins with the index's first key and then goes another way.
pub(super) fn cause(
    case: &Case<'_>,
    wanted: Option<&Wanted>,
    planner: &mut dyn Planner,
) -> Result<Option<Cause>, PlanError> {
    let Some(wanted) = wanted else {
        return Ok(None);
    };
    let node = case.plan.node(wanted.node);
    if case.index.method != "btree"
        || !matches!(node.kind, NodeKind::Sort | NodeKind::IncrementalSort)
        || serves(case.index, &wanted.keys)
    {
        return Ok(None);
    }
    let own = case.relation.columns.iter().map(|column| &column.name);
    let plain: Vec<&String> = own.collect();
    let keys: Option<Vec<IndexSpecKey>> = wanted
        .keys
        .iter()
        .map(|key| {
            plain
                .iter()
                .any(|name| **name == key.text)
                .then(|| IndexSpecKey {
                    descending: key.descending,
                    nulls_first: (key.nulls_first != key.descending).then_some(key.nulls_first),
                    ..IndexSpecKey::column(&key.text)
                })
        })
        .collect();
    let mut list = Vec::new();
    if let Some(keys) = keys {
        let spec = changes::new_index(case, "btree", keys);
        list.push(changes::create(
            case,
            planner,
            "create an index in the order that is asked for",
            &spec,
        )?);
    }
    let shown = |keys: &[SortKey]| {
        keys.iter()
            .map(SortKey::shown)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let indexed: Vec<SortKey> = case
        .index
        .keys
        .iter()
        .map(|key| SortKey {
            text: key.text.clone(),
            descending: key.descending,
            nulls_first: key.nulls_first,
        })
        .collect();
    Ok(Some(Cause {
        kind: CauseKind::OrderDiffers,
        span: None,
        node: Some(wanted.node),
        message: format!(
            "the order asked for is {}, and the index's is {}",
            shown(&wanted.keys),
            shown(&indexed)
        ),
        why: "An index gives its rows in its own order, or in all of it reversed: every key's \
              direction, and where its NULLs come, must be as asked for, or each the opposite."
            .to_owned(),
        evidence: vec![
            Evidence::new(
                "order asked for",
                Value::Text(shown(&wanted.keys)),
                Origin::Plan(wanted.node),
            ),
            Evidence::new(
                "order of the index",
                Value::Text(shown(&indexed)),
                Origin::Catalog(case.index.name.clone()),
            ),
        ],
        changes: list,
    }))
}

impl SortKey {
    fn shown(&self) -> String {
        let mut text = self.text.clone();
        if self.descending {
            text.push_str(" DESC");
        }
        if self.nulls_first != self.descending {
            text.push_str(if self.nulls_first {
                " NULLS FIRST"
            } else {
                " NULLS LAST"
            });
        }
        text
    }
}

fn sort_key(printed: &str, alias: &str) -> SortKey {
    let mut text = printed.trim();
    let mut nulls = None;
    if let Some(rest) = text.strip_suffix(" NULLS FIRST") {
        (text, nulls) = (rest, Some(true));
    } else if let Some(rest) = text.strip_suffix(" NULLS LAST") {
        (text, nulls) = (rest, Some(false));
    }
    let descending = text.ends_with(" DESC");
    text = text.strip_suffix(" DESC").unwrap_or(text);
    let prefix = format!("{}.", crate::catalog::ident::quote(alias));
    let bare = text.strip_prefix(&prefix).unwrap_or(text);
    SortKey {
        text: crate::catalog::ident::fold(bare),
        descending,
        nulls_first: nulls.unwrap_or(descending),
    }
}

fn is_key(text: &str, key: &IndexKey) -> bool {
    match &key.column {
        Some(column) => text == column,
        None => expression::same(text, &key.text),
    }
}

/// Whether the index gives that order, forwards or backwards. A sort by more
/// keys than the index has is served in part, which counts too.
fn serves(index: &Index, wanted: &[SortKey]) -> bool {
    let pairs = || index.keys.iter().zip(wanted);
    let same = |reversed: bool| {
        pairs().all(|(key, want)| {
            is_key(&want.text, key)
                && (key.descending != want.descending) == reversed
                && (key.nulls_first != want.nulls_first) == reversed
        })
    };
    same(false) || same(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_are_read_with_their_directions() {
        let key = sort_key("o.created_at DESC NULLS LAST", "o");
        assert_eq!(key.text, "created_at");
        assert!(key.descending && !key.nulls_first);
        assert_eq!(key.shown(), "created_at DESC NULLS LAST");
        assert_eq!(sort_key("o.a DESC", "o").shown(), "a DESC");
        assert_eq!(sort_key("a", "o").shown(), "a");
    }
}
