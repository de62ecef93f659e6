//! `pgadvise diff` on pairs of plans that servers made: which cause, which
//! verdict. The plans of `fixtures/diff` are of servers 13, 17 and 18.

use std::path::Path;

use serde_json::Value;

use crate::support::desk::Desk;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/diff")
        .join(name)
        .display()
        .to_string()
}

/// The comparison of two fixtures, and the exit code.
fn compare(before: &str, after: &str, more: &[&str]) -> (Value, Option<i32>) {
    let desk = Desk::new();
    let (before, after) = (fixture(before), fixture(after));
    let mut args = vec!["diff", &before, &after, "--format", "json"];
    args.extend(more);
    let ended = desk.run(&args);
    let report = ended.json_of(&pgadvise::report::diff::schema());
    (report["comparisons"][0].clone(), ended.code)
}

fn kinds(found: &Value) -> Vec<&str> {
    found["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| cause["kind"].as_str().unwrap())
        .collect()
}

/// The differences of the nodes sum up to the whole, with what is outside of
/// them.
#[track_caller]
fn assert_account(found: &Value) {
    let time = &found["time"];
    let number = |key: &str| time[key].as_f64().unwrap();
    let nodes: f64 = found["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|node| node["self_ms_difference"].as_f64())
        .sum();
    assert!((nodes - number("nodes_ms")).abs() < 1e-6);
    let parts =
        number("nodes_ms") + number("triggers_ms") + number("outside_ms") + number("rounding_ms");
    assert!((parts - number("whole_ms")).abs() < 1e-6);
    let whole =
        found["verdict"]["after"].as_f64().unwrap() - found["verdict"]["before"].as_f64().unwrap();
    assert!((whole - number("whole_ms")).abs() < 1e-6);
}

fn scan<'a>(found: &'a Value, relation: &str) -> &'a Value {
    found["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|node| {
            node["label_after"]
                .as_str()
                .is_some_and(|label| label.contains(&format!(" on {relation}")))
        })
        .unwrap()
}

#[test]
fn a_new_index_is_the_cause_of_a_faster_plan() {
    let (found, code) = compare("index_before.json", "index_after.json", &[]);
    assert_eq!(found["verdict"]["outcome"], "better");
    assert_eq!(found["verdict"]["measure"], "time");
    assert_eq!(code, Some(0));
    assert_eq!(kinds(&found)[0], "index", "{found:#}");
    let message = found["causes"][0]["message"].as_str().unwrap();
    assert!(
        message.contains("orders_status_idx") && message.contains("nothing else"),
        "{message}"
    );
    let orders = scan(&found, "orders");
    assert_eq!(orders["status"], "changed");
    assert!(
        orders["label_before"]
            .as_str()
            .unwrap()
            .starts_with("Seq Scan")
    );
    assert_account(&found);
}

#[test]
fn a_lost_index_is_a_regression() {
    let (found, code) = compare("index_after.json", "index_before.json", &[]);
    assert_eq!(found["verdict"]["outcome"], "worse");
    assert_eq!(code, Some(1));
    assert_eq!(kinds(&found)[0], "index");
    let (found, code) = compare(
        "index_after.json",
        "index_before.json",
        &["--tolerance", "1000000"],
    );
    assert_eq!(found["verdict"]["outcome"], "same");
    assert_eq!(code, Some(0));
}

#[test]
fn a_plan_is_the_same_as_itself() {
    let (found, code) = compare("index_after.json", "index_after.json", &[]);
    assert_eq!(found["verdict"]["outcome"], "same");
    assert_eq!(found["changed_nodes"], 0);
    assert!(kinds(&found).is_empty(), "{found:#}");
    assert_eq!(code, Some(0));
}

#[test]
fn costs_are_compared_where_nothing_else_changed() {
    let (found, code) = compare("cost_before.json", "cost_after.json", &[]);
    assert_eq!(found["verdict"]["measure"], "cost", "{found:#}");
    assert_eq!(found["verdict"]["outcome"], "better");
    assert_eq!(code, Some(0));
    // One was executed and the other was not.
    let (found, _) = compare("cost_before.json", "index_after.json", &[]);
    assert_eq!(found["verdict"]["measure"], "cost");
    let (found, code) = compare(
        "cost_before.json",
        "index_after.json",
        &["--measure", "time"],
    );
    assert_eq!(found["verdict"]["outcome"], "not_comparable");
    assert_eq!(code, Some(2));
}

#[test]
fn more_memory_keeps_a_sort_off_the_disk() {
    let (found, _) = compare(
        "memory_before.json",
        "memory_after.json",
        &["--measure", "buffers"],
    );
    let kinds = kinds(&found);
    assert!(
        kinds.contains(&"setting") && kinds.contains(&"spill"),
        "{found:#}"
    );
    let setting = found["causes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cause| cause["kind"] == "setting")
        .unwrap();
    let message = setting["message"].as_str().unwrap();
    assert!(
        message.contains("work_mem") && message.contains("1MB") && message.contains("64MB"),
        "{message}"
    );
    assert_eq!(found["settings"][0]["name"], "work_mem");
    assert_eq!(found["changed_nodes"], 0);
}

#[test]
fn a_table_that_grew_is_the_cause() {
    let (found, _) = compare(
        "rows_before.json",
        "rows_after.json",
        &["--measure", "buffers"],
    );
    assert_eq!(found["verdict"]["outcome"], "worse", "{found:#}");
    let grown = found["causes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cause| cause["kind"] == "rows")
        .expect("a cause");
    assert!(
        grown["message"]
            .as_str()
            .unwrap()
            .contains("orders has grown"),
        "{grown}"
    );
    assert!(
        grown["message"]
            .as_str()
            .unwrap()
            .contains("100,000 → 300,000"),
        "{grown}"
    );
}

#[test]
fn new_statistics_are_told_from_new_rows() {
    let (found, _) = compare("statistics_before.json", "statistics_after.json", &[]);
    let kinds = kinds(&found);
    assert!(kinds.contains(&"estimates"), "{found:#}");
    assert!(!kinds.contains(&"rows"), "{kinds:?}");
    let estimates = found["causes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cause| cause["kind"] == "estimates")
        .unwrap();
    assert!(
        estimates["message"]
            .as_str()
            .unwrap()
            .contains("statistics"),
        "{estimates}"
    );
    // The join is one node that changed its method.
    let join = &found["nodes"][1];
    assert_eq!(join["status"], "changed", "{found:#}");
    assert_account(&found);
}

#[test]
fn other_constants_and_other_words_are_causes() {
    let (found, _) = compare("index_before.json", "constant.json", &[]);
    assert!(kinds(&found).contains(&"constants"), "{found:#}");
    assert!(
        found["verdict"]["warnings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|warning| warning.as_str().unwrap().contains("other constants")),
    );
    let (found, code) = compare("index_after.json", "rewritten.json", &[]);
    assert!(kinds(&found).contains(&"statement"), "{found:#}");
    assert_eq!(code, Some(1));
}

#[test]
fn servers_of_other_versions_are_told() {
    let (found, _) = compare("index_before_13.json", "index_before_18.json", &[]);
    assert!(kinds(&found).contains(&"version"), "{found:#}");
    assert_eq!(found["changed_nodes"], 0, "{found:#}");
    let (found, _) = compare("index_before.json", "index_before_18.json", &[]);
    assert!(kinds(&found).contains(&"version"), "{found:#}");
}

#[test]
fn a_join_by_another_method_is_one_node() {
    let (found, _) = compare("statistics_before.json", "order_before.json", &[]);
    let joins: Vec<&Value> = found["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| {
            ["label_before", "label_after"].iter().any(|key| {
                node[key]
                    .as_str()
                    .is_some_and(|label| label.contains("Join") || label.contains("Loop"))
            })
        })
        .collect();
    assert_eq!(joins.len(), 1, "{joins:#?}");
    assert_eq!(joins[0]["status"], "changed");
    assert!(kinds(&found).contains(&"setting"), "{found:#}");
}

#[test]
fn every_format_says_the_same() {
    let desk = Desk::new();
    let (before, after) = (fixture("index_before.json"), fixture("index_after.json"));
    for format in ["text", "markdown", "html"] {
        let ended = desk.run(&["diff", &before, &after, "--format", format]);
        let out = match format {
            "markdown" => ended.out.replace('\\', ""),
            // The verdict's first word stands in a badge.
            "html" => ended.out.replace("better</span> ", "better: "),
            _ => ended.out.clone(),
        };
        ended.assert(0, &[], &[]);
        for piece in [
            "better: execution time",
            "orders_status_idx",
            "Where the time differs",
        ] {
            assert!(out.contains(piece), "{format}: no {piece}:\n{out}");
        }
    }
    desk.run(&["diff", &before, &after, "-o", "page.html"])
        .assert(0, &[], &[]);
    #[expect(clippy::disallowed_methods, reason = "the program wrote it")]
    let page = std::fs::read_to_string(desk.path("page.html")).unwrap();
    assert!(
        page.to_ascii_lowercase().starts_with("<!doctype html>"),
        "{page}"
    );
}

#[test]
fn what_cannot_be_compared_is_said() {
    let desk = Desk::new();
    let before = fixture("index_before.json");
    desk.run(&["diff", "-", "-"])
        .assert(2, &[], &["more than once"]);
    desk.run(&["diff", &before, "missing.json"])
        .assert(2, &[], &["missing.json"]);
    let other = r#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "elsewhere", "Alias": "elsewhere",
        "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1, "Plan Width": 4}}]"#;
    desk.run_with_input(&["diff", &before, "-"], other).assert(
        2,
        &["not comparable", "no relation in common"],
        &[],
    );
}

#[test]
fn files_of_several_plans_are_paired_by_their_queries() {
    let desk = Desk::new();
    let plan = |sql: &str, table: &str, ms: f64| {
        format!(
            r#"{{"Query Text": "{sql}", "Plan": {{"Node Type": "Seq Scan", "Relation Name": "{table}", "Alias": "{table}",
            "Startup Cost": 0, "Total Cost": 1, "Plan Rows": 1, "Plan Width": 4, "Actual Startup Time": 0,
            "Actual Total Time": {ms}, "Actual Rows": 1, "Actual Loops": 1}}, "Execution Time": {ms}}}"#
        )
    };
    desk.write(
        "a.json",
        format!(
            "[{},{},{}]",
            plan("select * from a", "a", 10.0),
            plan("select * from b where x = 1", "b", 20.0),
            plan("select * from c", "c", 5.0)
        ),
    )
    .write(
        "b.json",
        format!(
            "[{},{}]",
            plan("select * from b where x = 2", "b", 90.0),
            plan("select *  from a;", "a", 10.0)
        ),
    );
    let ended = desk.run(&["diff", "a.json", "b.json", "--format", "json"]);
    assert_eq!(ended.code, Some(1));
    let report = ended.json_of(&pgadvise::report::diff::schema());
    let pairs: Vec<(u64, u64)> = report["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| {
            (
                pair["before"]["number"].as_u64().unwrap(),
                pair["after"]["number"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(pairs, [(1, 2), (2, 1)]);
    assert_eq!(report["unpaired"][0]["plan"]["number"], 3);
    assert_eq!(report["totals"]["worse"], 1);
    assert_eq!(report["totals"]["same"], 1);
}
