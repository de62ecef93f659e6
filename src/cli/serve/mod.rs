//! `pgadvise serve`: a page on this machine to paste a plan into.
//!
//! Requests are read on asynchronous threads; reports are made on threads that
//! may block, as many at a time as the user allows.

mod app;
mod guard;
mod make;
mod pages;
mod store;
mod telemetry;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::Exit;
use super::args::{Global, ServeArgs};
use super::env::Environment;
use super::failure::{Failure, Kind};
use super::settings::Settings;
use super::ui::Ui;
use app::Shared;
use guard::Token;
use store::{Limits, Store};
use telemetry::Telemetry;

/// The variable that holds the token, so that it is not among the arguments,
/// which everybody on the machine can read.
pub(super) const TOKEN_VARIABLE: &str = "PGADVISE_SERVE_TOKEN";

/// Connections that may be open; more wait.
const MAX_CONNECTIONS: usize = 256;
/// How long a connection may take to say what it wants.
const HEADER_LIMIT: Duration = Duration::from_secs(10);
/// How long work that has begun may take after the server was told to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// Stack of a thread that makes reports, as the main thread of `report` has.
const STACK_BYTES: usize = 8 << 20;
/// Reports that are kept.
const LIMITS: Limits = Limits {
    reports: 500,
    bytes: 256 << 20,
};
/// The shortest token: shorter ones can be guessed.
const LEAST_TOKEN: usize = 16;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start threads for the server")]
    Runtime(#[source] std::io::Error),
}

/// Runs the command, until it is told to end.
pub(super) fn run(
    args: &ServeArgs,
    global: &Global,
    environment: &Environment,
    ui: &mut Ui,
) -> Result<Exit, Failure> {
    let settings = Settings::new(
        &super::args::ReportArgs::default().as_explain(),
        global,
        environment,
    )?;
    let token = token(args, environment)?;
    if token.is_none() && !args.listen.ip().is_loopback() {
        return Err(Failure::new(
            Kind::Usage,
            format!(
                "{} can be reached from other machines, and there is no token",
                args.listen
            ),
        )
        .hint(format!(
            "set {TOKEN_VARIABLE}, or name a file with --token-file; or listen on 127.0.0.1"
        )));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(args.concurrency.max(1))
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Kind::Internal, ServeError::Runtime(error)))?;
    let shared = Arc::new(Shared {
        make: make::maker(settings),
        store: Store::new(LIMITS),
        telemetry: Telemetry::new(),
        token,
        slots: Arc::new(Semaphore::new(args.concurrency.max(1))),
        time_limit: Duration::from_secs(args.timeout),
        body_limit: args.max_body << 20,
    });
    let ended = runtime.block_on(serve(args, shared, ui));
    // Work that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended.map(|()| Exit::Fine)
}

fn token(args: &ServeArgs, environment: &Environment) -> Result<Option<Token>, Failure> {
    let secret = match &args.token_file {
        Some(file) => Some(crate::input::read(file)?),
        None => environment.serve_token.clone(),
    };
    let Some(secret) = secret else {
        return Ok(None);
    };
    let secret = secret.trim();
    if secret.len() < LEAST_TOKEN {
        return Err(Failure::new(
            Kind::Usage,
            format!("the token is too short: at least {LEAST_TOKEN} characters"),
        )
        .hint("openssl rand -hex 16 makes one"));
    }
    Ok(Some(Token::new(secret)))
}

async fn serve(args: &ServeArgs, shared: Arc<Shared>, ui: &Ui) -> Result<(), Failure> {
    let failed = |source| {
        let address = args.listen;
        Failure::new(Kind::Usage, ServeError::Listen { address, source })
            .hint("choose another address or port with --listen; port 0 takes any that is free")
    };
    let mut told = pin!(told_to_end());
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    ui.say(&[format!(
        "pgadvise listens on http://{address}/ (Ctrl-C ends it)"
    )]);
    tracing::info!(%address, "listening");

    let (end, ending) = watch::channel(());
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let stream = tokio::select! {
            () = &mut told => break,
            stream = accept(&listener, &connections) => stream,
        };
        let Some((stream, place)) = stream else {
            continue;
        };
        let shared = Arc::clone(&shared);
        let mut ending = ending.clone();
        tokio::spawn(async move {
            let _counted = (place, shared.telemetry.connection());
            let service = TowerToHyperService::new(app::router(Arc::clone(&shared)));
            let mut connection = pin!(
                hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_LIMIT)
                    .serve_connection(TokioIo::new(stream), service)
            );
            let ended = tokio::select! {
                ended = &mut connection => ended,
                _ = ending.changed() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection broke");
            }
        });
    }
    drop(listener);
    drop(ending);
    tracing::info!("told to end");
    // Connections notice that it is dropped, and close it from their side.
    if end.send(()).is_ok() {
        let all_gone = end.closed();
        if tokio::time::timeout(FAREWELL, all_gone).await.is_err() {
            tracing::warn!("connections were cut off");
        }
    }
    Ok(())
}

/// The next connection with its place among those that may be open.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(connections).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of file descriptors, most likely: some are given back soon.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

/// Ends with Ctrl-C, or the signal by which service managers end programs.
fn told_to_end() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    async move {
        #[cfg(unix)]
        if let Some(terminate) = &mut terminate {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _told = tokio::signal::ctrl_c().await;
    }
}
