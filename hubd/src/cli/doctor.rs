//! `hubd doctor`: looks at everything that a hub needs, and says what to do.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use spawner_core::Verdict;

use super::run::OWN_PROGRAM;
use super::{config_file, output};
use crate::hub::Hub;

/// Say whether a hub with this configuration will work
///
/// Reads the configuration, tries whether people will be able to log in, asks the spawner's backend
/// what it can do and, with containers, asks from one whether servers will reach the hub. Prints one line for each thing: ok, warning or
/// problem, with what to do. A hub that runs is not disturbed; without one, its address is bound
/// for the moment.
///
/// Exit code: 0 if there is no problem, even if there are warnings; 1 if there is one; 2 if the
/// configuration cannot be used.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file [default: ./hubd.toml, else /etc/hubd/hubd.toml]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let (path, config) = match config_file::load(self.config) {
            Ok((path, config)) => (path, config),
            Err(refused) => return refused,
        };
        output::show(config.warnings());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return output::fail(&format!("cannot start: {error}")),
        };
        let builder = Hub::builder().with_config(config).pam_helper(OWN_PROGRAM);
        let findings = match runtime.block_on(builder.diagnose()) {
            Ok(findings) => findings,
            Err(error) => return output::refuse_hub(&error),
        };
        let path = path.display();
        let mut lines = format!("ok       the configuration {path} can be used\n");
        for found in &findings {
            let word = match found.verdict {
                Verdict::Fine => "ok",
                Verdict::Warning => "warning",
                Verdict::Problem => "problem",
            };
            // Into a text, which takes it.
            let _ = writeln!(lines, "{word:<8} {}", found.message);
        }
        let printed = output::print(&lines);
        if findings
            .iter()
            .any(|found| found.verdict == Verdict::Problem)
        {
            return ExitCode::FAILURE;
        }
        printed
    }
}
