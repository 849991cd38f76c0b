//! Free ports of this host.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::config::SpawnerConfig;
use crate::endpoint::ListenOn;
use crate::error::{SpawnError, SpawnErrorKind};

/// How many recent answers are not given again.
const REMEMBERED: usize = 512;
/// How often the kernel is asked before an answer is taken although it was given before.
const TRIES: usize = 64;

/// Ports given out a moment ago: the kernel may offer one again before its server has bound it,
/// which in a burst of starts is no rare event.
static RECENT: Mutex<VecDeque<u16>> = Mutex::new(VecDeque::new());

/// The default of [`Spawner::listen_on`](crate::Spawner::listen_on): the configured `ip`, and `port`
/// or a free port of this host.
///
/// ```
/// use spawner_core::{ListenOn, SpawnerConfig, base_listen_on};
///
/// let chosen = base_listen_on(&SpawnerConfig::default())?;
/// assert!(matches!(chosen, ListenOn::Tcp { ip: Some(_), port: 1.. }));
/// # Ok::<(), spawner_core::SpawnError>(())
/// ```
pub fn base_listen_on(config: &SpawnerConfig) -> Result<ListenOn, SpawnError> {
    let ip = match config.ip.as_str() {
        "" => None,
        ip => Some(
            ip.trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .map_err(|source| {
                    let message = format!("The configured `ip` is not an address: \"{ip}\".");
                    SpawnError::new(SpawnErrorKind::Refused, message).with_source(source)
                })?,
        ),
    };
    let port = match config.port {
        0 => free_port(ip).map_err(|source| {
            SpawnError::other("No free port could be found.").with_source(source)
        })?,
        port => port,
    };
    Ok(ListenOn::Tcp { ip, port })
}

/// A port that nobody listens on, for a server that will bind it in a moment.
///
/// Between this answer and that bind another program can take the port. The start then fails
/// because the server exits; it is not this function that can prevent it.
///
/// ```
/// let port = spawner_core::free_port(Some([127, 0, 0, 1].into()))?;
/// assert_ne!(port, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn free_port(ip: Option<IpAddr>) -> io::Result<u16> {
    let ip = ip.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let mut recent = RECENT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut port = 0;
    // Kept open while asking, or the kernel could give the same answer each time.
    let mut held = Vec::new();
    for _ in 0..TRIES {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0))
            .or_else(|_| TcpListener::bind(SocketAddr::new([0, 0, 0, 0].into(), 0)))?;
        port = listener.local_addr()?.port();
        if !recent.contains(&port) {
            break;
        }
        held.push(listener);
    }
    if recent.len() == REMEMBERED {
        recent.pop_front();
    }
    recent.push_back(port);
    Ok(port)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_burst_gets_different_ports() {
        let ports: HashSet<u16> = (0..200).map(|_| free_port(None).unwrap()).collect();
        assert_eq!(ports.len(), 200);
    }
}
