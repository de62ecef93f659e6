//! One file a rule, and nothing else: what rules share is in `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod missing_index;

use crate::rule::Rule;

/// Every rule, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn Rule] = &[
    &missing_index::MissingIndex,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn Rule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
