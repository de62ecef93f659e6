//! Files for other databases: `1_name.mysql.up.sql` and `sqlite/1_name.sql`
//! beside those for PostgreSQL.

use std::collections::{BTreeMap, BTreeSet};

use super::files::Looked;
use crate::migration::framework::names::{base, folder, leading_digits};
use crate::migration::framework::recognise::{self, Database};

/// What is left out: the numbers of the files, and what is said of them.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Numbers of what was given.
    pub(super) files: BTreeSet<usize>,
    /// What was left out, and why.
    pub(super) skipped: Vec<(String, String)>,
}

/// Tells which files PostgreSQL is not given. Where nothing would be left, all
/// are kept: the words in the names mean something else then.
pub(super) fn tell(looked: &[Looked<'_>]) -> Elsewhere {
    let own_folders: BTreeSet<Vec<String>> = looked
        .iter()
        .map(|file| folder(file.path))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .flat_map(|own| patterns(own, |database| database == Database::PostgreSql))
        .collect();
    let mut folders: BTreeMap<&str, Option<&'static str>> = BTreeMap::new();
    // Versions that have a file for PostgreSQL alone.
    let mut own: BTreeSet<(&str, &str, bool)> = BTreeSet::new();
    let mut files = BTreeSet::new();
    let mut named = BTreeSet::new();
    let mut general = Vec::new();
    for (number, file) in looked.iter().enumerate() {
        let place = folder(file.path);
        let by_folder = *folders.entry(place).or_insert_with(|| {
            let mut name = None;
            let other = patterns(place, |database| match database {
                Database::Other(other) => {
                    name = Some(other);
                    true
                }
                Database::PostgreSql => false,
            });
            name.filter(|_| other.iter().any(|one| own_folders.contains(one)))
        });
        let version = (
            place,
            leading_digits(base(file.path)),
            file.path.ends_with(".down.sql"),
        );
        match (by_folder, recognise::database_of(file.path)) {
            (Some(name), _) | (None, Some(Database::Other(name))) => {
                files.insert(number);
                named.insert(name);
            }
            (None, Some(Database::PostgreSql)) => {
                own.insert(version);
            }
            (None, None) => general.push((number, version)),
        }
    }
    general.retain(|(_, version)| !version.1.is_empty() && own.contains(version));
    if files.len() + general.len() == looked.len() {
        return Elsewhere::default();
    }
    let mut skipped = Vec::new();
    if !files.is_empty() {
        let names: Vec<&str> = named.into_iter().collect();
        skipped.push((
            what(&files, looked),
            format!("by name for another database: {}", names.join(", ")),
        ));
    }
    let general: BTreeSet<usize> = general.into_iter().map(|(number, _)| number).collect();
    if !general.is_empty() {
        skipped.push((
            what(&general, looked),
            "a file of the same version is named for PostgreSQL, and run in its place".to_owned(),
        ));
    }
    files.extend(general);
    Elsewhere { files, skipped }
}

fn what(files: &BTreeSet<usize>, looked: &[Looked<'_>]) -> String {
    let first = files
        .first()
        .and_then(|number| looked.get(*number))
        .map_or("", |file| file.path);
    match files.len() {
        1 => first.to_owned(),
        count => format!("{first} and {} more", count - 1),
    }
}

/// A path up to each of its folders that is named for such a database, with the
/// database's name blotted out: what is equal stands beside each other.
fn patterns(path: &str, mut wanted: impl FnMut(Database) -> bool) -> Vec<Vec<String>> {
    let parts: Vec<&str> = path.split('/').collect();
    let mut found = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let mut any = false;
        let words: Vec<&str> = part
            .split(['_', '-', '.'])
            .map(|word| match recognise::database(word) {
                Some(database) if wanted(database) => {
                    any = true;
                    "*"
                }
                _ => word,
            })
            .collect();
        if any {
            let mut pattern: Vec<String> = parts
                .iter()
                .take(number)
                .map(|part| (*part).to_owned())
                .collect();
            pattern.push(words.join("_"));
            found.push(pattern);
        }
    }
    found
}
