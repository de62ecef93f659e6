//! Which framework a set of files is for.

use std::collections::BTreeMap;

use super::names::{base, folder, is_folder_file, leading_digits};
use super::{Framework, Hints};
use crate::migration::Sureness;

/// A file that says something of the files below its folder: `go.mod`,
/// `meta/_journal.json`, `atlas.sum`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marker {
    /// The folder of migrations that it is for, as shown.
    pub folder: String,
    /// Its name.
    pub name: String,
    /// Its text; empty where the name alone matters.
    pub text: String,
}

/// A framework, and by what it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// The framework.
    pub framework: Framework,
    /// By what: `up.sql in a folder for each migration`.
    pub by: String,
    /// Whether that settles it.
    pub sureness: Sureness,
}

impl Recognised {
    fn known(framework: Framework, by: impl Into<String>) -> Self {
        Self {
            framework,
            by: by.into(),
            sureness: Sureness::Known,
        }
    }

    fn assumed(framework: Framework, by: impl Into<String>) -> Self {
        Self {
            framework,
            by: by.into(),
            sureness: Sureness::Assumed,
        }
    }
}

/// Files that are looked for beside migrations and in the folders above them,
/// and whether their text matters.
pub const MARKERS: &[(&str, bool)] = &[
    ("atlas.sum", false),
    ("atlas.hcl", false),
    ("migration_lock.toml", true),
    ("diesel.toml", false),
    ("flyway.conf", false),
    ("flyway.toml", false),
    ("go.mod", true),
    ("Cargo.toml", true),
    ("package.json", true),
    (".sqlx", false),
    ("sqlx-data.json", false),
    ("sqlx.toml", false),
    ("config.toml", true),
    ("drizzle.config.ts", false),
    ("drizzle.config.js", false),
    ("schema.prisma", false),
    ("sqitch.plan", true),
    ("yoyo.ini", false),
    (".gmrc", false),
    (".gmrc.js", false),
];

/// A database that a name speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// The one that is checked.
    PostgreSql,
    /// Another one, by its name.
    Other(&'static str),
}

/// The database that a word in a name stands for.
pub fn database(word: &str) -> Option<Database> {
    const LONGEST: usize = 11;
    if word.len() > LONGEST {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "postgres" | "postgresql" | "pg" | "psql" | "pgsql" => Database::PostgreSql,
        "mysql" => Database::Other("MySQL"),
        "mariadb" => Database::Other("MariaDB"),
        "sqlite" | "sqlite3" => Database::Other("SQLite"),
        "cockroach" | "cockroachdb" | "crdb" => Database::Other("CockroachDB"),
        "mssql" | "sqlserver" => Database::Other("SQL Server"),
        "oracle" => Database::Other("Oracle"),
        "h2" => Database::Other("H2"),
        "hsqldb" | "hsql" => Database::Other("HSQLDB"),
        "derby" => Database::Other("Derby"),
        "db2" => Database::Other("Db2"),
        "clickhouse" => Database::Other("ClickHouse"),
        "spanner" => Database::Other("Spanner"),
        "tidb" => Database::Other("TiDB"),
        "ydb" => Database::Other("YDB"),
        _ => return None,
    })
}

/// The database that the name of a file says between its dots:
/// `1_name.mysql.up.sql`.
pub fn database_of(path: &str) -> Option<Database> {
    let mut parts = base(path).strip_suffix(".sql")?.split('.');
    parts.next()?;
    parts.find_map(database)
}

/// Tells the framework of files of one folder (of migrations), from their
/// paths, what their content says, and what stands around.
pub fn recognise(files: &[(&str, Hints)], markers: &[&Marker]) -> Recognised {
    by_content(files)
        .or_else(|| by_names(files, markers))
        .unwrap_or_else(|| {
            Recognised::assumed(Framework::Plain, "nothing says which tool runs the files")
        })
}

fn has(markers: &[&Marker], names: &[&str]) -> bool {
    markers
        .iter()
        .any(|marker| names.contains(&marker.name.as_str()))
}

/// Whether a manifest around names a package.
fn needs(markers: &[&Marker], manifest: &str, package: &str) -> bool {
    markers
        .iter()
        .any(|marker| marker.name == manifest && marker.text.contains(package))
}

/// A sign, the framework, and its words.
type Sign = (fn(&Hints) -> bool, Framework, &'static str);

/// Annotations that only one tool reads settle it.
fn by_content(files: &[(&str, Hints)]) -> Option<Recognised> {
    const SIGNS: &[Sign] = &[
        (|hints| hints.goose, Framework::Goose, "-- +goose comments"),
        (
            |hints| hints.sql_migrate,
            Framework::SqlMigrate,
            "-- +migrate comments",
        ),
        (
            |hints| hints.dbmate,
            Framework::Dbmate,
            "-- migrate:up comments",
        ),
        (
            |hints| hints.liquibase,
            Framework::Liquibase,
            "its first line",
        ),
        (
            |hints| hints.alembic,
            Framework::Alembic,
            "-- Running upgrade comments",
        ),
        (
            |hints| hints.django,
            Framework::Django,
            "the comments of manage.py sqlmigrate",
        ),
        (
            |hints| hints.up_migration,
            Framework::NodePgMigrate,
            "-- Up Migration comments",
        ),
        (
            |hints| hints.graphile,
            Framework::GraphileMigrate,
            "--! Previous comments",
        ),
        (|hints| hints.yoyo, Framework::Yoyo, "-- depends comments"),
    ];
    // The sign that most files have: one stray file does not decide.
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, hints) in files {
        for (number, (sign, _, _)) in SIGNS.iter().enumerate() {
            if sign(hints) {
                *counts.entry(number).or_default() += 1;
            }
        }
    }
    let (number, count) = counts
        .into_iter()
        .max_by_key(|(number, count)| (*count, usize::MAX - number))?;
    let filled = files.iter().filter(|(_, hints)| !hints.empty).count();
    if count * 2 < filled.max(1) {
        return None;
    }
    let (_, framework, by) = SIGNS.get(number)?;
    Some(Recognised::known(*framework, *by))
}

fn by_names(files: &[(&str, Hints)], markers: &[&Marker]) -> Option<Recognised> {
    let count = |test: &dyn Fn(&str) -> bool| files.iter().filter(|(path, _)| test(path)).count();
    let hinted = |test: fn(&Hints) -> bool| files.iter().any(|(_, hints)| test(hints));
    let most = |count: usize| count > 0 && count * 2 >= files.len();

    if has(markers, &["sqitch.plan"]) && most(count(&in_sqitch)) {
        return Some(Recognised::known(Framework::Sqitch, "sqitch.plan"));
    }
    if most(count(&|path| {
        is_folder_file(path) && base(path) != "migration.sql"
    })) {
        return Some(Recognised::known(
            Framework::Diesel,
            "up.sql in a folder for each migration",
        ));
    }
    if most(count(&|path| {
        is_folder_file(path) && base(path) == "migration.sql"
    })) {
        return Some(if hinted(|hints| hints.drizzle) {
            Recognised::known(
                Framework::Drizzle,
                "migration.sql in folders, and its breakpoints",
            )
        } else {
            Recognised::known(
                Framework::Prisma,
                if has(markers, &["migration_lock.toml"]) {
                    "migration_lock.toml"
                } else {
                    "migration.sql in a folder for each migration"
                },
            )
        });
    }
    if most(count(&is_flyway))
        || (count(&is_flyway) > 1 && count(&is_flyway_like) * 2 >= files.len())
    {
        return Some(Recognised::known(
            Framework::Flyway,
            "names such as V1__name.sql",
        ));
    }
    if has(markers, &["_journal.json"]) || hinted(|hints| hints.drizzle) {
        return Some(Recognised::known(
            Framework::Drizzle,
            if has(markers, &["_journal.json"]) {
                "meta/_journal.json"
            } else {
                "-- statement-breakpoint comments"
            },
        ));
    }
    if most(count(&|path| {
        let rest = base(path).trim_start_matches(|character: char| character.is_ascii_digit());
        rest.len() < base(path).len() && (rest.starts_with(".do.") || rest.starts_with(".undo."))
    })) {
        return Some(Recognised::known(
            Framework::Postgrator,
            "names such as 1.do.name.sql",
        ));
    }
    if count(&|path| path.ends_with(".tx.up.sql") || path.ends_with(".tx.down.sql")) > 0 {
        return Some(Recognised::known(Framework::GoPg, "names with .tx.up.sql"));
    }
    if most(count(&|path| {
        (path.ends_with(".up.sql") || path.ends_with(".down.sql"))
            && !leading_digits(base(path)).is_empty()
    })) {
        return Some(up_and_down(files, markers));
    }
    let numbered = |path: &str| {
        let digits = leading_digits(base(path));
        !digits.is_empty()
            && base(path)
                .get(digits.len()..)
                .is_some_and(|rest| rest.starts_with('_'))
    };
    let in_supabase = |path: &str| {
        let own = folder(path);
        own == "supabase/migrations" || own.ends_with("/supabase/migrations")
    };
    if most(count(&in_supabase))
        || (needs(markers, "config.toml", "project_id") && most(count(&numbered)))
    {
        return Some(Recognised::known(
            Framework::Supabase,
            "the folder supabase/migrations",
        ));
    }
    if let Some(told) = in_javascript_or_python(files, markers) {
        return Some(told);
    }
    if has(markers, &["atlas.sum"]) || hinted(|hints| hints.atlas) {
        return Some(Recognised::known(
            Framework::Atlas,
            if has(markers, &["atlas.sum"]) {
                "atlas.sum"
            } else {
                "-- atlas: comments"
            },
        ));
    }
    if most(count(&numbered)) {
        if hinted(|hints| hints.sqlx) {
            return Some(Recognised::known(
                Framework::Sqlx,
                "comments that sqlx writes",
            ));
        }
        if has(markers, &[".sqlx", "sqlx-data.json", "sqlx.toml"])
            || needs(markers, "Cargo.toml", "sqlx")
        {
            return Some(Recognised::known(Framework::Sqlx, "sqlx in Cargo.toml"));
        }
    }
    if most(count(&|path| base(path) == "structure.sql")) {
        return Some(Recognised::known(Framework::Rails, "structure.sql"));
    }
    None
}

/// Tools of JavaScript and Python whose names of files many others have, too:
/// what stands around, or a comment, says it.
fn in_javascript_or_python(files: &[(&str, Hints)], markers: &[&Marker]) -> Option<Recognised> {
    let hinted = |test: fn(&Hints) -> bool| files.iter().any(|(_, hints)| test(hints));
    if has(markers, &[".gmrc", ".gmrc.js"]) {
        return Some(Recognised::known(Framework::GraphileMigrate, ".gmrc"));
    }
    let counted = files
        .iter()
        .filter(|(path, _)| !leading_digits(base(path)).is_empty())
        .count();
    if counted == 0 || counted * 2 < files.len() {
        return None;
    }
    let package = |name| needs(markers, "package.json", name);
    let (framework, by) = if hinted(|hints| hints.postgres_migrations) {
        (
            Framework::PostgresMigrations,
            "-- postgres-migrations comments",
        )
    } else if package("\"postgres-migrations\"") {
        (
            Framework::PostgresMigrations,
            "postgres-migrations in package.json",
        )
    } else if package("\"node-pg-migrate\"") {
        (Framework::NodePgMigrate, "node-pg-migrate in package.json")
    } else if package("\"graphile-migrate\"") {
        (
            Framework::GraphileMigrate,
            "graphile-migrate in package.json",
        )
    } else if has(markers, &["yoyo.ini"]) {
        (Framework::Yoyo, "yoyo.ini")
    } else {
        return None;
    };
    Some(Recognised::known(framework, by))
}

/// Sqitch keeps three scripts for each change.
fn in_sqitch(path: &str) -> bool {
    folder(path)
        .split('/')
        .any(|part| matches!(part, "deploy" | "revert" | "verify"))
}

/// `1_name.up.sql` is the form of several tools.
fn up_and_down(files: &[(&str, Hints)], markers: &[&Marker]) -> Recognised {
    let hinted = |test: fn(&Hints) -> bool| files.iter().any(|(_, hints)| test(hints));
    if hinted(|hints| hints.template) {
        return Recognised::assumed(
            Framework::Plain,
            "names such as 1_name.up.sql, and templates that only the project's own tool fills",
        );
    }
    if hinted(|hints| hints.sqlx) {
        return Recognised::known(Framework::Sqlx, "comments that sqlx writes");
    }
    let for_one = |(path, _): &&(&str, Hints)| database_of(path).is_some();
    if let Some((path, _)) = files.iter().find(for_one) {
        let by = match database_of(path) {
            Some(Database::PostgreSql) | None => "names such as 1_name.postgres.up.sql".to_owned(),
            Some(Database::Other(_)) => format!("names such as {}", base(path)),
        };
        return Recognised::known(Framework::Pop, by);
    }
    if hinted(|hints| hints.go_pg) || needs(markers, "go.mod", "go-pg/migrations") {
        return Recognised::known(Framework::GoPg, "go-pg/migrations in go.mod");
    }
    if has(markers, &[".sqlx", "sqlx-data.json", "sqlx.toml"])
        || needs(markers, "Cargo.toml", "sqlx")
    {
        return Recognised::known(Framework::Sqlx, "sqlx in Cargo.toml");
    }
    Recognised::known(Framework::GolangMigrate, "names such as 1_name.up.sql")
}

fn is_flyway(path: &str) -> bool {
    let name = base(path);
    let Some((head, _)) = name.split_once("__") else {
        return false;
    };
    head == "R"
        || (head.starts_with(['V', 'U', 'B'])
            && head.len() > 1
            && head
                .bytes()
                .skip(1)
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_')))
}

/// With the mistakes that are made in such names.
fn is_flyway_like(path: &str) -> bool {
    let name = base(path);
    is_flyway(path) || (name.starts_with(['V', 'v', 'U', 'R']) && name.contains('_'))
}
