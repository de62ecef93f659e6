//! What is hidden, and what stays.

use super::*;
use serde_json::json;

fn document() -> Value {
    json!({
        "Query Text": "SELECT o.secret_total, c.name FROM shop.orders o JOIN customers c ON c.id = o.customer_id /* by mallory */ WHERE o.status = 'open' AND my_discount(o.id) > 500 ORDER BY 2 LIMIT 10",
        "Plan": {
            "Node Type": "Hash Join", "Join Type": "Inner",
            "Hash Cond": "(o.customer_id = c.id)",
            "Output": ["o.secret_total", "c.name", "count(*)", "EXTRACT(year FROM o.\"Sold At\")"],
            "Sort Key": ["o.secret_total DESC NULLS LAST", "c.name COLLATE \"C\""],
            "Actual Rows": 500, "Actual Loops": 1,
            "Plans": [
                {"Node Type": "Seq Scan", "Schema": "shop", "Relation Name": "orders", "Alias": "o",
                 "Filter": "((status = 'open'::text) AND (shop.my_discount(id) > '500'::numeric) AND (kind = 'vip'::shop.client_kind) AND (lower(note) ~~ '%gift%'::text) AND (day >= '2024-03-01'::date))"},
                {"Node Type": "Hash", "Plans": [
                    {"Node Type": "CTE Scan", "CTE Name": "best_clients", "Alias": "c", "Filter": "(hashed SubPlan 1)"},
                    {"Node Type": "Index Scan", "Subplan Name": "CTE best_clients", "Index Name": "customers_email_key",
                     "Relation Name": "customers", "Alias": "customers_1",
                     "Index Cond": "((email)::text = ANY ('{a@x.org,b@x.org}'::text[]))"}]}
            ]
        },
        "Settings": {"work_mem": "64MB", "search_path": "\"$user\", shop, public"},
        "Triggers": [{"Trigger Name": "audit_orders", "Relation": "orders", "Time": 1.0, "Calls": 3}]
    })
}

/// What nobody may see.
const SECRET: &[&str] = &[
    "orders",
    "customers",
    "secret_total",
    "shop",
    "my_discount",
    "client_kind",
    "best_clients",
    "customers_email_key",
    "audit_orders",
    "Sold At",
    "customer_id",
    "status",
    "email",
    "mallory",
    "note",
];
const CONSTANTS: &[&str] = &[
    "open", "'500'", "> 500", "vip", "gift", "2024", "x.org", "mallory",
];

fn redacted(what: What) -> (Redaction, Value, String) {
    let document = document();
    let mut redaction = Redaction::new(what, &[&document], &[]);
    let found = redaction.document(&document);
    let text = found.to_string();
    (redaction, found, text)
}

#[test]
fn nothing_of_the_users_is_left() {
    let (redaction, found, text) = redacted(What::All);
    for secret in SECRET.iter().chain(CONSTANTS) {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(redaction.leak_in(&found, |_| false), None);
}

#[test]
fn what_is_not_asked_for_stays() {
    let (_, _, text) = redacted(What::Literals);
    for secret in SECRET.iter().filter(|secret| **secret != "mallory") {
        assert!(text.contains(secret), "{secret}: {text}");
    }
    for constant in CONSTANTS {
        assert!(!text.contains(constant), "{constant}: {text}");
    }
    let (_, _, text) = redacted(What::Names);
    assert!(
        text.contains("'open'") && text.contains("2024-03-01"),
        "{text}"
    );
    for secret in SECRET {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[test]
fn the_same_name_has_the_same_stand_in() {
    let (_, found, _) = redacted(What::All);
    let plan = &found["Plan"];
    let orders = plan["Plans"][0]["Relation Name"].as_str().unwrap();
    let alias = plan["Plans"][0]["Alias"].as_str().unwrap();
    let schema = plan["Plans"][0]["Schema"].as_str().unwrap();
    assert_eq!(found["Triggers"][0]["Relation"], orders);
    assert_eq!(orders, "table_1");
    assert!(
        found["Query Text"]
            .as_str()
            .unwrap()
            .contains(&format!("FROM {schema}.{orders} {alias} JOIN"))
    );
    assert!(
        plan["Hash Cond"]
            .as_str()
            .unwrap()
            .starts_with(&format!("({alias}."))
    );
    assert_eq!(
        found["Settings"]["search_path"]
            .as_str()
            .unwrap()
            .split(", ")
            .nth(1),
        Some(schema)
    );
    assert_eq!(plan["Plans"][1]["Plans"][0]["CTE Name"], "cte_1");
    assert_eq!(plan["Plans"][1]["Plans"][1]["Subplan Name"], "CTE cte_1");
    let filter = plan["Plans"][0]["Filter"].as_str().unwrap();
    let query = found["Query Text"].as_str().unwrap();
    let open = filter.split('\'').nth(1).unwrap();
    assert!(query.contains(&format!("= '{open}'")), "{query}\n{filter}");
    // A table and its numbered alias belong together.
    let customers = plan["Plans"][1]["Plans"][1]["Relation Name"]
        .as_str()
        .unwrap();
    assert_eq!(
        plan["Plans"][1]["Plans"][1]["Alias"],
        format!("{customers}_1")
    );
}

#[test]
fn what_is_postgresqls_own_stays() {
    let (_, found, text) = redacted(What::All);
    for own in [
        "count(*)",
        "EXTRACT(year FROM ",
        "DESC NULLS LAST",
        "COLLATE \\\"C\\\"",
        "hashed SubPlan 1",
        "lower(",
        "::text[]",
        "::numeric",
        "::date",
        "64MB",
        "ORDER BY 2 LIMIT 10",
        "= ANY (",
    ] {
        assert!(text.contains(own), "{own}: {text}");
    }
    assert_eq!(found["Plan"]["Actual Rows"], 500);
    assert!(text.contains("~~ '%text"), "{text}");
}

#[test]
fn whatever_is_given_is_no_trouble() {
    for text in [
        "",
        "'",
        "\"",
        "$$",
        "(((",
        "a.",
        ".",
        "::",
        "x::",
        "E'\\",
        "$a$ b",
        "ü.ö = 'ß",
        "{{ x",
        "U&\"x",
    ] {
        let value = json!({"Filter": text, "Query Text": text});
        let mut redaction = Redaction::new(What::All, &[&value], &[text]);
        let _done = redaction.document(&value);
        let _sql = redaction.sql(text);
    }
}

#[test]
fn a_stand_in_is_never_somebodys_name() {
    let value = json!({"Relation Name": "table_1", "Filter": "(table_2 = column_1)"});
    let mut redaction = Redaction::new(What::All, &[&value], &[]);
    let found = redaction.document(&value);
    assert_eq!(found["Relation Name"], "table_3");
    assert_eq!(redaction.leak_in(&found, |_| false), None);
    assert!(redaction.leak("table_1 is read", true).is_some());
}
