//! What the owner tasks report becomes rows and routes, in that order.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use spawner_core::{
    BoxError, Ending, Endpoint, Journal, LaunchId, Outcome, ServerId, SpawnContext, SpawnerState,
};

use super::routes::Routes;
use crate::metrics::Metrics;
use crate::store::{Digest, NewClient, NewLaunch, Server, Stage, Store, StoreError};

/// The journal of every owner task.
pub(crate) struct Books {
    store: Store,
    routes: Arc<Routes>,
    metrics: Metrics,
    /// The scopes of a server's own token.
    token_scopes: Vec<String>,
}

impl Books {
    pub(crate) fn new(
        store: Store,
        routes: Arc<Routes>,
        metrics: Metrics,
        token_scopes: Vec<String>,
    ) -> Self {
        Self {
            store,
            routes,
            metrics,
            token_scopes,
        }
    }

    fn row(&self, server: &ServerId) -> Result<Arc<Server>, StoreError> {
        self.store
            .servers()
            .find(server)
            .ok_or(StoreError::NotFound("server"))
    }

    fn unroute(&self, server: &ServerId) {
        if self.routes.get(server).is_some() {
            self.routes.remove(server);
            self.metrics.running_servers.dec();
        }
    }
}

#[async_trait]
impl Journal for Books {
    async fn starting(&self, ctx: &SpawnContext) -> Result<(), BoxError> {
        let row = self.row(&ctx.server)?;
        // The server's token is its OAuth client secret as well, as the contract has it.
        let secret = Digest::of(ctx.token.expose());
        let launch = NewLaunch {
            launch_id: ctx.launch_id.clone(),
            token: secret,
            token_scopes: self.token_scopes.clone(),
            token_note: format!("Server at {}", ctx.service_prefix()),
            client: NewClient {
                client_id: ctx.oauth.client_id.clone(),
                secret,
                redirect_uri: format!("{}oauth_callback", ctx.service_prefix()),
                allowed_scopes: ctx.oauth.allowed_scopes.clone(),
            },
            options: ctx.options.clone(),
        };
        let now = Timestamp::now();
        // The owner task knows that nothing runs. A row that says otherwise could not be written
        // when its run ended.
        if row.stage != Stage::Stopped {
            self.store.servers().mark_stopped(row.id, None, now).await?;
        }
        self.store
            .servers()
            .begin_launch(row.id, launch, now)
            .await?;
        Ok(())
    }

    async fn checkpoint(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        let row = self.row(server)?;
        self.store
            .servers()
            .save_state(row.id, launch.clone(), state.clone())
            .await?;
        Ok(())
    }

    async fn ready(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        endpoint: &Endpoint,
        state: &SpawnerState,
    ) -> Result<(), BoxError> {
        let row = self.row(server)?;
        let (launch, address) = (launch.clone(), endpoint.clone());
        self.store
            .servers()
            .mark_running(row.id, launch, address, state.clone())
            .await?;
        if self.routes.get(server).is_none() {
            self.metrics.running_servers.inc();
        }
        self.routes.add(server, endpoint);
        Ok(())
    }

    async fn stopping(&self, server: &ServerId, _: &LaunchId) -> Result<(), BoxError> {
        self.store
            .servers()
            .mark_stopping(self.row(server)?.id)
            .await?;
        self.unroute(server);
        Ok(())
    }

    async fn failed(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        outcome: &Outcome,
    ) -> Result<(), BoxError> {
        let (row, failure) = (self.row(server)?, serde_json::to_value(outcome)?);
        self.store
            .servers()
            .mark_failed(row.id, launch.clone(), failure)
            .await?;
        Ok(())
    }

    async fn stopped(
        &self,
        server: &ServerId,
        launch: &LaunchId,
        outcome: &Outcome,
    ) -> Result<(), BoxError> {
        // Nothing of it is left, so the route goes whatever becomes of the row.
        self.unroute(server);
        let row = self.row(server)?;
        let failure = match &outcome.ending {
            // By a hub that was started while a failed start was cleared: the reason stays.
            Ending::Stopped if row.launch_id.as_ref() == Some(launch) => row.last_failure.clone(),
            Ending::Stopped => None,
            Ending::Failed(_) => Some(serde_json::to_value(outcome)?),
            Ending::Exited(_) => {
                self.metrics.unexpected_ends.inc();
                Some(serde_json::to_value(outcome)?)
            }
        };
        self.store
            .servers()
            .mark_stopped(row.id, failure, Timestamp::now())
            .await?;
        Ok(())
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Books")
    }
}
