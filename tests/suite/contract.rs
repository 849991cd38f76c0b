//! What a server finds when it wakes up: its environment, its process, its credentials.

use std::collections::BTreeMap;
use std::env;

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::processes::{HUB_MARK, SERVER_MARK};
use hub_tests::programs;
use hub_tests::setup::Setup;
use serde_json::{Value, json};

/// Variables that a server may have beside those of the contract: the account's, those that the
/// hub keeps by default, and the marks of this run.
const OTHERS: [&str; 19] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LC_ALL",
    "PYTHONPATH",
    "CONDA_ROOT",
    "CONDA_DEFAULT_ENV",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "TZ",
    "JPY_API_TOKEN",
    "MEM_LIMIT",
    "HUBD_LAUNCH_ID",
    SERVER_MARK,
    "HUBD_INSTANCE",
    "HUBD_SERVER",
];

async fn tell(hub: &TestHub, what: &str) -> Value {
    let reply = hub
        .browser()
        .fetch(Method::GET, &format!("/user/tee/{what}"), None)
        .await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    reply.json()
}

#[tokio::test]
async fn the_environment_is_the_contract_s_and_nothing_else() {
    let setup = Setup::new()
        .server_env("GREETING", "a b\"c'$HOME%d")
        .hub_env("SECRET_OF_THE_HUB", "canary");
    let hub = setup.start().await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    let told = tell(&hub, "env").await;
    let api = format!("{}/hub/api", hub.origin());
    let activity = format!("{api}/users/tee/activity");
    for (name, value) in [
        ("JUPYTERHUB_API_URL", api.as_str()),
        ("JUPYTERHUB_ACTIVITY_URL", &activity),
        ("JUPYTERHUB_BASE_URL", "/"),
        ("JUPYTERHUB_CLIENT_ID", "jupyterhub-user-tee"),
        ("JUPYTERHUB_HOST", ""),
        ("JUPYTERHUB_OAUTH_CALLBACK_URL", "/user/tee/oauth_callback"),
        ("JUPYTERHUB_SERVER_NAME", ""),
        ("JUPYTERHUB_SERVICE_PREFIX", "/user/tee/"),
        ("JUPYTERHUB_USER", "tee"),
        ("GREETING", "a b\"c'$HOME%d"),
        ("PATH", &env::var("PATH").expect("a PATH")),
    ] {
        assert_eq!(told[name], value, "{name}");
    }
    let url = told["JUPYTERHUB_SERVICE_URL"].as_str().unwrap_or_default();
    assert!(
        url.starts_with("http://127.0.0.1:") && url.ends_with("/user/tee/"),
        "{url}"
    );
    let scopes: Value =
        serde_json::from_str(told["JUPYTERHUB_OAUTH_ACCESS_SCOPES"].as_str().unwrap()).unwrap();
    assert_eq!(
        scopes,
        json!(["access:servers!server=tee/", "access:servers!user=tee"])
    );
    let token = told["JUPYTERHUB_API_TOKEN"].as_str().unwrap_or_default();
    assert!(
        (32..=64).contains(&token.len()),
        "{} characters",
        token.len()
    );

    let all: BTreeMap<String, String> = serde_json::from_value(told.clone()).unwrap();
    let strange: Vec<_> = all
        .keys()
        .filter(|name| !name.starts_with("JUPYTERHUB_") && !OTHERS.contains(&name.as_str()))
        .filter(|name| *name != "GREETING")
        .collect();
    assert_eq!(strange, [""; 0], "inherited from the hub");
    assert!(!all.contains_key(HUB_MARK) && !all.values().any(|value| value == "canary"));
    assert!(!hub.log().contains(token), "no secret in a log");
}

#[tokio::test]
async fn the_process_leads_its_session_and_inherits_no_descriptor() {
    let command = programs::fakesu();
    let hub = Setup::new()
        .set("spawner.cmd", vec![command.to_str().unwrap(), "--one"])
        .set("spawner.args", vec!["two words", "$HOME"])
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    let process = tell(&hub, "process").await;
    assert_eq!(process["session"], process["pid"]);
    assert_eq!(
        process["arguments"],
        json!([command, "--one", "two words", "$HOME"])
    );
    assert_eq!(process["folder"], tell(&hub, "env").await["HOME"]);
    let home = process["folder"].as_str().unwrap();
    assert!(
        home.starts_with(hub.state_dir().to_str().unwrap()),
        "a private home: {home}"
    );
    let open: BTreeMap<String, String> =
        serde_json::from_value(process["descriptors"].clone()).unwrap();
    assert_eq!(open.keys().collect::<Vec<_>>(), ["0", "1", "2"], "{open:?}");
    assert_eq!(open["0"], "/dev/null");
}

#[tokio::test]
async fn its_token_is_for_what_a_server_does() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee", "ann"]).await;
    hub.admin().start("tee").await;
    let told = tell(&hub, "env").await;
    let own = hub.api(told["JUPYTERHUB_API_TOKEN"].as_str());
    let model = own.get("/user").await.json();
    assert_eq!(
        (&model["name"], &model["kind"]),
        (&json!("tee"), &json!("user"))
    );
    let mut scopes: Vec<String> = serde_json::from_value(model["scopes"].clone()).unwrap();
    scopes.sort();
    assert_eq!(
        scopes,
        [
            "access:servers!server=tee/",
            "read:users:activity!user=tee",
            "read:users:groups!user=tee",
            "read:users:name!user=tee",
            "users:activity!user=tee",
        ]
    );

    let at =
        |time: &str| json!({ "servers": { "": { "last_activity": time } }, "last_activity": time });
    for (user, body, status) in [
        ("tee", at("2026-01-02T03:04:05.000006Z"), 200),
        ("ann", at("2026-01-02T03:04:05.000006Z"), 404),
        ("nobody", at("2026-01-02T03:04:05.000006Z"), 404),
        ("tee", at("2999-01-02T03:04:05.000006Z"), 400),
        ("tee", at("yesterday"), 400),
        (
            "tee",
            json!({ "servers": { "x": { "last_activity": "2026-01-02T03:04:05Z" } } }),
            400,
        ),
        ("tee", json!({}), 400),
    ] {
        let reply = own
            .post(&format!("/users/{user}/activity"), Some(&body))
            .await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{user} {body}: {}",
            reply.text()
        );
    }
    for (method, path) in [
        (Method::DELETE, "/users/tee/server"),
        (Method::POST, "/users/tee/server"),
        (Method::POST, "/users/tee/tokens"),
    ] {
        let reply = own.call(method.clone(), path, None).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    assert_eq!(hub.servers().len(), 1);

    hub.admin().stop("tee").await;
    assert_eq!(
        own.get("/user").await.status,
        StatusCode::FORBIDDEN,
        "it ends with the server"
    );
}
