//! The plan as rows, as EXPLAIN prints it, with the numbers beside it: what is
//! read without a mouse, on a small screen, on paper, and by a screen reader.

use super::picture::{Picture, off_text, split_label};
use super::text;
use crate::report::format;
use crate::report::model::PlanNode;

/// Plans with more nodes have their conditions with the node's properties only.
const CONDITIONS_UP_TO: usize = 400;
/// Characters of a condition.
const CONDITION: usize = 300;
/// The deepest indentation that the style knows.
const DEEPEST: usize = 40;

/// One step of the outline.
enum Step {
    Node(usize),
    Open(usize),
    Close,
}

/// The rows.
pub(super) fn draw(picture: &Picture<'_>) -> String {
    let timed = picture.timed;
    let executed = picture.plan.executed;
    let with_conditions = picture.plan.nodes.len() <= CONDITIONS_UP_TO;
    let mut out = String::with_capacity(picture.plan.nodes.len() * 400);
    let deepest = picture.depth.iter().max().copied().unwrap_or(0);
    let indent = match deepest {
        0..=9 => "",
        10..=16 => " deep",
        _ => " deeper",
    };
    out.push_str(&format!(
        "<table class=\"rows{indent}\" role=treegrid aria-label=\"The plan, node by node\"><thead><tr>\
                  <th scope=col>Node"
    ));
    out.push_str(if timed {
        "<th scope=col class=num>Own time"
    } else {
        "<th scope=col class=num>Own cost"
    });
    out.push_str("<th scope=col class=num>Share");
    if executed {
        out.push_str("<th scope=col class=\"num wide\">Rows expected<th scope=col class=num>Rows<th scope=col class=\"num wide\">Times");
    } else {
        out.push_str("<th scope=col class=num>Rows expected");
    }
    out.push_str("<tbody>");
    let columns = if executed { 6 } else { 4 };
    let mut open = vec![Step::Node(0)];
    while let Some(step) = open.pop() {
        match step {
            Step::Node(at) => {
                row(picture, at, with_conditions, &mut out);
                let groups = picture.groups_below.get(at).map_or(&[][..], Vec::as_slice);
                for group in groups.iter().rev() {
                    open.push(Step::Open(*group));
                }
                let unfolded = picture.is_folded(at);
                for child in picture.below_of(at).iter().rev() {
                    if unfolded || !picture.is_folded(*child) {
                        open.push(Step::Node(*child));
                    }
                }
            }
            Step::Open(number) => {
                let Some(group) = picture.groups.get(number) else {
                    continue;
                };
                let depth = group
                    .members
                    .first()
                    .and_then(|member| picture.depth.get(*member))
                    .copied()
                    .unwrap_or(0);
                let kind = group
                    .members
                    .first()
                    .and_then(|member| picture.node(*member))
                    .map_or("", |node| split_label(node).0);
                let inside = if group.nodes > group.members.len() {
                    format!(" ({} in all)", format::plural(group.nodes, "node", "nodes"))
                } else {
                    String::new()
                };
                let rows = group.rows.map_or_else(String::new, |rows| {
                    format!(", {} rows", format::count(rows))
                });
                out.push_str(&format!(
                    "<tbody class=foldrow><tr id=\"{}g{number}\" tabindex=-1><td class=\"d{}\" colspan={columns}><label><input type=checkbox> … {} more alike: {}{inside}, {}{rows}</label><tbody class=fold>",
                    picture.prefix,
                    depth.min(DEEPEST),
                    format::count(group.members.len() as f64),
                    text::escape(text::shorten(kind, 120).0),
                    text::escape(&picture.amount(group.own)),
                ));
                open.push(Step::Close);
                for member in group.members.iter().rev() {
                    open.push(Step::Node(*member));
                }
            }
            Step::Close => out.push_str("<tbody>"),
        }
    }
    out.push_str("</table>");
    out
}

fn row(picture: &Picture<'_>, at: usize, with_conditions: bool, out: &mut String) {
    let Some(node) = picture.node(at) else { return };
    let depth = picture.depth.get(at).copied().unwrap_or(0);
    let (kind, object) = split_label(node);
    out.push_str(&format!(
        "<tr class=\"h{}{}\" aria-level={}><td class=\"d{}\"><a class=n href=\"#{}n{}\">",
        picture.heat(at),
        if node.never_executed { " never" } else { "" },
        depth + 1,
        depth.min(DEEPEST),
        picture.prefix,
        node.id,
    ));
    if let Some(role) = &node.role {
        out.push_str("<i>");
        push_cut(out, role, 120);
        out.push_str("</i> ");
    }
    out.push_str("<b>");
    push_cut(out, kind, 120);
    out.push_str("</b>");
    if !object.is_empty() {
        out.push(' ');
        push_cut(out, object, 200);
    }
    out.push_str("</a>");
    for (number, level) in picture.findings_at(at) {
        out.push_str(&format!(
            " <a class=\"tag {0}\" href=\"#{1}x{2}\">{0}</a>",
            level.name(),
            picture.prefix,
            number + 1
        ));
    }
    if with_conditions {
        for condition in &node.conditions {
            out.push_str("<div class=c>");
            text::push(out, &condition.role);
            out.push_str(": <code>");
            push_cut(out, &condition.text, CONDITION);
            out.push_str("</code></div>");
        }
    }
    out.push_str("<td class=num>");
    text::push(out, &picture.own_text(at));
    out.push_str("<td class=\"num share\">");
    if !node.never_executed {
        text::push(out, &format::share(node.share));
        if node.share >= 0.0005 {
            out.push_str(&format!(
                "<svg class=meter aria-hidden=true><rect width=\"{:.1}%\" height=4 rx=1 /></svg>",
                node.share.clamp(0.0, 1.0) * 100.0
            ));
        }
    }
    let expected = node
        .rows_estimated
        .map_or_else(|| "?".to_owned(), format::count);
    if picture.plan.executed {
        out.push_str("<td class=\"num wide\">");
        out.push_str(&expected);
        out.push_str("<td class=num>");
        out.push_str(&came(node));
        if let Some(off) = off_text(node) {
            out.push_str(&format!(
                " <span class=off title=\"the estimate is off by this factor\">{}</span>",
                text::escape(&off)
            ));
        }
        out.push_str("<td class=\"num wide\">");
        if let Some(loops) = node.loops.filter(|_| !node.never_executed) {
            out.push_str(&format::count(loops));
        }
    } else {
        out.push_str("<td class=num>");
        out.push_str(&expected);
    }
}

fn came(node: &PlanNode) -> String {
    if node.never_executed {
        "never executed".to_owned()
    } else {
        node.rows_actual
            .map_or_else(|| "?".to_owned(), format::count)
    }
}

/// The beginning of a text, escaped.
fn push_cut(out: &mut String, long: &str, most: usize) {
    let (kept, lost) = text::shorten(long, most);
    text::push(out, kept);
    if lost > 0 {
        out.push('…');
    }
}
