//! A headless browser that opens pages: what they show, complain about and
//! ask the network for.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look for the browser and read what it wrote"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What the browser made of a page.
pub(crate) struct Opened {
    /// The document as it stands when everything has run.
    pub(crate) dom: String,
    /// What it wrote to its console, errors and refusals among it.
    pub(crate) console: Vec<String>,
    /// What it asked the network for.
    pub(crate) requests: Vec<String>,
}

/// The browser, if there is one. In CI there must be.
pub(crate) fn find() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file());
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no Chromium is installed, and the pages cannot be tested without"
        );
        eprintln!("no Chromium is installed: the pages are not opened");
    }
    found
}

/// Opens a page.
pub(crate) fn open(browser: &Path, page: &Path, more: &[&str]) -> Opened {
    let folder = TempDir::new().expect("a temporary folder");
    let log = folder.path().join("net.json");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--enable-logging=stderr",
            "--v=0",
            // Nothing leads anywhere, should the page ask.
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=4000",
            "--dump-dom",
        ])
        .args(more)
        .arg(format!(
            "--user-data-dir={}",
            folder.path().join("user").display()
        ))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser starts");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        dom.contains("</html>"),
        "the browser showed nothing: {said}"
    );
    Opened {
        dom,
        console: said
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .map(str::to_owned)
            .collect(),
        requests: requests(&log),
    }
}

/// The addresses in the browser's log of its network that the page asked for.
fn requests(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).expect("the log of the network");
    // A browser that is ended writes no end of the list.
    let whole = serde_json::from_str::<Value>(&text)
        .or_else(|_| serde_json::from_str(&format!("{}]}}", text.trim_end().trim_end_matches(','))))
        .expect("the log is JSON");
    let mut found: Vec<String> = whole["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| &event["params"])
        // What the browser asks for of itself has no origin.
        .filter(|asked| {
            asked["initiator"]
                .as_str()
                .is_some_and(|from| from != "not an origin")
        })
        .filter_map(|asked| asked["url"].as_str())
        .filter(|url| !url.starts_with("file:") && !url.starts_with("data:"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}
