//! Taking a snapshot of a live server: one read-only transaction.
