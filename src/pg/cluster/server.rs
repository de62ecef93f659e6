//! The embedded server's own process: PostgreSQL 17 compiled to WebAssembly,
//! on a Unix socket in a private folder.
//!
//! It runs in a child process of pgadvise, because `statement_timeout` does
//! not fire in it: the parent kills the child at a deadline. Nothing here
//! talks to the parent but two lines on standard output; when standard input
//! closes, the parent is gone and the child ends.

use std::io::{Read as _, Write as _};
use std::path::Path;

use pglite_oxide::{PgliteServer, extensions};

use super::private;

/// Port number in the socket's file name, `.s.PGSQL.5432`.
pub const PORT: u16 = 5432;

/// The first line of a child that is up.
pub const READY: &str = "ready";

/// Whether the embedded server brings an extension of that name (as
/// `CREATE EXTENSION` takes it).
pub fn has_extension(name: &str) -> bool {
    name == "plpgsql" || extensions::by_sql_name(name).is_some()
}

/// Names of all extensions that it brings.
pub fn extension_names() -> Vec<&'static str> {
    let mut names: Vec<_> = extensions::ALL
        .iter()
        .map(|extension| extension.sql_name())
        .collect();
    names.sort_unstable();
    names
}

/// Serves a cluster in `folder` until standard input closes. The words are
/// settings (`name=value`) and names of extensions.
pub fn serve(folder: &Path, words: &[String]) -> Result<(), String> {
    let lock = private::share(folder).map_err(|error| error.to_string())?;
    let mut builder = PgliteServer::builder()
        .path(private::data(folder))
        .unix(folder.join(format!(".s.PGSQL.{PORT}")))
        .relaxed_durability(true);
    for word in words {
        builder = match word.split_once('=') {
            Some((name, value)) => builder.postgres_config(name, value),
            None => builder.extensions(extensions::by_sql_name(word)),
        };
    }
    let server = builder.start().map_err(|error| format!("{error:#}"))?;
    let mut out = std::io::stdout();
    writeln!(out, "{READY}")
        .and_then(|()| out.flush())
        .map_err(|error| error.to_string())?;
    let mut rest = Vec::new();
    // Whatever ends the pipe, an error too, means that the parent is gone.
    let _gone = std::io::stdin().read_to_end(&mut rest);
    // Stopping the server would wait for a statement that may never end; the
    // process ends with this function, and the cluster is worth nothing. A
    // parent that was killed could not remove the folder.
    std::mem::forget(server);
    drop(std::fs::remove_dir_all(folder));
    drop(lock);
    Ok(())
}
