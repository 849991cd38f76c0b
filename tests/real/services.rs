//! Services of the Jupyter project, unmodified: the authentication library that Python services are
//! written with, and the idle culler.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use hub_tests::api::Api;
use hub_tests::setup::{PASSWORD, Setup};
use hub_tests::venv::Venv;
use hub_tests::wait::until;
use tokio::net::TcpListener;
use toml::{Table, Value};

/// A small service on top of `jupyterhub.services.auth`.
const WHOAMI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/real/whoami.py");

#[tokio::test]
async fn hub_oauth_of_a_python_service_logs_a_user_in() {
    let Some(venv) = Venv::find() else { return };
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let mut service = toml::toml! { name = "whoami" };
    service.insert("url".into(), url.into());
    service.insert(
        "command".into(),
        vec![venv.program("python"), WHOAMI.to_owned()].into(),
    );
    let role = toml::toml! {
        name = "whoami-users"
        scopes = ["access:services!service=whoami"]
        users = ["tee"]
    };
    let hub = Setup::new()
        .add("service", service)
        .add("role", role)
        .start()
        .await;
    until("the service to listen", async || {
        let path = "/services/whoami/";
        let reply = hub.admin().send(Method::HEAD, path, &[], "").await;
        match reply.status {
            StatusCode::SERVICE_UNAVAILABLE => Err(hub.log()),
            _ => Ok(()),
        }
    })
    .await;

    let mut tee = hub.browser();
    let login = tee.get("/services/whoami/").await;
    let form = login.form("/hub/login").expect("a login form");
    let filled = [("username", "tee"), ("password", PASSWORD)];
    let question = tee.submit(&form, &filled).await;
    assert_eq!(
        question.url.path(),
        "/hub/api/oauth2/authorize",
        "{:#?}",
        question.trail()
    );
    let words = question.words();
    assert!(words.contains("The service whoami"), "{words}");
    let form = question
        .form("/hub/api/oauth2/authorize")
        .expect("a question");
    let page = tee.submit(&form, &[]).await;
    assert_eq!(
        (page.status(), page.url.path()),
        (200, "/services/whoami/"),
        "{:#?}",
        page.trail()
    );
    let me = page.reply.json();
    assert_eq!((&me["kind"], &me["name"]), (&"user".into(), &"tee".into()));
    let scopes = me["scopes"].as_array().unwrap();
    assert!(
        scopes.contains(&"access:services!service=whoami".into()),
        "{scopes:?}"
    );

    // They are known now, also in another browser, where there is no question any more.
    let mut again = hub.browser();
    again.log_in("/hub/home", "tee", PASSWORD).await;
    let page = again.get("/services/whoami/").await;
    assert_eq!(
        (page.status(), page.url.path()),
        (200, "/services/whoami/"),
        "{:#?}",
        page.trail()
    );
    // The home page knows the way.
    let home = again.get("/hub/home").await;
    assert!(home.link("/services/whoami/").is_some(), "{}", home.words());

    // Who may not use it is told so by the hub.
    let mut eve = hub.browser();
    eve.log_in("/hub/home", "eve", PASSWORD).await;
    let page = eve.get("/services/whoami/").await;
    assert_eq!(
        (page.status(), page.url.path()),
        (403, "/hub/api/oauth2/authorize")
    );
    let home = eve.get("/hub/home").await;
    assert!(home.link("/services/whoami/").is_none());
}

/// The idle culler as its documentation has it, with these options and scopes.
fn culler(venv: &Venv, options: &[&str], scopes: &[&str]) -> Setup {
    let mut command = vec![
        venv.program("jupyterhub-idle-culler"),
        "--timeout=2".to_owned(),
        "--cull-every=1".to_owned(),
    ];
    command.extend(options.iter().map(|&option| option.to_owned()));
    let mut service: Table = toml::toml! { name = "idle-culler" };
    service.insert("command".into(), command.into());
    let mut role: Table = toml::toml! {
        name = "idle-culler"
        services = ["idle-culler"]
    };
    let scopes: Vec<Value> = scopes.iter().map(|&scope| scope.into()).collect();
    role.insert("scopes".into(), scopes.into());
    Setup::new()
        .set("limits.named_servers_per_user", 2)
        .add("service", service)
        .add("role", role)
}

const FOUR_SCOPES: [&str; 4] = [
    "list:users",
    "read:users:activity",
    "read:servers",
    "delete:servers",
];

async fn names(admin: &Api) -> BTreeSet<String> {
    let users = admin.get("/users").await.json();
    let names = users.as_array().unwrap().iter();
    names
        .map(|user| user["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn the_idle_culler_ends_servers_with_four_scopes() {
    let Some(venv) = Venv::find() else { return };
    let options = ["--remove-named-servers=true"];
    let hub = culler(&venv, &options, &FOUR_SCOPES).start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    admin.start("tee").await;
    let start = admin.post("/users/tee/servers/proj", None).await;
    assert!(start.status.is_success(), "{}", start.text());
    admin.until_stopped("tee").await;
    until("the named server to be removed", async || {
        let model = admin.get("/users/tee?include_stopped_servers").await.json();
        match model["servers"].get("proj") {
            None => Ok(()),
            Some(server) => Err(server.to_string()),
        }
    })
    .await;
    assert!(
        names(&admin).await.contains("tee"),
        "only servers are culled"
    );
}

#[tokio::test]
async fn the_idle_culler_removes_users() {
    let Some(venv) = Venv::find() else { return };
    let scopes = [&FOUR_SCOPES[..], &["admin:users"]].concat();
    let options = ["--cull-users=true", "--cull-admin-users=false"];
    let hub = culler(&venv, &options, &scopes).start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    admin.start("tee").await;
    until("the user to be removed", async || {
        let names = names(&admin).await;
        if names.contains("tee") {
            return Err(format!("{names:?}\n{}", hub.log()));
        }
        Ok(())
    })
    .await;
}
