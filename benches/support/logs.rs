//! Logs as a busy server writes them, the same at every run: records of
//! `auto_explain` in any kind of log and format of plan, among other messages.

use std::fmt::Write as _;

/// Kinds of log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// stderr with `%m [%p] %q%u@%d `.
    Stderr,
    /// csvlog.
    Csv,
    /// jsonlog.
    Json,
}

/// Formats of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// `log_format = text`.
    Text,
    /// `log_format = json`.
    Json,
}

/// A small generator of numbers; it needs to be even, not unpredictable.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const TABLES: [&str; 8] = [
    "orders", "customers", "items", "events", "invoices", "stock", "sessions", "audit_log",
];

/// One of 200 queries, with values of its own.
fn query(shape: u64, numbers: &mut Numbers) -> String {
    let table = TABLES[(shape % 8) as usize];
    let other = TABLES[(shape / 8 % 8) as usize];
    let list: Vec<String> = (0..=numbers.below(12))
        .map(|_| numbers.below(100_000).to_string())
        .collect();
    format!(
        "SELECT a.id, a.created_at, b.name, count(*) AS n{shape}\n  FROM {table} AS a\n  JOIN {other} AS b ON b.id = a.{other}_id -- the usual way\n WHERE a.id IN ({})\n   AND b.\"Name\" <> 'it''s {}'\n   AND a.created_at >= '2026-0{}-01'::date\n GROUP BY a.id, a.created_at, b.name\n ORDER BY n{shape} DESC LIMIT {}",
        list.join(", "),
        numbers.below(1000),
        1 + numbers.below(9),
        10 + numbers.below(90),
    )
}

fn text_plan(shape: u64, numbers: &mut Numbers) -> String {
    let (table, other) = (TABLES[(shape % 8) as usize], TABLES[(shape / 8 % 8) as usize]);
    let mut node = |depth: usize, label: &str, more: &str| {
        let indent = if depth == 0 {
            String::new()
        } else {
            format!("{}->  ", " ".repeat(depth * 6 - 4))
        };
        let rows = numbers.below(5000);
        let pad = " ".repeat(if depth == 0 { 2 } else { depth * 6 + 2 });
        let mut text = format!(
            "{indent}{label}  (cost={rows}.43..{}.91 rows={rows} width=36) (actual time=0.{rows:04}..{rows}.128 rows={} loops=1)\n",
            rows * 3,
            rows / 2,
        );
        for line in more.lines() {
            let _ = writeln!(text, "{pad}{line}");
        }
        let _ = writeln!(text, "{pad}Buffers: shared hit={rows} read={}", rows / 7);
        text
    };
    let join = if shape.is_multiple_of(3) { "Hash Join" } else { "Nested Loop" };
    let mut text = node(0, "Limit", "");
    text += &node(1, "Sort", &format!("Sort Key: (count(*)) DESC\nSort Method: top-N heapsort  Memory: {}kB", 25 + shape));
    text += &node(2, "HashAggregate", "Group Key: a.id, a.created_at, b.name\nBatches: 1  Memory Usage: 369kB");
    text += &node(3, join, &format!("Hash Cond: (a.{other}_id = b.id)"));
    text += &node(4, &format!("Bitmap Heap Scan on {table} a"), "Recheck Cond: (id = ANY ('{1,2,3}'::integer[]))\nFilter: (created_at >= '2026-01-01'::date)\nRows Removed by Filter: 17\nHeap Blocks: exact=21");
    text += &node(5, &format!("Bitmap Index Scan on {table}_pkey"), "Index Cond: (id = ANY ('{1,2,3}'::integer[]))");
    text += &node(4, "Hash", "Buckets: 16384  Batches: 1  Memory Usage: 1007kB");
    text += &node(5, &format!("Seq Scan on {other} b"), "Filter: (\"Name\" <> 'it''s 5'::text)");
    text.pop();
    text
}

fn json_plan(shape: u64, numbers: &mut Numbers) -> String {
    let (table, other) = (TABLES[(shape % 8) as usize], TABLES[(shape / 8 % 8) as usize]);
    let chain = [
        ("Limit", String::new()),
        ("Sort", "\"Sort Key\": [\"(count(*)) DESC\"],".to_owned()),
        ("Aggregate", "\"Strategy\": \"Hashed\",\n\"Partial Mode\": \"Simple\",".to_owned()),
        ("Hash Join", "\"Join Type\": \"Inner\",\n\"Inner Unique\": false,".to_owned()),
        ("Seq Scan", format!("\"Relation Name\": \"{table}\",\n\"Alias\": \"a\",")),
        ("Index Scan", format!("\"Scan Direction\": \"Forward\",\n\"Index Name\": \"{other}_pkey\",\n\"Relation Name\": \"{other}\",\n\"Alias\": \"b\",")),
    ];
    let mut text = String::new();
    for (depth, (name, more)) in chain.iter().enumerate() {
        let rows = numbers.below(5000);
        let pad = " ".repeat(4 + depth * 4);
        let _ = writeln!(text, "{}\"Node Type\": \"{name}\",", pad);
        for line in more.lines() {
            let _ = writeln!(text, "{pad}{line}");
        }
        let _ = write!(
            text,
            "{pad}\"Parallel Aware\": false,\n{pad}\"Async Capable\": false,\n{pad}\"Startup Cost\": {rows}.43,\n{pad}\"Total Cost\": {}.91,\n{pad}\"Plan Rows\": {rows},\n{pad}\"Plan Width\": 36,\n{pad}\"Actual Startup Time\": 0.{rows:04},\n{pad}\"Actual Total Time\": {rows}.128,\n{pad}\"Actual Rows\": {rows},\n{pad}\"Actual Loops\": 1,\n",
            rows * 3
        );
        for block in ["Shared Hit", "Shared Read", "Shared Dirtied", "Shared Written", "Local Hit", "Local Read", "Local Dirtied", "Local Written", "Temp Read", "Temp Written"] {
            let comma = if block == "Temp Written" && depth + 1 == chain.len() { "" } else { "," };
            let _ = writeln!(text, "{pad}\"{block} Blocks\": {}{comma}", rows / 3);
        }
        if depth + 1 < chain.len() {
            let _ = write!(text, "{pad}\"Plans\": [\n{pad}  {{\n");
        }
    }
    for depth in (1..chain.len()).rev() {
        let pad = " ".repeat(depth * 4);
        let _ = write!(text, "{pad}  }}\n{pad}]\n");
    }
    text
}

/// A log of at least so many bytes.
pub fn log(kind: Kind, plan: Plan, bytes: usize) -> String {
    let mut numbers = Numbers(0x2545_f491_4f6c_dd1d);
    let mut log = String::with_capacity(bytes + 8192);
    let mut record = 0_u64;
    while log.len() < bytes {
        record += 1;
        let shape = numbers.below(200).min(numbers.below(200));
        let ms = format!("{}.{:03}", numbers.below(1 + shape * 13), numbers.below(1000));
        let sql = query(shape, &mut numbers);
        let body = match plan {
            Plan::Text => format!("Query Text: {sql}\n{}", text_plan(shape, &mut numbers)),
            Plan::Json => format!(
                "{{\n  \"Query Text\": {},\n  \"Plan\": {{\n{}  }}\n}}",
                quoted(&sql),
                json_plan(shape, &mut numbers)
            ),
        };
        message(kind, &mut log, record, &format!("duration: {ms} ms  plan:\n{body}"));
        if record.is_multiple_of(5) {
            message(kind, &mut log, record, "checkpoint starting: time");
        }
    }
    log
}

fn message(kind: Kind, log: &mut String, record: u64, message: &str) {
    let second = record / 20;
    let time = format!(
        "2026-11-{:02} {:02}:{:02}:{:02}.{:03} UTC",
        1 + second / 86400 % 28,
        second / 3600 % 24,
        second / 60 % 60,
        second % 60,
        record % 20 * 50
    );
    let user = ["web", "etl", "report"][(record % 3) as usize];
    let pid = 4000 + record % 90;
    // Writing to a string cannot fail.
    _ = match kind {
        Kind::Stderr => writeln!(
            log,
            "{time} [{pid}] {user}@shop LOG:  {}",
            message.replace('\n', "\n\t")
        ),
        Kind::Csv => writeln!(
            log,
            "{time},\"{user}\",\"shop\",{pid},\"10.0.0.7:5432\",6b01e1de.3660,{record},\"SELECT\",{time},3/77,0,LOG,00000,\"{}\",,,,,,,,,\"shop-{user}\",\"client backend\",,0",
            message.replace('"', "\"\"")
        ),
        Kind::Json => writeln!(
            log,
            "{{\"timestamp\":\"{time}\",\"user\":\"{user}\",\"dbname\":\"shop\",\"pid\":{pid},\"remote_host\":\"10.0.0.7\",\"session_id\":\"6b01e1de.3660\",\"line_num\":{record},\"ps\":\"SELECT\",\"session_start\":\"{time}\",\"vxid\":\"3/77\",\"txid\":0,\"error_severity\":\"LOG\",\"message\":{},\"application_name\":\"shop-{user}\",\"backend_type\":\"client backend\",\"query_id\":0}}",
            quoted(message)
        ),
    };
}

/// As JSON writes a string.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
            .replace('\t', "\\t")
    )
}
