//! The command line.

use std::process::ExitCode;

/// Runs the program; the exit code says how it ended.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
