//! What a snapshot tells of the schema that a history begins with.

use crate::support::desk::Desk;
use crate::support::server::shared;

/// A table that no file makes is known from the snapshot: its columns, keys and
/// indexes.
#[test]
fn a_snapshot_tells_of_tables_that_no_file_makes() {
    let Some(server) = shared() else { return };
    server.database(
        "check_of_baseline",
        "CREATE TYPE mood AS ENUM ('a', 'b'); \
         CREATE TABLE accounts (id int PRIMARY KEY, name varchar(10), age int, \
             done int NOT NULL, feel mood); \
         CREATE TABLE posts (id int PRIMARY KEY, account_id int CONSTRAINT posts_account \
             REFERENCES accounts, made int); \
         CREATE TABLE made (id int PRIMARY KEY, post_id int); \
         CREATE TABLE liked (id int PRIMARY KEY, made_id int REFERENCES made); \
         INSERT INTO accounts SELECT g, g, g, g FROM generate_series(1, 100) AS g; \
         INSERT INTO made SELECT g, g FROM generate_series(1, 100) AS g; \
         INSERT INTO liked SELECT g, g FROM generate_series(1, 100) AS g; \
         INSERT INTO posts SELECT g, g FROM generate_series(1, 100) AS g; ANALYZE;",
    );
    let desk = Desk::new();
    let conninfo = format!(
        "host={} dbname=check_of_baseline user=postgres",
        server.folder().display()
    );
    desk.run(&["snapshot", "-d", &conninfo, "-o", "t.pgsnap"])
        .assert(0, &[], &[]);
    // An older file of the table that the history makes, and changes.
    desk.write(
        "m/V1__made.sql",
        "CREATE TABLE made (id int PRIMARY KEY);\nALTER TABLE made ADD COLUMN post_id int;\n",
    );
    desk.write(
        "m/V2__new.sql",
        "ALTER TABLE accounts ALTER COLUMN name TYPE varchar(20);\n\
         ALTER TABLE accounts ALTER COLUMN age TYPE bigint;\n\
         ALTER TABLE accounts ALTER COLUMN done SET NOT NULL;\n\
         ALTER TABLE accounts ALTER COLUMN name SET NOT NULL;\n\
         ALTER TABLE made ADD COLUMN account_id int;\n\
         ALTER TABLE made ALTER COLUMN post_id SET NOT NULL;\n\
         DROP TABLE made CASCADE;\n",
    );
    let mut args = vec![
        "check",
        "m",
        "--changed",
        "m/V2__new.sql",
        "--snapshot",
        "t.pgsnap",
        "--format",
        "json",
    ];
    for rule in [
        "column-type-change-rewrites",
        "not-null-set-with-scan",
        "foreign-key-dropped-locks-both-tables",
    ] {
        args.extend(["--only", rule]);
    }
    let ended = desk.run(&args);
    let said = ended.json_of(&pgadvise::report::check::schema());
    let lines: Vec<String> = said["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .filter(|finding| finding["place"]["file"] == "m/V2__new.sql")
        .map(|finding| {
            format!(
                "{} {}",
                finding["rule"].as_str().expect("a rule"),
                finding["place"]["line"]
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            "column-type-change-rewrites 2",
            "not-null-set-with-scan 4",
            "not-null-set-with-scan 6",
            "foreign-key-dropped-locks-both-tables 7",
        ],
        "{}",
        ended.out
    );
}
