//! Which functions give another value for each row.

use crate::migration::state::State;
use crate::sql::ddl::{Expression, Name};

/// Volatile functions of PostgreSQL that give a value, and those of the
/// extensions that come with it or are made for keys. Source: `pg_proc` of
/// versions 13 to 18 (`provolatile = 'v'`).
const VOLATILE: &[&str] = &[
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "currval",
    "gen_random_bytes",
    "gen_random_uuid",
    "gen_salt",
    "gen_ulid",
    "lastval",
    "nanoid",
    "nextval",
    "random",
    "random_normal",
    "setval",
    "timeofday",
    "txid_status",
    "ulid_generate",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "uuid_generate_v6",
    "uuid_generate_v7",
    "uuidv4",
    "uuidv7",
];

/// The first volatile function that an expression calls: PostgreSQL's own,
/// or one that the history defines.
pub fn volatile_function<'a>(expression: &'a Expression, state: &State) -> Option<&'a Name> {
    expression.functions.iter().find(|function| {
        let own = function.schema.as_deref() == Some("pg_catalog");
        match state.is_volatile_call(&function.name).filter(|_| !own) {
            Some(volatile) => volatile,
            None => VOLATILE.binary_search(&function.name.as_str()).is_ok(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::VOLATILE;

    #[test]
    fn the_list_is_sorted() {
        assert!(VOLATILE.is_sorted());
    }
}
