//! What a hub is made of, for programs that bring their own parts.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spawner_core::{
    BackendSetup, BoxError, Outcome, Registry, ServerId, SetupError, SpawnerFactory, UserName,
};

use super::error::HubError;
use super::spawner;
use crate::auth::directory::Directory;
use crate::config::Config;
use crate::pages::Templates;
use crate::servers::EndCallback;

/// Puts a hub together: the configuration, and whatever a program adds to it.
///
/// ```no_run
/// # async fn run() -> Result<(), hubd::HubError> {
/// let hub = hubd::Hub::builder().config_file("hubd.toml".as_ref())?.start().await?;
/// println!("serving at {}", hub.url());
/// hub.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct HubBuilder {
    pub(super) config: Config,
    pub(super) registry: Registry,
    pub(super) on_end: Vec<EndCallback>,
    pub(super) login_link_for: Option<UserName>,
    pub(super) pam_helper: Option<PathBuf>,
}

impl HubBuilder {
    pub(super) fn new() -> Self {
        let mut registry = Registry::new();
        spawner_local::register(&mut registry);
        spawner_docker::register(&mut registry);
        Self {
            config: Config::default(),
            registry,
            on_end: Vec::new(),
            login_link_for: None,
            pam_helper: None,
        }
    }

    /// Reads the configuration from a file.
    pub fn config_file(self, path: &Path) -> Result<Self, HubError> {
        Ok(self.with_config(Config::load(path)?))
    }

    /// Reads the configuration from a text; `name` stands for the file in messages. Relative paths
    /// start at the current folder.
    pub fn config_toml(self, text: &str, name: &str) -> Result<Self, HubError> {
        Ok(self.with_config(Config::parse(text, name)?))
    }

    pub(crate) fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Says what is wrong with the configuration, as far as that can be told without creating or
    /// starting anything.
    pub fn check(&self) -> Result<(), HubError> {
        self.config.validate()?;
        spawner::build(
            &self.config,
            &self.registry,
            &self.config.hub.state_dir,
            "check",
        )?;
        Directory::check(&self.config)?;
        Templates::new(self.config.hub.template_dir.as_deref())?;
        Ok(())
    }

    /// Adds a kind of spawner, which the configuration can name as `[spawner] kind`. The crate
    /// `examples/custom-spawner` is one with a hub of its own.
    pub fn spawner<B>(mut self, kind: &str, build: B) -> Self
    where
        B: Fn(BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> + Send + Sync + 'static,
    {
        self.registry.register(kind, build);
        self
    }

    /// Adds a callback that runs each time a server is noticed to have ended by itself. An explicit
    /// stop and a failed start run none.
    pub fn on_server_end<F, R>(mut self, callback: F) -> Self
    where
        F: Fn(ServerId, Arc<Outcome>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        self.on_end.push(Arc::new(move |server, outcome| {
            Box::pin(callback(server, outcome))
        }));
        self
    }

    /// Has the hub make a link that logs in as `user` once, see [`Hub::login_link`](crate::Hub::login_link).
    pub fn login_link_for(mut self, user: UserName) -> Self {
        self.login_link_for = Some(user);
        self
    }

    /// Names a `hubd` program for `kind = "pam"`, which runs PAM in processes of its own. The program
    /// `hubd` names itself; one that ends in [`cli::main`](crate::cli::main) may do the same.
    pub fn pam_helper(mut self, program: impl Into<PathBuf>) -> Self {
        self.pam_helper = Some(program.into());
        self
    }
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubBuilder")
            .field("kinds", &self.registry)
            .finish_non_exhaustive()
    }
}
