//! What `explain` is given: files and standard input, told apart into SQL and
//! plans. One that cannot be read is a problem, and the others go on.

use std::collections::VecDeque;
use std::path::Path;

use super::failure::{Failure, Kind};
use crate::advise::explain::GivenPlan;
use crate::input::{self, InputError};
use crate::plan::read;
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
    /// The statement stood with the plan, in the same record or paste: there
    /// is no doubt that the plan is its own, whatever tables its views hide.
    pub(super) stood_together: bool,
}

/// All files of a run, with what could not be read.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) sources: Sources,
    pub(super) files: Vec<Input>,
    pub(super) problems: Vec<model::Problem>,
    /// The logs among the inputs.
    pub(super) log: Option<model::Log>,
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
        if read::looks_like_plan(&text) {
            let plans = plans_of(&name, &text, &mut self.problems)?;
            self.plans(&name, plans);
            return Ok(());
        }
        input::check_sql_size(&name, &text)?;
        self.sql(&name, text);
        Ok(())
    }

    /// SQL that was read.
    pub(super) fn add_sql(&mut self, name: &str, text: String) {
        match input::check_sql_size(name, &text) {
            Ok(()) => self.sql(name, text),
            Err(error) => self.problems.push(Failure::from(error).problem()),
        }
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
            ..Input::default()
        });
    }

    /// Plans without SQL beside them; some carry their query's text.
    fn plans(&mut self, name: &str, plans: Vec<GivenPlan>) {
        for plan in plans {
            let mut input = Input {
                name: name.to_owned(),
                ..Input::default()
            };
            let beside = plan
                .plan
                .run
                .query_text
                .clone()
                .or_else(|| plan.sql.clone());
            if let Some(text) = beside {
                let source = self
                    .sources
                    .add(Text::new(format!("{name} (Query Text)"), text));
                let text = self.sources.get(source).map_or("", Text::text);
                let (statements, _) = sql::read(source, text);
                if let [statement] = statements.as_slice()
                    && is_planned(statement)
                {
                    input.statements = statements;
                    input.stood_together = true;
                }
            }
            input.plans.push_back(plan);
            self.files.push(input);
        }
    }

    /// A plan of a log.
    pub(super) fn add_given(&mut self, name: &str, plan: GivenPlan) {
        self.plans(name, vec![plan]);
    }

    /// Says why there is no plan in a text.
    pub(super) fn cannot_read(&mut self, name: &str, text: &str) {
        if let Err(failure) = plans_of(name, text, &mut self.problems) {
            self.problems.push(failure.problem());
        }
    }

    /// Reads the plans of those texts, each with its name; whatever else they
    /// are, is a problem. They go to the statements that are there, one each, in
    /// order; without any, each is looked at by itself.
    pub(super) fn add_plan_texts(&mut self, texts: impl IntoIterator<Item = (String, String)>) {
        let alone = self.files.is_empty();
        let mut of_statements = Vec::new();
        for (name, text) in texts {
            match plans_of(&name, &text, &mut self.problems) {
                Ok(plans) if alone => self.plans(&name, plans),
                Ok(plans) => of_statements.extend(plans),
                Err(failure) => self.problems.push(failure.problem()),
            }
        }
        if !alone && let Err(failure) = self.pair("the input", of_statements) {
            self.problems.push(failure.problem());
        }
    }

    /// Gives the statements the plans of a file, one each, in order.
    pub(super) fn give_plans(&mut self, path: &Path) -> Result<(), Failure> {
        let (name, text) = text_of(path)?;
        let alone = self.files.is_empty() && self.problems.is_empty();
        let plans = plans_of(&name, &text, &mut self.problems)?;
        if alone {
            self.plans(&name, plans);
            return Ok(());
        }
        self.pair(&name, plans)
    }

    /// Gives the statements those plans, one each, in order.
    fn pair(&mut self, name: &str, plans: Vec<GivenPlan>) -> Result<(), Failure> {
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

/// The plans of a file that `diff` compares, with the format of each.
pub(super) fn plans_to_compare(
    path: &Path,
    problems: &mut Vec<model::Problem>,
) -> Result<(String, Vec<read::Format>, Vec<GivenPlan>), Failure> {
    let (name, text) = text_of(path)?;
    let reading = read::read(&text);
    let formats = reading.plans.iter().map(|plan| plan.format).collect();
    let plans = given_plans(&name, reading, problems)?;
    Ok((name, formats, plans))
}

/// Reads the plans of a text. What is missing of one, or could not be read
/// beside the others, is a problem of the run.
fn plans_of(
    name: &str,
    text: &str,
    problems: &mut Vec<model::Problem>,
) -> Result<Vec<GivenPlan>, Failure> {
    given_plans(name, read::read(text), problems)
}

fn given_plans(
    name: &str,
    reading: read::Reading,
    problems: &mut Vec<model::Problem>,
) -> Result<Vec<GivenPlan>, Failure> {
    let read::Reading {
        plans,
        problems: bad,
    } = reading;
    let mut bad = bad.into_iter().map(|problem| plan_failure(name, problem));
    if plans.is_empty() {
        let first = bad
            .next()
            .unwrap_or_else(|| Failure::new(Kind::Input, format!("{name} has no plan in it")));
        problems.extend(bad.map(|failure| failure.problem()));
        return Err(first);
    }
    problems.extend(bad.map(|failure| failure.problem()));
    Ok(plans
        .into_iter()
        .map(|plan| GivenPlan {
            plan: plan.plan,
            name: name.to_owned(),
            sql: plan.sql,
            incomplete: plan.incomplete.map(|missing| match missing.line {
                Some(line) => format!("{name}:{line}: {}", missing.message),
                None => format!("{name}: {}", missing.message),
            }),
        })
        .collect())
}

fn plan_failure(name: &str, problem: read::ReadProblem) -> Failure {
    let place = match problem.line {
        Some(line) => format!("{name}:{line}"),
        None => name.to_owned(),
    };
    let failure = Failure::new(
        Kind::Input,
        format!("cannot read the plan in {place}: {}", problem.message),
    );
    match problem.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
