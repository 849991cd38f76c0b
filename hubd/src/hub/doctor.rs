//! Looking at everything that a hub needs, beside one that runs or without one.
//!
//! ```text
//! a hub runs on the state directory   its address, its identity: servers are asked about that very hub
//! none does                           its address is bound for the moment, and whoever asks is answered
//! ```

mod logins;

use std::io;
use std::path::Path;
use std::sync::Arc;

use spawner_core::{Finding, Verdict, error_chain};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::boot::{own_url, urls};
use super::builder::HubBuilder;
use super::control::{Client, Status};
use super::error::HubError;
use super::spawner;
use crate::auth::accounts::{Account, Accounts};
use crate::auth::directory::Directory;
use crate::config::{Config, HubTable};
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
        let seen = if let Some((status, accounts)) = running {
            let message = format!(
                "a hub runs with process id {} and serves at {}",
                status.pid, status.url
            );
            findings.push(Finding::new(Verdict::Fine, message));
            Seen {
                url: status.url,
                api_url: status.api_url,
                instance: status.instance,
                accounts,
                listener: None,
            }
        } else {
            let (listener, found) = listen(hub).await;
            findings.push(found);
            let (books, found) = books(&self.config).await;
            findings.extend(found);
            let (instance, accounts) = books.map_or((None, None), |(instance, accounts)| {
                (instance, Some(accounts))
            });
            let bound = listener.as_ref().and_then(|bound| bound.local_addr().ok());
            let address = bound.unwrap_or(hub.bind);
            Seen {
                url: own_url(hub, address),
                api_url: urls(hub, address).api_url,
                instance: instance.unwrap_or_else(|| NOBODY.to_owned()),
                accounts,
                listener,
            }
        };
        let (accounts, helper) = (seen.accounts.as_deref(), self.pam_helper.as_deref());
        findings.extend(logins::look(&self.config, &seen.url, accounts, helper).await);
        let instance = &seen.instance;
        let factory = spawner::build(&self.config, &self.registry, &hub.state_dir, instance)?;
        let looked = factory.diagnose(&seen.api_url);
        findings.extend(match seen.listener {
            None => looked.await,
            Some(listener) => tokio::select! {
                looked = looked => looked,
                never = answer(listener) => match never {},
            },
        });
        Ok(findings)
    }
}

/// What there is of a hub.
struct Seen {
    /// Where browsers find it.
    url: String,
    /// Where servers find it.
    api_url: String,
    instance: String,
    /// Those of the books, if these could be read.
    accounts: Option<Vec<Account>>,
    /// In its place, if none runs.
    listener: Option<TcpListener>,
}

/// The hub that runs on a state directory, if one does, and who is in its books.
async fn running(state_dir: &Path) -> Result<Option<(Status, Option<Vec<Account>>)>, String> {
    let trouble = |error: &(dyn std::error::Error + 'static)| {
        let error = error_chain(error);
        format!("it cannot be told whether a hub runs: {error}")
    };
    let client = Client::connect(state_dir).await;
    let Some(client) = client.map_err(|error| trouble(&error))? else {
        return Ok(None);
    };
    let status = client.status().await.map_err(|error| trouble(&error))?;
    // A connection is good for one call.
    let accounts = match Client::connect(state_dir).await {
        Ok(Some(client)) => client.list().await.ok(),
        _ => None,
    };
    Ok(Some((status, accounts)))
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

/// Who the hub of a state directory is and who is in its books, which are opened as every command
/// opens them. Where there are none nothing is made.
async fn books(config: &Config) -> (Option<(Option<String>, Vec<Account>)>, Option<Finding>) {
    let state_dir = &config.hub.state_dir;
    match Store::is_in(state_dir) {
        Ok(true) => {}
        Ok(false) => return (Some((None, Vec::new())), None),
        Err(_) => return (None, None),
    }
    let dir = state_dir.to_owned();
    let failed = |verdict, error: &(dyn std::error::Error + 'static)| {
        (None, Some(Finding::new(verdict, error_chain(error))))
    };
    let store = match tokio::task::spawn_blocking(move || Store::open(&dir)).await {
        Ok(Ok(store)) => store,
        Ok(Err(error @ OpenError::InUse { .. })) => return failed(Verdict::Warning, &error),
        Ok(Err(error)) => return failed(Verdict::Problem, &error),
        Err(error) => return failed(Verdict::Problem, &error),
    };
    let instance = store.instance_id().to_owned();
    let directory = Directory::new(config, store.clone());
    // The configuration was checked before.
    let accounts = directory.map(|directory| Accounts::new(store.clone(), Arc::new(directory)));
    let accounts = accounts.map(|accounts| accounts.list());
    let _ = store.close().await;
    (Some((Some(instance), accounts.unwrap_or_default())), None)
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
