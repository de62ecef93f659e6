//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod changes_all_rows;
pub mod column_dropped;
pub mod column_renamed;
pub mod column_type_discouraged;
pub mod constraint_dropped;
pub mod constraint_never_validated;
pub mod data_changed_with_schema;
pub mod default_dropped;
pub mod dropped_with_cascade;
pub mod duplicate_index;
pub mod dynamic_sql_not_seen;
pub mod enum_value_removed;
pub mod foreign_key_type_mismatch;
pub mod foreign_key_without_index;
pub mod function_without_search_path;
pub mod hash_index;
pub mod identifier_quoted_mixed_case;
pub mod identifier_too_long;
pub mod index_dropped_that_is_needed;
pub mod index_on_only_parent_stays_invalid;
pub mod integer_primary_key;
pub mod name_not_schema_qualified;
pub mod nested_transaction;
pub mod new_column_filtered_without_index;
pub mod not_null_dropped;
pub mod object_dropped;
pub mod object_renamed;
pub mod partition_key_not_in_primary_key;
pub mod primary_key_dropped;
pub mod privileges_changed;
pub mod redundant_index;
pub mod replica_identity_lost;
pub mod row_security_changed;
pub mod serial_column;
pub mod statement_not_idempotent;
pub mod statement_not_read;
pub(crate) mod support;
pub mod suppression_misspelt;
pub mod suppression_unused;
pub mod suppression_without_reason;
pub mod table_dropped;
pub mod table_renamed;
pub mod table_truncated;
pub mod table_without_primary_key;
pub mod transaction_left_open;
pub mod unnamed_constraint;
pub mod wide_index;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &changes_all_rows::ChangesAllRows,
    &column_dropped::ColumnDropped,
    &column_renamed::ColumnRenamed,
    &column_type_discouraged::ColumnTypeDiscouraged,
    &constraint_dropped::ConstraintDropped,
    &constraint_never_validated::ConstraintNeverValidated,
    &data_changed_with_schema::DataChangedWithSchema,
    &default_dropped::DefaultDropped,
    &dropped_with_cascade::DroppedWithCascade,
    &duplicate_index::DuplicateIndex,
    &dynamic_sql_not_seen::DynamicSqlNotSeen,
    &enum_value_removed::EnumValueRemoved,
    &foreign_key_type_mismatch::ForeignKeyTypeMismatch,
    &foreign_key_without_index::ForeignKeyWithoutIndex,
    &function_without_search_path::FunctionWithoutSearchPath,
    &hash_index::HashIndex,
    &identifier_quoted_mixed_case::IdentifierQuotedMixedCase,
    &identifier_too_long::IdentifierTooLong,
    &index_dropped_that_is_needed::IndexDroppedThatIsNeeded,
    &index_on_only_parent_stays_invalid::IndexOnOnlyParentStaysInvalid,
    &integer_primary_key::IntegerPrimaryKey,
    &name_not_schema_qualified::NameNotSchemaQualified,
    &nested_transaction::NestedTransaction,
    &new_column_filtered_without_index::NewColumnFilteredWithoutIndex,
    &not_null_dropped::NotNullDropped,
    &object_dropped::ObjectDropped,
    &object_renamed::ObjectRenamed,
    &partition_key_not_in_primary_key::PartitionKeyNotInPrimaryKey,
    &primary_key_dropped::PrimaryKeyDropped,
    &privileges_changed::PrivilegesChanged,
    &redundant_index::RedundantIndex,
    &replica_identity_lost::ReplicaIdentityLost,
    &row_security_changed::RowSecurityChanged,
    &serial_column::SerialColumn,
    &statement_not_idempotent::StatementNotIdempotent,
    &statement_not_read::StatementNotRead,
    &suppression_misspelt::SuppressionMisspelt,
    &suppression_unused::SuppressionUnused,
    &suppression_without_reason::SuppressionWithoutReason,
    &table_dropped::TableDropped,
    &table_renamed::TableRenamed,
    &table_truncated::TableTruncated,
    &table_without_primary_key::TableWithoutPrimaryKey,
    &transaction_left_open::TransactionLeftOpen,
    &unnamed_constraint::UnnamedConstraint,
    &wide_index::WideIndex,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
