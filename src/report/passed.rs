//! Why nodes were not flagged, as the formats for people show it.

use super::model::Statement;

/// Each node that was asked about, as `plan node 2: Seq Scan on orders`, with
/// the rules that stayed silent about it and their reasons.
pub(super) fn by_node(statement: &Statement) -> impl Iterator<Item = (String, Vec<(&str, &str)>)> {
    let nodes = statement.plan.iter().flat_map(|plan| &plan.nodes);
    nodes
        .filter(|node| !node.why_not_flagged.is_empty())
        .map(|node| {
            let reasons = node
                .why_not_flagged
                .iter()
                .map(|passed| (passed.rule.as_str(), passed.reason.as_str()))
                .collect();
            (format!("plan node {}: {}", node.id, node.label), reasons)
        })
}
