//! Names and frames of migrations that a fix adds.

use std::collections::BTreeSet;

use crate::migration::framework::names::{self, base, folder, leading_digits};
use crate::migration::{Direction, File, Framework, History};

/// Digits of a version that is a time: 20240102030405.
const TIME: usize = 14;

/// Where Diesel keeps the settings of the migration of that file.
pub(super) fn diesel_settings(path: &str) -> String {
    let own = folder(path);
    if own.is_empty() {
        "metadata.toml".to_owned()
    } else {
        format!("{own}/metadata.toml")
    }
}

/// Whether a path is of SQL.
pub(super) fn is_sql(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

/// The name of a migration: version as written, separator, rest.
struct Name<'a> {
    version: &'a str,
    separator: &'a str,
    rest: &'a str,
}

fn name_of(framework: Framework, path: &str) -> Option<Name<'_>> {
    let whole = match framework {
        Framework::Diesel | Framework::Prisma => base(folder(path)),
        _ => base(path),
    };
    let stem = [".tx.up.sql", ".up.sql", ".sql"]
        .iter()
        .find_map(|end| whole.strip_suffix(end))
        .unwrap_or(whole);
    let (version, rest) = match framework {
        Framework::Flyway => {
            let (head, rest) = stem.split_once("__")?;
            return Some(Name {
                version: head.strip_prefix('V')?,
                separator: "__",
                rest,
            });
        }
        Framework::Diesel => stem.split_at(stem.find('_').unwrap_or(stem.len())),
        _ => stem.split_at(leading_digits(stem).len()),
    };
    if version.is_empty() {
        return None;
    }
    let separator = match rest.chars().next() {
        Some('-') => "-",
        Some('.') => ".",
        _ => "_",
    };
    Some(Name {
        version,
        separator,
        rest: rest.trim_start_matches(['_', '-', '.']),
    })
}

/// Paths that were given to new migrations, each with its database.
pub(super) type Taken<'a> = Vec<(Option<&'a str>, String)>;

/// Where a migration goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// Its path.
    pub(super) path: String,
    /// It stands behind all migrations, not directly behind the one that it
    /// comes from.
    pub(super) last: bool,
}

/// The path of a migration behind that file; `None` when the names do not say
/// how to go on.
///
/// In a change that no database has yet it stands directly behind the file,
/// where there is a version free; else behind all others.
pub(super) fn next_path(
    history: &History,
    number: usize,
    file: &File,
    what: &str,
    taken: &Taken<'_>,
) -> Option<Next> {
    let framework = file.framework;
    let own = name_of(framework, &file.path)?;
    let key = |path: &str| names::read(path, framework, false).key;
    let ups: Vec<(usize, &File)> = history
        .files
        .iter()
        .enumerate()
        .filter(|(_, other)| {
            other.database == file.database
                && other.framework == framework
                && other.version.is_some()
                && other
                    .parts
                    .iter()
                    .any(|part| part.direction == Direction::Up)
        })
        .collect();
    let taken: Vec<&str> = taken
        .iter()
        .filter(|(database, _)| *database == file.database.as_deref())
        .map(|(_, path)| path.as_str())
        .collect();
    let used: BTreeSet<&str> = ups
        .iter()
        .map(|(_, other)| other.path.as_str())
        .chain(taken.iter().copied())
        .filter_map(|path| Some(name_of(framework, path)?.version))
        .collect();
    let free = |from: &str| -> Option<String> {
        let mut version = from.to_owned();
        for _ in 0..=used.len() {
            version = bump(&version, framework)?;
            if !used.contains(version.as_str()) {
                return Some(path_of(file, &own, &version, what));
            }
        }
        None
    };
    let behind: Vec<&File> = ups
        .iter()
        .filter(|(other, _)| *other > number)
        .map(|(_, other)| *other)
        .collect();
    if history.options.new.is_some()
        && behind.iter().all(|other| other.new)
        && let Some(path) = free(own.version)
        && key(&file.path) < key(&path)
        && behind
            .first()
            .is_none_or(|next| key(&path) < key(&next.path))
    {
        return Some(Next {
            path,
            last: behind.is_empty(),
        });
    }
    let last = ups
        .iter()
        .map(|(_, other)| other.path.as_str())
        .chain(taken.iter().copied())
        .max_by_key(|path| key(path))?;
    let path = free(name_of(framework, last)?.version)?;
    (key(last) < key(&path)).then_some(Next { path, last: true })
}

/// The path of a migration of that version, beside the file.
fn path_of(file: &File, own: &Name<'_>, version: &str, what: &str) -> String {
    let framework = file.framework;
    let slug = if own.rest.is_empty() {
        what.to_owned()
    } else {
        format!("{}_{what}", own.rest)
    };
    let stem = format!("{version}{}{slug}", own.separator);
    let (within, name) = match framework {
        Framework::Diesel => (folder(folder(&file.path)), format!("{stem}/up.sql")),
        Framework::Prisma => (folder(folder(&file.path)), format!("{stem}/migration.sql")),
        Framework::Flyway => (folder(&file.path), format!("V{stem}.sql")),
        Framework::GolangMigrate | Framework::GoPg | Framework::Pop => {
            (folder(&file.path), format!("{stem}.up.sql"))
        }
        Framework::Sqlx if file.path.ends_with(".up.sql") => {
            (folder(&file.path), format!("{stem}.up.sql"))
        }
        _ => (folder(&file.path), format!("{stem}.sql")),
    };
    if within.is_empty() {
        name
    } else {
        format!("{within}/{name}")
    }
}

/// The version behind that one, written alike.
fn bump(version: &str, framework: Framework) -> Option<String> {
    if framework == Framework::Flyway {
        let at = version.rfind(['.', '_']).map_or(0, |at| at + 1);
        let (head, tail) = version.split_at_checked(at)?;
        return Some(format!("{head}{}", bump_digits(tail)?));
    }
    let digits: String = version.chars().filter(char::is_ascii_digit).collect();
    let next = bump_digits(&digits)?;
    if next.len() != digits.len() {
        return Some(next);
    }
    let mut next = next.chars();
    Some(
        version
            .chars()
            .map(|character| {
                if character.is_ascii_digit() {
                    next.next().unwrap_or(character)
                } else {
                    character
                }
            })
            .collect(),
    )
}

/// The number behind that one, of the same width; a time goes on by a second.
fn bump_digits(digits: &str) -> Option<String> {
    let width = digits.len();
    let number: u128 = digits.parse().ok()?;
    let mut next = number + 1;
    if width == TIME {
        for (unit, most) in [(1_u128, 60), (100, 60)] {
            if next / unit % 100 >= most {
                next = next - next / unit % 100 * unit + unit * 100;
            }
        }
    }
    Some(format!("{next:0width$}"))
}

/// The file that takes a new migration back, where the one that it comes from
/// has such a file: tools that go back by files miss it otherwise.
pub(super) fn down_beside(history: &History, file: &File, path: &str) -> Option<String> {
    let down = |path: &str| -> Option<String> {
        match file.framework {
            Framework::Diesel => Some(format!("{}down.sql", path.strip_suffix("up.sql")?)),
            Framework::Yoyo => Some(format!("{}.rollback.sql", path.strip_suffix(".sql")?)),
            Framework::Postgrator => {
                let (before, after) = path.rsplit_once(".do.")?;
                Some(format!("{before}.undo.{after}"))
            }
            _ => Some(format!("{}.down.sql", path.strip_suffix(".up.sql")?)),
        }
    };
    let own = down(&file.path)?;
    history
        .given
        .iter()
        .any(|given| given.path == own)
        .then(|| down(path))
        .flatten()
}

/// The text of a file that takes nothing back.
pub(super) fn nothing(framework: Framework) -> &'static str {
    match framework {
        // Diesel fails at a file without a statement.
        Framework::Diesel => {
            "-- Nothing: the migration before takes back what both did.\nSELECT 1;\n"
        }
        _ => "-- Nothing: the migration before takes back what both did.\n",
    }
}

/// A changeset with that SQL, named behind the one whose head ends `head`, and
/// run where that is run. `before` are those that were already named alike.
pub(super) fn changeset(
    head: &str,
    text: &str,
    what: &str,
    before: usize,
    sql: &str,
    outside: bool,
) -> Option<String> {
    let line = head.trim_end_matches(['\n', '\r']).lines().next_back()?;
    let rest = line
        .trim_start()
        .strip_prefix("--")?
        .trim_start()
        .strip_prefix("changeset")?
        .trim();
    let (name, attributes) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    if name.contains('"') || !name.contains(':') {
        return None;
    }
    let ids: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|comment| comment.trim_start().strip_prefix("changeset"))
        .filter_map(|rest| rest.split_whitespace().next())
        .collect();
    let mut number = before;
    let id = loop {
        let id = match number {
            0 => format!("{name}-{what}"),
            _ => format!("{name}-{what}-{}", number + 1),
        };
        if !ids.contains(id.as_str()) {
            break id;
        }
        number += 1;
    };
    // Contexts, labels and the like decide where it is run.
    let attributes: String = attributes
        .split_inclusive([' ', '\t'])
        .filter(|word| !word.starts_with("runInTransaction:"))
        .collect();
    let attributes = match attributes.trim() {
        "" => String::new(),
        attributes => format!(" {attributes}"),
    };
    let outside = if outside {
        " runInTransaction:false"
    } else {
        ""
    };
    Some(format!(
        "\n--changeset {id}{attributes}{outside}\n{sql}--rollback not required\n"
    ))
}

/// The text of a migration with that SQL, made from that file.
pub(super) fn frame(file: &File, sql: &str, outside: bool) -> String {
    // A file that can be taken back takes back what moved, too.
    let down = if file
        .parts
        .iter()
        .any(|part| part.direction == Direction::Down)
    {
        format!(
            "-- Nothing: {} takes back what both did.\n",
            base(&file.path)
        )
    } else {
        String::new()
    };
    match (file.framework, outside) {
        (Framework::Goose, true) => {
            format!("-- +goose NO TRANSACTION\n-- +goose Up\n{sql}\n-- +goose Down\n{down}")
        }
        (Framework::Goose, false) => format!("-- +goose Up\n{sql}\n-- +goose Down\n{down}"),
        (Framework::SqlMigrate, true) => {
            format!("-- +migrate Up notransaction\n{sql}\n-- +migrate Down\n{down}")
        }
        (Framework::SqlMigrate, false) => {
            format!("-- +migrate Up\n{sql}\n-- +migrate Down\n{down}")
        }
        (Framework::Dbmate, true) => {
            format!("-- migrate:up transaction:false\n{sql}\n-- migrate:down\n{down}")
        }
        (Framework::Dbmate, false) => format!("-- migrate:up\n{sql}\n-- migrate:down\n{down}"),
        (Framework::Sqlx, true) => format!("-- no-transaction\n{sql}"),
        (Framework::PostgresMigrations, true) => {
            format!("-- postgres-migrations disable-transaction\n{sql}")
        }
        (Framework::Yoyo, true) => format!("-- transactional: false\n{sql}"),
        (Framework::Atlas, true) => format!("-- atlas:txmode none\n\n{sql}"),
        _ => sql.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go_on_as_they_are_written() {
        let next = |version| bump(version, Framework::Plain).unwrap();
        assert_eq!(next("0009"), "0010");
        assert_eq!(next("9"), "10");
        assert_eq!(next("20240102030405"), "20240102030406");
        assert_eq!(next("20240102035959"), "20240102040000");
        assert_eq!(
            bump("2026-07-30-140000-0000", Framework::Diesel).unwrap(),
            "2026-07-30-140000-0001"
        );
        assert_eq!(bump("1.9", Framework::Flyway).unwrap(), "1.10");
    }
}
