//! What keys of JupyterHub's configuration are called here, for those who come from there or write
//! from memory.

/// What to say about `key` in `table`; `""` as a table means any.
const HINTS: &[(&str, &str, &str)] = &[
    // Where the hub listens and is reached.
    (
        "",
        "bind_url",
        "write `bind = \"ADDRESS:PORT\"` in [hub], and a path as `base_url`",
    ),
    ("", "ip", "write `bind = \"ADDRESS:PORT\"` in [hub]"),
    ("", "port", "write `bind = \"ADDRESS:PORT\"` in [hub]"),
    ("", "host", "write `bind = \"ADDRESS:PORT\"` in [hub]"),
    ("", "listen", "write `bind = \"ADDRESS:PORT\"` in [hub]"),
    ("", "hub_ip", "hubd has one listener, `bind` in [hub]"),
    ("", "hub_port", "hubd has one listener, `bind` in [hub]"),
    ("", "hub_bind_url", "hubd has one listener, `bind` in [hub]"),
    ("", "hub_connect_ip", "write `connect_url` in [hub]"),
    ("", "hub_connect_url", "write `connect_url` in [hub]"),
    ("", "hub_prefix", "write `base_url` in [hub]"),
    (
        "",
        "trusted_downstream_ips",
        "write `trusted_proxies` in [hub]",
    ),
    (
        "",
        "ssl_key",
        "hubd speaks plain HTTP; let a TLS proxy stand in front of it",
    ),
    (
        "",
        "ssl_cert",
        "hubd speaks plain HTTP; let a TLS proxy stand in front of it",
    ),
    (
        "",
        "tls",
        "hubd speaks plain HTTP; let a TLS proxy stand in front of it",
    ),
    // What hubd keeps by itself.
    (
        "",
        "cleanup_proxy",
        "leave it out: the proxy is part of hubd",
    ),
    ("", "proxy_class", "leave it out: the proxy is part of hubd"),
    ("", "auth_token", "leave it out: the proxy is part of hubd"),
    ("", "proxy", "leave it out: the proxy is part of hubd"),
    ("", "db_url", "leave it out: the database is in `state_dir`"),
    (
        "",
        "upgrade_db",
        "leave it out: hubd upgrades its database by itself",
    ),
    (
        "",
        "cookie_secret",
        "leave it out: hubd makes its own in `state_dir`",
    ),
    (
        "",
        "cookie_secret_file",
        "leave it out: hubd makes its own in `state_dir`",
    ),
    ("", "pid_file", "leave it out: hubd writes none"),
    (
        "",
        "init_spawners_timeout",
        "leave it out: hubd does not wait for servers when it starts",
    ),
    ("", "data_dir", "write `state_dir` in [hub]"),
    ("", "data_files_path", "write `template_dir` in [hub]"),
    ("", "template_paths", "write `template_dir` in [hub]"),
    ("", "log_level", "write `log` in [hub]"),
    ("", "logging", "write `log` in [hub]"),
    // Who may come in.
    ("", "authenticator_class", "write `kind` in [auth]"),
    ("", "whitelist", "write `allowed_users` in [auth]"),
    ("", "blacklist", "write `blocked_users` in [auth]"),
    (
        "",
        "any_allow_config",
        "write `allow_all` or `allowed_users` in [auth]",
    ),
    (
        "",
        "allow_existing_users",
        "write `allow_all` or `allowed_users` in [auth]",
    ),
    ("auth", "admins", "write `admin_users`"),
    (
        "auth",
        "token_max_age",
        "write `token_expires_in_max_seconds`",
    ),
    ("auth", "class", "write `kind`"),
    ("auth", "type", "write `kind`"),
    (
        "auth",
        "password",
        "write it in [auth.dummy]; accounts are made with `hubd user add`",
    ),
    (
        "",
        "admin_access",
        "give a [[role]] the scope `access:servers` instead",
    ),
    (
        "auth",
        "username_key",
        "write `username_claim` in [auth.oidc]",
    ),
    (
        "auth.oidc",
        "username_key",
        "write `username_claim` in [auth.oidc]",
    ),
    ("auth.oidc", "scopes", "write `scope`"),
    ("auth.oidc", "allowed_domains", "write `hosted_domain`"),
    (
        "auth.oidc",
        "oauth_callback_url",
        "write `public_url` in [hub]; the rest of the address is fixed",
    ),
    (
        "auth.oidc",
        "authorize_url",
        "leave it out: the provider's discovery document has it",
    ),
    (
        "auth.oidc",
        "token_url",
        "leave it out: the provider's discovery document has it",
    ),
    (
        "auth.oidc",
        "userdata_url",
        "leave it out: the provider's discovery document has it",
    ),
    ("", "admin_groups", "give a [[role]] to the groups instead"),
    // Servers.
    ("", "spawner_class", "write `kind` in [spawner]"),
    ("spawner", "class", "write `kind`"),
    ("spawner", "type", "write `kind`"),
    ("spawner", "command", "write `cmd`"),
    ("spawner", "env", "write `environment`"),
    (
        "spawner",
        "timeout",
        "write `start_timeout`, or `http_timeout`",
    ),
    (
        "spawner",
        "container_image",
        "write `image` in [spawner.docker]",
    ),
    ("spawner", "image", "write it in [spawner.docker]"),
    (
        "spawner.docker",
        "container_image",
        "write `image` in [spawner.docker]",
    ),
    ("spawner", "volumes", "write it in [spawner.docker]"),
    // How many.
    (
        "",
        "concurrent_spawn_limit",
        "write `concurrent_spawns` in [limits]",
    ),
    (
        "",
        "active_server_limit",
        "write `active_servers` in [limits]",
    ),
    (
        "",
        "named_server_limit_per_user",
        "write `named_servers_per_user` in [limits]",
    ),
    (
        "",
        "allow_named_servers",
        "write `named_servers_per_user` in [limits]",
    ),
    (
        "",
        "spawn_throttle_retry_range",
        "leave it out: starts over the limit wait for their turn",
    ),
    // Things that there are several of.
    ("", "load_roles", "write one [[role]] for each"),
    ("", "load_groups", "write one [[group]] for each"),
    ("hub", "services", "write one [[service]] for each"),
    (
        "service",
        "user",
        "leave it out: services run under the hub's own account",
    ),
    ("service", "token", "write `api_token_file`, or `api_token`"),
    (
        "",
        "api_tokens",
        "write one [[service]] with its `api_token_file` for each",
    ),
    (
        "",
        "service_tokens",
        "write one [[service]] with its `api_token_file` for each",
    ),
    ("group", "members", "write `users`"),
];

/// What to say about a key that is not of ours.
pub(super) fn hint(table: &str, key: &str) -> Option<&'static str> {
    let of_table = |wanted: &str| {
        HINTS
            .iter()
            .find(|(table, old, _)| *table == wanted && *old == key)
            .map(|(_, _, hint)| *hint)
    };
    of_table(table).or_else(|| of_table(""))
}

/// Which of our tables has what a class of JupyterHub has.
pub(super) fn table_of_class(class: &str) -> Option<&'static str> {
    match class {
        "JupyterHub" | "Proxy" | "ConfigurableHTTPProxy" => Some("hub"),
        "DockerSpawner" => Some("spawner.docker"),
        "SimpleLocalProcessSpawner" => Some("spawner.simple"),
        "Spawner" | "LocalProcessSpawner" => Some("spawner"),
        _ if class.ends_with("Authenticator") => Some("auth"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::TABLES;
    use super::*;

    #[test]
    fn no_hint_is_about_a_key_that_its_table_has() {
        for (table, old, _) in HINTS {
            let spec = TABLES.iter().find(|spec| spec.path == *table);
            let known = spec.is_some_and(|spec| spec.keys.iter().any(|key| key.name == *old));
            assert!(!known, "[{table}] has `{old}`");
        }
    }

    #[test]
    fn every_key_that_a_hint_names_exists() {
        for (table, old, hint) in HINTS {
            for quoted in hint.split('`').skip(1).step_by(2) {
                let name = quoted.split(' ').next().unwrap();
                let known = TABLES
                    .iter()
                    .any(|spec| spec.keys.iter().any(|key| key.name == name));
                let other = name.contains(':') || name == "hubd" || name == "image";
                assert!(known || other, "{table}.{old} names `{quoted}`");
            }
        }
    }
}
