//! What rules about migrations share.

pub(crate) mod definitions;
pub(crate) mod directives;
pub(crate) mod evidence;
