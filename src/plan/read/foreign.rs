//! Plans of other database systems, told by what only they print.

/// Another system's plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The system.
    pub(super) system: &'static str,
    /// The line that tells it, from 1.
    pub(super) line: usize,
}

/// Marks of one system. All words of one entry stand in the same line.
const MARKS: [(&str, &[&[&str]]); 14] = [
    (
        "Oracle",
        &[
            &["Plan hash value:"],
            &["| Id ", "| Operation"],
            &["DBMS_XPLAN"],
            &["Execution Plan", "OPTIMIZER="],
        ],
    ),
    (
        "SQL Server",
        &[
            &["<ShowPlanXML"],
            &["schemas.microsoft.com/sqlserver/2004/07/showplan"],
            &["|--", "(OBJECT:"],
            &["|--", "(Inner Join"],
            &["|--Nested Loops("],
            &["|--Hash Match("],
            &["|--Compute Scalar("],
            &["StmtText", "StmtId"],
        ],
    ),
    (
        "MySQL or MariaDB",
        &[
            &["select_type", "possible_keys"],
            &["\"query_block\""],
            &["\"query_plan\"", "\"access_type\""],
            &["-> Table scan on "],
            &["-> Nested loop inner join"],
            &["-> Nested loop left join"],
            &["-> Index lookup on "],
            &["-> Single-row index lookup on "],
            &["-> Covering index "],
            &["-> Aggregate using temporary table"],
            &["-> Inner hash join"],
            &["-> Filter: (", "(cost="],
            &["-> Table scan on <temporary>"],
            &["-> Rows fetched before execution"],
        ],
    ),
    (
        "SQLite",
        &[
            &["`--SCAN "],
            &["`--SEARCH "],
            &["|--SCAN "],
            &["|--SEARCH "],
            &["USING INTEGER PRIMARY KEY (rowid="],
            &["addr", "opcode", "p1", "p2"],
            &["USE TEMP B-TREE FOR "],
        ],
    ),
    (
        "CockroachDB",
        &[
            &["distribution: ", "full"],
            &["distribution: local"],
            &["vectorized: true"],
            &["• scan"],
            &["• hash join"],
            &["• filter"],
            &["• lookup join"],
            &["spans: FULL SCAN"],
        ],
    ),
    (
        "Spark",
        &[
            &["== Physical Plan =="],
            &["== Parsed Logical Plan =="],
            &["AdaptiveSparkPlan"],
        ],
    ),
    (
        "Db2",
        &[
            &["Access Plan:"],
            &["DB2 Universal Database"],
            &["Optimized Statement:"],
        ],
    ),
    (
        "ClickHouse",
        &[
            &["ReadFromMergeTree"],
            &["Expression ((Project", "Before ORDER BY"],
            &["Expression ((Projection"],
            &["ReadFromStorage"],
            &["ReadFromSystem"],
        ],
    ),
    (
        "DuckDB",
        &[
            &["│", "SEQ_SCAN"],
            &["│", "HASH_GROUP_BY"],
            &["│", "TABLE_SCAN"],
            &["│", "PROJECTION", "│"],
        ],
    ),
    (
        "Trino or Presto",
        &[
            &["Fragment 0 ["],
            &["Fragment 1 ["],
            &["Output layout: ["],
            &["Distribution: ", "Layout: ["],
        ],
    ),
    (
        "Snowflake",
        &[
            &["GlobalStats:", "partitionsTotal"],
            &["\"GlobalStats\"", "partitionsTotal"],
        ],
    ),
    (
        "BigQuery",
        &[
            &["\"queryPlan\"", "\"computeMsAvg\""],
            &["\"computeMsAvg\""],
        ],
    ),
    (
        "MongoDB",
        &[
            &["\"queryPlanner\""],
            &["winningPlan"],
            &["queryPlanner", ":"],
        ],
    ),
    ("TiDB", &[&["estRows", "task", "access object"]]),
];

/// The other system whose plan a text is. A plan of PostgreSQL has been looked
/// for before.
pub(super) fn detect(text: &str) -> Option<Foreign> {
    text.split('\n')
        .take(2_000)
        .enumerate()
        .find_map(|(index, line)| {
            // A long line (JSON without breaks) shows what it is at its beginning.
            let mut end = line.len().min(4_000);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            let line = line.get(..end)?;
            let (system, _) = MARKS.iter().find(|(_, marks)| {
                marks
                    .iter()
                    .any(|words| words.iter().all(|word| line.contains(word)))
            })?;
            Some(Foreign {
                system,
                line: index + 1,
            })
        })
}
