//! Function calls: names, arguments, aggregates and windows.

use squawk_syntax::{SyntaxKind, SyntaxNode};

use super::super::{FunctionCall, Operand, SelectId, SelectRole, Wrapper};
use super::expression::{Parts, Walked, is_type};
use super::{Walker, tree};

/// Aggregates of PostgreSQL.
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bit_and",
    "bit_or",
    "bit_xor",
    "bool_and",
    "bool_or",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "every",
    "grouping",
    "json_agg",
    "json_agg_strict",
    "json_arrayagg",
    "json_object_agg",
    "json_object_agg_strict",
    "json_object_agg_unique",
    "json_object_agg_unique_strict",
    "json_objectagg",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_object_agg",
    "jsonb_object_agg_strict",
    "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict",
    "max",
    "min",
    "mode",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "range_intersect_agg",
    "regr_avgx",
    "regr_avgy",
    "regr_count",
    "regr_intercept",
    "regr_r2",
    "regr_slope",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "sum",
    "var_pop",
    "var_samp",
    "variance",
    "xmlagg",
];

impl Walker<'_> {
    /// A call of any spelling.
    pub(super) fn call(&mut self, node: &SyntaxNode, level: SelectId) -> Walked {
        let span = self.span(node);
        let Some(callee) = node.children().next() else {
            return Parts::default().into_walked(span);
        };
        if callee.kind() == SyntaxKind::EXISTS_FN
            && let Some(query) = tree::query_in(&callee)
        {
            let role = SelectRole::Exists { negated: false };
            return self.subquery(&query, span, role, level);
        }
        if matches!(
            callee.kind(),
            SyntaxKind::ANY_FN | SyntaxKind::SOME_FN | SyntaxKind::ALL_FN
        ) {
            if let Some(query) = tree::query_in(&callee) {
                let role = SelectRole::In { negated: false };
                return self.subquery(&query, span, role, level);
            }
            return self.children(&callee, level).into_walked(span);
        }
        let special =
            callee.kind() != SyntaxKind::NAME_REF && callee.kind() != SyntaxKind::FIELD_EXPR;
        let name = if special {
            first_word(&callee)
        } else {
            tree::name_parts(&callee)
                .and_then(|mut parts| parts.pop())
                .unwrap_or_default()
        };
        let windowed = tree::child(node, SyntaxKind::OVER_CLAUSE).is_some();
        let of_rows = self.note_call(node, &name, windowed, level);
        let arguments_of = if special {
            Some(callee)
        } else {
            tree::child(node, SyntaxKind::ARG_LIST)
        };
        let mut sides = Vec::new();
        let mut texts = Vec::new();
        if let Some(list) = arguments_of {
            let mut nodes = Vec::new();
            argument_nodes(&list, &mut nodes);
            for argument in nodes {
                if argument.kind() == SyntaxKind::EXTRACT_FIELD_NAME
                    || argument.kind() == SyntaxKind::EXTRACT_FIELD_LITERAL
                {
                    texts.push((tree::text(&argument).to_ascii_lowercase(), false));
                    continue;
                }
                let walked = self.walk(&argument, level);
                texts.push((tree::text(&argument), !walked.parts.columns.is_empty()));
                sides.push(walked);
            }
        }
        // FILTER, OVER, WITHIN GROUP.
        for clause in node.children().skip(1) {
            if clause.kind() != SyntaxKind::ARG_LIST {
                let parts = self.children(&clause, level);
                sides.push(parts.into_walked(span));
            }
        }
        let by = Wrapper::Function {
            name: name.clone(),
            span,
            arguments: texts
                .into_iter()
                .filter(|(_, has_column)| !has_column)
                .map(|(text, _)| text)
                .collect(),
        };
        if of_rows && sides.iter().all(|side| side.parts.columns.is_empty()) {
            // `count(*)` has no column, but is not known before the rows are.
            sides.push(Walked {
                operand: Operand::Absent,
                parts: Parts {
                    opaque: true,
                    ..Parts::default()
                },
            });
        }
        let mut walked = self.combine(node, sides, by);
        walked.parts.functions.insert(0, name.clone());
        if let Operand::Constant { functions, .. } = &mut walked.operand {
            functions.insert(0, name);
        }
        walked
    }

    /// Whether the call is an aggregate or a window function.
    fn note_call(
        &mut self,
        node: &SyntaxNode,
        name: &str,
        windowed: bool,
        level: SelectId,
    ) -> bool {
        let span = self.span(node);
        self.query.functions.push(FunctionCall {
            span,
            name: name.to_owned(),
            select: level,
        });
        let aggregate = AGGREGATES.contains(&name)
            || tree::child(node, SyntaxKind::FILTER_CLAUSE).is_some()
            || tree::child(node, SyntaxKind::WITHIN_CLAUSE).is_some();
        if let Some(select) = self.select_mut(level) {
            if windowed {
                select.has_window = true;
            } else if aggregate {
                select.has_aggregate = true;
            }
        }
        windowed || aggregate
    }
}

/// Expressions directly among a call's arguments.
fn argument_nodes(list: &SyntaxNode, into: &mut Vec<SyntaxNode>) {
    for child in list.children() {
        let kind = child.kind();
        if tree::is_expression(kind)
            || tree::is_select(kind)
            || matches!(
                kind,
                SyntaxKind::EXTRACT_FIELD_NAME | SyntaxKind::EXTRACT_FIELD_LITERAL
            )
        {
            into.push(child);
        } else if !is_type(kind) && kind != SyntaxKind::PARAM_NAME_REF {
            argument_nodes(&child, into);
        }
    }
}

fn first_word(node: &SyntaxNode) -> String {
    node.first_token()
        .map(|token| token.text().to_ascii_lowercase())
        .unwrap_or_default()
}
