//! The harness speaks to a real Jupyter server as it says, shown without a hub: a small server in
//! this process answers the three questions that `jupyterhub-singleuser` has for one.

use std::path::PathBuf;
use std::process::Stdio;

use http::{Method, Request, StatusCode};
use hub_tests::browser::Browser;
use hub_tests::kernel::{self, Kernel, Protocol};
use hub_tests::loopback::{Answer, Loopback};
use hub_tests::processes::{self, SERVER_MARK};
use hub_tests::venv::Venv;
use hub_tests::wait::until;
use hyper::body::Incoming;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::launcher::Launcher;

/// As much of a hub as a server needs to start and to let one visitor in.
async fn hub(request: Request<Incoming>) -> Answer {
    let query = request.uri().query().unwrap_or_default();
    match request.uri().path() {
        "/hub/api/oauth2/authorize" => {
            let state = query.split('&').find(|pair| pair.starts_with("state="));
            let state = state.unwrap_or_default();
            Answer::found(&format!("/user/tee/oauth_callback?code=c&{state}"))
        }
        "/hub/api/oauth2/token" => Answer::json(&json!({ "access_token": "visitor" })),
        "/hub/api/user" => Answer::json(&json!({
            "kind": "user", "name": "tee", "scopes": ["access:servers!user=tee"],
        })),
        _ => Answer::json(&json!({ "version": "6.1.1" })).header("x-jupyterhub-version", "6.1.1"),
    }
}

#[tokio::test]
async fn a_kernel_answers_in_both_protocols() {
    let Some(venv) = Venv::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let _server = Ends(folder.path().to_owned());
    let hub = Loopback::start(hub).await;
    let api = format!("{}/hub/api", hub.origin());
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let origin = format!("http://{free}");
    let command = Launcher::SingleUser.command(&venv);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut server = Command::new(&command[0])
        .args(&command[1..])
        .env("HOME", folder.path())
        .env(SERVER_MARK, folder.path())
        .env("JUPYTERHUB_SERVICE_URL", format!("{origin}/user/tee/"))
        .env("JUPYTERHUB_SERVICE_PREFIX", "/user/tee/")
        .env("JUPYTERHUB_API_URL", &api)
        .env("JUPYTERHUB_API_TOKEN", "secret")
        .env("JUPYTERHUB_CLIENT_ID", "jupyterhub-user-tee")
        .env(
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES",
            r#"["access:servers!user=tee"]"#,
        )
        .env("JUPYTERHUB_USER", "tee")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    until("the server to listen", async || {
        if let Some(status) = server.try_wait().unwrap() {
            let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
            panic!("it ended with {status}: {log}");
        }
        let request = Request::get(format!("{origin}/user/tee/api"));
        hub_tests::http::try_send(request.body(http_body_util::Full::default()).unwrap()).await
    })
    .await;

    // There is no proxy here: the browser is led to the hub by hand, which is one hop.
    let mut browser = Browser::new(&origin);
    let page = browser.look("/user/tee/lab").await;
    let authorize = page
        .reply
        .location()
        .expect("a redirect to the hub")
        .to_owned();
    let back = Browser::new(&hub.origin()).look(&authorize).await;
    let page = browser
        .get(back.reply.location().expect("a redirect back"))
        .await;
    assert_eq!((page.status(), page.url.path()), (200, "/user/tee/lab"));

    for protocol in [Protocol::V1, Protocol::Json] {
        let kernel = Kernel::start(&mut browser, "/user/tee/").await;
        let mut channel = kernel.connect(&browser, protocol).await;
        assert_eq!(channel.protocol(), protocol);
        assert_eq!(channel.run("1+1").await, "2");
        assert_eq!(channel.run("x = 3").await, "");
        assert_eq!(channel.run("'ü' * x").await, "'üüü'");
        let path = kernel.channels();
        let foreign = kernel::open(&browser, &path, "http://other.example", None).await;
        assert_eq!(foreign.unwrap_err(), StatusCode::FORBIDDEN);
    }
    let stranger = Browser::new(&origin)
        .fetch(Method::GET, "/user/tee/api/kernels", None)
        .await;
    assert_eq!(stranger.status, StatusCode::FORBIDDEN);
}

/// Ends the processes of a folder, however the test ends.
struct Ends(PathBuf);

impl Drop for Ends {
    fn drop(&mut self) {
        processes::end_all(&self.0);
    }
}
