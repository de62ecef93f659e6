//! Reading the queries of an application: SQL, exports and logs.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they read"
)]

use pgadvise::advise::check::workload::{Workload, WorkloadQuery};
use pgadvise::input::workload::{read, read_text};
use pgadvise::source::Sources;

/// Queries as `FILE:LINE | TEXT | CALLS | MS`.
fn shown(workload: &Workload, sources: &Sources) -> Vec<String> {
    workload
        .queries
        .iter()
        .map(|query| {
            let number = |number: Option<f64>| {
                number.map_or_else(|| "-".to_owned(), |number| number.to_string())
            };
            let text: Vec<&str> = query.statement.text.split_whitespace().collect();
            format!(
                "{} | {} | {} | {}",
                sources
                    .place(query.statement.span)
                    .rsplit_once(':')
                    .expect("a column")
                    .0,
                text.join(" "),
                number(query.calls),
                number(query.total_ms)
            )
        })
        .collect()
}

fn queries(name: &str, text: &str) -> Vec<String> {
    let mut sources = Sources::default();
    let workload = read_text(name, text.to_owned(), &mut sources);
    assert_eq!(workload.problems, Vec::new(), "{name}");
    for query in &workload.queries {
        stands_there(query, text, &sources);
    }
    shown(&workload, &sources)
}

/// The file has at the place of each word of a query that word.
fn stands_there(query: &WorkloadQuery, file: &str, sources: &Sources) {
    let span = query.statement.span;
    let whole = sources.get(span.source).expect("a text");
    let text = whole.text().get(span.range()).expect("its part");
    let plain = regex::Regex::new("\u{1b}\\[[0-9]*m").expect("a pattern");
    for (at, word) in text.match_indices(char::is_alphabetic) {
        let place = whole.line_column(span.start + at);
        let line = file.lines().nth(place.line - 1).unwrap_or_default();
        let line = plain.replace_all(line, "");
        let there = line.chars().nth(place.column - 1).map(String::from);
        // What an export writes otherwise is not where it stood.
        if text.contains("CAST(") && at >= text.find("CAST(").expect("there") {
            break;
        }
        assert_eq!(
            there.as_deref(),
            Some(word),
            "{place:?} {at} of {text} in {line}"
        );
    }
}

#[test]
fn sql_files_give_their_queries_with_places_and_equal_ones_once() {
    let mut sources = Sources::default();
    let text = "-- the list\nSELECT id FROM orders\n WHERE customer_id = 7;\n\nBEGIN;\n\
                select id from orders where customer_id = 8;\nUPDATE orders SET a = :a;\n\
                EXPLAIN SELECT 1 FROM pgadvise_x;\nSELECT relname FROM pg_class;\n";
    let workload = read_text("queries/a.sql", text.to_owned(), &mut sources);
    assert_eq!(
        shown(&workload, &sources),
        [
            "queries/a.sql:2 | SELECT id FROM orders WHERE customer_id = 7 | - | -",
            "queries/a.sql:7 | UPDATE orders SET a = :a | - | -",
        ]
    );
    assert_eq!(workload.repeated, 1);
    assert_eq!(workload.utility + workload.own, 3);
    assert!(workload.own >= 1);
}

#[test]
fn pg_stat_statements_are_read_by_the_names_of_columns_of_every_version() {
    let new = "userid,dbid,queryid,query,calls,total_exec_time,mean_exec_time\n\
               10,5,-77,\"SELECT *\nFROM orders WHERE id = $1\",120,60.5,0.5\n\
               10,5,78,COMMIT,500,1,0.1\n\
               11,5,-77,\"SELECT *\nFROM orders WHERE id = $1\",30,9.5,0.3\n\
               11,5,79,\"SELECT name FROM people WHERE born > interval $1 + date $2\",1,1,1\n";
    assert_eq!(
        queries("top.csv", new),
        [
            "top.csv:2 | SELECT * FROM orders WHERE id = $1 | 150 | 70",
            "top.csv:7 | SELECT name FROM people WHERE born > CAST($1 AS interval) + CAST($2 AS \
             date) | 1 | 1",
        ]
    );
    let old = "query;calls;total_time\nSELECT 1 FROM t;7;21\n";
    assert_eq!(
        queries("old.csv", old),
        ["old.csv:2 | SELECT 1 FROM t | 7 | 21"]
    );
    let mean =
        "\"queryid\"\t\"query\"\t\"calls\"\t\"mean_exec_time\"\n1\t\"SELECT a FROM t\"\t4\t2.5\n";
    assert_eq!(
        queries("mean.tsv", mean),
        ["mean.tsv:2 | SELECT a FROM t | 4 | 10"]
    );
}

#[test]
fn pg_stat_statements_are_read_as_json_in_three_forms() {
    let wanted = ["q.json:2 | SELECT a FROM t WHERE b = $1 | 12 | 6"];
    let array = "[\n {\"query\": \"SELECT a FROM t WHERE b = $1\", \"calls\": 12, \
                 \"total_exec_time\": 6.0}\n]";
    assert_eq!(queries("q.json", array), wanted);
    let within = "{\"rows\": [\n {\"query\": \"SELECT a FROM t WHERE b = $1\", \"calls\": \"12\", \
                  \"mean_exec_time\": 0.5}]}";
    assert_eq!(queries("q.json", within), wanted);
    let lines =
        "\n{\"query\": \"SELECT a FROM t WHERE b = $1\", \"calls\": 12, \"total_time\": 6}\n";
    assert_eq!(queries("q.json", lines), wanted);
}

#[test]
fn hidden_queries_and_files_without_one_are_told() {
    let mut sources = Sources::default();
    let text = "query,calls\n<insufficient privilege>,3\nSELECT 1 FROM t,1\n";
    let workload = read_text("top.csv", text.to_owned(), &mut sources);
    assert_eq!(workload.queries.len(), 1);
    assert!(workload.problems[0].message.contains("pg_read_all_stats"));
    let workload = read_text("app.log", "started\nstopped\n".to_owned(), &mut sources);
    assert!(workload.problems[0].message.contains("holds no query"));
}

#[test]
fn statements_in_the_servers_logs_are_read() {
    let log = "\
2026-01-01 10:00:00.000 UTC [7] app@shop LOG:  statement: SELECT a FROM t
\tWHERE b = 1;
2026-01-01 10:00:00.100 UTC [7] app@shop LOG:  duration: 2.5 ms
2026-01-01 10:00:00.200 UTC [7] LOG:  duration: 1.000 ms  parse <unnamed>: SELECT c FROM t WHERE b = $1
2026-01-01 10:00:00.300 UTC [7] LOG:  duration: 2.000 ms  bind <unnamed>: SELECT c FROM t WHERE b = $1
2026-01-01 10:00:00.300 UTC [7] LOG:  duration: 4.000 ms  execute <unnamed>: SELECT c FROM t WHERE b = $1
2026-01-01 10:00:00.300 UTC [7] DETAIL:  parameters: $1 = '7'
2026-01-01 10:00:01.000 UTC [7] LOG:  duration: 9.000 ms  plan:
\tQuery Text: SELECT d FROM t
\tORDER BY d
\tSort  (cost=1.0..2.0 rows=1 width=4)
2026-01-01 10:00:02.000 UTC [7] ERROR:  relation \"x\" does not exist
2026-01-01 10:00:02.000 UTC [7] LOG:  execute s1/p1: SELECT c FROM t WHERE b = $1
";
    assert_eq!(
        queries("postgresql.log", log),
        [
            "postgresql.log:1 | SELECT a FROM t WHERE b = 1 | 1 | -",
            "postgresql.log:6 | SELECT c FROM t WHERE b = $1 | 2 | 4",
            "postgresql.log:9 | SELECT d FROM t ORDER BY d | 1 | 9",
        ]
    );
    let fields = ",\"\"".repeat(9);
    let csvlog = format!(
        "2026-01-01 10:00:00.000 UTC,\"app\",\"shop\",7,\"[local]\",65.1,1,\"SELECT\",\
         2026-01-01 09:00:00 UTC,3/4,0,LOG,00000,\"duration: 3.5 ms  statement: SELECT \"\"a\"\"\nFROM t\"{fields}\n"
    );
    assert_eq!(
        queries("postgresql.csv", &csvlog),
        ["postgresql.csv:1 | SELECT \"a\" FROM t | 1 | 3.5"]
    );
    let jsonlog = "{\"timestamp\":\"2026-01-01 10:00:00.000 UTC\",\"error_severity\":\"LOG\",\
                   \"message\":\"duration: 3.5 ms  statement: SELECT a FROM t\"}\n";
    assert_eq!(
        queries("postgresql.log", jsonlog),
        ["postgresql.log:1 | SELECT a FROM t | 1 | 3.5"]
    );
}

#[test]
fn statements_in_the_logs_of_libraries_are_read() {
    for (name, log, wanted) in [
        (
            "rails",
            "D, [2026] DEBUG -- :   \u{1b}[1m\u{1b}[36mUser Load (0.5ms)\u{1b}[0m  \u{1b}[1m\u{1b}[34mSELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 LIMIT $2\u{1b}[0m  [[\"id\", 1], [\"LIMIT\", 1]]\n\
             \u{20} ↳ app/models/user.rs:3\n\
             \u{20} CACHE User Load (0.0ms)  SELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 LIMIT $2  [[\"id\", 1], [\"LIMIT\", 1]]\n\
             \u{20} TRANSACTION (0.1ms)  BEGIN\n\
             \u{20} Rendered users/index.html.erb (Duration: 1.0ms | GC: 0.0ms)\n",
            vec![
                "1 | SELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 LIMIT $2 | 1 | 0.5",
            ],
        ),
        (
            "sqlalchemy",
            "2026-01-01 10:00:00,000 INFO sqlalchemy.engine.Engine BEGIN (implicit)\n\
             2026-01-01 10:00:00,001 INFO sqlalchemy.engine.Engine SELECT users.id, users.name \n\
             FROM users \n\
             WHERE users.id = %(id_1)s\n\
             2026-01-01 10:00:00,002 INFO sqlalchemy.engine.Engine [generated in 0.00012s] {'id_1': 1}\n\
             2026-01-01 10:00:00,003 INFO sqlalchemy.engine.Engine ROLLBACK\n",
            vec!["2 | SELECT users.id, users.name FROM users WHERE users.id = %(id_1)s | 1 | -"],
        ),
        (
            "hibernate",
            "Hibernate: select u1_0.id from users u1_0 where u1_0.id=?\n\
             Hibernate: \n    select\n        o1_0.id \n    from\n        orders o1_0\n\
             10:00 DEBUG o.h.SQL - done\n\
             2026-01-01 DEBUG [main] org.hibernate.SQL : update users set name=? where id=?\n",
            vec![
                "1 | select u1_0.id from users u1_0 where u1_0.id=? | 1 | -",
                "3 | select o1_0.id from orders o1_0 | 1 | -",
                "8 | update users set name=? where id=? | 1 | -",
            ],
        ),
        (
            "django",
            "DEBUG django.db.backends (0.002) SELECT \"a\".\"id\" FROM \"a\" WHERE \"a\".\"id\" = 1 LIMIT 21; args=(1,); alias=default\n\
             (0.001) SELECT \"a\".\"id\" FROM \"a\" WHERE \"a\".\"id\" = 2 LIMIT 21; args=(2,)\n",
            vec!["1 | SELECT \"a\".\"id\" FROM \"a\" WHERE \"a\".\"id\" = 1 LIMIT 21 | 2 | 3"],
        ),
        (
            "prisma",
            "prisma:query SELECT \"public\".\"User\".\"id\" FROM \"public\".\"User\" WHERE 1=1 OFFSET $1 /* traceparent=00 */\n",
            vec![
                "1 | SELECT \"public\".\"User\".\"id\" FROM \"public\".\"User\" WHERE 1=1 OFFSET $1 | 1 | -",
            ],
        ),
        (
            "sequelize",
            "Executing (default): SELECT \"id\" FROM \"Users\" AS \"User\" WHERE \"User\".\"id\" = 1;\n\
             Executed (8f1d): DELETE FROM \"Users\" WHERE \"id\" = 2; Elapsed time: 3ms\n",
            vec![
                "1 | SELECT \"id\" FROM \"Users\" AS \"User\" WHERE \"User\".\"id\" = 1 | 1 | -",
                "2 | DELETE FROM \"Users\" WHERE \"id\" = 2 | 1 | -",
            ],
        ),
        (
            "knex",
            "  knex:query select * from \"users\" where \"id\" = ? undefined +5ms\n\
             {\n  method: 'select',\n  bindings: [ 1 ],\n  sql: 'select \"a\" from \"users\" where \"name\" = \\'x\\'',\n}\n",
            vec![
                "1 | select * from \"users\" where \"id\" = ? | 1 | -",
                "5 | select \"a\" from \"users\" where \"name\" = 'x' | 1 | -",
            ],
        ),
        (
            "others",
            "Query: select \"id\" from \"users\" where \"id\" = $1 -- params: [1]\n\
             query: SELECT \"id\" FROM \"posts\" -- PARAMETERS: [2]\n\
             [1.5ms] [rows:1] SELECT * FROM \"teams\" WHERE id = 1\n\
             [debug] QUERY OK source=\"tags\" db=0.5ms\n\
             SELECT t0.\"id\" FROM \"tags\" AS t0 WHERE (t0.\"id\" = $1) [1]\n",
            vec![
                "1 | select \"id\" from \"users\" where \"id\" = $1 | 1 | -",
                "2 | SELECT \"id\" FROM \"posts\" | 1 | -",
                "3 | SELECT * FROM \"teams\" WHERE id = 1 | 1 | -",
                "5 | SELECT t0.\"id\" FROM \"tags\" AS t0 WHERE (t0.\"id\" = $1) | 1 | -",
            ],
        ),
        (
            "slog",
            "time=2024-05-01T10:00:00Z level=INFO msg=Query sql=\"SELECT id FROM a\\nWHERE b = $1\" args=[1] time=1.2ms\n\
             time=2024-05-01T10:00:00Z level=INFO msg=Prepare alreadyPrepared=true\n",
            vec!["1 | SELECT id FROM a WHERE b = $1 | 1 | -"],
        ),
        (
            "sqlx",
            "2026 DEBUG sqlx::query: summary=\"SELECT id, c FROM …\" db.statement=\"\\n\\nSELECT\\n  id,\\n  c\\nFROM\\n  o\\n\" rows_affected=1 elapsed=1.2ms\n\
             2026 DEBUG sqlx::query: summary=\"SELECT d FROM o\" db.statement=\"\" rows_affected=1 elapsed=1.2ms\n\
             [2022 DEBUG sqlx::query] SELECT e FROM o; rows affected: 1, rows returned: 1, elapsed: 1.2ms\n",
            vec![
                "1 | SELECT id, c FROM o | 1 | -",
                "2 | SELECT d FROM o | 1 | -",
                "3 | SELECT e FROM o | 1 | -",
            ],
        ),
        (
            "psql",
            "********* QUERY **********\nSELECT id\n\nFROM a;\n**************************\n\n id \n----\n(0 rows)\n\
             /******** QUERY *********/\nSELECT c FROM a;\n/************************/\n",
            vec![
                "2 | SELECT id FROM a | 1 | -",
                "11 | SELECT c FROM a | 1 | -",
            ],
        ),
    ] {
        let file = format!("{name}.log");
        let wanted: Vec<String> = wanted
            .into_iter()
            .map(|line| format!("{file}:{line}"))
            .collect();
        assert_eq!(queries(&file, log), wanted, "{name}");
    }
}

#[test]
fn folders_are_read_at_any_depth_and_bad_files_never_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("b/deep")).unwrap();
    std::fs::write(at("a.sql"), "SELECT 1 FROM a;").unwrap();
    std::fs::write(at("b/deep/c.sql"), "SELECT 1 FROM c;").unwrap();
    std::fs::write(at("b/empty.sql"), " \n").unwrap();
    std::fs::write(at("b/bad.sql"), b"SELECT \xff\x00\xfe;\x00\x01").unwrap();
    std::fs::write(at("b/picture.png"), b"\x89PNG").unwrap();
    std::os::unix::fs::symlink(folder.path(), at("b/round")).unwrap();
    let mut sources = Sources::default();
    let workload = read(&[folder.path().to_owned(), at("missing.sql")], &mut sources);
    let texts: Vec<&str> = workload
        .queries
        .iter()
        .map(|query| query.statement.text.as_str())
        .collect();
    assert_eq!(texts, ["SELECT 1 FROM a", "SELECT 1 FROM c"]);
    let told: Vec<bool> = workload
        .problems
        .iter()
        .map(|problem| {
            problem.message.contains("bad.sql") || problem.message.contains("missing.sql")
        })
        .collect();
    assert_eq!(told, [true, true], "{:?}", workload.problems);
}

/// The values of the calls of each query, as `$1, $2`.
fn values(name: &str, text: &str) -> Vec<Vec<String>> {
    let mut sources = Sources::default();
    let workload = read_text(name, text.to_owned(), &mut sources);
    assert_eq!(workload.problems, Vec::new(), "{name}");
    let one = |sample: &Vec<Option<String>>| {
        let values: Vec<&str> = sample
            .iter()
            .map(|value| value.as_deref().unwrap_or("NULL"))
            .collect();
        values.join(", ")
    };
    workload
        .queries
        .iter()
        .map(|query| {
            assert!(query.logged, "{name}");
            query.samples.iter().map(one).collect()
        })
        .collect()
}

#[test]
fn values_beside_the_statements_of_logs_are_read() {
    let fields = ",\"\"".repeat(8);
    let csvlog = format!(
        "2026-01-01 10:00:00.000 UTC,\"app\",\"shop\",7,\"[local]\",65.1,1,\"SELECT\",\
         2026-01-01 09:00:00 UTC,3/4,0,LOG,00000,\"execute <unnamed>: SELECT \"\"a\"\" FROM t \
         WHERE b = $1\",\"Parameters: $1 = 'it''s'\"{fields}\n"
    );
    for (name, log, wanted) in [
        (
            "postgresql.log",
            "2026 [7] LOG:  execute <unnamed>: SELECT c FROM t WHERE b = $1 AND c = $2\n\
             2026 [7] DETAIL:  parameters: $1 = '7', $2 = NULL\n\
             2026 [7] LOG:  execute s1/p1: SELECT c FROM t WHERE b = $1 AND c = $2\n\
             2026 [7] DETAIL:  Parameters: $1 = '8', $2 = 'x'\n\
             2026 [7] LOG:  execute s1/p1: SELECT c FROM t WHERE b = $1 AND c = $2\n\
             2026 [7] DETAIL:  Parameters: $1 = '8', $2 = 'x'\n\
             2026 [7] LOG:  duration: 9.000 ms  plan:\n\
             \tQuery Text: SELECT d FROM t WHERE e = $1\n\
             \tQuery Parameters: $1 = '9'\n\
             \tSeq Scan on t  (cost=1.0..2.0 rows=1 width=4)\n",
            vec![vec!["7, NULL", "8, x"], vec!["9"]],
        ),
        ("postgresql.csv", csvlog.as_str(), vec![vec!["it's"]]),
        (
            "postgresql.json",
            "{\"error_severity\":\"LOG\",\"message\":\"execute s: SELECT a FROM t WHERE b = $1\",\
             \"detail\":\"Parameters: $1 = '5'\"}\n\
             {\"error_severity\":\"ERROR\",\"message\":\"no\",\"statement\":\"SELECT 1 FROM x\"}\n",
            vec![vec!["5"]],
        ),
        (
            "rails.log",
            "  User Load (0.5ms)  SELECT \"users\".* FROM \"users\" WHERE \"users\".\"id\" = $1 LIMIT $2  \
             [[\"id\", 1], [\"LIMIT\", 1]]\n\
             \u{20} User Load (0.5ms)  SELECT \"users\".* FROM \"users\" WHERE \"users\".\"token\" = $1  \
             [[\"token\", \"[FILTERED]\"]]\n",
            vec![vec!["1, 1"], vec![]],
        ),
        (
            "sqlalchemy.log",
            "2026-01-01 10:00:00,001 INFO sqlalchemy.engine.Engine SELECT a FROM t \n\
             WHERE b = %(b_1)s AND ids = %(ids)s::INTEGER\n\
             2026-01-01 10:00:00,002 INFO sqlalchemy.engine.Engine [cached since 5s ago] \
             {'ids': None, 'b_1': 1}\n\
             2026-01-01 10:00:00,001 INFO sqlalchemy.engine.Engine SELECT c FROM t WHERE d = $1\n\
             2026-01-01 10:00:00,002 INFO sqlalchemy.engine.Engine [generated in 0.00012s] ('x',)\n",
            vec![vec!["1, NULL"], vec!["x"]],
        ),
        (
            "hibernate.log",
            "2026 DEBUG org.hibernate.SQL : select a from t where b=? and c=?\n\
             2026 TRACE org.hibernate.orm.jdbc.bind : binding parameter (1:BIGINT) <- [42]\n\
             2026 TRACE org.hibernate.orm.jdbc.bind : binding parameter (2:VARCHAR) <- [null]\n\
             2026 DEBUG org.hibernate.SQL : select d from t where e=?\n\
             2026 TRACE o.h.type.descriptor.sql.BasicBinder : binding parameter [1] as [BIGINT] - [7]\n",
            vec![vec!["42, NULL"], vec!["7"]],
        ),
        (
            "javascript.log",
            "query: SELECT \"id\" FROM \"posts\" WHERE a = $1 -- PARAMETERS: [2]\n\
             Query: select \"id\" from \"users\" where \"id\" = $1 -- params: [\"x\"]\n\
             Query: SELECT 1 FROM \"tags\" WHERE id = $1\nParams: [[1,2]]\nDuration: 3ms\n\
             \u{20} knex:query select * from \"users\" where \"id\" = ? undefined +5ms\n\
             \u{20} knex:bindings [ 1 ] undefined +0ms\n",
            vec![vec!["2"], vec!["x"], vec!["{\"1\",\"2\"}"], vec!["1"]],
        ),
        (
            "ecto.log",
            "[debug] QUERY OK source=\"tags\" db=0.5ms\n\
             SELECT t0.\"id\" FROM \"tags\" AS t0 WHERE (t0.\"id\" = $1) [1]\n",
            vec![vec!["1"]],
        ),
        (
            "pgx.json",
            "{\"level\":\"info\",\"msg\":\"Query\",\"sql\":\"SELECT a FROM t WHERE b = $1\",\"args\":[42]}\n",
            vec![vec!["42"]],
        ),
    ] {
        assert_eq!(values(name, log), wanted, "{name}");
    }
}

#[test]
fn queries_within_other_statements_are_read_with_their_names() {
    let text = "\
-- name: GetOrder :one
SELECT a FROM t WHERE id = sqlc.arg(id) AND b = sqlc.narg('other');
PREPARE q (int) AS SELECT b FROM t WHERE id = $1;
COPY (SELECT c FROM t) TO STDOUT;
COPY t FROM stdin;
1\tSELECT
\\.
DECLARE cur CURSOR FOR SELECT d FROM t;
CREATE TEMP TABLE r AS SELECT e FROM t;
EXPLAIN (ANALYZE, BUFFERS) SELECT f FROM t;
/* @name FindByIds */
SELECT g FROM t WHERE id IN :ids;
BEGIN;
CALL p();
";
    let mut sources = Sources::default();
    let workload = read_text("q.sql", text.to_owned(), &mut sources);
    assert_eq!(workload.problems, Vec::new());
    let told: Vec<String> = workload
        .queries
        .iter()
        .map(|query| {
            format!(
                "{} {} {}",
                sources.place(query.statement.span),
                query.name.as_deref().unwrap_or("-"),
                query.statement.server_text
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "q.sql:2:1 GetOrder SELECT a FROM t WHERE id = $1 AND b = $2",
            "q.sql:3:20 - SELECT b FROM t WHERE id = $1",
            "q.sql:4:7 - SELECT c FROM t",
            "q.sql:8:24 - SELECT d FROM t",
            "q.sql:9:24 - SELECT e FROM t",
            "q.sql:10:28 - SELECT f FROM t",
            "q.sql:12:1 FindByIds SELECT g FROM t WHERE id IN ($1)",
        ]
    );
    assert_eq!(workload.utility, 3);
}

#[test]
fn what_is_no_statement_is_told_and_not_counted_as_one() {
    let mut sources = Sources::default();
    let text = "SELEC a FROM t;\nSELECT b FROM t;\nSET a = 1;\n";
    let workload = read_text("q.sql", text.to_owned(), &mut sources);
    assert_eq!((workload.queries.len(), workload.utility), (1, 1));
    let problem = &workload.problems[0];
    assert_eq!(sources.place(problem.at.expect("a place")), "q.sql:1:1");
    assert!(problem.message.contains("left out"), "{}", problem.message);
}
