//! Plans made by hand, each with what its numbers must come to.

use super::*;
use crate::plan::json;

/// A node: its type, milliseconds per loop and loops, other keys, and what is
/// below it.
fn node(kind: &str, ms: f64, loops: f64, more: &str, below: &[String]) -> String {
    let more = if more.is_empty() {
        String::new()
    } else {
        format!("{more}, ")
    };
    format!(
        r#"{{"Node Type": "{kind}", {more}"Actual Startup Time": 0.0, "Actual Total Time": {ms:.3},
           "Actual Rows": 1, "Actual Loops": {loops}, "Plans": [{}]}}"#,
        below.join(", ")
    )
}

fn of(root: &str) -> Metrics {
    let plan = json::parse(&format!("[{{\"Plan\": {root}}}]"))
        .expect("a plan")
        .remove(0);
    metrics(&plan)
}

fn own(found: &Metrics) -> Vec<f64> {
    found
        .nodes
        .iter()
        .map(|node| node.self_ms.expect("timed"))
        .collect()
}

fn near(found: &[f64], expected: &[f64]) {
    assert!(
        found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() < 1e-6),
        "{found:?} instead of {expected:?}"
    );
}

const OUTER: &str = r#""Parent Relationship": "Outer""#;
const INNER: &str = r#""Parent Relationship": "Inner""#;

/// 100,000 loops printed as 0.001 ms are between 50 and 150 ms: of a join that
/// took 90 ms they have what its outer side leaves.
#[test]
fn rounding_gives_way_to_what_is_certain() {
    let found = of(&node(
        "Nested Loop",
        90.0,
        1.0,
        "",
        &[
            node("Seq Scan", 20.0, 1.0, OUTER, &[]),
            node("Index Scan", 0.001, 100_000.0, INNER, &[]),
        ],
    ));
    let own = own(&found);
    // The outer side can be off by half a microsecond only.
    assert!((own[1] - 20.0).abs() <= 0.0005 + 1e-9, "{own:?}");
    assert!((own[2] - 70.0).abs() <= 0.0005 + 1e-9, "{own:?}");
    assert!(own[0].abs() < 1e-9, "{own:?}");
    assert!((found.account.rounded_ms - 30.0).abs() < 1e-6);
    assert!(found.account.scaled_ms.abs() < 1e-9);
    assert!((found.nodes[2].total_error_ms - 50.0).abs() < 1e-9);
    assert!((found.nodes[2].adjusted_ms + 30.0).abs() <= 0.0005 + 1e-9);
    assert!(found.remainder_ms.abs() < 1e-9);
}

/// What a node far below must have had is kept for it: its parents are taken
/// as longer instead, within their rounding.
#[test]
fn what_is_below_bounds_what_is_above() {
    let found = of(&node(
        "Nested Loop",
        100.0,
        1.0,
        "",
        &[node(
            "Memoize",
            0.001,
            60_000.0,
            INNER,
            // Printed for one loop, it is certain.
            &[node("Seq Scan", 80.0, 1.0, OUTER, &[])],
        )],
    ));
    let own = own(&found);
    near(&own[2..], &[80.0 - 0.0005]);
    assert!(
        own[1].abs() < 1e-9 && (own[0] - 20.0).abs() <= 0.0005 + 1e-9,
        "{own:?}"
    );
    assert!(found.account.scaled_ms.abs() < 1e-9);
}

/// Under a LIMIT the Gather ends before its workers do.
#[test]
fn processes_that_go_on_are_scaled_and_told() {
    let found = of(&node(
        "Gather",
        10.0,
        1.0,
        r#""Workers Planned": 1, "Workers Launched": 1"#,
        &[node("Seq Scan", 14.0, 2.0, OUTER, &[])],
    ));
    near(&own(&found), &[0.0, 10.0]);
    assert!((found.account.scaled_ms - 4.0).abs() < 0.01);
    assert_eq!(found.account.scaled_at, [NodeId::new(0)]);
}

/// Two workers and the leader took 30, 10 and 20 ms; the Gather waited for
/// the slowest.
#[test]
fn the_slowest_process_is_waited_for() {
    let workers = r#""Workers": [{"Worker Number": 0, "Actual Total Time": 30.0, "Actual Loops": 1},
        {"Worker Number": 1, "Actual Total Time": 10.0, "Actual Loops": 1}], "Parent Relationship": "Outer""#;
    let below = node("Seq Scan", 8.0, 3.0, OUTER, &[]);
    let found = of(&node(
        "Gather",
        32.0,
        1.0,
        r#""Workers Planned": 2, "Workers Launched": 2"#,
        &[node("Sort", 20.0, 3.0, workers, &[below])],
    ));
    // 60 ms of all count as 30: the scan's 24 as 12.
    near(&own(&found), &[2.0, 18.0, 12.0]);
}

/// Workers of a Gather that is started over hand in their blocks to the join
/// above it.
#[test]
fn blocks_of_a_gather_that_is_started_over_are_counted_once() {
    let blocks = |hit: u32| format!(r#""Shared Hit Blocks": {hit}"#);
    let scan = node(
        "Seq Scan",
        1.0,
        4.0,
        &format!("{OUTER}, {}", blocks(160)),
        &[],
    );
    let gather = node(
        "Gather",
        2.0,
        2.0,
        &format!(r#"{INNER}, "Workers Launched": 1, {}"#, blocks(70)),
        &[scan],
    );
    let outer = node(
        "Seq Scan",
        1.0,
        1.0,
        &format!("{OUTER}, {}", blocks(5)),
        &[],
    );
    let found = of(&node(
        "Nested Loop",
        9.0,
        1.0,
        &blocks(170),
        &[outer, gather],
    ));
    let hits: Vec<f64> = found
        .nodes
        .iter()
        .map(|node| node.self_buffers.expect("counted").shared_hit_blocks)
        .collect();
    near(&hits, &[5.0, 5.0, 0.0, 160.0]);
    assert!(found.account.unplaced_counts <= 0.0);
}

/// What a CTE does when it is shut down counts where it hangs, not in its
/// reader.
#[test]
fn a_cte_has_its_rest_where_it_hangs() {
    let counts = |hit: u32, read: f64, wal: u32| {
        format!(
            r#""Shared Hit Blocks": {hit}, "Shared I/O Read Time": {read}, "WAL Records": {wal}, "WAL Bytes": {}"#,
            wal * 10
        )
    };
    let cte = node(
        "Aggregate",
        80.0,
        1.0,
        &format!(
            r#""Parent Relationship": "InitPlan", "Subplan Name": "CTE c", {}"#,
            counts(440, 4.0, 7)
        ),
        &[],
    );
    let reader = node(
        "CTE Scan",
        75.0,
        1.0,
        &format!(r#"{OUTER}, "CTE Name": "c", {}"#, counts(340, 3.0, 7)),
        &[],
    );
    let found = of(&node(
        "Limit",
        90.0,
        1.0,
        &counts(445, 4.5, 8),
        &[cte, reader],
    ));
    near(&own(&found), &[10.0, 80.0, 0.0]);
    let hits: Vec<f64> = found
        .nodes
        .iter()
        .map(|node| node.self_buffers.expect("counted").shared_hit_blocks)
        .collect();
    near(&hits, &[5.0, 440.0, 0.0]);
    let reads: Vec<f64> = found
        .nodes
        .iter()
        .map(|node| node.self_io.expect("counted").shared_read_ms)
        .collect();
    near(&reads, &[0.5, 4.0, 0.0]);
    let bytes: Vec<f64> = found
        .nodes
        .iter()
        .map(|node| node.self_wal.expect("counted").bytes)
        .collect();
    near(&bytes, &[10.0, 70.0, 0.0]);
}

/// Times that contradict each other wholly still sum to the root.
#[test]
fn an_impossible_plan_sums_all_the_same() {
    let found = of(&node(
        "Sort",
        1.0,
        1.0,
        "",
        &[node(
            "Hash Join",
            50.0,
            1.0,
            OUTER,
            &[
                node("Seq Scan", 200.0, 1.0, OUTER, &[]),
                node("Hash", 300.0, 1.0, INNER, &[]),
            ],
        )],
    ));
    let own = own(&found);
    assert!((own.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{own:?}");
    assert!(own.iter().all(|own| *own >= 0.0), "{own:?}");
    // The join by 49 ms; its inputs by ten times what it is left with.
    assert!(
        (found.account.scaled_ms - 58.0).abs() < 0.01,
        "{:?}",
        found.account
    );
}

/// The index scan is started over for each row, and its condition's SubPlan
/// computed, by the join.
#[test]
fn a_subplan_in_an_index_condition_is_time_of_the_join() {
    let sub = node(
        "Limit",
        1.0,
        50.0,
        r#""Parent Relationship": "SubPlan", "Subplan Name": "SubPlan 1""#,
        &[],
    );
    let found = of(&node(
        "Nested Loop",
        70.0,
        1.0,
        "",
        &[
            node("Seq Scan", 4.0, 1.0, OUTER, &[]),
            node("Index Scan", 0.1, 50.0, INNER, &[sub]),
        ],
    ));
    let own = own(&found);
    assert!((own[0] - 16.0).abs() < 0.06, "{own:?}");
    assert!((own[3] - 50.0).abs() < 0.03, "{own:?}");
    assert!((own.iter().sum::<f64>() - 70.0).abs() < 1e-6, "{own:?}");
    assert!((found.account.raised_ms - 45.0).abs() < 0.06);
    assert!(found.account.scaled_ms <= 0.0);
}
