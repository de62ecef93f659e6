//! EXPLAIN's text format, as explain.c of servers 9.6 to 18 prints it, into the
//! document that JSON would have been.
//!
//! The tree is told by columns: the properties of a node whose arrow stands in
//! column c, and the arrows of its inputs, begin in column c + 6. Only the order
//! of columns is used, so that other widths of indentation read as well. What
//! is not known is kept under its own name.

mod footer;
mod head;
mod property;
mod tree;
mod wrapped;

use serde_json::{Map, Value};

use self::footer::Block;
use self::tree::Tree;
pub(super) use self::wrapped::{Joiner, is_end};
use self::wrapped::{arrow, begins_a_node, column, is_label};
use super::lines::Line;

/// A plan in the text format.
#[derive(Debug)]
pub(super) struct TextPlan {
    /// The document, as JSON would have it.
    pub(super) document: Value,
    /// The first line after the plan.
    pub(super) next: usize,
    /// What is missing: the line, and a word about it.
    pub(super) missing: Option<(usize, String)>,
}

/// Whether a plan in the text format begins at this line: a node without an
/// arrow, with numbers; or one of a known type that something hangs below.
pub(super) fn begins(lines: &[Line<'_>], at: usize) -> bool {
    let Some(line) = lines.get(at) else {
        return false;
    };
    let trimmed = line.text.trim();
    if trimmed.starts_with("Query Text:") {
        return true;
    }
    if !trimmed.starts_with(|first: char| first.is_ascii_uppercase()) {
        return false;
    }
    if head::has_numbers(trimmed) {
        return true;
    }
    let name = trimmed;
    let whole = head::read(name);
    if whole.known {
        // Without costs there is only the name; a word of prose has nothing of
        // a plan around it.
        return whole.cut
            || whole.costs
            || line.frame != 0
            || follows(lines, at, column(line))
            || alone(lines, at);
    }
    // A broken line: the type is known, and its numbers begin here or in the
    // next line.
    wrapped_head(lines, at)
}

/// Whether the next line is an input or a property of the node at `at`.
fn follows(lines: &[Line<'_>], at: usize, column_of_node: usize) -> bool {
    lines.get(at + 1).is_some_and(|next| {
        let trimmed = next.text.trim();
        arrow(trimmed).is_some()
            || is_label(trimmed)
            || column(next) > column_of_node
                && (property::split(trimmed).is_some() || head::modified_target(trimmed).is_some())
            || footer_line(trimmed)
    })
}

/// Whether the node is all that the text holds: `Seq Scan on t`.
fn alone(lines: &[Line<'_>], at: usize) -> bool {
    let trimmed = lines.get(at).map_or("", |line| line.text.trim());
    (trimmed.contains(" on ") || trimmed == "Result")
        && lines
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != at)
            .take(12)
            .all(|(_, line)| line.is_blank() || is_end(line.text.trim()))
}

fn footer_line(trimmed: &str) -> bool {
    property::split(trimmed).is_some_and(|(key, _)| footer::name(key).is_some())
}

fn wrapped_head(lines: &[Line<'_>], at: usize) -> bool {
    let Some(line) = lines.get(at) else {
        return false;
    };
    let trimmed = line.text.trim();
    let Some((name, _)) = trimmed.split_once("  (") else {
        return false;
    };
    if !head::read(name).known {
        return false;
    }
    let (text, taken) = Joiner::new(lines.get(at..lines.len().min(at + 40)).unwrap_or_default())
        .node(lines, at, true);
    taken > 1 && begins_a_node(text.trim())
}

/// Whether a line is a property of a node.
pub(super) fn is_property(line: &str) -> bool {
    property::split(line).is_some_and(|(key, value)| !key.ends_with(' ') && !value.is_empty())
}

/// Whether a line is that of a node with its numbers.
pub(super) fn begins_with_numbers(trimmed: &str) -> bool {
    begins_a_node(trimmed)
}

/// Whether a child's line stands here: the top of its plan was cut off.
pub(super) fn begins_below_the_top(line: &Line<'_>) -> bool {
    arrow(line.text.trim()).is_some_and(|rest| {
        let head = head::read(rest);
        head.costs || head.actuals
    })
}

/// Whether it is a line of a tree whose type is known: the sign of a plan
/// without numbers.
pub(super) fn is_known_child(line: &str) -> bool {
    arrow(line.trim()).is_some_and(|rest| head::read(rest).known)
}

/// Reads the plan that begins at a line.
pub(super) fn read(lines: &[Line<'_>], start: usize, joiner: &mut Joiner) -> Option<TextPlan> {
    let mut reader = Reader {
        lines,
        joiner,
        statement: Map::new(),
        at: start,
        footer: false,
        block: None,
        missing: None,
    };
    reader.query_text();
    let tree = reader.tree()?;
    let Reader {
        mut statement,
        at,
        missing,
        ..
    } = reader;
    statement.insert("Plan".to_owned(), tree.into_value());
    Some(TextPlan {
        document: Value::Object(statement),
        next: at,
        missing,
    })
}

struct Reader<'a, 'b> {
    lines: &'a [Line<'a>],
    joiner: &'b mut Joiner,
    statement: Map<String, Value>,
    at: usize,
    /// Something below the tree was read.
    footer: bool,
    /// The block whose lines come now, and its column.
    block: Option<(Block, usize)>,
    missing: Option<(usize, String)>,
}

impl<'a> Reader<'a, '_> {
    fn line(&self) -> Option<&'a Line<'a>> {
        self.lines.get(self.at)
    }

    /// `Query Text: …` of `auto_explain`, up to the plan.
    fn query_text(&mut self) {
        let Some(first) = self.line() else { return };
        let Some(text) = first.text.trim_start().strip_prefix("Query Text:") else {
            return;
        };
        let margin = column(first);
        let mut query = text.strip_prefix(' ').unwrap_or(text).to_owned();
        let mut parameters: Option<String> = None;
        self.at += 1;
        while let Some(line) = self.line() {
            let trimmed = line.text.trim();
            if begins_a_node(trimmed)
                || column(line) <= margin
                    && head::read(trimmed).known
                    && follows(self.lines, self.at, column(line))
            {
                break;
            }
            self.at += 1;
            if let Some(rest) = trimmed.strip_prefix("Query Parameters: ") {
                parameters = Some(rest.to_owned());
                continue;
            }
            let kept = line
                .text
                .get(margin.min(column(line))..)
                .unwrap_or_default();
            let text = parameters.as_mut().unwrap_or(&mut query);
            text.push('\n');
            text.push_str(kept);
        }
        self.statement
            .insert("Query Text".to_owned(), Value::from(query.trim_end()));
        if let Some(parameters) = parameters {
            self.statement
                .insert("Query Parameters".to_owned(), Value::from(parameters));
        }
    }

    fn tree(&mut self) -> Option<Tree> {
        let first = self.line()?;
        let (text, taken) = self.joiner.node(self.lines, self.at, true);
        let trimmed = text.trim();
        let below = arrow(trimmed);
        let top = head::read(below.unwrap_or(trimmed));
        if below.is_some() {
            self.missing = Some((
                first.number,
                "the top of the plan is missing: it begins with an input of another node"
                    .to_owned(),
            ));
        }
        self.note_cut(first.number, &top);
        let frame = first.frame;
        let flat = below.is_none() && self.is_flat(column(first));
        let mut tree = Tree::new(top, column(first), flat);
        self.at += taken;
        while let Some(line) = self.line() {
            if line.frame != frame {
                break;
            }
            if line.is_blank() {
                self.at += 1;
                continue;
            }
            if !self.step(line, &mut tree) {
                break;
            }
        }
        if let Some((number, label)) = tree.unused_label() {
            self.missing
                .get_or_insert((number, format!("the plan ends behind \"{label}\"")));
        }
        Some(tree)
    }

    /// Whether the indentation is lost: the first arrow stands no further right
    /// than the top node.
    fn is_flat(&self, top: usize) -> bool {
        self.lines
            .iter()
            .skip(self.at + 1)
            .take(200)
            .map_while(|line| {
                let trimmed = line.text.trim();
                match arrow(trimmed) {
                    Some(_) => Some(Some(column(line) <= top)),
                    None if begins_a_node(trimmed) || is_end(trimmed) => None,
                    None => Some(None),
                }
            })
            .flatten()
            .next()
            .unwrap_or(false)
    }

    fn note_cut(&mut self, number: usize, head: &head::Head) {
        if head.cut {
            self.missing
                .get_or_insert((number, "the line ends too early".to_owned()));
        }
    }

    /// Reads one line; false if it is not part of the plan.
    fn step(&mut self, line: &'a Line<'a>, tree: &mut Tree) -> bool {
        let trimmed = line.text.trim();
        let col = column(line);
        let flat = tree.is_flat();
        if arrow(trimmed).is_some() {
            if self.footer && col <= tree.top_column() && !flat {
                return false;
            }
            self.node(line, col, tree);
            return true;
        }
        if is_label(trimmed) && self.next_is_arrow() {
            tree.label(trimmed, col, line.number);
            self.at += 1;
            return true;
        }
        if begins_a_node(trimmed) && (col <= tree.top_column() || flat) {
            return false;
        }
        if is_end(trimmed) {
            return false;
        }
        if tree.is_modify_table()
            && (col > tree.top_column() || flat)
            && let Some(target) = head::modified_target(trimmed)
        {
            tree.target(target, col);
            self.at += 1;
            return true;
        }
        if trimmed.starts_with("Trigger")
            && let Some(trigger) = footer::trigger(trimmed)
        {
            self.at += 1;
            self.block = None;
            if col > tree.top_column() && !flat {
                if let Some(owner) = tree.owner(col) {
                    property::add(owner, "Triggers", Value::Array(vec![trigger]));
                }
                return true;
            }
            self.footer = true;
            property::add(&mut self.statement, "Triggers", Value::Array(vec![trigger]));
            return true;
        }
        if property::split(trimmed).is_some() {
            return self.property(line, col, tree);
        }
        if col <= tree.top_column()
            && !flat
            && (!self.goes_on_below(tree.top_column())
                || head::read(trimmed).known && follows(self.lines, self.at, col))
        {
            // The next plan without costs, or what stands behind the plan.
            return false;
        }
        if flat && (self.footer || head::read(trimmed).known) {
            return false;
        }
        tree.go_on(&line.text, *self.joiner);
        self.at += 1;
        true
    }

    /// Whether the next lines are of the tree again: the one here is the rest of
    /// a broken one.
    fn goes_on_below(&self, top: usize) -> bool {
        !self.footer
            && self
                .lines
                .iter()
                .skip(self.at + 1)
                .take(3)
                .take_while(|line| !line.is_blank())
                .any(|line| {
                    column(line) > top
                        && (arrow(line.text.trim()).is_some()
                            || property::split(&line.text).is_some())
                })
    }

    fn next_is_arrow(&self) -> bool {
        self.lines
            .iter()
            .skip(self.at + 1)
            .find(|line| !line.is_blank())
            .is_some_and(|line| arrow(line.text.trim()).is_some())
    }

    fn node(&mut self, line: &Line<'_>, col: usize, tree: &mut Tree) {
        let (text, taken) = self.joiner.node(self.lines, self.at, tree.has_costs());
        let name = arrow(text.trim()).unwrap_or_default();
        let mut head = head::read(name);
        self.note_cut(line.number, &head);
        let numbers = head.costs || head.actuals || head.cut;
        let ends = tree.has_costs()
            && !numbers
            && self.lines.iter().skip(self.at + taken).all(Line::is_blank);
        if ends {
            self.missing
                .get_or_insert((line.number, "the line ends too early".to_owned()));
            // What is whole of it: `Seq Scan o` is one.
            let mut whole = name;
            for _ in 0..8 {
                if head.known {
                    break;
                }
                let Some((before, _)) = whole.rsplit_once(' ') else {
                    break;
                };
                whole = before.trim_end();
                head = head::read(whole);
            }
        }
        if ends && !head.known
            || head
                .map
                .get("Node Type")
                .and_then(Value::as_str)
                .is_none_or(str::is_empty)
        {
            self.missing
                .get_or_insert((line.number, "the line ends behind the arrow".to_owned()));
        } else {
            tree.node(head, col);
        }
        self.block = None;
        self.at += taken;
    }

    /// `Buckets: …  Batches: …  Memory Usage: …` that was broken before one of
    /// its keys: these stand at the beginning of no line.
    fn rest_of_pairs(&mut self, key: &str, value: &str) -> Option<String> {
        let mut joined = None;
        while let Some(line) = self.line() {
            let Some((more, _)) = property::split(&line.text) else {
                break;
            };
            let goes_on = match more {
                "Memory Usage" | "Disk Usage" | "Misses" | "Evictions" | "Overflows"
                | "Maximum Storage" | "Average Memory" | "Peak Memory" => true,
                "Memory" | "Disk" => key == "Sort Method",
                "Batches" => matches!(key, "Buckets" | "Planned Partitions"),
                "Usage" => joined
                    .as_deref()
                    .unwrap_or(value)
                    .trim_end()
                    .ends_with(['y', 'k']),
                _ => false,
            };
            if !goes_on {
                break;
            }
            let between = if more == "Usage" { " " } else { "  " };
            let text = joined.get_or_insert_with(|| value.trim_end().to_owned());
            text.push_str(between);
            text.push_str(line.text.trim());
            self.at += 1;
        }
        joined
    }

    fn property(&mut self, line: &Line<'_>, col: usize, tree: &mut Tree) -> bool {
        let Some((key, _)) = property::split(&line.text) else {
            return false;
        };
        let flat = tree.is_flat();
        let below = col <= tree.top_column();
        let footer = footer::name(key).filter(|name| {
            // A worker's JIT stands within the tree, and a shard's times do.
            if flat {
                *name != "Serialization" || !self.footer
            } else {
                below
            }
        });
        let in_block = self.block.filter(|(block, column)| {
            if flat {
                block.takes(key)
            } else {
                col > *column
            }
        });
        if below && !flat && footer.is_none() && in_block.is_none() && line.frame == 0 {
            // A line of prose behind the plan.
            return false;
        }
        if flat && self.footer && footer.is_none() && in_block.is_none() && line.frame == 0 {
            return false;
        }
        let (text, taken, unfinished) =
            self.joiner
                .property(self.lines, self.at, property::is_expression(key));
        let value = property::split(&text).map_or("", |(_, value)| value);
        let value = if taken == 1 { value.trim_end() } else { value };
        if unfinished {
            self.missing
                .get_or_insert((line.number, format!("\"{key}\" ends too early")));
        }
        self.at += taken;
        let joined = self.rest_of_pairs(key, value);
        let value = joined.as_deref().unwrap_or(value);
        if let Some(name) = footer {
            self.footer = true;
            self.block = footer::put(&mut self.statement, name, value).map(|block| (block, col));
            return true;
        }
        if let Some((block, _)) = in_block {
            if let Some(map) = self
                .statement
                .get_mut(block.key())
                .and_then(Value::as_object_mut)
            {
                match block {
                    Block::Jit => footer::jit(map, key, value),
                    _ => property::put(map, key, value),
                }
            }
            return true;
        }
        self.block = None;
        if below && !flat {
            property::put(&mut self.statement, key, value);
        } else {
            tree.property(key, value, col);
        }
        true
    }
}
