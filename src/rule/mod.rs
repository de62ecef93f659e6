//! What a rule is.
//!
//! A rule gets values and a sink. It does no I/O, cannot fail, does not know
//! the clock, and does not know other rules.

pub mod migration;
pub mod nearest;

use crate::finding::{Evidence, Finding, Level, Suggestion};
use crate::plan::{NodeId, NodeKind};
use crate::source::Span;
use crate::subject::Subject;

/// What a rule needs before it can say anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The statement's text, understood.
    Sql,
    /// A plan.
    Plan,
    /// A plan that was executed.
    Actuals,
    /// A plan with BUFFERS.
    Buffers,
    /// The catalogue.
    Catalog,
    /// Column statistics.
    Statistics,
}

impl Need {
    /// What the user can give to have it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Sql => "the statement's SQL",
            Self::Plan => "a plan (--plan, --schema or a database)",
            Self::Actuals => "a plan that was executed (--analyze)",
            Self::Buffers => "a plan with BUFFERS (--analyze)",
            Self::Catalog => "the catalogue (--schema or a database)",
            Self::Statistics => "column statistics (ANALYZE, or rights to read pg_stats)",
        }
    }

    /// Its name in output.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Plan => "plan",
            Self::Actuals => "actuals",
            Self::Buffers => "buffers",
            Self::Catalog => "catalog",
            Self::Statistics => "statistics",
        }
    }
}

/// What there is to know about a rule, written by [`declare_rule!`].
#[derive(Debug)]
pub struct Meta {
    /// Its name: the pattern found, as it reads after "ignore".
    pub id: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Its usual level; a finding may be of another.
    pub level: Level,
    /// What it needs.
    pub needs: &'static [Need],
    /// The kinds of plan node that it looks at one by one; empty for a rule
    /// that looks at the text or the plan as a whole.
    pub concerns: &'static [NodeKind],
    /// The version that brought it.
    pub since: &'static str,
    /// Its page, from the doc comment.
    pub docs: &'static str,
    /// Its file.
    pub file: &'static str,
}

/// The part of a rule that the macro writes.
pub trait Described {
    /// What there is to know about it.
    fn meta(&self) -> &'static Meta;
}

/// A rule.
pub trait Rule: Described + Sync {
    /// Looks at a subject that has everything the rule needs.
    fn check(&self, subject: &Subject<'_>, sink: &mut Sink);
}

/// Why a rule that looked at a plan node reported nothing about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The rule's name.
    pub rule: &'static str,
    /// The node.
    pub node: NodeId,
    /// The reason, with the numbers that decided: no capital, no full stop.
    pub reason: String,
}

/// Where findings go. It knows the rule's name, so that a rule cannot report
/// under another's.
#[derive(Debug)]
pub struct Sink {
    meta: &'static Meta,
    findings: Vec<Finding>,
    /// Kept only where somebody asked for it.
    passed: Option<Vec<Passed>>,
}

impl Sink {
    /// A sink for that rule.
    pub fn new(meta: &'static Meta) -> Self {
        Self {
            meta,
            findings: Vec::new(),
            passed: None,
        }
    }

    /// A sink that keeps why the rule stayed silent about nodes, too.
    pub fn asking(meta: &'static Meta) -> Self {
        Self {
            passed: Some(Vec::new()),
            ..Self::new(meta)
        }
    }

    /// Says why nothing is reported about a node that the rule looked at. The
    /// reason is put into words only when somebody asked.
    pub fn pass(&mut self, node: NodeId, reason: impl FnOnce() -> String) {
        if let Some(passed) = &mut self.passed {
            passed.push(Passed {
                rule: self.meta.id,
                node,
                reason: reason(),
            });
        }
    }

    /// The same where a condition decides, which is handed back:
    /// `if sink.passes(rows < LEAST, id, || …) { return; }`.
    pub fn passes(&mut self, decided: bool, node: NodeId, reason: impl FnOnce() -> String) -> bool {
        if decided {
            self.pass(node, reason);
        }
        decided
    }

    /// Reports a finding at the rule's usual level. No finding can be reported
    /// without evidence: the first piece is an argument of its own.
    pub fn report(
        &mut self,
        message: impl Into<String>,
        why: impl Into<String>,
        evidence: Evidence,
    ) -> Draft<'_> {
        self.findings.push(Finding {
            rule: self.meta.id,
            level: self.meta.level,
            span: None,
            node: None,
            relation: None,
            message: message.into(),
            why: why.into(),
            evidence: vec![evidence],
            suggestions: Vec::new(),
            share: 0.0,
        });
        let at = self.findings.len() - 1;
        Draft { sink: self, at }
    }

    /// What was reported.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// What was reported, and why other nodes were not.
    pub fn into_parts(self) -> (Vec<Finding>, Vec<Passed>) {
        (self.findings, self.passed.unwrap_or_default())
    }
}

/// A finding being written.
#[derive(Debug)]
pub struct Draft<'a> {
    sink: &'a mut Sink,
    at: usize,
}

impl Draft<'_> {
    fn set(self, change: impl FnOnce(&mut Finding)) -> Self {
        if let Some(finding) = self.sink.findings.get_mut(self.at) {
            change(finding);
        }
        self
    }

    /// Another level than the rule's usual one.
    pub fn level(self, level: Level) -> Self {
        self.set(|finding| finding.level = level)
    }

    /// The place in the SQL.
    pub fn span(self, span: Option<Span>) -> Self {
        self.set(|finding| finding.span = span)
    }

    /// The plan node.
    pub fn node(self, node: NodeId) -> Self {
        self.set(|finding| finding.node = Some(node))
    }

    /// The table concerned.
    pub fn relation(self, schema: impl Into<String>, name: impl Into<String>) -> Self {
        self.set(|finding| finding.relation = Some((schema.into(), name.into())))
    }

    /// More evidence.
    pub fn evidence(self, evidence: Evidence) -> Self {
        self.set(|finding| finding.evidence.push(evidence))
    }

    /// What to do.
    pub fn suggest(self, suggestion: Suggestion) -> Self {
        self.set(|finding| finding.suggestions.push(suggestion))
    }

    /// The share of the statement's time or cost that could be saved, 0 to 1.
    pub fn share(self, share: f64) -> Self {
        self.set(|finding| finding.share = share.clamp(0.0, 1.0))
    }
}

/// Declares a rule: its doc comment becomes its page. `concerns` names the
/// kinds of plan node that the rule looks at one by one, for "why was this node
/// not flagged"; a rule that has none leaves it out.
#[macro_export]
macro_rules! declare_rule {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident = {
            id: $id:literal,
            summary: $summary:literal,
            level: $level:ident,
            needs: [$($need:ident),* $(,)?],
            $(concerns: [$($kind:ident),* $(,)?],)?
            since: $since:literal $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug)]
        $vis struct $name;

        impl $crate::rule::Described for $name {
            fn meta(&self) -> &'static $crate::rule::Meta {
                static META: $crate::rule::Meta = $crate::rule::Meta {
                    id: $id,
                    summary: $summary,
                    level: $crate::finding::Level::$level,
                    needs: &[$($crate::rule::Need::$need),*],
                    concerns: &[$($($crate::plan::NodeKind::$kind),*)?],
                    since: $since,
                    docs: concat!($($doc, "\n"),*),
                    file: file!(),
                };
                &META
            }
        }
    };
}
