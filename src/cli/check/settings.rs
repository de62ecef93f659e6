//! Command line over configuration over defaults: how one run of `check` goes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::places::Places;
use crate::advise::check::CheckOptions;
use crate::advise::check::duration::Rates;
use crate::advise::check::workload::CompareOptions;
use crate::advise::engine::Choice;
use crate::advise::suppress::nearest;
use crate::cli::args::{CheckArgs, CheckFormat, ColorWhen, FailOn, Global, PlannerArgs};
use crate::cli::env::Environment;
use crate::cli::failure::{Failure, Kind};
use crate::cli::planner::Engine;
use crate::finding::migration::MigrationFinding;
use crate::input::config::{self, Config};
use crate::migration::{Framework, Server};
use crate::report::model::Level;
use crate::rules::migration;

/// Where a baseline is written unless the user says otherwise.
const BASELINE: &str = "pgadvise-baseline.json";

/// How one run goes.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) color: Option<ColorWhen>,
    pub(super) paths: Vec<PathBuf>,
    /// How these paths, and patterns, are to be taken.
    pub(super) places: Places,
    pub(super) framework: Option<Framework>,
    pub(super) format: CheckFormat,
    pub(super) fail_on: FailOn,
    pub(super) baseline: Option<PathBuf>,
    pub(super) snapshot: Option<PathBuf>,
    pub(super) workload: Vec<PathBuf>,
    pub(super) slower: CompareOptions,
    pub(super) engine: Engine,
    pub(super) rates: Rates,
    pub(super) options: CheckOptions,
    /// The version that the command line says.
    pub(super) given_version: Option<u16>,
}

impl Settings {
    /// Reads the configuration and lays the command line over it.
    pub(super) fn new(
        args: &CheckArgs,
        global: &Global,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let path = global
            .config
            .clone()
            .or_else(|| config::find(environment.folder.as_deref()?));
        let places = Places::new(environment.folder.as_deref(), path.as_deref());
        let config = match path {
            Some(path) => config::load(&path, &crate::cli::rules::names())?,
            None => Config::default(),
        };
        let options = options(args, &config)?;
        let check = &config.check;
        let paths = if args.paths.is_empty() {
            let shown = check.paths.iter().map(|path| places.seen_from_here(path));
            shown.collect()
        } else {
            args.paths.clone()
        };
        if paths.is_empty() {
            return Err(
                Failure::new(Kind::Usage, "no migrations are named").hint(
                    "name a file or a folder: pgadvise check migrations/, or set paths in [check] of pgadvise.toml",
                ),
            );
        }
        let planner = PlannerArgs {
            engine: args.engine,
            pg_bin: args.pg_bin.clone(),
            ..PlannerArgs::default()
        };
        let defaults = Rates::default();
        let megabytes = |rate: Option<f64>, default| rate.map_or(default, |rate| rate * 1e6);
        Ok(Self {
            color: named(config.color.as_deref()),
            paths,
            places: places.clone(),
            framework: args.framework.or(check.framework),
            format: args
                .format
                .or_else(|| named(check.format.as_deref()))
                .unwrap_or(if environment.github.actions {
                    CheckFormat::Github
                } else {
                    CheckFormat::Text
                }),
            fail_on: args
                .fail_on
                .or_else(|| named(check.fail_on.as_deref()))
                .unwrap_or(FailOn::Warning),
            baseline: args
                .baseline
                .clone()
                .or_else(|| {
                    check
                        .baseline
                        .as_deref()
                        .map(|path| places.seen_from_here(path))
                })
                .or_else(|| args.write_baseline.then(|| PathBuf::from(BASELINE))),
            snapshot: args.snapshot.clone().or_else(|| config.snapshot.clone()),
            workload: if args.workload.is_empty() {
                check.workload.clone()
            } else {
                args.workload.clone()
            },
            slower: {
                let usual = CompareOptions::default();
                CompareOptions {
                    tolerance: args
                        .slower_factor
                        .or(check.slower_factor)
                        .map_or(usual.tolerance, |factor| factor - 1.0),
                    floor: args
                        .slower_cost
                        .or(check.slower_cost)
                        .unwrap_or(usual.floor),
                    ..usual
                }
            },
            engine: Engine::new(&planner, &config),
            rates: Rates {
                read: megabytes(check.read_rate, defaults.read),
                write: megabytes(check.write_rate, defaults.write),
                index_rows: check.index_rate.unwrap_or(defaults.index_rows),
                change_rows: check.change_rate.unwrap_or(defaults.change_rows),
            },
            options,
            given_version: args.pg_version,
            config,
        })
    }

    /// The server that migrations are judged for: the command line says its
    /// version, else the snapshot, else the configuration.
    pub(super) fn server(&self, snapshot: Option<(u16, Option<bool>)>) -> Server {
        let utc = snapshot.and_then(|(_, utc)| utc);
        let said = |major, known_by: &str| Server {
            major,
            known_by: known_by.to_owned(),
            assumed: false,
            utc,
        };
        if let Some(major) = self.given_version {
            said(major, "--pg-version")
        } else if let Some((major, _)) = snapshot {
            said(major.clamp(13, 18), "the snapshot")
        } else if let Some(major) = self.config.check.pg_version {
            said(major, "pgadvise.toml")
        } else {
            Server::default()
        }
    }

    /// Gives findings the levels that the configuration has for their rules,
    /// wherever they come from.
    pub(super) fn set_levels(&self, findings: &mut [MigrationFinding]) {
        for finding in findings {
            if let Some(level) = self.options.choice.levels.get(finding.rule) {
                finding.level = *level;
            }
        }
    }

    /// The level from which on findings fail the run.
    pub(super) fn least(&self) -> Option<Level> {
        match self.fail_on {
            FailOn::Note => Some(Level::Note),
            FailOn::Warning => Some(Level::Warning),
            FailOn::Critical => Some(Level::Critical),
            FailOn::Never => None,
        }
    }
}

/// Which rules run, at which level.
fn options(args: &CheckArgs, config: &Config) -> Result<CheckOptions, Failure> {
    for rule in args.enable.iter().chain(&args.disable).chain(&args.only) {
        known(rule)?;
    }
    let mut choice = Choice::default();
    let mut on: BTreeSet<String> = config.rules_on.clone();
    for (rule, level) in &config.rules {
        match level {
            Some(level) => {
                choice.levels.insert(rule.clone(), *level);
                on.insert(rule.clone());
            }
            None => {
                choice.off.insert(rule.clone());
            }
        }
    }
    for rule in &args.enable {
        choice.off.remove(rule);
        on.insert(rule.clone());
    }
    for rule in &args.disable {
        choice.off.insert(rule.clone());
    }
    if !args.only.is_empty() {
        choice.off = migration::ALL
            .iter()
            .map(|rule| rule.meta().id.to_owned())
            .filter(|rule| !args.only.contains(rule))
            .collect();
        on.extend(args.only.iter().cloned());
    }
    Ok(CheckOptions {
        choice,
        on: on.into_iter().collect(),
        ..CheckOptions::default()
    })
}

fn known(rule: &str) -> Result<(), Failure> {
    if migration::find(rule).is_some() {
        return Ok(());
    }
    let names: Vec<&str> = migration::ALL.iter().map(|rule| rule.meta().id).collect();
    let failure = Failure::new(
        Kind::Usage,
        format!("there is no rule about migrations that is called {rule}"),
    );
    Err(match nearest(rule, &names) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => failure.hint("pgadvise rules lists them"),
    })
}

/// The option's value by its name; the configuration was checked when it was
/// read.
fn named<T: clap::ValueEnum>(name: Option<&str>) -> Option<T> {
    T::from_str(name?, false).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_leaves_one_rule_on_even_if_it_is_off_by_default() {
        let args = CheckArgs {
            only: vec!["table-dropped".to_owned()],
            ..CheckArgs::default()
        };
        let options = options(&args, &Config::default()).expect("known");
        assert!(!options.choice.off.contains("table-dropped"));
        assert!(options.choice.off.contains("suppression-unused"));
        assert_eq!(options.on, ["table-dropped"]);
    }

    #[test]
    fn the_command_line_is_stronger_than_the_configuration() {
        let mut config = Config::default();
        config.rules.insert("table-dropped".to_owned(), None);
        let args = CheckArgs {
            enable: vec!["table-dropped".to_owned()],
            ..CheckArgs::default()
        };
        let options = options(&args, &config).expect("known");
        assert!(options.choice.off.is_empty());
    }

    #[test]
    fn a_misspelt_rule_is_answered_with_the_nearest() {
        let args = CheckArgs {
            disable: vec!["table-droped".to_owned()],
            ..CheckArgs::default()
        };
        let failure = options(&args, &Config::default()).expect_err("no such rule");
        assert_eq!(failure.hints, ["did you mean table-dropped?"]);
    }
}
