//! What another type of a column is for programs: decided by what drivers do.
//!
//! Drivers that look at the type (sqlx, tokio-postgres, Npgsql, JDBC's
//! `getObject`) refuse another one, and those of dynamic languages give a value
//! of another class. Only what all of them read alike is mild.

/// Types that are read as texts, whatever their name.
const TEXTS: [&str; 5] = ["text", "varchar", "bpchar", "name", "citext"];
/// Types that are read as documents.
const DOCUMENTS: [&str; 2] = ["json", "jsonb"];
/// Numbers: a parameter of one is taken for another.
const NUMBERS: [&str; 6] = ["int2", "int4", "int8", "numeric", "float4", "float8"];
const INTEGERS: [&str; 3] = ["int2", "int4", "int8"];
const TIMES: [&str; 3] = ["timestamp", "timestamptz", "date"];

/// Whether both types are of a list.
fn both(list: &[&str], before: &str, after: &str) -> bool {
    list.contains(&before) && list.contains(&after)
}

/// Whether programs read values of both types alike. To `char(n)` values get
/// blanks behind them.
pub(super) fn read_alike(before: &str, after: &str) -> bool {
    before != after
        && (both(&DOCUMENTS, before, after) || both(&TEXTS, before, after) && after != "bpchar")
}

/// Whether what a program sends for a parameter of one type is taken for the
/// other, too.
pub(super) fn taken_alike(before: &str, after: &str) -> bool {
    before == after
        || both(&TEXTS, before, after)
        || both(&DOCUMENTS, before, after)
        || both(&NUMBERS, before, after)
}

/// Which programs fail, or read something else, as a clause.
pub(super) fn who_minds(before: &str, after: &str) -> Option<&'static str> {
    if both(&INTEGERS, before, after) {
        return Some(match after {
            "int8" => {
                "node-postgres gives int8 as a string, sqlx and tokio-postgres refuse to read it \
                 as i32, JDBC's getObject gives a Long; programs in Python, Ruby and PHP go on"
            }
            _ => {
                "sqlx and tokio-postgres refuse to read one integer type as another, and JDBC's \
                 getObject gives another class; programs in Python, Ruby and PHP go on"
            }
        });
    }
    if both(&TIMES, before, after) {
        return Some(
            "drivers give values with a time zone as another class, and values without one are \
             taken to be in the session's TimeZone",
        );
    }
    if both(&NUMBERS, before, after) {
        return Some(
            "drivers give numeric as a decimal or a string, and float8 as a number without exact \
             digits",
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_driver_reads_alike_is_mild() {
        for (before, after, mild) in [
            ("varchar", "text", true),
            ("text", "citext", true),
            ("bpchar", "text", true),
            ("text", "bpchar", false),
            ("json", "jsonb", true),
            ("int4", "int8", false),
            ("timestamp", "timestamptz", false),
            ("numeric", "float8", false),
            ("uuid", "text", false),
            // A type that was made anew under its name.
            ("mood", "mood", false),
        ] {
            assert_eq!(read_alike(before, after), mild, "{before} {after}");
        }
        assert!(who_minds("int4", "int8").is_some_and(|who| who.contains("int8")));
        assert!(taken_alike("int4", "int8") && taken_alike("text", "varchar"));
        assert!(!taken_alike("int4", "text") && !taken_alike("timestamp", "timestamptz"));
    }
}
