//! Locks that are told once a change: of a file where each is a change of its
//! own, of all new files where they are one.

use std::collections::BTreeSet;

use crate::migration::At;
use crate::migration::locks::Effect;
use crate::migration::state::Qualified;
use crate::rule::migration::{End, FileEnd, MigrationSink};
use crate::source::Span;

use super::walk;

/// A table that a statement locks.
pub(crate) struct Found<'a> {
    pub(crate) at: At,
    pub(crate) span: Span,
    pub(crate) effect: &'a Effect,
    /// What would set a timeout there.
    pub(crate) sql: &'static str,
}

/// Takes what a file locked; the set is for tables that were found before.
pub(crate) type Collect = for<'a> fn(
    &FileEnd<'a>,
    &[(At, Span, &'a Vec<Effect>)],
    &mut Vec<Found<'a>>,
    &mut BTreeSet<&'a Qualified>,
);

/// Reports what was found in a change.
pub(crate) type Report = fn(&[Found<'_>], &mut MigrationSink);

/// Of a file, where each is a change of its own.
pub(crate) fn file(end: &FileEnd<'_>, sink: &mut MigrationSink, collect: Collect, report: Report) {
    if !end.context.one_change {
        let mut found = Vec::new();
        collect(end, &walk::locked(end), &mut found, &mut BTreeSet::new());
        report(&found, sink);
    }
}

/// Of all new files, where they are one change.
pub(crate) fn end(end: &End<'_>, sink: &mut MigrationSink, collect: Collect, report: Report) {
    if end.context.one_change {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        walk::each_file(end, |file, locked| {
            collect(file, locked, &mut found, &mut seen);
        });
        report(&found, sink);
    }
}
