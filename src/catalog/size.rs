//! How large an index would be.
