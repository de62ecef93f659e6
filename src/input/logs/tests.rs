//! Logs in every wrapping give the same answer, in pieces of any size.
#![expect(clippy::string_slice, reason = "a test may panic")]

use super::*;

/// The records of a small log: (milliseconds, user, body).
fn records() -> Vec<(f64, &'static str, String)> {
    let text = |query: &str, plan: &str| format!("Query Text: {query}\n{plan}");
    let seq = "Seq Scan on t  (cost=0.00..1.00 rows=1 width=4) (actual time=0.1..0.2 rows=1 loops=1)\n  Filter: (a = 1)";
    let index =
        "Index Scan using t_pkey on t  (cost=0.00..1.00 rows=1 width=4)\n  Index Cond: (a = 1)";
    vec![
        (1.5, "app", text("select * from t where a = 1", seq)),
        (2.5, "app", text("SELECT *\n\tFROM t -- it's\nWHERE a = 22;", index)),
        (100.25, "etl", text("select 'LOG:  duration: 7.000 ms  plan:\nSeq Scan on x  (cost=0.00..1.00 rows=1 width=4)', \"q\"\"x\" from \"é\"", seq)),
        (0.5, "app", text("select * from t where a = $1", &format!("Query Parameters: $1 = 'a\nb'\n{seq}"))),
        (3.0, "etl", "{\n  \"Query Text\": \"select \\\"a\\\"\\nfrom t\",\n  \"Plan\": {\n    \"Node Type\": \"Seq Scan\",\n    \"Relation Name\": \"t\",\n    \"Startup Cost\": 0.00,\n    \"Total Cost\": 1.00\n  }\n}".to_owned()),
    ]
}

fn time(at: usize) -> String {
    format!("2026-11-21 18:24:{at:02}.406 UTC")
}

fn stderr() -> String {
    let mut log = String::new();
    for (at, (ms, user, body)) in records().iter().enumerate() {
        let time = time(at);
        log += &format!(
            "{time} [7] {user}@shop LOG:  duration: {ms:.3} ms  plan:\n\t{}\n",
            body.replace('\n', "\n\t")
        );
        log += &format!("{time} [7] {user}@shop CONTEXT:  PL/pgSQL function f() line 1\n\tmore\n");
        log += &format!("{time} [8] {user}@shop LOG:  duration: 1.000 ms  statement: select 1\n");
    }
    log
}

fn csvlog() -> String {
    let mut log = String::new();
    let row = |time: &str, user: &str, message: &str| {
        format!(
            "{time},\"{user}\",\"shop\",7,\"[local]\",6b01.1,1,\"SELECT\",{time},0/3,0,LOG,00000,\"{}\",,,,,,,,,\"psql\",\"client backend\",,0\n",
            message.replace('"', "\"\"")
        )
    };
    for (at, (ms, user, body)) in records().iter().enumerate() {
        log += &row(
            &time(at),
            user,
            &format!("duration: {ms:.3} ms  plan:\n{body}"),
        );
        log += &row(
            &time(at),
            user,
            "duration: 1.000 ms  statement: select \"a\"\n2026-11-21 18:24:18.406 UTC,\"not a row\"",
        );
    }
    log
}

fn jsonlog() -> String {
    let mut log = String::new();
    let line = |time: &str, user: &str, message: &str| {
        format!(
            "{{\"timestamp\":\"{time}\",\"user\":\"{user}\",\"dbname\":\"shop\",\"pid\":7,\"error_severity\":\"LOG\",\"message\":{},\"application_name\":\"psql\",\"query_id\":0}}\n",
            serde_json::Value::from(message)
        )
    };
    for (at, (ms, user, body)) in records().iter().enumerate() {
        log += &line(
            &time(at),
            user,
            &format!("duration: {ms:.3} ms  plan:\n{body}"),
        );
        log += &line(&time(at), user, "duration: 1.000 ms  statement: select 1");
    }
    log
}

fn gather_with(logs: &[&[u8]], change: impl Fn(&mut LogOptions)) -> Gathered {
    let inputs = logs
        .iter()
        .enumerate()
        .map(|(at, log)| LogInput {
            name: format!("log{at}"),
            reader: unpacked(std::io::Cursor::new(log.to_vec())).expect("a reader"),
        })
        .collect();
    let mut options = LogOptions::new(20);
    change(&mut options);
    read(inputs, &options)
}

fn gather(log: &str) -> Gathered {
    gather_with(&[log.as_bytes()], |_| ())
}

/// Queries with calls, time and shapes.
fn seen(gathered: &Gathered) -> Vec<(&str, u64, f64, usize)> {
    gathered
        .groups
        .iter()
        .map(|group| {
            (
                group.query.as_str(),
                group.calls,
                group.total_ms,
                group.shapes.len(),
            )
        })
        .collect()
}

#[test]
fn every_kind_of_log_gives_the_same_groups() {
    for log in [
        stderr(),
        csvlog(),
        jsonlog(),
        stderr().replace('\n', "\r\n"),
        csvlog().replace('\n', "\r\n"),
    ] {
        let gathered = gather(&log);
        assert_eq!(
            seen(&gathered),
            [
                ("select ?, \"q\"\"x\" from \"é\"", 1, 100.25, 1),
                ("select * from t where a = ?", 3, 4.5, 2),
                ("select \"a\" from t", 1, 3.0, 1),
            ],
            "{log}"
        );
        let totals = &gathered.totals;
        assert_eq!((totals.records, totals.durations), (5, 5), "{log}");
        assert_eq!(
            (totals.damaged, totals.cut_off, totals.oversized),
            (0, 0, 0),
            "{log}"
        );
        assert_eq!(totals.bytes, log.len() as u64);
        assert_eq!(totals.first.as_deref(), Some("2026-11-21 18:24:00.406 UTC"));
        assert_eq!(totals.last.as_deref(), Some("2026-11-21 18:24:04.406 UTC"));
        let group = &gathered.groups[1];
        assert_eq!((group.min_ms, group.max_ms), (0.5, 2.5));
        assert_eq!(group.databases[0].name, "shop");
        assert_eq!(group.users[0].name, "app");
        let index = &group.shapes[0];
        assert_eq!((index.calls, index.max_ms), (1, 2.5));
        let record = index.record.as_ref().expect("a record");
        assert!(
            record.plan.starts_with("Index Scan using t_pkey"),
            "{record:?}"
        );
        assert_eq!(
            record.sql.as_deref(),
            Some("SELECT *\n\tFROM t -- it's\nWHERE a = 22;")
        );
        let line = log.lines().nth(record.line as usize - 1).expect("a line");
        assert!(line.contains("duration: 2.500 ms  plan:"), "{line}");
    }
}

#[test]
fn parameters_and_documents_are_taken_apart() {
    let only: Vec<_> = records().into_iter().skip(3).collect();
    let (_, _, body) = &only[0];
    let log = format!(
        "LOG:  duration: 9.000 ms  plan:\n\t{}\n",
        body.replace('\n', "\n\t")
    );
    let gathered = gather(&log);
    let record = gathered.groups[0].shapes[0]
        .record
        .as_ref()
        .expect("a record");
    assert_eq!(record.parameters.as_deref(), Some("$1 = 'a\nb'"));
    assert!(record.plan.starts_with("Seq Scan on t"), "{record:?}");
    let gathered = gather(&stderr());
    let record = gathered.groups[2].shapes[0]
        .record
        .as_ref()
        .expect("a record");
    let plan: serde_json::Value = serde_json::from_str(&record.plan).expect("a document");
    assert_eq!(plan["Query Text"], "select \"a\"\nfrom t");
}

/// Neither the size of the pieces nor the number of threads shows.
#[test]
fn pieces_and_threads_do_not_show() {
    let whole = [stderr(), csvlog(), jsonlog()];
    let logs: Vec<String> = whole.iter().map(|log| log.repeat(20)).collect();
    let logs: Vec<&[u8]> = logs.iter().map(String::as_bytes).collect();
    let expected = gather_with(&logs, |options| options.threads = 1);
    assert_eq!(expected.totals.records, 300);
    assert_eq!(expected.totals.damaged, 0);
    for (piece, threads) in [(1000, 1), (1500, 3), (4096, 2), (100_000, 8)] {
        let found = gather_with(&logs, |options| {
            options.piece = piece;
            options.threads = threads;
        });
        assert_eq!(found.groups, expected.groups, "{piece} {threads}");
        assert_eq!(found.totals, expected.totals, "{piece} {threads}");
    }
}

#[test]
fn packed_logs_are_unpacked_as_they_are_read() {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(stderr().as_bytes()).expect("packed");
    let mut bytes = packed.finish().expect("packed");
    let expected = gather(&stderr());
    assert_eq!(gather_with(&[&bytes], |_| ()).groups, expected.groups);
    // Cut off: what is there counts.
    bytes.truncate(bytes.len() - 20);
    let cut = gather_with(&[&bytes], |_| ());
    assert!(cut.files[0].failed.is_some());
    assert!(cut.totals.records > 0);
}

#[test]
fn damaged_logs_give_what_is_there() {
    let good = stderr();
    let expected = gather(&good);
    // A rotated log begins within a record, and ends within another.
    let tail = good.find("\n\tQuery Text").expect("a query") + 1;
    let rotated = format!(
        "{}{}",
        &good[tail..],
        "2026-11-21 18:25:00 UTC [7] LOG:  duration: 5.000 ms  plan:\n\tQuery Text: select 1 from"
    );
    let found = gather(&rotated);
    assert_eq!(found.totals.records, expected.totals.records);
    assert_eq!((found.totals.damaged, found.totals.cut_off), (1, 1));

    let csv = csvlog();
    let tail = csv.find("Query Text").expect("a query");
    let found = gather(&csv[tail..]);
    assert_eq!(found.totals.records, 4);
    assert_eq!(found.totals.damaged, 1);
    // A row whose quotes do not fit, as a crash leaves it.
    let broken = format!(
        "2026-11-21 18:24:00.406 UTC,\"app\",\"shop\",7,,6b01.1,1,\"SELECT\",x,,0,LOG,00000,\"duration: 1.000 ms  pl\n{csv}"
    );
    let found = gather(&broken);
    assert_eq!(found.totals.records, 5);
    assert_eq!(found.totals.damaged, 1);

    let json = jsonlog();
    let found = gather(&json[10..json.len() - 400]);
    assert!(found.totals.records >= 3, "{:?}", found.totals);

    for bytes in [
        b"\x00\x01\xff\xfe\n\n\t\n\xff".as_slice(),
        b"",
        b"\n",
        b"\t",
        b"{",
        b"{\"message\":\"duration: ",
    ] {
        let found = gather_with(&[bytes], |_| ());
        assert_eq!(found.totals.records, 0);
    }
    // A query that is no UTF-8 is shown as far as it is.
    let latin = b"LOG:  duration: 1.000 ms  plan:\n\tQuery Text: select * from caf\xe9\n\tSeq Scan on x  (cost=0.00..1.00 rows=1 width=4)\n";
    let found = gather_with(&[latin], |_| ());
    assert_eq!(found.groups[0].query, "select * from caf\u{fffd}");
}

/// A record of any size is passed over in bounded memory, and the ones around
/// it are read.
#[test]
fn records_that_are_too_large_are_left_out() {
    let big = format!(
        "2026-11-21 18:25:00 UTC [7] LOG:  duration: 5.000 ms  plan:\n\tQuery Text: select '{}'\n\tmore\n",
        "x\n\t".repeat(50_000)
    );
    let log = format!("{}{big}{}", stderr(), stderr());
    let found = gather_with(&[log.as_bytes()], |options| {
        options.piece = 2000;
        options.max_record = 20_000;
    });
    assert_eq!(found.totals.records, 10);
    assert_eq!(found.totals.oversized, 1);
    assert_eq!(found.totals.bytes, log.len() as u64);
}
