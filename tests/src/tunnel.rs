//! A way for containers to a hub that listens on loopback alone, as the hub of a test does.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Takes connections on every address of this host and carries them to one of loopback.
pub struct Tunnel {
    port: u16,
    to: watch::Sender<Option<SocketAddr>>,
    _server: JoinSet<()>,
}

impl Tunnel {
    /// One that has a port already and carries nothing yet: connections wait.
    pub async fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await;
        let listener = listener.expect("a free port");
        let port = listener.local_addr().expect("a bound socket").port();
        let (to, target) = watch::channel(None);
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let mut target = target.clone();
                connections.spawn(async move {
                    let Ok(address) = target.wait_for(Option::is_some).await.map(|found| *found)
                    else {
                        return;
                    };
                    if let Some(address) = address
                        && let Ok(mut far) = TcpStream::connect(address).await
                    {
                        let _ = copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
        Self {
            port,
            to,
            _server: server,
        }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Carries to `origin`, `http://127.0.0.1:PORT`.
    pub fn lead_to(&self, origin: &str) {
        let address = origin.trim_start_matches("http://").parse();
        self.to
            .send_replace(Some(address.expect("an origin with an address")));
    }
}
