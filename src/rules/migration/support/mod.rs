//! What rules about migrations share.

pub(crate) mod evidence;
