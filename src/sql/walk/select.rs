//! SELECT, VALUES, TABLE, set operations and WITH.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::super::{
    Clause, Expression, Operand, OrderKey, OutputItem, RelationRef, SelectId, SelectRole,
    SetOperation,
};
use super::names::Cte;
use super::{Place, Walker, tree};

impl Walker<'_> {
    /// Fills a level from a node that is a query without data modification.
    pub(super) fn select_node(&mut self, node: &SyntaxNode, level: SelectId) {
        self.with_clause(node, level);
        match node.kind() {
            SyntaxKind::PAREN_SELECT => {
                if let Some(inner) = tree::query_in(node) {
                    self.fill(&inner, level);
                }
            }
            SyntaxKind::COMPOUND_SELECT => self.compound(node, level),
            SyntaxKind::VALUES => self.values(node, level),
            SyntaxKind::TABLE => self.table(node, level),
            _ => self.plain_select(node, level),
        }
        self.tail(node, level);
    }

    /// Walks WITH; every CTE is a level.
    pub(super) fn with_clause(&mut self, node: &SyntaxNode, level: SelectId) {
        let Some(clause) = tree::child(node, SyntaxKind::WITH_CLAUSE) else {
            return;
        };
        let recursive = tree::has_token(&clause, SyntaxKind::RECURSIVE_KW);
        let outer = self.level(level).and_then(|level| level.outer);
        for table in clause.children() {
            let Some(query) = tree::query_in(&table) else {
                continue;
            };
            let name = tree::child(&table, SyntaxKind::CTE_NAME)
                .map(|name| tree::folded(&tree::text(&name)))
                .unwrap_or_default();
            let materialized = if tree::child(&table, SyntaxKind::NOT_MATERIALIZED).is_some() {
                Some(false)
            } else if tree::child(&table, SyntaxKind::MATERIALIZED).is_some() {
                Some(true)
            } else {
                None
            };
            let columns = tree::child(&table, SyntaxKind::COLUMN_LIST).map(|list| {
                list.children()
                    .map(|name| tree::folded(&tree::text(&name)))
                    .collect::<Vec<_>>()
            });
            let role = SelectRole::Cte {
                name: name.clone(),
                materialized,
                recursive: false,
            };
            let select = self.open(&query, Some(level), role, outer);
            let cte = Cte {
                name,
                select,
                columns,
                open: recursive,
            };
            if recursive && let Some(level) = self.level_mut(level) {
                level.ctes.push(cte.clone());
            }
            self.fill(&query, select);
            let adds_columns = tree::child(&table, SyntaxKind::SEARCH_CLAUSE).is_some()
                || tree::child(&table, SyntaxKind::CYCLE_CLAUSE).is_some();
            if adds_columns && let Some(level) = self.level_mut(select) {
                level.output = None;
            }
            if let Some(level) = self.level_mut(level) {
                if recursive {
                    level.ctes.pop();
                }
                level.ctes.push(Cte { open: false, ..cte });
            }
        }
    }

    fn plain_select(&mut self, node: &SyntaxNode, level: SelectId) {
        if let Some(from) = tree::child(node, SyntaxKind::FROM_CLAUSE) {
            self.add_items(&from, level);
        }
        self.where_clause(node, level);
        let select_clause = tree::child(node, SyntaxKind::SELECT_CLAUSE);
        if let Some(targets) = select_clause
            .as_ref()
            .and_then(|clause| tree::child(clause, SyntaxKind::TARGET_LIST))
        {
            self.targets(&targets, level);
        }
        self.name_output(level);
        let distinct =
            select_clause.and_then(|clause| tree::child(&clause, SyntaxKind::DISTINCT_CLAUSE));
        if let Some(distinct) = distinct {
            let on = tree::child(&distinct, SyntaxKind::DISTINCT_ON);
            let nodes: Vec<SyntaxNode> = on
                .map(|on| tree::expressions(&on).collect())
                .unwrap_or_default();
            let expressions = nodes
                .iter()
                .map(|node| self.output_or_expression(node, level, true))
                .collect();
            if let Some(select) = self.select_mut(level) {
                select.distinct = Some(expressions);
            }
        }
        if let Some(group) = tree::child(node, SyntaxKind::GROUP_BY_CLAUSE) {
            self.group_by(&group, level);
        }
        if let Some(having) = tree::child(node, SyntaxKind::HAVING_CLAUSE)
            && let Some(expression) = tree::expressions(&having).next()
        {
            self.condition(&expression, level, plain_place(Clause::Having));
        }
        if let Some(windows) = tree::child(node, SyntaxKind::WINDOW_CLAUSE) {
            for expression in tree::top_expressions(&windows) {
                self.operand(&expression, level);
            }
        }
        if node.kind() == SyntaxKind::SELECT_INTO {
            self.query.modifies_data = true;
        }
    }

    pub(super) fn where_clause(&mut self, node: &SyntaxNode, level: SelectId) {
        if let Some(clause) = tree::child(node, SyntaxKind::WHERE_CLAUSE)
            && let Some(expression) = tree::expressions(&clause).next()
        {
            self.condition(&expression, level, plain_place(Clause::Where));
        }
    }

    /// Walks a select list or RETURNING list.
    pub(super) fn targets(&mut self, list: &SyntaxNode, level: SelectId) {
        for target in list.children() {
            let span = self.span(&target);
            let expression = target
                .children()
                .find(|child| tree::is_expression(child.kind()));
            let alias = tree::child(&target, SyntaxKind::AS_NAME)
                .and_then(|name| tree::child(&name, SyntaxKind::COLUMN_NAME))
                .map(|name| tree::folded(&tree::text(&name)));
            let operand = match &expression {
                Some(expression) => self.operand(expression, level),
                None => Operand::Star { qualifier: None },
            };
            let name = alias.or_else(|| match &operand {
                Operand::Star { .. } => None,
                Operand::Column(column) => Some(column.name.clone()),
                _ => expression.as_ref().and_then(implied_name),
            });
            if let Some(select) = self.select_mut(level) {
                select.output.push(OutputItem {
                    span,
                    name,
                    operand,
                });
            }
        }
    }

    /// Notes the names of a level's output columns, where all are known.
    pub(super) fn name_output(&mut self, level: SelectId) {
        let names = self.output_columns(level);
        if let Some(level) = self.level_mut(level) {
            level.output = names;
        }
    }

    fn output_columns(&self, id: SelectId) -> Option<Vec<String>> {
        let select = self.query.selects.get(id)?;
        let level = self.level(id)?;
        let mut names = Vec::new();
        for item in &select.output {
            match &item.operand {
                Operand::Star { qualifier: None } => {
                    for columns in &level.columns {
                        names.extend(columns.clone()?);
                    }
                    // A merged column comes once, but twice does no harm where
                    // only names are looked up.
                    names.dedup();
                }
                Operand::Star {
                    qualifier: Some(qualifier),
                } => {
                    let at = select
                        .relations
                        .iter()
                        .position(|relation| relation.alias == *qualifier)?;
                    names.extend(level.columns.get(at)?.clone()?);
                }
                _ => names.push(item.name.clone().unwrap_or_else(|| "?column?".to_owned())),
            }
        }
        Some(names)
    }

    /// An expression of GROUP BY, ORDER BY or DISTINCT ON: a position or an
    /// output name stands for the output item. In ORDER BY and DISTINCT ON the
    /// output name wins over a column, in GROUP BY the column does.
    fn output_or_expression(
        &mut self,
        node: &SyntaxNode,
        level: SelectId,
        output_first: bool,
    ) -> Expression {
        let span = self.span(node);
        if let Some(operand) = self.output_item(node, level, output_first) {
            return Expression { span, operand };
        }
        self.expression(node, level)
    }

    fn output_item(
        &self,
        node: &SyntaxNode,
        level: SelectId,
        output_first: bool,
    ) -> Option<Operand> {
        let select = self.query.selects.get(level)?;
        if node.kind() == SyntaxKind::LITERAL {
            let position: usize = tree::text(node).trim().parse().ok()?;
            // After a star positions cannot be counted.
            let item = select.output.get(position.checked_sub(1)?)?;
            let starred = select
                .output
                .iter()
                .take(position)
                .any(|item| matches!(item.operand, Operand::Star { .. }));
            return (!starred).then(|| item.operand.clone());
        }
        if node.kind() != SyntaxKind::NAME_REF {
            return None;
        }
        let name = tree::folded(&tree::text(node));
        let item = select
            .output
            .iter()
            .find(|item| item.name.as_deref() == Some(name.as_str()))?;
        // A plain column under its own name is the same either way; keep the
        // place where it is written.
        if matches!(&item.operand, Operand::Column(column) if column.name == name) {
            return None;
        }
        if !output_first {
            let is_column = self.level(level)?.columns.iter().any(|columns| {
                columns
                    .as_ref()
                    .is_some_and(|columns| columns.contains(&name))
            });
            if is_column {
                return None;
            }
        }
        Some(item.operand.clone())
    }

    fn group_by(&mut self, clause: &SyntaxNode, level: SelectId) {
        let Some(list) = tree::child(clause, SyntaxKind::GROUP_BY_LIST) else {
            return;
        };
        for item in list.children() {
            let plain = item.kind() == SyntaxKind::GROUPING_EXPR;
            let mut nodes = tree::top_expressions(&item);
            // `GROUP BY (a, b)`
            if plain
                && let [tuple] = nodes.as_slice()
                && tuple.kind() == SyntaxKind::TUPLE_EXPR
                && !tree::has_token(tuple, SyntaxKind::ROW_KW)
            {
                nodes = tree::expressions(tuple).collect();
            }
            for node in nodes {
                let expression = self.output_or_expression(&node, level, false);
                if plain && let Some(select) = self.select_mut(level) {
                    select.group_by.push(expression);
                }
            }
        }
    }

    /// ORDER BY, LIMIT, OFFSET, FETCH and locking.
    fn tail(&mut self, node: &SyntaxNode, level: SelectId) {
        let compound = self
            .query
            .selects
            .get(level)
            .is_some_and(|select| select.set_operation.is_some());
        for clause in node.children() {
            match clause.kind() {
                SyntaxKind::ORDER_BY_CLAUSE => {
                    let keys = self.order_keys(&clause, level, compound);
                    if let Some(select) = self.select_mut(level) {
                        select.order_by = keys;
                    }
                }
                SyntaxKind::LIMIT_CLAUSE | SyntaxKind::FETCH_CLAUSE => {
                    let limit = tree::expressions(&clause)
                        .next()
                        .map(|node| self.expression(&node, level));
                    // FETCH FIRST ROW ONLY is one row.
                    let limit = limit.or_else(|| {
                        (clause.kind() == SyntaxKind::FETCH_CLAUSE).then(|| Expression {
                            span: self.span(&clause),
                            operand: Operand::Literal {
                                span: self.span(&clause),
                                text: "1".to_owned(),
                                value: "1".to_owned(),
                                kind: super::super::LiteralKind::Integer,
                                cast: None,
                            },
                        })
                    });
                    if let Some(select) = self.select_mut(level) {
                        select.limit = limit;
                    }
                }
                SyntaxKind::OFFSET_CLAUSE => {
                    let offset = tree::expressions(&clause)
                        .next()
                        .map(|node| self.expression(&node, level));
                    if let Some(select) = self.select_mut(level) {
                        select.offset = offset;
                    }
                }
                SyntaxKind::LOCKING_CLAUSE => self.query.locks_rows = true,
                _ => {}
            }
        }
    }

    fn order_keys(
        &mut self,
        clause: &SyntaxNode,
        level: SelectId,
        compound: bool,
    ) -> Vec<OrderKey> {
        let Some(list) = tree::child(clause, SyntaxKind::SORT_BY_LIST) else {
            return Vec::new();
        };
        let mut keys = Vec::new();
        for item in list.children() {
            let Some(node) = tree::expressions(&item).next() else {
                continue;
            };
            // A set operation is ordered by its output, which is no column of
            // any relation.
            let expression = if compound {
                let span = self.span(&node);
                Expression {
                    span,
                    operand: Operand::Other {
                        span,
                        columns: Vec::new(),
                    },
                }
            } else {
                self.output_or_expression(&node, level, true)
            };
            let nulls_first = if tree::child(&item, SyntaxKind::NULLS_FIRST).is_some() {
                Some(true)
            } else if tree::child(&item, SyntaxKind::NULLS_LAST).is_some() {
                Some(false)
            } else {
                None
            };
            let using_greater = tree::child(&item, SyntaxKind::SORT_USING)
                .is_some_and(|using| tree::text(&using).contains('>'));
            keys.push(OrderKey {
                expression,
                descending: tree::child(&item, SyntaxKind::SORT_DESC).is_some() || using_greater,
                nulls_first,
            });
        }
        keys
    }

    fn compound(&mut self, node: &SyntaxNode, level: SelectId) {
        let Some((operator, all)) = set_operator(node) else {
            return;
        };
        // A chain of the same operator is one operation with many arms.
        let mut arms = Vec::new();
        let mut left = node.clone();
        while left.kind() == SyntaxKind::COMPOUND_SELECT
            && set_operator(&left).as_ref() == Some(&(operator.clone(), all))
            && (left == *node || !has_tail(&left))
        {
            let sides: Vec<SyntaxNode> = left
                .children()
                .filter(|child| {
                    tree::is_query(child.kind()) || child.kind() == SyntaxKind::PAREN_EXPR
                })
                .collect();
            let [first, second] = sides.as_slice() else {
                break;
            };
            arms.push(second.clone());
            left = first.clone();
        }
        arms.push(left);
        let outer = self.level(level).and_then(|level| level.outer);
        let mut ids = Vec::new();
        for (at, arm) in arms.iter().rev().enumerate() {
            let arm = match arm.kind() {
                SyntaxKind::PAREN_EXPR => tree::query_in(arm).unwrap_or_else(|| arm.clone()),
                _ => arm.clone(),
            };
            let id = self.query_node(&arm, Some(level), SelectRole::SetOperand, outer);
            if at == 0 {
                // The first arm names the output; the recursive arm of a CTE
                // needs it already.
                let names = self.level(id).and_then(|level| level.output.clone());
                if let Some(level) = self.level_mut(level) {
                    level.output = names;
                }
            }
            ids.push(id);
        }
        let correlated = ids.iter().any(|id| {
            self.query
                .selects
                .get(*id)
                .is_some_and(|select| select.correlated)
        });
        if let Some(select) = self.select_mut(level) {
            select.correlated |= correlated;
            select.set_operation = Some(SetOperation {
                operator,
                all,
                arms: ids,
            });
        }
    }

    fn values(&mut self, node: &SyntaxNode, level: SelectId) {
        let Some(list) = tree::child(node, SyntaxKind::ROW_LIST) else {
            return;
        };
        let mut width = 0;
        for (row_number, row) in list.children().enumerate() {
            for (at, expression) in tree::expressions(&row).enumerate() {
                let span = self.span(&expression);
                let operand = self.operand(&expression, level);
                if row_number == 0 {
                    width = at + 1;
                    if let Some(select) = self.select_mut(level) {
                        select.output.push(OutputItem {
                            span,
                            name: Some(format!("column{}", at + 1)),
                            operand,
                        });
                    }
                }
            }
        }
        if let Some(level) = self.level_mut(level) {
            level.output = Some((1..=width).map(|at| format!("column{at}")).collect());
        }
    }

    fn table(&mut self, node: &SyntaxNode, level: SelectId) {
        let Some(name_node) = node.children().find(|child| {
            child.kind() == SyntaxKind::RELATION_NAME
                || child.kind() == SyntaxKind::RELATION_NAME_REF
        }) else {
            return;
        };
        let span = self.span(&name_node);
        let (schema, name) = tree::path(&name_node);
        let (kind, columns) = self.relation_kind(level, schema, &name, span);
        let relation = RelationRef {
            span,
            alias: name,
            kind,
            nullable: false,
        };
        self.add_relation(level, relation, columns);
        if let Some(select) = self.select_mut(level) {
            select.output.push(OutputItem {
                span,
                name: None,
                operand: Operand::Star { qualifier: None },
            });
        }
        self.name_output(level);
    }
}

/// The place of a clause's condition.
pub(super) fn plain_place(clause: Clause) -> Place {
    Place {
        clause,
        outer_join: false,
        conjunct: true,
        or_group: None,
    }
}

fn has_tail(node: &SyntaxNode) -> bool {
    node.children().any(|child| {
        matches!(
            child.kind(),
            SyntaxKind::ORDER_BY_CLAUSE
                | SyntaxKind::LIMIT_CLAUSE
                | SyntaxKind::FETCH_CLAUSE
                | SyntaxKind::OFFSET_CLAUSE
                | SyntaxKind::LOCKING_CLAUSE
                | SyntaxKind::WITH_CLAUSE
        )
    })
}

fn set_operator(node: &SyntaxNode) -> Option<(String, bool)> {
    node.children().find_map(|child| {
        let operator = match child.kind() {
            SyntaxKind::UNION => "union",
            SyntaxKind::INTERSECT => "intersect",
            SyntaxKind::EXCEPT => "except",
            _ => return None,
        };
        let all = tree::child(&child, SyntaxKind::ALL).is_some();
        Some((operator.to_owned(), all))
    })
}

/// The name that PostgreSQL gives an output column without alias.
fn implied_name(node: &SyntaxNode) -> Option<String> {
    match node.kind() {
        SyntaxKind::NAME_REF => Some(tree::folded(&tree::text(node))),
        SyntaxKind::FIELD_EXPR => node
            .children()
            .last()
            .map(|field| tree::folded(&tree::text(&field))),
        SyntaxKind::PAREN_EXPR => match tree::query_in(node) {
            Some(_) => None,
            None => implied_name(&node.children().next()?),
        },
        SyntaxKind::CALL_EXPR => {
            let callee = node.children().next()?;
            match tree::name_parts(&callee) {
                Some(mut parts) => parts.pop(),
                None => callee
                    .first_token()
                    .map(|token| token.text().to_ascii_lowercase()),
            }
        }
        SyntaxKind::COLLATE => implied_name(&tree::expressions(node).next()?),
        SyntaxKind::CAST_EXPR => {
            let inner = tree::expressions(node).next()?;
            implied_name(&inner).or_else(|| {
                node.children()
                    .find(|child| child.kind() == SyntaxKind::PATH_TYPE)
                    .map(|name| tree::path(&name).1)
            })
        }
        SyntaxKind::CASE_EXPR => Some("case".to_owned()),
        SyntaxKind::ARRAY_EXPR => Some("array".to_owned()),
        SyntaxKind::TUPLE_EXPR => Some("row".to_owned()),
        _ => None,
    }
}
