//! The conformance kit against processes of this host, for both kinds of spawner.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use async_trait::async_trait;
use nix::unistd::{Uid, User};
use serde_json::{Value, json};
use spawner_core::conformance::{Backend, processes_with};
use spawner_core::{
    BackendSetup, LAUNCH_MARKER, ServerId, SetupError, SpawnerConfig, SpawnerFactory, UserName,
};
use spawner_local::LocalFactory;
use tempfile::TempDir;

/// Names the place of a check in the environment of its servers.
const PLACE: &str = "CONFORMANCE_PLACE";

/// Makes the factory of a kind.
type Build = fn(BackendSetup) -> Result<LocalFactory, SetupError>;

/// A folder, and a factory that keeps everything in it.
struct Place {
    dir: TempDir,
    build: Build,
    setup: BackendSetup,
    factory: LocalFactory,
    /// Where the servers' sockets are, if not below `dir`, which other accounts cannot enter.
    sockets: Option<TempDir>,
}

impl Place {
    fn new(build: Build, environment: &[(&str, &str)], settings: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = SpawnerConfig::default();
        let place = (PLACE, dir.path().to_str().unwrap());
        for &(name, value) in environment.iter().chain(&[place]) {
            config.environment.insert(name.into(), value.into());
        }
        let Value::Object(mut settings) = settings else {
            panic!("settings are a table")
        };
        // Short, for the servers that do not listen to reason.
        for name in ["interrupt_timeout", "term_timeout"] {
            settings.insert(name.into(), json!(0.02));
        }
        let setup = BackendSetup {
            config,
            settings,
            state_dir: dir.path().join("state"),
            // Checks run side by side, and each is a hub of its own.
            instance: dir.path().display().to_string(),
        };
        Self {
            dir,
            factory: build(setup.clone()).unwrap(),
            build,
            setup,
            sockets: None,
        }
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Arc<dyn SpawnerFactory> {
        let mut setup = self.setup.clone();
        change(&mut setup);
        Arc::new((self.build)(setup).unwrap())
    }

    fn census(&self, server: &ServerId) -> Vec<String> {
        processes_with(&[(PLACE, self.dir.path().to_str().unwrap())], server)
    }
}

/// All servers run as whoever runs the tests.
struct Simple(Place);

#[async_trait]
impl Backend for Simple {
    async fn set_up() -> Self {
        Self(Place::new(LocalFactory::simple, &[], json!({})))
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        Arc::new(self.0.factory.clone())
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        Some(self.0.factory_from(change))
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        self.0.census(server)
    }

    fn knows_listeners(&self) -> bool {
        true
    }
}

/// Servers run as the accounts of their users: as two that every system has, if the tests run as
/// root, and else as the account that runs the tests.
struct Local(Place);

#[async_trait]
impl Backend for Local {
    async fn set_up() -> Self {
        let settings = json!({"allow_root": true});
        // Not everybody's own home is there.
        Self(Place::new(LocalFactory::local, &[("HOME", "/")], settings))
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        Arc::new(self.0.factory.clone())
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        Some(self.0.factory_from(change))
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        self.0.census(server)
    }

    fn knows_listeners(&self) -> bool {
        true
    }

    fn users(&self) -> Vec<UserName> {
        let ourselves = Uid::effective();
        let accounts = if ourselves.is_root() && everybody_may_run_this() {
            vec!["daemon".to_owned(), "bin".to_owned()]
        } else {
            vec![User::from_uid(ourselves).unwrap().unwrap().name]
        };
        let names = accounts.iter().map(|name| UserName::new(name).unwrap());
        names.collect()
    }
}

/// Whether a process has this variable.
fn somebody_carries(variable: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut environments =
        processes.filter_map(|entry| std::fs::read(entry.path().join("environ")).ok());
    environments.any(|environment| {
        environment
            .split(|&byte| byte == 0)
            .any(|one| one == variable.as_bytes())
    })
}

/// Whether other accounts can run the test binary, which is the server of the checks: the folder of
/// the build may be below a private home.
fn everybody_may_run_this() -> bool {
    let binary = std::env::current_exe().unwrap();
    binary.ancestors().all(|path| {
        let mode = path.metadata().unwrap().permissions().mode();
        mode & 0o001 != 0
    })
}

/// The same over unix sockets, which in the kind `local` belong to other accounts than the hub's.
struct LocalUnix(Local);

#[async_trait]
impl Backend for LocalUnix {
    async fn set_up() -> Self {
        let sockets = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o711))
            .tempdir()
            .unwrap();
        let settings = json!({
            "allow_root": true, "transport": "unix", "socket_dir": sockets.path(),
        });
        let place = Place::new(LocalFactory::local, &[("HOME", "/")], settings);
        Self(Local(Place {
            sockets: Some(sockets),
            ..place
        }))
    }

    fn factory(&self) -> Arc<dyn SpawnerFactory> {
        self.0.factory()
    }

    fn factory_from(&self, change: &dyn Fn(&mut BackendSetup)) -> Option<Arc<dyn SpawnerFactory>> {
        self.0.factory_from(change)
    }

    fn knows_listeners(&self) -> bool {
        true
    }

    async fn census(&self, server: &ServerId) -> Vec<String> {
        let mut left = self.0.census(server).await;
        // A run that is over leaves no socket. Its empty place may be left by a hub that ended while it
        // was made, and whose books got lost as well.
        let sockets = self.0.0.sockets.as_ref().unwrap().path();
        for place in std::fs::read_dir(sockets).unwrap().flatten() {
            let launch = place.file_name().into_string().unwrap();
            let empty =
                std::fs::read_dir(place.path()).is_ok_and(|mut place| place.next().is_none());
            if !empty && !somebody_carries(&format!("{LAUNCH_MARKER}={launch}")) {
                left.push(place.path().display().to_string());
            }
        }
        left
    }

    fn users(&self) -> Vec<UserName> {
        self.0.users()
    }
}

mod simple {
    spawner_core::conformance_tests!(super::Simple);
}

mod local {
    spawner_core::conformance_tests!(super::Local);
}

mod local_unix {
    spawner_core::conformance_tests!(super::LocalUnix);
}
