//! Rewrites: one file each, edits on the user's own text with proved preconditions.
