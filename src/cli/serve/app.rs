//! The routes, and what each answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{DefaultBodyLimit, Form, MatchedPath, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::guard::{self, COOKIE, Refusal, Token};
use super::pages;
use super::store::{Kept, Store, unguessable};
use super::telemetry::{Ending, MEDIA_TYPE, Telemetry};

/// What a report is made of.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Pasted {
    /// The plan.
    #[serde(default)]
    pub(super) plan: String,
    /// The statement, where it was given too.
    #[serde(default)]
    pub(super) sql: String,
}

/// A report in every form, and whether all that was pasted is in it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) kept: Kept,
    pub(super) incomplete: bool,
}

/// Makes a report of what was pasted. It runs on a thread of its own.
pub(super) type Make = dyn Fn(&Pasted) -> Result<Made, String> + Send + Sync;

/// What all requests share.
pub(super) struct Shared {
    pub(super) make: Box<Make>,
    pub(super) store: Store,
    pub(super) telemetry: Telemetry,
    pub(super) token: Option<Token>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) time_limit: Duration,
    pub(super) body_limit: usize,
}

type App = Arc<Shared>;

/// The application.
pub(super) fn router(shared: App) -> Router {
    let body_limit = shared.body_limit;
    let guarded = Router::new()
        .route("/", get(form).post(paste))
        .route("/api/report", post(report))
        .route("/r/{id}", get(kept))
        .route("/metrics", get(metrics))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&shared), token))
        .route("/login", get(login_form).post(login))
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || {
            problem(
                StatusCode::NOT_FOUND,
                "There is nothing at this address.",
                None,
            )
        });
    guarded
        .layer(DefaultBodyLimit::max(body_limit))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            outermost,
        ))
        .with_state(shared)
}

/// Refuses strangers, adds what every answer has, and keeps the account.
async fn outermost(State(shared): State<App>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    // The path as it was registered: an address of a report is a secret, which
    // logs must not have.
    let route = route_of(&request);
    let health = route == "/healthz";
    let checked = guard::check(
        &method,
        request.headers(),
        shared.token.is_none() && !health,
    );
    let mut response = match checked {
        Err(Refusal::Host) => problem(
            StatusCode::MISDIRECTED_REQUEST,
            "Without a token, this server answers only to localhost and loopback addresses.",
            None,
        ),
        Err(Refusal::Origin) => problem(
            StatusCode::FORBIDDEN,
            "A page of another site sent this.",
            None,
        ),
        Ok(()) => match tokio::time::timeout(shared.time_limit * 2, next.run(request)).await {
            Ok(response) => response,
            Err(_) => problem(
                StatusCode::REQUEST_TIMEOUT,
                "The request took too long to arrive.",
                None,
            ),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let status = response.status().as_u16();
    shared.telemetry.answered(route, status);
    tracing::info!(
        method = %method,
        route,
        status,
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    response
}

const ROUTES: &[&str] = &[
    "/",
    "/api/report",
    "/r/{id}",
    "/metrics",
    "/login",
    "/healthz",
];

fn route_of(request: &Request) -> &'static str {
    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    ROUTES
        .iter()
        .copied()
        .find(|route| *route == path)
        .unwrap_or("other")
}

/// Asks for the token, where there is one.
async fn token(State(shared): State<App>, request: Request, next: Next) -> Response {
    let shown = shared
        .token
        .as_ref()
        .is_none_or(|token| token.shown_in(request.headers()));
    if shown {
        return next.run(request).await;
    }
    if wants_page(request.headers()) && request.method() == axum::http::Method::GET {
        return Redirect::to("/login").into_response();
    }
    let mut response = problem(
        StatusCode::UNAUTHORIZED,
        "This server wants a token.",
        Some("send it as \"Authorization: Bearer TOKEN\""),
    );
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.contains("text/html"))
}

async fn form() -> Html<String> {
    Html(pages::form(&Pasted::default(), None))
}

async fn login_form(State(shared): State<App>) -> Response {
    if shared.token.is_none() {
        return Redirect::to("/").into_response();
    }
    Html(pages::login(None)).into_response()
}

#[derive(Deserialize)]
struct Login {
    #[serde(default)]
    token: String,
}

async fn login(State(shared): State<App>, form: Result<Form<Login>, FormRejection>) -> Response {
    let Ok(Form(login)) = form else {
        return problem(StatusCode::BAD_REQUEST, "The form could not be read.", None);
    };
    let Some(token) = &shared.token else {
        return Redirect::to("/").into_response();
    };
    if !token.matches(&login.token) {
        // Whoever tries many is slowed down.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let page = pages::login(Some("That is not the token."));
        return (StatusCode::UNAUTHORIZED, Html(page)).into_response();
    }
    let cookie = format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict",
        token.cookie_value()
    );
    let mut response = Redirect::to("/").into_response();
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// The form of the page.
async fn paste(State(shared): State<App>, form: Result<Form<Pasted>, FormRejection>) -> Response {
    let pasted = match form {
        Ok(Form(pasted)) => pasted,
        Err(rejection) => return body_refused(&shared, rejection.status()),
    };
    match make(&shared, pasted.clone()).await {
        Ok((id, _)) => Redirect::to(&format!("/r/{id}")).into_response(),
        Err(Unmade { status, message }) => {
            let page = pages::form(&pasted, Some(&message));
            with_retry((status, Html(page)).into_response())
        }
    }
}

/// Of what form the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Shape {
    #[default]
    Html,
    Markdown,
    Json,
    Text,
}

#[derive(Debug, Deserialize)]
struct Asked {
    format: Option<Shape>,
}

/// For programs: the plan is the body, the report is the answer.
async fn report(
    State(shared): State<App>,
    Query(asked): Query<Asked>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return body_refused(&shared, rejection.status()),
    };
    let Ok(plan) = crate::input::decode::text(body.into()) else {
        return problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The plan is not text.",
            Some("send the output of EXPLAIN as UTF-8"),
        );
    };
    let pasted = Pasted {
        plan,
        sql: String::new(),
    };
    match make(&shared, pasted).await {
        Ok((id, kept)) => {
            let mut response = show(&kept, asked.format.unwrap_or(Shape::Json));
            *response.status_mut() = StatusCode::CREATED;
            if let Ok(link) = HeaderValue::from_str(&format!("/r/{id}")) {
                response.headers_mut().insert(header::LOCATION, link);
            }
            response
        }
        Err(Unmade { status, message }) => with_retry(problem(status, &message, None)),
    }
}

async fn kept(
    State(shared): State<App>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    match shared.store.get(&id) {
        Some(kept) => show(&kept, asked.format.unwrap_or_default()),
        None => problem(
            StatusCode::NOT_FOUND,
            "There is no such report.",
            Some("reports are kept until the server ends, or newer ones need their place"),
        ),
    }
}

async fn metrics(State(shared): State<App>) -> Response {
    match shared.telemetry.page() {
        Some(page) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], page).into_response(),
        None => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The metrics could not be written.",
            None,
        ),
    }
}

fn show(kept: &Kept, form: Shape) -> Response {
    let (media_type, bytes) = match form {
        Shape::Html => ("text/html; charset=utf-8", &kept.html),
        Shape::Markdown => ("text/markdown; charset=utf-8", &kept.markdown),
        Shape::Json => ("application/json", &kept.json),
        Shape::Text => ("text/plain; charset=utf-8", &kept.text),
    };
    (
        [(header::CONTENT_TYPE, media_type)],
        Body::from(bytes.clone()),
    )
        .into_response()
}

/// Why no report was made.
struct Unmade {
    status: StatusCode,
    message: String,
}

impl Unmade {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

/// Makes a report on a thread that may block, and keeps it.
///
/// The place among those that are being made is given back when the work ends,
/// not when its caller stops waiting: work cannot be interrupted.
async fn make(shared: &App, pasted: Pasted) -> Result<(String, Arc<Kept>), Unmade> {
    let bytes = pasted.plan.len() + pasted.sql.len();
    if pasted.plan.trim().is_empty() {
        return Err(Unmade::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "There is no plan: paste the output of EXPLAIN.",
        ));
    }
    shared.telemetry.received(bytes);
    let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
        shared.telemetry.ended(Ending::Refused, None);
        return Err(Unmade::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many reports are being made; try again in a moment.",
        ));
    };
    let began = Instant::now();
    let working = shared.telemetry.working();
    let worker = Arc::clone(shared);
    let work = tokio::task::spawn_blocking(move || {
        let made = (worker.make)(&pasted);
        drop((slot, working));
        made
    });
    let made = match tokio::time::timeout(shared.time_limit, work).await {
        Err(_) => {
            shared.telemetry.ended(Ending::TimedOut, None);
            tracing::warn!(bytes, "a report took longer than the time limit");
            return Err(Unmade::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!(
                    "The report was not ready after {} s.",
                    shared.time_limit.as_secs()
                ),
            ));
        }
        // A panic: what it said went to the log, with nothing of the plan.
        Ok(Err(_)) => {
            shared
                .telemetry
                .ended(Ending::Failed, Some(began.elapsed()));
            return Err(Unmade::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The program failed on this plan, which is a bug worth reporting.",
            ));
        }
        Ok(Ok(Err(message))) => {
            shared
                .telemetry
                .ended(Ending::Failed, Some(began.elapsed()));
            return Err(Unmade::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
        Ok(Ok(Ok(made))) => made,
    };
    let ending = if made.incomplete {
        Ending::Incomplete
    } else {
        Ending::Made
    };
    shared.telemetry.ended(ending, Some(began.elapsed()));
    let id = unguessable().map_err(|error| {
        Unmade::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("There is no randomness for the report's link: {error}."),
        )
    })?;
    let held = shared.store.keep(id.clone(), made.kept);
    shared.telemetry.held(held);
    let kept = shared.store.get(&id).ok_or_else(|| {
        Unmade::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Newer reports took this one's place at once.",
        )
    })?;
    Ok((id, kept))
}

fn body_refused(shared: &Shared, status: StatusCode) -> Response {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        problem(
            status,
            &format!(
                "That is too large: at most {} MiB are read.",
                shared.body_limit >> 20
            ),
            Some("start the server with a larger --max-body, or use pgadvise report"),
        )
    } else {
        problem(status, "What was sent could not be read.", None)
    }
}

fn with_retry(mut response: Response) -> Response {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A plain answer that says what is wrong.
fn problem(status: StatusCode, message: &str, hint: Option<&str>) -> Response {
    let mut text = format!("{message}\n");
    if let Some(hint) = hint {
        text.push_str(&format!("{hint}\n"));
    }
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::store::Limits;
    use super::*;

    fn shared(time_limit: Duration, make: Box<Make>) -> App {
        Arc::new(Shared {
            make,
            store: Store::new(Limits {
                reports: 10,
                bytes: 1 << 20,
            }),
            telemetry: Telemetry::new(),
            token: None,
            slots: Arc::new(Semaphore::new(1)),
            time_limit,
            body_limit: 1 << 20,
        })
    }

    fn made() -> Made {
        Made {
            kept: Kept {
                html: b"page".to_vec(),
                markdown: Vec::new(),
                json: Vec::new(),
                text: Vec::new(),
            },
            incomplete: false,
        }
    }

    fn pasted() -> Pasted {
        Pasted {
            plan: "a plan".to_owned(),
            sql: String::new(),
        }
    }

    fn status(made: Result<(String, Arc<Kept>), Unmade>) -> Option<StatusCode> {
        made.err().map(|unmade| unmade.status)
    }

    /// Work that waits until it is told to go on.
    fn waiting() -> (mpsc::Sender<()>, Box<Make>) {
        let (go, told) = mpsc::channel();
        let told = std::sync::Mutex::new(told);
        let work: Box<Make> = Box::new(move |_| {
            let _gone = told.lock().unwrap().recv();
            Ok(made())
        });
        (go, work)
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn one_too_many_is_refused_at_once() {
        let (go, work) = waiting();
        let app = shared(Duration::from_mins(1), work);
        runtime().block_on(async {
            let first = tokio::spawn({
                let app = Arc::clone(&app);
                async move { make(&app, pasted()).await }
            });
            while app.slots.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            let second = make(&app, pasted()).await;
            assert_eq!(status(second), Some(StatusCode::SERVICE_UNAVAILABLE));
            go.send(()).unwrap();
            let (id, kept) = first.await.unwrap().ok().unwrap();
            assert_eq!(kept.html, b"page");
            assert!(app.store.get(&id).is_some());
        });
        assert_eq!(app.slots.available_permits(), 1);
    }

    #[test]
    fn work_that_takes_too_long_keeps_its_place_until_it_ends() {
        let (go, work) = waiting();
        let app = shared(Duration::from_millis(10), work);
        runtime().block_on(async {
            let late = make(&app, pasted()).await;
            assert_eq!(status(late), Some(StatusCode::GATEWAY_TIMEOUT));
            assert_eq!(app.slots.available_permits(), 0);
            go.send(()).unwrap();
            while app.slots.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn a_panic_is_answered_and_gives_its_place_back() {
        let app = shared(Duration::from_mins(1), Box::new(|_| panic!("out of luck")));
        runtime().block_on(async {
            for _ in 0..2 {
                let failed = make(&app, pasted()).await;
                assert_eq!(status(failed), Some(StatusCode::INTERNAL_SERVER_ERROR));
            }
        });
        let page = app.telemetry.page().unwrap();
        assert!(
            page.contains("reports_total{result=\"Failed\"} 2"),
            "{page}"
        );
        assert!(page.contains("reports_in_progress 0"), "{page}");
    }
}
