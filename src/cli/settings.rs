//! Command line over configuration over defaults: how one run goes.

use std::path::PathBuf;
use std::time::Duration;

use super::args::{ColorWhen, ExplainArgs, FailOn, Format, Global};
use super::env::Environment;
use super::failure::Failure;
use super::planner::Engine;
use super::rules;
use crate::advise::engine::Choice;
use crate::advise::explain::AdviceOptions;
use crate::advise::why_not_flagged::Asked;
use crate::input::config::{self, Config};
use crate::report::model::Level;

/// Seconds for a statement unless the user says otherwise.
const TIMEOUT_SECONDS: u64 = 60;

/// How one run of `explain` goes.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) color: Option<ColorWhen>,
    pub(super) format: Format,
    pub(super) fail_on: FailOn,
    pub(super) timeout: Duration,
    /// Schema files: those of the command line, or else those of the
    /// configuration.
    pub(super) schema: Vec<PathBuf>,
    /// The snapshot of the command line, or else that of the configuration.
    pub(super) snapshot: Option<PathBuf>,
    /// On which server a twin runs.
    pub(super) engine: Engine,
    pub(super) advice: AdviceOptions,
}

impl Settings {
    /// Reads the configuration and lays the command line over it.
    pub(super) fn new(
        args: &ExplainArgs,
        global: &Global,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let path = global
            .config
            .clone()
            .or_else(|| config::find(environment.folder.as_deref()?));
        let config = match path {
            Some(path) => {
                tracing::info!("configuration: {}", path.display());
                config::load(&path, &rules::names())?
            }
            None => Config::default(),
        };
        let defaults = AdviceOptions::default();
        let mut choice = Choice::default();
        for (rule, level) in &config.rules {
            match level {
                Some(level) => {
                    choice.levels.insert(rule.clone(), *level);
                }
                None => {
                    choice.off.insert(rule.clone());
                }
            }
        }
        let min_gain = args.advice.min_gain.or(config.min_gain);
        let given = args.planner.is_given() || args.plan.is_some();
        let schema = if given {
            args.planner.schema.clone()
        } else {
            config.schema.clone()
        };
        let snapshot = if given {
            args.planner.snapshot.clone()
        } else {
            config.snapshot.clone()
        };
        let engine = Engine::new(&args.planner, &config);
        let format = args
            .advice
            .asked_format()
            .or_else(|| named(config.format.as_deref()))
            .unwrap_or(Format::Text);
        Ok(Self {
            color: named(config.color.as_deref()),
            format,
            fail_on: args
                .advice
                .fail_on
                .or_else(|| named(config.fail_on.as_deref()))
                .unwrap_or(FailOn::Never),
            timeout: Duration::from_secs(
                args.timeout.or(config.timeout).unwrap_or(TIMEOUT_SECONDS),
            ),
            schema,
            snapshot,
            engine,
            advice: AdviceOptions {
                analyze: args.analyze,
                allow_writes: args.analyze_writes,
                verify: !args.advice.no_verify && config.verify.unwrap_or(true),
                min_gain: min_gain.map_or(defaults.min_gain, |percent| percent / 100.0),
                // A page has room for what the rules saw and did not tell.
                why_not_flagged: args
                    .advice
                    .why_not_flagged
                    .or_else(|| (format == Format::Html).then_some(Asked::All)),
                rules: choice,
                ..defaults
            },
            config,
        })
    }

    /// Whether a finding of that level fails the run.
    pub(super) fn fails(&self, worst: Option<Level>) -> bool {
        let least = match self.fail_on {
            FailOn::Note => Level::Note,
            FailOn::Warning => Level::Warning,
            FailOn::Critical => Level::Critical,
            FailOn::Never => return false,
        };
        worst.is_some_and(|worst| worst >= least)
    }
}

/// The option's value by its name; the configuration was checked when it was
/// read.
fn named<T: clap::ValueEnum>(name: Option<&str>) -> Option<T> {
    T::from_str(name?, false).ok()
}
