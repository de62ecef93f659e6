//! Where tools end statements by themselves.

use std::ops::Range;

use super::Framework;
use super::parts::{Wrong, lines};

/// What goes wrong where a tool ends statements by itself: at lines that end
/// with a semicolon, whatever they stand in. `statements` are those that
/// PostgreSQL would see, without their semicolons, and `blocks` what the tool
/// was told to be one statement.
pub fn cut(
    text: &str,
    framework: Framework,
    part: &Range<usize>,
    statements: &[Range<usize>],
    blocks: &[Range<usize>],
) -> Vec<Wrong> {
    let mut wrong = Vec::new();
    if !matches!(framework, Framework::Goose | Framework::SqlMigrate) {
        return wrong;
    }
    let name = framework.name();
    let free = |statement: &Range<usize>| {
        !blocks
            .iter()
            .any(|block| block.start <= statement.start && statement.start < block.end)
    };
    for statement in statements.iter().filter(|statement| free(statement)) {
        let own = text.get(statement.clone()).unwrap_or("");
        if !own.contains('\n') {
            continue;
        }
        let inside = lines(own).find(|line| line.next < own.len() && ends_statement(line.text));
        if let Some(line) = inside {
            let start = statement.start + line.start;
            wrong.push(Wrong {
                at: start..start + line.text.len(),
                message: format!(
                    "{name} ends the statement here, at a line that ends with a semicolon"
                ),
                hint: match framework {
                    Framework::Goose => {
                        "put -- +goose StatementBegin before the statement, and -- +goose StatementEnd behind it"
                    }
                    _ => {
                        "put -- +migrate StatementBegin before the statement, and -- +migrate StatementEnd behind it"
                    }
                },
            });
        }
    }
    if let Some(last) = statements.last().filter(|last| free(last)) {
        let rest = text.get(last.end..part.end).unwrap_or("");
        if !rest.lines().any(ends_statement) {
            wrong.push(Wrong {
                at: last.clone(),
                message: format!(
                    "{name} refuses the file: no semicolon ends the line of the last statement"
                ),
                hint: "end the line with a semicolon; a comment of -- may stand behind it",
            });
        }
    }
    wrong
}

/// Whether goose and sql-migrate take that line for the end of a statement.
fn ends_statement(line: &str) -> bool {
    line.split_whitespace()
        .take_while(|word| !word.starts_with("--"))
        .last()
        .is_some_and(|word| word.ends_with(';'))
}
