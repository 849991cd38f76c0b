//! The administrator's commands around a run, and the pause after too many failures.

use std::fs;

use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use hub_tests::wait::until;

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_start_that_the_hook_refuses_is_explained() {
    let script = "echo looking >&2; echo 'Your quota is <full>.' >&2; exit 1";
    let hub = Setup::new()
        .set("spawner.pre_spawn_hook", shell(script))
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let reply = admin.post("/users/tee/server", None).await;
    assert_eq!(reply.status.as_u16(), 500);
    let message = reply.json()["message"].to_string();
    for words in ["Your quota is <full>.", "hooks"] {
        assert!(message.contains(words), "{message}");
    }
    let mut browser = hub.browser();
    let page = browser
        .log_in("/hub/spawn-pending/tee", "tee", PASSWORD)
        .await;
    assert!(
        page.words().contains("Your quota is <full>."),
        "{}",
        page.words()
    );
    assert!(page.words().contains("preparations"), "{}", page.words());
    assert!(!page.reply.text().contains("<full>"));
    assert!(hub.servers().is_empty());
}

#[tokio::test]
async fn both_hooks_know_for_whom_they_run() {
    let note =
        "printf '%s %s %s\\n' \"$HUBD_HOOK\" \"$JUPYTERHUB_USER\" \"$HUBD_ENDING\" >> \"$0\"";
    let folder = tempfile::tempdir().expect("a folder");
    let notes = folder.path().join("notes");
    let command = || {
        let mut command = shell(note);
        command.push(notes.to_str().expect("UTF-8").to_owned());
        command
    };
    let hub = Setup::new()
        .set("spawner.pre_spawn_hook", command())
        .set("spawner.post_stop_hook", command())
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    hub.admin().start("tee").await;
    hub.admin().stop("tee").await;
    let expected = "pre_spawn tee \npost_stop tee stopped\n";
    until("both notes", async || {
        let text = fs::read_to_string(&notes).unwrap_or_default();
        if text == expected { Ok(()) } else { Err(text) }
    })
    .await;
}

#[tokio::test]
async fn a_hook_that_hangs_is_ended() {
    let hub = Setup::new()
        .set("spawner.pre_spawn_hook", shell("sleep 100000 & wait"))
        .set("spawner.hook_timeout", 0.5)
        .start()
        .await;
    hub.admin().create(&["tee"]).await;
    let reply = hub.admin().post("/users/tee/server", None).await;
    assert_eq!(reply.status.as_u16(), 500, "{}", reply.text());
    assert!(hub.servers().is_empty());
}

#[tokio::test]
async fn who_fails_too_often_waits() {
    let hub: TestHub = Setup::new()
        .server_env("FAKESU_EXIT", "1")
        .set("spawner.consecutive_failure_limit", 2)
        .start()
        .await;
    let admin = hub.admin();
    admin.create(&["tee", "ann"]).await;
    for _ in 0..2 {
        let reply = admin.post("/users/tee/server", None).await;
        assert_eq!(reply.status.as_u16(), 500, "{}", reply.text());
    }
    let reply = admin.post("/users/tee/server", None).await;
    assert_eq!(reply.status.as_u16(), 503, "{}", reply.text());
    let seconds: u64 = reply.header("retry-after").parse().expect("seconds");
    assert!((1..=31).contains(&seconds), "{seconds}");
    assert!(
        reply.text().contains("2 times in a row"),
        "{}",
        reply.text()
    );

    let mut browser = hub.browser();
    let page = browser.log_in("/hub/spawn", "tee", PASSWORD).await;
    assert_eq!(page.status(), 503, "{:?}", page.trail());
    assert!(
        page.words().contains("2 times in a row"),
        "{}",
        page.words()
    );
    assert!(!page.reply.header("retry-after").is_empty());
    // Nobody else waits for it.
    let reply = admin.post("/users/ann/server", None).await;
    assert_eq!(reply.status.as_u16(), 500, "{}", reply.text());
}
