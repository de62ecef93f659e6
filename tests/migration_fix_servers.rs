//! What `--fix` writes, run on real servers with rows in the tables: it leaves
//! the schema that the files as they were leave, with every constraint
//! validated and every index valid.

use std::path::Path;

use pgadvise::input::migrations::{ReadOptions, read};
use pgadvise::migration::{Direction, Framework, Wrapping};
use pgadvise::source::Sources;
use pgadvise::sql::ddl::{Action, Transaction};

use crate::migration_fix::{
    COLUMN_AND_INDEX, DEFAULT, DROP, FIXED, INDEX, KEY, ROW_CHECK, TWO, program, project,
};
use crate::migration_remedies::Connection;
use crate::support::server::{Server, every_version};

const PORT: u16 = 5432;
const ROWS: &str = "INSERT INTO customers SELECT n, 'c' FROM generate_series(1, 100) n; \
                    INSERT INTO orders SELECT n, n % 100 + 1, n FROM generate_series(1, 1000) n";
/// A unique index, a foreign key and a check that are used in the same file.
const SEVERAL: &str = "ALTER TABLE orders ADD COLUMN code bigint;\nUPDATE orders SET code = id;\nCREATE UNIQUE INDEX orders_code ON orders (code);\nALTER TABLE orders ADD CONSTRAINT orders_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id);\nALTER TABLE orders ADD CONSTRAINT code_ok CHECK (code > 0);\nDROP INDEX orders_customer;\n";

/// Runs a folder of migrations as its framework does.
fn apply(connection: &Connection, folder: &Path, framework: Framework) -> Result<(), String> {
    let mut sources = Sources::default();
    let options = ReadOptions {
        framework: Some(framework),
        ..ReadOptions::default()
    };
    let history = read(&[folder.to_owned()], &options, &mut sources).unwrap();
    let mut filled = false;
    for file in &history.files {
        for part in &file.parts {
            if part.direction == Direction::Down {
                continue;
            }
            let inside = matches!(part.wrapping, Wrapping::PerFile | Wrapping::PerRun);
            let said = |error| format!("{}: {error}", file.path);
            if part.wrapping == Wrapping::OneMessage {
                connection.rows(sources.slice(part.span)).map_err(said)?;
                continue;
            }
            if inside {
                connection.rows("BEGIN").map_err(said)?;
            }
            for statement in &part.statements {
                if matches!(
                    statement.action,
                    Action::Transaction(Transaction::Begin | Transaction::Commit)
                ) {
                    return Err(format!("{}: a transaction of its own", file.path));
                }
                connection
                    .rows(sources.slice(statement.span))
                    .map_err(|error| {
                        drop(connection.rows("ROLLBACK"));
                        said(error)
                    })?;
            }
            if inside {
                connection.rows("COMMIT").map_err(said)?;
            }
        }
        if !filled {
            filled = true;
            connection.rows(ROWS).map_err(|error| error.clone())?;
        }
    }
    Ok(())
}

#[test]
fn migration_fix_leaves_the_same_schema_on_real_servers() {
    for (major, bin) in every_version() {
        if major != 13 && major != 18 {
            continue;
        }
        let server = Server::of_version(&bin, &[], PORT).unwrap();
        drop(server.database("remedies", ""));
        let connection = Connection::new(&server, PORT);
        let version = major.to_string();
        for framework in [
            Framework::Goose,
            Framework::Sqlx,
            Framework::Dbmate,
            Framework::Diesel,
            Framework::Flyway,
            Framework::GolangMigrate,
            Framework::Prisma,
            Framework::Atlas,
            Framework::SqlMigrate,
            Framework::Liquibase,
            Framework::Supabase,
            Framework::Drizzle,
            Framework::Plain,
        ] {
            for change in [
                INDEX,
                KEY,
                ROW_CHECK,
                DROP,
                DEFAULT,
                COLUMN_AND_INDEX,
                TWO,
                SEVERAL,
            ] {
                let (folder, path) = project(framework, change);
                let files = folder.join("m");
                let name = framework.name();
                connection.clear();
                apply(&connection, &files, framework)
                    .unwrap_or_else(|error| panic!("{major} {name} as it was: {error}"));
                let before = connection.schema();

                let asked = ["check", "m", "--framework", name, "--changed", &path];
                program(
                    &folder,
                    &[&asked[..], &["--pg-version", &version, "--fix"], FIXED].concat(),
                );
                connection.clear();
                apply(&connection, &files, framework)
                    .unwrap_or_else(|error| panic!("{major} {name}: {error}\n{change}"));
                let after = connection.schema();
                let differ: Vec<_> = before.symmetric_difference(&after).collect();
                assert!(differ.is_empty(), "{major} {name} {change}: {differ:?}");
                drop(std::fs::remove_dir_all(&folder));
            }
        }
    }
}
