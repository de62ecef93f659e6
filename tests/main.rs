//! All integration tests, one binary.
#![cfg(test)]

mod cli;
mod clusters;
mod conventions;
mod diff;
mod diff_servers;
mod docs;
mod embedded;
mod estimates;
mod exactness;
mod formats;
mod gathered;
mod generated;
mod indexes;
mod layers;
mod live;
mod logs;
mod migration_locks;
mod migration_rules;
mod migration_state;
mod pages;
mod parameters;
mod plans;
mod redact;
mod reports;
mod rewrites;
mod rules;
mod serve;
mod snapshot_cli;
mod snapshots;
mod sql;
mod support;
mod twins;
mod what_if;
mod why_not;
mod why_not_flagged;
