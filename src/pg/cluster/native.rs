//! An installed PostgreSQL as a throw-away cluster.
