//! Why an estimate went wrong, and which statistics mend it.

use crate::catalog::expression::normalized;
use crate::catalog::{Activity, Catalog, Index, IndexKey, Relation, StatisticsObject, ident};
use crate::finding::{Applicability, Change, Evidence, Origin, SideEffect, Suggestion, Value};
use crate::plan::{ConditionRole, NodeId, NodeKind, PlanGraph, PlanNode};
use crate::subject::Subject;

use super::compared::{self, Around, Compared, Expression};
use super::{condition, memory, node};

/// ANALYZE is due by autovacuum's own reckoning from here: a share of the
/// rows, on top of a few.
const STALE_SHARE: f64 = 0.2;
/// The few.
const STALE_ROWS: f64 = 1_000.0;
/// A wrong estimate is laid to changes from this share of the rows on,
const CAUSE_SHARE: f64 = 0.1;
/// if they are more than autovacuum's own threshold.
const CAUSE_ROWS: f64 = 50.0;
/// The largest statistics target that is proposed.
const TARGET: i32 = 1_000;
/// `default_statistics_target`.
const DEFAULT_TARGET: f64 = 100.0;

/// The likely cause of a wrong estimate.
#[derive(Debug)]
pub(crate) struct Cause {
    /// What it is, as the end of a sentence.
    pub(crate) text: String,
    /// The table concerned.
    pub(crate) relation: Option<(String, String)>,
    /// What mends it.
    pub(crate) suggestions: Vec<Suggestion>,
    /// What supports it.
    pub(crate) evidence: Vec<Evidence>,
}

impl Cause {
    fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            relation: None,
            suggestions: Vec::new(),
            evidence: Vec::new(),
        }
    }

    fn suggest(mut self, suggestion: Suggestion) -> Self {
        self.suggestions.push(suggestion);
        self
    }
}

/// A table as the statistics commands name it.
pub(crate) struct Table<'a> {
    /// From the catalogue, where there is one.
    pub(crate) relation: Option<&'a Relation>,
    /// Schema and name; the schema empty when it is not known.
    pub(crate) key: (String, String),
    /// As written in SQL.
    pub(crate) display: String,
}

impl<'a> Table<'a> {
    /// The table of a catalogue entry.
    pub(crate) fn of(relation: &'a Relation, catalog: &Catalog) -> Self {
        Self {
            relation: Some(relation),
            key: (relation.schema.clone(), relation.name.clone()),
            display: relation.display_name(catalog),
        }
    }

    fn of_node(subject: &Subject<'a>, node: &PlanNode) -> Option<Self> {
        if let (Some(relation), Some(catalog)) = (subject.relation_of_node(node), subject.catalog) {
            return Some(Self::of(relation, catalog));
        }
        let name = node.relation.name.clone()?;
        let schema = node.relation.schema.clone();
        let display = match &schema {
            Some(schema) => format!("{}.{}", ident::quote(schema), ident::quote(&name)),
            None => ident::quote(&name),
        };
        Some(Self {
            relation: None,
            key: (schema.unwrap_or_default(), name),
            display,
        })
    }

    /// `ANALYZE` of the table.
    pub(crate) fn analyze(&self) -> Suggestion {
        Suggestion::untested(
            format!("analyse {}", self.display),
            Change::Analyze {
                sql: format!("ANALYZE {};", self.display),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        )
    }

    fn create_statistics(
        &self,
        label: &str,
        kinds: &str,
        on: &[String],
        finer: bool,
        title: &str,
    ) -> Suggestion {
        let name = ident::quote(&short(&format!("{}_{label}_stats", self.key.1)));
        let target = if finer {
            format!("ALTER STATISTICS {name} SET STATISTICS {TARGET};\n")
        } else {
            String::new()
        };
        let kinds = if kinds.is_empty() {
            String::new()
        } else {
            format!(" ({kinds})")
        };
        let mut suggestion = Suggestion::untested(
            title.to_owned(),
            Change::CreateStatistics {
                sql: format!(
                    "CREATE STATISTICS {name}{kinds} ON {} FROM {};\n{target}ANALYZE {};",
                    on.join(", "),
                    self.display,
                    self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        );
        suggestion.side_effects.push(SideEffect::Writes(
            "none on writes; ANALYZE of the table takes a little longer".to_owned(),
        ));
        suggestion
    }

    fn finer_object(&self, name: &str) -> Suggestion {
        let name = object_name(self, name);
        Suggestion::untested(
            format!("collect finer statistics in {name}"),
            Change::CreateStatistics {
                sql: format!(
                    "ALTER STATISTICS {name} SET STATISTICS {TARGET};\nANALYZE {};",
                    self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        )
    }

    fn raise_target(&self, column: &str) -> Suggestion {
        let column = ident::quote(column);
        Suggestion::untested(
            format!("collect finer statistics of {}.{column}", self.display),
            Change::Analyze {
                sql: format!(
                    "ALTER TABLE {} ALTER COLUMN {column} SET STATISTICS {TARGET};\nANALYZE {};",
                    self.display, self.display
                ),
                relation: self.key.clone(),
            },
            Applicability::SameResults,
        )
    }
}

/// The most different values that one of the columns has, where known.
fn distinct_values(table: &Table<'_>, columns: &[&str]) -> Option<f64> {
    let relation = table.relation?;
    columns
        .iter()
        .map(|name| {
            let stats = relation.column(name)?.stats.as_ref()?;
            Some(stats.distinct(relation.rows()))
        })
        .try_fold(1.0_f64, |most, next| next.map(|next| most.max(next)))
}

/// A name of at most 63 bytes, as the server takes it.
fn short(name: &str) -> String {
    let mut short = String::new();
    for character in name.chars() {
        if short.len() + character.len_utf8() > 63 {
            break;
        }
        short.push(character);
    }
    short
}

fn by_hand(title: &str, text: impl Into<String>) -> Suggestion {
    Suggestion::untested(
        title,
        Change::Advice { text: text.into() },
        Applicability::Manual,
    )
}

/// The likely cause of the wrong estimate of that node.
pub(crate) fn of(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Cause {
    let node = plan.node(id);
    match node.kind {
        NodeKind::BitmapIndexScan | NodeKind::BitmapAnd | NodeKind::BitmapOr => {
            let heap = plan
                .ancestors(id)
                .find(|up| plan.node(*up).kind == NodeKind::BitmapHeapScan)
                .unwrap_or(id);
            of_scan(
                subject,
                plan,
                plan.node(heap),
                node.condition(ConditionRole::IndexCond),
            )
        }
        _ if node::reads_table(node) => of_scan(subject, plan, node, None),
        NodeKind::NestedLoop | NodeKind::HashJoin | NodeKind::MergeJoin => Cause::new(
            "the rows of the two sides do not match as often as the columns' own statistics say; \
             PostgreSQL keeps no statistics across tables",
        )
        .suggest(by_hand(
            "help the planner with the join",
            "finer statistics of the join columns help where values are skewed; where a filter on \
             one table decides which rows of the other match, repeat it on the other's columns, or \
             put the selective part into a MATERIALIZED CTE or a temporary table",
        )),
        NodeKind::Aggregate | NodeKind::Group | NodeKind::Unique => of_groups(subject, plan, id),
        NodeKind::FunctionScan | NodeKind::TableFunctionScan | NodeKind::ProjectSet => Cause::new(
            "the planner does not look into a function: it takes the number of rows that is \
             declared for it",
        )
        .suggest(by_hand(
            "declare how many rows the function gives",
            "ALTER FUNCTION … ROWS n, or write its query into the statement",
        )),
        NodeKind::CteScan | NodeKind::WorkTableScan | NodeKind::RecursiveUnion => Cause::new(
            "the planner guesses the rows of a recursive or materialised CTE",
        )
        .suggest(by_hand(
            "give the planner a real row count",
            "put the CTE's result into a temporary table and ANALYZE it, or take MATERIALIZED away",
        )),
        _ => Cause::new("the planner has no statistics of what this node gives"),
    }
}

fn of_scan(subject: &Subject<'_>, plan: &PlanGraph, node: &PlanNode, below: Option<&str>) -> Cause {
    let Some(table) = Table::of_node(subject, node) else {
        return Cause::new("the planner has no statistics of what this node gives");
    };
    let mut compared = compared::of(plan, node, below, table.relation);
    if let Some(relation) = table.relation {
        compared
            .columns
            .retain(|column| relation.column(column).is_some());
    }
    let mut cause = scan_cause(subject, &table, node, &compared);
    cause.relation = node::relation(subject, node);
    cause
}

fn scan_cause(
    subject: &Subject<'_>,
    table: &Table<'_>,
    node: &PlanNode,
    compared: &Compared<'_>,
) -> Cause {
    if let Some(cause) = stale(subject, table) {
        return cause;
    }
    if compared.parameter {
        return Cause::new(
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
            "the planner does not look into a subquery in a condition: it takes half of the rows \
             to pass, whatever the subquery gives",
        );
    }
    if let Some(expression) = compared.expressions.first() {
        return compared_expression(subject, table, node, expression);
    }
    if compared.subquery {
        return Cause::new(
            "the value comes from a subquery, and is not known when the statement is planned",
        );
    }
    match (compared.columns.as_slice(), compared.operators.as_slice()) {
        ([_, _, ..], operators) => several_columns(table, &compared.columns, operators),
        ([_], _) if compared.pattern => Cause::new(
            "the planner guesses how many values match a pattern that does not begin with fixed \
             characters",
        ),
        ([column], operators) => one_column(table, column, operators.first().copied()),
        ([], _) if compared.joined => Cause::new(
            "the number of matches for one row of the other table differs widely from the average",
        ),
        ([], _) if compared.unknown => {
            Cause::new("the planner has no statistics that fit the condition")
        }
        ([], _) => Cause::new("the table has grown or shrunk since it was last analysed")
            .suggest(table.analyze()),
    }
}

/// Statistics that are missing or old explain every wrong estimate, long
/// before autovacuum's share of the rows has changed.
fn stale(subject: &Subject<'_>, table: &Table<'_>) -> Option<Cause> {
    let due = due(table.relation?, subject.catalog, CAUSE_SHARE, CAUSE_ROWS)?;
    let mut cause = Cause::new(due.text).suggest(table.analyze());
    cause.evidence.extend(due.evidence);
    Some(cause)
}

/// Why ANALYZE is due, with the evidence.
pub(crate) struct Due {
    /// The end of a sentence.
    pub(crate) text: String,
    /// What supports it.
    pub(crate) evidence: Vec<Evidence>,
    /// Statistics are missing altogether.
    pub(crate) missing: bool,
}

/// Whether ANALYZE of a table is due: it never ran, or much has changed since.
pub(crate) fn analyze_due(relation: &Relation, catalog: Option<&Catalog>) -> Option<Due> {
    due(relation, catalog, STALE_SHARE, STALE_ROWS)
}

/// The same from that share of the rows and that many on.
fn due(
    relation: &Relation,
    catalog: Option<&Catalog>,
    least_share: f64,
    least_rows: f64,
) -> Option<Due> {
    let from = || Origin::Catalog(relation.qualified());
    let no_statistics = !relation.columns.is_empty()
        && relation.columns.iter().all(|column| column.stats.is_none());
    // A role without rights sees no statistics of tables that have them.
    let all_readable = catalog.is_some_and(|catalog| catalog.limits.is_empty());
    let activity = relation.activity.as_ref();
    let analysed = activity.is_some_and(|activity| activity.seconds_since_analyze.is_some());
    if relation.tuples.is_none() || no_statistics && all_readable && !analysed {
        let rows = activity.map_or(0.0, |activity| activity.live_rows);
        let mut evidence = vec![Evidence::new(
            "size of the table",
            Value::Blocks(relation.pages),
            from(),
        )];
        if rows > 0.0 {
            evidence.push(Evidence::new("live rows", Value::Rows(rows), from()));
        }
        return Some(Due {
            text: format!("{} has never been analysed", relation.name),
            evidence,
            missing: true,
        });
    }
    let changed = changed(relation, activity?);
    let rows = relation.rows();
    if changed > least_rows && changed > least_share * rows {
        return Some(Due {
            text: format!(
                "{} rows of {} were changed since it was last analysed",
                super::show::count(changed),
                relation.name
            ),
            evidence: vec![
                Evidence::new("rows changed since ANALYZE", Value::Rows(changed), from()),
                Evidence::new("rows as of ANALYZE", Value::Rows(rows), from()),
            ],
            missing: false,
        });
    }
    None
}

/// Rows changed since ANALYZE, without those that it saw.
///
/// A session that loads a table and analyses it at once reports its inserts
/// only after the ANALYZE, so that they count as changes since, and as live
/// rows a second time. Where the counters go back to the table's beginning,
/// what is counted twice shows: there are more live rows than were inserted
/// and not deleted.
fn changed(relation: &Relation, activity: &Activity) -> f64 {
    let lasting = activity.inserted - activity.deleted;
    let counted_twice = if lasting >= 0.9 * relation.rows() {
        (activity.live_rows - lasting).max(0.0)
    } else {
        0.0
    };
    (activity.modified_since_analyze - counted_twice).max(0.0)
}

/// The cause where a condition compares an expression with a value.
fn compared_expression(
    subject: &Subject<'_>,
    table: &Table<'_>,
    node: &PlanNode,
    expression: &Expression<'_>,
) -> Cause {
    let text = expression.text;
    let cause = Cause::new(format!(
        "no statistics exist for the expression {text}, so that the planner takes a default \
         selectivity"
    ));
    let Some(column) = &expression.column else {
        return expression_cause(subject, table, node, text, cause);
    };
    let bare = ident::quote(column);
    let indexed = table.relation.is_some_and(|relation| {
        relation
            .indexes
            .iter()
            .any(|index| index.valid && index.leading_column() == Some(column))
    });
    match expression.around {
        // What lets the index be used mends the estimate too.
        Around::Moveable | Around::Function if indexed && !known(table, node, text) => {
            let mut cause = cause;
            cause.text.push_str(&format!(
                "; with {bare} alone in the condition it has those of {bare}"
            ));
            cause
        }
        Around::Moveable if !known(table, node, text) => cause.suggest(by_hand(
            &format!("let {bare} stand alone in the condition"),
            format!(
                "write the condition as a comparison of the bare column, whose statistics the \
                 planner has, doing the cast or the arithmetic on the other side of {text}"
            ),
        )),
        _ => expression_cause(subject, table, node, text, cause),
    }
}

/// A statistics object or an index has the expression.
fn known(table: &Table<'_>, node: &PlanNode, text: &str) -> bool {
    object_of(table, node, text).is_some() || key_of(table, node, text).is_some()
}

/// The statistics object that has the expression.
fn object_of<'a>(table: &Table<'a>, node: &PlanNode, text: &str) -> Option<&'a StatisticsObject> {
    let bare = normalized(&unqualified(text, node));
    table.relation?.statistics.iter().find(|object| {
        object
            .expressions
            .iter()
            .any(|known| normalized(known) == bare)
    })
}

/// The index with the expression as a key, and that key.
fn key_of<'a>(table: &Table<'a>, node: &PlanNode, text: &str) -> Option<(&'a Index, &'a IndexKey)> {
    let bare = normalized(&unqualified(text, node));
    table.relation?.indexes.iter().find_map(|index| {
        let key = index
            .keys
            .iter()
            .find(|key| key.column.is_none() && normalized(&key.text) == bare)?;
        Some((index, key))
    })
}

/// Statistics of an expression that has none, or better ones; `without` is the
/// cause where it has none.
fn expression_cause(
    subject: &Subject<'_>,
    table: &Table<'_>,
    node: &PlanNode,
    expression: &str,
    without: Cause,
) -> Cause {
    let bare = unqualified(expression, node);
    let skewed = || {
        Cause::new(format!(
            "the values of {bare} are skewed beyond what its statistics hold"
        ))
    };
    if let Some(object) = object_of(table, node, expression) {
        return if object.computed {
            skewed().suggest(table.finer_object(&object.name))
        } else {
            without.suggest(table.analyze())
        };
    }
    if let Some((index, key)) = key_of(table, node, expression) {
        // The statistics of an index's expressions are those of the whole
        // table only where the index has all rows.
        return if key.stats.is_some() && index.predicate.is_none() {
            skewed()
        } else {
            without.suggest(table.analyze())
        };
    }
    match memory::major(subject) {
        Some(major) if major < 14 => without.suggest(by_hand(
            "give the expression statistics by an index on it",
            format!(
                "an index on ({bare}) makes ANALYZE collect statistics of it; from version 14 on, \
                 CREATE STATISTICS does so without an index"
            ),
        )),
        _ => {
            let label = condition::names(&bare).join("_");
            without.suggest(table.create_statistics(
                &format!("{label}_expr"),
                "",
                &[format!("({bare})")],
                false,
                "create statistics on the expression",
            ))
        }
    }
}

/// Without the table's alias, which the commands do not know.
fn unqualified(expression: &str, node: &PlanNode) -> String {
    let alias = node
        .relation
        .alias
        .as_deref()
        .or(node.relation.name.as_deref())
        .unwrap_or("");
    let mut text = String::new();
    let mut rest = expression;
    let prefix = format!("{}.", ident::quote(alias));
    while let Some(at) = rest.find(&prefix) {
        let before = rest.get(..at).unwrap_or("");
        text.push_str(before);
        // `foo.` within `xfoo.` is another name.
        let inside = before
            .chars()
            .next_back()
            .is_some_and(|last| last.is_alphanumeric() || last == '_' || last == '"');
        if inside {
            text.push_str(&prefix);
        }
        rest = rest.get(at + prefix.len()..).unwrap_or("");
    }
    text.push_str(rest);
    text
}

fn several_columns(table: &Table<'_>, columns: &[String], operators: &[&str]) -> Cause {
    let mut sorted: Vec<&str> = columns.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.truncate(8);
    let list = sorted.join(", ");
    let cause = Cause::new(format!(
        "the planner takes the conditions on {list} as independent of each other, and they are not"
    ));
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

fn object_name(table: &Table<'_>, name: &str) -> String {
    if table.key.0.is_empty() || table.key.0 == "public" {
        ident::quote(name)
    } else {
        format!("{}.{}", ident::quote(&table.key.0), ident::quote(name))
    }
}

/// No value of the column occurs twice.
fn is_unique(table: &Table<'_>, column: &str) -> bool {
    table.relation.is_some_and(|relation| {
        relation.indexes.iter().any(|index| {
            index.unique
                && index.valid
                && index.predicate.is_none()
                && index.keys.len() == 1
                && index.leading_column() == Some(column)
        })
    })
}

fn one_column(table: &Table<'_>, column: &str, operator: Option<&str>) -> Cause {
    let range = matches!(operator, Some("<" | "<=" | ">" | ">="));
    if is_unique(table, column) {
        return if range {
            Cause::new(format!(
                "the values of {column} have gaps that the bounds of its histogram do not show"
            ))
            .suggest(table.raise_target(column))
        } else {
            Cause::new(format!(
                "the planner misjudges how many values of {column} the condition names"
            ))
        };
    }
    let statistics = table
        .relation
        .and_then(|relation| relation.column(column))
        .map(|column| (column.statistics_target, column.stats.as_ref()));
    match statistics {
        Some((target, _)) if target.is_some_and(|target| target >= TARGET) => Cause::new(format!(
            "the values of {column} are distributed so that even its fine statistics miss this one"
        )),
        Some((_, None)) => {
            Cause::new(format!("{column} has no statistics")).suggest(table.analyze())
        }
        _ => Cause::new(format!(
            "the values of {column} are skewed beyond what its statistics hold"
        ))
        .suggest(table.raise_target(column)),
    }
}

fn of_groups(subject: &Subject<'_>, plan: &PlanGraph, id: NodeId) -> Cause {
    let keys = plan.node(id).texts("Group Key");
    let fallback = || Cause::new("the planner misjudged how many different groups there are");
    let scans: Vec<NodeId> = plan
        .subtree(id)
        .into_iter()
        .filter(|below| node::reads_table(plan.node(*below)))
        .collect();
    let mut qualifiers: Vec<String> = keys
        .iter()
        .flat_map(|key| condition::qualifiers(key))
        .collect();
    qualifiers.sort_unstable();
    qualifiers.dedup();
    let scan = match (qualifiers.as_slice(), scans.as_slice()) {
        ([], [only]) => Some(*only),
        ([alias], _) => scans
            .iter()
            .copied()
            .find(|scan| plan.node(*scan).relation.alias.as_deref() == Some(alias)),
        _ => None,
    };
    let Some(scan) = scan else { return fallback() };
    let node = plan.node(scan);
    let Some(table) = Table::of_node(subject, node) else {
        return fallback();
    };
    let mut cause = group_cause(subject, &table, node, &keys);
    cause.relation = node::relation(subject, node);
    cause
}

fn group_cause(subject: &Subject<'_>, table: &Table<'_>, node: &PlanNode, keys: &[&str]) -> Cause {
    if let Some(cause) = stale(subject, table) {
        return cause;
    }
    if let Some(expression) = keys.iter().find(|key| condition::column(key).is_none()) {
        let expression = condition::strip(expression);
        let without = Cause::new(format!(
            "no statistics exist for the expression {expression}, so that the planner guesses how \
             many groups there are"
        ));
        return expression_cause(subject, table, node, expression, without);
    }
    let mut columns: Vec<String> = keys
        .iter()
        .filter_map(|key| condition::column(key))
        .map(|(_, column)| column)
        .collect();
    columns.sort_unstable();
    columns.dedup();
    match columns.as_slice() {
        [] => Cause::new("the planner misjudged how many different groups there are"),
        [column] => Cause::new(format!(
            "the number of different values of {column} is misjudged from the sample"
        ))
        .suggest(table.raise_target(column)),
        _ => {
            columns.truncate(8);
            let list = columns.join(", ");
            let quoted: Vec<String> = columns.iter().map(|column| ident::quote(column)).collect();
            Cause::new(format!(
                "the planner does not know how many combinations of {list} there are"
            ))
            .suggest(table.create_statistics(
                &columns.join("_"),
                "ndistinct",
                &quoted,
                false,
                &format!("create ndistinct statistics on {list}"),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::RelationKind;

    #[test]
    fn a_unique_column_is_never_called_skewed() {
        let mut relation = Relation {
            oid: 1,
            schema: "public".to_owned(),
            name: "orders".to_owned(),
            kind: RelationKind::Table,
            columns: Vec::new(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            statistics: Vec::new(),
            partition_key: None,
            parent: None,
            partition_bound: None,
            pages: 100.0,
            tuples: Some(10_000.0),
            all_visible_pages: 0.0,
            row_security: false,
            activity: None,
        };
        let cause = |relation: &Relation, operator| {
            one_column(&Table::of(relation, &Catalog::default()), "id", operator)
        };
        assert!(!is_unique(&Table::of(&relation, &Catalog::default()), "id"));
        relation.indexes.push(Index {
            oid: 2,
            name: "orders_pkey".to_owned(),
            method: "btree".to_owned(),
            keys: vec![IndexKey {
                column: Some("id".to_owned()),
                text: "id".to_owned(),
                opclass: "int4_ops".to_owned(),
                default_opclass: true,
                collation: None,
                descending: false,
                nulls_first: false,
                stats: None,
            }],
            include: Vec::new(),
            unique: true,
            primary: true,
            valid: true,
            immediate: true,
            nulls_not_distinct: false,
            predicate: None,
            definition: String::new(),
            pages: 30.0,
            tuples: Some(10_000.0),
            scans: None,
        });
        let equal = cause(&relation, Some("="));
        assert!(!equal.text.contains("skewed") && equal.suggestions.is_empty());
        let range = cause(&relation, Some("<"));
        assert!(!range.text.contains("skewed") && range.suggestions.len() == 1);
    }
}
