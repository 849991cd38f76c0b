//! Forms and options, good and bad.

use std::sync::Arc;

use serde_json::{Value, json};
use spawner_core::{
    Deps, Ending, Env, FormContext, FormData, FormSource, OptionsError, OptionsForm, SpawnContext,
    Spawner, SpawnerConfig, SpawnerLayer, StartError, UserOptions, check_user_variable,
};

use crate::play::{Fault, Show, context, play};

fn options(value: Value) -> UserOptions {
    serde_json::from_value(value).unwrap()
}

/// The seed's `options_form`: a text, or computed for whoever asks.
#[tokio::test]
async fn options_form() {
    let ctx = FormContext {
        server: context().server,
        previous: UserOptions::default(),
    };
    let mut spawner = play(SpawnerConfig::default());
    assert_eq!(spawner.options_form(&ctx).await.unwrap(), OptionsForm::None);
    let text = OptionsForm::Html("Set your key: <input name=\"key\">".into());
    spawner.config.options_form = FormSource::Fixed(text.clone());
    assert_eq!(spawner.options_form(&ctx).await.unwrap(), text);
    spawner.config.options_form = FormSource::Computed(Arc::new(|ctx| {
        OptionsForm::Html(format!("YOURNAME={}", ctx.server.user))
    }));
    let computed = OptionsForm::Html("YOURNAME=tee".into());
    assert_eq!(spawner.options_form(&ctx).await.unwrap(), computed);
}

/// The seed's `options_from_form`: by default the lists as they came, whatever came.
#[test]
fn options_from_form() {
    let huge = "x".repeat(1 << 20);
    for (fields, expected) in [
        (vec![], json!({})),
        (
            vec![("a", "1"), ("b", ""), ("a", "2")],
            json!({"a": ["1", "2"], "b": [""]}),
        ),
        (
            vec![("", "nameless"), ("", "")],
            json!({"": ["nameless", ""]}),
        ),
        (vec![("a\0b", "c\0d")], json!({"a\0b": ["c\0d"]})),
        (
            vec![("\r\n", "\u{202e}<script>")],
            json!({"\r\n": ["\u{202e}<script>"]}),
        ),
        (
            vec![(huge.as_str(), huge.as_str())],
            json!({huge.as_str(): [huge]}),
        ),
        (vec![("__proto__", "x")], json!({"__proto__": ["x"]})),
    ] {
        let form: FormData = fields
            .into_iter()
            .map(|(field, value)| (field.to_owned(), value.to_owned()))
            .collect();
        let made = play(SpawnerConfig::default()).options_from_form(form);
        assert_eq!(made, Ok(options(expected)));
    }
    let mut form = FormData::default();
    for n in 0..10_000 {
        form.push("same", n.to_string());
    }
    assert_eq!(form.first("same"), Some("0"));
    assert_eq!(form.all("same").len(), 10_000);
    assert_eq!(form.first("other"), None);
}

/// The seed's `user_options`: what was chosen is there at `start`.
#[tokio::test(start_paused = true)]
async fn user_options() {
    let show = Show::new(SpawnerConfig::default(), Fault::None);
    let mut ctx = context();
    ctx.options = options(json!({"letter": ["A"], "deep": {"n": 1}}));
    show.server.start(ctx.clone()).await.unwrap();
    let launched = show.stage.lock().unwrap().launched.clone().unwrap();
    assert_eq!(launched.1, ctx.options);
}

/// A layer that lets users set variables, with core's rule for them.
#[derive(Debug)]
struct Variables;

impl SpawnerLayer for Variables {
    fn layer_check(&self, options: &UserOptions) -> Result<(), OptionsError> {
        for (name, value) in variables(options)? {
            check_user_variable("env", name, value)?;
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

fn variables(options: &UserOptions) -> Result<Vec<(&str, &str)>, OptionsError> {
    let wrong = || OptionsError::field("env", "\"env\" must be an object of texts.");
    let Some(env) = options.get("env") else {
        return Ok(Vec::new());
    };
    let env = env.as_object().ok_or_else(wrong)?;
    env.iter()
        .map(|(name, value)| Ok((name.as_str(), value.as_str().ok_or_else(wrong)?)))
        .collect()
}

/// Options can come from anywhere: `check_options` refuses what would take over the server, and
/// names the field.
#[test]
fn variables_that_users_must_not_set() {
    let spawner = Variables.over(play(SpawnerConfig::default()));
    assert!(spawner.check_options(&options(json!({}))).is_ok());
    let fine = options(json!({"env": {"COURSE": "physics", "NOTE": "two\nlines"}}));
    assert!(spawner.check_options(&fine).is_ok());
    let mut ctx = context();
    ctx.options = fine;
    assert_eq!(spawner.get_env(&ctx).get("COURSE"), Some("physics"));

    let huge = "x".repeat(1 << 20);
    for bad in [
        json!({"LD_PRELOAD": "/tmp/x.so"}),
        json!({"LD_AUDIT": "/tmp/x.so"}),
        json!({"PATH": "/tmp"}),
        json!({"PYTHONPATH": "/tmp"}),
        json!({"JUPYTERHUB_API_TOKEN": "mine"}),
        json!({"JUPYTERHUB_SERVICE_PREFIX": "/user/other/"}),
        json!({"JPY_API_TOKEN": "mine"}),
        json!({"HUBD_LAUNCH_ID": "0"}),
        json!({"A=B": "x"}),
        json!({"A\nB": "x"}),
        json!({"A\0B": "x"}),
        json!({"": "x"}),
        json!({"A": "x\0y"}),
        json!({ huge.as_str(): "x" }),
        json!({ "A": huge }),
        json!({"FINE": "x", "PATH": "/tmp"}),
        json!({"A": 7}),
        json!(["A"]),
        json!("A"),
    ] {
        let shown: String = bad.to_string().chars().take(60).collect();
        let error = spawner
            .check_options(&options(json!({ "env": bad })))
            .expect_err(&shown);
        assert_eq!(error.field.as_deref(), Some("env"), "{shown}");
        assert!(error.message.len() < 300, "{shown}");
    }
}

/// What a check refuses never reaches a start, and is known as the request's fault.
#[tokio::test(start_paused = true)]
async fn refused_options_start_nothing() {
    #[derive(Debug)]
    struct Never;
    impl SpawnerLayer for Never {
        fn layer_check(&self, _: &UserOptions) -> Result<(), OptionsError> {
            Err(OptionsError::field("size", "There is no such size."))
        }
    }
    let inner = play(SpawnerConfig::default());
    let stage = Arc::clone(&inner.stage);
    let (server, task) = spawner_core::supervise(
        context().server,
        Box::new(Never.over(inner)),
        Deps::default(),
    );
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(task);
    let Err(StartError::Failed(outcome)) = server.start(context()).await else {
        panic!("it was started");
    };
    let Ending::Failed(failure) = &outcome.ending else {
        panic!("{outcome:?}");
    };
    assert!(failure.refused);
    assert_eq!(failure.message, "There is no such size.");
    assert!(stage.lock().unwrap().launched.is_none());
}
