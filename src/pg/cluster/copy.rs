//! Copies of data folders, holes and all.

use std::fs::{File, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::SeekFrom as Place;

/// Which user and group the copies belong to; the one who copies without.
pub type Owner = Option<(u32, u32)>;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Number of files.
    pub files: u64,
    /// Their lengths, holes included.
    pub bytes: u64,
    /// What they take on disk.
    pub on_disk: u64,
}

impl Copied {
    /// Whether two copies are of the same files; what they take on disk is up
    /// to the file system.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.files, self.bytes) == (other.files, other.bytes)
    }
}

/// Copies a folder with everything in it but sockets and links, which a
/// stopped server has none of. Holes stay holes.
pub fn folder(from: &Path, to: &Path, owner: Owner) -> std::io::Result<Copied> {
    let mut copied = Copied::default();
    into(from, to, owner, &mut copied)?;
    Ok(copied)
}

fn into(from: &Path, to: &Path, owner: Owner, copied: &mut Copied) -> std::io::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            into(&entry.path(), &target, owner, copied)?;
        } else if kind.is_file() {
            let found = file(&entry.path(), &target, owner)?;
            copied.files += 1;
            copied.bytes = copied.bytes.saturating_add(found.len());
            copied.on_disk = copied.on_disk.saturating_add(found.blocks() * 512);
        }
    }
    own(to, owner)
}

/// Copies one file.
fn file(from: &Path, to: &Path, owner: Owner) -> std::io::Result<Metadata> {
    let mut source = File::open(from)?;
    let found = source.metadata()?;
    let mut target = File::options().write(true).create_new(true).open(to)?;
    // Blocks are counted in 512 bytes, whatever the file system's own are.
    if found.blocks().saturating_mul(512) < found.len() {
        data_only(&mut source, &mut target, found.len())?;
        target.set_len(found.len())?;
    } else if found.len() > 0 {
        std::io::copy(&mut source, &mut target)?;
    }
    rustix::fs::fchmod(&target, rustix::fs::Mode::from_raw_mode(0o600))?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(&target, Some(uid), Some(gid))?;
    }
    Ok(found)
}

/// Copies what is not a hole.
fn data_only(source: &mut File, target: &mut File, length: u64) -> std::io::Result<()> {
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(&*source, Place::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&*source, Place::Hole(start))?;
        source.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        let mut part = (&mut *source).take(end.saturating_sub(start));
        std::io::copy(&mut part, target)?;
        at = end.max(start + 1);
    }
    target.flush()
}

/// Gives a file or folder to its owner.
pub fn own(path: &Path, owner: Owner) -> std::io::Result<()> {
    match owner {
        Some((uid, gid)) => std::os::unix::fs::chown(path, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

/// Gives what lies in a folder and is someone else's to its owner.
pub fn own_all(path: &Path, owner: Owner) -> std::io::Result<()> {
    let Some((uid, _)) = owner else {
        return Ok(());
    };
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let found = entry.metadata()?;
        if found.uid() != uid {
            own(&entry.path(), owner)?;
        }
        if found.is_dir() {
            own_all(&entry.path(), owner)?;
        }
    }
    Ok(())
}
