//! Why the planner does not use an index: what is in its way, with numbers.
