//! Names and frames of migrations that a fix adds.

use crate::migration::framework::names::{base, folder, leading_digits};
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

/// The path of a migration behind all others of the file's database; `None`
/// when the names do not say how to go on. `last` is the version given last.
pub(super) fn next_path(
    history: &History,
    file: &File,
    what: &str,
    last: &mut Option<String>,
) -> Option<String> {
    let framework = file.framework;
    let own = name_of(framework, &file.path)?;
    let before = if let Some(before) = last.clone() {
        before
    } else {
        let behind = history.files.iter().rev().find(|other| {
            other.database == file.database
                && other.framework == framework
                && other.version.is_some()
                && other
                    .parts
                    .iter()
                    .any(|part| part.direction == Direction::Up)
        })?;
        name_of(framework, &behind.path)?.version.to_owned()
    };
    let version = bump(&before, framework)?;
    *last = Some(version.clone());
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
        Framework::GolangMigrate | Framework::GoPg => {
            (folder(&file.path), format!("{stem}.up.sql"))
        }
        Framework::Sqlx if file.path.ends_with(".up.sql") => {
            (folder(&file.path), format!("{stem}.up.sql"))
        }
        _ => (folder(&file.path), format!("{stem}.sql")),
    };
    Some(if within.is_empty() {
        name
    } else {
        format!("{within}/{name}")
    })
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

/// A changeset with that SQL, named behind the one whose head ends the text.
/// `before` are those that were already named alike.
pub(super) fn changeset(
    head: &str,
    what: &str,
    before: usize,
    sql: &str,
    outside: bool,
) -> Option<String> {
    let line = head.trim_end_matches(['\n', '\r']).lines().next_back()?;
    let name = line
        .trim_start()
        .strip_prefix("--")?
        .trim_start()
        .strip_prefix("changeset")?
        .split_whitespace()
        .next()?;
    if name.contains('"') || !name.contains(':') {
        return None;
    }
    let number = if before == 0 {
        String::new()
    } else {
        format!("-{}", before + 1)
    };
    let outside = if outside {
        " runInTransaction:false"
    } else {
        ""
    };
    Some(format!(
        "\n--changeset {name}-{what}{number}{outside}\n{sql}--rollback empty\n"
    ))
}

/// The text of a migration with that SQL.
pub(super) fn frame(framework: Framework, sql: &str, outside: bool) -> String {
    match (framework, outside) {
        (Framework::Goose, true) => {
            format!("-- +goose NO TRANSACTION\n-- +goose Up\n{sql}\n-- +goose Down\n")
        }
        (Framework::Goose, false) => format!("-- +goose Up\n{sql}\n-- +goose Down\n"),
        (Framework::SqlMigrate, true) => {
            format!("-- +migrate Up notransaction\n{sql}\n-- +migrate Down\n")
        }
        (Framework::SqlMigrate, false) => format!("-- +migrate Up\n{sql}\n-- +migrate Down\n"),
        (Framework::Dbmate, true) => {
            format!("-- migrate:up transaction:false\n{sql}\n-- migrate:down\n")
        }
        (Framework::Dbmate, false) => format!("-- migrate:up\n{sql}\n-- migrate:down\n"),
        (Framework::Sqlx, true) => format!("-- no-transaction\n{sql}"),
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
