//! Files of a size without content: relations in segments of 1 GiB.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use crate::pg::twin::TwinError;

/// Bytes of a block (`BLCKSZ`, as every packaged server has it).
pub(super) const BLOCK: u64 = 8192;
/// Blocks of a full segment (`RELSEG_SIZE`).
pub(super) const SEGMENT_BLOCKS: u64 = 131_072;
/// A file that grows by more is tried with this much first, so that a file
/// system that would write it all shows itself early.
const PROBE: u64 = 16 << 20;
/// Blocks after which a relation has no number for them (`MaxBlockNumber`).
pub(super) const MOST_BLOCKS: u64 = 0xFFFF_FFFE;

/// Why a file could not be laid, before the relation's name is known.
#[derive(Debug)]
pub(super) struct FileError {
    pub(super) reason: String,
    pub(super) source: io::Error,
}

impl FileError {
    pub(super) fn of(self, object: impl Into<String>) -> TwinError {
        TwinError::File {
            object: object.into(),
            reason: self.reason,
            source: self.source,
        }
    }
}

impl From<io::Error> for FileError {
    fn from(source: io::Error) -> Self {
        let reason = match source.kind() {
            io::ErrorKind::StorageFull => "the file system of the temporary folder is full; \
                 point TMPDIR at another one"
                .to_owned(),
            io::ErrorKind::QuotaExceeded => {
                "the disk quota is used up; point TMPDIR at another file system".to_owned()
            }
            io::ErrorKind::FileTooLarge => "the file system of the temporary folder, or a limit \
                 of this process (ulimit -f), does not allow files of 1 GiB; point TMPDIR at \
                 another file system, or raise the limit"
                .to_owned(),
            _ => source.to_string(),
        };
        Self { reason, source }
    }
}

/// The path of a segment: `12345`, `12345.1`, `12345.2`, …
fn segment(path: &Path, number: u64) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// Gives a relation's file its size in blocks, as sparse files in segments.
///
/// What it holds already stays, as far as the new size reaches. The server may
/// run, as long as it holds no block of what is cut off.
pub fn set_blocks(path: &Path, blocks: u64) -> Result<(), TwinError> {
    resize(path, blocks).map_err(|error| error.of(path.display().to_string()))
}

/// [`set_blocks`] for those who know the relation's name.
pub(super) fn resize(path: &Path, blocks: u64) -> Result<(), FileError> {
    let blocks = blocks.min(MOST_BLOCKS);
    // A relation of exactly one segment has no second file: the server opens
    // that when it needs it.
    let last = blocks.saturating_sub(1) / SEGMENT_BLOCKS;
    let first = std::fs::metadata(path)?;
    // Cut what is too long from its end, so that a relation is never without
    // a segment in its middle.
    let mut extra = last + 1;
    while segment(path, extra).exists() {
        extra += 1;
    }
    for number in (last + 1..extra).rev() {
        std::fs::remove_file(segment(path, number))?;
    }
    for number in 0..=last {
        let size = (blocks - number * SEGMENT_BLOCKS).min(SEGMENT_BLOCKS) * BLOCK;
        if number == 0 {
            if first.len() != size {
                set_length(&OpenOptions::new().write(true).open(path)?, size)?;
            }
        } else {
            let file = open_like(&segment(path, number), &first)?;
            set_length(&file, size)?;
        }
    }
    Ok(())
}

/// Opens a file for writing; a new one gets the owner and mode of another.
/// The server of a native cluster may run as another user than this process.
pub(super) fn open_like(path: &Path, like: &std::fs::Metadata) -> Result<File, FileError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
        chown(path, Some(like.uid()), Some(like.gid()))?;
    }
    if now.mode() & 0o7777 != like.mode() & 0o7777 {
        file.set_permissions(std::fs::Permissions::from_mode(like.mode() & 0o7777))?;
    }
    Ok(file)
}

fn set_length(file: &File, size: u64) -> Result<(), FileError> {
    let before = file.metadata()?;
    if size <= before.len() {
        file.set_len(size)?;
        return Ok(());
    }
    within_limit(size)?;
    if size - before.len() > PROBE {
        file.set_len(before.len() + PROBE)?;
        sparse(file, &before)?;
    }
    file.set_len(size)?;
    if size - before.len() > PROBE {
        sparse(file, &before)?;
    }
    Ok(())
}

/// Checks that growing a file took no space to speak of.
fn sparse(file: &File, before: &std::fs::Metadata) -> Result<(), FileError> {
    let after = file.metadata()?;
    let taken = after.blocks().saturating_sub(before.blocks()) * 512;
    if taken > PROBE / 2 {
        file.set_len(before.len())?;
        return Err(FileError {
            reason: "the file system of the temporary folder has no sparse files, so the sizes \
                 of the tables would take up real space; point TMPDIR at another one"
                .to_owned(),
            source: io::Error::from(io::ErrorKind::Unsupported),
        });
    }
    Ok(())
}

/// Growing a file beyond the limit of the process ends the process, so that
/// is looked at first.
fn within_limit(size: u64) -> Result<(), FileError> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    if limit.is_some_and(|limit| size > limit) {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).into());
    }
    Ok(())
}

/// The size of a relation's file in blocks, over all its segments.
pub fn blocks_of(path: &Path) -> Result<u64, TwinError> {
    count(path)
        .map_err(FileError::from)
        .map_err(|error| error.of(path.display().to_string()))
}

fn count(path: &Path) -> io::Result<u64> {
    let mut blocks = std::fs::metadata(path)?.len() / BLOCK;
    let mut number = 1;
    while blocks == number * SEGMENT_BLOCKS {
        match std::fs::metadata(segment(path, number)) {
            Ok(found) => blocks += found.len() / BLOCK,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        }
        number += 1;
    }
    Ok(blocks)
}

/// Takes everything out of a relation's file: what is left has no block.
pub fn empty(path: &Path) -> Result<(), TwinError> {
    set_blocks(path, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_relation_is_sparse_and_in_segments() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("16384");
        File::create(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        set_blocks(&path, 2 * SEGMENT_BLOCKS + 5).unwrap();
        let size = |number| std::fs::metadata(segment(&path, number)).map(|found| found.len());
        assert_eq!(size(0).unwrap(), 1 << 30);
        assert_eq!(size(1).unwrap(), 1 << 30);
        assert_eq!(size(2).unwrap(), 5 * BLOCK);
        assert_eq!(blocks_of(&path).unwrap(), 2 * SEGMENT_BLOCKS + 5);
        let second = std::fs::metadata(segment(&path, 1)).unwrap();
        assert_eq!(second.mode() & 0o7777, 0o600);
        assert!(second.blocks() * 512 < 1 << 20);

        // A full segment has no empty one behind it.
        set_blocks(&path, SEGMENT_BLOCKS).unwrap();
        assert!(size(1).is_err() && size(2).is_err());
        assert_eq!(blocks_of(&path).unwrap(), SEGMENT_BLOCKS);
        empty(&path).unwrap();
        assert_eq!(blocks_of(&path).unwrap(), 0);
    }

    #[test]
    fn what_a_file_holds_stays_when_it_grows() {
        use std::os::unix::fs::FileExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1");
        let file = File::create(&path).unwrap();
        file.write_all_at(&[7; 8192], 0).unwrap();
        set_blocks(&path, 100).unwrap();
        let mut first = [0; 8192];
        File::open(&path)
            .unwrap()
            .read_exact_at(&mut first, 0)
            .unwrap();
        assert!(first.iter().all(|byte| *byte == 7));
    }
}
