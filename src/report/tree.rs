//! The plan as a tree, each node with its own time or cost, its share, and
//! its rows as planned and as they came. Layout only: the numbers are the
//! report's.

use std::collections::HashMap;

use super::format;
use super::model::{Plan, PlanNode};
use super::prose::{self, Palette};
use super::render::Options;

/// Nodes shown unless every detail is asked for.
const MOST: usize = 80;
/// Lines that one condition may fill unless every detail is asked for.
const CONDITION_LINES: usize = 2;
/// Columns that the tree gets at least; numbers make way for it.
const NARROWEST_TREE: usize = 28;
/// Shares from which a node is called warm and hot.
const WARM: f64 = 0.2;
const HOT: f64 = 0.5;
/// Factors from which an estimate is called off and far off.
const OFF: f64 = 10.0;
const FAR_OFF: f64 = 100.0;

/// A column of numbers.
struct Column {
    title: &'static str,
    cells: Vec<String>,
    width: usize,
}

/// The lines of the tree, without indentation.
pub(crate) fn lines(plan: &Plan, options: &Options) -> Vec<String> {
    let palette = Palette::new(options.color);
    let shown = shown(plan, options);
    let columns = columns(plan, &shown, options.width);
    let numbers: usize = columns.iter().map(|column| column.width + 2).sum();
    let room = options.width.saturating_sub(numbers).max(NARROWEST_TREE);

    let mut out = Vec::new();
    let header: String = columns
        .iter()
        .map(|column| prose::right(column.title, column.width) + "  ")
        .collect();
    out.push(paint_line(palette.dim, &(header + "node")));

    let branches = branches(plan, &shown, room);
    for (at, (node, branch)) in shown.iter().zip(&branches).enumerate() {
        let mut cells = String::new();
        for column in &columns {
            let cell = column.cells.get(at).map_or("", String::as_str);
            let style = match column.title {
                "self time" | "own cost" | "share" => heat(node, palette),
                "off by" => error_heat(node, palette),
                _ => anstyle::Style::new(),
            };
            let pad = column.width.saturating_sub(prose::width(cell));
            cells.push_str(&" ".repeat(pad));
            cells.push_str(&prose::paint(style, cell));
            cells.push_str("  ");
        }
        let blank = " ".repeat(numbers);
        let label_room = room.saturating_sub(prose::width(&branch.below)).max(12);
        for (line, text) in prose::wrap(&label(node), label_room)
            .into_iter()
            .enumerate()
        {
            if line == 0 {
                let text = prose::paint(heat(node, palette), &text);
                out.push(format!(
                    "{cells}{}{text}",
                    prose::paint(palette.dim, &branch.head)
                ));
            } else {
                let below = prose::paint(palette.dim, &branch.below);
                out.push(format!("{blank}{below}{text}"));
            }
        }
        for detail in details(node) {
            let room = room.saturating_sub(prose::width(&branch.below)).max(12);
            let mut lines = prose::wrap(&detail, room);
            if !options.detailed && lines.len() > CONDITION_LINES {
                lines.truncate(CONDITION_LINES);
                if let Some(last) = lines.last_mut() {
                    *last = prose::cut(&format!("{last} …"), room);
                }
            }
            for text in lines {
                out.push(paint_line(
                    palette.dim,
                    &format!("{blank}{}{text}", branch.below),
                ));
            }
        }
    }
    let hidden = plan.nodes.len() - shown.len();
    if hidden > 0 {
        out.push(paint_line(
            palette.dim,
            &format!(
                "… {} that matter less are not shown; -v shows them",
                format::plural(hidden, "node", "nodes")
            ),
        ));
    }
    out
}

fn paint_line(style: anstyle::Style, text: &str) -> String {
    prose::paint(style, text.trim_end())
}

/// The nodes to show, in the order of the plan: all of a small plan; of a large
/// one those with the largest shares and the nodes above them.
fn shown<'a>(plan: &'a Plan, options: &Options) -> Vec<&'a PlanNode> {
    if options.detailed || plan.nodes.len() <= MOST {
        return plan.nodes.iter().collect();
    }
    let mut order: Vec<&PlanNode> = plan.nodes.iter().collect();
    order.sort_by(|a, b| b.share.total_cmp(&a.share).then(a.id.cmp(&b.id)));
    let mut chosen = vec![false; plan.nodes.len() + 1];
    let mut count = 0;
    for node in plan.nodes.first().into_iter().chain(order) {
        let mut next = Some(node);
        while let Some(node) = next {
            if count >= MOST {
                break;
            }
            match chosen.get_mut(node.id) {
                Some(mark) if !*mark => *mark = true,
                _ => break,
            }
            count += 1;
            next = parent(plan, node);
        }
    }
    plan.nodes
        .iter()
        .filter(|node| chosen.get(node.id).copied().unwrap_or(false))
        .collect()
}

fn parent<'a>(plan: &'a Plan, node: &PlanNode) -> Option<&'a PlanNode> {
    // Numbers follow the order of the list, from 1.
    plan.nodes.get(node.parent?.checked_sub(1)?)
}

/// What stands left of a node's label, and of the lines below it.
struct Branch {
    /// Before the label.
    head: String,
    /// What the children's heads begin with.
    stem: String,
    /// Before the lines that follow the label.
    below: String,
}

fn branches(plan: &Plan, shown: &[&PlanNode], room: usize) -> Vec<Branch> {
    let is_shown: HashMap<usize, usize> = shown
        .iter()
        .enumerate()
        .map(|(at, node)| (node.id, at))
        .collect();
    // The nearest node above that is shown.
    let above: Vec<Option<usize>> = shown
        .iter()
        .map(|node| {
            let mut next = parent(plan, node);
            while let Some(node) = next {
                if let Some(&at) = is_shown.get(&node.id) {
                    return Some(at);
                }
                next = parent(plan, node);
            }
            None
        })
        .collect();
    let mut last_child: HashMap<usize, usize> = HashMap::new();
    for (at, above) in above.iter().enumerate() {
        if let Some(above) = above {
            last_child.insert(*above, at);
        }
    }
    let deepest = (room / 2).max(9);
    let mut branches: Vec<Branch> = Vec::with_capacity(shown.len());
    for (at, above) in above.iter().enumerate() {
        let parent_stem = above
            .and_then(|above| branches.get(above))
            .map(|parent| parent.stem.as_str());
        let (head, stem) = match parent_stem {
            None => (String::new(), String::new()),
            Some(stem) => {
                let last = above.and_then(|above| last_child.get(&above)) == Some(&at);
                let head = format!("{stem}{}", if last { "└─ " } else { "├─ " });
                let stem = if prose::width(stem) + 3 > deepest {
                    // Too deep to draw: from here on the tree stays where it is.
                    stem.to_owned()
                } else {
                    format!("{stem}{}", if last { "   " } else { "│  " })
                };
                (head, stem)
            }
        };
        let has_children = last_child.contains_key(&at);
        let below = format!("{stem}{}", if has_children { "│  " } else { "   " });
        branches.push(Branch { head, stem, below });
    }
    branches
}

fn columns(plan: &Plan, shown: &[&PlanNode], width: usize) -> Vec<Column> {
    let timed = shown.iter().any(|node| node.self_ms.is_some());
    let mut columns = Vec::new();
    let mut add = |title: &'static str, cell: &dyn Fn(&PlanNode) -> String| {
        let cells: Vec<String> = shown.iter().map(|node| cell(node)).collect();
        if cells.iter().all(String::is_empty) {
            return;
        }
        let width = cells
            .iter()
            .map(|cell| prose::width(cell))
            .chain([title.len()])
            .max()
            .unwrap_or(0);
        columns.push(Column {
            title,
            cells,
            width,
        });
    };
    if timed {
        add("self time", &|node| {
            node.self_ms.map_or_else(String::new, format::ms)
        });
    } else {
        add("own cost", &|node| {
            node.self_cost.map_or_else(String::new, format::cost)
        });
    }
    add("share", &|node| {
        if timed && node.self_ms.is_none() {
            String::new()
        } else {
            format::share(node.share)
        }
    });
    if plan.executed {
        let rows = |rows: Option<f64>| rows.map_or_else(|| "?".to_owned(), format::count);
        let actual = shown
            .iter()
            .map(|node| prose::width(&rows(node.rows_actual)))
            .max()
            .unwrap_or(1);
        add("rows est. → actual", &|node| {
            let came = if node.never_executed {
                "–".to_owned()
            } else {
                rows(node.rows_actual)
            };
            format!(
                "{} → {}",
                rows(node.rows_estimated),
                prose::right(&came, actual)
            )
        });
        add("off by", &|node| match node.estimate_error {
            Some(error) if error >= 1.05 => format!(
                "{}{}",
                format::factor(error),
                if node.underestimated { "↑" } else { "↓" }
            ),
            _ => String::new(),
        });
    } else {
        add("rows", &|node| {
            node.rows_estimated.map_or_else(String::new, format::count)
        });
    }
    while columns.len() > 1
        && columns.iter().map(|column| column.width + 2).sum::<usize>() + NARROWEST_TREE > width
    {
        columns.pop();
    }
    columns
}

fn label(node: &PlanNode) -> String {
    let mut text = String::new();
    if let Some(role) = &node.role {
        text.push_str(role);
        text.push_str(": ");
    }
    text.push_str(&node.label);
    if node.never_executed {
        text.push_str("  (never executed)");
    } else if let Some(loops) = node.loops
        && loops > 1.0
    {
        text.push_str(&format!("  ({} times)", format::count(loops)));
    }
    text
}

fn details(node: &PlanNode) -> Vec<String> {
    node.conditions
        .iter()
        .map(|condition| {
            let mut text = format!("{}: {}", condition.role, condition.text);
            if condition.role == "Filter"
                && let Some(removed) = node.rows_removed
                && removed > 0.0
            {
                text = format!(
                    "Filter removed {} rows: {}",
                    format::count(removed),
                    condition.text
                );
            }
            text
        })
        .collect()
}

fn heat(node: &PlanNode, palette: Palette) -> anstyle::Style {
    if node.share >= HOT {
        palette.critical
    } else if node.share >= WARM {
        palette.warning
    } else {
        anstyle::Style::new()
    }
}

fn error_heat(node: &PlanNode, palette: Palette) -> anstyle::Style {
    match node.estimate_error {
        Some(error) if error >= FAR_OFF => palette.critical,
        Some(error) if error >= OFF => palette.warning,
        _ => anstyle::Style::new(),
    }
}
