//! Writing a snapshot's file: whole or not at all, and never over something
//! else.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::super::failure::{Failure, Kind};
use crate::input;

/// Why the file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct WriteError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Failure + use<'_> {
    |source| {
        Failure::new(
            Kind::Internal,
            WriteError {
                path: path.to_owned(),
                source,
            },
        )
        .hint("check that the folder is there, can be written to and has space")
    }
}

/// Refuses to write where something else is: said before the database is
/// asked.
pub(super) fn check_target(path: &Path) -> Result<(), Failure> {
    let Ok(meta) = std::fs::metadata(path) else {
        return folder_of(path);
    };
    if meta.is_dir() {
        return Err(Failure::new(
            Kind::Usage,
            format!("cannot write {}: it is a directory", path.display()),
        )
        .hint(format!(
            "name a file: {}",
            path.join("shop.pgsnap").display()
        )));
    }
    if meta.is_file() && meta.len() > 0 && !input::is_snapshot(path)? {
        return Err(Failure::new(
            Kind::Usage,
            format!(
                "{} is there already, and is not a snapshot: it stays as it is",
                path.display()
            ),
        )
        .hint("write to another file, or remove that one first"));
    }
    Ok(())
}

/// The folder of a new file must be there.
fn folder_of(path: &Path) -> Result<(), Failure> {
    let folder = folder(path);
    match std::fs::metadata(folder) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(io::Error::from(io::ErrorKind::NotADirectory)),
        Err(error) => Err(error),
    }
    .map_err(failed(path))
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Writes the file beside its place and moves it there, so that nobody sees a
/// part of it. What is not a regular file (a pipe, a device) is written to.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let old = std::fs::metadata(path).ok();
    if old.as_ref().is_some_and(|meta| !meta.is_file()) {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(failed(path))?;
        return file
            .write_all(bytes)
            .and_then(|()| file.flush())
            .map_err(failed(path));
    }
    // A link stays a link to what it names.
    let place = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut file = tempfile::Builder::new()
        .prefix(".pgadvise-")
        .suffix(".tmp")
        .tempfile_in(folder(&place))
        .map_err(failed(path))?;
    file.write_all(bytes)
        .and_then(|()| file.flush())
        .and_then(|()| file.as_file().sync_all())
        .map_err(failed(path))?;
    if let Some(old) = old {
        // Who may read it was the user's choice; a new one is the user's alone.
        file.as_file()
            .set_permissions(old.permissions())
            .map_err(failed(path))?;
    }
    file.persist(&place)
        .map(drop)
        .map_err(|error| failed(path)(error.error))
}
