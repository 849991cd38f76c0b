//! The server that the checks start: it tells from inside what it was given, and ends when asked.
//!
//! ```text
//!  GET {prefix}api                      200: it is up
//!  GET {prefix}conformance              what it was given, as JSON
//!  GET {prefix}conformance/exit/3       exits with code 3
//!  GET {prefix}conformance/abort        ends by SIGABRT
//!  GET {prefix}conformance/allocate/N   uses N bytes for a moment: 200, or 507 if it gets none
//! ```
//!
//! It is the test binary itself: `conformance_tests!` adds a test, ignored otherwise, that becomes
//! the server when the binary is run for that test alone. So there is no program to be built or
//! found first; a container image that shall run it takes a copy of the test binary.
//!
//! A probe that a failing spawner leaves behind ends with the tests.

mod address;
mod process;
mod program;

use super::backend::{Behaviour, Recipe};
use crate::options::UserOptions;

pub(super) use process::main;
pub(super) use program::Inside;
pub use program::{Ending, Program};

/// What stands before the behaviour on the command line. Behind it, after an `@`, stands the
/// process of the tests.
const BEHAVE: &str = "behave=";
/// A program that is nowhere.
const MISSING: &str = "/nonexistent/conformance-probe";

/// The command that becomes the probe server; [`Probe::new`] has an example.
#[derive(Debug, Clone)]
pub struct Probe {
    command: Vec<String>,
}

impl Probe {
    /// The running test binary as the probe, where `test` is the path of the test that becomes it.
    pub(super) fn this_binary(test: &str) -> Self {
        let binary = std::env::current_exe().unwrap_or_default();
        // The test harness leaves out the name of the crate, with which each path begins.
        let test = test.split_once("::").map_or(test, |(_, within)| within);
        // The test harness takes what follows `--` for more names of tests, of which there are
        // none: so everything can be passed there.
        let flags = ["--exact", test, "--ignored", "--nocapture", "--"];
        Self::new(
            std::iter::once(binary.to_string_lossy().as_ref())
                .chain(flags)
                .map(str::to_owned),
        )
    }

    /// Another command as the probe. It gets the behaviour as its next argument. For a container
    /// image that holds a copy of the test binary as `/probe`:
    ///
    /// ```
    /// # use spawner_core::conformance::{Behaviour, Probe, Recipe};
    /// fn behave(behaviour: Behaviour, probe: &Probe) -> Option<Recipe> {
    ///     let mut command = probe.command().to_vec();
    ///     command[0] = "/probe".to_owned();
    ///     Some(Probe::new(command).recipe(behaviour))
    /// }
    /// ```
    pub fn new(command: impl IntoIterator<Item = String>) -> Self {
        Self {
            command: command.into_iter().collect(),
        }
    }

    /// The program and its arguments so far, to be run in another place: see [`Probe::new`].
    pub fn command(&self) -> &[String] {
        &self.command
    }

    /// The command line that makes a server behave so: what [`Backend::behave`] gives by default.
    ///
    /// [`Backend::behave`]: super::Backend::behave
    pub fn recipe(&self, behaviour: Behaviour) -> Recipe {
        let word = match behaviour {
            Behaviour::Serve => "serve".to_owned(),
            Behaviour::Family => "family".to_owned(),
            Behaviour::Deaf => "deaf".to_owned(),
            Behaviour::Silent => "silent".to_owned(),
            Behaviour::Exit(code) => format!("exit-{code}"),
            Behaviour::Missing => "missing".to_owned(),
        };
        let mut cmd = self.command.clone();
        if behaviour == Behaviour::Missing {
            cmd = vec![MISSING.to_owned()];
        }
        cmd.push(format!("{BEHAVE}{word}@{}", std::process::id()));
        let options = UserOptions::default();
        Recipe { cmd, options }
    }
}

/// The place of the behaviour on a command line, and what it says.
fn behaviour_in(command: &[String]) -> Option<(usize, &str)> {
    command
        .iter()
        .enumerate()
        .find_map(|(at, word)| Some((at, word.strip_prefix(BEHAVE)?)))
}
