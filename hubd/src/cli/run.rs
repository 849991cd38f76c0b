//! `hubd run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{config_file, output};
use crate::config::{Config, LogFormat};
use crate::hub::{Hub, HubBuilder, HubError};
use crate::telemetry;

/// This program, also after its file has been replaced by an update.
pub(super) const OWN_PROGRAM: &str = "/proc/self/exe";

/// Run the hub
///
/// Prints the address it serves at and goes on until it gets SIGINT or SIGTERM, or is asked to shut down
/// through the API. Users' servers go on then, and the next `hubd run` finds them again. A second signal ends it at once.
///
/// Exit code: 0 when it was told to end; 2 if the configuration cannot be used; 1 if it cannot start for
/// another reason.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file [default: ./hubd.toml, else /etc/hubd/hubd.toml]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let config = match config_file::load(self.config) {
            Ok((_, config)) => config,
            Err(refused) => return refused,
        };
        output::show(config.warnings());
        serve(
            config,
            |builder| builder,
            |hub| {
                output::print(&format!("hubd is serving at {}\n", hub.url()));
            },
        )
    }
}

/// Runs a hub with `config` to its end; `announce` tells that it listens.
pub(super) fn serve(
    config: Config,
    extend: impl FnOnce(HubBuilder) -> HubBuilder,
    announce: impl FnOnce(&Hub),
) -> ExitCode {
    let format = match config.hub.log_format {
        LogFormat::Text => telemetry::Format::Text,
        LogFormat::Json => telemetry::Format::Json,
    };
    telemetry::init(&config.hub.log, format);
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("cannot start: {error}")),
    };
    let ended = runtime.block_on(async {
        // Before anything else, so that a signal during the start is not lost.
        let (interrupt, terminate) = (
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
        );
        let builder = Hub::builder().with_config(config).pam_helper(OWN_PROGRAM);
        let hub = extend(builder).start().await?;
        announce(&hub);
        let (first, second) = signals(interrupt, terminate);
        tokio::select! {
            () = hub.run(first) => {}
            // What was under way is cut; the books are safe at any moment.
            () = second => {}
        }
        Ok::<(), HubError>(())
    });
    // Look-ups of accounts and hashing of passwords may still block a thread; nobody waits for them.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::refuse_hub(&error),
    }
}

/// Each browser and each server behind it takes a descriptor, and the usual soft limit of 1024 is for
/// programs that cannot count further. A hub that may not raise it goes on with what it has.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, soft = ?limit.current, "cannot raise the limit of open files");
    }
}

fn listen(kind: SignalKind) -> Result<Signal, HubError> {
    signal(kind).map_err(|error| HubError::internal(format!("cannot listen for signals: {error}")))
}

/// One future that is over at the first signal, and one that is over at the second.
fn signals(
    mut interrupt: Signal,
    mut terminate: Signal,
) -> (impl Future<Output = ()>, impl Future<Output = ()>) {
    let (came, first) = tokio::sync::oneshot::channel();
    let both = async move {
        let mut came = Some(came);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            match came.take() {
                Some(came) => drop(came.send(())),
                None => return,
            }
        }
    };
    (async move { drop(first.await) }, both)
}
