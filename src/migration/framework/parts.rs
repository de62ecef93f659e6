//! The parts of a file, and how its framework wraps each in transactions.

use std::ops::Range;

use super::{Framework, Hints, names::Named};
use crate::migration::{Direction, Wrapping};

/// A part of a text before its statements are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPart {
    /// Up or down.
    pub direction: Direction,
    /// Transactions.
    pub wrapping: Wrapping,
    /// Bytes of the text that are read for its statements, in order. More than
    /// one where the framework separates statements by itself.
    pub pieces: Vec<Range<usize>>,
}

impl RawPart {
    fn whole(direction: Direction, wrapping: Wrapping, text: &str) -> Self {
        Self {
            direction,
            wrapping,
            pieces: std::iter::once(0..text.len()).collect(),
        }
    }

    /// From the first byte to the last.
    pub fn range(&self) -> Range<usize> {
        let start = self.pieces.first().map_or(0, |piece| piece.start);
        start..self.pieces.last().map_or(start, |piece| piece.end)
    }
}

/// What was found to be wrong with a file's annotations: where, what, and what
/// to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The bytes.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do next.
    pub hint: &'static str,
}

/// Parts and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Split {
    /// In the order of the text.
    pub parts: Vec<RawPart>,
    /// Trouble with annotations.
    pub wrong: Vec<Wrong>,
    /// Bytes between `StatementBegin` and `StatementEnd`: one statement each.
    pub blocks: Vec<Range<usize>>,
}

/// A line of a text, without its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) start: usize,
    /// Past the line end.
    pub(super) next: usize,
    pub(super) text: &'a str,
}

impl<'a> Line<'a> {
    /// The text of a comment on a line of its own.
    fn comment(self) -> Option<&'a str> {
        self.text.trim_start().strip_prefix("--").map(str::trim)
    }

    /// It holds something else than a comment. `remark` is whether a comment of
    /// several lines is open.
    fn is_sql(self, remark: &mut bool) -> bool {
        let mut text = self.text.trim().trim_start_matches('\u{feff}');
        loop {
            if *remark {
                let Some((_, rest)) = text.split_once("*/") else {
                    return false;
                };
                *remark = false;
                text = rest.trim_start();
            }
            match text.strip_prefix("/*") {
                Some(rest) => {
                    *remark = true;
                    text = rest;
                }
                None => return !text.is_empty() && !text.starts_with("--"),
            }
        }
    }
}

pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        Line {
            start,
            next: at,
            text: line.trim_end_matches(['\n', '\r']),
        }
    })
}

/// Splits a text as that framework does.
///
/// `beside` is what its settings file says, and `named` what its name says.
pub fn split(
    text: &str,
    framework: Framework,
    hints: Hints,
    named: &Named,
    beside: Option<&str>,
) -> Split {
    let direction = named.direction;
    let one = |wrapping| Split {
        parts: vec![RawPart::whole(direction, wrapping, text)],
        ..Split::default()
    };
    match framework {
        Framework::Goose => annotated(text, direction, Dialect::Goose),
        Framework::SqlMigrate => annotated(text, direction, Dialect::SqlMigrate),
        Framework::Dbmate => annotated(text, direction, Dialect::Dbmate),
        Framework::NodePgMigrate => {
            let parted = lines(text)
                .filter_map(Line::comment)
                .any(|comment| Dialect::NodePg.said(comment).is_some());
            if parted {
                annotated(text, direction, Dialect::NodePg)
            } else {
                one(Wrapping::PerRun)
            }
        }
        Framework::PostgresMigrations => {
            // Wherever in the file it stands.
            one(
                if text.contains("-- postgres-migrations disable-transaction") {
                    Wrapping::OneMessage
                } else {
                    Wrapping::PerFile
                },
            )
        }
        Framework::GraphileMigrate => one(if graphile_outside(text) {
            Wrapping::OneMessage
        } else {
            Wrapping::PerFile
        }),
        Framework::Yoyo => one(if yoyo_outside(text) {
            Wrapping::None
        } else {
            Wrapping::PerFile
        }),
        Framework::Liquibase => liquibase(text),
        Framework::Drizzle => Split {
            parts: vec![RawPart {
                direction,
                wrapping: Wrapping::PerRun,
                pieces: breakpoints(text, hints),
            }],
            ..Split::default()
        },
        Framework::Diesel => one(if setting(beside, "run_in_transaction") == Some(false) {
            Wrapping::OneMessage
        } else {
            Wrapping::PerFile
        }),
        Framework::Flyway => one(if setting(beside, "executeInTransaction") == Some(false) {
            Wrapping::None
        } else {
            Wrapping::PerFile
        }),
        Framework::Sqlx => one(if text.starts_with("-- no-transaction") {
            Wrapping::OneMessage
        } else {
            Wrapping::PerFile
        }),
        Framework::GoPg => one(if named.in_transaction {
            Wrapping::PerFile
        } else if hints.go_pg {
            Wrapping::None
        } else {
            Wrapping::OneMessage
        }),
        Framework::Pop => one(if named.in_transaction {
            Wrapping::PerFile
        } else {
            Wrapping::OneMessage
        }),
        Framework::Atlas => one(match atlas_mode(text) {
            Some("none") => Wrapping::None,
            Some("all") => Wrapping::PerRun,
            _ => Wrapping::PerFile,
        }),
        Framework::GolangMigrate
        | Framework::Prisma
        | Framework::Supabase
        | Framework::Postgrator => one(Wrapping::OneMessage),
        Framework::Plain
        | Framework::Sqitch
        | Framework::Rails
        | Framework::Alembic
        | Framework::Django => one(Wrapping::None),
    }
}

/// `key = false` in a settings file, TOML or Java properties.
fn setting(beside: Option<&str>, key: &str) -> Option<bool> {
    beside?.lines().find_map(|line| {
        let (name, value) = line.split_once(['=', ':'])?;
        (name.trim() == key).then(|| {
            let value = value.split('#').next().unwrap_or(value);
            !value.trim().eq_ignore_ascii_case("false")
        })
    })
}

/// `--! no-transaction` on the first line behind those that graphile-migrate
/// writes itself.
fn graphile_outside(text: &str) -> bool {
    lines(text)
        .map(|line| line.text.trim())
        .filter(|line| !line.is_empty())
        .find(|line| {
            !["--! Previous:", "--! Hash:", "--! Message:"]
                .iter()
                .any(|own| line.starts_with(own))
        })
        .and_then(|line| line.strip_prefix("--!"))
        .and_then(|rest| rest.trim_start().strip_prefix("no-transaction"))
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

/// `-- transactional: false` above the first statement.
fn yoyo_outside(text: &str) -> bool {
    lines(text)
        .take_while(|line| line.text.trim().is_empty() || line.comment().is_some())
        .filter_map(|line| line.comment()?.strip_prefix("transactional"))
        .filter_map(|rest| rest.trim_start().strip_prefix(':'))
        .any(|value| value.trim().eq_ignore_ascii_case("false"))
}

/// The transaction mode among the directives at the head of a file.
fn atlas_mode(text: &str) -> Option<&str> {
    for line in lines(text) {
        let comment = line.comment();
        if let Some(mode) = comment.and_then(|comment| comment.strip_prefix("atlas:txmode")) {
            return Some(mode.trim());
        }
        if comment.is_none() && !line.text.trim().is_empty() {
            return None;
        }
    }
    None
}

fn breakpoints(text: &str, hints: Hints) -> Vec<Range<usize>> {
    const MARK: &str = "--> statement-breakpoint";
    if !hints.drizzle {
        return std::iter::once(0..text.len()).collect();
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(MARK) {
        pieces.push(from..at);
        from = at + MARK.len();
    }
    pieces.push(from..text.len());
    pieces
}

/// Tools that part a file by comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Goose,
    SqlMigrate,
    Dbmate,
    NodePg,
}

/// What an annotation says.
enum Said {
    Part(Direction, bool),
    NoTransaction,
    Begin,
    End,
    Unknown,
}

impl Dialect {
    /// Reads a comment without its dashes; `None` when it is no annotation.
    fn said(self, comment: &str) -> Option<Said> {
        match self {
            Self::Goose => {
                let said = comment.strip_prefix("+goose")?.trim();
                // In any case.
                Some(match said.to_ascii_lowercase().as_str() {
                    "up" => Said::Part(Direction::Up, true),
                    "down" => Said::Part(Direction::Down, true),
                    "statementbegin" => Said::Begin,
                    "statementend" => Said::End,
                    "no transaction" => Said::NoTransaction,
                    "envsub on" | "envsub off" => return None,
                    _ => Said::Unknown,
                })
            }
            Self::SqlMigrate => {
                let mut words = comment.strip_prefix("+migrate ")?.split_whitespace();
                let command = words.next()?;
                let transaction = !words.any(|word| word == "notransaction");
                Some(match command {
                    "Up" => Said::Part(Direction::Up, transaction),
                    "Down" => Said::Part(Direction::Down, transaction),
                    "StatementBegin" => Said::Begin,
                    "StatementEnd" => Said::End,
                    _ => Said::Unknown,
                })
            }
            Self::Dbmate => {
                let rest = comment.strip_prefix("migrate:")?;
                let mut words = rest.split_whitespace();
                let direction = match words.next()? {
                    "up" => Direction::Up,
                    "down" => Direction::Down,
                    _ => return Some(Said::Unknown),
                };
                Some(Said::Part(
                    direction,
                    !words.any(|word| word == "transaction:false"),
                ))
            }
            Self::NodePg => {
                let lower = comment.to_ascii_lowercase();
                if lower.starts_with("up migration") {
                    Some(Said::Part(Direction::Up, true))
                } else if lower.starts_with("down migration") {
                    Some(Said::Part(Direction::Down, true))
                } else {
                    None
                }
            }
        }
    }

    /// Whether the tool takes an annotation on that line for one.
    fn reads(self, line: &str) -> bool {
        match self {
            Self::Goose | Self::Dbmate => line.starts_with("--"),
            Self::SqlMigrate => line.starts_with("-- +migrate "),
            Self::NodePg => true,
        }
    }

    /// Why the tool refuses a part of that direction behind those.
    fn refuses(self, direction: Direction, before: &[RawPart]) -> Option<String> {
        if self != Self::Goose {
            return None;
        }
        let has = |direction| before.iter().any(|part| part.direction == direction);
        match direction {
            Direction::Up if has(Direction::Up) => {
                Some("goose refuses a second -- +goose Up".to_owned())
            }
            Direction::Up if has(Direction::Down) => {
                Some("goose refuses -- +goose Up behind -- +goose Down".to_owned())
            }
            Direction::Down if has(Direction::Down) => {
                Some("goose refuses a second -- +goose Down".to_owned())
            }
            _ => None,
        }
    }

    /// What becomes of SQL before the first annotation.
    fn about_sql_before(self) -> Option<&'static str> {
        match self {
            Self::Goose => Some("goose refuses SQL before -- +goose Up"),
            Self::SqlMigrate => Some("sql-migrate never runs SQL before -- +migrate Up"),
            Self::Dbmate => Some("dbmate refuses SQL before -- migrate:up"),
            // It is a part of the text that has no direction of its own.
            Self::NodePg => None,
        }
    }

    fn tool(self) -> &'static str {
        match self {
            Self::Goose => "goose",
            Self::SqlMigrate => "sql-migrate",
            Self::Dbmate => "dbmate",
            Self::NodePg => "node-pg-migrate",
        }
    }

    fn wrapping(self, transaction: bool) -> Wrapping {
        match (self, transaction) {
            // All that is pending, unless --no-single-transaction is given.
            (Self::NodePg, _) => Wrapping::PerRun,
            (_, true) => Wrapping::PerFile,
            (Self::Dbmate, false) => Wrapping::OneMessage,
            (Self::Goose | Self::SqlMigrate, false) => Wrapping::None,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Goose => {
                "goose knows Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON and ENVSUB OFF, each alone on a line that begins with --"
            }
            Self::SqlMigrate => {
                "sql-migrate knows Up, Down, StatementBegin and StatementEnd, in that spelling, on a line that begins with -- +migrate"
            }
            Self::Dbmate => "dbmate knows migrate:up and migrate:down",
            Self::NodePg => "write -- Up Migration and -- Down Migration",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Goose => "-- +goose Up",
            Self::SqlMigrate => "-- +migrate Up",
            Self::Dbmate => "-- migrate:up",
            Self::NodePg => "-- Up Migration",
        }
    }
}

fn annotated(text: &str, direction: Direction, dialect: Dialect) -> Split {
    let mut split = Split::default();
    let mut no_transaction = false;
    let mut piece_start = 0;
    let mut begun: Option<Range<usize>> = None;
    // The text before the first annotation; some tools refuse SQL there.
    let mut current: Option<RawPart> = None;
    let mut before: Option<Range<usize>> = None;
    let mut remark = false;
    for line in lines(text) {
        let place = line.start..line.start + line.text.len();
        let said = line.comment().and_then(|comment| dialect.said(comment));
        let Some(said) = said else {
            if current.is_none() && before.is_none() && line.is_sql(&mut remark) {
                before = Some(place);
            }
            continue;
        };
        if !dialect.reads(line.text) {
            split.wrong.push(Wrong {
                at: place.clone(),
                message: format!(
                    "{} does not read an annotation written so: {}",
                    dialect.tool(),
                    line.text.trim_end()
                ),
                hint: dialect.hint(),
            });
        }
        match said {
            Said::Part(direction, transaction) => {
                if let Some(mut part) = current.take() {
                    part.pieces.push(piece_start..line.start);
                    split.parts.push(part);
                }
                if let Some(message) = dialect.refuses(direction, &split.parts) {
                    split.wrong.push(Wrong {
                        at: place,
                        message,
                        hint: "write -- +goose Up once, and -- +goose Down once behind it",
                    });
                }
                current = Some(RawPart {
                    direction,
                    wrapping: dialect.wrapping(transaction),
                    pieces: Vec::new(),
                });
                piece_start = line.next;
            }
            Said::NoTransaction => no_transaction = true,
            Said::Begin => begun = Some(place),
            Said::End => {
                if let Some(begun) = begun.take() {
                    split.blocks.push(begun.start..line.start);
                }
                if let Some(part) = &mut current {
                    part.pieces.push(piece_start..line.start);
                }
                piece_start = line.next;
            }
            Said::Unknown => split.wrong.push(Wrong {
                at: place,
                message: format!("no annotation of that name: {}", line.text.trim()),
                hint: dialect.hint(),
            }),
        }
    }
    if let Some(mut part) = current {
        part.pieces.push(piece_start..text.len());
        split.parts.push(part);
        if let Some((at, message)) = before.zip(dialect.about_sql_before()) {
            split.wrong.push(Wrong {
                at,
                message: message.to_owned(),
                hint: "move it behind the annotation",
            });
        }
    } else {
        split.wrong.push(Wrong {
            at: 0..0,
            message: format!(
                "nothing says where the migration begins: {} is missing",
                dialect.name()
            ),
            hint: "put it on a line of its own before the first statement",
        });
        split
            .parts
            .push(RawPart::whole(direction, dialect.wrapping(true), text));
    }
    if let Some(at) = begun {
        split.wrong.push(Wrong {
            at,
            message: "StatementBegin without a StatementEnd".to_owned(),
            hint: "close it behind the statement",
        });
    }
    if dialect == Dialect::SqlMigrate {
        // Said once, it holds for all parts of that direction.
        for direction in [Direction::Up, Direction::Down] {
            let own = |part: &RawPart| part.direction == direction;
            if split
                .parts
                .iter()
                .any(|part| own(part) && part.wrapping == Wrapping::None)
            {
                for part in split.parts.iter_mut().filter(|part| own(part)) {
                    part.wrapping = Wrapping::None;
                }
            }
        }
    }
    if no_transaction {
        for part in &mut split.parts {
            part.wrapping = Wrapping::None;
        }
    }
    split
}

/// One part a changeset; what is told to take it back stands in comments, and
/// is no part.
fn liquibase(text: &str) -> Split {
    let mut split = Split::default();
    let mut current: Option<RawPart> = None;
    let mut piece_start = 0;
    for line in lines(text) {
        let Some(comment) = line.comment() else {
            continue;
        };
        let Some(rest) = comment.strip_prefix("changeset") else {
            continue;
        };
        if !rest.starts_with([' ', '\t']) {
            continue;
        }
        if let Some(mut part) = current.take() {
            part.pieces.push(piece_start..line.start);
            split.parts.push(part);
        }
        let mut transaction = true;
        let mut splits = true;
        for word in rest.split_whitespace() {
            if let Some((name, value)) = word.split_once(':') {
                let value = value.trim_matches('"');
                match name {
                    "runInTransaction" => transaction = !value.eq_ignore_ascii_case("false"),
                    "splitStatements" => splits = !value.eq_ignore_ascii_case("false"),
                    _ => {}
                }
            }
        }
        current = Some(RawPart {
            direction: Direction::Up,
            wrapping: match (transaction, splits) {
                (true, _) => Wrapping::PerFile,
                (false, true) => Wrapping::None,
                (false, false) => Wrapping::OneMessage,
            },
            pieces: Vec::new(),
        });
        piece_start = line.next;
    }
    if let Some(mut part) = current {
        part.pieces.push(piece_start..text.len());
        split.parts.push(part);
    } else {
        split.wrong.push(Wrong {
            at: 0..0,
            message: "there is no changeset in it".to_owned(),
            hint: "write --changeset author:id before the statements",
        });
        split
            .parts
            .push(RawPart::whole(Direction::Up, Wrapping::PerFile, text));
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::framework::names;

    fn parts(
        text: &str,
        framework: Framework,
        name: &str,
    ) -> Vec<(Direction, Wrapping, Vec<String>)> {
        split(
            text,
            framework,
            Hints::of(text),
            &names::read(name, framework, false),
            None,
        )
        .parts
        .into_iter()
        .map(|part| {
            let pieces = part
                .pieces
                .iter()
                .map(|piece| text.get(piece.clone()).unwrap().trim().to_owned())
                .filter(|piece| !piece.is_empty())
                .collect();
            (part.direction, part.wrapping, pieces)
        })
        .collect()
    }

    #[test]
    fn goose_reads_annotations_in_any_case() {
        let found = parts(
            "-- +goose no transaction\n-- +goose up\nSELECT 1;\n-- +goose DOWN\nSELECT 2;\n",
            Framework::Goose,
            "1_a.sql",
        );
        assert_eq!(
            found,
            [
                (Direction::Up, Wrapping::None, vec!["SELECT 1;".to_owned()]),
                (
                    Direction::Down,
                    Wrapping::None,
                    vec!["SELECT 2;".to_owned()]
                ),
            ]
        );
    }

    #[test]
    fn goose_parts_a_file_in_two() {
        let text = "-- +goose NO TRANSACTION\n-- +goose Up\nselect 1;\n-- +goose StatementBegin\nselect 2;\nselect 3\n-- +goose StatementEnd\nselect 4;\n-- +goose Down\nselect 5;\n";
        let found = parts(text, Framework::Goose, "1_a.sql");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].0, found[0].1), (Direction::Up, Wrapping::None));
        assert_eq!(found[0].2.len(), 2);
        assert!(found[0].2[0].ends_with("select 3"));
        assert_eq!(
            found[1],
            (
                Direction::Down,
                Wrapping::None,
                vec!["select 5;".to_owned()]
            )
        );
    }

    #[test]
    fn dbmate_says_it_for_each_part() {
        let text = "-- migrate:up transaction:false\nselect 1;\n-- migrate:down\nselect 2;";
        let found = parts(text, Framework::Dbmate, "1_a.sql");
        assert_eq!(found[0].1, Wrapping::OneMessage);
        assert_eq!(found[1].1, Wrapping::PerFile);
    }

    #[test]
    fn each_changeset_is_a_part() {
        let text = "--liquibase formatted sql\n\n--changeset a:1\nselect 1;\n--rollback select 9;\n--changeset a:2 runInTransaction:false\nselect 2;\n";
        let found = parts(text, Framework::Liquibase, "c.sql");
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].1, Wrapping::PerFile);
        assert_eq!(found[1].1, Wrapping::None);
    }

    #[test]
    fn drizzle_separates_statements_by_itself() {
        let text =
            "select 1\n--> statement-breakpoint\nselect 2;--> statement-breakpoint\nselect 3";
        let found = parts(text, Framework::Drizzle, "0000_a.sql");
        assert_eq!(found[0].2, ["select 1", "select 2;", "select 3"]);
    }

    #[test]
    fn settings_are_read_from_toml_and_properties() {
        assert_eq!(
            setting(
                Some("run_in_transaction = false # why"),
                "run_in_transaction"
            ),
            Some(false)
        );
        assert_eq!(
            setting(Some("executeInTransaction=true"), "executeInTransaction"),
            Some(true)
        );
        assert_eq!(setting(Some("other=false"), "executeInTransaction"), None);
    }

    #[test]
    fn an_annotation_that_no_tool_knows_is_told() {
        let text = "-- +goose upward\nselect 1;";
        let split = split(
            text,
            Framework::Goose,
            Hints::of(text),
            &names::read("1_a.sql", Framework::Goose, false),
            None,
        );
        assert_eq!(split.wrong.len(), 2);
        assert_eq!(split.parts.len(), 1);
    }
}
