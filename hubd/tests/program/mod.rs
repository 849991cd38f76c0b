//! The program `hubd` as a process: run to its end, or started, waited for and ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A test that waits this long waits for something that will not come.
const HUNG: Duration = Duration::from_secs(120);

/// What a process that ran to its end left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end with `input` on its standard input.
pub(crate) fn run(mut command: Command, input: &str) -> Ran {
    let command = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("hubd starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // It may end without having read.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ran::from(child.wait_with_output().expect("hubd ends"))
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

/// Writes a file that can be executed, by way of another process: were it open for writing in this
/// one, a program that another test starts at that moment would inherit it, and nobody could execute
/// it for as long ("text file busy").
#[allow(dead_code, reason = "not every test needs a script")]
pub(crate) fn write_script(path: &Path, text: &str) {
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
        .arg(path);
    assert_eq!(run(shell, text).code, Some(0), "{}", path.display());
}

/// A process that goes on until it is told to end; dropped, it is killed. What it writes to standard
/// error goes to that of the test.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("hubd starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits for a line of standard output with `words` in it.
    #[track_caller]
    pub(crate) fn line_with(&self, words: &str) -> String {
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(HUNG) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended; no {words:?} in {seen:#?}")
                }
                Err(RecvTimeoutError::Timeout) => panic!("it hangs; no {words:?} in {seen:#?}"),
            }
        }
    }

    /// Sends a signal and waits for the end; says the exit code, if it was no signal that ended it.
    pub(crate) fn end(mut self, signal: Signal) -> Option<i32> {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("it is there");
        self.child.wait().expect("hubd ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
