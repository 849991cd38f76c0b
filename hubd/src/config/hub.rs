//! `[hub]`: the daemon itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use super::address::{base_path, bind, network, origin};
use super::base_path::BasePath;
use super::reader::TableReader;
use super::seconds::seconds;
use super::spec::{KeySpec, TableSpec};
use super::suggest;
use super::value::{Fault, flag, one_of, quote, some_text};
use crate::proxy::IpRange;

/// `[hub]`
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HubTable {
    /// Where hubd listens; port 0 means a free one.
    pub(crate) bind: SocketAddr,
    /// The path below which everything lives.
    pub(crate) base_url: BasePath,
    /// Database and files of hubd. Relative to the file's folder when it was read from a file.
    pub(crate) state_dir: PathBuf,
    /// Where servers reach the hub, if not at `bind`: scheme, host and port, with the path `/`.
    pub(crate) connect_url: Option<Url>,
    /// Where browsers reach the hub, if its requests do not tell: as `connect_url`.
    pub(crate) public_url: Option<Url>,
    /// Whose `X-Forwarded-*` headers are believed.
    pub(crate) trusted_proxies: Vec<IpRange>,
    /// Whether servers are stopped together with hubd.
    pub(crate) cleanup_servers: bool,
    /// How long a stopping hubd waits for what is under way.
    pub(crate) shutdown_grace: Duration,
    /// Templates that replace the built-in ones; an existing folder.
    pub(crate) template_dir: Option<PathBuf>,
    /// What is logged: a level, and levels of parts, as `info,hubd::proxy=debug`.
    pub(crate) log: String,
    /// How it is written.
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "hub",
    repeated: false,
    about: "The daemon itself.",
    keys: &[
        KeySpec::new(
            "bind",
            "\"127.0.0.1:8000\"",
            "Address and port to listen on. hubd speaks plain HTTP: let a TLS proxy stand between it\n\
             and other machines. Port 0 takes a free port.",
        ),
        KeySpec::new(
            "base_url",
            "\"/\"",
            "The path below which everything of the hub lives; it begins and ends with \"/\".",
        ),
        KeySpec::new(
            "state_dir",
            "\"hubd-state\"",
            "Folder of the database and of everything else hubd writes. It is made when hubd starts.\n\
             Relative paths in this file start at the folder that this file is in.",
        ),
        KeySpec::unset(
            "connect_url",
            "\"http://172.17.0.1:8000\"",
            "Where users' servers reach the hub, if that is not the address of `bind`: for servers\n\
             in containers. The path is always that of `base_url`.",
        ),
        KeySpec::unset(
            "public_url",
            "\"https://hub.example.org\"",
            "Where browsers reach the hub, if a proxy in front does not tell.",
        ),
        KeySpec::new(
            "trusted_proxies",
            "[]",
            "Addresses or networks, as \"10.0.0.0/8\", of proxies in front of the hub, whose\n\
             X-Forwarded headers are believed. Nobody else's are.",
        ),
        KeySpec::new(
            "cleanup_servers",
            "false",
            "Whether stopping hubd stops the users' servers. Otherwise they go on, and the next hubd\n\
             finds them again.",
        ),
        KeySpec::new(
            "shutdown_grace",
            "30",
            "How long a stopping hubd waits for what is under way.",
        ),
        KeySpec::unset(
            "template_dir",
            "\"templates\"",
            "Folder with templates that replace the built-in pages of the same name.",
        ),
        KeySpec::new(
            "log",
            "\"info\"",
            "What is logged: \"error\", \"warn\", \"info\", \"debug\" or \"trace\"; for one part another\n\
             level, as in \"info,hubd::proxy=debug\".",
        ),
        KeySpec::new(
            "log_format",
            "\"text\"",
            "\"text\", or \"json\" for one object a line.",
        ),
    ],
};

impl Default for HubTable {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
            base_url: BasePath::default(),
            state_dir: PathBuf::from("hubd-state"),
            connect_url: None,
            public_url: None,
            trusted_proxies: Vec::new(),
            cleanup_servers: false,
            shutdown_grace: Duration::from_secs(30),
            template_dir: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
        }
    }
}

pub(super) fn read(mut table: TableReader<'_, '_>) -> HubTable {
    let default = HubTable::default();
    let base_url = table.get("base_url", base_path).unwrap_or(default.base_url);
    let state_dir = table.path("state_dir", some_text);
    let read = HubTable {
        bind: table.get("bind", bind).unwrap_or(default.bind),
        state_dir: state_dir.unwrap_or_else(|| table.reading().path("hubd-state")),
        connect_url: table.get("connect_url", origin(&base_url)),
        public_url: table.get("public_url", origin(&base_url)),
        trusted_proxies: table.list("trusted_proxies", network).unwrap_or_default(),
        cleanup_servers: table.get("cleanup_servers", flag).unwrap_or_default(),
        shutdown_grace: table
            .get("shutdown_grace", seconds)
            .unwrap_or(default.shutdown_grace),
        template_dir: template_dir(&mut table),
        log: table.get("log", log_filter).unwrap_or(default.log),
        log_format: table
            .get(
                "log_format",
                one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]),
            )
            .unwrap_or(default.log_format),
        base_url,
    };
    table.finish();
    read
}

fn template_dir(table: &mut TableReader<'_, '_>) -> Option<PathBuf> {
    let path = table.path("template_dir", some_text)?;
    if let Err(error) = std::fs::read_dir(&path) {
        let message = format!("the folder {} cannot be read: {error}", quote_path(&path));
        table.fault("template_dir", Fault::new(message));
    }
    Some(path)
}

fn quote_path(path: &std::path::Path) -> String {
    quote(&path.to_string_lossy())
}

/// A log filter. A bare word that is no level would be taken for the name of a part and silence
/// everything else, so it is refused.
fn log_filter(value: &toml::de::DeValue<'_>) -> Result<String, Fault> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let filter = some_text(value)?;
    for directive in filter.split(',').map(str::trim) {
        let level = directive
            .rsplit_once('=')
            .map_or(directive, |(_, level)| level);
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            let message = format!("{} is not a log level", quote(level));
            let fault = Fault::new(message);
            return Err(match suggest::closest(level, LEVELS) {
                Some(level) => fault.help(format!("did you mean \"{level}\"?")),
                None => fault.help(format!("the levels are {}", LEVELS.join(", "))),
            });
        }
    }
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        return Err(Fault::new(format!("not a log filter: {error}")));
    }
    Ok(filter)
}
