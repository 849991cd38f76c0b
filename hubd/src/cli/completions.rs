//! `hubd completions`: what lets a shell complete hubd's command line.

use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::output;

/// Print a script that lets a shell complete hubd's commands
///
/// For bash, put `eval "$(hubd completions bash)"` in ~/.bashrc.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell that is to complete
    shell: Shell,
}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "hubd", &mut script);
        output::print(&String::from_utf8_lossy(&script))
    }
}
