//! A schema as lines that can be compared: of a server, and of the state.
#![expect(clippy::string_slice, reason = "a test may panic")]

use pgadvise::catalog::RelationKind;
use pgadvise::migration::state::{Constrains, State};
use pgadvise::sql::ddl::Persistence;

/// Everything that the state claims to know, as lines, from a server's
/// catalogues. What extensions brought is left out.
pub(crate) const OF_SERVER: &str = r#"
WITH own AS (
  SELECT c.oid, c.relname, n.nspname, c.relkind, c.relpersistence, c.relrowsecurity,
         CASE WHEN n.nspname LIKE 'pg_temp%' THEN 'pg_temp' ELSE n.nspname END || '.' || c.relname AS name
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg_toast%'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), names AS (
  SELECT a.attrelid, a.attnum, a.attname FROM pg_attribute a
)
SELECT 'table|' || name || '|' || CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned' WHEN 'v' THEN 'view'
    WHEN 'm' THEN 'matview' WHEN 'f' THEN 'foreign' END || '|' || relpersistence::text || '|' || relrowsecurity AS line
FROM own WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'column|' || o.name || '|' || a.attname || '|'
    || replace(regexp_replace(format_type(a.atttypid, a.atttypmod), '^("[^"]*"|[^".( ]+)\.', ''), '"', '')
    || '|' || CASE WHEN current_setting('server_version_num')::int < 180000 THEN a.attnotnull
         ELSE a.attnotnull AND EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = a.attrelid AND c.contype = 'n'
             AND c.conkey[1] = a.attnum AND c.convalidated) END
    || '|' || (row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum))
    || '|' || (a.attidentity <> '') || '|' || a.attgenerated::text || '|' || a.atthasdef
FROM own o JOIN pg_attribute a ON a.attrelid = o.oid
WHERE o.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint|' || o.name || '|' || c.conname || '|' || c.contype::text || '|'
    || coalesce((SELECT string_agg(n.attname, ',' ORDER BY CASE WHEN c.contype = 'c' THEN n.attname ELSE lpad(k.at::text, 4, '0') END)
         FROM unnest(c.conkey) WITH ORDINALITY AS k(num, at) JOIN names n ON n.attrelid = c.conrelid AND n.attnum = k.num), '')
    || '|' || c.convalidated || '|' || c.condeferrable
    || CASE WHEN c.contype = 'f' THEN '|' || (SELECT name FROM own t WHERE t.oid = c.confrelid) || '('
         || (SELECT string_agg(n.attname, ',' ORDER BY k.at)
             FROM unnest(c.confkey) WITH ORDINALITY AS k(num, at) JOIN names n ON n.attrelid = c.confrelid AND n.attnum = k.num) || ')'
       ELSE '' END
FROM own o JOIN pg_constraint c ON c.conrelid = o.oid
WHERE c.contype <> 't' AND NOT EXISTS (SELECT FROM pg_constraint p WHERE p.oid = c.conparentid AND p.conrelid = c.conrelid)
UNION ALL
SELECT 'index|' || t.name || '|' || o.relname || '|' || m.amname::text || '|'
    || (SELECT string_agg(CASE WHEN i.indkey[k - 1] = 0 THEN '(expr)'
            ELSE (SELECT n.attname FROM names n WHERE n.attrelid = i.indrelid AND n.attnum = i.indkey[k - 1]) END
            || coalesce((SELECT ' ' || l.collname FROM pg_attribute n JOIN pg_collation l ON l.oid = i.indcollation[k - 1]
                WHERE n.attrelid = i.indrelid AND n.attnum = i.indkey[k - 1] AND n.attcollation <> l.oid), '')
            || CASE WHEN m.amname = 'btree' AND i.indoption[k - 1] & 1 = 1 THEN ' desc' ELSE '' END, ',' ORDER BY k)
        FROM generate_series(1, i.indnkeyatts) k)
    || '|' || coalesce((SELECT string_agg((SELECT n.attname FROM names n WHERE n.attrelid = i.indrelid AND n.attnum = i.indkey[k - 1]), ',' ORDER BY k)
        FROM generate_series(i.indnkeyatts + 1, i.indnatts) k), '')
    || '|' || i.indisunique || '|' || i.indisvalid || '|' || (i.indpred IS NOT NULL)
    || '|' || coalesce((SELECT p.relname FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent WHERE h.inhrelid = i.indexrelid), '')
FROM pg_index i JOIN own o ON o.oid = i.indexrelid JOIN own t ON t.oid = i.indrelid
JOIN pg_class c ON c.oid = o.oid JOIN pg_am m ON m.oid = c.relam
UNION ALL
SELECT 'child|' || p.name || '|' || c.name FROM pg_inherits h JOIN own p ON p.oid = h.inhparent JOIN own c ON c.oid = h.inhrelid
WHERE p.relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'sequence|' || name FROM own WHERE relkind = 'S'
UNION ALL
SELECT 'trigger|' || o.name || '|' || t.tgname || '|' || (t.tgenabled <> 'D')
FROM own o JOIN pg_trigger t ON t.tgrelid = o.oid WHERE NOT t.tgisinternal
UNION ALL
SELECT 'enum|' || n.nspname || '.' || t.typname || '|' || (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumlabel COLLATE "C") FROM pg_enum e WHERE e.enumtypid = t.oid)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'e' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT 'domain|' || n.nspname || '.' || t.typname || '|'
    || replace(regexp_replace(format_type(t.typbasetype, t.typtypmod), '^("[^"]*"|[^".( ]+)\.', ''), '"', '') || '|' || t.typnotnull
    || '|' || coalesce((SELECT string_agg(c.conname, ',' ORDER BY c.conname) FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'), '')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype = 'd' AND n.nspname NOT IN ('information_schema', 'pg_catalog')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT 'reads|' || v.name || '|' || t.name
FROM pg_rewrite r JOIN own v ON v.oid = r.ev_class AND v.relkind IN ('v', 'm')
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
JOIN own t ON t.oid = d.refobjid AND t.oid <> v.oid AND t.relkind IN ('r', 'p', 'v', 'm', 'f')
GROUP BY v.name, t.name
UNION ALL
SELECT 'schema|' || nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('information_schema', 'public')
"#;

/// The type as both sides can print it.
fn type_text(text: &str) -> String {
    let mut text = text.replace('"', "");
    let name_end = text.find(['(', ' ', '[']).unwrap_or(text.len());
    if let Some(dot) = text[..name_end].find('.') {
        text.replace_range(..=dot, "");
    }
    text
}

/// The same of a state. Columns of tables that were made from a query are
/// not known to it: those tables are given besides.
pub(crate) fn of_state(state: &State) -> (Vec<String>, Vec<String>) {
    let mut lines = Vec::new();
    let mut unknown = Vec::new();
    let full =
        |name: &pgadvise::migration::state::Qualified| format!("{}.{}", name.schema, name.name);
    for table in state.tables() {
        let name = full(&table.name);
        let kind = match table.kind {
            RelationKind::Table => "table",
            RelationKind::PartitionedTable => "partitioned",
            RelationKind::View => "view",
            RelationKind::MaterializedView => "matview",
            RelationKind::ForeignTable => "foreign",
        };
        let persistence = match table.persistence {
            Persistence::Permanent => "p",
            Persistence::Unlogged => "u",
            Persistence::Temporary => "t",
        };
        lines.push(format!(
            "table|{name}|{kind}|{persistence}|{}",
            table.row_security
        ));
        let view = matches!(
            table.kind,
            RelationKind::View | RelationKind::MaterializedView
        );
        if !table.columns_known && !view {
            unknown.push(name.clone());
        }
        if !view {
            for (number, column) in table.columns.iter().enumerate() {
                lines.push(format!(
                    "column|{name}|{}|{}|{}|{}|{}|{}|{}",
                    column.name,
                    column
                        .type_name
                        .as_ref()
                        .map_or_else(|| "?".to_owned(), |of| type_text(&of.text)),
                    column.not_null,
                    number + 1,
                    column.identity,
                    if column.generated_stored {
                        "s"
                    } else if column.generated_virtual {
                        "v"
                    } else {
                        ""
                    },
                    column.default.is_some()
                ));
            }
        }
        for constraint in &table.constraints {
            let mut columns = constraint.columns.clone();
            let (letter, target) = match &constraint.kind {
                Constrains::NotNull => ("n", String::new()),
                Constrains::PrimaryKey => ("p", String::new()),
                Constrains::Unique => ("u", String::new()),
                Constrains::Exclusion => ("x", String::new()),
                Constrains::Check { .. } => {
                    columns.sort();
                    ("c", String::new())
                }
                Constrains::ForeignKey { table, columns, .. } => {
                    ("f", format!("|{}({})", full(table), columns.join(",")))
                }
            };
            lines.push(format!(
                "constraint|{name}|{}|{letter}|{}|{}|{}{target}",
                constraint.name,
                columns.join(","),
                constraint.validated,
                constraint.deferrable
            ));
        }
        for index in &table.indexes {
            let keys: Vec<String> = index
                .keys
                .iter()
                .map(|key| {
                    let collation = key.column.as_ref().and(key.collation.as_ref());
                    format!(
                        "{}{}{}",
                        key.column.as_deref().unwrap_or("(expr)"),
                        collation.map_or_else(String::new, |collation| format!(" {collation}")),
                        if key.descending { " desc" } else { "" }
                    )
                })
                .collect();
            lines.push(format!(
                "index|{name}|{}|{}|{}|{}|{}|{}|{}|{}",
                index.name,
                index.method,
                keys.join(","),
                index.include.join(","),
                index.unique,
                index.valid,
                index.predicate.is_some(),
                index.parent.as_ref().map_or("", |parent| &parent.name)
            ));
        }
        for child in &table.children {
            lines.push(format!("child|{name}|{}", full(child)));
        }
        for trigger in &table.triggers {
            lines.push(format!(
                "trigger|{name}|{}|{}",
                trigger.name, trigger.enabled
            ));
        }
        for read in &table.reads {
            lines.push(format!("reads|{name}|{}", full(read)));
        }
    }
    for sequence in state.sequences() {
        lines.push(format!("sequence|{}", full(sequence)));
    }
    for enumeration in state.enumerations() {
        let mut values: Vec<&str> = enumeration
            .values
            .iter()
            .map(|(value, _)| value.as_str())
            .collect();
        values.sort_unstable();
        lines.push(format!(
            "enum|{}|{}",
            full(&enumeration.name),
            values.join(",")
        ));
    }
    for domain in state.domains() {
        let mut checks = domain.constraints.clone();
        checks.sort();
        lines.push(format!(
            "domain|{}|{}|{}|{}",
            full(&domain.name),
            domain
                .type_name
                .as_ref()
                .map_or_else(|| "?".to_owned(), |of| type_text(&of.text)),
            domain.not_null,
            checks.join(",")
        ));
    }
    for schema in state.schemas() {
        lines.push(format!("schema|{schema}"));
    }
    lines.sort();
    unknown.sort();
    (lines, unknown)
}
