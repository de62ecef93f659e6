//! Why the planner does not use an index for a statement, with numbers, and
//! the change that would make it.
//!
//! The planner is asked first: for the plan as it is, and for plans in which
//! everything that could stand in the index's place is switched off. When the
//! index appears then, with a condition on its first key, it matches the
//! statement and costs more ([`cost`] says why); when it does not, something
//! keeps it from matching ([`mismatch`] says what). Every change that a
//! planner can try is tried.

mod changes;
mod cost;
mod find;
mod force;
mod implied;
mod mismatch;
mod operators;
mod order;
mod pushed;
mod terms;

pub use find::NotFound;

use crate::catalog::{Catalog, Index, Relation};
use crate::finding::{Evidence, Origin, Suggestion, Value};
use crate::plan::{NodeId, PlanGraph};
use crate::source::Span;
use crate::sql::{RelationRefKind, Statement};
use crate::verify::{PlanError, PlanOptions, Planned, Planner};

/// What came of the question for one statement.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Schema of the index and its table.
    pub schema: String,
    /// The index.
    pub index: String,
    /// Its table.
    pub table: String,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// The plan as it is.
    pub plan: PlanGraph,
    /// The nodes of that plan that use the index; not empty when it is used
    /// after all.
    pub used_by: Vec<NodeId>,
    /// The cheapest plan with the index that could be had.
    pub forced: Option<Forced>,
    /// Why it is not used, the weightiest first.
    pub causes: Vec<Cause>,
}

/// A plan with the index, made by switching off what was preferred to it.
#[derive(Debug, Clone)]
pub struct Forced {
    /// The plan.
    pub plan: PlanGraph,
    /// Its cost without the penalties of what was switched off; `None` when
    /// they could not be told apart.
    pub cost: Option<f64>,
    /// The nodes that use the index.
    pub nodes: Vec<NodeId>,
    /// The index finds rows by its first key there, and is not only read from
    /// end to end.
    pub by_first_key: bool,
    /// Rows that the index gives, before other conditions are checked.
    pub index_rows: Option<f64>,
    /// What was switched off or hidden: `enable_seqscan = off`.
    pub how: String,
}

/// A reason, with what shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// Which.
    pub kind: CauseKind,
    /// The place in the SQL, if it has one.
    pub span: Option<Span>,
    /// The node of the plan, if it has one.
    pub node: Option<NodeId>,
    /// What keeps the index from being used: no capital at the start unless a
    /// name, no full stop.
    pub message: String,
    /// How PostgreSQL comes to it, in a sentence or two.
    pub why: String,
    /// What shows it.
    pub evidence: Vec<Evidence>,
    /// What would make the index used, or serve in its place.
    pub changes: Vec<Change>,
}

/// A change, with what the planner said.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The change, with its verdict.
    pub suggestion: Suggestion,
    /// Whether the planner uses the index (or the changed one) with it; `None`
    /// when it was not tried.
    pub used: Option<bool>,
}

/// The kinds of reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CauseKind {
    /// The statement does not read the index's table.
    TableNotRead,
    /// The statement names the table, but the plan does not read it.
    TableNotInPlan,
    /// The index is invalid or not ready.
    InvalidIndex,
    /// No condition and no order concerns the index's first key.
    LeadingColumnUnused,
    /// The column stands in a function, a cast or arithmetic.
    ColumnWrapped,
    /// The other side's type makes PostgreSQL cast the column.
    ImplicitCast,
    /// The index is on an expression that the statement does not use.
    ExpressionDiffers,
    /// The index's operator class has no such operator.
    OperatorNotSupported,
    /// A pattern, and the operator class does not order by bytes.
    PatternNeedsOperatorClass,
    /// A pattern without a fixed beginning.
    LeadingWildcard,
    /// The comparison's collation is not the index's.
    CollationDiffers,
    /// An OR with a side that the index does not serve.
    OrAcrossColumns,
    /// The order asked for is not the index's.
    OrderDiffers,
    /// The statement does not imply the partial index's predicate.
    PredicateNotImplied,
    /// The statement would imply it, were a parameter a constant.
    ParameterInPredicate,
    /// The condition stays above a fence: a materialised CTE, a LIMIT, a
    /// window, an aggregate.
    ConditionFenced,
    /// The condition belongs to an outer join that keeps all the table's rows.
    OuterJoin,
    /// A function that may give another value for each row.
    VolatileFunction,
    /// The condition's function may not see rows that row-level security has
    /// not passed yet.
    RowSecurity,
    /// A planner setting switches off the scans that would use it.
    SettingOff,
    /// Another index is cheaper.
    AnotherIndex,
    /// The table is so small that reading all of it is cheapest.
    TableTooSmall,
    /// The condition lets too many rows pass.
    NotSelective,
    /// The rows lie scattered over the table.
    Scattered,
    /// The cost settings make random reads dear.
    CostSettings,
    /// The index alone cannot answer.
    NotIndexOnly,
    /// The statistics are old, or there are none.
    StaleStatistics,
    /// It costs more; nothing stands out as the reason.
    CostsMore,
    /// The planner does not consider it, and no reason was recognised.
    Unknown,
}

impl CauseKind {
    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::TableNotRead => "table not read",
            Self::TableNotInPlan => "table not in the plan",
            Self::InvalidIndex => "invalid index",
            Self::LeadingColumnUnused => "leading column unused",
            Self::ColumnWrapped => "column wrapped",
            Self::ImplicitCast => "implicit cast",
            Self::ExpressionDiffers => "expression differs",
            Self::OperatorNotSupported => "operator not supported",
            Self::PatternNeedsOperatorClass => "operator class",
            Self::LeadingWildcard => "leading wildcard",
            Self::CollationDiffers => "collation differs",
            Self::OrAcrossColumns => "OR across columns",
            Self::OrderDiffers => "order differs",
            Self::PredicateNotImplied => "predicate not implied",
            Self::ParameterInPredicate => "parameter in predicate",
            Self::ConditionFenced => "condition fenced",
            Self::OuterJoin => "outer join",
            Self::VolatileFunction => "volatile function",
            Self::RowSecurity => "row-level security",
            Self::SettingOff => "setting off",
            Self::AnotherIndex => "another index",
            Self::TableTooSmall => "table too small",
            Self::NotSelective => "not selective",
            Self::Scattered => "rows scattered",
            Self::CostSettings => "cost settings",
            Self::NotIndexOnly => "not index-only",
            Self::StaleStatistics => "stale statistics",
            Self::CostsMore => "costs more",
            Self::Unknown => "not considered",
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum WhyNotError {
    /// There is no such index, or more than one.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// The planner did not plan the statement.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What all parts look at.
struct Case<'a> {
    statement: &'a Statement,
    catalog: &'a Catalog,
    relation: &'a Relation,
    index: &'a Index,
    /// Names of the index and of its partitions' indexes.
    family: Vec<String>,
    plan: &'a PlanGraph,
    engine: String,
    version: u32,
}

impl<'a> Case<'a> {
    fn planned(&self) -> Planned<'a> {
        Planned::from(self.statement)
    }

    /// The nodes of a plan that use the index.
    fn nodes(&self, plan: &PlanGraph) -> Vec<NodeId> {
        plan.nodes()
            .filter(|(_, node)| {
                node.relation
                    .index
                    .as_ref()
                    .is_some_and(|name| self.family.contains(name))
            })
            .map(|(id, _)| id)
            .collect()
    }

    fn uses(&self, plan: &PlanGraph) -> bool {
        !self.nodes(plan).is_empty()
    }

    /// The first key as it is shown: a column or an expression.
    fn first_key(&self) -> &'a str {
        self.index.keys.first().map_or("", |key| key.text.as_str())
    }

    /// The first key's column, if it is one.
    fn first_column(&self) -> Option<&'a crate::catalog::Column> {
        self.relation.column(self.index.leading_column()?)
    }

    fn table_origin(&self) -> Origin {
        Origin::Catalog(self.relation.qualified())
    }

    /// The user's text of a span of the statement.
    fn text(&self, span: Span) -> &'a str {
        let base = self.statement.span.start;
        span.start
            .checked_sub(base)
            .zip(span.end.checked_sub(base))
            .and_then(|(start, end)| self.statement.text.get(start..end))
            .unwrap_or("")
    }
}

/// Why the planner does not use the index of that name, `schema.index` or
/// `index`, for a statement whose names are resolved.
pub fn why_not(
    statement: &Statement,
    name: &str,
    planner: &mut dyn Planner,
) -> Result<Answer, WhyNotError> {
    let catalog = planner.catalog()?;
    let (relation, index) = find::index(&catalog, name)?;
    let plan = planner.plan(Planned::from(statement), PlanOptions::default())?;
    let engine = planner.engine();
    let case = Case {
        statement,
        catalog: &catalog,
        relation,
        index,
        family: find::family(&catalog, relation, index),
        plan: &plan,
        engine: engine.description,
        version: engine.version_num,
    };
    let used_by = case.nodes(&plan);
    let mut answer = Answer {
        schema: relation.schema.clone(),
        index: index.name.clone(),
        table: relation.name.clone(),
        definition: index.definition.clone(),
        used_by,
        forced: None,
        causes: Vec::new(),
        plan: plan.clone(),
    };
    if !answer.used_by.is_empty() {
        return Ok(answer);
    }
    let scans = terms::scans(&case, &plan);
    if scans.is_empty() {
        answer.causes.push(not_read(&case));
        return Ok(answer);
    }
    if !index.valid {
        answer.causes.push(invalid(&case, planner)?);
        return Ok(answer);
    }
    let attempts = force::attempts(&case, planner)?;
    answer.forced.clone_from(&attempts.best);
    let matches = attempts
        .best
        .as_ref()
        .is_some_and(|forced| forced.by_first_key);
    if !matches {
        answer.causes = mismatch::causes(&case, &attempts, planner)?;
    }
    if let Some(forced) = &attempts.best
        && (matches || answer.causes.is_empty())
    {
        let cost = cost::causes(&case, forced, planner)?;
        answer.causes.extend(cost);
    }
    if answer.causes.is_empty() {
        answer.causes.push(unknown(&case, &attempts));
    }
    Ok(answer)
}

/// The plan reads nothing of the index's table.
fn not_read(case: &Case<'_>) -> Cause {
    let mut named = false;
    let mut tables = Vec::new();
    if let Some(query) = &case.statement.query {
        for reference in query
            .selects
            .iter()
            .flat_map(|select| &select.relations)
            .chain(&query.target)
        {
            if let RelationRefKind::Table { schema, name, .. } = &reference.kind {
                named |= *name == case.relation.name
                    && schema
                        .as_ref()
                        .is_none_or(|schema| *schema == case.relation.schema);
                if !tables.contains(name) {
                    tables.push(name.clone());
                }
            }
        }
    }
    let table = case.relation.display_name(case.catalog);
    let (kind, message, why) = if named {
        (
            CauseKind::TableNotInPlan,
            format!("the statement names {table}, but its plan does not read the table"),
            "The planner found that no row of it is needed: a join that changes nothing was \
             removed, partitions were pruned, or a condition is never true."
                .to_owned(),
        )
    } else {
        (
            CauseKind::TableNotRead,
            format!(
                "the index is on {table}, and the statement does not read that table{}",
                if tables.is_empty() {
                    String::new()
                } else {
                    format!(" but {}", tables.join(", "))
                }
            ),
            "An index serves its own table alone.".to_owned(),
        )
    };
    Cause {
        kind,
        span: None,
        node: None,
        message,
        why,
        evidence: vec![Evidence::new(
            "the index",
            Value::Text(case.index.definition.clone()),
            Origin::Catalog(case.index.name.clone()),
        )],
        changes: Vec::new(),
    }
}

/// The index is there, but nobody may read it.
fn invalid(case: &Case<'_>, planner: &mut dyn Planner) -> Result<Cause, PlanError> {
    let name = format!(
        "{}.{}",
        crate::catalog::ident::quote(&case.relation.schema),
        crate::catalog::ident::quote(&case.index.name)
    );
    let title = "build it again";
    let advice = format!("REINDEX INDEX CONCURRENTLY {name};");
    let change = match changes::spec_of(case.relation, case.index) {
        Some(spec) => changes::instead(
            case,
            planner,
            title,
            crate::finding::Change::Advice {
                text: advice.clone(),
            },
            &spec,
        )?,
        None => changes::by_hand(title, &advice),
    };
    Ok(Cause {
        kind: CauseKind::InvalidIndex,
        span: None,
        node: None,
        message: format!("the index {} is invalid", case.index.name),
        why: "CREATE INDEX CONCURRENTLY (or REINDEX) was interrupted or still runs; on a \
              partitioned table a partition has no such index yet. The planner leaves such an \
              index out, while writes may still maintain it."
            .to_owned(),
        evidence: vec![Evidence::new(
            "indisvalid and indisready",
            Value::Text("false".to_owned()),
            Origin::Catalog(case.index.name.clone()),
        )],
        changes: vec![change],
    })
}

/// Nothing that is known explains it.
fn unknown(case: &Case<'_>, attempts: &force::Attempts) -> Cause {
    Cause {
        kind: CauseKind::Unknown,
        span: None,
        node: None,
        message: format!(
            "the planner makes no plan with {}, and none of the known reasons was recognised",
            case.index.name
        ),
        why: "With everything else switched off it still does not appear, so that it matches no \
              condition, join or order of the statement."
            .to_owned(),
        evidence: vec![Evidence::new(
            "plans tried",
            Value::Count(attempts.tried as f64),
            Origin::Formula("the planner, with other nodes switched off"),
        )],
        changes: Vec::new(),
    }
}
