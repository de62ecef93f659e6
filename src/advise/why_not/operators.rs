//! Which operators an index can serve, by its access method and operator
//! class.

use crate::catalog::{Column, Index, IndexKey};

/// Whether an index can serve an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Support {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// A pattern, for which the operator class must compare bytes.
    NeedsPatternOpclass,
    /// A pattern without a fixed beginning.
    NoPrefix,
    /// Whether it can is not known here.
    Unknown,
}

/// Whether the first key of the index serves the operator. `other` is the
/// other side as EXPLAIN prints it.
pub(super) fn support(
    index: &Index,
    key: &IndexKey,
    column: Option<&Column>,
    operator: &str,
    other: Option<&str>,
) -> Support {
    let yes = |supported: bool| if supported { Support::Yes } else { Support::No };
    match index.method.as_str() {
        "btree" => btree(key, column, operator, other),
        "hash" => yes(matches!(operator, "=" | "in")),
        "brin" => {
            if key.opclass.contains("minmax") {
                yes(matches!(
                    operator,
                    "=" | "<" | "<=" | ">" | ">=" | "between" | "in" | "is null" | "is not null"
                ))
            } else if key.opclass.contains("bloom") {
                yes(matches!(operator, "=" | "in" | "is null"))
            } else {
                Support::Unknown
            }
        }
        "gin" => gin(&key.opclass, operator),
        "gist" | "spgist" => gist(&key.opclass, operator),
        _ => Support::Unknown,
    }
}

fn btree(key: &IndexKey, column: Option<&Column>, operator: &str, other: Option<&str>) -> Support {
    let pattern_class = key.opclass.ends_with("_pattern_ops");
    match operator {
        "=" | "in" | "is null" | "is not null" => Support::Yes,
        "<" | "<=" | ">" | ">=" | "between" => {
            if pattern_class {
                Support::No
            } else {
                Support::Yes
            }
        }
        // `WHERE flag` and `WHERE NOT flag` are `flag = true` and `= false`.
        "is true" | "is false" => {
            if column.is_some_and(|column| column.base_type == "bool") {
                Support::Yes
            } else {
                Support::No
            }
        }
        "like" | "~" | "^@" => {
            let fixed = match other {
                Some(pattern) => fixed_beginning(operator, pattern),
                None => return Support::Unknown,
            };
            match fixed {
                // A parameter's beginning is not known to a generic plan.
                None => Support::Unknown,
                Some(false) => Support::NoPrefix,
                Some(true) => {
                    let bytes = pattern_class
                        || key.collation.as_deref().map_or_else(
                            || column.is_some_and(|column| column.collation_is_c),
                            |collation| matches!(collation, "C" | "POSIX" | "ucs_basic"),
                        );
                    if bytes {
                        Support::Yes
                    } else {
                        Support::NeedsPatternOpclass
                    }
                }
            }
        }
        "ilike" | "~*" => Support::NoPrefix,
        _ => Support::No,
    }
}

/// Whether a pattern begins with fixed characters; `None` when it is no
/// constant.
fn fixed_beginning(operator: &str, printed: &str) -> Option<bool> {
    let inner = printed.trim().trim_start_matches('(').strip_prefix('\'')?;
    let first = inner.chars().next()?;
    Some(match operator {
        "~" => {
            let mut rest = inner.chars();
            rest.next() == Some('^') && rest.next().is_some_and(|c| c.is_alphanumeric() || c == ' ')
        }
        "^@" => first != '\'',
        _ => !matches!(first, '%' | '_' | '\''),
    })
}

fn gin(opclass: &str, operator: &str) -> Support {
    let operators: &[&str] = match opclass {
        "jsonb_ops" => &["@>", "?", "?|", "?&", "@?", "@@"],
        "jsonb_path_ops" => &["@>", "@?", "@@"],
        "array_ops" => &["&&", "@>", "<@", "="],
        "tsvector_ops" => &["@@", "@@@"],
        "gin_trgm_ops" => &[
            "like", "ilike", "~", "~*", "%", "<%", "%>", "<<%", "%>>", "=",
        ],
        _ => return Support::Unknown,
    };
    if operators.contains(&operator) {
        Support::Yes
    } else {
        Support::No
    }
}

fn gist(opclass: &str, operator: &str) -> Support {
    let known: &[&str] = match opclass {
        "range_ops" | "multirange_ops" => &["=", "&&", "@>", "<@", "<<", ">>", "&<", "&>", "-|-"],
        "gist_trgm_ops" => &["like", "ilike", "~", "~*", "%", "<->", "="],
        _ => return Support::Unknown,
    };
    if known.contains(&operator) {
        Support::Yes
    } else {
        Support::No
    }
}

/// The operators that the index's operator class has, for a sentence.
pub(super) fn served(index: &Index, key: &IndexKey) -> String {
    let text = match (index.method.as_str(), key.opclass.as_str()) {
        ("btree", class) if class.ends_with("_pattern_ops") => {
            "=, IN and patterns with a fixed beginning"
        }
        ("btree", _) => "=, <, <=, >, >=, BETWEEN, IN, IS [NOT] NULL",
        ("hash", _) => "=",
        ("gin", "jsonb_ops") => "@>, ?, ?|, ?&, @? and @@",
        ("gin", "jsonb_path_ops") => "@>, @? and @@",
        ("gin", "array_ops") => "&&, @>, <@ and =",
        ("gin", "tsvector_ops") => "@@",
        ("gin" | "gist", "gin_trgm_ops" | "gist_trgm_ops") => {
            "LIKE, ILIKE, regular expressions and similarity"
        }
        ("gist" | "spgist", "range_ops") => "&&, @>, <@, =, <<, >>, &<, &> and -|-",
        ("brin", _) => "=, <, <=, >, >= and IS [NOT] NULL",
        _ => "those of its operator class",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(method: &str, opclass: &str) -> Index {
        Index {
            oid: 1,
            name: "i".to_owned(),
            method: method.to_owned(),
            keys: vec![IndexKey {
                column: Some("c".to_owned()),
                text: "c".to_owned(),
                opclass: opclass.to_owned(),
                default_opclass: true,
                collation: None,
                descending: false,
                nulls_first: false,
                stats: None,
            }],
            include: Vec::new(),
            unique: false,
            primary: false,
            valid: true,
            immediate: true,
            nulls_not_distinct: false,
            predicate: None,
            definition: String::new(),
            pages: 1.0,
            tuples: None,
            scans: None,
        }
    }

    fn asked(method: &str, opclass: &str, operator: &str, other: &str) -> Support {
        let index = index(method, opclass);
        let key = index.keys.first().unwrap();
        support(&index, key, None, operator, Some(other))
    }

    #[test]
    fn patterns_need_bytes_and_a_beginning() {
        assert_eq!(
            asked("btree", "text_ops", "like", "'abc%'::text"),
            Support::NeedsPatternOpclass
        );
        assert_eq!(
            asked("btree", "text_pattern_ops", "like", "'abc%'::text"),
            Support::Yes
        );
        assert_eq!(
            asked("btree", "text_pattern_ops", "like", "'%abc'::text"),
            Support::NoPrefix
        );
        assert_eq!(
            asked("btree", "text_pattern_ops", "like", "$1"),
            Support::Unknown
        );
        assert_eq!(
            asked("btree", "text_pattern_ops", "<", "'a'::text"),
            Support::No
        );
        assert_eq!(
            asked("btree", "text_ops", "~", "'^abc'::text"),
            Support::NeedsPatternOpclass
        );
    }

    #[test]
    fn each_method_has_its_operators() {
        assert_eq!(asked("hash", "int4_ops", "<", "1"), Support::No);
        assert_eq!(asked("hash", "int4_ops", "=", "1"), Support::Yes);
        assert_eq!(asked("gin", "jsonb_path_ops", "?", "'k'"), Support::No);
        assert_eq!(asked("gin", "jsonb_ops", "?", "'k'"), Support::Yes);
        assert_eq!(asked("btree", "int4_ops", "<>", "1"), Support::No);
        assert_eq!(asked("gist", "some_ops", "<->", "1"), Support::Unknown);
    }
}
