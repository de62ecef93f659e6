//! What a finding is known by from run to run: not lines, which move, nor
//! folders, which are named differently on every machine.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use crate::finding::migration::MigrationFinding;
use crate::migration::{Direction, History};
use crate::source::{Sources, Span};
use crate::sql::fingerprint::normalize;
use crate::threads;

/// Fewer findings than this are not worth a thread.
const LEAST_SHARE: usize = 200;

/// A fingerprint of each finding, in their order: 32 hexadecimal digits.
///
/// It is made of the rule, the file's version (or its name without folders),
/// the statement without comments, layout and values, the relation and the
/// object; and of a number where all that is the same for several.
pub fn fingerprints(
    findings: &[MigrationFinding],
    history: &History,
    sources: &Sources,
) -> Vec<String> {
    let mut seen: HashMap<[u8; 16], u32> = HashMap::with_capacity(findings.len());
    let first = first_digests(findings, history, sources);
    findings
        .iter()
        .zip(first)
        .map(|(finding, first)| {
            let count = seen.entry(first).or_insert(0);
            let number = *count;
            *count += 1;
            let bytes = if number == 0 {
                first
            } else {
                let mut text = Vec::new();
                let span = statement_span(finding, history);
                normalize(sources.slice(span).as_bytes(), &mut text, |_| false);
                digest(finding, history, &text, number)
            };
            hex(&bytes)
        })
        .collect()
}

/// The digest of each finding, were it the only one of its kind; on several
/// threads where there are many.
fn first_digests(
    findings: &[MigrationFinding],
    history: &History,
    sources: &Sources,
) -> Vec<[u8; 16]> {
    let of = |findings: &[MigrationFinding]| {
        let mut last: Option<(Span, Vec<u8>)> = None;
        let mut digests = Vec::with_capacity(findings.len());
        for finding in findings {
            let span = statement_span(finding, history);
            if last.as_ref().is_none_or(|(of, _)| *of != span) {
                let mut text = Vec::new();
                normalize(sources.slice(span).as_bytes(), &mut text, |_| false);
                last = Some((span, text));
            }
            let text = last.as_ref().map_or(&[][..], |(_, text)| text.as_slice());
            digests.push(digest(finding, history, text, 0));
        }
        digests
    };
    let share = findings.len().div_ceil(history.options.threads.max(1));
    if share < LEAST_SHARE {
        return of(findings);
    }
    threads::each(findings.chunks(share), of)
        .into_iter()
        .flatten()
        .collect()
}

/// The statement of a finding, where its place is in it; else its place.
fn statement_span(finding: &MigrationFinding, history: &History) -> Span {
    super::statement_at(history, finding.at)
        .map(|statement| statement.span)
        .filter(|span| span.contains(finding.span))
        .unwrap_or(finding.span)
}

fn digest(finding: &MigrationFinding, history: &History, text: &[u8], number: u32) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(finding.rule.as_bytes());
    if let Some(file) = history.files.get(finding.at.file) {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        part(file.version.as_deref().unwrap_or(name).as_bytes());
        part(file.database.as_deref().unwrap_or_default().as_bytes());
        let down = file
            .parts
            .get(finding.at.part)
            .is_some_and(|part| part.direction == Direction::Down);
        part(if down { b"down" } else { b"up" });
    }
    part(text);
    match &finding.relation {
        Some(relation) => {
            part(relation.schema.as_bytes());
            part(relation.name.as_bytes());
        }
        None => part(b""),
    }
    part(finding.object.as_deref().unwrap_or_default().as_bytes());
    part(&number.to_le_bytes());
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    short
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0') as char;
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
