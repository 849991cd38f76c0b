//! More starts than may be under way at once: people wait in line, programs are told to come again.

use http::{Method, StatusCode};
use hub_tests::hub::TestHub;
use hub_tests::setup::Setup;
use hub_tests::visit::Visitor;
use hub_tests::wait::until;

/// One start at a time, of servers that never answer.
async fn narrow() -> TestHub {
    let setup = Setup::new()
        .set("limits.concurrent_spawns", 1)
        .set("spawner.http_timeout", 600)
        .server_env("FAKESU_NEVER_LISTEN", "1");
    setup.start().await
}

/// A person whose start waits or is under way.
async fn starting(hub: &TestHub, name: &str) -> Visitor {
    let mut visitor = Visitor::new(hub.browser(), name);
    let offer = visitor.arrive().await;
    let pending = visitor.press_start(&offer).await;
    assert!(
        pending.words().contains("is starting up"),
        "{}",
        pending.words()
    );
    visitor
}

/// What the first event of the progress of a person's own server says.
async fn first_word(visitor: &Visitor) -> String {
    let mut events = visitor.browser.progress(&visitor.name, "").await;
    events.next().await.expect("an event").message
}

#[tokio::test]
async fn people_wait_and_programs_come_again() {
    let mut hub = narrow().await;
    let ann = starting(&hub, "ann").await;
    assert_eq!(first_word(&ann).await, "Server requested");
    let mut bob = starting(&hub, "bob").await;
    let carol = starting(&hub, "carol").await;
    assert_eq!(first_word(&bob).await, "Waiting for a place: 1st in line");
    assert_eq!(first_word(&carol).await, "Waiting for a place: 2nd in line");
    let page = bob.browser.get("/hub/spawn-pending/bob").await;
    assert!(page.words().contains("1st in line"), "{}", page.words());

    let admin = hub.admin();
    admin.create(&["dave"]).await;
    let refused = admin.post("/users/dave/server", None).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.header("retry-after").parse::<u32>().is_ok());
    assert_eq!(hub.servers().len(), 1, "nothing of a start in line exists");

    // Who leaves makes place for the others, in the line and at its head.
    let left = bob
        .browser
        .fetch(Method::DELETE, "/hub/api/users/bob/server", None);
    assert_eq!(left.await.status, StatusCode::NO_CONTENT);
    assert_eq!(first_word(&carol).await, "Waiting for a place: 1st in line");
    let home = bob.browser.get("/hub/home").await;
    assert!(home.words().contains("Stopped"), "{}", home.words());
    assert!(!home.words().contains("failed"), "{}", home.words());
    assert!(admin.delete("/users/ann/server").await.status.is_success());
    until("carol's start begins", async || {
        match first_word(&carol).await {
            word if word == "Server requested" => Ok(()),
            other => Err(other),
        }
    })
    .await;

    // Nobody's start is lost without a word.
    let mut bob = starting(&hub, "bob").await;
    assert_eq!(
        first_word(&bob).await.split(',').next(),
        Some("Waiting for a place: 1st in line")
    );
    hub.kill().await;
    hub.start_again().await;
    let home = bob.browser.get("/hub/home").await;
    assert!(
        home.words()
            .contains("restarted while this start was waiting in line"),
        "{}",
        home.words()
    );
    assert!(
        hub.admin()
            .delete("/users/carol/server")
            .await
            .status
            .is_success()
    );
    hub.until_no_server_is_left().await;
}
