//! Single requests and the statuses that clients of JupyterHub count on.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;

#[tokio::test]
async fn without_a_right_it_is_403_and_over_others_404() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["u1", "u2"]).await;
    let u1 = admin.token_for("u1").await;
    let (nobody, bad) = (hub.api(None), hub.api(Some("not-a-token")));
    for (who, api, path, status) in [
        ("nobody", &nobody, "/user", 403),
        ("bad token", &bad, "/user", 403),
        ("nobody", &nobody, "/users/u1", 403),
        ("u1", &u1, "/users/u1", 200),
        ("u1", &u1, "/users/u2", 404),
        ("u1", &u1, "/users/none", 404),
        ("u1", &u1, "/users", 403),
        ("u1", &u1, "/groups", 403),
        ("u1", &u1, "/groups/none", 403),
        ("u1", &u1, "/services", 403),
        ("u1", &u1, "/services/stories", 403),
        ("u1", &u1, "/info", 403),
        ("u1", &u1, "/proxy", 403),
        ("u1", &u1, "/shares/u1/", 404),
        ("admin", &admin, "/users/none", 404),
        ("admin", &admin, "/groups/none", 404),
        ("admin", &admin, "/services/none", 404),
        ("admin", &admin, "/nothing", 404),
    ] {
        let reply = api.get(path).await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{who}: {path}: {}",
            reply.text()
        );
        if status != 200 {
            let body = reply.json();
            assert_eq!(body["status"], status, "{who}: {path}");
            assert!(body["message"].is_string(), "{who}: {path}: {body}");
        }
        assert!(!reply.header("x-jupyterhub-version").is_empty(), "{path}");
    }
}

#[tokio::test]
async fn a_cookie_counts_for_pages_of_the_hub_alone() {
    let hub = TestHub::start().await;
    let mut browser = hub.browser();
    browser.log_in("/hub/home", "tee", PASSWORD).await;
    let cookies = browser.cookie_header("/hub/api/user").unwrap();
    let xsrf = browser.cookie("_xsrf", "/hub/").unwrap();
    let nobody = hub.api(None);
    for (mode, token, status) in [
        ("cors", None, StatusCode::FORBIDDEN),
        ("cors", Some("made-up"), StatusCode::FORBIDDEN),
        ("cors", Some(&*xsrf), StatusCode::OK),
        ("navigate", None, StatusCode::OK),
    ] {
        let mut headers = vec![("cookie", &*cookies), ("sec-fetch-mode", mode)];
        headers.extend(token.map(|token| ("x-xsrftoken", token)));
        let reply = nobody
            .send(Method::GET, "/hub/api/user", &headers, "")
            .await;
        assert_eq!(reply.status, status, "{mode} {token:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn unknown_fields_are_named() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 1)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let made = admin.post("/groups/class", None).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = admin.call(Method::PUT, "/users/tee/servers/x", None).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    for (method, path) in [
        (Method::POST, "/users"),
        (Method::POST, "/users/new"),
        (Method::PATCH, "/users/tee"),
        (Method::POST, "/users/tee/activity"),
        (Method::POST, "/users/tee/tokens"),
        (Method::DELETE, "/users/tee/server"),
        (Method::PATCH, "/users/tee/servers/x"),
        (Method::DELETE, "/users/tee/servers/x"),
        (Method::POST, "/groups"),
        (Method::POST, "/groups/new"),
        (Method::POST, "/groups/class/users"),
        (Method::DELETE, "/groups/class/users"),
        (Method::PATCH, "/proxy"),
        (Method::POST, "/shutdown"),
    ] {
        let body = json!({ "surprise": 1 });
        let reply = admin.call(method.clone(), path, Some(&body)).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{method} {path}: {}",
            reply.text()
        );
        let message = reply.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert!(message.contains("surprise"), "{method} {path}: {message}");
    }
    assert_eq!(admin.get("/users/new").await.status, StatusCode::NOT_FOUND);
    assert_eq!(admin.get("/groups/new").await.status, StatusCode::NOT_FOUND);
}
