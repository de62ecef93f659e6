//! Statements with parameters, planned with values in their place, on a real
//! server with skewed data.

use pgadvise::advise::Analysis;
use pgadvise::advise::explain::{AdviceOptions, analyse};
use pgadvise::finding::{Change, Finding, Level, Verdict};
use pgadvise::pg::{Limits, LivePlanner};
use pgadvise::plan::PlanGraph;
use pgadvise::source::SourceId;
use pgadvise::sql;

use crate::support::server::{Server, shared};

/// The rule under which findings are reported.
const RULE: &str = "plan-depends-on-parameter";

/// One status in a thousand rows is rare, and nearly all rows have one; the
/// other columns have no skew.
const ORDERS: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, status text NOT NULL, customer_id int NOT NULL,
        amount int NOT NULL, note text NOT NULL);
    INSERT INTO orders SELECT n,
        CASE WHEN n % 1000 = 0 THEN 'failed' WHEN n % 997 = 0 THEN 'it''s \\new' ELSE 'done' END,
        n * 7 % 2000, n % 1000, repeat('x', 60)
        FROM generate_series(1, 60000) n;
    CREATE INDEX orders_status ON orders (status);
    CREATE INDEX orders_amount ON orders (amount);
    ANALYZE orders;
";

fn planner(server: &Server, database: &str) -> LivePlanner {
    let options = server.options(database, "postgres", "");
    LivePlanner::connect(&options, Limits::default()).unwrap()
}

fn advice(planner: &mut LivePlanner, text: &str, options: &AdviceOptions) -> Analysis {
    let (statements, _) = sql::read(SourceId(0), text);
    analyse(statements, Vec::new(), Some(planner), options).remove(0)
}

fn reported(analysis: &Analysis) -> Option<&Finding> {
    analysis
        .findings
        .iter()
        .find(|finding| finding.rule == RULE)
}

#[test]
fn the_value_that_the_generic_plan_hurts_is_named() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("parameters_flip", ORDERS);
    // A correlated index makes the generic plan an index scan; spread over the
    // table it is dear for the common value.
    admin
        .execute_script("ALTER DATABASE parameters_flip SET random_page_cost = 4")
        .unwrap();
    let mut planner = planner(server, "parameters_flip");
    for text in [
        "SELECT * FROM orders WHERE status = $1",
        "SELECT * FROM orders WHERE status = ?",
        "SELECT * FROM orders WHERE status = :status",
    ] {
        let analysis = advice(&mut planner, text, &AdviceOptions::default());
        assert_eq!(analysis.problems, []);
        let found = analysis.parameters.as_ref().expect("values were tried");
        assert!(found.flips(), "{found:#?}");
        let by_value = |value: &str| {
            found
                .tried
                .iter()
                .find(|tried| tried.values == [value.to_owned()])
                .unwrap_or_else(|| panic!("{value} is tried: {found:#?}"))
        };
        let (common, rare) = (by_value("'done'"), by_value("'failed'"));
        assert_ne!(common.shape, rare.shape, "{found:#?}");
        assert!(common.share > 0.99 && rare.share < 0.002);
        assert!(
            found
                .tried
                .iter()
                .any(|tried| tried.values == ["E'it''s \\\\new'".to_owned()]),
            "quotes survive: {found:#?}"
        );
        // Every shape but the generic plan's costs its values more under the
        // generic plan, and what was forced is dearer than what was chosen.
        for tried in &found.tried {
            let generic = tried.generic_cost.expect("a scan can be forced");
            if tried.shape == 0 {
                assert!((generic - tried.own_cost).abs() < 0.01);
            } else {
                assert!(generic > tried.own_cost, "{tried:?}");
            }
        }
    }
}

/// What EXPLAIN says of a value with settings is what the table says.
#[test]
fn costs_are_those_that_the_server_gives() {
    let Some(server) = shared() else { return };
    server.database("parameters_costs", ORDERS);
    let mut planner = planner(server, "parameters_costs");
    let analysis = advice(
        &mut planner,
        "SELECT * FROM orders WHERE status = $1",
        &AdviceOptions::default(),
    );
    let found = analysis.parameters.as_ref().expect("values were tried");
    for (value, shown) in [("done", "'done'"), ("failed", "'failed'")] {
        let own = advice(
            &mut planner,
            &format!("SELECT * FROM orders WHERE status = '{value}'"),
            &AdviceOptions::default(),
        );
        let cost = own.plan.as_ref().and_then(PlanGraph::total_cost);
        let tried = found
            .tried
            .iter()
            .find(|tried| tried.values == [shown.to_owned()])
            .expect("it is tried");
        assert_eq!(cost, Some(tried.own_cost));
        assert!(own.parameters.is_none(), "a literal is left alone");
    }
}

#[test]
fn where_all_values_have_one_plan_nothing_is_reported() {
    let Some(server) = shared() else { return };
    server.database("parameters_even", ORDERS);
    let mut planner = planner(server, "parameters_even");
    for text in [
        "SELECT * FROM orders WHERE amount = $1",
        "SELECT * FROM orders WHERE id = $1",
        "SELECT * FROM orders WHERE customer_id + 1 = $1",
        "INSERT INTO orders VALUES ($1, $2, $3, $4, $5)",
    ] {
        let analysis = advice(&mut planner, text, &AdviceOptions::default());
        assert_eq!(reported(&analysis), None, "{text}");
        if let Some(found) = &analysis.parameters {
            assert!(!found.flips(), "{text}: {found:#?}");
        }
    }
}

/// One tenant has most of the rows. The plan for any tenant looks each row's
/// user up by itself, which is right for all but that one.
const TENANTS: &str = "
    CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL);
    INSERT INTO users SELECT n, 'user ' || n FROM generate_series(0, 19999) n;
    CREATE TABLE events (id int, tenant int NOT NULL, user_id int NOT NULL, body text NOT NULL);
    INSERT INTO events SELECT n, CASE WHEN n % 10 < 7 THEN 0 ELSE n % 1009 END, n * 7 % 20000,
        repeat('x', 60) FROM generate_series(1, 60000) n;
    CREATE INDEX events_tenant ON events (tenant);
    ANALYZE;
";

#[test]
fn a_value_that_is_hurt_is_named_and_custom_plans_are_proposed() {
    let Some(server) = shared() else { return };
    server.database("parameters_hurt", TENANTS);
    let mut planner = planner(server, "parameters_hurt");
    let text = "SELECT u.name, e.body FROM events e JOIN users u ON u.id = e.user_id \
                WHERE e.tenant = $1";
    let analysis = advice(&mut planner, text, &AdviceOptions::default());
    let found = analysis.parameters.as_ref().expect("values were tried");
    let finding = reported(&analysis).expect("the large tenant is hurt");
    assert!(finding.message.contains("$1 = 0"), "{}", finding.message);
    assert_eq!(
        finding.relation,
        Some(("public".to_owned(), "events".to_owned()))
    );
    let settled = found.settled.expect("the rule was applied");
    assert!(settled.generic_at_last, "{settled:?}");
    assert_eq!(finding.level, Level::Warning);
    let setting = finding
        .suggestions
        .iter()
        .find(|suggestion| matches!(&suggestion.change, Change::Setting { sql } if sql.contains("force_custom_plan")))
        .expect("custom plans pay");
    let Verdict::Better(comparison) = &setting.verdict else {
        panic!("{setting:?}");
    };
    assert!(comparison.after_cost < comparison.before_cost * 0.7);
    assert_eq!(Some(comparison.before_cost), found.generic_average());

    // The server itself does so: after five executions with the values as
    // they occur, EXPLAIN of the next shows the generic plan.
    let mut admin = server.admin("parameters_hurt");
    admin
        .execute_script(&format!(
            "PREPARE p AS {text}; EXECUTE p(0); EXECUTE p(0); EXECUTE p(3); EXECUTE p(0); \
             EXECUTE p(0); EXECUTE p(0);
             DO $$ BEGIN
                 ASSERT (SELECT generic_plans FROM pg_prepared_statements WHERE name = 'p') = 1;
             EXCEPTION WHEN undefined_column THEN NULL; END $$"
        ))
        .unwrap();

    let off = AdviceOptions {
        parameters: false,
        ..AdviceOptions::default()
    };
    let analysis = advice(&mut planner, text, &off);
    assert!(analysis.parameters.is_none() && reported(&analysis).is_none());
}

#[test]
fn two_bounds_of_one_column_are_one_range() {
    let Some(server) = shared() else { return };
    server.database("parameters_range", ORDERS);
    let mut planner = planner(server, "parameters_range");
    let text = "SELECT * FROM orders WHERE id < $1 AND id >= $2 LIMIT $3";
    let analysis = advice(&mut planner, text, &AdviceOptions::default());
    let found = analysis.parameters.as_ref().expect("values were tried");
    assert_eq!(found.compared.len(), 1, "{found:#?}");
    assert_eq!(found.open, ["$3"]);
    // The lower bound goes where the lower bound stands: rows are expected.
    assert!(found.tried.iter().all(|tried| tried.own_cost > 1.0));
}

#[test]
fn a_suggested_index_says_which_values_it_helps() {
    let Some(server) = shared() else { return };
    let mut admin = server.database("parameters_index", ORDERS);
    if admin.execute_script("CREATE EXTENSION hypopg").is_err() {
        println!("did nothing: hypopg is not installed");
        return;
    }
    let mut planner = planner(server, "parameters_index");
    let analysis = advice(
        &mut planner,
        "SELECT * FROM orders WHERE customer_id = $1 AND amount < $2",
        &AdviceOptions::default(),
    );
    let checked: Vec<&String> = analysis
        .findings
        .iter()
        .flat_map(|finding| &finding.suggestions)
        .filter(|suggestion| matches!(suggestion.change, Change::CreateIndex(_)))
        .filter_map(|suggestion| match &suggestion.verdict {
            Verdict::Better(comparison) => Some(&comparison.checked),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(
        checked
            .iter()
            .any(|said| said.contains("helps all") && said.contains("hurts none")),
        "{checked:#?}"
    );
}
