//! Connecting: encryption, and failures that say what to do.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests prepare a server's files"
)]

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pgadvise::pg::{ConnectOptions, Environment, Error, Session};
use pgadvise::verify::PlanError;

use super::{ANALYZE, limits, statement};
use crate::support::server::{Server, shared};

/// A certificate for `db.example` that signed itself, made by `OpenSSL`.
fn certificate(data: &Path) {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=db.example"])
        .args(["-addext", "subjectAltName=DNS:db.example", "-keyout"])
        .arg(data.join("server.key"))
        .arg("-out")
        .arg(data.join("server.crt"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let owner = std::fs::metadata(data).unwrap();
    for file in ["server.key", "server.crt"] {
        let file = data.join(file);
        std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
}

#[test]
fn encryption_is_what_sslmode_says() {
    if shared().is_none() || Command::new("openssl").arg("version").output().is_err() {
        println!("did nothing: no server or no openssl");
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let listen = format!("port={port}");
    let settings = ["listen_addresses=127.0.0.1", "ssl=on", listen.as_str()];
    let server = Server::start_prepared(&settings, port, |data| {
        certificate(data);
        // Encrypted connections only, but for one role.
        std::fs::write(
            data.join("pg_hba.conf"),
            "local all all trust\nhostssl all postgres 127.0.0.1/32 trust\n\
             hostnossl all plain 127.0.0.1/32 trust\n",
        )
        .unwrap();
    })
    .unwrap();
    server
        .admin("postgres")
        .execute_script("CREATE ROLE plain LOGIN")
        .unwrap();
    let root = server.folder().join("data/server.crt");
    let connect = |user: &str, mode: &str, more: &str| {
        let text = format!(
            "host=db.example hostaddr=127.0.0.1 port={port} dbname=postgres user={user} \
             sslmode={mode} {more}"
        );
        let options = ConnectOptions::new(Some(&text), &Environment::default()).unwrap();
        Session::connect(&options, limits())
    };
    let rooted = format!("sslrootcert={}", root.display());
    for (mode, more) in [
        ("allow", ""),
        ("prefer", ""),
        ("require", ""),
        ("require", rooted.as_str()),
        ("verify-ca", rooted.as_str()),
        ("verify-full", rooted.as_str()),
    ] {
        let session = connect("postgres", mode, more).unwrap();
        assert!(session.encrypted(), "{mode}");
    }
    // A statement that takes too long is cancelled over TLS too.
    let mut session = connect("postgres", "require", "").unwrap();
    session.set_statement_limit(Duration::from_millis(200));
    assert!(matches!(
        session.explain(statement("select pg_sleep(30)"), ANALYZE),
        Err(PlanError::TimedOut { .. })
    ));

    let refused = connect("postgres", "disable", "").unwrap_err();
    assert!(
        refused.to_string().contains("no pg_hba.conf entry"),
        "{refused}"
    );
    for mode in ["allow", "prefer", "disable"] {
        connect("plain", mode, "").unwrap();
    }
    assert!(connect("plain", "require", "").is_err());

    let no_roots = connect("postgres", "verify-full", "").unwrap_err();
    assert!(
        no_roots.hint().unwrap().contains("sslrootcert"),
        "{no_roots}"
    );
    // Another name than the certificate's.
    let text =
        format!("host=127.0.0.1 port={port} dbname=postgres user=postgres {rooted} sslmode=");
    let by_address = |mode: &str| {
        let options =
            ConnectOptions::new(Some(&format!("{text}{mode}")), &Environment::default()).unwrap();
        Session::connect(&options, limits())
    };
    by_address("verify-ca").unwrap();
    let wrong_name = by_address("verify-full").unwrap_err();
    assert!(matches!(wrong_name, Error::Tls { .. }), "{wrong_name:?}");
    assert!(
        wrong_name.to_string().contains("db.example"),
        "{wrong_name}"
    );
    assert!(wrong_name.hint().unwrap().contains("verify-ca"));

    // A certificate that nobody vouches for.
    let other = tempfile::tempdir().unwrap();
    certificate(other.path());
    let stranger = format!("sslrootcert={}", other.path().join("server.crt").display());
    for mode in ["require", "verify-ca", "verify-full"] {
        let refused = connect("postgres", mode, &stranger).unwrap_err();
        assert!(matches!(refused, Error::Tls { .. }), "{mode}: {refused:?}");
    }
}

#[test]
fn failures_to_connect_say_what_to_do_and_no_secrets() {
    let Some(server) = shared() else { return };
    server
        .admin("postgres")
        .execute_script("CREATE ROLE guarded LOGIN PASSWORD 'right-pw'; CREATE ROLE barred LOGIN;")
        .unwrap();
    let attempt = |database: &str, user: &str, more: &str| {
        let options = server.options(database, user, more);
        assert!(!format!("{options:?}").contains("hunter2"));
        Session::connect(&options, limits())
    };
    let told = |error: &Error| {
        let text = format!("{error} {error:?} {}", error.hint().unwrap_or_default());
        assert!(!text.contains("hunter2"), "{text}");
        text
    };

    attempt("postgres", "guarded", "password=right-pw").unwrap();
    let wrong = attempt("postgres", "guarded", "password=hunter2").unwrap_err();
    assert!(matches!(wrong, Error::Authentication { .. }), "{wrong:?}");
    assert!(told(&wrong).contains("~/.pgpass"));
    let missing = attempt("postgres", "guarded", "").unwrap_err();
    assert!(
        matches!(
            missing,
            Error::Authentication {
                no_password: true,
                ..
            }
        ),
        "{missing:?}"
    );
    assert!(told(&missing).contains("PGPASSWORD"));
    let barred = attempt("postgres", "barred", "password=hunter2").unwrap_err();
    assert!(told(&barred).contains("pg_hba.conf"), "{barred:?}");
    let nowhere = attempt("nowhere_db", "postgres", "password=hunter2").unwrap_err();
    assert!(matches!(nowhere, Error::NoDatabase { .. }), "{nowhere:?}");
    assert!(told(&nowhere).contains("nowhere_db"));

    let unreachable = ConnectOptions::new(
        Some("postgres://app:hunter2@127.0.0.1:1,[::1]:1/shop?connect_timeout=2"),
        &Environment::default(),
    )
    .unwrap();
    let error = Session::connect(&unreachable, limits()).unwrap_err();
    let text = told(&error);
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(
        text.contains("127.0.0.1:1") && text.contains("[::1]:1"),
        "{text}"
    );

    // The first host is down, the second is up.
    let text = format!(
        "host=/nowhere,{} dbname=postgres user=postgres",
        server.folder().display()
    );
    let options = ConnectOptions::new(Some(&text), &Environment::default()).unwrap();
    Session::connect(&options, limits()).unwrap();
    let standby = format!("{text} target_session_attrs=read-only");
    let options = ConnectOptions::new(Some(&standby), &Environment::default()).unwrap();
    assert!(Session::connect(&options, limits()).is_err());
}
