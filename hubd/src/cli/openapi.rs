//! `hubd openapi`: what the REST API does, for programs.

use std::process::ExitCode;

use super::output;
use crate::api;

/// Show the OpenAPI description of the REST API
///
/// A hub that runs serves the same as hub/api/openapi.json.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

impl Args {
    pub(super) fn run(self) -> ExitCode {
        let Self {} = self;
        match api::description("/") {
            Ok(text) => output::print(&text),
            Err(error) => output::fail(&error.to_string()),
        }
    }
}
