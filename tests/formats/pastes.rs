//! What pages, editors and drivers do to all lines of a plan.

use std::fmt::Write as _;

use pgadvise::plan::read::{self, Format};

use super::agree::differences;

const PLAN: &str = r#"Hash Left Join  (cost=1.05..15.60 rows=3 width=36) (actual time=0.100..0.101 rows=3 loops=1)
  Hash Cond: (o.id = c.id)
  Filter: ((c.tag <> 'a&b|c'::text) AND (c.doc -> 'x' IS NOT NULL))
  ->  Seq Scan on "Orders" o  (cost=0.00..12.00 rows=3 width=36) (actual time=0.010..0.011 rows=3 loops=1)
        Filter: (total > 5)
        Rows Removed by Filter: 7
  ->  Hash  (cost=1.02..1.02 rows=2 width=4) (actual time=0.010..0.011 rows=2 loops=1)
        Buckets: 1024  Batches: 1  Memory Usage: 9kB
        ->  Seq Scan on customers c  (cost=0.00..1.02 rows=2 width=4) (actual time=0.010..0.011 rows=2 loops=1)
              Filter: (name ~~ '%x%'::text)
Planning Time: 0.100 ms
Execution Time: 0.200 ms"#;

const WITHOUT_COSTS: &str = "HashSetOp Intersect
  ->  Append
        ->  Subquery Scan on \"*SELECT* 2\"
              ->  Index Only Scan using customers_pkey on customers
        ->  Subquery Scan on \"*SELECT* 1\"
              ->  Index Only Scan using orders_pkey on orders";

fn each_line(plan: &str, mut change: impl FnMut(usize, &str) -> String) -> String {
    let lines: Vec<String> = plan
        .lines()
        .enumerate()
        .map(|(index, line)| change(index, line))
        .collect();
    lines.join("\n")
}

/// Both plans are read out of the paste as they are without it.
fn is_read(what: &str, paste: impl Fn(&str) -> String) {
    for plan in [PLAN, WITHOUT_COSTS] {
        let plain = read::read(plan);
        assert_eq!(plain.plans.len(), 1);
        let pasted = paste(plan);
        let found = read::read(&pasted);
        assert_eq!(
            found.plans.len(),
            1,
            "{what}: {:?}\n{pasted}",
            found.problems
        );
        let (left, right) = (&plain.plans[0], &found.plans[0]);
        assert_eq!(right.format, Format::Text);
        assert_eq!(right.incomplete, None, "{what}");
        assert!(right.line <= pasted.lines().count(), "{what}");
        let differ = differences(&left.plan, &right.plan);
        assert!(differ.is_empty(), "{what}: {differ:#?}\n{pasted}");
    }
}

#[test]
fn the_source_of_a_page_is_read() {
    let entities = |plan: &str| {
        plan.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
    };
    is_read("entities", entities);
    is_read("pre", |plan| {
        format!("<pre class=\"x\"><code>{}</code></pre>", entities(plan))
    });
    is_read("blanks and breaks", |plan| {
        let plain = entities(plan).replace("  ", "&nbsp;&nbsp;");
        format!("<p>{}</p>", plain.replace('\n', "<br/>"))
    });
}

#[test]
fn line_numbers_are_taken_off() {
    is_read("as of an editor", |plan| {
        each_line(plan, |index, line| format!("{:4} {line}", index + 8))
    });
    is_read("as of cat", |plan| {
        each_line(plan, |index, line| format!("{:6}\t{line}", index + 1))
    });
    is_read("with full stops", |plan| {
        each_line(plan, |index, line| format!("{:3}. {line}", index + 1))
    });
    is_read("with colons", |plan| {
        each_line(plan, |index, line| format!("{}:{line}", index + 10))
    });
}

#[test]
fn a_table_of_markdown_is_taken_apart() {
    for rule in ["|---|", "| --- |", "|:-----------|"] {
        is_read(rule, |plan| {
            let rows = each_line(plan, |_, line| format!("| {} |", line.replace('|', "\\|")));
            format!("Our plan:\n\n| QUERY PLAN |\n{rule}\n{rows}\n\nIs it good?")
        });
    }
}

#[test]
fn blank_lines_between_all_lines_are_dropped() {
    is_read("doubled line breaks", |plan| plan.replace('\n', "\n\n"));
    // Plans that a blank line parts stay two.
    let two = "Seq Scan on a  (cost=0.00..1.00 rows=1 width=4)\n\nSeq Scan on b  (cost=0.00..1.00 rows=1 width=4)\n\nResult  (cost=0.00..0.01 rows=1 width=4)";
    assert_eq!(read::read(two).plans.len(), 3);
}

#[test]
fn rows_of_a_driver_are_read_out_of_json() {
    is_read("a row each", |plan| {
        let rows: Vec<String> = plan
            .lines()
            .map(|line| serde_json::json!({"QUERY PLAN": line}).to_string())
            .collect();
        format!("[{}]", rows.join(",\n "))
    });
    is_read("arrays", |plan| {
        let rows: Vec<[&str; 1]> = plan.lines().map(|line| [line]).collect();
        serde_json::json!({"rows": rows, "rowCount": 3}).to_string()
    });
    is_read("one string", |plan| serde_json::json!(plan).to_string());
    is_read("escapes without quotes", |plan| plan.replace('\n', "\\n"));
}

#[test]
fn rows_of_csv_without_costs_are_read_from_the_first() {
    is_read("CSV", |plan| {
        let rows = each_line(plan, |_, line| format!("\"{}\"", line.replace('"', "\"\"")));
        format!("QUERY PLAN\n{rows}\n")
    });
}

#[test]
fn a_plan_in_comments_is_read_if_there_is_no_other() {
    is_read("comments", |plan| {
        let mut text = String::from("select 1;\n");
        for line in plan.lines() {
            let _ = writeln!(text, "-- {line}");
        }
        text
    });
    let other = format!("-- Seq Scan on a  (cost=0.00..1.00 rows=1 width=4)\n{PLAN}");
    assert_eq!(read::read(&other).plans.len(), 1);
}

#[test]
fn a_quotation_of_one_line_is_read() {
    let found = read::read("> Function Scan on f  (cost=0.00..1.00 rows=1 width=4)");
    assert_eq!(found.plans.len(), 1);
}

/// What stands in the lists of a plan that is broken within its lists.
#[test]
fn lists_and_settings_that_were_broken_are_whole() {
    let plan = "Sort  (cost=15.60..15.61 rows=3 width=36)
  Output: one.first_column, one.second_column, one.third_column, one.fourth_column
  Sort Key: one.first_column, one.second_column, one.third_column, one.fourth_column
  ->  Seq Scan on one  (cost=0.00..12.00 rows=3 width=36)
        Output: first_column, second_column, third_column, fourth_column
        Recheck Cond: ((first_column > 50) AND (second_column <> 700) AND (third_column > 90))
        Filter: ((first_column > 5) AND (second_column < 7) AND (third_column <> 9))
Settings: random_page_cost = '1.5', effective_cache_size = '4GB', work_mem = '3MB'";
    let plain = read::read(plan);
    let check = |what: &str, text: &str| {
        let found = read::read(text);
        assert_eq!(found.plans.len(), 1, "{what}:\n{text}");
        let differ = differences(&plain.plans[0].plan, &found.plans[0].plan);
        assert!(differ.is_empty(), "{what}: {differ:#?}\n{text}");
    };
    let between_words = |width: usize| {
        each_line(plan, |_, line| {
            let mut out = String::new();
            let mut column = 0;
            for word in line.split_inclusive(' ') {
                if column > 0 && column + word.trim_end().len() > width && !word.trim().is_empty() {
                    out.truncate(out.trim_end_matches(' ').len());
                    out.push('\n');
                    column = 0;
                }
                out.push_str(word);
                column += word.len();
            }
            out
        })
    };
    check("behind commas", &plan.replace("_column, ", "_column,\n"));
    check(
        "behind a setting's sign",
        &plan.replace("work_mem = ", "work_mem =\n"),
    );
    check("between words", &between_words(62));
    let within_words = each_line(plan, |_, line| {
        let letters: Vec<char> = line.chars().collect();
        let parts: Vec<String> = letters
            .chunks(57)
            .map(|part| part.iter().collect())
            .collect();
        parts.join("\n")
    });
    check("within words", &within_words);
}
