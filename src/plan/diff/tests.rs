//! Alignment, causes and verdicts on small plans.

use super::*;
use crate::plan::json;

fn plan(text: &str) -> PlanGraph {
    json::parse(text).unwrap().remove(0)
}

/// A hash join over a scan with a filter, timed.
const HASH: &str = r#"[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Hash Cond": "(o.customer_id = c.id)",
  "Startup Cost": 1, "Total Cost": 900, "Plan Rows": 10, "Plan Width": 8,
  "Actual Startup Time": 1, "Actual Total Time": 100, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Alias": "o",
   "Filter": "(status = 'open'::text)", "Startup Cost": 0, "Total Cost": 800, "Plan Rows": 10, "Plan Width": 4,
   "Actual Startup Time": 1, "Actual Total Time": 90, "Actual Rows": 10, "Actual Loops": 1, "Rows Removed by Filter": 9990},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Startup Cost": 0, "Total Cost": 50, "Plan Rows": 100, "Plan Width": 4,
   "Actual Startup Time": 1, "Actual Total Time": 4, "Actual Rows": 100, "Actual Loops": 1, "Plans": [
   {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "customers", "Alias": "c",
    "Startup Cost": 0, "Total Cost": 40, "Plan Rows": 100, "Plan Width": 4,
    "Actual Startup Time": 1, "Actual Total Time": 3, "Actual Rows": 100, "Actual Loops": 1}]}]},
  "Execution Time": 101}]"#;

/// The same by an index, the sides exchanged.
const LOOP: &str = r#"[{"Plan": {"Node Type": "Nested Loop", "Join Type": "Inner",
  "Startup Cost": 1, "Total Cost": 90, "Plan Rows": 10, "Plan Width": 8,
  "Actual Startup Time": 1, "Actual Total Time": 6, "Actual Rows": 10, "Actual Loops": 1, "Plans": [
  {"Node Type": "Index Scan", "Parent Relationship": "Outer", "Relation Name": "orders", "Alias": "o",
   "Index Name": "orders_status_idx",
   "Index Cond": "(status = 'open'::text)", "Startup Cost": 0, "Total Cost": 20, "Plan Rows": 10, "Plan Width": 4,
   "Actual Startup Time": 1, "Actual Total Time": 2, "Actual Rows": 10, "Actual Loops": 1},
  {"Node Type": "Index Scan", "Parent Relationship": "Inner", "Relation Name": "customers", "Alias": "c",
   "Index Name": "customers_pkey", "Index Cond": "(id = o.customer_id)",
   "Startup Cost": 0, "Total Cost": 4, "Plan Rows": 1, "Plan Width": 4,
   "Actual Startup Time": 0.1, "Actual Total Time": 0.3, "Actual Rows": 1, "Actual Loops": 10}]},
  "Execution Time": 7}]"#;

fn compared(before: &str, after: &str) -> PlanDiff {
    diff(&plan(before), &plan(after), None, &DiffOptions::default())
}

#[test]
fn a_plan_is_the_same_as_itself() {
    let found = compared(HASH, HASH);
    assert_eq!(found.changed, 0);
    assert_eq!(found.verdict.outcome, Outcome::Same);
    assert!(found.causes.is_empty(), "{:?}", found.causes);
}

#[test]
fn nodes_are_paired_by_what_they_read_and_join() {
    let found = compared(HASH, LOOP);
    let status: Vec<_> = found
        .lines
        .iter()
        .map(|line| {
            (
                line.status,
                line.before.map(NodeId::index),
                line.after.map(NodeId::index),
            )
        })
        .collect();
    assert_eq!(
        status,
        [
            (Status::Changed, Some(0), Some(0)),
            (Status::Changed, Some(1), Some(1)),
            (Status::Gone, Some(2), None),
            (Status::Changed, Some(3), Some(2)),
        ]
    );
    assert_eq!(found.verdict.outcome, Outcome::Better);
    assert_eq!(found.verdict.measure, Some(Measure::Time));
    let CauseKind::Index {
        came, nothing_else, ..
    } = &found.causes[0].kind
    else {
        panic!("{:#?}", found.causes)
    };
    assert_eq!(came, &["orders_status_idx"]);
    assert!(nothing_else);
}

#[test]
fn the_nodes_carry_the_whole_difference() {
    let found = compared(HASH, LOOP);
    let account = found.account.unwrap();
    assert!((account.whole_ms - -94.0).abs() < 1e-9);
    let nodes: f64 = found.lines.iter().filter_map(Line::self_ms_delta).sum();
    assert!((nodes - account.nodes_ms).abs() < 1e-9);
    let sum = account.nodes_ms + account.triggers_ms + account.outside_ms + account.rounding_ms;
    assert!((sum - account.whole_ms).abs() < 1e-9, "{account:?}");
}

#[test]
fn the_way_back_is_a_regression() {
    let found = compared(LOOP, HASH);
    assert_eq!(found.verdict.outcome, Outcome::Worse);
    assert!(
        matches!(&found.causes[0].kind, CauseKind::Index { went, .. } if went == &["orders_status_idx"])
    );
}

#[test]
fn commuted_sides_and_casts_are_no_change() {
    let other = HASH
        .replace("(o.customer_id = c.id)", "(c.id = o.customer_id)")
        .replace("(status = 'open'::text)", "((status)::text = 'open')");
    assert_eq!(compared(HASH, &other).changed, 0);
}

#[test]
fn exchanged_inputs_are_told_from_another_order() {
    let found = compared(
        HASH,
        &HASH
            .replace(
                "\"Parent Relationship\": \"Outer\", \"Relation Name\": \"orders\"",
                "\"Parent Relationship\": \"Inner\", \"Relation Name\": \"orders\"",
            )
            .replace(
                "\"Hash\", \"Parent Relationship\": \"Inner\"",
                "\"Hash\", \"Parent Relationship\": \"Outer\"",
            ),
    );
    assert_eq!(found.lines[0].changes[0].aspect, Aspect::Sides);
    assert_eq!(found.changed, 1);
}

#[test]
fn other_constants_are_a_cause_and_a_warning() {
    let found = compared(HASH, &HASH.replace("'open'", "'done'"));
    assert!(matches!(
        found.causes[0].kind,
        CauseKind::Constants { generic: None }
    ));
    assert!(found.verdict.warnings.contains(&Warning::OtherConstants));
    let generic = compared(HASH, &HASH.replace("'open'::text", "$1"));
    assert!(matches!(
        generic.causes[0].kind,
        CauseKind::Constants {
            generic: Some(Generic::After)
        }
    ));
}

#[test]
fn costs_are_compared_between_the_same_estimates_only() {
    let bare = |text: &str| {
        let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
        let mut open = vec![&mut document[0]["Plan"]];
        while let Some(node) = open.pop() {
            let node = node.as_object_mut().unwrap();
            node.retain(|key, _| !key.starts_with("Actual"));
            if let Some(plans) = node.get_mut("Plans") {
                open.extend(plans.as_array_mut().unwrap());
            }
        }
        document[0]
            .as_object_mut()
            .unwrap()
            .remove("Execution Time");
        document.to_string()
    };
    let (hash, nested) = (bare(HASH), bare(LOOP));
    let found = compared(&hash, &nested);
    assert_eq!(found.verdict.measure, Some(Measure::Cost));
    assert_eq!(found.verdict.outcome, Outcome::Better);
    let other = nested.replace("\"Plan Rows\":10,", "\"Plan Rows\":500,");
    let found = compared(&hash, &other);
    assert_eq!(
        found.verdict.outcome,
        Outcome::NotComparable,
        "{:#?}",
        found.causes
    );
    assert_eq!(found.verdict.why_not, Some(NotComparable::OtherAssumptions));
}

#[test]
fn plans_of_other_queries_are_not_compared() {
    let other = HASH
        .replace("\"orders\"", "\"a\"")
        .replace("\"customers\"", "\"b\"")
        .replace("\"o\"", "\"x\"")
        .replace("\"c\"", "\"y\"");
    let found = compared(HASH, &other);
    assert_eq!(found.verdict.why_not, Some(NotComparable::OtherQuery));
}

#[test]
fn the_same_work_in_another_time_is_no_matter_of_the_plan() {
    let slower = HASH
        .replace("\"Actual Total Time\": 90", "\"Actual Total Time\": 190")
        .replace("\"Actual Total Time\": 100", "\"Actual Total Time\": 200")
        .replace("\"Execution Time\": 101", "\"Execution Time\": 201");
    let found = compared(HASH, &slower);
    assert_eq!(found.causes[0].kind, CauseKind::Circumstances);
    assert_eq!(found.verdict.outcome, Outcome::Worse);
    assert!(found.verdict.warnings.contains(&Warning::SameWork));
}

#[test]
fn large_plans_are_aligned_whole() {
    let partitions = |count: usize| {
        let scans: Vec<String> = (1..=count)
            .map(|at| {
                format!(
                    r#"{{"Node Type": "Seq Scan", "Parent Relationship": "Member",
                "Relation Name": "p{at}", "Alias": "p_{at}", "Filter": "(a = 1)"}}"#
                )
            })
            .collect();
        format!(
            r#"[{{"Plan": {{"Node Type": "Append", "Plans": [{}]}}}}]"#,
            scans.join(",")
        )
    };
    let found = compared(&partitions(4000), &partitions(3990));
    let count = |status: Status| {
        found
            .lines
            .iter()
            .filter(|line| line.status == status)
            .count()
    };
    assert_eq!(count(Status::Gone), 10);
    assert_eq!(count(Status::Same), 3991);
    assert_eq!(found.lines.len(), 4001);
}
