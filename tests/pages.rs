//! The report as a page: what is in it, that nothing gets into it, and that a
//! browser shows it.
#![expect(clippy::string_slice, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "tests read and write the pages")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::browser;
use crate::support::desk::Desk;

const SQL: &str = "-- all of one customer\nSELECT o.id, o.total\n  FROM orders o\n WHERE o.customer_id = 42\n ORDER BY o.id;\n";

/// What would do harm if it were not escaped, in every context of a page.
const HOSTILE: &[&str] = &[
    "</script><script>document.title='pwned'</script>",
    "\"><img src=x onerror=\"document.title='pwned'\">",
    "' onmouseover='document.title=1' autofocus onfocus='document.title=2",
    "</style><style>*{display:none}</style>",
    "<svg/onload=document.title='pwned'>",
    "javascript:document.title='pwned'",
    "--><!-- <![CDATA[ ]]> {{ 7*7 }} {% raw %} ${1}",
    "a\u{202e}b\u{2066}c\u{200f}d\u{feff}e\u{0}f\u{1b}[31mg\u{2028}h",
    "</textarea></title></pre></table></details></svg><base href=//evil.example>",
];

fn node(kind: &str, numbers: (f64, f64, f64, f64), more: &Value, inputs: &[Value]) -> Value {
    let (expected, rows, loops, ms) = numbers;
    let mut node = json!({
        "Node Type": kind, "Parallel Aware": false, "Async Capable": false,
        "Startup Cost": 0.0, "Total Cost": ms * 100.0 + 10.0, "Plan Rows": expected, "Plan Width": 16,
        "Actual Startup Time": 0.01, "Actual Total Time": ms, "Actual Rows": rows, "Actual Loops": loops,
        "Shared Hit Blocks": 12, "Shared Read Blocks": 4000, "Shared Dirtied Blocks": 0,
        "Shared Written Blocks": 0, "Local Hit Blocks": 0, "Local Read Blocks": 0,
        "Local Dirtied Blocks": 0, "Local Written Blocks": 0, "Temp Read Blocks": 0,
        "Temp Written Blocks": 0,
    });
    for (name, value) in more.as_object().expect("an object") {
        node[name] = value.clone();
    }
    if !inputs.is_empty() {
        node["Plans"] = json!(inputs);
    }
    node
}

fn document(plan: &Value) -> String {
    json!([{
        "Plan": plan,
        "Settings": {"work_mem": "4MB", "random_page_cost": "1.1"},
        "Planning Time": 0.5,
        "Triggers": [{"Trigger Name": "audit", "Relation": "orders", "Time": 3.5, "Calls": 7}],
        "JIT": {"Functions": 4, "Timing": {"Generation": 1.0, "Total": 2.5}},
        "Execution Time": 812.0,
    }])
    .to_string()
}

/// A sort over a scan that throws nearly everything away.
fn orders() -> String {
    let scan = node(
        "Seq Scan",
        (40.0, 40.0, 1.0, 800.0),
        &json!({
            "Parent Relationship": "Outer", "Relation Name": "orders", "Alias": "o",
            "Filter": "(customer_id = 42)", "Rows Removed by Filter": 999_960,
        }),
        &[],
    );
    document(&node(
        "Sort",
        (40.0, 40.0, 1.0, 810.0),
        &json!({"Sort Key": ["id"], "Sort Method": "quicksort", "Sort Space Used": 27, "Sort Space Type": "Memory"}),
        &[scan],
    ))
}

/// Many partitions below one Append.
fn partitions(count: usize, alike: bool) -> String {
    let scans: Vec<Value> = (0..count)
        .map(|part| {
            let (kind, more) = if alike || part % 3 == 0 {
                ("Seq Scan", json!({}))
            } else if part % 3 == 1 {
                ("Index Scan", json!({"Index Name": format!("part_{part}_created_at_idx"), "Scan Direction": "Forward"}))
            } else {
                ("Bitmap Heap Scan", json!({"Recheck Cond": "(created_at > '2026-01-01'::date)"}))
            };
            let mut more = more;
            more["Parent Relationship"] = json!("Member");
            more["Relation Name"] = json!(format!("part_{part}"));
            more["Alias"] = json!(format!("part_{part}"));
            more["Filter"] = json!("((created_at > '2026-01-01'::date) AND (state = 'open'::text))");
            more["Rows Removed by Filter"] = json!(12);
            more["Output"] = json!(["id", "customer_id", "created_at", "state"]);
            node(kind, (10.0, 12.0, 1.0, 0.2), &more, &[])
        })
        .collect();
    document(&node(
        "Append",
        (1000.0, 1200.0, 1.0, 800.0),
        &json!({}),
        &scans,
    ))
}

/// A chain of joins, each other side a scan: nothing in it is folded.
fn joins(nodes: usize) -> String {
    let mut plan = node(
        "Seq Scan",
        (1.0, 1.0, 1.0, 0.1),
        &json!({"Relation Name": "t0", "Alias": "t0"}),
        &[],
    );
    for at in 1..nodes / 2 {
        let other = node(
            "Index Scan",
            (1.0, 1.0, 3.0, 0.05),
            &json!({
                "Parent Relationship": "Inner", "Relation Name": format!("t{at}"), "Alias": format!("t{at}"),
                "Index Name": format!("t{at}_pkey"), "Index Cond": format!("(id = t{}.next_id)", at - 1),
            }),
            &[],
        );
        plan["Parent Relationship"] = json!("Outer");
        let ms = 0.1 + at as f64 * 0.2;
        plan = node(
            "Nested Loop",
            (1.0, 3.0, 1.0, ms),
            &json!({"Join Type": "Inner"}),
            &[plan, other],
        );
        // Readers of JSON have their limits; a plan is as deep as its joins.
        if at >= 240 {
            break;
        }
    }
    document(&plan)
}

fn page_of(desk: &Desk, args: &[&str]) -> String {
    let mut all = vec!["report"];
    all.extend(args);
    all.extend(["--format", "html", "-o", "page.html"]);
    let ended = desk.run(&all);
    assert!(ended.code.is_some_and(|code| code <= 1), "{}", ended.err);
    fs::read_to_string(desk.path("page.html")).expect("the page")
}

/// The body without style and script.
fn body(page: &str) -> &str {
    let start = page.find("<body>").expect("a body");
    let end = page.rfind("<script>").expect("the script");
    &page[start..end]
}

/// What must hold for every page, whatever is in it.
fn sound(page: &str) {
    let tag = Regex::new(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^>\x22']|\x22[^\x22]*\x22|'[^']*')*)>")
        .unwrap();
    let attribute = Regex::new(r#"([a-zA-Z-]+)(?:=(?:"([^"]*)"|([^\s">]+)))?"#).unwrap();
    let known: BTreeSet<&str> = "a article aside body b br button caption circle code dd details div dl dt em fieldset \
        footer g h1 h2 h3 h4 h5 header i input label legend li main nav output p path pre rect section small \
        span strong summary svg table tbody td text th thead title tr tspan ul"
        .split_whitespace()
        .collect();
    let mut ids = BTreeSet::new();
    let mut links = BTreeSet::new();
    let mut open: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
    for found in tag.captures_iter(body(page)) {
        let name = found[2].to_owned();
        assert!(
            known.contains(name.as_str()),
            "an element that no template writes: {}",
            &found[0]
        );
        *open.entry(name).or_default() += if found[1].is_empty() { 1 } else { -1 };
        for one in attribute.captures_iter(&found[3]) {
            let name = &one[1];
            let value = one.get(2).or(one.get(3)).map_or("", |value| value.as_str());
            assert!(!name.starts_with("on"), "a handler: {}", &found[0]);
            assert!(
                !["src", "style", "action", "srcset", "xlink:href"].contains(&name),
                "{}",
                &found[0]
            );
            if name == "href" {
                assert!(
                    value.starts_with('#'),
                    "a link out of the page: {}",
                    &found[0]
                );
                links.insert(value[1..].to_owned());
            }
            if name == "id" {
                assert!(
                    ids.insert(value.to_owned()),
                    "two places are called {value}"
                );
            }
        }
    }
    for name in [
        "details", "section", "table", "svg", "a", "div", "pre", "span", "dl",
    ] {
        assert_eq!(
            open.get(name).copied().unwrap_or(0),
            0,
            "unbalanced: {name}"
        );
    }
    let lost: Vec<&String> = links.difference(&ids).collect();
    assert!(lost.is_empty(), "links that lead nowhere: {lost:?}");
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<style").count(), 1);
    assert!(
        !page.contains("http:") && !page.contains("https:"),
        "an address outside"
    );
}

#[test]
fn a_page_shows_plan_findings_and_sql_with_links_both_ways() {
    let desk = Desk::new();
    desk.write("plan.json", orders()).write("orders.sql", SQL);
    let page = page_of(&desk, &["plan.json", "--sql", "orders.sql"]);
    sound(&page);
    let body = body(&page);
    for text in [
        "Seq Scan",
        "812 ms",
        "(customer_id = 42)",
        "999,960",
        "quicksort",
        "work_mem",
        "audit",
        "Generation",
        "27.0 KiB",
        "class=kw>SELECT</span>",
        "orders.sql:2:1",
    ] {
        assert!(body.contains(text), "{text} is not shown");
    }
    // The scan's finding, its node and its place in the SQL lead to each other.
    assert!(body.contains("href=\"#s1n2\">Plan node 2</a>"));
    assert!(body.contains("href=\"#s1x1\""));
    let mark = Regex::new(r##"<span id="s1m1"></span><a class="m \w+" href="#s1x1" title="[^"]+">([^<]*|<[^a][^>]*>)*</a>"##).unwrap();
    let marked = mark
        .find(body)
        .expect("the finding is marked in the SQL")
        .as_str();
    assert!(marked.contains("customer_id"), "{marked}");
    // Both pictures and the rows have the scan.
    assert_eq!(body.matches("class=\"n h4\" href=\"#s1n2\"").count(), 2);
    assert!(
        body.contains("<svg class=tree")
            && body.contains("<svg class=flame")
            && body.contains("role=treegrid")
    );
}

#[test]
fn nothing_in_a_plan_or_a_statement_gets_into_the_page() {
    let desk = Desk::new();
    let long = "x".repeat(1 << 20);
    let mut files = Vec::new();
    for (at, text) in HOSTILE.iter().chain([&long.as_str()]).enumerate() {
        let scan = node(
            "Seq Scan",
            (40.0, 40.0, 1.0, 800.0),
            &json!({
                "Parent Relationship": "Outer", "Relation Name": text, "Alias": text, "Schema": text,
                "Filter": format!("(name = '{text}'::text)"), "Rows Removed by Filter": 999_960,
                "Output": [text], (*text): text, "Subplan Name": format!("CTE {text}"),
                "Workers": [{"Worker Number": 0, (*text): text}],
            }),
            &[],
        );
        let plan = node(
            text,
            (1.0, 2.0, 3.0, 810.0),
            &json!({"Index Name": text, "Sort Key": [text]}),
            &[scan],
        );
        let mut whole: Value = serde_json::from_str(&document(&plan)).unwrap();
        whole[0]["Settings"] = json!({(*text): text});
        whole[0]["Query Text"] = json!(format!("SELECT '{text}' -- {text}"));
        whole[0]["Triggers"] =
            json!([{"Trigger Name": text, "Relation": text, "Time": 1.0, "Calls": 1}]);
        whole[0][*text] = json!({(*text): text});
        let name = format!("plan{at}.json");
        desk.write(&name, whole.to_string());
        files.push(name);
    }
    let sql = format!(
        "SELECT '{}' AS \"{}\";\n",
        HOSTILE[0].replace('\'', "''"),
        HOSTILE[1].replace('"', "\"\"")
    );
    desk.write("h.sql", sql);
    let mut args: Vec<&str> = files.iter().map(String::as_str).collect();
    let page = page_of(&desk, &args);
    sound(&page);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    for hidden in [
        '\u{202e}', '\u{2066}', '\u{200f}', '\u{0}', '\u{1b}', '\u{2028}', '\u{feff}',
    ] {
        assert!(!page.contains(hidden), "{hidden:?} is in the page as it is");
    }
    assert!(page.contains("⟨U+202E⟩") && page.contains('␀') && page.contains('␛'));
    opened_quietly(&desk.path("page.html"));
    args.truncate(1);
    args.extend(["--sql", "h.sql"]);
    let page = page_of(&desk, &args);
    sound(&page);
    opened_quietly(&desk.path("page.html"));
}

/// Opens the page where there is a browser: it shows it, complains of nothing
/// and asks for nothing.
fn opened_quietly(page: &Path) -> Option<browser::Opened> {
    let browser = browser::find()?;
    let opened = browser::open(&browser, page, &[]);
    assert!(
        opened.console.is_empty(),
        "the console: {:#?}",
        opened.console
    );
    assert!(
        opened.requests.is_empty(),
        "the network: {:?}",
        opened.requests
    );
    let title = Regex::new("<title>([^<]*)</title>").unwrap();
    let title = &title.captures(&opened.dom).expect("a title")[1];
    assert!(
        title.ends_with(": pgadvise"),
        "the title was changed: {title}"
    );
    assert_eq!(opened.dom.matches("<script").count(), 1);
    assert!(!opened.dom.contains("<img"));
    // Its own script ran.
    assert!(
        opened.dom.contains("class=\"js\""),
        "the script did not run"
    );
    Some(opened)
}

/// Runs a script in a copy of the page whose policy lets it, and gives what
/// the script left in the title.
fn probed(desk: &Desk, page: &str, script: &str) -> Option<Value> {
    let browser = browser::find()?;
    let policy = Regex::new(r#"<meta http-equiv="Content-Security-Policy"[^>]*>"#).unwrap();
    let copy = policy.replace(page, "").replace(
        "</body>",
        &format!("<script>const probe = () => {{ {script} }};\ntry {{ document.title = JSON.stringify(probe()); }} catch (error) {{ document.title = JSON.stringify(String(error)); }}</script></body>"),
    );
    desk.write("probe.html", copy);
    let opened = browser::open(
        &browser,
        &desk.path("probe.html"),
        &["--window-size=1280,1000"],
    );
    let title = Regex::new("<title>([^<]*)</title>").unwrap();
    let title = title.captures(&opened.dom).expect("a title")[1]
        .replace("&amp;", "&")
        .replace("&lt;", "<")
        .replace("&gt;", ">");
    Some(serde_json::from_str(&title).unwrap_or(Value::String(title)))
}

/// Silence proves something only where noise would be heard.
#[test]
fn a_browser_tells_of_requests_and_of_complaints() {
    let Some(browser) = browser::find() else {
        return;
    };
    let desk = Desk::new();
    desk.write(
        "loud.html",
        "<!DOCTYPE html><html><body><img src=\"http://probe.example/x.png\"><script>console.error('oh')</script></body></html>",
    );
    let opened = browser::open(&browser, &desk.path("loud.html"), &[]);
    assert_eq!(opened.requests, ["http://probe.example/x.png"]);
    assert!(
        opened.console.iter().any(|line| line.contains("oh")),
        "{:?}",
        opened.console
    );
}

#[test]
fn a_browser_shows_the_page_and_the_keyboard_moves_in_it() {
    let desk = Desk::new();
    desk.write("plan.json", orders()).write("orders.sql", SQL);
    let page = page_of(&desk, &["plan.json", "--sql", "orders.sql"]);
    if opened_quietly(&desk.path("page.html")).is_none() {
        return;
    }
    let said = probed(
        &desk,
        &page,
        r#"
        const key = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        const shown = () => Array.from(document.querySelectorAll(".node")).filter((one) => one.offsetParent !== null).map((one) => one.id);
        const steps = {};
        steps.start = shown();
        document.querySelector(".treeview a.n[href='#s1n1']").focus();
        document.activeElement.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
        steps.clicked = shown();
        key("ArrowDown");
        steps.down = [shown(), location.hash, document.activeElement.getAttribute("href")];
        key("Enter");
        steps.enter = document.activeElement.id;
        key("Escape");
        steps.escape = [location.hash, document.querySelectorAll(".node.on").length];
        key("/");
        steps.slash = document.activeElement.className;
        const find = document.activeElement;
        find.value = "quicksort";
        find.dispatchEvent(new Event("input"));
        find.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
        steps.found = [document.querySelector(".hits").value, shown()];
        document.querySelector(".vr").click();
        steps.rows = [document.querySelector(".rowsview").offsetParent !== null, document.querySelector(".treeview").offsetParent !== null];
        document.querySelector(".findings a[href='#s1n2']").click();
        steps.link = shown();
        document.querySelector(".theme").click();
        steps.theme = document.documentElement.dataset.theme;
        return steps;
        "#,
    )
    .expect("there is a browser");
    assert_eq!(
        said,
        json!({
            "start": ["s1n2"],
            "clicked": ["s1n1"],
            "down": [["s1n2"], "#s1n2", "#s1n2"],
            "enter": "s1n2",
            "escape": ["", 0],
            "slash": "find",
            "found": ["1", ["s1n1"]],
            "rows": [true, false],
            "link": ["s1n2"],
            "theme": "dark",
        })
    );
}

#[test]
fn three_thousand_nodes_fit_a_page() {
    let desk = Desk::new();
    desk.write("alike.json", partitions(2_999, true));
    let page = page_of(&desk, &["alike.json"]);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    sound(&page);
    // Folded, and yet all there.
    assert!(page.contains("… 2,996 more alike"));
    assert!(page.contains("id=\"s1n3000\""));
    assert_eq!(page.matches("<svg class=tree").count(), 1);
    desk.write("mixed.json", partitions(2_999, false));
    let page = page_of(&desk, &["mixed.json"]);
    assert!(page.len() < 5_000_000, "{} bytes", page.len());
    opened_quietly(&desk.path("page.html"));
    desk.write("joins.json", joins(3_000));
    let page = page_of(&desk, &["joins.json"]);
    sound(&page);
    opened_quietly(&desk.path("page.html"));
}

#[test]
fn several_plans_have_a_list_that_leads_to_them() {
    let desk = Desk::new();
    desk.write("a.json", orders())
        .write("b.json", partitions(20, true));
    let page = page_of(&desk, &["a.json", "b.json"]);
    sound(&page);
    let body = body(&page);
    assert!(body.contains("aria-label=\"Statements\""));
    assert!(body.contains("href=\"#s2\">b.json</a>"));
    assert!(body.contains("id=\"s2n1\""));
}

#[test]
fn the_name_of_the_output_chooses_the_format() {
    let desk = Desk::new();
    desk.write("plan.json", orders());
    for (name, begins) in [
        ("r.html", "<!DOCTYPE html>"),
        ("r.md", "## pgadvise"),
        ("r.json", "{\n"),
    ] {
        let ended = desk.run(&["report", "plan.json", "-o", name]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let text = fs::read_to_string(desk.path(name)).unwrap();
        assert!(text.starts_with(begins), "{name}: {}", &text[..40]);
    }
    // What is said stands above what is meant by a name.
    desk.run(&[
        "report",
        "plan.json",
        "-o",
        "r.html",
        "--format",
        "markdown",
    ]);
    assert!(
        fs::read_to_string(desk.path("r.html"))
            .unwrap()
            .starts_with("## pgadvise")
    );
}

#[test]
fn markdown_keeps_the_worst_within_its_limit() {
    let desk = Desk::new();
    let names: Vec<String> = (0..30).map(|at| format!("plan{at}.json")).collect();
    for name in &names {
        desk.write(name, orders());
    }
    let mut args = vec!["report", "--format", "markdown", "--max-bytes", "9000"];
    args.extend(names.iter().map(String::as_str));
    let ended = desk.run(&args);
    assert!(ended.out.len() <= 9000, "{} bytes", ended.out.len());
    assert!(ended.out.contains("**Left out**"), "{}", ended.out);
    assert!(ended.out.contains("findings") && ended.out.contains("plans"));
    // Every table, fold and fence that is begun is ended.
    assert_eq!(
        ended.out.matches("<details>").count(),
        ended.out.matches("</details>").count()
    );
    assert_eq!(
        ended
            .out
            .lines()
            .filter(|line| line.starts_with("```"))
            .count()
            % 2,
        0
    );
    let whole = desk.run(&["report", "plan0.json", "--format", "markdown"]);
    assert!(!whole.out.contains("**Left out**"));
    assert!(whole.out.contains("<details><summary>Plan: "));
}
