//! From statements to analyses: plan, run the rules, try indexes, rewrites
//! and statistics on the planner, and put everything in order.

use super::engine::{self, Choice};
use super::suppress::{ConfiguredSuppression, apply_suppressions};
use super::why_not_flagged::{self, Asked};
use super::{Analysis, PlanFrom, attach, sensitivity, statistics};
use crate::catalog::Catalog;
use crate::plan::PlanGraph;
use crate::source::Problem;
use crate::sql::{self, Statement, StatementKind};
use crate::subject::Subject;
use crate::verify::{Engine, PlanError, PlanOptions, Planned, Planner};

/// How to advise.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a choice of its own, and none excludes another"
)]
pub struct AdviceOptions {
    /// Execute statements too (`--analyze`), rolled back.
    pub analyze: bool,
    /// The user accepts that data-modifying statements run before they are
    /// rolled back (`--analyze-writes`).
    pub allow_writes: bool,
    /// Try suggestions on the planner.
    pub verify: bool,
    /// Try values in place of parameters.
    pub parameters: bool,
    /// Least share of the cost that a set of indexes must save, 0 to 1.
    pub min_gain: f64,
    /// Say why nodes of the plan were not flagged.
    pub why_not_flagged: Option<Asked>,
    /// Rules switched off, and levels set by the user.
    pub rules: Choice,
    /// Suppressions of the configuration file.
    pub suppressions: Vec<ConfiguredSuppression>,
}

impl Default for AdviceOptions {
    fn default() -> Self {
        Self {
            analyze: false,
            allow_writes: false,
            verify: true,
            parameters: true,
            min_gain: 0.3,
            why_not_flagged: None,
            rules: Choice::default(),
            suppressions: Vec::new(),
        }
    }
}

/// A plan that the user gave, with the name of the text it stood in.
#[derive(Debug, Clone)]
pub struct GivenPlan {
    /// The plan.
    pub plan: PlanGraph,
    /// The text's name.
    pub name: String,
    /// The statement that stood beside the plan.
    pub sql: Option<String>,
    /// What is missing of the plan, where its text was cut off or damaged.
    pub incomplete: Option<String>,
}

impl GivenPlan {
    /// Takes the plan, with what is missing of it as a problem.
    fn into_analysis(self, analysis: &mut Analysis) {
        if let Some(missing) = self.incomplete {
            analysis.problems.push(
                Problem::new(format!("the plan is incomplete: {missing}")).with_hint(
                    "what is there is shown; copy the whole output of EXPLAIN for the rest",
                ),
            );
            analysis.failed = true;
        }
        analysis.plan = Some(self.plan);
        analysis.plan_from = Some(PlanFrom::Given(self.name));
    }
}

/// Analyses statements, each with the given plan of the same position, or with
/// the planner's. Plans without a statement come last, on their own.
///
/// Nothing here fails as a whole: what goes wrong with one statement is a
/// problem of its analysis, and the others go on.
pub fn analyse(
    statements: Vec<Statement>,
    given: Vec<GivenPlan>,
    mut planner: Option<&mut dyn Planner>,
    options: &AdviceOptions,
) -> Vec<Analysis> {
    let mut shared = Vec::new();
    let catalog = match reborrow(&mut planner).map(Planner::catalog) {
        Some(Ok(catalog)) => Some(catalog),
        Some(Err(error)) => {
            shared.push(
                Problem::new(format!("the catalogue could not be read: {error}"))
                    .with_hint("rules that need it are skipped"),
            );
            None
        }
        None => None,
    };
    let mut given = given.into_iter();
    let mut analyses = Vec::new();
    let mut lost: Option<String> = None;
    for mut statement in statements {
        let mut analysis = Analysis {
            problems: std::mem::take(&mut shared),
            ..Analysis::default()
        };
        if let Some(catalog) = &catalog {
            analysis
                .problems
                .extend(sql::resolve(&mut statement, catalog));
        }
        analysis.problems.splice(0..0, statement.problems.clone());
        if statement.kind == StatementKind::Other && statement.query.is_none() {
            if statement.problems.is_empty() {
                analysis.problems.push(
                    Problem::at(
                        statement.span,
                        "not a statement that PostgreSQL plans; left out",
                    )
                    .with_hint("SELECT, VALUES, INSERT, UPDATE, DELETE and MERGE have plans"),
                );
            } else {
                analysis.failed = true;
            }
            analysis.statement = Some(statement);
            analyses.push(analysis);
            continue;
        }
        match given.next() {
            Some(given) => given.into_analysis(&mut analysis),
            None => {
                if let (Some(planner), None) = (reborrow(&mut planner), &lost) {
                    plan(&statement, planner, options, &mut analysis, &mut lost);
                } else if let Some(message) = &lost {
                    analysis.failed = true;
                    analysis.problems.push(Problem::at(
                        statement.span,
                        format!("not planned: {message}"),
                    ));
                }
            }
        }
        let planner = match (reborrow(&mut planner), &lost) {
            (Some(planner), None) => Some(planner),
            _ => None,
        };
        analysis.statement = Some(statement);
        advise(&mut analysis, planner, catalog.as_ref(), options);
        analyses.push(analysis);
    }
    for given in given {
        let mut analysis = Analysis {
            problems: std::mem::take(&mut shared),
            ..Analysis::default()
        };
        given.into_analysis(&mut analysis);
        advise(&mut analysis, None, catalog.as_ref(), options);
        analyses.push(analysis);
    }
    if !shared.is_empty() {
        analyses.push(Analysis {
            problems: shared,
            failed: true,
            ..Analysis::default()
        });
    }
    analyses
}

/// The planner again, for a shorter while.
fn reborrow<'a>(planner: &'a mut Option<&mut dyn Planner>) -> Option<&'a mut dyn Planner> {
    match planner {
        Some(planner) => Some(&mut **planner),
        None => None,
    }
}

/// Asks the planner for a statement's plan; failures become problems.
fn plan(
    statement: &Statement,
    planner: &mut dyn Planner,
    options: &AdviceOptions,
    analysis: &mut Analysis,
    lost: &mut Option<String>,
) {
    let planned = Planned::from(statement);
    let wanted = PlanOptions {
        analyze: options.analyze,
        allow_writes: options.allow_writes,
    };
    let mut result = planner.plan(planned, wanted);
    if options.analyze {
        // Without execution there is still a plan to look at.
        let problem = match &result {
            Err(PlanError::Unsupported { what }) => {
                Some(Problem::at(statement.span, format!("not executed: {what}")))
            }
            Err(PlanError::TimedOut { seconds }) => Some(
                Problem::at(
                    statement.span,
                    format!("not executed: it did not end within {seconds} s"),
                )
                .with_hint("give it more time with --timeout; the plan shown is estimated"),
            ),
            _ => None,
        };
        if let Some(problem) = problem {
            analysis.problems.push(problem);
            analysis.failed = true;
            result = planner.plan(planned, PlanOptions::default());
        }
    }
    match result {
        Ok(plan) => {
            analysis.plan = Some(plan);
            analysis.plan_from = Some(PlanFrom::Planner(planner.engine()));
        }
        Err(error) => {
            analysis.failed = true;
            // A table that is not there was told already, with the nearest
            // name that is.
            let told = matches!(&error, PlanError::Refused { sqlstate, .. } if sqlstate == "42P01")
                && analysis.problems.iter().any(|problem| problem.at.is_some());
            if !told {
                analysis.problems.push(problem(statement, &error));
            }
            if matches!(error, PlanError::Lost { .. }) {
                *lost = Some(error.to_string());
            }
        }
    }
}

/// A planner's error as a problem, with the place that the server named.
fn problem(statement: &Statement, error: &PlanError) -> Problem {
    let mut span = statement.span;
    let mut hint = None;
    if let PlanError::Refused {
        position,
        hint: said,
        detail,
        sqlstate,
        ..
    } = error
    {
        hint.clone_from(said);
        if hint.is_none() {
            hint.clone_from(detail);
        }
        if hint.is_none() {
            hint = match sqlstate.as_str() {
                "42P01" => Some(
                    "the table is not in the schema file or database: check the name, the \
                     search_path, and that the schema file creates it"
                        .to_owned(),
                ),
                "42501" => Some(
                    "the role needs SELECT on the tables of the statement to plan it".to_owned(),
                ),
                "57014" => Some("give it more time with --timeout".to_owned()),
                _ => None,
            };
        }
        if let Some(position) = position {
            let at = statement.offsets.source_offset(*position);
            if statement.span.range().contains(&at) {
                span.start = at;
                let rest = statement
                    .text
                    .get(at - statement.span.start..)
                    .unwrap_or("");
                let word = rest
                    .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '"')))
                    .unwrap_or(rest.len());
                span.end = at + word.max(rest.chars().next().map_or(0, char::len_utf8));
            }
        }
    }
    if matches!(error, PlanError::TimedOut { .. }) {
        hint = Some("give it more time with --timeout".to_owned());
    }
    Problem {
        at: Some(span),
        message: format!("the server cannot plan this: {error}"),
        hint,
    }
}

/// Runs the rules and tries what they and the advisors suggest.
fn advise(
    analysis: &mut Analysis,
    mut planner: Option<&mut dyn Planner>,
    catalog: Option<&Catalog>,
    options: &AdviceOptions,
) {
    let subject = Subject {
        statement: analysis.statement.as_ref(),
        plan: analysis.plan.as_ref(),
        catalog,
        metrics: None,
        ..Subject::default()
    };
    let (mut findings, outcomes) = engine::run(&subject, crate::rules::ALL, &options.rules);
    let asked = options
        .why_not_flagged
        .map(|asked| why_not_flagged::Asking::new(&subject, crate::rules::ALL, asked));
    let engine = planner.as_deref().map(Planner::engine);
    if options.verify
        && analysis.plan.is_some()
        && let (Some(planner), Some(catalog), Some(statement)) =
            (reborrow(&mut planner), catalog, analysis.statement.as_ref())
    {
        let context = attach::Context {
            statement,
            catalog,
            options,
            engine: engine
                .as_ref()
                .map_or("", |engine| engine.description.as_str()),
            given: analysis.plan.as_ref(),
            is_estimate: matches!(analysis.plan_from, Some(PlanFrom::Planner(_)))
                && !analysis.plan.as_ref().is_some_and(PlanGraph::has_actuals),
        };
        if let Err(error) = attach::advisors(&context, &mut findings, planner) {
            analysis.problems.push(
                Problem::at(
                    statement.span,
                    format!("suggestions were not all tried: {error}"),
                )
                .with_hint("those that were not are marked untested"),
            );
        }
        statistics::verify(&context, &mut findings, planner);
        match sensitivity::advise(&context, &mut findings, planner) {
            Ok(found) => analysis.parameters = found,
            Err(error) => analysis.problems.push(Problem::at(
                statement.span,
                format!("values were not all tried in place of parameters: {error}"),
            )),
        }
        attach::untestable(&mut findings);
        attach::put_in_order(&mut findings);
    } else {
        attach::untested(
            &subject,
            &mut findings,
            untested_reason(engine.as_ref(), options),
        );
    }
    engine::sort(&mut findings);
    let statement_suppressions = analysis
        .statement
        .as_ref()
        .map(|statement| statement.suppressions.clone())
        .unwrap_or_default();
    let applied = apply_suppressions(
        findings,
        &outcomes,
        &statement_suppressions,
        &options.suppressions,
    );
    let silent = asked.map(|asked| asked.answer(&outcomes, &applied));
    analysis.passed = silent.unwrap_or_default();
    analysis.findings = applied.kept;
    analysis.suppressed = applied.silenced;
    analysis.problems.extend(applied.problems);
    analysis.outcomes = outcomes;
    let tried = planner.and_then(|planner| planner.what_if_engine());
    analysis.engine = engine.map(|engine| engine.with_tried(tried));
}

fn untested_reason(engine: Option<&Engine>, options: &AdviceOptions) -> &'static str {
    if engine.is_some() && !options.verify {
        "verification was switched off (--no-verify)"
    } else {
        "no planner was at hand (give --schema or a database)"
    }
}
