//! `--what-if`: reads the change that the user thinks of, and has it tried.

use std::path::Path;

use super::failure::{Failure, Kind};
use super::inputs::is_planned;
use crate::advise::Analysis;
use crate::advise::what_if::{Tried, what_if};
use crate::input;
use crate::source::{Sources, Span, Text};
use crate::sql;
use crate::verify::{PlanError, Planner};

/// The option's name, which stands for its text in messages.
const OPTION: &str = "--what-if";

/// The change: its statements in order, with where they stand.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) statements: Vec<String>,
    pub(super) spans: Vec<Span>,
}

impl Changes {
    /// Reads what was given with every `--what-if`: SQL, or `@` and a file.
    pub(super) fn read(given: &[String], sources: &mut Sources) -> Result<Self, Failure> {
        let mut changes = Self::default();
        for (at, text) in given.iter().enumerate() {
            let (name, text) = match text.strip_prefix('@') {
                Some("-") => (input::STDIN.to_owned(), input::read_stdin()?),
                Some(file) => (file.to_owned(), input::read(Path::new(file))?),
                None if given.len() > 1 => (format!("{OPTION} {}", at + 1), text.clone()),
                None => (OPTION.to_owned(), text.clone()),
            };
            input::check_sql_size(&name, &text)?;
            let source = sources.add(Text::new(name.as_str(), text));
            let text = sources.get(source).map_or("", Text::text);
            // PostgreSQL judges the statements; here they are only told apart.
            let (statements, problems) = sql::read(source, text);
            if statements.is_empty() {
                let mut failure =
                    Failure::new(Kind::Usage, format!("{name} has no SQL statement in it"));
                failure
                    .hints
                    .extend(problems.into_iter().map(|problem| problem.message));
                return Err(failure.hint(
                    "give SQL, such as 'create index on orders (status)', or @ and the name of a file",
                ));
            }
            for statement in statements {
                changes.statements.push(statement.text);
                changes.spans.push(statement.span);
            }
        }
        Ok(changes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
}

/// Has the change tried on the statements that were planned.
pub(super) fn run(
    changes: &Changes,
    analyses: &[Analysis],
    planner: &mut dyn Planner,
) -> Result<Tried, Failure> {
    let statements: Vec<_> = analyses
        .iter()
        .map(|analysis| {
            analysis
                .statement
                .as_ref()
                .filter(|statement| is_planned(statement) && analysis.plan.is_some())
        })
        .collect();
    what_if(&changes.statements, &statements, planner).map_err(|error| {
        let kind = match error {
            PlanError::Unsupported { .. } => Kind::Usage,
            _ => Kind::Database,
        };
        Failure::new(kind, format!("the change was not tried: {error}"))
    })
}

/// There is nothing that the change could be tried on.
pub(super) fn no_planner() -> Failure {
    Failure::new(
        Kind::Usage,
        format!("{OPTION} needs a planner that can try the change"),
    )
    .hint("take a snapshot of the database (pgadvise snapshot -d …) and give it with --snapshot")
}
