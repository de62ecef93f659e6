//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod brief_exclusive_lock;
pub mod check_constraint_validated_at_once;
pub mod check_in_added_column;
pub mod collation_change_rebuilds_indexes;
pub mod column_default_rewrites_table;
pub mod column_type_change_rewrites;
pub mod column_type_narrowed;
pub mod concurrently_inside_transaction;
pub mod constrained_domain_column_added;
pub mod domain_constraint_scans_tables;
pub mod enum_value_used_in_its_transaction;
pub mod exclusion_constraint_added;
pub mod foreign_key_checks_disabled;
pub mod foreign_key_dropped_locks_both_tables;
pub mod foreign_key_validated_at_once;
pub mod index_built_under_lock;
pub mod index_dropped_under_lock;
pub mod invalid_index_left_behind;
pub mod lock_without_timeout;
pub mod materialized_view_refreshed_under_lock;
pub mod not_null_column_without_default;
pub mod not_null_set_with_scan;
pub mod partition_attached_with_scan;
pub mod partition_created_in_place;
pub mod partition_detached_under_lock;
pub mod primary_key_builds_index;
pub mod reference_in_added_column;
pub mod reindex_under_lock;
pub mod serial_or_identity_column_added;
pub mod several_foreign_keys_in_one_transaction;
pub mod stored_generated_column_added;
pub(crate) mod support;
pub mod table_altered_several_times;
pub mod table_created_with_reference;
pub mod table_dropped;
pub mod table_locked_explicitly;
pub mod table_storage_rewritten;
pub mod trigger_changed_on_busy_table;
pub mod unique_constraint_builds_index;
pub mod unique_in_added_column;
pub mod vacuum_full_or_cluster;
pub mod validated_in_same_transaction;
pub mod work_behind_exclusive_lock;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &brief_exclusive_lock::BriefExclusiveLock,
    &check_constraint_validated_at_once::CheckConstraintValidatedAtOnce,
    &check_in_added_column::CheckInAddedColumn,
    &collation_change_rebuilds_indexes::CollationChangeRebuildsIndexes,
    &column_default_rewrites_table::ColumnDefaultRewritesTable,
    &column_type_change_rewrites::ColumnTypeChangeRewrites,
    &column_type_narrowed::ColumnTypeNarrowed,
    &concurrently_inside_transaction::ConcurrentlyInsideTransaction,
    &constrained_domain_column_added::ConstrainedDomainColumnAdded,
    &domain_constraint_scans_tables::DomainConstraintScansTables,
    &enum_value_used_in_its_transaction::EnumValueUsedInItsTransaction,
    &exclusion_constraint_added::ExclusionConstraintAdded,
    &foreign_key_checks_disabled::ForeignKeyChecksDisabled,
    &foreign_key_dropped_locks_both_tables::ForeignKeyDroppedLocksBothTables,
    &foreign_key_validated_at_once::ForeignKeyValidatedAtOnce,
    &index_built_under_lock::IndexBuiltUnderLock,
    &index_dropped_under_lock::IndexDroppedUnderLock,
    &invalid_index_left_behind::InvalidIndexLeftBehind,
    &lock_without_timeout::LockWithoutTimeout,
    &materialized_view_refreshed_under_lock::MaterializedViewRefreshedUnderLock,
    &not_null_column_without_default::NotNullColumnWithoutDefault,
    &not_null_set_with_scan::NotNullSetWithScan,
    &partition_attached_with_scan::PartitionAttachedWithScan,
    &partition_created_in_place::PartitionCreatedInPlace,
    &partition_detached_under_lock::PartitionDetachedUnderLock,
    &primary_key_builds_index::PrimaryKeyBuildsIndex,
    &reference_in_added_column::ReferenceInAddedColumn,
    &reindex_under_lock::ReindexUnderLock,
    &serial_or_identity_column_added::SerialOrIdentityColumnAdded,
    &several_foreign_keys_in_one_transaction::SeveralForeignKeysInOneTransaction,
    &stored_generated_column_added::StoredGeneratedColumnAdded,
    &table_altered_several_times::TableAlteredSeveralTimes,
    &table_created_with_reference::TableCreatedWithReference,
    &table_dropped::TableDropped,
    &table_locked_explicitly::TableLockedExplicitly,
    &table_storage_rewritten::TableStorageRewritten,
    &trigger_changed_on_busy_table::TriggerChangedOnBusyTable,
    &unique_constraint_builds_index::UniqueConstraintBuildsIndex,
    &unique_in_added_column::UniqueInAddedColumn,
    &vacuum_full_or_cluster::VacuumFullOrCluster,
    &validated_in_same_transaction::ValidatedInSameTransaction,
    &work_behind_exclusive_lock::WorkBehindExclusiveLock,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
