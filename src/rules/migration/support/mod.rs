//! What rules about migrations share.

pub(crate) mod directives;
pub(crate) mod evidence;
