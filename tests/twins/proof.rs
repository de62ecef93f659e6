//! The proof: whatever a server plans, its twin plans to the last digit, from
//! nothing but the snapshot. Other versions and the embedded server may differ
//! where PostgreSQL itself does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pgadvise::pg::cluster::programs::Search;
use pgadvise::pg::snapshot::SnapshotOptions;
use pgadvise::pg::twin::cache::{self, EngineWish, OpenOptions};
use pgadvise::pg::twin::planner::TwinPlanner;
use pgadvise::plan::PlanGraph;
use pgadvise::snapshot::Snapshot;
use pgadvise::snapshot::file::{Form, content_hash, decode, encode};
use pgadvise::verify::{PlanOptions, Planned, Planner as _};

use serde_json::Value;

use crate::support::server::{Server, every_version};

const FEATURES: &str = include_str!("../../fixtures/twin/features.sql");
const QUERIES: &str = include_str!("../../fixtures/twin/queries.sql");
/// The major version of the embedded server.
#[cfg(feature = "embedded")]
const EMBEDDED: u32 = 17;

fn statements() -> Vec<&'static str> {
    QUERIES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .map(|line| line.trim_end_matches(';'))
        .collect()
}

/// What a server planned, and the snapshot of it, which went through a file.
struct Origin {
    plans: BTreeMap<&'static str, String>,
    snapshot: Snapshot,
}

fn origin(bin: &Path) -> Origin {
    let server = Server::of_version(bin, &[], 5432).unwrap();
    drop(server.database("proof", ""));
    let mut admin = server.admin("proof");
    // VACUUM stands alone.
    let (script, _) = FEATURES.split_once("VACUUM ANALYZE;").unwrap();
    admin.execute_script(script).unwrap();
    admin.execute_script("VACUUM ANALYZE").unwrap();
    let (_, after) = FEATURES.split_once("VACUUM ANALYZE;").unwrap();
    admin.execute_script(after).unwrap();
    let mut session = server.admin("proof");
    let plans = statements()
        .into_iter()
        .map(|sql| {
            let planned = planned(sql);
            let plan = session.explain(planned, PlanOptions::default());
            (sql, shown(&plan.unwrap()))
        })
        .collect();
    let options = SnapshotOptions {
        index_ends: true,
        keep_time: false,
    };
    let taken = session.snapshot(&options, &mut |_, _, _| ()).unwrap();
    let read = decode(&encode(&taken, Form::Compressed)).unwrap();
    assert_eq!(read.notes, Vec::<String>::new());
    Origin {
        plans,
        snapshot: read.snapshot,
    }
}

fn planned(sql: &str) -> Planned<'_> {
    let parameters = (1..9)
        .rev()
        .find(|number| sql.contains(&format!("${number}")))
        .unwrap_or(0);
    Planned { sql, parameters }
}

/// The plan as EXPLAIN printed it, but for the order of the settings, which is
/// that of a hash table.
fn shown(plan: &PlanGraph) -> String {
    let mut document = plan.document.clone();
    let settings = match &mut document {
        Value::Array(plans) => plans.first_mut(),
        other => Some(other),
    };
    if let Some(Value::Object(settings)) = settings.and_then(|plan| plan.get_mut("Settings")) {
        settings.sort_keys();
    }
    format!("{document:#}")
}

fn twin(snapshot: &Snapshot, engine: EngineWish, bin: Option<&Path>, temp: &Path) -> TwinPlanner {
    let snapshot = Arc::new(snapshot.clone());
    let options = OpenOptions {
        hash: content_hash(&snapshot),
        snapshot: Arc::clone(&snapshot),
        engine,
        search: Search {
            pg_bin: bin.map(Path::to_owned),
            path: Vec::new(),
        },
        cache: None,
        temp: temp.to_owned(),
        program: PathBuf::from(env!("CARGO_BIN_EXE_pgadvise")),
        load_limit: Duration::from_mins(1),
        statement_limit: Duration::from_mins(1),
    };
    let open = cache::open(&options, &mut cache::make, &mut |_, _, _| ()).unwrap();
    assert_eq!(open.loaded.refused, Vec::new());
    TwinPlanner::new(open.cluster, open.loaded, snapshot, Duration::from_mins(1)).unwrap()
}

/// The statements whose plans differ, with the lines that do.
fn differences(origin: &Origin, twin: &mut TwinPlanner) -> BTreeMap<&'static str, String> {
    origin
        .plans
        .iter()
        .filter_map(|(sql, plan)| {
            let planned = planned(sql);
            let other = match twin.plan(planned, PlanOptions::default()) {
                Ok(other) => shown(&other),
                Err(error) => format!("{error}"),
            };
            let lines: Vec<String> = plan
                .lines()
                .zip(other.lines())
                .filter(|(a, b)| a != b)
                .take(6)
                .map(|(a, b)| format!("    {} | {}", a.trim(), b.trim()))
                .collect();
            (*plan != other).then(|| (*sql, lines.join("\n")))
        })
        .collect()
}

fn listed(differences: &BTreeMap<&str, String>) -> String {
    let all: Vec<String> = differences
        .iter()
        .map(|(sql, lines)| format!("{sql}\n{lines}"))
        .collect();
    all.join("\n")
}

#[test]
fn the_twin_of_a_server_plans_alike_on_every_version() {
    for (major, bin) in every_version() {
        let origin = origin(&bin);
        let temp = super::temp();
        let mut native = twin(
            &origin.snapshot,
            EngineWish::Native,
            Some(&bin),
            temp.path(),
        );
        let differences = differences(&origin, &mut native);
        assert!(
            differences.is_empty(),
            "version {major}: {} of {} plans differ\n{}",
            differences.len(),
            origin.plans.len(),
            listed(&differences)
        );
    }
}

#[cfg(feature = "embedded")]
#[test]
fn the_embedded_twin_plans_as_a_server_of_its_version() {
    let Some((_, bin)) = every_version()
        .into_iter()
        .find(|(major, _)| *major == EMBEDDED)
    else {
        println!("did nothing: PostgreSQL {EMBEDDED} is not at hand");
        return;
    };
    let origin = origin(&bin);
    let temp = super::temp();
    let mut embedded = twin(&origin.snapshot, EngineWish::Embedded, None, temp.path());
    let differences = differences(&origin, &mut embedded);
    assert!(differences.is_empty(), "{}", listed(&differences));
}
