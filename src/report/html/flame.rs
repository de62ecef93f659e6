//! The plan as an icicle: each node as wide as the time (or the cost) that it
//! takes with everything below it, its inputs under it. What is not covered
//! by inputs is its own.
//!
//! Widths are sums of own times, so that inputs never reach beyond their node,
//! whatever ran side by side.

use super::picture::{Picture, split_label};
use super::text;
use super::tree;
use crate::report::format;

/// Pixels of a level.
const LEVEL: usize = 24;
/// What is narrower than this share of the page is not drawn.
const NARROWEST: f64 = 0.0006;
/// From this share on there is room for words.
const LABELLED: f64 = 0.03;

/// The picture; `None` where nothing was measured that widths could show.
pub(super) fn draw(picture: &Picture<'_>) -> Option<String> {
    let whole = picture
        .below
        .first()
        .copied()
        .filter(|whole| *whole > 0.0)?;
    let mut drawn = String::new();
    let mut deepest = 0;
    let mut too_narrow = 0_usize;
    // Node, and where it begins.
    let mut open = vec![(0_usize, 0.0_f64)];
    while let Some((at, x)) = open.pop() {
        let share = picture.below.get(at).copied().unwrap_or(0.0) / whole;
        if share < NARROWEST {
            too_narrow += 1;
            continue;
        }
        let depth = picture.depth.get(at).copied().unwrap_or(0);
        deepest = deepest.max(depth);
        bar(picture, at, x, share, depth, &mut drawn);
        let mut next = x;
        let mut inputs = Vec::new();
        for child in picture.below_of(at) {
            inputs.push((*child, next));
            next += picture.below.get(*child).copied().unwrap_or(0.0) / whole;
        }
        open.extend(inputs.into_iter().rev());
    }
    let height = (deepest + 1) * LEVEL;
    let what = if picture.timed { "time" } else { "cost" };
    let mut svg = format!(
        "<svg class=flame width=\"100%\" height=\"{height}\" role=group aria-label=\"Where the {what} goes\">{drawn}</svg>"
    );
    if too_narrow > 0 {
        svg.push_str(&format!(
            "<p class=muted>{} (with everything below) took too little to be drawn.</p>",
            format::plural(too_narrow, "node", "nodes")
        ));
    }
    Some(svg)
}

fn bar(picture: &Picture<'_>, at: usize, x: f64, share: f64, depth: usize, out: &mut String) {
    let Some(node) = picture.node(at) else { return };
    let first = if at == 0 { "0" } else { "-1" };
    let amount = picture.amount(picture.below.get(at).copied().unwrap_or(0.0));
    out.push_str(&format!(
        "<a class=\"n h{}\" href=\"#{}n{}\" tabindex={first} aria-label=\"{}\"><svg x=\"{:.2}%\" y={} width=\"{:.2}%\" height={LEVEL}>\
         <title>{}</title><rect class=box width=\"100%\" height={} rx=2 />",
        picture.heat(at),
        picture.prefix,
        node.id,
        text::escape(&tree::described(picture, at)),
        x * 100.0,
        depth * LEVEL,
        share * 100.0,
        text::escape(&format!(
            "{}\n{amount} with everything below, {} alone",
            crate::report::prose::cut(&node.label, 200),
            picture.own_text(at)
        )),
        LEVEL - 2,
    ));
    if share >= LABELLED {
        let (kind, object) = split_label(node);
        let object = if object.is_empty() {
            String::new()
        } else {
            format!(
                " <tspan class=o>{}</tspan>",
                text::escape(&crate::report::prose::cut(object, 60))
            )
        };
        out.push_str(&format!(
            "<text class=k x=6 y=15>{}{object} <tspan class=o>{}</tspan></text>",
            text::escape(&crate::report::prose::cut(kind, 60)),
            text::escape(&amount)
        ));
    }
    out.push_str("</svg></a>");
}
