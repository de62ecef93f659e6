//! Giving the files of relations their sizes, and indexes their first pages.
