//! A spawner's form and the options of a REST start, filled by somebody who means no good.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::programs;
use hub_tests::setup::{PASSWORD, Setup};
use serde_json::json;

use super::{assert_refused, assert_unharmed};

async fn hub() -> TestHub {
    let fakesu = programs::fakesu();
    let hub = Setup::with_binary(programs::hubd_with_form())
        .set("spawner.kind", "env-form")
        .set("spawner.cmd", fakesu.to_str().expect("UTF-8"))
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    hub
}

/// Nothing was started, and nothing of the wish is kept.
async fn assert_no_trace(hub: &TestHub) {
    assert_unharmed(hub, &["tee"]).await;
    assert!(hub.servers().is_empty());
    let user = hub.admin().get("/users/tee?include_stopped_servers").await;
    let user = user.json();
    assert!(user["pending"].is_null(), "{user}");
    assert!(user["servers"][""]["user_options"].is_null(), "{user}");
}

#[tokio::test]
async fn variables_that_no_user_may_set() {
    let hub = hub().await;
    let mut tee = hub.browser();
    let page = tee.log_in("/hub/spawn", "tee", PASSWORD).await;
    let form = page.form("/hub/spawn").expect("the options form");
    for text in [
        "LD_PRELOAD=/tmp/x.so",
        "LD_LIBRARY_PATH=/tmp",
        "PATH=/tmp",
        "HOME=/root",
        "PYTHONPATH=/tmp",
        "PYTHONSTARTUP=/tmp/x.py",
        "BASH_ENV=/tmp/x",
        "IFS=x",
        "JUPYTERHUB_USER=root",
        "JUPYTERHUB_API_TOKEN=x",
        "HUBD_SERVER=root",
        "A B=1",
        "1A=1",
        "=1",
        "a-b=1",
        "ü=1",
        "<script>=1",
    ] {
        let page = tee
            .submit(&form, &[("env", text), ("flavour", "mint")])
            .await;
        assert_eq!(page.status(), 400, "{text}: {:?}", page.trail());
        let body = page.reply.text();
        assert!(body.contains("role=\"alert\""), "{text}: {body}");
        assert!(page.words().contains("env"), "the field is named: {body}");
        assert!(!body.contains("<script>=1"), "{body}");
        let again = page.form("/hub/spawn").expect("the form again");
        let typed = again.fields.iter().find(|(name, _)| name == "env");
        let typed = typed.map(|(_, typed)| typed.trim());
        assert_eq!(typed, Some(text), "what was typed is kept");
        assert!(body.contains("data-typed"), "{body}");
    }
    // What the form's own reading refuses is put back by the page's script.
    let page = tee.submit(&form, &[("env", "no sign in it\"'<b>")]).await;
    assert_eq!(page.status(), 400);
    assert!(page.reply.text().contains("no sign in it"));
    assert!(!page.reply.text().contains("<b>"));
    assert_no_trace(&hub).await;

    let page = tee
        .submit(&form, &[("env", "COURSE=physics\nempty=")])
        .await;
    assert!(page.status() < 400, "{:?}", page.trail());
}

#[tokio::test]
async fn options_that_no_program_may_send() {
    let hub = hub().await;
    let admin = hub.admin();
    for env in [
        json!({"LD_PRELOAD": "/tmp/x.so"}),
        json!({"PATH": "/tmp"}),
        json!({"JUPYTERHUB_SERVICE_PREFIX": "/"}),
        json!({"A=B": "1"}),
        json!({"A\nB": "1"}),
        json!({"A\u{0}B": "1"}),
        json!({"": "1"}),
        json!({"A": "1\u{0}2"}),
        json!({"A": "x".repeat(200_000)}),
        json!({"A".repeat(5000): "1"}),
        json!({"A": 1}),
        json!({"A": null}),
        json!(["A=1"]),
        json!("A=1"),
        json!(5),
    ] {
        let case = format!("{:.60}", env.to_string());
        let body = json!({ "env": env });
        let reply = admin.post("/users/tee/server", Some(&body)).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{case}: {}",
            reply.text()
        );
        assert_refused(&reply, &case);
        assert!(!reply.text().contains("/tmp/x.so"), "{case}");
    }
    assert_no_trace(&hub).await;
}

#[tokio::test]
async fn forms_that_no_browser_sends() {
    let hub = hub().await;
    let mut tee = hub.browser();
    let page = tee.log_in("/hub/spawn", "tee", PASSWORD).await;
    let form = page.form("/hub/spawn").expect("the options form");
    let token = form.fields.iter().find(|(name, _)| name == "_xsrf");
    let token = &token.expect("a token").1;
    let huge = "k".repeat(2 << 20);
    for (fields, status) in [
        ("=x".to_owned(), 400),
        ("=".to_owned(), 400),
        ("a%00b=x".to_owned(), 400),
        ("env=A%3D%00".to_owned(), 400),
        ("env=%ff".to_owned(), 400),
        ("env=%zz".to_owned(), 400),
        (format!("{huge}=x"), 413),
        (format!("env={huge}"), 413),
        ("env=A%3D1&".repeat(2000), 400),
        // The last of repeated fields does not hide the others.
        ("env=LD_PRELOAD%3D1&env=A%3D1".to_owned(), 400),
        ("env=A%3D1&env=LD_PRELOAD%3D1".to_owned(), 400),
    ] {
        let case = format!("{fields:.40}");
        let body = format!("_xsrf={token}&{fields}");
        let path = "/hub/spawn/tee";
        let cookies = tee.cookie_header(path).expect("cookies");
        let headers = [
            ("cookie", cookies.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
            ("sec-fetch-site", "same-origin"),
        ];
        let reply = hub.api(None).send(Method::POST, path, &headers, body).await;
        assert_eq!(reply.status.as_u16(), status, "{case}: {}", reply.text());
        assert!(reply.text().contains("<h1"), "{case}: a page says why");
    }
    assert_no_trace(&hub).await;
}
