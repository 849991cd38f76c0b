//! Which requests must present the XSRF token.
//!
//! Invariant: whatever a browser says about a request in its `Sec-Fetch-*` headers can only excuse
//! a read, never a change.

use http::header::ORIGIN;
use http::{HeaderMap, Method};

/// What kind of door a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// An HTML page or its form.
    Page,
    /// The REST API.
    Api,
}

/// How a request says who makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credential {
    /// Not at all, or in a way that is no good.
    Nothing,
    /// By the login cookie, which browsers send unasked.
    Cookie,
    /// By an `Authorization` header, which no page of another site can make a browser send.
    Token,
}

/// What the browser says about the page behind a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fetch<'a> {
    mode: Option<&'a str>,
    site: Option<&'a str>,
    has_origin: bool,
}

/// Whether a request must present the token.
///
/// A change always must, unless its credential is one that browsers do not send unasked. Of reads,
/// only those of the API by a script do, because what they return is worth stealing; one without
/// any credential and from no other origin is let through to get its plain 403.
pub(crate) fn needs_check(
    method: &Method,
    door: Door,
    credential: Credential,
    fetch: Fetch<'_>,
) -> bool {
    match credential {
        Credential::Token => return false,
        Credential::Nothing if door == Door::Api && !fetch.has_origin => return false,
        Credential::Nothing | Credential::Cookie => {}
    }
    match *method {
        Method::GET => door == Door::Api && !fetch.is_harmless_read(),
        Method::HEAD | Method::OPTIONS => false,
        _ => true,
    }
}

impl<'a> Fetch<'a> {
    /// Reads what the browser says.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        // A header that is there twice, or is no text, excuses nothing.
        let only = |name| {
            let mut values = headers.get_all(name).iter();
            let value = values.next()?.to_str().unwrap_or_default();
            Some(if values.next().is_none() { value } else { "" })
        };
        Self {
            mode: only("sec-fetch-mode"),
            site: only("sec-fetch-site"),
            has_origin: headers.contains_key(ORIGIN),
        }
    }

    /// Whether somebody goes to a page, as far as is known: browsers say nothing over plain HTTP.
    /// Only then may a reply set the `_xsrf` cookie.
    pub(crate) fn is_navigation(self) -> bool {
        matches!(self.mode, None | Some("navigate"))
    }

    /// Whether the page that made a GET does not get to see what it returns, or is the hub's own.
    /// (The hub's own scripts use mode `cors` and bring the token.)
    fn is_harmless_read(self) -> bool {
        match self.mode {
            // Browsers say both or neither.
            None => matches!(self.site, None | Some("same-origin" | "none")),
            Some("navigate" | "websocket") => true,
            Some("no-cors") => self.site == Some("same-origin"),
            Some(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fetch<'a>(mode: &'a str, site: &'a str) -> Fetch<'a> {
        let given = |text: &'a str| (text != "-").then_some(text);
        Fetch {
            mode: given(mode),
            site: given(site),
            has_origin: false,
        }
    }

    #[test]
    fn reads_of_pages_are_never_checked() {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            for mode in [
                "-",
                "navigate",
                "cors",
                "no-cors",
                "same-origin",
                "websocket",
            ] {
                for credential in [Credential::Nothing, Credential::Cookie, Credential::Token] {
                    let fetch = fetch(mode, "cross-site");
                    assert!(!needs_check(&method, Door::Page, credential, fetch));
                }
            }
        }
    }

    #[test]
    fn reads_of_the_api_by_scripts_are_checked() {
        for (mode, site, checked) in [
            ("-", "-", false),
            ("-", "same-origin", false),
            ("-", "cross-site", true),
            ("-", "same-site", true),
            ("navigate", "cross-site", false),
            ("websocket", "same-origin", false),
            ("no-cors", "same-origin", false),
            ("no-cors", "same-site", true),
            ("no-cors", "cross-site", true),
            ("no-cors", "-", true),
            ("cors", "same-origin", true),
            ("cors", "cross-site", true),
            ("same-origin", "same-origin", true),
            ("", "-", true),
            ("Navigate", "-", true),
        ] {
            let cookie = Credential::Cookie;
            let get = needs_check(&Method::GET, Door::Api, cookie, fetch(mode, site));
            assert_eq!(get, checked, "{mode} {site}");
            for method in [Method::HEAD, Method::OPTIONS] {
                assert!(!needs_check(&method, Door::Api, cookie, fetch(mode, site)));
            }
        }
    }

    #[test]
    fn changes_by_cookie_are_always_checked() {
        let lock = Method::from_bytes(b"LOCK").unwrap();
        for method in [
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            lock,
        ] {
            for mode in [
                "-",
                "navigate",
                "cors",
                "no-cors",
                "same-origin",
                "websocket",
            ] {
                for site in ["-", "same-origin", "same-site", "cross-site", "none"] {
                    for door in [Door::Page, Door::Api] {
                        let fetch = fetch(mode, site);
                        assert!(needs_check(&method, door, Credential::Cookie, fetch));
                        assert!(!needs_check(&method, door, Credential::Token, fetch));
                    }
                    // The login form: nobody is logged in yet.
                    let fetch = fetch(mode, site);
                    assert!(needs_check(&method, Door::Page, Credential::Nothing, fetch));
                }
            }
        }
    }

    #[test]
    fn without_credentials_only_other_origins_are_checked() {
        for method in [Method::GET, Method::POST] {
            let own = fetch("cors", "same-origin");
            assert!(!needs_check(&method, Door::Api, Credential::Nothing, own));
            let foreign = Fetch {
                has_origin: true,
                ..own
            };
            assert!(needs_check(
                &method,
                Door::Api,
                Credential::Nothing,
                foreign
            ));
        }
    }

    #[test]
    fn headers_that_are_odd_excuse_nothing() {
        let mut headers = HeaderMap::new();
        assert!(Fetch::of(&headers).is_navigation());
        headers.append("sec-fetch-mode", HeaderValue::from_static("navigate"));
        assert!(Fetch::of(&headers).is_navigation());
        headers.append("sec-fetch-mode", HeaderValue::from_static("cors"));
        assert!(!Fetch::of(&headers).is_navigation());
        headers.insert("sec-fetch-mode", HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(!Fetch::of(&headers).is_harmless_read());
        headers.insert("origin", HeaderValue::from_static("https://evil.test"));
        assert!(Fetch::of(&headers).has_origin);
    }
}
