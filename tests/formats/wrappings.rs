//! What stands around a plan in a paste, and what a paste does to its lines.
#![expect(
    clippy::string_slice,
    clippy::float_cmp,
    reason = "a test may panic; what is read is what was printed"
)]

use pgadvise::plan::read::{self, Format, Reading};
use pgadvise::plan::{ConditionRole, PlanEdge, PlanGraph};

use super::agree::differences;

/// The plan that all pastes here are made of.
const PLAN: &str = r#"Sort  (cost=15.60..15.61 rows=3 width=36) (actual time=0.100..0.101 rows=3 loops=1)
  Sort Key: "we""ird -> x", (lower((name)::text)) DESC
  Sort Method: quicksort  Memory: 25kB
  Buffers: shared hit=12 read=3, temp read=1 written=2
  ->  Hash Left Join  (cost=1.05..15.57 rows=3 width=36) (actual time=0.050..0.060 rows=3 loops=1)
        Hash Cond: (a.id = b.a_id)
        Filter: ((b.note IS NULL) OR (b.note <> 'it''s (open'::text))
        Rows Removed by Filter: 2
        ->  Index Scan Backward using "index on (x)" on public.a  (cost=0.15..12.00 rows=3 width=36) (never executed)
              Index Cond: (id > 1)
        ->  Hash  (cost=1.03..1.03 rows=3 width=4) (actual time=0.010..0.010 rows=3 loops=1)
              Buckets: 1024 (originally 2048)  Batches: 2 (originally 1)  Memory Usage: 9kB
              ->  Seq Scan on "b (cost=1)" b  (cost=0.00..1.03 rows=3 width=4) (actual time=0.005..0.006 rows=3 loops=1)
Planning Time: 0.300 ms
Execution Time: 0.200 ms"#;

fn only(text: &str) -> read::ReadPlan {
    let mut reading = read::read(text);
    assert_eq!(reading.plans.len(), 1, "{text}\n{:?}", reading.problems);
    assert_eq!(reading.problems, [], "{text}");
    reading.plans.remove(0)
}

fn plan(text: &str) -> PlanGraph {
    only(text).plan
}

/// Reads as the bare plan does.
fn reads_the_same(what: &str, text: &str) {
    let read = only(text);
    let found = differences(&read.plan, &plan(PLAN));
    assert!(found.is_empty(), "{what}:\n{text}\n{}", found.join("\n"));
    assert_eq!(read.incomplete, None, "{what}\n{text}");
    assert!(read::looks_like_plan(text), "{what}\n{text}");
    assert_eq!(read.plan.run.execution_ms, Some(0.2), "{what}\n{text}");
}

fn each_line(change: impl Fn(&str) -> String) -> String {
    PLAN.lines().map(|line| change(line) + "\n").collect()
}

#[test]
fn the_bare_plan_is_read_whole() {
    let plan = plan(PLAN);
    let labels: Vec<String> = plan.nodes().map(|(_, node)| node.label()).collect();
    assert_eq!(
        labels,
        [
            "Sort",
            "Hash Left Join",
            "Index Scan using index on (x) on a",
            "Hash",
            "Seq Scan on b (cost=1) b"
        ]
    );
    let node = |index: u32| plan.node(index.into());
    assert_eq!(node(0).extra["Sort Key"][0], "\"we\"\"ird -> x\"");
    assert_eq!(node(0).extra["Sort Key"][1], "(lower((name)::text)) DESC");
    assert_eq!(node(0).extra["Sort Space Used"], 25);
    assert_eq!(node(0).extra["Sort Space Type"], "Memory");
    let buffers = node(0).buffers.unwrap();
    assert_eq!(
        (
            buffers.shared_hit_blocks,
            buffers.shared_read_blocks,
            buffers.temp_read_blocks,
            buffers.temp_written_blocks
        ),
        (12.0, 3.0, 1.0, 2.0)
    );
    assert_eq!(node(1).join_type.as_deref(), Some("Left"));
    assert_eq!(node(1).rows_removed_by_filter_per_loop, Some(2.0));
    assert_eq!(node(2).extra["Scan Direction"], "Backward");
    assert_eq!(node(2).relation.schema.as_deref(), Some("public"));
    let never = node(2).actual.unwrap();
    assert_eq!((never.loops, never.total_ms_per_loop), (0.0, Some(0.0)));
    assert_eq!(node(3).extra["Hash Batches"], 2);
    assert_eq!(node(3).extra["Original Hash Batches"], 1);
    assert_eq!(node(4).relation.name.as_deref(), Some("b (cost=1)"));
    assert_eq!(
        plan.children(1.into())
            .into_iter()
            .map(|(edge, _)| edge)
            .collect::<Vec<_>>(),
        [PlanEdge::Outer, PlanEdge::Inner]
    );
    assert_eq!(plan.run.planning_ms, Some(0.3));
}

#[test]
fn frames_and_quotation_are_taken_off() {
    let width = PLAN.lines().map(|line| line.chars().count()).max().unwrap();
    let rule = "-".repeat(width + 2);
    let framed = |heading: &str, count: &str| {
        format!(
            "{heading:^width$}\n{rule}\n{}{count}\n\n",
            each_line(|line| format!(" {line}"))
        )
    };
    for (what, text) in [
        ("psql", framed("QUERY PLAN", "(15 rows)")),
        (
            "a German client",
            framed("QUERY PLAN", "(15 Zeilen)") + "Zeit: 12,345 ms\n",
        ),
        (
            "a French client",
            framed("QUERY PLAN", "(15 lignes)") + "Temps : 12,345 ms\n",
        ),
        (
            "a heading that was translated",
            framed("ABFRAGEPLAN", "(15 Zeilen)"),
        ),
        (
            "a Chinese client",
            framed("QUERY PLAN", "(15 行记录)") + "时间：1.234 ms\n",
        ),
        ("the heading alone", format!("QUERY PLAN\n{PLAN}\n")),
        ("Windows", PLAN.replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{PLAN}")),
        ("no-break spaces", PLAN.replace("  ", "\u{a0}\u{a0}")),
        ("tabs", each_line(|line| format!("\t{line}"))),
        ("spaces as tabs", PLAN.replace("        ", "\t")),
        (
            "a code fence",
            format!("Look at this:\n\n```\n{PLAN}\n```\n\nIs it slow?\n"),
        ),
        ("a named fence", format!("```text\n{PLAN}\n```")),
        ("an indented block", each_line(|line| format!("    {line}"))),
        ("a mail", each_line(|line| format!("> {line}"))),
        (
            "a mail twice quoted",
            each_line(|line| format!("> > {line}")),
        ),
        (
            "pgAdmin",
            each_line(|line| format!("\"{}\"", line.replace('"', "\"\""))),
        ),
        (
            "pgAdmin with its heading",
            format!(
                "\"QUERY PLAN\"\n{}",
                each_line(|line| format!("\"{}\"", line.replace('"', "\"\"")))
            ),
        ),
        ("one cell", format!("\"{}\"\n", PLAN.replace('"', "\"\""))),
        (
            "one cell in a row",
            format!("\"QUERY PLAN\"\n\"{}\"\n", PLAN.replace('"', "\"\"")),
        ),
        (
            "DBeaver",
            format!(
                "QUERY PLAN{}|\n{}+\n{}",
                " ".repeat(width - 10),
                "-".repeat(width),
                each_line(|line| format!("{line:width$}|"))
            ),
        ),
        (
            "a box",
            format!(
                "+{rule}+\n| {:^width$} |\n+{rule}+\n{}+{rule}+\n(15 rows)\n",
                "QUERY PLAN",
                each_line(|line| format!("| {line:width$} |"))
            ),
        ),
        (
            "rows in single quotes",
            each_line(|line| format!("'{line}'")),
        ),
        (
            "text around",
            format!(
                "Hello,\n\nwhy is this slow? It ran on 12 (twelve) machines.\n\n{PLAN}\n\nThanks: all of you\n-- \nMax\n"
            ),
        ),
        ("blank lines between", each_line(|line| format!("{line}\n"))),
        (
            "a session",
            format!(
                "psql (16.1)\nType \"help\" for help.\n\nshop=# EXPLAIN (ANALYZE)\nshop-# SELECT 1;\n{}Time: 3.2 ms\nshop=# \\q\n",
                framed("QUERY PLAN", "(15 rows)")
            ),
        ),
    ] {
        reads_the_same(what, &text);
    }
}

#[test]
fn broken_lines_are_joined() {
    // Hard after so many characters, and between words.
    for width in [60, 72, 80, 100, 110] {
        let hard = each_line(|line| {
            let letters: Vec<char> = line.chars().collect();
            letters
                .chunks(width)
                .map(|part| part.iter().collect::<String>())
                .collect::<Vec<_>>()
                .join("\n")
        });
        reads_the_same(&format!("hard at {width}"), &hard);
    }
    for width in [76, 80, 100] {
        let soft = each_line(|line| {
            let lead = line.len() - line.trim_start().len();
            let mut out = String::from(&line[..lead]);
            let mut length = lead;
            for (index, word) in line.trim_start().split(' ').enumerate() {
                if index > 0 && length + 1 + word.len() > width && !word.is_empty() {
                    out.push('\n');
                    length = 0;
                } else if index > 0 {
                    out.push(' ');
                    length += 1;
                }
                out.push_str(word);
                length += word.len();
            }
            out
        });
        reads_the_same(&format!("words at {width}"), &soft);
    }
}

#[test]
fn a_lost_indentation_is_told_from_the_inputs_that_nodes_need() {
    reads_the_same(
        "no indentation",
        &each_line(|line| line.trim_start().to_owned()),
    );
}

#[test]
fn the_statement_before_a_plan_goes_with_it() {
    for (before, expected) in [
        ("EXPLAIN SELECT 1;\n", Some("SELECT 1")),
        (
            "explain (analyze, buffers)\nselect *\nfrom t\nwhere a = ';';\n",
            Some("select *\nfrom t\nwhere a = ';'"),
        ),
        (
            "shop=> EXPLAIN ANALYZE VERBOSE SELECT 2;\n",
            Some("SELECT 2"),
        ),
        (
            "shop=# explain analyze\nshop-# select 3\nshop-# ;\n",
            Some("select 3"),
        ),
        ("SELECT a\nFROM b;\n\n", Some("SELECT a\nFROM b")),
        ("With this query it takes long:\n", None),
        ("", None),
    ] {
        let read = only(&format!("{before}{PLAN}\n"));
        assert_eq!(read.sql.as_deref(), expected, "{before}");
    }
}

#[test]
fn several_plans_are_kept_apart_with_their_statements() {
    let text = format!(
        "shop=# EXPLAIN SELECT 1;\n QUERY PLAN\n------------\n Result  (cost=0.00..0.01 rows=1 width=4)\n(1 row)\n\nshop=# EXPLAIN SELECT 2;\n QUERY PLAN\n------------\n {}\n(15 rows)\n\nEXPLAIN (FORMAT JSON) SELECT 3;\n[{{\"Plan\": {{\"Node Type\": \"Result\"}}}}]\n- Plan: \n    Node Type: \"Limit\"\n    Plans: \n      - Node Type: \"Result\"\n\n<explain xmlns=\"http://www.postgresql.org/2009/explain\"><Query><Plan><Node-Type>Result</Node-Type></Plan></Query></explain>\n",
        PLAN.replace('\n', "\n ")
    );
    let Reading { plans, problems } = read::read(&text);
    assert_eq!(problems, []);
    let found: Vec<_> = plans
        .iter()
        .map(|plan| {
            (
                plan.format,
                plan.plan.graph.node_count(),
                plan.sql.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Format::Text, 1, Some("SELECT 1")),
            (Format::Text, 5, Some("SELECT 2")),
            (Format::Json, 1, Some("SELECT 3")),
            (Format::Yaml, 2, None),
            (Format::Xml, 1, None),
        ]
    );
    let lines: Vec<usize> = plans.iter().map(|plan| plan.line).collect();
    assert_eq!(lines, [4, 10, 28, 29, 34]);
    let twice = read::read(&format!("{PLAN}\n{PLAN}\n"));
    assert_eq!(twice.plans.len(), 2);
    // Without costs, one behind the other.
    let bare = read::read("Seq Scan on a\n  Filter: (x > 1)\nLimit\n  ->  Seq Scan on b\n");
    assert_eq!(bare.plans.len(), 2);
}

#[test]
fn records_of_auto_explain_are_read_in_every_format() {
    let query = "SELECT *\n\t  FROM a -- Seq Scan on x\n\tWHERE b = 1";
    let text = format!(
        "2026-01-02 03:04:05.678 UTC [12] LOG:  duration: 1.234 ms  plan:\n\tQuery Text: {query}\n\t{}\n",
        PLAN.replace('\n', "\n\t")
    );
    let read = only(&text);
    assert!(
        differences(&read.plan, &{
            let mut expected = plan(PLAN);
            expected.run.query_text = read.plan.run.query_text.clone();
            expected
        })
        .is_empty()
    );
    assert_eq!(
        read.plan.run.query_text.as_deref(),
        Some("SELECT *\n  FROM a -- Seq Scan on x\nWHERE b = 1")
    );
    let json = "2026-01-02 LOG:  duration: 1.2 ms  plan:\n\t{\n\t  \"Query Text\": \"SELECT 1\\nFROM a\",\n\t  \"Plan\": {\n\t    \"Node Type\": \"Result\"\n\t  }\n\t}\n2026-01-02 LOG:  next\n";
    let read = only(json);
    assert_eq!(
        read.plan.run.query_text.as_deref(),
        Some("SELECT 1\nFROM a")
    );
    let yaml = "LOG:  duration: 1.2 ms  plan:\n\tQuery Text: \"SELECT 1\"\n\tPlan: \n\t  Node Type: \"Result\"\n\t  Parallel Aware: false\n";
    let read = only(yaml);
    assert_eq!(
        (read.format, read.plan.run.query_text.as_deref()),
        (Format::Yaml, Some("SELECT 1"))
    );
}

#[test]
fn what_is_not_known_is_kept() {
    let plan = plan(
        "Custom Scan (Citus Adaptive)  (cost=0.00..0.00 rows=0 width=0) (actual time=9.1..9.2 rows=1 loops=1)\n  Task Count: 4\n  Tasks Shown: One of 4\n  ->  Task\n        Node: host=10.0.0.1 port=5432 dbname=o'neill\n        ->  Aggregate  (cost=1.00..1.01 rows=1 width=8) (actual time=0.1..0.2 rows=1 loops=1)\n              ->  Columnar Projection on part_102008 p  (cost=0.00..1.00 rows=1 width=0) (actual time=0.1..0.1 rows=1 loops=1)\n                    Columnar Projected Columns: a, b\n                    Some Future Thing: 17 ms\n            Planning Time: 0.1 ms\n            Execution Time: 0.3 ms\nPlanning Time: 1.5 ms\nExecution Time: 9.5 ms\n",
    );
    let node = |index: u32| plan.node(index.into());
    assert_eq!(plan.graph.node_count(), 4);
    assert_eq!(node(0).text("Custom Plan Provider"), Some("Citus Adaptive"));
    assert_eq!(node(0).number("Task Count"), Some(4.0));
    assert_eq!(node(1).type_name, "Task");
    assert_eq!(
        node(1).text("Node"),
        Some("host=10.0.0.1 port=5432 dbname=o'neill")
    );
    assert_eq!(node(2).number("Execution Time"), Some(0.3));
    assert_eq!(node(3).type_name, "Columnar Projection");
    assert_eq!(node(3).relation.name.as_deref(), Some("part_102008"));
    assert_eq!(node(3).number("Some Future Thing"), Some(17.0));
    assert_eq!(plan.run.execution_ms, Some(9.5));
}

#[test]
fn literals_that_look_like_a_plan_are_literals() {
    let literal = "(a <> 'x\n  ->  Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  Filter: (b = 1)\nPlanning Time: 1 ms\n(5 rows)\n  SubPlan 1\n'::text)";
    let text = format!(
        "Limit  (cost=0.00..1.00 rows=1 width=4)\n  ->  Seq Scan on a  (cost=0.00..1.00 rows=1 width=4)\n        Filter: {literal}\n"
    );
    let plan = plan(&text);
    assert_eq!(plan.graph.node_count(), 2);
    assert_eq!(
        plan.node(1.into()).condition(ConditionRole::Filter),
        Some(literal)
    );
    assert_eq!(plan.run.planning_ms, None);
}

#[test]
fn workers_jit_and_triggers_are_read() {
    let plan = plan(
        "Gather  (cost=1000.00..2000.00 rows=10 width=4) (actual time=1.0..9.0 rows=10 loops=1)\n  Output: a\n  Workers Planned: 2\n  Workers Launched: 2\n  ->  Parallel Seq Scan on public.t  (cost=0.00..1000.00 rows=4 width=4) (actual time=0.5..8.0 rows=3.33 loops=3)\n        Output: a\n        Buffers: shared hit=30\n        Worker 0:  actual time=0.4..7.0 rows=3 loops=1\n          JIT:\n            Functions: 2\n            Options: Inlining false, Optimization false, Expressions true, Deforming true\n            Timing: Generation 0.5 ms (Deform 0.2 ms), Inlining 0.0 ms, Optimization 0.1 ms, Emission 1.0 ms, Total 1.6 ms\n          Buffers: shared hit=10\n        Worker 1:  actual time=0.4..7.5 rows=4 loops=1\n          Buffers: shared hit=11\nPlanning:\n  Buffers: shared hit=5\n  Memory: used=12kB  allocated=16kB\nPlanning Time: 0.5 ms\nTrigger audit on t: time=1.500 calls=3\nTrigger for constraint t_fk: time=0.500 calls=2\nJIT:\n  Functions: 6\n  Options: Inlining false, Optimization false, Expressions true, Deforming true\n  Timing: Generation 1.5 ms, Inlining 0.0 ms, Optimization 0.1 ms, Emission 1.0 ms, Total 2.6 ms\nExecution Time: 10.5 ms\n",
    );
    let scan = plan.node(1.into());
    assert!(scan.parallel_aware);
    assert_eq!(scan.actual.unwrap().rows_per_loop, 3.33);
    assert_eq!(scan.buffers.unwrap().shared_hit_blocks, 30.0);
    let workers = scan.extra["Workers"].as_array().unwrap();
    assert_eq!(workers.len(), 2);
    assert_eq!(workers[0]["Actual Total Time"], 7.0);
    assert_eq!(workers[0]["Shared Hit Blocks"], 10);
    assert_eq!(workers[0]["JIT"]["Timing"]["Generation"]["Deform"], 0.2);
    assert_eq!(workers[1]["Shared Hit Blocks"], 11);
    assert_eq!(plan.run.extra["JIT"]["Timing"]["Total"], 2.6);
    assert_eq!(plan.run.extra["JIT"]["Options"]["Inlining"], false);
    assert_eq!(plan.run.extra["Planning"]["Memory Used"], 12);
    let triggers: Vec<_> = plan
        .run
        .triggers
        .iter()
        .map(|trigger| (trigger.name.as_str(), trigger.ms, trigger.calls))
        .collect();
    assert_eq!(
        triggers,
        [("audit", Some(1.5), 3.0), ("t_fk", Some(0.5), 2.0)]
    );
}

#[test]
fn three_generations_of_io_timings_are_read() {
    for (line, read, temp) in [
        ("I/O Timings: read=1.5 write=0.5", 1.5, 0.0),
        (
            "I/O Timings: shared/local read=1.5 write=0.5, temp read=2.5",
            1.5,
            2.5,
        ),
        (
            "I/O Timings: shared read=1.5 write=0.5, temp read=2.5 write=1.0",
            1.5,
            2.5,
        ),
    ] {
        let plan = plan(&format!(
            "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  {line}\n"
        ));
        let io = plan.node(plan.root).io.unwrap();
        assert_eq!((io.shared_read_ms, io.temp_read_ms), (read, temp), "{line}");
    }
}
