//! Suggestions that several rules make.

use crate::catalog::{Relation, RelationKind};
use crate::finding::{
    Applicability, Change, IndexSpec, IndexSpecKey, SideEffect, Suggestion, Verdict,
};
use crate::plan::PlanGraph;
use crate::subject::Subject;

/// Something to do by hand that leaves the results as they are.
pub(crate) fn advice(title: impl Into<String>, text: impl Into<String>) -> Suggestion {
    Suggestion::untested(
        title,
        Change::Advice { text: text.into() },
        Applicability::SameResults,
    )
}

/// Something that needs a person's judgement.
pub(crate) fn judgement(title: impl Into<String>, text: impl Into<String>) -> Suggestion {
    Suggestion::untested(
        title,
        Change::Advice { text: text.into() },
        Applicability::Manual,
    )
}

/// The index that finds a pattern anywhere in a column's text.
pub(crate) fn trigrams(column: &str) -> Suggestion {
    judgement(
        format!("search {column} by trigrams"),
        format!(
            "the extension pg_trgm has an operator class, gin_trgm_ops, with which a GIN index on \
             {column} finds patterns of three characters or more anywhere in the text, for LIKE \
             and ILIKE; words are better searched with full-text search"
        ),
    )
}

/// A setting for the session or the role, of which no plan alone tells the
/// effect.
pub(crate) fn setting(
    title: impl Into<String>,
    sql: impl Into<String>,
    side_effect: impl Into<String>,
) -> Suggestion {
    let mut suggestion = Suggestion::untested(
        title,
        Change::Setting { sql: sql.into() },
        Applicability::SameResults,
    );
    suggestion
        .side_effects
        .push(SideEffect::Caller(side_effect.into()));
    suggestion.verdict = Verdict::Untested {
        why: "only executing the statement shows what it does".to_owned(),
    };
    suggestion
}

/// A B-tree on columns of a table; `None` for one that is partitioned, whose
/// index is built partition by partition, and for what is no table.
pub(crate) fn index(relation: &Relation, columns: &[&str]) -> Option<Suggestion> {
    if !matches!(
        relation.kind,
        RelationKind::Table | RelationKind::MaterializedView
    ) || columns.is_empty()
    {
        return None;
    }
    let mut name = format!("{}_{}_idx", relation.name, columns.join("_"));
    let taken = |name: &str| relation.indexes.iter().any(|index| index.name == name);
    if name.len() > crate::catalog::ident::MAX_LENGTH || taken(&name) {
        name = format!("{}_advised_idx", relation.name);
    }
    if name.len() > crate::catalog::ident::MAX_LENGTH || taken(&name) {
        return None;
    }
    let spec = IndexSpec {
        schema: relation.schema.clone(),
        table: relation.name.clone(),
        name,
        method: "btree".to_owned(),
        keys: columns
            .iter()
            .map(|name| IndexSpecKey::column(*name))
            .collect(),
        include: Vec::new(),
        predicate: None,
        with: None,
        extension: None,
        partitions: Vec::new(),
    };
    Some(Suggestion::untested(
        format!(
            "create an index on {} ({})",
            relation.name,
            columns.join(", ")
        ),
        Change::CreateIndex(spec),
        Applicability::SameResults,
    ))
}

/// Milliseconds of the execution with its triggers, as far as they are known.
pub(crate) fn execution_ms(subject: &Subject<'_>, plan: &PlanGraph) -> Option<f64> {
    let tree = subject.metrics.and_then(|metrics| metrics.total_ms);
    match (plan.run.execution_ms, tree) {
        (Some(execution), Some(tree)) => Some(execution.max(tree)),
        (execution, tree) => execution.or(tree),
    }
}
