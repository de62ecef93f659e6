//! Twins: what a snapshot becomes in a throw-away cluster.

mod load;
