//! What the name of a file says: version, direction, and how it sorts.

use std::cmp::Ordering;

use super::Framework;
use crate::migration::Direction;

/// A piece of a name, for natural order: `2` before `10`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// Digits.
    Number(u128),
    /// Anything else.
    Text(String),
}

/// What a file sorts by within its set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Key {
    /// Versioned files, then repeatable ones, then those of no pattern.
    pub class: Class,
    /// The version as numbers.
    pub numbers: Vec<u128>,
    /// The version or name as text.
    pub text: Vec<Piece>,
}

/// The groups that a set is run in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Class {
    /// It has a version.
    #[default]
    Versioned,
    /// Flyway's `R__`: run behind all versions, whenever it changed.
    Repeatable,
    /// Its name fits no pattern of the framework.
    Unmatched,
}

/// What a name means to a framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The version as written.
    pub version: Option<String>,
    /// Up or down; `None` when the content says.
    pub direction: Direction,
    /// What it sorts by.
    pub key: Key,
    /// Flyway's `B`: holds what all versions up to its own do.
    pub baseline: bool,
    /// go-pg's `.tx.`; for pop, that it is not `.autocommit.`.
    pub in_transaction: bool,
}

/// The last part of a path.
pub fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, base)| base)
}

/// The folder of a path; empty when it has none.
pub fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Whether each migration of the file's kind is a folder of its own.
pub fn is_folder_file(path: &str) -> bool {
    matches!(base(path), "up.sql" | "down.sql" | "migration.sql") && !folder(path).is_empty()
}

/// The folder that holds the sequence that a file belongs to.
pub fn sequence_folder(path: &str, framework: Framework) -> &str {
    let folders = match framework {
        Framework::Diesel | Framework::Prisma => true,
        Framework::Drizzle => base(path) == "migration.sql",
        _ => false,
    };
    if folders && is_folder_file(path) {
        folder(folder(path))
    } else {
        folder(path)
    }
}

/// Pieces of a text for natural order.
pub fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest
            .find(|character: char| character.is_ascii_digit() != digit)
            .unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        pieces.push(match piece.parse() {
            Ok(number) if digit => Piece::Number(number),
            _ => Piece::Text(piece.to_owned()),
        });
        rest = behind;
    }
    pieces
}

/// Natural order of two paths.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.split('/'), b.split('/'));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => match pieces(x).cmp(&pieces(y)) {
                Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

/// The digits that a name starts with.
pub fn leading_digits(name: &str) -> &str {
    let end = name
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(name.len());
    name.get(..end).unwrap_or("")
}

/// A name without `.sql` and what says its direction, and that direction.
///
/// `.down` says it by itself; `_down` and `-down` may be a word of the name,
/// and say it only when the file has a fellow (`paired`).
pub fn strip_direction(name: &str, paired: bool) -> (&str, Option<Direction>) {
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    let Some((at, last)) = stem
        .rfind(['.', '_', '-'])
        .filter(|at| *at > 0)
        .and_then(|at| Some((at, stem.get(at + 1..)?)))
    else {
        return (stem, None);
    };
    let before = stem.get(..at).unwrap_or(stem);
    let certain = paired || stem.as_bytes().get(at) == Some(&b'.');
    match last {
        "up" if certain => (before, Some(Direction::Up)),
        "down" | "undo" | "rollback" | "revert" if certain => (before, Some(Direction::Down)),
        _ => (stem, None),
    }
}

/// The name of the file that moves forward what a file named `_down` takes
/// back; `None` when it is not named so.
pub fn fellow(path: &str) -> Option<String> {
    ["_", "-"].iter().find_map(|separator| {
        let up = format!("{separator}up.sql");
        let down = format!("{separator}down.sql");
        path.strip_suffix(&down)
            .map(|before| format!("{before}{up}"))
            .or_else(|| {
                path.strip_suffix(&up)
                    .map(|before| format!("{before}{down}"))
            })
    })
}

/// What a path below a set's folder means to that framework.
///
/// `paired` says that the [`fellow`] of the file is there.
pub fn read(path: &str, framework: Framework, paired: bool) -> Named {
    let name = base(path);
    match framework {
        Framework::Flyway => flyway(path, name, paired),
        Framework::Diesel => diesel(path, name, paired),
        Framework::Prisma => folders(path, name, paired),
        Framework::Drizzle if name == "migration.sql" => folders(path, name, paired),
        Framework::GolangMigrate
        | Framework::GoPg
        | Framework::Goose
        | Framework::Sqlx
        | Framework::Pop => numbered(path, name, framework, paired),
        Framework::SqlMigrate => sql_migrate(name),
        Framework::NodePgMigrate | Framework::PostgresMigrations => by_number(path, name, paired),
        Framework::Postgrator => postgrator(path, name),
        Framework::GraphileMigrate => graphile(path, name),
        Framework::Yoyo => yoyo(path),
        Framework::Sqitch => sqitch(path),
        Framework::Supabase => by_version(path, name, paired),
        Framework::Dbmate | Framework::Atlas | Framework::Drizzle => {
            by_file_name(path, name, paired)
        }
        Framework::Plain
        | Framework::Rails
        | Framework::Liquibase
        | Framework::Alembic
        | Framework::Django => plain(path, name, paired),
    }
}

fn unmatched(path: &str, paired: bool) -> Named {
    let (stem, direction) = strip_direction(path, paired);
    Named {
        version: None,
        direction: direction.unwrap_or(Direction::Up),
        key: Key {
            class: Class::Unmatched,
            numbers: Vec::new(),
            text: pieces(stem),
        },
        baseline: false,
        in_transaction: false,
    }
}

fn versioned(version: &str, direction: Direction, numbers: Vec<u128>, text: Vec<Piece>) -> Named {
    Named {
        version: Some(version.to_owned()),
        direction,
        key: Key {
            class: Class::Versioned,
            numbers,
            text,
        },
        baseline: false,
        in_transaction: false,
    }
}

/// `V1.2__name.sql`, `U1.2__name.sql`, `B1.2__name.sql`, `R__name.sql`; `.`
/// and `_` part the numbers of a version, and zeros at its end mean nothing.
fn flyway(path: &str, name: &str, paired: bool) -> Named {
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    let Some((head, description)) = stem.split_once("__") else {
        return unmatched(path, paired);
    };
    if head == "R" {
        return Named {
            version: None,
            direction: Direction::Up,
            key: Key {
                class: Class::Repeatable,
                numbers: Vec::new(),
                text: vec![Piece::Text(description.to_owned())],
            },
            baseline: false,
            in_transaction: false,
        };
    }
    let mut letters = head.chars();
    let (direction, baseline) = match letters.next() {
        Some('V') => (Direction::Up, false),
        Some('B') => (Direction::Up, true),
        Some('U') => (Direction::Down, false),
        _ => return unmatched(path, paired),
    };
    let version = letters.as_str();
    let mut numbers = Vec::new();
    for part in version.split(['.', '_']) {
        match part.parse() {
            Ok(number) => numbers.push(number),
            Err(_) => return unmatched(path, paired),
        }
    }
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    Named {
        baseline,
        ..versioned(&version.replace('_', "."), direction, numbers, Vec::new())
    }
}

/// The version is what stands before the first `_`, without dashes, and
/// versions are compared as text.
fn diesel(path: &str, name: &str, paired: bool) -> Named {
    let own = base(folder(path));
    let direction = match name {
        "up.sql" => Direction::Up,
        "down.sql" => Direction::Down,
        _ => return unmatched(path, paired),
    };
    let version = own.split('_').next().unwrap_or(own).replace('-', "");
    versioned(
        &version,
        direction,
        Vec::new(),
        vec![Piece::Text(version.clone())],
    )
}

/// A folder for each migration, run in the order of the folders' names.
fn folders(path: &str, name: &str, paired: bool) -> Named {
    let own = base(folder(path));
    let direction = match name {
        "migration.sql" => Direction::Up,
        // Prisma's guide has people keep one beside migration.sql.
        "down.sql" => Direction::Down,
        _ => return unmatched(path, paired),
    };
    let digits = leading_digits(own);
    let version = if digits.is_empty() { own } else { digits };
    versioned(
        version,
        direction,
        Vec::new(),
        vec![Piece::Text(own.to_owned())],
    )
}

/// `1_name.up.sql`, `1_name.sql`: the version is a number before the first
/// `_`, and numbers are compared.
fn numbered(path: &str, name: &str, framework: Framework, paired: bool) -> Named {
    let digits = leading_digits(name);
    let rest = name.get(digits.len()..).unwrap_or("");
    let Ok(number) = digits.parse::<u128>() else {
        return unmatched(path, paired);
    };
    if !rest.starts_with('_') {
        return unmatched(path, paired);
    }
    let direction = if name.ends_with(".up.sql") {
        Direction::Up
    } else if name.ends_with(".down.sql") {
        Direction::Down
    } else if matches!(framework, Framework::Goose | Framework::Sqlx) {
        Direction::Up
    } else {
        return unmatched(path, paired);
    };
    Named {
        in_transaction: match framework {
            Framework::Pop => !name.contains(".autocommit."),
            _ => name.ends_with(".tx.up.sql") || name.ends_with(".tx.down.sql"),
        },
        ..versioned(digits, direction, vec![number], Vec::new())
    }
}

/// `1_name.sql`, `1-name.sql`, `1name.sql`: what counts is the number.
fn by_number(path: &str, name: &str, paired: bool) -> Named {
    let digits = leading_digits(name);
    let Ok(number) = digits.parse::<u128>() else {
        return unmatched(path, paired);
    };
    let (stem, direction) = strip_direction(name, paired);
    versioned(
        digits,
        direction.unwrap_or(Direction::Up),
        vec![number],
        pieces(stem),
    )
}

/// `1.do.name.sql` and `1.undo.name.sql`, by their numbers.
fn postgrator(path: &str, name: &str) -> Named {
    let mut parts = name.split('.');
    let version = parts.next().unwrap_or("");
    let direction = match parts.next() {
        Some("do") => Direction::Up,
        Some("undo") => Direction::Down,
        _ => return unmatched(path, false),
    };
    match version.parse::<u128>() {
        Ok(number) => versioned(version, direction, vec![number], Vec::new()),
        Err(_) => unmatched(path, false),
    }
}

/// What was committed in the order of names, then what is being worked at.
fn graphile(path: &str, name: &str) -> Named {
    if name == "current.sql" || base(folder(path)) == "current" {
        return Named {
            key: Key {
                class: Class::Repeatable,
                numbers: Vec::new(),
                text: vec![Piece::Text(name.to_owned())],
            },
            ..unmatched(path, false)
        };
    }
    by_file_name(path, name, false)
}

/// The order of paths as text; `.rollback.sql` takes back.
fn yoyo(path: &str) -> Named {
    let (stem, direction) = match path.strip_suffix(".rollback.sql") {
        Some(stem) => (stem, Direction::Down),
        None => (path.strip_suffix(".sql").unwrap_or(path), Direction::Up),
    };
    versioned(
        base(stem),
        direction,
        Vec::new(),
        vec![Piece::Text(stem.to_owned())],
    )
}

/// `deploy/name.sql` and `revert/name.sql`; the plan says the order.
fn sqitch(path: &str) -> Named {
    match sqitch_change(path) {
        Some((direction, change)) => versioned(
            change,
            direction,
            Vec::new(),
            vec![Piece::Text(change.to_owned())],
        ),
        None => unmatched(path, false),
    }
}

/// The name of Sqitch's change that a path is for, and whether it makes it or
/// takes it back.
pub fn sqitch_change(path: &str) -> Option<(Direction, &str)> {
    let stem = path.strip_suffix(".sql")?;
    [("deploy", Direction::Up), ("revert", Direction::Down)]
        .into_iter()
        .find_map(|(kind, direction)| {
            let rest = match stem.strip_prefix(kind).filter(|rest| rest.starts_with('/')) {
                Some(rest) => rest,
                None => stem.split_once(&format!("/{kind}/"))?.1,
            };
            Some((direction, rest.trim_start_matches('/')))
        })
}

/// Numbers first and compared as such; then by the whole name. What has no
/// number stands behind.
fn sql_migrate(name: &str) -> Named {
    let digits = leading_digits(name);
    let numbers = digits
        .parse()
        .map_or_else(|_| vec![1], |number| vec![0, number]);
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    Named {
        key: Key {
            class: Class::Versioned,
            numbers,
            text: vec![Piece::Text(name.to_owned())],
        },
        ..versioned(stem, Direction::Up, Vec::new(), Vec::new())
    }
}

/// `20240102030405_name.sql`, run in the order of versions as text: 1, 10, 2.
fn by_version(path: &str, name: &str, paired: bool) -> Named {
    let mut named = by_file_name(path, name, paired);
    if let Some(version) = &named.version {
        named.key.text.insert(0, Piece::Text(version.clone()));
    }
    named
}

/// `20240102030405_name.sql`, run in the order of names as text.
fn by_file_name(path: &str, name: &str, paired: bool) -> Named {
    let digits = leading_digits(name);
    if digits.is_empty() {
        return unmatched(path, paired);
    }
    let (stem, direction) = strip_direction(name, paired);
    versioned(
        digits,
        direction.unwrap_or(Direction::Up),
        Vec::new(),
        vec![Piece::Text(stem.to_owned())],
    )
}

/// Natural order of whole paths.
fn plain(path: &str, name: &str, paired: bool) -> Named {
    let (stem, direction) = strip_direction(name, paired);
    let mut digits = leading_digits(stem);
    if digits.is_empty() && stem.starts_with(['v', 'V']) {
        digits = leading_digits(stem.get(1..).unwrap_or(""));
    }
    let mut text = Vec::new();
    let own = folder(path);
    for part in own.split('/').filter(|part| !part.is_empty()) {
        text.extend(pieces(part));
        // Shorter than any text, so that a folder sorts as a whole.
        text.push(Piece::Text(String::new()));
    }
    text.extend(pieces(stem));
    Named {
        version: (!digits.is_empty()).then(|| digits.to_owned()),
        direction: direction.unwrap_or_else(|| {
            if stem == "down" {
                Direction::Down
            } else {
                Direction::Up
            }
        }),
        key: Key {
            class: Class::Versioned,
            numbers: Vec::new(),
            text,
        },
        baseline: false,
        in_transaction: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(framework: Framework, paths: &[&str]) -> Vec<String> {
        let mut paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        paths.sort_by_key(|path| {
            let named = read(path, framework, false);
            (named.key, named.direction)
        });
        paths
    }

    #[test]
    fn flyway_compares_the_numbers_of_versions() {
        let sorted = [
            "V1__a.sql",
            "V1.2__b.sql",
            "V1_10__c.sql",
            "V2__d.sql",
            "V10__e.sql",
            "R__a.sql",
            "R__b.sql",
            "V3_oops.sql",
        ];
        let mut mixed = sorted;
        mixed.reverse();
        assert_eq!(order(Framework::Flyway, &mixed), sorted);
        assert_eq!(
            read("V1_0__a.sql", Framework::Flyway, false).key,
            read("V1__b.sql", Framework::Flyway, false).key
        );
        assert_eq!(
            read("U1.2__b.sql", Framework::Flyway, false).direction,
            Direction::Down
        );
    }

    #[test]
    fn diesel_takes_dashes_out_and_compares_text() {
        let sorted = [
            "m/20140924113530_a/up.sql",
            "m/20140924113530_a/down.sql",
            "m/2017-08-31-230457_b/up.sql",
            "m/20170901000000_c/up.sql",
            "m/2026-07-30-140000-0000_d/up.sql",
        ];
        let mut mixed = sorted;
        mixed.reverse();
        assert_eq!(order(Framework::Diesel, &mixed), sorted);
    }

    #[test]
    fn natural_order_takes_folders_one_by_one() {
        // A file stands before the folder of its name: what it begins, the
        // folder goes on with.
        let sorted = [
            "a.sql",
            "a/v1.2/x.sql",
            "a/v1.10/x.sql",
            "b/1.sql",
            "b/2_x.up.sql",
            "b/2_x.down.sql",
            "b/10.sql",
        ];
        let mut mixed = sorted;
        mixed.reverse();
        assert_eq!(order(Framework::Plain, &mixed), sorted);
    }

    #[test]
    fn a_direction_is_told_by_the_end_of_a_name() {
        assert_eq!(
            strip_direction("1_x.up.sql", false),
            ("1_x", Some(Direction::Up))
        );
        assert_eq!(
            strip_direction("1-x-down.sql", true),
            ("1-x", Some(Direction::Down))
        );
        assert_eq!(strip_direction("drop_down.sql", false).1, None);
        assert_eq!(fellow("a/1_down.sql").as_deref(), Some("a/1_up.sql"));
        assert_eq!(fellow("a/1.down.sql"), None);
    }
}
