//! The network of the servers, and how they reach the hub from it.
//!
//! ```text
//! network_name absent    hubd-INSTANCE: a bridge of this hub's own, made when it is missing, on which
//!                        containers cannot reach each other and the host reaches all
//! network_name = "x"     that one, which must be there
//! ```
//!
//! Inside a container loopback is the container itself. A hub on the engine's own machine is found
//! at the gateway of the network, so an address of the hub on loopback is told to servers as that. It
//! has to listen there: `bind = "0.0.0.0:8000"`, or the gateway's address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bollard::models::NetworkCreateRequest;
use sha2::{Digest as _, Sha256};
use spawner_core::{SpawnError, SpawnErrorKind};
use tokio::time::timeout;

use crate::client::{Engine, NetworkInfo, host_of};
use crate::error::EngineError;
use crate::identity::INSTANCE;
use crate::name::{hex, is_object_name};
use crate::settings::DockerSettings;

/// What names of own networks start with.
const PREFIX: &str = "hubd-";
/// The longest instance that is part of a name as it is.
const INSTANCE_MAX: usize = 40;
/// How long everybody who waits for the network to be made waits together.
const PATIENCE: Duration = Duration::from_secs(30);

/// The network that a hub's servers are on.
#[derive(Debug)]
pub(crate) struct ServerNetwork {
    name: String,
    /// The hub that it is made for, if it is its own.
    own: Option<String>,
    /// What is known of it, once it was there.
    known: Mutex<Option<NetworkInfo>>,
    /// Held by whoever makes it: engines do make two of the same name.
    making: tokio::sync::Mutex<()>,
}

impl ServerNetwork {
    pub(crate) fn new(settings: &DockerSettings, instance: &str) -> Self {
        let (name, own) = match &settings.network {
            Some(network) => (network.as_str().to_owned(), None),
            None => (own_name(instance), Some(instance.to_owned())),
        };
        Self {
            name,
            own,
            known: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The network as the engine has it; made if it is our own and missing.
    pub(crate) async fn ensure(&self, engine: &Engine) -> Result<NetworkInfo, SpawnError> {
        if let Some(known) = &*self.lock() {
            return Ok(known.clone());
        }
        let found = match (self.find(engine).await?, &self.own) {
            (Some(found), _) => found,
            (None, Some(instance)) => timeout(PATIENCE, self.make(engine, instance))
                .await
                .map_err(|_| EngineError::Timeout(PATIENCE).doing("make the network"))??,
            (None, None) => {
                let message = format!(
                    "The Docker Engine has no network \"{name}\". An admin can make it: \"docker \
                     network create {name}\".",
                    name = self.name
                );
                return Err(SpawnError::new(SpawnErrorKind::NotFound, message));
            }
        };
        *self.lock() = Some(found.clone());
        Ok(found)
    }

    /// Where its containers find this machine, once that is known: after the preflight.
    pub(crate) fn gateway(&self) -> Option<String> {
        self.lock().as_ref()?.gateway.clone()
    }

    /// Whether the engine has it already.
    pub(crate) async fn is_there(&self, engine: &Engine) -> Result<bool, SpawnError> {
        Ok(self.find(engine).await?.is_some())
    }

    /// Removes our own network; for whoever has made it to look at it.
    pub(crate) async fn remove(&self, engine: &Engine) -> Result<(), SpawnError> {
        self.forget();
        engine
            .remove_network(&self.name)
            .await
            .map_err(|error| error.doing("remove the network that was made for a look"))
    }

    /// Looks again the next time: it was there and is not any more.
    pub(crate) fn forget(&self) {
        *self.lock() = None;
    }

    async fn find(&self, engine: &Engine) -> Result<Option<NetworkInfo>, SpawnError> {
        engine
            .network(&self.name)
            .await
            .map_err(|error| error.doing("look for the network"))
    }

    async fn make(&self, engine: &Engine, instance: &str) -> Result<NetworkInfo, SpawnError> {
        let _turn = self.making.lock().await;
        if let Some(found) = self.find(engine).await? {
            return Ok(found);
        }
        let text = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let request = NetworkCreateRequest {
            name: self.name.clone(),
            driver: Some("bridge".to_owned()),
            options: Some(HashMap::from([text(
                "com.docker.network.bridge.enable_icc",
                "false",
            )])),
            labels: Some(HashMap::from([text(INSTANCE, instance)])),
            ..NetworkCreateRequest::default()
        };
        engine
            .make_network(request)
            .await
            .map_err(|error| error.doing("make the network of the servers"))?;
        tracing::info!(network = self.name, "made a network for the servers");
        self.find(engine).await?.ok_or_else(|| {
            SpawnError::other("The network of the servers was made and is not there.")
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<NetworkInfo>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An instance is a text of the daemon's; what is no name goes in as its hash.
fn own_name(instance: &str) -> String {
    if instance.len() <= INSTANCE_MAX && is_object_name(instance) {
        return format!("{PREFIX}{instance}");
    }
    let hash = Sha256::digest(instance.as_bytes());
    format!("{PREFIX}{}", hex(&hash[..16]))
}

/// `url` with its host replaced by `host`, if it is on loopback.
pub(crate) fn seen_from_inside(url: &str, host: &str) -> Option<String> {
    if !is_loopback(url) {
        return None;
    }
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    let port = authority[after_host..].find(':');
    let port = port.map_or("", |at| &authority[after_host + at..]);
    let host = match host.parse() {
        Ok(IpAddr::V6(_)) => format!("[{host}]"),
        _ => host.to_owned(),
    };
    Some(format!("{scheme}://{host}{port}{path}"))
}

/// Whether a URL names the machine, or the container, of whoever reads it.
pub(crate) fn is_loopback(url: &str) -> bool {
    let host = host_of(url);
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|at| at.is_loopback() || at.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_networks_have_a_name_each() {
        assert_eq!(own_name("5f1d7f7c"), "hubd-5f1d7f7c");
        let odd = own_name("a hub/of mine");
        assert!(is_object_name(&odd), "{odd}");
        assert_ne!(odd, own_name("a hub/of mine too"));
        assert!(own_name(&"x".repeat(500)).len() < 63);
    }

    #[test]
    fn loopback_is_the_gateway_from_inside() {
        for (url, inside) in [
            (
                "http://127.0.0.1:8000/hub/api",
                Some("http://172.18.0.1:8000/hub/api"),
            ),
            (
                "http://localhost/hub/api",
                Some("http://172.18.0.1/hub/api"),
            ),
            ("https://[::1]:8443", Some("https://172.18.0.1:8443")),
            ("http://0.0.0.0:1/", Some("http://172.18.0.1:1/")),
            ("http://hub.example:8000/hub/api", None),
            ("http://192.0.2.1:8000/", None),
            ("", None),
        ] {
            let seen = seen_from_inside(url, "172.18.0.1");
            assert_eq!(seen.as_deref(), inside, "{url}");
        }
        let v6 = seen_from_inside("http://localhost:1/", "fd00::1");
        assert_eq!(v6.as_deref(), Some("http://[fd00::1]:1/"));
    }
}
