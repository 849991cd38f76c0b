//! The command line of a server.

use crate::config::{SingleuserArgs, SpawnerConfig};
use crate::context::SpawnContext;
use crate::endpoint::ListenOn;

/// Puts the user's name where a template says `%U` (the seed's) or `{username}` (JupyterHub's).
///
/// ```
/// assert_eq!(spawner_core::expand("/data/%U", "tee"), "/data/tee");
/// assert_eq!(spawner_core::expand("/lab/tree/{username}", "tee"), "/lab/tree/tee");
/// ```
pub fn expand(template: &str, user: &str) -> String {
    template.replace("%U", user).replace("{username}", user)
}

/// The default of [`Spawner::get_args`](crate::Spawner::get_args): the seed's flags when
/// `singleuser_args` is `classic`, then `args`.
///
/// Today's single-user servers exit on most of the classic flags, which is why they are off by
/// default.
///
/// Example: see [`SpawnContext`](crate::SpawnContext).
pub fn base_args(config: &SpawnerConfig, ctx: &SpawnContext) -> Vec<String> {
    let mut args = match config.singleuser_args {
        SingleuserArgs::None => Vec::new(),
        SingleuserArgs::Classic => classic_args(config, ctx),
    };
    args.extend(config.args.iter().cloned());
    args
}

fn classic_args(config: &SpawnerConfig, ctx: &SpawnContext) -> Vec<String> {
    let user = ctx.server.user.as_str();
    let port = match &ctx.listen {
        Some(ListenOn::Tcp { port, .. }) => *port,
        Some(ListenOn::Unix { .. }) | None => config.port,
    };
    // The seed's `hub.host`: scheme and authority, which it took from where the hub listens.
    let hub_host = match &ctx.hub.host {
        host if host.is_empty() => origin_of(&ctx.hub.api_url),
        host => host,
    };
    let mut args = vec![
        format!("--user={user}"),
        format!("--port={port}"),
        format!("--cookie-name={}", ctx.oauth.client_id),
        format!("--base-url={}", ctx.service_prefix()),
        format!("--hub-host={hub_host}"),
        format!("--hub-prefix={}", ctx.hub.hub_prefix()),
        format!("--hub-api-url={}", ctx.hub.api_url),
    ];
    for (flag, value) in [
        ("--ip", config.ip.clone()),
        ("--notebook-dir", expand(&config.notebook_dir, user)),
        (
            "--NotebookApp.default_url",
            expand(&config.default_url, user),
        ),
    ] {
        if !value.is_empty() {
            args.push(format!("{flag}={value}"));
        }
    }
    if config.debug {
        args.push("--debug".to_owned());
    }
    if config.disable_user_config {
        args.push("--disable-user-config".to_owned());
    }
    args
}

/// `scheme://authority` of a URL; the whole text when it has no path.
fn origin_of(url: &str) -> &str {
    let authority = url.find("://").map_or(0, |at| at + 3);
    url[authority..]
        .find('/')
        .map_or(url, |end| &url[..authority + end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::context;

    #[test]
    fn todays_servers_get_args_alone() {
        let config = SpawnerConfig {
            args: vec!["--a b".into()],
            ..SpawnerConfig::default()
        };
        assert_eq!(base_args(&config, &context("tee", "")), ["--a b"]);
    }

    #[test]
    fn classic_flags_keep_the_seeds_order() {
        let config = SpawnerConfig {
            args: vec!["--extra".into()],
            notebook_dir: "~/%U".into(),
            default_url: "/tree/%U".into(),
            debug: true,
            disable_user_config: true,
            singleuser_args: SingleuserArgs::Classic,
            ..SpawnerConfig::default()
        };
        assert_eq!(
            base_args(&config, &context("tee", "")),
            [
                "--user=tee",
                "--port=4321",
                "--cookie-name=jupyterhub-user-tee",
                "--base-url=/user/tee/",
                "--hub-host=http://127.0.0.1:8000",
                "--hub-prefix=/hub/",
                "--hub-api-url=http://127.0.0.1:8000/hub/api",
                "--ip=127.0.0.1",
                "--notebook-dir=~/tee",
                "--NotebookApp.default_url=/tree/tee",
                "--debug",
                "--disable-user-config",
                "--extra",
            ]
        );
    }
}
