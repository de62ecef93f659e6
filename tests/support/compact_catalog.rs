//! A catalogue written in a few lines, for fixtures.
//!
//! ```text
//! version 15
//! setting work_mem 4MB
//! table public.orders rows=200000 pages=1471 live=200000 modified=0 analyzed=3600
//!   column status text not null distinct=3 correlation=0.2
//!   index orders_pkey primary btree (id)
//!   index orders_open btree (created_at desc, lower(email)) include (total) where status = 'open'
//!   statistics orders_stats (dependencies, mcv) on city, country
//!   reference orders_customer_id_fkey (customer_id) -> public.customers (id)
//! ```
//!
//! Kinds of relation: `table`, `partitioned`, `view`, `matview`, `foreign`; a
//! partition says `parent=public.orders`. `rows` is `reltuples` and left out
//! for a table that was never analysed; `live`, `modified`, `inserted`,
//! `deleted` and `analyzed` (seconds ago) make its activity. A column with `distinct=`, `nulls=`,
//! `width=` or `correlation=` has statistics.
#![expect(clippy::string_slice, reason = "a test may panic")]

use pgadvise::catalog::{
    Activity, Catalog, Column, ColumnStatistics, Constraint, ConstraintKind, Index, IndexKey,
    Relation, RelationKind, StatisticsObject,
};

/// Reads the lines; panics on one that it does not know, with the line.
pub(crate) fn parse(text: &str) -> Catalog {
    let mut catalog = Catalog {
        version_num: 150_000,
        version: "15.0".to_owned(),
        search_path: vec!["public".to_owned()],
        ..Catalog::default()
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "version" => {
                let major: u32 = rest.trim().parse().expect("a major version");
                catalog.version_num = major * 10_000;
                catalog.version = format!("{major}.0");
            }
            "setting" => {
                let (name, value) = rest.split_once(' ').expect("a name and a value");
                catalog.settings.insert(name.to_owned(), value.to_owned());
            }
            "search_path" => {
                catalog.search_path = rest.split(',').map(|name| name.trim().to_owned()).collect();
            }
            "limit" => catalog.limits.push(rest.to_owned()),
            "table" | "partitioned" | "view" | "matview" | "foreign" => {
                let oid = 16_384 + u32::try_from(catalog.relations.len()).unwrap();
                catalog.relations.push(relation(word, rest, oid));
            }
            _ => {
                let relation = catalog.relations.last_mut().unwrap_or_else(|| {
                    panic!("no table before: {line}");
                });
                match word {
                    "column" => column(relation, rest),
                    "index" => index(relation, rest),
                    "statistics" => statistics(relation, rest),
                    "reference" => reference(relation, rest),
                    "check" => relation.constraints.push(Constraint {
                        name: format!("{}_check", relation.name),
                        kind: ConstraintKind::Check {
                            expression: rest.to_owned(),
                        },
                        columns: Vec::new(),
                        validated: true,
                        deferrable: false,
                    }),
                    _ => panic!("not known in a catalogue: {line}"),
                }
            }
        }
    }
    catalog
        .relations
        .sort_by(|a, b| (&a.schema, &a.name).cmp(&(&b.schema, &b.name)));
    catalog
}

/// `orders_customer_id_fkey (customer_id) -> public.customers (id)`.
fn reference(relation: &mut Relation, rest: &str) {
    let (own, other) = rest.split_once("->").expect("a reference has ->");
    let (name, columns) = own.split_once('(').expect("the referring columns");
    let (table, others) = other.split_once('(').expect("the columns referred to");
    let list = |text: &str| -> Vec<String> {
        text.trim()
            .trim_end_matches(')')
            .split(',')
            .map(|column| column.trim().to_owned())
            .collect()
    };
    let (schema, table) = name_of(table.trim());
    relation.constraints.push(Constraint {
        name: name.trim().to_owned(),
        kind: ConstraintKind::ForeignKey {
            schema,
            table,
            columns: list(others),
        },
        columns: list(columns),
        validated: true,
        deferrable: false,
    });
}

/// `key=value` among words.
fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

fn number(words: &[&str], key: &str) -> Option<f64> {
    value(words, key).map(|text| text.parse().expect("a number"))
}

fn name_of(text: &str) -> (String, String) {
    let (schema, name) = text.split_once('.').unwrap_or(("public", text));
    (schema.to_owned(), name.to_owned())
}

fn relation(kind: &str, rest: &str, oid: u32) -> Relation {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (schema, name) = name_of(words[0]);
    let tuples = number(&words, "rows");
    let live = number(&words, "live");
    let modified = number(&words, "modified");
    let analyzed = number(&words, "analyzed");
    Relation {
        oid,
        schema,
        name,
        kind: match kind {
            "table" => RelationKind::Table,
            "partitioned" => RelationKind::PartitionedTable,
            "view" => RelationKind::View,
            "matview" => RelationKind::MaterializedView,
            _ => RelationKind::ForeignTable,
        },
        columns: Vec::new(),
        indexes: Vec::new(),
        constraints: Vec::new(),
        statistics: Vec::new(),
        partition_key: value(&words, "key").map(str::to_owned),
        parent: value(&words, "parent").map(name_of),
        partition_bound: None,
        pages: number(&words, "pages").unwrap_or(0.0),
        tuples,
        all_visible_pages: number(&words, "visible").unwrap_or(0.0),
        row_security: false,
        activity: (live.is_some() || modified.is_some() || analyzed.is_some()).then(|| Activity {
            live_rows: live.or(tuples).unwrap_or(0.0),
            modified_since_analyze: modified.unwrap_or(0.0),
            seconds_since_analyze: analyzed,
            inserted: number(&words, "inserted").unwrap_or(0.0),
            deleted: number(&words, "deleted").unwrap_or(0.0),
            ..Activity::default()
        }),
    }
}

fn column(relation: &mut Relation, rest: &str) {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let type_words: Vec<&str> = words
        .iter()
        .skip(1)
        .copied()
        .take_while(|word| *word != "not" && *word != "generated" && !word.contains('='))
        .collect();
    let type_name = type_words.join(" ");
    let bare = type_name.split('(').next().unwrap().trim();
    let base_type = match bare {
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "character varying" => "varchar",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "double precision" => "float8",
        other => other,
    };
    let is_text = matches!(base_type, "text" | "varchar" | "bpchar");
    let keys = ["distinct", "nulls", "width", "correlation", "mcv", "hist"];
    let has_stats = keys.iter().any(|key| value(&words, key).is_some());
    relation.columns.push(Column {
        number: i16::try_from(relation.columns.len() + 1).unwrap(),
        name: words[0].to_owned(),
        type_name: type_name.clone(),
        base_type: base_type.to_owned(),
        not_null: rest.contains("not null"),
        default: None,
        generated: words.contains(&"generated"),
        collation: is_text.then(|| value(&words, "collation").unwrap_or("default").to_owned()),
        collation_is_c: value(&words, "collation") == Some("C"),
        statistics_target: value(&words, "target").map(|text| text.parse().unwrap()),
        stats: has_stats.then(|| ColumnStatistics {
            null_fraction: number(&words, "nulls").unwrap_or(0.0),
            average_width: number(&words, "width").unwrap_or(8.0),
            n_distinct: number(&words, "distinct").unwrap_or(-1.0),
            correlation: number(&words, "correlation"),
            most_common: value(&words, "mcv")
                .into_iter()
                .flat_map(|list| list.split(','))
                .filter_map(|pair| {
                    let (item, share) = pair.split_once(':')?;
                    Some((item.to_owned(), share.parse().ok()?))
                })
                .collect(),
            // Bounds with `_` for the space within a time.
            histogram: value(&words, "hist")
                .into_iter()
                .flat_map(|list| list.split('|'))
                .map(|bound| bound.replace('_', " "))
                .collect(),
            ..ColumnStatistics::default()
        }),
    });
}

/// The text within the parentheses that open at the start, and what follows.
fn parenthesised(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    assert!(text.starts_with('('), "a list in parentheses: {text}");
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (&text[1..at], &text[at + 1..]);
        }
    }
    panic!("parentheses are not closed: {text}");
}

fn items(list: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0;
    for character in list.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        items.last_mut().unwrap().push(character);
    }
    items.iter().map(|item| item.trim().to_owned()).collect()
}

fn index(relation: &mut Relation, rest: &str) {
    let at = rest.find('(').expect("the keys in parentheses");
    let words: Vec<&str> = rest[..at].split_whitespace().collect();
    let (keys, after) = parenthesised(&rest[at..]);
    let primary = words.contains(&"primary");
    let unique = primary || words.contains(&"unique");
    let (include, after) = match after.trim_start().strip_prefix("include") {
        Some(list) => {
            let (list, after) = parenthesised(list);
            (items(list), after)
        }
        None => (Vec::new(), after),
    };
    let predicate = after
        .trim()
        .strip_prefix("where ")
        .map(|text| text.trim().to_owned());
    let keys: Vec<IndexKey> = items(keys)
        .iter()
        .map(|item| {
            let descending = item.ends_with(" desc");
            let text = item.trim_end_matches(" desc").to_owned();
            let (text, opclass) = match text.split_once(' ') {
                Some((column, class)) if !text.contains('(') => {
                    (column.to_owned(), Some(class.to_owned()))
                }
                _ => (text, None),
            };
            IndexKey {
                column: relation.column(&text).map(|column| column.name.clone()),
                text,
                default_opclass: opclass.is_none(),
                opclass: opclass.unwrap_or_default(),
                collation: None,
                descending,
                nulls_first: descending,
                stats: None,
            }
        })
        .collect();
    if primary {
        relation.constraints.push(Constraint {
            name: words[0].to_owned(),
            kind: ConstraintKind::PrimaryKey,
            columns: keys.iter().filter_map(|key| key.column.clone()).collect(),
            validated: true,
            deferrable: false,
        });
    }
    relation.indexes.push(Index {
        oid: 0,
        name: words[0].to_owned(),
        method: words.last().copied().unwrap_or("btree").to_owned(),
        keys,
        include,
        unique,
        primary,
        valid: !words.contains(&"invalid"),
        immediate: true,
        nulls_not_distinct: false,
        predicate,
        definition: format!("CREATE INDEX {rest}"),
        pages: relation.pages / 4.0,
        tuples: relation.tuples,
        scans: None,
    });
    relation.indexes.sort_by(|a, b| a.name.cmp(&b.name));
}

fn statistics(relation: &mut Relation, rest: &str) {
    let at = rest.find('(').expect("the kinds in parentheses");
    let (kinds, after) = parenthesised(&rest[at..]);
    let on = after.trim().strip_prefix("on ").expect("on columns");
    let (columns, expressions) = items(on)
        .into_iter()
        .partition(|item| relation.column(item).is_some());
    relation.statistics.push(StatisticsObject {
        name: rest[..at].trim().to_owned(),
        kinds: items(kinds),
        columns,
        expressions,
        computed: true,
        n_distinct: None,
    });
}
