//! Reading a plan and deriving its numbers, beside reading the same text as
//! bare JSON values. The whole should stay within three times the bare reading,
//! and grow in step with the nodes. And the page of a plan: 3,000 nodes take
//! less than 200 ms.

use std::fmt::Write as _;

use divan::Bencher;
use divan::counter::BytesCount;
use pgadvise::advise::engine::{self, Choice};
use pgadvise::advise::explain::{self, AdviceOptions, GivenPlan};
use pgadvise::plan::{json, metrics};
use pgadvise::report::{self, html};
use pgadvise::rules;
use pgadvise::source::Sources;
use pgadvise::subject::Subject;

const NODES: [usize; 3] = [100, 10_000, 100_000];

fn main() {
    divan::main();
}

/// A partitioned table's plan: an Append with that many scans, as `ANALYZE`
/// with `BUFFERS` prints them.
fn partitions(nodes: usize) -> String {
    let numbers = |rows: usize| {
        format!(
            r#""Startup Cost": 0.00, "Total Cost": {rows}.50, "Plan Rows": {rows}, "Plan Width": 8,
            "Actual Startup Time": 0.004, "Actual Total Time": 0.{rows:03}, "Actual Rows": {rows}, "Actual Loops": 1,
            "Shared Hit Blocks": {rows}, "Shared Read Blocks": 0, "Shared Dirtied Blocks": 0, "Shared Written Blocks": 0,
            "Local Hit Blocks": 0, "Local Read Blocks": 0, "Local Dirtied Blocks": 0, "Local Written Blocks": 0,
            "Temp Read Blocks": 0, "Temp Written Blocks": 0"#
        )
    };
    let mut text = format!(
        r#"[{{"Plan": {{"Node Type": "Append", "Parallel Aware": false, "Async Capable": false, {}, "Plans": ["#,
        numbers(nodes)
    );
    for part in 1..nodes {
        let comma = if part == 1 { "" } else { "," };
        // Writing to a string cannot fail.
        _ = write!(
            text,
            r#"{comma}{{"Node Type": "Seq Scan", "Parent Relationship": "Member", "Parallel Aware": false,
            "Async Capable": false, "Relation Name": "part_{part}", "Alias": "part_{part}", {},
            "Filter": "(created_at > '2026-01-01'::date)", "Rows Removed by Filter": 12}}"#,
            numbers(part % 900)
        );
    }
    text.push_str("]}, \"Planning Time\": 1.5, \"Execution Time\": 20.5}]");
    text
}

#[divan::bench(args = NODES, sample_count = 10)]
fn bare_json(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = partitions(nodes);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| serde_json::from_slice::<serde_json::Value>(text.as_bytes()));
}

#[divan::bench(args = NODES, sample_count = 10)]
fn parse(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = partitions(nodes);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| json::parse(&text));
}

#[divan::bench(args = NODES, sample_count = 10)]
fn parse_and_derive(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = partitions(nodes);
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        json::parse(&text).map(|plans| plans.iter().map(metrics::metrics).collect::<Vec<_>>())
    });
}

/// From bytes to findings, with every rule that a plan is enough for.
#[divan::bench(args = NODES, sample_count = 10)]
fn analyse(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = partitions(nodes);
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        json::parse(&text).map(|plans| {
            plans
                .iter()
                .map(|plan| {
                    let subject = Subject {
                        plan: Some(plan),
                        ..Subject::default()
                    };
                    engine::run(&subject, rules::ALL, &Choice::default())
                })
                .collect::<Vec<_>>()
        })
    });
}

/// A page of a plan of that many nodes, from the report on.
#[divan::bench(args = [300, 3_000], sample_count = 10)]
fn page(bencher: Bencher<'_, '_>, nodes: usize) {
    let text = partitions(nodes);
    let plans = json::parse(&text)
        .unwrap_or_default()
        .into_iter()
        .map(|plan| GivenPlan {
            plan,
            name: "plan.json".to_owned(),
            sql: None,
            incomplete: None,
        })
        .collect();
    let analyses = explain::analyse(Vec::new(), plans, None, &AdviceOptions::default());
    let report = report::build(&analyses, &Sources::default(), Vec::new());
    bencher.bench(|| html::html(&report));
}
