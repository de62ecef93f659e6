//! The functions with which a session without rights hands the statistics of
//! its temporary table to a table of the twin; see
//! [`crate::pg::twin::PRIVILEGED_SCHEMA`].

use crate::pg::twin::PRIVILEGED_SCHEMA;

const DEFINER: &str =
    "VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

/// How many combinations ANALYZE counted for a statistics object.
const EXTENDED: &str = "gathered(statistics oid) RETURNS bytea LANGUAGE sql";
const EXTENDED_BODY: &str = "\
SELECT stxdndistinct::bytea FROM pg_catalog.pg_statistic_ext_data WHERE stxoid = $1";

/// Gives an object what ANALYZE wrote for others of the same columns: counts
/// of combinations and dependencies from the first, most common combinations
/// from the second. The counts may be others than those gathered, and nothing
/// else of their bytes: the server trusts them, and crashes over wrong ones.
/// For the same reason the cast by which they are read is there for the time
/// of this function only, which evaluates nothing of anyone else's.
const ADOPT_EXTENDED: &str = "\
adopt_extended(rest oid, common oid, wanting oid, inherited bool, n_distinct bytea, \
dependencies bool) RETURNS void LANGUAGE plpgsql";

/// Gives one object the statistics of another's expressions, if they are the
/// same over columns of the same types.
const EXPRESSIONS: &str =
    "adopt_expressions(given oid, wanting oid, inherited bool) RETURNS void LANGUAGE plpgsql";

/// Gives a column the statistics of a column of the same type; where `trim`
/// says so, with these most common values and histogram bounds.
const ADOPT: &str = "\
adopt(given oid, wanting oid, number int2, inherited bool, n_distinct float4, trimmed bool, \
common anyarray, frequencies float4[], bounds anyarray) RETURNS void LANGUAGE plpgsql";

/// Everything, as one script for the superuser.
pub(super) fn script(version_num: u32) -> String {
    let mut functions = vec![
        (EXTENDED, EXTENDED_BODY.to_owned()),
        (ADOPT, adopt()),
        (ADOPT_EXTENDED, adopt_extended(version_num)),
    ];
    if version_num >= 140_000 {
        functions.push((EXPRESSIONS, expressions(version_num)));
    }
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
    let (target, holder, which) = if version_num >= 150_000 {
        ("stxoid, stxdinherit", "$3, $4", " AND stxdinherit = $4")
    } else {
        ("stxoid", "$3", "")
    };
    let unlike = if version_num >= 140_000 {
        " OR pg_get_statisticsobjdef_expressions(g.oid) IS DISTINCT FROM \
           pg_get_statisticsobjdef_expressions(w.oid)"
    } else {
        ""
    };
    // The bytes: a header of twelve, and for each combination its number (8),
    // how many columns (4), and these (2 each).
    format!(
        "DECLARE gathered bytea; place int := 12; columns int; \
         BEGIN \
         IF $3 < 16384 OR EXISTS (SELECT FROM pg_statistic_ext AS g \
            JOIN pg_statistic_ext AS w ON w.oid = $3 WHERE g.oid IN ($1, $2) \
            AND (g.stxkeys::int2[] <> w.stxkeys::int2[]{unlike} OR EXISTS ( \
              SELECT FROM unnest(w.stxkeys::int2[]) AS k (attnum) \
              JOIN pg_attribute AS a ON a.attrelid = g.stxrelid AND a.attnum = k.attnum \
              JOIN pg_attribute AS b ON b.attrelid = w.stxrelid AND b.attnum = k.attnum \
              WHERE a.atttypid <> b.atttypid))) THEN \
           RAISE EXCEPTION 'the objects are not alike'; \
         END IF; \
         IF $5 IS NOT NULL THEN \
           SELECT stxdndistinct::bytea INTO gathered FROM pg_statistic_ext_data WHERE stxoid = $1; \
           IF length($5) IS DISTINCT FROM length(gathered) \
              OR substring($5 FROM 1 FOR 12) <> substring(gathered FROM 1 FOR 12) THEN \
             RAISE EXCEPTION 'the numbers are not those of these columns'; \
           END IF; \
           WHILE place < length(gathered) LOOP \
             columns := get_byte(gathered, place + 8); \
             IF substring($5 FROM place + 9 FOR 4 + 2 * columns) \
                <> substring(gathered FROM place + 9 FOR 4 + 2 * columns) THEN \
               RAISE EXCEPTION 'the numbers are not those of these columns'; \
             END IF; \
             place := place + 12 + 2 * columns; \
           END LOOP; \
         END IF; \
         DELETE FROM pg_statistic_ext_data WHERE stxoid = $3{which}; \
         EXECUTE 'CREATE CAST (bytea AS pg_catalog.pg_ndistinct) WITHOUT FUNCTION'; \
         EXECUTE 'INSERT INTO pg_statistic_ext_data ({target}, stxdndistinct, stxddependencies, \
             stxdmcv) \
           SELECT {holder}, $5::pg_catalog.pg_ndistinct, \
             (SELECT d.stxddependencies FROM pg_statistic_ext_data AS d \
              WHERE d.stxoid = $1 AND $6), \
             (SELECT d.stxdmcv FROM pg_statistic_ext_data AS d WHERE d.stxoid = $2) \
           WHERE $4 IS NOT NULL' \
           USING $1, $2, $3, $4, $5, $6; \
         EXECUTE 'DROP CAST (bytea AS pg_catalog.pg_ndistinct)'; \
         END"
    )
}

fn expressions(version_num: u32) -> String {
    let which = if version_num >= 150_000 {
        " AND stxdinherit = $3"
    } else {
        ""
    };
    format!(
        "BEGIN \
         IF pg_get_statisticsobjdef_expressions($1) IS DISTINCT FROM \
            pg_get_statisticsobjdef_expressions($2) \
          OR EXISTS (SELECT FROM pg_statistic_ext AS g JOIN pg_statistic_ext AS w ON w.oid = $2 \
            JOIN pg_attribute AS a ON a.attrelid = g.stxrelid \
            JOIN pg_attribute AS b ON b.attrelid = w.stxrelid AND b.attname = a.attname \
            WHERE g.oid = $1 AND a.atttypid <> b.atttypid) THEN \
           RAISE EXCEPTION 'the objects are not alike'; \
         END IF; \
         UPDATE pg_statistic_ext_data SET stxdexpr = \
           (SELECT d.stxdexpr FROM pg_statistic_ext_data AS d WHERE d.stxoid = $1) \
          WHERE stxoid = $2{which}; \
         END"
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
