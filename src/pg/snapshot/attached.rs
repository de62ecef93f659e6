//! What hangs on tables: policies, triggers, rules and extended statistics.

use tokio_postgres::types::Type;

use super::statistics::{SlotNames, columns, from_view, named, raw};
use super::{Reader, get};
use crate::pg::error::Error;
use crate::snapshot::{Definition, ExtendedData, ExtendedStatistics, Policy, Statistics};

impl Reader<'_> {
    /// Reads definitions whose printing may lock what they read, and lets go
    /// of the locks.
    fn over_relations_undone(&mut self, sql: &str) -> Result<Vec<tokio_postgres::Row>, Error> {
        let oids: Vec<u32> = self.places.keys().copied().collect();
        let locked = self.locked.clone();
        self.session.undone(|session| {
            session.query(sql, &[(&oids, Type::OID_ARRAY), (&locked, Type::OID_ARRAY)])
        })
    }

    pub(super) fn read_policies(&mut self) -> Result<(), Error> {
        let sql = "SELECT p.polrelid, p.polname::text, p.polpermissive, p.polcmd::text, \
               (SELECT array_agg(o.rolname::text ORDER BY o.rolname) FROM pg_catalog.pg_roles AS o \
                WHERE o.oid = ANY (p.polroles)), \
               pg_catalog.pg_get_expr(p.polqual, p.polrelid), \
               pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.oid \
             WHERE NOT p.polrelid = ANY ($2) AND NOT EXISTS ( \
               SELECT FROM pg_catalog.pg_depend AS d \
               WHERE d.classid = 'pg_catalog.pg_policy'::regclass AND d.objid = p.oid \
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ($2))";
        for row in &self.over_relations_undone(sql)? {
            let policy = Policy {
                name: get(row, 1)?,
                permissive: get(row, 2)?,
                command: match get::<String>(row, 3)?.as_str() {
                    "r" => "SELECT",
                    "a" => "INSERT",
                    "w" => "UPDATE",
                    "d" => "DELETE",
                    _ => "ALL",
                }
                .to_owned(),
                roles: get::<Option<Vec<String>>>(row, 4)?.unwrap_or_default(),
                using: get(row, 5)?,
                check: get(row, 6)?,
            };
            if let Some(relation) = self.relation(get(row, 0)?) {
                relation.policies.push(policy);
            }
        }
        Ok(())
    }

    pub(super) fn read_triggers_and_rules(&mut self) -> Result<(), Error> {
        // A partition's copies of its parent's triggers come with the parent.
        let triggers = "SELECT t.tgrelid, t.tgname::text, pg_catalog.pg_get_triggerdef(t.oid, false) \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid \
             WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND NOT t.tgrelid = ANY ($2)";
        for row in &self.over_relations_undone(triggers)? {
            if let (Some(relation), Some(definition)) =
                (self.relation(get(row, 0)?), get::<Option<String>>(row, 2)?)
            {
                relation.triggers.push(Definition {
                    name: get(row, 1)?,
                    definition,
                });
            }
        }
        let rules = "SELECT w.ev_class, w.rulename::text, pg_catalog.pg_get_ruledef(w.oid, false) \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_rewrite AS w ON w.ev_class = r.oid \
             WHERE w.rulename <> '_RETURN' AND NOT w.ev_class = ANY ($2) AND NOT EXISTS ( \
               SELECT FROM pg_catalog.pg_depend AS d \
               WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = w.oid \
               AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = ANY ($2))";
        for row in &self.over_relations_undone(rules)? {
            if let (Some(relation), Some(definition)) =
                (self.relation(get(row, 0)?), get::<Option<String>>(row, 2)?)
            {
                relation.rules.push(Definition {
                    name: get(row, 1)?,
                    definition: definition.trim_end().trim_end_matches(';').to_owned(),
                });
            }
        }
        Ok(())
    }

    pub(super) fn read_extended_statistics(&mut self) -> Result<(), Error> {
        let sql = "SELECT s.stxrelid, s.oid, n.nspname::text, s.stxname::text, \
               pg_catalog.pg_get_statisticsobjdef(s.oid), nullif(s.stxstattarget, -1)::int4 \
             FROM unnest($1) AS r (oid) \
             JOIN pg_catalog.pg_statistic_ext AS s ON s.stxrelid = r.oid \
             JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace \
             WHERE NOT s.stxrelid = ANY ($2) ORDER BY s.oid";
        let mut objects: Vec<(u32, u32, ExtendedStatistics)> = Vec::new();
        for row in &self.over_relations_undone(sql)? {
            if let Some(definition) = get::<Option<String>>(row, 4)? {
                objects.push((
                    get(row, 0)?,
                    get(row, 1)?,
                    ExtendedStatistics {
                        schema: get(row, 2)?,
                        name: get(row, 3)?,
                        definition,
                        target: get(row, 5)?,
                        data: Vec::new(),
                    },
                ));
            }
        }
        if objects.is_empty() {
            return Ok(());
        }
        let rows = self.session.query(
            "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_statistic_ext_data', 'SELECT')",
            &[],
        )?;
        let readable = match rows.first() {
            Some(row) => get(row, 0)?,
            None => false,
        };
        if readable {
            self.read_extended_data(&mut objects)?;
        } else {
            self.read_extended_view(&mut objects)?;
            self.limit(
                "Only superusers may read pg_statistic_ext_data, so the most common combinations \
                 of values (MCV lists) of extended statistics are not known."
                    .to_owned(),
            );
        }
        for (table, _, object) in objects {
            if let Some(relation) = self.relation(table) {
                relation.extended_statistics.push(object);
            }
        }
        Ok(())
    }

    fn read_extended_data(
        &mut self,
        objects: &mut [(u32, u32, ExtendedStatistics)],
    ) -> Result<(), Error> {
        let oids: Vec<u32> = objects.iter().map(|(_, oid, _)| *oid).collect();
        let inherited = if self.at_least(15) {
            "d.stxdinherit"
        } else {
            "false"
        };
        let rows = self.session.query(
            &format!(
                "SELECT d.stxoid, {inherited}, encode(d.stxdndistinct::bytea, 'hex'), \
                   encode(d.stxddependencies::bytea, 'hex'), encode(d.stxdmcv::bytea, 'hex') \
                 FROM unnest($1) AS r (oid) \
                 JOIN pg_catalog.pg_statistic_ext_data AS d ON d.stxoid = r.oid \
                 ORDER BY 1, 2"
            ),
            &[(&oids, Type::OID_ARRAY)],
        )?;
        for row in &rows {
            let data = ExtendedData {
                inherited: get(row, 1)?,
                n_distinct: get(row, 2)?,
                dependencies: get(row, 3)?,
                most_common_values: get(row, 4)?,
                ..ExtendedData::default()
            };
            let oid: u32 = get(row, 0)?;
            if let Some((.., object)) = objects.iter_mut().find(|(_, other, _)| *other == oid) {
                object.data.push(data);
            }
        }
        self.read_enum_labels(&oids, objects)?;
        // Expressions have statistics since 14.
        if !self.at_least(14) {
            return Ok(());
        }
        let rows = self.session.query(
            &format!(
                "SELECT d.stxoid, {inherited}, x.stainherit IS NOT NULL, {} \
                 FROM unnest($1) AS r (oid) \
                 JOIN pg_catalog.pg_statistic_ext_data AS d ON d.stxoid = r.oid \
                 CROSS JOIN LATERAL unnest(d.stxdexpr) WITH ORDINALITY AS x \
                 ORDER BY 1, 2, x.ordinality",
                columns("x", false)
            ),
            &[(&oids, Type::OID_ARRAY)],
        )?;
        let mut names = SlotNames::default();
        for row in &rows {
            let statistics = if get::<bool>(row, 2)? {
                let (mut statistics, slots) = raw(row, 3)?;
                self.look_up(slots.iter(), &mut names)?;
                statistics.slots = slots.into_iter().map(|slot| named(slot, &names)).collect();
                statistics
            } else {
                // An expression that could not be analysed keeps its place.
                Statistics::default()
            };
            add_expression(objects, get(row, 0)?, get(row, 1)?, statistics);
        }
        Ok(())
    }

    /// Enum values are numbers of this server's in the bytes of MCV lists.
    fn read_enum_labels(
        &mut self,
        oids: &[u32],
        objects: &mut [(u32, u32, ExtendedStatistics)],
    ) -> Result<(), Error> {
        let rows = self.session.query(
            "WITH RECURSIVE types (statistics, oid) AS ( \
               SELECT s.oid, a.atttypid FROM unnest($1) AS r (oid) \
               JOIN pg_catalog.pg_statistic_ext AS s ON s.oid = r.oid AND 'm' = ANY (s.stxkind) \
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = s.stxrelid \
                 AND a.attnum = ANY (s.stxkeys::int2[]) \
               UNION SELECT types.statistics, t.typbasetype FROM types \
               JOIN pg_catalog.pg_type AS t ON t.oid = types.oid AND t.typtype = 'd') \
             SELECT types.statistics, e.oid, e.enumlabel::text FROM types \
             JOIN pg_catalog.pg_enum AS e ON e.enumtypid = types.oid ORDER BY 1, 2",
            &[(&oids, Type::OID_ARRAY)],
        )?;
        for row in &rows {
            let oid: u32 = get(row, 0)?;
            let (number, label): (u32, String) = (get(row, 1)?, get(row, 2)?);
            let data = objects
                .iter_mut()
                .filter(|(_, other, _)| *other == oid)
                .flat_map(|(.., object)| &mut object.data)
                .filter(|data| data.most_common_values.is_some());
            for data in data {
                data.enum_labels.insert(number, label.clone());
            }
        }
        Ok(())
    }

    /// What the views show to those who may read the tables.
    fn read_extended_view(
        &mut self,
        objects: &mut [(u32, u32, ExtendedStatistics)],
    ) -> Result<(), Error> {
        let oids: Vec<u32> = objects.iter().map(|(_, oid, _)| *oid).collect();
        let inherited = if self.at_least(15) {
            "v.inherited"
        } else {
            "false"
        };
        let rows = self.session.query(
            &format!(
                "SELECT s.oid, {inherited}, encode(v.n_distinct::bytea, 'hex'), \
                   encode(v.dependencies::bytea, 'hex') \
                 FROM unnest($1) AS r (oid) \
                 JOIN pg_catalog.pg_statistic_ext AS s ON s.oid = r.oid \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace \
                 JOIN pg_catalog.pg_stats_ext AS v \
                   ON v.statistics_schemaname = n.nspname AND v.statistics_name = s.stxname \
                 ORDER BY 1, 2"
            ),
            &[(&oids, Type::OID_ARRAY)],
        )?;
        for row in &rows {
            let data = ExtendedData {
                inherited: get(row, 1)?,
                n_distinct: get(row, 2)?,
                dependencies: get(row, 3)?,
                ..ExtendedData::default()
            };
            let oid: u32 = get(row, 0)?;
            if let Some((.., object)) = objects.iter_mut().find(|(_, other, _)| *other == oid) {
                object.data.push(data);
            }
        }
        if !self.at_least(14) {
            return Ok(());
        }
        // The view gives expressions in their order, and has no number for
        // it; numbering rows as they come keeps it.
        let rows = self.session.query(
            &format!(
                "SELECT s.oid, {inherited}, v.inherited_or_not, v.null_frac, v.avg_width, v.n_distinct, \
                   v.most_common_vals::text, v.most_common_freqs, v.histogram_bounds::text, \
                   v.correlation, v.most_common_elems::text, v.most_common_elem_freqs, \
                   v.elem_count_histogram, NULL::text, NULL::text, NULL::float4, NULL::text, \
                   coalesce(pg_catalog.format_type({own}, NULL), ''), \
                   pg_catalog.format_type({element}, NULL) \
                 FROM unnest($1) AS r (oid) \
                 JOIN pg_catalog.pg_statistic_ext AS s ON s.oid = r.oid \
                 JOIN pg_catalog.pg_namespace AS n ON n.oid = s.stxnamespace \
                 JOIN (SELECT e.*, {either} AS inherited_or_not, row_number() OVER () AS n \
                   FROM pg_catalog.pg_stats_ext_exprs AS e) AS v \
                   ON v.statistics_schemaname = n.nspname AND v.statistics_name = s.stxname \
                 WHERE v.null_frac IS NOT NULL \
                 ORDER BY 1, 2, v.n",
                own = sent_type("coalesce(v.most_common_vals, v.histogram_bounds)"),
                element = sent_type("v.most_common_elems"),
                either = if self.at_least(15) { "e.inherited" } else { "false" },
            ),
            &[(&oids, Type::OID_ARRAY)],
        )?;
        for row in &rows {
            add_expression(objects, get(row, 0)?, get(row, 1)?, from_view(row, 2)?);
        }
        Ok(())
    }
}

/// The element type of an array of any type, from the header of its binary
/// form.
pub(super) fn sent_type(array: &str) -> String {
    format!(
        "('x' || encode(substring(anyarray_send({array}) FROM 9 FOR 4), 'hex'))::bit(32)::int4::oid"
    )
}

fn add_expression(
    objects: &mut [(u32, u32, ExtendedStatistics)],
    oid: u32,
    inherited: bool,
    statistics: Statistics,
) {
    if let Some((.., object)) = objects.iter_mut().find(|(_, other, _)| *other == oid)
        && let Some(data) = object
            .data
            .iter_mut()
            .find(|data| data.inherited == inherited)
    {
        data.expressions.push(statistics);
    }
}
