//! Backends by name: what `kind = "..."` in a configuration file refers to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::SpawnerConfig;
use crate::factory::SpawnerFactory;

/// The kinds of spawner that a daemon offers.
///
/// ```
/// use std::sync::Arc;
///
/// use spawner_core::{BackendSetup, Registry, ServerId};
/// # use spawner_core::{Endpoint, Launch, PollStatus, SpawnError, Spawner, SpawnerConfig, StopMode};
/// # #[derive(Debug, Default)]
/// # struct Idle(SpawnerConfig);
/// # #[async_trait::async_trait]
/// # impl Spawner for Idle {
/// #     fn config(&self) -> &SpawnerConfig { &self.0 }
/// #     async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
/// #         Ok(launch.ctx.listen.as_ref().unwrap().local_endpoint())
/// #     }
/// #     async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> { Ok(()) }
/// #     async fn poll(&mut self) -> Result<PollStatus, SpawnError> { Ok(PollStatus::Running) }
/// # }
///
/// #[derive(Debug, Default, serde::Deserialize)]
/// #[serde(deny_unknown_fields, default)]
/// struct Settings {
///     image: String,
/// }
///
/// let mut registry = Registry::new();
/// registry.register("idle", |setup: BackendSetup| {
///     let settings: Settings = setup.settings()?;
///     println!("image {}", settings.image);
///     Ok(Arc::new(move |_: &ServerId| Idle(setup.config.clone())))
/// });
/// assert_eq!(registry.kinds().collect::<Vec<_>>(), ["idle"]);
/// let setup = BackendSetup {
///     config: SpawnerConfig::default(),
///     settings: [("imago".to_owned(), "lab".into())].into_iter().collect(),
///     state_dir: "/var/lib/hub".into(),
///     instance: "one".into(),
/// };
/// let error = registry.build("idle", setup).err().expect("a misspelt key");
/// assert!(error.message.contains("unknown field `imago`"));
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    builders: BTreeMap<String, Builder>,
}

type Builder =
    Arc<dyn Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> + Send + Sync>;

/// What a backend is built from.
///
/// Example: see [`Registry`](crate::Registry).
#[derive(Debug, Clone)]
pub struct BackendSetup {
    /// The shared knobs.
    pub config: SpawnerConfig,
    /// The backend's own table of the configuration file; empty when there is none.
    pub settings: Map<String, Value>,
    /// A directory that the backend may keep things in, private to the daemon and kept across its
    /// restarts.
    pub state_dir: PathBuf,
    /// Tells this daemon's objects from another's on the same host.
    pub instance: String,
}

/// A backend that cannot be built from its configuration.
///
/// Example: see [`Registry`](crate::Registry).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SetupError {
    /// The setting that is wrong, within the backend's own table (`volumes.data`), if it is one.
    pub key: Option<String>,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl Registry {
    /// An empty one.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind, replacing one of the same name.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn register<B>(&mut self, kind: impl Into<String>, build: B)
    where
        B: Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> + Send + Sync + 'static,
    {
        self.builders.insert(kind.into(), Arc::new(build));
    }

    /// The names of all kinds, sorted.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn kinds(&self) -> impl Iterator<Item = &str> {
        self.builders.keys().map(String::as_str)
    }

    /// Builds the backend named `kind`.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn build(
        &self,
        kind: &str,
        setup: BackendSetup,
    ) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
        let Some(build) = self.builders.get(kind) else {
            let known = self.kinds().collect::<Vec<_>>().join(", ");
            return Err(SetupError::new(format!(
                "there is no spawner of kind \"{kind}\"; known are {known}"
            )));
        };
        build(setup)
    }
}

impl BackendSetup {
    /// Reads the backend's own table into a struct that derives `Deserialize`; use
    /// `#[serde(deny_unknown_fields, default)]` on it, so that a misspelt key is refused.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn settings<T: DeserializeOwned>(&self) -> Result<T, SetupError> {
        serde_json::from_value(Value::Object(self.settings.clone())).map_err(|error| {
            let message = error.to_string();
            // serde names a field only in its sentence, if at all: "unknown field `x`, expected
            // ...". What is wrong with a value is also wrong when it stands alone.
            let named = message.split('`').nth(1).map(str::to_owned);
            let named = named.filter(|key| self.settings.contains_key(key));
            let alone = || {
                let mut settings = self.settings.iter();
                let entry = settings.find(|(key, value)| {
                    let table = Map::from_iter([((*key).clone(), (*value).clone())]);
                    let alone = serde_json::from_value::<T>(Value::Object(table));
                    alone.is_err_and(|error| error.to_string() == message)
                });
                entry.map(|(key, _)| key.clone())
            };
            SetupError {
                key: named.or_else(alone),
                message,
            }
        })
    }
}

impl SetupError {
    /// An error of the table as a whole.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            key: None,
            message: message.into(),
        }
    }

    /// An error of one setting.
    ///
    /// Example: see [`Registry`](crate::Registry).
    pub fn key(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            message: message.into(),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        #[allow(dead_code, reason = "only its presence matters here")]
        width: Option<u32>,
    }

    fn setup(settings: Value) -> BackendSetup {
        let Value::Object(settings) = settings else {
            panic!("not an object")
        };
        BackendSetup {
            config: SpawnerConfig::default(),
            settings,
            state_dir: PathBuf::new(),
            instance: String::new(),
        }
    }

    #[test]
    fn a_misspelt_setting_is_named() {
        let error = setup(serde_json::json!({"widht": 1}))
            .settings::<Settings>()
            .unwrap_err();
        assert_eq!(error.key.as_deref(), Some("widht"));
        assert!(setup(serde_json::json!({})).settings::<Settings>().is_ok());
        let error = setup(serde_json::json!({"width": "wide"}))
            .settings::<Settings>()
            .unwrap_err();
        assert_eq!(error.key.as_deref(), Some("width"));
    }

    #[test]
    fn an_unknown_kind_names_the_known_ones() {
        let mut registry = Registry::new();
        registry.register("local", |_| Err(SetupError::new("never built")));
        let error = registry
            .build("lokal", setup(serde_json::json!({})))
            .err()
            .unwrap();
        assert!(error.message.contains("known are local"), "{error}");
    }
}
