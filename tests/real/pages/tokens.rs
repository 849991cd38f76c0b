//! The page of tokens.

use fantoccini::key::Key;
use http::StatusCode;
use serde_json::json;

use super::{knobs, open, setup};

#[tokio::test]
async fn a_token_is_made_used_and_revoked() {
    let knobs = knobs();
    let hub = setup(&knobs).start().await;
    let Some(tee) = open(&hub, "tee").await else {
        return;
    };
    tee.tab_to("header nav a[href='/hub/token']").await;
    tee.press(Key::Enter).await;
    tee.until_at("/hub/token").await;
    tee.inspect("token").await;

    // What cannot be given is said, and what was typed is still there.
    tee.tab_to("#token_note").await;
    tee.type_text("Backup of my notebooks").await;
    tee.tab_to("#token_scopes").await;
    tee.type_text("admin:users").await;
    tee.press(Key::Enter).await;
    tee.until_says("[role=alert]", "admin:users").await;
    tee.inspect("token-refused").await;
    let typed =
        "return ['token_note', 'token_scopes'].map((id) => document.getElementById(id).value)";
    let typed = tee.ask(typed, &[]).await;
    assert_eq!(typed, json!(["Backup of my notebooks", "admin:users"]));

    tee.ask("document.getElementById('token_scopes').value = ''", &[])
        .await;
    tee.tab_to("#token_expires_in").await;
    tee.press(Key::Down).await;
    tee.tab_to("#token_scopes").await;
    tee.type_text("read:users:name!user=tee").await;
    tee.tab_to("#request_token").await;
    tee.press(Key::Enter).await;
    tee.until_says("[role=status]", "Copy it now").await;
    let secret = "return document.getElementById('new_token').value";
    let secret = tee.ask(secret, &[]).await;
    let secret = secret.as_str().expect("a text").to_owned();
    // A picture of it would be as good as the token.
    tee.ask("document.getElementById('new_token').value = '…'", &[])
        .await;
    tee.inspect("token-made").await;
    tee.tab_to("#copy_token").await;
    tee.press(Key::Enter).await;
    tee.until_says("#copy_token", "C").await;

    let program = hub.api(Some(&secret));
    let own = program.get("/user").await;
    assert_eq!(own.status, StatusCode::OK, "{}", own.text());
    assert_eq!(own.json()["name"], "tee");
    let other = program.get("/users/tee/tokens").await;
    assert_eq!(other.status, StatusCode::FORBIDDEN, "not what it is for");

    // It is shown once.
    tee.goto("/hub/token").await;
    tee.until_says(".rows .what", "Backup of my notebooks")
        .await;
    let there = "return document.documentElement.outerHTML.includes(arguments[0])";
    assert_eq!(tee.ask(there, &[&secret]).await, false);
    tee.until_says(".rows", "read:users:name!user=tee").await;
    tee.inspect("token-listed").await;
    tee.tab_to(".rows form[action='/hub/token/revoke'] button")
        .await;
    tee.press(Key::Enter).await;
    tee.until_says("section[aria-labelledby=tokens_heading]", "There are none.")
        .await;
    assert_eq!(program.get("/user").await.status, StatusCode::FORBIDDEN);
    tee.close().await;
}
