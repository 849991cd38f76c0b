//! A new name for somebody, and somebody new under an old name.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;

#[tokio::test]
async fn a_renamed_person_keeps_what_is_theirs() {
    let mut hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let own = admin.token_for("tee").await;
    admin.start("tee").await;
    let name = json!({ "name": "tea" });
    let early = admin.call(Method::PATCH, "/users/tee", Some(&name)).await;
    assert_eq!(early.status, StatusCode::BAD_REQUEST, "{}", early.text());
    admin.stop("tee").await;
    let renamed = admin.call(Method::PATCH, "/users/tee", Some(&name)).await;
    assert_eq!(renamed.status, StatusCode::OK, "{}", renamed.text());

    for _ in 0..2 {
        assert_eq!(own.get("/user").await.json()["name"], "tea");
        hub.kill().await;
        hub.start_again().await;
    }
    admin.start("tea").await;
    let told = admin.send(Method::GET, "/user/tea/env", &[], "").await;
    assert_eq!(told.json()["JUPYTERHUB_USER"], "tea");
    assert_eq!(admin.get("/users/tee").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_namesake_is_somebody_else() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee", "ann"]).await;
    let mut browser = hub.browser();
    browser.log_in("/hub/home", "tee", PASSWORD).await;
    let old = admin.token_for("tee").await;
    let over_tee = json!({ "scopes": ["servers!user=tee", "read:users!user=tee"] });
    let flag = json!({ "admin": true });
    let ann = admin.call(Method::PATCH, "/users/ann", Some(&flag)).await;
    assert_eq!(ann.status, StatusCode::OK, "{}", ann.text());
    let helper = admin.post("/users/ann/tokens", Some(&over_tee)).await;
    let helper = hub.api(helper.json()["token"].as_str());
    assert_eq!(helper.get("/users/tee").await.status, StatusCode::OK);

    assert_eq!(
        admin.delete("/users/tee").await.status,
        StatusCode::NO_CONTENT
    );
    admin.create(&["tee"]).await;
    assert_eq!(old.get("/user").await.status, StatusCode::FORBIDDEN);
    let reply = helper.get("/users/tee").await;
    assert!(reply.status.is_client_error(), "{}", reply.text());
    let reply = helper.post("/users/tee/server", None).await;
    assert!(reply.status.is_client_error(), "{}", reply.text());
    let page = browser.get("/hub/home").await;
    assert_eq!(page.url.path(), "/hub/login", "{:?}", page.trail());
    assert!(hub.servers().is_empty());
}

#[tokio::test]
async fn a_named_server_is_made_renamed_and_removed() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 2)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let label = json!({ "display_name": "My Project" });
    let rename = json!({ "name": "thesis" });
    let remove = json!({ "remove": true });
    for (method, path, body, status) in [
        (Method::PUT, "proj", Some(&label), 201),
        (Method::PUT, "proj", Some(&label), 409),
        (Method::PUT, "Bad_Name", None, 400),
        (Method::POST, "proj", None, 201),
        (Method::PATCH, "proj", Some(&rename), 400),
        (Method::DELETE, "proj", None, 204),
        (Method::PATCH, "proj", Some(&rename), 200),
        (Method::POST, "thesis", None, 201),
        (Method::DELETE, "thesis", Some(&remove), 204),
        (Method::DELETE, "thesis", Some(&remove), 404),
    ] {
        let path = format!("/users/tee/servers/{path}");
        let reply = admin.call(method.clone(), &path, body).await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{method} {path}: {}",
            reply.text()
        );
        if method == Method::PATCH && status == 200 {
            assert_eq!(reply.json()["display_name"], "My Project");
            assert_eq!(reply.json()["url"], "/user/tee/thesis/");
        }
    }
    assert!(hub.servers().is_empty());
}
