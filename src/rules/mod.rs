//! One file a rule, and nothing else: what rules share is in `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod cheaper_equivalent_query;
pub mod correlated_subplan_executed_many_times;
pub mod hash_join_many_batches;
pub mod index_only_scan_heap_fetches;
pub mod index_scan_filters_most_rows;
pub mod lossy_bitmap;
pub mod missing_index;
pub mod nested_loop_inner_seq_scan;
pub mod row_estimate_far_off;
pub mod seq_scan_behind_selective_filter;
pub mod sort_spilled_to_disk;
pub mod sort_without_index_for_limit;
pub mod stale_or_missing_statistics;
mod support;

use crate::rule::Rule;

/// Every rule, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn Rule] = &[
    &cheaper_equivalent_query::CheaperEquivalentQuery,
    &correlated_subplan_executed_many_times::CorrelatedSubplanExecutedManyTimes,
    &hash_join_many_batches::HashJoinManyBatches,
    &index_only_scan_heap_fetches::IndexOnlyScanHeapFetches,
    &index_scan_filters_most_rows::IndexScanFiltersMostRows,
    &lossy_bitmap::LossyBitmap,
    &missing_index::MissingIndex,
    &nested_loop_inner_seq_scan::NestedLoopInnerSeqScan,
    &row_estimate_far_off::RowEstimateFarOff,
    &seq_scan_behind_selective_filter::SeqScanBehindSelectiveFilter,
    &sort_spilled_to_disk::SortSpilledToDisk,
    &sort_without_index_for_limit::SortWithoutIndexForLimit,
    &stale_or_missing_statistics::StaleOrMissingStatistics,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn Rule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
