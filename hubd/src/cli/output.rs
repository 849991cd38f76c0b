//! Writing results to standard output and findings to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use crate::config::{Findings, Style};
use crate::hub::HubError;

/// Exit code for a configuration or arguments that cannot be used.
const UNUSABLE: u8 = 2;

/// Prints a result. A reader that has gone, as `head` does, is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(&format!("hubd: cannot write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Shows findings: with excerpts of the file on a terminal, else one line each.
pub(super) fn show(findings: &Findings) {
    let style = if io::stderr().is_terminal() {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Style::Pretty { colour }
    } else {
        Style::Plain
    };
    complain(&findings.render(style));
}

/// Shows why a configuration is refused.
pub(super) fn refuse(findings: &Findings) -> ExitCode {
    show(findings);
    ExitCode::from(UNUSABLE)
}

/// Shows why there is no hub: exit code 2 where the configuration is at fault, else 1.
pub(super) fn refuse_hub(error: &HubError) -> ExitCode {
    match error.config() {
        Some(errors) => refuse(errors.findings()),
        None => fail(&spawner_core::error_chain(error)),
    }
}

/// As [`refuse`], where there is no file to find anything in.
pub(super) fn refuse_without_file(message: &str) -> ExitCode {
    complain(&format!("hubd: {message}\n"));
    ExitCode::from(UNUSABLE)
}

/// Writes to standard error; if that is closed there is nobody left to tell.
fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Says something worth knowing beside the result.
pub(super) fn note(message: &str) {
    complain(&format!("hubd: {message}\n"));
}

/// Says why something failed for a reason outside of arguments and configuration.
pub(super) fn fail(message: &str) -> ExitCode {
    complain(&format!("hubd: {message}\n"));
    ExitCode::FAILURE
}
