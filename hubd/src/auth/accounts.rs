//! The accounts of the books, as `hubd user` lists and changes them.
//!
//! ```text
//! hubd user, no hub runs ----------------------> Accounts --> Store
//! hubd user, a hub runs --> its control socket ----^
//! ```
//!
//! What a command does is written once, here, and the types of its answers travel over the socket as
//! they are. Only a running hub can stop servers, so it does that itself before it has somebody
//! deleted.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use spawner_core::{Secret, ServerId, ServerName, UserName};

use super::directory::Directory;
use super::password::{PasswordError, Passwords, check_length};
use crate::store::audit::{Action, Actor, Entry, Object};
use crate::store::{Signup, Stage, Store, StoreError, User, UserQuery, UserSort};

/// The accounts of one hub.
#[derive(Debug)]
pub(crate) struct Accounts {
    store: Store,
    directory: Arc<Directory>,
    passwords: Passwords,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) name: UserName,
    /// By the books or by the configuration.
    pub(crate) admin: bool,
    pub(crate) created: Timestamp,
    pub(crate) last_activity: Option<Timestamp>,
    pub(crate) has_password: bool,
    /// Whether an admin has shut them out, or the configuration does.
    pub(crate) blocked: bool,
    /// Where the default server is in its life, in the word of the books.
    pub(crate) server: String,
}

/// Somebody who asks for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) name: UserName,
    pub(crate) since: Timestamp,
}

/// What has been added, and what is worth knowing about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Added {
    /// Whether the configuration lets them in.
    pub(crate) may_enter: bool,
}

/// What is worth knowing about a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deleted {
    /// The configuration still names the user, so they come back, without a password, with the next
    /// start of the hub.
    pub(crate) is_named: bool,
}

/// Why an account is left as it is: a sentence for whoever asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    #[error("{0} has an account already; `hubd user password {0}` changes its password")]
    Exists(UserName),
    #[error("there is no user {0}")]
    Unknown(UserName),
    #[error("nobody has signed up as {0}")]
    NotWaiting(UserName),
    #[error("the account {0} is nobody's at a login provider")]
    NotBound(UserName),
    #[error("{0} is named in `blocked_users` in [auth]: take the name out there")]
    BlockedByFile(UserName),
    #[error(
        "the server {server} is not stopped ({stage}), and only a running hub can stop it: start the \
         hub, then delete the user",
        stage = stage.as_str()
    )]
    NotStopped { server: ServerId, stage: Stage },
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Accounts {
    pub(crate) fn new(store: Store, directory: Arc<Directory>) -> Self {
        Self {
            store,
            directory,
            // There is one administrator at a time.
            passwords: Passwords::new(1),
        }
    }

    /// Everybody in the books, by name.
    pub(crate) fn list(&self) -> Vec<Account> {
        let query = UserQuery {
            sort: UserSort::Name,
            ..UserQuery::default()
        };
        let users = self.store.users().list(&query).users;
        users.iter().map(|user| self.account(user)).collect()
    }

    /// The user of that name.
    pub(crate) fn find(&self, name: &UserName) -> Result<Arc<User>, AccountError> {
        let user = self.store.users().by_name(name);
        user.ok_or_else(|| AccountError::Unknown(name.clone()))
    }

    /// Adds an account with a password. Somebody whom only the configuration brought into the books
    /// has none yet, and gets one.
    pub(crate) async fn add(
        &self,
        by: &Actor,
        name: &UserName,
        admin: bool,
        password: Secret,
    ) -> Result<Added, AccountError> {
        self.check_new(name)?;
        let hash = self.hash(password).await?;
        let created = Entry::new(by.clone(), Action::UserCreate).with("admin", admin);
        let store = self.store.noting(created);
        let made = store
            .users()
            .create(vec![name.clone()], admin, Timestamp::now());
        made.await?;
        // Somebody else may have been faster.
        self.check_new(name)?;
        let user = self.find(name)?;
        if admin && !user.admin {
            let changed = Entry::new(by.clone(), Action::UserChange).on_user(&user);
            let store = self.store.noting(changed.with("admin", true));
            store.users().set_admin(user.id, true).await?;
        }
        self.put_password(by, &user, hash).await?;
        Ok(Added {
            may_enter: self.directory.may_enter(name, Some(&user), None),
        })
    }

    /// Changes a password. It ends every login with the old one, and every token that the user made or
    /// granted; servers go on with theirs.
    pub(crate) async fn set_password(
        &self,
        by: &Actor,
        name: &UserName,
        password: Secret,
    ) -> Result<(), AccountError> {
        let user = self.find(name)?;
        let hash = self.hash(password).await?;
        self.put_password(by, &user, hash).await
    }

    /// Everybody who asks for an account, by name.
    pub(crate) fn waiting(&self) -> Vec<Waiting> {
        let signups = self.store.signups().list();
        let line = |signup: &Arc<Signup>| Waiting {
            name: signup.name.clone(),
            since: signup.created,
        };
        signups.iter().map(line).collect()
    }

    /// Makes an account of a sign-up, and lets it in.
    pub(crate) async fn approve(&self, by: Actor, name: &UserName) -> Result<(), AccountError> {
        let store = self.store.noting(Entry::new(by, Action::SignupApprove));
        let approved = store.signups().approve(name.clone(), Timestamp::now());
        let approved = approved.await;
        approved.map(drop).map_err(|error| not_waiting(error, name))
    }

    /// Forgets a sign-up.
    pub(crate) async fn decline(&self, by: Actor, name: &UserName) -> Result<(), AccountError> {
        let entry = Entry::new(by, Action::SignupDecline).on(Object::name(name.as_str()));
        let store = self.store.noting(entry);
        let declined = store.signups().decline(name.clone()).await;
        declined.map_err(|error| not_waiting(error, name))
    }

    /// Shuts somebody out, or in again; logins and tokens are gone then. Servers are the hub's to stop.
    pub(crate) async fn set_blocked(
        &self,
        by: &Actor,
        name: &UserName,
        blocked: bool,
    ) -> Result<Arc<User>, AccountError> {
        let user = self.find(name)?;
        let action = if blocked {
            Action::UserBlock
        } else {
            Action::UserUnblock
        };
        let entry = Entry::new(by.clone(), action).on_user(&user);
        let store = self.store.noting(entry);
        let user = store.users().set_blocked(user.id, blocked).await?;
        if !blocked && self.directory.is_blocked(&user) {
            return Err(AccountError::BlockedByFile(name.clone()));
        }
        Ok(user)
    }

    /// Takes the account of somebody from whoever has it at a login provider, with their logins and
    /// tokens.
    pub(crate) async fn unbind(&self, by: Actor, name: &UserName) -> Result<(), AccountError> {
        let user = self.find(name)?;
        let entry = Entry::new(by, Action::UserUnbind).on_user(&user);
        let unbound = self.store.noting(entry).identities().unbind(user.id).await;
        unbound.map_err(|error| match error {
            StoreError::NotFound(_) => AccountError::NotBound(name.clone()),
            error => error.into(),
        })
    }

    /// Deletes a user whose servers are all stopped, with all that is theirs in the books. Files stay.
    pub(crate) async fn delete(&self, by: Actor, name: &UserName) -> Result<Deleted, AccountError> {
        let user = self.find(name)?;
        let servers = self.store.servers().of(user.id);
        if let Some(row) = servers.iter().find(|row| row.stage != Stage::Stopped) {
            return Err(AccountError::NotStopped {
                server: ServerId::new(name.clone(), row.name.clone()),
                stage: row.stage,
            });
        }
        let entry = Entry::new(by, Action::UserDelete).on_user(&user);
        self.store.noting(entry).users().delete(user.id).await?;
        Ok(self.deleted(name))
    }

    /// What is worth knowing now that this user is deleted.
    pub(crate) fn deleted(&self, name: &UserName) -> Deleted {
        Deleted {
            is_named: self.directory.named_users().any(|named| named == name),
        }
    }

    fn account(&self, user: &User) -> Account {
        let server = ServerId::new(user.name.clone(), ServerName::default_server());
        let server = self.store.servers().find(&server);
        let stage = server.map_or(Stage::Stopped, |row| row.stage);
        Account {
            name: user.name.clone(),
            admin: self.directory.is_admin(user),
            created: user.created,
            last_activity: user.last_activity,
            has_password: user.password_hash.is_some(),
            blocked: self.directory.is_blocked(user),
            server: stage.as_str().to_owned(),
        }
    }

    fn check_new(&self, name: &UserName) -> Result<(), AccountError> {
        let user = self.store.users().by_name(name);
        if user.is_some_and(|user| user.password_hash.is_some()) {
            return Err(AccountError::Exists(name.clone()));
        }
        Ok(())
    }

    async fn hash(&self, password: Secret) -> Result<String, PasswordError> {
        let min = self.directory.password_rules().minimum_length;
        check_length(password.expose(), min)?;
        self.passwords.hash(password).await
    }

    async fn put_password(
        &self,
        by: &Actor,
        user: &User,
        hash: String,
    ) -> Result<(), AccountError> {
        let hash = Some(Secret::new(hash));
        let entry = Entry::new(by.clone(), Action::UserPassword).on_user(user);
        let store = self.store.noting(entry);
        store.users().change_password(user.id, hash).await?;
        Ok(())
    }
}

fn not_waiting(error: StoreError, name: &UserName) -> AccountError {
    match error {
        StoreError::NotFound(_) => AccountError::NotWaiting(name.clone()),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::password::verify_or_dummy;
    use crate::config::Config;
    use crate::store::{
        Digest, NewClient, NewLaunch, NewSession, NewToken, Owner, ServerRowId, TokenKind,
    };

    const CONFIG: &str =
        "[auth]\nkind = 'password'\nallowed_users = ['ann']\nadmin_users = ['root']\n";

    fn accounts() -> Accounts {
        let config = Config::parse(CONFIG, "hubd.toml").unwrap();
        let store = Store::open_in_memory().unwrap();
        let directory = Arc::new(Directory::new(&config, store.clone()).unwrap());
        Accounts::new(store, directory)
    }

    fn name(name: &str) -> UserName {
        UserName::new(name).unwrap()
    }

    fn root() -> Actor {
        Actor::command(0, "root")
    }

    async fn add(accounts: &Accounts, who: &str) -> Result<Added, AccountError> {
        let password = Secret::new(format!("password of {who}"));
        accounts.add(&root(), &name(who), false, password).await
    }

    fn fits(accounts: &Accounts, who: &str, password: &str) -> bool {
        let user = accounts.find(&name(who)).unwrap();
        let hash = user.password_hash.as_ref().map(Secret::expose);
        verify_or_dummy(hash, password)
    }

    #[tokio::test]
    async fn an_account_is_added_once() {
        let accounts = accounts();
        let added = add(&accounts, "ann").await.unwrap();
        assert!(added.may_enter);
        assert!(fits(&accounts, "ann", "password of ann"));
        let again = add(&accounts, "ann").await.unwrap_err();
        assert!(matches!(again, AccountError::Exists(_)), "{again}");
        let added = add(&accounts, "eve").await.unwrap();
        assert!(!added.may_enter, "the configuration does not invite her");
    }

    #[tokio::test]
    async fn who_came_from_the_configuration_gets_a_password() {
        let accounts = accounts();
        let users = accounts.store.users();
        let known = users.create(vec![name("ann")], false, Timestamp::now());
        let id = known.await.unwrap()[0].id;
        let password = Secret::new("correct horse");
        let added = accounts.add(&root(), &name("ann"), true, password).await;
        added.unwrap();
        let ann = accounts.find(&name("ann")).unwrap();
        assert_eq!((ann.id, ann.admin), (id, true));
        assert!(fits(&accounts, "ann", "correct horse"));
    }

    #[tokio::test]
    async fn a_bad_password_adds_nobody() {
        let accounts = accounts();
        let refused = accounts
            .add(&root(), &name("ann"), false, Secret::new("short"))
            .await;
        assert!(matches!(refused, Err(AccountError::Password(_))));
        assert_eq!(accounts.list(), []);
    }

    #[tokio::test]
    async fn a_new_password_ends_logins_and_tokens() {
        let accounts = accounts();
        add(&accounts, "ann").await.unwrap();
        let (store, now) = (&accounts.store, Timestamp::now());
        let user = accounts.find(&name("ann")).unwrap().id;
        let later = now + jiff::SignedDuration::from_hours(1);
        let session = NewSession {
            hash: Digest::of("cookie"),
            user,
            password_hash: accounts.find(&name("ann")).unwrap().password_hash.clone(),
            session_id: "s1".into(),
            expires_at: later,
        };
        store.sessions().create(session, now).await.unwrap();
        for (kind, text) in [(TokenKind::Oauth, "oauth"), (TokenKind::Api, "api")] {
            let token = NewToken {
                hash: Digest::of(text),
                kind,
                owner: Owner::User(user),
                server: None,
                client_id: None,
                scopes: Vec::new(),
                note: String::new(),
                expires_at: None,
                session_id: None,
            };
            store.tokens().create(token, now).await.unwrap();
        }
        let password = Secret::new("another horse");
        let changed = accounts.set_password(&root(), &name("ann"), password).await;
        changed.unwrap();
        assert!(fits(&accounts, "ann", "another horse"));
        assert!(!fits(&accounts, "ann", "password of ann"));
        assert_eq!(store.sessions().find(&Digest::of("cookie"), now), None);
        assert_eq!(store.tokens().find(&Digest::of("oauth"), now), None);
        assert_eq!(store.tokens().find(&Digest::of("api"), now), None);
    }

    #[tokio::test]
    async fn the_list_tells_who_is_who() {
        let accounts = accounts();
        add(&accounts, "eve").await.unwrap();
        let users = accounts.store.users();
        let root = users.create(vec![name("root")], false, Timestamp::now());
        root.await.unwrap();
        launch(&accounts, "eve").await;
        let list = accounts.list();
        let lines: Vec<_> = list
            .iter()
            .map(|a| (a.name.as_str(), a.admin, a.has_password, &*a.server))
            .collect();
        assert_eq!(
            lines,
            [
                ("eve", false, true, "starting"),
                ("root", true, false, "stopped"),
            ]
        );
    }

    #[tokio::test]
    async fn deletion_waits_for_the_servers() {
        let accounts = accounts();
        add(&accounts, "ann").await.unwrap();
        let row = launch(&accounts, "ann").await;
        let refused = accounts.delete(root(), &name("ann")).await.unwrap_err();
        assert!(refused.to_string().contains("start the hub"), "{refused}");
        let servers = accounts.store.servers();
        servers
            .mark_stopped(row, None, Timestamp::now())
            .await
            .unwrap();
        let deleted = accounts.delete(root(), &name("ann")).await.unwrap();
        assert!(deleted.is_named);
        let gone = accounts.delete(root(), &name("ann")).await.unwrap_err();
        assert_eq!(gone.to_string(), "there is no user ann");
    }

    async fn launch(accounts: &Accounts, who: &str) -> ServerRowId {
        let user = accounts.find(&name(who)).unwrap().id;
        let servers = accounts.store.servers();
        let row = servers.ensure(user, ServerName::default_server(), None);
        let row = row.await.unwrap().id;
        let launch = NewLaunch {
            launch_id: spawner_core::LaunchId::random(),
            token: Digest::of(who),
            token_scopes: Vec::new(),
            token_note: String::new(),
            client: NewClient {
                client_id: format!("jupyterhub-user-{who}"),
                secret: Digest::of(who),
                redirect_uri: String::new(),
                allowed_scopes: Vec::new(),
            },
            options: spawner_core::UserOptions::default(),
        };
        servers
            .begin_launch(row, launch, Timestamp::now())
            .await
            .unwrap();
        row
    }
}
