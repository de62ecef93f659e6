//! `--redact`, and `pgadvise redact`: what is given, with stand-ins in the
//! place of names and constants.

use std::collections::VecDeque;

use serde_json::Value;

use super::Exit;
use super::args::{Keep, RedactArgs, RedactWhat};
use super::failure::{Failure, Kind};
use super::inputs::{self, Input, Inputs};
use super::ui::{Ui, Written};
use crate::advise::explain::GivenPlan;
use crate::plan::build::plan_from_document;
use crate::redact::{Redaction, What};
use crate::report::model::Problem;
use crate::source::{Sources, Text};
use crate::sql;

impl From<RedactWhat> for What {
    fn from(what: RedactWhat) -> Self {
        match what {
            RedactWhat::Literals => Self::Literals,
            RedactWhat::Names => Self::Names,
            RedactWhat::All => Self::All,
        }
    }
}

/// Runs `pgadvise redact`: the plans as EXPLAIN (FORMAT JSON) prints them.
pub(super) fn run(args: &RedactArgs, ui: &Ui) -> Result<Exit, Failure> {
    let what = match args.keep {
        Some(Keep::Literals) => What::Names,
        Some(Keep::Names) => What::Literals,
        None => What::All,
    };
    let mut problems = Vec::new();
    let (name, _, plans) = inputs::plans_to_compare(&args.file, &mut problems)?;
    for problem in &problems {
        ui.problem(problem);
    }
    let incomplete = plans.iter().any(|plan| plan.incomplete.is_some());
    let documents: Vec<Value> = plans
        .into_iter()
        .map(|given| {
            let mut document = given.plan.document;
            if let (Some(sql), Value::Object(map)) = (given.sql, &mut document)
                && !map.contains_key("Query Text")
            {
                map.insert("Query Text".to_owned(), Value::String(sql));
            }
            document
        })
        .collect();
    let shown: Vec<&Value> = documents.iter().collect();
    let mut redaction = Redaction::new(what, &shown, &[]);
    let redacted: Vec<Value> = documents
        .iter()
        .map(|document| redaction.document(document))
        .collect();
    for document in &redacted {
        refuse_leaks(&redaction, document, |_| false)?;
    }
    if incomplete {
        let failure = Failure::new(
            Kind::Input,
            format!("{name} is incomplete: what there is was redacted"),
        );
        ui.failure(&failure);
    }
    let mut bytes = serde_json::to_vec_pretty(&redacted)
        .map_err(|error| Failure::new(Kind::Internal, error))?;
    bytes.push(b'\n');
    if Ui::document(&bytes, args.output.as_deref())? == Written::ReaderLeft {
        return Ok(Exit::Fine);
    }
    Ok(if problems.is_empty() && !incomplete {
        Exit::Fine
    } else {
        Exit::Failed
    })
}

/// Prints nothing rather than something that was to be hidden.
pub(super) fn refuse_leaks(
    redaction: &Redaction,
    document: &Value,
    is_prose: fn(&str) -> bool,
) -> Result<(), Failure> {
    match redaction.leak_in(document, is_prose) {
        None => Ok(()),
        Some(word) => Err(Failure::new(
            Kind::Internal,
            format!("nothing is shown, as {word:?} would still be in it"),
        )
        .hint("this is a fault of pgadvise; the plan that shows it would help to mend it")),
    }
}

/// Keys of a report whose text this program wrote.
pub(super) fn is_prose(key: &str) -> bool {
    !matches!(
        key,
        "sql"
            | "label"
            | "label_before"
            | "label_after"
            | "relation"
            | "table"
            | "schema"
            | "alias"
            | "index"
            | "definition"
            | "file"
            | "Filter"
            | "Output"
            | "Query Text"
    )
}

/// A planner needs the true names.
pub(super) fn no_planner() -> Failure {
    Failure::new(
        Kind::Usage,
        "--redact and a planner (--schema, -d, --snapshot, --what-if) do not go together: a planner knows tables by their true names",
    )
    .hint("give the plan alone, with its query by --sql where it is known")
}

/// Plans that were read, with stand-ins; `name` stands for their file.
pub(super) fn plans<'a>(
    redaction: &mut Redaction,
    plans: impl Iterator<Item = &'a mut GivenPlan>,
    name: &str,
) -> Result<(), Failure> {
    for given in plans {
        let document = redaction.document(&given.plan.document);
        given.plan = plan_from_document(document)
            .map_err(|error| Failure::new(Kind::Internal, format!("a redacted plan: {error}")))?;
        given.sql = given.sql.take().map(|sql| redaction.sql(&sql));
        given.incomplete = given
            .incomplete
            .take()
            .map(|missing| missing.replace(&given.name, name));
        name.clone_into(&mut given.name);
    }
    Ok(())
}

impl Inputs {
    /// Puts stand-ins in the place of names and constants, before anything is
    /// looked at.
    pub(super) fn redact(&mut self, what: What) -> Result<Redaction, Failure> {
        if self.log.is_some() {
            return Err(Failure::new(Kind::Usage, "--redact does not take logs")
                .hint("a log says more than its plans do: put the plan into a file of its own"));
        }
        let mut redaction = {
            let plans = || self.files.iter().flat_map(|input| &input.plans);
            let documents: Vec<&Value> = plans().map(|given| &given.plan.document).collect();
            let mut statements: Vec<&str> =
                plans().filter_map(|given| given.sql.as_deref()).collect();
            for input in &self.files {
                if let Some(statement) = input.statements.first() {
                    let source = self.sources.get(statement.span.source);
                    statements.extend(source.map(Text::text));
                }
            }
            Redaction::new(what, &documents, &statements)
        };
        let mut sources = Sources::default();
        let mut files = Vec::new();
        let mut names: Vec<(String, String)> = Vec::new();
        for input in std::mem::take(&mut self.files) {
            let number = match names.iter().position(|(known, _)| *known == input.name) {
                Some(at) => at + 1,
                None => names.len() + 1,
            };
            let name = redaction.file(&input.name, number);
            if number > names.len() {
                names.push((input.name.clone(), name.clone()));
            }
            let mut statements = Vec::new();
            if let Some(statement) = input.statements.first() {
                let text = self
                    .sources
                    .get(statement.span.source)
                    .map_or("", Text::text);
                let text = redaction.sql(text);
                let source = sources.add(Text::new(name.clone(), text));
                let text = sources.get(source).map_or("", Text::text);
                (statements, _) = sql::read(source, text);
            }
            let mut given: VecDeque<GivenPlan> = input.plans;
            plans(&mut redaction, given.iter_mut(), &name)?;
            files.push(Input {
                name,
                statements,
                plans: given,
                stood_together: input.stood_together,
            });
        }
        self.files = files;
        self.sources = sources;
        for problem in &mut self.problems {
            forget_names(problem, &names);
        }
        Ok(redaction)
    }
}

/// A trouble without the names of files.
fn forget_names(problem: &mut Problem, names: &[(String, String)]) {
    problem.place = None;
    for (name, stand_in) in names {
        problem.message = problem.message.replace(name.as_str(), stand_in);
    }
}

/// Words behind `--redact` that say what is redacted belong to it; any other
/// word is a file.
pub(super) fn join_values(
    args: impl Iterator<Item = std::ffi::OsString>,
) -> Vec<std::ffi::OsString> {
    let mut joined: Vec<std::ffi::OsString> = Vec::new();
    for arg in args {
        let is_value = matches!(arg.to_str(), Some("literals" | "names" | "all"));
        match joined.last_mut() {
            Some(last) if is_value && last == "--redact" => {
                last.push("=");
                last.push(&arg);
            }
            _ => joined.push(arg),
        }
    }
    joined
}
