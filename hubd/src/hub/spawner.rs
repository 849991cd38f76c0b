//! From the configured table to a factory of spawners.

use std::path::Path;
use std::sync::Arc;

use spawner_core::{
    BackendSetup, EnvValue, FormSource, OptionsForm, Registry, SpawnerConfig, SpawnerFactory,
};

use super::error::HubError;
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
        config: shared_knobs(table),
        settings: table.settings.clone(),
        state_dir: state_dir.to_owned(),
        instance: instance.to_owned(),
    };
    registry.build(&table.kind, setup).map_err(|error| {
        let key = match &error.key {
            Some(key) => format!("spawner.{}.{key}", table.kind),
            None => format!("spawner.{}", table.kind),
        };
        config.error_at(&key, &error.message, None).into()
    })
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
