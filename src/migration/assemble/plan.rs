//! Sqitch runs what its plan lists, in the order of the plan.

use std::collections::BTreeMap;

use super::History;
use super::files::Looked;
use super::order::{Entry, is_new, path, start};
use super::sets::FileSet;
use crate::migration::Framework;
use crate::migration::framework::names::{Class, Key, sqitch_change};
use crate::source::Problem;

/// Puts scripts in the order of `sqitch.plan`. Scripts that only verify are no
/// migrations, and are left out.
pub(super) fn order(
    entries: &mut Vec<Entry>,
    set: &FileSet,
    looked: &[Looked<'_>],
    history: &mut History,
) {
    if set.told.framework != Framework::Sqitch {
        return;
    }
    entries.retain(|entry| {
        let own = path(entry, looked);
        !own.starts_with("verify/") && !own.contains("/verify/")
    });
    let Some(plan) = &set.plan else {
        return;
    };
    let listed = changes(&plan.text);
    let places: BTreeMap<&str, usize> = listed
        .iter()
        .enumerate()
        .map(|(place, change)| (change.as_str(), place))
        .collect();
    for entry in entries {
        let Some((_, change)) = sqitch_change(path(entry, looked)) else {
            continue;
        };
        let (class, place) = match places.get(change) {
            Some(place) => (Class::Versioned, *place),
            None => (Class::Unmatched, listed.len()),
        };
        let key = Key {
            class,
            numbers: vec![place as u128],
            text: std::mem::take(&mut entry.named.key.text),
        };
        entry.named.key = key;
        if class == Class::Unmatched && is_new(entry, looked) {
            history.problems.push(
                Problem::at(
                    start(entry, looked),
                    format!("sqitch.plan does not list {change}, so sqitch does not run it"),
                )
                .with_hint("add changes with sqitch add"),
            );
        }
    }
}

/// The scripts of a plan in its order. A change that was reworked has its
/// earlier script under the name of the tag that follows it.
fn changes(plan: &str) -> Vec<String> {
    let mut listed: Vec<String> = Vec::new();
    // The changes since the last tag, by name.
    let mut latest: BTreeMap<&str, usize> = BTreeMap::new();
    let mut tagged: BTreeMap<usize, &str> = BTreeMap::new();
    let mut untagged = 0;
    for line in plan.lines() {
        let line = line.trim();
        let Some(first) = line.split_whitespace().next() else {
            continue;
        };
        if line.starts_with(['%', '#']) {
            continue;
        }
        if first.starts_with('@') {
            for number in untagged..listed.len() {
                tagged.insert(number, first);
            }
            untagged = listed.len();
            continue;
        }
        let name = first.strip_prefix('+').unwrap_or(first);
        if let Some(before) = latest.insert(name, listed.len())
            && let Some(tag) = tagged.get(&before)
            && let Some(script) = listed.get_mut(before)
        {
            script.push_str(tag);
        }
        listed.push(name.to_owned());
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reworked_change_keeps_its_first_script_under_a_tag() {
        let plan = "%syntax-version=1.0.0\n%project=x\n\nzebra 2026-11-22T03:46:40Z x <x@example.org> # first\nfn/apple [zebra] 2026-11-22T03:46:41Z x <x@example.org>\n@v1 2026-11-22T03:46:42Z x <x@example.org> # t\n\n+users 2026-11-22T03:46:43Z x <x@example.org>\nfn/apple [fn/apple@v1] 2026-11-22T03:46:43Z x <x@example.org> # again\n";
        assert_eq!(changes(plan), ["zebra", "fn/apple@v1", "users", "fn/apple"]);
    }
}
