//! Running other programs: found in PATH, watched line by line, and ended with all they started.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// A longer line is taken for several.
const LINE_MAX: usize = 64 * 1024;

/// The first program of that name in the folders of `path`, as `PATH` lists them.
pub(super) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| is_program(program))
}

/// Whether it is a file that can be executed.
pub(super) fn is_program(path: &Path) -> bool {
    let executable = |mode| mode & 0o111 != 0;
    path.metadata()
        .is_ok_and(|file| file.is_file() && executable(file.permissions().mode()))
}

/// Runs a program to its end and hands over each line that it prints, on whichever stream. Dropping
/// the future ends the program and everything it started.
pub(super) async fn run(
    mut command: std::process::Command,
    mut line: impl FnMut(&str),
) -> io::Result<ExitStatus> {
    let (output, input) = io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(input.try_clone()?)
        .stderr(input);
    let mut command = Command::from(command);
    // The terminal's Ctrl-C is for hubd, which ends the group.
    let mut group = Group(command.process_group(0).spawn()?);
    // It holds the pipe open for as long as it exists.
    drop(command);
    let mut output = pipe::Receiver::from_owned_fd(output.into())?;
    let (mut lines, mut chunk) = (Lines::default(), vec![0; 8192]);
    loop {
        match output.read(&mut chunk).await? {
            0 => break,
            read => lines.feed(&chunk[..read], &mut line),
        }
    }
    lines.end(&mut line);
    group.0.wait().await
}

/// A program in a process group of its own.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Before the leader is waited for, its number can be nobody else's.
        if let Some(leader) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

/// Cuts what comes in pieces into lines.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn feed(&mut self, bytes: &[u8], line: &mut impl FnMut(&str)) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(line),
                byte => self.0.push(*byte),
            }
            if self.0.len() == LINE_MAX {
                self.end(line);
            }
        }
    }

    fn end(&mut self, line: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.0);
        if !text.trim().is_empty() {
            line(text.trim_end());
        }
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn shell(script: &str) -> std::process::Command {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn lines_of_both_streams_come_in_order() {
        let mut seen = Vec::new();
        let script = "echo one; echo two >&2; printf 'th'; printf 'ree\\r\\n\\nfour'; exit 3";
        let ended = run(shell(script), |line| seen.push(line.to_owned())).await;
        assert_eq!(ended.unwrap().code(), Some(3));
        assert_eq!(seen, ["one", "two", "three", "four"]);
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_ends_with_all_it_started() {
        let (sender, mut pids) = tokio::sync::mpsc::unbounded_channel();
        let running = run(shell("sleep 1000 & echo $!; wait"), move |line| {
            let _ = sender.send(line.parse::<i32>().unwrap());
        });
        let pid = tokio::select! {
            ended = running => panic!("it ended: {ended:?}"),
            pid = pids.recv() => pid.unwrap(),
        };
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        // Gone already, or held until it is.
        if let Ok(held) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            let mut gone = [rustix::event::PollFd::new(
                &held,
                rustix::event::PollFlags::IN,
            )];
            // The end of another test's child may interrupt it.
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut gone, None)).unwrap();
        }
    }

    #[test]
    fn an_endless_line_is_cut() {
        let (mut lines, mut lengths) = (Lines::default(), Vec::new());
        lines.feed(&vec![b'x'; LINE_MAX + 5], &mut |line| {
            lengths.push(line.len());
        });
        lines.end(&mut |line| lengths.push(line.len()));
        assert_eq!(lengths, [LINE_MAX, 5]);
    }

    #[test]
    fn programs_are_executable_files_in_absolute_folders() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("prog");
        let path = std::env::join_paths([Path::new("."), Path::new("/nowhere"), folder.path()]);
        let path = path.unwrap();
        assert_eq!(find("prog", &path), None);
        std::fs::write(&program, "").unwrap();
        assert_eq!(find("prog", &path), None);
        std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("prog", &path), Some(program));
    }
}
