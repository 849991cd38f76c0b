//! The tutorial's first exercise: users choose environment variables for their server. It shows a form
//! that remembers, and how names that a user must not set (`PATH`, `LD_PRELOAD`, `JUPYTERHUB_*`) are
//! refused, from the form and from a REST body.
//!
//! `cargo run -p hubd-examples --example env_form`

use std::collections::BTreeMap;

use spawner_core::{
    Env, FormContext, FormData, OptionsError, OptionsForm, SpawnContext, SpawnerLayer, UserOptions,
    check_user_variable, escape_html,
};

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
        for (name, value) in variables(options)? {
            check_user_variable("env", &name, &value)?;
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
    let build = hubd_examples::over_local(|inner| EnvForm.over(inner));
    hubd_examples::serve("env-form", build).await
}

#[cfg(test)]
mod tests {
    use hubd_examples::{hub, over_local, rehearse};
    use serde_json::json;
    use spawner_core::{ServerId, UserName};

    use super::*;

    fn submitted(text: &str) -> Result<UserOptions, OptionsError> {
        let mut form = FormData::default();
        form.push("env", text);
        let options = EnvForm.layer_options(UserOptions::default(), &form)?;
        EnvForm.layer_check(&options)?;
        Ok(options)
    }

    #[tokio::test]
    async fn what_was_typed_reaches_the_server_and_the_next_form() {
        let build = over_local(|inner| EnvForm.over(inner));
        hub("env-form", build.clone()).unwrap().check().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = submitted("YOURNAME=tee\n\n COURSE = a=b <1>\r\n").unwrap();
        let given = rehearse(build, dir.path(), options.clone()).await.unwrap();
        assert_eq!(given.env["YOURNAME"], "tee");
        assert_eq!(given.env["COURSE"], " a=b <1>");
        let form = EnvForm.layer_form(
            OptionsForm::None,
            &FormContext {
                server: ServerId::default_of(UserName::new("tee").unwrap()),
                previous: options,
            },
        );
        let OptionsForm::Html(html) = form else {
            panic!("no form: {form:?}")
        };
        assert!(html.contains("COURSE= a=b &lt;1&gt;"), "{html}");
    }

    #[test]
    fn what_a_user_must_not_set_names_its_field() {
        for text in [
            "=value",
            "no value",
            "A B=1",
            "1A=1",
            "PATH=/tmp",
            "LD_PRELOAD=/tmp/x.so",
            "PYTHONPATH=/tmp",
            "JUPYTERHUB_API_TOKEN=x",
            "JUPYTERHUB_USER=root",
            "JPY_API_TOKEN=x",
            "HUBD_LAUNCH_ID=x",
            "NUL=a\0b",
        ] {
            let error = submitted(text).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("env"), "{text}: {error}");
        }
    }

    #[test]
    fn a_rest_body_is_checked_as_well() {
        for env in [
            json!("A=1"),
            json!(["A=1"]),
            json!({"A": 1}),
            json!({"A": null}),
            json!({"": "1"}),
            json!({"A=B": "1"}),
            json!({"A\nB": "1"}),
            json!({"A\0": "1"}),
            json!({"LD_PRELOAD": "1"}),
            json!({"A": "x".repeat(1 << 20)}),
        ] {
            let shown = env.to_string();
            let options = UserOptions([("env".to_owned(), env)].into_iter().collect());
            let error = EnvForm.layer_check(&options).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("env"), "{shown:.40}: {error}");
        }
    }
}
