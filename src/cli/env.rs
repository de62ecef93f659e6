//! The environment, read here and nowhere else, and passed down as values.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What of the environment matters.
#[derive(Clone, Default)]
pub struct Environment {
    /// Variables whose names begin with `PG`.
    pub pg: BTreeMap<String, String>,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The operating system's name of the user.
    pub user: Option<String>,
    /// `COLUMNS`: the width to fill.
    pub columns: Option<usize>,
    /// The folder that the program was called in.
    pub folder: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// The folder for what is kept between runs: `pgadvise` in
    /// `XDG_CACHE_HOME`, or in `.cache` of the home folder.
    pub cache: Option<PathBuf>,
    /// `PGADVISE_SERVE_TOKEN`: what callers of `serve` must show.
    pub serve_token: Option<String>,
    /// `TMPDIR`, where it is set: the user's own choice.
    pub temp: Option<PathBuf>,
    /// What GitHub's workflows say.
    pub github: GitHub,
}

/// What the environment of a workflow of GitHub says.
#[derive(Debug, Clone, Default)]
pub struct GitHub {
    /// `GITHUB_ACTIONS`: this is one.
    pub actions: bool,
    /// `GITHUB_STEP_SUMMARY`: the file that a step's summary is appended to.
    pub summary: Option<PathBuf>,
}

impl std::fmt::Debug for Environment {
    /// Values stay out, as `PGPASSWORD` is among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("pg", &self.pg.keys())
            .field("home", &self.home)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}

impl Environment {
    /// Reads it.
    pub fn read() -> Self {
        Self {
            pg: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .filter(|(name, _)| name.starts_with("PG"))
                .collect(),
            home: variable("HOME")
                .or_else(|| variable("USERPROFILE"))
                .map(PathBuf::from),
            user: variable("USER")
                .or_else(|| variable("LOGNAME"))
                .or_else(|| variable("USERNAME"))
                .or_else(crate::input::user_name),
            columns: variable("COLUMNS").and_then(|columns| columns.parse().ok()),
            folder: std::env::current_dir().ok(),
            path: variable("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            serve_token: variable("PGADVISE_SERVE_TOKEN").filter(|token| !token.is_empty()),
            temp: variable("TMPDIR").map(PathBuf::from),
            github: GitHub {
                actions: variable("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
                summary: variable("GITHUB_STEP_SUMMARY").map(PathBuf::from),
            },
            cache: variable("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute())
                .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))
                .map(|folder| folder.join("pgadvise")),
        }
    }

    /// The variable that names a database, when one does: then `explain` asks
    /// that database without being told to.
    pub fn names_database(&self) -> Option<&'static str> {
        ["PGSERVICE", "PGDATABASE", "PGHOST", "PGHOSTADDR"]
            .into_iter()
            .find(|name| self.pg.get(*name).is_some_and(|value| !value.is_empty()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
