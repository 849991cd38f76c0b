//! `kind = "header"`: the name that a proxy in front of the hub sends, and nobody else.

#[allow(dead_code, reason = "other tests need all of it")]
mod program;

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use program::Running;

fn hub(folder: &Path, trusted: &str) -> (Running, String) {
    let config = format!(
        "[hub]\nbind = '127.0.0.1:0'\nstate_dir = 'state'\nlog = 'warn'\ntrusted_proxies = ['{trusted}']\n\
         [auth]\nkind = 'header'\nallow_all = true\nblocked_users = ['eve']\n\
         username_map = {{ 'ann@example.org' = 'ann' }}\n\
         [auth.header]\nname = 'X-SSO-User'\n[spawner]\nkind = 'simple'\n"
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
    (hub, address)
}

/// The head and the body of an answer.
fn get(address: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_trusted_proxy_says_who_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_hub, address) = hub(folder.path(), "127.0.0.1");
    let log_in = |headers: &str| get(&address, "/hub/login", headers);
    for (headers, expected) in [
        ("", "403"),
        ("X-SSO-User: ann\r\n", "302"),
        ("x-sso-user:  ANN@example.org \r\n", "302"),
        ("X-SSO-User: eve\r\n", "403"),
        ("X-SSO-User: EVE\r\n", "403"),
        ("X-SSO-User: \r\n", "403"),
        ("X-SSO-User: ../ann\r\n", "403"),
        ("X-SSO-User: ann\r\nX-SSO-User: root\r\n", "403"),
        ("X_SSO_User: ann\r\n", "403"),
        // Not the one that was configured.
        ("X-Remote-User: ann\r\n", "403"),
    ] {
        let answer = log_in(headers);
        assert_eq!(status(&answer), expected, "{headers:?}: {answer}");
        let cookie = answer.contains("jupyterhub-hub-login=");
        assert_eq!(cookie, expected == "302", "{headers:?}: {answer}");
    }

    // A login is over when the proxy names somebody else.
    let answer = log_in("X-SSO-User: ann\r\n");
    let start = answer.find("jupyterhub-hub-login=").expect("a cookie");
    let cookie = answer[start..].split(';').next().unwrap_or_default();
    for (headers, expected) in [
        ("", "200"),
        ("X-SSO-User: Ann@example.org\r\n", "200"),
        ("X-SSO-User: bob\r\n", "302"),
        ("X-SSO-User: ../ann\r\n", "302"),
    ] {
        let headers = format!("Cookie: {cookie}\r\n{headers}");
        let answer = get(&address, "/hub/home", &headers);
        assert_eq!(status(&answer), expected, "{headers:?}: {answer}");
    }
}

#[test]
fn nobody_else_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_hub, address) = hub(folder.path(), "10.0.0.1");
    let answer = get(&address, "/hub/login", "X-SSO-User: ann\r\n");
    assert_eq!(status(&answer), "403", "{answer}");
    assert!(!answer.contains("jupyterhub-hub-login="), "{answer}");
}
