//! From the configured table to a factory of spawners.

use std::path::Path;
use std::sync::Arc;

use spawner_core::{
    BackendSetup, EnvValue, FormSource, OptionsForm, Registry, SpawnHooks, SpawnerConfig,
    SpawnerFactory,
};

use super::error::HubError;
use super::hooks::CommandHooks;
use crate::config::{Config, SingleuserArgs, SpawnerTable};

/// Builds the configured backend. What it has to say about its own keys is said with their lines.
pub(super) fn build(
    config: &Config,
    registry: &Registry,
    state_dir: &Path,
    instance: &str,
) -> Result<Arc<dyn SpawnerFactory>, HubError> {
    let kinds: Vec<&str> = registry.kinds().collect();
    config.check_kind(&kinds)?;
    let table = &config.spawner;
    let setup = BackendSetup {
        config: SpawnerConfig {
            hooks: hooks(config),
            ..shared_knobs(table)
        },
        settings: table.settings.clone(),
        state_dir: state_dir.to_owned(),
        instance: instance.to_owned(),
    };
    registry.build(&table.kind, setup).map_err(|error| {
        let setting = error.key.as_deref();
        config.setting_error(setting, &error.message).into()
    })
}

fn hooks(config: &Config) -> Option<Arc<dyn SpawnHooks>> {
    let table = &config.spawner;
    let (pre_spawn, post_stop) = (table.pre_spawn_hook.clone(), table.post_stop_hook.clone());
    if pre_spawn.is_none() && post_stop.is_none() {
        return None;
    }
    Some(Arc::new(CommandHooks {
        pre_spawn,
        post_stop,
        base_url: config.hub.base_url.as_str().to_owned(),
    }))
}

fn shared_knobs(table: &SpawnerTable) -> SpawnerConfig {
    let default = SpawnerConfig::default();
    let environment = table.environment.iter();
    SpawnerConfig {
        cmd: table.cmd.clone().unwrap_or(default.cmd),
        args: table.args.clone(),
        ip: table.ip.clone().unwrap_or(default.ip),
        port: table.port,
        start_timeout: table.start_timeout,
        http_timeout: table.http_timeout,
        poll_interval: table.poll_interval,
        poll_jitter: table.poll_jitter,
        consecutive_failure_limit: table.consecutive_failure_limit,
        prepare_timeout: table.prepare_timeout,
        hook_timeout: table.hook_timeout,
        total_timeout: table.total_timeout,
        env_keep: table.env_keep.clone().unwrap_or(default.env_keep),
        env: default.env,
        environment: environment
            .map(|(k, v)| (k.clone(), EnvValue::from(v.as_str())))
            .collect(),
        notebook_dir: table.notebook_dir.clone().unwrap_or_default(),
        default_url: table.default_url.clone().unwrap_or_default(),
        debug: table.debug,
        disable_user_config: table.disable_user_config,
        mem_limit: table.mem_limit,
        mem_guarantee: table.mem_guarantee,
        cpu_limit: table.cpu_limit,
        cpu_guarantee: table.cpu_guarantee,
        options_form: match &table.options_form {
            None => FormSource::default(),
            Some(html) => FormSource::Fixed(OptionsForm::Html(html.clone())),
        },
        singleuser_args: match table.singleuser_args {
            SingleuserArgs::None => spawner_core::SingleuserArgs::None,
            SingleuserArgs::Classic => spawner_core::SingleuserArgs::Classic,
        },
        ..default
    }
}
