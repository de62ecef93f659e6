//! The only module that knows a server: sessions, catalogue, planners.

#[cfg(feature = "embedded")]
pub mod cluster;
