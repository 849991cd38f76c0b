//! Before the fork: everything that a start needs. After it: the sentence, if it came to nothing.

use std::ffi::CString;
use std::fmt::Display;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use spawner_core::{SpawnError, SpawnErrorKind};

use crate::account::Account;
use crate::cgroup::{Entrance, Group};
use crate::command::Command;
use crate::gate::{self, StartError};
use crate::log::Log;
use crate::settings::Settings;
use crate::sys::{Failed, Plan, Step};

/// A start, ready to be carried out.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) names: Names,
    /// What the child enters.
    pub(crate) group: Option<Arc<Group>>,
    /// Where the run will begin in the log.
    pub(crate) log_from: u64,
}

/// What the messages about a start name.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) program: PathBuf,
    pub(crate) account: String,
    home: PathBuf,
}

impl Prepared {
    /// Opens the log and puts all together. Blocks.
    pub(crate) fn new(
        command: Command,
        account: Account,
        home: PathBuf,
        log: &Log,
        group: Option<Group>,
        settings: &Settings,
    ) -> Result<Self, SpawnError> {
        if !home.is_absolute() {
            let message = format!(
                "The home directory has to be a path from the root, not \"{}\".",
                home.display()
            );
            return Err(SpawnError::new(SpawnErrorKind::Refused, message));
        }
        let (output, log_from) = log
            .open(settings.log_max_bytes)
            .map_err(|source| not_usable(log.path(), source))?;
        let group = group.map(Arc::new);
        let entrance = match &group {
            Some(group) => {
                Some(Entrance::open(group).map_err(|source| not_usable(group.dir(), source))?)
            }
            None => None,
        };
        let plan = Plan {
            program: c_path(&command.program)?,
            argv: command.argv,
            envp: command.envp,
            directory: c_path(&home)?,
            stdin: gate::no_input().map_err(|source| not_usable(Path::new("/dev/null"), source))?,
            output: gate::above_stdio(output.into())
                .map_err(|source| not_usable(log.path(), source))?,
            entrance,
            rlimits: settings.rlimits.clone(),
            umask: settings.umask,
            credentials: account.credentials,
            no_new_privileges: settings.no_new_privileges,
            close_range: true,
        };
        let names = Names {
            program: command.program,
            account: account.name,
            home,
        };
        Ok(Self {
            plan,
            names,
            group,
            log_from,
        })
    }
}

fn not_usable(path: &Path, source: io::Error) -> SpawnError {
    let message = format!("{} cannot be used: {source}.", path.display());
    SpawnError::other(message).with_source(source)
}

fn c_path(path: &Path) -> Result<CString, SpawnError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        let message = format!("The path {} holds a NUL character.", path.display());
        SpawnError::new(SpawnErrorKind::Refused, message)
    })
}

impl Names {
    /// The sentence for a start that never came to run its program.
    pub(crate) fn explain(&self, error: StartError) -> SpawnError {
        let (kind, message) = match &error {
            StartError::Fork(source) => (
                SpawnErrorKind::Unavailable,
                format!("The system has no room for another process: {source}."),
            ),
            StartError::Step(failed) => self.sentence(*failed),
        };
        SpawnError::new(kind, message).with_source(error)
    }

    fn sentence(&self, Failed { step, errno }: Failed) -> (SpawnErrorKind, String) {
        use SpawnErrorKind::{NotFound, Other, Refused};
        let (program, home) = (self.program.display(), self.home.display());
        let name = &self.account;
        let reason = io::Error::from_raw_os_error(errno);
        let other = |what: &dyn Display| (Other, format!("{what}: {reason}."));
        match (step, errno) {
            (Step::Exec, libc::ENOENT | libc::ENOTDIR) => (
                NotFound,
                format!(
                    "{program} cannot be run: it, or the interpreter that its first line names, \
                     is not there for {name}."
                ),
            ),
            (Step::Exec, libc::EACCES) => (Refused, format!("{name} may not execute {program}.")),
            (Step::Exec, libc::ENOEXEC) => (
                Refused,
                format!(
                    "{program} is not a program for this system. A script begins with a line like \
                     #!/bin/sh."
                ),
            ),
            (Step::Exec, libc::E2BIG) => (
                Refused,
                "The server's arguments and environment are larger than this system allows.".into(),
            ),
            (Step::Exec, _) => other(&format_args!("{program} cannot be run")),
            (Step::Directory, libc::ENOENT) => (
                NotFound,
                format!("The home directory {home} of {name} does not exist."),
            ),
            (Step::Directory, _) => other(&format_args!(
                "{name} cannot enter the home directory {home}"
            )),
            (Step::Groups, _) => other(&format_args!(
                "The server was not started, because its process could not take on the groups of \
                 {name} (setgroups)"
            )),
            (Step::Group, _) => other(&format_args!(
                "The server was not started, because its process could not take on the main group \
                 of {name} (setresgid)"
            )),
            (Step::User, _) => other(&format_args!(
                "The server was not started, because its process could not become {name} (setresuid)"
            )),
            (Step::ReadBack, _) => (
                Other,
                format!(
                    "The server was not started, because its process had other rights than those \
                     of {name}."
                ),
            ),
            (Step::Privileges, _) => other(
                &"The server was not started, because it could not be kept from gaining rights",
            ),
            (Step::ControlGroup, _) => other(
                &"The server was not started, because its process could not enter its control \
                  group. Without limits, `cgroup = \"off\"` does without one",
            ),
            (Step::ResourceLimits, _) => other(
                &"The server was not started, because its resource limits (`rlimits`) could not be \
                  set",
            ),
            (Step::Stdio | Step::Descriptors | Step::Session | Step::Parent | Step::Gate, _) => {
                other(&format_args!(
                    "The server's process could not be set up ({step:?})"
                ))
            }
        }
    }
}
