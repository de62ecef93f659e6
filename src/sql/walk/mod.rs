//! From the syntax tree of one statement to its [`Query`].
//!
//! Names are looked up while walking, since what a column means depends on
//! what stands before it. With a catalogue the look-up knows all columns;
//! without one it says only what is certain.

mod call;
mod dml;
mod expression;
mod from;
mod names;
mod predicate;
mod select;
mod tree;

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::{Clause, OffsetMap, Query, Select, SelectId, SelectRole};
use crate::catalog::Catalog;
use crate::source::{Problem, SourceId, Span};
use names::Level;
pub(super) use tree::{folded, is_expression};

/// Expressions nested deeper than this are not looked into.
const MAX_EXPRESSION_DEPTH: usize = 400;

/// Turns ranges of the server's text into spans of the user's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mapper<'a> {
    source: SourceId,
    offsets: &'a OffsetMap,
}

impl<'a> Mapper<'a> {
    pub(super) fn new(source: SourceId, offsets: &'a OffsetMap) -> Self {
        Self { source, offsets }
    }

    /// One past the source byte that the byte before `end` came from: the end
    /// of the whole piece for a replaced one.
    fn end(&self, end: usize) -> usize {
        let pieces = &self.offsets.pieces;
        let Some(last) = end.checked_sub(1) else {
            return self.offsets.source_offset(end);
        };
        let at = pieces.partition_point(|piece| piece.0 <= last);
        match pieces.get(at.wrapping_sub(1)) {
            Some(&(from, to, true)) => to + (end - from),
            Some(_) => pieces
                .get(at)
                .map_or_else(|| self.offsets.source_offset(end), |piece| piece.1),
            None => end,
        }
    }

    /// The span of a range of the server's text.
    pub(super) fn span(&self, start: usize, end: usize) -> Span {
        let from = self.offsets.source_offset(start);
        Span::new(self.source, from..self.end(end).max(from))
    }
}

/// Walks one statement.
struct Walker<'a> {
    mapper: Mapper<'a>,
    catalog: Option<&'a Catalog>,
    query: Query,
    /// What names mean, for each of `query.selects`.
    levels: Vec<Level>,
    problems: Vec<Problem>,
    /// Nesting of the expression being walked.
    depth: usize,
    /// Next number of an OR.
    next_or: usize,
}

/// Where a condition stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    clause: Clause,
    outer_join: bool,
    conjunct: bool,
    or_group: Option<usize>,
}

/// Reads the one statement of a tree. Nothing for statements that are no
/// query.
pub(super) fn statement(
    root: &SyntaxNode,
    mapper: Mapper<'_>,
    catalog: Option<&Catalog>,
) -> (Option<Query>, Vec<Problem>) {
    let mut walker = Walker {
        mapper,
        catalog,
        query: Query::default(),
        levels: Vec::new(),
        problems: Vec::new(),
        depth: 0,
        next_or: 0,
    };
    let Some(node) = root.children().find(|node| tree::is_query(node.kind())) else {
        return (None, Vec::new());
    };
    walker.query_node(&node, None, SelectRole::Top, None);
    (Some(walker.query), walker.problems)
}

impl Walker<'_> {
    fn span(&self, node: &SyntaxNode) -> Span {
        let range = node.text_range();
        self.mapper
            .span(usize::from(range.start()), usize::from(range.end()))
    }

    /// Opens a level. `outer` is the level whose relations it may refer to.
    fn open(
        &mut self,
        node: &SyntaxNode,
        parent: Option<SelectId>,
        role: SelectRole,
        outer: Option<SelectId>,
    ) -> SelectId {
        let id = self.query.selects.len();
        self.query.selects.push(Select {
            parent,
            role,
            span: self.span(node),
            relations: Vec::new(),
            joins: Vec::new(),
            predicates: Vec::new(),
            group_by: Vec::new(),
            order_by: Vec::new(),
            distinct: None,
            limit: None,
            offset: None,
            output: Vec::new(),
            set_operation: None,
            has_aggregate: false,
            has_window: false,
            correlated: false,
        });
        self.levels.push(Level::new(parent, outer));
        id
    }

    fn select_mut(&mut self, id: SelectId) -> Option<&mut Select> {
        self.query.selects.get_mut(id)
    }

    fn level(&self, id: SelectId) -> Option<&Level> {
        self.levels.get(id)
    }

    fn level_mut(&mut self, id: SelectId) -> Option<&mut Level> {
        self.levels.get_mut(id)
    }

    /// Walks whatever kind of query the node is, as a level of its own.
    fn query_node(
        &mut self,
        node: &SyntaxNode,
        parent: Option<SelectId>,
        role: SelectRole,
        outer: Option<SelectId>,
    ) -> SelectId {
        let id = self.open(node, parent, role, outer);
        self.fill(node, id);
        id
    }

    /// Fills a level that is open already.
    fn fill(&mut self, node: &SyntaxNode, id: SelectId) {
        match node.kind() {
            SyntaxKind::INSERT => self.insert(node, id),
            SyntaxKind::UPDATE => self.update(node, id),
            SyntaxKind::DELETE => self.delete(node, id),
            SyntaxKind::MERGE => self.merge(node, id),
            _ => self.select_node(node, id),
        }
    }
}
