//! Estimated sizes of indexes against those that a server builds.

use pgadvise::pg::LivePlanner;
use pgadvise::pg::twin::lay::{self, btree};
use pgadvise::pg::twin::sizes;
use pgadvise::verify::Planner as _;

use crate::support::server;

const TABLE: &str = include_str!("index_sizes.sql");

/// Shares of rows of partial indexes, as a planner would give them.
const SELECTIVITIES: &[(&str, f64)] = &[
    ("partial_ten_percent", 0.1),
    ("partial_half", 0.5),
    ("partial_of_few_values", 0.2),
    ("partial_not_null", 0.1),
];

struct Compared {
    name: String,
    method: String,
    estimated: f64,
    real: f64,
    height: Option<(u32, u32)>,
}

impl Compared {
    fn error(&self) -> f64 {
        self.estimated / self.real - 1.0
    }
}

#[test]
fn estimated_sizes_are_those_of_real_indexes() {
    let Some(server) = server::shared() else {
        return;
    };
    let mut admin = server.database("index_sizes", "");
    for script in TABLE.split("\n\n") {
        admin.execute_script(script).unwrap();
    }
    let files = lay::relation_files(&mut admin).unwrap();
    let catalog = LivePlanner::new(admin).catalog().unwrap();
    let relation = catalog.relation(Some("public"), "s").unwrap();
    let mut compared = Vec::new();
    for index in &relation.indexes {
        let selectivity = SELECTIVITIES
            .iter()
            .find(|(name, _)| *name == index.name)
            .map(|(_, share)| *share);
        let size = sizes::estimate_index(relation, index, selectivity);
        let file = files.iter().find(|file| file.name == index.name).unwrap();
        let height = (index.method == "btree").then(|| {
            let path = server.folder().join("data").join(&file.path);
            (size.height, btree::height_of(&path).unwrap())
        });
        compared.push(Compared {
            name: index.name.clone(),
            method: index.method.clone(),
            estimated: size.bytes / 8192.0,
            real: index.pages,
            height,
        });
    }
    compared.sort_by(|a, b| {
        (a.method != "btree", a.error().abs())
            .partial_cmp(&(b.method != "btree", b.error().abs()))
            .unwrap()
    });
    for one in &compared {
        println!(
            "{:8} {:28} {:7.0} {:7.0} {:+6.1} % {:?}",
            one.method,
            one.name,
            one.estimated,
            one.real,
            100.0 * one.error(),
            one.height
        );
    }
    assert!(compared.len() >= 60, "{}", compared.len());
    let trees: Vec<&Compared> = compared
        .iter()
        .filter(|one| one.method == "btree")
        .collect();
    let mut errors: Vec<f64> = trees.iter().map(|one| one.error().abs()).collect();
    errors.sort_by(f64::total_cmp);
    let median = errors[errors.len() / 2];
    let high = errors[errors.len() * 95 / 100];
    println!(
        "{} B-trees: median {median:.4}, 95th percentile {high:.4}, largest {:.4}",
        errors.len(),
        errors.last().unwrap()
    );
    assert!(median < 0.05, "median {median}");
    assert!(high < 0.2, "95th percentile {high}");
    for one in &compared {
        if let Some((estimated, real)) = one.height {
            assert_eq!(estimated, real, "height of {}", one.name);
        } else {
            let ratio = one.estimated / one.real;
            let most = if one.method == "gin" { 3.0 } else { 2.0 };
            assert!(ratio < most && ratio > 1.0 / most, "{}: {ratio}", one.name);
        }
    }
}
