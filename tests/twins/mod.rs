//! Twins: what a snapshot becomes in a throw-away cluster.

mod hostile;
mod index_sizes;
mod lay;
mod load;
mod proof;

/// A folder for temporary files that the server's user may enter.
fn temp() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::Builder::new()
        .prefix("pgadvise-test-")
        .tempdir()
        .unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}
