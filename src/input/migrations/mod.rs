//! Reads migrations: files, folders, standard input, and what changed of them
//! since a revision.

mod git;
mod walk;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use git::GitError;

use super::{InputError, MAX_SQL_BYTES, STDIN};
use crate::migration::assemble::{Assembling, Given, Outline};
use crate::migration::{Framework, History, Wrapping};
use crate::source::{Problem, SourceId, Sources, Span, Text};
use git::Changes;
use walk::{Found, Walked};

/// Threads when the machine does not say how many it has.
const THREADS: usize = 2;
/// More threads than this wait for the disk and for each other.
const MOST_THREADS: usize = 8;
/// Deleted files that are named one by one.
const MOST_DELETED: usize = 5;

/// What the user said about the migrations.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The framework; told from the files when missing.
    pub framework: Option<Framework>,
    /// How files are wrapped whose framework does not say it.
    pub wrapping: Option<Wrapping>,
    /// Only files that are not in this revision of the git repository are
    /// new, or were changed since.
    pub since: Option<String>,
    /// Only these files are new. Others than migrations may be among them.
    pub changed: Option<Vec<PathBuf>>,
    /// The name that standard input is shown under.
    pub stdin_name: Option<String>,
    /// Threads; as many as the machine has when 0.
    pub threads: usize,
}

/// Reads the migrations of those paths, puts them in the order in which they
/// are applied, and says which of them are new.
///
/// A file that cannot be read is a problem, and the others go on. It is an
/// error when nothing can be read at all, or what changed cannot be told.
pub fn read(
    paths: &[PathBuf],
    options: &ReadOptions,
    sources: &mut Sources,
) -> Result<History, InputError> {
    let (mut outline, unread) = outline(paths, options, sources)?;
    outline.read(sources, unread);
    Ok(outline.history)
}

/// The same, without their statements where those are not needed yet; and which
/// files were not read.
pub fn outline(
    paths: &[PathBuf],
    options: &ReadOptions,
    sources: &mut Sources,
) -> Result<(Outline, Range<usize>), InputError> {
    let mut problems = Vec::new();
    let mut failures = Vec::new();
    let mut walked = Walked::default();
    let mut failed = None;
    let mut stdin = false;
    for path in paths {
        if path.as_os_str() == "-" {
            stdin = true;
        } else if let Err(error) = walked.add(path) {
            failures.push(problem(&error));
            failed.get_or_insert(error);
        }
    }
    if let Some(error) = failed
        && walked.files.is_empty()
        && !stdin
    {
        return Err(error);
    }
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(THREADS, usize::from),
        given => given,
    }
    .min(MOST_THREADS);

    let changes = match &options.since {
        Some(revision) => Some(git::since(revision, &walked.files)?),
        None => None,
    };
    let named: Option<BTreeSet<PathBuf>> = options.changed.as_ref().map(|changed| {
        changed
            .iter()
            .filter_map(|path| std::fs::canonicalize(path).ok())
            .collect()
    });

    let mut given = Vec::with_capacity(walked.files.len());
    let mut new = Vec::new();
    let mut skipped = std::mem::take(&mut walked.skipped);
    let texts = crate::threads::map(&walked.files, threads, text_of);
    for (found, read) in walked.files.iter().zip(texts) {
        match read {
            Ok((text, beside)) => {
                let source = sources.add(text);
                let is_new = changes
                    .as_ref()
                    .is_none_or(|changes| changes.new.contains(&found.real))
                    && named
                        .as_ref()
                        .is_none_or(|named| named.contains(&found.real));
                if is_new {
                    new.push(source);
                }
                given.push(Given {
                    source,
                    path: found.shown.clone(),
                    beside,
                    edited: changes
                        .as_ref()
                        .is_some_and(|changes| changes.edited.contains_key(&found.real)),
                });
            }
            Err(error) => {
                failures.push(problem(&error));
                skipped.push((found.shown.clone(), "it could not be read".to_owned()));
            }
        }
    }
    if stdin {
        let name = options.stdin_name.as_deref().unwrap_or(STDIN);
        let text = super::read_stdin()?;
        super::check_sql_size(name, &text)?;
        let source = sources.add(Text::new(name, text));
        new.push(source);
        given.push(Given {
            source,
            path: name.to_owned(),
            ..Given::default()
        });
    }
    let mut outline = Outline::new(
        sources,
        &given,
        &Assembling {
            framework: options.framework,
            wrapping: options.wrapping,
            new: (options.since.is_some() || options.changed.is_some()).then_some(new),
            markers: walked.markers,
            threads,
        },
    );
    let mut unread = 0..outline.history.files.len();
    if let Some(changes) = &changes {
        outline.read(sources, std::mem::take(&mut unread));
        tell_changes(changes, &walked.files, &mut outline.history, &mut problems);
    }
    let history = &mut outline.history;
    problems.append(&mut history.problems);
    history.problems = problems;
    failures.append(&mut walked.failures);
    history.failures = failures;
    skipped.append(&mut history.skipped);
    history.skipped = skipped;
    Ok((outline, unread))
}

/// The files that a list names: one a line, or with zero bytes between them as
/// `git diff -z` prints them; - is standard input.
pub fn changed_from(path: &Path) -> Result<Vec<PathBuf>, InputError> {
    let text = if path.as_os_str() == "-" {
        super::read_stdin()?
    } else {
        let bytes = super::open(path, super::MAX_BYTES).and_then(|mut file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut file, &mut bytes)
                .map_err(|error| super::failed(path, error))?;
            Ok(bytes)
        })?;
        String::from_utf8_lossy(&bytes).into_owned()
    };
    Ok(text
        .split(['\0', '\n'])
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| !line.trim().is_empty())
        .map(PathBuf::from)
        .collect())
}

/// An error as a problem of the input.
fn problem(error: &InputError) -> Problem {
    use std::error::Error as _;
    let message = match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    let hint = match error {
        InputError::TooLarge { .. } => {
            "split it, or check the folder without it; data is better loaded than migrated"
                .to_owned()
        }
        _ => error.hint(),
    };
    Problem::new(message).with_hint(hint)
}

/// A text, and what its settings file says.
type Read = Result<(Text, Option<String>), InputError>;

fn text_of(found: &Found) -> Read {
    let (file, size) = super::open_sized(&found.path, MAX_SQL_BYTES)?;
    let text = super::bytes_to_text(&found.shown, file, size, |source| {
        super::failed(&found.path, source)
    });
    let text = match text {
        // A migration without content is one that does nothing.
        Err(InputError::Empty { .. }) => String::new(),
        other => other?,
    };
    let beside = match &found.beside {
        Some(path) => super::read(path).ok(),
        None => None,
    };
    Ok((Text::new(&found.shown, text), beside))
}

/// What happened to files that the revision has.
fn tell_changes(
    changes: &Changes,
    files: &[Found],
    history: &mut History,
    problems: &mut Vec<Problem>,
) {
    history.notes.insert(0, changes.told.clone());
    let reals: std::collections::BTreeMap<&str, &Path> = files
        .iter()
        .map(|found| (found.shown.as_str(), found.real.as_path()))
        .collect();
    for file in &history.files {
        let Some(real) = reals.get(file.path.as_str()) else {
            continue;
        };
        let once = file.version.is_some()
            && !matches!(file.framework, Framework::Rails | Framework::Liquibase)
            && file
                .parts
                .iter()
                .any(|part| part.direction == crate::migration::Direction::Up);
        if !once {
            continue;
        }
        if let Some(edit) = changes.edited.get(*real) {
            let message = match (&edit.renamed_from, edit.comments_only) {
                (Some(before), _) => format!(
                    "it was renamed, and {} has it as {before}: where it was applied, it is run again or missed",
                    changes.base
                ),
                (None, true) if !checks_sums(file.framework) => continue,
                (None, true) => format!(
                    "its comments were changed, and {} has it: {} compares checksums, and refuses a file that was changed after it was applied",
                    changes.base,
                    file.framework.name()
                ),
                (None, false) if checks_sums(file.framework) => format!(
                    "it was changed, and {} has it: {} compares checksums, and refuses to go on where it was applied",
                    changes.base,
                    file.framework.name()
                ),
                (None, false) => format!(
                    "it was changed, and {} has it: databases where it was applied do not get the change",
                    changes.base
                ),
            };
            problems.push(
                Problem::at(start(file.source), message)
                    .with_hint("leave it as it was, and put the change into a new migration"),
            );
        }
    }
    let mut deleted = changes.deleted.iter();
    for path in deleted.by_ref().take(MOST_DELETED) {
        problems.push(
            Problem::new(format!(
                "{path} was deleted, and {} has it: databases where it was applied keep what it did",
                changes.base
            ))
            .with_hint("keep it, and take back what it did in a new migration"),
        );
    }
    let more = deleted.count();
    if more > 0 {
        problems.push(Problem::new(format!(
            "{more} more migrations that {} has were deleted",
            changes.base
        )));
    }
}

/// Tools that refuse a migration whose bytes changed after it was applied.
fn checks_sums(framework: Framework) -> bool {
    matches!(
        framework,
        Framework::Flyway | Framework::Sqlx | Framework::Prisma | Framework::Atlas
    )
}

fn start(source: SourceId) -> Span {
    Span::new(source, 0..0)
}
