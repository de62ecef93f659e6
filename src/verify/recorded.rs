//! A planner that answers from recordings, for tests.
