//! The command line: arguments in, exit code out. One file a subcommand.
//!
//! ```text
//! main() --args--> Command --run()--> ExitCode     0 done   1 it failed   2 wrong arguments or configuration
//! ```
//!
//! A subcommand is a file with an `Args` that has a `run`, and a row in `args.rs`. What it was
//! asked for goes to standard output; errors, warnings and questions go to standard error, so that
//! `hubd print-config > hubd.toml` and `eval "$(hubd completions bash)"` are safe.

mod args;
mod audit;
mod books;
mod check_config;
mod completions;
mod config_file;
mod doctor;
mod one_shot;
mod openapi;
mod output;
mod print_config;
mod quickstart;
mod run;
mod token;
mod user;

pub use args::main;
