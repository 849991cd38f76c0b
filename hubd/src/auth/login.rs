//! Coming in and going out: names and passwords, the one-time link, browser sessions.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use spawner_core::{Secret, UserName};
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::directory::Directory;
use super::login_link::LoginLinks;
use super::password::{PasswordError, Passwords};
use super::throttle::{LoginThrottle, TooEarly};
use crate::config::AuthKind;
use crate::metrics::{LoginLabels, Metrics};
use crate::random::{new_session_id, new_token};
use crate::store::{Digest, NewSession, Store, StoreError, User, UserId};

/// How long a login lasts (JupyterHub's `cookie_max_age_days`).
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Lets people in.
#[derive(Debug)]
pub(crate) struct Gate {
    store: Store,
    directory: Arc<Directory>,
    kind: AuthKind,
    dummy_password: Option<Secret>,
    passwords: Passwords,
    throttle: LoginThrottle,
    links: LoginLinks,
    metrics: Metrics,
}

/// Why somebody is not let in. The sentence is for the login page; it never says whether a name
/// exists.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error(transparent)]
    TooEarly(#[from] TooEarly),
    #[error("Invalid username or password")]
    Wrong,
    #[error("You are not allowed to use this hub. Ask its administrator.")]
    NotAllowed,
    #[error("This link was used already or is too old. Restart hubd to get a new one.")]
    Link,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A fresh login of one browser.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) user: Arc<User>,
    /// The value of the login cookie.
    pub(crate) cookie: Secret,
    /// The value of the session cookie.
    pub(crate) session_id: String,
}

impl Gate {
    pub(crate) fn new(
        store: Store,
        directory: Arc<Directory>,
        kind: AuthKind,
        dummy_password: Option<Secret>,
        metrics: Metrics,
    ) -> Self {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            store,
            directory,
            kind,
            dummy_password,
            passwords: Passwords::new(workers),
            throttle: LoginThrottle::new(),
            links: LoginLinks::new(),
            metrics,
        }
    }

    /// Logs in with name and password as they were typed, from `ip`.
    pub(crate) async fn log_in(
        &self,
        username: &str,
        password: Secret,
        ip: IpAddr,
    ) -> Result<Login, LoginError> {
        let user = self.prove(username, password, ip).await?;
        self.begin_session(user).await
    }

    /// Who has this name and password, without a login.
    pub(crate) async fn prove(
        &self,
        username: &str,
        password: Secret,
        ip: IpAddr,
    ) -> Result<Arc<User>, LoginError> {
        let name = UserName::new(username.trim()).ok();
        let attempt = self.throttle.begin(name.as_ref(), ip, Instant::now())?;
        let checked = self.check(name.as_ref(), password).await;
        self.metrics
            .logins
            .get_or_create(&LoginLabels {
                success: checked.is_ok(),
            })
            .inc();
        let user = checked?;
        self.throttle.succeeded(attempt);
        Ok(user)
    }

    async fn check(
        &self,
        name: Option<&UserName>,
        password: Secret,
    ) -> Result<Arc<User>, LoginError> {
        let known = name.and_then(|name| self.store.users().by_name(name));
        let right = match self.kind {
            AuthKind::Dummy => self.dummy_password.as_ref().is_none_or(|expected| {
                expected
                    .expose()
                    .as_bytes()
                    .ct_eq(password.expose().as_bytes())
                    .into()
            }),
            AuthKind::Password => {
                let hash = known.as_ref().and_then(|user| user.password_hash.as_ref());
                let hash = hash.map(|hash| hash.expose().to_owned());
                self.passwords.verify(hash, password).await?
            }
        };
        let (Some(name), true) = (name, right) else {
            return Err(LoginError::Wrong);
        };
        if !self.directory.may_enter(name) {
            return Err(LoginError::NotAllowed);
        }
        match known {
            Some(user) => Ok(user),
            None => self.ensure_user(name).await,
        }
    }

    /// A link that logs in as `user` once.
    pub(crate) fn issue_link(&self, user: UserName) -> Secret {
        self.links.issue(user, Instant::now())
    }

    /// Logs in by the one-time link with this secret.
    pub(crate) async fn log_in_by_link(&self, secret: &str) -> Result<Login, LoginError> {
        let name = self
            .links
            .redeem(secret, Instant::now())
            .ok_or(LoginError::Link)?;
        let user = self.ensure_user(&name).await?;
        self.begin_session(user).await
    }

    /// The user of that name, made if there is none.
    pub(crate) async fn ensure_user(&self, name: &UserName) -> Result<Arc<User>, LoginError> {
        if let Some(user) = self.store.users().by_name(name) {
            return Ok(user);
        }
        self.store
            .users()
            .create(vec![name.clone()], false, Timestamp::now())
            .await?;
        self.store
            .users()
            .by_name(name)
            .ok_or(LoginError::Store(StoreError::NotFound("user")))
    }

    async fn begin_session(&self, user: Arc<User>) -> Result<Login, LoginError> {
        let now = Timestamp::now();
        let (cookie, session_id) = (new_token(), new_session_id());
        let session = NewSession {
            hash: Digest::of(cookie.expose()),
            user: user.id,
            password_hash: user.password_hash.clone(),
            session_id: session_id.clone(),
            expires_at: now
                .saturating_add(SESSION_LIFETIME)
                .unwrap_or(Timestamp::MAX),
        };
        match self.store.sessions().create(session, now).await {
            // Somebody changed the password while this one was being checked.
            Err(StoreError::Conflict(_)) => return Err(LoginError::Wrong),
            created => drop(created?),
        }
        self.store.users().touch(user.id, now).await?;
        tracing::info!(user = %user.name, "logged in");
        Ok(Login {
            user,
            cookie,
            session_id,
        })
    }

    /// Ends one browser session of `user` with all that was granted in it.
    pub(crate) async fn log_out(&self, user: UserId, session_id: &str) -> Result<(), StoreError> {
        self.store.sessions().log_out(user, session_id).await
    }
}

#[cfg(test)]
mod tests {
    use super::super::accounts::Accounts;
    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn a_password_that_changes_while_it_is_checked_lets_nobody_in() {
        let config = "[auth]\nkind = 'password'\nallowed_users = ['ann']\n";
        let config = Config::parse(config, "hubd.toml").unwrap();
        let store = Store::open_in_memory().unwrap();
        let directory = Arc::new(Directory::new(&config, store.clone()).unwrap());
        let accounts = Accounts::new(store.clone(), Arc::clone(&directory));
        let metrics = Metrics::new(store.counters());
        let gate = Gate::new(store, directory, AuthKind::Password, None, metrics);
        let (ann, ip) = (UserName::new("ann").unwrap(), IpAddr::from([127, 0, 0, 1]));
        let (old, new) = (Secret::new("old horse"), Secret::new("new horse"));
        accounts.add(&ann, false, old.clone()).await.unwrap();

        let proven = gate.prove("ann", old, ip).await.unwrap();
        accounts.set_password(&ann, new.clone()).await.unwrap();
        let late = gate.begin_session(proven).await;
        assert!(matches!(late, Err(LoginError::Wrong)), "{late:?}");
        gate.log_in("ann", new, ip).await.unwrap();
    }
}
