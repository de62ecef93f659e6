//! The process that keeps an installed server: it runs `initdb` and
//! `postgres`, and ends and removes everything as soon as its standard input
//! closes, which it does whatever way its parent ends.
//!
//! The parent writes a line for each thing to do, with arguments behind
//! [`SEPARATOR`], and reads one line for each: [`DONE`], or why not.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::private::{self, data, text_of};

/// Between the words of a line.
pub const SEPARATOR: char = '\u{1f}';
/// The answer when something is done.
pub const DONE: &str = "done";
/// Makes a cluster; the words behind are further arguments of `initdb`.
pub const INIT: &str = "init";
/// Starts the server and waits until it takes connections.
pub const START: &str = "start";
/// Ends the server with everything written.
pub const STOP: &str = "stop";
/// Ends the server at once.
pub const KILL: &str = "kill";

/// The superuser of native clusters.
pub const SUPERUSER: &str = "pgadvise";
/// The role of sessions, without rights but on the database that it owns.
pub const ROLE: &str = "twin";
/// The database.
pub const DATABASE: &str = "twin";
/// The file with the server's words.
pub const LOG: &str = "log";

/// How long `initdb` may take, and the server's coming up and going down.
const LIMIT: Duration = Duration::from_mins(1);
/// How often a process is looked at.
const PAUSE: Duration = Duration::from_millis(2);
/// How many of a program's last lines are told.
const LAST_WORDS: usize = 3;

/// What makes a fresh cluster into one for a twin: one database, without the
/// templates that would only be copied along, and a role that owns it.
///
/// One statement a line, as a server in single-user mode reads them.
fn preparation() -> String {
    [
        "UPDATE pg_catalog.pg_database SET datistemplate = false;".to_owned(),
        "DROP DATABASE template0;".to_owned(),
        "DROP DATABASE template1;".to_owned(),
        format!(
            "CREATE ROLE {ROLE} LOGIN NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;"
        ),
        format!("ALTER DATABASE postgres OWNER TO {ROLE};"),
        "REVOKE ALL ON DATABASE postgres FROM PUBLIC;".to_owned(),
        format!(
            "UPDATE pg_catalog.pg_database SET datname = '{DATABASE}' WHERE datname = 'postgres';"
        ),
        String::new(),
    ]
    .join("\n")
}

/// The settings of every native cluster.
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "port=5432",
    "fsync=off",
    "full_page_writes=off",
    // What was committed outlives a kill; without fsync this costs nothing.
    "synchronous_commit=on",
    "wal_level=minimal",
    "max_wal_senders=0",
    "min_wal_size=2MB",
    "autovacuum=off",
    "shared_buffers=16MB",
    "max_connections=10",
    "max_worker_processes=8",
    "max_parallel_workers=8",
    "allow_system_table_mods=on",
    // Shared memory as files in the data folder goes away with it, even after
    // a crash.
    "dynamic_shared_memory_type=mmap",
    "huge_pages=off",
    "ssl=off",
    "temp_file_limit=1GB",
    "logging_collector=off",
    "log_destination=stderr",
    "log_min_messages=fatal",
    "log_min_error_statement=panic",
    "log_checkpoints=off",
    "track_activities=off",
    "track_counts=off",
];

/// What the keeper is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// The private folder.
    pub folder: PathBuf,
    /// User and group that the programs run as, where not its own.
    pub owner: Option<(u32, u32)>,
    /// The folder of the programs.
    pub bin: PathBuf,
    /// Further settings of the server, `name=value`.
    pub settings: Vec<OsString>,
}

impl Orders {
    /// As arguments of the program.
    pub fn arguments(&self) -> Vec<OsString> {
        let owner = match self.owner {
            Some((uid, gid)) => format!("{uid}:{gid}"),
            None => "self".to_owned(),
        };
        let mut arguments = vec![
            self.folder.clone().into_os_string(),
            owner.into(),
            self.bin.clone().into_os_string(),
        ];
        arguments.extend(self.settings.iter().cloned());
        arguments
    }

    /// From arguments of the program.
    pub fn read(arguments: &[OsString]) -> Option<Self> {
        let [folder, owner, bin, settings @ ..] = arguments else {
            return None;
        };
        let owner = owner.to_str().and_then(|owner| {
            let (uid, gid) = owner.split_once(':')?;
            Some((uid.parse().ok()?, gid.parse().ok()?))
        });
        Some(Self {
            folder: PathBuf::from(folder),
            owner,
            bin: PathBuf::from(bin),
            settings: settings.to_vec(),
        })
    }
}

/// Why something could not be done.
enum Stopped {
    /// The parent is gone.
    Gone,
    /// In words.
    Failed(String),
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Keeps a server until standard input closes; then nothing is left of it.
pub fn serve(arguments: &[OsString]) -> Result<(), String> {
    let orders = Orders::read(arguments).ok_or("the folder of the server is missing")?;
    let lock = private::share(&orders.folder).map_err(|error| error.to_string())?;
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
        // The channel closes with its sender: the parent is gone.
    });
    let mut keeper = Keeper {
        orders,
        lines,
        server: None,
    };
    keeper.work();
    keeper.kill();
    drop(std::fs::remove_dir_all(&keeper.orders.folder));
    private::remove(&keeper.orders.folder);
    drop(lock);
    Ok(())
}

struct Keeper {
    orders: Orders,
    lines: Receiver<String>,
    server: Option<Child>,
}

impl Keeper {
    /// Does what the parent says, until it is gone.
    fn work(&mut self) {
        while let Ok(line) = self.lines.recv() {
            let mut words = line.split(SEPARATOR);
            let done = match words.next() {
                Some(INIT) => {
                    let words: Vec<&str> = words.collect();
                    self.init(&words)
                }
                Some(START) => self.start(),
                Some(STOP) => self.stop(),
                Some(KILL) => {
                    self.kill();
                    Ok(())
                }
                _ => Err(Stopped::Failed("that is no order".to_owned())),
            };
            let answer = match done {
                Ok(()) => DONE.to_owned(),
                Err(Stopped::Failed(why)) => why.replace('\n', "; "),
                Err(Stopped::Gone) => return,
            };
            let mut out = std::io::stdout();
            if writeln!(out, "{answer}")
                .and_then(|()| out.flush())
                .is_err()
            {
                return;
            }
        }
    }

    /// A program of the server, as the right user, with nothing of the
    /// surroundings that would change what it does.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.orders.bin.join(name));
        command.current_dir(&self.orders.folder);
        for name in [
            "PGDATA",
            "PGPORT",
            "PGOPTIONS",
            "PGTZ",
            "PGDATESTYLE",
            "PGUSER",
            "PGDATABASE",
            "PGHOST",
            "PGCLIENTENCODING",
            "POSTGRES_INITDB_ARGS",
            "LANG",
            "LANGUAGE",
        ] {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C");
        if let Some((uid, gid)) = self.orders.owner {
            std::os::unix::process::CommandExt::uid(&mut command, uid);
            std::os::unix::process::CommandExt::gid(&mut command, gid);
        }
        command
    }

    fn log(&self) -> std::io::Result<File> {
        File::options()
            .create(true)
            .append(true)
            .open(self.orders.folder.join(LOG))
    }

    /// The last lines of a program, which say why it failed.
    fn last_words(&self) -> String {
        let text = text_of(&self.orders.folder.join(LOG)).unwrap_or_default();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("initdb: removing"))
            .collect();
        let from = lines.len().saturating_sub(LAST_WORDS);
        let last = lines.get(from..).unwrap_or_default().join("; ");
        if last.is_empty() {
            "it ended without a word".to_owned()
        } else {
            last
        }
    }

    /// Waits for a process to end, as long as the parent is there.
    fn wait(&self, child: &mut Child, limit: Duration) -> Result<bool, Stopped> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.success());
            }
            match self.lines.recv_timeout(PAUSE) {
                // The parent waits for an answer before it says more.
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    drop(child.kill());
                    drop(child.wait());
                    return Err(Stopped::Gone);
                }
            }
            if Instant::now() > until {
                drop(child.kill());
                drop(child.wait());
                return Err(Stopped::Failed(format!(
                    "it did not end within {} s",
                    limit.as_secs()
                )));
            }
        }
    }

    fn init(&mut self, further: &[&str]) -> Result<(), Stopped> {
        let data = data(&self.orders.folder);
        drop(std::fs::remove_dir_all(&data));
        drop(std::fs::remove_file(self.orders.folder.join(LOG)));
        let mut command = self.program("initdb");
        command
            .arg("-D")
            .arg(&data)
            .args(["-U", SUPERUSER, "-A", "trust", "--no-sync"])
            .args(["--wal-segsize=1", "--lc-messages=C"])
            .args(further)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log()?);
        let mut child = command.spawn().map_err(|error| {
            Stopped::Failed(format!(
                "cannot run {}: {error}",
                self.orders.bin.join("initdb").display()
            ))
        })?;
        if !self.wait(&mut child, LIMIT)? {
            return Err(Stopped::Failed(self.last_words()));
        }
        let mut command = self.program("postgres");
        command
            .args(["--single", "-D"])
            .arg(&data)
            .args(["-c", "fsync=off", "-c", "full_page_writes=off"])
            .args(["-c", "allow_system_table_mods=on", "-c", "min_wal_size=2MB"])
            .arg("postgres")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(self.log()?);
        let mut child = command.spawn()?;
        if let Some(mut words) = child.stdin.take() {
            words.write_all(preparation().as_bytes())?;
        }
        if self.wait(&mut child, LIMIT)? {
            Ok(())
        } else {
            Err(Stopped::Failed(self.last_words()))
        }
    }

    fn start(&mut self) -> Result<(), Stopped> {
        let folder = &self.orders.folder;
        let data = data(folder);
        drop(std::fs::remove_file(folder.join(LOG)));
        let pid_file = data.join("postmaster.pid");
        // One that was left by a server that was killed would look ready.
        drop(std::fs::remove_file(&pid_file));
        let mut command = self.program("postgres");
        command
            .arg("-D")
            .arg(&data)
            .arg("-c")
            .arg(setting("unix_socket_directories", folder.as_os_str()));
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        for setting in &self.orders.settings {
            command.arg("-c").arg(setting);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log()?);
        let mut child = command.spawn().map_err(|error| {
            Stopped::Failed(format!(
                "cannot run {}: {error}",
                self.orders.bin.join("postgres").display()
            ))
        })?;
        let until = Instant::now() + LIMIT;
        loop {
            let status = text_of(&pid_file).unwrap_or_default();
            if status.lines().nth(7).map(str::trim) == Some("ready") {
                break;
            }
            if child.try_wait()?.is_some() {
                return Err(Stopped::Failed(self.last_words()));
            }
            let gone = matches!(self.lines.try_recv(), Err(TryRecvError::Disconnected));
            if gone || Instant::now() > until {
                self.server = Some(child);
                self.kill();
                return Err(if gone {
                    Stopped::Gone
                } else {
                    Stopped::Failed(self.last_words())
                });
            }
            std::thread::sleep(PAUSE);
        }
        self.server = Some(child);
        Ok(())
    }

    /// Ends the server as an administrator does: sessions are cut off, and
    /// everything is written.
    fn stop(&mut self) -> Result<(), Stopped> {
        let Some(mut child) = self.server.take() else {
            return Ok(());
        };
        signal(&child, Signal::INT);
        if self.wait(&mut child, LIMIT)? {
            Ok(())
        } else {
            Err(Stopped::Failed(self.last_words()))
        }
    }

    /// Ends the server at once; its processes get the signal from it.
    fn kill(&mut self) {
        let Some(mut child) = self.server.take() else {
            return;
        };
        signal(&child, Signal::QUIT);
        // It kills its own processes when these do not end within 5 s.
        let until = Instant::now() + Duration::from_secs(8);
        while let Ok(None) = child.try_wait() {
            if Instant::now() > until {
                drop(child.kill());
                drop(child.wait());
                return;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

fn signal(child: &Child, signal: Signal) {
    // A process that is gone needs no signal.
    let _gone = rustix::process::kill_process(Pid::from_child(child), signal);
}

/// `name=value` of a setting whose value is a path.
fn setting(name: &str, value: &OsStr) -> OsString {
    let mut text = OsString::from(name);
    text.push("=");
    text.push(value);
    text
}

/// Whether a word can be handed over in a line.
pub fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_control())
}

/// A path of the private folder as the keeper's arguments have it.
pub fn socket(folder: &Path) -> PathBuf {
    folder.join(".s.PGSQL.5432")
}
