//! A statement that cannot be read.

use std::collections::BTreeMap;

use super::support::evidence;
use crate::declare_migration_rule;
use crate::finding::Level;
use crate::finding::migration::Remedy;
use crate::migration::{At, File};
use crate::rule::migration::{End, MigrationRule, MigrationSink};
use crate::source::{Problem, SourceId};
use crate::sql::ddl::Action;

declare_migration_rule! {
    /// ## What it does
    ///
    /// Finds statements that cannot be read: PostgreSQL would refuse them, too,
    /// or they are made for another program. In a file with pieces of a template
    /// (`{{ … }}`, `{% … %}`), one note for all of them.
    ///
    /// ## Why it matters
    ///
    /// The migration fails there, or does something that nobody has checked.
    /// The other statements of the file are checked all the same.
    ///
    /// ## When it is wrong
    ///
    /// When the file is a template that is filled in before it is run, or has
    /// syntax that is newer than this pgadvise.
    ///
    /// ## References
    ///
    /// - [SQL commands](https://www.postgresql.org/docs/current/sql-commands.html)
    pub struct StatementNotRead = {
        id: "statement-not-read",
        summary: "a statement cannot be read, so that nothing in it was checked",
        level: Warning,
        category: Failure,
        on: true,
        since: "0.1.0",
    }
}

impl MigrationRule for StatementNotRead {
    fn end(&self, end: &End<'_>, sink: &mut MigrationSink) {
        let mut said: BTreeMap<SourceId, Vec<(usize, &Problem)>> = BTreeMap::new();
        for problem in &end.context.history.problems {
            if let Some(at) = problem.at {
                said.entry(at.source).or_default().push((at.start, problem));
            }
        }
        for problems in said.values_mut() {
            problems.sort_by_key(|(start, _)| *start);
        }
        for (number, file) in end.numbered() {
            if !file.new {
                continue;
            }
            let template = is_template(end, file);
            let unread = file
                .parts
                .iter()
                .flat_map(|part| &part.statements)
                .filter(|statement| matches!(statement.action, Action::Unreadable))
                .count();
            let problems = said.get(&file.source).map_or(&[][..], Vec::as_slice);
            'file: for (part_number, part) in file.parts.iter().enumerate() {
                for (index, statement) in part.statements.iter().enumerate() {
                    if !matches!(statement.action, Action::Unreadable) {
                        continue;
                    }
                    let first =
                        problems.partition_point(|(start, _)| *start < statement.span.start);
                    let problem =
                        problems
                            .get(first)
                            .map(|(_, problem)| *problem)
                            .filter(|problem| {
                                problem.at.is_some_and(|at| at.start <= statement.span.end)
                            });
                    let place = At {
                        file: number,
                        part: part_number,
                        statement: index,
                        inner: 0,
                    };
                    let span = problem
                        .and_then(|problem| problem.at)
                        .unwrap_or(statement.span);
                    if template {
                        // Once a file: what is filled in may be SQL.
                        let statements = match unread {
                            1 => "a statement".to_owned(),
                            count => format!("{count} statements"),
                        };
                        sink.report(
                            format!(
                                "{statements} cannot be read before the template is filled in"
                            ),
                            "nothing in them was checked",
                            evidence::of(statement),
                        )
                        .at(place, span)
                        .level(Level::Note)
                        .remedy(Remedy::new(
                            "check the files that are run, or print them with the tool that fills them in",
                        ));
                        break 'file;
                    }
                    let draft = sink
                        .report(
                            problem.map_or_else(
                                || "the statement cannot be read".to_owned(),
                                |problem| {
                                    format!("the statement cannot be read: {}", problem.message)
                                },
                            ),
                            "nothing in it was checked; if PostgreSQL cannot read it either, the \
                             migration fails here",
                            evidence::of(statement),
                        )
                        .at(place, span);
                    if let Some(hint) = problem.and_then(|problem| problem.hint.as_deref()) {
                        draft.remedy(Remedy::new(hint));
                    }
                }
            }
        }
    }
}

/// The file has pieces of a template.
fn is_template(end: &End<'_>, file: &File) -> bool {
    end.context.sources.get(file.source).is_some_and(|text| {
        ["{{", "{%"]
            .iter()
            .any(|open| memchr::memmem::find(text.text().as_bytes(), open.as_bytes()).is_some())
    })
}
