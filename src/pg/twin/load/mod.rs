//! From a snapshot to a schema with statistics in a throw-away cluster.
//!
//! A snapshot is data from anywhere, so that its texts are executed only in
//! the session without rights, each as one statement whose first words fit
//! what it is meant to create. What needs the superuser (sizes, statistics,
//! flags in catalogues) is done with statements of our own, to which the
//! snapshot only gives parameters, and evaluates nothing that it defined.

mod bytes;
mod classes;
mod collations;
mod extended;
mod extensions;
mod flags;
mod foreign;
mod names;
mod objects;
mod parts;
mod privileged;
mod resolve;
mod settings;
mod shape;
mod statistics;
mod steps;
mod tables;

use std::collections::BTreeSet;

use super::{Loaded, Progress, Refused, TwinError};
use crate::pg::cluster::{Cluster, ClusterKind};
use crate::pg::{Error, Session};
use crate::snapshot::Snapshot;
use steps::Step;

/// The parts of [`load`], for progress.
const PARTS: usize = 8;

/// Creates the snapshot's schema in an empty cluster and writes its
/// statistics. What the cluster cannot make is in [`Loaded::refused`].
pub fn load(
    cluster: &mut dyn Cluster,
    snapshot: &Snapshot,
    progress: Progress<'_>,
) -> Result<Loaded, TwinError> {
    let mut loader = Loader::new(cluster, snapshot, progress);
    loader.run()?;
    Ok(loader.loaded)
}

/// Prepares an empty cluster in which a schema is going to be made by other
/// means than from a snapshot: with the functions that [`load`] makes first,
/// so that nobody else has made their schema, and with the snapshot's
/// extensions.
pub fn begin(
    cluster: &mut dyn Cluster,
    snapshot: &Snapshot,
    progress: Progress<'_>,
) -> Result<Loaded, TwinError> {
    let mut loader = Loader::new(cluster, snapshot, progress);
    loader.prepare()?;
    loader.make_privileged()?;
    loader.make_extensions()?;
    Ok(loader.loaded)
}

/// Makes a cluster, after [`begin`] and with the snapshot's schema in it, into
/// its twin: writes the snapshot's statistics and sizes.
pub fn adopt(
    cluster: &mut dyn Cluster,
    snapshot: &Snapshot,
    progress: Progress<'_>,
) -> Result<Loaded, TwinError> {
    let mut loader = Loader::new(cluster, snapshot, progress);
    loader.prepare()?;
    loader.write_all()?;
    Ok(loader.loaded)
}

/// What the parts share.
struct Loader<'a> {
    cluster: &'a mut dyn Cluster,
    snapshot: &'a Snapshot,
    progress: Progress<'a>,
    loaded: Loaded,
    /// Major version of the cluster.
    major: u32,
    /// The cluster is the embedded one, which holds nothing of the machine.
    sandbox: bool,
    /// Steps that failed for want of something that may come later.
    pending: Vec<Step>,
    /// Types of columns that are not there.
    missing_types: BTreeSet<String>,
    /// Foreign servers that could be made.
    servers: BTreeSet<String>,
}

impl<'a> Loader<'a> {
    fn new(cluster: &'a mut dyn Cluster, snapshot: &'a Snapshot, progress: Progress<'a>) -> Self {
        Self {
            sandbox: cluster.kind() == ClusterKind::Embedded,
            major: cluster.version_num() / 10_000,
            cluster,
            snapshot,
            progress,
            loaded: Loaded::default(),
            pending: Vec::new(),
            missing_types: BTreeSet::new(),
            servers: BTreeSet::new(),
        }
    }

    fn run(&mut self) -> Result<(), TwinError> {
        self.at("types and functions", 0);
        self.prepare()?;
        self.make_collations()?;
        // Before anything of the snapshot's, so that nobody else has made
        // their schema.
        self.make_privileged()?;
        self.make_extensions()?;
        self.make_roles()?;
        let steps = self.object_steps();
        self.run_steps(steps)?;
        self.run_steps(Vec::new())?;
        self.make_foreign_servers()?;
        self.find_missing_types()?;
        self.at("tables", 1);
        let steps = self.table_steps();
        self.run_steps(steps)?;
        self.at("indexes and constraints", 2);
        let steps = self.part_steps();
        self.run_steps(steps)?;
        self.at("views", 3);
        let steps = self.view_steps();
        self.run_steps(steps)?;
        self.finish_steps()?;
        self.write_all()
    }

    /// Everything but the schema.
    fn write_all(&mut self) -> Result<(), TwinError> {
        let names = self.resolve()?;
        self.at("statistics", 4);
        self.write_statistics(&names)?;
        self.at("extended statistics", 5);
        self.write_extended(&names)?;
        self.at("sizes", 6);
        self.write_flags(&names)?;
        self.write_sizes(&names)?;
        self.at("settings", 7);
        self.choose_settings()?;
        self.compare_servers();
        self.compare_collations()?;
        self.forget_role_settings()?;
        self.at("done", PARTS);
        Ok(())
    }

    fn at(&mut self, what: &str, part: usize) {
        (self.progress)(what, part, PARTS);
    }

    /// How both sessions read what follows.
    fn prepare(&mut self) -> Result<(), TwinError> {
        let mut settings = vec![
            "SET search_path = ''",
            "SET check_function_bodies = off",
            "SET standard_conforming_strings = on",
            "SET client_min_messages = error",
            "SET DateStyle = 'ISO, YMD'",
            "SET IntervalStyle = postgres",
            "SET TimeZone = 'UTC'",
            "SET default_table_access_method = heap",
        ];
        if self.major < 18 {
            settings.push("SET default_with_oids = off");
        }
        all(self.cluster.session()?, &settings)?;
        all(self.cluster.admin()?, &settings)
    }

    /// What the snapshot's code may have set for later sessions is undone: a
    /// library to load, for one, that is not there.
    fn forget_role_settings(&mut self) -> Result<(), TwinError> {
        if self.sandbox {
            return Ok(());
        }
        let role = self.session_role()?;
        let statement = format!("ALTER ROLE {role} RESET ALL");
        all(self.cluster.admin()?, &[&statement])
    }

    fn refuse(&mut self, object: impl Into<String>, message: impl Into<String>) {
        let refused = Refused {
            object: object.into(),
            message: message.into(),
        };
        if !self.loaded.refused.contains(&refused) {
            self.loaded.refused.push(refused);
        }
    }

    fn note(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.loaded.notes.contains(&sentence) {
            self.loaded.notes.push(sentence);
        }
    }
}

/// Executes statements of our own; those that this server does not know are
/// passed over.
fn all(session: &mut Session, statements: &[&str]) -> Result<(), TwinError> {
    for outcome in session.pipeline(statements)? {
        drop(refusal(outcome)?);
    }
    Ok(())
}

/// The server's words where it refused something; anything worse is an error.
fn refusal<T>(outcome: Result<T, Error>) -> Result<Result<T, String>, Error> {
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusal)) => Ok(Err(refusal.message)),
        Err(Error::PermissionDenied { message }) => Ok(Err(message)),
        Err(error @ Error::TimedOut { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
