//! Helpers that tests share: servers, fixtures.

pub(crate) mod server;
