//! The two ways to accounts, tokens and the audit log: through the hub that runs, or straight into its books.
//!
//! The books have one owner at a time. If that is a hub, it is asked; if there is none, this process
//! is the owner for the moment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use spawner_core::{Secret, UserName, error_chain};
use tokio::time::Instant;

use crate::auth::accounts::{Account, AccountError, Accounts, Added, Deleted, Waiting};
use crate::auth::directory::Directory;
use crate::auth::tokens::{NewTokenLine, OwnerName, TokenDesk, TokenLine, TokenWish};
use crate::config::Config;
use crate::hub::control::{CallError, Client, account};
use crate::store::audit::{Actor, AuditQuery, Record};
use crate::store::{OpenError, Store};

/// How long an owner may take that is about to begin or about to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const PAUSE: Duration = Duration::from_millis(50);

/// A way to accounts, tokens and the audit log, good for one action. Errors are messages for the user.
pub(super) enum Books {
    Running(Client),
    Open {
        store: Store,
        accounts: Accounts,
        tokens: TokenDesk,
    },
}

impl Books {
    /// Finds the way. A state directory that is not there is made.
    pub(super) async fn reach_or_make(config: &Config) -> Result<Self, String> {
        let state_dir = &config.hub.state_dir;
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(client) = connect(state_dir).await? {
                return Ok(Self::Running(client));
            }
            match Store::open(state_dir) {
                Ok(store) => {
                    let directory =
                        Directory::new(config, store.clone()).map_err(|e| error_chain(&e))?;
                    let directory = Arc::new(directory);
                    return Ok(Self::Open {
                        accounts: Accounts::new(store.clone(), Arc::clone(&directory)),
                        tokens: TokenDesk::new(store.clone(), directory),
                        store,
                    });
                }
                Err(OpenError::InUse { .. }) if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error @ OpenError::InUse { .. }) => {
                    return Err(format!(
                        "{error}; it takes no commands at the moment, try again later"
                    ));
                }
                Err(error) => return Err(error_chain(&error)),
            }
        }
    }

    /// Finds the way. Looking makes nothing.
    pub(super) async fn reach(config: &Config) -> Result<Self, String> {
        let state_dir = &config.hub.state_dir;
        if let Ok(false) = state_dir.try_exists() {
            return Err(format!(
                "there is nothing in the books yet: the state directory {} does not exist",
                state_dir.display()
            ));
        }
        Self::reach_or_make(config).await
    }

    pub(super) async fn add(
        self,
        name: &UserName,
        admin: bool,
        password: Secret,
    ) -> Result<Added, String> {
        match self {
            Self::Running(client) => answered(client.add(name, admin, &password).await),
            Self::Open {
                store, accounts, ..
            } => {
                let added = accounts.add(&operator(), name, admin, password).await;
                done(store, added).await
            }
        }
    }

    pub(super) async fn set_password(
        self,
        name: &UserName,
        password: Secret,
    ) -> Result<(), String> {
        match self {
            Self::Running(client) => answered(client.set_password(name, &password).await),
            Self::Open {
                store, accounts, ..
            } => {
                let changed = accounts.set_password(&operator(), name, password).await;
                done(store, changed).await
            }
        }
    }

    pub(super) async fn set_blocked(self, name: &UserName, blocked: bool) -> Result<(), String> {
        match self {
            Self::Running(client) => answered(client.set_blocked(name, blocked).await),
            Self::Open {
                store, accounts, ..
            } => {
                let changed = accounts.set_blocked(&operator(), name, blocked).await;
                done(store, changed.map(drop)).await
            }
        }
    }

    pub(super) async fn unbind(self, name: &UserName) -> Result<(), String> {
        match self {
            Self::Running(client) => answered(client.unbind(name).await),
            Self::Open {
                store, accounts, ..
            } => {
                let unbound = accounts.unbind(operator(), name).await;
                done(store, unbound).await
            }
        }
    }

    pub(super) async fn waiting(self) -> Result<Vec<Waiting>, String> {
        match self {
            Self::Running(client) => answered(client.waiting().await),
            Self::Open {
                store, accounts, ..
            } => done(store, Ok::<_, AccountError>(accounts.waiting())).await,
        }
    }

    pub(super) async fn approve(self, name: &UserName) -> Result<(), String> {
        match self {
            Self::Running(client) => answered(client.approve(name).await),
            Self::Open {
                store, accounts, ..
            } => done(store, accounts.approve(operator(), name).await).await,
        }
    }

    pub(super) async fn decline(self, name: &UserName) -> Result<(), String> {
        match self {
            Self::Running(client) => answered(client.decline(name).await),
            Self::Open {
                store, accounts, ..
            } => done(store, accounts.decline(operator(), name).await).await,
        }
    }

    pub(super) async fn list(self) -> Result<Vec<Account>, String> {
        match self {
            Self::Running(client) => answered(client.list().await),
            Self::Open {
                store, accounts, ..
            } => done(store, Ok::<_, AccountError>(accounts.list())).await,
        }
    }

    pub(super) async fn delete(self, name: &UserName) -> Result<Deleted, String> {
        match self {
            Self::Running(client) => answered(client.delete(name).await),
            Self::Open {
                store, accounts, ..
            } => done(store, accounts.delete(operator(), name).await).await,
        }
    }

    pub(super) async fn new_token(
        self,
        owner: OwnerName,
        wish: TokenWish,
    ) -> Result<NewTokenLine, String> {
        match self {
            Self::Running(client) => answered(client.new_token(owner, wish).await),
            Self::Open { store, tokens, .. } => {
                let issued = tokens.issue_for(operator(), owner, wish).await;
                done(store, issued).await
            }
        }
    }

    pub(super) async fn tokens(self, owner: Option<OwnerName>) -> Result<Vec<TokenLine>, String> {
        match self {
            Self::Running(client) => answered(client.tokens(owner).await),
            Self::Open { store, tokens, .. } => done(store, tokens.list_for(owner)).await,
        }
    }

    pub(super) async fn revoke_token(self, id: &str) -> Result<TokenLine, String> {
        match self {
            Self::Running(client) => answered(client.revoke_token(id).await),
            Self::Open { store, tokens, .. } => {
                let revoked = tokens.revoke_named(operator(), id).await;
                done(store, revoked).await
            }
        }
    }

    pub(super) async fn audit(self, query: AuditQuery) -> Result<Vec<Record>, String> {
        match self {
            Self::Running(client) => answered(client.audit(&query).await),
            Self::Open { store, .. } => {
                let records = store.audit().list(query).await;
                done(store, records).await
            }
        }
    }
}

/// Whoever runs this command, for the audit log.
fn operator() -> Actor {
    account(rustix::process::getuid().as_raw())
}

/// A connection to the hub that runs on `state_dir`, if one does. What a hub that was killed was just
/// starting holds its socket for a moment longer, but does not answer there.
async fn connect(state_dir: &Path) -> Result<Option<Client>, String> {
    let connected = || async {
        Client::connect(state_dir).await.map_err(|error| {
            format!(
                "cannot reach the hub of {}: {error}; run this as root or as the account that runs the hub",
                state_dir.display()
            )
        })
    };
    let Some(client) = connected().await? else {
        return Ok(None);
    };
    match client.status().await {
        Ok(_) => connected().await,
        Err(CallError::Broken(_)) => Ok(None),
        Err(error) => Err(error_chain(&error)),
    }
}

fn answered<T>(answer: Result<T, CallError>) -> Result<T, String> {
    answer.map_err(|error| error_chain(&error))
}

/// Closes the books, so that the next owner finds nothing left to do.
async fn done<T, E>(store: Store, result: Result<T, E>) -> Result<T, String>
where
    E: std::error::Error + 'static,
{
    let closed = store.close().await;
    let result = result.map_err(|error| error_chain(&error))?;
    closed.map_err(|error| error_chain(&error))?;
    Ok(result)
}
