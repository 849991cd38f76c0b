//! `hubd doctor` as a program: its lines, its exit code, and that it leaves nothing behind.

mod program;

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
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

/// A folder with a configuration that has this in [auth] and below.
fn people(hub: &str, auth: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[hub]\nbind = '127.0.0.1:0'\nstate_dir = 'state'\n{hub}\n[spawner]\nkind = 'simple'\n\
         [auth]\n{auth}\n"
    );
    let path = folder.path().join("hubd.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    folder
}

#[track_caller]
fn says(folder: &Path, word: &str, part: &str) {
    let ran = doctor(folder);
    let found = ran.stdout.lines().find(|line| line.contains(part));
    let found = found.unwrap_or_else(|| panic!("{part}: {ran:?}"));
    assert!(found.starts_with(&format!("{word} ")), "{found}");
    assert_eq!(ran.code, Some(i32::from(lines(&ran.stdout, "problem") > 0)));
}

#[test]
fn who_can_log_in() {
    let nowhere = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap()
    };
    let oidc = format!(
        "kind = 'oidc'\nallow_all = true\n[auth.oidc]\nissuer = 'http://{nowhere}'\n\
         client_id = 'hubd'\nclient_secret = 'secret'"
    );
    let pam = "kind = 'pam'\nallow_all = true\n[auth.pam]\nservice = 'none'\nconfig_dir = 'rules'";
    let header = "kind = 'header'\nallow_all = true";
    let shared = "kind = 'shared-password'\nallow_all = true\n[auth.shared-password]\n\
                  user_password = 'correct horse battery'";
    let signup = "kind = 'password'\n[auth.password]\nallow_signup = true";
    let public = "public_url = 'https://hub.example.org'\nbase_url = '/x/'";
    for (hub, auth, word, part) in [
        (
            "",
            "kind = 'password'",
            "problem",
            "`hubd user add NAME` makes one",
        ),
        ("", "kind = 'password'", "problem", "nobody may come in"),
        ("", signup, "warning", "people can ask for one"),
        ("", shared, "warning", "no password for admins"),
        (
            "",
            "kind = 'dummy'\nallow_all = true",
            "warning",
            "under any name",
        ),
        (
            "trusted_proxies = ['10.0.0.1']",
            header,
            "ok",
            "names in `x-remote-user`",
        ),
        (
            "trusted_proxies = ['0.0.0.0/0']",
            header,
            "problem",
            "as anybody",
        ),
        ("", &oidc, "problem", "Connection refused"),
        (
            "",
            &oidc,
            "warning",
            "/hub/oauth_callback, unless browsers find the hub",
        ),
        (
            public,
            &oidc,
            "ok",
            " is https://hub.example.org/x/hub/oauth_callback",
        ),
        (
            "",
            pam,
            "warning",
            "rules/none, so PAM takes the rules of `other`",
        ),
    ] {
        says(people(hub, auth).path(), word, part);
    }

    let folder = people("", "kind = 'password'\nallowed_users = ['ann']");
    let added = run(
        hubd(folder.path(), &["user", "add", "ann"]),
        "open sesame\n",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    let one = "1 account has a password and is not blocked";
    says(folder.path(), "ok", one);
    let running = Running::start(hubd(folder.path(), &["run"]));
    running.line_with("hubd is serving at ");
    says(folder.path(), "ok", one);
    assert_eq!(running.end(Signal::SIGTERM), Some(0));
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
