//! `hubd doctor` as a program: its lines, its exit code, and that it leaves nothing behind.

mod program;

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use program::{Ran, Running, run};

fn hubd(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
    command.args(arguments).current_dir(folder);
    command
}

fn doctor(folder: &Path) -> Ran {
    run(hubd(folder, &["doctor"]), "")
}

/// A folder with a configuration that serves at `bind`; `spawner` is the table of that name.
fn folder(bind: &str, spawner: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[hub]\nbind = \"{bind}\"\nstate_dir = \"state\"\n[auth]\nkind = \"dummy\"\n\
         allow_all = true\n[auth.dummy]\npassword = \"secret\"\n[spawner]\n{spawner}\n"
    );
    std::fs::write(folder.path().join("hubd.toml"), text).unwrap();
    folder
}

fn lines(text: &str, word: &str) -> usize {
    let is = |line: &&str| line.split_whitespace().next() == Some(word);
    text.lines().filter(is).count()
}

#[test]
fn a_hub_that_will_work() {
    let folder = folder("127.0.0.1:0", "kind = \"simple\"");
    let ran = doctor(folder.path());
    assert_eq!(
        (ran.code, lines(&ran.stdout, "problem")),
        (Some(0), 0),
        "{ran:?}"
    );
    for part in [
        "hubd.toml can be used",
        "is free",
        "kept track of",
        "control group",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    assert!(
        !folder.path().join("state").exists(),
        "looking makes nothing"
    );
}

#[test]
fn a_hub_that_will_not() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let docker = "kind = \"docker\"\n[spawner.docker]\nimage = \"lab\"\n\
                  host = \"unix:///nonexistent/engine.sock\"";
    let folder = folder(&bind, docker);
    let ran = doctor(folder.path());
    assert_eq!(
        (ran.code, lines(&ran.stdout, "problem")),
        (Some(1), 2),
        "{ran:?}"
    );
    for part in ["another program listens there", "/nonexistent/engine.sock"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used() {
    let folder = folder("127.0.0.1:0", "kind = \"simpel\"");
    let ran = doctor(folder.path());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.stderr.contains("simpel"), "{ran:?}");
}

#[test]
fn a_hub_that_runs_is_named_and_left_alone() {
    let folder = folder("127.0.0.1:0", "kind = \"simple\"");
    let running = Running::start(hubd(folder.path(), &["run"]));
    let line = running.line_with("hubd is serving at ");
    let url = line.trim_start_matches("hubd is serving at ").trim();
    let ran = doctor(folder.path());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(&format!("serves at {url}")), "{ran:?}");
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
}
