//! What is read out of SQL texts, through the library's front door.

use pgadvise::catalog::{Catalog, Column, Relation, RelationKind};
use pgadvise::source::{SourceId, Span, Text};
use pgadvise::sql::{
    self, Clause, ColumnRef, JoinKind, Operand, Predicate, Query, RelationRefKind, SelectRole,
    Statement, StatementKind, Wrapper,
};

fn read(text: &str) -> Vec<Statement> {
    let (statements, problems) = sql::read(SourceId(0), text);
    assert!(problems.is_empty(), "{text}: {problems:?}");
    statements
}

fn one(text: &str) -> Query {
    let mut statements = read(text);
    assert_eq!(statements.len(), 1, "{text}");
    statements.remove(0).query.unwrap()
}

fn slice(text: &str, span: Span) -> &str {
    text.get(span.range()).unwrap()
}

/// Span and operator of every predicate of the outermost level.
fn predicates<'a>(text: &'a str, query: &'a Query) -> Vec<(&'a str, &'a str)> {
    query.selects[0]
        .predicates
        .iter()
        .map(|predicate| (slice(text, predicate.span), predicate.operator.as_str()))
        .collect()
}

fn predicate<'a>(query: &'a Query, column: &str) -> &'a Predicate {
    query
        .predicates()
        .map(|(_, predicate)| predicate)
        .find(|predicate| predicate.left.column().is_some_and(|c| c.name == column))
        .unwrap_or_else(|| panic!("no predicate on {column}"))
}

fn alias<'a>(query: &'a Query, column: &ColumnRef) -> &'a str {
    &query.relation_of(column).unwrap().alias
}

fn catalog(tables: &[(&str, &str, &[&str])]) -> Catalog {
    let mut relations: Vec<Relation> = tables
        .iter()
        .enumerate()
        .map(|(at, (schema, name, columns))| Relation {
            oid: 16384 + at as u32,
            schema: (*schema).to_owned(),
            name: (*name).to_owned(),
            kind: RelationKind::Table,
            columns: columns
                .iter()
                .zip(1..)
                .map(|(name, number)| Column {
                    number,
                    name: (*name).to_owned(),
                    type_name: "integer".to_owned(),
                    base_type: "int4".to_owned(),
                    not_null: false,
                    default: None,
                    generated: false,
                    collation: None,
                    collation_is_c: false,
                    statistics_target: None,
                    stats: None,
                })
                .collect(),
            indexes: Vec::new(),
            constraints: Vec::new(),
            statistics: Vec::new(),
            partition_key: None,
            parent: None,
            partition_bound: None,
            pages: 0.0,
            tuples: None,
            all_visible_pages: 0.0,
            row_security: false,
            activity: None,
        })
        .collect();
    relations.sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    Catalog {
        search_path: vec!["public".to_owned()],
        relations,
        ..Catalog::default()
    }
}

fn shop() -> Catalog {
    catalog(&[
        (
            "public",
            "orders",
            &["id", "customer_id", "status", "total"],
        ),
        ("public", "customers", &["id", "name", "region"]),
        ("audit", "events", &["id", "order_id"]),
    ])
}

fn resolved(text: &str, catalog: &Catalog) -> (Query, Vec<String>) {
    let mut statements = read(text);
    assert_eq!(statements.len(), 1, "{text}");
    let problems = sql::resolve(&mut statements[0], catalog);
    let told = problems
        .iter()
        .map(|problem| format!("{problem}; {}", problem.hint.as_deref().unwrap_or("")))
        .collect();
    (statements.remove(0).query.unwrap(), told)
}

#[test]
fn predicates_come_apart_at_and_with_exact_spans() {
    let text = "select * from t where (a = 1) /* x */ and b between 2 and 3 and not (c = 4)\n  and d is null and 5 < e and f in (1, $1) and g = any($2) and not h and i like 'x%'";
    let query = one(text);
    assert_eq!(
        predicates(text, &query),
        [
            ("a = 1", "="),
            ("b between 2 and 3", "between"),
            ("not (c = 4)", "<>"),
            ("d is null", "is null"),
            ("5 < e", ">"),
            ("f in (1, $1)", "in"),
            ("g = any($2)", "in"),
            ("not h", "is false"),
            ("i like 'x%'", "like"),
        ]
    );
    assert!(query.predicates().all(|(_, predicate)| predicate.conjunct));
    assert_eq!(predicate(&query, "e").left.column().unwrap().name, "e");
    assert!(predicate(&query, "b").upper.is_some());
    assert!(
        matches!(&predicate(&query, "f").right, Operand::List { items, .. } if items.len() == 2)
    );
}

#[test]
fn under_or_and_not_nothing_must_hold_by_itself() {
    let query = one(
        "select * from t where (a = 1 or (b = 2 and c = 3)) and (d = 4 or e = 5) and not (f = 6 and g = 7) and h = 8",
    );
    let group = |column| predicate(&query, column).or_group;
    let conjunct = |column| predicate(&query, column).conjunct;
    assert!(group("a").is_some() && group("a") == group("b") && group("a") == group("c"));
    assert_ne!(group("a"), group("d"));
    assert_eq!(group("d"), group("e"));
    assert_eq!(group("f"), None);
    assert!(
        ["a", "b", "c", "d", "e", "f", "g"]
            .into_iter()
            .all(|column| !conjunct(column))
    );
    assert!(conjunct("h"));
}

#[test]
fn negation_keeps_what_null_means() {
    // NOT (x IS TRUE) is true for null, x IS FALSE is not.
    let text = "select * from t where not (a is true) and not b and not (c is null) and not not d";
    let operators: Vec<String> = one(text).selects[0]
        .predicates
        .iter()
        .map(|predicate| predicate.operator.clone())
        .collect();
    assert_eq!(
        operators,
        ["is not true", "is false", "is not null", "is true"]
    );
}

#[test]
fn wrappers_around_a_column_are_outermost_first() {
    let query = one(
        "select * from t where lower(a::text) collate \"C\" = 'x' and extract(year from b at time zone 'UTC') = 2024 and (c ->> 'k')::int > 1 and 1 - d < 2 and e || f = 'y' and date_trunc('day', g) = now()",
    );
    let wrappers = |column: &str| match &predicate(&query, column).left {
        Operand::Wrapped { by, .. } => by.clone(),
        other => panic!("{column}: {other:?}"),
    };
    assert!(matches!(
        wrappers("a").as_slice(),
        [Wrapper::Collate { .. }, Wrapper::Function { name, .. }, Wrapper::Cast { type_name, .. }]
            if name == "lower" && type_name == "text"
    ));
    assert!(matches!(
        wrappers("b").as_slice(),
        [Wrapper::Function { name, arguments, .. }, Wrapper::AtTimeZone { zone, .. }]
            if name == "extract" && arguments == &["year"] && zone == "'UTC'"
    ));
    assert!(matches!(
        wrappers("c").as_slice(),
        [Wrapper::Cast { .. }, Wrapper::Part { operator, key }] if operator == "->>" && key == "'k'"
    ));
    assert!(matches!(
        wrappers("d").as_slice(),
        [Wrapper::Arithmetic { operator, other: Some(other), column_left: false, .. }]
            if operator == "-" && other == "1"
    ));
    assert!(matches!(
        wrappers("g").as_slice(),
        [Wrapper::Function { arguments, .. }] if arguments == &["'day'"]
    ));
    // Two columns: neither is wrapped by the other.
    let sum = query.selects[0]
        .predicates
        .iter()
        .find(|p| matches!(&p.left, Operand::Other { columns, .. } if columns.len() == 2));
    assert!(sum.is_some());
    assert!(query.functions.iter().any(|call| call.name == "now"));
}

#[test]
fn joins_say_who_can_be_null_and_what_only_matches() {
    let text =
        "select * from a left join b on b.x = a.x and b.k = 1 join c using (y), d where a.z = d.z";
    let query = one(text);
    let level = &query.selects[0];
    let kinds: Vec<(JoinKind, bool, bool)> = level
        .joins
        .iter()
        .map(|join| (join.kind, join.has_condition, join.comma))
        .collect();
    assert_eq!(
        kinds,
        [
            (JoinKind::Left, true, false),
            (JoinKind::Inner, true, false),
            (JoinKind::Cross, false, true)
        ]
    );
    let nullable: Vec<bool> = level.relations.iter().map(|r| r.nullable).collect();
    assert_eq!(nullable, [false, true, false, false]);
    let on = predicate(&query, "k");
    assert!(on.outer_join && on.clause == Clause::On);
    assert!(!predicate(&query, "z").outer_join);
    let using = predicate(&query, "y");
    assert_eq!(slice(text, using.span), "y");
    let Operand::Column(right) = &using.right else {
        panic!("USING compares two columns")
    };
    assert_eq!(alias(&query, right), "c");
}

#[test]
fn every_level_knows_its_role_and_its_outer_columns() {
    let query = one(
        "with w as materialized (select x from v) select (select max(q.y) from q where q.id = t.id) from t join w on w.x = t.x where exists (select 1 from e where e.id = t.id) and t.i not in (select f.i from f) and not exists (select 1 from g)",
    );
    let roles: Vec<(&SelectRole, bool)> = query
        .selects
        .iter()
        .map(|select| (&select.role, select.correlated))
        .collect();
    assert_eq!(
        roles,
        [
            (&SelectRole::Top, false),
            (
                &SelectRole::Cte {
                    name: "w".to_owned(),
                    materialized: Some(true),
                    recursive: false
                },
                false
            ),
            (&SelectRole::Exists { negated: false }, true),
            (&SelectRole::In { negated: true }, false),
            (&SelectRole::Exists { negated: true }, false),
            (&SelectRole::Scalar, true),
        ]
    );
    assert!(matches!(
        query.selects[0].relations[1].kind,
        RelationRefKind::Cte { select: 1 }
    ));
    assert!(query.selects[5].has_aggregate && !query.selects[0].has_aggregate);
}

#[test]
fn order_by_position_or_alias_is_the_output_expression() {
    let query = one(
        "select distinct on (1) a, lower(b) as low, count(*) over () from t order by 1, low desc nulls last, c limit 10 offset $1",
    );
    let level = &query.selects[0];
    let names: Vec<Option<&str>> = level
        .order_by
        .iter()
        .map(|key| key.expression.operand.column().map(|c| c.name.as_str()))
        .collect();
    assert_eq!(names, [Some("a"), Some("b"), Some("c")]);
    assert!(matches!(
        level.order_by[1].expression.operand,
        Operand::Wrapped { .. }
    ));
    assert!(level.order_by[1].descending && level.order_by[1].nulls_first == Some(false));
    assert_eq!(level.distinct.as_ref().map(Vec::len), Some(1));
    assert!(
        matches!(&level.limit.as_ref().unwrap().operand, Operand::Literal { value, .. } if value == "10")
    );
    assert!(matches!(
        level.offset.as_ref().unwrap().operand,
        Operand::Parameter { number: 1, .. }
    ));
    assert!(level.has_window && !level.has_aggregate);
}

#[test]
fn a_chain_of_unions_is_one_operation() {
    let query = one(
        "select a from t union all select b from u union all (select c from v limit 1) order by 1",
    );
    let set = query.selects[0].set_operation.as_ref().unwrap();
    assert_eq!(
        (set.operator.as_str(), set.all, set.arms.len()),
        ("union", true, 3)
    );
    assert!(query.selects[set.arms[2]].limit.is_some());
    // INTERSECT binds closer.
    let query = one("select a from t union select b from u intersect select c from v");
    let set = query.selects[0].set_operation.as_ref().unwrap();
    assert_eq!((set.operator.as_str(), set.arms.len()), ("union", 2));
}

#[test]
fn data_modification_has_its_target_first() {
    let statements = read(
        "insert into t (a) select x from u where u.y = 1 returning a;
         update t as q set a = 1 from u where u.id = q.id;
         delete from s.t using u where t.id = u.id;
         merge into t using u on t.id = u.id when not matched then insert values (u.id);
         with gone as (delete from t where a = 1 returning b) select * from gone for update",
    );
    let kinds: Vec<StatementKind> = statements.iter().map(|s| s.kind).collect();
    assert_eq!(
        kinds,
        [
            StatementKind::Insert,
            StatementKind::Update,
            StatementKind::Delete,
            StatementKind::Merge,
            StatementKind::Select
        ]
    );
    let queries: Vec<&Query> = statements
        .iter()
        .map(|s| s.query.as_ref().unwrap())
        .collect();
    assert!(queries.iter().all(|query| query.modifies_data));
    assert!(queries[0].selects[0].relations.is_empty());
    assert_eq!(predicate(queries[0], "y").clause, Clause::Where);
    assert_eq!(queries[1].target.as_ref().unwrap().alias, "q");
    assert_eq!(
        queries[1].selects[0].relations[0],
        *queries[1].target.as_ref().unwrap()
    );
    assert_eq!(
        alias(
            queries[2],
            predicate(queries[2], "id").left.column().unwrap()
        ),
        "t"
    );
    assert!(queries[3].selects[0].relations[0].nullable);
    assert!(queries[4].target.is_none() && queries[4].locks_rows);
}

#[test]
fn a_bad_statement_does_not_take_the_others_along() {
    let text = "\u{feff}select 1;\nselect a from t wher b = ;\nselct 2;\n\\d t\nselect 3;\n-- only a comment\n";
    let (statements, problems) = sql::read(SourceId(0), text);
    assert_eq!(statements.len(), 4);
    assert_eq!(
        statements.iter().filter(|s| s.query.is_some()).count(),
        2,
        "{problems:?}"
    );
    let source = Text::new("a.sql", text);
    let lines: Vec<usize> = problems
        .iter()
        .map(|problem| source.line_column(problem.at.unwrap().start).line)
        .collect();
    assert_eq!(lines, [2, 3]);
    assert_eq!(slice(text, statements[0].span), "select 1");
    assert_eq!(slice(text, problems[1].at.unwrap()), "selct");
}

#[test]
fn texts_that_exhaust_a_parser_are_told_and_kept() {
    let deep = format!("select {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let long = format!("select {}", vec!["a"; 30_000].join("||"));
    let nul = "select '\0', \0 1".to_owned();
    let open = "select 'never closed".to_owned();
    for (text, word) in [
        (deep, "deeper"),
        (long, "20000"),
        (nul, "NUL"),
        (open, "never closed"),
    ] {
        let all = format!("{text};\nselect 2");
        let (statements, problems) = sql::read(SourceId(0), &all);
        assert!(problems[0].message.contains(word), "{:?}", problems[0]);
        assert!(statements[0].query.is_none());
        assert!(!statements[0].server_text.is_empty());
        let span = problems[0].at.unwrap();
        assert!(all.get(span.range()).is_some_and(|at| !at.is_empty()));
    }
    let huge = format!("select 1 where x in ({})", vec!["1"; 600_000].join(","));
    let (statements, problems) = sql::read(SourceId(0), &format!("{huge};select 2"));
    assert!(problems[0].message.contains("1000000"), "{:?}", problems[0]);
    assert!(statements[1].query.is_some());
}

#[test]
fn limits_leave_room_for_long_but_sane_statements() {
    let list = vec!["1"; 5_000].join(", ");
    let rows = vec!["(1, 'x')"; 20_000].join(", ");
    let unions = vec!["select a from t"; 500].join(" union all ");
    let conditions = vec!["a = 1"; 3_000].join(" or ");
    let nested = format!(
        "{}select 1{}",
        "select * from (".repeat(200),
        ") x".repeat(200)
    );
    for text in [
        format!("select * from t where a in ({list})"),
        format!("insert into t values {rows}"),
        unions,
        format!("select * from t where {conditions}"),
        nested,
        format!("select {}1", "- ".repeat(300)),
    ] {
        assert!(!one(&text).selects.is_empty());
    }
}

#[test]
fn explain_and_placeholders_leave_spans_on_the_users_text() {
    let text = "explain (analyze, buffers) select * from {{ ref('orders') }} o\nwhere o.d >= :since::date and o.c = :c and o.e = interval $1";
    let statement = read(text).remove(0);
    assert!(statement.text.starts_with("select"));
    assert_eq!(slice(text, statement.span), statement.text);
    assert_eq!(
        statement.server_text,
        "select * from orders o\nwhere o.d >= $2::date and o.c = $3 and o.e = $1::interval"
    );
    let query = statement.query.unwrap();
    assert_eq!(
        predicates(text, &query),
        [
            ("o.d >= :since::date", ">="),
            ("o.c = :c", "="),
            ("o.e = interval $1", "=")
        ]
    );
    assert_eq!(
        slice(text, query.selects[0].relations[0].span),
        "{{ ref('orders') }} o"
    );
}

#[test]
fn suppressions_name_rules_and_reasons() {
    let text = "-- pgadvise: ignore rule-a, rule-b (known, see wiki)\nselect 1 /* pgadvise: ignore rule-c */;\nselect 2 -- pgadvise: ignored\n";
    let statements = read(text);
    let first = &statements[0].suppressions;
    assert_eq!(first.len(), 2);
    assert_eq!(first[0].rules, ["rule-a", "rule-b"]);
    assert_eq!(first[0].reason.as_deref(), Some("known, see wiki"));
    assert_eq!(
        (first[1].rules.as_slice(), &first[1].reason),
        (&["rule-c".to_owned()][..], &None)
    );
    assert!(statements[1].suppressions.is_empty());
}

#[test]
fn without_a_catalogue_only_what_is_certain_is_resolved() {
    let query = one("select * from t where a = 1");
    assert_eq!(
        alias(&query, predicate(&query, "a").left.column().unwrap()),
        "t"
    );
    let query = one("select * from t, u where a = 1 and u.b = 2");
    assert_eq!(predicate(&query, "a").left.column().unwrap().relation, None);
    assert_eq!(
        alias(&query, predicate(&query, "b").left.column().unwrap()),
        "u"
    );
}

#[test]
fn a_catalogue_tells_whose_an_unqualified_column_is() {
    let (query, problems) = resolved(
        "select name from orders join customers c on customer_id = c.id where region = 1 and status = 2
         and exists (select 1 from audit.events where order_id = total)",
        &shop(),
    );
    assert!(problems.is_empty(), "{problems:?}");
    let of = |column| alias(&query, predicate(&query, column).left.column().unwrap());
    assert_eq!(
        (of("region"), of("status"), of("customer_id")),
        ("c", "orders", "orders")
    );
    // `total` is no column of events: it is the outer level's.
    let Operand::Column(total) = &predicate(&query, "order_id").right else {
        panic!("a column")
    };
    assert_eq!(query.table_of(total), Some(("public", "orders")));
    assert!(query.selects[1].correlated);
}

#[test]
fn cte_and_subquery_outputs_are_columns_too() {
    let (query, problems) = resolved(
        "with orders as (select id as oid from customers) select * from orders, (select region r from customers) s(q), lateral (select total t from public.orders o where o.id = oid) l where oid = 1 and q = 2 and t = 3",
        &shop(),
    );
    assert!(problems.is_empty(), "{problems:?}");
    let of = |column| alias(&query, predicate(&query, column).left.column().unwrap());
    assert_eq!((of("oid"), of("q"), of("t")), ("orders", "s", "l"));
    assert!(matches!(
        query.selects[0].relations[0].kind,
        RelationRefKind::Cte { .. }
    ));
}

#[test]
fn a_missing_table_is_a_problem_with_the_nearest_name() {
    let (query, problems) = resolved("select * from oders o where o.id = 1", &shop());
    assert_eq!(
        problems,
        ["relation oders does not exist; did you mean orders?"]
    );
    assert_eq!(
        alias(&query, predicate(&query, "id").left.column().unwrap()),
        "o"
    );
    let (_, problems) = resolved("select * from events", &shop());
    assert!(problems[0].contains("audit.events exists"), "{problems:?}");
    let (_, problems) = resolved("select * from pg_class, generate_series(1, 2) g", &shop());
    assert!(problems.is_empty(), "{problems:?}");
}

/// The left side is column `x` under something, and the predicate spans all.
fn wrapped(condition: &str, operator: &str) {
    for (text, conjunct) in [
        (format!("select * from t where {condition}"), true),
        (
            format!("select * from t where p = 1 and ({condition}) and q = 2"),
            true,
        ),
        (
            format!("select * from t where p = 1 and {condition} and q = 2"),
            true,
        ),
        (
            format!("select * from t where p = 1 or {condition} or q = 2"),
            false,
        ),
        (
            format!("select * from t where ({condition}\n or q = 2) and p = 1"),
            false,
        ),
        (
            format!("select * from t join u on {condition} and t.a = u.a"),
            true,
        ),
        (
            format!(
                "select * from t where p between 1 and 2 or p + 1 between 3 and :upper::int or {condition}"
            ),
            false,
        ),
    ] {
        let query = one(&text);
        let found: Vec<&Predicate> = query
            .predicates()
            .map(|(_, predicate)| predicate)
            .filter(|predicate| {
                predicate
                    .left
                    .column()
                    .is_some_and(|column| column.name == "x")
            })
            .collect();
        let [predicate] = found.as_slice() else {
            panic!("{text}: {found:?}");
        };
        assert_eq!(predicate.operator, operator, "{text}");
        assert_eq!(slice(&text, predicate.span), condition, "{text}");
        assert_eq!(predicate.conjunct, conjunct, "{text}");
        assert!(
            matches!(&predicate.left, Operand::Wrapped { by, .. } if !by.is_empty()),
            "{text}: {predicate:?}"
        );
    }
}

#[test]
fn what_stands_before_an_operator_is_its_operand_whole() {
    for operand in [
        "x::date",
        "t.x::date",
        "x::timestamp with time zone",
        "x::numeric(10, 2)",
        "x::date::text",
        "cast(x as date)",
        "x + 1",
        "t.x + 1",
        "1 + x",
        "x * 2 + 1",
        "1 + x::int",
        "x::int + 1",
        "- x",
        "x || 'a'",
        "x ->> 'a'",
        "x -> 'a' ->> 'b'",
        "(x ->> 'a')::int",
        "x at time zone 'UTC'",
        "(x at time zone 'UTC')::date",
        "x collate \"C\"",
        "date_trunc('day', x) + interval '1 day'",
        "x /* why */ :: date",
    ] {
        for (right, operator) in [
            ("between 1 and 2", "between"),
            ("BETWEEN :a AND :b", "between"),
            (
                "between '2024-01-01'::date and '2024-01-31'::date + 1",
                "between",
            ),
            ("between symmetric 1 and 2", "between symmetric"),
            ("not between 1 and 2", "not between"),
            ("in (1, 2)", "in"),
            ("not in (1, 2)", "not in"),
            ("like 'a%'", "like"),
            ("not like 'a%'", "not like"),
            ("ilike 'a%'", "ilike"),
            ("similar to 'a%'", "similar to"),
            ("is null", "is null"),
            ("is not null", "is not null"),
            ("isnull", "is null"),
            ("notnull", "is not null"),
            ("= 1", "="),
            ("< 1", "<"),
            (">= 1 + 1", ">="),
            ("<> 1", "<>"),
            ("is distinct from 1", "is distinct from"),
            ("is not distinct from 1", "is not distinct from"),
            ("= any ($1)", "in"),
            ("~ '^a'", "~"),
            ("is json", "is json"),
        ] {
            wrapped(&format!("{operand} {right}"), operator);
        }
        wrapped(&format!("not {operand} between 1 and 2"), "not between");
        wrapped(&format!("not {operand} in (1, 2)"), "not in");
        wrapped(&format!("not {operand} isnull"), "is not null");
    }
}

#[test]
fn between_ends_where_its_upper_bound_does() {
    let text = "select * from t where a between 1 and 2 or b = 3 and not c between d and 5 or e::date between :f and :g";
    assert_eq!(
        predicates(text, &one(text)),
        [
            ("a between 1 and 2", "between"),
            ("b = 3", "="),
            ("not c between d and 5", "not between"),
            ("e::date between :f and :g", "between"),
        ]
    );
    // Bounds on the server's text are longer or shorter than in the source.
    let text = "select * from t where :first::int between a and b or c::date between :'from' and :'to' or d = 1";
    assert_eq!(
        predicates(text, &one(text))
            .iter()
            .map(|(text, _)| *text)
            .collect::<Vec<_>>(),
        [
            ":first::int between a and b",
            "c::date between :'from' and :'to'",
            "d = 1"
        ]
    );
}

#[test]
fn what_only_looks_like_such_an_operand_is_read_as_before() {
    // Frames of windows, names, lists, CASE, DISTINCT ON, bare aliases.
    for text in [
        "select sum(a) over (order by a::date rows between 1 preceding and current row) from t where x::int between 1 and 2",
        "select sum(a) over (partition by b + 1 range between unbounded preceding and current row) from t where x::int between 1 and 2",
        "select distinct on (a) b::date between c and d from t where x::int between 1 and 2",
        "select a::date between b and c inside from t where x::int between 1 and 2",
        "select case when a + 1 between 1 and 2 then 3 else 4 end + 5 between 6 and 7 from t where x::int between 1 and 2",
        "select f(a => b::int between 1 and 2 or c) from t where x::int between 1 and 2",
        "select count(*) filter (where a + 1 between 1 and 2 or b) from t where x::int between 1 and 2 order by a + 1 between 1 and 2 or b limit 3",
        "insert into u select a from t where x::int between 1 and 2 on conflict (a) do update set b = 1 + 1 where u.b + 1 between 1 and 2 or u.c",
        "update t set b = a::int between 1 and 2 or c where x::int between 1 and 2 returning a + 1 between 1 and 2 as d",
    ] {
        let query = one(text);
        let predicate = predicate(&query, "x");
        assert_eq!(predicate.operator, "between", "{text}");
        assert_eq!(
            slice(text, predicate.span),
            "x::int between 1 and 2",
            "{text}"
        );
    }
}
