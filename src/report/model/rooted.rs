//! Paths from the top of a repository on: services show findings beside lines
//! of the files that they know by such paths.

use std::borrow::Cow;

/// Where paths are shown from, and where the repository begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rooted {
    /// The folder that paths which are not absolute begin in.
    here: String,
    /// The top of the repository; nothing is changed without.
    top: Option<String>,
}

impl Rooted {
    /// Both as absolute paths.
    pub fn new(here: &str, top: Option<&str>) -> Self {
        let plain = |path: &str| path.replace('\\', "/").trim_end_matches('/').to_owned();
        Self {
            here: plain(here),
            top: top.map(plain),
        }
    }

    /// A path as it is shown, from the top of the repository on; as it is where
    /// it stands outside.
    pub fn path<'a>(&self, shown: &'a str) -> Cow<'a, str> {
        let shown = shown.strip_prefix("./").unwrap_or(shown);
        let Some(top) = &self.top else {
            return Cow::Borrowed(shown);
        };
        if shown.is_empty() || shown.starts_with('<') {
            return Cow::Borrowed(shown);
        }
        let absolute = shown.starts_with('/') || shown.as_bytes().get(1) == Some(&b':');
        let mut parts: Vec<&str> = Vec::new();
        let here = if absolute { "" } else { self.here.as_str() };
        for part in here.split('/').chain(shown.split('/')) {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let mut rest = parts.iter();
        for own in top.split('/').filter(|part| !part.is_empty()) {
            if rest.next() != Some(&own) {
                return Cow::Borrowed(shown);
            }
        }
        let rest: Vec<&str> = rest.copied().collect();
        if rest.is_empty() {
            Cow::Borrowed(shown)
        } else {
            Cow::Owned(rest.join("/"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_top_of_the_repository() {
        let rooted = Rooted::new("/srv/app/backend", Some("/srv/app"));
        assert_eq!(rooted.path("db/1.sql"), "backend/db/1.sql");
        assert_eq!(rooted.path("./db/1.sql"), "backend/db/1.sql");
        assert_eq!(rooted.path("../db/1.sql"), "db/1.sql");
        assert_eq!(rooted.path("/srv/app/db/1.sql"), "db/1.sql");
        assert_eq!(rooted.path("/srv/apple/1.sql"), "/srv/apple/1.sql");
        assert_eq!(rooted.path("../../x.sql"), "../../x.sql");
        assert_eq!(rooted.path("<stdin>"), "<stdin>");
        assert_eq!(Rooted::default().path("./a.sql"), "a.sql");
        let top = Rooted::new("/srv/app", Some("/srv/app"));
        assert_eq!(top.path("db/1.sql"), "db/1.sql");
    }
}
