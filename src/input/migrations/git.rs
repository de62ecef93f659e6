//! What changed since a revision, as git tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::walk::Found;
use crate::advise::suppress::nearest;

/// Characters of a commit's name that are shown.
const SHORT: usize = 9;

/// Why git could not say what changed.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no program of that name.
    #[error("--since needs the program git, and it cannot be started")]
    Missing {
        /// The operating system's word.
        #[source]
        source: std::io::Error,
    },
    /// The files are in no repository.
    #[error("--since needs a git repository, and {} is in none", folder.display())]
    NoRepository {
        /// The folder of the migrations.
        folder: PathBuf,
    },
    /// No commit of that name.
    #[error("there is no revision {revision} in {}", repository.display())]
    UnknownRevision {
        /// As given.
        revision: String,
        /// The repository.
        repository: PathBuf,
        /// A branch or tag of a name like it.
        nearest: Option<String>,
        /// Not all commits were fetched.
        shallow: bool,
    },
    /// The history before some commit is not there.
    #[error(
        "{revision} and the present commit have no common ancestor here, because the clone is shallow"
    )]
    Shallow {
        /// As given.
        revision: String,
    },
    /// They have nothing in common.
    #[error("{revision} and the present commit have no common ancestor")]
    Unrelated {
        /// As given.
        revision: String,
    },
    /// There is no commit yet.
    #[error("{} has no commit yet, so nothing can be compared with it", repository.display())]
    NoCommit {
        /// The repository.
        repository: PathBuf,
    },
    /// Git failed.
    #[error("git failed: {message}")]
    Failed {
        /// Its last words.
        message: String,
    },
}

impl GitError {
    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "install git, or list the changed files with --changed".to_owned()
            }
            Self::NoRepository { .. } => {
                "run it in the repository, or list the changed files with --changed".to_owned()
            }
            Self::UnknownRevision { revision, .. } if revision.contains("..") => {
                let base = revision.split("..").next().unwrap_or_default();
                format!(
                    "--since takes one revision, and compares the files as they are with where the branch left it: --since {base}"
                )
            }
            Self::UnknownRevision {
                nearest: Some(nearest),
                shallow: false,
                ..
            } => format!("did you mean {nearest}?"),
            Self::UnknownRevision { shallow: true, .. } | Self::Shallow { .. } => {
                "fetch the whole history: fetch-depth: 0 for actions/checkout, GIT_DEPTH: 0 in GitLab, git fetch --unshallow by hand".to_owned()
            }
            Self::UnknownRevision { revision, .. } => match revision.split_once('/') {
                Some((remote, branch)) => format!("fetch it first: git fetch {remote} {branch}"),
                None => "git branch --all lists the branches".to_owned(),
            },
            Self::Unrelated { .. } => "name the branch that this one started from".to_owned(),
            Self::NoCommit { .. } => "leave --since out".to_owned(),
            Self::Failed { .. } => {
                "try the same with git by hand, or list the changed files with --changed".to_owned()
            }
        }
    }
}

/// A file that the revision has, and that is not the same now.
#[derive(Debug, Clone, Default)]
pub(super) struct Edit {
    /// The name that the revision has it under.
    pub(super) renamed_from: Option<String>,
    /// Statements are as they were.
    pub(super) comments_only: bool,
}

/// What is not as it was.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The revision as shown.
    pub(super) base: String,
    /// A sentence for the report.
    pub(super) told: String,
    /// Files that were added or changed.
    pub(super) new: BTreeSet<PathBuf>,
    /// Files among them that the revision has.
    pub(super) edited: BTreeMap<PathBuf, Edit>,
    /// Migrations that are gone.
    pub(super) deleted: Vec<String>,
}

/// Asks git what changed of these files since the commit where the present
/// branch left the revision, in commits or in the working tree.
pub(super) fn since(revision: &str, files: &[Found]) -> Result<Changes, GitError> {
    let mut changes = Changes {
        base: revision.to_owned(),
        ..Changes::default()
    };
    let mut tops: BTreeMap<PathBuf, BTreeSet<PathBuf>> = BTreeMap::new();
    let mut known: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for folder in roots(files) {
        let top = match known
            .iter()
            .find(|(top, _)| folder.starts_with(top.as_path()) && !folder.join(".git").exists())
        {
            Some((_, top)) => top.clone(),
            None => top_of(&folder)?,
        };
        known.insert(top.clone(), top.clone());
        tops.entry(top).or_default().insert(folder);
    }
    let mut commits = Vec::new();
    for (top, folders) in &tops {
        let base = merge_base(revision, top)?;
        commits.push(base.chars().take(SHORT).collect::<String>());
        compare(top, &base, folders, &mut changes)?;
    }
    changes.told = format!(
        "compared with {revision}, from commit {} on",
        commits.join(", ")
    );
    Ok(changes)
}

/// The folders of the files, without those that are below another.
fn roots(files: &[Found]) -> Vec<PathBuf> {
    let folders: BTreeSet<&Path> = files.iter().filter_map(|file| file.real.parent()).collect();
    let mut roots: Vec<PathBuf> = Vec::new();
    for folder in folders {
        if !roots.last().is_some_and(|last| folder.starts_with(last)) {
            roots.push(folder.to_owned());
        }
    }
    roots
}

/// What git answered: whether it succeeded, its output, and its words.
struct Answer {
    ok: bool,
    out: Vec<u8>,
    words: String,
}

impl Answer {
    fn line(&self) -> String {
        String::from_utf8_lossy(&self.out).trim().to_owned()
    }
}

fn git<A: AsRef<OsStr>>(folder: &Path, arguments: &[A]) -> Result<Answer, GitError> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "core.quotePath=false", "-c", "diff.renameLimit=5000"])
        .args(arguments)
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .stdin(Stdio::null())
        .output()
        .map_err(|source| GitError::Missing { source })?;
    Ok(Answer {
        ok: output.status.success(),
        out: output.stdout,
        words: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The same, where a failure is an error.
fn must<A: AsRef<OsStr>>(folder: &Path, arguments: &[A]) -> Result<Vec<u8>, GitError> {
    let answer = git(folder, arguments)?;
    if answer.ok {
        return Ok(answer.out);
    }
    Err(GitError::Failed {
        message: last_words(&answer.words),
    })
}

fn last_words(words: &str) -> String {
    words
        .lines()
        .next()
        .unwrap_or("it said nothing")
        .trim_start_matches("fatal: ")
        .to_owned()
}

fn top_of(folder: &Path) -> Result<PathBuf, GitError> {
    let answer = git(folder, &["rev-parse", "--show-toplevel"])?;
    if answer.ok {
        let top = PathBuf::from(answer.line());
        return Ok(std::fs::canonicalize(&top).unwrap_or(top));
    }
    if answer.words.contains("not a git repository") {
        return Err(GitError::NoRepository {
            folder: folder.to_owned(),
        });
    }
    Err(GitError::Failed {
        message: last_words(&answer.words),
    })
}

fn commit(top: &Path, revision: &str) -> Result<Option<String>, GitError> {
    if revision.starts_with('-') || revision.is_empty() {
        return Ok(None);
    }
    let asked = format!("{revision}^{{commit}}");
    let answer = git(top, &["rev-parse", "--verify", "--quiet", asked.as_str()])?;
    Ok(answer.ok.then(|| answer.line()))
}

fn is_shallow(top: &Path) -> Result<bool, GitError> {
    Ok(git(top, &["rev-parse", "--is-shallow-repository"])?.line() == "true")
}

/// Where the present branch left the revision.
fn merge_base(revision: &str, top: &Path) -> Result<String, GitError> {
    let Some(found) = commit(top, revision)? else {
        let refs = git(
            top,
            &[
                "for-each-ref",
                "--format=%(refname:short)",
                "refs/heads",
                "refs/remotes",
                "refs/tags",
            ],
        )?
        .line();
        let known: Vec<&str> = refs.lines().collect();
        return Err(GitError::UnknownRevision {
            nearest: near(revision, &known),
            shallow: is_shallow(top)?,
            revision: revision.to_owned(),
            repository: top.to_owned(),
        });
    };
    if commit(top, "HEAD")?.is_none() {
        return Err(GitError::NoCommit {
            repository: top.to_owned(),
        });
    }
    let answer = git(top, &["merge-base", found.as_str(), "HEAD"])?;
    if answer.ok {
        return Ok(answer.line());
    }
    let revision = revision.to_owned();
    if is_shallow(top)? {
        return Err(GitError::Shallow { revision });
    }
    Err(GitError::Unrelated { revision })
}

/// A branch of a name like it; `main` where `master` was meant counts, and a
/// branch that only a remote has.
fn near(revision: &str, known: &[&str]) -> Option<String> {
    let (remote, branch) = revision.split_once('/').unwrap_or(("", revision));
    let swapped = match branch {
        "main" => Some("master"),
        "master" => Some("main"),
        _ => None,
    };
    let same = |wanted: &str| {
        known
            .iter()
            .find(|name| {
                **name == wanted || name.split_once('/').is_some_and(|(_, own)| own == wanted)
            })
            .map(|name| (*name).to_owned())
    };
    same(branch)
        .or_else(|| swapped.and_then(same))
        .or_else(|| nearest(revision, known).map(str::to_owned))
        .or_else(|| {
            let own: Vec<&str> = known
                .iter()
                .filter_map(|name| name.split_once('/').map(|(_, own)| own))
                .collect();
            let found = nearest(branch, &own)?;
            same(found)
        })
        .filter(|found| found != revision && !(remote.is_empty() && found.is_empty()))
}

fn compare(
    top: &Path,
    base: &str,
    folders: &BTreeSet<PathBuf>,
    changes: &mut Changes,
) -> Result<(), GitError> {
    let diff = must(
        top,
        &with_folders(
            &[
                "diff",
                "--name-status",
                "-z",
                "-M",
                "--no-ext-diff",
                "--no-color",
                base,
                "--",
            ],
            folders,
        ),
    )?;
    let mut fields = diff
        .split(|byte| *byte == 0)
        .map(|field| String::from_utf8_lossy(field).into_owned());
    while let Some(status) = fields.next().filter(|status| !status.is_empty()) {
        let Some(path) = fields.next() else {
            break;
        };
        match status.chars().next() {
            Some('R') => {
                let Some(now) = fields.next() else {
                    break;
                };
                renamed(top, &path, &now, status == "R100", changes);
            }
            Some('C') => {
                let Some(now) = fields.next() else {
                    break;
                };
                changes.new.insert(top.join(now));
            }
            Some('D') => {
                if is_up(&path) {
                    changes.deleted.push(path);
                }
            }
            Some('A') => {
                changes.new.insert(top.join(path));
            }
            _ => {
                let real = top.join(&path);
                changes.new.insert(real.clone());
                changes.edited.insert(
                    real,
                    Edit {
                        renamed_from: None,
                        comments_only: comments_only(top, base, &path)?,
                    },
                );
            }
        }
    }
    let untracked = must(
        top,
        &with_folders(
            &["ls-files", "--others", "--exclude-standard", "-z", "--"],
            folders,
        ),
    )?;
    for path in untracked.split(|byte| *byte == 0) {
        if !path.is_empty() {
            changes
                .new
                .insert(top.join(String::from_utf8_lossy(path).as_ref()));
        }
    }
    Ok(())
}

fn with_folders<'a>(words: &[&'a str], folders: &'a BTreeSet<PathBuf>) -> Vec<&'a OsStr> {
    words
        .iter()
        .map(|word| OsStr::new(*word))
        .chain(folders.iter().map(|folder| folder.as_os_str()))
        .collect()
}

/// A migration that moves forward, by its name.
fn is_up(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let sql = Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("sql"));
    sql && name != "down.sql" && !name.ends_with(".down.sql")
}

/// A file that moved with its name and content is the same migration in
/// another folder.
fn renamed(top: &Path, before: &str, now: &str, same: bool, changes: &mut Changes) {
    let last = |path: &str| {
        let mut parts = path.rsplit('/');
        let name = parts.next().unwrap_or_default().to_owned();
        if matches!(name.as_str(), "up.sql" | "down.sql" | "migration.sql") {
            format!("{}/{name}", parts.next().unwrap_or_default())
        } else {
            name
        }
    };
    if same && last(before) == last(now) {
        return;
    }
    let real = top.join(now);
    changes.new.insert(real.clone());
    if is_up(now) {
        changes.edited.insert(
            real,
            Edit {
                renamed_from: Some(before.to_owned()),
                comments_only: same,
            },
        );
    }
}

/// Whether nothing but comments and blanks differs from what the commit has.
fn comments_only(top: &Path, base: &str, path: &str) -> Result<bool, GitError> {
    let asked = format!("{base}:{path}");
    let before = must(top, &["show", asked.as_str()])?;
    let Ok(now) = super::super::open(&top.join(path), super::MAX_SQL_BYTES)
        .map_err(|_| ())
        .and_then(|file| std::io::read_to_string(file).map_err(|_| ()))
    else {
        return Ok(false);
    };
    Ok(bare(&String::from_utf8_lossy(&before)) == bare(&now))
}

/// The lines that are no comment.
fn bare(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("--"))
        .collect()
}
