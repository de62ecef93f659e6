//! INSERT, UPDATE, DELETE and MERGE.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::super::{Clause, Join, JoinKind, RelationRef, SelectId, SelectRole};
use super::{Place, Walker, tree};

impl Walker<'_> {
    /// The relation that a statement changes.
    fn target(&mut self, node: &SyntaxNode, level: SelectId) -> (RelationRef, Option<Vec<String>>) {
        let name_node = node.descendants().find(|child| {
            matches!(
                child.kind(),
                SyntaxKind::RELATION_NAME_REF
                    | SyntaxKind::RELATION_NAME
                    | SyntaxKind::TABLE_RELATION_NAME
            ) && !child
                .ancestors()
                .take_while(|up| up != node)
                .any(|up| up.kind() == SyntaxKind::WITH_CLAUSE)
        });
        let alias_node = node.children().find(|child| {
            matches!(
                child.kind(),
                SyntaxKind::OPTIONAL_AS_ALIAS | SyntaxKind::REQUIRED_AS_ALIAS
            )
        });
        let span = name_node
            .as_ref()
            .map_or_else(|| self.span(node), |node| self.span(node));
        let (schema, name) = name_node.as_ref().map(tree::path).unwrap_or_default();
        // A CTE cannot be changed, so its name hides nothing here.
        let (kind, columns) = self.table_kind(schema, &name, span);
        let alias = alias_node
            .as_ref()
            .and_then(|alias| tree::child(alias, SyntaxKind::TABLE_ALIAS))
            .map(|alias| tree::folded(&tree::text(&alias)));
        let mut whole = span;
        if let Some(alias_node) = &alias_node {
            whole.end = self.span(alias_node).end;
        }
        let relation = RelationRef {
            span: whole,
            alias: alias.unwrap_or(name),
            kind,
            nullable: false,
        };
        self.query.modifies_data = true;
        if level == 0 {
            self.query.target = Some(relation.clone());
        }
        (relation, columns)
    }

    fn returning(&mut self, node: &SyntaxNode, level: SelectId) {
        if let Some(list) = tree::child(node, SyntaxKind::RETURNING_CLAUSE)
            .and_then(|clause| tree::child(&clause, SyntaxKind::TARGET_LIST))
        {
            self.targets(&list, level);
        }
        self.name_output(level);
    }

    fn expressions_of(&mut self, node: &SyntaxNode, level: SelectId) {
        for expression in tree::top_expressions(node) {
            self.operand(&expression, level);
        }
    }

    pub(super) fn insert(&mut self, node: &SyntaxNode, level: SelectId) {
        self.with_clause(node, level);
        // The target is no relation of the level: nothing filters it.
        self.target(node, level);
        if let Some(source) = tree::query_in(node) {
            let outer = self.level(level).and_then(|level| level.outer);
            self.query_node(&source, Some(level), SelectRole::Top, outer);
        }
        if let Some(conflict) = tree::child(node, SyntaxKind::ON_CONFLICT_CLAUSE) {
            self.expressions_of(&conflict, level);
        }
        self.returning(node, level);
    }

    pub(super) fn update(&mut self, node: &SyntaxNode, level: SelectId) {
        self.with_clause(node, level);
        let (relation, columns) = self.target(node, level);
        self.add_relation(level, relation, columns);
        if let Some(from) = tree::child(node, SyntaxKind::FROM_CLAUSE) {
            self.add_items(&from, level);
            self.join_target(&from, level);
        }
        if let Some(set) = tree::child(node, SyntaxKind::SET_CLAUSE) {
            self.expressions_of(&set, level);
        }
        self.where_clause(node, level);
        self.returning(node, level);
    }

    pub(super) fn delete(&mut self, node: &SyntaxNode, level: SelectId) {
        self.with_clause(node, level);
        let (relation, columns) = self.target(node, level);
        self.add_relation(level, relation, columns);
        if let Some(using) = tree::child(node, SyntaxKind::USING_CLAUSE) {
            self.add_items(&using, level);
            self.join_target(&using, level);
        }
        self.where_clause(node, level);
        self.returning(node, level);
    }

    /// The target is joined with FROM or USING as with a comma.
    fn join_target(&mut self, clause: &SyntaxNode, level: SelectId) {
        let span = self.span(clause);
        if let Some(select) = self.select_mut(level) {
            let right = (1..select.relations.len()).collect();
            select.joins.insert(
                0,
                Join {
                    span,
                    kind: JoinKind::Cross,
                    left: vec![0],
                    right,
                    has_condition: false,
                    comma: true,
                },
            );
        }
    }

    pub(super) fn merge(&mut self, node: &SyntaxNode, level: SelectId) {
        self.with_clause(node, level);
        let (relation, columns) = self.target(node, level);
        self.add_relation(level, relation, columns);
        let mut keeps_source = false;
        let mut keeps_target = false;
        for clause in node.children() {
            keeps_source |= clause.kind() == SyntaxKind::MERGE_WHEN_NOT_MATCHED_TARGET;
            keeps_target |= clause.kind() == SyntaxKind::MERGE_WHEN_NOT_MATCHED_SOURCE;
        }
        let kind = match (keeps_source, keeps_target) {
            (true, true) => JoinKind::Full,
            (true, false) => JoinKind::Right,
            (false, true) => JoinKind::Left,
            (false, false) => JoinKind::Inner,
        };
        if let Some(using) = tree::child(node, SyntaxKind::USING_ON_CLAUSE) {
            let mut right = Vec::new();
            let mut on = None;
            for item in using.children() {
                if item.kind() == SyntaxKind::ON_CLAUSE {
                    on = tree::expressions(&item).next();
                } else {
                    right.extend(self.add_item(&item, level));
                }
            }
            let span = self.span(&using);
            if let Some(select) = self.select_mut(level) {
                for (at, relation) in select.relations.iter_mut().enumerate() {
                    relation.nullable |= if at == 0 { keeps_source } else { keeps_target };
                }
                select.joins.push(Join {
                    span,
                    kind,
                    left: vec![0],
                    right,
                    has_condition: on.is_some(),
                    comma: false,
                });
            }
            if let Some(on) = on {
                let place = Place {
                    clause: Clause::On,
                    outer_join: kind != JoinKind::Inner,
                    conjunct: true,
                    or_group: None,
                };
                self.condition(&on, level, place);
            }
        }
        for clause in node.children() {
            if matches!(
                clause.kind(),
                SyntaxKind::MERGE_WHEN_MATCHED
                    | SyntaxKind::MERGE_WHEN_NOT_MATCHED_SOURCE
                    | SyntaxKind::MERGE_WHEN_NOT_MATCHED_TARGET
            ) {
                self.merge_action(&clause, level);
            }
        }
        self.returning(node, level);
    }

    fn merge_action(&mut self, clause: &SyntaxNode, level: SelectId) {
        for expression in tree::top_expressions(clause) {
            if expression.kind() == SyntaxKind::VALUES {
                // The row of INSERT is no query but a list of expressions.
                for row in expression.descendants() {
                    if row.kind() == SyntaxKind::ROW {
                        for value in tree::expressions(&row) {
                            self.operand(&value, level);
                        }
                    }
                }
            } else {
                self.operand(&expression, level);
            }
        }
    }
}
