//! Paths of the configuration, as a report can show them: relative to the
//! folder that the program was called in, as services for CI need them.

use std::path::{Component, Path, PathBuf};

/// Where the program was called, and where the configuration stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    here: Option<PathBuf>,
    configuration: Option<PathBuf>,
}

impl Places {
    pub(super) fn new(here: Option<&Path>, configuration: Option<&Path>) -> Self {
        let configuration = configuration.and_then(|file| {
            let folder = file.parent()?;
            Some(plain(
                &here.map_or_else(|| folder.to_owned(), |here| here.join(folder)),
            ))
        });
        Self {
            here: here.map(Path::to_owned),
            configuration,
        }
    }

    /// The path as seen from here, where both are known from the root on.
    pub(super) fn seen_from_here(&self, path: &Path) -> PathBuf {
        let Some(here) = self.here.as_deref().filter(|_| path.is_absolute()) else {
            return path.to_owned();
        };
        let (path, here) = (plain(path), plain(here));
        let mut up = PathBuf::new();
        for folder in here.ancestors() {
            if folder.parent().is_none() {
                break;
            }
            if let Ok(rest) = path.strip_prefix(folder) {
                let found = up.join(rest);
                return if found.as_os_str().is_empty() {
                    PathBuf::from(".")
                } else {
                    found
                };
            }
            up.push("..");
        }
        path
    }

    /// Whether something concerns the file: by the path as it was given, or by
    /// that from the configuration's folder on, so that it does not matter
    /// where the program is called.
    pub(super) fn concerns(&self, path: &str, concerns: impl Fn(&str) -> bool) -> bool {
        concerns(path)
            || self
                .below_configuration(path)
                .is_some_and(|path| concerns(&path))
    }

    fn below_configuration(&self, path: &str) -> Option<String> {
        let configuration = self.configuration.as_deref()?;
        let path = plain(&self.here.as_deref()?.join(path));
        Some(path.strip_prefix(configuration).ok()?.to_str()?.to_owned())
    }
}

/// The path without `.` and `..`, by its text alone.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if plain.file_name().is_some() => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_here() {
        let places = Places::new(
            Some(Path::new("/srv/app/db")),
            Some(Path::new("/srv/app/pgadvise.toml")),
        );
        let seen = |path: &str| places.seen_from_here(Path::new(path));
        assert_eq!(seen("/srv/app/db/m"), Path::new("m"));
        assert_eq!(seen("/srv/app/migrations"), Path::new("../migrations"));
        assert_eq!(seen("/srv/app/db"), Path::new("."));
        assert_eq!(seen("/etc/m"), Path::new("/etc/m"));
        assert_eq!(seen("m"), Path::new("m"));
    }

    #[test]
    fn patterns_are_taken_from_the_configurations_folder() {
        let places = Places::new(
            Some(Path::new("/srv/app/db")),
            Some(Path::new("../pgadvise.toml")),
        );
        for path in [
            "m/a.sql",
            "./m/a.sql",
            "/srv/app/db/m/a.sql",
            "../db/m/a.sql",
        ] {
            assert!(places.concerns(path, |path| path == "db/m/a.sql"), "{path}");
        }
        assert!(places.concerns("m/a.sql", |path| path == "m/a.sql"));
        assert!(!places.concerns("/etc/m/a.sql", |path| path == "m/a.sql"));
    }
}
