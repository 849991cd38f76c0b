//! The backend's own table of the configuration file: `[spawner.local]`, `[spawner.simple]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use spawner_core::{BackendSetup, SetupError, SingleuserArgs, SpawnerConfig};

use crate::cgroup::Choice;
use crate::rlimits::Rlimit;

/// A wait of more than a day is a slip of the pen.
const LONGEST: f64 = 86_400.0;

/// The table as it is written; the crate's front page says what each key means.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Table {
    interrupt_timeout: f64,
    term_timeout: f64,
    kill_timeout: f64,
    log_dir: Option<PathBuf>,
    log_max_bytes: u64,
    no_new_privileges: bool,
    umask: Value,
    rlimits: BTreeMap<String, Value>,
    cgroup: PathBuf,
    pids_limit: Option<u64>,
    allow_root: Option<bool>,
    home_dir_template: Option<String>,
    transport: Option<String>,
    socket_dir: Option<PathBuf>,
}

/// Which of the two kinds a table is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Local,
    Simple,
}

/// What servers listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Unix,
}

/// The settings, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) patience: Patience,
    pub(crate) log_dir: Option<PathBuf>,
    /// `0`: a log is never rotated.
    pub(crate) log_max_bytes: u64,
    pub(crate) no_new_privileges: bool,
    pub(crate) umask: u32,
    pub(crate) rlimits: Vec<Rlimit>,
    pub(crate) cgroup: Choice,
    pub(crate) pids_limit: Option<u64>,
    pub(crate) allow_root: bool,
    pub(crate) home_dir_template: String,
    pub(crate) transport: Transport,
    pub(crate) socket_dir: Option<PathBuf>,
}

/// How long each signal of a stop has to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    pub(crate) interrupt: Duration,
    pub(crate) term: Duration,
    pub(crate) kill: Duration,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            interrupt_timeout: 30.0,
            term_timeout: 30.0,
            kill_timeout: 5.0,
            log_dir: None,
            log_max_bytes: 16 << 20,
            no_new_privileges: true,
            // What others may read is a user's decision, made with `chmod`.
            umask: "077".into(),
            rlimits: BTreeMap::new(),
            cgroup: "auto".into(),
            pids_limit: None,
            allow_root: None,
            home_dir_template: None,
            transport: None,
            socket_dir: None,
        }
    }
}

impl Settings {
    /// Reads the table of a backend of `kind`.
    pub(crate) fn read(setup: &BackendSetup, kind: Kind) -> Result<Self, SetupError> {
        let table: Table = setup.settings()?;
        let belongs = |key: &str, given: bool, home: Kind| {
            if given && home != kind {
                let name = match home {
                    Kind::Local => "local",
                    Kind::Simple => "simple",
                };
                let message = format!("`{key}` is a setting of kind = \"{name}\" only");
                return Err(SetupError::key(key, message));
            }
            Ok(())
        };
        belongs("allow_root", table.allow_root.is_some(), Kind::Local)?;
        belongs(
            "home_dir_template",
            table.home_dir_template.is_some(),
            Kind::Simple,
        )?;
        let home_dir_template = table
            .home_dir_template
            .unwrap_or_else(|| "homes/{username}".to_owned());
        if !["{username}", "%U", "{object_name}"]
            .iter()
            .any(|name| home_dir_template.contains(name))
        {
            return Err(SetupError::key(
                "home_dir_template",
                "`home_dir_template` has to name the user, as in \"/srv/homes/{username}\": \
                 otherwise all users would share one home",
            ));
        }
        Ok(Self {
            patience: Patience {
                interrupt: seconds("interrupt_timeout", table.interrupt_timeout)?,
                term: seconds("term_timeout", table.term_timeout)?,
                kill: seconds("kill_timeout", table.kill_timeout)?,
            },
            log_dir: table.log_dir,
            log_max_bytes: table.log_max_bytes,
            no_new_privileges: table.no_new_privileges,
            umask: umask(&table.umask)?,
            rlimits: Rlimit::read(&table.rlimits)?,
            cgroup: choice(table.cgroup)?,
            pids_limit: table.pids_limit,
            allow_root: table.allow_root.unwrap_or(false),
            home_dir_template,
            transport: transport(table.transport.as_deref(), &setup.config)?,
            socket_dir: table.socket_dir,
        })
    }
}

/// Reads the digits as `umask` prints them. A number would be read as a decimal one, so it is text.
fn umask(value: &Value) -> Result<u32, SetupError> {
    let digits = value.as_str().unwrap_or_default();
    let octal = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let mask = u32::from_str_radix(digits, 8).ok();
    mask.filter(|&mask| octal && mask <= 0o777).ok_or_else(|| {
        let message =
            format!("`umask` is up to three octal digits in quotes, as in \"022\", not {value}");
        SetupError::key("umask", message)
    })
}

fn choice(word: PathBuf) -> Result<Choice, SetupError> {
    match word.to_str() {
        Some("auto") => Ok(Choice::Auto),
        Some("off") => Ok(Choice::Off),
        _ if word.is_absolute() => Ok(Choice::At(word)),
        _ => {
            let message = format!(
                "`cgroup` is \"auto\", \"off\" or the directory of a group, as in \
                 \"/sys/fs/cgroup/hubd.slice\", not \"{}\"",
                word.display()
            );
            Err(SetupError::key("cgroup", message))
        }
    }
}

fn transport(name: Option<&str>, config: &SpawnerConfig) -> Result<Transport, SetupError> {
    let refused = |message: String| Err(SetupError::key("transport", message));
    match name.unwrap_or("tcp") {
        "tcp" => Ok(Transport::Tcp),
        "unix" if config.singleuser_args == SingleuserArgs::Classic => refused(
            "`transport = \"unix\"` is for today's servers, and `singleuser_args = \"classic\"` \
             for those that know ports only"
                .into(),
        ),
        "unix" => Ok(Transport::Unix),
        other => refused(format!("`transport` is \"tcp\" or \"unix\", not {other:?}")),
    }
}

fn seconds(key: &str, value: f64) -> Result<Duration, SetupError> {
    // `contains` is false for NaN, which is what we want.
    if (0.0..=LONGEST).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        let message = format!("`{key}` is a number of seconds from 0 to {LONGEST}, not {value}");
        Err(SetupError::key(key, message))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(kind: Kind, table: Value) -> Result<Settings, SetupError> {
        let Value::Object(settings) = table else {
            panic!("not an object")
        };
        let setup = BackendSetup {
            config: SpawnerConfig::default(),
            settings,
            state_dir: PathBuf::from("/nowhere"),
            instance: "test".into(),
        };
        Settings::read(&setup, kind)
    }

    #[test]
    fn an_empty_table_has_jupyterhubs_timeouts() {
        let settings = read(Kind::Local, json!({})).unwrap();
        assert_eq!(settings.patience.interrupt, Duration::from_secs(30));
        assert_eq!(settings.patience.term, Duration::from_secs(30));
        assert_eq!(settings.patience.kill, Duration::from_secs(5));
        assert!(settings.no_new_privileges && !settings.allow_root);
    }

    #[test]
    fn servers_that_know_ports_only_get_ports() {
        let mut setup = BackendSetup {
            config: SpawnerConfig::default(),
            settings: serde_json::Map::from_iter([("transport".into(), json!("unix"))]),
            state_dir: PathBuf::from("/nowhere"),
            instance: "test".into(),
        };
        let settings = Settings::read(&setup, Kind::Local).unwrap();
        assert_eq!(settings.transport, Transport::Unix);
        setup.config.singleuser_args = SingleuserArgs::Classic;
        let error = Settings::read(&setup, Kind::Local).unwrap_err();
        assert_eq!(error.key.as_deref(), Some("transport"), "{error}");
    }

    #[test]
    fn seconds_are_integers_or_decimals() {
        let table = json!({"interrupt_timeout": 2, "term_timeout": 0.25});
        let settings = read(Kind::Simple, table).unwrap();
        assert_eq!(settings.patience.interrupt, Duration::from_secs(2));
        assert_eq!(settings.patience.term, Duration::from_millis(250));
    }

    #[test]
    fn masks_are_octal_and_groups_are_words_or_paths() {
        let table = json!({"umask": "0022", "cgroup": "/sys/fs/cgroup/x", "pids_limit": 9});
        let settings = read(Kind::Local, table).unwrap();
        assert_eq!((settings.umask, settings.pids_limit), (0o022, Some(9)));
        assert_eq!(settings.cgroup, Choice::At("/sys/fs/cgroup/x".into()));
        let settings = read(Kind::Local, json!({"cgroup": "off"})).unwrap();
        assert_eq!((settings.umask, settings.cgroup), (0o077, Choice::Off));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_key() {
        for (kind, table, key) in [
            (Kind::Local, json!({"umask": 22}), "umask"),
            (Kind::Local, json!({"umask": "1777"}), "umask"),
            (Kind::Local, json!({"umask": "+22"}), "umask"),
            (Kind::Local, json!({"umask": "028"}), "umask"),
            (Kind::Local, json!({"umask": ""}), "umask"),
            (Kind::Local, json!({"cgroup": "on"}), "cgroup"),
            (
                Kind::Local,
                json!({"rlimits": {"nofiles": 1}}),
                "rlimits.nofiles",
            ),
            (Kind::Local, json!({"kill_timeot": 1}), "kill_timeot"),
            (Kind::Local, json!({"kill_timeout": -1}), "kill_timeout"),
            (Kind::Local, json!({"kill_timeout": 1e9}), "kill_timeout"),
            (
                Kind::Local,
                json!({"home_dir_template": "/h/{username}"}),
                "home_dir_template",
            ),
            (Kind::Simple, json!({"allow_root": true}), "allow_root"),
            (Kind::Local, json!({"transport": "udp"}), "transport"),
            (
                Kind::Simple,
                json!({"home_dir_template": "/tmp/all"}),
                "home_dir_template",
            ),
        ] {
            let error = read(kind, table).unwrap_err();
            assert_eq!(error.key.as_deref(), Some(key), "{error}");
        }
    }
}
