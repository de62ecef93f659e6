//! The only module that knows a server: sessions, catalogue, planners.
