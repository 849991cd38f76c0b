//! The data of one run of one server: what a spawner needs to know of the hub, and no more.

use std::fmt::Write as _;

use crate::endpoint::ListenOn;
use crate::ids::{LaunchId, ServerId};
use crate::options::UserOptions;
use crate::secret::Secret;

/// Everything that is known of a run before it starts. The hub makes it; the owner task fills in
/// `listen`.
///
/// ```
/// use spawner_core::{
///     HubUrls, LaunchId, ListenOn, OauthClient, Secret, ServerId, SpawnContext, SpawnerConfig,
///     UserName, UserOptions, base_args, base_env,
/// };
///
/// let mut ctx = SpawnContext {
///     server: ServerId::default_of(UserName::new("tee")?),
///     launch_id: LaunchId::random(),
///     token: Secret::new("of this server alone"),
///     options: UserOptions::default(),
///     listen: None,
///     hub: HubUrls {
///         base_url: "/".into(),
///         api_url: "http://127.0.0.1:8000/hub/api".into(),
///         host: String::new(),
///         public_url: None,
///     },
///     oauth: OauthClient {
///         client_id: "jupyterhub-user-tee".into(),
///         access_scopes: vec!["access:servers!server=tee/".into()],
///         allowed_scopes: Vec::new(),
///     },
/// };
/// assert_eq!(ctx.service_prefix(), "/user/tee/");
/// assert_eq!(ctx.hub.hub_prefix(), "/hub/");
/// ctx.listen = Some(ListenOn::Tcp { ip: None, port: 8888 });
/// assert_eq!(ctx.service_url(), "http://:8888/user/tee/");
///
/// // What a spawner makes of it by default:
/// let config = SpawnerConfig::default();
/// assert_eq!(base_env(&config, &ctx).get("JUPYTERHUB_USER"), Some("tee"));
/// assert!(base_args(&config, &ctx).is_empty());
/// # Ok::<(), spawner_core::NameError>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpawnContext {
    /// Which server is started.
    pub server: ServerId,
    /// Which run of it.
    pub launch_id: LaunchId,
    /// The server's own API token, and its OAuth client secret.
    pub token: Secret,
    /// What the user chose; passed `check_options`.
    pub options: UserOptions,
    /// Where the server shall listen. `None` only while [`Spawner::listen_on`] is being asked.
    ///
    /// [`Spawner::listen_on`]: crate::Spawner::listen_on
    pub listen: Option<ListenOn>,
    /// Where the hub is.
    pub hub: HubUrls,
    /// The server as a client of the hub's OAuth provider.
    pub oauth: OauthClient,
}

/// Where the hub is, as the server and its visitors see it.
///
/// Example: see [`SpawnContext`](crate::SpawnContext).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubUrls {
    /// The public prefix of everything, `/` or `/some/path/`.
    pub base_url: String,
    /// The root of the REST API as the *server* reaches it, without a slash at the end.
    pub api_url: String,
    /// `scheme://host[:port]` put before redirects to the hub, or empty for the same origin.
    pub host: String,
    /// The full public URL of the hub's origin, if it is configured; no slash at the end.
    pub public_url: Option<String>,
}

/// The server as an OAuth client.
///
/// Example: see [`SpawnContext`](crate::SpawnContext).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// Its id; also the name of the cookie that the server sets.
    pub client_id: String,
    /// A visitor needs any one of these.
    pub access_scopes: Vec<String>,
    /// What the server's OAuth tokens may carry beyond access to it.
    pub allowed_scopes: Vec<String>,
}

impl HubUrls {
    /// The prefix of the hub's own pages: `/hub/` below the base.
    ///
    /// Example: see [`SpawnContext`](crate::SpawnContext).
    pub fn hub_prefix(&self) -> String {
        format!("{}hub/", self.base_url)
    }
}

impl SpawnContext {
    /// The prefix of the server's URLs: `/user/NAME/` or `/user/NAME/SERVER/` below the base, with
    /// the name percent-encoded.
    ///
    /// Example: see [`SpawnContext`](crate::SpawnContext).
    pub fn service_prefix(&self) -> String {
        service_prefix(&self.hub.base_url, &self.server)
    }

    /// The URL that tells the server where to bind (`JUPYTERHUB_SERVICE_URL`); empty while no
    /// address was chosen. An empty host means every interface.
    ///
    /// Example: see [`SpawnContext`](crate::SpawnContext).
    pub fn service_url(&self) -> String {
        let prefix = self.service_prefix();
        match &self.listen {
            None => String::new(),
            Some(ListenOn::Tcp { ip: None, port }) => format!("http://:{port}{prefix}"),
            Some(ListenOn::Tcp { ip: Some(ip), port }) if ip.is_ipv6() => {
                format!("http://[{ip}]:{port}{prefix}")
            }
            Some(ListenOn::Tcp { ip: Some(ip), port }) => format!("http://{ip}:{port}{prefix}"),
            Some(ListenOn::Unix { path }) => {
                let path = path.to_string_lossy();
                format!("http+unix://{}{prefix}", percent_encode(&path, |_| false))
            }
        }
    }

    /// Where the server posts its activity.
    ///
    /// Example: see [`SpawnContext`](crate::SpawnContext).
    pub fn activity_url(&self) -> String {
        let user = percent_encode(self.server.user.as_str(), keep_at);
        format!("{}/users/{user}/activity", self.hub.api_url)
    }
}

/// The prefix below which `server` is served: `{base_url}user/NAME/` or
/// `{base_url}user/NAME/SERVER/`.
///
/// Escapes all but the unreserved characters of RFC 3986 and `@`, as JupyterHub does.
///
/// ```
/// use spawner_core::{ServerId, ServerName, UserName, service_prefix};
///
/// let server = ServerId::new(UserName::new("a+b")?, ServerName::new("proj")?);
/// assert_eq!(service_prefix("/hub/", &server), "/hub/user/a%2Bb/proj/");
/// # Ok::<(), spawner_core::NameError>(())
/// ```
pub fn service_prefix(base_url: &str, server: &ServerId) -> String {
    let user = percent_encode(server.user.as_str(), keep_at);
    if server.server.is_default() {
        format!("{base_url}user/{user}/")
    } else {
        format!("{base_url}user/{user}/{}/", server.server)
    }
}

fn keep_at(byte: u8) -> bool {
    byte == b'@'
}

/// Percent-encodes all but the unreserved characters and those that `keep` names.
fn percent_encode(text: &str, keep: impl Fn(u8) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || keep(byte) {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ids::{ServerName, UserName};

    /// A context for tests of other modules.
    pub(crate) fn context(user: &str, server: &str) -> SpawnContext {
        let id = ServerId::new(
            UserName::new(user).unwrap(),
            ServerName::new(server).unwrap(),
        );
        SpawnContext {
            server: id,
            launch_id: LaunchId::random(),
            token: Secret::new("the-token"),
            options: UserOptions::default(),
            listen: Some(ListenOn::Tcp {
                ip: Some("127.0.0.1".parse().unwrap()),
                port: 4321,
            }),
            hub: HubUrls {
                base_url: "/".into(),
                api_url: "http://127.0.0.1:8000/hub/api".into(),
                host: String::new(),
                public_url: None,
            },
            oauth: OauthClient {
                client_id: format!("jupyterhub-user-{user}"),
                access_scopes: vec![format!("access:servers!server={user}/{server}")],
                allowed_scopes: Vec::new(),
            },
        }
    }

    #[test]
    fn urls_are_the_contracts() {
        let mut ctx = context("tee", "");
        assert_eq!(ctx.service_url(), "http://127.0.0.1:4321/user/tee/");
        assert_eq!(
            ctx.activity_url(),
            "http://127.0.0.1:8000/hub/api/users/tee/activity"
        );
        ctx.listen = Some(ListenOn::Tcp {
            ip: None,
            port: 8888,
        });
        assert_eq!(ctx.service_url(), "http://:8888/user/tee/");
        ctx.listen = Some(ListenOn::Tcp {
            ip: Some("::1".parse().unwrap()),
            port: 1,
        });
        assert_eq!(ctx.service_url(), "http://[::1]:1/user/tee/");
        ctx.listen = Some(ListenOn::Unix {
            path: "/run/s.sock".into(),
        });
        assert_eq!(ctx.service_url(), "http+unix://%2Frun%2Fs.sock/user/tee/");
    }

    #[test]
    fn names_are_escaped_but_for_at() {
        assert_eq!(context("a@b", "").service_prefix(), "/user/a@b/");
        assert_eq!(context("a+b", "proj").service_prefix(), "/user/a%2Bb/proj/");
    }
}
