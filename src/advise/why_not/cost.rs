//! The index matches, and costs more: by how much, why, and what would turn
//! it.

use super::terms::{self, Scan};
use super::{Case, Cause, CauseKind, Change, Forced, changes};
use crate::advise::usage;
use crate::catalog::ident;
use crate::finding::{self, Applicability, Evidence, Origin, Suggestion, Value};
use crate::plan::{NodeId, NodeKind};
use crate::verify::{PlanError, Planner, Supposition};

/// From this share of the table's rows on, the share itself is the reason.
const MANY: f64 = 0.05;
/// Below this correlation rows of neighbouring keys lie far apart.
const SCATTERED: f64 = 0.5;
/// Scattered rows are a reason where they touch at least so many times the
/// pages that they would fill.
const SPREAD: f64 = 3.0;
/// Share of the rows changed since the last ANALYZE from which statistics are
/// called stale (half of what autovacuum waits for would be 5 %).
const STALE: f64 = 0.2;
/// Below this share of all-visible pages an index-only scan reads the table
/// all the same.
const VISIBLE: f64 = 0.9;
/// Halvings when looking for a `random_page_cost`.
const STEPS: usize = 7;
/// Most columns that are proposed for INCLUDE.
const INCLUDE_COLUMNS: usize = 5;

/// Settings that switch off the scans that use an index.
const SWITCHES: &[&str] = &[
    "enable_indexscan",
    "enable_indexonlyscan",
    "enable_bitmapscan",
];

/// What several reasons look at.
struct Numbers {
    /// The chosen scan of the table.
    scan: Option<Scan>,
    before: Option<f64>,
    rows: f64,
    pages: f64,
    /// Rows that the index's condition gives.
    given: Option<f64>,
    correlation: Option<f64>,
    random_page_cost: f64,
    seq_page_cost: f64,
}

/// Why the index costs more than what was chosen.
pub(super) fn causes(
    case: &Case<'_>,
    forced: &Forced,
    planner: &mut dyn Planner,
) -> Result<Vec<Cause>, PlanError> {
    let numbers = numbers(case, forced);
    let mut causes = Vec::new();
    causes.extend(switched_off(case, planner)?);
    if causes.is_empty() {
        if let Some(cause) = another(case, &numbers, planner)? {
            causes.push(cause);
        } else if let Some(cause) = small(case, &numbers) {
            causes.push(cause);
        } else {
            causes.extend(many(case, forced, &numbers));
            causes.extend(scattered(case, &numbers));
        }
        let alone = index_only(case, forced, planner)?;
        let too_small = causes
            .iter()
            .any(|cause| cause.kind == CauseKind::TableTooSmall);
        if !too_small {
            causes.extend(alone);
            causes.extend(settings(case, &numbers, planner)?);
        }
    }
    if causes.is_empty() {
        causes.push(plain(case));
    }
    causes.extend(stale(case));
    let costs = costs(case, forced, &numbers);
    if let Some(first) = causes.first_mut() {
        first.evidence.splice(0..0, costs);
    }
    Ok(causes)
}

fn number(case: &Case<'_>, setting: &str, default: f64) -> f64 {
    case.catalog
        .setting(setting)
        .and_then(|value| value.parse().ok())
        .unwrap_or(default)
}

fn numbers(case: &Case<'_>, forced: &Forced) -> Numbers {
    let scans = terms::scans(case, case.plan);
    let given = forced.index_rows.or_else(|| {
        forced
            .nodes
            .first()
            .and_then(|id| forced.plan.node(*id).estimate)
            .map(|estimate| estimate.rows)
    });
    Numbers {
        scan: scans.into_iter().next(),
        before: case.plan.total_cost(),
        rows: case.relation.rows(),
        pages: case.relation.pages,
        given: given.filter(|_| forced.by_first_key),
        correlation: case
            .first_column()
            .and_then(|column| column.stats.as_ref())
            .and_then(|stats| stats.correlation),
        random_page_cost: number(case, "random_page_cost", 4.0),
        seq_page_cost: number(case, "seq_page_cost", 1.0),
    }
}

impl Numbers {
    /// The share of the table's rows that the index's condition gives.
    fn share(&self) -> Option<f64> {
        self.given
            .filter(|_| self.rows > 0.0)
            .map(|given| (given / self.rows).min(1.0))
    }

    /// Pages that so many rows touch when they lie anywhere: Mackert and
    /// Lohman's formula for a table that fits the cache.
    fn pages_scattered(&self) -> Option<f64> {
        let given = self.given?;
        (self.pages > 0.0)
            .then(|| (2.0 * self.pages * given / (2.0 * self.pages + given)).min(self.pages))
    }

    /// Pages that they fill when they lie together.
    fn pages_together(&self) -> Option<f64> {
        Some((self.share()? * self.pages).ceil().max(1.0))
    }
}

/// The costs of both plans, for the first reason.
fn costs(case: &Case<'_>, forced: &Forced, numbers: &Numbers) -> Vec<Evidence> {
    let mut evidence = Vec::new();
    if let Some(before) = numbers.before {
        evidence.push(Evidence::new(
            "cost of the plan as chosen",
            Value::Cost(before),
            Origin::Plan(case.plan.root),
        ));
    }
    if let Some(cost) = forced.cost {
        evidence.push(Evidence::new(
            format!("cost with {}", case.index.name),
            Value::Cost(cost),
            Origin::Formula("the planner, with other scans switched off"),
        ));
        if let Some(before) = numbers.before
            && before > 0.0
        {
            evidence.push(Evidence::new(
                "times as much",
                Value::Factor(cost / before),
                Origin::Formula("one cost over the other"),
            ));
        }
    }
    evidence
}

/// The user's settings forbid the scans.
fn switched_off(case: &Case<'_>, planner: &mut dyn Planner) -> Result<Option<Cause>, PlanError> {
    let off: Vec<&str> = SWITCHES
        .iter()
        .copied()
        .filter(|name| case.catalog.setting(name) == Some("off"))
        .collect();
    if off.is_empty() {
        return Ok(None);
    }
    let values: Vec<(&str, &str)> = off.iter().map(|name| (*name, "on")).collect();
    let change = changes::settings(case, planner, "switch it on", &values)?;
    if change.used != Some(true) {
        return Ok(None);
    }
    Ok(Some(Cause {
        kind: CauseKind::SettingOff,
        span: None,
        node: None,
        message: format!("{} is off", off.join(" and ")),
        why: "The setting makes the planner avoid the very nodes that would read the index. It \
              is meant for experiments, and holds for the session, the role, the database or \
              the whole server, wherever it was set."
            .to_owned(),
        evidence: off
            .iter()
            .map(|name| {
                Evidence::new(
                    *name,
                    Value::Text("off".to_owned()),
                    Origin::Catalog("pg_settings".to_owned()),
                )
            })
            .collect(),
        changes: vec![change],
    }))
}

/// The planner's picture of the table is old, or there is none.
fn stale(case: &Case<'_>) -> Option<Cause> {
    let relation = case.relation;
    let name = relation.qualified();
    let change = || {
        let mut suggestion = Suggestion::untested(
            "gather statistics",
            finding::Change::Analyze {
                sql: format!("ANALYZE {name}"),
                relation: (relation.schema.clone(), relation.name.clone()),
            },
            Applicability::SameResults,
        );
        suggestion.verdict = finding::Verdict::Untested {
            why: "what ANALYZE would find is not known before".to_owned(),
        };
        Change {
            suggestion,
            used: None,
        }
    };
    let never = relation.tuples.is_none()
        || (relation.pages > 0.0 && relation.columns.iter().all(|column| column.stats.is_none()));
    let unreadable = case
        .catalog
        .limits
        .iter()
        .any(|limit| limit.contains(&name));
    if never && !unreadable {
        return Some(Cause {
            kind: CauseKind::StaleStatistics,
            span: None,
            node: None,
            message: format!("{} was never analysed", relation.display_name(case.catalog)),
            why: "Without statistics the planner takes default shares for every condition, and \
                  the rows from the table's size."
                .to_owned(),
            evidence: vec![Evidence::new(
                "pages of the table",
                Value::Blocks(relation.pages),
                case.table_origin(),
            )],
            changes: vec![change()],
        });
    }
    let activity = relation.activity.as_ref()?;
    let rows = relation.rows().max(activity.live_rows).max(1.0);
    let share = activity.modified_since_analyze / rows;
    if share < STALE {
        return None;
    }
    Some(Cause {
        kind: CauseKind::StaleStatistics,
        span: None,
        node: None,
        message: format!(
            "the statistics of {} are old",
            relation.display_name(case.catalog)
        ),
        why: "The planner reckons with the values that were there when the table was last \
              analysed."
            .to_owned(),
        evidence: vec![
            Evidence::new(
                "rows changed since the last ANALYZE",
                Value::Rows(activity.modified_since_analyze),
                Origin::Statistics(name.clone()),
            ),
            Evidence::new(
                "as a share of the rows",
                Value::Share(share.min(1.0)),
                Origin::Statistics(name.clone()),
            ),
        ],
        changes: vec![change()],
    })
}

/// The chosen plan reads the table by another index.
fn another(
    case: &Case<'_>,
    numbers: &Numbers,
    planner: &mut dyn Planner,
) -> Result<Option<Cause>, PlanError> {
    let Some(scan) = &numbers.scan else {
        return Ok(None);
    };
    let Some((node, other)) = case
        .plan
        .subtree(scan.node)
        .into_iter()
        .find_map(|id| Some((id, case.plan.node(id).relation.index.clone()?)))
    else {
        return Ok(None);
    };
    let top = case.plan.node(scan.node);
    let limited = case
        .plan
        .ancestors(scan.node)
        .any(|id| case.plan.node(id).kind == NodeKind::Limit);
    let sorted = case
        .plan
        .nodes()
        .any(|(_, node)| matches!(node.kind, NodeKind::Sort | NodeKind::IncrementalSort));
    let mut list = Vec::new();
    let hidden = Supposition::Sql(format!(
        "DROP INDEX {}.{}",
        ident::quote(&case.relation.schema),
        ident::quote(&other)
    ));
    if let Ok(mut what_if) = planner.what_if(&[case.planned()], &[hidden])
        && let Some(Ok(plan)) = what_if.plans.pop()
    {
        let mut change = changes::by_hand(
            format!("without {other} the planner would take"),
            if case.uses(&plan) {
                format!("{} in its place", case.index.name)
            } else {
                format!("another way, and not {} either", case.index.name)
            },
        );
        change.used = Some(case.uses(&plan));
        change.suggestion.verdict = changes::supposed(
            case,
            planner,
            &plan,
            vec!["told for comparison only: dropping it is no advice".to_owned()],
        )?;
        list.push(change);
    }
    let why = if limited && !sorted && top.kind != NodeKind::BitmapHeapScan {
        format!(
            "{other} gives the rows in the order asked for, so that reading stops at the LIMIT; \
             with {} all rows that pass would have to be found and sorted first.",
            case.index.name
        )
    } else {
        format!(
            "{other} leads to the wanted rows at less cost: it gives fewer of them, is smaller, \
             or answers without the table."
        )
    };
    let mut evidence = Vec::new();
    if let Some(estimate) = top.estimate {
        evidence.push(Evidence::new(
            format!("cost of {}", top.label()),
            Value::Cost(estimate.total_cost),
            Origin::Plan(scan.node),
        ));
    }
    Ok(Some(Cause {
        kind: CauseKind::AnotherIndex,
        span: None,
        node: Some(node),
        message: format!("the index {other} is cheaper"),
        why,
        evidence,
        changes: list,
    }))
}

/// The whole table costs little more than one row by an index.
fn small(case: &Case<'_>, numbers: &Numbers) -> Option<Cause> {
    let scan = numbers.scan.as_ref()?;
    let node = case.plan.node(scan.node);
    let cost = node.estimate?.total_cost;
    // One page of the index and one of the table.
    let least = 2.0 * numbers.random_page_cost;
    if node.kind != NodeKind::SeqScan || cost > 2.0 * least {
        return None;
    }
    Some(Cause {
        kind: CauseKind::TableTooSmall,
        span: None,
        node: Some(scan.node),
        message: format!(
            "{} is so small that all of it is read at about the cost of one row by an index",
            case.relation.display_name(case.catalog)
        ),
        why: "An index is read page by page at random, and then the table too; a few pages in a \
              row are cheaper. Nothing is to be done: once the table has grown, the planner \
              takes the index by itself."
            .to_owned(),
        evidence: vec![
            Evidence::new(
                "pages of the table",
                Value::Blocks(numbers.pages),
                case.table_origin(),
            ),
            Evidence::new("rows", Value::Rows(numbers.rows), case.table_origin()),
            Evidence::new(
                "cost of reading all of it",
                Value::Cost(cost),
                Origin::Plan(scan.node),
            ),
            Evidence::new(
                "least cost of one row by an index",
                Value::Cost(least),
                Origin::Formula("two pages at random_page_cost"),
            ),
        ],
        changes: Vec::new(),
    })
}

/// The condition lets many rows pass.
fn many(case: &Case<'_>, forced: &Forced, numbers: &Numbers) -> Option<Cause> {
    let share = numbers.share()?;
    if share < MANY {
        return None;
    }
    let given = numbers.given?;
    let from = forced.nodes.first().map_or_else(
        || case.table_origin(),
        |_| Origin::Formula("the planner's estimate of the index condition"),
    );
    let mut evidence = vec![
        Evidence::new("rows that its condition gives", Value::Rows(given), from),
        Evidence::new(
            "rows of the table",
            Value::Rows(numbers.rows),
            case.table_origin(),
        ),
        Evidence::new(
            "share",
            Value::Share(share),
            Origin::Formula("rows given over rows of the table"),
        ),
    ];
    if let (Some(cost), Some(before)) = (forced.cost, numbers.before)
        && cost > before
        && before > 0.0
    {
        evidence.push(Evidence::new(
            "it would pay below about",
            Value::Rows((given * before / cost).floor().max(1.0)),
            Origin::Formula("costs in proportion to rows"),
        ));
    }
    evidence.extend(pages(case, numbers));
    Some(Cause {
        kind: CauseKind::NotSelective,
        span: None,
        node: numbers.scan.as_ref().map(|scan| scan.node),
        message: format!(
            "the condition on {} lets {} of 100 rows pass",
            case.first_key(),
            hundredths(share)
        ),
        why: "Each row by an index costs a visit to its page, in no order; from some share of \
              the rows on, reading all pages in a row is cheaper, and quicker too."
            .to_owned(),
        evidence,
        changes: Vec::new(),
    })
}

/// `5.2`, `31`.
fn hundredths(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 10.0 {
        format!("{percent:.1}")
    } else {
        format!("{percent:.0}")
    }
}

/// Table pages between rows that lie together and rows that lie anywhere.
fn pages(case: &Case<'_>, numbers: &Numbers) -> Vec<Evidence> {
    let mut evidence = vec![Evidence::new(
        "pages of the table",
        Value::Blocks(numbers.pages),
        case.table_origin(),
    )];
    if let (Some(together), Some(scattered)) = (numbers.pages_together(), numbers.pages_scattered())
    {
        evidence.push(Evidence::new(
            "pages with these rows, if they lie together",
            Value::Blocks(together),
            Origin::Formula("their share of the pages"),
        ));
        evidence.push(Evidence::new(
            "pages with these rows, if they lie anywhere",
            Value::Blocks(scattered.ceil()),
            Origin::Formula("Mackert and Lohman's, as in index_pages_fetched"),
        ));
    }
    if let Some(correlation) = numbers.correlation {
        evidence.push(Evidence::new(
            format!("correlation of {} with the rows' place", case.first_key()),
            Value::Count(correlation),
            Origin::Statistics(format!("{}.{}", case.relation.name, case.first_key())),
        ));
    }
    evidence
}

/// The rows of neighbouring keys lie far apart.
fn scattered(case: &Case<'_>, numbers: &Numbers) -> Option<Cause> {
    let correlation = numbers.correlation?;
    let (together, scattered) = (numbers.pages_together()?, numbers.pages_scattered()?);
    if correlation.abs() >= SCATTERED || scattered < together * SPREAD {
        return None;
    }
    let name = ident::quote(&case.index.name);
    Some(Cause {
        kind: CauseKind::Scattered,
        span: None,
        node: numbers.scan.as_ref().map(|scan| scan.node),
        message: format!(
            "rows with neighbouring {} lie scattered over the table",
            case.first_key()
        ),
        why: "The planner expects nearly every row that the index gives on another page. Were \
              the table in the index's order, they would lie on few."
            .to_owned(),
        evidence: pages(case, numbers),
        changes: vec![changes::by_hand(
            "bring the table into the index's order, where it is read that way most",
            format!(
                "CLUSTER {} USING {name} rewrites the table under an ACCESS EXCLUSIVE lock, and \
                 rows that are written later are put anywhere again; an index that holds all \
                 columns that are read needs no table",
                case.relation.qualified()
            ),
        )],
    })
}

/// What the index would have to hold for the table not to be read.
fn index_only(
    case: &Case<'_>,
    forced: &Forced,
    planner: &mut dyn Planner,
) -> Result<Option<Cause>, PlanError> {
    if case.index.method != "btree" || !forced.by_first_key {
        return Ok(None);
    }
    let Some(query) = &case.statement.query else {
        return Ok(None);
    };
    let usages = usage::usages(
        query,
        &case.statement.text,
        case.statement.span.start,
        case.catalog,
    );
    let Some(read) = usages
        .iter()
        .filter(|usage| {
            usage.relation.schema == case.relation.schema
                && usage.relation.name == case.relation.name
        })
        .find_map(|usage| usage.read.as_ref())
    else {
        return Ok(None);
    };
    let held: Vec<&str> = case
        .index
        .keys
        .iter()
        .filter_map(|key| key.column.as_deref())
        .chain(case.index.include.iter().map(String::as_str))
        .collect();
    let missing: Vec<&str> = read
        .iter()
        .map(String::as_str)
        .filter(|name| !held.contains(name))
        .collect();
    let visible = if case.relation.pages > 0.0 {
        (case.relation.all_visible_pages / case.relation.pages).min(1.0)
    } else {
        1.0
    };
    let all_visible = Evidence::new(
        "pages whose rows are visible to all",
        Value::Share(visible),
        case.table_origin(),
    );
    if missing.is_empty() {
        if visible >= VISIBLE {
            return Ok(None);
        }
        let mut change = changes::by_hand(
            "vacuum the table",
            format!(
                "VACUUM {}; marks pages whose rows everybody may see, so that the index alone \
                 answers",
                case.relation.qualified()
            ),
        );
        change.suggestion.verdict = finding::Verdict::Untested {
            why: "which pages VACUUM could mark is not known before".to_owned(),
        };
        return Ok(Some(Cause {
            kind: CauseKind::NotIndexOnly,
            span: None,
            node: None,
            message: "the index holds all columns that are read, but the table must be asked \
                      whether its rows are visible"
                .to_owned(),
            why: "An index does not know which transactions may see a row. Only for pages that \
                  VACUUM has marked all-visible need the table not be read."
                .to_owned(),
            evidence: vec![all_visible],
            changes: vec![change],
        }));
    }
    if missing.len() > INCLUDE_COLUMNS {
        return Ok(None);
    }
    let Some(mut spec) = changes::spec_of(case.relation, case.index) else {
        return Ok(None);
    };
    spec.include
        .extend(missing.iter().map(|name| (*name).to_owned()));
    let change = changes::create(
        case,
        planner,
        format!("include {} in the index", missing.join(", ")),
        &spec,
    )?;
    // Told only where it would help, or where nobody could try.
    if change.used == Some(false) {
        return Ok(None);
    }
    Ok(Some(Cause {
        kind: CauseKind::NotIndexOnly,
        span: None,
        node: None,
        message: format!(
            "the index does not hold {}, so that the table must be read for every row",
            missing.join(", ")
        ),
        why: "An index that holds all columns that are read answers alone, in its own order, \
              with no visits to the table."
            .to_owned(),
        evidence: vec![
            Evidence::new(
                "columns read that it lacks",
                Value::Text(missing.join(", ")),
                Origin::Catalog(case.index.name.clone()),
            ),
            all_visible,
        ],
        changes: vec![change],
    }))
}

/// Whether, and at which `random_page_cost`, the planner would take it.
fn settings(
    case: &Case<'_>,
    numbers: &Numbers,
    planner: &mut dyn Planner,
) -> Result<Option<Cause>, PlanError> {
    let (least, now) = (numbers.seq_page_cost, numbers.random_page_cost);
    if now <= least {
        return Ok(None);
    }
    let used_at = |planner: &mut dyn Planner, cost: f64| {
        let text = rounded(cost);
        changes::plan_of(planner.plan_with(case.planned(), &[("random_page_cost", text.as_str())]))
            .map(|plan| plan.is_some_and(|plan| case.uses(&plan)))
    };
    if !used_at(planner, least)? {
        return Ok(None);
    }
    let (mut low, mut high) = (least, now);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if used_at(planner, middle)? {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Down to what reads well and was tried.
    let mut at = (low * 10.0).floor() / 10.0;
    if at < least || !used_at(planner, at)? {
        at = low;
    }
    let value = rounded(at);
    let change = changes::settings(
        case,
        planner,
        format!(
            "set random_page_cost to {value} or less, if the storage reads at random that cheaply"
        ),
        &[("random_page_cost", value.as_str())],
    )?;
    Ok(Some(Cause {
        kind: CauseKind::CostSettings,
        span: None,
        node: None,
        message: format!("with random_page_cost at {value} or less the planner takes the index"),
        why: "The setting says how much dearer a page at random is than the next one in a row. \
              Its default of 4 is meant for rotating disks with much of the data cached; on \
              solid-state storage, or where all is cached, 1.1 to 2 is nearer to the truth. It \
              concerns every statement, so that it is measured, not guessed for one."
            .to_owned(),
        evidence: vec![
            Evidence::new(
                "random_page_cost now",
                Value::Count(now),
                Origin::Catalog("pg_settings".to_owned()),
            ),
            Evidence::new(
                "random_page_cost at which it is used",
                Value::Count(at),
                Origin::Formula("bisection, the planner asked at each step"),
            ),
            Evidence::new(
                "seq_page_cost",
                Value::Count(least),
                Origin::Catalog("pg_settings".to_owned()),
            ),
        ],
        changes: vec![change],
    }))
}

/// Two digits behind the point at most.
fn rounded(cost: f64) -> String {
    let text = format!("{cost:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Dearer, and nothing stands out.
fn plain(case: &Case<'_>) -> Cause {
    let label = |id: NodeId| case.plan.node(id).label();
    let scan = terms::scans(case, case.plan).into_iter().next();
    Cause {
        kind: CauseKind::CostsMore,
        span: None,
        node: scan.as_ref().map(|scan| scan.node),
        message: format!(
            "a plan with {} costs more than {}",
            case.index.name,
            scan.map_or_else(|| "the plan chosen".to_owned(), |scan| label(scan.node))
        ),
        why: "It matches the statement, and the planner takes what it thinks cheapest.".to_owned(),
        evidence: vec![Evidence::new(
            "pages of the index",
            Value::Blocks(case.index.pages),
            Origin::Catalog(case.index.name.clone()),
        )],
        changes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(pages: f64, rows: f64, given: f64) -> Numbers {
        Numbers {
            scan: None,
            before: None,
            rows,
            pages,
            given: Some(given),
            correlation: None,
            random_page_cost: 4.0,
            seq_page_cost: 1.0,
        }
    }

    #[test]
    fn scattered_rows_touch_more_pages_and_never_more_than_there_are() {
        let few = numbers(1_000.0, 100_000.0, 100.0);
        assert_eq!(few.pages_together(), Some(1.0));
        let scattered = few.pages_scattered().unwrap();
        assert!((90.0..100.0).contains(&scattered), "{scattered}");
        let all = numbers(1_000.0, 100_000.0, 100_000.0);
        assert_eq!(all.pages_scattered(), Some(1_000.0));
        assert_eq!(all.pages_together(), Some(1_000.0));
    }

    #[test]
    fn settings_read_well() {
        assert_eq!(rounded(1.0), "1");
        assert_eq!(rounded(2.3), "2.3");
        assert_eq!(rounded(1.456_78), "1.457");
    }
}
