//! The sizes that supposed indexes are given.
