//! The frame of every page: one file with its style and its script in it, and
//! a policy that lets nothing else be loaded or run.

use std::fmt;
use std::sync::LazyLock;

use askama::Template;
use sha2::{Digest as _, Sha256};

use super::text;

/// The style of all pages.
const STYLE: &str = include_str!("page.css");
/// The script of all pages. Everything is there without it; it adds the
/// keyboard, folding, copying and the choice of colours.
const SCRIPT: &str = include_str!("page.js");

/// The policy's names for that style and that script.
static STYLE_HASH: LazyLock<String> = LazyLock::new(|| hash(STYLE));
static SCRIPT_HASH: LazyLock<String> = LazyLock::new(|| hash(SCRIPT));

/// Markup that may stand in a page as it is: made by a template, or escaped. In
/// a template it is written `{{ markup|safe }}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Text, escaped.
    pub fn text(text: &str) -> Self {
        Self(text::escape(text))
    }

    /// What a template made, or what was put together from escaped parts.
    pub fn trusted(markup: String) -> Self {
        Self(markup)
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// There is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where the forms of a page may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forms {
    /// It has none.
    None,
    /// To the server that it came from.
    Own,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: &'a str,
    body: &'a Html,
    style: &'static str,
    script: &'static str,
    policy: String,
    version: &'static str,
}

/// A whole page that needs nothing beside it: no network, no file.
pub fn page(title: &str, body: &Html) -> String {
    page_with(title, body, Forms::None)
}

/// The same with forms.
pub fn page_with(title: &str, body: &Html, forms: Forms) -> String {
    let page = Page {
        title,
        body,
        style: STYLE,
        script: SCRIPT,
        policy: policy(forms),
        version: env!("CARGO_PKG_VERSION"),
    };
    // Writing to a string cannot fail.
    page.render().unwrap_or_default()
}

/// What has a head and a foot of the program around it. `main` is the page's
/// `<main>` element, `said` what the page is.
pub fn with_head(said: &str, main: &Html) -> Html {
    Html(format!(
        "<header class=top><div class=brand>pgadvise</div><p class=said>{}</p><button type=button class=theme hidden aria-label=\"Dark or light colours\">◐</button></header>\n{main}\n<footer class=bottom><p>Made by pgadvise {}.</p></footer>\n",
        text::escape(said),
        env!("CARGO_PKG_VERSION")
    ))
}

/// The policy that a page carries; a server may send it as a header too.
pub fn policy(forms: Forms) -> String {
    let forms = match forms {
        Forms::None => "'none'",
        Forms::Own => "'self'",
    };
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action {forms}",
        *STYLE_HASH, *SCRIPT_HASH
    )
}

/// `sha256-…` as a Content Security Policy names an inline text.
fn hash(text: &str) -> String {
    format!("sha256-{}", base64(&Sha256::digest(text.as_bytes())))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            if at <= three.len() {
                let digit = (bits >> (18 - 6 * at)) & 63;
                text.push(char::from(
                    DIGITS.get(digit as usize).copied().unwrap_or(b'='),
                ));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // RFC 4648, section 10.
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_title_cannot_leave_its_element() {
        let page = page("</title><script>1</script>", &Html::text("<b>"));
        assert!(page.contains("<title>&lt;/title&gt;&lt;script&gt;1&lt;/script&gt;"));
        assert!(page.contains("&lt;b&gt;"));
        assert_eq!(page.matches("<script").count(), 1);
    }
}
