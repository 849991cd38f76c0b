//! Where a server listens, and where the hub reaches it. In a container the two differ.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the server is told to listen, as the server itself sees it; it becomes
/// `JUPYTERHUB_SERVICE_URL`.
///
/// ```
/// use spawner_core::{Endpoint, ListenOn};
///
/// let everywhere = ListenOn::Tcp { ip: None, port: 8888 };
/// let here = Endpoint::Tcp { host: "127.0.0.1".into(), port: 8888 };
/// assert_eq!(everywhere.local_endpoint(), here);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListenOn {
    /// A TCP port; `ip: None` means every interface (the seed's empty `ip`).
    Tcp {
        /// The address to bind.
        ip: Option<IpAddr>,
        /// The port to bind.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// Where the socket is made.
        path: PathBuf,
    },
}

/// Where the hub and the proxy reach the server; the seed's `(ip, port)` that `start` returns.
///
/// Example: see [`ListenOn`](crate::ListenOn).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// A TCP port.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix {
        /// Where the socket is.
        path: PathBuf,
    },
}

impl ListenOn {
    /// The endpoint of a server on this host: what it listens on, with "every interface" reached
    /// over loopback.
    ///
    /// Example: see [`ListenOn`](crate::ListenOn).
    pub fn local_endpoint(&self) -> Endpoint {
        match self {
            Self::Tcp { ip: Some(ip), port } if !ip.is_unspecified() => Endpoint::Tcp {
                host: ip.to_string(),
                port: *port,
            },
            Self::Tcp {
                ip: Some(IpAddr::V6(_)),
                port,
            } => Endpoint::Tcp {
                host: "::1".into(),
                port: *port,
            },
            Self::Tcp { port, .. } => Endpoint::Tcp {
                host: "127.0.0.1".into(),
                port: *port,
            },
            Self::Unix { path } => Endpoint::Unix { path: path.clone() },
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_is_reached_over_loopback() {
        let listen = ListenOn::Tcp { ip: None, port: 80 };
        assert_eq!(listen.local_endpoint().to_string(), "http://127.0.0.1:80");
        let listen = ListenOn::Tcp {
            ip: Some("::".parse().unwrap()),
            port: 80,
        };
        assert_eq!(listen.local_endpoint().to_string(), "http://[::1]:80");
    }
}
