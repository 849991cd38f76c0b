//! `hubd print-config`: a configuration file to start from.

use std::process::ExitCode;

use super::output;
use crate::config;

/// Show every configuration key with its default
///
/// The output is a valid configuration file but for the authenticator, which has no default.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let Self {} = self;
        output::print(&config::print())
    }
}
