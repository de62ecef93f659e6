//! An empty B-tree of a given height.
//!
//! The planner reads the number of levels from an index's metapage, and, for
//! the ends of the range of a column, walks down from the root. So the pages
//! on that way are real ones: block 0 the metapage, blocks 1 to h inner pages
//! with one downlink each, block h + 1 a leaf. All others are holes. The
//! layouts are those of `nbtree.h` and `bufpage.h`, the same from version 13
//! to 18.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::files::{BLOCK, FileError, resize};
use crate::pg::twin::TwinError;

const PAGE: usize = BLOCK as usize;
/// `SizeOfPageHeaderData`, which is also where a page's content begins.
const HEADER: usize = 24;
/// `sizeof(BTPageOpaqueData)`, at the end of a page.
const SPECIAL: usize = 16;
/// `BTREE_MAGIC`.
const MAGIC: u32 = 0x0005_3162;
/// `BTP_LEAF`.
const LEAF: u16 = 1;
/// `BTP_ROOT`.
const ROOT: u16 = 2;
/// `INDEX_ALT_TID_MASK`: the row pointer holds something else; here, that a
/// downlink has no key columns and so is less than everything.
const ALTERNATIVE_TID: u16 = 0x2000;
/// `P_NONE`: the root's number in an index without pages.
const NO_BLOCK: u32 = 0;
/// Levels above the leaves that an index can have at most: more than one of
/// 4 billion blocks with three keys a page.
const MOST_LEVELS: u32 = 20;

/// Index tuples of a leaf page, in the order of the index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeafPage {
    /// Each with its header, a multiple of 8 bytes long.
    pub tuples: Vec<Vec<u8>>,
}

/// Lays an empty B-tree into an index's file and gives it its size.
///
/// `height` counts the levels above the leaves. An index of one block is only
/// a metapage. `ends` are the entries that the planner is to find at the ends
/// of the index. The server must be stopped, or must not have read the index
/// since it was created on an empty table.
pub fn lay(
    path: &Path,
    blocks: u64,
    height: u32,
    ends: Option<&LeafPage>,
) -> Result<(), TwinError> {
    lay_file(path, blocks, height, ends).map_err(|error| error.of(path.display().to_string()))
}

pub(super) fn lay_file(
    path: &Path,
    blocks: u64,
    height: u32,
    ends: Option<&LeafPage>,
) -> Result<(), FileError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut meta = vec![0; PAGE];
    file.read_exact_at(&mut meta, 0)?;
    if read_u32(&meta, HEADER) != Some(MAGIC) {
        return Err(FileError {
            reason: "its first page is not that of a B-tree".to_owned(),
            source: io::Error::from(io::ErrorKind::InvalidData),
        });
    }
    let height = height.min(MOST_LEVELS);
    let (root, level) = if blocks <= 1 {
        (NO_BLOCK, 0)
    } else {
        (1, height)
    };
    // btm_root, btm_level, btm_fastroot, btm_fastlevel; the version and what
    // it says of equal images stay as the server wrote them.
    for (at, number) in [(32, root), (36, level), (40, root), (44, level)] {
        put(&mut meta, at, &number.to_le_bytes());
    }
    // What the server wrote past the first page is not there any more, in a
    // page that is to be a hole.
    resize(path, 1)?;
    file.write_all_at(&meta, 0)?;
    if blocks <= 1 {
        return Ok(());
    }
    for block in 1..=height {
        let level = height - block + 1;
        let flags = if block == 1 { ROOT } else { 0 };
        // The row pointer names the child: block number, high half first, and
        // no key columns.
        let child = block + 1;
        let mut downlink = Vec::with_capacity(8);
        downlink.extend(((child >> 16) as u16).to_le_bytes());
        downlink.extend((child as u16).to_le_bytes());
        downlink.extend(0_u16.to_le_bytes());
        downlink.extend((8 | ALTERNATIVE_TID).to_le_bytes());
        write_page(&file, block, &page(&[downlink], level, flags))?;
    }
    let flags = if height == 0 { LEAF | ROOT } else { LEAF };
    let tuples = ends.map_or(&[][..], |ends| &ends.tuples);
    write_page(&file, height + 1, &page(tuples, 0, flags))?;
    drop(file);
    resize(path, blocks.max(u64::from(height) + 2))
}

fn write_page(file: &File, block: u32, page: &[u8]) -> io::Result<()> {
    file.write_all_at(page, u64::from(block) * BLOCK)
}

/// A page of a B-tree without neighbours.
fn page(tuples: &[Vec<u8>], level: u32, flags: u16) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let special = PAGE - SPECIAL;
    let mut upper = special;
    let mut lower = HEADER;
    for tuple in tuples {
        // A tuple that does not fit is left out: the others are still true.
        if tuple.len() % 8 != 0 || upper < lower + 4 + tuple.len() {
            continue;
        }
        upper -= tuple.len();
        put(&mut page, upper, tuple);
        // lp_off, lp_flags (1: used), lp_len.
        let pointer = upper as u32 | 1 << 15 | (tuple.len() as u32) << 17;
        put(&mut page, lower, &pointer.to_le_bytes());
        lower += 4;
    }
    // pd_lower, pd_upper, pd_special, pd_pagesize_version.
    for (at, number) in [(12, lower), (14, upper), (16, special), (18, PAGE | 4)] {
        put(&mut page, at, &(number as u16).to_le_bytes());
    }
    // btpo_prev and btpo_next stay 0: none.
    put(&mut page, special + 8, &level.to_le_bytes());
    put(&mut page, special + 12, &flags.to_le_bytes());
    page
}

/// Writes bytes into a page; past its end nothing.
pub(super) fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = page.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Reads a number from a page.
pub(super) fn read_u32(page: &[u8], at: usize) -> Option<u32> {
    let bytes = page.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The levels above the leaves that an index's metapage tells of.
pub fn height_of(path: &Path) -> Result<u32, TwinError> {
    let read = || -> io::Result<u32> {
        let mut meta = vec![0; PAGE];
        File::open(path)?.read_exact_at(&mut meta, 0)?;
        match (read_u32(&meta, HEADER), read_u32(&meta, 44)) {
            (Some(MAGIC), Some(level)) => Ok(level),
            _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
        }
    };
    read()
        .map_err(FileError::from)
        .map_err(|error| error.of(path.display().to_string()))
}
