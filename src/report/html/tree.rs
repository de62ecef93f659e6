//! The plan as a tree: boxes under boxes, the streams of rows between them.
//!
//! The first input stands straight below its node, so that the path that a
//! query begins with is a straight line at the left; every further input's
//! subtree is moved to the right just as far as it must be. The outlines of
//! the subtrees are merged the smaller into the larger, so that the layout is
//! linear in the number of nodes.

use super::picture::{Picture, off_text, split_label};
use super::text;
use crate::report::format;
use crate::report::prose;

const WIDTH: f64 = 196.0;
const HEIGHT: f64 = 62.0;
const GAP: f64 = 20.0;
const LEVEL: f64 = 34.0;
/// Around the picture.
const MARGIN: f64 = 10.0;
/// Columns of text that a box holds: of the bold line, and of the others.
const BOLD_COLUMNS: usize = 24;
const COLUMNS: usize = 29;
/// The widest stream of rows.
const STREAM: f64 = 15.0;

/// What is drawn as a box.
#[derive(Clone, Copy)]
enum Item {
    Node(usize),
    Group(usize),
}

struct Placed {
    item: Item,
    /// Its position among the boxes above it.
    parent: Option<usize>,
    depth: usize,
    x: f64,
}

/// The picture, with how many boxes it has.
pub(super) struct Drawn {
    pub(super) svg: String,
    pub(super) boxes: usize,
}

/// Draws the tree.
pub(super) fn draw(picture: &Picture<'_>) -> Drawn {
    let mut boxes = boxes(picture);
    place(&mut boxes);
    let widest = boxes.iter().map(|one| one.x).fold(0.0, f64::max) + WIDTH + 2.0 * MARGIN;
    let deepest = boxes.iter().map(|one| one.depth).max().unwrap_or(0);
    let height = top(deepest) + HEIGHT + MARGIN;
    let mut svg = format!(
        "<svg class=tree width=\"{widest:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {widest:.0} {height:.0}\" \
         role=group aria-label=\"The plan as a tree, {}\">",
        format::plural(picture.plan.nodes.len(), "node", "nodes")
    );
    svg.push_str("<g class=streams aria-hidden=true>");
    for one in &boxes {
        if let Some(above) = one.parent.and_then(|parent| boxes.get(parent)) {
            stream(picture, one, above, &mut svg);
        }
    }
    svg.push_str("</g>");
    for one in &boxes {
        match one.item {
            Item::Node(at) => node(picture, at, one, &mut svg),
            Item::Group(at) => group(picture, at, one, &mut svg),
        }
    }
    svg.push_str("</svg>");
    Drawn {
        svg,
        boxes: boxes.len(),
    }
}

/// The boxes, parents before children.
fn boxes(picture: &Picture<'_>) -> Vec<Placed> {
    let mut boxes: Vec<Placed> = Vec::new();
    let mut open = vec![(Item::Node(0), None, 0)];
    while let Some((item, parent, depth)) = open.pop() {
        let number = boxes.len();
        boxes.push(Placed {
            item,
            parent,
            depth,
            x: 0.0,
        });
        if let Item::Node(at) = item {
            let groups = picture.groups_below.get(at).map_or(&[][..], Vec::as_slice);
            for group in groups.iter().rev() {
                open.push((Item::Group(*group), Some(number), depth + 1));
            }
            for child in picture.below_of(at).iter().rev() {
                if !picture.is_folded(*child) {
                    open.push((Item::Node(*child), Some(number), depth + 1));
                }
            }
        }
    }
    boxes
}

/// The outline of a subtree, its top level last: how far left and right each
/// level reaches, less an offset that is kept apart so that moving it is free.
struct Outline {
    left: Vec<f64>,
    left_offset: f64,
    right: Vec<f64>,
    right_offset: f64,
}

/// Sets `x` of every box.
fn place(boxes: &mut [Placed]) {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); boxes.len()];
    for (at, one) in boxes.iter().enumerate() {
        if let Some(list) = one.parent.and_then(|parent| children.get_mut(parent)) {
            list.push(at);
        }
    }
    // How far each box stands right of the one above it.
    let mut shifts = vec![0.0; boxes.len()];
    let mut outlines: Vec<Option<Outline>> = boxes.iter().map(|_| None).collect();
    for (at, list) in children.iter().enumerate().rev() {
        let mut merged: Option<Outline> = None;
        for child in list {
            let Some(next) = outlines.get_mut(*child).and_then(Option::take) else {
                continue;
            };
            merged = Some(match merged {
                None => next,
                Some(before) => {
                    let (outline, shift) = beside(before, next);
                    if let Some(own) = shifts.get_mut(*child) {
                        *own = shift;
                    }
                    outline
                }
            });
        }
        let mut outline = merged.unwrap_or(Outline {
            left: Vec::new(),
            left_offset: 0.0,
            right: Vec::new(),
            right_offset: 0.0,
        });
        outline.left.push(-outline.left_offset);
        outline.right.push(WIDTH - outline.right_offset);
        if let Some(own) = outlines.get_mut(at) {
            *own = Some(outline);
        }
    }
    let mut xs = vec![MARGIN; boxes.len()];
    for at in 0..boxes.len() {
        let above = boxes
            .get(at)
            .and_then(|one| one.parent)
            .and_then(|parent| xs.get(parent).copied())
            .unwrap_or(MARGIN);
        let x = above + shifts.get(at).copied().unwrap_or(0.0);
        if let Some(own) = xs.get_mut(at) {
            *own = x;
        }
        if let Some(one) = boxes.get_mut(at) {
            one.x = x;
        }
    }
}

/// Puts the second subtree right of the first; how far it had to be moved.
fn beside(first: Outline, second: Outline) -> (Outline, f64) {
    let common = first.right.len().min(second.left.len());
    let mut shift = WIDTH + GAP;
    for (right, left) in first.right.iter().rev().zip(second.left.iter().rev()) {
        let reach = right + first.right_offset + GAP - (left + second.left_offset);
        shift = f64::max(shift, reach);
    }
    // Down to the level of the shallower one, its neighbour's side is hidden
    // behind it; below, the deeper one's is seen.
    let (left, left_offset) = if first.left.len() >= second.left.len() {
        (first.left, first.left_offset)
    } else {
        let offset = second.left_offset + shift;
        let mut left = second.left;
        over(&mut left, &first.left, common, first.left_offset - offset);
        (left, offset)
    };
    let (right, right_offset) = if second.right.len() >= first.right.len() {
        (second.right, second.right_offset + shift)
    } else {
        let mut right = first.right;
        over(
            &mut right,
            &second.right,
            common,
            second.right_offset + shift - first.right_offset,
        );
        (right, first.right_offset)
    };
    let outline = Outline {
        left,
        left_offset,
        right,
        right_offset,
    };
    (outline, shift)
}

/// Writes the last `common` entries of one list over those of another.
fn over(list: &mut [f64], by: &[f64], common: usize, offset: f64) {
    for (own, other) in list.iter_mut().rev().zip(by.iter().rev()).take(common) {
        *own = other + offset;
    }
}

fn top(depth: usize) -> f64 {
    MARGIN + depth as f64 * (HEIGHT + LEVEL)
}

/// The stream of rows from a box up into the one above.
fn stream(picture: &Picture<'_>, from: &Placed, to: &Placed, svg: &mut String) {
    let (share, dashed) = match from.item {
        Item::Node(at) => (
            picture.stream(at),
            picture.node(at).is_some_and(|node| node.never_executed),
        ),
        Item::Group(at) => (
            picture
                .groups
                .get(at)
                .and_then(|group| group.members.first())
                .map_or(0.0, |member| picture.stream(*member)),
            false,
        ),
    };
    let width = 1.0 + share * (STREAM - 1.0);
    let x = from.x + WIDTH / 2.0;
    let y = top(from.depth);
    let above_x = to.x + WIDTH / 2.0;
    let above_y = top(to.depth) + HEIGHT;
    let middle = f64::midpoint(y, above_y);
    let class = if dashed { " class=never" } else { "" };
    if (x - above_x).abs() < 0.5 {
        svg.push_str(&format!(
            "<path{class} stroke-width=\"{width:.1}\" d=\"M{x:.0} {y:.0}V{above_y:.0}\"/>"
        ));
    } else {
        svg.push_str(&format!(
            "<path{class} stroke-width=\"{width:.1}\" d=\"M{x:.0} {y:.0}C{x:.0} {middle:.0} {above_x:.0} {middle:.0} {above_x:.0} {above_y:.0}\"/>"
        ));
    }
}

fn node(picture: &Picture<'_>, at: usize, place: &Placed, svg: &mut String) {
    let Some(node) = picture.node(at) else { return };
    let (kind, object) = split_label(node);
    let first = if at == 0 { "0" } else { "-1" };
    svg.push_str(&format!(
        "<a class=\"n h{}{}\" href=\"#{}n{}\" tabindex={first} aria-label=\"{}\"><svg x=\"{:.0}\" y=\"{:.0}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">",
        picture.heat(at),
        if node.never_executed { " never" } else { "" },
        picture.prefix,
        node.id,
        text::escape(&described(picture, at)),
        place.x,
        top(place.depth),
    ));
    svg.push_str("<rect class=box x=1 y=1 width=194 height=60 rx=6 />");
    let bar = (node.share.clamp(0.0, 1.0) * 176.0 * 10.0).round() / 10.0;
    if bar > 0.0 {
        svg.push_str(&format!(
            "<rect class=bar x=10 y=53 width=\"{bar}\" height=3 rx=1.5 />"
        ));
    }
    let found = picture.findings_at(at);
    let off = off_text(node).filter(|_| !node.never_executed);
    let mut columns = BOLD_COLUMNS;
    if let Some(off) = &off {
        columns = columns.saturating_sub(off.chars().count() + 1);
        svg.push_str(&format!(
            "<text class=\"r off\" x={} y=18>{}</text>",
            if found.is_empty() { 186 } else { 169 },
            text::escape(off)
        ));
    }
    if !found.is_empty() {
        columns = columns.saturating_sub(2);
    }
    svg.push_str(&format!(
        "<text class=k x=10 y=18>{}</text>",
        text::escape(&prose::cut(kind, columns))
    ));
    let second = match (&node.role, object.is_empty()) {
        (Some(role), true) => role.clone(),
        (Some(role), false) => format!("{role}: {object}"),
        (None, _) => object.to_owned(),
    };
    if !second.is_empty() {
        svg.push_str(&format!(
            "<text class=o x=10 y=33>{}</text>",
            text::escape(&prose::cut(&second, COLUMNS))
        ));
    }
    let own = if node.never_executed {
        "never executed".to_owned()
    } else if node.share >= 0.01 {
        format!("{} · {}", picture.own_text(at), format::share(node.share))
    } else {
        picture.own_text(at)
    };
    svg.push_str(&format!(
        "<text class=t x=10 y=48>{}</text>",
        text::escape(&own)
    ));
    if !node.never_executed
        && let Some(rows) = super::picture::rows(node)
    {
        svg.push_str(&format!(
            "<text class=r x=186 y=48>{}</text>",
            short_rows(rows)
        ));
    }
    if let Some(worst) = found.iter().map(|(_, level)| *level).max() {
        svg.push_str(&format!(
            "<circle class=\"lv {}\" cx=182 cy=14 r=8 /><text class=c x=182 y=18>{}</text>",
            worst.name(),
            found.len()
        ));
    }
    svg.push_str("</svg></a>");
}

fn group(picture: &Picture<'_>, at: usize, place: &Placed, svg: &mut String) {
    let Some(group) = picture.groups.get(at) else {
        return;
    };
    let like = group
        .members
        .first()
        .and_then(|member| picture.node(*member))
        .map_or("", |node| split_label(node).0);
    let count = format::count(group.members.len() as f64);
    let own = picture.amount(group.own);
    svg.push_str(&format!(
        "<a class=\"n more\" href=\"#{}g{at}\" tabindex=-1 aria-label=\"{count} more alike, folded\"><svg x=\"{:.0}\" y=\"{:.0}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\
         <rect class=box x=1 y=1 width=194 height=60 rx=6 /><text class=k x=10 y=18>… {count} more alike</text>\
         <text class=o x=10 y=33>{}</text><text class=t x=10 y=48>{} in all</text></svg></a>",
        picture.prefix,
        place.x,
        top(place.depth),
        text::escape(&prose::cut(like, COLUMNS)),
        text::escape(&own),
    ));
}

/// What a screen reader says of a node.
pub(super) fn described(picture: &Picture<'_>, at: usize) -> String {
    let Some(node) = picture.node(at) else {
        return String::new();
    };
    let mut said = String::new();
    if let Some(role) = &node.role {
        said.push_str(text::shorten(role, 100).0);
        said.push_str(": ");
    }
    said.push_str(text::shorten(&node.label, 300).0);
    if node.never_executed {
        said.push_str(", never executed");
        return prose::cut(&said, 300);
    }
    said = prose::cut(&said, 300);
    let own = picture.own_text(at);
    if !own.is_empty() {
        let what = if picture.timed {
            "own time"
        } else {
            "own cost"
        };
        said.push_str(&format!(", {what} {own}, {}", format::share(node.share)));
    }
    if let Some(rows) = super::picture::rows(node) {
        said.push_str(&format!(", {} rows", format::count(rows)));
    }
    if let Some(error) = node
        .estimate_error
        .filter(|error| *error >= super::picture::OFF)
    {
        said.push_str(&format!(", estimate off by {}", format::factor(error)));
    }
    let found = picture.findings_at(at);
    if let Some(worst) = found.iter().map(|(_, level)| *level).max() {
        said.push_str(&format!(
            ", {}, {}",
            format::plural(found.len(), "finding", "findings"),
            worst.name()
        ));
    }
    said
}

/// `1.2 M rows`, short enough for a box.
fn short_rows(rows: f64) -> String {
    let (number, unit) = if rows >= 1e12 {
        (rows / 1e12, " T")
    } else if rows >= 1e9 {
        (rows / 1e9, " G")
    } else if rows >= 1e6 {
        (rows / 1e6, " M")
    } else if rows >= 1e5 {
        (rows / 1e3, " k")
    } else {
        (rows.round(), "")
    };
    let text = if unit.is_empty() {
        format::count(number)
    } else if number >= 100.0 {
        format!("{number:.0}{unit}")
    } else {
        format!("{number:.1}{unit}")
    };
    format!("{text} {}", if text == "1" { "row" } else { "rows" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(parents: &[Option<usize>]) -> Vec<Placed> {
        let mut boxes: Vec<Placed> = Vec::new();
        for parent in parents {
            let depth = parent.map_or(0, |parent| boxes[parent].depth + 1);
            boxes.push(Placed {
                item: Item::Node(boxes.len()),
                parent: *parent,
                depth,
                x: 0.0,
            });
        }
        place(&mut boxes);
        boxes
    }

    fn apart(boxes: &[Placed]) {
        for (at, one) in boxes.iter().enumerate() {
            for other in &boxes[at + 1..] {
                assert!(
                    one.depth != other.depth || (one.x - other.x).abs() >= WIDTH + GAP - 1e-9,
                    "two boxes at depth {}: {} and {}",
                    one.depth,
                    one.x,
                    other.x
                );
            }
        }
    }

    #[test]
    fn a_chain_is_a_straight_line_and_boxes_never_touch() {
        let boxes = tree(&[None, Some(0), Some(1), Some(2)]);
        assert!(boxes.iter().all(|one| (one.x - MARGIN).abs() < 1e-9));
        // Two deep left sides and a wide one between them.
        let boxes = tree(&[
            None,
            Some(0),
            Some(1),
            Some(1),
            Some(1),
            Some(3),
            Some(0),
            Some(6),
            Some(7),
            Some(8),
            Some(0),
            Some(10),
            Some(10),
        ]);
        apart(&boxes);
    }

    #[test]
    fn trees_of_any_shape_keep_their_boxes_apart() {
        // A small generator of its own, so that the shapes stay the same.
        let mut seed = 7_u64;
        for size in [2_usize, 5, 20, 120] {
            for _ in 0..20 {
                let mut parents: Vec<Option<usize>> = vec![None];
                for at in 1..size {
                    seed = seed
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let nearest = at.saturating_sub(6);
                    let span = (at - nearest) as u64;
                    parents.push(Some(
                        nearest + usize::try_from((seed >> 33) % span).unwrap(),
                    ));
                }
                apart(&tree(&parents));
            }
        }
    }
}
