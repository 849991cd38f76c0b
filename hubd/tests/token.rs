//! `hubd token` as an administrator sees it: while no hub runs, and while one does.

mod program;

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use program::{Ran, Running, run};

const CONFIG: &str = r#"
[hub]
bind = "127.0.0.1:0"
state_dir = "state"
log = "warn"
[auth]
kind = "password"
allowed_users = ["alice"]
admin_users = ["root"]
token_expires_in_max_seconds = 86400
[spawner]
kind = "simple"
cmd = ["sleep", "60"]
[[service]]
name = "grader"
api_token = "token-of-the-grader"
[[role]]
name = "grading"
scopes = ["list:users"]
services = ["grader"]
"#;

/// A folder with a configuration and, once a hub ran, its state.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a folder"));
        let config = world.path("hubd.toml");
        fs::write(&config, CONFIG).expect("a file");
        fs::set_permissions(&config, Permissions::from_mode(0o600)).expect("permissions");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    /// A running hub with its address and port.
    fn hub(&self) -> (Running, String) {
        let hub = Running::start(self.command(&["run"]));
        let line = hub.line_with("serving at http://");
        let address = line.rsplit("http://").next().unwrap_or_default();
        let address = address.trim_end_matches('/').to_owned();
        (hub, address)
    }

    fn token(&self, arguments: &[&str]) -> Ran {
        run(self.command(&[&["token"], arguments].concat()), "")
    }

    /// Makes a token; says what it is.
    #[track_caller]
    fn makes(&self, arguments: &[&str]) -> String {
        let ran = self.token(&[&["new"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let text = ran.stdout.strip_suffix('\n').expect("a line");
        assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(!ran.stderr.contains(text), "it is on standard output only");
        assert!(ran.stderr.contains("hubd token revoke a"), "{ran:?}");
        text.to_owned()
    }

    /// It is not done, and the last line says why.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], code: i32, why: &str) {
        let ran = self.token(arguments);
        assert_eq!((ran.code, &*ran.stdout), (Some(code), ""), "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }

    #[track_caller]
    fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.token(&[&["list", "--json"], arguments].concat());
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
        serde_json::from_str(&ran.stdout).expect("JSON")
    }
}

/// What the hub says to `GET /hub/api/user` with this token.
fn status(address: &str, token: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let request = format!(
        "GET /hub/api/user HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Authorization: token {token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut line = String::new();
    BufReader::new(stream)
        .read_line(&mut line)
        .expect("an answer");
    line[9..12].parse().expect("a status")
}

/// Runs a story in a world without a hub and in one with a running hub. Whom the configuration names
/// is in the books from the first start of a hub on.
fn both_ways(story: impl Fn(&World)) {
    println!("no hub runs");
    let world = World::new();
    assert_eq!(world.hub().0.end(Signal::SIGTERM), Some(0));
    story(&world);
    println!("a hub runs");
    let world = World::new();
    let (hub, _) = world.hub();
    story(&world);
    assert_eq!(hub.end(Signal::SIGINT), Some(0));
}

#[test]
fn tokens_come_and_go() {
    both_ways(|world| {
        world.makes(&[
            "--user",
            "Alice",
            "--note",
            "for <tests>",
            "--expires-in",
            "60",
        ]);
        world.makes(&["--service", "grader", "--scope", "list:users"]);
        let list = world.list(&[]);
        assert_eq!(list.len(), 2, "{list:?}");
        let alices = &world.list(&["--user", "alice"])[0];
        assert_eq!(
            (&alices["user"], &alices["note"]),
            (&json!("alice"), &json!("for <tests>"))
        );
        assert_eq!(alices["scopes"], json!(["inherit"]));
        assert_eq!(alices["last_activity"], json!(null));
        let graders = &world.list(&["--service", "grader"])[0];
        assert_eq!(graders["scopes"], json!(["list:users"]));
        assert_eq!(graders["note"], "Made with hubd token");
        assert_ne!(
            graders["expires_at"],
            json!(null),
            "the configuration's maximum"
        );

        let table = world.token(&["list"]).stdout;
        assert!(table.starts_with("ID  OWNER"), "{table}");
        assert_eq!(table.lines().count(), 3, "{table}");

        let id = alices["id"].as_str().expect("a name");
        let ran = world.token(&["revoke", id]);
        assert_eq!((ran.code, &*ran.stdout), (Some(0), ""), "{ran:?}");
        world.refuses(&["revoke", id], 1, &format!("there is no token {id}"));
        assert!(world.list(&["--user", "alice"]).is_empty());
        assert_eq!(world.list(&[]).len(), 1);
    });
}

#[test]
fn what_cannot_be_done_says_why() {
    both_ways(|world| {
        let long = "x".repeat(1001);
        for (arguments, why) in [
            (&["new", "--user", "bob"][..], "there is no user bob"),
            (&["new", "--service", "bob"], "no service called \"bob\""),
            (
                &["new", "--user", "alice", "--scope", "admin:users"],
                "does not hold",
            ),
            (
                &["new", "--user", "alice", "--scope", "read:user"],
                "did you mean",
            ),
            (
                &["new", "--user", "alice", "--expires-in", "86401"],
                "at most 86400 seconds",
            ),
            (
                &["new", "--user", "alice", "--note", &long],
                "1000 characters",
            ),
            (&["new", "--user", "alice", "--note", "a\nb"], "one line"),
            (&["list", "--user", "bob"], "there is no user bob"),
            (&["revoke", "a999"], "there is no token a999"),
            (&["revoke", "nonsense"], "there is no token nonsense"),
        ] {
            world.refuses(arguments, 1, why);
        }
        assert!(world.list(&[]).is_empty());
    });
}

#[test]
fn wrong_arguments_are_told_before_anything_is_done() {
    let world = World::new();
    for arguments in [
        &["new"][..],
        &["new", "--user", "alice", "--service", "grader"],
        &["new", "--user", "../alice"],
        &["new", "--user", "alice", "--expires-in", "0"],
        &["new", "--user", "alice", "--expires-in", "-1"],
        &["new", "--user", "alice", "--expires-in", "1e3"],
        &[
            "new",
            "--user",
            "alice",
            "--expires-in",
            "99999999999999999999",
        ],
        &["list", "--user", "alice", "--service", "grader"],
        &["revoke"],
    ] {
        world.refuses(arguments, 2, "");
    }
    for arguments in [
        &["list"][..],
        &["revoke", "a1"],
        &["new", "--user", "alice"],
    ] {
        world.refuses(arguments, 1, "does not exist");
    }
    assert!(!world.path("state").exists());
}

#[test]
fn a_token_works_at_once_and_ends_at_once() {
    let world = World::new();
    let (hub, address) = world.hub();
    let alices = world.makes(&["--user", "alice"]);
    let graders = world.makes(&["--service", "grader"]);
    assert_eq!(
        (status(&address, &alices), status(&address, &graders)),
        (200, 200)
    );
    let id = world.list(&["--user", "alice"])[0]["id"].clone();
    assert_eq!(
        world.token(&["revoke", id.as_str().expect("a name")]).code,
        Some(0)
    );
    assert_eq!(
        (status(&address, &alices), status(&address, &graders)),
        (403, 200)
    );
    assert_eq!(hub.end(Signal::SIGTERM), Some(0));

    // A service that is gone for one start of the hub is another one when it comes back.
    let without = CONFIG.split("[[service]]").next().expect("the beginning");
    fs::write(world.path("hubd.toml"), without).expect("a file");
    assert_eq!(world.hub().0.end(Signal::SIGTERM), Some(0));
    fs::write(world.path("hubd.toml"), CONFIG).expect("a file");
    let (hub, address) = world.hub();
    assert_eq!(status(&address, &graders), 403);
    assert_eq!(status(&address, "token-of-the-grader"), 200);
    drop(hub);
}
