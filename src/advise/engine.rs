//! Runs the rules over a subject.
