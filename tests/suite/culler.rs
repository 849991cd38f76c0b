//! The built-in culler: servers that nobody uses end, and their users learn why.

use hub_tests::setup::{PASSWORD, Setup};
use hub_tests::wait::until;
use serde_json::{Value, json};

use crate::audit;

/// Short enough for a test, long enough for a start on a busy machine.
fn hasty() -> Setup {
    Setup::new()
        .set("culler.enabled", true)
        .set("culler.timeout", 3)
        .set("culler.every", 0.2)
}

#[tokio::test]
async fn an_idle_server_ends_and_its_user_learns_why() {
    let hub = hasty()
        .set("limits.named_servers_per_user", 2)
        .set("culler.remove_named_servers", true)
        .set("culler.except_users", vec!["kept"])
        .set("culler.except_groups", vec!["staff"])
        .add(
            "group",
            toml::toml! {
                name = "staff"
                users = ["teacher"]
            },
        )
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee", "kept", "teacher"]).await;
    for user in ["kept", "teacher", "tee"] {
        admin.start(user).await;
    }
    admin.post("/users/tee/servers/proj", None).await;

    admin.until_stopped("tee").await;
    until("the named server to be removed", async || {
        let model = admin.get("/users/tee?include_stopped_servers").await.json();
        match model["servers"].get("proj") {
            None => Ok(()),
            Some(server) => Err(server.to_string()),
        }
    })
    .await;
    let mut tee = hub.browser();
    let home = tee.log_in("/hub/home", "tee", PASSWORD).await;
    let words = home.words();
    assert!(words.contains("culled: idle for"), "{words}");
    let log = hub.audit(&["--user", "culler"]).await;
    let culled = audit::of("server.stop", &log);
    assert_eq!(
        (&culled["actor"], &culled["user_name"]),
        (&json!("hub"), &json!("tee"))
    );
    let reason = culled["detail"]["reason"].as_str().unwrap();
    assert!(words.contains(reason), "{reason} is told in {words}");
    for user in ["kept", "teacher"] {
        let model = admin.get(&format!("/users/{user}")).await.json();
        assert_eq!(model["servers"][""]["ready"], Value::Bool(true), "{user}");
    }

    // A new start is a new beginning.
    admin.start("tee").await;
    let home = tee.get("/hub/home").await;
    assert!(!home.words().contains("culled"), "{}", home.words());
}

#[tokio::test]
async fn its_user_sees_the_end_coming_and_puts_it_off() {
    let hub = Setup::new()
        .set("culler.enabled", true)
        .set("culler.warning", 7200)
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    let mut tee = hub.browser();
    let home = tee.log_in("/hub/home", "tee", PASSWORD).await;
    assert!(
        home.words().contains("Nobody seems to use it"),
        "{}",
        home.words()
    );
    let form = home.form("/hub/extend/tee").expect("a button");
    let page = tee.submit(&form, &[]).await;
    assert_eq!(
        page.trail(),
        ["POST /hub/extend/tee 303 /hub/home", "GET /hub/home 200"]
    );
    let log = hub.audit(&["--user", "tee"]).await;
    let kept = audit::of("server.keep", &log);
    assert_eq!(
        (&kept["actor_name"], &kept["means"]),
        (&json!("tee"), &json!("session"))
    );
}
