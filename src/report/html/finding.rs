//! A finding with its evidence and its suggestions.

use askama::Template;

use super::page::Html;
use super::sql;
use super::text;
use crate::report::format;
use crate::report::model::{Applicability, Evidence, Finding, Origin, Suggestion, VerdictStatus};
use crate::report::{summary, verdict};

#[derive(Template)]
#[template(path = "finding.html")]
struct FindingPage<'a> {
    prefix: &'a str,
    number: usize,
    finding: &'a Finding,
    message: &'a str,
    is_open: bool,
    is_marked: bool,
    timed: bool,
    suggestions: Vec<SuggestionPage<'a>>,
}

/// A suggestion with its texts made.
pub(super) struct SuggestionPage<'a> {
    suggestion: &'a Suggestion,
    /// What a planner said, in a word, and whether that is good.
    badge: (&'static str, &'static str),
    sentences: Vec<String>,
    sql: Option<Html>,
    diff: Option<Html>,
    rewritten: Option<Html>,
    effects: Vec<String>,
}

/// The finding as an article.
pub(super) fn draw(
    finding: &Finding,
    number: usize,
    prefix: &str,
    is_open: bool,
    is_marked: bool,
    timed: bool,
) -> Html {
    let page = FindingPage {
        prefix,
        number,
        finding,
        message: text::shorten(&finding.message, 2_000).0,
        is_open,
        is_marked,
        timed,
        suggestions: finding.suggestions.iter().map(suggestion).collect(),
    };
    // Writing to a string cannot fail.
    Html::trusted(page.render().unwrap_or_default())
}

fn suggestion(suggestion: &Suggestion) -> SuggestionPage<'_> {
    SuggestionPage {
        suggestion,
        badge: match suggestion.verdict.status {
            VerdictStatus::Better => ("better", "good"),
            VerdictStatus::BetterEstimate => ("better estimate", "good"),
            VerdictStatus::NoChange => ("no change", "bad"),
            VerdictStatus::Worse => ("worse", "bad"),
            VerdictStatus::Untested => ("not tested", "open"),
        },
        sentences: verdict::sentences(&suggestion.verdict).1,
        sql: suggestion.sql.as_deref().map(sql::plain),
        diff: suggestion.diff.as_deref().map(sql::diff),
        rewritten: suggestion.rewritten_sql.as_deref().map(sql::plain),
        effects: suggestion
            .side_effects
            .iter()
            .map(summary::side_effect)
            .collect(),
    }
}

impl FindingPage<'_> {
    fn share(&self) -> String {
        format::share(self.finding.share)
    }

    fn saves(&self) -> Option<String> {
        summary::saves(self.finding)
    }

    fn bar(&self) -> String {
        format!("{:.1}%", self.finding.share.clamp(0.0, 1.0) * 100.0)
    }

    fn origin(&self, evidence: &Evidence) -> Html {
        match &evidence.from {
            Origin::Plan { node } => Html::trusted(format!(
                "<a href=\"#{}n{}\">plan node {}</a>",
                self.prefix, node.id, node.id
            )),
            other => Html::text(text::shorten(&summary::origin(other), 500).0),
        }
    }
}

impl SuggestionPage<'_> {
    fn may_change_results(&self) -> bool {
        self.suggestion.applicability == Applicability::MayChangeResults
    }

    /// The advice in words, where the title does not say it already.
    fn advice(&self) -> Option<&str> {
        self.suggestion
            .advice
            .as_deref()
            .filter(|advice| *advice != self.suggestion.title)
    }
}
