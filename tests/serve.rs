//! The program's own server, asked over a socket as browsers and programs do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

const PLAN: &str = r#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "secret_table",
    "Alias": "secret_table", "Startup Cost": 0.0, "Total Cost": 35811.0, "Plan Rows": 50,
    "Plan Width": 8, "Actual Startup Time": 0.1, "Actual Total Time": 500.0, "Actual Rows": 50,
    "Actual Loops": 1, "Filter": "(a = 1)", "Rows Removed by Filter": 1000000},
    "Planning Time": 0.1, "Execution Time": 500.1}]"#;

/// A running server, ended when dropped.
struct Serving {
    child: Child,
    address: String,
    logs: BufReader<std::process::ChildStderr>,
}

impl Serving {
    fn start(arguments: &[&str], token: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgadvise"));
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .env_remove("PGADVISE_SERVE_TOKEN")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(token) = token {
            command.env("PGADVISE_SERVE_TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        let mut logs = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        logs.read_line(&mut line).unwrap();
        let address = line
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .0
            .to_owned();
        Self {
            child,
            address,
            logs,
        }
    }

    fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        // A server that refuses a large body may close before it has read it.
        let _sent = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _read = stream.read_to_end(&mut bytes);
        Answer(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn get(&self, path: &str, headers: &str) -> Answer {
        let host = &self.address;
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n"
        ))
    }

    fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        let host = &self.address;
        let length = body.len();
        self.send(&format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    /// Ends it as a service manager does, and gives its logs.
    fn end(mut self) -> String {
        let told = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(told.success());
        assert!(self.child.wait().unwrap().success(), "it ends with 0");
        let mut logs = String::new();
        self.logs.read_to_string(&mut logs).unwrap();
        logs
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

struct Answer(String);

impl Answer {
    fn status(&self) -> u16 {
        self.0
            .split_whitespace()
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status in {:?}", self.0))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.0.split_once("\r\n\r\n")?;
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

fn form(plan: &str) -> String {
    let mut body = String::from("plan=");
    for byte in plan.bytes() {
        body.push_str(&format!("%{byte:02X}"));
    }
    body
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

#[test]
fn what_could_not_be_read_stays_in_the_form_as_it_was() {
    let server = Serving::start(&[], None);
    let pasted = format!(
        "\n\tno plan\u{200b} </textarea> & \"q\"\n{}",
        "x".repeat(9_000)
    );
    let sent = server.post("/", FORM, &form(&pasted));
    assert_eq!(sent.status(), 422, "{}", sent.0);
    let shown = format!(
        ">\n\n\tno plan\u{200b} &lt;/textarea&gt; &amp; \"q\"\n{}</textarea>",
        "x".repeat(9_000)
    );
    assert!(sent.body().contains(&shown), "{}", sent.body());
}

#[test]
fn a_pasted_plan_comes_back_as_a_report_under_a_link_of_its_own() {
    let server = Serving::start(&[], None);
    let page = server.get("/", "");
    assert_eq!(page.status(), 200);
    assert!(page.body().contains("<textarea"), "{}", page.body());
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));

    let sent = server.post("/", FORM, &form(PLAN));
    assert_eq!(sent.status(), 303, "{}", sent.0);
    let link = sent.header("location").unwrap().to_owned();
    assert_eq!(link.len(), "/r/".len() + 32, "{link}");
    let report = server.get(&link, "");
    assert_eq!(report.status(), 200);
    assert_eq!(
        report.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(report.body().contains("secret_table"));
    let again = server.post("/", FORM, &form(PLAN));
    assert_ne!(again.header("location"), Some(link.as_str()));
    let json = server.get(&format!("{link}?format=json"), "");
    let json: serde_json::Value = serde_json::from_str(json.body()).unwrap();
    assert_eq!(
        json.pointer("/statements/0/plan/nodes/0/label").unwrap(),
        "Seq Scan on secret_table"
    );
    assert_eq!(
        server
            .get("/r/00000000000000000000000000000000", "")
            .status(),
        404
    );
}

#[test]
fn programs_send_the_plan_as_the_body() {
    let server = Serving::start(&[], None);
    let answer = server.post("/api/report?format=markdown", "", PLAN);
    assert_eq!(answer.status(), 201, "{}", answer.0);
    assert_eq!(
        answer.header("content-type"),
        Some("text/markdown; charset=utf-8")
    );
    let link = answer.header("location").unwrap().to_owned();
    assert_eq!(server.get(&link, "").status(), 200);
    for (body, status) in [("", 422), ("SELECT 1", 422), ("\u{0}\u{1}", 422)] {
        let answer = server.post("/api/report", "", body);
        assert_eq!(answer.status(), status, "{body:?}: {}", answer.0);
    }
}

#[test]
fn other_sites_and_other_names_are_refused() {
    let server = Serving::start(&[], None);
    let elsewhere = server.post("/", "Origin: http://evil.example\r\n", "plan=1");
    assert_eq!(elsewhere.status(), 403);
    let renamed = server.send("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(renamed.status(), 421);
    assert!(!renamed.body().contains("<textarea"));
}

#[test]
fn too_much_is_refused_and_the_server_goes_on() {
    let server = Serving::start(&["--max-body", "1"], None);
    let large = "x".repeat(2 << 20);
    assert_eq!(server.post("/api/report", "", &large).status(), 413);
    assert_eq!(
        server.post("/", FORM, &format!("plan={large}")).status(),
        413
    );
    assert_eq!(server.get("/healthz", "").status(), 200);
}

#[test]
fn with_a_token_nothing_is_shown_without_it() {
    let token = "0123456789abcdef0123";
    let server = Serving::start(&[], Some(token));
    for path in ["/", "/metrics", "/r/00000000000000000000000000000000"] {
        assert_eq!(server.get(path, "").status(), 401, "{path}");
        let browser = server.get(path, "Accept: text/html\r\n");
        assert_eq!(browser.header("location"), Some("/login"), "{path}");
    }
    assert_eq!(server.post("/api/report", "", PLAN).status(), 401);
    let shown = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(server.post("/api/report", &shown, PLAN).status(), 201);
    assert_eq!(server.get("/healthz", "").status(), 200);

    assert_eq!(server.post("/login", FORM, "token=wrong").status(), 401);
    let entered = server.post("/login", FORM, &format!("token={token}"));
    assert_eq!(entered.status(), 303);
    let cookie = entered.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"));
    assert!(
        !cookie.contains(token),
        "the cookie is not the token itself"
    );
    let kept = cookie.split(';').next().unwrap();
    let page = server.get("/", &format!("Cookie: {kept}\r\n"));
    assert_eq!(page.status(), 200);
}

#[test]
fn what_others_can_reach_needs_a_token() {
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(["serve", "--listen", "0.0.0.0:0"])
        .env_remove("PGADVISE_SERVE_TOKEN")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("PGADVISE_SERVE_TOKEN"), "{said}");

    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("PGADVISE_SERVE_TOKEN", "short")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("too short") && !said.contains("short\""),
        "{said}"
    );
}

#[test]
fn what_it_does_is_counted_and_logged_without_secrets() {
    let server = Serving::start(&["--log-format", "json"], None);
    let sent = server.post("/", FORM, &form(PLAN));
    let link = sent.header("location").unwrap().to_owned();
    assert_eq!(server.get(&link, "").status(), 200);
    let metrics = server.get("/metrics", "");
    assert_eq!(metrics.status(), 200);
    for line in [
        "pgadvise_requests_total{route=\"/r/{id}\",status=\"200\"} 1",
        "pgadvise_reports_total{result=\"Made\"} 1",
        "pgadvise_report_duration_seconds_count 1",
        "pgadvise_reports_kept 1",
        "pgadvise_reports_in_progress 0",
    ] {
        assert!(
            metrics.body().lines().any(|found| found == line),
            "{line} is not in\n{}",
            metrics.body()
        );
    }
    assert!(metrics.body().ends_with("# EOF\n"));

    let logs = server.end();
    let id = link.trim_start_matches("/r/");
    assert!(!logs.contains(id), "a report's link is a secret");
    assert!(!logs.contains("secret_table"), "so is what is in it");
    let lines: Vec<serde_json::Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}")))
        .collect();
    assert!(lines.iter().any(|line| line["route"] == "/r/{id}"
        && line["status"] == 200
        && line["method"] == "GET"));
}
