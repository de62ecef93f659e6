//! Which files each thread judges.

use std::ops::Range;

use crate::migration::{File, Wrapping};

/// Judging a statement costs so many times what replaying it costs, measured
/// on public histories.
const JUDGED: u64 = 4;
/// Bytes of migrations that are judged in one turn.
const TURN: usize = 256 * 1024;
/// Less work than this, counted in replayed statements, is not worth a thread.
const LEAST: u64 = 2_000;

/// The ranges of files that are of one database each.
pub(super) fn databases(files: &[File]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut last = None;
    for (number, file) in files.iter().enumerate() {
        match ranges.last_mut() {
            Some(range) if last == Some(&file.database) => range.end = number + 1,
            _ => ranges.push(number..number + 1),
        }
        last = Some(&file.database);
    }
    ranges
}

/// Files that are judged in turn, so that what is read of one turn can be given
/// back before the next: whole databases, as many as have that many bytes of
/// text.
///
/// `bytes` says how many a file has.
pub fn turns(files: &[File], bytes: impl Fn(&File) -> usize) -> Vec<Range<usize>> {
    let mut turns: Vec<Range<usize>> = Vec::new();
    let mut taken = TURN;
    for database in databases(files) {
        let own = files.get(database.clone()).unwrap_or_default();
        let size: usize = own.iter().map(&bytes).sum();
        match turns.last_mut() {
            Some(last) if taken + size <= TURN => {
                last.end = database.end;
                taken += size;
            }
            _ => {
                turns.push(database);
                taken = size;
            }
        }
    }
    turns
}

/// Cuts the files into at most so many ranges that take about the same time
/// each, where every range begins with the replay of what its database has
/// before it. There is one range at least.
///
/// The least time that suffices is searched by halving: linear in the files.
pub(super) fn cut(files: &[File], databases: &[Range<usize>], threads: usize) -> Vec<Range<usize>> {
    let whole = || std::iter::once(0..files.len()).collect::<Vec<_>>();
    let all: u64 = files.iter().map(judging).sum();
    if threads < 2 || all < LEAST {
        return whole();
    }
    let units = units(files, databases);
    let (mut low, mut high) = (0, all);
    let mut best = whole();
    while low < high {
        let middle = u64::midpoint(low, high);
        match within(&units, threads, middle) {
            Some(found) => {
                best = found;
                high = middle;
            }
            None => low = middle + 1,
        }
    }
    best
}

/// Files that one thread judges.
struct Unit {
    files: Range<usize>,
    judging: u64,
    replaying: u64,
    /// It begins a database.
    first: bool,
}

/// Each file by itself, but those together that share a transaction.
fn units(files: &[File], databases: &[Range<usize>]) -> Vec<Unit> {
    let mut units = Vec::with_capacity(files.len());
    for database in databases {
        let own = files.get(database.clone()).unwrap_or_default();
        let unit = |from: usize, to: usize| {
            let some = own.get(from..to).unwrap_or_default();
            Unit {
                files: database.start + from..database.start + to,
                judging: some.iter().map(judging).sum(),
                replaying: some.iter().map(statements).sum(),
                first: from == 0,
            }
        };
        if own.iter().any(shares_transaction) {
            units.push(unit(0, own.len()));
        } else {
            units.extend((0..own.len()).map(|number| unit(number, number + 1)));
        }
    }
    units
}

fn shares_transaction(file: &File) -> bool {
    file.new
        && file
            .parts
            .iter()
            .any(|part| part.wrapping == Wrapping::PerRun)
}

/// The ranges where none takes longer than that, if so few suffice.
fn within(units: &[Unit], most: usize, time: u64) -> Option<Vec<Range<usize>>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let mut taken = 0;
    let mut before = 0;
    for unit in units {
        if unit.first {
            before = 0;
        }
        match ranges.last_mut() {
            Some(range) if taken + unit.judging <= time => {
                range.end = unit.files.end;
                taken += unit.judging;
            }
            _ => {
                if ranges.len() == most || before + unit.judging > time {
                    return None;
                }
                ranges.push(unit.files.clone());
                taken = before + unit.judging;
            }
        }
        before += unit.replaying;
    }
    Some(ranges)
}

fn statements(file: &File) -> u64 {
    file.parts
        .iter()
        .map(|part| part.statements.len() as u64)
        .sum()
}

/// What a file costs the thread that has it, counted in replayed statements.
fn judging(file: &File) -> u64 {
    statements(file) * if file.new { JUDGED } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::assemble::{Assembling, Given, assemble};
    use crate::source::{Sources, Text};

    fn one(range: Range<usize>) -> Vec<Range<usize>> {
        std::iter::once(range).collect()
    }

    /// Files of that many statements each.
    fn files(list: &[usize]) -> Vec<File> {
        let mut sources = Sources::default();
        let given: Vec<Given> = list
            .iter()
            .enumerate()
            .map(|(number, statements)| {
                let path = format!("m/{number:04}_x.sql");
                let text = "alter table a add column b int;\n".repeat(*statements);
                Given {
                    source: sources.add(Text::new(&path, text)),
                    path,
                    ..Given::default()
                }
            })
            .collect();
        assemble(&sources, &given, &Assembling::default()).files
    }

    fn time(files: &[File], databases: &[Range<usize>], range: &Range<usize>) -> u64 {
        let start = databases
            .iter()
            .find(|database| database.contains(&range.start))
            .unwrap()
            .start;
        files[start..range.start]
            .iter()
            .map(statements)
            .sum::<u64>()
            + files[range.clone()].iter().map(judging).sum::<u64>()
    }

    #[test]
    fn ranges_cover_all_files_and_take_about_as_long() {
        let files = files(&vec![10; 400]);
        let databases = databases(&files);
        assert_eq!(databases, one(0..400));
        for threads in [2, 3, 8] {
            let ranges = cut(&files, &databases, threads);
            assert_eq!(ranges.len(), threads);
            assert_eq!(ranges[0].start, 0);
            assert_eq!(ranges[threads - 1].end, 400);
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let times: Vec<u64> = ranges
                .iter()
                .map(|own| time(&files, &databases, own))
                .collect();
            let longest = *times.iter().max().unwrap();
            assert!(longest < 400 * 10 * JUDGED * 3 / 4, "{times:?}");
            assert!(
                times[..threads - 1]
                    .iter()
                    .all(|own| *own * 10 > longest * 9),
                "{times:?}"
            );
        }
    }

    #[test]
    fn a_database_is_replayed_only_for_its_own_files() {
        let mut files = files(&vec![20; 100]);
        for (number, file) in files.iter_mut().enumerate() {
            file.database = Some(if number < 50 { "one" } else { "two" }.to_owned());
        }
        let databases = databases(&files);
        assert_eq!(databases, [0..50, 50..100]);
        // Two threads need no replay at all.
        assert_eq!(cut(&files, &databases, 2), [0..50, 50..100]);
    }

    #[test]
    fn files_that_share_a_transaction_stay_together() {
        let mut files = files(&vec![10; 400]);
        for file in &mut files {
            for part in &mut file.parts {
                part.wrapping = Wrapping::PerRun;
            }
        }
        assert_eq!(cut(&files, &databases(&files), 2), one(0..400));
        // Old files are only replayed, and their transactions say nothing.
        for file in files.iter_mut().take(200) {
            file.new = false;
        }
        assert!(!files[..200].iter().any(shares_transaction));
        assert!(files[200..].iter().all(shares_transaction));
    }

    #[test]
    fn turns_are_of_whole_databases_and_not_longer_than_need_be() {
        let mut files = files(&[1; 40]);
        for (number, file) in files.iter_mut().enumerate() {
            file.database = Some((number / 10).to_string());
        }
        // 10 files each: two databases fit into a turn, a third does not.
        assert_eq!(turns(&files, |_| TURN / 25), [0..20, 20..40]);
        // What is larger than a turn is one nonetheless.
        assert_eq!(turns(&files, |_| TURN), [0..10, 10..20, 20..30, 30..40]);
        assert_eq!(turns(&files, |_| 0), one(0..40));
        assert!(turns(&[], |_| 1).is_empty());
    }

    #[test]
    fn little_work_is_done_by_one_thread() {
        let few = files(&[10, 10]);
        assert_eq!(cut(&few, &databases(&few), 8), one(0..2));
        assert!(databases(&[]).is_empty());
        assert_eq!(cut(&[], &[], 8), one(0..0));
    }
}
