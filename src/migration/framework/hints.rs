//! What the content of a file says about its framework, found in one pass over
//! its comments.

/// Signs in one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a sign that is there or not"
)]
pub struct Hints {
    /// `-- +goose Up`.
    pub goose: bool,
    /// `-- +migrate Up`.
    pub sql_migrate: bool,
    /// `-- migrate:up`.
    pub dbmate: bool,
    /// `--liquibase formatted sql`.
    pub liquibase: bool,
    /// `--> statement-breakpoint`.
    pub drizzle: bool,
    /// `-- Add up migration script here`, `-- no-transaction`.
    pub sqlx: bool,
    /// `-- CreateTable`, `-- AddForeignKey`.
    pub prisma: bool,
    /// `-- atlas:txmode none` and such.
    pub atlas: bool,
    /// `--gopg:split`.
    pub go_pg: bool,
    /// `-- Running upgrade`.
    pub alembic: bool,
    /// `-- Add field x to y` between two lines of `--`.
    pub django: bool,
    /// `-- Up Migration` of node-pg-migrate.
    pub up_migration: bool,
    /// `-- postgres-migrations disable-transaction`.
    pub postgres_migrations: bool,
    /// `--! Previous: …` of graphile-migrate.
    pub graphile: bool,
    /// `-- depends: …`, `-- transactional: …` of yoyo.
    pub yoyo: bool,
    /// `{{ … }}`: a template.
    pub template: bool,
    /// It has a comment `pgadvise: ignore-file`, or something near it.
    pub ignores: bool,
    /// Nothing but blanks and comments on lines of their own.
    pub empty: bool,
}

impl Hints {
    /// Looks at a text.
    pub fn of(text: &str) -> Self {
        let mut hints = Self {
            template: memchr::memmem::find(text.as_bytes(), b"{{").is_some(),
            empty: true,
            ..Self::default()
        };
        let mut bare = false;
        for line in text.lines() {
            let line = line.trim();
            let Some(comment) = line.strip_prefix("--") else {
                hints.empty &= line.is_empty();
                bare = false;
                continue;
            };
            hints.comment(comment, bare);
            bare = comment.is_empty();
        }
        hints
    }

    /// A comment, without its `--`; `bare` when an empty one stood before it.
    fn comment(&mut self, comment: &str, bare: bool) {
        let Some(first) = comment.trim_start().as_bytes().first() else {
            return;
        };
        let text = comment.trim_start();
        match first {
            b'+' => {
                self.goose |= text.starts_with("+goose ");
                self.sql_migrate |= text.starts_with("+migrate ");
            }
            b'm' => {
                self.dbmate |= text.starts_with("migrate:up") || text.starts_with("migrate:down");
            }
            b'l' => {
                self.liquibase |= text
                    .strip_prefix("liquibase")
                    .is_some_and(|rest| rest.trim_start().starts_with("formatted"));
            }
            b'>' => self.drizzle |= text.starts_with("> statement-breakpoint"),
            b'n' => self.sqlx |= text.starts_with("no-transaction"),
            b'A' => {
                self.sqlx |= matches!(
                    text,
                    "Add up migration script here"
                        | "Add down migration script here"
                        | "Add migration script here"
                );
                self.prisma |= matches!(text, "AlterTable" | "AddForeignKey" | "AlterEnum");
                self.django |= bare && ["Add ", "Alter "].iter().any(|verb| text.starts_with(verb));
            }
            b'C' => {
                self.prisma |= matches!(text, "CreateTable" | "CreateIndex" | "CreateEnum");
                self.django |= bare && text.starts_with("Create ");
            }
            b'D' => {
                self.prisma |= matches!(
                    text,
                    "DropTable" | "DropIndex" | "DropForeignKey" | "DropEnum"
                );
                self.up_migration |= text == "Down Migration";
                self.django |= bare && text.starts_with("Delete ");
            }
            b'R' => {
                self.alembic |= text.starts_with("Running upgrade")
                    || text.starts_with("Running downgrade")
                    || text.starts_with("Running stamp_revision");
                self.django |= bare
                    && ["Remove ", "Rename ", "Raw "]
                        .iter()
                        .any(|verb| text.starts_with(verb));
            }
            b'U' => self.up_migration |= text == "Up Migration",
            b'a' => self.atlas |= text.starts_with("atlas:"),
            b'g' => self.go_pg |= text.starts_with("gopg:"),
            b'p' => {
                self.ignores |= text.starts_with("pgadvise") && text.contains("file");
                self.postgres_migrations |= text.starts_with("postgres-migrations ");
            }
            b'!' => self.graphile |= text.starts_with("! Previous:"),
            b'd' => self.yoyo |= text.starts_with("depends:"),
            b't' => self.yoyo |= text.starts_with("transactional:"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_told_from_comments_alone() {
        assert!(Hints::of("-- +goose Up\ncreate table a ();").goose);
        assert!(Hints::of("\r\n-- +migrate Down\r\n").sql_migrate);
        assert!(Hints::of("--liquibase formatted sql\n").liquibase);
        assert!(Hints::of("create table a ();\n--> statement-breakpoint\n").drizzle);
        assert!(Hints::of("BEGIN;\n--\n-- Add field x to y\n--\n").django);
        assert!(!Hints::of("-- Add field x to y\nselect 1;").django);
        assert!(!Hints::of("select '-- +goose Up'").goose);
        assert!(Hints::of("\n-- nothing yet\n").empty);
        assert!(!Hints::of("-- a\nselect 1").empty);
    }
}
