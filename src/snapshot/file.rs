//! The snapshot file: reading and writing its bytes.
//!
//! A file is a JSON object with two members: first `pgadvise_snapshot`, which
//! says the format's version and the length and SHA-256 of the content, then
//! `snapshot`, the content ([`Snapshot`]). It stands there as it is
//! ([`Form::Plain`]) or packed by gzip ([`Form::Compressed`]). Length and
//! digest are those of the content without blanks between its tokens, so that
//! both forms have the same ones, and so that a change of line ends does not
//! count.
//!
//! Nothing here does I/O, and no input makes it panic, take the stack or more
//! than [`MAX_BYTES`] of memory for the text.

use std::io::{Read as _, Write as _};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{FORMAT, Object, Relation, Snapshot, check};

/// Most bytes that a file may have once it is unpacked.
pub const MAX_BYTES: u64 = 1 << 30;
/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The member that tells a snapshot from other JSON.
const MARK: &str = "\"pgadvise_snapshot\"";
/// How far a file is unpacked to see whether it is a snapshot.
const GLANCE: u64 = 256;

/// Which bytes to write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// JSON packed by gzip.
    #[default]
    Compressed,
    /// JSON with one property a line, for `diff`.
    Plain,
}

/// A whole snapshot file.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "pgadvise snapshot")]
pub struct SnapshotFile {
    /// What the file is; stands first.
    pub pgadvise_snapshot: Head,
    /// The content.
    pub snapshot: Snapshot,
}

/// The beginning of a snapshot file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// Version of the format.
    pub format: u32,
    /// Bytes of the content's JSON, without blanks between its tokens.
    #[serde(default)]
    pub bytes: u64,
    /// SHA-256 of these bytes, in hexadecimal digits.
    #[serde(default)]
    pub sha256: String,
}

/// What a file held.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The snapshot, without what makes no sense.
    pub snapshot: Snapshot,
    /// What to know about the file, as sentences: that it was changed, and
    /// what was left out.
    pub notes: Vec<String>,
}

/// Why a file cannot be used as a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// Nothing in it.
    #[error("the snapshot is empty: it has 0 bytes")]
    Empty,
    /// Something else.
    #[error("this is not a snapshot, but {found}")]
    NotASnapshot {
        /// What it looks like.
        found: &'static str,
    },
    /// A newer program wrote it.
    #[error("the snapshot is in format {format}, and this pgadvise reads formats up to {known}")]
    Newer {
        /// The file's.
        format: u32,
        /// The newest that is read.
        known: u32,
    },
    /// It ends too early.
    #[error("{}", truncated(*bytes, *content, *expected))]
    Truncated {
        /// Bytes of the file.
        bytes: u64,
        /// Bytes of the content that are there.
        content: u64,
        /// Bytes of content that its head announces, where it is readable.
        expected: Option<u64>,
    },
    /// Its bytes are damaged.
    #[error("the snapshot is damaged: none of its {bytes} bytes can be used, since {reason}")]
    Damaged {
        /// Bytes of the file.
        bytes: u64,
        /// What is wrong.
        reason: &'static str,
        /// The reader's word.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is JSON, but not of this shape.
    #[error("the snapshot's content is not as its format says")]
    Content {
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// More than is read.
    #[error("the snapshot has more than {} MiB once unpacked, the most that is read", MAX_BYTES >> 20)]
    TooLarge,
}

fn truncated(bytes: u64, content: u64, expected: Option<u64>) -> String {
    match expected {
        Some(expected) => format!(
            "the snapshot is cut off: of {expected} bytes of content, {content} are there (the file has {bytes} bytes)"
        ),
        None => format!("the snapshot is cut off after {bytes} bytes, before its content begins"),
    }
}

impl SnapshotFileError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "take it again with pgadvise snapshot",
            Self::NotASnapshot { .. } => {
                "pgadvise snapshot -d … -o FILE takes one; a file of SQL belongs to --schema"
            }
            Self::Newer { .. } => "update pgadvise, or take the snapshot again with this one",
            Self::Truncated { .. } => {
                "copy it again, or take it again with pgadvise snapshot: the disk may have been full"
            }
            Self::Damaged { .. } => {
                "copy it again (as binary: line ends must not be changed), or take it again with pgadvise snapshot"
            }
            Self::Content { .. } => {
                "undo what was changed in it by hand, or take it again with pgadvise snapshot; docs/snapshot.md says what the format is"
            }
            Self::TooLarge => "take it again with --no-values, which makes it smaller",
        }
    }
}

/// The JSON Schema of the file, once it is unpacked.
pub fn schema() -> String {
    let schema = schemars::schema_for!(SnapshotFile);
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

/// The bytes of a snapshot's file: the same ones for the same snapshot.
pub fn encode(snapshot: &Snapshot, form: Form) -> Vec<u8> {
    let content = content(snapshot);
    let head = format!(
        "{{\"format\":{},\"bytes\":{},\"sha256\":\"{}\"}}",
        snapshot.format,
        content.len(),
        hex(&Sha256::digest(&content))
    );
    match form {
        Form::Plain => {
            let mut out = Vec::with_capacity(content.len() * 2);
            out.extend_from_slice(b"{\n  \"pgadvise_snapshot\": ");
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(b",\n  \"snapshot\": ");
            laid_out(&content, 1, &mut out);
            out.extend_from_slice(b"\n}\n");
            out
        }
        Form::Compressed => {
            // A head without time, name and system: the bytes depend on the
            // content alone.
            let mut packed = GzBuilder::new()
                .mtime(0)
                .operating_system(255)
                .write(Vec::with_capacity(content.len() / 6), Compression::new(6));
            let written = packed
                .write_all(b"{\"pgadvise_snapshot\":")
                .and_then(|()| packed.write_all(head.as_bytes()))
                .and_then(|()| packed.write_all(b",\"snapshot\":"))
                .and_then(|()| packed.write_all(&content))
                .and_then(|()| packed.write_all(b"}\n"));
            debug_assert!(written.is_ok(), "memory takes every byte");
            packed.finish().unwrap_or_default()
        }
    }
}

/// The content's JSON without blanks.
fn content(snapshot: &Snapshot) -> Vec<u8> {
    let serialised = if check::is_finite(snapshot) {
        serde_json::to_vec(snapshot)
    } else {
        // JSON has no word for these numbers.
        let mut snapshot = snapshot.clone();
        let left_out = check::clean(&mut snapshot);
        snapshot.limits.extend(left_out);
        serde_json::to_vec(&snapshot)
    };
    debug_assert!(serialised.is_ok(), "every snapshot has a JSON form");
    serialised.unwrap_or_default()
}

/// A key for what is made from a snapshot: the same for every form of its
/// file, whenever it was taken, and whatever was counted meanwhile.
pub fn content_hash(snapshot: &Snapshot) -> String {
    let mut snapshot = snapshot.clone();
    snapshot.origin.taken_at = None;
    for relation in &mut snapshot.relations {
        relation.activity = None;
        for index in &mut relation.indexes {
            index.scans = None;
        }
    }
    hex(&Sha256::digest(content(&snapshot)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push_str(&format!("{byte:02x}"));
        text
    })
}

/// Lays compact JSON out: members of objects and objects in lists on lines of
/// their own, other lists on one line.
fn laid_out(compact: &[u8], depth: usize, out: &mut Vec<u8>) {
    fn line(out: &mut Vec<u8>, depth: usize) {
        out.push(b'\n');
        for _ in 0..depth {
            out.extend_from_slice(b"  ");
        }
    }
    let mut depth = depth;
    // For each open list or object, whether it is on one line.
    let mut open: Vec<bool> = Vec::new();
    let mut in_string = false;
    let mut escaped = false;
    let mut bytes = compact.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if in_string {
            out.push(byte);
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                in_string = false;
            }
            continue;
        }
        let inline = open.last().copied().unwrap_or(false);
        match byte {
            b'{' | b'[' => {
                out.push(byte);
                let next = bytes.peek().copied();
                let empty = matches!(next, Some(b'}' | b']'));
                let inline = inline || empty || (byte == b'[' && next != Some(b'{'));
                open.push(inline);
                if !inline {
                    depth += 1;
                    line(out, depth);
                }
            }
            b'}' | b']' => {
                if !open.pop().unwrap_or(true) {
                    depth = depth.saturating_sub(1);
                    line(out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                if inline {
                    out.push(b' ');
                } else {
                    line(out, depth);
                }
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                in_string = true;
                out.push(byte);
            }
            _ => out.push(byte),
        }
    }
}

/// JSON without blanks between its tokens.
fn without_blanks(json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut in_string = false;
    let mut escaped = false;
    for byte in json.bytes() {
        if in_string {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                in_string = false;
            }
        } else if byte.is_ascii_whitespace() {
            continue;
        } else if byte == b'"' {
            in_string = true;
        }
        out.push(byte);
    }
    out
}

/// Whether these bytes, or their beginning, are those of a snapshot file,
/// however damaged further on.
pub fn looks_like_snapshot(bytes: &[u8]) -> bool {
    if bytes.starts_with(&GZIP) {
        let mut glance = Vec::new();
        // What could be unpacked until an error is what there is to see.
        let _partly = GzDecoder::new(bytes).take(GLANCE).read_to_end(&mut glance);
        begins(&glance)
    } else {
        begins(bytes)
    }
}

fn begins(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .trim_ascii_start()
        .strip_prefix(b"{")
        .is_some_and(|rest| rest.trim_ascii_start().starts_with(MARK.as_bytes()))
}

/// Reads the bytes of a snapshot's file, of either form.
pub fn decode(bytes: &[u8]) -> Result<Decoded, SnapshotFileError> {
    if bytes.is_empty() {
        return Err(SnapshotFileError::Empty);
    }
    let size = bytes.len() as u64;
    if bytes.starts_with(&GZIP) {
        let (unpacked, ended) = unpack(bytes);
        if unpacked.len() as u64 > MAX_BYTES {
            return Err(SnapshotFileError::TooLarge);
        }
        match ended {
            Ok(()) => read(&unpacked, size),
            Err(_) if !unpacked.is_empty() && other(&unpacked).is_some() => {
                Err(SnapshotFileError::NotASnapshot {
                    found: "something else that gzip packed",
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                newer(&unpacked)?;
                Err(cut_off(&unpacked, size))
            }
            Err(source) => {
                newer(&unpacked)?;
                Err(SnapshotFileError::Damaged {
                    bytes: size,
                    reason: "they cannot be unpacked",
                    source: source.into(),
                })
            }
        }
    } else if size > MAX_BYTES {
        Err(SnapshotFileError::TooLarge)
    } else {
        read(bytes, size)
    }
}

/// As much as can be unpacked, and how that ended.
fn unpack(bytes: &[u8]) -> (Vec<u8>, Result<(), std::io::Error>) {
    let mut unpacked = Vec::new();
    let ended = GzDecoder::new(bytes)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut unpacked)
        .map(|_| ());
    (unpacked, ended)
}

/// Only the head; the rest is passed over without being built.
#[derive(Deserialize)]
struct HeadOnly {
    pgadvise_snapshot: Head,
}

/// The head with the content's text.
#[derive(Deserialize)]
struct Whole<'a> {
    pgadvise_snapshot: Head,
    #[serde(borrow)]
    snapshot: &'a RawValue,
}

/// The head at the start of a text that may be cut off, and where it ends.
fn head_of(bytes: &[u8]) -> Option<(Head, usize)> {
    let start = bytes
        .windows(MARK.len())
        .take(GLANCE as usize)
        .position(|window| window == MARK.as_bytes())?
        + MARK.len();
    let colon = start + bytes.get(start..)?.iter().position(|byte| *byte == b':')? + 1;
    let mut heads = serde_json::Deserializer::from_slice(bytes.get(colon..)?).into_iter::<Head>();
    let head = heads.next()?.ok()?;
    Some((head, colon + heads.byte_offset()))
}

/// Refuses a format that is not known yet, even where the rest is unreadable.
fn newer(bytes: &[u8]) -> Result<(), SnapshotFileError> {
    match head_of(bytes) {
        Some((head, _)) => known(&head),
        None => Ok(()),
    }
}

fn known(head: &Head) -> Result<(), SnapshotFileError> {
    if head.format > FORMAT {
        return Err(SnapshotFileError::Newer {
            format: head.format,
            known: FORMAT,
        });
    }
    Ok(())
}

/// Whether an error is at the end of the text: a number's sign may be its last
/// letter.
fn at_the_end(text: &str, error: &serde_json::Error) -> bool {
    error.is_syntax()
        && text.lines().count() == error.line()
        && text
            .lines()
            .next_back()
            .is_some_and(|line| error.column() >= line.len())
        && !text.trim_end().ends_with('}')
}

/// How much of a text that ends too early is there.
fn cut_off(bytes: &[u8], size: u64) -> SnapshotFileError {
    let found = head_of(bytes).and_then(|(head, end)| {
        let rest = bytes.get(end..)?;
        let colon = rest.iter().position(|byte| *byte == b':')?;
        let content = String::from_utf8_lossy(rest.get(colon + 1..)?);
        Some((without_blanks(&content).len() as u64, head.bytes))
    });
    SnapshotFileError::Truncated {
        bytes: size,
        content: found.map_or(0, |(there, expected)| there.min(expected)),
        expected: found.map(|(_, expected)| expected),
    }
}

/// What a text that is no snapshot looks like.
fn other(bytes: &[u8]) -> Option<&'static str> {
    let trimmed = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes)
        .trim_ascii_start();
    if bytes.starts_with(b"PGDMP") {
        Some("a dump by pg_dump in its custom format")
    } else if bytes.starts_with(b"PK\x03\x04") {
        Some("a zip archive")
    } else if bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        Some("something that zstd packed")
    } else if trimmed.is_empty() {
        Some("a file of blanks")
    } else if trimmed.starts_with(b"version https://git-lfs") {
        Some("a pointer of Git LFS, which stands for a file that was not fetched")
    } else if trimmed.starts_with(b"[") {
        Some("other JSON (a plan belongs to --plan)")
    } else if trimmed.starts_with(b"{") {
        // Cut off before the mark, it may be either.
        let start = trimmed.get(1..).unwrap_or_default().trim_ascii_start();
        (!MARK.as_bytes().starts_with(start) && !begins(bytes))
            .then_some("other JSON (a plan belongs to --plan)")
    } else if trimmed.iter().take(512).all(|byte| *byte != 0) {
        Some("another text")
    } else {
        Some("a binary file of another kind")
    }
}

/// Reads the JSON text of a file that has `size` bytes.
fn read(bytes: &[u8], size: u64) -> Result<Decoded, SnapshotFileError> {
    if let Some(found) = other(bytes) {
        return Err(SnapshotFileError::NotASnapshot { found });
    }
    newer(bytes)?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // Cut off within a letter.
        Err(error) if error.error_len().is_none() => return Err(cut_off(bytes, size)),
        Err(source) => {
            return Err(SnapshotFileError::Damaged {
                bytes: size,
                reason: "they are not text",
                source: source.into(),
            });
        }
    };
    let whole: Whole<'_> = match serde_json::from_str(text) {
        Ok(whole) => whole,
        Err(error) if error.is_eof() || at_the_end(text, &error) => {
            return Err(cut_off(bytes, size));
        }
        Err(source) if source.is_data() => {
            // A newer format may have another shape.
            if let Ok(head) = serde_json::from_str::<HeadOnly>(text) {
                known(&head.pgadvise_snapshot)?;
            }
            return Err(SnapshotFileError::Content { source });
        }
        Err(source) => {
            return Err(SnapshotFileError::Damaged {
                bytes: size,
                reason: "they are not JSON",
                source: source.into(),
            });
        }
    };
    let head = whole.pgadvise_snapshot;
    known(&head)?;
    let mut notes = Vec::new();
    let content = without_blanks(whole.snapshot.get());
    if hex(&Sha256::digest(&content)) != head.sha256.to_ascii_lowercase() {
        notes.push(
            "the snapshot was changed after it was taken: its content does not match its SHA-256, so plans are those of what it says now"
                .to_owned(),
        );
    }
    drop(content);
    let mut snapshot = match serde_json::from_str::<Snapshot>(whole.snapshot.get()) {
        Ok(snapshot) => snapshot,
        Err(source) => in_parts(whole.snapshot.get(), source, &mut notes)?,
    };
    if snapshot.format > FORMAT {
        return Err(SnapshotFileError::Newer {
            format: snapshot.format,
            known: FORMAT,
        });
    }
    notes.extend(check::clean(&mut snapshot));
    Ok(Decoded { snapshot, notes })
}

/// Reads objects and relations one by one, so that a wrong one does not cost
/// the others; when the rest is wrong, `source` says why.
fn in_parts(
    text: &str,
    source: serde_json::Error,
    notes: &mut Vec<String>,
) -> Result<Snapshot, SnapshotFileError> {
    #[derive(Deserialize)]
    struct Lists<'a> {
        #[serde(borrow, default)]
        objects: Vec<&'a RawValue>,
        #[serde(borrow, default)]
        relations: Vec<&'a RawValue>,
    }
    let failed = |()| SnapshotFileError::Content { source };
    let Ok(mut members) =
        serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(text)
    else {
        return Err(failed(()));
    };
    let Ok(lists) = serde_json::from_str::<Lists<'_>>(text) else {
        return Err(failed(()));
    };
    members.remove("objects");
    members.remove("relations");
    let Some(mut snapshot) = serde_json::to_string(&members)
        .ok()
        .and_then(|rest| serde_json::from_str::<Snapshot>(&rest).ok())
    else {
        return Err(failed(()));
    };
    for raw in lists.objects {
        match serde_json::from_str::<Object>(raw.get()) {
            Ok(object) => snapshot.objects.push(object),
            Err(error) => notes.push(unreadable("object", raw, &error)),
        }
    }
    for raw in lists.relations {
        match serde_json::from_str::<Relation>(raw.get()) {
            Ok(relation) => snapshot.relations.push(relation),
            Err(error) => notes.push(unreadable("relation", raw, &error)),
        }
    }
    Ok(snapshot)
}

/// A note on a part that is not as the format says.
fn unreadable(what: &str, raw: &RawValue, error: &serde_json::Error) -> String {
    #[derive(Deserialize)]
    struct Name {
        schema: Option<String>,
        name: Option<String>,
    }
    let name = serde_json::from_str::<Name>(raw.get())
        .ok()
        .and_then(|found| {
            let name = found.name?;
            Some(match found.schema {
                Some(schema) => format!("{schema}.{name}"),
                None => name,
            })
        })
        .unwrap_or_else(|| "without a name".to_owned());
    format!(
        "{what} {} was left out: it is not as the format says ({error})",
        name.escape_debug()
    )
}
