//! The knobs that every spawner shares, under the seed's names and with its defaults.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::context::SpawnContext;
use crate::env::ENV_KEEP;
use crate::hooks::SpawnHooks;
use crate::options::{FormContext, OptionsForm};

/// What a spawner is configured with, held by composition: [`Spawner::config`](crate::Spawner::config)
/// gives it out.
///
/// Build one with `SpawnerConfig { start_timeout, ..SpawnerConfig::default() }`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use spawner_core::{EnvValue, FormSource, OptionsForm, SingleuserArgs, SpawnerConfig};
///
/// let mut config = SpawnerConfig {
///     start_timeout: Duration::from_secs(120),
///     notebook_dir: "~/notebooks".into(),
///     mem_limit: Some(1 << 30),
///     singleuser_args: SingleuserArgs::None,
///     options_form: FormSource::Computed(Arc::new(|ctx| {
///         OptionsForm::Html(format!("What shall {} have?", ctx.server.user))
///     })),
///     ..SpawnerConfig::default()
/// };
/// config.environment.insert("COURSE".into(), "physics".into());
/// let who = EnvValue::Computed(Arc::new(|ctx| ctx.server.user.to_string()));
/// config.environment.insert("WHO".into(), who);
/// assert_eq!(config.limits_set().collect::<Vec<_>>(), ["mem_limit"]);
/// ```
#[derive(Debug, Clone)]
pub struct SpawnerConfig {
    /// The program and its first arguments; empty leaves the choice to the backend (an image's
    /// own command). Default: `jupyterhub-singleuser`.
    pub cmd: Vec<String>,
    /// Arguments after `cmd`.
    pub args: Vec<String>,
    /// The address that the server binds; empty means every interface. Default `127.0.0.1`.
    pub ip: String,
    /// The port that the server binds; `0` means a free one for each start.
    pub port: u16,
    /// How long everything before a start may take: checking options and limits, choosing an
    /// address, asking for environment and arguments. Default 30 s.
    pub prepare_timeout: Duration,
    /// How long each of the [`hooks`](Self::hooks) may take. Default 30 s.
    pub hook_timeout: Duration,
    /// How long [`Spawner::start`](crate::Spawner::start) may take to return an endpoint.
    /// Default 60 s.
    pub start_timeout: Duration,
    /// How long the server may take, after that, to answer over HTTP. Default 30 s.
    pub http_timeout: Duration,
    /// How long a start may take altogether, with all that is tried again. By default the sum of
    /// the four above.
    pub total_timeout: Option<Duration>,
    /// How often the server is polled while it runs; zero turns polling off. Default 30 s.
    pub poll_interval: Duration,
    /// The part of `poll_interval` over which polls are spread, so that those of many servers do
    /// not come at once: 0.1, the default, is 5 % to either side. 0 is none, 1 the most.
    pub poll_jitter: f64,
    /// After how many failed starts in a row further ones are denied for a while
    /// ([`Denied::FailsRepeatedly`](crate::Denied::FailsRepeatedly)). 0, the default, is never.
    /// Refused and cancelled starts do not count; other servers are not touched.
    pub consecutive_failure_limit: u32,
    /// What runs before each start and after each stop (JupyterHub's `pre_spawn_hook` and
    /// `post_stop_hook`).
    pub hooks: Option<Arc<dyn SpawnHooks>>,
    /// Names of the daemon's environment variables that a server inherits.
    pub env_keep: Vec<String>,
    /// Variables set before everything else. Deprecated in the seed and here: use `environment`.
    pub env: BTreeMap<String, String>,
    /// Variables set last, over the hub's own.
    pub environment: BTreeMap<String, EnvValue>,
    /// The directory that the server shows; `~` is the user's home (resolved by the server),
    /// `%U` and `{username}` the user's name. Empty: the server's own choice.
    pub notebook_dir: String,
    /// The page a user lands on, such as `/lab`; `%U` and `{username}` as above.
    pub default_url: String,
    /// Turns on debug logging in the server.
    pub debug: bool,
    /// Makes the server ignore configuration in the user's home.
    pub disable_user_config: bool,
    /// The most memory a server may use, in bytes. A spawner that cannot enforce a limit refuses to
    /// start anything: see [`Spawner::check_limits`](crate::Spawner::check_limits).
    pub mem_limit: Option<u64>,
    /// The memory, in bytes, that a server can count on.
    pub mem_guarantee: Option<u64>,
    /// The most processor time a server may use, in cores (`0.5` is half of one).
    pub cpu_limit: Option<f64>,
    /// The processor time, in cores, that a server can count on.
    pub cpu_guarantee: Option<f64>,
    /// What a user is asked before a start.
    pub options_form: FormSource,
    /// Which arguments the server is given by default.
    pub singleuser_args: SingleuserArgs,
}

/// A command line as it stands in a configuration: one program, or a program with its first
/// arguments. A single text is one program and is never split, as in the seed.
///
/// ```
/// use spawner_core::{Command, SpawnerConfig};
///
/// let config = SpawnerConfig::default().with_cmd("/opt/my jupyter/bin/singleuser");
/// assert_eq!(config.cmd, ["/opt/my jupyter/bin/singleuser"]);
/// let config = config.with_cmd(["jupyter", "labhub"]);
/// assert_eq!(config.cmd, ["jupyter", "labhub"]);
/// assert_eq!(Command::from(vec!["jupyter".to_owned()]).into_argv(), ["jupyter"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<String>);

/// The value of one entry of `environment`: a text, or a function of the run.
///
/// Example: see [`SpawnerConfig`](crate::SpawnerConfig).
#[derive(Clone)]
pub enum EnvValue {
    /// Taken as it is.
    Text(String),
    /// Computed at each start. It should return quickly: it runs on the server's owner task.
    Computed(Arc<dyn Fn(&SpawnContext) -> String + Send + Sync>),
}

/// Where the options form comes from: a text, or a function of who asks.
///
/// Example: see [`SpawnerConfig`](crate::SpawnerConfig).
#[derive(Clone)]
pub enum FormSource {
    /// Always this form.
    Fixed(OptionsForm),
    /// Computed each time that the form is shown.
    Computed(Arc<dyn Fn(&FormContext) -> OptionsForm + Send + Sync>),
}

/// Which arguments [`Spawner::get_args`](crate::Spawner::get_args) gives by default.
///
/// Example: see [`SpawnerConfig`](crate::SpawnerConfig).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SingleuserArgs {
    /// `args` alone: today's servers read the rest from their environment and refuse the old flags.
    #[default]
    None,
    /// The seed's flags, in its order, before `args`.
    Classic,
}

impl Default for SpawnerConfig {
    fn default() -> Self {
        Self {
            cmd: vec!["jupyterhub-singleuser".to_owned()],
            args: Vec::new(),
            ip: "127.0.0.1".to_owned(),
            port: 0,
            prepare_timeout: Duration::from_secs(30),
            hook_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_secs(60),
            http_timeout: Duration::from_secs(30),
            total_timeout: None,
            poll_interval: Duration::from_secs(30),
            poll_jitter: 0.1,
            consecutive_failure_limit: 0,
            hooks: None,
            env_keep: ENV_KEEP.map(str::to_owned).to_vec(),
            env: BTreeMap::new(),
            environment: BTreeMap::new(),
            notebook_dir: String::new(),
            default_url: String::new(),
            debug: false,
            disable_user_config: false,
            mem_limit: None,
            mem_guarantee: None,
            cpu_limit: None,
            cpu_guarantee: None,
            options_form: FormSource::default(),
            singleuser_args: SingleuserArgs::None,
        }
    }
}

impl SpawnerConfig {
    /// The same with another `cmd`, given as a text or a list.
    ///
    /// Example: see [`Command`].
    #[must_use]
    pub fn with_cmd(mut self, cmd: impl Into<Command>) -> Self {
        self.cmd = cmd.into().into_argv();
        self
    }

    /// The names of the resource limits and guarantees that are set, as an admin writes them.
    ///
    /// Example: see [`SpawnerConfig`](crate::SpawnerConfig).
    pub fn limits_set(&self) -> impl Iterator<Item = &'static str> {
        [
            ("mem_limit", self.mem_limit.is_some()),
            ("mem_guarantee", self.mem_guarantee.is_some()),
            ("cpu_limit", self.cpu_limit.is_some()),
            ("cpu_guarantee", self.cpu_guarantee.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
    }
}

impl Command {
    /// The program and its first arguments.
    ///
    /// Example: see [`Command`].
    pub fn into_argv(self) -> Vec<String> {
        self.0
    }
}

impl EnvValue {
    /// The value for one run.
    ///
    /// Example: see [`SpawnerConfig`](crate::SpawnerConfig).
    pub fn resolve(&self, ctx: &SpawnContext) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Computed(compute) => compute(ctx),
        }
    }
}

impl FormSource {
    /// The form for one visitor.
    ///
    /// Example: see [`SpawnerConfig`](crate::SpawnerConfig).
    pub fn resolve(&self, ctx: &FormContext) -> OptionsForm {
        match self {
            Self::Fixed(form) => form.clone(),
            Self::Computed(compute) => compute(ctx),
        }
    }
}

impl Default for FormSource {
    fn default() -> Self {
        Self::Fixed(OptionsForm::None)
    }
}

impl From<&str> for Command {
    fn from(program: &str) -> Self {
        Self(vec![program.to_owned()])
    }
}

impl From<String> for Command {
    fn from(program: String) -> Self {
        Self(vec![program])
    }
}

impl<T: Into<String>> From<Vec<T>> for Command {
    fn from(argv: Vec<T>) -> Self {
        Self(argv.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Command {
    fn from(argv: [T; N]) -> Self {
        Self(argv.map(Into::into).to_vec())
    }
}

impl<T: Into<String>> From<T> for EnvValue {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

// Values can be secrets (`environment = { DB_PASSWORD = ... }`), so Debug shows none.
impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "Text(***)",
            Self::Computed(_) => "Computed(..)",
        })
    }
}

impl fmt::Debug for FormSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(form) => f.debug_tuple("Fixed").field(form).finish(),
            Self::Computed(_) => f.write_str("Computed(..)"),
        }
    }
}
