//! The rules: one file each. This list is written by a test (`generated`).
