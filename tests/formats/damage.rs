//! Texts that are cut off, of another kind, or hostile.
#![expect(clippy::string_slice, reason = "a test may panic")]

use pgadvise::plan::read::{self, Format};

const TEXT: &str = "Hash Join  (cost=1.05..15.57 rows=3 width=36)\n  Hash Cond: (a.id = b.a_id)\n  ->  Seq Scan on a  (cost=0.00..12.00 rows=3 width=36)\n        Filter: (x = 'abc'::text)\n  ->  Hash  (cost=1.03..1.03 rows=3 width=4)\n        ->  Seq Scan on b  (cost=0.00..1.03 rows=3 width=4)\n";
const JSON: &str = r#"[{"Plan": {"Node Type": "Hash Join", "Join Type": "Inner", "Plans": [
  {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "a", "Alias": "a"},
  {"Node Type": "Hash", "Parent Relationship": "Inner", "Plans": [
    {"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Relation Name": "b", "Alias": "b"}]}]}}]"#;
const YAML: &str = "- Plan: \n    Node Type: \"Hash Join\"\n    Join Type: \"Inner\"\n    Plans: \n      - Node Type: \"Seq Scan\"\n        Parent Relationship: \"Outer\"\n        Relation Name: \"a\"\n      - Node Type: \"Hash\"\n        Parent Relationship: \"Inner\"\n        Plans: \n          - Node Type: \"Seq Scan\"\n            Relation Name: \"b\"\n";
const XML: &str = "<explain xmlns=\"http://www.postgresql.org/2009/explain\">\n <Query>\n  <Plan>\n   <Node-Type>Hash Join</Node-Type>\n   <Plans>\n    <Plan><Node-Type>Seq Scan</Node-Type><Relation-Name>a &lt;b&gt;</Relation-Name></Plan>\n    <Plan><Node-Type>Hash</Node-Type>\n     <Plans><Plan><Node-Type>Seq Scan</Node-Type></Plan></Plans>\n    </Plan>\n   </Plans>\n  </Plan>\n </Query>\n</explain>\n";

#[test]
fn a_cut_plan_gives_what_is_there_and_says_so() {
    for (format, whole, complete) in [
        (Format::Text, TEXT, 4),
        (Format::Json, JSON, 4),
        (Format::Yaml, YAML, 4),
        (Format::Xml, XML, 4),
    ] {
        let read = read::read(whole);
        assert_eq!(read.plans[0].plan.graph.node_count(), complete);
        assert_eq!(read.plans[0].incomplete, None, "{whole}");
        let mut last = 0;
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            let cut = &whole[..end];
            let reading = read::read(cut);
            let nodes: usize = reading
                .plans
                .iter()
                .map(|plan| plan.plan.graph.node_count())
                .sum();
            assert!(nodes >= last, "{format:?}: {cut}");
            last = nodes;
            match reading.plans.as_slice() {
                [] => assert!(!reading.problems.is_empty(), "{cut}"),
                [plan] => {
                    assert_eq!(plan.format, format, "{cut}");
                    // Cut within the last word there is nothing that tells.
                    if nodes < complete {
                        assert!(plan.incomplete.is_some(), "{format:?}: {cut}");
                    }
                }
                plans => panic!("{} plans: {cut}", plans.len()),
            }
        }
        assert_eq!(last, complete, "{format:?}");
    }
}

#[test]
fn damage_is_named_with_its_line_and_column() {
    let broken = JSON.replace(
        "\"Inner\", \"Plans\": [\n    {",
        "\"Inner\", \"Plans\": [\n    oops {",
    );
    let reading = read::read(&broken);
    let damage = reading.plans[0].incomplete.as_ref().unwrap();
    assert_eq!(damage.line, Some(4));
    assert!(damage.message.contains("line 4, column 5"), "{damage:?}");
    assert!(damage.hint.is_some());
    assert_eq!(reading.plans[0].plan.graph.node_count(), 3);
}

#[test]
fn plans_of_other_systems_are_named() {
    for (system, text) in [
        (
            "Oracle",
            "Plan hash value: 3956160932\n\n----------------------------------\n| Id  | Operation         | Name |\n----------------------------------\n|   0 | SELECT STATEMENT  |      |\n|   1 |  TABLE ACCESS FULL| EMP  |\n----------------------------------\n",
        ),
        (
            "MySQL",
            "+----+-------------+-------+------+---------------+------+\n| id | select_type | table | type | possible_keys | key  |\n+----+-------------+-------+------+---------------+------+\n|  1 | SIMPLE      | t     | ALL  | NULL          | NULL |\n+----+-------------+-------+------+---------------+------+\n",
        ),
        (
            "MySQL",
            "-> Limit: 5 row(s)  (cost=0.35 rows=1)\n    -> Table scan on t  (cost=0.35 rows=1) (actual time=0.1..0.2 rows=1 loops=1)\n",
        ),
        (
            "MySQL",
            "{\n  \"query_block\": {\n    \"select_id\": 1,\n    \"cost_info\": {\"query_cost\": \"1.0\"}\n  }\n}",
        ),
        (
            "SQL Server",
            "<ShowPlanXML xmlns=\"http://schemas.microsoft.com/sqlserver/2004/07/showplan\" Version=\"1.5\"><BatchSequence/></ShowPlanXML>",
        ),
        (
            "SQL Server",
            "  |--Nested Loops(Inner Join, OUTER REFERENCES:([a].[id]))\n       |--Clustered Index Scan(OBJECT:([db].[dbo].[a].[PK]))\n",
        ),
        (
            "SQLite",
            "QUERY PLAN\n|--SCAN a\n`--SEARCH b USING INTEGER PRIMARY KEY (rowid=?)\n",
        ),
        (
            "CockroachDB",
            "  distribution: full\n  vectorized: true\n\n  • hash join\n  │ equality: (a) = (b)\n  └── • scan\n        table: a@a_pkey\n        spans: FULL SCAN\n",
        ),
        (
            "Spark",
            "== Physical Plan ==\nAdaptiveSparkPlan isFinalPlan=false\n+- HashAggregate(keys=[], functions=[count(1)])\n",
        ),
        (
            "ClickHouse",
            "Expression ((Projection + Before ORDER BY))\n  Filter (WHERE)\n    ReadFromMergeTree (default.t)\n",
        ),
        (
            "Db2",
            "Access Plan:\n-----------\n\tTotal Cost: \t\t7.5\n\tQuery Degree:\t\t1\n",
        ),
    ] {
        let reading = read::read(text);
        assert!(reading.plans.is_empty(), "{text}");
        let problem = &reading.problems[0];
        assert!(
            problem.message.contains(system) && problem.message.contains("not of PostgreSQL"),
            "{system}: {problem:?}"
        );
        assert!(
            problem.line.is_some() && problem.hint.is_some(),
            "{problem:?}"
        );
        assert!(read::looks_like_plan(text), "explain says so too: {text}");
    }
}

#[test]
fn sql_is_no_plan() {
    for sql in [
        "SELECT 1",
        "-- Seq Scan on t  (cost=0.00..1.00 rows=1 width=4)\nSELECT 1;",
        "/* slow:\nSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  ->  Hash\n*/\nSELECT 1;",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\n  SELECT '\nSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n'\n$$;",
        "INSERT INTO plans VALUES ('\nSeq Scan on t  (cost=0.00..1.00 rows=1 width=4)\n  ->  Seq Scan on b  (cost=0.00..1.00 rows=1 width=4)');",
        "UPDATE t SET a = 1 WHERE b -> 'c' = '2'\n  -> 'd';",
        "WITH x AS (SELECT 1) SELECT * FROM x;",
        "EXPLAIN (ANALYZE) SELECT 1;",
        "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE;",
        "VALUES (1), (2);",
        "TABLE t;",
        "select * from a\nwhere note = 'QUERY PLAN';",
        "",
    ] {
        assert!(!read::looks_like_plan(sql), "{sql}");
    }
    for (text, says) in [
        ("SELECT 1", "SQL"),
        ("EXPLAIN (ANALYZE) SELECT 1;", "SQL"),
        ("", "empty"),
        (" \n\t\n", "empty"),
        ("It is slow.", "no plan"),
        ("[1, 2]", "no plan"),
        ("{\"a\": {\"b\": 1}}", "not a plan"),
    ] {
        let reading = read::read(text);
        assert!(reading.plans.is_empty());
        assert!(
            reading.problems[0].message.contains(says),
            "{text}: {:?}",
            reading.problems
        );
        assert!(reading.problems[0].hint.is_some());
    }
    for plan in [
        "Update on t\n  ->  Seq Scan on t\n",
        "Merge Join\n  Merge Cond: (a = b)\n  ->  Sort\n",
        "Values Scan on \"*VALUES*\"\n",
    ] {
        assert!(read::looks_like_plan(plan), "{plan}");
    }
}

#[test]
fn depth_and_length_are_no_trouble() {
    // Deeper than any stack.
    let mut deep = String::from("Limit  (cost=0.00..1.00 rows=1 width=4)\n");
    for level in 0..3_000 {
        deep.push_str(&" ".repeat(2 + level * 6));
        deep.push_str("->  Limit  (cost=0.00..1.00 rows=1 width=4)\n");
    }
    assert_eq!(read::read(&deep).plans[0].plan.graph.node_count(), 3_001);
    for opening in [
        "[",
        "{\"a\":",
        "[{\"Plan\": {\"Node Type\": \"Limit\", \"Plans\": [",
    ] {
        drop(read::read(&opening.repeat(200_000)));
    }
    drop(read::read(&"<explain><Plan>".repeat(100_000)));
    drop(read::read(&"- ".repeat(5_000)));
    // A plan of many inputs.
    let mut wide = String::from("Append  (cost=0.00..1.00 rows=1 width=4)\n");
    for part in 0..20_000 {
        wide.push_str(&format!("  ->  Seq Scan on part_{part}  (cost=0.00..1.00 rows=1 width=4)\n        Filter: (note = 'it''s {part}'::text)\n"));
    }
    let plan = &read::read(&wide).plans[0].plan;
    assert_eq!(plan.graph.node_count(), 20_001);
    assert_eq!(plan.children(plan.root).len(), 20_000);
}
