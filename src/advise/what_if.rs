//! What a change that the user thinks of does to the plans of the user's
//! statements: all of them planned with it, and compared with the plans
//! without.

use std::collections::BTreeMap;

use super::indexes::has_column;
use crate::catalog::Catalog;
use crate::plan::PlanGraph;
use crate::plan::compare::{Comparison, compare};
use crate::sql::Statement;
use crate::verify::compare::{indexes_used, plan_change};
use crate::verify::{
    ChangeOutcome, Engine, PlanError, Planned, Planner, SupposedChange, SupposedIndex, Supposition,
};

/// What became of a change and of the statements' plans.
#[derive(Debug)]
pub struct Tried {
    /// The planner that supposed it.
    pub engine: Engine,
    /// What became of each of its statements.
    pub changes: Vec<SupposedChange>,
    /// The plans of each statement that was asked about, in order; `None`
    /// where there is no plan without the change either.
    pub statements: Vec<Option<Compared>>,
    /// Tables that get more indexes than they have, or fewer.
    pub writes: Vec<Writes>,
    /// Statements, by their position, that the planner that tries the change
    /// cannot plan without it either, and why.
    pub unplanned: Vec<(usize, String)>,
}

/// One statement's plans.
#[derive(Debug)]
pub struct Compared {
    /// Without the change.
    pub before: PlanGraph,
    /// With it, or why there is none.
    pub after: Result<After, PlanError>,
}

/// A plan with the change.
#[derive(Debug)]
pub struct After {
    /// The plan.
    pub plan: PlanGraph,
    /// Node by node.
    pub comparison: Comparison,
    /// What changed, in words; `None` where no node did.
    pub change: Option<String>,
    /// Indexes that it reads, and the plan before does not.
    pub newly_used: Vec<String>,
    /// Indexes that the plan before reads, and it does not.
    pub no_longer_used: Vec<String>,
}

/// What a change of indexes means to those who write to the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writes {
    /// Schema and name.
    pub table: (String, String),
    /// Indexes without the change.
    pub before: usize,
    /// Indexes with it.
    pub after: usize,
    /// Columns that no index had before and one has now: an UPDATE that sets
    /// one of them can no longer be a HOT update.
    pub no_longer_hot: Vec<String>,
}

/// The costs of all statements that have a plan both before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Total {
    /// How many.
    pub statements: usize,
    /// The sum without the change.
    pub before: f64,
    /// The sum with it.
    pub after: f64,
}

impl Tried {
    /// The costs of all statements, each counted once.
    pub fn total(&self) -> Total {
        let mut total = Total::default();
        for compared in self.statements.iter().flatten() {
            let after = compared
                .after
                .as_ref()
                .ok()
                .and_then(|after| after.plan.total_cost());
            if let (Some(before), Some(after)) = (compared.before.total_cost(), after) {
                total.statements += 1;
                total.before += before;
                total.after += after;
            }
        }
        total
    }

    /// How many of the plans with the change read that index.
    pub fn used_by(&self, index: &SupposedIndex) -> usize {
        self.statements
            .iter()
            .flatten()
            .filter_map(|compared| compared.after.as_ref().ok())
            .filter(|after| {
                indexes_used(&after.plan)
                    .iter()
                    .any(|name| index.is_named(name))
            })
            .count()
    }
}

/// Plans the statements with the change and without. `change` is one SQL
/// statement each; a `None` among the statements is passed over.
pub fn what_if(
    change: &[String],
    statements: &[Option<&Statement>],
    planner: &mut dyn Planner,
) -> Result<Tried, PlanError> {
    let catalog = planner.catalog()?;
    let planned: Vec<Planned<'_>> = statements
        .iter()
        .flatten()
        .map(|statement| Planned::from(*statement))
        .collect();
    let suppositions: Vec<Supposition> = change
        .iter()
        .map(|sql| Supposition::Sql(sql.clone()))
        .collect();
    let tried = planner.try_change(&planned, &suppositions)?;
    let mut plans = tried.before.into_iter().zip(tried.after.plans);
    let mut unplanned = Vec::new();
    let statements = statements
        .iter()
        .enumerate()
        .map(|(at, statement)| {
            (*statement)?;
            match plans.next()? {
                (Ok(before), plan) => {
                    let after = plan.map(|plan| after(&before, plan));
                    Some(Compared { before, after })
                }
                (Err(error), _) => {
                    unplanned.push((at, error.to_string()));
                    None
                }
            }
        })
        .collect();
    let mut changes = tried.after.changes;
    for change in &mut changes {
        if change.outcome == ChangeOutcome::Applied {
            change.notes.extend(costs(&change.sql));
        }
    }
    Ok(Tried {
        engine: tried.engine,
        writes: writes(&changes, &catalog),
        changes,
        statements,
        unplanned,
    })
}

/// Settings in which costs are counted.
const UNITS: &[&str] = &[
    "seq_page_cost",
    "random_page_cost",
    "cpu_tuple_cost",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "parallel_setup_cost",
    "parallel_tuple_cost",
];

/// What to know of costs where a statement changes what they are counted in.
fn costs(sql: &str) -> Option<String> {
    let text = sql.to_ascii_lowercase();
    let units: Vec<&str> = UNITS
        .iter()
        .copied()
        .filter(|name| text.contains(name))
        .collect();
    if !units.is_empty() {
        return Some(format!(
            "costs are counted in {}: compare the plans before and after, not their costs",
            units.join(" and ")
        ));
    }
    text.contains("enable_").then(|| {
        "what is switched off is still taken where nothing else is possible; before version 18 \
         its cost is then 10,000,000,000 higher"
            .to_owned()
    })
}

fn after(before: &PlanGraph, plan: PlanGraph) -> After {
    let (old, new) = (indexes_used(before), indexes_used(&plan));
    let without = |names: &[String], others: &[String]| -> Vec<String> {
        names
            .iter()
            .filter(|name| !others.contains(name))
            .cloned()
            .collect()
    };
    After {
        comparison: compare(before, &plan),
        change: plan_change(before, &plan),
        newly_used: without(&new, &old),
        no_longer_used: without(&old, &new),
        plan,
    }
}

/// What the changes together mean to those who write, table by table.
fn writes(changes: &[SupposedChange], catalog: &Catalog) -> Vec<Writes> {
    let mut tables: BTreeMap<(String, String), (usize, usize, Vec<String>)> = BTreeMap::new();
    for change in changes {
        if change.outcome != ChangeOutcome::Applied {
            continue;
        }
        for table in &change.tables {
            let entry = tables
                .entry((table.schema.clone(), table.name.clone()))
                .or_default();
            entry.0 += table.made.len();
            entry.1 += table.dropped.len();
            entry.2.extend(table.columns.iter().cloned());
        }
    }
    tables
        .into_iter()
        .filter_map(|(table, (made, dropped, columns))| {
            // A table that the change makes itself has no writers yet.
            let known = catalog
                .relations
                .iter()
                .find(|known| known.schema == table.0 && known.name == table.1)?;
            let before = known.indexes.len();
            let mut no_longer_hot: Vec<String> = columns
                .into_iter()
                .filter(|column| known.columns.iter().any(|known| known.name == *column))
                .filter(|column| !known.indexes.iter().any(|index| has_column(index, column)))
                .collect();
            no_longer_hot.sort();
            no_longer_hot.dedup();
            let after = (before + made).saturating_sub(dropped);
            (before != after || !no_longer_hot.is_empty()).then_some(Writes {
                table,
                before,
                after,
                no_longer_hot,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_in_other_units_are_not_compared() {
        let said = costs("SET Random_Page_Cost = 1.1").unwrap();
        assert!(said.contains("random_page_cost"), "{said}");
        assert!(costs("SET enable_seqscan = off").is_some());
        assert_eq!(costs("SET work_mem = '1GB'"), None);
    }
}
