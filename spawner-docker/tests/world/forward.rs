//! A socket in front of the engine's, which a test can cut.

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where an engine is when nothing says otherwise.
const LOCAL: &str = "unix:///var/run/docker.sock";

/// Carries connections to the engine until it is cut.
pub(crate) struct Forwarder {
    folder: TempDir,
    cut: watch::Sender<bool>,
    /// How many connections are open.
    open: watch::Receiver<usize>,
    _tasks: JoinSet<()>,
}

impl Forwarder {
    /// `None` if the engine is not at a socket of this host.
    pub(crate) fn open() -> Option<Self> {
        let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| LOCAL.to_owned());
        let engine = host.strip_prefix("unix://")?.to_owned();
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
        let (cut, is_cut) = watch::channel(false);
        let (count, open) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let (engine, mut is_cut, count) = (engine.clone(), is_cut.clone(), count.clone());
                connections.spawn(async move {
                    count.send_modify(|count| *count += 1);
                    let carry = async {
                        if let Ok(mut far) = UnixStream::connect(engine).await {
                            let _ = copy_bidirectional(&mut near, &mut far).await;
                        }
                    };
                    tokio::select! {
                        () = carry => {}
                        _ = is_cut.wait_for(|cut| *cut) => {}
                    }
                    count.send_modify(|count| *count -= 1);
                });
            }
        });
        Some(Self {
            folder,
            cut,
            open,
            _tasks: tasks,
        })
    }

    /// As a configuration names it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}/engine.sock", self.folder.path().display())
    }

    /// Ends every connection, and each new one at once. Returns when the open ones are gone.
    pub(crate) async fn sever(&self) {
        self.cut.send_replace(true);
        let _ = self.open.clone().wait_for(|open| *open == 0).await;
    }

    /// Carries connections again.
    pub(crate) fn mend(&self) {
        self.cut.send_replace(false);
    }
}
