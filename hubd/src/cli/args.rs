//! What the command line may say.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{
    audit, check_config, completions, doctor, openapi, print_config, quickstart, run, token, user,
};
use crate::auth::pam::{self, HELPER};

/// A JupyterHub for one host: people log in and get a Jupyter server of their own.
///
/// It is set up in one file: the hubd.toml in the current folder, or else /etc/hubd/hubd.toml.
#[derive(Debug, Parser)]
#[command(
    name = "hubd",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(super) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Args),
    Run(run::Args),
    User(user::Args),
    Token(token::Args),
    Audit(audit::Args),
    CheckConfig(check_config::Args),
    Doctor(doctor::Args),
    PrintConfig(print_config::Args),
    Openapi(openapi::Args),
    Completions(completions::Args),
    /// Answer one question about a login, from a hub that runs
    #[command(name = HELPER, hide = true)]
    PamHelper,
}

impl Command {
    fn run(self) -> ExitCode {
        match self {
            Self::Quickstart(args) => args.run(),
            Self::Run(args) => args.run(),
            Self::User(args) => args.run(),
            Self::Token(args) => args.run(),
            Self::Audit(args) => args.run(),
            Self::CheckConfig(args) => args.run(),
            Self::Doctor(args) => args.run(),
            Self::PrintConfig(args) => args.run(),
            Self::Openapi(args) => args.run(),
            Self::Completions(args) => args.run(),
            Self::PamHelper => pam::answer(),
        }
    }
}

/// Runs hubd as its command line says. Wrong arguments end the process with exit code 2, after a
/// message; `--help` and `--version` end it with 0.
pub fn main() -> ExitCode {
    Cli::parse().command.run()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound_and_every_word_is_explained() {
        let mut command = Cli::command();
        command.build();
        command.clone().debug_assert();
        let mut commands: Vec<_> = command.get_subcommands().collect();
        while let Some(subcommand) = commands.pop() {
            commands.extend(subcommand.get_subcommands());
            assert!(
                subcommand.get_about().is_some(),
                "{}",
                subcommand.get_name()
            );
            for argument in subcommand.get_arguments() {
                assert!(argument.get_help().is_some(), "{}", argument.get_id());
            }
        }
    }
}
