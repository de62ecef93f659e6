//! Where the server is and who connects, found as libpq finds it: connection
//! string, service file, environment, password file, defaults.
//!
//! The environment arrives as a value. Nothing here opens a connection.

mod files;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use files::Password;
use files::PasswordFile;
pub(super) use files::read;
use text::Parameters;

/// What of the process's environment matters to connecting.
#[derive(Clone, Default)]
pub struct Environment {
    /// Environment variables; only those that libpq reads are looked at.
    pub vars: BTreeMap<String, String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The operating system's name of the user.
    pub user: Option<String>,
}

impl fmt::Debug for Environment {
    /// Values stay out, as `PGPASSWORD` is among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("vars", &self.vars.keys())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish()
    }
}

impl Environment {
    /// A variable that is set and not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.vars
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}

/// Environment variables and the keywords they give values for.
const VARIABLES: &[(&str, &str)] = &[
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGDATABASE", "dbname"),
    ("PGUSER", "user"),
    ("PGPASSWORD", "password"),
    ("PGPASSFILE", "passfile"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGOPTIONS", "options"),
    ("PGAPPNAME", "application_name"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGSSLCRL", "sslcrl"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
];

/// Where the socket of a local server is looked for, in this order.
const SOCKET_FOLDERS: &[&str] = &["/var/run/postgresql", "/tmp"];

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Host name, address or socket folder.
    pub place: Place,
    /// Port.
    pub port: u16,
    /// The password for this server.
    pub password: Option<Password>,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Over TCP.
    Tcp {
        /// The name that certificates are checked against.
        host: String,
        /// The address, where given beside the name.
        address: Option<IpAddr>,
    },
    /// Over a socket in that folder.
    Unix(PathBuf),
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp { host, .. } if host.contains(':') => write!(f, "[{host}]:{}", self.port),
            Place::Tcp { host, .. } => write!(f, "{host}:{}", self.port),
            Place::Unix(folder) => {
                write!(
                    f,
                    "{}",
                    folder.join(format!(".s.PGSQL.{}", self.port)).display()
                )
            }
        }
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[expect(missing_docs, reason = "the names are libpq's own")]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Where the certificates that servers are checked against come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// A PEM file.
    File(PathBuf),
    /// The operating system's.
    System,
}

/// How TLS is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssl {
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslrootcert`, or the default file where it exists.
    pub roots: Option<RootCertificates>,
    /// Client certificate and its key, as files.
    pub client: Option<(PathBuf, PathBuf)>,
    /// `sslnegotiation=direct`.
    pub direct: bool,
}

/// `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names are libpq's own")]
pub enum ChannelBinding {
    Disable,
    #[default]
    Prefer,
    Require,
}

/// `target_session_attrs`, as far as it can be asked of a server of any
/// version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionAttributes {
    /// Any server.
    #[default]
    Any,
    /// One that takes writes (`read-write`, `primary`).
    ReadWrite,
    /// One that does not (`read-only`, `standby`).
    ReadOnly,
    /// One that does not where there is one, else any (`prefer-standby`).
    PreferReadOnly,
}

/// Everything that connecting needs.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// The servers to try, in order; never empty.
    pub servers: Vec<Server>,
    /// Role.
    pub user: String,
    /// Database.
    pub database: String,
    /// TLS.
    pub ssl: Ssl,
    /// `channel_binding`.
    pub channel_binding: ChannelBinding,
    /// `connect_timeout` where given; `Some(None)` is "wait for ever".
    pub connect_timeout: Option<Option<Duration>>,
    /// `options`: settings given to the server at the start.
    pub options: Option<String>,
    /// `application_name` where given.
    pub application_name: Option<String>,
    /// `target_session_attrs`.
    pub session_attributes: SessionAttributes,
    /// Things that the user should know, as sentences: a password file that
    /// was ignored.
    pub notes: Vec<String>,
}

/// Why the way to the server could not be found out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConninfoError {
    /// The connection string cannot be read. What it says is not repeated, as
    /// a part of it may be a password.
    #[error("the connection string cannot be read: {what}")]
    Syntax {
        /// What is wrong.
        what: &'static str,
    },
    /// A keyword that libpq does not know.
    #[error("parameter {number} of the connection string is not one that PostgreSQL knows")]
    UnknownKeyword {
        /// Which one, from 1.
        number: usize,
    },
    /// A value that its keyword does not take.
    #[error("{keyword} must be {expected}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// What it takes.
        expected: &'static str,
    },
    /// A parameter that pgadvise does not support.
    #[error("{keyword} is not supported")]
    Unsupported {
        /// The keyword.
        keyword: &'static str,
    },
    /// No such service.
    #[error("there is no service \"{name}\" in {files}")]
    NoService {
        /// The service.
        name: String,
        /// The files that were looked into.
        files: String,
    },
    /// A service file that cannot be read.
    #[error("{file}:{line}: not a line of a service file")]
    ServiceFile {
        /// The file.
        file: String,
        /// The line.
        line: usize,
    },
    /// Nobody said as whom to connect.
    #[error("there is no user name to connect with")]
    NoUser,
}

impl ConninfoError {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Syntax { .. } | Self::UnknownKeyword { .. } => {
                "write postgres://user@host:port/database, or key=value pairs such as \"host=db dbname=shop\""
            }
            Self::Value { .. } => "see \"Parameter Key Words\" in PostgreSQL's libpq documentation",
            Self::Unsupported { .. } => "leave the parameter out",
            Self::NoService { .. } | Self::ServiceFile { .. } => {
                "set PGSERVICEFILE to the file that has the service"
            }
            Self::NoUser => "name one in the connection string or in PGUSER",
        })
    }
}

impl ConnectOptions {
    /// Finds out how to connect. `database` is what the user gave for it: a
    /// name, a `key=value` string, a URI, or nothing.
    pub fn new(database: Option<&str>, environment: &Environment) -> Result<Self, ConninfoError> {
        let mut parameters = match database {
            None => Parameters::new(),
            Some(given) => {
                if let Some(rest) = text::uri_rest(given) {
                    text::uri(rest)?
                } else if given.contains('=') {
                    text::key_values(given)?
                } else {
                    Parameters::from([("dbname".to_owned(), given.to_owned())])
                }
            }
        };
        parameters.retain(|_, value| !value.is_empty());
        let service = parameters
            .get("service")
            .map(String::as_str)
            .or_else(|| environment.get("PGSERVICE"))
            .map(str::to_owned);
        if let Some(name) = service {
            let environment = match parameters.get("servicefile") {
                Some(file) => {
                    let mut with_file = environment.clone();
                    with_file
                        .vars
                        .insert("PGSERVICEFILE".to_owned(), file.clone());
                    with_file
                }
                None => environment.clone(),
            };
            for (key, value) in files::service(&name, &environment)? {
                parameters.entry(key).or_insert(value);
            }
        }
        for (variable, key) in VARIABLES {
            if let Some(value) = environment.get(variable) {
                parameters
                    .entry((*key).to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        }
        Self::from_parameters(&parameters, environment)
    }

    fn from_parameters(
        parameters: &Parameters,
        environment: &Environment,
    ) -> Result<Self, ConninfoError> {
        let get = |key: &str| {
            parameters
                .get(key)
                .map(String::as_str)
                .filter(|value| !value.is_empty())
        };
        for keyword in ["sslcrl", "sslcrldir", "sslpassword", "replication"] {
            if get(keyword).is_some() {
                return Err(ConninfoError::Unsupported { keyword });
            }
        }
        if get("gssencmode") == Some("require") {
            return Err(ConninfoError::Unsupported {
                keyword: "gssencmode=require",
            });
        }
        let user = get("user")
            .map(str::to_owned)
            .or_else(|| environment.user.clone())
            .ok_or(ConninfoError::NoUser)?;
        let database = get("dbname").map_or_else(|| user.clone(), str::to_owned);
        let (servers, notes) = servers(parameters, environment, &user, &database)?;
        Ok(Self {
            servers,
            ssl: ssl(parameters, environment)?,
            channel_binding: match get("channel_binding") {
                None | Some("prefer") => ChannelBinding::Prefer,
                Some("disable") => ChannelBinding::Disable,
                Some("require") => ChannelBinding::Require,
                Some(_) => {
                    return Err(ConninfoError::Value {
                        keyword: "channel_binding",
                        expected: "disable, prefer or require",
                    });
                }
            },
            connect_timeout: get("connect_timeout").map(timeout).transpose()?,
            options: get("options").map(str::to_owned),
            application_name: get("application_name").map(str::to_owned),
            session_attributes: match get("target_session_attrs") {
                None | Some("any") => SessionAttributes::Any,
                Some("read-write" | "primary") => SessionAttributes::ReadWrite,
                Some("read-only" | "standby") => SessionAttributes::ReadOnly,
                Some("prefer-standby") => SessionAttributes::PreferReadOnly,
                Some(_) => {
                    return Err(ConninfoError::Value {
                        keyword: "target_session_attrs",
                        expected: "any, read-write, read-only, primary, standby or prefer-standby",
                    });
                }
            },
            user,
            database,
            notes,
        })
    }

    /// `shop on db:5432 as app`: for messages, without secrets.
    pub fn target(&self) -> Target<'_> {
        Target(self)
    }
}

/// What is connected to, for people.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a>(&'a ConnectOptions);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on ", self.0.database)?;
        for (at, server) in self.0.servers.iter().enumerate() {
            if at > 0 {
                f.write_str(" or ")?;
            }
            write!(f, "{server}")?;
        }
        write!(f, " as {}", self.0.user)
    }
}

fn timeout(value: &str) -> Result<Option<Duration>, ConninfoError> {
    let seconds: i64 = value.trim().parse().map_err(|_| ConninfoError::Value {
        keyword: "connect_timeout",
        expected: "a whole number of seconds",
    })?;
    Ok(u64::try_from(seconds)
        .ok()
        .filter(|&seconds| seconds > 0)
        .map(Duration::from_secs))
}

fn servers(
    parameters: &Parameters,
    environment: &Environment,
    user: &str,
    database: &str,
) -> Result<(Vec<Server>, Vec<String>), ConninfoError> {
    let list = |key: &str| -> Vec<&str> {
        parameters
            .get(key)
            .filter(|value| !value.is_empty())
            .map(|value| value.split(',').map(str::trim).collect())
            .unwrap_or_default()
    };
    let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = hosts.len().max(addresses.len()).max(1);
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        return Err(ConninfoError::Value {
            keyword: "hostaddr",
            expected: "a list as long as that of host",
        });
    }
    if ports.len() > 1 && ports.len() != count {
        return Err(ConninfoError::Value {
            keyword: "port",
            expected: "one port, or as many as there are hosts",
        });
    }
    let explicit = parameters.get("password").map(Password::new);
    let file = if explicit.is_some() {
        PasswordFile::default()
    } else {
        PasswordFile::load(parameters.get("passfile").map(String::as_str), environment)
    };
    let mut servers = Vec::new();
    for at in 0..count {
        let port = match ports.get(at).or_else(|| ports.first()).copied() {
            None | Some("") => 5432,
            Some(text) => {
                text.parse()
                    .ok()
                    .filter(|&port| port > 0)
                    .ok_or(ConninfoError::Value {
                        keyword: "port",
                        expected: "a number from 1 to 65535",
                    })?
            }
        };
        let host = hosts.get(at).copied().filter(|host| !host.is_empty());
        let address = match addresses.get(at).copied().filter(|text| !text.is_empty()) {
            Some(text) => Some(text.parse::<IpAddr>().map_err(|_| ConninfoError::Value {
                keyword: "hostaddr",
                expected: "a numeric IPv4 or IPv6 address",
            })?),
            None => None,
        };
        let places = match (host, address) {
            (Some(folder), None) if folder.starts_with('/') => {
                vec![Place::Unix(PathBuf::from(folder))]
            }
            (Some(host), address) => vec![Place::Tcp {
                host: host.to_owned(),
                address,
            }],
            (None, Some(address)) => vec![Place::Tcp {
                host: address.to_string(),
                address: Some(address),
            }],
            (None, None) => SOCKET_FOLDERS
                .iter()
                .map(|folder| Place::Unix(PathBuf::from(folder)))
                .collect(),
        };
        for place in places {
            // libpq looks up a local server in the default folder as localhost.
            let password = explicit.clone().or_else(|| {
                let name = match &place {
                    Place::Tcp { host, .. } => host.clone(),
                    Place::Unix(folder)
                        if SOCKET_FOLDERS
                            .iter()
                            .any(|default| Path::new(default) == folder) =>
                    {
                        "localhost".to_owned()
                    }
                    Place::Unix(folder) => folder.display().to_string(),
                };
                file.find(&name, port, database, user)
            });
            servers.push(Server {
                place,
                port,
                password,
            });
        }
    }
    Ok((servers, file.note.into_iter().collect()))
}

fn ssl(parameters: &Parameters, environment: &Environment) -> Result<Ssl, ConninfoError> {
    let get = |key: &str| {
        parameters
            .get(key)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    };
    let default_file = |name: &str| {
        environment
            .home
            .as_ref()
            .map(|home| home.join(".postgresql").join(name))
            .filter(|file| file.exists())
    };
    let roots = match get("sslrootcert") {
        Some("system") => Some(RootCertificates::System),
        Some(file) => Some(RootCertificates::File(PathBuf::from(file))),
        None => default_file("root.crt").map(RootCertificates::File),
    };
    let mode = match get("sslmode") {
        None if roots == Some(RootCertificates::System) => SslMode::VerifyFull,
        None | Some("prefer") => SslMode::Prefer,
        Some("disable") => SslMode::Disable,
        Some("allow") => SslMode::Allow,
        Some("require") => SslMode::Require,
        Some("verify-ca") => SslMode::VerifyCa,
        Some("verify-full") => SslMode::VerifyFull,
        Some(_) => {
            return Err(ConninfoError::Value {
                keyword: "sslmode",
                expected: "disable, allow, prefer, require, verify-ca or verify-full",
            });
        }
    };
    if roots == Some(RootCertificates::System) && mode != SslMode::VerifyFull {
        return Err(ConninfoError::Value {
            keyword: "sslmode",
            expected: "verify-full where sslrootcert is system",
        });
    }
    let certificate = get("sslcert")
        .map(PathBuf::from)
        .or_else(|| default_file("postgresql.crt"));
    let key = get("sslkey")
        .map(PathBuf::from)
        .or_else(|| default_file("postgresql.key"));
    let direct = match get("sslnegotiation") {
        None | Some("postgres") => false,
        Some("direct") if mode >= SslMode::Require => true,
        Some("direct") => {
            return Err(ConninfoError::Value {
                keyword: "sslmode",
                expected: "require or stronger where sslnegotiation is direct",
            });
        }
        Some(_) => {
            return Err(ConninfoError::Value {
                keyword: "sslnegotiation",
                expected: "postgres or direct",
            });
        }
    };
    Ok(Ssl {
        mode,
        roots,
        client: certificate.zip(key),
        direct,
    })
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests write the files that are read"
)]
mod tests {
    use super::*;

    fn environment(vars: &[(&str, &str)]) -> Environment {
        Environment {
            vars: vars
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            home: None,
            user: Some("os".to_owned()),
        }
    }

    #[test]
    fn nothing_given_means_the_local_socket_and_the_users_own_name() {
        let options = ConnectOptions::new(None, &environment(&[])).unwrap();
        assert_eq!(
            options.target().to_string(),
            "os on /var/run/postgresql/.s.PGSQL.5432 or /tmp/.s.PGSQL.5432 as os"
        );
        assert_eq!(options.ssl.mode, SslMode::Prefer);
    }

    #[test]
    fn the_string_beats_the_service_and_the_service_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("services");
        std::fs::write(&file, "[s]\nhost=from-service\nport=7777\nuser=svc\n").unwrap();
        let environment = environment(&[
            ("PGSERVICEFILE", file.to_str().unwrap()),
            ("PGHOST", "from-env"),
            ("PGPORT", "8888"),
            ("PGDATABASE", "env-db"),
            ("PGPASSWORD", "hunter2"),
        ]);
        let options = ConnectOptions::new(Some("service=s user=me"), &environment).unwrap();
        assert_eq!(
            options.target().to_string(),
            "env-db on from-service:7777 as me"
        );
        assert_eq!(
            options.servers[0].password.as_ref().unwrap().reveal(),
            "hunter2"
        );
        assert!(!format!("{options:?} {environment:?}").contains("hunter2"));
        let missing = ConnectOptions::new(Some("service=t"), &environment).unwrap_err();
        assert!(missing.to_string().contains("no service \"t\""));
    }

    #[test]
    fn several_hosts_share_one_port_or_have_their_own() {
        let shared = ConnectOptions::new(Some("host=a,b port=6000"), &environment(&[])).unwrap();
        assert_eq!(shared.target().to_string(), "os on a:6000 or b:6000 as os");
        let own = ConnectOptions::new(
            Some("postgresql://a:1,[::1],c:3/x?user=u"),
            &environment(&[]),
        )
        .unwrap();
        assert_eq!(
            own.target().to_string(),
            "x on a:1 or [::1]:5432 or c:3 as u"
        );
        assert!(ConnectOptions::new(Some("host=a,b port=1,2,3"), &environment(&[])).is_err());
        assert!(ConnectOptions::new(Some("host=a port=70000"), &environment(&[])).is_err());
    }

    #[test]
    fn an_address_keeps_the_name_for_the_certificate() {
        let options = ConnectOptions::new(
            Some("host=db.example hostaddr=10.0.0.1 sslmode=verify-full"),
            &environment(&[]),
        )
        .unwrap();
        assert_eq!(
            options.servers[0].place,
            Place::Tcp {
                host: "db.example".to_owned(),
                address: Some("10.0.0.1".parse().unwrap()),
            }
        );
        assert_eq!(options.ssl.mode, SslMode::VerifyFull);
    }

    #[test]
    fn the_password_file_is_asked_for_each_host() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".pgpass");
        std::fs::write(&file, "a:5432:shop:app:one\nlocalhost:*:*:app:two\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        let mut environment = environment(&[]);
        environment.home = Some(folder.path().to_owned());
        let passwords = |given: &str| -> Vec<Option<String>> {
            ConnectOptions::new(Some(given), &environment)
                .unwrap()
                .servers
                .iter()
                .map(|server| {
                    server
                        .password
                        .as_ref()
                        .map(|password| password.reveal().to_owned())
                })
                .collect()
        };
        assert_eq!(
            passwords("postgres://app@a,b/shop"),
            [Some("one".to_owned()), None]
        );
        assert_eq!(
            passwords("dbname=shop user=app"),
            [Some("two".to_owned()), Some("two".to_owned())]
        );
    }

    #[test]
    fn system_certificates_mean_full_verification() {
        let full = ConnectOptions::new(Some("host=a sslrootcert=system"), &environment(&[]));
        assert_eq!(full.unwrap().ssl.mode, SslMode::VerifyFull);
        let weak = ConnectOptions::new(
            Some("host=a sslrootcert=system sslmode=require"),
            &environment(&[]),
        );
        assert!(weak.is_err());
    }
}
