//! What one statement creates and has no statistics: schemas, types,
//! sequences, functions and so on.

use super::relations::{COLLATION, SECRET_OPTION};
use super::{Reader, get};
use crate::pg::error::Error;
use crate::snapshot::{Object, ObjectKind};

/// Objects that users made, not an extension: `{0}` is the catalogue, `{1}`
/// the object's `oid`.
pub(super) fn not_of_extension(catalogue: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS x \
           WHERE x.classid = 'pg_catalog.{catalogue}'::regclass AND x.objid = {oid} \
           AND x.deptype = 'e')"
    )
}

/// Schemas that users made.
const OWN_SCHEMA: &str = "n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";

impl Reader<'_> {
    pub(super) fn read_objects(&mut self) -> Result<(), Error> {
        self.read_schemas()?;
        self.read_collations()?;
        self.read_types()?;
        self.read_sequences()?;
        self.read_functions()?;
        self.read_operators()?;
        self.read_others()
    }

    /// Adds objects from rows of name and statement, and of the statements
    /// that complete them where there is a third column.
    pub(super) fn add_objects(&mut self, kind: ObjectKind, sql: &str) -> Result<(), Error> {
        let rows = self.session.query(sql, &[])?;
        for row in &rows {
            let Some(create) = get::<Option<String>>(row, 1)? else {
                continue;
            };
            let then: Option<Vec<String>> = if row.len() > 2 { get(row, 2)? } else { None };
            self.snapshot.objects.push(Object {
                kind,
                name: get(row, 0)?,
                create,
                then: then.unwrap_or_default(),
            });
        }
        Ok(())
    }

    fn read_schemas(&mut self) -> Result<(), Error> {
        self.add_objects(
            ObjectKind::Schema,
            &format!(
                "SELECT quote_ident(n.nspname::text), 'CREATE SCHEMA ' || quote_ident(n.nspname::text) \
                 FROM pg_catalog.pg_namespace AS n WHERE {OWN_SCHEMA} AND {} ORDER BY n.nspname",
                not_of_extension("pg_namespace", "n.oid")
            ),
        )
    }

    fn read_collations(&mut self) -> Result<(), Error> {
        // Its parts have had other names and types from version to version.
        let locale = if self.at_least(17) {
            "l.colllocale"
        } else if self.at_least(15) {
            "l.colliculocale"
        } else {
            "CASE WHEN l.collprovider = 'i' THEN l.collcollate::text END"
        };
        self.add_objects(
            ObjectKind::Collation,
            &format!(
                "SELECT q.name, 'CREATE COLLATION ' || q.name || ' (provider = ' \
                   || CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END \
                   || CASE WHEN l.collprovider = 'c' \
                     THEN ', lc_collate = ' || quote_literal(l.collcollate::text) \
                       || ', lc_ctype = ' || quote_literal(l.collctype::text) \
                     ELSE ', locale = ' || quote_literal({locale}::text) END \
                   || CASE WHEN l.collisdeterministic THEN '' ELSE ', deterministic = false' END || ')' \
                 FROM pg_catalog.pg_collation AS l \
                 JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = ln.oid \
                 CROSS JOIN LATERAL (SELECT {COLLATION} AS name) AS q \
                 WHERE {OWN_SCHEMA} AND {} ORDER BY l.oid",
                not_of_extension("pg_collation", "l.oid")
            ),
        )
    }

    /// Enum, composite, domain and range types, in the order of their making.
    fn read_types(&mut self) -> Result<(), Error> {
        let multirange = if self.at_least(14) {
            "', MULTIRANGE_TYPE_NAME = ' || pg_catalog.format_type(g.rngmultitypid, NULL)"
        } else {
            "''"
        };
        let sql = format!(
            "SELECT pg_catalog.format_type(t.oid, NULL), CASE t.typtype \
               WHEN 'e' THEN 'CREATE TYPE ' || pg_catalog.format_type(t.oid, NULL) || ' AS ENUM (' \
                 || coalesce((SELECT string_agg(quote_literal(e.enumlabel::text), ', ' ORDER BY e.enumsortorder) \
                   FROM pg_catalog.pg_enum AS e WHERE e.enumtypid = t.oid), '') || ')' \
               WHEN 'c' THEN 'CREATE TYPE ' || pg_catalog.format_type(t.oid, NULL) || ' AS (' \
                 || coalesce((SELECT string_agg(quote_ident(a.attname::text) || ' ' \
                     || pg_catalog.format_type(a.atttypid, a.atttypmod) \
                     || CASE WHEN a.attcollation <> at.typcollation THEN ' COLLATE ' || {COLLATION} ELSE '' END, \
                     ', ' ORDER BY a.attnum) \
                   FROM pg_catalog.pg_attribute AS a \
                   JOIN pg_catalog.pg_type AS at ON at.oid = a.atttypid \
                   LEFT JOIN pg_catalog.pg_collation AS l ON l.oid = a.attcollation \
                   LEFT JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
                   WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')' \
               WHEN 'd' THEN 'CREATE DOMAIN ' || pg_catalog.format_type(t.oid, NULL) || ' AS ' \
                 || pg_catalog.format_type(t.typbasetype, t.typtypmod) \
                 || CASE WHEN t.typcollation <> b.typcollation THEN (SELECT ' COLLATE ' || {COLLATION} \
                     FROM pg_catalog.pg_collation AS l \
                     JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
                     WHERE l.oid = t.typcollation) ELSE '' END \
                 || CASE WHEN t.typdefaultbin IS NOT NULL \
                     THEN ' DEFAULT ' || pg_catalog.pg_get_expr(t.typdefaultbin, 0) \
                   WHEN t.typdefault IS NOT NULL THEN ' DEFAULT ' || quote_literal(t.typdefault) \
                   ELSE '' END \
                 || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END \
               WHEN 'r' THEN 'CREATE TYPE ' || pg_catalog.format_type(t.oid, NULL) || ' AS RANGE (SUBTYPE = ' \
                 || pg_catalog.format_type(g.rngsubtype, NULL) \
                 || (SELECT ', SUBTYPE_OPCLASS = ' || quote_ident(cn.nspname::text) || '.' \
                     || quote_ident(o.opcname::text) FROM pg_catalog.pg_opclass AS o \
                     JOIN pg_catalog.pg_namespace AS cn ON cn.oid = o.opcnamespace WHERE o.oid = g.rngsubopc) \
                 || coalesce((SELECT ', COLLATION = ' || {COLLATION} FROM pg_catalog.pg_collation AS l \
                     JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.collnamespace \
                     WHERE l.oid = g.rngcollation), '') \
                 || CASE WHEN g.rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || g.rngsubdiff::text ELSE '' END \
                 || {multirange} || ')' END, \
               CASE WHEN t.typtype = 'd' THEN (SELECT array_agg('ALTER DOMAIN ' \
                   || pg_catalog.format_type(t.oid, NULL) || ' ADD CONSTRAINT ' \
                   || quote_ident(k.conname::text) || ' ' || pg_catalog.pg_get_constraintdef(k.oid) \
                   ORDER BY k.conname) FROM pg_catalog.pg_constraint AS k \
                 WHERE k.contypid = t.oid AND k.contype = 'c') END \
             FROM pg_catalog.pg_type AS t \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace \
             LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype \
             LEFT JOIN pg_catalog.pg_range AS g ON g.rngtypid = t.oid \
             LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid \
             WHERE {OWN_SCHEMA} AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c') \
               AND {} ORDER BY t.oid",
            not_of_extension("pg_type", "t.oid")
        );
        self.add_objects(ObjectKind::Type, &sql)
    }

    /// Sequences but for those of identity columns, which come with them.
    fn read_sequences(&mut self) -> Result<(), Error> {
        self.add_objects(
            ObjectKind::Sequence,
            &format!(
                "SELECT q.name, 'CREATE SEQUENCE ' || q.name || ' AS ' \
                   || pg_catalog.format_type(s.seqtypid, NULL) \
                   || ' INCREMENT BY ' || s.seqincrement || ' MINVALUE ' || s.seqmin \
                   || ' MAXVALUE ' || s.seqmax || ' START WITH ' || s.seqstart \
                   || ' CACHE ' || s.seqcache || CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END \
                 FROM pg_catalog.pg_sequence AS s \
                 JOIN pg_catalog.pg_class AS c ON c.oid = s.seqrelid AND c.relpersistence <> 't' \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
                 CROSS JOIN LATERAL (SELECT quote_ident(n.nspname::text) || '.' \
                   || quote_ident(c.relname::text) AS name) AS q \
                 WHERE {OWN_SCHEMA} AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
                   WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid \
                   AND d.deptype IN ('i', 'e')) ORDER BY 1"
            ),
        )
    }

    /// Functions, procedures and aggregates, in the order of their making.
    /// Those in C need their library, which is an extension's.
    fn read_functions(&mut self) -> Result<(), Error> {
        let locked: String = if self.locked.is_empty() {
            String::new()
        } else {
            // Printing a body of parsed SQL waits for the tables in it.
            let oids: Vec<String> = self.locked.iter().map(u32::to_string).collect();
            format!(
                "AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d \
                   WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid \
                   AND d.refclassid = 'pg_catalog.pg_class'::regclass \
                   AND d.refobjid = ANY ('{{{}}}'::oid[]))",
                oids.join(",")
            )
        };
        let sql = |kinds: &str| {
            format!(
                "SELECT p.oid::regprocedure::text, rtrim(pg_catalog.pg_get_functiondef(p.oid), E' \\n') \
                 FROM pg_catalog.pg_proc AS p \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
                 JOIN pg_catalog.pg_language AS g ON g.oid = p.prolang \
                 WHERE {OWN_SCHEMA} AND p.prokind IN ({kinds}) AND g.lanname NOT IN ('c', 'internal') \
                   {locked} AND {} \
                 ORDER BY p.oid",
                not_of_extension("pg_proc", "p.oid")
            )
        };
        for (kind, kinds) in [
            (ObjectKind::Function, "'f', 'w'"),
            (ObjectKind::Procedure, "'p'"),
        ] {
            let text = sql(kinds);
            let rows = self.session.undone(|session| session.query(&text, &[]))?;
            for row in &rows {
                if let Some(create) = get::<Option<String>>(row, 1)? {
                    self.snapshot.objects.push(Object {
                        kind,
                        name: get(row, 0)?,
                        create,
                        then: Vec::new(),
                    });
                }
            }
        }
        self.read_aggregates()
    }

    fn read_aggregates(&mut self) -> Result<(), Error> {
        let function = |name: &str, column: &str| {
            format!(
                "|| CASE WHEN a.{column}::oid <> 0 THEN ', {name} = ' || a.{column}::text ELSE '' END "
            )
        };
        let extra = |name: &str, column: &str| {
            format!("|| CASE WHEN a.{column} THEN ', {name}' ELSE '' END ")
        };
        let mut options = String::new();
        options.push_str(&function("FINALFUNC", "aggfinalfn"));
        options.push_str(&extra("FINALFUNC_EXTRA", "aggfinalextra"));
        options.push_str(&function("COMBINEFUNC", "aggcombinefn"));
        options.push_str(&function("SERIALFUNC", "aggserialfn"));
        options.push_str(&function("DESERIALFUNC", "aggdeserialfn"));
        options.push_str(&function("MSFUNC", "aggmtransfn"));
        options.push_str(&function("MINVFUNC", "aggminvtransfn"));
        options.push_str(&function("MFINALFUNC", "aggmfinalfn"));
        options.push_str(&extra("MFINALFUNC_EXTRA", "aggmfinalextra"));
        self.add_objects(
            ObjectKind::Aggregate,
            &format!(
                "SELECT p.oid::regprocedure::text, 'CREATE AGGREGATE ' || quote_ident(n.nspname::text) \
                   || '.' || quote_ident(p.proname::text) || '(' \
                   || coalesce(nullif(pg_catalog.pg_get_function_arguments(p.oid), ''), '*') \
                   || ') (SFUNC = ' || a.aggtransfn::text \
                   || ', STYPE = ' || pg_catalog.format_type(a.aggtranstype, NULL) \
                   || CASE WHEN a.aggtransspace <> 0 THEN ', SSPACE = ' || a.aggtransspace ELSE '' END \
                   {options} \
                   || CASE WHEN a.aggmtranstype <> 0 \
                     THEN ', MSTYPE = ' || pg_catalog.format_type(a.aggmtranstype, NULL) ELSE '' END \
                   || coalesce(', INITCOND = ' || quote_literal(a.agginitval), '') \
                   || coalesce(', MINITCOND = ' || quote_literal(a.aggminitval), '') \
                   || coalesce((SELECT ', SORTOP = OPERATOR(' || quote_ident(sn.nspname::text) || '.' \
                       || s.oprname || ')' FROM pg_catalog.pg_operator AS s \
                       JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.oprnamespace \
                       WHERE s.oid = a.aggsortop), '') \
                   || CASE p.proparallel WHEN 's' THEN ', PARALLEL = SAFE' \
                     WHEN 'r' THEN ', PARALLEL = RESTRICTED' ELSE '' END \
                   || CASE WHEN a.aggkind = 'h' THEN ', HYPOTHETICAL' ELSE '' END || ')' \
                 FROM pg_catalog.pg_aggregate AS a \
                 JOIN pg_catalog.pg_proc AS p ON p.oid = a.aggfnoid::oid \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace \
                 WHERE {OWN_SCHEMA} AND {} ORDER BY p.oid",
                not_of_extension("pg_proc", "p.oid")
            ),
        )
    }

    /// Text search configurations, foreign data wrappers and servers. Where a
    /// server is, and who may use it, is nobody's business in a snapshot.
    fn read_others(&mut self) -> Result<(), Error> {
        self.add_objects(
            ObjectKind::TextSearchConfiguration,
            &format!(
                "SELECT q.name, 'CREATE TEXT SEARCH CONFIGURATION ' || q.name || ' (PARSER = ' \
                   || quote_ident(pn.nspname::text) || '.' || quote_ident(r.prsname::text) || ')', \
                   (SELECT array_agg('ALTER TEXT SEARCH CONFIGURATION ' || q.name || ' ADD MAPPING FOR ' \
                       || quote_ident(m.alias) || ' WITH ' || m.dictionaries ORDER BY m.alias) \
                     FROM (SELECT tt.alias, string_agg(quote_ident(dn.nspname::text) || '.' \
                           || quote_ident(d.dictname::text), ', ' ORDER BY cm.mapseqno) AS dictionaries \
                       FROM pg_catalog.pg_ts_config_map AS cm \
                       JOIN pg_catalog.ts_token_type(g.cfgparser) AS tt ON tt.tokid = cm.maptokentype \
                       JOIN pg_catalog.pg_ts_dict AS d ON d.oid = cm.mapdict \
                       JOIN pg_catalog.pg_namespace AS dn ON dn.oid = d.dictnamespace \
                       WHERE cm.mapcfg = g.oid GROUP BY tt.alias) AS m) \
                 FROM pg_catalog.pg_ts_config AS g \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = g.cfgnamespace \
                 JOIN pg_catalog.pg_ts_parser AS r ON r.oid = g.cfgparser \
                 JOIN pg_catalog.pg_namespace AS pn ON pn.oid = r.prsnamespace \
                 CROSS JOIN LATERAL (SELECT quote_ident(n.nspname::text) || '.' \
                   || quote_ident(g.cfgname::text) AS name) AS q \
                 WHERE {OWN_SCHEMA} AND {} ORDER BY g.oid",
                not_of_extension("pg_ts_config", "g.oid")
            ),
        )?;
        self.add_objects(
            ObjectKind::ForeignDataWrapper,
            &format!(
                "SELECT quote_ident(w.fdwname::text), \
                   'CREATE FOREIGN DATA WRAPPER ' || quote_ident(w.fdwname::text) \
                 FROM pg_catalog.pg_foreign_data_wrapper AS w WHERE {} ORDER BY w.fdwname",
                not_of_extension("pg_foreign_data_wrapper", "w.oid")
            ),
        )?;
        self.add_objects(
            ObjectKind::ForeignServer,
            &format!(
                "SELECT quote_ident(s.srvname::text), 'CREATE SERVER ' || quote_ident(s.srvname::text) \
                   || coalesce(' TYPE ' || quote_literal(s.srvtype), '') \
                   || coalesce(' VERSION ' || quote_literal(s.srvversion), '') \
                   || ' FOREIGN DATA WRAPPER ' || quote_ident(w.fdwname::text) \
                   || coalesce((SELECT ' OPTIONS (' || string_agg(quote_ident(split_part(o.o, '=', 1)) || ' ' \
                       || quote_literal(substr(o.o, strpos(o.o, '=') + 1)), ', ' ORDER BY o.o) || ')' \
                     FROM unnest(s.srvoptions) AS o (o) \
                     WHERE split_part(o.o, '=', 1) !~* '{SECRET_OPTION}' \
                       AND split_part(o.o, '=', 1) !~* '^(host|hostaddr|port|service|dbname)$'), '') \
                 FROM pg_catalog.pg_foreign_server AS s \
                 JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw \
                 WHERE {} ORDER BY s.srvname",
                not_of_extension("pg_foreign_server", "s.oid")
            ),
        )
    }
}
