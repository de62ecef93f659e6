//! One file a rule, and nothing else: what rules share is in `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod index_scan_filters_most_rows;
pub mod nested_loop_inner_seq_scan;
pub mod seq_scan_behind_selective_filter;
mod support;

use crate::rule::Rule;

/// Every rule, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn Rule] = &[
    &index_scan_filters_most_rows::IndexScanFiltersMostRows,
    &nested_loop_inner_seq_scan::NestedLoopInnerSeqScan,
    &seq_scan_behind_selective_filter::SeqScanBehindSelectiveFilter,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn Rule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
