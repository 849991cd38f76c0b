//! What a service that the hub starts finds in its environment, as JupyterHub has it.

use std::ffi::OsString;

use serde_json::json;
use spawner_core::{Env, LAUNCH_MARKER, SpawnContext, SpawnerConfig};

use crate::config::ServiceTable;
use crate::scopes::Scope;

/// What it inherits beside what servers do: it is a program of the hub's own account.
const INHERITED: [&str; 4] = ["HOME", "USER", "TMPDIR", "TZ"];

/// The environment of a run. `inherit` tells the hub's own variables.
pub(super) fn environment(
    service: &ServiceTable,
    ctx: &SpawnContext,
    inherit: impl Fn(&str) -> Option<OsString>,
) -> Env {
    let mut env = Env::default();
    let kept = SpawnerConfig::default().env_keep;
    for name in kept.iter().map(String::as_str).chain(INHERITED) {
        if let Some(Ok(value)) = inherit(name).map(OsString::into_string) {
            env.set(name, value);
        }
    }
    let token = ctx.token.expose();
    let access = json!(Scope::access_to_service(&service.name).map(String::from)).to_string();
    let hub = &ctx.hub;
    for (name, value) in [
        ("JUPYTERHUB_SERVICE_NAME", service.name.as_str()),
        ("JUPYTERHUB_API_TOKEN", token),
        ("JPY_API_TOKEN", token),
        ("JUPYTERHUB_API_URL", &hub.api_url),
        ("JUPYTERHUB_BASE_URL", &hub.base_url),
        ("JUPYTERHUB_HOST", &hub.host),
        ("JUPYTERHUB_CLIENT_ID", &ctx.oauth.client_id),
        ("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", "0"),
        ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", &access),
        ("JUPYTERHUB_OAUTH_SCOPES", &access),
        ("JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES", "[]"),
    ] {
        env.set(name, value);
    }
    let public = |path: &str| {
        let origin = hub.public_url.as_deref();
        origin.map_or(String::new(), |origin| format!("{origin}{path}"))
    };
    env.set("JUPYTERHUB_PUBLIC_HUB_URL", public(&hub.hub_prefix()));
    if let Some(url) = &service.url {
        let prefix = service.prefix(&hub.base_url);
        env.set("JUPYTERHUB_SERVICE_URL", url.text.as_str());
        env.set("JUPYTERHUB_PUBLIC_URL", public(&prefix));
        env.set("JUPYTERHUB_SERVICE_PREFIX", prefix);
    }
    if let Some(uri) = service.redirect_uri(&hub.base_url) {
        env.set("JUPYTERHUB_OAUTH_CALLBACK_URL", uri);
    }
    for (name, value) in &service.environment {
        env.set(name, value);
    }
    // What the run is found by is nobody's to change.
    env.set(LAUNCH_MARKER, ctx.launch_id.as_str());
    env
}

#[cfg(test)]
mod tests {
    use spawner_core::{HubUrls, LaunchId, OauthClient, Secret, ServerId, UserName, UserOptions};

    use super::*;
    use crate::config::Config;

    fn context(service: &ServiceTable) -> SpawnContext {
        SpawnContext {
            server: ServerId::default_of(UserName::new("service-x").unwrap()),
            launch_id: LaunchId::random(),
            token: Secret::new("the-token"),
            options: UserOptions::default(),
            listen: None,
            hub: HubUrls {
                base_url: "/jhub/".into(),
                api_url: "http://127.0.0.1:8000/jhub/hub/api".into(),
                host: String::new(),
                public_url: Some("https://hub.example.org".into()),
            },
            oauth: OauthClient {
                client_id: service.client_id(),
                access_scopes: Vec::new(),
                allowed_scopes: Vec::new(),
            },
        }
    }

    fn service(keys: &str) -> ServiceTable {
        let text = format!(
            "auth = {{ kind = 'dummy' }}\n[[service]]\nname = 'whoami'\ncommand = 'whoami'\n{keys}"
        );
        Config::parse(&text, "test").unwrap().services.remove(0)
    }

    #[test]
    fn a_service_with_an_address_is_told_all_that_hub_oauth_reads() {
        let service = service("url = 'http://127.0.0.1:10101'");
        let env = environment(&service, &context(&service), |name| {
            Some(OsString::from(format!("the hub's {name}")))
        });
        for (name, value) in [
            ("JUPYTERHUB_SERVICE_NAME", "whoami"),
            ("JUPYTERHUB_API_TOKEN", "the-token"),
            ("JUPYTERHUB_API_URL", "http://127.0.0.1:8000/jhub/hub/api"),
            ("JUPYTERHUB_BASE_URL", "/jhub/"),
            ("JUPYTERHUB_SERVICE_PREFIX", "/jhub/services/whoami/"),
            ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:10101"),
            ("JUPYTERHUB_CLIENT_ID", "service-whoami"),
            (
                "JUPYTERHUB_OAUTH_CALLBACK_URL",
                "/jhub/services/whoami/oauth_callback",
            ),
            (
                "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
                "[\"access:services!service=whoami\",\"access:services\"]",
            ),
            (
                "JUPYTERHUB_PUBLIC_URL",
                "https://hub.example.org/jhub/services/whoami/",
            ),
            ("PATH", "the hub's PATH"),
            ("HOME", "the hub's HOME"),
        ] {
            assert_eq!(env.get(name), Some(value), "{name}");
        }
        assert_eq!(env.get("SECRET_OF_THE_HUB"), None);
    }

    #[test]
    fn one_without_an_address_has_none_and_the_administrator_has_the_last_word() {
        let keys = "environment = { JUPYTERHUB_HOST = 'x', HUBD_LAUNCH_ID = 'forged', A = 'b' }";
        let service = service(keys);
        let ctx = context(&service);
        let env = environment(&service, &ctx, |_| None);
        for name in [
            "PATH",
            "JUPYTERHUB_SERVICE_URL",
            "JUPYTERHUB_SERVICE_PREFIX",
            "JUPYTERHUB_OAUTH_CALLBACK_URL",
        ] {
            assert_eq!(env.get(name), None, "{name}");
        }
        assert_eq!(
            (env.get("JUPYTERHUB_HOST"), env.get("A")),
            (Some("x"), Some("b"))
        );
        assert_eq!(env.get(LAUNCH_MARKER), Some(ctx.launch_id.as_str()));
    }
}
