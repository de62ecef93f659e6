//! Operators, casts, operator families and classes that users made.

use super::objects::not_of_extension;
use super::{Reader, get};
use crate::pg::error::Error;
use crate::snapshot::{Object, ObjectKind};

/// The first `oid` of what users make: casts have no schema to go by.
const FIRST_OF_USERS: u32 = 16_384;

/// An operator with its schema.
fn operator(oid: &str) -> String {
    format!(
        "(SELECT 'OPERATOR(' || quote_ident(xn.nspname::text) || '.' || xo.oprname || ')' \
         FROM pg_catalog.pg_operator AS xo \
         JOIN pg_catalog.pg_namespace AS xn ON xn.oid = xo.oprnamespace WHERE xo.oid = {oid})"
    )
}

impl Reader<'_> {
    pub(super) fn read_operators(&mut self) -> Result<(), Error> {
        self.add_objects(
            ObjectKind::Operator,
            &format!(
                "SELECT o.oid::regoperator::text, 'CREATE OPERATOR ' || quote_ident(n.nspname::text) \
                   || '.' || o.oprname || ' (PROCEDURE = ' || o.oprcode::text \
                   || CASE WHEN o.oprleft <> 0 \
                     THEN ', LEFTARG = ' || pg_catalog.format_type(o.oprleft, NULL) ELSE '' END \
                   || CASE WHEN o.oprright <> 0 \
                     THEN ', RIGHTARG = ' || pg_catalog.format_type(o.oprright, NULL) ELSE '' END \
                   || coalesce(', COMMUTATOR = ' || {commutator}, '') \
                   || coalesce(', NEGATOR = ' || {negator}, '') \
                   || CASE WHEN o.oprrest::oid <> 0 THEN ', RESTRICT = ' || o.oprrest::text ELSE '' END \
                   || CASE WHEN o.oprjoin::oid <> 0 THEN ', JOIN = ' || o.oprjoin::text ELSE '' END \
                   || CASE WHEN o.oprcanhash THEN ', HASHES' ELSE '' END \
                   || CASE WHEN o.oprcanmerge THEN ', MERGES' ELSE '' END || ')' \
                 FROM pg_catalog.pg_operator AS o \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = o.oprnamespace \
                 WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' \
                   AND o.oprcode::oid <> 0 AND {own} ORDER BY o.oid",
                commutator = operator("o.oprcom"),
                negator = operator("o.oprnegate"),
                own = not_of_extension("pg_operator", "o.oid"),
            ),
        )?;
        self.add_objects(
            ObjectKind::Cast,
            &format!(
                "SELECT q.name, 'CREATE CAST ' || q.name || CASE k.castmethod \
                     WHEN 'f' THEN ' WITH FUNCTION ' || k.castfunc::regprocedure::text \
                     WHEN 'i' THEN ' WITH INOUT' ELSE ' WITHOUT FUNCTION' END \
                   || CASE k.castcontext WHEN 'i' THEN ' AS IMPLICIT' \
                     WHEN 'a' THEN ' AS ASSIGNMENT' ELSE '' END \
                 FROM pg_catalog.pg_cast AS k \
                 CROSS JOIN LATERAL (SELECT '(' || pg_catalog.format_type(k.castsource, NULL) || ' AS ' \
                   || pg_catalog.format_type(k.casttarget, NULL) || ')' AS name) AS q \
                 WHERE k.oid >= {FIRST_OF_USERS} AND {} \
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS i \
                     WHERE i.classid = 'pg_catalog.pg_cast'::regclass AND i.objid = k.oid \
                     AND i.deptype = 'i') \
                 ORDER BY k.oid",
                not_of_extension("pg_cast", "k.oid")
            ),
        )?;
        self.read_families()?;
        self.read_classes()
    }

    fn read_families(&mut self) -> Result<(), Error> {
        self.add_objects(
            ObjectKind::OperatorFamily,
            &format!(
                "SELECT q.name || ' USING ' || quote_ident(m.amname::text), \
                   'CREATE OPERATOR FAMILY ' || q.name || ' USING ' || quote_ident(m.amname::text) \
                 FROM pg_catalog.pg_opfamily AS f \
                 JOIN pg_catalog.pg_am AS m ON m.oid = f.opfmethod \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = f.opfnamespace \
                 CROSS JOIN LATERAL (SELECT quote_ident(n.nspname::text) || '.' \
                   || quote_ident(f.opfname::text) AS name) AS q \
                 WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND {} \
                 ORDER BY f.oid",
                not_of_extension("pg_opfamily", "f.oid")
            ),
        )
    }

    /// Operator classes. Members that were added to a family later are left
    /// out: their class has what an index needs.
    fn read_classes(&mut self) -> Result<(), Error> {
        let sql = format!(
            "SELECT q.name || ' USING ' || quote_ident(m.amname::text), \
               'CREATE OPERATOR CLASS ' || q.name || CASE WHEN o.opcdefault THEN ' DEFAULT' ELSE '' END \
                 || ' FOR TYPE ' || pg_catalog.format_type(o.opcintype, NULL) \
                 || ' USING ' || quote_ident(m.amname::text) \
                 || ' FAMILY ' || quote_ident(fn.nspname::text) || '.' || quote_ident(f.opfname::text) \
                 || ' AS ', \
               CASE WHEN o.opckeytype <> 0 \
                 THEN 'STORAGE ' || pg_catalog.format_type(o.opckeytype, NULL) END, \
               (SELECT array_agg('OPERATOR ' || a.amopstrategy || ' ' || quote_ident(on_.nspname::text) \
                   || '.' || op.oprname || ' (' || pg_catalog.format_type(a.amoplefttype, NULL) || ', ' \
                   || pg_catalog.format_type(a.amoprighttype, NULL) || ')' \
                   || coalesce((SELECT ' FOR ORDER BY ' || quote_ident(sn.nspname::text) || '.' \
                       || quote_ident(s.opfname::text) FROM pg_catalog.pg_opfamily AS s \
                       JOIN pg_catalog.pg_namespace AS sn ON sn.oid = s.opfnamespace \
                       WHERE s.oid = a.amopsortfamily), '') \
                   ORDER BY a.amopstrategy, a.amoplefttype, a.amoprighttype) \
                 FROM pg_catalog.pg_depend AS d \
                 JOIN pg_catalog.pg_amop AS a ON a.oid = d.objid \
                 JOIN pg_catalog.pg_operator AS op ON op.oid = a.amopopr \
                 JOIN pg_catalog.pg_namespace AS on_ ON on_.oid = op.oprnamespace \
                 WHERE d.classid = 'pg_catalog.pg_amop'::regclass \
                   AND d.refclassid = 'pg_catalog.pg_opclass'::regclass AND d.refobjid = o.oid), \
               (SELECT array_agg('FUNCTION ' || a.amprocnum || ' (' \
                   || pg_catalog.format_type(a.amproclefttype, NULL) || ', ' \
                   || pg_catalog.format_type(a.amprocrighttype, NULL) || ') ' \
                   || a.amproc::oid::regprocedure::text \
                   ORDER BY a.amprocnum, a.amproclefttype, a.amprocrighttype) \
                 FROM pg_catalog.pg_depend AS d \
                 JOIN pg_catalog.pg_amproc AS a ON a.oid = d.objid \
                 WHERE d.classid = 'pg_catalog.pg_amproc'::regclass \
                   AND d.refclassid = 'pg_catalog.pg_opclass'::regclass AND d.refobjid = o.oid) \
             FROM pg_catalog.pg_opclass AS o \
             JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace \
             JOIN pg_catalog.pg_opfamily AS f ON f.oid = o.opcfamily \
             JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.opfnamespace \
             CROSS JOIN LATERAL (SELECT quote_ident(n.nspname::text) || '.' \
               || quote_ident(o.opcname::text) AS name) AS q \
             WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND {} \
             ORDER BY o.oid",
            not_of_extension("pg_opclass", "o.oid")
        );
        for row in &self.session.query(&sql, &[])? {
            let mut parts: Vec<String> = Vec::new();
            parts.extend(get::<Option<Vec<String>>>(row, 3)?.unwrap_or_default());
            parts.extend(get::<Option<Vec<String>>>(row, 4)?.unwrap_or_default());
            parts.extend(get::<Option<String>>(row, 2)?);
            if parts.is_empty() {
                // A class must have a part; its own type is what it stores.
                continue;
            }
            self.snapshot.objects.push(Object {
                kind: ObjectKind::OperatorClass,
                name: get(row, 0)?,
                create: format!("{}{}", get::<String>(row, 1)?, parts.join(", ")),
                then: Vec::new(),
            });
        }
        Ok(())
    }
}
