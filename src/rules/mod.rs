//! One file a rule, and nothing else: what rules share is in `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod cheaper_equivalent_query;
pub mod condition_always_false;
pub mod correlated_subplan_executed_many_times;
pub mod count_of_whole_table;
pub mod cte_fence;
pub mod cte_scanned_many_times;
pub mod deep_offset;
pub mod distinct_removes_nothing;
pub mod expensive_sort;
pub mod explain_timing_overhead;
pub mod filter_on_expression;
pub mod foreign_scan_filters_locally;
pub mod function_on_indexed_column;
pub mod gather_passes_many_rows;
pub mod generic_plan;
pub mod hash_aggregate_spilled;
pub mod hash_built_on_larger_side;
pub mod hash_join_many_batches;
pub mod index_only_scan_heap_fetches;
pub mod index_scan_filters_most_rows;
pub mod index_searched_many_times;
pub mod jit_takes_long;
pub mod join_filter_removes_most_rows;
pub mod join_without_condition;
pub mod large_scan_not_parallel;
pub mod leading_wildcard;
pub mod locks_many_rows;
pub mod lossy_bitmap;
pub mod materialize_rescanned_many_times;
pub mod memoize_rarely_hits;
pub mod merge_join_sorts_its_input;
pub mod migration;
pub mod missing_index;
pub mod nested_loop_inner_seq_scan;
pub mod not_in_nullable_subquery;
pub mod output_takes_long;
pub mod partitions_not_pruned;
pub mod plan_depends_on_parameter;
pub mod planner_method_switched_off;
pub mod planning_longer_than_execution;
pub mod planning_takes_much_memory;
pub mod recursion_rescans_table;
pub mod result_in_temporary_files;
pub mod row_estimate_far_off;
pub mod rows_scattered_over_pages;
pub mod seq_scan_behind_selective_filter;
pub mod seq_scan_joined_to_few_rows;
pub mod sort_spilled_to_disk;
pub mod sort_without_index_for_limit;
pub mod stale_or_missing_statistics;
pub mod subquery_filter_not_pushed_down;
pub(crate) mod support;
pub mod time_spent_reading;
pub mod triggers_take_long;
pub mod uneven_workers;
pub mod wal_mostly_full_pages;
pub mod wide_rows_carried;
pub mod workers_not_launched;

use crate::rule::Rule;

/// Every rule, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn Rule] = &[
    &cheaper_equivalent_query::CheaperEquivalentQuery,
    &condition_always_false::ConditionAlwaysFalse,
    &correlated_subplan_executed_many_times::CorrelatedSubplanExecutedManyTimes,
    &count_of_whole_table::CountOfWholeTable,
    &cte_fence::CteFence,
    &cte_scanned_many_times::CteScannedManyTimes,
    &deep_offset::DeepOffset,
    &distinct_removes_nothing::DistinctRemovesNothing,
    &expensive_sort::ExpensiveSort,
    &explain_timing_overhead::ExplainTimingOverhead,
    &filter_on_expression::FilterOnExpression,
    &foreign_scan_filters_locally::ForeignScanFiltersLocally,
    &function_on_indexed_column::FunctionOnIndexedColumn,
    &gather_passes_many_rows::GatherPassesManyRows,
    &generic_plan::GenericPlan,
    &hash_aggregate_spilled::HashAggregateSpilled,
    &hash_built_on_larger_side::HashBuiltOnLargerSide,
    &hash_join_many_batches::HashJoinManyBatches,
    &index_only_scan_heap_fetches::IndexOnlyScanHeapFetches,
    &index_scan_filters_most_rows::IndexScanFiltersMostRows,
    &index_searched_many_times::IndexSearchedManyTimes,
    &jit_takes_long::JitTakesLong,
    &join_filter_removes_most_rows::JoinFilterRemovesMostRows,
    &join_without_condition::JoinWithoutCondition,
    &large_scan_not_parallel::LargeScanNotParallel,
    &leading_wildcard::LeadingWildcard,
    &locks_many_rows::LocksManyRows,
    &lossy_bitmap::LossyBitmap,
    &materialize_rescanned_many_times::MaterializeRescannedManyTimes,
    &memoize_rarely_hits::MemoizeRarelyHits,
    &merge_join_sorts_its_input::MergeJoinSortsItsInput,
    &missing_index::MissingIndex,
    &nested_loop_inner_seq_scan::NestedLoopInnerSeqScan,
    &not_in_nullable_subquery::NotInNullableSubquery,
    &output_takes_long::OutputTakesLong,
    &partitions_not_pruned::PartitionsNotPruned,
    &plan_depends_on_parameter::PlanDependsOnParameter,
    &planner_method_switched_off::PlannerMethodSwitchedOff,
    &planning_longer_than_execution::PlanningLongerThanExecution,
    &planning_takes_much_memory::PlanningTakesMuchMemory,
    &recursion_rescans_table::RecursionRescansTable,
    &result_in_temporary_files::ResultInTemporaryFiles,
    &row_estimate_far_off::RowEstimateFarOff,
    &rows_scattered_over_pages::RowsScatteredOverPages,
    &seq_scan_behind_selective_filter::SeqScanBehindSelectiveFilter,
    &seq_scan_joined_to_few_rows::SeqScanJoinedToFewRows,
    &sort_spilled_to_disk::SortSpilledToDisk,
    &sort_without_index_for_limit::SortWithoutIndexForLimit,
    &stale_or_missing_statistics::StaleOrMissingStatistics,
    &subquery_filter_not_pushed_down::SubqueryFilterNotPushedDown,
    &time_spent_reading::TimeSpentReading,
    &triggers_take_long::TriggersTakeLong,
    &uneven_workers::UnevenWorkers,
    &wal_mostly_full_pages::WalMostlyFullPages,
    &wide_rows_carried::WideRowsCarried,
    &workers_not_launched::WorkersNotLaunched,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn Rule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
