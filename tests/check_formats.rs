//! The forms of `pgadvise check` against what their readers accept.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that they check"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use quick_xml::events::Event;
use serde_json::Value;
use tempfile::TempDir;

/// A project with names that would be markup, commands or paths elsewhere, a
/// statement that cannot be read, and one finding of each kind of silence.
fn hostile() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let m = folder.path().join("m");
    fs::create_dir_all(&m).expect("made");
    fs::write(
        m.join("0001_é a.sql"),
        "CREATE TABLE \"<img src=x onerror=alert(1)>\" (id bigint PRIMARY KEY);\n\
         CREATE TABLE \"a|b`c]]>&amp;\" (id bigint PRIMARY KEY);\n\
         CREATE TABLE known (id bigint PRIMARY KEY);\n",
    )
    .expect("written");
    fs::write(
        m.join("0002_b.sql"),
        "/* é */ DROP TABLE \"<img src=x onerror=alert(1)>\";\n\
         DROP TABLE \"a|b`c]]>&amp;\"; -- \u{1b}[31m\n\
         -- pgadvise: ignore table-dropped (a <b>reason</b>\u{7})\n\
         DROP TABLE known;\n\
         ALTER TABLE known FROB;\n",
    )
    .expect("written");
    folder
}

fn render(folder: &Path, format: &str, more: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(["check", "m", "--format", format])
        .args(["--only", "table-dropped", "--only", "statement-not-read"])
        .args(more)
        .current_dir(folder)
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("the program runs");
    assert_eq!(
        output.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Everything that the document breaks of a schema.
fn breaks(schema: &str, document: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(schema);
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(path).expect("there")).expect("JSON");
    let document: Value = serde_json::from_str(document).expect("JSON");
    jsonschema::validator_for(&schema)
        .expect("a schema")
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn json_is_what_its_schema_says() {
    let said = render(hostile().path(), "json", &[]);
    assert_eq!(
        breaks("docs/check.schema.json", &said),
        Vec::<String>::new()
    );
    let report: Value = serde_json::from_str(&said).expect("JSON");
    let place = &report["findings"][0]["place"];
    assert_eq!(place["line"], 1);
    assert_eq!(place["column"], 20, "columns count characters");
}

#[test]
fn sarif_is_what_code_scanning_takes() {
    let said = render(hostile().path(), "sarif", &[]);
    assert_eq!(
        breaks("fixtures/schemas/sarif-2.1.0-as-used.json", &said),
        Vec::<String>::new()
    );
    let log: Value = serde_json::from_str(&said).expect("JSON");
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), 4, "{said}");
    let mut prints: Vec<&str> = Vec::new();
    for result in results {
        let rule = &run["tool"]["driver"]["rules"]
            [usize::try_from(result["ruleIndex"].as_u64().expect("a rule")).expect("small")];
        assert_eq!(rule["id"], result["ruleId"]);
        let location = &result["locations"][0]["physicalLocation"]["artifactLocation"];
        let artifact = &run["artifacts"]
            [usize::try_from(location["index"].as_u64().expect("a file")).expect("small")];
        assert_eq!(artifact["location"]["uri"], location["uri"]);
        prints.push(
            result["partialFingerprints"]["primaryLocationLineHash"]
                .as_str()
                .expect("a fingerprint"),
        );
    }
    prints.sort_unstable();
    prints.dedup();
    assert_eq!(prints.len(), 4, "each finding has its own");
    let silenced: Vec<&Value> = results
        .iter()
        .filter(|result| !result["suppressions"].is_null())
        .collect();
    assert_eq!(silenced.len(), 1);
    assert_eq!(silenced[0]["suppressions"][0]["kind"], "inSource");
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    // Pages that are published nowhere have no address; their text is there.
    for rule in run["tool"]["driver"]["rules"].as_array().expect("rules") {
        let home = env!("CARGO_PKG_REPOSITORY");
        assert_eq!(rule["helpUri"].is_null(), home.is_empty(), "{rule}");
        let help = rule["help"]["markdown"].as_str().expect("a page");
        assert!(help.contains("When it is wrong"), "{help}");
    }
    assert_eq!(
        run["artifacts"][0]["location"]["uri"],
        "m/0001_%C3%A9%20a.sql"
    );
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
}

#[test]
fn gitlab_gets_a_code_quality_report() {
    let said = render(hostile().path(), "gitlab", &[]);
    assert_eq!(
        breaks("fixtures/schemas/gitlab-code-quality.json", &said),
        Vec::<String>::new()
    );
    let issues: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(issues.as_array().map(Vec::len), Some(3), "{said}");
    assert_eq!(issues[0]["location"]["lines"]["begin"], 1);
}

#[test]
fn junit_is_whole_and_counts_what_it_holds() {
    let said = render(hostile().path(), "junit", &[]);
    let mut reader = quick_xml::Reader::from_str(&said);
    let mut open: Vec<String> = Vec::new();
    let mut failures = 0;
    let mut skipped = 0;
    let mut counted = String::new();
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                for attribute in tag.attributes() {
                    let attribute = attribute.expect("an attribute");
                    if name == "testsuites" && attribute.key.as_ref() == "failures" {
                        counted = attribute.value.to_string();
                    }
                }
                failures += usize::from(name == "failure");
                open.push(name);
            }
            Event::Empty(tag) => skipped += usize::from(tag.name().as_ref() == "skipped"),
            Event::End(tag) => assert_eq!(open.pop().as_deref(), Some(tag.name().as_ref())),
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty());
    assert_eq!(failures, 3, "{said}");
    assert_eq!(counted, "3");
    assert!(
        skipped >= 1,
        "the silenced finding, and what was not checked"
    );
    assert!(
        said.chars().all(|c| !c.is_control() || c == '\n'),
        "control characters have no place in XML"
    );
}

#[test]
fn nothing_in_a_name_becomes_markup_or_a_command() {
    let folder = hostile();
    let markdown = render(folder.path(), "markdown", &[]);
    // Within a block of code nothing is markup.
    let mut code = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        assert!(code || !line.contains("<img"), "{line}");
    }
    assert!(markdown.contains("&lt;img"), "{markdown}");
    let github = render(folder.path(), "github", &[]);
    assert_eq!(github.matches("::warning").count(), 3, "{github}");
    let text = render(folder.path(), "text", &[]);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

/// Names that mean something to GitHub's Markdown, or would end what they stand
/// in: mentions, issues, tables, details, fences, addresses, formulas.
const NAMES: [&str; 9] = [
    "@octocat",
    "#1",
    "GH-1 owner/app#2",
    "a|b`c`d",
    "</details></td><script>alert(1)</script>",
    "```\n### heading\n```",
    "line\nbreak\r\n- item",
    "https://a.example/ [x](y) ![z](w)",
    "$a$ $$b$$",
];

fn named() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let m = folder.path().join("m");
    fs::create_dir_all(&m).expect("made");
    let long = "n".repeat(5_000);
    let names = || NAMES.into_iter().chain([long.as_str()]);
    let old: Vec<String> = names()
        .map(|name| format!("CREATE TABLE \"{name}\" (id bigint PRIMARY KEY, a int);\n"))
        .collect();
    let new: Vec<String> = names()
        .map(|name| format!("CREATE INDEX ON \"{name}\" (a);\nDROP TABLE \"{name}\";\n"))
        .collect();
    fs::write(m.join("1.sql"), old.concat()).expect("written");
    fs::write(m.join("2 %,:@me.sql"), new.concat()).expect("written");
    folder
}

fn all_of(folder: &Path, format: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args(["check", "m", "--format", format, "--pg-version", "16"])
        .current_dir(folder)
        .env_remove("GITHUB_ACTIONS")
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Outside of fences and code no name keeps what a service would act on.
#[test]
fn names_in_markdown_are_words() {
    let folder = named();
    let markdown = all_of(folder.path(), "markdown");
    let no_markup = regex::Regex::new(r"\\.|`[^`]*`").expect("a pattern");
    let mut fence: Option<usize> = None;
    let mut seen = 0;
    let (mut opened, mut closed) = (0, 0);
    for line in markdown.lines() {
        let inner = line.trim_start();
        let quotes = inner.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(length) => {
                if quotes >= length && inner.trim_end().len() == quotes {
                    fence = None;
                }
                continue;
            }
            None if quotes >= 3 => {
                fence = Some(quotes);
                continue;
            }
            None => {}
        }
        // Code within a line, and what is escaped, is no markup.
        let plain = no_markup.replace_all(line, "_");
        for bad in [
            "@o", "@m", "#1", "#2", "GH-1", "://", "<script", "](", "|", "$a",
        ] {
            assert!(!plain.contains(bad), "{bad} in {line}");
        }
        assert!(inner != "heading" && !inner.starts_with("- item"), "{line}");
        opened += line.matches("<details>").count();
        closed += line.matches("</details>").count();
        seen += line.matches("octocat").count();
    }
    assert_eq!(fence, None, "a fence is not closed");
    assert_eq!(opened, closed);
    assert!(opened > 10 && seen > 0, "{markdown}");
}

/// What has been said of commands: each is one line, whatever the names hold,
/// and properties hold no character that ends them.
#[test]
fn names_in_annotations_end_nothing() {
    let folder = named();
    let said = all_of(folder.path(), "github");
    let pattern = regex::Regex::new(
        r"^::(error|warning|notice) file=m/(1|2 %25%2C%3A@me)\.sql,line=\d+,endLine=\d+(,col=\d+,endColumn=\d+)?,title=[^,:\r\n]*::[^\r\n]+$",
    )
    .expect("a pattern");
    let percent = regex::Regex::new("%(25|0A|0D|3A|2C)?").expect("a pattern");
    let commands: Vec<&str> = said.lines().filter(|line| line.starts_with("::")).collect();
    assert!(commands.len() >= 20, "{said}");
    for command in &commands {
        assert!(pattern.is_match(command), "{command}");
        for found in percent.find_iter(command) {
            assert_eq!(found.as_str().len(), 3, "{command}");
        }
    }
    for line in said.lines() {
        assert!(
            line.starts_with("::")
                || line.starts_with("- m/2 ")
                || line.starts_with("skipped: ")
                || line.starts_with("pgadvise check: ")
                || line.contains("no more than 10 annotations"),
            "{line}"
        );
    }
}

/// What could not be done is annotated, too: it fails the run.
#[test]
fn troubles_are_annotated_too() {
    let folder = many(12);
    let output = Command::new(env!("CARGO_BIN_EXE_pgadvise"))
        .args([
            "check",
            "m",
            "gone,%.sql",
            "--format",
            "github",
            "--only",
            "table-dropped",
        ])
        .current_dir(folder.path())
        .env_remove("GITHUB_STEP_SUMMARY")
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let errors: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("::error "))
        .collect();
    assert_eq!(errors.len(), 1, "{said}");
    assert!(errors[0].contains("cannot read gone,%25.sql"), "{said}");
}

/// The summary of a job says what the annotations leave out.
#[test]
fn a_job_summary_says_how_many_annotations_are_missing() {
    let folder = many(12);
    let summary = folder.path().join("summary.md");
    render(
        folder.path(),
        "github",
        &["--job-summary", summary.to_str().expect("UTF-8")],
    );
    let text = fs::read_to_string(&summary).expect("written");
    assert!(
        text.ends_with("for a step: 3 findings stand here and in the log only.\n"),
        "{text}"
    );
    for table in 0..12 {
        assert!(text.contains(&format!(": t{table} is dropped")), "{text}");
    }
}

/// So many tables that are dropped.
fn many(number: usize) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let m = folder.path().join("m");
    fs::create_dir_all(&m).expect("made");
    let of = |verb: &str, rest: &str| -> String {
        let lines: Vec<String> = (0..number)
            .map(|at| format!("{verb} TABLE t{at}{rest};\n"))
            .collect();
        lines.concat()
    };
    fs::write(m.join("1.sql"), of("CREATE", " (id bigint PRIMARY KEY)")).expect("written");
    let bad = "ALTER TABLE t0 FROB;\n";
    fs::write(m.join("2.sql"), of("DROP", "") + bad).expect("written");
    folder
}

#[test]
fn a_comment_keeps_within_its_bytes_and_keeps_the_worst() {
    let folder = many(300);
    fs::write(
        folder.path().join("pgadvise.toml"),
        "[rules]\nstatement-not-read = \"critical\"\n",
    )
    .expect("written");
    let whole = render(folder.path(), "markdown", &["--max-bytes", "1000000"]);
    assert!(whole.len() > 65_000);
    let fits = render(folder.path(), "markdown", &[]);
    assert!(fits.len() <= 65_000, "{}", fits.len());
    let small = render(folder.path(), "markdown", &["--max-bytes", "2000"]);
    assert!(small.len() <= 2000, "{}", small.len());
    for text in [&fits, &small] {
        assert!(text.contains("**critical** line 301"), "{text}");
        assert!(text.contains("**Left out**"), "{text}");
    }
}

#[test]
fn annotations_beyond_what_github_shows_are_lines_of_the_log() {
    let said = render(many(12).path(), "github", &[]);
    let shown = said
        .lines()
        .filter(|line| line.starts_with("::warning"))
        .count();
    let rest = said
        .lines()
        .filter(|line| line.starts_with("- m/2.sql:"))
        .count();
    assert_eq!((shown, rest), (10, 3), "{said}");
}

/// Rule pages that a team publishes are linked from every form that can.
#[test]
fn pages_are_linked_where_the_configuration_says_they_are() {
    let folder = hostile();
    fs::write(
        folder.path().join("pgadvise.toml"),
        "[check]\nrules-url = \"https://a.example/{rule}.html\"\n",
    )
    .expect("written");
    let page = "https://a.example/table-dropped.html";
    let log: Value = serde_json::from_str(&render(folder.path(), "sarif", &[])).expect("JSON");
    let rules = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules");
    assert!(rules.iter().any(|rule| rule["helpUri"] == page), "{log}");
    let report: Value = serde_json::from_str(&render(folder.path(), "json", &[])).expect("JSON");
    assert_eq!(report["findings"][0]["page"], page);
    let markdown = render(folder.path(), "markdown", &[]);
    assert!(
        markdown.contains(&format!("[table-dropped]({page})")),
        "{markdown}"
    );
    assert!(render(folder.path(), "github", &[]).contains(page));
}
