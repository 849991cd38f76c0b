//! One attempt to log in elsewhere: what leaves with the browser must come back with it.
//!
//! ```text
//! cookie    = end . random . next
//! state     = HMAC(hub key, "state", cookie)      in the address, there and back
//! nonce     = HMAC(hub key, "nonce", cookie)      in the ID token that the provider signs
//! verifier  = HMAC(hub key, "verifier", cookie)   never leaves the hub but to the provider (PKCE)
//! ```
//!
//! The state proves the cookie and the cookie proves the browser, so an attempt of one browser is
//! worth nothing in another, and nobody can make either without the hub's key. The hub keeps nothing
//! of an attempt but, for as long as it could be made again, that it has led to a login.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;
use spawner_core::Secret;
use subtle::ConstantTimeEq as _;

use crate::random::new_token;

/// How long somebody may take to sign in at the provider.
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// The longest way on that is remembered, in bytes: a cookie has 4096 at most.
const NEXT_MAX: usize = 2048;
/// The most logins that are remembered as made. Each has cost an account at the provider.
const MADE_MAX: usize = 10_000;

/// Begins attempts and knows them again.
pub(crate) struct Attempts {
    key: Hmac<Sha256>,
    /// Those that have led to a login, by their state, until they end.
    made: Mutex<HashMap<String, Timestamp>>,
}

/// One attempt.
pub(crate) struct Attempt {
    key: Hmac<Sha256>,
    cookie: String,
}

/// Shows no key.
impl std::fmt::Debug for Attempts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempts")
    }
}

impl Attempts {
    /// For a hub with this key, which outlives restarts.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            key: Hmac::new_from_slice(key).expect("HMAC takes a key of any length"),
            made: Mutex::default(),
        }
    }

    /// A new one, which leads on to `next`; a way that is too long is forgotten.
    pub(crate) fn begin(&self, next: Option<&str>, now: Timestamp) -> Attempt {
        let next = next.filter(|next| next.len() <= NEXT_MAX);
        let end = now.saturating_add(LIFETIME).unwrap_or(now);
        let (end, random) = (end.as_second(), new_token());
        let next = URL_SAFE_NO_PAD.encode(next.unwrap_or_default());
        self.attempt(format!("{end}.{}.{next}", random.expose()))
    }

    /// The one of a browser that has these cookies and comes back with this state.
    pub(crate) fn resume(&self, cookies: &[&str], state: &str, now: Timestamp) -> Option<Attempt> {
        let attempts = cookies.iter().map(|cookie| self.attempt((*cookie).into()));
        let mut ours = attempts.filter(|attempt| {
            let own = attempt.state();
            bool::from(own.as_bytes().ct_eq(state.as_bytes()))
        });
        ours.find(|attempt| attempt.end().is_some_and(|end| now < end))
    }

    /// Notes that an attempt leads to a login. `false` if it has before.
    pub(crate) fn use_up(&self, attempt: &Attempt, now: Timestamp) -> bool {
        let Some(end) = attempt.end() else {
            return false;
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.retain(|_, end| now < *end);
        made.len() < MADE_MAX && made.insert(attempt.state(), end).is_none()
    }

    fn attempt(&self, cookie: String) -> Attempt {
        Attempt {
            key: self.key.clone(),
            cookie,
        }
    }
}

impl Attempt {
    /// What the browser keeps.
    pub(crate) fn cookie(&self) -> &str {
        &self.cookie
    }

    /// What goes to the provider and back in addresses.
    pub(super) fn state(&self) -> String {
        self.derive("state")
    }

    /// What the provider must repeat in what it signs.
    pub(super) fn nonce(&self) -> String {
        self.derive("nonce")
    }

    /// What proves to the provider that who brings the code has begun this attempt: 43 characters,
    /// the least that PKCE takes.
    pub(super) fn verifier(&self) -> Secret {
        Secret::new(self.derive("verifier"))
    }

    /// Where it leads on to, as it was asked for.
    pub(crate) fn next(&self) -> Option<String> {
        let (_, next) = self.cookie.rsplit_once('.')?;
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        (!next.is_empty()).then_some(next)
    }

    fn end(&self) -> Option<Timestamp> {
        let (end, _) = self.cookie.split_once('.')?;
        Timestamp::from_second(end.parse().ok()?).ok()
    }

    fn derive(&self, what: &str) -> String {
        let mut mac = self.key.clone();
        // The label has no NUL in it, so no two labels and cookies make the same input.
        mac.update(b"hubd oidc ");
        mac.update(what.as_bytes());
        mac.update(&[0]);
        mac.update(self.cookie.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn attempts() -> Attempts {
        Attempts::new(&[7; 32])
    }

    #[test]
    fn an_attempt_comes_back_to_its_browser_only() {
        let attempts = attempts();
        let mine = attempts.begin(Some("/hub/spawn?a=b"), at(0));
        let other = attempts.begin(None, at(0));
        let (cookie, state) = (mine.cookie(), mine.state());
        let back = attempts.resume(&["junk", cookie], &state, at(1)).unwrap();
        assert_eq!(back.next().as_deref(), Some("/hub/spawn?a=b"));
        assert_eq!((back.nonce(), back.state()), (mine.nonce(), state.clone()));
        assert_eq!(back.verifier().expose(), mine.verifier().expose());
        assert_eq!(back.verifier().expose().len(), 43);
        assert_eq!(other.next(), None);

        let longer = format!("9{cookie}");
        let elsewhere = cookie.replace(cookie.rsplit('.').next().unwrap(), "L2V2aWw");
        let cookies: [&[&str]; 6] = [
            &[],
            &[""],
            &[other.cookie()],
            &[&longer],
            &[&elsewhere],
            &["1.2.3"],
        ];
        for cookies in cookies {
            assert!(attempts.resume(cookies, &state, at(1)).is_none());
        }
        for state in ["", "x", &other.state(), &mine.nonce(), &state[1..]] {
            assert!(
                attempts.resume(&[cookie], state, at(1)).is_none(),
                "{state}"
            );
        }
        let another_hub = Attempts::new(&[8; 32]);
        assert!(another_hub.resume(&[cookie], &state, at(1)).is_none());
    }

    #[test]
    fn it_ends() {
        let attempts = attempts();
        let mine = attempts.begin(None, at(0));
        let resume = |second| attempts.resume(&[mine.cookie()], &mine.state(), at(second));
        assert!(resume(899).is_some());
        assert!(resume(900).is_none());
    }

    #[test]
    fn it_leads_to_one_login_and_nothing_is_kept_for_longer() {
        let attempts = attempts();
        let mine = attempts.begin(None, at(0));
        assert!(attempts.use_up(&mine, at(1)));
        assert!(!attempts.use_up(&mine, at(2)));
        let later = attempts.begin(None, at(900));
        assert!(attempts.use_up(&later, at(900)));
        assert_eq!(attempts.made.lock().unwrap().len(), 1);
    }

    #[test]
    fn beginning_costs_no_memory_and_logins_are_bounded() {
        let attempts = attempts();
        for n in 0..MADE_MAX + 5 {
            let attempt = attempts.begin(None, at(0));
            assert_eq!(attempts.use_up(&attempt, at(1)), n < MADE_MAX);
        }
        for _ in 0..10 {
            attempts.begin(Some(&"/x".repeat(1000)), at(0));
        }
        assert_eq!(attempts.made.lock().unwrap().len(), MADE_MAX);
    }

    #[test]
    fn a_way_that_is_too_long_is_forgotten() {
        let long = format!("/{}", "x".repeat(NEXT_MAX));
        assert_eq!(attempts().begin(Some(&long), at(0)).next(), None);
        let fits = &long[..NEXT_MAX];
        let attempt = attempts().begin(Some(fits), at(0));
        assert_eq!(attempt.next().as_deref(), Some(fits));
        assert!(attempt.cookie().len() < 3000);
    }
}
