//! The command line's page in `docs/`, made from the same definitions as the
//! help.

use clap::CommandFactory as _;

use super::args::Cli;

/// The page as Markdown.
pub fn markdown() -> String {
    let mut program = Cli::command().term_width(100);
    program.build();
    let mut page = String::from(
        "# The command line\n\n\
         This page is made from the program's own help; a test keeps it so.\n",
    );
    section(&mut page, "pgadvise", &program);
    for command in program.get_subcommands() {
        if !command.is_hide_set() && command.get_name() != "help" {
            let name = format!("pgadvise {}", command.get_name());
            section(&mut page, &name, command);
        }
    }
    page
}

fn section(page: &mut String, name: &str, command: &clap::Command) {
    let help = command
        .clone()
        .term_width(100)
        .render_long_help()
        .to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!(
        "\n## {name}\n\n```text\n{}\n```\n",
        help.join("\n").trim_end()
    ));
}
