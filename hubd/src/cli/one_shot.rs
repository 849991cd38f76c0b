//! A command that reads the configuration, does one thing and says what became of it.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{config_file, output};
use crate::config::Config;

/// Runs `act` with the configuration that was named or found. What it returns goes to standard
/// output; an error is a message for the user.
pub(super) fn run(
    config: Option<PathBuf>,
    act: impl AsyncFnOnce(&Config) -> Result<String, String>,
) -> ExitCode {
    let config = match config_file::load(config) {
        Ok((_, config)) => config,
        Err(refused) => return refused,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("cannot start: {error}")),
    };
    match runtime.block_on(act(&config)) {
        Ok(result) => output::print(&result),
        Err(message) => output::fail(&message),
    }
}
