//! The audit log tells of everything that was answered, whatever becomes of the hub then.

use http::Method;
use hub_tests::hub::TestHub;
use hub_tests::setup::PASSWORD;
use serde_json::{Value, json};

/// The latest entry with this action.
pub(crate) fn of<'l>(action: &str, log: &'l [Value]) -> &'l Value {
    let found = log.iter().find(|entry| entry["action"] == action);
    found.unwrap_or_else(|| panic!("no {action} in {log:#?}"))
}

/// Who, to what, and with which outcome.
fn brief(entry: &Value) -> [&str; 4] {
    ["actor_name", "action", "object_name", "outcome"].map(|key| entry[key].as_str().unwrap())
}

#[tokio::test]
async fn an_answer_is_never_without_its_entry() {
    let mut hub = TestHub::start().await;
    let admin = hub.admin();
    admin.create(&["ann", "bob"]).await;
    let anns = admin.token_for("ann").await;
    let started = anns.post("/users/ann/server", None).await;
    assert!(started.status.is_success(), "{}", started.text());
    admin.call(Method::PUT, "/users/bob/block", None).await;
    hub.kill().await;

    // No hub runs, so the command reads the books by itself.
    let log = hub.audit(&[]).await;
    let entry = of("user.block", &log);
    assert_eq!(brief(entry), ["stories", "user.block", "bob", "done"]);
    assert_eq!(entry["actor"], "service");
    assert_eq!(entry["means"], "service-token");
    assert_eq!(entry["source"], "127.0.0.1");
    let entry = of("server.start", &log);
    assert_eq!(brief(entry), ["ann", "server.start", "ann", "begun"]);
    assert_eq!(
        (&entry["means"], &entry["user_name"]),
        (&json!("token"), &json!("ann"))
    );
    let made = of("token.create", &log);
    assert_eq!(
        made["object_name"], entry["token"],
        "the token that ann used"
    );
    let created: Vec<_> = log
        .iter()
        .filter(|entry| entry["action"] == "user.create")
        .collect();
    assert_eq!(created.len(), 2);
    assert!(
        log.iter().all(|entry| entry["action"] != "hub.stop"),
        "it was killed"
    );

    hub.start_again().await;
    let start = of("hub.start", &hub.audit(&[]).await).clone();
    assert_eq!(start["detail"]["rights_changed"], false);
    hub.terminate().await;
    let log = hub.audit(&["--action", "hub.stop"]).await;
    assert_eq!(brief(&log[0]), ["hub", "hub.stop", "hub", "done"]);
}

#[tokio::test]
async fn people_leave_their_traces_and_no_secrets() {
    let hub = TestHub::start().await;
    let mut tee = hub.browser();
    tee.log_in("/hub/home", "tee", PASSWORD).await;
    let mut other = hub.browser();
    other.log_in("/hub/home", "tee", "a-wrong-password").await;
    other
        .log_in("/hub/home", "typed-into-the-wrong-field", "x")
        .await;
    tee.get("/hub/logout").await;
    let log = hub.audit(&["--user", "tee"]).await;
    let seen: Vec<_> = log.iter().map(brief).collect();
    assert_eq!(
        seen,
        [
            ["tee", "logout", "tee", "done"],
            ["", "login", "tee", "refused"],
            ["tee", "login", "tee", "done"],
            ["login", "user.create", "tee", "done"],
        ]
    );
    assert_eq!(log[1]["detail"]["reason"], "wrong");
    let all = format!("{:?}", hub.audit(&[]).await);
    for secret in [PASSWORD, "a-wrong-password", "typed-into-the-wrong-field"] {
        assert!(!all.contains(secret), "{secret}");
    }
    // Later is earlier than nothing.
    assert_eq!(
        hub.audit(&["--since", "2999-01-01"]).await,
        [] as [Value; 0]
    );
    assert_eq!(
        hub.audit(&["--since", "1h", "--user", "tee"]).await.len(),
        4
    );
}
