//! What only the snapshot knows, laid over the twin's catalogue.

use crate::catalog::{Activity, Catalog};
use crate::snapshot::{self, Snapshot};

/// Adds activity, scans, limits and versions to the twin's catalogue. Sizes,
/// rows and statistics are the twin's own, which are the snapshot's.
pub(super) fn overlay(catalog: &mut Catalog, snapshot: &Snapshot) {
    // What is suggested has to run both here, where it is tried, and there.
    catalog.version_num = catalog.version_num.min(snapshot.origin.version_num);
    catalog.limits.extend(snapshot.limits.iter().cloned());
    let taken = snapshot.origin.taken_at.as_deref().and_then(seconds);
    for relation in &mut catalog.relations {
        let Some(known) = snapshot.relation(&relation.schema, &relation.name) else {
            continue;
        };
        relation.activity = known
            .activity
            .as_ref()
            .map(|activity| counters(activity, taken));
        for index in &mut relation.indexes {
            index.scans = known
                .indexes
                .iter()
                .find(|other| other.name == index.name)
                .and_then(|other| other.scans)
                .map(|scans| scans as f64);
        }
    }
    // The names of the snapshot's own schema of helpers are nobody's.
    catalog
        .relations
        .retain(|relation| relation.schema != crate::pg::twin::PRIVILEGED_SCHEMA);
}

fn counters(activity: &snapshot::Activity, taken: Option<f64>) -> Activity {
    let analyzed = activity.analyzed_at.as_deref().and_then(seconds);
    Activity {
        live_rows: activity.live_rows as f64,
        dead_rows: activity.dead_rows as f64,
        modified_since_analyze: activity.modified_since_analyze as f64,
        seconds_since_analyze: match (taken, analyzed) {
            (Some(taken), Some(analyzed)) => Some((taken - analyzed).max(0.0)),
            _ => None,
        },
        inserted: activity.inserted as f64,
        updated: activity.updated as f64,
        deleted: activity.deleted as f64,
        hot_updated: activity.hot_updated as f64,
    }
}

/// Seconds since 1970 of a time as RFC 3339 writes it.
fn seconds(text: &str) -> Option<f64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let mut clock = clock.split(':').map(str::parse::<f64>);
    let (hour, minute) = (clock.next()?.ok()?, clock.next()?.ok()?);
    let second = clock.next().transpose().ok()?.unwrap_or(0.0);
    let offset = match zone.chars().next() {
        Some(sign @ ('+' | '-')) => {
            let mut parts = zone.trim_start_matches(['+', '-']).split(':');
            let hours: f64 = parts.next()?.parse().ok()?;
            let minutes: f64 = parts.next().unwrap_or("0").parse().ok()?;
            (hours * 3600.0 + minutes * 60.0) * if sign == '-' { -1.0 } else { 1.0 }
        }
        _ => 0.0,
    };
    // Days from the civil date, with years that begin in March.
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    Some(days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_zone() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(seconds("2000-03-01T00:00:01Z"), Some(951_868_801.0));
        assert_eq!(
            seconds("2026-11-21T13:00:00.5+01:00"),
            seconds("2026-11-21T12:00:00.5Z")
        );
        assert_eq!(seconds("yesterday"), None);
    }
}
