//! What one key cannot tell: whether the tables fit together, and whether what they say together
//! is safe.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use spawner_core::{Secret, UserName};

use super::auth::{
    AuthKind, AuthTable, HeaderTable, OidcTable, PamTable, PasswordTable, SharedPasswordTable,
};
use super::reading::{Reading, Spot};
use super::root::Config;
use super::suggest;
use super::value::{Fault, quote};

/// A time limit longer than this is more likely meant in another unit.
const TIMEOUT_USUAL_MAX: Duration = Duration::from_hours(24);

/// Notes everything that does not fit.
pub(super) fn check(config: &Config, reading: &mut Reading) {
    check_authenticator(config, reading);
    check_users(&config.auth, reading);
    check_listener(config, reading);
    check_spawner(config, reading);
    check_names(config, reading);
    check_role_services(config, reading);
    check_service_clients(config, reading);
    check_culler(config, reading);
}

fn check_authenticator(config: &Config, reading: &mut Reading) {
    let auth = &config.auth;
    let key = "auth.kind";
    match auth.kind {
        None if !reading.is_faulty(key) => {
            let fault =
                Fault::new("no authenticator is chosen, and hubd does not start without one")
                    .help("write `kind = \"password\"` in [auth]");
            reading.error(Spot::Key(key), fault);
        }
        Some(AuthKind::Dummy) if !config.hub.bind.ip().is_loopback() => {
            let message = "the dummy authenticator lets people in under any name, so it works on a \
                           loopback address only";
            let help = "write `bind = \"127.0.0.1:8000\"` in [hub], or another `kind` in [auth]";
            reading.error(Spot::Value("hub.bind"), Fault::new(message).help(help));
        }
        _ => {}
    }
    check_shared_passwords(auth, reading);
    check_oidc(auth, reading);
    if auth.kind == Some(AuthKind::Header) && config.hub.trusted_proxies.is_empty() {
        let key = "hub.trusted_proxies";
        if !reading.is_faulty(key) {
            let message = "the header authenticator believes what proxies say, and none is trusted";
            let help =
                "list the addresses of your own proxies, as in `trusted_proxies = [\"127.0.0.1\"]`";
            reading.error(Spot::Key(key), Fault::new(message).help(help));
        }
    }
    // A table that is written out and plays no part.
    if let Some(kind) = auth.kind {
        let shared = &auth.shared_password;
        for (key, of, given) in [
            (
                "auth.dummy.password",
                AuthKind::Dummy,
                auth.dummy_password.is_some(),
            ),
            (
                "auth.shared-password",
                AuthKind::SharedPassword,
                *shared != SharedPasswordTable::default(),
            ),
            ("auth.pam", AuthKind::Pam, auth.pam != PamTable::default()),
            (
                "auth.header",
                AuthKind::Header,
                auth.header != HeaderTable::default(),
            ),
            (
                "auth.oidc",
                AuthKind::Oidc,
                auth.oidc != OidcTable::default(),
            ),
            (
                "auth.password",
                AuthKind::Password,
                auth.password != PasswordTable::default(),
            ),
        ] {
            if given && kind != of {
                let kind = kind.as_str();
                let message = format!("this has no effect, because `auth.kind` is \"{kind}\"");
                reading.warn(Spot::Key(key), Fault::new(message));
            }
        }
    }
}

fn check_oidc(auth: &AuthTable, reading: &mut Reading) {
    let table = "auth.oidc";
    if auth.kind != Some(AuthKind::Oidc) || reading.is_faulty(table) {
        return;
    }
    let oidc = &auth.oidc;
    for (key, given, what) in [
        ("issuer", oidc.issuer.is_some(), "the provider is not named"),
        (
            "client_id",
            oidc.client_id.is_some(),
            "the provider has to know which client asks",
        ),
        (
            "client_secret_file",
            oidc.client_secret.is_some(),
            "the client has no secret",
        ),
    ] {
        if !given {
            let fault = Fault::new(what).help(format!("write `{key}` in [{table}]"));
            reading.error(Spot::Key(&format!("{table}.{key}")), fault);
        }
    }
}

fn check_shared_passwords(auth: &AuthTable, reading: &mut Reading) {
    let table = "auth.shared-password";
    if auth.kind != Some(AuthKind::SharedPassword) || reading.is_faulty(table) {
        return;
    }
    let shared = &auth.shared_password;
    let (user, admin) = (&shared.user_password, &shared.admin_password);
    if user.is_none() && admin.is_none() {
        let fault = Fault::new("there is no password, so nobody could log in")
            .help("write `user_password_file` in [auth.shared-password]");
        reading.error(Spot::Key(&format!("{table}.user_password_file")), fault);
    } else if user.is_some() && user == admin {
        let fault = Fault::new("admins and users have the same password")
            .help("admins need one of their own");
        reading.error(Spot::Key(table), fault);
    } else if admin.is_none() && !auth.admin_users.is_empty() {
        let fault = Fault::new("there is no password for admins, so they cannot log in")
            .help("write `admin_password_file` in [auth.shared-password]");
        reading.error(Spot::Key("auth.admin_users"), fault);
    }
}

fn check_users(auth: &AuthTable, reading: &mut Reading) {
    let lists: [(&str, HashSet<&UserName>); 2] = [
        ("allowed_users", auth.allowed_users.iter().collect()),
        ("admin_users", auth.admin_users.iter().collect()),
    ];
    for (at, user) in auth.blocked_users.iter().enumerate() {
        for (list, _) in lists.iter().filter(|(_, users)| users.contains(user)) {
            let key = format!("auth.blocked_users[{at}]");
            let fault = Fault::new(format!("\"{user}\" is in `{list}` too"))
                .help("take the name out of one of the lists");
            reading.error(Spot::Value(&key), fault);
        }
    }
    let key = "auth.allowed_users";
    if reading.is_faulty("auth") {
        return;
    }
    if auth.allows_nobody() && auth.kind.is_some() {
        let fault = Fault::new("nobody can log in: no user is allowed and none is an admin")
            .help("list users here, or set `allow_all = true`");
        reading.warn(Spot::Key(key), fault);
    }
    if auth.allow_all && !auth.allowed_users.is_empty() {
        let fault = Fault::new("this list keeps nobody out, because `allow_all` is true");
        reading.warn(Spot::Key(key), fault);
    }
    if auth.allow_all && !auth.allowed_groups.is_empty() {
        let fault = Fault::new("this list keeps nobody out, because `allow_all` is true");
        reading.warn(Spot::Key("auth.allowed_groups"), fault);
    }
    if let Some(pattern) = &auth.username_pattern {
        for (list, users) in [
            ("allowed_users", &auth.allowed_users),
            ("admin_users", &auth.admin_users),
        ] {
            for (at, user) in users.iter().enumerate() {
                if !pattern.is_match(user.as_str()) {
                    let message = format!("\"{user}\" does not fit `username_pattern`");
                    let key = format!("auth.{list}[{at}]");
                    let fault = Fault::new(message).help("change the pattern, or the name");
                    reading.error(Spot::Value(&key), fault);
                }
            }
        }
    }
}

fn check_listener(config: &Config, reading: &mut Reading) {
    let hub = &config.hub;
    let behind_tls = (hub.public_url.as_ref()).is_some_and(|url| url.scheme() == "https");
    if !hub.bind.ip().is_loopback() && !behind_tls && !reading.is_faulty("hub.bind") {
        let message = "other machines can reach this address and hubd speaks plain HTTP, so \
                       passwords cross the network readable to everybody on the way";
        let help = "listen on 127.0.0.1 behind a TLS proxy, and name it in `public_url`";
        reading.warn(Spot::Value("hub.bind"), Fault::new(message).help(help));
    }
    for (at, network) in hub.trusted_proxies.iter().enumerate() {
        if network.is_everything() {
            let key = format!("hub.trusted_proxies[{at}]");
            let message = "this trusts everybody, so anybody can claim to come from any address";
            let help = "list the addresses of your own proxies";
            reading.warn(Spot::Value(&key), Fault::new(message).help(help));
        }
    }
}

fn check_spawner(config: &Config, reading: &mut Reading) {
    let spawner = &config.spawner;
    for (key, timeout) in [
        ("spawner.prepare_timeout", spawner.prepare_timeout),
        ("spawner.start_timeout", spawner.start_timeout),
        ("spawner.http_timeout", spawner.http_timeout),
        (
            "spawner.total_timeout",
            spawner.total_timeout.unwrap_or_default(),
        ),
    ] {
        if timeout > TIMEOUT_USUAL_MAX {
            let message = "this is more than a day; a start that hangs will hang that long";
            let fault = Fault::new(message).help("the value is in seconds");
            reading.warn(Spot::Value(key), fault);
        }
    }
    if spawner.mem_guarantee > spawner.mem_limit && spawner.mem_limit.is_some() {
        guaranteed_too_much("mem", reading);
    }
    if spawner.cpu_guarantee > spawner.cpu_limit && spawner.cpu_limit.is_some() {
        guaranteed_too_much("cpu", reading);
    }
    if spawner.port != 0 && matches!(spawner.kind.as_str(), "local" | "simple") {
        let message = "all servers share this machine's ports, so only one of them can run";
        let fault = Fault::new(message).help("write `port = 0` for a free one each");
        reading.warn(Spot::Value("spawner.port"), fault);
    }
}

fn guaranteed_too_much(what: &str, reading: &mut Reading) {
    let message = format!("this is more than `{what}_limit`, so nobody could ever use it");
    let fault = Fault::new(message).help("raise the limit, or lower this");
    reading.error(Spot::Value(&format!("spawner.{what}_guarantee")), fault);
}

/// Services, roles and groups are told apart by their names.
fn check_names(config: &Config, reading: &mut Reading) {
    let services = config.services.iter().map(|service| &service.name);
    unique("service", services, reading);
    let roles = config.roles.iter().map(|role| &role.name);
    unique("role", roles, reading);
    let groups = config.groups.iter().map(|group| &group.name);
    unique("group", groups, reading);
}

fn unique<'a>(table: &str, names: impl Iterator<Item = &'a String>, reading: &mut Reading) {
    let mut first_at = HashMap::new();
    for (at, name) in names.enumerate().filter(|(_, name)| !name.is_empty()) {
        if let Some(first) = first_at.get(name) {
            let key = format!("{table}[{at}].name");
            let fault = Fault::new(format!(
                "another [[{table}]] has the name {} already",
                quote(name)
            ));
            let first = reading.line_of(&format!("{table}[{first}].name"));
            let fault = match first {
                Some(line) => fault.help(format!("the first one is in line {line}")),
                None => fault,
            };
            reading.error(Spot::Value(&key), fault);
        } else {
            first_at.insert(name, at);
        }
    }
}

fn check_role_services(config: &Config, reading: &mut Reading) {
    // A service that could not be read may be the one that is meant.
    if reading.is_faulty("service") {
        return;
    }
    let known: BTreeSet<&str> = (config.services.iter())
        .map(|service| service.name.as_str())
        .collect();
    for (at, role) in config.roles.iter().enumerate() {
        for (nth, service) in role.services.iter().enumerate() {
            if known.contains(service.as_str()) {
                continue;
            }
            let key = format!("role[{at}].services[{nth}]");
            let message = format!("there is no [[service]] with the name {}", quote(service));
            let close = if reading.is_full() {
                None
            } else {
                suggest::closest(service, known.iter().copied())
            };
            let help = close.map(|close| format!("did you mean {close:?}?"));
            reading.error(Spot::Value(&key), Fault { message, help });
        }
    }
}

/// Services are told apart by their tokens and as OAuth clients, too.
fn check_service_clients(config: &Config, reading: &mut Reading) {
    let mut clients = HashSet::new();
    let mut tokens = HashSet::new();
    for (at, service) in config.services.iter().enumerate() {
        if !clients.insert(service.client_id()) && !reading.is_faulty("service") {
            let key = format!("service[{at}].oauth_client_id");
            let fault = Fault::new("another service has this client id already");
            reading.error(Spot::Value(&key), fault);
        }
        let token = service.api_token.as_ref().map(Secret::expose);
        if token.is_some_and(|token| !tokens.insert(token)) {
            let key = format!("service[{at}].api_token");
            let fault = Fault::new(
                "another service has this token already, so nobody could tell them apart",
            );
            reading.error(Spot::Key(&key), fault);
        }
    }
}

fn check_culler(config: &Config, reading: &mut Reading) {
    let culler = &config.culler;
    if !culler.enabled {
        return;
    }
    let limits = [culler.timeout, culler.max_age];
    let shortest = limits.into_iter().filter(|limit| !limit.is_zero()).min();
    let Some(shortest) = shortest else {
        let fault = Fault::new("it ends nothing: `timeout` and `max_age` are 0");
        reading.warn(Spot::Key("culler.enabled"), fault);
        return;
    };
    if culler.every > shortest {
        let fault =
            Fault::new("it looks less often than servers are to be ended, so they run longer")
                .help("look at least as often as `timeout` and `max_age`");
        reading.warn(Spot::Key("culler.every"), fault);
    }
    for (at, group) in culler.except_groups.iter().enumerate() {
        if !config.groups.iter().any(|known| known.name == *group) {
            let key = format!("culler.except_groups[{at}]");
            let fault = Fault::new(format!(
                "there is no [[group]] with the name {}",
                quote(group)
            ));
            reading.warn(Spot::Value(&key), fault);
        }
    }
}
