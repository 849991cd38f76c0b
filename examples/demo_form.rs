//! The tutorial's `DemoFormSpawner`: a form for extra arguments, over a local process.
//!
//! Run it with `cargo run -p hubd-examples --example demo_form`.

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
        argv(options).map(drop)
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
    hubd_examples::serve("demo", |inner| DemoForm.over(inner)).await
}
