//! Finds the files of migrations below the paths that the user gave.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use crate::advise::suppress::nearest;
use crate::input::InputError;
use crate::migration::framework::Marker;
use crate::migration::framework::recognise::MARKERS;
use crate::source::Problem;

/// Folders that hold other people's files.
const FOREIGN: &[&str] = &["node_modules", "target", "vendor", "__pycache__"];
/// Folders above the migrations that are looked into for signs of a framework.
const MOST_ABOVE: usize = 8;
/// Largest manifest that is looked into.
const MAX_MANIFEST: u64 = 4 << 20;

/// A file to read.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The path as shown.
    pub(super) shown: String,
    /// The path to open.
    pub(super) path: PathBuf,
    /// The path without links, where it is known.
    pub(super) real: PathBuf,
    /// Its settings file.
    pub(super) beside: Option<PathBuf>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Found>,
    pub(super) markers: Vec<Marker>,
    /// What was not read, and why.
    pub(super) skipped: Vec<(String, String)>,
    /// Folders that could not be read.
    pub(super) failures: Vec<Problem>,
    /// Real paths of what was seen.
    seen: BTreeSet<PathBuf>,
    /// Names that are no SQL, for a word when there is none at all.
    other: BTreeSet<&'static str>,
    /// The markers of each folder.
    marked: HashMap<String, Vec<usize>>,
    /// Folders, as shown, above which signs were looked for.
    looked: HashSet<String>,
    /// What each folder above has: files that are given one by one share them.
    above: HashMap<PathBuf, Above>,
    /// Folders of files that were given one by one.
    folders: HashMap<PathBuf, Folder>,
}

/// Signs of a framework in a folder above the migrations.
#[derive(Debug, Clone, Default)]
struct Above {
    signs: Vec<(&'static str, String)>,
    /// It is the root of a repository.
    root: bool,
}

/// A folder of files that were given one by one.
#[derive(Debug, Clone)]
struct Folder {
    real: PathBuf,
    /// It may have settings files of migrations.
    settings: bool,
}

/// Whether a name is of SQL.
fn is_sql(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

/// How a path is shown: as given, `/` between parts, without `./` before it.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "/");
    let mut text = text.trim_end_matches('/');
    while let Some(rest) = text.strip_prefix("./") {
        text = rest.trim_start_matches('/');
    }
    if text == "." { "" } else { text }.to_owned()
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

impl Walked {
    /// Adds a path that the user gave.
    pub(super) fn add(&mut self, path: &Path) -> Result<(), InputError> {
        let meta = fs::symlink_metadata(path)
            .and_then(|meta| {
                if meta.is_symlink() {
                    fs::metadata(path).map(|meta| (meta, true))
                } else {
                    Ok((meta, false))
                }
            })
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => InputError::NoMigrations {
                    path: path.to_owned(),
                    nearest: nearest_path(path),
                },
                _ => crate::input::failed(path, error),
            });
        let (meta, linked) = meta?;
        if !meta.is_dir() {
            return self.file(path, linked);
        }
        let real = fs::canonicalize(path).map_err(|error| crate::input::failed(path, error))?;
        self.around(&shown(path), &real, real.join(".git").exists());
        let before = (self.files.len(), self.failures.len());
        self.folder(path, real);
        if (self.files.len(), self.failures.len()) == before {
            return Err(InputError::NoSql {
                path: path.to_owned(),
                instead: self.instead(),
            });
        }
        Ok(())
    }

    /// A file by itself.
    fn file(&mut self, path: &Path, linked: bool) -> Result<(), InputError> {
        let own = path.parent().unwrap_or(Path::new(""));
        let folder = self.folder_of(own)?;
        let real = match path.file_name() {
            Some(name) if !linked => folder.real.join(name),
            _ => fs::canonicalize(path).map_err(|error| crate::input::failed(path, error))?,
        };
        if !self.seen.insert(real.clone()) {
            return Ok(());
        }
        let beside = [path.with_file_name("metadata.toml"), with_conf(path)]
            .into_iter()
            .filter(|_| folder.settings)
            .find(|beside| beside.is_file());
        self.files.push(Found {
            shown: shown(path),
            path: path.to_owned(),
            real,
            beside,
        });
        Ok(())
    }

    /// The folder of a file that was given by itself; it is looked at once.
    fn folder_of(&mut self, own: &Path) -> Result<Folder, InputError> {
        if let Some(folder) = self.folders.get(own) {
            return Ok(folder.clone());
        }
        let listed = if own.as_os_str().is_empty() {
            Path::new(".")
        } else {
            own
        };
        let real = fs::canonicalize(listed).map_err(|error| crate::input::failed(own, error))?;
        let shown_folder = shown(own);
        let has = Own::of(&real);
        for (name, text) in has.signs {
            self.marker(&shown_folder, name, text);
        }
        self.around(&shown_folder, &real, has.root);
        if has.meta && real.join("meta/_journal.json").is_file() {
            // Only that it is there: the other files of the journal were not
            // asked for.
            self.marker(&shown_folder, "_journal.json", String::new());
        }
        let folder = Folder {
            real,
            settings: has.settings,
        };
        self.folders.insert(own.to_owned(), folder.clone());
        Ok(folder)
    }

    /// A folder and all below it.
    fn folder(&mut self, root: &Path, real: PathBuf) {
        let mut waiting = vec![(root.to_owned(), shown(root), real)];
        while let Some((path, own, real)) = waiting.pop() {
            if !self.seen.insert(real.clone()) {
                self.skipped
                    .push((own, "it links to a folder that is read already".to_owned()));
                continue;
            }
            let entries = match fs::read_dir(&path).and_then(Iterator::collect::<Result<Vec<_>, _>>)
            {
                Ok(entries) => entries,
                Err(error) => {
                    self.failures.push(
                        Problem::new(format!("the folder {own} cannot be listed: {error}"))
                            .with_hint("check the rights with ls -ld"),
                    );
                    self.skipped
                        .push((own, "its files could not be listed".to_owned()));
                    continue;
                }
            };
            let mut below = self.entries(entries, &own, &real);
            // The stack gives back the last first.
            below.reverse();
            waiting.append(&mut below);
        }
    }

    /// Takes the files of one folder, and gives the folders in it.
    fn entries(
        &mut self,
        entries: Vec<DirEntry>,
        own: &str,
        real: &Path,
    ) -> Vec<(PathBuf, String, PathBuf)> {
        let mut names: Vec<(std::ffi::OsString, DirEntry)> = entries
            .into_iter()
            .map(|entry| (entry.file_name(), entry))
            .collect();
        names.sort_by(|a, b| a.0.cmp(&b.0));
        let settings: BTreeSet<&OsStr> = names
            .iter()
            .map(|(name, _)| name.as_os_str())
            .filter(|name| is_settings(name))
            .collect();
        let mut below = Vec::new();
        for (name, entry) in &names {
            let text = name.to_string_lossy();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            let path = entry.path();
            let linked = kind.is_symlink();
            let folder = if linked { path.is_dir() } else { kind.is_dir() };
            if folder {
                if text == ".sqlx" {
                    self.marker(own, &text, String::new());
                }
                if text.starts_with('.') || FOREIGN.contains(&text.as_ref()) {
                    continue;
                }
                let real = if linked {
                    match fs::canonicalize(&path) {
                        Ok(real) => real,
                        Err(error) => {
                            self.skipped.push((
                                join(own, &text),
                                format!("the link cannot be followed: {error}"),
                            ));
                            continue;
                        }
                    }
                } else {
                    real.join(name)
                };
                below.push((path, join(own, &text), real));
                continue;
            }
            if is_sql(&text) && !text.starts_with('.') {
                // To read a pipe is to wait for whoever writes to it.
                let odd = if linked {
                    fs::metadata(&path).is_ok_and(|meta| !meta.is_file())
                } else {
                    !kind.is_file()
                };
                if odd {
                    self.skipped.push((
                        join(own, &text),
                        "it is no regular file, but a pipe or a device".to_owned(),
                    ));
                    continue;
                }
                let real = if linked {
                    fs::canonicalize(&path).unwrap_or_else(|_| real.join(name))
                } else {
                    real.join(name)
                };
                if self.seen.insert(real.clone()) {
                    let conf = with_conf(&path);
                    let beside = if conf.file_name().is_some_and(|conf| settings.contains(conf)) {
                        Some(conf)
                    } else if settings.contains(OsStr::new("metadata.toml")) {
                        Some(path.with_file_name("metadata.toml"))
                    } else {
                        None
                    };
                    self.files.push(Found {
                        shown: join(own, &text),
                        path,
                        real,
                        beside,
                    });
                }
                continue;
            }
            self.beside(own, &text, &path);
        }
        below
    }

    /// A file that is no SQL.
    fn beside(&mut self, own: &str, name: &str, path: &Path) {
        if name == "_journal.json" {
            let folder = own
                .strip_suffix("meta")
                .map(|own| own.trim_end_matches('/'));
            if let Some(folder) = folder {
                self.marker(folder, name, manifest(path));
            }
            return;
        }
        if let Some((_, read)) = MARKERS.iter().find(|(marker, _)| *marker == name) {
            let text = if *read { manifest(path) } else { String::new() };
            self.marker(own, name, text);
            return;
        }
        let kind = Path::new(name).extension().and_then(OsStr::to_str);
        if let Some(kind) = ["py", "rb", "ts", "js", "xml", "yaml", "yml", "go", "php"]
            .into_iter()
            .find(|other| Some(*other) == kind)
        {
            self.other.insert(kind);
        }
    }

    fn marker(&mut self, folder: &str, name: &str, text: String) {
        let marker = Marker {
            folder: folder.to_owned(),
            name: name.to_owned(),
            text,
        };
        let of_folder = self.marked.entry(marker.folder.clone()).or_default();
        if !of_folder
            .iter()
            .any(|at| self.markers.get(*at) == Some(&marker))
        {
            of_folder.push(self.markers.len());
            self.markers.push(marker);
        }
    }

    /// Signs in the folders above, up to the root of the repository.
    fn around(&mut self, own: &str, real: &Path, root: bool) {
        if !self.looked.insert(own.to_owned()) || root {
            return;
        }
        for above in real.ancestors().skip(1).take(MOST_ABOVE) {
            let found = if let Some(found) = self.above.get(above) {
                found.clone()
            } else {
                let found = Above::of(above);
                self.above.insert(above.to_owned(), found.clone());
                found
            };
            for (name, text) in found.signs {
                self.marker(own, name, text);
            }
            if found.root {
                break;
            }
        }
    }

    /// How to get SQL of the migrations that are there.
    fn instead(&self) -> Option<&'static str> {
        let has = |kind| self.other.contains(kind);
        if has("py") {
            Some(
                "its migrations are written in Python; print them: alembic upgrade BASE:HEAD --sql | pgadvise check -, or manage.py sqlmigrate APP NAME | pgadvise check -",
            )
        } else if has("rb") {
            Some(
                "its migrations are written in Ruby; with config.active_record.schema_format = :sql, check db/structure.sql",
            )
        } else if has("xml") || has("yaml") || has("yml") {
            Some(
                "if these are changelogs of Liquibase, print them: liquibase update-sql | pgadvise check -",
            )
        } else if has("ts") || has("js") || has("go") || has("php") {
            Some(
                "its migrations are written in a programming language; let its tool print SQL, and pipe it into pgadvise check -",
            )
        } else {
            None
        }
    }
}

/// What a folder of files that were given one by one has, from one listing.
struct Own {
    signs: Vec<(&'static str, String)>,
    /// It is the root of a repository.
    root: bool,
    /// It has a folder of that name.
    meta: bool,
    settings: bool,
}

impl Own {
    fn of(folder: &Path) -> Self {
        let mut own = Self {
            signs: Vec::new(),
            root: false,
            meta: false,
            settings: false,
        };
        let Ok(entries) = fs::read_dir(folder) else {
            // Files of a folder that cannot be listed can be there all the same.
            let Above { signs, root } = Above::of(folder);
            return Self {
                signs,
                root,
                meta: true,
                settings: true,
            };
        };
        for name in entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name())) {
            own.root |= name == ".git";
            own.meta |= name == "meta";
            own.settings |= is_settings(&name);
            if let Some((sign, read)) = MARKERS.iter().find(|(sign, _)| name == *sign) {
                own.signs.push(found(folder, sign, *read));
            }
        }
        // Folders are listed in no order.
        own.signs.sort_unstable();
        own
    }
}

impl Above {
    fn of(folder: &Path) -> Self {
        let mut signs = Vec::new();
        for (name, read) in MARKERS {
            if folder.join(name).exists() {
                signs.push(found(folder, name, *read));
            }
        }
        Self {
            signs,
            root: folder.join(".git").exists(),
        }
    }
}

/// A sign that a folder has, with its text where that is looked into.
fn found(folder: &Path, name: &'static str, read: bool) -> (&'static str, String) {
    let text = if read {
        manifest(&folder.join(name))
    } else {
        String::new()
    };
    (name, text)
}

/// Whether a name may be of a migration's settings file.
fn is_settings(name: &OsStr) -> bool {
    name == "metadata.toml" || Path::new(name).extension() == Some(OsStr::new("conf"))
}

/// Flyway's settings of a migration: its name and `.conf`.
fn with_conf(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".conf");
    path.with_file_name(name)
}

/// The text of a manifest; nothing when it cannot be read, since it only helps.
fn manifest(path: &Path) -> String {
    crate::input::open(path, MAX_MANIFEST)
        .ok()
        .and_then(|file| std::io::read_to_string(file).ok())
        .unwrap_or_default()
}

/// What is there under a name like the one that was given.
fn nearest_path(path: &Path) -> Option<PathBuf> {
    let wanted = path.file_name()?.to_string_lossy().into_owned();
    let parent = path.parent().unwrap_or(Path::new(""));
    let looked = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let mut names: Vec<String> = fs::read_dir(looked)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    nearest(&wanted, &known).map(|name| parent.join(name))
}
