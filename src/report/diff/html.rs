//! The comparison as a page of its own.

use std::io::{self, Write};

use super::rows::{self, Row};
use super::text;
use crate::report::format;
use crate::report::html::text::escape;
use crate::report::html::{Html, page, with_head};
use crate::report::model::diff::{DiffOutcome, DiffReport, DiffStatus, PlanComparison, SqlChange};

pub(super) fn render(report: &DiffReport, out: &mut dyn Write) -> io::Result<()> {
    let several = report.comparisons.len() + report.unpaired.len() > 1;
    let mut body = String::from("<main>\n<h1 class=\"unseen\">Plans compared</h1>\n");
    if several {
        body.push_str(&format!("<p>{}</p>\n", escape(&text::totals(report))));
    }
    for (at, comparison) in report.comparisons.iter().enumerate() {
        section(comparison, several, at + 1, &mut body);
    }
    if !report.unpaired.is_empty() {
        body.push_str("<section class=\"card\"><h2>Plans without a counterpart</h2>\n<ul>\n");
        for plan in &report.unpaired {
            body.push_str(&format!(
                "<li>{}, plan {}{}</li>\n",
                escape(&plan.plan.file),
                plan.plan.number,
                plan.sql.as_deref().map_or_else(String::new, |sql| format!(
                    "<pre><code>{}</code></pre>",
                    escape(sql)
                ))
            ));
        }
        body.push_str("</ul></section>\n");
    }
    if !report.problems.is_empty() {
        body.push_str("<section class=\"card\"><h2>Problems</h2>\n<ul>\n");
        for problem in &report.problems {
            body.push_str(&format!("<li>{}</li>\n", escape(&problem.message)));
        }
        body.push_str("</ul></section>\n");
    }
    body.push_str("</main>\n");
    let title = match report.comparisons.as_slice() {
        [only] => rows::title(only, false),
        _ => "Plans compared".to_owned(),
    };
    out.write_all(page(&title, &with_head("Plans compared", &Html::trusted(body))).as_bytes())
}

fn section(found: &PlanComparison, several: bool, number: usize, body: &mut String) {
    let (outcome, word) = match found.verdict.outcome {
        DiffOutcome::Better => ("good", "better"),
        DiffOutcome::Worse => ("bad", "worse"),
        DiffOutcome::Same => ("open", "same"),
        DiffOutcome::NotComparable => ("open", "not comparable"),
    };
    // The badge says the first word.
    let said = found
        .verdict
        .summary
        .strip_prefix(word)
        .and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or(&found.verdict.summary);
    body.push_str(&format!(
        "<section class=\"card\" aria-labelledby=\"pair-{number}\">\n<h2 id=\"pair-{number}\">{}</h2>\n<p class=\"lead\"><span class=\"badge {outcome}\">{word}</span> {}</p>\n",
        escape(&rows::title(found, several)),
        escape(said)
    ));
    for plan in [&found.before, &found.after] {
        if let Some(missing) = &plan.incomplete {
            body.push_str(&format!(
                "<p class=\"problem\">{} is incomplete: {}</p>\n",
                escape(&plan.file),
                escape(missing)
            ));
        }
    }
    for warning in &found.verdict.warnings {
        body.push_str(&format!("<p class=\"problem\">{}</p>\n", escape(warning)));
    }
    if !found.causes.is_empty() {
        body.push_str("<h3>Why</h3>\n<ol>\n");
        for cause in &found.causes {
            body.push_str(&format!("<li>{}", escape(&cause.message)));
            let facts: Vec<String> = rows::facts(cause)
                .into_iter()
                .chain(rows::weight(cause, found))
                .map(|fact| format!("<li>{}</li>", escape(&fact)))
                .collect();
            if !facts.is_empty() {
                body.push_str(&format!("<ul>{}</ul>", facts.concat()));
            }
            body.push_str("</li>\n");
        }
        body.push_str("</ol>\n");
    }
    if let Some(account) = rows::account(found) {
        body.push_str(&format!(
            "<h3>Where the time differs</h3>\n<p>{}</p>\n<ul>\n",
            escape(&account)
        ));
        for (ms, label) in rows::carriers(found) {
            body.push_str(&format!(
                "<li><strong>{}</strong> {}</li>\n",
                escape(&ms),
                escape(&label)
            ));
        }
        body.push_str("</ul>\n");
    }
    body.push_str("<h3>Totals</h3>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"sums\"><thead><tr><th scope=\"col\">number</th><th scope=\"col\" class=\"num\">before</th><th scope=\"col\" class=\"num\">after</th><th scope=\"col\">difference</th></tr></thead><tbody>\n");
    for [name, before, after, change] in rows::totals(found) {
        body.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td class=\"num\">{}</td><td class=\"num\">{}</td><td>{}</td></tr>\n",
            escape(&name),
            escape(&before),
            escape(&after),
            escape(&change)
        ));
    }
    body.push_str("</tbody></table></div>\n");
    settings(found, body);
    sql(found, body);
    plan(found, body);
    body.push_str("</section>\n");
}

fn settings(found: &PlanComparison, body: &mut String) {
    if found.settings.is_empty() {
        return;
    }
    body.push_str("<h3>Settings</h3>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"sums\"><thead><tr><th scope=\"col\">setting</th><th scope=\"col\">before</th><th scope=\"col\">after</th></tr></thead><tbody>\n");
    for setting in &found.settings {
        let cell = |value: &Option<String>| {
            value
                .as_deref()
                .map_or_else(|| "not printed".to_owned(), escape)
        };
        body.push_str(&format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>\n",
            escape(&setting.name),
            cell(&setting.before),
            cell(&setting.after)
        ));
    }
    body.push_str("</tbody></table></div>\n");
}

fn sql(found: &PlanComparison, body: &mut String) {
    let Some(sql) = &found.sql else { return };
    body.push_str("<h3>SQL</h3>\n<pre class=\"diff\"><code>");
    for line in &sql.lines {
        let text = escape(&line.text);
        body.push_str(&match line.change {
            SqlChange::Kept => format!("<span>  {text}</span>"),
            SqlChange::Gone => format!("<span class=\"gone\">- {text}</span>"),
            SqlChange::New => format!("<span class=\"new\">+ {text}</span>"),
        });
    }
    body.push_str("</code></pre>\n");
}

fn plan(found: &PlanComparison, body: &mut String) {
    let columns = rows::columns(found, false);
    body.push_str("<h3>Plan</h3>\n<p class=\"muted\">~ changed, − gone, + new</p>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"compared\"><thead><tr><th scope=\"col\">node</th>");
    for column in &columns {
        body.push_str(&format!(
            "<th scope=\"col\" class=\"num\">{} before</th><th scope=\"col\" class=\"num\">after</th>",
            column.title
        ));
    }
    body.push_str("</tr></thead><tbody>\n");
    // A page has room for every node.
    for row in rows::rows(found, found.nodes.len() <= 5_000) {
        let node = match row {
            Row::Node(node) => node,
            Row::Gap(hidden) => {
                body.push_str(&format!(
                    "<tr><td colspan=\"{}\">… {} that differ less</td></tr>\n",
                    columns.len() * 2 + 1,
                    format::plural(hidden, "node", "nodes")
                ));
                continue;
            }
        };
        let (status, mark) = match node.status {
            DiffStatus::Same => ("same", ""),
            DiffStatus::Changed => ("changed", "~ "),
            // The style puts their marks.
            DiffStatus::Gone => ("gone", ""),
            DiffStatus::New => ("new", ""),
        };
        body.push_str(&format!(
            "<tr class=\"{status}\"><td class=\"d{}\">{mark}{}<span class=\"unseen\"> ({status})</span>",
            node.depth.min(40),
            escape(&rows::label(node))
        ));
        let details: Vec<String> = rows::details(node)
            .iter()
            .map(|detail| format!("<br><small>{}</small>", escape(detail)))
            .collect();
        body.push_str(&details.concat());
        body.push_str("</td>");
        for column in &columns {
            for cell in column.cells(node) {
                body.push_str(&format!("<td class=\"num\">{}</td>", escape(&cell)));
            }
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table></div>\n");
}
