//! The hub is told over REST to end; and what it says about itself before.

use http::StatusCode;
use hub_tests::hub::TestHub;
use serde_json::json;

#[tokio::test]
async fn servers_stay_or_go_as_it_was_asked() {
    for servers in [false, true] {
        let mut hub = TestHub::start().await;
        let admin = hub.admin();
        admin.create(&["tee"]).await;
        admin.start("tee").await;
        let tee = admin.token_for("tee").await;
        let refused = tee.post("/shutdown", None).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
        let body = json!({ "servers": servers, "proxy": true });
        let reply = admin.post("/shutdown", Some(&body)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", reply.text());
        assert_eq!(reply.json(), json!({ "message": "Shutting down Hub" }));
        let status = hub.ended().await;
        assert!(status.success(), "{status}");
        assert_eq!(hub.servers().is_empty(), servers);
        hub.start_again().await;
        let model = hub.admin().get("/users/tee/server").await.json();
        assert_eq!(model["ready"], json!(!servers), "{model}");
    }
}

#[tokio::test]
async fn it_tells_how_it_is_set_up_and_where_requests_go() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["a@b"]).await;
    admin.start("a@b").await;
    let info = admin.get("/info").await.json();
    assert_eq!(info["spawner"]["class"], "simple");
    assert_eq!(info["authenticator"]["class"], "dummy");
    let routes = admin.get("/proxy").await.json();
    assert_eq!(routes["/"]["target"], hub.origin());
    let server = &routes["/user/a@b/"];
    assert_eq!(server["data"]["user"], "a@b", "{routes}");
    assert_eq!(admin.post("/proxy", None).await.status, StatusCode::OK);
    let told = admin
        .send(http::Method::GET, "/user/a@b/env", &[], "")
        .await;
    assert_eq!(told.status, StatusCode::OK, "the routes are as before");
    let services = admin.get("/services").await.json();
    assert_eq!(services["stories"]["admin"], json!(true), "{services}");
}
