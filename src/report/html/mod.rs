//! The report as a page for a browser: one file that needs nothing beside it.
//!
//! The layout of the pictures is computed here, so that it is the same
//! everywhere; without its script the page shows everything too. [`page`]
//! frames any page of the program, with the same style.

mod finding;
mod flame;
mod node;
mod outline;
mod page;
mod picture;
mod report;
mod sql;
mod statement;
pub mod text;
mod tree;

pub use page::{Forms, Html, page, page_with, policy, with_head};
pub use report::{html, render};
