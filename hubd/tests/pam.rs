//! `kind = "pam"` against the system's own libpam and rules of a test, in a folder of the test.

#[allow(dead_code, reason = "other tests need all of it")]
mod program;

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use program::{Running, write_script};

/// Stands for a module. The shell's parent is the process that PAM runs in.
const MODULE: &str = r#"#!/bin/sh
read -r password
case $PAM_USER in
    hang) echo $$ >> "$(dirname "$0")/left"; exec tail -f /dev/null ;;
    crash) kill -ABRT $PPID; exit 1 ;;
esac
[ "$PAM_RHOST" = 127.0.0.1 ] && [ "$password" = "open sesame" ]
"#;

/// A hub, or nothing where there is no libpam.
fn hub(folder: &Path, service: &str) -> Option<(Running, String)> {
    let libraries = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
    let of_arch = |root: &&str| {
        let mut found = fs::read_dir(root).into_iter().flatten().flatten();
        Path::new(root).join("libpam.so.0").exists()
            || found.any(|entry| entry.path().join("libpam.so.0").exists())
    };
    if !libraries.iter().any(of_arch) {
        eprintln!("skipped: there is no libpam.so.0 here");
        return None;
    }
    let module = folder.join("module");
    write_script(&module, MODULE);
    let rules = folder.join("pam.d");
    fs::create_dir(&rules).expect("a folder");
    let asks = format!(
        "auth required pam_exec.so expose_authtok quiet {}\n",
        module.display()
    );
    for (name, text) in [
        ("asks", format!("{asks}account required pam_permit.so\n")),
        ("locked", format!("{asks}account required pam_deny.so\n")),
        (
            "denies",
            "auth required pam_deny.so\naccount required pam_permit.so\n".to_owned(),
        ),
    ] {
        fs::write(rules.join(name), text).expect("a file");
    }
    let rules = rules.display();
    let config = format!(
        "[hub]\nbind = '127.0.0.1:0'\nstate_dir = 'state'\nlog = 'warn'\n\
         [auth]\nkind = 'pam'\nallowed_users = ['ann', 'hang', 'crash']\nblocked_users = ['eve']\n\
         allowed_groups = ['root']\n\
         [auth.pam]\nservice = '{service}'\nconfig_dir = '{rules}'\ntimeout = 10\nworkers = 2\n\
         [spawner]\nkind = 'simple'\n"
    );
    let path = folder.join("hubd.toml");
    fs::write(&path, config).expect("a file");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
    command.arg("run").current_dir(folder);
    let hub = Running::start(command);
    let line = hub.line_with("serving at http://");
    let address = line.rsplit("http://").next().unwrap_or_default();
    let address = address.trim_end_matches('/').to_owned();
    Some((hub, address))
}

/// Asks for a token with name and password; says the status.
fn prove(address: &str, name: &str, password: &str) -> u16 {
    let typed = serde_json::json!({"auth": {"username": name, "password": password}}).to_string();
    let user = name.trim().to_lowercase();
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!(
        "POST /hub/api/users/{user}/tokens HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{typed}",
        typed.len()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status).expect("an answer");
    let _ = answer.read_to_end(&mut Vec::new());
    let code = status.split(' ').nth(1).unwrap_or_default();
    code.parse().unwrap_or_else(|_| panic!("{status:?}"))
}

#[test]
fn the_system_decides_who_somebody_is_and_the_hub_who_may_enter() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_hub, address)) = hub(folder.path(), "asks") else {
        return;
    };
    for (name, password, status) in [
        ("ann", "open sesame", 201),
        (" ANN ", "open sesame", 201),
        // By a group of the system.
        ("root", "open sesame", 201),
        ("bob", "open sesame", 403),
        ("eve", "open sesame", 403),
    ] {
        assert_eq!(prove(&address, name, password), status, "{name:?}");
    }
    assert_ne!(prove(&address, "ann", "wrong"), 201);
}

#[test]
fn a_module_that_hangs_or_crashes_holds_up_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some((_hub, address)) = hub(folder.path(), "asks") else {
        return;
    };
    thread::scope(|scope| {
        let hanging = scope.spawn(|| prove(&address, "hang", "x"));
        let crashed = scope.spawn(|| prove(&address, "crash", "x"));
        assert_eq!(crashed.join().expect("an answer"), 503);
        // The other worker is free again.
        assert_eq!(prove(&address, "ann", "open sesame"), 201);
        assert_eq!(hanging.join().expect("an answer"), 503);
    });
    // pam_exec puts its program into a session of its own, where the hub does not look for it.
    let pids = fs::read_to_string(folder.path().join("left")).unwrap_or_default();
    for pid in pids.lines().filter_map(|pid| pid.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    assert_eq!(prove(&address, "ann", "open sesame"), 201);
}

#[test]
fn an_account_must_be_usable() {
    for (service, status) in [("locked", 403), ("denies", 403)] {
        let folder = tempfile::tempdir().expect("a folder");
        let Some((_hub, address)) = hub(folder.path(), service) else {
            return;
        };
        assert_eq!(prove(&address, "ann", "open sesame"), status, "{service}");
    }
}
