//! The pages that are not reports.

use askama::Template;

use super::app::Pasted;
use crate::report::html::{Forms, Html, page_with, text, with_head};

#[derive(Template)]
#[template(path = "paste.html")]
struct FormBody<'a> {
    plan: Html,
    sql: Html,
    message: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "login.html")]
struct LoginBody<'a> {
    message: Option<&'a str>,
}

/// The page to paste a plan into, with what was pasted and what was wrong with
/// it.
pub(super) fn form(pasted: &Pasted, message: Option<&str>) -> String {
    let body = FormBody {
        plan: Html::trusted(text::verbatim(&pasted.plan)),
        sql: Html::trusted(text::verbatim(&pasted.sql)),
        message,
    };
    framed("pgadvise: explain a plan", &body)
}

/// The page that asks for the token.
pub(super) fn login(message: Option<&str>) -> String {
    framed("pgadvise: token", &LoginBody { message })
}

fn framed(title: &str, body: &impl Template) -> String {
    // Writing to a string cannot fail.
    let body = Html::trusted(body.render().unwrap_or_default());
    page_with(
        title,
        &with_head("on this machine, without a network", &body),
        Forms::Own,
    )
}
