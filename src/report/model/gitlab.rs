//! A code quality report of GitLab. Names are GitLab's.
#![expect(missing_docs, reason = "each property is that of GitLab's page")]

use std::borrow::Cow;

use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Issue<'a> {
    pub description: String,
    pub check_name: &'a str,
    pub fingerprint: &'a str,
    pub severity: &'static str,
    pub categories: [&'static str; 1],
    pub content: Content,
    pub location: Location<'a>,
}

#[derive(Debug, Serialize)]
pub struct Content {
    pub body: String,
}

#[derive(Debug, Serialize)]
pub struct Location<'a> {
    pub path: Cow<'a, str>,
    pub lines: Lines,
}

#[derive(Debug, Serialize)]
pub struct Lines {
    pub begin: usize,
    pub end: usize,
}
