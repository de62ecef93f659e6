//! The order of a set's files, and what is wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use super::files::Looked;
use super::sets::FileSet;
use super::{History, dumps, plan};
use crate::migration::framework::names::{self, Class, Key, Named, base};
use crate::migration::{Direction, Framework, Set};
use crate::source::{Problem, Span};

/// A file at its place.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its number among what was given.
    pub(super) file: usize,
    /// Its set.
    pub(super) set: usize,
    /// What its name says.
    pub(super) named: Named,
}

/// All files in the order in which they are run.
pub(super) fn order(looked: &[Looked<'_>], sets: &[FileSet], history: &mut History) -> Vec<Entry> {
    let mut ordered = Vec::with_capacity(looked.len());
    for (number, set) in sets.iter().enumerate() {
        history.sets.push(Set {
            folder: set.folder(),
            framework: set.told.framework,
            by: set.told.by.clone(),
            sureness: set.told.sureness,
            database: set.database.clone(),
            files: 0,
        });
        let mut entries = named(looked, set, number);
        journal(&mut entries, set, looked, history);
        plan::order(&mut entries, set, looked, history);
        baselines(&mut entries, looked, history);
        dumps::leave_out(&mut entries, looked, history);
        entries.sort_by(|a, b| {
            (&a.named.key, a.named.direction)
                .cmp(&(&b.named.key, b.named.direction))
                .then_with(|| names::natural(path(a, looked), path(b, looked)))
        });
        ordered.append(&mut entries);
    }
    ordered
}

pub(super) fn path<'a>(entry: &Entry, looked: &[Looked<'a>]) -> &'a str {
    looked.get(entry.file).map_or("", |file| file.path)
}

fn named(looked: &[Looked<'_>], set: &FileSet, number: usize) -> Vec<Entry> {
    let paths: BTreeSet<&str> = set
        .members
        .iter()
        .filter_map(|file| looked.get(*file))
        .map(|file| file.path)
        .collect();
    let framework = set.told.framework;
    paths_of(set, looked)
        .map(|(file, path)| {
            let paired = names::fellow(path).is_some_and(|fellow| paths.contains(fellow.as_str()));
            let mut named = names::read(path, framework, paired);
            if set.interleaved
                && let Some(version) = named.version.as_ref().and_then(|text| text.parse().ok())
            {
                named.key.numbers = vec![version];
                named.key.text = names::pieces(names::strip_direction(base(path), paired).0);
            }
            if set.releases && named.key.class == Class::Versioned {
                named.key = names::read(path, Framework::Plain, paired).key;
            }
            Entry {
                file,
                set: number,
                named,
            }
        })
        .collect()
}

fn paths_of<'a>(
    set: &'a FileSet,
    looked: &'a [Looked<'a>],
) -> impl Iterator<Item = (usize, &'a str)> {
    set.members
        .iter()
        .filter_map(|file| Some((*file, looked.get(*file)?.path)))
}

/// Drizzle runs what its journal lists, in the order of the journal.
fn journal(entries: &mut [Entry], set: &FileSet, looked: &[Looked<'_>], history: &mut History) {
    let Some(marker) = &set.journal else {
        return;
    };
    let shown = if marker.folder.is_empty() {
        "meta/_journal.json".to_owned()
    } else {
        format!("{}/meta/_journal.json", marker.folder)
    };
    let Some(listed) = tags(&marker.text) else {
        history.problems.push(
            Problem::new(format!("{shown} is no journal of Drizzle"))
                .with_hint("files are taken in the order of their names; restore the journal"),
        );
        return;
    };
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, entry) in entries.iter().enumerate() {
        let name = base(path(entry, looked));
        places.insert(name.strip_suffix(".sql").unwrap_or(name), number);
    }
    let mut found = BTreeSet::new();
    let mut latest: Option<(i64, &str)> = None;
    for (index, (tag, when)) in listed.iter().enumerate() {
        let Some(number) = places.get(tag.as_str()) else {
            history.problems.push(
                Problem::new(format!(
                    "{shown} lists {tag}, and there is no file {tag}.sql"
                ))
                .with_hint("restore the file: drizzle stops where one is missing"),
            );
            continue;
        };
        found.insert(*number);
        let Some(entry) = entries.get_mut(*number) else {
            continue;
        };
        entry.named.key = Key {
            class: Class::Versioned,
            numbers: vec![index as u128],
            text: Vec::new(),
        };
        if let (Some(when), Some((before, earlier))) = (*when, latest)
            && when < before
            && is_new(entry, looked)
        {
            history.problems.push(
                Problem::at(
                    start(entry, looked),
                    format!(
                        "{shown} dates {tag} before {earlier}: where {earlier} was applied, drizzle skips it without a word"
                    ),
                )
                .with_hint("give it a later \"when\" than all entries before it"),
            );
        }
        if let Some(when) = *when
            && latest.is_none_or(|(before, _)| when > before)
        {
            latest = Some((when, tag));
        }
    }
    for (number, entry) in entries.iter_mut().enumerate() {
        if !found.contains(&number) {
            entry.named.key.class = Class::Unmatched;
            if is_new(entry, looked) {
                history.problems.push(
                    Problem::at(
                        start(entry, looked),
                        format!("{shown} does not list it, so drizzle does not run it"),
                    )
                    .with_hint("create migrations with drizzle-kit generate, or add it there"),
                );
            }
        }
    }
}

/// The entries of a journal: tag and time.
fn tags(text: &str) -> Option<Vec<(String, Option<i64>)>> {
    let journal: serde_json::Value = serde_json::from_str(text).ok()?;
    let mut entries: Vec<(i64, String, Option<i64>)> = journal
        .get("entries")?
        .as_array()?
        .iter()
        .enumerate()
        .filter_map(|(number, entry)| {
            let index = entry
                .get("idx")
                .and_then(serde_json::Value::as_i64)
                .or_else(|| i64::try_from(number).ok())?;
            Some((
                index,
                entry.get("tag")?.as_str()?.to_owned(),
                entry.get("when").and_then(serde_json::Value::as_i64),
            ))
        })
        .collect();
    entries.sort();
    Some(
        entries
            .into_iter()
            .map(|(_, tag, when)| (tag, when))
            .collect(),
    )
}

/// A baseline holds what the versions up to its own do; beside them it is run
/// by nobody.
fn baselines(entries: &mut Vec<Entry>, looked: &[Looked<'_>], history: &mut History) {
    let Some(first) = entries
        .iter()
        .filter(|entry| {
            !entry.named.baseline
                && entry.named.version.is_some()
                && entry.named.direction == Direction::Up
        })
        .map(|entry| entry.named.key.clone())
        .min()
    else {
        return;
    };
    entries.retain(|entry| {
        let redundant = entry.named.baseline && first <= entry.named.key;
        if redundant {
            history.skipped.push((
                path(entry, looked).to_owned(),
                "it is a baseline, and the versions that it stands for are there".to_owned(),
            ));
        }
        !redundant
    });
}

pub(super) fn is_new(entry: &Entry, looked: &[Looked<'_>]) -> bool {
    looked.get(entry.file).is_some_and(|file| file.new)
}

pub(super) fn start(entry: &Entry, looked: &[Looked<'_>]) -> Span {
    let source = looked
        .get(entry.file)
        .map_or_else(Default::default, |file| file.source);
    Span::new(source, 0..0)
}

/// So many versions that are given twice may be oversights; more are a habit.
const OVERSIGHTS: usize = 2;

/// Tools that take the version for the identity of a migration.
fn unique(framework: Framework) -> bool {
    matches!(
        framework,
        Framework::Flyway
            | Framework::Diesel
            | Framework::Sqlx
            | Framework::GolangMigrate
            | Framework::Goose
            | Framework::Dbmate
            | Framework::Atlas
            | Framework::Supabase
            | Framework::GoPg
            | Framework::PostgresMigrations
            | Framework::Postgrator
            | Framework::Pop
    )
}

/// Tools that take a version for a number: `1` and `001` are one. For the
/// others it is text.
fn counts(framework: Framework) -> bool {
    !matches!(
        framework,
        Framework::Diesel | Framework::Dbmate | Framework::Atlas | Framework::Supabase
    )
}

/// What becomes of a migration that sorts before one that was applied.
fn late(framework: Framework) -> &'static str {
    match framework {
        Framework::Flyway => {
            "Flyway fails its validation, or leaves it out, unless outOfOrder is on"
        }
        Framework::GolangMigrate => {
            "golang-migrate keeps one version, and never runs what stands before it"
        }
        Framework::Goose => "goose refuses to go on unless -allow-missing is given",
        Framework::GoPg => "go-pg keeps one version, and never runs what stands before it",
        Framework::Atlas => "Atlas refuses to go on unless --exec-order says otherwise",
        Framework::Supabase => "supabase db push refuses it unless --include-all is given",
        Framework::NodePgMigrate => {
            "node-pg-migrate refuses to go on unless --no-check-order is given"
        }
        Framework::PostgresMigrations => {
            "postgres-migrations refuses it: it tells migrations by their place"
        }
        Framework::Postgrator => {
            "postgrator keeps one version, and never runs what stands before it"
        }
        _ => "databases get the two in different orders",
    }
}

/// Trouble with versions and names.
pub(super) fn check(
    ordered: &[Entry],
    looked: &[Looked<'_>],
    sets: &[FileSet],
    history: &mut History,
) {
    for (number, set) in sets.iter().enumerate() {
        let framework = set.told.framework;
        let entries: Vec<&Entry> = ordered.iter().filter(|entry| entry.set == number).collect();
        if unique(framework) || framework == Framework::Plain {
            duplicates(&entries, looked, set, history);
        }
        if !looked.iter().all(|file| file.new) {
            out_of_order(&entries, looked, framework, history);
        }
        for entry in &entries {
            if entry.named.key.class == Class::Unmatched
                && set.journal.is_none()
                && set.plan.is_none()
            {
                unmatched(entry, looked, framework, history);
            }
        }
    }
}

fn duplicates(entries: &[&Entry], looked: &[Looked<'_>], set: &FileSet, history: &mut History) {
    let framework = set.told.framework;
    let mut told = Vec::new();
    let mut ups = 0;
    let mut seen: BTreeMap<(&Key, Direction), &Entry> = BTreeMap::new();
    let mut versions: BTreeMap<(&str, &str, Direction), &Entry> = BTreeMap::new();
    for entry in entries {
        let Some(version) = &entry.named.version else {
            continue;
        };
        let plain = framework == Framework::Plain;
        if plain && !is_numbered(base(path(entry, looked)), version) {
            continue;
        }
        // Names part versions of text; the version alone is what must differ.
        let key = (&entry.named.key, entry.named.direction);
        let folder = if plain || set.releases {
            names::folder(path(entry, looked))
        } else {
            ""
        };
        let written = (
            folder,
            if counts(framework) {
                version.trim_start_matches('0')
            } else {
                version
            },
            entry.named.direction,
        );
        let alike = if entry.named.baseline {
            None
        } else {
            versions.insert(written, entry)
        };
        let before = seen.insert(key, entry).or(alike);
        let Some(before) = before.filter(|before| before.file != entry.file) else {
            continue;
        };
        ups += usize::from(entry.named.direction == Direction::Up);
        if !(is_new(entry, looked) || is_new(before, looked)) {
            continue;
        }
        told.push((*entry, before, version));
    }
    // A tool that refuses such files could not have run any of them.
    if ups > OVERSIGHTS {
        if let Some((entry, before, version)) = told.first() {
            history.notes.push(format!(
                "{ups} versions are given twice, {version} by {} and {}: what runs them goes by their names, and so does their order here",
                path(before, looked),
                path(entry, looked)
            ));
        }
        return;
    }
    for (entry, before, version) in told {
        history.problems.push(
            Problem::at(
                start(entry, looked),
                format!(
                    "version {version} is given twice: {} has it, too",
                    path(before, looked)
                ),
            )
            .with_hint(if framework == Framework::Plain {
                "their names alone say which is run first, and many tools refuse both: give one a version of its own".to_owned()
            } else {
                format!(
                    "{} tells migrations apart by their version: give one a version of its own",
                    framework.name()
                )
            }),
        );
    }
}

/// `0002_name.sql`: a number that counts migrations, and no date.
fn is_numbered(name: &str, version: &str) -> bool {
    const LONGEST: usize = 6;
    version.len() <= LONGEST
        && name.strip_prefix(version).is_some_and(|rest| {
            rest.starts_with('_')
                || rest.starts_with('-')
                    && !rest
                        .get(1..)
                        .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()))
        })
}

fn out_of_order(
    entries: &[&Entry],
    looked: &[Looked<'_>],
    framework: Framework,
    history: &mut History,
) {
    let Some(last) = entries.iter().rev().find(|entry| {
        entry.named.direction == Direction::Up
            && entry.named.key.class == Class::Versioned
            && entry.named.version.is_some()
            && !is_new(entry, looked)
    }) else {
        return;
    };
    for entry in entries {
        if entry.named.direction == Direction::Up
            && entry.named.key < last.named.key
            && entry.named.version.is_some()
            && is_new(entry, looked)
            && !looked.get(entry.file).is_some_and(|file| file.edited)
        {
            history.problems.push(
                Problem::at(
                    start(entry, looked),
                    format!(
                        "it is new and stands before {}, which is not: {}",
                        path(last, looked),
                        late(framework)
                    ),
                )
                .with_hint("give it a version behind all others"),
            );
        }
    }
}

fn unmatched(entry: &Entry, looked: &[Looked<'_>], framework: Framework, history: &mut History) {
    let shown = path(entry, looked);
    let pattern = match framework {
        Framework::Flyway => "V1__name.sql",
        Framework::Diesel => "20240102030405_name/up.sql",
        Framework::Prisma => "20240102030405_name/migration.sql",
        Framework::GolangMigrate | Framework::GoPg | Framework::Pop => "1_name.up.sql",
        Framework::NodePgMigrate | Framework::PostgresMigrations => "1_name.sql",
        Framework::Postgrator => "1.do.name.sql",
        Framework::GraphileMigrate => "committed/000001-name.sql",
        Framework::Sqitch => "deploy/name.sql",
        _ => "20240102030405_name.sql",
    };
    if is_new(entry, looked) {
        history.notes.push(format!(
            "{shown} is named unlike {pattern}, so {} does not run it; it is checked as a file by itself, behind the others",
            framework.name()
        ));
    }
}
