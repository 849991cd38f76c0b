//! Free ports of this host.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

/// How many recent answers are not given again.
const REMEMBERED: usize = 512;
/// How often the kernel is asked before an answer is taken although it was given before.
const TRIES: usize = 64;

/// Ports given out a moment ago: the kernel may offer one again before its server has bound it,
/// which in a burst of starts is no rare event.
static RECENT: Mutex<VecDeque<u16>> = Mutex::new(VecDeque::new());

/// A port that nobody listens on, for a server that will bind it in a moment.
///
/// Between this answer and that bind another program can take the port. The start then fails
/// because the server exits; it is not this function that can prevent it.
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
