//! What of a user's SQL can be supposed on a twin, and how.
//!
//! Everything is tried in one transaction that is rolled back, on tables
//! without rows: what cannot be in a transaction is brought to a form that
//! can, and what would change no plan there is left out with a word.

use squawk_lexer::TokenKind;

use crate::catalog::ident::fold;

/// Which tables a statement may read from end to end, so that their files have
/// to be empty while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) enum Reads {
    /// None.
    Nothing,
    /// Those that it names, themselves or by an index or partition.
    Named(Vec<String>),
    /// It cannot be told.
    Any,
}

/// What becomes of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pg) enum Step {
    /// It is executed in this form.
    Run {
        /// The form.
        sql: String,
        /// What it may read.
        reads: Reads,
        /// What to know, as sentences.
        notes: Vec<String>,
    },
    /// A setting, or all, as it was before the change.
    Reset {
        /// Its name; `None` for all.
        name: Option<String>,
    },
    /// It is left out.
    LeftOut {
        /// Why.
        why: &'static str,
    },
}

/// A word of a statement with where it stands.
#[derive(Debug)]
struct Word {
    /// An unquoted one in lower case, a quoted one without its quotes.
    text: String,
    quoted: bool,
    start: usize,
    end: usize,
}

fn words(sql: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut at = 0;
    for token in squawk_lexer::tokenize(sql) {
        let start = at;
        at += token.len as usize;
        let quoted = matches!(token.kind, TokenKind::QuotedIdent { .. });
        if (quoted || token.kind == TokenKind::Ident)
            && let Some(text) = sql.get(start..at)
        {
            words.push(Word {
                text: fold(text),
                quoted,
                start,
                end: at,
            });
        }
    }
    words
}

/// The statement without the given word.
fn without(sql: &str, word: &Word) -> String {
    let before = sql.get(..word.start).unwrap_or("");
    let after = sql.get(word.end..).unwrap_or("");
    format!("{}{}", before, after.trim_start())
}

const ROWS: &str = "it changes rows, and the twin has none; the statistics stay as they were taken";
const NO_PLAN: &str = "it changes no plan";
const OWN: &str = "it changes no plan, only how pgadvise's own session works";
/// Settings by which a session ends, waits or reads text otherwise: none is the
/// planner's.
const SESSION_SETTINGS: &[&str] = &[
    "transaction_read_only",
    "default_transaction_read_only",
    "transaction_isolation",
    "default_transaction_isolation",
    "transaction_deferrable",
    "default_transaction_deferrable",
    "statement_timeout",
    "lock_timeout",
    "transaction_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "client_encoding",
    "standard_conforming_strings",
    "backslash_quote",
];
const TRANSACTION: &str = "all changes are tried together in one transaction";

/// Decides what becomes of a statement.
#[expect(
    clippy::unnested_or_patterns,
    reason = "one line for each kind of statement"
)]
pub(in crate::pg) fn step(sql: &str) -> Step {
    let sql = sql.trim().trim_end_matches(';').trim_end();
    let words = words(sql);
    let word = |at: usize| {
        words
            .get(at)
            .filter(|word| !word.quoted)
            .map_or("", |word| word.text.as_str())
    };
    let has = |wanted: &str| words.iter().any(|word| !word.quoted && word.text == wanted);
    let left_out = |why: &'static str| Step::LeftOut { why };
    let run = |sql: String, reads: Reads| Step::Run {
        sql,
        reads,
        notes: Vec::new(),
    };
    let named = || Reads::Named(words.iter().map(|word| word.text.clone()).collect());
    let concurrently = words
        .iter()
        .find(|word| !word.quoted && word.text == "concurrently");
    let plain = || concurrently.map_or_else(|| sql.to_owned(), |word| without(sql, word));
    match (word(0), word(1)) {
        (
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release",
            _,
        )
        | ("prepare", "transaction")
        | ("set", "transaction" | "constraints")
        | ("lock", _) => left_out(TRANSACTION),
        ("insert" | "update" | "delete" | "merge" | "copy" | "truncate", _) => left_out(ROWS),
        ("refresh", _) => left_out(ROWS),
        ("select", _) if has("set_config") => run(sql.to_owned(), Reads::Nothing),
        (
            "select" | "with" | "values" | "table" | "explain" | "show" | "execute" | "prepare",
            _,
        ) => left_out("it is a query, which changes no plan of another"),
        ("call", _) => left_out("what a procedure does cannot be tried in one transaction"),
        ("analyze" | "analyse", _) => left_out(
            "it would gather statistics from tables without rows; \
             the snapshot's statistics stay in force",
        ),
        ("vacuum", _) => left_out(
            "it cannot be in a transaction, and the twin has no rows to vacuum; \
             the snapshot's statistics stay in force",
        ),
        ("cluster", _) => left_out(
            "the order of rows that it would make is not in the statistics of the snapshot",
        ),
        ("reindex", _) => left_out(
            "it makes an index smaller only by what is dead in it, which a snapshot does not say",
        ),
        (
            "grant" | "revoke" | "comment" | "security" | "checkpoint" | "discard" | "listen"
            | "notify" | "unlisten" | "deallocate" | "close" | "reassign",
            _,
        )
        | (
            "create" | "drop",
            "role" | "user" | "group" | "database" | "tablespace" | "publication" | "subscription"
            | "event",
        )
        | ("alter", "publication" | "subscription" | "event" | "tablespace" | "default") => {
            left_out(NO_PLAN)
        }
        ("set" | "reset", "role" | "session")
            if word(1) == "role" || word(2) == "authorization" =>
        {
            left_out("the twin has no roles but its own")
        }
        ("set", "session") if word(2) == "characteristics" => left_out(TRANSACTION),
        ("set" | "reset", _) => session_setting(sql, &words),
        ("alter", "system" | "database" | "role" | "user") => setting(sql, &words),
        ("alter", _) if has("tablespace") => left_out(
            "a tablespace changes a plan only by its own cost settings, which the twin does not have",
        ),
        ("alter", _) if has("finalize") => left_out(NO_PLAN),
        ("create" | "alter", "statistics") => Step::Run {
            sql: sql.to_owned(),
            reads: Reads::Nothing,
            notes: vec![
                "a statistics object changes no estimate before ANALYZE fills it, and the twin \
                 has no rows to gather from"
                    .to_owned(),
            ],
        },
        ("create", "index" | "unique") => run(plain(), named()),
        (
            "create",
            "table" | "unlogged" | "temp" | "temporary" | "local" | "global" | "materialized",
        ) => Step::Run {
            sql: sql.to_owned(),
            reads: Reads::Any,
            notes: vec![
                "it has no rows on the twin: whatever reads it is planned as on an empty table"
                    .to_owned(),
            ],
        },
        ("drop", _) => run(plain(), Reads::Nothing),
        ("alter", "index") => run(sql.to_owned(), named()),
        ("alter", "table") => {
            let statistics = words
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a.text == "set" && b.text == "statistics"));
            let notes = if statistics {
                vec![
                    "a statistics target changes no estimate before the next ANALYZE, and the \
                     twin has no rows to gather from"
                        .to_owned(),
                ]
            } else {
                Vec::new()
            };
            let far = [
                "type",
                "constraint",
                "references",
                "foreign",
                "attach",
                "add",
            ]
            .iter()
            .any(|word| has(word));
            Step::Run {
                sql: plain(),
                reads: if far { Reads::Any } else { named() },
                notes,
            }
        }
        _ => run(sql.to_owned(), Reads::Any),
    }
}

/// `SET` and `RESET`. What a session is reset to is what the snapshot's server
/// gives a new session, not what the twin's does.
fn session_setting(sql: &str, words: &[Word]) -> Step {
    let mut rest = words
        .iter()
        .skip(1)
        .skip_while(|word| !word.quoted && (word.text == "session" || word.text == "local"));
    let Some(name) = rest.next() else {
        return Step::Run {
            sql: sql.to_owned(),
            reads: Reads::Nothing,
            notes: Vec::new(),
        };
    };
    if SESSION_SETTINGS.contains(&name.text.as_str()) {
        return Step::LeftOut { why: OWN };
    }
    let is_reset = words.first().is_some_and(|word| word.text == "reset");
    let last = words.last().filter(|word| !word.quoted);
    let to_default = words.len() > 2 && last.is_some_and(|word| word.text == "default");
    // `SET TIME ZONE` has a name of two words.
    if (is_reset || to_default) && name.text != "time" {
        let all = is_reset && !name.quoted && name.text == "all";
        return Step::Reset {
            name: (!all).then(|| name.text.clone()),
        };
    }
    Step::Run {
        sql: sql.to_owned(),
        reads: Reads::Nothing,
        notes: Vec::new(),
    }
}

/// The same for a cluster with rows: there, rows can be changed and statistics
/// gathered.
#[cfg(feature = "embedded")]
pub(in crate::pg) fn step_with_rows(sql: &str) -> Step {
    let words = words(sql);
    let first = words
        .first()
        .filter(|word| !word.quoted)
        .map_or("", |word| word.text.as_str());
    let runs = matches!(
        first,
        "insert"
            | "update"
            | "delete"
            | "merge"
            | "copy"
            | "truncate"
            | "refresh"
            | "analyze"
            | "analyse"
            | "reindex"
            | "cluster"
            | "call"
    );
    let concurrently = words
        .iter()
        .find(|word| !word.quoted && word.text == "concurrently");
    if runs {
        let sql = sql.trim().trim_end_matches(';').trim_end();
        return Step::Run {
            sql: concurrently.map_or_else(|| sql.to_owned(), |word| without(sql, word)),
            reads: Reads::Nothing,
            notes: Vec::new(),
        };
    }
    match step(sql) {
        // They are about tables without rows.
        Step::Run { sql, reads, .. } => Step::Run {
            sql,
            reads,
            notes: Vec::new(),
        },
        Step::LeftOut { .. } if first == "vacuum" => Step::LeftOut {
            why: "it cannot be in a transaction",
        },
        other => other,
    }
}

/// `ALTER SYSTEM`, `ALTER DATABASE … SET` and `ALTER ROLE … SET` as a setting
/// of this session.
fn setting(sql: &str, words: &[Word]) -> Step {
    let verb = words
        .iter()
        .skip(2 - usize::from(words.get(1).is_some_and(|word| word.text == "system")))
        .find(|word| !word.quoted && (word.text == "set" || word.text == "reset"));
    let Some(verb) = verb else {
        return Step::LeftOut { why: NO_PLAN };
    };
    let next = words
        .iter()
        .find(|word| word.start >= verb.end)
        .map_or("", |word| word.text.as_str());
    if next == "tablespace" || next == "all" {
        return Step::LeftOut { why: NO_PLAN };
    }
    let rest = sql.get(verb.start..).unwrap_or("");
    Step::Run {
        sql: rest.to_owned(),
        reads: Reads::Nothing,
        notes: vec!["tried as a setting of the session".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(sql: &str) -> (String, Reads) {
        match step(sql) {
            Step::Run { sql, reads, .. } => (sql, reads),
            other => panic!("{sql}: {other:?}"),
        }
    }

    #[test]
    fn what_cannot_be_in_a_transaction_gets_a_form_that_can() {
        let (sql, reads) = ran("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON orders (a);");
        assert_eq!(sql, "CREATE INDEX IF NOT EXISTS i ON orders (a)");
        assert!(matches!(reads, Reads::Named(names) if names.contains(&"orders".to_owned())));
        assert_eq!(ran("drop index concurrently a, b").0, "drop index a, b");
        assert_eq!(
            ran("ALTER SYSTEM SET random_page_cost = 1.1").0,
            "SET random_page_cost = 1.1"
        );
        assert_eq!(
            ran("alter role app in database shop set work_mem to '64MB'").0,
            "set work_mem to '64MB'"
        );
        assert_eq!(
            ran("alter database \"set\" set jit = off").0,
            "set jit = off"
        );
        assert_eq!(ran("ALTER SYSTEM RESET work_mem").0, "RESET work_mem");
    }

    #[test]
    fn a_quoted_name_is_no_keyword() {
        assert_eq!(
            ran("create index \"concurrently\" on t (a)").0,
            "create index \"concurrently\" on t (a)"
        );
    }

    #[test]
    fn what_changes_no_plan_on_a_twin_is_left_out_with_a_word() {
        for sql in [
            "BEGIN",
            "commit;",
            "VACUUM FULL orders",
            "analyze",
            "UPDATE orders SET a = 1",
            "truncate orders",
            "GRANT SELECT ON orders TO app",
            "SELECT 1",
            "set role app",
            "SET SESSION AUTHORIZATION app",
            "ALTER DATABASE shop OWNER TO app",
            "alter table t set tablespace fast",
            "SET LOCAL statement_timeout = 0",
            "set transaction_read_only = on",
            "set session characteristics as transaction read only",
        ] {
            assert!(matches!(step(sql), Step::LeftOut { .. }), "{sql}");
        }
        let reset = |name: Option<&str>| Step::Reset {
            name: name.map(str::to_owned),
        };
        assert_eq!(step("reset all;"), reset(None));
        assert_eq!(step("RESET Work_Mem"), reset(Some("work_mem")));
        assert_eq!(step("set local jit to default"), reset(Some("jit")));
        assert!(matches!(step("set a.b = 'default'"), Step::Run { .. }));
        assert!(matches!(
            step("set session work_mem = '1GB'"),
            Step::Run { .. }
        ));
    }
    #[cfg(feature = "embedded")]
    #[test]
    fn where_there_are_rows_they_can_be_changed_and_counted() {
        assert!(matches!(
            step_with_rows("reindex index concurrently i"),
            Step::Run { sql, .. } if sql == "reindex index i"
        ));
        assert!(matches!(step_with_rows("ANALYZE"), Step::Run { .. }));
        assert!(matches!(step_with_rows("commit"), Step::LeftOut { .. }));
    }
}
