//! Looking at everything that a hub needs, beside one that runs or without one.
//!
//! ```text
//! a hub runs on the state directory   its address, its identity: servers are asked about that very hub
//! none does                           its address is bound for the moment, and whoever asks is answered
//! ```

use std::io;
use std::path::Path;

use spawner_core::{Finding, Verdict, error_chain};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::boot::urls;
use super::builder::HubBuilder;
use super::control::{Client, Status};
use super::error::HubError;
use super::spawner;
use crate::config::HubTable;
use crate::store::{OpenError, Store};

/// Who asks when there are no books that say who the hub is.
const NOBODY: &str = "doctor";

impl HubBuilder {
    /// One finding for each thing that was looked at. An error is one of the configuration. Beside
    /// a hub that runs this changes nothing; without one, whatever is made is gone afterwards.
    pub(crate) async fn diagnose(self) -> Result<Vec<Finding>, HubError> {
        self.check()?;
        let hub = &self.config.hub;
        let mut findings = Vec::new();
        let running = match running(&hub.state_dir).await {
            Ok(running) => running,
            Err(message) => {
                findings.push(Finding::new(Verdict::Warning, message));
                None
            }
        };
        let (api_url, instance, listener) = if let Some(status) = running {
            let message = format!(
                "a hub runs with process id {} and serves at {}",
                status.pid, status.url
            );
            findings.push(Finding::new(Verdict::Fine, message));
            (status.api_url, status.instance, None)
        } else {
            let (listener, found) = listen(hub).await;
            findings.push(found);
            let (instance, found) = instance(&hub.state_dir).await;
            findings.extend(found);
            let bound = listener.as_ref().and_then(|bound| bound.local_addr().ok());
            let address = bound.unwrap_or(hub.bind);
            (urls(hub, address).api_url, instance, listener)
        };
        let factory = spawner::build(&self.config, &self.registry, &hub.state_dir, &instance)?;
        let looked = factory.diagnose(&api_url);
        findings.extend(match listener {
            None => looked.await,
            Some(listener) => tokio::select! {
                looked = looked => looked,
                never = answer(listener) => match never {},
            },
        });
        Ok(findings)
    }
}

/// The hub that runs on a state directory, if one does.
async fn running(state_dir: &Path) -> Result<Option<Status>, String> {
    let trouble = |error: &(dyn std::error::Error + 'static)| {
        let error = error_chain(error);
        format!("it cannot be told whether a hub runs: {error}")
    };
    match Client::connect(state_dir).await {
        Ok(None) => Ok(None),
        Ok(Some(client)) => client.status().await.map(Some).map_err(|e| trouble(&e)),
        Err(error) => Err(trouble(&error)),
    }
}

/// Listens where the hub would.
async fn listen(hub: &HubTable) -> (Option<TcpListener>, Finding) {
    let address = hub.bind;
    match TcpListener::bind(address).await {
        Ok(listener) => {
            let message = format!("no hub runs, and its address {address} is free");
            (Some(listener), Finding::new(Verdict::Fine, message))
        }
        Err(error) => {
            let what = if error.kind() == io::ErrorKind::AddrInUse {
                "another program listens there; end it, or set another `bind` in [hub]".to_owned()
            } else {
                format!("{error}")
            };
            let message = format!("a hub cannot listen at {address}: {what}");
            (None, Finding::new(Verdict::Problem, message))
        }
    }
}

/// Who the hub of a state directory is, by its books, which are opened as every command opens them.
/// Where there are none nothing is made.
async fn instance(state_dir: &Path) -> (String, Option<Finding>) {
    let nobody = |found| (NOBODY.to_owned(), found);
    if !matches!(Store::is_in(state_dir), Ok(true)) {
        return nobody(None);
    }
    let dir = state_dir.to_owned();
    match tokio::task::spawn_blocking(move || Store::open(&dir)).await {
        Ok(Ok(store)) => {
            let instance = store.instance_id().to_owned();
            let _ = store.close().await;
            (instance, None)
        }
        Ok(Err(error @ OpenError::InUse { .. })) => {
            let message = error_chain(&error);
            nobody(Some(Finding::new(Verdict::Warning, message)))
        }
        Ok(Err(error)) => {
            let message = error_chain(&error);
            nobody(Some(Finding::new(Verdict::Problem, message)))
        }
        Err(error) => {
            let message = error_chain(&error);
            nobody(Some(Finding::new(Verdict::Problem, message)))
        }
    }
}

/// Answers whoever comes, one after the other.
async fn answer(listener: TcpListener) -> std::convert::Infallible {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            // Out of descriptors, say: whoever asks finds out by its own time limit.
            std::future::pending::<()>().await;
            continue;
        };
        let _ = stream.read(&mut [0; 1024]).await;
        let words = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        let _ = stream.write_all(words).await;
    }
}
