//! The only module that reads files: SQL, plans, configuration.
