//! A twin as a planner: plans, and what a change would do.
