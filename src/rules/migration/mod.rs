//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod brief_exclusive_lock;
pub mod changes_all_rows;
pub mod check_constraint_validated_at_once;
pub mod check_in_added_column;
pub mod collation_change_rebuilds_indexes;
pub mod column_default_rewrites_table;
pub mod column_dropped;
pub mod column_renamed;
pub mod column_type_change_rewrites;
pub mod column_type_discouraged;
pub mod column_type_narrowed;
pub mod concurrently_inside_transaction;
pub mod constrained_domain_column_added;
pub mod constraint_dropped;
pub mod constraint_never_validated;
pub mod data_changed_with_schema;
pub mod default_dropped;
pub mod domain_constraint_scans_tables;
pub mod dropped_with_cascade;
pub mod duplicate_index;
pub mod dynamic_sql_not_seen;
pub mod enum_value_removed;
pub mod enum_value_used_in_its_transaction;
pub mod exclusion_constraint_added;
pub mod foreign_key_checks_disabled;
pub mod foreign_key_dropped_locks_both_tables;
pub mod foreign_key_type_mismatch;
pub mod foreign_key_validated_at_once;
pub mod foreign_key_without_index;
pub mod function_without_search_path;
pub mod hash_index;
pub mod identifier_quoted_mixed_case;
pub mod identifier_too_long;
pub mod index_built_under_lock;
pub mod index_dropped_that_is_needed;
pub mod index_dropped_under_lock;
pub mod index_on_only_parent_stays_invalid;
pub mod integer_primary_key;
pub mod invalid_index_left_behind;
pub mod lock_order_can_deadlock;
pub mod lock_queue_behind_long_reader;
pub mod lock_without_timeout;
pub mod materialized_view_refreshed_under_lock;
pub mod name_not_schema_qualified;
pub mod nested_transaction;
pub mod new_column_filtered_without_index;
pub mod not_null_column_without_default;
pub mod not_null_dropped;
pub mod not_null_set_with_scan;
pub mod object_dropped;
pub mod object_renamed;
pub mod partition_attached_with_scan;
pub mod partition_created_in_place;
pub mod partition_detached_under_lock;
pub mod partition_key_not_in_primary_key;
pub mod primary_key_builds_index;
pub mod primary_key_dropped;
pub mod privileges_changed;
pub mod query_breaks;
pub mod query_gets_slower;
pub mod query_result_changes;
pub mod redundant_index;
pub mod reference_in_added_column;
pub mod reindex_under_lock;
pub mod replica_identity_lost;
pub mod rollback_loses_data;
pub mod row_security_changed;
pub mod serial_column;
pub mod serial_or_identity_column_added;
pub mod several_foreign_keys_in_one_transaction;
pub mod statement_fails;
pub mod statement_not_idempotent;
pub mod statement_not_read;
pub mod stored_generated_column_added;
pub(crate) mod support;
pub mod suppression_misspelt;
pub mod suppression_unused;
pub mod suppression_without_reason;
pub mod table_altered_several_times;
pub mod table_created_with_reference;
pub mod table_dropped;
pub mod table_locked_explicitly;
pub mod table_renamed;
pub mod table_storage_rewritten;
pub mod table_truncated;
pub mod table_without_primary_key;
pub mod transaction_left_open;
pub mod trigger_changed_on_busy_table;
pub mod unique_constraint_builds_index;
pub mod unique_in_added_column;
pub mod unnamed_constraint;
pub mod vacuum_full_or_cluster;
pub mod validated_in_same_transaction;
pub mod wide_index;
pub mod work_behind_exclusive_lock;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &brief_exclusive_lock::BriefExclusiveLock,
    &changes_all_rows::ChangesAllRows,
    &check_constraint_validated_at_once::CheckConstraintValidatedAtOnce,
    &check_in_added_column::CheckInAddedColumn,
    &collation_change_rebuilds_indexes::CollationChangeRebuildsIndexes,
    &column_default_rewrites_table::ColumnDefaultRewritesTable,
    &column_dropped::ColumnDropped,
    &column_renamed::ColumnRenamed,
    &column_type_change_rewrites::ColumnTypeChangeRewrites,
    &column_type_discouraged::ColumnTypeDiscouraged,
    &column_type_narrowed::ColumnTypeNarrowed,
    &concurrently_inside_transaction::ConcurrentlyInsideTransaction,
    &constrained_domain_column_added::ConstrainedDomainColumnAdded,
    &constraint_dropped::ConstraintDropped,
    &constraint_never_validated::ConstraintNeverValidated,
    &data_changed_with_schema::DataChangedWithSchema,
    &default_dropped::DefaultDropped,
    &domain_constraint_scans_tables::DomainConstraintScansTables,
    &dropped_with_cascade::DroppedWithCascade,
    &duplicate_index::DuplicateIndex,
    &dynamic_sql_not_seen::DynamicSqlNotSeen,
    &enum_value_removed::EnumValueRemoved,
    &enum_value_used_in_its_transaction::EnumValueUsedInItsTransaction,
    &exclusion_constraint_added::ExclusionConstraintAdded,
    &foreign_key_checks_disabled::ForeignKeyChecksDisabled,
    &foreign_key_dropped_locks_both_tables::ForeignKeyDroppedLocksBothTables,
    &foreign_key_type_mismatch::ForeignKeyTypeMismatch,
    &foreign_key_validated_at_once::ForeignKeyValidatedAtOnce,
    &foreign_key_without_index::ForeignKeyWithoutIndex,
    &function_without_search_path::FunctionWithoutSearchPath,
    &hash_index::HashIndex,
    &identifier_quoted_mixed_case::IdentifierQuotedMixedCase,
    &identifier_too_long::IdentifierTooLong,
    &index_built_under_lock::IndexBuiltUnderLock,
    &index_dropped_that_is_needed::IndexDroppedThatIsNeeded,
    &index_dropped_under_lock::IndexDroppedUnderLock,
    &index_on_only_parent_stays_invalid::IndexOnOnlyParentStaysInvalid,
    &integer_primary_key::IntegerPrimaryKey,
    &invalid_index_left_behind::InvalidIndexLeftBehind,
    &lock_order_can_deadlock::LockOrderCanDeadlock,
    &lock_queue_behind_long_reader::LockQueueBehindLongReader,
    &lock_without_timeout::LockWithoutTimeout,
    &materialized_view_refreshed_under_lock::MaterializedViewRefreshedUnderLock,
    &name_not_schema_qualified::NameNotSchemaQualified,
    &nested_transaction::NestedTransaction,
    &new_column_filtered_without_index::NewColumnFilteredWithoutIndex,
    &not_null_column_without_default::NotNullColumnWithoutDefault,
    &not_null_dropped::NotNullDropped,
    &not_null_set_with_scan::NotNullSetWithScan,
    &object_dropped::ObjectDropped,
    &object_renamed::ObjectRenamed,
    &partition_attached_with_scan::PartitionAttachedWithScan,
    &partition_created_in_place::PartitionCreatedInPlace,
    &partition_detached_under_lock::PartitionDetachedUnderLock,
    &partition_key_not_in_primary_key::PartitionKeyNotInPrimaryKey,
    &primary_key_builds_index::PrimaryKeyBuildsIndex,
    &primary_key_dropped::PrimaryKeyDropped,
    &privileges_changed::PrivilegesChanged,
    &query_breaks::QueryBreaks,
    &query_gets_slower::QueryGetsSlower,
    &query_result_changes::QueryResultChanges,
    &redundant_index::RedundantIndex,
    &reference_in_added_column::ReferenceInAddedColumn,
    &reindex_under_lock::ReindexUnderLock,
    &replica_identity_lost::ReplicaIdentityLost,
    &rollback_loses_data::RollbackLosesData,
    &row_security_changed::RowSecurityChanged,
    &serial_column::SerialColumn,
    &serial_or_identity_column_added::SerialOrIdentityColumnAdded,
    &several_foreign_keys_in_one_transaction::SeveralForeignKeysInOneTransaction,
    &statement_fails::StatementFails,
    &statement_not_idempotent::StatementNotIdempotent,
    &statement_not_read::StatementNotRead,
    &stored_generated_column_added::StoredGeneratedColumnAdded,
    &suppression_misspelt::SuppressionMisspelt,
    &suppression_unused::SuppressionUnused,
    &suppression_without_reason::SuppressionWithoutReason,
    &table_altered_several_times::TableAlteredSeveralTimes,
    &table_created_with_reference::TableCreatedWithReference,
    &table_dropped::TableDropped,
    &table_locked_explicitly::TableLockedExplicitly,
    &table_renamed::TableRenamed,
    &table_storage_rewritten::TableStorageRewritten,
    &table_truncated::TableTruncated,
    &table_without_primary_key::TableWithoutPrimaryKey,
    &transaction_left_open::TransactionLeftOpen,
    &trigger_changed_on_busy_table::TriggerChangedOnBusyTable,
    &unique_constraint_builds_index::UniqueConstraintBuildsIndex,
    &unique_in_added_column::UniqueInAddedColumn,
    &unnamed_constraint::UnnamedConstraint,
    &vacuum_full_or_cluster::VacuumFullOrCluster,
    &validated_in_same_transaction::ValidatedInSameTransaction,
    &wide_index::WideIndex,
    &work_behind_exclusive_lock::WorkBehindExclusiveLock,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
