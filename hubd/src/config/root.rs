//! The whole file as one value.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::audit::{self, AuditTable};
use super::auth::{self, AuthTable};
use super::check;
use super::culler::{self, CullerTable};
use super::findings::{ConfigErrors, Findings};
use super::foreign;
use super::group::{self, GroupTable};
use super::hub::{self, HubTable};
use super::limits::{self, LimitsTable};
use super::reader::TableReader;
use super::reading::{Reading, Spot};
use super::role::{self, RoleTable};
use super::service::{self, ServiceTable};
use super::source::Source;
use super::spawner::{self, SpawnerTable};
use super::spec::{ROOT, TableSpec};
use super::suggest;
use super::value::{Fault, quote};

/// A configuration. What comes from a file has been checked; what was changed since has not, until
/// [`Config::validate`].
#[derive(Clone)]
pub(crate) struct Config {
    /// The daemon itself.
    pub(crate) hub: HubTable,
    /// Who may log in.
    pub(crate) auth: AuthTable,
    /// What servers are and how they start.
    pub(crate) spawner: SpawnerTable,
    /// How much at once.
    pub(crate) limits: LimitsTable,
    /// Which servers are ended because nobody uses them.
    pub(crate) culler: CullerTable,
    /// How long it is known who did what.
    pub(crate) audit: AuditTable,
    /// Programs with a token of their own.
    pub(crate) services: Vec<ServiceTable>,
    /// Scopes for users, groups and services.
    pub(crate) roles: Vec<RoleTable>,
    /// Groups that exist from the start.
    pub(crate) groups: Vec<GroupTable>,
    source: Arc<Source>,
    warnings: Findings,
}

impl Config {
    /// What is legal and probably a mistake. It is for whoever starts the hub to show.
    pub(crate) fn warnings(&self) -> &Findings {
        &self.warnings
    }

    /// Checks what one key cannot tell: whether the tables fit together.
    ///
    /// For a configuration that was made or changed in code. [`Config::load`] and
    /// [`Config::parse`] have done it.
    pub(crate) fn validate(&self) -> Result<(), ConfigErrors> {
        let mut reading = self.reading();
        check::check(self, &mut reading);
        reading.finish().map(drop)
    }

    /// Checks that `spawner.kind` is one of the spawners that are registered.
    pub(crate) fn check_kind(&self, registered: &[&str]) -> Result<(), ConfigErrors> {
        let kind = self.spawner.kind.as_str();
        if registered.contains(&kind) {
            return Ok(());
        }
        let help = match suggest::closest(kind, registered.iter().copied()) {
            Some(close) => format!("did you mean {close:?}?"),
            None => format!("there are {}", registered.join(", ")),
        };
        let mut reading = self.reading();
        let message = format!("there is no spawner {}", quote(kind));
        let spot = Spot::Value("spawner.kind");
        reading.error(spot, Fault::new(message).help(help));
        reading.finish().map(drop)
    }

    /// A complaint about a key, by whoever made use of its value: a spawner about its own table, as
    /// `spawner.docker.volumes[0]`. It points at the key's line, or if the file does not have the
    /// key, at the nearest table around it.
    fn error_at(&self, key: &str, message: &str, help: Option<&str>) -> ConfigErrors {
        let mut reading = self.reading();
        let fault = Fault {
            message: message.to_owned(),
            help: help.map(str::to_owned),
        };
        reading.error(Spot::Key(key), fault);
        reading.into_errors()
    }

    /// The complaint of a spawner about its own table, or about one setting in it.
    pub(crate) fn setting_error(&self, setting: Option<&str>, message: &str) -> ConfigErrors {
        let kind = &self.spawner.kind;
        let key = match setting {
            Some(setting) => format!("spawner.{kind}.{setting}"),
            None => format!("spawner.{kind}"),
        };
        let fault = foreign::fault(message);
        self.error_at(&key, &fault.message, fault.help.as_deref())
    }

    fn reading(&self) -> Reading {
        Reading::new(Arc::clone(&self.source), Path::new(""))
    }
}

impl Default for Config {
    /// What holds where the file says nothing. It names no authenticator, so it is not yet one that
    /// a hub starts with.
    fn default() -> Self {
        let source = Arc::new(Source::unread(""));
        Self {
            hub: HubTable::default(),
            auth: AuthTable::default(),
            spawner: SpawnerTable::default(),
            limits: LimitsTable::default(),
            culler: CullerTable::default(),
            audit: AuditTable::default(),
            services: Vec::new(),
            roles: Vec::new(),
            groups: Vec::new(),
            warnings: Findings::none(Arc::clone(&source)),
            source,
        }
    }
}

/// The file's name only: tables hold secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("source", &self.source.name())
            .finish_non_exhaustive()
    }
}

/// Reads and checks every table. What is wrong is noted and replaced by its default, so the result
/// is of use only if nothing was.
pub(super) fn read(mut reading: Reading, root: &DeTable<'_>) -> Result<Config, ConfigErrors> {
    let mut file = TableReader::new(&mut reading, &ROOT, "", Some(root));
    let config = Config {
        hub: hub::read(table(&mut file, &hub::SPEC)),
        auth: auth::read(table(&mut file, &auth::SPEC)),
        spawner: spawner::read(table(&mut file, &spawner::SPEC)),
        limits: limits::read(table(&mut file, &limits::SPEC)),
        culler: culler::read(table(&mut file, &culler::SPEC)),
        audit: audit::read(table(&mut file, &audit::SPEC)),
        services: tables(&mut file, &service::SPEC, service::read),
        roles: tables(&mut file, &role::SPEC, role::read),
        groups: tables(&mut file, &group::SPEC, group::read),
        ..Config::default()
    };
    file.finish();
    check::check(&config, &mut reading);
    Ok(Config {
        source: Arc::clone(reading.source()),
        warnings: reading.finish()?,
        ..config
    })
}

fn table<'r, 'd>(
    file: &'r mut TableReader<'_, 'd>,
    spec: &'static TableSpec,
) -> TableReader<'r, 'd> {
    let entries = file.table(spec.path);
    file.sub(spec, spec.path.to_owned(), entries)
}

/// Every table of a kind, at its place in the file: the index in the result is that of its key.
fn tables<T>(
    file: &mut TableReader<'_, '_>,
    spec: &'static TableSpec,
    read: fn(TableReader<'_, '_>) -> T,
) -> Vec<T> {
    let entries = file.tables(spec.path).into_iter().enumerate();
    entries
        .map(|(at, entries)| {
            let path = format!("{}[{at}]", spec.path);
            read(file.sub(spec, path, Some(entries)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use spawner_core::Secret;

    use super::super::{AuthKind, LogFormat, SingleuserArgs};
    use super::*;

    const TEXT: &str = r#"
[hub]
bind = "127.0.0.1:0"
base_url = "/jupyter/"
public_url = "https://hub.example.org/jupyter/"
trusted_proxies = ["10.0.0.0/8", "::1"]
shutdown_grace = 2.5
log_format = "json"

[auth]
kind = "password"
allowed_users = ["Alice"]

[spawner]
kind = "custom"
cmd = "labhub"
ip = ""
poll_interval = -1
singleuser_args = "classic"
environment = { EDITOR = "nano" }

[spawner.custom]
name = "x"
sizes = [1, 2.5]
when = 2024-01-02
deep.er = { on = true }

[[service]]
name = "grader"
api_token = "0123456789abcdef"

[[role]]
name = "grading"
scopes = ["list:users"]
services = ["grader"]
"#;

    fn token_of(config: &Config) -> Option<&str> {
        config.services[0].api_token.as_ref().map(Secret::expose)
    }

    #[test]
    fn values_arrive_with_their_types() {
        let config = Config::parse(TEXT, "hubd.toml").unwrap();
        assert_eq!(config.warnings().len(), 0);
        assert_eq!(config.hub.base_url.as_str(), "/jupyter/");
        assert_eq!(
            config.hub.public_url.as_ref().unwrap().as_str(),
            "https://hub.example.org/"
        );
        assert_eq!(config.hub.shutdown_grace.as_millis(), 2500);
        assert_eq!(config.hub.log_format, LogFormat::Json);
        assert_eq!(config.hub.state_dir, Path::new("hubd-state"));
        assert_eq!(config.auth.kind, Some(AuthKind::Password));
        assert_eq!(config.auth.allowed_users[0].as_str(), "alice");
        assert_eq!(config.spawner.cmd.as_ref().unwrap(), &["labhub"]);
        assert_eq!(config.spawner.ip.as_deref(), Some(""));
        assert!(config.spawner.poll_interval.is_zero());
        assert_eq!(config.spawner.singleuser_args, SingleuserArgs::Classic);
        assert_eq!(config.spawner.environment["EDITOR"], "nano");
        assert_eq!(
            serde_json::Value::Object(config.spawner.settings.clone()),
            serde_json::json!({
                "name": "x", "sizes": [1, 2.5], "when": "2024-01-02", "deep": {"er": {"on": true}}
            })
        );
        assert_eq!(token_of(&config), Some("0123456789abcdef"));
        assert_eq!(config.roles[0].services, ["grader"]);
    }

    #[test]
    fn a_late_complaint_finds_its_line() {
        let config = Config::parse(TEXT, "hubd.toml").unwrap();
        for (key, expected) in [
            (
                "spawner.custom.sizes[1]",
                "hubd.toml:24:13: spawner.custom.sizes[1]: no; try 3",
            ),
            (
                "spawner.custom.deep.er.on",
                "hubd.toml:26:13: spawner.custom.deep.er.on: no; try 3",
            ),
            (
                "spawner.custom.image",
                "hubd.toml:22:10: spawner.custom.image: no; try 3",
            ),
            ("limits.x", "hubd.toml:1:1: limits.x: no; try 3"),
        ] {
            let errors = config.error_at(key, "no", Some("try 3"));
            assert_eq!(errors.to_string(), expected);
        }
        let errors = Config::default().error_at("hub.bind", "in use", None);
        assert_eq!(errors.to_string(), "hub.bind: in use");
    }

    #[test]
    fn a_configuration_made_in_code_is_checked_on_request() {
        let mut config = Config::default();
        let errors = config.validate().unwrap_err().to_string();
        assert!(
            errors.starts_with("auth.kind: no authenticator"),
            "{errors}"
        );
        config.auth.kind = Some(AuthKind::Dummy);
        config.validate().unwrap();
        config.hub.bind = "0.0.0.0:0".parse().unwrap();
        let errors = config.validate().unwrap_err().to_string();
        assert!(errors.contains("loopback"), "{errors}");
    }

    #[test]
    fn the_spawner_must_be_registered() {
        let config = Config::parse(TEXT, "hubd.toml").unwrap();
        config.check_kind(&["local", "custom"]).unwrap();
        let errors = config.check_kind(&["local", "costum"]).unwrap_err();
        assert_eq!(
            errors.to_string(),
            "hubd.toml:15:8: spawner.kind: there is no spawner \"custom\"; did you mean \"costum\"?"
        );
    }

    #[test]
    fn debug_shows_no_table() {
        let config = Config::parse(TEXT, "hubd.toml").unwrap();
        assert_eq!(
            format!("{config:?}"),
            "Config { source: \"hubd.toml\", .. }"
        );
    }
}
