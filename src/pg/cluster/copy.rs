//! Data folders in one file, holes and all, and out of it again.
//!
//! One file is written and removed much faster than the thousands that a
//! server's data are.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

/// Which user and group the copies belong to; the one who copies without.
pub type Owner = Option<(u32, u32)>;

/// Bytes that are read or written at once.
const BUFFER: usize = 1 << 20;

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Number of files.
    pub files: u64,
    /// Their lengths, holes included.
    pub bytes: u64,
    /// What the packed file takes on disk; 0 of a folder.
    pub on_disk: u64,
}

impl Copied {
    /// Whether two copies are of the same files; what they take on disk is up
    /// to the file system.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.files, self.bytes) == (other.files, other.bytes)
    }
}

/// Packs a folder with everything in it but sockets and links, which a
/// stopped server has none of. Holes take no room.
pub fn pack(folder: &Path, packed: &Path) -> std::io::Result<Copied> {
    let file = File::options().write(true).create_new(true).open(packed)?;
    let mut archive = tar::Builder::new(BufWriter::with_capacity(BUFFER, file));
    let mut copied = Copied::default();
    pack_into(folder, Path::new(""), &mut archive, &mut copied)?;
    let mut writer = archive.into_inner()?;
    writer.flush()?;
    copied.on_disk = writer.get_ref().metadata()?.blocks() * 512;
    Ok(copied)
}

fn pack_into(
    folder: &Path,
    inside: &Path,
    archive: &mut tar::Builder<BufWriter<File>>,
    copied: &mut Copied,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = inside.join(entry.file_name());
        if kind.is_dir() {
            archive.append_dir(&name, entry.path())?;
            pack_into(&entry.path(), &name, archive, copied)?;
        } else if kind.is_file() {
            let mut file = File::open(entry.path())?;
            copied.files += 1;
            copied.bytes = copied.bytes.saturating_add(file.metadata()?.len());
            archive.append_file(&name, &mut file)?;
        }
    }
    Ok(())
}

/// Unpacks what [`pack`] made into a new folder that only its owner may enter.
pub fn unpack(packed: &Path, folder: &Path, owner: Owner) -> std::io::Result<Copied> {
    let file = File::open(packed)?;
    let mut copied = Copied {
        on_disk: file.metadata()?.blocks() * 512,
        ..Copied::default()
    };
    std::fs::DirBuilder::new().mode(0o700).create(folder)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER, file));
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            let path = folder.join(entry.path()?);
            std::fs::DirBuilder::new().mode(0o700).create(path)?;
            continue;
        }
        copied.files += 1;
        copied.bytes = copied.bytes.saturating_add(entry.size());
        // Not outside the folder, whatever the name says.
        if !entry.unpack_in(folder)? {
            return Err(std::io::Error::other(
                "it has a file that does not belong there",
            ));
        }
    }
    own(folder, owner)?;
    own_all(folder, owner)?;
    Ok(copied)
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
