//! A hub whose Docker Engine is away, hangs or fails: what lives stays, a start says why at once, and
//! nobody else notices. The engine is a pretended one, whose containers serve.

use std::time::Instant;

use hub_tests::api::Api;
use hub_tests::browser::Browser;
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};
use hub_tests::wait::until;

use crate::pretend::{Fault, Pretend, Verb};

/// The container of the server that lives through all of it.
const ALICE: &str = "jupyter-alice";

async fn hub(engine: &Pretend) -> TestHub {
    Setup::new()
        .unset("spawner.cmd")
        .set("spawner.kind", "docker")
        .set("spawner.poll_interval", 0.2)
        .set("spawner.start_timeout", 3)
        .set("spawner.consecutive_failure_limit", 0)
        .set("spawner.docker.image", "lab")
        .set("spawner.docker.host", engine.host())
        // Which publishes ports.
        .set("spawner.docker.network_name", "bridge")
        // Nobody's own logins.
        .set("spawner.docker.docker_config", "/nonexistent")
        .start()
        .await
}

/// Whether the engine was told to end anything.
fn was_ended(engine: &Pretend) -> bool {
    [Verb::Stop, Verb::Kill, Verb::Remove]
        .iter()
        .any(|verb| !engine.calls(*verb).is_empty())
}

/// Starts a server that must not start; what the program that asked is told.
async fn failing_start(admin: &Api, user: &str) -> String {
    let reply = admin.post(&format!("/users/{user}/server"), None).await;
    let message = if reply.status.as_u16() == 202 {
        let last = admin.progress(user, "").await.to_end().await.pop();
        let last = last.expect("a last event");
        assert!(last.failed, "{last:?}");
        last.message
    } else {
        assert!(reply.status.as_u16() >= 400, "{reply:?}");
        let message = reply.json()["message"].clone();
        message.as_str().expect("a message").to_owned()
    };
    assert!(!message.is_empty());
    message
}

/// What the page of a failed start says.
async fn failed_page(browser: &mut Browser, user: &str) -> String {
    let page = browser.get(&format!("/hub/spawn-pending/{user}")).await;
    assert_eq!(page.status(), 500, "{}", page.words());
    page.words()
}

#[tokio::test]
async fn a_bad_engine_costs_nobody_a_server() {
    let engine = Pretend::open();
    let hub = hub(&engine).await;
    let admin = hub.admin();
    admin.create(&["alice", "bob", "carol"]).await;
    admin.start("alice").await;
    let mut bob = hub.browser();
    bob.log_in("/hub/home", "bob", PASSWORD).await;
    let mut alice = hub.browser();
    alice.log_in("/hub/home", "alice", PASSWORD).await;
    for (fault, words) in [
        (Some(Fault::Status(500, "boom")), "boom"),
        (Some(Fault::Hangs), "did not answer the hub within"),
        (Some(Fault::Resets), "cannot be reached"),
        // Restarted: the socket is gone meanwhile.
        (None, "cannot be reached"),
    ] {
        match &fault {
            Some(fault) => engine.fail_all(fault),
            None => engine.down().await,
        }
        let began = Instant::now();
        let said = failing_start(&admin, "bob").await;
        println!(
            "{fault:?}: the start failed after {:?}: {said}",
            began.elapsed()
        );
        assert!(said.contains(words), "{fault:?}: {said}");
        let shown = failed_page(&mut bob, "bob").await;
        assert!(shown.contains(words), "{fault:?}: {shown}");
        // What does not need the engine is there.
        let began = Instant::now();
        let page = alice.get("/hub/home").await;
        assert_eq!(page.status(), 200, "{}", page.words());
        let page = alice.get("/user/alice/").await;
        assert_eq!((page.status(), page.reply.text()), (200, "ok".into()));
        println!("{fault:?}: two pages took {:?}", began.elapsed());
        let model = admin.get("/users/alice").await.json();
        assert_eq!(model["servers"][""]["ready"], true, "{fault:?}: {model}");

        match fault {
            Some(_) => engine.heal(),
            None => engine.up(),
        }
        let back = Instant::now();
        admin.start("carol").await;
        println!(
            "{fault:?}: a server started {:?} after it was back",
            back.elapsed()
        );
        assert!(!was_ended(&engine), "{fault:?}");
        admin.stop("carol").await;
        let left = engine.containers();
        assert_eq!(left, [(ALICE.to_owned(), true)], "{fault:?}");
        // The next fault is to find an engine that nobody told to end anything.
        engine.forget_calls();
    }
    admin.stop("alice").await;
    assert!(engine.containers().is_empty());
}

#[tokio::test]
async fn an_end_while_the_engine_was_away_is_in_the_books_when_it_is_back() {
    let engine = Pretend::open();
    let hub = hub(&engine).await;
    let admin = hub.admin();
    admin.create(&["alice"]).await;
    admin.start("alice").await;
    engine.down().await;
    engine.ends(ALICE, 3);
    engine.up();
    let back = Instant::now();
    admin.until_stopped("alice").await;
    println!(
        "the books agreed {:?} after the engine was back",
        back.elapsed()
    );
    let mut alice = hub.browser();
    let page = alice
        .log_in("/hub/spawn-pending/alice", "alice", PASSWORD)
        .await;
    assert!(page.words().contains("exit code 3"), "{}", page.words());
}

/// The engine hangs in the middle of a start, and so does the removal of what it had made.
#[tokio::test]
async fn the_reason_is_shown_although_nothing_can_be_cleared() {
    let engine = Pretend::open();
    let mut hub = hub(&engine).await;
    let admin = hub.admin();
    admin.create(&["bob"]).await;
    let mut bob = hub.browser();
    bob.log_in("/hub/home", "bob", PASSWORD).await;
    for verb in [Verb::Start, Verb::List, Verb::Inspect, Verb::Remove] {
        engine.fail(verb, Fault::Hangs);
    }
    // The list is asked for before the container is made.
    engine.mend(Verb::List);
    let created = async {
        engine.called(Verb::Start, 1).await;
        engine.fail(Verb::List, Fault::Hangs);
    };
    let (said, ()) = tokio::join!(failing_start(&admin, "bob"), created);
    assert!(said.contains("3 s (start_timeout)"), "{said}");
    let shown = failed_page(&mut bob, "bob").await;
    assert!(shown.contains("3 s (start_timeout)"), "{shown}");
    // Neither forgotten nor started again.
    assert_eq!(engine.containers(), [("jupyter-bob".to_owned(), false)]);
    let model = admin.get("/users/bob").await.json();
    assert_eq!(model["pending"], "stop", "{model}");
    let again = admin.post("/users/bob/server", None).await;
    assert_eq!(again.status.as_u16(), 400, "{}", again.text());
    let told = admin.progress("bob", "").await.to_end().await.pop();
    assert!(told.is_some_and(|event| event.failed && event.message.contains("start_timeout")));

    // A hub that takes over knows the reason as well, and clears what is left.
    hub.kill().await;
    hub.start_again().await;
    engine.heal();
    admin.until_stopped("bob").await;
    until("the container to be gone", async || {
        let left = engine.containers();
        if left.is_empty() {
            Ok(())
        } else {
            Err(format!("{left:?}"))
        }
    })
    .await;
    let shown = failed_page(&mut bob, "bob").await;
    assert!(shown.contains("3 s (start_timeout)"), "{shown}");
    admin.start("bob").await;
    admin.stop("bob").await;
}
