//! What all parts of reading share: where things stand in the user's text.

use super::text;
use super::tree::{Node, SyntaxKind};
use super::{Name, Place};
use crate::source::{SourceId, Span};
use crate::sql::OffsetMap;
use crate::sql::walk::Mapper;

/// How bytes of the text that was parsed stand in the user's.
#[derive(Debug)]
pub(super) enum Mapping<'a> {
    /// Each so many bytes further.
    Direct(usize),
    /// Pieces of a template were replaced.
    Offsets(&'a OffsetMap),
    /// The text is a constant in another one that was parsed.
    Within(&'a Self, &'a OffsetMap),
}

/// Reads one parsed text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) source: SourceId,
    /// The user's whole text.
    pub(super) user: &'a str,
    pub(super) mapping: &'a Mapping<'a>,
    /// Bodies within bodies so far.
    pub(super) depth: u8,
}

impl Reader<'_> {
    pub(super) fn bytes(&self, start: usize, end: usize) -> Span {
        let (mut start, mut end) = (start, end.max(start));
        let mut mapping = self.mapping;
        loop {
            let offsets = match mapping {
                Mapping::Direct(base) => {
                    return Span::new(self.source, base + start..base + end);
                }
                Mapping::Offsets(offsets) => {
                    return Mapper::new(self.source, offsets).span(start, end);
                }
                Mapping::Within(outer, offsets) => {
                    mapping = outer;
                    offsets
                }
            };
            let span = Mapper::new(self.source, offsets).span(start, end);
            (start, end) = (span.start, span.end);
        }
    }

    pub(super) fn span(&self, node: Node<'_>) -> Span {
        self.bytes(node.start(), node.end())
    }

    /// The node as the user wrote it, template pieces and all.
    pub(super) fn written(&self, node: Node<'_>) -> String {
        let own = match self.mapping {
            Mapping::Offsets(_) => self.user.get(self.span(node).range()),
            Mapping::Direct(_) | Mapping::Within(..) => None,
        };
        own.unwrap_or(node.text()).to_owned()
    }

    /// A path and where it stands.
    pub(super) fn place(&self, node: Node<'_>) -> Place {
        Place {
            name: text::path(node),
            span: self.span(node),
        }
    }

    /// Where a word can be inserted behind that token.
    pub(super) fn behind(&self, token: Option<Node<'_>>) -> usize {
        token.map_or(0, |token| self.span(token).end)
    }
}

/// Nodes that name a relation that is there.
pub(super) const RELATION: &[SyntaxKind] = &[
    SyntaxKind::TABLE_RELATION_NAME,
    SyntaxKind::TABLE_NAME_REF,
    SyntaxKind::RELATION_NAME,
    SyntaxKind::RELATION_NAME_REF,
    SyntaxKind::VIEW_REF,
    SyntaxKind::INDEX_REF,
    SyntaxKind::SEQUENCE_REF,
];

/// The relation's path itself, without ONLY and `*` around it.
pub(super) fn relation(node: Node<'_>) -> Option<Node<'_>> {
    let mut node = node.child_of(RELATION)?;
    while let Some(inner) = node.child_of(RELATION) {
        node = inner;
    }
    Some(node)
}

/// The relation's path of a node that is one, ONLY around it or not.
pub(super) fn innermost(node: Node<'_>) -> Node<'_> {
    relation(node).unwrap_or(node)
}

/// Names of the paths of that kind directly in a node.
pub(super) fn names(node: Node<'_>, kind: SyntaxKind) -> Vec<Name> {
    node.nodes()
        .filter(|child| child.kind() == kind)
        .map(text::path)
        .collect()
}

/// Names without schema, of that kind, directly in a node.
pub(super) fn simple_names(node: Node<'_>, kind: SyntaxKind) -> Vec<String> {
    node.nodes()
        .filter(|child| child.kind() == kind)
        .map(text::simple)
        .collect()
}

/// `CASCADE` is among the children.
pub(super) fn cascades(node: Node<'_>) -> bool {
    node.has(SyntaxKind::CASCADE)
}
