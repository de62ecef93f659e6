//! What rules about migrations share.

pub(crate) mod around;
pub(crate) mod definitions;
pub(crate) mod directives;
pub(crate) mod evidence;
pub(crate) mod keys;
pub(crate) mod workload;
