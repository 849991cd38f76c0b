//! What a check works with: one backend in a place of its own.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;

use super::backend::{Backend, Behaviour, Recipe};
use super::fault::{Checked, Stop, ensure, fault};
use super::probe::Probe;
use super::subject::Subject;
use crate::context::{HubUrls, OauthClient, SpawnContext};
use crate::factory::SpawnerFactory;
use crate::ids::{LaunchId, ServerId, ServerName, UserName};
use crate::options::UserOptions;
use crate::registry::BackendSetup;
use crate::secret::Secret;
use crate::state::SpawnerState;
use crate::status::StopMode;

/// The pause between two looks at something that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a stop after a failed check may take.
const LAST_STOP: Duration = Duration::from_secs(5);

/// The place that one check has.
pub(super) struct Bench {
    backend: Arc<dyn Backend>,
    factory: Arc<dyn SpawnerFactory>,
    probe: Probe,
    /// What was started, for the case that the check does not come to its end.
    started: Mutex<Vec<(ServerId, SpawnerState)>>,
}

impl Bench {
    pub(super) fn new(backend: Arc<dyn Backend>, probe: Probe) -> Self {
        Self {
            factory: backend.factory(),
            backend,
            probe,
            started: Mutex::default(),
        }
    }

    pub(super) fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// The server that most checks are about.
    pub(super) fn server(&self) -> ServerId {
        let user = self.backend.users().into_iter().next();
        ServerId::default_of(user.unwrap_or_else(|| user_name("tee")))
    }

    /// A fresh instance for that server.
    pub(super) fn subject(&self) -> Subject<'_> {
        self.subject_of(self.server())
    }

    /// A fresh instance for any server.
    pub(super) fn subject_of(&self, server: ServerId) -> Subject<'_> {
        let spawner = self.factory.create(&server);
        Subject::new(self, server, spawner)
    }

    /// A fresh instance with `state` taken up, as after a restart of the hub.
    pub(super) fn restarted(&self, state: &SpawnerState) -> Checked<Subject<'_>> {
        let mut subject = self.subject();
        subject
            .spawner
            .load_state(state)
            .map_err(|error| fault!("load_state refused {}: {error}", shown(state)))?;
        Ok(subject)
    }

    /// A factory of the same daemon after a restart, with nothing remembered.
    pub(super) fn another_daemon(&self) -> Arc<dyn SpawnerFactory> {
        self.backend.factory()
    }

    /// A factory of this place with a changed setup; skips the check for a backend without.
    pub(super) fn factory_from(
        &self,
        change: &dyn Fn(&mut BackendSetup),
    ) -> Checked<Arc<dyn SpawnerFactory>> {
        self.backend.factory_from(change).ok_or_else(|| {
            let reason = "the backend makes no factory of another setup (Backend::factory_from)";
            Stop::Skip(reason.into())
        })
    }

    pub(super) fn recipe(&self, behaviour: Behaviour) -> Checked<Recipe> {
        self.backend.behave(behaviour, &self.probe).ok_or_else(|| {
            Stop::Skip(format!(
                "the backend has nothing that behaves like {behaviour:?}"
            ))
        })
    }

    /// What the hub would know of a new run.
    pub(super) fn context(server: &ServerId, options: UserOptions) -> SpawnContext {
        SpawnContext {
            server: server.clone(),
            launch_id: LaunchId::random(),
            token: Secret::new(format!("secret{}", LaunchId::random())),
            options,
            listen: None,
            hub: HubUrls {
                base_url: "/".into(),
                api_url: "http://127.0.0.1:8000/hub/api".into(),
                host: String::new(),
                public_url: None,
            },
            oauth: OauthClient {
                client_id: format!("jupyterhub-user-{}", server.user),
                access_scopes: Vec::new(),
                allowed_scopes: Vec::new(),
            },
        }
    }

    /// Waits for something, but not for ever.
    pub(super) async fn within<F: Future>(&self, what: &str, event: F) -> Checked<F::Output> {
        let patience = self.backend.patience();
        tokio::time::timeout(patience, event)
            .await
            .map_err(|_| fault!("{what} did not come to an end within {patience:?}"))
    }

    /// Looks until `done` gives an answer.
    pub(super) async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> Checked<Option<T>>,
    ) -> Checked<T> {
        let found = async {
            loop {
                if let Some(found) = look().await? {
                    return Ok(found);
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        self.within(what, found).await?
    }

    pub(super) async fn census(&self, server: &ServerId) -> Checked<Vec<String>> {
        self.within("the census", self.backend.census(server)).await
    }

    /// Fails if anything of a server is there.
    pub(super) async fn nothing_left(&self, server: &ServerId, after: &str) -> Checked {
        let census = self.census(server).await?;
        ensure!(
            census.is_empty(),
            "after {after} there is still:\n    {}",
            census.join("\n    ")
        );
        Ok(())
    }

    /// Waits until nothing of a server is there; for what ends without anybody waiting for it.
    pub(super) async fn until_nothing_left(&self, server: &ServerId, after: &str) -> Checked {
        let what = format!("waiting for nothing to be left after {after}");
        let gone = self.until(&what, async || {
            Ok(self.census(server).await?.is_empty().then_some(()))
        });
        match gone.await {
            Ok(()) => Ok(()),
            // It shows what is left, if that did not go just now.
            Err(_) => self.nothing_left(server, after).await,
        }
    }

    /// Skips the check for a backend that cannot be cut off.
    pub(super) async fn backend_can_be_severed(&self) -> Checked {
        let can = self.backend.sever().await;
        self.backend.mend().await;
        if can {
            return Ok(());
        }
        let reason = "the backend cannot be made unreachable (Backend::sever)";
        Err(Stop::Skip(reason.into()))
    }

    /// Skips the check for a backend whose servers end with the daemon.
    pub(super) fn servers_outlive_the_daemon(&self) -> Checked {
        if self.backend.outlives() {
            return Ok(());
        }
        let reason = "its servers do not outlive the daemon (Backend::outlives)";
        Err(Stop::Skip(reason.into()))
    }

    /// Remembers that something runs.
    pub(super) fn started(&self, server: &ServerId, state: SpawnerState) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        started.push((server.clone(), state));
    }

    /// Stops what a check that failed may have left, as well as the spawner can.
    pub(super) async fn clear(&self) {
        self.backend.mend().await;
        let started =
            std::mem::take(&mut *self.started.lock().unwrap_or_else(PoisonError::into_inner));
        for (server, state) in started {
            let stop = async {
                let mut spawner = self.factory.create(&server);
                if spawner.load_state(&state).is_ok() {
                    // It failed its check: nothing depends on whether this works.
                    let _ = spawner.stop(StopMode::Now).await;
                }
            };
            let bounded = tokio::time::timeout(LAST_STOP, stop);
            let _ = AssertUnwindSafe(bounded).catch_unwind().await;
        }
    }
}

/// A state as a message shows it, in full: it holds no secret, and there is a check for that.
pub(super) fn shown(state: &SpawnerState) -> String {
    serde_json::to_string(state).unwrap_or_else(|error| error.to_string())
}

pub(super) fn user_name(name: &str) -> UserName {
    UserName::new(name).expect("a user name of the kit is a valid one")
}

/// The server `server` of `user`.
pub(super) fn server_id(user: &str, server: &str) -> ServerId {
    let server = ServerName::new(server).expect("a server name of the kit is a valid one");
    ServerId::new(user_name(user), server)
}
