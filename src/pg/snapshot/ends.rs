//! The smallest and the largest value of indexes' leading keys, which the
//! planner looks up in the index when a query asks beyond the histogram.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use super::meta::only_index_scans;
use super::statistics::kind;
use super::{Reader, get};
use crate::catalog::ident::quote;
use crate::pg::error::Error;

/// How many ends are looked up in one statement.
const AT_ONCE: usize = 40;

/// How long one statement may take: an index end full of dead rows can take
/// long, and is not worth it.
const LIMIT: Duration = Duration::from_secs(2);

/// The same for one index by itself.
const LIMIT_OF_ONE: Duration = Duration::from_millis(200);

/// How long looking up one by one may take in all.
const BUDGET: Duration = Duration::from_secs(5);

/// Values longer than this are left out: histograms have shorter ones.
const LONGEST: usize = 4096;

/// A leading key, and the indexes that begin with it.
#[derive(Debug)]
struct End {
    sql: String,
    indexes: Vec<u32>,
}

impl Reader<'_> {
    pub(super) fn read_index_ends(&mut self) -> Result<(), Error> {
        let ends = self.leading_keys();
        let started = Instant::now();
        let mut failed = 0;
        for (at, part) in ends.chunks(AT_ONCE).enumerate() {
            if ends.len() > AT_ONCE {
                (self.progress)("ends of indexes", at * AT_ONCE, ends.len());
            }
            let part: Vec<&End> = part.iter().collect();
            if self.look_up_ends(&part, LIMIT)? {
                continue;
            }
            for end in part {
                if started.elapsed() > BUDGET || !self.look_up_ends(&[end], LIMIT_OF_ONE)? {
                    failed += end.indexes.len();
                }
            }
        }
        if failed > 0 {
            self.limit(format!(
                "The smallest and largest values of {failed} {} could not be read.",
                if failed == 1 { "index" } else { "indexes" }
            ));
        }
        Ok(())
    }

    /// Leading keys whose ends the planner would look up: columns with a
    /// histogram, in the order of their type.
    fn leading_keys(&self) -> Vec<End> {
        let mut ends: BTreeMap<(u32, String), End> = BTreeMap::new();
        for (oid, facts) in &self.btrees {
            let Some(key) = facts.keys.first() else {
                continue;
            };
            let readable = self
                .tables
                .get(&facts.table)
                .is_some_and(|table| table.selectable && !table.locked);
            if !readable || !facts.usable || facts.predicate.is_some() || !key.default_opclass {
                continue;
            }
            let Some(relation) = self
                .places
                .get(&facts.table)
                .and_then(|at| self.snapshot.relations.get(*at))
            else {
                continue;
            };
            let has_histogram = usize::try_from(key.column)
                .ok()
                .and_then(|number| relation.columns.get(number.checked_sub(1)?))
                .is_some_and(|column| {
                    column
                        .statistics
                        .iter()
                        .flat_map(|statistics| &statistics.slots)
                        .any(|slot| slot.kind == kind::HISTOGRAM)
                });
            if !has_histogram {
                continue;
            }
            let end = |operator: &str| {
                // The cast stands outside: within, ORDER BY would take its
                // output, which has the column's name, and sort texts.
                format!(
                    "(SELECT e.v::text FROM (SELECT {0} AS v FROM ONLY {1}.{2} \
                       WHERE ({0}) IS NOT NULL ORDER BY {0} USING {operator} LIMIT 1) AS e)",
                    key.expression,
                    quote(&relation.schema),
                    quote(&relation.name),
                )
            };
            ends.entry((facts.table, key.expression.clone()))
                .or_insert_with(|| End {
                    sql: format!("{}, {}", end(&key.ascending), end(&key.descending)),
                    indexes: Vec::new(),
                })
                .indexes
                .push(*oid);
        }
        ends.into_values().collect()
    }

    /// Whether it worked. Locks are let go afterwards.
    fn look_up_ends(&mut self, ends: &[&End], limit: Duration) -> Result<bool, Error> {
        let texts: Vec<&str> = ends.iter().map(|end| end.sql.as_str()).collect();
        let sql = format!("SELECT {}", texts.join(", "));
        let limit = limit
            .min(self.session.limits().statement)
            .as_millis()
            .to_string();
        let rows = self.session.undone(|session| {
            only_index_scans(session)?;
            session.query(
                "SELECT pg_catalog.set_config('statement_timeout', $1, true)",
                &[(&limit, Type::TEXT)],
            )?;
            session.query(&sql, &[])
        });
        let rows = match rows {
            Ok(rows) => rows,
            Err(Error::Refused(_) | Error::PermissionDenied { .. } | Error::TimedOut { .. }) => {
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let Some(row) = rows.first() else {
            return Ok(false);
        };
        for (at, end) in ends.iter().enumerate() {
            let low: Option<String> = get(row, at * 2)?;
            let high: Option<String> = get(row, at * 2 + 1)?;
            if let (Some(low), Some(high)) = (low, high)
                && low.len().max(high.len()) <= LONGEST
            {
                for oid in &end.indexes {
                    if let Some(index) = self.index(*oid) {
                        index.ends = Some((low.clone(), high.clone()));
                    }
                }
            }
        }
        Ok(true)
    }
}
