//! The spawner of the memory world with one thing wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use spawner_core::conformance::{Behaviour, Probe, Program};
use spawner_core::{
    Endpoint, Env, ExitStatus, FormData, LAUNCH_MARKER, Launch, ListenOn, OptionsError, PollStatus,
    ServerId, SpawnContext, SpawnError, SpawnErrorKind, Spawner, SpawnerConfig, SpawnerState,
    StateError, StopMode, UserOptions,
};
use tokio::net::TcpStream;

use crate::flaw::Flaw;
use crate::memory::{MemorySpawner, Tag, World};

pub(crate) struct Broken {
    flaw: Flaw,
    honest: MemorySpawner,
    /// What some flaws keep that they should not, or would need to know.
    env: Option<Env>,
    token: Option<String>,
    launch: Option<Launch>,
    endpoint: Option<Endpoint>,
    /// Whether there was a start, a load of a state, a poll that said `Running`, the beginning of a
    /// stop, an end that was told.
    started: bool,
    loaded: bool,
    seen: bool,
    stopping: bool,
    told: bool,
}

impl Broken {
    pub(crate) fn new(honest: MemorySpawner, flaw: Flaw) -> Self {
        let broken = Self {
            flaw,
            honest,
            env: None,
            token: None,
            launch: None,
            endpoint: None,
            started: false,
            loaded: false,
            seen: false,
            stopping: false,
            told: false,
        };
        if flaw == Flaw::CreateMakesAServer {
            broken.make_a_silent_server();
        }
        broken
    }

    fn world(&self) -> &World {
        &self.honest.world
    }

    /// Makes a server that nobody asked for.
    fn make_a_silent_server(&self) {
        let recipe = Probe::new([]).recipe(Behaviour::Silent);
        let program = Program::read(recipe.cmd, BTreeMap::new()).expect("the kit wrote it");
        let tag = Tag {
            whose: self.honest.server.clone(),
            instance: self.honest.instance.clone(),
            launch_id: None,
            endpoint: None,
            listens: false,
        };
        let number = self.world().reserve();
        self.world().run(number, tag, program);
    }

    /// Does to the launch what some flaws do.
    fn spoil(&mut self, launch: &mut Launch) {
        let token = launch.ctx.token.expose().to_owned();
        match self.flaw {
            Flaw::SplitsArguments => {
                let line = launch.args.join(" ");
                launch.args = line.split_whitespace().map(str::to_owned).collect();
            }
            Flaw::TrimsValues => {
                for (name, value) in launch.env.clone().iter() {
                    launch.env.set(name, value.trim());
                }
            }
            Flaw::InheritsAll => {
                for (name, value) in std::env::vars() {
                    launch.env.set(name, value);
                }
            }
            Flaw::TokenInArgv => launch.args.push(format!("--token={token}")),
            Flaw::TokenInDebug => self.env = Some(launch.env.clone()),
            Flaw::TokenInState => self.token = Some(token),
            Flaw::TokenInProgress => launch.report(1, format!("Its token is {token}")),
            Flaw::TokenInLog => tracing::info!(token, "starting"),
            Flaw::CutsAtNul => {
                for arg in &mut launch.args {
                    arg.truncate(arg.find('\0').unwrap_or(arg.len()));
                }
            }
            Flaw::ShiftsTheEqualsSign => {
                for (name, value) in launch.env.clone().iter() {
                    if let Some((short, rest)) = name.split_once('=') {
                        launch.env.remove(name);
                        launch.env.set(short, format!("{rest}={value}"));
                    }
                }
            }
            Flaw::SaysReady => launch.report(100, "Ready"),
            _ => {}
        }
    }

    /// Whether the backend takes the names of two servers for one.
    fn same(&self, other: &ServerId) -> bool {
        let server = &self.honest.server;
        let folded = |server: &ServerId| {
            let letters = |c: &char| c.is_ascii_alphanumeric();
            let name = format!("{}{}", server.user, server.server);
            name.chars().filter(letters).collect::<String>()
        };
        let cut = |server: &ServerId| server.to_string().chars().take(63).collect::<String>();
        server != other
            && match self.flaw {
                Flaw::OneServerAUser => server.user == other.user,
                Flaw::NamesAreFolded => folded(server) == folded(other),
                Flaw::NamesAreCut => cut(server) == cut(other),
                _ => false,
            }
    }

    /// A start that takes its steps in the wrong order.
    async fn start_in_disorder(&mut self, launch: Launch) -> Result<Endpoint, SpawnError> {
        let endpoint = launch.ctx.listen.as_ref().map(ListenOn::local_endpoint);
        let program = MemorySpawner::program(&launch)?;
        let number = self.world().reserve();
        if self.flaw == Flaw::SavedTooLate {
            self.honest.number = Some(number);
        }
        let mut tag = self.honest.tag(&launch, &program);
        tag.launch_id.take_if(|_| self.flaw == Flaw::MarkedTooLate);
        self.world().run(number, tag, program);
        tokio::task::yield_now().await;
        self.honest.number = Some(number);
        self.world().mark(number, launch.ctx.launch_id.clone());
        launch.checkpoint(&self.get_state()).await?;
        endpoint.ok_or_else(|| SpawnError::other("There is no address to listen on."))
    }
}

#[async_trait]
impl Spawner for Broken {
    fn config(&self) -> &SpawnerConfig {
        self.honest.config()
    }

    async fn start(&mut self, mut launch: Launch) -> Result<Endpoint, SpawnError> {
        self.endpoint = launch.ctx.listen.as_ref().map(ListenOn::local_endpoint);
        self.spoil(&mut launch);
        if self.flaw == Flaw::RunsOnce && self.started {
            return Err(SpawnError::other("It was started before."));
        }
        self.started = true;
        if self.flaw == Flaw::StartStartsNothing
            && let Some(endpoint) = self.endpoint.clone()
        {
            return Ok(endpoint);
        }
        if matches!(
            self.flaw,
            Flaw::DroppedStartLeaks | Flaw::SavedTooLate | Flaw::MarkedTooLate
        ) {
            return self.start_in_disorder(launch).await;
        }
        while let Some(other) = self.world().find(|other| self.same(other)) {
            self.world().remove_tree(other).await;
        }
        if self.flaw == Flaw::ReportsForEver {
            let again = Launch::new(Vec::new(), Vec::new(), Env::default(), launch.ctx.clone());
            let launch = self.launch.insert(std::mem::replace(&mut launch, again));
            let program = MemorySpawner::program(launch)?;
            let number = self.honest.world.reserve();
            self.honest.number = Some(number);
            let tag = self.honest.tag(launch, &program);
            self.honest.world.run(number, tag, program);
            return Ok(self.endpoint.clone().expect("an address was chosen"));
        }
        let started = self.honest.start(launch).await;
        if started.is_err() && self.flaw == Flaw::FailedStartLeaks {
            self.make_a_silent_server();
        }
        if self.flaw == Flaw::ErrorsAreDumps {
            let cause = std::io::Error::from_raw_os_error(2);
            return started.map_err(|_| SpawnError::other(format!("It failed: {cause:?}.")));
        }
        started
    }

    async fn stop(&mut self, mode: StopMode) -> Result<(), SpawnError> {
        self.stopping = true;
        if let Some(launch) = &self.launch {
            launch.report(98, "Stopping");
        }
        let world = Arc::clone(&self.honest.world);
        let Some(number) = self.honest.number else {
            if self.flaw == Flaw::NothingToStopIsAnError {
                return Err(SpawnError::other("There is nothing to stop."));
            }
            return self.honest.stop(mode).await;
        };
        let status = world.status(number);
        let ended = status != PollStatus::Running;
        match self.flaw {
            Flaw::GracefulDoesNotWait if mode == StopMode::Graceful => world.ask(number),
            Flaw::NowOnlyAsks if mode == StopMode::Now => world.ask(number),
            Flaw::GracefulGivesUp if mode == StopMode::Graceful => {
                world.ask(number);
                tokio::task::yield_now().await;
                if world.status(number) != PollStatus::Running {
                    world.remove_tree(number).await;
                }
            }
            Flaw::StoppedTwiceIsAnError if status == PollStatus::Exited(ExitStatus::Unknown) => {
                return Err(SpawnError::other("It was stopped before."));
            }
            Flaw::FindsAreEndedAlone if self.loaded => world.remove(number).await,
            Flaw::ChildrenAreLeft => world.remove(number).await,
            Flaw::ChildrenOfTheDeadAreLeft if ended => world.remove(number).await,
            Flaw::AwayIsStopped if world.reach().is_err() => self.honest.number = None,
            Flaw::StopForgets => {
                self.honest.number = None;
                tokio::task::yield_now().await;
                world.remove_tree(number).await;
            }
            Flaw::NotYetPolledIsNotThere if !self.seen => {}
            Flaw::SilentIsNotThere => {
                let Some(Endpoint::Tcp { host, port }) = &self.endpoint else {
                    unreachable!("it listens on a port")
                };
                if TcpStream::connect((host.as_str(), *port)).await.is_ok() {
                    world.remove_tree(number).await;
                }
            }
            _ => return self.honest.stop(mode).await,
        }
        Ok(())
    }

    async fn poll(&mut self) -> Result<PollStatus, SpawnError> {
        let gone = PollStatus::Exited(ExitStatus::Unknown);
        let polled = match (self.flaw, self.honest.poll().await) {
            (Flaw::NeverStartedIsRunning, _) if self.honest.number.is_none() => PollStatus::Running,
            (Flaw::AwayIsGone, Err(_)) => gone,
            (Flaw::AwayIsForgotten, Err(error)) => {
                self.honest.number = None;
                return Err(error);
            }
            (_, polled) => polled?,
        };
        self.seen |= polled == PollStatus::Running;
        let success = PollStatus::Exited(ExitStatus::Code(0));
        Ok(match (self.flaw, polled) {
            (Flaw::CodeIsLost, PollStatus::Exited(ExitStatus::Code(_)))
            | (Flaw::SignalIsSuccess, PollStatus::Exited(ExitStatus::Signal(_)))
            | (Flaw::EarlyExitIsSuccess, PollStatus::Exited(ExitStatus::Code(7))) => success,
            (Flaw::EndIsToldOnce, PollStatus::Exited(_)) => {
                if std::mem::replace(&mut self.told, true) {
                    gone
                } else {
                    polled
                }
            }
            (Flaw::PollForgets, PollStatus::Exited(_)) => {
                self.honest.number = None;
                polled
            }
            (Flaw::GarbageIsRunning, _) if self.loaded => PollStatus::Running,
            _ => polled,
        })
    }

    async fn exited(&mut self) -> ExitStatus {
        match self.flaw {
            Flaw::HearsAtOnce => ExitStatus::Unknown,
            Flaw::HearingTakesTheServer => {
                let Some(number) = self.honest.number.take() else {
                    return ExitStatus::Unknown;
                };
                let status = self.world().ended(number).await;
                self.honest.number = Some(number);
                status
            }
            // What these make of an end, poll tells.
            Flaw::CodeIsLost
            | Flaw::SignalIsSuccess
            | Flaw::EarlyExitIsSuccess
            | Flaw::EndIsToldOnce
            | Flaw::PollForgets => std::future::pending().await,
            _ => self.honest.exited().await,
        }
    }

    async fn listen_on(&mut self, ctx: &SpawnContext) -> Result<ListenOn, SpawnError> {
        if self.flaw == Flaw::ListenOnMakesAServer {
            self.make_a_silent_server();
        }
        self.honest.listen_on(ctx).await
    }

    async fn endpoint(&mut self) -> Result<Option<Endpoint>, SpawnError> {
        if self.flaw == Flaw::FindsHaveNoAddress {
            return Ok(self.endpoint.clone());
        }
        self.honest.endpoint().await
    }

    async fn check_listener(&mut self, endpoint: &Endpoint) -> Result<(), SpawnError> {
        match self.flaw {
            Flaw::OwnAddressIsTaken if self.loaded => Err(SpawnError::new(
                SpawnErrorKind::AddressTaken,
                "Somebody else listens there.",
            )),
            Flaw::StrangersAreWelcome => Ok(()),
            _ => self.honest.check_listener(endpoint).await,
        }
    }

    fn check_limits(&self) -> Result<(), SpawnError> {
        match self.flaw {
            Flaw::RefusesNoLimit => Err(SpawnError::new(
                SpawnErrorKind::Refused,
                "No limit can be enforced.",
            )),
            Flaw::LimitsAreNotNamed => self.honest.check_limits().map_err(|_| {
                SpawnError::new(SpawnErrorKind::Refused, "A limit cannot be enforced.")
            }),
            Flaw::LimitsAreIgnored | Flaw::LimitsAreNotTold => Ok(()),
            _ => self.honest.check_limits(),
        }
    }

    fn get_env(&self, ctx: &SpawnContext) -> Env {
        let mut env = self.honest.get_env(ctx);
        if self.flaw == Flaw::ForgetsTheMarker {
            env.remove(LAUNCH_MARKER);
        }
        if self.flaw == Flaw::LimitsAreNotTold {
            env.remove("MEM_LIMIT");
        }
        env
    }

    fn get_state(&self) -> SpawnerState {
        let mut state = self.honest.get_state();
        match self.flaw {
            Flaw::StateOfNothing if state.is_empty() => {
                state.data.insert("number".into(), Value::Null);
            }
            Flaw::TokenInState => {
                let token = self.token.clone().map_or(Value::Null, Value::String);
                state.data.insert("token".into(), token);
            }
            Flaw::StateIsSavedOnce if self.loaded => return SpawnerState::default(),
            Flaw::StopClearsTheState if self.stopping => return SpawnerState::default(),
            Flaw::StateIsAName if !state.is_empty() => {
                let name = json!(self.honest.server.to_string());
                state.data = [("name".to_owned(), name)].into_iter().collect();
            }
            _ => {}
        }
        state
    }

    fn load_state(&mut self, state: &SpawnerState) -> Result<(), StateError> {
        self.loaded = true;
        match self.flaw {
            Flaw::LoadsNothing => Ok(()),
            Flaw::EmptyIsRefused if state.is_empty() => {
                Err(StateError::Invalid("there is nothing in it".into()))
            }
            Flaw::StateIsAName if !state.is_empty() => {
                let myself = &self.honest.server;
                self.honest.number = self.world().find(|server| server == myself);
                Ok(())
            }
            Flaw::AnyVersionWillDo => {
                let mut state = state.clone();
                state.version = 1;
                self.honest.load_state(&state)
            }
            Flaw::GarbagePanics => {
                self.honest.load_state(state).unwrap();
                Ok(())
            }
            Flaw::GarbageIsNothing => {
                let _ = self.honest.load_state(state);
                Ok(())
            }
            Flaw::UnknownFieldsAreRefused if state.data.len() > 1 => {
                Err(StateError::Invalid("there is too much in it".into()))
            }
            _ => self.honest.load_state(state),
        }
    }

    fn clear_state(&mut self) {
        if self.flaw != Flaw::ClearClearsNothing {
            self.honest.clear_state();
        }
    }

    fn options_from_form(&self, form: FormData) -> Result<UserOptions, OptionsError> {
        if self.flaw == Flaw::TrustsTheForm {
            form.first("size").expect("the form has a size");
        }
        self.honest.options_from_form(form)
    }

    fn check_options(&self, options: &UserOptions) -> Result<(), OptionsError> {
        if self.flaw == Flaw::ChecksNothing {
            return Ok(());
        }
        self.honest.check_options(options)
    }

    async fn log_tail(&self, lines: usize) -> Vec<String> {
        let lines = match self.flaw {
            Flaw::WholeLog => usize::MAX,
            _ => lines,
        };
        self.honest.log_tail(lines).await
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        if let (Flaw::DropEndsTheServer, Some(number)) = (self.flaw, self.honest.number) {
            self.world().ask(number);
            // It ends on another thread of the runtime.
            while self.world().status(number) == PollStatus::Running {
                std::thread::yield_now();
            }
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let env = self.env.iter().flat_map(Env::iter).collect::<Vec<_>>();
        f.debug_struct("Broken").field("env", &env).finish()
    }
}
