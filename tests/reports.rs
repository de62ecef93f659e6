//! One report with every feature, through every format: what a reader sees is
//! true, complete and safe.

use pgadvise::report::model::{
    Applicability, Condition, CrashedRule, Engine, Evidence, Finding, Level, Missing, NodeDetails,
    NodeRef, Origin, Place, Plan, PlanFrom, PlanNode, Precondition, Problem, ProblemKind, Relation,
    Report, Rules, RunDetails, Severity, SideEffect, SideEffectKind, SkippedRule, Statement,
    Suggestion, SuggestionKind, Suppressed, Tool, Totals, Unit, Verdict, VerdictStatus,
};
use pgadvise::report::{FORMATS, Options, json, markdown, text};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

const SQL: &str = "SELECT *\n  FROM orders\n WHERE lower(status) = 'open'";
const INDEX: &str =
    "CREATE INDEX CONCURRENTLY orders_lower_status_idx ON public.orders (lower(status));";
const DIFF: &str = "--- orders.sql\n+++ orders.sql\n@@ -3,3 +3,3 @@\n SELECT *\n   FROM orders\n- WHERE lower(status) = 'open'\n+ WHERE status = 'open'\n";

fn place(line: usize, column: usize, end_line: usize, end_column: usize) -> Place {
    Place {
        file: "orders.sql".to_owned(),
        line,
        column,
        end_line,
        end_column,
    }
}

fn node(id: usize, parent: Option<usize>, label: &str, share: f64) -> PlanNode {
    PlanNode {
        id,
        parent,
        role: None,
        label: label.to_owned(),
        conditions: Vec::new(),
        cost: Some(100.0),
        self_cost: Some(100.0 * share),
        total_ms: Some(800.0),
        self_ms: Some(800.0 * share),
        share,
        total_share: 1.0,
        rows_estimated: Some(10.0),
        rows_actual: Some(10.0),
        rows_removed: None,
        loops: Some(1.0),
        estimate_error: Some(1.0),
        underestimated: false,
        never_executed: false,
        details: NodeDetails::default(),
        why_not_flagged: Vec::new(),
    }
}

fn scan() -> NodeRef {
    NodeRef {
        id: 2,
        label: "Seq Scan on orders".to_owned(),
    }
}

fn engine() -> Engine {
    Engine {
        description: "PostgreSQL 17.5 (embedded)".to_owned(),
        notes: vec!["its tables and data are those of schema.sql".to_owned()],
    }
}

fn tested() -> Verdict {
    Verdict {
        status: VerdictStatus::Better,
        before_cost: Some(18_334.0),
        after_cost: Some(8.45),
        engine: Some("PostgreSQL 17.5 (embedded)".to_owned()),
        plan_change: Some("Seq Scan on orders became Index Scan".to_owned()),
        checked: vec!["the results were not compared".to_owned()],
        before_ms: None,
        after_ms: None,
        why: None,
    }
}

fn untested() -> Verdict {
    Verdict {
        status: VerdictStatus::Untested,
        before_cost: None,
        after_cost: None,
        engine: None,
        plan_change: None,
        checked: Vec::new(),
        before_ms: None,
        after_ms: None,
        why: Some("rewrites are not executed".to_owned()),
    }
}

fn suggestion(title: &str, kind: SuggestionKind, verdict: Verdict) -> Suggestion {
    Suggestion {
        title: title.to_owned(),
        kind,
        applicability: Applicability::SameResults,
        sql: None,
        rewritten_sql: None,
        diff: None,
        advice: None,
        side_effects: Vec::new(),
        preconditions: Vec::new(),
        verdict,
    }
}

fn finding(level: Level, message: &str) -> Finding {
    Finding {
        rule: "function-on-indexed-column".to_owned(),
        level,
        message: message.to_owned(),
        why: "No index on the bare column can find the rows, so that all of them are read."
            .to_owned(),
        place: Some(place(5, 8, 5, 21)),
        node: Some(scan()),
        relation: Some(Relation {
            schema: "public".to_owned(),
            name: "orders".to_owned(),
        }),
        share: 0.97,
        saves_ms: Some(776.0),
        evidence: vec![
            Evidence {
                label: "rows removed by the filter".to_owned(),
                value: Some(999_988.0),
                unit: Unit::Rows,
                text: "999,988 rows".to_owned(),
                from: Origin::Plan { node: scan() },
            },
            Evidence {
                label: "index without the function".to_owned(),
                value: None,
                unit: Unit::Text,
                text: "orders_status_idx".to_owned(),
                from: Origin::Catalog {
                    object: "public.orders".to_owned(),
                },
            },
        ],
        suggestions: Vec::new(),
    }
}

/// A report with every feature.
fn report() -> Report {
    let mut slow = finding(
        Level::Critical,
        "the filter on lower(status) keeps 12 of 1,000,000 rows",
    );
    let mut index = suggestion(
        "create an index on orders (lower(status))",
        SuggestionKind::CreateIndex,
        tested(),
    );
    index.sql = Some(INDEX.to_owned());
    index.side_effects = vec![SideEffect {
        kind: SideEffectKind::Disk,
        text: "21.5 MiB on disk (built)".to_owned(),
        bytes: Some(22_544_384.0),
    }];
    let mut rewrite = suggestion("drop the function", SuggestionKind::Rewrite, untested());
    rewrite.rewritten_sql = Some("SELECT *\n  FROM orders\n WHERE status = 'open'".to_owned());
    rewrite.diff = Some(DIFF.to_owned());
    rewrite.preconditions = vec![Precondition {
        claim: "status is never in upper case".to_owned(),
        proof: "constraint orders_status_check".to_owned(),
    }];
    slow.suggestions = vec![index, rewrite];
    let mut filter = node(2, Some(1), "Seq Scan on orders", 0.97);
    filter.conditions = vec![Condition {
        role: "Filter".to_owned(),
        text: "(lower(status) = 'open'::text)".to_owned(),
    }];
    filter.rows_removed = Some(999_988.0);
    filter.rows_actual = Some(12.0);
    filter.rows_estimated = Some(5000.0);
    filter.estimate_error = Some(416.7);
    let statement = Statement {
        place: Some(place(3, 1, 5, 30)),
        sql: Some(SQL.to_owned()),
        explain: Some(json!([{"Plan": {"Node Type": "Seq Scan"}}])),
        plan_from: Some(PlanFrom::Planner { engine: engine() }),
        engine: Some(engine()),
        plan: Some(Plan {
            executed: true,
            planning_ms: Some(0.4),
            execution_ms: Some(812.3),
            total_cost: Some(18_334.0),
            remainder_ms: 0.0,
            accuracy: None,
            beside: None,
            run: RunDetails::default(),
            nodes: vec![node(1, None, "Gather", 0.03), filter],
        }),
        parameters: None,
        resources: None,
        what_if: None,
        findings: vec![slow, finding(Level::Note, "a second, smaller finding")],
        suppressed: vec![Suppressed {
            reason: Some("known".to_owned()),
            finding: finding(Level::Warning, "a silenced finding"),
        }],
        rules: Rules {
            ran: vec!["a".to_owned(), "b".to_owned()],
            skipped: vec![SkippedRule {
                rule: "c".to_owned(),
                missing: vec![Missing {
                    need: "actuals".to_owned(),
                    remedy: "a plan that was executed (--analyze)".to_owned(),
                }],
            }],
            crashed: vec![CrashedRule {
                rule: "d".to_owned(),
                message: "index out of bounds".to_owned(),
            }],
            off: vec!["e".to_owned()],
        },
        problems: Vec::new(),
        failed: false,
    };
    let mut report = Report {
        schema_version: 1,
        tool: Tool {
            name: "pgadvise".to_owned(),
            version: "0.0.0".to_owned(),
        },
        what_if: None,
        log: None,
        statements: vec![statement],
        problems: vec![Problem {
            kind: ProblemKind::Input,
            severity: Severity::Error,
            message: "cannot read gone.sql".to_owned(),
            causes: vec!["no such file".to_owned()],
            place: None,
            hints: vec!["check the path".to_owned()],
        }],
        totals: Totals::default(),
    };
    report.count();
    report
}

fn rendered(render: pgadvise::report::Render, report: &Report, options: &Options) -> String {
    let mut out = Vec::new();
    render(report, &mut out, options).expect("a vector takes everything");
    String::from_utf8(out).expect("reports are UTF-8")
}

fn as_text(report: &Report) -> String {
    rendered(text::render, report, &Options::default())
}

#[track_caller]
fn in_order(shown: &str, pieces: &[&str]) {
    let mut from = 0;
    for piece in pieces {
        match shown.get(from..).and_then(|rest| rest.find(piece)) {
            Some(at) => from += at + piece.len(),
            None => panic!("{piece:?} is missing, or not where it should be, in:\n{shown}"),
        }
    }
}

#[test]
fn text_says_what_where_why_what_to_do_and_how_it_was_verified() {
    in_order(
        &as_text(&report()),
        &[
            "orders.sql:3:1",
            "executed in 812 ms",
            "PostgreSQL 17.5 (embedded)",
            "Seq Scan on orders",
            "critical",
            "keeps 12 of 1,000,000 rows",
            "orders.sql:5:8, plan node 2: Seq Scan on orders",
            "lower(status) = 'open'",
            "^^^^^^^^^^^^^",
            "rows removed by the filter",
            "999,988 rows",
            "plan node 2",
            "No index on the bare column",
            "create an index on orders (lower(status))",
            INDEX,
            "21.5 MiB on disk (built)",
            "tested: cost 18,334 → 8.45, 2,170× less (PostgreSQL 17.5 (embedded))",
            "Seq Scan on orders became Index Scan",
            "the results were not compared",
            "drop the function",
            "- WHERE lower(status) = 'open'\n",
            "+ WHERE status = 'open'\n",
            "status is never in upper case: constraint orders_status_check",
            "not tested: rewrites are not executed",
            "function-on-indexed-column",
            "note",
            "a second, smaller finding",
            "silenced: a silenced finding [function-on-indexed-column], because: known",
            "2 rules ran, 1 skipped, 1 switched off",
            "1 rule needs a plan that was executed (--analyze)",
            "the rule d failed",
            "its tables and data are those of schema.sql",
            "error: cannot read gone.sql",
            "caused by: no such file",
            "hint: check the path",
        ],
    );
}

#[test]
fn carets_stand_under_the_place_of_the_finding() {
    let shown = as_text(&report());
    let lines: Vec<&str> = shown.lines().collect();
    let carets = lines
        .iter()
        .position(|line| line.contains("^^^"))
        .expect("carets");
    let from = lines[carets].find('^').expect("a caret");
    let marked: String = lines[carets - 1]
        .chars()
        .skip(from)
        .take(lines[carets].matches('^').count())
        .collect();
    assert_eq!(marked, "lower(status)");
}

#[test]
fn text_keeps_within_the_width_but_for_sql_that_is_to_be_copied() {
    let mut report = report();
    let finding = &mut report.statements[0].findings[0];
    finding.message = "a long message ".repeat(20);
    finding.why = "表の全行を読むので遅い ".repeat(12);
    finding.evidence[0].text = "x".repeat(150);
    report.statements[0].plan.as_mut().expect("a plan").nodes[1].label =
        "Index Scan using an_index_with_a_long_name on a_table_with_a_long_name_too".to_owned();
    for width in [60, 80, 100, 160] {
        let shown = rendered(
            text::render,
            &report,
            &Options {
                width,
                ..Options::default()
            },
        );
        for line in shown.lines().filter(|line| !line.contains(INDEX)) {
            assert!(line.width() <= width, "{width}: {} {line}", line.width());
        }
    }
}

#[test]
fn the_plan_shows_time_share_rows_and_error_and_what_the_filter_threw_away() {
    let shown = as_text(&report());
    let scan = shown
        .lines()
        .find(|line| line.contains("└─ Seq Scan on orders"))
        .expect("the scan, below the Gather");
    in_order(scan, &["776 ms", "97 %", "5,000 → 12", "417×↓"]);
    assert!(shown.contains("Filter removed 999,988 rows:"), "{shown}");
}

#[test]
fn an_estimated_plan_shows_costs_and_no_times() {
    let mut report = report();
    let plan = report.statements[0].plan.as_mut().expect("a plan");
    plan.executed = false;
    for node in &mut plan.nodes {
        node.self_ms = None;
        node.total_ms = None;
        node.rows_actual = None;
        node.estimate_error = None;
        node.loops = None;
        node.rows_removed = None;
    }
    let shown = as_text(&report);
    let (tree, _) = shown.split_once("critical").expect("the finding");
    assert!(tree.contains("estimated cost 18,334"), "{tree}");
    assert!(tree.contains("own cost"), "{tree}");
    assert!(!tree.contains("self time"), "{tree}");
    assert!(!tree.contains("off by"), "{tree}");
}

#[test]
fn silence_says_what_it_rests_on() {
    let mut report = report();
    let statement = &mut report.statements[0];
    statement.findings.clear();
    statement.suppressed.clear();
    let shown = as_text(&report);
    assert!(
        shown.contains("nothing found: 2 rules looked at its SQL and its executed plan"),
        "{shown}"
    );
    report.statements[0].rules.ran.clear();
    let shown = as_text(&report);
    assert!(
        shown.contains("no rule could look at the statement"),
        "{shown}"
    );
}

#[test]
fn colours_are_only_written_when_asked_for() {
    let report = report();
    for (_, render) in FORMATS {
        let plain = rendered(*render, &report, &Options::default());
        assert!(!plain.contains('\u{1b}'), "{plain}");
    }
    let colored = rendered(
        text::render,
        &report,
        &Options {
            color: true,
            ..Options::default()
        },
    );
    assert!(colored.contains('\u{1b}'));
    assert_eq!(
        anstream::adapter::strip_str(&colored).to_string(),
        as_text(&report)
    );
}

#[test]
fn hostile_names_do_nothing_in_any_format() {
    let evil = "x\u{1b}[2J\u{202e}|<script>alert(1)</script>`![i](http://h/)\n# no heading";
    let mut report = report();
    let statement = &mut report.statements[0];
    statement.place.as_mut().expect("a place").file = evil.to_owned();
    statement.sql = Some(format!("select 1 /* {evil} */"));
    statement.plan.as_mut().expect("a plan").nodes[1].label = evil.to_owned();
    statement.problems = vec![Problem {
        kind: ProblemKind::Input,
        severity: Severity::Warning,
        message: evil.to_owned(),
        causes: vec![evil.to_owned()],
        place: None,
        hints: vec![evil.to_owned()],
    }];
    let finding = &mut statement.findings[0];
    finding.message = evil.to_owned();
    finding.why = evil.to_owned();
    finding.evidence[0].label = evil.to_owned();
    finding.evidence[0].text = evil.to_owned();
    finding.node = Some(NodeRef {
        id: 2,
        label: evil.to_owned(),
    });
    finding.suggestions[0].title = evil.to_owned();
    finding.suggestions[1].diff = Some(evil.to_owned());
    finding.suggestions[0].verdict.plan_change = Some(evil.to_owned());
    let shown = as_text(&report);
    assert!(
        !shown.contains('\u{1b}') && !shown.contains('\u{202e}'),
        "{shown}"
    );

    let page = rendered(markdown::render, &report, &Options::default());
    assert!(
        !page.contains('\u{1b}') && !page.contains('\u{202e}'),
        "{page}"
    );
    let mut fenced = false;
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            assert!(!line.contains("<script"), "{line}");
            assert!(!line.starts_with("# "), "{line}");
            assert!(!line.contains(" ![i]") && !line.contains("`![i]"), "{line}");
            if line.starts_with('|') {
                let cells = line.replace("\\|", "").matches('|').count();
                assert!([4, 6].contains(&cells), "{line}");
            }
        }
    }

    let document: Value =
        serde_json::from_str(&rendered(json::render, &report, &Options::default())).expect("JSON");
    assert_eq!(
        document["statements"][0]["findings"][0]["message"],
        Value::from(evil),
        "programs get the name as it is"
    );
}

#[test]
fn markdown_has_a_summary_and_the_plan_folded_away() {
    in_order(
        &rendered(markdown::render, &report(), &Options::default()),
        &[
            "## pgadvise",
            "2 findings (1 critical, 1 note)",
            "| Level | Finding | Where | Do | Tested |",
            "critical | the filter on lower(status)",
            "orders.sql:5",
            "cost 18,334 → 8.45 |",
            "**Error:** cannot read gone.sql",
            "### orders.sql:3:1",
            "```sql\nSELECT *",
            "**Do:** create an index on orders",
            INDEX,
            "```diff\n--- orders.sql",
            "<details><summary>Plan: executed in 812 ms",
            "Seq Scan on orders",
            "</details>",
        ],
    );
}

#[test]
fn json_has_what_programs_need_and_fits_its_schema() {
    let document: Value =
        serde_json::from_str(&rendered(json::render, &report(), &Options::default()))
            .expect("JSON");
    let schema: Value = serde_json::from_str(&json::schema()).expect("a schema");
    assert!(
        jsonschema::is_valid(&schema, &document),
        "{:?}",
        jsonschema::validate(&schema, &document)
    );
    assert_eq!(document["schema_version"], 1);
    let statement = &document["statements"][0];
    assert_eq!(statement["explain"][0]["Plan"]["Node Type"], "Seq Scan");
    let finding = &statement["findings"][0];
    assert_eq!(finding["level"], "critical");
    assert_eq!(finding["place"]["line"], 5);
    assert_eq!(finding["suggestions"][0]["sql"], INDEX);
    assert_eq!(finding["suggestions"][0]["verdict"]["status"], "better");
    assert_eq!(finding["suggestions"][0]["verdict"]["after_cost"], 8.45);
    assert_eq!(
        finding["suggestions"][1]["rewritten_sql"],
        "SELECT *\n  FROM orders\n WHERE status = 'open'"
    );
    assert_eq!(document["totals"]["critical"], 1);
    assert_eq!(document["totals"]["findings"], 2);
}

/// A schema that takes everything would make the test above worthless.
#[test]
fn the_schema_refuses_what_is_no_report() {
    let schema: Value = serde_json::from_str(&json::schema()).expect("a schema");
    let mut document: Value =
        serde_json::from_str(&rendered(json::render, &report(), &Options::default()))
            .expect("JSON");
    document["statements"][0]["findings"][0]["level"] = Value::from("loud");
    assert!(!jsonschema::is_valid(&schema, &document));
    assert!(!jsonschema::is_valid(&schema, &json!({})));
}

#[test]
fn large_plans_show_the_nodes_that_matter() {
    let mut report = report();
    let plan = report.statements[0].plan.as_mut().expect("a plan");
    plan.nodes = vec![node(1, None, "Append", 0.0)];
    for id in 2..=1000 {
        plan.nodes
            .push(node(id, Some(1), &format!("Seq Scan on part_{id}"), 0.0));
    }
    plan.nodes[777].share = 0.9;
    let shown = as_text(&report);
    assert!(shown.contains("Seq Scan on part_778"), "the hot one");
    assert!(!shown.contains("Seq Scan on part_500"), "one of the many");
    assert!(
        shown.contains("920 nodes that matter less are not shown"),
        "{shown}"
    );
    let all = rendered(
        text::render,
        &report,
        &Options {
            detailed: true,
            ..Options::default()
        },
    );
    assert!(all.contains("Seq Scan on part_500"));
}

#[test]
fn very_deep_plans_are_drawn_within_the_width() {
    let mut report = report();
    let plan = report.statements[0].plan.as_mut().expect("a plan");
    plan.nodes = (1..=3000)
        .map(|id| node(id, (id > 1).then(|| id - 1), "Subquery Scan on s", 0.0))
        .collect();
    plan.nodes[2999].share = 1.0;
    for detailed in [false, true] {
        let shown = rendered(
            text::render,
            &report,
            &Options {
                detailed,
                ..Options::default()
            },
        );
        assert!(shown.contains("100 %"), "the deepest node is the hot one");
        let (tree, _) = shown.split_once("critical").expect("the finding");
        assert!(tree.lines().all(|line| line.width() <= 100));
    }
}
