//! Figures of small plans, worked out by hand.

#![expect(
    clippy::float_cmp,
    reason = "small whole numbers are exact, and a test may panic"
)]

use super::*;
use crate::plan::metrics::metrics;

fn of(plan: &str, server: &Server) -> Resources {
    let plan = crate::plan::json::parse(plan).expect("a plan").remove(0);
    resources(&plan, &metrics(&plan), server)
}

fn value(figures: &[Figure], id: &str) -> Result<f64, &'static str> {
    figures
        .iter()
        .find(|figure| figure.id == id)
        .map_or(Err("there is no such figure"), |figure| figure.value)
}

fn near(figures: &[Figure], id: &str, expected: f64) {
    let value = value(figures, id).unwrap_or_else(|why| panic!("{id}: {why}"));
    assert!(
        (value - expected).abs() <= expected.abs() * 1e-9,
        "{id}: {value}, expected {expected}"
    );
}

/// Two workers and the leader read for 90 ms each; the Gather took 100 ms.
const PARALLEL: &str = r#"[{"Plan": {"Node Type": "Gather", "Parallel Aware": false,
  "Async Capable": false, "Workers Planned": 2, "Workers Launched": 2,
  "Startup Cost": 0, "Total Cost": 10, "Plan Rows": 1, "Plan Width": 4,
  "Actual Startup Time": 1.0, "Actual Total Time": 100.0, "Actual Rows": 3, "Actual Loops": 1,
  "Shared Hit Blocks": 1000, "Shared Read Blocks": 500, "Temp Read Blocks": 0,
  "Temp Written Blocks": 250, "Shared I/O Read Time": 60.0, "Shared I/O Write Time": 0.0,
  "Plans": [{"Node Type": "Sort", "Parent Relationship": "Outer", "Parallel Aware": false,
    "Startup Cost": 0, "Total Cost": 10, "Plan Rows": 1, "Plan Width": 4,
    "Actual Startup Time": 1.0, "Actual Total Time": 90.0, "Actual Rows": 1, "Actual Loops": 3,
    "Sort Method": "quicksort", "Sort Space Used": 100, "Sort Space Type": "Memory",
    "Workers": [
      {"Worker Number": 0, "Sort Method": "quicksort", "Sort Space Used": 50, "Sort Space Type": "Memory"},
      {"Worker Number": 1, "Sort Method": "external merge", "Sort Space Used": 2000, "Sort Space Type": "Disk"}],
    "Plans": [{"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Parallel Aware": true,
      "Startup Cost": 0, "Total Cost": 10, "Plan Rows": 1, "Plan Width": 4,
      "Actual Startup Time": 1.0, "Actual Total Time": 80.0, "Actual Rows": 1, "Actual Loops": 3}]}]},
  "Settings": {"work_mem": "8MB", "max_parallel_workers": "16"},
  "Planning Time": 10.0, "Execution Time": 110.0}]"#;

#[test]
fn the_work_of_all_processes_counts() {
    let found = of(PARALLEL, &Server::default());
    near(&found.needs, "wall_time", 120.0);
    // 120 of the leader, 2 × 90 of the workers, less 60 of waiting.
    near(&found.needs, "processor_time", 240.0);
    near(&found.needs, "touched", 1500.0 * 8192.0);
    near(&found.needs, "read", 500.0 * 8192.0);
    near(&found.needs, "read_bandwidth", 500.0 * 8192.0 / 0.12);
    near(&found.needs, "parallel_workers", 2.0);
    near(&found.needs, "temporary_disk", 250.0 * 8192.0);
    assert_eq!(value(&found.needs, "wal"), Err(NO_WAL));
}

#[test]
fn a_sort_is_counted_in_each_process() {
    let found = of(PARALLEL, &Server::default());
    let [sort] = found.memory.as_slice() else {
        panic!("{:?}", found.memory)
    };
    assert_eq!(sort.copies, 3.0);
    assert_eq!(sort.measured_bytes, Some(150.0 * 1024.0));
    assert_eq!(sort.disk_bytes, Some(2000.0 * 1024.0));
    assert_eq!(sort.allowed_bytes, Some(3.0 * 8.0 * 1024.0 * 1024.0));
}

#[test]
fn the_scarcest_resource_decides() {
    let server = Server {
        cores: Some(12.0),
        rate: Some(20.0),
        memory_bytes: Some(1024.0 * 1024.0 * 1024.0),
        read_bytes_per_second: Some(409_600_000.0),
    };
    let found = of(PARALLEL, &server);
    near(&found.capacity, "rate_by_processor", 12.0 / 0.24);
    // Two workers for the Gather's 100 ms, of 16.
    near(&found.capacity, "rate_by_workers", 16.0 / 0.2);
    near(
        &found.capacity,
        "rate_by_memory",
        1024.0 * 1024.0 * 1024.0 / (150.0 * 1024.0 * 0.12),
    );
    near(&found.capacity, "rate_by_reading", 100.0);
    near(&found.capacity, "highest_rate", 50.0);
    near(&found.capacity, "connections_at_highest_rate", 6.0);
    near(&found.at_rate, "connections_busy", 2.4);
    near(&found.at_rate, "core_utilisation", 0.4);
    near(&found.at_rate, "workers_busy", 4.0);
    near(&found.at_rate, "read_share", 0.2);
}

#[test]
fn what_was_not_measured_is_not_made_up() {
    let found = of(
        r#"{"Plan": {"Node Type": "Hash Join", "Startup Cost": 0, "Total Cost": 10,
            "Plan Rows": 1, "Plan Width": 4, "Parallel Aware": false, "Plans": [
            {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Startup Cost": 0,
             "Total Cost": 1, "Plan Rows": 1, "Plan Width": 4},
            {"Node Type": "Hash", "Parent Relationship": "Inner", "Startup Cost": 0,
             "Total Cost": 1, "Plan Rows": 1, "Plan Width": 4}]}}"#,
        &Server {
            cores: Some(4.0),
            rate: Some(1.0),
            ..Server::default()
        },
    );
    for id in ["wall_time", "processor_time", "memory_measured", "touched"] {
        assert_eq!(value(&found.needs, id), Err(NOT_EXECUTED), "{id}");
    }
    assert_eq!(value(&found.capacity, "highest_rate"), Err(NOT_EXECUTED));
    assert_eq!(value(&found.at_rate, "connections_busy"), Err(NOT_EXECUTED));
    // Nothing tells the version: what a plan lacks may have been left out by
    // its format.
    near(&found.needs, "memory_allowed", 2.0 * 4.0 * 1024.0 * 1024.0);
    assert!(
        found
            .assumptions
            .iter()
            .any(|said| said.contains("does not show its version"))
    );
}

/// TIMING OFF still tells how long all of it took, which is enough without
/// workers.
#[test]
fn one_process_needs_no_times_of_nodes() {
    let plan = r#"[{"Plan": {"Node Type": "Seq Scan", "Parallel Aware": false,
        "Actual Rows": 5, "Actual Loops": 1, "Shared Hit Blocks": 3, "Shared Read Blocks": 0,
        "WAL Records": 2, "WAL FPI": 0, "WAL Bytes": 150},
        "Planning Time": 1.0, "Execution Time": 9.0}]"#;
    let server = Server {
        cores: Some(2.0),
        rate: Some(50.0),
        ..Server::default()
    };
    let found = of(plan, &server);
    near(&found.needs, "processor_time", 10.0);
    near(&found.needs, "wal", 150.0);
    near(&found.capacity, "highest_rate", 200.0);
    near(&found.at_rate, "wal_rate", 7500.0);
    let parallel = plan.replace("Seq Scan", "Gather");
    assert_eq!(
        value(&of(&parallel, &server).needs, "processor_time"),
        Err(NOT_TIMED)
    );
}

/// Each process has a table of its own but for a Parallel Hash; the printed
/// peak is that of the largest, or of the shared one.
#[test]
fn hash_tables_are_shared_or_not() {
    let plan = |aware: bool, loops: u32| {
        format!(
            r#"[{{"Plan": {{"Node Type": "Gather", "Workers Planned": 3, "Workers Launched": 3,
            "Actual Total Time": 10.0, "Actual Rows": 5, "Actual Loops": 1, "Plans": [
            {{"Node Type": "Hash", "Parent Relationship": "Outer", "Parallel Aware": {aware},
              "Peak Memory Usage": 100, "Hash Batches": 1,
              "Actual Total Time": 9.0, "Actual Rows": 5, "Actual Loops": {loops}}}]}},
            "Settings": {{"work_mem": "1MB", "hash_mem_multiplier": "3"}}}}]"#
        )
    };
    let kilobytes = |bytes: Option<f64>| bytes.map(|bytes| bytes / 1024.0);
    let shared = of(&plan(true, 4), &Server::default());
    assert_eq!(kilobytes(shared.memory[0].measured_bytes), Some(100.0));
    assert_eq!(kilobytes(shared.memory[0].allowed_bytes), Some(12288.0));
    assert_eq!(shared.memory[0].copies, 1.0);
    let own = of(&plan(false, 4), &Server::default());
    assert_eq!(kilobytes(own.memory[0].measured_bytes), Some(400.0));
    assert_eq!(kilobytes(own.memory[0].allowed_bytes), Some(12288.0));
    assert_eq!(own.memory[0].copies, 4.0);
}

#[test]
fn a_size_has_the_units_of_the_settings() {
    assert_eq!(bytes("64MB"), Some(64.0 * 1024.0 * 1024.0));
    assert_eq!(bytes("4096"), Some(4096.0 * 1024.0));
    assert_eq!(bytes("1.5 GB"), Some(1.5 * 1024.0 * 1024.0 * 1024.0));
    assert_eq!(bytes("12parsecs"), None);
    assert_eq!(bytes("é"), None);
}
