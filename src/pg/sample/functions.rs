//! The functions with which a session without rights hands the statistics of
//! its temporary table to a table of the twin; see
//! [`crate::pg::twin::PRIVILEGED_SCHEMA`].

use crate::pg::twin::PRIVILEGED_SCHEMA;

const DEFINER: &str =
    "VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

/// What ANALYZE wrote for a statistics object.
const EXTENDED: &str = "\
gathered(statistics oid, OUT n_distinct bytea) \
LANGUAGE sql";
const EXTENDED_BODY: &str = "\
SELECT stxdndistinct::bytea \
FROM pg_catalog.pg_statistic_ext_data WHERE stxoid = $1";

/// Gives one object the data of others, if they are of the same columns and
/// expressions: the numbers and expressions of one, the most common values of
/// another. `numbers` stand in for those of combinations; the bytes are changed
/// here, so that the session cannot hand in any.
const ADOPT_EXTENDED: &str = "\
adopt_extended(rest oid, common oid, wanting oid, inherited bool, kinds text, numbers float8[]) \
RETURNS void LANGUAGE plpgsql";

/// Gives a column the statistics of a column of the same type; where `trim`
/// says so, with these most common values and histogram bounds.
const ADOPT: &str = "\
adopt(given oid, wanting oid, number int2, inherited bool, n_distinct float4, trimmed bool, \
common anyarray, frequencies float4[], bounds anyarray) RETURNS void LANGUAGE plpgsql";

/// Everything, as one script for the superuser.
pub(super) fn script(version_num: u32) -> String {
    let functions = [
        (EXTENDED, EXTENDED_BODY.to_owned()),
        (ADOPT, adopt()),
        (ADOPT_EXTENDED, adopt_extended(version_num)),
    ];
    let made: Vec<String> = functions
        .iter()
        .map(|(head, body)| {
            format!(
                "CREATE OR REPLACE FUNCTION {PRIVILEGED_SCHEMA}.{head} {DEFINER} AS $body$ {body} $body$"
            )
        })
        .collect();
    made.join("; ")
}

fn adopt_extended(version_num: u32) -> String {
    let has_expressions = version_num >= 140_000;
    let has_inherited = version_num >= 150_000;
    let pick = |has: bool, text: &'static str| if has { text } else { "" };
    let other_expressions = pick(
        has_expressions,
        "OR pg_get_statisticsobjdef_expressions(g.oid) IS DISTINCT FROM \
            pg_get_statisticsobjdef_expressions(w.oid) ",
    );
    let which = pick(has_inherited, " AND stxdinherit = $4");
    format!(
        "DECLARE raw bytea; number bytea; place int := 12; n int; \
         BEGIN \
         IF EXISTS (SELECT FROM pg_statistic_ext AS g JOIN pg_statistic_ext AS w ON w.oid = $3 \
            WHERE g.oid IN ($1, $2) AND (g.stxkeys::text <> w.stxkeys::text {other_expressions}\
             OR EXISTS (SELECT FROM pg_attribute AS a JOIN pg_attribute AS b \
               ON b.attrelid = w.stxrelid AND (b.attname = a.attname OR \
                 b.attnum = a.attnum AND b.attnum = ANY (w.stxkeys)) \
               WHERE a.attrelid = g.stxrelid AND a.attnum > 0 AND a.atttypid <> b.atttypid))) \
          OR $3 < 16384 THEN \
           RAISE EXCEPTION 'the objects are not alike'; \
         END IF; \
         DELETE FROM pg_statistic_ext_data WHERE stxoid = $3{which}; \
         INSERT INTO pg_statistic_ext_data \
           (stxoid, {inherited}stxdndistinct, stxddependencies, stxdmcv{expressions}) \
          SELECT $3, {value}CASE WHEN strpos($5, 'd') > 0 THEN r.stxdndistinct END, \
           CASE WHEN strpos($5, 'f') > 0 THEN r.stxddependencies END, c.stxdmcv{taken} \
          FROM (SELECT $3) AS one \
          LEFT JOIN pg_statistic_ext_data AS r ON r.stxoid = $1 \
          LEFT JOIN pg_statistic_ext_data AS c ON c.stxoid = $2; \
         SELECT stxdndistinct::bytea INTO raw FROM pg_statistic_ext_data WHERE stxoid = $3{which}; \
         IF raw IS NOT NULL AND cardinality($6) > 0 THEN \
           FOR n IN 1 .. cardinality($6) LOOP \
             number := float8send($6[n]); \
             FOR i IN 0 .. 7 LOOP \
               raw := set_byte(raw, place + i, get_byte(number, 7 - i)); \
             END LOOP; \
             place := place + 12 + 2 * get_byte(raw, place + 8); \
           END LOOP; \
           EXECUTE 'CREATE CAST (bytea AS pg_catalog.pg_ndistinct) WITHOUT FUNCTION'; \
           EXECUTE 'UPDATE pg_catalog.pg_statistic_ext_data \
             SET stxdndistinct = $1::pg_catalog.pg_ndistinct WHERE stxoid = $2{which_again}' \
             USING raw, $3, $4; \
           EXECUTE 'DROP CAST (bytea AS pg_catalog.pg_ndistinct)'; \
         END IF; \
         END",
        inherited = pick(has_inherited, "stxdinherit, "),
        value = pick(has_inherited, "$4, "),
        expressions = pick(has_expressions, ", stxdexpr"),
        taken = pick(has_expressions, ", r.stxdexpr"),
        which_again = pick(has_inherited, " AND stxdinherit = $3"),
    )
}

fn adopt() -> String {
    let mut body = "DECLARE row pg_statistic; less oid := 0; collation_of_less oid := 0; \
         kind oid; placed bool := $9 IS NULL; \
         BEGIN \
         SELECT a.atttypid INTO kind FROM pg_attribute AS a JOIN pg_attribute AS b \
          ON b.atttypid = a.atttypid AND b.attnum = a.attnum \
          WHERE a.attrelid = $1 AND b.attrelid = $2 AND a.attnum = $3 AND $2 >= 16384; \
         IF kind IS NULL OR ($6 AND \
            (SELECT t.typelem FROM pg_type AS t WHERE t.oid = pg_typeof($7)) \
              IS DISTINCT FROM kind) \
          OR cardinality($7) IS DISTINCT FROM cardinality($8) \
          OR num_nulls(VARIADIC $7) > 0 OR num_nulls(VARIADIC $9) > 0 THEN \
           RAISE EXCEPTION 'the statistics are not those of such a column'; \
         END IF; \
         SELECT * INTO row FROM pg_statistic \
          WHERE starelid = $1 AND staattnum = $3 AND NOT stainherit; \
         IF NOT FOUND THEN RETURN; END IF; \
         row.starelid := $2; row.stainherit := $4; \
         IF $5 IS NOT NULL THEN row.stadistinct := $5; END IF; \
         IF $6 THEN "
        .to_owned();
    for n in 1..=5 {
        body.push_str(&format!(
            "IF row.stakind{n} IN (2, 3) THEN \
               less := row.staop{n}; collation_of_less := row.stacoll{n}; END IF; "
        ));
    }
    // What stays of the most common values; a histogram gives way to the one
    // over the values that are left.
    for n in 1..=5 {
        body.push_str(&format!(
            "IF row.stakind{n} = 1 AND $7 IS NOT NULL THEN \
               row.stavalues{n} := $7; row.stanumbers{n} := $8; \
             ELSIF row.stakind{n} IN (1, 2) THEN \
               row.stakind{n} := 0; row.staop{n} := 0; row.stacoll{n} := 0; \
               row.stanumbers{n} := NULL; row.stavalues{n} := NULL; END IF; "
        ));
    }
    for n in 1..=5 {
        body.push_str(&format!(
            "IF NOT placed AND row.stakind{n} = 0 AND less <> 0 THEN \
               row.stakind{n} := 2; row.staop{n} := less; row.stacoll{n} := collation_of_less; \
               row.stavalues{n} := $9; placed := true; END IF; "
        ));
    }
    body.push_str(
        "END IF; \
         DELETE FROM pg_statistic WHERE starelid = $2 AND staattnum = $3 AND stainherit = $4; \
         INSERT INTO pg_statistic SELECT (row).*; \
         END",
    );
    body
}
