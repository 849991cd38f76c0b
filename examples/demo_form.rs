//! The tutorial's `DemoFormSpawner`: a form for extra arguments, over a local process. It shows how a
//! layer asks the user, checks what came, also from a REST body that saw no form, and passes it on.
//!
//! `cargo run -p hubd-examples --example demo_form`

use spawner_core::{
    FormContext, FormData, OptionsError, OptionsForm, SpawnContext, SpawnerLayer, UserOptions,
};

/// Lets the user give arguments to their server.
#[derive(Debug)]
struct DemoForm;

impl SpawnerLayer for DemoForm {
    fn layer_form(&self, _: OptionsForm, _: &FormContext) -> OptionsForm {
        OptionsForm::Html(
            r#"<label for="args">Extra arguments of your server</label>
               <input id="args" name="args" placeholder="e.g. --debug">"#
                .to_owned(),
        )
    }

    fn layer_options(
        &self,
        mut options: UserOptions,
        form: &FormData,
    ) -> Result<UserOptions, OptionsError> {
        options.0.remove("args");
        let typed = form.first("args").unwrap_or_default();
        let argv = shell_words::split(typed)
            .map_err(|_| OptionsError::field("args", "A quote in the arguments is not closed."))?;
        if !argv.is_empty() {
            options.0.insert("argv".to_owned(), argv.into());
        }
        Ok(options)
    }

    fn layer_check(&self, options: &UserOptions) -> Result<(), OptionsError> {
        if argv(options)?.iter().any(|arg| arg.contains('\0')) {
            let message = "An argument holds a NUL character.";
            return Err(OptionsError::field("argv", message));
        }
        Ok(())
    }

    fn layer_args(&self, mut args: Vec<String>, ctx: &SpawnContext) -> Vec<String> {
        // Checked before the start, so there is no error to report here.
        args.extend(argv(&ctx.options).unwrap_or_default());
        args
    }
}

/// The option `argv`: a list of texts, which a REST body can hold anything in the place of.
fn argv(options: &UserOptions) -> Result<Vec<String>, OptionsError> {
    let Some(argv) = options.get("argv") else {
        return Ok(Vec::new());
    };
    serde_json::from_value(argv.clone())
        .map_err(|_| OptionsError::field("argv", "\"argv\" must be a list of texts."))
}

#[tokio::main]
async fn main() -> Result<(), hubd::HubError> {
    let build = hubd_examples::over_local(|inner| DemoForm.over(inner));
    hubd_examples::serve("demo", build).await
}

#[cfg(test)]
mod tests {
    use hubd_examples::{hub, over_local, rehearse};
    use serde_json::json;

    use super::*;

    fn submitted(args: &str) -> Result<UserOptions, OptionsError> {
        let mut form = FormData::default();
        form.push("args", args);
        DemoForm.layer_options(UserOptions::default(), &form)
    }

    #[tokio::test]
    async fn what_was_typed_reaches_the_server() {
        let build = over_local(|inner| DemoForm.over(inner));
        hub("demo", build.clone()).unwrap().check().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = submitted("--debug 'two words'").unwrap();
        let given = rehearse(build, dir.path(), options).await.unwrap();
        assert_eq!(given.args, ["--debug", "two words"]);
    }

    #[test]
    fn what_cannot_be_meant_names_its_field() {
        let error = submitted("'open").unwrap_err();
        assert_eq!(error.field.as_deref(), Some("args"));
        for argv in [json!("text"), json!([1]), json!({}), json!(["a\0b"])] {
            let options = UserOptions([("argv".to_owned(), argv)].into_iter().collect());
            let error = DemoForm.layer_check(&options).unwrap_err();
            assert_eq!(error.field.as_deref(), Some("argv"), "{error}");
        }
    }
}
