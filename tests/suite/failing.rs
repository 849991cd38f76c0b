//! Servers that do not start. The page and the API say in which phase, why, with which exit code
//! and what the server printed; and nothing is left of it.

use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};

#[tokio::test]
async fn a_program_that_does_not_exist() {
    let setup = Setup::new().set("spawner.cmd", "/nowhere/jupyterhub-singleuser");
    story(
        setup,
        &[
            "/nowhere/jupyterhub-singleuser",
            "starting|started|launching",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_program_that_exits_after_printing() {
    let setup = Setup::new()
        .server_env("FAKESU_SAY", "ImportError: no module named <soup>")
        .server_env("FAKESU_EXIT", "1");
    let words = [
        "exit code 1",
        "ImportError: no module named <soup>",
        // How far the start got by then is a race.
        "starting|started|launching|waiting",
    ];
    story(setup, &words).await;
}

#[tokio::test]
async fn a_program_that_never_listens() {
    let setup = Setup::new()
        .server_env("FAKESU_SAY", "counting sheep")
        .server_env("FAKESU_NEVER_LISTEN", "1")
        .set("spawner.http_timeout", 2);
    story(setup, &["counting sheep", "2 seconds|2 s", "waiting"]).await;
}

#[tokio::test]
async fn a_start_that_takes_too_long_as_a_whole() {
    let setup = Setup::new()
        .server_env("FAKESU_NEVER_LISTEN", "1")
        .set("spawner.prepare_timeout", 5)
        .set("spawner.total_timeout", 2);
    story(setup, &["2 s (total_timeout)"]).await;
}

async fn story(setup: Setup, words: &[&str]) {
    let hub: TestHub = setup.start().await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;

    let reply = admin.post("/users/tee/server", None).await;
    assert!(
        reply.status.is_client_error() || reply.status.is_server_error(),
        "{reply:?}"
    );
    let message = reply.json()["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert_names(&message, words);
    let event = admin
        .progress("tee", "")
        .await
        .to_end()
        .await
        .pop()
        .expect("a last event");
    assert!(event.failed && !event.ready, "{event:?}");
    assert_names(&event.message, words);
    hub.until_no_server_is_left().await;
    let user = admin.get("/users/tee").await.json();
    assert!(
        user["pending"].is_null() && user["server"].is_null(),
        "{user}"
    );

    let mut browser = hub.browser();
    let page = browser
        .log_in("/hub/spawn-pending/tee", "tee", PASSWORD)
        .await;
    assert!(page.status() >= 400, "{:?}", page.trail());
    assert_eq!(page.target(), "/hub/spawn-pending/tee");
    assert_names(&page.words(), words);
    assert!(
        !page.reply.text().contains("<soup>"),
        "what a server prints is no markup"
    );
    assert!(
        page.form("/hub/spawn").is_some() || page.link("/hub/spawn").is_some(),
        "a way to try again: {}",
        page.reply.text()
    );
}

/// Each of `words` must be there; `|` is between words of which one is enough.
fn assert_names(text: &str, words: &[&str]) {
    let text = text.to_lowercase();
    for word in words {
        let found = word
            .split('|')
            .any(|word| text.contains(&word.to_lowercase()));
        assert!(found, "{word:?} is not in {text:?}");
    }
}
