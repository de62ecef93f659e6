//! First pages of GIN and BRIN indexes, and visibility maps.
//!
//! The planner reads a GIN index's counts of pages and entries, and how many
//! pages of a BRIN index are its range map. Of hash, GiST and SP-GiST indexes
//! it reads nothing but the size. The layouts (`ginblock.h`, `brin_page.h`,
//! `visibilitymap.c`) are the same from version 13 to 18.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::btree::{put, read_u32};
use super::files::{BLOCK, FileError, open_like};

const PAGE: usize = BLOCK as usize;
/// `BRIN_META_MAGIC`.
const BRIN_MAGIC: u32 = 0xA810_9CFA;
/// `REVMAP_PAGE_MAXITEMS`: block ranges that a page of the range map holds.
const RANGES_PER_PAGE: u64 = 1360;
/// `BRIN_DEFAULT_PAGES_PER_RANGE`.
const PAGES_PER_RANGE: u64 = 128;

/// What a GIN index counts of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct GinCounts {
    pub(super) total_pages: u32,
    pub(super) entry_pages: u32,
    pub(super) data_pages: u32,
    pub(super) entries: i64,
    pub(super) pending_pages: u32,
}

fn change(path: &Path, work: impl FnOnce(&mut Vec<u8>) -> bool) -> Result<(), FileError> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut page = vec![0; PAGE];
    file.read_exact_at(&mut page, 0)?;
    if !work(&mut page) {
        return Err(FileError {
            reason: "its first page is not what the access method writes".to_owned(),
            source: io::Error::from(io::ErrorKind::InvalidData),
        });
    }
    file.write_all_at(&page, 0)?;
    Ok(())
}

/// Writes the counts of a GIN index; the server must be stopped.
pub(super) fn lay_gin(path: &Path, counts: GinCounts) -> Result<(), FileError> {
    change(path, |page| {
        // ginVersion, after the counts.
        if read_u32(page, 72) != Some(2) {
            return false;
        }
        for (at, number) in [
            (36, counts.pending_pages),
            (48, counts.total_pages),
            (52, counts.entry_pages),
            (56, counts.data_pages),
        ] {
            put(page, at, &number.to_le_bytes());
        }
        put(page, 64, &counts.entries.to_le_bytes());
        true
    })
}

/// Writes how far the range map of a BRIN index reaches; the server must be
/// stopped.
pub(super) fn lay_brin(path: &Path, last_revmap_page: u32) -> Result<(), FileError> {
    change(path, |page| {
        if read_u32(page, 24) != Some(BRIN_MAGIC) {
            return false;
        }
        put(page, 36, &last_revmap_page.to_le_bytes());
        true
    })
}

/// The pages of the range map over a table of that many blocks.
pub(super) fn range_map_pages(heap_blocks: u64, definition: &str) -> u32 {
    let per_range = definition
        .split_once("pages_per_range")
        .map(|(_, rest)| {
            rest.chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect::<String>()
        })
        .and_then(|digits| digits.parse().ok())
        .filter(|pages| *pages > 0)
        .unwrap_or(PAGES_PER_RANGE);
    let ranges = heap_blocks.div_ceil(per_range).max(1);
    ranges.div_ceil(RANGES_PER_PAGE) as u32
}

/// Says that the first block of a table holds nothing but what everybody
/// sees, so that who finds a pointer to it in an index does not look there.
pub(super) fn first_block_is_visible(table: &Path) -> Result<(), FileError> {
    let mut name = table.as_os_str().to_owned();
    name.push("_vm");
    let file = open_like(&PathBuf::from(name), &std::fs::metadata(table)?)?;
    let mut page = vec![0; PAGE];
    // pd_lower, pd_upper, pd_special, pd_pagesize_version.
    for (at, number) in [(12, 24), (14, PAGE), (16, PAGE), (18, PAGE | 4)] {
        put(&mut page, at, &(number as u16).to_le_bytes());
    }
    // VISIBILITYMAP_ALL_VISIBLE of block 0.
    put(&mut page, 24, &[1]);
    file.write_all_at(&page, 0)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_map_grows_with_the_table() {
        let plain = "CREATE INDEX i ON public.t USING brin (a)";
        assert_eq!(range_map_pages(0, plain), 1);
        assert_eq!(range_map_pages(128 * 1360, plain), 1);
        assert_eq!(range_map_pages(128 * 1360 + 1, plain), 2);
        let fine = "CREATE INDEX i ON public.t USING brin (a) WITH (pages_per_range='4')";
        assert_eq!(range_map_pages(128 * 1360, fine), 32);
    }
}
