//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod check_in_added_column;
pub mod column_default_rewrites_table;
pub mod concurrently_inside_transaction;
pub mod constrained_domain_column_added;
pub mod index_built_under_lock;
pub mod index_dropped_under_lock;
pub mod invalid_index_left_behind;
pub mod not_null_column_without_default;
pub mod reference_in_added_column;
pub mod reindex_under_lock;
pub mod serial_or_identity_column_added;
pub mod stored_generated_column_added;
pub(crate) mod support;
pub mod table_dropped;
pub mod unique_in_added_column;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &check_in_added_column::CheckInAddedColumn,
    &column_default_rewrites_table::ColumnDefaultRewritesTable,
    &concurrently_inside_transaction::ConcurrentlyInsideTransaction,
    &constrained_domain_column_added::ConstrainedDomainColumnAdded,
    &index_built_under_lock::IndexBuiltUnderLock,
    &index_dropped_under_lock::IndexDroppedUnderLock,
    &invalid_index_left_behind::InvalidIndexLeftBehind,
    &not_null_column_without_default::NotNullColumnWithoutDefault,
    &reference_in_added_column::ReferenceInAddedColumn,
    &reindex_under_lock::ReindexUnderLock,
    &serial_or_identity_column_added::SerialOrIdentityColumnAdded,
    &stored_generated_column_added::StoredGeneratedColumnAdded,
    &table_dropped::TableDropped,
    &unique_in_added_column::UniqueInAddedColumn,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
