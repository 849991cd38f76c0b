//! Engines that are away, hang or fail: nothing that lives is given up for it, and nobody else is
//! slowed.

mod pretend;

use std::time::Instant;

use pretend::{Fault, Pretend, Server, Verb, factory, quick};
use serde_json::json;
use spawner_core::{Ending, ExitStatus, Phase, PollStatus, StopMode};

/// What an engine can do to every call.
fn faults() -> [Fault; 6] {
    [
        Fault::Status(500, "boom"),
        Fault::Hangs,
        Fault::Resets,
        Fault::Garbage,
        Fault::Stalls,
        Fault::Breaks,
    ]
}

fn is_unknown(phase: &Phase) -> bool {
    matches!(phase, Phase::Unknown { .. })
}

fn is_running(phase: &Phase) -> bool {
    matches!(phase, Phase::Running { .. })
}

/// Whether the engine was told to end anything.
fn was_ended(engine: &Pretend) -> bool {
    [Verb::Stop, Verb::Kill, Verb::Remove]
        .iter()
        .any(|verb| !engine.calls(*verb).is_empty())
}

#[tokio::test]
async fn a_start_on_an_engine_that_fails_is_over_with_its_first_call() {
    for (fault, part) in [
        (
            Fault::Status(500, "boom"),
            "could not answer the hub: boom.",
        ),
        (Fault::Hangs, "did not answer the hub within 0.9 seconds"),
        (Fault::Resets, "cannot be reached"),
        (Fault::Stalls, "did not answer the hub within 0.9 seconds"),
        (Fault::Breaks, "cannot be reached"),
    ] {
        let engine = Pretend::open();
        let server = Server::of(&factory(&engine, json!({})), "alice");
        let began = Instant::now();
        for seen_before in [false, true] {
            if seen_before {
                server.start().await.unwrap();
                server.handle.stop(StopMode::Now).await.unwrap();
            }
            let asked = engine.number_of_calls();
            engine.fail_all(&fault);
            let said = server.failing_start().await;
            println!("{fault:?}: {:?}", began.elapsed());
            assert!(said.contains(part), "{fault:?}: {said}");
            // It was not tried call by call, and there is nothing that has to be cleared first.
            assert!(engine.number_of_calls() <= asked + 2, "{fault:?}");
            assert!(server.handle.phase().is_stopped());
            engine.heal();
        }
    }
}

#[tokio::test]
async fn a_name_that_the_same_launch_has_taken_is_taken_up() {
    let engine = Pretend::open();
    let server = Server::of(&factory(&engine, json!({})), "alice");
    engine.fail_once(Verb::Create, Fault::Twice);
    server.start().await.unwrap();
    assert!(is_running(&server.handle.phase()));
    assert_eq!(engine.calls(Verb::Create).len(), 1, "no other was made");
    assert!(!was_ended(&engine));
    assert_eq!(engine.containers().len(), 1);
    server.handle.stop(StopMode::Now).await.unwrap();
    assert_eq!(engine.containers(), []);
}

#[tokio::test]
async fn a_start_on_an_engine_that_is_gone_says_so() {
    let engine = Pretend::open();
    let server = Server::of(&factory(&engine, json!({})), "alice");
    engine.down().await;
    let said = server.failing_start().await;
    assert!(
        said.contains("cannot be reached. An admin can check that it runs"),
        "{said}"
    );
    engine.up();
    server.start().await.unwrap();
}

/// Side by side: some of them take as long as the longest call may.
async fn for_each_fault<F: Future<Output = ()>>(story: impl Fn(Fault) -> F) {
    futures_util::future::join_all(faults().map(story)).await;
}

#[tokio::test]
async fn what_lives_outlives_every_fault() {
    for_each_fault(async |fault| {
        let engine = Pretend::open();
        let server = Server::of(&quick(&engine, json!({})), "alice");
        server.start().await.unwrap();
        let before = engine.containers();
        engine.fail_all(&fault);
        server.until(is_unknown).await;
        // It is asked again, and stays what it was.
        let polled = server.handle.poll().await;
        assert!(polled.is_err(), "{fault:?}: {polled:?}");
        assert!(is_unknown(&server.handle.phase()), "{fault:?}");
        engine.heal();
        let back = Instant::now();
        server.until(is_running).await;
        println!("{fault:?}: running again after {:?}", back.elapsed());
        assert_eq!(engine.containers(), before);
        assert!(!was_ended(&engine), "{fault:?}");
        // And it is still this one that is heard.
        engine.ends("jupyter-alice", 3);
        assert_eq!(server.ended().await.status(), Some(ExitStatus::Code(3)));
    })
    .await;
}

#[tokio::test]
async fn what_lives_outlives_an_engine_that_is_restarted() {
    let engine = Pretend::open();
    let server = Server::of(&quick(&engine, json!({})), "alice");
    server.start().await.unwrap();
    engine.down().await;
    server.until(is_unknown).await;
    engine.up();
    let back = Instant::now();
    server.until(is_running).await;
    println!("running again after {:?}", back.elapsed());
    assert!(!was_ended(&engine));
    assert_eq!(engine.containers(), [("jupyter-alice".to_owned(), true)]);
}

#[tokio::test]
async fn an_end_in_the_engine_s_absence_is_noticed_when_it_is_back() {
    let engine = Pretend::open();
    // Nobody polls: it is heard.
    let server = Server::of(&factory(&engine, json!({})), "alice");
    server.handle.stop_polling();
    server.start().await.unwrap();
    engine.called(Verb::Events, 1).await;
    engine.down().await;
    engine.ends("jupyter-alice", 137);
    engine.up();
    let back = Instant::now();
    assert_eq!(server.ended().await.status(), Some(ExitStatus::Signal(9)));
    println!("noticed after {:?}", back.elapsed());
}

#[tokio::test]
async fn an_end_is_heard_through_a_stream_that_fails() {
    for fault in [Fault::Breaks, Fault::Trickles, Fault::Ends, Fault::Garbage] {
        let engine = Pretend::open();
        let server = Server::of(&factory(&engine, json!({})), "alice");
        server.handle.stop_polling();
        engine.fail(Verb::Events, fault.clone());
        server.start().await.unwrap();
        engine
            .called(Verb::Events, 2 - usize::from(fault == Fault::Trickles))
            .await;
        engine.ends("jupyter-alice", 3);
        let ended = server.ended().await;
        assert_eq!(ended.status(), Some(ExitStatus::Code(3)), "{fault:?}");
    }
}

#[tokio::test]
async fn a_stop_is_carried_out_when_the_engine_is_back() {
    for_each_fault(async |fault| {
        let engine = Pretend::open();
        let server = Server::of(&factory(&engine, json!({})), "alice");
        server.start().await.unwrap();
        engine.fail_all(&fault);
        let stopped = server.handle.stop(StopMode::Now).await;
        assert!(stopped.is_err(), "{fault:?}");
        // Not forgotten, although nothing can be told of it.
        let stopping = matches!(server.handle.phase(), Phase::Stopping { .. });
        assert!(stopping, "{fault:?}: {:?}", server.handle.phase());
        engine.heal();
        assert_eq!(server.ended().await.ending, Ending::Stopped);
        assert!(engine.containers().is_empty(), "{fault:?}");
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_stuck_slows_nobody_else() {
    let engine = Pretend::open();
    let factory = factory(&engine, json!({}));
    let users = ["alice", "bob", "carol"].map(|user| Server::of(&factory, user));
    let [alice, bob, carol] = &users;
    carol.start().await.unwrap();
    for verb in [
        Verb::Ping,
        Verb::ImageInspect,
        Verb::List,
        Verb::Create,
        Verb::Start,
    ] {
        let stuck = engine.calls(verb).len();
        engine.fail_once(verb, Fault::Hangs);
        let others = async {
            engine.called(verb, stuck + 1).await;
            bob.start().await.unwrap();
            assert_eq!(carol.handle.poll().await.unwrap(), PollStatus::Running);
            bob.handle.stop(StopMode::Graceful).await.unwrap();
            // The one that was stuck is let go, and its start has failed or is cancelled.
            engine.heal();
            alice.handle.stop(StopMode::Now).await.unwrap();
        };
        let (started, ()) = tokio::join!(alice.start(), others);
        assert!(started.is_err(), "{verb:?}");
        alice.until(Phase::is_stopped).await;
    }
    assert_eq!(engine.containers(), [("jupyter-carol".to_owned(), true)]);
}

#[tokio::test]
async fn a_step_of_a_start_that_fails_leaves_nothing() {
    for verb in [
        Verb::ImageInspect,
        Verb::List,
        Verb::Create,
        Verb::Start,
        Verb::Inspect,
    ] {
        for fault in [
            Fault::Status(500, "boom"),
            Fault::Resets,
            Fault::Garbage,
            Fault::Breaks,
        ] {
            let engine = Pretend::open();
            let server = Server::of(&factory(&engine, json!({})), "alice");
            engine.fail_once(verb, fault.clone());
            let started = server.start().await;
            // What has no body cannot be damaged.
            let harmless = verb == Verb::Start && matches!(fault, Fault::Garbage | Fault::Breaks);
            if !harmless {
                assert!(started.is_err(), "{verb:?} {fault:?}");
                assert!(server.handle.phase().is_stopped());
                assert!(engine.containers().is_empty(), "{verb:?} {fault:?}");
            }
        }
    }
}
