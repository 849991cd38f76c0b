//! A hub as somebody builds it who lets users set environment variables: the stories send it what
//! nobody should get into an environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use spawner_core::{
    BackendSetup, Env, FormContext, FormData, OptionsError, OptionsForm, ServerId, SetupError,
    SpawnContext, SpawnerFactory, SpawnerLayer, UserOptions, check_user_variable, escape_html,
};
use spawner_local::LocalFactory;

/// One field `env` with a `NAME=value` a line; one field `flavour` that means nothing.
#[derive(Debug)]
struct EnvForm;

impl SpawnerLayer for EnvForm {
    fn layer_form(&self, _: OptionsForm, ctx: &FormContext) -> OptionsForm {
        let previous = variables(&ctx.previous).unwrap_or_default();
        let lines = previous
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"));
        let shown = escape_html(&lines.collect::<String>());
        OptionsForm::Html(format!(
            "<p><label for=\"env\">Variables</label><textarea id=\"env\" name=\"env\">{shown}</textarea></p>
             <p><label for=\"flavour\">Flavour</label><input id=\"flavour\" name=\"flavour\"></p>"
        ))
    }

    fn layer_options(&self, _: UserOptions, form: &FormData) -> Result<UserOptions, OptionsError> {
        let mut env = serde_json::Map::new();
        for line in form.all("env").iter().flat_map(|text| text.lines()) {
            let (name, value) = line.split_once('=').ok_or_else(|| {
                OptionsError::field("env", format!("{line:?} is not of the form NAME=value."))
            })?;
            env.insert(name.to_owned(), value.into());
        }
        let options = serde_json::Map::from_iter([("env".to_owned(), env.into())]);
        Ok(UserOptions(options))
    }

    fn layer_check(&self, options: &UserOptions) -> Result<(), OptionsError> {
        variables(options)?
            .iter()
            .try_for_each(|(name, value)| check_user_variable("env", name, value))
    }

    fn layer_env(&self, mut env: Env, ctx: &SpawnContext) -> Env {
        for (name, value) in variables(&ctx.options).unwrap_or_default() {
            env.set(name, value);
        }
        env
    }
}

fn variables(options: &UserOptions) -> Result<BTreeMap<String, String>, OptionsError> {
    let env = options
        .get("env")
        .cloned()
        .unwrap_or_else(|| serde_json::json!({}));
    serde_json::from_value(env)
        .map_err(|_| OptionsError::field("env", "The variables must be an object of texts."))
}

fn build(setup: BackendSetup) -> Result<Arc<dyn SpawnerFactory>, SetupError> {
    let inner = LocalFactory::simple(setup)?;
    Ok(Arc::new(move |server: &ServerId| {
        EnvForm.over(inner.create(server))
    }))
}

#[tokio::main]
async fn main() -> Result<(), hubd::HubError> {
    let hub = hubd::Hub::builder()
        .config_file(Path::new("hubd.toml"))?
        .spawner("env-form", build)
        .start()
        .await?;
    println!("hubd is serving at {}", hub.url());
    // It ends when the test does.
    hub.run(std::future::pending()).await;
    Ok(())
}
