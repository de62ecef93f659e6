//! One file a rule about migrations, and nothing else: what they share is in
//! `support`.
//!
//! `tests/generated.rs` writes this file from the folder; do not edit it.

pub mod statement_not_read;
pub(crate) mod support;
pub mod suppression_misspelt;
pub mod suppression_unused;
pub mod suppression_without_reason;
pub mod table_dropped;

use crate::rule::migration::MigrationRule;

/// Every rule about migrations, sorted by name.
#[rustfmt::skip]
pub static ALL: &[&dyn MigrationRule] = &[
    &statement_not_read::StatementNotRead,
    &suppression_misspelt::SuppressionMisspelt,
    &suppression_unused::SuppressionUnused,
    &suppression_without_reason::SuppressionWithoutReason,
    &table_dropped::TableDropped,
];

/// The rule of that name.
pub fn find(id: &str) -> Option<&'static dyn MigrationRule> {
    ALL.iter().copied().find(|rule| rule.meta().id == id)
}
