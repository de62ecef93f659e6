//! Tables' files, emptied while DDL runs.
//!
//! DDL on a table reads it from end to end, which takes long for a file of
//! millions of empty blocks. Only the first segment is emptied: the server
//! looks at the next one only when one is full.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;

/// Bytes looked at and kept at a time.
const PAGE: usize = 8192;

/// A file that was emptied, with what brings it back.
#[derive(Debug)]
pub(super) struct Emptied {
    path: PathBuf,
    length: u64,
    /// What was not zero: offset and bytes.
    content: Vec<(u64, Vec<u8>)>,
}

/// Empties a table's file; `None` where it is empty.
pub(super) fn empty(path: &Path) -> io::Result<Option<Emptied>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let metadata = file.metadata()?;
    let length = metadata.len();
    if length == 0 {
        return Ok(None);
    }
    // A file without any allocated space is all zeroes.
    let content = if metadata.blocks() == 0 {
        Vec::new()
    } else {
        content(&file, length)?
    };
    file.set_len(0)?;
    Ok(Some(Emptied {
        path: path.to_owned(),
        length,
        content,
    }))
}

/// What a file holds beside its holes.
fn content(file: &File, length: u64) -> io::Result<Vec<(u64, Vec<u8>)>> {
    let mut content = Vec::new();
    let mut page = vec![0; PAGE];
    let mut at = 0;
    while at < length {
        // The end of the file ends the search for data with an error.
        let Ok(data) = rustix::fs::seek(file, SeekFrom::Data(at)) else {
            break;
        };
        let end =
            rustix::fs::seek(file, SeekFrom::Hole(data)).map_or(length, |end| end.min(length));
        at = data;
        while at < end {
            let read = file.read_at(&mut page, at)?;
            if read == 0 {
                return Ok(content);
            }
            let bytes = page.get(..read).unwrap_or_default();
            if bytes.iter().any(|byte| *byte != 0) {
                content.push((at, bytes.to_vec()));
            }
            at += read as u64;
        }
    }
    Ok(content)
}

impl Emptied {
    /// Brings the file back as it was.
    pub(super) fn restore(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        // What DDL may have left in it goes.
        file.set_len(0)?;
        file.set_len(self.length)?;
        for (at, bytes) in &self.content {
            file.write_all_at(bytes, *at)?;
        }
        Ok(())
    }
}
