//! Where the programs of installed servers are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What is known of the surroundings: values, as the environment is read
/// elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// A folder that the user gave; nothing else is looked at then.
    pub pg_bin: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
}

/// An installed server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The folder of `initdb` and `postgres`.
    pub bin: PathBuf,
    /// The major version: 16.
    pub major: u32,
    /// The version as `postgres --version` says it: `16.4`.
    pub version: String,
}

/// Folders that hold a folder for each version, and what is in those.
const PLACES: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", "bin"),
    ("/usr/lib/postgresql", "lib64/postgresql/bin"),
    ("/usr/lib64/postgresql", "bin"),
    ("/opt/local/lib", "bin"),
    ("/usr/local/lib", "bin"),
    ("/opt/homebrew/opt", "bin"),
    ("/usr/local/opt", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ("/Library/PostgreSQL", "bin"),
    ("/opt/postgresql", "bin"),
    ("/usr", "bin"),
];

/// Where servers are looked for, in words.
pub fn places(search: &Search) -> String {
    match &search.pg_bin {
        Some(folder) => folder.display().to_string(),
        None => "pg_config --bindir, /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, \
                 the folders of Homebrew, MacPorts and Postgres.app, and PATH"
            .to_owned(),
    }
}

/// All installed servers of a supported version, the newest first.
pub fn installed(search: &Search) -> Vec<Installed> {
    let mut found: Vec<Installed> = Vec::new();
    for bin in candidates(search) {
        if found.iter().any(|other| other.bin == bin) {
            continue;
        }
        if let Some(one) = look(&bin) {
            found.push(one);
        }
    }
    // The order of places decides between two of the same version.
    found.sort_by_key(|one| std::cmp::Reverse((one.major, minor(&one.version))));
    found
}

/// Folders with both programs, in the order of preference.
fn candidates(search: &Search) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(folder) = &search.pg_bin {
        // `--pg-bin` may as well name the folder above.
        folders.push(folder.clone());
        folders.push(folder.join("bin"));
    } else {
        if let Some(folder) = told_by_pg_config(search) {
            folders.push(folder);
        }
        for (place, below) in PLACES {
            for folder in versions(Path::new(place)) {
                folders.push(folder.join(below));
            }
        }
        folders.extend(search.path.iter().cloned());
    }
    let mut complete: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !(folder.join("postgres").is_file() && folder.join("initdb").is_file()) {
            continue;
        }
        // The same server is often reached by several ways.
        let folder = folder.canonicalize().unwrap_or(folder);
        if !complete.contains(&folder) {
            complete.push(folder);
        }
    }
    complete
}

fn told_by_pg_config(search: &Search) -> Option<PathBuf> {
    let program = search
        .path
        .iter()
        .map(|folder| folder.join("pg_config"))
        .find(|program| program.is_file())?;
    let output = Command::new(program).arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// Folders of versions in a place, by name: `16`, `postgresql@16`,
/// `pgsql-16`, `latest`.
fn versions(place: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(place)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| {
                name.starts_with("postgresql")
                    || name.starts_with("pgsql-")
                    || name.starts_with(|first: char| first.is_ascii_digit())
            })
        })
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
}

/// Asks a server's program for its version.
fn look(bin: &Path) -> Option<Installed> {
    let output = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = version_in(&text)?;
    let major = version
        .split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()?;
    (major >= 13).then(|| Installed {
        bin: bin.to_owned(),
        major,
        version: version.to_owned(),
    })
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` has it as its third word.
fn version_in(text: &str) -> Option<&str> {
    text.split_whitespace()
        .skip_while(|word| *word != "(PostgreSQL)")
        .nth(1)
}

fn minor(version: &str) -> u32 {
    version
        .split('.')
        .nth(1)
        .and_then(|minor| {
            minor
                .split(|c: char| !c.is_ascii_digit())
                .next()?
                .parse()
                .ok()
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_print_them() {
        assert_eq!(
            version_in("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"),
            Some("15.14")
        );
        assert_eq!(version_in("postgres (PostgreSQL) 18beta2"), Some("18beta2"));
        assert_eq!(version_in("something else"), None);
        assert_eq!(minor("15.14"), 14);
        assert_eq!(minor("18beta2"), 0);
    }

    #[test]
    fn a_folder_without_programs_is_no_server() {
        let empty = tempfile::tempdir().unwrap();
        let search = Search {
            pg_bin: Some(empty.path().to_owned()),
            path: Vec::new(),
        };
        assert_eq!(installed(&search), []);
    }
}
