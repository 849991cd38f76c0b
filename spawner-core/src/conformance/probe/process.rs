//! A probe server as a process.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{BEHAVE, Ending, Program, behaviour_in};
use crate::conformance::backend::Behaviour;

/// A probe that nobody ended does so itself: no check takes as long.
const LIFE: Duration = Duration::from_mins(10);
/// How often one looks whether the tests that it belongs to are still there.
const LOOK: Duration = Duration::from_millis(500);

/// Becomes the probe server and does not return, if the command line says so.
pub(in super::super) fn main() {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let command = std::env::args_os().map(text).collect();
    let env = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
    let Some(program) = Program::read(command, env.collect()) else {
        // All ignored tests were asked for.
        return;
    };
    let ending = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(live(&program)));
    match ending {
        Ok(Ending::Exit(code)) => std::process::exit(code),
        Ok(Ending::Abort) => std::process::abort(),
        Err(error) => {
            println!("the probe server cannot go on: {error}");
            std::process::exit(111)
        }
    }
}

/// Behaves as a process can, and ends with the tests.
async fn live(program: &Program) -> io::Result<Ending> {
    // Held, so that the signals stay caught.
    let mut deaf = Vec::new();
    let mut kernel = None;
    match program.behaviour {
        Behaviour::Deaf => {
            for kind in [
                SignalKind::hangup(),
                SignalKind::interrupt(),
                SignalKind::terminate(),
            ] {
                deaf.push(signal(kind)?);
            }
        }
        Behaviour::Family => {
            let (at, _) = behaviour_in(&program.command).unwrap_or_default();
            let mut words = program.command[..at].to_vec();
            let tests = program.tests.unwrap_or_default();
            words.push(format!("{BEHAVE}silent@{tests}"));
            let mut child = tokio::process::Command::new(&words[0])
                .args(&words[1..])
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()?;
            // A process that is still loading its program cannot be told by its environment.
            let mut said = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
            said.read_u8().await?;
            kernel = Some((child, said));
        }
        Behaviour::Silent => println!("this is the kernel, or a server that never listens"),
        _ => {}
    }
    let ending = tokio::select! {
        ending = program.run() => ending,
        () = tokio::time::sleep(LIFE) => Ok(Ending::Exit(112)),
        () = orphaned(program.tests) => Ok(Ending::Exit(113)),
    };
    drop((deaf, kernel));
    ending
}

/// Returns when the process of the tests is gone, so that a spawner which fails its checks does not
/// leave servers for longer than it takes to read about it. In a container that process cannot be
/// seen in the first place; then this does not return.
async fn orphaned(tests: Option<u32>) {
    let started_at = || {
        let path = format!("/proc/{}/stat", tests?);
        let stat = std::fs::read_to_string(path).ok()?;
        // The 22nd field is the time of its start, which no other process of that number has.
        stat.rsplit(')')
            .next()?
            .split_whitespace()
            .nth(19)
            .map(str::to_owned)
    };
    let Some(before) = started_at() else {
        return std::future::pending().await;
    };
    while started_at().as_ref() == Some(&before) {
        tokio::time::sleep(LOOK).await;
    }
}
