//! Who may ask: only pages and programs that were given the address or the
//! token. A page elsewhere in the same browser is neither.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use sha2::{Digest as _, Sha256};

use super::store::hex;

/// The cookie in which a browser keeps the token's hash.
pub(super) const COOKIE: &str = "pgadvise";

/// A secret that callers must show.
pub(super) struct Token {
    hash: [u8; 32],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    pub(super) fn new(secret: &str) -> Self {
        Self {
            hash: Sha256::digest(secret.as_bytes()).into(),
        }
    }

    /// Whether that is the secret. Hashes are compared, so that the time taken
    /// says nothing about it.
    pub(super) fn matches(&self, secret: &str) -> bool {
        same(&Sha256::digest(secret.as_bytes()).into(), &self.hash)
    }

    /// What a browser keeps in place of the secret.
    pub(super) fn cookie_value(&self) -> String {
        let mut hasher = Sha256::new();
        hasher.update(b"cookie");
        hasher.update(self.hash);
        hex(&hasher.finalize())
    }

    /// Whether the request shows it, as `Authorization: Bearer` or in the
    /// cookie.
    pub(super) fn shown_in(&self, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| {
                let (scheme, secret) = value.split_once(' ')?;
                scheme
                    .eq_ignore_ascii_case("bearer")
                    .then_some(secret.trim())
            });
        if bearer.is_some_and(|secret| self.matches(secret)) {
            return true;
        }
        let expected = Sha256::digest(self.cookie_value().as_bytes()).into();
        cookies(headers).any(|value| same(&Sha256::digest(value.as_bytes()).into(), &expected))
    }
}

fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It was sent to another name: a page elsewhere whose name was made to
    /// point here.
    Host,
    /// A page elsewhere sent it.
    Origin,
}

/// Without a token, the server answers only to names of this machine: any page
/// can make its own name point to 127.0.0.1 and read the answers.
pub(super) fn check(
    method: &Method,
    headers: &HeaderMap,
    loopback_names_only: bool,
) -> Result<(), Refusal> {
    let host = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    if loopback_names_only && !host.is_some_and(is_loopback_name) {
        return Err(Refusal::Host);
    }
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    // Browsers name the page that sends; programs do not.
    let Some(origin) = headers.get(header::ORIGIN) else {
        return match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => Err(Refusal::Origin),
        };
    };
    let sender = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .map(|(_, host)| host);
    if sender.is_some() && sender == host {
        Ok(())
    } else {
        Err(Refusal::Origin)
    }
}

/// Whether a `Host` names this machine: `localhost:8432`, `127.0.0.1`, `[::1]`.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    axum::http::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn only_names_of_this_machine_are_answered_without_a_token() {
        for (host, fine) in [
            ("localhost:8432", true),
            ("LOCALHOST", true),
            ("127.0.0.1:8432", true),
            ("127.9.9.9", true),
            ("[::1]:8432", true),
            ("evil.example:8432", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example", false),
            ("10.0.0.1:8432", false),
            ("[::2]", false),
            ("", false),
        ] {
            let found = check(&Method::GET, &headers(&[("host", host)]), true);
            assert_eq!(found.is_ok(), fine, "{host}");
        }
        assert!(check(&Method::GET, &headers(&[]), true).is_err());
    }

    #[test]
    fn pages_elsewhere_cannot_send() {
        for (sent, fine) in [
            (vec![], true),
            (vec![("origin", "http://localhost:1")], true),
            (vec![("origin", "http://evil.example")], false),
            (vec![("origin", "http://localhost:2")], false),
            (vec![("origin", "null")], false),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-origin")], true),
        ] {
            let mut all = vec![("host", "localhost:1")];
            all.extend(sent.clone());
            let found = check(&Method::POST, &headers(&all), true);
            assert_eq!(found.is_ok(), fine, "{sent:?}");
        }
    }

    #[test]
    fn the_token_is_taken_from_the_header_and_the_cookie() {
        let token = Token::new("s3cret");
        let cookie = format!("a=b; {COOKIE}={}", token.cookie_value());
        for (sent, fine) in [
            (vec![], false),
            (vec![("authorization", "Bearer s3cret")], true),
            (vec![("authorization", "bearer s3cret")], true),
            (vec![("authorization", "Bearer s3cre")], false),
            (vec![("authorization", "Basic s3cret")], false),
            (vec![("cookie", cookie.as_str())], true),
            (vec![("cookie", "pgadvise=s3cret")], false),
        ] {
            assert_eq!(token.shown_in(&headers(&sent)), fine, "{sent:?}");
        }
    }
}
