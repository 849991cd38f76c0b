//! Services: started, routed to, started again, and gone with the hub.

use std::fs;

use futures_util::{SinkExt as _, StreamExt as _};
use http::{Method, Request, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::kernel;
use hub_tests::loopback::{Answer, Loopback};
use hub_tests::programs;
use hub_tests::setup::{PASSWORD, Setup};
use hub_tests::wait::until;
use hyper::body::Incoming;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

/// An address that nobody listens at.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

/// A hub that starts `fakesu` as the service `pretend`, without a token in its configuration.
async fn hub_with_pretend() -> TestHub {
    let url = free_address().await;
    let command = programs::fakesu().display().to_string();
    let mut service = toml::toml! {
        name = "pretend"
        [environment]
        FAKESU_SAY = "here I am"
        FAKESU_CHILD = "own"
    };
    service.insert("command".into(), command.into());
    service.insert("url".into(), url.into());
    let role = toml::toml! {
        name = "pretend"
        scopes = ["list:users", "read:services:name"]
        services = ["pretend"]
    };
    let setup = Setup::new().add("service", service).add("role", role);
    setup.start().await
}

/// What the service tells of itself at this path, once it runs.
async fn told(hub: &TestHub, path: &str) -> Value {
    until("the service to answer", async || {
        let path = format!("/services/pretend/{path}");
        let reply = hub.admin().send(Method::GET, &path, &[], "").await;
        match reply.status {
            StatusCode::OK => Ok(reply.json()),
            status => Err(format!("{status}: {}", reply.text())),
        }
    })
    .await
}

#[tokio::test]
async fn a_managed_service_is_routed_to_and_acts_for_itself() {
    let hub = hub_with_pretend().await;
    let env = told(&hub, "env").await;
    let variable = |name: &str| env[name].as_str().unwrap_or_default();
    for (name, value) in [
        ("JUPYTERHUB_SERVICE_NAME", "pretend"),
        ("JUPYTERHUB_SERVICE_PREFIX", "/services/pretend/"),
        ("JUPYTERHUB_CLIENT_ID", "service-pretend"),
        ("JUPYTERHUB_BASE_URL", "/"),
    ] {
        assert_eq!(variable(name), value, "{name}");
    }
    assert_eq!(
        variable("JUPYTERHUB_API_URL"),
        format!("{}/hub/api", hub.origin())
    );
    assert_eq!(env["JUPYTERHUB_USER"], Value::Null);

    let own = hub.api(Some(variable("JUPYTERHUB_API_TOKEN")));
    let user = own.get("/user").await.json();
    assert_eq!(
        (&user["kind"], &user["name"]),
        (&"service".into(), &"pretend".into())
    );
    assert_eq!(own.get("/users").await.status, StatusCode::OK);
    assert_eq!(
        own.post("/users/eve", None).await.status,
        StatusCode::FORBIDDEN
    );

    // The whole path arrives, and of the cookies not the hub's login.
    let cookies = [(
        "cookie",
        "a=1; jupyterhub-hub-login=secret; jupyterhub-session-id=s",
    )];
    let path = "/services/pretend/x%20y/?q=1";
    let seen = hub.admin().send(Method::GET, path, &cookies, "").await;
    let seen = seen.text();
    assert!(seen.contains("x%20y/?q=1"), "{seen}");
    assert!(seen.contains("a=1; jupyterhub-session-id=s"), "{seen}");
    assert!(!seen.contains("secret"), "{seen}");

    let mut browser = hub.browser();
    browser.log_in("/hub/home", "tee", PASSWORD).await;
    let path = "/services/pretend/echo";
    let opened = kernel::open(&browser, path, browser.origin(), None).await;
    let (mut socket, _) = opened.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    let echo = socket.next().await.unwrap().unwrap();
    assert_eq!(echo, Message::text("hello"));
}

#[tokio::test]
async fn a_service_that_ends_is_started_again_with_a_new_token() {
    let hub = hub_with_pretend().await;
    let token = |env: &Value| env["JUPYTERHUB_API_TOKEN"].as_str().unwrap().to_owned();
    let first = token(&told(&hub, "env").await);
    let pid = told(&hub, "process").await["pid"].clone();
    hub.admin()
        .send(Method::GET, "/services/pretend/exit?code=3", &[], "")
        .await;
    let second = until("another process", async || {
        let process = told(&hub, "process").await;
        if process["pid"] == pid {
            return Err(process.to_string());
        }
        Ok(token(&told(&hub, "env").await))
    })
    .await;
    assert_eq!(
        hub.api(Some(&first)).get("/user").await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        hub.api(Some(&second)).get("/user").await.status,
        StatusCode::OK
    );
    let log = hub.state_dir().join("services/pretend.log");
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("here I am").count(), 2, "{log}");
}

#[tokio::test]
async fn there_are_never_two_whatever_becomes_of_the_hub() {
    let mut hub = hub_with_pretend().await;
    let first = told(&hub, "process").await["pid"].clone();
    hub.kill().await;
    // Nobody told it.
    let running = hub.servers();
    assert!(
        running.iter().any(|process| first == process.pid),
        "{running:?}"
    );
    hub.start_again().await;
    until("the new one alone", async || {
        let process = told(&hub, "process").await;
        let left = hub.servers();
        let old = left.iter().any(|process| first == process.pid);
        // It and its child.
        if process["pid"] != first && !old && left.len() == 2 {
            return Ok(());
        }
        Err(format!("{left:#?}"))
    })
    .await;
    hub.terminate().await;
    assert_eq!(hub.servers(), [], "its whole tree ends with the hub");
}

#[tokio::test]
async fn one_that_cannot_be_started_costs_the_hub_nothing() {
    let service = toml::toml! {
        name = "broken"
        command = "/nowhere/at/all"
    };
    let hub = Setup::new().add("service", service).start().await;
    until("the log to tell", async || {
        let log = hub.log();
        let told = log.contains("service cannot be started") && log.contains("/nowhere/at/all");
        if told { Ok(()) } else { Err(log) }
    })
    .await;
    assert_eq!(hub.admin().get("/users").await.status, StatusCode::OK);
    let page = hub
        .admin()
        .send(Method::GET, "/services/broken/", &[], "")
        .await;
    assert_eq!(page.status, StatusCode::FOUND, "it has no address");
}

#[tokio::test]
async fn an_external_service_that_is_away_is_a_503() {
    let url = free_address().await;
    let mut service = toml::toml! {
        name = "away"
        api_token = "the-token-of-the-service"
    };
    service.insert("url".into(), url.into());
    let hub = Setup::new().add("service", service).start().await;
    let reply = hub
        .admin()
        .send(Method::GET, "/services/away/", &[], "")
        .await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    let own = hub.api(Some("the-token-of-the-service"));
    assert_eq!(own.get("/user").await.json()["name"], "away");
}

#[tokio::test]
async fn a_service_made_while_the_hub_runs_survives_it_and_ends_when_it_is_deleted() {
    let origin = Loopback::start(async |request: Request<Incoming>| {
        Answer::new(StatusCode::OK, request.uri().path().to_owned())
    })
    .await;
    let mut hub = TestHub::start().await;
    let path = "/services/board";
    let body = json!({
        "api_token": "the-token-of-the-board", "url": origin.origin(), "roles": ["user"],
        "info": {"room": 7},
    });
    let made = hub.admin().post(path, Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    // Acknowledged is durable.
    hub.kill().await;
    hub.start_again().await;
    let shown = hub.admin().get(path).await;
    assert_eq!(shown.json(), made.json());
    let own = hub.api(Some("the-token-of-the-board"));
    assert_eq!(own.get("/user").await.json()["roles"], json!(["user"]));
    let visit = |hub: &TestHub| {
        let api = hub.admin();
        async move { api.send(Method::GET, "/services/board/x", &[], "").await }
    };
    assert_eq!(visit(&hub).await.text(), "/services/board/x");

    let gone = hub.admin().delete(path).await;
    assert_eq!((gone.status, gone.text()), (StatusCode::OK, String::new()));
    assert_eq!(visit(&hub).await.status, StatusCode::FOUND, "no route");
    assert_eq!(own.get("/user").await.status, StatusCode::FORBIDDEN);
    hub.kill().await;
    hub.start_again().await;
    assert_eq!(hub.admin().get(path).await.status, StatusCode::NOT_FOUND);
}
