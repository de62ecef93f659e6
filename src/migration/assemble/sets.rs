//! Files that belong together: of one framework, and for one database.

use std::collections::{BTreeMap, BTreeSet};

use super::Assembling;
use super::files::Looked;
use crate::migration::framework::names::{self, base, folder};
use crate::migration::framework::recognise::{Recognised, recognise};
use crate::migration::framework::{Hints, Marker};
use crate::migration::{Framework, Sureness};

/// A digit more than a year and a month: the version is a time, and times of
/// several folders have one order.
const LEAST_TIME: usize = 8;

/// Files of one framework for one database.
#[derive(Debug, Clone)]
pub(super) struct FileSet {
    /// What was told.
    pub(super) told: Recognised,
    /// Its folders.
    pub(super) folders: Vec<String>,
    /// Its files, as numbers of what was given.
    pub(super) members: Vec<usize>,
    /// What tells its files apart: versions, or names.
    marks: BTreeSet<String>,
    /// The database, where there are several.
    pub(super) database: Option<String>,
    /// Versions of several folders are put in one order.
    pub(super) interleaved: bool,
    /// Its folders are versions, which begin to count anew in each.
    pub(super) releases: bool,
    /// The journal of Drizzle.
    pub(super) journal: Option<Marker>,
    /// The plan of Sqitch.
    pub(super) plan: Option<Marker>,
}

impl FileSet {
    /// The folder that all of it stands in.
    pub(super) fn folder(&self) -> String {
        common(&self.folders)
    }
}

/// The sets of all files, in natural order of their folders.
/// `left_out` are numbers of files for other databases: they say which tool it
/// is, and are no part of a set.
pub(super) fn tell(
    looked: &[Looked<'_>],
    left_out: &BTreeSet<usize>,
    options: &Assembling,
) -> Vec<FileSet> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, file) in looked.iter().enumerate() {
        let own = if names::is_folder_file(file.path) {
            folder(folder(file.path))
        } else {
            folder(file.path)
        };
        groups.entry(own).or_default().push(number);
    }
    let mut groups: Vec<(&str, Vec<usize>)> = groups.into_iter().collect();
    groups.sort_by(|a, b| names::natural(a.0, b.0));
    let mut sets: Vec<FileSet> = Vec::new();
    for (own, members) in groups {
        if members.iter().all(|number| left_out.contains(number)) {
            continue;
        }
        let set = group(own, members, looked, left_out, options);
        match sets.iter_mut().find(|other| together(other, &set)) {
            Some(other) => {
                other.folders.extend(set.folders);
                other.members.extend(set.members);
                other.marks.extend(set.marks);
            }
            None => sets.push(set),
        }
    }
    for set in &mut sets {
        set.interleaved = set.folders.len() > 1 && are_times(set, looked);
        set.releases = !set.interleaved && begin_anew(set, looked);
    }
    if sets.len() > 1 {
        let all = common(&sets.iter().map(FileSet::folder).collect::<Vec<_>>());
        for set in &mut sets {
            let own = set.folder();
            let name = own
                .strip_prefix(all.as_str())
                .unwrap_or(&own)
                .trim_matches('/');
            set.database = Some(if name.is_empty() { "." } else { name }.to_owned());
        }
    }
    sets
}

fn group(
    own: &str,
    mut members: Vec<usize>,
    looked: &[Looked<'_>],
    left_out: &BTreeSet<usize>,
    options: &Assembling,
) -> FileSet {
    let files: Vec<(&str, Hints)> = members
        .iter()
        .filter_map(|number| looked.get(*number))
        .map(|file| (file.path, file.hints))
        .collect();
    let around: Vec<&Marker> = options
        .markers
        .iter()
        .filter(|marker| is_within(own, &marker.folder))
        .collect();
    let told = match options.framework {
        Some(framework) => Recognised {
            framework,
            by: "what was asked for".to_owned(),
            sureness: Sureness::Known,
        },
        None => recognise(&files, &around),
    };
    members.retain(|number| !left_out.contains(number));
    let marks = members
        .iter()
        .filter_map(|number| looked.get(*number))
        .map(|file| mark(file.path, told.framework))
        .collect();
    let journal = (told.framework == Framework::Drizzle)
        .then(|| {
            around
                .iter()
                .find(|marker| marker.name == "_journal.json" && marker.folder == own)
                .map(|marker| (*marker).clone())
        })
        .flatten();
    let plan = (told.framework == Framework::Sqitch)
        .then(|| around.iter().find(|marker| marker.name == "sqitch.plan"))
        .flatten()
        .map(|marker| (*marker).clone());
    FileSet {
        told,
        folders: vec![own.to_owned()],
        members,
        marks,
        database: None,
        interleaved: false,
        releases: false,
        journal,
        plan,
    }
}

/// What tells a file from the others of its database.
fn mark(path: &str, framework: Framework) -> String {
    let named = names::read(path, framework, false);
    if framework == Framework::Sqitch {
        // Three scripts of a name for each change.
        return format!("{} {}", folder(path), base(path));
    }
    let version = named.version.unwrap_or_else(|| {
        let own = base(folder(path));
        let numbered = own
            .trim_start_matches(['v', 'V'])
            .starts_with(|character: char| character.is_ascii_digit());
        if numbered {
            format!("{own}/{}", base(path))
        } else {
            base(path).to_owned()
        }
    });
    if is_release(path, framework) {
        format!("{:?} {}/{version}", named.direction, base(folder(path)))
    } else {
        format!("{:?} {version}", named.direction)
    }
}

/// Whether the folder of a file is a version: `12/01_users.up.sql`. Tools that
/// go by the file alone do not care.
fn is_release(path: &str, framework: Framework) -> bool {
    let own = base(folder(path)).trim_start_matches(['v', 'V']);
    !own.is_empty()
        && own
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_'))
        && matches!(
            framework,
            Framework::Plain | Framework::GolangMigrate | Framework::GoPg | Framework::Goose
        )
}

/// Whether the folders of a set are versions, and numbers of files come again.
fn begin_anew(set: &FileSet, looked: &[Looked<'_>]) -> bool {
    let framework = set.told.framework;
    let mut seen = BTreeMap::new();
    let mut again = false;
    for number in &set.members {
        let Some(file) = looked.get(*number) else {
            continue;
        };
        if !is_release(file.path, framework) {
            return false;
        }
        let named = names::read(base(file.path), framework, false);
        let own = folder(file.path);
        again |= named.version.is_some_and(|version| {
            seen.insert((version, named.direction), own)
                .is_some_and(|before| before != own)
        });
    }
    again
}

/// Whether two sets are one: folders beside or below each other whose versions
/// do not collide. `tenant/0001.sql` and `shared/0001.sql` are two databases.
fn together(a: &FileSet, b: &FileSet) -> bool {
    a.told.framework == b.told.framework
        && a.journal.is_none()
        && b.journal.is_none()
        && a.folders.iter().any(|one| {
            b.folders.iter().any(|other| {
                is_within(one, other)
                    || is_within(other, one)
                    || (folder(one) == folder(other) && !one.is_empty() && !other.is_empty())
            })
        })
        && a.marks.is_disjoint(&b.marks)
}

/// Whether a folder is `within`, or below it.
fn is_within(own: &str, within: &str) -> bool {
    within.is_empty()
        || within == "."
        || own
            .strip_prefix(within)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn are_times(set: &FileSet, looked: &[Looked<'_>]) -> bool {
    set.members.iter().all(|number| {
        looked
            .get(*number)
            .is_some_and(|file| names::leading_digits(base(file.path)).len() >= LEAST_TIME)
    })
}

/// The folder that all of those are in.
fn common(folders: &[String]) -> String {
    let mut folders = folders.iter();
    let Some(first) = folders.next() else {
        return String::new();
    };
    let mut shared: Vec<&str> = first.split('/').collect();
    for other in folders {
        let same = shared
            .iter()
            .zip(other.split('/'))
            .take_while(|(a, b)| **a == *b)
            .count();
        shared.truncate(same);
    }
    shared.join("/")
}
