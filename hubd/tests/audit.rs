//! `hubd audit` as an administrator sees it, and what the commands leave in the log.

mod program;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use program::{Ran, Running, run};

const CONFIG: &str = r#"
[hub]
bind = "127.0.0.1:0"
state_dir = "state"
log = "warn"
[auth]
kind = "password"
admin_users = ["root"]
[spawner]
kind = "simple"
cmd = ["sleep", "60"]
"#;

/// A folder with a configuration and, once something ran, its state.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a folder"));
        let config = world.0.path().join("hubd.toml");
        fs::write(&config, CONFIG).expect("a file");
        fs::set_permissions(&config, Permissions::from_mode(0o600)).expect("permissions");
        world
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hubd"));
        command.args(arguments).current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ran {
        run(self.command(arguments), input)
    }

    #[track_caller]
    fn does(&self, arguments: &[&str], input: &str) {
        let ran = self.run(arguments, input);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }

    #[track_caller]
    fn audit(&self, arguments: &[&str]) -> Vec<Value> {
        let ran = self.run(&[&["audit", "--json"], arguments].concat(), "");
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{ran:?}");
        let lines = ran.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

#[test]
fn every_command_leaves_its_entry_with_or_without_a_hub() {
    let tell = |world: &World| {
        world.does(&["user", "add", "--admin", "ann"], "correct horse\n");
        world.does(&["user", "password", "ann"], "another horse\n");
        world.does(&["token", "new", "--user", "ann"], "");
        let token = world.run(&["token", "list", "--json"], "").stdout;
        let token: Value = serde_json::from_str(&token).expect("JSON");
        let token = token[0]["id"].as_str().expect("a name");
        world.does(&["token", "revoke", token], "");
        world.does(&["user", "block", "ann"], "");
        world.does(&["user", "unblock", "ann"], "");
        world.does(&["user", "delete", "ann"], "");
        let log = world.audit(&["--user", "ann"]);
        let actions: Vec<_> = log
            .iter()
            .rev()
            .map(|entry| entry["action"].as_str().expect("a word"))
            .collect();
        let expected = [
            "user.create",
            "user.password",
            "user.password",
            "token.create",
            "token.revoke",
            "user.block",
            "user.unblock",
            "user.delete",
        ];
        assert_eq!(actions, expected);
        let uid = nix::unistd::getuid();
        for entry in &log {
            assert_eq!(entry["actor"], "command", "{entry}");
            assert_eq!(entry["actor_id"], uid.as_raw(), "{entry}");
            assert_eq!(
                (&entry["means"], &entry["source"]),
                (&Value::from("account"), &Value::Null)
            );
        }
        let text = format!("{log:?}");
        assert!(!text.contains("horse"), "{text}");
    };
    tell(&World::new());
    let world = World::new();
    let hub = Running::start(world.command(&["run"]));
    hub.line_with("serving at http://");
    tell(&world);
    assert_eq!(hub.end(Signal::SIGINT), Some(0));
    // The same log, by the other way.
    assert_eq!(world.audit(&["--user", "ann"]).len(), 8);
}

#[test]
fn a_part_of_it_is_shown_in_three_forms() {
    let world = World::new();
    for name in ["ann", "bob"] {
        world.does(&["user", "add", name], "correct horse\n");
    }
    let ran = world.run(&["audit", "--action", "user.create", "--since", "1h"], "");
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    let lines: Vec<Vec<_>> = ran
        .stdout
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].len(), 8, "{lines:?}");
    assert!(
        lines[0][0].ends_with('Z') && lines[0][1].starts_with("command "),
        "{lines:?}"
    );
    assert_eq!(
        lines[0][4..],
        ["user.create", "user bob", "done", "{\"admin\":false}"]
    );
    let ran = world.run(&["audit", "--limit", "1"], "");
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1));
    assert!(ran.stderr.contains("more than 1 entries"), "{ran:?}");
    assert_eq!(world.audit(&["--user", "nobody"]).len(), 0);
}

#[test]
fn what_cannot_be_asked_is_said() {
    let world = World::new();
    for (arguments, code, why) in [
        (&["audit"][..], 1, "nothing in the books yet"),
        (&["audit", "--action", "x"], 2, "user.block"),
        (&["audit", "--since", "yesterday"], 2, "2h or 7d"),
        (&["audit", "--limit", "0"], 2, "limit"),
        (&["audit", "--limit", "5000"], 2, "limit"),
    ] {
        let ran = world.run(arguments, "");
        assert_eq!((ran.code, &*ran.stdout), (Some(code), ""), "{ran:?}");
        assert!(ran.stderr.contains(why), "{ran:?}");
    }
    assert!(!world.0.path().join("state").exists());
}
