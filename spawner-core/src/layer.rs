//! Changing a few answers of any spawner: another form, more arguments, more environment.
//!
//! The seed does this by subclassing one backend. A layer works over every backend, boxed or not,
//! because it is handed the inner answer and returns its own.

use std::fmt;

use async_trait::async_trait;

use crate::context::SpawnContext;
use crate::endpoint::Endpoint;
use crate::env::Env;
use crate::error::SpawnError;
use crate::forward::forward_spawner;
use crate::launch::Launch;
use crate::options::{FormContext, FormData, OptionsError, OptionsForm, UserOptions};
use crate::spawner::Spawner;
use crate::status::StopMode;

/// Changes some answers of a spawner. Every default passes the inner answer on.
///
/// ```
/// use spawner_core::{Env, SpawnContext, SpawnerLayer};
///
/// #[derive(Debug)]
/// struct Course(&'static str);
///
/// impl SpawnerLayer for Course {
///     fn layer_env(&self, mut env: Env, _: &SpawnContext) -> Env {
///         env.set("COURSE", self.0);
///         env
///     }
/// }
/// // `Course("physics").over(spawner)` is a spawner.
/// ```
#[async_trait]
pub trait SpawnerLayer: fmt::Debug + Send + Sync + 'static {
    /// The environment, given the inner spawner's.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    fn layer_env(&self, env: Env, ctx: &SpawnContext) -> Env {
        let _ = ctx;
        env
    }

    /// The arguments, given the inner spawner's.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    fn layer_args(&self, args: Vec<String>, ctx: &SpawnContext) -> Vec<String> {
        let _ = ctx;
        args
    }

    /// The form, given the inner spawner's.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    fn layer_form(&self, form: OptionsForm, ctx: &FormContext) -> OptionsForm {
        let _ = ctx;
        form
    }

    /// The options, given what was submitted and what the inner spawner made of it.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    fn layer_options(
        &self,
        options: UserOptions,
        form: &FormData,
    ) -> Result<UserOptions, OptionsError> {
        let _ = form;
        Ok(options)
    }

    /// A check of its own; the inner spawner's is made as well.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    fn layer_check(&self, options: &UserOptions) -> Result<(), OptionsError> {
        let _ = options;
        Ok(())
    }

    /// Runs before the inner start and can change what is started (JupyterHub's
    /// `pre_spawn_hook`). An error fails the start with its sentence. Counts towards
    /// `start_timeout`.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    async fn before_start(&mut self, launch: &mut Launch) -> Result<(), SpawnError> {
        let _ = launch;
        Ok(())
    }

    /// Runs after the inner stop succeeded (JupyterHub's `post_stop_hook`), so also after a failed
    /// start.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    async fn after_stop(&mut self) {}

    /// This layer over a spawner.
    ///
    /// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
    fn over<S: Spawner>(self, inner: S) -> Layered<Self, S>
    where
        Self: Sized,
    {
        Layered { layer: self, inner }
    }
}

/// A layer over a spawner, which is a spawner again.
///
/// Example: see [`SpawnerLayer`](crate::SpawnerLayer).
#[derive(Debug)]
pub struct Layered<L, S> {
    layer: L,
    inner: S,
}

impl<L, S> Layered<L, S> {
    fn inner(&self) -> &S {
        &self.inner
    }

    fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }
}

forward_spawner! {
    impl [L: SpawnerLayer, S: Spawner] Spawner for Layered<L, S>, by inner / inner_mut;
    forward [
        config poll exited listen_on endpoint check_listener get_state load_state clear_state
        check_limits log_tail
    ];
    own {
        async fn start(&mut self, mut launch: Launch) -> Result<Endpoint, SpawnError> {
            self.layer.before_start(&mut launch).await?;
            self.inner.start(launch).await
        }

        async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
            self.inner.stop(mode).await?;
            self.layer.after_stop().await;
            Ok(())
        }

        fn get_env(&self, ctx: &SpawnContext) -> Env {
            self.layer.layer_env(self.inner.get_env(ctx), ctx)
        }

        fn get_args(&self, ctx: &SpawnContext) -> Vec<String> {
            self.layer.layer_args(self.inner.get_args(ctx), ctx)
        }

        async fn options_form(&self, ctx: &FormContext) -> Result<OptionsForm, SpawnError> {
            Ok(self.layer.layer_form(self.inner.options_form(ctx).await?, ctx))
        }

        fn options_from_form(&self, form: FormData) -> Result<UserOptions, OptionsError> {
            let options = self.inner.options_from_form(form.clone())?;
            self.layer.layer_options(options, &form)
        }

        fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
            self.inner.check_options(options)?;
            self.layer.layer_check(options)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::context::tests::context;
    use crate::{
        ExitStatus, ListenOn, PollStatus, SpawnerConfig, SpawnerState, StateError, StopMode,
    };

    /// Writes down every method that reaches it, and answers with something no default gives.
    #[derive(Debug, Default)]
    struct Spy {
        config: SpawnerConfig,
        calls: Arc<Mutex<Vec<&'static str>>>,
    }

    impl Spy {
        fn saw(&self, call: &'static str) {
            self.calls.lock().unwrap().push(call);
        }
    }

    #[async_trait]
    impl Spawner for Spy {
        fn config(&self) -> &SpawnerConfig {
            self.saw("config");
            &self.config
        }
        async fn start(&mut self, _: Launch) -> Result<Endpoint, SpawnError> {
            self.saw("start");
            Ok(Endpoint::Tcp {
                host: "spy".into(),
                port: 1,
            })
        }
        async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> {
            self.saw("stop");
            Ok(())
        }
        async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
            self.saw("poll");
            Ok(PollStatus::Running)
        }
        async fn exited(&mut self) -> ExitStatus {
            self.saw("exited");
            ExitStatus::Code(7)
        }
        async fn listen_on(&mut self, _: &SpawnContext) -> Result<ListenOn, SpawnError> {
            self.saw("listen_on");
            Ok(ListenOn::Unix {
                path: "/spy".into(),
            })
        }
        async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
            self.saw("endpoint");
            Ok(None)
        }
        async fn check_listener(&mut self, _: &Endpoint) -> Result<(), SpawnError> {
            self.saw("check_listener");
            Ok(())
        }
        fn get_env(&self, _: &SpawnContext) -> Env {
            self.saw("get_env");
            Env::default()
        }
        fn get_args(&self, _: &SpawnContext) -> Vec<String> {
            self.saw("get_args");
            vec!["--spy".into()]
        }
        fn get_state(&self) -> SpawnerState {
            self.saw("get_state");
            SpawnerState::default()
        }
        fn load_state(&mut self, _: &SpawnerState) -> Result<(), StateError> {
            self.saw("load_state");
            Ok(())
        }
        fn clear_state(&mut self) {
            self.saw("clear_state");
        }
        async fn options_form(&self, _: &FormContext) -> Result<OptionsForm, SpawnError> {
            self.saw("options_form");
            Ok(OptionsForm::Html("spy".into()))
        }
        fn options_from_form(&self, form: FormData) -> Result<UserOptions, OptionsError> {
            self.saw("options_from_form");
            Ok(form.into_options())
        }
        fn check_options(&self, _: &UserOptions) -> Result<(), OptionsError> {
            self.saw("check_options");
            Ok(())
        }
        fn check_limits(&self) -> Result<(), SpawnError> {
            self.saw("check_limits");
            Ok(())
        }
        async fn log_tail(&self, _: usize) -> Vec<String> {
            self.saw("log_tail");
            Vec::new()
        }
    }

    const EVERY_METHOD: [&str; 18] = [
        "config",
        "start",
        "stop",
        "poll",
        "exited",
        "listen_on",
        "endpoint",
        "check_listener",
        "get_env",
        "get_args",
        "get_state",
        "load_state",
        "clear_state",
        "options_form",
        "options_from_form",
        "check_options",
        "check_limits",
        "log_tail",
    ];

    async fn call_every_method(mut spawner: impl Spawner) {
        let ctx = context("tee", "");
        let form = FormContext {
            server: ctx.server.clone(),
            previous: UserOptions::default(),
        };
        spawner.config();
        let launch = Launch::new(Vec::new(), Vec::new(), Env::default(), ctx.clone());
        spawner.start(launch).await.unwrap();
        spawner.stop(StopMode::Now).await.unwrap();
        spawner.poll().await.unwrap();
        spawner.exited().await;
        spawner.listen_on(&ctx).await.unwrap();
        spawner.endpoint().await.unwrap();
        let there = ctx.listen.as_ref().unwrap().local_endpoint();
        spawner.check_listener(&there).await.unwrap();
        spawner.get_env(&ctx);
        spawner.get_args(&ctx);
        let state = spawner.get_state();
        spawner.load_state(&state).unwrap();
        spawner.clear_state();
        spawner.options_form(&form).await.unwrap();
        spawner.options_from_form(FormData::default()).unwrap();
        spawner.check_options(&UserOptions::default()).unwrap();
        spawner.check_limits().unwrap();
        spawner.log_tail(1).await;
    }

    #[derive(Debug)]
    struct Nothing;
    impl SpawnerLayer for Nothing {}

    #[tokio::test]
    async fn no_method_is_dropped_by_a_box_or_a_layer() {
        let spy = Spy::default();
        let calls = Arc::clone(&spy.calls);
        let boxed: Box<dyn Spawner> = Box::new(spy);
        call_every_method(Nothing.over(Nothing.over(boxed))).await;
        assert_eq!(*calls.lock().unwrap(), EVERY_METHOD);
    }

    #[derive(Debug)]
    struct Loud;
    #[async_trait]
    impl SpawnerLayer for Loud {
        fn layer_env(&self, mut env: Env, _: &SpawnContext) -> Env {
            env.set("LOUD", "1");
            env
        }
        fn layer_args(&self, mut args: Vec<String>, _: &SpawnContext) -> Vec<String> {
            args.push("--loud".into());
            args
        }
        fn layer_check(&self, options: &UserOptions) -> Result<(), OptionsError> {
            options.text("volume").map(drop)
        }
        async fn before_start(&mut self, _: &mut Launch) -> Result<(), SpawnError> {
            Err(SpawnError::other("Too loud."))
        }
    }

    #[tokio::test]
    async fn a_layer_changes_what_it_says() {
        let mut spawner = Loud.over(Spy::default());
        let ctx = context("tee", "");
        assert_eq!(spawner.get_env(&ctx).get("LOUD"), Some("1"));
        assert_eq!(spawner.get_args(&ctx), ["--spy", "--loud"]);
        let options = UserOptions(serde_json::Map::from_iter([("volume".into(), 11.into())]));
        assert!(spawner.check_options(&options).is_err());
        let launch = Launch::new(Vec::new(), Vec::new(), Env::default(), ctx);
        assert_eq!(
            spawner.start(launch).await.unwrap_err().to_string(),
            "Too loud."
        );
        assert!(!spawner.inner.calls.lock().unwrap().contains(&"start"));
    }
}
