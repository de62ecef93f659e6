//! Bytes to text: UTF-8 with or without a byte order mark, and UTF-16 with
//! one, as some shells write it. Anything else is refused with its place.

/// Bytes looked at to tell a binary file from a text with a stray byte.
const PROBE: usize = 8 << 10;

/// Fewer control characters than this are an accident.
const LEAST_ODD: usize = 4;

/// Why bytes are not text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A zero byte, which PostgreSQL does not take in any text.
    #[error("there is a zero byte at line {line} (byte {offset})")]
    Nul {
        /// Bytes before it.
        offset: usize,
        /// Its line, from 1.
        line: usize,
    },
    /// Bytes that no text has.
    #[error("it is a binary file{}", kind.map(|kind| format!(": {kind}")).unwrap_or_default())]
    Binary {
        /// What it looks like.
        kind: Option<&'static str>,
    },
    /// Not UTF-8.
    #[error("it is not valid UTF-8 at line {line} (byte {offset}, 0x{byte:02x})")]
    NotUtf8 {
        /// Bytes before it.
        offset: usize,
        /// Its line, from 1.
        line: usize,
        /// The byte.
        byte: u8,
    },
    /// Marked as UTF-16, but not valid.
    #[error("it begins as UTF-16, but is not valid UTF-16")]
    NotUtf16,
}

impl DecodeError {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nul { .. } => "remove the zero byte, or check that this is the right file",
            Self::Binary {
                kind: Some("a dump in pg_dump's custom format"),
            } => "write it as SQL first: pg_restore -f schema.sql --schema-only FILE",
            Self::Binary { .. } => {
                "give SQL text, or a plan as EXPLAIN (FORMAT JSON) prints it; unpack archives first"
            }
            Self::NotUtf8 { .. } => {
                "convert it, for example with iconv -f LATIN1 -t UTF-8 FILE > new.sql"
            }
            Self::NotUtf16 => "convert it with iconv -f UTF-16 -t UTF-8 FILE > new.sql",
        }
    }
}

/// The text, without its byte order mark.
pub fn text(bytes: Vec<u8>) -> Result<String, DecodeError> {
    let bytes = match bytes.as_slice() {
        [0xef, 0xbb, 0xbf, rest @ ..] => rest.to_vec(),
        [0xff, 0xfe, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => bytes,
    };
    if let Some(kind) = known_binary(&bytes) {
        return Err(DecodeError::Binary { kind: Some(kind) });
    }
    let line = |offset: usize| {
        1 + bytes
            .iter()
            .take(offset)
            .filter(|byte| **byte == b'\n')
            .count()
    };
    if let Some(offset) = bytes.iter().position(|byte| *byte == 0) {
        if looks_binary(&bytes) {
            return Err(DecodeError::Binary { kind: None });
        }
        return Err(DecodeError::Nul {
            offset,
            line: line(offset),
        });
    }
    match std::str::from_utf8(&bytes) {
        Ok(_) => {}
        Err(_) if looks_binary(&bytes) => return Err(DecodeError::Binary { kind: None }),
        Err(error) => {
            let offset = error.valid_up_to();
            return Err(DecodeError::NotUtf8 {
                offset,
                line: line(offset),
                byte: bytes.get(offset).copied().unwrap_or_default(),
            });
        }
    }
    String::from_utf8(bytes).map_err(|error| DecodeError::NotUtf8 {
        offset: error.utf8_error().valid_up_to(),
        line: 1,
        byte: 0,
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, DecodeError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(DecodeError::NotUtf16);
    }
    let text: String = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .collect::<Result<_, _>>()
        .map_err(|_| DecodeError::NotUtf16)?;
    if let Some(offset) = text.find('\0') {
        let line = 1 + text
            .get(..offset)
            .map_or(0, |head| head.matches('\n').count());
        return Err(DecodeError::Nul { offset, line });
    }
    Ok(text)
}

fn known_binary(bytes: &[u8]) -> Option<&'static str> {
    [
        (b"\x1f\x8b".as_slice(), "a gzip archive"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd archive"),
        (b"PGDMP", "a dump in pg_dump's custom format"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x7fELF", "a program"),
        (b"\x89PNG", "an image"),
        (b"%PDF-", "a PDF document"),
    ]
    .into_iter()
    .find(|(magic, _)| bytes.starts_with(magic))
    .map(|(_, kind)| kind)
}

/// Whether control characters that no text has are more than an accident.
fn looks_binary(bytes: &[u8]) -> bool {
    let probe = bytes.get(..PROBE).unwrap_or(bytes);
    let odd = probe
        .iter()
        .filter(|byte| {
            (**byte < 0x20 && !matches!(**byte, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b))
                || **byte == 0x7f
        })
        .count();
    odd >= LEAST_ODD && odd * 20 > probe.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_go_and_utf_16_is_read() {
        assert_eq!(
            text(b"\xef\xbb\xbfselect 1".to_vec()).as_deref(),
            Ok("select 1")
        );
        let wide = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}select 'é'"
                .encode_utf16()
                .flat_map(bytes)
                .collect()
        };
        assert_eq!(text(wide(u16::to_le_bytes)).as_deref(), Ok("select 'é'"));
        assert_eq!(text(wide(u16::to_be_bytes)).as_deref(), Ok("select 'é'"));
        assert_eq!(text(b"\xff\xfea".to_vec()), Err(DecodeError::NotUtf16));
    }

    #[test]
    fn a_stray_byte_is_named_with_its_place() {
        assert_eq!(
            text(b"select 1;\nselect '\xe9'".to_vec()),
            Err(DecodeError::NotUtf8 {
                offset: 18,
                line: 2,
                byte: 0xe9
            })
        );
        assert_eq!(
            text(b"select 1;\n\nselect \x00".to_vec()),
            Err(DecodeError::Nul {
                offset: 18,
                line: 3
            })
        );
    }

    #[test]
    fn binary_files_are_called_so() {
        let mut program = b"\x7fELF".to_vec();
        program.extend([0; 100]);
        assert_eq!(
            text(program),
            Err(DecodeError::Binary {
                kind: Some("a program")
            })
        );
        let noise: Vec<u8> = (0..=255).cycle().take(5000).collect();
        assert_eq!(text(noise), Err(DecodeError::Binary { kind: None }));
    }
}
