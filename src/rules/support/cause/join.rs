//! A join whose inputs are estimated well, and whose result is not.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, ConstraintKind, Relation, ident};
use crate::finding::{Evidence, Origin, SideEffect, Value};
use crate::plan::{ConditionRole, NodeId, PlanEdge, PlanGraph};
use crate::rules::support::{condition, node};
use crate::subject::Subject;

use super::column::distinct_evidence;
use super::table::Table;
use super::{Cause, Kind, Rows, alter, by_hand};

/// Two columns that a join compares.
struct Pair {
    left: (String, String),
    right: (String, String),
}

/// The cause at a join node.
pub(super) fn of_join(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Cause {
    let rows = Rows::of(plan, id);
    let more = rows.is_none_or(Rows::more);
    if let Some(kind @ ("Semi" | "Anti")) = plan.node(id).join_type.as_deref() {
        let finds = if kind == "Semi" { "finds" } else { "lacks" };
        return across(&format!(
            "which share of the rows {finds} a match in the other table is not in any statistics"
        ));
    }
    let (pairs, others) = pairs(plan, id);
    let tables: BTreeSet<(&str, &str)> = pairs
        .iter()
        .map(|pair| ordered(&pair.left.0, &pair.right.0))
        .collect();
    match (pairs.as_slice(), tables.len()) {
        ([_, _, ..], 1) if more => several(subject, plan, id, &pairs),
        ([pair], _) if !others => one(subject, plan, id, pair, rows),
        ([], _) => Cause::new(
            Kind::AcrossTables,
            "the tables are joined by something else than equal columns, for which the planner \
             takes a default selectivity",
        )
        .suggest(help()),
        _ => across(
            "the rows of the two sides do not match as often as the columns' own statistics say",
        ),
    }
}

fn across(text: &str) -> Cause {
    Cause::new(
        Kind::AcrossTables,
        format!("{text}; PostgreSQL keeps no statistics across tables"),
    )
    .suggest(help())
}

fn help() -> crate::finding::Suggestion {
    by_hand(
        "help the planner with the join",
        "finer statistics of the join columns help where values are skewed; where a filter on one \
         table decides which rows of the other match, repeat it on the other's columns, or put the \
         selective part into a MATERIALIZED CTE or a temporary table",
    )
}

fn ordered<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    if one <= other {
        (one, other)
    } else {
        (other, one)
    }
}

/// The pairs of equal columns of a join, its own and those by which its inner
/// side looks rows up; and whether there is another condition.
fn pairs(plan: &PlanGraph, id: NodeId) -> (Vec<Pair>, bool) {
    let join = plan.node(id);
    let mut texts: Vec<&str> = [
        ConditionRole::HashCond,
        ConditionRole::MergeCond,
        ConditionRole::JoinFilter,
    ]
    .into_iter()
    .filter_map(|role| join.condition(role))
    .collect();
    // The inner side down to its scan, bitmaps and all.
    let mut at = plan.child(id, PlanEdge::Inner);
    while let Some(inner) = at {
        let node = plan.node(inner);
        texts.extend(node.condition(ConditionRole::IndexCond));
        if node::reads_table(node) && node.condition(ConditionRole::RecheckCond).is_none() {
            break;
        }
        at = plan.child(inner, PlanEdge::Outer);
    }
    let (mut found, mut others) = (Vec::new(), false);
    for part in texts.into_iter().flat_map(condition::conjuncts) {
        let side = |text: &str| {
            let (qualifier, name) = condition::column(text)?;
            Some((qualifier, name))
        };
        match (side(part.left), side(part.right), part.operator) {
            (Some((left, one)), Some((right, other)), "=") => {
                // The inner side's own columns may stand without its alias.
                let own = || inner_alias(plan, id).unwrap_or_default();
                found.push(Pair {
                    left: (left.unwrap_or_else(own), one),
                    right: (right.unwrap_or_else(own), other),
                });
            }
            (Some(_), None, _) | (None, Some(_), _) if !part.right.contains('.') => {}
            _ => others = true,
        }
    }
    (found, others)
}

fn inner_alias(plan: &PlanGraph, id: NodeId) -> Option<String> {
    let mut at = plan.child(id, PlanEdge::Inner);
    while let Some(inner) = at {
        if let Some(alias) = &plan.node(inner).relation.alias {
            return Some(alias.clone());
        }
        at = plan.child(inner, PlanEdge::Outer);
    }
    None
}

/// The scan below the join that has the alias.
fn scan(plan: &PlanGraph, id: NodeId, alias: &str) -> Option<NodeId> {
    plan.subtree(id).into_iter().find(|below| {
        let node = plan.node(*below);
        node::reads_table(node) && node.relation.alias.as_deref() == Some(alias)
    })
}

fn is_filtered(plan: &PlanGraph, scan: NodeId) -> bool {
    let node = plan.node(scan);
    node.condition(ConditionRole::Filter).is_some()
        || node
            .condition(ConditionRole::IndexCond)
            .or_else(|| node.condition(ConditionRole::RecheckCond))
            .is_some_and(|text| condition::qualifiers(text).is_empty())
}

/// Several columns of the same two tables: their selectivities are multiplied,
/// unless a foreign key says that they belong together.
fn several(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId, pairs: &[Pair]) -> Cause {
    let list = pairs
        .iter()
        .map(|pair| {
            format!(
                "{}.{} = {}.{}",
                pair.left.0, pair.left.1, pair.right.0, pair.right.1
            )
        })
        .collect::<Vec<_>>()
        .join(" and ");
    let cause = Cause::new(
        Kind::JoinColumns,
        format!(
            "the planner takes {list} as independent of each other and multiplies their \
             selectivities; extended statistics are not used for joins, but a foreign key over all \
             of these columns is"
        ),
    );
    match foreign_key(subject, plan, id, pairs) {
        Ok(Some((sql, key))) => {
            let mut suggestion = alter("declare the foreign key that the join follows", sql);
            suggestion.applicability = crate::finding::Applicability::Manual;
            suggestion.side_effects.push(SideEffect::Writes(
                "rows that are written or deleted are checked against the key".to_owned(),
            ));
            suggestion.side_effects.push(SideEffect::Lock(
                "ADD … NOT VALID locks both tables for writes for a moment; VALIDATE reads the \
                 table without that lock, and fails where a row has no match"
                    .to_owned(),
            ));
            let mut cause = cause.suggest(suggestion);
            cause.relation = Some(key);
            cause
        }
        Ok(None) => cause.suggest(by_hand(
            "join by one column",
            "none of the tables has a unique key of these columns, so that no foreign key can be \
             declared; a single column that identifies the combination, in both tables, is \
             estimated by its own statistics",
        )),
        Err(()) => cause
            .suggest(by_hand(
                "declare the foreign key that the join follows",
                "where these columns are the key of one of the tables, ALTER TABLE … ADD FOREIGN \
                 KEY (…) REFERENCES … NOT VALID tells the planner that each row has its match",
            ))
            .or(
                Kind::AcrossTables,
                "a foreign key over these columns exists already (\\d of the tables)",
            ),
    }
}

type Declared = Option<(String, (String, String))>;

/// The foreign key that the planner lacks, as SQL, with the referencing table;
/// `None` where none can be declared or it is there, an error where the
/// catalogue is not known.
fn foreign_key(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    pairs: &[Pair],
) -> Result<Declared, ()> {
    let catalog = subject.catalog.ok_or(())?;
    let first = pairs.first().ok_or(())?;
    let aliases = (&first.left.0, &first.right.0);
    let table = |alias: &str| -> Option<&Relation> { subject.relation_at(scan(plan, id, alias)?) };
    let one = table(aliases.0).ok_or(())?;
    let other = table(aliases.1).ok_or(())?;
    let columns = |alias: &str| -> Vec<&str> {
        pairs
            .iter()
            .map(|pair| {
                if pair.left.0 == *alias {
                    pair.left.1.as_str()
                } else {
                    pair.right.1.as_str()
                }
            })
            .collect()
    };
    let (ones, others) = (columns(aliases.0), columns(aliases.1));
    for (child, from, parent, to) in [(one, &ones, other, &others), (other, &others, one, &ones)] {
        if parent.is_unique_key(to) && !has_key(child, from, parent) {
            return Ok(Some((
                key_sql(catalog, child, from, parent, to),
                (child.schema.clone(), child.name.clone()),
            )));
        }
    }
    Ok(None)
}

fn has_key(child: &Relation, columns: &[&str], parent: &Relation) -> bool {
    child.constraints.iter().any(|constraint| {
        matches!(&constraint.kind, ConstraintKind::ForeignKey { schema, table, .. }
            if *schema == parent.schema && *table == parent.name)
            && columns
                .iter()
                .all(|column| constraint.columns.iter().any(|known| known == column))
    })
}

fn key_sql(
    catalog: &Catalog,
    child: &Relation,
    from: &[&str],
    parent: &Relation,
    to: &[&str],
) -> String {
    let list = |columns: &[&str]| {
        columns
            .iter()
            .map(|column| ident::quote(column))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let name = ident::quote(&super::table::short(&format!(
        "{}_{}_fkey",
        child.name,
        from.join("_")
    )));
    let table = child.display_name(catalog);
    format!(
        "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({}) REFERENCES {} ({}) NOT VALID;\n\
         ALTER TABLE {table} VALIDATE CONSTRAINT {name};",
        list(from),
        parent.display_name(catalog),
        list(to)
    )
}

/// One pair of columns.
fn one(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    id: NodeId,
    pair: &Pair,
    rows: Option<Rows>,
) -> Cause {
    let sides = [&pair.left, &pair.right].map(|(alias, column)| (scan(plan, id, alias), column));
    let filtered = sides
        .iter()
        .any(|(scan, _)| scan.is_some_and(|scan| is_filtered(plan, scan)));
    if filtered {
        return across(
            "a filter on one table decides which rows of the other match, and the planner takes \
             the filter and the join as independent of each other",
        );
    }
    let known: Vec<_> = sides
        .iter()
        .filter_map(|(scan, column)| {
            let relation = subject.relation_at((*scan)?)?;
            let stats = relation.column(column)?.stats.as_ref()?;
            Some((relation, column.as_str(), stats))
        })
        .collect();
    let (Some(catalog), Some(rows), [_, _]) = (subject.catalog, rows, known.as_slice()) else {
        return across(
            "the rows of the two sides do not match as often as the columns' own statistics say",
        )
        .or(
            Kind::DistinctValues,
            format!(
                "n_distinct of {} and {} in pg_stats against SELECT count(DISTINCT …)",
                pair.left.1, pair.right.1
            ),
        );
    };
    // The planner divides by the larger of both numbers of different values.
    let larger = known.iter().max_by(|a, b| {
        let distinct =
            |(relation, _, stats): &(&Relation, _, &crate::catalog::ColumnStatistics)| {
                stats.distinct(relation.rows())
            };
        distinct(a).total_cmp(&distinct(b))
    });
    let inputs: f64 = [PlanEdge::Outer, PlanEdge::Inner]
        .into_iter()
        .filter_map(|edge| Some(Rows::of(plan, plan.child(id, edge)?)?.counted.max(1.0)))
        .product();
    let implied = inputs / rows.counted.max(1.0);
    match larger {
        Some((relation, column, stats))
            if rows.more()
                && rows.loops <= 1.0
                && implied >= 1.0
                && stats.distinct(relation.rows()) > 2.0 * implied
                && !Table::of(relation, catalog).is_unique(column) =>
        {
            let table = Table::of(relation, catalog);
            let mut cause = Cause::new(
                Kind::DistinctValues,
                format!(
                    "ANALYZE takes {column} to have more different values than it has, or some are \
                     much more frequent than the others in both tables, so that each row seems to \
                     find fewer matches"
                ),
            )
            .evidence(distinct_evidence(relation, column, stats))
            .evidence(Evidence::new(
                "different values by the matches that were found",
                Value::Count(implied),
                Origin::Formula("rows of one side × rows of the other / rows of the join"),
            ))
            .suggest(table.raise_target(column));
            cause.relation = Some(table.key);
            cause
        }
        _ => across(
            "the rows of the two sides do not match as often as the columns' own statistics say",
        ),
    }
}
