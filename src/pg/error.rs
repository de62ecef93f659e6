//! What can go wrong between pgadvise and a server.
//!
//! No message has a connection string or a password in it.

use std::error::Error as _;

use tokio_postgres::error::DbError;

use super::conninfo::ConninfoError;
use super::tls::TlsError;
use crate::verify::PlanError;

/// Why a server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// How to connect could not be found out.
    #[error(transparent)]
    Conninfo(#[from] ConninfoError),
    /// TLS could not be set up.
    #[error(transparent)]
    TlsSetup(#[from] TlsError),
    /// No server answered.
    #[error("no server could be reached for {target}: {tried}")]
    Unreachable {
        /// `shop on db:5432 as app`.
        target: String,
        /// Each server with its reason.
        tried: String,
    },
    /// The TLS handshake failed.
    #[error("no encrypted connection to {target}: {reason}")]
    Tls {
        /// `shop on db:5432 as app`.
        target: String,
        /// Why.
        reason: String,
        /// What to do next.
        hint: &'static str,
    },
    /// The server refused the role (28P01, 28000) or its password.
    #[error("{target}: {message}")]
    Authentication {
        /// `shop on db:5432 as app`.
        target: String,
        /// The server's message.
        message: String,
        /// There was no password to give.
        no_password: bool,
        /// What to do next, where it is not about a password.
        hint: Option<&'static str>,
    },
    /// There is no such database.
    #[error("{target}: {message}")]
    NoDatabase {
        /// `shop on db:5432 as app`.
        target: String,
        /// The server's message.
        message: String,
    },
    /// The server refused the connection for another reason.
    #[error("{target}: {message}")]
    Rejected {
        /// `shop on db:5432 as app`.
        target: String,
        /// The server's message.
        message: String,
        /// The server's hint or detail.
        hint: Option<String>,
    },
    /// The role may not do that (42501).
    #[error("{message}")]
    PermissionDenied {
        /// The server's message.
        message: String,
    },
    /// A time limit was reached.
    #[error("no answer within {seconds} s")]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// The connection broke.
    #[error("the connection to {target} was lost: {reason}")]
    Lost {
        /// `shop on db:5432 as app`.
        target: String,
        /// Why.
        reason: String,
    },
    /// The server refused a statement.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The server is older than what is supported.
    #[error("the server is PostgreSQL {version}; 13 is the oldest that is supported")]
    TooOld {
        /// `server_version`.
        version: String,
    },
    /// A statement for throw-away clusters was meant for someone's server.
    #[error("statements are executed only in throw-away clusters")]
    NotThrowAway,
    /// The transaction was not read-only although that was asked for.
    #[error("the server did not keep the transaction read-only, so nothing was asked of it")]
    NotReadOnly,
    /// The server's answer was not what was asked for.
    #[error("the server's answer could not be read: {reason}")]
    Answer {
        /// Why.
        reason: String,
    },
    /// The means to talk to a server could not be had from the system.
    #[error("the means for network connections could not be set up")]
    Runtime {
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A server's refusal of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The message.
    pub message: String,
    /// SQLSTATE.
    pub sqlstate: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// Position in characters from 1, in the text that was sent.
    pub position: Option<u32>,
}

impl From<&DbError> for Refusal {
    fn from(error: &DbError) -> Self {
        Self {
            message: error.message().to_owned(),
            sqlstate: error.code().code().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            position: match error.position() {
                Some(tokio_postgres::error::ErrorPosition::Original(at)) => Some(*at),
                _ => None,
            },
        }
    }
}

impl Error {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Conninfo(error) => return error.hint().map(str::to_owned),
            Self::TlsSetup(error) => error.hint().to_owned(),
            Self::Unreachable { .. } => {
                "check host and port, and that the server runs and takes connections from here"
                    .to_owned()
            }
            Self::Tls { hint, .. } => (*hint).to_owned(),
            Self::Authentication {
                hint: Some(hint), ..
            } => (*hint).to_owned(),
            Self::Authentication {
                no_password: true, ..
            } => "no password was given: set PGPASSWORD, or add a line to ~/.pgpass".to_owned(),
            Self::Authentication { .. } => {
                "check the user name, and the password in PGPASSWORD, ~/.pgpass or the URI"
                    .to_owned()
            }
            Self::NoDatabase { .. } => "name a database that exists with -d".to_owned(),
            Self::Rejected { hint, .. } => return hint.clone(),
            Self::PermissionDenied { .. } => {
                "connect as a role that may read the tables (pg_read_all_data has that right)"
                    .to_owned()
            }
            Self::TimedOut { .. } => {
                "raise the time limit, or try again when the server is less busy".to_owned()
            }
            Self::Lost { .. } => "connect again; the server's log says why it ended".to_owned(),
            Self::Refused(refusal) => {
                return refusal.hint.clone().or_else(|| refusal.detail.clone());
            }
            Self::NotReadOnly => {
                "a connection pooler in statement mode does that; connect to the server itself"
                    .to_owned()
            }
            Self::TooOld { .. }
            | Self::NotThrowAway
            | Self::Answer { .. }
            | Self::Runtime { .. } => return None,
        })
    }
}

/// The innermost reason, in words: the outer ones say nothing more.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = inner.to_string();
        source = inner.source();
    }
    words
}

impl From<Error> for PlanError {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => Self::Refused {
                message: refusal.message,
                sqlstate: refusal.sqlstate,
                detail: refusal.detail,
                hint: refusal.hint,
                position: None,
            },
            Error::PermissionDenied { ref message } => Self::Refused {
                message: message.clone(),
                sqlstate: "42501".to_owned(),
                detail: None,
                hint: error.hint(),
                position: None,
            },
            Error::TimedOut { seconds } => Self::TimedOut { seconds },
            other => Self::Lost {
                message: other.to_string(),
            },
        }
    }
}
