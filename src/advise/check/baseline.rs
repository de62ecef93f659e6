//! Findings that were there when the gate was set up: counted, and no reason
//! to fail.

use std::collections::HashSet;

/// What a baseline leaves of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compared {
    /// For each finding, whether it is in the baseline.
    pub known: Vec<bool>,
    /// For each entry of the baseline, whether nothing was found for it.
    pub stale: Vec<bool>,
}

/// Compares the fingerprints of findings with those of a baseline.
pub fn compare(found: &[String], entries: &[&str]) -> Compared {
    let known: HashSet<&str> = entries.iter().copied().collect();
    let seen: HashSet<&str> = found.iter().map(String::as_str).collect();
    Compared {
        known: found
            .iter()
            .map(|fingerprint| known.contains(fingerprint.as_str()))
            .collect(),
        stale: entries.iter().map(|entry| !seen.contains(entry)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_and_what_is_stale() {
        let found = ["a".to_owned(), "b".to_owned()];
        let compared = compare(&found, &["b", "c"]);
        assert_eq!(compared.known, [false, true]);
        assert_eq!(compared.stale, [false, true]);
    }
}
