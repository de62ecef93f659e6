//! Twins are kept by content: the second run with the same snapshot copies the
//! stopped server's files instead of making them.
//!
//! A kept twin is never used itself. Each run works on its own copy, so that
//! runs at the same time and crashes cannot damage what is kept. Holes stay
//! holes: a twin of a terabyte takes some megabytes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Loaded, Progress, Refused, TwinError, lay, load};
#[cfg(feature = "embedded")]
use crate::pg::cluster::FOR_SUGGESTIONS;
use crate::pg::cluster::copy::{self, Copied};
#[cfg(feature = "embedded")]
use crate::pg::cluster::embedded::{Embedded, ServerOptions};
use crate::pg::cluster::native::{Locale, Native, NativeOptions};
use crate::pg::cluster::private::{self, make_private, text_of};
use crate::pg::cluster::programs::{self, Installed, Search, installed};
use crate::pg::cluster::{Cluster, ClusterError};
use crate::snapshot::Snapshot;

/// How many twins are kept.
const MOST: usize = 20;
/// How much disk all kept twins may take together, in bytes.
const MOST_BYTES: u64 = 2 << 30;
/// What is written beside the data; a kept twin without it is not one.
const INDEX: &str = "twin.json";
/// A file whose time says when the twin was used last.
const USED: &str = "used";
/// The stopped server's files.
const DATA: &str = "data.tar";
/// The version of what is kept.
const FORM: u64 = 2;

/// Which server a twin shall run on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineWish {
    /// An installed one of the snapshot's major version, else the embedded
    /// one.
    #[default]
    Auto,
    /// The embedded one.
    Embedded,
    /// An installed one, of the snapshot's major version where there is one.
    Native,
}

/// How to open a twin.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// What it is a twin of.
    pub snapshot: Arc<Snapshot>,
    /// The snapshot's content, hashed, in hexadecimal digits. Empty where the
    /// twin is not to be kept: of a snapshot that nobody wrote to a file.
    pub hash: String,
    /// On which server.
    pub engine: EngineWish,
    /// Where installed servers are.
    pub search: Search,
    /// The folder that twins are kept in (`…/pgadvise`); none are without.
    pub cache: Option<PathBuf>,
    /// The folder for temporary files.
    pub temp: PathBuf,
    /// The pgadvise program, which is its own server process.
    pub program: PathBuf,
    /// Time for one statement of the schema.
    pub load_limit: Duration,
    /// Time for one statement afterwards.
    pub statement_limit: Duration,
}

/// A twin that is up.
#[derive(Debug)]
pub struct OpenTwin {
    /// The running server.
    pub cluster: Box<dyn Cluster>,
    /// What became of the snapshot in it.
    pub loaded: Loaded,
    /// It was kept from an earlier run.
    pub warm: bool,
}

/// Makes a running empty cluster into a twin, and leaves it stopped, with
/// all files laid.
pub type Build<'a> =
    &'a mut dyn FnMut(&mut dyn Cluster, &Snapshot, Progress<'_>) -> Result<Loaded, TwinError>;

/// The usual [`Build`]: creates the snapshot's schema with its statistics, and
/// gives the files their sizes.
pub fn make(
    cluster: &mut dyn Cluster,
    snapshot: &Snapshot,
    progress: Progress<'_>,
) -> Result<Loaded, TwinError> {
    let mut loaded = load::load(cluster, snapshot, progress)?;
    progress("laying files", 0, 1);
    // The session needs the cluster, and so do paths: these are looked up
    // where the server was told to keep its data.
    let (folder, base) = (cluster.folder().to_owned(), cluster.file(""));
    let file = |relative: &str| private::inside(&folder, &base, relative);
    let session = cluster.session()?;
    let files = lay::relation_files(session)?;
    let prepared = lay::prepare(session, snapshot, &file)?;
    loaded.notes.extend(prepared.notes.iter().cloned());
    cluster.stop()?;
    lay::lay_all(&file, &files, snapshot, &prepared)?;
    Ok(loaded)
}

/// The server that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Chosen {
    #[cfg(feature = "embedded")]
    Embedded,
    Native(Installed),
}

/// Opens the twin of a snapshot: a copy of the kept one where there is one,
/// else a new one, which is kept.
pub fn open(
    options: &OpenOptions,
    build: Build<'_>,
    progress: Progress<'_>,
) -> Result<OpenTwin, TwinError> {
    lay::check_sizes(&options.snapshot)?;
    let chosen = choose(options)?;
    // What each part took is told to whoever wants to know (`-vv`).
    let (mut last, mut since) = (String::new(), Instant::now());
    let mut timed = |what: &str, done: usize, all: usize| {
        if what != last {
            if !last.is_empty() {
                tracing::debug!("{last}: {} ms", since.elapsed().as_millis());
            }
            since = Instant::now();
            what.clone_into(&mut last);
        }
        progress(what, done, all);
    };
    let progress: Progress<'_> = &mut timed;
    let opened = open_either(options, &chosen, build, progress);
    progress("open", 1, 1);
    opened
}

/// Opens it on the chosen server, or on the embedded one where the chosen one
/// does not run.
fn open_either(
    options: &OpenOptions,
    chosen: &Chosen,
    build: Build<'_>,
    progress: Progress<'_>,
) -> Result<OpenTwin, TwinError> {
    match open_on(options, chosen, build, progress) {
        // An installed server that cannot be run here is a reason to take the
        // other one, when the user did not ask for it.
        #[cfg(feature = "embedded")]
        Err(TwinError::Cluster(error))
            if options.engine == EngineWish::Auto
                && options.search.pg_bin.is_none()
                && *chosen != Chosen::Embedded =>
        {
            let mut twin = open_on(options, &Chosen::Embedded, build, progress)?;
            twin.loaded.notes.push(format!(
                "the installed server was not used: {}",
                with_cause(&error)
            ));
            Ok(twin)
        }
        other => other,
    }
}

#[cfg(feature = "embedded")]
fn with_cause(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn open_on(
    options: &OpenOptions,
    chosen: &Chosen,
    build: Build<'_>,
    progress: Progress<'_>,
) -> Result<OpenTwin, TwinError> {
    let entry = options
        .cache
        .as_ref()
        .filter(|_| !options.hash.is_empty())
        .map(|cache| Entry::new(cache, options, chosen));
    if let Some(entry) = &entry
        && let Some(index) = entry.index()
    {
        progress("starting the kept twin", 0, 1);
        match start(
            options,
            chosen,
            Some((&entry.data(), index.extensions.as_slice())),
        ) {
            Ok(started) if started.copied().is_same(&index.copied) => {
                entry.touch();
                return Ok(OpenTwin {
                    cluster: started.boxed(options),
                    loaded: index.loaded,
                    warm: true,
                });
            }
            // Damaged, or removed meanwhile: made anew.
            Ok(_) => tracing::debug!("{} is not complete", entry.folder.display()),
            Err(error) => tracing::debug!("{} does not start: {error}", entry.folder.display()),
        }
        drop(std::fs::remove_dir_all(&entry.folder));
    }
    progress("starting a server", 0, 1);
    let mut started = start(options, chosen, None)?;
    let mut loaded = build(started.cluster(), &options.snapshot, progress)?;
    loaded.notes.extend(started.notes());
    progress("stopping the server", 0, 1);
    started.cluster().stop()?;
    progress("keeping the twin", 0, 1);
    if let Some(entry) = &entry
        && let Err(error) = entry.store(&started, &loaded)
    {
        // Only the next run's speed depends on it.
        tracing::debug!("no twin kept in {}: {error}", entry.folder.display());
    }
    progress("starting the twin", 0, 1);
    started.cluster().start()?;
    Ok(OpenTwin {
        cluster: started.boxed(options),
        loaded,
        warm: false,
    })
}

/// Chooses the server.
fn choose(options: &OpenOptions) -> Result<Chosen, TwinError> {
    #[cfg(feature = "embedded")]
    if options.engine == EngineWish::Embedded {
        return Ok(Chosen::Embedded);
    }
    let wanted = options.snapshot.origin.version_num / 10_000;
    let found = installed(&options.search);
    let same = found.iter().find(|one| one.major == wanted);
    if let Some(same) = same
        && options.engine != EngineWish::Embedded
    {
        return Ok(Chosen::Native(same.clone()));
    }
    #[cfg(feature = "embedded")]
    if options.engine == EngineWish::Auto && options.search.pg_bin.is_none() {
        return Ok(Chosen::Embedded);
    }
    if cfg!(not(feature = "embedded")) && options.engine == EngineWish::Embedded {
        return Err(TwinError::Unusable {
            reason: "this program was built without its embedded PostgreSQL".to_owned(),
        });
    }
    // The nearest of another version, rather a newer one.
    found
        .into_iter()
        .min_by_key(|one| (one.major.abs_diff(wanted), u32::MAX - one.major))
        .map(Chosen::Native)
        .ok_or_else(|| {
            TwinError::Cluster(ClusterError::NotFound {
                wanted: wanted.to_string(),
                looked: programs::places(&options.search),
            })
        })
}

/// A cluster of either kind, before it is one of many.
#[derive(Debug)]
enum Started {
    #[cfg(feature = "embedded")]
    Embedded(Box<Embedded>),
    Native(Box<Native>),
}

impl Started {
    fn cluster(&mut self) -> &mut dyn Cluster {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(cluster) => cluster.as_mut(),
            Self::Native(cluster) => cluster.as_mut(),
        }
    }

    fn boxed(self, options: &OpenOptions) -> Box<dyn Cluster> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(mut cluster) => {
                cluster.set_statement_limit(options.statement_limit);
                cluster
            }
            Self::Native(mut cluster) => {
                cluster.set_statement_limit(options.statement_limit);
                cluster
            }
        }
    }

    fn copied(&self) -> Copied {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(cluster) => cluster.copied(),
            Self::Native(cluster) => cluster.copied(),
        }
    }

    fn folder(&self) -> &Path {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(cluster) => cluster.folder(),
            Self::Native(cluster) => cluster.folder(),
        }
    }

    fn notes(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(_) => Vec::new(),
            Self::Native(cluster) => cluster.notes().to_vec(),
        }
    }

    fn extensions(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "embedded")]
            Self::Embedded(cluster) => cluster.created().to_vec(),
            Self::Native(_) => Vec::new(),
        }
    }
}

/// Starts the chosen server, empty or on a copy of kept data (with the
/// extensions that exist in it).
fn start(
    options: &OpenOptions,
    chosen: &Chosen,
    stored: Option<(&Path, &[String])>,
) -> Result<Started, ClusterError> {
    let data = stored.map(|(data, _)| data);
    match chosen {
        #[cfg(feature = "embedded")]
        Chosen::Embedded => {
            let mut extensions: Vec<String> = FOR_SUGGESTIONS
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
            extensions.extend(
                options
                    .snapshot
                    .extensions
                    .iter()
                    .map(|extension| extension.name.clone()),
            );
            let server = ServerOptions {
                program: options.program.clone(),
                temp: options.temp.clone(),
                extensions,
                created: stored.map(|(_, names)| names.to_vec()).unwrap_or_default(),
                settings: ServerOptions::twin_settings(),
                statement_limit: options.load_limit,
            };
            let cluster = Embedded::begin(server, data)?.finish()?;
            Ok(Started::Embedded(Box::new(cluster)))
        }
        Chosen::Native(installed) => {
            let origin = &options.snapshot.origin;
            let native = NativeOptions {
                program: options.program.clone(),
                installed: installed.clone(),
                locale: Locale {
                    encoding: origin.encoding.clone(),
                    provider: origin.locale_provider.clone(),
                    collate: origin.collate.clone(),
                    ctype: origin.ctype.clone(),
                    locale: origin.locale.clone(),
                },
                temp: options.temp.clone(),
                cache: options.cache.clone(),
                statement_limit: options.load_limit,
                settings: Vec::new(),
            };
            let cluster = match data {
                Some(data) => Native::start_on(&native, data)?,
                None => Native::start(&native)?,
            };
            Ok(Started::Native(Box::new(cluster)))
        }
    }
}

/// The place of a kept twin.
#[derive(Debug)]
struct Entry {
    folder: PathBuf,
}

/// What is known of a kept twin.
#[derive(Debug, PartialEq)]
struct Index {
    copied: Copied,
    loaded: Loaded,
    extensions: Vec<String>,
}

impl Entry {
    fn new(cache: &Path, options: &OpenOptions, chosen: &Chosen) -> Self {
        let hex: String = options
            .hash
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(32)
            .collect();
        let engine = match chosen {
            #[cfg(feature = "embedded")]
            Chosen::Embedded => "embedded".to_owned(),
            Chosen::Native(installed) => {
                // Two builds of one version may differ in what they can.
                let mut hash = Sha256::new();
                hash.update(installed.bin.as_os_str().as_encoded_bytes());
                let build = private::hex(hash, 4);
                format!("native-{}-{build}", installed.version)
            }
        };
        Self {
            folder: cache
                .join("twins")
                .join(format!("{hex}-{engine}-{}", env!("CARGO_PKG_VERSION"))),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join(DATA)
    }

    fn index(&self) -> Option<Index> {
        Index::read(&text_of(&self.folder.join(INDEX))?)
    }

    /// Notes that it was used now.
    fn touch(&self) {
        drop(File::create(self.folder.join(USED)));
    }

    /// Keeps a stopped server's files, all or nothing.
    fn store(&self, started: &Started, loaded: &Loaded) -> std::io::Result<()> {
        let Some(twins) = self.folder.parent() else {
            return Ok(());
        };
        make_private(twins)?;
        let made = tempfile::Builder::new().prefix(".new-").tempdir_in(twins)?;
        let new = made.path().join("twin");
        make_private(&new)?;
        let copied = copy::pack(&private::data(started.folder()), &new.join(DATA))?;
        let index = Index {
            copied,
            loaded: loaded.clone(),
            extensions: started.extensions(),
        };
        let mut file = File::create(new.join(INDEX))?;
        file.write_all(index.text().as_bytes())?;
        File::create(new.join(USED))?;
        // Another run may have kept the same meanwhile.
        drop(std::fs::rename(&new, &self.folder));
        limit(twins, MOST, MOST_BYTES);
        Ok(())
    }
}

/// Removes the twins that were not used for longest, beyond what may be kept,
/// and what runs left that were killed while they wrote.
fn limit(twins: &Path, most: usize, most_bytes: u64) {
    let mut kept: Vec<(SystemTime, PathBuf, u64)> = Vec::new();
    let used = |folder: &Path| std::fs::metadata(folder.join(USED))?.modified();
    let mut newest = None;
    let mut unfinished = Vec::new();
    for entry in std::fs::read_dir(twins).into_iter().flatten().flatten() {
        let folder = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            unfinished.push(folder);
            continue;
        }
        let when = used(&folder).unwrap_or(SystemTime::UNIX_EPOCH);
        newest = newest.max(Some(when));
        let on_disk = text_of(&folder.join(INDEX))
            .and_then(|text| Index::read(&text))
            .map_or(0, |index| index.copied.on_disk);
        kept.push((when, folder, on_disk));
    }
    kept.sort();
    let mut bytes = 0_u64;
    for (at, (_, folder, on_disk)) in kept.iter().rev().enumerate() {
        bytes = bytes.saturating_add(*on_disk);
        // The newest stays whatever its size.
        if at > 0 && (at >= most || bytes > most_bytes) {
            drop(std::fs::remove_dir_all(folder));
        }
    }
    for folder in unfinished {
        // Nobody copies for an hour.
        let old = std::fs::metadata(&folder)
            .and_then(|found| found.modified())
            .is_ok_and(|made| newest.is_some_and(|newest| made + Duration::from_hours(1) < newest));
        if old {
            drop(std::fs::remove_dir_all(&folder));
        }
    }
}

impl Index {
    fn text(&self) -> String {
        let Loaded {
            refused,
            notes,
            settings,
        } = &self.loaded;
        json!({
            "form": FORM,
            "files": self.copied.files,
            "bytes": self.copied.bytes,
            "on_disk": self.copied.on_disk,
            "extensions": self.extensions,
            "notes": notes,
            "settings": settings.iter().map(|(name, value)| json!([name, value])).collect::<Vec<_>>(),
            "refused": refused
                .iter()
                .map(|refused| json!([refused.object, refused.message]))
                .collect::<Vec<_>>(),
        })
        .to_string()
    }

    fn read(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        if value.get("form")?.as_u64()? != FORM {
            return None;
        }
        let number = |name: &str| value.get(name)?.as_u64();
        let pairs = |name: &str| -> Option<Vec<(String, String)>> {
            value
                .get(name)?
                .as_array()?
                .iter()
                .map(|pair| {
                    let text = |at: usize| Some(pair.get(at)?.as_str()?.to_owned());
                    Some((text(0)?, text(1)?))
                })
                .collect()
        };
        let texts = |name: &str| -> Option<Vec<String>> {
            value
                .get(name)?
                .as_array()?
                .iter()
                .map(|text| text.as_str().map(str::to_owned))
                .collect()
        };
        Some(Self {
            copied: Copied {
                files: number("files")?,
                bytes: number("bytes")?,
                on_disk: number("on_disk")?,
            },
            loaded: Loaded {
                refused: pairs("refused")?
                    .into_iter()
                    .map(|(object, message)| Refused { object, message })
                    .collect(),
                notes: texts("notes")?,
                settings: pairs("settings")?,
            },
            extensions: texts("extensions")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        Index {
            copied: Copied {
                files: 3,
                bytes: 1 << 40,
                on_disk: 4096,
            },
            loaded: Loaded {
                refused: vec![Refused {
                    object: "index a".to_owned(),
                    message: "no \"b\"".to_owned(),
                }],
                notes: vec!["one\ntwo".to_owned()],
                settings: vec![("work_mem".to_owned(), "1MB".to_owned())],
            },
            extensions: vec!["citext".to_owned()],
        }
    }

    #[test]
    fn what_is_known_of_a_twin_is_read_as_it_was_written() {
        assert_eq!(Index::read(&index().text()), Some(index()));
        assert_eq!(Index::read(""), None);
        let text = index().text();
        assert_eq!(Index::read(text.get(..text.len() / 2).unwrap()), None);
        assert_eq!(Index::read(&text.replace("\"form\":", "\"form\":9")), None);
    }

    #[test]
    fn twins_beyond_the_limit_are_removed_the_longest_unused_first() {
        let twins = tempfile::tempdir().unwrap();
        let mut made = Vec::new();
        for (number, minutes) in [(0_u64, 10), (1, 30), (2, 20), (3, 0)] {
            let folder = twins.path().join(format!("t{number}"));
            std::fs::create_dir(&folder).unwrap();
            File::create(folder.join(INDEX))
                .unwrap()
                .write_all(index().text().as_bytes())
                .unwrap();
            File::create(folder.join(USED))
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH + Duration::from_mins(minutes))
                .unwrap();
            made.push(folder);
        }
        let left = |made: &[PathBuf]| made.iter().map(|f| f.exists()).collect::<Vec<_>>();
        limit(twins.path(), 3, u64::MAX);
        assert_eq!(left(&made), [true, true, true, false]);
        limit(twins.path(), 9, 2 * 4096);
        assert_eq!(left(&made), [false, true, true, false]);
        limit(twins.path(), 9, 1);
        assert_eq!(left(&made), [false, true, false, false]);
    }
}
