//! The `hubd` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    hubd::cli::main()
}
