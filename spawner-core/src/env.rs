//! The environment of a server: what it inherits, what the hub tells it, what configuration adds.

use std::collections::BTreeMap;
use std::fmt;

use crate::command::expand;
use crate::config::SpawnerConfig;
use crate::context::SpawnContext;
use crate::ids::LaunchId;

/// The variables a server inherits when nothing else is configured: the seed's seven.
pub(crate) const ENV_KEEP: [&str; 7] = [
    "PATH",
    "PYTHONPATH",
    "CONDA_ROOT",
    "CONDA_DEFAULT_ENV",
    "VIRTUAL_ENV",
    "LANG",
    "LC_ALL",
];

/// The variable that marks every process of a run with its launch id, so that the tree can be
/// found again after anything.
///
/// Example: see [`launch_marker`](crate::launch_marker).
pub const LAUNCH_MARKER: &str = "HUBD_LAUNCH_ID";

/// Environment variables by name. Its `Debug` shows names only, because values hold tokens.
///
/// ```
/// let mut env = spawner_core::Env::default();
/// env.set("PGPASSWORD", "hunter2");
/// assert_eq!(env.get("PGPASSWORD"), Some("hunter2"));
/// assert_eq!(format!("{env:?}"), r#"{"PGPASSWORD"}"#);
/// assert_eq!(env.iter().count(), 1);
/// env.remove("PGPASSWORD");
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// Sets one variable, replacing an earlier value.
    ///
    /// Example: see [`Env`](crate::Env).
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// The value of one variable.
    ///
    /// Example: see [`Env`](crate::Env).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Takes one variable out.
    ///
    /// Example: see [`Env`](crate::Env).
    pub fn remove(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Every variable, by name.
    ///
    /// Example: see [`Env`](crate::Env).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The default of [`Spawner::get_env`](crate::Spawner::get_env), lowest precedence first: `env`
/// (deprecated), `env_keep`, the hub's own variables, `environment`.
///
/// The seed sets the token after `environment`; JupyterHub since 1.2 lets `environment` win, and so
/// does this.
///
/// Example: see [`SpawnContext`](crate::SpawnContext).
pub fn base_env(config: &SpawnerConfig, ctx: &SpawnContext) -> Env {
    let mut env = Env::default();
    if !config.env.is_empty() {
        tracing::warn!(names = ?config.env.keys(), "`env` is deprecated, use `environment`");
    }
    for (name, value) in &config.env {
        env.set(name, value);
    }
    for name in &config.env_keep {
        if let Ok(value) = std::env::var(name) {
            env.set(name, value);
        }
    }
    hub_variables(&mut env, config, ctx);
    for (name, value) in &config.environment {
        env.set(name, value.resolve(ctx));
    }
    env
}

/// What an unmodified single-user server reads of the hub (JupyterHub 6.1's names, and the older
/// ones that are still read).
fn hub_variables(env: &mut Env, config: &SpawnerConfig, ctx: &SpawnContext) {
    let json = |list: &[String]| serde_json::Value::from(list.to_vec()).to_string();
    let prefix = ctx.service_prefix();
    let token = ctx.token.expose();
    let access = json(&ctx.oauth.access_scopes);
    let public = |url: String| {
        ctx.hub
            .public_url
            .as_ref()
            .map_or(String::new(), |p| p.clone() + &url)
    };
    for (name, value) in [
        (LAUNCH_MARKER, ctx.launch_id.to_string()),
        ("JUPYTERHUB_API_TOKEN", token.to_owned()),
        ("JPY_API_TOKEN", token.to_owned()),
        ("JUPYTERHUB_CLIENT_ID", ctx.oauth.client_id.clone()),
        ("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", "0".to_owned()),
        ("JUPYTERHUB_HOST", ctx.hub.host.clone()),
        (
            "JUPYTERHUB_OAUTH_CALLBACK_URL",
            format!("{prefix}oauth_callback"),
        ),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", access.clone()),
        ("JUPYTERHUB_OAUTH_SCOPES", access),
        (
            "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES",
            json(&ctx.oauth.allowed_scopes),
        ),
        ("JUPYTERHUB_USER", ctx.server.user.to_string()),
        ("JUPYTERHUB_SERVER_NAME", ctx.server.server.to_string()),
        ("JUPYTERHUB_API_URL", ctx.hub.api_url.clone()),
        ("JUPYTERHUB_ACTIVITY_URL", ctx.activity_url()),
        ("JUPYTERHUB_BASE_URL", ctx.hub.base_url.clone()),
        ("JUPYTERHUB_SERVICE_PREFIX", prefix.clone()),
        ("JUPYTERHUB_SERVICE_URL", ctx.service_url()),
        ("JUPYTERHUB_PUBLIC_URL", public(prefix)),
        ("JUPYTERHUB_PUBLIC_HUB_URL", public(ctx.hub.hub_prefix())),
    ] {
        env.set(name, value);
    }
    let user = ctx.server.user.as_str();
    for (name, value) in [
        ("JUPYTERHUB_ROOT_DIR", expand(&config.notebook_dir, user)),
        ("JUPYTERHUB_DEFAULT_URL", expand(&config.default_url, user)),
        (
            "JUPYTERHUB_DEBUG",
            if config.debug {
                "1".into()
            } else {
                String::new()
            },
        ),
        (
            "JUPYTERHUB_DISABLE_USER_CONFIG",
            if config.disable_user_config {
                "1".into()
            } else {
                String::new()
            },
        ),
    ] {
        if !value.is_empty() {
            env.set(name, value);
        }
    }
    // JupyterHub's names for these have no prefix. Servers show their users how much is left.
    for (name, value) in [
        ("MEM_LIMIT", config.mem_limit.map(|bytes| bytes.to_string())),
        (
            "MEM_GUARANTEE",
            config.mem_guarantee.map(|bytes| bytes.to_string()),
        ),
        ("CPU_LIMIT", config.cpu_limit.map(|cores| cores.to_string())),
        (
            "CPU_GUARANTEE",
            config.cpu_guarantee.map(|cores| cores.to_string()),
        ),
    ] {
        if let Some(value) = value {
            env.set(name, value);
        }
    }
}

/// The launch id that an environment block carries (`/proc/PID/environ`, a container's `Env`).
///
/// ```
/// use spawner_core::{LAUNCH_MARKER, LaunchId, launch_marker};
///
/// let id = LaunchId::random();
/// let block = ["LANG=C".to_owned(), format!("{LAUNCH_MARKER}={id}")];
/// assert_eq!(launch_marker(block.iter().map(String::as_str)), Some(id));
/// ```
pub fn launch_marker<'a>(mut variables: impl Iterator<Item = &'a str>) -> Option<LaunchId> {
    variables
        .find_map(|variable| variable.strip_prefix(LAUNCH_MARKER)?.strip_prefix('='))
        .and_then(|value| LaunchId::new(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::context;

    #[test]
    fn precedence_is_env_keep_hub_environment() {
        let mut config = SpawnerConfig::default();
        config.env.insert("PATH".into(), "lowest".into());
        config.env.insert("ONLY_ENV".into(), "kept".into());
        config
            .environment
            .insert("JUPYTERHUB_USER".into(), "chosen".into());
        config.environment.insert(
            "WHO".into(),
            crate::EnvValue::Computed(std::sync::Arc::new(|ctx| ctx.server.to_string())),
        );
        let env = base_env(&config, &context("tee", ""));
        assert_eq!(env.get("PATH"), std::env::var("PATH").ok().as_deref());
        assert_eq!(env.get("ONLY_ENV"), Some("kept"));
        assert_eq!(env.get("JUPYTERHUB_USER"), Some("chosen"));
        assert_eq!(env.get("WHO"), Some("tee"));
    }

    #[test]
    fn nothing_beyond_env_keep_is_inherited() {
        let config = SpawnerConfig {
            env_keep: vec!["PATH".into()],
            ..SpawnerConfig::default()
        };
        let env = base_env(&config, &context("tee", ""));
        for (name, _) in env.iter() {
            let ours = name == "PATH"
                || name == LAUNCH_MARKER
                || name == "JPY_API_TOKEN"
                || name.starts_with("JUPYTERHUB_");
            assert!(ours, "{name} was inherited");
        }
    }

    #[test]
    fn the_servers_contract_is_met() {
        let config = SpawnerConfig {
            notebook_dir: "/data/%U".into(),
            default_url: "/lab/tree/{username}".into(),
            debug: true,
            mem_limit: Some(1 << 30),
            cpu_limit: Some(0.5),
            ..SpawnerConfig::default()
        };
        let env = base_env(&config, &context("tee", "proj2"));
        for (name, value) in [
            ("JUPYTERHUB_SERVICE_PREFIX", "/user/tee/proj2/"),
            (
                "JUPYTERHUB_SERVICE_URL",
                "http://127.0.0.1:4321/user/tee/proj2/",
            ),
            (
                "JUPYTERHUB_OAUTH_CALLBACK_URL",
                "/user/tee/proj2/oauth_callback",
            ),
            (
                "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                "[\"access:servers!server=tee/proj2\"]",
            ),
            ("JUPYTERHUB_SERVER_NAME", "proj2"),
            ("JUPYTERHUB_API_TOKEN", "the-token"),
            ("JUPYTERHUB_ROOT_DIR", "/data/tee"),
            ("JUPYTERHUB_DEFAULT_URL", "/lab/tree/tee"),
            ("JUPYTERHUB_DEBUG", "1"),
            ("MEM_LIMIT", "1073741824"),
            ("CPU_LIMIT", "0.5"),
        ] {
            assert_eq!(env.get(name), Some(value), "{name}");
        }
        for name in [
            "JUPYTERHUB_DISABLE_USER_CONFIG",
            "MEM_GUARANTEE",
            "CPU_GUARANTEE",
        ] {
            assert_eq!(env.get(name), None, "{name}");
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let shown = format!(
            "{:?}",
            base_env(&SpawnerConfig::default(), &context("tee", ""))
        );
        assert!(
            shown.contains("JUPYTERHUB_API_TOKEN") && !shown.contains("the-token"),
            "{shown}"
        );
    }

    #[test]
    fn the_marker_is_found() {
        let id = LaunchId::random();
        let block = ["A=1".to_owned(), format!("{LAUNCH_MARKER}={id}")];
        assert_eq!(launch_marker(block.iter().map(String::as_str)), Some(id));
        assert_eq!(launch_marker(["HUBD_LAUNCH_ID=nonsense"].into_iter()), None);
    }
}
