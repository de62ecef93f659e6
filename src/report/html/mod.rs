//! The report as a page for a browser: one file that needs nothing beside it.
//!
//! [`page`] frames any page of the program.

mod page;
pub mod text;

pub use page::{Forms, Html, page, page_with, policy};
