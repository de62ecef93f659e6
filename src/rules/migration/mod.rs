//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod check_constraint_validated_at_once;
pub mod check_in_added_column;
pub mod collation_change_rebuilds_indexes;
pub mod column_default_rewrites_table;
pub mod column_type_change_rewrites;
pub mod column_type_narrowed;
pub mod concurrently_inside_transaction;
pub mod constrained_domain_column_added;
pub mod exclusion_constraint_added;
pub mod foreign_key_validated_at_once;
pub mod index_built_under_lock;
pub mod index_dropped_under_lock;
pub mod invalid_index_left_behind;
pub mod not_null_column_without_default;
pub mod not_null_set_with_scan;
pub mod primary_key_builds_index;
pub mod reference_in_added_column;
pub mod reindex_under_lock;
pub mod serial_or_identity_column_added;
pub mod stored_generated_column_added;
pub(crate) mod support;
pub mod table_dropped;
pub mod unique_constraint_builds_index;
pub mod unique_in_added_column;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &check_constraint_validated_at_once::CheckConstraintValidatedAtOnce,
    &check_in_added_column::CheckInAddedColumn,
    &collation_change_rebuilds_indexes::CollationChangeRebuildsIndexes,
    &column_default_rewrites_table::ColumnDefaultRewritesTable,
    &column_type_change_rewrites::ColumnTypeChangeRewrites,
    &column_type_narrowed::ColumnTypeNarrowed,
    &concurrently_inside_transaction::ConcurrentlyInsideTransaction,
    &constrained_domain_column_added::ConstrainedDomainColumnAdded,
    &exclusion_constraint_added::ExclusionConstraintAdded,
    &foreign_key_validated_at_once::ForeignKeyValidatedAtOnce,
    &index_built_under_lock::IndexBuiltUnderLock,
    &index_dropped_under_lock::IndexDroppedUnderLock,
    &invalid_index_left_behind::InvalidIndexLeftBehind,
    &not_null_column_without_default::NotNullColumnWithoutDefault,
    &not_null_set_with_scan::NotNullSetWithScan,
    &primary_key_builds_index::PrimaryKeyBuildsIndex,
    &reference_in_added_column::ReferenceInAddedColumn,
    &reindex_under_lock::ReindexUnderLock,
    &serial_or_identity_column_added::SerialOrIdentityColumnAdded,
    &stored_generated_column_added::StoredGeneratedColumnAdded,
    &table_dropped::TableDropped,
    &unique_constraint_builds_index::UniqueConstraintBuildsIndex,
    &unique_in_added_column::UniqueInAddedColumn,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
