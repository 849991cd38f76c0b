//! A JupyterLab that hubd can use: one with `jupyterhub-singleuser` of the same Python.
//!
//! Whether it works is found out by running both with `--version`, which loads most of what they
//! are made of and takes seconds. So what worked is remembered by a stamp of the two programs and
//! their Python, and not tried again until one of them changes.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::memory::Memory;
use super::program;
use crate::cli::output;

/// Starts a server for the hub.
const SINGLEUSER: &str = "jupyterhub-singleuser";
/// Comes with JupyterLab.
const LAB: &str = "jupyter-lab";
/// How long each may take to say its version: a cold disk and a slow machine are allowed for.
const DEADLINE: Duration = Duration::from_secs(60);
/// Variables of the person's own Python, which would get into the way of another.
const OTHER_PYTHON: [&str; 3] = ["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"];

/// Where it is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Jupyter {
    singleuser: String,
    /// The folder of its programs.
    bin: String,
    lab_version: String,
    hub_version: String,
    /// Whether it is in hubd's own virtual environment.
    is_own: bool,
}

impl Jupyter {
    /// The program that a server is.
    pub(super) fn singleuser(&self) -> &str {
        &self.singleuser
    }

    /// `PATH` for its servers: terminals and kernels find what belongs to it first.
    pub(super) fn path(&self) -> String {
        path_with(&self.bin)
    }

    /// Variables that its servers must not inherit.
    pub(super) fn does_not_inherit(&self) -> &'static [&'static str] {
        if self.is_own { &OTHER_PYTHON } else { &[] }
    }

    /// For the person.
    pub(super) fn describe(&self) -> String {
        let Self {
            bin,
            lab_version,
            hub_version,
            ..
        } = self;
        format!("{lab_version} (jupyterhub-singleuser {hub_version}) in {bin}")
    }
}

/// hubd's own virtual environment.
pub(super) fn own_environment(state_dir: &Path) -> PathBuf {
    state_dir.join("jupyter")
}

/// The file that says that the virtual environment is whole; written last.
pub(super) fn own_is_whole(state_dir: &Path) -> PathBuf {
    own_environment(state_dir).join("installed-by-hubd")
}

/// One that is there and works: that of PATH, or else hubd's own. One that does not work is told
/// about.
pub(super) async fn find(state_dir: &Path, memory: &mut Memory) -> Option<Jupyter> {
    let in_path = std::env::var_os("PATH").and_then(|path| program::find(SINGLEUSER, &path));
    if let Some(singleuser) = in_path {
        match try_out(&singleuser, false, memory).await {
            Ok(jupyter) => return Some(jupyter),
            Err(why) => output::note(&format!("not using {}: {why}", singleuser.display())),
        }
    }
    if !own_is_whole(state_dir).exists() {
        return None;
    }
    match try_own(state_dir, memory).await {
        Ok(jupyter) => Some(jupyter),
        Err(why) => {
            let own = own_environment(state_dir);
            output::note(&format!("not using {} any more: {why}", own.display()));
            None
        }
    }
}

/// Tries out the one in hubd's own virtual environment.
pub(super) async fn try_own(state_dir: &Path, memory: &mut Memory) -> Result<Jupyter, String> {
    let singleuser = own_environment(state_dir).join("bin").join(SINGLEUSER);
    try_out(&singleuser, true, memory).await
}

/// Why it does not work is a clause.
async fn try_out(singleuser: &Path, is_own: bool, memory: &mut Memory) -> Result<Jupyter, String> {
    // A link may lead into an environment of its own, and the JupyterLab beside the link into another.
    let real = fs::canonicalize(singleuser).map_err(|error| error.to_string())?;
    let bin = real.parent().unwrap_or(Path::new("/"));
    let lab = bin.join(LAB);
    if !program::is_program(&lab) {
        return Err("there is no JupyterLab beside it".to_owned());
    }
    let python = interpreter(&real);
    if python != interpreter(&lab) {
        return Err("the JupyterLab beside it belongs to another Python".to_owned());
    }
    let utf8 = |path: &Path| {
        let path = path.to_str().map(str::to_owned);
        path.ok_or_else(|| "its path is not UTF-8".to_owned())
    };
    let (singleuser, bin) = (utf8(singleuser)?, utf8(bin)?);
    let stamp = stamp(&[&real, &lab], python.as_deref());
    if let Some((known, then)) = &memory.works
        && (&known.singleuser, &known.bin, known.is_own, then)
            == (&singleuser, &bin, is_own, &stamp)
    {
        return Ok(known.clone());
    }
    let ask = |program| version(program, path_with(&bin), is_own);
    let (hub_version, lab_version) = tokio::try_join!(ask(&real), ask(&lab))?;
    let jupyter = Jupyter {
        singleuser,
        bin,
        lab_version,
        hub_version,
        is_own,
    };
    memory.works = Some((jupyter.clone(), stamp));
    Ok(jupyter)
}

/// What a program answers to `--version`.
async fn version(program: &Path, path: String, is_own: bool) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("--version").env("PATH", path);
    if is_own {
        for name in OTHER_PYTHON {
            command.env_remove(name);
        }
    }
    let (mut version, mut last) = (None, String::new());
    let answer = program::run(command, |line| {
        if line.starts_with(|c: char| c.is_ascii_digit()) && version.is_none() {
            version = Some(shown(line));
        }
        last = shown(line);
    });
    let name = program.file_name().unwrap_or_default().display();
    let ended = tokio::time::timeout(DEADLINE, answer).await;
    match ended {
        Err(_) => Err(format!(
            "`{name} --version` did not end within {} seconds",
            DEADLINE.as_secs()
        )),
        Ok(Err(error)) => Err(format!("`{name} --version` cannot be run: {error}")),
        Ok(Ok(status)) => match version {
            Some(version) if status.success() => Ok(version),
            _ => Err(format!("`{name} --version` says {last:?}")),
        },
    }
}

/// A line as it can go to a terminal, and not too long.
fn shown(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn path_with(bin: &str) -> String {
    match std::env::var("PATH") {
        Ok(path) if !path.is_empty() => format!("{bin}:{path}"),
        _ => format!("{bin}:/usr/local/bin:/usr/bin:/bin"),
    }
}

/// Changes when one of the programs is installed anew, and when their Python becomes another version.
fn stamp(programs: &[&Path], python: Option<&str>) -> String {
    let file = |program: &&Path| match program.metadata() {
        Ok(file) => format!("{}.{} {}", file.mtime(), file.mtime_nsec(), file.size()),
        Err(error) => error.to_string(),
    };
    let mut parts: Vec<String> = programs.iter().map(file).collect();
    let python = python.and_then(|python| fs::canonicalize(python).ok());
    parts.extend(python.map(|python| python.display().to_string()));
    parts.join(", ")
}

/// The interpreter that a script names in its first line, or in its second where the path was too
/// long for the first: `'''exec' "/path/to/python" "$0" "$@"`.
fn interpreter(script: &Path) -> Option<String> {
    let mut head = BufReader::new(fs::File::open(script).ok()?.take(4096));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    head.read_until(b'\n', &mut first).ok()?;
    head.read_until(b'\n', &mut second).ok()?;
    let second = String::from_utf8_lossy(&second).into_owned();
    if let Some(words) = second.strip_prefix("'''exec' ") {
        let path = match words.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => words.split(' ').next(),
        };
        return path.map(str::to_owned);
    }
    let first = String::from_utf8_lossy(&first).into_owned();
    first.strip_prefix("#!").map(|rest| rest.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
        fs::create_dir_all(folder).unwrap();
        let path = folder.join(name);
        // By another process: a program that another test starts while this one has the file open
        // for writing would inherit it, and nobody could execute the file for as long.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf %s \"$1\" > \"$0\" && chmod 755 \"$0\""]);
        assert!(shell.arg(&path).arg(text).status().unwrap().success());
        path
    }

    #[test]
    fn scripts_say_who_runs_them() {
        let folder = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("#!/usr/bin/python3\nimport sys\n", Some("/usr/bin/python3")),
            ("#!/usr/bin/env python3\n", Some("/usr/bin/env python3")),
            (
                "#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\n",
                Some("/a b/python"),
            ),
            (
                "#!/bin/sh\n'''exec' /long/python \"$0\" \"$@\"\n' '''\n",
                Some("/long/python"),
            ),
            ("\u{7f}ELF", None),
            ("", None),
        ] {
            assert_eq!(
                interpreter(&script(folder.path(), "x", text)).as_deref(),
                expected
            );
        }
    }

    #[tokio::test]
    async fn what_works_is_not_tried_again_until_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let tried = folder.path().join("tried");
        let text = format!(
            "#!/bin/sh\necho a warning >&2\necho 4.2.0\necho x >> {}\n",
            tried.display()
        );
        let singleuser = script(folder.path(), SINGLEUSER, &text);
        script(folder.path(), LAB, &text);
        let times = || fs::read_to_string(&tried).unwrap().lines().count();

        let mut memory = Memory::default();
        let first = try_out(&singleuser, false, &mut memory).await.unwrap();
        assert_eq!(
            (&*first.lab_version, &*first.hub_version),
            ("4.2.0", "4.2.0")
        );
        assert_eq!(times(), 2);
        assert_eq!(
            try_out(&singleuser, false, &mut memory).await.unwrap(),
            first
        );
        assert_eq!(times(), 2);
        script(folder.path(), LAB, &format!("{text}\n"));
        try_out(&singleuser, false, &mut memory).await.unwrap();
        assert_eq!(times(), 4);
    }

    #[tokio::test]
    async fn what_does_not_work_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let fine = "#!/bin/sh\necho 6.1.1\n";
        let broken = "#!/bin/sh\necho 'No module named jupyterlab\u{1b}[31m' >&2\nexit 1\n";
        let foreign = "#!/bin/bash\necho 4.2.0\n";
        let silent = "#!/bin/sh\n";
        for (nth, (lab, why)) in [
            (None, "no JupyterLab beside it"),
            (
                Some(broken),
                "`jupyter-lab --version` says \"No module named jupyterlab[31m\"",
            ),
            (Some(foreign), "another Python"),
            (Some(silent), "says \"\""),
        ]
        .into_iter()
        .enumerate()
        {
            let bin = folder.path().join(nth.to_string());
            let singleuser = script(&bin, SINGLEUSER, fine);
            if let Some(lab) = lab {
                script(&bin, LAB, lab);
            }
            let mut memory = Memory::default();
            let error = try_out(&singleuser, false, &mut memory).await.unwrap_err();
            assert!(error.contains(why), "{error}");
            assert_eq!(memory, Memory::default());
        }
    }

    #[tokio::test]
    async fn a_link_leads_to_its_own_environment() {
        let folder = tempfile::tempdir().unwrap();
        let fine = "#!/bin/sh\necho 6.1.1\n";
        let real = script(&folder.path().join("venv"), SINGLEUSER, fine);
        let links = folder.path().join("bin");
        script(&links, LAB, fine);
        std::os::unix::fs::symlink(real, links.join(SINGLEUSER)).unwrap();
        let error = try_out(&links.join(SINGLEUSER), false, &mut Memory::default()).await;
        assert!(error.unwrap_err().contains("no JupyterLab beside it"));
    }
}
