//! `--redact` and `pgadvise redact`: nothing of the user's is left, and all
//! else is.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::desk::Desk;

/// The plans of the repository.
#[expect(
    clippy::disallowed_methods,
    reason = "tests read the plans of the project"
)]
fn plans() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut open = vec![root.join("plans"), root.join("diff")];
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                if pgadvise::plan::read::looks_like_plan(&text) {
                    found.push((path, text));
                }
            }
        }
    }
    found.sort();
    found
}

/// What stands in fields that hold a name, whatever the program takes for one.
fn names(document: &Value) -> Vec<String> {
    let mut open = vec![document];
    let mut found = Vec::new();
    while let Some(next) = open.pop() {
        match next {
            Value::Object(map) => {
                for (key, value) in map {
                    let is_name = [
                        "Relation Name",
                        "Schema",
                        "Alias",
                        "Index Name",
                        "CTE Name",
                        "Trigger Name",
                    ]
                    .contains(&key.as_str());
                    if let (true, Some(text)) = (is_name, value.as_str())
                        && text.len() >= 3
                        && !text.starts_with('*')
                        && text != "pg_catalog"
                        && text != "information_schema"
                    {
                        found.push(text.to_owned());
                    }
                    open.push(value);
                }
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The document without texts: its structure and its numbers.
fn structure(document: &Value) -> Value {
    match document {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.clone(), structure(value)))
            .collect(),
        Value::Array(items) => items.iter().map(structure).collect(),
        Value::String(_) => Value::Null,
        other => other.clone(),
    }
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .collect()
}

/// The texts of a document, without its keys.
fn texts(document: &Value) -> String {
    let mut open = vec![document];
    let mut found = String::new();
    while let Some(next) = open.pop() {
        match next {
            Value::Object(map) => open.extend(map.values()),
            Value::Array(items) => open.extend(items),
            Value::String(text) => {
                found.push_str(text);
                found.push('\n');
            }
            _ => {}
        }
    }
    found
}

#[test]
fn no_name_is_left_in_any_plan_and_the_numbers_are() {
    let desk = Desk::new();
    let all = plans();
    assert!(all.len() >= 6, "{}", all.len());
    for (path, text) in all {
        let original: Value = match serde_json::from_str(&text) {
            Ok(document) => document,
            // Noise around the plan.
            Err(_) => continue,
        };
        let ended = desk.run(&["redact", &path.display().to_string()]);
        assert!(
            matches!(ended.code, Some(0 | 2)),
            "{}: {}",
            path.display(),
            ended.err
        );
        if ended.code == Some(2) {
            continue;
        }
        let redacted: Value = serde_json::from_str(&ended.out).unwrap();
        let said = texts(&redacted);
        let said = words(&said);
        for name in names(&original) {
            assert!(!said.contains(&name.as_str()), "{}: {name}", path.display());
        }
        if let (Some(before), Some(after)) = (original.as_array(), redacted.as_array()) {
            let kept: Vec<Value> = before
                .iter()
                .filter(|plan| plan.get("Plan").is_some())
                .map(structure)
                .collect();
            let after: Vec<Value> = after.iter().map(structure).collect();
            if kept.len() == after.len() && kept.len() == before.len() {
                assert_eq!(kept, after, "{}", path.display());
            }
        }
    }
}

#[test]
fn the_findings_are_the_same_without_literals() {
    let desk = Desk::new();
    let findings = |args: &[&str]| -> Vec<(String, Value)> {
        let ended = desk.run(args);
        let report: Value = serde_json::from_str(&ended.out)
            .unwrap_or_else(|error| panic!("{error}: {}", ended.err));
        report["statements"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|statement| statement["findings"].as_array().unwrap().clone())
            .map(|finding| (finding["rule"].to_string(), finding["node"]["id"].clone()))
            .collect()
    };
    let mut seen = 0;
    for (path, _) in plans() {
        let path = path.display().to_string();
        let plain = findings(&["report", &path, "--format", "json"]);
        let redacted = findings(&["report", &path, "--format", "json", "--redact=literals"]);
        assert_eq!(plain, redacted, "{path}");
        seen += plain.len();
    }
    assert!(seen > 0);
}

#[test]
fn reports_and_comparisons_hide_names_in_every_format() {
    let desk = Desk::new();
    let fixture = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures/diff")
            .join(name)
            .display()
            .to_string()
    };
    let (before, after) = (fixture("index_before.json"), fixture("index_after.json"));
    desk.write("q.sql", "SELECT o.id, c.name AS secret_label FROM orders o JOIN customers c ON c.id = o.customer_id -- said by mallory\n WHERE o.status = 'returned' AND o.total > 250 ORDER BY o.total DESC LIMIT 20");
    for format in ["text", "json", "markdown"] {
        for ended in [
            desk.run(&[
                "report", &before, "--sql", "q.sql", "--redact", "--format", format,
            ]),
            desk.run(&[
                "explain", "--plan", &before, "q.sql", "--redact", "all", "--format", format,
            ]),
            desk.run(&["diff", &before, &after, "--redact", "--format", format]),
        ] {
            assert_eq!(ended.code, Some(0), "{}", ended.err);
            let all = format!("{}{}", ended.out, ended.err);
            let all = all.replace('\\', "");
            for secret in [
                "orders",
                "customers",
                "customer_id",
                "returned",
                "secret_label",
                "mallory",
                "status_idx",
                "250",
                "index_before",
            ] {
                assert!(!words(&all).contains(&secret), "{format}: {secret}:\n{all}");
            }
            assert!(all.contains("table_1"), "{all}");
        }
    }
}

#[test]
fn a_planner_is_refused() {
    let desk = Desk::new();
    desk.write("plan.json", r#"[{"Plan": {"Node Type": "Result"}}]"#)
        .write("schema.sql", "create table t (a int)");
    desk.run(&["report", "plan.json", "--redact", "--schema", "schema.sql"])
        .assert(2, &[], &["--redact", "true names"]);
}
