//! Names of types, as written and as PostgreSQL prints them.

use super::reader::Reader;
use super::text;
use super::tree::{Node, SyntaxKind};
use super::{Name, TypeName};

/// Nodes that are a type.
pub(super) fn is_type(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        SyntaxKind::ARRAY_TYPE
            | SyntaxKind::PATH_TYPE
            | SyntaxKind::VARCHAR_TYPE
            | SyntaxKind::CHARACTER_TYPE
            | SyntaxKind::BIT_TYPE
            | SyntaxKind::BIT_VARYING_TYPE
            | SyntaxKind::DOUBLE_TYPE
            | SyntaxKind::TIME_TYPE
            | SyntaxKind::TIMESTAMP_TYPE
            | SyntaxKind::INTERVAL_TYPE
            | SyntaxKind::PERCENT_TYPE
    )
}

/// The first type directly in a node.
pub(super) fn first(node: Node<'_>) -> Option<Node<'_>> {
    node.nodes().find(|child| is_type(child.kind()))
}

/// Names that stand for a type of another name in `pg_type`.
const ALIASES: &[(&str, &str)] = &[
    ("bigint", "int8"),
    ("bigserial", "int8"),
    ("boolean", "bool"),
    ("dec", "numeric"),
    ("decimal", "numeric"),
    ("int", "int4"),
    ("integer", "int4"),
    ("real", "float4"),
    ("serial", "int4"),
    ("serial2", "int2"),
    ("serial4", "int4"),
    ("serial8", "int8"),
    ("smallint", "int2"),
    ("smallserial", "int2"),
];

/// Types that `format_type` prints by a name of more words or other ones.
const PRINTED: &[(&str, &str)] = &[
    ("bit", "bit"),
    ("bool", "boolean"),
    ("bpchar", "character"),
    ("float4", "real"),
    ("float8", "double precision"),
    ("int2", "smallint"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("varbit", "bit varying"),
    ("varchar", "character varying"),
];

fn look_up(table: &[(&'static str, &'static str)], name: &str) -> Option<&'static str> {
    table
        .binary_search_by(|(key, _)| (*key).cmp(name))
        .ok()
        .and_then(|at| table.get(at))
        .map(|(_, value)| *value)
}

/// `serial` and its like.
fn is_serial(name: &str) -> bool {
    matches!(
        name,
        "serial" | "serial2" | "serial4" | "serial8" | "bigserial" | "smallserial"
    )
}

/// Schema and name in `pg_type` of a type's node, and whether it is serial.
pub(super) fn base(node: Node<'_>) -> Option<(Name, bool)> {
    let name = match node.kind() {
        SyntaxKind::ARRAY_TYPE => return base(first(node)?),
        SyntaxKind::PATH_TYPE => {
            let path_node = node.child(SyntaxKind::PATH_REF)?;
            let path = text::path(path_node);
            let quoted = path_node.text().contains('"');
            let built_in = path
                .schema
                .as_ref()
                .is_none_or(|schema| schema == "pg_catalog");
            if !built_in || quoted {
                return Some((path, false));
            }
            if path.name == "float" {
                let digits = modifiers(node)
                    .first()
                    .and_then(|digits| digits.parse::<u32>().ok());
                let name = if digits.is_some_and(|digits| digits <= 24) {
                    "float4"
                } else {
                    "float8"
                };
                return Some((with_schema(path.schema, name), false));
            }
            let serial = path.schema.is_none() && is_serial(&path.name);
            return Some(match look_up(ALIASES, &path.name) {
                // `pg_catalog.integer` is no type; its name is `int4` there.
                Some(name) if path.schema.is_none() => (Name::bare(name), serial),
                _ => (path, false),
            });
        }
        SyntaxKind::VARCHAR_TYPE => "varchar",
        SyntaxKind::CHARACTER_TYPE => "bpchar",
        SyntaxKind::BIT_TYPE => "bit",
        SyntaxKind::BIT_VARYING_TYPE => "varbit",
        SyntaxKind::DOUBLE_TYPE => "float8",
        SyntaxKind::TIME_TYPE if node.has(SyntaxKind::WITH_TIMEZONE) => "timetz",
        SyntaxKind::TIME_TYPE => "time",
        SyntaxKind::TIMESTAMP_TYPE if node.has(SyntaxKind::WITH_TIMEZONE) => "timestamptz",
        SyntaxKind::TIMESTAMP_TYPE => "timestamp",
        SyntaxKind::INTERVAL_TYPE => "interval",
        _ => return None,
    };
    Some((Name::bare(name), false))
}

fn with_schema(schema: Option<String>, name: &str) -> Name {
    Name {
        schema,
        name: name.to_owned(),
    }
}

/// What stands in the parentheses behind a type.
fn modifiers(node: Node<'_>) -> Vec<String> {
    if let Some(list) = node.child(SyntaxKind::ARG_LIST) {
        return list
            .nodes()
            .filter(|child| child.kind() == SyntaxKind::ARG)
            .map(|argument| argument.text().to_owned())
            .collect();
    }
    node.nodes()
        .filter(|child| child.kind() == SyntaxKind::LITERAL)
        .map(|literal| literal.text().to_owned())
        .collect()
}

/// As `format_type` prints it.
fn printed(base: &Name, modifiers: &[String], node: Node<'_>) -> String {
    let built_in = base
        .schema
        .as_ref()
        .is_none_or(|schema| schema == "pg_catalog");
    let list = |separator: &str| format!("({})", modifiers.join(separator));
    if !built_in {
        return if modifiers.is_empty() {
            base.to_string()
        } else {
            format!("{base}{}", list(","))
        };
    }
    let name = base.name.as_str();
    let precision = || {
        modifiers
            .first()
            .map_or_else(String::new, |digits| format!("({digits})"))
    };
    match name {
        "timestamp" | "time" => format!("{name}{} without time zone", precision()),
        "timestamptz" => format!("timestamp{} with time zone", precision()),
        "timetz" => format!("time{} with time zone", precision()),
        "interval" => match node.nodes().find(|child| {
            child.kind() != SyntaxKind::LITERAL && child.kind() != SyntaxKind::PATH_REF
        }) {
            Some(fields) if fields.kind() != SyntaxKind::ARG_LIST => {
                format!("interval {}", fields.text().to_ascii_lowercase())
            }
            _ => format!("interval{}", precision()),
        },
        "float4" | "float8" => look_up(PRINTED, name).unwrap_or(name).to_owned(),
        "bpchar" if modifiers.is_empty() && node.kind() == SyntaxKind::CHARACTER_TYPE => {
            "character(1)".to_owned()
        }
        "bpchar" if modifiers.is_empty() => "bpchar".to_owned(),
        "bit" if modifiers.is_empty() => "bit(1)".to_owned(),
        "numeric" => match modifiers {
            [precision] => format!("numeric({precision},0)"),
            [] => "numeric".to_owned(),
            _ => format!("numeric{}", list(",")),
        },
        _ => {
            let words = look_up(PRINTED, name).unwrap_or(name);
            if modifiers.is_empty() {
                words.to_owned()
            } else {
                format!("{words}{}", list(","))
            }
        }
    }
}

impl Reader<'_> {
    /// Reads a type.
    pub(super) fn type_name(&self, node: Node<'_>) -> Option<TypeName> {
        let array = node.kind() == SyntaxKind::ARRAY_TYPE;
        let element = if array { first(node)? } else { node };
        let (base, serial) = base(element)?;
        let modifiers = modifiers(element);
        let mut text = printed(&base, &modifiers, element);
        if array {
            text.push_str("[]");
        }
        Some(TypeName {
            span: self.span(node),
            text,
            base,
            modifiers,
            array,
            serial,
        })
    }
}
