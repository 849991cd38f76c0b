//! Pulling images, with a pretend engine that does to it what registries and engines do.

mod pretend;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use pretend::{Fault, Gate, Pretend, Pull, Server, Step, Verb, factory, launch, quick, server};
use serde_json::{Value, json};
use spawner_core::{SpawnErrorKind, Spawner as _, SpawnerFactory as _, StopMode};

#[tokio::test]
async fn an_image_that_is_missing_is_pulled_with_its_progress() {
    let engine = Pretend::open();
    let gate = Gate::closed();
    let big = 400_000_000;
    let mut steps = vec![
        Step::Line(json!({"status": "Pulling from team/lab", "id": "2026.1"})),
        Step::layer("base", "Already exists"),
        Step::layer("aaaa", "Pulling fs layer"),
        Step::layer("bbbb", "Pulling fs layer"),
        Step::bytes("bbbb", "Downloading", 1_000_000, 80_000_000),
    ];
    for part in 0..=100 {
        steps.push(Step::bytes("aaaa", "Downloading", big / 100 * part, big));
    }
    steps.push(Step::Gate(gate.clone()));
    for layer in ["aaaa", "bbbb"] {
        steps.push(Step::layer(layer, "Download complete"));
        steps.push(Step::layer(layer, "Pull complete"));
    }
    let image = "quay.io/team/lab:2026.1";
    engine.registry_has(image, Pull::Steps(steps));
    let server = Server::of(&factory(&engine, json!({"image": image})), "alice");
    let watch = async {
        server.says("1 of 3 layers, 401 of 480 MB").await;
        gate.open();
    };
    let (started, ()) = tokio::join!(server.start(), watch);
    started.unwrap();
    let steps = server.steps();
    assert!(steps.is_sorted_by_key(|(percent, _)| *percent), "{steps:?}");
    let pulling = format!("Pulling {image}");
    let about_it: Vec<_> = steps
        .iter()
        .filter(|(_, said)| said.starts_with(&pulling))
        .collect();
    assert!((5..=60).contains(&about_it.len()), "{about_it:?}");
    assert_eq!(engine.calls(Verb::Pull).len(), 1);

    // It is there now.
    server.handle.stop(StopMode::Now).await.unwrap();
    server.start().await.unwrap();
    assert_eq!(engine.calls(Verb::Pull).len(), 1);
}

#[tokio::test]
async fn what_is_asked_for_is_one_image() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    for (image, query) in [
        (
            "quay.io/a/b",
            "fromImage=quay.io%2Fa%2Fb&tag=latest".to_owned(),
        ),
        ("absent", "fromImage=absent&tag=latest".to_owned()),
        (
            "localhost:5000/x:1",
            "fromImage=localhost%3A5000%2Fx&tag=1".to_owned(),
        ),
        (
            &format!("quay.io/a/b:1@{digest}"),
            format!("fromImage=quay.io%2Fa%2Fb%40{}", digest.replace(':', "%3A")),
        ),
    ] {
        let engine = Pretend::open();
        let server = Server::of(&factory(&engine, json!({"image": image})), "alice");
        let said = server.failing_start().await;
        assert!(said.contains("has no image"), "{said}");
        let calls = engine.calls(Verb::Pull);
        assert_eq!(calls.len(), 1);
        let (_, asked) = calls[0].target.split_once('?').unwrap();
        let asked = asked.trim_end_matches("&platform=").to_owned();
        assert!(asked.contains(&query), "{asked} for {image}");
    }
    // An id of an image is in no registry.
    let engine = Pretend::open();
    let server = Server::of(&factory(&engine, json!({"image": digest})), "alice");
    let said = server.failing_start().await;
    assert!(said.contains("is not on this host"), "{said}");
    assert!(engine.calls(Verb::Pull).is_empty());
}

#[tokio::test]
async fn policies_are_docker_spawner_s() {
    for (policy, image, pulls, looks, sentence) in [
        ("always", "lab", 1, true, None),
        ("ALWAYS", "absent", 1, false, Some("has no image")),
        ("ifnotpresent", "lab", 0, true, None),
        ("never", "lab", 0, true, None),
        ("never", "absent", 0, true, Some("docker pull absent")),
        ("skip", "lab", 0, false, None),
        ("skip", "absent", 0, false, Some("No such image: absent")),
    ] {
        let engine = Pretend::open();
        engine.registry_has("lab", Pull::small());
        let table = json!({"image": image, "pull_policy": policy});
        let factory = factory(&engine, table);
        let mut spawner = factory.spawner(&server("alice"));
        let mut launch = launch(&mut spawner, &server("alice"), json!({})).await;
        // What the image would run is not asked for.
        launch.cmd = vec!["mine".into()];
        let started = spawner.start(launch).await;
        match (started, sentence) {
            (Ok(_), None) => {}
            (Err(error), Some(part)) => {
                assert_eq!(
                    error.kind(),
                    SpawnErrorKind::NotFound,
                    "{policy} {image}: {error}"
                );
                assert!(
                    error.to_string().contains(part),
                    "{policy} {image}: {error}"
                );
            }
            (started, _) => panic!("{policy} {image}: {started:?}"),
        }
        assert_eq!(engine.calls(Verb::Pull).len(), pulls, "{policy} {image}");
        let looked = !engine.calls(Verb::ImageInspect).is_empty();
        assert_eq!(looked, looks, "{policy} {image}");
        spawner.stop(StopMode::Now).await.unwrap();
        assert!(engine.containers().is_empty());
    }
}

#[tokio::test]
async fn two_who_wait_are_one_pull() {
    let engine = Pretend::open();
    let gate = Gate::closed();
    engine.registry_has("big", Pull::behind(&gate));
    let factory = factory(&engine, json!({"image": "big"}));
    let servers: Vec<_> = ["alice", "bob", "carol"]
        .map(|user| Server::of(&factory, user))
        .into();
    let (alice, bob, carol) = (&servers[0], &servers[1], &servers[2]);
    let story = async {
        for server in &servers {
            server.says("Pulling big: 0 of 1 layers").await;
        }
        assert_eq!(engine.calls(Verb::Pull).len(), 1);
        // Whoever has begun it may leave.
        alice.handle.stop(StopMode::Now).await.unwrap();
        carol.handle.stop(StopMode::Now).await.unwrap();
        engine.pulling(1).await;
        gate.open();
    };
    let (left, came, also_left, ()) =
        tokio::join!(alice.start(), bob.start(), carol.start(), story);
    came.unwrap();
    assert!(left.is_err() && also_left.is_err());
    assert_eq!(engine.calls(Verb::Pull).len(), 1);
}

#[tokio::test]
async fn a_pull_that_nobody_waits_for_is_given_up() {
    let engine = Pretend::open();
    let gate = Gate::closed();
    engine.registry_has("big", Pull::behind(&gate));
    let factory = factory(&engine, json!({"image": "big"}));
    let (alice, bob) = (Server::of(&factory, "alice"), Server::of(&factory, "bob"));
    let story = async {
        alice.says("Pulling big:").await;
        bob.says("Pulling big:").await;
        alice.handle.stop(StopMode::Now).await.unwrap();
        bob.handle.stop(StopMode::Graceful).await.unwrap();
        // The engine sees that its client is gone.
        engine.pulling(0).await;
    };
    let _ = tokio::join!(alice.start(), bob.start(), story);
    assert!(engine.containers().is_empty());

    // And the next one is a pull of its own.
    gate.open();
    alice.start().await.unwrap();
    assert_eq!(engine.calls(Verb::Pull).len(), 2);
}

#[tokio::test]
async fn the_time_of_a_pull_does_not_count() {
    let engine = Pretend::open();
    let gate = Gate::closed();
    engine.registry_has("big", Pull::behind(&gate));
    let factory = quick(
        &engine,
        json!({"image": "big", "allowed_images": ["big", "lab"]}),
    );
    let (alice, bob) = (Server::of(&factory, "alice"), Server::of(&factory, "bob"));
    let wait = async {
        alice.says("Pulling big: 0 of 1 layers").await;
        // As long as this takes, all of alice's `start_timeout` passes.
        engine.fail(Verb::ImageInspect, Fault::Hangs);
        let said = bob.failing_start_of("lab").await;
        assert!(said.contains("(start_timeout)"), "{said}");
        engine.heal();
        gate.open();
    };
    let (started, ()) = tokio::join!(alice.start(), wait);
    started.unwrap();
}

#[tokio::test]
async fn a_pull_that_goes_wrong_says_why() {
    let retrying = json!({"id": "aaaa", "status": "Retrying in 1 second", "progressDetail": {}});
    let begin = || Step::layer("aaaa", "Pulling fs layer");
    for (pull, kind, part) in [
        (
            Pull::Refused(
                500,
                "Get \"https://quay.io/v2/\": dial tcp: lookup quay.io: no such host",
            ),
            "Unavailable",
            "cannot reach the registry quay.io",
        ),
        (
            Pull::Refused(
                500,
                "unauthorized: access to the requested resource is not authorized",
            ),
            "Other",
            "[spawner.docker.registries.\"quay.io\"]",
        ),
        (
            Pull::Refused(401, ""),
            "Other",
            "does not let this hub pull",
        ),
        (
            Pull::Refused(403, "denied"),
            "Other",
            "no user name and password were sent",
        ),
        (
            Pull::Refused(404, "manifest unknown"),
            "NotFound",
            "Check its name and tag",
        ),
        (
            Pull::Refused(429, "toomanyrequests"),
            "Unavailable",
            "allows no more pulls",
        ),
        (
            Pull::Refused(500, "something else"),
            "Other",
            "could not pull \"quay.io/x\": something else.",
        ),
        (
            Pull::Steps(vec![
                begin(),
                Step::error("write /x: no space left on device"),
            ]),
            "Unavailable",
            "is full",
        ),
        (
            Pull::Steps(vec![begin(), Step::Stall]),
            "Timeout",
            "stood still for 0.3 s",
        ),
        (
            Pull::Steps(vec![begin(), Step::Repeat(retrying)]),
            "Timeout",
            "stood still for 0.3 s",
        ),
        (
            Pull::Steps(vec![Step::Stall]),
            "Timeout",
            "stood still for 0.3 s",
        ),
        (
            Pull::Steps(vec![begin(), Step::Break]),
            "Unavailable",
            "broke while it pulled",
        ),
        (
            Pull::Steps(vec![begin(), Step::Garbage]),
            "Other",
            "makes no sense",
        ),
        (
            Pull::Steps(vec![begin(), Step::End]),
            "Other",
            "and does not have it",
        ),
        (Pull::Steps(Vec::new()), "", ""),
    ] {
        let engine = Pretend::open();
        engine.registry_has("quay.io/x", pull.clone());
        let table = json!({"image": "quay.io/x", "pull_stall_timeout": 0.3});
        let factory = factory(&engine, table);
        let mut spawner = factory.spawner(&server("alice"));
        let launch = launch(&mut spawner, &server("alice"), json!({})).await;
        match spawner.start(launch).await {
            Ok(_) => assert!(kind.is_empty(), "{pull:?}"),
            Err(error) => {
                assert!(error.to_string().contains(part), "{pull:?}: {error}");
                assert_eq!(format!("{:?}", error.kind()), kind, "{pull:?}: {error}");
            }
        }
        spawner.stop(StopMode::Now).await.unwrap();
    }
}

#[tokio::test]
async fn a_pull_has_a_limit_as_a_whole() {
    let engine = Pretend::open();
    // A trickle: always a little further, and never there.
    let mut steps = vec![Step::layer("aaaa", "Pulling fs layer")];
    for byte in 1..10_000 {
        steps.push(Step::bytes("aaaa", "Downloading", byte, 1 << 40));
    }
    steps.push(Step::Stall);
    engine.registry_has("slow", Pull::Steps(steps));
    let table = json!({"image": "slow", "pull_timeout": 0.5, "pull_stall_timeout": 60});
    let server = Server::of(&factory(&engine, table), "alice");
    let said = server.failing_start().await;
    assert!(said.contains("longer than 0.5 s (pull_timeout)"), "{said}");
    engine.pulling(0).await;
}

#[tokio::test]
async fn an_engine_that_fails_in_a_pull_is_said_to() {
    for (fault, part) in [
        (Fault::Hangs, "stood still"),
        (Fault::Resets, "cannot be reached"),
        (Fault::Garbage, "makes no sense"),
        (Fault::Status(500, "boom"), "boom."),
        (Fault::Stalls, "stood still"),
        (Fault::Breaks, "broke while it pulled"),
        (Fault::Trickles, ""),
    ] {
        let engine = Pretend::open();
        engine.registry_has("x", Pull::small());
        engine.fail(Verb::Pull, fault.clone());
        let table = json!({"image": "x", "pull_stall_timeout": 0.3});
        let factory = factory(&engine, table);
        let mut spawner = factory.spawner(&server("alice"));
        let launch = launch(&mut spawner, &server("alice"), json!({})).await;
        match spawner.start(launch).await {
            Ok(_) => assert!(part.is_empty(), "{fault:?}"),
            Err(error) => assert!(error.to_string().contains(part), "{fault:?}: {error}"),
        }
    }
}

/// What the engine was told to log in with, by the last pull.
fn sent(engine: &Pretend) -> Option<Value> {
    let call = engine.calls(Verb::Pull).pop().unwrap();
    let header = call.headers.get("X-Registry-Auth")?;
    Some(serde_json::from_slice(&URL_SAFE.decode(header.as_bytes()).unwrap()).unwrap())
}

#[tokio::test]
async fn a_registry_is_shown_its_own_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({"auths": {
        "https://index.docker.io/v1/": {"auth": "aHViOmh1bnRlcjI="},
        "other.example": {"identitytoken": "other"},
    }});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    // Which base64 for headers and base64 for URLs write differently.
    let password = "what?~>ÿ";
    for (image, expected) in [
        (
            "registry.example:5000/x",
            Some(json!({
                "username": "hub", "password": password, "serveraddress": "registry.example:5000",
            })),
        ),
        (
            "team/x",
            Some(json!({
                "username": "hub", "password": "hunter2",
                "serveraddress": "https://index.docker.io/v1/",
            })),
        ),
        ("quay.io/x", None),
    ] {
        let engine = Pretend::open();
        engine.registry_has(image, Pull::Refused(401, "unauthorized: hunter2 is wrong"));
        let table = json!({
            "image": image,
            "docker_config": folder.path(),
            "registries": {
                "registry.example:5000": {"username": "hub", "password": password},
            },
        });
        let factory = factory(&engine, table);
        let server = Server::of(&factory, "alice");
        let said = server.failing_start().await;
        assert_eq!(sent(&engine), expected, "{image}");
        let told = if expected.is_some() {
            "with the credentials of"
        } else {
            "were sent"
        };
        assert!(said.contains(told), "{said}");
        let shown = format!("{said} {:?} {factory:?}", server.steps());
        assert!(
            !shown.contains("hunter2") && !shown.contains(password),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn images_are_pulled_ahead_of_time_if_that_is_wanted() {
    let engine = Pretend::open();
    let gate = Gate::closed();
    engine.registry_has("one", Pull::behind(&gate));
    engine.registry_has("two", Pull::small());
    let allowed = json!(["one", "absent", "lab", "two"]);
    let table = json!({"image": "one", "allowed_images": allowed, "pre_pull": true});
    let factory = Arc::new(factory(&engine, table));
    factory.preflight().await.unwrap();
    engine.pulling(1).await;
    let server = Server::of(&factory, "alice");
    let story = async {
        server.says("Pulling one: 0 of 1 layers").await;
        gate.open();
    };
    let (started, ()) = tokio::join!(server.start(), story);
    started.unwrap();
    // "absent" fails, "lab" is there, "two" comes last.
    engine.called(Verb::Pull, 3).await;
    let targets: Vec<_> = engine
        .calls(Verb::Pull)
        .into_iter()
        .map(|c| c.target)
        .collect();
    assert!(targets[0].contains("fromImage=one"), "{targets:?}");
    assert!(targets[2].contains("fromImage=two"), "{targets:?}");
}

#[tokio::test]
async fn what_is_pulled_ahead_is_given_up_with_its_factory() {
    let engine = Pretend::open();
    engine.registry_has("one", Pull::behind(&Gate::closed()));
    let factory = factory(&engine, json!({"image": "one", "pre_pull": true}));
    factory.preflight().await.unwrap();
    engine.pulling(1).await;
    drop(factory);
    engine.pulling(0).await;
}
