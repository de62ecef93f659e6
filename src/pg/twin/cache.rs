//! Twins kept for the next run, by the content of their snapshot.
