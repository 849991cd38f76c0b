//! `hubd quickstart`: a hub for the person who types it, without a configuration file.
//!
//! ```text
//! person   who am I, where is my home
//!   |
//! Store::open  claims the state directory while everything is made ready
//!   |
//! jupyter  in PATH? --> in state_dir/jupyter? --> install: python3 -m venv, pip, with progress
//!   |
//! port     that of the last time, or 8000, or a free one
//!   |
//! run::serve   announce: address, one-time login link, where things are, how to stop
//! ```
//!
//! The hub is an ordinary one, and its configuration is made here instead of read. Its servers
//! outlive it, so what they know of the hub, its port above all, is remembered in the state
//! directory and is the same at the next start.

mod install;
mod jupyter;
mod memory;
mod person;
mod port;
mod program;
mod progress;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use spawner_core::{SpawnerConfig, error_chain};
use tokio::signal::unix::{SignalKind, signal};

use self::jupyter::Jupyter;
use self::memory::Memory;
use self::person::Person;
use super::{output, run};
use crate::config::{AuthKind, AuthTable, Config, HubTable, SpawnerTable};
use crate::hub::Hub;
use crate::hub::control::Client;
use crate::store::{OpenError, Store};

/// How long a hub that is running may take to say where.
const STATUS_PATIENCE: Duration = Duration::from_secs(5);

/// What a person's own servers inherit beside the usual variables: what leads programs to the
/// network, to their settings and to their certificates.
const ENV_KEEP: [&str; 24] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "all_proxy",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "PIP_CERT",
    "PIP_CONFIG_FILE",
    "PIP_EXTRA_INDEX_URL",
    "PIP_INDEX_URL",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_PATH",
    "LC_CTYPE",
    "TZ",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
];

/// Try hubd out: no configuration file, just you and JupyterLab
///
/// Serves on this machine only, prints a link that logs you in once, and opens your own home folder
/// in JupyterLab. It uses the JupyterLab that it finds in PATH together with jupyterhub-singleuser,
/// and otherwise installs both into a virtual environment of its own, with python3 and pip.
///
/// Stopping it leaves your server running; started again, it finds it.
///
/// Exit code: 0 after a signal; 1 if it cannot start; 2 if the arguments cannot be used.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The port to serve at; 0 for a free one [default: that of the last time, or 8000 if it is free]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Where hubd keeps its state and its JupyterLab [default: ~/.local/share/hubd/quickstart]
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state_dir: Option<PathBuf>,
    /// Install nothing: use a JupyterLab that is there, or say what is missing
    #[arg(long)]
    no_install: bool,
}

/// All that a hub needs to be started.
struct Ready {
    person: Person,
    state_dir: PathBuf,
    jupyter: Jupyter,
    port: u16,
    memory: Memory,
    /// How many servers of earlier times may still run.
    servers: usize,
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let ready = match runtime {
            Ok(runtime) => runtime.block_on(self.get_ready_or_leave()),
            Err(error) => Err(format!("cannot start: {error}")),
        };
        let ready = match ready {
            Ok(ready) => ready,
            Err(message) => return output::fail(&message),
        };
        let (config, admin) = (ready.config(), ready.person.name.clone());
        run::serve(
            config,
            |builder| builder.login_link_for(admin),
            |hub| ready.announce(hub),
        )
    }

    /// Gets ready, or gives that up when asked to: what was started for it then ends too.
    async fn get_ready_or_leave(self) -> Result<Ready, String> {
        let listen = |kind| signal(kind).map_err(|e| format!("cannot listen for signals: {e}"));
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        tokio::select! {
            ready = self.get_ready() => ready,
            _ = interrupt.recv() => Err("interrupted before it was ready".to_owned()),
            _ = terminate.recv() => Err("terminated before it was ready".to_owned()),
        }
    }

    async fn get_ready(self) -> Result<Ready, String> {
        let person = Person::invoking()?;
        let state_dir = match self.state_dir {
            Some(state_dir) => state_dir,
            None => person.data_home().join("hubd/quickstart"),
        };
        let state_dir = std::path::absolute(&state_dir)
            .map_err(|error| format!("cannot use {}: {error}", state_dir.display()))?;
        let store = claim(&state_dir).await?;
        let mut memory = Memory::read(&state_dir);
        let jupyter = match jupyter::find(&state_dir, &mut memory).await {
            Some(jupyter) => jupyter,
            None if self.no_install => return Err(install::by_hand("there is no JupyterLab here")),
            None => install::install(&state_dir, &mut memory).await?,
        };
        let port = port::choose(self.port, memory.port);
        memory.write(&state_dir);
        let servers = store.servers().not_stopped().len();
        store.close().await.map_err(|error| error_chain(&error))?;
        Ok(Ready {
            person,
            state_dir,
            jupyter,
            port,
            memory,
            servers,
        })
    }
}

/// Takes the state directory, so that nobody else gets ready in it, and finds out before anything
/// is installed whether it can be used at all.
async fn claim(state_dir: &Path) -> Result<Store, String> {
    let error = match Store::open(state_dir) {
        Ok(store) => return Ok(store),
        Err(error) => error,
    };
    let OpenError::InUse { pid, .. } = &error else {
        return Err(error_chain(&error));
    };
    let status = async { Client::connect(state_dir).await.ok()??.status().await.ok() };
    match tokio::time::timeout(STATUS_PATIENCE, status).await {
        Ok(Some(status)) => Err(format!(
            "hubd is running here already (pid {}): {}\nFor a new login link, stop it and start it \
             again; the servers go on meanwhile.",
            status.pid, status.url
        )),
        _ => Err(format!(
            "another hubd (pid {pid}) is getting ready in {}; wait for it, or stop it",
            state_dir.display()
        )),
    }
}

impl Ready {
    /// What `hubd run` would read from a file.
    fn config(&self) -> Config {
        let mut config = Config::default();
        config.hub = HubTable {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            state_dir: self.state_dir.clone(),
            // The terminal is for the person.
            log: "warn".to_owned(),
            ..HubTable::default()
        };
        config.auth = AuthTable {
            kind: Some(AuthKind::Password),
            admin_users: vec![self.person.name.clone()],
            ..AuthTable::default()
        };
        config.spawner = self.servers_as();
        config
    }

    /// Servers run as the person, whatever the account is called, in the person's own home: the
    /// private one that this kind of spawner would choose is passed over by way of the environment.
    fn servers_as(&self) -> SpawnerTable {
        let Self {
            person, jupyter, ..
        } = self;
        let mut keep = SpawnerConfig::default().env_keep;
        keep.extend(ENV_KEEP.map(str::to_owned));
        keep.retain(|name| !jupyter.does_not_inherit().contains(&name.as_str()));
        let environment = [
            ("HOME", person.home.clone()),
            ("USER", person.account.clone()),
            ("SHELL", person.shell.clone()),
            ("PATH", jupyter.path()),
        ];
        SpawnerTable {
            kind: "simple".to_owned(),
            cmd: Some(vec![jupyter.singleuser().to_owned()]),
            args: person
                .is_root
                .then(|| "--allow-root".to_owned())
                .into_iter()
                .collect(),
            env_keep: Some(keep),
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            notebook_dir: Some("~".to_owned()),
            default_url: Some("/lab".to_owned()),
            ..SpawnerTable::default()
        }
    }

    /// Remembers the port that the servers will know, and tells the person everything.
    fn announce(mut self, hub: &Hub) {
        let port = url::Url::parse(hub.url())
            .ok()
            .and_then(|url| url.port_or_known_default());
        let before = std::mem::replace(&mut self.memory.port, port);
        self.memory.write(&self.state_dir);
        if let Some(before) = before.filter(|before| Some(*before) != port && self.servers > 0) {
            output::note(&format!(
                "servers that still run look for the hub at port {before}: stop and start them, or \
                 start `hubd quickstart --port {before}` once that port is free"
            ));
        }
        output::print(&self.announcement(hub.url(), hub.login_link().unwrap_or_default()));
    }

    fn announcement(&self, url: &str, login_link: &str) -> String {
        let Self {
            person, jupyter, ..
        } = self;
        let mut text = String::new();
        let mut line = |line: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line}");
        };
        if let Some(note) = &person.note {
            line(format_args!("{note}"));
        }
        if person.is_root {
            line(format_args!(
                "You are root, so Jupyter is started with --allow-root."
            ));
        }
        line(format_args!("hubd is serving at {url}\n"));
        line(format_args!(
            "Open this link to log in as {}. It works once, for an hour:",
            person.name
        ));
        line(format_args!("\n    {login_link}\n"));
        line(format_args!("JupyterLab   {}", jupyter.describe()));
        line(format_args!("Your files   {}", person.home));
        line(format_args!("Kept in      {}\n", self.state_dir.display()));
        line(format_args!(
            "Stop it with Ctrl-C. Your server goes on; start hubd again to get back to it."
        ));
        text
    }
}
