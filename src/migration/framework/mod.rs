//! Which tool runs the migrations, told from the layout and content of files;
//! each with its order, its up and down parts and its transactions.

pub mod cut;
pub mod hints;
pub mod names;
pub mod parts;
pub mod recognise;

pub use hints::Hints;
pub use recognise::{Marker, Recognised};

/// Tools that run migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(missing_docs, reason = "each is the tool of that name")]
pub enum Framework {
    /// Files of SQL, by nobody known.
    #[default]
    Plain,
    Flyway,
    Diesel,
    Sqlx,
    GolangMigrate,
    Goose,
    Dbmate,
    Prisma,
    Drizzle,
    Atlas,
    SqlMigrate,
    /// `structure.sql`.
    Rails,
    /// Formatted SQL.
    Liquibase,
    Supabase,
    /// Printed by `alembic upgrade --sql`.
    Alembic,
    /// Printed by `manage.py sqlmigrate`.
    Django,
    /// `go-pg`: `.tx.up.sql`.
    GoPg,
    NodePgMigrate,
    /// The npm package of that name.
    PostgresMigrations,
    GraphileMigrate,
    Yoyo,
    Postgrator,
    Sqitch,
    /// `pop`, also called `soda`: `1_name.postgres.up.sql`.
    Pop,
}

impl Framework {
    /// Every framework.
    pub const ALL: &[Self] = &[
        Self::Plain,
        Self::Flyway,
        Self::Diesel,
        Self::Sqlx,
        Self::GolangMigrate,
        Self::Goose,
        Self::Dbmate,
        Self::Prisma,
        Self::Drizzle,
        Self::Atlas,
        Self::SqlMigrate,
        Self::Rails,
        Self::Liquibase,
        Self::Supabase,
        Self::Alembic,
        Self::Django,
        Self::GoPg,
        Self::NodePgMigrate,
        Self::PostgresMigrations,
        Self::GraphileMigrate,
        Self::Yoyo,
        Self::Postgrator,
        Self::Sqitch,
        Self::Pop,
    ];

    /// Its name in options and output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Flyway => "flyway",
            Self::Diesel => "diesel",
            Self::Sqlx => "sqlx",
            Self::GolangMigrate => "golang-migrate",
            Self::Goose => "goose",
            Self::Dbmate => "dbmate",
            Self::Prisma => "prisma",
            Self::Drizzle => "drizzle",
            Self::Atlas => "atlas",
            Self::SqlMigrate => "sql-migrate",
            Self::Rails => "rails",
            Self::Liquibase => "liquibase",
            Self::Supabase => "supabase",
            Self::Alembic => "alembic",
            Self::Django => "django",
            Self::GoPg => "go-pg",
            Self::NodePgMigrate => "node-pg-migrate",
            Self::PostgresMigrations => "postgres-migrations",
            Self::GraphileMigrate => "graphile-migrate",
            Self::Yoyo => "yoyo",
            Self::Postgrator => "postgrator",
            Self::Sqitch => "sqitch",
            Self::Pop => "pop",
        }
    }

    /// The framework of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|framework| framework.name() == name)
    }

    /// How to tell it that a file runs outside a transaction, as one sentence
    /// for a person; `None` where it cannot.
    pub fn no_transaction(self) -> Option<&'static str> {
        match self {
            Self::Plain => Some("run the file outside a transaction"),
            Self::Flyway => Some(
                "put executeInTransaction=false into a file of the migration's name with .conf behind it",
            ),
            Self::Diesel => Some("put run_in_transaction = false into metadata.toml beside up.sql"),
            Self::Sqlx => Some("start the file with -- no-transaction"),
            Self::GolangMigrate => {
                Some("give the statement a file of its own: golang-migrate opens no transaction")
            }
            Self::Goose => Some("start the file with -- +goose NO TRANSACTION"),
            Self::Dbmate => Some("write -- migrate:up transaction:false"),
            Self::Prisma => Some("give the statement a migration of its own"),
            Self::Atlas => Some("start the file with -- atlas:txmode none"),
            Self::SqlMigrate => Some("write -- +migrate Up notransaction"),
            Self::Liquibase => Some("write runInTransaction:false behind the changeset's name"),
            Self::Alembic => Some("use op.get_context().autocommit_block()"),
            Self::Django => {
                Some("set atomic = False in the Migration, or use AddIndexConcurrently")
            }
            Self::GoPg => Some("leave .tx. out of the file's name"),
            Self::Supabase => Some("give the statement a migration of its own"),
            Self::NodePgMigrate => {
                Some("write it in JavaScript, with pgm.noTransaction(): files of SQL cannot say it")
            }
            Self::PostgresMigrations => {
                Some("write -- postgres-migrations disable-transaction into the file")
            }
            Self::GraphileMigrate => Some("start the file with --! no-transaction"),
            Self::Yoyo => Some("write -- transactional: false above the first statement"),
            Self::Postgrator => {
                Some("give the statement a migration of its own: postgrator opens no transaction")
            }
            Self::Sqitch => Some("put it into a change without BEGIN and COMMIT"),
            Self::Pop => Some("put .autocommit before .up.sql, where the tool knows that"),
            Self::Drizzle | Self::Rails => None,
        }
    }
}
