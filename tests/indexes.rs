//! The choice of indexes, on a planner that answers from recordings: what is
//! tried, what is kept, and what is never proposed.

use pgadvise::advise::candidates::candidates;
use pgadvise::advise::indexes::choose;
use pgadvise::advise::usage::usages;
use pgadvise::catalog::Catalog;
use pgadvise::plan::PlanGraph;
use pgadvise::source::SourceId;
use pgadvise::sql::{self, Statement};
use pgadvise::verify::Planner as _;
use pgadvise::verify::recorded::Recorded;

use crate::support::compact_catalog;

const SHOP: &str = "
table public.orders rows=200000 pages=2000
  column id int not null distinct=-1
  column customer_id int not null distinct=10000
  column status text not null distinct=4
  column created_at timestamp not null distinct=-0.9
  column note text
  index orders_pkey primary btree (id)
table public.customers rows=10000 pages=100
  column id int not null distinct=-1
  column email text not null distinct=-1
  index customers_pkey primary btree (id)
";

fn statement(text: &str, catalog: &Catalog) -> Statement {
    let (mut statements, problems) = sql::read(SourceId(0), text);
    assert_eq!(problems, []);
    let mut statement = statements.remove(0);
    assert_eq!(sql::resolve(&mut statement, catalog), []);
    statement
}

/// The DDL of all candidates for a statement.
fn ddl(catalog: &str, text: &str) -> Vec<String> {
    let catalog = compact_catalog::parse(catalog);
    let statement = statement(text, &catalog);
    let query = statement.query.as_ref().expect("it is read");
    let usages = usages(query, &statement.text, statement.span.start, &catalog);
    candidates(&usages, &catalog)
        .into_iter()
        .map(|candidate| {
            let sql = candidate.spec.plain_sql();
            sql.split_once(" ON ").expect("DDL").1.to_owned()
        })
        .collect()
}

fn scan(node: &str, index: Option<&str>, rows: f64, cost: f64) -> PlanGraph {
    let index = index.map_or(String::new(), |name| format!(r#""Index Name": "{name}","#));
    let text = format!(
        r#"[{{"Plan": {{"Node Type": "{node}", {index} "Relation Name": "orders", "Schema": "public",
        "Alias": "orders", "Startup Cost": 0.0, "Total Cost": {cost}, "Plan Rows": {rows},
        "Plan Width": 40}}}}]"#
    );
    pgadvise::plan::json::parse(&text)
        .expect("a plan")
        .remove(0)
}

#[test]
fn equality_comes_before_the_range_and_the_order() {
    assert_eq!(
        ddl(
            SHOP,
            "SELECT * FROM orders WHERE created_at > '2024-01-01' AND customer_id = 5"
        ),
        ["public.orders (customer_id, created_at)"]
    );
    assert_eq!(
        ddl(
            SHOP,
            "SELECT * FROM orders WHERE customer_id = $1 ORDER BY created_at DESC, id DESC LIMIT 9"
        ),
        ["public.orders (customer_id, created_at, id)"]
    );
    assert_eq!(
        ddl(
            SHOP,
            "SELECT * FROM orders WHERE customer_id = 5 ORDER BY created_at DESC, id LIMIT 9"
        ),
        ["public.orders (customer_id, created_at DESC, id)"],
        "mixed directions are kept"
    );
}

#[test]
fn a_unique_key_needs_no_index() {
    assert_eq!(
        ddl(
            SHOP,
            "SELECT * FROM orders WHERE id = 5 AND status = 'new' AND created_at > now()"
        ),
        [] as [&str; 0]
    );
}

#[test]
fn the_join_column_of_the_many_side_is_a_candidate_and_the_key_is_not() {
    assert_eq!(
        ddl(
            SHOP,
            "SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.email = 'x'"
        ),
        ["public.customers (email)", "public.orders (customer_id)"]
    );
}

#[test]
fn what_an_index_serves_already_is_not_proposed_again() {
    let with = |index: &str| {
        SHOP.replace(
            "table public.customers",
            &format!("  {index}\ntable public.customers"),
        )
    };
    let query = "SELECT * FROM orders WHERE customer_id = 5 AND status = 'new'";
    for index in [
        "index a btree (status, customer_id)",
        "index a btree (customer_id, status, created_at)",
    ] {
        assert_eq!(ddl(&with(index), query), [] as [&str; 0], "{index}");
    }
    for index in [
        "index a btree (customer_id) where status = 'old'",
        "index a btree (created_at, customer_id, status)",
        "index a hash (customer_id)",
    ] {
        assert_eq!(ddl(&with(index), query).len(), 1, "{index}");
    }
}

#[test]
fn a_function_of_a_column_makes_an_expression_key_without_the_alias() {
    assert_eq!(
        ddl(
            SHOP,
            "SELECT * FROM customers AS c WHERE lower(c.email) = 'a@b'"
        ),
        ["public.customers ((lower(email)))"]
    );
}

#[test]
fn a_prefix_pattern_needs_the_pattern_operator_class() {
    assert_eq!(
        ddl(SHOP, "SELECT * FROM customers WHERE email LIKE 'ann%'"),
        ["public.customers (email text_pattern_ops)"]
    );
}

#[test]
fn a_statement_that_orders_or_filters_nothing_has_no_candidates() {
    for query in [
        "SELECT count(*) FROM orders",
        "SELECT status, count(*) FROM orders GROUP BY status",
        "SELECT * FROM orders ORDER BY created_at",
        "SELECT * FROM orders LIMIT 10",
    ] {
        assert_eq!(ddl(SHOP, query), [] as [&str; 0], "{query}");
    }
}

#[test]
fn only_what_is_used_and_saves_enough_is_chosen() {
    let catalog = compact_catalog::parse(SHOP);
    let text = "SELECT note FROM orders WHERE customer_id = 5";
    let statement = statement(text, &catalog);
    let before = scan("Seq Scan", None, 20.0, 4_500.0);
    let name = "orders_customer_id_idx";
    let chosen = |with: PlanGraph| {
        let mut planner = Recorded::new(catalog.clone())
            .record(text, &[], before.clone())
            .record(text, &[name], with);
        let outcome = choose(&statement, &before, &catalog, &mut planner, 0.3).expect("it plans");
        assert!(planner.calls() > 0, "the planner is asked");
        assert_eq!(outcome.judged, [("public".to_owned(), "orders".to_owned())]);
        outcome.choice
    };
    let choice = chosen(scan("Index Scan", Some(name), 20.0, 80.0)).expect("an index");
    assert_eq!(choice.indexes.len(), 1);
    assert_eq!(choice.indexes[0].spec.name, name);
    assert!((choice.before, choice.after) == (4_500.0, 80.0));
    // 200,000 four-byte keys, 20 rows each: deduplicated about 1.4 MB.
    let size = choice.indexes[0].size.as_ref().expect("a size").0;
    assert!((1.2e6..1.7e6).contains(&size), "{size}");

    assert!(
        chosen(scan("Seq Scan", None, 20.0, 4_500.0)).is_none(),
        "an index that the plan does not use"
    );
    assert!(
        chosen(scan("Index Scan", Some(name), 20.0, 3_600.0)).is_none(),
        "a fifth is less than the margin"
    );
    assert!(
        chosen(scan("Index Scan", Some(name), 60_000.0, 900.0)).is_none(),
        "an index that gives a third of the table"
    );
}
