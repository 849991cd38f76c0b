//! A start, from the request to the route.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use spawner_core::{
    Denied, LaunchId, OauthClient, OptionsError, Outcome, ServerId, ServerName, SpawnContext,
    StartError, UserOptions,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fleet::{Place, Servers};
use super::in_line::cancelled;
use super::limits::{Limit, Waiting};
use super::reserved::hides_a_page;
use crate::metrics::Status;
use crate::random::new_token;
use crate::scopes::Scope;
use crate::store::audit::Action;
use crate::store::{StoreError, User};

/// The most that the options of a start may be, in bytes of JSON.
const OPTIONS_LIMIT: usize = 256 * 1024;

/// How a start stands when its caller's patience ends, or before.
#[derive(Debug, Clone)]
pub(crate) enum Begun {
    /// The server answers.
    Ready,
    /// It is still being started.
    Pending,
    /// The start has failed.
    Failed(Arc<Outcome>),
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartRefused {
    #[error("{0} is already running")]
    Running(ServerId),
    #[error("{0} is pending stop")]
    Stopping(ServerId),
    #[error("{0} is pending check")]
    Checking(ServerId),
    #[error("{0}")]
    Options(#[from] OptionsError),
    #[error("Too many servers are starting at the moment. Try again in a moment.")]
    Busy,
    #[error("{0} servers are running, and that is the limit. Stop one, or ask your administrator.")]
    Full(usize),
    #[error(
        "{}", if *.0 == 0 { "Named servers are not enabled.".to_owned() }
              else { format!("You can have at most {} named servers.", .0) }
    )]
    NamedServers(usize),
    #[error("A server called {0} would hide a page of the default server. Choose another name.")]
    HidesPage(ServerName),
    #[error(
        "{server} failed to start {failures} times in a row. It can be started again in {} s.",
        .retry_after.as_millis().div_ceil(1000)
    )]
    FailsRepeatedly {
        server: ServerId,
        failures: u32,
        retry_after: Duration,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the hub is shutting down")]
    ShuttingDown,
}

/// Whether a server that is not there yet can be called so.
pub(crate) fn check_name(name: &ServerName) -> Result<(), StartRefused> {
    if hides_a_page(name) {
        return Err(StartRefused::HidesPage(name.clone()));
    }
    Ok(())
}

impl Servers {
    /// Starts a server of `user` and waits for it, at most `patience`. Without `options` the last
    /// ones are taken. A start that is under way already is joined. Where `concurrent_spawns` others
    /// are under way, `waiting` says whether this one is put in line.
    ///
    /// The start goes on, or waits on, when the caller leaves.
    pub(crate) async fn start(
        &self,
        user: &User,
        server: &ServerId,
        options: Option<UserOptions>,
        waiting: Waiting,
        patience: Duration,
    ) -> Result<Begun, StartRefused> {
        match self.look(server).place {
            Place::Stopped => {}
            Place::Starting => return Ok(Begun::Pending),
            Place::Stopping => return Err(StartRefused::Stopping(server.clone())),
            Place::Checking => return Err(StartRefused::Checking(server.clone())),
            // It may have died unnoticed; a start then means a new one.
            Place::Ready => {
                let _ = self.handle(server).poll().await;
                if self.look(server).place != Place::Stopped {
                    return Err(StartRefused::Running(server.clone()));
                }
            }
        }
        self.check_named(user, server)?;
        let row = self
            .inner
            .store
            .servers()
            .ensure(user.id, server.server.clone(), None)
            .await?;
        let options = options
            .or_else(|| row.user_options.clone())
            .unwrap_or_default();
        self.check_options(server, &options)?;
        let limits = &self.inner.limits;
        let mut turn = match limits.enter(server, self.active(), waiting) {
            Ok(turn) => turn,
            Err(Limit::Starting) => return Err(StartRefused::Busy),
            Err(Limit::Active(limit)) => return Err(StartRefused::Full(limit)),
            // Another request was faster.
            Err(Limit::Twice) => return Ok(Begun::Pending),
        };

        let entry = self.entry_on(Action::ServerStart, server);
        self.inner.store.note(entry.begun()).await?;

        let handle = self.handle(server);
        let (servers, id, row) = (self.clone(), server.clone(), row.id);
        let metrics = self.inner.metrics.clone();
        let (done, result) = oneshot::channel();
        self.inner.tasks.spawn_until_stop("start", async move {
            if turn.waits() && !servers.wait_in_line(&id, row, &mut turn).await {
                drop(turn);
                servers.tell_change();
                let _ = done.send(Err(StartError::Failed(Arc::new(cancelled()))));
                return;
            }
            let began = Instant::now();
            let ctx = servers.context(&id, options);
            let started = {
                let mut start = pin!(handle.start(ctx));
                let mut phases = handle.watch();
                let stepped = async {
                    let _ = phases.wait_for(|phase| !phase.is_stopped()).await;
                };
                // Others see the start by the phase from its first step on.
                let at_once = tokio::select! {
                    started = &mut start => Some(started),
                    () = stepped => None,
                };
                if let Some(started) = at_once {
                    started
                } else {
                    turn.begin();
                    start.await
                }
            };
            drop(turn);
            match &started {
                Ok(_) => metrics.spawned(Status::success, began.elapsed()),
                Err(StartError::Failed(_)) => {
                    metrics.spawned(Status::failure, began.elapsed());
                }
                Err(_) => {}
            }
            let _ = done.send(started);
        });
        let Ok(result) = tokio::time::timeout(patience, result).await else {
            return Ok(Begun::Pending);
        };
        match result {
            Ok(Ok(_)) => Ok(Begun::Ready),
            Ok(Err(StartError::Failed(outcome))) => Ok(Begun::Failed(outcome)),
            // Another request was faster.
            Ok(Err(StartError::Denied(denied))) => match denied {
                Denied::AlreadyRunning => Err(StartRefused::Running(server.clone())),
                Denied::Stopping => Err(StartRefused::Stopping(server.clone())),
                Denied::Checking => Err(StartRefused::Checking(server.clone())),
                Denied::FailsRepeatedly {
                    failures,
                    retry_after,
                } => Err(StartRefused::FailsRepeatedly {
                    server: server.clone(),
                    failures,
                    retry_after,
                }),
                Denied::AlreadyStarting | Denied::NotRunning | Denied::OutOfOrder => {
                    Ok(Begun::Pending)
                }
            },
            Ok(Err(StartError::Gone(_))) | Err(_) => Err(StartRefused::ShuttingDown),
        }
    }

    /// Whether a server can be started with these options.
    pub(crate) fn check_options(
        &self,
        server: &ServerId,
        options: &UserOptions,
    ) -> Result<(), StartRefused> {
        check_size(options)?;
        Ok(self.spawner(server).check_options(options)?)
    }

    /// Whether `user` may have this server at all.
    pub(crate) fn check_named(&self, user: &User, server: &ServerId) -> Result<(), StartRefused> {
        let limit = self.inner.named_servers_per_user;
        let servers = self.inner.store.servers();
        if server.server.is_default() || limit > 0 && servers.find(server).is_some() {
            return Ok(());
        }
        check_name(&server.server)?;
        let named = servers
            .of(user.id)
            .iter()
            .filter(|row| !row.name.is_default())
            .count();
        if named < limit {
            Ok(())
        } else {
            Err(StartRefused::NamedServers(limit))
        }
    }

    fn context(&self, server: &ServerId, options: UserOptions) -> SpawnContext {
        let launch_id = LaunchId::random();
        self.inner.search.begun(&launch_id);
        SpawnContext {
            server: server.clone(),
            launch_id,
            token: new_token(),
            options,
            listen: None,
            hub: self.inner.urls.clone(),
            oauth: OauthClient {
                client_id: client_id(server),
                access_scopes: Scope::access_to(server)
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                allowed_scopes: Vec::new(),
            },
        }
    }
}

/// Options are kept with the server, in one row.
fn check_size(options: &UserOptions) -> Result<(), OptionsError> {
    let size = serde_json::to_vec(options).map_or(usize::MAX, |json| json.len());
    if size > OPTIONS_LIMIT {
        let message = format!("The options are too long: {size} bytes of at most {OPTIONS_LIMIT}.");
        return Err(OptionsError::new(message));
    }
    Ok(())
}

/// The OAuth client id of a server, which is also the name of its cookie: `jupyterhub-user-NAME`,
/// and `jupyterhub-user-NAME~SERVER` for a named server.
///
/// Everything but unreserved characters is percent-encoded. `~` cannot stand in a user name, so no
/// two servers share an id; JupyterHub joins with `-` here, where `a-b` and `b` of `a` would.
fn client_id(server: &ServerId) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');
    let user = utf8_percent_encode(server.user.as_str(), RESERVED);
    if server.server.is_default() {
        format!("jupyterhub-user-{user}")
    } else {
        format!("jupyterhub-user-{user}~{}", server.server)
    }
}

#[cfg(test)]
mod tests {
    use spawner_core::{ServerName, UserName};

    use super::*;

    #[test]
    fn client_ids_are_the_contracts_and_never_collide() {
        let id = |user, server| {
            client_id(&ServerId::new(
                UserName::new(user).unwrap(),
                ServerName::new(server).unwrap(),
            ))
        };
        assert_eq!(id("tee", ""), "jupyterhub-user-tee");
        assert_eq!(id("a@b", ""), "jupyterhub-user-a%40b");
        assert_ne!(id("a", "b"), id("a-b", ""));
        assert_eq!(id("a", "b"), "jupyterhub-user-a~b");
    }
}
