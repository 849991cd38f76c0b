//! Coming in and going out: names and passwords, the one-time link, browser sessions.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use spawner_core::{Secret, UserName};
use tokio::time::Instant;

use super::authenticator::{Authenticator, Claim, Proven};
use super::directory::Directory;
use super::login_link::LoginLinks;
use super::pam::PamError;
use super::password::{PasswordError, check_length};
use super::throttle::{LoginThrottle, TooEarly};
use crate::metrics::{Metrics, Status};
use crate::random::{new_session_id, new_token};
use crate::store::{Digest, NewSession, Store, StoreError, User, UserId};

/// How long a login lasts (JupyterHub's `cookie_max_age_days`).
const SESSION_LIFETIME: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Lets people in.
#[derive(Debug)]
pub(crate) struct Gate {
    store: Store,
    directory: Arc<Directory>,
    authenticator: Authenticator,
    throttle: LoginThrottle,
    signup_throttle: LoginThrottle,
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
    #[error("Your account is locked or your password has expired. Ask your administrator.")]
    Unusable,
    #[error("Your account has not been approved yet. Ask the administrator.")]
    Waiting,
    #[error("This hub has no passwords: open it through the page that leads to it")]
    NoForm,
    #[error("This link was used already or is too old. Restart hubd to get a new one.")]
    Link,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Pam(#[from] PamError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a sign-up is not noted. The sentence is for the page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignupError {
    #[error("there are no sign-ups here")]
    NotOffered,
    #[error(
        "A name here has letters a-z, digits and . _ @ + -, and may have to follow other rules. Try another one."
    )]
    Name,
    #[error(transparent)]
    TooEarly(#[from] TooEarly),
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
        authenticator: Authenticator,
        metrics: Metrics,
    ) -> Self {
        Self {
            store,
            directory,
            authenticator,
            throttle: LoginThrottle::new(),
            signup_throttle: LoginThrottle::new(),
            links: LoginLinks::new(),
            metrics,
        }
    }

    /// How people prove who they are.
    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
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
        let typed = username;
        let name = self.directory.name_of(typed);
        let attempt = self.throttle.begin(name.as_ref(), ip, Instant::now())?;
        let user = name.as_ref();
        let user = user.and_then(|name| self.store.users().by_name(name));
        let claim = Claim {
            typed,
            name: name.as_ref(),
            user: user.as_deref(),
            is_admin: name
                .as_ref()
                .is_some_and(|name| self.directory.is_admin_name(name, user.as_deref())),
            password,
            ip,
        };
        let began = Instant::now();
        let checked = match self.authenticator.check(claim).await {
            Ok(proven) => self.let_in(&proven).await,
            Err(error) => Err(error),
        };
        self.count(&checked, began);
        // A broken PAM is not the fault of whoever logs in, but nobody may guess for free meanwhile.
        let user = checked?;
        self.throttle.succeeded(attempt);
        Ok(user)
    }

    /// Logs in somebody who has proved elsewhere who they are.
    pub(crate) async fn enter(&self, proven: &Proven) -> Result<Login, LoginError> {
        let began = Instant::now();
        let user = self.let_in(proven).await;
        self.count(&user, began);
        self.begin_session(user?).await
    }

    /// The account of somebody who has proved who they are, if they may come in; the one place where
    /// that is decided.
    async fn let_in(&self, proven: &Proven) -> Result<Arc<User>, LoginError> {
        let known = self.store.users().by_name(&proven.name);
        let groups = proven.groups.as_deref();
        if !(self.directory).may_enter(&proven.name, known.as_deref(), groups) {
            return Err(LoginError::NotAllowed);
        }
        match known {
            Some(user) => Ok(user),
            None => self.ensure_user(&proven.name).await,
        }
    }

    fn count<T>(&self, result: &Result<T, LoginError>, began: Instant) {
        let status = match result {
            Ok(_) => Status::success,
            Err(_) => Status::failure,
        };
        self.metrics.logged_in(status, began.elapsed());
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
        if self.directory.is_blocked(&user) {
            return Err(LoginError::NotAllowed);
        }
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

    pub(super) async fn begin_session(&self, user: Arc<User>) -> Result<Login, LoginError> {
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

    /// Whether people may ask for an account here.
    pub(crate) fn takes_signups(&self) -> bool {
        self.directory.password_rules().allow_signup && self.has_passwords()
    }

    /// Whether the hub keeps passwords itself, which their owners may change.
    pub(crate) fn has_passwords(&self) -> bool {
        self.authenticator.by_password().is_some()
    }

    /// Notes that somebody asks for an account. Whether the name was free is for the admin to see: the
    /// answer to a stranger is the same.
    pub(crate) async fn sign_up(
        &self,
        username: &str,
        password: Secret,
        ip: IpAddr,
    ) -> Result<(), SignupError> {
        let offered = self.directory.password_rules().allow_signup;
        let by_password = self.authenticator.by_password().filter(|_| offered);
        let by_password = by_password.ok_or(SignupError::NotOffered)?;
        let name = self.directory.name_of(username).ok_or(SignupError::Name)?;
        check_length(
            password.expose(),
            self.directory.password_rules().minimum_length,
        )
        .map_err(PasswordError::from)?;
        // Kept as a failure, so that nobody goes on for long.
        let _charged = self.signup_throttle.begin(None, ip, Instant::now())?;
        let hash = by_password.hash(password).await?;
        let noted = self.store.signups();
        let noted = noted.create(name.clone(), hash, Timestamp::now()).await?;
        tracing::info!(user = %name, %ip, noted, "sign-up");
        Ok(())
    }

    /// Changes the password of somebody who knows the old one. Every login and token ends, so a new
    /// login is made for the browser that asked.
    pub(crate) async fn change_password(
        &self,
        user: &User,
        old: Secret,
        new: Secret,
        ip: IpAddr,
    ) -> Result<Login, LoginError> {
        let by_password = self.authenticator.by_password().ok_or(LoginError::NoForm)?;
        check_length(new.expose(), self.directory.password_rules().minimum_length)
            .map_err(PasswordError::from)?;
        let attempt = self.throttle.begin(Some(&user.name), ip, Instant::now())?;
        let current = user.password_hash.clone();
        if !by_password.verify(current, old).await? {
            return Err(LoginError::Wrong);
        }
        self.throttle.succeeded(attempt);
        let hash = by_password.hash(new).await?;
        let changed = self.store.users().change_password(user.id, Some(hash));
        let user = changed.await?;
        tracing::info!(user = %user.name, "password changed");
        self.begin_session(user).await
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
        let authenticator = Authenticator::new(&config, &store, None).unwrap();
        let gate = Gate::new(store, directory, authenticator, metrics);
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
