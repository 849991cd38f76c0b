//! The hub that the stories run: hubd as it is, built beside them.

use std::process::ExitCode;

fn main() -> ExitCode {
    hubd::cli::main()
}
