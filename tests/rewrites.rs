//! Every rewrite on the fixtures of `fixtures/rewrites/`: text in, text out.
//!
//! A fixture has one `catalog` block and then cases: a `sql` block followed by
//! `rewritten` (the whole new statement), `refused` (a part of the reason),
//! `advice` (a part of the text) or `nothing`.

#![expect(
    clippy::disallowed_methods,
    reason = "tests read the project's own fixtures"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pgadvise::catalog::{Catalog, Column, Index, IndexKey, Relation, RelationKind};
use pgadvise::finding::{Applicability, Edit};
use pgadvise::rewrite::{self, Proposal};
use pgadvise::source::{SourceId, Span};
use pgadvise::subject::Subject;

use crate::support::server;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/rewrites")
}

/// A fenced block: its name, its text, and the line where it starts.
struct Block {
    kind: String,
    text: String,
    line: usize,
}

fn blocks(markdown: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (at, line) in markdown.lines().enumerate() {
        if let Some(kind) = line.strip_prefix("```") {
            if !open {
                found.push(Block {
                    kind: kind.trim().to_owned(),
                    text: String::new(),
                    line: at + 1,
                });
            }
            open = !open;
        } else if open {
            let text = &mut found.last_mut().unwrap().text;
            text.push_str(line);
            text.push('\n');
        }
    }
    found
}

/// Reads the little language of `catalog` blocks:
///
/// ```text
/// timezone Europe/Berlin
/// table orders 1000000
///   id int8 not null
///   primary key id
///   unique a, b
///   expression index (created_at)::date
/// ```
pub(crate) fn catalog(text: &str) -> Catalog {
    let mut catalog = Catalog {
        version_num: 150_000,
        search_path: vec!["public".to_owned()],
        settings: BTreeMap::from([("TimeZone".to_owned(), "Etc/UTC".to_owned())]),
        ..Catalog::default()
    };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["timezone", zone] => {
                catalog
                    .settings
                    .insert("TimeZone".to_owned(), (*zone).to_owned());
            }
            ["function", name, volatility] => {
                catalog
                    .functions
                    .insert((*name).to_owned(), volatility.chars().next().unwrap());
            }
            [kind @ ("table" | "view" | "foreign"), name, rows] => {
                let rows: f64 = rows.parse().unwrap();
                catalog.relations.push(Relation {
                    oid: 16_384 + u32::try_from(catalog.relations.len()).unwrap(),
                    schema: "public".to_owned(),
                    name: (*name).to_owned(),
                    kind: match *kind {
                        "table" => RelationKind::Table,
                        "view" => RelationKind::View,
                        _ => RelationKind::ForeignTable,
                    },
                    columns: Vec::new(),
                    indexes: Vec::new(),
                    constraints: Vec::new(),
                    statistics: Vec::new(),
                    partition_key: None,
                    parent: None,
                    partition_bound: None,
                    pages: (rows / 100.0).ceil(),
                    tuples: Some(rows),
                    all_visible_pages: 0.0,
                    row_security: false,
                    activity: None,
                });
            }
            ["primary", "key", ..] | ["unique", ..] | ["expression", "index", ..] => {
                let relation = catalog.relations.last_mut().unwrap();
                let index = index(relation, line.trim());
                relation.indexes.push(index);
            }
            [name, type_name, rest @ ..] => {
                let relation = catalog.relations.last_mut().unwrap();
                let number = i16::try_from(relation.columns.len()).unwrap() + 1;
                relation
                    .columns
                    .push(column(number, name, type_name, rest == ["not", "null"]));
            }
            _ => panic!("not understood: {line}"),
        }
    }
    catalog
        .relations
        .sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    catalog
}

fn column(number: i16, name: &str, base_type: &str, not_null: bool) -> Column {
    let type_name = match base_type {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "timestamp" => "timestamp without time zone",
        "timestamptz" => "timestamp with time zone",
        "float8" => "double precision",
        other => other,
    };
    Column {
        number,
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        base_type: base_type.to_owned(),
        not_null,
        default: None,
        generated: false,
        collation: None,
        collation_is_c: false,
        statistics_target: None,
        stats: None,
    }
}

fn index(relation: &Relation, line: &str) -> Index {
    let (keys, primary) = if let Some(columns) = line.strip_prefix("primary key ") {
        (columns, true)
    } else if let Some(columns) = line.strip_prefix("unique ") {
        (columns, false)
    } else {
        (line.strip_prefix("expression index ").unwrap(), false)
    };
    let is_expression = line.starts_with("expression");
    let parts: Vec<&str> = if is_expression {
        vec![keys]
    } else {
        keys.split(',').map(str::trim).collect()
    };
    Index {
        oid: 0,
        name: format!("{}_{}", relation.name, relation.indexes.len()),
        method: "btree".to_owned(),
        keys: parts
            .iter()
            .map(|key| IndexKey {
                column: (!is_expression).then(|| (*key).to_owned()),
                text: (*key).to_owned(),
                opclass: "int8_ops".to_owned(),
                default_opclass: true,
                collation: None,
                descending: false,
                nulls_first: false,
                stats: None,
            })
            .collect(),
        include: Vec::new(),
        unique: !is_expression,
        primary,
        valid: true,
        immediate: true,
        nulls_not_distinct: false,
        predicate: None,
        definition: String::new(),
        pages: 1.0,
        tuples: None,
        scans: None,
    }
}

/// What is proposed for a text, and the rewritten texts.
fn propose(catalog: &Catalog, sql: &str) -> Vec<(Proposal, Option<String>)> {
    let (mut statements, problems) = pgadvise::sql::read(SourceId::default(), sql);
    assert_eq!(problems, [], "{sql}");
    let problems = pgadvise::sql::resolve(&mut statements[0], catalog);
    assert_eq!(problems, [], "{sql}");
    let subject = Subject {
        statement: Some(&statements[0]),
        catalog: Some(catalog),
        ..Subject::default()
    };
    rewrite::propose(&subject)
        .into_iter()
        .map(|proposal| {
            let text = rewrite::rewritten(&subject, &proposal);
            (proposal, text)
        })
        .collect()
}

/// What came out, in the words of a fixture.
fn outcome(found: &[(Proposal, Option<String>)]) -> (String, String) {
    match found {
        [] => ("nothing".to_owned(), String::new()),
        [(proposal, text), ..] => match (&proposal.refused, &proposal.advice, text) {
            (Some(reason), ..) => ("refused".to_owned(), reason.clone()),
            (_, Some(advice), _) => ("advice".to_owned(), advice.clone()),
            (_, _, Some(text)) => ("rewritten".to_owned(), text.clone()),
            _ => panic!("neither edits nor a reason: {proposal:?}"),
        },
    }
}

/// `(where, catalogue, sql, expected kind, expected text)` of all cases.
fn cases() -> Vec<(String, Catalog, String, String, String)> {
    let mut found = Vec::new();
    for rewrite in rewrite::ALL {
        let path = folder().join(format!("{}.md", rewrite.id()));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut known = Catalog::default();
        let mut sql: Option<Block> = None;
        for block in blocks(&text) {
            match block.kind.as_str() {
                "catalog" => known = catalog(&block.text),
                "sql" => sql = Some(block),
                kind => {
                    let sql = sql.take().expect("a sql block before the result");
                    found.push((
                        format!("{}.md:{}", rewrite.id(), sql.line),
                        known.clone(),
                        sql.text,
                        kind.to_owned(),
                        block.text,
                    ));
                }
            }
        }
    }
    found
}

#[test]
fn every_fixture_gives_what_it_says() {
    let mut wrong = Vec::new();
    for (place, catalog, sql, kind, expected) in cases() {
        let found = propose(&catalog, &sql);
        let (is, text) = outcome(&found);
        // A statement ends without the semicolon.
        let expected = expected.trim().trim_end_matches(';').trim();
        let good = is == kind
            && match kind.as_str() {
                "rewritten" => text.trim() == expected,
                "refused" => text.contains(expected),
                "advice" => expected.split("\n…\n").all(|part| text.contains(part)),
                _ => true,
            };
        if !good {
            wrong.push(format!(
                "{place}: expected {kind}:\n{expected}\nbut {is}:\n{text}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rewrite_has_cases_for_and_against_and_a_page() {
    let cases = cases();
    for rewrite in rewrite::ALL {
        let of: Vec<&str> = cases
            .iter()
            .filter(|case| case.0.starts_with(&format!("{}.md", rewrite.id())))
            .map(|case| case.3.as_str())
            .collect();
        assert!(of.contains(&"refused"), "{}", rewrite.id());
        assert!(
            of.iter()
                .any(|kind| matches!(*kind, "rewritten" | "advice")),
            "{}",
            rewrite.id()
        );
        assert!(rewrite.docs().len() > 200, "{}", rewrite.id());
    }
}

#[test]
fn what_is_offered_is_proved_and_what_is_refused_has_no_edits() {
    for (place, catalog, sql, ..) in cases() {
        for (proposal, text) in propose(&catalog, &sql) {
            let suggestion = proposal.suggestion();
            if proposal.refused.is_some() {
                assert!(proposal.edits.is_empty() && suggestion.is_none(), "{place}");
                continue;
            }
            let suggestion = suggestion.unwrap();
            if proposal.advice.is_some() {
                assert_eq!(suggestion.applicability, Applicability::Manual, "{place}");
                continue;
            }
            assert!(!suggestion.preconditions.is_empty(), "{place}");
            assert!(text.is_some(), "{place}");
        }
    }
}

#[test]
fn a_rewritten_statement_is_not_rewritten_again() {
    for (place, catalog, sql, kind, _) in cases() {
        if kind != "rewritten" {
            continue;
        }
        let (proposal, text) = propose(&catalog, &sql).remove(0);
        let again = propose(&catalog, &text.unwrap());
        assert!(
            again
                .iter()
                .all(|(other, _)| other.rewrite != proposal.rewrite || other.refused.is_some()),
            "{place}: {again:?}"
        );
    }
}

#[test]
fn edits_outside_or_across_each_other_are_not_made() {
    let edit = |start: usize, end: usize, text: &str| Edit {
        span: Span::new(SourceId::default(), start..end),
        text: text.to_owned(),
    };
    let apply = |edits: &[Edit]| rewrite::apply("sélect 1", 10, edits);
    assert_eq!(
        apply(&[edit(18, 19, "2"), edit(10, 17, "values")]).as_deref(),
        Some("values 2")
    );
    assert_eq!(apply(&[edit(9, 10, "x")]), None);
    assert_eq!(apply(&[edit(18, 30, "x")]), None);
    assert_eq!(apply(&[edit(12, 13, "x")]), None, "inside a character");
    assert_eq!(apply(&[edit(10, 15, "x"), edit(13, 16, "y")]), None);
}

#[test]
fn a_diff_shows_only_what_changed_with_its_surroundings() {
    let before = "select *\nfrom orders\nwhere a::date = '2024-03-01'\norder by b";
    let after = before.replace("a::date =", "a >=");
    let diff = rewrite::unified_diff(before, &after, "q.sql");
    assert!(diff.starts_with("--- q.sql\n+++ q.sql (rewritten)\n@@ -1,4 +1,4 @@\n"));
    assert!(diff.contains("-where a::date = '2024-03-01'\n+where a >= '2024-03-01'\n"));
    assert!(diff.contains("\n select *\n") && diff.contains("\n order by b\n"));
    assert_eq!(rewrite::unified_diff(before, before, "q.sql"), "");
}

/// Everything that stands in a text between `'` and `'`.
fn quoted(text: &str) -> Vec<&str> {
    text.split('\'').skip(1).step_by(2).collect()
}

/// Values to fill columns of a type with: those of the statements themselves
/// and their nearest neighbours, where a wrong bound would show.
fn pool(base_type: &str, texts: &str) -> Vec<String> {
    let dates = quoted(texts)
        .into_iter()
        .filter(|text| {
            let mut characters = text.chars();
            text.len() >= 10
                && characters.by_ref().take(4).all(|c| c.is_ascii_digit())
                && characters.next() == Some('-')
        })
        .map(|text| text.replace("+00", ""));
    let mut found: Vec<String> = match base_type {
        "int2" | "int4" | "int8" | "numeric" | "float8" => texts
            .split(|c: char| !c.is_ascii_digit() && c != '-')
            .filter_map(|word| word.parse::<i64>().ok())
            .filter(|number| number.abs() <= 20_000)
            .chain([0, 1, 2, 3, 5])
            .flat_map(|number| [number - 1, number, number + 1])
            .map(|number| number.to_string())
            .collect(),
        "timestamp" | "timestamptz" => dates
            .flat_map(|date| {
                [
                    "0",
                    "-1 microsecond",
                    "1 microsecond",
                    "1 day",
                    "-1 day",
                    "1 month",
                    "1 year",
                ]
                .map(|step| format!("'{date}'::{base_type} + interval '{step}'"))
            })
            .chain(
                [
                    "0",
                    "-1 day",
                    "1 day",
                    "-7 days",
                    "-30 days",
                    "-720 hours",
                    "-36 hours",
                    "-31 days",
                    "-1 month",
                ]
                .into_iter()
                .flat_map(|step| {
                    ["now()", "current_date", "date_trunc('month', now())"]
                        .map(|clock| format!("({clock} + interval '{step}')::{base_type}"))
                }),
            )
            .collect(),
        "date" => dates
            .flat_map(|date| {
                [0, -1, 1, 7, -7, 31, 366]
                    .map(|days| format!("'{}'::date + {days}", date.get(..10).unwrap()))
            })
            .chain([0, -29, -30, -31].map(|days| format!("current_date + {days}")))
            .collect(),
        _ => ["'new'", "'old'", "'x'", "'a'"].map(str::to_owned).into(),
    };
    found.sort();
    found.dedup();
    found
}

fn tables(catalog: &Catalog, texts: &str) -> (String, String) {
    let mut create = String::new();
    let mut fill = String::new();
    for relation in &catalog.relations {
        let columns: Vec<String> = relation
            .columns
            .iter()
            .map(|column| {
                let not_null = if column.not_null { " NOT NULL" } else { "" };
                format!("{} {}{not_null}", column.name, column.type_name)
            })
            .collect();
        create.push_str(&format!(
            "CREATE TABLE {} ({});\n",
            relation.name,
            columns.join(", ")
        ));
        for index in relation.indexes.iter().filter(|index| index.unique) {
            create.push_str(&format!(
                "ALTER TABLE {} ADD UNIQUE ({});\n",
                relation.name,
                index.key_columns().join(", ")
            ));
        }
        let values: Vec<String> = relation
            .columns
            .iter()
            .map(|column| {
                let mut pool = pool(&column.base_type, texts);
                // A difference with infinity is an error before version 17.
                if column.base_type.starts_with("timestamp") && !texts.contains(" - placed") {
                    pool.extend(["'infinity'".to_owned(), "'-infinity'".to_owned()]);
                }
                if !column.not_null {
                    pool.push("NULL".to_owned());
                }
                // `n` keeps PostgreSQL from computing it once for all rows.
                let value = format!(
                    "(ARRAY[{}]::{}[])[1 + floor(random() * {} + 0 * n)::int]",
                    pool.join(", "),
                    column.type_name,
                    pool.len()
                );
                if relation.is_unique_key(&[&column.name]) {
                    format!("CASE WHEN random() < 0.3 THEN {value} ELSE n END")
                } else {
                    value
                }
            })
            .collect();
        fill.push_str(&format!(
            "TRUNCATE {0};\nINSERT INTO {0} SELECT {1} FROM generate_series(1, :rows) n ON CONFLICT \
             DO NOTHING;\n",
            relation.name,
            values.join(", ")
        ));
    }
    (create, fill)
}

/// What the server is asked, with values for the parameters.
fn runnable(sql: &str) -> String {
    let (statements, _) = pgadvise::sql::read(SourceId::default(), sql);
    statements[0]
        .server_text
        .replace("$1", "'2024-03-01'")
        .replace("$2", "'2024-03-31'")
        .replace("'2024-03-01'::integer", "'7'::integer")
        .replace("quantity + 1 = '2024-03-01'", "quantity + 1 = '7'")
        .replace("delete from", "select * from")
}

/// PostgreSQL is the judge: on small databases made of the statements' own
/// constants, their neighbours and nulls, both texts give the same rows.
#[test]
fn a_server_gives_the_same_rows_for_both_texts() {
    let Some(server) = server::shared() else {
        return;
    };
    for rewrite in rewrite::ALL {
        let of: Vec<_> = cases()
            .into_iter()
            .filter(|case| case.3 == "rewritten")
            .filter(|case| case.0.starts_with(&format!("{}.md", rewrite.id())))
            .collect();
        let zones: Vec<&String> = of.iter().map(|case| &case.1.settings["TimeZone"]).collect();
        let mut distinct = zones.clone();
        distinct.sort();
        distinct.dedup();
        for (at, zone) in distinct.into_iter().enumerate() {
            let of: Vec<_> = of
                .iter()
                .filter(|case| case.1.settings["TimeZone"] == *zone)
                .collect();
            let texts: Vec<&str> = of
                .iter()
                .flat_map(|case| [case.2.as_str(), case.4.as_str()])
                .collect();
            let texts = texts.join("\n");
            let (create, fill) = tables(&of[0].1, &texts);
            let name = format!("rewrites_{}_{at}", rewrite.id().replace('-', "_"));
            let setup = format!("CREATE TABLE given (place text, rows bigint);\n{create}");
            let mut session = server.database(&name, &setup);
            for round in 0..15 {
                let rows = [0, 3, 8, 40, 1000][round % 5];
                let seed = f64::from(u32::try_from(round).unwrap()) / 15.0;
                let mut script = format!(
                    "BEGIN; SET LOCAL TimeZone = '{zone}'; SELECT setseed({seed});\n{}",
                    fill.replace(":rows", &rows.to_string())
                );
                for case in &of {
                    let (before, after) = (runnable(&case.2), runnable(&case.4));
                    script.push_str(&format!(
                        "DO $check$ BEGIN\n\
                         INSERT INTO given SELECT '{place}', count(*) FROM (\n{before}\n) x;\n\
                         IF EXISTS (((\n{before}\n) EXCEPT ALL (\n{after}\n)) UNION ALL ((\n{after}\n) \
                         EXCEPT ALL (\n{before}\n))) THEN RAISE '{place} gives other rows in round \
                         {round}'; END IF; END $check$;\n",
                        place = case.0
                    ));
                }
                script.push_str("COMMIT;");
                if let Err(error) = session.execute_script(&script) {
                    panic!("{}: {error:?}", rewrite.id());
                }
            }
            // A comparison of two empty results proves nothing.
            let vacuous = "DO $check$ DECLARE empty text; BEGIN \
                           SELECT string_agg(place, ', ') INTO empty FROM \
                           (SELECT place FROM given GROUP BY place HAVING max(rows) = 0) p; \
                           IF empty IS NOT NULL THEN RAISE 'never any rows: %', empty; END IF; \
                           END $check$";
            if let Err(error) = session.execute_script(vacuous) {
                panic!("{}: {error:?}", rewrite.id());
            }
        }
    }
}
