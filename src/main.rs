//! The `pgadvise` program: see the library.

fn main() -> std::process::ExitCode {
    pgadvise::cli::run()
}
