//! What `explain` is given: files and standard input, told apart into SQL and
//! plans. One that cannot be read is a problem, and the others go on.

use std::collections::VecDeque;
use std::path::Path;

use super::failure::{Failure, Kind};
use crate::advise::explain::GivenPlan;
use crate::input::{self, InputError};
use crate::plan::json::{self, PlanJsonError};
use crate::report::{build, model};
use crate::source::{Sources, Text};
use crate::sql::{self, Statement, StatementKind};

/// One file, read.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Its name in messages.
    pub(super) name: String,
    /// Its statements.
    pub(super) statements: Vec<Statement>,
    /// Plans: each for the statement of the same position among those that are
    /// planned, or by themselves.
    pub(super) plans: VecDeque<GivenPlan>,
}

/// All files of a run, with what could not be read.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) sources: Sources,
    pub(super) files: Vec<Input>,
    pub(super) problems: Vec<model::Problem>,
}

/// Whether a planner is asked for a plan of it.
pub(super) fn is_planned(statement: &Statement) -> bool {
    // A statement that could not be read is the server's to judge.
    statement.kind != StatementKind::Other || statement.query.is_some()
}

impl Inputs {
    /// Reads the files in order.
    pub(super) fn read(files: &[impl AsRef<Path>]) -> Self {
        let mut inputs = Self::default();
        for file in files {
            if let Err(failure) = inputs.add(file.as_ref()) {
                inputs.problems.push(failure.problem());
            }
        }
        inputs
    }

    fn add(&mut self, path: &Path) -> Result<(), Failure> {
        let (name, text) = text_of(path)?;
        if json::looks_like_plan(&text) {
            let plans = parse_plans(&name, &text)?;
            self.plans(&name, plans);
            return Ok(());
        }
        if let Some(what) = other_plan_format(&text) {
            return Err(Failure::new(
                Kind::Input,
                format!("{name} is {what}, which is not read yet"),
            )
            .hint(
                "print the plan with EXPLAIN (FORMAT JSON); psql -XAt writes it without a frame",
            ));
        }
        input::check_sql_size(&name, &text)?;
        self.sql(&name, text);
        Ok(())
    }

    /// SQL text: its statements, and what could not be read of it.
    fn sql(&mut self, name: &str, text: String) {
        let source = self.sources.add(Text::new(name, text));
        let text = self.sources.get(source).map_or("", Text::text);
        let (statements, problems) = sql::read(source, text);
        // Problems of a statement are shown with it.
        for problem in problems {
            if !statements
                .iter()
                .any(|statement| statement.problems.contains(&problem))
            {
                self.problems.push(build::problem(
                    &problem,
                    model::Severity::Error,
                    &self.sources,
                ));
            }
        }
        if statements.is_empty() {
            let failure = Failure::new(Kind::Input, format!("{name} has no statement in it"))
                .hint("only comments were found; put a query in it");
            self.problems.push(failure.problem());
            return;
        }
        if !statements
            .iter()
            .any(|statement| is_planned(statement) || !statement.problems.is_empty())
        {
            let failure = Failure::new(
                Kind::Input,
                format!("{name} has no statement that PostgreSQL plans"),
            )
            .hint("SELECT, VALUES, INSERT, UPDATE, DELETE and MERGE have plans; tables belong into a file for --schema");
            self.problems.push(failure.problem());
            return;
        }
        self.files.push(Input {
            name: name.to_owned(),
            statements,
            plans: VecDeque::new(),
        });
    }

    /// Plans without SQL beside them; some carry their query's text.
    fn plans(&mut self, name: &str, plans: Vec<GivenPlan>) {
        for plan in plans {
            let mut input = Input {
                name: name.to_owned(),
                ..Input::default()
            };
            if let Some(text) = plan.plan.run.query_text.clone() {
                let source = self
                    .sources
                    .add(Text::new(format!("{name} (Query Text)"), text));
                let text = self.sources.get(source).map_or("", Text::text);
                let (statements, _) = sql::read(source, text);
                if let [statement] = statements.as_slice()
                    && is_planned(statement)
                {
                    input.statements = statements;
                }
            }
            input.plans.push_back(plan);
            self.files.push(input);
        }
    }

    /// Gives the statements the plans of a file, one each, in order.
    pub(super) fn give_plans(&mut self, path: &Path) -> Result<(), Failure> {
        let (name, text) = text_of(path)?;
        if !json::looks_like_plan(&text) {
            let what = other_plan_format(&text).map_or("not a plan".to_owned(), |what| {
                format!("{what}, which is not read yet")
            });
            return Err(Failure::new(Kind::Input, format!("{name} is {what}"))
                .hint("give the output of EXPLAIN (FORMAT JSON), or better EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"));
        }
        let plans = parse_plans(&name, &text)?;
        if self.files.is_empty() && self.problems.is_empty() {
            self.plans(&name, plans);
            return Ok(());
        }
        let statements: usize = self
            .files
            .iter()
            .map(|input| planned_count(&input.statements))
            .sum();
        if statements != plans.len() {
            return Err(Failure::new(
                Kind::Input,
                format!(
                    "{name} has {}, but there {}",
                    counted(plans.len(), "plan"),
                    if statements == 1 {
                        "is 1 statement".to_owned()
                    } else {
                        format!("are {statements} statements")
                    }
                ),
            )
            .hint("give a JSON array with one plan for each statement, in order"));
        }
        let mut plans = plans.into_iter();
        for input in &mut self.files {
            let count = planned_count(&input.statements);
            input.plans.extend(plans.by_ref().take(count));
        }
        Ok(())
    }
}

fn planned_count(statements: &[Statement]) -> usize {
    statements
        .iter()
        .filter(|statement| is_planned(statement))
        .count()
}

fn counted(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

fn text_of(path: &Path) -> Result<(String, String), InputError> {
    if path.as_os_str() == "-" {
        input::read_stdin().map(|text| (input::STDIN.to_owned(), text))
    } else {
        input::read(path).map(|text| (path.display().to_string(), text))
    }
}

/// A plan that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the plan in {name}")]
struct PlanFailure {
    name: String,
    #[source]
    source: PlanJsonError,
}

fn parse_plans(name: &str, text: &str) -> Result<Vec<GivenPlan>, Failure> {
    match json::parse(text) {
        Ok(plans) => Ok(plans
            .into_iter()
            .map(|plan| GivenPlan {
                plan,
                name: name.to_owned(),
            })
            .collect()),
        Err(source) => {
            let hint = match &source {
                PlanJsonError::Syntax {
                    truncated: true, ..
                } => {
                    "the end is missing: copy the whole output, or write it with psql -XAt -o plan.json"
                }
                PlanJsonError::Syntax { .. } => {
                    "give the output of EXPLAIN (FORMAT JSON) as psql -XAt writes it, without a frame"
                }
                _ => {
                    "give the output of EXPLAIN (FORMAT JSON): an array with an object that has \"Plan\""
                }
            };
            Err(Failure::new(
                Kind::Input,
                PlanFailure {
                    name: name.to_owned(),
                    source,
                },
            )
            .hint(hint))
        }
    }
}

/// What a text is that looks like a plan in another format.
fn other_plan_format(text: &str) -> Option<&'static str> {
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with("---"))?;
    if first == "QUERY PLAN" {
        Some("a plan in psql's frame")
    } else if first.contains("(cost=") || first.contains("(actual time=") {
        Some("a plan in EXPLAIN's text format")
    } else if first.starts_with("<explain") {
        Some("a plan in EXPLAIN's XML format")
    } else if first.starts_with("- Plan:") {
        Some("a plan in EXPLAIN's YAML format")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_in_other_formats_are_told_from_sql() {
        for (text, is_plan) in [
            ("Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)", true),
            ("   QUERY PLAN\n-------\n Seq Scan on t", true),
            ("<explain xmlns=\"x\">", true),
            ("- Plan:\n    Node Type: \"Result\"", true),
            ("select cost from t", false),
            ("-- a comment\nselect 1", false),
        ] {
            assert_eq!(other_plan_format(text).is_some(), is_plan, "{text}");
        }
    }
}
