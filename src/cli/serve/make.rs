//! From what was pasted to a report in every form.

use super::app::{Made, Make, Pasted};
use super::store::Kept;
use crate::cli::explain::{analyse_inputs, renderer};
use crate::cli::inputs::Inputs;
use crate::cli::settings::Settings;
use crate::report::{self, Options, model};

/// What pasted texts are called.
const PLAN: &str = "the plan";
const SQL: &str = "the statement";

/// Makes reports with those settings, without a planner.
pub(super) fn maker(settings: Settings) -> Box<Make> {
    Box::new(move |pasted| make(&settings, pasted))
}

fn make(settings: &Settings, pasted: &Pasted) -> Result<Made, String> {
    let mut inputs = Inputs::default();
    if !pasted.sql.trim().is_empty() {
        inputs.add_sql(SQL, pasted.sql.clone());
    }
    inputs.add_plan_texts([(PLAN.to_owned(), pasted.plan.clone())]);
    if inputs.files.iter().all(|input| input.plans.is_empty()) {
        return Err(told(&inputs.problems));
    }
    let analyses = analyse_inputs(settings, &mut inputs, None, |_| {});
    let report = report::build(&analyses, &inputs.sources, inputs.problems);
    let options = Options {
        detailed: true,
        ..Options::default()
    };
    let render = |name: &str| -> Result<Vec<u8>, String> {
        let render = renderer(name).map_err(|failure| failure.error.to_string())?;
        let mut bytes = Vec::new();
        render(&report, &mut bytes, &options).map_err(|error| error.to_string())?;
        Ok(bytes)
    };
    Ok(Made {
        kept: Kept {
            html: render("html")?,
            markdown: render("markdown")?,
            json: render("json")?,
            text: render("text")?,
        },
        incomplete: report.incomplete(),
    })
}

/// Troubles as one text for a page.
fn told(problems: &[model::Problem]) -> String {
    let said: Vec<String> = problems
        .iter()
        .map(|problem| {
            let mut text = problem.message.clone();
            for more in problem.causes.iter().chain(&problem.hints) {
                text.push_str(&format!("\n{more}"));
            }
            text
        })
        .collect();
    if said.is_empty() {
        "There is no plan in it.".to_owned()
    } else {
        said.join("\n\n")
    }
}
