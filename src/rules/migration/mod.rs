//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod column_type_discouraged;
pub mod dynamic_sql_not_seen;
pub mod hash_index;
pub mod identifier_quoted_mixed_case;
pub mod identifier_too_long;
pub mod integer_primary_key;
pub mod name_not_schema_qualified;
pub mod nested_transaction;
pub mod serial_column;
pub mod statement_not_idempotent;
pub mod statement_not_read;
pub(crate) mod support;
pub mod suppression_misspelt;
pub mod suppression_unused;
pub mod suppression_without_reason;
pub mod table_dropped;
pub mod table_without_primary_key;
pub mod transaction_left_open;
pub mod unnamed_constraint;
pub mod wide_index;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &column_type_discouraged::ColumnTypeDiscouraged,
    &dynamic_sql_not_seen::DynamicSqlNotSeen,
    &hash_index::HashIndex,
    &identifier_quoted_mixed_case::IdentifierQuotedMixedCase,
    &identifier_too_long::IdentifierTooLong,
    &integer_primary_key::IntegerPrimaryKey,
    &name_not_schema_qualified::NameNotSchemaQualified,
    &nested_transaction::NestedTransaction,
    &serial_column::SerialColumn,
    &statement_not_idempotent::StatementNotIdempotent,
    &statement_not_read::StatementNotRead,
    &suppression_misspelt::SuppressionMisspelt,
    &suppression_unused::SuppressionUnused,
    &suppression_without_reason::SuppressionWithoutReason,
    &table_dropped::TableDropped,
    &table_without_primary_key::TableWithoutPrimaryKey,
    &transaction_left_open::TransactionLeftOpen,
    &unnamed_constraint::UnnamedConstraint,
    &wide_index::WideIndex,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
