//! One report, many formats.
