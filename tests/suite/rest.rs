//! The REST API as programs use it: the version, who is asking, users, and lists in pages.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::{ADMIN_TOKEN, Setup};
use serde_json::{Value, json};
use toml::toml;

#[tokio::test]
async fn everybody_may_ask_for_the_version_and_the_health() {
    let hub = TestHub::start().await;
    let nobody = hub.api(None);
    for path in ["", "/"] {
        let reply = nobody.get(path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path:?}");
        let version = reply.json()["version"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!(reply.header("x-jupyterhub-version"), version);
        assert_eq!(reply.header("access-control-allow-origin"), "*");
        assert!(version.starts_with("6.1.1"), "{version}");
    }
    for path in ["/hub/health", "/hub/api/health"] {
        let reply = nobody.send(Method::GET, path, &[], "").await;
        assert_eq!(
            (reply.status, reply.body.len()),
            (StatusCode::OK, 0),
            "{path}"
        );
    }
}

#[tokio::test]
async fn every_spelling_of_a_token_is_read_and_none_in_the_address() {
    let hub = TestHub::start().await;
    let nobody = hub.api(None);
    for scheme in ["token", "Bearer", "TOKEN", "bearer"] {
        let header = format!("{scheme} {ADMIN_TOKEN}");
        let headers = [("authorization", header.as_str())];
        let reply = nobody
            .send(Method::GET, "/hub/api/user", &headers, "")
            .await;
        assert_eq!(reply.status, StatusCode::OK, "{scheme}");
        assert_eq!(
            (&reply.json()["kind"], &reply.json()["name"]),
            (&json!("service"), &json!("stories"))
        );
    }
    let reply = nobody.get(&format!("/user?token={ADMIN_TOKEN}")).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert!(!hub.log().contains(ADMIN_TOKEN), "a token is in the log");
}

#[tokio::test]
async fn users_are_made_listed_and_deleted() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    let made = admin
        .post(
            "/users",
            Some(&json!({ "usernames": ["ann", "Bob", "cy"] })),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    assert_eq!(names(&made.json()), ["ann", "bob", "cy"]);
    let user = &made.json()[0];
    assert_eq!(
        (&user["kind"], &user["admin"]),
        (&json!("user"), &json!(false))
    );

    let all = json!({ "usernames": ["ann", "bob", "cy"] });
    assert_eq!(
        admin.post("/users", Some(&all)).await.status,
        StatusCode::CONFLICT
    );
    let some = json!({ "usernames": ["ann", "dee"] });
    assert_eq!(
        names(&admin.post("/users", Some(&some)).await.json()),
        ["dee"],
        "the new ones"
    );

    assert_eq!(
        names(&admin.get("/users").await.json()),
        ["ann", "bob", "cy", "dee"]
    );
    assert_eq!(
        names(&admin.get("/users?offset=1&limit=2").await.json()),
        ["bob", "cy"]
    );
    assert_eq!(
        names(&admin.get("/users?name_filter=e").await.json()),
        ["dee"]
    );
    admin.start("cy").await;
    assert_eq!(names(&admin.get("/users?state=ready").await.json()), ["cy"]);
    assert_eq!(
        names(&admin.get("/users?state=inactive").await.json()),
        ["ann", "bob", "dee"]
    );
    assert_eq!(
        admin.get("/users?state=asleep").await.status,
        StatusCode::BAD_REQUEST
    );

    assert_eq!(
        admin.delete("/users/cy").await.status,
        StatusCode::NO_CONTENT
    );
    assert!(hub.servers().is_empty(), "the server goes before its user");
    assert_eq!(admin.get("/users/cy").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        admin.delete("/users/cy").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_list_comes_in_pages_whose_links_work_as_they_are() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["ann", "bob", "cy"]).await;
    let pages = [("accept", "application/jupyterhub-pagination+json")];
    let mut next = Some("/hub/api/users?limit=2&state=inactive".to_owned());
    let mut seen = Vec::new();
    while let Some(path) = next {
        let reply = admin.send(Method::GET, &path, &pages, "").await;
        assert_eq!(
            (reply.status, reply.media_type()),
            (StatusCode::OK, "application/json")
        );
        let page = reply.json();
        assert_eq!(page["_pagination"]["total"], 3);
        seen.extend(names(&page["items"]).into_iter().map(str::to_owned));
        let url = page["_pagination"]["next"]["url"].as_str();
        next = url.map(|url| {
            assert!(
                url.contains("state=inactive"),
                "the other fields are kept: {url}"
            );
            url.strip_prefix(hub.origin())
                .unwrap_or_else(|| panic!("{url}"))
                .to_owned()
        });
    }
    assert_eq!(seen, ["ann", "bob", "cy"]);
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let body = json!({ "note": "for the <b>robot</b>", "expires_in": 3600 });
    let made = admin.post("/users/tee/tokens", Some(&body)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    let token = hub.api(made["token"].as_str());
    assert_eq!(token.get("/user").await.json()["name"], "tee");
    let listed = admin.get("/users/tee/tokens").await.json();
    let listed = listed["api_tokens"].as_array().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["note"], &listed[0]["id"]),
        (&body["note"], &made["id"])
    );
    assert!(listed[0].get("token").is_none(), "a token is shown once");

    for wrong in [
        json!({ "expires_in": 0 }),
        json!({ "expires_in": "soon" }),
        json!({ "scopes": ["admin:users"] }),
        json!({ "scopes": ["no:such:scope"] }),
    ] {
        let reply = token.post("/users/tee/tokens", Some(&wrong)).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{wrong}: {}",
            reply.text()
        );
    }
    let path = format!("/users/tee/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(admin.delete(&path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(token.get("/user").await.status, StatusCode::FORBIDDEN);
    assert_eq!(admin.delete(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn metrics_are_for_those_who_may_read_them() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    let metrics = hub.admin().get("/metrics").await;
    assert_eq!(metrics.status, StatusCode::OK, "{}", metrics.text());
    assert!(metrics.text().contains("# TYPE "), "{}", metrics.text());
    assert_eq!(
        hub.api(None).get("/metrics").await.status,
        StatusCode::FORBIDDEN
    );
    let tee = hub.admin().token_for("tee").await;
    assert_eq!(tee.get("/metrics").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_service_may_do_what_its_role_says() {
    let token = "a-token-of-the-culler-0123456789";
    let hub = Setup::new()
        .add(
            "service",
            toml! { name = "culler"
            api_token = "a-token-of-the-culler-0123456789" },
        )
        .add(
            "role",
            toml! { name = "culler"
            services = ["culler"]
            scopes = ["list:users", "read:servers", "delete:servers!user=tee"] },
        )
        .start()
        .await;
    hub.admin().create(&["tee", "ann"]).await;
    hub.admin().start("tee").await;
    let culler = hub.api(Some(token));
    let me = culler.get("/user").await.json();
    assert_eq!(
        (&me["kind"], &me["name"]),
        (&json!("service"), &json!("culler"))
    );
    assert_eq!(
        names(&culler.get("/users?state=ready").await.json()),
        ["tee"]
    );
    for (method, path, status) in [
        (Method::POST, "/users/ann/server", 403),
        (Method::DELETE, "/users/ann/server", 404),
        (Method::DELETE, "/users/ann", 403),
        (Method::DELETE, "/users/tee/server", 204),
    ] {
        let reply = culler.call(method.clone(), path, None).await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{method} {path}: {}",
            reply.text()
        );
    }
    assert!(hub.servers().is_empty());
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    list.iter()
        .filter_map(|user| user["name"].as_str())
        .collect()
}
