//! The bytes of all logs, piece by piece: a piece ends where no record does.

use std::io::{BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::input::{self, InputError, STDIN};
use crate::plan::log::{sniff, split};

/// Usual size of a piece.
pub(super) const PIECE: usize = 2 << 20;
/// The largest record that is held in memory.
pub(super) const MAX_RECORD: usize = 32 << 20;

/// A log with its name.
pub struct LogInput {
    /// Its name in messages.
    pub name: String,
    /// Its bytes, packed with gzip or not.
    pub reader: Box<dyn Read + Send>,
}

impl std::fmt::Debug for LogInput {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("LogInput")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A reader that unpacks what is packed with gzip, by its first bytes.
pub fn unpacked(mut reader: impl Read + Send + 'static) -> std::io::Result<Box<dyn Read + Send>> {
    let mut magic = [0; 2];
    let mut len = 0;
    while len < magic.len() {
        match reader.read(magic.get_mut(len..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let first = magic.get(..len).unwrap_or_default().to_vec();
    let packed = first == [0x1f, 0x8b];
    let whole = std::io::Cursor::new(first).chain(reader);
    Ok(if packed {
        Box::new(MultiGzDecoder::new(BufReader::with_capacity(
            1 << 18,
            whole,
        )))
    } else {
        Box::new(whole)
    })
}

/// What a piece is of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its number among all.
    pub(super) number: u64,
    /// The file, from 0.
    pub(super) file: usize,
    /// The file ends with it.
    pub(super) last: bool,
    /// Bytes that were left out before it, part of a record too large to hold.
    pub(super) left_out: u64,
}

/// All files, in their order.
pub(super) struct Source {
    files: std::vec::IntoIter<LogInput>,
    open: Option<LogInput>,
    file: usize,
    number: u64,
    /// What was read behind the last piece's end.
    carry: Vec<u8>,
    piece: usize,
    max_record: usize,
    /// Files that could not be read to their end.
    pub(super) failed: Vec<(usize, std::io::Error)>,
}

impl Source {
    pub(super) fn new(files: Vec<LogInput>, piece: usize, max_record: usize) -> Self {
        Self {
            files: files.into_iter(),
            open: None,
            file: 0,
            number: 0,
            carry: Vec::new(),
            piece,
            max_record: max_record.max(piece),
            failed: Vec::new(),
        }
    }

    /// Reads the next piece into `buffer`; `None` behind the last file.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Option<Piece> {
        if self.open.is_none() {
            if self.number > 0 || self.file > 0 {
                self.file += 1;
            }
            self.open = Some(self.files.next()?);
            self.carry.clear();
        }
        buffer.clear();
        buffer.append(&mut self.carry);
        let mut left_out = 0;
        let mut skipping = false;
        let mut want = self.piece.max(buffer.len() + self.piece / 2);
        let last = loop {
            if self.fill(buffer, want) {
                break true;
            }
            if skipping {
                // Within a record that is left out: look for the next one.
                if let Some(start) = split::restart(buffer) {
                    left_out += start as u64;
                    buffer.drain(..start);
                    skipping = false;
                } else {
                    // A line that is told by its beginning may be cut in two.
                    let keep = buffer.len().min(4096);
                    let gone = buffer.len() - keep;
                    left_out += gone as u64;
                    buffer.drain(..gone);
                    want = keep + self.piece;
                    continue;
                }
            }
            if let Some(end) = split::boundary(buffer) {
                self.carry
                    .extend_from_slice(buffer.get(end..).unwrap_or_default());
                buffer.truncate(end);
                break false;
            }
            if buffer.len() >= self.max_record {
                left_out += buffer.len() as u64;
                buffer.clear();
                skipping = true;
                want = self.piece;
            } else {
                want = (buffer.len() * 2).clamp(self.piece, self.max_record);
            }
        };
        if last {
            self.open = None;
        }
        let number = self.number;
        self.number += 1;
        Some(Piece {
            number,
            file: self.file,
            last,
            left_out,
        })
    }

    /// Reads until the buffer holds so much, or the file ends.
    fn fill(&mut self, buffer: &mut Vec<u8>, want: usize) -> bool {
        let Some(open) = &mut self.open else {
            return true;
        };
        let missing = want.saturating_sub(buffer.len()) as u64;
        if missing == 0 {
            return false;
        }
        match open.reader.by_ref().take(missing).read_to_end(buffer) {
            Ok(read) => (read as u64) < missing,
            Err(error) => {
                self.failed.push((self.file, error));
                true
            }
        }
    }
}

/// Bytes that are looked at to tell a log.
const HEAD: u64 = 256 << 10;

/// What a file turned out to be.
#[derive(Debug)]
pub enum Given {
    /// A log.
    Log(LogInput),
    /// Anything else.
    Other(LogInput),
}

/// Opens a file, unpacked if need be, or standard input (-), and tells a log
/// from what else it may be.
pub fn open(path: &Path) -> Result<Given, InputError> {
    let (name, reader) = if path.as_os_str() == "-" {
        (STDIN.to_owned(), unpacked(std::io::stdin()))
    } else {
        let file = input::open(path, u64::MAX)?;
        (path.display().to_string(), unpacked(file))
    };
    let failed = |source| InputError::Io {
        name: name.clone(),
        source,
    };
    let mut reader = reader.map_err(failed)?;
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(HEAD)
        .read_to_end(&mut head)
        .map_err(failed)?;
    let is_log = sniff::looks_like_log(&head);
    let whole = LogInput {
        name,
        reader: Box::new(std::io::Cursor::new(head).chain(reader)),
    };
    Ok(if is_log {
        Given::Log(whole)
    } else {
        Given::Other(whole)
    })
}
