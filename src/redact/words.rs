//! Words that are PostgreSQL's own and tell nothing of whoever uses it.

pub(super) use crate::catalog::ident::is_reserved;

/// Functions of `pg_catalog`, versions 13 to 18, that queries call; one a
/// line, sorted.
const FUNCTIONS: &str = include_str!("functions.txt");

/// Types of `pg_catalog`, and the words of which SQL makes up their names.
const TYPES: &[&str] = &[
    "anyarray",
    "anyelement",
    "bigint",
    "bigserial",
    "bit",
    "bool",
    "boolean",
    "box",
    "bpchar",
    "bytea",
    "char",
    "character",
    "cid",
    "cidr",
    "circle",
    "cstring",
    "date",
    "datemultirange",
    "daterange",
    "day",
    "dec",
    "decimal",
    "double",
    "float",
    "float4",
    "float8",
    "hour",
    "inet",
    "int",
    "int2",
    "int2vector",
    "int4",
    "int4multirange",
    "int4range",
    "int8",
    "int8multirange",
    "int8range",
    "integer",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "minute",
    "money",
    "month",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "pg_snapshot",
    "point",
    "polygon",
    "precision",
    "real",
    "record",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "second",
    "serial",
    "smallint",
    "smallserial",
    "text",
    "tid",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "to",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "unknown",
    "uuid",
    "varbit",
    "varchar",
    "varying",
    "void",
    "with",
    "without",
    "xid",
    "xid8",
    "xml",
    "year",
    "zone",
];

/// Words that can be names, and mostly are syntax where queries have them.
const SYNTAX: &[&str] = &[
    "at",
    "begin",
    "breadth",
    "buffers",
    "by",
    "commit",
    "conflict",
    "copy",
    "costs",
    "current",
    "cycle",
    "deallocate",
    "delete",
    "depth",
    "escape",
    "exclude",
    "execute",
    "explain",
    "filter",
    "first",
    "following",
    "format",
    "groups",
    "ignore",
    "insert",
    "isolation",
    "last",
    "level",
    "local",
    "locked",
    "matched",
    "materialized",
    "merge",
    "next",
    "no",
    "nothing",
    "nowait",
    "nulls",
    "of",
    "ordinality",
    "others",
    "over",
    "partition",
    "passing",
    "preceding",
    "prepare",
    "range",
    "recursive",
    "repeatable",
    "respect",
    "rollback",
    "rows",
    "search",
    "set",
    "settings",
    "share",
    "skip",
    "summary",
    "temp",
    "temporary",
    "ties",
    "timing",
    "transaction",
    "unbounded",
    "uncommitted",
    "update",
    "wal",
    "within",
    "work",
    "zone",
];

/// Lower-case words in expressions that EXPLAIN prints which are no names.
const EXPLAINED: &[&str] = &[
    "alternatives",
    "ctid",
    "false",
    "hashed",
    "null",
    "or",
    "rescan",
    "tableoid",
    "true",
    "cmin",
    "cmax",
    "xmin",
    "xmax",
    "returns",
];

/// Settings whose values are names or texts of the user's.
const TELLING: &[&str] = &[
    "application_name",
    "default_tablespace",
    "default_text_search_config",
    "role",
    "search_path",
    "session_authorization",
    "temp_tablespaces",
];

fn contains(words: &[&str], word: &str) -> bool {
    words.contains(&word)
}

/// A function of `pg_catalog`.
pub(super) fn is_function(name: &str) -> bool {
    static SORTED: std::sync::LazyLock<Vec<&'static str>> =
        std::sync::LazyLock::new(|| FUNCTIONS.lines().collect());
    SORTED.binary_search(&name).is_ok()
}

/// A type of `pg_catalog`, or a word of its name.
pub(super) fn is_type(name: &str) -> bool {
    contains(TYPES, name)
}

/// A word that is mostly syntax.
pub(super) fn is_syntax(name: &str) -> bool {
    contains(SYNTAX, name)
}

/// A word of EXPLAIN's in an expression.
pub(super) fn is_explained(name: &str) -> bool {
    contains(EXPLAINED, name)
}

/// A setting whose value tells something.
pub(super) fn is_telling(setting: &str) -> bool {
    contains(TELLING, setting) || setting.contains('.')
}

/// A name that PostgreSQL gives itself: `*VALUES*`, `column1`, `?column?`.
pub(super) fn is_given(name: &str) -> bool {
    let numbered = |stem: &str| {
        name.strip_prefix(stem)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    name.starts_with('*')
        || name.starts_with("?column?")
        || numbered("column")
        || numbered("col")
        || matches!(name, "pg_catalog" | "information_schema")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_sorted_for_the_search() {
        let all: Vec<&str> = FUNCTIONS.lines().collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        for name in ["count", "lower", "date_trunc", "btrim", "jsonb_path_query"] {
            assert!(is_function(name), "{name}");
        }
        assert!(!is_function("my_discount"));
    }
}
