//! The files in which libpq looks for passwords and services.

use std::fmt;
use std::path::{Path, PathBuf};

use super::text::{self, Parameters};
use super::{ConninfoError, Environment};

/// A password. Nothing shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The password itself, to be given to the server and to nobody else.
    pub(in crate::pg) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Reads one of the files that say how to connect.
#[expect(
    clippy::disallowed_methods,
    reason = "password, service and certificate files belong to connecting, not to the user's input"
)]
pub(in crate::pg) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    std::fs::read(path)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether others than the owner may read the file.
#[cfg(unix)]
fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_path: &Path) -> bool {
    false
}

/// `.pgpass`, as far as it could be read.
#[derive(Default)]
pub(super) struct PasswordFile {
    lines: Vec<[String; 5]>,
    /// Why the file was not used, as a sentence.
    pub(super) note: Option<String>,
}

impl PasswordFile {
    /// Reads the file named, or `~/.pgpass`. One that is missing is no trouble.
    pub(super) fn load(named: Option<&str>, environment: &Environment) -> Self {
        let path = match (named, &environment.home) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(home)) => home.join(".pgpass"),
            (None, None) => return Self::default(),
        };
        let Ok(meta) = path.metadata() else {
            return Self::default();
        };
        let ignored = |why: &str| Self {
            lines: Vec::new(),
            note: Some(format!(
                "The password file {} was ignored: {why}.",
                path.display()
            )),
        };
        if !meta.is_file() {
            return ignored("it is not a plain file");
        }
        if open_to_others(&path) {
            return ignored("others may read it; run chmod 0600 on it");
        }
        match read_text(&path) {
            Ok(text) => Self {
                lines: text.lines().filter_map(password_line).collect(),
                note: None,
            },
            Err(_) => ignored("it could not be read"),
        }
    }

    /// The password of the first line that matches.
    pub(super) fn find(
        &self,
        host: &str,
        port: u16,
        database: &str,
        user: &str,
    ) -> Option<Password> {
        let port = port.to_string();
        let wanted = [host, port.as_str(), database, user];
        self.lines.iter().find_map(|[h, p, d, u, password]| {
            let fits = [h, p, d, u]
                .into_iter()
                .zip(wanted)
                .all(|(pattern, value)| pattern == "*" || unescape(pattern) == value);
            (fits && !password.is_empty()).then(|| Password::new(unescape(password)))
        })
    }
}

/// The five fields of a line, still escaped, so that `\*` is not a wildcard.
fn password_line(line: &str) -> Option<[String; 5]> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields: [String; 5] = Default::default();
    let mut at = 0;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        let field = fields.get_mut(at)?;
        match c {
            '\\' => {
                field.push(c);
                field.extend(chars.next());
            }
            // A colon in the password itself ends it, as in libpq.
            ':' => at += 1,
            _ => field.push(c),
        }
        if at > 4 {
            break;
        }
    }
    (at >= 4).then_some(fields)
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            plain.extend(chars.next());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The parameters of a service, from the user's file or else the system's.
pub(super) fn service(name: &str, environment: &Environment) -> Result<Parameters, ConninfoError> {
    let mut files = Vec::new();
    match environment.get("PGSERVICEFILE") {
        Some(path) => files.push(PathBuf::from(path)),
        None => files.extend(
            environment
                .home
                .as_ref()
                .map(|home| home.join(".pg_service.conf")),
        ),
    }
    match environment.get("PGSYSCONFDIR") {
        Some(folder) => files.push(Path::new(folder).join("pg_service.conf")),
        // Debian's and Red Hat's builds, then the place of a plain build.
        None => files.extend(
            [
                "/etc/postgresql-common/pg_service.conf",
                "/etc/sysconfig/pgsql/pg_service.conf",
                "/usr/local/pgsql/etc/pg_service.conf",
            ]
            .map(PathBuf::from),
        ),
    }
    for file in &files {
        if let Ok(text) = read_text(file)
            && let Some(found) = service_section(&text, name, file)?
        {
            return Ok(found);
        }
    }
    Err(ConninfoError::NoService {
        name: name.to_owned(),
        files: files
            .iter()
            .map(|file| file.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn service_section(
    text: &str,
    name: &str,
    file: &Path,
) -> Result<Option<Parameters>, ConninfoError> {
    let mut found: Option<Parameters> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            if found.is_some() {
                break;
            }
            if section.strip_suffix(']') == Some(name) {
                found = Some(Parameters::new());
            }
        } else if let Some(parameters) = &mut found {
            match line.split_once('=') {
                Some((key, value)) if text::is_keyword(key) && key != "service" => {
                    // The first value of a keyword counts.
                    parameters
                        .entry(key.to_owned())
                        .or_insert_with(|| value.to_owned());
                }
                _ => {
                    return Err(ConninfoError::ServiceFile {
                        file: file.display().to_string(),
                        line: number + 1,
                    });
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_lines_with_wildcards_and_escapes() {
        let file = PasswordFile {
            lines: [
                "# comment",
                r"db\:1:5432:shop:app:col\:on\\",
                r"db:5432:\*:app:star",
                "db:*:*:app:any",
                "too:few:fields",
            ]
            .into_iter()
            .filter_map(password_line)
            .collect(),
            note: None,
        };
        let find = |host: &str, database: &str, user: &str| {
            file.find(host, 5432, database, user)
                .map(|password| password.reveal().to_owned())
        };
        assert_eq!(find("db:1", "shop", "app").as_deref(), Some(r"col:on\"));
        assert_eq!(find("db", "*", "app").as_deref(), Some("star"));
        assert_eq!(find("db", "shop", "app").as_deref(), Some("any"));
        assert_eq!(find("db", "shop", "root"), None);
        assert_eq!(file.lines.len(), 3);
    }

    #[test]
    fn a_password_file_that_others_can_read_is_not_used() {
        use std::io::Write as _;
        use std::os::unix::fs::PermissionsExt as _;
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "*:*:*:*:hunter2").unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        let load = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            PasswordFile::load(Some(&path), &Environment::default())
        };
        let refused = load(0o644);
        assert!(refused.find("db", 5432, "shop", "app").is_none());
        assert!(refused.note.unwrap().contains("chmod 0600"));
        let used = load(0o600);
        assert!(used.find("db", 5432, "shop", "app").is_some());
        assert_eq!(used.note, None);
    }

    #[test]
    fn a_service_ends_at_the_next_section() {
        let text = "# all\n[a]\nhost=one\n\n[b]\nhost=two \nport=5433\nhost=three\n[c]\nnonsense\n";
        let found = service_section(text, "b", Path::new("f")).unwrap().unwrap();
        assert_eq!(found.get("host").map(String::as_str), Some("two"));
        assert_eq!(found.get("port").map(String::as_str), Some("5433"));
        assert!(
            service_section(text, "d", Path::new("f"))
                .unwrap()
                .is_none()
        );
        assert!(matches!(
            service_section(text, "c", Path::new("f")),
            Err(ConninfoError::ServiceFile { line: 10, .. })
        ));
    }

    #[test]
    fn a_password_does_not_show() {
        let password = Password::new("hunter2");
        assert!(!format!("{password:?} {password}").contains("hunter2"));
    }
}
