//! Helpers that tests share: servers, fixtures.
