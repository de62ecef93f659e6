//! Levels of rules for some files only.

use std::collections::BTreeMap;

use crate::finding::Level;
use crate::finding::migration::MigrationFinding;
use crate::migration::History;

/// What is said of rules for some files.
pub struct Override<'a> {
    /// Whether it is for the file of that path.
    pub concerns: Box<dyn Fn(&str) -> bool + 'a>,
    /// Level by rule; `None` is off.
    pub rules: &'a BTreeMap<String, Option<Level>>,
}

impl std::fmt::Debug for Override<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Override")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Sets levels by file and drops what is off there; the last word holds.
pub fn apply(findings: &mut Vec<MigrationFinding>, history: &History, overrides: &[Override<'_>]) {
    if overrides.is_empty() {
        return;
    }
    // Files are asked once: findings of one stand together.
    let mut last: Option<(usize, Vec<&Override<'_>>)> = None;
    findings.retain_mut(|finding| {
        if last
            .as_ref()
            .is_none_or(|(file, _)| *file != finding.at.file)
        {
            let path = history
                .files
                .get(finding.at.file)
                .map_or("", |file| file.path.as_str());
            let fitting = overrides
                .iter()
                .filter(|entry| (entry.concerns)(path))
                .collect();
            last = Some((finding.at.file, fitting));
        }
        let word = last
            .iter()
            .flat_map(|(_, entries)| entries)
            .rev()
            .find_map(|entry| entry.rules.get(finding.rule));
        match word {
            None => true,
            Some(None) => false,
            Some(Some(level)) => {
                finding.level = *level;
                true
            }
        }
    });
}
