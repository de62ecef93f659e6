//! What the user gets to see: one [`model::Report`], rendered in one file a
//! format. Nothing here decides what is found, and nothing is printed: a
//! format writes to what it is given.

pub mod build;
pub mod check;
pub mod diff;
mod fit;
pub mod format;
pub mod html;
pub mod json;
mod log;
pub mod markdown;
pub mod model;
mod nodes;
mod parameters;
mod passed;
pub(crate) mod prose;
pub mod render;
pub mod resources;
mod rewritten;
mod snippet;
mod summary;
pub(crate) mod table;
pub mod text;
mod tree;
mod verdict;
pub mod what_if;
pub mod why_not;

pub use build::build;
pub use render::{FORMATS, Options, Render};
