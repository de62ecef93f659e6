//! Findings of `check` as texts for formats that have one field for them.

use crate::report::markdown;
use crate::report::model::check::{CheckFinding, CheckLock, CheckRemedy, CheckStep};

/// The message with what it would do here, as one line.
pub(super) fn sentence(finding: &CheckFinding<'_>) -> String {
    let mut text = finding.message.to_owned();
    if !finding.why.is_empty() {
        text.push_str(": ");
        text.push_str(finding.why);
    }
    if finding.traced {
        text.push_str(" (seen under --trace)");
    }
    if let Some(assumed) = finding.assumed {
        text.push_str(&format!(" (assumed: {assumed})"));
    }
    text
}

/// Which lock it is, and what is done while it is held, in plain words.
pub(super) fn held(finding: &CheckFinding<'_>, lock: &CheckLock<'_>) -> String {
    let on = finding
        .relation
        .as_ref()
        .map_or_else(String::new, |relation| format!(" on {relation}"));
    let work = match lock.work {
        "scan" => ", held while the table is read",
        "index_build" => ", held while the index is built",
        "index_rebuild" => ", held while its indexes are built anew",
        "rows" => ", held while its rows are changed",
        "rewrite" => ", held while the table is rewritten",
        _ => "",
    };
    format!("{}{on}{work}", lock.mode)
}

/// The whole finding as plain text of several lines.
pub(super) fn plain(finding: &CheckFinding<'_>) -> String {
    let mut text = sentence(finding);
    if let Some(lock) = &finding.lock {
        text.push_str(&format!("\nlock: {}", held(finding, lock)));
    }
    if let Some(remedy) = &finding.remedy {
        text.push_str(&format!("\ninstead: {}", remedy.title));
        for (at, step) in remedy.steps.iter().enumerate() {
            if let Some(place) = step_place(at, step) {
                text.push_str(&format!("\n-- {place}"));
            }
            text.push_str(&format!("\n{};", step.sql));
        }
        for note in &remedy.notes {
            text.push_str(&format!("\n{note}"));
        }
    }
    match &finding.page {
        Some(page) => text.push_str(&format!("\n{page}")),
        None => text.push_str(&format!("\npgadvise rules {}", finding.rule)),
    }
    text
}

/// The whole finding as Markdown, everything in it taken literally.
pub(super) fn markdown(finding: &CheckFinding<'_>) -> String {
    let mut text = format!("{}.\n\n", markdown::escape(&sentence(finding)));
    if let Some(lock) = &finding.lock {
        text.push_str(&format!(
            "Lock: {}.\n\n",
            markdown::escape(&held(finding, lock))
        ));
    }
    if let Some(remedy) = &finding.remedy {
        text.push_str(&self::remedy(remedy));
    }
    text.push_str(&format!("{}\n", link(finding)));
    text
}

/// The rule's name, leading to its page where there is one.
pub(super) fn link(finding: &CheckFinding<'_>) -> String {
    match &finding.page {
        Some(page) => format!("[{}]({page})", finding.rule),
        None => format!("`{}`", finding.rule),
    }
}

/// The safe way as Markdown.
pub(super) fn remedy(remedy: &CheckRemedy<'_>) -> String {
    let mut text = format!("Instead: {}.\n\n", markdown::escape(remedy.title));
    if !remedy.steps.is_empty() {
        let mut out = Vec::new();
        // Writing to a vector does not fail.
        if markdown::fence("sql", &sql(remedy), &mut out).is_ok() {
            text.push_str(&String::from_utf8_lossy(&out));
        }
    }
    for note in &remedy.notes {
        text.push_str(&format!("{}\n\n", markdown::escape(note)));
    }
    text
}

/// The steps of a safe way as one script.
pub(super) fn sql(remedy: &CheckRemedy<'_>) -> String {
    let mut text = String::new();
    for (at, step) in remedy.steps.iter().enumerate() {
        if let Some(place) = step_place(at, step) {
            text.push_str(&format!("-- {place}\n"));
        }
        text.push_str(step.sql);
        text.push_str(";\n");
    }
    text
}

/// Where a step is run, where that is not plain.
pub(super) fn step_place(at: usize, step: &CheckStep<'_>) -> Option<&'static str> {
    match (at > 0 && step.apart, step.outside_transaction) {
        (true, true) => Some("then, committed apart and outside a transaction:"),
        (true, false) => Some("then, committed apart:"),
        (false, true) => Some("outside a transaction:"),
        (false, false) => None,
    }
}
