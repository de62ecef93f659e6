//! Reading what the user gave: SQL, plans, schema files and the configuration.
//! The only module that reads files; what a text means is for others.

pub mod config;
pub mod decode;
pub mod logs;
pub mod migrations;
pub mod workload;

use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use decode::DecodeError;

use crate::snapshot::file::{self, Decoded, SnapshotFileError};

/// Largest SQL file: a file of queries is far smaller, a dump is not one.
pub const MAX_SQL_BYTES: u64 = 32 << 20;
/// Largest plan or schema file.
pub const MAX_BYTES: u64 = 512 << 20;
/// The name of standard input in messages.
pub const STDIN: &str = "<stdin>";

/// Why a text could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No such file.
    #[error("cannot read {}: no such file", path.display())]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// It is a folder.
    #[error("cannot read {}: it is a directory", path.display())]
    Directory {
        /// The path as given.
        path: PathBuf,
    },
    /// The rights do not suffice.
    #[error("cannot read {}: permission denied", path.display())]
    Permission {
        /// The path as given.
        path: PathBuf,
    },
    /// Nothing in it but blanks.
    #[error("{name} is empty")]
    Empty {
        /// The path as given, or `<stdin>`.
        name: String,
    },
    /// More than is read.
    #[error("{name} is too large: {} MiB, and at most {} MiB are read", bytes.div_ceil(1 << 20), limit >> 20)]
    TooLarge {
        /// The path as given, or `<stdin>`.
        name: String,
        /// Its size, or as much as was read.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// Not text.
    #[error("{name} is not text")]
    NotText {
        /// The path as given, or `<stdin>`.
        name: String,
        /// Why not.
        #[source]
        source: DecodeError,
    },
    /// A snapshot that cannot be used.
    #[error("cannot use {name} as a snapshot")]
    Snapshot {
        /// The path as given, or `<stdin>`.
        name: String,
        /// Why not.
        #[source]
        source: SnapshotFileError,
    },
    /// No such file or folder of migrations.
    #[error("cannot read {}: no such file or folder", path.display())]
    NoMigrations {
        /// The path as given.
        path: PathBuf,
        /// What is there under a name like it.
        nearest: Option<PathBuf>,
    },
    /// There is no SQL among the paths.
    #[error("there is no .sql file in {}", path.display())]
    NoSql {
        /// The folder as given.
        path: PathBuf,
        /// What is there instead, and how to get SQL of it.
        instead: Option<&'static str>,
    },
    /// Git could not say what changed.
    #[error(transparent)]
    Git(#[from] migrations::GitError),
    /// The operating system failed.
    #[error("cannot read {name}")]
    Io {
        /// The path as given, or `<stdin>`.
        name: String,
        /// Its word.
        #[source]
        source: std::io::Error,
    },
}

impl InputError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::NotFound { path } if path.as_os_str().to_string_lossy().contains('*') => {
                "no file matches the pattern, so the shell passed it on as it stands".to_owned()
            }
            Self::NotFound { path } => match path.parent() {
                Some(folder) if path.is_relative() && !folder.as_os_str().is_empty() => format!(
                    "check the path: it is looked for below the current directory, in {}",
                    folder.display()
                ),
                _ => "check the path; - reads standard input".to_owned(),
            },
            Self::Directory { path } => {
                format!("name the files: {}", path.join("*.sql").display())
            }
            Self::Permission { .. } => "check the rights with ls -l".to_owned(),
            Self::Empty { name } if name == STDIN => {
                "pipe a query or a plan in, or name a file".to_owned()
            }
            Self::Empty { .. } => {
                "put a query in it, or the output of EXPLAIN (FORMAT JSON)".to_owned()
            }
            Self::TooLarge { limit, .. } if *limit == MAX_SQL_BYTES => {
                "pass the queries alone; a dump belongs to --schema".to_owned()
            }
            Self::TooLarge { .. } => "split it, or pass the part that matters".to_owned(),
            Self::NotText { source, .. } => source.hint().to_owned(),
            Self::Snapshot { source, .. } => source.hint().to_owned(),
            Self::NoMigrations {
                nearest: Some(nearest),
                ..
            } => format!("did you mean {}?", nearest.display()),
            Self::NoMigrations { .. } => {
                "name the folder of the migrations, or files; - reads standard input".to_owned()
            }
            Self::NoSql { instead, .. } => instead
                .unwrap_or("name the folder of the migrations, or files")
                .to_owned(),
            Self::Git(error) => error.hint(),
            Self::Io { .. } => "check the file, then try again".to_owned(),
        }
    }
}

/// Reads a file as text.
pub fn read(path: &Path) -> Result<String, InputError> {
    let (file, size) = open_sized(path, MAX_BYTES)?;
    bytes_to_text(&path.display().to_string(), file, size, |source| {
        failed(path, source)
    })
}

/// Reads a snapshot; - is standard input.
pub fn read_snapshot(path: &Path) -> Result<Decoded, InputError> {
    let mut bytes = Vec::new();
    let (name, read) = if path == Path::new("-") {
        let read = std::io::stdin()
            .lock()
            .take(file::MAX_BYTES + 1)
            .read_to_end(&mut bytes);
        (STDIN.to_owned(), read)
    } else {
        let read = open(path, file::MAX_BYTES)?
            .take(file::MAX_BYTES + 1)
            .read_to_end(&mut bytes);
        (path.display().to_string(), read)
    };
    read.map_err(|source| failed(path, source))?;
    file::decode(&bytes).map_err(|source| InputError::Snapshot { name, source })
}

/// Whether a file begins as a snapshot does.
pub fn is_snapshot(path: &Path) -> Result<bool, InputError> {
    let mut bytes = Vec::new();
    open(path, u64::MAX)?
        .take(1 << 16)
        .read_to_end(&mut bytes)
        .map_err(|source| failed(path, source))?;
    Ok(file::looks_like_snapshot(&bytes))
}

fn failed(path: &Path, source: std::io::Error) -> InputError {
    let path = path.to_owned();
    match source.kind() {
        std::io::ErrorKind::NotFound => InputError::NotFound { path },
        std::io::ErrorKind::PermissionDenied => InputError::Permission { path },
        std::io::ErrorKind::IsADirectory => InputError::Directory { path },
        _ => InputError::Io {
            name: path.display().to_string(),
            source,
        },
    }
}

/// Opens a file that has at most so many bytes.
fn open(path: &Path, limit: u64) -> Result<std::fs::File, InputError> {
    open_sized(path, limit).map(|(file, _)| file)
}

/// The same, with the size that it says to have.
fn open_sized(path: &Path, limit: u64) -> Result<(std::fs::File, u64), InputError> {
    let file = std::fs::File::open(path).map_err(|source| failed(path, source))?;
    let meta = file.metadata().map_err(|source| failed(path, source))?;
    if meta.is_dir() {
        return Err(InputError::Directory {
            path: path.to_owned(),
        });
    }
    if meta.len() > limit {
        return Err(InputError::TooLarge {
            name: path.display().to_string(),
            bytes: meta.len(),
            limit,
        });
    }
    Ok((file, meta.len()))
}

/// Reads standard input as text.
pub fn read_stdin() -> Result<String, InputError> {
    bytes_to_text(STDIN, std::io::stdin().lock(), 0, |source| InputError::Io {
        name: STDIN.to_owned(),
        source,
    })
}

/// The operating system's name of the user, for where the environment does not
/// say it, as in many containers.
#[cfg(target_os = "linux")]
#[expect(
    clippy::disallowed_methods,
    reason = "this module is the one that reads files"
)]
pub fn user_name() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let id = std::fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|account| {
        let mut fields = account.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

/// The operating system's name of the user; not known here.
#[cfg(not(target_os = "linux"))]
pub fn user_name() -> Option<String> {
    None
}

/// Refuses SQL of a size that no file of queries has.
pub fn check_sql_size(name: &str, text: &str) -> Result<(), InputError> {
    let bytes = text.len() as u64;
    if bytes > MAX_SQL_BYTES {
        return Err(InputError::TooLarge {
            name: name.to_owned(),
            bytes,
            limit: MAX_SQL_BYTES,
        });
    }
    Ok(())
}

/// Reads what is left of an opened file as text.
pub fn read_text(name: &str, from: impl std::io::Read) -> Result<String, InputError> {
    bytes_to_text(name, from, 0, |source| InputError::Io {
        name: name.to_owned(),
        source,
    })
}

/// The text of what has that size, or another: it is only expected.
fn bytes_to_text(
    name: &str,
    from: impl std::io::Read,
    size: u64,
    failed: impl Fn(std::io::Error) -> InputError,
) -> Result<String, InputError> {
    // One byte more than expected: so that the end is seen without growing.
    let expected = usize::try_from(size.min(MAX_BYTES)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(if expected == 0 { 0 } else { expected + 1 });
    // One byte more than the limit tells that there is more: a pipe has no
    // size.
    from.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(InputError::TooLarge {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            limit: MAX_BYTES,
        });
    }
    let text = decode::text(bytes).map_err(|source| InputError::NotText {
        name: name.to_owned(),
        source,
    })?;
    if text.trim().is_empty() {
        return Err(InputError::Empty {
            name: name.to_owned(),
        });
    }
    Ok(text)
}
