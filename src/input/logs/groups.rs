//! Records by query: numbers of all, the text of a few. What is held is bounded,
//! whatever the logs hold.

use std::collections::HashMap;

use super::sketch::Sketch;
use crate::plan::log::Wrap;
use crate::plan::read::Format;

/// What is held at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Different queries. When there are a quarter more, those that took least
    /// time are forgotten.
    pub groups: usize,
    /// Bytes of records that are kept whole.
    pub kept_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            groups: 10_000,
            kept_bytes: 96 << 20,
        }
    }
}

/// Bytes of a query's normalized text that are kept.
const MOST_QUERY: usize = 16 << 10;
/// Shapes of one query that are told apart.
const MOST_SHAPES: usize = 16;
/// Shapes of one query of which a record is kept.
const MOST_KEPT: usize = 4;
/// Databases, users or applications of one query that are told apart.
const MOST_PARTS: usize = 16;
/// Bytes of a name that are kept.
const MOST_NAME: usize = 256;

/// One record, with what was made of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    pub(super) fingerprint: u64,
    pub(super) shape: u64,
    pub(super) ms: f64,
    pub(super) body: &'a [u8],
    pub(super) wrap: Wrap,
    pub(super) format: Option<Format>,
    pub(super) complete: bool,
    pub(super) at: usize,
    pub(super) time: Option<&'a [u8]>,
    pub(super) user: Option<&'a [u8]>,
    pub(super) database: Option<&'a [u8]>,
    pub(super) application: Option<&'a [u8]>,
}

/// A record that is kept whole.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) ms: f64,
    pub(super) complete: bool,
    pub(super) body: Vec<u8>,
    pub(super) wrap: Wrap,
    pub(super) file: usize,
    /// Its line in the file, from 1.
    pub(super) line: u64,
}

/// The records with one shape of plan.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    hash: u64,
    pub(super) calls: u64,
    pub(super) total_ms: f64,
    pub(super) max_ms: f64,
    pub(super) kept: Option<Kept>,
}

/// The records of one database, user or application.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) name: Vec<u8>,
    pub(super) calls: u64,
    pub(super) total_ms: f64,
}

/// All that is known of one query.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) fingerprint: u64,
    pub(super) query: Vec<u8>,
    pub(super) calls: u64,
    pub(super) total_ms: f64,
    pub(super) min_ms: f64,
    pub(super) max_ms: f64,
    pub(super) sketch: Sketch,
    pub(super) first: Option<Vec<u8>>,
    pub(super) last: Option<Vec<u8>>,
    pub(super) databases: Vec<Part>,
    pub(super) users: Vec<Part>,
    pub(super) applications: Vec<Part>,
    pub(super) shapes: Vec<Shape>,
    pub(super) more_shapes: bool,
}

/// What was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Evicted {
    pub(super) groups: u64,
    pub(super) records: u64,
    pub(super) ms: f64,
}

/// All queries so far.
#[derive(Debug, Default)]
pub(super) struct Groups {
    limits: Limits,
    at: HashMap<u64, usize>,
    all: Vec<Group>,
    kept_bytes: usize,
    pub(super) evicted: Evicted,
    pub(super) records: u64,
    pub(super) total_ms: f64,
    pub(super) first: Option<Vec<u8>>,
    pub(super) last: Option<Vec<u8>>,
}

impl Groups {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Adds a record. `query` gives the normalized text of one that is new,
    /// `line` its line in the file.
    pub(super) fn add(
        &mut self,
        event: &Event<'_>,
        file: usize,
        query: impl FnOnce() -> Vec<u8>,
        line: impl FnOnce() -> u64,
    ) {
        self.records += 1;
        self.total_ms += event.ms;
        seen(&mut self.first, &mut self.last, event.time);
        let at = if let Some(at) = self.at.get(&event.fingerprint) {
            *at
        } else {
            let at = self.all.len();
            self.at.insert(event.fingerprint, at);
            let mut query = query();
            query.truncate(MOST_QUERY);
            query.shrink_to_fit();
            self.all.push(Group {
                fingerprint: event.fingerprint,
                query,
                calls: 0,
                total_ms: 0.0,
                min_ms: f64::INFINITY,
                max_ms: 0.0,
                sketch: Sketch::default(),
                first: None,
                last: None,
                databases: Vec::new(),
                users: Vec::new(),
                applications: Vec::new(),
                shapes: Vec::new(),
                more_shapes: false,
            });
            at
        };
        let Some(group) = self.all.get_mut(at) else {
            return;
        };
        group.calls += 1;
        group.total_ms += event.ms;
        group.min_ms = group.min_ms.min(event.ms);
        group.max_ms = group.max_ms.max(event.ms);
        group.sketch.add(event.ms);
        seen(&mut group.first, &mut group.last, event.time);
        count(&mut group.databases, event.database, event.ms);
        count(&mut group.users, event.user, event.ms);
        count(&mut group.applications, event.application, event.ms);
        self.kept_bytes = group.shape(event, file, line, self.kept_bytes);
        if self.kept_bytes > self.limits.kept_bytes {
            self.drop_kept();
        }
        if self.all.len() > self.limits.groups + self.limits.groups / 4 {
            self.evict();
        }
    }

    /// Lets go of records of the queries that took least time, until a quarter of
    /// the room is free.
    fn drop_kept(&mut self) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by(|a, b| worse(self.all.get(*b), self.all.get(*a)));
        let enough = self.limits.kept_bytes / 4 * 3;
        for at in order {
            if self.kept_bytes <= enough {
                break;
            }
            for shape in self
                .all
                .get_mut(at)
                .into_iter()
                .flat_map(|group| &mut group.shapes)
            {
                if let Some(kept) = shape.kept.take() {
                    self.kept_bytes = self.kept_bytes.saturating_sub(kept.body.len());
                }
            }
        }
    }

    /// Forgets the queries that took least time.
    fn evict(&mut self) {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by(|a, b| worse(self.all.get(*a), self.all.get(*b)));
        let mut keep = vec![false; self.all.len()];
        for at in order.into_iter().take(self.limits.groups) {
            if let Some(keep) = keep.get_mut(at) {
                *keep = true;
            }
        }
        let mut keep = keep.into_iter();
        let (evicted, kept_bytes) = (&mut self.evicted, &mut self.kept_bytes);
        self.all.retain(|group| {
            let stays = keep.next().unwrap_or(true);
            if !stays {
                evicted.groups += 1;
                evicted.records += group.calls;
                evicted.ms += group.total_ms;
                for kept in group.shapes.iter().filter_map(|shape| shape.kept.as_ref()) {
                    *kept_bytes = kept_bytes.saturating_sub(kept.body.len());
                }
            }
            stays
        });
        self.at = self
            .all
            .iter()
            .enumerate()
            .map(|(at, group)| (group.fingerprint, at))
            .collect();
    }

    /// How many different queries are known.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The queries that took most time, the worst first.
    pub(super) fn worst(mut self, most: usize) -> Vec<Group> {
        self.all.sort_by(|a, b| worse(Some(a), Some(b)));
        self.all.truncate(most);
        for group in &mut self.all {
            for parts in [
                &mut group.databases,
                &mut group.users,
                &mut group.applications,
            ] {
                parts.sort_by(|a, b| {
                    b.total_ms
                        .total_cmp(&a.total_ms)
                        .then_with(|| a.name.cmp(&b.name))
                });
            }
            group
                .shapes
                .sort_by(|a, b| b.total_ms.total_cmp(&a.total_ms).then(a.hash.cmp(&b.hash)));
        }
        self.all
    }
}

/// More time in all first, then by the fingerprint.
fn worse(a: Option<&Group>, b: Option<&Group>) -> std::cmp::Ordering {
    let key =
        |group: Option<&Group>| group.map_or((0.0, 0), |group| (group.total_ms, group.fingerprint));
    let ((a_ms, a_print), (b_ms, b_print)) = (key(a), key(b));
    b_ms.total_cmp(&a_ms).then(a_print.cmp(&b_print))
}

impl Group {
    /// Counts the record's shape, and keeps the slowest of each. The bytes kept
    /// by all are given and returned.
    fn shape(
        &mut self,
        event: &Event<'_>,
        file: usize,
        line: impl FnOnce() -> u64,
        kept_bytes: usize,
    ) -> usize {
        let found = self
            .shapes
            .iter()
            .position(|shape| shape.hash == event.shape);
        let at = match found {
            Some(at) => at,
            None if self.shapes.len() == MOST_SHAPES || !event.complete => {
                // A plan that was cut off has a shape of its own, which says
                // nothing.
                self.more_shapes |= event.complete;
                if self.shapes.is_empty() {
                    self.shapes.push(Shape::new(event.shape));
                    0
                } else {
                    return kept_bytes;
                }
            }
            None => {
                self.shapes.push(Shape::new(event.shape));
                self.shapes.len() - 1
            }
        };
        let Some(shape) = self.shapes.get_mut(at) else {
            return kept_bytes;
        };
        shape.calls += 1;
        shape.total_ms += event.ms;
        shape.max_ms = shape.max_ms.max(event.ms);
        // A whole record is better than a slow one.
        let better = shape
            .kept
            .as_ref()
            .is_none_or(|kept| (event.complete, event.ms) > (kept.complete, kept.ms));
        if at >= MOST_KEPT || event.format.is_none() || !better {
            return kept_bytes;
        }
        let mut body = shape.kept.take().map(|kept| kept.body).unwrap_or_default();
        let before = body.len();
        body.clear();
        body.extend_from_slice(event.body);
        if body.capacity() > 2 * body.len() {
            body.shrink_to_fit();
        }
        let kept_bytes = kept_bytes - before.min(kept_bytes) + body.len();
        shape.kept = Some(Kept {
            ms: event.ms,
            complete: event.complete,
            body,
            wrap: event.wrap,
            file,
            line: line(),
        });
        kept_bytes
    }
}

impl Shape {
    fn new(hash: u64) -> Self {
        Self {
            hash,
            calls: 0,
            total_ms: 0.0,
            max_ms: 0.0,
            kept: None,
        }
    }
}

/// The first and the last time stamp. Their texts are in the order of time where
/// all are of one zone.
fn seen(first: &mut Option<Vec<u8>>, last: &mut Option<Vec<u8>>, time: Option<&[u8]>) {
    let Some(time) = time else { return };
    let time = time.get(..MOST_NAME).unwrap_or(time);
    if first.as_deref().is_none_or(|first| time < first) {
        *first = Some(time.to_vec());
    }
    match last {
        Some(last) if time > last.as_slice() => {
            last.clear();
            last.extend_from_slice(time);
        }
        Some(_) => {}
        None => *last = Some(time.to_vec()),
    }
}

fn count(parts: &mut Vec<Part>, name: Option<&[u8]>, ms: f64) {
    let Some(name) = name else { return };
    let name = name.get(..MOST_NAME).unwrap_or(name);
    if let Some(part) = parts.iter_mut().find(|part| part.name == name) {
        part.calls += 1;
        part.total_ms += ms;
    } else if parts.len() < MOST_PARTS {
        parts.push(Part {
            name: name.to_vec(),
            calls: 1,
            total_ms: ms,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fingerprint: u64, ms: f64, body: &[u8]) -> Event<'_> {
        Event {
            fingerprint,
            shape: 1,
            ms,
            body,
            wrap: Wrap::Tabs,
            format: Some(Format::Text),
            complete: true,
            at: 0,
            time: None,
            user: None,
            database: None,
            application: None,
        }
    }

    fn add(groups: &mut Groups, event: &Event<'_>) {
        groups.add(event, 0, || vec![b'x'; 100], || 1);
    }

    /// A log of a million different queries must not need the memory of a
    /// million; what takes time is not forgotten for it.
    #[test]
    fn the_number_of_groups_is_bounded_and_the_worst_stay() {
        let mut groups = Groups::new(Limits {
            groups: 100,
            kept_bytes: 10_000,
        });
        for at in 0..10_000_u64 {
            add(&mut groups, &event(at + 10, 0.5, &[b'p'; 300]));
            add(&mut groups, &event(at % 5, 1.0, &[b'p'; 300]));
            assert!(groups.all.len() <= 125);
            assert!(groups.at.len() == groups.all.len());
            let bytes: usize = groups
                .all
                .iter()
                .flat_map(|group| &group.shapes)
                .filter_map(|shape| Some(shape.kept.as_ref()?.body.len()))
                .sum();
            assert_eq!(bytes, groups.kept_bytes);
            assert!(bytes <= 10_000);
        }
        let evicted = groups.evicted;
        assert_eq!(groups.records, 20_000);
        assert_eq!(
            evicted.records + groups.all.iter().map(|group| group.calls).sum::<u64>(),
            20_000
        );
        let worst = groups.worst(5);
        let found: Vec<(u64, u64)> = worst
            .iter()
            .map(|group| (group.fingerprint, group.calls))
            .collect();
        assert_eq!(
            found,
            [(0, 2000), (1, 2000), (2, 2000), (3, 2000), (4, 2000)]
        );
        assert!(worst.iter().all(|group| group.shapes[0].kept.is_some()));
    }

    #[test]
    fn a_whole_record_is_kept_rather_than_a_slow_one() {
        let mut groups = Groups::new(Limits::default());
        add(&mut groups, &event(1, 5.0, b"five"));
        add(
            &mut groups,
            &Event {
                complete: false,
                ..event(1, 50.0, b"cut")
            },
        );
        add(&mut groups, &event(1, 7.0, b"seven"));
        add(&mut groups, &event(1, 6.0, b"six"));
        let worst = groups.worst(1);
        let kept = worst[0].shapes[0].kept.as_ref().expect("a record");
        assert_eq!((kept.body.as_slice(), kept.ms), (b"seven".as_slice(), 7.0));
        assert_eq!((worst[0].max_ms, worst[0].calls), (50.0, 4));
    }

    #[test]
    fn shapes_and_names_are_bounded_too() {
        let mut groups = Groups::new(Limits::default());
        for at in 0..100_u64 {
            let name = at.to_string();
            let event = Event {
                shape: at,
                user: Some(name.as_bytes()),
                ..event(1, 1.0, b"plan")
            };
            add(&mut groups, &event);
        }
        let worst = groups.worst(1);
        assert_eq!(worst[0].shapes.len(), MOST_SHAPES);
        assert!(worst[0].more_shapes);
        assert_eq!(worst[0].users.len(), MOST_PARTS);
    }
}
