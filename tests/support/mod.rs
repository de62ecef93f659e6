//! Helpers that tests share: servers, fixtures.

pub(crate) mod browser;
pub(crate) mod compact_catalog;
pub(crate) mod desk;
pub(crate) mod fixture;
pub(crate) mod migration_fixture;
pub(crate) mod server;
