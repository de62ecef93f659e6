//! Opening a connection: each server in turn, each way of encryption that
//! `sslmode` allows, as libpq does it.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::config::{
    ChannelBinding as Binding, SslMode as Encryption, SslNegotiation, TargetSessionAttrs,
};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::{ChannelBinding, ConnectOptions, Place, Server, SessionAttributes, SslMode};
use super::error::{Error, Refusal, reason};
use super::tls;

/// A connection and the task that moves its bytes.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) task: JoinHandle<Result<(), tokio_postgres::Error>>,
    /// What a cancel request needs, where the connection is encrypted.
    pub(super) tls: Option<MakeRustlsConnect>,
}

/// Why one attempt failed.
enum Attempt {
    TimedOut,
    Server(tokio_postgres::Error),
}

/// Connects to the first server that answers.
pub(super) async fn connect(
    options: &ConnectOptions,
    limit: Option<Duration>,
) -> Result<Connected, Error> {
    // Certificates matter only where a server is reached over TCP.
    let encrypts = options.ssl.mode != SslMode::Disable
        && options
            .servers
            .iter()
            .any(|server| matches!(server.place, Place::Tcp { .. }));
    let connector = encrypts.then(|| tls::connector(&options.ssl)).transpose()?;
    let passes: &[TargetSessionAttrs] = match options.session_attributes {
        SessionAttributes::Any => &[TargetSessionAttrs::Any],
        SessionAttributes::ReadWrite => &[TargetSessionAttrs::ReadWrite],
        SessionAttributes::ReadOnly => &[TargetSessionAttrs::ReadOnly],
        SessionAttributes::PreferReadOnly => {
            &[TargetSessionAttrs::ReadOnly, TargetSessionAttrs::Any]
        }
    };
    let mut tried: Vec<String> = Vec::new();
    let mut last = None;
    for &attributes in passes {
        for server in &options.servers {
            match try_server(options, server, attributes, connector.as_ref(), limit).await {
                Ok(connected) => return Ok(connected),
                Err(Attempt::TimedOut) => tried.push(format!(
                    "{server}: no answer within {} s",
                    limit.unwrap_or_default().as_secs()
                )),
                Err(Attempt::Server(error)) => {
                    tried.push(format!("{server}: {}", reason(&error)));
                    let told = explain_failure(options, server, &error);
                    // A server that answered and said no is the right one.
                    if let Some(told) = told {
                        if matches!(
                            told,
                            Error::Authentication { .. } | Error::NoDatabase { .. }
                        ) {
                            return Err(told);
                        }
                        last = Some(told);
                    }
                }
            }
        }
    }
    match last {
        Some(told) if tried.len() == 1 => Err(told),
        _ => Err(Error::Unreachable {
            target: options.target().to_string(),
            tried: tried.join("; "),
        }),
    }
}

async fn try_server(
    options: &ConnectOptions,
    server: &Server,
    attributes: TargetSessionAttrs,
    connector: Option<&MakeRustlsConnect>,
    limit: Option<Duration>,
) -> Result<Connected, Attempt> {
    let connector = match server.place {
        Place::Tcp { .. } => connector,
        Place::Unix(_) => None,
    };
    let ways: &[Encryption] = match (options.ssl.mode, connector) {
        (_, None) | (SslMode::Disable, _) => &[Encryption::Disable],
        (SslMode::Allow, _) => &[Encryption::Disable, Encryption::Require],
        (SslMode::Prefer, _) => &[Encryption::Prefer, Encryption::Disable],
        _ => &[Encryption::Require],
    };
    let mut config = config(options, server, limit);
    config.target_session_attrs(attributes);
    let mut outcome = Err(Attempt::TimedOut);
    for &way in ways {
        config.ssl_mode(way);
        let attempt = async {
            match connector {
                Some(tls) if way != Encryption::Disable => {
                    let (client, connection) = config.connect(tls.clone()).await?;
                    Ok(Connected {
                        client,
                        task: tokio::spawn(connection),
                        tls: Some(tls.clone()),
                    })
                }
                _ => {
                    let (client, connection) = config.connect(NoTls).await?;
                    Ok(Connected {
                        client,
                        task: tokio::spawn(connection),
                        tls: None,
                    })
                }
            }
        };
        let result = match limit {
            Some(limit) => tokio::time::timeout(limit, attempt).await,
            None => Ok(attempt.await),
        };
        outcome = match result {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => Err(Attempt::Server(error)),
            Err(_) => Err(Attempt::TimedOut),
        };
        // The other way helps where the server, or the handshake, objects to
        // this way of encryption, not where the password is wrong.
        let again = matches!(&outcome, Err(Attempt::Server(error))
            if is_tls(error) || error.code().is_some_and(|code| code.code() == "28000"));
        if !again {
            break;
        }
    }
    outcome
}

fn config(options: &ConnectOptions, server: &Server, limit: Option<Duration>) -> Config {
    let mut config = Config::new();
    match &server.place {
        Place::Tcp { host, address } => {
            config.host(host.as_str());
            if let Some(address) = address {
                config.hostaddr(*address);
            }
        }
        Place::Unix(folder) => {
            config.host_path(folder);
        }
    }
    config
        .port(server.port)
        .user(options.user.as_str())
        .dbname(options.database.as_str())
        .application_name(options.application_name.as_deref().unwrap_or("pgadvise"))
        .channel_binding(match options.channel_binding {
            ChannelBinding::Disable => Binding::Disable,
            ChannelBinding::Prefer => Binding::Prefer,
            ChannelBinding::Require => Binding::Require,
        });
    if options.ssl.direct {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    if let Some(password) = &server.password {
        config.password(password.reveal());
    }
    if let Some(settings) = &options.options {
        config.options(settings.as_str());
    }
    if let Some(limit) = limit {
        config.connect_timeout(limit);
    }
    config
}

fn is_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS")
}

/// What the failure means, where more can be said than "unreachable".
fn explain_failure(
    options: &ConnectOptions,
    server: &Server,
    error: &tokio_postgres::Error,
) -> Option<Error> {
    let target = options.target().to_string();
    let no_password = server.password.is_none();
    if let Some(refused) = error.as_db_error() {
        let refusal = Refusal::from(refused);
        return Some(match refusal.sqlstate.as_str() {
            "28P01" | "28000" => Error::Authentication {
                target,
                message: refusal.message,
                no_password: no_password && refusal.sqlstate == "28P01",
                hint: (refusal.sqlstate == "28000").then_some(
                    "the server's pg_hba.conf decides who may connect, from where, and whether encrypted",
                ),
            },
            "3D000" => Error::NoDatabase {
                target,
                message: refusal.message,
            },
            _ => Error::Rejected {
                target,
                message: refusal.message,
                hint: refusal.hint.or(refusal.detail),
            },
        });
    }
    let reason = reason(error);
    if is_tls(error) {
        let hint = if reason.contains("does not support TLS") {
            "the server takes no encrypted connections; sslmode=prefer or disable connects without"
        } else if reason.contains("not valid for name") {
            "connect by a name that the certificate has, or use sslmode=verify-ca to leave the name unchecked"
        } else if reason.contains("UnknownIssuer") {
            "give sslrootcert the certificate of the authority that signed the server's"
        } else if reason.contains("expired") {
            "the server's certificate has expired"
        } else {
            "check sslmode, sslrootcert and the server's certificate"
        };
        return Some(Error::Tls {
            target,
            reason,
            hint,
        });
    }
    match error.to_string().as_str() {
        "invalid configuration" if reason.contains("password missing") => {
            Some(Error::Authentication {
                target,
                message: "the server asks for a password".to_owned(),
                no_password: true,
                hint: None,
            })
        }
        "authentication error" => Some(Error::Authentication {
            target,
            message: reason,
            no_password: false,
            hint: Some(
                "the server asks for a way of authentication that cannot be used here; scram-sha-256, md5 and certificates can",
            ),
        }),
        _ => None,
    }
}
