//! The state directory belongs to one hub, and to one account.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hub_tests::hub::{Refusal, TestHub};
use hub_tests::setup::{PASSWORD, Setup};

#[tokio::test]
async fn two_hubs_cannot_share_it() {
    let hub = TestHub::start().await;
    hub.admin().create(&["tee"]).await;
    let refusal = hub.rival().await;
    let state = hub.state_dir();
    assert_one_sentence(&refusal, &[state.to_str().unwrap(), "another hub"]);
    assert_eq!(
        hub.admin().get("/users/tee").await.json()["name"],
        "tee",
        "the first one goes on"
    );
}

#[tokio::test]
async fn it_is_free_again_after_a_crash() {
    let mut hub = TestHub::start().await;
    hub.kill().await;
    hub.start_again().await;
    assert_eq!(
        hub.browser()
            .log_in("/hub/home", "tee", PASSWORD)
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn one_that_others_can_read_is_refused() {
    for mode in [0o755, 0o750, 0o707, 0o777] {
        let refusal = Setup::new()
            .refusal(|folder| {
                let state = folder.join("state");
                fs::create_dir(&state).unwrap();
                fs::set_permissions(&state, fs::Permissions::from_mode(mode)).unwrap();
            })
            .await;
        assert_one_sentence(&refusal, &["/state", "chmod 700"]);
    }
}

#[tokio::test]
async fn what_is_made_in_it_is_private() {
    let hub = TestHub::start().await;
    hub.browser().log_in("/hub/home", "tee", PASSWORD).await;
    hub.admin().start("tee").await;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&hub.state_dir()), 0o700);
    for entry in fs::read_dir(hub.state_dir()).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    let secret = [PASSWORD, hub_tests::setup::ADMIN_TOKEN];
    for entry in fs::read_dir(hub.state_dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() {
            fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            !secret.iter().any(|secret| text.contains(secret)),
            "{}",
            path.display()
        );
    }
}

/// A refusal ends the hub with a failure and says why in words, not in a backtrace.
fn assert_one_sentence(refusal: &Refusal, words: &[&str]) {
    assert!(
        refusal.status.code().is_some_and(|code| code != 0),
        "{refusal:?}"
    );
    for word in words {
        assert!(
            refusal.output.contains(word),
            "{word:?} is not in {}",
            refusal.output
        );
    }
    assert!(!refusal.output.contains("panicked"), "{}", refusal.output);
}
