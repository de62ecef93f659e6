//! Where a piece of a log may end, so that no record is cut in two.

use super::csvlog;

/// Line breaks that are tried from the end of a csvlog's piece before quotes
/// are given up as a guide.
const MOST_TRIED: u32 = 64;

/// Bytes of a piece in which a csvlog's first row is looked for.
const MOST_TAIL: usize = 256 << 10;

/// Where the last record of a piece begins that may go on behind the piece:
/// everything before can be looked at. `None` when the piece may be one record.
pub fn boundary(piece: &[u8]) -> Option<usize> {
    // A log may begin within a row.
    let begin = piece.get(..MOST_TAIL).unwrap_or(piece);
    let first = csvlog::first_row(begin);
    if first < begin.len() {
        let found = rows(piece.get(first..).unwrap_or_default());
        return found
            .map(|end| first + end)
            .or_else(|| (first > 0).then_some(first));
    }
    lines(piece)
}

/// The same for a piece whose beginning was left out: where the first record
/// begins.
pub fn restart(piece: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', piece)
        .map(|end| end + 1)
        .find(|next| {
            piece.get(*next..).is_some_and(|line| {
                // A row needs some bytes to be told.
                line.len() >= 64 && (csvlog::begins_row(line) || line.starts_with(b"{"))
                    || line.len() >= 64 && begins_message(line)
            })
        })
}

/// Whether a line looks like the first one of a message in a stderr log.
fn begins_message(line: &[u8]) -> bool {
    if matches!(line.first(), None | Some(b'\t' | b' ' | b'\r' | b'\n')) {
        return false;
    }
    let line = line.get(..256).unwrap_or(line);
    let end = memchr::memchr(b'\n', line).unwrap_or(line.len());
    memchr::memmem::find(line.get(..end).unwrap_or_default(), b":  ").is_some()
}

fn lines(piece: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'\n', piece)
        .map(|end| end + 1)
        .find(|next| piece.get(*next).is_some_and(|byte| *byte != b'\t'))
}

fn rows(piece: &[u8]) -> Option<usize> {
    let mut tried = 0;
    let mut fallback = None;
    for end in memchr::memrchr_iter(b'\n', piece) {
        let next = end + 1;
        if !piece.get(next..).is_some_and(csvlog::begins_row) {
            continue;
        }
        fallback = fallback.or(Some(next));
        let quotes = memchr::memchr_iter(b'"', piece.get(..next).unwrap_or_default()).count();
        if quotes.is_multiple_of(2) {
            return Some(next);
        }
        tried += 1;
        if tried == MOST_TRIED {
            break;
        }
    }
    fallback
}
