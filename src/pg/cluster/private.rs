//! Private folders of throw-away servers, and what crashes left of them.
//!
//! A folder belongs to whoever holds a shared lock on its `owner.lock`: the
//! pgadvise that made it, and the process that keeps its server. When all of
//! them are gone the lock is free, and the next pgadvise removes the folder.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use sha2::{Digest as _, Sha256};

use super::ClusterError;

/// What the names of private folders begin with.
pub const PREFIX: &str = "pgadvise-";
/// The file that the folder's owners lock.
pub const LOCK: &str = "owner.lock";
/// Under which name it is made, until it is locked.
const LOCK_NEW: &str = "owner.new";

/// The longest path of a socket that all systems take (104 bytes on some,
/// with the final zero).
const SOCKET_PATH: usize = 103;
/// How many files a large twin has.
const MANY_FILES: u64 = 100_000;
/// How long a server is waited for that was told to end at once.
const QUIT: Duration = Duration::from_secs(6);

/// A private folder; dropping it removes it.
#[derive(Debug)]
pub struct PrivateFolder {
    path: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

impl PrivateFolder {
    /// Makes a folder that only this user (or `owner`, as user and group) may
    /// enter, in `temp`, or in `/tmp` where sockets in `temp` would have too
    /// long a name.
    pub fn create(temp: &Path, owner: Option<(u32, u32)>) -> Result<Self, ClusterError> {
        let name = format!("{PREFIX}000000/.s.PGSQL.5432");
        let short = Path::new("/tmp");
        let temp = if temp.as_os_str().len() + 1 + name.len() > SOCKET_PATH && short.is_dir() {
            short
        } else {
            temp
        };
        let failed = |source| ClusterError::Folder {
            what: "make",
            folder: temp.join(format!("{PREFIX}*")),
            source,
        };
        // Mode 0700 is what `tempfile` gives folders on Unix.
        let made = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(temp)
            .map_err(failed)?;
        // Locked before it has its name, so that nobody sees it unlocked.
        let new = made.path().join(LOCK_NEW);
        let lock = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(&new)
            .map_err(failed)?;
        lock.lock_shared().map_err(failed)?;
        std::fs::rename(&new, made.path().join(LOCK)).map_err(failed)?;
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(made.path(), Some(uid), Some(gid)).map_err(failed)?;
        }
        Ok(Self {
            path: made.keep(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Takes part in the ownership of a folder, until the file is closed.
pub fn share(folder: &Path) -> std::io::Result<File> {
    let lock = File::open(folder.join(LOCK))?;
    lock.lock_shared()?;
    Ok(lock)
}

/// Makes a folder that only this user may enter, with those above it.
pub fn make_private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// A folder of a file system in memory with so many bytes to spare, for files
/// of a run: to make and remove thousands of small ones takes a tenth of the
/// time there. None where there is none, as on other systems than Linux.
pub fn in_memory(bytes: u64) -> Option<PathBuf> {
    let folder = Path::new("/dev/shm");
    let found = rustix::fs::statvfs(folder).ok()?;
    let room = found.f_bavail.saturating_mul(found.f_frsize);
    // As much again stays for everybody else: servers share memory there.
    let is_roomy = room >= bytes.saturating_mul(4) && found.f_favail > MANY_FILES;
    let writable = rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    (is_roomy && writable).then(|| folder.to_owned())
}

/// Removes the folders that no living process owns any more, after ending a
/// server that still runs in one.
pub fn sweep(temp: &Path) {
    let Ok(entries) = std::fs::read_dir(temp) else {
        return;
    };
    let me = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        if !entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
        {
            continue;
        }
        let folder = entry.path();
        let lock = folder.join(LOCK);
        // Neither links nor other users' folders: their names could be chosen
        // to make this program remove something else.
        let ours = std::fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir())
            && std::fs::symlink_metadata(&lock)
                .is_ok_and(|found| found.is_file() && found.uid() == me);
        if !ours {
            continue;
        }
        let Ok(file) = File::open(&lock) else {
            continue;
        };
        match file.try_lock() {
            Ok(()) => {
                tracing::debug!("removing {}, whose owner is gone", folder.display());
                remove(&folder);
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

/// Removes a private folder, and ends the server that may run in it.
pub fn remove(folder: &Path) {
    end_server(folder);
    for _ in 0..3 {
        match std::fs::remove_dir_all(folder) {
            Ok(()) => return,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            // The last processes of a server may still write.
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Where a folder's server keeps its data.
pub fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// The file of a relation in a data folder, by what the server says is its
/// path. Code of a snapshot may have taught the server to say anything, so
/// that whatever does not name a relation's file within the private folder
/// becomes the path of a file that is not there.
pub fn inside(folder: &Path, root: &Path, relative: &str) -> PathBuf {
    let path = root.join(relative);
    if relative.is_empty() || is_relation(relative) && !has_link(folder, &path) {
        path
    } else {
        folder.join("no-relation")
    }
}

/// `base/5/16384`, as `pg_relation_filepath` prints it.
fn is_relation(relative: &str) -> bool {
    let number = |part: Option<&str>| {
        part.is_some_and(|part| {
            !part.is_empty() && part.len() < 11 && part.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let mut parts = relative.split('/');
    parts.next() == Some("base")
        && number(parts.next())
        && number(parts.next())
        && parts.next().is_none()
}

/// Whether a part of the path below the folder is a link, or the file has
/// another name elsewhere.
fn has_link(folder: &Path, path: &Path) -> bool {
    path.ancestors()
        .take_while(|part| *part != folder)
        .any(|part| {
            std::fs::symlink_metadata(part).is_ok_and(|found| {
                found.is_symlink() || (!found.is_dir() && (found.nlink() > 1 || !found.is_file()))
            })
        })
}

/// Ends an installed server whose data is in that folder, should it run.
pub fn end_server(folder: &Path) {
    let Some(pid) = postmaster(folder) else {
        return;
    };
    let _gone = rustix::process::kill_process(pid, Signal::QUIT);
    let until = Instant::now() + QUIT;
    while rustix::process::test_kill_process(pid).is_ok() {
        if Instant::now() > until {
            let _gone = rustix::process::kill_process(pid, Signal::KILL);
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The process that `postmaster.pid` names, if it is a server on this folder:
/// the number may be another process's by now.
fn postmaster(folder: &Path) -> Option<Pid> {
    let data = data(folder);
    let text = text_of(&data.join("postmaster.pid"))?;
    let pid: i32 = text.lines().next()?.trim().parse().ok()?;
    let pid = Pid::from_raw(pid.abs())?;
    let arguments = command_line(pid)?;
    let data = data.to_str()?;
    arguments.contains(data).then_some(pid)
}

/// The command line of a process, from `/proc`, or from `ps` elsewhere.
fn command_line(pid: Pid) -> Option<String> {
    let number = pid.as_raw_nonzero();
    if let Some(text) = text_of(&PathBuf::from(format!("/proc/{number}/cmdline"))) {
        return Some(text);
    }
    let output = std::process::Command::new("ps")
        .args(["-ww", "-o", "command=", "-p"])
        .arg(number.to_string())
        .output()
        .ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first bytes of a digest in hexadecimal digits, for names.
pub(in crate::pg) fn hex(hash: Sha256, bytes: usize) -> String {
    let mut text = String::new();
    for byte in hash.finalize().iter().take(bytes) {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// A small file of the server's own.
pub(in crate::pg) fn text_of(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_relations_are_reached() {
        let made = tempfile::tempdir().unwrap();
        let folder = made.path();
        let root = folder.join("data");
        make_private(&root.join("base/5")).unwrap();
        File::create(root.join("base/5/16384")).unwrap();
        File::create(folder.join("victim")).unwrap();
        let reached = |relative| inside(folder, &root, relative);
        assert_eq!(reached("base/5/16384"), root.join("base/5/16384"));
        assert_eq!(reached("base/5/16385"), root.join("base/5/16385"));
        for other in [
            "../victim",
            "/etc/passwd",
            "base/5/../../../victim",
            "base/5",
            "global/1262",
            "pg_tblspc/1/PG_15/5/16384",
            "base/5/16384/1",
        ] {
            assert_eq!(reached(other), folder.join("no-relation"), "{other}");
        }
        std::os::unix::fs::symlink(folder.join("victim"), root.join("base/5/1")).unwrap();
        std::fs::hard_link(folder.join("victim"), root.join("base/5/2")).unwrap();
        std::os::unix::fs::symlink(root.join("base/5"), root.join("base/6")).unwrap();
        for linked in ["base/5/1", "base/5/2", "base/6/16384"] {
            assert_eq!(reached(linked), folder.join("no-relation"), "{linked}");
        }
    }
}
