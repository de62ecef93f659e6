//! The program run in a folder of its own, as users run it.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that the program reads"
)]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own for one test.
pub(crate) struct Desk {
    pub(crate) folder: TempDir,
}

/// How the program ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder");
        }
        fs::write(path, content).expect("a file");
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgadvise"));
        command.args(args).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            let known = name.to_string_lossy().into_owned();
            if known.starts_with("PG") || known.starts_with("CLICOLOR") {
                command.env_remove(name);
            }
        }
        command
            .env_remove("NO_COLOR")
            .env_remove("COLUMNS")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        ended(&self.command(args).output().expect("the program runs"))
    }

    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ended {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("its input");
        // A program that has no use for its input may end without reading it.
        let written = stdin.write_all(input.as_bytes());
        if let Err(error) = written {
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        }
        drop(stdin);
        ended(&child.wait_with_output().expect("it ends"))
    }
}

pub(crate) fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout.clone()).expect("UTF-8"),
        err: String::from_utf8(output.stderr.clone()).expect("UTF-8"),
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn assert(&self, code: i32, out: &[&str], err: &[&str]) -> &Self {
        let both = format!("--- out\n{}\n--- err\n{}", self.out, self.err);
        assert_eq!(self.code, Some(code), "{both}");
        for piece in out {
            assert!(
                self.out.contains(piece),
                "no {piece:?} in the output:\n{both}"
            );
        }
        for piece in err {
            assert!(
                self.err.contains(piece),
                "no {piece:?} in the errors:\n{both}"
            );
        }
        self
    }

    /// The report on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        self.json_of(&pgadvise::report::json::schema())
    }

    /// The document on standard output, which is as that schema says.
    #[track_caller]
    pub(crate) fn json_of(&self, schema: &str) -> Value {
        let document: Value = serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}:\n{}\n{}", self.out, self.err));
        let schema: Value = serde_json::from_str(schema).expect("the schema");
        if let Err(error) = jsonschema::validate(&schema, &document) {
            panic!("{error}:\n{}", self.out);
        }
        document
    }
}
