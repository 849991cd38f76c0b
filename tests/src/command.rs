//! The commands of hubd that do one thing and end, as an administrator types them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::hub::TestHub;
use crate::setup::Setup;

/// What a command did.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// All that it printed.
    pub output: String,
}

impl TestHub {
    /// Runs `hubd ARGUMENTS` in the folder of this hub, with `input` as its standard input. `None`
    /// where the system takes no such argument: one with a NUL, or one that is too long.
    pub fn command(&self, arguments: &[&str], input: &str) -> Option<Ran> {
        run(self.program(), self.folder(), arguments, input)
    }
}

impl Setup {
    /// What `hubd check-config` says of the configuration.
    pub fn check_config(&self) -> Ran {
        let folder = tempfile::tempdir().expect("a temporary folder");
        self.write(folder.path());
        let arguments = ["check-config", "hubd.toml"];
        run(self.binary(), folder.path(), &arguments, "").expect("arguments as above")
    }
}

fn run(program: &Path, folder: &Path, arguments: &[&str], input: &str) -> Option<Ran> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let mut stdin = child.stdin.take().expect("a pipe was asked for");
    // A command may end without having read what it was given.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("our own child");
    let text = [output.stdout, output.stderr].concat();
    Some(Ran {
        code: output.status.code(),
        output: String::from_utf8_lossy(&text).into_owned(),
    })
}
