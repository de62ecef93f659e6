//! A cluster of an installed PostgreSQL.
//!
//! Its processes belong to a keeper ([`super::keeper`]), a process of
//! pgadvise that ends them when pgadvise is gone. What users and snapshots
//! defined runs in the session of a role without rights; the superuser's
//! session only changes catalogues.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::copy::{self, Copied};
use super::keeper::{self, DATABASE, DONE, Orders, ROLE, SUPERUSER};
use super::private::{self, PrivateFolder};
use super::programs::Installed;
use super::{Cluster, ClusterError, ClusterKind};
use crate::pg::{Limits, Session};

/// Port number in the socket's file name.
const PORT: u16 = 5432;
/// The file of a template that has the prepared cluster.
const PACKED: &str = "data.tar";
/// What the superuser's session has from its first statement on: no function
/// or operator of others may stand in for the server's own.
const GUARDED: &str = "-c search_path=pg_catalog -c standard_conforming_strings=on";
/// How long the keeper may take to remove everything.
const LEAVE: Duration = Duration::from_secs(10);

/// How to start a native cluster.
#[derive(Debug, Clone)]
pub struct NativeOptions {
    /// The pgadvise program, which is its own keeper.
    pub program: PathBuf,
    /// The server.
    pub installed: Installed,
    /// Encoding and locale of the database.
    pub locale: Locale,
    /// The folder for temporary files.
    pub temp: PathBuf,
    /// The folder in which prepared clusters are kept for the next run.
    pub cache: Option<PathBuf>,
    /// Time for one statement.
    pub statement_limit: Duration,
    /// Further settings of the server, `name=value`.
    pub settings: Vec<String>,
}

/// Encoding and locale of a database, by the names that `pg_database` has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locale {
    /// `UTF8`.
    pub encoding: String,
    /// `c` (libc), `i` (ICU), `b` (builtin).
    pub provider: String,
    /// `datcollate`.
    pub collate: String,
    /// `datctype`.
    pub ctype: String,
    /// `datlocale`.
    pub locale: Option<String>,
}

impl Default for Locale {
    fn default() -> Self {
        Self {
            encoding: "UTF8".to_owned(),
            provider: "c".to_owned(),
            collate: "C".to_owned(),
            ctype: "C".to_owned(),
            locale: None,
        }
    }
}

/// A running native cluster.
#[derive(Debug)]
pub struct Native {
    // Dropped first, so that the server has no clients.
    session: Option<Session>,
    admin: Option<Session>,
    keeper: Keeper,
    folder: PrivateFolder,
    owner: copy::Owner,
    installed: Installed,
    version_num: u32,
    version: String,
    limits: Limits,
    notes: Vec<String>,
    copied: Copied,
}

impl Native {
    /// Starts an empty cluster.
    pub fn start(options: &NativeOptions) -> Result<Self, ClusterError> {
        Self::begin(options, None)
    }

    /// Starts a cluster on a copy of a data folder that a stopped one of the
    /// same server left.
    pub fn start_on(options: &NativeOptions, stored: &Path) -> Result<Self, ClusterError> {
        Self::begin(options, Some(stored))
    }

    fn begin(options: &NativeOptions, stored: Option<&Path>) -> Result<Self, ClusterError> {
        private::sweep(&options.temp);
        let owner = unprivileged()?;
        let folder = PrivateFolder::create(&options.temp, owner)?;
        let keeper = Keeper::start(
            &options.program,
            &Orders {
                folder: folder.path().to_owned(),
                owner,
                bin: options.installed.bin.clone(),
                settings: options.settings.iter().map(Into::into).collect(),
            },
            &options.installed,
        )?;
        let mut cluster = Self {
            session: None,
            admin: None,
            keeper,
            folder,
            owner,
            installed: options.installed.clone(),
            version_num: 0,
            version: options.installed.version.clone(),
            limits: Limits {
                connect: Duration::from_secs(30),
                statement: options.statement_limit,
                ..Limits::default()
            },
            notes: Vec::new(),
            copied: Copied::default(),
        };
        match stored {
            Some(stored) => cluster.copied = cluster.copy_in(stored)?,
            None => cluster.make(options)?,
        }
        cluster.keeper.order(keeper::START)?;
        let session = cluster.session()?;
        let (number, version) = (session.version_num(), session.version().to_owned());
        cluster.version_num = number;
        cluster.version = version;
        Ok(cluster)
    }

    /// What to know about plans made here: another locale than wanted.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Changes the time limit of each statement that follows.
    pub fn set_statement_limit(&mut self, limit: Duration) {
        self.limits.statement = limit;
        for session in [&mut self.session, &mut self.admin].into_iter().flatten() {
            session.set_statement_limit(limit);
        }
    }

    /// What was copied from the stored folder that it was started on.
    pub fn copied(&self) -> Copied {
        self.copied
    }

    fn data(&self) -> PathBuf {
        private::data(self.folder.path())
    }

    fn copy_in(&self, stored: &Path) -> Result<Copied, ClusterError> {
        copy::unpack(stored, &self.data(), self.owner).map_err(|source| ClusterError::Folder {
            what: "unpack",
            folder: stored.to_owned(),
            source,
        })
    }

    /// Makes the data folder, from a template where there is one.
    fn make(&mut self, options: &NativeOptions) -> Result<(), ClusterError> {
        let template = options
            .cache
            .as_ref()
            .map(|cache| cache.join("templates").join(template_name(options)));
        if let Some(template) = &template
            && template.join(PACKED).is_file()
        {
            if self.copy_in(&template.join(PACKED)).is_ok() {
                self.notes = notes_of(template);
                return Ok(());
            }
            // Removed by someone else meanwhile, or damaged.
            drop(std::fs::remove_dir_all(self.data()));
        }
        let mut last = None;
        for attempt in attempts(&options.locale, self.installed.major) {
            let mut words = vec![keeper::INIT];
            words.extend(attempt.arguments.iter().map(String::as_str));
            // Pages that pgadvise lays have no checksum.
            if self.installed.major >= 18 {
                words.push("--no-data-checksums");
            }
            match self.keeper.order(&words.join("\u{1f}")) {
                Ok(()) => {
                    self.notes.extend(attempt.note);
                    if let Some(template) = &template {
                        self.keep(template);
                    }
                    return Ok(());
                }
                Err(error) => {
                    // The first failure says what is missing.
                    last.get_or_insert(error);
                }
            }
        }
        Err(last.unwrap_or_else(|| ClusterError::NotUp {
            what: self.keeper.what.clone(),
            message: "no locale to try".to_owned(),
        }))
    }

    /// Keeps the prepared cluster for the next run. It is only a matter of
    /// speed: without rights or room there is no template.
    fn keep(&self, template: &Path) {
        let Some(parent) = template.parent() else {
            return;
        };
        let kept = private::make_private(parent).and_then(|()| {
            let made = tempfile::Builder::new()
                .prefix(".new-")
                .tempdir_in(parent)?;
            let new = made.path().join("template");
            private::make_private(&new)?;
            copy::pack(&self.data(), &new.join(PACKED))?;
            write_notes(&new, &self.notes)?;
            // Someone else's may be there by now, which is as good.
            drop(std::fs::rename(&new, template));
            Ok(())
        });
        if let Err(error) = kept {
            tracing::debug!("no template in {}: {error}", template.display());
        }
    }

    fn connect(&self, role: &str) -> Result<Session, ClusterError> {
        Ok(Session::throw_away_with(
            self.folder.path(),
            PORT,
            role,
            DATABASE,
            self.limits,
            (role == SUPERUSER).then_some(GUARDED),
        )?)
    }

    fn disconnect(&mut self) {
        self.session = None;
        self.admin = None;
    }
}

impl Cluster for Native {
    fn kind(&self) -> ClusterKind {
        ClusterKind::Native
    }

    fn version_num(&self) -> u32 {
        self.version_num
    }

    fn description(&self) -> String {
        format!("PostgreSQL {} (installed)", self.version)
    }

    fn session(&mut self) -> Result<&mut Session, ClusterError> {
        let session = match self.session.take() {
            Some(session) if !session.is_lost() => session,
            _ => self.connect(ROLE)?,
        };
        Ok(self.session.insert(session))
    }

    fn admin(&mut self) -> Result<&mut Session, ClusterError> {
        let session = match self.admin.take() {
            Some(session) if !session.is_lost() => session,
            _ => self.connect(SUPERUSER)?,
        };
        Ok(self.admin.insert(session))
    }

    fn file(&self, relative: &str) -> PathBuf {
        private::inside(self.folder.path(), &self.data(), relative)
    }

    fn stop(&mut self) -> Result<(), ClusterError> {
        self.disconnect();
        self.keeper.order(keeper::STOP)
    }

    fn start(&mut self) -> Result<(), ClusterError> {
        // Files that this process made while the server was down.
        copy::own_all(&self.data(), self.owner).map_err(|source| ClusterError::Folder {
            what: "hand over",
            folder: self.data(),
            source,
        })?;
        self.keeper.order(keeper::START)
    }

    fn kill_and_restart(&mut self) -> Result<(), ClusterError> {
        self.keeper.order(keeper::KILL)?;
        self.disconnect();
        Cluster::start(self)
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn has_extension(&mut self, name: &str) -> bool {
        let Ok(session) = self.session() else {
            return false;
        };
        let name: &(dyn tokio_postgres::types::ToSql + Sync) = &name;
        session
            .query(
                "SELECT 1 FROM pg_catalog.pg_available_extensions AS e WHERE e.name = $1",
                &[(name, tokio_postgres::types::Type::TEXT)],
            )
            .is_ok_and(|rows| !rows.is_empty())
    }
}

/// The keeper's process, from its parent's side.
#[derive(Debug)]
struct Keeper {
    child: Child,
    /// Closing it ends everything.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// `PostgreSQL 16 server`.
    what: String,
}

impl Keeper {
    fn start(program: &Path, orders: &Orders, installed: &Installed) -> Result<Self, ClusterError> {
        let what = format!("PostgreSQL {} server", installed.major);
        let mut command = Command::new(program);
        command
            .arg("__native-server")
            .args(orders.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        // An interrupt at the terminal ends pgadvise; the keeper sees that and
        // tidies up.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|source| ClusterError::Program {
            program: program.to_owned(),
            source,
        })?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ClusterError::NotUp {
                what,
                message: "its keeper has no pipes".to_owned(),
            });
        };
        Ok(Self {
            child,
            orders: Some(orders),
            answers: BufReader::new(answers),
            what,
        })
    }

    fn order(&mut self, line: &str) -> Result<(), ClusterError> {
        let written = match &mut self.orders {
            Some(orders) => writeln!(orders, "{line}").and_then(|()| orders.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        let mut answer = String::new();
        let read = written.and_then(|()| self.answers.read_line(&mut answer));
        let message = match read {
            Ok(0) => "its keeper ended".to_owned(),
            Err(error) => format!("its keeper does not answer: {error}"),
            Ok(_) if answer.trim_end() == DONE => return Ok(()),
            Ok(_) => answer.trim_end().to_owned(),
        };
        Err(ClusterError::NotUp {
            what: self.what.clone(),
            message,
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.orders = None;
        let until = Instant::now() + LEAVE;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > until {
                drop(self.child.kill());
                drop(self.child.wait());
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// User and group for the server where this program runs as root, which
/// servers refuse to.
pub fn unprivileged() -> Result<copy::Owner, ClusterError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = private::text_of(Path::new("/etc/passwd")).unwrap_or_default();
    let found = ["postgres", "nobody"].into_iter().find_map(|name| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid: u32 = fields.nth(1)?.parse().ok()?;
            let gid: u32 = fields.next()?.parse().ok()?;
            (uid != 0).then_some((uid, gid))
        })
    });
    found.map(Some).ok_or_else(|| ClusterError::NotUp {
        what: "PostgreSQL server".to_owned(),
        message: "servers do not run as root, and there is neither a user \"postgres\" nor \
                  \"nobody\" to run it as; run pgadvise as another user, or use the embedded one"
            .to_owned(),
    })
}

/// One way to make the cluster.
struct Attempt {
    arguments: Vec<String>,
    note: Option<String>,
}

/// How the wanted locale can be had, from the best way to the one that always
/// works. What matters most to the planner is whether the locale is C: prefix
/// searches use plain indexes only then.
fn attempts(wanted: &Locale, major: u32) -> Vec<Attempt> {
    let is_c = |name: &str| matches!(name, "C" | "POSIX");
    let word = |name: &str| keeper::is_word(name) && name.len() < 100;
    let encoding = if word(&wanted.encoding) {
        wanted.encoding.as_str()
    } else {
        "UTF8"
    };
    let base = |collate: &str, ctype: &str| {
        vec![
            format!("--encoding={encoding}"),
            "--locale=C".to_owned(),
            format!("--lc-collate={collate}"),
            format!("--lc-ctype={ctype}"),
        ]
    };
    let icu = |locale: &str, ctype: &str| {
        let mut arguments = base(ctype, ctype);
        arguments.push("--locale-provider=icu".to_owned());
        arguments.push(format!("--icu-locale={locale}"));
        arguments
    };
    let libc_named = word(&wanted.collate) && word(&wanted.ctype);
    let named = wanted.locale.as_deref().filter(|locale| word(locale));
    let mut all = Vec::new();
    match (wanted.provider.as_str(), named) {
        ("b", Some(locale)) if major >= 17 => {
            let mut arguments = base("C", "C");
            arguments.push("--locale-provider=builtin".to_owned());
            arguments.push(format!("--builtin-locale={locale}"));
            all.push((arguments, false));
        }
        ("i", Some(locale)) if major >= 15 => {
            if libc_named {
                all.push((
                    {
                        let mut arguments = base(&wanted.collate, &wanted.ctype);
                        arguments.push("--locale-provider=icu".to_owned());
                        arguments.push(format!("--icu-locale={locale}"));
                        arguments
                    },
                    false,
                ));
            }
            // Beside ICU, libc's locale counts for little.
            all.push((icu(locale, "C.UTF-8"), false));
            all.push((icu(locale, "C"), false));
        }
        ("c", _) if libc_named => all.push((base(&wanted.collate, &wanted.ctype), false)),
        _ => {}
    }
    let c_like = match wanted.provider.as_str() {
        "c" => is_c(&wanted.collate),
        _ => named == Some("C"),
    };
    if !c_like {
        if wanted.provider == "c" && major >= 15 {
            // `de_DE.utf8` sorts much as ICU's `de-DE` does.
            if let Some(tag) = wanted
                .collate
                .split(['.', '@'])
                .next()
                .filter(|name| word(name) && *name != "C")
            {
                all.push((icu(&tag.replace('_', "-"), "C"), true));
            }
        }
        all.push((base("C.UTF-8", "C.UTF-8"), true));
        all.push((base("en_US.UTF-8", "en_US.UTF-8"), true));
    }
    all.push((base("C", "C"), !c_like));
    all.into_iter()
        .map(|(arguments, differs)| Attempt {
            note: differs.then(|| {
                format!(
                    "this machine has not the database's locale {}: text is sorted by {}, and \
                     estimates for ranges of text may differ",
                    wanted.locale.as_deref().unwrap_or(&wanted.collate),
                    told(&arguments)
                )
            }),
            arguments,
        })
        .collect()
}

/// The locale that arguments of `initdb` ask for.
fn told(arguments: &[String]) -> String {
    let value = |name: &str| {
        arguments
            .iter()
            .find_map(|argument| argument.strip_prefix(name))
    };
    match value("--icu-locale=") {
        Some(locale) => format!("ICU's {locale}"),
        None => value("--lc-collate=").unwrap_or("C").to_owned(),
    }
}

/// A name for the template of this server and locale.
fn template_name(options: &NativeOptions) -> String {
    let Locale {
        encoding,
        provider,
        collate,
        ctype,
        locale,
    } = &options.locale;
    let mut hash = Sha256::new();
    for part in [
        env!("CARGO_PKG_VERSION"),
        &options.installed.bin.to_string_lossy(),
        &options.installed.version,
        encoding,
        provider,
        collate,
        ctype,
        locale.as_deref().unwrap_or_default(),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let hex = private::hex(hash, 8);
    format!("{}-{hex}", options.installed.version)
}

/// The file in a template with the notes about its locale.
const NOTES: &str = "pgadvise.notes";

fn notes_of(template: &Path) -> Vec<String> {
    private::text_of(&template.join(NOTES))
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

fn write_notes(template: &Path, notes: &[String]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(template.join(NOTES))?;
    file.write_all(notes.join("\n").as_bytes())
}
