//! Passwords: the rule for new ones, and argon2id hashes.
//!
//! A hash takes tens of milliseconds and 19 MiB on purpose. [`Passwords`] therefore bounds how many
//! are worked out at once and how many may wait, and keeps them off the threads that serve requests.
//! Invariant: a login costs the same whether the user exists or not.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use spawner_core::Secret;
use tokio::task::{JoinError, spawn_blocking};
use tracing::error;

use super::turns::{Busy, Turns};

/// The shortest new password, in characters.
pub(crate) const LENGTH_MIN: usize = 8;
/// The longest password, in bytes; longer ones are refused unread.
pub(crate) const LENGTH_MAX: usize = 1024;
/// A hash that costs what a new one costs. Whether a password fits it does not matter.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm90IGEgcmVhbCB1c2VyIQ$\
                     AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a new password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordRule {
    /// Too short.
    #[error("a password has at least {0} characters")]
    TooShort(usize),
    /// Too long.
    #[error("a password has at most {LENGTH_MAX} bytes")]
    TooLong,
}

/// Why there is no answer about a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    /// The new password breaks the rule.
    #[error(transparent)]
    Rule(#[from] PasswordRule),
    /// 503.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// No randomness or no memory to work it out.
    #[error("the password could not be hashed")]
    Hash(#[from] argon2::password_hash::Error),
    /// The work was broken off.
    #[error("the password could not be checked")]
    Broken(#[from] JoinError),
}

/// Hashes and checks passwords, a few at a time.
#[derive(Debug, Clone)]
pub(crate) struct Passwords(Turns);

/// Checks a new password against the rule that always holds.
pub(crate) fn check_rule(password: &str) -> Result<(), PasswordRule> {
    check_length(password, LENGTH_MIN)
}

/// As [`check_rule`], where a password must have at least `min` characters.
pub(crate) fn check_length(password: &str, min: usize) -> Result<(), PasswordRule> {
    if password.len() > LENGTH_MAX {
        Err(PasswordRule::TooLong)
    } else if password.chars().count() < min {
        Err(PasswordRule::TooShort(min))
    } else {
        Ok(())
    }
}

/// Hashes a new password; the PHC text holds the salt and parameters. Takes tens of milliseconds.
pub(crate) fn hash(password: &str) -> Result<String, PasswordError> {
    check_rule(password)?;
    Ok(Argon2::default()
        .hash_password(password.as_bytes())?
        .to_string())
}

/// Whether `password` is the one behind `stored`. Without a stored hash the answer is no, after the
/// same work. Takes tens of milliseconds.
pub(crate) fn verify_or_dummy(stored: Option<&str>, password: &str) -> bool {
    // The answer is quick, but for every user alike.
    if password.len() > LENGTH_MAX {
        return false;
    }
    let stored = stored.and_then(|text| match PasswordHash::new(text) {
        Ok(hash) => Some(hash),
        Err(cause) => {
            error!(%cause, "a stored password hash cannot be read; its user cannot log in");
            None
        }
    });
    let known = stored.is_some();
    let Some(hash) = stored.or_else(|| PasswordHash::new(DUMMY).ok()) else {
        return false;
    };
    let fits = Argon2::default().verify_password(password.as_bytes(), &hash);
    fits.is_ok() && known
}

impl Passwords {
    /// Works on at most `parallel` passwords at once.
    pub(crate) fn new(parallel: usize) -> Self {
        Self(Turns::new(parallel))
    }

    /// [`hash`], in its turn.
    pub(crate) async fn hash(&self, password: Secret) -> Result<String, PasswordError> {
        self.run(move || hash(password.expose())).await?
    }

    /// [`verify_or_dummy`], in its turn.
    pub(crate) async fn verify(
        &self,
        stored: Option<String>,
        password: Secret,
    ) -> Result<bool, PasswordError> {
        self.run(move || verify_or_dummy(stored.as_deref(), password.expose()))
            .await
    }

    /// Runs `work` in its turn. The turn lasts until the work is done, even if the caller is gone
    /// by then: what counts is what runs, not who waits for it.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = self.0.take().await?;
        let answer = spawn_blocking(move || {
            let _held = turn;
            work()
        });
        Ok(answer.await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::JoinSet;

    use super::*;

    #[test]
    fn a_hash_fits_its_password_only() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$"));
        assert_ne!(stored, hash("correct horse").unwrap(), "the salt is random");
        assert!(verify_or_dummy(Some(&stored), "correct horse"));
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            assert!(!verify_or_dummy(Some(&stored), wrong), "{wrong:?} fits");
        }
    }

    #[test]
    fn an_unknown_user_costs_the_same() {
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(
            parameters(DUMMY),
            parameters(&hash("correct horse").unwrap())
        );
        let lengths = |text| {
            let hash = PasswordHash::new(text).unwrap();
            (
                hash.salt.map(|salt| salt.len()),
                hash.hash.map(|hash| hash.len()),
            )
        };
        assert_eq!(lengths(DUMMY), lengths(&hash("correct horse").unwrap()));
        assert!(!verify_or_dummy(None, "correct horse"));
    }

    #[test]
    fn a_hash_that_cannot_be_read_fits_nothing() {
        for stored in [
            "",
            "x",
            "$argon2id$",
            "$2b$12$abcdefghijklmnopqrstuv",
            DUMMY,
        ] {
            assert!(!verify_or_dummy(Some(stored), "correct horse"));
        }
    }

    #[test]
    fn new_passwords_follow_the_rule() {
        assert_eq!(
            check_rule("1234567"),
            Err(PasswordRule::TooShort(LENGTH_MIN))
        );
        assert_eq!(check_rule("12345678"), Ok(()));
        assert_eq!(check_rule("ääääääää"), Ok(()));
        assert_eq!(check_rule(&"x".repeat(1024)), Ok(()));
        assert_eq!(check_rule(&"x".repeat(1025)), Err(PasswordRule::TooLong));
        assert!(matches!(
            hash("short"),
            Err(PasswordError::Rule(PasswordRule::TooShort(LENGTH_MIN)))
        ));
        let long = "x".repeat(1025);
        assert!(!verify_or_dummy(
            Some(&hash("correct horse").unwrap()),
            &long
        ));
    }

    #[tokio::test]
    async fn passwords_are_worked_on_in_turn() {
        let passwords = Passwords::new(2);
        let stored = passwords.hash(Secret::new("correct horse")).await.unwrap();
        let right = passwords.verify(Some(stored.clone()), Secret::new("correct horse"));
        let wrong = passwords.verify(Some(stored), Secret::new("wrong horse"));
        let (right, wrong) = tokio::join!(right, wrong);
        assert!(right.unwrap());
        assert!(!wrong.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_says_so() {
        let passwords = Passwords::new(1);
        let _taken = passwords.0.take_all().await;
        let refused = passwords.verify(None, Secret::new("correct horse")).await;
        assert!(matches!(refused, Err(PasswordError::Busy(_))));
    }

    #[tokio::test]
    async fn a_caller_who_leaves_does_not_free_the_turn() {
        let passwords = Passwords::new(1);
        let (started, has_started) = tokio::sync::oneshot::channel();
        let (finish, may_finish) = mpsc::channel::<()>();
        let mut callers = JoinSet::new();
        let work = passwords.clone();
        callers.spawn(async move {
            work.run(move || {
                let _ = started.send(());
                may_finish.recv()
            })
            .await
        });
        has_started.await.unwrap();
        callers.shutdown().await;
        assert_eq!(passwords.0.free(), 0);
        drop(finish);
        let _free = passwords.0.take().await.unwrap();
    }
}
