//! Proof that a request was made by one of the hub's own pages.
//!
//! ```text
//! token = base64url(HMAC-SHA256(hub key, session id + user))            logged in
//!         base64url(HMAC-SHA256(hub key, client network + User-Agent))  before login
//!
//! page -- Set-Cookie _xsrf, form field _xsrf --> browser -- both come back --> check
//! ```
//!
//! A page of another site can make the browser send the cookie, but can neither read it nor set one
//! that fits: the token is worth something only in the session it was made for, so a cookie planted
//! from a sibling domain proves nothing. The same session always has the same token, so tabs do not
//! spoil each other's forms, and nothing is stored.
//!
//! [`need::needs_check`] says which requests must bring it.

pub(crate) mod need;

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use spawner_core::UserName;
use subtle::ConstantTimeEq as _;

use super::throttle::client_network;

/// Makes and checks the tokens of one hub.
#[derive(Clone)]
pub(crate) struct Xsrf(Hmac<Sha256>);

/// Whose token it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Browser<'a> {
    /// Somebody who is logged in.
    LoggedIn {
        /// Who.
        user: &'a UserName,
        /// The id of the browser session that the login cookie proved.
        session: &'a str,
    },
    /// Somebody on the way to it. What is known of them should hold for the few minutes that takes.
    Anonymous {
        /// The client's address as the proxy reports it.
        ip: IpAddr,
        /// The `User-Agent` header; empty without one.
        user_agent: &'a str,
    },
}

/// Why a request is not taken for one of the hub's pages: 403.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XsrfError {
    /// No token in field, query or header.
    #[error(
        "this request does not say which page it comes from: reload the page and try again \
         (scripts send the _xsrf cookie's value in the X-XSRFToken header)"
    )]
    Missing,
    /// No cookie of this session.
    #[error(
        "the browser sent no _xsrf cookie of this session: \
         allow cookies for this site, reload the page and try again"
    )]
    NoCookie,
    /// A token of another session, or none that was made here.
    #[error("this page is from another session: reload it and try again")]
    Wrong,
}

/// Shows no key.
impl std::fmt::Debug for Xsrf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Xsrf")
    }
}

impl Xsrf {
    /// For a hub with this key, which outlives restarts.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The token of `browser`: what the cookie `_xsrf` must hold and pages must repeat.
    pub(crate) fn token(&self, browser: &Browser<'_>) -> String {
        let mut mac = self.0.clone();
        // Each field goes in behind its length, so no two sets of fields make the same input.
        let mut field = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        };
        match browser {
            Browser::LoggedIn { user, session } => {
                field(b"hubd xsrf user");
                field(user.as_str().as_bytes());
                field(session.as_bytes());
            }
            Browser::Anonymous { ip, user_agent } => {
                field(b"hubd xsrf anonymous");
                field(client_network(*ip).to_string().as_bytes());
                field(user_agent.as_bytes());
            }
        }
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }

    /// Checks that a request of `browser` presents the token of its session and has it as a cookie
    /// too. Other cookies of that name, wherever they come from, count for nothing.
    pub(crate) fn check(
        &self,
        browser: &Browser<'_>,
        cookies: &[&str],
        presented: Option<&str>,
    ) -> Result<(), XsrfError> {
        let presented = presented.ok_or(XsrfError::Missing)?;
        let token = self.token(browser);
        let is_token = |text: &str| bool::from(text.as_bytes().ct_eq(token.as_bytes()));
        if !is_token(presented) {
            Err(XsrfError::Wrong)
        } else if !cookies.iter().any(|cookie| is_token(cookie)) {
            Err(XsrfError::NoCookie)
        } else {
            Ok(())
        }
    }
}

/// The token that a request presents: the form field or query parameter `_xsrf`, else the header
/// `X-XSRFToken` or `X-CSRFToken`.
pub(crate) fn presented<'a>(field: Option<&'a str>, headers: &'a HeaderMap) -> Option<&'a str> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let mut places = [field, header("x-xsrftoken"), header("x-csrftoken")].into_iter();
    places.find_map(|place| place.filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn alice() -> UserName {
        UserName::new("alice").unwrap()
    }

    fn anonymous(ip: &str, user_agent: &'static str) -> Browser<'static> {
        let ip = ip.parse().unwrap();
        Browser::Anonymous { ip, user_agent }
    }

    #[test]
    fn only_the_token_of_this_session_counts() {
        let xsrf = Xsrf::new(&KEY);
        let (alice, bob) = (alice(), UserName::new("bob").unwrap());
        let browser = Browser::LoggedIn {
            user: &alice,
            session: "s1",
        };
        let good = xsrf.token(&browser);
        assert_eq!(good.len(), 43);
        let foreign = [
            xsrf.token(&Browser::LoggedIn {
                user: &alice,
                session: "s2",
            }),
            xsrf.token(&Browser::LoggedIn {
                user: &bob,
                session: "s1",
            }),
            xsrf.token(&anonymous("127.0.0.1", "Firefox")),
            Xsrf::new(&[8; 32]).token(&browser),
            good[..42].to_owned(),
            format!("{good}A"),
            String::new(),
            "x".into(),
        ];
        for other in &foreign {
            let both = [other.as_str()];
            assert_eq!(
                xsrf.check(&browser, &both, Some(other)),
                Err(XsrfError::Wrong)
            );
            assert_eq!(
                xsrf.check(&browser, &[&good], Some(other)),
                Err(XsrfError::Wrong)
            );
            assert_eq!(
                xsrf.check(&browser, &both, Some(&good)),
                Err(XsrfError::NoCookie)
            );
            // The attacker's cookie beside the right one, in either order.
            assert_eq!(xsrf.check(&browser, &[other, &good], Some(&good)), Ok(()));
            assert_eq!(xsrf.check(&browser, &[&good, other], Some(&good)), Ok(()));
        }
        assert_eq!(
            xsrf.check(&browser, &[&good], None),
            Err(XsrfError::Missing)
        );
        assert_eq!(
            xsrf.check(&browser, &[], Some(&good)),
            Err(XsrfError::NoCookie)
        );
    }

    #[test]
    fn fields_do_not_run_together() {
        let xsrf = Xsrf::new(&KEY);
        let (ab, a) = (UserName::new("ab").unwrap(), UserName::new("a").unwrap());
        assert_ne!(
            xsrf.token(&Browser::LoggedIn {
                user: &ab,
                session: "c"
            }),
            xsrf.token(&Browser::LoggedIn {
                user: &a,
                session: "bc"
            })
        );
    }

    #[test]
    fn before_login_the_client_is_its_network_and_program() {
        let token = |ip, agent| Xsrf::new(&KEY).token(&anonymous(ip, agent));
        assert_eq!(token("10.0.0.1", "A"), token("::ffff:10.0.0.1", "A"));
        assert_eq!(token("2001:db8::1", "A"), token("2001:db8::2", "A"));
        assert_ne!(token("2001:db8::1", "A"), token("2001:db8:0:1::1", "A"));
        assert_ne!(token("10.0.0.1", "A"), token("10.0.0.2", "A"));
        assert_ne!(token("10.0.0.1", "A"), token("10.0.0.1", "B"));
    }

    #[test]
    fn the_token_is_found_in_field_or_header() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let pair = |&(name, value): &(&'static str, &'static str)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            };
            pairs.iter().map(pair).collect()
        };
        for (field, pairs, expected) in [
            (Some("f"), &[("x-xsrftoken", "h")][..], Some("f")),
            (Some(""), &[("x-xsrftoken", "h")], Some("h")),
            (None, &[("x-csrftoken", "c")], Some("c")),
            (
                None,
                &[("x-xsrftoken", ""), ("x-csrftoken", "c")],
                Some("c"),
            ),
            (None, &[("x-http-method-override", "GET")], None),
        ] {
            assert_eq!(presented(field, &headers(pairs)), expected);
        }
    }
}
