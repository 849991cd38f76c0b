//! `[spawner]`: what users' servers are and how they start; and, unread, the table of the spawner
//! that starts them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::address::listen_ip;
use super::amount::{cores, part, size};
use super::json;
use super::names::{check_variable, variable};
use super::reader::TableReader;
use super::reading::Spot;
use super::seconds::{interval, timeout};
use super::source::join;
use super::spec::{KeySpec, TableSpec};
use super::suggest;
use super::url_path::check_path;
use super::value::{Fault, count, flag, one_of, port, quote, some_text, text};

/// The spawners that every hubd has.
const BUILT_IN_KINDS: [&str; 3] = ["local", "simple", "docker"];

/// `[spawner]`. What is `None` is for the spawner to choose.
///
/// There is no `Debug`: environments and settings hold secrets.
#[derive(Clone, PartialEq)]
pub(crate) struct SpawnerTable {
    /// The name under which the spawner is registered.
    pub(crate) kind: String,
    /// The command of a server; not empty.
    pub(crate) cmd: Option<Vec<String>>,
    /// Arguments that follow it.
    pub(crate) args: Vec<String>,
    /// The address that a server is told to listen on; empty for every interface.
    pub(crate) ip: Option<String>,
    /// The port it is told to listen on; 0 for a free one.
    pub(crate) port: u16,
    /// Names of variables that servers inherit from hubd.
    pub(crate) env_keep: Option<Vec<String>>,
    /// Variables that servers are given.
    pub(crate) environment: BTreeMap<String, String>,
    /// The folder that is a server's root.
    pub(crate) notebook_dir: Option<String>,
    /// Where in a server users land.
    pub(crate) default_url: Option<String>,
    /// HTML of the inputs that are shown before a start.
    pub(crate) options_form: Option<String>,
    /// How long all that comes before a start may take; not zero.
    pub(crate) prepare_timeout: Duration,
    /// How long a start may take until the server is there; not zero.
    pub(crate) start_timeout: Duration,
    /// How long a server that is there may take to answer; not zero.
    pub(crate) http_timeout: Duration,
    /// How long a start may take altogether; not zero. By default the sum of its parts.
    pub(crate) total_timeout: Option<Duration>,
    /// How often a running server is looked at; zero for never.
    pub(crate) poll_interval: Duration,
    /// The most memory a server may use, in bytes.
    pub(crate) mem_limit: Option<u64>,
    /// The memory that a server can count on, in bytes.
    pub(crate) mem_guarantee: Option<u64>,
    /// The most processor time a server may use, in cores.
    pub(crate) cpu_limit: Option<f64>,
    /// The processor time that a server can count on, in cores.
    pub(crate) cpu_guarantee: Option<f64>,
    /// The part of `poll_interval` over which looks are spread.
    pub(crate) poll_jitter: f64,
    /// After how many failed starts in a row a server has to wait; 0 for never.
    pub(crate) consecutive_failure_limit: u32,
    /// The command that is run before each start.
    pub(crate) pre_spawn_hook: Option<Vec<String>>,
    /// The command that is run after each run.
    pub(crate) post_stop_hook: Option<Vec<String>>,
    /// How long each of the two may take; not zero.
    pub(crate) hook_timeout: Duration,
    /// Whether servers log more.
    pub(crate) debug: bool,
    /// Whether servers ignore the configuration in users' homes.
    pub(crate) disable_user_config: bool,
    /// Which arguments servers get beside `args`.
    pub(crate) singleuser_args: SingleuserArgs,
    /// The table `[spawner.<kind>]`, for the spawner to read.
    pub(crate) settings: Map<String, Value>,
}

/// Which arguments a server gets beside those that are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SingleuserArgs {
    /// None: everything is in the environment.
    None,
    /// The flags of JupyterHub's first years, for servers that do not read the environment.
    Classic,
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "spawner",
    repeated: false,
    about: "What users' servers are, and how they start. A spawner's own keys stand in a table of its\n\
            name: [spawner.local], [spawner.simple] or [spawner.docker].",
    keys: &[
        KeySpec::new(
            "kind",
            "\"local\"",
            "\"local\": processes of the system user of the same name; \"simple\": processes of hubd's own\n\
             user; \"docker\": containers.",
        ),
        KeySpec::unset(
            "cmd",
            "[\"jupyterhub-singleuser\"]",
            "The command of a server: a list, or one word. It is not run by a shell. Left out, the\n\
             spawner chooses.",
        ),
        KeySpec::new("args", "[]", "Arguments that follow the command."),
        KeySpec::unset(
            "ip",
            "\"127.0.0.1\"",
            "The address that a server is told to listen on; \"\" for every interface. Left out, the\n\
             spawner chooses.",
        ),
        KeySpec::new(
            "port",
            "0",
            "The port that a server is told to listen on; 0 for a free one. Another one works only\n\
             where each server has an address of its own.",
        ),
        KeySpec::unset(
            "env_keep",
            "[\"PATH\", \"LANG\"]",
            "Names of variables that servers inherit from hubd. Left out, the spawner chooses.",
        ),
        KeySpec::new(
            "environment",
            "{}",
            "Variables that servers are given, as in { EDITOR = \"nano\" }.",
        ),
        KeySpec::unset(
            "notebook_dir",
            "\"~/notebooks\"",
            "The folder that is a server's root. {username} stands for the user's name.",
        ),
        KeySpec::unset("default_url", "\"/lab\"", "Where in a server users land."),
        KeySpec::unset(
            "options_form",
            "'<label>Memory <input name=\"memory\"></label>'",
            "HTML of the inputs that users fill before a start.",
        ),
        KeySpec::new(
            "prepare_timeout",
            "30",
            "How long all that comes before a start may take: choosing an address, and asking the\n\
             spawner for arguments and variables. The hook has its own time.",
        ),
        KeySpec::new(
            "start_timeout",
            "60",
            "How long a start may take until the server is there.",
        ),
        KeySpec::new(
            "http_timeout",
            "30",
            "How long a server that is there may take until it answers.",
        ),
        KeySpec::unset(
            "total_timeout",
            "150",
            "How long a start may take altogether, with all that is tried again, but without the pull\n\
             of an image. Left out, it is prepare_timeout, hook_timeout, start_timeout and http_timeout\n\
             together.",
        ),
        KeySpec::new(
            "poll_interval",
            "30",
            "How often a running server is looked at. 0 or less turns this off.",
        ),
        KeySpec::new(
            "poll_jitter",
            "0.1",
            "The part of poll_interval over which looks are spread, so that not all servers are looked\n\
             at at once: 0 for none, up to 1.",
        ),
        KeySpec::new(
            "consecutive_failure_limit",
            "0",
            "After how many failed starts in a row a server cannot be started for a while, half a\n\
             minute at first. 0 for never. Other servers are not touched, and the hub runs on.",
        ),
        KeySpec::unset(
            "pre_spawn_hook",
            "[\"/etc/hubd/prepare\"]",
            "A command that is run before each start, by hubd and as its own account: a list, or one\n\
             word; not by a shell. It is told in JUPYTERHUB_USER and JUPYTERHUB_SERVER_NAME for whom.\n\
             If it fails there is no start, and the last line of its standard error is the reason.",
        ),
        KeySpec::unset(
            "post_stop_hook",
            "[\"/etc/hubd/clean-up\"]",
            "The same after each run, also one that failed. HUBD_ENDING is \"stopped\", \"exited\" or\n\
             \"failed\", HUBD_EXIT_STATUS the exit status if there is one.",
        ),
        KeySpec::new(
            "hook_timeout",
            "30",
            "How long each of these commands may take; then it is ended with its process group.",
        ),
        KeySpec::unset(
            "mem_limit",
            "\"2G\"",
            "The most memory a server may use: \"512M\" or \"2G\" (K, M, G, T are powers of 1024), or a\n\
             number of bytes. A spawner that cannot hold servers to a limit refuses to start them.",
        ),
        KeySpec::unset(
            "mem_guarantee",
            "\"512M\"",
            "The memory that a server can count on.",
        ),
        KeySpec::unset(
            "cpu_limit",
            "1.5",
            "The most processor time a server may use, in cores.",
        ),
        KeySpec::unset(
            "cpu_guarantee",
            "0.5",
            "The processor time that a server can count on, in cores.",
        ),
        KeySpec::new("debug", "false", "Whether servers log more."),
        KeySpec::new(
            "disable_user_config",
            "false",
            "Whether servers ignore the configuration in users' homes.",
        ),
        KeySpec::new(
            "singleuser_args",
            "\"none\"",
            "Which arguments servers get beside `args`: \"none\", as everything is in the environment;\n\
             \"classic\" for the flags of JupyterHub's first years.",
        ),
    ],
};

impl Default for SpawnerTable {
    fn default() -> Self {
        Self {
            kind: "local".to_owned(),
            cmd: None,
            args: Vec::new(),
            ip: None,
            port: 0,
            env_keep: None,
            environment: BTreeMap::new(),
            notebook_dir: None,
            default_url: None,
            options_form: None,
            prepare_timeout: Duration::from_secs(30),
            start_timeout: Duration::from_mins(1),
            http_timeout: Duration::from_secs(30),
            total_timeout: None,
            poll_interval: Duration::from_secs(30),
            mem_limit: None,
            mem_guarantee: None,
            cpu_limit: None,
            cpu_guarantee: None,
            poll_jitter: 0.1,
            consecutive_failure_limit: 0,
            pre_spawn_hook: None,
            post_stop_hook: None,
            hook_timeout: Duration::from_secs(30),
            debug: false,
            disable_user_config: false,
            singleuser_args: SingleuserArgs::None,
            settings: Map::new(),
        }
    }
}

pub(super) fn read(mut table: TableReader<'_, '_>) -> SpawnerTable {
    const SINGLEUSER_ARGS: &[(&str, SingleuserArgs)] = &[
        ("none", SingleuserArgs::None),
        ("classic", SingleuserArgs::Classic),
    ];
    let default = SpawnerTable::default();
    let kind = table.get("kind", kind).unwrap_or(default.kind);
    let read = SpawnerTable {
        cmd: command(&mut table, "cmd"),
        args: table.list("args", text).unwrap_or_default(),
        ip: table.get("ip", listen_ip),
        port: table.get("port", port).unwrap_or_default(),
        env_keep: table.list("env_keep", variable),
        environment: environment(&mut table),
        notebook_dir: table.get("notebook_dir", some_text),
        default_url: table.get("default_url", default_url),
        options_form: table.get("options_form", some_text),
        prepare_timeout: table
            .get("prepare_timeout", timeout)
            .unwrap_or(default.prepare_timeout),
        start_timeout: table
            .get("start_timeout", timeout)
            .unwrap_or(default.start_timeout),
        http_timeout: table
            .get("http_timeout", timeout)
            .unwrap_or(default.http_timeout),
        total_timeout: table.get("total_timeout", timeout),
        poll_interval: table
            .get("poll_interval", interval)
            .unwrap_or(default.poll_interval),
        mem_limit: table.get("mem_limit", size),
        mem_guarantee: table.get("mem_guarantee", size),
        cpu_limit: table.get("cpu_limit", cores),
        cpu_guarantee: table.get("cpu_guarantee", cores),
        poll_jitter: table
            .get("poll_jitter", part)
            .unwrap_or(default.poll_jitter),
        consecutive_failure_limit: table
            .get("consecutive_failure_limit", count)
            .unwrap_or_default(),
        pre_spawn_hook: hook(&mut table, "pre_spawn_hook"),
        post_stop_hook: hook(&mut table, "post_stop_hook"),
        hook_timeout: table
            .get("hook_timeout", timeout)
            .unwrap_or(default.hook_timeout),
        debug: table.get("debug", flag).unwrap_or_default(),
        disable_user_config: table.get("disable_user_config", flag).unwrap_or_default(),
        singleuser_args: table
            .get("singleuser_args", one_of(SINGLEUSER_ARGS))
            .unwrap_or(default.singleuser_args),
        settings: settings(&mut table, &kind),
        kind,
    };
    table.finish();
    read
}

/// The table of the spawner in use. Those of the built-in ones that are not in use are let stand.
fn settings(table: &mut TableReader<'_, '_>, kind: &str) -> Map<String, Value> {
    table.also_known(kind);
    for name in BUILT_IN_KINDS.into_iter().filter(|name| *name != kind) {
        table.also_known(name);
        table.table(name);
    }
    let path = table.key(kind);
    match table.table(kind) {
        Some(entries) => json::from_table(table.reading(), &path, entries),
        None => Map::new(),
    }
}

/// The name of a spawner, which is also that of a table.
fn kind(value: &DeValue<'_>) -> Result<String, Fault> {
    let kind = some_text(value)?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let own = SPEC.keys.iter().any(|key| key.name == kind);
    if own || !kind.chars().all(fits) {
        let message = format!("{} is not the name of a spawner", quote(&kind));
        let help = match suggest::closest(&kind, BUILT_IN_KINDS) {
            Some(close) => format!("did you mean {close:?}?"),
            None => format!("hubd has {}", BUILT_IN_KINDS.join(", ")),
        };
        return Err(Fault::new(message).help(help));
    }
    Ok(kind)
}

/// One word, or a list of words. A text with blanks could mean either, so it is refused.
fn command(table: &mut TableReader<'_, '_>, name: &'static str) -> Option<Vec<String>> {
    let one_word = |value: &DeValue<'_>| {
        let command = text(value)?;
        if !command.contains(char::is_whitespace) {
            return Ok(command);
        }
        let words: Vec<String> = command
            .split_whitespace()
            .map(|word| format!("{word:?}"))
            .collect();
        Err(Fault::new("the command is one text with blanks in it")
            .help(format!("write `{name} = [{}]`", words.join(", "))))
    };
    let is_text = table
        .entries()
        .any(|(key, value)| key == name && value.is_str());
    let command = if is_text {
        vec![table.get(name, one_word)?]
    } else {
        table.list(name, text)?
    };
    if command.first().is_none_or(String::is_empty) {
        let fault = Fault::new("the command is empty").help("name a program, or leave the key out");
        table.fault(name, fault);
        return None;
    }
    Some(command)
}

/// The command of a hook or a service. A path to its program may be relative to the file's folder.
pub(super) fn hook(table: &mut TableReader<'_, '_>, name: &'static str) -> Option<Vec<String>> {
    let mut command = command(table, name)?;
    if command[0].contains('/') {
        let program = table.reading().path(&command[0]);
        command[0] = program.to_string_lossy().into_owned();
    }
    Some(command)
}

fn default_url(value: &DeValue<'_>) -> Result<String, Fault> {
    let url = some_text(value)?;
    if !url.starts_with('/') || url.starts_with("//") {
        let message = format!(
            "expected a path that begins with one `/`, found {}",
            quote(&url)
        );
        let meant = url.trim_start_matches('/');
        let fault = Fault::new(message);
        return Err(if meant.contains("://") {
            fault
        } else {
            fault.help(format!("write {:?}", format!("/{meant}")))
        });
    }
    check_path(&url).map_err(Fault::new)?;
    Ok(url)
}

/// The variables. Their values may be secret, so none is quoted.
pub(super) fn environment(table: &mut TableReader<'_, '_>) -> BTreeMap<String, String> {
    let name = "environment";
    let path = table.key(name);
    let mut environment = BTreeMap::new();
    let Some(entries) = table.map(name) else {
        return environment;
    };
    for (name, value) in entries {
        let key = join(&path, name.get_ref());
        if let Err(fault) = check_variable(name.get_ref()) {
            table.reading().error(Spot::Key(&key), fault);
        }
        match text(value.get_ref()) {
            Ok(value) => {
                environment.insert(name.get_ref().to_string(), value);
            }
            Err(fault) => table.reading().error(Spot::Value(&key), fault),
        }
    }
    environment
}
