//! Making a virtual environment with JupyterLab in it.
//!
//! ```text
//! python3 -m venv state_dir/jupyter --> pip install --> tried out --> installed-by-hubd
//!            \_____ output to state_dir/jupyter-install.log ____/
//! ```
//!
//! Without the last file the environment counts for nothing and is made anew, so an installation
//! that was interrupted anywhere leaves nothing half. pip gets the whole environment of hubd:
//! proxies, an index of one's own, certificates.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::jupyter::{self, Jupyter};
use super::memory::Memory;
use super::program;
use super::progress::Progress;
use crate::cli::output;

/// What a server consists of. Any Python that is still maintained finds a version in these ranges.
const PACKAGES: [&str; 2] = ["jupyterhub>=5,<7", "jupyterlab>=4,<5"];
/// How many of the last lines are shown when it fails.
const TAIL: usize = 12;
/// How often it is looked at how far pip is.
const LOOK: Duration = Duration::from_millis(250);

/// Installs JupyterLab; what stands in the way is a message for the person.
pub(super) async fn install(state_dir: &Path, memory: &mut Memory) -> Result<Jupyter, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(python) = program::find("python3", &path) else {
        return Err(by_hand(
            "there is no JupyterLab here, and no python3 to install one with. Install python3 with \
             its venv module (Debian, Ubuntu: apt install python3-venv; Fedora: dnf install python3; \
             Alpine: apk add python3) and start this again",
        ));
    };
    let environment = jupyter::own_environment(state_dir);
    let whole = jupyter::own_is_whole(state_dir);
    let mut log = Log::new(state_dir)?;
    let unwritable = |error: io::Error| format!("cannot write {}: {error}", whole.display());
    match fs::remove_file(&whole) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritable(error)),
        _ => {}
    }

    output::note(&format!(
        "installing JupyterLab into {}; it takes a minute or two",
        environment.display()
    ));
    let mut progress = Progress::begin("making a virtual environment");
    let mut venv = Command::new(&python);
    venv.args(["-m", "venv", "--clear"]).arg(&environment);
    run(venv, "python3 -m venv", &mut log, |_| {}).await?;

    progress.step("asking the package index");
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--no-input",
        "--progress-bar",
        "off",
    ])
    .arg("--disable-pip-version-check")
    .args(PACKAGES)
    .env("PIP_USER", "0");
    let installed = run(pip, "pip", &mut log, |pip| match pip {
        Event::Line(line) => progress.line(line),
        Event::Tick => progress.look(&environment),
    });
    installed.await?;

    progress.step("trying it out");
    let jupyter = jupyter::try_own(state_dir, memory).await.map_err(|why| {
        by_hand(&format!(
            "JupyterLab was installed into {} and does not work: {why}. What pip said is in {}",
            environment.display(),
            log.path.display()
        ))
    })?;
    fs::write(&whole, jupyter.describe() + "\n").map_err(unwritable)?;
    Ok(jupyter)
}

/// The message `trouble`, and how to have a JupyterLab without this.
pub(super) fn by_hand(trouble: &str) -> String {
    let [hub, lab] = PACKAGES;
    format!(
        "{trouble}.\nBy hand, with network access:\n\
         \n    python3 -m venv ~/jupyter\n    ~/jupyter/bin/pip install '{hub}' '{lab}'\n    \
         PATH=~/jupyter/bin:$PATH hubd quickstart\n"
    )
}

/// What happens while a step runs.
enum Event<'l> {
    Line(&'l str),
    Tick,
}

/// Runs one step to its end, with its output in the log.
async fn run(
    mut command: Command,
    name: &str,
    log: &mut Log,
    mut tell: impl FnMut(Event<'_>),
) -> Result<(), String> {
    // Those of the person's own Python would lead this one to the wrong packages.
    for variable in ["PYTHONHOME", "PYTHONPATH"] {
        command.env_remove(variable);
    }
    log.line(&format!("$ {command:?}"));
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let running = program::run(command, move |line| drop(sender.send(line.to_owned())));
    let mut running = std::pin::pin!(running);
    let mut ticks = tokio::time::interval(LOOK);
    let ended = loop {
        tokio::select! {
            biased;
            Some(line) = lines.recv() => {
                log.line(&line);
                tell(Event::Line(&line));
            }
            ended = &mut running => break ended,
            _ = ticks.tick() => tell(Event::Tick),
        }
    };
    while let Ok(line) = lines.try_recv() {
        log.line(&line);
        tell(Event::Line(&line));
    }
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(log.failure(name, status)),
        Err(error) => Err(by_hand(&format!("{name} cannot be run: {error}"))),
    }
}

/// The file with all that was printed, and its end.
struct Log {
    path: PathBuf,
    file: File,
    tail: VecDeque<String>,
    hint: Option<&'static str>,
}

impl Log {
    fn new(state_dir: &Path) -> Result<Self, String> {
        let path = state_dir.join("jupyter-install.log");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path);
        let file = file.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        Ok(Self {
            path,
            file,
            tail: VecDeque::new(),
            hint: None,
        })
    }

    fn line(&mut self, line: &str) {
        // A log that cannot be written is no reason to fail: what matters of it is in memory.
        let _ = writeln!(self.file, "{line}");
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        let shown = line.chars().filter(|c| !c.is_control()).take(400);
        self.tail.push_back(shown.collect());
        self.hint = self.hint.or_else(|| hint(line));
    }

    fn failure(&self, name: &str, status: ExitStatus) -> String {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no reason given".to_owned(),
        };
        let tail: Vec<&str> = self.tail.iter().map(String::as_str).collect();
        let trouble = format!(
            "JupyterLab could not be installed: {name} ended with {how}. The end of {}:\n\n    {}\n\n{}",
            self.path.display(),
            tail.join("\n    "),
            self.hint.unwrap_or("The lines above say why"),
        );
        by_hand(&trouble)
    }
}

/// What to do about a line that says what is wrong.
fn hint(line: &str) -> Option<&'static str> {
    const NO_VENV: &str = "This Python cannot make virtual environments. Install what it lacks (Debian, \
                           Ubuntu: apt install python3-venv) and start this again";
    const NO_INDEX: &str = "The package index cannot be reached. Start this again with network access; \
                            HTTPS_PROXY names a proxy and PIP_INDEX_URL an index of your own";
    const NO_TRUST: &str = "The package index shows a certificate that is not trusted here. PIP_CERT names \
                            the file with your own authority's";
    const TOO_OLD: &str = "This python3 may be too old: JupyterLab takes Python 3.9 or later";
    const NO_ROOM: &str =
        "There is no room left. It takes about 500 MB; --state-dir puts it elsewhere";
    let signs = [
        ("ensurepip", NO_VENV),
        ("No module named venv", NO_VENV),
        ("No module named pip", NO_VENV),
        ("CERTIFICATE_VERIFY_FAILED", NO_TRUST),
        ("NewConnectionError", NO_INDEX),
        ("Failed to establish a new connection", NO_INDEX),
        ("Name or service not known", NO_INDEX),
        ("Temporary failure in name resolution", NO_INDEX),
        ("Network is unreachable", NO_INDEX),
        ("ConnectTimeoutError", NO_INDEX),
        ("ReadTimeoutError", NO_INDEX),
        ("ProxyError", NO_INDEX),
        ("No space left on device", NO_ROOM),
        ("No matching distribution found", TOO_OLD),
    ];
    let found = signs.iter().find(|(sign, _)| line.contains(sign));
    found.map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pip_and_venv_complain_about_has_a_remedy() {
        for (line, remedy) in [
            (
                "The virtual environment was not created successfully because ensurepip is not",
                "python3-venv",
            ),
            ("/usr/bin/python3: No module named venv", "python3-venv"),
            (
                "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(...)",
                "HTTPS_PROXY",
            ),
            (
                "... SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] ...",
                "PIP_CERT",
            ),
            (
                "ERROR: No matching distribution found for jupyterhub<7,>=5",
                "Python 3.9",
            ),
            ("OSError: [Errno 28] No space left on device", "--state-dir"),
        ] {
            assert!(
                hint(line).is_some_and(|hint| hint.contains(remedy)),
                "{line}"
            );
        }
        assert_eq!(hint("Collecting jupyterhub<7,>=5"), None);
    }

    #[tokio::test]
    async fn a_failed_step_shows_its_end_and_names_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::new(folder.path()).unwrap();
        let mut command = Command::new("/bin/sh");
        command.args([
            "-c",
            "seq 1 50; echo '\u{1b}[31mNo space left on device'; exit 7",
        ]);
        let mut lines = 0;
        let failed = run(command, "pip", &mut log, |event| {
            lines += u32::from(matches!(event, Event::Line(_)));
        });
        let message = failed.await.unwrap_err();
        let text = fs::read_to_string(&log.path).unwrap();
        assert_eq!((lines, text.lines().count()), (51, 52));
        for words in [
            "pip ended with exit code 7",
            "jupyter-install.log",
            "\n    40\n",
            "\n    [31mNo space left",
            "--state-dir",
            "By hand",
        ] {
            assert!(message.contains(words), "{words}: {message}");
        }
        assert!(!message.contains("\n    39\n"));
    }
}
