//! `hubd user` as an administrator sees it: while no hub runs, and while one does.

mod program;

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;

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
[auth.password]
allow_signup = true
[spawner]
kind = "simple"
cmd = ["sleep", "60"]
[limits]
slow_spawn_timeout = 0
[[service]]
name = "starter"
api_token = "token-of-the-starter"
admin = true
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

    fn hub(&self) -> Running {
        self.hub_at().0
    }

    /// A running hub with its address and port.
    fn hub_at(&self) -> (Running, String) {
        let hub = Running::start(self.command(&["run"]));
        let line = hub.line_with("serving at http://");
        let address = line.rsplit("http://").next().unwrap_or_default();
        let address = address.trim_end_matches('/').to_owned();
        (hub, address)
    }

    fn user(&self, arguments: &[&str], input: &str) -> Ran {
        run(self.command(&[&["user"], arguments].concat()), input)
    }

    /// It is done and says so.
    #[track_caller]
    fn does(&self, arguments: &[&str], input: &str, says: &str) {
        let ran = self.user(arguments, input);
        assert_eq!((ran.code, &*ran.stdout), (Some(0), says), "{ran:?}");
    }

    /// It is not done, and the last line says why.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], input: &str, code: i32, why: &str) {
        let ran = self.user(arguments, input);
        assert_eq!((ran.code, &*ran.stdout), (Some(code), ""), "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }

    /// Name, admin, password and server of everybody.
    #[track_caller]
    fn list(&self) -> Vec<[String; 4]> {
        let ran = self.user(&["list"], "");
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
        let lines = ran.stdout.lines().map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            assert_eq!(cells.len(), 7, "{line}");
            assert!(cells[2].ends_with('Z'), "{line}");
            [0, 1, 4, 5].map(|cell| cells[cell].to_owned())
        });
        lines.collect()
    }
}

/// Asks the API to start somebody's server; says the status.
fn start_server(address: &str, user: &str) -> String {
    let path = format!("POST /hub/api/users/{user}/server");
    let token = "Authorization: token token-of-the-starter\r\n";
    status_line(&ask(address, &path, token, ""))
}

/// What the hub says to who has this token.
fn status_of(address: &str, token: &str) -> String {
    let token = format!("Authorization: token {token}\r\n");
    status_line(&ask(address, "GET /hub/api/user", &token, ""))
}

/// Asks for an account on the page for that.
fn sign_up(address: &str, name: &str) {
    let page = ask(address, "GET /hub/signup", "", "");
    let (_, token) = page.split_once("_xsrf=").expect("a cookie");
    let (token, _) = token.split_once(';').expect("its end");
    let headers =
        format!("Cookie: _xsrf={token}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let token = token.replace('|', "%7C").replace(':', "%3A");
    let form = format!("_xsrf={token}&username={name}&password=correct+horse&again=correct+horse");
    let answer = status_line(&ask(address, "POST /hub/signup", &headers, &form));
    assert!(answer.contains("202"), "{answer}");
}

/// Makes one request and reads all of the answer.
fn ask(address: &str, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let length = body.len();
    let request = format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nSec-Fetch-Mode: navigate\r\n\
         {headers}Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

fn status_line(answer: &str) -> String {
    answer.lines().next().unwrap_or_default().to_owned()
}

/// Runs a story in a world without a hub and in one with a running hub.
fn both_ways(story: impl Fn(&World)) {
    println!("no hub runs");
    story(&World::new());
    println!("a hub runs");
    let world = World::new();
    let hub = world.hub();
    story(&world);
    assert_eq!(hub.end(Signal::SIGINT), Some(0));
}

#[test]
fn accounts_come_change_and_go() {
    both_ways(|world| {
        world.does(
            &["add", "Alice"],
            "correct horse\n",
            "alice has an account now\n",
        );
        world.does(
            &["add", "--admin", "alan"],
            "correct horse\n",
            "alan has an account now\n",
        );
        let list = world.list();
        assert!(
            list.contains(&["alice", "no", "yes", "stopped"].map(str::to_owned)),
            "{list:?}"
        );
        assert!(
            list.contains(&["alan", "yes", "yes", "stopped"].map(str::to_owned)),
            "{list:?}"
        );
        let password = "another horse\r\nand more\n";
        world.does(
            &["password", "alice"],
            password,
            "the password of alice was changed\n",
        );
        world.does(&["delete", "alan"], "", "alan was deleted\n");
        assert!(world.list().iter().all(|user| user[0] != "alan"));
    });
}

#[test]
fn somebody_is_shut_out_and_let_in_again() {
    both_ways(|world| {
        world.does(
            &["add", "alice"],
            "correct horse\n",
            "alice has an account now\n",
        );
        let blocked = || {
            let ran = world.user(&["list"], "");
            let lines = ran
                .stdout
                .lines()
                .filter(|line| line.starts_with("alice\t"));
            lines
                .map(|line| line.rsplit('\t').next() == Some("yes"))
                .collect::<Vec<_>>()
        };
        assert_eq!(blocked(), [false]);
        world.does(&["block", "alice"], "", "alice is blocked\n");
        assert_eq!(blocked(), [true]);
        world.does(&["block", "alice"], "", "alice is blocked\n");
        world.does(&["unblock", "alice"], "", "alice is not blocked\n");
        assert_eq!(blocked(), [false]);
        for action in ["block", "unblock"] {
            world.refuses(&[action, "bob"], "", 1, "there is no user bob");
        }
    });
}

/// Each takes effect before the command ends.
#[test]
fn tokens_and_servers_end_with_block_password_and_deletion() {
    let world = World::new();
    let (hub, address) = world.hub_at();
    let add = || {
        world.does(
            &["add", "alice"],
            "correct horse\n",
            "alice has an account now\n",
        );
    };
    add();
    let token = || {
        let ran = run(world.command(&["token", "new", "--user", "alice"]), "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let text = ran.stdout.trim_end().to_owned();
        assert!(status_of(&address, &text).contains("200"));
        text
    };
    let first = token();
    let changed = "the password of alice was changed\n";
    world.does(&["password", "alice"], "another horse\n", changed);
    assert!(status_of(&address, &first).contains("403"));

    let second = token();
    let status = start_server(&address, "alice");
    assert!(status.contains("202"), "{status}");
    world.does(&["block", "alice"], "", "alice is blocked\n");
    assert_eq!(world.list()[0], ["alice", "no", "yes", "stopped"]);
    world.does(&["unblock", "alice"], "", "alice is not blocked\n");
    for gone in [&first, &second] {
        assert!(status_of(&address, gone).contains("403"));
    }

    let third = token();
    world.does(&["delete", "alice"], "", "alice was deleted\n");
    add();
    assert!(
        status_of(&address, &third).contains("403"),
        "not to a namesake"
    );
    drop(hub);
}

#[test]
fn who_has_signed_up_is_let_in_or_not() {
    let world = World::new();
    let (hub, address) = world.hub_at();
    for name in ["ann", "bob", "cyd"] {
        sign_up(&address, name);
    }
    let waiting = || {
        let ran = world.user(&["waiting"], "");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let names = ran.stdout.lines().map(|line| {
            let (name, since) = line.split_once('\t').expect("a time");
            assert!(since.ends_with('Z'), "{line}");
            name.to_owned()
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(waiting(), ["ann", "bob", "cyd"]);
    world.does(&["approve", "ann"], "", "ann may log in now\n");
    world.does(&["decline", "bob"], "", "the sign-up of bob is forgotten\n");
    assert_eq!(hub.end(Signal::SIGTERM), Some(0));
    // It goes on without a hub.
    assert_eq!(waiting(), ["cyd"]);
    world.does(&["approve", "cyd"], "", "cyd may log in now\n");
    for action in ["approve", "decline"] {
        for name in ["ann", "bob", "nobody"] {
            let why = format!("nobody has signed up as {name}");
            world.refuses(&[action, name], "", 1, &why);
        }
    }
    let names: Vec<_> = world.list().into_iter().map(|[name, ..]| name).collect();
    assert_eq!(names, ["alice", "ann", "cyd", "root"]);
}

#[test]
fn what_cannot_be_done_says_why() {
    both_ways(|world| {
        world.does(
            &["add", "alice"],
            "correct horse\n",
            "alice has an account now\n",
        );
        world.refuses(
            &["add", "alice"],
            "correct horse\n",
            1,
            "`hubd user password alice`",
        );
        world.refuses(
            &["password", "bob"],
            "correct horse\n",
            1,
            "there is no user bob",
        );
        world.refuses(&["delete", "bob"], "", 1, "there is no user bob");
        world.refuses(&["add", "bob"], "short\n", 1, "at least 8 characters");
        world.refuses(&["add", "bob"], "", 1, "no password on standard input");
        assert!(world.list().iter().all(|user| user[0] != "bob"));
    });
}

#[test]
fn names_that_cannot_be_are_wrong_arguments() {
    let world = World::new();
    let long = "x".repeat(300);
    for (name, why) in [
        ("", "cannot be empty"),
        ("a/b", "'/' is not allowed"),
        ("../etc", "'.' is not allowed at the start"),
        ("a\nb", "is not allowed"),
        ("älice", "is not allowed"),
        (&long, "at most 255"),
    ] {
        for action in ["add", "password", "delete"] {
            world.refuses(&[action, name], "correct horse\n", 2, why);
        }
    }
    assert!(!world.path("state").exists());
}

#[test]
fn what_is_worth_knowing_is_said_beside_it() {
    let world = World::new();
    let says = |arguments: &[&str], note: &str| {
        let ran = world.user(arguments, "correct horse\n");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains(note), "{ran:?}");
    };
    says(&["add", "bob"], "bob may not log in yet");
    says(&["add", "alice"], "");
    says(&["delete", "alice"], "the configuration names alice");
}

#[test]
fn who_is_only_configured_can_be_given_an_account() {
    let world = World::new();
    let hub = world.hub();
    let expected = [
        ["alice", "no", "no", "stopped"],
        ["root", "yes", "no", "stopped"],
    ];
    assert_eq!(world.list(), expected);
    world.does(
        &["add", "alice"],
        "correct horse\n",
        "alice has an account now\n",
    );
    drop(hub);
}

#[test]
fn both_ways_lead_to_the_same_accounts() {
    let world = World::new();
    world.does(
        &["add", "alice"],
        "correct horse\n",
        "alice has an account now\n",
    );
    let hub = world.hub();
    assert_eq!(world.list()[0], ["alice", "no", "yes", "stopped"]);
    world.does(
        &["add", "alan"],
        "correct horse\n",
        "alan has an account now\n",
    );
    assert_eq!(hub.end(Signal::SIGTERM), Some(0));
    assert_eq!(world.list()[0], ["alan", "no", "yes", "stopped"]);
}

#[test]
fn the_socket_is_private_and_outlives_no_hub_for_long() {
    let world = World::new();
    let socket = world.path("state/control.sock");
    let hub = world.hub();
    let found = fs::symlink_metadata(&socket).expect("a socket");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert_eq!(hub.end(Signal::SIGINT), Some(0));
    assert!(!socket.exists());

    // One that is killed leaves it behind, which stands in nobody's way.
    assert_eq!(world.hub().end(Signal::SIGKILL), None);
    assert!(socket.exists());
    world.does(
        &["add", "alice"],
        "correct horse\n",
        "alice has an account now\n",
    );
    let hub = world.hub();
    world.does(&["delete", "alice"], "", "alice was deleted\n");
    drop(hub);
}

#[test]
fn servers_are_stopped_before_their_user_is_deleted() {
    let world = World::new();
    let (hub, address) = world.hub_at();
    let status = start_server(&address, "alice");
    assert!(status.contains("202"), "{status}");
    // The answer does not wait for the books.
    assert!((0..1000).any(|_| world.list()[0][3] == "starting"));
    assert_eq!(hub.end(Signal::SIGKILL), None);
    // Its process is nobody's now but the books'.
    world.refuses(
        &["delete", "alice"],
        "",
        1,
        "alice is not stopped (starting)",
    );
    let hub = world.hub();
    world.does(&["delete", "alice"], "", "alice was deleted\n");
    assert_eq!(world.list(), [["root", "yes", "no", "stopped"]]);
    drop(hub);
}

#[test]
fn looking_makes_nothing() {
    let world = World::new();
    for arguments in [&["list"][..], &["delete", "alice"], &["password", "alice"]] {
        world.refuses(
            arguments,
            "correct horse\n",
            1,
            "there is nothing in the books yet",
        );
    }
    assert!(!world.path("state").exists());
}

#[test]
fn a_state_directory_that_others_can_read_is_refused() {
    let world = World::new();
    let state = world.path("state");
    fs::create_dir(&state).expect("a folder");
    fs::set_permissions(&state, Permissions::from_mode(0o755)).expect("permissions");
    for arguments in [&["list"][..], &["add", "alice"]] {
        world.refuses(arguments, "correct horse\n", 1, "run: chmod 700");
    }
    assert_eq!(fs::read_dir(&state).expect("a folder").count(), 0);
}

#[test]
fn a_configuration_is_needed() {
    let world = World::new();
    let elsewhere = world.path("hubd.toml").display().to_string();
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = world.command(&["user", "add", "alice", "--config", &elsewhere]);
    command.current_dir(folder.path());
    let ran = run(command, "correct horse\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        world.path("state").exists(),
        "it is below the file's folder"
    );

    world.refuses(
        &["list", "--config", "nowhere.toml"],
        "",
        2,
        "there is no such file",
    );
    fs::write(world.path("hubd.toml"), "[auth]\nkind = 'ldap'\n").expect("a file");
    world.refuses(&["list"], "", 2, "auth.kind");
}
