//! Everything about one node: what a click on it shows.

use askama::Template;

use super::page::Html;
use super::picture::{Picture, parent_of};
use super::text;
use crate::report::format;
use crate::report::model::{Blocks, Condition, IoMs, Level, PlanNode, Property, Worker};

/// Characters of one value; literals can be of any length.
const VALUE: usize = 4_000;
/// Characters of a name.
const NAME: usize = 400;
/// Values of one list; a plan may put out a thousand columns.
const VALUES: usize = 200;

/// What a page can bear of one node.
#[derive(Debug, Clone, Copy)]
struct Room {
    /// Characters of one value.
    value: usize,
    /// Values of one list.
    values: usize,
}

/// Nodes above which those that took next to nothing are told in brief, so
/// that the page of a large plan can be opened, sent and searched.
const MANY: usize = 1_000;
/// The share of the time below which a node took next to nothing.
const COLD: f64 = 0.001;

#[derive(Template)]
#[template(path = "node.html")]
struct NodePage<'a> {
    prefix: &'a str,
    node: &'a PlanNode,
    kind: &'a str,
    object: &'a str,
    is_first: bool,
    is_brief: bool,
    above: Option<&'a PlanNode>,
    below: Vec<&'a PlanNode>,
    findings: Vec<(usize, Level, String)>,
    numbers: Vec<(&'static str, String, &'static str)>,
    lists: Vec<(String, Vec<(String, usize)>)>,
    blocks: Vec<(&'static str, String, String)>,
    io: Vec<(&'static str, String)>,
    worker_columns: bool,
}

/// The sections of all nodes.
pub(super) fn draw(picture: &Picture<'_>, messages: &[String]) -> Html {
    let mut out = String::with_capacity(picture.plan.nodes.len() * 1200);
    for (at, node) in picture.plan.nodes.iter().enumerate() {
        let is_brief = picture.plan.nodes.len() > MANY
            && node.share < COLD
            && picture.findings_at(at).is_empty();
        let room = if is_brief {
            Room {
                value: 300,
                values: 12,
            }
        } else {
            Room {
                value: VALUE,
                values: VALUES,
            }
        };
        let (kind, object) = super::picture::split_label(node);
        let (kind, object) = (text::shorten(kind, NAME).0, text::shorten(object, NAME).0);
        let page = NodePage {
            prefix: picture.prefix,
            node,
            kind,
            object,
            is_first: at == picture.hottest,
            is_brief,
            above: parent_of(node).and_then(|above| picture.node(above)),
            below: picture
                .below_of(at)
                .iter()
                .take(8)
                .filter_map(|child| picture.node(*child))
                .collect(),
            findings: picture
                .findings_at(at)
                .iter()
                .map(|(number, level)| {
                    let message = messages.get(*number).cloned().unwrap_or_default();
                    (number + 1, *level, message)
                })
                .collect(),
            numbers: numbers(picture, node),
            lists: lists(node, room),
            blocks: blocks(node),
            io: node.details.io.as_ref().map(io).unwrap_or_default(),
            worker_columns: node
                .details
                .workers
                .iter()
                .any(|worker| worker.ms.is_some() || worker.rows.is_some()),
        };
        // Writing to a string cannot fail.
        page.render_into(&mut out).unwrap_or_default();
    }
    Html::trusted(out)
}

impl NodePage<'_> {
    /// Nodes below touched some of the blocks.
    fn are_blocks_below(&self) -> bool {
        self.blocks.iter().any(|(_, own, all)| own != all)
    }

    fn worker_rows(&self) -> Vec<[String; 4]> {
        let number = |value: Option<f64>| value.map_or_else(String::new, format::count);
        self.node
            .details
            .workers
            .iter()
            .map(|worker| {
                [
                    format::count(worker.number),
                    worker.ms.map_or_else(String::new, format::ms),
                    number(worker.rows),
                    number(worker.loops),
                ]
            })
            .collect()
    }

    /// What workers say besides, one line a worker.
    fn worker_notes(&self) -> Vec<String> {
        self.node
            .details
            .workers
            .iter()
            .filter(|worker| !worker.properties.is_empty())
            .map(worker_note)
            .collect()
    }
}

fn worker_note(worker: &Worker) -> String {
    let said: Vec<String> = worker
        .properties
        .iter()
        .map(|property| format!("{} {}", property.name, property.values.join(", ")))
        .collect();
    format!(
        "Worker {}: {}",
        format::count(worker.number),
        said.join(" · ")
    )
}

/// Names, values, and what to know about them.
fn numbers(picture: &Picture<'_>, node: &PlanNode) -> Vec<(&'static str, String, &'static str)> {
    let details = &node.details;
    let mut numbers = Vec::new();
    let each = if node.loops.is_some_and(|loops| loops > 1.0) {
        "each time"
    } else {
        ""
    };
    let mut add = |name, value: Option<String>, note| {
        if let Some(value) = value {
            numbers.push((name, value, note));
        }
    };
    let of = |number: Option<f64>, text: fn(f64) -> String| number.map(text);
    if picture.timed && !node.never_executed {
        add("Own time", of(node.self_ms, format::ms), "");
        add(
            "Share of the time",
            node.self_ms.map(|_| format::share(node.share)),
            "",
        );
        if node.total_ms != node.self_ms {
            add("With everything below", of(node.total_ms, format::ms), "");
        }
        if node.loops.is_some_and(|loops| loops > 1.0) {
            add(
                "One execution",
                of(details.total_ms_per_loop, format::ms),
                "mean",
            );
        }
        add(
            "First row after",
            of(details.startup_ms_per_loop, format::ms),
            each,
        );
    }
    add(
        "Rows expected",
        of(node.rows_estimated, format::count),
        each,
    );
    if picture.plan.executed {
        add(
            "Rows that came",
            of(
                node.rows_actual.filter(|_| !node.never_executed),
                format::count,
            ),
            each,
        );
        add(
            "Estimate off by",
            node.estimate_error
                .filter(|error| *error >= 1.05)
                .map(format::factor),
            if node.underestimated {
                "more came"
            } else {
                "fewer came"
            },
        );
        let executions = if node.never_executed {
            Some("never".to_owned())
        } else {
            of(node.loops, format::count)
        };
        add("Executions", executions, "");
        if node.loops.is_some_and(|loops| loops > 1.0) {
            add("Rows in all", of(details.rows_total, format::count), "");
        }
        add(
            "Rows removed by filter",
            of(node.rows_removed.filter(|rows| *rows > 0.0), format::count),
            each,
        );
    }
    add("Own cost", of(node.self_cost, format::cost), "");
    add(
        "Cost until first … last row",
        node.cost.map(|cost| match details.startup_cost {
            Some(startup) => format!("{} … {}", format::cost(startup), format::cost(cost)),
            None => format::cost(cost),
        }),
        "",
    );
    add(
        "Row width",
        details
            .width
            .filter(|width| *width > 0.0)
            .map(format::bytes),
        "",
    );
    numbers
}

/// A text cut to what a page can bear, with how much it lost.
fn cut(value: &str, room: Room) -> (String, usize) {
    let (kept, lost) = text::shorten(value, room.value);
    (kept.to_owned(), lost)
}

/// Conditions and properties: each a name with its texts.
fn lists(node: &PlanNode, room: Room) -> Vec<(String, Vec<(String, usize)>)> {
    let mut lists = Vec::new();
    if let Some(relation) = &node.details.relation {
        let mut name = relation.name.clone().unwrap_or_default();
        if let Some(schema) = &relation.schema {
            name = format!("{schema}.{name}");
        }
        for (label, value) in [
            ("Relation", (!name.is_empty()).then_some(name)),
            (
                "Alias",
                relation
                    .alias
                    .clone()
                    .filter(|alias| Some(alias) != relation.name.as_ref()),
            ),
            ("Index", relation.index.clone()),
        ] {
            if let Some(value) = value {
                lists.push((label.to_owned(), vec![cut(&value, room)]));
            }
        }
    }
    for Condition { role, text } in &node.conditions {
        lists.push((role.clone(), vec![cut(text, room)]));
    }
    for Property { name, values } in &node.details.properties {
        let mut shown: Vec<(String, usize)> = values
            .iter()
            .take(room.values)
            .map(|value| cut(value, room))
            .collect();
        if values.len() > room.values {
            shown.push((format!("… {} more", values.len() - room.values), 0));
        }
        lists.push((name.clone(), shown));
    }
    lists
}

/// Names, blocks of the node alone, and with everything below it.
fn blocks(node: &PlanNode) -> Vec<(&'static str, String, String)> {
    let Some(all) = node.details.buffers else {
        return Vec::new();
    };
    let own = node.details.self_buffers.unwrap_or_default();
    let named = |blocks: &Blocks| {
        [
            ("Shared hit", blocks.shared_hit),
            ("Shared read", blocks.shared_read),
            ("Shared dirtied", blocks.shared_dirtied),
            ("Shared written", blocks.shared_written),
            ("Local hit", blocks.local_hit),
            ("Local read", blocks.local_read),
            ("Local dirtied", blocks.local_dirtied),
            ("Local written", blocks.local_written),
            ("Temp read", blocks.temp_read),
            ("Temp written", blocks.temp_written),
        ]
    };
    named(&all)
        .into_iter()
        .zip(named(&own))
        .filter(|((_, all), _)| *all > 0.0)
        .map(|((name, all), (_, own))| (name, size(own), size(all)))
        .collect()
}

/// `1,234 (9.6 MiB)`
fn size(blocks: f64) -> String {
    if blocks == 0.0 {
        "0".to_owned()
    } else if blocks < 0.5 {
        // What processes shared is divided among them.
        "< 1".to_owned()
    } else {
        format!(
            "{} ({})",
            format::count(blocks),
            format::bytes(blocks * 8192.0)
        )
    }
}

fn io(times: &IoMs) -> Vec<(&'static str, String)> {
    [
        ("Shared read", times.shared_read),
        ("Shared write", times.shared_write),
        ("Local read", times.local_read),
        ("Local write", times.local_write),
        ("Temp read", times.temp_read),
        ("Temp write", times.temp_write),
    ]
    .into_iter()
    .filter(|(_, ms)| *ms > 0.0)
    .map(|(name, ms)| (name, format::ms(ms)))
    .collect()
}
