//! `hubd check-config`: says what is wrong with a configuration, and changes nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{config_file, output};
use crate::hub::Hub;

/// Say what is wrong with a configuration file
///
/// Reads the whole file and shows everything that is wrong with it, with file, line, column and
/// key: one line each, or with an excerpt on a terminal. Nothing is created or changed.
///
/// Exit code: 0 if hubd can start with it, even if there are warnings; 2 if not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to check [default: ./hubd.toml, else /etc/hubd/hubd.toml]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let (path, config) = match config_file::load(self.file) {
            Ok((path, config)) => (path, config),
            Err(refused) => return refused,
        };
        let warnings = config.warnings().clone();
        if let Err(error) = Hub::builder().with_config(config).check() {
            return output::refuse_hub(&error);
        }
        output::show(&warnings);
        let but = match warnings.len() {
            0 => String::new(),
            1 => ", with 1 warning".to_owned(),
            many => format!(", with {many} warnings"),
        };
        output::print(&format!("{} is fine{but}\n", path.display()))
    }
}
