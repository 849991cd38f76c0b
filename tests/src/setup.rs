//! The `hubd.toml` of a test: a small hub that works, and what the test changes about it.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{env, fs};

use toml::{Table, Value};

use crate::venv::Venv;
use crate::{processes, programs};

/// The password of every user of a test's hub.
pub const PASSWORD: &str = "correct horse battery staple";
/// The token of a service that may do everything.
pub const ADMIN_TOKEN: &str = "test-admin-token-5f1d7f7c2f0e4b0f";

/// A hub to be: its configuration and its environment.
#[derive(Debug, Clone)]
pub struct Setup {
    command: Command,
    config: Table,
    binary: PathBuf,
    hub_environment: BTreeMap<String, String>,
}

/// Which subcommand of the hub is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    /// `run`, with a configuration file.
    Run,
    /// `quickstart`, which needs none.
    Quickstart,
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl Setup {
    /// Loopback on a free port, users that all have [`PASSWORD`], servers that are `fakesu`, and a
    /// service with [`ADMIN_TOKEN`]. Servers are polled once an hour, so that what a test sees
    /// noticed was heard.
    pub fn new() -> Self {
        Self::with_binary(programs::hubd()).set("spawner.cmd", text(&programs::fakesu()))
    }

    /// The same hub of another binary, and without a command for its servers.
    pub fn with_binary(binary: PathBuf) -> Self {
        let config = toml::toml! {
            [hub]
            bind = "127.0.0.1:0"
            [auth]
            kind = "dummy"
            allow_all = true
            [spawner]
            kind = "simple"
            poll_interval = 3600
            [[service]]
            name = "stories"
            admin = true
            [[role]]
            name = "stories"
            scopes = ["admin:users", "admin:servers", "tokens", "access:servers", "read:metrics", "read:hub"]
            services = ["stories"]
        };
        let mut setup = Self {
            command: Command::Run,
            config,
            binary,
            hub_environment: BTreeMap::new(),
        };
        setup.config["service"][0]
            .as_table_mut()
            .expect("the service above")
            .insert("api_token".into(), ADMIN_TOKEN.into());
        setup.set("auth.dummy.password", PASSWORD)
    }

    /// `hubd quickstart` by somebody whose home is the test's folder and whose programs are those of
    /// `venv`. It reads no configuration, so of the keys only the port means anything.
    pub fn quickstart(venv: &Venv) -> Self {
        let path = env::var("PATH").unwrap_or_default();
        let setup = Self::with_binary(programs::hubd());
        let setup = setup.hub_env("PATH", &format!("{}:{path}", venv.programs()));
        Self {
            command: Command::Quickstart,
            ..setup
        }
    }

    /// Sets a key, written with dots: `hub.base_url`, `spawner.environment.FAKESU_EXIT`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        let (table, last) = self.place(key);
        table.insert(last, value.into());
        self
    }

    /// Takes a key away.
    #[must_use]
    pub fn unset(mut self, key: &str) -> Self {
        let (table, last) = self.place(key);
        table.remove(&last);
        self
    }

    /// The table that a key is in, and the key's own name there.
    fn place(&mut self, key: &str) -> (&mut Table, String) {
        let mut path: Vec<&str> = key.split('.').collect();
        let last = path.pop().expect("split gives at least one part");
        let mut table = &mut self.config;
        for part in path {
            let entry = table.entry(part).or_insert_with(|| Table::new().into());
            table = entry
                .as_table_mut()
                .unwrap_or_else(|| panic!("{key}: {part} is no table"));
        }
        (table, last.to_owned())
    }

    /// Sets a variable in the environment of every server; `fakesu` reads its knobs there.
    #[must_use]
    pub fn server_env(self, name: &str, value: &str) -> Self {
        self.set(&format!("spawner.environment.{name}"), value)
    }

    /// Sets a variable in the environment of the hub itself.
    #[must_use]
    pub fn hub_env(mut self, name: &str, value: &str) -> Self {
        self.hub_environment
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a table to a list of tables: `service`, `role` or `group`.
    #[must_use]
    pub fn add(mut self, list: &str, table: Table) -> Self {
        let entry = self
            .config
            .entry(list)
            .or_insert_with(|| Value::Array(Vec::new()));
        let tables = entry
            .as_array_mut()
            .unwrap_or_else(|| panic!("{list} is no list of tables"));
        tables.push(table.into());
        self
    }

    /// The hub's program.
    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// The variables that the hub gets beside those of the test.
    pub(crate) fn hub_environment(&self) -> &BTreeMap<String, String> {
        &self.hub_environment
    }

    /// What the hub is started with. Writes its files into the test's folder.
    pub(crate) fn arguments(&self, folder: &Path) -> Vec<String> {
        let words: Vec<&str> = match self.command {
            Command::Run => vec!["run", "--config", "hubd.toml"],
            Command::Quickstart => {
                let bind = self.config["hub"]["bind"].as_str().unwrap_or_default();
                let port = bind.rsplit(':').next().unwrap_or_default();
                vec![
                    "quickstart",
                    "--no-install",
                    "--state-dir",
                    "state",
                    "--port",
                    port,
                ]
            }
        };
        self.write(folder);
        words.into_iter().map(str::to_owned).collect()
    }

    /// The variables of the hub that depend on the test's folder.
    pub(crate) fn places(&self, folder: &Path) -> Vec<(&'static str, PathBuf)> {
        let mut places = vec![(processes::HUB_MARK, folder.to_owned())];
        if self.command == Command::Quickstart {
            places.push((processes::HOME_MARK, folder.to_owned()));
        }
        places
    }

    /// Services that the hub starts carry the mark of servers, so that they are seen and cleaned up.
    fn mark_services(&mut self, folder: &Path) {
        let services = self.config.get_mut("service").and_then(Value::as_array_mut);
        let services = services.into_iter().flatten();
        for service in services.filter_map(Value::as_table_mut) {
            if service.contains_key("command") {
                let environment = service
                    .entry("environment")
                    .or_insert_with(|| Table::new().into());
                let environment = environment.as_table_mut().expect("a table of variables");
                environment.insert(processes::SERVER_MARK.to_owned(), text(folder).into());
            }
        }
    }

    /// Writes `hubd.toml` into the test's folder, with the state below it.
    pub(crate) fn write(&self, folder: &Path) -> PathBuf {
        let mut setup = self
            .clone()
            .server_env(processes::SERVER_MARK, text(folder));
        setup.mark_services(folder);
        if setup.config["hub"].get("state_dir").is_none() {
            setup = setup.set("hub.state_dir", text(&folder.join("state")));
        }
        let path = folder.join("hubd.toml");
        fs::write(&path, setup.config.to_string()).expect("a folder that can be written");
        // It holds a token.
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(&path, private).expect("a file of our own");
        path
    }
}

/// A path as a configuration file can hold it.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_what_was_set() {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::with_binary("hubd".into())
            .set("limits.active_servers", 3)
            .set("spawner.cmd", vec!["a", "b c"])
            .unset("auth.allow_all")
            .server_env("FAKESU_EXIT", "3")
            .add("group", toml::toml! { name = "staff" });
        let text = fs::read_to_string(setup.write(folder.path())).unwrap();
        let table: Table = text.parse().unwrap();
        assert_eq!(table["limits"]["active_servers"], 3.into());
        assert_eq!(table["spawner"]["cmd"], vec!["a", "b c"].into());
        assert_eq!(table["spawner"]["environment"]["FAKESU_EXIT"], "3".into());
        assert_eq!(table["group"][0]["name"], "staff".into());
        assert_eq!(table["service"][0]["api_token"], ADMIN_TOKEN.into());
        assert!(table["auth"].get("allow_all").is_none());
        let state = folder.path().join("state");
        assert_eq!(table["hub"]["state_dir"].as_str(), state.to_str());
    }
}
