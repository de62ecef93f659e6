//! Choosing indexes for one statement: every candidate is tried on a planner,
//! and only what it uses, and what lowers the cost by a stated margin, stays.
//!
//! The search: suppose all candidates at once and keep those that the plan
//! uses; leave out each in turn, and drop it when the cost hardly rises; then
//! try each narrower, covering and partial form. A what-if costs one planner
//! call, so a statement takes about ten.

use super::candidates::{self, Candidate};
use super::usage;
use crate::catalog::size::{SizedIndex, SizedKey, index_size};
use crate::catalog::{Catalog, Index, Relation};
use crate::finding::{
    Applicability, Change, Comparison, IndexSpec, SideEffect, Suggestion, Verdict,
};
use crate::plan::PlanGraph;
use crate::sql::Statement;
use crate::verify::compare::{indexes_used, plan_change};
use crate::verify::elsewhere::Elsewhere;
use crate::verify::{PlanError, Planned, Planner, SupposedIndex, Supposition};

/// A statement cheaper than this, in planner cost units, is left alone: it
/// reads some dozens of pages.
const CHEAP: f64 = 100.0;
/// Fewer cost units saved than this are not worth an index.
const LEAST_SAVING: f64 = 50.0;
/// An index of a set stays when leaving it out costs at least this share of
/// the statement's cost without any.
const KEEP: f64 = 0.05;
/// A narrower index may cost this much more than the wider one.
const NARROWER: f64 = 1.05;
/// A covering index must cut the cost to this share, for what it adds to
/// writes.
const COVERING: f64 = 0.6;
/// An index that gives more than this share of its table's rows is hardly
/// quicker than reading the table, whatever the cost says of cached pages.
const MOST_ROWS: f64 = 0.1;
/// Unless the rows lie together: the share for columns whose correlation with
/// the rows' position is at least [`TOGETHER`].
const MOST_ROWS_TOGETHER: f64 = 0.35;
/// See [`MOST_ROWS_TOGETHER`].
const TOGETHER: f64 = 0.9;
/// Below this saving in cost units the cost must fall to a half at least.
const SMALL_SAVING: f64 = 1_000.0;
/// BRIN is preferred when it costs at most this factor of the B-tree's plan.
const BRIN: f64 = 1.2;

/// Where a size comes from that no planner gave.
const ESTIMATED: &str = "estimated from statistics";

/// A chosen set of indexes with its proof.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The indexes, each with what it serves.
    pub indexes: Vec<Chosen>,
    /// Cost without them.
    pub before: f64,
    /// Cost with all of them.
    pub after: f64,
    /// The plan with all of them.
    pub plan: PlanGraph,
    /// The plan without them, where another planner supposed them than the one
    /// that plans the statement; both costs are then of that planner.
    pub elsewhere: Option<Elsewhere>,
}

/// One index of a choice.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The index.
    pub spec: IndexSpec,
    /// What it serves.
    pub serves: String,
    /// Size, from the planner or from statistics.
    pub size: Option<(f64, String)>,
    /// An index that it makes redundant.
    pub widens: Option<String>,
    /// Cost of the plan with the rest of the set but without this one.
    pub without: f64,
}

struct Tried {
    specs: Vec<IndexSpec>,
    plan: PlanGraph,
    cost: f64,
    built: Vec<SupposedIndex>,
}

/// What the search came to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The indexes that help; `None` when none does.
    pub choice: Option<Choice>,
    /// The tables, as (schema, name), with comparisons that an index could
    /// serve: where none was chosen, the planner has judged that none helps.
    pub judged: Vec<(String, String)>,
}

/// Finds the indexes that help this statement, or none.
///
/// `min_gain` is the least share of the cost that the set must save, 0 to 1.
pub fn choose(
    statement: &Statement,
    before: &PlanGraph,
    catalog: &Catalog,
    planner: &mut dyn Planner,
    min_gain: f64,
) -> Result<Outcome, PlanError> {
    let Some(query) = &statement.query else {
        return Ok(Outcome::default());
    };
    let usages = usage::usages(query, &statement.text, statement.span.start, catalog);
    let judged = usages
        .iter()
        .filter(|usage| usage.indexable())
        .map(|usage| (usage.relation.schema.clone(), usage.relation.name.clone()))
        .collect();
    let all = candidates::candidates(&usages, catalog);
    let choice = among(all, statement, before, catalog, planner, min_gain)?;
    Ok(Outcome { choice, judged })
}

/// Chooses among given candidates those that help the statement, whose plan is
/// `before` without them.
pub fn among(
    all: Vec<Candidate>,
    statement: &Statement,
    before: &PlanGraph,
    catalog: &Catalog,
    planner: &mut dyn Planner,
    min_gain: f64,
) -> Result<Option<Choice>, PlanError> {
    let cost = before.total_cost().unwrap_or(0.0);
    if all.is_empty() || cost < CHEAP {
        return Ok(None);
    }
    let elsewhere = Elsewhere::of(planner, Planned::from(statement), before)?;
    let cost = elsewhere
        .as_ref()
        .and_then(|there| there.plan.total_cost())
        .unwrap_or(cost);
    let mut search = Search {
        planned: Planned::from(statement),
        planner,
        catalog,
    };
    let (brin, others): (Vec<Candidate>, Vec<Candidate>) =
        all.into_iter().partition(|candidate| candidate.brin);
    let enough = |tried: &Tried| {
        let saving = cost - tried.cost;
        saving >= LEAST_SAVING
            && tried.cost <= cost * (1.0 - min_gain)
            && (saving >= SMALL_SAVING || tried.cost <= cost * 0.5)
    };

    let mut best: Option<(Tried, Vec<Candidate>)> = None;
    if !others.is_empty() {
        let first = search.used_of(&others)?;
        if let Some((tried, kept)) = first
            && enough(&tried)
        {
            let (tried, kept) = search.drop_idle(tried, kept, cost)?;
            let (tried, kept) = search.refine(tried, kept)?;
            best = Some((tried, kept));
        }
    }
    for candidate in brin {
        let specs = vec![candidate.spec.clone()];
        let tried = search.attempt(&specs)?;
        if !enough(&tried)
            || !indexes_used(&tried.plan)
                .iter()
                .any(|name| uses(&tried, name))
        {
            continue;
        }
        let takes_over = best.as_ref().is_none_or(|(other, kept)| {
            kept.len() == 1
                && kept
                    .iter()
                    .all(|other| other.spec.table == candidate.spec.table)
                && tried.cost <= other.cost * BRIN
        });
        if takes_over {
            best = Some((tried, vec![candidate]));
        }
    }
    let Some((tried, kept)) = best else {
        return Ok(None);
    };
    if !enough(&tried) {
        return Ok(None);
    }
    let mut indexes = Vec::new();
    for (at, (spec, candidate)) in tried.specs.iter().zip(&kept).enumerate() {
        let without = if tried.specs.len() == 1 {
            cost
        } else {
            let mut rest = tried.specs.clone();
            rest.remove(at);
            search.attempt(&rest)?.cost
        };
        indexes.push(Chosen {
            spec: spec.clone(),
            serves: candidate.serves.clone(),
            size: tried
                .built
                .get(at)
                .and_then(|built| built.bytes.map(|bytes| (bytes, built.how.to_owned())))
                .or_else(|| estimated(catalog, spec).map(|bytes| (bytes, ESTIMATED.to_owned()))),
            widens: candidate.widens.clone(),
            without,
        });
    }
    Ok(Some(Choice {
        indexes,
        before: cost,
        after: tried.cost,
        plan: tried.plan,
        elsewhere,
    }))
}

fn uses(tried: &Tried, name: &str) -> bool {
    tried.built.iter().any(|built| built.name == name)
}

struct Search<'a> {
    planned: Planned<'a>,
    planner: &'a mut dyn Planner,
    catalog: &'a Catalog,
}

/// Whether the plan reads few enough rows by that index for it to be worth
/// having.
fn reads_few(plan: &PlanGraph, name: &str, candidate: &Candidate, catalog: &Catalog) -> bool {
    if candidate.ordered {
        return true;
    }
    let spec = &candidate.spec;
    let Some(relation) = catalog.relation(Some(&spec.schema), &spec.table) else {
        return true;
    };
    let rows = relation.rows();
    let most = plan
        .nodes()
        .filter(|(_, node)| node.relation.index.as_deref() == Some(name))
        .filter_map(|(_, node)| node.estimate.map(|estimate| estimate.rows))
        .fold(0.0, f64::max);
    let together = spec
        .keys
        .first()
        .filter(|key| !key.is_expression)
        .and_then(|key| relation.column(&key.text))
        .and_then(|column| column.stats.as_ref())
        .and_then(|stats| stats.correlation)
        .is_some_and(|correlation| correlation.abs() >= TOGETHER);
    let limit = if together {
        MOST_ROWS_TOGETHER
    } else {
        MOST_ROWS
    };
    rows <= 0.0 || most <= rows * limit
}

impl Search<'_> {
    fn attempt(&mut self, specs: &[IndexSpec]) -> Result<Tried, PlanError> {
        let suppositions: Vec<Supposition> =
            specs.iter().cloned().map(Supposition::Index).collect();
        let mut what_if = self.planner.what_if(&[self.planned], &suppositions)?;
        let mut plan = what_if.plans.pop().unwrap_or_else(|| {
            Err(PlanError::Unsupported {
                what: "the planner gave no plan".to_owned(),
            })
        })?;
        // Plans name a supposed index after its number, and a partitioned one
        // after its parts; from here on it has the name that it will have.
        for node in plan.graph.node_weights_mut() {
            if let Some(name) = &mut node.relation.index
                && let Some((_, spec)) = what_if
                    .indexes
                    .iter()
                    .zip(specs)
                    .find(|(built, _)| built.is_named(name))
            {
                name.clone_from(&spec.name);
            }
        }
        for (built, spec) in what_if.indexes.iter_mut().zip(specs) {
            built.name.clone_from(&spec.name);
        }
        let cost = plan.total_cost().unwrap_or(f64::INFINITY);
        Ok(Tried {
            specs: specs.to_vec(),
            plan,
            cost,
            built: what_if.indexes,
        })
    }

    /// Supposes all and keeps those that the plan uses. What one table's plan
    /// uses hides what the next best would be, so nothing is lost by taking
    /// the planner's word.
    fn used_of(&mut self, all: &[Candidate]) -> Result<Option<(Tried, Vec<Candidate>)>, PlanError> {
        let specs: Vec<IndexSpec> = all.iter().map(|candidate| candidate.spec.clone()).collect();
        let tried = self.attempt(&specs)?;
        let names = indexes_used(&tried.plan);
        let kept: Vec<Candidate> = all
            .iter()
            .zip(&tried.built)
            .filter(|(candidate, built)| {
                built.refused.is_none()
                    && names.contains(&built.name)
                    && reads_few(&tried.plan, &built.name, candidate, self.catalog)
            })
            .map(|(candidate, _)| candidate.clone())
            .collect();
        if kept.is_empty() {
            return Ok(None);
        }
        if kept.len() == all.len() {
            return Ok(Some((tried, kept)));
        }
        let specs: Vec<IndexSpec> = kept
            .iter()
            .map(|candidate| candidate.spec.clone())
            .collect();
        Ok(Some((self.attempt(&specs)?, kept)))
    }

    /// Leaves out, one at a time, the index whose absence costs least, as long
    /// as it costs next to nothing.
    fn drop_idle(
        &mut self,
        mut tried: Tried,
        mut kept: Vec<Candidate>,
        before: f64,
    ) -> Result<(Tried, Vec<Candidate>), PlanError> {
        while kept.len() > 1 {
            let mut least: Option<(usize, Tried)> = None;
            for at in 0..kept.len() {
                let mut specs = tried.specs.clone();
                specs.remove(at);
                let without = self.attempt(&specs)?;
                if least
                    .as_ref()
                    .is_none_or(|(_, other)| without.cost < other.cost)
                {
                    least = Some((at, without));
                }
            }
            match least {
                Some((at, without))
                    if without.cost - tried.cost < LEAST_SAVING.max(before * KEEP) =>
                {
                    kept.remove(at);
                    tried = without;
                }
                _ => break,
            }
        }
        Ok((tried, kept))
    }

    /// Tries narrower, partial and covering forms of each index.
    fn refine(
        &mut self,
        mut tried: Tried,
        kept: Vec<Candidate>,
    ) -> Result<(Tried, Vec<Candidate>), PlanError> {
        for (at, candidate) in kept.iter().enumerate() {
            let mut narrowed = false;
            // An order that a LIMIT stops early is kept even where today's
            // few rows would be as quick to sort: it is what keeps the
            // statement quick when they are many.
            while !candidate.ordered
                && let Some(spec) = tried.specs.get(at).and_then(candidates::narrower)
            {
                let attempt = self.replaced(&tried, at, spec)?;
                if attempt.cost > tried.cost * NARROWER || !used(&attempt, at) {
                    break;
                }
                tried = attempt;
                narrowed = true;
            }
            if narrowed {
                continue;
            }
            if let Some(spec) = candidates::partial(candidate) {
                let attempt = self.replaced(&tried, at, spec)?;
                let bytes = |tried: &Tried| tried.built.get(at).and_then(|built| built.bytes);
                let smaller = match (bytes(&attempt), bytes(&tried)) {
                    (Some(new), Some(old)) => new <= old * 0.5,
                    _ => true,
                };
                if smaller && attempt.cost <= tried.cost * NARROWER && used(&attempt, at) {
                    tried = attempt;
                    continue;
                }
            }
            if let Some(spec) = candidates::covering(candidate) {
                let attempt = self.replaced(&tried, at, spec)?;
                if attempt.cost <= tried.cost * COVERING
                    && tried.cost - attempt.cost >= LEAST_SAVING
                    && used(&attempt, at)
                {
                    tried = attempt;
                }
            }
        }
        Ok((tried, kept))
    }

    fn replaced(&mut self, tried: &Tried, at: usize, spec: IndexSpec) -> Result<Tried, PlanError> {
        let mut specs = tried.specs.clone();
        if let Some(place) = specs.get_mut(at) {
            *place = spec;
        }
        self.attempt(&specs)
    }
}

fn used(tried: &Tried, at: usize) -> bool {
    tried.built.get(at).is_some_and(|built| {
        built.refused.is_none() && indexes_used(&tried.plan).contains(&built.name)
    })
}

/// Size of a B-tree from statistics; `None` for other methods.
pub fn estimated(catalog: &Catalog, spec: &IndexSpec) -> Option<f64> {
    if spec.method != "btree" || spec.predicate.is_some() {
        return None;
    }
    let relation = catalog.relation(Some(&spec.schema), &spec.table)?;
    let index = SizedIndex {
        method: &spec.method,
        keys: spec
            .keys
            .iter()
            .map(|key| SizedKey {
                column: (!key.is_expression).then_some(key.text.as_str()),
                expression: &key.text,
                stats: None,
                not_null: false,
                opclass: key.opclass.as_deref().unwrap_or_default(),
            })
            .collect(),
        include: spec.include.iter().map(String::as_str).collect(),
        unique: false,
        selectivity: 1.0,
        options: Vec::new(),
    };
    Some(index_size(relation, &index, relation.rows()).bytes)
}

/// The suggestion to build a candidate that no planner could be asked about.
pub fn untried(candidate: &Candidate, catalog: &Catalog, why: &str) -> Suggestion {
    let spec = &candidate.spec;
    let relation = catalog.relation(Some(&spec.schema), &spec.table);
    let chosen = Chosen {
        spec: spec.clone(),
        serves: candidate.serves.clone(),
        size: estimated(catalog, spec).map(|bytes| (bytes, ESTIMATED.to_owned())),
        widens: candidate.widens.clone(),
        without: 0.0,
    };
    Suggestion {
        title: title(spec),
        side_effects: side_effects(&chosen, relation),
        change: Change::CreateIndex(spec.clone()),
        applicability: Applicability::SameResults,
        preconditions: Vec::new(),
        verdict: Verdict::Untested {
            why: why.to_owned(),
        },
    }
}

/// The suggestion to build one index of a choice.
pub fn suggestion(
    choice: &Choice,
    at: usize,
    before: &PlanGraph,
    catalog: &Catalog,
    engine: &str,
) -> Option<Suggestion> {
    let chosen = choice.indexes.get(at)?;
    let spec = &chosen.spec;
    let relation = catalog.relation(Some(&spec.schema), &spec.table);
    let mut checked = vec![format!("the planner uses it for: {}", chosen.serves)];
    if choice.indexes.len() > 1 {
        checked.push(format!(
            "planned together with {} other suggested {}; without this one the cost would be {:.0}",
            choice.indexes.len() - 1,
            if choice.indexes.len() == 2 {
                "index"
            } else {
                "indexes"
            },
            chosen.without
        ));
    }
    if let Some(there) = &choice.elsewhere {
        checked.extend(there.said.iter().cloned());
    }
    let (before, engine) = match &choice.elsewhere {
        Some(there) => (&there.plan, there.engine.as_str()),
        None => (before, engine),
    };
    Some(Suggestion {
        title: title(spec),
        side_effects: side_effects(chosen, relation),
        change: Change::CreateIndex(spec.clone()),
        applicability: Applicability::SameResults,
        preconditions: Vec::new(),
        verdict: Verdict::Better(Comparison {
            before_cost: choice.before,
            after_cost: choice.after,
            engine: engine.to_owned(),
            plan_change: plan_change(before, &choice.plan),
            checked,
            measured_ms: None,
        }),
    })
}

/// What to do, imperative.
pub(super) fn title(spec: &IndexSpec) -> String {
    let keys: Vec<String> = spec.keys.iter().map(|key| key.text.clone()).collect();
    let mut title = format!(
        "create {} index on {} ({})",
        match spec.method.as_str() {
            "btree" if spec.predicate.is_some() => "a partial".to_owned(),
            "btree" if !spec.include.is_empty() => "a covering".to_owned(),
            "btree" => "an".to_owned(),
            other => format!("a {}", other.to_uppercase()),
        },
        spec.table,
        keys.join(", ")
    );
    if !spec.include.is_empty() {
        title.push_str(&format!(" including {}", spec.include.join(", ")));
    }
    title
}

fn side_effects(chosen: &Chosen, relation: Option<&Relation>) -> Vec<SideEffect> {
    let mut effects = Vec::new();
    if let Some((bytes, how)) = &chosen.size {
        effects.push(SideEffect::Disk {
            bytes: *bytes,
            how: how.clone(),
        });
    }
    effects.push(SideEffect::Writes(writes(chosen, relation)));
    if let Some(name) = &chosen.widens {
        effects.push(SideEffect::Caller(format!(
            "the index {name} has the same first columns and would be redundant: it can be dropped \
             once nothing else needs it"
        )));
    }
    if !chosen.spec.partitions.is_empty() {
        effects.push(SideEffect::Lock(
            "built partition by partition; the parent's index is valid once every partition's is \
             attached"
                .to_owned(),
        ));
    }
    effects
}

/// What an index costs writes: one more entry for each INSERT, and for each
/// UPDATE that is not HOT; and it takes HOT away from updates of its columns.
fn writes(chosen: &Chosen, relation: Option<&Relation>) -> String {
    let count = relation.map_or(0, |relation| relation.indexes.len());
    let which = if chosen.spec.predicate.is_some() {
        "each INSERT of a row that meets the predicate"
    } else {
        "each INSERT"
    };
    let mut text = format!(
        "{which} writes {} index {} instead of {count}",
        count + 1,
        if count == 0 { "entry" } else { "entries" }
    );
    let unindexed: Vec<&str> = relation
        .map(|relation| {
            relation
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .filter(|name| depends_on(&chosen.spec, name))
                .filter(|name| !relation.indexes.iter().any(|index| has_column(index, name)))
                .collect()
        })
        .unwrap_or_default();
    if !unindexed.is_empty() && chosen.spec.method != "brin" {
        text.push_str(&format!(
            "; an UPDATE that sets {} can no longer be a HOT update",
            unindexed.join(" or ")
        ));
    }
    if let Some(activity) = relation.and_then(|relation| relation.activity.as_ref()) {
        let moves = activity.updated - activity.hot_updated;
        let total = activity.inserted + moves;
        if activity.updated > 0.0 && total > 0.0 {
            text.push_str(&format!(
                "; so far the table had {:.0} inserts and {:.0} updates that were not HOT",
                activity.inserted, moves
            ));
        }
    }
    text
}

/// Whether SQL text names the column.
fn names(text: &str, column: &str) -> bool {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .any(|word| word == column)
}

/// Whether an UPDATE of the column concerns the index: as a key, included, or
/// in an expression or predicate.
fn depends_on(spec: &IndexSpec, column: &str) -> bool {
    let in_text = |text: &str| names(text, column);
    spec.include.iter().any(|name| name == column)
        || spec.predicate.as_deref().is_some_and(in_text)
        || spec.keys.iter().any(|key| {
            if key.is_expression {
                in_text(&key.text)
            } else {
                key.text == column
            }
        })
}

/// Whether an UPDATE of the column concerns an index that is there.
pub(super) fn has_column(index: &Index, column: &str) -> bool {
    let in_text = |text: &str| names(text, column);
    index.include.iter().any(|name| name == column)
        || index.predicate.as_deref().is_some_and(in_text)
        || index.keys.iter().any(|key| match &key.column {
            Some(name) => name == column,
            None => in_text(&key.text),
        })
}
