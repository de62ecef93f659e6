//! From a snapshot to a schema with statistics in a throw-away cluster.
