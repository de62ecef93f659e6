//! Leaving values out of a snapshot, or replacing them.
