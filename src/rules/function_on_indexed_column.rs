//! A function, cast or arithmetic around a column, which keeps an index on it
//! from being used.

use super::support::{node, show, weight::Weight};
use crate::catalog::{Column, Index, Relation, expression};
use crate::declare_rule;
use crate::finding::{Applicability, Change, Evidence, Level, Origin, Suggestion, Value};
use crate::rule::{Draft, Rule, Sink};
use crate::sql::{Clause, ColumnRef, LiteralKind, Operand, Predicate, Wrapper};
use crate::subject::Subject;

/// Rows from which a table without a plan is worth a word.
const LARGE_ROWS: f64 = 10_000.0;
/// A condition that keeps more than this share reads the table anyway.
const MOST_KEPT: f64 = 0.2;

declare_rule! {
    /// ## What it does
    ///
    /// Finds a condition that compares a function, a cast or arithmetic of a
    /// column with a value, where an index has that column as its first key
    /// and cannot be used for the condition. An integer column compared with
    /// a `numeric` constant is one too: the column is cast row by row. Where
    /// no index has the column, a note is given if the plan reads a large
    /// table for few rows.
    ///
    /// ## Why it matters
    ///
    /// An index on `created_at` is sorted by `created_at`, not by
    /// `date_trunc('day', created_at)`, so the condition is computed for every
    /// row. The planner also has no statistics of the expression, and guesses
    /// how many rows pass.
    ///
    /// ## When it is wrong
    ///
    /// When the condition lets most of the table pass, or another condition
    /// finds the rows by an index already. An index on the expression itself
    /// is recognised.
    ///
    /// ## References
    ///
    /// - [Indexes on expressions](https://www.postgresql.org/docs/current/indexes-expressional.html)
    /// - [Numeric constants](https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-CONSTANTS-NUMERIC)
    pub struct FunctionOnIndexedColumn = {
        id: "function-on-indexed-column",
        summary: "a function, cast or arithmetic keeps an index from being used",
        level: Warning,
        needs: [Sql, Catalog],
        concerns: [SeqScan, IndexScan, IndexOnlyScan, BitmapHeapScan],
        since: "0.1.0",
    }
}

impl Rule for FunctionOnIndexedColumn {
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink) {
        let Some(query) = subject.query() else { return };
        let wrapped: Vec<Wrapped<'_>> = query
            .predicates()
            .filter(|(_, predicate)| predicate.clause != Clause::Having)
            .filter_map(|(_, predicate)| wrapped(subject, predicate))
            .collect();
        // Several conditions on one column are cured together.
        let mut told: Vec<&Wrapped<'_>> = Vec::new();
        for found in &wrapped {
            if told.iter().any(|other| other.same_column(found)) {
                continue;
            }
            let others: Vec<&Predicate> = wrapped
                .iter()
                .filter(|other| other.same_column(found))
                .map(|other| other.predicate)
                .filter(|other| other.span != found.predicate.span)
                .collect();
            if look(subject, found, &others, sink) {
                told.push(found);
            }
        }
    }
}

/// A condition that no index on its column serves.
struct Wrapped<'a> {
    predicate: &'a Predicate,
    reference: &'a ColumnRef,
    relation: &'a Relation,
    column: &'a Column,
    obstacle: Obstacle,
}

impl Wrapped<'_> {
    /// The same column of the same mention of the table.
    fn same_column(&self, other: &Self) -> bool {
        self.reference.relation == other.reference.relation && self.column.name == other.column.name
    }
}

fn wrapped<'a>(subject: &Subject<'a>, predicate: &'a Predicate) -> Option<Wrapped<'a>> {
    let reference = predicate.left.column()?;
    let (relation, column) = subject.column(reference)?;
    if !is_indexable(predicate) || expression_index(subject, relation, predicate).is_some() {
        return None;
    }
    Some(Wrapped {
        predicate,
        reference,
        relation,
        column,
        obstacle: obstacle(subject, predicate, column)?,
    })
}

/// What keeps the index from being used.
struct Obstacle {
    /// The subject of a sentence: `date_trunc() on created_at`.
    what: String,
    advice: String,
}

/// Whether it was worth a finding.
fn look(
    subject: &Subject<'_>,
    found: &Wrapped<'_>,
    others: &[&Predicate],
    sink: &mut Sink,
) -> bool {
    let Wrapped {
        predicate,
        reference,
        relation,
        column,
        obstacle,
    } = found;
    let index = leading_index(relation, &column.name);
    let Some((select, number)) = reference.relation else {
        return false;
    };
    let place = subject.text(reference.span);
    let indexed = match index {
        Some(index) => format!("the index {} on it", index.name),
        None => "an index on it".to_owned(),
    };
    let message = format!("{} keeps {indexed} from being used", obstacle.what);
    let why = "the condition is computed for every row that is read, and the planner has no \
               statistics of the expression";
    let suggestion = Suggestion::untested(
        format!("let {place} stand alone in the condition"),
        Change::Advice {
            text: obstacle.advice.clone(),
        },
        Applicability::Manual,
    );
    let same = others.iter().map(|other| {
        Evidence::new(
            "the same column again",
            Value::Text(subject.text(other.span).to_owned()),
            Origin::Sql(other.span),
        )
    });
    if let Some(plan) = subject.plan {
        let scans = node::scans_of(subject, plan, select, number);
        let Some((kept, read)) = node::kept_share(subject, plan, &scans) else {
            return false;
        };
        let Some(metrics) = subject.metrics else {
            return false;
        };
        let cost: f64 = scans.iter().map(|id| metrics.node(*id).self_share).sum();
        if kept > read * MOST_KEPT {
            return false;
        }
        let Some(weight) = Weight::worth_telling(subject, cost * (1.0 - kept / read)) else {
            return false;
        };
        let Some(scan) = scans.first() else {
            return false;
        };
        let level = match index {
            Some(_) => weight.level(),
            None => Level::Note,
        };
        let from = node::rows_origin(plan, *scan);
        let draft = sink
            .report(
                message,
                why,
                Evidence::new("rows read", Value::Rows(read), from.clone()),
            )
            .evidence(Evidence::new("rows kept", Value::Rows(kept), from))
            .evidence(weight.evidence())
            .node(*scan)
            .span(Some(predicate.span))
            .relation(&relation.schema, &relation.name)
            .level(level)
            .share(weight.share())
            .suggest(suggestion);
        same.fold(draft, Draft::evidence);
        true
    } else if index.is_some() && relation.tuples.is_none_or(|rows| rows >= LARGE_ROWS) {
        let rows = relation
            .tuples
            .map_or_else(|| "not known".to_owned(), show::rows);
        let draft = sink
            .report(
                message,
                why,
                Evidence::new(
                    "rows in the table",
                    Value::Text(rows),
                    Origin::Catalog(relation.qualified()),
                ),
            )
            .span(Some(predicate.span))
            .relation(&relation.schema, &relation.name)
            .suggest(suggestion);
        same.fold(draft, Draft::evidence);
        true
    } else {
        false
    }
}

/// A comparison that an index on the bare column could serve.
fn is_indexable(predicate: &Predicate) -> bool {
    let operator = matches!(
        predicate.operator.as_str(),
        "=" | "<" | "<=" | ">" | ">=" | "between" | "in" | "like"
    );
    operator
        && predicate.or_group.is_none()
        && predicate.right.is_constant()
        && predicate.upper.as_ref().is_none_or(Operand::is_constant)
}

fn obstacle(subject: &Subject<'_>, predicate: &Predicate, column: &Column) -> Option<Obstacle> {
    let place = subject.text(predicate.left.column()?.span);
    match &predicate.left {
        Operand::Wrapped { span, by, .. } => {
            let what = by.iter().find_map(|wrapper| name(wrapper, column))?;
            let expression = subject.text(*span);
            Some(Obstacle {
                what: format!("{what} on {place}"),
                advice: format!(
                    "write the condition as a comparison of the bare column with a value or a \
                     range, doing the work on the constant's side; or, where all functions in it \
                     are immutable, create an index on the expression ({expression})"
                ),
            })
        }
        Operand::Column(_) if matches!(column.base_type.as_str(), "int2" | "int4" | "int8") => {
            let constants = match &predicate.right {
                Operand::List { items, .. } => items.as_slice(),
                other => std::slice::from_ref(other),
            };
            let constant = constants
                .iter()
                .chain(predicate.upper.as_ref())
                .find(|operand| is_numeric(operand))?;
            let text = constant.span().map_or("", |span| subject.text(span));
            Some(Obstacle {
                what: format!("the constant {text} turns {place} into numeric, which"),
                advice: format!(
                    "the column is {}: compare it with an integer constant, or pass a parameter \
                     of that type",
                    column.type_name
                ),
            })
        }
        _ => None,
    }
}

fn is_numeric(operand: &Operand) -> bool {
    matches!(
        operand,
        Operand::Literal {
            kind: LiteralKind::Numeric,
            cast: None,
            ..
        }
    ) || matches!(
        operand,
        Operand::Literal { cast: Some(cast), .. } if cast == "numeric" || cast == "decimal"
    )
}

/// What a wrapper is called, if it keeps an index from being used. Casts of
/// one character type to another do not, nor does taking a part of a document,
/// for which there are other indexes.
fn name(wrapper: &Wrapper, column: &Column) -> Option<String> {
    match wrapper {
        Wrapper::Function { name, .. } => Some(format!("{name}()")),
        Wrapper::Cast { type_name, .. } => {
            let text = |name: &str| matches!(name, "text" | "varchar" | "character varying");
            let harmless = text(column.base_type.as_str()) && text(type_name);
            (!harmless && *type_name != column.type_name && *type_name != column.base_type)
                .then(|| format!("the cast to {type_name}"))
        }
        Wrapper::Arithmetic { operator, .. } => Some(format!("the operator {operator}")),
        Wrapper::AtTimeZone { .. } => Some("AT TIME ZONE".to_owned()),
        Wrapper::Collate { .. } | Wrapper::Part { .. } => None,
    }
}

/// A B-tree or hash index whose first key is the column.
fn leading_index<'a>(relation: &'a Relation, column: &str) -> Option<&'a Index> {
    relation.indexes.iter().find(|index| {
        index.valid
            && matches!(index.method.as_str(), "btree" | "hash" | "brin")
            && index.leading_column() == Some(column)
    })
}

/// An index that has the expression as a key.
fn expression_index<'a>(
    subject: &Subject<'_>,
    relation: &'a Relation,
    predicate: &Predicate,
) -> Option<&'a Index> {
    let Operand::Wrapped { span, .. } = &predicate.left else {
        return None;
    };
    let written = expression::normalized(subject.text(*span));
    relation.indexes.iter().find(|index| {
        index
            .keys
            .iter()
            .any(|key| key.column.is_none() && expression::normalized(&key.text) == written)
    })
}
