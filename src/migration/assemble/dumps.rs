//! A file that holds the whole schema, beside the versions that make it:
//! `schema.sql` for new installations. Run behind or before the versions, it
//! would make everything twice.

use std::collections::BTreeSet;

use super::files::Looked;
use super::order::Entry;
use crate::migration::framework::names::{base, folder, leading_digits};
use crate::migration::{Direction, History};
use crate::sql::ddl::{self, Action, AlterKind};

/// Words that names of such files have.
const WORDS: &[&str] = &["schema", "structure", "dump"];

/// Takes out files that make the same as versions beside or below them.
pub(super) fn leave_out(entries: &mut Vec<Entry>, looked: &[Looked<'_>], history: &mut History) {
    let (dumps, versions): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .filter(|entry| entry.named.direction == Direction::Up)
        .partition(|entry| may_be_one(path(entry, looked)));
    let mut out = BTreeSet::new();
    for dump in dumps {
        let own = folder(path(dump, looked));
        let below: Vec<&&Entry> = versions
            .iter()
            .filter(|entry| {
                let place = path(entry, looked);
                is_version(place)
                    && place
                        .strip_prefix(own)
                        .is_some_and(|rest| own.is_empty() || rest.starts_with('/'))
            })
            .collect();
        if below.is_empty() {
            continue;
        }
        let made = made(dump, looked);
        if below
            .iter()
            .any(|entry| !made.is_disjoint(&self::made(entry, looked)))
        {
            out.insert(dump.file);
            history.skipped.push((
                path(dump, looked).to_owned(),
                "it holds the whole schema, which the versions beside it make".to_owned(),
            ));
        }
    }
    if !out.is_empty() {
        entries.retain(|entry| !out.contains(&entry.file));
    }
}

fn path<'a>(entry: &Entry, looked: &[Looked<'a>]) -> &'a str {
    looked.get(entry.file).map_or("", |file| file.path)
}

/// Its name says that it is a schema, and neither that nor its folder's has a
/// version.
fn may_be_one(path: &str) -> bool {
    let name = base(path).to_ascii_lowercase();
    !is_version(path) && WORDS.iter().any(|word| name.contains(word))
}

/// The name of the file or of its folder begins with a number: `0001_a.sql`,
/// `V2__b.sql`, `v1.3/schema.sql`.
fn is_version(path: &str) -> bool {
    [base(path), base(folder(path))].into_iter().any(|name| {
        let name = name.strip_prefix(['v', 'V']).unwrap_or(name);
        !leading_digits(name).is_empty()
    })
}

/// What the statements make that can be made only once: tables, and columns of
/// tables.
fn made(entry: &Entry, looked: &[Looked<'_>]) -> BTreeSet<(String, Option<String>)> {
    let mut made = BTreeSet::new();
    let Some(file) = looked.get(entry.file) else {
        return made;
    };
    for statement in ddl::read(file.source, file.text).0 {
        match &statement.action {
            Action::CreateTable(create) => {
                let table = &create.table.name.name;
                made.insert((table.clone(), None));
                made.extend(
                    create
                        .columns
                        .iter()
                        .map(|column| (table.clone(), Some(column.name.clone()))),
                );
            }
            Action::Alter(alter) => {
                made.extend(
                    alter
                        .commands
                        .iter()
                        .filter_map(|command| match &command.kind {
                            AlterKind::AddColumn { column, .. } => {
                                Some((alter.relation.name.name.clone(), Some(column.name.clone())))
                            }
                            _ => None,
                        }),
                );
            }
            _ => {}
        }
    }
    made
}
