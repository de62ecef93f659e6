//! The functions with which a session without rights changes sizes and
//! statistics; see [`super::super::PRIVILEGED_SCHEMA`].
//!
//! They belong to the superuser and see to it that what they write cannot
//! mislead the planner's C code: values are of the column's type, and there
//! are as many frequencies as values.

use super::super::{PRIVILEGED_SCHEMA, TwinError};
use super::names::quoted;
use super::{Loader, all, refusal};
use crate::pg::cluster::keeper::DATABASE;

/// What each function begins with after its result.
const DEFINER: &str =
    "VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp";

const SET_SIZE: &str = "\
set_size(rel oid, pages int4, tuples float4, all_visible int4) RETURNS void LANGUAGE sql";
const SET_SIZE_BODY: &str = "\
UPDATE pg_catalog.pg_class SET relpages = $2, reltuples = $3, relallvisible = $4 WHERE oid = $1";

const SET_STATISTICS: &str = "\
set_statistics(rel oid, attnum int2, inherited bool, null_fraction float4, width int4, \
n_distinct float4, kinds int2[], operators oid[], collations oid[], numbers text[]) \
RETURNS void LANGUAGE sql";
const SET_STATISTICS_BODY: &str = "\
DELETE FROM pg_catalog.pg_statistic \
 WHERE starelid = $1 AND staattnum = $2 AND stainherit = $3; \
INSERT INTO pg_catalog.pg_statistic (starelid, staattnum, stainherit, stanullfrac, stawidth, \
 stadistinct, stakind1, stakind2, stakind3, stakind4, stakind5, \
 staop1, staop2, staop3, staop4, staop5, stacoll1, stacoll2, stacoll3, stacoll4, stacoll5, \
 stanumbers1, stanumbers2, stanumbers3, stanumbers4, stanumbers5) \
SELECT $1, $2, $3, $4, $5, $6, \
 coalesce($7[1], 0::int2), coalesce($7[2], 0::int2), coalesce($7[3], 0::int2), \
 coalesce($7[4], 0::int2), coalesce($7[5], 0::int2), \
 coalesce($8[1], 0::oid), coalesce($8[2], 0::oid), coalesce($8[3], 0::oid), \
 coalesce($8[4], 0::oid), coalesce($8[5], 0::oid), \
 coalesce($9[1], 0::oid), coalesce($9[2], 0::oid), coalesce($9[3], 0::oid), \
 coalesce($9[4], 0::oid), coalesce($9[5], 0::oid), \
 $10[1]::float4[], $10[2]::float4[], $10[3]::float4[], $10[4]::float4[], $10[5]::float4[] \
WHERE coalesce($7, '{}') OPERATOR(pg_catalog.<@) ARRAY[0, 1, 2, 3]::int2[]";

/// A type's elements: of an array, and the base type of a domain.
const SET_VALUES: &str = "\
set_values(rel oid, attnum int2, inherited bool, slot int4, \"values\" anyarray) \
RETURNS void LANGUAGE plpgsql";
const SET_VALUES_BODY: &str = "\
DECLARE
  given oid := (SELECT t.typelem FROM pg_type AS t WHERE t.oid = pg_typeof($5));
  kind int2;
  frequencies int4;
  wanted oid[];
  row pg_statistic;
BEGIN
  IF $4 NOT BETWEEN 1 AND 5 THEN
    RAISE EXCEPTION 'there is no slot %', $4;
  END IF;
  EXECUTE format('SELECT stakind%1$s, cardinality(stanumbers%1$s) FROM pg_statistic '
    'WHERE starelid = $1 AND staattnum = $2 AND stainherit = $3', $4)
    INTO kind, frequencies USING $1, $2, $3;
  wanted := pgadvise_twin.value_types($1, $2, kind);
  IF given IS NULL OR NOT given = ANY (wanted) THEN
    RAISE EXCEPTION 'values of type % are not those of the column', pg_typeof($5);
  END IF;
  IF kind = 1 AND frequencies IS DISTINCT FROM cardinality($5)
    OR num_nulls(VARIADIC $5) > 0 THEN
    RAISE EXCEPTION 'there are not as many frequencies as values';
  END IF;
";

/// The types that the values of a slot may have: the column's, its domain's
/// base type, for elements (kind 4) the array's, for lengths of ranges (kind
/// 6) float8. An expression of an index has the type that its operator class
/// takes, where the index itself stores another.
const VALUE_TYPES: &str = "\
value_types(rel oid, attnum int2, kind int2) RETURNS oid[] LANGUAGE sql STABLE";
const VALUE_TYPES_BODY: &str = "\
WITH RECURSIVE types (oid) AS ( \
  SELECT coalesce((SELECT CASE WHEN c.opcintype = 2277 THEN s.typarray ELSE c.opcintype END \
     FROM pg_catalog.pg_index AS i \
     JOIN pg_catalog.pg_opclass AS c ON c.oid = i.indclass[$2 - 1] \
       AND c.opckeytype NOT IN (0, c.opcintype) \
     WHERE i.indexrelid = $1), a.atttypid) FROM pg_catalog.pg_attribute AS a \
   JOIN pg_catalog.pg_type AS s ON s.oid = a.atttypid \
   WHERE a.attrelid = $1 AND a.attnum = $2 AND NOT a.attisdropped \
  UNION SELECT t.typbasetype FROM types JOIN pg_catalog.pg_type AS t ON t.oid = types.oid \
   WHERE t.typtype = 'd' \
), elements (oid) AS ( \
  SELECT t.typelem FROM types JOIN pg_catalog.pg_type AS t ON t.oid = types.oid \
   WHERE t.typelem <> 0 AND t.typlen = -1 \
  UNION SELECT 25::oid FROM types WHERE types.oid = 3614 \
  UNION SELECT t.typbasetype FROM elements JOIN pg_catalog.pg_type AS t ON t.oid = elements.oid \
   WHERE t.typtype = 'd' \
), ranges (oid) AS ( \
  SELECT types.oid FROM types JOIN pg_catalog.pg_type AS t ON t.oid = types.oid \
   WHERE t.typtype = 'r' \
) \
SELECT pg_catalog.array_agg(all_of.oid) FROM ( \
  SELECT types.oid FROM types WHERE $3 NOT IN (4, 6) \
  UNION ALL SELECT elements.oid FROM elements WHERE $3 = 4 \
  UNION ALL SELECT 701::oid WHERE $3 = 6) AS all_of";

const FORGET: &str = "forget(rel oid, attnum int2) RETURNS void LANGUAGE sql";
const FORGET_BODY: &str = "\
DELETE FROM pg_catalog.pg_statistic WHERE starelid = $1 AND ($2 = 0 OR staattnum = $2)";

impl Loader<'_> {
    /// Creates the functions, in a schema that is the superuser's.
    pub(super) fn make_privileged(&mut self) -> Result<(), TwinError> {
        let role = self.session_role()?;
        // Someone else's schema of that name would be a way in.
        let schema = self
            .cluster
            .admin()?
            .query(&format!("CREATE SCHEMA {PRIVILEGED_SCHEMA}"), &[]);
        if let Err(message) = refusal(schema)? {
            return Err(TwinError::Unusable {
                reason: format!("the server is not an empty cluster of pgadvise's own: {message}"),
            });
        }
        let mut statements = vec![format!(
            "GRANT USAGE ON SCHEMA {PRIVILEGED_SCHEMA} TO {role}"
        )];
        if !self.sandbox {
            // Who owns a database says what all its sessions begin with, the
            // superuser's too. Its rights are enough.
            let database = quoted(DATABASE);
            statements.extend([
                format!("ALTER SCHEMA public OWNER TO {role}"),
                format!("ALTER DATABASE {database} OWNER TO CURRENT_USER"),
                format!("GRANT ALL ON DATABASE {database} TO {role}"),
            ]);
        }
        // A field of a row takes an array of any type as it is; so its values
        // are not read anew, which would run a domain's checks here.
        let updates: Vec<String> = (1..=5)
            .map(|n| {
                format!(
                    "IF $4 = {n} THEN row.stavalues{n} := $5; \
                     UPDATE pg_statistic SET stavalues{n} = row.stavalues{n} \
                     WHERE starelid = $1 AND staattnum = $2 AND stainherit = $3; END IF;"
                )
            })
            .collect();
        let set_values = format!("{SET_VALUES_BODY}{} END", updates.concat());
        for (head, body) in [
            (SET_SIZE, SET_SIZE_BODY),
            (SET_STATISTICS, SET_STATISTICS_BODY),
            (VALUE_TYPES, VALUE_TYPES_BODY),
            (SET_VALUES, &set_values),
            (FORGET, FORGET_BODY),
        ] {
            let definer = if head.ends_with("STABLE") {
                "SET search_path = pg_catalog, pg_temp"
            } else {
                DEFINER
            };
            statements.push(format!(
                "CREATE FUNCTION {PRIVILEGED_SCHEMA}.{head} {definer} AS $body$ {body} $body$"
            ));
        }
        statements.push(format!(
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {PRIVILEGED_SCHEMA} TO {role}"
        ));
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let admin = self.cluster.admin()?;
        all(admin, &statements)?;
        // Without these nothing can be done; the first refusal would be lost.
        let rows = admin.query(
            "SELECT count(*) FROM pg_catalog.pg_proc AS p \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
             WHERE n.nspname = 'pgadvise_twin'",
            &[],
        )?;
        let made: i64 = match rows.first() {
            Some(row) => crate::pg::catalog::get(row, 0)?,
            None => 0,
        };
        if made < 5 {
            return Err(TwinError::Unusable {
                reason: "the twin's functions could not be made: the server is not an empty \
                         cluster of pgadvise's own"
                    .to_owned(),
            });
        }
        Ok(())
    }
}
