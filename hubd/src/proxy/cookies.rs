//! Which cookies cross between the browser and a user's server.
//!
//! All servers share the hub's origin, so the browser offers one server whatever cookie fits the
//! path, and lets it set cookies for every path. Two rules keep them apart:
//!
//! - **Inward**: the hub's login cookie never reaches a server. Every other cookie does, among
//!   them `jupyterhub-session-id`, which servers read to notice a logout.
//! - **Outward**: a server sets cookies for its own prefix only. The hub's names are its alone;
//!   a cookie for a wider path or for a domain is narrowed to the prefix, so that a program that
//!   writes `Path=/` out of habit still works, and works for itself.

use http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

use super::path;

const HUB_LOGIN: &[u8] = b"jupyterhub-hub-login";
/// Cookies that only the hub may set.
const HUBS_OWN: [&[u8]; 2] = [HUB_LOGIN, b"jupyterhub-session-id"];

/// Where a server's cookies are valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'r> {
    /// The route's decoded prefix: `/user/a@b/`.
    pub(super) prefix: &'r str,
    /// The raw path of the request that is answered.
    pub(super) path: &'r str,
    /// How much of it is the prefix, without the slash behind it.
    pub(super) prefix_end: usize,
}

/// Takes the hub's login out of a request to a server.
pub(super) fn hide_login(headers: &mut HeaderMap) {
    let mentions_login = |value: &HeaderValue| contains(value.as_bytes(), HUB_LOGIN);
    if !headers.get_all(COOKIE).iter().any(mentions_login) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
    headers.remove(COOKIE);
    for line in lines {
        let kept: Vec<&[u8]> = line
            .as_bytes()
            .split(|byte| *byte == b';')
            .filter(|pair| !is_named(name_of(pair), HUB_LOGIN))
            .map(<[u8]>::trim_ascii)
            .filter(|pair| !pair.is_empty())
            .collect();
        if kept.is_empty() {
            continue;
        }
        // Parts of a legal value are legal.
        if let Ok(value) = HeaderValue::from_bytes(&kept.join(&b"; "[..])) {
            headers.append(COOKIE, value);
        }
    }
}

/// Keeps what a server sets within its scope.
pub(super) fn confine(headers: &mut HeaderMap, scope: Scope<'_>) {
    if !headers.contains_key(SET_COOKIE) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for line in lines {
        if let Some(confined) = confine_one(line, scope) {
            headers.append(SET_COOKIE, confined);
        }
    }
}

/// One `Set-Cookie` as it may pass, read the way browsers read it: split at every semicolon,
/// names trimmed and case-blind, the last `Path` counts.
fn confine_one(line: HeaderValue, scope: Scope<'_>) -> Option<HeaderValue> {
    let mut parts = line.as_bytes().split(|byte| *byte == b';');
    let pair = parts.next().unwrap_or_default();
    let name = name_of(pair);
    // A cookie without a name is sent back as its bare value, which can look like any cookie.
    if name.is_empty() || !pair.contains(&b'=') || HUBS_OWN.iter().any(|own| is_named(name, own)) {
        return None;
    }
    let mut path = None;
    let mut has_domain = false;
    for attribute in parts.clone() {
        if name_of(attribute).eq_ignore_ascii_case(b"path") {
            path = Some(value_of(attribute)).filter(|value| value.starts_with(b"/"));
        }
        has_domain |= name_of(attribute).eq_ignore_ascii_case(b"domain");
    }
    let narrow = match path {
        Some(path) => {
            std::str::from_utf8(path).is_ok_and(|path| path::is_below(scope.prefix, path))
        }
        // Without one it is valid for the request's directory, and that of `/user/alice` is `/user`.
        None => scope.path.len() > scope.prefix_end,
    };
    if narrow && !has_domain {
        return Some(line);
    }
    let mut kept = pair.to_vec();
    for attribute in parts {
        let name = name_of(attribute);
        if !name.eq_ignore_ascii_case(b"path") && !name.eq_ignore_ascii_case(b"domain") {
            kept.push(b';');
            kept.extend_from_slice(attribute);
        }
    }
    kept.extend_from_slice(b"; Path=");
    kept.extend_from_slice(&scope.path.as_bytes()[..scope.prefix_end]);
    kept.push(b'/');
    HeaderValue::from_bytes(&kept).ok()
}

/// What stands before the first `=`, trimmed; all of it if there is none.
fn name_of(part: &[u8]) -> &[u8] {
    let end = part.iter().position(|byte| *byte == b'=');
    part[..end.unwrap_or(part.len())].trim_ascii()
}

fn value_of(part: &[u8]) -> &[u8] {
    let start = part.iter().position(|byte| *byte == b'=');
    start.map_or(&b""[..], |start| part[start + 1..].trim_ascii())
}

/// Whether a cookie has this name, with or without one of the prefixes that browsers guard.
fn is_named(name: &[u8], wanted: &[u8]) -> bool {
    let bare = [&b"__host-"[..], b"__secure-"].iter().find_map(|prefix| {
        let (front, rest) = name.split_at_checked(prefix.len())?;
        front.eq_ignore_ascii_case(prefix).then_some(rest)
    });
    bare.unwrap_or(name).eq_ignore_ascii_case(wanted)
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len())
        .any(|window| window.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_cookie_stays_at_the_hub() {
        for (lines, expected) in [
            (&["a=1; b=2"][..], &["a=1; b=2"][..]),
            (&["jupyterhub-hub-login=x"], &[]),
            (
                &["a=1; jupyterhub-hub-login=\"x\"; jupyterhub-session-id=s; _xsrf=y"],
                &["a=1; jupyterhub-session-id=s; _xsrf=y"],
            ),
            (&["a=1;jupyterhub-hub-login = x;b=2"], &["a=1; b=2"]),
            (&["__Host-jupyterhub-hub-login=x; b=2"], &["b=2"]),
            (&["a=1", "jupyterhub-hub-login=x", "b=2"], &["a=1", "b=2"]),
            (&["a=jupyterhub-hub-login"], &["a=jupyterhub-hub-login"]),
            (&["jupyterhub-hub-login-2=x"], &["jupyterhub-hub-login-2=x"]),
            (&["jupyterhub-hub-login"], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, HeaderValue::from_static(line));
            }
            hide_login(&mut headers);
            let got: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(got, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_server_sets_cookies_for_itself() {
        for (line, expected) in [
            ("a=1; Path=/user/a@b/", Some("a=1; Path=/user/a@b/")),
            (
                "a=1; Path=/user/a%40b/lab",
                Some("a=1; Path=/user/a%40b/lab"),
            ),
            ("a=1; path = /user/a@b", Some("a=1; path = /user/a@b")),
            ("a=1; HttpOnly", Some("a=1; HttpOnly")),
            ("a=1; Path=lab", Some("a=1; Path=lab")),
            (
                "jupyterhub-user-a-oauth-state=\"2|1:0\"; HttpOnly; Max-Age=600; Path=/user/a@b/",
                Some(
                    "jupyterhub-user-a-oauth-state=\"2|1:0\"; HttpOnly; Max-Age=600; Path=/user/a@b/",
                ),
            ),
            (
                "a=1; Path=/; HttpOnly",
                Some("a=1; HttpOnly; Path=/user/a%40b/"),
            ),
            ("_xsrf=1; Path=/hub/", Some("_xsrf=1; Path=/user/a%40b/")),
            ("a=1; Path=/user/a@bc/", Some("a=1; Path=/user/a%40b/")),
            (
                "a=1; Path=/user/a@b/; Path=/",
                Some("a=1; Path=/user/a%40b/"),
            ),
            (
                "a=1; Path=/; Path=/user/a@b/",
                Some("a=1; Path=/; Path=/user/a@b/"),
            ),
            ("a=1; DOMAIN=.example.org", Some("a=1; Path=/user/a%40b/")),
            (
                "a=1; Domain; Secure",
                Some("a=1; Secure; Path=/user/a%40b/"),
            ),
            ("a;b=1; Path=/", None),
            ("jupyterhub-hub-login=x; Path=/user/a@b/", None),
            ("jupyterhub-session-id=x; Path=/user/a@b/", None),
            ("__Host-jupyterhub-session-id=x", None),
            (" JupyterHub-Session-Id =x", None),
            ("=jupyterhub-session-id=x", None),
            ("jupyterhub-session-id", None),
            ("", None),
        ] {
            let scope = Scope {
                prefix: "/user/a@b/",
                path: "/user/a%40b/lab",
                prefix_end: "/user/a%40b".len(),
            };
            let got = confine_one(HeaderValue::from_static(line), scope);
            assert_eq!(got, expected.map(HeaderValue::from_static), "{line:?}");
        }
    }

    #[test]
    fn a_cookie_without_a_path_needs_a_request_below_the_prefix() {
        let scope = Scope {
            prefix: "/user/al/",
            path: "/user/al",
            prefix_end: "/user/al".len(),
        };
        let got = confine_one(HeaderValue::from_static("a=1"), scope).unwrap();
        assert_eq!(got, "a=1; Path=/user/al/");
    }
}
