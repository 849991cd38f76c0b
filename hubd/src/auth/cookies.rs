//! The hub's cookies: their names, where they go, and how they are read back.
//!
//! ```text
//! jupyterhub-hub-login    HUB    HttpOnly   30 days            proves who is logged in
//! jupyterhub-session-id   BASE   HttpOnly   browser session    ties a browser's tokens together; every server reads it
//! _xsrf                   HUB               browser session    see `xsrf`; an hour while nobody is logged in
//! oauthenticator-state    its callback only HttpOnly, 15 min.  a login that is under way at a provider
//! ```
//!
//! All are SameSite=Lax, and Secure where the browser came by https. A browser may send several
//! cookies of one name (another path, a parent domain), so reading gives all of them and the caller
//! takes the one that proves itself.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::HeaderMap;
use http::header::COOKIE;

use super::oidc::LIFETIME;

/// Proves who is logged in; opaque to all but the hub.
pub(crate) const HUB_LOGIN: &str = "jupyterhub-hub-login";
/// Names the browser session; read by every server.
pub(crate) const SESSION_ID: &str = "jupyterhub-session-id";
/// The XSRF token that forms and scripts must repeat.
pub(crate) const XSRF: &str = "_xsrf";

/// A login that was begun in this browser and goes on elsewhere, see `oidc`.
pub(crate) const OIDC: &str = "oauthenticator-state";

/// The most bytes of cookies that are read from one request.
const BYTES_MAX: usize = 8 * 1024;
/// The most cookies that are read from one request.
const COUNT_MAX: usize = 200;

/// Makes the hub's cookies.
#[derive(Debug, Clone)]
pub(crate) struct HubCookies {
    base_url: String,
    hub_url: String,
}

/// Why the cookies of a request are not read at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CookieError {
    /// Too many bytes.
    #[error(
        "the browser sent more than {BYTES_MAX} bytes of cookies; delete this site's cookies and try again"
    )]
    TooLong,
    /// Too many cookies.
    #[error(
        "the browser sent more than {COUNT_MAX} cookies; delete this site's cookies and try again"
    )]
    TooMany,
}

impl HubCookies {
    /// For a hub at `base_url`, which begins and ends with `/`.
    pub(crate) fn new(base_url: &str) -> Self {
        Self {
            base_url: base_url.to_owned(),
            hub_url: format!("{base_url}hub/"),
        }
    }

    /// The login cookie. `secure`: whether the browser came by https.
    pub(crate) fn login(&self, value: &str, secure: bool) -> Cookie<'static> {
        let mut cookie = build(HUB_LOGIN, value, &self.hub_url, secure);
        cookie.set_http_only(true);
        cookie.set_max_age(Duration::days(30));
        cookie
    }

    /// The cookie of the browser session.
    pub(crate) fn session(&self, id: &str, secure: bool) -> Cookie<'static> {
        let mut cookie = build(SESSION_ID, id, &self.base_url, secure);
        cookie.set_http_only(true);
        cookie
    }

    /// The XSRF cookie; scripts of the hub's pages read it, so it is not HttpOnly. One for nobody
    /// in particular lasts an hour.
    pub(crate) fn xsrf(&self, token: &str, anonymous: bool, secure: bool) -> Cookie<'static> {
        let mut cookie = build(XSRF, token, &self.hub_url, secure);
        if anonymous {
            cookie.set_max_age(Duration::hours(1));
        }
        cookie
    }

    /// The cookie of a login that goes on elsewhere; only where it comes back to sees it.
    pub(crate) fn oidc(&self, value: &str, secure: bool) -> Cookie<'static> {
        let path = format!("{}oauth_callback", self.hub_url);
        let mut cookie = build(OIDC, value, &path, secure);
        cookie.set_http_only(true);
        cookie.set_max_age(Duration::seconds(LIFETIME.as_secs()));
        cookie
    }

    /// A reply that makes the browser forget that one.
    pub(crate) fn clear_oidc(&self, secure: bool) -> Cookie<'static> {
        let mut cookie = self.oidc("", secure);
        cookie.make_removal();
        cookie
    }

    /// Replies that make the browser forget the login, the session and the XSRF token.
    pub(crate) fn clear(&self, secure: bool) -> [Cookie<'static>; 3] {
        let cookies = [
            self.login("", secure),
            self.session("", secure),
            self.xsrf("", false, secure),
        ];
        cookies.map(|mut cookie| {
            cookie.make_removal();
            cookie
        })
    }
}

fn build(name: &'static str, value: &str, path: &str, secure: bool) -> Cookie<'static> {
    let cookie = Cookie::build((name, value.to_owned())).path(path.to_owned());
    cookie.same_site(SameSite::Lax).secure(secure).build()
}

/// All values of the cookie `name` in a request, in the order they came.
///
/// Values are given as they came, without the quotes that some clients put around them; the hub's
/// own need no other decoding.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &str) -> Result<Vec<&'a str>, CookieError> {
    let (mut bytes, mut count) = (0, 0);
    let mut found = Vec::new();
    for header in headers.get_all(COOKIE) {
        bytes += header.len();
        if bytes > BYTES_MAX {
            return Err(CookieError::TooLong);
        }
        // Pieces that are no text cannot be ours; they must not hide those that are.
        for piece in header.as_bytes().split(|b| *b == b';') {
            count += 1;
            if count > COUNT_MAX {
                return Err(CookieError::TooMany);
            }
            let pair = std::str::from_utf8(piece)
                .ok()
                .and_then(|p| p.split_once('='));
            if let Some((key, value)) = pair
                && key.trim() == name
            {
                found.push(unquoted(value.trim()));
            }
        }
    }
    Ok(found)
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn request(cookies: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| (COOKIE, HeaderValue::from_bytes(bytes).unwrap());
        cookies.iter().map(value).collect()
    }

    #[test]
    fn each_cookie_has_its_path_and_flags() {
        let cookies = HubCookies::new("/jhub/");
        for (cookie, text) in [
            (
                cookies.login("v", true),
                "jupyterhub-hub-login=v; HttpOnly; SameSite=Lax; Secure; Path=/jhub/hub/; Max-Age=2592000",
            ),
            (
                cookies.session("v", false),
                "jupyterhub-session-id=v; HttpOnly; SameSite=Lax; Path=/jhub/",
            ),
            (
                cookies.xsrf("v", false, false),
                "_xsrf=v; SameSite=Lax; Path=/jhub/hub/",
            ),
            (
                cookies.xsrf("v", true, true),
                "_xsrf=v; SameSite=Lax; Secure; Path=/jhub/hub/; Max-Age=3600",
            ),
        ] {
            assert_eq!(cookie.to_string(), text);
        }
    }

    #[test]
    fn clearing_names_the_same_paths() {
        for cookie in HubCookies::new("/").clear(false) {
            let path = if cookie.name() == SESSION_ID {
                "/"
            } else {
                "/hub/"
            };
            assert_eq!((cookie.path(), cookie.value()), (Some(path), ""));
            assert_eq!(cookie.max_age(), Some(Duration::ZERO));
        }
    }

    #[test]
    fn all_values_of_a_name_are_read() {
        let headers = request(&[
            b"a=1; _xsrf=evil;_xsrf=good ; x_xsrf=no; _XSRF=no; $Version=1",
            b"_xsrf=\"quoted\"; bad\xff=1; _xsrf=; _xsrf; =x; ;;_xsrf=a=b",
        ]);
        assert_eq!(
            values(&headers, XSRF),
            Ok(vec!["evil", "good", "quoted", "", "a=b"])
        );
        assert_eq!(values(&headers, "$Version"), Ok(vec!["1"]));
        assert_eq!(values(&HeaderMap::new(), XSRF), Ok(vec![]));
    }

    #[test]
    fn floods_are_refused() {
        let long = format!("a={}", "x".repeat(BYTES_MAX));
        assert_eq!(
            values(&request(&[long.as_bytes()]), XSRF),
            Err(CookieError::TooLong)
        );
        let half = format!("a={}", "x".repeat(BYTES_MAX / 2));
        let halves = request(&[half.as_bytes(), half.as_bytes()]);
        assert_eq!(values(&halves, XSRF), Err(CookieError::TooLong));
        let many = "a=1;".repeat(COUNT_MAX);
        assert_eq!(
            values(&request(&[many.as_bytes()]), XSRF),
            Err(CookieError::TooMany)
        );
    }
}
