//! The helper's side: one question, one answer, and the end of the process.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::ExitCode;
use std::thread;

use nix::unistd::{Group, User, getgrouplist};
use rustix::fd::OwnedFd;
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin, stdout};

use super::library::{self, Verdict};
use super::message::{Answer, Ask, Reply};

/// A question is shorter than this.
const ASK_MAX: u64 = 64 * 1024;

/// Answers the question on standard input. Whatever happens here happens to this process only.
pub(crate) fn main() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn answer() -> io::Result<()> {
    // A core file would hold the password.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    let (questions, mut answers) = take_pipes()?;
    let mut questions = BufReader::new(questions);
    let mut line = String::new();
    questions.by_ref().take(ASK_MAX).read_line(&mut line)?;
    let ask: Ask = serde_json::from_str(&line)?;
    thread::Builder::new().spawn(move || {
        // The hub says nothing more; it ends, or hangs up.
        let _ = questions.read(&mut [0]);
        std::process::exit(1);
    })?;
    let reply = serde_json::to_vec(&decide(&ask))?;
    answers.write_all(&reply)?;
    answers.flush()
}

/// Takes the two pipes away from where modules, and programs that they run, read and print.
fn take_pipes() -> io::Result<(File, File)> {
    let above = |fd| rustix::io::fcntl_dupfd_cloexec(fd, 3);
    let (questions, answers): (OwnedFd, OwnedFd) = (above(stdin())?, above(stdout())?);
    let null = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&null)?;
    dup2_stdout(&null)?;
    Ok((questions.into(), answers.into()))
}

fn decide(ask: &Ask) -> Reply {
    let user = match library::authenticate(ask)? {
        Verdict::Granted(user) => user,
        Verdict::Denied => return Ok(Answer::Denied),
        Verdict::Unusable => return Ok(Answer::Unusable),
    };
    let groups = if ask.groups {
        groups_of(&user)?
    } else {
        Vec::new()
    };
    Ok(Answer::Granted { user, groups })
}

/// The names of a user's groups, as the system knows them: the main one and the others.
fn groups_of(user: &str) -> Result<Vec<String>, String> {
    let failed = |error: nix::Error| format!("the groups of {user} cannot be looked up: {error}");
    let Some(account) = User::from_name(user).map_err(failed)? else {
        return Ok(Vec::new());
    };
    let name = std::ffi::CString::new(user).map_err(|_| "a name with NUL".to_owned())?;
    let mut names = Vec::new();
    for id in getgrouplist(&name, account.gid).map_err(failed)? {
        names.extend(Group::from_gid(id).map_err(failed)?.map(|group| group.name));
    }
    Ok(names)
}
