//! `[[service]]`: programs that belong to the hub: they call its API, people open them through it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use spawner_core::{Endpoint, Secret};
use toml::de::DeValue;
use url::Url;

use super::address::origin;
use super::base_path::BasePath;
use super::files::secret_line;
use super::json;
use super::names::{name, token};
use super::reader::TableReader;
use super::reading::Spot;
use super::spawner::{environment, hook};
use super::spec::{KeySpec, TableSpec};
use super::url_path::check_path;
use super::value::{Fault, flag, quote, some_text, text};

/// The longest name of a service that the hub starts: its log and its processes carry it.
const MANAGED_NAME_MAX: usize = 64;
/// What the OAuth client id of every service begins with, so that none can be a server's.
const CLIENT_PREFIX: &str = "service-";
/// The longest OAuth client id. It is also the name of a cookie.
const CLIENT_ID_MAX: usize = 255;

/// One `[[service]]`. There is no `Debug`: environments hold secrets.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct ServiceTable {
    /// Its name; no other service has it.
    pub(crate) name: String,
    /// Its token, from the file itself or from `api_token_file`. Only one that the hub starts can be
    /// without: it is given a new one each time.
    pub(crate) api_token: Option<Secret>,
    /// Where it listens, if people open it through the hub.
    pub(crate) url: Option<ServiceUrl>,
    /// What the hub starts, and starts again when it ends; nothing for a service that runs elsewhere.
    pub(crate) command: Vec<String>,
    /// What it starts with beside what the hub tells it.
    pub(crate) environment: BTreeMap<String, String>,
    /// The folder that it starts in.
    pub(crate) cwd: Option<PathBuf>,
    /// Its name as an OAuth client, if it is another one than `service-NAME`.
    pub(crate) oauth_client_id: Option<String>,
    /// Where its visitors are sent back to, if that is not below its own address.
    pub(crate) oauth_redirect_uri: Option<String>,
    /// Whether its visitors are not asked whether it may know who they are.
    pub(crate) oauth_no_confirm: bool,
    /// Whether people are shown a link to it.
    pub(crate) display: bool,
    /// Whatever is to be shown with it by the API.
    pub(crate) info: Map<String, Value>,
    /// Whether it may do everything.
    pub(crate) admin: bool,
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServiceUrl {
    /// As it is written.
    pub(crate) text: String,
    /// What that means.
    pub(crate) endpoint: Endpoint,
}

impl ServiceUrl {
    /// Reads an address; the error is a fragment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        checked(url, text)
    }
}

/// What the name of a service as an OAuth client must be like; the error is a fragment.
pub(crate) fn check_client_id(text: &str) -> Result<String, String> {
    checked(client_id, text)
}

/// What an address that visitors are sent back to must be like; the error is a fragment.
pub(crate) fn check_redirect_uri(text: &str) -> Result<String, String> {
    checked(redirect_uri, text)
}

fn checked<T>(read: fn(&DeValue<'_>) -> Result<T, Fault>, text: &str) -> Result<T, String> {
    read(&DeValue::String(text.into())).map_err(|fault| fault.message)
}

impl ServiceTable {
    /// Its name as an OAuth client.
    pub(crate) fn client_id(&self) -> String {
        let id = self.oauth_client_id.clone();
        id.unwrap_or_else(|| format!("{CLIENT_PREFIX}{}", self.name))
    }

    /// Where the proxy has it, below `base_url`. All that a name can hold stands for itself there.
    pub(crate) fn prefix(&self, base_url: &str) -> String {
        format!("{base_url}services/{}/", self.name)
    }

    /// Where its visitors are sent back to; nothing if nobody can visit it.
    pub(crate) fn redirect_uri(&self, base_url: &str) -> Option<String> {
        let below = || Some(format!("{}oauth_callback", self.prefix(base_url)));
        let own = self.oauth_redirect_uri.clone();
        own.or_else(|| self.url.as_ref().and_then(|_| below()))
    }

    /// Whether the hub starts it.
    pub(crate) fn is_managed(&self) -> bool {
        !self.command.is_empty()
    }
}

pub(super) const SPEC: TableSpec = TableSpec {
    path: "service",
    repeated: true,
    about: "A program that calls the REST API with a token of its own; once for each. The hub starts\n\
            those that have a `command`, and shows those that have a `url` below services/NAME/.",
    keys: &[
        KeySpec::unset("name", "\"grader\"", "Its name."),
        KeySpec::unset(
            "api_token_file",
            "\"grader.token\"",
            "File with its token and nothing else, readable by its owner only.\n\
             `umask 077; openssl rand -hex 32 > grader.token` makes one.\n\
             A service that has a `command` can do without: each start gives it a new token.",
        ),
        KeySpec::unset(
            "api_token",
            "\"0123456789abcdef\"",
            "Its token, if it has to stand in this file.",
        ),
        KeySpec::unset(
            "command",
            "[\"/srv/grader/bin/grader\", \"--quiet\"]",
            "What the hub starts: a list, or one word; not by a shell. It runs under the hub's own\n\
             account, is started again when it ends, and ends with the hub. What it prints is kept\n\
             in services/NAME.log below `state_dir`.",
        ),
        KeySpec::new(
            "environment",
            "{}",
            "What it finds in its environment beside what the hub tells it.",
        ),
        KeySpec::unset(
            "cwd",
            "\"/srv/grader\"",
            "The folder that it starts in. Left out, it is the hub's own.",
        ),
        KeySpec::unset(
            "url",
            "\"http://127.0.0.1:10101\"",
            "Where it listens. Visitors reach it through the hub, below services/NAME/, which stays\n\
             a part of the path.",
        ),
        KeySpec::new(
            "display",
            "true",
            "Whether people find a link to it on their home page, if it has a `url`.",
        ),
        KeySpec::new(
            "info",
            "{}",
            "Whatever programs are to be told of it by the API, in keys of your own.",
        ),
        KeySpec::unset(
            "oauth_client_id",
            "\"service-grader\"",
            "Its name as an OAuth client, which begins with \"service-\". Left out, it is that and\n\
             its name.",
        ),
        KeySpec::unset(
            "oauth_redirect_uri",
            "\"https://grader.example.org/oauth_callback\"",
            "Where visitors are sent back to who have signed in with the hub: a path, or an address\n\
             for a service that they reach without the hub. Left out, it is oauth_callback below\n\
             services/NAME/.",
        ),
        KeySpec::new(
            "oauth_no_confirm",
            "false",
            "Whether visitors are not asked whether it may know who they are. One that is `admin`\n\
             never asks.",
        ),
        KeySpec::new(
            "admin",
            "false",
            "Whether it may do everything. A [[role]] gives it less.",
        ),
    ],
};

pub(super) fn read(mut table: TableReader<'_, '_>) -> ServiceTable {
    let read = ServiceTable {
        name: table.require("name", name).unwrap_or_default(),
        command: hook(&mut table, "command").unwrap_or_default(),
        api_token: read_token(&mut table),
        environment: environment(&mut table),
        cwd: table.path("cwd", some_text),
        url: table.get("url", url),
        display: table.get("display", flag).unwrap_or(true),
        info: info(&mut table),
        oauth_client_id: table.get("oauth_client_id", client_id),
        oauth_redirect_uri: table.get("oauth_redirect_uri", redirect_uri),
        oauth_no_confirm: table.get("oauth_no_confirm", flag).unwrap_or_default(),
        admin: table.get("admin", flag).unwrap_or_default(),
    };
    check(&read, &mut table);
    table.finish();
    read
}

/// What one key of a service cannot tell.
fn check(service: &ServiceTable, table: &mut TableReader<'_, '_>) {
    if service.name.len() > MANAGED_NAME_MAX && service.is_managed() {
        let message = format!(
            "the name of a service with a `command` has at most {MANAGED_NAME_MAX} characters"
        );
        table.fault("name", Fault::new(message));
    }
    for name in ["environment", "cwd"] {
        if table.has(name) && !table.has("command") {
            let fault = Fault::new("this is for a service that the hub starts")
                .help("give it a `command`, or leave this out");
            table.fault(name, fault);
        }
    }
    for name in ["oauth_client_id", "oauth_no_confirm"] {
        if table.has(name) && !table.has("url") && !table.has("oauth_redirect_uri") {
            let fault = Fault::new("nobody can sign in to a service without an address")
                .help("give it a `url` or an `oauth_redirect_uri`, or leave this out");
            table.fault(name, fault);
        }
    }
}

fn info(table: &mut TableReader<'_, '_>) -> Map<String, Value> {
    let path = table.key("info");
    match table.map("info") {
        Some(entries) => json::from_table(table.reading(), &path, entries),
        None => Map::new(),
    }
}

/// Where a service listens: the path is always that of the proxy.
fn url(value: &DeValue<'_>) -> Result<ServiceUrl, Fault> {
    let written = text(value)?;
    if Url::parse(&written).is_ok_and(|url| url.path().len() > 1) {
        let fault = Fault::new("the address of a service has no path");
        return Err(fault.help("leave it out: the path is that which visitors ask for"));
    }
    let url = origin(&BasePath::default())(value)?;
    if url.scheme() != "http" {
        let fault = Fault::new("the hub speaks plain HTTP with services");
        return Err(fault.help("write http://, and keep the service on this host"));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(Fault::new("the address names no host"));
    };
    if port == 0 {
        return Err(Fault::new("the address needs a port, and 0 is none"));
    }
    Ok(ServiceUrl {
        text: written,
        endpoint: Endpoint::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        },
    })
}

fn client_id(value: &DeValue<'_>) -> Result<String, Fault> {
    let id = text(value)?;
    let rest = id.strip_prefix(CLIENT_PREFIX).unwrap_or_default();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if rest.is_empty() || !rest.chars().all(fits) || id.len() > CLIENT_ID_MAX {
        let message = format!(
            "a client id is \"{CLIENT_PREFIX}\" and then letters, digits and - . _, at most \
             {CLIENT_ID_MAX} characters; {} is not",
            quote(&id)
        );
        return Err(Fault::new(message));
    }
    Ok(id)
}

/// Where visitors are sent back to. They are sent nowhere else, so it is taken to the letter.
fn redirect_uri(value: &DeValue<'_>) -> Result<String, Fault> {
    let uri = some_text(value)?;
    let plain = uri.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let is_path = check_path(&uri).is_ok();
    // `https:host` is an address too, to browsers.
    let is_whole = uri.starts_with("http://") || uri.starts_with("https://");
    let is_address = Url::parse(&uri).is_ok_and(|url| {
        let names_nobody = url.username().is_empty() && url.password().is_none();
        is_whole && url.has_host() && names_nobody && check_path(url.path()).is_ok()
    });
    if !plain || uri.contains(['#', '?']) || !(is_path || is_address) {
        let message = format!("{} is not where visitors can be sent", quote(&uri));
        let help = "write a path of this hub, or an address that begins with https://; without `?` and `#`";
        return Err(Fault::new(message).help(help));
    }
    Ok(uri)
}

/// The token, from exactly one of the two places it can stand in.
fn read_token(table: &mut TableReader<'_, '_>) -> Option<Secret> {
    let written = table.get("api_token", |value| token(&text(value)?));
    let path = table.path("api_token_file", some_text);
    match (table.has("api_token"), table.has("api_token_file")) {
        (true, true) => {
            let fault = Fault::new("`api_token` is given too, and a service has one token");
            table.fault("api_token_file", fault.help("keep one of them"));
            None
        }
        // The hub makes one at each start.
        (false, false) if table.has("command") => None,
        (false, false) => {
            let fault =
                Fault::new("the service has no token").help("set `api_token_file`, or `api_token`");
            let key = table.key("api_token_file");
            table.reading().error(Spot::Key(&key), fault);
            None
        }
        (true, false) => written,
        (false, true) => match token_in(&path?) {
            Ok(token) => Some(token),
            Err(fault) => {
                table.fault("api_token_file", fault);
                None
            }
        },
    }
}

/// Reads a token file.
fn token_in(path: &Path) -> Result<Secret, Fault> {
    let shown = quote(&path.to_string_lossy());
    token(&secret_line(path)?).map_err(|fault| Fault {
        help: fault.help,
        ..Fault::new(format!("{shown}: {}", fault.message))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Config;

    #[test]
    fn info_is_whatever_its_administrator_writes() {
        let text = "auth = { kind = 'dummy' }\n[[service]]\nname = 'board'\n\
            api_token = '0123456789abcdef'\n[service.info]\nroom = 7\ntags = ['a', { b = true }]\n";
        let service = Config::parse(text, "test").unwrap().services.remove(0);
        let info = json!({"room": 7, "tags": ["a", {"b": true}]});
        assert_eq!(Some(&service.info), info.as_object());
        let text = text.replace("[service.info]", "info = 7 #");
        let errors = Config::parse(&text, "test").err().unwrap().to_string();
        assert!(errors.contains("expected a table"), "{errors}");
    }
}
