//! What must hold for whatever is read.

use pgadvise::plan::metrics;
use pgadvise::plan::read;

/// Reads a text, and uses the plans as the program does.
pub fn check(text: &str) {
    let reading = read::read(text);
    let _ = read::looks_like_plan(text);
    assert!(
        !reading.plans.is_empty() || !reading.problems.is_empty(),
        "a text without a plan is given a reason"
    );
    let lines = text.split('\n').count();
    let mut nodes = 0;
    for plan in &reading.plans {
        nodes += plan.plan.graph.node_count();
        assert!(plan.line >= 1 && plan.line <= lines, "a line of the text");
        for (id, node) in plan.plan.nodes() {
            let _ = node.label();
            let _ = plan.plan.parent(id);
        }
        let _ = metrics::metrics(&plan.plan);
        let printed = plan.plan.document.to_string();
        assert!(!printed.is_empty());
    }
    for problem in &reading.problems {
        assert!(problem.line.is_none_or(|line| line >= 1 && line <= lines));
    }
    // A node takes at least a few bytes of the text.
    assert!(nodes <= text.len() / 2 + 1, "{nodes} nodes");
}
