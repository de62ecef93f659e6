//! Why a node was not flagged: by weight, by what the rule itself decides, by
//! the kind of node, and by what was missing.

use pgadvise::advise::explain::{AdviceOptions, GivenPlan, analyse};
use pgadvise::advise::why_not_flagged::Asked;
use pgadvise::plan::json;

/// A scan that keeps most rows, one that keeps few but takes no time, and a
/// sort in memory.
const PLAN: &str = r#"[{"Plan": {
  "Node Type": "Sort", "Startup Cost": 1.0, "Total Cost": 900.0, "Plan Rows": 10, "Plan Width": 8,
  "Actual Startup Time": 99.0, "Actual Total Time": 100.0, "Actual Rows": 10, "Actual Loops": 1,
  "Sort Key": ["a.n"], "Sort Method": "quicksort", "Sort Space Used": 25, "Sort Space Type": "Memory",
  "Plans": [{
    "Node Type": "Hash Join", "Parent Relationship": "Outer", "Join Type": "Inner",
    "Startup Cost": 1.0, "Total Cost": 800.0, "Plan Rows": 10, "Plan Width": 8,
    "Actual Startup Time": 1.0, "Actual Total Time": 98.0, "Actual Rows": 10, "Actual Loops": 1,
    "Hash Cond": "(a.id = b.id)",
    "Plans": [
      {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a",
       "Startup Cost": 0.0, "Total Cost": 700.0, "Plan Rows": 4000, "Plan Width": 8,
       "Actual Startup Time": 0.1, "Actual Total Time": 90.0, "Actual Rows": 4000, "Actual Loops": 1,
       "Filter": "(n > 1)", "Rows Removed by Filter": 1000},
      {"Node Type": "Hash", "Parent Relationship": "Inner", "Startup Cost": 50.0, "Total Cost": 50.0,
       "Plan Rows": 10, "Plan Width": 4, "Actual Startup Time": 2.0, "Actual Total Time": 2.0,
       "Actual Rows": 10, "Actual Loops": 1, "Hash Buckets": 1024, "Hash Batches": 1,
       "Peak Memory Usage": 9,
       "Plans": [
         {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b",
          "Startup Cost": 0.0, "Total Cost": 40.0, "Plan Rows": 10, "Plan Width": 4,
          "Actual Startup Time": 0.1, "Actual Total Time": 1.9, "Actual Rows": 10, "Actual Loops": 1,
          "Filter": "(m = 1)", "Rows Removed by Filter": 1990}]}]}]},
  "Execution Time": 100.0}]"#;

/// By rule, what is said about the nodes that are asked about.
fn said(asked: Asked) -> Vec<(usize, &'static str, String)> {
    let plan = json::parse(PLAN).unwrap().remove(0);
    let given = GivenPlan {
        plan,
        name: "plan.json".to_owned(),
        sql: None,
        incomplete: None,
    };
    let options = AdviceOptions {
        why_not_flagged: Some(asked),
        ..AdviceOptions::default()
    };
    let mut analyses = analyse(Vec::new(), vec![given], None, &options);
    analyses
        .remove(0)
        .passed
        .into_iter()
        .map(|passed| (passed.node.index() + 1, passed.rule, passed.reason))
        .collect()
}

fn of<'a>(said: &'a [(usize, &str, String)], node: usize, rule: &str) -> &'a str {
    said.iter()
        .find(|(at, by, _)| *at == node && *by == rule)
        .map_or("", |(_, _, reason)| reason)
}

#[test]
fn each_node_says_what_was_seen_there_and_not_told() {
    let said = said(Asked::All);
    let scan = "seq-scan-behind-selective-filter";
    assert_eq!(
        of(&said, 3, scan),
        "the filter keeps 80 % of 5,000 rows, and from 10 % on reading them in order is no worse"
    );
    // The rule would tell of it, but for its weight.
    let light = of(&said, 5, scan);
    assert!(light.starts_with("seen, but it could save 1."), "{light}");
    assert!(light.ends_with("under 5.0 % it is not told"), "{light}");
    assert_eq!(
        of(&said, 1, "sort-spilled-to-disk"),
        "nothing went to disk"
    );
    // What was not seen at all is said only of a node that is asked about.
    assert!(said.iter().all(|(_, _, reason)| !reason.starts_with("not seen")));
}

#[test]
fn one_node_hears_from_every_rule_that_looks_at_its_kind() {
    let said = said(Asked::Node(3));
    assert!(said.iter().all(|(node, _, _)| *node == 3), "{said:?}");
    assert_eq!(
        of(&said, 3, "nested-loop-inner-seq-scan"),
        "not seen here: a nested loop scans its inner table sequentially for each outer row"
    );
    let lacking = of(&said, 3, "stale-or-missing-statistics");
    assert!(
        lacking.starts_with("could not look: it needs the catalogue"),
        "{lacking}"
    );
    assert_eq!(of(&said, 3, "sort-spilled-to-disk"), "");
}

#[test]
fn nothing_is_said_unless_asked_and_of_no_node_that_is_not_there() {
    assert!(said(Asked::Node(99)).is_empty());
}
