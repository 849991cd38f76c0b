//! A hub that would not be safe, or not be what its configuration says, does not start.

use hub_tests::hub::TestHub;
use hub_tests::setup::Setup;

/// The hub must refuse with this exit code, and say these words.
async fn refuses(setup: Setup, code: i32, words: &[&str]) {
    let refusal = setup.refusal(|_| ()).await;
    assert_eq!(refusal.status.code(), Some(code), "{}", refusal.output);
    for word in words {
        assert!(
            refusal.output.contains(word),
            "{word:?} is not in {}",
            refusal.output
        );
    }
    assert!(!refusal.output.contains("panicked"), "{}", refusal.output);
}

#[tokio::test]
async fn without_a_word_on_who_may_log_in() {
    refuses(Setup::new().unset("auth.kind"), 2, &["hubd.toml", "kind"]).await;
}

#[tokio::test]
async fn with_one_password_for_all_and_an_open_door() {
    let open = Setup::new().set("hub.bind", "0.0.0.0:0");
    refuses(open, 2, &["hubd.toml", "dummy", "loopback"]).await;
}

#[tokio::test]
async fn with_a_key_that_nobody_knows() {
    let slip = Setup::new().set("spawner.poll_intervall", 5);
    refuses(slip, 2, &["hubd.toml:", "poll_intervall", "poll_interval`"]).await;
}

#[tokio::test]
async fn with_a_port_that_is_taken() {
    let hub = TestHub::start().await;
    let address = hub.origin().strip_prefix("http://").unwrap().to_owned();
    let second = Setup::new().set("hub.bind", address.as_str());
    refuses(second, 1, &[&address, "in use"]).await;
}
