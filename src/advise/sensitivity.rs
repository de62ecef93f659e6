//! How a statement's plan depends on the values of its parameters.
