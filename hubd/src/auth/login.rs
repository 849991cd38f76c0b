//! Coming in and going out: names and passwords, the one-time link, browser sessions.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use spawner_core::{Secret, UserName};
use tokio::time::Instant;

use super::authenticator::{Authenticator, Claim, Proven};
use super::directory::Directory;
use super::login_link::LoginLinks;
use super::oidc::{Person, shown};
use super::pam::PamError;
use super::password::{PasswordError, check_length};
use super::refused::RefusedLogins;
use super::throttle::{LoginThrottle, TooEarly};
use crate::metrics::{Metrics, Status};
use crate::random::{new_session_id, new_token};
use crate::store::audit::{Action, Actor, Entry, Means, Object};
use crate::store::{Digest, Identity, NewSession, Store, StoreError, User};

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
    refused: RefusedLogins,
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
    #[error("Your name cannot be one of this hub. Ask its administrator.")]
    Name,
    #[error("The account {0} belongs to somebody else. Ask the administrator.")]
    Taken(UserName),
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
            refused: RefusedLogins::default(),
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
        self.begin_session(user, Means::Password, ip).await
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
        let user = name.as_ref();
        let user = user.and_then(|name| self.store.users().by_name(name));
        let attempt = match self.throttle.begin(name.as_ref(), ip, Instant::now()) {
            Ok(attempt) => attempt,
            Err(early) => {
                let error = LoginError::from(early);
                self.note_refused(user.as_deref(), Means::Password, ip, &error)
                    .await;
                return Err(error);
            }
        };
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
        if let Err(error) = &checked {
            self.note_refused(user.as_deref(), Means::Password, ip, error)
                .await;
        }
        // A broken PAM is not the fault of whoever logs in, but nobody may guess for free meanwhile.
        let user = checked?;
        self.throttle.succeeded(attempt);
        Ok(user)
    }

    /// Logs in somebody who has proved elsewhere who they are, and asks from `ip`.
    pub(crate) async fn enter(&self, proven: &Proven, ip: IpAddr) -> Result<Login, LoginError> {
        let began = Instant::now();
        let user = self.let_in(proven).await;
        self.count(&user, began);
        if let Err(error) = &user {
            let known = self.store.users().by_name(&proven.name);
            self.note_refused(known.as_deref(), Means::External, ip, error)
                .await;
        }
        self.begin_session(user?, Means::External, ip).await
    }

    /// Writes down that somebody was not let in, unless too many were lately; those are told of by
    /// [`Gate::tell_refused`]. The name is written only if it is one of ours: what was typed may be a
    /// password.
    async fn note_refused(
        &self,
        user: Option<&User>,
        means: Means,
        ip: IpAddr,
        error: &LoginError,
    ) {
        if !self.refused.has_room_for(ip) {
            return;
        }
        let entry = Entry::new(Actor::nobody(means, ip), Action::Login)
            .refused()
            .with("reason", error.word());
        let entry = match user {
            Some(user) => entry.on_user(user),
            None => entry.on(Object::hub()),
        };
        self.note_or_warn(entry).await;
    }

    /// Tells the audit log how many were refused of whom it knows nothing else, and lets it know of
    /// the next ones again.
    pub(crate) async fn tell_refused(&self) {
        if let Some(count) = self.refused.begin_anew() {
            let entry = Entry::new(Actor::hub("login"), Action::Login).on(Object::hub());
            let entry = entry.refused().with("count", count);
            self.note_or_warn(entry).await;
        }
    }

    /// Who is refused stays refused, whether or not it can be written down.
    async fn note_or_warn(&self, entry: Entry) {
        if let Err(error) = self.store.note(entry).await {
            tracing::warn!(%error, "cannot record a refused login");
        }
    }

    /// Logs in somebody whom a provider knows: under the name of the account that is theirs, else that
    /// which the provider has for them.
    pub(crate) async fn enter_as(&self, person: Person, ip: IpAddr) -> Result<Login, LoginError> {
        let own = self.store.identities().user(&person.identity);
        let name = match own {
            Some(user) => user.name.clone(),
            None => (self.directory.name_of(&person.name)).ok_or(LoginError::Name)?,
        };
        let proven = Proven {
            name,
            groups: person.groups,
            identity: Some(person.identity),
        };
        self.enter(&proven, ip).await
    }

    /// The account of somebody who has proved who they are, if they may come in; the one place where
    /// that is decided.
    async fn let_in(&self, proven: &Proven) -> Result<Arc<User>, LoginError> {
        let known = self.store.users().by_name(&proven.name);
        let groups = proven.groups.as_deref();
        if !(self.directory).may_enter(&proven.name, known.as_deref(), groups) {
            return Err(LoginError::NotAllowed);
        }
        match (&proven.identity, known) {
            (Some(identity), _) => self.bind(identity, &proven.name).await,
            (None, Some(user)) => Ok(user),
            (None, None) => self.ensure_user(&proven.name).await,
        }
    }

    /// The account of that name, which is from now on that of `identity` and nobody else.
    async fn bind(&self, identity: &Identity, name: &UserName) -> Result<Arc<User>, LoginError> {
        let identities = self.store.identities();
        if let Some(own) = identities.user(identity).filter(|own| own.name == *name) {
            return Ok(own);
        }
        let entry = Entry::new(Actor::hub("login"), Action::UserBind)
            .with("issuer", &identity.issuer)
            .with("subject", shown(&identity.subject));
        let store = self.store.noting(entry);
        let bound = (store.identities())
            .bind(identity.clone(), name.clone(), Timestamp::now())
            .await;
        match bound {
            Ok(user) => Ok(user),
            Err(StoreError::Conflict(_)) => Err(LoginError::Taken(name.clone())),
            Err(error) => Err(error.into()),
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
    pub(crate) async fn log_in_by_link(
        &self,
        secret: &str,
        ip: IpAddr,
    ) -> Result<Login, LoginError> {
        let Some(name) = self.links.redeem(secret, Instant::now()) else {
            let error = LoginError::Link;
            self.note_refused(None, Means::Link, ip, &error).await;
            return Err(error);
        };
        let user = self.ensure_user(&name).await?;
        if self.directory.is_blocked(&user) {
            let error = LoginError::NotAllowed;
            self.note_refused(Some(&user), Means::Link, ip, &error)
                .await;
            return Err(error);
        }
        self.begin_session(user, Means::Link, ip).await
    }

    /// The user of that name, made if there is none.
    pub(crate) async fn ensure_user(&self, name: &UserName) -> Result<Arc<User>, LoginError> {
        if let Some(user) = self.store.users().by_name(name) {
            return Ok(user);
        }
        let entry = Entry::new(Actor::hub("login"), Action::UserCreate);
        let store = self.store.noting(entry);
        store
            .users()
            .create(vec![name.clone()], false, Timestamp::now())
            .await?;
        self.store
            .users()
            .by_name(name)
            .ok_or(LoginError::Store(StoreError::NotFound("user")))
    }

    pub(super) async fn begin_session(
        &self,
        user: Arc<User>,
        means: Means,
        ip: IpAddr,
    ) -> Result<Login, LoginError> {
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
        let entry = Entry::new(Actor::user(&user, means, ip), Action::Login).on_user(&user);
        match (self.store.noting(entry).sessions())
            .create(session, now)
            .await
        {
            // Somebody changed the password while this one was being checked.
            Err(StoreError::Conflict(_)) => return Err(LoginError::Wrong),
            created => drop(created?),
        }
        self.store.users().touch(user.id, now).await?;
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
        let entry = Entry::new(Actor::nobody(Means::None, ip), Action::Signup);
        let store = self.store.noting(entry);
        store.signups().create(name, hash, Timestamp::now()).await?;
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
        let by = Actor::user(user, Means::Session, ip);
        let entry = Entry::new(by, Action::UserPassword).on_user(user);
        if !by_password.verify(current, old).await? {
            if self.refused.has_room_for(ip) {
                self.note_or_warn(entry.refused()).await;
            }
            return Err(LoginError::Wrong);
        }
        self.throttle.succeeded(attempt);
        let hash = by_password.hash(new).await?;
        let store = self.store.noting(entry);
        let user = store.users().change_password(user.id, Some(hash)).await?;
        self.begin_session(user, Means::Password, ip).await
    }

    /// Ends one browser session of `user` with all that was granted in it.
    pub(crate) async fn log_out(
        &self,
        by: Actor,
        user: &User,
        session_id: &str,
    ) -> Result<(), StoreError> {
        let store = self
            .store
            .noting(Entry::new(by, Action::Logout).on_user(user));
        store.sessions().log_out(user.id, session_id).await
    }
}

impl LoginError {
    /// Its word in the audit log.
    fn word(&self) -> &'static str {
        match self {
            Self::TooEarly(_) => "throttled",
            Self::Wrong => "wrong",
            Self::NotAllowed => "not-allowed",
            Self::Name => "name",
            Self::Taken(_) => "taken",
            Self::Unusable => "unusable",
            Self::Waiting => "waiting",
            Self::NoForm => "no-form",
            Self::Link => "link",
            Self::Password(_) | Self::Pam(_) | Self::Store(_) => "unavailable",
        }
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
        let root = Actor::command(0, "root");
        let added = accounts.add(&root, &ann, false, old.clone()).await;
        added.unwrap();

        let proven = gate.prove("ann", old, ip).await.unwrap();
        let changed = accounts.set_password(&root, &ann, new.clone()).await;
        changed.unwrap();
        let late = gate.begin_session(proven, Means::Password, ip).await;
        assert!(matches!(late, Err(LoginError::Wrong)), "{late:?}");
        gate.log_in("ann", new, ip).await.unwrap();
    }
}
