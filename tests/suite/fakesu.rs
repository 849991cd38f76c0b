//! The pretend single-user server does what its table of knobs says.

use std::path::Path;
use std::process::Stdio;

use http::{Request, StatusCode};
use http_body_util::Full;
use hub_tests::browser::Browser;
use hub_tests::http::{Reply, send, try_send};
use hub_tests::processes::{self, SERVER_MARK};
use hub_tests::wait::{until, within};
use hub_tests::{kernel, programs};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// A running `fakesu`; what is left of it ends with this value.
struct Fake {
    child: Child,
    origin: String,
    folder: TempDir,
}

impl Fake {
    async fn start(knobs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let origin = format!("http://{free}");
        let mut command = Command::new(programs::fakesu());
        command
            .env("JUPYTERHUB_SERVICE_URL", format!("{origin}/user/tee/"))
            .env("JUPYTERHUB_SERVICE_PREFIX", "/user/tee/")
            .env(SERVER_MARK, folder.path())
            .envs(knobs.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        Self {
            child: command.spawn().unwrap(),
            origin,
            folder,
        }
    }

    async fn get(&self, path: &str) -> Result<Reply, String> {
        let request = Request::get(format!("{}/user/tee/{path}", self.origin));
        try_send(request.body(Full::default()).unwrap()).await
    }

    async fn up(&self) -> Reply {
        until("fakesu to listen", async || self.get("api").await).await
    }

    async fn code(&mut self) -> Option<i32> {
        within("fakesu to exit", self.child.wait())
            .await
            .unwrap()
            .code()
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it has not been waited for");
        kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        processes::end_all(self.folder.path());
    }
}

#[tokio::test]
async fn answers_below_its_prefix() {
    let mut fake = Fake::start(&[("FAKESU_SAY", "here I am")]).await;
    assert_eq!(fake.up().await.json()["version"], "2.21.1");
    assert_eq!(
        fake.get("env").await.unwrap().json()["FAKESU_SAY"],
        "here I am"
    );
    let process = fake.get("process").await.unwrap().json();
    assert_eq!(process["pid"], fake.child.id().unwrap());
    assert_eq!(process["descriptors"]["0"], "/dev/null");

    let request = Request::post(format!("{}/user/tee/lab/tree?x=%2F", fake.origin))
        .header("x-forwarded-for", "10.0.0.1")
        .body(Full::from("12345"))
        .unwrap();
    let seen = send(request).await.json();
    assert_eq!(
        (&seen["method"], &seen["length"]),
        (&"POST".into(), &5.into())
    );
    assert_eq!(seen["target"], "/user/tee/lab/tree?x=%2F");
    let headers = seen["headers"].as_array().unwrap();
    assert!(
        headers.contains(&serde_json::json!(["x-forwarded-for", "10.0.0.1"])),
        "{seen}"
    );

    assert_eq!(
        fake.get("exit?code=7").await.unwrap().status,
        StatusCode::OK
    );
    assert_eq!(fake.code().await, Some(7));
}

#[tokio::test]
async fn echoes_over_a_web_socket() {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;

    let fake = Fake::start(&[]).await;
    fake.up().await;
    let browser = Browser::new(&fake.origin);
    let opened = kernel::open(&browser, "/user/tee/echo", &fake.origin, None).await;
    let (mut socket, _) = opened.unwrap();
    socket.send(Message::text("one")).await.unwrap();
    socket.send(Message::binary(vec![0, 255])).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("one"));
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::binary(vec![0, 255])
    );
    let refused = kernel::open(&browser, "/user/tee/lab", &fake.origin, None).await;
    assert_eq!(refused.unwrap_err(), StatusCode::OK);
}

#[tokio::test]
async fn exits_with_the_code_and_the_line_asked_for() {
    let fake = Fake::start(&[("FAKESU_SAY", "no kernel today"), ("FAKESU_EXIT", "3")]).await;
    let Fake { child, .. } = &mut { fake };
    let stderr = child.stderr.take().unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut { stderr }, &mut said)
        .await
        .unwrap();
    assert_eq!(said, "no kernel today\n");
    assert_eq!(
        within("the exit", child.wait()).await.unwrap().code(),
        Some(3)
    );
}

#[tokio::test]
async fn a_file_of_knobs_comes_before_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("knobs");
    std::fs::write(&file, "FAKESU_STATUS=503\n").unwrap();
    let text = file.to_str().unwrap();
    let fake = Fake::start(&[("FAKESU_KNOBS", text), ("FAKESU_STATUS", "404")]).await;
    assert_eq!(fake.up().await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn leaves_on_sigterm_unless_it_is_told_not_to() {
    let mut obedient = Fake::start(&[]).await;
    obedient.up().await;
    obedient.signal(Signal::SIGTERM);
    assert_eq!(obedient.code().await, Some(0));

    let mut stubborn = Fake::start(&[("FAKESU_IGNORE_TERM", "1")]).await;
    stubborn.up().await;
    stubborn.signal(Signal::SIGTERM);
    stubborn.signal(Signal::SIGINT);
    assert_eq!(
        stubborn.up().await.status,
        StatusCode::OK,
        "it is still there"
    );
    stubborn.signal(Signal::SIGKILL);
    assert_eq!(stubborn.code().await, None);
}

#[tokio::test]
async fn its_child_outlives_it_until_it_is_ended_by_its_mark() {
    let mut fake = Fake::start(&[("FAKESU_CHILD", "own")]).await;
    fake.up().await;
    let alive = |folder: &Path| processes::servers_of(folder);
    let path = fake.folder.path().to_owned();
    until("a child with a session of its own", async || {
        let found = alive(&path);
        let own = found
            .iter()
            .filter(|process| process.session == process.pid)
            .count();
        if found.len() == 2 && own == 1 {
            Ok(())
        } else {
            Err(format!("{found:#?}"))
        }
    })
    .await;
    fake.signal(Signal::SIGTERM);
    fake.code().await;
    assert_eq!(alive(&path).len(), 1);
    processes::end_all(&path);
    assert_eq!(alive(&path), []);
}

#[tokio::test]
async fn never_listens_if_told_so() {
    let mut fake = Fake::start(&[
        ("FAKESU_SAY", "up to no good"),
        ("FAKESU_NEVER_LISTEN", "1"),
    ])
    .await;
    let mut line = [0; 14];
    let stderr = fake.child.stderr.as_mut().unwrap();
    tokio::io::AsyncReadExt::read_exact(stderr, &mut line)
        .await
        .unwrap();
    assert_eq!(&line, b"up to no good\n");
    assert!(fake.get("api").await.unwrap_err().contains("refused"));
    fake.signal(Signal::SIGTERM);
    assert_eq!(fake.code().await, Some(0));
}
