//! Asking a server for the plan of one statement.

use tokio_postgres::types::{FromSql, Type};

use super::error::{Error, Refusal};
use super::session::Session;
use crate::plan::PlanGraph;
use crate::plan::json;
use crate::verify::{PlanError, PlanOptions, Planned};

/// A value of any type whose wire form is its text (`json` among them).
pub(super) struct RawText(pub(super) String);

impl<'a> FromSql<'a> for RawText {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?.to_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Types tried for a parameter whose type the server cannot tell (as in
/// `$1 IS NULL OR …`), the most permissive first.
const GUESSES: &[&str] = &[
    "text",
    "bigint",
    "timestamptz",
    "numeric",
    "boolean",
    "uuid",
];

/// The flag that lets a statement that changes data be executed.
const WRITE_FLAG: &str = "--analyze-writes";

impl Session {
    /// The plan of one statement; executed too where the options say so. The
    /// transaction around it is rolled back.
    pub fn explain(
        &mut self,
        statement: Planned<'_>,
        options: PlanOptions,
    ) -> Result<PlanGraph, PlanError> {
        if options.analyze && statement.parameters > 0 {
            return Err(PlanError::Unsupported {
                what: "a statement with parameters can be planned, but not executed; \
                       write values in place of the parameters to have it executed"
                    .to_owned(),
            });
        }
        // A transaction of its own is rolled back as a whole.
        let shared = self.in_transaction();
        let read_only =
            self.read_only(|session| session.explain_part(statement, options.analyze, shared));
        match read_only {
            Err(PlanError::Refused {
                sqlstate, message, ..
            }) if sqlstate == "25006" => {
                if !options.analyze {
                    return Err(PlanError::Unsupported {
                        what: format!(
                            "planning the statement changes data ({message}), and pgadvise plans only in read-only transactions"
                        ),
                    });
                }
                if !options.allow_writes {
                    return Err(PlanError::Unsupported {
                        what: format!(
                            "executing the statement changes data ({message}); pass {WRITE_FLAG} to execute it in a transaction that is rolled back"
                        ),
                    });
                }
                self.writable(|session| session.explain_part(statement, true, shared))
            }
            other => other,
        }
    }

    /// The plan of one statement, not executed, with settings that hold for it
    /// alone: they are local to the transaction, which is rolled back.
    pub(super) fn explain_with(
        &mut self,
        statement: Planned<'_>,
        settings: &[(&str, &str)],
    ) -> Result<PlanGraph, PlanError> {
        self.read_only(|session| {
            session.undone(|session| {
                for (name, value) in settings {
                    session.query(
                        "SELECT pg_catalog.set_config($1, $2, true)",
                        &[(name, Type::TEXT), (value, Type::TEXT)],
                    )?;
                }
                session.explain_part(statement, false, true)
            })
        })
    }

    /// The same within a transaction that is open; without a trace in it
    /// where others share it.
    pub(super) fn explain_part(
        &mut self,
        statement: Planned<'_>,
        analyze: bool,
        shared: bool,
    ) -> Result<PlanGraph, PlanError> {
        if statement.parameters == 0 {
            let execution = if analyze {
                ", ANALYZE, BUFFERS, TIMING"
            } else {
                ""
            };
            let prefix = format!("EXPLAIN (FORMAT JSON, VERBOSE, COSTS, SETTINGS{execution}) ");
            return if shared {
                self.undone(|session| session.explain_text(&prefix, statement.sql))
            } else {
                self.explain_text(&prefix, statement.sql)
            };
        }
        self.explain_prepared(statement)
    }

    /// Plans a statement with parameters by way of PREPARE. EXPLAIN's own
    /// `GENERIC_PLAN` (since 16) will not do: the extended protocol wants values
    /// for the parameters, and the plan is then made for these.
    fn explain_prepared(&mut self, statement: Planned<'_>) -> Result<PlanGraph, PlanError> {
        let count = statement.parameters as usize;
        let mut types: Vec<&str> = vec!["unknown"; count];
        let mut guesses: Vec<usize> = vec![0; count];
        let mut last: Option<usize> = None;
        let mut first_error = None;
        for _ in 0..=count * GUESSES.len() {
            match self.undone(|session| session.explain_execute(statement.sql, &types)) {
                Err(PlanError::Refused {
                    message,
                    sqlstate,
                    detail,
                    hint,
                    position,
                }) => {
                    let at = match sqlstate.as_str() {
                        code if is_undetermined(code) => parameter_in(&message)
                            .and_then(|number| number.checked_sub(1))
                            .filter(|at| types.get(*at) == Some(&"unknown")),
                        // No such operator or function, wrong type: another
                        // guess may fit.
                        "42883" | "42804" | "42725" | "42846" => last,
                        _ => None,
                    };
                    let error = PlanError::Refused {
                        message,
                        sqlstate,
                        detail,
                        hint,
                        position,
                    };
                    let first = first_error.get_or_insert(error);
                    let next = at.and_then(|at| {
                        let guess = guesses.get_mut(at)?;
                        let name = GUESSES.get(*guess)?;
                        *guess += 1;
                        types.get_mut(at).map(|slot| *slot = name)?;
                        Some(at)
                    });
                    if next.is_none() {
                        return Err(std::mem::replace(
                            first,
                            PlanError::Unsupported {
                                what: String::new(),
                            },
                        ));
                    }
                    last = next;
                }
                other => return other,
            }
        }
        Err(first_error.unwrap_or(PlanError::Unsupported {
            what: "the types of the statement's parameters could not be told".to_owned(),
        }))
    }

    /// One attempt with these types; `unknown` leaves it to the server.
    fn explain_execute(&mut self, sql: &str, types: &[&str]) -> Result<PlanGraph, PlanError> {
        // Prepared statements outlive a rollback, so this one is taken away
        // again whatever happens.
        let prepare = format!("PREPARE pgadvise_statement ({}) AS ", types.join(", "));
        self.statement(&prepare, sql)?;
        let planned = self.undone(|session| {
            session.query(
                "SELECT pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)",
                &[],
            )?;
            let nulls = vec!["NULL"; types.len()].join(", ");
            session.explain_text(
                "EXPLAIN (FORMAT JSON, VERBOSE, COSTS, SETTINGS) ",
                &format!("EXECUTE pgadvise_statement ({nulls})"),
            )
        });
        match (planned, self.query("DEALLOCATE pgadvise_statement", &[])) {
            (Ok(_), Err(error)) => Err(error.into()),
            (
                Err(PlanError::Refused {
                    message,
                    sqlstate,
                    detail,
                    hint,
                    ..
                }),
                _,
            ) => {
                // A position would be one in our EXECUTE.
                Err(PlanError::Refused {
                    message,
                    sqlstate,
                    detail,
                    hint,
                    position: None,
                })
            }
            (planned, _) => planned,
        }
    }

    fn explain_text(&mut self, prefix: &str, sql: &str) -> Result<PlanGraph, PlanError> {
        let rows = self.statement(prefix, sql)?;
        let mut text = String::new();
        for row in &rows {
            if let Ok(RawText(line)) = row.try_get(0) {
                text.push_str(&line);
            }
        }
        let mut plans = json::parse(&text).map_err(|source| PlanError::NotAPlan { source })?;
        if plans.is_empty() {
            return Err(PlanError::NotAPlan {
                source: json::PlanJsonError::NotAPlan {
                    what: "no statement was planned",
                },
            });
        }
        // A rule can make several plans of one statement; the first is the
        // statement's own or what stands in its place.
        Ok(plans.swap_remove(0))
    }

    /// Sends the user's statement behind a prefix; the place of an error is
    /// told as a byte of the user's statement.
    fn statement(
        &mut self,
        prefix: &str,
        sql: &str,
    ) -> Result<Vec<tokio_postgres::Row>, PlanError> {
        let text = format!("{prefix}{sql}");
        self.query(&text, &[]).map_err(|error| match error {
            Error::Refused(refusal) => {
                let position = refusal
                    .position
                    .and_then(|at| byte_offset(&text, at))
                    .and_then(|at| at.checked_sub(prefix.len()));
                let Refusal {
                    message,
                    sqlstate,
                    detail,
                    hint,
                    ..
                } = *refusal;
                let hint = hint.or_else(|| {
                    (sqlstate == "55P03").then(|| {
                        "another transaction holds a lock on the table; try again later".to_owned()
                    })
                });
                PlanError::Refused {
                    message,
                    sqlstate,
                    detail,
                    hint,
                    position,
                }
            }
            other => other.into(),
        })
    }
}

/// The byte at which a character, counted from 1, starts.
fn byte_offset(text: &str, character: u32) -> Option<usize> {
    let at = (character as usize).checked_sub(1)?;
    text.char_indices()
        .map(|(byte, _)| byte)
        .chain([text.len()])
        .nth(at)
}

/// The server could not tell the type of a parameter, or deduced two.
fn is_undetermined(sqlstate: &str) -> bool {
    matches!(sqlstate, "42P18" | "42P08")
}

/// The number of the parameter that a message is about.
fn parameter_in(message: &str) -> Option<usize> {
    let (_, after) = message.split_once('$')?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_become_bytes() {
        let text = "EXPLAIN select 'é', x";
        assert_eq!(byte_offset(text, 1), Some(0));
        assert_eq!(byte_offset(text, 21), Some(21));
        assert_eq!(text.get(21..), Some("x"));
        assert_eq!(byte_offset(text, 22), Some(22), "the end of the text");
        assert_eq!(byte_offset(text, 0), None);
        assert_eq!(byte_offset(text, 99), None);
    }

    #[test]
    fn the_parameter_is_found_in_any_language() {
        assert_eq!(
            parameter_in("konnte Datentyp von Parameter $12 nicht ermitteln"),
            Some(12)
        );
        assert_eq!(parameter_in("no parameter"), None);
    }
}
