//! Statements that read and write rows.

use std::collections::{BTreeMap, BTreeSet};

use super::expression::{self, bare};
use super::reader::{Reader, innermost, relation};
use super::text;
use super::tree::{Node, SyntaxKind};
use super::{Dml, DmlKind, Name, Place};

/// So many constants of a statement are kept.
pub(super) const MAX_STRINGS: usize = 1_000;

/// So many columns are told apart; a table has no more.
const MAX_COLUMNS: usize = 1_600;

/// The relations that a node reads, each once, in order; CTEs are none.
pub(super) fn reads(node: Node<'_>) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    let mut seen: BTreeSet<Name> = BTreeSet::new();
    // From where on a name means the CTE: behind its own query, or from its
    // beginning when it may read itself.
    let mut ctes: BTreeMap<String, usize> = BTreeMap::new();
    let mut recursive = false;
    for child in node.descendants() {
        match child.kind() {
            SyntaxKind::WITH_CLAUSE => recursive = child.has(SyntaxKind::RECURSIVE_KW),
            SyntaxKind::WITH_TABLE => {
                if let Some(name) = child.child(SyntaxKind::CTE_NAME) {
                    let from = if recursive {
                        child.index()
                    } else {
                        child.after()
                    };
                    ctes.entry(text::simple(name)).or_insert(from);
                }
            }
            SyntaxKind::RELATION_FROM_ITEM | SyntaxKind::TABLE => {
                let Some(name) = relation(child) else {
                    continue;
                };
                let own = text::path(name);
                let is_cte = own.schema.is_none()
                    && ctes
                        .get(&own.name)
                        .is_some_and(|from| child.index() >= *from);
                if !is_cte && seen.insert(own.clone()) {
                    found.push(own);
                }
            }
            _ => {}
        }
    }
    found
}

/// The relations that go by those names in a FROM.
fn behind_aliases(node: Node<'_>, names: &[String]) -> Vec<Name> {
    if names.is_empty() {
        return Vec::new();
    }
    node.descendants()
        .filter(|child| child.kind() == SyntaxKind::RELATION_FROM_ITEM)
        .filter_map(|item| {
            let name = text::path(relation(item)?);
            let alias = item
                .child(SyntaxKind::FROM_ALIAS)
                .and_then(|alias| alias.nodes().next())
                .map(text::simple);
            let known = alias.as_ref().unwrap_or(&name.name);
            names.contains(known).then_some(name)
        })
        .collect()
}

/// What kind of writing a node is.
fn writes(kind: SyntaxKind) -> Option<DmlKind> {
    Some(match kind {
        SyntaxKind::INSERT => DmlKind::Insert,
        SyntaxKind::UPDATE => DmlKind::Update,
        SyntaxKind::DELETE => DmlKind::Delete,
        SyntaxKind::MERGE => DmlKind::Merge,
        _ => return None,
    })
}

/// `WHERE` that keeps every row.
fn is_always(node: Node<'_>) -> bool {
    let node = bare(node);
    match node.kind() {
        SyntaxKind::LITERAL => node.has(SyntaxKind::TRUE_KW),
        SyntaxKind::BIN_EXPR => {
            let mut sides = node
                .nodes()
                .filter(|child| child.kind() == SyntaxKind::LITERAL);
            node.has(SyntaxKind::EQ)
                && matches!(
                    (sides.next(), sides.next()),
                    (Some(left), Some(right)) if left.text() == right.text()
                )
        }
        _ => false,
    }
}

impl Reader<'_> {
    fn target(&self, node: Node<'_>) -> Option<Place> {
        let name = match node.kind() {
            SyntaxKind::COPY => relation(node.child(SyntaxKind::COPY_TABLE)?)?,
            _ => relation(node)?,
        };
        Some(self.place(innermost(name)))
    }

    /// `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `COPY`, `CALL`.
    pub(super) fn dml(&self, node: Node<'_>) -> Dml {
        let mut kind = match node.kind() {
            SyntaxKind::COPY if node.has(SyntaxKind::COPY_FROM) => DmlKind::CopyFrom,
            SyntaxKind::COPY => DmlKind::CopyTo,
            SyntaxKind::CALL => DmlKind::Call,
            other => writes(other).unwrap_or(DmlKind::Select),
        };
        let mut own = node;
        let mut also = Vec::new();
        let mut limited = false;
        let (mut locks, mut locks_all) = (false, false);
        let mut locked: Vec<String> = Vec::new();
        let mut strings: Vec<String> = Vec::new();
        for child in node.descendants() {
            match child.kind() {
                SyntaxKind::LIMIT_CLAUSE | SyntaxKind::FETCH_CLAUSE => limited = true,
                SyntaxKind::LOCKING_CLAUSE => {
                    locks = true;
                    match child.child(SyntaxKind::LOCKING_OF) {
                        Some(of) => locked.extend(of.nodes().map(text::simple)),
                        None => locks_all = true,
                    }
                }
                SyntaxKind::LITERAL if strings.len() < MAX_STRINGS => {
                    strings.extend(text::string(child));
                }
                other => {
                    if let Some(written) = writes(other) {
                        if kind == DmlKind::Select {
                            kind = written;
                            own = child;
                        } else if let Some(place) = self.target(child) {
                            also.push((written, place));
                        }
                    }
                }
            }
        }
        if kind == DmlKind::Select && locks {
            kind = DmlKind::SelectForUpdate;
        }
        let target = match kind {
            DmlKind::Select | DmlKind::SelectForUpdate | DmlKind::Call => None,
            _ => self.target(own),
        };
        let mut reads = reads(node);
        if kind == DmlKind::CopyTo
            && let Some(place) = &target
            && !reads.contains(&place.name)
        {
            reads.push(place.name.clone());
        }
        let locks = if locks_all {
            reads.clone()
        } else {
            behind_aliases(node, &locked)
        };
        let condition = own
            .child(SyntaxKind::WHERE_CLAUSE)
            .and_then(expression::first);
        Dml {
            kind,
            target: target.filter(|_| kind != DmlKind::CopyTo),
            reads,
            locks,
            filtered: own.has(SyntaxKind::WHERE_CURRENT_OF)
                || condition.is_some_and(|condition| !is_always(condition)),
            values: own.has(SyntaxKind::VALUES),
            limited,
            on_conflict: own.has(SyntaxKind::ON_CONFLICT_CLAUSE),
            strings,
            columns: columns(own),
            also_writes: also,
        }
    }
}

/// Columns written: of the list behind INSERT INTO, and of SET.
fn columns(node: Node<'_>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for part in node.nodes().filter(|part| {
        matches!(
            part.kind(),
            SyntaxKind::COLUMN_TARGET_LIST
                | SyntaxKind::SET_CLAUSE
                | SyntaxKind::MERGE_WHEN_MATCHED
                | SyntaxKind::MERGE_WHEN_NOT_MATCHED_SOURCE
                | SyntaxKind::MERGE_WHEN_NOT_MATCHED_TARGET
        )
    }) {
        for target in part
            .descendants()
            .filter(|node| node.kind() == SyntaxKind::COLUMN_TARGET)
        {
            if let Some(name) = target.child(SyntaxKind::COLUMN_NAME_REF) {
                let name = text::simple(name);
                if found.len() < MAX_COLUMNS && !found.contains(&name) {
                    found.push(name);
                }
            }
        }
    }
    found
}
