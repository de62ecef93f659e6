//! A throw-away PostgreSQL server for tests, one for the whole run.
//!
//! It listens on a socket in a private folder. When the tests end, however
//! they end, the pipe to its keeper closes, and the keeper stops the server
//! and removes the folder.
#![expect(
    clippy::disallowed_methods,
    reason = "tests set up files and look for an installed server"
)]

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use pgadvise::pg::{ConnectOptions, Environment, Limits, Session};

/// A running server.
pub(crate) struct Server {
    folder: PathBuf,
    port: u16,
    /// Closing it ends the server.
    _keeper: ChildStdin,
}

/// The server that all tests share; `None`, with a word about it, where none
/// can be had. Under `CI` that is a failure.
pub(crate) fn shared() -> Option<&'static Server> {
    static SHARED: OnceLock<Option<Server>> = OnceLock::new();
    SHARED.get_or_init(Server::start).as_ref()
}

/// Finds an installed server's programs.
fn programs() -> Option<PathBuf> {
    if let Ok(folder) = std::env::var("PGADVISE_TEST_PG_BIN") {
        return Some(PathBuf::from(folder));
    }
    let mut installed: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let major = entry.file_name().to_str()?.parse().ok()?;
            Some((major, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    installed.sort();
    if let Some((_, newest)) = installed.pop() {
        return Some(newest);
    }
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    folder.join("initdb").exists().then_some(folder)
}

/// The user and group that a server can run as when the tests run as root.
fn unprivileged() -> Option<(u32, u32)> {
    let me = std::fs::metadata("/proc/self").ok()?;
    if me.uid() != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].into_iter().find_map(|name| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some((uid, gid))
        })
    })
}

/// The programs of every server version at hand, by major version: the
/// installed one, and those that `.ci/servers` fetched
/// (`PGADVISE_TEST_SERVERS`). Under `CI` that fetched them, all six versions
/// must be there.
pub(crate) fn every_version() -> Vec<(u32, PathBuf)> {
    let mut found = std::collections::BTreeMap::new();
    let fetched = std::env::var_os("PGADVISE_TEST_SERVERS").map(PathBuf::from);
    for entry in fetched
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
    {
        let bin = entry.path().join("bin");
        if let Some(major) = major_of(&bin) {
            found.insert(major, bin);
        }
    }
    if let Some(bin) = programs()
        && let Some(major) = major_of(&bin)
    {
        found.insert(major, bin);
    }
    found.into_iter().collect()
}

/// The major version of the server in that folder.
fn major_of(bin: &Path) -> Option<u32> {
    let output = Command::new(bin.join("postgres"))
        .arg("--version")
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let number = text.split_whitespace().nth(2)?;
    number.split('.').next()?.parse().ok()
}

impl Server {
    /// Starts a server of the version whose programs are in that folder.
    pub(crate) fn of_version(bin: &Path, settings: &[&str], port: u16) -> Result<Self, String> {
        Self::try_start(bin, settings, port, |_| ())
    }

    fn start() -> Option<Self> {
        let started = programs()
            .ok_or_else(|| "initdb was not found".to_owned())
            .and_then(|bin| Self::try_start(&bin, &[], 5432, |_| ()));
        match started {
            Ok(server) => Some(server),
            Err(why) => {
                assert!(
                    std::env::var_os("CI").is_none(),
                    "no PostgreSQL server for the tests: {why}"
                );
                println!("did nothing: no PostgreSQL server for the tests: {why}");
                None
            }
        }
    }

    /// Starts a server with settings beside the usual ones, and a data folder
    /// that is prepared further before the start.
    pub(crate) fn start_prepared(
        settings: &[&str],
        port: u16,
        prepare: impl FnOnce(&Path),
    ) -> Result<Self, String> {
        let bin = programs().ok_or("initdb was not found")?;
        Self::try_start(&bin, settings, port, prepare)
    }

    fn try_start(
        bin: &Path,
        settings: &[&str],
        port: u16,
        prepare: impl FnOnce(&Path),
    ) -> Result<Self, String> {
        let who = unprivileged();
        // Removed by itself until the keeper has taken it over.
        let made = tempfile::Builder::new()
            .prefix("pgadvise-test-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let folder = made.path().to_owned();
        let told = |error: std::io::Error| error.to_string();
        if let Some((uid, gid)) = who {
            std::os::unix::fs::chown(&folder, Some(uid), Some(gid)).map_err(told)?;
        }
        let as_user = |mut command: Command| {
            if let Some((uid, gid)) = who {
                command.uid(uid).gid(gid);
            }
            command.current_dir(&folder);
            command
        };
        let data = folder.join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        initdb.args(["-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]);
        initdb.args(["--locale=C.UTF-8", "-D"]).arg(&data);
        let output = as_user(initdb).output().map_err(told)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let hba = data.join("pg_hba.conf");
        let rules = std::fs::read_to_string(&hba).map_err(told)?;
        std::fs::write(
            &hba,
            format!("local all guarded scram-sha-256\nlocal all barred reject\n{rules}"),
        )
        .map_err(told)?;
        prepare(&data);
        let mut keeper = Command::new("/bin/sh");
        // The server ends when the pipe does.
        keeper
            .arg("-c")
            .arg("\"$@\" </dev/null & cat >/dev/null; kill -QUIT $!; wait $!; cd /; rm -rf \"$0\"")
            .arg(&folder)
            .arg(bin.join("postgres"))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&folder);
        for setting in [
            "listen_addresses=",
            "fsync=off",
            "autovacuum=off",
            "shared_buffers=16MB",
            "max_connections=40",
            "log_statement=all",
            "password_encryption=scram-sha-256",
            "log_line_prefix=%d|%a|",
        ]
        .iter()
        .chain(settings)
        {
            keeper.arg("-c").arg(setting);
        }
        let log = std::fs::File::create(folder.join("log")).map_err(told)?;
        keeper
            .stdin(Stdio::piped())
            .stdout(log.try_clone().map_err(told)?)
            .stderr(log)
            .process_group(0);
        let mut child = as_user(keeper).spawn().map_err(told)?;
        let folder = made.keep();
        let server = Self {
            folder,
            port,
            _keeper: child.stdin.take().ok_or("no pipe")?,
        };
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            match server.try_admin("postgres") {
                Ok(_) => return Ok(server),
                Err(_) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(30));
                }
                Err(error) => return Err(format!("{error}\n{}", server.log())),
            }
        }
    }

    fn try_admin(&self, database: &str) -> Result<Session, pgadvise::pg::Error> {
        Session::throw_away(
            &self.folder,
            self.port,
            "postgres",
            database,
            Limits::default(),
        )
    }

    /// A connection that may do anything.
    pub(crate) fn admin(&self, database: &str) -> Session {
        self.try_admin(database).unwrap()
    }

    /// A new database with that content.
    pub(crate) fn database(&self, name: &str, script: &str) -> Session {
        self.admin("postgres")
            .execute_script(&format!("CREATE DATABASE {name}"))
            .unwrap();
        let mut admin = self.admin(name);
        admin.execute_script(script).unwrap();
        admin
    }

    /// How to connect to it as a user would.
    pub(crate) fn options(&self, database: &str, user: &str, more: &str) -> ConnectOptions {
        let text = format!(
            "host={} port={} dbname={database} user={user} {more}",
            self.folder.display(),
            self.port
        );
        ConnectOptions::new(Some(&text), &Environment::default()).unwrap()
    }

    /// What the server logged for a database and an application.
    pub(crate) fn logged(&self, database: &str, application: &str) -> Vec<String> {
        let prefix = format!("{database}|{application}|");
        self.log()
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}
