//! Damaged texts.
