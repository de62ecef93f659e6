//! The snapshot file: reading and writing its bytes.
