//! The embedded server as a throw-away cluster.
