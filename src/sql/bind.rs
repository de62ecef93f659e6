//! Values in place of parameters, in the text that a server is sent.

use std::collections::BTreeMap;

use super::scan::{Scanner, TokenKind};

/// A statement with values in place of some of its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The text for the server.
    pub sql: String,
    /// How many parameters are left, numbered from 1 without gaps.
    pub parameters: u32,
}

/// Puts values, each as the SQL of a constant, in place of the parameters
/// `$n` of a server's text, at every place where they stand. Parameters
/// without a value stay, and get the numbers from 1 up in their order, so that
/// the server is not asked for the type of one that is gone.
///
/// `$1` within a string, a comment or a quoted name is no parameter.
pub fn bind(server_text: &str, values: &BTreeMap<u32, String>) -> Bound {
    let places: Vec<(usize, usize, u32)> = Scanner::new(server_text, 0)
        .filter(|token| token.kind == TokenKind::Numbered)
        .filter_map(|token| {
            let number = token.text(server_text).get(1..)?.parse().ok()?;
            Some((token.start, token.end, number))
        })
        .collect();
    let mut left: Vec<u32> = places
        .iter()
        .map(|place| place.2)
        .filter(|number| !values.contains_key(number))
        .collect();
    left.sort_unstable();
    left.dedup();
    let mut sql = String::with_capacity(server_text.len() + places.len() * 16);
    let mut done = 0;
    for (start, end, number) in places {
        sql.push_str(server_text.get(done..start).unwrap_or(""));
        if let Some(value) = values.get(&number) {
            // In parentheses, so that a cast behind it takes all of it.
            sql.push('(');
            sql.push_str(value);
            sql.push(')');
        } else {
            let at = left.partition_point(|other| *other < number);
            sql.push_str(&format!("${}", at + 1));
        }
        done = end;
    }
    sql.push_str(server_text.get(done..).unwrap_or(""));
    Bound {
        sql,
        parameters: u32::try_from(left.len()).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(u32, &str)]) -> BTreeMap<u32, String> {
        pairs
            .iter()
            .map(|(number, value)| (*number, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_value_stands_wherever_its_parameter_did() {
        let bound = bind(
            "select '$1', $$ $1 $$, \"$1\" /* $1 */ from t where a = $1 or b > $1",
            &values(&[(1, "'x'::text")]),
        );
        assert_eq!(
            bound.sql,
            "select '$1', $$ $1 $$, \"$1\" /* $1 */ from t where a = ('x'::text) or b > ('x'::text)"
        );
        assert_eq!(bound.parameters, 0);
    }

    #[test]
    fn what_is_left_is_numbered_anew() {
        let bound = bind(
            "select * from t where a = $2 and b = $10 limit $3",
            &values(&[(2, "'5'::int4")]),
        );
        assert_eq!(
            bound.sql,
            "select * from t where a = ('5'::int4) and b = $2 limit $1"
        );
        assert_eq!(bound.parameters, 2);
    }
}
