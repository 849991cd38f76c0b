//! Names that would be something else to somebody.

use http::{Method, StatusCode};
use hub_tests::api::Api;
use hub_tests::browser::Browser;
use hub_tests::hub::TestHub;
use hub_tests::setup::{ADMIN_TOKEN, PASSWORD, Setup};
use serde_json::{Value, json};
use toml::Table;

const DOTS: [&str; 7] = [".", "..", "...", "%2e", "%2e%2e", ".%2e", "../x"];

#[tokio::test]
pub(super) async fn ghsa_93gc_h923_mp36_dots_are_no_names() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 5)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let before = hub.trace();
    for name in DOTS {
        let escaped = name.replace('%', "%25").replace('.', "%2E");
        let escaped = escaped.replace('/', "%2F");
        for (method, path, body) in [
            (
                Method::POST,
                "/users".to_owned(),
                json!({ "usernames": [name] }),
            ),
            (Method::POST, format!("/users/{escaped}"), Value::Null),
            (Method::POST, format!("/users/{name}"), Value::Null),
            (
                Method::PATCH,
                "/users/tee".to_owned(),
                json!({ "name": name }),
            ),
            (
                Method::POST,
                "/groups".to_owned(),
                json!({ "groups": [name] }),
            ),
            (Method::POST, format!("/groups/{escaped}"), Value::Null),
            (
                Method::POST,
                format!("/users/tee/servers/{escaped}"),
                Value::Null,
            ),
            (
                Method::PUT,
                format!("/users/tee/servers/{escaped}"),
                Value::Null,
            ),
            (Method::POST, format!("/services/{escaped}"), Value::Null),
        ] {
            let case = format!("{method} {path} {body}");
            let body = Some(&body).filter(|body| !body.is_null());
            let reply = admin.call(method, &path, body).await;
            assert!(reply.status.is_client_error(), "{case}: {}", reply.status);
            hub.assert_no_trace(&before, &case);
        }
    }
    for name in DOTS {
        for (list, key) in [("service", "name"), ("role", "name"), ("group", "name")] {
            let mut table = Table::new();
            table.insert(key.into(), name.into());
            refuses(&Setup::new().add(list, table), name);
        }
        for key in ["allowed_users", "admin_users", "blocked_users"] {
            refuses(&Setup::new().set(&format!("auth.{key}"), vec![name]), name);
        }
    }
}

/// No hub starts with that, and the line is named.
#[track_caller]
fn refuses(setup: &Setup, case: &str) {
    let ran = setup.check_config();
    assert_eq!(ran.code, Some(2), "{case}: {}", ran.output);
    assert!(ran.output.contains("hubd.toml:"), "{case}: {}", ran.output);
}

#[tokio::test]
pub(super) async fn ghsa_x7xh_7hc7_9436_a_new_name_is_checked() {
    let hub = Setup::new()
        .set("limits.named_servers_per_user", 5)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee", "ann"]).await;
    let made = admin
        .call(Method::PUT, "/users/tee/servers/proj", None)
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let before = hub.trace();
    for name in [
        "<img>",
        "<img src=x onerror=alert(1)>",
        "",
        " ",
        "a b",
        "{{7*7}}",
        "\"",
        "ann",
        "ANN",
        "tee/../ann",
    ] {
        for path in ["/users/tee", "/users/tee/servers/proj"] {
            if path.ends_with("proj") && name == "ann" {
                continue;
            }
            let body = json!({ "name": name });
            let reply = admin.call(Method::PATCH, path, Some(&body)).await;
            assert_eq!(
                reply.status,
                StatusCode::BAD_REQUEST,
                "{path} {name:?}: {}",
                reply.text()
            );
            hub.assert_no_trace(&before, name);
        }
    }
    for name in [json!(null), json!(5), json!(["x"]), json!({}), json!(true)] {
        let body = json!({ "name": name });
        let reply = admin.call(Method::PATCH, "/users/tee", Some(&body)).await;
        let refused = reply.status == StatusCode::BAD_REQUEST;
        // `null` is what is left out.
        assert!(refused || name.is_null(), "{name}: {}", reply.text());
        hub.assert_no_trace(&before, "a name that is no text");
    }
    // The same name again changes nothing, in either spelling.
    for name in ["tee", "TEE"] {
        let body = json!({ "name": name });
        let reply = admin.call(Method::PATCH, "/users/tee", Some(&body)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        assert_eq!(reply.json()["name"], "tee");
        hub.assert_no_trace(&before, name);
    }
    let body = json!({ "name": "proj" });
    let path = "/users/tee/servers/proj";
    let reply = admin.call(Method::PATCH, path, Some(&body)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    hub.assert_no_trace(&before, "a server's own name");
    assert_eq!(admin.get("/users/tee").await.json()["name"], "tee");
}

#[tokio::test]
pub(super) async fn cve_2026_35397_a_prefix_is_no_sibling() {
    let hub = Setup::new().set("hub.base_url", "/jhub/").start().await;
    // What a hub below a path says of itself ends with that path.
    let site = hub.origin().strip_suffix("/jhub").expect("its base URL");
    let api = Api::new(site, Some(ADMIN_TOKEN));
    let call = async |method: Method, path: &str, body: &str| {
        let headers = [("content-type", "application/json")];
        api.send(method, path, &headers, body.to_owned()).await
    };
    let users = r#"{"usernames":["al","alice"]}"#;
    let made = call(Method::POST, "/jhub/hub/api/users", users).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let started = call(Method::POST, "/jhub/hub/api/users/al/server", "").await;
    assert!(started.status.is_success(), "{}", started.text());
    let reached = call(Method::GET, "/jhub/user/al/x", "").await;
    assert_eq!(reached.json()["target"], "/jhub/user/al/x");
    for path in [
        "/jhub/user/alice/",
        "/jhub/user/alice/x",
        "/jhub/user/a/",
        "/jhub/user/al.x/",
        "/jhub/user/al-/",
        "/jhub/user/al%20/",
        "/jhub/user/al%2F../alice/",
        "/jhub/users/al/",
        "/jhub/usera/al/",
        "/user/al/",
        "/jhubx/user/al/",
        "/jhub/hubx",
        "/jhubx/hub/home",
        "/jhub/hub/apix/users",
        "/jhub/hub/api/usersx",
        "/jhub/hub/homex",
        "/jhub/hub/staticx/style.css",
    ] {
        let reply = call(Method::GET, path, "").await;
        let status = reply.status;
        let missed = status.is_client_error() || status.is_redirection();
        assert!(missed, "{path}: {status}");
        assert!(
            !reply.text().contains("\"target\""),
            "{path} reached al's server"
        );
    }
    // A login leads to nothing beside the base URL.
    for next in ["/jhubx/", "/jhub-evil/hub/home", "/hub/home", "/"] {
        let escaped: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let path = format!("/jhub/hub/login?next={escaped}");
        let page = Browser::new(site).log_in(&path, "alice", PASSWORD).await;
        assert!(
            page.url.path().starts_with("/jhub/hub/"),
            "{next}: {:?}",
            page.trail()
        );
    }
    a_right_is_over_the_whole_name().await;
}

/// `read:users!user=al` says nothing of alice, and `!server=al/` nothing of al's other servers.
async fn a_right_is_over_the_whole_name() {
    let hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["al", "alice", "a"]).await;
    let al = admin.token_for("al").await;
    assert_eq!(al.get("/users/al").await.status, StatusCode::OK);
    for name in ["alice", "a", "al%2F", "al."] {
        let reply = al.get(&format!("/users/{name}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{name}");
    }
}
