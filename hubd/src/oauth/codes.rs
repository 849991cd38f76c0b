//! Codes between the two steps.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use spawner_core::Secret;
use tokio::time::Instant;

use super::pkce::Challenge;
use crate::random::new_token;
use crate::store::{ClientOf, Digest, TokenId, UserId};

/// How long a code works.
const LIFETIME: Duration = Duration::from_secs(300);
/// The most codes that are remembered; then the oldest go.
const REMEMBERED: usize = 10_000;

/// What a code stands for.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client_id: String,
    /// What the client was: a later server may bear the same name.
    pub(super) of: ClientOf,
    pub(super) user: UserId,
    pub(super) session_id: String,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<Challenge>,
}

/// The codes that are out, and those that were used.
#[derive(Debug, Default)]
pub(super) struct Codes(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    codes: HashMap<Digest, Code>,
    oldest_first: VecDeque<Digest>,
}

#[derive(Debug)]
struct Code {
    grant: Grant,
    expires: Instant,
    use_: Use,
}

#[derive(Debug, Clone, Copy)]
enum Use {
    None,
    /// It is being exchanged, or was; for this token in the end.
    Once(Option<TokenId>),
}

/// What becomes of a code that is presented.
#[derive(Debug)]
pub(super) enum Presented {
    /// It works, now and never again.
    Fresh(Box<Grant>),
    /// It was used before, for this token if that came to be.
    Again(Option<TokenId>),
    /// Unknown, too old, or of another client.
    Unknown,
}

impl Codes {
    /// A code that stands for `grant`.
    pub(super) fn issue(&self, grant: Grant, now: Instant) -> Secret {
        let code = new_token();
        let digest = Digest::of(code.expose());
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        book.forget_old(now);
        book.codes.insert(
            digest,
            Code {
                grant,
                expires: now + LIFETIME,
                use_: Use::None,
            },
        );
        book.oldest_first.push_back(digest);
        code
    }

    /// Looks at the grant of a code without using it up; `client_id` must be the one it was issued
    /// to.
    pub(super) fn look(&self, code: &str, client_id: &str, now: Instant) -> Option<Grant> {
        let book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let code = book.codes.get(&Digest::of(code))?;
        let usable = code.expires > now && matches!(code.use_, Use::None);
        (usable && code.grant.client_id == client_id).then(|| code.grant.clone())
    }

    /// Uses a code up.
    pub(super) fn present(&self, code: &str, client_id: &str, now: Instant) -> Presented {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(code) = book.codes.get_mut(&Digest::of(code)) else {
            return Presented::Unknown;
        };
        if code.grant.client_id != client_id || code.expires <= now {
            return Presented::Unknown;
        }
        match code.use_ {
            Use::Once(token) => Presented::Again(token),
            Use::None => {
                code.use_ = Use::Once(None);
                Presented::Fresh(Box::new(code.grant.clone()))
            }
        }
    }

    /// Remembers which token a code was exchanged for.
    pub(super) fn exchanged(&self, code: &str, token: TokenId) {
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(code) = book.codes.get_mut(&Digest::of(code)) {
            code.use_ = Use::Once(Some(token));
        }
    }
}

impl Book {
    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.oldest_first.front() {
            let old = self
                .codes
                .get(oldest)
                .is_none_or(|code| code.expires <= now);
            if !old && self.oldest_first.len() < REMEMBERED {
                break;
            }
            self.codes.remove(oldest);
            self.oldest_first.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ServerRowId;

    fn grant() -> Grant {
        Grant {
            of: ClientOf::Server(ServerRowId(1)),
            client_id: "ours".into(),
            user: UserId(1),
            session_id: "s".into(),
            scopes: Vec::new(),
            redirect_uri: "/user/tee/oauth_callback".into(),
            challenge: None,
        }
    }

    #[test]
    fn a_code_works_once_for_its_client() {
        let (codes, now) = (Codes::default(), Instant::now());
        let code = codes.issue(grant(), now);
        let code = code.expose();
        assert!(matches!(
            codes.present(code, "theirs", now),
            Presented::Unknown
        ));
        assert!(codes.look(code, "theirs", now).is_none());
        assert!(codes.look(code, "ours", now).is_some());
        assert!(matches!(
            codes.present(code, "ours", now),
            Presented::Fresh(_)
        ));
        assert!(codes.look(code, "ours", now).is_none());
        assert!(matches!(
            codes.present(code, "ours", now),
            Presented::Again(None)
        ));
        codes.exchanged(code, TokenId(7));
        assert!(matches!(
            codes.present(code, "ours", now),
            Presented::Again(Some(TokenId(7)))
        ));
    }

    #[test]
    fn a_code_grows_old() {
        let (codes, now) = (Codes::default(), Instant::now());
        let code = codes.issue(grant(), now);
        let later = now + LIFETIME;
        assert!(codes.look(code.expose(), "ours", later).is_none());
        assert!(matches!(
            codes.present(code.expose(), "ours", later),
            Presented::Unknown
        ));
    }

    #[test]
    fn the_book_is_bounded() {
        let (codes, now) = (Codes::default(), Instant::now());
        let first = codes.issue(grant(), now);
        for _ in 0..REMEMBERED {
            codes.issue(grant(), now);
        }
        assert_eq!(codes.0.lock().unwrap().codes.len(), REMEMBERED);
        assert!(codes.look(first.expose(), "ours", now).is_none());
    }
}
