//! The two ways of writing a connection string: `key=value` and URI.
//!
//! It only takes texts apart. No message repeats any of the text, since a
//! misplaced character makes a part of the password look like something else.

use std::collections::BTreeMap;

use super::ConninfoError;

/// Connection parameters by libpq's keyword.
pub(super) type Parameters = BTreeMap<String, String>;

/// libpq's keywords, those included that have no meaning here.
const KEYWORDS: &[&str] = &[
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "service",
    "servicefile",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// Whether libpq knows the keyword.
pub(super) fn is_keyword(key: &str) -> bool {
    KEYWORDS.binary_search(&key).is_ok()
}

/// What follows `postgres://` or `postgresql://`.
pub(super) fn uri_rest(text: &str) -> Option<&str> {
    text.strip_prefix("postgresql://")
        .or_else(|| text.strip_prefix("postgres://"))
}

/// Reads `host=db port=5432 password='it\'s'`.
pub(super) fn key_values(text: &str) -> Result<Parameters, ConninfoError> {
    let wrong = |what| ConninfoError::Syntax { what };
    let mut parameters = Parameters::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(parameters);
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err(wrong(
                "there is a word without \"=\" after it; put values with spaces into single quotes",
            ));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut value = String::new();
        let quoted = chars.next_if_eq(&'\'').is_some();
        loop {
            match chars.next() {
                Some('\\') => value.extend(chars.next()),
                Some('\'') if quoted => break,
                Some(c) if !quoted && c.is_whitespace() => break,
                Some(c) => value.push(c),
                None if quoted => return Err(wrong("a quoted value does not end")),
                None => break,
            }
        }
        if !is_keyword(&key) {
            return Err(ConninfoError::UnknownKeyword {
                number: parameters.len() + 1,
            });
        }
        parameters.insert(key, value);
    }
}

/// Reads what follows the scheme of a URI:
/// `user:password@host1:port1,host2:port2/dbname?key=value&…`.
pub(super) fn uri(rest: &str) -> Result<Parameters, ConninfoError> {
    let wrong = |what| ConninfoError::Syntax { what };
    let mut parameters = Parameters::new();
    let (main, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match main.split_once('/') {
        Some((authority, path)) => (authority, Some(path)),
        None => (main, None),
    };
    let mut parts = authority.split('@');
    let (user_info, hosts) = match (parts.next(), parts.next(), parts.next()) {
        (Some(hosts), None, _) => (None, hosts),
        (Some(user_info), Some(hosts), None) => (Some(user_info), hosts),
        _ => {
            return Err(wrong(
                "there is more than one \"@\" before the database name; write one in a password as %40",
            ));
        }
    };
    if path.is_some_and(|path| path.contains('@')) {
        return Err(wrong(
            "there is an \"@\" after a \"/\"; in a user name or password write \"/\" as %2F and \"@\" as %40",
        ));
    }
    let mut set = |key: &str, value: &str| -> Result<(), ConninfoError> {
        if !value.is_empty() {
            parameters.insert(key.to_owned(), percent_decode(value)?);
        }
        Ok(())
    };
    if let Some(user_info) = user_info {
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        set("user", user)?;
        set("password", password)?;
    }
    let (hosts, ports) = split_hosts(hosts)?;
    set("host", &hosts)?;
    set("port", &ports)?;
    set("dbname", path.unwrap_or(""))?;
    for (at, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(wrong(
                "a parameter after \"?\" has no \"=\"; write \"?\" in a password as %3F",
            ));
        };
        let (key, value) = (percent_decode(key)?, percent_decode(value)?);
        // JDBC's way, which libpq takes too.
        if key == "ssl" && value == "true" {
            parameters.insert("sslmode".to_owned(), "require".to_owned());
        } else if is_keyword(&key) {
            parameters.insert(key, value);
        } else {
            return Err(ConninfoError::UnknownKeyword { number: at + 1 });
        }
    }
    Ok(parameters)
}

/// `h1:p1,[::1]:p2,h3` as the lists `h1,::1,h3` and `p1,p2,`; the second is
/// empty when no host has a port.
fn split_hosts(text: &str) -> Result<(String, String), ConninfoError> {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for item in text.split(',') {
        let (host, port) = if let Some(inner) = item.strip_prefix('[') {
            let Some((address, after)) = inner.split_once(']') else {
                return Err(ConninfoError::Syntax {
                    what: "an IPv6 address has no closing \"]\"",
                });
            };
            match after.strip_prefix(':') {
                Some(port) => (address, port),
                None if after.is_empty() => (address, ""),
                None => {
                    return Err(ConninfoError::Syntax {
                        what: "after \"]\" only \":\" and a port can stand",
                    });
                }
            }
        } else {
            item.split_once(':').unwrap_or((item, ""))
        };
        hosts.push(host);
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty()) {
        String::new()
    } else {
        ports.join(",")
    };
    let hosts = if hosts.iter().all(|host| host.is_empty()) {
        String::new()
    } else {
        hosts.join(",")
    };
    Ok((hosts, ports))
}

/// `%40` as `@`. `+` stays: libpq does not read it as a space.
fn percent_decode(text: &str) -> Result<String, ConninfoError> {
    let wrong = ConninfoError::Syntax {
        what: "\"%\" is not followed by two hexadecimal digits; write \"%\" itself as %25",
    };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next(), rest.next()]
                .map(|digit| digit.and_then(|digit| char::from(digit).to_digit(16)));
            let [Some(high), Some(low)] = digits else {
                return Err(wrong);
            };
            bytes.push((high * 16 + low) as u8);
        } else {
            bytes.push(byte);
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(ConninfoError::Syntax {
            what: "a percent-encoded part is not valid UTF-8 text",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(parameters: &Parameters) -> Vec<(&str, &str)> {
        parameters
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect()
    }

    #[test]
    fn the_keywords_are_sorted_for_the_search() {
        assert!(KEYWORDS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn key_values_with_quotes_escapes_and_spaces_around_the_equals_sign() {
        let read = key_values(r"host = db  password='it\'s a \\ secret' user=o\'hara dbname=''");
        assert_eq!(
            pairs(&read.unwrap()),
            [
                ("dbname", ""),
                ("host", "db"),
                ("password", r"it's a \ secret"),
                ("user", "o'hara"),
            ]
        );
    }

    #[test]
    fn uris_with_everything() {
        let read = uri(
            "app:p%40ss@h1:5433,[::1]:5434,h3/my%2Fdb?sslmode=require&connect_timeout=3&ssl=true",
        );
        assert_eq!(
            pairs(&read.unwrap()),
            [
                ("connect_timeout", "3"),
                ("dbname", "my/db"),
                ("host", "h1,::1,h3"),
                ("password", "p@ss"),
                ("port", "5433,5434,"),
                ("sslmode", "require"),
                ("user", "app"),
            ]
        );
        let socket = uri("/shop?host=/var/run/postgresql&user=app").unwrap();
        assert_eq!(
            pairs(&socket),
            [
                ("dbname", "shop"),
                ("host", "/var/run/postgresql"),
                ("user", "app")
            ]
        );
        let encoded = uri("%2Ftmp%2Fsock/shop").unwrap();
        assert_eq!(pairs(&encoded), [("dbname", "shop"), ("host", "/tmp/sock")]);
        assert!(uri("").unwrap().is_empty());
    }

    #[test]
    fn no_message_repeats_a_misplaced_part_of_a_password() {
        for text in [
            "app:hunter2@x@db/shop",
            "app:hun/ter2@db/shop",
            "app:hun?hunter2@db/shop",
            "app:hunter2%zz@db/shop",
            "db/shop?hunter2=x",
        ] {
            let message = uri(text).unwrap_err().to_string();
            assert!(!message.contains("ter2"), "{message}");
        }
        for text in [
            "host=db password=my hunter2",
            "password=a hunter2=b",
            "password='hunter2",
        ] {
            let message = key_values(text).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
