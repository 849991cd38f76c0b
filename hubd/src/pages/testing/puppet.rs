//! A spawner that does as it is told.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use spawner_core::{
    Endpoint, ExitStatus, FormContext, Launch, OptionsError, OptionsForm, PollStatus, SpawnError,
    Spawner, SpawnerConfig, StopMode, UserOptions,
};
use tokio::sync::watch;

/// What the spawners of a site do.
#[derive(Clone)]
pub(crate) enum Act {
    /// Run until told otherwise.
    Run,
    /// Be started for ever.
    Hang,
    /// Run, exit with this status before answering.
    Exit(ExitStatus),
    /// Refuse.
    Fail(Arc<dyn Fn() -> SpawnError + Send + Sync>),
}

/// How the form is made.
#[derive(Clone)]
pub(crate) enum FormAct {
    /// As the script has it.
    Make,
    /// Never.
    Hang,
    /// Not at all: it panics.
    Panic,
    /// Refuse.
    Fail(Arc<dyn Fn() -> SpawnError + Send + Sync>),
}

/// The orders to the spawners of a site, and what they report.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) act: Act,
    pub(crate) form: OptionsForm,
    pub(crate) form_act: FormAct,
    pub(crate) log: Vec<String>,
    /// Whether a stop fails.
    pub(crate) stuck: bool,
    /// The options of every start.
    pub(crate) started: Vec<UserOptions>,
}

/// The spawner of one server.
pub(crate) struct Puppet {
    pub(crate) config: SpawnerConfig,
    pub(crate) script: Arc<Mutex<Script>>,
    /// Where something answers.
    pub(crate) endpoint: Endpoint,
    /// How everything that runs has ended, once it has.
    pub(crate) ended: watch::Sender<Option<ExitStatus>>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            act: Act::Run,
            form: OptionsForm::None,
            form_act: FormAct::Make,
            log: Vec::new(),
            stuck: false,
            started: Vec::new(),
        }
    }
}

#[async_trait]
impl Spawner for Puppet {
    fn config(&self) -> &SpawnerConfig {
        &self.config
    }

    async fn start(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        let act = {
            let mut script = self.script.lock().unwrap();
            script.started.push(launch.ctx.options.clone());
            script.act.clone()
        };
        self.ended.send_replace(None);
        launch.report(30, "Looking for <b>room</b>");
        match act {
            Act::Run => Ok(self.endpoint.clone()),
            Act::Hang => std::future::pending().await,
            Act::Exit(status) => {
                self.ended.send_replace(Some(status));
                let path = "/nobody/listens/here".into();
                Ok(Endpoint::Unix { path })
            }
            Act::Fail(error) => Err(error()),
        }
    }

    async fn stop(&mut self, _: StopMode) -> Result<(), SpawnError> {
        if self.script.lock().unwrap().stuck {
            return Err(SpawnError::other("It does not <i>end</i>."));
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        let ended = *self.ended.borrow();
        Ok(ended.map_or(PollStatus::Running, PollStatus::Exited))
    }

    async fn exited(&mut self) -> ExitStatus {
        let mut ended = self.ended.subscribe();
        let status = ended.wait_for(Option::is_some).await.unwrap();
        status.unwrap()
    }

    async fn options_form(&self, _: &FormContext) -> Result<OptionsForm, SpawnError> {
        let Script { form, form_act, .. } = self.script.lock().unwrap().clone();
        match form_act {
            FormAct::Make => Ok(form),
            FormAct::Hang => std::future::pending().await,
            FormAct::Panic => panic!("on purpose"),
            FormAct::Fail(error) => Err(error()),
        }
    }

    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        match options.get("image") {
            Some(image) if image.to_string().contains("bad") => {
                Err(OptionsError::new(format!("There is no image {image}.")))
            }
            _ => Ok(()),
        }
    }

    async fn log_tail(&self, _: usize) -> Vec<String> {
        self.script.lock().unwrap().log.clone()
    }
}

impl fmt::Debug for Puppet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Puppet")
    }
}
