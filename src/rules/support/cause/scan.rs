//! A scan whose conditions keep more or fewer rows than expected.

use crate::catalog::{RelationKind, ident};
use crate::finding::{Evidence, Origin, Value};
use crate::plan::{NodeId, NodeKind, PlanGraph, PlanNode};
use crate::rules::support::compared::{self, Compared};
use crate::rules::support::{node, show};
use crate::subject::Subject;

use super::column::{One, one_column};
use super::stale::stale;
use super::table::{Table, distinct_values};
use super::{Cause, DEFAULT_TARGET, Kind, Rows, TARGET, alter, by_hand, column, expression};

/// The cause at a scan; `counted` is the node whose rows are off, the scan
/// itself or what feeds its bitmap with the condition `below`.
pub(super) fn of_scan(
    subject: &Subject<'_>,
    plan: &PlanGraph,
    scan: NodeId,
    counted: NodeId,
    below: Option<&str>,
) -> Cause {
    let node = plan.node(scan);
    let Some(table) = Table::of_node(subject, node) else {
        return Cause::new(
            Kind::Unknown,
            "the planner has no statistics of what this node gives",
        );
    };
    let mut compared = compared::of(plan, node, below, table.relation);
    if let Some(relation) = table.relation {
        compared.keep(|column| relation.column(column).is_some());
    }
    let rows = Rows::of(plan, counted);
    let mut cause = scan_cause(subject, &table, node, &compared, rows);
    cause.relation = node::relation(subject, node);
    let stands_by_statistics = !matches!(
        cause.kind,
        Kind::NeverAnalysed
            | Kind::OldStatistics
            | Kind::Parameter
            | Kind::Subquery
            | Kind::Foreign
    );
    if table.relation.is_none() && stands_by_statistics {
        let name = table.key.1.replace('\'', "''");
        cause = cause.or(
            Kind::OldStatistics,
            format!(
                "SELECT last_analyze, last_autoanalyze, n_mod_since_analyze FROM \
                 pg_stat_all_tables WHERE relname = '{name}'"
            ),
        );
    }
    cause
}

fn scan_cause(
    subject: &Subject<'_>,
    table: &Table<'_>,
    node: &PlanNode,
    compared: &Compared<'_>,
    rows: Option<Rows>,
) -> Cause {
    if node.kind == NodeKind::ForeignScan
        && let Some(cause) = foreign(table)
    {
        return cause;
    }
    if let Some(cause) = stale(subject, table) {
        return cause;
    }
    if compared.parameter {
        return Cause::new(
            Kind::Parameter,
            "the plan was made for any value of its parameters, and this run's values are unlike \
             the average",
        )
        .suggest(by_hand(
            "plan with the actual values",
            "SET plan_cache_mode = force_custom_plan for the role or session, or ALTER FUNCTION … \
             SET plan_cache_mode where the statement stands in a function",
        ));
    }
    if compared.subplan {
        return Cause::new(
            Kind::Subquery,
            "the planner does not look into a subquery in a condition: it takes half of the rows \
             to pass, whatever the subquery gives",
        );
    }
    if let Some(found) = compared.expressions.first() {
        return expression::compared_expression(subject, table, node, found);
    }
    if compared.subquery {
        return Cause::new(
            Kind::Subquery,
            "the value comes from a subquery, and is not known when the statement is planned",
        );
    }
    match compared.columns.as_slice() {
        [_, _, ..] => {
            // Fewer rows cannot pass all conditions than pass the most
            // selective one: where that one's own statistics promise less than
            // were counted, it alone is misjudged.
            let alone = rows
                .filter(|rows| rows.more())
                .and_then(|rows| misjudged_alone(table, compared, rows));
            match alone {
                Some(one) => one_column(table, &one, rows),
                None => several_columns(table, &compared.columns, &compared.operators),
            }
        }
        [_] => match One::of(compared, 0) {
            Some(one) => one_column(table, &one, rows.filter(|_| !compared.joined)),
            None => unknown(),
        },
        [] if compared.joined => joined(table, compared, rows),
        [] if compared.unknown => unknown(),
        [] => Cause::new(
            Kind::OldStatistics,
            "the table has grown or shrunk since it was last analysed",
        )
        .suggest(table.analyze()),
    }
}

fn unknown() -> Cause {
    Cause::new(
        Kind::Unknown,
        "the planner has no statistics that fit the condition",
    )
}

/// The one column whose own statistics let far fewer rows pass than were
/// counted.
fn misjudged_alone<'c>(
    table: &Table<'_>,
    compared: &'c Compared<'_>,
    rows: Rows,
) -> Option<One<'c>> {
    (0..compared.columns.len())
        .filter_map(|at| One::of(compared, at))
        .filter_map(|one| {
            let alone = column::expected(table, &one)?;
            (alone * 2.0 < rows.counted).then_some((one, alone))
        })
        .min_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(one, _)| one)
}

/// The statistics of a foreign table are what ANALYZE here fetched, if it ever
/// did.
fn foreign(table: &Table<'_>) -> Option<Cause> {
    let known = table
        .relation
        .filter(|relation| relation.kind == RelationKind::ForeignTable)
        .map(|relation| relation.columns.iter().any(|column| column.stats.is_some()));
    let text = match known {
        Some(true) => return None,
        Some(false) => {
            "nothing is known here of the foreign table's rows: autovacuum does not \
                        analyse foreign tables"
        }
        None => {
            "what is known here of the foreign table's rows is what the last ANALYZE of it \
                 fetched, and autovacuum never does that"
        }
    };
    let mut remote = alter(
        "let the planner ask the other server",
        format!(
            "ALTER FOREIGN TABLE {} OPTIONS (ADD use_remote_estimate 'true');",
            table.display
        ),
    );
    remote.side_effects.push(crate::finding::SideEffect::Caller(
        "for postgres_fdw; planning then asks the other server for each path".to_owned(),
    ));
    Some(
        Cause::new(Kind::Foreign, text)
            .suggest(table.analyze())
            .suggest(remote),
    )
}

/// The inner side of a nested loop: rows for one row of the outer side.
fn joined(table: &Table<'_>, compared: &Compared<'_>, rows: Option<Rows>) -> Cause {
    let plain = || {
        Cause::new(
            Kind::JoinSkew,
            "the number of matches for one row of the other table differs widely from the average",
        )
    };
    let ([name], Some(rows)) = (compared.joined_columns.as_slice(), rows) else {
        return plain();
    };
    let Some((relation, stats)) = table.relation.and_then(|relation| {
        let stats = relation.column(name)?.stats.as_ref()?;
        Some((relation, stats))
    }) else {
        return plain().or(
            Kind::DistinctValues,
            format!(
                "n_distinct of {name} in pg_stats against SELECT count(DISTINCT {}) of it",
                ident::quote(name)
            ),
        );
    };
    let whole = relation.rows();
    let near = stats
        .most_common
        .iter()
        .find(|(_, share)| (share * whole / rows.counted.max(1.0)).ln().abs() <= 2_f64.ln());
    if rows.more()
        && let Some((_, share)) = near
    {
        return Cause::new(
            Kind::JoinSkew,
            format!(
                "the other side gives a value that is among the most frequent of {name}, and while \
                 planning, which value it will give is not known: the average over all is taken"
            ),
        )
        .evidence(Evidence::new(
            format!("rows that have one such value of {name}"),
            Value::Share(*share),
            Origin::Statistics(format!("{}.{name}", relation.qualified())),
        ))
        .suggest(by_hand(
            "let the planner see the value",
            format!(
                "no statistics mend it: look the value up first and write it into the statement as \
                 a constant of {name}, or plan with it as a parameter (plan_cache_mode = \
                 force_custom_plan)"
            ),
        ));
    }
    if rows.more() && rows.loops >= 30.0 && relation.rows() > 0.0 && !table.is_unique(name) {
        // Each execution looks up one value: their average says how many rows
        // a value has.
        let values = whole / rows.counted.max(1.0);
        if stats.distinct(whole) > 2.0 * values {
            return Cause::new(
                Kind::DistinctValues,
                format!(
                    "ANALYZE takes {name} to have more different values than it has, so that each \
                     seems rarer"
                ),
            )
            .evidence(column::distinct_evidence(relation, name, stats))
            .evidence(Evidence::new(
                "different values by the rows that a value was found to have",
                Value::Count(values),
                Origin::Formula("rows of the table / rows of one look-up"),
            ))
            .suggest(table.set_distinct(name, values, whole));
        }
    }
    let average = show::count(whole / stats.distinct(whole));
    let mut cause = plain();
    cause.text.push_str(&format!(
        ": by its statistics a value of {name} has {average} on average"
    ));
    cause
}

fn several_columns(table: &Table<'_>, columns: &[String], operators: &[&str]) -> Cause {
    let mut sorted: Vec<&str> = columns.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.truncate(8);
    let list = sorted.join(", ");
    let cause = Cause::new(
        Kind::CorrelatedColumns,
        format!(
            "the planner takes the conditions on {list} as independent of each other, and they are not"
        ),
    );
    let equalities = operators
        .iter()
        .all(|operator| matches!(*operator, "=" | "= ANY" | "IS NULL"));
    // An mcv list that holds too few of the combinations is believed all the
    // same, and keeps the dependencies from being looked at.
    let distinct = distinct_values(table, &sorted);
    let kinds = match distinct {
        Some(distinct) if equalities && distinct > f64::from(TARGET) => "dependencies",
        _ if equalities => "dependencies, mcv",
        _ => "mcv",
    };
    let finer = kinds.contains("mcv") && distinct.is_none_or(|distinct| distinct > DEFAULT_TARGET);
    let object = table.relation.and_then(|relation| {
        relation.statistics.iter().find(|object| {
            object.kinds.iter().any(|kind| kind == "mcv")
                && sorted
                    .iter()
                    .all(|column| object.columns.iter().any(|known| known == column))
        })
    });
    match object {
        Some(object) if object.computed => cause.suggest(table.finer_object(&object.name)),
        Some(_) => cause.suggest(table.analyze()),
        None => {
            let cause = if table.has_statistics() {
                cause
            } else {
                cause.or(
                    Kind::Skew,
                    "EXPLAIN with each condition by itself shows whether one alone is misjudged",
                )
            };
            let quoted: Vec<String> = sorted.iter().map(|column| ident::quote(column)).collect();
            cause.suggest(table.create_statistics(
                &sorted.join("_"),
                kinds,
                &quoted,
                finer,
                &format!("create extended statistics on {list}"),
            ))
        }
    }
}
