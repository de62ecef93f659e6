//! What rules about migrations share.

pub(crate) mod add_column;
pub(crate) mod added;
pub(crate) mod altered;
pub(crate) mod around;
pub(crate) mod brief;
pub(crate) mod definitions;
pub(crate) mod directives;
pub(crate) mod evidence;
pub(crate) mod keys;
pub(crate) mod lock;
pub(crate) mod names;
pub(crate) mod partitions;
pub(crate) mod safe;
pub(crate) mod size;
pub(crate) mod together;
pub(crate) mod walk;
pub(crate) mod workload;
