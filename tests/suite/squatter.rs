//! Somebody takes the port of a server between its choice and the server's bind. The start goes on at
//! another port, and no visitor is led to the stranger.

use std::fs::write;
use std::net::TcpListener as Listener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use http::request::Parts;
use hub_tests::hub::TestHub;
use hub_tests::loopback::{Answer, serve};
use hub_tests::programs;
use hub_tests::setup::Setup;
use hub_tests::visit::Visitor;
use hub_tests::wait::within;
use nix::sys::stat::Mode;
use nix::unistd::{Uid, geteuid, mkfifo, setfsuid};
use tokio::net::TcpListener;
use tokio::task::{JoinSet, spawn_blocking};
use url::Url;

const NOBODY: u32 = 65534;
/// Runs the program `$2`, but the first time it tells where that would listen, and waits to be let
/// go on.
const HESITANT: &str = r#"
    if mkdir "$1/once" 2>/dev/null; then
        echo "$JUPYTERHUB_SERVICE_URL" > "$1/url"
        read go < "$1/go"
    fi
    exec "$2"
"#;

/// Two pipes to a server that hesitates.
struct Hesitant(tempfile::TempDir);

impl Hesitant {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for pipe in ["url", "go"] {
            mkfifo(&folder.path().join(pipe), Mode::S_IRWXU).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn pipe(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    async fn hub(&self) -> TestHub {
        let folder = self.path().to_str().unwrap();
        let program = programs::fakesu();
        let cmd = [
            "sh",
            "-c",
            HESITANT,
            "sh",
            folder,
            program.to_str().unwrap(),
        ];
        Setup::new().set("spawner.cmd", cmd.to_vec()).start().await
    }

    /// The port that its server was told to listen on.
    async fn port(&self) -> u16 {
        let pipe = self.pipe("url");
        let read = spawn_blocking(move || std::fs::read_to_string(pipe));
        let url = within("the server to be started", read).await.unwrap();
        let url: Url = url.unwrap().trim().parse().unwrap();
        url.port().unwrap()
    }

    async fn go_on(&self) {
        let pipe = self.pipe("go");
        let write = spawn_blocking(move || write(pipe, "go\n"));
        within("the server to go on", write).await.unwrap().unwrap();
    }
}

/// Takes a port, as another account if this one can.
fn squat(port: u16) -> TcpListener {
    let take = move || {
        if geteuid().is_root() {
            // What this one thread makes is nobody's.
            setfsuid(Uid::from_raw(NOBODY));
        }
        Listener::bind(("127.0.0.1", port)).unwrap()
    };
    let listener = thread::spawn(take).join().unwrap();
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(listener).unwrap()
}

/// The server is ready, and it is the real one.
async fn arrives(hub: &TestHub, tee: &mut Visitor, squatted: u16) {
    tee.watch().await;
    let page = tee.enter().await;
    assert_eq!(page.status(), 200);
    assert!(
        page.reply.text().contains("\"target\""),
        "{}",
        page.reply.text()
    );
    assert!(hub.log().contains("trying another address"));
    let environment = tee.browser.get("/user/tee/env").await.reply.json();
    let url: Url = environment["JUPYTERHUB_SERVICE_URL"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(url.port(), Some(squatted));
    assert_eq!(hub.servers().len(), 1, "{:#?}", hub.servers());
}

#[tokio::test]
async fn a_stranger_who_answers_sees_the_probe_and_no_visitor() {
    let hesitant = Hesitant::new();
    let hub = hesitant.hub().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    let offer = tee.arrive().await;
    tee.press_start(&offer).await;

    let port = hesitant.port().await;
    let seen: Arc<Mutex<Vec<Parts>>> = Arc::default();
    let mut squatter = JoinSet::new();
    let note = Arc::clone(&seen);
    squatter.spawn(serve(squat(port), move |request| {
        note.lock().unwrap().push(request.into_parts().0);
        async { Answer::json(&serde_json::json!({"version": "2.21.1"})) }
    }));
    // The server still hesitates: who answers is not it.
    arrives(&hub, &mut tee, port).await;

    let seen = seen.lock().unwrap();
    assert!(
        !seen.is_empty(),
        "the stranger was not asked, so this shows nothing"
    );
    for request in &*seen {
        assert_eq!(
            (request.method.as_str(), request.uri.path()),
            ("GET", "/user/tee/api")
        );
        for secret in ["cookie", "authorization", "x-xsrftoken"] {
            assert!(!request.headers.contains_key(secret), "{request:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_ends_because_its_port_was_taken_gets_another() {
    let hesitant = Hesitant::new();
    let hub = hesitant.hub().await;
    let mut tee = Visitor::new(hub.browser(), "tee");
    let offer = tee.arrive().await;
    tee.press_start(&offer).await;

    let port = hesitant.port().await;
    // One that listens, and never answers.
    let _squatter = squat(port);
    hesitant.go_on().await;
    arrives(&hub, &mut tee, port).await;
}
