//! The tutorial's first exercise: users choose environment variables for their server.
//!
//! Run it with `cargo run -p hubd-examples --example env_form`.

use std::collections::BTreeMap;

use spawner_core::{
    Env, FormContext, FormData, OptionsError, OptionsForm, SpawnContext, SpawnerLayer, UserOptions,
    escape_html,
};

/// Names that would change what runs, or what the hub told the server.
const RESERVED: [&str; 8] = [
    "PATH",
    "HOME",
    "USER",
    "SHELL",
    "IFS",
    "BASH_ENV",
    "PYTHONPATH",
    "PYTHONSTARTUP",
];
/// Families of such names.
const RESERVED_PREFIXES: [&str; 4] = ["JUPYTERHUB_", "JPY_", "LD_", "HUBD_"];

/// Lets the user set variables, one `NAME=value` a line.
#[derive(Debug)]
struct EnvForm;

impl SpawnerLayer for EnvForm {
    fn layer_form(&self, _: OptionsForm, ctx: &FormContext) -> OptionsForm {
        let previous = variables(&ctx.previous).unwrap_or_default();
        let mut lines: Vec<_> = previous.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
        if lines.is_empty() {
            lines.push(format!("YOURNAME={}\n", ctx.server.user));
        }
        let shown = lines.concat();
        OptionsForm::Html(format!(
            r#"<label for="env">Environment variables, one a line</label>
               <textarea id="env" name="env" rows="6">{}</textarea>"#,
            escape_html(&shown)
        ))
    }

    fn layer_options(
        &self,
        mut options: UserOptions,
        form: &FormData,
    ) -> Result<UserOptions, OptionsError> {
        let mut env = serde_json::Map::new();
        let text = form.first("env").unwrap_or_default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(|| {
                OptionsError::field("env", format!("\"{line}\" is not of the form NAME=value."))
            })?;
            env.insert(name.trim().to_owned(), value.into());
        }
        options.0.insert("env".to_owned(), env.into());
        Ok(options)
    }

    fn layer_check(&self, options: &UserOptions) -> Result<(), OptionsError> {
        for name in variables(options)?.keys() {
            let well_formed = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let reserved = RESERVED.contains(&name.as_str())
                || RESERVED_PREFIXES
                    .iter()
                    .any(|prefix| name.starts_with(prefix));
            if !well_formed || reserved {
                let message = format!("\"{name}\" cannot be set here.");
                return Err(OptionsError::field("env", message));
            }
        }
        Ok(())
    }

    fn layer_env(&self, mut env: Env, ctx: &SpawnContext) -> Env {
        for (name, value) in variables(&ctx.options).unwrap_or_default() {
            env.set(name, value);
        }
        env
    }
}

/// The option `env`: an object of texts.
fn variables(options: &UserOptions) -> Result<BTreeMap<String, String>, OptionsError> {
    let Some(env) = options.get("env") else {
        return Ok(BTreeMap::new());
    };
    serde_json::from_value(env.clone())
        .map_err(|_| OptionsError::field("env", "\"env\" must be an object of texts."))
}

#[tokio::main]
async fn main() -> Result<(), hubd::HubError> {
    hubd_examples::serve("env-form", |inner| EnvForm.over(inner)).await
}
